//! Trees to canonical text without a source: for trees with nodes that the compiler made.
//!
//! Spans are not looked at. Comments are not in a tree, so none are printed; doc comments are.

use crate::format::Printer;
use crate::syntax::{Block, Connector, Expr, Flow, Step, Test};

/// Returns the flow as text, without a line break at its end.
pub fn print_flow(flow: &Flow) -> String {
    printed(|printer| printer.flow(flow))
}

/// Returns the test as text, without a line break at its end.
pub fn print_test(test: &Test) -> String {
    printed(|printer| printer.test(test))
}

/// Returns the connector as text, without a line break at its end.
pub fn print_connector(connector: &Connector) -> String {
    printed(|printer| printer.connector(connector))
}

/// Returns the block as text: in braces where it has them.
pub fn print_block(block: &Block) -> String {
    printed(|printer| printer.block(block))
}

/// Returns the step as text, broken into lines where it is long.
pub fn print_step(step: &Step) -> String {
    printed(|printer| printer.step(step))
}

/// Returns the expression as text, with parentheses where its tree needs them.
pub fn print_expr(expr: &Expr) -> String {
    printed(|printer| printer.expr(expr))
}

/// Returns the text that stands for an unnamed flow: canonical, without comments and doc comments. Two flows with
/// the same text do the same.
pub fn normalized_text(flow: &Flow) -> String {
    let mut printer = Printer::detached().without_docs();
    printer.flow(flow);
    printer.finish()
}

fn printed(write: impl FnOnce(&mut Printer<'static>)) -> String {
    let mut printer = Printer::detached();
    write(&mut printer);
    printer.finish()
}
