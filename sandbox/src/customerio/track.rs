//! Events, segments and forms of the Track API.

use serde_json::{Value, json};

use crate::refusal::Refusal;

use super::error::{self, Api};
use super::person::{self, check_identifier};
use super::state::{Cx, State};

/// The longest name of an event, in bytes.
const LONGEST_NAME: usize = 100;
/// The longest data of an event, in bytes.
const LONGEST_DATA: usize = 100_000;
/// An older event starts no campaign, in seconds.
const CAMPAIGN_AGE: i64 = 72 * 3_600;

fn wrong(message: &str) -> Refusal {
    error::of(Api::Track, 400, message)
}

/// `POST /customers/{identifier}/events`, `POST /events`. An id that was counted before is not counted again, which the
/// answer does not say.
pub(crate) fn event(cx: &mut Cx<'_>, identifier: Option<&str>, body: &Value) -> Result<(), Refusal> {
    if let Some(identifier) = identifier {
        check_identifier(identifier)?;
    }
    let name = body.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| wrong("event name is required"))?;
    if name.len() > LONGEST_NAME {
        return Err(wrong("event name must be at most 100 bytes"));
    }
    let data = body.get("data").cloned().unwrap_or_else(|| json!({}));
    if !data.is_object() {
        return Err(wrong("event data must be an object"));
    }
    if data.to_string().len() > LONGEST_DATA {
        return Err(wrong("event data must be at most 100000 bytes"));
    }
    let kind = body.get("type").and_then(Value::as_str).unwrap_or("event");
    if !matches!(kind, "event" | "page" | "screen") {
        return Err(wrong("event type must be 'event', 'page' or 'screen'"));
    }
    let at = match body.get("timestamp") {
        None | Some(Value::Null) => cx.now.as_second(),
        Some(at) => at.as_i64().ok_or_else(|| wrong("timestamp must be in Unix seconds"))?,
    };
    let id = match body.get("id") {
        None | Some(Value::Null) => cx.ulid(),
        Some(id) => {
            let id = id.as_str().filter(|id| is_ulid(id)).ok_or_else(|| wrong("event id must be a ULID"))?;
            if !cx.state.counts(id) {
                return Ok(());
            }
            id.to_owned()
        }
    };
    let person = match identifier {
        Some(identifier) if cx.state.suppressed.contains(identifier) => return Ok(()),
        Some(identifier) => Some(cx.state.find(identifier).unwrap_or_else(|| person::make(cx, identifier))),
        None => None,
    };
    let row = json!({
        "id": id, "name": name, "type": kind, "data": data, "timestamp": at, "customer_id": person,
        "anonymous_id": body.get("anonymous_id"),
        "starts_campaigns": cx.now.as_second() - at <= CAMPAIGN_AGE,
    });
    cx.state.events.put(&id, row);
    cx.created = Some(id);
    Ok(())
}

fn is_ulid(id: &str) -> bool {
    id.len() == 26
        && id.starts_with(|first: char| matches!(first, '0'..='7'))
        && id.bytes().all(|letter| b"0123456789ABCDEFGHJKMNPQRSTVWXYZ".contains(&letter.to_ascii_uppercase()))
}

/// `POST /segments/{id}/add_customers`, `/remove_customers`.
pub(crate) fn segment(state: &mut State, id: &str, add: bool, body: &Value) -> Result<(), Refusal> {
    let ids: Option<Vec<String>> =
        body.get("ids").and_then(Value::as_array).and_then(|ids| ids.iter().map(|id| id.as_str().map(str::to_owned)).collect());
    let ids = ids.ok_or_else(|| wrong("ids must be a list of texts"))?;
    let segment = state.segments.get_mut(id).ok_or_else(|| error::of(Api::Track, 404, "segment not found"))?;
    if segment.get("type") != Some(&json!("manual")) {
        return Err(wrong("only manual segments can be changed"));
    }
    if let Some(people) = segment.get_mut("people").and_then(Value::as_array_mut) {
        people.retain(|known| !ids.iter().any(|id| known == id));
        if add {
            people.extend(ids.into_iter().map(Value::String));
        }
    }
    Ok(())
}

/// `POST /forms/{id}/submit`.
pub(crate) fn form(cx: &mut Cx<'_>, form: &str, body: &Value) -> Result<(), Refusal> {
    let data = body.get("data").and_then(Value::as_object).ok_or_else(|| wrong("data is required"))?;
    let who = ["id", "email"].iter().find_map(|name| data.get(*name)?.as_str());
    let who = who.ok_or_else(|| wrong("data must have an id or an email"))?.to_owned();
    let cio_id = cx.state.find(&who).unwrap_or_else(|| person::make(cx, &who));
    let id = cx.ulid();
    cx.state.forms.put(&id, json!({"id": id, "form": form, "customer_id": cio_id, "data": data}));
    cx.created = Some(id);
    Ok(())
}
