//! Alarms: what is wrong, since when, how often, and what to do about it.
//!
//! Nothing has to be set up for them. Each is in the log when it begins, in `flowd status` and under `/api/v1/alarms` as
//! long as it lasts, in the metrics, and a `when flow.…` may listen to it. What they say is kept in the store with what
//! they are about (`store/alarms.rs`); what is known of connections and sources anyway is not kept a second time.

mod notice;
mod said;
mod view;

use flow_plan::short_hash;
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use crate::event::Difference;
use crate::store::{AlarmKey, AlarmKind, StoredEvent};
use flow_functions::rfc3339;

pub(crate) use notice::announce_due;
pub(crate) use said::{Line, Said};

/// An alarm that is active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Active {
    /// One word: `dead`, `paused`, `misfit`, `silent`, `connection`, `source`, `gap`, `webhook`, `file`.
    pub kind: &'static str,
    /// Whom it is about: a flow, a trigger, a connection, a file.
    pub subject: String,
    /// What of it; "" where there is nothing to tell apart.
    pub detail: String,
    /// Since when, where that is known.
    pub since: Option<Timestamp>,
    /// When it was last so.
    pub last: Option<Timestamp>,
    /// How often.
    pub count: u64,
    /// What is wrong.
    pub reason: String,
    /// What to do next: a command.
    pub next: String,
    /// It can be dismissed, for it ends by nothing that the daemon would notice.
    pub dismissible: bool,
}

impl Active {
    /// Returns a short name by which it can be dismissed.
    pub fn id(&self) -> String {
        let mut id = short_hash(&format!("{}\n{}\n{}", self.kind, self.subject, self.detail));
        id.truncate(8);
        id
    }

    /// Returns the JSON of the API.
    pub fn to_json(&self) -> Json {
        json!({
            "id": self.id(),
            "kind": self.kind,
            "subject": self.subject,
            "detail": self.detail,
            "since": self.since.map(rfc3339),
            "last": self.last.map(rfc3339),
            "count": self.count,
            "reason": self.reason,
            "next": self.next,
            "dismissible": self.dismissible,
        })
    }

    /// Returns the row of the store that it is, where it can be dismissed.
    pub(crate) fn key(&self) -> Option<AlarmKey> {
        let key = |kind| AlarmKey { kind, subject: self.subject.clone(), detail: self.detail.clone() };
        self.dismissible.then(|| key(AlarmKind::Misfit))
    }
}

/// Says in the log that a field does not fit: once, until it has fitted for a while.
pub(crate) fn log_misfit(event: &StoredEvent, misfit: &Difference) {
    tracing::error!(
        connection = event.connection,
        trigger = misfit.trigger,
        event = event.id,
        field = misfit.field,
        at = misfit.at,
        expected = misfit.expected,
        found = misfit.found,
        "a payload does not fit what the connector says; the event is kept, `flowd events --misfits` shows it"
    );
}
