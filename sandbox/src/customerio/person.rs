//! People: made, changed, merged, suppressed.

use serde_json::{Map, Value, json};

use crate::refusal::Refusal;

use super::error::{self, Api};
use super::report;
use super::state::{Cx, Name, name_of};

/// The longest identifier and the longest name of an attribute, in bytes.
const LONGEST_NAME: usize = 150;
/// The longest value of an attribute, in bytes.
const LONGEST_VALUE: usize = 1_000;
/// How many attributes a person may have.
const MOST_ATTRIBUTES: usize = 300;
/// What the body may hold that is no attribute.
const RESERVED: &[&str] =
    &["id", "email", "anonymous_id", "cio_id", "_timestamp", "_update", "unsubscribed", "cio_relationships"];

fn wrong(message: &str) -> Refusal {
    error::of(Api::Track, 400, message)
}

/// Refuses identifiers that cannot be one.
pub(crate) fn check_identifier(identifier: &str) -> Result<(), Refusal> {
    if identifier.is_empty() {
        return Err(wrong("customer id must not be empty"));
    }
    if identifier.len() > LONGEST_NAME {
        return Err(wrong("customer id must be at most 150 bytes"));
    }
    Ok(())
}

/// `PUT /customers/{identifier}`. The answer is 200 even where an identifier belongs to somebody else.
pub(crate) fn identify(cx: &mut Cx<'_>, identifier: &str, body: &Value) -> Result<(), Refusal> {
    check_identifier(identifier)?;
    let given = body.as_object().ok_or_else(|| wrong("the body must be an object of attributes"))?;
    for (name, value) in given {
        if name.is_empty() || name.len() > LONGEST_NAME {
            return Err(wrong("attribute name must be 1 to 150 bytes"));
        }
        let long = match value {
            Value::String(text) => text.len() > LONGEST_VALUE,
            other => name != "cio_relationships" && other.to_string().len() > LONGEST_VALUE,
        };
        if long {
            return Err(wrong(&format!("attribute value for '{name}' must be at most 1000 bytes")));
        }
    }
    if cx.state.suppressed.contains(identifier) {
        // Nobody makes them again, and nobody is told.
        return Ok(());
    }
    let known = cx.state.find(identifier);
    if known.is_none() && given.get("_update") == Some(&json!(true)) {
        return Ok(());
    }
    let cio_id = known.unwrap_or_else(|| make(cx, identifier));
    name_also(cx, &cio_id, given);
    change(cx, &cio_id, given)
}

/// Makes somebody who is known by this identifier alone, and returns the `cio_id`.
pub(crate) fn make(cx: &mut Cx<'_>, identifier: &str) -> String {
    let cio_id = cx.state.ids.hex(12);
    let name = name_of(identifier);
    let mut person = json!({
        "cio_id": cio_id, "id": null, "email": null, "attributes": {}, "unsubscribed": false, "devices": [],
        "timestamps": {}, "cio_created_at": cx.now.as_second(),
    });
    if let Some(fields) = person.as_object_mut() {
        fields.insert(name.field().to_owned(), json!(identifier));
    }
    cx.state.people.put(&cio_id, person);
    cx.state.call(name, identifier, &cio_id);
    cx.created = Some(cio_id.clone());
    cio_id
}

/// Gives a person further identifiers. One that is somebody else's changes nothing, and only the activity log tells.
fn name_also(cx: &mut Cx<'_>, cio_id: &str, given: &Map<String, Value>) {
    for name in [Name::Id, Name::Email] {
        let Some(value) = given.get(name.field()).and_then(Value::as_str).filter(|value| !value.is_empty()) else { continue };
        match cx.state.named(name, value) {
            Some(other) if other != cio_id => {
                let data = json!({"attribute": name.field(), "value": value, "reason": "belongs to another person"});
                cx.note("attribute_update_failure", cio_id, &data);
            }
            _ => {
                cx.state.call(name, value, cio_id);
                if let Some(fields) = cx.state.people.get_mut(cio_id).and_then(Value::as_object_mut) {
                    fields.insert(name.field().to_owned(), json!(value));
                }
            }
        }
    }
}

fn change(cx: &mut Cx<'_>, cio_id: &str, given: &Map<String, Value>) -> Result<(), Refusal> {
    let at = given.get("_timestamp").and_then(Value::as_i64).unwrap_or(cx.now.as_second());
    let Some(person) = cx.state.people.get_mut(cio_id) else { return Ok(()) };
    let was_out = person.get("unsubscribed") == Some(&json!(true));
    let mut timestamps = person.get("timestamps").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut attributes = person.get("attributes").and_then(Value::as_object).cloned().unwrap_or_default();
    for (name, value) in given.iter().filter(|(name, _)| !RESERVED.contains(&name.as_str())) {
        if timestamps.get(name).and_then(Value::as_i64).is_some_and(|known| known > at) {
            continue;
        }
        timestamps.insert(name.clone(), json!(at));
        if value.is_null() || value == "" {
            attributes.remove(name);
        } else {
            attributes.insert(name.clone(), value.clone());
        }
    }
    if attributes.len() > MOST_ATTRIBUTES {
        return Err(wrong("a person may have at most 300 attributes"));
    }
    let is_out = match given.get("unsubscribed") {
        Some(Value::Bool(out)) => *out,
        Some(Value::Number(number)) => number.as_i64() == Some(1),
        Some(Value::String(text)) => text == "1" || text == "true",
        _ => was_out,
    };
    if let Some(fields) = person.as_object_mut() {
        fields.insert("attributes".to_owned(), Value::Object(attributes));
        fields.insert("timestamps".to_owned(), Value::Object(timestamps));
        fields.insert("unsubscribed".to_owned(), json!(is_out));
    }
    let person = person.clone();
    if was_out != is_out {
        let metric = if is_out { "unsubscribed" } else { "subscribed" };
        cx.report(metric, Some("customer"), &report::about(&person));
    }
    if given.keys().any(|name| name.starts_with("cio_subscription_preferences")) {
        let mut data = report::about(&person);
        let topics = given.get("cio_subscription_preferences").cloned().unwrap_or_else(|| json!({"topics": {}}));
        data.insert("content".to_owned(), topics);
        // As one of the published forms has it: without `object_type`.
        cx.report("cio_subscription_preferences_changed", None, &data);
    }
    Ok(())
}

/// `DELETE /customers/{identifier}`, which is no error where there is nobody.
pub(crate) fn delete(cx: &mut Cx<'_>, identifier: &str) -> Result<(), Refusal> {
    check_identifier(identifier)?;
    if let Some(cio_id) = cx.state.find(identifier) {
        cx.state.forget(&cio_id);
    }
    Ok(())
}

/// `POST /customers/{identifier}/suppress`.
pub(crate) fn suppress(cx: &mut Cx<'_>, identifier: &str) -> Result<(), Refusal> {
    delete(cx, identifier)?;
    cx.state.suppressed.insert(identifier.to_owned());
    Ok(())
}

/// `POST /customers/{identifier}/unsuppress`.
pub(crate) fn unsuppress(cx: &mut Cx<'_>, identifier: &str) -> Result<(), Refusal> {
    check_identifier(identifier)?;
    cx.state.suppressed.remove(identifier);
    Ok(())
}

/// `PUT /customers/{identifier}/devices`.
pub(crate) fn add_device(cx: &mut Cx<'_>, identifier: &str, body: &Value) -> Result<(), Refusal> {
    check_identifier(identifier)?;
    let device = body.get("device").filter(|device| device.get("id").is_some_and(Value::is_string));
    let device = device.ok_or_else(|| wrong("device id is required"))?.clone();
    if !matches!(device.get("platform").and_then(Value::as_str), Some("ios" | "android")) {
        return Err(wrong("device platform must be 'ios' or 'android'"));
    }
    let cio_id = cx.state.find(identifier).unwrap_or_else(|| make(cx, identifier));
    with_devices(cx, &cio_id, |devices| {
        devices.retain(|known| known.get("id") != device.get("id"));
        devices.push(device);
    });
    Ok(())
}

/// `DELETE /customers/{identifier}/devices/{device}`.
pub(crate) fn remove_device(cx: &mut Cx<'_>, identifier: &str, device: &str) -> Result<(), Refusal> {
    check_identifier(identifier)?;
    if let Some(cio_id) = cx.state.find(identifier) {
        with_devices(cx, &cio_id, |devices| devices.retain(|known| known.get("id").and_then(Value::as_str) != Some(device)));
    }
    Ok(())
}

fn with_devices(cx: &mut Cx<'_>, cio_id: &str, change: impl FnOnce(&mut Vec<Value>)) {
    if let Some(devices) =
        cx.state.people.get_mut(cio_id).and_then(|person| person.get_mut("devices")).and_then(Value::as_array_mut)
    {
        change(devices);
    }
}

/// `POST /merge_customers`: the second goes, the first stays.
pub(crate) fn merge(cx: &mut Cx<'_>, body: &Value) -> Result<(), Refusal> {
    let who = |side: &str| -> Result<String, Refusal> {
        let person = body.get(side).and_then(Value::as_object).ok_or_else(|| wrong(&format!("{side} is required")))?;
        identifier_of(person).ok_or_else(|| wrong(&format!("{side} must have exactly one of id, email and cio_id")))
    };
    let (primary, secondary) = (who("primary")?, who("secondary")?);
    let keep = cx.state.find(&primary).unwrap_or_else(|| make(cx, &primary));
    let Some(gone) = cx.state.find(&secondary).filter(|gone| *gone != keep) else { return Ok(()) };
    let Some(other) = cx.state.forget(&gone) else { return Ok(()) };
    let Some(fields) = cx.state.people.get_mut(&keep).and_then(Value::as_object_mut) else { return Ok(()) };
    let mut attributes = other.get("attributes").and_then(Value::as_object).cloned().unwrap_or_default();
    attributes.extend(fields.get("attributes").and_then(Value::as_object).cloned().unwrap_or_default());
    fields.insert("attributes".to_owned(), Value::Object(attributes));
    for name in [Name::Id, Name::Email] {
        if let (Some(Value::Null) | None, Some(value)) = (fields.get(name.field()).cloned(), other.get(name.field())) {
            fields.insert(name.field().to_owned(), value.clone());
        }
    }
    let names: Vec<_> = [Name::Id, Name::Email]
        .into_iter()
        .filter_map(|name| Some((name, cx.state.people.get(&keep)?.get(name.field())?.as_str()?.to_owned())))
        .collect();
    for (name, value) in names {
        cx.state.call(name, &value, &keep);
    }
    cx.note("customer_merge", &keep, &json!({ "from": gone }));
    Ok(())
}

/// The identifier in `{id}`, `{email}` or `{cio_id}`: exactly one.
pub(crate) fn identifier_of(person: &Map<String, Value>) -> Option<String> {
    let mut found = person.iter().filter(|(_, value)| !value.is_null());
    let (name, value) = found.next().filter(|_| found.next().is_none())?;
    let value = match value {
        Value::String(text) if !text.is_empty() => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    match name.as_str() {
        "id" | "email" => Some(value),
        "cio_id" => Some(format!("cio_{value}")),
        _ => None,
    }
}
