//! What expressions read.

use flow_plan::{Condition, Expr, Flow, Instr, JsonPath, StartKind, Wait};

/// Returns the slots of the event that an expression reads.
pub(crate) fn slots(expr: &Expr) -> Vec<u16> {
    let mut slots = Vec::new();
    expr.walk(&mut |expr| {
        if let Expr::Event(slot) = expr
            && !slots.contains(slot)
        {
            slots.push(*slot);
        }
    });
    slots
}

/// Returns the paths of the raw payload that an expression reads.
pub(crate) fn raw_of(expr: &Expr) -> Vec<JsonPath> {
    let mut paths = Vec::new();
    expr.walk(&mut |expr| note_raw(expr, &mut paths));
    paths
}

fn note_raw(expr: &Expr, paths: &mut Vec<JsonPath>) {
    if let Expr::Raw(path) = expr
        && !paths.contains(path)
    {
        paths.push(path.clone());
    }
}

/// Returns the paths of the raw payload that a flow reads, wherever it does.
pub(super) fn raw_paths(flow: &Flow) -> Vec<JsonPath> {
    let mut paths = Vec::new();
    let mut each = |expr: &Expr| note_raw(expr, &mut paths);
    for used in &flow.triggers {
        used.guard.iter().chain(&used.dedupe).for_each(|expr| expr.walk(&mut each));
    }
    for used in &flow.triggers {
        if let StartKind::Absence(rule) = &used.kind {
            rule.awaited.guard.iter().for_each(|guard| guard.walk(&mut each));
            rule.filter.iter().for_each(|filter| walk_condition(filter, &mut each));
        }
    }
    if let Some(filter) = &flow.filter {
        walk_condition(filter, &mut each);
    }
    flow.limits.keys().for_each(|key| key.walk(&mut each));
    for instruction in &flow.program.instrs {
        match instruction {
            Instr::Set { value, .. } | Instr::Require(value) => value.walk(&mut each),
            Instr::Call(call) => call.args.iter().for_each(|arg| arg.value.walk(&mut each)),
            Instr::Unless { condition, .. } => condition.walk(&mut each),
            Instr::Each { list, .. } => list.walk(&mut each),
            Instr::Stop { reason } => reason.iter().for_each(|reason| reason.walk(&mut each)),
            Instr::Wait(wait) => {
                if let Wait::Until { at, .. } = wait.as_ref() {
                    at.walk(&mut each);
                }
            }
            Instr::WaitFor(wait) => {
                if let Some(condition) = &wait.condition {
                    walk_condition(condition, &mut each);
                }
                wait.key.iter().for_each(|(_, value)| value.walk(&mut each));
            }
            Instr::Jump(_) | Instr::Next { .. } | Instr::Finish => {}
        }
    }
    paths
}

fn walk_condition(condition: &Condition, each: &mut dyn FnMut(&Expr)) {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => parts.iter().for_each(|part| walk_condition(part, each)),
        Condition::Not(inner) => walk_condition(inner, each),
        Condition::Test { expr, .. } => expr.walk(each),
    }
}

/// Calls `each` with the paths that a condition on a record reads.
pub(super) fn answer_paths(expr: &Expr, each: &mut dyn FnMut(&JsonPath)) {
    expr.walk(&mut |expr| {
        if let Expr::Answer(path) = expr {
            each(path);
        }
    });
}
