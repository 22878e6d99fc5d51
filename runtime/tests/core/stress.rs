//! Limits under load: many events at once, from many senders, over a store on disk, with steps that take their time.
//!
//! What counts is what the service saw: which runs of a key were under way together, in what order they began, and how many
//! began within any time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use flow_plan::{AtMost, Body, Effect, Encoding, Expr, Flow, Limits, Otherwise, Rate, Throttle, WhileRunning};
use flow_runtime::engine::{Engine, EngineOptions};
use flow_runtime::journal::What;
use flow_runtime::store::{RedbStore, RunQuery, Store};
use flow_runtime::transport::SystemClock;
use flow_runtime::world::{BoxFuture, Clock, HttpAnswer, HttpRequest, Random, Transport, TransportError, World};
use jiff::Timestamp;

use crate::fixture::*;

struct Half;

impl Random for Half {
    fn fraction(&self) -> f64 {
        0.5
    }
}

/// A step of a run, as the service saw it: its customer, which event it is for, and from when until when.
#[derive(Debug, Clone)]
struct Seen {
    customer: String,
    event: u32,
    from: Timestamp,
    until: Option<Timestamp>,
}

/// A service that takes its time, and notes who was there together.
#[derive(Default)]
struct Slow(Mutex<Vec<Seen>>);

impl Transport for Slow {
    fn send(&self, request: HttpRequest, _: Duration, _: usize) -> BoxFuture<'_, Result<HttpAnswer, TransportError>> {
        Box::pin(async move {
            let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
            let text = body["name"].as_str().unwrap().to_owned();
            let (customer, event) = text.split_once('#').unwrap();
            let at = {
                let mut seen = self.0.lock().unwrap();
                let event = event.parse().unwrap();
                seen.push(Seen { customer: customer.to_owned(), event, from: SystemClock.now(), until: None });
                seen.len() - 1
            };
            // Long enough for others to come between, in many orders.
            for _ in 0..at % 7 {
                tokio::task::yield_now().await;
            }
            tokio::time::sleep(Duration::from_micros(300 * (at as u64 % 5))).await;
            self.0.lock().unwrap()[at].until = Some(SystemClock.now());
            Ok(answer(200, r#"{"data":{"id":"done"}}"#))
        })
    }
}

/// A flow with two steps that say for whom and for which event they are.
fn two_steps(limits: Limits) -> Flow {
    let mut note = op("note", Effect::Set);
    let value = Expr::Record(vec![("name".to_owned(), Expr::Input(0))]);
    note.request.body = Some(Body { encoding: Encoding::Json, value, nulls: None });
    let mut flow = flow("f", vec![note.clone(), note]);
    // The name is that of the customer and the number of the event; the key is the customer alone.
    flow.reads[1] = field("email", flow_plan::Shape::Text, true);
    flow.limits = limits;
    rehash(&mut flow);
    flow
}

fn per_customer() -> Vec<Expr> {
    vec![Expr::Event(2)]
}

struct Stress {
    engine: Engine,
    slow: Arc<Slow>,
    folder: tempfile::TempDir,
    /// When each event was sent, and when it was answered.
    times: Arc<Mutex<BTreeMap<u32, (Instant, Instant)>>>,
}

impl Stress {
    fn start(limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let slow = Arc::new(Slow::default());
        let engine = engine(&folder, &slow, limits);
        Self { engine, slow, folder, times: Arc::default() }
    }

    /// Sends events of five customers from so many senders at once; returns the numbers of the events in the order of
    /// their receipt, with those of their customer.
    async fn send(&self, senders: u32, each: u32, first: u32) -> Vec<u32> {
        let mut tasks = Vec::new();
        for sender in 0..senders {
            let (engine, times) = (self.engine.clone(), Arc::clone(&self.times));
            tasks.push(tokio::spawn(async move {
                for number in 0..each {
                    let event = first + sender * each + number;
                    let customer = format!("c{}", event % 5);
                    let payload = format!(
                        r#"{{"data":{{"object":{{"amount":100,"currency":"usd","email":"{customer}#{event}","name":"{customer}"}}}}}}"#
                    );
                    let sent = Instant::now();
                    engine.accept("svc", vec![incoming(&format!("evt_{event}"), &payload)], None).await.unwrap();
                    times.lock().unwrap().insert(event, (sent, Instant::now()));
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        // What they start is decided behind their answers.
        self.engine.caught_up().await;
        let starts = |event: &_| {
            let stored = self.engine.event(&format!("evt_{event}")).unwrap();
            !self.engine.runs_of_event(stored[0].seq).unwrap().is_empty()
        };
        (first..first + senders * each).filter(starts).collect()
    }

    /// Waits until nothing is under way, waiting or queued.
    async fn finish(&self) {
        let finished = async {
            while self.engine.stats().active > 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(300), finished).await.is_ok(), "{:?}", self.engine.stats());
    }

    /// Stops the daemon, and returns what is on disk.
    async fn stop(self) -> RedbStore {
        self.engine.stop(Duration::from_secs(20)).await;
        drop(self.engine);
        RedbStore::open(self.folder.path()).unwrap()
    }

    fn seen(&self) -> Vec<Seen> {
        self.slow.0.lock().unwrap().clone()
    }

    /// The events that began, in the order in which their first step came, by customer.
    fn order(&self) -> BTreeMap<String, Vec<u32>> {
        let (mut order, mut known): (BTreeMap<String, Vec<u32>>, _) = (BTreeMap::new(), BTreeSet::new());
        for seen in self.seen() {
            if known.insert(seen.event) {
                order.entry(seen.customer).or_default().push(seen.event);
            }
        }
        order
    }

    /// Checks that the events of each customer began in the order of their numbers, and that one which was sent when another had its
    /// answer already has the higher number.
    fn in_order(&self) {
        assert_eq!(self.order(), self.received());
        let times = self.times.lock().unwrap();
        for (customer, order) in self.order() {
            for (at, before) in order.iter().enumerate() {
                let overtaken = order[at + 1..].iter().find(|behind| times[behind].1 < times[before].0);
                assert_eq!(overtaken, None, "{customer}: {before} began before it, of {order:?}");
            }
        }
    }

    /// The numbers of the events of a flow's runs, in the order of their receipt, by customer.
    fn received(&self) -> BTreeMap<String, Vec<u32>> {
        let runs = self.engine.runs(&RunQuery { flow: Some("f".to_owned()), limit: 100_000, ..RunQuery::default() }).unwrap();
        let mut received: BTreeMap<String, Vec<(u64, u32)>> = BTreeMap::new();
        for run in runs {
            let event: u32 = run.event_id.strip_prefix("evt_").unwrap().parse().unwrap();
            received.entry(format!("c{}", event % 5)).or_default().push((run.seq, event));
        }
        let ordered = |(customer, mut events): (String, Vec<(u64, u32)>)| {
            events.sort_unstable();
            (customer, events.into_iter().map(|(_, event)| event).collect())
        };
        received.into_iter().map(ordered).collect()
    }
}

fn engine(folder: &tempfile::TempDir, slow: &Arc<Slow>, limits: Limits) -> Engine {
    let world = World { clock: Arc::new(SystemClock), transport: Arc::clone(slow) as _, random: Arc::new(Half), services: None };
    let store: Arc<dyn Store> = Arc::new(RedbStore::open(folder.path()).unwrap());
    Engine::start(store, live(vec![two_steps(limits)]), world, EngineOptions::default()).unwrap()
}

/// Checks that no two events of one key were under way together: from the first step's beginning to the last one's end.
fn never_together(seen: &[Seen], key: impl Fn(&Seen) -> String) {
    let mut spans: BTreeMap<String, BTreeMap<u32, (Timestamp, Timestamp)>> = BTreeMap::new();
    for step in seen {
        let until = step.until.expect("each step has ended");
        let span = spans.entry(key(step)).or_default().entry(step.event).or_insert((step.from, until));
        *span = (span.0.min(step.from), span.1.max(until));
    }
    for (key, events) in spans {
        let mut spans: Vec<_> = events.into_iter().map(|(event, span)| (span, event)).collect();
        spans.sort_unstable();
        for two in spans.windows(2) {
            assert!(two[0].0.1 <= two[1].0.0, "two of {key} at a time: {two:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_at_a_time_per_customer_in_the_order_of_receipt_and_none_lost() {
    let stress = Stress::start(Limits { one_at_a_time: Some(per_customer()), ..Limits::default() });
    let started = stress.send(16, 25, 0).await;
    assert_eq!(started.len(), 400);
    stress.finish().await;
    never_together(&stress.seen(), |seen| seen.customer.clone());
    stress.in_order();
    assert_eq!(stress.seen().len(), 800, "two steps of each, and none twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn while_running_queue_lets_one_through_and_skip_and_restart_never_two() {
    for (rule, all) in [(WhileRunning::Queue, true), (WhileRunning::Skip, false), (WhileRunning::Restart, false)] {
        let stress = Stress::start(Limits { while_running: Some(rule), ..Limits::default() });
        let started = stress.send(8, 25, 0).await;
        stress.finish().await;
        let began: BTreeSet<u32> = stress.seen().iter().map(|seen| seen.event).collect();
        match rule {
            WhileRunning::Queue => {
                assert_eq!((started.len(), began.len()), (200, 200));
                never_together(&stress.seen(), |_| "all".to_owned());
                let mut received: Vec<u32> = stress.received().into_values().flatten().collect();
                received.sort_unstable();
                assert_eq!(received, (0..200).collect::<Vec<u32>>());
            }
            WhileRunning::Skip => {
                assert_eq!(began, started.into_iter().collect(), "what started took place, the rest did not");
                never_together(&stress.seen(), |_| "all".to_owned());
                assert_eq!(stress.seen().len(), began.len() * 2);
            }
            WhileRunning::Restart => {
                // A request that was under way cannot be called back; but no step begins for a run whose turn is taken,
                // and the last one comes to its end.
                let runs = stress.engine.runs(&RunQuery { limit: 1000, ..RunQuery::default() }).unwrap();
                let done = runs.iter().filter(|run| run.status == flow_runtime::run::Status::Done).count();
                let cancelled = runs.iter().filter(|run| run.status == flow_runtime::run::Status::Cancelled).count();
                assert_eq!(done + cancelled, 200);
                let last = runs.iter().max_by_key(|run| run.seq).unwrap();
                assert_eq!(last.status, flow_runtime::run::Status::Done, "the newest took the turn of all before");
            }
        }
        assert_eq!(all, rule == WhileRunning::Queue);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_throttle_is_not_exceeded_within_any_such_time_by_a_single_one_and_delays_all_but_loses_none() {
    let throttle = Throttle { count: 25, every: Rate::Sliding(1_000), per: Vec::new() };
    let stress = Stress::start(Limits { throttle: Some(throttle), ..Limits::default() });
    let started = stress.send(12, 10, 0).await;
    assert_eq!(started.len(), 120);
    stress.finish().await;
    let mut begun: BTreeMap<u32, Timestamp> = BTreeMap::new();
    for seen in stress.seen() {
        begun.entry(seen.event).or_insert(seen.from);
    }
    assert_eq!(begun.len(), 120);
    // What is promised is when runs begin: the journal says so, whatever the machine did with them then.
    let store = stress.stop().await;
    let mut began: Vec<i64> = Vec::new();
    for run in store.runs(&RunQuery { limit: 1000, ..RunQuery::default() }).unwrap() {
        let journal = store.journal(&run.id).unwrap();
        let begins = journal.iter().find(|entry| matches!(entry.what, What::Woken)).unwrap_or(&journal[0]);
        began.push(begins.at.as_millisecond());
    }
    began.sort_unstable();
    // An event has its instant before it is committed, and counts from there: so much may lie between on a busy machine. That
    // not a single one is too many is told in virtual time (`model`).
    for within in began.windows(26) {
        assert!(within[25] - within[0] >= 500, "26 within {} ms: {began:?}", within[25] - within[0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn at_most_lets_exactly_so_many_through_however_many_come_at_once() {
    let limit = AtMost { count: 7, per: per_customer(), every: Rate::Sliding(3_600_000), otherwise: Otherwise::Drop };
    let stress = Stress::start(Limits { at_most: vec![limit], ..Limits::default() });
    let started = stress.send(16, 20, 0).await;
    stress.finish().await;
    let mut of_customer: BTreeMap<u32, usize> = BTreeMap::new();
    started.iter().for_each(|event| *of_customer.entry(event % 5).or_default() += 1);
    assert_eq!(of_customer, (0..5).map(|customer| (customer, 7)).collect());
    assert_eq!(stress.seen().len(), 5 * 7 * 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn order_and_turns_outlive_a_daemon_that_stops_in_the_middle() {
    let limits = Limits { one_at_a_time: Some(per_customer()), ..Limits::default() };
    let mut stress = Stress::start(limits.clone());
    let mut sent = 0;
    for round in 0..4 {
        sent += stress.send(8, 10, round * 80).await.len();
        // Not a guess: however far it is, the next one goes on from there.
        let Stress { engine, slow, folder, times } = stress;
        engine.stop(Duration::from_secs(20)).await;
        drop(engine);
        let engine = self::engine(&folder, &slow, limits.clone());
        stress = Stress { engine, slow, folder, times };
    }
    stress.finish().await;
    assert_eq!(sent, 320);
    never_together(&stress.seen(), |seen| seen.customer.clone());
    stress.in_order();
    assert_eq!(stress.seen().len(), 640);
}
