//! Events that do not come: once per silence, and a time in which nobody listened is none.

use std::sync::Arc;
use std::time::Duration;

use flow_plan::{self as plan, Absence, Condition, Effect, Expr, Order, Span, StartKind, Value};
use flow_runtime::store::MemoryStore;

use crate::fixture::*;

const MINUTE: Duration = Duration::from_secs(60);

/// `when no svc.happened where amount > 100 within so many minutes`.
pub(crate) fn alarm(minutes: i64, filtered: bool) -> plan::Flow {
    let mut flow = flow("alarm", vec![op("set", Effect::Set)]);
    let filter = filtered.then(|| Condition::Test {
        text: "amount > 100".to_owned(),
        expr: Expr::CompareMajor(Order::Greater, Box::new(Expr::Event(0)), Box::new(Expr::Const(Value::Number(100.into())))),
        reads: vec![0],
    });
    let rule = Absence { awaited: trigger("happened"), filter, within: Span::exact(minutes * 60_000) };
    flow.triggers = vec![plan::TriggerUse {
        source: "absence".to_owned(),
        types: vec!["alarm".to_owned()],
        reads: vec![None; flow.reads.len()],
        kind: StartKind::Absence(Box::new(rule)),
        ..trigger("no happened")
    }];
    rehash(&mut flow);
    flow
}

#[tokio::test]
async fn a_silence_starts_the_flow_once_and_an_event_ends_it() {
    let bench = Bench::new(vec![alarm(10, false)]);
    bench.pass(MINUTE * 9).await;
    assert_eq!(bench.started("alarm"), Vec::<String>::new());
    bench.send("evt_1", EVENT).await;
    bench.pass(MINUTE * 9).await;
    assert_eq!(bench.started("alarm"), Vec::<String>::new());
    bench.pass(MINUTE * 60).await;
    assert_eq!(bench.started("alarm"), ["alarm@2026-11-22T12:19:00.000Z"]);
    assert_eq!(bench.service.requests("set").len(), 1, "its steps run although the event has none of the fields");
    bench.send("evt_2", EVENT).await;
    bench.send("evt_2", EVENT).await;
    bench.pass(MINUTE * 60).await;
    assert_eq!(bench.started("alarm").len(), 2);
    assert_eq!(bench.started("alarm")[1], "alarm@2026-11-22T13:28:00.000Z");
}

#[tokio::test]
async fn only_what_is_awaited_ends_the_silence() {
    let bench = Bench::new(vec![alarm(10, true)]);
    bench.pass(MINUTE * 5).await;
    bench.send("small", &EVENT.replace("12050", "50")).await;
    bench.send("unreadable", &EVENT.replace("12050", "\"x\"")).await;
    bench.pass(MINUTE * 4).await;
    bench.send("big", EVENT).await;
    bench.pass(MINUTE * 9).await;
    assert_eq!(bench.started("alarm"), Vec::<String>::new());
    bench.pass(MINUTE).await;
    assert_eq!(bench.started("alarm"), ["alarm@2026-11-22T12:19:00.000Z"]);
}

/// At each minute of a silence the daemon goes, and comes back after different times.
#[tokio::test]
async fn a_time_in_which_nobody_listened_is_no_silence() {
    for killed in [false, true] {
        for minute in 1..10u32 {
            for down in [1u32, 7, 600] {
                let store = Arc::new(MemoryStore::new().unwrap());
                let (clock, service) = (ManualClock::new(), Arc::new(Service::default()));
                let bench =
                    Bench::over(Arc::clone(&store) as _, vec![alarm(10, false)], Arc::clone(&clock), Arc::clone(&service));
                bench.pass(MINUTE * minute).await;
                if !killed {
                    bench.engine.stop(Duration::ZERO).await;
                }
                let rest = Arc::new(store.copy().unwrap());
                clock.set(bench.now().checked_add(MINUTE * down).unwrap());
                bench.engine.stop(Duration::ZERO).await;
                let bench = Bench::over(rest as _, vec![alarm(10, false)], clock, service);
                let left = MINUTE * (10 - minute);
                bench.pass(left - Duration::from_secs(1)).await;
                assert_eq!(bench.started("alarm").len(), 0, "killed {killed}, minute {minute}, down {down}");
                bench.pass(Duration::from_secs(1)).await;
                assert_eq!(bench.started("alarm").len(), 1, "killed {killed}, minute {minute}, down {down}");
                bench.pass(MINUTE * 30).await;
                assert_eq!(bench.started("alarm").len(), 1, "killed {killed}, minute {minute}, down {down}");
            }
        }
    }
}

#[tokio::test]
async fn an_edit_of_the_rule_begins_anew_and_any_other_keeps_the_silence() {
    let bench = Bench::new(vec![alarm(10, false)]);
    bench.pass(MINUTE * 5).await;
    let mut edited = alarm(10, false);
    edited.title = Some("another".to_owned());
    rehash(&mut edited);
    bench.engine.swap(live(vec![edited, flow("other", vec![op("set", Effect::Set)])]));
    bench.pass(MINUTE * 4).await;
    bench.engine.swap(live(vec![alarm(8, false)]));
    bench.pass(MINUTE * 7).await;
    assert_eq!(bench.started("alarm"), Vec::<String>::new());
    bench.pass(MINUTE).await;
    assert_eq!(bench.started("alarm"), ["alarm@2026-11-22T12:17:00.000Z"]);
}

#[tokio::test]
async fn a_machine_that_slept_did_not_listen() {
    let bench = Bench::new(vec![alarm(10, false)]);
    bench.pass(MINUTE * 5).await;
    bench.set(at("2026-11-22T18:00:00Z")).await;
    bench.pass(MINUTE * 4).await;
    assert_eq!(bench.started("alarm"), Vec::<String>::new());
    bench.pass(MINUTE).await;
    assert_eq!(bench.started("alarm"), ["alarm@2026-11-22T18:05:00.000Z"]);
}

#[tokio::test]
async fn a_cut_at_any_commit_starts_it_once() {
    for cut in 1..=16 {
        let store = Arc::new(MemoryStore::new().unwrap());
        let (clock, service) = (ManualClock::new(), Arc::new(Service::default()));
        store.faults().fail_after(cut);
        let before = Bench::over(Arc::clone(&store) as _, vec![alarm(5, false)], Arc::clone(&clock), Arc::clone(&service));
        for _ in 0..20 {
            for _ in 0..20 {
                tokio::task::yield_now().await;
                std::thread::yield_now();
            }
            clock.set(before.now().checked_add(MINUTE).unwrap());
        }
        before.engine.stop(Duration::ZERO).await;
        let after = Bench::over(Arc::new(store.copy().unwrap()) as _, vec![alarm(5, false)], clock, service);
        after.pass(MINUTE * 30).await;
        assert_eq!(after.started("alarm").len(), 1, "cut after {cut}");
    }
}
