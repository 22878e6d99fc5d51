//! The writer: one thread, one transaction for all that waits.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::backend::{Backend, Read};
use super::health::{Health, TRY_EVERY};
use super::in_turns::{InTurns, Pace};
use super::inbox::log::Log;
use super::inbox::seen::{Hold, Seen};
use super::inbox::{self, Applied, Arrival, Durable, New, Taken};
use super::lobby::{Lobby, Portion, Shut, Waits};
use super::perform::{Known, Operation, Reply, perform};
use super::records::{AcceptBatch, AcceptedEvent, After, PruneBite, Pruned, ReplayBatch, Replayed, RunUpdate, TakenIn, Turn};
use super::{AlarmKey, StoreError, alarms, prune};
use crate::event::Accepted;
use crate::world::BoxFuture;

/// At most so many operations share one transaction.
const MOST_IN_ONE: usize = 1024;
/// At most so many wait for the writer.
const MOST_WAITING: usize = 8192;
/// How long a transaction waits for the writes that it shared the last one with.
const GATHER: Duration = Duration::from_micros(250);
/// How long events that are durable in the inbox, and begin nothing, may wait to be sorted in.
const LAG: Duration = Duration::from_millis(20);

/// A store over a backend: readers go to the backend at once, writers through the thread.
pub(super) struct Db<B> {
    pub(super) backend: Arc<B>,
    how: How<B>,
    health: Arc<Health>,
    turns: Arc<Turns>,
    /// The events that are on their way in.
    seen: Arc<Seen>,
}

/// Who writes.
enum How<B> {
    /// Whoever wants it, at once.
    AtOnce,
    /// A task, when it is let.
    InTurns(Arc<InTurns<B>>),
    Threads(Threads),
}

/// The thread that writes the store, and the one that appends to the inbox.
struct Threads {
    lobby: Arc<Lobby<Work>>,
    inbox: Option<Inbox>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

struct Inbox {
    lobby: Arc<Lobby<Arrival>>,
    applied: Arc<Applied>,
    longest: usize,
    appender: Mutex<Option<JoinHandle<Log>>>,
}

/// Runs that got their turn in a transaction that is committed, until somebody asks.
pub(super) type Turns = Mutex<Vec<Turn>>;

/// What the writer has to do.
pub(super) enum Work {
    Job(Job),
    /// Events that the inbox has.
    Taken(Box<Taken>),
}

/// An operation, and who waits for it.
pub(super) struct Job {
    operation: Operation,
    answer: Answer,
    /// The events that it takes in.
    _hold: Hold,
}

enum Answer {
    To(oneshot::Sender<Result<Reply, StoreError>>),
    After(After, oneshot::Sender<Result<Vec<Accepted>, StoreError>>),
}

impl Job {
    fn new(operation: Operation) -> (Self, oneshot::Receiver<Result<Reply, StoreError>>) {
        let (reply, answer) = oneshot::channel();
        (Self { operation, answer: Answer::To(reply), _hold: Hold::default() }, answer)
    }

    /// Takes events in, and does what follows upon that.
    pub(super) fn taking_in(
        batch: AcceptBatch,
        hold: Hold,
        after: After,
    ) -> (Self, oneshot::Receiver<Result<Vec<Accepted>, StoreError>>) {
        let (reply, answer) = oneshot::channel();
        let operation = Operation::Accept(Box::new(batch));
        (Self { operation, answer: Answer::After(after, reply), _hold: hold }, answer)
    }

    /// Says what came of it. Nobody waits any more where the receiver is gone.
    fn answer(self, reply: Result<Reply, StoreError>) {
        match self.answer {
            Answer::To(to) => drop(to.send(reply)),
            Answer::After(after, to) => {
                let accepted = reply.and_then(|reply| match reply {
                    Reply::Accepted(accepted) => Ok(accepted),
                    Reply::Nothing | Reply::Pruned(_) | Reply::Replayed(_) | Reply::Held(_) => Err(StoreError::Closed),
                });
                drop(to.send(follow(after, accepted)));
            }
        }
    }
}

impl Waits for Work {
    fn weight(&self) -> usize {
        1
    }

    fn is_urgent(&self) -> bool {
        match self {
            Work::Job(_) => true,
            Work::Taken(taken) => taken.begins(),
        }
    }
}

/// Does what follows upon a transaction. A bug in that ends nothing else.
fn follow(after: After, accepted: Result<Vec<AcceptedEvent>, StoreError>) -> Result<Vec<Accepted>, StoreError> {
    std::panic::catch_unwind(AssertUnwindSafe(|| after(accepted))).unwrap_or_else(|_| {
        tracing::error!("what follows upon events that were taken in failed: this is a bug of ours");
        Err(StoreError::Closed)
    })
}

impl<B: Backend> Db<B> {
    /// Starts the writer over a backend.
    ///
    /// # Errors
    /// Where the thread cannot be started.
    pub(super) fn new(backend: B) -> Result<Self, StoreError> {
        Self::over(backend, None)
    }

    /// Starts the writer over a backend, with an inbox in front of it.
    ///
    /// # Errors
    /// Where a thread cannot be started.
    pub(super) fn with_inbox(backend: B, inbox: inbox::Open) -> Result<Self, StoreError> {
        Self::over(backend, Some(inbox))
    }

    fn over(backend: B, inbox: Option<inbox::Open>) -> Result<Self, StoreError> {
        let mut db = Self::without_threads(Arc::new(backend), How::AtOnce);
        let lobby = Arc::new(Lobby::new(MOST_WAITING));
        let applied = inbox.as_ref().map(|inbox| Arc::clone(&inbox.applied));
        let refused = |error: std::io::Error| StoreError::Io(error.to_string());
        let inbox = inbox.map(|inbox| {
            let arrivals = Arc::new(Lobby::new(inbox::MOST_WAITING));
            let (backend, writer) = (Arc::clone(&db.backend), Arc::clone(&lobby));
            let (health, applied, lobby) = (Arc::clone(&db.health), Arc::clone(&inbox.applied), Arc::clone(&arrivals));
            let append = move || inbox::append_all(&lobby, &writer, &*backend, &health, &applied, inbox.log);
            let appender = Builder::new().name("flow-inbox".to_owned()).spawn(append).map_err(refused)?;
            let appender = Mutex::new(Some(appender));
            Ok(Inbox { lobby: arrivals, applied: inbox.applied, longest: inbox.longest, appender })
        });
        let inbox = inbox.transpose()?;
        let (backend, health, turns) = (Arc::clone(&db.backend), Arc::clone(&db.health), Arc::clone(&db.turns));
        let waiting = Arc::clone(&lobby);
        let write = move || write_all(&*backend, &waiting, &health, &turns, applied.as_deref());
        let writer = Builder::new().name("flow-store".to_owned()).spawn(write).map_err(refused)?;
        db.how = How::Threads(Threads { lobby, inbox, writer: Mutex::new(Some(writer)) });
        Ok(db)
    }

    fn without_threads(backend: Arc<B>, how: How<B>) -> Self {
        Self { backend, how, health: Arc::default(), turns: Arc::default(), seen: Arc::default() }
    }

    /// A store without a thread: each write is made at once, by whoever wants it. For backends that take no time.
    pub(super) fn at_once(backend: B) -> Self {
        Self::without_threads(Arc::new(backend), How::AtOnce)
    }

    /// A store without a thread, written by a task of the runtime that uses it, when `pace` lets it: what happens in it
    /// happens in one order, which `pace` decides.
    pub(super) fn in_turns(backend: Arc<B>, pace: Arc<dyn Pace>) -> Self {
        let mut db = Self::without_threads(Arc::clone(&backend), How::AtOnce);
        db.how = How::InTurns(Arc::new(InTurns::new(backend, Arc::clone(&db.turns), pace, None)));
        db
    }

    /// As [`Db::in_turns`], with an inbox in front.
    pub(super) fn in_turns_with_inbox(backend: B, pace: Arc<dyn Pace>, inbox: inbox::Open) -> Self {
        let backend = Arc::new(backend);
        let mut db = Self::without_threads(Arc::clone(&backend), How::AtOnce);
        db.how = How::InTurns(Arc::new(InTurns::new(backend, Arc::clone(&db.turns), pace, Some(inbox))));
        db
    }

    /// Tells whether writes can be relied on.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.backend.check()?;
        self.health.check()
    }

    fn submit(&self, operation: Operation) -> BoxFuture<'static, Result<Reply, StoreError>> {
        let (job, answer) = Job::new(operation);
        self.enter(job);
        Box::pin(async move { answer.await.unwrap_or(Err(StoreError::Closed)) })
    }

    /// Lets a job be done. It is answered, whatever becomes of it.
    fn enter(&self, job: Job) {
        match &self.how {
            How::AtOnce => drop(commit(&*self.backend, vec![Work::Job(job)], &self.turns, |_| {})),
            How::InTurns(in_turns) => in_turns.submit(job),
            How::Threads(threads) => {
                if let Err((Work::Job(job), shut)) = threads.lobby.enter(Work::Job(job)) {
                    job.answer(Err(refused(shut)));
                }
            }
        }
    }

    /// Returns the hold on events of a connection that are about to come in.
    pub(super) fn hold(&self, connection: &str, ids: &[&str]) -> Hold {
        match self.longest() {
            Some(_) => Seen::hold(&self.seen, connection, ids.iter().copied()),
            None => Hold::default(),
        }
    }

    /// Takes events in. What follows upon that is done whether or not anybody waits for it.
    pub(super) fn take_in(
        &self,
        batch: AcceptBatch,
        hold: Hold,
        after: After,
    ) -> BoxFuture<'static, Result<TakenIn, StoreError>> {
        match self.longest().filter(|longest| is_for_inbox(&batch, *longest) && !self.health.is_troubled()) {
            Some(_) => self.append(batch, hold, after),
            None => {
                hold.take();
                let (job, answer) = Job::taking_in(batch, hold, after);
                self.enter(job);
                Box::pin(async move { answer.await.unwrap_or(Err(StoreError::Closed)).map(TakenIn::Applied) })
            }
        }
    }

    /// Returns the longest record that the inbox takes, where there is one.
    fn longest(&self) -> Option<usize> {
        match &self.how {
            How::Threads(threads) => threads.inbox.as_ref().map(|inbox| inbox.longest),
            How::InTurns(in_turns) => in_turns.longest(),
            How::AtOnce => None,
        }
    }

    /// Lets something arrive at the inbox; it comes back where it cannot.
    fn arrive(&self, arrival: Arrival) -> Option<(Arrival, Shut)> {
        match &self.how {
            How::Threads(Threads { inbox: Some(inbox), .. }) => inbox.lobby.enter(arrival).err(),
            How::InTurns(in_turns) => {
                in_turns.arrive(arrival);
                None
            }
            How::Threads(_) | How::AtOnce => Some((arrival, Shut::Closed)),
        }
    }

    /// Has events appended to the inbox.
    fn append(&self, batch: AcceptBatch, hold: Hold, after: After) -> BoxFuture<'static, Result<TakenIn, StoreError>> {
        let (new, answer) = match New::of(batch, hold, after) {
            Ok(prepared) => prepared,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        if let Some((Arrival::Events(new), shut)) = self.arrive(Arrival::Events(Box::new(new))) {
            inbox::refuse(*new, &refused(shut));
        }
        Box::pin(async move {
            match answer.await.unwrap_or(Err(StoreError::Closed))? {
                Durable::Now => Ok(TakenIn::Durable),
                Durable::Later(answer) => answer.await.unwrap_or(Err(StoreError::Closed)).map(TakenIn::Applied),
            }
        })
    }

    /// Returns when the store has all that was durable when this was called.
    pub(super) fn caught_up(&self) -> BoxFuture<'static, Result<(), StoreError>> {
        // Nobody wakes the disk by asking.
        if self.longest().is_none() || !self.seen.any_taken() {
            return Box::pin(std::future::ready(Ok(())));
        }
        let (job, answer) = Job::new(Operation::CatchUp);
        if let Some((Arrival::Job(job), shut)) = self.arrive(Arrival::Job(job)) {
            job.answer(Err(refused(shut)));
        }
        Box::pin(async move { answer.await.unwrap_or(Err(StoreError::Closed)).map(drop) })
    }
}

/// What has to be decided at once does not wait in the inbox, and what is so large that few others find room beside it.
fn is_for_inbox(batch: &AcceptBatch, longest: usize) -> bool {
    let AcceptBatch { events, plans: _, cursor, book, meters } = batch;
    let fits = events.iter().all(|new| new.event.payload.len() <= longest);
    fits && events.len() == 1 && cursor.is_none() && book.is_empty() && meters.is_empty()
}

fn refused(shut: Shut) -> StoreError {
    match shut {
        Shut::Full => StoreError::Io("too many writes wait".to_owned()),
        Shut::Closed => StoreError::Closed,
    }
}

impl<B> Drop for Db<B> {
    fn drop(&mut self) {
        let How::Threads(threads) = &self.how else { return };
        // What waits is still appended, and then applied.
        let log = threads.inbox.as_ref().and_then(|inbox| {
            inbox.lobby.close();
            join(&inbox.appender)
        });
        threads.lobby.close();
        join(&threads.writer);
        if let (Some(mut log), Some(inbox)) = (log, &threads.inbox)
            && inbox.applied.number() >= log.last()
            && let Err(error) = log.clear()
        {
            tracing::debug!(%error, "the inbox could not be cleared");
        }
    }
}

/// Waits for the end of a thread. One that ends the store itself is not waited for.
fn join<T>(thread: &Mutex<Option<JoinHandle<T>>>) -> Option<T> {
    let thread = thread.lock().unwrap_or_else(PoisonError::into_inner).take()?;
    if thread.thread().id() == std::thread::current().id() {
        return None;
    }
    thread.join().inspect_err(|_| tracing::error!("a thread of the store failed")).ok()
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

fn write_all<B: Backend>(backend: &B, lobby: &Lobby<Work>, health: &Health, turns: &Turns, applied: Option<&Applied>) {
    if let Err(error) = count_alarms(backend) {
        tracing::warn!(%error, "dead runs from before could not be counted; the next start tries again");
    }
    let mut together = 1;
    while let Some(work) = lobby.take(Portion { together, gather: GATHER, lag: LAG, weight: MOST_IN_ONE }) {
        together = work.len();
        let last = work.iter().rev().find_map(|work| match work {
            Work::Taken(taken) => Some(taken.number()),
            Work::Job(_) => None,
        });
        let left = commit(backend, work, turns, |committed| match committed {
            Ok(()) => {
                if let (Some(applied), Some(last)) = (applied, last) {
                    applied.set(last);
                }
                health.succeeded(backend);
            }
            Err(error) => health.failed(error, together),
        });
        if left.is_empty() {
            continue;
        }
        // What was promised waits until the disk takes it, or for the next start.
        if lobby.is_closed() {
            tracing::warn!(events = left.len(), "accepted events stay in the inbox; the next start takes them up");
            return;
        }
        lobby.put_back(left);
        lobby.rest(TRY_EVERY);
    }
}

/// Does some work in one transaction, and answers it. `told` hears what came of it before anybody does. Returns what has to
/// be tried again: events that are durable already.
pub(super) fn commit<B: Backend>(
    backend: &B,
    mut work: Vec<Work>,
    turns: &Turns,
    told: impl FnOnce(&Result<(), StoreError>),
) -> Vec<Work> {
    let (mut replies, mut woken) = (Vec::new(), Vec::new());
    let waits = |one: &Work| matches!(one, Work::Job(Job { operation: Operation::CatchUp, .. }));
    if work.iter().all(waits) {
        // All that came before them is done.
        for one in work {
            if let Work::Job(job) = one {
                job.answer(Ok(Reply::Nothing));
            }
        }
        return Vec::new();
    }
    let committed = backend.check().and_then(|()| {
        backend.write(&mut |to| {
            replies.clear();
            woken.clear();
            let mut known = Known::default();
            let mut applied = None;
            for one in &mut work {
                // A conflict is found before anything is written, so it concerns its own job alone.
                let done = match one {
                    Work::Job(job) => perform(to, &mut job.operation, &mut known, &mut woken),
                    Work::Taken(taken) => {
                        applied = Some(taken.number());
                        taken.apply(to, &mut known).map(Reply::Accepted)
                    }
                };
                match done {
                    Err(StoreError::Conflict) => replies.push(Err(StoreError::Conflict)),
                    Ok(reply) => replies.push(Ok(reply)),
                    Err(error) => return Err(error),
                }
            }
            match applied {
                Some(number) => to.put(&inbox::applied_key(), &number.to_be_bytes()),
                None => Ok(()),
            }
        })
    });
    // A write that is said to have failed may be on the disk all the same. Who got a turn in it is looked for; where it is not
    // there nothing has changed for them.
    add(turns, woken);
    told(&committed);
    let mut replies = replies.into_iter();
    let mut left = Vec::new();
    for one in work {
        let reply = match &committed {
            Ok(()) => replies.next().unwrap_or(Err(StoreError::Closed)),
            Err(error) => Err(error.clone()),
        };
        match (one, reply) {
            (Work::Job(job), reply) => job.answer(reply),
            // The answer went out when it was durable.
            (Work::Taken(taken), Ok(Reply::Accepted(accepted))) => {
                let (after, hold) = taken.done();
                drop(follow(after, Ok(accepted)));
                drop(hold);
            }
            (taken @ Work::Taken(_), _) => left.push(taken),
        }
    }
    left
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
        let reply = self.submit(Operation::Prune(Box::new(found)));
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
