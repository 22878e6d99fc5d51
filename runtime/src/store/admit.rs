//! Whether a start takes place, decided in the transaction that takes its event in.

use flow_plan::{AtMost, Otherwise};
use flow_schedule::after;
use jiff::Timestamp;

use super::StoreError;
use super::alarms::{self, PausedBy};
use super::backend::Write;
use super::flood::Starts;
use super::gates;
use super::put::{encode, put_unlimited};
use super::query::decode;
use super::records::{Admission, NewRun, RunHead};
use super::tables::{self, Key, number_at};
use super::turns::{self, Kept};
use crate::journal::{Entry, Held, What};
use crate::limit::{Busy, LimitKey, Limited, Tally, begins_at, busy, counts, free_at, rate_name, take};
use crate::run::Status;

/// Reads what was counted under a key.
pub(super) fn tally(from: &dyn Write, place: &Key) -> Result<Option<Tally>, StoreError> {
    from.get(place)?.map(|bytes| decode(bytes.get(8..).unwrap_or_default())).transpose()
}

/// Writes what was counted, with the instant from which on it says nothing any more.
pub(super) fn put_tally(to: &mut dyn Write, place: &Key, tally: &Tally, ends: i64) -> Result<(), StoreError> {
    let mut bytes = ends.to_be_bytes().to_vec();
    bytes.extend(encode(tally)?);
    to.put(place, &bytes)
}

/// Returns when a row of the tallies may be removed.
pub(super) fn tally_ends(value: &[u8]) -> i64 {
    number_at(value, 0).unwrap_or(0).cast_signed()
}

/// Why an event does not start a flow that is paused.
pub(crate) const WAS_PAUSED: &str = "the flow was paused when it came";
/// How the reason of the event ends by which a limit pauses its flow.
const AND_PAUSES: &str = "and the flow says `otherwise pause`";
/// How the reason of the event ends by which a flow is flooded.
const AND_NOT_SAID: &str = "which is more than a flow may unless it says so";
/// How the reason of the event begins by which flows are paused that cause each other's events.
pub(crate) const LOOPS: &str = "flows cause each other's events:";

/// Tells whether what is kept with an event of a flow that it did not start says that the flow was paused: then the event
/// has not been decided about.
pub(crate) fn kept_by_pause(reason: &str) -> bool {
    reason == WAS_PAUSED || reason.ends_with(AND_PAUSES) || reason.ends_with(AND_NOT_SAID) || reason.starts_with(LOOPS)
}

pub(super) fn instant(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
}

/// Begins a run, holds it back, or drops it, as the limits of its flow say.
pub(super) fn admit(to: &mut dyn Write, run: &NewRun, limited: &Limited) -> Result<Admission, StoreError> {
    let flow = &limited.flow;
    let now = run.head.started_at;
    let pauses = flow.limits.at_most.iter().any(|limit| limit.otherwise == Otherwise::Pause);
    if pauses && alarms::is_paused(to, &flow.id)? {
        // By an event that was taken in a moment before.
        alarms::count_missed(to, &flow.id, &run.head.event_id, now)?;
        return Ok(Admission::Dropped(WAS_PAUSED.to_owned()));
    }
    if let Some(reason) = &limited.too_old {
        return Ok(Admission::Dropped(reason.clone()));
    }
    if let Some(reason) = window(to, limited, now)? {
        return Ok(Admission::Dropped(reason));
    }
    if let Some(key) = &limited.once
        && let Some(by) = to.get(&tables::once(&flow.id, &key.hash))?
    {
        let by = String::from_utf8_lossy(&by).into_owned();
        return Ok(Admission::Dropped(format!("once{}: {by} was started for it", per(&key.text))));
    }
    let mut not_before = now.as_millisecond();
    let mut counted = Vec::new();
    for (number, (limit, key)) in (0u8..).zip(flow.limits.at_most.iter().zip(&limited.at_most)) {
        let place = tables::tally(&flow.id, b'm', number, &key.hash);
        let mut tally = tally(to, &place)?.unwrap_or_default();
        let at = tally.steady(now);
        let mut free = free_at(&tally, limit.count, &limit.every, at);
        if limit.otherwise == Otherwise::Queue {
            free = begins_at(&tally, limit.count, &limit.every, free);
        }
        if free > at {
            match limit.otherwise {
                Otherwise::Drop => return Ok(Admission::Dropped(format!("{}: this one is beyond it", named(limit, key)))),
                Otherwise::Queue => not_before = not_before.max(free),
                Otherwise::Pause => return pause(to, &run.head, &named(limit, key), now),
            }
        }
        counted.push((number, limit, key, place, tally, free));
    }
    let holder = match &limited.turn {
        Some(key) => turns::holder(to, &flow.id, &key.hash)?,
        None => None,
    };
    if let (Some(holder), Some(Busy::Skip)) = (&holder, busy(&flow.limits)) {
        return Ok(Admission::Dropped(format!("{holder} is running, and the flow says `while running skip`")));
    }
    // From here on it takes place, now or later.
    let mut kept = Kept { once: limited.once.as_ref().map(|key| key.hash), ..Kept::default() };
    if let Some(key) = &limited.once {
        to.put(&tables::once(&flow.id, &key.hash), run.head.id.as_bytes())?;
    }
    for (number, limit, key, place, mut tally, free) in counted {
        take(&mut tally, limit.count, &limit.every, free);
        put_tally(to, &place, &tally, tally.rate_ends(&limit.every))?;
        kept.at_most.push((number, key.hash, limit.every.clone(), free));
        if limit.otherwise == Otherwise::Queue {
            kept.queues.push((number, limit.count));
        }
    }
    kept.not_before = Some(not_before).filter(|at| *at > now.as_millisecond());
    kept.throttle = flow.limits.throttle.clone().zip(limited.throttle.as_ref().map(|key| key.hash));
    begin(to, run, limited, holder, kept)
}

/// Gives a run its turn, or its place in the line.
fn begin(
    to: &mut dyn Write,
    run: &NewRun,
    limited: &Limited,
    holder: Option<String>,
    mut kept: Kept,
) -> Result<Admission, StoreError> {
    let (flow, now, id) = (&limited.flow, run.head.started_at, &run.head.id);
    let mut cancelled = None;
    let mut held = None;
    if let Some(key) = &limited.turn {
        match (holder, busy(&flow.limits)) {
            (Some(holder), Some(Busy::Restart)) => {
                if turns::supersede(to, &holder, id, now)? {
                    cancelled = Some(holder);
                }
                kept.turn = Some(key.hash);
                turns::hold(to, &flow.id, &key.hash, id)?;
            }
            (Some(holder), _) => {
                kept.turn = Some(key.hash);
                turns::wait(to, &flow.id, &key.hash, run.head.seq, id)?;
                held = Some(Held { until: None, reason: held_by_turn(&holder) });
            }
            // One that has ended by its first entry needs no turn.
            (None, _) if !run.head.status.is_active() => {}
            (None, _) => {
                kept.turn = Some(key.hash);
                turns::hold(to, &flow.id, &key.hash, id)?;
            }
        }
    }
    if held.is_none() {
        held = gates::pass(to, &flow.id, &mut kept, now)?;
    }
    let Some(held) = held else {
        if kept.turn.is_some() {
            to.put(&tables::kept(id), &encode(&kept)?)?;
        }
        put_unlimited(to, None, &run.head, &run.entries)?;
        return Ok(Admission::Started { seq: run.head.seq, cancelled });
    };
    if held.until.is_some() && kept.turn.is_none() && !run.head.status.is_active() {
        // It ends when it begins, and until then it has the turn as any other.
        if let Some(key) = &limited.turn {
            kept.turn = Some(key.hash);
            turns::hold(to, &flow.id, &key.hash, id)?;
        }
    }
    to.put(&tables::kept(id), &encode(&kept)?)?;
    let (head, entries) = held_back(run, &held);
    put_unlimited(to, None, &head, &entries)?;
    Ok(Admission::Held { until: held.until, cancelled })
}

/// Counts an event of a window; returns why it does not complete it.
fn window(to: &mut dyn Write, limited: &Limited, now: Timestamp) -> Result<Option<String>, StoreError> {
    let (Some(window), Some(key)) = (&limited.flow.limits.window, &limited.window) else { return Ok(None) };
    let place = tables::tally(&limited.flow.id, b'n', 0, &key.hash);
    let mut tally = tally(to, &place)?.unwrap_or_default();
    let complete = counts(&mut tally, window, limited.happened, now);
    let ends = after(instant(tally.steady(now)), &window.within).as_millisecond();
    put_tally(to, &place, &tally, ends)?;
    let (number, count, length) = (tally.counted(), window.count, window.within.length);
    Ok((!complete).then(|| format!("{count} times within {length}{}: this is number {number}", key.text)))
}

/// Pauses the flow, as a person could.
fn pause(to: &mut dyn Write, head: &RunHead, limit: &str, at: Timestamp) -> Result<Admission, StoreError> {
    let reason = format!("{limit}: this one is beyond it, {AND_PAUSES}");
    alarms::pause(to, &head.flow, PausedBy::Limit, &reason, at)?;
    alarms::count_missed(to, &head.flow, &head.event_id, at)?;
    Ok(Admission::Paused(reason))
}

/// Pauses a flow that has started `most` times within the last hour; `None` where it has not.
pub(super) fn flood(to: &mut dyn Write, head: &RunHead, starts: &Starts, most: u32) -> Result<Option<Admission>, StoreError> {
    if starts.count() < u64::from(most) {
        return Ok(None);
    }
    let (flow, at) = (&head.flow, head.started_at);
    let was_paused = alarms::is_paused(to, flow)?;
    let reason = format!("it started {most} times within an hour, {AND_NOT_SAID}");
    if !was_paused {
        alarms::pause_and_announce(to, flow, PausedBy::Flood, &reason, at)?;
    }
    alarms::count_missed(to, flow, &head.event_id, at)?;
    Ok(Some(if was_paused { Admission::Dropped(WAS_PAUSED.to_owned()) } else { Admission::Flooded(reason) }))
}

pub(super) fn held_by_turn(other: &str) -> String {
    format!("waits for its turn behind {other}")
}

/// The run as it is while it is held back: nothing of it has happened.
fn held_back(run: &NewRun, held: &Held) -> (RunHead, Vec<Entry>) {
    let mut entries = run.entries.clone();
    if let Some(What::Started(start)) = entries.first_mut().map(|entry| &mut entry.what) {
        start.held = Some(held.clone());
    }
    let mut head = RunHead {
        status: Status::Waiting,
        death: None,
        reason: Some(held.reason.clone()),
        ended_at: None,
        wake_at: held.until,
        ..run.head.clone()
    };
    head.waits.held = true;
    (head, entries)
}

fn named(limit: &AtMost, key: &LimitKey) -> String {
    format!("at most {} per {}{}", limit.count, rate_name(&limit.every), key.text)
}

/// ` for id ch_1` as ` per id ch_1`.
fn per(text: &str) -> String {
    text.strip_prefix(" for ").map(|key| format!(" per {key}")).unwrap_or_default()
}
