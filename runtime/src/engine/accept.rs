//! Taking events in.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flow_plan::Flow;
use futures_util::FutureExt;
use jiff::Timestamp;

use super::announce::{self, DEEPEST};
use super::causes::{Cause, Touched};
use super::present::Received;
use super::{Current, Engine, Shared, causes, locked};
use crate::alarm;
use crate::clock;
use crate::delivered::Delivery;
use crate::event::{AcceptError, Accepted, Cursor, Incoming, Origin, Via};
use crate::executor::{Job, head_of};
use crate::journal::{Entry, EventHead, Start, What};
use crate::key;
use crate::limit::Limited;
use crate::matcher::{Group, MatchedFlow, MatchedStart};
use crate::run::{Run, apply};
use crate::store::{
    AcceptBatch, AcceptedEvent, Admission, After, BookChange, BookKey, Follows, LOOPS, Missed, NewEvent, NewRun, NewStart,
    StoreError, StoredEvent, TakenIn, WAS_PAUSED,
};

/// The number of what the store has not given one yet.
const NO_NUMBER: u64 = 0;

impl Engine {
    /// Takes events of a connection in, with the cursor of the poll that found them: all in one transaction. When it
    /// returns they are durable, with the runs they start. Of these those are named that were begun by then.
    ///
    /// # Errors
    /// Where they cannot be taken in; nothing of them is remembered then.
    pub async fn accept(
        &self,
        connection: &str,
        events: Vec<Incoming>,
        cursor: Option<(String, Cursor)>,
    ) -> Result<Vec<Accepted>, AcceptError> {
        take_in(&self.shared, connection, events, cursor, Vec::new()).await.map_err(|refused| match refused {
            // Without a change of the book nothing can be otherwise than expected.
            Refused::Conflict => AcceptError::Store(StoreError::Conflict.to_string()),
            Refused::No(error) => error,
        })
    }
}

/// Why events were not taken in together with changes of the book.
#[derive(Debug)]
pub(crate) enum Refused {
    /// A row is not what it was thought to be: read it again.
    Conflict,
    /// As for any other event.
    No(AcceptError),
}

impl From<AcceptError> for Refused {
    fn from(error: AcceptError) -> Self {
        Refused::No(error)
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Refused::Conflict,
            other => Refused::No(refused(&other)),
        }
    }
}

/// Takes events in as [`Engine::accept`] does, with changes of the book in the same transaction.
pub(crate) async fn take_in(
    shared: &Arc<Shared>,
    connection: &str,
    events: Vec<Incoming>,
    cursor: Option<(String, Cursor)>,
    book: Vec<BookChange>,
) -> Result<Vec<Accepted>, Refused> {
    if shared.is_stopping() {
        return Err(AcceptError::Stopping.into());
    }
    if !events.is_empty() && shared.is_full() {
        return Err(AcceptError::QueueFull.into());
    }
    // A bug in reading one event ends nothing but that.
    let accepting = AssertUnwindSafe(accept(shared, connection, events, cursor, book)).catch_unwind();
    accepting.await.unwrap_or_else(|_| {
        tracing::error!("taking events in failed: this is a bug of ours");
        Err(AcceptError::Store("an internal error".to_owned()).into())
    })
}

/// An event on its way: what goes into the store, and the jobs that follow.
pub(super) struct Prepared {
    id: String,
    new: NewEvent,
    jobs: Vec<Vec<Job>>,
    /// It is in the store with all that it could start.
    known: bool,
    /// The silences that it ends.
    ends: Vec<BookKey>,
    /// The events that follow from what becomes of its runs, run by run.
    follows: Vec<Prepared>,
    /// What may turn out to have caused it.
    unknown: Vec<Touched>,
}

impl Prepared {
    /// Notes that it came: for whoever asks why another did not.
    fn was_taken_in(&self, shared: &Shared, duplicate: bool) {
        let event = &self.new.event;
        if matches!(event.via, Via::Webhook | Via::Poll) {
            let delivery = Delivery { at: event.received_at, id: event.id.clone(), via: event.via, duplicate };
            shared.delivered.took_in(&event.connection, &event.triggers, delivery);
        }
    }

    /// Takes out what is written.
    fn record(&mut self) -> NewEvent {
        let NewEvent { event, starts, missed, death_of } = &mut self.new;
        let (starts, missed, death_of) = (std::mem::take(starts), std::mem::take(missed), death_of.take());
        NewEvent { event: event.clone(), starts, missed, death_of }
    }

    /// Lets go of what is the store's matter: the payload hangs on the buffer that it was read into.
    fn lighten(&mut self) {
        self.new.event.payload = bytes::Bytes::new();
        self.new.starts = Vec::new();
        self.follows.iter_mut().for_each(Self::lighten);
    }
}

async fn accept(
    shared: &Arc<Shared>,
    connection: &str,
    events: Vec<Incoming>,
    cursor: Option<(String, Cursor)>,
    book: Vec<BookChange>,
) -> Result<Vec<Accepted>, Refused> {
    // Held until it is decided about them: what else comes in of the same events meanwhile is known as such.
    let ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
    let hold = shared.store.hold(connection, &ids);
    if hold.is_contested() {
        shared.store.caught_up().await?;
    }
    let current = shared.current();
    let (received_at, received) = shared.receive();
    let mut prepared = Vec::with_capacity(events.len());
    let mut all_known = true;
    for incoming in events {
        let event = prepare(shared, &current, connection, incoming, received_at)?;
        all_known &= event.known;
        prepared.push(event);
    }
    if all_known && cursor.is_none() && book.is_empty() {
        // Nothing is written, but it is the store that says so: one that was removed says nothing.
        if let Err(error @ StoreError::Gone { .. }) = shared.store.check() {
            return Err(error.into());
        }
        shared.counters.duplicates.fetch_add(prepared.len() as u64, Ordering::Relaxed);
        prepared.iter().for_each(|event| event.was_taken_in(shared, true));
        return Ok(prepared.into_iter().map(|event| Accepted { id: event.id, duplicate: true, runs: Vec::new() }).collect());
    }
    let batch = batch_of(&mut prepared, connection, cursor.clone(), book)?;
    let ids: Vec<String> = prepared.iter().map(|event| event.id.clone()).collect();
    let after = follow(shared, connection, prepared, cursor, received);
    Ok(match shared.store.take_in(batch, hold, after).await? {
        TakenIn::Applied(accepted) => accepted,
        // What they start begins when the store has sorted them in.
        TakenIn::Durable => ids.into_iter().map(|id| Accepted { id, duplicate: false, runs: Vec::new() }).collect(),
    })
}

/// What is done when the store has decided about events. A sender that goes away does not part the one from the other.
fn follow(
    shared: &Arc<Shared>,
    connection: &str,
    mut prepared: Vec<Prepared>,
    cursor: Option<(String, Cursor)>,
    received: Received,
) -> After {
    prepared.iter_mut().for_each(Prepared::lighten);
    let begins = prepared.iter().flat_map(|event| &event.jobs).map(Vec::len).sum();
    let arriving = Arriving::new(&shared.arriving, begins);
    let connection = connection.to_owned();
    // The engine may be gone when the store comes to it: then the next start finds the runs.
    let shared = Arc::downgrade(shared);
    Box::new(move |accepted| {
        let (_arriving, _received) = (arriving, received);
        let Some(shared) = shared.upgrade() else { return Ok(Vec::new()) };
        let accepted = accepted.inspect_err(|_| {
            // The commit may have reached the disk although it failed: then its runs are found there, and runs wait for its
            // events; whoever sends them once more is told that they are known.
            shared.offers.store(true, Ordering::SeqCst);
            shared.rescan.store(true, Ordering::SeqCst);
            shared.touch();
        })?;
        if let Some((source, cursor)) = cursor {
            locked(&shared.cursors).insert((connection, source), cursor);
        }
        // Who is known by now and was not before may have been written by a commit that is said to have failed, and was tried
        // again since: its runs are there, and nobody was told of them.
        let unknown = prepared.iter().zip(&accepted).any(|(event, done)| done.duplicate && !event.jobs.is_empty());
        let settled = settle(&shared, prepared, accepted);
        if unknown {
            shared.offers.store(true, Ordering::SeqCst);
            shared.rescan.store(true, Ordering::SeqCst);
            shared.touch();
        }
        Ok(settled)
    })
}

/// Runs that are on their way into the queue.
struct Arriving(Arc<AtomicUsize>, usize);

impl Arriving {
    fn new(all: &Arc<AtomicUsize>, count: usize) -> Self {
        all.fetch_add(count, Ordering::SeqCst);
        Self(Arc::clone(all), count)
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::SeqCst);
    }
}

/// Returns what is written for events. What they start goes with it: the jobs have what is needed of that afterwards.
pub(super) fn batch_of(
    prepared: &mut [Prepared],
    connection: &str,
    cursor: Option<(String, Cursor)>,
    mut book: Vec<BookChange>,
) -> Result<AcceptBatch, StoreError> {
    for event in prepared.iter().flat_map(|event| event.follows.iter().chain([event])) {
        for key in &event.ends {
            book.push(clock::silence_ended(key, event.new.event.received_at)?);
        }
    }
    Ok(AcceptBatch {
        plans: plans_of(prepared),
        events: prepared.iter_mut().map(Prepared::record).collect(),
        cursor: cursor.map(|(source, cursor)| (connection.to_owned(), source, cursor)),
        book,
        meters: Vec::new(),
    })
}

/// Gives the runs of events that are durable their turns.
pub(super) fn settle(shared: &Shared, prepared: Vec<Prepared>, accepted: Vec<AcceptedEvent>) -> Vec<Accepted> {
    let mut results = Vec::with_capacity(accepted.len());
    let mut ready = Vec::new();
    let mut followed = Vec::new();
    for (event, accepted) in prepared.into_iter().zip(accepted) {
        let counter = if accepted.duplicate { &shared.counters.duplicates } else { &shared.counters.events };
        counter.fetch_add(1, Ordering::Relaxed);
        event.was_taken_in(shared, accepted.duplicate);
        let received_at = event.new.event.received_at;
        shared.numbered(accepted.seq);
        if !event.unknown.is_empty() {
            causes::heard_early(shared, event.unknown, accepted.seq, received_at);
        }
        for (flow, reason) in &accepted.paused {
            shared.was_paused_by_itself(flow, reason, received_at);
        }
        if !event.new.event.misfits.is_empty() && !accepted.duplicate {
            shared.counters.misfits.fetch_add(1, Ordering::Relaxed);
        }
        for misfit in &accepted.raised {
            alarm::log_misfit(&event.new.event, misfit);
        }
        if accepted.notices {
            shared.clockwork.wake(shared);
        }
        shared.clockwork.heard(shared, &event.ends, received_at);
        let mut runs = Vec::new();
        for (jobs, admissions) in event.jobs.into_iter().zip(accepted.admissions) {
            for (mut job, admission) in jobs.into_iter().zip(admissions) {
                job.run.number(accepted.seq);
                admitted(shared, job, admission, received_at, &mut runs, &mut ready);
            }
        }
        followed
            .extend(event.follows.into_iter().zip(accepted.followed).filter_map(|(event, accepted)| Some((event, accepted?))));
        if accepted.awaited {
            shared.offers.store(true, Ordering::SeqCst);
            shared.touch();
        }
        results.push(Accepted { id: event.id, duplicate: accepted.duplicate, runs });
    }
    if !ready.is_empty() {
        shared.counters.runs.fetch_add(ready.len() as u64, Ordering::Relaxed);
        crate::executor::enqueue(shared, ready);
    }
    if !followed.is_empty() {
        let (events, accepted) = followed.into_iter().unzip();
        settle(shared, events, accepted);
    }
    results
}

/// Does what an admission asks for.
pub(super) fn admitted(
    shared: &Shared,
    mut job: Job,
    admission: Admission,
    received_at: Timestamp,
    runs: &mut Vec<String>,
    ready: &mut Vec<Job>,
) {
    let (run, flow) = (job.run.id().to_owned(), job.flow.id.clone());
    match admission {
        Admission::Started { seq, cancelled } => {
            shared.was_superseded(cancelled.as_deref(), &run);
            job.seq = seq;
            runs.push(run);
            ready.push(job);
        }
        Admission::Held { until, cancelled } => {
            shared.was_superseded(cancelled.as_deref(), &run);
            tracing::debug!(flow, run, until = until.map(|until| until.to_string()), "run is held back");
            if let Some(until) = until {
                shared.queue().timer_at(until);
                shared.touch();
            }
            shared.counters.runs.fetch_add(1, Ordering::Relaxed);
            runs.push(run);
        }
        Admission::Dropped(reason) => tracing::debug!(flow, reason, "the event does not start the flow"),
        Admission::Paused(reason) | Admission::Flooded(reason) => {
            shared.was_paused_by_itself(&flow, &reason, received_at);
        }
    }
}

fn refused(error: &StoreError) -> AcceptError {
    AcceptError::Store(error.to_string())
}

/// Reads and matches one event.
pub(super) fn prepare(
    shared: &Shared,
    current: &Current,
    connection: &str,
    mut incoming: Incoming,
    received_at: Timestamp,
) -> Result<Prepared, AcceptError> {
    let live = current.live.connections.get(connection);
    let source = live.and_then(|live| live.plan.sources.iter().find(|source| source.name == incoming.source));
    let source = source.map(|source| &**source);
    let is_of_type = |types: &Vec<String>| {
        types.is_empty() || incoming.event_type.as_ref().is_some_and(|event_type| types.contains(event_type))
    };
    let triggers: Vec<String> = source
        .map(|source| source.triggers.iter().filter(|(_, types)| is_of_type(types)).map(|(name, _)| name.clone()).collect())
        .unwrap_or_default();
    // A payload that nobody listens to is validated all the same, so that what is kept can be read.
    let nobody = OnceCell::new();
    let group = current.matcher.group_of(connection, &incoming.source, incoming.event_type.as_deref());
    let group = group.unwrap_or_else(|| nobody.get_or_init(|| Arc::new(Group::default())));
    let triggers: Vec<String> = match &incoming.only_trigger {
        // What the clock makes is no event of the connector's.
        Some(only) if incoming.via == Via::Clock => vec![only.clone()],
        Some(only) => triggers.into_iter().filter(|name| name == only).collect(),
        None => triggers,
    };
    let about = About::of(incoming.via, incoming.event_type.as_deref(), &incoming.payload);
    let mut cause = about.as_ref().and_then(|about| about.run.clone());
    let mut unknown = Vec::new();
    if incoming.origin == Origin::External {
        match causes::cause(shared, connection, source, &triggers, &incoming, received_at) {
            Cause::Run(depth, run) => {
                incoming.origin = Origin::Flow;
                incoming.depth = incoming.depth.max(depth);
                cause = run;
            }
            Cause::Other(ids) => unknown = ids,
        }
    }
    let known = known_event(shared, connection, &incoming.id).map_err(|error| refused(&error))?;
    let nothing_new = known.as_ref().is_some_and(|known| triggers.iter().all(|trigger| known.triggers.contains(trigger)));
    let head = EventHead {
        seq: known.as_ref().map_or(NO_NUMBER, |known| known.seq),
        id: incoming.id.clone(),
        connection: connection.to_owned(),
        event_type: incoming.event_type.clone(),
        occurred_at: incoming.occurred_at,
        signed_at: incoming.signed_at,
        received_at,
        via: incoming.via,
        origin: incoming.origin,
        depth: incoming.depth,
    };
    if nothing_new {
        unknown = Vec::new();
    }
    let payload = group.read(&incoming.payload).map_err(|error| AcceptError::Malformed(error.to_string()))?;
    let no_settings = BTreeMap::new();
    let settings = live.map_or(&no_settings, |live| &live.plan.settings);
    let mut starts = Vec::new();
    let mut jobs = Vec::new();
    let mut ends = Vec::new();
    let mut follows = Vec::new();
    let mut missed = Vec::new();
    let mut misfits = Vec::new();
    if !nothing_new {
        ends = payload.watched(&head, settings);
        misfits = payload.misfits(&head, settings, incoming.only_trigger.as_deref());
        let before = match &known {
            Some(known) => flows_of(shared, known.seq).map_err(|error| refused(&error))?,
            None => Vec::new(),
        };
        let skip =
            |flow: &str| about.as_ref().is_some_and(|about| about.flow == flow) || before.iter().any(|known| known == flow);
        for mut start in payload.starts(&head, settings, incoming.only_trigger.as_deref(), &skip) {
            missed.extend(take_missed(shared, &head, &mut start));
            let live = Beginning { at: head.received_at, replay: None };
            let (start, started) = begin(shared, current, &head, start, live, &mut follows)?;
            starts.push(start);
            jobs.push(started);
        }
    }
    let event = StoredEvent {
        seq: head.seq,
        id: incoming.id.clone(),
        connection: connection.to_owned(),
        source: incoming.source,
        event_type: incoming.event_type,
        triggers,
        occurred_at: incoming.occurred_at,
        signed_at: incoming.signed_at,
        received_at,
        via: incoming.via,
        origin: incoming.origin,
        depth: incoming.depth,
        cause,
        misfits,
        payload: incoming.payload,
    };
    let death_of = about.filter(|about| about.is_one_death).map(|about| about.flow);
    let new = NewEvent { event, starts, missed, death_of };
    Ok(Prepared { id: incoming.id, new, jobs, known: nothing_new, ends, follows, unknown })
}

/// The flow that an event of the engine's own is about: it does not hear of itself.
pub(crate) fn about(via: Via, payload: &[u8]) -> Option<String> {
    About::of(via, None, payload).map(|about| about.flow)
}

/// Takes the flows out of a start that are not to begin: those that are paused, and all where flows cause each other's
/// events too deep.
fn take_missed(shared: &Shared, event: &EventHead, start: &mut MatchedStart) -> Vec<Missed> {
    let loops = event.depth > DEEPEST;
    let paused = |flow: &str| shared.paused_since(flow).is_some();
    let kept = |matched: &MatchedFlow| loops || paused(&matched.flow.id);
    if !start.flows.iter().any(kept) {
        return Vec::new();
    }
    let (missed, begins) = std::mem::take(&mut start.flows).into_iter().partition::<Vec<_>, _>(kept);
    start.flows = begins;
    let miss = |matched: MatchedFlow| {
        let pauses = loops && !paused(&matched.flow.id);
        let why = if pauses {
            format!("{LOOPS} {} runs stand behind this one, and the daemon goes no deeper", event.depth)
        } else {
            WAS_PAUSED.to_owned()
        };
        Missed { flow: matched.flow.id.clone(), why, pauses }
    };
    missed.into_iter().map(miss).collect()
}

/// What an event of the engine's own is about.
struct About {
    /// The flow: it does not hear of itself.
    flow: String,
    /// The run.
    run: Option<String>,
    /// It is the death of one run, and no more.
    is_one_death: bool,
}

impl About {
    fn of(via: Via, event_type: Option<&str>, payload: &[u8]) -> Option<Self> {
        if via != Via::Engine {
            return None;
        }
        let payload: serde_json::Value = crate::json::read(payload).ok()?;
        let data = payload.get("data")?;
        let text = |name: &str| data.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
        let is_one_death = event_type == Some("dead") && data.get("runs").is_none();
        Some(Self { flow: text("flow")?, run: text("run"), is_one_death })
    }
}

fn known_event(shared: &Shared, connection: &str, id: &str) -> Result<Option<StoredEvent>, StoreError> {
    match shared.store.event_seq(connection, id)? {
        Some(seq) => shared.store.event(seq),
        None => Ok(None),
    }
}

/// The flows that an event has started, or that their limits kept from it: they do not start again for another of its triggers.
fn flows_of(shared: &Shared, event: u64) -> Result<Vec<String>, StoreError> {
    let mut flows = Vec::new();
    for run in shared.store.runs_of_event(event)? {
        flows.extend(shared.store.run(&run)?.map(|head| head.flow));
    }
    flows.extend(shared.store.drops(event)?.into_iter().map(|(flow, _)| flow));
    Ok(flows)
}

/// How the runs of a start begin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beginning {
    /// When.
    pub(super) at: Timestamp,
    /// The number of the replay, where it is one.
    pub(super) replay: Option<u32>,
}

/// Begins the runs of a start: pure, so a start that turns out to be known leaves nothing behind.
pub(super) fn begin(
    shared: &Shared,
    current: &Current,
    event: &EventHead,
    start: MatchedStart,
    Beginning { at, replay }: Beginning,
    follows: &mut Vec<Prepared>,
) -> Result<(NewStart, Vec<Job>), AcceptError> {
    let key = key::start_key(&event.connection, &start.identity, &start.key);
    let mut runs = Vec::with_capacity(start.flows.len());
    let mut jobs = Vec::with_capacity(start.flows.len());
    for MatchedFlow { flow, slots, raw, misfit } in start.flows {
        let number = replay.unwrap_or(0);
        let id = key::run_id(&flow.id, &event.connection, &start.identity, &start.key, number);
        let trigger = start.trigger.clone();
        let (replayed, event) = (replay.is_some(), event.clone());
        let began = Start { run: id, replay: number, replayed, event, trigger, slots, raw, misfit, held: None };
        // What does not fit has no keys. It is dead from the start, which is never dropped.
        let limited = if began.misfit.is_some() { None } else { Limited::of(&flow, &began, at) };
        let entry = Entry::new(at, What::Started(Box::new(began)));
        let mut run = Run::default();
        apply(&flow, &mut run, &entry);
        let (head, tally) = (head_of(&flow, &run, NO_NUMBER), flow.limits.expect.as_ref().map(|expect| expect.count));
        let job = Job::new(flow, run, NO_NUMBER);
        let mut of_run = Vec::new();
        for (from, report) in announce::of_start(shared, &job, at) {
            let report = prepare(shared, current, announce::FLOW, report, at)?;
            of_run.push(Follows { from, event: report.new.clone() });
            follows.push(report);
        }
        // Whoever replays has asked for it.
        let flood = if replayed { None } else { flood_of(shared, &job.flow) };
        runs.push(NewRun { head, entries: vec![entry], limited, tally, flood, follows: of_run });
        jobs.push(job);
    }
    Ok((NewStart { trigger: start.trigger, key, runs }, jobs))
}

/// How often a flow may start in an hour. One that says itself how often is taken at its word.
pub(crate) fn flood_of(shared: &Shared, flow: &Flow) -> Option<u32> {
    let says_itself = flow.limits.at_most.iter().any(|limit| limit.per.is_empty());
    Some(shared.flood.load(Ordering::Relaxed)).filter(|most| *most > 0 && !says_itself)
}

/// Returns the plans of all that may begin: which of them are in the store already the store knows.
fn plans_of(prepared: &[Prepared]) -> Vec<Arc<Flow>> {
    plans_with([], prepared)
}

/// As [`plans_of`], for runs that are to begin as well.
pub(super) fn plans_with<'a>(
    jobs: impl IntoIterator<Item = &'a Job>,
    prepared: impl IntoIterator<Item = &'a Prepared>,
) -> Vec<Arc<Flow>> {
    let mut plans: Vec<Arc<Flow>> = Vec::new();
    let all = prepared.into_iter().flat_map(|event| event.follows.iter().chain([event]));
    for job in jobs.into_iter().chain(all.flat_map(|event| event.jobs.iter().flatten())) {
        if !plans.iter().any(|plan| plan.hash == job.flow.hash) {
            plans.push(Arc::clone(&job.flow));
        }
    }
    plans
}
