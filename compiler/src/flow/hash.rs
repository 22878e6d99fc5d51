//! The hash of a flow: over what decides what a run does, and nothing else.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

use flow_plan as plan;
use flow_plan::{Condition, Expr, FieldShape, Instr, Limits, Operation, Program, StartKind, TriggerUse};
use serde::Serialize;

/// How many operations are remembered before those that are gone are forgotten.
const REMEMBERED: usize = 1024;

/// An operation and its hash.
type Remembered = (Weak<Operation>, Arc<str>);

thread_local! {
    /// The hashes of operations by their address. An operation never changes, and is by far the largest part of a flow.
    /// INVARIANT: the weak pointer keeps the address from being given to another.
    static HASHES: RefCell<HashMap<usize, Remembered>> = RefCell::new(HashMap::new());
}

#[derive(Serialize)]
struct Behaviour<'a> {
    triggers: &'a [TriggerUse],
    reads: &'a [FieldShape],
    filter: Option<Expr>,
    limits: &'a Limits,
    program: &'a Program,
    operations: Vec<Arc<str>>,
}

/// Returns the hash of a flow. Names, docs, file and the texts of conditions are not part of it.
pub(super) fn behaviour(flow: &mut plan::Flow) -> String {
    // What is only for people is taken out, and put back.
    let mut words = Vec::new();
    words_of(flow, &mut |word| words.push(std::mem::take(word)));
    let hash = plan::content_hash(&Behaviour {
        triggers: &flow.triggers,
        reads: &flow.reads,
        filter: flow.filter.as_ref().map(expr_of),
        limits: &flow.limits,
        program: &flow.program,
        operations: flow.operations.iter().map(operation).collect(),
    });
    let mut words = words.into_iter();
    words_of(flow, &mut |word| *word = words.next().unwrap_or_default());
    hash
}

/// Calls `each` with the doc comments of steps, and with the texts of conditions that are part of triggers and steps.
fn words_of(flow: &mut plan::Flow, each: &mut dyn FnMut(&mut String)) {
    for used in &mut flow.triggers {
        if let StartKind::Absence(absence) = &mut used.kind {
            absence.filter.iter_mut().for_each(|filter| texts_of(filter, each));
        }
    }
    for instr in &mut flow.program.instrs {
        match instr {
            Instr::Call(call) => each(&mut call.docs),
            Instr::WaitFor(wait) => wait.condition.iter_mut().for_each(|condition| texts_of(condition, each)),
            Instr::Set { .. }
            | Instr::Jump(_)
            | Instr::Unless { .. }
            | Instr::Require(_)
            | Instr::Each { .. }
            | Instr::Next { .. }
            | Instr::Wait(_)
            | Instr::Stop { .. }
            | Instr::Finish => {}
        }
    }
}

fn texts_of(condition: &mut Condition, each: &mut dyn FnMut(&mut String)) {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => parts.iter_mut().for_each(|part| texts_of(part, each)),
        Condition::Not(inner) => texts_of(inner, each),
        Condition::Test { text, .. } => each(text),
    }
}

/// Returns the hash of an operation, computed once.
fn operation(operation: &Arc<Operation>) -> Arc<str> {
    HASHES.with_borrow_mut(|hashes| {
        let address = Arc::as_ptr(operation).addr();
        if let Some((_, hash)) = hashes.get(&address) {
            return hash.clone();
        }
        if hashes.len() >= REMEMBERED {
            hashes.retain(|_, (operation, _)| operation.strong_count() > 0);
        }
        let hash: Arc<str> = plan::content_hash(operation).into();
        hashes.insert(address, (Arc::downgrade(operation), hash.clone()));
        hash
    })
}

fn expr_of(condition: &Condition) -> Expr {
    match condition {
        Condition::All(parts) => Expr::And(parts.iter().map(expr_of).collect()),
        Condition::Any(parts) => Expr::Or(parts.iter().map(expr_of).collect()),
        Condition::Not(inner) => Expr::Not(Box::new(expr_of(inner))),
        Condition::Test { expr, .. } => expr.clone(),
    }
}
