//! A year: what is finished goes, what was promised to stay stays, and the file does not grow.

use std::sync::Arc;
use std::time::Duration;

use flow_plan::{Effect, Flow, Instr, Span, Wait};
use flow_runtime::engine::{Engine, EngineOptions};
use flow_runtime::store::{EventQuery, MemoryStore, RedbStore, RunQuery, Store};
use jiff::SignedDuration;

use crate::day::AtOnce;
use crate::disk::SimDisk;
use crate::fixture::*;

/// A day's events.
const A_DAY: u64 = 6;

fn version(number: u64) -> Flow {
    let mut flow = flow("f", vec![op("set", Effect::Set)]);
    flow.title = Some(format!("version {number}"));
    rehash(&mut flow);
    flow
}

fn waits_long() -> Flow {
    let mut waits = flow("w", vec![op("set_late", Effect::Set)]);
    waits.triggers = vec![flow_plan::TriggerUse { types: vec!["other".to_owned()], ..trigger("failed") }];
    waits.program.instrs.insert(0, Instr::Wait(Box::new(Wait::For(Span::exact(400 * 86_400_000)))));
    rehash(&mut waits);
    waits
}

fn id(day: u64, number: u64) -> String {
    format!("evt_{day}_{number}")
}

/// About 4 kB.
fn payload(id: &str) -> String {
    EVENT.replace("Jane", &format!("{id} {}", "x".repeat(4000)))
}

#[tokio::test]
async fn a_year_of_events_leaves_what_was_promised_and_a_file_that_is_reused() {
    let disk = SimDisk::default();
    let store = Arc::new(RedbStore::on_in_turns(Arc::new(disk.clone()), Arc::new(AtOnce)).unwrap());
    let (clock, service) = (ManualClock::new(), Arc::new(Service::default()));
    let engine = {
        let live = live(vec![version(0), waits_long()]);
        Engine::start(Arc::clone(&store) as _, live, world(&clock, &service), EngineOptions::default()).unwrap()
    };
    let bench = Bench { clock, service, engine };
    let waiting = bench.engine.accept("svc", vec![event_of("waits", "a", "other")], None).await.unwrap().remove(0).runs.remove(0);
    bench.service.fault("set", [Fault::Status(422)]);
    let dead = bench.send("dies", EVENT).await.runs.remove(0);
    assert_eq!(bench.status(&dead).await, "dead");
    let size = || disk.bytes("flow.redb").unwrap().len();
    let mut largest = 0;
    for day in 1..=365u64 {
        if day % 50 == 0 {
            bench.engine.swap(live(vec![version(day / 50), waits_long()]));
        }
        for number in 0..A_DAY {
            let id = id(day, number);
            assert_eq!(bench.send(&id, &payload(&id)).await.runs.len(), 1);
        }
        if day > 34 {
            // Sent again after 34 days it is known, though the event itself has gone.
            let again = bench.send(&id(day - 34, 0), &payload("again")).await;
            assert!(again.runs.is_empty(), "day {day}");
        }
        bench.engine.settled().await;
        bench.set(bench.now().checked_add(SignedDuration::from_hours(24)).unwrap()).await;
        bench.engine.settled().await;
        let runs = store.runs(&RunQuery { limit: 10_000, ..RunQuery::default() }).unwrap().len() as u64;
        assert!(runs <= 2 + 31 * A_DAY, "day {day}: {runs} runs");
        match day {
            0..100 => largest = largest.max(size()),
            _ => assert!(size() <= largest * 2, "day {day}: {} after {largest}", size()),
        }
    }
    assert_eq!(bench.service.requests("set").len() as u64, 1 + 365 * A_DAY, "each event has run once");
    // Who waits, and who is dead, is there with event, plan and journal.
    for (run, status) in [(&waiting, "waiting"), (&dead, "dead")] {
        let head = store.run(run).unwrap().unwrap();
        assert_eq!(head.status.as_str(), status);
        assert!(store.plan(&head.plan).unwrap().is_some() && store.event(head.event).unwrap().is_some());
        assert_eq!(store.journal(run).unwrap().len(), head.entries as usize);
    }
    // Plans went with their last run: those of the last month are left, that of the dead one, and that of the one that waits.
    let left: Vec<u64> = (0..=7).filter(|number| store.plan(&version(*number).hash).unwrap().is_some()).collect();
    assert_eq!(left, [0, 6, 7]);
    let events = store.events(&EventQuery { limit: 10_000, ..EventQuery::default() }).unwrap().len() as u64;
    assert!(events <= 2 + 31 * (A_DAY + 1), "{events} events");
    bench.engine.stop(Duration::ZERO).await;
}

const DAY: i64 = 24;

fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(days * DAY)
}

fn kept(store: &Arc<MemoryStore>) -> usize {
    store.runs(&RunQuery { limit: 10, ..RunQuery::default() }).unwrap().len()
}

#[tokio::test]
async fn a_clock_that_leaps_ahead_for_a_moment_takes_nothing_with_it() {
    for (restarts, begins_with) in [(false, 2), (true, 2), (true, 7200)] {
        let mut store = Arc::new(MemoryStore::new().unwrap());
        let flows = || vec![version(0)];
        let mut bench = Bench::over(Arc::clone(&store) as _, flows(), ManualClock::new(), Arc::default());
        bench.send("evt_1", EVENT).await;
        bench.pass(Duration::from_secs(begins_with)).await;
        // Three times, with events in between that are of a time to come.
        for round in 0..3 {
            for by in [40, -40] {
                bench.leap(days(by)).await;
                if restarts {
                    (bench, store) = restart(bench, &store, flows()).await;
                }
                bench.send(&format!("evt_{by}_{round}"), EVENT).await;
                bench.pass(Duration::from_secs(2 * 3600)).await;
                assert!(bench.send("evt_1", EVENT).await.duplicate, "{restarts}, {begins_with}: {by} days, {round}");
            }
        }
        bench.leap(days(40)).await;
        assert!(bench.send("evt_1", EVENT).await.duplicate);
        assert_eq!(bench.started("f").iter().filter(|id| *id == "evt_1").count(), 1);
    }
}

#[tokio::test]
async fn what_was_kept_while_nobody_ran_goes_when_it_has_been_kept_for_its_time() {
    let store = Arc::new(MemoryStore::new().unwrap());
    let bench = Bench::over(Arc::clone(&store) as _, vec![version(0)], ManualClock::new(), Arc::default());
    bench.send("evt_1", EVENT).await;
    bench.pass(Duration::from_secs(2 * 3600)).await;
    bench.leap(days(60)).await;
    let (bench, store) = restart(bench, &store, vec![version(0)]).await;
    for day in 0..36 {
        assert!(day > 28 || kept(&store) == 1, "day {day}");
        // Where it has gone, the key of its start is there for 35 days all the same.
        if day == 34 {
            let again = bench.send("evt_1", EVENT).await;
            assert_eq!((again.duplicate, again.runs.len()), (false, 0), "day {day}");
        }
        bench.pass(Duration::from_secs(86_400)).await;
    }
    assert_eq!(kept(&store), 0);
    bench.pass(Duration::from_secs(2 * 86_400)).await;
    assert_eq!(bench.send("evt_2", EVENT).await.runs.len(), 1);
}

#[tokio::test]
async fn a_first_start_with_a_time_to_come_is_forgotten_when_the_clock_is_right() {
    let store = Arc::new(MemoryStore::new().unwrap());
    let bench = Bench::over(Arc::clone(&store) as _, vec![version(0)], ManualClock::new(), Arc::default());
    bench.leap(days(4000)).await;
    bench.send("evt_0", EVENT).await;
    bench.pass(Duration::from_secs(2 * 86_400)).await;
    bench.leap(days(-4000)).await;
    bench.send("evt_1", EVENT).await;
    bench.pass(Duration::from_secs(3 * 3600)).await;
    bench.leap(days(40)).await;
    bench.pass(Duration::from_secs(2 * 3600)).await;
    assert!(bench.send("evt_1", EVENT).await.duplicate);
}
