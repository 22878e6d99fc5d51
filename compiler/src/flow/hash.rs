//! The hash of a flow: over what decides what a run does, and nothing else.

use flow_plan as plan;
use flow_plan::{Condition, Expr, FieldShape, Instr, Program, TriggerUse};
use serde::Serialize;

#[derive(Serialize)]
struct Behaviour<'a> {
    triggers: &'a [TriggerUse],
    reads: &'a [FieldShape],
    filter: Option<Expr>,
    program: &'a Program,
    operations: &'a [std::sync::Arc<plan::Operation>],
}

/// Returns the hash of a flow. Names, docs, file and the texts of conditions are not part of it.
pub(super) fn behaviour(flow: &mut plan::Flow) -> String {
    let mut docs = Vec::new();
    for instr in &mut flow.program.instrs {
        if let Instr::Call(call) = instr {
            docs.push(std::mem::take(&mut call.docs));
        }
    }
    let hash = plan::content_hash(&Behaviour {
        triggers: &flow.triggers,
        reads: &flow.reads,
        filter: flow.filter.as_ref().map(expr_of),
        program: &flow.program,
        operations: &flow.operations,
    });
    let mut docs = docs.into_iter();
    for instr in &mut flow.program.instrs {
        if let Instr::Call(call) = instr {
            call.docs = docs.next().unwrap_or_default();
        }
    }
    hash
}

fn expr_of(condition: &Condition) -> Expr {
    match condition {
        Condition::All(parts) => Expr::And(parts.iter().map(expr_of).collect()),
        Condition::Any(parts) => Expr::Or(parts.iter().map(expr_of).collect()),
        Condition::Not(inner) => Expr::Not(Box::new(expr_of(inner))),
        Condition::Test { expr, .. } => expr.clone(),
    }
}
