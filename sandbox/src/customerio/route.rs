//! Addresses, and what stands behind them.

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::error::{self, Api};
use super::state::{Cx, Name, name_of};
use super::{message, person, track};
use crate::http::{Answer, Request};
use crate::refusal::Refusal;

/// Which API a path belongs to, and what is behind its base.
pub(crate) fn api_of(path: &str) -> Option<(Api, &str)> {
    if let Some(rest) = path.strip_prefix("/api/v1/") {
        return Some((Api::Track, rest));
    }
    // The path that older clients use for broadcasts.
    path.strip_prefix("/v1/api/").or_else(|| path.strip_prefix("/v1/")).map(|rest| (Api::App, rest))
}

/// Answers an admitted request.
pub(crate) fn answer(cx: &mut Cx<'_>, request: &Request) -> Result<Answer, Refusal> {
    let unknown = || error::single(404, "not found");
    let (api, rest) = api_of(&request.path).ok_or_else(unknown)?;
    let decoded: Vec<String> =
        rest.split('/').map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned()).collect();
    let path: Vec<&str> = decoded.iter().map(String::as_str).collect();
    let body: Value = if request.body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&request.body).map_err(|_| error::of(api, 400, "the body is not valid JSON"))?
    };
    match api {
        Api::Track => track_api(cx, request, &path, &body).unwrap_or_else(|| Err(unknown())),
        Api::App => app_api(cx, request, &path, &body).unwrap_or_else(|| Err(unknown())),
    }
}

fn track_api(cx: &mut Cx<'_>, request: &Request, path: &[&str], body: &Value) -> Option<Result<Answer, Refusal>> {
    let done = match (request.method.as_str(), path) {
        ("GET", ["accounts", "region"]) => {
            let region = json!({"url": "track.customer.io/api/v1", "region": "us", "environment_id": 101});
            return Some(Ok(Answer::json(200, &region)));
        }
        ("PUT", ["customers", identifier]) => person::identify(cx, identifier, body),
        ("DELETE", ["customers", identifier]) => person::delete(cx, identifier),
        ("POST", ["customers", identifier, "events"]) => track::event(cx, Some(identifier), body),
        ("POST", ["events"]) => track::event(cx, None, body),
        ("POST", ["customers", identifier, "suppress"]) => person::suppress(cx, identifier),
        ("POST", ["customers", identifier, "unsuppress"]) => person::unsuppress(cx, identifier),
        ("PUT", ["customers", identifier, "devices"]) => person::add_device(cx, identifier, body),
        ("DELETE", ["customers", identifier, "devices", device]) => person::remove_device(cx, identifier, device),
        ("POST", ["merge_customers"]) => person::merge(cx, body),
        ("POST", ["segments", id, "add_customers"]) => track::segment(cx.state, id, true, body),
        ("POST", ["segments", id, "remove_customers"]) => track::segment(cx.state, id, false, body),
        ("POST", ["forms", form, "submit"]) => track::form(cx, form, body),
        _ => return None,
    };
    Some(done.map(|()| Answer::json(200, &json!({}))))
}

fn app_api(cx: &mut Cx<'_>, request: &Request, path: &[&str], body: &Value) -> Option<Result<Answer, Refusal>> {
    let query = request.query_pairs();
    let given = |name: &str| query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let limit = given("limit").and_then(|limit| limit.parse().ok()).unwrap_or(50usize).min(100);
    let missing = |what: &str| error::of(Api::App, 404, &format!("{what} not found"));
    let found = match (request.method.as_str(), path) {
        ("POST", ["send", channel @ ("email" | "push" | "sms" | "whatsapp" | "inbox_message" | "in_app")]) => {
            message::send(cx, channel, body)
        }
        ("POST", ["campaigns", broadcast, "triggers"]) => message::broadcast(cx, broadcast, body),
        ("GET", ["campaigns", broadcast, "triggers", trigger]) => {
            let row = cx.state.broadcasts.get(&format!("{broadcast}/{trigger}"));
            row.map(|row| picked(row, &["id", "broadcast_id", "created_at", "processed_at"])).ok_or_else(|| missing("trigger"))
        }
        ("GET", ["campaigns", broadcast, "triggers", trigger, "errors"]) => {
            let row = cx.state.broadcasts.get(&format!("{broadcast}/{trigger}")).ok_or_else(|| missing("trigger"));
            row.map(|row| json!({"errors": first(row.get("errors"), limit), "next": ""}))
        }
        ("GET", ["customers"]) => match given("email") {
            Some(email) => {
                let person = cx.state.named(Name::Email, email).and_then(|cio_id| cx.state.people.get(&cio_id));
                let results: Vec<Value> = person.into_iter().map(|row| picked(row, &["id", "email", "cio_id"])).collect();
                Ok(json!({ "results": results }))
            }
            None => Err(error::of(Api::App, 400, "email is required")),
        },
        ("GET", ["customers", identifier, "attributes"]) => {
            let person = of_type(cx, identifier, given("id_type").unwrap_or("id"));
            person.map(|person| attributes(&person)).ok_or_else(|| missing("customer"))
        }
        ("GET", ["customers", identifier, "messages"]) => match of_type(cx, identifier, given("id_type").unwrap_or("id")) {
            Some(person) => {
                let cio_id = person.get("cio_id").cloned().unwrap_or_default();
                let own = cx.state.deliveries.rows().rev().filter(|row| row.get("customer_id") == Some(&cio_id));
                Ok(json!({"messages": own.take(limit).map(delivery).collect::<Vec<_>>(), "next": ""}))
            }
            None => Err(missing("customer")),
        },
        ("GET", ["messages", id]) => {
            cx.state.deliveries.get(id).map(|row| json!({"message": delivery(row)})).ok_or_else(|| missing("message"))
        }
        ("GET", ["segments"]) => {
            let all: Vec<Value> = cx.state.segments.rows().map(|row| picked(row, &["id", "name", "type", "state"])).collect();
            Ok(json!({ "segments": all }))
        }
        ("GET", ["campaigns"]) => Ok(json!({"campaigns": []})),
        _ => return None,
    };
    Some(found.map(|body| Answer::json(200, &body)))
}

/// Returns the person that an identifier of a kind names.
fn of_type(cx: &Cx<'_>, identifier: &str, kind: &str) -> Option<Value> {
    let cio_id = match kind {
        "cio_id" => identifier.to_owned(),
        "email" => cx.state.named(Name::Email, identifier)?,
        // An address is no id, though it names somebody elsewhere.
        _ if name_of(identifier) == Name::Email => return None,
        _ => cx.state.named(Name::Id, identifier)?,
    };
    cx.state.people.get(&cio_id).cloned()
}

/// As the App API shows a person: every attribute is a text.
fn attributes(person: &Value) -> Value {
    let texts = person.get("attributes").and_then(Value::as_object).into_iter().flatten().map(|(name, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (name.clone(), Value::String(text))
    });
    json!({"customer": {
        "id": person.get("id"),
        "identifiers": picked(person, &["id", "email", "cio_id"]),
        "attributes": Value::Object(texts.collect()),
        "timestamps": person.get("timestamps"),
        "unsubscribed": person.get("unsubscribed"),
        "devices": person.get("devices"),
    }})
}

fn delivery(row: &Value) -> Value {
    picked(row, &["id", "type", "recipient", "subject", "metrics", "failure_message", "created", "transactional_message_id"])
}

fn picked(row: &Value, names: &[&str]) -> Value {
    let fields = names.iter().filter_map(|name| Some(((*name).to_owned(), row.get(*name)?.clone())));
    Value::Object(fields.collect())
}

fn first(list: Option<&Value>, limit: usize) -> Vec<Value> {
    list.and_then(Value::as_array).into_iter().flatten().take(limit).cloned().collect()
}
