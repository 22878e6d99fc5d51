//! What the request that registers a webhook can read.

use std::collections::BTreeSet;

use flow_plan::{Env, Value};
use jiff::Timestamp;

use crate::eval::Scope;

/// One registration. Settings and secrets are the connection's matter.
pub(super) struct RegisterScope<'a> {
    pub(super) url: &'a str,
    pub(super) events: &'a BTreeSet<String>,
    pub(super) key: &'a str,
    /// The id of what is removed.
    pub(super) id: &'a str,
    /// What marks it as that of its address.
    pub(super) instance: &'a str,
    pub(super) now: Timestamp,
}

impl Scope for RegisterScope<'_> {
    fn input(&self, input: u16) -> Value {
        if input == 0 && !self.id.is_empty() { Value::text(self.id) } else { Value::Missing }
    }

    fn env(&self, env: &Env) -> Value {
        match env {
            Env::PublicUrl => Value::text(self.url),
            Env::LiveTypes => Value::List(self.events.iter().map(|name| Value::text(name.as_str())).collect::<Vec<_>>().into()),
            Env::RunKey => Value::text(self.key),
            Env::Instance => Value::text(self.instance),
            Env::Now | Env::SentAt => Value::Instant(self.now),
            _ => Value::Missing,
        }
    }
}
