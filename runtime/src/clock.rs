//! What starts a flow without an event from outside: schedules, events that do not come, states, and the silence of a flow
//! that should have started.
//!
//! Each becomes an event like any other, which is taken in together with the row of the book that says so: a crash between
//! decision and commit leaves neither, one behind it leaves both. One task looks at what is due, in one index ordered by
//! instant; ten thousand schedules are ten thousand rows and not a task or a timer more.
//!
//! Rows belong to a flow and to a hash of the rule: an edit of anything else keeps them, an edit of the rule begins anew.

mod absence;
mod expect;
mod fold;
mod pass;
mod read;
mod schedule;
mod sync;
mod view;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use flow_plan::{Absence, Expect, Schedule, StateStart};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value as Json;
use tokio::sync::Notify;

use crate::engine::{Shared, locked};
use crate::event::{Incoming, Origin, Via};
use crate::store::{Before, BookChange, BookKey, BookRow, StoreError};
use flow_functions::rfc3339;

pub(crate) use absence::key as absence_key;
pub(crate) use pass::run;
pub(crate) use read::observe;
pub(crate) use sync::live_until;
pub(crate) use view::silences;

/// The kinds of rows.
pub(crate) const SCHEDULE: &str = "schedule";
pub(crate) const ABSENCE: &str = "absence";
const EXPECT: &str = "expect";
const STATE: &str = "state";
const STATE_START: &str = "state_start";
const ALIVE: &str = "alive";

/// The connection of schedules.
pub(crate) const TIME: &str = "time";

/// While there is anything to wait for the clock is looked at so often, so that a jump of it, or a machine that slept, is
/// noticed.
const LOOK: SignedDuration = SignedDuration::from_secs(60);
/// A longer time between two looks is one in which nothing was seen.
const BLIND: SignedDuration = SignedDuration::from_secs(120);
/// What is handled later than this was missed.
const LATE: SignedDuration = SignedDuration::from_secs(60);
/// A clock that goes back by less was only set right.
const STEP_BACK: SignedDuration = SignedDuration::from_secs(1);

/// What waits for its instant.
#[derive(Debug)]
pub(crate) struct Clockwork {
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<BookKey, Entry>,
    due: BTreeSet<(Timestamp, BookKey)>,
    readers: BTreeMap<(String, String), Reader>,
    /// Other flows may be live than those of `entries`.
    stale: bool,
    /// The rows that were there at the start have been read.
    loaded: bool,
    /// When the clock was last looked at.
    looked_at: Option<Timestamp>,
    /// Since when nothing was missed.
    up_since: Timestamp,
    /// When it was last written that the daemon lives.
    alive_at: Option<Timestamp>,
    /// A failure was announced.
    troubled: bool,
}

/// What a flow waits for, and its row.
#[derive(Debug)]
struct Entry {
    /// The trigger of the flow that it is; "" where it is none.
    trigger: String,
    item: Item,
    /// As it is in the store.
    row: BookRow,
    due: Option<Timestamp>,
}

#[derive(Debug, Clone)]
enum Item {
    Schedule(Arc<Schedule>),
    Absence {
        connection: String,
        rule: Arc<Absence>,
    },
    Expect(Arc<Expect>),
    State {
        connection: String,
        rule: Arc<StateStart>,
        /// The type of its events: of several states that start a flow each has its own.
        event_type: String,
    },
}

impl Default for Clockwork {
    fn default() -> Self {
        Self { inner: Mutex::new(Inner { stale: true, ..Inner::default() }), changed: Notify::new() }
    }
}

impl Clockwork {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        locked(&self.inner)
    }

    /// Other flows are live.
    pub(crate) fn swapped(&self, shared: &Shared) {
        self.inner().stale = true;
        self.wake(shared);
    }

    /// Events came that end silences: their rows are written.
    pub(crate) fn heard(&self, shared: &Shared, ends: &[BookKey], at: Timestamp) {
        if ends.is_empty() {
            return;
        }
        let mut armed = false;
        {
            let mut inner = self.inner();
            for key in ends {
                armed |= inner.entries.get(key).is_some_and(|entry| entry.due.is_none());
                if let Ok(row) = absence::seen_row(at) {
                    inner.wrote(key, row);
                }
            }
        }
        // A deadline that moved on is found when the one before has come.
        if armed {
            self.wake(shared);
        }
    }

    /// Lets the task look anew.
    pub(crate) fn wake(&self, shared: &Shared) {
        shared.queue().clock_works = true;
        shared.touch();
        self.changed.notify_one();
    }
}

impl Inner {
    /// Notes what a row is in the store, and when it is due next.
    fn wrote(&mut self, key: &BookKey, row: BookRow) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.row = row;
            let due = due_of(&entry.item, &entry.row);
            self.set_due(key, due);
        }
    }

    fn set_due(&mut self, key: &BookKey, due: Option<Timestamp>) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        if let Some(before) = std::mem::replace(&mut entry.due, due) {
            self.due.remove(&(before, key.clone()));
        }
        if let Some(at) = due {
            self.due.insert((at, key.clone()));
        }
    }

    fn remove(&mut self, key: &BookKey) {
        self.set_due(key, None);
        self.entries.remove(key);
    }
}

/// When something is due. A row that cannot be read is due never: it is announced where it is read.
fn due_of(item: &Item, row: &BookRow) -> Option<Timestamp> {
    match item {
        Item::Schedule(rule) => schedule::due(rule, &row.read().ok()?),
        Item::Absence { rule, .. } => absence::due(rule, &row.read().ok()?),
        Item::Expect(rule) => Some(expect::due(rule, &row.read().ok()?, &[])),
        Item::State { rule, .. } => fold::due(rule, &row.read().ok()?),
    }
}

/// How a state is read and what is known of it.
#[derive(Debug)]
struct Reader {
    source: Arc<flow_plan::StateSource>,
    connection: Arc<crate::live::LiveConnection>,
    every: std::time::Duration,
    known: fold::Known,
    /// The row as it is in the store, and when it was written.
    row: Option<BookRow>,
    written_at: Option<Timestamp>,
    next_read: Timestamp,
    reading: bool,
    /// Somebody wants to know anew although it is being read.
    again: bool,
    /// The next reading has to be made since then.
    anew_from: Option<Timestamp>,
    failures: u32,
    trouble: Option<read::Trouble>,
    failing_since: Option<Timestamp>,
}

/// Returns what is written with an event that ends a silence.
pub(crate) fn silence_ended(key: &BookKey, at: Timestamp) -> Result<BookChange, StoreError> {
    Ok(BookChange { key: key.clone(), row: Some(absence::seen_row(at)?), before: Before::Any })
}

/// Returns an event that the clock makes for a flow.
fn event(flow: &str, trigger: &str, source: &str, due: Timestamp, payload: &Json) -> Incoming {
    Incoming {
        // The same instant of a flow has the same id, however often and by whom it is computed.
        id: format!("{flow}@{}", rfc3339(due)),
        source: source.to_owned(),
        event_type: Some(flow.to_owned()),
        occurred_at: Some(due),
        signed_at: None,
        payload: Bytes::from(payload.to_string()),
        via: Via::Clock,
        origin: Origin::External,
        depth: 0,
        only_trigger: Some(trigger.to_owned()),
    }
}

/// Returns the short name of a rule: rows of one that was edited are not found under it.
fn rule_key<T: serde::Serialize>(rule: &T) -> String {
    let mut hash = flow_plan::content_hash(rule);
    hash.truncate(16);
    hash
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}
