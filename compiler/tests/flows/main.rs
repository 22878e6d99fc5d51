//! Flows: what is said about mistakes, and what becomes of sound ones.

mod functions;
mod harness;
mod listing;

mod mistakes;
mod plans;
mod schedules;
mod starting;
