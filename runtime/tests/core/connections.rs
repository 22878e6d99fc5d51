//! What bounds the requests to a connection: its rate, its quota, whether it answers; over restarts, and fair to all.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flow_plan::{Effect, Flow, Limits, QUOTA_MONTH_MS, Quota, RateLimit, Retry};
use flow_runtime::engine::{ConnectionState, Engine, EngineOptions};
use flow_runtime::live::Live;
use flow_runtime::secret::Secret;
use flow_runtime::store::{MemoryStore, Store};
use flow_runtime::world::{BoxFuture, Clock, HttpAnswer, HttpRequest, Transport, TransportError, World};
use jiff::Timestamp;

use crate::fixture::*;
use crate::states::{door, with_states};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// The service, with a list of what was sent, and when.
struct Recorded {
    service: Arc<Service>,
    clock: Arc<ManualClock>,
    sent: Mutex<Vec<(Timestamp, String)>>,
}

impl Transport for Recorded {
    fn send(&self, request: HttpRequest, timeout: Duration, most: usize) -> BoxFuture<'_, Result<HttpAnswer, TransportError>> {
        let name = request.url.rsplit('/').next().unwrap_or_default().to_owned();
        self.sent.lock().unwrap().push((self.clock.now(), name));
        self.service.send(request, timeout, most)
    }
}

/// A daemon over a store that survives it.
struct Life {
    bench: Bench,
    store: Arc<MemoryStore>,
    recorded: Arc<Recorded>,
    live: fn() -> Live,
    events: u32,
}

fn start(store: &Arc<MemoryStore>, recorded: &Arc<Recorded>, live: Live) -> Bench {
    let (clock, service) = (Arc::clone(&recorded.clock), Arc::clone(&recorded.service));
    let world = World { transport: Arc::clone(recorded) as _, ..world(&clock, &service) };
    let engine = Engine::start(Arc::clone(store) as _, live, world, EngineOptions::default()).unwrap();
    Bench { clock, service, engine }
}

impl Life {
    fn new(live: fn() -> Live) -> Self {
        let store = Arc::new(MemoryStore::new().unwrap());
        let (clock, service) = (ManualClock::new(), Arc::new(Service::default()));
        let recorded = Arc::new(Recorded { service, clock, sent: Mutex::default() });
        let bench = start(&store, &recorded, live());
        Self { bench, store, recorded, live, events: 0 }
    }

    /// Stops the daemon, or lets it die, and starts another one on what is on disk.
    async fn restart(self, dies: bool) -> Self {
        let cut = Arc::new(self.store.copy().unwrap());
        self.bench.engine.stop(Duration::ZERO).await;
        let store = if dies { cut } else { Arc::new(self.store.copy().unwrap()) };
        let bench = start(&store, &self.recorded, (self.live)());
        Self { bench, store, ..self }
    }

    /// Sends an event of a type; returns the runs that it started.
    async fn send(&mut self, event_type: &str) -> Vec<String> {
        self.events += 1;
        let event = event_of(&format!("evt_{}", self.events), "Jane", event_type);
        self.bench.engine.accept("svc", vec![event], None).await.unwrap().remove(0).runs
    }

    async fn send_many(&mut self, count: usize) -> Vec<String> {
        let mut runs = Vec::new();
        for _ in 0..count {
            runs.extend(self.send("happened").await);
        }
        self.bench.engine.settled().await;
        runs
    }

    async fn statuses(&self, runs: &[String]) -> BTreeMap<String, usize> {
        let mut statuses = BTreeMap::new();
        for run in runs {
            *statuses.entry(self.bench.status(run).await).or_default() += 1;
        }
        statuses
    }

    fn state(&self, name: &str) -> ConnectionState {
        self.bench.engine.connections().into_iter().find(|state| state.name == name).unwrap()
    }

    fn sent(&self) -> Vec<(Timestamp, String)> {
        self.recorded.sent.lock().unwrap().clone()
    }
}

fn counted(pairs: &[(&str, usize)]) -> BTreeMap<String, usize> {
    pairs.iter().map(|(status, count)| ((*status).to_owned(), *count)).collect()
}

fn one_flow(effect: Effect) -> Live {
    live(vec![flow("f", vec![op("act", effect)])])
}

/// What the connection `svc` has, on top of nothing.
fn with(mut live: Live, names: &[&str], change: impl Fn(&mut flow_runtime::live::LiveConnection)) -> Live {
    for name in names {
        let mut changed = connection(name);
        change(&mut changed);
        live.connections.insert((*name).to_owned(), Arc::new(changed));
    }
    live
}

fn with_retry(mut flow: Flow, times: u32, over: Duration) -> Flow {
    for instr in &mut flow.program.instrs {
        if let flow_plan::Instr::Call(call) = instr {
            call.retry = Some(Retry { times, over_ms: u64::try_from(over.as_millis()).ok() });
        }
    }
    rehash(&mut flow);
    flow
}

/// A flow on the events of another type that acts at another connection.
fn elsewhere(id: &str, event_type: &str, connection: &str, name: &str) -> Flow {
    let mut flow = flow(id, vec![op(name, Effect::Set)]);
    flow.triggers[0].types = vec![event_type.to_owned()];
    flow.triggers[0].name = "failed".to_owned();
    for instr in &mut flow.program.instrs {
        if let flow_plan::Instr::Call(call) = instr {
            connection.clone_into(&mut call.connection);
        }
    }
    rehash(&mut flow);
    flow
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_tried_by_one_run_now_and_then_and_the_others_wait_without_an_attempt() {
    let mut life = Life::new(|| one_flow(Effect::Set));
    life.bench.service.always("act", Some(Fault::NotConnected));
    let runs = life.send_many(40).await;
    life.bench.pass(Duration::from_millis(900)).await;
    let first = life.sent().len();
    assert!((5..=32).contains(&first), "those in flight before it was known: {first}");
    let (since, error, _) = life.state("svc").silent().unwrap();
    assert_eq!((since, error.as_str()), (at("2026-11-22T12:00:00Z"), "could not connect: refused"));
    life.bench.pass(HOUR).await;
    let probes = life.sent().len() - first;
    assert!((55..=70).contains(&probes), "at most one a minute: {probes}");
    // It answers: each is done once, whoever tried before.
    life.bench.service.always("act", None);
    life.bench.pass(HOUR).await;
    assert_eq!(life.statuses(&runs).await, counted(&[("done", 40)]));
    assert_eq!(life.bench.service.effects("act").len(), 40);
    assert!(life.state("svc").silent().is_none());
}

#[tokio::test]
async fn it_stays_known_over_a_restart_that_a_service_does_not_answer() {
    let mut life = Life::new(|| one_flow(keyed()));
    life.bench.service.always("act", Some(Fault::TimeoutBefore));
    let runs = life.send_many(20).await;
    life.bench.pass(10 * MINUTE).await;
    let (before, until) = (life.sent().len(), life.state("svc").silent().unwrap().2);
    for dies in [true, false, true] {
        life = life.restart(dies).await;
        life.bench.engine.settled().await;
        let (_, error, again) = life.state("svc").silent().unwrap();
        assert_eq!((error.as_str(), again), ("no complete answer: timed out", until));
        assert_eq!(life.sent().len(), before, "nothing is sent before its time");
        let parked = life.statuses(&runs).await["parked"];
        assert!(parked >= 15, "{parked}");
    }
    life.bench.service.always("act", None);
    life.bench.pass(2 * HOUR).await;
    assert_eq!(life.statuses(&runs).await, counted(&[("done", 20)]));
    assert_eq!(life.bench.service.effects("act").len(), 20);
}

#[tokio::test]
async fn another_connection_is_not_slowed() {
    let mut life = Life::new(|| live(vec![flow("f", vec![op("act", Effect::Set)]), elsewhere("g", "other", "other", "well")]));
    life.bench.service.always("act", Some(Fault::NotConnected));
    life.send_many(500).await;
    let other = life.send("other").await;
    assert_eq!(life.statuses(&other).await, counted(&[("done", 1)]));
    life.bench.pass(5 * MINUTE).await;
    let other = life.send("other").await;
    assert_eq!(life.statuses(&other).await, counted(&[("done", 1)]));
    assert!(life.state("svc").queued < 10, "those that wait are rows of the store: {:?}", life.state("svc"));
    assert!(life.state("svc").parked > 400, "{:?}", life.state("svc"));
}

#[tokio::test]
async fn whoever_waits_for_a_silent_service_gives_up_when_its_time_is_over() {
    let mut life = Life::new(|| live(vec![with_retry(flow("f", vec![op("act", Effect::Set)]), 3, 10 * MINUTE)]));
    life.bench.service.always("act", Some(Fault::NotConnected));
    let runs = life.send_many(50).await;
    life.bench.pass(9 * MINUTE).await;
    assert!(life.statuses(&runs).await["parked"] > 10);
    life.bench.pass(11 * MINUTE).await;
    assert_eq!(life.statuses(&runs).await, counted(&[("dead", 50)]), "their own time begins with their first attempt");
    let last = life.bench.run(&runs[49]).await;
    let reason = last["reason"].as_str().unwrap();
    assert_eq!(reason, "svc.call_1: nothing was sent: could not connect: refused");
    assert_eq!(last["steps"][0]["attempts"].as_array().unwrap().len(), 0, "{last}");
    // Those that come later have their own time.
    life.bench.service.always("act", None);
    let late = life.send_many(3).await;
    life.bench.pass(2 * MINUTE).await;
    assert_eq!(life.statuses(&late).await, counted(&[("done", 3)]));
}

#[tokio::test]
async fn what_cannot_be_repeated_does_not_try_a_silent_service_while_something_else_can() {
    let mut life = Life::new(|| {
        let mut once = flow("once", vec![op("unlock", Effect::Once)]);
        once.triggers[0].types = vec!["other".to_owned()];
        once.triggers[0].name = "failed".to_owned();
        rehash(&mut once);
        live(vec![flow("f", vec![op("act", Effect::Set)]), once])
    });
    life.bench.service.always("act", Some(Fault::TimeoutBefore));
    life.bench.service.always("unlock", Some(Fault::TimeoutBefore));
    life.send_many(8).await;
    let once = life.send("other").await;
    life.bench.pass(HOUR).await;
    assert_eq!(life.bench.service.requests("unlock").len(), 0);
    assert_eq!(life.statuses(&once).await, counted(&[("parked", 1)]));
    life.bench.service.always("act", None);
    life.bench.service.always("unlock", None);
    life.bench.pass(2 * MINUTE).await;
    assert_eq!(life.statuses(&once).await, counted(&[("done", 1)]));
    assert_eq!(life.bench.service.effects("unlock").len(), 1);
}

fn monthly(count: u32) -> Quota {
    Quota { count, per_ms: QUOTA_MONTH_MS, shared_by: Some("key".to_owned()), spent_on: vec![403] }
}

fn key(connection: &mut flow_runtime::live::LiveConnection, key: &str) {
    connection.secrets.insert("key".to_owned(), Secret::new(key.to_owned()));
}

fn three_a_month() -> Live {
    with(one_flow(Effect::Set), &["svc"], |svc| Arc::make_mut(&mut svc.plan.api).quota = Some(monthly(3)))
}

#[tokio::test]
async fn a_quota_is_counted_over_restarts_and_its_runs_go_on_when_the_month_turns() {
    let mut life = Life::new(three_a_month);
    let mut runs = life.send_many(2).await;
    life = life.restart(true).await;
    runs.extend(life.send_many(6).await);
    assert_eq!(life.statuses(&runs).await, counted(&[("done", 3), ("parked", 5)]));
    let parked = life.bench.run(&runs[7]).await;
    assert_eq!(parked["reason"], "quota of `svc` is used up until 2026-12-01");
    let quota = life.state("svc").quota.unwrap();
    assert_eq!((quota.used, quota.count, quota.resets_at), (3, 3, at("2026-12-01T00:00:00Z")));
    life = life.restart(false).await;
    life.bench.pass(8 * DAY).await;
    assert_eq!(life.sent().len(), 3, "the month has not turned");
    life.bench.pass(DAY).await;
    assert_eq!(life.statuses(&runs).await, counted(&[("done", 6), ("parked", 2)]));
    life = life.restart(true).await;
    life.bench.pass(35 * DAY).await;
    assert_eq!(life.bench.service.effects("act").len(), 8);
}

#[tokio::test]
async fn what_is_too_old_when_the_month_turns_is_not_done() {
    let mut life = Life::new(|| {
        let mut fresh = flow("f", vec![op("act", Effect::Set)]);
        fresh.limits = Limits { fresh_ms: Some(3_600_000), ..Limits::default() };
        rehash(&mut fresh);
        with(live(vec![fresh]), &["svc"], |svc| Arc::make_mut(&mut svc.plan.api).quota = Some(monthly(1)))
    });
    let runs = life.send_many(2).await;
    life.bench.pass(10 * DAY).await;
    assert_eq!(life.statuses(&runs).await, counted(&[("done", 1), ("stopped", 1)]));
    assert_eq!(life.sent().len(), 1);
}

#[tokio::test]
async fn connections_with_one_key_share_its_calls_and_the_key_is_nowhere() {
    fn both() -> Live {
        let flows = vec![flow("f", vec![op("act", Effect::Set)]), elsewhere("g", "other", "other", "well")];
        with(live(flows), &["svc", "other"], |connection| {
            connection.plan.connector = "sesame".to_owned();
            Arc::make_mut(&mut connection.plan.api).quota = Some(monthly(3));
            key(connection, "planted-api-key");
        })
    }
    let mut life = Life::new(both);
    let mut runs = life.send_many(2).await;
    runs.extend(life.send("other").await);
    runs.extend(life.send("other").await);
    assert_eq!(life.statuses(&runs).await, counted(&[("done", 3), ("parked", 1)]));
    assert_eq!(life.state("svc").quota.unwrap().shared_with, ["other"]);
    // Another key has calls of its own, and those that waited go on.
    let changed = with(both(), &["other"], |connection| {
        Arc::make_mut(&mut connection.plan.api).quota = Some(monthly(3));
        key(connection, "another-api-key");
    });
    life.bench.engine.swap(changed);
    life.bench.pass(MINUTE).await;
    assert_eq!(life.statuses(&runs).await, counted(&[("done", 4)]));
    assert_eq!(life.state("svc").quota.unwrap().used, 3);
    let kept = format!("{:?}", life.store.meters().unwrap());
    let bytes: Vec<String> = "planted-api-key".bytes().map(|byte| byte.to_string()).collect();
    assert!(!kept.contains("planted") && !kept.contains(&bytes.join(", ")), "{kept}");
}

#[tokio::test]
async fn an_answer_that_says_that_nothing_is_left_is_believed_and_tried_again_ever_less_often() {
    let mut life =
        Life::new(|| with(one_flow(Effect::Set), &["svc"], |svc| Arc::make_mut(&mut svc.plan.api).quota = Some(monthly(1000))));
    let mut runs = life.send_many(1).await;
    life.bench.service.always("act", Some(Fault::Status(403)));
    runs.extend(life.send_many(5).await);
    let first = life.sent().len();
    assert_eq!(life.statuses(&runs).await, counted(&[("done", 1), ("parked", 5)]));
    assert!(life.state("svc").quota.unwrap().refused_since.is_some());
    assert!(life.state("svc").broken().is_none(), "the key has worked");
    life = life.restart(true).await;
    life.bench.pass(2 * DAY).await;
    let tries = life.sent().len() - first;
    assert!((4..=6).contains(&tries), "after 1, 2, 4, 8, 16 hours: {tries}");
    life.bench.service.always("act", None);
    life.bench.pass(DAY).await;
    assert_eq!(life.statuses(&runs).await, counted(&[("done", 6)]));
    // A key that has never worked is a wrong key.
    let mut life =
        Life::new(|| with(one_flow(Effect::Set), &["svc"], |svc| Arc::make_mut(&mut svc.plan.api).quota = Some(monthly(1000))));
    life.bench.service.always("act", Some(Fault::Status(403)));
    life.send_many(1).await;
    assert!(life.state("svc").broken().is_some());
}

#[tokio::test]
async fn a_rate_is_kept_by_a_daemon_that_dies_again_and_again() {
    for (count, seconds) in [(4, 60), (2, 2), (10, 600)] {
        let live: fn() -> Live = match count {
            4 => || {
                with(one_flow(Effect::Set), &["svc"], |svc| {
                    Arc::make_mut(&mut svc.plan.api).limit = Some(RateLimit { count: 4, per_ms: 60_000 });
                })
            },
            2 => || {
                with(one_flow(Effect::Set), &["svc"], |svc| {
                    Arc::make_mut(&mut svc.plan.api).limit = Some(RateLimit { count: 2, per_ms: 2_000 });
                })
            },
            _ => || {
                with(one_flow(Effect::Set), &["svc"], |svc| {
                    Arc::make_mut(&mut svc.plan.api).limit = Some(RateLimit { count: 10, per_ms: 600_000 });
                })
            },
        };
        let mut life = Life::new(live);
        let runs = life.send_many(25).await;
        for life_of in [1, 3, 20, 61, 7, 130, 2, 2, 2, 45] {
            life.bench.pass(Duration::from_secs(life_of)).await;
            life = life.restart(life_of % 2 == 1).await;
            life.bench.engine.settled().await;
        }
        life.bench.pass(HOUR).await;
        let sent: Vec<i64> = life.sent().iter().map(|(at, _)| at.as_millisecond()).collect();
        assert_eq!(sent.len(), 25);
        assert_eq!(life.statuses(&runs).await, counted(&[("done", 25)]));
        for within in sent.windows(count + 1) {
            assert!(within[count] - within[0] >= seconds * 1000, "more than {count} within {seconds} s: {sent:?}");
        }
    }
}

#[tokio::test]
async fn a_service_that_asks_for_patience_has_it_from_all_runs() {
    let mut life = Life::new(|| one_flow(Effect::Set));
    for (seconds, restarts) in [(20, false), (600, false), (600, true)] {
        let before = life.sent().len();
        life.bench.service.fault("act", [Fault::RetryAfter(429, seconds)]);
        let mut runs = life.send_many(1).await;
        runs.extend(life.send_many(4).await);
        if restarts {
            life = life.restart(true).await;
        }
        life.bench.pass(Duration::from_secs(u64::from(seconds) - 1)).await;
        assert_eq!(life.sent().len(), before + 1, "one request, and its answer held for all");
        assert!(life.state("svc").paused_until.is_some());
        life.bench.pass(Duration::from_secs(60)).await;
        assert_eq!(life.statuses(&runs).await, counted(&[("done", 5)]));
    }
}

#[tokio::test]
async fn a_flow_with_thousands_of_runs_delays_a_single_one_of_another_flow_by_a_turn() {
    let mut life = Life::new(|| {
        let flows = vec![flow("f", vec![op("act", Effect::Set)]), elsewhere("g", "other", "svc", "single")];
        with(live(flows), &["svc"], |svc| Arc::make_mut(&mut svc.plan.api).limit = Some(RateLimit { count: 1, per_ms: 1_000 }))
    });
    let events: Vec<_> = (0..5_000).map(|number| event_of(&format!("many_{number}"), "Jane", "happened")).collect();
    for events in events.chunks(500) {
        life.bench.engine.accept("svc", events.to_vec(), None).await.unwrap();
    }
    life.bench.pass(Duration::from_secs(5)).await;
    let before = life.sent().len();
    let single = life.send("other").await;
    life.bench.pass(Duration::from_secs(2)).await;
    assert_eq!(life.statuses(&single).await, counted(&[("done", 1)]));
    let sent = life.sent();
    let place = sent.iter().position(|(_, name)| name == "single").unwrap();
    assert!(place <= before + 1, "sent as number {place}, it came after {before}");
}

#[tokio::test]
async fn states_leave_a_fifth_of_the_quota_for_actions() {
    let mut life = Life::new(|| {
        let mut live = with_states(vec![door(flow_plan::Gaps::Verify), elsewhere("g", "other", "svc", "act")]);
        let mut device = live.connections["svc"].plan.clone();
        Arc::make_mut(&mut device.api).quota = Some(monthly(50));
        let device = flow_runtime::live::LiveConnection { plan: device, ..connection("svc") };
        live.connections.insert("svc".to_owned(), Arc::new(device));
        live
    });
    life.bench.service.says("door", Some(r#""locked""#));
    life.bench.pass(8 * DAY).await;
    life = life.restart(true).await;
    life.bench.pass(11 * HOUR).await;
    let reads = life.sent().iter().filter(|(_, name)| name == "door").count();
    assert!((38..=40).contains(&reads), "{reads}");
    let mut runs = Vec::new();
    for _ in 0..14 {
        runs.extend(life.send("other").await);
    }
    let statuses = life.statuses(&runs).await;
    assert_eq!(statuses["done"], 50 - reads, "{statuses:?}");
    assert_eq!(life.state("svc").quota.unwrap().used, 50);
    // Of the next month they have their part again.
    life.bench.pass(DAY).await;
    let after = life.sent().iter().filter(|(_, name)| name == "door").count();
    assert!(after > reads && life.statuses(&runs).await == counted(&[("done", 14)]));
}

#[tokio::test]
async fn a_probe_that_has_to_wait_for_the_rate_is_sent_behind_that() {
    let mut life = Life::new(|| {
        with(one_flow(Effect::Set), &["svc"], |svc| {
            Arc::make_mut(&mut svc.plan.api).limit = Some(RateLimit { count: 8, per_ms: 2_000 });
        })
    });
    life.bench.service.always("act", Some(Fault::NotConnected));
    let runs = life.send_many(6).await;
    life.bench.pass(Duration::from_secs(30)).await;
    life = life.restart(true).await;
    life.bench.engine.settled().await;
    life.bench.service.always("act", None);
    // After a start nothing is sent for as long as the limit counts, though the new flow.toml wants the connection tried.
    life.bench.engine.swap((life.live)());
    life.bench.pass(Duration::from_secs(10)).await;
    assert_eq!(life.statuses(&runs).await, counted(&[("done", 6)]));
}
