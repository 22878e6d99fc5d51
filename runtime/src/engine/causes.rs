//! Which events our own actions caused.
//!
//! An action that `emits` a trigger leaves behind, with its intent and with its result, the ids of what it touched: its
//! inputs that can be ids, and the `id` of its result. An event of that trigger whose record has one of them as its key,
//! and that comes within some minutes, was caused by the run; everything else is somebody else's doing. It is a guess: one
//! that is wrong takes another person's change of the same record within these minutes for ours.
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
use crate::journal::{Outcome, What};
use crate::scan::PathSet;
use crate::store::{Before, BookChange, BookKey, BookRow, Store, StoreError};

/// The kind of rows.
const CAUSED: &str = "caused";
/// An event that comes later is somebody else's.
const MINUTES: SignedDuration = SignedDuration::from_mins(15);
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
}

/// What actions touched a moment ago.
#[derive(Debug, Default)]
pub(crate) struct Causes {
    touched: HashMap<Touched, Timed>,
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

    fn of_row(key: &BookKey) -> Option<Self> {
        let (trigger, id) = key.key.split_once('\n')?;
        Some(Self { connection: key.owner.clone(), trigger: trigger.to_owned(), id: id.to_owned() })
    }
}

/// Returns what was touched before this start.
pub(super) fn load(store: &dyn Store) -> Result<Causes, StoreError> {
    let rows = store.book(CAUSED, None)?;
    let touched = rows.into_iter().filter_map(|(key, row)| Some((Touched::of_row(&key)?, Timed(row.read().ok()?))));
    Ok(Causes { touched: touched.collect(), ..Causes::default() })
}

/// Returns what an entry of a journal says was touched by the operation that it is about.
pub(crate) fn touched(connection: &str, operation: &Operation, inputs: &[Value], what: &What) -> Vec<Touched> {
    let ids: Vec<String> = match what {
        What::Intent => {
            let shown = inputs.iter().zip(&operation.inputs).filter(|(_, input)| !input.personal);
            shown.filter_map(|(value, _)| id_of(value)).collect()
        }
        What::Ended { outcome: Outcome::Done { value, .. }, .. } => id_of(&value.field("id")).into_iter().collect(),
        _ => Vec::new(),
    };
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
        changes.push(change(one.row(), Some(BookRow::of(&By { depth, until, run: Some(run.to_owned()) }, Some(until))?)));
    }
    Ok(changes)
}

/// Notes changes that are written.
pub(super) fn noted(shared: &Shared, changes: &[BookChange]) {
    let mut causes = locked(&shared.causes);
    for change in changes {
        let Some(touched) = Touched::of_row(&change.key).filter(|_| change.key.kind == CAUSED) else { continue };
        let Some(by) = change.row.as_ref().and_then(|row| row.read::<By>().ok()) else {
            causes.touched.remove(&touched);
            continue;
        };
        if let Some((event, _)) = causes.early.remove(&touched) {
            tracing::info!(connection = touched.connection, id = touched.id, run = by.run, "an event was faster than our answer");
            if causes.late.len() >= MOST_EARLY {
                causes.late.clear();
            }
            causes.late.insert(event, Timed(by.clone()));
        }
        causes.touched.insert(touched, Timed(by));
    }
}

/// Remembers an event that came while an action was under way that may have caused it.
pub(super) fn heard_early(shared: &Shared, ids: Vec<Touched>, event: u64, now: Timestamp) {
    let mut causes = locked(&shared.causes);
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
    payload: &[u8],
    now: Timestamp,
) -> Cause {
    let under_way = shared.causing.load(Ordering::SeqCst) > 0;
    let nobody = || Cause::Other(Vec::new());
    if !under_way && locked(&shared.causes).touched.is_empty() {
        return nobody();
    }
    let Some(source) = source else { return nobody() };
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
