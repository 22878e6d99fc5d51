//! The engine: events in, runs performed, everything kept.
//!
//! A cheap handle over one shared state. What comes in goes through [`Engine::accept`], which answers when it is durable;
//! what has to be done is done by the executor behind it.

mod accept;
mod announce;
mod causes;
mod control;
mod held;
mod history;
mod moving;
mod pass;
mod present;
mod queries;
mod remembered;
mod replay;
mod settled;
mod versions;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use flow_plan::Flow;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::clock::{self, Clockwork};
use crate::delivered::Delivered;
use crate::event::Cursor;
use crate::executor::{self, Queue};
use crate::live::Live;
use crate::matcher::Matcher;
use crate::store::{AcceptBatch, Store, StoreError};
use crate::why::Pauses;
use crate::world::World;

pub use crate::connection::{CircuitState, ConnectionState, PartState, QuotaState, RateState, TokenState};
pub(crate) use accept::{Refused, about, flood_of, take_in};
pub(crate) use announce::{
    Announcement, Before as BeforeEntry, DEEPEST, FLOW, announce_notice, announce_silence, events_of, expectation, update,
};
pub(crate) use causes::{Touched, UnderWay, changes as changes_of_causes, touched, turned_out};
pub use control::{CancelOutcome, DismissOutcome, Resumed, RetryOutcome};
pub(crate) use history::{AtTheTime, Was};
pub use moving::{MoveOutcome, MovedTo};
pub(crate) use pass::{Pass, Withheld};
pub(crate) use present::WRITTEN;
pub use queries::Stats;
pub(crate) use remembered::way;
pub use replay::ReplayError;
pub use versions::{OnVersion, OnVersions};

/// How the engine works.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// At most so many steps are performed at once.
    pub concurrency: usize,
    /// How long events and finished runs are kept.
    pub retain: Duration,
    /// At most so many runs wait for their turn in memory; beyond, events are refused.
    pub queue: usize,
    /// How long a step may wait for its answer.
    pub timeout: Duration,
    /// Answers beyond so many bytes are cut off.
    pub max_answer: usize,
    /// A flow that starts so often in an hour is flooded, and paused; 0 where none ever is.
    pub flood: u32,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            concurrency: 64,
            retain: Duration::from_secs(30 * 86_400),
            queue: 10_000,
            timeout: Duration::from_secs(30),
            max_answer: 8 * 1024 * 1024,
            flood: 1_000,
        }
    }
}

/// How long it may take to sort in what is promised when the engine stops.
const SORTING: Duration = Duration::from_secs(5);

/// So many pauses of a flow that are over are remembered.
const MOST_PAUSES: usize = 64;

/// A handle of the engine.
#[derive(Clone)]
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

/// What is live, with what is computed from it: swapped as one.
pub(crate) struct Current {
    pub(crate) live: Arc<Live>,
    pub(crate) matcher: Arc<Matcher>,
    /// A flow of it has a dangerous step.
    pub(crate) dangerous: bool,
}

impl Current {
    fn new(live: Live, before: Option<&Matcher>) -> Self {
        let matcher = Arc::new(Matcher::build(&live, before));
        let dangerous = live.flows.iter().any(|flow| flow.dangerous().is_some());
        Self { live: Arc::new(live), matcher, dangerous }
    }
}

/// What all handles share.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) world: World,
    pub(crate) options: EngineOptions,
    /// Which time it is, as far as what is dangerous may rely on it, and what is from before.
    pub(crate) present: present::Present,
    current: RwLock<Arc<Current>>,
    queue: Mutex<Queue>,
    /// So many runs are on their way into the queue.
    arriving: Arc<AtomicUsize>,
    /// What starts flows without an event from outside.
    pub(crate) clockwork: Clockwork,
    /// What queries told lately.
    pub(crate) readings: crate::reading::Readings,
    /// What was said of flows in the log a moment ago.
    pub(crate) said: Mutex<crate::alarm::Said>,
    /// What our own actions touched a moment ago.
    pub(crate) causes: Mutex<causes::Causes>,
    /// How many actions are under way that may cause events.
    pub(crate) causing: AtomicUsize,
    /// Something changed that the executor may have waited for.
    pub(crate) changed: Notify,
    /// The executor has nothing to do until an instant to come.
    pub(crate) settled: settled::Settled,
    pub(crate) stopping: AtomicBool,
    /// A write failed: runs may be in the store that nobody performs.
    pub(crate) rescan: AtomicBool,
    /// How often a flow may start in an hour; 0 for any number.
    flood: AtomicU32,
    /// There may be events in the store that are to be offered to runs that wait.
    pub(crate) offers: AtomicBool,
    plans: Mutex<HashMap<String, Arc<Flow>>>,
    paused: RwLock<HashMap<String, Timestamp>>,
    /// What came for each connection lately: for `why`.
    pub(crate) delivered: Delivered,
    versions: Mutex<history::Versions>,
    /// By flow, from and until: for `why`.
    past_pauses: Mutex<HashMap<String, VecDeque<(Timestamp, Timestamp)>>>,
    /// By connection and source.
    cursors: Mutex<HashMap<(String, String), Cursor>>,
    /// The highest number of an event that was heard of.
    events: AtomicU64,
    pub(crate) counters: queries::Counters,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    pub(crate) steps: Mutex<tokio::task::JoinSet<()>>,
}

impl Engine {
    /// Starts the engine: runs that had not ended go on, under the plan they began with.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn start(store: Arc<dyn Store>, live: Live, world: World, options: EngineOptions) -> Result<Self, StoreError> {
        let (events, runs) = store.last_numbers()?;
        let paused = store.paused()?.into_iter().collect();
        let cursors = store.cursors()?.into_iter().map(|(connection, source, cursor)| ((connection, source), cursor)).collect();
        let present = present::Present::load(&*store, world.clock.look(), events)?;
        let delivered = Delivered::load(&*store)?;
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue::new(options.concurrency)),
            flood: AtomicU32::new(options.flood),
            arriving: Arc::default(),
            clockwork: Clockwork::default(),
            readings: crate::reading::Readings::default(),
            said: Mutex::default(),
            causing: AtomicUsize::new(0),
            causes: Mutex::new(causes::load(&*store)?),
            store,
            world,
            options,
            present,
            current: RwLock::new(Arc::new(Current::new(live, None))),
            changed: Notify::new(),
            settled: settled::Settled::default(),
            stopping: AtomicBool::new(false),
            rescan: AtomicBool::new(false),
            offers: AtomicBool::new(true),
            plans: Mutex::default(),
            paused: RwLock::new(paused),
            delivered,
            versions: Mutex::default(),
            past_pauses: Mutex::default(),
            cursors: Mutex::new(cursors),
            events: AtomicU64::new(events),
            counters: queries::Counters::default(),
            tasks: Mutex::default(),
            steps: Mutex::default(),
        });
        {
            let now = shared.world.clock.now();
            let fresh = (events, runs) == (0, 0) && locked(&shared.cursors).is_empty();
            let rows = shared.store.meters()?;
            shared.queue().recall(&rows, &shared.current().live, fresh && rows.is_empty(), now);
        }
        shared.load_versions()?;
        executor::recover_all(&shared)?;
        // Before the first look nothing is settled.
        shared.queue().clock_works = true;
        let tasks = vec![
            tokio::spawn(executor::run(Arc::clone(&shared))),
            tokio::spawn(executor::retain(Arc::clone(&shared))),
            tokio::spawn(clock::run(Arc::clone(&shared))),
        ];
        *locked(&shared.tasks) = tasks;
        Ok(Self { shared })
    }

    /// Returns what is live.
    pub fn live(&self) -> Arc<Live> {
        Arc::clone(&self.shared.current().live)
    }

    /// Puts another version live, in one swap. Runs in flight keep the plan they began with; connections that were broken
    /// are tried again, since the swap may have mended them.
    pub fn swap(&self, live: Live) {
        let before = self.shared.current();
        let current = Arc::new(Current::new(live, Some(&before.matcher)));
        *self.shared.current.write().unwrap_or_else(PoisonError::into_inner) = current;
        self.shared.queue().configure(&self.shared.current().live, self.shared.world.clock.now());
        self.shared.touch();
        self.shared.readings.clear();
        self.shared.clockwork.swapped(&self.shared);
    }

    /// Returns what the clock shows.
    pub(crate) fn now(&self) -> Timestamp {
        self.shared.world.clock.now()
    }

    /// From now on a flow that starts more often than `most` times in an hour is paused; 0 for none.
    pub fn set_flood(&self, most: u32) {
        self.shared.flood.store(most, Ordering::Relaxed);
    }

    /// Has a state read now, because something says that it changed. Returns whether a live flow waits for it.
    pub fn observe(&self, connection: &str, state: &str) -> bool {
        clock::observe(&self.shared, connection, state)
    }

    /// Returns how far a source has been read; `None` before its first poll. Cursors are few, so all are in memory.
    pub fn cursor(&self, connection: &str, source: &str) -> Option<Cursor> {
        locked(&self.shared.cursors).get(&(connection.to_owned(), source.to_owned())).cloned()
    }

    /// Stops: nothing new is taken in or begun; steps in flight end within `bound` or stay as an intent, which the next
    /// start goes on from.
    pub async fn stop(&self, bound: Duration) {
        let shared = &self.shared;
        shared.stopping.store(true, Ordering::SeqCst);
        shared.touch();
        let clock = Arc::clone(&shared.world.clock);
        let until = clock.now().checked_add(bound).unwrap_or(Timestamp::MAX);
        let drained = async {
            loop {
                let told = shared.settled.told();
                if shared.queue().in_flight() == 0 {
                    return;
                }
                told.await;
            }
        };
        tokio::select! {
            biased;
            () = drained => {}
            () = clock.sleep_until(until) => {
                tracing::warn!(steps = shared.queue().in_flight(), "stopped with steps in flight; the next start goes on from their intent");
            }
        }
        // What is promised is sorted in, where the disk lets it; otherwise the next start does that.
        if !shared.catch_up(SORTING).await {
            tracing::warn!("stopped before all accepted events were sorted into the store; the next start goes on with that");
        }
        // Nothing writes to the store any more when this returns.
        let tasks = std::mem::take(&mut *locked(&shared.tasks));
        tasks.iter().for_each(JoinHandle::abort);
        for task in tasks {
            // It was aborted, which is all that its result says.
            drop(task.await);
        }
        let mut steps = std::mem::take(&mut *locked(&shared.steps));
        steps.shutdown().await;
        let meters = shared.queue().take_back();
        if !meters.is_empty()
            && let Err(error) = shared.store.update_and_accept(Vec::new(), AcceptBatch { meters, ..AcceptBatch::default() }).await
        {
            tracing::debug!(%error, "calls that were counted ahead stay counted");
        }
        if shared.current().dangerous {
            shared.look();
            if let Err(error) = shared.write_latest(true).await {
                tracing::debug!(%error, "the latest time that was seen could not be written");
            }
        }
        if let Err(error) = shared.write_kept().await {
            tracing::debug!(%error, "by what time things are kept could not be written");
        }
        if let Err(error) = clock::live_until(shared, clock.now()).await {
            tracing::debug!(%error, "when the daemon stopped could not be written");
        }
    }

    /// Returns when nothing is left to do until an instant to come: for tests with a clock of their own.
    pub async fn settled(&self) {
        // What cannot be sorted in now starts nothing now.
        drop(self.shared.store.caught_up().await);
        self.shared.settled.wait().await;
    }
}

impl Shared {
    pub(crate) fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn queue(&self) -> MutexGuard<'_, Queue> {
        locked(&self.queue)
    }

    /// Returns when the store has sorted in what was accepted before, or after so long. Tells whether it has.
    pub(crate) async fn catch_up(&self, longest: Duration) -> bool {
        let until = self.world.clock.now().checked_add(longest).unwrap_or(Timestamp::MAX);
        tokio::select! {
            biased;
            caught_up = self.store.caught_up() => caught_up.is_ok(),
            () = self.world.clock.sleep_until(until) => false,
        }
    }

    /// Tells whether as many runs wait for their turn as may.
    pub(crate) fn is_full(&self) -> bool {
        let queued = self.queue().queued();
        queued + self.arriving.load(Ordering::SeqCst) >= self.options.queue
    }

    /// Tells the executor that something changed.
    pub(crate) fn touch(&self) {
        let queue = self.queue();
        self.settled.tell(false);
        drop(queue);
        self.changed.notify_one();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Tells since when a flow is paused.
    pub(crate) fn paused_since(&self, flow: &str) -> Option<Timestamp> {
        self.paused.read().unwrap_or_else(PoisonError::into_inner).get(flow).copied()
    }

    pub(crate) fn pauses(&self, flow: &str) -> Pauses {
        let since = self.paused_since(flow);
        let over = locked(&self.past_pauses).get(flow).map(|past| past.iter().copied().collect()).unwrap_or_default();
        Pauses { since, over }
    }

    /// Remembers a pause that is over.
    pub(crate) fn was_paused(&self, flow: &str, from: Timestamp, until: Timestamp) {
        let mut past = locked(&self.past_pauses);
        let pauses = past.entry(flow.to_owned()).or_default();
        pauses.push_back((from, until));
        if pauses.len() > MOST_PAUSES {
            pauses.pop_front();
        }
    }

    /// Notes the number that the store gave an event.
    pub(crate) fn numbered(&self, event: u64) {
        self.events.fetch_max(event, Ordering::SeqCst);
    }

    /// Returns the highest number of an event that the store has sorted in, as far as it was heard of.
    pub(crate) fn last_event(&self) -> u64 {
        self.events.load(Ordering::SeqCst)
    }

    /// Returns a plan by its hash: one that is live, or one that a run began with.
    pub(crate) fn plan(&self, flow: &str, hash: &str) -> Result<Arc<Flow>, StoreError> {
        if let Some(live) = self.current().matcher.flow(flow).filter(|live| live.hash == hash) {
            return Ok(Arc::clone(live));
        }
        if let Some(plan) = locked(&self.plans).get(hash) {
            return Ok(Arc::clone(plan));
        }
        let plan = self.store.plan(hash)?.ok_or_else(|| StoreError::Corrupted(format!("the plan {hash} is gone")))?;
        let mut plans = locked(&self.plans);
        // Old plans are few; should they not be, they are read again.
        if plans.len() > 1000 {
            plans.clear();
        }
        plans.insert(hash.to_owned(), Arc::clone(&plan));
        Ok(plan)
    }
}

/// Locks a mutex. What a panic left behind is still whole: nothing here is changed in two steps.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
