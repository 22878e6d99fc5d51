//! The Stripe emulator, in the shapes of API version 2026-10-28.endive.

mod catalog;
mod charge;
mod checkout;
mod coupon;
mod customer;
mod dispute;
mod endpoint;
mod error;
mod event;
mod expand;
mod idempotency;
mod invoice;
mod list;
mod money;
mod payment_intent;
mod payment_link;
mod payment_method;
mod payout;
mod portal;
mod refund;
mod route;
mod scene;
mod search;
mod spec;
mod state;
mod subscription;

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use subtle::ConstantTimeEq;
use tokio::sync::broadcast;

use crate::Options;
use crate::activity::{Activity, Call};
use crate::delivery::{Delivery, Queue};
use crate::emulator::{Base, Emulator, Exchange};
use crate::form;
use crate::http::{Answer, Request};
use crate::ids::Ids;
use crate::lock::lock;
use crate::rate::{Allowed, Rate};

use error::ApiError;
use idempotency::Verdict;
use state::{Cause, Cx, State};

/// The secret key of the emulated account.
pub(crate) const KEY: &str = "sk_test_sandbox000000000000000000";
/// What webhooks to the sandbox's own target are signed with.
pub(crate) const WEBHOOK_SECRET: &str = "whsec_sandbox0000000000000000000000";
/// The version in whose shapes everything is rendered.
pub(crate) const API_VERSION: &str = "2026-10-28.endive";
/// How many requests a second an account has in test mode.
const USUAL_RATE: u32 = 25;

/// The emulator.
pub(crate) struct Stripe {
    base: Base,
    queue: Queue,
    seed: Option<u64>,
    demo: bool,
    /// The second of the last tick.
    ticked: AtomicI64,
    state: Mutex<State>,
}

impl Stripe {
    pub(crate) fn new(options: &Options, queue: Queue, stream: broadcast::Sender<Activity>) -> Stripe {
        let stripe = Stripe {
            base: Base::new("stripe", options, stream),
            queue,
            seed: options.seed,
            demo: options.demo,
            ticked: AtomicI64::new(0),
            state: Mutex::new(State::new(Ids::new(options.seed))),
        };
        stripe.seed_demo();
        stripe
    }

    fn seed_demo(&self) {
        if self.demo {
            self.with(Cause::default(), scene::seed);
        }
    }

    /// Changes the state, then sends the webhooks that come of it.
    fn with<T>(&self, cause: Cause, change: impl FnOnce(&mut Cx<'_>) -> T) -> T {
        let mut state = lock(&self.state);
        let mut cx = Cx::new(&mut state, self.now().as_second(), cause);
        let result = change(&mut cx);
        let outgoing = cx.outgoing;
        self.send(&mut state, outgoing);
        result
    }

    fn send(&self, state: &mut State, outgoing: Vec<Delivery>) {
        for delivery in outgoing {
            let event = delivery.event.clone();
            if !self.queue.push(delivery) {
                let mut cx = Cx::new(state, 0, Cause::default());
                event::delivered(&mut cx, &event, false);
            }
        }
    }

    /// Finishes an answer with the headers that every one has.
    fn exchange(&self, request: &Request, request_id: &str, result: &Result<Value, ApiError>, body: Value) -> Exchange {
        let (mut answer, summary) = match result {
            Ok(value) => (Answer::json(200, value), summary_of(value)),
            Err(error) => (Answer::json(error.status, &error.body(request_id)), error.summary()),
        };
        if let Err(error) = result {
            error.headers(&mut answer);
        }
        answer.set("request-id", request_id);
        answer.set("stripe-version", version_of(request));
        let idempotency_key = key_of(request).map(str::to_owned);
        if let Some(key) = &idempotency_key {
            answer.set("idempotency-key", key.as_str());
        }
        Exchange { answer, call: Call { body, idempotency_key, summary, ..Call::default() } }
    }
}

impl Emulator for Stripe {
    fn base(&self) -> &Base {
        &self.base
    }

    fn body_limit(&self) -> usize {
        1024 * 1024
    }

    fn admit(&self, request: &Request) -> Option<Exchange> {
        let mut state = lock(&self.state);
        let now = self.now().as_second();
        let verdict = check_credentials(request)
            .and_then(|()| check_version(request))
            .and_then(|()| check_rate(&mut state, self.base.rate, self.now()))
            .and_then(|()| check_content(request))
            .and_then(|()| claim_key(&mut state, request, now));
        let refused = match verdict {
            Ok(Verdict::Run) => return None,
            Ok(Verdict::Replay { mut answer, request_id }) => {
                let own = state.ids.alphanumeric("req_", 14);
                answer.set("original-request", request_id);
                answer.set("idempotent-replayed", "true");
                answer.set("request-id", own);
                let call = Call {
                    body: body_of(request),
                    idempotency_key: key_of(request).map(str::to_owned),
                    replayed: true,
                    summary: "replayed for its idempotency key".to_owned(),
                    ..Call::default()
                };
                return Some(Exchange { answer, call });
            }
            Ok(Verdict::InUse) => ApiError::key_in_use(key_of(request).unwrap_or_default()),
            Ok(Verdict::Mismatch) => ApiError::idempotency(format!(
                "Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than '{}' if you meant to execute a different request.",
                key_of(request).unwrap_or_default()
            )),
            Err(error) => error,
        };
        let request_id = state.ids.alphanumeric("req_", 14);
        Some(self.exchange(request, &request_id, &Err(refused), body_of(request)))
    }

    fn perform(&self, request: &Request, instead: Option<&Answer>) -> Exchange {
        let mut state = lock(&self.state);
        let request_id = state.ids.alphanumeric("req_", 14);
        let key = key_of(request);
        let cause = Cause { request_id: Some(request_id.clone()), idempotency_key: key.map(str::to_owned) };
        let mut cx = Cx::new(&mut state, self.now().as_second(), cause);
        let result = route::answer(&mut cx, request);
        let (created, outgoing) = (cx.created, cx.outgoing);
        let keep = result.as_ref().err().is_none_or(|error| error.executed);
        let mut exchange = self.exchange(request, &request_id, &result, body_of(request));
        exchange.call.created = created;
        if let Some(key) = key {
            if keep || instead.is_some() {
                let kept = instead.unwrap_or(&exchange.answer).clone();
                state.keys.finish(key, request.id, kept, request_id);
            } else {
                state.keys.release(key, request.id);
            }
        }
        self.send(&mut state, outgoing);
        exchange
    }

    fn abandon(&self, request: &Request) {
        if let Some(key) = key_of(request) {
            lock(&self.state).keys.release(key, request.id);
        }
    }

    fn error_answer(&self, status: u16, message: &str) -> Answer {
        let request_id = lock(&self.state).ids.alphanumeric("req_", 14);
        let error = ApiError::fault(status, message);
        let mut answer = Answer::json(status, &error.body(&request_id)).with("request-id", request_id);
        error.headers(&mut answer);
        answer
    }

    fn emit(&self, description: &Value) -> Result<Value, String> {
        self.with(Cause::default(), |cx| scene::play(cx, description))
    }

    fn tick(&self) {
        let now = self.now().as_second();
        // Times are whole seconds: there is nothing to do twice in one.
        if self.ticked.swap(now, Ordering::Relaxed) != now {
            self.with(Cause::default(), checkout::expire_due);
        }
    }

    fn snapshot(&self) -> Value {
        let state = lock(&self.state);
        let mut snapshot: Map<String, Value> = NAMES.iter().map(|(_, plural)| ((*plural).to_owned(), json!([]))).collect();
        for (kind, table) in &state.tables {
            if kind.contains(':') {
                continue;
            }
            let name = NAMES
                .iter()
                .find(|(singular, _)| singular == kind)
                .map_or_else(|| format!("{kind}s"), |(_, plural)| (*plural).to_owned());
            let rows = if *kind == "event" { table.rows().map(event::shown).collect() } else { table.rows().cloned().collect() };
            snapshot.insert(name, rows);
        }
        snapshot.insert("webhook_target".to_owned(), json!(state.webhook_target));
        drop(state);
        snapshot.insert("faults".to_owned(), self.base.faults.snapshot());
        snapshot.insert("calls".to_owned(), Value::Array(self.base.log.calls()));
        Value::Object(snapshot)
    }

    fn reset(&self) {
        let mut state = lock(&self.state);
        let target = state.webhook_target.take();
        *state = State::new(Ids::new(self.seed));
        state.webhook_target = target;
        drop(state);
        self.base.forget();
        self.seed_demo();
    }

    fn set_webhook_target(&self, url: Option<String>) {
        lock(&self.state).webhook_target = url;
    }

    fn has_endpoint(&self, id: &str) -> bool {
        lock(&self.state).table("webhook_endpoint").get(id).is_some()
    }

    fn delivered(&self, event: &str, _endpoint: Option<&str>, ok: bool) {
        let mut state = lock(&self.state);
        let mut cx = Cx::new(&mut state, 0, Cause::default());
        event::delivered(&mut cx, event, ok);
    }
}

/// What the kinds are called in a snapshot; these are there even when empty.
const NAMES: &[(&str, &str)] = &[
    ("charge", "charges"),
    ("checkout.session", "checkout_sessions"),
    ("coupon", "coupons"),
    ("customer", "customers"),
    ("dispute", "disputes"),
    ("event", "events"),
    ("invoice", "invoices"),
    ("invoiceitem", "invoice_items"),
    ("payment_intent", "payment_intents"),
    ("payment_link", "payment_links"),
    ("payment_method", "payment_methods"),
    ("price", "prices"),
    ("product", "products"),
    ("promotion_code", "promotion_codes"),
    ("refund", "refunds"),
    ("subscription", "subscriptions"),
    ("webhook_endpoint", "webhook_endpoints"),
];

fn key_of(request: &Request) -> Option<&str> {
    if request.method != "POST" {
        return None;
    }
    request.header("idempotency-key").filter(|key| !key.is_empty())
}

fn version_of(request: &Request) -> &str {
    request.header("stripe-version").unwrap_or(API_VERSION)
}

/// Returns the body as JSON for the log; as text where it is no form.
fn body_of(request: &Request) -> Value {
    if request.body.is_empty() {
        return Value::Null;
    }
    match form::decode(&[&request.body]) {
        Ok(fields) => form::to_json(&fields),
        Err(_) => json!(String::from_utf8_lossy(&request.body)),
    }
}

fn check_credentials(request: &Request) -> Result<(), ApiError> {
    let Some(header) = request.header("authorization") else {
        return Err(ApiError::unauthorized(
            "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
        ));
    };
    let (scheme, value) = header.split_once(' ').unwrap_or((header, ""));
    let key = if scheme.eq_ignore_ascii_case("bearer") {
        value.trim().to_owned()
    } else if scheme.eq_ignore_ascii_case("basic") {
        let decoded = STANDARD.decode(value.trim()).unwrap_or_default();
        let pair = String::from_utf8(decoded).unwrap_or_default();
        pair.split_once(':').map_or(pair.as_str(), |(user, _)| user).to_owned()
    } else {
        String::new()
    };
    if bool::from(key.as_bytes().ct_eq(KEY.as_bytes())) {
        return Ok(());
    }
    if key.starts_with("pk_") {
        return Err(ApiError::unauthorized(
            "This API call cannot be made with a publishable API key. Please use a secret API key. You can find a list of your API keys at https://dashboard.stripe.com/account/apikeys.",
        ));
    }
    let shown: String = key.chars().take(8).collect();
    Err(ApiError::unauthorized(format!("Invalid API Key provided: {shown}****")))
}

fn check_version(request: &Request) -> Result<(), ApiError> {
    let version = version_of(request);
    let date: Vec<&str> = version.split('.').next().unwrap_or_default().split('-').collect();
    let sound = date.len() == 3
        && date.iter().zip([4, 2, 2]).all(|(part, length)| part.len() == length && part.chars().all(|c| c.is_ascii_digit()));
    if sound {
        return Ok(());
    }
    let shown: String = version.chars().take(60).collect();
    Err(ApiError::invalid(format!("Invalid Stripe API version: {shown}")))
}

fn check_rate(state: &mut State, rate: Rate, now: Timestamp) -> Result<(), ApiError> {
    match rate.or(USUAL_RATE) {
        Some(rate) if !state.rate.take(Allowed::per_second(rate), now) => Err(ApiError::rate_limited()),
        Some(_) | None => Ok(()),
    }
}

fn check_content(request: &Request) -> Result<(), ApiError> {
    let kind = request.header("content-type").unwrap_or_default();
    if request.method == "POST" && !request.body.is_empty() && kind.starts_with("application/json") {
        return Err(ApiError::invalid(
            "Invalid request (check that your POST content type is application/x-www-form-urlencoded). If you have any questions, we can help at https://support.stripe.com/.",
        ));
    }
    form::decode(&[request.query.as_bytes(), &request.body])
        .map(|_| ())
        .map_err(|error| ApiError::invalid(format!("Invalid request: {error}")))
}

fn claim_key(state: &mut State, request: &Request, now: i64) -> Result<Verdict, ApiError> {
    let Some(key) = key_of(request) else {
        return Ok(Verdict::Run);
    };
    if key.len() > 255 {
        return Err(ApiError::invalid("Idempotency keys may be at most 255 characters long."));
    }
    // Equal parameters in another order or encoding are equal.
    let parameters =
        form::decode(&[request.query.as_bytes(), &request.body]).map(|fields| form::to_json(&fields)).unwrap_or_default();
    let asked = format!("{} {} {parameters}", request.method, request.path);
    Ok(state.keys.claim(key, &asked, request.id, now))
}

/// Returns one line about an answer, for a person.
fn summary_of(value: &Value) -> String {
    let field = |name| state::text(value, name);
    match (field("object"), field("id")) {
        ("list" | "search_result", _) => {
            let count = value.get("data").and_then(Value::as_array).map_or(0, Vec::len);
            format!("{count} listed")
        }
        (object, id) => {
            let detail = ["status", "email", "name"].into_iter().map(field).find(|detail| !detail.is_empty());
            let detail = detail.map(|detail| format!(" ({detail})")).unwrap_or_default();
            format!("{object} {id}{detail}")
        }
    }
}
