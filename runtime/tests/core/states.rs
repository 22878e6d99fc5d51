//! States: changes between what is known, and what lasts, across what was not seen.

use std::sync::Arc;
use std::time::Duration;

use flow_plan::{self as plan, Effect, Expr, Gaps, Shape, Span, StartKind, StateOp, StateStart, Value};
use flow_runtime::live::Live;
use flow_runtime::store::{EventQuery, MemoryStore};
use jiff::Timestamp;

use crate::fixture::*;

const MINUTE: Duration = Duration::from_secs(60);

/// A device whose state is read each minute.
pub(crate) fn with_states(flows: Vec<plan::Flow>) -> Live {
    let mut live = live(flows);
    let mut device = connection("svc");
    let source = |name: &str, shape: Shape, members: &[&str]| {
        let mut query = op(name, Effect::Read);
        query.inputs = Vec::new();
        query.answer.shape = Some(Shape::Record(vec![field("state", shape, true)]));
        Arc::new(plan::StateSource {
            name: name.to_owned(),
            query: Arc::new(query),
            args: Vec::new(),
            value: Expr::Field(Box::new(Expr::Local(0)), "state".to_owned()),
            members: members.iter().map(|member| (*member).to_owned()).collect(),
            every_ms: 60_000,
            within_quota: false,
        })
    };
    device.plan.states =
        vec![source("door", Shape::Token, &["locked", "unlocked", "unknown"]), source("heat", Shape::Number, &[])];
    live.connections.insert("svc".to_owned(), Arc::new(device));
    live
}

fn waits(id: &str, state: &str, op: StateOp, value: Value, minutes: Option<i64>, gaps: Gaps) -> plan::Flow {
    let mut flow = flow(id, vec![crate::fixture::op("set", Effect::Set)]);
    let rule =
        StateStart { state: state.to_owned(), op, value, lasting: minutes.map(|minutes| Span::exact(minutes * 60_000)), gaps };
    flow.triggers = vec![plan::TriggerUse {
        source: "state".to_owned(),
        types: vec![id.to_owned()],
        kind: StartKind::State(Box::new(rule)),
        ..trigger(state)
    }];
    flow.reads = vec![field("value", Shape::Text, false), field("since", Shape::Text, false), field("was", Shape::Text, true)];
    if state == "heat" {
        flow.reads[0].shape = Shape::Number;
        flow.reads[2].shape = Shape::Number;
    }
    rehash(&mut flow);
    flow
}

pub(crate) fn door(gaps: Gaps) -> plan::Flow {
    waits("f", "door", StateOp::Is, Value::text("unlocked"), Some(10), gaps)
}

fn bench(flows: Vec<plan::Flow>, service: &Arc<Service>) -> Bench {
    let store = Arc::new(MemoryStore::new().unwrap());
    Bench::with_live(store, with_states(flows), ManualClock::new(), Arc::clone(service))
}

const LOCKED: Option<&str> = Some("\"locked\"");
const UNLOCKED: Option<&str> = Some("\"unlocked\"");

fn minute(after_noon: i64) -> Timestamp {
    at("2026-11-22T12:00:00Z").checked_add(jiff::SignedDuration::from_mins(after_noon)).unwrap()
}

fn id(after_noon: i64) -> String {
    format!("f@{}", minute(after_noon).strftime("%Y-%m-%dT%H:%M:%S.000Z"))
}

#[tokio::test]
async fn a_change_between_known_values_starts_the_flow() {
    let service = Arc::new(Service::default());
    service.says("door", UNLOCKED);
    let bench = bench(vec![waits("f", "door", StateOp::Becomes, Value::text("unlocked"), None, Gaps::Verify)], &service);
    bench.pass(MINUTE * 2).await;
    assert_eq!(bench.started("f"), Vec::<String>::new(), "what it was at first sight is no change");
    for (value, minutes) in
        [(LOCKED, 2), (None, 20), (Some("\"jammed\""), 2), (Some("null"), 2), (Some("\"unknown\""), 2), (LOCKED, 20)]
    {
        service.says("door", value);
        bench.pass(MINUTE * minutes).await;
    }
    assert_eq!(bench.started("f"), Vec::<String>::new());
    // What is not known lies between neighbours.
    service.says("door", None);
    bench.pass(MINUTE * 3).await;
    service.says("door", UNLOCKED);
    bench.pass(MINUTE * 30).await;
    assert_eq!(bench.started("f").len(), 1);
    let event = bench.engine.events(&EventQuery { limit: 1, ..EventQuery::default() }).unwrap().remove(0);
    let payload: serde_json::Value = serde_json::from_slice(&event.payload).unwrap();
    assert_eq!((&payload["value"], &payload["was"]), (&"unlocked".into(), &"locked".into()));
    assert_eq!(event.connection, "svc");
    assert_eq!(event.triggers, ["door"]);
    assert_eq!(bench.service.requests("set").len(), 1, "the flow reads what the event says");
}

#[tokio::test]
async fn numbers_rise_above_and_drop_below() {
    let service = Arc::new(Service::default());
    service.says("heat", Some("31"));
    let number = |n: i64| Value::Number(n.into());
    let flows = vec![
        waits("up", "heat", StateOp::RisesAbove, number(30), None, Gaps::Verify),
        waits("down", "heat", StateOp::DropsBelow, number(20), None, Gaps::Verify),
        waits("hot", "heat", StateOp::RisesAbove, number(30), Some(3), Gaps::Verify),
    ];
    let bench = bench(flows, &service);
    let mut seen = Vec::new();
    for value in ["31", "30", "30.5", "35", "36", "40", "20", "19.9", "5", "20", "19"] {
        service.says("heat", Some(value));
        bench.pass(MINUTE).await;
        seen.push((bench.started("up").len(), bench.started("down").len(), bench.started("hot").len()));
    }
    let rises: Vec<_> = seen.iter().map(|(up, ..)| *up).collect();
    assert_eq!(rises, [0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
    let drops: Vec<_> = seen.iter().map(|(_, down, _)| *down).collect();
    assert_eq!(drops, [0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 2]);
    let hot: Vec<_> = seen.iter().map(|(.., hot)| *hot).collect();
    assert_eq!(hot, [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1], "three minutes after it rose");
}

#[tokio::test]
async fn what_lasts_starts_the_flow_once_per_stretch() {
    let service = Arc::new(Service::default());
    service.says("door", UNLOCKED);
    let bench = bench(vec![door(Gaps::Verify)], &service);
    bench.pass(MINUTE * 30).await;
    assert_eq!(bench.started("f"), [id(10)]);
    service.says("door", LOCKED);
    bench.pass(MINUTE * 5).await;
    service.says("door", UNLOCKED);
    bench.pass(MINUTE * 5).await;
    service.says("door", LOCKED);
    bench.pass(MINUTE * 5).await;
    service.says("door", UNLOCKED);
    bench.pass(MINUTE * 30).await;
    // Known again a minute after it was said at the latest.
    assert_eq!(bench.started("f").len(), 2);
    // Locked a moment before the time is over, which no regular look has seen: it is read again first.
    service.says("door", LOCKED);
    bench.pass(MINUTE * 2).await;
    service.says("door", UNLOCKED);
    bench.pass(MINUTE * 10).await;
    service.says("door", LOCKED);
    bench.pass(MINUTE * 30).await;
    assert_eq!(bench.started("f").len(), 2);
}

/// The door is unlocked since noon; the daemon goes at each minute and comes back after each of several times.
async fn across_a_stop(gaps: Gaps, expected: impl Fn(i64, i64) -> i64) {
    for killed in [false, true] {
        for stopped in 1..10 {
            for down in [0, 1, 4, 30] {
                let store = Arc::new(MemoryStore::new().unwrap());
                let (clock, service) = (ManualClock::new(), Arc::new(Service::default()));
                service.says("door", UNLOCKED);
                let live = || with_states(vec![door(gaps)]);
                let bench = Bench::with_live(Arc::clone(&store) as _, live(), Arc::clone(&clock), Arc::clone(&service));
                bench.pass(MINUTE * u32::try_from(stopped).unwrap()).await;
                if !killed {
                    bench.engine.stop(Duration::ZERO).await;
                }
                let rest = Arc::new(store.copy().unwrap());
                clock.set(minute(stopped + down));
                bench.engine.stop(Duration::ZERO).await;
                let bench = Bench::with_live(rest as _, live(), clock, service);
                bench.pass(MINUTE * 60).await;
                assert_eq!(bench.started("f"), [id(expected(stopped, stopped + down))], "stopped {stopped}, down {down}");
            }
        }
    }
}

#[tokio::test]
async fn across_gaps_verify_counts_the_time_once_it_was_read_again() {
    across_a_stop(Gaps::Verify, |_, began| began.max(10)).await;
}

#[tokio::test]
async fn across_gaps_assume_counts_the_time() {
    across_a_stop(Gaps::Assume, |_, _| 10).await;
}

#[tokio::test]
async fn across_gaps_restart_begins_anew() {
    across_a_stop(Gaps::Restart, |_, began| began + 10).await;
}

#[tokio::test]
async fn a_state_that_is_not_known_matches_only_where_the_flow_assumes_it() {
    for (gaps, expected) in [(Gaps::Verify, vec![]), (Gaps::Assume, vec![id(10)]), (Gaps::Restart, vec![])] {
        let service = Arc::new(Service::default());
        service.says("door", UNLOCKED);
        let bench = bench(vec![door(gaps)], &service);
        bench.pass(MINUTE * 5).await;
        service.says("door", None);
        bench.pass(MINUTE * 60).await;
        assert_eq!(bench.started("f"), expected, "{gaps:?}");
        // Otherwise by now: the stretch is over.
        service.says("door", LOCKED);
        bench.pass(MINUTE * 30).await;
        assert_eq!(bench.started("f"), expected, "{gaps:?}");
    }
}

#[tokio::test]
async fn a_cut_at_any_commit_starts_it_once() {
    for cut in 1..=10 {
        let store = Arc::new(MemoryStore::new().unwrap());
        let (clock, service) = (ManualClock::new(), Arc::new(Service::default()));
        service.says("door", UNLOCKED);
        store.faults().fail_after(cut);
        let live = || with_states(vec![door(Gaps::Verify)]);
        let before = Bench::with_live(Arc::clone(&store) as _, live(), Arc::clone(&clock), Arc::clone(&service));
        for _ in 0..20 {
            for _ in 0..30 {
                tokio::task::yield_now().await;
                std::thread::yield_now();
            }
            clock.set(before.now().checked_add(MINUTE).unwrap());
        }
        before.engine.stop(Duration::ZERO).await;
        let after = Bench::with_live(Arc::new(store.copy().unwrap()) as _, live(), clock, service);
        after.pass(MINUTE * 30).await;
        assert_eq!(after.started("f").len(), 1, "cut after {cut}");
    }
}

#[tokio::test]
async fn a_state_is_read_at_once_where_something_says_that_it_changed() {
    let service = Arc::new(Service::default());
    service.says("door", LOCKED);
    let bench = bench(vec![waits("f", "door", StateOp::Becomes, Value::text("unlocked"), None, Gaps::Verify)], &service);
    bench.pass(Duration::from_secs(90)).await;
    service.says("door", UNLOCKED);
    assert!(bench.engine.observe("svc", "door"));
    bench.engine.settled().await;
    assert_eq!(bench.started("f").len(), 1);
    assert!(!bench.engine.observe("svc", "heat"), "no flow waits for it");
}

fn payloads(bench: &Bench, flow: &str) -> Vec<serde_json::Value> {
    let mut events = bench.engine.events(&EventQuery { limit: 100, ..EventQuery::default() }).unwrap();
    events.retain(|event| event.event_type.as_deref() == Some(flow));
    events.sort_by_key(|event| event.occurred_at);
    events.iter().map(|event| serde_json::from_slice(&event.payload).unwrap()).collect()
}

#[tokio::test]
async fn each_change_between_known_values_starts_the_flow() {
    let service = Arc::new(Service::default());
    service.says("heat", Some("31"));
    let bench = bench(vec![waits("f", "heat", StateOp::Changes, Value::Missing, None, Gaps::Verify)], &service);
    // What cannot be read right behind a change hides no other.
    for value in [Some("31"), Some("31.0"), Some("30"), None, Some("29"), Some("29"), Some("null"), Some("29"), Some("30")] {
        service.says("heat", value);
        bench.pass(MINUTE * 20).await;
    }
    let seen: Vec<_> = payloads(&bench, "f").iter().map(|event| (event["was"].clone(), event["value"].clone())).collect();
    let number = |n: i64| serde_json::Value::from(n);
    assert_eq!(seen, [(31, 30), (30, 29), (29, 30)].map(|(was, value)| (number(was), number(value))));
    assert_eq!(bench.started("f").len(), 3);
}

fn not_known(id: &str, op: StateOp, minutes: Option<i64>) -> plan::Flow {
    let mut flow = waits(id, "door", op, Value::Missing, minutes, Gaps::Verify);
    if op != StateOp::Known {
        flow.reads.remove(0);
    }
    rehash(&mut flow);
    flow
}

fn all_not_known() -> Vec<plan::Flow> {
    vec![
        not_known("unknown", StateOp::Unknown, Some(10)),
        not_known("unread", StateOp::Unreadable, Some(10)),
        not_known("at_once", StateOp::Unknown, None),
        not_known("known", StateOp::Known, None),
    ]
}

const ALL: [&str; 4] = ["unknown", "unread", "at_once", "known"];

#[tokio::test]
async fn that_a_state_is_not_known_starts_flows_which_ask_for_that() {
    let service = Arc::new(Service::default());
    service.says("door", LOCKED);
    let bench = bench(all_not_known(), &service);
    let started = |bench: &Bench| ALL.map(|flow| bench.started(flow).len());
    bench.pass(MINUTE * 30).await;
    assert_eq!(started(&bench), [0, 0, 0, 0]);
    // For a moment.
    service.says("door", None);
    bench.pass(MINUTE * 3).await;
    assert_eq!(started(&bench), [0, 0, 1, 0]);
    service.says("door", LOCKED);
    bench.pass(MINUTE * 30).await;
    assert_eq!(started(&bench), [0, 0, 1, 1]);
    // The service itself does not know it.
    service.says("door", Some("\"unknown\""));
    bench.pass(MINUTE * 30).await;
    assert_eq!(started(&bench), [1, 0, 2, 1]);
    // Now it is not there either, and then it knows no more than before.
    service.says("door", None);
    bench.pass(MINUTE * 60).await;
    service.says("door", Some("null"));
    bench.pass(MINUTE * 30).await;
    assert_eq!(started(&bench), [1, 1, 2, 1]);
    service.says("door", UNLOCKED);
    bench.pass(MINUTE * 30).await;
    assert_eq!(started(&bench), [1, 1, 2, 2]);
    let known = payloads(&bench, "known").pop().unwrap();
    assert_eq!((&known["value"], &known["was"]), (&"unlocked".into(), &"locked".into()));
    let unknown = payloads(&bench, "unknown").pop().unwrap();
    assert_eq!((&unknown["value"], &unknown["was"]), (&serde_json::Value::Null, &"locked".into()));
    assert_eq!(known["since"], unknown["since"], "since when it was not known");
    assert_eq!(bench.service.requests("set").len(), started(&bench).iter().sum::<usize>(), "flows read what their events say");
}

#[tokio::test]
async fn that_a_state_is_not_known_is_said_after_a_restart_once_somebody_has_looked() {
    for (says, unknown) in [(LOCKED, 0), (None, 1)] {
        let store = Arc::new(MemoryStore::new().unwrap());
        let (clock, service) = (ManualClock::new(), Arc::new(Service::default()));
        service.says("door", None);
        let live = || with_states(all_not_known());
        let bench = Bench::with_live(Arc::clone(&store) as _, live(), Arc::clone(&clock), Arc::clone(&service));
        bench.pass(MINUTE * 3).await;
        let rest = Arc::new(store.copy().unwrap());
        clock.set(minute(120));
        bench.engine.stop(Duration::ZERO).await;
        service.says("door", says);
        let bench = Bench::with_live(rest as _, live(), clock, service);
        bench.pass(MINUTE * 60).await;
        let started = ALL.map(|flow| bench.started(flow).len());
        assert_eq!(started, [unknown, unknown, 1, 1 - unknown], "{says:?}");
    }
}
