//! Outbound webhooks.

use serde_json::{Value, json};
use url::{Host, Url};

use crate::refusal::Refusal;

use super::error;
use super::event;
use super::fields::{self, Shape, Spec};
use super::state::{Cx, State, attribute, attribute_text, id_of};

const KIND: &str = "outbound-webhook";
/// How many an organisation may have.
const MOST: usize = 5;
const FIELDS: Spec = &[
    ("name", Shape::Text),
    ("url", Shape::Text),
    ("events", Shape::Texts(12)),
    ("headers", Shape::List),
    ("enabled", Shape::Boolean),
];

/// Where an event has to go.
#[derive(Debug)]
pub(crate) struct Destination {
    /// `None` for the sandbox's own target.
    pub(crate) webhook: Option<String>,
    pub(crate) url: String,
    pub(crate) token: Option<String>,
}

/// Returns where an event with this name goes.
pub(crate) fn destinations(state: &mut State, name: &str) -> Vec<Destination> {
    let own = state.webhook_target.clone().map(|url| Destination { webhook: None, url, token: None });
    let registered = state
        .table(KIND)
        .rows()
        .filter(|row| {
            attribute(row, "enabled") == Some(&json!(true))
                && attribute(row, "events")
                    .and_then(Value::as_array)
                    .is_some_and(|events| events.iter().any(|event| event == name))
        })
        .map(|row| Destination {
            webhook: Some(id_of(row).to_owned()),
            url: attribute_text(row, "url").to_owned(),
            token: Some(attribute_text(row, "token").to_owned()),
        });
    own.into_iter().chain(registered).collect()
}

/// `POST /outbound-webhooks`: the answer alone shows the token.
pub(crate) fn create(cx: &mut Cx<'_>, body: &Value) -> Result<Value, Refusal> {
    let given = fields::read(body, FIELDS)?;
    for name in ["name", "url", "events"] {
        if given.get(name).is_none_or(Value::is_null) {
            return Err(error::missing(name));
        }
    }
    check(&Value::Object(given.clone()))?;
    if cx.state.table(KIND).len() >= MOST {
        return Err(error::plain(400, "bad_request", "An organization may have at most 5 outbound webhooks"));
    }
    let id = cx.id();
    let token = cx.state.ids.hex(64);
    let now = cx.time();
    let row = json!({
        "type": KIND,
        "id": id,
        "attributes": {
            "name": given.get("name"),
            "url": given.get("url"),
            "events": given.get("events"),
            "headers": given.get("headers").cloned().unwrap_or(json!([])),
            "enabled": true,
            "token": token,
            "createdAt": now,
            "updatedAt": now,
        },
        "relationships": cx.relationships(),
        "links": {"self": format!("/v1/outbound-webhooks/{id}")},
    });
    Ok(cx.create(KIND, row))
}

/// `PUT` or `PATCH /outbound-webhooks/{id}`
pub(crate) fn update(cx: &mut Cx<'_>, id: &str, body: &Value) -> Result<Value, Refusal> {
    let given = fields::read(body, FIELDS)?;
    check(&Value::Object(given.clone()))?;
    let before = cx.get(KIND, id)?;
    let after = cx.change(KIND, &before, given);
    Ok(without_token(after))
}

/// `DELETE /outbound-webhooks/{id}`
pub(crate) fn delete(cx: &mut Cx<'_>, id: &str) -> Result<(), Refusal> {
    cx.get(KIND, id)?;
    cx.state.table(KIND).remove(id);
    Ok(())
}

/// Returns the webhooks, without their tokens.
pub(crate) fn all(cx: &mut Cx<'_>) -> Vec<Value> {
    cx.state.table(KIND).rows().cloned().map(without_token).collect()
}

/// Returns one webhook, without its token.
pub(crate) fn get(cx: &mut Cx<'_>, id: &str) -> Result<Value, Refusal> {
    cx.get(KIND, id).map(without_token)
}

/// Switches a webhook off whose deliveries failed to the end.
pub(crate) fn switch_off(cx: &mut Cx<'_>, id: &str) {
    if let Some(attributes) =
        cx.state.table(KIND).get_mut(id).and_then(|row| row.get_mut("attributes")).and_then(Value::as_object_mut)
    {
        attributes.insert("enabled".to_owned(), json!(false));
    }
}

fn without_token(mut row: Value) -> Value {
    if let Some(attributes) = row.get_mut("attributes").and_then(Value::as_object_mut) {
        attributes.remove("token");
    }
    row
}

fn check(given: &Value) -> Result<(), Refusal> {
    let known = event::names();
    if let Some(events) = given.get("events").and_then(Value::as_array) {
        let unknown = events.iter().filter_map(Value::as_str).find(|event| !known.iter().any(|known| known == event));
        if let Some(unknown) = unknown {
            return Err(error::bad("events", &format!("{unknown} is no event")));
        }
    }
    let Some(url) = given.get("url").and_then(Value::as_str) else {
        return Ok(());
    };
    let parsed = Url::parse(url).map_err(|_| error::bad("url", "must be a URL"))?;
    let local = match parsed.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    // Unlike Kustomer, the sandbox takes plain HTTP to this machine: it has no other way to deliver.
    let allowed = parsed.scheme() == "https" || (parsed.scheme() == "http" && local);
    if !allowed || url.chars().count() > 255 {
        return Err(error::bad("url", "must be an https URL of at most 255 characters"));
    }
    Ok(())
}
