//! The Customer.io emulator: both APIs at one address, which their paths tell apart.

mod error;
mod message;
mod person;
mod report;
mod route;
mod scene;
mod state;
mod track;

use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;
use tokio::sync::broadcast;

use crate::Options;
use crate::activity::{Activity, Call};
use crate::delivery::Queue;
use crate::emulator::{Base, Emulator, Exchange};
use crate::http::{Answer, Request};
use crate::ids::Ids;
use crate::lock::lock;
use crate::rate::Allowed;
use crate::refusal::Refusal;
use crate::table::Table;

use error::Api;
use state::{Cx, State};

/// The site id of the emulated workspace.
pub(crate) const SITE_ID: &str = "customerio_sandbox_site";
/// Its key for the Track API.
pub(crate) const TRACK_KEY: &str = "customerio_sandbox_track_key_000000";
/// Its key for the App API.
pub(crate) const APP_KEY: &str = "customerio_sandbox_app_key_00000000";
/// What its reporting webhooks are signed with.
pub(crate) const WEBHOOK_SIGNING_KEY: &str = "customerio_sandbox_signing_key_0000";

/// The emulator.
pub(crate) struct Customerio {
    base: Base,
    queue: Queue,
    seed: Option<u64>,
    state: Mutex<State>,
}

impl Customerio {
    pub(crate) fn new(options: &Options, queue: Queue, stream: broadcast::Sender<Activity>) -> Customerio {
        Customerio {
            base: Base::new("customerio", options, stream),
            queue,
            seed: options.seed,
            state: Mutex::new(State::new(Ids::new(options.seed))),
        }
    }

    /// Changes the state, then sends the webhooks that come of it.
    fn with<T>(&self, change: impl FnOnce(&mut Cx<'_>) -> T) -> T {
        let mut state = lock(&self.state);
        let mut cx = Cx::new(&mut state, self.now());
        let result = change(&mut cx);
        let outgoing = cx.outgoing;
        self.queue.push_all(outgoing);
        result
    }
}

impl Emulator for Customerio {
    fn base(&self) -> &Base {
        &self.base
    }

    fn body_limit(&self) -> usize {
        2 * 1024 * 1024
    }

    fn admit(&self, request: &Request) -> Option<Exchange> {
        // What is no address at all is said so behind this.
        let (api, _) = route::api_of(&request.path)?;
        let mut state = lock(&self.state);
        let now = self.now();
        let [track, read, send] = &mut state.rates;
        let (bucket, usual) = match api {
            Api::Track => (track, 1_000),
            Api::App if request.path.contains("/send/") => (send, 100),
            Api::App => (read, 10),
        };
        let rate = self.base.rate.or(usual);
        let refused = if rate.is_some_and(|rate| !bucket.take(Allowed::per_second(rate), now)) {
            // There are no headers that tell of it.
            error::of(api, 429, "too many requests")
        } else {
            check_credentials(api, request).err()?
        };
        Some(exchange(Err(refused), request, None))
    }

    fn perform(&self, request: &Request, _instead: Option<&Answer>) -> Exchange {
        let (result, created) = self.with(|cx| {
            message::deliver_due(cx);
            let result = route::answer(cx, request);
            (result, cx.created.take())
        });
        exchange(result, request, created)
    }

    fn error_answer(&self, status: u16, message: &str) -> Answer {
        Answer::json(status, error::single(status, message).body())
    }

    fn emit(&self, description: &Value) -> Result<Value, String> {
        self.with(|cx| scene::play(cx, description))
    }

    fn tick(&self) {
        self.with(message::deliver_due);
    }

    fn snapshot(&self) -> Value {
        let state = lock(&self.state);
        let rows = |table: &Table| Value::Array(table.rows().cloned().collect());
        let mut suppressed: Vec<&String> = state.suppressed.iter().collect();
        suppressed.sort();
        json!({
            "people": rows(&state.people),
            "suppressed": suppressed,
            "track_events": rows(&state.events),
            "deliveries": rows(&state.deliveries),
            "segments": rows(&state.segments),
            "broadcasts": rows(&state.broadcasts),
            "form_submissions": rows(&state.forms),
            "activities": rows(&state.activities),
            "events": rows(&state.reports),
            "webhook_target": state.webhook_target,
            "faults": self.base.faults.snapshot(),
            "calls": self.base.log.calls(),
        })
    }

    fn reset(&self) {
        let mut state = lock(&self.state);
        let target = state.webhook_target.take();
        *state = State::new(Ids::new(self.seed));
        state.webhook_target = target;
        drop(state);
        self.base.forget();
    }

    fn set_webhook_target(&self, url: Option<String>) {
        lock(&self.state).webhook_target = url;
    }
}

fn exchange(result: Result<Answer, Refusal>, request: &Request, created: Option<String>) -> Exchange {
    let (answer, summary) = match result {
        Ok(answer) => (answer, created.clone().unwrap_or_else(|| "done".to_owned())),
        Err(error) => (Answer::json(error.status, error.body()), error.summary().to_owned()),
    };
    Exchange { answer, call: Call { body: request.json_or_text(), created, summary, ..Call::default() } }
}

fn check_credentials(api: Api, request: &Request) -> Result<(), Refusal> {
    let header = request.header("authorization").unwrap_or_default();
    let (scheme, given) = header.split_once(' ').unwrap_or((header, ""));
    let (wanted_scheme, wanted) = match api {
        Api::Track => ("basic", STANDARD.encode(format!("{SITE_ID}:{TRACK_KEY}"))),
        Api::App => ("bearer", APP_KEY.to_owned()),
    };
    if scheme.eq_ignore_ascii_case(wanted_scheme) && bool::from(given.trim().as_bytes().ct_eq(wanted.as_bytes())) {
        return Ok(());
    }
    Err(error::of(api, 401, "unauthorized"))
}
