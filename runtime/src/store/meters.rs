//! What connections have used, and how they are doing: counters that grow by steps, and notes that are replaced.
//!
//! A counter has slots, each with its beginning in milliseconds: the months of a quota, or the sixteenth parts of the time
//! of a rate. Whoever counts says by how much a slot grows, never what it is, so that counts that are on their way to the
//! disk together add up. Slots that say nothing any more are dropped by the next count.

use super::StoreError;
use super::backend::{Read, Write};
use super::tables::{self, Key, LETTER, number_at, text_at};

/// What is counted or noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MeterKind {
    /// Requests of a connection, for its rate.
    Rate,
    /// Requests of an account, for its quota.
    Quota,
    /// How a connection is doing, as JSON.
    Connection,
    /// How an account is doing, as JSON.
    Account,
}

impl MeterKind {
    fn letter(self) -> u8 {
        match self {
            MeterKind::Rate => b'r',
            MeterKind::Quota => b'q',
            MeterKind::Connection => b'c',
            MeterKind::Account => b'a',
        }
    }

    fn of_letter(letter: u8) -> Option<Self> {
        [Self::Rate, Self::Quota, Self::Connection, Self::Account].into_iter().find(|kind| kind.letter() == letter)
    }
}

/// A change of what connections have used, or of how they are doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MeterChange {
    /// A slot grows, or shrinks.
    Count {
        /// What is counted.
        kind: MeterKind,
        /// Whose it is: a connection's name, or an account's.
        name: String,
        /// The beginning of the slot, in milliseconds.
        slot: i64,
        /// By how much.
        by: i64,
        /// Slots that begin before say nothing any more.
        keep_from: i64,
    },
    /// A note is replaced; `None` removes it.
    Note {
        /// What is noted.
        kind: MeterKind,
        /// Whose it is.
        name: String,
        /// JSON.
        value: Option<Vec<u8>>,
    },
}

/// A row of what is kept of connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterRow {
    /// What it is.
    pub kind: MeterKind,
    /// Whose it is.
    pub name: String,
    /// Slots or JSON.
    value: Vec<u8>,
}

impl MeterRow {
    /// Returns the slots of a counter: the beginning of each, and what was counted.
    pub fn slots(&self) -> Vec<(i64, u64)> {
        slots(&self.value)
    }

    /// Returns what a note says; `None` where it says something else.
    pub fn note<T: serde::de::DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.value).ok()
    }
}

const SLOT: usize = 16;

fn slots(bytes: &[u8]) -> Vec<(i64, u64)> {
    let slot = |slot: &[u8]| Some((number_at(slot, 0)?.cast_signed(), number_at(slot, 8)?));
    bytes.chunks_exact(SLOT).filter_map(slot).collect()
}

fn key(kind: MeterKind, name: &str) -> Key {
    tables::meter(kind.letter(), name)
}

pub(super) fn change(to: &mut dyn Write, changes: &[MeterChange]) -> Result<(), StoreError> {
    for change in changes {
        match change {
            MeterChange::Count { kind, name, slot, by, keep_from } => {
                let key = key(*kind, name);
                let mut known = to.get(&key)?.map(|bytes| slots(&bytes)).unwrap_or_default();
                known.retain(|(begins, _)| begins >= keep_from);
                match known.iter_mut().find(|(begins, _)| begins == slot) {
                    Some((_, count)) => *count = count.saturating_add_signed(*by),
                    None => known.push((*slot, 0u64.saturating_add_signed(*by))),
                }
                let mut bytes = Vec::with_capacity(known.len() * SLOT);
                for (begins, count) in known {
                    bytes.extend(begins.to_be_bytes());
                    bytes.extend(count.to_be_bytes());
                }
                to.put(&key, &bytes)?;
            }
            MeterChange::Note { kind, name, value: Some(value) } => to.put(&key(*kind, name), value)?,
            MeterChange::Note { kind, name, value: None } => to.remove(&key(*kind, name))?,
        }
    }
    Ok(())
}

pub(super) fn all(from: &dyn Read) -> Result<Vec<MeterRow>, StoreError> {
    let table = Key::of(b'L');
    let mut rows = Vec::new();
    from.scan(&table, &table.end(), false, &mut |key, value| {
        let kind = key.get(LETTER).copied().and_then(MeterKind::of_letter);
        if let (Some(kind), Some(name)) = (kind, text_at(key, LETTER + 1)) {
            rows.push(MeterRow { kind, name: name.to_owned(), value: value.to_vec() });
        }
        Ok(true)
    })?;
    Ok(rows)
}
