//! Requests as they go over the wire, from a template and its inputs: what the runtime does, as plainly as can be.

use std::collections::BTreeMap;
use std::sync::Arc;

use flow_plan::{Encoding, Env, Expr, Function, Operation, PathPart, Value};
use jiff::Timestamp;

/// Method, path with query, and the pairs of a form or the JSON of a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) line: String,
    pub(crate) form: Vec<String>,
    pub(crate) json: serde_json::Value,
}

/// The instant of every attempt.
pub(crate) const SENT_AT: &str = "2026-11-22T12:00:00Z";

/// Returns what an operation sends for inputs by name.
pub(crate) fn sent(operation: &Operation, inputs: &[(&str, Value)]) -> Sent {
    for (name, _) in inputs {
        assert!(operation.inputs.iter().any(|input| input.name == *name), "{} has no input {name}", operation.name);
    }
    let given: Vec<Value> = operation
        .inputs
        .iter()
        .map(|input| inputs.iter().find(|(name, _)| *name == input.name).map(|(_, value)| value.clone()).unwrap_or_default())
        .collect();
    let eval = |expr: &Expr| eval(expr, &given);
    let mut line = format!("{} ", operation.request.method);
    for part in &operation.request.path {
        match part {
            PathPart::Literal(text) => line.push_str(text),
            PathPart::Value(expr) => line.push_str(&eval(expr).to_string()),
        }
    }
    let mut query = Vec::new();
    for field in &operation.request.query {
        pairs(&field.name, &eval(&field.value), &mut query);
    }
    if !query.is_empty() {
        line.push_str(&format!("?{}", query.join("&")));
    }
    let (mut form, mut json) = (Vec::new(), serde_json::Value::Null);
    if let Some(body) = &operation.request.body {
        let value = eval(&body.value);
        match (body.encoding, value) {
            (Encoding::Form, Value::Record(fields)) => fields.iter().for_each(|(name, value)| pairs(name, value, &mut form)),
            (_, value) => json = value.to_json(),
        }
    }
    Sent { line, form, json }
}

/// Brackets for what is nested.
fn pairs(name: &str, value: &Value, out: &mut Vec<String>) {
    match value {
        Value::Missing => {}
        Value::Record(fields) => fields.iter().for_each(|(key, value)| pairs(&format!("{name}[{key}]"), value, out)),
        Value::List(items) => items.iter().enumerate().for_each(|(at, item)| pairs(&format!("{name}[{at}]"), item, out)),
        other => out.push(format!("{name}={other}")),
    }
}

/// The expressions that stand in requests, no others.
fn eval(expr: &Expr, inputs: &[Value]) -> Value {
    let part = |expr: &Expr| eval(expr, inputs);
    match expr {
        Expr::Const(value) => value.clone(),
        Expr::Input(at) => inputs[usize::from(*at)].clone(),
        Expr::Env(Env::RunKey) => Value::text("the-key"),
        Expr::Env(Env::SentAt) => Value::Instant(SENT_AT.parse().unwrap()),
        Expr::Record(fields) => {
            let fields: BTreeMap<Arc<str>, Value> = fields
                .iter()
                .map(|(name, value)| (Arc::from(name.as_str()), part(value)))
                .filter(|(_, value)| !value.is_missing())
                .collect();
            Value::Record(Arc::new(fields))
        }
        Expr::List(items) => Value::List(Arc::new(items.iter().map(part).filter(|item| !item.is_missing()).collect())),
        Expr::Text(parts) => Value::text(parts.iter().map(|piece| part(piece).to_string()).collect::<String>()),
        Expr::IsPresent(inner) => Value::Bool(!part(inner).is_missing()),
        Expr::Index(record, key) => part(record).field(part(key).as_text().unwrap()),
        Expr::Else(value, default) => Some(part(value)).filter(|value| !value.is_missing()).unwrap_or_else(|| part(default)),
        Expr::Arithmetic(flow_plan::Arithmetic::Add, left, right) => match (part(left), part(right)) {
            (Value::Instant(at), Value::Duration(by)) => {
                Value::Instant(Timestamp::from_millisecond(at.as_millisecond() + by.millis).unwrap())
            }
            other => panic!("not expected here: {other:?}"),
        },
        Expr::Call(function, args) => match (function, part(&args[0])) {
            (_, Value::Missing) => Value::Missing,
            (Function::Minor(exponents), Value::Money(money)) => {
                let decimals = exponents.get(&money.currency).copied().unwrap_or(money.currency.decimals());
                Value::Number((money.amount * rust_decimal::Decimal::from(10u32.pow(decimals.into()))).normalize())
            }
            (Function::Iso, Value::Instant(at)) => Value::text(format!("{at:.3}")),
            other => panic!("not expected here: {other:?}"),
        },
        other => panic!("not expected here: {other:?}"),
    }
}
