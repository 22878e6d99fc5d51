//! Writing runs and plans, with the indexes in step.

use flow_plan as plan;

use super::backend::Write;
use super::records::{RunHead, Turn};
use super::tables::{self, number_at};
use super::{StoreError, alarms, awaited, turns};
use crate::journal::Entry;
use crate::run::Status;

/// Writes the head of a run and new entries, and keeps the indexes in step; `old` is its head until now. Runs that get their
/// turn by it are added to `woken`.
pub(super) fn put_run(
    to: &mut dyn Write,
    old: Option<RunHead>,
    head: &RunHead,
    entries: &[Entry],
    woken: &mut Vec<Turn>,
) -> Result<(), StoreError> {
    put_unlimited(to, old.as_ref(), head, entries)?;
    let Some(old) = old.filter(|old| old.waits.limited || head.waits.limited) else { return Ok(()) };
    // One that was dead takes its place in the line again, so that it may have to wait.
    let at = entries.last().map_or(head.started_at, |entry| entry.at);
    match turns::rejoin(to, &old, head, at)? {
        Some((held, entry)) => put_unlimited(to, Some(head), &held, &[entry]),
        None => turns::leave(to, &old, head, woken),
    }
}

/// As [`put_run`], for a run whose turn does not change; `old` is its head until now.
pub(super) fn put_unlimited(
    to: &mut dyn Write,
    old: Option<&RunHead>,
    head: &RunHead,
    entries: &[Entry],
) -> Result<(), StoreError> {
    let first = head.entries.saturating_sub(u32::try_from(entries.len()).unwrap_or(u32::MAX));
    for (number, entry) in (first..).zip(entries) {
        to.put(&tables::journal(&head.id, number), &encode(entry)?)?;
    }
    let (was, is) = (old.and_then(place), place(head));
    if was != is {
        match (was, old) {
            (Some(Place::Active), _) => to.remove(&tables::active(&head.id))?,
            (Some(Place::Waiting), Some(old)) => {
                to.remove(&tables::waiting(old.seq))?;
                count_waiting(to, -1)?;
            }
            (Some(Place::Waiting), None) | (None, _) => {}
        }
        match is {
            Some(Place::Active) => to.put(&tables::active(&head.id), &[])?,
            Some(Place::Waiting) => {
                to.put(&tables::waiting(head.seq), head.id.as_bytes())?;
                count_waiting(to, 1)?;
            }
            None => {}
        }
    }
    if let Some(old) = old {
        if old.plan != head.plan {
            // It was moved to another version.
            count_plan(to, &head.plan, 1)?;
            if count_plan(to, &old.plan, -1)? == 0 {
                to.remove(&tables::plan(&old.plan))?;
            }
        }
        if let Some(at) = old.wake_at.filter(|at| head.wake_at != Some(*at)) {
            to.remove(&tables::timer(at, &old.id))?;
        }
        if old.status == Status::Dead && head.status != Status::Dead {
            to.remove(&tables::dead(old.seq))?;
            alarms::is_dead_no_more(to, old)?;
        }
    } else {
        to.put(&tables::run_order(head.seq), head.id.as_bytes())?;
        to.put(&tables::run_of_flow(&head.flow, head.seq), head.id.as_bytes())?;
        to.put(&tables::run_of_event(head.event, &head.id), &[])?;
        count_plan(to, &head.plan, 1)?;
    }
    if let Some(at) = head.wake_at {
        to.put(&tables::timer(at, &head.id), &[])?;
    }
    if head.status == Status::Dead {
        to.put(&tables::dead(head.seq), head.id.as_bytes())?;
        if old.is_none_or(|old| old.status != Status::Dead) {
            alarms::died(to, head)?;
        }
    }
    let awaited_before = old.and_then(|old| old.waits.awaits.as_deref());
    awaited::subscribe(to, &head.id, awaited_before, head.waits.awaits.as_deref())?;
    to.put(&tables::run(&head.id), &encode(head)?)
}

/// Where a run that has not ended is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Among those that are loaded when the daemon starts.
    Active,
    /// Among those that something to come will wake: rows, however many.
    Waiting,
}

fn place(head: &RunHead) -> Option<Place> {
    match head.status {
        Status::Waiting if !head.waits.attention => Some(Place::Waiting),
        Status::Waiting | Status::Running | Status::Parked => Some(Place::Active),
        Status::Done | Status::Stopped | Status::Dead | Status::Cancelled => None,
    }
}

fn count_waiting(to: &mut dyn Write, change: i64) -> Result<(), StoreError> {
    let key = tables::meta("waiting");
    let count = to.get(&key)?.and_then(|bytes| number_at(&bytes, 0)).unwrap_or(0);
    to.put(&key, &count.saturating_add_signed(change).to_be_bytes())
}

/// Keeps a plan, where a run began with it and it is not there yet. Returns whether it is there now.
pub(super) fn put_plan(to: &mut dyn Write, flow: &plan::Flow) -> Result<bool, StoreError> {
    let key = tables::plan(&flow.hash);
    if to.has(&key)? {
        return Ok(true);
    }
    let begun = to.has(&tables::plan_runs(&flow.hash))?;
    if begun {
        to.put(&key, &encode(flow)?)?;
    }
    Ok(begun)
}

/// Counts the runs that are kept of a plan. Returns how many there are now.
pub(super) fn count_plan(to: &mut dyn Write, hash: &str, change: i64) -> Result<u64, StoreError> {
    let key = tables::plan_runs(hash);
    let count = to.get(&key)?.and_then(|bytes| number_at(&bytes, 0)).unwrap_or(0).saturating_add_signed(change);
    match count {
        0 => to.remove(&key)?,
        _ => to.put(&key, &count.to_be_bytes())?,
    }
    Ok(count)
}

pub(super) fn encode<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|error| StoreError::Corrupted(error.to_string()))
}
