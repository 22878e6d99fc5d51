//! What a record of the log says: a plan, or events with all that they start.
//!
//! Heads and entries are the JSON that the store keeps of them, events are the bytes that it keeps of them. A record names
//! the plans that its limits need; they stand before it in the same segment.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use flow_plan::Flow;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::limit::{LimitKey, Limited};
use crate::store::StoreError;
use crate::store::perform::encode_event;
use crate::store::put::encode;
use crate::store::query::{decode, decode_event};
use crate::store::records::{AcceptBatch, Follows, FollowsFrom, Missed, NewEvent, NewRun, NewStart};

const PLAN: u8 = b'p';
const EVENTS: u8 = b'e';
/// What a length takes.
const LENGTH: usize = 4;
/// Events within one another, by what follows from runs: far more than a chain of causes gets long. Deeper ones were never
/// written, and are not read until the stack ends.
const DEEPEST: usize = 64;

/// A record that was read.
#[derive(Debug)]
pub(in crate::store) enum Record {
    /// A plan that later ones need.
    Plan(Arc<Flow>),
    /// Events.
    Events(Box<AcceptBatch>),
}

/// Returns the record of a plan.
pub(in crate::store) fn plan(flow: &Flow) -> Result<Bytes, StoreError> {
    let mut to = vec![PLAN];
    to.extend(encode(flow)?);
    Ok(to.into())
}

/// Returns the record of events without a cursor or changes of the book, and where in it their payloads lie. What is numbered
/// has its number when the store takes it in.
pub(in crate::store) fn events(batch: &AcceptBatch) -> Result<(Bytes, Vec<Range<usize>>), StoreError> {
    let payloads: usize = batch.events.iter().map(|event| event.event.payload.len()).sum();
    let mut to = Vec::with_capacity(payloads + 1024);
    to.push(EVENTS);
    put_length(&mut to, batch.events.len())?;
    let places = batch.events.iter().map(|event| put_event(&mut to, event)).collect::<Result<_, _>>()?;
    Ok((to.into(), places))
}

/// Reads a record. `plans` are those that were read before it, or are in the store.
pub(in crate::store) fn read(bytes: &[u8], plans: &HashMap<String, Arc<Flow>>) -> Result<Record, StoreError> {
    let mut from = From(bytes);
    match from.byte()? {
        PLAN => Ok(Record::Plan(Arc::new(decode(from.0)?))),
        EVENTS => {
            let count = from.length()?;
            let events = (0..count).map(|_| event(&mut from, plans, 0)).collect::<Result<Vec<_>, _>>()?;
            let mut used = Vec::new();
            events.iter().for_each(|event| plans_of(event, plans, &mut used));
            Ok(Record::Events(Box::new(AcceptBatch { events, plans: used, ..AcceptBatch::default() })))
        }
        other => Err(StoreError::Corrupted(format!("a record of the inbox is of an unknown kind {other}"))),
    }
}

/// Adds the plans that the runs of an event begin with.
fn plans_of(event: &NewEvent, plans: &HashMap<String, Arc<Flow>>, used: &mut Vec<Arc<Flow>>) {
    for run in event.starts.iter().flat_map(|start| &start.runs) {
        if let Some(plan) = plans.get(&run.head.plan).filter(|plan| used.iter().all(|known| known.hash != plan.hash)) {
            used.push(Arc::clone(plan));
        }
        run.follows.iter().for_each(|follows| plans_of(&follows.event, plans, used));
    }
}

fn put_length(to: &mut Vec<u8>, length: usize) -> Result<(), StoreError> {
    let length = u32::try_from(length).map_err(|error| StoreError::Corrupted(error.to_string()))?;
    to.extend(length.to_be_bytes());
    Ok(())
}

fn put_bytes(to: &mut Vec<u8>, bytes: &[u8]) -> Result<(), StoreError> {
    put_length(to, bytes.len())?;
    to.extend(bytes);
    Ok(())
}

fn put_option(to: &mut Vec<u8>, number: Option<u32>) {
    to.extend(number.map_or(0, |number| u64::from(number) + 1).to_be_bytes());
}

/// Taken apart as a whole, so that nothing that is added to an event stays out of here.
fn put_event(to: &mut Vec<u8>, new: &NewEvent) -> Result<Range<usize>, StoreError> {
    let NewEvent { event, starts, missed, death_of } = new;
    put_length(to, 0)?;
    let begin = to.len();
    encode_event(to, event)?;
    let payload = to.len() - event.payload.len()..to.len();
    let length = u32::try_from(to.len() - begin).map_err(|error| StoreError::Corrupted(error.to_string()))?;
    to[begin - LENGTH..begin].copy_from_slice(&length.to_be_bytes());
    put_length(to, starts.len())?;
    for NewStart { trigger, key, runs } in starts {
        put_bytes(to, trigger.as_bytes())?;
        to.extend(key);
        put_length(to, runs.len())?;
        for run in runs {
            put_run(to, run)?;
        }
    }
    put_length(to, missed.len())?;
    for Missed { flow, why, pauses } in missed {
        put_bytes(to, flow.as_bytes())?;
        put_bytes(to, why.as_bytes())?;
        to.push(u8::from(*pauses));
    }
    to.push(u8::from(death_of.is_some()));
    put_bytes(to, death_of.as_deref().unwrap_or_default().as_bytes())?;
    Ok(payload)
}

fn put_run(to: &mut Vec<u8>, run: &NewRun) -> Result<(), StoreError> {
    let NewRun { head, entries, limited, tally, flood, follows } = run;
    put_bytes(to, &encode(head)?)?;
    put_length(to, entries.len())?;
    for entry in entries {
        put_bytes(to, &encode(entry)?)?;
    }
    match limited {
        Some(limited) => put_bytes(to, &encode(&Kept::of(limited))?)?,
        None => put_length(to, 0)?,
    }
    put_option(to, *tally);
    put_option(to, *flood);
    put_length(to, follows.len())?;
    for Follows { from, event } in follows {
        to.push(match from {
            FollowsFrom::Birth => 0,
            FollowsFrom::Pause => 1,
        });
        put_event(to, event)?;
    }
    Ok(())
}

fn event(from: &mut From<'_>, plans: &HashMap<String, Arc<Flow>>, depth: usize) -> Result<NewEvent, StoreError> {
    if depth > DEEPEST {
        return Err(StoreError::Corrupted("a record of the inbox has too many events within one another".to_owned()));
    }
    let event = decode_event(from.bytes()?)?;
    let count = from.length()?;
    let mut starts = Vec::new();
    for _ in 0..count {
        let trigger = from.text()?;
        let mut key = [0; 16];
        key.copy_from_slice(from.take(16)?);
        let count = from.length()?;
        let runs = (0..count).map(|_| run(from, plans, depth)).collect::<Result<_, _>>()?;
        starts.push(NewStart { trigger, key, runs });
    }
    let count = from.length()?;
    let mut missed = Vec::new();
    for _ in 0..count {
        missed.push(Missed { flow: from.text()?, why: from.text()?, pauses: from.byte()? != 0 });
    }
    let announces = from.byte()? != 0;
    let death_of = Some(from.text()?).filter(|_| announces);
    Ok(NewEvent { event, starts, missed, death_of })
}

fn run(from: &mut From<'_>, plans: &HashMap<String, Arc<Flow>>, depth: usize) -> Result<NewRun, StoreError> {
    let head: crate::store::RunHead = decode(from.bytes()?)?;
    let count = from.length()?;
    let entries = (0..count).map(|_| decode(from.bytes()?)).collect::<Result<_, _>>()?;
    let limited = match from.bytes()? {
        [] => None,
        bytes => {
            let plan = plans.get(&head.plan);
            let plan = plan.ok_or_else(|| StoreError::Corrupted(format!("the plan {} is gone", head.plan)))?;
            Some(Box::new(decode::<Kept>(bytes)?.with(plan)))
        }
    };
    let (tally, flood) = (from.option()?, from.option()?);
    let count = from.length()?;
    let mut follows = Vec::new();
    for _ in 0..count {
        let reason = if from.byte()? == 0 { FollowsFrom::Birth } else { FollowsFrom::Pause };
        follows.push(Follows { from: reason, event: event(from, plans, depth + 1)? });
    }
    Ok(NewRun { head, entries, limited, tally, flood, follows })
}

/// [`Limited`] without its plan.
#[derive(Serialize, Deserialize)]
struct Kept {
    too_old: Option<String>,
    happened: Timestamp,
    window: Option<LimitKey>,
    once: Option<LimitKey>,
    at_most: Vec<LimitKey>,
    turn: Option<LimitKey>,
    throttle: Option<LimitKey>,
}

impl Kept {
    fn of(limited: &Limited) -> Self {
        let Limited { flow: _, too_old, happened, window, once, at_most, turn, throttle } = limited.clone();
        Self { too_old, happened, window, once, at_most, turn, throttle }
    }

    fn with(self, flow: &Arc<Flow>) -> Limited {
        let Self { too_old, happened, window, once, at_most, turn, throttle } = self;
        Limited { flow: Arc::clone(flow), too_old, happened, window, once, at_most, turn, throttle }
    }
}

/// What is left to read.
struct From<'a>(&'a [u8]);

impl<'a> From<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], StoreError> {
        let cut = || StoreError::Corrupted("a record of the inbox is cut off".to_owned());
        let (taken, rest) = self.0.split_at_checked(count).ok_or_else(cut)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, StoreError> {
        self.take(1).map(|bytes| bytes.first().copied().unwrap_or(0))
    }

    fn number(&mut self) -> Result<u64, StoreError> {
        self.take(8).map(|bytes| bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn option(&mut self) -> Result<Option<u32>, StoreError> {
        self.number().map(|number| number.checked_sub(1).and_then(|number| u32::try_from(number).ok()))
    }

    fn length(&mut self) -> Result<usize, StoreError> {
        self.take(4).map(|bytes| bytes.iter().fold(0, |value, byte| value << 8 | usize::from(*byte)))
    }

    fn bytes(&mut self) -> Result<&'a [u8], StoreError> {
        let length = self.length()?;
        self.take(length)
    }

    fn text(&mut self) -> Result<String, StoreError> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|error| StoreError::Corrupted(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Origin, Via};
    use crate::run::Status;
    use crate::store::{RunHead, StoredEvent, Waiting};

    fn an_event() -> StoredEvent {
        StoredEvent {
            seq: 1,
            id: "evt_1".to_owned(),
            connection: "a".to_owned(),
            source: "hook".to_owned(),
            event_type: None,
            triggers: Vec::new(),
            occurred_at: None,
            signed_at: None,
            received_at: Timestamp::UNIX_EPOCH,
            via: Via::Webhook,
            origin: Origin::External,
            depth: 0,
            cause: None,
            misfits: Vec::new(),
            payload: Bytes::from_static(b"{}"),
        }
    }

    fn starting(follows: Vec<Follows>) -> NewEvent {
        let head = RunHead {
            id: "run_1".to_owned(),
            seq: 1,
            flow: "f".to_owned(),
            plan: "p".to_owned(),
            event: 1,
            event_id: "evt_1".to_owned(),
            connection: "a".to_owned(),
            trigger: "t".to_owned(),
            status: Status::Running,
            death: None,
            reason: None,
            started_at: Timestamp::UNIX_EPOCH,
            ended_at: None,
            wake_at: None,
            entries: 0,
            replay: None,
            waits: Waiting::default(),
        };
        let run = NewRun { head, entries: Vec::new(), limited: None, tally: None, flood: None, follows };
        let starts = vec![NewStart { trigger: "t".to_owned(), key: [0; 16], runs: vec![run] }];
        NewEvent { starts, ..NewEvent::new(an_event()) }
    }

    /// A record with an event within an event, so many times.
    fn nested(levels: usize) -> Vec<u8> {
        let (mut inner, mut outer) = (Vec::new(), Vec::new());
        put_event(&mut inner, &NewEvent::new(an_event())).unwrap();
        put_event(&mut outer, &starting(vec![Follows { from: FollowsFrom::Birth, event: NewEvent::new(an_event()) }])).unwrap();
        // Behind the event within: what was missed, and whose death is announced.
        let behind = outer.split_off(outer.len() - (LENGTH + 1 + LENGTH));
        let before = &outer[..outer.len() - inner.len()];
        let count = [EVENTS, 0, 0, 0, 1];
        [&count[..], &before.repeat(levels), &inner, &behind.repeat(levels)].concat()
    }

    #[test]
    fn events_within_events_are_read_as_deep_as_they_are_written_and_no_deeper() {
        assert!(matches!(read(&nested(9), &HashMap::new()), Ok(Record::Events(_))));
        assert!(matches!(read(&nested(20_000), &HashMap::new()), Err(StoreError::Corrupted(_))));
    }
}
