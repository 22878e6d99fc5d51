//! Reads JSON by a shape, as plainly as can be: what the runtime does fast, to check the connectors against examples.

use flow_plan::{Currency, Expr, FieldShape, JsonPath, MoneyUnit, Segment, Shape, TimeFormat, Value, Writing};
use serde_json::Value as Json;

/// Returns the fields that have a value, as `name`, or what does not fit.
pub(crate) fn record<'s>(fields: &'s [FieldShape], json: &Json) -> Result<Vec<&'s str>, String> {
    record_in(fields, json, &Json::Null)
}

/// The same for a record that is in the payload of an event.
pub(crate) fn record_in<'s>(fields: &'s [FieldShape], json: &Json, event: &Json) -> Result<Vec<&'s str>, String> {
    let mut present = Vec::new();
    for field in fields {
        match value(field, json, event).map_err(|error| format!("{}: {error}", field.name))? {
            true => present.push(field.name.as_str()),
            false if field.optional => {}
            false => return Err(format!("{} is missing", field.name)),
        }
    }
    Ok(present)
}

/// Tells whether a field has a value.
fn value(field: &FieldShape, json: &Json, event: &Json) -> Result<bool, String> {
    if let Shape::Money { amount, currency, instead, unit, .. } = &field.shape {
        let pairs = std::iter::once((amount, currency)).chain(instead.iter().map(|(amount, currency)| (amount, currency)));
        let found = pairs.map(|(amount, currency)| (get(json, amount), get(json, currency))).find(|(amount, _)| amount.is_some());
        let Some((Some(amount), Some(Json::String(code)))) = found else { return Ok(false) };
        if Currency::parse(code).is_none_or(|code| !code.is_listed()) {
            return Err(format!("{code} is no currency"));
        }
        return match (unit, amount) {
            (MoneyUnit::Minor, Json::Number(number)) if number.is_i64() => Ok(true),
            (MoneyUnit::Decimal, Json::Number(_) | Json::String(_)) => Ok(true),
            _ => Err(format!("{amount} is no amount")),
        };
    }
    let found = field.from.iter().find_map(|place| {
        let holds = place.when.as_ref().is_none_or(|when| condition(when, json));
        get(if place.of_event { event } else { json }, &place.path).filter(|_| holds)
    });
    match found {
        None => Ok(false),
        Some(found) => fits(&field.shape, found).map(|()| !(matches!(field.shape, Shape::Token) && found == "")),
    }
}

fn fits(shape: &Shape, json: &Json) -> Result<(), String> {
    let sound = match (shape, json) {
        (Shape::Json, _)
        | (Shape::Text | Shape::Token, Json::String(_))
        | (Shape::Bool, Json::Bool(_))
        | (Shape::Number, Json::Number(_))
        | (Shape::Written(_), Json::String(_))
        | (Shape::Written(Writing::Text), Json::Number(_))
        | (Shape::Instant(TimeFormat::Unix | TimeFormat::UnixMillis | TimeFormat::UnixAuto), Json::Number(_)) => true,
        (Shape::Integer, Json::Number(number)) => number.is_i64(),
        (Shape::Instant(TimeFormat::Iso), Json::String(text)) => text.parse::<jiff::Timestamp>().is_ok(),
        (Shape::Date, Json::String(text)) => text.parse::<jiff::civil::Date>().is_ok(),
        (Shape::Enum { members, open }, Json::String(text)) => *open || members.contains(text),
        (Shape::Coded { members, .. }, Json::String(text)) => members.contains(text),
        (Shape::Coded { codes, otherwise, .. }, Json::Number(number)) => {
            otherwise.is_some() || number.as_i64().is_some_and(|number| codes.contains_key(&number))
        }
        (Shape::List(inner), Json::Array(items)) => return items.iter().try_for_each(|item| fits(inner, item)),
        (Shape::Map(inner), Json::Object(fields)) => return fields.values().try_for_each(|value| fits(inner, value)),
        (Shape::Record(fields), Json::Object(_)) => return record(fields, json).map(drop),
        _ => false,
    };
    if sound { Ok(()) } else { Err(format!("{json} does not fit {shape:?}")) }
}

/// Returns what stands at a path; null counts as absent.
pub(crate) fn get<'j>(json: &'j Json, path: &JsonPath) -> Option<&'j Json> {
    let mut at = json;
    for segment in &path.0 {
        at = match segment {
            Segment::Key(key) => at.get(key)?,
            Segment::Index(index) => at.get(index)?,
        };
    }
    (!at.is_null()).then_some(at)
}

/// The conditions that stand in the connectors, no others.
pub(crate) fn condition(expr: &Expr, json: &Json) -> bool {
    match expr {
        Expr::Equal(left, right) => match (left.as_ref(), right.as_ref()) {
            (Expr::Answer(path), Expr::Const(value)) => get(json, path).is_some_and(|found| Value::from_json(found) == *value),
            // No setting is configured here, and nothing equals one that is missing.
            (Expr::Answer(_), Expr::Env(_)) => false,
            _ => panic!("not expected here: {expr:?}"),
        },
        Expr::IsPresent(inner) => matches!(inner.as_ref(), Expr::Answer(path) if get(json, path).is_some()),
        Expr::Not(inner) => !condition(inner, json),
        Expr::And(parts) => parts.iter().all(|part| condition(part, json)),
        Expr::Or(parts) => parts.iter().any(|part| condition(part, json)),
        // No secret is configured here.
        Expr::StartsWith(secret, _) if matches!(secret.as_ref(), Expr::Env(_)) => false,
        _ => panic!("not expected here: {expr:?}"),
    }
}
