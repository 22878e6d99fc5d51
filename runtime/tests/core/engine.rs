//! The engine: what comes in twice, what is in flight, what fails around it.

use std::sync::Arc;
use std::time::Duration;

use flow_plan::{Condition, Effect, Env, ErrorHandler, Expr, Instr, Order, Value};
use flow_runtime::engine::{CancelOutcome, RetryOutcome};
use flow_runtime::event::{AcceptError, Cursor, Via};
use flow_runtime::run::RetryRefusal;
use flow_runtime::store::{EventQuery, MemoryStore, RunQuery};

use crate::fixture::*;

#[tokio::test]
async fn an_event_starts_once_however_often_and_by_whatever_way_it_comes() {
    let bench = Bench::new(vec![flow("f", vec![op("set", Effect::Set)])]);
    let first = bench.send("evt_1", EVENT).await;
    assert!(!first.duplicate);
    assert_eq!(first.runs.len(), 1);
    let again = bench.send("evt_1", EVENT).await;
    assert!(again.duplicate && again.runs.is_empty());
    let polled = flow_runtime::event::Incoming { via: Via::Poll, ..incoming("evt_1", EVENT) };
    let cursor = Cursor { cursor: Some("c1".to_owned()), ..Cursor::default() };
    let polled = bench.engine.accept("svc", vec![polled], Some(("events".to_owned(), cursor.clone()))).await.unwrap();
    assert!(polled[0].duplicate);
    assert_eq!(bench.engine.cursor("svc", "events"), Some(cursor));
    bench.engine.settled().await;
    assert_eq!(bench.service.effects("set").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_duplicates_start_once() {
    let bench = Bench::new(vec![flow("f", vec![op("set", Effect::Set)])]);
    let mut tasks = Vec::new();
    for number in 0..100 {
        let engine = bench.engine.clone();
        tasks.push(tokio::spawn(async move {
            engine.accept("svc", vec![incoming(&format!("evt_{}", number % 5), EVENT)], None).await.unwrap().remove(0)
        }));
    }
    let mut runs = 0;
    for task in tasks {
        runs += task.await.unwrap().runs.len();
    }
    assert_eq!(runs, 5);
    bench.engine.settled().await;
    assert_eq!(bench.service.effects("set").len(), 5);
}

#[tokio::test]
async fn a_key_of_the_trigger_decides_over_event_ids() {
    let mut flow = flow("f", vec![op("set", Effect::Set)]);
    flow.triggers[0].dedupe = Some(Expr::Event(2));
    rehash(&mut flow);
    let bench = Bench::new(vec![flow]);
    assert_eq!(bench.send("evt_1", EVENT).await.runs.len(), 1);
    let second = bench.send("evt_2", EVENT).await;
    assert!(!second.duplicate && second.runs.is_empty(), "another event, the same key");
    assert_eq!(bench.send("evt_3", &EVENT.replace("Jane", "Joe")).await.runs.len(), 1);
}

#[tokio::test]
async fn two_triggers_start_a_flow_once() {
    let mut both = flow("both", vec![op("set", Effect::Set)]);
    both.triggers.push(trigger("failed"));
    rehash(&mut both);
    let bench = Bench::new(vec![both, flow("one", vec![op("set", Effect::Set)])]);
    assert_eq!(bench.send("evt_1", EVENT).await.runs.len(), 2);
    // Narrowed to a trigger first, the rest of it later.
    let narrowed = flow_runtime::event::Incoming { only_trigger: Some("failed".to_owned()), ..incoming("evt_2", EVENT) };
    let narrowed = bench.engine.accept("svc", vec![narrowed], None).await.unwrap().remove(0);
    assert_eq!(narrowed.runs.len(), 1);
    let rest = bench.send("evt_2", EVENT).await;
    assert!(rest.duplicate);
    assert_eq!(rest.runs.len(), 1, "the flow that ran already does not run again");
}

#[tokio::test]
async fn what_does_not_fit_is_dead_and_not_lost() {
    let bench = Bench::new(vec![flow("f", vec![op("set", Effect::Set)])]);
    let accepted = bench.send("evt_1", r#"{"data":{"object":{"amount":"much","currency":"usd"}}}"#).await;
    let run = bench.run(&accepted.runs[0]).await;
    assert_eq!(run["status"], "dead");
    assert_eq!(run["reason"], "payload does not fit: amount: expected money, found text");
    let refused = bench.engine.retry(&accepted.runs[0], true).await.unwrap();
    assert!(matches!(&refused, RetryOutcome::Refused(RetryRefusal::WillFailAgain(_))), "{refused:?}");
    let missing = bench.send("evt_2", r#"{"data":{"object":{"currency":"usd"}}}"#).await;
    assert_eq!(bench.run(&missing.runs[0]).await["reason"], "payload does not fit: amount: expected money, found nothing");
}

#[tokio::test]
async fn a_filter_that_fails_for_sure_decides_whatever_else_does_not_fit() {
    let mut flow = flow("f", vec![op("set", Effect::Set)]);
    let named = |name: &str| Condition::Test {
        text: format!("name is \"{name}\""),
        expr: Expr::Equal(Box::new(Expr::Event(2)), Box::new(Expr::Const(Value::text(name)))),
        reads: vec![2],
    };
    flow.filter = Some(named("Joe"));
    rehash(&mut flow);
    let bench = Bench::new(vec![flow]);
    let other = r#"{"data":{"object":{"amount":"much","currency":"usd","name":"Jane"}}}"#;
    assert!(bench.send("evt_1", other).await.runs.is_empty());
    assert_eq!(bench.send("evt_2", &other.replace("Jane", "Joe")).await.runs.len(), 1);
    assert_eq!(bench.send("evt_3", &other.replace("\"Jane\"", "7")).await.runs.len(), 1);
}

#[tokio::test]
async fn malformed_payloads_are_refused_and_not_remembered() {
    let bench = Bench::new(vec![flow("f", vec![op("set", Effect::Set)])]);
    let refused = bench.engine.accept("svc", vec![incoming("evt_1", "{\"a\":")], None).await;
    assert!(matches!(refused, Err(AcceptError::Malformed(_))));
    assert!(bench.engine.events(&EventQuery { limit: 10, ..EventQuery::default() }).unwrap().is_empty());
    assert_eq!(bench.send("evt_1", EVENT).await.runs.len(), 1);
}

#[tokio::test]
async fn a_missing_required_field_says_which() {
    let mut flow = flow("f", vec![op("set", Effect::Set)]);
    let require = Expr::Require { value: Box::new(Expr::Event(1)), what: "customer_email".to_owned() };
    flow.program.instrs.insert(0, Instr::Require(require));
    rehash(&mut flow);
    let bench = Bench::new(vec![flow]);
    let accepted = bench.send("evt_1", &EVENT.replace("jane@example.com", "")).await;
    let run = bench.run(&accepted.runs[0]).await;
    assert_eq!(run["reason"], "`customer_email` is missing in this event");
    let refused = bench.engine.retry(&accepted.runs[0], false).await.unwrap();
    let RetryOutcome::Refused(refusal) = refused else { panic!("{refused:?}") };
    assert_eq!(refusal.to_string(), "will fail again: `customer_email` is missing in this event");
}

#[tokio::test]
async fn handlers_take_over_where_a_step_fails() {
    let handler = |to| Some(ErrorHandler { to, error: 0 });
    let mut of_flow = flow("f", vec![op("set", Effect::Set), op("report", Effect::Set)]);
    of_flow.program.instrs.insert(1, Instr::Finish);
    of_flow.program.on_error = handler(2);
    if let Instr::Call(call) = &mut of_flow.program.instrs[2] {
        call.args[0].value = Expr::Field(Box::new(Expr::Env(Env::Error)), "step".to_owned());
    }
    rehash(&mut of_flow);
    let bench = Bench::new(vec![of_flow.clone()]);
    bench.service.fault("set", [Fault::Status(422)]);
    let accepted = bench.send("evt_1", EVENT).await;
    let run = bench.run(&accepted.runs[0]).await;
    assert_eq!(run["status"], "done");
    assert_eq!(run["handled"], "svc.call_1: 422: no");
    assert_eq!(run["steps"][0]["status"], "failed");
    assert_eq!(run["steps"][1]["input"]["email"], "1");
    // A handler that fails as well does not handle itself.
    bench.service.fault("set", [Fault::Status(422)]);
    bench.service.fault("report", [Fault::Status(403)]);
    let accepted = bench.send("evt_2", EVENT).await;
    assert_eq!(bench.status(&accepted.runs[0]).await, "dead");
}

#[tokio::test]
async fn loops_have_a_key_for_each_turn() {
    let mut flow = flow("f", vec![op("keyed", keyed())]);
    let Instr::Call(mut inner) = flow.program.instrs.remove(0) else { panic!() };
    inner.loops = vec![1];
    inner.args[0].value = Expr::Local(2);
    let list = ["a", "b", "c", "d"].map(|item| Expr::Const(Value::text(item))).to_vec();
    flow.program.instrs = vec![
        Instr::Each { list: Expr::List(list), into: 0, counter: 1, up_to: 3 },
        Instr::Next { list: 0, counter: 1, item: 2, end: 4 },
        Instr::Call(inner),
        Instr::Jump(1),
        Instr::Stop { reason: Some(Expr::Text(vec![Expr::Local(1), Expr::Const(Value::text(" done"))])) },
    ];
    rehash(&mut flow);
    let bench = Bench::new(vec![flow]);
    let accepted = bench.send("evt_1", EVENT).await;
    let run = bench.run(&accepted.runs[0]).await;
    assert_eq!(run["status"], "stopped");
    assert_eq!(run["reason"], "3 done");
    let keys: std::collections::BTreeSet<_> = bench.service.effects("keyed").into_iter().collect();
    assert_eq!(keys.len(), 3);
    assert_eq!(run["steps"][2]["input"]["email"], "c");
}

#[tokio::test]
async fn a_query_is_asked_once_until_something_changes() {
    let operations = vec![op("read", Effect::Read), op("read", Effect::Read), op("set", Effect::Set), op("read", Effect::Read)];
    let mut flow = flow("f", operations);
    for (at, operation) in [(1, 0), (3, 0)] {
        if let Instr::Call(call) = &mut flow.program.instrs[at] {
            call.operation = operation;
        }
    }
    rehash(&mut flow);
    let bench = Bench::new(vec![flow]);
    let accepted = bench.send("evt_1", EVENT).await;
    assert_eq!(bench.status(&accepted.runs[0]).await, "done");
    assert_eq!(bench.service.requests("read").len(), 2);
}

#[tokio::test]
async fn a_panic_is_one_dead_run() {
    let bench = Bench::new(vec![flow("f", vec![op("set", Effect::Set)])]);
    bench.service.fault("set", [Fault::Panic]);
    let first = bench.send("evt_1", EVENT).await;
    let run = bench.run(&first.runs[0]).await;
    assert_eq!(run["status"], "dead");
    assert_eq!(run["reason"], "flowd failed: a bug in a step");
    let second = bench.send("evt_2", EVENT).await;
    assert_eq!(bench.status(&second.runs[0]).await, "done");
    assert_eq!(bench.engine.retry(&first.runs[0], false).await.unwrap(), RetryOutcome::Retried);
    assert_eq!(bench.status(&first.runs[0]).await, "done");
    assert_eq!(bench.engine.stats().panics, 1);
}

#[tokio::test]
async fn a_connection_that_hangs_slows_no_other() {
    let mut other = flow("other", vec![op("set", Effect::Set)]);
    if let Instr::Call(call) = &mut other.program.instrs[0] {
        call.connection = "other".to_owned();
    }
    rehash(&mut other);
    let bench = Bench::new(vec![flow("hangs", vec![op("hang", Effect::Set)]), other]);
    bench.service.always("hang", Some(Fault::Hang));
    for number in 0..500 {
        bench.send(&format!("evt_{number}"), EVENT).await;
    }
    let done = RunQuery { flow: Some("other".to_owned()), limit: 1000, ..RunQuery::default() };
    for _ in 0..10_000 {
        let runs = bench.engine.runs(&done).unwrap();
        if runs.len() == 500 && runs.iter().all(|run| run.status == flow_runtime::run::Status::Done) {
            assert!(bench.service.requests("hang").len() <= 64);
            return;
        }
        tokio::task::yield_now().await;
        std::thread::yield_now();
    }
    panic!("the other connection did not get its turns");
}

#[tokio::test]
async fn the_limit_of_a_service_is_kept() {
    let mut live = live(vec![flow("f", vec![op("set", Effect::Set)])]);
    let mut limited = connection("svc");
    Arc::make_mut(&mut limited.plan.api).limit = Some(flow_plan::RateLimit { count: 10, per_ms: 60_000 });
    live.connections.insert("svc".to_owned(), Arc::new(limited));
    let bench = Bench::new(Vec::new());
    bench.engine.swap(live);
    for number in 0..25 {
        bench.send(&format!("evt_{number}"), EVENT).await;
    }
    bench.engine.settled().await;
    assert_eq!(bench.service.requests("set").len(), 10);
    bench.pass(Duration::from_secs(61)).await;
    assert_eq!(bench.service.requests("set").len(), 20);
    bench.pass(Duration::from_secs(61)).await;
    assert_eq!(bench.service.requests("set").len(), 25);
}

#[tokio::test]
async fn a_run_keeps_the_plan_that_it_began_with() {
    let bench = Bench::new(vec![flow("f", vec![op("set", Effect::Set), op("old", Effect::Set)])]);
    bench.service.fault("set", [Fault::Status(500)]);
    let accepted = bench.send("evt_1", EVENT).await;
    bench.engine.settled().await;
    bench.engine.swap(live(vec![flow("f", vec![op("set", Effect::Set), op("new", Effect::Set)])]));
    let second = bench.send("evt_2", EVENT).await;
    bench.pass(Duration::from_secs(60)).await;
    assert_eq!(bench.status(&accepted.runs[0]).await, "done");
    assert_eq!(bench.status(&second.runs[0]).await, "done");
    assert_eq!(bench.service.effects("old").len(), 1);
    assert_eq!(bench.service.effects("new").len(), 1);
}

#[tokio::test]
async fn cancelled_and_paused() {
    let bench = Bench::new(vec![flow("f", vec![op("set", Effect::Set)])]);
    bench.service.always("set", Some(Fault::Status(500)));
    let accepted = bench.send("evt_1", EVENT).await;
    bench.engine.settled().await;
    assert_eq!(bench.engine.cancel(&accepted.runs[0]).await.unwrap(), CancelOutcome::Cancelled);
    let tried = bench.service.requests("set").len();
    bench.pass(Duration::from_secs(3600)).await;
    assert_eq!(bench.service.requests("set").len(), tried);
    assert_eq!(bench.status(&accepted.runs[0]).await, "cancelled");
    assert_eq!(bench.engine.cancel("run_none").await.unwrap(), CancelOutcome::NotFound);
    assert!(bench.engine.pause("f").await.unwrap());
    assert!(bench.send("evt_2", EVENT).await.runs.is_empty());
    assert!(bench.engine.resume("f").await.unwrap());
    assert_eq!(bench.send("evt_3", EVENT).await.runs.len(), 1);
}

#[tokio::test]
async fn a_disk_that_refuses_is_said_so_and_forgotten() {
    let store = Arc::new(MemoryStore::new().unwrap());
    let faults = store.faults();
    let flows = vec![flow("f", vec![op("set", Effect::Set), op("keyed", keyed())])];
    let bench = Bench::over(store, flows, ManualClock::new(), Arc::default());
    bench.engine.settled().await;
    faults.fail_after(0);
    let refused = bench.engine.accept("svc", vec![incoming("evt_1", EVENT)], None).await;
    assert!(matches!(refused, Err(AcceptError::Store(_))));
    assert!(bench.engine.events(&EventQuery { limit: 10, ..EventQuery::default() }).unwrap().is_empty());
    // Room for the event and nothing else: the step waits until there is more.
    faults.heal();
    faults.fail_after(1);
    let accepted = bench.send("evt_1", EVENT).await;
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert!(bench.service.requests("set").is_empty(), "nothing is sent without its intent");
    faults.heal();
    for _ in 0..100 {
        tokio::task::yield_now().await;
        if let Some(next) = bench.clock.next() {
            bench.clock.set(next);
        }
    }
    assert_eq!(bench.status(&accepted.runs[0]).await, "done");
    assert_eq!(bench.service.effects("set").len(), 1);
}

#[tokio::test]
async fn stopping_leaves_what_is_in_flight_as_an_intent() {
    let store = Arc::new(MemoryStore::new().unwrap());
    let flows = || vec![flow("f", vec![op("keyed", keyed())])];
    let bench = Bench::over(Arc::clone(&store) as _, flows(), ManualClock::new(), Arc::default());
    bench.service.fault("keyed", [Fault::Hang]);
    let accepted = bench.send("evt_1", EVENT).await;
    while bench.service.requests("keyed").is_empty() {
        tokio::task::yield_now().await;
    }
    let stopping = bench.engine.clone();
    let stopped = tokio::spawn(async move { stopping.stop(Duration::from_secs(20)).await });
    while bench.engine.accept("svc", vec![incoming("evt_1", EVENT)], None).await != Err(AcceptError::Stopping) {
        tokio::task::yield_now().await;
    }
    bench.clock.set(bench.now().checked_add(Duration::from_secs(21)).unwrap());
    stopped.await.unwrap();
    let again = Bench::over(store, flows(), Arc::clone(&bench.clock), Arc::clone(&bench.service));
    again.pass(Duration::from_secs(60)).await;
    assert_eq!(again.status(&accepted.runs[0]).await, "done");
    let requests = again.service.requests("keyed");
    assert_eq!(requests[0], requests[1], "the same key");
}

#[tokio::test]
async fn old_runs_and_events_go_and_dead_ones_stay() {
    let mut picky = flow("picky", vec![op("set", Effect::Set)]);
    picky.filter = Some(Condition::Test {
        text: "amount > 1000".to_owned(),
        expr: Expr::CompareMajor(Order::Greater, Box::new(Expr::Event(0)), Box::new(Expr::Const(Value::Number(1000.into())))),
        reads: vec![0],
    });
    rehash(&mut picky);
    let bench = Bench::new(vec![flow("f", vec![op("set", Effect::Set)]), picky]);
    let done = bench.send("evt_1", EVENT).await;
    bench.engine.settled().await;
    bench.service.fault("set", [Fault::Status(400)]);
    let dead = bench.send("evt_2", EVENT).await;
    bench.engine.settled().await;
    bench.pass(Duration::from_secs(32 * 86_400)).await;
    assert_eq!(bench.engine.run(&done.runs[0], false).unwrap(), None);
    assert!(bench.engine.event("evt_1").unwrap().is_empty());
    assert_eq!(bench.status(&dead.runs[0]).await, "dead");
    assert_eq!(bench.engine.event("evt_2").unwrap().len(), 1);
    assert!(bench.send("evt_1", EVENT).await.runs.is_empty(), "the key of the start outlives the event");
}

#[tokio::test]
async fn personal_values_are_shortened_unless_asked_for() {
    let bench = Bench::new(vec![flow("f", vec![op("set", Effect::Set)])]);
    let accepted = bench.send("evt_1", EVENT).await;
    bench.engine.settled().await;
    let shown = bench.engine.run(&accepted.runs[0], false).unwrap().unwrap();
    assert_eq!(shown["steps"][0]["input"]["email"], "j…@example.com");
    assert_eq!(shown["started_at"], "2026-11-22T12:00:00.000Z");
    let asked = bench.engine.run(&accepted.runs[0], true).unwrap().unwrap();
    assert_eq!(asked["steps"][0]["input"]["email"], "jane@example.com");
}
