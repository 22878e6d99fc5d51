//! The tests of the grammar, in one binary.

mod hostile;
