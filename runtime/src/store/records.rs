//! The plain types of the store.

use std::sync::Arc;

use bytes::Bytes;
use flow_plan as plan;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::book::BookChange;
use crate::event::{Cursor, Origin, Via};
use crate::journal::Entry;
use crate::run::{Death, Status};

/// An event as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredEvent {
    /// Its number, in the order of receipt.
    pub seq: u64,
    /// The service's own id.
    pub id: String,
    /// The connection.
    pub connection: String,
    /// The source of the connector.
    pub source: String,
    /// The event type as the service calls it.
    pub event_type: Option<String>,
    /// The triggers of the connector that it is.
    pub triggers: Vec<String>,
    /// When it happened, by the service's own time.
    pub occurred_at: Option<Timestamp>,
    /// When it was received.
    pub received_at: Timestamp,
    /// The way it came.
    pub via: Via,
    /// Who caused it.
    #[serde(default)]
    pub origin: Origin,
    /// How many runs of this daemon stand before it in the chain of causes.
    #[serde(default)]
    pub depth: u16,
    /// The raw payload; kept beside the rest, not in it.
    #[serde(skip)]
    pub payload: Bytes,
}

/// What lists show of a run, and what indexes are made of. The journal has the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunHead {
    /// Its id.
    pub id: String,
    /// Its number, in the order of starts.
    pub seq: u64,
    /// The flow.
    pub flow: String,
    /// The hash of its plan.
    pub plan: String,
    /// The number of its event.
    pub event: u64,
    /// The service's own id of its event.
    pub event_id: String,
    /// The connection that the event came from.
    pub connection: String,
    /// The trigger that fired.
    pub trigger: String,
    /// Where it stands.
    pub status: Status,
    /// Why it is dead.
    pub death: Option<Death>,
    /// Why it stopped, died or waits.
    pub reason: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When it wants to be woken.
    pub wake_at: Option<Timestamp>,
    /// How many entries its journal has.
    pub entries: u32,
}

/// Events to take in, in one transaction.
#[derive(Debug, Clone, Default)]
pub struct AcceptBatch {
    /// The events with what they start.
    pub events: Vec<NewEvent>,
    /// Plans that may not be in the store yet.
    pub plans: Vec<Arc<plan::Flow>>,
    /// Connection, source and how far it has been read.
    pub cursor: Option<(String, String, Cursor)>,
    /// Changes of the book. Where one cannot be made nothing of the batch is.
    pub book: Vec<BookChange>,
}

/// An event to take in.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// The event.
    pub event: StoredEvent,
    /// What it starts, per trigger.
    pub starts: Vec<NewStart>,
}

/// What a trigger starts. It starts once per key.
#[derive(Debug, Clone)]
pub struct NewStart {
    /// The trigger.
    pub trigger: String,
    /// The key: connection, trigger with options, and the trigger's key or the event's id.
    pub key: [u8; 16],
    /// The runs.
    pub runs: Vec<NewRun>,
}

/// A run to begin.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// Its head.
    pub head: RunHead,
    /// Its first entries.
    pub entries: Vec<Entry>,
}

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedEvent {
    /// It was known.
    pub duplicate: bool,
    /// For each of its starts: whether it took place.
    pub started: Vec<bool>,
}

/// New entries of a run.
#[derive(Debug, Clone)]
pub struct RunUpdate {
    /// The new head; its `entries` count the new ones.
    pub head: RunHead,
    /// The new entries.
    pub entries: Vec<Entry>,
}

/// Which events.
#[derive(Debug, Clone, Default)]
pub struct EventQuery {
    /// Of this connection.
    pub connection: Option<String>,
    /// Of this trigger.
    pub trigger: Option<String>,
    /// Received since.
    pub since: Option<Timestamp>,
    /// Older than the event with this number.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

/// Which runs.
#[derive(Debug, Clone, Default)]
pub struct RunQuery {
    /// Of this flow.
    pub flow: Option<String>,
    /// In this status.
    pub status: Option<Status>,
    /// Started since.
    pub since: Option<Timestamp>,
    /// Older than the run with this number.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

/// A little of what is too old.
#[derive(Debug, Clone)]
pub struct PruneBite {
    /// Finished runs that ended, and events that were received, before this go.
    pub before: Timestamp,
    /// Keys of starts from before this go.
    pub starts_before: Timestamp,
    /// Look at runs and events from these numbers on.
    pub from: (u64, u64),
    /// Look at no more than so many of each.
    pub limit: usize,
}

/// What a bite did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Runs removed.
    pub runs: usize,
    /// Events removed.
    pub events: usize,
    /// Keys of starts removed.
    pub starts: usize,
    /// Where to go on; `None` when all has been looked at.
    pub next: Option<(u64, u64)>,
}
