//! The instructions between two calls.

use flow_plan::{Env, Expr, Flow, Instr, JsonPath, Value};
use jiff::Timestamp;
use rust_decimal::{Decimal, prelude::ToPrimitive};
use std::sync::Arc;

use super::{Death, Phase, Run, Status, operation, wait};
use crate::eval::{Required, Scope, eval, holds};
use crate::journal::{Awaits, Begun, Waits};

/// So many instructions without a call are a program that does not end.
const MOST_INSTRUCTIONS: u32 = 1_000_000;

/// Interprets until a call is to begin, or the run ends.
pub(super) fn advance(flow: &Flow, run: &mut Run, now: Timestamp) {
    for _ in 0..MOST_INSTRUCTIONS {
        match instruction(flow, run, now) {
            Ok(true) => {}
            Ok(false) => return,
            Err(required) => return run.die(Death::Missing, required.to_string(), now),
        }
    }
    run.die(Death::Crashed, "the flow does not come to an end".to_owned(), now);
}

/// Interprets one instruction; `false` where the run waits or has ended.
fn instruction(flow: &Flow, run: &mut Run, now: Timestamp) -> Result<bool, Required> {
    let Some(instruction) = flow.program.instrs.get(run.at as usize) else {
        run.finish(Status::Done, None, now);
        return Ok(false);
    };
    let mut next = run.at.saturating_add(1);
    match instruction {
        Instr::Set { local, value } => {
            let value = eval(value, &scope(flow, run, now))?;
            run.set(*local, value);
        }
        Instr::Call(call) => {
            if operation(flow, call).is_none() {
                run.die(Death::Crashed, format!("{}: the plan has no such operation", call.name), now);
                return Ok(false);
            }
            let scope = scope(flow, run, now);
            let inputs = call.args.iter().map(|arg| eval(&arg.value, &scope)).collect::<Result<Vec<_>, _>>()?;
            let loops: Vec<u32> = call.loops.iter().map(|counter| count(&run.locals, *counter)).collect();
            let key = run.key_of(&call.path, &loops);
            run.phase = Phase::Beginning(Begun { path: call.path.clone(), loops, inputs, key });
            return Ok(false);
        }
        Instr::Jump(to) => next = *to,
        Instr::Unless { condition, to } => {
            if !holds(condition, &scope(flow, run, now))? {
                next = *to;
            }
        }
        Instr::Require(value) => {
            if eval(value, &scope(flow, run, now))?.is_missing() {
                return Err(Required { what: name_of(flow, value) });
            }
        }
        Instr::Each { list, into, counter, up_to } => {
            let items = match eval(list, &scope(flow, run, now))? {
                Value::List(items) => items.iter().take(*up_to as usize).cloned().collect(),
                _ => Vec::new(),
            };
            run.set(*into, Value::List(Arc::new(items)));
            run.set(*counter, Value::Number(Decimal::ZERO));
        }
        Instr::Next { list, counter, item, end } => {
            let at = count(&run.locals, *counter);
            let found = match run.locals.get(usize::from(*list)) {
                Some(Value::List(items)) => items.get(at as usize).cloned(),
                _ => None,
            };
            match found {
                Some(found) => {
                    run.set(*item, found);
                    run.set(*counter, Value::Number(Decimal::from(at.saturating_add(1))));
                }
                None => next = *end,
            }
        }
        Instr::Wait(wait) => {
            if let Some(until) = wait::until(wait, &scope(flow, run, now), now)? {
                run.phase = Phase::Pausing(Waits { until: Some(until), awaits: None });
                return Ok(false);
            }
        }
        Instr::WaitFor(wait) => {
            let key = match &wait.key {
                Some((_, key)) => Some(eval(key, &scope(flow, run, now))?),
                None => None,
            };
            let until = wait.up_to.as_ref().map(|bound| flow_schedule::after(now, bound));
            let after = run.start.as_ref().map_or(0, |start| start.event.seq);
            run.phase = Phase::Pausing(Waits { until, awaits: Some(Awaits { after, key }) });
            return Ok(false);
        }
        Instr::Stop { reason } => {
            let reason = match reason {
                Some(reason) => Some(eval(reason, &scope(flow, run, now))?.to_string()),
                None => None,
            };
            run.finish(Status::Stopped, reason, now);
            return Ok(false);
        }
        Instr::Finish => {
            run.finish(Status::Done, None, now);
            return Ok(false);
        }
    }
    run.at = next;
    Ok(true)
}

impl Run {
    /// Returns what the invocations around a call were given, with their places in [`Flow::invocations`].
    pub(crate) fn given(&self, flow: &Flow, path: &str) -> Vec<(usize, Vec<(String, Value)>)> {
        let scope = scope(flow, self, Timestamp::UNIX_EPOCH);
        // What stands in the `on error` of a call begins like the call: the innermost counts.
        let around = flow.invocations.iter().enumerate().filter(|(_, invocation)| invocation.holds(path));
        around
            .max_by_key(|(_, invocation)| invocation.path.len())
            .into_iter()
            .map(|(at, invocation)| {
                let inputs = invocation.inputs.iter();
                (at, inputs.map(|(name, value)| (name.clone(), eval(value, &scope).unwrap_or_default())).collect())
            })
            .collect()
    }
}

fn count(locals: &[Value], counter: u16) -> u32 {
    match locals.get(usize::from(counter)) {
        Some(Value::Number(number)) => number.to_u32().unwrap_or(u32::MAX),
        _ => 0,
    }
}

/// How the source calls a value that is required.
fn name_of(flow: &Flow, value: &Expr) -> String {
    match value {
        Expr::Event(slot) => flow.reads.get(usize::from(*slot)).map_or_else(|| "a field".to_owned(), |field| field.name.clone()),
        Expr::Raw(path) => format!("raw.{path}"),
        Expr::Field(record, name) => format!("{}.{name}", name_of(flow, record)),
        _ => "a required value".to_owned(),
    }
}

pub(super) fn scope<'r>(flow: &'r Flow, run: &'r Run, now: Timestamp) -> RunScope<'r> {
    RunScope { flow, run, now }
}

/// What the instructions of a run can read.
pub(super) struct RunScope<'r> {
    flow: &'r Flow,
    run: &'r Run,
    now: Timestamp,
}

impl Scope for RunScope<'_> {
    fn event(&self, slot: u16) -> Value {
        let start = self.run.start.as_ref();
        start.and_then(|start| start.slots.get(usize::from(slot))).cloned().unwrap_or_default()
    }

    fn awaited(&self, slot: u16) -> Value {
        self.run.awaited.get(usize::from(slot)).cloned().unwrap_or_default()
    }

    fn local(&self, local: u16) -> Value {
        self.run.locals.get(usize::from(local)).cloned().unwrap_or_default()
    }

    fn env(&self, env: &Env) -> Value {
        let Some(start) = &self.run.start else { return Value::Missing };
        match env {
            Env::RunKey => {
                let Some(call) = self.run.call(self.flow) else { return Value::Missing };
                let loops: Vec<u32> = call.loops.iter().map(|counter| count(&self.run.locals, *counter)).collect();
                Value::text(self.run.key_of(&call.path, &loops))
            }
            Env::RunId => Value::text(start.run.as_str()),
            Env::RunFlow => Value::text(self.flow.name.as_deref().unwrap_or(&self.flow.id)),
            Env::Now => Value::Instant(self.now),
            Env::TriggerName => Value::text(start.trigger.as_str()),
            Env::Origin => Value::text(start.event.origin.as_str()),
            Env::EventId => Value::text(start.event.id.as_str()),
            Env::EventAt => Value::Instant(start.event.occurred_at.unwrap_or(start.event.received_at)),
            Env::ReceivedAt => Value::Instant(start.event.received_at),
            Env::EventType => start.event.event_type.as_deref().map_or(Value::Missing, Value::text),
            Env::Error => self.run.error.clone(),
            Env::Mistake => Value::Missing,
            // Known to a connection or a poll, not to a run; `SentAt` and secrets are never stored.
            Env::SentAt
            | Env::SentBody
            | Env::SentForm
            | Env::SentQuery
            | Env::Setting(_)
            | Env::Connection
            | Env::Secret(_)
            | Env::PublicUrl
            | Env::LiveTypes
            | Env::Instance
            | Env::Watermark
            | Env::Cursor => Value::Missing,
        }
    }

    fn raw(&self, path: &JsonPath) -> Value {
        let start = self.run.start.as_ref();
        let found = start.and_then(|start| start.raw.iter().find(|(known, _)| known == path));
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    }
}
