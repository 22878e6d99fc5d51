//! What queries tell: several states that one query tells, and a poll that asks it whether anything is new, share one reading.
//!
//! Of a key with few calls this makes one request of four. A reading serves whoever wants one that is no older than half of the
//! interval; whoever was served waits for the rest of it, so that all of them are soon due together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flow_plan::{Env, Operation, Value};
use jiff::{SignedDuration, Timestamp};

use crate::answer;
use crate::connection::{Heard, Purpose, Target};
use crate::engine::{Engine, Shared, Withheld, locked};
use crate::eval::Scope;
use crate::journal;
use crate::live::LiveConnection;
use crate::poll::heard;
use crate::request::{self, RequestError, setting};
use crate::world::ServiceCall;

/// Connection, query and inputs.
type Key = (String, String, String);
type Slot = Arc<tokio::sync::Mutex<Option<Last>>>;

/// The latest readings.
#[derive(Debug, Default)]
pub(crate) struct Readings(Mutex<HashMap<Key, Slot>>);

/// The latest reading of one query.
#[derive(Debug)]
struct Last {
    sent_at: Timestamp,
    at: Timestamp,
    came_to: Result<Value, Untold>,
}

/// What a query told.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) value: Value,
    /// When the request was sent, and when the answer was there.
    pub(crate) sent_at: Timestamp,
    pub(crate) at: Timestamp,
}

/// Why a query told nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Untold {
    /// Nothing is asked for a while.
    Withheld(Withheld),
    /// The credentials do not work.
    Broken(String),
    /// Trying again may help, after the time that the service asks for.
    Failed { error: String, retry_after: Option<Duration> },
}

impl Untold {
    fn failed(error: impl Into<String>) -> Self {
        Self::Failed { error: error.into(), retry_after: None }
    }
}

impl Readings {
    /// Forgets all, since connections may lead somewhere else now.
    pub(crate) fn clear(&self) {
        locked(&self.0).clear();
    }

    fn slot(&self, key: Key) -> Slot {
        Arc::clone(locked(&self.0).entry(key).or_default())
    }
}

/// Returns the oldest instant of a reading that still serves at an interval.
pub(crate) fn serves_from(now: Timestamp, every: Duration) -> Timestamp {
    SignedDuration::try_from(every / 2).ok().and_then(|half| now.checked_sub(half).ok()).unwrap_or(Timestamp::MIN)
}

/// Returns what a query tells: what it told since an instant, or what it tells now.
pub(crate) async fn read(
    shared: &Arc<Shared>,
    connection: &Arc<LiveConnection>,
    query: &Arc<Operation>,
    inputs: Vec<Value>,
    since: Timestamp,
) -> Result<Told, Untold> {
    if shared.world.services.is_some() {
        return ask(shared, connection, query, inputs).await;
    }
    let wanted_at = shared.world.clock.now();
    let given: Vec<String> = inputs.iter().map(|input| input.to_json().to_string()).collect();
    let slot = shared.readings.slot((connection.plan.name.clone(), query.name.clone(), given.join(" ")));
    let mut last = slot.lock().await;
    // A clock that was set back makes nothing fresh.
    let past = last.as_ref().filter(|last| last.at <= shared.world.clock.now());
    match past {
        Some(Last { sent_at, at, came_to: Ok(value) }) if *sent_at >= since => {
            return Ok(Told { value: value.clone(), sent_at: *sent_at, at: *at });
        }
        // Who waited for a request that failed has asked with it.
        Some(Last { sent_at, came_to: Err(untold), .. }) if *sent_at >= wanted_at && *sent_at >= since => {
            return Err(untold.clone());
        }
        _ => {}
    }
    let asked_at = shared.world.clock.now();
    let told = ask(shared, connection, query, inputs).await;
    *last = Some(match &told {
        Ok(told) => Last { sent_at: told.sent_at, at: told.at, came_to: Ok(told.value.clone()) },
        Err(untold) => Last { sent_at: asked_at, at: shared.world.clock.now(), came_to: Err(untold.clone()) },
    });
    told
}

/// What a query that no run asks can read, and what is made of the result: the inputs, the result, the connection's settings and
/// the time.
#[derive(Clone, Copy)]
pub(crate) struct ReadingScope<'a> {
    connection: &'a LiveConnection,
    now: Timestamp,
    inputs: &'a [Value],
    result: &'a Value,
}

impl<'a> ReadingScope<'a> {
    /// Before anything is known.
    pub(crate) fn new(connection: &'a LiveConnection, now: Timestamp) -> Self {
        Self { connection, now, inputs: &[], result: &Value::Missing }
    }

    /// Behind the answer.
    pub(crate) fn with_result(self, result: &'a Value) -> Self {
        Self { result, ..self }
    }
}

impl Scope for ReadingScope<'_> {
    fn input(&self, input: u16) -> Value {
        self.inputs.get(usize::from(input)).cloned().unwrap_or_default()
    }

    fn local(&self, local: u16) -> Value {
        if local == 0 { self.result.clone() } else { Value::Missing }
    }

    fn env(&self, env: &Env) -> Value {
        match env {
            Env::Now | Env::SentAt => Value::Instant(self.now),
            Env::Setting(name) => setting(self.connection, name),
            Env::Connection => Value::text(self.connection.plan.name.as_str()),
            _ => Value::Missing,
        }
    }
}

async fn ask(
    shared: &Arc<Shared>,
    connection: &Arc<LiveConnection>,
    query: &Arc<Operation>,
    inputs: Vec<Value>,
) -> Result<Told, Untold> {
    let target = Target::of_plan(&query.request, connection);
    let pass = Engine { shared: Arc::clone(shared) }.pass(&target, Purpose::Watch).await.map_err(Untold::Withheld)?;
    let sent_at = shared.world.clock.now();
    let told = |value| Told { value, sent_at, at: shared.world.clock.now() };
    if let Some(services) = &shared.world.services {
        let short = query.name.rsplit('.').next().unwrap_or(&query.name);
        let name = connection.plan.name.clone();
        let call =
            ServiceCall { name: format!("{name}.{short}"), connection: name, operation: Arc::clone(query), inputs, step: None };
        let outcome = services.perform(call).await;
        pass.heard(&scripted(&outcome)).map_err(Untold::Withheld)?;
        return match outcome {
            journal::Outcome::Done { value, .. } => Ok(told(value)),
            journal::Outcome::NotDone { error, retry_after_ms, .. } => {
                Err(Untold::Failed { error, retry_after: retry_after_ms.map(Duration::from_millis) })
            }
            journal::Outcome::Broken { error, .. } => Err(Untold::Broken(error)),
            journal::Outcome::Unknown { error, .. } | journal::Outcome::Refused { error, .. } => Err(Untold::failed(error)),
        };
    }
    let scope = ReadingScope { inputs: &inputs, ..ReadingScope::new(connection, sent_at) };
    let request = request::build(query, connection, &scope).map_err(|error| match error {
        RequestError::NoCredentials(_) | RequestError::Signature(_) => Untold::Broken(error.to_string()),
        other => Untold::failed(other.to_string()),
    })?;
    let options = &shared.options;
    let sent = shared.world.transport.send(request, options.timeout, options.max_answer).await;
    pass.heard(&heard(connection, &query.request, &sent)).map_err(Untold::Withheld)?;
    let answer = sent.map_err(|error| Untold::failed(error.to_string()))?;
    match answer::read(query, connection, &answer, &scope) {
        answer::Outcome::Done(value) => Ok(told(value)),
        answer::Outcome::NotDone { error, retry_after, .. } => Err(Untold::Failed { error, retry_after }),
        answer::Outcome::Broken { error, .. } => Err(Untold::Broken(error)),
        answer::Outcome::Unknown { error, .. } | answer::Outcome::Refused { error, .. } => Err(Untold::failed(error)),
    }
}

/// What the answer of a scripted service says of its connection.
fn scripted(outcome: &journal::Outcome) -> Heard {
    match outcome {
        journal::Outcome::Done { .. } | journal::Outcome::Refused { .. } => Heard::Works,
        journal::Outcome::NotDone { status: None, error, .. } => Heard::Unreached(error.clone()),
        journal::Outcome::NotDone { status: Some(429), retry_after_ms, .. } => {
            Heard::Slower(retry_after_ms.map(Duration::from_millis))
        }
        journal::Outcome::Unknown { status: None, error, .. } => Heard::Silence { error: error.clone(), wait: None },
        journal::Outcome::Broken { status, error } => Heard::Refusal { status: *status, error: error.clone() },
        journal::Outcome::NotDone { .. } | journal::Outcome::Unknown { .. } => Heard::Nothing,
    }
}
