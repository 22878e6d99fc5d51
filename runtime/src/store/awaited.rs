//! Runs that await an event, found by what they await.
//!
//! For each kind of wait (connection, source, event types, and the field whose value is known) there is one row as long as
//! a run is in such a wait, and one row per run under the value. So an event finds its runs by reading one field, and one
//! that nobody awaits reads nothing.
//!
//! That no event slips: a run subscribes, durably, and looks through the events before only after that; an event that is
//! taken in is marked in the same transaction where anybody awaits one of its source, and offered after it. Transactions
//! come one after the other, so each event is seen on one of the two ways, or on both, and the journal takes the first.
//! Both are found again after a crash: the mark, and the run that has not looked yet.

use super::StoreError;
use super::backend::{Read, Write};
use super::put::encode;
use super::query::{decode, decode_event, decode_event_head};
use super::records::{AwaitKind, AwaitedBy, StoredEvent};
use super::tables::{self, Key, LETTER, number_at, text_at};

/// Keeps the rows of a run in step with what it awaits.
pub(super) fn subscribe(
    to: &mut dyn Write,
    run: &str,
    before: Option<&AwaitedBy>,
    now: Option<&AwaitedBy>,
) -> Result<(), StoreError> {
    if before == now {
        return Ok(());
    }
    if let Some(before) = before {
        let prefix = tables::awaited_kind(&before.connection, &before.source, &before.kind_id());
        to.remove(&tables::awaiting(before, run))?;
        let rows = tables::awaiting_of_kind(&before.connection, &before.source, &before.kind_id());
        let mut any = false;
        to.scan(&rows, &rows.end(), false, &mut |_, _| {
            any = true;
            Ok(false)
        })?;
        if !any {
            to.remove(&prefix)?;
        }
    }
    if let Some(now) = now {
        let kind = tables::awaited_kind(&now.connection, &now.source, &now.kind_id());
        if to.get(&kind)?.is_none() {
            to.put(&kind, &encode(&now.kind)?)?;
        }
        to.put(&tables::awaiting(now, run), &[])?;
    }
    Ok(())
}

/// Returns what kinds of waits there are for events of a source, with their ids.
pub(super) fn kinds(from: &dyn Read, connection: &str, source: &str) -> Result<Vec<(String, AwaitKind)>, StoreError> {
    let prefix = Key::of(b'u').text(connection).text(source);
    let mut found = Vec::new();
    from.scan(&prefix, &prefix.end(), false, &mut |key, value| {
        if let Some(id) = text_at(key, prefix.len()) {
            found.push((id.to_owned(), decode(value)?));
        }
        Ok(true)
    })?;
    Ok(found)
}

/// Returns runs in a wait of this kind for this value, behind `after`, at most `limit`.
pub(super) fn runs(
    from: &dyn Read,
    by: (&str, &str, &str),
    key: Option<&[u8; 16]>,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<String>, StoreError> {
    let prefix = tables::awaiting_key(by, key);
    let begin = after.map_or_else(|| prefix.0.clone(), |after| prefix.clone().text(after).end());
    let mut found = Vec::new();
    from.scan(&begin, &prefix.end(), false, &mut |key, _| {
        found.extend(text_at(key, prefix.len()).map(str::to_owned));
        Ok(found.len() < limit)
    })?;
    Ok(found)
}

/// Returns events that are marked to be offered, oldest first.
pub(super) fn to_offer(from: &dyn Read, limit: usize) -> Result<Vec<u64>, StoreError> {
    let all = Key::of(b'O');
    let mut found = Vec::new();
    from.scan(&all, &all.end(), false, &mut |key, _| {
        found.extend(number_at(key, LETTER));
        Ok(found.len() < limit)
    })?;
    Ok(found)
}

/// Returns the events of a source behind a number, oldest first, out of the next `limit` events; and where to go on.
pub(super) fn events_after(
    from: &dyn Read,
    after: u64,
    source: (&str, &str),
    limit: usize,
) -> Result<(Vec<StoredEvent>, Option<u64>), StoreError> {
    let begin = tables::event(after.saturating_add(1));
    let (mut found, mut looked, mut next) = (Vec::new(), 0, None);
    from.scan(&begin, &Key::of(b'e').end(), false, &mut |key, value| {
        if looked >= limit {
            return Ok(false);
        }
        looked += 1;
        next = number_at(key, LETTER).filter(|_| looked >= limit);
        let head = decode_event_head(value)?;
        if (head.connection.as_str(), head.source.as_str()) == source {
            found.push(decode_event(value)?);
        }
        Ok(true)
    })?;
    Ok((found, next))
}
