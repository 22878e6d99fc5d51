//! How often a flow started in the last hour: one small row per flow, written with each start.
//!
//! Starts are counted by the minute, so that the row stays small however many there are. The hour is the minute at hand
//! and the 59 before it: what is older never counts. The row lies among those of the limits, and goes with them when it
//! says nothing any more.

use jiff::Timestamp;

use super::StoreError;
use super::backend::{Read, Write};
use super::tables::{self, Key, number_at};

/// The limit's letter among the tallies.
const LETTER: u8 = b'f';
/// Minutes that count.
const MINUTES: i64 = 60;
const MINUTE_MS: i64 = 60_000;

/// The starts of a flow by the minute, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Starts(Vec<(i64, u32)>);

fn place(flow: &str) -> Key {
    tables::tally(flow, LETTER, 0, &[0; 16])
}

fn minute_of(at: Timestamp) -> i64 {
    at.as_millisecond().div_euclid(MINUTE_MS)
}

impl Starts {
    /// Reads those that count at an instant.
    pub(super) fn read(from: &(impl Read + ?Sized), flow: &str, at: Timestamp) -> Result<Self, StoreError> {
        let bytes = from.get(&place(flow))?.unwrap_or_default();
        let now = minute_of(at);
        let minutes = bytes.get(8..).unwrap_or_default().chunks_exact(12).filter_map(|chunk| {
            let minute = number_at(chunk, 0)?.cast_signed();
            let count = u32::from_be_bytes(chunk.get(8..12)?.try_into().ok()?);
            // What lies far in the future was counted under a clock that was wrong.
            ((now - MINUTES + 1)..(now + MINUTES)).contains(&minute).then_some((minute, count))
        });
        Ok(Self(minutes.collect()))
    }

    /// Returns how many there are.
    pub(super) fn count(&self) -> u64 {
        self.0.iter().map(|(_, count)| u64::from(*count)).sum()
    }

    /// Counts one more and writes the row.
    pub(super) fn add(mut self, to: &mut dyn Write, flow: &str, at: Timestamp) -> Result<(), StoreError> {
        let now = minute_of(at);
        match self.0.last_mut() {
            // Events are stamped before they are committed: one may come a little late.
            Some((minute, count)) if *minute >= now => *count = count.saturating_add(1),
            _ => self.0.push((now, 1)),
        }
        let last = self.0.last().map_or(now, |(minute, _)| *minute);
        let mut bytes = ((last + MINUTES) * MINUTE_MS).to_be_bytes().to_vec();
        for (minute, count) in &self.0 {
            bytes.extend(minute.to_be_bytes());
            bytes.extend(count.to_be_bytes());
        }
        to.put(&place(flow), &bytes)
    }
}

/// Begins to count anew.
pub(super) fn forget(to: &mut dyn Write, flow: &str) -> Result<(), StoreError> {
    to.remove(&place(flow))
}
