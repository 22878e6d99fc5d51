//! Reading states: at their interval, when a duration is over, and when something says that they changed.

use std::sync::Arc;
use std::time::Duration;

use flow_plan::{StateSource, Value};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};

use super::sync::{change, state_key};
use super::{Inner, Item, Reader, event, fold};
use crate::engine::{Refused, Shared, locked, take_in};
use crate::eval::eval;
use crate::event::Incoming;
use crate::live::LiveConnection;
use crate::reading::{self, ReadingScope, Told, Untold};
use crate::store::{Before, BookChange, BookKey, BookRow, StoreError};
use flow_functions::rfc3339;

const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(15 * 60);
/// How often a connection is tried whose credentials do not work.
const PROBE: Duration = Duration::from_secs(300);
/// What is the same as before is written so often, so that the disk is not woken for nothing.
const QUIET_COMMIT: SignedDuration = SignedDuration::from_mins(5);
/// What a service says of a state that it does not know itself.
const UNKNOWN: &[&str] = &["unknown", "unavailable"];
/// A row that somebody else changed is read again so often.
const TRIES: u32 = 4;

/// Why a state is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) reason: String,
    /// The credentials do not work.
    pub(super) broken: bool,
    /// The service answered, and the answer says that it does not know either.
    pub(super) unavailable: bool,
    retry_after: Option<Duration>,
}

impl Trouble {
    fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), broken: false, unavailable: false, retry_after: None }
    }
}

impl From<Untold> for Trouble {
    fn from(untold: Untold) -> Self {
        match untold {
            Untold::Withheld(held) => Self { retry_after: Some(held.wait), ..Self::new(held.reason) },
            Untold::Broken(error) => Self { broken: true, ..Self::new(error) },
            Untold::Failed { error, retry_after } => Self { retry_after, ..Self::new(error) },
        }
    }
}

/// Begins to read the states for which it is time.
pub(super) fn begin_due(shared: &Arc<Shared>, now: Timestamp) {
    let due: Vec<(String, String)> = {
        let mut inner = shared.clockwork.inner();
        let due = inner.readers.iter_mut().filter(|(_, reader)| !reader.reading && reader.next_read <= now);
        due.map(|(name, reader)| {
            reader.reading = true;
            name.clone()
        })
        .collect()
    };
    for name in due {
        shared.queue().background += 1;
        let task = {
            let shared = Arc::clone(shared);
            async move {
                read(&shared, &name).await;
                shared.queue().background -= 1;
                shared.clockwork.wake(&shared);
            }
        };
        locked(&shared.steps).spawn(task);
    }
}

/// Has a state read now, because its time is over; where it cannot be read, that is tried again anyway.
pub(super) fn want(shared: &Shared, connection: &str, state: &str, now: Timestamp) {
    if let Some(reader) = shared.clockwork.inner().readers.get_mut(&(connection.to_owned(), state.to_owned())) {
        if reader.reading {
            reader.again = true;
        } else if reader.trouble.is_none() {
            reader.next_read = reader.next_read.min(now);
        }
        reader.anew_from = Some(now);
    }
}

/// Has a state read now, because something says that it changed.
pub(crate) fn observe(shared: &Shared, connection: &str, state: &str) -> bool {
    let now = shared.world.clock.now();
    let known = match shared.clockwork.inner().readers.get_mut(&(connection.to_owned(), state.to_owned())) {
        Some(reader) => {
            if reader.reading {
                reader.again = true;
            } else if !reader.trouble.as_ref().is_some_and(|trouble| trouble.broken) {
                // A service that has something to say is there again, whatever the last reading came to.
                reader.next_read = reader.next_read.min(now);
            }
            reader.anew_from = Some(now);
            true
        }
        None => false,
    };
    if known {
        shared.clockwork.wake(shared);
    }
    known
}

/// Returns the event of a state that starts a flow, which is of its own type.
pub(super) fn state_event(event_type: &str, trigger: &str, fired: &fold::Fired, value: Option<&Value>) -> Incoming {
    let json = |value: Option<&Value>| value.map_or(Json::Null, Value::to_json);
    let mut payload = json!({ "value": json(value), "since": rfc3339(fired.since) });
    if let (Some(was), Some(object)) = (&fired.was, payload.as_object_mut()) {
        object.insert("was".to_owned(), was.to_json());
    }
    event(event_type, trigger, "state", fired.at, &payload)
}

impl Inner {
    /// Tells whether a state could not be read, or the service did not know it, when somebody last looked.
    pub(super) fn is_troubled(&self, connection: &str, state: &str) -> bool {
        self.readers.get(&(connection.to_owned(), state.to_owned())).is_some_and(|reader| reader.trouble.is_some())
    }

    /// What a state was when it was last known.
    pub(super) fn value_of(&self, connection: &str, state: &str) -> Option<Value> {
        self.readers.get(&(connection.to_owned(), state.to_owned())).and_then(|reader| reader.known.value.clone())
    }
}

async fn read(shared: &Arc<Shared>, name: &(String, String)) {
    let now = shared.world.clock.now();
    let found = shared.clockwork.inner().readers.get_mut(name).map(|reader| {
        // Who wants to know anew is not served by what was read before.
        let since = reader.anew_from.take().unwrap_or_else(|| reading::serves_from(now, reader.every));
        (reader.source.clone(), Arc::clone(&reader.connection), since)
    });
    let Some((source, connection, since)) = found else { return };
    let outcome = match ask(shared, &source, &connection, since).await {
        Ok((value, told)) => {
            let learnt = learn(shared, name, &value, told.sent_at, told.at).await;
            learnt.map(|()| told.at).map_err(|refused| match refused {
                Refused::Conflict => Trouble::new("the store was changed meanwhile"),
                Refused::No(error) => Trouble::new(error.to_string()),
            })
        }
        Err(trouble) => {
            let why = if trouble.unavailable { fold::Unknown::Unsaid } else { fold::Unknown::Unread };
            if let Err(Refused::No(error)) = miss(shared, name, why).await {
                // The next reading, or the end of the time, says it again.
                tracing::debug!(connection = name.0, state = name.1, %error, "that a state is not known is not written");
            }
            Err(trouble)
        }
    };
    let (at, fraction) = (shared.world.clock.now(), shared.world.random.fraction());
    let mut inner = shared.clockwork.inner();
    if let Some(reader) = inner.readers.get_mut(name) {
        reader.done(name, outcome, at, fraction);
    }
}

impl Reader {
    fn done(&mut self, name: &(String, String), outcome: Result<Timestamp, Trouble>, at: Timestamp, fraction: f64) {
        let (connection, state) = name;
        self.reading = false;
        let again = std::mem::take(&mut self.again);
        match outcome {
            Ok(told_at) => {
                if self.trouble.take().is_some() {
                    tracing::info!(connection, state, "the state is known again");
                }
                self.failures = 0;
                self.failing_since = None;
                self.next_read = if again { at } else { after(told_at, self.every) };
            }
            Err(trouble) => {
                // What is not known may have been otherwise.
                self.known.gap = true;
                let before = self.trouble.as_ref();
                if before.is_none_or(|before| before.broken != trouble.broken) {
                    let reason = &trouble.reason;
                    if trouble.broken {
                        tracing::error!(connection, state, reason, "the connection is broken: its state cannot be read");
                    } else {
                        tracing::warn!(connection, state, reason, "the state is not known; it is read again");
                    }
                }
                let wait = if trouble.broken {
                    PROBE.max(self.every)
                } else if trouble.unavailable {
                    self.every
                } else {
                    // What is read seldom, since its calls are few, is not asked more often because it does not answer.
                    let most = LONGEST_BACKOFF.max(self.every);
                    let longest = FIRST_BACKOFF.saturating_mul(1 << self.failures.min(20)).min(most);
                    self.failures = self.failures.saturating_add(1);
                    longest.mul_f64(fraction.clamp(0.1, 1.0)).max(trouble.retry_after.unwrap_or_default())
                };
                self.failing_since.get_or_insert(at);
                self.trouble = Some(trouble);
                self.next_read = after(at, wait);
            }
        }
    }
}

fn after(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// Takes in what a state is: the row, and the flows that it starts, in one transaction.
async fn learn(
    shared: &Arc<Shared>,
    name: &(String, String),
    value: &Value,
    sent_at: Timestamp,
    at: Timestamp,
) -> Result<(), Refused> {
    for _ in 0..TRIES {
        let Some(learnt) = learnt(&shared.clockwork.inner(), name, value, sent_at, at)? else { return Ok(()) };
        if learnt.events.is_empty() && learnt.book.is_empty() {
            if let Some(reader) = shared.clockwork.inner().readers.get_mut(name) {
                reader.known = learnt.known;
            }
            return Ok(());
        }
        match take_in(shared, &name.0, learnt.events, None, learnt.book.clone()).await {
            Ok(_) => {
                let mut inner = shared.clockwork.inner();
                let of_state = state_key(name);
                for change in learnt.book {
                    let Some(row) = change.row else { continue };
                    match inner.readers.get_mut(name).filter(|_| change.key == of_state) {
                        Some(reader) => {
                            reader.row = Some(row);
                            reader.written_at = Some(at);
                        }
                        None => inner.wrote(&change.key, row),
                    }
                }
                if let Some(reader) = inner.readers.get_mut(name) {
                    reader.known = learnt.known;
                }
                return Ok(());
            }
            Err(Refused::Conflict) => read_again(shared, name, &learnt.book)?,
            Err(refused) => return Err(refused),
        }
    }
    Err(Refused::Conflict)
}

/// Takes in that a state is not known, which some flows wait for.
async fn miss(shared: &Arc<Shared>, name: &(String, String), why: fold::Unknown) -> Result<(), Refused> {
    for _ in 0..TRIES {
        let at = shared.world.clock.now();
        let (events, book) = missed(&shared.clockwork.inner(), name, why, at)?;
        if book.is_empty() {
            return Ok(());
        }
        match take_in(shared, &name.0, events, None, book.clone()).await {
            Ok(_) => {
                let mut inner = shared.clockwork.inner();
                for change in book {
                    if let Some(row) = change.row {
                        inner.wrote(&change.key, row);
                    }
                }
                return Ok(());
            }
            Err(Refused::Conflict) => read_again(shared, name, &book)?,
            Err(refused) => return Err(refused),
        }
    }
    Err(Refused::Conflict)
}

/// The flows that start since a state is not known, and the rows that say so.
fn missed(
    inner: &Inner,
    name: &(String, String),
    why: fold::Unknown,
    at: Timestamp,
) -> Result<(Vec<Incoming>, Vec<BookChange>), StoreError> {
    let (mut events, mut book) = (Vec::new(), Vec::new());
    let Some(reader) = inner.readers.get(name) else { return Ok((events, book)) };
    for (key, entry) in waiting(inner, name) {
        let Item::State { rule, event_type, .. } = &entry.item else { continue };
        let row: fold::Row = entry.row.read()?;
        let (next, fired) = fold::advance_unknown(rule, &row, &reader.known, why, at);
        events.extend(fired.map(|fired| state_event(event_type, &entry.trigger, &fired, None)));
        if next != row {
            book.push(change(key, Some(BookRow::of(&next, None)?), Before::Row(Some(entry.row.clone()))));
        }
    }
    Ok((events, book))
}

/// The flows that wait for a state, in their order.
fn waiting<'i>(inner: &'i Inner, name: &(String, String)) -> Vec<(&'i BookKey, &'i super::Entry)> {
    let mut waiting: Vec<_> = inner.entries.iter().filter(|(_, entry)| waits_for(&entry.item, name)).collect();
    waiting.sort_by_key(|(key, _)| *key);
    waiting
}

/// What follows from what a state is.
struct Learnt {
    known: fold::Known,
    events: Vec<Incoming>,
    book: Vec<BookChange>,
}

fn learnt(
    inner: &Inner,
    name: &(String, String),
    value: &Value,
    sent_at: Timestamp,
    at: Timestamp,
) -> Result<Option<Learnt>, StoreError> {
    let Some(reader) = inner.readers.get(name) else { return Ok(None) };
    let before = &reader.known;
    let known = fold::known(before, value, at);
    let (mut events, mut book) = (Vec::new(), Vec::new());
    for (key, entry) in waiting(inner, name) {
        let Item::State { rule, event_type, .. } = &entry.item else { continue };
        let row: fold::Row = entry.row.read()?;
        let (next, fired) = fold::advance(rule, &row, before, value, sent_at, at);
        events.extend(fired.map(|fired| state_event(event_type, &entry.trigger, &fired, Some(value))));
        if next != row {
            book.push(change(key, Some(BookRow::of(&next, None)?), Before::Row(Some(entry.row.clone()))));
        }
    }
    let same = before.value == known.value && reader.row.is_some();
    let quiet = reader.written_at.is_some_and(|written| at.duration_since(written) < QUIET_COMMIT);
    if !same || !quiet || !book.is_empty() {
        book.push(change(&state_key(name), Some(BookRow::of(&known, None)?), Before::Row(reader.row.clone())));
    }
    Ok(Some(Learnt { known, events, book }))
}

fn waits_for(item: &Item, name: &(String, String)) -> bool {
    matches!(item, Item::State { connection, rule, .. } if *connection == name.0 && rule.state == name.1)
}

fn read_again(shared: &Shared, name: &(String, String), book: &[BookChange]) -> Result<(), StoreError> {
    let of_state = state_key(name);
    for change in book {
        let row = shared.store.book_row(&change.key)?;
        let mut inner = shared.clockwork.inner();
        if change.key == of_state {
            if let Some(reader) = inner.readers.get_mut(name) {
                reader.row = row;
            }
        } else if let Some(row) = row {
            inner.wrote(&change.key, row);
        } else {
            inner.remove(&change.key);
            inner.stale = true;
        }
    }
    Ok(())
}

/// Asks the service what a state is, unless somebody else has just asked.
async fn ask(
    shared: &Arc<Shared>,
    source: &StateSource,
    connection: &Arc<LiveConnection>,
    since: Timestamp,
) -> Result<(Value, Told), Trouble> {
    let nothing = ReadingScope::new(connection, shared.world.clock.now());
    let inputs: Result<Vec<Value>, _> = source.args.iter().map(|arg| eval(arg, &nothing)).collect();
    let inputs = inputs.map_err(|error| Trouble::new(error.to_string()))?;
    let told = reading::read(shared, connection, &source.query, inputs, since).await?;
    let value = eval(&source.value, &nothing.with_result(&told.value)).unwrap_or_default();
    let is_member =
        source.members.is_empty() || value.as_text().is_some_and(|text| source.members.iter().any(|member| member == text));
    let says_nothing = value.as_text().is_some_and(|text| UNKNOWN.contains(&text));
    if value.is_missing() || says_nothing || !is_member {
        let reason = match &value {
            _ if value.is_missing() || says_nothing => "the service does not say what it is".to_owned(),
            other => format!("`{}` is no value that is known of it", shorten(other)),
        };
        return Err(Trouble { unavailable: true, ..Trouble::new(reason) });
    }
    Ok((value, told))
}

fn shorten(value: &Value) -> String {
    value.to_string().chars().filter(|c| !c.is_control()).take(40).collect()
}
