//! The book: small rows that must survive beside events and runs. Each has a kind, an owner, a key, and perhaps an instant
//! at which it is due.
//!
//! What a row means is for whoever keeps it. Rows of one kind lie together, those of one owner within them, so that either
//! can be gone through; due rows of a kind are found by their instant.

use jiff::Timestamp;

use super::StoreError;
use super::backend::{Read, Write};
use super::tables::{self, Key, LETTER, instant_at, text_at};

/// The name of a row.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BookKey {
    /// What kind of row it is: one word for each that keeps rows.
    pub kind: &'static str,
    /// Whose it is: a flow's id, a connection.
    pub owner: String,
    /// Which of the owner's.
    pub key: String,
}

impl BookKey {
    /// Returns the name of a row.
    pub fn new(kind: &'static str, owner: impl Into<String>, key: impl Into<String>) -> Self {
        Self { kind, owner: owner.into(), key: key.into() }
    }
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookRow {
    /// What it says, as JSON.
    pub value: Vec<u8>,
    /// When it is due.
    pub due: Option<Timestamp>,
}

impl BookRow {
    /// Returns a row of a value.
    ///
    /// # Errors
    /// Where the value cannot be written as JSON.
    pub fn of<T: serde::Serialize>(value: &T, due: Option<Timestamp>) -> Result<Self, StoreError> {
        let value = serde_json::to_vec(value).map_err(|error| StoreError::Corrupted(error.to_string()))?;
        Ok(Self { value, due })
    }

    /// Returns what it says.
    ///
    /// # Errors
    /// Where it says something else.
    pub fn read<T: serde::de::DeserializeOwned>(&self) -> Result<T, StoreError> {
        serde_json::from_slice(&self.value).map_err(|error| StoreError::Corrupted(error.to_string()))
    }
}

/// A change of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookChange {
    /// Which row.
    pub key: BookKey,
    /// What it is from now on; `None` removes it.
    pub row: Option<BookRow>,
    /// What it has to be until now.
    pub before: Before,
}

/// What a row has to be for a change of it. Where it is something else nothing of the whole transaction is done, and it
/// ends as a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Before {
    /// Whatever it is.
    Any,
    /// This, or missing.
    Row(Option<BookRow>),
}

/// Rows that are due, earliest first, and the instant of the next one behind them.
pub type DueRows = (Vec<(BookKey, BookRow)>, Option<Timestamp>);

pub(super) fn get(from: &(impl Read + ?Sized), key: &BookKey) -> Result<Option<BookRow>, StoreError> {
    from.get(&tables::book(key))?.map(|bytes| decode(&bytes)).transpose()
}

/// Writes or removes a row, and keeps the index of due rows in step.
pub(super) fn put(to: &mut dyn Write, key: &BookKey, row: Option<&BookRow>) -> Result<(), StoreError> {
    let place = tables::book(key);
    let due_before = get(to, key)?.and_then(|before| before.due);
    let due = row.and_then(|row| row.due);
    if let Some(at) = due_before.filter(|before| due != Some(*before)) {
        to.remove(&tables::book_due(at, key))?;
    }
    match row {
        Some(row) => to.put(&place, &encode(row))?,
        None => to.remove(&place)?,
    }
    if let Some(at) = due {
        to.put(&tables::book_due(at, key), &[])?;
    }
    Ok(())
}

/// Finds out whether changes can be made. Asked before anything is written.
pub(super) fn check(from: &dyn Read, changes: &[BookChange]) -> Result<(), StoreError> {
    for change in changes {
        if let Before::Row(before) = &change.before
            && get(from, &change.key)? != *before
        {
            return Err(StoreError::Conflict);
        }
    }
    Ok(())
}

pub(super) fn change(to: &mut dyn Write, changes: &[BookChange]) -> Result<(), StoreError> {
    changes.iter().try_for_each(|change| put(to, &change.key, change.row.as_ref()))
}

/// Returns the name of the row that holds the last starts of a flow: a list of instants, oldest first.
pub(crate) fn starts_key(flow: &str) -> BookKey {
    BookKey::new(STARTS, flow, "")
}

/// The kind of rows with the last starts of a flow.
pub(crate) const STARTS: &str = "starts";

/// Counts a start of a flow; its `most` last ones are kept.
pub(super) fn count_start(to: &mut dyn Write, flow: &str, at: Timestamp, most: u32) -> Result<(), StoreError> {
    let key = starts_key(flow);
    let mut starts: Vec<Timestamp> = get(to, &key)?.map_or_else(|| Ok(Vec::new()), |row| row.read())?;
    starts.push(at);
    // A clock may have gone back.
    starts.sort_unstable();
    let surplus = starts.len().saturating_sub(usize::try_from(most).unwrap_or(usize::MAX));
    starts.drain(..surplus);
    put(to, &key, Some(&BookRow::of(&starts, None)?))
}

/// Returns the rows of a kind, or those of one owner.
pub(super) fn rows(from: &dyn Read, kind: &'static str, owner: Option<&str>) -> Result<Vec<(BookKey, BookRow)>, StoreError> {
    let of_kind = Key::of(b'b').text(kind);
    let begin = owner.map_or_else(|| of_kind.clone(), |owner| of_kind.clone().text(owner));
    let mut found = Vec::new();
    from.scan(&begin, &begin.end(), false, &mut |key, value| {
        found.extend(key_at(kind, key, of_kind.len()).map(|key| decode(value).map(|row| (key, row))).transpose()?);
        Ok(true)
    })?;
    Ok(found)
}

/// Returns the rows of a kind that are due at `now`, earliest first, at most `limit`, and the instant of the next behind them.
pub(super) fn due(from: &dyn Read, kind: &'static str, now: Timestamp, limit: usize) -> Result<DueRows, StoreError> {
    let all = Key::of(b'q').text(kind);
    let (mut found, mut next) = (Vec::new(), None);
    from.scan(&all, &all.end(), false, &mut |key, _| {
        let (Some(at), Some(key)) = (instant_at(key, all.len()), key_at(kind, key, all.len() + 8)) else { return Ok(true) };
        // Instants of keys are in milliseconds, rounded down.
        if at.as_millisecond() > now.as_millisecond() || found.len() >= limit {
            next = Some(at);
            return Ok(false);
        }
        found.push(key);
        Ok(true)
    })?;
    let mut rows = Vec::with_capacity(found.len());
    for key in found {
        if let Some(row) = get(from, &key)? {
            rows.push((key, row));
        }
    }
    Ok((rows, next))
}

/// Reads owner and key behind a place of a key.
fn key_at(kind: &'static str, bytes: &[u8], at: usize) -> Option<BookKey> {
    let owner = text_at(bytes, at)?;
    let key = text_at(bytes, at + owner.len() + 1)?;
    Some(BookKey::new(kind, owner, key))
}

/// The instant, or none, and the JSON.
fn encode(row: &BookRow) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(LETTER + 8 + row.value.len());
    match row.due {
        Some(at) => bytes.extend(Key::of(1).instant(at).0),
        None => bytes.push(0),
    }
    bytes.extend(&row.value);
    bytes
}

fn decode(bytes: &[u8]) -> Result<BookRow, StoreError> {
    let damaged = || StoreError::Corrupted("a row of the book is cut off".to_owned());
    let (has_due, rest) = bytes.split_first().ok_or_else(damaged)?;
    if *has_due == 0 {
        return Ok(BookRow { value: rest.to_vec(), due: None });
    }
    let due = instant_at(rest, 0).ok_or_else(damaged)?;
    Ok(BookRow { value: rest.get(8..).ok_or_else(damaged)?.to_vec(), due: Some(due) })
}
