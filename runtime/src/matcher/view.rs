//! An event as one flow sees it: its slots, its trigger, its condition.

use std::collections::BTreeMap;

use flow_plan::{Condition, Env, Expr, JsonPath, TriggerUse, Value};

use super::parts::Compiled;
use super::payload::Found;
use super::{Payload, reads};
use crate::decode::Misfit;
use crate::eval::{self, Scope};
use crate::journal::EventHead;

/// An event as one flow sees it.
pub(crate) struct FlowView<'v> {
    pub(super) payload: &'v Payload<'v, 'v>,
    pub(super) flow: &'v Compiled,
    pub(super) event: &'v EventHead,
    pub(super) settings: &'v BTreeMap<String, Value>,
    /// The place of the trigger in the flow.
    pub(super) used: usize,
    /// The event is not one of the trigger's own, but what it waits for in vain.
    pub(super) watches: bool,
}

impl FlowView<'_> {
    /// Returns a field by its number, or why it does not fit.
    pub(super) fn field(&self, number: u32) -> Option<&Found> {
        self.payload.field(number)
    }

    fn place(&self, slot: u16) -> Option<&Found> {
        let number = (*self.flow.fields(self.used, self.watches).get(usize::from(slot))?)?;
        self.payload.field(number)
    }

    /// Returns why a slot cannot be read.
    pub(crate) fn misfit(&self, slot: u16) -> Option<&Misfit> {
        self.place(slot)?.as_ref().err().map(AsRef::as_ref)
    }

    fn slot_count(&self) -> u16 {
        u16::try_from(self.flow.flow.reads.len()).unwrap_or(u16::MAX)
    }

    /// Returns the first reason why the payload does not fit.
    pub(crate) fn first_misfit(&self) -> Option<&Misfit> {
        (0..self.slot_count()).find_map(|slot| self.misfit(slot))
    }

    /// Returns the values of the slots.
    pub(crate) fn slots(&self) -> Vec<Value> {
        (0..self.slot_count()).map(|slot| self.event(slot)).collect()
    }

    /// Returns what the flow reads of the raw payload.
    pub(crate) fn raws(&self) -> Vec<(JsonPath, Value)> {
        let paths = self.flow.parts.raw.iter();
        paths.map(|path| (path.clone(), self.raw(path))).filter(|(_, value)| !value.is_missing()).collect()
    }

    /// The trigger's own condition; `None` where a field that it reads does not fit.
    pub(super) fn guard(&self) -> Option<bool> {
        let used = self.flow.flow.triggers.get(self.used);
        let Some(guard) = used.and_then(|used| used.guard.as_ref()) else { return Some(true) };
        if reads::slots(guard).iter().any(|slot| self.misfit(*slot).is_some()) {
            return None;
        }
        Some(eval::holds(guard, self).unwrap_or(false))
    }

    /// Returns the trigger's key, or the event's id where it has none or the key is missing.
    pub(crate) fn key(&self, used: &TriggerUse) -> String {
        let key = used.dedupe.as_ref().map(|key| eval::eval(key, self).unwrap_or_default());
        match key {
            None | Some(Value::Missing) => self.event.id.clone(),
            Some(Value::Text(key)) => key.to_string(),
            Some(key) => key.to_json().to_string(),
        }
    }

    /// Tells whether a condition holds; `None` where that depends on a field that does not fit.
    pub(crate) fn verdict(&self, condition: &Condition) -> Option<bool> {
        match condition {
            Condition::All(parts) => {
                let mut all = Some(true);
                for part in parts {
                    match self.verdict(part) {
                        Some(false) => return Some(false),
                        Some(true) => {}
                        None => all = None,
                    }
                }
                all
            }
            Condition::Any(parts) => {
                let mut any = Some(false);
                for part in parts {
                    match self.verdict(part) {
                        Some(true) => return Some(true),
                        Some(false) => {}
                        None => any = None,
                    }
                }
                any
            }
            Condition::Not(inner) => self.verdict(inner).map(|holds| !holds),
            Condition::Test { reads, .. } => {
                if reads.iter().any(|slot| self.misfit(*slot).is_some()) {
                    return None;
                }
                Some(eval::test(condition, self))
            }
        }
    }

    /// Evaluates an expression; missing where a `require` fails.
    pub(crate) fn eval(&self, expr: &Expr) -> Value {
        eval::eval(expr, self).unwrap_or_default()
    }
}

impl Scope for FlowView<'_> {
    fn event(&self, slot: u16) -> Value {
        match self.place(slot) {
            Some(Ok(value)) => value.clone(),
            Some(Err(_)) | None => Value::Missing,
        }
    }

    fn env(&self, env: &Env) -> Value {
        match env {
            Env::Now => Value::Instant(self.event.now()),
            Env::ReceivedAt => Value::Instant(self.event.received_at),
            Env::TriggerName => {
                self.flow.flow.triggers.get(self.used).map_or(Value::Missing, |used| Value::text(used.name.as_str()))
            }
            Env::Origin => Value::text(self.event.origin.as_str()),
            Env::EventId => Value::text(self.event.id.as_str()),
            Env::EventAt => Value::Instant(self.event.occurred_at.unwrap_or(self.event.received_at)),
            Env::EventType => self.event.event_type.as_deref().map_or(Value::Missing, Value::text),
            Env::Setting(name) => self.settings.get(name).cloned().unwrap_or_default(),
            Env::RunFlow => Value::text(self.flow.flow.name.as_deref().unwrap_or(&self.flow.flow.id)),
            // No run yet, and no request.
            Env::RunKey
            | Env::RunId
            | Env::SentAt
            | Env::Secret(_)
            | Env::Connection
            | Env::PublicUrl
            | Env::LiveTypes
            | Env::Instance
            | Env::SentBody
            | Env::SentForm
            | Env::SentQuery
            | Env::Watermark
            | Env::Cursor
            | Env::Error
            | Env::Mistake => Value::Missing,
        }
    }

    fn raw(&self, path: &JsonPath) -> Value {
        self.payload.raw(path)
    }
}
