//! Messages, and the drafts that become messages.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::refusal::Refusal;

use super::conversation::{self, CHANNELS};
use super::error;
use super::fields::{self, Shape, Spec};
use super::state::{Cx, attribute, attribute_text, id_of, related, relation};

const KIND: &str = "message";
const MESSAGE: Spec = &[
    ("channel", Shape::OneOf(CHANNELS)),
    ("app", Shape::Text),
    ("preview", Shape::Text),
    ("subject", Shape::Text),
    ("direction", Shape::OneOf(&["in", "out"])),
    ("status", Shape::OneOf(&["sent", "received", "error"])),
    ("sentAt", Shape::Time),
    ("externalId", Shape::Text),
    ("auto", Shape::Boolean),
    ("meta", Shape::Object),
    ("attachments", Shape::List),
    ("custom", Shape::Custom),
    ("conversation", Shape::Text),
    ("customer", Shape::Text),
    ("createdAt", Shape::Time),
    ("importedAt", Shape::Time),
];
const DRAFT: Spec = &[
    ("channel", Shape::OneOf(&["email", "sms", "whatsapp", "chat", "facebook", "instagram", "note"])),
    ("app", Shape::Text),
    ("conversation", Shape::Text),
    ("to", Shape::List),
    ("from", Shape::Text),
    ("subject", Shape::Text),
    ("body", Shape::Text),
    ("htmlBody", Shape::Text),
    ("cc", Shape::List),
    ("bcc", Shape::List),
    ("replyTo", Shape::Text),
    ("template", Shape::Text),
    ("auto", Shape::Boolean),
    ("scheduled", Shape::Boolean),
    ("sendAt", Shape::Text),
    ("attachments", Shape::List),
];

/// `POST /messages` and its kin: puts an entry on the timeline.
pub(crate) fn record(
    cx: &mut Cx<'_>,
    conversation: Option<&str>,
    customer: Option<&str>,
    body: &Value,
) -> Result<Value, Refusal> {
    let mut given = fields::read(body, MESSAGE)?;
    for name in ["channel", "app"] {
        if given.get(name).is_none_or(Value::is_null) {
            return Err(error::missing(name));
        }
    }
    let in_body =
        |given: &mut Map<String, Value>, name: &str| given.remove(name).as_ref().and_then(Value::as_str).map(str::to_owned);
    let named = in_body(&mut given, "conversation");
    let conversation = conversation.map(str::to_owned).or(named);
    let named = in_body(&mut given, "customer");
    let customer = customer.map(str::to_owned).or(named);
    if let Some(external) = given.get("externalId").and_then(Value::as_str)
        && cx.named(KIND, "externalId", external).is_some()
    {
        return Err(error::conflict("externalId", KIND));
    }
    let thread = match (&conversation, &customer) {
        (Some(id), _) => cx.get_field("conversation", id, "conversation")?,
        (None, Some(customer)) => {
            cx.get_field("customer", customer, "customer")?;
            let mut fields = Map::new();
            if let Some(subject) = given.get("subject") {
                fields.insert("name".to_owned(), subject.clone());
            }
            conversation::open(cx, customer, fields)
        }
        (None, None) => return Err(error::missing("conversation")),
    };
    Ok(add(cx, &thread, given))
}

/// Adds a message with sound attributes to a conversation.
pub(crate) fn add(cx: &mut Cx<'_>, thread: &Value, mut given: Map<String, Value>) -> Value {
    given.retain(|_, value| !value.is_null());
    let id = cx.id();
    let now = cx.time();
    let direction = given.get("direction").and_then(Value::as_str).unwrap_or("in").to_owned();
    let first = super::state::attribute_integer(thread, "messageCount") == 0;
    let kind = if first { "initial" } else { "response" };
    let mut attributes = Map::new();
    for (name, value) in [
        ("channel", json!("email")),
        ("app", json!("postmark")),
        ("size", json!(given.get("preview").and_then(Value::as_str).map_or(0, str::len))),
        ("direction", json!(direction)),
        ("directionType", json!(format!("{kind}-{direction}"))),
        ("preview", json!("")),
        ("meta", json!({})),
        ("status", json!(if direction == "in" { "received" } else { "sent" })),
        ("auto", json!(false)),
        ("attachments", json!([])),
        ("assignedTeams", json!([])),
        ("assignedUsers", json!([])),
        ("redacted", json!(false)),
        ("sentAt", json!(now)),
        ("createdAt", json!(now)),
        ("updatedAt", json!(now)),
        ("modifiedAt", json!(now)),
        ("rev", json!(1)),
    ] {
        attributes.insert(name.to_owned(), value);
    }
    attributes.extend(given);
    let mut relationships = cx.relationships();
    relationships.insert("conversation".to_owned(), relation("conversation", id_of(thread), "conversations"));
    relationships.insert("customer".to_owned(), relation("customer", related(thread, "customer"), "customers"));
    let message = json!({
        "type": KIND,
        "id": id,
        "attributes": attributes,
        "relationships": relationships,
        "links": {"self": format!("/v1/messages/{id}")},
    });
    let message = cx.create(KIND, message);
    if let Some(thread) = cx.find("conversation", id_of(thread)) {
        conversation::add_message(cx, &thread, &message);
    }
    message
}

/// `POST /customers/{id}/drafts`
pub(crate) fn create_draft(cx: &mut Cx<'_>, customer: &str, body: &Value) -> Result<Value, Refusal> {
    let mut given = fields::read(body, DRAFT)?;
    cx.get("customer", customer)?;
    if given.get("channel").is_none_or(Value::is_null) {
        return Err(error::missing("channel"));
    }
    let conversation = given.remove("conversation");
    let thread = match conversation.as_ref().and_then(Value::as_str) {
        Some(id) => Some(cx.get_field("conversation", id, "conversation")?),
        None => None,
    };
    check_schedule(&given)?;
    let scheduled = given.get("scheduled") == Some(&json!(true));
    if !scheduled {
        given.insert("sendAt".to_owned(), json!(cx.time()));
    }
    let id = cx.id();
    let now = cx.time();
    given.retain(|_, value| !value.is_null());
    let mut attributes = json!({
        "scheduled": scheduled,
        "auto": false,
        "attachments": [],
        "createdAt": now,
        "updatedAt": now,
        "modifiedAt": now,
        "rev": 1,
    });
    if let Some(fields) = attributes.as_object_mut() {
        fields.extend(given);
    }
    let mut relationships = cx.relationships();
    relationships.insert("customer".to_owned(), relation("customer", customer, "customers"));
    if let Some(thread) = &thread {
        relationships.insert("conversation".to_owned(), relation("conversation", id_of(thread), "conversations"));
    }
    let draft = json!({
        "type": "draft",
        "id": id,
        "attributes": attributes,
        "relationships": relationships,
        "links": {"self": format!("/v1/drafts/{id}")},
    });
    Ok(cx.create("draft", draft))
}

/// `PUT /drafts/{id}`: a `sendAt` schedules, an empty one unschedules.
pub(crate) fn update_draft(cx: &mut Cx<'_>, id: &str, body: &Value) -> Result<Value, Refusal> {
    let mut given = fields::read(body, DRAFT)?;
    let before = cx.get("draft", id)?;
    check_schedule(&given)?;
    if let Some(at) = given.get("sendAt") {
        let scheduled = at.as_str().is_some_and(|at| !at.is_empty());
        given.insert("scheduled".to_owned(), json!(scheduled));
    }
    given.remove("conversation");
    Ok(cx.change("draft", &before, given))
}

/// `DELETE /drafts/{id}`
pub(crate) fn delete_draft(cx: &mut Cx<'_>, id: &str) -> Result<(), Refusal> {
    cx.get("draft", id)?;
    cx.state.table("draft").remove(id);
    Ok(())
}

/// Sends the drafts whose time has come: each becomes an `out` message.
pub(crate) fn send_due(cx: &mut Cx<'_>) {
    let now = cx.now;
    let due: Vec<Value> = cx
        .state
        .table("draft")
        .rows()
        .filter(|row| {
            attribute(row, "scheduled") == Some(&json!(true))
                && attribute_text(row, "sendAt").parse::<Timestamp>().is_ok_and(|at| at <= now)
        })
        .cloned()
        .collect();
    for draft in due {
        cx.state.table("draft").remove(id_of(&draft));
        send(cx, &draft);
    }
}

fn send(cx: &mut Cx<'_>, draft: &Value) {
    let thread = match cx.find("conversation", related(draft, "conversation")) {
        Some(thread) => thread,
        None => {
            let mut fields = Map::new();
            if let Some(subject) = attribute(draft, "subject") {
                fields.insert("name".to_owned(), subject.clone());
            }
            conversation::open(cx, related(draft, "customer"), fields)
        }
    };
    if attribute_text(draft, "channel") == "note" {
        let body = json!({"body": attribute_text(draft, "body")});
        // The conversation is there, and an empty note is not worth keeping.
        let _ = conversation::add_note(cx, id_of(&thread), &body);
        return;
    }
    let mut message = Map::new();
    for name in ["channel", "app", "subject", "auto", "attachments"] {
        if let Some(value) = attribute(draft, name) {
            message.insert(name.to_owned(), value.clone());
        }
    }
    message.insert("preview".to_owned(), json!(attribute_text(draft, "body")));
    message.insert("direction".to_owned(), json!("out"));
    let to: Vec<Value> = attribute(draft, "to")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|to| match to {
            Value::String(email) => json!({ "email": email }),
            other => other.clone(),
        })
        .collect();
    message
        .insert("meta".to_owned(), json!({"from": attribute(draft, "from"), "to": to, "subject": attribute(draft, "subject")}));
    add(cx, &thread, message);
}

fn check_schedule(given: &Map<String, Value>) -> Result<(), Refusal> {
    let at = given.get("sendAt").and_then(Value::as_str).filter(|at| !at.is_empty());
    let sound = at.is_none_or(|at| at.parse::<Timestamp>().is_ok());
    if !sound {
        return Err(error::bad("sendAt", "must be a time in ISO 8601"));
    }
    if given.get("scheduled") == Some(&json!(true)) && at.is_none() {
        return Err(error::missing("sendAt"));
    }
    Ok(())
}
