//! A receiver of Standard Webhooks, which takes what is signed, fresh, and new.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::{State, WEBHOOK_SECRET, keep};
use crate::http::{Answer, Request};

/// How far the clock of a sender may be away, in seconds.
const TOLERANCE: u64 = 300;

/// Takes a message, or says why not.
pub(super) fn receive(state: &mut State, request: &Request, now: Timestamp) -> (Answer, String) {
    let no = |status, error: &str| (Answer::json(status, &json!({ "error": error })), error.to_owned());
    if request.method != "POST" {
        return no(405, "only POST");
    }
    let (Some(id), Some(at), Some(signatures)) =
        (request.header("webhook-id"), request.header("webhook-timestamp"), request.header("webhook-signature"))
    else {
        return no(400, "a header of the signature is missing");
    };
    if !at.parse::<i64>().is_ok_and(|at| at.abs_diff(now.as_second()) <= TOLERANCE) {
        return no(400, "the time is too far away");
    }
    let Some(expected) = signature(id, at, &request.body) else { return no(500, "the secret is none") };
    let good = signatures
        .split(' ')
        .filter_map(|entry| entry.strip_prefix("v1,"))
        .any(|given| bool::from(given.as_bytes().ct_eq(expected.as_bytes())));
    if !good {
        return no(400, "the signature does not match");
    }
    if state.webhooks.iter().any(|known| known.get("id") == Some(&json!(id))) {
        return (Answer::json(200, &json!({ "received": true, "duplicate": true })), format!("{id} again"));
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let kind = body.get("type").and_then(Value::as_str).unwrap_or("a message").to_owned();
    keep(&mut state.webhooks, json!({ "id": id, "path": request.path, "body": body }));
    (Answer::json(200, &json!({ "received": true })), kind)
}

fn signature(id: &str, at: &str, body: &[u8]) -> Option<String> {
    let key = STANDARD.decode(WEBHOOK_SECRET.strip_prefix("whsec_")?).ok()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    mac.update(format!("{id}.{at}.").as_bytes());
    mac.update(body);
    Some(STANDARD.encode(mac.finalize().into_bytes()))
}
