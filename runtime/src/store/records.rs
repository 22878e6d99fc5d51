//! The plain types of the store.

use std::sync::Arc;

use bytes::Bytes;
use flow_plan as plan;
use flow_plan::FieldShape;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::book::BookChange;
use super::meters::MeterChange;
use crate::event::{Accepted, Cursor, Difference, Origin, Via};
use crate::journal::{Entry, EventHead, What};
use crate::limit::Limited;
use crate::run::{Death, Status};

/// An event as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredEvent {
    /// Its number, in the order of receipt: the store gives it in the transaction that takes the event in.
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
    /// When its sender signed it, where the scheme of the webhook signs that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_at: Option<Timestamp>,
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
    /// The run whose action caused it, as far as is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What of it does not fit, of what live flows read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub misfits: Vec<Difference>,
    /// The raw payload; kept beside the rest, not in it.
    #[serde(skip)]
    pub payload: Bytes,
}

impl StoredEvent {
    /// Tells whether it is one of a trigger, and of one of these types where there are any.
    pub fn is_of(&self, trigger: &String, types: &[String]) -> bool {
        let is_of_type = |name: &String| types.contains(name);
        self.triggers.contains(trigger) && (types.is_empty() || self.event_type.as_ref().is_some_and(is_of_type))
    }

    /// Returns what a run knows of it beside the payload.
    pub fn head(&self) -> EventHead {
        EventHead {
            seq: self.seq,
            id: self.id.clone(),
            connection: self.connection.clone(),
            event_type: self.event_type.clone(),
            occurred_at: self.occurred_at,
            signed_at: self.signed_at,
            received_at: self.received_at,
            via: self.via,
            origin: self.origin,
            depth: self.depth,
        }
    }
}

/// What lists show of a run, and what indexes are made of. The journal has the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunHead {
    /// Its id.
    pub id: String,
    /// Its number, in the order of starts: the store gives it in the transaction in which the run begins.
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
    /// It was started by `flowd replay`: 0, or how often its event had started the flow before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<u32>,
    /// What it waits for beside an instant.
    #[serde(default, skip_serializing_if = "Waiting::is_nothing")]
    pub waits: Waiting,
}

/// What a run waits for beside an instant, as far as indexes are made of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Waiting {
    /// Its flow has turns, or can hold it back.
    #[serde(default)]
    pub limited: bool,
    /// It is held back, and has not begun.
    #[serde(default)]
    pub held: bool,
    /// It waits, and has to be looked at all the same when the daemon starts: it has got its turn, or has not looked through
    /// the events before its wait.
    #[serde(default)]
    pub attention: bool,
    /// The event that it awaits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaits: Option<Box<AwaitedBy>>,
}

impl Waiting {
    /// Tells whether nothing is to be said.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// By what an event finds a run that awaits it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AwaitedBy {
    /// The connection.
    pub connection: String,
    /// The source.
    pub source: String,
    /// Which of its events.
    pub kind: AwaitKind,
    /// The hash of the value that the field has to have, where there is a field.
    pub key: Option<[u8; 16]>,
}

impl AwaitedBy {
    /// Returns the name of the kind.
    pub fn kind_id(&self) -> String {
        self.kind.id()
    }
}

/// Which events of a source: equal for all waits that are written alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AwaitKind {
    /// The trigger.
    pub trigger: String,
    /// The event types; empty for all.
    pub types: Vec<String>,
    /// The field whose value is known.
    pub field: Option<FieldShape>,
}

impl AwaitKind {
    /// Tells whether an event of the source is one of them.
    pub fn is_of(&self, event: &StoredEvent) -> bool {
        event.is_of(&self.trigger, &self.types)
    }

    /// Returns a short name.
    pub fn id(&self) -> String {
        flow_plan::short_hash(&flow_plan::content_hash(self))
    }
}

/// A run that got its turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The run.
    pub run: String,
    /// When it begins; `None` at once.
    pub at: Option<Timestamp>,
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
    /// What connections have used, and how they are doing.
    pub meters: Vec<MeterChange>,
}

/// An event to take in.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// The event.
    pub event: StoredEvent,
    /// What it starts, per trigger.
    pub starts: Vec<NewStart>,
    /// The flows that it would start if they were not paused.
    pub missed: Vec<Missed>,
    /// The flow whose run's death it announces. Of many deaths a few are announced one by one, the others together.
    pub death_of: Option<String>,
}

impl NewEvent {
    /// Returns an event that starts nothing yet.
    pub fn new(event: StoredEvent) -> Self {
        Self { event, starts: Vec::new(), missed: Vec::new(), death_of: None }
    }
}

/// A flow that an event would start if it were not paused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// The flow.
    pub flow: String,
    /// Why it does not start.
    pub why: String,
    /// It is this event that pauses it: flows cause each other's events.
    pub pauses: bool,
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
    /// What the limits of its flow have to know; `None` where it has none.
    pub limited: Option<Box<Limited>>,
    /// So many of the flow's last starts are kept, this one among them, for whoever expects them.
    pub tally: Option<u32>,
    /// With so many starts in an hour the flow is flooded: it is paused. `None` where they are not counted.
    pub flood: Option<u32>,
    /// What the engine has to say of it, should it come to that.
    pub follows: Vec<Follows>,
}

impl NewRun {
    /// Gives it its number, and that of its event.
    pub(super) fn number(&mut self, event: u64, seq: u64) {
        (self.head.seq, self.head.event) = (seq, event);
        if let Some(What::Started(start)) = self.entries.first_mut().map(|entry| &mut entry.what) {
            start.event.seq = event;
        }
    }
}

/// An event that follows from what becomes of a run that was to begin.
#[derive(Debug, Clone)]
pub struct Follows {
    /// From what.
    pub from: FollowsFrom,
    /// The event.
    pub event: NewEvent,
}

/// From what an event follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FollowsFrom {
    /// The run began; by its first entry it is dead.
    Birth,
    /// The flow was paused by its limit.
    Pause,
}

/// Starts by events that are in the store already, in one transaction.
#[derive(Debug, Clone, Default)]
pub struct ReplayBatch {
    /// The starts.
    pub starts: Vec<ReplayStart>,
    /// Plans that may not be in the store yet.
    pub plans: Vec<Arc<plan::Flow>>,
}

/// A start by an event that is in the store already.
#[derive(Debug, Clone)]
pub struct ReplayStart {
    /// The number of the event.
    pub event: u64,
    /// What it starts.
    pub start: NewStart,
    /// It may have started the flow before.
    pub again: bool,
}

/// What became of a start by an event that is in the store already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replayed {
    /// The event is in the store no more.
    Gone,
    /// It has started the flow already: the run.
    Known(String),
    /// The limits of the flow have decided.
    Admitted {
        /// For each of its runs, what became of it.
        admissions: Vec<Admission>,
        /// What became of the events that follow; `None` where it did not come to that.
        followed: Vec<Option<AcceptedEvent>>,
    },
}

/// What became of a run that was to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// It began.
    Started {
        /// Its number.
        seq: u64,
        /// The run whose turn it took, which is cancelled.
        cancelled: Option<String>,
    },
    /// It is in the store, and begins later.
    Held {
        /// When; `None` when it gets its turn.
        until: Option<Timestamp>,
        /// The run whose turn it took, which is cancelled.
        cancelled: Option<String>,
    },
    /// It does not take place, and why.
    Dropped(String),
    /// It does not take place, and its flow is paused since, and why.
    Paused(String),
    /// As [`Admission::Paused`], for the flow started too often; an event of its own is to announce that.
    Flooded(String),
}

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AcceptedEvent {
    /// Its number.
    pub seq: u64,
    /// It was known.
    pub duplicate: bool,
    /// For each of its starts: whether it took place.
    pub started: Vec<bool>,
    /// For each of its starts: what became of the runs; empty where it did not take place.
    pub admissions: Vec<Vec<Admission>>,
    /// Somebody may wait for it: it is to be offered.
    pub awaited: bool,
    /// What became of the events that follow, run by run; `None` where it did not come to that.
    pub followed: Vec<Option<AcceptedEvent>>,
    /// The flows that it paused, and why.
    pub paused: Vec<(String, String)>,
    /// What of it does not fit and did before.
    pub raised: Vec<Difference>,
    /// There is something to be announced that is not announced with it.
    pub notices: bool,
}

/// What follows upon events that were taken in, or were not: done when the store has decided about them, whether or not
/// anybody still waits for that.
pub type After = Box<dyn FnOnce(Result<Vec<AcceptedEvent>, StoreError>) -> Result<Vec<Accepted>, StoreError> + Send>;

/// How far events have come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TakenIn {
    /// They are new, and durable. What they start is decided behind this.
    Durable,
    /// The store has them, or had them before.
    Applied(Vec<Accepted>),
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
    /// Only those of which something does not fit.
    pub misfit: bool,
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
    /// Where to go on.
    pub from: PruneFrom,
    /// Remove no more than so many.
    pub limit: usize,
    /// Look at no more than so many.
    pub look: usize,
}

/// What a bite did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Runs removed.
    pub runs: usize,
    /// Events removed.
    pub events: usize,
    /// Plans removed, whose last run has gone.
    pub plans: usize,
    /// Keys of starts removed.
    pub starts: usize,
    /// Rows of limits removed that said nothing any more.
    pub tallies: usize,
    /// Where to go on; `None` when all has been looked at.
    pub next: Option<PruneFrom>,
    /// By sweep, the key behind which nothing was old enough, when all has been looked at.
    pub(super) ended: Vec<Vec<u8>>,
}

/// Where the next bite begins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PruneFrom {
    /// In which sweep.
    pub(super) sweep: usize,
    /// At which key; empty at the beginning.
    pub(super) key: Vec<u8>,
    /// By sweep, the key before which nothing is looked at.
    pub(super) begins: Vec<Vec<u8>>,
    /// By sweep, the key behind which nothing was old enough.
    pub(super) ended: Vec<Vec<u8>>,
}

impl PruneFrom {
    /// Where a pass begins that looks only at what was not old enough for one before it.
    pub fn behind(pruned: &Pruned) -> Self {
        Self { begins: pruned.ended.clone(), ..Self::default() }
    }
}
