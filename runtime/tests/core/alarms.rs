//! Alarms: floods, loops, payloads that do not fit, deaths; what is kept, what is announced, and how often.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flow_plan::{self as plan, Effect};
use flow_runtime::alarm::Active;
use flow_runtime::engine::{DismissOutcome, Engine, EngineOptions, RetryOutcome};
use flow_runtime::event::Incoming;
use flow_runtime::live::Live;
use flow_runtime::run::RetryRefusal;
use flow_runtime::store::{EventQuery, MemoryStore, RunQuery, Store};
use flow_runtime::world::{BoxFuture, HttpAnswer, HttpRequest, Transport, TransportError, World};

use crate::fixture::*;
use crate::reports::{causing, event, expecting, listener, payload, reported};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

fn setting(id: &str) -> plan::Flow {
    flow(id, vec![op("set", Effect::Set)])
}

/// A daemon on a store, whose flows may start `flood` times an hour.
fn over(store: &Arc<MemoryStore>, live: Live, clock: &Arc<ManualClock>, flood: u32) -> Bench {
    let service = Arc::new(Service::default());
    let options = EngineOptions { flood, ..EngineOptions::default() };
    let engine = Engine::start(Arc::clone(store) as _, live, world(clock, &service), options).unwrap();
    Bench { clock: Arc::clone(clock), service, engine }
}

fn bench(live: Live, flood: u32) -> (Bench, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::new().unwrap());
    (over(&store, live, &ManualClock::new(), flood), store)
}

async fn send_many(bench: &Bench, from: usize, to: usize) {
    for n in from..to {
        bench.send(&format!("evt_{n}"), EVENT).await;
    }
    bench.engine.settled().await;
}

fn alarm(bench: &Bench, kind: &str) -> Option<Active> {
    bench.engine.alarms().unwrap().into_iter().find(|alarm| alarm.kind == kind)
}

fn why(bench: &Bench, event: &str) -> String {
    let event = bench.engine.event(event).unwrap().remove(0);
    bench.engine.why(&event, Some("f"), false).unwrap().remove(0).reason
}

#[tokio::test]
async fn a_flow_that_starts_too_often_is_paused_and_announced_once_and_loses_nothing() {
    let (bench, _) = bench(reported(vec![setting("f"), setting("g"), listener("l", "paused")]), 20);
    send_many(&bench, 0, 50).await;
    bench.pass(MINUTE).await;
    assert_eq!((bench.started("f").len(), bench.started("g").len()), (20, 20));
    assert_eq!(bench.started("l").len(), 2, "one for each flow");
    assert!(bench.engine.paused_since("f").is_some());
    let events = EventQuery { connection: Some("svc".to_owned()), limit: 100, ..EventQuery::default() };
    assert_eq!(bench.engine.events(&events).unwrap().len(), 50, "they are kept");
    assert_eq!(why(&bench, "evt_19"), "it ran");
    assert!(why(&bench, "evt_20").contains("20 times within an hour"), "{}", why(&bench, "evt_20"));
    assert_eq!(why(&bench, "evt_49"), "the flow was paused when it came, and still is");
    let alarm = alarm(&bench, "paused").unwrap();
    assert_eq!((alarm.subject.as_str(), alarm.count), ("f", 30));
    assert_eq!(alarm.next, "flowd resume f");
    let resumed = bench.engine.resume_and_tell("f").await.unwrap().unwrap();
    assert_eq!(resumed.missed, 30);
    // Whoever lets it go on has looked at it: it may start as often again.
    send_many(&bench, 50, 90).await;
    assert_eq!(bench.started("f").len(), 40);
}

#[tokio::test]
async fn one_batch_of_a_poll_cannot_pass_the_bound() {
    let (bench, _) = bench(live(vec![setting("f")]), 20);
    let events: Vec<Incoming> = (0..100).map(|n| incoming(&format!("evt_{n}"), EVENT)).collect();
    let accepted = bench.engine.accept("svc", events, None).await.unwrap();
    assert_eq!(accepted.iter().filter(|accepted| !accepted.runs.is_empty()).count(), 20);
    assert_eq!(alarm(&bench, "paused").unwrap().count, 80);
}

#[tokio::test]
async fn starts_are_counted_across_restarts_and_only_within_the_hour() {
    let store = Arc::new(MemoryStore::new().unwrap());
    let clock = ManualClock::new();
    let flows = || live(vec![setting("f")]);
    let mut store = store;
    for life in 0..4 {
        let bench = over(&store, flows(), &clock, 20);
        send_many(&bench, life * 5, life * 5 + 5).await;
        bench.pass(10 * MINUTE).await;
        assert_eq!(bench.engine.paused_since("f"), None);
        bench.engine.stop(Duration::ZERO).await;
        store = Arc::new(store.copy().unwrap());
    }
    let bench = over(&store, flows(), &clock, 20);
    // The first five are older than an hour by now.
    bench.pass(21 * MINUTE).await;
    send_many(&bench, 20, 25).await;
    assert_eq!((bench.started("f").len(), bench.engine.paused_since("f")), (25, None));
    send_many(&bench, 25, 26).await;
    assert_eq!(bench.started("f").len(), 25);
    assert!(bench.engine.paused_since("f").is_some());
    bench.engine.stop(Duration::ZERO).await;
    let bench = over(&Arc::new(store.copy().unwrap()), flows(), &clock, 20);
    assert!(bench.engine.paused_since("f").is_some(), "a pause survives");
    bench.pass(2 * HOUR).await;
    send_many(&bench, 26, 28).await;
    assert_eq!((bench.started("f").len(), alarm(&bench, "paused").unwrap().count), (25, 3));
}

#[tokio::test]
async fn a_flow_that_says_how_often_is_taken_at_its_word() {
    let mut more = setting("f");
    more.limits.at_most = vec![plan::AtMost {
        count: 40,
        per: Vec::new(),
        every: plan::Rate::Sliding(3_600_000),
        otherwise: plan::Otherwise::Drop,
    }];
    rehash(&mut more);
    let (limited, _) = bench(live(vec![more]), 20);
    send_many(&limited, 0, 50).await;
    assert_eq!((limited.started("f").len(), limited.engine.paused_since("f")), (40, None));
    let (off, _) = bench(live(vec![setting("f")]), 0);
    send_many(&off, 0, 50).await;
    assert_eq!((off.started("f").len(), off.engine.paused_since("f")), (50, None));
}

#[tokio::test]
async fn a_cut_at_any_commit_parts_no_flood_from_its_announcement() {
    let flows = || reported(vec![setting("f"), listener("l", "paused")]);
    for cut in 1..=8 {
        let store = Arc::new(MemoryStore::new().unwrap());
        let clock = ManualClock::new();
        let before = over(&store, flows(), &clock, 2);
        store.faults().fail_after(cut);
        for n in 0..4 {
            let _ = before.engine.accept("svc", vec![incoming(&format!("evt_{n}"), EVENT)], None).await;
            tokio::task::yield_now().await;
        }
        before.engine.stop(Duration::ZERO).await;
        let after = over(&Arc::new(store.copy().unwrap()), flows(), &clock, 2);
        send_many(&after, 0, 4).await;
        after.pass(MINUTE).await;
        assert_eq!((after.started("f").len(), after.started("l").len()), (2, 1), "cut after {cut}");
    }
}

#[tokio::test]
async fn flows_that_cause_each_others_events_are_paused_with_the_chain_kept() {
    let (bench, _) = bench(reported(vec![causing(), listener("l", "paused")]), 1000);
    for n in 0..20 {
        bench.send(&format!("evt_{n}"), &event("rec_1")).await;
        bench.pass(Duration::from_secs(5)).await;
    }
    assert_eq!((bench.started("f").len(), bench.started("l").len()), (9, 1));
    let alarm = alarm(&bench, "paused").unwrap();
    assert!(alarm.reason.contains("cause each other's events"), "{alarm:?}");
    assert_eq!(alarm.count, 11);
    // Back from the last event to the one that nobody here caused.
    let mut event = bench.engine.event("evt_19").unwrap().remove(0);
    let mut chain = 0;
    while let Some(run) = &event.cause {
        let head = bench.engine.run_head(run).unwrap().unwrap();
        assert_eq!(head.flow, "f");
        event = bench.engine.event(&head.event_id).unwrap().remove(0);
        chain += 1;
    }
    assert_eq!((chain, event.id.as_str()), (9, "evt_0"));
}

const BAD: &str = "\"twelve\"";

fn bad() -> String {
    EVENT.replace("12050", BAD)
}

/// A flow that reads the name alone.
fn modest() -> plan::Flow {
    let mut flow = setting("modest");
    flow.reads = vec![field("name", plan::Shape::Text, true), field("email", plan::Shape::Token, true)];
    rehash(&mut flow);
    flow
}

#[tokio::test]
async fn what_does_not_fit_is_kept_apart_with_what_is_wrong_and_said_once() {
    let (bench, _) = bench(reported(vec![setting("f"), modest(), listener("l", "misfit")]), 1000);
    for n in 0..30 {
        bench.send(&format!("evt_{n}"), &bad()).await;
    }
    bench.send("good", EVENT).await;
    bench.pass(MINUTE).await;
    let query = EventQuery { misfit: true, limit: 100, ..EventQuery::default() };
    let odd = bench.engine.events(&query).unwrap();
    assert_eq!(odd.len(), 30);
    assert_eq!(bench.engine.events(&EventQuery { limit: 10, before: Some(odd[9].seq), ..query.clone() }).unwrap(), odd[10..20]);
    let misfit = &odd[0].misfits[0];
    assert_eq!(
        (misfit.trigger.as_str(), misfit.field.as_str(), misfit.at.as_str()),
        ("happened", "amount", "data.object.amount")
    );
    assert_eq!((misfit.expected.as_str(), misfit.found.as_str(), misfit.value.as_deref()), ("money", "text", Some("twelve")));
    assert_eq!(bench.started("modest").len(), 31, "who reads only what fits runs");
    let dead = bench.engine.dead(&RunQuery { flow: Some("f".to_owned()), limit: 100, ..RunQuery::default() }).unwrap();
    assert_eq!(dead.len(), 30);
    assert_eq!(dead[0].reason.as_deref(), Some("payload does not fit: amount: expected money, found text"));
    assert_eq!(bench.started("l").len(), 1, "not once per event");
    assert_eq!(payload(&bench)["data"]["trigger"], "happened");
    let known = alarm(&bench, "misfit").unwrap();
    assert_eq!((known.subject.as_str(), known.detail.as_str(), known.count), ("svc.happened", "amount", 30));
    assert_eq!(bench.engine.dismiss_alarm(&known.id()).await.unwrap(), Some(true));
    assert_eq!(alarm(&bench, "misfit"), None);
    // Dead runs are no matter of dismissing an alarm.
    let dead = alarm(&bench, "dead").unwrap();
    assert_eq!(bench.engine.dismiss_alarm(&dead.id()).await.unwrap(), Some(false));
    assert_eq!(bench.engine.dismiss_alarm("nothing").await.unwrap(), None);
    // A day later it is news again.
    bench.send("again", &bad()).await;
    bench.pass(25 * HOUR).await;
    assert_eq!(alarm(&bench, "misfit"), None, "it has fitted for a day");
    bench.send("once more", &bad()).await;
    bench.pass(MINUTE).await;
    assert_eq!(bench.started("l").len(), 3);
}

#[tokio::test]
async fn what_is_personal_is_not_shown_and_new_fields_have_a_bound() {
    let mut flow = setting("f");
    flow.reads[1] = field("email", plan::Shape::Integer, true);
    flow.reads.push(field("tags", plan::Shape::Map(Box::new(plan::Shape::Integer)), true));
    flow.triggers[0].reads = Vec::new();
    rehash(&mut flow);
    let (bench, _) = bench(reported(vec![flow]), 1000);
    for n in 0..100 {
        let tags = format!(r#""tags":{{"key{n}":"x"}},"name""#);
        bench.send(&format!("evt_{n}"), &EVENT.replace("\"name\"", &tags)).await;
    }
    let event = bench.engine.event("evt_0").unwrap().remove(0);
    let of = |field: &str| event.misfits.iter().find(|misfit| misfit.field == field).unwrap();
    assert_eq!(of("email").value, None);
    assert_eq!(of("tags.key0").value.as_deref(), Some("x"));
    let alarms = bench.engine.alarms().unwrap().into_iter().filter(|alarm| alarm.kind == "misfit");
    let counts: Vec<(String, u64)> = alarms.map(|alarm| (alarm.detail, alarm.count)).collect();
    assert!(counts.len() <= 33, "{}", counts.len());
    assert_eq!(counts.iter().filter(|(field, _)| field != "email").map(|(_, count)| count).sum::<u64>(), 100);
}

#[tokio::test]
async fn a_burst_of_deaths_is_announced_together_and_none_is_lost() {
    let (bench, store) = bench(reported(vec![setting("f"), listener("l", "dead")]), 0);
    let events: Vec<Incoming> = (0..500).map(|n| incoming(&format!("evt_{n}"), &bad())).collect();
    bench.engine.accept("svc", events, None).await.unwrap();
    bench.engine.settled().await;
    assert_eq!(bench.started("l").len(), 10);
    assert_eq!(bench.engine.stats().dead, 500);
    // The announcement of the others survives a restart.
    bench.engine.stop(Duration::ZERO).await;
    let live = reported(vec![setting("f"), listener("l", "dead")]);
    let bench = over(&Arc::new(store.copy().unwrap()), live, &bench.clock, 0);
    bench.pass(9 * MINUTE).await;
    assert_eq!(bench.started("l").len(), 10);
    bench.pass(2 * MINUTE).await;
    assert_eq!(bench.started("l").len(), 11);
    let data = payload(&bench)["data"].clone();
    assert_eq!(data["runs"], 490);
    assert!(
        data["error"].as_str().unwrap().starts_with("490 more runs died since 2026-11-22T12:00:00.000Z; the last: "),
        "{data}"
    );
    let dead = alarm(&bench, "dead").unwrap();
    assert_eq!((dead.subject.as_str(), dead.count), ("f", 500));
    // The next is told by itself again.
    bench.send("later", &bad()).await;
    bench.pass(HOUR).await;
    assert_eq!(bench.started("l").len(), 12);
}

#[tokio::test]
async fn dead_runs_are_counted_until_they_are_dismissed_or_go_on() {
    let (bench, _) = bench(live(vec![flow("f", vec![op("once", Effect::Once)])]), 0);
    bench.service.fault("once", [Fault::Status(400), Fault::Status(400), Fault::Status(400)]);
    let mut runs = Vec::new();
    for n in 0..3 {
        runs.extend(bench.send(&format!("evt_{n}"), EVENT).await.runs);
    }
    bench.pass(MINUTE).await;
    assert_eq!(alarm(&bench, "dead").unwrap().count, 3);
    assert_eq!(bench.engine.dismiss(&runs[0]).await.unwrap(), DismissOutcome::Dismissed);
    let dismissed = bench.run(&runs[0]).await;
    assert_eq!(dismissed["status"], "cancelled");
    assert!(dismissed["reason"].as_str().unwrap().starts_with("dismissed; it had died: svc.call_1: 400"), "{dismissed}");
    assert!(matches!(bench.engine.dismiss(&runs[0]).await.unwrap(), DismissOutcome::NotDead(_)));
    assert_eq!(bench.engine.dismiss("run_no").await.unwrap(), DismissOutcome::NotFound);
    bench.engine.retry(&runs[1], true).await.unwrap();
    bench.pass(MINUTE).await;
    assert_eq!((bench.status(&runs[1]).await.as_str(), alarm(&bench, "dead").unwrap().count), ("done", 1));
    bench.engine.retry(&runs[2], true).await.unwrap();
    bench.pass(MINUTE).await;
    assert_eq!(bench.engine.alarms().unwrap(), []);
}

#[tokio::test]
async fn a_pause_by_hand_is_no_alarm_and_counts_what_it_keeps_all_the_same() {
    let (bench, _) = bench(reported(vec![setting("f"), listener("l", "paused")]), 1000);
    bench.engine.pause("f").await.unwrap();
    send_many(&bench, 0, 3).await;
    bench.send("evt_0", EVENT).await;
    bench.pass(MINUTE).await;
    assert_eq!(bench.engine.alarms().unwrap(), []);
    assert_eq!(bench.started("l").len(), 0, "who pauses it knows it");
    assert_eq!(bench.engine.resume_and_tell("f").await.unwrap().unwrap().missed, 3);
    assert_eq!(bench.engine.resume_and_tell("f").await.unwrap(), None);
    assert_eq!(why(&bench, "evt_2"), "the flow was paused when it came");
}

#[tokio::test]
async fn a_silence_is_an_alarm_until_the_flow_starts_often_enough() {
    let (bench, _) = bench(live(vec![expecting(2, plan::Rate::Sliding(3_600_000))]), 1000);
    bench.pass(3 * HOUR).await;
    let silent = alarm(&bench, "silent").unwrap();
    assert_eq!((silent.subject.as_str(), silent.count), ("f", 3));
    assert_eq!(silent.since, Some(at("2026-11-22T13:00:00Z")));
    bench.send("one", EVENT).await;
    assert!(alarm(&bench, "silent").is_some(), "one is not enough");
    bench.send("two", EVENT).await;
    assert_eq!(alarm(&bench, "silent"), None);
    bench.pass(30 * MINUTE).await;
    bench.send("three", EVENT).await;
    bench.send("four", EVENT).await;
    bench.pass(HOUR - MINUTE).await;
    assert_eq!(alarm(&bench, "silent"), None);
    bench.pass(2 * MINUTE).await;
    assert_eq!(alarm(&bench, "silent").unwrap().count, 1, "a silence of its own");
}

#[tokio::test]
async fn dead_runs_of_a_store_that_knew_no_alarms_are_counted_once() {
    let (bench, store) = bench(live(vec![setting("f")]), 0);
    for n in 0..3 {
        bench.send(&format!("evt_{n}"), &bad()).await;
    }
    bench.engine.settled().await;
    let key = store.alarms().unwrap().remove(0).0;
    store.end_alarm(key).await.unwrap();
    bench.engine.stop(Duration::ZERO).await;
    let store = Arc::new(store.copy().unwrap());
    let bench = over(&store, live(vec![setting("f")]), &bench.clock, 0);
    bench.send("evt_3", &bad()).await;
    assert_eq!(alarm(&bench, "dead").unwrap().count, 4);
}

#[tokio::test]
async fn a_run_that_died_of_its_payload_is_read_anew_once_the_connector_is_mended() {
    let (bench, _) = bench(live(vec![setting("f")]), 1000);
    let run = bench.send("evt_1", &bad()).await.runs.remove(0);
    let refused = bench.engine.retry(&run, true).await.unwrap();
    assert!(matches!(refused, RetryOutcome::Refused(RetryRefusal::WillFailAgain(_))), "{refused:?}");
    // The amount is a text by now; a condition decides on what is there and not on a guess.
    let mended = |limit: &str| {
        let mut flow = setting("f");
        flow.reads[0] = field("amount", plan::Shape::Text, false);
        flow.filter = Some(plan::Condition::Test {
            text: format!("amount is \"{limit}\""),
            expr: plan::Expr::Equal(Box::new(plan::Expr::Event(0)), Box::new(plan::Expr::Const(plan::Value::text(limit)))),
            reads: vec![0],
        });
        rehash(&mut flow);
        flow
    };
    bench.engine.swap(live(vec![mended("thirteen")]));
    let refused = bench.engine.retry(&run, false).await.unwrap();
    let RetryOutcome::Refused(RetryRefusal::WillFailAgain(reason)) = refused else { panic!("{refused:?}") };
    assert!(reason.contains("does not meet the condition"), "{reason}");
    assert_eq!(bench.status(&run).await, "dead");
    bench.engine.swap(live(vec![mended("twelve")]));
    assert_eq!(bench.engine.retry(&run, false).await.unwrap(), RetryOutcome::Retried);
    bench.pass(MINUTE).await;
    assert_eq!(bench.status(&run).await, "done");
    assert_eq!(bench.service.effects("set").len(), 1);
    assert_eq!(alarm(&bench, "dead"), None);
}

#[tokio::test]
async fn a_run_shows_the_chain_that_led_to_it() {
    let (bench, _) = bench(live(vec![causing()]), 1000);
    let mut runs = Vec::new();
    for n in 0..3 {
        runs.extend(bench.send(&format!("evt_{n}"), &event("rec_1")).await.runs);
        bench.pass(Duration::from_secs(5)).await;
    }
    let chain = bench.engine.causes(&runs[2]).unwrap();
    let of = |at: usize| (chain[at]["run"].as_str().unwrap(), chain[at]["event"].as_str().unwrap());
    assert_eq!((of(0), of(1)), ((runs[1].as_str(), "evt_1"), (runs[0].as_str(), "evt_0")));
    assert_eq!(chain.len(), 2);
    assert!(bench.engine.causes(&runs[0]).unwrap().is_empty());
}

#[tokio::test]
async fn the_death_of_a_run_at_the_end_of_a_chain_is_announced_all_the_same() {
    let (bench, _) = bench(reported(vec![flow("f", vec![op("once", Effect::Once)]), listener("l", "dead")]), 1000);
    bench.service.always("once", Some(Fault::Status(400)));
    let deep = Incoming { depth: 8, ..incoming("evt_1", EVENT) };
    bench.engine.accept("svc", vec![deep], None).await.unwrap();
    bench.pass(MINUTE).await;
    assert_eq!(bench.started("l").len(), 1);
    assert_eq!(bench.engine.paused_since("l"), None);
}

/// A service whose answers come when they are let go, each with the id of what was made.
struct Slow {
    answers: tokio::sync::Semaphore,
    asked: AtomicUsize,
    made: AtomicUsize,
}

impl Transport for Slow {
    fn send(&self, _: HttpRequest, _: Duration, _: usize) -> BoxFuture<'_, Result<HttpAnswer, TransportError>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            self.answers.acquire().await.unwrap().forget();
            let made = self.made.fetch_add(1, Ordering::SeqCst);
            Ok(answer(200, &format!(r#"{{"data":{{"id":"made-{made}"}}}}"#)))
        })
    }
}

/// An action without an id among its inputs: what it makes is known by its answer alone.
fn making() -> plan::Flow {
    let mut makes = op("make", Effect::Set);
    makes.emits = vec!["svc.happened".to_owned()];
    let mut flow = flow("f", vec![makes]);
    flow.program.instrs = vec![plan::Instr::Call(Box::new(plan::Call { args: Vec::new(), ..call(1, 0) }))];
    rehash(&mut flow);
    flow
}

async fn until(holds: impl Fn() -> bool) {
    for _ in 0..100_000 {
        if holds() {
            return;
        }
        tokio::task::yield_now().await;
        std::thread::yield_now();
    }
    panic!("it does not come to it");
}

#[tokio::test]
async fn an_event_that_is_faster_than_our_answer_is_found_to_be_ours_when_that_comes() {
    let slow = Slow { answers: tokio::sync::Semaphore::new(0), asked: AtomicUsize::new(0), made: AtomicUsize::new(0) };
    let (clock, slow) = (ManualClock::new(), Arc::new(slow));
    let world = World { transport: Arc::clone(&slow) as _, ..world(&clock, &Arc::new(Service::default())) };
    let store = Arc::new(MemoryStore::new().unwrap());
    let engine = Engine::start(store as _, live(vec![making()]), world, EngineOptions::default()).unwrap();
    let bench = Bench { clock, service: Arc::new(Service::default()), engine };
    let mut runs = Vec::new();
    // Each event comes while the action that makes its record waits for the answer.
    for n in 0..12 {
        let of = event(&if n == 0 { "theirs".to_owned() } else { format!("made-{}", n - 1) });
        runs.extend(bench.send(&format!("evt_{n}"), &of).await.runs);
        until(|| slow.asked.load(Ordering::SeqCst) > n).await;
        if n > 0 {
            // The answer to the action of the run before.
            slow.answers.add_permits(1);
            until(|| bench.engine.causes(&runs[n]).unwrap().len() == n).await;
        }
    }
    slow.answers.add_permits(1);
    bench.engine.settled().await;
    assert_eq!(bench.engine.causes(&runs[11]).unwrap().len(), 11);
    // The next one is slow enough to be known at once: it stands behind all of them.
    let end = bench.send("evt_end", &event("made-11")).await;
    assert_eq!(end.runs, [""; 0]);
    assert!(alarm(&bench, "paused").unwrap().reason.contains("12 runs stand behind"), "{:?}", alarm(&bench, "paused"));
}
