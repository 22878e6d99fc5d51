//! Reading: one function per question.

use std::sync::Arc;

use bytes::Bytes;
use flow_plan as plan;
use jiff::Timestamp;
use serde::de::DeserializeOwned;

use super::StoreError;
use super::backend::Read;
use super::records::{EventQuery, RunHead, RunQuery, StoredEvent};
use super::tables::{self, Key, LETTER, instant_at, number_at, text_at};
use crate::event::Cursor;
use crate::journal::Entry;
use crate::run::Status;

pub(super) fn event(from: &(impl Read + ?Sized), seq: u64) -> Result<Option<StoredEvent>, StoreError> {
    from.get(&tables::event(seq))?.map(|bytes| decode_event(&bytes)).transpose()
}

pub(super) fn event_seq(from: &dyn Read, connection: &str, id: &str) -> Result<Option<u64>, StoreError> {
    Ok(from.get(&tables::event_index(id, connection))?.and_then(|seq| number_at(&seq, 0)))
}

pub(super) fn event_seqs(from: &dyn Read, id: &str) -> Result<Vec<(String, u64)>, StoreError> {
    let prefix = Key::of(b'i').text(id);
    let mut found = Vec::new();
    from.scan(&prefix, &prefix.end(), false, &mut |key, value| {
        if let (Some(connection), Some(seq)) = (text_at(key, prefix.len()), number_at(value, 0)) {
            found.push((connection.to_owned(), seq));
        }
        Ok(true)
    })?;
    Ok(found)
}

pub(super) fn events(from: &dyn Read, query: &EventQuery) -> Result<Vec<StoredEvent>, StoreError> {
    // The narrowest index; what it does not cover is tested on the events.
    let all = Key::of(if query.misfit { b'N' } else { b'e' });
    let end = query.before.map_or_else(|| all.end(), |before| all.clone().number(before).0);
    let mut found = Vec::new();
    from.scan(&all, &end, true, &mut |key, value| {
        let event = match number_at(key, LETTER).filter(|_| query.misfit) {
            Some(seq) => event(from, seq)?,
            None => Some(decode_event(value)?),
        };
        let Some(event) = event else { return Ok(true) };
        if query.since.is_some_and(|since| event.received_at < since) || found.len() >= query.limit {
            return Ok(false);
        }
        let wanted = query.connection.as_ref().is_none_or(|connection| *connection == event.connection)
            && query.trigger.as_ref().is_none_or(|trigger| event.triggers.contains(trigger));
        if wanted {
            found.push(event);
        }
        Ok(found.len() < query.limit)
    })?;
    Ok(found)
}

/// Returns the events from a number on, oldest first, at most `limit`.
pub(super) fn events_from(from: &dyn Read, first: u64, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
    let mut found = Vec::new();
    from.scan(&tables::event(first), &Key::of(b'e').end(), false, &mut |_, value| {
        if found.len() < limit {
            found.push(decode_event(value)?);
        }
        Ok(found.len() < limit)
    })?;
    Ok(found)
}

pub(super) fn runs_of_event(from: &dyn Read, seq: u64) -> Result<Vec<String>, StoreError> {
    let prefix = Key::of(b'v').number(seq);
    let mut found = Vec::new();
    from.scan(&prefix, &prefix.end(), false, &mut |key, _| {
        found.extend(text_at(key, prefix.len()).map(str::to_owned));
        Ok(true)
    })?;
    Ok(found)
}

pub(super) fn run(from: &(impl Read + ?Sized), id: &str) -> Result<Option<RunHead>, StoreError> {
    from.get(&tables::run(id))?.map(|bytes| decode(&bytes)).transpose()
}

pub(super) fn journal(from: &dyn Read, id: &str) -> Result<Vec<Entry>, StoreError> {
    let prefix = Key::of(b'j').text(id);
    let mut entries = Vec::new();
    from.scan(&prefix, &prefix.end(), false, &mut |_, value| {
        entries.push(decode(value)?);
        Ok(true)
    })?;
    Ok(entries)
}

pub(super) fn runs(from: &dyn Read, query: &RunQuery) -> Result<Vec<RunHead>, StoreError> {
    // The narrowest index; what it does not cover is tested on the heads.
    let prefix = match (&query.flow, query.status) {
        (_, Some(Status::Dead)) => Key::of(b'd'),
        (_, Some(Status::Waiting)) => Key::of(b'g'),
        (Some(flow), _) => Key::of(b'f').text(flow),
        (None, _) => Key::of(b'o'),
    };
    let end = query.before.map_or_else(|| prefix.end(), |before| prefix.clone().number(before).0);
    let mut found = Vec::new();
    from.scan(&prefix, &end, true, &mut |_, value| {
        let id = std::str::from_utf8(value).map_err(|error| StoreError::Corrupted(error.to_string()))?;
        let Some(head) = run(from, id)? else { return Ok(true) };
        if query.since.is_some_and(|since| head.started_at < since) || found.len() >= query.limit {
            return Ok(false);
        }
        let wanted =
            query.flow.as_ref().is_none_or(|flow| *flow == head.flow) && query.status.is_none_or(|status| status == head.status);
        if wanted {
            found.push(head);
        }
        Ok(found.len() < query.limit)
    })?;
    Ok(found)
}

pub(super) fn active(from: &dyn Read, after: Option<&str>, limit: usize) -> Result<Vec<String>, StoreError> {
    let all = Key::of(b'a');
    let begin = after.map_or_else(|| all.0.clone(), |after| tables::active(after).end());
    let mut found = Vec::new();
    from.scan(&begin, &all.end(), false, &mut |key, _| {
        found.extend(text_at(key, LETTER).map(str::to_owned));
        Ok(found.len() < limit)
    })?;
    Ok(found)
}

pub(super) fn counts(from: &dyn Read) -> Result<(u64, u64), StoreError> {
    let count = |table: u8| {
        let all = Key::of(table);
        let mut count = 0;
        from.scan(&all, &all.end(), false, &mut |_, _| {
            count += 1;
            Ok(true)
        })?;
        Ok::<u64, StoreError>(count)
    };
    // Waiting runs may be a million, so that they are counted as they come and go.
    let waiting = from.get(&tables::meta("waiting"))?.and_then(|bytes| number_at(&bytes, 0)).unwrap_or(0);
    Ok((count(b'a')?.saturating_add(waiting), count(b'd')?))
}

/// Returns the flows that an event did not start because of their limits, and why.
pub(super) fn drops(from: &dyn Read, event: u64) -> Result<Vec<(String, String)>, StoreError> {
    let prefix = tables::drops_of(event);
    let mut found = Vec::new();
    from.scan(&prefix, &prefix.end(), false, &mut |key, value| {
        if let Some(flow) = text_at(key, prefix.len()) {
            found.push((flow.to_owned(), String::from_utf8_lossy(value).into_owned()));
        }
        Ok(true)
    })?;
    Ok(found)
}

pub(super) fn plans(from: &dyn Read) -> Result<Vec<String>, StoreError> {
    let all = Key::of(b'p');
    let mut found = Vec::new();
    from.scan(&all, &all.end(), false, &mut |key, _| {
        found.extend(text_at(key, LETTER).map(str::to_owned));
        Ok(true)
    })?;
    Ok(found)
}

pub(super) fn plan(from: &dyn Read, hash: &str) -> Result<Option<Arc<plan::Flow>>, StoreError> {
    from.get(&tables::plan(hash))?.map(|bytes| decode(&bytes).map(Arc::new)).transpose()
}

pub(super) fn due(from: &dyn Read, now: Timestamp, limit: usize) -> Result<(Vec<String>, Option<Timestamp>), StoreError> {
    let all = Key::of(b'w');
    let (mut found, mut next) = (Vec::new(), None);
    from.scan(&all, &all.end(), false, &mut |key, _| {
        let (Some(at), Some(run)) = (instant_at(key, LETTER), text_at(key, LETTER + 8)) else { return Ok(true) };
        // Timers are kept in milliseconds, rounded down.
        if at.as_millisecond() > now.as_millisecond() || found.len() >= limit {
            next = Some(at);
            return Ok(false);
        }
        found.push(run.to_owned());
        Ok(true)
    })?;
    Ok((found, next))
}

/// Returns the runs whose timers are at `from` or later, and not later than `until`: at least `limit`, as far as there are so
/// many, and all of the last one's instant; and the next instant behind them, where there are more.
pub(super) fn timers(
    from: &dyn Read,
    begin: Timestamp,
    until: Timestamp,
    limit: usize,
) -> Result<(Vec<String>, Option<Timestamp>), StoreError> {
    let all = Key::of(b'w');
    let (mut found, mut last, mut next) = (Vec::new(), None, None);
    from.scan(&all.clone().instant(begin), &all.end(), false, &mut |key, _| {
        let (Some(at), Some(run)) = (instant_at(key, LETTER), text_at(key, LETTER + 8)) else { return Ok(true) };
        if at.as_millisecond() > until.as_millisecond() {
            return Ok(false);
        }
        if found.len() >= limit && last != Some(at) {
            next = Some(at);
            return Ok(false);
        }
        last = Some(at);
        found.push(run.to_owned());
        Ok(true)
    })?;
    Ok((found, next))
}

pub(super) fn cursors(from: &dyn Read) -> Result<Vec<(String, String, Cursor)>, StoreError> {
    let all = Key::of(b'c');
    let mut found = Vec::new();
    from.scan(&all, &all.end(), false, &mut |key, value| {
        let Some(connection) = text_at(key, LETTER) else { return Ok(true) };
        let source = text_at(key, LETTER + connection.len() + 1).unwrap_or_default();
        found.push((connection.to_owned(), source.to_owned(), decode(value)?));
        Ok(true)
    })?;
    Ok(found)
}

pub(super) fn paused(from: &dyn Read) -> Result<Vec<(String, Timestamp)>, StoreError> {
    let all = Key::of(b'z');
    let mut found = Vec::new();
    from.scan(&all, &all.end(), false, &mut |key, value| {
        let at = number_at(value, 0).and_then(|millis| Timestamp::from_millisecond(millis.cast_signed()).ok());
        if let (Some(flow), Some(at)) = (text_at(key, LETTER), at) {
            found.push((flow.to_owned(), at));
        }
        Ok(true)
    })?;
    Ok(found)
}

pub(super) fn last_numbers(from: &dyn Read) -> Result<(u64, u64), StoreError> {
    let last = |table: u8| {
        let all = Key::of(table);
        let mut last = 0;
        from.scan(&all, &all.end(), true, &mut |key, _| {
            last = number_at(key, LETTER).unwrap_or(0);
            Ok(false)
        })?;
        Ok::<u64, StoreError>(last)
    };
    let removed = |name: &str| {
        let number = from.get(&tables::meta(name))?.and_then(|bytes| number_at(&bytes, 0)).unwrap_or(0);
        Ok::<u64, StoreError>(number)
    };
    let numbers = (last(b'e')?.max(removed("last_event")?), last(b'o')?.max(removed("last_run")?));
    if numbers.0.max(numbers.1) > tables::HIGHEST {
        return Err(StoreError::Corrupted(format!("{} is the number of nothing that there was", numbers.0.max(numbers.1))));
    }
    Ok(numbers)
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|error| StoreError::Corrupted(error.to_string()))
}

pub(super) fn decode_event(bytes: &[u8]) -> Result<StoredEvent, StoreError> {
    let (head, payload) = event_parts(bytes)?;
    Ok(StoredEvent { payload: Bytes::copy_from_slice(payload), ..decode(head)? })
}

/// Returns an event without its payload, which may be large.
pub(super) fn decode_event_head(bytes: &[u8]) -> Result<StoredEvent, StoreError> {
    decode(event_parts(bytes)?.0)
}

fn event_parts(bytes: &[u8]) -> Result<(&[u8], &[u8]), StoreError> {
    let damaged = || StoreError::Corrupted("an event is cut off".to_owned());
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(damaged)?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or_else(damaged)
}
