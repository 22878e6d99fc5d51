//! What expressions read.

use flow_plan::{Condition, Expr, Flow, Instr, JsonPath};

/// Calls `each` with an expression and all inside it.
fn walk(expr: &Expr, each: &mut dyn FnMut(&Expr)) {
    each(expr);
    match expr {
        Expr::Const(_) | Expr::Event(_) | Expr::Local(_) | Expr::Input(_) | Expr::Env(_) | Expr::Raw(_) | Expr::Answer(_) => {}
        Expr::Field(inner, _)
        | Expr::Not(inner)
        | Expr::CompareAny(_, inner, _)
        | Expr::IsPresent(inner)
        | Expr::IsEmpty(inner)
        | Expr::Matches(inner, _)
        | Expr::Negate(inner)
        | Expr::Require { value: inner, .. } => walk(inner, each),
        Expr::Index(left, right)
        | Expr::Compare(_, left, right)
        | Expr::CompareMajor(_, left, right)
        | Expr::Equal(left, right)
        | Expr::InList(left, right)
        | Expr::Contains(left, right)
        | Expr::StartsWith(left, right)
        | Expr::EndsWith(left, right)
        | Expr::Arithmetic(_, left, right)
        | Expr::Else(left, right) => {
            walk(left, each);
            walk(right, each);
        }
        Expr::InRange(value, low, high) => {
            walk(value, each);
            walk(low, each);
            walk(high, each);
        }
        Expr::OneOf(value, choices) => {
            walk(value, each);
            choices.iter().for_each(|choice| walk(choice, each));
        }
        Expr::Text(parts) | Expr::List(parts) | Expr::And(parts) | Expr::Or(parts) | Expr::Call(_, parts) => {
            parts.iter().for_each(|part| walk(part, each));
        }
        Expr::Record(fields) => fields.iter().for_each(|(_, value)| walk(value, each)),
    }
}

/// Returns the slots of the event that an expression reads.
pub(super) fn slots(expr: &Expr) -> Vec<u16> {
    let mut slots = Vec::new();
    walk(expr, &mut |expr| {
        if let Expr::Event(slot) = expr
            && !slots.contains(slot)
        {
            slots.push(*slot);
        }
    });
    slots
}

/// Returns the paths of the raw payload that a flow reads, wherever it does.
pub(super) fn raw_paths(flow: &Flow) -> Vec<JsonPath> {
    let mut paths = Vec::new();
    let mut each = |expr: &Expr| {
        if let Expr::Raw(path) = expr
            && !paths.contains(path)
        {
            paths.push(path.clone());
        }
    };
    for used in &flow.triggers {
        used.guard.iter().chain(&used.dedupe).for_each(|expr| walk(expr, &mut each));
    }
    if let Some(filter) = &flow.filter {
        walk_condition(filter, &mut each);
    }
    for instruction in &flow.program.instrs {
        match instruction {
            Instr::Set { value, .. } | Instr::Require(value) => walk(value, &mut each),
            Instr::Call(call) => call.args.iter().for_each(|arg| walk(&arg.value, &mut each)),
            Instr::Unless { condition, .. } => walk(condition, &mut each),
            Instr::Each { list, .. } => walk(list, &mut each),
            Instr::Stop { reason } => reason.iter().for_each(|reason| walk(reason, &mut each)),
            Instr::Jump(_) | Instr::Next { .. } | Instr::Finish => {}
        }
    }
    paths
}

fn walk_condition(condition: &Condition, each: &mut dyn FnMut(&Expr)) {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => parts.iter().for_each(|part| walk_condition(part, each)),
        Condition::Not(inner) => walk_condition(inner, each),
        Condition::Test { expr, .. } => walk(expr, each),
    }
}

/// Calls `each` with the paths that a condition on a record reads.
pub(super) fn answer_paths(expr: &Expr, each: &mut dyn FnMut(&JsonPath)) {
    walk(expr, &mut |expr| {
        if let Expr::Answer(path) = expr {
            each(path);
        }
    });
}
