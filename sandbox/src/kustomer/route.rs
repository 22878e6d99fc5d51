//! Which request goes where.

use serde_json::{Value, json};

use super::error;
use super::state::{Cx, MACHINE_USER};
use super::{conversation, customer, event, list, message, object, search, webhook};
use crate::http::{Answer, Request};
use crate::refusal::Refusal;

/// Answers an admitted request: the answer, or an error.
pub(crate) fn answer(cx: &mut Cx<'_>, request: &Request) -> Result<Answer, Refusal> {
    let path = request.path.trim_matches('/');
    let path = path.strip_prefix("v1/").unwrap_or(path);
    let decoded: Vec<String> =
        path.split('/').map(|part| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned()).collect();
    let path: Vec<&str> = decoded.iter().map(String::as_str).collect();
    let body = if matches!(request.method.as_str(), "POST" | "PUT" | "PATCH") {
        serde_json::from_slice(&request.body).map_err(|_| error::plain(400, "bad_request", "The body is not valid JSON"))?
    } else {
        Value::Null
    };
    let query = request.query_pairs();
    let outcome = match request.method.as_str() {
        "GET" => read(cx, &path, &query),
        "POST" => create(cx, &path, &query, &body),
        "PUT" | "PATCH" => change(cx, &path, &body),
        "DELETE" => remove(cx, &path),
        _ => None,
    };
    outcome.unwrap_or_else(|| Err(error::not_found("path", "resource")))
}

type Outcome = Option<Result<Answer, Refusal>>;

fn read(cx: &mut Cx<'_>, path: &[&str], query: &[(String, String)]) -> Outcome {
    let (column, lookup) = match path {
        [column, last] => (Some(*column), last.split_once('=')),
        _ => (None, None),
    };
    if let (Some("customers"), Some((by @ ("email" | "externalId" | "phone"), value))) = (column, lookup) {
        return Some(customer::find(cx, by, value).map(|row| one(&row)));
    }
    if let (Some("conversations"), Some(("externalId", value))) = (column, lookup) {
        return Some(conversation::find(cx, value).map(|row| one(&row)));
    }
    Some(match path {
        ["auth", "tokens", "current"] => Ok(one(&object::current_token())),
        ["users", "current"] => cx.get("user", MACHINE_USER).map(|row| one(&row)),
        ["outbound-webhooks"] => {
            let rows = webhook::all(cx);
            list::page(rows, "/v1/outbound-webhooks", query, None).map(|page| Answer::json(200, &page))
        }
        ["outbound-webhooks", "events"] => Ok(Answer::json(200, &json!({"data": event::names()}))),
        ["outbound-webhooks", id] => webhook::get(cx, id).map(|row| one(&row)),
        ["klasses", class, last] => match last.split_once('=') {
            Some(("externalId", value)) => object::find_kobject(cx, class, value)
                .ok_or_else(|| error::not_found("externalId", "kobject"))
                .map(|row| one(&row)),
            _ => cx.get("kobject", last).map(|row| one(&row)),
        },
        ["customers", id, rest @ ("conversations" | "messages" | "notes" | "drafts" | "kobjects")] => {
            let kind = kind_of(rest)?;
            match cx.get("customer", id) {
                Err(error) => Err(error),
                Ok(_) => {
                    let rows = cx.belonging(kind, id);
                    list::page(rows, &format!("/v1/customers/{id}/{rest}"), query, None).map(|page| Answer::json(200, &page))
                }
            }
        }
        ["conversations", id, rest @ ("messages" | "notes")] => {
            let kind = kind_of(rest)?;
            match cx.get("conversation", id) {
                Err(error) => Err(error),
                Ok(_) => {
                    let rows = cx.belonging(kind, id);
                    list::page(rows, &format!("/v1/conversations/{id}/{rest}"), query, None).map(|page| Answer::json(200, &page))
                }
            }
        }
        [column] => {
            let kind = kind_of(column)?;
            let rows = cx
                .state
                .table(kind)
                .rows()
                .filter(|row| super::state::attribute(row, "deleted") != Some(&json!(true)))
                .cloned()
                .collect();
            list::page(rows, &format!("/v1/{column}"), query, None).map(|page| Answer::json(200, &page))
        }
        [column, id] => cx.get(kind_of(column)?, id).map(|row| one(&row)),
        _ => return None,
    })
}

fn create(cx: &mut Cx<'_>, path: &[&str], query: &[(String, String)], body: &Value) -> Outcome {
    Some(match path {
        ["customers"] => customer::create(cx, body).map(|row| made(&row)),
        ["customers", "search"] => search::search(cx, query, body).map(|page| Answer::json(200, &page)),
        ["customers", id, "conversations"] => conversation::create(cx, Some(id), body).map(|row| made(&row)),
        ["customers", id, "messages"] => message::record(cx, None, Some(id), body).map(|row| made(&row)),
        ["customers", id, "drafts"] => message::create_draft(cx, id, body).map(|row| made(&row)),
        ["customers", id, "klasses", class] => object::create_kobject(cx, Some(id), class, body).map(|row| made(&row)),
        ["klasses", class] => object::create_kobject(cx, None, class, body).map(|row| made(&row)),
        ["conversations"] => conversation::create(cx, None, body).map(|row| made(&row)),
        ["conversations", id, "messages"] => message::record(cx, Some(id), None, body).map(|row| made(&row)),
        ["conversations", id, "notes"] => conversation::add_note(cx, id, body).map(|row| made(&row)),
        ["conversations", id, "tags"] => conversation::add_tags(cx, id, body).map(|row| one(&row)),
        ["messages"] => message::record(cx, None, None, body).map(|row| made(&row)),
        ["tags"] => object::create_tag(cx, body).map(|row| made(&row)),
        ["outbound-webhooks"] => webhook::create(cx, body).map(|row| made(&row)),
        _ => return None,
    })
}

fn change(cx: &mut Cx<'_>, path: &[&str], body: &Value) -> Outcome {
    Some(match path {
        ["customers", id] => customer::update(cx, id, body).map(|row| one(&row)),
        ["conversations", id] => conversation::update(cx, id, body).map(|row| one(&row)),
        ["drafts", id] => message::update_draft(cx, id, body).map(|row| one(&row)),
        ["outbound-webhooks", id] => webhook::update(cx, id, body).map(|row| one(&row)),
        _ => return None,
    })
}

fn remove(cx: &mut Cx<'_>, path: &[&str]) -> Outcome {
    let done = match path {
        ["customers", id] => customer::delete(cx, id),
        ["drafts", id] => message::delete_draft(cx, id),
        ["outbound-webhooks", id] => webhook::delete(cx, id),
        _ => return None,
    };
    Some(done.map(|()| Answer::empty(204)))
}

/// Returns the type of the records under a path.
fn kind_of(column: &str) -> Option<&'static str> {
    Some(match column {
        "customers" => "customer",
        "conversations" => "conversation",
        "messages" => "message",
        "notes" => "note",
        "drafts" => "draft",
        "tags" => "tag",
        "users" => "user",
        "teams" => "team",
        "kobjects" => "kobject",
        _ => return None,
    })
}

fn one(row: &Value) -> Answer {
    Answer::json(200, &json!({ "data": row }))
}

fn made(row: &Value) -> Answer {
    Answer::json(201, &json!({ "data": row }))
}
