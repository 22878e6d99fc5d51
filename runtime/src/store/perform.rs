//! The operations on the store: what each does within a transaction.

use std::borrow::Cow;
use std::collections::HashSet;

use jiff::Timestamp;

use super::backend::Write;
use super::flood::Starts;
use super::numbers::Numbers;
use super::put::{encode, put_plan, put_run, put_unlimited};
use super::records::{
    AcceptBatch, AcceptedEvent, Admission, AwaitKind, FollowsFrom, NewEvent, NewStart, Pruned, ReplayBatch, Replayed, RunHead,
    RunUpdate, StoredEvent, Turn,
};
use super::{AlarmKey, PausedBy, StoreError, admit, alarms, awaited, book, gates, meters, prune, query, replay, tables};

/// What can be asked of the writer.
pub(super) enum Operation {
    Accept(Box<AcceptBatch>),
    Update(Vec<RunUpdate>),
    UpdateAndAccept(Vec<RunUpdate>, Box<AcceptBatch>),
    Pause(String, Option<Timestamp>),
    Prune(Box<prune::Found>),
    /// A run has looked through the events before its wait: with so many entries it only waits from here on.
    Settle(String, u32),
    Offered(Vec<u64>),
    /// A run with so many entries, which its throttle held back, is to begin.
    BeginHeld(String, u32, Timestamp),
    Replay(Box<ReplayBatch>),
    EndAlarm(AlarmKey),
    /// Nothing but what comes before it.
    CatchUp,
}

/// What came of it.
pub(super) enum Reply {
    Held(Option<Timestamp>),
    Nothing,
    Accepted(Vec<AcceptedEvent>),
    Pruned(Pruned),
    Replayed(Vec<Replayed>),
}

/// What has been read in a transaction and still holds, as long as nothing but events is taken in.
#[derive(Default)]
pub(super) struct Known {
    /// What events of a source runs wait for.
    kinds: Option<((String, String), Vec<AwaitKind>)>,
    /// Plans that are in the store.
    plans: HashSet<String>,
    /// The numbers that were given last; they hold whatever else is done.
    numbers: Numbers,
}

/// Performs an operation. Runs that get their turn by it are added to `woken`.
pub(super) fn perform(
    to: &mut dyn Write,
    operation: &mut Operation,
    known: &mut Known,
    woken: &mut Vec<Turn>,
) -> Result<Reply, StoreError> {
    known.forget();
    let done = do_it(to, operation, known, woken);
    known.forget();
    done
}

fn do_it(to: &mut dyn Write, operation: &mut Operation, known: &mut Known, woken: &mut Vec<Turn>) -> Result<Reply, StoreError> {
    match operation {
        Operation::Accept(batch) => {
            book::check(to, &batch.book)?;
            accept(to, batch, known).map(Reply::Accepted)
        }
        Operation::Update(updates) => {
            let heads = check_updates(to, updates)?;
            update(to, updates, heads, woken)?;
            Ok(Reply::Nothing)
        }
        Operation::UpdateAndAccept(updates, batch) => {
            let heads = check_updates(to, updates)?;
            book::check(to, &batch.book)?;
            update(to, updates, heads, woken)?;
            accept(to, batch, known).map(Reply::Accepted)
        }
        Operation::Pause(flow, Some(at)) => {
            alarms::pause(to, flow, PausedBy::Hand, "by hand", *at)?;
            Ok(Reply::Nothing)
        }
        Operation::Pause(flow, None) => {
            alarms::resume(to, flow)?;
            Ok(Reply::Nothing)
        }
        Operation::EndAlarm(key) => {
            alarms::end(to, key)?;
            Ok(Reply::Nothing)
        }
        Operation::Prune(found) => prune::remove(to, found).map(Reply::Pruned),
        Operation::Replay(batch) => replay::replay(to, batch, known).map(Reply::Replayed),
        Operation::Settle(run, entries) => settle(to, run, *entries),
        Operation::BeginHeld(run, entries, now) => gates::begin_held(to, run, *entries, *now).map(Reply::Held),
        Operation::Offered(events) => {
            for event in events.iter() {
                to.remove(&tables::offer(*event))?;
            }
            Ok(Reply::Nothing)
        }
        Operation::CatchUp => Ok(Reply::Nothing),
    }
}

/// Finds out whether somebody else has changed a run. Asked before anything is written. Returns the heads as they are.
fn check_updates(from: &mut dyn Write, updates: &[RunUpdate]) -> Result<Vec<Option<RunHead>>, StoreError> {
    let mut heads = Vec::with_capacity(updates.len());
    for update in updates {
        let head = query::run(from, &update.head.id)?;
        let known = head.as_ref().map_or(0, |head| head.entries);
        if known as usize + update.entries.len() != update.head.entries as usize {
            return Err(StoreError::Conflict);
        }
        heads.push(head);
    }
    Ok(heads)
}

fn update(
    to: &mut dyn Write,
    updates: &[RunUpdate],
    heads: Vec<Option<RunHead>>,
    woken: &mut Vec<Turn>,
) -> Result<(), StoreError> {
    // What one update writes may be about the run of the next: then it is read again.
    let alone = updates.len() == 1;
    for (update, head) in updates.iter().zip(heads) {
        let old = if alone { head } else { query::run(to, &update.head.id)? };
        put_run(to, old, &update.head, &update.entries, woken)?;
    }
    Ok(())
}

fn settle(to: &mut dyn Write, run: &str, entries: u32) -> Result<Reply, StoreError> {
    let Some(old) = query::run(to, run)?.filter(|head| head.entries == entries) else { return Err(StoreError::Conflict) };
    let mut head = old.clone();
    head.waits.attention = false;
    put_unlimited(to, Some(&old), &head, &[])?;
    Ok(Reply::Nothing)
}

/// Takes events in: they and what they start get their numbers here, so that these are in the order in which things take place.
pub(super) fn accept(to: &mut dyn Write, batch: &mut AcceptBatch, known: &mut Known) -> Result<Vec<AcceptedEvent>, StoreError> {
    let mut accepted = Vec::with_capacity(batch.events.len());
    let mut any_run = false;
    for new in &mut batch.events {
        let is_awaited = known.awaits(to, &new.event)?;
        let event = accept_event(to, new, is_awaited, known)?;
        any_run |= event.followed.iter().flatten().any(|event| !event.admissions.is_empty());
        any_run |= event.admissions.iter().flatten().any(|run| matches!(run, Admission::Started { .. } | Admission::Held { .. }));
        accepted.push(event);
    }
    // Without an event it is a run that was moved to another plan.
    if any_run || batch.events.is_empty() {
        for flow in &batch.plans {
            if !known.plans.contains(&flow.hash) && put_plan(to, flow)? {
                known.plans.insert(flow.hash.clone());
            }
        }
    }
    if let Some((connection, source, cursor)) = &batch.cursor {
        to.put(&tables::cursor(connection, source), &encode(cursor)?)?;
    }
    book::change(to, &batch.book)?;
    meters::change(to, &batch.meters)?;
    Ok(accepted)
}

impl Known {
    /// Forgets what may change by whatever is done.
    fn forget(&mut self) {
        self.kinds = None;
        self.plans.clear();
    }

    /// Tells whether runs wait for an event. Those that follow upon each other come from one source, nearly always.
    fn awaits(&mut self, from: &mut dyn Write, event: &StoredEvent) -> Result<bool, StoreError> {
        let is_known = |((connection, source), _): &((String, String), Vec<AwaitKind>)| {
            (connection, source) == (&event.connection, &event.source)
        };
        let kinds = match self.kinds.take().filter(is_known) {
            Some(kinds) => kinds,
            None => {
                let source = (event.connection.clone(), event.source.clone());
                let kinds = kinds_of(from, (&source.0, &source.1))?;
                (source, kinds)
            }
        };
        Ok(self.kinds.insert(kinds).1.iter().any(|kind| kind.is_of(event)))
    }
}

/// Returns which events of a source runs wait for.
fn kinds_of(from: &dyn Write, source: (&str, &str)) -> Result<Vec<AwaitKind>, StoreError> {
    Ok(awaited::kinds(from, source.0, source.1)?.into_iter().map(|(_, kind)| kind).collect())
}

/// `is_awaited`: some run waits for an event like this one.
fn accept_event(
    to: &mut dyn Write,
    new: &mut NewEvent,
    is_awaited: bool,
    so_far: &mut Known,
) -> Result<AcceptedEvent, StoreError> {
    let index = tables::event_index(&new.event.id, &new.event.connection);
    let known = match to.get(&index)?.as_deref().and_then(|seq| tables::number_at(seq, 0)) {
        Some(seq) => query::event(to, seq)?,
        None => None,
    };
    if known.is_none() && !alarms::is_told(to, new)? {
        // It is announced together with others, as if it had been here already.
        return Ok(AcceptedEvent { duplicate: true, notices: true, ..AcceptedEvent::default() });
    }
    let seq = match &known {
        Some(known) => known.seq,
        None => so_far.numbers.event(to)?,
    };
    new.event.seq = seq;
    let mut awaited = is_awaited;
    let mut changed = None;
    match &known {
        None => {
            to.put(&tables::event(seq), &event_value(&new.event)?)?;
            to.put(&index, &seq.to_be_bytes())?;
            changed = Some(Cow::Borrowed(&new.event));
        }
        // The same event, narrowed to another trigger by the address of the webhook.
        Some(known) => {
            let mut triggers = known.triggers.clone();
            triggers.extend(new.event.triggers.iter().filter(|trigger| !known.triggers.contains(trigger)).cloned());
            awaited &= triggers != known.triggers;
            if triggers != known.triggers {
                let mut event = StoredEvent { triggers, ..known.clone() };
                event.misfits.extend(new.event.misfits.iter().filter(|misfit| !known.misfits.contains(misfit)).cloned());
                to.put(&tables::event(seq), &event_value(&event)?)?;
                changed = Some(Cow::Owned(event));
            }
        }
    }
    if awaited {
        to.put(&tables::offer(seq), &[])?;
    }
    let (mut paused, mut raised) = (Vec::new(), Vec::new());
    if let Some(event) = changed.filter(|event| !event.misfits.is_empty() || !new.missed.is_empty()) {
        raised = alarms::misfits(to, &event)?;
        for missed in &new.missed {
            if alarms::miss(to, &event, missed)? {
                paused.push((missed.flow.clone(), missed.why.clone()));
            }
        }
    }
    let mut started = Vec::with_capacity(new.starts.len());
    let mut admissions = Vec::with_capacity(new.starts.len());
    let mut followed = Vec::new();
    for start in &mut new.starts {
        let offered = known.as_ref().is_some_and(|known| known.triggers.contains(&start.trigger));
        let begins = !offered && to.get(&tables::start(&start.key))?.is_none();
        if begins {
            let at = new.event.received_at;
            to.put(&tables::start(&start.key), &at.as_millisecond().to_be_bytes())?;
            to.put(&tables::start_at(at, &start.key), &[])?;
        }
        if begins {
            admissions.push(begin_runs(to, seq, start, &mut followed, so_far)?);
        } else {
            admissions.push(Vec::new());
            followed.extend(start.runs.iter().flat_map(|run| &run.follows).map(|_| None));
        }
        started.push(begins);
    }
    let by_itself = |admission: &Admission| matches!(admission, Admission::Flooded(_));
    let notices = !paused.is_empty() || !raised.is_empty() || admissions.iter().flatten().any(by_itself);
    Ok(AcceptedEvent { seq, duplicate: known.is_some(), started, admissions, awaited, followed, paused, raised, notices })
}

/// Begins the runs of a start by the event with this number.
pub(super) fn begin_runs(
    to: &mut dyn Write,
    event: u64,
    start: &mut NewStart,
    followed: &mut Vec<Option<AcceptedEvent>>,
    known: &mut Known,
) -> Result<Vec<Admission>, StoreError> {
    let mut admissions = Vec::with_capacity(start.runs.len());
    for run in &mut start.runs {
        // The id is computed: after a start that was forgotten for its age it is there already.
        let there = query::run(to, &run.head.id)?.map(|head| head.seq);
        let is_there = there.is_some();
        run.number(event, there.map_or_else(|| known.numbers.run(to), Ok)?);
        let starts = match run.flood.filter(|_| !is_there) {
            Some(most) => Some((Starts::read(to, &run.head.flow, run.head.started_at)?, most)),
            None => None,
        };
        let flooded = match &starts {
            Some((starts, most)) => admit::flood(to, &run.head, starts, *most)?,
            None => None,
        };
        let admission = if is_there {
            Admission::Started { seq: run.head.seq, cancelled: None }
        } else if let Some(flooded) = flooded {
            flooded
        } else if let Some(limited) = &run.limited {
            admit::admit(to, run, limited)?
        } else {
            put_unlimited(to, None, &run.head, &run.entries)?;
            Admission::Started { seq: run.head.seq, cancelled: None }
        };
        if let Admission::Dropped(reason) | Admission::Paused(reason) | Admission::Flooded(reason) = &admission {
            to.put(&tables::drop_of(run.head.event, &run.head.flow), reason.as_bytes())?;
        }
        let begins = !is_there && matches!(admission, Admission::Started { .. } | Admission::Held { .. });
        if let Some(most) = run.tally.filter(|_| begins) {
            book::count_start(to, &run.head.flow, run.head.started_at, most)?;
        }
        if let Some((starts, _)) = starts.filter(|_| begins) {
            starts.add(to, &run.head.flow, run.head.started_at)?;
        }
        for follows in &mut run.follows {
            let happened = match follows.from {
                FollowsFrom::Birth => begins && !matches!(admission, Admission::Held { .. }),
                FollowsFrom::Pause => matches!(admission, Admission::Paused(_)),
            };
            followed.push(if happened {
                let event = &follows.event.event;
                let is_awaited = kinds_of(to, (&event.connection, &event.source))?.iter().any(|kind| kind.is_of(event));
                Some(accept_event(to, &mut follows.event, is_awaited, known)?)
            } else {
                None
            });
        }
        admissions.push(admission);
    }
    Ok(admissions)
}

fn event_value(event: &StoredEvent) -> Result<Vec<u8>, StoreError> {
    let mut value = Vec::with_capacity(event.payload.len() + 512);
    encode_event(&mut value, event)?;
    Ok(value)
}

/// The length of the head, the head, the payload as it came.
pub(super) fn encode_event(to: &mut Vec<u8>, event: &StoredEvent) -> Result<(), StoreError> {
    let begin = to.len();
    to.extend([0; 4]);
    serde_json::to_writer(&mut *to, event).map_err(|error| StoreError::Corrupted(error.to_string()))?;
    let length = u32::try_from(to.len() - begin - 4).map_err(|error| StoreError::Corrupted(error.to_string()))?;
    to[begin..begin + 4].copy_from_slice(&length.to_be_bytes());
    to.extend(&event.payload);
    Ok(())
}
