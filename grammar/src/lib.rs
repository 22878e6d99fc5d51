//! The syntax of Flow: text to syntax tree, and syntax tree to canonical text. Knows no meaning.

pub mod span;
pub mod syntax;
