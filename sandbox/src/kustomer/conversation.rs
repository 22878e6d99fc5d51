//! Conversations, with their notes and tags.

use serde_json::{Map, Value, json};

use crate::refusal::Refusal;

use super::customer;
use super::error;
use super::fields::{self, Shape, Spec};
use super::state::{Cx, attribute, attribute_integer, attribute_text, id_of, related, relation};

const KIND: &str = "conversation";
/// The channels of conversations, messages and drafts.
pub(crate) const CHANNELS: &[&str] =
    &["email", "sms", "chat", "facebook", "twitter-dm", "twitter-tweet", "voice", "instagram", "whatsapp"];
const CREATE: Spec = &[
    ("customer", Shape::Text),
    ("name", Shape::Text),
    ("externalId", Shape::Text),
    ("status", Shape::OneOf(&["open", "done"])),
    ("priority", Shape::Integer),
    ("direction", Shape::OneOf(&["in", "out"])),
    ("replyChannel", Shape::OneOf(CHANNELS)),
    ("tags", Shape::Texts(1_000)),
    ("assignedUsers", Shape::Texts(10)),
    ("assignedTeams", Shape::Texts(10)),
    ("queue", Shape::Object),
    ("custom", Shape::Custom),
    ("defaultLang", Shape::Text),
    ("createdAt", Shape::Time),
    ("importedAt", Shape::Time),
];
const UPDATE: Spec = &[
    ("name", Shape::Text),
    ("externalId", Shape::Text),
    ("status", Shape::OneOf(&["open", "done", "snoozed"])),
    ("priority", Shape::Integer),
    ("direction", Shape::OneOf(&["in", "out"])),
    ("replyChannel", Shape::OneOf(CHANNELS)),
    ("tags", Shape::Texts(1_000)),
    ("assignedUsers", Shape::Texts(10)),
    ("assignedTeams", Shape::Texts(10)),
    ("queue", Shape::Object),
    ("custom", Shape::Custom),
    ("defaultLang", Shape::Text),
    ("snooze", Shape::Object),
];
const NOTE: Spec = &[("body", Shape::Text), ("externalId", Shape::Text), ("createdAt", Shape::Time)];

/// `POST /conversations`, and `POST /customers/{id}/conversations` with the customer from the path.
pub(crate) fn create(cx: &mut Cx<'_>, customer: Option<&str>, body: &Value) -> Result<Value, Refusal> {
    let mut given = fields::read(body, CREATE)?;
    check_priority(&given)?;
    let named = given.remove("customer");
    let customer =
        customer.or_else(|| named.as_ref().and_then(Value::as_str)).ok_or_else(|| error::missing("customer"))?.to_owned();
    cx.get_field("customer", &customer, "customer")?;
    check_unique(cx, &given, None)?;
    Ok(open(cx, &customer, given))
}

/// Opens a conversation with sound attributes.
pub(crate) fn open(cx: &mut Cx<'_>, customer: &str, mut given: Map<String, Value>) -> Value {
    given.retain(|_, value| !value.is_null());
    let id = cx.id();
    let now = cx.time();
    let queue = given.remove("queue");
    let mut attributes = Map::new();
    for (name, value) in [
        ("status", json!("open")),
        ("priority", json!(3)),
        ("messageCount", json!(0)),
        ("noteCount", json!(0)),
        ("satisfaction", json!(0)),
        ("createdAt", json!(now)),
        ("updatedAt", json!(now)),
        ("modifiedAt", json!(now)),
        ("lastActivityAt", json!(now)),
        ("spam", json!(false)),
        ("ended", json!(false)),
        ("deleted", json!(false)),
        ("snoozeCount", json!(0)),
        ("reopenCount", json!(0)),
        ("doneCount", json!(0)),
        ("outboundMessageCount", json!(0)),
        ("inboundMessageCount", json!(0)),
        ("lastMessageIn", json!({})),
        ("lastMessageOut", json!({})),
        ("firstMessageIn", json!({})),
        ("firstMessageOut", json!({})),
        ("custom", json!({})),
        ("sentiment", json!({})),
        ("rev", json!(1)),
    ] {
        attributes.insert(name.to_owned(), value);
    }
    for list in ["channels", "tags", "suggestedTags", "assignedUsers", "assignedTeams", "externalIds"] {
        attributes.insert(list.to_owned(), json!([]));
    }
    if let Some(external) = given.get("externalId") {
        attributes.insert("externalIds".to_owned(), json!([external]));
    }
    attributes.extend(given);
    let mut relationships = cx.relationships();
    relationships.insert("customer".to_owned(), relation("customer", customer, "customers"));
    relationships.insert("messages".to_owned(), json!({"links": {"self": format!("/v1/conversations/{id}/messages")}}));
    let queue = queue.as_ref().and_then(|queue| queue.get("id")).and_then(Value::as_str);
    if let Some(queue) = queue {
        relationships.insert("queue".to_owned(), relation("queue", queue, "queues"));
    }
    let row = json!({
        "type": KIND,
        "id": id,
        "attributes": attributes,
        "relationships": relationships,
        "links": {"self": format!("/v1/conversations/{id}")},
    });
    let row = cx.create(KIND, row);
    customer::touch(cx, customer, &row, None);
    row
}

/// `PUT` or `PATCH /conversations/{id}`
pub(crate) fn update(cx: &mut Cx<'_>, id: &str, body: &Value) -> Result<Value, Refusal> {
    let mut given = fields::read(body, UPDATE)?;
    check_priority(&given)?;
    let before = cx.get(KIND, id)?;
    check_unique(cx, &given, Some(id))?;
    customer::merge_custom(&before, &mut given);
    let (old, new) =
        (attribute_text(&before, "status").to_owned(), given.get("status").and_then(Value::as_str).map(str::to_owned));
    if let Some(new) = new.filter(|new| *new != old) {
        let count = match new.as_str() {
            "done" => "doneCount",
            "snoozed" => "snoozeCount",
            _ => "reopenCount",
        };
        let more = attribute_integer(&before, count) + 1;
        given.insert(count.to_owned(), json!(more));
        given.insert("ended".to_owned(), json!(new == "done"));
        let ended_at = if new == "done" { json!(cx.time()) } else { Value::Null };
        given.insert("endedAt".to_owned(), ended_at);
    }
    given.remove("queue");
    let after = cx.change(KIND, &before, given);
    customer::touch(cx, related(&after, "customer"), &after, Some(&old));
    Ok(after)
}

/// `GET /conversations/externalId=…`
pub(crate) fn find(cx: &mut Cx<'_>, external: &str) -> Result<Value, Refusal> {
    find_by_external(cx, external).ok_or_else(|| error::not_found("externalId", KIND))
}

fn find_by_external(cx: &mut Cx<'_>, external: &str) -> Option<Value> {
    cx.named(KIND, "externalId", external)
}

/// `POST /conversations/{id}/notes`
pub(crate) fn add_note(cx: &mut Cx<'_>, id: &str, body: &Value) -> Result<Value, Refusal> {
    let given = fields::read(body, NOTE)?;
    let text = given.get("body").and_then(Value::as_str).filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| error::missing("body"))?;
    let conversation = cx.get(KIND, id)?;
    let note_id = cx.id();
    let now = cx.time();
    let created = given.get("createdAt").filter(|at| !at.is_null()).cloned().unwrap_or_else(|| json!(now));
    let mut relationships = cx.relationships();
    relationships.insert("conversation".to_owned(), relation(KIND, id, "conversations"));
    let customer_id = related(&conversation, "customer").to_owned();
    relationships.insert("customer".to_owned(), relation("customer", &customer_id, "customers"));
    let mut attributes = json!({
        "body": text,
        "attachments": [],
        "userMentions": [],
        "teamMentions": [],
        "createdAt": created,
        "updatedAt": now,
        "modifiedAt": now,
    });
    if let (Some(external), Some(fields)) = (given.get("externalId").filter(|e| !e.is_null()), attributes.as_object_mut()) {
        fields.insert("externalId".to_owned(), external.clone());
    }
    let note = json!({
        "type": "note",
        "id": note_id,
        "attributes": attributes,
        "relationships": relationships,
        "links": {"self": format!("/v1/notes/{note_id}")},
    });
    let note = cx.create("note", note);
    let mut changes = Map::new();
    let count = attribute_integer(&conversation, "noteCount") + 1;
    changes.insert("noteCount".to_owned(), json!(count));
    cx.change(KIND, &conversation, changes);
    Ok(note)
}

/// `POST /conversations/{id}/tags`: the body is a list of tag identifiers.
pub(crate) fn add_tags(cx: &mut Cx<'_>, id: &str, body: &Value) -> Result<Value, Refusal> {
    let Some(added) = body.as_array().filter(|list| list.iter().all(Value::is_string)) else {
        return Err(error::plain(400, "bad_request", "The body must be a list of tag identifiers"));
    };
    let before = cx.get(KIND, id)?;
    let mut tags = attribute(&before, "tags").and_then(Value::as_array).cloned().unwrap_or_default();
    for tag in added {
        if !tags.contains(tag) {
            tags.push(tag.clone());
        }
    }
    if tags.len() > 1_000 {
        return Err(error::bad("tags", "too many tags"));
    }
    let mut changes = Map::new();
    changes.insert("tags".to_owned(), Value::Array(tags));
    Ok(cx.change(KIND, &before, changes))
}

/// Notes on a conversation that a message was added.
pub(crate) fn add_message(cx: &mut Cx<'_>, conversation: &Value, message: &Value) {
    let inbound = attribute_text(message, "direction") == "in";
    let (count, last, first) = if inbound {
        ("inboundMessageCount", "lastMessageIn", "firstMessageIn")
    } else {
        ("outboundMessageCount", "lastMessageOut", "firstMessageOut")
    };
    let mut channels = attribute(conversation, "channels").and_then(Value::as_array).cloned().unwrap_or_default();
    let channel = json!(attribute_text(message, "channel"));
    if !channels.contains(&channel) {
        channels.push(channel);
    }
    let summary = json!({
        "id": id_of(message),
        "sentAt": attribute(message, "sentAt"),
        "channel": attribute_text(message, "channel"),
    });
    let mut changes = Map::new();
    for name in ["messageCount", count] {
        let more = attribute_integer(conversation, name) + 1;
        changes.insert(name.to_owned(), json!(more));
    }
    changes.insert("channels".to_owned(), Value::Array(channels));
    changes.insert("preview".to_owned(), json!(attribute_text(message, "preview")));
    if attribute_integer(conversation, count) == 0 {
        changes.insert(first.to_owned(), summary.clone());
    }
    changes.insert(last.to_owned(), summary);
    changes.insert("lastMessageAt".to_owned(), json!(attribute_text(message, "sentAt")));
    let after = cx.change(KIND, conversation, changes);
    customer::touch(cx, related(&after, "customer"), &after, Some(attribute_text(&after, "status")));
}

fn check_priority(given: &Map<String, Value>) -> Result<(), Refusal> {
    match given.get("priority").and_then(Value::as_i64) {
        None | Some(1..=5) => Ok(()),
        Some(_) => Err(error::bad("priority", "must be from 1 to 5")),
    }
}

fn check_unique(cx: &mut Cx<'_>, given: &Map<String, Value>, own: Option<&str>) -> Result<(), Refusal> {
    let Some(external) = given.get("externalId").and_then(Value::as_str) else {
        return Ok(());
    };
    match find_by_external(cx, external) {
        Some(found) if own != Some(id_of(&found)) => Err(error::conflict("externalId", KIND)),
        Some(_) | None => Ok(()),
    }
}
