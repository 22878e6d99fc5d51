//! Which times of a schedule a change of the clock touches.

use flow_plan::Schedule;
use jiff::Timestamp;
use jiff::civil::DateTime;

use crate::clock::shift_after;
use crate::instants::Ready;

/// A time of a schedule that the clock does not show, or shows twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// When the clock changes.
    pub at: Timestamp,
    /// The first time of the schedule that is touched.
    pub time: DateTime,
    /// The clock shows it twice; it does not show it otherwise.
    pub twice: bool,
    /// The instants at which the schedule runs for it: none, one or two.
    pub runs: Vec<Timestamp>,
    /// What the clock shows in its place: from where it jumps, and to where.
    pub jump: (DateTime, DateTime),
}

/// Returns the changes of the clock from `from` up to `until` that touch times of the schedule, in order.
pub fn changes(schedule: &Schedule, from: Timestamp, until: Timestamp) -> Vec<Change> {
    let rule = Ready::of(schedule);
    let Some((zone, manner)) = rule.clock() else { return Vec::new() };
    let mut found = Vec::new();
    let mut at = from;
    while let Some(shift) = shift_after(zone, at) {
        if shift.at > until {
            break;
        }
        at = shift.at;
        let (old, new) = (shift.from(), shift.to());
        let twice = new < old;
        let (low, high) = if twice { (new, old) } else { (old, new) };
        let Some(time) = rule.on_paper(low).filter(|time| *time < high) else { continue };
        let runs = if twice {
            let shown = |offset: jiff::tz::Offset| offset.to_timestamp(time).ok();
            let first = manner.first.then(|| shown(shift.old)).flatten();
            first.into_iter().chain(manner.second.then(|| shown(shift.new)).flatten()).collect()
        } else {
            manner.gap.then_some(shift.at).into_iter().collect()
        };
        found.push(Change { at: shift.at, time, twice, runs, jump: (old, new) });
    }
    found
}
