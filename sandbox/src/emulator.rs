//! What the server, the control endpoints and the courier need of an emulated service.

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::broadcast;

use crate::Options;
use crate::activity::{Activity, Call, Log};
use crate::clock::Clock;
use crate::fault::Faults;
use crate::http::{Answer, Request};
use crate::rate::Rate;

/// An answered request, and what the log should know of it.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) answer: Answer,
    pub(crate) call: Call,
}

/// What every emulator has.
pub(crate) struct Base {
    name: &'static str,
    clock: Clock,
    pub(crate) log: Log,
    pub(crate) faults: Faults,
    pub(crate) rate: Rate,
}

impl Base {
    pub(crate) fn new(name: &'static str, options: &Options, stream: broadcast::Sender<Activity>) -> Base {
        Base {
            name,
            clock: options.clock.clone(),
            log: Log::new(name, stream),
            faults: Faults::default(),
            rate: options.rates.get(name).copied().unwrap_or_default(),
        }
    }

    /// Forgets the fault rules and the calls.
    pub(crate) fn forget(&self) {
        self.faults.clear();
        self.log.clear();
    }
}

/// An emulated service. Its methods neither block nor wait. One that sends no webhooks, remembers no keys and has nothing to do
/// by itself leaves what is for these as it is.
pub(crate) trait Emulator: Send + Sync {
    fn base(&self) -> &Base;

    fn name(&self) -> &'static str {
        self.base().name
    }

    fn now(&self) -> Timestamp {
        (self.base().clock)()
    }

    fn log(&self) -> &Log {
        &self.base().log
    }

    fn faults(&self) -> &Faults {
        &self.base().faults
    }

    /// The longest body it reads, in bytes.
    fn body_limit(&self) -> usize;

    /// Does everything that comes before an effect: the credentials, the rate, the idempotency key.
    ///
    /// `None` lets the request go on to [`Emulator::perform`]; until then, or until
    /// [`Emulator::abandon`], it counts as running.
    fn admit(&self, request: &Request) -> Option<Exchange>;

    /// Performs an admitted request. `instead` is kept under its idempotency key in place of the answer.
    fn perform(&self, request: &Request, instead: Option<&Answer>) -> Exchange;

    /// Forgets that an admitted request was running.
    fn abandon(&self, _request: &Request) {}

    /// Returns this service's error body for a status, for faults that bring no body of their own.
    fn error_answer(&self, status: u16, message: &str) -> Answer;

    /// Makes something happen, as described by JSON; see the crate's documentation for the fields.
    ///
    /// # Errors
    ///
    /// A text for the person who sent the description.
    fn emit(&self, description: &Value) -> Result<Value, String>;

    /// Does what the time has come for.
    fn tick(&self) {}

    fn snapshot(&self) -> Value;
    fn reset(&self);
    fn set_webhook_target(&self, _url: Option<String>) {}
    fn has_endpoint(&self, _id: &str) -> bool {
        false
    }
    /// Hears that a delivery succeeded, or was given up.
    fn delivered(&self, _event: &str, _endpoint: Option<&str>, _ok: bool) {}
}
