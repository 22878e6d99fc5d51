//! Which events our own actions caused.
//!
//! An action that `emits` a trigger leaves behind, with its intent and with its result, the ids of what it touched: its
//! inputs that can be ids, and the `id` of its result. An event of that trigger whose record has one of them as its key,
//! and that comes within some minutes, was caused by the run; everything else is somebody else's doing. It is a guess: one
//! that is wrong takes another person's change of the same record within these minutes for ours.
//!
//! An action that is confirmed by a state changes the one thing that its connection stands for: what happens to that between the
//! sending and a moment behind the confirmation is its doing, where the records of its triggers have no key. That is asked by
//! the event's own times, since a poll may come hours later.
//!
//! An event may be faster than the answer that brings the new id: then it starts flows as somebody else's. When the answer
//! is there it is noticed, so that at least what those flows do is known to stand behind the run, and a circle that is as
//! fast comes to its end like any other. That is kept in memory alone.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use flow_plan::{Operation, Source, Value};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Shared, locked};
use crate::event::Incoming;
use crate::journal::{Entry, Outcome, What};
use crate::scan::PathSet;
use crate::store::{Before, BookChange, BookKey, BookRow, Store, StoreError};

/// The kind of rows.
const CAUSED: &str = "caused";
/// An event that comes later is somebody else's.
const MINUTES: SignedDuration = SignedDuration::from_mins(15);
/// What a confirmed action causes is dated no later than so long behind its end: motors take their time.
const MOMENT: SignedDuration = SignedDuration::from_secs(30);
/// Times of services have whole seconds.
const SECOND: SignedDuration = SignedDuration::from_secs(1);
/// For so long it is remembered when a confirmed action was under way.
const LATE: SignedDuration = SignedDuration::from_hours(24);
/// What stands before the instant of an attempt, in place of an id.
const SENT: char = '@';
/// Longer texts are no ids.
const LONGEST_ID: usize = 128;
/// So many rows that are too old go with each that is written.
const FORGET: usize = 16;

/// What an action touched.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Touched {
    connection: String,
    trigger: String,
    id: String,
}

/// By which run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct By {
    /// How deep its own event was.
    depth: u16,
    until: Timestamp,
    /// Its id.
    #[serde(default)]
    run: Option<String>,
    /// Of a confirmed action: when it was sent, and when it ended, as far as it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sent: Option<(Timestamp, Option<Timestamp>)>,
}

/// What actions touched a moment ago.
#[derive(Debug, Default)]
pub(crate) struct Causes {
    touched: HashMap<Touched, Timed>,
    /// When confirmed actions were under way, of each trigger that they cause.
    sent: HashMap<(String, String), HashMap<String, Timed>>,
    /// Events that came while an action was under way that may have caused them: their numbers.
    early: HashMap<Touched, (u64, Timestamp)>,
    /// Events of which that turned out to be so.
    late: HashMap<u64, Timed>,
}

/// So many events are remembered of which it may turn out, or has turned out, who caused them.
const MOST_EARLY: usize = 4096;

/// Whether our own actions caused an event.
#[derive(Debug)]
pub(super) enum Cause {
    /// A run did: so deep does the event stand, and which run.
    Run(u16, Option<String>),
    /// Somebody else did, as far as is known. Should one of these turn out to be touched, it was that.
    Other(Vec<Touched>),
}

/// As long as it is there an action is under way that may cause events.
pub(crate) struct UnderWay<'a>(&'a AtomicUsize);

impl<'a> UnderWay<'a> {
    /// Returns it where the operation causes events at all.
    pub(crate) fn of(shared: &'a Shared, operation: &Operation) -> Option<Self> {
        (!operation.emits.is_empty()).then(|| {
            shared.causing.fetch_add(1, Ordering::SeqCst);
            Self(&shared.causing)
        })
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// By which run, as it is kept in memory.
#[derive(Debug, Clone)]
pub(crate) struct Timed(By);

impl Touched {
    fn row(&self) -> BookKey {
        BookKey::new(CAUSED, self.connection.as_str(), format!("{}\n{}", self.trigger, self.id))
    }

    /// When the confirmed action was sent, and when it ended, with the id that stands for the first.
    fn sent(&self) -> Option<(String, (Timestamp, Option<Timestamp>))> {
        let times = self.id.strip_prefix(SENT)?;
        let (sent, ended) = times.split_once('-').map_or((times, None), |(sent, ended)| (sent, Some(ended)));
        let at = |text: &str| Timestamp::from_millisecond(text.parse().ok()?).ok();
        Some((format!("{SENT}{sent}"), (at(sent)?, ended.and_then(at))))
    }

    fn of_row(key: &BookKey) -> Option<Self> {
        let (trigger, id) = key.key.split_once('\n')?;
        Some(Self { connection: key.owner.clone(), trigger: trigger.to_owned(), id: id.to_owned() })
    }
}

/// Returns what was touched before this start.
pub(super) fn load(store: &dyn Store) -> Result<Causes, StoreError> {
    let rows = store.book(CAUSED, None)?;
    let mut causes = Causes::default();
    for (touched, by) in rows.into_iter().filter_map(|(key, row)| Some((Touched::of_row(&key)?, row.read().ok()?))) {
        causes.note(touched, by);
    }
    Ok(causes)
}

impl Causes {
    fn note(&mut self, touched: Touched, by: By) {
        if touched.id.starts_with(SENT) {
            self.sent.entry((touched.connection, touched.trigger)).or_default().insert(touched.id, Timed(by));
        } else {
            self.touched.insert(touched, Timed(by));
        }
    }

    /// Notes by which run an event was caused that had come already.
    fn turned_out(&mut self, event: u64, by: Timed) {
        if self.late.len() >= MOST_EARLY {
            self.late.clear();
        }
        self.late.insert(event, by);
    }

    fn forget(&mut self, touched: &Touched) {
        if !touched.id.starts_with(SENT) {
            self.touched.remove(touched);
        } else if let Some(known) = self.sent.get_mut(&(touched.connection.clone(), touched.trigger.clone())) {
            known.remove(&touched.id);
        }
    }

    /// Returns the run of a confirmed action that was under way when something happened.
    fn under_way(&self, connection: &str, trigger: &str, (began, at): (Timestamp, Timestamp)) -> Option<&By> {
        let known = self.sent.get(&(connection.to_owned(), trigger.to_owned()))?;
        known.values().map(|by| &by.0).find(|by| {
            let Some((sent, ended)) = by.sent else { return false };
            let until = ended.map_or(later(sent, MINUTES), |ended| later(ended, MOMENT));
            began >= later(sent, -SECOND) && at <= until
        })
    }
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(at)
}

/// Returns what an entry of a journal says was touched by the operation that it is about, whose attempt began at `sent_at`.
pub(crate) fn touched(
    connection: &str,
    operation: &Operation,
    inputs: &[Value],
    entry: &Entry,
    sent_at: Timestamp,
) -> Vec<Touched> {
    let mut ids: Vec<String> = match &entry.what {
        What::Intent => {
            let shown = inputs.iter().zip(&operation.inputs).filter(|(_, input)| !input.personal);
            shown.filter_map(|(value, _)| id_of(value)).collect()
        }
        What::Ended { outcome: Outcome::Done { value, .. }, .. } => id_of(&value.field("id")).into_iter().collect(),
        _ => Vec::new(),
    };
    if operation.confirm.is_some() {
        let sent = sent_at.as_millisecond();
        match &entry.what {
            What::Intent => ids.push(format!("{SENT}{sent}")),
            What::Ended { outcome: Outcome::Done { .. }, .. } => ids.push(format!("{SENT}{sent}-{}", entry.at.as_millisecond())),
            _ => {}
        }
    }
    let triggers = operation.emits.iter().map(|emitted| emitted.rsplit('.').next().unwrap_or(emitted));
    triggers
        .flat_map(|trigger| {
            let of = |id: &String| Touched { connection: connection.to_owned(), trigger: trigger.to_owned(), id: id.clone() };
            ids.iter().map(of).collect::<Vec<_>>()
        })
        .collect()
}

fn id_of(value: &Value) -> Option<String> {
    let text = match value {
        Value::Text(text) => text.to_string(),
        Value::Number(number) => number.normalize().to_string(),
        _ => return None,
    };
    let is_id = !text.is_empty() && text.len() <= LONGEST_ID && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    is_id.then_some(text)
}

/// Returns the rows of what was touched, and takes some out that are too old.
pub(crate) fn changes(
    shared: &Shared,
    touched: &[Touched],
    run: &str,
    depth: u16,
    now: Timestamp,
) -> Result<Vec<BookChange>, StoreError> {
    if touched.is_empty() {
        return Ok(Vec::new());
    }
    let until = now.checked_add(MINUTES).unwrap_or(Timestamp::MAX);
    let change = |key: BookKey, row: Option<BookRow>| BookChange { key, row, before: Before::Any };
    let mut changes: Vec<BookChange> =
        shared.store.book_due(CAUSED, now, FORGET)?.0.into_iter().map(|(key, _)| change(key, None)).collect();
    for one in touched {
        let by = By { depth, until, run: Some(run.to_owned()), sent: None };
        let (row, by) = match one.sent() {
            // Where records have a key, that says more.
            Some(_) if has_key(shared, one) => continue,
            Some((id, sent)) => {
                let row = Touched { id, ..one.clone() }.row();
                (row, By { until: later(now, LATE), sent: Some(sent), ..by })
            }
            None => (one.row(), by),
        };
        let due = by.until;
        changes.push(change(row, Some(BookRow::of(&by, Some(due))?)));
    }
    Ok(changes)
}

/// Tells whether the record of a trigger has a key by which it is known what was touched.
fn has_key(shared: &Shared, touched: &Touched) -> bool {
    let current = shared.current();
    let sources = current.live.connections.get(&touched.connection).map(|live| &live.plan.sources);
    sources.into_iter().flatten().any(|source| source.keys.contains_key(&touched.trigger))
}

/// Notes changes that are written.
pub(super) fn noted(shared: &Shared, changes: &[BookChange]) {
    let mut causes = locked(&shared.causes);
    for change in changes {
        let Some(touched) = Touched::of_row(&change.key).filter(|_| change.key.kind == CAUSED) else { continue };
        let Some(by) = change.row.as_ref().and_then(|row| row.read::<By>().ok()) else {
            causes.forget(&touched);
            continue;
        };
        if let Some((event, _)) = causes.early.remove(&touched) {
            tracing::info!(connection = touched.connection, id = touched.id, run = by.run, "an event was faster than our answer");
            causes.turned_out(event, Timed(by.clone()));
        }
        causes.note(touched, by);
    }
}

/// Remembers an event that came while an action was under way that may have caused it.
pub(super) fn heard_early(shared: &Shared, ids: Vec<Touched>, event: u64, now: Timestamp) {
    let mut causes = locked(&shared.causes);
    // The answer may have come while the event was taken in.
    if let Some(by) = ids.iter().find_map(|id| causes.touched.get(id).filter(|by| by.0.until >= now)).cloned() {
        causes.turned_out(event, by);
        return;
    }
    if causes.early.len() >= MOST_EARLY {
        causes.early.retain(|_, (_, at)| now.duration_since(*at) < MINUTES);
    }
    if causes.early.len() < MOST_EARLY {
        causes.early.extend(ids.into_iter().map(|id| (id, (event, now))));
    }
}

/// Returns how deep an event stands, and behind which run, where that turned out after it had come.
pub(crate) fn turned_out(shared: &Shared, event: u64) -> Option<(u16, Option<String>)> {
    locked(&shared.causes).late.get(&event).map(|by| (by.0.depth.saturating_add(1), by.0.run.clone()))
}

/// Returns whether a run caused an event of these triggers.
pub(super) fn cause(
    shared: &Shared,
    connection: &str,
    source: Option<&Source>,
    triggers: &[String],
    incoming: &Incoming,
    now: Timestamp,
) -> Cause {
    let under_way = shared.causing.load(Ordering::SeqCst) > 0;
    let nobody = || Cause::Other(Vec::new());
    {
        let causes = locked(&shared.causes);
        if !under_way && causes.touched.is_empty() && causes.sent.is_empty() {
            return nobody();
        }
    }
    let Some(source) = source else { return nobody() };
    if let Some(times) = incoming.happened() {
        let causes = locked(&shared.causes);
        let by = triggers.iter().find_map(|trigger| causes.under_way(connection, trigger, times));
        if let Some(by) = by {
            return Cause::Run(by.depth.saturating_add(1), by.run.clone());
        }
    }
    let payload = &incoming.payload;
    let mut paths = PathSet::default();
    let keys: Vec<(&String, usize)> = triggers
        .iter()
        .filter_map(|trigger| Some((trigger, source.keys.get(trigger)?)))
        .flat_map(|(trigger, key)| key.iter().map(move |path| (trigger, path)))
        .map(|(trigger, path)| (trigger, paths.insert(&source.envelope.object.join(path))))
        .collect();
    if keys.is_empty() {
        return nobody();
    }
    let Ok(scanned) = paths.scan(payload) else { return nobody() };
    let ids: Vec<Touched> = keys
        .iter()
        .filter_map(|(trigger, leaf)| {
            let id = id_of(&scanned.value(*leaf))?;
            Some(Touched { connection: connection.to_owned(), trigger: (*trigger).clone(), id })
        })
        .collect();
    let causes = locked(&shared.causes);
    let found = ids.iter().find_map(|id| causes.touched.get(id).filter(|by| by.0.until >= now));
    match found {
        Some(by) => Cause::Run(by.0.depth.saturating_add(1), by.0.run.clone()),
        None if under_way => Cause::Other(ids),
        None => nobody(),
    }
}
