//! The Sesame emulator: the Web API of a lock that stands behind a cloud.
//!
//! The cloud accepts commands and hands them to the device a moment later; what it tells of a device is what the device
//! reported last. One act leaves several records in the history, and a device whose module is offline drops commands in silence.

mod command;
mod device;
mod scene;

use std::collections::BTreeMap;
use std::sync::Mutex;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;
use tokio::sync::broadcast;

use crate::Options;
use crate::activity::{Activity, Call};
use crate::emulator::{Base, Emulator, Exchange};
use crate::http::{Answer, Request};
use crate::lock::lock;
use crate::rate::{Allowed, Bucket, Rate};

use device::{Device, Kind};

/// The API key of the emulated account.
pub(crate) const KEY: &str = "sesame_sandbox_api_key_00000000000000000";
/// A lock that every emulated account has.
pub(crate) const DEVICE: &str = "11223344-5566-7788-99AA-BBCCDDEEFF00";
/// What commands to it are signed with.
pub(crate) const SECRET_KEY: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
/// A button pusher of the same account, with the same secret key.
const BOT: &str = "99AABBCC-DDEE-FF00-1122-334455667788";

/// So many calls a month were met.
const USUAL_QUOTA: u64 = 1_000;
/// The most records that one page holds, and what it holds where nobody says.
const LONGEST_PAGE: usize = 50;
/// What the service says to a wrong key as well as to one whose calls are used up.
const DENIED: &str = "User is not authorized to access this resource with an explicit deny in an identity-based policy";

/// Everything that the cloud knows.
#[derive(Debug)]
struct State {
    devices: BTreeMap<String, Device>,
    /// How many calls the key has in a month; any number where somebody said so.
    quota: Option<u64>,
    /// The month that is counted, and its calls.
    used: ((i16, i8), u64),
    rate: Bucket,
    /// What an accepted command is answered with is empty.
    empty_answers: bool,
}

impl State {
    fn new(now: Timestamp) -> State {
        let mut devices = BTreeMap::new();
        for (id, kind) in [(DEVICE, Kind::Lock), (BOT, Kind::Bot)] {
            if let Some(device) = Device::new(kind, SECRET_KEY, now) {
                devices.insert(id.to_owned(), device);
            }
        }
        State { devices, quota: Some(USUAL_QUOTA), used: ((0, 0), 0), rate: Bucket::default(), empty_answers: false }
    }

    /// Counts a call; `false` where the key has none left. A call that is refused for that is not counted.
    fn spend(&mut self, now: Timestamp) -> bool {
        let date = now.to_zoned(TimeZone::UTC).date();
        let month = (date.year(), date.month());
        if self.used.0 != month {
            self.used = (month, 0);
        }
        if self.quota.is_some_and(|quota| self.used.1 >= quota) {
            return false;
        }
        self.used.1 += 1;
        true
    }

    /// Does what devices had to do by now.
    fn settle(&mut self, now: Timestamp) {
        self.devices.values_mut().for_each(|device| device.settle(now));
    }
}

/// The emulator.
pub(crate) struct Sesame {
    base: Base,
    state: Mutex<State>,
}

impl Sesame {
    pub(crate) fn new(options: &Options, stream: broadcast::Sender<Activity>) -> Sesame {
        Sesame { base: Base::new("sesame", options, stream), state: Mutex::new(State::new((options.clock)())) }
    }
}

impl Emulator for Sesame {
    fn base(&self) -> &Base {
        &self.base
    }

    fn body_limit(&self) -> usize {
        10 * 1024
    }

    fn admit(&self, request: &Request) -> Option<Exchange> {
        let mut state = lock(&self.state);
        let now = self.now();
        let too_fast = match self.base.rate {
            Rate::Of(rate) => !state.rate.take(Allowed::per_second(rate), now),
            // The service counts by the month, below.
            Rate::Usual | Rate::Unlimited => false,
        };
        let refused = if too_fast {
            message(429, "message", "Too Many Requests")
        } else {
            match request.header("x-api-key") {
                None | Some("") => message(401, "message", "Unauthorized"),
                Some(key) if !bool::from(key.as_bytes().ct_eq(KEY.as_bytes())) => message(403, "Message", DENIED),
                // The two cannot be told apart.
                Some(_) if self.base.rate != Rate::Unlimited && !state.spend(now) => message(403, "Message", DENIED),
                Some(_) => return None,
            }
        };
        Some(exchange(request, refused, "refused".to_owned()))
    }

    fn perform(&self, request: &Request, _instead: Option<&Answer>) -> Exchange {
        let mut state = lock(&self.state);
        let now = self.now();
        state.settle(now);
        let (answer, summary) = route(&mut state, request, now);
        exchange(request, answer, summary)
    }

    fn error_answer(&self, status: u16, text: &str) -> Answer {
        let name = if status == 403 { "Message" } else { "message" };
        message(status, name, text)
    }

    fn emit(&self, description: &Value) -> Result<Value, String> {
        let mut state = lock(&self.state);
        let now = self.now();
        state.settle(now);
        scene::play(&mut state, description, now)
    }

    fn tick(&self) {
        lock(&self.state).settle(self.now());
    }

    fn snapshot(&self) -> Value {
        let state = lock(&self.state);
        let devices: serde_json::Map<String, Value> =
            state.devices.iter().map(|(id, device)| (id.clone(), device.snapshot())).collect();
        json!({
            "devices": devices,
            "quota": state.quota,
            "used": state.used.1,
            "keys": [{ "key": KEY, "quota": state.quota, "used": state.used.1 }],
            "faults": self.base.faults.snapshot(),
            "calls": self.base.log.calls(),
        })
    }

    fn reset(&self) {
        *lock(&self.state) = State::new(self.now());
        self.base.forget();
    }
}

/// Answers a request whose key is right.
fn route(state: &mut State, request: &Request, now: Timestamp) -> (Answer, String) {
    let path = request.path.strip_prefix("/api/sesame2").unwrap_or(&request.path);
    let mut parts = path.trim_start_matches('/').split('/');
    let id = parts.next().unwrap_or_default().to_ascii_uppercase();
    let (what, more) = (parts.next(), parts.next());
    let empty = state.empty_answers;
    let Some(device) = state.devices.get_mut(&id).filter(|_| more.is_none()) else {
        return (message(404, "message", "Not Found"), "no such device".to_owned());
    };
    match (request.method.as_str(), what) {
        ("GET", None) => (compact(200, &device.status()), format!("{} at {} %", device.word(), device.battery())),
        ("GET", Some("history")) => history(device, request),
        ("POST", Some("cmd")) => command::answer(device, request, now, empty),
        _ => (message(404, "message", "Not Found"), "no such address".to_owned()),
    }
}

fn history(device: &Device, request: &Request) -> (Answer, String) {
    let number = |name: &str, otherwise: usize| {
        let pairs = request.query_pairs();
        let given = pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        given.map_or(Some(otherwise), |value| value.parse::<usize>().ok())
    };
    match (number("page", 0), number("lg", LONGEST_PAGE).filter(|length| (1..=LONGEST_PAGE).contains(length))) {
        (Some(page), Some(length)) => {
            let records = device.page(page, length);
            let summary = format!("{} records", records.len());
            (compact(200, &Value::Array(records)), summary)
        }
        _ => (message(400, "message", "Bad Request"), "a bad page".to_owned()),
    }
}

/// An answer of a gateway: one text under one name.
fn message(status: u16, name: &str, text: &str) -> Answer {
    compact(status, &json!({ name: text }))
}

/// The service writes its JSON without blanks.
fn compact(status: u16, body: &Value) -> Answer {
    Answer {
        status,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: body.to_string().into_bytes().into(),
    }
}

fn exchange(request: &Request, answer: Answer, summary: String) -> Exchange {
    Exchange { answer, call: Call { body: request.json_or_text(), summary, ..Call::default() } }
}
