//! A world that tests can turn: a clock, a service that counts its effects, plans, and an engine over them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use flow_plan as plan;
use flow_plan::{Effect, Env, Expr, JsonPath, Shape, Value};
use flow_runtime::engine::{Engine, EngineOptions};
use flow_runtime::event::{Incoming, Via};
use flow_runtime::live::{Live, LiveConnection};
use flow_runtime::store::{RunQuery, Store};
use flow_runtime::world::{BoxFuture, Clock, HttpAnswer, HttpRequest, Look, Random, Transport, TransportError, World};
use jiff::{SignedDuration, Timestamp};

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn path(text: &str) -> JsonPath {
    JsonPath::parse(text).unwrap()
}

/// A clock that stands until it is told to go on.
pub(crate) struct ManualClock(Mutex<(Timestamp, Sleepers, u64)>, Mutex<Duration>);

/// Until when, and whom to wake.
type Sleepers = Vec<(Timestamp, Waker)>;

impl ManualClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new((at("2026-11-22T12:00:00Z"), Vec::new(), 0)), Mutex::default()))
    }

    /// Time passes until an instant, or the clock is set back to it.
    pub(crate) fn set(&self, now: Timestamp) {
        let passed = Duration::try_from(now.duration_since(self.now())).unwrap_or_default();
        *self.1.lock().unwrap() += passed;
        self.leap(now);
    }

    /// The clock is set, and no time passes.
    pub(crate) fn leap(&self, now: Timestamp) {
        let mut inner = self.0.lock().unwrap();
        // Whoever sleeps looks again when the clock is set back.
        let set_back = now < inner.0;
        inner.0 = now;
        inner.2 += u64::from(set_back);
        let (due, later) = std::mem::take(&mut inner.1).into_iter().partition(|(at, _)| *at <= now || set_back);
        inner.1 = later;
        drop(inner);
        let due: Vec<(Timestamp, Waker)> = due;
        due.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// Returns how many wait for it.
    pub(crate) fn waiting(&self) -> usize {
        self.0.lock().unwrap().1.len()
    }

    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.0.lock().unwrap().1.iter().map(|(at, _)| *at).min()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.0.lock().unwrap().0
    }

    fn look(&self) -> Look {
        Look { now: self.now(), steady: Some(*self.1.lock().unwrap()) }
    }

    fn sleep_until(&self, until: Timestamp) -> BoxFuture<'_, ()> {
        let set_back = self.0.lock().unwrap().2;
        Box::pin(std::future::poll_fn(move |ctx| {
            let mut inner = self.0.lock().unwrap();
            if inner.0 >= until || inner.2 != set_back {
                return Poll::Ready(());
            }
            inner.1.push((until, ctx.waker().clone()));
            Poll::Pending
        }))
    }
}

struct Half;

impl Random for Half {
    fn fraction(&self) -> f64 {
        0.5
    }
}

/// What goes wrong with a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fault {
    NotConnected,
    TimeoutBefore,
    TimeoutAfter,
    Status(u16),
    StatusAfter(u16),
    RetryAfter(u16, u32),
    /// The answer is a success that does not fit its record.
    Nonsense,
    Panic,
    Hang,
}

/// A service that counts its effects. It remembers idempotency keys, and can be asked what it has.
#[derive(Default)]
pub(crate) struct Service(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    faults: HashMap<String, VecDeque<Fault>>,
    always: HashMap<String, Fault>,
    requests: Vec<(String, String, String)>,
    effects: Vec<(String, String)>,
    answers: HashMap<String, HttpAnswer>,
    by_id: HashMap<String, String>,
    states: HashMap<String, Option<String>>,
    connecting: Option<Box<dyn FnOnce() + Send>>,
}

impl Service {
    pub(crate) fn fault(&self, name: &str, faults: impl IntoIterator<Item = Fault>) {
        self.0.lock().unwrap().faults.entry(name.to_owned()).or_default().extend(faults);
    }

    pub(crate) fn always(&self, name: &str, fault: Option<Fault>) {
        let mut inner = self.0.lock().unwrap();
        match fault {
            Some(fault) => inner.always.insert(name.to_owned(), fault),
            None => inner.always.remove(name),
        };
    }

    /// Returns the requests to `name`: method and key.
    pub(crate) fn requests(&self, name: &str) -> Vec<(String, String)> {
        let inner = self.0.lock().unwrap();
        inner.requests.iter().filter(|(to, ..)| to == name).map(|(_, method, key)| (method.clone(), key.clone())).collect()
    }

    /// Returns the keys under which `name` had an effect.
    pub(crate) fn effects(&self, name: &str) -> Vec<String> {
        self.0.lock().unwrap().effects.iter().filter(|(of, _)| of == name).map(|(_, key)| key.clone()).collect()
    }

    /// Lets a state be something, as JSON; `None`: it cannot be read.
    pub(crate) fn says(&self, state: &str, value: Option<&str>) {
        self.0.lock().unwrap().states.insert(state.to_owned(), value.map(str::to_owned));
    }

    /// What happens while the next connection is made.
    pub(crate) fn while_connecting(&self, happens: impl FnOnce() + Send + 'static) {
        self.0.lock().unwrap().connecting = Some(Box::new(happens));
    }

    fn perform(&self, name: &str, key: &str) -> HttpAnswer {
        let mut inner = self.0.lock().unwrap();
        if let Some(answer) = inner.answers.get(key).filter(|_| name.starts_with("keyed")) {
            return answer.clone();
        }
        inner.effects.push((name.to_owned(), key.to_owned()));
        let id = format!("{name}-{}", inner.effects.len());
        inner.by_id.insert(key.to_owned(), id.clone());
        let answer = answer(200, &format!(r#"{{"data":{{"id":"{id}"}}}}"#));
        inner.answers.insert(key.to_owned(), answer.clone());
        answer
    }
}

pub(crate) fn answer(status: u16, body: &str) -> HttpAnswer {
    HttpAnswer { status, headers: Vec::new(), body: Bytes::copy_from_slice(body.as_bytes()) }
}

impl Transport for Service {
    fn send(&self, request: HttpRequest, _: Duration, _: usize) -> BoxFuture<'_, Result<HttpAnswer, TransportError>> {
        Box::pin(async move {
            let rest = request.url.rsplit('/').next().unwrap_or("").to_owned();
            let name = rest.split('?').next().unwrap_or("").to_owned();
            let header = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("x-key") || name == "Idempotency-Key");
            let key = header.map(|(_, value)| value.clone()).unwrap_or_default();
            let connecting = self.0.lock().unwrap().connecting.take();
            if let Some(happens) = connecting {
                happens();
            }
            if let Some(late) = request.guard.as_ref().and_then(|guard| (guard.forbids)()) {
                return Err(TransportError::NotConnected(late));
            }
            let fault = {
                let mut inner = self.0.lock().unwrap();
                inner.requests.push((name.clone(), request.method.clone(), key.clone()));
                let once = inner.faults.get_mut(&name).and_then(VecDeque::pop_front);
                once.or_else(|| inner.always.get(&name).cloned())
            };
            let state = self.0.lock().unwrap().states.get(&name).cloned();
            match fault {
                None if let Some(state) = state => match state {
                    Some(value) => Ok(answer(200, &format!(r#"{{"data":{{"state":{value}}}}}"#))),
                    None => Err(TransportError::NotConnected("refused".to_owned())),
                },
                None if request.method == "GET" => {
                    let found = self.0.lock().unwrap().by_id.get(&key).cloned();
                    Ok(match found {
                        Some(id) => answer(200, &format!(r#"{{"data":{{"id":"{id}"}}}}"#)),
                        None => answer(404, "{}"),
                    })
                }
                None => Ok(self.perform(&name, &key)),
                Some(Fault::NotConnected) => Err(TransportError::NotConnected("refused".to_owned())),
                Some(Fault::TimeoutBefore) => Err(TransportError::NoAnswer("timed out".to_owned())),
                Some(Fault::TimeoutAfter) => {
                    self.perform(&name, &key);
                    Err(TransportError::NoAnswer("timed out".to_owned()))
                }
                Some(Fault::Status(status)) => Ok(answer(status, r#"{"error":"no"}"#)),
                Some(Fault::StatusAfter(status)) => {
                    self.perform(&name, &key);
                    Ok(answer(status, r#"{"error":"no"}"#))
                }
                Some(Fault::RetryAfter(status, seconds)) => {
                    let mut answer = answer(status, "{}");
                    answer.headers.push(("retry-after".to_owned(), seconds.to_string()));
                    Ok(answer)
                }
                Some(Fault::Nonsense) => {
                    self.perform(&name, &key);
                    Ok(answer(200, r#"{"data":{"id":[1]}}"#))
                }
                Some(Fault::Panic) => panic!("a bug in a step"),
                Some(Fault::Hang) => std::future::pending().await,
            }
        })
    }
}

/// The world of a test.
pub(crate) struct Bench {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) service: Arc<Service>,
    pub(crate) engine: Engine,
}

pub(crate) fn world(clock: &Arc<ManualClock>, service: &Arc<Service>) -> World {
    World { clock: Arc::clone(clock) as _, transport: Arc::clone(service) as _, random: Arc::new(Half), services: None }
}

impl Bench {
    pub(crate) fn new(flows: Vec<plan::Flow>) -> Self {
        let store = Arc::new(flow_runtime::store::MemoryStore::new().unwrap());
        Self::over(store, flows, ManualClock::new(), Arc::new(Service::default()))
    }

    pub(crate) fn over(store: Arc<dyn Store>, flows: Vec<plan::Flow>, clock: Arc<ManualClock>, service: Arc<Service>) -> Self {
        Self::with_live(store, live(flows), clock, service)
    }

    pub(crate) fn with_live(store: Arc<dyn Store>, live: Live, clock: Arc<ManualClock>, service: Arc<Service>) -> Self {
        let world = world(&clock, &service);
        let engine = Engine::start(store, live, world, EngineOptions::default()).unwrap();
        Self { clock, service, engine }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) async fn send(&self, id: &str, payload: &str) -> flow_runtime::event::Accepted {
        self.engine.accept("svc", vec![incoming(id, payload)], None).await.unwrap().remove(0)
    }

    /// Returns the ids of the events that started a flow, oldest first.
    pub(crate) fn started(&self, flow: &str) -> Vec<String> {
        let query = RunQuery { flow: Some(flow.to_owned()), limit: 10_000, ..RunQuery::default() };
        let mut ids: Vec<String> = self.engine.runs(&query).unwrap().into_iter().map(|run| run.event_id).collect();
        ids.reverse();
        ids
    }

    /// Lets time pass, from one thing that happens to the next.
    pub(crate) async fn pass(&self, time: Duration) {
        let until = self.clock.now().checked_add(time).unwrap();
        loop {
            self.engine.settled().await;
            match self.clock.next().filter(|next| *next <= until) {
                Some(next) => self.set(next).await,
                None => break,
            }
        }
        self.set(until).await;
        self.engine.settled().await;
    }

    /// Sets the clock by so much, forth or back, while no time passes.
    pub(crate) async fn leap(&self, by: SignedDuration) {
        self.engine.settled().await;
        self.clock.leap(self.now() + by);
        for _ in 0..5 {
            tokio::task::yield_now().await;
        }
        self.engine.settled().await;
    }

    /// Sets the clock, and lets those who waited for it begin.
    pub(crate) async fn set(&self, now: Timestamp) {
        self.clock.set(now);
        for _ in 0..5 {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) async fn run(&self, id: &str) -> serde_json::Value {
        self.engine.settled().await;
        self.engine.run(id, true).unwrap().unwrap()
    }

    pub(crate) async fn status(&self, id: &str) -> String {
        self.run(id).await["status"].as_str().unwrap().to_owned()
    }
}

pub(crate) const EVENT: &str = r#"{"id":"evt_1","type":"happened","data":{"object":{"id":"ch_1","amount":12050,"currency":"usd","email":"jane@example.com","name":"Jane"}}}"#;

pub(crate) fn incoming(id: &str, payload: &str) -> Incoming {
    Incoming {
        id: id.to_owned(),
        source: "events".to_owned(),
        event_type: Some("happened".to_owned()),
        occurred_at: None,
        signed_at: None,
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        via: Via::Webhook,
        origin: flow_runtime::event::Origin::External,
        depth: 0,
        only_trigger: None,
    }
}

pub(crate) fn live(flows: Vec<plan::Flow>) -> Live {
    let connections = ["svc", "other"].map(|name| (name.to_owned(), Arc::new(connection(name)))).into();
    Live { flows: flows.into_iter().map(Arc::new).collect(), connections, ..Live::default() }
}

pub(crate) fn connection(name: &str) -> LiveConnection {
    let source = plan::Source {
        name: "events".to_owned(),
        webhook: None,
        poll: None,
        envelope: plan::Envelope { object: path("data.object"), ..plan::Envelope::default() },
        triggers: BTreeMap::from([
            ("happened".to_owned(), vec!["happened".to_owned()]),
            ("failed".to_owned(), vec!["happened".to_owned(), "other".to_owned()]),
        ]),
        keys: BTreeMap::from([("happened".to_owned(), vec![path("id")])]),
        register: None,
        listen: None,
    };
    LiveConnection::bare(plan::Connection {
        name: name.to_owned(),
        connector: name.to_owned(),
        api: Arc::new(plan::Api {
            base: Expr::Const(Value::text(format!("https://{name}.example"))),
            error_text: vec![path("error")],
            ..plan::Api::default()
        }),
        apis: Arc::default(),
        settings: BTreeMap::new(),
        setting_decls: Arc::default(),
        secrets: Arc::default(),
        sources: vec![Arc::new(source)],
        states: Vec::new(),
        checks: Arc::default(),
    })
}

pub(crate) fn field(name: &str, shape: Shape, optional: bool) -> plan::FieldShape {
    let from = match &shape {
        Shape::Money { .. } => Vec::new(),
        _ => vec![plan::FieldSource::at(path(name))],
    };
    plan::FieldShape { name: name.to_owned(), from, shape, optional, personal: name == "email", default: None }
}

pub(crate) fn money() -> Shape {
    Shape::Money {
        amount: path("amount"),
        currency: path("currency"),
        instead: Vec::new(),
        unit: plan::MoneyUnit::Minor,
        exponents: BTreeMap::new(),
    }
}

pub(crate) fn trigger(name: &str) -> plan::TriggerUse {
    plan::TriggerUse {
        connection: "svc".to_owned(),
        name: name.to_owned(),
        source: "events".to_owned(),
        types: vec!["happened".to_owned()],
        options: BTreeMap::new(),
        guard: None,
        dedupe: None,
        kind: plan::StartKind::Event,
        reads: Vec::new(),
    }
}

/// An operation with one input, which answers with a record that has an id.
pub(crate) fn op(name: &str, effect: Effect) -> plan::Operation {
    let reads = matches!(effect, Effect::Read);
    plan::Operation {
        name: format!("svc.{name}"),
        inputs: vec![plan::Input { name: "email".to_owned(), optional: true, ..plan::Input::default() }],
        request: plan::Request {
            method: if reads { "GET" } else { "POST" }.to_owned(),
            via: None,
            path: vec![plan::PathPart::Literal(format!("/{name}"))],
            headers: match effect {
                Effect::Keyed { .. } => Vec::new(),
                _ => vec![("x-key".to_owned(), Expr::Env(Env::RunKey))],
            },
            ..plan::Request::default()
        },
        answer: plan::Answer {
            at: path("data"),
            shape: Some(Shape::Record(vec![field("id", Shape::Token, false)])),
            optional: reads,
            none_on: if reads { vec![404] } else { Vec::new() },
            ..plan::Answer::default()
        },
        effect,
        retry_on: Vec::new(),
        emits: Vec::new(),
        sign: Vec::new(),
        confirm: None,
        peculiar: Box::default(),
        listing: None,
    }
}

pub(crate) fn keyed() -> Effect {
    Effect::Keyed { header: "Idempotency-Key".to_owned(), window_ms: 86_400_000 }
}

pub(crate) fn findable() -> Effect {
    let query = op("find", Effect::Read);
    Effect::Findable { by: Box::new(plan::FindBy { query, args: vec![Expr::Input(0)] }), find_on: vec![409] }
}

pub(crate) fn call(number: usize, operation: u32) -> plan::Call {
    plan::Call {
        path: number.to_string(),
        name: format!("svc.call_{number}"),
        connection: "svc".to_owned(),
        operation,
        args: vec![plan::CallArg { value: Expr::Event(1), personal: true }],
        result: None,
        retry: None,
        on_error: None,
        loops: Vec::new(),
        dangerous: false,
        docs: String::new(),
    }
}

/// A flow that reads amount, email and name, and performs the operations one after the other.
pub(crate) fn flow(id: &str, operations: Vec<plan::Operation>) -> plan::Flow {
    let calls = (0..operations.len()).map(|at| plan::Instr::Call(Box::new(call(at + 1, u32::try_from(at).unwrap()))));
    let mut flow = plan::Flow {
        id: id.to_owned(),
        name: Some(id.to_owned()),
        title: None,
        docs: String::new(),
        file: "main.flow".to_owned(),
        line: 1,
        hash: String::new(),
        triggers: vec![trigger("happened")],
        reads: vec![field("amount", money(), false), field("email", Shape::Token, true), field("name", Shape::Text, true)],
        filter: None,
        limits: flow_plan::Limits::default(),
        program: plan::Program { instrs: calls.collect(), locals: 8, on_error: None },
        operations: operations.into_iter().map(Arc::new).collect(),
        outline: Vec::new(),
        clause_lines: Vec::new(),
        invocations: Vec::new(),
        calls: (0, None),
        sends: Vec::new(),
    };
    rehash(&mut flow);
    flow
}

pub(crate) fn rehash(flow: &mut plan::Flow) {
    flow.hash = String::new();
    flow.hash = plan::content_hash(flow);
}

/// A wait for `svc.happened`, without bound, condition or key; its slots are name and email.
pub(crate) fn wait_for(path: &str, otherwise: u32) -> plan::WaitFor {
    plan::WaitFor {
        path: path.to_owned(),
        trigger: trigger("happened"),
        reads: vec![field("name", Shape::Text, true), field("email", Shape::Token, true)],
        condition: None,
        key: None,
        from_now: false,
        up_to: None,
        otherwise,
    }
}

/// Stops the daemon at once, as far as it lets itself be stopped, and starts another one on what is on disk.
pub(crate) async fn restart(
    bench: Bench,
    store: &flow_runtime::store::MemoryStore,
    flows: Vec<plan::Flow>,
) -> (Bench, Arc<flow_runtime::store::MemoryStore>) {
    let rest = Arc::new(store.copy().unwrap());
    let (clock, service) = (Arc::clone(&bench.clock), Arc::clone(&bench.service));
    bench.engine.stop(Duration::ZERO).await;
    drop(bench);
    (Bench::over(Arc::clone(&rest) as _, flows, clock, service), rest)
}

/// An event of a customer (`name`) and of a type.
pub(crate) fn event_of(id: &str, name: &str, event_type: &str) -> Incoming {
    let payload =
        format!(r#"{{"data":{{"object":{{"amount":100,"currency":"usd","email":"jane@example.com","name":"{name}"}}}}}}"#);
    Incoming { event_type: Some(event_type.to_owned()), ..incoming(id, &payload) }
}
