//! The checks over all flows together: whole projects in, plain text out.

#![expect(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is the report")]

mod cycles;
mod overlaps;
mod project;
mod quotas;
mod unreachable;
