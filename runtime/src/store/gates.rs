//! What is left between a run that has its turn and its beginning: `at most … otherwise queue`, and the throttle.
//!
//! A run that is beyond them has a place in each, an instant from which on it may begin. When that has come it is asked once
//! more, for others may have begun late, as after a time in which the daemon did not run: then places lie in the past and say
//! nothing, and what counts is who really began.

use flow_plan::Rate;
use jiff::Timestamp;

use super::StoreError;
use super::admit::{instant, put_tally, tally};
use super::backend::Write;
use super::put::{encode, put_unlimited};
use super::query;
use super::records::RunHead;
use super::tables::{self, Key};
use super::turns::{Kept, kept};
use crate::journal::{Entry, Held, What};
use crate::limit::{Tally, begin, begins_at, free_at, give_back, leave_place, rate_name, take, take_back};
use crate::run::Status;

/// Why a run is held back by its `at most`.
const QUEUED: &str = "`at most … otherwise queue`";

/// Which limit a gate is.
#[derive(Debug, Clone, Copy)]
enum Which {
    /// One of `at most`, by its place among those that are kept.
    AtMost(usize),
    Throttle,
}

/// One limit that a run has to pass.
struct Gate {
    which: Which,
    key: [u8; 16],
    row: Key,
    count: u32,
    rate: Rate,
    tally: Tally,
    /// The place that the run has, where it has one.
    place: Option<i64>,
    /// The instant that is asked for.
    at: i64,
    /// The first from that on at which the gate is open.
    free: i64,
}

impl Gate {
    fn is_open(&self) -> bool {
        self.free <= self.at
    }

    /// Gives the run another place: at `at`, or at the first instant behind all others where there is none.
    fn moves(&mut self, at: Option<i64>) -> i64 {
        if let Some(place) = self.place {
            give_back(&mut self.tally, &self.rate, place);
        }
        let at = at.unwrap_or_else(|| free_at(&self.tally, self.count, &self.rate, self.at).max(self.free));
        if let Some(place) = self.place.replace(at) {
            leave_place(&mut self.tally, &self.rate, place);
        }
        take(&mut self.tally, self.count, &self.rate, at);
        at
    }
}

/// Lets a run pass, and counts it as begun, or says until when it is held back.
pub(super) fn pass(to: &mut dyn Write, flow: &str, kept: &mut Kept, now: Timestamp) -> Result<Option<Held>, StoreError> {
    let from = now.as_millisecond().max(kept.not_before.take().unwrap_or(i64::MIN));
    let mut gates = gates(to, flow, kept)?;
    let was_begun = std::mem::take(&mut kept.begun);
    for gate in &mut gates {
        gate.at = gate.tally.steady(now).max(from);
        gate.free = gate.at;
        match gate.place {
            Some(place) if was_begun => take_back(&mut gate.tally, &gate.rate, place),
            Some(_) => {}
            None => gate.free = free_at(&gate.tally, gate.count, &gate.rate, gate.at),
        }
        gate.free = begins_at(&gate.tally, gate.count, &gate.rate, gate.free);
    }
    let held = if from <= now.as_millisecond() && gates.iter().all(Gate::is_open) {
        for gate in &mut gates {
            let at = gate.moves(Some(gate.at));
            begin(&mut gate.tally, &gate.rate, at);
        }
        kept.begun = true;
        None
    } else {
        Some(hold_back(&mut gates, kept, from))
    };
    for gate in gates {
        put_tally(to, &gate.row, &gate.tally, gate.tally.rate_ends(&gate.rate))?;
        let Some(place) = gate.place else { continue };
        match gate.which {
            Which::Throttle => kept.throttled = Some((gate.rate, gate.key, place)),
            Which::AtMost(number) => {
                if let Some((.., kept)) = kept.at_most.get_mut(number) {
                    *kept = place;
                }
            }
        }
    }
    Ok(held)
}

/// Why a run is held back by its throttle.
fn throttled(throttle: &flow_plan::Throttle) -> String {
    format!("`throttle to {} per {}`", throttle.count, rate_name(&throttle.every))
}

/// Returns the gates of a run, those of `at most` first.
fn gates(to: &dyn Write, flow: &str, kept: &mut Kept) -> Result<Vec<Gate>, StoreError> {
    let queues = kept.queues.iter().filter_map(|(at, count)| {
        let (number, key, rate, place) = kept.at_most.get(usize::from(*at))?;
        let row = tables::tally(flow, b'm', *number, key);
        Some((Which::AtMost(usize::from(*at)), *key, row, *count, rate.clone(), Some(*place)))
    });
    let mut found: Vec<_> = queues.collect();
    let place = kept.throttled.as_ref().map(|(.., place)| *place);
    let key = kept.throttled.as_ref().map(|(_, key, _)| *key);
    if let Some((throttle, key)) = kept.throttle.take().or_else(|| kept.throttled_by.clone().zip(key)) {
        let row = tables::tally(flow, b't', 0, &key);
        found.push((Which::Throttle, key, row, throttle.count, throttle.every.clone(), place));
        kept.throttled_by = Some(throttle);
    }
    let read = |(which, key, row, count, rate, place)| {
        let tally = tally(to, &row)?.unwrap_or_default();
        Ok(Gate { which, key, row, count, rate, tally, place, at: i64::MIN, free: i64::MIN })
    };
    found.into_iter().map(read).collect()
}

/// Gives a run a place behind all others at each gate that is closed.
fn hold_back(gates: &mut [Gate], kept: &Kept, from: i64) -> Held {
    let (mut begins, mut reason) = (from, QUEUED.to_owned());
    for gate in gates.iter_mut().filter(|gate| !gate.is_open()) {
        let place = gate.moves(None);
        if place > begins {
            begins = place;
            reason = match (gate.which, &kept.throttled_by) {
                (Which::Throttle, Some(throttle)) => throttled(throttle),
                (Which::Throttle, None) | (Which::AtMost(_), _) => QUEUED.to_owned(),
            };
        }
    }
    // At one that is open it goes through when it begins; until then it is in front of those that come later.
    for gate in gates.iter_mut().filter(|gate| gate.place.is_none()) {
        gate.moves(Some(begins));
    }
    Held { until: Some(instant(begins)), reason }
}

/// A run is to begin that was held back until now. Returns until when it is held back once more, behind those that have a
/// place, where others have begun late.
pub(super) fn begin_held(to: &mut dyn Write, run: &str, entries: u32, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    let is_held = |head: &RunHead| head.entries == entries && head.waits.held && head.status == Status::Waiting;
    let Some(old) = query::run(to, run)?.filter(is_held) else { return Err(StoreError::Conflict) };
    let Some(mut kept) = kept(to, run)? else { return Ok(None) };
    let held = pass(to, &old.flow, &mut kept, now)?;
    to.put(&tables::kept(run), &encode(&kept)?)?;
    let Some(held) = held else { return Ok(None) };
    let until = held.until;
    let mut head = old.clone();
    head.wake_at = until;
    head.reason = Some(held.reason.clone());
    head.entries = head.entries.saturating_add(1);
    put_unlimited(to, Some(&old), &head, &[Entry::new(now, What::Held(held))])?;
    Ok(until)
}
