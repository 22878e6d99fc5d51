//! Schedules: each instant once, and across a stop as `missed` says.

use std::sync::Arc;
use std::time::Duration;

use flow_plan::{self as plan, ClockChange, DayTime, Days, Effect, Missed, Rule, Schedule, Span, StartKind};
use flow_runtime::store::{EventQuery, MemoryStore};
use jiff::{SignedDuration, Timestamp, ToSpan};

use crate::fixture::*;

const HOUR: Duration = Duration::from_secs(3600);

fn hourly(missed: Missed) -> Schedule {
    Schedule {
        rule: Rule::Hourly { minutes: vec![0] },
        zone: Some("UTC".to_owned()),
        location: None,
        missed,
        clock_change: ClockChange::Natural,
    }
}

pub(crate) fn every(millis: i64, missed: Missed) -> Schedule {
    Schedule { rule: Rule::Interval(plan::Duration::from_millis(millis)), zone: None, ..hourly(missed) }
}

pub(crate) fn scheduled(id: &str, schedule: Schedule) -> plan::Flow {
    let mut flow = flow(id, vec![op("set", Effect::Set)]);
    flow.triggers = vec![plan::TriggerUse {
        connection: "time".to_owned(),
        source: "schedule".to_owned(),
        types: vec![id.to_owned()],
        kind: StartKind::Schedule(Box::new(schedule)),
        ..trigger("every")
    }];
    flow.reads = Vec::new();
    if let Some(plan::Instr::Call(call)) = flow.program.instrs.first_mut() {
        call.args[0].value = plan::Expr::Const(plan::Value::Missing);
    }
    rehash(&mut flow);
    flow
}

/// The fixture's day begins at noon.
fn hour(after_noon: i64) -> Timestamp {
    at("2026-11-22T12:00:00Z").checked_add(after_noon.hours()).unwrap()
}

fn ids(hours: impl IntoIterator<Item = i64>) -> Vec<String> {
    hours.into_iter().map(|after| format!("f@{}", hour(after).strftime("%Y-%m-%dT%H:%M:%S.000Z"))).collect()
}

#[tokio::test]
async fn an_instant_starts_the_flow_with_its_own_time() {
    let bench = Bench::new(vec![scheduled("f", hourly(Missed::Skip))]);
    bench.pass(HOUR * 3 + Duration::from_secs(60)).await;
    assert_eq!(bench.started("f"), ids([1, 2, 3]), "none for the instant at which it was first seen");
    let events = bench.engine.events(&EventQuery { limit: 10, ..EventQuery::default() }).unwrap();
    assert_eq!(events[0].connection, "time");
    assert_eq!(events[0].triggers, ["every"]);
    assert_eq!(events[0].occurred_at, Some(hour(3)));
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&events[0].payload).unwrap()["missed"], false);
    let why = bench.engine.why(&events[0], None, false).unwrap();
    assert_eq!(why[0].reason, "it ran");
    assert_eq!(bench.service.requests("set").len(), 3);
}

#[tokio::test]
async fn an_interval_counts_from_its_first_sight_and_a_restart_moves_nothing() {
    let store = Arc::new(MemoryStore::new().unwrap());
    let (clock, service) = (ManualClock::new(), Arc::new(Service::default()));
    let flows = || vec![scheduled("f", every(7 * 60_000, Missed::Skip))];
    let bench = Bench::over(Arc::clone(&store) as _, flows(), Arc::clone(&clock), Arc::clone(&service));
    bench.pass(Duration::from_secs(8 * 60)).await;
    bench.engine.stop(Duration::ZERO).await;
    let bench = Bench::over(store as _, flows(), clock, service);
    bench.pass(Duration::from_secs(7 * 60)).await;
    assert_eq!(bench.started("f"), ["f@2026-11-22T12:07:00.000Z", "f@2026-11-22T12:14:00.000Z"]);
}

/// Stops the daemon at each quarter of an hour of a day, for each of several times, and says which instants fire.
async fn stopped_at_any_time(missed: Missed, expected: impl Fn(i64, Timestamp, Timestamp) -> bool) {
    for quarter in (0..40).step_by(3) {
        for stop in [0, 10, 61, 150, 400] {
            let store = Arc::new(MemoryStore::new().unwrap());
            let (clock, service) = (ManualClock::new(), Arc::new(Service::default()));
            let flows = || vec![scheduled("f", hourly(missed.clone()))];
            let bench = Bench::over(Arc::clone(&store) as _, flows(), Arc::clone(&clock), Arc::clone(&service));
            bench.pass(Duration::from_secs(quarter * 900)).await;
            let stopped = bench.now();
            // Killed rather than stopped, every other time.
            if quarter % 6 == 0 {
                bench.engine.stop(Duration::ZERO).await;
            }
            let rest = Arc::new(store.copy().unwrap());
            let began = stopped.checked_add(SignedDuration::from_mins(stop)).unwrap();
            clock.set(began);
            bench.engine.stop(Duration::ZERO).await;
            let bench = Bench::over(rest as _, flows(), clock, service);
            let end = hour(24);
            bench.pass(Duration::try_from(end.duration_since(began)).unwrap()).await;
            // Handled before the stop, or since the start.
            let due = |after: i64| hour(after) <= stopped || hour(after) >= began || expected(after, stopped, began);
            assert_eq!(bench.started("f"), ids((1..=24).filter(|after| due(*after))), "stopped at {stopped} until {began}");
        }
    }
}

#[tokio::test]
async fn missed_skip_passes_over_what_was_missed() {
    stopped_at_any_time(Missed::Skip, |_, _, _| false).await;
}

#[tokio::test]
async fn missed_all_makes_up_for_each() {
    stopped_at_any_time(Missed::All, |_, _, _| true).await;
}

#[tokio::test]
async fn missed_latest_makes_up_for_the_last_one_that_is_not_too_old() {
    let within = Span { length: plan::Duration::from_millis(30 * 60_000), zone: None };
    stopped_at_any_time(Missed::Latest { within }, |after, _, began| {
        let age = began.duration_since(hour(after));
        hour(after + 1) >= began && age <= SignedDuration::from_mins(30)
    })
    .await;
}

#[tokio::test]
async fn a_cut_at_any_commit_starts_no_instant_twice_and_loses_none() {
    let flows = || vec![scheduled("f", hourly(Missed::All)), scheduled("g", hourly(Missed::All))];
    for cut in 1..=14 {
        let store = Arc::new(MemoryStore::new().unwrap());
        let (clock, service) = (ManualClock::new(), Arc::new(Service::default()));
        store.faults().fail_after(cut);
        let before = Bench::over(Arc::clone(&store) as _, flows(), Arc::clone(&clock), Arc::clone(&service));
        for _ in 0..4 * 60 {
            for _ in 0..20 {
                tokio::task::yield_now().await;
                std::thread::yield_now();
            }
            clock.set(before.now().checked_add(SignedDuration::from_mins(1)).unwrap());
        }
        before.engine.stop(Duration::ZERO).await;
        let seen = before.service.requests("set").len();
        let rest = Arc::new(store.copy().unwrap());
        let after = Bench::over(rest as _, flows(), clock, Arc::clone(&service));
        after.pass(HOUR).await;
        // Where not even the first sight was written, it is now.
        let first = if after.started("f").first() == ids([5]).first() { 5 } else { 1 };
        assert_eq!(after.started("f"), ids(first..=5), "cut after {cut}; {seen} requests before");
        assert_eq!(after.started("g").len(), after.started("f").len(), "cut after {cut}");
    }
}

#[tokio::test]
async fn a_clock_that_goes_back_fires_no_instant_twice() {
    let bench = Bench::new(vec![scheduled("f", hourly(Missed::All))]);
    bench.pass(HOUR * 3).await;
    bench.set(hour(1)).await;
    bench.pass(Duration::from_secs(61)).await;
    bench.pass(HOUR * 4).await;
    assert_eq!(bench.started("f"), ids([1, 2, 3, 4, 5]));
}

#[tokio::test]
async fn a_machine_that_slept_has_missed_what_fell_into_its_sleep() {
    let bench = Bench::new(vec![scheduled("f", hourly(Missed::Skip))]);
    bench.pass(HOUR).await;
    bench.set(hour(4).checked_add(1.minutes()).unwrap()).await;
    bench.pass(HOUR).await;
    assert_eq!(bench.started("f"), ids([1, 5]));
}

#[tokio::test]
async fn an_edited_rule_begins_anew_and_any_other_edit_keeps_it() {
    let bench = Bench::new(vec![scheduled("f", every(3_600_000, Missed::All))]);
    bench.pass(HOUR / 2).await;
    let mut edited = scheduled("f", every(3_600_000, Missed::Skip));
    edited.title = Some("another title".to_owned());
    rehash(&mut edited);
    bench.engine.swap(live(vec![edited, scheduled("other", hourly(Missed::Skip))]));
    bench.pass(HOUR / 2 + Duration::from_secs(1)).await;
    assert_eq!(bench.started("f"), ids([1]), "counted from the first sight");
    bench.engine.swap(live(vec![scheduled("f", every(1_800_000, Missed::All))]));
    bench.pass(HOUR / 2).await;
    assert_eq!(bench.started("f").len(), 2);
    assert_eq!(bench.started("f")[1], "f@2026-11-22T13:30:01.000Z", "counted from the edit");
    // A flow that is gone for a while makes up for nothing.
    bench.engine.swap(live(Vec::new()));
    bench.pass(HOUR * 2).await;
    bench.engine.swap(live(vec![scheduled("f", every(1_800_000, Missed::All))]));
    bench.pass(HOUR / 2).await;
    assert_eq!(bench.started("f").len(), 3);
}

#[tokio::test]
async fn instants_during_a_pause_are_not_made_up_for() {
    let bench = Bench::new(vec![scheduled("f", hourly(Missed::All))]);
    bench.pass(HOUR).await;
    bench.engine.pause("f").await.unwrap();
    bench.pass(HOUR * 2).await;
    bench.engine.resume("f").await.unwrap();
    bench.pass(HOUR).await;
    assert_eq!(bench.started("f"), ids([1, 4]));
}

#[tokio::test]
async fn of_very_many_missed_instants_the_latest_are_made_up_for() {
    let store = Arc::new(MemoryStore::new().unwrap());
    let (clock, service) = (ManualClock::new(), Arc::new(Service::default()));
    let flows = || vec![scheduled("f", every(60_000, Missed::All))];
    let bench = Bench::over(Arc::clone(&store) as _, flows(), Arc::clone(&clock), Arc::clone(&service));
    bench.pass(Duration::from_secs(60)).await;
    bench.engine.stop(Duration::ZERO).await;
    clock.set(hour(24 * 7));
    let bench = Bench::over(store as _, flows(), clock, service);
    bench.pass(Duration::from_secs(30)).await;
    let started = bench.started("f");
    assert_eq!(started.len(), 1001);
    assert_eq!(started.last(), ids([24 * 7]).last());
}

#[tokio::test]
async fn ten_thousand_schedules_cost_no_task_and_no_timer_each() {
    let flows = (0..10_000).map(|n| scheduled(&format!("f{n}"), hourly(Missed::Skip))).collect();
    let many = Bench::new(flows);
    many.engine.settled().await;
    assert!(many.clock.waiting() < 20, "{}", many.clock.waiting());
    assert_eq!(many.clock.next(), Some(hour(0).checked_add(1.minutes()).unwrap()), "they are looked at together");
}

#[tokio::test]
async fn a_time_of_day_starts_the_flow_on_its_day() {
    let day = Schedule {
        rule: Rule::Calendar { days: vec![Days::Every], times: vec![DayTime::Clock { hour: 3, minute: 0, second: 0 }] },
        ..hourly(Missed::Skip)
    };
    let one = Bench::new(vec![scheduled("f", day)]);
    one.pass(HOUR * 16).await;
    assert_eq!(one.started("f"), ids([15]));
}
