//! What the engine says of flows: a death and its event are one.

use std::sync::Arc;
use std::time::Duration;

use flow_plan::{self as plan, Effect};
use flow_runtime::live::Live;
use flow_runtime::store::{EventQuery, MemoryStore};

use crate::fixture::*;

/// The flows, with the built-in connection `flow`.
pub(crate) fn reported(flows: Vec<plan::Flow>) -> Live {
    let mut live = live(flows);
    let mut engine = connection("flow");
    engine.plan.sources = vec![Arc::new(plan::Source {
        name: "engine".to_owned(),
        envelope: plan::Envelope { object: path("data"), ..plan::Envelope::default() },
        triggers: ["dead", "failed", "misfit", "paused", "silent"].map(|name| (name.to_owned(), vec![name.to_owned()])).into(),
        ..plan::Source::clone(&engine.plan.sources[0])
    })];
    live.connections.insert("flow".to_owned(), Arc::new(engine));
    live
}

/// `when flow.dead do svc.set`, or another kind of report.
pub(crate) fn listener(id: &str, kind: &str) -> plan::Flow {
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

pub(crate) fn payload(bench: &Bench) -> serde_json::Value {
    let query = EventQuery { connection: Some("flow".to_owned()), limit: 1, ..EventQuery::default() };
    let event = bench.engine.events(&query).unwrap().remove(0);
    assert_eq!((event.depth, event.origin), (1, flow_runtime::event::Origin::Flow));
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

#[tokio::test]
async fn a_run_that_is_dead_from_the_start_is_told_with_the_event_that_began_it() {
    let bench = bench(vec![flow("f", vec![op("set", Effect::Set)]), listener("l", "dead")]);
    bench.send("evt_1", &EVENT.replace("12050", "\"x\"")).await;
    bench.pass(Duration::from_secs(60)).await;
    assert_eq!(bench.started("l").len(), 1);
    assert_eq!(payload(&bench)["data"]["death"], "misfit");
    assert_eq!(bench.service.requests("set").len(), 1, "the listener's");
    bench.send("evt_1", &EVENT.replace("12050", "\"x\"")).await;
    bench.pass(Duration::from_secs(60)).await;
    assert_eq!(bench.started("l").len(), 1);
}

#[tokio::test]
async fn a_limit_that_pauses_its_flow_is_told() {
    let mut limited = flow("f", vec![op("set", Effect::Set)]);
    limited.limits.at_most = vec![plan::AtMost {
        count: 2,
        per: Vec::new(),
        every: plan::Rate::Sliding(3_600_000),
        otherwise: plan::Otherwise::Pause,
    }];
    rehash(&mut limited);
    let bench = bench(vec![limited, listener("l", "paused")]);
    for n in 0..5 {
        bench.send(&format!("evt_{n}"), EVENT).await;
        bench.pass(Duration::from_secs(10)).await;
    }
    assert_eq!((bench.started("f").len(), bench.started("l").len()), (2, 1));
    assert_eq!(payload(&bench)["data"]["flow"], "f");
    assert!(bench.engine.paused_since("f").is_some());
}

pub(crate) fn expecting(count: u32, every: plan::Rate) -> plan::Flow {
    let mut flow = flow("f", vec![op("set", Effect::Set)]);
    flow.limits.expect = Some(plan::Expect { count, every });
    rehash(&mut flow);
    flow
}

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_flow_that_does_not_start_as_often_as_it_should_is_told_once_per_period() {
    let bench = bench(vec![expecting(2, plan::Rate::Sliding(3_600_000)), listener("l", "silent")]);
    bench.pass(HOUR - Duration::from_secs(1)).await;
    assert_eq!(bench.started("l").len(), 0);
    bench.pass(Duration::from_secs(1)).await;
    assert_eq!(bench.started("l").len(), 1);
    assert!(payload(&bench)["data"]["error"].as_str().unwrap().contains("at least 2 times per 1 hour"));
    // Two in each hour are enough, one is not.
    for n in 0..8 {
        bench.pass(HOUR / 2 - Duration::from_secs(60)).await;
        bench.send(&format!("evt_{n}"), EVENT).await;
    }
    assert_eq!(bench.started("l").len(), 1);
    for n in 8..11 {
        bench.pass(HOUR * 3 / 4).await;
        bench.send(&format!("evt_{n}"), EVENT).await;
    }
    assert!(bench.started("l").len() >= 2, "{}", bench.started("l").len());
}

#[tokio::test]
async fn a_day_is_judged_at_its_end_and_not_while_nobody_listened() {
    let day = plan::Rate::Calendar { unit: plan::CalendarUnit::Day, zone: "UTC".to_owned() };
    let store = Arc::new(MemoryStore::new().unwrap());
    let (clock, service) = (ManualClock::new(), Arc::new(Service::default()));
    let live = || reported(vec![expecting(1, day.clone()), listener("l", "silent")]);
    let bench = Bench::with_live(Arc::clone(&store) as _, live(), Arc::clone(&clock), Arc::clone(&service));
    // The rest of the first day is no whole day.
    bench.pass(HOUR * 13).await;
    assert_eq!(bench.started("l").len(), 0);
    bench.send("evt_1", EVENT).await;
    bench.pass(HOUR * 24).await;
    assert_eq!(bench.started("l").len(), 0);
    bench.pass(HOUR * 24).await;
    assert_eq!(bench.started("l"), ["f@2026-11-25T00:00:00.000Z:silent"]);
    bench.engine.stop(Duration::ZERO).await;
    clock.set(at("2026-11-29T20:00:00Z"));
    let bench = Bench::with_live(store as _, live(), clock, service);
    bench.pass(HOUR * 6).await;
    assert_eq!(bench.started("l").len(), 1, "nobody was there");
    bench.pass(HOUR * 24).await;
    assert_eq!(bench.started("l").len(), 2);
}

pub(crate) fn event(object: &str) -> String {
    EVENT.replace("\"ch_1\"", &format!("\"{object}\""))
}

/// A flow whose action causes `svc.happened`, for the record that it is given and for the one that it makes.
pub(crate) fn causing() -> plan::Flow {
    let mut causes = op("set", Effect::Set);
    causes.emits = vec!["svc.happened".to_owned()];
    let mut flow = flow("f", vec![causes]);
    flow.reads[1] = field("id", plan::Shape::Token, true);
    rehash(&mut flow);
    flow
}

#[tokio::test]
async fn what_our_own_actions_cause_is_known_as_such() {
    let store = Arc::new(MemoryStore::new().unwrap());
    let (clock, service) = (ManualClock::new(), Arc::new(Service::default()));
    let bench = Bench::with_live(Arc::clone(&store) as _, reported(vec![causing()]), Arc::clone(&clock), Arc::clone(&service));
    let origin = |bench: &Bench, id: &str| {
        let event = bench.engine.event(id).unwrap().remove(0);
        (event.origin == flow_runtime::event::Origin::Flow, event.depth)
    };
    bench.send("first", &event("rec_1")).await;
    bench.pass(Duration::from_secs(5)).await;
    assert_eq!(origin(&bench, "first"), (false, 0));
    bench.send("echo", &event("rec_1")).await;
    bench.send("other", &event("rec_2")).await;
    bench.send("made", &event("set-1")).await;
    assert_eq!(origin(&bench, "echo"), (true, 1), "of the record that the action was given");
    assert_eq!(origin(&bench, "other"), (false, 0));
    assert_eq!(origin(&bench, "made"), (true, 1), "of the record that it made");
    bench.pass(Duration::from_secs(5)).await;
    // The echo's own run touched it again, one deeper; and a restart forgets nothing.
    bench.engine.stop(Duration::ZERO).await;
    let rest = Arc::new(store.copy().unwrap());
    let bench = Bench::with_live(rest as _, reported(vec![causing()]), clock, service);
    bench.send("again", &event("rec_1")).await;
    assert_eq!(origin(&bench, "again"), (true, 2));
    bench.pass(Duration::from_secs(20 * 60)).await;
    bench.send("late", &event("rec_1")).await;
    assert_eq!(origin(&bench, "late"), (false, 0), "too late to be ours");
}

#[tokio::test]
async fn a_flow_that_causes_its_own_events_stops_at_a_depth_of_eight() {
    let bench = Bench::with_live(
        Arc::new(MemoryStore::new().unwrap()),
        reported(vec![causing()]),
        ManualClock::new(),
        Arc::new(Service::default()),
    );
    for n in 0..20 {
        bench.send(&format!("evt_{n}"), &event("rec_1")).await;
        bench.pass(Duration::from_secs(5)).await;
    }
    assert_eq!(bench.started("f").len(), 9);
}
