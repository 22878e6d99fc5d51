//! An answer that does not fit is asked for once more, with the mistake named.
//!
//! Only what reads is asked so: nothing happens twice. The journal has both as one attempt, since the first answer decided
//! nothing.

use std::sync::Arc;

use flow_plan::{Env, JsonPath, Operation, Value};

use super::perform::{AttemptScope, outcome, spend};
use crate::answer;
use crate::connection::{Purpose, Target};
use crate::engine::{Engine, Shared};
use crate::eval::Scope;
use crate::journal::Outcome;
use crate::live::LiveConnection;
use crate::poll::heard;
use crate::request;

/// Asks again, and returns what comes of it; `first` where that cannot be asked.
pub(super) async fn ask(
    shared: &Arc<Shared>,
    connection: &LiveConnection,
    operation: &Operation,
    scope: &AttemptScope<'_>,
    mistake: &str,
    first: Outcome,
) -> Outcome {
    let engine = Engine { shared: Arc::clone(shared) };
    // It is counted, and not held back by a quota: the answer that was paid for is worth nothing without it.
    let Ok(pass) = engine.pass(&Target::of(&operation.request, connection, scope), Purpose::Confirm).await else { return first };
    let sent_at = shared.world.clock.now();
    let scope = MistakeScope { inner: &AttemptScope { sent_at, ..*scope }, mistake };
    let Ok(request) = request::build(operation, connection, &scope) else { return first };
    let timeout = request::timeout(operation, connection, &scope, shared.options.timeout);
    let sent_bytes = request.body.len();
    let answer = shared.world.transport.send(request, timeout, shared.options.max_answer).await;
    if let Ok(answer) = &answer {
        spend(shared, connection, operation, sent_bytes, answer);
    }
    if let Err(withheld) = pass.heard(&heard(connection, &operation.request, &answer)) {
        tracing::debug!(connection = connection.plan.name, withheld.reason, "asked once more, and refused");
    }
    match answer {
        Ok(answer) => outcome(answer::read(operation, connection, &answer, &scope), answer.status),
        Err(_) => first,
    }
}

/// What the first request could read, and what was wrong with its answer.
struct MistakeScope<'a> {
    inner: &'a AttemptScope<'a>,
    mistake: &'a str,
}

impl Scope for MistakeScope<'_> {
    fn input(&self, input: u16) -> Value {
        self.inner.input(input)
    }

    fn env(&self, env: &Env) -> Value {
        match env {
            Env::Mistake => Value::text(self.mistake),
            other => self.inner.env(other),
        }
    }

    fn answer(&self, path: &JsonPath) -> Value {
        self.inner.answer(path)
    }
}
