//! Stored events offered once more: what starts, what does not, and that nothing starts twice.

use std::sync::Arc;
use std::time::Duration;

use flow_plan::{AtMost, Condition, Effect, Expr, Flow, Instr, Limits, Otherwise, Rate, Value};
use flow_runtime::engine::ReplayError;
use flow_runtime::replay::{ReplayBite, ReplayPlace, ReplayQuery, Verdict};
use flow_runtime::store::{MemoryStore, RunQuery};

use crate::fixture::*;

/// A flow for customers of the name Ada.
fn for_ada() -> Flow {
    let mut flow = flow("f", vec![op("keyed", keyed())]);
    let expr = Expr::Equal(Box::new(Expr::Event(2)), Box::new(Expr::Const(Value::text("Ada"))));
    flow.filter = Some(Condition::Test { text: "name is \"Ada\"".to_owned(), expr, reads: vec![2] });
    rehash(&mut flow);
    flow
}

fn query() -> ReplayQuery {
    ReplayQuery { flow: "f".to_owned(), since: Some(at("2026-11-01T00:00:00Z")), ..ReplayQuery::default() }
}

/// A daemon without the flow, to which these customers come, and then the flow goes live.
async fn missed(names: &[&str], flow: Flow) -> Bench {
    missed_over(Arc::new(MemoryStore::new().unwrap()), names, flow).await
}

async fn missed_over(store: Arc<MemoryStore>, names: &[&str], flow: Flow) -> Bench {
    let bench = Bench::over(store, Vec::new(), ManualClock::new(), Arc::new(Service::default()));
    for (at, name) in names.iter().enumerate() {
        come(&bench, &format!("evt_{}", at + 1), name).await;
    }
    bench.pass(Duration::from_secs(10)).await;
    bench.engine.swap(live(vec![flow]));
    bench
}

async fn come(bench: &Bench, id: &str, name: &str) {
    bench.engine.accept("svc", vec![event_of(id, name, "happened")], None).await.unwrap();
    bench.engine.settled().await;
}

async fn replay(bench: &Bench, query: &ReplayQuery) -> ReplayBite {
    let bite = bench.engine.replay(query).await.unwrap();
    bench.engine.settled().await;
    bite
}

fn verdicts(bite: &ReplayBite) -> Vec<(&str, Verdict)> {
    bite.events.iter().map(|event| (event.id.as_str(), event.verdict)).collect()
}

fn runs(bench: &Bench) -> Vec<(String, Option<u32>)> {
    let found = bench.engine.runs(&RunQuery { limit: 100, ..RunQuery::default() }).unwrap();
    found.into_iter().rev().map(|run| (run.event_id, run.replay)).collect()
}

#[tokio::test]
async fn what_a_new_flow_missed_starts_it_once() {
    let bench = missed(&["Ada", "Bob", "Ada"], for_ada()).await;
    let dry = replay(&bench, &ReplayQuery { dry_run: true, ..query() }).await;
    let expected = [("evt_1", Verdict::Starts), ("evt_2", Verdict::Condition), ("evt_3", Verdict::Starts)];
    assert_eq!(verdicts(&dry), expected);
    assert_eq!(dry.events[1].clause.as_ref().map(|clause| clause.text.as_str()), Some("name is \"Ada\""));
    assert_eq!((dry.looked_at, dry.next), (3, None));
    assert!(runs(&bench).is_empty(), "it only looked");

    let done = replay(&bench, &query()).await;
    assert_eq!(verdicts(&done)[0], ("evt_1", Verdict::Started));
    assert_eq!(done.events[0].run, dry.events[0].run, "the run was known before it began");
    assert_eq!(runs(&bench), [("evt_1".to_owned(), Some(0)), ("evt_3".to_owned(), Some(0))]);
    assert_eq!(bench.status(done.events[0].run.as_deref().unwrap()).await, "done");
    assert_eq!(bench.run(done.events[0].run.as_deref().unwrap()).await["replay"], 0);

    let again = replay(&bench, &query()).await;
    let expected = [("evt_1", Verdict::Already), ("evt_2", Verdict::Condition), ("evt_3", Verdict::Already)];
    assert_eq!(verdicts(&again), expected);
    // And the service sends it a second time.
    come(&bench, "evt_1", "Ada").await;
    assert_eq!(bench.service.effects("keyed").len(), 2);
}

#[tokio::test]
async fn a_replay_is_durable_and_goes_on_behind_a_power_cut() {
    let store = Arc::new(MemoryStore::new().unwrap());
    let bench = missed_over(Arc::clone(&store), &["Ada", "Ada"], for_ada()).await;
    let one = ReplayQuery { event: Some("evt_1".to_owned()), since: None, ..query() };
    assert_eq!(verdicts(&bench.engine.replay(&one).await.unwrap()), [("evt_1", Verdict::Started)]);
    let (bench, _) = restart(bench, &store, vec![for_ada()]).await;
    let rest = replay(&bench, &query()).await;
    assert_eq!(verdicts(&rest), [("evt_1", Verdict::Already), ("evt_2", Verdict::Started)]);
    assert_eq!(runs(&bench).len(), 2);
    let mut keys = bench.service.effects("keyed");
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 2);
}

#[tokio::test]
async fn again_is_another_run_with_keys_of_its_own() {
    let bench = missed(&["Ada"], for_ada()).await;
    replay(&bench, &query()).await;
    bench.pass(Duration::from_secs(1)).await;
    let again = ReplayQuery { again: true, ..query() };
    let second = replay(&bench, &again).await;
    assert_eq!((verdicts(&second), second.events[0].before), (vec![("evt_1", Verdict::Started)], 1));
    assert_eq!(runs(&bench), [("evt_1".to_owned(), Some(0)), ("evt_1".to_owned(), Some(1))]);
    assert_eq!(bench.service.effects("keyed").len(), 2, "the service must not take it for a repetition");

    // Broken off and gone on with it is the same replay.
    let place = ReplayPlace { event: 1, began_at: second.began_at };
    assert_eq!(ReplayPlace::parse(&place.to_string()), Some(place));
    let on = replay(&bench, &ReplayQuery { from: Some(place), ..again.clone() }).await;
    assert_eq!(verdicts(&on), [("evt_1", Verdict::Already)]);

    bench.pass(Duration::from_secs(1)).await;
    bench.service.always("keyed", Some(Fault::NotConnected));
    let third = replay(&bench, &again).await;
    assert_eq!(third.events[0].before, 2);
    bench.pass(Duration::from_millis(1)).await;
    let fourth = replay(&bench, &again).await;
    assert_eq!(verdicts(&fourth), [("evt_1", Verdict::Running)], "its run is still tried");
}

#[tokio::test]
async fn limits_apply_as_of_now_and_what_they_decided_stays() {
    let mut flow = flow("f", vec![op("set", Effect::Set)]);
    let limit = AtMost { count: 1, per: Vec::new(), every: Rate::Sliding(60_000), otherwise: Otherwise::Drop };
    flow.limits = Limits { at_most: vec![limit], ..Limits::default() };
    rehash(&mut flow);
    let bench = missed(&["a", "b"], flow).await;
    let first = replay(&bench, &query()).await;
    assert_eq!(verdicts(&first), [("evt_1", Verdict::Started), ("evt_2", Verdict::Limited)]);
    assert!(first.events[1].reason.contains("at most 1 per minute"), "{:?}", first.events[1]);
    bench.pass(Duration::from_secs(120)).await;
    let later = replay(&bench, &query()).await;
    assert_eq!(verdicts(&later), [("evt_1", Verdict::Already), ("evt_2", Verdict::Limited)], "it was decided about");
    let again = replay(&bench, &ReplayQuery { again: true, event: Some("evt_2".to_owned()), ..query() }).await;
    assert_eq!(verdicts(&again), [("evt_2", Verdict::Started)]);
    let event = bench.engine.event("evt_2").unwrap().remove(0);
    assert!(bench.engine.why(&event, Some("f"), true).unwrap()[0].ran.is_some());
}

#[tokio::test]
async fn what_came_while_the_flow_was_paused_can_be_made_up_for() {
    let bench = Bench::new(vec![for_ada()]);
    bench.engine.pause("f").await.unwrap();
    come(&bench, "evt_1", "Ada").await;
    bench.pass(Duration::from_secs(1)).await;
    assert_eq!(bench.engine.replay(&query()).await.unwrap_err(), ReplayError::Paused);
    bench.engine.resume("f").await.unwrap();
    assert_eq!(verdicts(&replay(&bench, &query()).await), [("evt_1", Verdict::Started)]);
}

#[tokio::test]
async fn what_is_old_or_dangerous_is_never_acted_on() {
    let mut fresh = for_ada();
    fresh.limits.fresh_ms = Some(5_000);
    rehash(&mut fresh);
    let bench = missed(&["Ada"], fresh).await;
    let stale = replay(&bench, &query()).await;
    assert_eq!(verdicts(&stale), [("evt_1", Verdict::Stale)]);
    assert!(stale.events[0].reason.contains("fresh within"), "{:?}", stale.events[0]);

    let mut door = for_ada();
    if let Some(Instr::Call(call)) = door.program.instrs.first_mut() {
        call.dangerous = true;
    }
    rehash(&mut door);
    bench.engine.swap(live(vec![door]));
    for again in [false, true] {
        let unlock = replay(&bench, &ReplayQuery { again, ..query() }).await;
        assert_eq!(verdicts(&unlock), [("evt_1", Verdict::Dangerous)]);
    }
    assert!(runs(&bench).is_empty() && bench.service.requests("keyed").is_empty());
}

#[tokio::test]
async fn a_long_time_is_gone_through_in_parts_that_leave_room_for_what_comes_in() {
    let names = vec!["Bob"; 1003];
    let bench = missed(&[names.as_slice(), &["Ada"; 60]].concat(), for_ada()).await;
    let (mut place, mut parts, mut started) = (None, Vec::new(), 0);
    loop {
        let part = replay(&bench, &ReplayQuery { from: place, ..query() }).await;
        parts.push(part.looked_at);
        started += part.events.iter().filter(|event| event.verdict == Verdict::Started).count();
        place = part.next;
        if place.is_none() {
            break;
        }
    }
    assert_eq!((parts, started), (vec![1000, 53, 10], 60));
    // Only what was received within the time.
    let none = replay(&bench, &ReplayQuery { until: Some(at("2026-11-02T00:00:00Z")), ..query() }).await;
    assert_eq!((none.looked_at, none.events.len()), (0, 0));
    let unknown = bench.engine.replay(&ReplayQuery { flow: "g".to_owned(), ..query() }).await;
    assert_eq!(unknown.unwrap_err(), ReplayError::NoFlow);
}
