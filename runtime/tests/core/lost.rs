//! Answers that were lost or say more than they should: nothing is made twice, nothing comes in that should stay out.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use flow_plan::{Body, Effect, Encoding, Env, Expr, FindBy, Input, Operation, Value};
use flow_runtime::engine::{Engine, EngineOptions, RetryOutcome};
use flow_runtime::live::Live;
use flow_runtime::run::RetryRefusal;
use flow_runtime::secret::Secret;
use flow_runtime::store::{MemoryStore, Store};
use flow_runtime::world::{BoxFuture, HttpAnswer, HttpRequest, Transport, TransportError};

use crate::fixture::*;

const LONG: Duration = Duration::from_secs(86_400 * 2);
const HOUR: Duration = Duration::from_secs(3600);

/// A service that a test writes as a function.
struct Script<F>(F);

impl<F> Transport for Script<F>
where
    F: Fn(&HttpRequest) -> Result<HttpAnswer, TransportError> + Send + Sync,
{
    fn send(&self, request: HttpRequest, _: Duration, _: usize) -> BoxFuture<'_, Result<HttpAnswer, TransportError>> {
        let answer = (self.0)(&request);
        Box::pin(async move { answer })
    }
}

fn scripted<F>(store: &Arc<MemoryStore>, live: Live, script: F) -> Bench
where
    F: Fn(&HttpRequest) -> Result<HttpAnswer, TransportError> + Send + Sync + 'static,
{
    let (clock, service) = (ManualClock::new(), Arc::new(Service::default()));
    let world = flow_runtime::world::World { transport: Arc::new(Script(script)), ..world(&clock, &service) };
    let engine = Engine::start(Arc::clone(store) as _, live, world, EngineOptions::default()).unwrap();
    Bench { clock, service, engine }
}

fn store() -> Arc<MemoryStore> {
    Arc::new(MemoryStore::new().unwrap())
}

/// Everything that the journal of a run holds.
fn journal(store: &MemoryStore, run: &str) -> String {
    serde_json::to_string(&store.journal(run).unwrap()).unwrap()
}

fn input(name: &str) -> Input {
    Input { name: name.to_owned(), optional: true, ..Input::default() }
}

/// A note that is found by what it says, or by the key of its run, among others.
fn note(first: Expr) -> Operation {
    let mut query = op("notes", Effect::Read);
    query.inputs = vec![input("conversation"), input("text")];
    query.answer.first = Some(first);
    let args = vec![Expr::Const(Value::text("con_1")), Expr::Input(0)];
    let mut note = op("notes", Effect::Findable { by: Box::new(FindBy { query, args }), find_on: Vec::new() });
    note.request.body = Some(Body {
        encoding: Encoding::Json,
        value: Expr::Record(vec![("body".to_owned(), Expr::Input(0)), ("key".to_owned(), Expr::Env(Env::RunKey))]),
        nulls: None,
    });
    note
}

#[tokio::test]
async fn an_effect_whose_answer_was_lost_is_found_among_others_by_the_inputs_of_its_query() {
    let is = |path_of: &str, value: Expr| Expr::Equal(Box::new(Expr::Answer(path(path_of))), Box::new(value));
    for first in [is("body", Expr::Input(1)), is("key", Expr::Env(Env::RunKey))] {
        let notes: Arc<Mutex<Vec<serde_json::Value>>> = Arc::default();
        let made = Arc::clone(&notes);
        let bench = scripted(&store(), live(vec![flow("f", vec![note(first.clone())])]), move |request| {
            let mut made = made.lock().unwrap();
            if request.method == "POST" {
                let mut note: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
                note["id"] = format!("note_{}", made.len() + 1).into();
                made.push(note);
                return Err(TransportError::NoAnswer("timed out".to_owned()));
            }
            let mut list = vec![serde_json::json!({ "id": "note_0", "body": "another", "key": "other" })];
            list.extend(made.iter().cloned());
            Ok(answer(200, &serde_json::json!({ "data": list }).to_string()))
        });
        let run = bench.send("evt_1", EVENT).await.runs.remove(0);
        bench.pass(HOUR).await;
        assert_eq!(notes.lock().unwrap().len(), 1, "{first:?}");
        let run = bench.run(&run).await;
        assert_eq!((&run["status"], &run["steps"][0]["output"]["id"]), (&"done".into(), &"note_1".into()));
    }
}

fn one(name: &str, effect: Effect, faults: impl IntoIterator<Item = Fault>) -> Bench {
    let bench = Bench::new(vec![flow("f", vec![op(name, effect)])]);
    bench.service.fault(name, faults);
    bench
}

fn keys(bench: &Bench, name: &str) -> Vec<String> {
    bench.service.requests(name).into_iter().map(|(_, key)| key).collect()
}

#[tokio::test]
async fn a_keyed_step_refused_after_an_unknown_outcome_keeps_its_key_within_the_window() {
    for status in [400, 403, 404] {
        let bench = one("keyed", keyed(), [Fault::TimeoutAfter, Fault::Status(status)]);
        let run = bench.send("evt_1", EVENT).await.runs.remove(0);
        bench.pass(HOUR).await;
        let dead = bench.run(&run).await;
        assert_eq!(dead["status"], "dead");
        assert!(dead["reason"].as_str().unwrap().contains("an earlier attempt"), "{dead}");
        assert_eq!(bench.engine.retry(&run, false).await.unwrap(), RetryOutcome::Retried);
        assert_eq!(bench.status(&run).await, "done");
        assert_eq!(bench.service.effects("keyed").len(), 1, "{status}");
        let keys = keys(&bench, "keyed");
        assert!(keys.len() == 3 && keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    }
}

#[tokio::test]
async fn a_keyed_step_refused_after_an_unknown_outcome_needs_force_beyond_the_window() {
    let bench = one("keyed", keyed(), [Fault::TimeoutAfter, Fault::Status(403)]);
    let run = bench.send("evt_1", EVENT).await.runs.remove(0);
    bench.pass(20 * HOUR).await;
    let refused = bench.engine.retry(&run, false).await.unwrap();
    assert!(matches!(refused, RetryOutcome::Refused(RetryRefusal::OutcomeUnknown(_))), "{refused:?}");
    assert_eq!(bench.engine.retry(&run, true).await.unwrap(), RetryOutcome::Retried);
    assert_eq!(bench.status(&run).await, "done");
    let keys = keys(&bench, "keyed");
    assert_ne!(keys[0], keys[2]);
}

#[tokio::test]
async fn force_gives_a_refused_keyed_step_a_new_key() {
    let bench = one("keyed", keyed(), [Fault::TimeoutBefore, Fault::Status(402)]);
    let run = bench.send("evt_1", EVENT).await.runs.remove(0);
    bench.pass(HOUR).await;
    assert_eq!(bench.engine.retry(&run, true).await.unwrap(), RetryOutcome::Retried);
    assert_eq!(bench.status(&run).await, "done");
    let keys = keys(&bench, "keyed");
    assert_ne!(keys[0], keys[2], "the service may answer the old key with the old refusal");
}

#[tokio::test]
async fn a_findable_step_refused_after_an_unknown_outcome_is_looked_up_first() {
    for force in [false, true] {
        // The first look-up comes before the service shows what it has made.
        let bench = one("findable", findable(), [Fault::TimeoutAfter, Fault::Status(403)]);
        bench.service.fault("find", [Fault::Status(404)]);
        let run = bench.send("evt_1", EVENT).await.runs.remove(0);
        bench.pass(HOUR).await;
        assert_eq!(bench.status(&run).await, "dead");
        assert_eq!(bench.engine.retry(&run, force).await.unwrap(), RetryOutcome::Retried);
        assert_eq!(bench.status(&run).await, "done");
        assert_eq!(bench.service.effects("findable").len(), 1, "force {force}");
        assert_eq!(keys(&bench, "findable").len(), 2, "found, so not sent a third time");
        let found = keys(&bench, "find");
        assert!(found.len() == 2 && found.iter().all(|key| *key == keys(&bench, "findable")[0]), "{found:?}");
    }
}

#[tokio::test]
async fn a_findable_step_whose_conflict_came_after_an_unknown_outcome_is_looked_up_first() {
    let bench = one("findable", findable(), [Fault::TimeoutAfter, Fault::Status(409)]);
    bench.service.fault("find", [Fault::Status(404), Fault::Status(404)]);
    let run = bench.send("evt_1", EVENT).await.runs.remove(0);
    bench.pass(HOUR).await;
    assert_eq!(bench.status(&run).await, "dead");
    assert_eq!(bench.engine.retry(&run, false).await.unwrap(), RetryOutcome::Retried);
    assert_eq!(bench.status(&run).await, "done");
    assert_eq!(bench.service.effects("findable").len(), 1);
}

#[tokio::test]
async fn a_once_step_of_unknown_outcome_is_refused_without_force_whatever_it_died_of() {
    for fault in [Fault::TimeoutAfter, Fault::Panic, Fault::StatusAfter(302), Fault::Nonsense] {
        let bench = one("once", Effect::Once, [fault.clone()]);
        let run = bench.send("evt_1", EVENT).await.runs.remove(0);
        bench.pass(HOUR).await;
        let refused = bench.engine.retry(&run, false).await.unwrap();
        assert!(matches!(refused, RetryOutcome::Refused(RetryRefusal::OutcomeUnknown(_))), "{fault:?}: {refused:?}");
        assert_eq!(bench.service.requests("once").len(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_secret_that_cannot_be_a_header_breaks_the_connection_and_kills_no_run() {
    let by_auth = |live: &mut flow_runtime::live::LiveConnection| {
        let args = vec![Expr::Env(Env::Secret("key".to_owned()))];
        Arc::make_mut(&mut live.plan.api).auth = Some(flow_plan::Auth { scheme: "bearer".to_owned(), args });
    };
    let by_header = |live: &mut flow_runtime::live::LiveConnection| {
        Arc::make_mut(&mut live.plan.api).headers = vec![("x-api-key".to_owned(), Expr::Env(Env::Secret("key".to_owned())))];
    };
    let changes: [&dyn Fn(&mut flow_runtime::live::LiveConnection); 2] = [&by_auth, &by_header];
    for change in changes {
        let with = |secret: &str| {
            let mut svc = connection("svc");
            change(&mut svc);
            svc.secrets.insert("key".to_owned(), Secret::new(secret.to_owned()));
            let mut live = live(vec![flow("f", vec![op("once", Effect::Once)])]);
            live.connections.insert("svc".to_owned(), Arc::new(svc));
            live
        };
        let bench = scripted(&store(), with("planted-key\n"), |_| Ok(answer(200, r#"{"data":{"id":"x"}}"#)));
        let run = bench.send("evt_1", EVENT).await.runs.remove(0);
        bench.pass(HOUR).await;
        let parked = bench.run(&run).await;
        assert_eq!(parked["status"], "parked", "{parked}");
        assert!(!parked.to_string().contains("planted-key"), "{parked}");
        bench.engine.swap(with("planted-key"));
        bench.pass(HOUR).await;
        assert_eq!(bench.status(&run).await, "done");
    }
}

#[tokio::test]
async fn a_redirect_of_an_action_says_nothing_about_what_was_done() {
    let bench = one("once", Effect::Once, [Fault::StatusAfter(303)]);
    let run = bench.send("evt_1", EVENT).await.runs.remove(0);
    let dead = bench.run(&run).await;
    let reason = dead["reason"].as_str().unwrap();
    assert!(reason.contains("the outcome is unknown") && reason.contains("redirects are not followed"), "{reason}");

    let bench = one("findable", findable(), [Fault::StatusAfter(302)]);
    let run = bench.send("evt_1", EVENT).await.runs.remove(0);
    bench.pass(HOUR).await;
    assert_eq!(bench.status(&run).await, "done");
    assert_eq!(bench.service.effects("findable").len(), 1);

    let bench = one("set", Effect::Set, [Fault::Status(301)]);
    let run = bench.send("evt_1", EVENT).await.runs.remove(0);
    bench.pass(LONG).await;
    let dead = bench.run(&run).await;
    assert!(dead["reason"].as_str().unwrap().contains("redirects are not followed"), "{dead}");
    assert_eq!(bench.service.requests("set").len(), 1);
}

#[tokio::test]
async fn a_service_that_asks_for_more_patience_than_a_step_has_is_named() {
    for (wait, words) in [
        ("1000000", "11 days 13 hours"),
        ("999999999", "11574 days"),
        ("99999999999999999999999999999999999", "longer than a century"),
        ("99999999999999999999999999999", "longer than a century"),
    ] {
        let store = store();
        let bench = scripted(&store, live(vec![flow("f", vec![op("set", Effect::Set)])]), move |_| {
            let mut answer = answer(429, r#"{"error":"slow down"}"#);
            answer.headers.push(("retry-after".to_owned(), wait.to_owned()));
            Ok(answer)
        });
        let run = bench.send("evt_1", EVENT).await.runs.remove(0);
        let dead = bench.run(&run).await;
        assert_eq!(dead["status"], "dead");
        let reason = dead["reason"].as_str().unwrap();
        let says = reason.contains("asked to wait") && reason.contains(words) && reason.contains("1 day");
        assert!(says && reason.contains("slow down"), "{reason}");
    }
}

#[tokio::test]
async fn what_a_service_says_of_a_person_is_shortened_before_it_is_kept() {
    let store = store();
    let bench = scripted(&store, live(vec![flow("f", vec![op("set", Effect::Set)])]), |_| {
        let long = "x".repeat(360);
        Ok(answer(
            422,
            &serde_json::json!({ "error": format!("JANE@example.com is taken, {long} by jane@example.com") }).to_string(),
        ))
    });
    let run = bench.send("evt_1", EVENT).await.runs.remove(0);
    let dead = bench.run(&run).await;
    let reason = dead["reason"].as_str().unwrap();
    assert!(reason.contains("j…@example.com is taken"), "{reason}");
    let entries = store.journal(&run).unwrap();
    let kept = serde_json::to_string(entries.last().unwrap()).unwrap().to_lowercase();
    assert!(!kept.contains("jane") && kept.contains(" by j…@example.com…"), "{kept}");
}

#[tokio::test]
async fn a_secret_in_a_result_is_not_kept() {
    let store = store();
    let mut live = live(vec![flow("f", vec![op("set", Effect::Set)])]);
    let mut svc = connection("svc");
    svc.secrets.insert("key".to_owned(), Secret::new("planted-key-7".to_owned()));
    live.connections.insert("svc".to_owned(), Arc::new(svc));
    let bench = scripted(&store, live, |_| Ok(answer(200, r#"{"data":{"id":"made with planted-key-7 today"}}"#)));
    let run = bench.send("evt_1", EVENT).await.runs.remove(0);
    let done = bench.run(&run).await;
    assert_eq!(done["steps"][0]["output"]["id"], "made with [secret] today");
    assert!(!journal(&store, &run).contains("planted-key-7"));
}

#[tokio::test]
async fn why_says_that_a_flow_was_paused_when_the_event_came() {
    let bench = Bench::new(vec![flow("f", vec![op("set", Effect::Set)])]);
    let minute = Duration::from_secs(60);
    bench.engine.pause("f").await.unwrap();
    bench.pass(minute).await;
    bench.send("while", EVENT).await;
    bench.pass(minute).await;
    let why = |id: &str| bench.engine.why(&bench.engine.event(id).unwrap()[0], None, false).unwrap().remove(0).reason;
    assert_eq!(why("while"), "the flow was paused when it came, and still is");
    bench.engine.resume("f").await.unwrap();
    bench.pass(minute).await;
    assert_eq!(why("while"), "the flow was paused when it came");
    bench.engine.pause("f").await.unwrap();
    assert_eq!(why("while"), "the flow was paused when it came");
}
