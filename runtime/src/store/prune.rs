//! Taking out what is too old, a little at a time.
//!
//! Finished runs go with their journals, and the last run of a plan takes the plan with it; then events that no run refers
//! to, then the keys of starts. Dead and active runs stay, with their events.

use super::StoreError;
use super::backend::Write;
use super::put::count_plan;
use super::records::{PruneBite, PruneFrom, Pruned, RunHead};
use super::tables::{self, Key, LETTER, instant_at, number_at};
use super::{admit, query};
use crate::run::Status;

pub(super) fn prune(from: &mut dyn Write, bite: &PruneBite) -> Result<Pruned, StoreError> {
    let mut pruned = Pruned::default();
    let runs_next = prune_runs(from, bite, &mut pruned)?;
    let events_next = prune_events(from, bite, &mut pruned)?;
    let starts_left = prune_starts(from, bite, &mut pruned)?;
    let tallies_next = prune_tallies(from, bite, &mut pruned)?;
    if runs_next.is_some() || events_next.is_some() || starts_left || tallies_next.is_some() {
        pruned.next = Some(PruneFrom {
            run: runs_next.unwrap_or(u64::MAX),
            event: events_next.unwrap_or(u64::MAX),
            tally: tallies_next.unwrap_or_else(|| Key::of(b'l').end()),
        });
    }
    Ok(pruned)
}

fn prune_runs(from: &mut dyn Write, bite: &PruneBite, pruned: &mut Pruned) -> Result<Option<u64>, StoreError> {
    let mut old: Vec<RunHead> = Vec::new();
    let (mut looked, mut next) = (0, None);
    let reader = &*from;
    reader.scan(&tables::run_order(bite.from.run), &Key::of(b'o').end(), false, &mut |key, value| {
        let seq = number_at(key, LETTER).unwrap_or(0);
        if looked >= bite.limit {
            next = Some(seq);
            return Ok(false);
        }
        looked += 1;
        let id = std::str::from_utf8(value).map_err(|error| StoreError::Corrupted(error.to_string()))?;
        let Some(head) = query::run(reader, id)? else { return Ok(true) };
        if head.started_at >= bite.before {
            return Ok(false);
        }
        let finished = matches!(head.status, Status::Done | Status::Stopped | Status::Cancelled);
        if finished && head.ended_at.is_some_and(|ended| ended < bite.before) {
            old.push(head);
        }
        Ok(true)
    })?;
    keep_number(from, "last_run", old.last().map(|head| head.seq))?;
    for head in old {
        for number in 0..head.entries {
            from.remove(&tables::journal(&head.id, number))?;
        }
        from.remove(&tables::run_order(head.seq))?;
        from.remove(&tables::run_of_flow(&head.flow, head.seq))?;
        from.remove(&tables::run_of_event(head.event, &head.id))?;
        from.remove(&tables::run(&head.id))?;
        // One that is live comes again with the next run that begins with it.
        if count_plan(from, &head.plan, -1)? == 0 {
            from.remove(&tables::plan(&head.plan))?;
            pruned.plans += 1;
        }
        pruned.runs += 1;
    }
    Ok(next)
}

fn prune_events(from: &mut dyn Write, bite: &PruneBite, pruned: &mut Pruned) -> Result<Option<u64>, StoreError> {
    let mut old = Vec::new();
    let (mut looked, mut next) = (0, None);
    let reader = &*from;
    reader.scan(&tables::event(bite.from.event), &Key::of(b'e').end(), false, &mut |key, value| {
        if looked >= bite.limit {
            next = number_at(key, LETTER);
            return Ok(false);
        }
        looked += 1;
        let event = query::decode_event_head(value)?;
        if event.received_at >= bite.before {
            return Ok(false);
        }
        if query::runs_of_event(reader, event.seq)?.is_empty() {
            old.push((event.seq, event.id, event.connection));
        }
        Ok(true)
    })?;
    keep_number(from, "last_event", old.last().map(|(seq, ..)| *seq))?;
    for (seq, id, connection) in old {
        from.remove(&tables::event(seq))?;
        from.remove(&tables::event_index(&id, &connection))?;
        for place in keys_of(from, &tables::drops_of(seq))? {
            from.remove(&place)?;
        }
        from.remove(&tables::misfit(seq))?;
        pruned.events += 1;
    }
    Ok(next)
}

/// Remembers the highest number that was removed: numbers order what waits, so that none is given twice.
fn keep_number(to: &mut dyn Write, name: &str, removed: Option<u64>) -> Result<(), StoreError> {
    let Some(removed) = removed else { return Ok(()) };
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

/// What limits have counted, as soon as it says nothing any more. `once per` is kept elsewhere, and stays.
fn prune_tallies(from: &mut dyn Write, bite: &PruneBite, pruned: &mut Pruned) -> Result<Option<Vec<u8>>, StoreError> {
    let all = Key::of(b'l');
    let begin = if bite.from.tally.is_empty() { &all.0 } else { &bite.from.tally };
    let (mut old, mut looked, mut next) = (Vec::new(), 0, None);
    from.scan(begin, &all.end(), false, &mut |key, value| {
        if looked >= bite.limit {
            next = Some(key.to_vec());
            return Ok(false);
        }
        looked += 1;
        if admit::tally_ends(value) < bite.before.as_millisecond() {
            old.push(key.to_vec());
        }
        Ok(true)
    })?;
    for place in old {
        from.remove(&place)?;
        pruned.tallies += 1;
    }
    Ok(next)
}

/// Returns whether there are more.
fn prune_starts(from: &mut dyn Write, bite: &PruneBite, pruned: &mut Pruned) -> Result<bool, StoreError> {
    let (mut old, mut more) = (Vec::new(), false);
    from.scan(&Key::of(b't'), &tables::start_at(bite.starts_before, &[]), false, &mut |key, _| {
        if old.len() >= bite.limit {
            more = true;
            return Ok(false);
        }
        old.push(key.to_vec());
        Ok(true)
    })?;
    for by_time in old {
        if instant_at(&by_time, LETTER).is_some()
            && let Some(key) = by_time.get(LETTER + 8..).and_then(|key| <&[u8; 16]>::try_from(key).ok())
        {
            from.remove(&tables::start(key))?;
        }
        from.remove(&by_time)?;
        pruned.starts += 1;
    }
    Ok(more)
}
