//! Limits of starts: what starts, what waits, what is dropped, and what a restart changes about it: nothing.

use std::sync::Arc;
use std::time::Duration;

use flow_plan as plan;
use flow_plan::{AtMost, CalendarUnit, Effect, Expr, Flow, Limits, Otherwise, Rate, Span, Throttle, WhileRunning, Window};
use flow_runtime::engine::{CancelOutcome, RetryOutcome};
use flow_runtime::run::RetryRefusal;
use flow_runtime::store::{MemoryStore, RunQuery, Store};
use flow_runtime::world::Clock;

use crate::fixture::*;

/// The customer.
fn per_name() -> Vec<Expr> {
    vec![Expr::Event(2)]
}

fn limited(limits: Limits) -> Flow {
    let mut flow = flow("f", vec![op("set", Effect::Set)]);
    flow.limits = limits;
    rehash(&mut flow);
    flow
}

fn per_minute(count: u32, otherwise: Otherwise) -> Limits {
    let limit = AtMost { count, per: per_name(), every: Rate::Sliding(60_000), otherwise };
    Limits { at_most: vec![limit], ..Limits::default() }
}

/// A daemon over a store that survives it.
struct Life {
    bench: Bench,
    store: Arc<MemoryStore>,
    flows: Vec<Flow>,
    events: u32,
}

impl Life {
    fn new(flow: Flow) -> Self {
        let store = Arc::new(MemoryStore::new().unwrap());
        let flows = vec![flow];
        let bench = Bench::over(Arc::clone(&store) as _, flows.clone(), ManualClock::new(), Arc::new(Service::default()));
        Self { bench, store, flows, events: 0 }
    }

    /// Sends an event of a customer; returns the run that it started, now or later.
    async fn send(&mut self, name: &str) -> Option<String> {
        self.events += 1;
        let event = event_of(&format!("evt_{}", self.events), name, "happened");
        self.bench.engine.accept("svc", vec![event], None).await.unwrap().remove(0).runs.pop()
    }

    /// What `flowd why` says of the last event.
    fn why(&self) -> String {
        let event = self.bench.engine.event(&format!("evt_{}", self.events)).unwrap().remove(0);
        self.bench.engine.why(&event, Some("f"), true).unwrap().remove(0).reason
    }

    async fn restart(self) -> Self {
        // Nothing is under way: what a restart does to a request is told elsewhere.
        self.bench.engine.settled().await;
        let (bench, store) = restart(self.bench, &self.store, self.flows.clone()).await;
        Self { bench, store, ..self }
    }

    async fn pass(&self, seconds: u64) {
        self.bench.pass(Duration::from_secs(seconds)).await;
    }

    fn effects(&self) -> usize {
        self.bench.service.effects("set").len()
    }

    async fn status(&self, run: &str) -> String {
        self.bench.status(run).await
    }
}

#[tokio::test]
async fn at_most_drops_what_is_beyond_and_says_why() {
    let mut life = Life::new(limited(per_minute(2, Otherwise::Drop)));
    assert!(life.send("a").await.is_some());
    life.pass(30).await;
    assert!(life.send("a").await.is_some());
    life = life.restart().await;
    assert_eq!(life.send("a").await, None);
    assert_eq!(life.why(), "at most 2 per minute for name a: this one is beyond it");
    assert!(life.send("b").await.is_some(), "another key counts apart");
    // The first leaves the minute.
    life.pass(30).await;
    assert!(life.send("a").await.is_some());
    assert_eq!(life.send("a").await, None);
    life.pass(1).await;
    assert_eq!(life.effects(), 4);
    // The same event by another way counts nothing.
    life.events -= 1;
    let again = event_of(&format!("evt_{}", life.events), "a", "happened");
    assert!(life.bench.engine.accept("svc", vec![again], None).await.unwrap()[0].duplicate);
}

#[tokio::test]
async fn a_day_ends_at_midnight_of_its_zone_whatever_is_restarted_or_edited() {
    let every = Rate::Calendar { unit: CalendarUnit::Day, zone: "Europe/Paris".to_owned() };
    let limit = AtMost { count: 1, per: per_name(), every, otherwise: Otherwise::Drop };
    let mut life = Life::new(limited(Limits { at_most: vec![limit], ..Limits::default() }));
    assert!(life.send("a").await.is_some());
    // The flow is edited: its limit goes on counting.
    let mut edited = life.flows[0].clone();
    edited.docs = "other".to_owned();
    rehash(&mut edited);
    life.flows = vec![edited];
    life.bench.engine.swap(live(life.flows.clone()));
    assert_eq!(life.send("a").await, None);
    life = life.restart().await;
    assert_eq!(life.send("a").await, None);
    assert_eq!(life.why(), "at most 1 per day for name a: this one is beyond it");
    // Noon in UTC is 13:00 in Paris.
    life.pass(11 * 3600 - 1).await;
    assert_eq!(life.send("a").await, None);
    life.pass(1).await;
    assert!(life.send("a").await.is_some());
}

#[tokio::test]
async fn at_most_queues_in_order() {
    let mut life = Life::new(limited(per_minute(1, Otherwise::Queue)));
    let first = life.send("a").await.unwrap();
    let second = life.send("a").await.unwrap();
    let third = life.send("a").await.unwrap();
    assert_eq!(life.status(&first).await, "done");
    let found = life.bench.run(&second).await;
    assert_eq!((found["status"].as_str(), found["retry_at"].as_str()), (Some("waiting"), Some("2026-11-22T12:01:00.000Z")));
    assert_eq!(found["held"], true);
    let listed = RunQuery { status: Some(flow_runtime::run::Status::Waiting), limit: 10, ..RunQuery::default() };
    assert_eq!(life.bench.engine.runs(&listed).unwrap().len(), 2);
    life = life.restart().await;
    life.pass(60).await;
    assert_eq!((life.status(&second).await.as_str(), life.effects()), ("done", 2));
    assert_eq!(life.status(&third).await, "waiting");
    life.pass(60).await;
    assert_eq!((life.status(&third).await.as_str(), life.effects()), ("done", 3));
}

#[tokio::test]
async fn at_most_pauses_the_flow() {
    let mut life = Life::new(limited(per_minute(1, Otherwise::Pause)));
    assert!(life.send("a").await.is_some());
    // Both in one batch: the second comes to a flow that is paused by then.
    let batch = vec![event_of("evt_x", "a", "happened"), event_of("evt_y", "b", "happened")];
    let accepted = life.bench.engine.accept("svc", batch, None).await.unwrap();
    assert!(accepted.iter().all(|accepted| accepted.runs.is_empty()));
    assert!(life.bench.engine.paused_since("f").is_some());
    life = life.restart().await;
    assert!(life.bench.engine.paused_since("f").is_some(), "it stays paused");
    life.pass(3600).await;
    assert_eq!(life.send("b").await, None);
    assert!(life.bench.engine.resume("f").await.unwrap());
    assert!(life.send("b").await.is_some());
}

#[tokio::test]
async fn once_per_is_for_good() {
    let mut life = Life::new(limited(Limits { once_per: Some(per_name()), ..Limits::default() }));
    let run = life.send("a").await.unwrap();
    life = life.restart().await;
    // A hundred days: the run and its event are removed, the key is not.
    life.pass(100 * 86_400).await;
    assert!(life.bench.engine.run(&run, true).unwrap().is_none());
    assert_eq!(life.send("a").await, None);
    assert_eq!(life.why(), format!("once per name a: {run} was started for it"));
    assert!(life.send("b").await.is_some());
}

#[tokio::test]
async fn only_what_starts_is_used_up() {
    let mut limits = per_minute(1, Otherwise::Drop);
    limits.once_per = Some(per_name());
    limits.while_running = Some(WhileRunning::Skip);
    let mut life = Life::new(limited(limits));
    life.bench.service.fault("set", [Fault::Status(503)]);
    assert!(life.send("a").await.is_some());
    assert_eq!(life.send("b").await, None, "a run is under way");
    assert!(life.why().ends_with("is running, and the flow says `while running skip`"), "{}", life.why());
    life.pass(30).await;
    assert!(life.send("b").await.is_some(), "neither `once per` nor `at most` was used up");
    assert_eq!(life.send("b").await, None);
}

#[tokio::test]
async fn a_window_starts_with_every_third_event() {
    let window = Window { count: 3, within: Span::exact(3_600_000), per: per_name() };
    let mut life = Life::new(limited(Limits { window: Some(window), ..Limits::default() }));
    assert_eq!(life.send("a").await, None);
    assert_eq!(life.why(), "3 times within 1 hour for name a: this is number 1");
    assert_eq!(life.send("b").await, None);
    life.pass(1800).await;
    assert_eq!(life.send("a").await, None);
    life = life.restart().await;
    life.pass(1801).await;
    assert_eq!(life.send("a").await, None, "the first is more than an hour ago");
    assert!(life.send("a").await.is_some());
    assert_eq!(life.send("a").await, None, "the count begins anew");
}

#[tokio::test]
async fn what_completes_a_window_counts_though_it_is_dropped() {
    let window = Window { count: 2, within: Span::exact(3_600_000), per: per_name() };
    let limits = Limits { window: Some(window), ..per_minute(1, Otherwise::Drop) };
    let mut life = Life::new(limited(limits));
    assert_eq!(life.send("a").await, None);
    assert!(life.send("a").await.is_some());
    assert_eq!(life.send("a").await, None);
    assert_eq!(life.send("a").await, None);
    assert_eq!(life.why(), "at most 1 per minute for name a: this one is beyond it");
    life.pass(60).await;
    assert_eq!(life.send("a").await, None);
    assert!(life.send("a").await.is_some());
}

#[tokio::test]
async fn a_throttle_spreads_starts() {
    let throttle = Throttle { count: 2, every: Rate::Sliding(60_000), per: Vec::new() };
    let mut life = Life::new(limited(Limits { throttle: Some(throttle), ..Limits::default() }));
    for number in 0..6 {
        assert!(life.send(&format!("customer_{number}")).await.is_some());
    }
    life.pass(0).await;
    assert_eq!(life.effects(), 2);
    life = life.restart().await;
    for expected in [4, 6] {
        life.pass(59).await;
        assert_eq!(life.effects(), expected - 2);
        life.pass(1).await;
        assert_eq!(life.effects(), expected);
    }
    assert!(life.send("late").await.is_some());
    life.pass(0).await;
    assert_eq!(life.effects(), 6, "two began within the last minute");
}

#[tokio::test]
async fn one_at_a_time_keeps_the_order_of_arrival() {
    let mut life = Life::new(limited(Limits { one_at_a_time: Some(per_name()), ..Limits::default() }));
    life.bench.service.fault("set", [Fault::Status(503)]);
    let first = life.send("a").await.unwrap();
    let second = life.send("a").await.unwrap();
    let third = life.send("a").await.unwrap();
    let other = life.send("b").await.unwrap();
    assert_eq!(life.status(&other).await, "done");
    assert_eq!(life.status(&first).await, "waiting");
    let reason = life.bench.run(&second).await["reason"].as_str().unwrap().to_owned();
    assert_eq!(reason, format!("waits for its turn behind {first}"));
    life = life.restart().await;
    assert_eq!(life.status(&second).await, "waiting");
    life.pass(3600).await;
    let began = |run: serde_json::Value| run["steps"][0]["attempts"][0]["at"].as_str().unwrap().to_owned();
    for run in [&first, &second, &third] {
        assert_eq!(life.status(run).await, "done");
    }
    let ended = life.bench.run(&first).await["ended_at"].as_str().unwrap().to_owned();
    assert!(began(life.bench.run(&second).await) >= ended);
    assert_eq!(life.effects(), 4);
    assert!(life.send("a").await.is_some());
}

#[tokio::test]
async fn a_cancelled_run_leaves_the_line_and_gives_back_what_it_used_up() {
    let limits = Limits { one_at_a_time: Some(Vec::new()), once_per: Some(per_name()), ..Limits::default() };
    let mut life = Life::new(limited(limits));
    life.bench.service.fault("set", [Fault::Status(503)]);
    let first = life.send("a").await.unwrap();
    let second = life.send("b").await.unwrap();
    let third = life.send("c").await.unwrap();
    assert_eq!(life.send("b").await, None);
    assert_eq!(life.bench.engine.cancel(&second).await.unwrap(), CancelOutcome::Cancelled);
    let again = life.send("b").await.expect("the run for b never began");
    // The one that has the turn: the next is its turn at once.
    life.bench.engine.settled().await;
    assert_eq!(life.bench.engine.cancel(&first).await.unwrap(), CancelOutcome::Cancelled);
    assert_eq!(life.status(&third).await, "done");
    assert_eq!(life.status(&again).await, "done");
    assert_eq!(life.send("a").await, None, "the run for a had begun");
}

#[tokio::test]
async fn a_dead_run_has_no_turn_and_is_the_next_when_it_is_tried_again() {
    let mut life = Life::new(limited(Limits { one_at_a_time: Some(Vec::new()), ..Limits::default() }));
    life.bench.service.fault("set", [Fault::Status(422), Fault::Status(503)]);
    let first = life.send("a").await.unwrap();
    let second = life.send("b").await.unwrap();
    let third = life.send("c").await.unwrap();
    assert_eq!(life.status(&first).await, "dead");
    assert_eq!(life.status(&second).await, "waiting");
    assert_eq!(life.bench.engine.retry(&first, false).await.unwrap(), RetryOutcome::Retried);
    let found = life.bench.run(&first).await;
    assert_eq!(found["reason"].as_str().unwrap(), format!("waits for its turn behind {second}"));
    let refused = life.bench.engine.retry(&third, false).await.unwrap();
    assert!(matches!(refused, RetryOutcome::Refused(RetryRefusal::Waits(_))), "{refused:?}");
    life = life.restart().await;
    life.pass(3600).await;
    let began = |run: &serde_json::Value| run["steps"][0]["attempts"].as_array().unwrap().last().unwrap()["at"].to_string();
    let (first, third) = (life.bench.run(&first).await, life.bench.run(&third).await);
    assert_eq!((first["status"].as_str(), third["status"].as_str()), (Some("done"), Some("done")));
    assert!(began(&first) <= began(&third));
}

#[tokio::test]
async fn while_running_restart_ends_the_run_before() {
    let mut flow = limited(Limits { while_running: Some(WhileRunning::Restart), ..Limits::default() });
    let wait = plan::Instr::Wait(Box::new(plan::Wait::For(Span::exact(600_000))));
    flow.program.instrs.insert(0, wait);
    rehash(&mut flow);
    let mut life = Life::new(flow);
    let first = life.send("a").await.unwrap();
    life.pass(300).await;
    life = life.restart().await;
    let second = life.send("b").await.unwrap();
    let found = life.bench.run(&first).await;
    assert_eq!(found["status"], "cancelled");
    assert_eq!(found["reason"].as_str().unwrap(), format!("a newer event took its turn: {second}"));
    life.pass(599).await;
    assert_eq!(life.effects(), 0);
    life.pass(1).await;
    assert_eq!(life.effects(), 1);
    assert!(life.send("c").await.is_some());
}

#[tokio::test]
async fn while_running_queue_and_skip() {
    for (policy, expected) in [(WhileRunning::Queue, 2), (WhileRunning::Skip, 1)] {
        let mut life = Life::new(limited(Limits { while_running: Some(policy), ..Limits::default() }));
        life.bench.service.fault("set", [Fault::Status(503)]);
        assert!(life.send("a").await.is_some());
        assert_eq!(life.send("b").await.is_some(), policy == WhileRunning::Queue);
        life = life.restart().await;
        life.pass(600).await;
        assert_eq!(life.effects(), expected);
        assert!(life.send("c").await.is_some());
    }
}

#[tokio::test]
async fn what_is_too_old_neither_starts_nor_goes_on() {
    let mut life = Life::new(limited(Limits { fresh_ms: Some(30_000), ..Limits::default() }));
    let mut old = event_of("evt_old", "a", "happened");
    old.occurred_at = Some(at("2026-11-22T11:59:00Z"));
    assert!(life.bench.engine.accept("svc", vec![old], None).await.unwrap()[0].runs.is_empty());
    let event = life.bench.engine.event("evt_old").unwrap().remove(0);
    let why = life.bench.engine.why(&event, Some("f"), true).unwrap().remove(0);
    assert_eq!(why.reason, "the event is too old: 1 minute, where `fresh within 30 seconds` is asked for");
    // Fresh when it came; the service does not answer until it is not.
    life.bench.service.always("set", Some(Fault::Status(503)));
    let run = life.send("a").await.unwrap();
    life.pass(20).await;
    life = life.restart().await;
    life.bench.service.always("set", None);
    life.pass(600).await;
    let found = life.bench.run(&run).await;
    let tried = life.bench.service.requests("set").len();
    assert_eq!(found["status"], "stopped", "{found}");
    assert!(found["reason"].as_str().unwrap().starts_with("the event is too old"), "{found}");
    assert!(tried >= 1 && life.effects() == 0, "{tried}");
}

#[tokio::test]
async fn what_grows_old_between_intent_and_request_is_not_sent() {
    let mut life = Life::new(limited(Limits { fresh_ms: Some(30_000), ..Limits::default() }));
    life.bench.engine.settled().await;
    let faults = life.store.faults();
    faults.fail_after(1);
    let run = life.send("a").await.unwrap();
    while faults.refused() == 0 {
        tokio::task::yield_now().await;
        std::thread::yield_now();
    }
    // The intent is decided, and the disk refuses it for a minute.
    faults.heal();
    life.bench.clock.set(at("2026-11-22T12:01:00Z"));
    loop {
        tokio::select! {
            biased;
            () = life.bench.engine.settled() => break,
            () = tokio::task::yield_now() => {
                std::thread::yield_now();
                if let Some(next) = life.bench.clock.next().filter(|next| *next < at("2026-11-22T12:10:00Z")) {
                    life.bench.clock.set(next);
                }
            }
        }
    }
    assert_eq!(life.status(&run).await, "stopped");
    assert_eq!(life.bench.service.requests("set").len(), 0);
}

#[tokio::test]
async fn what_waits_too_long_for_its_turn_does_not_begin() {
    let limits =
        Limits { fresh_ms: Some(30_000), one_at_a_time: Some(Vec::new()), once_per: Some(per_name()), ..Limits::default() };
    let mut life = Life::new(limited(limits));
    life.bench.service.always("set", Some(Fault::Status(503)));
    life.send("a").await.unwrap();
    let second = life.send("b").await.unwrap();
    life.pass(3600).await;
    assert_eq!(life.status(&second).await, "stopped");
    assert!(life.bench.run(&second).await["steps"].as_array().unwrap().is_empty());
    life.bench.service.always("set", None);
    assert!(life.send("b").await.is_some(), "it had not begun");
}

#[tokio::test]
async fn tallies_that_say_nothing_any_more_are_removed() {
    let mut life = Life::new(limited(per_minute(1, Otherwise::Drop)));
    for number in 0..500 {
        assert!(life.send(&format!("customer_{number}")).await.is_some());
    }
    life.pass(70 * 86_400).await;
    let before = at("2030-01-01T00:00:00Z");
    let bite = flow_runtime::store::PruneBite {
        before,
        starts_before: before,
        from: flow_runtime::store::PruneFrom::default(),
        limit: 1000,
        look: 1000,
    };
    let pruned = life.store.prune(bite).await.unwrap();
    assert_eq!(pruned.tallies, 0, "removed in time, in small bites");
}

#[tokio::test]
async fn plans_without_limits_read_as_before() {
    let text = serde_json::to_string(&limited(Limits::default())).unwrap();
    assert!(!text.contains("limits"), "{text}");
}

#[tokio::test]
async fn a_limit_is_kept_by_those_that_a_stopped_daemon_is_late_for() {
    for every in [Rate::Sliding(60_000), Rate::Calendar { unit: CalendarUnit::Day, zone: "UTC".to_owned() }] {
        let throttle = Throttle { count: 3, every: every.clone(), per: Vec::new() };
        let at_most = AtMost { count: 3, per: Vec::new(), every: every.clone(), otherwise: Otherwise::Queue };
        let throttled = Limits { throttle: Some(throttle.clone()), ..Limits::default() };
        let queued = Limits { at_most: vec![at_most.clone()], ..Limits::default() };
        // The narrower one decides, whichever it is.
        let wider = Throttle { count: 4, ..throttle.clone() };
        let both = Limits { throttle: Some(wider), ..queued.clone() };
        let wider = AtMost { count: 4, ..at_most };
        let other = Limits { at_most: vec![wider], ..throttled.clone() };
        for limits in [throttled, queued, both, other] {
            late(limits, &every).await;
        }
    }
}

/// 20 come at once to a flow that lets three begin in a time, and the daemon does not run while all places pass.
async fn late(limits: Limits, every: &Rate) {
    let (length, begins) = match every {
        Rate::Sliding(_) => (60, 3_600),
        Rate::Calendar { .. } => (86_400, 8 * 86_400),
    };
    let mut life = Life::new(limited(limits.clone()));
    for _ in 0..20 {
        life.send("a").await;
    }
    life.pass(1).await;
    assert_eq!(life.effects(), 3);
    life.bench.engine.settled().await;
    let (clock, service) = (Arc::clone(&life.bench.clock), Arc::clone(&life.bench.service));
    let rest = Arc::new(life.store.copy().unwrap());
    life.bench.engine.stop(Duration::ZERO).await;
    clock.set(clock.now().checked_add(Duration::from_secs(begins)).unwrap());
    life.bench = Bench::over(Arc::clone(&rest) as _, life.flows.clone(), clock, service);
    life.store = rest;
    let mut done = life.effects();
    for _ in 0..6 {
        life.pass(1).await;
        let now = life.effects();
        assert!(now - done <= 3, "{limits:?}: {} at once", now - done);
        // One that comes now has no turn before its time either.
        life.send("b").await;
        life = life.restart().await;
        life.pass(1).await;
        assert_eq!(life.effects(), now, "{limits:?}");
        done = now;
        life.pass(length - 2).await;
    }
    life.pass(30 * 86_400).await;
    assert_eq!(life.effects(), 26, "none is lost");
}
