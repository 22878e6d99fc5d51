//! Connections and plans in few words.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flow_plan::{
    Answer, Api, Arithmetic, Auth, Connection, Effect, Env, Envelope, Expr, Flow, Function, Instr, JsonPath, Operation, Pages,
    PathPart, Poll, Program, QueryField, Refusal, Request, SecretDecl, Source, TimeFormat, TriggerUse, Value, Webhook,
};
use flow_runtime::eval::Scope;
use flow_runtime::live::{Live, LiveConnection};
use flow_runtime::secret::Secret;
use flow_runtime::service::{Service, ServiceOptions};
use flow_runtime::transport::{FastRandom, ReqwestTransport, SystemClock};
use flow_runtime::world::{Clock, HttpAnswer, World};
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) fn text(text: &str) -> Expr {
    Expr::Const(Value::text(text))
}

pub(crate) fn path(text: &str) -> JsonPath {
    JsonPath::parse(text).unwrap()
}

pub(crate) fn secret(name: &str) -> Expr {
    Expr::Env(Env::Secret(name.to_owned()))
}

/// A connection with a base, a bearer key and nothing else.
pub(crate) fn connection(name: &str, base: &str) -> LiveConnection {
    let plan = Connection {
        name: name.to_owned(),
        connector: name.to_owned(),
        api: Arc::new(Api {
            base: text(base),
            auth: Some(Auth { scheme: "bearer".to_owned(), args: vec![secret("key")] }),
            headers: Vec::new(),
            error_text: vec![path("error.message"), path("errors[0].title")],
            ..Api::default()
        }),
        apis: Arc::default(),
        settings: BTreeMap::new(),
        setting_decls: Arc::default(),
        secrets: Arc::default(),
        sources: Vec::new(),
        states: Vec::new(),
        checks: Arc::default(),
    };
    let secrets = BTreeMap::from([("key".to_owned(), Secret::new("sk_test_vector".to_owned()))]);
    LiveConnection { secrets, polls: true, ..LiveConnection::bare(plan) }
}

pub(crate) fn request(method: &str, path: Vec<PathPart>) -> Request {
    Request { method: method.to_owned(), path, ..Request::default() }
}

pub(crate) fn field(name: &str, value: Expr) -> QueryField {
    QueryField { name: name.to_owned(), value, chunk: None }
}

pub(crate) fn operation(request: Request) -> Operation {
    Operation {
        name: "test.operation".to_owned(),
        inputs: Vec::new(),
        request,
        answer: Answer::default(),
        effect: Effect::Read,
        retry_on: Vec::new(),
        emits: Vec::new(),
        sign: Vec::new(),
        confirm: None,
        peculiar: Box::default(),
        listing: None,
    }
}

pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> HttpAnswer {
    HttpAnswer {
        status,
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        body: body.to_owned().into(),
    }
}

/// Inputs and the run's key.
#[derive(Default)]
pub(crate) struct Inputs(pub Vec<Value>);

impl Scope for Inputs {
    fn input(&self, input: u16) -> Value {
        self.0.get(usize::from(input)).cloned().unwrap_or_default()
    }

    fn env(&self, env: &Env) -> Value {
        match env {
            Env::RunKey => Value::text("flow-test-key-1"),
            _ => Value::Missing,
        }
    }
}

/// A file of the shared data, where this machine has it.
pub(crate) fn shared(name: &str) -> Option<serde_json::Value> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(name);
    let bytes = std::fs::read(file).ok()?;
    Some(serde_json::from_slice(&bytes).unwrap())
}

/// What a webhook of the test connector is signed with.
pub(crate) const WEBHOOK_SECRET: &str = "whsec_planted_0123456789";
/// What its requests are made with.
pub(crate) const API_KEY: &str = "sk_planted_9876543210";

/// A source that is taken by webhook, and by poll where `every` is given.
pub(crate) fn source(every: Option<Duration>) -> Source {
    let mut list = request("GET", vec![PathPart::Literal("/v1/events".to_owned())]);
    let since = Expr::Arithmetic(
        Arithmetic::Subtract,
        Box::new(Expr::Env(Env::Watermark)),
        Box::new(Expr::Const(Value::Duration(flow_plan::Duration::from_millis(60_000)))),
    );
    list.query = vec![
        QueryField { name: "types[]".to_owned(), value: Expr::Env(Env::LiveTypes), chunk: Some(2) },
        field("created[gte]", Expr::Call(Function::Unix, vec![since])),
        field("limit", Expr::Const(Value::Number(100.into()))),
    ];
    let poll = every.map(|every| Poll {
        request: list,
        every_ms: every.as_millis() as u64,
        items: path("data"),
        pages: Some(Pages {
            by_items: false,
            param: "starting_after".to_owned(),
            from_last: path("id"),
            plus: 0,
            from_answer: None,
            more: Some(path("has_more")),
            counted: false,
            of: None,
        }),
        cursor: None,
        cursor_of_items: None,
        order_by: Some(path("created")),
        newest_first: true,
        seen: vec![path("id")],
        history_ms: Some(30 * 86_400_000),
        first_now: true,
        order_format: None,
        when_changes: None,
        then_by: None,
        within_quota: false,
    });
    let webhook = Webhook {
        scheme: "stripe_signature".to_owned(),
        params: BTreeMap::from([("header".to_owned(), text("Acme-Signature")), ("secret".to_owned(), secret("webhook_secret"))]),
        whole: false,
    };
    Source {
        name: "events".to_owned(),
        webhook: Some(webhook),
        poll,
        envelope: Envelope {
            event_type: Some(path("type")),
            id: Some(path("id")),
            id_else_body: false,
            at: Some((path("created"), TimeFormat::Unix)),
            object: path("data.object"),
            refuse: vec![Refusal {
                when: Expr::Equal(Box::new(Expr::Answer(path("object"))), Box::new(text("thin"))),
                because: "thin events are not taken: choose snapshot events".to_owned(),
                quietly: false,
            }],
            codes: None,
        },
        triggers: BTreeMap::from([
            ("paid".to_owned(), vec!["invoice.paid".to_owned()]),
            ("failed".to_owned(), vec!["invoice.failed".to_owned(), "invoice.late".to_owned()]),
        ]),
        keys: BTreeMap::new(),
        register: None,
        listen: None,
    }
}

/// The connection `acme` with that source.
pub(crate) fn acme(base: &str, every: Option<Duration>) -> LiveConnection {
    let mut acme = connection("acme", base);
    // The tests' servers are on this machine, which flow.toml has to name.
    acme.base_url = Some(base.to_owned());
    acme.plan.sources = vec![Arc::new(source(every))];
    acme.plan.secrets = ["key", "webhook_secret"]
        .map(|name| SecretDecl {
            name: name.to_owned(),
            for_requests: name == "key",
            for_webhooks: name != "key",
            ..SecretDecl::default()
        })
        .into();
    acme.secrets = BTreeMap::from([
        ("key".to_owned(), Secret::new(API_KEY.to_owned())),
        ("webhook_secret".to_owned(), Secret::new(WEBHOOK_SECRET.to_owned())),
    ]);
    acme
}

/// A flow without steps on a trigger of `acme`.
pub(crate) fn flow(id: &str, trigger: &str) -> Arc<Flow> {
    let types = source(None).triggers[trigger].clone();
    Arc::new(Flow {
        id: id.to_owned(),
        name: Some(id.to_owned()),
        title: None,
        docs: String::new(),
        file: "main.flow".to_owned(),
        line: 1,
        hash: flow_plan::short_hash(id),
        triggers: vec![TriggerUse {
            connection: "acme".to_owned(),
            name: trigger.to_owned(),
            source: "events".to_owned(),
            types,
            options: BTreeMap::new(),
            guard: None,
            dedupe: None,
            kind: flow_plan::StartKind::Event,
            reads: Vec::new(),
        }],
        reads: Vec::new(),
        filter: None,
        limits: flow_plan::Limits::default(),
        program: Program { instrs: vec![Instr::Finish], locals: 0, on_error: None },
        operations: Vec::new(),
        outline: Vec::new(),
        clause_lines: Vec::new(),
        invocations: Vec::new(),
        calls: (0, Some(0)),
        sends: Vec::new(),
    })
}

pub(crate) fn live(connections: Vec<LiveConnection>, flows: Vec<Arc<Flow>>) -> Live {
    let connections = connections.into_iter().map(|c| (c.plan.name.clone(), Arc::new(c))).collect();
    Live { flows, connections, ..Live::default() }
}

/// So long is waited for what has to come: a machine that runs tests may be slow, and busy with others.
pub(crate) const PATIENCE: Duration = Duration::from_secs(150);

/// The real outside, with a clock that can be moved ahead.
pub(crate) fn world(clock: Arc<dyn Clock>) -> World {
    World { clock, transport: Arc::new(ReqwestTransport::new()), random: Arc::new(FastRandom), services: None }
}

/// A daemon over a folder of its own, on free ports.
pub(crate) struct Daemon {
    pub(crate) service: Arc<Service>,
    pub(crate) folder: tempfile::TempDir,
}

pub(crate) fn options(folder: &Path) -> ServiceOptions {
    ServiceOptions {
        server_listen: "127.0.0.1:0".to_owned(),
        admin_listen: "127.0.0.1:0".to_owned(),
        drain: Duration::from_secs(5),
        ..ServiceOptions::new(folder.to_owned())
    }
}

pub(crate) async fn daemon(live: Live) -> Daemon {
    daemon_with(live, world(Arc::new(SystemClock)), |_| {}).await
}

pub(crate) async fn daemon_with(live: Live, world: World, change: impl FnOnce(&mut ServiceOptions)) -> Daemon {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(&folder.path().join("store"));
    change(&mut options);
    let service = Arc::new(Service::start(options, live, world).await.unwrap());
    Daemon { service, folder }
}

/// An answer as it came over the wire.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn code(&self) -> String {
        let json = self.json();
        assert!(json["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{self:?}");
        json["error"]["code"].as_str().unwrap().to_owned()
    }
}

/// Sends raw bytes and reads until the other side closes or a whole answer is there.
pub(crate) async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, bytes: &[u8]) -> Reply {
    // A server that refuses early may close before all is written.
    let _ = stream.write_all(bytes).await;
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&all).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().unwrap())
            });
            if body.len() >= length.unwrap_or(usize::MAX) {
                let status = head.split(' ').nth(1).unwrap().parse().unwrap();
                return Reply { status, head: head.to_lowercase(), body: body.to_owned() };
            }
        }
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await.expect("an answer in time");
        match read {
            Ok(read) if read > 0 => all.extend_from_slice(&buffer[..read]),
            _ => return Reply { status: 0, head: text.to_lowercase(), body: String::new() },
        }
    }
}

pub(crate) fn authority(address: &str) -> &str {
    address.strip_prefix("http://").unwrap()
}

/// Sends a request over a new TCP connection.
pub(crate) async fn send(address: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let host = authority(address);
    let stream = TcpStream::connect(host).await.unwrap();
    exchange(stream, &raw(host, method, path, headers, body)).await
}

/// Returns a request as bytes. `Host` and `Content-Length` are added where they are not given.
pub(crate) fn raw(host: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\n");
    let given = |name: &str| headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
    if !given("host") {
        text.push_str(&format!("Host: {host}\r\n"));
    }
    if !given("content-length") && !given("transfer-encoding") {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    [text.as_bytes(), body].concat()
}

/// Returns the signature header of a body for the test connector, signed now.
pub(crate) fn signature(body: &[u8]) -> String {
    signature_at(body, Timestamp::now().as_second())
}

pub(crate) fn signature_at(body: &[u8], second: i64) -> String {
    let mac = crate::scheme::hmac_hex(WEBHOOK_SECRET.as_bytes(), &[second.to_string().as_bytes(), b".", body]);
    format!("t={second},v1={mac}")
}

/// Returns an event of the test connector.
pub(crate) fn event(id: &str, event_type: &str, created: i64) -> serde_json::Value {
    serde_json::json!({
        "id": id, "object": "event", "type": event_type, "created": created,
        "data": { "object": { "id": format!("in_{id}"), "amount": 12050, "currency": "usd" } },
    })
}

/// Delivers a signed webhook. What it started can be asked of the engine behind it.
pub(crate) async fn deliver(daemon: &Daemon, path: &str, body: &[u8]) -> Reply {
    let headers = [("Acme-Signature", &*signature(body)), ("Content-Type", "application/json")];
    let reply = send(&daemon.service.addresses().server, "POST", path, &headers, body).await;
    daemon.service.engine().caught_up().await;
    reply
}

/// What is logged by this thread while it is started.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn start(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || log.clone()).finish();
        tracing::subscriber::set_default(subscriber)
    }

    pub(crate) fn count(&self, text: &str) -> usize {
        String::from_utf8_lossy(&self.0.lock().unwrap()).matches(text).count()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
