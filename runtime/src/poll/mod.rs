//! Polls: one task for each connection and source that live flows draw from.
//!
//! The recipe is made for services that list late, out of order and twice: ask again for what was just before (the
//! overlap stands in the connector's request), take all pages, drop what is known, sort, hand over oldest first, and
//! commit events and cursor together. A page that fails moves nothing.

mod change;
mod fetch;
mod items;
mod task;
mod told;

pub(crate) use fetch::heard;
pub(crate) use items::{joined, number};
pub(crate) use task::later;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flow_plan::Source;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::engine::Engine;
use crate::event::{Gap, LeftOut};
use crate::listen::Listeners;
use crate::live::{Live, LiveConnection};
use crate::turns::turn;
use crate::world::World;

/// Which poll: connection and source.
type Key = (String, String);

/// All polls of a daemon.
#[derive(Debug)]
pub(crate) struct Polls {
    engine: Engine,
    world: World,
    running: Mutex<BTreeMap<Key, Running>>,
    board: Board,
    listeners: Listeners,
}

#[derive(Debug)]
struct Running {
    spec: watch::Sender<Arc<Spec>>,
    task: JoinHandle<()>,
}

/// What a task polls.
#[derive(Debug)]
pub(crate) struct Spec {
    pub(crate) connection: Arc<LiveConnection>,
    pub(crate) source: Arc<Source>,
    /// The event types that live flows use; empty where the source has none.
    pub(crate) types: BTreeSet<String>,
    /// Since when a live flow wants each type; "" stands for all where the source has none.
    pub(crate) since: BTreeMap<String, Timestamp>,
    /// The same of types that are wanted no more, and since when they are not.
    pub(crate) left: BTreeMap<String, (Timestamp, Timestamp)>,
    pub(crate) every: Duration,
}

/// How a poll is doing.
#[derive(Debug, Clone, Default)]
pub(crate) struct PollStatus {
    /// When the last poll succeeded.
    pub(crate) polled_at: Option<Timestamp>,
    /// The newest instant read.
    pub(crate) watermark: Option<Timestamp>,
    /// Why the last poll failed.
    pub(crate) error: Option<String>,
    /// Since when all polls failed.
    pub(crate) failing_since: Option<Timestamp>,
    /// The credentials do not work.
    pub(crate) broken: bool,
    /// When it polls next.
    pub(crate) next_at: Option<Timestamp>,
    /// Events of this time are lost: the service no longer lists it.
    pub(crate) gap: Option<Gap>,
    /// Events handed over since the start.
    pub(crate) events: u64,
    /// Items that cannot be read.
    pub(crate) left_out: Option<LeftOut>,
}

/// Where the tasks write how they are doing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Board(Arc<Mutex<BTreeMap<Key, PollStatus>>>);

impl Board {
    pub(crate) fn update(&self, key: &Key, change: impl FnOnce(&mut PollStatus)) {
        change(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key.clone()).or_default());
    }

    pub(crate) fn remove(&self, key: &Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

impl Polls {
    /// Returns the polls, none of which runs yet.
    pub(crate) fn new(engine: Engine, world: World) -> Self {
        let board = Board::default();
        let listeners = Listeners::new(engine.clone(), world.clone(), board.clone());
        Self { engine, world, running: Mutex::default(), board, listeners }
    }

    /// Starts, changes and ends tasks, so that they are those of the plan.
    pub(crate) fn swap(&self, live: &Live) {
        self.listeners.swap(live);
        let now = self.world.clock.now();
        let mut wanted = specs(live, now);
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|key, poll| {
            let Some(mut spec) = wanted.remove(key) else {
                poll.task.abort();
                self.board.remove(key);
                return false;
            };
            // A task is only woken by what concerns it.
            poll.spec.send_if_modified(|known| {
                let changed = !same(known, &spec);
                spec.remember(known, now);
                *known = Arc::new(spec);
                changed
            });
            true
        });
        // What one connection polls shares what it reads, and begins together.
        let connections: BTreeSet<String> = wanted.keys().map(|(connection, _)| connection.clone()).collect();
        let places: HashMap<&str, usize> = connections.iter().zip(0..).map(|(name, place)| (name.as_str(), place)).collect();
        for (key, spec) in wanted {
            let place = places.get(key.0.as_str()).copied().unwrap_or_default();
            let begins_at = later(now, turn(place, places.len(), spec.every));
            let (sender, receiver) = watch::channel(Arc::new(spec));
            let (engine, world, board) = (self.engine.clone(), self.world.clone(), self.board.clone());
            let task = task::run(key.clone(), receiver, engine, world, board, begins_at);
            running.insert(key, Running { spec: sender, task: tokio::spawn(task) });
        }
    }

    /// Ends all tasks. What was not yet committed will be polled again.
    pub(crate) async fn stop(&self) {
        self.listeners.stop().await;
        let running = std::mem::take(&mut *self.running.lock().unwrap_or_else(PoisonError::into_inner));
        for poll in running.values() {
            poll.task.abort();
        }
        for poll in running.into_values() {
            // An error says that it was ended, which is what was asked for.
            drop(poll.task.await);
        }
    }

    /// Returns how each poll is doing, by connection and source.
    pub(crate) fn status(&self) -> BTreeMap<Key, PollStatus> {
        self.board.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Returns what is polled under a plan, with the event types that live flows use and how often.
pub(crate) fn polled(live: &Live, now: Timestamp) -> BTreeMap<Key, (BTreeSet<String>, Duration)> {
    specs(live, now).into_iter().map(|(key, spec)| (key, (spec.types, spec.every))).collect()
}

/// Returns what is polled under a plan: sources with a poll from which a live flow draws.
fn specs(live: &Live, now: Timestamp) -> BTreeMap<Key, Spec> {
    let mut specs: BTreeMap<Key, Spec> = BTreeMap::new();
    for trigger in live.listens_to() {
        let Some(connection) = live.connections.get(&trigger.connection).filter(|connection| connection.polls) else { continue };
        let Some(source) = connection.plan.sources.iter().find(|source| source.name == trigger.source) else { continue };
        let Some(poll) = &source.poll else { continue };
        let every = connection.poll_every.unwrap_or(Duration::from_millis(poll.every_ms)).max(SHORTEST);
        let key = (trigger.connection.clone(), trigger.source.clone());
        let spec = specs.entry(key).or_insert_with(|| Spec {
            connection: Arc::clone(connection),
            source: Arc::clone(source),
            types: BTreeSet::new(),
            since: BTreeMap::new(),
            left: BTreeMap::new(),
            every,
        });
        spec.types.extend(trigger.types.iter().cloned());
    }
    for spec in specs.values_mut() {
        let all = spec.types.is_empty().then(String::new);
        spec.since = spec.types.iter().cloned().chain(all).map(|name| (name, now)).collect();
    }
    specs
}

/// A type that is wanted again within this time was wanted all along: somebody took an edit back. Later it begins anew,
/// since no new flow may act on what is long past.
const TAKEN_BACK: SignedDuration = SignedDuration::from_hours(1);

impl Spec {
    /// Several records may be one event.
    fn collapses(&self) -> bool {
        self.source.envelope.codes.as_ref().is_some_and(|codes| codes.collapse)
    }

    /// Takes over what was known before about the types that are wanted, and that were a moment ago.
    fn remember(&mut self, known: &Self, now: Timestamp) {
        self.left = known.left.clone();
        self.left.extend(known.since.iter().map(|(name, since)| (name.clone(), (*since, now))));
        self.left.retain(|_, (_, at)| now.duration_since(*at) <= TAKEN_BACK);
        for (name, since) in &mut self.since {
            if let Some((known, _)) = self.left.remove(name) {
                *since = known;
            }
        }
    }
}

/// No interval is shorter.
const SHORTEST: Duration = Duration::from_millis(100);

fn same(one: &Spec, other: &Spec) -> bool {
    let secrets =
        |spec: &Spec| -> Vec<_> { spec.connection.secrets.iter().map(|(name, secret)| (name.clone(), secret.clone())).collect() };
    let (mine, theirs) = (secrets(one), secrets(other));
    one.types == other.types
        && one.every == other.every
        && one.source == other.source
        && one.connection.base_url == other.connection.base_url
        && one.connection.plan.api == other.connection.plan.api
        && one.connection.plan.settings == other.connection.plan.settings
        && mine.len() == theirs.len()
        && mine.iter().zip(&theirs).all(|((name, secret), (other, theirs))| name == other && secret.expose() == theirs.expose())
}
