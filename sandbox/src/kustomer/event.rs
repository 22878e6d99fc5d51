//! Webhook events: twelve names, for customers, conversations, messages, users, teams and tags.

use serde_json::{Map, Value, json};

use super::state::{Cx, ORG_ID, id_of};
use super::{ORG, WEBHOOK_SECRET, webhook};
use crate::delivery::Delivery;
use crate::http::json_bytes;
use crate::signature::Signer;

/// The records that have events.
const KINDS: [&str; 6] = ["customer", "conversation", "message", "user", "team", "tag"];

/// Returns all event names.
pub(crate) fn names() -> Vec<String> {
    KINDS.iter().flat_map(|kind| ["create", "update"].map(|what| format!("kustomer.{kind}.{what}"))).collect()
}

/// Tells of a new record.
pub(crate) fn created(cx: &mut Cx<'_>, kind: &str, row: &Value) {
    if KINDS.contains(&kind) {
        emit(cx, &format!("kustomer.{kind}.create"), row, Value::Null);
    }
}

/// Tells of a changed record.
pub(crate) fn updated(cx: &mut Cx<'_>, kind: &str, before: &Value, after: &Value) {
    if KINDS.contains(&kind) {
        let changes = json!({
            "attributes": changes(before.get("attributes"), after.get("attributes")),
            "relationships": changes(before.get("relationships"), after.get("relationships")),
        });
        emit(cx, &format!("kustomer.{kind}.update"), after, changes);
    }
}

/// Records an event and queues its webhooks.
pub(crate) fn emit(cx: &mut Cx<'_>, name: &str, row: &Value, changes: Value) {
    let id = cx.id();
    let client = if cx.author == Some(super::state::MACHINE_USER) { "api-gw" } else { "web" };
    let mut event = json!({
        "id": id,
        "name": name,
        "org": ORG_ID,
        "orgName": ORG,
        "partition": ORG_ID,
        "createdAt": cx.time(),
        "client": client,
        "dataId": id_of(row),
        "dataType": row.get("type"),
        "data": row,
    });
    if let (false, Some(fields)) = (changes.is_null(), event.as_object_mut()) {
        fields.insert("changes".to_owned(), changes);
    }
    let body = json_bytes(&event);
    for destination in webhook::destinations(cx.state, name) {
        cx.outgoing.push(Delivery {
            service: "kustomer",
            event: id.clone(),
            event_type: name.to_owned(),
            endpoint: destination.webhook,
            url: destination.url,
            signer: Signer::Kustomer {
                token: destination.token.unwrap_or_else(|| WEBHOOK_SECRET.to_owned()),
                event: name.to_owned(),
            },
            body: body.clone(),
        });
    }
    cx.state.table("event").put(&id, event);
    cx.emitted.push(id);
}

/// Returns the fields that differ, each with what was before and is after.
fn changes(before: Option<&Value>, after: Option<&Value>) -> Value {
    let empty = Map::new();
    let before = before.and_then(Value::as_object).unwrap_or(&empty);
    let after = after.and_then(Value::as_object).unwrap_or(&empty);
    let mut changes = Map::new();
    for (name, value) in after {
        match before.get(name) {
            Some(old) if old == value => {}
            Some(old) => {
                changes.insert(name.clone(), json!({"op": "replace", "before": old, "after": value}));
            }
            None => {
                changes.insert(name.clone(), json!({"op": "add", "before": null, "after": value}));
            }
        }
    }
    for (name, value) in before.iter().filter(|(name, _)| !after.contains_key(*name)) {
        changes.insert(name.clone(), json!({"op": "remove", "before": value, "after": null}));
    }
    Value::Object(changes)
}
