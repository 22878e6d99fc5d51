//! The effect classes: a failure before and after the effect for each, and how often the effect was made.

use std::time::Duration;

use flow_plan::{Effect, Retry};

use crate::fixture::*;

const DAY: Duration = Duration::from_secs(86_400 * 2);

struct Case {
    name: &'static str,
    effect: Effect,
    fault: Fault,
    status: &'static str,
    effects: usize,
    requests: usize,
}

fn case(name: &'static str, effect: Effect, fault: Fault, status: &'static str, effects: usize, requests: usize) -> Case {
    Case { name, effect, fault, status, effects, requests }
}

#[tokio::test]
async fn each_class_with_each_failure() {
    use Fault::{Nonsense, NotConnected, RetryAfter, Status, StatusAfter, TimeoutAfter, TimeoutBefore};
    let cases = [
        case("set", Effect::Set, NotConnected, "done", 1, 2),
        case("set", Effect::Set, TimeoutBefore, "done", 1, 2),
        case("set", Effect::Set, TimeoutAfter, "done", 2, 2),
        case("set", Effect::Set, Status(500), "done", 1, 2),
        case("set", Effect::Set, Status(403), "dead", 0, 1),
        case("keyed", keyed(), NotConnected, "done", 1, 2),
        case("keyed", keyed(), TimeoutBefore, "done", 1, 2),
        case("keyed", keyed(), TimeoutAfter, "done", 1, 2),
        case("keyed", keyed(), StatusAfter(502), "done", 1, 2),
        case("keyed", keyed(), RetryAfter(429, 60), "done", 1, 2),
        case("keyed", keyed(), Status(422), "dead", 0, 1),
        case("findable", findable(), NotConnected, "done", 1, 2),
        case("findable", findable(), TimeoutBefore, "done", 1, 2),
        case("findable", findable(), TimeoutAfter, "done", 1, 1),
        case("findable", findable(), StatusAfter(500), "done", 1, 1),
        case("findable", findable(), Status(409), "dead", 0, 1),
        case("findable", findable(), StatusAfter(409), "done", 1, 1),
        case("once", Effect::Once, NotConnected, "done", 1, 2),
        case("once", Effect::Once, RetryAfter(503, 5), "done", 1, 2),
        case("once", Effect::Once, Status(429), "done", 1, 2),
        case("once", Effect::Once, TimeoutBefore, "dead", 0, 1),
        case("once", Effect::Once, TimeoutAfter, "dead", 1, 1),
        case("once", Effect::Once, Status(500), "dead", 0, 1),
        case("once", Effect::Once, Nonsense, "dead", 1, 1),
    ];
    for Case { name, effect, fault, status, effects, requests } in cases {
        let what = format!("{name} {fault:?}");
        let bench = Bench::new(vec![flow("f", vec![op(name, effect)])]);
        bench.service.fault(name, [fault]);
        let accepted = bench.send("evt_1", EVENT).await;
        bench.pass(DAY).await;
        assert_eq!(bench.status(&accepted.runs[0]).await, status, "{what}");
        assert_eq!(bench.service.effects(name).len(), effects, "{what}");
        assert_eq!(bench.service.requests(name).len(), requests, "{what}");
        let keys: std::collections::BTreeSet<_> = bench.service.requests(name).into_iter().map(|(_, key)| key).collect();
        assert_eq!(keys.len(), 1, "{what}: one key in all attempts");
    }
}

#[tokio::test]
async fn what_is_never_tried_again_has_one_attempt_whatever_is_known_of_it() {
    for fault in [Fault::NotConnected, Fault::Status(429), Fault::RetryAfter(503, 5), Fault::TimeoutBefore] {
        let what = format!("{fault:?}");
        let mut operation = op("once", Effect::Once);
        operation.peculiar.retry_never = true;
        let bench = Bench::new(vec![flow("f", vec![operation])]);
        bench.service.fault("once", [fault]);
        let accepted = bench.send("evt_1", EVENT).await;
        bench.pass(DAY).await;
        assert_eq!(bench.status(&accepted.runs[0]).await, "dead", "{what}");
        assert_eq!((bench.service.effects("once").len(), bench.service.requests("once").len()), (0, 1), "{what}");
    }
}

#[tokio::test]
async fn a_findable_step_found_has_the_result_that_was_found() {
    let bench = Bench::new(vec![flow("f", vec![op("findable", findable())])]);
    bench.service.fault("findable", [Fault::TimeoutAfter]);
    bench.service.fault("find", [Fault::Status(500)]);
    let accepted = bench.send("evt_1", EVENT).await;
    bench.pass(DAY).await;
    let run = bench.run(&accepted.runs[0]).await;
    assert_eq!(run["steps"][0]["output"]["id"], "findable-1");
    assert_eq!(bench.service.requests("find").len(), 2, "the question is repeated where it has no answer");
    assert_eq!(bench.service.effects("findable").len(), 1);
}

#[tokio::test]
async fn a_keyed_step_is_not_tried_past_the_memory_of_the_service() {
    let bench = Bench::new(vec![flow("f", vec![op("keyed", keyed())])]);
    bench.service.always("keyed", Some(Fault::TimeoutBefore));
    let accepted = bench.send("evt_1", EVENT).await;
    let began = bench.now();
    bench.pass(DAY).await;
    let run = bench.run(&accepted.runs[0]).await;
    assert_eq!(run["status"], "dead");
    assert!(run["reason"].as_str().unwrap().contains("outcome is unknown"), "{run}");
    let attempts = run["steps"][0]["attempts"].as_array().unwrap();
    let last: jiff::Timestamp = attempts.last().unwrap()["at"].as_str().unwrap().parse().unwrap();
    let hours = last.duration_since(began).as_secs() / 60;
    assert!((19 * 60..=19 * 60 + 12).contains(&hours), "80 % of a day: {hours} minutes");
    // By hand it is not repeated either, unless somebody takes the blame.
    let refused = bench.engine.retry(&accepted.runs[0], false).await.unwrap();
    assert!(matches!(refused, flow_runtime::engine::RetryOutcome::Refused(_)), "{refused:?}");
    bench.service.always("keyed", None);
    bench.engine.retry(&accepted.runs[0], true).await.unwrap();
    bench.pass(DAY).await;
    assert_eq!(bench.status(&accepted.runs[0]).await, "done");
    let keys = bench.service.requests("keyed");
    assert_ne!(keys.first(), keys.last(), "a new generation has a new key");
}

#[tokio::test]
async fn a_retry_clause_changes_how_often_and_how_long() {
    let mut flow = flow("f", vec![op("set", Effect::Set)]);
    if let flow_plan::Instr::Call(call) = &mut flow.program.instrs[0] {
        call.retry = Some(Retry { times: 3, over_ms: Some(60_000) });
    }
    rehash(&mut flow);
    let bench = Bench::new(vec![flow]);
    bench.service.always("set", Some(Fault::Status(500)));
    let accepted = bench.send("evt_1", EVENT).await;
    bench.pass(Duration::from_secs(61)).await;
    assert_eq!(bench.status(&accepted.runs[0]).await, "dead");
    assert_eq!(bench.service.requests("set").len(), 4);
}

#[tokio::test]
async fn the_service_is_obeyed_when_it_asks_for_patience() {
    let bench = Bench::new(vec![flow("f", vec![op("set", Effect::Set)])]);
    bench.service.fault("set", [Fault::RetryAfter(429, 600)]);
    let accepted = bench.send("evt_1", EVENT).await;
    bench.pass(Duration::from_secs(599)).await;
    assert_eq!(bench.status(&accepted.runs[0]).await, "waiting");
    bench.pass(Duration::from_secs(2)).await;
    assert_eq!(bench.status(&accepted.runs[0]).await, "done");
}

#[tokio::test]
async fn a_refusal_can_be_retried_under_a_new_key() {
    let bench = Bench::new(vec![flow("f", vec![op("keyed", keyed())])]);
    bench.service.fault("keyed", [Fault::Status(400)]);
    let accepted = bench.send("evt_1", EVENT).await;
    assert_eq!(bench.status(&accepted.runs[0]).await, "dead");
    assert_eq!(bench.engine.stats().dead, 1);
    let retried = bench.engine.retry(&accepted.runs[0], false).await.unwrap();
    assert_eq!(retried, flow_runtime::engine::RetryOutcome::Retried);
    assert_eq!(bench.status(&accepted.runs[0]).await, "done");
    assert_eq!(bench.engine.stats().dead, 0);
    let requests = bench.service.requests("keyed");
    assert_ne!(requests[0].1, requests[1].1);
    let again = bench.engine.retry(&accepted.runs[0], false).await.unwrap();
    assert!(matches!(again, flow_runtime::engine::RetryOutcome::Refused(_)));
}

#[tokio::test]
async fn a_once_step_of_unknown_outcome_needs_force() {
    let bench = Bench::new(vec![flow("f", vec![op("once", Effect::Once)])]);
    bench.service.fault("once", [Fault::TimeoutAfter]);
    let accepted = bench.send("evt_1", EVENT).await;
    assert_eq!(bench.status(&accepted.runs[0]).await, "dead");
    let refused = bench.engine.retry(&accepted.runs[0], false).await.unwrap();
    assert!(matches!(refused, flow_runtime::engine::RetryOutcome::Refused(flow_runtime::run::RetryRefusal::OutcomeUnknown(_))));
    bench.pass(DAY).await;
    assert_eq!(bench.service.requests("once").len(), 1, "never repeated by the daemon");
    bench.engine.retry(&accepted.runs[0], true).await.unwrap();
    assert_eq!(bench.status(&accepted.runs[0]).await, "done");
    assert_eq!(bench.service.requests("once").len(), 2);
}

#[tokio::test]
async fn a_broken_connection_parks_its_runs_until_it_works() {
    let bench = Bench::new(vec![flow("f", vec![op("once", Effect::Once)])]);
    bench.service.always("once", Some(Fault::Status(401)));
    let mut runs = Vec::new();
    for number in 0..5 {
        runs.extend(bench.send(&format!("evt_{number}"), EVENT).await.runs);
    }
    bench.pass(Duration::from_secs(20)).await;
    for run in &runs {
        assert_eq!(bench.status(run).await, "parked");
    }
    let tried = bench.service.requests("once").len();
    assert!(tried <= 5, "those in flight when it broke, no others: {tried}");
    bench.pass(Duration::from_secs(3600)).await;
    let probes = bench.service.requests("once").len() - tried;
    assert!((3..=10).contains(&probes), "one at a time, less and less often: {probes}");
    assert!(is_broken(&bench));
    bench.service.always("once", None);
    bench.pass(Duration::from_secs(1000)).await;
    for run in &runs {
        assert_eq!(bench.status(run).await, "done");
    }
    assert_eq!(bench.service.effects("once").len(), 5);
    assert!(!is_broken(&bench));
}

fn is_broken(bench: &Bench) -> bool {
    bench.engine.connections().iter().any(|state| state.name == "svc" && state.broken().is_some())
}
