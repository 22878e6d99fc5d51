//! `expect at least N per D`: a flow that should have started, and did not.
//!
//! The store keeps the last N starts of the flow, written with the run that each begins.

use flow_plan::{Expect, Rate};
use flow_schedule::period;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How a flow is watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Row {
    /// From here on it is watched: the first sight of the rule or the last announcement, moved on by the time in which the
    /// daemon did not run.
    pub(super) begun: Timestamp,
    /// How long the daemon did not run since the beginning of the period, in milliseconds: for calendar units.
    pub(super) down_ms: i64,
    /// It did not start often enough when that was last judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) silent: Option<Silent>,
}

impl Row {
    /// Returns the row of a rule that is watched from now on.
    pub(super) fn new(begun: Timestamp) -> Self {
        Self { begun, down_ms: 0, silent: None }
    }
}

/// Periods, one after the other, in which a flow did not start often enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Silent {
    /// When that was first noticed.
    pub(super) since: Timestamp,
    /// When it was last.
    pub(super) last: Timestamp,
    /// How many there are.
    pub(super) periods: u64,
}

pub(super) fn key(rule: &Expect) -> String {
    super::rule_key(rule)
}

/// Returns when the flow is silent unless it starts before. `starts` are its last starts, oldest first.
pub(super) fn due(rule: &Expect, row: &Row, starts: &[Timestamp]) -> Timestamp {
    match &rule.every {
        // The first period that is watched from its beginning.
        Rate::Calendar { unit, zone } => {
            let (begin, end) = period(row.begun, *unit, zone);
            if begin == row.begun { end } else { period(end, *unit, zone).1 }
        }
        Rate::Sliding(millis) => {
            let count = usize::try_from(rule.count).unwrap_or(usize::MAX);
            let counted = starts.len().checked_sub(count).and_then(|at| starts.get(at)).copied();
            let from = counted.map_or(row.begun, |counted| counted.max(row.begun));
            super::later(from, SignedDuration::from_millis(i64::try_from(*millis).unwrap_or(i64::MAX)))
        }
    }
}

/// What is known at the instant at which a flow may be silent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It started often enough: look again behind this row.
    Well(Row),
    /// It did not.
    Silent(Row),
}

/// Judges at `due`, which has come.
pub(super) fn judge(rule: &Expect, row: &Row, starts: &[Timestamp], due: Timestamp) -> Verdict {
    let count = usize::try_from(rule.count).unwrap_or(usize::MAX);
    let next = Row::new(due);
    let silent = || {
        let before = row.silent.as_ref();
        let since = before.map_or(due, |before| before.since);
        let periods = before.map_or(0, |before| before.periods).saturating_add(1);
        Verdict::Silent(Row { silent: Some(Silent { since, last: due, periods }), ..next.clone() })
    };
    match &rule.every {
        Rate::Calendar { unit, zone } => {
            let (begin, end) = period(later_than(due), *unit, zone);
            let within = starts.iter().filter(|at| begin <= **at && **at < end).count();
            let half = end.duration_since(begin).as_millis() / 2;
            if within >= count {
                Verdict::Well(next)
            } else if i128::from(row.down_ms) > half {
                // Who was not there for most of the time has nothing to say about it.
                Verdict::Well(Row { silent: row.silent.clone(), ..next })
            } else {
                silent()
            }
        }
        // Where it had started often enough it would be due later.
        Rate::Sliding(_) => silent(),
    }
}

/// Tells whether a flow that was silent starts often enough again.
pub(super) fn is_well(rule: &Expect, starts: &[Timestamp], now: Timestamp) -> bool {
    let count = usize::try_from(rule.count).unwrap_or(usize::MAX);
    let from = match &rule.every {
        Rate::Calendar { unit, zone } => period(now, *unit, zone).0,
        Rate::Sliding(millis) => {
            now.checked_sub(SignedDuration::from_millis(i64::try_from(*millis).unwrap_or(i64::MAX))).unwrap_or(Timestamp::MIN)
        }
    };
    starts.iter().filter(|at| **at >= from).count() >= count
}

/// An instant in the period that ends at `end`.
fn later_than(end: Timestamp) -> Timestamp {
    end.checked_sub(SignedDuration::from_millis(1)).unwrap_or(end)
}
