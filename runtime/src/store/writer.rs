//! The writer: one thread, one transaction for all that waits.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::backend::{Backend, Read, Write};
use super::flood::Starts;
use super::in_turns::{InTurns, Pace};
use super::put::{encode, put_plan, put_run, put_unlimited};
use super::records::{
    AcceptBatch, AcceptedEvent, Admission, AwaitKind, FollowsFrom, NewEvent, NewStart, PruneBite, Pruned, ReplayBatch, Replayed,
    RunUpdate, Turn,
};
use super::{AlarmKey, PausedBy, StoreError, admit, alarms, awaited, book, meters, prune, query, replay, tables, turns};
use crate::world::BoxFuture;

/// At most so many operations share one transaction.
const MOST_IN_ONE: usize = 1024;
/// At most so many wait for the writer.
const MOST_WAITING: usize = 8192;
/// How long a transaction waits for the writes that it shared the last one with.
const GATHER: Duration = Duration::from_micros(250);

/// A store over a backend: readers go to the backend at once, writers through the thread.
pub(super) struct Db<B> {
    pub(super) backend: Arc<B>,
    jobs: Option<SyncSender<Job>>,
    trouble: Arc<Mutex<Option<StoreError>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    at_once: bool,
    in_turns: Option<Arc<InTurns<B>>>,
    turns: Arc<Turns>,
}

/// Runs that got their turn in a transaction that is committed, until somebody asks.
pub(super) type Turns = Mutex<Vec<Turn>>;

enum Operation {
    Accept(Box<AcceptBatch>),
    Update(Vec<RunUpdate>),
    UpdateAndAccept(Vec<RunUpdate>, Box<AcceptBatch>),
    Pause(String, Option<Timestamp>),
    Prune(prune::Found),
    /// A run has looked through the events before its wait: with so many entries it only waits from here on.
    Settle(String, u32),
    Offered(Vec<u64>),
    /// A run with so many entries, which its throttle held back, is to begin.
    BeginHeld(String, u32, Timestamp),
    Replay(Box<ReplayBatch>),
    EndAlarm(AlarmKey),
}

enum Reply {
    Held(Option<Timestamp>),
    Nothing,
    Accepted(Vec<AcceptedEvent>),
    Pruned(Pruned),
    Replayed(Vec<Replayed>),
}

pub(super) struct Job {
    operation: Operation,
    reply: oneshot::Sender<Result<Reply, StoreError>>,
}

impl<B: Backend> Db<B> {
    /// Starts the writer over a backend.
    ///
    /// # Errors
    /// Where the thread cannot be started.
    pub(super) fn new(backend: B) -> Result<Self, StoreError> {
        let backend = Arc::new(backend);
        let (jobs, waiting) = sync_channel(MOST_WAITING);
        let writer = Arc::clone(&backend);
        let trouble = Arc::<Mutex<Option<StoreError>>>::default();
        let turns = Arc::<Turns>::default();
        let woken = Arc::clone(&turns);
        let health = Health { trouble: Arc::clone(&trouble), tried_at: None };
        let thread = std::thread::Builder::new()
            .name("flow-store".to_owned())
            .spawn(move || write_all(&*writer, &waiting, health, &woken))
            .map_err(|error| StoreError::Io(error.to_string()))?;
        let thread = Mutex::new(Some(thread));
        Ok(Self { backend, jobs: Some(jobs), trouble, thread, at_once: false, in_turns: None, turns })
    }

    /// A store without a thread: each write is made at once, by whoever wants it. For backends that take no time.
    pub(super) fn at_once(backend: B) -> Self {
        Self {
            backend: Arc::new(backend),
            jobs: None,
            trouble: Arc::default(),
            thread: Mutex::default(),
            at_once: true,
            in_turns: None,
            turns: Arc::default(),
        }
    }

    /// A store without a thread, written by a task of the runtime that uses it, when `pace` lets it: what happens in it
    /// happens in one order, which `pace` decides.
    pub(super) fn in_turns(backend: Arc<B>, pace: Arc<dyn Pace>) -> Self {
        let turns = Arc::<Turns>::default();
        let in_turns = Some(Arc::new(InTurns::new(Arc::clone(&backend), Arc::clone(&turns), pace)));
        Self { backend, jobs: None, trouble: Arc::default(), thread: Mutex::default(), at_once: false, in_turns, turns }
    }

    /// Tells whether writes can be relied on.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.backend.check()?;
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone().map_or(Ok(()), Err)
    }

    fn submit(&self, operation: Operation) -> BoxFuture<'static, Result<Reply, StoreError>> {
        if self.at_once {
            let mut reply = Err(StoreError::Closed);
            let mut woken = Vec::new();
            let written = self.backend.write(&mut |to| {
                woken.clear();
                reply = match perform(to, &operation, &mut woken) {
                    Err(StoreError::Conflict) => Err(StoreError::Conflict),
                    result => Ok(result?),
                };
                Ok(())
            });
            if written.is_ok() {
                add(&self.turns, woken);
            }
            let reply = written.and(reply);
            return Box::pin(std::future::ready(reply));
        }
        let (reply, answer) = oneshot::channel();
        if let Some(in_turns) = &self.in_turns {
            in_turns.submit(Job { operation, reply });
            return Box::pin(async move { answer.await.unwrap_or(Err(StoreError::Closed)) });
        }
        let sent = match &self.jobs {
            Some(jobs) => jobs.try_send(Job { operation, reply }).map_err(|error| match error {
                std::sync::mpsc::TrySendError::Full(_) => StoreError::Io("too many writes wait".to_owned()),
                std::sync::mpsc::TrySendError::Disconnected(_) => StoreError::Closed,
            }),
            None => Err(StoreError::Closed),
        };
        Box::pin(async move {
            sent?;
            answer.await.unwrap_or(Err(StoreError::Closed))
        })
    }
}

impl<B> Drop for Db<B> {
    fn drop(&mut self) {
        // Without a sender the writer ends, after what it has at hand.
        self.jobs = None;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the thread of the store failed");
        }
    }
}

/// Whether writes succeed. Only changes that last are logged: on a full disk small writes go on succeeding now and then.
struct Health {
    /// What the last failure was, until a write of ordinary size has succeeded.
    trouble: Arc<Mutex<Option<StoreError>>>,
    tried_at: Option<Instant>,
}

/// How large a write has to succeed after a failure.
const ORDINARY: usize = 64 * 1024;
/// Such a write is tried no more often.
const TRY_EVERY: Duration = Duration::from_secs(1);

impl Health {
    fn trouble(&self) -> MutexGuard<'_, Option<StoreError>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&mut self, error: &StoreError, operations: usize) {
        let before = self.trouble().replace(error.clone());
        if before.is_none_or(|before| std::mem::discriminant(&before) != std::mem::discriminant(error)) {
            tracing::error!(%error, operations, "the store could not be written; this is not said again until it works");
        }
    }

    /// A write succeeded. After a failure that says little: one of ordinary size has to succeed too.
    fn succeeded<B: Backend>(&mut self, backend: &B) {
        if self.trouble().is_none() || self.tried_at.is_some_and(|at| at.elapsed() < TRY_EVERY) {
            return;
        }
        let key = tables::meta("probe");
        // What repeats itself could be stored in less.
        let bytes: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(ORDINARY).collect();
        let tried = backend.write(&mut |to| to.put(&key, &bytes)).and_then(|()| backend.write(&mut |to| to.remove(&key)));
        match tried {
            Ok(()) => {
                *self.trouble() = None;
                self.tried_at = None;
                tracing::info!("the store works again");
            }
            Err(_) => self.tried_at = Some(Instant::now()),
        }
    }
}

fn add(turns: &Turns, woken: Vec<Turn>) {
    if !woken.is_empty() {
        turns.lock().unwrap_or_else(PoisonError::into_inner).extend(woken);
    }
}

/// See [`alarms::is_uncounted`].
fn count_alarms<B: Backend>(backend: &B) -> Result<(), StoreError> {
    let mut uncounted = false;
    backend.read(&mut |from| {
        uncounted = alarms::is_uncounted(from)?;
        Ok(())
    })?;
    if uncounted { backend.write(&mut |to| alarms::count_all(to)) } else { Ok(()) }
}

fn write_all<B: Backend>(backend: &B, waiting: &Receiver<Job>, mut health: Health, turns: &Turns) {
    if let Err(error) = count_alarms(backend) {
        tracing::warn!(%error, "dead runs from before could not be counted; the next start tries again");
    }
    let mut together = 1;
    while let Ok(first) = waiting.recv() {
        let mut jobs = vec![first];
        // Those whose answers went out together come back together: waiting for as many as last time, for a fraction of
        // what a commit takes, spares commits. Where writes come one by one nothing waits.
        let patience = Instant::now() + GATHER;
        while jobs.len() < MOST_IN_ONE {
            let next = if jobs.len() < together {
                waiting.recv_timeout(patience.saturating_duration_since(Instant::now())).ok()
            } else {
                waiting.try_recv().ok()
            };
            let Some(job) = next else { break };
            jobs.push(job);
        }
        together = jobs.len();
        let count = jobs.len();
        commit(backend, jobs, turns, |committed| match committed {
            Ok(()) => health.succeeded(backend),
            Err(error) => health.failed(error, count),
        });
    }
}

/// Makes what some jobs want in one transaction, and answers them. `told` hears what came of it before they do.
pub(super) fn commit<B: Backend>(backend: &B, jobs: Vec<Job>, turns: &Turns, told: impl FnOnce(&Result<(), StoreError>)) {
    let (mut replies, mut woken) = (Vec::new(), Vec::new());
    let committed = backend.check().and_then(|()| {
        backend.write(&mut |transaction| {
            replies.clear();
            woken.clear();
            for job in &jobs {
                // A conflict is found before anything is written, so it concerns its own job alone.
                match perform(transaction, &job.operation, &mut woken) {
                    Err(StoreError::Conflict) => replies.push(Err(StoreError::Conflict)),
                    Ok(reply) => replies.push(Ok(reply)),
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        })
    });
    if committed.is_ok() {
        add(turns, woken);
    }
    told(&committed);
    let mut replies = replies.into_iter();
    for job in jobs {
        let reply = match &committed {
            Ok(()) => replies.next().unwrap_or(Err(StoreError::Closed)),
            Err(error) => Err(error.clone()),
        };
        // Nobody waits any more where the receiver is gone.
        drop(job.reply.send(reply));
    }
}

/// Performs an operation. Runs that get their turn by it are added to `woken`.
fn perform(to: &mut dyn Write, operation: &Operation, woken: &mut Vec<Turn>) -> Result<Reply, StoreError> {
    match operation {
        Operation::Accept(batch) => {
            book::check(to, &batch.book)?;
            accept(to, batch).map(Reply::Accepted)
        }
        Operation::Update(updates) => {
            check_updates(to, updates)?;
            update(to, updates, woken)?;
            Ok(Reply::Nothing)
        }
        Operation::UpdateAndAccept(updates, batch) => {
            check_updates(to, updates)?;
            book::check(to, &batch.book)?;
            update(to, updates, woken)?;
            accept(to, batch).map(Reply::Accepted)
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
        Operation::Replay(batch) => replay::replay(to, batch).map(Reply::Replayed),
        Operation::Settle(run, entries) => settle(to, run, *entries),
        Operation::BeginHeld(run, entries, now) => turns::begin_held(to, run, *entries, *now).map(Reply::Held),
        Operation::Offered(events) => {
            for event in events {
                to.remove(&tables::offer(*event))?;
            }
            Ok(Reply::Nothing)
        }
    }
}

/// Finds out whether somebody else has changed a run. Asked before anything is written.
fn check_updates(from: &mut dyn Write, updates: &[RunUpdate]) -> Result<(), StoreError> {
    for update in updates {
        let known = query::run(from, &update.head.id)?.map_or(0, |head| head.entries);
        if known as usize + update.entries.len() != update.head.entries as usize {
            return Err(StoreError::Conflict);
        }
    }
    Ok(())
}

fn update(to: &mut dyn Write, updates: &[RunUpdate], woken: &mut Vec<Turn>) -> Result<(), StoreError> {
    updates.iter().try_for_each(|update| put_run(to, &update.head, &update.entries, woken))
}

fn settle(to: &mut dyn Write, run: &str, entries: u32) -> Result<Reply, StoreError> {
    let Some(old) = query::run(to, run)?.filter(|head| head.entries == entries) else { return Err(StoreError::Conflict) };
    let mut head = old.clone();
    head.waits.attention = false;
    put_unlimited(to, Some(&old), &head, &[])?;
    Ok(Reply::Nothing)
}

fn accept(to: &mut dyn Write, batch: &AcceptBatch) -> Result<Vec<AcceptedEvent>, StoreError> {
    let mut accepted = Vec::with_capacity(batch.events.len());
    let mut any_run = false;
    // The events of a batch come from one source, nearly always; asked again only where they do not.
    let mut awaits: Option<((&str, &str), Vec<AwaitKind>)> = None;
    for new in &batch.events {
        let source = (new.event.connection.as_str(), new.event.source.as_str());
        let kinds = match awaits.take() {
            Some((known, kinds)) if known == source => kinds,
            _ => kinds_of(to, source)?,
        };
        let event = accept_event(to, new, kinds.iter().any(|kind| kind.is_of(&new.event)))?;
        awaits = Some((source, kinds));
        any_run |= event.followed.iter().flatten().any(|event| !event.admissions.is_empty());
        any_run |= event.admissions.iter().flatten().any(|run| matches!(run, Admission::Started { .. } | Admission::Held { .. }));
        accepted.push(event);
    }
    // Without an event it is a run that was moved to another plan.
    if any_run || batch.events.is_empty() {
        for flow in &batch.plans {
            put_plan(to, flow)?;
        }
    }
    if let Some((connection, source, cursor)) = &batch.cursor {
        to.put(&tables::cursor(connection, source), &encode(cursor)?)?;
    }
    book::change(to, &batch.book)?;
    meters::change(to, &batch.meters)?;
    Ok(accepted)
}

/// Returns which events of a source runs wait for.
fn kinds_of(from: &dyn Write, source: (&str, &str)) -> Result<Vec<AwaitKind>, StoreError> {
    Ok(awaited::kinds(from, source.0, source.1)?.into_iter().map(|(_, kind)| kind).collect())
}

/// `is_awaited`: some run waits for an event like this one.
fn accept_event(to: &mut dyn Write, new: &NewEvent, is_awaited: bool) -> Result<AcceptedEvent, StoreError> {
    let index = tables::event_index(&new.event.id, &new.event.connection);
    let known = match to.get(&index)?.as_deref().and_then(|seq| tables::number_at(seq, 0)) {
        Some(seq) => query::event(to, seq)?,
        None => None,
    };
    if known.is_none() && !alarms::is_told(to, new)? {
        // It is announced together with others, as if it had been here already.
        return Ok(AcceptedEvent { duplicate: true, notices: true, ..AcceptedEvent::default() });
    }
    let mut awaited = is_awaited;
    let mut changed = None;
    match &known {
        None => {
            to.put(&tables::event(new.event.seq), &encode_event(&new.event)?)?;
            to.put(&index, &new.event.seq.to_be_bytes())?;
            changed = Some(new.event.clone());
        }
        // The same event, narrowed to another trigger by the address of the webhook.
        Some(known) => {
            let mut triggers = known.triggers.clone();
            triggers.extend(new.event.triggers.iter().filter(|trigger| !known.triggers.contains(trigger)).cloned());
            awaited &= triggers != known.triggers;
            if triggers != known.triggers {
                let mut event = super::StoredEvent { triggers, ..known.clone() };
                event.misfits.extend(new.event.misfits.iter().filter(|misfit| !known.misfits.contains(misfit)).cloned());
                to.put(&tables::event(known.seq), &encode_event(&event)?)?;
                changed = Some(event);
            }
        }
    }
    if awaited {
        to.put(&tables::offer(known.as_ref().map_or(new.event.seq, |known| known.seq)), &[])?;
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
    for start in &new.starts {
        let offered = known.as_ref().is_some_and(|known| known.triggers.contains(&start.trigger));
        let begins = !offered && to.get(&tables::start(&start.key))?.is_none();
        if begins {
            let at = new.event.received_at;
            to.put(&tables::start(&start.key), &at.as_millisecond().to_be_bytes())?;
            to.put(&tables::start_at(at, &start.key), &[])?;
        }
        if begins {
            admissions.push(begin_runs(to, start, &mut followed)?);
        } else {
            admissions.push(Vec::new());
            followed.extend(start.runs.iter().flat_map(|run| &run.follows).map(|_| None));
        }
        started.push(begins);
    }
    let by_itself = |admission: &Admission| matches!(admission, Admission::Flooded(_));
    let notices = !paused.is_empty() || !raised.is_empty() || admissions.iter().flatten().any(by_itself);
    Ok(AcceptedEvent { duplicate: known.is_some(), started, admissions, awaited, followed, paused, raised, notices })
}

pub(super) fn begin_runs(
    to: &mut dyn Write,
    start: &NewStart,
    followed: &mut Vec<Option<AcceptedEvent>>,
) -> Result<Vec<Admission>, StoreError> {
    let mut admissions = Vec::with_capacity(start.runs.len());
    for run in &start.runs {
        // The id is computed: after a start that was forgotten for its age it is there already.
        let is_there = query::run(to, &run.head.id)?.is_some();
        let starts = match run.flood.filter(|_| !is_there) {
            Some(most) => Some((Starts::read(to, &run.head.flow, run.head.started_at)?, most)),
            None => None,
        };
        let flooded = match &starts {
            Some((starts, most)) => admit::flood(to, &run.head, starts, *most)?,
            None => None,
        };
        let admission = if is_there {
            Admission::Started { cancelled: None }
        } else if let Some(flooded) = flooded {
            flooded
        } else if let Some(limited) = &run.limited {
            admit::admit(to, run, limited)?
        } else {
            put_unlimited(to, None, &run.head, &run.entries)?;
            Admission::Started { cancelled: None }
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
        for follows in &run.follows {
            let happened = match follows.from {
                FollowsFrom::Birth => begins && !matches!(admission, Admission::Held { .. }),
                FollowsFrom::Pause => matches!(admission, Admission::Paused(_)),
            };
            followed.push(if happened {
                let event = &follows.event.event;
                let is_awaited = kinds_of(to, (&event.connection, &event.source))?.iter().any(|kind| kind.is_of(event));
                Some(accept_event(to, &follows.event, is_awaited)?)
            } else {
                None
            });
        }
        admissions.push(admission);
    }
    Ok(admissions)
}

/// The length of the head, the head, the payload as it came.
fn encode_event(event: &super::StoredEvent) -> Result<Vec<u8>, StoreError> {
    let head = encode(event)?;
    let length = u32::try_from(head.len()).map_err(|error| StoreError::Corrupted(error.to_string()))?;
    let mut bytes = Vec::with_capacity(4 + head.len() + event.payload.len());
    bytes.extend(length.to_be_bytes());
    bytes.extend(head);
    bytes.extend(&event.payload);
    Ok(bytes)
}

impl<B: Backend> Db<B> {
    pub(super) fn read<T>(&self, mut work: impl FnMut(&dyn Read) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut result = None;
        self.backend.read(&mut |from| {
            result = Some(work(from)?);
            Ok(())
        })?;
        result.ok_or(StoreError::Closed)
    }

    pub(super) fn accept(&self, batch: AcceptBatch) -> BoxFuture<'static, Result<Vec<AcceptedEvent>, StoreError>> {
        self.accepted(Operation::Accept(Box::new(batch)))
    }

    pub(super) fn update_and_accept(
        &self,
        runs: Vec<RunUpdate>,
        batch: AcceptBatch,
    ) -> BoxFuture<'static, Result<Vec<AcceptedEvent>, StoreError>> {
        self.accepted(Operation::UpdateAndAccept(runs, Box::new(batch)))
    }

    fn accepted(&self, operation: Operation) -> BoxFuture<'static, Result<Vec<AcceptedEvent>, StoreError>> {
        let reply = self.submit(operation);
        Box::pin(async move {
            match reply.await? {
                Reply::Accepted(accepted) => Ok(accepted),
                Reply::Nothing | Reply::Pruned(_) | Reply::Replayed(_) | Reply::Held(_) => Err(StoreError::Closed),
            }
        })
    }

    pub(super) fn update(&self, runs: Vec<RunUpdate>) -> BoxFuture<'static, Result<(), StoreError>> {
        self.nothing(Operation::Update(runs))
    }

    pub(super) fn set_paused(&self, flow: &str, at: Option<Timestamp>) -> BoxFuture<'static, Result<(), StoreError>> {
        self.nothing(Operation::Pause(flow.to_owned(), at))
    }

    pub(super) fn end_alarm(&self, key: AlarmKey) -> BoxFuture<'static, Result<(), StoreError>> {
        self.nothing(Operation::EndAlarm(key))
    }

    pub(super) fn prune(&self, bite: &PruneBite) -> BoxFuture<'static, Result<Pruned, StoreError>> {
        let found = match self.read(|from| prune::find(from, bite)) {
            Ok(found) if found.is_empty() => return Box::pin(std::future::ready(Ok(found.nothing()))),
            Ok(found) => found,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        let reply = self.submit(Operation::Prune(found));
        Box::pin(async move {
            match reply.await? {
                Reply::Pruned(pruned) => Ok(pruned),
                Reply::Nothing | Reply::Accepted(_) | Reply::Replayed(_) | Reply::Held(_) => Err(StoreError::Closed),
            }
        })
    }

    pub(super) fn replay(&self, batch: ReplayBatch) -> BoxFuture<'static, Result<Vec<Replayed>, StoreError>> {
        let reply = self.submit(Operation::Replay(Box::new(batch)));
        Box::pin(async move {
            match reply.await? {
                Reply::Replayed(replayed) => Ok(replayed),
                Reply::Nothing | Reply::Accepted(_) | Reply::Pruned(_) | Reply::Held(_) => Err(StoreError::Closed),
            }
        })
    }

    pub(super) fn settle(&self, run: &str, entries: u32) -> BoxFuture<'static, Result<(), StoreError>> {
        self.nothing(Operation::Settle(run.to_owned(), entries))
    }

    pub(super) fn begin_held(
        &self,
        run: &str,
        entries: u32,
        now: Timestamp,
    ) -> BoxFuture<'static, Result<Option<Timestamp>, StoreError>> {
        let reply = self.submit(Operation::BeginHeld(run.to_owned(), entries, now));
        Box::pin(async move {
            match reply.await? {
                Reply::Held(until) => Ok(until),
                Reply::Nothing | Reply::Accepted(_) | Reply::Pruned(_) | Reply::Replayed(_) => Err(StoreError::Closed),
            }
        })
    }

    pub(super) fn offered(&self, events: Vec<u64>) -> BoxFuture<'static, Result<(), StoreError>> {
        self.nothing(Operation::Offered(events))
    }

    /// Returns the runs that got their turn since it was asked last.
    pub(super) fn turns(&self) -> Vec<Turn> {
        std::mem::take(&mut *self.turns.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn nothing(&self, operation: Operation) -> BoxFuture<'static, Result<(), StoreError>> {
        let reply = self.submit(operation);
        Box::pin(async move { reply.await.map(drop) })
    }
}

/// Gives a backend's wrapper the whole of [`super::Store`].
macro_rules! store_over_db {
    ($name:ty) => {
        impl $crate::store::Store for $name {
            fn accept(
                &self,
                batch: $crate::store::AcceptBatch,
            ) -> $crate::world::BoxFuture<'static, Result<Vec<$crate::store::AcceptedEvent>, $crate::store::StoreError>> {
                self.db.accept(batch)
            }
            fn update(
                &self,
                runs: Vec<$crate::store::RunUpdate>,
            ) -> $crate::world::BoxFuture<'static, Result<(), $crate::store::StoreError>> {
                self.db.update(runs)
            }
            fn update_and_accept(
                &self,
                runs: Vec<$crate::store::RunUpdate>,
                batch: $crate::store::AcceptBatch,
            ) -> $crate::world::BoxFuture<'static, Result<Vec<$crate::store::AcceptedEvent>, $crate::store::StoreError>> {
                self.db.update_and_accept(runs, batch)
            }
            fn set_paused(
                &self,
                flow: &str,
                at: Option<jiff::Timestamp>,
            ) -> $crate::world::BoxFuture<'static, Result<(), $crate::store::StoreError>> {
                self.db.set_paused(flow, at)
            }
            fn end_alarm(
                &self,
                key: $crate::store::AlarmKey,
            ) -> $crate::world::BoxFuture<'static, Result<(), $crate::store::StoreError>> {
                self.db.end_alarm(key)
            }
            fn alarms(&self) -> Result<Vec<($crate::store::AlarmKey, $crate::store::Alarm)>, $crate::store::StoreError> {
                self.db.read($crate::store::alarms::all)
            }
            fn prune(
                &self,
                bite: $crate::store::PruneBite,
            ) -> $crate::world::BoxFuture<'static, Result<$crate::store::Pruned, $crate::store::StoreError>> {
                self.db.prune(&bite)
            }
            fn replay(
                &self,
                batch: $crate::store::ReplayBatch,
            ) -> $crate::world::BoxFuture<'static, Result<Vec<$crate::store::Replayed>, $crate::store::StoreError>> {
                self.db.replay(batch)
            }
            fn settle(
                &self,
                run: &str,
                entries: u32,
            ) -> $crate::world::BoxFuture<'static, Result<(), $crate::store::StoreError>> {
                self.db.settle(run, entries)
            }
            fn begin_held(
                &self,
                run: &str,
                entries: u32,
                now: jiff::Timestamp,
            ) -> $crate::world::BoxFuture<'static, Result<Option<jiff::Timestamp>, $crate::store::StoreError>> {
                self.db.begin_held(run, entries, now)
            }
            fn offered(&self, events: Vec<u64>) -> $crate::world::BoxFuture<'static, Result<(), $crate::store::StoreError>> {
                self.db.offered(events)
            }
            fn turns(&self) -> Vec<$crate::store::Turn> {
                self.db.turns()
            }
            fn to_offer(&self, limit: usize) -> Result<Vec<u64>, $crate::store::StoreError> {
                self.db.read(|from| $crate::store::awaited::to_offer(from, limit))
            }
            fn await_kinds(
                &self,
                connection: &str,
                source: &str,
            ) -> Result<Vec<(String, $crate::store::AwaitKind)>, $crate::store::StoreError> {
                self.db.read(|from| $crate::store::awaited::kinds(from, connection, source))
            }
            fn awaiting(
                &self,
                by: (&str, &str, &str),
                key: Option<&[u8; 16]>,
                after: Option<&str>,
                limit: usize,
            ) -> Result<Vec<String>, $crate::store::StoreError> {
                self.db.read(|from| $crate::store::awaited::runs(from, by, key, after, limit))
            }
            fn events_after(
                &self,
                after: u64,
                source: (&str, &str),
                limit: usize,
            ) -> Result<(Vec<$crate::store::StoredEvent>, Option<u64>), $crate::store::StoreError> {
                self.db.read(|from| $crate::store::awaited::events_after(from, after, source, limit))
            }
            fn events_from(&self, from: u64, limit: usize) -> Result<Vec<$crate::store::StoredEvent>, $crate::store::StoreError> {
                self.db.read(|reader| $crate::store::query::events_from(reader, from, limit))
            }
            fn drops(&self, event: u64) -> Result<Vec<(String, String)>, $crate::store::StoreError> {
                self.db.read(|from| $crate::store::query::drops(from, event))
            }
            fn check(&self) -> Result<(), $crate::store::StoreError> {
                self.db.check()
            }
            fn event(&self, seq: u64) -> Result<Option<$crate::store::StoredEvent>, $crate::store::StoreError> {
                self.db.read(|from| $crate::store::query::event(from, seq))
            }
            fn event_seqs(&self, id: &str) -> Result<Vec<(String, u64)>, $crate::store::StoreError> {
                self.db.read(|from| $crate::store::query::event_seqs(from, id))
            }
            fn events(
                &self,
                query: &$crate::store::EventQuery,
            ) -> Result<Vec<$crate::store::StoredEvent>, $crate::store::StoreError> {
                self.db.read(|from| $crate::store::query::events(from, query))
            }
            fn runs_of_event(&self, seq: u64) -> Result<Vec<String>, $crate::store::StoreError> {
                self.db.read(|from| $crate::store::query::runs_of_event(from, seq))
            }
            fn run(&self, id: &str) -> Result<Option<$crate::store::RunHead>, $crate::store::StoreError> {
                self.db.read(|from| $crate::store::query::run(from, id))
            }
            fn journal(&self, id: &str) -> Result<Vec<$crate::journal::Entry>, $crate::store::StoreError> {
                self.db.read(|from| $crate::store::query::journal(from, id))
            }
            fn runs(&self, query: &$crate::store::RunQuery) -> Result<Vec<$crate::store::RunHead>, $crate::store::StoreError> {
                self.db.read(|from| $crate::store::query::runs(from, query))
            }
            fn active(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>, $crate::store::StoreError> {
                self.db.read(|from| $crate::store::query::active(from, after, limit))
            }
            fn counts(&self) -> Result<(u64, u64), $crate::store::StoreError> {
                self.db.read($crate::store::query::counts)
            }
            fn plan(&self, hash: &str) -> Result<Option<std::sync::Arc<flow_plan::Flow>>, $crate::store::StoreError> {
                self.db.read(|from| $crate::store::query::plan(from, hash))
            }
            fn due(
                &self,
                now: jiff::Timestamp,
                limit: usize,
            ) -> Result<(Vec<String>, Option<jiff::Timestamp>), $crate::store::StoreError> {
                self.db.read(|from| $crate::store::query::due(from, now, limit))
            }
            fn timers(
                &self,
                from: jiff::Timestamp,
                until: jiff::Timestamp,
                limit: usize,
            ) -> Result<(Vec<String>, Option<jiff::Timestamp>), $crate::store::StoreError> {
                self.db.read(|reader| $crate::store::query::timers(reader, from, until, limit))
            }
            fn cursors(&self) -> Result<Vec<(String, String, $crate::event::Cursor)>, $crate::store::StoreError> {
                self.db.read($crate::store::query::cursors)
            }
            fn book_row(
                &self,
                key: &$crate::store::BookKey,
            ) -> Result<Option<$crate::store::BookRow>, $crate::store::StoreError> {
                self.db.read(|from| $crate::store::book::get(from, key))
            }
            fn book(
                &self,
                kind: &'static str,
                owner: Option<&str>,
            ) -> Result<Vec<($crate::store::BookKey, $crate::store::BookRow)>, $crate::store::StoreError> {
                self.db.read(|from| $crate::store::book::rows(from, kind, owner))
            }
            fn book_due(
                &self,
                kind: &'static str,
                now: jiff::Timestamp,
                limit: usize,
            ) -> Result<$crate::store::DueRows, $crate::store::StoreError> {
                self.db.read(|from| $crate::store::book::due(from, kind, now, limit))
            }
            fn paused(&self) -> Result<Vec<(String, jiff::Timestamp)>, $crate::store::StoreError> {
                self.db.read($crate::store::query::paused)
            }
            fn meters(&self) -> Result<Vec<$crate::store::MeterRow>, $crate::store::StoreError> {
                self.db.read($crate::store::meters::all)
            }
            fn last_numbers(&self) -> Result<(u64, u64), $crate::store::StoreError> {
                self.db.read($crate::store::query::last_numbers)
            }
        }
    };
}
pub(super) use store_over_db;
