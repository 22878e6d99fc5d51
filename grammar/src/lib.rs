//! The syntax of Flow: text to syntax tree, and syntax tree to canonical text. Knows no meaning.

mod blocks;
pub mod compare;
mod diagnose;
pub mod error;
pub mod format;
mod grammar;
pub mod parse;
pub mod print;
mod scan;
pub mod span;
pub mod syntax;

pub use diagnose::is_reserved;
pub use error::{CODES, Fix, SyntaxError};
pub use format::{format, format_file, quoted, quoted_key};
pub use parse::{Parsed, parse};
pub use print::{normalized_text, print_expr, print_flow};
