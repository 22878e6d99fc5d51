//! A run as the API shows it.

use flow_plan::{FieldShape, Flow, Instr, Shape, Value};
use serde_json::{Map, Value as Json, json};

use super::{Attempt, Move, Run, Step, Waited, operation};
use flow_functions::rfc3339;

/// Returns the JSON of a run, as design.md §4.5 fixes it. Personal values are shortened unless `personal` is set.
pub fn to_json(flow: &Flow, run: &Run, personal: bool) -> Json {
    let event = run.start.as_ref().map(|start| start.event.id.clone());
    let mut json = json!({
        "id": run.id(),
        "flow": flow.id,
        "plan": flow.hash,
        "event": event,
        "status": run.status.as_str(),
        "started_at": run.started_at.map(rfc3339),
        "ended_at": run.ended_at.map(rfc3339),
        "steps": run.steps.iter().map(|step| step_json(flow, step, personal)).collect::<Vec<_>>(),
    });
    if let Some(object) = json.as_object_mut() {
        let mut put = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                object.insert(name.to_owned(), Json::String(value));
            }
        };
        put("reason", run.reason.clone());
        put("handled", run.handled.clone());
        put("trigger", run.start.as_ref().map(|start| start.trigger.clone()));
        put("connection", run.start.as_ref().map(|start| start.event.connection.clone()));
        put("retry_at", run.wake_at().map(rfc3339));
        if let Some(start) = run.start.as_ref().filter(|start| start.replayed) {
            object.insert("replay".to_owned(), json!(start.replay));
        }
        if run.is_held() {
            object.insert("held".to_owned(), Json::Bool(true));
        }
        if !run.moves.is_empty() {
            let moved = |one: &Move| json!({ "at": rfc3339(one.at), "from": one.from, "to": one.to });
            object.insert("moves".to_owned(), run.moves.iter().map(moved).collect());
        }
        if !run.waits.is_empty() {
            object.insert("waits".to_owned(), run.waits.iter().map(wait_json).collect());
        }
    }
    json
}

fn step_json(flow: &Flow, step: &Step, personal: bool) -> Json {
    let call = match flow.program.instrs.get(step.at as usize) {
        Some(Instr::Call(call)) => Some(call),
        _ => None,
    };
    let operation = call.and_then(|call| operation(flow, call));
    let mut inputs = Map::new();
    for (at, value) in step.inputs.iter().enumerate().filter(|(_, value)| !value.is_missing()) {
        let input = operation.and_then(|operation| operation.inputs.get(at));
        let marked = input.is_some_and(|input| input.personal)
            || call.and_then(|call| call.args.get(at)).is_some_and(|argument| argument.personal);
        let shown = if marked && !personal { shorten(value) } else { value.clone() };
        inputs.insert(input.map_or_else(|| at.to_string(), |input| input.name.clone()), shown.to_json());
    }
    let output = match operation.and_then(|operation| operation.answer.shape.as_ref()) {
        Some(shape) if !personal => shorten_marked(shape, &step.output),
        _ => step.output.clone(),
    };
    json!({
        "path": step.path,
        "call": call.map(|call| call.name.clone()),
        "status": step.status,
        "attempts": step.attempts.iter().map(attempt_json).collect::<Vec<_>>(),
        "input": inputs,
        "output": output.to_json(),
    })
}

/// A wait that is over without an event has come to its instant or its bound.
fn wait_json(wait: &Waited) -> Json {
    json!({
        "for": wait.awaits,
        "began_at": rfc3339(wait.began_at),
        "until": wait.until.map(rfc3339),
        "ended_at": wait.ended_at.map(rfc3339),
        "event": wait.event,
    })
}

fn attempt_json(attempt: &Attempt) -> Json {
    let mut json = json!({
        "at": rfc3339(attempt.at),
        "ms": attempt.ms,
        "status": attempt.status,
        "error": attempt.error,
    });
    if let (true, Some(object)) = (attempt.find, json.as_object_mut()) {
        object.insert("look_up".to_owned(), Json::Bool(true));
    }
    json
}

/// Shortens the fields that a shape marks as personal.
pub(crate) fn shorten_marked(shape: &Shape, value: &Value) -> Value {
    match (shape, value) {
        (Shape::Record(fields), Value::Record(values)) => {
            let of = |name: &str| fields.iter().find(|field| field.name == name);
            Value::record(values.iter().map(|(name, value)| (name.clone(), shorten_field(of(name), value))))
        }
        (Shape::Optional(inner), value) => shorten_marked(inner, value),
        (Shape::List(inner), Value::List(items)) => {
            Value::List(items.iter().map(|item| shorten_marked(inner, item)).collect::<Vec<_>>().into())
        }
        (Shape::Map(inner), Value::Record(values)) => {
            Value::record(values.iter().map(|(name, value)| (name.clone(), shorten_marked(inner, value))))
        }
        _ => value.clone(),
    }
}

/// Shortens a field where it is marked, else what is marked inside it.
pub(crate) fn shorten_field(field: Option<&FieldShape>, value: &Value) -> Value {
    match field {
        Some(field) if field.personal => shorten(value),
        Some(field) => shorten_marked(&field.shape, value),
        None => value.clone(),
    }
}

/// Shortens a personal value: `j…@example.com`, `J…`; anything but text shows as `…`.
pub fn shorten(value: &Value) -> Value {
    match value {
        Value::Missing => Value::Missing,
        Value::Text(text) if text.is_empty() => value.clone(),
        Value::Text(text) => {
            let first: String = text.chars().take(1).collect();
            match text.rsplit_once('@').filter(|(name, host)| !name.contains(' ') && !host.contains(' ')) {
                Some((_, host)) => Value::text(format!("{first}…@{host}")),
                None => Value::text(format!("{first}…")),
            }
        }
        Value::List(items) => Value::List(items.iter().map(shorten).collect::<Vec<_>>().into()),
        Value::Record(fields) => Value::record(fields.iter().map(|(name, value)| (name.clone(), shorten(value)))),
        _ => Value::text("…"),
    }
}
