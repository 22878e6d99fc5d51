//! Flows: what is said about mistakes, and what becomes of sound ones.

#![expect(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is the report")]

mod functions;
mod harness;
mod listing;

mod mistakes;
mod plans;
mod schedules;
mod starting;
