//! Which events our own actions caused.
//!
//! An action that `emits` a trigger leaves behind, with its intent and with its result, the ids of what it touched: its
//! inputs that can be ids, and the `id` of its result. An event of that trigger whose record has one of them as its key,
//! and that comes within some minutes, was caused by the run; everything else is somebody else's doing. It is a guess: one
//! that is wrong takes another person's change of the same record within these minutes for ours, or, where the event is
//! faster than the answer that brings the new id, ours for another's.

use std::collections::HashMap;

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
pub(crate) type Causes = HashMap<Touched, Timed>;

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
    Ok(rows.into_iter().filter_map(|(key, row)| Some((Touched::of_row(&key)?, Timed(row.read().ok()?)))).collect())
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
        match change.row.as_ref().and_then(|row| row.read().ok()) {
            Some(by) => causes.insert(touched, Timed(by)),
            None => causes.remove(&touched),
        };
    }
}

/// Returns how deep an event of these triggers stands behind the run that caused it, and that run; `None` where somebody
/// else did.
pub(super) fn cause(
    shared: &Shared,
    connection: &str,
    source: Option<&Source>,
    triggers: &[String],
    payload: &[u8],
    now: Timestamp,
) -> Option<(u16, Option<String>)> {
    if locked(&shared.causes).is_empty() {
        return None;
    }
    let source = source?;
    let mut paths = PathSet::default();
    let keys: Vec<(&String, usize)> = triggers
        .iter()
        .filter_map(|trigger| Some((trigger, source.keys.get(trigger)?)))
        .flat_map(|(trigger, key)| key.iter().map(move |path| (trigger, path)))
        .map(|(trigger, path)| (trigger, paths.insert(&source.envelope.object.join(path))))
        .collect();
    if keys.is_empty() {
        return None;
    }
    let scanned = paths.scan(payload).ok()?;
    let causes = locked(&shared.causes);
    let mut found = keys.iter().filter_map(|(trigger, leaf)| {
        let id = id_of(&scanned.value(*leaf))?;
        let touched = Touched { connection: connection.to_owned(), trigger: (*trigger).clone(), id };
        causes.get(&touched).filter(|by| by.0.until >= now)
    });
    found.next().map(|by| (by.0.depth.saturating_add(1), by.0.run.clone()))
}
