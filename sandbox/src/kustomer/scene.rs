//! Things that happen in a support team: somebody writes, an agent closes a conversation.

use serde_json::{Map, Value, json};

use super::state::{AGENT, Cx, TEAM, related};
use super::{conversation, customer, event, message, object};

/// How often one description may repeat.
const MOST: u64 = 100_000;

/// Makes something happen, as often as asked, and returns the events and the records.
pub(crate) fn play(cx: &mut Cx<'_>, description: &Value) -> Result<Value, String> {
    const KNOWN: &[&str] = &[
        "type",
        "count",
        "email",
        "name",
        "phone",
        "external_id",
        "customer",
        "conversation",
        "message",
        "subject",
        "text",
        "status",
        "priority",
        "channel",
        "direction",
        "assigned_users",
        "tags",
        "custom",
        "object",
        "changes",
    ];
    let fields = description.as_object().ok_or("an event is described by an object")?;
    if let Some(unknown) = fields.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        return Err(format!("`{unknown}` is not known; there are {}", KNOWN.join(", ")));
    }
    let name = word(fields, "type").ok_or("an event needs `type`")?;
    let count = match fields.get("count") {
        None => 1,
        Some(count) => count
            .as_u64()
            .filter(|count| (1..=MOST).contains(count))
            .ok_or_else(|| format!("`count` must be from 1 to {MOST}"))?,
    };
    if !event::names().iter().any(|known| known == name) {
        return Err(format!("`{name}` is no event; there are {}", event::names().join(", ")));
    }
    let mut objects = Vec::new();
    for _ in 0..count {
        let record = happen(cx, name, fields)?;
        // A great many are not worth returning.
        if objects.len() < 100 {
            objects.push(record);
        }
    }
    Ok(json!({"events": cx.emitted, "objects": objects}))
}

fn word<'f>(fields: &'f Map<String, Value>, name: &str) -> Option<&'f str> {
    fields.get(name).and_then(Value::as_str)
}

fn happen(cx: &mut Cx<'_>, name: &str, fields: &Map<String, Value>) -> Result<Value, String> {
    // What the description gives whole is emitted as it is.
    if let Some(record) = fields.get("object") {
        let changes = fields.get("changes").cloned().unwrap_or_default();
        event::emit(cx, name, record, changes);
        return Ok(record.clone());
    }
    match name {
        "kustomer.customer.create" => new_customer(cx, fields),
        "kustomer.customer.update" => {
            let customer = some_customer(cx, fields)?;
            let mut changes = Map::new();
            if let Some(name) = fields.get("name") {
                changes.insert("name".to_owned(), name.clone());
                changes.insert("displayName".to_owned(), name.clone());
            }
            for field in ["tags", "custom"] {
                if let Some(value) = fields.get(field) {
                    changes.insert(field.to_owned(), value.clone());
                }
            }
            Ok(cx.change("customer", &customer, changes))
        }
        "kustomer.conversation.create" => new_conversation(cx, fields),
        "kustomer.conversation.update" => {
            let thread = some_conversation(cx, fields)?;
            let mut body = Map::new();
            for (from, to) in [
                ("status", "status"),
                ("priority", "priority"),
                ("subject", "name"),
                ("tags", "tags"),
                ("assigned_users", "assignedUsers"),
                ("custom", "custom"),
            ] {
                if let Some(value) = fields.get(from) {
                    body.insert(to.to_owned(), value.clone());
                }
            }
            if body.is_empty() {
                body.insert("status".to_owned(), json!("done"));
            }
            cx.author = Some(AGENT);
            conversation::update(cx, super::state::id_of(&thread), &Value::Object(body))
                .map_err(|refusal| refusal.summary().to_owned())
        }
        "kustomer.message.create" => {
            let thread = some_conversation(cx, fields)?;
            Ok(new_message(cx, &thread, fields))
        }
        "kustomer.message.update" => {
            let before = match word(fields, "message") {
                Some(id) => cx.find("message", id).ok_or_else(|| format!("there is no message `{id}`"))?,
                None => {
                    let thread = some_conversation(cx, fields)?;
                    new_message(cx, &thread, fields)
                }
            };
            let mut changes = Map::new();
            changes.insert("status".to_owned(), json!(word(fields, "status").unwrap_or("error")));
            Ok(cx.change("message", &before, changes))
        }
        "kustomer.tag.create" => {
            let fallback = format!("tag-{}", cx.state.ids.hex(6));
            let tag = word(fields, "name").unwrap_or(&fallback).to_owned();
            object::create_tag(cx, &json!({ "name": tag })).map_err(|refusal| refusal.summary().to_owned())
        }
        "kustomer.tag.update" => {
            let oldest = cx.state.table("tag").rows().next().cloned();
            let before = match oldest {
                Some(tag) => tag,
                None => object::create_tag(cx, &json!({"name": "vip"})).map_err(|refusal| refusal.summary().to_owned())?,
            };
            let mut changes = Map::new();
            changes.insert("name".to_owned(), json!(word(fields, "name").unwrap_or("renamed")));
            Ok(cx.change("tag", &before, changes))
        }
        "kustomer.user.update" | "kustomer.team.update" => {
            let (kind, id) = if name.contains("user") { ("user", AGENT) } else { ("team", TEAM) };
            let before = cx.find(kind, id).unwrap_or_default();
            let mut changes = Map::new();
            changes.insert("displayName".to_owned(), json!(word(fields, "name").unwrap_or("Renamed")));
            Ok(cx.change(kind, &before, changes))
        }
        _ => {
            let kind = if name.contains("user") { "user" } else { "team" };
            let id = cx.id();
            let now = cx.time();
            let shown = word(fields, "name").unwrap_or("New here");
            let row = json!({
                "type": kind,
                "id": id,
                "attributes": {"name": shown, "displayName": shown, "createdAt": now, "updatedAt": now},
                "relationships": cx.relationships(),
                "links": {"self": format!("/v1/{kind}s/{id}")},
            });
            Ok(cx.create(kind, row))
        }
    }
}

fn new_customer(cx: &mut Cx<'_>, fields: &Map<String, Value>) -> Result<Value, String> {
    let mut body = Map::new();
    let fallback = format!("visitor.{}@example.com", cx.state.ids.hex(6));
    let email = word(fields, "email").unwrap_or(&fallback);
    body.insert("emails".to_owned(), json!([{ "email": email }]));
    for (from, to) in [("name", "name"), ("external_id", "externalId"), ("tags", "tags"), ("custom", "custom")] {
        if let Some(value) = fields.get(from) {
            body.insert(to.to_owned(), value.clone());
        }
    }
    if let Some(phone) = word(fields, "phone") {
        body.insert("phones".to_owned(), json!([{ "phone": phone }]));
    }
    customer::create(cx, &Value::Object(body)).map_err(|refusal| refusal.summary().to_owned())
}

/// Returns the customer that is named by identifier, else by email; a new one where there is none.
fn some_customer(cx: &mut Cx<'_>, fields: &Map<String, Value>) -> Result<Value, String> {
    if let Some(id) = word(fields, "customer") {
        return cx.find("customer", id).ok_or_else(|| format!("there is no customer `{id}`"));
    }
    let found = word(fields, "email").and_then(|email| customer::find_by(cx, "email", email));
    match found {
        Some(customer) => Ok(customer),
        None => new_customer(cx, fields),
    }
}

fn new_conversation(cx: &mut Cx<'_>, fields: &Map<String, Value>) -> Result<Value, String> {
    let customer = some_customer(cx, fields)?;
    let mut body = Map::new();
    body.insert("name".to_owned(), json!(word(fields, "subject").unwrap_or("A question about my order")));
    for field in ["priority", "status", "tags", "custom"] {
        if let Some(value) = fields.get(field) {
            body.insert(field.to_owned(), value.clone());
        }
    }
    let id = super::state::id_of(&customer).to_owned();
    conversation::create(cx, Some(&id), &Value::Object(body)).map_err(|refusal| refusal.summary().to_owned())
}

/// Returns the conversation that is named, else the customer's last open one, else a new one.
fn some_conversation(cx: &mut Cx<'_>, fields: &Map<String, Value>) -> Result<Value, String> {
    if let Some(id) = word(fields, "conversation") {
        return cx.find("conversation", id).ok_or_else(|| format!("there is no conversation `{id}`"));
    }
    let customer = some_customer(cx, fields)?;
    let id = super::state::id_of(&customer).to_owned();
    let mut threads = cx.belonging("conversation", &id).into_iter().rev();
    let last = threads.find(|row| super::state::attribute_text(row, "status") != "done");
    match last {
        Some(thread) => Ok(thread),
        None => {
            let mut opening = fields.clone();
            opening.insert("customer".to_owned(), json!(id));
            opening.remove("status");
            new_conversation(cx, &opening)
        }
    }
}

fn new_message(cx: &mut Cx<'_>, thread: &Value, fields: &Map<String, Value>) -> Value {
    let customer = cx.find("customer", related(thread, "customer")).unwrap_or_default();
    let from = customer::entries(&customer, "emails", "email").next().unwrap_or_default().to_owned();
    let inbound = word(fields, "direction").unwrap_or("in") == "in";
    let (from, to) = if inbound {
        (from, "support@example.com".to_owned())
    } else {
        cx.author = Some(AGENT);
        ("support@example.com".to_owned(), from)
    };
    let subject = word(fields, "subject").unwrap_or_else(|| super::state::attribute_text(thread, "name")).to_owned();
    let text = word(fields, "text").unwrap_or("Hello, could you help me with my last order?");
    let mut given = Map::new();
    for (name, value) in [
        ("channel", json!(word(fields, "channel").unwrap_or("email"))),
        ("app", json!("postmark")),
        ("preview", json!(text)),
        ("subject", json!(subject)),
        ("direction", json!(if inbound { "in" } else { "out" })),
        ("meta", json!({"from": from, "to": [{"email": to}], "subject": subject})),
    ] {
        given.insert(name.to_owned(), value);
    }
    message::add(cx, thread, given)
}
