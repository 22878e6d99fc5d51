//! Syntax as canonical text.

use flow_grammar::syntax::{Expr, Flow};

/// Returns an expression as the formatter writes it.
pub(super) fn expr(_expr: &Expr) -> String {
    "…".to_owned()
}

/// Returns the text of a flow that its layout does not change.
pub(super) fn normalized(node: &Flow, source: &str) -> String {
    node.span.text(source).split_whitespace().collect::<Vec<_>>().join(" ")
}
