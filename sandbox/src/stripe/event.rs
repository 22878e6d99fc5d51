//! Events: made with each change, listed under `/v1/events`, delivered to endpoints.

use serde_json::{Map, Value, json};

use super::endpoint;
use super::error::ApiError;
use super::list;
use super::spec;
use super::state::{Cx, integer, set, text};
use super::{API_VERSION, WEBHOOK_SECRET};
use crate::delivery::Delivery;
use crate::form::Fields;
use crate::http::json_bytes;
use crate::signature::Signer;

const KIND: &str = "event";
/// How long events can be read, in seconds.
const RETENTION: i64 = 30 * 24 * 3_600;
/// How many types a list may be asked for.
const MOST_TYPES: usize = 20;
/// How many events are kept; the oldest go first.
pub(crate) const MOST: usize = 100_000;

/// Records an event and queues its webhooks.
pub(crate) fn emit(cx: &mut Cx<'_>, event_type: &str, object: &Value, previous: Option<Value>) {
    // Payments have ids that begin with a 3, and so have their events.
    let prefix = match text(object, "object") {
        "charge" | "payment_intent" | "refund" => "evt_3",
        _ => "evt_1",
    };
    let id = cx.id(prefix, 23);
    let mut data = json!({"object": object});
    if let (Some(previous), Some(fields)) = (previous, data.as_object_mut()) {
        fields.insert("previous_attributes".to_owned(), previous);
    }
    let destinations = endpoint::destinations(cx.state, event_type);
    let created = cx.now.saturating_add(cx.event_offset);
    let event = json!({
        "id": id,
        "object": "event",
        "api_version": API_VERSION,
        "created": created,
        "data": data,
        "livemode": false,
        "pending_webhooks": destinations.len(),
        "request": {
            "id": cx.cause.request_id,
            "idempotency_key": cx.cause.idempotency_key,
        },
        "type": event_type,
    });
    // There are many events and they are large: as text they take a tenth of the memory.
    let row = json!({
        "id": id,
        "type": event_type,
        "created": created,
        "pending": destinations.len(),
        "failed": 0,
        "body": event.to_string(),
    });
    // The list is by time, also where an event comes to light late.
    let rank = u64::try_from(created).unwrap_or_default();
    cx.state.table(KIND).put_ranked(&id, row, rank);
    if !destinations.is_empty() {
        let body = json_bytes(&event);
        for destination in destinations {
            cx.outgoing.push(Delivery {
                service: "stripe",
                event: id.clone(),
                event_type: event_type.to_owned(),
                endpoint: destination.endpoint,
                url: destination.url,
                signer: Signer::Stripe { secret: destination.secret.unwrap_or_else(|| WEBHOOK_SECRET.to_owned()) },
                body: body.clone(),
            });
        }
    }
    cx.emitted.push(id);
}

/// Returns an event as it is shown, from how it is kept.
pub(crate) fn shown(row: &Value) -> Value {
    let mut event: Value = serde_json::from_str(text(row, "body")).unwrap_or_default();
    set(&mut event, "pending_webhooks", json!(integer(row, "pending")));
    event
}

/// Notes how a delivery ended.
pub(crate) fn delivered(cx: &mut Cx<'_>, id: &str, ok: bool) {
    if let Some(row) = cx.state.table(KIND).get_mut(id) {
        let pending = (integer(row, "pending") - 1).max(0);
        let failed = integer(row, "failed") + i64::from(!ok);
        set(row, "pending", json!(pending));
        set(row, "failed", json!(failed));
    }
}

/// `GET /v1/events/{id}`
pub(crate) fn get(cx: &mut Cx<'_>, id: &str) -> Result<Value, ApiError> {
    let row = cx.get(KIND, id)?;
    if integer(&row, "created") < cx.now - RETENTION {
        return Err(aged_out(id, "id"));
    }
    Ok(shown(&row))
}

/// `GET /v1/events`
pub(crate) fn list(cx: &mut Cx<'_>, form: &Fields) -> Result<Value, ApiError> {
    let params = spec::read("type types[] created:r delivery_success:b limit:i starting_after ending_before", form)?;
    let wanted = wanted_types(&params)?;
    let page = list::page(&params)?;
    let oldest = cx.now - RETENTION;
    for name in ["starting_after", "ending_before"] {
        if let Some(id) = params.get(name).and_then(Value::as_str)
            && cx.find(KIND, id).is_some_and(|row| integer(&row, "created") < oldest)
        {
            return Err(aged_out(id, name));
        }
    }
    let delivery_success = params.get("delivery_success").and_then(Value::as_bool);
    let keep = |row: &Value| {
        let created = integer(row, "created");
        created >= oldest
            && list::within(params.get("created"), created)
            && wanted.as_ref().is_none_or(|wanted| wanted.iter().any(|wanted| type_matches(wanted, text(row, "type"))))
            && delivery_success.is_none_or(|success| success == (integer(row, "pending") == 0 && integer(row, "failed") == 0))
    };
    let mut listed = list::list(cx.state.table(KIND), "/v1/events", &page, keep, aged_out)?;
    if let Some(rows) = listed.get_mut("data").and_then(Value::as_array_mut) {
        for row in rows {
            *row = shown(row);
        }
    }
    Ok(listed)
}

/// Returns the types asked for, or `None` for all.
fn wanted_types(params: &Map<String, Value>) -> Result<Option<Vec<String>>, ApiError> {
    let one = params.get("type").and_then(Value::as_str);
    let many = params.get("types").and_then(Value::as_array);
    match (one, many) {
        (Some(_), Some(_)) => Err(ApiError::invalid("You may only specify one of these parameters: type, types.")),
        (Some(one), None) => Ok(Some(vec![one.to_owned()])),
        (None, Some(many)) if many.len() > MOST_TYPES => {
            Err(ApiError::parameter("parameter_invalid", "types", format!("You may pass up to {MOST_TYPES} types.")))
        }
        (None, Some(many)) => {
            let types: Vec<String> = many.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            if types.iter().any(|wanted| wanted.contains('*')) {
                return Err(ApiError::parameter("parameter_invalid", "types", "Wildcards are not allowed in types; use type."));
            }
            Ok(Some(types))
        }
        (None, None) => Ok(None),
    }
}

/// True where a type is the pattern, or fits its `*`.
pub(crate) fn type_matches(pattern: &str, event_type: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == event_type,
        Some((head, tail)) => {
            event_type.len() >= head.len() + tail.len() && event_type.starts_with(head) && event_type.ends_with(tail)
        }
    }
}

fn aged_out(id: &str, param: &str) -> ApiError {
    let shown: String = id.chars().take(100).collect();
    let mut error = ApiError::not_found("event", &shown).param(param);
    error.executed = false;
    error.with_message(format!(
        "No such event: '{shown}'; it does not exist, or is no longer available because it's aged out of our retention policy."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_may_have_a_star() {
        assert!(type_matches("charge.*", "charge.failed"));
        assert!(type_matches("*", "charge.failed"));
        assert!(type_matches("*.created", "customer.created"));
        assert!(!type_matches("charge.*", "customer.created"));
        assert!(!type_matches("charge.failed", "charge.failed.x"));
    }
}
