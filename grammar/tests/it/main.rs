//! The tests of the grammar, in one binary.

mod deletion;
mod fixtures;
mod forms;
mod hostile;
mod mistakes;
mod props;
mod support;
