//! A door at the edges: real signatures and real pages, held back, late, or of before a start.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flow_plan::{Call, Effect, Flow, Instr, Limits, PathPart, Program};
use flow_runtime::live::{Live, LiveConnection};
use flow_runtime::service::Service;
use flow_runtime::store::RunQuery;
use flow_runtime::transport::FastRandom;
use flow_runtime::world::{BoxFuture, Clock, HttpAnswer, HttpRequest, Transport, TransportError, World};
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use crate::poll::TestClock;
use crate::support::*;

const PATH: &str = "/v1/webhooks/acme";
const EVERY: Duration = Duration::from_secs(60);

/// A service that lists events, and counts how often its door was opened.
#[derive(Default)]
struct Door {
    events: Mutex<Vec<Json>>,
    listed: AtomicUsize,
    opened: AtomicUsize,
}

impl Transport for Door {
    fn send(&self, request: HttpRequest, _: Duration, _: usize) -> BoxFuture<'_, Result<HttpAnswer, TransportError>> {
        Box::pin(async move {
            if request.method == "POST" {
                self.opened.fetch_add(1, Ordering::SeqCst);
                return Ok(answer(200, &[], "{}"));
            }
            let page = json!({ "data": *self.events.lock().unwrap(), "has_more": false }).to_string();
            self.listed.fetch_add(1, Ordering::SeqCst);
            Ok(answer(200, &[], &page))
        })
    }
}

/// `when acme.paid fresh within 30 seconds do acme.open`.
fn opens() -> Arc<Flow> {
    let mut open = operation(request("POST", vec![PathPart::Literal("/v1/open".to_owned())]));
    open.effect = Effect::Once;
    let call = Call {
        path: "1".to_owned(),
        connection: "acme".to_owned(),
        name: "acme.open".to_owned(),
        operation: 0,
        args: Vec::new(),
        result: None,
        retry: None,
        on_error: None,
        loops: Vec::new(),
        dangerous: true,
        docs: String::new(),
    };
    let mut flow = Flow::clone(&flow("f", "paid"));
    flow.limits = Limits { fresh_ms: Some(30_000), ..Limits::default() };
    flow.program = Program { instrs: vec![Instr::Call(Box::new(call))], locals: 0, on_error: None };
    flow.operations = vec![Arc::new(open)];
    Arc::new(flow)
}

fn project(every: Option<Duration>, change: impl Fn(&mut LiveConnection)) -> Live {
    let mut acme = acme("http://127.0.0.1:1", every);
    acme.polls = every.is_some();
    acme.poll_every = every;
    change(&mut acme);
    live(vec![acme], vec![opens()])
}

fn world_of(door: &Arc<Door>, clock: &Arc<TestClock>) -> World {
    World { clock: Arc::clone(clock) as _, transport: Arc::clone(door) as _, random: Arc::new(FastRandom), services: None }
}

/// Returns what became of the events that were accepted, newest first: the status of the run and its reason.
async fn ends(service: &Service) -> Vec<(String, String)> {
    service.engine().settled().await;
    let runs = service.engine().runs(&RunQuery { limit: 100, ..RunQuery::default() }).unwrap();
    runs.into_iter().map(|run| (run.status.as_str().to_owned(), run.reason.unwrap_or_default())).collect()
}

#[tokio::test]
async fn a_signed_message_without_a_time_of_its_own_is_as_old_as_its_signature() {
    let (door, clock) = (Arc::new(Door::default()), TestClock::new());
    let timeless = project(None, |acme| Arc::make_mut(&mut acme.plan.sources[0]).envelope.at = None);
    let daemon = daemon_with(timeless, world_of(&door, &clock), |_| {}).await;
    clock.advance(3600);
    let mut number = 0;
    for (seconds, opened) in [(5, 1), (31, 1), (299, 1), (-2, 2), (-3, 2), (-200, 2), (0, 3)] {
        number += 1;
        // What it says of itself is not read.
        let body = event(&format!("evt_{number}"), "invoice.paid", clock.second()).to_string();
        let signature = signature_at(body.as_bytes(), clock.second() - seconds);
        let headers = [("Acme-Signature", &*signature), ("Content-Type", "application/json")];
        let reply = send(&daemon.service.addresses().server, "POST", PATH, &headers, body.as_bytes()).await;
        assert_eq!(reply.status, 200, "signed {seconds} seconds ago");
        ends(&daemon.service).await;
        assert_eq!(door.opened.load(Ordering::SeqCst), opened, "signed {seconds} seconds ago");
    }
    let stored = daemon.service.engine().event("evt_2").unwrap().remove(0);
    assert_eq!(stored.signed_at.map(|at| at.as_second()), Some(clock.second() - 31));
    let why = daemon.service.engine().why(&stored, Some("f"), true).unwrap();
    assert!(why[0].ran.is_none() && why[0].reason.contains("too old: 31 seconds"), "{why:?}");
}

#[tokio::test]
async fn the_older_of_what_it_says_and_what_was_signed_counts() {
    let (door, clock) = (Arc::new(Door::default()), TestClock::new());
    let daemon = daemon_with(project(None, |_| {}), world_of(&door, &clock), |_| {}).await;
    clock.advance(3600);
    let now = clock.second();
    for (id, created, signed, opened) in [("a", 0, 40, 0), ("b", 40, 0, 0), ("c", 10, 20, 1)] {
        let body = event(id, "invoice.paid", now - created).to_string();
        let signature = signature_at(body.as_bytes(), now - signed);
        let headers = [("Acme-Signature", &*signature), ("Content-Type", "application/json")];
        let reply = send(&daemon.service.addresses().server, "POST", PATH, &headers, body.as_bytes()).await;
        assert_eq!(reply.status, 200, "{id}");
        ends(&daemon.service).await;
        assert_eq!(door.opened.load(Ordering::SeqCst), opened, "{id}");
    }
}

/// `when acme.paid fresh within 30 seconds do { wait for acme.failed  acme.open }`.
fn opens_when_approved() -> Arc<Flow> {
    let mut approved = Flow::clone(&opens());
    let wait = flow_plan::WaitFor {
        path: "0".to_owned(),
        trigger: flow("g", "failed").triggers[0].clone(),
        reads: Vec::new(),
        condition: None,
        key: None,
        from_now: false,
        up_to: None,
        otherwise: 2,
    };
    approved.program.instrs.insert(0, Instr::WaitFor(Box::new(wait)));
    approved.hash = flow_plan::short_hash("approved");
    Arc::new(approved)
}

#[tokio::test]
async fn what_a_run_waits_for_is_as_old_as_its_signature() {
    let (door, clock) = (Arc::new(Door::default()), TestClock::new());
    let mut project = project(None, |acme| Arc::make_mut(&mut acme.plan.sources[0]).envelope.at = None);
    project.flows = vec![opens_when_approved()];
    let daemon = daemon_with(project, world_of(&door, &clock), |_| {}).await;
    clock.advance(3600);
    let deliver = async |id: String, kind: &str, seconds: i64| {
        let body = event(&id, kind, clock.second()).to_string();
        let signature = signature_at(body.as_bytes(), clock.second() - seconds);
        let headers = [("Acme-Signature", &*signature), ("Content-Type", "application/json")];
        let reply = send(&daemon.service.addresses().server, "POST", PATH, &headers, body.as_bytes()).await;
        assert_eq!(reply.status, 200, "{id}");
        daemon.service.engine().settled().await;
    };
    for (seconds, opened) in [(5, 1), (31, 1), (250, 1), (-3, 1), (0, 2)] {
        deliver(format!("start {seconds}"), "invoice.paid", 0).await;
        deliver(format!("approval {seconds}"), "invoice.failed", seconds).await;
        assert_eq!(door.opened.load(Ordering::SeqCst), opened, "signed {seconds} seconds ago: {:?}", ends(&daemon.service).await);
    }
}

/// Waits until the poll has ended, and returns when the next one is due.
async fn next_poll(clock: &TestClock, service: &Service) -> Timestamp {
    let next = async {
        loop {
            let shown = send(&service.addresses().admin, "GET", "/api/v1/connections", &[], b"").await.json();
            let next = shown["connections"][0]["polls"][0]["next_at"].as_str().map(|at| at.parse::<Timestamp>().unwrap());
            match next.filter(|next| *next > clock.now()) {
                Some(next) => return next,
                None => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, next).await.expect("the poll ends")
}

/// Lets the service be asked for its list once more, at the instant at which that is due.
async fn polled(door: &Door, clock: &TestClock, service: &Service) {
    let before = door.listed.load(Ordering::SeqCst);
    clock.advance_by(next_poll(clock, service).await.duration_since(clock.now()));
    next_poll(clock, service).await;
    assert_eq!(door.listed.load(Ordering::SeqCst), before + 1);
    service.engine().settled().await;
}

#[tokio::test]
async fn what_happened_while_nobody_looked_is_found_and_opens_nothing() {
    let (door, clock) = (Arc::new(Door::default()), TestClock::new());
    let every = Some(EVERY);
    let Daemon { service, folder } = daemon_with(project(every, |_| {}), world_of(&door, &clock), |_| {}).await;
    next_poll(&clock, &service).await;
    service.stop().await;
    drop(service);
    clock.advance(100);
    door.events.lock().unwrap().push(event("evt_1", "invoice.paid", clock.second()));
    clock.advance(2);
    let options = options(&folder.path().join("store"));
    let service = Service::start(options, project(every, |_| {}), world_of(&door, &clock)).await.unwrap();
    next_poll(&clock, &service).await;
    let ended = ends(&service).await;
    assert_eq!((ended.len(), door.opened.load(Ordering::SeqCst)), (1, 0), "{ended:?}");
    assert!(ended[0].0 == "stopped" && ended[0].1.contains("from before the daemon was started"), "{ended:?}");
    // What happens from now on does.
    door.events.lock().unwrap().clear();
    polled(&door, &clock, &service).await;
    clock.advance(35);
    door.events.lock().unwrap().push(event("evt_2", "invoice.paid", clock.second()));
    polled(&door, &clock, &service).await;
    let ended = ends(&service).await;
    assert_eq!((ended[0].0.as_str(), door.opened.load(Ordering::SeqCst)), ("done", 1), "{ended:?}");
    service.stop().await;
}

#[tokio::test]
async fn a_clock_that_is_behind_is_an_alarm_until_a_person_says_that_it_is_right() {
    let (door, clock) = (Arc::new(Door::default()), TestClock::new());
    let daemon = daemon_with(project(None, |_| {}), world_of(&door, &clock), |_| {}).await;
    let admin = daemon.service.addresses().admin.clone();
    let alarms = async || {
        let status = send(&admin, "GET", "/api/v1/status", &[], b"").await.json();
        status["alarms"].as_array().unwrap().clone()
    };
    clock.advance(7200);
    assert!(alarms().await.is_empty());
    clock.advance(-3600);
    let behind = alarms().await;
    assert_eq!((behind.len(), behind[0]["kind"].as_str()), (1, Some("clock")), "{behind:?}");
    assert!(behind[0]["next"].as_str().unwrap().contains("flowd trust-clock"), "{behind:?}");
    let metrics = send(&admin, "GET", "/metrics", &[], b"").await.body;
    assert!(metrics.contains("flow_alarms{kind=\"clock\"} 1"), "{metrics}");
    let body = event("evt_1", "invoice.paid", clock.second()).to_string();
    let signed = |body: &str| signature_at(body.as_bytes(), clock.second());
    let deliver = async |body: String| {
        let headers = [("Acme-Signature", &*signed(&body)), ("Content-Type", "application/json")];
        assert_eq!(send(&daemon.service.addresses().server, "POST", PATH, &headers, body.as_bytes()).await.status, 200);
        ends(&daemon.service).await
    };
    let ended = deliver(body).await;
    assert!(ended[0].0 == "stopped" && ended[0].1.contains("nobody can say how old"), "{ended:?}");
    assert_eq!(send(&admin, "POST", "/api/v1/clock/trust", &[], b"").await.status, 403, "no form may say so");
    let trusted = send(&admin, "POST", "/api/v1/clock/trust", &[("X-Flow-Admin", "1")], b"").await;
    assert_eq!((trusted.status, trusted.json()["trusted"].as_bool()), (200, Some(true)));
    assert!(alarms().await.is_empty());
    clock.advance(1);
    let ended = deliver(event("evt_2", "invoice.paid", clock.second()).to_string()).await;
    assert_eq!((ended[0].0.as_str(), door.opened.load(Ordering::SeqCst)), ("done", 1), "{ended:?}");
}
