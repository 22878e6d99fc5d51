//! Rows by identifier, in the order in which they were made, as many as memory should hold.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

/// How many rows a table keeps; the oldest go first.
const MOST_ROWS: usize = 20_000;
/// How many bits of a position number the rows of one rank.
const SEQUENCE_BITS: u32 = 24;

/// Rows of one kind.
#[derive(Debug)]
pub(crate) struct Table {
    rows: BTreeMap<u64, Value>,
    by_id: HashMap<String, u64>,
    next: u64,
    most: usize,
}

impl Default for Table {
    fn default() -> Table {
        Table::with_most(MOST_ROWS)
    }
}

impl Table {
    /// Makes a table that keeps so many rows.
    pub(crate) fn with_most(most: usize) -> Table {
        Table { rows: BTreeMap::new(), by_id: HashMap::new(), next: 0, most }
    }

    /// Adds a row behind all of its rank and before those of a higher one.
    pub(crate) fn put_ranked(&mut self, id: &str, row: Value, rank: u64) {
        let sequence = self.next & ((1 << SEQUENCE_BITS) - 1);
        self.next += 1;
        self.put_at(id, row, (rank << SEQUENCE_BITS) | sequence);
    }

    /// Adds a row, or replaces the one with this identifier.
    pub(crate) fn put(&mut self, id: &str, row: Value) {
        let position = if let Some(position) = self.by_id.get(id) {
            *position
        } else {
            let position = self.next;
            self.next += 1;
            position
        };
        self.put_at(id, row, position);
    }

    fn put_at(&mut self, id: &str, row: Value, position: u64) {
        self.by_id.insert(id.to_owned(), position);
        self.rows.insert(position, row);
        if self.rows.len() > self.most
            && let Some((_, oldest)) = self.rows.pop_first()
            && let Some(id) = oldest.get("id").and_then(Value::as_str)
        {
            self.by_id.remove(id);
        }
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Value> {
        self.rows.get(self.by_id.get(id)?)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Value> {
        self.rows.get_mut(self.by_id.get(id)?)
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<Value> {
        self.rows.remove(&self.by_id.remove(id)?)
    }

    /// Returns where a row stands in the order of making.
    pub(crate) fn position(&self, id: &str) -> Option<u64> {
        self.by_id.get(id).copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Iterates over the rows older than `position`, newest first.
    pub(crate) fn older_than(&self, position: u64) -> impl Iterator<Item = (u64, &Value)> {
        self.rows.range(..position).rev().map(|(p, row)| (*p, row))
    }

    /// Iterates over the rows newer than `position`, oldest first.
    pub(crate) fn newer_than(&self, position: u64) -> impl Iterator<Item = (u64, &Value)> {
        self.rows.range(position.saturating_add(1)..).map(|(p, row)| (*p, row))
    }

    /// Iterates over the rows, oldest first.
    pub(crate) fn rows(&self) -> impl DoubleEndedIterator<Item = &Value> {
        self.rows.values()
    }
}
