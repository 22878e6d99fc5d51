//! Waits: for an instant, for an event. Rows on disk, whatever is restarted, reloaded or cancelled meanwhile.

use std::sync::Arc;
use std::time::Duration;

use flow_plan as plan;
use flow_plan::{Condition, Effect, ErrorHandler, Expr, Flow, Instr, Span, Value, Wait, WaitFor};
use flow_runtime::engine::{CancelOutcome, RetryOutcome};
use flow_runtime::event::Incoming;
use flow_runtime::journal::{Awaits, Entry, Waits, What};
use flow_runtime::run::{RetryRefusal, Status};
use flow_runtime::store::{AcceptBatch, AwaitKind, AwaitedBy, MemoryStore, RunHead, RunQuery, RunUpdate, Store, Waiting};
use jiff::civil;

use crate::fixture::*;

const DAY: u64 = 86_400;

fn days(days: i32, zone: &str) -> Span {
    Span { length: plan::Duration { days, ..plan::Duration::default() }, zone: Some(zone.to_owned()) }
}

/// One step, a wait, another step.
fn around(wait: Wait) -> Flow {
    let mut flow = flow("f", vec![op("before", Effect::Set), op("after", Effect::Set)]);
    flow.program.instrs.insert(1, Instr::Wait(Box::new(wait)));
    rehash(&mut flow);
    flow
}

/// `wait for svc.paid where name is event.name … up to 1 hour else { late }`, then `paid`.
fn until_paid(change: impl FnOnce(&mut WaitFor)) -> Flow {
    let mut flow = flow("f", vec![op("before", Effect::Set), op("paid", Effect::Set), op("late", Effect::Set)]);
    let calls = std::mem::take(&mut flow.program.instrs);
    let mut wait = WaitFor {
        trigger: plan::TriggerUse { types: vec!["other".to_owned()], name: "failed".to_owned(), ..trigger("failed") },
        condition: Some(Condition::Test {
            text: "name is event.name".to_owned(),
            expr: Expr::Equal(Box::new(Expr::Awaited(0)), Box::new(Expr::Event(2))),
            reads: Vec::new(),
        }),
        key: Some((0, Expr::Event(2))),
        up_to: Some(Span::exact(3_600_000)),
        ..wait_for("2", 4)
    };
    change(&mut wait);
    flow.program.instrs =
        vec![calls[0].clone(), Instr::WaitFor(Box::new(wait)), calls[1].clone(), Instr::Finish, calls[2].clone()];
    rehash(&mut flow);
    flow
}

fn started(id: &str, name: &str) -> Incoming {
    event_of(id, name, "happened")
}

fn paid(id: &str, name: &str) -> Incoming {
    event_of(id, name, "other")
}

async fn accept(bench: &Bench, event: Incoming) -> Option<String> {
    bench.engine.accept("svc", vec![event], None).await.unwrap().remove(0).runs.pop()
}

fn bench_of(flow: &Flow) -> (Bench, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::new().unwrap());
    let bench = Bench::over(Arc::clone(&store) as _, vec![flow.clone()], ManualClock::new(), Arc::new(Service::default()));
    (bench, store)
}

fn effects(bench: &Bench) -> [usize; 3] {
    ["before", "paid", "late"].map(|name| bench.service.effects(name).len())
}

#[tokio::test]
async fn three_days_take_three_days_across_restarts() {
    let flow = around(Wait::For(days(3, "Europe/Paris")));
    let (mut bench, mut store) = bench_of(&flow);
    let run = accept(&bench, started("evt_1", "a")).await.unwrap();
    for _ in 0..3 {
        bench.pass(Duration::from_secs(DAY - 1)).await;
        (bench, store) = restart(bench, &store, vec![flow.clone()]).await;
        let found = bench.run(&run).await;
        assert_eq!(found["status"], "waiting");
        assert_eq!(found["reason"], "waits until 2026-11-25T12:00:00.000Z");
        assert_eq!(found["waits"][0]["until"], "2026-11-25T12:00:00.000Z");
    }
    // Nobody has it in memory.
    assert_eq!(bench.engine.stats().queued, 0);
    assert_eq!(store.active(None, 10).unwrap(), Vec::<String>::new());
    bench.pass(Duration::from_secs(2)).await;
    assert_eq!(bench.service.effects("after").len(), 0);
    bench.pass(Duration::from_secs(1)).await;
    assert_eq!(bench.status(&run).await, "done");
    assert_eq!(bench.service.effects("after").len(), 1);
    assert_eq!(bench.service.effects("before").len(), 1);
}

#[tokio::test]
async fn a_day_over_a_clock_change_has_25_hours() {
    let flow = around(Wait::For(days(1, "Europe/Paris")));
    let (bench, _) = bench_of(&flow);
    bench.pass(Duration::ZERO).await;
    bench.clock.set(at("2027-10-30T12:00:00Z"));
    let run = accept(&bench, started("evt_1", "a")).await.unwrap();
    assert_eq!(bench.run(&run).await["waits"][0]["until"], "2027-10-31T13:00:00.000Z");
}

#[tokio::test]
async fn until_a_time_of_day_or_an_instant() {
    let time =
        |hour| Wait::Until { at: Expr::Const(Value::Time(civil::time(hour, 0, 0, 0))), zone: Some("Europe/Paris".to_owned()) };
    for (wait, until) in [
        (time(9), Some("2026-11-23T08:00:00.000Z")),
        (time(14), Some("2026-11-22T13:00:00.000Z")),
        (
            Wait::Until { at: Expr::Const(Value::Instant(at("2026-12-01T00:00:00Z"))), zone: None },
            Some("2026-12-01T00:00:00.000Z"),
        ),
        // What is past does not wait.
        (Wait::Until { at: Expr::Const(Value::Instant(at("2026-11-01T00:00:00Z"))), zone: None }, None),
    ] {
        let (bench, _) = bench_of(&around(wait));
        let run = accept(&bench, started("evt_1", "a")).await.unwrap();
        let found = bench.run(&run).await;
        assert_eq!(found["waits"][0]["until"].as_str(), until, "{found}");
        assert_eq!(found["status"], if until.is_some() { "waiting" } else { "done" });
    }
}

#[tokio::test]
async fn a_run_that_waits_keeps_its_plan_is_not_tried_again_and_can_be_cancelled() {
    let flow = around(Wait::For(Span::exact(60_000)));
    let (bench, store) = bench_of(&flow);
    let first = accept(&bench, started("evt_1", "a")).await.unwrap();
    let second = accept(&bench, started("evt_2", "a")).await.unwrap();
    bench.engine.settled().await;
    // The flow is gone, and another version of it comes back.
    bench.engine.swap(live(Vec::new()));
    let (bench, _) = restart(bench, &store, vec![around(Wait::For(Span::exact(9_000_000)))]).await;
    let refused = bench.engine.retry(&first, true).await.unwrap();
    assert!(matches!(refused, RetryOutcome::Refused(RetryRefusal::Waits(_))), "{refused:?}");
    assert_eq!(bench.engine.cancel(&second).await.unwrap(), CancelOutcome::Cancelled);
    bench.pass(Duration::from_secs(60)).await;
    assert_eq!(bench.status(&first).await, "done");
    assert_eq!(bench.status(&second).await, "cancelled");
    assert_eq!(bench.service.effects("after").len(), 1);
}

#[tokio::test]
async fn waits_in_loops_and_handlers() {
    let mut flow = flow("f", vec![op("each", Effect::Set), op("once", Effect::Once)]);
    let mut calls = std::mem::take(&mut flow.program.instrs);
    if let Instr::Call(call) = &mut calls[0] {
        call.loops = vec![1];
    }
    if let Instr::Call(call) = &mut calls[1] {
        call.on_error = Some(ErrorHandler { to: 7, error: 3 });
    }
    let list = ["a", "b", "c"].map(|item| Expr::Const(Value::text(item))).to_vec();
    let wait = || Instr::Wait(Box::new(Wait::For(Span::exact(60_000))));
    flow.program.instrs = vec![
        Instr::Each { list: Expr::List(list), into: 0, counter: 1, up_to: 10 },
        Instr::Next { list: 0, counter: 1, item: 2, end: 5 },
        wait(),
        calls[0].clone(),
        Instr::Jump(1),
        calls[1].clone(),
        Instr::Finish,
        wait(),
        calls[0].clone(),
    ];
    rehash(&mut flow);
    let (mut bench, mut store) = bench_of(&flow);
    bench.service.fault("once", [Fault::Status(422)]);
    let run = accept(&bench, started("evt_1", "a")).await.unwrap();
    for expected in [1, 2, 3, 4] {
        bench.pass(Duration::from_secs(30)).await;
        (bench, store) = restart(bench, &store, vec![flow.clone()]).await;
        assert_eq!(bench.status(&run).await, "waiting");
        bench.pass(Duration::from_secs(30)).await;
        assert_eq!(bench.service.effects("each").len(), expected);
    }
    let found = bench.run(&run).await;
    assert_eq!((found["status"].as_str(), found["waits"].as_array().unwrap().len()), (Some("done"), 4));
    drop(store);
}

#[tokio::test]
async fn the_awaited_event_ends_the_wait_once() {
    let flow = until_paid(|_| {});
    let (bench, store) = bench_of(&flow);
    let run = accept(&bench, started("evt_1", "a")).await.unwrap();
    bench.pass(Duration::from_secs(60)).await;
    let found = bench.run(&run).await;
    assert_eq!(found["reason"], "waits for svc.failed until 2026-11-22T13:00:00.000Z");
    let (bench, store) = restart(bench, &store, vec![flow.clone()]).await;
    accept(&bench, paid("evt_2", "b")).await;
    assert_eq!(bench.status(&run).await, "waiting", "another customer's");
    accept(&bench, paid("evt_3", "a")).await;
    accept(&bench, paid("evt_3", "a")).await;
    accept(&bench, paid("evt_4", "a")).await;
    let found = bench.run(&run).await;
    assert_eq!((found["status"].as_str(), effects(&bench)), (Some("done"), [1, 1, 0]));
    assert_eq!(found["waits"][0]["event"], "evt_3");
    assert_eq!(found["waits"][0]["for"], "svc.failed");
    // Nothing is left that an event would have to ask for.
    assert_eq!(store.await_kinds("svc", "events").unwrap(), []);
    assert_eq!(store.to_offer(10).unwrap(), Vec::<u64>::new());
}

#[tokio::test]
async fn the_bound_leads_elsewhere() {
    let flow = until_paid(|_| {});
    let (bench, store) = bench_of(&flow);
    let run = accept(&bench, started("evt_1", "a")).await.unwrap();
    bench.pass(Duration::from_secs(3599)).await;
    let (bench, store) = restart(bench, &store, vec![flow.clone()]).await;
    assert_eq!(bench.status(&run).await, "waiting");
    bench.pass(Duration::from_secs(1)).await;
    accept(&bench, paid("evt_2", "a")).await;
    let found = bench.run(&run).await;
    assert_eq!((found["status"].as_str(), effects(&bench)), (Some("done"), [1, 0, 1]));
    assert_eq!(found["waits"][0]["event"], serde_json::Value::Null);
    assert_eq!(store.await_kinds("svc", "events").unwrap(), []);
}

#[tokio::test]
async fn events_since_the_runs_own_count_unless_from_now() {
    for from_now in [false, true] {
        let flow = until_paid(|wait| wait.from_now = from_now);
        let (bench, _) = bench_of(&flow);
        // Before the run's own event: it never counts.
        accept(&bench, paid("evt_0", "a")).await;
        bench.service.fault("before", [Fault::Status(503)]);
        let run = accept(&bench, started("evt_1", "a")).await.unwrap();
        bench.engine.settled().await;
        assert_eq!(bench.service.effects("before").len(), 0);
        // The step before is being retried when it comes.
        accept(&bench, paid("evt_2", "a")).await;
        bench.pass(Duration::from_secs(600)).await;
        let found = bench.run(&run).await;
        if from_now {
            assert_eq!(found["status"], "waiting");
            accept(&bench, paid("evt_3", "a")).await;
        }
        let found = bench.run(&run).await;
        assert_eq!((found["status"].as_str(), effects(&bench)), (Some("done"), [1, 1, 0]));
        assert_eq!(found["waits"][0]["event"], if from_now { "evt_3" } else { "evt_2" });
    }
}

/// Its plan is not there, or is of a version that nobody reads any more.
#[tokio::test]
async fn a_run_that_cannot_be_read_keeps_no_other_from_its_event() {
    let flow = until_paid(|wait| (wait.condition, wait.key, wait.up_to) = (None, None, None));
    let (bench, store) = bench_of(&flow);
    let noon = bench.now();
    let own = crate::store::event(1, "evt_lost", noon);
    let lost = crate::store::new(own.clone(), crate::store::head(1, "run_0", &own, Status::Running));
    store.accept(AcceptBatch { events: vec![lost], ..AcceptBatch::default() }).await.unwrap();
    let kind = AwaitKind { trigger: "failed".to_owned(), types: vec!["other".to_owned()], field: None };
    let by = AwaitedBy { connection: "svc".to_owned(), source: "events".to_owned(), kind, key: None };
    let waits = Waiting { awaits: Some(Box::new(by)), ..Waiting::default() };
    let head = RunHead { status: Status::Waiting, entries: 2, waits, ..store.run("run_0").unwrap().unwrap() };
    let entry = Entry::new(noon, What::Waits(Waits { until: None, awaits: Some(Awaits { after: 1, key: None }) }));
    store.update(vec![RunUpdate { head, entries: vec![entry] }]).await.unwrap();
    let run = accept(&bench, started("evt_1", "a")).await.unwrap();
    assert_eq!(bench.status(&run).await, "waiting");
    accept(&bench, paid("evt_2", "a")).await;
    assert_eq!(bench.status(&run).await, "done");
}

#[tokio::test]
async fn the_first_of_several_counts_and_all_who_wait_are_found() {
    let flow = until_paid(|wait| {
        wait.key = None;
        wait.condition = None;
        wait.up_to = None;
        wait.trigger.guard = Some(Expr::Equal(Box::new(Expr::Event(0)), Box::new(Expr::Const(Value::text("good")))));
    });
    let (bench, store) = bench_of(&flow);
    let mut runs = Vec::new();
    for number in 0..40 {
        runs.push(accept(&bench, started(&format!("evt_{number}"), "a")).await.unwrap());
    }
    bench.engine.settled().await;
    assert_eq!(store.counts().unwrap(), (40, 0));
    let waiting = RunQuery { status: Some(Status::Waiting), limit: 100, ..RunQuery::default() };
    assert_eq!(bench.engine.runs(&waiting).unwrap().len(), 40);
    let (bench, _) = restart(bench, &store, vec![flow]).await;
    let events = vec![paid("evt_bad", "bad"), paid("evt_good", "good"), paid("evt_better", "good")];
    bench.engine.accept("svc", events, None).await.unwrap();
    for run in runs {
        let found = bench.run(&run).await;
        assert_eq!((found["status"].as_str(), found["waits"][0]["event"].as_str()), (Some("done"), Some("evt_good")));
    }
}

#[tokio::test]
async fn an_event_that_was_taken_in_before_the_bound_counts_though_it_is_looked_at_later() {
    let flow = until_paid(|_| {});
    let (bench, store) = bench_of(&flow);
    let run = accept(&bench, started("evt_1", "a")).await.unwrap();
    bench.pass(Duration::from_secs(600)).await;
    // The event is on disk, and nothing after it.
    store.faults().fail_after(1);
    accept(&bench, paid("evt_2", "a")).await;
    let rest = Arc::new(store.copy().unwrap());
    let clock = Arc::clone(&bench.clock);
    clock.set(at("2026-11-22T18:00:00Z"));
    let after = Bench::over(Arc::clone(&rest) as _, vec![flow], clock, Arc::clone(&bench.service));
    let found = after.run(&run).await;
    assert_eq!(found["waits"][0]["event"], "evt_2", "{found}");
    assert_eq!(found["status"], "done");
    bench.engine.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_cancelled_wait_leaves_nothing_behind() {
    let flow = until_paid(|_| {});
    let (bench, store) = bench_of(&flow);
    let run = accept(&bench, started("evt_1", "a")).await.unwrap();
    bench.engine.settled().await;
    assert_eq!(store.await_kinds("svc", "events").unwrap().len(), 1);
    assert_eq!(bench.engine.cancel(&run).await.unwrap(), CancelOutcome::Cancelled);
    assert_eq!(store.await_kinds("svc", "events").unwrap(), []);
    accept(&bench, paid("evt_2", "a")).await;
    bench.pass(Duration::from_secs(7200)).await;
    assert_eq!((bench.status(&run).await.as_str(), effects(&bench)), ("cancelled", [1, 0, 0]));
}
