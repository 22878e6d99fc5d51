//! Syntax as canonical text, in one line.

use flow_grammar::syntax::{Call, Expr, ExprKind, Flow, Step};

use super::check::one_line;

/// Returns an expression as the formatter writes it.
pub(super) fn expr(expr: &Expr) -> String {
    one_line(&flow_grammar::print_expr(expr))
}

/// Returns a call as the formatter writes it.
pub(super) fn call(call: &Call) -> String {
    expr(&Expr { span: call.span, kind: Box::new(ExprKind::Call(call.clone())) })
}

/// Returns a step as the formatter writes it.
pub(super) fn step(step: &Step) -> String {
    one_line(&flow_grammar::print::print_step(step))
}

/// Returns the text of a flow that neither its layout nor its comments change.
pub(super) fn normalized(node: &Flow) -> String {
    flow_grammar::normalized_text(node)
}
