//! A door, and every way in which it could be opened for something old: nothing dangerous is done for an event from before a
//! restart, for one whose age nobody knows, or twice.

use std::sync::Arc;
use std::time::Duration;

use flow_plan::{AtMost, Effect, Flow, Instr, Limits, Otherwise, Rate, Throttle};
use flow_runtime::engine::{MoveOutcome, RetryOutcome};
use flow_runtime::event::{Incoming, Via};
use flow_runtime::run::{MoveRefusal, RetryRefusal, Status};
use flow_runtime::store::{MemoryStore, RunQuery};
use flow_runtime::world::Clock;
use jiff::{SignedDuration, Timestamp};

use crate::fixture::*;
use crate::reports::{listener, reported};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: i64 = 3600;

/// `fresh within 30 seconds do { before… unlock }`.
fn door(before: &[(&str, Effect)]) -> Flow {
    door_by(before, Effect::Once)
}

fn door_by(before: &[(&str, Effect)], effect: Effect) -> Flow {
    let mut operations: Vec<_> = before.iter().map(|(name, effect)| op(name, effect.clone())).collect();
    operations.push(op("open", effect));
    let mut flow = flow("f", operations);
    flow.limits = Limits { fresh_ms: Some(30_000), ..Limits::default() };
    is_dangerous(&mut flow);
    flow
}

/// The last step of a flow is one that opens a door.
fn is_dangerous(flow: &mut Flow) {
    if let Some(Instr::Call(call)) = flow.program.instrs.last_mut() {
        call.dangerous = true;
    }
    rehash(flow);
}

/// A bench over a store that survives it.
fn kept(flows: Vec<Flow>) -> (Bench, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::new().unwrap());
    (Bench::over(Arc::clone(&store) as _, flows, ManualClock::new(), Arc::default()), store)
}

impl Bench {
    fn ago(&self, seconds: i64) -> Timestamp {
        self.now() - SignedDuration::from_secs(seconds)
    }

    async fn set_by(&self, seconds: i64) {
        self.engine.settled().await;
        self.set(self.now() + SignedDuration::from_secs(seconds)).await;
        self.engine.settled().await;
    }

    /// Takes an event in; returns its run, where it started one.
    async fn take(&self, event: Incoming) -> Option<String> {
        let run = self.engine.accept("svc", vec![event], None).await.unwrap().remove(0).runs.pop();
        self.engine.settled().await;
        run
    }

    fn opened(&self) -> usize {
        self.service.requests("open").len()
    }

    /// Asserts that a run was stopped for a reason, and nothing opened.
    async fn is_shut(&self, run: &str, because: &str) {
        let told = self.run(run).await;
        assert_eq!((&told["status"], self.opened()), (&"stopped".into(), 0), "{told:#}");
        assert!(told["reason"].as_str().unwrap().contains(because), "{:#}", told["reason"]);
    }
}

fn polled(id: &str, at: Option<Timestamp>) -> Incoming {
    Incoming { via: Via::Poll, occurred_at: at, ..incoming(id, EVENT) }
}

fn signed(id: &str, at: Timestamp) -> Incoming {
    Incoming { signed_at: Some(at), ..incoming(id, EVENT) }
}

#[tokio::test]
async fn what_has_just_happened_opens_it_once() {
    let bench = Bench::new(vec![door(&[])]);
    bench.pass(MINUTE).await;
    for event in [incoming("evt_1", EVENT), polled("evt_2", Some(bench.ago(10))), signed("evt_3", bench.ago(10))] {
        let before = bench.opened();
        let run = bench.take(event.clone()).await.unwrap();
        bench.pass(SECOND).await;
        assert_eq!((bench.status(&run).await.as_str(), bench.opened()), ("done", before + 1));
        assert!(bench.take(event).await.is_none(), "it is known");
        assert_eq!(bench.opened(), before + 1);
    }
}

#[tokio::test]
async fn a_copy_of_a_message_with_an_id_and_no_time_opens_nothing_when_its_id_is_long_forgotten() {
    let bench = Bench::new(vec![door(&[])]);
    bench.take(incoming("evt_1", EVENT)).await.unwrap();
    // Events are kept for 30 days. Of these days each 10 seconds are played, since a flow with a door is live.
    bench.pass(34 * 24 * HOUR as u32 * SECOND).await;
    assert!(bench.engine.event("evt_1").unwrap().is_empty(), "it is gone");
    assert!(bench.take(incoming("evt_1", EVENT)).await.is_none());
    assert_eq!(bench.opened(), 1);
    assert!(bench.take(incoming("evt_2", EVENT)).await.is_some());
    assert_eq!(bench.opened(), 2);
}

#[tokio::test]
async fn a_message_that_was_held_back_is_as_old_as_its_signature() {
    let bench = Bench::new(vec![door(&[])]);
    bench.pass(HOUR as u32 * SECOND).await;
    assert!(bench.take(signed("evt_1", bench.ago(31))).await.is_none());
    // The older of the two counts, whichever that is.
    let event = Incoming { occurred_at: Some(bench.now()), ..signed("evt_2", bench.ago(31)) };
    assert!(bench.take(event).await.is_none());
    let event = Incoming { occurred_at: Some(bench.ago(31)), ..signed("evt_3", bench.now()) };
    assert!(bench.take(event).await.is_none());
    let why = bench.engine.why(&bench.engine.event("evt_1").unwrap().remove(0), Some("f"), true).unwrap();
    assert!(why[0].reason.contains("too old"), "{why:?}");
    assert_eq!(bench.opened(), 0);
    // It grows old while the run waits, too.
    bench.service.fault("open", [Fault::NotConnected, Fault::NotConnected, Fault::NotConnected, Fault::NotConnected]);
    let run = bench.take(signed("evt_4", bench.ago(28))).await.unwrap();
    bench.pass(MINUTE).await;
    assert_eq!(bench.status(&run).await, "stopped");
    assert!(bench.service.effects("open").is_empty());
}

#[tokio::test]
async fn what_happened_before_the_start_and_is_found_after_it_opens_nothing() {
    let (bench, store) = kept(vec![door(&[])]);
    bench.pass(MINUTE).await;
    let before = bench.ago(5);
    let (bench, _) = restart(bench, &store, vec![door(&[])]).await;
    bench.pass(SECOND).await;
    for event in [polled("evt_1", Some(before)), signed("evt_2", before)] {
        let run = bench.take(event).await.unwrap();
        bench.is_shut(&run, "from before the daemon was started").await;
    }
    // What may be from before, since the daemon was killed and nobody knows until when it lived, is over soon.
    bench.pass(15 * SECOND).await;
    let run = bench.take(polled("evt_3", Some(bench.now()))).await.unwrap();
    assert_eq!((bench.status(&run).await.as_str(), bench.opened()), ("done", 1));
}

#[tokio::test]
async fn what_has_no_time_and_is_found_by_a_poll_opens_nothing() {
    let bench = Bench::new(vec![door(&[])]);
    let run = bench.take(polled("evt_1", None)).await.unwrap();
    bench.is_shut(&run, "has no time").await;
}

#[tokio::test]
async fn what_is_of_a_time_to_come_opens_nothing() {
    let bench = Bench::new(vec![door(&[])]);
    bench.pass(MINUTE).await;
    for (id, event) in [polled("", Some(bench.ago(-3))), signed("", bench.ago(-60))].into_iter().enumerate() {
        let run = bench.take(Incoming { id: format!("evt_{id}"), ..event }).await.unwrap();
        bench.is_shut(&run, "nobody can say how old it is").await;
    }
    // By so much clocks differ.
    bench.take(signed("evt_2", bench.ago(-2))).await.unwrap();
    assert_eq!(bench.opened(), 1);
}

#[tokio::test]
async fn while_the_clock_is_behind_nothing_is_opened_and_then_again() {
    let bench = Bench::new(vec![door(&[])]);
    bench.pass(10 * MINUTE).await;
    let old = signed("evt_1", bench.ago(600));
    bench.set_by(-600).await;
    // By the clock it is signed now.
    let run = bench.take(old).await.unwrap();
    bench.is_shut(&run, "has shown 2026-11-22T12:10:00.000Z").await;
    assert_eq!(bench.engine.clock_is_behind(), Some(at("2026-11-22T12:10:00Z")));
    bench.pass(9 * MINUTE).await;
    let run = bench.take(incoming("evt_2", EVENT)).await.unwrap();
    bench.is_shut(&run, "nobody can say").await;
    bench.pass(MINUTE).await;
    assert_eq!(bench.engine.clock_is_behind(), None);
    bench.take(incoming("evt_3", EVENT)).await.unwrap();
    assert_eq!(bench.opened(), 1);
}

#[tokio::test]
async fn a_clock_that_is_kept_right_opens_doors() {
    let bench = Bench::new(vec![door(&[])]);
    for step in 0..20 {
        bench.pass(MINUTE).await;
        bench.leap(SignedDuration::from_secs(if step % 2 == 0 { -1 } else { 1 })).await;
        bench.take(incoming(&format!("evt_{step}"), EVENT)).await.unwrap();
        assert_eq!(bench.opened(), step + 1);
    }
}

#[tokio::test]
async fn many_small_steps_back_are_one_large_one() {
    let bench = Bench::new(vec![door(&[])]);
    bench.pass(10 * MINUTE).await;
    let old = signed("evt_1", bench.ago(60));
    for _ in 0..60 {
        bench.set_by(-1).await;
    }
    let run = bench.take(old).await.unwrap();
    bench.is_shut(&run, "nobody can say").await;
}

#[tokio::test]
async fn a_run_that_waits_is_stopped_where_the_clock_is_set_back_under_it() {
    for seconds in [-20, -3600] {
        let bench = Bench::new(vec![door(&[("set", Effect::Set)])]);
        bench.service.fault("set", [Fault::RetryAfter(429, 25)]);
        let run = bench.take(incoming("evt_1", EVENT)).await.unwrap();
        bench.pass(20 * SECOND).await;
        bench.set_by(seconds).await;
        bench.pass(MINUTE).await;
        assert_eq!(bench.opened(), 0, "{seconds}");
        assert_eq!(bench.status(&run).await, "stopped", "{seconds}");
    }
}

/// The same for what is not dangerous: `fresh within` is kept.
#[tokio::test]
async fn an_event_is_as_old_as_it_is_though_the_clock_was_set_back() {
    for while_down in [false, true] {
        let mut flow = flow("f", vec![op("set", Effect::Set), op("act", Effect::Set)]);
        flow.limits = Limits { fresh_ms: Some(250_000), ..Limits::default() };
        rehash(&mut flow);
        let (mut bench, store) = kept(vec![flow.clone()]);
        bench.service.fault("set", [Fault::RetryAfter(429, 300)]);
        let run = bench.take(incoming("evt_1", EVENT)).await.unwrap();
        bench.pass(200 * SECOND).await;
        if while_down {
            bench.clock.set(bench.ago(HOUR));
            bench = restart(bench, &store, vec![flow]).await.0;
        } else {
            bench.set_by(-HOUR).await;
        }
        bench.pass(20 * MINUTE).await;
        let told = bench.run(&run).await;
        assert_eq!((&told["status"], bench.service.requests("act").len()), (&"stopped".into(), 0), "{told:#}");
        let reason = if while_down { "the clock was set back" } else { "too old: 5 minutes" };
        assert!(told["reason"].as_str().unwrap().contains(reason), "{told:#}");
        // What comes from now on is as young as it seems.
        let run = bench.take(incoming("evt_2", EVENT)).await.unwrap();
        assert_eq!(bench.status(&run).await, "done");
    }
}

#[tokio::test]
async fn a_machine_that_starts_with_an_old_time_opens_nothing_until_it_has_the_right_one() {
    for crashes in [false, true] {
        let (bench, store) = kept(vec![door(&[])]);
        bench.pass(5 * MINUTE).await;
        let old = signed("evt_1", bench.ago(-5));
        bench.pass(2 * MINUTE).await;
        let now = bench.now();
        let (copy, clock, service) = (Arc::new(store.copy().unwrap()), Arc::clone(&bench.clock), Arc::clone(&bench.service));
        bench.engine.stop(Duration::ZERO).await;
        let store = if crashes { copy } else { Arc::new(store.copy().unwrap()) };
        clock.set(now - SignedDuration::from_secs(116));
        let bench = Bench::over(store as _, vec![door(&[])], clock, service);
        assert!(bench.engine.clock_is_behind().is_some(), "crashes: {crashes}");
        let run = bench.take(old).await.unwrap();
        bench.is_shut(&run, "has shown").await;
        // It was killed: until when it lived is not known to the second.
        bench.set_by(if crashes { 116 + 15 } else { 116 }).await;
        bench.take(signed("evt_2", bench.now())).await.unwrap();
        assert_eq!(bench.opened(), 1);
    }
}

#[tokio::test]
async fn who_says_that_the_clock_is_right_is_believed_over_restarts_and_for_what_comes_from_then_on() {
    let (bench, store) = kept(vec![door(&[])]);
    bench.set_by(365 * 24 * HOUR).await;
    bench.take(incoming("evt_0", EVENT)).await.unwrap();
    // It was another year.
    bench.set_by(-365 * 24 * HOUR).await;
    bench.take(incoming("evt_1", EVENT)).await.unwrap();
    assert_eq!((bench.opened(), bench.engine.clock_is_behind()), (1, Some(at("2027-11-22T12:00:00Z"))));
    let before = bench.engine.trust_clock().await.unwrap();
    assert_eq!(before, at("2027-11-22T12:00:00Z"));
    assert_eq!(bench.engine.clock_is_behind(), None);
    bench.pass(10 * SECOND).await;
    let run = bench.take(signed("evt_2", bench.ago(11))).await.unwrap();
    let told = bench.run(&run).await;
    assert!(told["status"] == "stopped" && told["reason"].as_str().unwrap().contains("from before"), "{told:#}");
    bench.take(incoming("evt_3", EVENT)).await.unwrap();
    assert_eq!(bench.opened(), 2);
    let (bench, _) = restart(bench, &store, vec![door(&[])]).await;
    assert_eq!(bench.engine.clock_is_behind(), None);
    bench.pass(SECOND).await;
    bench.take(incoming("evt_4", EVENT)).await.unwrap();
    assert_eq!(bench.opened(), 3);
}

#[tokio::test]
async fn what_may_have_happened_is_never_repeated_whatever_the_effect_class_and_whoever_asks() {
    for effect in [Effect::Once, Effect::Set, keyed(), findable()] {
        for fault in [Fault::TimeoutAfter, Fault::TimeoutBefore, Fault::StatusAfter(500), Fault::Nonsense, Fault::Panic] {
            let what = format!("{effect:?}, {fault:?}");
            let bench = Bench::new(vec![door_by(&[], effect.clone())]);
            bench.service.fault("open", [fault]);
            let run = bench.take(incoming("evt_1", EVENT)).await.unwrap();
            bench.pass(20 * SECOND).await;
            assert_eq!(bench.opened(), 1, "{what}");
            if bench.status(&run).await == "done" {
                // It was looked up, and had happened.
                assert!(matches!(effect, Effect::Findable { .. }), "{what}");
                continue;
            }
            assert_eq!(bench.status(&run).await, "dead", "{what}");
            for force in [false, true] {
                let outcome = bench.engine.retry(&run, force).await.unwrap();
                let RetryOutcome::Refused(refusal @ RetryRefusal::Dangerous { .. }) = outcome else {
                    panic!("{what}: {outcome:?}");
                };
                assert!(refusal.to_string().contains("never repeated"), "{refusal}");
            }
            bench.pass(MINUTE).await;
            assert_eq!(bench.opened(), 1, "{what}");
        }
    }
}

#[tokio::test]
async fn an_edit_and_a_move_repeat_nothing_that_may_have_happened() {
    for effect in [Effect::Once, Effect::Set, keyed(), findable()] {
        let bench = Bench::new(vec![door_by(&[], effect.clone())]);
        bench.service.fault("open", [Fault::TimeoutBefore]);
        bench.service.always("find", Some(Fault::Status(400)));
        let run = bench.take(incoming("evt_1", EVENT)).await.unwrap();
        bench.pass(10 * SECOND).await;
        assert_eq!((bench.status(&run).await.as_str(), bench.opened()), ("dead", 1), "{effect:?}");
        // What it sends is another request now.
        let mut edited = door_by(&[], effect.clone());
        if let Some(Instr::Call(call)) = edited.program.instrs.last_mut() {
            call.args[0].value = flow_plan::Expr::Const(flow_plan::Value::text("other"));
        }
        rehash(&mut edited);
        bench.engine.swap(live(vec![edited]));
        let moved = bench.engine.migrate(&run, false).await.unwrap();
        assert!(matches!(moved, MoveOutcome::Refused(MoveRefusal::OutcomeUnknown(_))), "{effect:?}: {moved:?}");
        bench.engine.retry(&run, true).await.unwrap();
        bench.pass(10 * SECOND).await;
        assert_eq!(bench.opened(), 1, "{effect:?}");
    }
}

#[tokio::test]
async fn who_waited_for_the_connection_for_a_turn_or_for_a_limit_opens_nothing_old() {
    let in_turn = |limits: &mut Limits| limits.one_at_a_time = Some(Vec::new());
    let queued = |limits: &mut Limits| {
        let every = Rate::Sliding(60_000);
        limits.at_most = vec![AtMost { count: 1, per: Vec::new(), every, otherwise: Otherwise::Queue }];
    };
    let throttled =
        |limits: &mut Limits| limits.throttle = Some(Throttle { count: 1, every: Rate::Sliding(60_000), per: Vec::new() });
    let all: [&dyn Fn(&mut Limits); 3] = [&in_turn, &queued, &throttled];
    for restarts in [false, true] {
        for (number, limit) in all.into_iter().enumerate() {
            let what = format!("{number}, restarts: {restarts}");
            let mut flow = door(&[("set", Effect::Set)]);
            limit(&mut flow.limits);
            rehash(&mut flow);
            let (mut bench, store) = kept(vec![flow.clone()]);
            // The first holds the turn until both are too old.
            bench.service.fault("set", [Fault::RetryAfter(429, 40)]);
            for id in ["evt_1", "evt_2"] {
                bench.take(incoming(id, EVENT)).await.unwrap();
            }
            if restarts {
                bench = restart(bench, &store, vec![flow]).await.0;
            }
            bench.pass(5 * MINUTE).await;
            assert_eq!(bench.opened(), 0, "{what}");
            let query = RunQuery { limit: 9, ..RunQuery::default() };
            assert!(bench.engine.runs(&query).unwrap().iter().all(|run| run.status == Status::Stopped), "{what}");
        }
    }
    let bench = Bench::new(vec![door(&[])]);
    bench.service.always("open", Some(Fault::Status(401)));
    let run = bench.take(incoming("evt_1", EVENT)).await.unwrap();
    bench.pass(20 * SECOND).await;
    assert_eq!(bench.status(&run).await, "parked");
    bench.pass(15 * SECOND).await;
    bench.service.always("open", None);
    bench.pass(5 * MINUTE).await;
    assert_eq!((bench.status(&run).await.as_str(), bench.service.effects("open").len()), ("stopped", 0));
}

/// Lets a flow wait for an event before its first step, and has one come that was signed so many seconds ago. Returns the run.
async fn waited_for(mut waits: Flow, ago: i64) -> (Bench, String) {
    let mut wait = wait_for("1", 2);
    wait.trigger = flow_plan::TriggerUse { types: vec!["other".to_owned()], ..trigger("failed") };
    waits.program.instrs.insert(0, Instr::WaitFor(Box::new(wait)));
    rehash(&mut waits);
    let bench = Bench::new(vec![waits]);
    bench.pass(10 * MINUTE).await;
    let run = bench.take(incoming("evt_1", EVENT)).await.unwrap();
    bench.pass(10 * SECOND).await;
    bench.take(Incoming { signed_at: Some(bench.ago(ago)), ..event_of("evt_2", "Jane", "other") }).await;
    bench.pass(SECOND).await;
    (bench, run)
}

#[tokio::test]
async fn what_a_run_waited_for_is_as_young_as_what_began_it() {
    for (ago, opened) in [(5, 1), (31, 0), (-60, 0)] {
        let (bench, run) = waited_for(door(&[]), ago).await;
        assert_eq!(bench.opened(), opened, "{ago}: {}", bench.run(&run).await);
    }
}

#[tokio::test]
async fn fresh_is_asked_of_what_a_run_waited_for_too() {
    for (ago, done) in [(5, 1), (31, 0)] {
        let mut waits = flow("f", vec![op("open", Effect::Once)]);
        waits.limits = Limits { fresh_ms: Some(30_000), ..Limits::default() };
        let (bench, run) = waited_for(waits, ago).await;
        assert_eq!(bench.opened(), done, "{ago}: {}", bench.run(&run).await);
    }
}

#[tokio::test]
async fn a_handler_of_failures_opens_nothing_old() {
    let mut flow = flow("f", vec![op("act", Effect::Once), op("open", Effect::Once)]);
    flow.limits = Limits { fresh_ms: Some(30_000), ..Limits::default() };
    flow.program.on_error = Some(flow_plan::ErrorHandler { to: 2, error: 0 });
    flow.program.instrs.insert(1, Instr::Finish);
    is_dangerous(&mut flow);
    for waits in [20, 40] {
        let (bench, store) = kept(vec![flow.clone()]);
        bench.service.fault("act", [Fault::RetryAfter(429, waits), Fault::Status(400)]);
        let run = bench.take(incoming("evt_1", EVENT)).await.unwrap();
        bench.pass(2 * MINUTE).await;
        assert_eq!(bench.opened(), usize::from(waits == 20), "{}", bench.run(&run).await);
        // And after a restart neither.
        let (bench, _) = {
            bench.service.fault("act", [Fault::RetryAfter(429, 10), Fault::Status(400)]);
            bench.take(incoming("evt_2", EVENT)).await.unwrap();
            restart(bench, &store, vec![flow.clone()]).await
        };
        let before = bench.opened();
        bench.pass(2 * MINUTE).await;
        assert_eq!(bench.opened(), before);
    }
}

#[tokio::test]
async fn what_surely_did_not_happen_is_tried_again_as_long_as_the_event_is_fresh() {
    for fault in [Fault::NotConnected, Fault::RetryAfter(429, 5), Fault::RetryAfter(503, 5)] {
        let bench = Bench::new(vec![door(&[])]);
        bench.service.fault("open", [fault]);
        let run = bench.take(incoming("evt_1", EVENT)).await.unwrap();
        bench.pass(20 * SECOND).await;
        assert_eq!((bench.status(&run).await.as_str(), bench.service.effects("open").len()), ("done", 1));
    }
    let bench = Bench::new(vec![door(&[])]);
    bench.service.fault("open", [Fault::Status(400)]);
    let run = bench.take(incoming("evt_1", EVENT)).await.unwrap();
    assert_eq!(bench.status(&run).await, "dead");
    bench.pass(31 * SECOND).await;
    bench.engine.retry(&run, true).await.unwrap();
    bench.engine.settled().await;
    assert_eq!((bench.status(&run).await.as_str(), bench.opened()), ("stopped", 1), "refused, and too old by now");
}

#[tokio::test]
async fn a_crash_between_intent_and_answer_opens_nothing_more() {
    let (bench, store) = kept(vec![door(&[])]);
    bench.service.fault("open", [Fault::Hang]);
    let run = bench.send("evt_1", EVENT).await.runs.remove(0);
    while bench.opened() == 0 {
        tokio::task::yield_now().await;
    }
    let (bench, _) = restart(bench, &store, vec![door(&[])]).await;
    bench.pass(MINUTE).await;
    assert_eq!((bench.status(&run).await.as_str(), bench.opened()), ("dead", 1));
    let outcome = bench.engine.retry(&run, true).await.unwrap();
    assert!(matches!(outcome, RetryOutcome::Refused(RetryRefusal::Dangerous { .. })), "{outcome:?}");
}

/// A flow that causes events of the door's flow, by an action of its own.
fn causing(id: &str) -> Flow {
    let mut makes = op("make", keyed());
    makes.emits = vec!["svc.happened".to_owned()];
    let mut flow = flow(id, vec![makes]);
    flow.triggers[0].types = vec!["other".to_owned()];
    flow.triggers[0].name = "failed".to_owned();
    rehash(&mut flow);
    flow
}

/// The event by which the service tells of what `make` has made.
fn made() -> Incoming {
    incoming("evt_made", &EVENT.replace("ch_1", "make-1"))
}

#[tokio::test]
async fn a_young_event_that_an_old_one_caused_opens_nothing() {
    for ago in [0, 40] {
        let bench = Bench::new(vec![door(&[]), causing("g")]);
        bench.pass(HOUR as u32 * SECOND).await;
        let cause = Incoming { occurred_at: Some(bench.ago(ago)), ..event_of("evt_1", "Jane", "other") };
        assert!(bench.take(cause).await.is_some());
        assert_eq!(bench.service.effects("make").len(), 1);
        let run = bench.take(made()).await.unwrap();
        match ago {
            0 => assert_eq!(bench.opened(), 1),
            _ => bench.is_shut(&run, "its event was caused by").await,
        }
    }
}

#[tokio::test]
async fn nor_one_that_was_caused_by_an_event_from_before_a_start_or_by_a_replay() {
    let flows = || vec![door(&[]), causing("g")];
    let (bench, store) = kept(flows());
    bench.service.fault("make", [Fault::RetryAfter(429, 10)]);
    bench.take(event_of("evt_1", "Jane", "other")).await.unwrap();
    let (bench, _) = restart(bench, &store, flows()).await;
    bench.pass(15 * SECOND).await;
    assert_eq!(bench.service.effects("make").len(), 1);
    let run = bench.take(made()).await.unwrap();
    bench.is_shut(&run, "from before the daemon was started").await;

    let bench = Bench::new(vec![door(&[])]);
    bench.take(event_of("evt_1", "Jane", "other")).await;
    bench.engine.swap(live(flows()));
    let query = flow_runtime::replay::ReplayQuery {
        flow: "g".to_owned(),
        event: Some("evt_1".to_owned()),
        ..flow_runtime::replay::ReplayQuery::default()
    };
    bench.engine.replay(&query).await.unwrap();
    bench.engine.settled().await;
    assert_eq!(bench.service.effects("make").len(), 1);
    let run = bench.take(made()).await.unwrap();
    bench.is_shut(&run, "a replay").await;
}

#[tokio::test]
async fn a_death_opens_a_door_only_where_what_died_was_fresh() {
    for waits in [0, 60] {
        let mut opens = listener("f", "dead");
        opens.operations = vec![Arc::new(op("open", Effect::Once))];
        opens.limits = Limits { fresh_ms: Some(30_000), ..Limits::default() };
        is_dangerous(&mut opens);
        let dies = flow("g", vec![op("act", Effect::Once)]);
        let store = Arc::new(MemoryStore::new().unwrap());
        let bench = Bench::with_live(store, reported(vec![opens, dies]), ManualClock::new(), Arc::default());
        bench.service.fault("act", [Fault::RetryAfter(429, waits), Fault::Status(400)]);
        bench.take(incoming("evt_1", EVENT)).await.unwrap();
        bench.pass(3 * MINUTE).await;
        assert_eq!(bench.started("f").len(), 1);
        assert_eq!(bench.opened(), usize::from(waits == 0));
    }
}

#[tokio::test]
async fn a_clock_that_creeps_back_makes_nothing_young() {
    let (bench, _) = kept(vec![door(&[])]);
    let signed_at = Some(bench.now());
    for number in 0..120 {
        bench.pass(Duration::from_millis(500)).await;
        bench.leap(SignedDuration::from_millis(-480)).await;
        let noise = Incoming { event_type: Some("other".to_owned()), ..incoming(&format!("noise_{number}"), EVENT) };
        bench.take(noise).await;
    }
    // By the clock it is of two seconds ago, and it is of a minute ago.
    let run = bench.take(Incoming { signed_at, ..incoming("held", EVENT) }).await;
    if let Some(run) = run {
        bench.is_shut(&run, "the clock shows").await;
    }
    assert_eq!(bench.opened(), 0);
}

#[tokio::test]
async fn what_is_too_late_when_its_connection_stands_is_not_sent() {
    // Too old by then, or nobody knows how old; and a step that is not dangerous.
    for (dangerous, passes, leaps) in [(true, 31, 0), (true, 1, -60), (true, 0, -600), (false, 31, 0), (false, 31, -20)] {
        let mut flow = door(&[]);
        if let Some(Instr::Call(call)) = flow.program.instrs.last_mut() {
            call.dangerous = dangerous;
        }
        rehash(&mut flow);
        let (bench, _) = kept(vec![flow]);
        let clock = Arc::clone(&bench.clock);
        bench.service.while_connecting(move || {
            clock.set(clock.now() + SignedDuration::from_secs(passes));
            clock.leap(clock.now() + SignedDuration::from_secs(leaps));
        });
        let run = bench.take(incoming("evt_1", EVENT)).await.unwrap();
        bench.pass(MINUTE * 11).await;
        assert_eq!((bench.status(&run).await.as_str(), bench.opened()), ("stopped", 0), "{dangerous} {passes} {leaps}");
    }
    let (bench, _) = kept(vec![door(&[])]);
    let clock = Arc::clone(&bench.clock);
    bench.service.while_connecting(move || clock.set(clock.now() + SignedDuration::from_secs(9)));
    bench.take(incoming("evt_1", EVENT)).await.unwrap();
    assert_eq!(bench.opened(), 1);
}

#[tokio::test]
async fn a_start_behind_a_kill_takes_nothing_for_young_that_was_signed_before_it() {
    for (lived, back) in [(3, 1), (8, 5), (19, 9), (19, 12), (58, 50), (125, 60)] {
        let (bench, store) = kept(vec![door(&[])]);
        bench.take(incoming("noise", EVENT)).await;
        assert_eq!(bench.opened(), 1);
        bench.pass(SECOND * lived).await;
        let before = bench.now();
        // It is killed, and the clock of its machine is behind when it starts again.
        bench.leap(SignedDuration::from_secs(-back)).await;
        let (bench, _) = restart(bench, &store, vec![door(&[])]).await;
        for number in 0..20 {
            bench.pass(SECOND * 5).await;
            if bench.now() < before {
                continue;
            }
            bench.take(signed(&format!("held_{number}"), before)).await;
            assert_eq!(bench.opened(), 1, "{lived} {back}: behind {} seconds", number * 5);
        }
        let signed_at = Some(bench.now());
        bench.take(Incoming { signed_at, ..incoming("new", EVENT) }).await;
        assert_eq!(bench.opened(), 2, "{lived} {back}");
    }
}

#[tokio::test]
async fn a_start_behind_an_orderly_stop_acts_on_what_is_signed_at_once() {
    let (bench, store) = kept(vec![door(&[])]);
    bench.pass(SECOND * 7).await;
    let (clock, service) = (Arc::clone(&bench.clock), Arc::clone(&bench.service));
    let signed_before = Some(bench.ago(1));
    bench.engine.stop(Duration::ZERO).await;
    drop(bench);
    let bench = Bench::over(store as _, vec![door(&[])], clock, service);
    bench.take(Incoming { signed_at: signed_before, ..incoming("held", EVENT) }).await;
    assert_eq!(bench.opened(), 0);
    let signed_at = Some(bench.now());
    bench.take(Incoming { signed_at, ..incoming("new", EVENT) }).await;
    assert_eq!(bench.opened(), 1);
}
