//! Syntax as canonical text, in one line.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

use flow_grammar::syntax::{Block, Call, Expr, ExprKind, Flow, Step, StepKind};

use super::check::one_line;

/// How many steps are remembered before all are forgotten.
const REMEMBERED: usize = 4096;

/// A step's heading, and the block that it is part of.
type Heading = (Weak<Block>, Arc<str>);

thread_local! {
    /// The headings of the steps of composite operations, by their address: each flow that uses one shows them.
    /// INVARIANT: an entry counts only for the block that it was made from, and that block never changes.
    static HEADINGS: RefCell<HashMap<usize, Heading>> = RefCell::new(HashMap::new());
}

/// Returns an expression as the formatter writes it.
pub(super) fn expr(expr: &Expr) -> String {
    one_line(&flow_grammar::print_expr(expr))
}

/// Returns a call as the formatter writes it.
pub(super) fn call(call: &Call) -> String {
    expr(&Expr { span: call.span, kind: Box::new(ExprKind::Call(call.clone())) })
}

/// Returns the first line of a step as the formatter writes it.
pub(super) fn heading(step: &Step) -> String {
    match &step.kind {
        StepKind::Call(node) => call(&node.call),
        StepKind::If(node) => format!("if {}", expr(&node.condition)),
        StepKind::Match { subject, .. } => format!("match {}", expr(subject)),
        StepKind::For { var, list, up_to, .. } => {
            let most = up_to.as_ref().map_or(String::new(), |number| format!(" up to {}", number.digits));
            format!("for {} in {}{most}", var.text, expr(list))
        }
        StepKind::Let { .. }
        | StepKind::Stop(_)
        | StepKind::Return(_)
        | StepKind::Require(_)
        | StepKind::Wait(_)
        | StepKind::WaitUntil { .. }
        | StepKind::WaitFor { .. }
        | StepKind::Bad => one_line(&flow_grammar::print::print_step(step)),
    }
}

/// As [`heading`], for a step of a block of the catalog.
pub(super) fn remembered(block: &Arc<Block>, step: &Step) -> String {
    HEADINGS.with_borrow_mut(|headings| {
        let address = std::ptr::from_ref(step).addr();
        if let Some((of, text)) = headings.get(&address)
            && std::ptr::eq(of.as_ptr(), Arc::as_ptr(block))
        {
            return text.to_string();
        }
        if headings.len() >= REMEMBERED {
            headings.clear();
        }
        let text = heading(step);
        headings.insert(address, (Arc::downgrade(block), text.as_str().into()));
        text
    })
}

/// Returns the text of a flow that neither its layout nor its comments change.
pub(super) fn normalized(node: &Flow) -> String {
    flow_grammar::normalized_text(node)
}
