//! What the engine says of flows: a death and its event are one.

use std::sync::Arc;
use std::time::Duration;

use flow_plan::{self as plan, Effect};
use flow_runtime::live::Live;
use flow_runtime::store::{EventQuery, MemoryStore};

use crate::fixture::*;

/// The flows, with the built-in connection `flow`.
fn reported(flows: Vec<plan::Flow>) -> Live {
    let mut live = live(flows);
    let mut engine = connection("flow");
    engine.plan.sources = vec![plan::Source {
        name: "engine".to_owned(),
        envelope: plan::Envelope { object: path("data"), ..plan::Envelope::default() },
        triggers: ["dead", "failed", "silent", "paused"].map(|name| (name.to_owned(), vec![name.to_owned()])).into(),
        ..engine.plan.sources.remove(0)
    }];
    live.connections.insert("flow".to_owned(), Arc::new(engine));
    live
}

/// `when flow.dead do svc.set`, or another kind of report.
fn listener(id: &str, kind: &str) -> plan::Flow {
    let mut flow = flow(id, vec![op("set", Effect::Set)]);
    flow.triggers = vec![plan::TriggerUse {
        connection: "flow".to_owned(),
        source: "engine".to_owned(),
        types: vec![kind.to_owned()],
        ..trigger(kind)
    }];
    flow.reads = vec![field("flow", plan::Shape::Text, false), field("error", plan::Shape::Text, false)];
    rehash(&mut flow);
    flow
}

fn bench(flows: Vec<plan::Flow>) -> Bench {
    let store = Arc::new(MemoryStore::new().unwrap());
    Bench::with_live(store, reported(flows), ManualClock::new(), Arc::new(Service::default()))
}

fn payload(bench: &Bench) -> serde_json::Value {
    let event = bench.engine.events(&EventQuery { limit: 1, ..EventQuery::default() }).unwrap().remove(0);
    assert_eq!((event.connection.as_str(), event.depth), ("flow", 1));
    serde_json::from_slice(&event.payload).unwrap()
}

#[tokio::test]
async fn a_death_starts_who_listens() {
    let bench = bench(vec![flow("f", vec![op("once", Effect::Once)]), listener("l", "dead")]);
    bench.service.fault("once", [Fault::Status(400)]);
    let run = bench.send("evt_1", EVENT).await.runs.remove(0);
    bench.pass(Duration::from_secs(60)).await;
    assert_eq!(bench.started("l").len(), 1);
    let data = payload(&bench)["data"].clone();
    assert_eq!(data["flow"], "f");
    assert_eq!(data["run"], run.as_str());
    assert_eq!(data["event_id"], "evt_1");
    assert_eq!(data["trigger"], "happened");
    assert_eq!(data["action"], "svc.call_1");
    assert_eq!(data["death"], "refused");
    assert!(data["error"].as_str().unwrap().contains("svc.call_1"), "{data}");
    // Tried again by hand it can die again, and that is told again.
    bench.service.fault("once", [Fault::Status(400)]);
    bench.engine.retry(&run, true).await.unwrap();
    bench.pass(Duration::from_secs(60)).await;
    assert_eq!(bench.started("l").len(), 2);
}

#[tokio::test]
async fn a_failure_that_the_flow_handles_is_told_as_one() {
    let mut handled = flow("f", vec![op("once", Effect::Once)]);
    handled.program.on_error = Some(plan::ErrorHandler { to: 1, error: 0 });
    rehash(&mut handled);
    let bench = bench(vec![handled, listener("died", "dead"), listener("failed", "failed")]);
    bench.service.fault("once", [Fault::Status(400)]);
    bench.send("evt_1", EVENT).await;
    bench.pass(Duration::from_secs(60)).await;
    assert_eq!((bench.started("died").len(), bench.started("failed").len()), (0, 1));
    assert_eq!(payload(&bench)["data"]["step"], "1");
}

#[tokio::test]
async fn nobody_hears_of_itself_and_reports_report_nothing() {
    let mut both = flow("f", vec![op("once", Effect::Once)]);
    both.triggers.push(listener("f", "dead").triggers.remove(0));
    both.triggers[1].reads = vec![None; both.reads.len()];
    rehash(&mut both);
    let mut failing = listener("l", "dead");
    failing.operations = vec![Arc::new(op("once", Effect::Once))];
    rehash(&mut failing);
    let bench = bench(vec![both, failing]);
    bench.service.always("once", Some(Fault::Status(400)));
    bench.send("evt_1", EVENT).await;
    bench.pass(Duration::from_secs(3600)).await;
    assert_eq!(bench.started("f"), ["evt_1"]);
    assert_eq!(bench.started("l").len(), 1, "its own death is not told");
}

#[tokio::test]
async fn a_cut_at_any_commit_parts_no_death_from_its_report() {
    for cut in 1..=6 {
        let store = Arc::new(MemoryStore::new().unwrap());
        let (clock, service) = (ManualClock::new(), Arc::new(Service::default()));
        service.always("once", Some(Fault::Status(400)));
        store.faults().fail_after(cut);
        let live = || reported(vec![flow("f", vec![op("once", Effect::Once)]), listener("l", "dead")]);
        let before = Bench::with_live(Arc::clone(&store) as _, live(), Arc::clone(&clock), Arc::clone(&service));
        let began = before.engine.accept("svc", vec![incoming("evt_1", EVENT)], None).await;
        for _ in 0..200 {
            tokio::task::yield_now().await;
            std::thread::yield_now();
        }
        before.engine.stop(Duration::ZERO).await;
        let after = Bench::with_live(Arc::new(store.copy().unwrap()) as _, live(), clock, service);
        if began.is_err() {
            after.send("evt_1", EVENT).await;
        }
        after.pass(Duration::from_secs(3600)).await;
        assert_eq!(after.started("l").len(), 1, "cut after {cut}");
    }
}

#[tokio::test]
async fn causes_do_not_go_deeper_than_eight() {
    let bench = bench(vec![flow("f", vec![op("set", Effect::Set)])]);
    for (id, depth, runs) in [("a", 8, 1), ("b", 9, 0)] {
        let event = flow_runtime::event::Incoming { depth, ..incoming(id, EVENT) };
        let accepted = bench.engine.accept("svc", vec![event], None).await.unwrap().remove(0);
        assert_eq!(accepted.runs.len(), runs, "{depth} deep");
    }
}
