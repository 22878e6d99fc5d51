//! Turns: at most one run at a time per key, the others in a line, in the order of their arrival.
//!
//! A turn is a row with the run that has it; those that wait for it are rows sorted by the numbers of the runs. The
//! transaction that writes the end of a run gives its turn to the next. A dead run has no turn; one that is tried again
//! takes its place in the line by its number, so that it is the next.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::admit::held_by_turn;
use super::backend::Write;
use super::gates;
use super::put::{encode, put_unlimited};
use super::query::{self, decode};
use super::records::{RunHead, Turn};
use super::tables;
use crate::journal::{Entry, Held, What};
use crate::limit::give_back;
use crate::run::{Status, superseded_by};

/// What is kept of a run's limits until it has ended.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The hash of its turn's key.
    #[serde(default)]
    pub(super) turn: Option<[u8; 16]>,
    /// It does not begin before, in milliseconds.
    #[serde(default)]
    pub(super) not_before: Option<i64>,
    /// The throttle that it has still to pass.
    #[serde(default)]
    pub(super) throttle: Option<(flow_plan::Throttle, [u8; 16])>,
    /// What it has of the throttle while it is held back by it: the rate, the key and the instant.
    #[serde(default)]
    pub(super) throttled: Option<(flow_plan::Rate, [u8; 16], i64)>,
    /// Which of `at_most` hold it back, by their numbers, and how many each of them lets through.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) queues: Vec<(u8, u32)>,
    /// The throttle that holds it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) throttled_by: Option<flow_plan::Throttle>,
    /// It has been counted as begun, and did not get so far that it was written.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) begun: bool,
    /// What it used up of `once per`.
    #[serde(default)]
    pub(super) once: Option<[u8; 16]>,
    /// What it used up of `at most`: which of them, the key, the rate and the instant.
    #[serde(default)]
    pub(super) at_most: Vec<(u8, [u8; 16], flow_plan::Rate, i64)>,
}

pub(super) fn kept(from: &dyn Write, run: &str) -> Result<Option<Kept>, StoreError> {
    from.get(&tables::kept(run))?.map(|bytes| decode(&bytes)).transpose()
}

/// Returns the run that has a turn.
pub(super) fn holder(from: &dyn Write, flow: &str, key: &[u8; 16]) -> Result<Option<String>, StoreError> {
    Ok(from.get(&tables::turn(flow, key))?.and_then(|id| String::from_utf8(id).ok()))
}

/// Takes a turn, whoever had it.
pub(super) fn hold(to: &mut dyn Write, flow: &str, key: &[u8; 16], run: &str) -> Result<(), StoreError> {
    to.put(&tables::turn(flow, key), run.as_bytes())
}

/// Puts a run into the line.
pub(super) fn wait(to: &mut dyn Write, flow: &str, key: &[u8; 16], seq: u64, run: &str) -> Result<(), StoreError> {
    to.put(&tables::line(flow, key, seq), run.as_bytes())
}

/// A run that was dead goes on: it takes the turn, or its place in the line. Returns the entry that holds it back, with the
/// head behind that.
pub(super) fn rejoin(
    to: &mut dyn Write,
    old: &RunHead,
    head: &RunHead,
    at: Timestamp,
) -> Result<Option<(RunHead, Entry)>, StoreError> {
    if old.status != Status::Dead || !head.status.is_active() {
        return Ok(None);
    }
    let Some(turn) = kept(to, &head.id)?.and_then(|kept| kept.turn) else { return Ok(None) };
    let Some(other) = holder(to, &head.flow, &turn)?.filter(|other| *other != head.id) else {
        hold(to, &head.flow, &turn, &head.id)?;
        return Ok(None);
    };
    wait(to, &head.flow, &turn, head.seq, &head.id)?;
    let held = Held { until: None, reason: held_by_turn(&other) };
    let mut behind = RunHead {
        status: Status::Waiting,
        reason: Some(held.reason.clone()),
        wake_at: None,
        entries: head.entries.saturating_add(1),
        ..head.clone()
    };
    behind.waits.attention = false;
    Ok(Some((behind, Entry::new(at, What::Held(held)))))
}

/// A run was written. Where that is its end its turn goes to the next, and what it used up without having begun is given
/// back.
pub(super) fn leave(to: &mut dyn Write, old: &RunHead, head: &RunHead, woken: &mut Vec<Turn>) -> Result<(), StoreError> {
    if head.status.is_active() {
        return Ok(());
    }
    let Some(kept) = kept(to, &head.id)? else { return Ok(()) };
    if old.status.is_active() {
        if let Some(turn) = &kept.turn {
            if holder(to, &head.flow, turn)?.as_deref() == Some(head.id.as_str()) {
                hand_over(to, &head.flow, turn, head.ended_at.unwrap_or(head.started_at), woken)?;
            } else {
                to.remove(&tables::line(&head.flow, turn, head.seq))?;
            }
        }
        if old.waits.held {
            give_all_back(to, &head.flow, &kept)?;
        }
    }
    // A dead one may be tried again.
    if head.status == Status::Dead { Ok(()) } else { to.remove(&tables::kept(&head.id)) }
}

/// Gives a turn to the first of its line.
fn hand_over(to: &mut dyn Write, flow: &str, key: &[u8; 16], at: Timestamp, woken: &mut Vec<Turn>) -> Result<(), StoreError> {
    let (run, old) = loop {
        let Some((place, run)) = first_of(to, &tables::line_of(flow, key))? else {
            return to.remove(&tables::turn(flow, key));
        };
        to.remove(&place)?;
        // One that waits no more has left the line with its end; should it not have, it is passed over.
        if let Some(old) = query::run(to, &run)?.filter(|old| old.status == Status::Waiting) {
            break (run, old);
        }
    };
    hold(to, flow, key, &run)?;
    let mut kept = kept(to, &run)?.unwrap_or_default();
    let begins = if old.waits.held { gates::pass(to, flow, &mut kept, at)? } else { None };
    to.put(&tables::kept(&run), &encode(&kept)?)?;
    let mut head = old.clone();
    match begins {
        Some(held) => {
            let until = held.until;
            head.wake_at = until;
            head.reason = Some(held.reason.clone());
            head.entries = head.entries.saturating_add(1);
            put_unlimited(to, Some(&old), &head, &[Entry::new(at, What::Held(held))])?;
            woken.push(Turn { run, at: until });
        }
        None => {
            head.waits.attention = true;
            put_unlimited(to, Some(&old), &head, &[])?;
            woken.push(Turn { run, at: None });
        }
    }
    Ok(())
}

fn first_of(from: &dyn Write, line: &tables::Key) -> Result<Option<(Vec<u8>, String)>, StoreError> {
    let mut first = None;
    from.scan(line, &line.end(), false, &mut |place, run| {
        first = Some((place.to_vec(), String::from_utf8_lossy(run).into_owned()));
        Ok(false)
    })?;
    Ok(first)
}

/// Ends a run whose turn a newer event has taken.
pub(super) fn supersede(to: &mut dyn Write, run: &str, by: &str, at: Timestamp) -> Result<bool, StoreError> {
    let Some(old) = query::run(to, run)?.filter(|old| old.status.is_active()) else { return Ok(false) };
    let mut head = RunHead {
        status: Status::Cancelled,
        reason: Some(superseded_by(by)),
        ended_at: Some(at),
        wake_at: None,
        entries: old.entries.saturating_add(1),
        ..old.clone()
    };
    head.waits.attention = false;
    head.waits.awaits = None;
    head.waits.held = false;
    put_unlimited(to, Some(&old), &head, &[Entry::new(at, What::Superseded { by: by.to_owned() })])?;
    if old.waits.held
        && let Some(kept) = kept(to, run)?
    {
        give_all_back(to, &old.flow, &kept)?;
    }
    to.remove(&tables::kept(run))?;
    Ok(true)
}

fn give_all_back(to: &mut dyn Write, flow: &str, kept: &Kept) -> Result<(), StoreError> {
    if let Some(once) = &kept.once {
        to.remove(&tables::once(flow, once))?;
    }
    let at_most = kept.at_most.iter().map(|(number, key, rate, at)| (tables::tally(flow, b'm', *number, key), rate, at));
    let throttled = kept.throttled.iter().map(|(rate, key, at)| (tables::tally(flow, b't', 0, key), rate, at));
    for (place, rate, at) in at_most.chain(throttled) {
        if let Some(mut tally) = super::admit::tally(to, &place)? {
            give_back(&mut tally, rate, *at);
            super::admit::put_tally(to, &place, &tally, tally.rate_ends(rate))?;
        }
    }
    Ok(())
}
