//! What simulations have found, each in few words.

use std::sync::Arc;
use std::time::Duration;

use flow_plan::{self as plan, Effect, Flow, Instr};
use flow_runtime::engine::{Engine, EngineOptions};
use flow_runtime::event::Incoming;
use flow_runtime::store::MemoryStore;
use flow_runtime::world::{Clock, World};
use jiff::SignedDuration;

use super::clock::SimClock;
use crate::fixture::*;

const HOUR: Duration = Duration::from_secs(3600);

async fn many_turns() {
    for _ in 0..300 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_broken_connection_with_a_request_under_way_is_waited_for_in_peace() {
    let (clock, service) = (Arc::new(SimClock::new(at("2026-11-22T12:00:00Z"), false)), Arc::new(Service::default()));
    let flows = vec![flow("slow", vec![op("slow", Effect::Set)]), flow("refused", vec![op("set", Effect::Set)])];
    let world = World { clock: Arc::clone(&clock) as _, ..world(&ManualClock::new(), &service) };
    service.fault("slow", [Fault::Hang]);
    service.fault("set", [Fault::Status(401)]);
    let engine = Engine::start(Arc::new(MemoryStore::at_once()), live(flows), world, EngineOptions::default()).unwrap();
    engine.accept("svc", vec![incoming("evt_1", EVENT)], None).await.unwrap();
    many_turns().await;
    // The time has come to try whether it works again, and the request from before has no answer yet.
    clock.set(clock.now() + SignedDuration::from_mins(5));
    many_turns().await;
    assert!(clock.in_vain() < 100, "asked {} times whether it is time", clock.in_vain());
}

#[tokio::test]
async fn a_panic_of_the_run_that_tries_a_broken_connection_leaves_it_to_the_next() {
    let bench = Bench::new(vec![flow("f", vec![op("set", Effect::Set)])]);
    bench.service.fault("set", [Fault::Status(401), Fault::Panic]);
    let first = bench.send("evt_1", EVENT).await.runs.remove(0);
    let second = bench.send("evt_2", EVENT).await.runs.remove(0);
    bench.pass(HOUR).await;
    let mut statuses = [bench.status(&first).await, bench.status(&second).await];
    statuses.sort();
    assert_eq!(statuses, ["dead", "done"]);
}

fn waits_for_other() -> Flow {
    let mut flow = flow("f", vec![op("set", Effect::Set)]);
    let wait = plan::WaitFor {
        trigger: plan::TriggerUse { types: vec!["other".to_owned()], name: "failed".to_owned(), ..trigger("failed") },
        up_to: Some(plan::Span::exact(600_000)),
        ..wait_for("1", 2)
    };
    flow.program.instrs.insert(0, Instr::WaitFor(Box::new(wait)));
    rehash(&mut flow);
    flow
}

#[tokio::test]
async fn a_full_disk_is_not_asked_without_a_pause_by_a_run_that_begins_to_wait() {
    for passes in [0, 700] {
        let store = Arc::new(MemoryStore::at_once());
        let bench = Bench::over(Arc::clone(&store) as _, vec![waits_for_other()], ManualClock::new(), Arc::default());
        bench.engine.settled().await;
        // The event, and the beginning of the wait; not that it has looked for what came before.
        store.faults().fail_after(2);
        let run = bench.send("evt_1", EVENT).await.runs.remove(0);
        many_turns().await;
        // Before its bound, and behind it.
        bench.set(bench.now() + SignedDuration::from_secs(passes)).await;
        many_turns().await;
        let refused = store.faults().refused();
        assert!((1..10).contains(&refused), "{refused} writes were tried in one moment");
        store.faults().heal();
        if passes == 0 {
            bench.pass(Duration::from_secs(5)).await;
            let other = Incoming { event_type: Some("other".to_owned()), ..incoming("evt_2", EVENT) };
            bench.engine.accept("svc", vec![other], None).await.unwrap();
        }
        bench.pass(HOUR).await;
        assert_eq!(bench.status(&run).await, "done");
    }
}

#[tokio::test]
async fn a_dangerous_step_is_not_performed_after_a_restart_though_the_clock_was_set_back() {
    let mut flow = flow("f", vec![op("set", Effect::Set), op("open", Effect::Once)]);
    if let Some(Instr::Call(call)) = flow.program.instrs.last_mut() {
        call.dangerous = true;
    }
    rehash(&mut flow);
    let store = Arc::new(MemoryStore::new().unwrap());
    let bench = Bench::over(Arc::clone(&store) as _, vec![flow.clone()], ManualClock::new(), Arc::default());
    bench.service.fault("set", [Fault::RetryAfter(429, 60)]);
    let run = bench.send("evt_1", EVENT).await.runs.remove(0);
    bench.engine.settled().await;
    bench.clock.set(bench.now() - SignedDuration::from_mins(30));
    let (bench, _) = restart(bench, &store, vec![flow]).await;
    bench.pass(HOUR).await;
    let stopped = bench.run(&run).await;
    assert_eq!(stopped["status"], "stopped", "{stopped}");
    assert_eq!(bench.service.requests("open").len(), 0);
}
