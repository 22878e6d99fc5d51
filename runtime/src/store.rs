//! What must survive: events, starts, runs with their journals, plans, timers and cursors.
//!
//! [`Store`] speaks in plain types. Everything above one key-value seam ([`backend::Backend`]) exists once, so that the
//! backends differ in nothing but where the bytes lie; both pass the same conformance suite.

mod admit;
mod alarms;
mod awaited;
mod backend;
mod birth;
mod book;
mod disk;
mod flood;
mod gates;
mod health;
mod in_turns;
mod inbox;
mod lobby;
mod memory;
mod meters;
mod migrate;
mod numbers;
mod perform;
mod prune;
mod put;
mod query;
mod records;
mod redb;
mod replay;
mod tables;
mod turns;
mod whole;
mod writer;

use std::sync::Arc;

use flow_plan as plan;
use jiff::Timestamp;

use crate::event::Cursor;
use crate::journal::Entry;
use crate::world::BoxFuture;

pub(crate) use admit::{LOOPS, WAS_PAUSED, kept_by_pause};
pub use alarms::{Alarm, AlarmKey, AlarmKind, PausedBy};
pub(crate) use alarms::{FORGOTTEN, NOTICE, Notice};
pub use book::{Before, BookChange, BookKey, BookRow, DueRows};
pub(crate) use book::{STARTS, starts_key};
pub use disk::{Disk, OpenFile};
pub use in_turns::Pace;
pub use inbox::seen::Hold;
pub use memory::{Faults, MemoryStore};
pub use meters::{MeterChange, MeterKind, MeterRow};
pub use records::{
    AcceptBatch, AcceptedEvent, After, EventQuery, Follows, FollowsFrom, Missed, NewEvent, NewRun, NewStart, Pruned, ReplayBatch,
    ReplayStart, Replayed, RunHead, RunQuery, RunUpdate, TakenIn,
};
pub use records::{Admission, AwaitKind, AwaitedBy, PruneBite, PruneFrom, StoredEvent, Turn, Waiting};
pub use redb::RedbStore;

/// The version of what this program writes.
pub const VERSION: u32 = 3;

/// Why the store could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The disk failed, is full or read-only. Nothing of the operation is kept; trying again may help.
    #[error("the disk refuses: {0}")]
    Io(String),
    /// Another process has the store open.
    #[error("another flowd{} has the store `{folder}` open", .by.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    Held {
        /// The folder.
        folder: String,
        /// Its process id.
        by: Option<u32>,
    },
    /// A newer version wrote it. It was not touched.
    #[error("the store was written by a newer version of flowd (format {found}, this one reads {VERSION}); it was not touched")]
    Newer {
        /// The version found.
        found: u32,
    },
    /// The files of the store were removed or replaced while it is open: what is written there is lost.
    #[error("the store `{folder}` was removed or replaced while flowd runs: put it back, or start flowd again")]
    Gone {
        /// The folder.
        folder: String,
    },
    /// What was read makes no sense.
    #[error("the store is damaged: {0}")]
    Corrupted(String),
    /// The run was changed meanwhile: read it again.
    #[error("the run was changed meanwhile")]
    Conflict,
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Tells whether trying again may help.
    pub fn is_retryable(&self) -> bool {
        matches!(self, StoreError::Io(_) | StoreError::Gone { .. } | StoreError::Conflict)
    }
}

/// The store. Writes are atomic and durable once their future is ready; those that wait at one moment share one commit.
pub trait Store: Send + Sync {
    /// Takes in events with what they start, the cursor of a poll and changes of the book, in one transaction. What is
    /// known already is left out, and said so. Fails with [`StoreError::Conflict`], changing nothing, where a row of the
    /// book is not what a change of it expects.
    fn accept(&self, batch: AcceptBatch) -> BoxFuture<'static, Result<Vec<AcceptedEvent>, StoreError>>;
    /// Returns the right to take events of a connection in. It is asked for before it is looked whether they are known.
    fn hold(&self, connection: &str, ids: &[&str]) -> Hold {
        let _ = (connection, ids);
        Hold::default()
    }
    /// Takes events in as [`Store::accept`] does, and does `after` when it is decided what became of them. It may be ready
    /// before that, as soon as they are durable, where they are new and nothing of the batch has to be decided at once.
    fn take_in(&self, batch: AcceptBatch, hold: Hold, after: After) -> BoxFuture<'static, Result<TakenIn, StoreError>> {
        let accepted = self.accept(batch);
        Box::pin(async move {
            let accepted = after(accepted.await);
            drop(hold);
            accepted.map(TakenIn::Applied)
        })
    }
    /// Returns when all that was durable before can be read.
    fn caught_up(&self) -> BoxFuture<'static, Result<(), StoreError>> {
        Box::pin(std::future::ready(Ok(())))
    }
    /// Extends journals. Fails with [`StoreError::Conflict`], changing nothing, where a run has other entries by now.
    fn update(&self, runs: Vec<RunUpdate>) -> BoxFuture<'static, Result<(), StoreError>>;
    /// Extends journals, and takes in what follows from that, in one transaction. Fails as [`Store::update`] and
    /// [`Store::accept`] do.
    fn update_and_accept(
        &self,
        runs: Vec<RunUpdate>,
        batch: AcceptBatch,
    ) -> BoxFuture<'static, Result<Vec<AcceptedEvent>, StoreError>>;
    /// Ends an alarm.
    fn end_alarm(&self, key: AlarmKey) -> BoxFuture<'static, Result<(), StoreError>>;
    /// Pauses a flow by hand since `at`, or lets it go on; then what was counted of its starts begins anew.
    fn set_paused(&self, flow: &str, at: Option<Timestamp>) -> BoxFuture<'static, Result<(), StoreError>>;
    /// Removes a little of what is too old, and says where to go on.
    fn prune(&self, bite: PruneBite) -> BoxFuture<'static, Result<Pruned, StoreError>>;

    /// Offers stored events once more to flows, in one transaction: what began already is left out, and said so.
    fn replay(&self, batch: ReplayBatch) -> BoxFuture<'static, Result<Vec<Replayed>, StoreError>>;

    /// Notes that a run has looked through the events before its wait: from here on it only waits. Fails with
    /// [`StoreError::Conflict`] where it has not `entries` entries.
    fn settle(&self, run: &str, entries: u32) -> BoxFuture<'static, Result<(), StoreError>>;
    /// A run that a limit held back until now is to begin. Returns until when it is held back once more; `None` where it
    /// may begin, and is counted so. Fails with [`StoreError::Conflict`] where it has not `entries` entries.
    fn begin_held(&self, run: &str, entries: u32, now: Timestamp) -> BoxFuture<'static, Result<Option<Timestamp>, StoreError>>;
    /// Notes that events were offered to the runs that wait for them.
    fn offered(&self, events: Vec<u64>) -> BoxFuture<'static, Result<(), StoreError>>;
    /// Returns the runs that got their turn in a write that is on disk, each once. What is not asked for any more is found
    /// among the active runs of the next start.
    fn turns(&self) -> Vec<Turn>;

    /// Tells whether writes can be relied on: the files are still in their place, and since the last failure a write of
    /// ordinary size has succeeded. It asks the disk at most about once a second, and writes nothing.
    ///
    /// # Errors
    /// Where they cannot.
    fn check(&self) -> Result<(), StoreError>;

    /// Returns an event by its number.
    fn event(&self, seq: u64) -> Result<Option<StoredEvent>, StoreError>;
    /// Returns the number of the event of a connection with this id.
    fn event_seq(&self, connection: &str, id: &str) -> Result<Option<u64>, StoreError> {
        Ok(self.event_seqs(id)?.into_iter().find(|(known, _)| known == connection).map(|(_, seq)| seq))
    }
    /// Returns the numbers of the events with this id, one per connection.
    fn event_seqs(&self, id: &str) -> Result<Vec<(String, u64)>, StoreError>;
    /// Returns events, newest first.
    fn events(&self, query: &EventQuery) -> Result<Vec<StoredEvent>, StoreError>;
    /// Returns the runs that an event started.
    fn runs_of_event(&self, seq: u64) -> Result<Vec<String>, StoreError>;
    /// Returns the head of a run.
    fn run(&self, id: &str) -> Result<Option<RunHead>, StoreError>;
    /// Returns the journal of a run.
    fn journal(&self, id: &str) -> Result<Vec<Entry>, StoreError>;
    /// Returns the heads of runs, newest first.
    fn runs(&self, query: &RunQuery) -> Result<Vec<RunHead>, StoreError>;
    /// Returns the ids of the runs that are not at their end and do not merely wait, behind `after`, at most `limit`.
    fn active(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>, StoreError>;
    /// Returns how many runs are not at their end, and how many are dead.
    fn counts(&self) -> Result<(u64, u64), StoreError>;
    /// Returns events that are to be offered to runs that wait for them, oldest first.
    fn to_offer(&self, limit: usize) -> Result<Vec<u64>, StoreError>;
    /// Returns what kinds of waits there are for events of a connection's source, with their names.
    fn await_kinds(&self, connection: &str, source: &str) -> Result<Vec<(String, AwaitKind)>, StoreError>;
    /// Returns the runs in a wait of a connection's source and kind for a value, behind `after`, at most `limit`.
    fn awaiting(
        &self,
        by: (&str, &str, &str),
        key: Option<&[u8; 16]>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError>;
    /// Returns those of the next `limit` events behind a number that are of a connection's source, oldest first, and where
    /// to go on.
    fn events_after(&self, after: u64, source: (&str, &str), limit: usize)
    -> Result<(Vec<StoredEvent>, Option<u64>), StoreError>;
    /// Returns the events from a number on, oldest first, at most `limit`.
    fn events_from(&self, from: u64, limit: usize) -> Result<Vec<StoredEvent>, StoreError>;
    /// Returns the flows that an event did not start because of their limits, and why.
    fn drops(&self, event: u64) -> Result<Vec<(String, String)>, StoreError>;
    /// Returns the hashes of all plans that runs began with and that are kept.
    fn plans(&self) -> Result<Vec<String>, StoreError>;
    /// Returns a plan by its hash.
    fn plan(&self, hash: &str) -> Result<Option<Arc<plan::Flow>>, StoreError>;
    /// Returns the runs whose timer is due at `now`, earliest first, and the instant of the next one behind them.
    fn due(&self, now: Timestamp, limit: usize) -> Result<(Vec<String>, Option<Timestamp>), StoreError>;
    /// Returns the runs whose timers are at `from` or later, and not later than `until`: at least `limit` of them, as far as
    /// there are, and the instant at which to go on.
    fn timers(&self, from: Timestamp, until: Timestamp, limit: usize) -> Result<(Vec<String>, Option<Timestamp>), StoreError>;
    /// Returns the cursors: connection, source and how far it has been read.
    fn cursors(&self) -> Result<Vec<(String, String, Cursor)>, StoreError>;
    /// Returns a row of the book.
    fn book_row(&self, key: &BookKey) -> Result<Option<BookRow>, StoreError>;
    /// Returns the rows of a kind, or those of one owner, in the order of their keys.
    fn book(&self, kind: &'static str, owner: Option<&str>) -> Result<Vec<(BookKey, BookRow)>, StoreError>;
    /// Returns the rows of a kind that are due at `now`, earliest first, at most `limit`, and the instant of the next one
    /// behind them.
    fn book_due(&self, kind: &'static str, now: Timestamp, limit: usize) -> Result<DueRows, StoreError>;
    /// Returns what is wrong and has not been dealt with.
    fn alarms(&self) -> Result<Vec<(AlarmKey, Alarm)>, StoreError>;
    /// Returns the paused flows.
    fn paused(&self) -> Result<Vec<(String, Timestamp)>, StoreError>;
    /// Returns what is kept of connections: what they have used, and how they are doing.
    fn meters(&self) -> Result<Vec<MeterRow>, StoreError>;
    /// Returns the highest numbers of events and runs.
    fn last_numbers(&self) -> Result<(u64, u64), StoreError>;
}
