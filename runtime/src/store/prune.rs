//! Taking out what is too old, a little at a time.
//!
//! Finished runs go with their journals, and the last run of a plan takes the plan with it; then events that no run refers
//! to, then the keys of starts. Dead and active runs stay, with their events.
//!
//! What may go is looked for by a reader, which keeps nobody waiting; what was found is looked at once more in the
//! transaction that removes it. A table that is to be pruned too is one more line of [`SWEEPS`].

use jiff::Timestamp;

use super::StoreError;
use super::backend::{Read, Write};
use super::put::count_plan;
use super::records::{PruneBite, PruneFrom, Pruned, RunHead};
use super::tables::{self, Key, LETTER, instant_at, number_at};
use super::{admit, query};
use crate::run::Status;

/// The keys of one table that may go.
#[derive(Debug)]
pub(super) struct Sweep {
    /// The table's letter.
    table: u8,
    /// Its rows are in the order of their age: what is not old enough for a pass is behind what that looked at.
    by_age: bool,
    /// Tells what becomes of a row that is looked at.
    judge: Judge,
    /// Removes a row that may go, with all that belongs to it.
    remove: Remove,
}

type Judge = fn(&dyn Read, &PruneBite, &[u8], &[u8]) -> Result<Verdict, StoreError>;
type Remove = fn(&mut dyn Write, &[u8], &[u8], &mut Pruned) -> Result<(), StoreError>;

/// What becomes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Stays,
    Goes,
    /// It stays, and so do all behind it.
    Enough,
}

/// In this order: an event stays until its runs have gone.
const SWEEPS: &[Sweep] = &[
    Sweep { table: b'o', by_age: true, judge: judge_run, remove: remove_run },
    Sweep { table: b'e', by_age: true, judge: judge_event, remove: remove_event },
    Sweep { table: b't', by_age: true, judge: judge_start, remove: remove_start },
    Sweep { table: b'l', by_age: false, judge: judge_tally, remove: remove_tally },
];

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    bite: Option<PruneBite>,
    /// Which sweep, and the key of the row.
    rows: Vec<(usize, Vec<u8>)>,
    next: Option<PruneFrom>,
    ended: Vec<Vec<u8>>,
}

impl Found {
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// What is answered where there is nothing to remove.
    pub(super) fn nothing(self) -> Pruned {
        Pruned { next: self.next, ended: self.ended, ..Pruned::default() }
    }
}

/// Looks for what may go: at no more than `bite.look` rows, until `bite.limit` are found.
pub(super) fn find(from: &dyn Read, bite: &PruneBite) -> Result<Found, StoreError> {
    let mut found = Found { bite: Some(bite.clone()), ..Found::default() };
    let mut looked = 0;
    let PruneFrom { sweep: first, key, begins, ended } = &bite.from;
    let mut ended = ended.clone();
    for (number, sweep) in SWEEPS.iter().enumerate().skip(*first) {
        let all = Key::of(sweep.table);
        let begin = match begins.get(number) {
            _ if number == *first && !key.is_empty() => key,
            Some(begin) => begin,
            None => &all.0,
        };
        let mut next = None;
        let mut end = begin.clone();
        from.scan(begin, &all.end(), false, &mut |key, value| {
            if looked >= bite.look || found.rows.len() >= bite.limit {
                next = Some(key.to_vec());
                return Ok(false);
            }
            looked += 1;
            end = key.to_vec();
            match (sweep.judge)(from, bite, key, value)? {
                Verdict::Stays => {}
                Verdict::Goes => found.rows.push((number, key.to_vec())),
                Verdict::Enough => return Ok(false),
            }
            Ok(true)
        })?;
        if let Some(key) = next {
            found.next = Some(PruneFrom { sweep: number, key, begins: begins.clone(), ended });
            return Ok(found);
        }
        ended.push(if sweep.by_age { end } else { all.end() });
        // What the next sweep may take depends on what this one took.
        if !found.rows.is_empty() && number + 1 < SWEEPS.len() {
            found.next = Some(PruneFrom { sweep: number + 1, key: Vec::new(), begins: begins.clone(), ended });
            return Ok(found);
        }
    }
    found.ended = ended;
    Ok(found)
}

/// Removes what was found, as far as it still may go.
pub(super) fn remove(from: &mut dyn Write, found: &Found) -> Result<Pruned, StoreError> {
    let mut pruned = Pruned { next: found.next.clone(), ended: found.ended.clone(), ..Pruned::default() };
    let Some(bite) = &found.bite else { return Ok(pruned) };
    for (number, key) in &found.rows {
        let (Some(sweep), Some(value)) = (SWEEPS.get(*number), from.get(key)?) else { continue };
        if (sweep.judge)(&*from, bite, key, &value)? == Verdict::Goes {
            (sweep.remove)(from, key, &value, &mut pruned)?;
        }
    }
    Ok(pruned)
}

fn run_of(from: &dyn Read, value: &[u8]) -> Result<Option<RunHead>, StoreError> {
    let id = std::str::from_utf8(value).map_err(|error| StoreError::Corrupted(error.to_string()))?;
    query::run(from, id)
}

fn judge_run(from: &dyn Read, bite: &PruneBite, _: &[u8], value: &[u8]) -> Result<Verdict, StoreError> {
    let Some(head) = run_of(from, value)? else { return Ok(Verdict::Stays) };
    let finished = matches!(head.status, Status::Done | Status::Stopped | Status::Cancelled);
    Ok(match head.ended_at {
        _ if head.started_at >= bite.before => Verdict::Enough,
        Some(ended) if finished && ended < bite.before => Verdict::Goes,
        _ => Verdict::Stays,
    })
}

fn remove_run(from: &mut dyn Write, key: &[u8], value: &[u8], pruned: &mut Pruned) -> Result<(), StoreError> {
    let Some(head) = run_of(&*from, value)? else { return Ok(()) };
    for number in 0..head.entries {
        from.remove(&tables::journal(&head.id, number))?;
    }
    from.remove(key)?;
    from.remove(&tables::run_of_flow(&head.flow, head.seq))?;
    from.remove(&tables::run_of_event(head.event, &head.id))?;
    from.remove(&tables::run(&head.id))?;
    keep_number(from, "last_run", head.seq)?;
    // One that is live comes again with the next run that begins with it.
    if count_plan(from, &head.plan, -1)? == 0 {
        from.remove(&tables::plan(&head.plan))?;
        pruned.plans += 1;
    }
    pruned.runs += 1;
    Ok(())
}

fn judge_event(from: &dyn Read, bite: &PruneBite, _: &[u8], value: &[u8]) -> Result<Verdict, StoreError> {
    let event = query::decode_event_head(value)?;
    if event.received_at >= bite.before {
        return Ok(Verdict::Enough);
    }
    let is_needed = !query::runs_of_event(from, event.seq)?.is_empty();
    Ok(if is_needed { Verdict::Stays } else { Verdict::Goes })
}

fn remove_event(from: &mut dyn Write, key: &[u8], value: &[u8], pruned: &mut Pruned) -> Result<(), StoreError> {
    let event = query::decode_event_head(value)?;
    from.remove(key)?;
    from.remove(&tables::event_index(&event.id, &event.connection))?;
    for place in keys_of(from, &tables::drops_of(event.seq))? {
        from.remove(&place)?;
    }
    from.remove(&tables::misfit(event.seq))?;
    keep_number(from, "last_event", event.seq)?;
    pruned.events += 1;
    Ok(())
}

/// Remembers the highest number that was removed: numbers order what waits, so that none is given twice.
fn keep_number(to: &mut dyn Write, name: &str, removed: u64) -> Result<(), StoreError> {
    let key = tables::meta(name);
    let known = to.get(&key)?.and_then(|bytes| number_at(&bytes, 0)).unwrap_or(0);
    if removed > known { to.put(&key, &removed.to_be_bytes()) } else { Ok(()) }
}

fn keys_of(from: &dyn Write, prefix: &Key) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut keys = Vec::new();
    from.scan(prefix, &prefix.end(), false, &mut |key, _| {
        keys.push(key.to_vec());
        Ok(true)
    })?;
    Ok(keys)
}

fn judge_start(_: &dyn Read, bite: &PruneBite, key: &[u8], _: &[u8]) -> Result<Verdict, StoreError> {
    let at = instant_at(key, LETTER).unwrap_or(Timestamp::MIN);
    Ok(if at.as_millisecond() < bite.starts_before.as_millisecond() { Verdict::Goes } else { Verdict::Enough })
}

fn remove_start(from: &mut dyn Write, key: &[u8], _: &[u8], pruned: &mut Pruned) -> Result<(), StoreError> {
    if let Some(start) = key.get(LETTER + 8..).and_then(|start| <&[u8; 16]>::try_from(start).ok()) {
        from.remove(&tables::start(start))?;
    }
    from.remove(key)?;
    pruned.starts += 1;
    Ok(())
}

/// What limits have counted, as soon as it says nothing any more. `once per` is kept elsewhere, and stays.
fn judge_tally(_: &dyn Read, bite: &PruneBite, _: &[u8], value: &[u8]) -> Result<Verdict, StoreError> {
    Ok(if admit::tally_ends(value) < bite.before.as_millisecond() { Verdict::Goes } else { Verdict::Stays })
}

fn remove_tally(from: &mut dyn Write, key: &[u8], _: &[u8], pruned: &mut Pruned) -> Result<(), StoreError> {
    from.remove(key)?;
    pruned.tallies += 1;
    Ok(())
}
