//! The control endpoints under `/_sandbox`, for tests and for people who try things.
//!
//! They need no credentials, so they answer only to programs on this machine, and not to web pages in
//! its browsers.

use std::net::{IpAddr, SocketAddr};

use serde_json::{Value, json};

use crate::emulator::Emulator;
use crate::http::{Answer, Request};

/// The longest body, in bytes.
pub(crate) const BODY_LIMIT: usize = 1024 * 1024;

/// True for paths that the control endpoints own.
pub(crate) fn is_control(path: &str) -> bool {
    path == "/_sandbox" || path.starts_with("/_sandbox/")
}

/// Answers a control request.
pub(crate) fn answer(emulator: &dyn Emulator, peer: SocketAddr, request: &Request) -> Answer {
    if !is_loopback(peer.ip()) {
        return error(403, "control endpoints answer only to this machine");
    }
    if request.headers.contains_key("origin") {
        return error(403, "control endpoints do not answer to web pages");
    }
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/_sandbox/state") => Answer::json(200, &emulator.snapshot()),
        ("GET", "/_sandbox/calls") => Answer::json(200, &json!({"calls": emulator.log().calls()})),
        ("DELETE", "/_sandbox/calls") => {
            emulator.log().clear();
            Answer::empty(204)
        }
        ("GET", "/_sandbox/faults") => Answer::json(200, &json!({"faults": emulator.faults().snapshot()})),
        ("POST", "/_sandbox/faults") => {
            with_json(request, |body| emulator.faults().add(body).map(|count| json!({"rules": count})))
        }
        ("DELETE", "/_sandbox/faults") => {
            emulator.faults().clear();
            Answer::empty(204)
        }
        ("POST", "/_sandbox/events") => with_json(request, |body| emulator.emit(body)),
        ("POST" | "PUT", "/_sandbox/webhook_target") => with_json(request, |body| {
            let url = match body.get("url") {
                Some(Value::String(url)) => Some(url.clone()),
                Some(Value::Null) => None,
                Some(_) | None => return Err("`url` must be text or null".to_owned()),
            };
            emulator.set_webhook_target(url.clone());
            Ok(json!({"url": url}))
        }),
        ("POST", "/_sandbox/reset") => {
            emulator.reset();
            Answer::empty(204)
        }
        _ => error(404, "no such control endpoint"),
    }
}

fn with_json(request: &Request, act: impl FnOnce(&Value) -> Result<Value, String>) -> Answer {
    let body = match serde_json::from_slice(&request.body) {
        Ok(body) => body,
        Err(problem) => return error(400, &format!("the body is not JSON: {problem}")),
    };
    match act(&body) {
        Ok(result) => Answer::json(200, &result),
        Err(message) => error(400, &message),
    }
}

fn error(status: u16, message: &str) -> Answer {
    Answer::json(status, &json!({"error": {"message": message}}))
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}
