//! Transactional messages, broadcasts, and what became of them.

use serde_json::{Map, Value, json};

use crate::refusal::Refusal;

use super::error::{self, Api};
use super::person::{self, identifier_of};
use super::report;
use super::state::Cx;

/// A broadcast can be started once in so many milliseconds.
const BROADCAST_PAUSE_MS: i64 = 10_000;

/// A field of a message: text, or something else.
const EMAIL_FIELDS: &[(&str, Kind)] = &[
    ("to", Kind::Text),
    ("identifiers", Kind::Record),
    ("transactional_message_id", Kind::Any),
    ("message_data", Kind::Record),
    ("from", Kind::Text),
    ("reply_to", Kind::Text),
    ("subject", Kind::Text),
    ("body", Kind::Text),
    ("body_plain", Kind::Text),
    ("body_amp", Kind::Text),
    ("plaintext_body", Kind::Text),
    ("amp_body", Kind::Text),
    ("preheader", Kind::Text),
    ("cc", Kind::Text),
    ("bcc", Kind::Text),
    ("headers", Kind::Any),
    ("language", Kind::Text),
    ("attachments", Kind::Record),
    ("send_at", Kind::Number),
    ("send_to_unsubscribed", Kind::Bool),
    ("tracked", Kind::Bool),
    ("queue_draft", Kind::Bool),
    ("disable_message_retention", Kind::Bool),
    ("disable_css_preprocessing", Kind::Bool),
    ("fake_bcc", Kind::Bool),
];

#[derive(Debug, Clone, Copy)]
enum Kind {
    Text,
    Number,
    Bool,
    Record,
    Any,
}

impl Kind {
    fn takes(self, value: &Value) -> bool {
        match self {
            Kind::Text => value.is_string(),
            Kind::Number => value.is_i64() || value.is_u64(),
            Kind::Bool => value.is_boolean(),
            Kind::Record => value.is_object(),
            Kind::Any => true,
        }
    }
}

fn wrong(message: &str) -> Refusal {
    error::single(400, message)
}

/// `POST /send/{channel}`. Twice is two messages: there is no key.
pub(crate) fn send(cx: &mut Cx<'_>, channel: &str, body: &Value) -> Result<Value, Refusal> {
    let fields = body.as_object().ok_or_else(|| wrong("the body must be an object"))?;
    if channel == "email" {
        for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
            match EMAIL_FIELDS.iter().find(|(known, _)| known == name) {
                Some((_, kind)) if kind.takes(value) => {}
                Some(_) => return Err(wrong(&format!("{name} has the wrong type"))),
                None => return Err(wrong(&format!("unknown field: {name}"))),
            }
        }
    }
    let to = fields.get("to").and_then(Value::as_str).filter(|to| !to.is_empty()).unwrap_or_default().to_owned();
    if to.is_empty() && matches!(channel, "email" | "sms" | "whatsapp") {
        return Err(wrong("to is required"));
    }
    if channel == "email" && to.split(',').any(|address| !address.contains('@')) {
        return Err(wrong("to must be an email address"));
    }
    let who = fields.get("identifiers").and_then(Value::as_object).ok_or_else(|| wrong("identifiers is required"))?;
    let who = identifier_of(who).ok_or_else(|| wrong("identifiers must have exactly one of id, email and cio_id"))?;
    let template = fields.get("transactional_message_id").filter(|id| !id.is_null());
    if let Some(template) = template
        && !(template.is_string() || template.is_u64())
    {
        return Err(wrong("transactional_message_id must be an integer or a text"));
    }
    let has = |name: &str| fields.get(name).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    if template.is_none() && !(channel == "email" && has("body") && has("subject") && has("from")) {
        return Err(wrong("transactional_message_id is required unless body, subject and from are given"));
    }
    let due = match fields.get("send_at").and_then(Value::as_i64) {
        Some(at) if at <= cx.now.as_second() => return Err(wrong("send_at must be in the future")),
        Some(at) => at,
        None => cx.now.as_second(),
    };
    let cio_id = cx.state.find(&who).unwrap_or_else(|| person::make(cx, &who));
    let unsubscribed = cx.state.people.get(&cio_id).and_then(|person| person.get("unsubscribed")) == Some(&json!(true));
    let dropped = unsubscribed && fields.get("send_to_unsubscribed") == Some(&json!(false));
    let id = cx.state.ids.alphanumeric("dg", 18);
    let draft = fields.get("queue_draft") == Some(&json!(true));
    let row = json!({
        "id": id, "type": channel, "recipient": to, "subject": fields.get("subject"), "customer_id": cio_id,
        "transactional_message_id": template, "message_data": fields.get("message_data"), "created": cx.now.as_second(),
        "due": due, "state": if draft { "drafted" } else if dropped { "dropped" } else { "attempted" }, "metrics": {},
        "request": body,
    });
    cx.state.deliveries.put(&id, row);
    cx.created = Some(id.clone());
    deliver_due(cx);
    Ok(json!({"delivery_id": id, "queued_at": cx.now.as_second()}))
}

/// Sends what is due, and reports it. Addresses that begin with `bounce` or `fail` do as they say.
pub(crate) fn deliver_due(cx: &mut Cx<'_>) {
    let now = cx.now.as_second();
    let due: Vec<Value> = cx
        .state
        .deliveries
        .rows()
        .rev()
        .take(1_000)
        .filter(|row| {
            matches!(row.get("state").and_then(Value::as_str), Some("attempted" | "dropped"))
                && row.get("metrics").and_then(Value::as_object).is_none_or(Map::is_empty)
                && row.get("due").and_then(Value::as_i64).is_some_and(|due| due <= now)
        })
        .cloned()
        .collect();
    for row in due.into_iter().rev() {
        deliver(cx, &row);
    }
}

fn deliver(cx: &mut Cx<'_>, row: &Value) {
    let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (id, channel, to) = (text("id"), text("type"), text("recipient"));
    let person = cx.state.people.get(&text("customer_id")).cloned().unwrap_or_default();
    let steps: &[(&str, Option<&str>)] = if text("state") == "dropped" {
        &[("dropped", Some("the person is unsubscribed"))]
    } else if to.starts_with("fail") {
        &[("failed", Some("the sender address is not verified"))]
    } else if to.starts_with("bounce") {
        &[("sent", None), ("bounced", Some("550 5.1.1 no such mailbox"))]
    } else {
        &[("sent", None), ("delivered", None)]
    };
    let mut metrics = Map::new();
    for (metric, failure) in steps {
        metrics.insert((*metric).to_owned(), json!(cx.now.as_second()));
        let mut data = report::about(&person);
        data.insert("delivery_id".to_owned(), json!(id));
        data.insert("recipient".to_owned(), json!(to));
        if let Some(subject) = row.get("subject").filter(|value| !value.is_null()) {
            data.insert("subject".to_owned(), subject.clone());
        }
        if let Some(number) = row.get("transactional_message_id").and_then(message_number) {
            data.insert("transactional_message_id".to_owned(), json!(number));
        }
        if let Some(failure) = failure {
            data.insert("failure_message".to_owned(), json!(failure));
        }
        cx.report(metric, Some(&channel), &data);
    }
    let last = steps.last().copied().unwrap_or(("attempted", None));
    if let Some(fields) = cx.state.deliveries.get_mut(&id).and_then(Value::as_object_mut) {
        fields.insert("metrics".to_owned(), Value::Object(metrics));
        fields.insert("state".to_owned(), json!(last.0));
        fields.insert("failure_message".to_owned(), json!(last.1));
    }
}

/// Reports name a message by its number, whatever it was sent by: a trigger name has one that stays the same.
fn message_number(template: &Value) -> Option<u64> {
    match template {
        Value::String(name) => Some(1 + name.bytes().fold(0, |sum, byte| (sum * 31 + u64::from(byte)) % 9_000)),
        other => other.as_u64(),
    }
}

/// `POST /campaigns/{broadcast}/triggers`.
pub(crate) fn broadcast(cx: &mut Cx<'_>, broadcast: &str, body: &Value) -> Result<Value, Refusal> {
    let number: u64 = broadcast.parse().map_err(|_| error::of(Api::App, 404, "broadcast not found"))?;
    let now = cx.now.as_millisecond();
    let paused = cx.state.started.get(broadcast).is_some_and(|last| now - last < BROADCAST_PAUSE_MS);
    if paused {
        return Err(error::of(Api::App, 429, "a broadcast can be triggered once every 10 seconds"));
    }
    let fields = body.as_object().ok_or_else(|| error::pointed("/", "must be an object"))?;
    const AUDIENCES: [&str; 5] = ["recipients", "ids", "emails", "per_user_data", "data_file_url"];
    let audiences: Vec<&str> = AUDIENCES.into_iter().filter(|name| fields.get(*name).is_some_and(|v| !v.is_null())).collect();
    if audiences.len() > 1 {
        return Err(error::pointed(&format!("/{}", audiences.join(" /")), "only one audience may be given"));
    }
    for name in ["ids", "emails", "per_user_data"] {
        if fields.get(name).is_some_and(|list| !list.is_null() && !list.is_array()) {
            return Err(error::pointed(&format!("/{name}"), "must be a list"));
        }
    }
    if fields.get("data").is_some_and(|data| !data.is_null() && !data.is_object()) {
        return Err(error::pointed("/data", "must be an object"));
    }
    let mut errors = Vec::new();
    let mut reached = Vec::new();
    for (list, by, ignore) in [("emails", "email", "email_ignore_missing"), ("ids", "id", "id_ignore_missing")] {
        for who in fields.get(list).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            match cx.state.find(who) {
                Some(cio_id) => reached.push(cio_id),
                // Broadcasts make no people.
                None if fields.get(ignore) == Some(&json!(true)) => {}
                None => errors.push(json!({by: who, "error": "person not found"})),
            }
        }
    }
    let trigger = u64::try_from(cx.state.broadcasts.len()).unwrap_or_default() + 1;
    let row = json!({
        "id": trigger, "broadcast_id": number, "created_at": cx.now.as_second(), "processed_at": cx.now.as_second(),
        "request": body, "errors": errors, "reached": reached,
    });
    cx.state.started.insert(broadcast.to_owned(), now);
    cx.state.broadcasts.put(&format!("{number}/{trigger}"), row);
    cx.created = Some(trigger.to_string());
    for cio_id in reached {
        let person = cx.state.people.get(&cio_id).cloned().unwrap_or_default();
        let mut data = report::about(&person);
        let recipient = person.get("email").cloned().unwrap_or_default();
        for (name, value) in [
            ("delivery_id", json!(cx.state.ids.alphanumeric("dg", 18))),
            ("recipient", recipient),
            ("broadcast_id", json!(number)),
            ("trigger_id", json!(trigger)),
        ] {
            data.insert(name.to_owned(), value);
        }
        cx.report("sent", Some("email"), &data);
    }
    Ok(json!({"id": trigger}))
}
