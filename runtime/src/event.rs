//! Events on their way in.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// A verified payload of one connection, before it is accepted.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// The service's own id of the event.
    pub id: String,
    /// The source of the connector that it came from.
    pub source: String,
    /// The event type as the service calls it.
    pub event_type: Option<String>,
    /// When it happened, by the service's own time.
    pub occurred_at: Option<Timestamp>,
    /// When its sender signed it, where the scheme of the webhook signs that. Of several polled records that are one event it is
    /// when the first happened: either way the event is at least as old.
    pub signed_at: Option<Timestamp>,
    /// The raw payload: JSON.
    pub payload: Bytes,
    /// The way it came.
    pub via: Via,
    /// Who caused it.
    pub origin: Origin,
    /// How many runs of this daemon stand before it in the chain of causes.
    pub depth: u16,
    /// `/v1/webhooks/stripe/charge_failed` narrows to one trigger.
    pub only_trigger: Option<String>,
}

impl Incoming {
    /// Returns when it began to happen, and when it had happened; `None` where nobody says.
    pub(crate) fn happened(&self) -> Option<(Timestamp, Timestamp)> {
        let at = self.occurred_at.or(self.signed_at)?;
        Some((self.signed_at.map_or(at, |signed| signed.min(at)), at))
    }
}

/// The way an event came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// By webhook.
    Webhook,
    /// By poll.
    Poll,
    /// Made by the clock: a schedule, an absence, a state that lasted.
    Clock,
    /// Made by the engine: `flow.dead` and its like.
    Engine,
}

/// Who caused an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Somebody else.
    #[default]
    External,
    /// A flow of this daemon.
    Flow,
}

impl Origin {
    /// Returns the word of the language.
    pub fn as_str(self) -> &'static str {
        match self {
            Origin::External => "external",
            Origin::Flow => "flow",
        }
    }
}

/// A field of an event that does not fit what its connector says of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The trigger whose record it is a field of.
    pub trigger: String,
    /// The field, and the place within it: `items[].amount`.
    pub field: String,
    /// Where it is in the payload.
    pub at: String,
    /// What the connector says.
    pub expected: String,
    /// What kind of thing is there.
    pub found: String,
    /// What is there, shortened; `None` where it is personal, or no single value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// A flow that reads it.
    pub read_by: String,
}

/// How far a source has been read; committed together with the events.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cursor {
    /// The newest instant seen.
    pub watermark: Option<Timestamp>,
    /// The service's own cursor.
    pub cursor: Option<String>,
    /// When the last poll succeeded.
    pub polled_at: Option<Timestamp>,
    /// Ids seen within the overlap, for items that have no event id of their own.
    pub seen: Vec<String>,
    /// Since when each event type is wanted ("" where items have none): what is older is not emitted, so that neither a
    /// first start nor a new flow acts on old events.
    #[serde(default)]
    pub since: BTreeMap<String, Timestamp>,
    /// What the cheap query told when the source was last polled, where it is polled only when that changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<String>,
    /// Event types that were wanted until a moment ago: an edit that is taken back goes on from here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub left: BTreeMap<String, Left>,
    /// How it stood when that was told last, where the cheap query says by itself what has happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stood: Option<Stood>,
    /// What was an event by that alone, and may be listed later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alone: Vec<Alone>,
    /// Events of this time are lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<Gap>,
    /// Items that cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<LeftOut>,
}

/// What is lost is an alarm for so long: whoever reads it looks what it was.
const LOST: SignedDuration = SignedDuration::from_hours(24);

/// A time that was not read, and that the service does not list any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// When it was last found: the next poll that succeeds ends it.
    pub found: Timestamp,
}

impl Gap {
    /// Tells whether somebody should look at it.
    pub fn is_alarm(&self, now: Timestamp) -> bool {
        now.duration_since(self.found) < LOST
    }
}

/// Items that cannot be read, and of which no event became.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// How many.
    pub count: u64,
    /// What is wrong with the last.
    pub reason: String,
    /// When one was last listed.
    pub found: Timestamp,
}

impl LeftOut {
    /// Tells whether somebody should look at it.
    pub fn is_alarm(&self, now: Timestamp) -> bool {
        now.duration_since(self.found) < LOST
    }
}

/// How something stood, by the event types of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stood {
    /// The last one.
    pub last: String,
    /// The last of those of which several in a row are one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub among: Option<String>,
}

/// An event that no list had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alone {
    /// Its type.
    pub event_type: String,
    /// Since when it was so, as was told.
    pub at: Timestamp,
}

/// How far an event type was read when it was wanted no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Since when it was wanted.
    pub since: Timestamp,
    /// The watermark until which it was read.
    pub watermark: Option<Timestamp>,
    /// When it was wanted no more.
    pub at: Timestamp,
}

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The event's id.
    pub id: String,
    /// It was there already.
    pub duplicate: bool,
    /// The runs it started.
    pub runs: Vec<String>,
}

/// Why an event was not accepted. Nothing of it is remembered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AcceptError {
    /// The queue is full: answer 503 with `Retry-After`.
    #[error("the queue of events is full")]
    QueueFull,
    /// The disk refuses: answer 503 with `Retry-After`.
    #[error("the store cannot be written: {0}")]
    Store(String),
    /// The daemon is stopping: answer 503.
    #[error("the daemon is stopping")]
    Stopping,
    /// The payload is no JSON object: answer 400.
    #[error("the payload is malformed: {0}")]
    Malformed(String),
}
