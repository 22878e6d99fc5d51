//! The tests of the grammar, in one binary.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

mod deletion;
mod fixtures;
mod forms;
mod hostile;
mod mistakes;
mod props;
mod slips;
mod support;
