//! The syntax of Flow: text to syntax tree, and syntax tree to canonical text. Knows no meaning.

mod diagnose;
pub mod error;
mod grammar;
pub mod parse;
mod scan;
pub mod span;
pub mod syntax;

pub use error::{Fix, SyntaxError};
pub use parse::{Parsed, parse};
