//! The emulator of what has no emulator of its own: messages to Slack, Discord and ntfy, receivers of webhooks, any address,
//! and a language model.
//!
//! It keeps what it gets, shows it, and refuses what the real services refuse, in their own words. Each connector has a path:
//! `/slack`, `/discord`, `/ntfy`, `/webhook`, `/http`, `/ai`. Nothing of it is random: the model answers by the words of a text.

mod anything;
mod chat;
mod model;
mod push;
mod receiver;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use serde_json::{Value, json};
use tokio::sync::broadcast;

use crate::Options;
use crate::activity::{Activity, Call};
use crate::emulator::{Base, Emulator, Exchange};
use crate::http::{Answer, Request};
use crate::lock::lock;
use crate::rate::{Allowed, Bucket, Rate};

/// The token of the bot of the emulated workspace.
pub(crate) const SLACK_TOKEN: &str = "xoxb-sandbox-0000000000";
/// The webhook of the emulated channel.
pub(crate) const DISCORD_WEBHOOK: &str = "https://discord.com/api/webhooks/100/sandbox-token";
/// What messages to the emulated receiver are signed with.
pub(crate) const WEBHOOK_SECRET: &str = "whsec_c2FuZGJveC1zYW5kYm94LXNhbmRib3gtMDE=";
/// Where the emulated receiver would be.
pub(crate) const WEBHOOK_ENDPOINT: &str = "https://receiver.example/hooks";
/// The key of the emulated model.
pub(crate) const AI_KEY: &str = "sk-sandbox-000000000000";

/// How many messages are kept of each kind; older ones are forgotten.
const MOST_KEPT: usize = 1_000;

/// What was sent to the services.
#[derive(Debug, Default)]
struct State {
    slack: VecDeque<Value>,
    discord: VecDeque<Value>,
    ntfy: VecDeque<Value>,
    /// Messages of Standard Webhooks, each id once.
    webhooks: VecDeque<Value>,
    /// What stands at addresses: by method GET.
    documents: BTreeMap<String, Value>,
    /// What the model was asked and answered.
    completions: VecDeque<Value>,
    /// What it answers next, instead of its own.
    scripted: VecDeque<Value>,
    /// Counts what is made, for ids.
    made: u64,
    /// Requests, by service.
    rates: BTreeMap<String, Bucket>,
}

impl State {
    /// Returns the next number of an id.
    fn next(&mut self) -> u64 {
        self.made += 1;
        self.made
    }
}

/// Keeps the newest.
fn keep(list: &mut VecDeque<Value>, item: Value) {
    if list.len() >= MOST_KEPT {
        list.pop_front();
    }
    list.push_back(item);
}

/// The emulator.
pub(crate) struct Web {
    base: Base,
    state: Mutex<State>,
}

impl Web {
    pub(crate) fn new(options: &Options, stream: broadcast::Sender<Activity>) -> Web {
        Web { base: Base::new("web", options, stream), state: Mutex::default() }
    }
}

/// The service that a path belongs to, and what stands behind it.
fn service(path: &str) -> (&str, &str) {
    let path = path.trim_start_matches('/');
    let at = path.find('/').unwrap_or(path.len());
    path.split_at(at)
}

impl Emulator for Web {
    fn base(&self) -> &Base {
        &self.base
    }

    fn body_limit(&self) -> usize {
        4 * 1024 * 1024
    }

    fn admit(&self, request: &Request) -> Option<Exchange> {
        let (name, _) = service(&request.path);
        let allowed = match (self.base.rate, name) {
            (Rate::Of(number), _) => Allowed::per_second(number),
            // Short bursts are let through.
            (Rate::Usual, "slack") => Allowed::burst(5, 950),
            (Rate::Usual, "discord") => Allowed::burst(5, 380),
            (Rate::Usual, "ntfy") => Allowed::burst(60, 4_750),
            (Rate::Usual | Rate::Unlimited, _) => return None,
        };
        let now = self.now();
        if lock(&self.state).rates.entry(name.to_owned()).or_default().take(allowed, now) {
            return None;
        }
        let answer = match name {
            // The header counts whole seconds, the body fractions.
            "discord" => {
                Answer::json(429, &json!({ "message": "You are being rate limited.", "retry_after": 0.25, "global": false }))
            }
            "slack" => text(429, "rate_limited"),
            "ntfy" => push::error(429, 42_901, "limit reached: too many requests"),
            "ai" => model::error(429, "Rate limit reached for requests", "requests", "rate_limit_exceeded"),
            _ => Answer::json(429, &json!({ "error": "too many requests" })),
        };
        Some(exchange(request, answer.with("retry-after", "1"), "too many requests".to_owned()))
    }

    fn perform(&self, request: &Request, _instead: Option<&Answer>) -> Exchange {
        let mut state = lock(&self.state);
        let now = self.now();
        let (name, path) = service(&request.path);
        let (answer, summary) = match name {
            "slack" => chat::slack(&mut state, request, path, now),
            "discord" => chat::discord(&mut state, request, path, now),
            "ntfy" => push::publish(&mut state, request, path, now),
            "webhook" => receiver::receive(&mut state, request, now),
            "ai" => model::complete(&mut state, request, path, now),
            _ => anything::answer(&mut state, request, path),
        };
        exchange(request, answer, summary)
    }

    fn error_answer(&self, status: u16, message: &str) -> Answer {
        Answer::json(status, &json!({ "error": message }))
    }

    /// `{"type": "http.document", "path": "/orders/1", "body": …}` puts something where `http.get` finds it;
    /// `{"type": "ai.answer", "content": "…", "finish_reason": "length", "count": 2}` says what the model answers next.
    fn emit(&self, description: &Value) -> Result<Value, String> {
        let mut state = lock(&self.state);
        match description.get("type").and_then(Value::as_str) {
            Some("http.document") => {
                let path = description.get("path").and_then(Value::as_str).filter(|path| path.starts_with('/'));
                let path = path.ok_or("`path` is where it stands: \"/orders/1\"")?;
                state.documents.insert(path.to_owned(), description.get("body").cloned().unwrap_or_default());
                Ok(json!({ "path": path }))
            }
            Some("ai.answer") => {
                let content = description.get("content").cloned().unwrap_or_default();
                if !content.is_string() && !content.is_null() {
                    return Err("`content` is a text".to_owned());
                }
                let count = description.get("count").and_then(Value::as_u64).unwrap_or(1).min(100);
                for _ in 0..count {
                    state.scripted.push_back(description.clone());
                }
                Ok(json!({ "scripted": state.scripted.len() }))
            }
            other => Err(format!("there is no `{}`; there are http.document and ai.answer", other.unwrap_or_default())),
        }
    }

    fn snapshot(&self) -> Value {
        let state = lock(&self.state);
        json!({
            "slack": state.slack,
            "discord": state.discord,
            "ntfy": state.ntfy,
            "webhooks": state.webhooks,
            "documents": state.documents,
            "completions": state.completions,
            "faults": self.base.faults.snapshot(),
            "calls": self.base.log.calls(),
        })
    }

    fn reset(&self) {
        *lock(&self.state) = State::default();
        self.base.forget();
    }
}

/// Returns the body as a JSON object.
fn object(request: &Request) -> Option<Value> {
    serde_json::from_slice(&request.body).ok().filter(Value::is_object)
}

/// An answer that is a word.
fn text(status: u16, word: &str) -> Answer {
    Answer {
        status,
        headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
        body: word.to_owned().into_bytes().into(),
    }
}

fn exchange(request: &Request, answer: Answer, summary: String) -> Exchange {
    let idempotency_key = request.header("webhook-id").map(str::to_owned);
    Exchange { answer, call: Call { body: request.json_or_text(), summary, idempotency_key, ..Call::default() } }
}
