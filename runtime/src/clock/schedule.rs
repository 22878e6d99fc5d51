//! `every …`: which instants fire, and what becomes of those at which the daemon did not run.

use std::collections::VecDeque;

use flow_plan::{Missed, Schedule};
use flow_schedule::{after, instants, next};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::LATE;

/// So many missed instants are made up for; of more, the latest.
pub(super) const MOST: usize = 1000;

/// How far a schedule has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Row {
    /// When the rule was first seen: intervals are counted from here.
    pub(super) anchor: Timestamp,
    /// All instants until here were handled.
    pub(super) handled: Timestamp,
}

/// An instant that fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Instant {
    pub(super) at: Timestamp,
    /// The daemon did not run then.
    pub(super) missed: bool,
}

/// What becomes of the instants of a schedule until now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decision {
    /// Oldest first.
    pub(super) fire: Vec<Instant>,
    /// All instants until here are handled then.
    pub(super) handled: Timestamp,
    /// So many are passed over.
    pub(super) passed_over: usize,
    /// There were more than could be counted.
    pub(super) more: bool,
}

/// Returns the name of the rule. What becomes of missed instants is no part of it: who changes that has the same schedule.
pub(super) fn key(schedule: &Schedule) -> String {
    super::rule_key(&(&schedule.rule, &schedule.zone, &schedule.location, &schedule.clock_change))
}

pub(super) fn due(schedule: &Schedule, row: &Row) -> Option<Timestamp> {
    next(schedule, row.anchor, row.handled)
}

/// Decides about all instants until `now`. Those before `up_since` were missed, and so was what could not be handled for
/// a minute.
///
/// A clock that went back goes on from where it is now: its instants come again, and those that have fired are known by
/// their ids.
pub(super) fn decide(schedule: &Schedule, row: &Row, now: Timestamp, up_since: Timestamp) -> Decision {
    let from = row.handled.min(now);
    let (found, more) = latest(schedule, row.anchor, from, now);
    let handled = found.last().copied().unwrap_or(from);
    let is_missed = |at: &Timestamp| *at < up_since || now.duration_since(*at) > LATE;
    let latest_missed = found.iter().rev().find(|at| is_missed(at)).copied();
    let fires = |at: &Timestamp| match &schedule.missed {
        _ if !is_missed(at) => true,
        Missed::All => true,
        Missed::Skip => false,
        Missed::Latest { within } => Some(*at) == latest_missed && after(*at, within) >= now,
    };
    let fire: Vec<Instant> = found.iter().filter(|at| fires(at)).map(|at| Instant { at: *at, missed: is_missed(at) }).collect();
    let passed_over = found.len() - fire.len();
    Decision { fire, handled, passed_over, more }
}

/// Returns the instants in `from..=until`, or the latest of them, and whether there are more.
fn latest(schedule: &Schedule, anchor: Timestamp, from: Timestamp, until: Timestamp) -> (Vec<Timestamp>, bool) {
    let forward: Vec<Timestamp> = instants(schedule, anchor, from).take_while(|at| *at <= until).take(MOST + 1).collect();
    if forward.len() <= MOST {
        return (forward, false);
    }
    // Too many to go through: back from the end, further and further, until there are enough.
    let mut back = SignedDuration::from_secs(60);
    loop {
        let begin = until.checked_sub(back).unwrap_or(from).max(from);
        let mut found = VecDeque::new();
        for at in instants(schedule, anchor, begin).take_while(|at| *at <= until) {
            found.push_back(at);
            if found.len() > MOST {
                found.pop_front();
            }
        }
        if found.len() >= MOST || begin == from {
            return (found.into(), true);
        }
        back = back.saturating_mul(2);
    }
}
