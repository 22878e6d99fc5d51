//! The Kustomer emulator.

mod conversation;
mod customer;
mod error;
mod event;
mod fields;
mod list;
mod message;
mod object;
mod route;
mod scene;
mod search;
mod state;
mod webhook;

use std::sync::Mutex;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use subtle::ConstantTimeEq;
use tokio::sync::broadcast;

use crate::Options;
use crate::activity::{Activity, Call};
use crate::delivery::Queue;
use crate::emulator::{Base, Emulator, Exchange};
use crate::http::{Answer, Request};
use crate::ids::Ids;
use crate::lock::lock;
use crate::refusal::Refusal;

use state::{Cx, MACHINE_USER, State};

/// The API key of the emulated organisation.
pub(crate) const KEY: &str = "kustomer_sandbox_key_00000000000000";
/// What webhooks to the sandbox's own target are signed with.
pub(crate) const WEBHOOK_SECRET: &str = "kustomer_sandbox_webhook_token_0000";
/// The organisation's name.
pub(crate) const ORG: &str = "sandbox";

/// How many requests a minute an organisation has, of all its keys.
const USUAL_RATE: u32 = 1_000;
/// How many of them may be searches.
const MOST_SEARCHES: u32 = 100;

/// The emulator.
pub(crate) struct Kustomer {
    base: Base,
    queue: Queue,
    seed: Option<u64>,
    state: Mutex<State>,
}

impl Kustomer {
    pub(crate) fn new(options: &Options, queue: Queue, stream: broadcast::Sender<Activity>) -> Kustomer {
        Kustomer {
            base: Base::new("kustomer", options, stream),
            queue,
            seed: options.seed,
            state: Mutex::new(State::new(Ids::new(options.seed), (options.clock)())),
        }
    }

    /// Changes the state, then sends the webhooks that come of it.
    fn with<T>(&self, author: Option<&'static str>, change: impl FnOnce(&mut Cx<'_>) -> T) -> T {
        let mut state = lock(&self.state);
        let mut cx = Cx::new(&mut state, self.now(), author);
        let result = change(&mut cx);
        let outgoing = cx.outgoing;
        self.queue.push_all(outgoing);
        result
    }

    /// Finishes an answer with the headers that every one has.
    fn finish(&self, state: &State, now: Timestamp, result: Result<Answer, Refusal>, request: &Request) -> Exchange {
        let (mut answer, summary) = match result {
            Ok(answer) => {
                let summary = summary_of(&answer);
                (answer, summary)
            }
            Err(error) => (Answer::json(error.status, error.body()), error.summary().to_owned()),
        };
        let limit = self.base.rate.or(USUAL_RATE);
        // Where any number is let in, it is never said that nothing is left.
        let least = u32::from(limit.is_none());
        let limit = limit.unwrap_or(USUAL_RATE);
        let remaining = limit.saturating_sub(state.rate.count).max(least);
        let minute = now.as_second().div_euclid(60);
        answer.set("x-ratelimit-limit", limit.to_string());
        answer.set("x-ratelimit-remaining", remaining.to_string());
        answer.set("x-ratelimit-reset", ((minute + 1) * 60).to_string());
        answer.set("x-kustomer-pod", "prod1");
        Exchange { answer, call: Call { body: request.json_or_text(), summary, ..Call::default() } }
    }
}

impl Emulator for Kustomer {
    fn base(&self) -> &Base {
        &self.base
    }

    fn body_limit(&self) -> usize {
        100 * 1024
    }

    fn admit(&self, request: &Request) -> Option<Exchange> {
        let mut state = lock(&self.state);
        let now = self.now();
        let requests = state.rate.count(60, now);
        let searches = if request.path.ends_with("/search") { state.searches.count(60, now) } else { 0 };
        let limit = self.base.rate.or(USUAL_RATE);
        let refused = if limit.is_some_and(|limit| requests > limit || searches > limit.min(MOST_SEARCHES)) {
            error::plain(429, "rate_limited", "Too many requests")
        } else {
            check_credentials(request).err()?
        };
        Some(self.finish(&state, now, Err(refused), request))
    }

    fn perform(&self, request: &Request, _instead: Option<&Answer>) -> Exchange {
        let mut state = lock(&self.state);
        let now = self.now();
        let mut cx = Cx::new(&mut state, now, Some(MACHINE_USER));
        // A draft that is due is sent before anybody can look.
        message::send_due(&mut cx);
        cx.created = None;
        let result = route::answer(&mut cx, request);
        let (created, outgoing) = (cx.created, cx.outgoing);
        let mut exchange = self.finish(&state, now, result, request);
        exchange.call.created = created;
        self.queue.push_all(outgoing);
        exchange
    }

    fn error_answer(&self, status: u16, message: &str) -> Answer {
        Answer::json(status, error::fault(status, message).body()).with("x-kustomer-pod", "prod1")
    }

    fn emit(&self, description: &Value) -> Result<Value, String> {
        self.with(None, |cx| scene::play(cx, description))
    }

    fn tick(&self) {
        self.with(Some(MACHINE_USER), message::send_due);
    }

    fn snapshot(&self) -> Value {
        let state = lock(&self.state);
        let mut snapshot: Map<String, Value> = NAMES
            .iter()
            .map(|(kind, plural)| {
                let rows = state.tables.get(kind).map(|table| table.rows().cloned().collect());
                ((*plural).to_owned(), rows.unwrap_or(json!([])))
            })
            .collect();
        snapshot.insert("webhook_target".to_owned(), json!(state.webhook_target));
        drop(state);
        snapshot.insert("faults".to_owned(), self.base.faults.snapshot());
        snapshot.insert("calls".to_owned(), Value::Array(self.base.log.calls()));
        Value::Object(snapshot)
    }

    fn reset(&self) {
        let mut state = lock(&self.state);
        let target = state.webhook_target.take();
        *state = State::new(Ids::new(self.seed), self.now());
        state.webhook_target = target;
        drop(state);
        self.base.forget();
    }

    fn set_webhook_target(&self, url: Option<String>) {
        lock(&self.state).webhook_target = url;
    }

    fn has_endpoint(&self, id: &str) -> bool {
        lock(&self.state).table("outbound-webhook").get(id).is_some()
    }

    fn delivered(&self, _event: &str, endpoint: Option<&str>, ok: bool) {
        if let (false, Some(id)) = (ok, endpoint) {
            self.with(None, |cx| webhook::switch_off(cx, id));
        }
    }
}

/// What the kinds are called in a snapshot.
const NAMES: &[(&str, &str)] = &[
    ("conversation", "conversations"),
    ("customer", "customers"),
    ("draft", "drafts"),
    ("event", "events"),
    ("kobject", "kobjects"),
    ("message", "messages"),
    ("note", "notes"),
    ("outbound-webhook", "outbound_webhooks"),
    ("tag", "tags"),
    ("team", "teams"),
    ("user", "users"),
];

fn check_credentials(request: &Request) -> Result<(), Refusal> {
    let header = request.header("authorization").unwrap_or_default();
    let (scheme, key) = header.split_once(' ').unwrap_or((header, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(error::unauthorized("No authorization token was found"));
    }
    if bool::from(key.trim().as_bytes().ct_eq(KEY.as_bytes())) {
        return Ok(());
    }
    Err(error::unauthorized("The authorization token is invalid"))
}

/// Returns one line about an answer, for a person.
fn summary_of(answer: &Answer) -> String {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    match body.get("data") {
        Some(Value::Array(list)) => format!("{} listed", list.len()),
        Some(row) => {
            let kind = row.get("type").and_then(Value::as_str).unwrap_or_default();
            let detail = ["displayName", "name", "preview", "body"]
                .into_iter()
                .map(|name| state::attribute_text(row, name))
                .find(|detail| !detail.is_empty())
                .map(|detail| {
                    let short: String = detail.chars().take(60).collect();
                    format!(" ({short})")
                });
            format!("{kind} {}{}", state::id_of(row), detail.unwrap_or_default())
        }
        None => "done".to_owned(),
    }
}
