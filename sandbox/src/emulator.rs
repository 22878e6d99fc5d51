//! What the server, the control endpoints and the courier need of an emulated service.

use serde_json::Value;

use crate::activity::{Call, Log};
use crate::fault::Faults;
use crate::http::{Answer, Request};

/// An answered request, and what the log should know of it.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) answer: Answer,
    pub(crate) call: Call,
}

/// An emulated service. Its methods neither block nor wait.
pub(crate) trait Emulator: Send + Sync {
    fn name(&self) -> &'static str;
    fn now(&self) -> jiff::Timestamp;
    fn log(&self) -> &Log;
    fn faults(&self) -> &Faults;
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
    fn abandon(&self, request: &Request);

    /// Returns this service's error body for a status, for faults that bring no body of their own.
    fn error_answer(&self, status: u16, message: &str) -> Answer;

    /// Makes something happen, as described by JSON; see the crate's documentation for the fields.
    ///
    /// # Errors
    ///
    /// A text for the person who sent the description.
    fn emit(&self, description: &Value) -> Result<Value, String>;

    /// Does what the time has come for.
    fn tick(&self);

    fn snapshot(&self) -> Value;
    fn reset(&self);
    fn set_webhook_target(&self, url: Option<String>);
    fn has_endpoint(&self, id: &str) -> bool;
    /// Hears that a delivery succeeded, or was given up.
    fn delivered(&self, event: &str, endpoint: Option<&str>, ok: bool);
}
