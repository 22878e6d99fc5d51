//! Rows by identifier, in the order in which they were made, as many as memory should hold.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

/// How many rows a table keeps; the oldest go first.
const MOST_ROWS: usize = 200_000;

/// Rows of one kind.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: BTreeMap<u64, Value>,
    by_id: HashMap<String, u64>,
    next: u64,
}

impl Table {
    /// Adds a row, or replaces the one with this identifier.
    pub(crate) fn put(&mut self, id: &str, row: Value) {
        let position = if let Some(position) = self.by_id.get(id) {
            *position
        } else {
            let position = self.next;
            self.next += 1;
            self.by_id.insert(id.to_owned(), position);
            position
        };
        self.rows.insert(position, row);
        if self.rows.len() > MOST_ROWS
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
