//! ntfy: notifications to topics.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{State, keep, object};
use crate::http::{Answer, Request};

/// The longest message; beyond, it becomes a file.
const LONGEST: usize = 4_096;
/// How long a message is kept, in seconds.
const KEPT: i64 = 43_200;

/// `POST /` with JSON.
pub(super) fn publish(state: &mut State, request: &Request, path: &str, now: Timestamp) -> (Answer, String) {
    let no = |status, code, message: &str| (error(status, code, message), message.to_owned());
    if request.method != "POST" || !matches!(path, "" | "/") {
        return no(404, 40_401, "page not found");
    }
    if request.header("authorization").is_some() {
        return no(401, 40_101, "unauthorized");
    }
    let Some(message) = object(request) else { return no(400, 40_017, "invalid request: request body must be valid JSON") };
    let text = |name: &str| message.get(name).and_then(Value::as_str);
    let is_name = |topic: &str| {
        (1..=64).contains(&topic.len()) && topic.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let Some(topic) = text("topic").filter(|topic| is_name(topic)) else {
        return no(400, 40_009, "invalid request: topic invalid");
    };
    if let Some(priority) = message.get("priority")
        && !priority.as_i64().is_some_and(|priority| (1..=5).contains(&priority))
    {
        return no(400, 40_007, "invalid request: priority invalid");
    }
    let mut at = now.as_second();
    if let Some(delay) = text("delay") {
        let Ok(due) = delay.parse::<i64>() else { return no(400, 40_004, "invalid delay parameter: unable to parse delay") };
        match due - at {
            ..10 => return no(400, 40_005, "invalid delay parameter: too small, please refer to the docs"),
            10..=259_200 => at = due,
            _ => return no(400, 40_006, "invalid delay parameter: too large, please refer to the docs"),
        }
    }
    let body = text("message").filter(|body| !body.is_empty()).unwrap_or("triggered");
    let id = format!("sandbox{:05}", state.next());
    let mut made = message.clone();
    if let Some(fields) = made.as_object_mut() {
        fields.extend([
            ("id".to_owned(), json!(id)),
            ("time".to_owned(), json!(at)),
            ("expires".to_owned(), json!(at + KEPT)),
            ("event".to_owned(), json!("message")),
        ]);
        if body.len() > LONGEST {
            fields.insert("message".to_owned(), json!("You received a file: attachment.txt"));
            fields.insert("attachment".to_owned(), json!({ "name": "attachment.txt", "size": body.len() }));
        }
    }
    let summary = format!("{topic}: {}", body.chars().take(80).collect::<String>());
    keep(&mut state.ntfy, made.clone());
    (Answer::json(200, &made), summary)
}

/// An error of ntfy.
pub(super) fn error(status: u16, code: u32, message: &str) -> Answer {
    Answer::json(status, &json!({ "code": code, "http": status, "error": message, "link": "https://ntfy.sh/docs/publish/" }))
}
