//! The cheap query that tells whether a poll would find anything.

use std::time::Duration;

use flow_plan::{Env, Value, WhenChanges};

use super::Spec;
use super::fetch::{PollError, heard};
use crate::answer::{self, Outcome};
use crate::connection::Purpose;
use crate::engine::Engine;
use crate::eval::{Scope, eval};
use crate::live::LiveConnection;
use crate::request::{RequestError, build, setting};
use crate::world::World;

/// A small answer is there within.
const TIMEOUT: Duration = Duration::from_secs(30);
const MAX_ANSWER: usize = 1024 * 1024;

/// Returns what the query tells, as a text that can be compared and kept.
pub(super) async fn ask(spec: &Spec, when: &WhenChanges, engine: &Engine, world: &World) -> Result<String, PollError> {
    let connection = &spec.connection;
    let failed = |error: String| PollError::Failed { error, retry_after: None };
    let scope = Told { connection, inputs: &[], result: &Value::Missing, now: world.clock.now() };
    let inputs = when.args.iter().map(|arg| eval(arg, &scope)).collect::<Result<Vec<_>, _>>();
    let inputs = inputs.map_err(|required| failed(required.to_string()))?;
    let pass = engine.pass(connection, Purpose::Watch).await?;
    let scope = Told { inputs: &inputs, now: world.clock.now(), ..scope };
    let request = build(&when.query, connection, &scope).map_err(|error| match error {
        RequestError::NoCredentials(_) | RequestError::Signature(_) => PollError::Broken(error.to_string()),
        other => failed(other.to_string()),
    })?;
    let sent = world.transport.send(request, TIMEOUT, MAX_ANSWER).await;
    pass.heard(&heard(connection, &sent))?;
    let answer = sent.map_err(|error| failed(error.to_string()))?;
    match answer::read(&when.query, connection, &answer, &scope) {
        Outcome::Done(result) => {
            let told = eval(&when.value, &Told { result: &result, ..scope }).map_err(|required| failed(required.to_string()))?;
            Ok(told.to_json().to_string())
        }
        Outcome::Broken { error, .. } => Err(PollError::Broken(error)),
        Outcome::NotDone { error, retry_after, .. } => Err(PollError::Failed { error, retry_after }),
        Outcome::Unknown { error, .. } | Outcome::Refused { error, .. } => Err(failed(error)),
    }
}

/// What the query can read, and what it told.
#[derive(Clone, Copy)]
struct Told<'a> {
    connection: &'a LiveConnection,
    inputs: &'a [Value],
    result: &'a Value,
    now: jiff::Timestamp,
}

impl Scope for Told<'_> {
    fn local(&self, local: u16) -> Value {
        if local == 0 { self.result.clone() } else { Value::Missing }
    }

    fn input(&self, input: u16) -> Value {
        self.inputs.get(usize::from(input)).cloned().unwrap_or_default()
    }

    fn env(&self, env: &Env) -> Value {
        match env {
            Env::Setting(name) => setting(self.connection, name),
            Env::Now | Env::SentAt => Value::Instant(self.now),
            _ => Value::Missing,
        }
    }
}
