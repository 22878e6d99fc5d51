//! The ReferralCandy emulator. It has no webhooks; what happens is polled for.

mod error;
mod params;
mod state;

use std::sync::Mutex;

use serde_json::{Value, json};
use tokio::sync::broadcast;

use crate::Options;
use crate::activity::{Activity, Call};
use crate::emulator::{Base, Emulator, Exchange};
use crate::http::{Answer, Request};
use crate::ids::Ids;
use crate::lock::lock;
use crate::rate::{Allowed, Rate};
use crate::table::Table;

use error::ApiError;
use params::Params;
use state::State;

/// Whose shop it is.
pub(crate) const ACCESS_ID: &str = "referralcandy_sandbox_access";
/// What signs its requests.
pub(crate) const SECRET_KEY: &str = "referralcandy_sandbox_secret_key_00000";

/// How often one description may repeat.
const MOST: u64 = 10_000;

/// The emulator.
pub(crate) struct Referralcandy {
    base: Base,
    seed: Option<u64>,
    state: Mutex<State>,
}

impl Referralcandy {
    pub(crate) fn new(options: &Options, stream: broadcast::Sender<Activity>) -> Referralcandy {
        Referralcandy {
            base: Base::new("referralcandy", options, stream),
            seed: options.seed,
            state: Mutex::new(State::new(Ids::new(options.seed))),
        }
    }

    fn answer(&self, request: &Request) -> Result<Value, ApiError> {
        let now = self.now();
        let params = Params::signed(request, now.as_second())?;
        let mut state = lock(&self.state);
        // What the service allows is not known.
        if let Rate::Of(rate) = self.base.rate
            && !state.rate.take(Allowed::per_second(rate), now)
        {
            return Err(ApiError::new(429, "Too many requests"));
        }
        let method = method_of(&request.path).ok_or_else(|| ApiError::new(404, "No such method"))?;
        match (request.method.as_str(), method) {
            ("GET", "verify") => Ok(json!({"message": "Verification Ok"})),
            ("POST", "purchase") => state.purchase(&params),
            ("POST", "signup") => state.signup(&params),
            ("POST", "invite") => state.invite(&params),
            // Some clients post.
            ("GET" | "POST", "referrals") => state.list_referrals(&params),
            ("POST", "referral") => state.mark_returned(&params),
            ("GET", "referrer") => state.referrer(&params),
            ("GET", "contacts") => state.list_contacts(&params),
            ("POST", "unsubscribed") => state.set_unsubscribed(&params),
            ("GET", "rewards") => state.list_rewards(&params),
            ("POST", "rewards") => state.update_reward(&params),
            _ => Err(ApiError::new(404, "No such method")),
        }
    }
}

impl Emulator for Referralcandy {
    fn base(&self) -> &Base {
        &self.base
    }

    fn body_limit(&self) -> usize {
        100 * 1024
    }

    fn admit(&self, _request: &Request) -> Option<Exchange> {
        None
    }

    fn perform(&self, request: &Request, _instead: Option<&Answer>) -> Exchange {
        let (answer, summary) = match self.answer(request) {
            Ok(body) => {
                let summary = body.get("message").and_then(Value::as_str).unwrap_or("done").to_owned();
                (Answer::json(200, &body), summary)
            }
            Err(error) => (Answer::json(error.status, &json!({"message": error.message})), error.message),
        };
        Exchange { answer, call: Call { body: body_of(request), summary, ..Call::default() } }
    }

    fn error_answer(&self, status: u16, message: &str) -> Answer {
        Answer::json(status, &json!({ "message": message }))
    }

    /// `referral` (`email`, `advocate`, `reference`), `review` (`email`), `reward` (`email`, `kind`, `status`, `description`),
    /// `contact` (`email`, `first_name`, `last_name`).
    fn emit(&self, description: &Value) -> Result<Value, String> {
        const KNOWN: &[&str] =
            &["type", "count", "email", "advocate", "reference", "kind", "status", "description", "first_name", "last_name"];
        let fields = description.as_object().ok_or("an event is described by an object")?;
        if let Some(unknown) = fields.keys().find(|key| !KNOWN.contains(&key.as_str())) {
            return Err(format!("`{unknown}` is not known; there are {}", KNOWN.join(", ")));
        }
        let word = |name: &str| fields.get(name).and_then(Value::as_str);
        let kind = word("type").ok_or("an event needs `type`")?;
        let count = fields.get("count").map_or(Some(1), Value::as_u64).filter(|count| (1..=MOST).contains(count));
        let count = count.ok_or_else(|| format!("`count` must be from 1 to {MOST}"))?;
        let now = self.now();
        let mut state = lock(&self.state);
        let mut objects = Vec::new();
        for round in 0..count {
            let numbered = |name: &str| {
                let (user, host) = name.split_once('@').unwrap_or((name, "example.com"));
                if count == 1 { name.to_owned() } else { format!("{user}+{round}@{host}") }
            };
            match kind {
                "referral" => {
                    let (friend, advocate) = (word("email").unwrap_or("friend@example.com"), word("advocate"));
                    let reference = word("reference").map(str::to_owned).unwrap_or_else(|| state.ids.hex(8));
                    let advocate = advocate.unwrap_or("ada@example.com");
                    objects.push(state.refer(&numbered(friend), advocate, now.as_second(), Some(&reference)));
                }
                "review" => objects.extend(state.review(word("email"), now)),
                "reward" => objects.push(state.reward(
                    word("email").unwrap_or("ada@example.com"),
                    word("kind").unwrap_or("coupon"),
                    word("status").unwrap_or("pending_fulfillment"),
                    word("description").unwrap_or("10% off the next order"),
                    now,
                )),
                "contact" => {
                    let email = numbered(word("email").unwrap_or("ada@example.com"));
                    objects.push(state.with_contact(&email, |contact| {
                        for name in ["first_name", "last_name"] {
                            if let Some(value) = fields.get(name) {
                                contact.insert(name.to_owned(), value.clone());
                            }
                        }
                    }));
                }
                other => return Err(format!("`{other}` is no event; there are referral, review, reward, contact")),
            }
        }
        objects.truncate(100);
        Ok(json!({"events": [], "objects": objects}))
    }

    fn snapshot(&self) -> Value {
        let state = lock(&self.state);
        let rows = |table: &Table| Value::Array(table.rows().cloned().collect());
        json!({
            "contacts": rows(&state.contacts),
            "purchases": rows(&state.purchases),
            "referrals": rows(&state.referrals),
            "rewards": rows(&state.rewards),
            "mails": rows(&state.mails),
            "faults": self.base.faults.snapshot(),
            "calls": self.base.log.calls(),
        })
    }

    fn reset(&self) {
        *lock(&self.state) = State::new(Ids::new(self.seed));
        self.base.forget();
    }
}

/// What is behind the root of either version.
fn method_of(path: &str) -> Option<&str> {
    path.strip_prefix("/api/v1/").or_else(|| path.strip_prefix("/api/v2/"))?.strip_suffix(".json")
}

/// The form as JSON, for the log.
fn body_of(request: &Request) -> Value {
    if request.body.is_empty() {
        return Value::Null;
    }
    let pairs = form_urlencoded::parse(&request.body).into_owned();
    Value::Object(pairs.map(|(name, value)| (name, Value::String(value))).collect())
}
