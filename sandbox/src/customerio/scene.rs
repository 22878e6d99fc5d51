//! Things that happen to messages and subscriptions: a message bounces, somebody unsubscribes.

use serde_json::{Map, Value, json};

use super::state::Cx;
use super::{person, report};

/// How often one description may repeat.
const MOST: u64 = 100_000;
/// What a description says of the report itself, rather than of its data.
const ABOUT: &[&str] = &["type", "channel", "count", "email", "person", "object"];
/// What goes into the data as it is.
const DATA: &[&str] = &[
    "delivery_id",
    "recipient",
    "subject",
    "action_id",
    "campaign_id",
    "broadcast_id",
    "newsletter_id",
    "content_id",
    "transactional_message_id",
    "trigger_id",
    "href",
    "link_id",
    "failure_message",
    "content",
];

/// Makes something happen, as often as asked, and returns the reports. `type` is the metric, with the channel before a dot
/// where that is not given apart: `email.bounced`, `customer.unsubscribed`. Metrics that nobody knows are reported too.
pub(crate) fn play(cx: &mut Cx<'_>, description: &Value) -> Result<Value, String> {
    let fields = description.as_object().ok_or("an event is described by an object")?;
    if let Some(unknown) = fields.keys().find(|key| !ABOUT.contains(&key.as_str()) && !DATA.contains(&key.as_str())) {
        return Err(format!("`{unknown}` is not known; there are {}, {}", ABOUT.join(", "), DATA.join(", ")));
    }
    let word = |name: &str| fields.get(name).and_then(Value::as_str);
    let kind = word("type").ok_or("an event needs `type`")?;
    let (channel, metric) = match (word("channel"), kind.split_once('.')) {
        (Some(channel), _) => (Some(channel), kind),
        (None, Some((channel, metric))) => (Some(channel), metric),
        (None, None) => (None, kind),
    };
    let count = fields.get("count").map_or(Some(1), Value::as_u64).filter(|count| (1..=MOST).contains(count));
    let count = count.ok_or_else(|| format!("`count` must be from 1 to {MOST}"))?;
    let mut objects = Vec::new();
    for _ in 0..count {
        let object = happen(cx, metric, channel, fields);
        if objects.len() < 100 {
            objects.push(object);
        }
    }
    Ok(json!({"events": cx.reported, "objects": objects}))
}

fn happen(cx: &mut Cx<'_>, metric: &str, channel: Option<&str>, fields: &Map<String, Value>) -> Value {
    // What the description gives whole is sent as it is.
    if let Some(object) = fields.get("object") {
        let id = object.get("event_id").and_then(Value::as_str).map_or_else(|| cx.ulid(), str::to_owned);
        report::send(cx, &id, metric, object.clone());
        return object.clone();
    }
    let word = |name: &str| fields.get(name).and_then(Value::as_str);
    let email = word("email").map(str::to_owned);
    let who = word("person").map(str::to_owned).or_else(|| email.clone()).unwrap_or_else(|| "ada@example.com".to_owned());
    let cio_id = cx.state.find(&who).unwrap_or_else(|| person::make(cx, &who));
    let somebody = cx.state.people.get(&cio_id).cloned().unwrap_or_default();
    let mut data = report::about(&somebody);
    if channel == Some("customer") {
        data.insert("email_address".to_owned(), somebody.get("email").cloned().unwrap_or_default());
    } else if channel.is_some() {
        data.insert("delivery_id".to_owned(), json!(cx.state.ids.alphanumeric("dg", 18)));
        data.insert("recipient".to_owned(), somebody.get("email").cloned().unwrap_or_default());
    }
    data.extend(
        fields.iter().filter(|(name, _)| DATA.contains(&name.as_str())).map(|(name, value)| (name.clone(), value.clone())),
    );
    if metric == "unsubscribed"
        && let Some(person) = cx.state.people.get_mut(&cio_id).and_then(Value::as_object_mut)
    {
        person.insert("unsubscribed".to_owned(), json!(true));
    }
    cx.report(metric, channel, &data);
    Value::Object(data)
}
