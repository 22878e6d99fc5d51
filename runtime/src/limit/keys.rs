//! The keys of limits, evaluated before the event is committed.

use std::sync::Arc;

use flow_plan::{Env, Expr, Flow, JsonPath, Value};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::eval::{Scope, eval};
use crate::event::Via;
use crate::journal::{EventHead, Start};
use crate::key;
use crate::run::{shorten, shorten_field};

/// What the limits of a flow have to know of a start.
#[derive(Debug, Clone)]
pub struct Limited {
    /// The flow with its limits.
    pub flow: Arc<Flow>,
    /// The event is too old, and why.
    pub too_old: Option<String>,
    /// When the event happened, and not later than it was received.
    pub happened: Timestamp,
    /// The key of `N times within D`.
    pub window: Option<LimitKey>,
    /// The key of `once per`.
    pub once: Option<LimitKey>,
    /// The keys of `at most`.
    pub at_most: Vec<LimitKey>,
    /// The key of the turn: of `one at a time per`, or the whole flow for `while running`.
    pub turn: Option<LimitKey>,
    /// The key of `throttle to`.
    pub throttle: Option<LimitKey>,
}

/// A key of a limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitKey {
    /// Equal for equal values.
    pub hash: [u8; 16],
    /// For people, in which personal values are shortened: ` for customer cus_9`; empty without a key.
    pub text: String,
}

impl Limited {
    /// Evaluates the keys for a start at `at`; `None` for a flow without limits of its starts.
    pub fn of(flow: &Arc<Flow>, start: &Start, at: Timestamp) -> Option<Box<Self>> {
        let limits = &flow.limits;
        let key = |per: &[Expr]| LimitKey::of(flow, start, per);
        let turn = match (super::busy(limits), &limits.one_at_a_time) {
            (Some(_), Some(per)) => Some(key(per)),
            (Some(_), None) => Some(key(&[])),
            (None, _) => None,
        };
        let limited = Self {
            flow: Arc::clone(flow),
            too_old: super::too_old(limits, &start.event, at),
            happened: start.event.occurred_at.map_or(start.event.received_at, |occurred| occurred.min(start.event.received_at)),
            window: limits.window.as_ref().map(|window| key(&window.per)),
            once: limits.once_per.as_ref().map(|per| key(per)).or_else(|| LimitKey::of_copies(flow, &start.event)),
            at_most: limits.at_most.iter().map(|limit| key(&limit.per)).collect(),
            turn,
            throttle: limits.throttle.as_ref().map(|throttle| key(&throttle.per)),
        };
        let limits_something = limits.fresh_ms.is_some()
            || limited.window.is_some()
            || limited.once.is_some()
            || !limited.at_most.is_empty()
            || limited.turn.is_some()
            || limited.throttle.is_some();
        limits_something.then(|| Box::new(limited))
    }
}

impl LimitKey {
    /// A message whose sender signs an id and no time can be sent again when its id is not known any more. To what is dangerous
    /// it is known for good.
    fn of_copies(flow: &Flow, event: &EventHead) -> Option<Self> {
        let timeless = event.via == Via::Webhook && event.occurred_at.is_none() && event.signed_at.is_none();
        let dangerous = timeless && flow.dangerous().is_some();
        let values = [Value::text(event.connection.as_str()), Value::text(event.id.as_str())];
        dangerous.then(|| Self { hash: key::value_key(&values), text: format!(" for event {}", event.id) })
    }

    fn of(flow: &Flow, start: &Start, per: &[Expr]) -> Self {
        let scope = StartScope { flow, start };
        let mut values: Vec<Value> = per.iter().map(|expr| eval(expr, &scope).unwrap_or_default()).collect();
        let texts: Vec<String> = per.iter().zip(&values).map(|(expr, value)| shown(flow, expr, value)).collect();
        if values.iter().any(Value::is_missing) {
            // The compiler asks for keys that are always there. Should one be missing all the same, strangers share nothing.
            values.push(Value::text(start.event.id.as_str()));
        }
        let text = if texts.is_empty() { String::new() } else { format!(" for {}", texts.join(", ")) };
        Self { hash: key::value_key(&values), text }
    }
}

/// `customer cus_9`, or the value alone where it has no name.
fn shown(flow: &Flow, expr: &Expr, value: &Value) -> String {
    let named = match expr {
        Expr::Event(slot) => flow.reads.get(usize::from(*slot)),
        _ => None,
    };
    match named {
        Some(field) => format!("{} {}", field.name, shorten_field(Some(field), value)),
        // What it was computed from may be personal.
        None => shorten(value).to_string(),
    }
}

/// What a key can read: the event, as in the flow's condition.
struct StartScope<'a> {
    flow: &'a Flow,
    start: &'a Start,
}

impl Scope for StartScope<'_> {
    fn event(&self, slot: u16) -> Value {
        self.start.slots.get(usize::from(slot)).cloned().unwrap_or_default()
    }

    fn raw(&self, path: &JsonPath) -> Value {
        self.start.raw.iter().find(|(known, _)| known == path).map(|(_, value)| value.clone()).unwrap_or_default()
    }

    fn env(&self, env: &Env) -> Value {
        let event = &self.start.event;
        match env {
            Env::Now => Value::Instant(event.now()),
            Env::ReceivedAt => Value::Instant(event.received_at),
            Env::TriggerName => Value::text(self.start.trigger.as_str()),
            Env::Origin => Value::text(event.origin.as_str()),
            Env::EventId => Value::text(event.id.as_str()),
            Env::EventAt => Value::Instant(event.occurred_at.unwrap_or(event.received_at)),
            Env::EventType => event.event_type.as_deref().map_or(Value::Missing, Value::text),
            Env::RunFlow => Value::text(self.flow.name.as_deref().unwrap_or(&self.flow.id)),
            Env::RunKey
            | Env::RunId
            | Env::SentAt
            | Env::SentBody
            | Env::SentForm
            | Env::SentQuery
            | Env::Setting(_)
            | Env::Secret(_)
            | Env::Connection
            | Env::PublicUrl
            | Env::LiveTypes
            | Env::Instance
            | Env::Watermark
            | Env::Cursor
            | Env::Error
            | Env::Mistake => Value::Missing,
        }
    }
}
