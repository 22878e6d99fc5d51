//! Operations of steps that call each other in a circle (E820): what a call does is written out where it stands, which would
//! never end.

use std::collections::{BTreeMap, BTreeSet};

use flow_grammar::span::Span;
use flow_grammar::syntax::{Arg, Block, Call, Expr, ExprKind, IsTest, StepKind, TextPart};

use super::Cx;
use crate::catalog::OperationBody;
use crate::code::Code;

/// So deep may operations of steps lie in each other.
pub(crate) const DEPTH: usize = 8;

/// What each operation of steps calls of the others, and where.
type Calls = BTreeMap<String, Vec<(String, Span)>>;

impl Cx<'_> {
    /// Reports each circle once, and marks the operations that lead into one.
    pub(super) fn find_circles(&mut self) {
        let calls = self.calls_of_steps();
        let mut told: BTreeSet<&str> = BTreeSet::new();
        for first in calls.keys() {
            if told.contains(first.as_str()) {
                continue;
            }
            if let Some(way) = way_back(&calls, first) {
                told.extend(way.iter().map(|(from, ..)| *from));
                self.report_circle(&way);
            }
        }
        // Whoever leads into a circle is never written out either, nor is what lies too deep in others.
        let mut endless: BTreeSet<String> = told.into_iter().map(str::to_owned).collect();
        loop {
            let before = endless.len();
            let more = calls.iter().filter(|(_, called)| called.iter().any(|(name, _)| endless.contains(name)));
            endless.extend(more.map(|(name, _)| name.clone()).collect::<Vec<_>>());
            if endless.len() == before {
                break;
            }
        }
        endless.extend(self.too_deep(&calls, &endless));
        for name in endless {
            if let Some(operation) = self.operations.get_mut(&name) {
                operation.endless = true;
            }
        }
    }

    /// The operations with too many others in each other, which has been reported for one of them.
    fn too_deep(&mut self, calls: &Calls, endless: &BTreeSet<String>) -> BTreeSet<String> {
        let mut fine: BTreeSet<&str> = BTreeSet::new();
        for _ in 0..DEPTH {
            let of_fine = |called: &[(String, Span)]| called.iter().all(|(name, _)| fine.contains(name.as_str()));
            let more: Vec<&str> = calls.iter().filter(|(_, called)| of_fine(called)).map(|(name, _)| name.as_str()).collect();
            fine.extend(more);
        }
        let deep: BTreeSet<&str> =
            calls.keys().map(String::as_str).filter(|name| !fine.contains(name) && !endless.contains(*name)).collect();
        // The one to tell of has nothing in it that is too deep by itself.
        let first = deep.iter().find_map(|name| {
            let called = calls.get(*name)?;
            let (to, at) = called.first()?;
            called.iter().all(|(name, _)| fine.contains(name.as_str())).then_some((*name, to, *at))
        });
        if let Some((from, to, at)) = first {
            let diagnostic = self
                .diagnostic(Code::E820, at, format!("`{from}` is more than {DEPTH} operations deep"))
                .label(format!("`{to}` calls others, and so on"))
                .help("operations of steps are written out in each other; put the requests closer together");
            self.push(diagnostic);
        }
        deep.into_iter().map(str::to_owned).collect()
    }

    fn calls_of_steps(&self) -> Calls {
        let mut calls = Calls::new();
        for (name, operation) in &self.operations {
            let OperationBody::Steps(block) = &operation.body else { continue };
            let mut found = Vec::new();
            in_block(block, &mut found);
            let of_steps =
                |name: &str| self.operations.get(name).is_some_and(|operation| matches!(operation.body, OperationBody::Steps(_)));
            let own = found.into_iter().filter_map(|call| match call.path.as_slice() {
                [name] if of_steps(&name.text) => Some((name.text.clone(), call.span)),
                _ => None,
            });
            calls.insert(name.clone(), own.collect());
        }
        calls
    }

    fn report_circle(&mut self, way: &[(&str, &str, Span)]) {
        let Some(((from, to, at), before)) = way.split_last() else { return };
        let help = "what an operation does is written out where it is called, and this would never end: let one of them make its \
                    request without calling the next";
        let mut diagnostic = if before.is_empty() {
            self.diagnostic(Code::E820, *at, format!("`{from}` calls itself")).label("here")
        } else {
            self.diagnostic(Code::E820, *at, "these operations call each other in a circle")
                .label(format!("{}. `{from}` calls `{to}`, back to the first", way.len()))
        };
        for (number, (from, to, at)) in before.iter().enumerate() {
            diagnostic = diagnostic.also(*at, format!("{}. `{from}` calls `{to}`", number + 1));
        }
        self.push(diagnostic.help(help));
    }
}

/// Returns the shortest way from an operation back to it, by the calls on it.
fn way_back<'c>(calls: &'c Calls, first: &'c str) -> Option<Vec<(&'c str, &'c str, Span)>> {
    let mut came: BTreeMap<&str, (&str, Span)> = BTreeMap::new();
    let mut queue = std::collections::VecDeque::from([first]);
    while let Some(at) = queue.pop_front() {
        for (to, span) in calls.get(at).into_iter().flatten() {
            if came.contains_key(to.as_str()) {
                continue;
            }
            came.insert(to, (at, *span));
            if to == first {
                let mut way = Vec::new();
                let mut to = first;
                while let Some((from, span)) = came.get(to) {
                    way.push((*from, to, *span));
                    to = *from;
                    if to == first {
                        break;
                    }
                }
                way.reverse();
                return Some(way);
            }
            queue.push_back(to);
        }
    }
    None
}

/// The calls in a block, those of conditions and values too.
fn in_block<'b>(block: &'b Block, into: &mut Vec<&'b Call>) {
    for step in &block.steps {
        match &step.kind {
            StepKind::Call(node) => {
                into.push(&node.call);
                in_args(&node.call.args, into);
            }
            StepKind::Let { value, .. } | StepKind::Return(Some(value)) | StepKind::Require(value) => in_expr(value, into),
            StepKind::For { list, .. } => in_expr(list, into),
            StepKind::Match { subject, .. } => in_expr(subject, into),
            StepKind::If(node) => in_expr(&node.condition, into),
            StepKind::Stop(_)
            | StepKind::Return(None)
            | StepKind::Wait(_)
            | StepKind::WaitUntil { .. }
            | StepKind::WaitFor { .. }
            | StepKind::Bad => {}
        }
        step.kind.blocks().into_iter().for_each(|block| in_block(block, into));
    }
}

fn in_args<'b>(args: &'b [Arg], into: &mut Vec<&'b Call>) {
    args.iter().for_each(|arg| in_expr(&arg.value, into));
}

fn in_expr<'b>(expr: &'b Expr, into: &mut Vec<&'b Call>) {
    match expr.kind.as_ref() {
        ExprKind::Call(call) => {
            into.push(call);
            in_args(&call.args, into);
        }
        ExprKind::Text(text) => text.parts.iter().for_each(|part| match part {
            TextPart::Expr(expr) => in_expr(expr, into),
            TextPart::Text(_) => {}
        }),
        ExprKind::Field(inner, _)
        | ExprKind::Not(inner)
        | ExprKind::Negate(inner)
        | ExprKind::Require(inner)
        | ExprKind::Paren(inner) => in_expr(inner, into),
        ExprKind::Index(a, b) | ExprKind::Range(a, b) | ExprKind::Else(a, b) | ExprKind::Binary(_, _, a, b) => {
            in_expr(a, into);
            in_expr(b, into);
        }
        ExprKind::Is { value, test, .. } => {
            in_expr(value, into);
            if let IsTest::Value(other) = test {
                in_expr(other, into);
            }
        }
        ExprKind::In { value, set, .. } => {
            in_expr(value, into);
            in_expr(set, into);
        }
        ExprKind::Any(items) | ExprKind::List(items) | ExprKind::Tuple(items) => {
            items.iter().for_each(|item| in_expr(item, into));
        }
        ExprKind::Object(fields) => {
            fields.iter().filter_map(|field| field.value.as_ref()).for_each(|value| in_expr(value, into));
        }
        ExprKind::Number(_)
        | ExprKind::Money(..)
        | ExprKind::Duration(_)
        | ExprKind::Bytes(_)
        | ExprKind::Time(_)
        | ExprKind::Date(_)
        | ExprKind::DateTime(..)
        | ExprKind::Bool(_)
        | ExprKind::Name(_)
        | ExprKind::Bad => {}
    }
}
