//! Slack and Discord: messages to channels.

use jiff::Timestamp;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use super::{DISCORD_WEBHOOK, SLACK_TOKEN, State, keep, object, text};
use crate::http::{Answer, Request};

/// The longest text of a message.
const LONGEST_SLACK: usize = 40_000;
const LONGEST_DISCORD: usize = 2_000;

/// Slack's incoming webhooks (`/services/…`) and `chat.postMessage`.
pub(super) fn slack(state: &mut State, request: &Request, path: &str, now: Timestamp) -> (Answer, String) {
    if let Some(webhook) = path.strip_prefix("/services/") {
        return slack_webhook(state, request, webhook, now);
    }
    // The API says no with status 200.
    let no = |error: &str| (Answer::json(200, &json!({ "ok": false, "error": error })), error.to_owned());
    if path != "/api/chat.postMessage" || request.method != "POST" {
        return no("unknown_method");
    }
    match request.header("authorization").and_then(|value| value.strip_prefix("Bearer ")) {
        None => return no("not_authed"),
        Some(token) if !bool::from(token.as_bytes().ct_eq(SLACK_TOKEN.as_bytes())) => return no("invalid_auth"),
        Some(_) => {}
    }
    let Some(message) = object(request) else { return no("invalid_json") };
    let Some(channel) = word(&message, "channel") else { return no("channel_not_found") };
    match problem(&message) {
        Some("no_text") => return no("no_text"),
        Some(error) => return no(error),
        None => {}
    }
    let number = state.next();
    let ts = format!("{}.{number:06}", now.as_second());
    let id = format!("C{:08X}", channel.bytes().fold(0u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())));
    keep(&mut state.slack, json!({ "channel": channel, "ts": ts, "message": message }));
    let answer = json!({ "ok": true, "channel": id, "ts": ts, "message": { "type": "message", "text": message.get("text") } });
    (Answer::json(200, &answer), format!("{channel}: {}", shown(&message, "text")))
}

fn slack_webhook(state: &mut State, request: &Request, webhook: &str, now: Timestamp) -> (Answer, String) {
    let no = |status, word: &str| (text(status, word), word.to_owned());
    if webhook.split('/').filter(|part| !part.is_empty()).count() != 3 {
        return no(404, "no_service");
    }
    let Some(message) = object(request) else { return no(400, "invalid_payload") };
    if let Some(error) = problem(&message) {
        return no(400, error);
    }
    state.next();
    let summary = shown(&message, "text");
    keep(&mut state.slack, json!({ "webhook": webhook, "at": now.to_string(), "message": message }));
    (text(200, "ok"), summary)
}

/// What is wrong with a message for Slack.
fn problem(message: &Value) -> Option<&'static str> {
    let blocks = message.get("blocks").filter(|blocks| !blocks.is_null());
    match (message.get("text"), blocks) {
        (Some(Value::String(text)), _) if text.chars().count() > LONGEST_SLACK => Some("msg_too_long"),
        (_, Some(blocks)) if !blocks.is_array() => Some("invalid_blocks"),
        (Some(Value::String(text)), _) if !text.is_empty() => None,
        (_, Some(_)) => None,
        _ => Some("no_text"),
    }
}

/// Discord's webhooks.
pub(super) fn discord(state: &mut State, request: &Request, path: &str, now: Timestamp) -> (Answer, String) {
    let no = |status, code: u32, message: &str| {
        (Answer::json(status, &json!({ "message": message, "code": code })), message.to_owned())
    };
    let own = DISCORD_WEBHOOK.trim_start_matches("https://discord.com");
    let Some((own_id, _)) = own.rsplit_once('/') else { return no(404, 10_015, "Unknown Webhook") };
    if request.method != "POST" {
        return no(405, 0, "405: Method Not Allowed");
    }
    if path != own {
        let known = path.rsplit_once('/').is_some_and(|(id, _)| id == own_id);
        return if known { no(401, 50_027, "Invalid Webhook Token") } else { no(404, 10_015, "Unknown Webhook") };
    }
    let Some(message) = object(request) else { return no(400, 50_109, "The request body contains invalid JSON.") };
    let content = word(&message, "content");
    let embeds = message.get("embeds").and_then(Value::as_array);
    if content.is_none_or(str::is_empty) && embeds.is_none_or(Vec::is_empty) {
        return no(400, 50_006, "Cannot send an empty message");
    }
    let too_long = content.is_some_and(|content| content.chars().count() > LONGEST_DISCORD);
    if too_long || embeds.is_some_and(|embeds| embeds.len() > 10) {
        return no(400, 50_035, "Invalid Form Body");
    }
    // Without a word about it everything that looks like a mention is one.
    let allowed = message.pointer("/allowed_mentions/parse").and_then(Value::as_array);
    let notifies = allowed.is_none_or(|allowed| allowed.contains(&json!("everyone")));
    let everyone = notifies && content.is_some_and(|content| content.contains("@everyone") || content.contains("@here"));
    let id = format!("{}", 1_200_000_000_000_000_000 + state.next());
    let made = json!({
        "id": id, "type": 0, "content": content.unwrap_or_default(), "channel_id": "200", "mention_everyone": everyone,
        "timestamp": now.to_string(), "embeds": message.get("embeds"), "webhook_id": "100",
    });
    let summary = shown(&message, "content");
    keep(&mut state.discord, made.clone());
    let waits = request.query_pairs().iter().any(|(name, value)| name == "wait" && value == "true");
    (if waits { Answer::json(200, &made) } else { Answer::empty(204) }, summary)
}

fn word<'v>(message: &'v Value, name: &str) -> Option<&'v str> {
    message.get(name).and_then(Value::as_str)
}

/// The beginning of a text, for the log.
fn shown(message: &Value, name: &str) -> String {
    word(message, name).unwrap_or_default().chars().take(80).collect()
}
