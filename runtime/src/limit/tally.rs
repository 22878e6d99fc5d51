//! What was counted under one key of one limit.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// A clock that goes back by no more than this stands still; one that goes back further was wrong, and was corrected.
pub(crate) const LITTLE: SignedDuration = SignedDuration::from_hours(1);

/// What was counted under one key of one limit. It holds at most twice as many instants as the limit counts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// The latest instant at which it was asked, in milliseconds.
    pub(super) seen: i64,
    /// The instants that count, in milliseconds, sorted. Those of starts that are held back lie in the future.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) at: Vec<i64>,
    /// Instants that still count were left out, since there are too many that lie in the future.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) cut: bool,
    /// The beginning of the calendar unit that is counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) period: Option<i64>,
    /// How many there were in it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) count: u32,
    /// When runs really began, where that is counted apart from their places: after a while in which the daemon did not run,
    /// places lie in the past. Sorted, and no older than the time of the rate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) begun: Vec<i64>,
    /// The same in a unit of the calendar: its beginning, and how many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) begun_in: Option<(i64, u32)>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

impl Tally {
    /// Takes note of the clock and returns the instant that counts, in milliseconds.
    ///
    /// Events are stamped before they are committed, so that the order of stamps and of commits may differ a little: then
    /// the clock stands still. A clock that went back further had been wrong: what was counted under it moves with it, so
    /// that nothing is blocked until a time that is far away.
    pub(crate) fn steady(&mut self, now: Timestamp) -> i64 {
        let now = now.as_millisecond();
        let back = self.seen.saturating_sub(now);
        if i128::from(back) > LITTLE.as_millis() {
            self.at.iter_mut().for_each(|at| *at = at.saturating_sub(back));
            self.begun.iter_mut().for_each(|at| *at = at.saturating_sub(back));
            self.begun_in = None;
            self.period = None;
            self.count = 0;
            self.seen = now;
        }
        self.seen = self.seen.max(now);
        self.seen
    }
}

/// Milliseconds as an instant; what lies outside of time is its end.
pub(super) fn instant(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 { Timestamp::MIN } else { Timestamp::MAX })
}
