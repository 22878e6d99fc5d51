//! The inbox: a small log in front of the store, so that an event is durable after one append that all share who wait.
//!
//! A commit of the store writes some forty pages and sorts the event, its runs and their indexes in; the append writes the
//! event once. So what comes by webhook is appended, synced, answered, and then applied to the store by its writer, in the
//! order of the log and together with whatever else came meanwhile. What a start comes to (limits, turns, what is known
//! already) is decided there, in the transaction, as for everything else; its runs begin behind that. What cannot be decided
//! later, such as changes of the book or the cursor of a poll, does not come this way.
//!
//! The transaction notes the last record that it applied. So what is found in the log at a start is applied exactly once, and
//! a segment is written over only when the store has all of it. There is room for two segments; beyond, senders wait.

pub(super) mod log;
pub(super) mod record;
pub(super) mod seen;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use flow_plan::Flow;
use tokio::sync::oneshot;

use super::backend::{Backend, Write};
use super::disk::{Disk, OpenFile, failed};
use super::health::Health;
use super::lobby::{Lobby, Portion, Waits};
use super::perform::{Known, accept};
use super::records::{AcceptBatch, AcceptedEvent, After};

use super::StoreError;
use super::tables::{self, number_at};
use super::writer::{Job, Work};
use crate::event::Accepted;
use log::{Left, Log, NoRoom, sum};
use seen::Hold;

/// The names of the segments.
pub(super) const FILES: [&str; 2] = ["inbox.1", "inbox.2"];
/// A segment gets so long.
const LENGTH: u64 = 2 * 1024 * 1024;
/// So much is written by one append.
const MOST_AT_ONCE: usize = 512 * 1024;
/// At most so many wait for an append.
pub(super) const MOST_WAITING: usize = 4096;
/// How long an append waits for those that it shared the last one with.
const GATHER: Duration = Duration::from_micros(150);
/// How often somebody who waits for room looks whether the disk is to blame.
const LOOK: Duration = Duration::from_millis(50);
/// Records that an earlier process left behind are applied so many at a time.
const PORTION: usize = 256;

/// The number of the last record that the store has applied is kept under this name.
pub(super) fn applied_key() -> tables::Key {
    tables::meta("inbox")
}

/// Somebody who wants an answer as soon as the log has it.
pub(super) enum Arrival {
    /// Events to append.
    Events(Box<New>),
    /// Something for the writer, behind all that came before it.
    Job(Job),
}

/// Events to append.
pub(super) struct New {
    batch: AcceptBatch,
    bytes: Bytes,
    sum: u64,
    hold: Hold,
    after: After,
    durable: oneshot::Sender<Result<Durable, StoreError>>,
}

/// What becomes of events that wait to be appended.
pub(super) enum Durable {
    /// They are in the log, and nobody had them before.
    Now,
    /// The store says, when it has decided.
    Later(oneshot::Receiver<Result<Vec<Accepted>, StoreError>>),
}

/// Events that are in the log, and not yet applied.
pub(super) struct Taken {
    number: u64,
    batch: AcceptBatch,
    hold: Hold,
    after: After,
}

impl New {
    /// Prepares events. The receiver hears when they are durable.
    pub(super) fn of(
        mut batch: AcceptBatch,
        hold: Hold,
        after: After,
    ) -> Result<(Self, oneshot::Receiver<Result<Durable, StoreError>>), StoreError> {
        let (bytes, payloads) = record::events(&batch)?;
        // Of the bytes that came nothing is kept: they hang on the buffer that they were read into.
        for (new, place) in batch.events.iter_mut().zip(payloads) {
            new.event.payload = bytes.slice(place);
        }
        let (durable, answer) = oneshot::channel();
        Ok((Self { sum: sum(&bytes), batch, bytes, hold, after, durable }, answer))
    }

    /// Takes the events; tells whether nobody has had them before. What somebody has had is the store's to decide, behind him.
    pub(super) fn is_first(&self) -> bool {
        self.hold.take()
    }

    fn plans(&self) -> impl Iterator<Item = &Arc<Flow>> {
        self.batch.plans.iter()
    }
}

impl Taken {
    /// Applies the events.
    pub(super) fn apply(&mut self, to: &mut dyn Write, known: &mut Known) -> Result<Vec<AcceptedEvent>, StoreError> {
        accept(to, &mut self.batch, known)
    }

    /// Returns its number in the log.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Tells whether runs begin with it.
    pub(super) fn begins(&self) -> bool {
        self.batch.events.iter().any(|event| !event.starts.is_empty())
    }

    /// Returns what is done when it is applied, and what is let go of behind that.
    pub(super) fn done(self) -> (After, Hold) {
        (self.after, self.hold)
    }
}

impl Waits for Arrival {
    fn weight(&self) -> usize {
        match self {
            Arrival::Events(new) => Log::weight(new.bytes.len()),
            Arrival::Job(_) => 0,
        }
    }

    fn is_urgent(&self) -> bool {
        true
    }
}

/// How far the store has applied the log.
#[derive(Debug, Default)]
pub(super) struct Applied {
    number: Mutex<u64>,
    told: Condvar,
}

impl Applied {
    fn of(number: u64) -> Self {
        Self { number: Mutex::new(number), told: Condvar::new() }
    }

    /// Returns the number of the last record that is applied.
    pub(super) fn number(&self) -> u64 {
        *self.number.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that records are applied up to this one.
    pub(super) fn set(&self, number: u64) {
        *self.number.lock().unwrap_or_else(PoisonError::into_inner) = number;
        self.told.notify_all();
    }

    fn wait(&self, known: u64) {
        let number = self.number.lock().unwrap_or_else(PoisonError::into_inner);
        if *number == known {
            drop(self.told.wait_timeout(number, LOOK));
        }
    }
}

/// A log that is open, with what an earlier process left in it applied.
pub(super) struct Open {
    pub(super) log: Log,
    pub(super) applied: Arc<Applied>,
    /// The longest record that it takes.
    pub(super) longest: usize,
}

impl Open {
    /// Opens the log of a store, and applies what it has that the store has not.
    ///
    /// # Errors
    /// Where the disk refuses, or a record says what nobody could have written.
    pub(super) fn on<B: Backend>(disk: &dyn Disk, backend: &B) -> Result<Self, StoreError> {
        Self::of_length(disk, backend, LENGTH)
    }

    /// As [`Open::on`], with segments of a length.
    pub(super) fn of_length<B: Backend>(disk: &dyn Disk, backend: &B, length: u64) -> Result<Self, StoreError> {
        let mut applied = 0;
        backend.read(&mut |from| {
            applied = from.get(&applied_key())?.and_then(|bytes| number_at(&bytes, 0)).unwrap_or(0);
            Ok(())
        })?;
        let storages = files(disk).map_err(failed)?;
        let (log, left) = Log::open(storages, applied, length).map_err(|error| match error.kind() {
            std::io::ErrorKind::InvalidData => StoreError::Corrupted(error.to_string()),
            _ => failed(error),
        })?;
        if let Some((last, _)) = left.last() {
            let count = replay(backend, &left, applied)?;
            applied = *last;
            tracing::info!(events = count, "events that were accepted before the end are sorted into the store");
        }
        Ok(Self { log, applied: Arc::new(Applied::of(applied)), longest: Log::longest(length).min(MOST_AT_ONCE) })
    }
}

/// Opens the segments; those that are not there are made. An empty one is as good as any, so that a power cut here has nothing
/// to spoil.
fn files(disk: &dyn Disk) -> std::io::Result<[OpenFile; 2]> {
    let open = |name: &str| if disk.exists(name)? { disk.open(name) } else { disk.create(name) };
    let [one, two] = FILES;
    let files = [open(one)?, open(two)?];
    disk.sync()?;
    FILES.iter().try_for_each(|name| disk.watch(name))?;
    Ok(files)
}

/// Applies the records behind `applied`, with the plans that were said before them. Returns how many were events.
fn replay<B: Backend>(backend: &B, left: &Left, applied: u64) -> Result<usize, StoreError> {
    let mut plans = HashMap::new();
    let mut count = 0;
    for portion in left.chunks(PORTION) {
        let mut batches = Vec::new();
        for (number, bytes) in portion {
            match record::read(bytes, &plans)? {
                record::Record::Plan(plan) => {
                    plans.insert(plan.hash.clone(), plan);
                }
                record::Record::Events(batch) if *number > applied => batches.push(batch),
                record::Record::Events(_) => {}
            }
        }
        let last = portion.last().map_or(0, |(number, _)| *number);
        if last <= applied {
            continue;
        }
        backend.write(&mut |to| {
            let mut known = Known::default();
            for batch in &mut batches {
                accept(to, batch, &mut known)?;
            }
            to.put(&applied_key(), &last.to_be_bytes())
        })?;
        count += batches.len();
    }
    Ok(count)
}

/// Appends what arrives until the lobby is closed and empty. Returns the log.
pub(super) fn append_all<B: Backend>(
    lobby: &Lobby<Arrival>,
    writer: &Lobby<Work>,
    backend: &B,
    health: &Health,
    applied: &Applied,
    mut log: Log,
) -> Log {
    let mut together = 1;
    let mut plans = HashSet::new();
    while let Some(arrivals) = lobby.take(Portion { together, gather: GATHER, lag: GATHER, weight: MOST_AT_ONCE }) {
        let (mut events, mut behind) = (Vec::new(), Vec::new());
        for arrival in arrivals {
            match arrival {
                Arrival::Events(new) if new.is_first() => events.push(*new),
                Arrival::Events(new) => behind.push(Work::Job(decided_later(*new))),
                Arrival::Job(job) => behind.push(Work::Job(job)),
            }
        }
        together = events.len().max(1);
        if !events.is_empty() {
            // Where the store cannot apply what there is, nothing more is promised.
            let mut room = |known| health.check().map(|()| applied.wait(known));
            match append(&mut log, &events, &mut plans, backend, applied, &mut room) {
                Ok(first) => take(events, first, |taken| writer.enter_all(taken)),
                Err(error) => {
                    health.failed(&error, events.len());
                    for new in events {
                        refuse(new, &error);
                    }
                }
            }
        }
        writer.enter_all(behind);
    }
    log
}

/// Appends events with the plans that they need. Returns the number of the first event. `room` waits until the store has applied
/// more than it is told, or fails.
pub(super) fn append<B: Backend>(
    log: &mut Log,
    events: &[New],
    plans: &mut HashSet<String>,
    backend: &B,
    applied: &Applied,
    room: &mut dyn FnMut(u64) -> Result<(), StoreError>,
) -> Result<u64, StoreError> {
    let mut needed = needed_plans(events, plans)?;
    let weight = |needed: &[(String, Bytes)]| {
        let events: usize = events.iter().map(|new| Log::weight(new.bytes.len())).sum();
        events + needed.iter().map(|(_, bytes)| Log::weight(bytes.len())).sum::<usize>()
    };
    loop {
        let known = applied.number();
        match log.make_room(weight(&needed), known) {
            Ok(()) => break,
            Err(NoRoom) => room(known)?,
        }
    }
    if log.is_begun_anew() {
        plans.clear();
        needed = needed_plans(events, plans)?;
    }
    backend.check()?;
    let mut records: Vec<log::Record<'_>> = needed.iter().map(|(_, bytes)| (&**bytes, sum(bytes))).collect();
    records.extend(events.iter().map(|new| (&*new.bytes, new.sum)));
    let first = log.append(&records).map_err(failed)?;
    let count = needed.len() as u64;
    plans.extend(needed.into_iter().map(|(hash, _)| hash));
    Ok(first + count)
}

/// Returns the records of the plans that the segment at hand does not have.
fn needed_plans(events: &[New], known: &HashSet<String>) -> Result<Vec<(String, Bytes)>, StoreError> {
    let mut needed: Vec<(String, Bytes)> = Vec::new();
    for plan in events.iter().flat_map(New::plans) {
        if !known.contains(&plan.hash) && needed.iter().all(|(hash, _)| *hash != plan.hash) {
            needed.push((plan.hash.clone(), record::plan(plan)?));
        }
    }
    Ok(needed)
}

/// Passes events on to the writer that are durable, and says so.
pub(super) fn take(events: Vec<New>, first: u64, enter: impl FnOnce(Vec<Work>)) {
    let mut answers = Vec::with_capacity(events.len());
    let taken = (first..).zip(events).map(|(number, new)| {
        answers.push(new.durable);
        Work::Taken(Box::new(Taken { number, batch: new.batch, hold: new.hold, after: new.after }))
    });
    enter(taken.collect());
    for answer in answers {
        // Nobody waits any more where the receiver is gone: it is durable all the same.
        drop(answer.send(Ok(Durable::Now)));
    }
}

/// Says that events are not taken in.
pub(super) fn refuse(new: New, error: &StoreError) {
    // What it returns is for nobody.
    drop((new.after)(Err(error.clone())));
    drop(new.durable.send(Err(error.clone())));
}

/// Makes a job of events that the store has to decide about.
pub(super) fn decided_later(new: New) -> Job {
    let (job, answer) = Job::taking_in(new.batch, new.hold, new.after);
    drop(new.durable.send(Ok(Durable::Later(answer))));
    job
}
