//! Events get their numbers where the store sorts them in. What is asked of the order before that is right all the same.

use std::sync::Arc;
use std::time::Duration;

use flow_plan::{Effect, Flow, Instr, Limits};
use flow_runtime::engine::{Engine, EngineOptions};
use flow_runtime::event::Incoming;
use flow_runtime::store::{MemoryStore, RedbStore, Store};
use jiff::SignedDuration;

use crate::fixture::*;
use crate::inbox::{DATABASE, Machine};

async fn eventually(what: &str, probe: impl Fn() -> bool) {
    let patience = std::time::Instant::now() + Duration::from_secs(60);
    while !probe() {
        assert!(std::time::Instant::now() < patience, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// `before`, where there is one, a wait for an event of the other type, and `paid`.
fn waits(first: Option<&str>, from_now: bool) -> Flow {
    let steps = first.into_iter().chain(["paid"]).map(|name| op(name, Effect::Set)).collect();
    let mut flow = flow("f", steps);
    let mut wait = wait_for("2", 0);
    wait.from_now = from_now;
    (wait.condition, wait.key, wait.up_to) = (None, None, None);
    wait.trigger = flow_plan::TriggerUse { types: vec!["other".to_owned()], ..trigger("failed") };
    flow.program.instrs.insert(usize::from(first.is_some()), Instr::WaitFor(Box::new(wait)));
    rehash(&mut flow);
    flow
}

fn other(id: &str) -> Incoming {
    event_of(id, "a", "other")
}

async fn accept(engine: &Engine, event: Incoming) {
    engine.accept("svc", vec![event], None).await.unwrap();
}

/// The event that a run of the flow has waited for.
fn came(engine: &Engine) -> Option<String> {
    let run = engine.runs(&flow_runtime::store::RunQuery { limit: 1, ..Default::default() }).unwrap().pop()?;
    let run = engine.run(&run.id, true).unwrap()?;
    run["waits"][0]["event"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn a_run_that_waits_before_anything_else_takes_nothing_that_came_before_its_event() {
    let bench = Bench::over(Arc::new(MemoryStore::new().unwrap()), vec![waits(None, false)], ManualClock::new(), Arc::default());
    accept(&bench.engine, other("evt_0")).await;
    let batch = vec![other("evt_1"), event_of("evt_2", "a", "happened"), other("evt_3")];
    bench.engine.accept("svc", batch, None).await.unwrap();
    bench.engine.settled().await;
    assert_eq!(came(&bench.engine).as_deref(), Some("evt_3"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_before_a_wait_from_now_is_none_that_it_takes() {
    let (service, clock) = (Arc::new(Service::default()), ManualClock::new());
    let store: Arc<dyn Store> = Machine::default().store().unwrap();
    let live = live(vec![waits(Some("before"), true)]);
    let engine = Engine::start(store, live, world(&clock, &service), EngineOptions::default()).unwrap();
    let sends = engine.clone();
    // It is answered, and begins nothing, so that it is sorted in a moment later.
    service.while_connecting(move || {
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(accept(&sends, other("evt_2"))));
    });
    accept(&engine, event_of("evt_1", "a", "happened")).await;
    let waits = || engine.runs(&flow_runtime::store::RunQuery { limit: 1, ..Default::default() }).unwrap();
    eventually("it waits", || waits().first().is_some_and(|run| run.waits.awaits.is_some() && !run.waits.attention)).await;
    accept(&engine, other("evt_3")).await;
    eventually("it goes on", || came(&engine).is_some()).await;
    assert_eq!(came(&engine).as_deref(), Some("evt_3"));
}

/// By the number of an event it is told whether it was received before the clock was set back: it has none yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_is_sorted_in_after_the_clock_was_set_back_is_as_old_as_it_is() {
    let mut flow = flow("f", vec![op("set", Effect::Set)]);
    flow.limits = Limits { fresh_ms: Some(600_000), ..Limits::default() };
    rehash(&mut flow);
    let (service, clock, machine) = (Arc::new(Service::default()), ManualClock::new(), Machine::default());
    let store: Arc<RedbStore> = machine.store().unwrap();
    let bench = Bench::over(Arc::clone(&store) as _, vec![flow], Arc::clone(&clock), Arc::clone(&service));
    machine.fill(DATABASE, true);
    accept(&bench.engine, incoming("evt_1", EVENT)).await;
    // Whoever asks this has the clock looked at; it is no matter here, since the flow is not dangerous.
    let looked = |bench: &Bench| assert_eq!(bench.engine.clock_is_behind(), None);
    looked(&bench);
    clock.leap(bench.now() - SignedDuration::from_hours(1));
    looked(&bench);
    // Twenty minutes later there is room for it.
    clock.set(bench.now() + SignedDuration::from_mins(20));
    looked(&bench);
    machine.fill(DATABASE, false);
    let known = || store.event_seq("svc", "evt_1").unwrap();
    eventually("it is sorted in", || known().is_some()).await;
    let run = store.runs_of_event(known().unwrap()).unwrap().remove(0);
    eventually("it is decided", || !store.run(&run).unwrap().unwrap().status.is_active()).await;
    assert_eq!(service.requests("set").len(), 0, "{:?}", store.run(&run).unwrap());
    // One that comes now is young.
    accept(&bench.engine, incoming("evt_2", EVENT)).await;
    eventually("the next one is done", || service.requests("set").len() == 1).await;
}
