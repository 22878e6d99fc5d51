//! The seams to the outside: time, network, randomness. Tests and the simulated driver put their own behind them.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flow_plan::{Flow, Operation, Value};
use jiff::Timestamp;

use crate::journal::Outcome;
use crate::via::Channel;

/// A boxed future.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Time.
pub trait Clock: Send + Sync {
    /// Returns the instant.
    fn now(&self) -> Timestamp;
    /// Returns when the instant is reached, or the clock was set back: whoever sleeps looks at it again then. So a pause is
    /// never longer than it was meant to be.
    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'_, ()>;
    /// Returns the instant, beside what a clock shows that nobody can set, where there is one.
    fn look(&self) -> Look {
        Look { now: self.now(), steady: None }
    }
    /// Tells whether it can be set, or stand still while the machine sleeps: then it has to be looked at now and then.
    fn can_jump(&self) -> bool {
        true
    }
}

/// What a clock shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// The instant.
    pub now: Timestamp,
    /// How long it has been, at the same moment, since an instant that stays the same as long as the process lives. Time during
    /// which the machine slept may be missing.
    pub steady: Option<Duration>,
}

/// The network.
pub trait Transport: Send + Sync {
    /// Sends a request and reads the whole answer, within `timeout` and `max_body` bytes.
    fn send(&self, request: HttpRequest, timeout: Duration, max_body: usize)
    -> BoxFuture<'_, Result<HttpAnswer, TransportError>>;
}

/// The services, one operation at a time: a seam above HTTP, for the simulated driver.
pub trait Services: Send + Sync {
    /// Performs an operation, or looks whether its effect happened.
    fn perform(&self, call: ServiceCall) -> BoxFuture<'_, Outcome>;
}

/// An operation to perform.
#[derive(Debug, Clone)]
pub struct ServiceCall {
    /// The connection.
    pub connection: String,
    /// As flows call it: `kustomer.post_conversation`. For a state it is its query.
    pub name: String,
    /// The operation.
    pub operation: Arc<Operation>,
    /// The frozen inputs, in the order of the operation's.
    pub inputs: Vec<Value>,
    /// What it belongs to; `None` where no run asks, as for a state.
    pub step: Option<ServiceStep>,
}

/// The step that asks.
#[derive(Debug, Clone)]
pub struct ServiceStep {
    /// The run.
    pub run: String,
    /// Its flow.
    pub flow: Arc<Flow>,
    /// The place in the flow.
    pub path: String,
    /// The counters of the loops around it.
    pub loops: Vec<u32>,
    /// The idempotency key.
    pub key: String,
    /// It only looks whether the effect has happened: the effect class is `findable`.
    pub find: bool,
    /// What the calls of composite operations around it were given, as far as the run knows: by their index in
    /// [`Flow::invocations`].
    pub given: Vec<(usize, Vec<(String, Value)>)>,
}

/// Randomness.
pub trait Random: Send + Sync {
    /// Returns a number in `0.0..1.0`.
    fn fraction(&self) -> f64;
}

/// The outside.
#[derive(Clone)]
pub struct World {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The network.
    pub transport: Arc<dyn Transport>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// What performs operations instead of HTTP over `transport`.
    pub services: Option<Arc<dyn Services>>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("World")
    }
}

/// A request, ready to be sent. It holds secrets: it is never logged or stored.
#[derive(Clone)]
pub struct HttpRequest {
    /// The method.
    pub method: String,
    /// The whole address.
    pub url: String,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// How far it may go.
    pub reach: Reach,
    /// Whether it may still be sent when its connection stands.
    pub guard: Option<Guard>,
    /// The way that it goes, where that is not HTTP: then the body is what is sent, as JSON.
    pub channel: Option<Arc<Channel>>,
}

/// A request that must not be sent late: making a connection takes time, and the process may stand still meanwhile.
#[derive(Clone)]
pub struct Guard {
    /// Asked as the last thing before the request is written, with nothing to wait for in between: returns why it is not sent.
    pub forbids: Arc<dyn Fn() -> Option<String> + Send + Sync>,
    /// It takes a connection of its own, and none that another request leaves to it at some time.
    pub alone: bool,
}

/// How far a request may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Into the internet alone: not to this machine, its network, or where clouds keep their machines' data.
    Internet,
    /// Anywhere: flow.toml names the address.
    Anywhere,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct HttpAnswer {
    /// The status.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Bytes,
}

impl HttpAnswer {
    /// Returns the first header of this name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// Nothing was sent: no connection, no TLS. It may be tried again whatever the effect class.
    #[error("could not connect: {0}")]
    NotConnected(String),
    /// The request was or may have been sent, and no complete answer came: the outcome is unknown.
    #[error("no complete answer: {0}")]
    NoAnswer(String),
    /// The service took it and did nothing: it may be tried again later, whatever the effect class.
    #[error("{0}")]
    Later(String),
    /// The credentials do not work, or the connection is not set up as it must be.
    #[error("{0}")]
    Broken(String),
    /// It will not be sent at all: a bad address, a redirect to another origin.
    #[error("not sent: {0}")]
    Refused(String),
}
