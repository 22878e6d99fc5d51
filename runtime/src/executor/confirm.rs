//! What was accepted has happened once the service's own state says so.
//!
//! Between the acceptance and that moment the journal knows no more than the intent: a daemon that ends meanwhile finds an
//! attempt whose outcome is unknown, and the effect's class says whether it may be made again.

use std::sync::Arc;

use flow_plan::{Confirm, Env, JsonPath, Operation, Value};
use jiff::{SignedDuration, Timestamp};

use super::perform::{AttemptScope, outcome};
use crate::answer;
use crate::connection::{Purpose, Target};
use crate::decode::decode;
use crate::engine::{Engine, Pass, Shared};
use crate::eval::{Scope, eval, holds};
use crate::journal::Outcome;
use crate::live::LiveConnection;
use crate::poll::heard;
use crate::request::{self, setting};
use crate::retry::length;

/// Clocks that differ by less are the same: a `Date` has whole seconds.
const SKEW: SignedDuration = SignedDuration::from_secs(2);
/// A service's clock that differs by more says nothing.
const MOST_SKEW: SignedDuration = SignedDuration::from_hours(24);

/// What was accepted: by which answer, and with which result of its own.
pub(super) struct Accepted {
    pub(super) status: Option<u16>,
    pub(super) value: Value,
    /// By the service's clock.
    pub(super) answered_at: Option<Timestamp>,
}

/// Reads until the condition holds or the time is up.
pub(super) async fn confirm(
    shared: &Arc<Shared>,
    connection: &LiveConnection,
    action: &Operation,
    confirm: &Confirm,
    scope: &AttemptScope<'_>,
    accepted: Accepted,
) -> Outcome {
    let clock = &shared.world.clock;
    let Accepted { status, value: accepted, answered_at } = accepted;
    let up_to_ms = up_to_ms(confirm, scope);
    if up_to_ms == 0 {
        return Outcome::Done { status, value: unasked(action, confirm, accepted) };
    }
    let began = by_their_clock(scope.sent_at, scope.sent_at, answered_at, clock.now());
    let deadline = after(scope.sent_at, up_to_ms);
    let mut last = "the state was not read".to_owned();
    let target = Target::of_plan(&confirm.query.request, connection);
    let engine = Engine { shared: Arc::clone(shared) };
    // A clock that is set back does not make it longer. An answer that came so late that the time was up had it read once, too:
    // what is not known is not known for want of a look.
    let most = (up_to_ms / confirm.every_ms.max(1)).saturating_add(2);
    let mut readings = 0;
    while readings == 0 || (clock.now() < deadline && readings < most) {
        readings += 1;
        clock.sleep_until(after(clock.now(), confirm.every_ms).min(deadline)).await;
        // The last reading is at the deadline, but no later: the limit of the connection may let it wait for longer.
        let pass = tokio::select! {
            biased;
            pass = engine.pass(&target, Purpose::Confirm) => pass,
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
            Ok(value) if confirmed(confirm, scope, began, connection, &value) => {
                let value = if confirm.gives_result { marked(confirm, value) } else { accepted };
                return Outcome::Done { status, value };
            }
            Ok(_) => "the state is another".clone_into(&mut last),
            Err(error) => last = error,
        }
    }
    let error = format!("accepted, but not confirmed within {}: {last}", length(up_to_ms));
    Outcome::Unknown { status, error, last: false }
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
    pass.heard(&heard(connection, &confirm.query.request, &answer)).map_err(|withheld| withheld.reason)?;
    let answer = answer.map_err(|error| error.to_string())?;
    match outcome(answer::read(&confirm.query, connection, &answer, &scope), answer.status) {
        Outcome::Done { value, .. } => Ok(value),
        other => Err(other.error().unwrap_or_default().to_owned()),
    }
}

fn confirmed(
    confirm: &Confirm,
    scope: &AttemptScope<'_>,
    sent_at: Timestamp,
    connection: &LiveConnection,
    value: &Value,
) -> bool {
    // A `require` has no place here: it counts as false.
    holds(&confirm.when, &ConfirmScope { inner: scope, sent_at, connection, value }).unwrap_or(false)
}

/// How long it is asked: as the connector says, or the one who acts.
fn up_to_ms(confirm: &Confirm, scope: &AttemptScope<'_>) -> u64 {
    let Some(up_to) = &confirm.up_to else { return confirm.up_to_ms };
    match eval(up_to, scope) {
        Ok(Value::Duration(time)) => u64::try_from(time.approximate_millis()).unwrap_or(0).min(confirm.up_to_ms),
        _ => confirm.up_to_ms,
    }
}

/// The result where nobody asks whether it has happened: what the record says without an answer.
fn unasked(action: &Operation, confirm: &Confirm, accepted: Value) -> Value {
    if !confirm.gives_result {
        return accepted;
    }
    let shape = action.answer.shape.as_ref();
    shape.and_then(|shape| decode(shape, &Value::record([])).ok()).unwrap_or_default()
}

/// What was read, with the field that says that it was confirmed.
fn marked(confirm: &Confirm, value: Value) -> Value {
    match (&confirm.mark, &value) {
        (Some(mark), Value::Record(fields)) => {
            let fields = fields.iter().map(|(name, value)| (Arc::clone(name), value.clone()));
            Value::record(fields.chain([(Arc::from(mark.as_str()), Value::Bool(true))]))
        }
        _ => value,
    }
}

/// An instant of ours by the clock of the service where that is another: what the service reports is dated by that. Its answer to
/// what was asked at `asked_at` has come `now`.
pub(super) fn by_their_clock(ours: Timestamp, asked_at: Timestamp, answered_at: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let Some(theirs) = answered_at else { return ours };
    // The answer was made while we waited for it, and its `Date` has whole seconds.
    let took = now.duration_since(asked_at).max(SignedDuration::ZERO);
    let ahead = theirs.duration_since(now);
    let differs = ahead > SKEW || ahead < -(took.saturating_add(SKEW));
    if differs && ahead.abs() <= MOST_SKEW { ours.checked_add(ahead).unwrap_or(ours) } else { ours }
}

fn after(at: Timestamp, ms: u64) -> Timestamp {
    let by = SignedDuration::from_millis(i64::try_from(ms).unwrap_or(i64::MAX));
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// What a condition over a state can read.
struct ConfirmScope<'a> {
    inner: &'a AttemptScope<'a>,
    sent_at: Timestamp,
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
            Env::SentAt => Timestamp::from_second(self.sent_at.as_second()).map_or(Value::Missing, Value::Instant),
            other => self.inner.env(other),
        }
    }

    fn answer(&self, _: &JsonPath) -> Value {
        Value::Missing
    }
}
