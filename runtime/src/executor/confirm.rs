//! What was accepted has happened once the service's own state says so.
//!
//! Between the acceptance and that moment the journal knows no more than the intent: a daemon that ends meanwhile finds an
//! attempt whose outcome is unknown, and the effect's class says whether it may be made again.

use std::sync::Arc;

use flow_plan::{Confirm, Env, JsonPath, Value};
use jiff::{SignedDuration, Timestamp};

use super::perform::{AttemptScope, outcome};
use crate::answer;
use crate::connection::Purpose;
use crate::engine::{Engine, Pass, Shared};
use crate::eval::{Scope, eval, holds};
use crate::journal::Outcome;
use crate::live::LiveConnection;
use crate::poll::heard;
use crate::request::{self, setting};
use crate::retry::length;

/// Reads until the condition holds or the time is up. `accepted` is the result of the action's own answer.
pub(super) async fn confirm(
    shared: &Arc<Shared>,
    connection: &LiveConnection,
    confirm: &Confirm,
    scope: &AttemptScope<'_>,
    status: Option<u16>,
    accepted: Value,
) -> Outcome {
    let clock = &shared.world.clock;
    let deadline = after(scope.sent_at, confirm.up_to_ms);
    let mut last = "the state was not read".to_owned();
    let engine = Engine { shared: Arc::clone(shared) };
    // A clock that is set back does not make it longer.
    let mut left = (confirm.up_to_ms / confirm.every_ms.max(1)).saturating_add(2);
    while clock.now() < deadline && left > 0 {
        left -= 1;
        clock.sleep_until(after(clock.now(), confirm.every_ms).min(deadline)).await;
        // The last reading is at the deadline, but no later: the limit of the connection may let it wait for longer.
        let pass = tokio::select! {
            biased;
            pass = engine.pass(connection, Purpose::Confirm) => pass,
            () = clock.sleep_until(after(deadline, confirm.every_ms)) => {
                "the limit of the connection leaves no time to read the state".clone_into(&mut last);
                break;
            }
        };
        let pass = match pass {
            Ok(pass) => pass,
            Err(held) => {
                last = held.reason;
                continue;
            }
        };
        match read(shared, connection, confirm, scope, pass).await {
            Ok(value) if confirmed(confirm, scope, connection, &value) => {
                return Outcome::Done { status, value: if confirm.gives_result { value } else { accepted } };
            }
            Ok(_) => "the state is another".clone_into(&mut last),
            Err(error) => last = error,
        }
    }
    let error = format!("accepted, but not confirmed within {}: {last}", length(confirm.up_to_ms));
    Outcome::Unknown { status, error }
}

/// Reads the state once.
async fn read(
    shared: &Shared,
    connection: &LiveConnection,
    confirm: &Confirm,
    scope: &AttemptScope<'_>,
    pass: Pass,
) -> Result<Value, String> {
    let args = confirm.args.iter().map(|arg| eval(arg, scope)).collect::<Result<Vec<_>, _>>();
    let args = args.map_err(|required| required.to_string())?;
    let scope = AttemptScope { inputs: &args, sent_at: shared.world.clock.now(), ..*scope };
    let request = request::build(&confirm.query, connection, &scope).map_err(|error| error.to_string())?;
    let options = &shared.options;
    let answer = shared.world.transport.send(request, options.timeout, options.max_answer).await;
    pass.heard(&heard(connection, &answer)).map_err(|withheld| withheld.reason)?;
    let answer = answer.map_err(|error| error.to_string())?;
    match outcome(answer::read(&confirm.query, connection, &answer, &scope), answer.status) {
        Outcome::Done { value, .. } => Ok(value),
        other => Err(other.error().unwrap_or_default().to_owned()),
    }
}

fn confirmed(confirm: &Confirm, scope: &AttemptScope<'_>, connection: &LiveConnection, value: &Value) -> bool {
    // A `require` has no place here: it counts as false.
    holds(&confirm.when, &ConfirmScope { inner: scope, connection, value }).unwrap_or(false)
}

fn after(at: Timestamp, ms: u64) -> Timestamp {
    let by = SignedDuration::from_millis(i64::try_from(ms).unwrap_or(i64::MAX));
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// What a condition over a state can read.
struct ConfirmScope<'a> {
    inner: &'a AttemptScope<'a>,
    connection: &'a LiveConnection,
    value: &'a Value,
}

impl Scope for ConfirmScope<'_> {
    fn local(&self, local: u16) -> Value {
        if local == 0 { self.value.clone() } else { Value::Missing }
    }

    fn input(&self, input: u16) -> Value {
        self.inner.input(input)
    }

    fn env(&self, env: &Env) -> Value {
        match env {
            Env::Setting(name) => setting(self.connection, name),
            // Services count whole seconds: what happened in the second of the attempt counts as after it.
            Env::SentAt => Timestamp::from_second(self.inner.sent_at.as_second()).map_or(Value::Missing, Value::Instant),
            other => self.inner.env(other),
        }
    }

    fn answer(&self, _: &JsonPath) -> Value {
        Value::Missing
    }
}
