//! The simulated driver: inline tests run on the engine itself, with a clock that only the test moves, a store in memory and
//! services that follow the test's script. `wait 3 days` takes no time.
//!
//! Nothing of the engine is replaced but the seams: what a test shows of retries, crashes, limits and waits holds for the
//! daemon.

mod clock;
mod expectation;
mod payload;
mod services;
mod told;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use flow_plan as plan;
use flow_plan::{GivenEvent, TestAction};
use jiff::Timestamp;

use crate::engine::{Engine, EngineOptions};
use crate::event::{Incoming, Origin, Via};
use crate::listen;
use crate::live::{Live, LiveConnection};
use crate::store::{MemoryStore, Store};
use crate::world::{BoxFuture, HttpAnswer, HttpRequest, Random, Services, Transport, TransportError, World};
use services::Script;

pub(crate) use clock::VirtualClock;
pub(crate) use services::Maker;

pub use expectation::{Difference, Failure, MadeCall};
pub use payload::read_file;

/// Where the clock stands when a test does not say: a Monday.
const BEGINNING: &str = "2026-01-05T12:00:00Z";
/// So many things may happen in one `after` before the test is taken for endless: a year has 525,600 minutes, and what the
/// clock starts is looked at in each.
const MOST_MOMENTS: usize = 2_000_000;

/// What became of a test.
#[derive(Debug, Clone, PartialEq)]
pub struct TestReport {
    /// What did not hold; empty where the test passed.
    pub failures: Vec<Failure>,
    /// The calls that were made, in order.
    pub calls: Vec<MadeCall>,
}

/// Why a test could not be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Trouble {
    /// The line of the test, as its place among the steps.
    pub step: Option<usize>,
    /// What is wrong, for the author of the test.
    pub message: String,
}

/// Runs a test over these flows.
///
/// # Errors
/// Where the test itself is at fault: a payload that is none of its trigger's, or a time that has passed.
pub fn run(
    test: &plan::Test,
    flows: &[Arc<plan::Flow>],
    connections: &BTreeMap<String, plan::Connection>,
) -> Result<TestReport, Trouble> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|error| Trouble { step: None, message: format!("the simulation cannot be started: {error}") })?;
    runtime.block_on(async {
        let mut simulation = Simulation::new(test, flows, connections)?;
        let report = simulation.perform(test).await;
        simulation.engine.stop(Duration::ZERO).await;
        report
    })
}

struct Simulation<'t> {
    flows: &'t [Arc<plan::Flow>],
    connections: BTreeMap<String, Arc<LiveConnection>>,
    clock: Arc<VirtualClock>,
    script: Arc<Script>,
    store: Arc<MemoryStore>,
    engine: Engine,
    /// How many events of a trigger were given.
    given: BTreeMap<(String, String), u32>,
    events: u32,
}

/// Nothing is sent over HTTP: a request here is a bug of ours.
struct NoNetwork;

impl Transport for NoNetwork {
    fn send(&self, _: HttpRequest, _: Duration, _: usize) -> BoxFuture<'_, Result<HttpAnswer, TransportError>> {
        Box::pin(std::future::ready(Err(TransportError::Refused("a simulation has no network".to_owned()))))
    }
}

/// The same in each run of a test.
struct Steady;

impl Random for Steady {
    fn fraction(&self) -> f64 {
        0.5
    }
}

impl<'t> Simulation<'t> {
    fn new(
        test: &plan::Test,
        flows: &'t [Arc<plan::Flow>],
        connections: &BTreeMap<String, plan::Connection>,
    ) -> Result<Self, Trouble> {
        let beginning = test.begins_at.or_else(|| BEGINNING.parse().ok()).unwrap_or(Timestamp::UNIX_EPOCH);
        let clock = Arc::new(VirtualClock::new(beginning));
        let connections: BTreeMap<String, Arc<LiveConnection>> =
            connections.iter().map(|(name, plan)| (name.clone(), Arc::new(LiveConnection::bare(plan.clone())))).collect();
        let script = Arc::new(Script::new(Arc::clone(&clock), connections.clone()));
        let store = Arc::new(MemoryStore::at_once());
        let engine = start(&store, flows, &connections, &clock, &script)?;
        Ok(Self { flows, connections, clock, script, store, engine, given: BTreeMap::new(), events: 0 })
    }

    async fn perform(&mut self, test: &plan::Test) -> Result<TestReport, Trouble> {
        let mut failures = Vec::new();
        let mut covered = expectation::Covered::default();
        self.settle().await;
        for (at, step) in test.steps.iter().enumerate() {
            let done = match &step.what {
                TestAction::Event(event) => self.give(event).await,
                TestAction::State { connection, state, value, at } => self.observe(connection, state, value, *at).await,
                TestAction::Fails { target, times, fault } => {
                    self.script.fail(target, *times, *fault);
                    Ok(())
                }
                TestAction::Returns { target, by, value } => {
                    self.script.answer(target, by, value);
                    Ok(())
                }
                TestAction::Restart => self.restart().await,
                TestAction::After(span) => {
                    let until = flow_schedule::after(self.clock.instant(), span);
                    self.pass(until).await
                }
                TestAction::Calls { target, times, with } => {
                    let calls = self.script.calls();
                    covered.by(&calls, target, *times, with);
                    if let Some(mut failure) = expectation::calls(at, &calls, target, *times, with) {
                        if failure.found < times.unwrap_or(1) {
                            failure.notes =
                                told::why_not(&self.engine, self.flows, Some(target), failure.found > 0).map_err(unreadable)?;
                        }
                        failures.push(failure);
                    }
                    Ok(())
                }
                TestAction::Run { status, reason } => {
                    let runs = self.runs()?;
                    if let Some(mut failure) = expectation::run(at, &runs, *status, reason.as_deref()) {
                        if runs.is_empty() {
                            failure.notes = told::why_not(&self.engine, self.flows, None, false).map_err(unreadable)?;
                        }
                        failures.push(failure);
                    }
                    Ok(())
                }
                TestAction::Else { .. } => Ok(()),
            };
            done.map_err(|message| Trouble { step: Some(at), message })?;
        }
        let calls = self.script.calls();
        let runs = self.runs()?;
        let told = failures.iter().filter_map(|failure| failure.step).collect::<Vec<_>>();
        failures.extend(expectation::nothing_else(test, &calls, &covered, &runs, &told));
        Ok(TestReport { failures, calls: expectation::made(&calls) })
    }

    fn runs(&self) -> Result<Vec<crate::store::RunHead>, Trouble> {
        let query = crate::store::RunQuery { limit: usize::MAX, ..crate::store::RunQuery::default() };
        let mut runs = self.engine.runs(&query).map_err(unreadable)?;
        runs.reverse();
        Ok(runs)
    }

    /// Delivers an event as often as the test says.
    async fn give(&mut self, event: &GivenEvent) -> Result<(), String> {
        if let Some(at) = event.at {
            self.pass(at).await?;
        }
        let now = self.clock.instant();
        let count = self.given.entry((event.connection.clone(), event.trigger.clone())).or_default();
        *count += 1;
        self.events += 1;
        let mut made = payload::make(event, now, self.events, *count)?;
        if let Some((listen, via)) = &event.listens {
            let values = match &event.heard {
                Some(value) => vec![value.to_string()],
                None => listen::values_in(self.flows, &event.connection, &event.source, &listen.by),
            };
            payload::hear(&mut made, &via.scheme, values, event.heard.is_some())?;
        }
        for _ in 0..event.times {
            let incoming = Incoming {
                id: made.id.clone(),
                source: event.source.clone(),
                event_type: made.event_type.clone(),
                occurred_at: Some(now),
                signed_at: None,
                payload: made.payload.clone(),
                via: Via::Webhook,
                origin: Origin::External,
                depth: 0,
                only_trigger: None,
            };
            self.engine.accept(&event.connection, vec![incoming], None).await.map_err(|error| error.to_string())?;
            self.settle().await;
        }
        Ok(())
    }

    async fn observe(&mut self, connection: &str, state: &str, value: &plan::Value, at: Option<Timestamp>) -> Result<(), String> {
        if let Some(at) = at {
            self.pass(at).await?;
        }
        self.script.set_state(connection, state, value);
        // As if the device had said so itself: no test waits for the next poll.
        self.engine.observe(connection, state);
        self.settle().await;
        Ok(())
    }

    /// The daemon ends and starts again over the same store.
    async fn restart(&mut self) -> Result<(), String> {
        self.engine.stop(Duration::ZERO).await;
        self.clock.forget_sleepers();
        self.engine =
            start(&self.store, self.flows, &self.connections, &self.clock, &self.script).map_err(|trouble| trouble.message)?;
        self.settle().await;
        Ok(())
    }

    /// Lets time pass until an instant, from one thing that happens to the next.
    async fn pass(&self, until: Timestamp) -> Result<(), String> {
        if until < self.clock.instant() {
            let now = self.clock.instant();
            return Err(format!("it is {now} already: the lines of a test stand in the order of time"));
        }
        if pass(&self.engine, &self.clock, until).await {
            return Ok(());
        }
        Err(format!(
            "more than {MOST_MOMENTS} things happened: it is longer than a test can follow, or something goes round without an end"
        ))
    }

    /// Lets everything happen that needs no time.
    async fn settle(&self) {
        settle(&self.engine).await;
    }
}

/// The store of a simulation is in memory: that it cannot be read is a bug of ours.
#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn unreadable(error: crate::store::StoreError) -> Trouble {
    Trouble { step: None, message: error.to_string() }
}

/// Lets everything happen in a simulated engine that needs no time.
pub(crate) async fn settle(engine: &Engine) {
    // Whoever was woken by the clock is asked once before the engine is: then it says that it is at work.
    for _ in 0..4 {
        tokio::task::yield_now().await;
    }
    engine.settled().await;
}

/// Lets time pass in a simulated engine until an instant, from one thing that happens to the next. `false`: more happens
/// than can be followed.
pub(crate) async fn pass(engine: &Engine, clock: &VirtualClock, until: Timestamp) -> bool {
    for _ in 0..MOST_MOMENTS {
        settle(engine).await;
        match clock.next().filter(|next| *next <= until) {
            Some(next) => clock.set(next),
            None => {
                clock.set(until);
                settle(engine).await;
                return true;
            }
        }
    }
    false
}

/// Returns a world without a network, in which these services answer.
pub(crate) fn world(clock: &Arc<VirtualClock>, services: Arc<dyn Services>) -> World {
    World { clock: Arc::clone(clock) as _, transport: Arc::new(NoNetwork), random: Arc::new(Steady), services: Some(services) }
}

fn start(
    store: &Arc<MemoryStore>,
    flows: &[Arc<plan::Flow>],
    connections: &BTreeMap<String, Arc<LiveConnection>>,
    clock: &Arc<VirtualClock>,
    script: &Arc<Script>,
) -> Result<Engine, Trouble> {
    let live = Live { flows: flows.to_vec(), connections: connections.clone(), ..Live::default() };
    let world = world(clock, Arc::clone(script) as _);
    let store: Arc<dyn Store> = Arc::clone(store) as _;
    // Nothing is old enough to be removed, whatever the test waits for.
    let options = EngineOptions { retain: Duration::from_secs(100 * 365 * 86_400), ..EngineOptions::default() };
    Engine::start(store, live, world, options).map_err(|error| Trouble { step: None, message: error.to_string() })
}
