//! Any address: what is put there can be read there.

use serde_json::{Value, json};

use super::State;
use crate::http::{Answer, Request};

/// The header that says what address was meant.
const INSTEAD_OF: &str = "sandbox-instead-of";

/// Answers a request: what is sent to an address stays there, and `GET` returns it.
pub(super) fn answer(state: &mut State, request: &Request, path: &str) -> (Answer, String) {
    let meant = format!("{}{path}", request.header(INSTEAD_OF).unwrap_or_default());
    let summary = format!("{} {meant}", request.method);
    let answer = match request.method.as_str() {
        "GET" | "HEAD" => match state.documents.get(path) {
            Some(document) => Answer::json(200, document),
            None => Answer::json(404, &json!({ "error": format!("nothing was put at {meant} in the sandbox") })),
        },
        "DELETE" => {
            state.documents.remove(path);
            Answer::empty(204)
        }
        method => {
            let body = match serde_json::from_slice(&request.body) {
                Ok(body) => body,
                Err(_) if request.body.is_empty() => Value::Null,
                Err(_) => json!(String::from_utf8_lossy(&request.body)),
            };
            if state.documents.len() < super::MOST_KEPT || state.documents.contains_key(path) {
                state.documents.insert(path.to_owned(), body.clone());
            }
            Answer::json(if method == "POST" { 201 } else { 200 }, &body)
        }
    };
    (answer, summary)
}
