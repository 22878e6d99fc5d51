//! More than can be worked off: senders are told when to come again, at once, and every 200 is honoured.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flow_plan::{Call, Effect, Flow, Instr, PathPart, Program};
use flow_runtime::engine::EngineOptions;
use flow_runtime::run::Status;
use flow_runtime::store::RunQuery;
use flow_runtime::transport::{FastRandom, SystemClock};
use flow_runtime::world::{BoxFuture, HttpAnswer, HttpRequest, Transport, TransportError, World};
use tokio::sync::watch;

use crate::support::{acme, answer, daemon_with, deliver, event, flow, live, operation, request};

/// At most so many runs wait.
const QUEUE: usize = 20;
/// So many requests are sent at a time.
const AT_A_TIME: usize = 4;
/// So many senders come at a time.
const SENDERS: usize = 8;

/// A service that answers nobody until it is open.
struct Gate {
    open: watch::Sender<bool>,
    answered: AtomicUsize,
}

impl Transport for Gate {
    fn send(&self, _: HttpRequest, _: Duration, _: usize) -> BoxFuture<'_, Result<HttpAnswer, TransportError>> {
        Box::pin(async move {
            drop(self.open.subscribe().wait_for(|open| *open).await);
            self.answered.fetch_add(1, Ordering::SeqCst);
            Ok(answer(200, &[], "{}"))
        })
    }
}

/// A flow that sends one request for each paid invoice.
fn sends() -> Arc<Flow> {
    let mut set = operation(request("POST", vec![PathPart::Literal("/v1/notes".to_owned())]));
    set.effect = Effect::Set;
    let call = Call {
        path: "1".to_owned(),
        connection: "acme".to_owned(),
        name: "acme.set".to_owned(),
        operation: 0,
        args: Vec::new(),
        result: None,
        retry: None,
        on_error: None,
        loops: Vec::new(),
        dangerous: false,
        docs: String::new(),
    };
    let mut flow = Flow::clone(&flow("f", "paid"));
    flow.program = Program { instrs: vec![Instr::Call(Box::new(call))], locals: 0, on_error: None };
    flow.operations = vec![Arc::new(set)];
    Arc::new(flow)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_the_bound_senders_are_told_to_come_again_and_every_200_is_honoured() {
    let gate = Arc::new(Gate { open: watch::channel(false).0, answered: AtomicUsize::new(0) });
    let world =
        World { clock: Arc::new(SystemClock), transport: Arc::clone(&gate) as _, random: Arc::new(FastRandom), services: None };
    let live = live(vec![acme("http://127.0.0.1:1", None)], vec![sends()]);
    let daemon = daemon_with(live, world, |options| {
        options.engine = EngineOptions { queue: QUEUE, concurrency: AT_A_TIME, ..EngineOptions::default() };
    })
    .await;
    let daemon = Arc::new(daemon);
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let daemon = Arc::clone(&daemon);
            tokio::spawn(async move {
                let mut answers = BTreeMap::new();
                for number in 0..15 {
                    let id = format!("evt_{sender}_{number}");
                    let body = event(&id, "invoice.paid", jiff::Timestamp::now().as_second()).to_string();
                    let reply = deliver(&daemon, "/v1/webhooks/acme", body.as_bytes()).await;
                    if reply.status != 200 {
                        assert_eq!((reply.status, reply.code().as_str()), (503, "queue_full"));
                        assert!(reply.head.contains("retry-after: 5"), "{}", reply.head);
                    }
                    answers.insert(id, reply.status == 200);
                }
                answers
            })
        })
        .collect();
    let mut answers = BTreeMap::new();
    for sender in senders {
        answers.extend(sender.await.unwrap());
    }
    let (taken, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|(_, taken)| *taken);
    // One more for each sender that looked at the same moment.
    assert!((QUEUE..=QUEUE + AT_A_TIME + SENDERS).contains(&taken.len()), "{} taken", taken.len());
    let engine = daemon.service.engine();
    assert_eq!((engine.stats().events, engine.stats().runs_started), (taken.len() as u64, taken.len() as u64));
    assert_eq!(gate.answered.load(Ordering::SeqCst), 0);
    // The service is back: what was taken in is worked off, and what was refused is taken when it comes again.
    gate.open.send_replace(true);
    engine.settled().await;
    for (id, _) in &refused {
        let body = event(id, "invoice.paid", jiff::Timestamp::now().as_second()).to_string();
        let reply = deliver(&daemon, "/v1/webhooks/acme", body.as_bytes()).await;
        assert_eq!((reply.status, reply.json()["duplicate"].as_bool()), (200, Some(false)), "nothing was remembered of it");
    }
    engine.settled().await;
    let done = engine.runs(&RunQuery { status: Some(Status::Done), limit: 1000, ..RunQuery::default() }).unwrap();
    assert_eq!((done.len(), gate.answered.load(Ordering::SeqCst)), (taken.len() + refused.len(), taken.len() + refused.len()));
}
