//! A year: what is finished goes, what was promised to stay stays, and the file does not grow.

use std::sync::Arc;
use std::time::Duration;

use flow_plan::{Effect, Flow, Instr, Span, Wait};
use flow_runtime::engine::{Engine, EngineOptions};
use flow_runtime::store::{EventQuery, RedbStore, RunQuery, Store};
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
