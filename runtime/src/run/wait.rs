//! Waits: for an instant, and for an event.

use flow_plan as plan;
use flow_plan::{Env, Instr, JsonPath, Value, Wait, WaitFor};
use flow_schedule::{after, next_time, zone};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::program::{advance, scope};
use super::{Death, Phase, Run, Status};
use crate::eval::{Required, Scope, eval, test};
use crate::journal::{Awaits, Came, Waits};
use flow_functions::rfc3339;

/// A wait of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waited {
    /// The event that it is for: `stripe.invoice_paid`; `None` where it is for an instant.
    pub awaits: Option<String>,
    /// When it began.
    pub began_at: Timestamp,
    /// Until when at most.
    pub until: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The service's own id of the event that ended it.
    pub event: Option<String>,
}

/// Returns the instant that a wait is for; `None` where it is past, and there is nothing to wait for.
pub(super) fn until(wait: &Wait, scope: &dyn Scope, now: Timestamp) -> Result<Option<Timestamp>, Required> {
    let until = match wait {
        Wait::For(span) => after(now, span),
        Wait::Until { at, zone: in_zone } => match eval(at, scope)? {
            Value::Instant(at) => at,
            Value::Time(time) => next_time(now, time, in_zone.as_deref()),
            Value::Date(date) => {
                let zone = in_zone.as_deref().and_then(zone).unwrap_or(TimeZone::UTC);
                date.to_zoned(zone).map_or(now, |midnight| midnight.timestamp())
            }
            Value::Missing => return Err(Required { what: "the instant to wait for".to_owned() }),
            Value::Bool(_)
            | Value::Number(_)
            | Value::Text(_)
            | Value::Money(_)
            | Value::Duration(_)
            | Value::List(_)
            | Value::Record(_) => now,
        },
    };
    Ok((until > now).then_some(until))
}

impl Run {
    /// Returns the wait for an event that it is in, with what it awaits.
    pub(crate) fn awaits<'f>(&self, flow: &'f plan::Flow) -> Option<(&'f WaitFor, &Awaits)> {
        match (&self.phase, self.wait_for(flow)) {
            (Phase::Resting(Waits { awaits: Some(awaits), .. }), Some(wait)) => Some((wait, awaits)),
            _ => None,
        }
    }

    /// Returns the instruction that waits for an event where it stands at one.
    pub(crate) fn wait_for<'f>(&self, flow: &'f plan::Flow) -> Option<&'f WaitFor> {
        match flow.program.instrs.get(self.at as usize) {
            Some(Instr::WaitFor(wait)) => Some(wait),
            _ => None,
        }
    }

    pub(super) fn begin_wait(&mut self, flow: &plan::Flow, waits: &Waits, at: Timestamp) {
        if !matches!(self.phase, Phase::Pausing(_)) {
            return;
        }
        let awaits = self.wait_for(flow).map(|wait| format!("{}.{}", wait.trigger.connection, wait.trigger.name));
        self.status = Status::Waiting;
        self.reason = Some(match (&awaits, waits.until) {
            (Some(name), Some(until)) => format!("waits for {name} until {}", rfc3339(until)),
            (Some(name), None) => format!("waits for {name}"),
            (None, Some(until)) => format!("waits until {}", rfc3339(until)),
            (None, None) => "waits".to_owned(),
        });
        self.waits.push(Waited { awaits, began_at: at, until: waits.until, ended_at: None, event: None });
        self.phase = Phase::Resting(waits.clone());
    }

    /// The event came: the run goes on behind the wait. One that comes when the run waits no more changes nothing.
    pub(super) fn came(&mut self, flow: &plan::Flow, came: &Came, at: Timestamp) {
        if self.awaits(flow).is_none() {
            return;
        }
        self.awaited = came.slots.clone();
        if let Some(wait) = self.waits.last_mut() {
            wait.ended_at = Some(at);
            wait.event = Some(came.id.clone());
        }
        self.behind(flow, self.at.saturating_add(1), at);
    }

    /// The instant has come: of a wait for an event that is its bound.
    pub(super) fn waited(&mut self, flow: &plan::Flow, waits: &Waits, at: Timestamp) {
        if let Some(wait) = self.waits.last_mut() {
            wait.ended_at = Some(at);
        }
        let to = match self.wait_for(flow) {
            Some(wait) if waits.awaits.is_some() => wait.otherwise,
            _ => self.at.saturating_add(1),
        };
        self.behind(flow, to, at);
    }

    fn behind(&mut self, flow: &plan::Flow, to: u32, at: Timestamp) {
        self.goes_on();
        self.phase = Phase::New;
        self.at = to;
        if flow.program.instrs.len() < to as usize {
            return self.die(Death::Crashed, "the plan goes on where there is nothing".to_owned(), at);
        }
        advance(flow, self, at);
    }

    /// Tells whether an event with these fields is the one that the run awaits; `now` is when that was received.
    pub(crate) fn is_awaited(&self, flow: &plan::Flow, wait: &WaitFor, slots: &[Value], now: Timestamp) -> bool {
        let scope = AwaitScope { run: scope(flow, self, now), slots };
        let is_keyed = wait.key.as_ref().is_none_or(|(slot, key)| {
            let key = eval(key, &scope).unwrap_or_default();
            let found = slots.get(usize::from(*slot)).cloned().unwrap_or_default();
            !key.is_missing() && crate::key::value_key(&[key]) == crate::key::value_key(&[found])
        });
        is_keyed && wait.condition.as_ref().is_none_or(|condition| test(condition, &scope))
    }
}

/// What the condition of a wait can read: the awaited event, the starting one, and the run.
struct AwaitScope<'a> {
    run: super::program::RunScope<'a>,
    slots: &'a [Value],
}

impl Scope for AwaitScope<'_> {
    fn awaited(&self, slot: u16) -> Value {
        self.slots.get(usize::from(slot)).cloned().unwrap_or_default()
    }

    fn event(&self, slot: u16) -> Value {
        self.run.event(slot)
    }

    fn local(&self, local: u16) -> Value {
        self.run.local(local)
    }

    fn env(&self, env: &Env) -> Value {
        self.run.env(env)
    }

    fn raw(&self, path: &JsonPath) -> Value {
        self.run.raw(path)
    }
}
