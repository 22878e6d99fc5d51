//! Connectors as they act on the wire: the fixtures of the language, compiled, against small services in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flow_compiler::compile::Compiler;
use flow_compiler::settings::{ConnectionSettings, Settings};
use flow_plan::{Env, Operation, Value};
use flow_runtime::eval::Scope;
use flow_runtime::live::{Live, LiveConnection};
use flow_runtime::request::build;
use flow_runtime::secret::Secret;
use flow_runtime::service::{Service, ServiceOptions};
use flow_runtime::store::{MemoryStore, Store};
use flow_runtime::world::{BoxFuture, Clock, HttpAnswer, HttpRequest, Random, Transport, TransportError, World};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};
use tokio::sync::watch;

const LOCK: &str = include_str!("../fixtures/language/lock.flow");
const ACME: &str = include_str!("../fixtures/language/acme_billing.flow");
const SECRET_KEY: &str = "a13d4b890111676ba8fb36ece7e94f7d";

/// Vectors that are not part of the repository.
pub(crate) fn shared(file: &str) -> Option<Json> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(file);
    let text = std::fs::read_to_string(path).ok()?;
    Some(serde_json::from_str(&text).unwrap())
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A project of one connector under one name.
pub(crate) fn compile(
    name: &str,
    connector: &str,
    values: &[(&str, &str)],
    sources: &[&str],
) -> flow_compiler::compile::Compilation {
    let values = values.iter().map(|(name, value)| ((*name).to_owned(), Value::text(*value))).collect();
    let settings = ConnectionSettings {
        connector: connector.to_owned(),
        values,
        // Within the quota of a lock.
        poll_ms: Some(3_600_000),
        ..ConnectionSettings::default()
    };
    let connections = Some(BTreeMap::from([(name.to_owned(), settings)]));
    let mut compiler = Compiler::new(Settings { connections, timezone: Some("UTC".to_owned()), ..Settings::default() });
    for (at, source) in sources.iter().enumerate() {
        compiler.set(&format!("{at}.flow"), *source);
    }
    let compilation = compiler.compile();
    let errors: Vec<_> = compilation.errors().collect();
    assert!(errors.is_empty(), "{errors:#?}");
    compilation
}

pub(crate) fn connection(
    compilation: &flow_compiler::compile::Compilation,
    name: &str,
    secrets: &[(&str, &str)],
) -> LiveConnection {
    LiveConnection {
        secrets: secrets.iter().map(|(name, text)| ((*name).to_owned(), Secret::new((*text).to_owned()))).collect(),
        polls: true,
        ..LiveConnection::bare(compilation.connections[name].clone())
    }
}

pub(crate) fn operation(compilation: &flow_compiler::compile::Compilation, connector: &str, name: &str) -> Arc<Operation> {
    match &compilation.catalog.connectors[connector].operations[name].body {
        flow_compiler::catalog::OperationBody::Http(operation) => operation.clone(),
        flow_compiler::catalog::OperationBody::Steps(_) => panic!("{name} is one request"),
    }
}

/// One attempt at an instant.
struct Attempt(Vec<Value>, Timestamp);

impl Scope for Attempt {
    fn input(&self, input: u16) -> Value {
        self.0.get(usize::from(input)).cloned().unwrap_or_default()
    }

    fn env(&self, env: &Env) -> Value {
        match env {
            Env::SentAt => Value::Instant(self.1),
            Env::RunFlow => Value::text("a flow with a very long name"),
            Env::RunKey => Value::text("the-key"),
            _ => Value::Missing,
        }
    }
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// Whole commands as the vendor's own libraries make them.
#[test]
fn commands_of_a_lock_are_signed_at_each_attempt() {
    let Some(data) = shared("sesame/cmac.json") else { return };
    let connectors: [(&str, &[&str]); 2] = [("lock", &[LOCK]), ("sesame", &[])];
    let cases = data["cases"].as_array().unwrap().iter().flat_map(|case| connectors.map(|connector| (case, connector)));
    for (case, (connector, sources)) in cases {
        let name = case["command"].as_str().unwrap();
        if connector == "lock" && !matches!(name, "lock" | "unlock") {
            continue;
        }
        let compilation = compile("door", connector, &[("device", case["device_uuid"].as_str().unwrap())], sources);
        let secrets = [("api_key", case["api_key"].as_str().unwrap()), ("secret_key", case["secret_key_hex"].as_str().unwrap())];
        let mut door = connection(&compilation, "door", &secrets);
        // The other connector has no address of its own.
        door.base_url = (connector == "lock").then(|| "https://app.candyhouse.co/api/sesame2".to_owned());
        let attempt =
            Attempt(vec![Value::text(case["history_text"].as_str().unwrap())], at(case["unix_seconds"].as_i64().unwrap()));
        let made = build(&operation(&compilation, connector, name), &door, &attempt).unwrap();
        let expect = &case["expect"];
        assert_eq!(made.method, expect["method"].as_str().unwrap());
        assert_eq!(made.url, expect["url"].as_str().unwrap());
        assert_eq!(header(&made, "x-api-key"), expect["headers"]["x-api-key"].as_str());
        assert_eq!(serde_json::from_slice::<Json>(&made.body).unwrap(), expect["body"], "{}", case["name"]);
    }
}

/// A signature is of a window of 256 seconds: it changes from its last second to the first of the next, and nowhere else. It says
/// nothing of the command, the device or the note, and of a time beyond 32 bits only these.
#[test]
fn a_signature_changes_from_one_window_to_the_next() {
    let compilation = compile("door", "sesame", &[("device", "D")], &[]);
    let door = connection(&compilation, "door", &[("api_key", "k"), ("secret_key", "a13d4b890111676ba8fb36ece7e94f7d")]);
    let sign = |name: &str, second: i64| -> Json {
        let made = build(&operation(&compilation, "sesame", name), &door, &Attempt(Vec::new(), at(second))).unwrap();
        serde_json::from_slice::<Json>(&made.body).unwrap()["sign"].clone()
    };
    let edge = 1_621_854_464;
    let (last, first) = (sign("unlock", edge - 1), sign("unlock", edge));
    assert_eq!(last, "e50d10ff6f3e21752be4c46f9cbb2b73", "that of the vendor's example");
    assert_ne!(last, first);
    for (second, expected) in [(edge - 256, &last), (edge - 100, &last), (edge + 255, &first), (edge + (1 << 32), &first)] {
        assert_eq!(sign("unlock", second), *expected, "{second}");
    }
    assert!(sign("unlock", edge - 257) != last && sign("unlock", edge + 256) != first);
    assert_eq!([sign("lock", edge), sign("toggle", edge), sign("click", edge)], [first.clone(), first.clone(), first]);
}

#[test]
fn what_cannot_be_signed_is_not_sent() {
    let compilation = compile("door", "lock", &[("device", "D")], &[LOCK]);
    let lock = operation(&compilation, "lock", "lock");
    for key in ["", "a13d", "not hexadecimal at all, is it?!!"] {
        let door = connection(&compilation, "door", &[("api_key", "k"), ("secret_key", key)]);
        let error = build(&lock, &door, &Attempt(Vec::new(), at(1))).err().unwrap().to_string();
        assert!(error.contains("cannot be signed") && !error.contains("hexadecimal at all"), "{error}");
    }
}

/// A connector that signs all its parameters, those of a form or those of an address.
const SHOP: &str = r#"
connector shop "Shop" {
  secret access_id
  secret secret_key
  base "https://shop.example/api/v1"
  auth md5_sorted(secret_key, "signature", { accessID: access_id, timestamp: unix(sent_at) })
  action send(method: text, fields: map<text>) { POST "/{method}.json" form fields effect once }
  query ask(method: text, name: text?, text: text?) -> json { GET "/{method}.json" query { name, text } }
}
"#;

#[test]
fn parameters_are_signed_as_they_are_sent() {
    let Some(data) = shared("referralcandy/signatures.json") else { return };
    let compilation = compile("shop", "shop", &[], &[SHOP]);
    let mut cases = 0;
    for case in data["cases"].as_array().unwrap() {
        let text = |name: &str| case[name].as_str().unwrap();
        let shop = connection(&compilation, "shop", &[("access_id", text("access_id")), ("secret_key", text("secret_key"))]);
        let params = case["params"].as_object().unwrap();
        let plain = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let fields = Value::record(params.iter().map(|(name, value)| (Arc::from(name.as_str()), Value::text(plain(value)))));
        let inputs = vec![Value::text(text("method")), fields];
        let made =
            build(&operation(&compilation, "shop", "send"), &shop, &Attempt(inputs, at(case["unix_seconds"].as_i64().unwrap())));
        let sent: BTreeMap<String, String> = pairs(std::str::from_utf8(&made.unwrap().body).unwrap());
        let expected = pairs(case["expect"]["query"].as_str().unwrap());
        assert_eq!(sent, expected, "{}", case["name"]);
        cases += 1;
    }
    assert!(cases > 3);
}

fn pairs(encoded: &str) -> BTreeMap<String, String> {
    let decode = |text: &str| percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8().unwrap().into_owned();
    let split = encoded.split('&').filter_map(|pair| pair.split_once('='));
    split.map(|(name, value)| (decode(name), decode(value))).collect()
}

/// The worked example of the scheme, in an address.
#[test]
fn an_address_is_signed_where_there_is_no_form() {
    let compilation = compile("shop", "shop", &[], &[SHOP]);
    let shop = connection(&compilation, "shop", &[("access_id", "acihijaklscj"), ("secret_key", "APISECRETKEY")]);
    let inputs = vec![Value::text("referrer"), Value::text("john")];
    let made = build(&operation(&compilation, "shop", "ask"), &shop, &Attempt(inputs, at(1_296_664_909))).unwrap();
    let expected = "https://shop.example/api/v1/referrer.json?name=john&accessID=acihijaklscj&timestamp=1296664909&signature=04535fe455e9f77a90c06e81d7888569";
    assert_eq!(made.url, expected);
    let unset = connection(&compilation, "shop", &[("secret_key", "APISECRETKEY")]);
    assert!(build(&operation(&compilation, "shop", "ask"), &unset, &Attempt(vec![Value::text("x")], at(1))).is_err());
}

/// Signatures over the body and into headers.
#[test]
fn a_body_is_signed_as_the_bytes_that_are_sent() {
    let source = r#"
connector hook "Hook" {
  secret key
  base "https://hook.example"
  action send(text: text) {
    POST "/in" json { text }
    sign {
      "header.X-Signature": "v1={hex(hmac_sha256(key, "{unix(sent_at)}.{body}"))}",
      "header.X-Digest": base64(sha256(body)),
      query.t: unix(sent_at),
    }
    effect once
  }
}
"#;
    let compilation = compile("hook", "hook", &[], &[source]);
    let hook = connection(&compilation, "hook", &[("key", "k")]);
    let made = build(&operation(&compilation, "hook", "send"), &hook, &Attempt(vec![Value::text("hi")], at(7))).unwrap();
    assert_eq!(std::str::from_utf8(&made.body).unwrap(), r#"{"text":"hi"}"#);
    assert_eq!(made.url, "https://hook.example/in?t=7");
    use hmac::{KeyInit, Mac};
    use sha2::Digest;
    let mut mac = <hmac::Hmac<sha2::Sha256> as KeyInit>::new_from_slice(b"k").unwrap();
    mac.update(br#"7.{"text":"hi"}"#);
    assert_eq!(header(&made, "x-signature").unwrap(), format!("v1={}", hex::encode(mac.finalize().into_bytes())));
    let digest = hex::encode(sha2::Sha256::digest(br#"{"text":"hi"}"#));
    assert_eq!(header(&made, "x-digest").unwrap().len(), 44, "{digest}");
}

// ------------------------------------------------------------------------------------------------ services in memory

/// A clock that goes on when everybody sleeps.
struct TestClock {
    now: watch::Sender<Timestamp>,
    sleepers: watch::Sender<Vec<Timestamp>>,
}

struct Sleeper<'a>(&'a TestClock, Timestamp);

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        self.0.sleepers.send_modify(|sleepers| {
            let place = sleepers.iter().position(|at| *at == self.1);
            place.map(|place| sleepers.remove(place));
        });
    }
}

impl TestClock {
    fn new(second: i64) -> Arc<Self> {
        Arc::new(Self { now: watch::Sender::new(at(second)), sleepers: watch::Sender::default() })
    }

    /// Goes on to the next instant that somebody waits for.
    fn next(&self) {
        let next = self.sleepers.borrow().iter().min().copied();
        if let Some(next) = next {
            self.now.send_modify(|now| *now = (*now).max(next));
        }
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.now.borrow()
    }

    fn sleep_until(&self, until: Timestamp) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.sleepers.send_modify(|sleepers| sleepers.push(until));
            let _sleeper = Sleeper(self, until);
            let _ = self.now.subscribe().wait_for(|now| *now >= until).await;
        })
    }
}

struct Half;

impl Random for Half {
    fn fraction(&self) -> f64 {
        0.5
    }
}

/// A service in memory.
trait Remote: Send + 'static {
    fn answer(&mut self, request: &HttpRequest, now: Timestamp) -> (u16, Json);
}

struct Wire<R>(Arc<Mutex<R>>, Arc<TestClock>);

impl<R: Remote> Transport for Wire<R> {
    fn send(&self, request: HttpRequest, _: Duration, _: usize) -> BoxFuture<'_, Result<HttpAnswer, TransportError>> {
        Box::pin(async move {
            let (status, body) = self.0.lock().unwrap().answer(&request, self.1.now());
            if status == 0 {
                return Err(TransportError::NoAnswer("cut off".to_owned()));
            }
            let body = if body.is_null() { String::new() } else { body.to_string() };
            Ok(HttpAnswer { status, headers: Vec::new(), body: body.into() })
        })
    }
}

/// A daemon over a service in memory.
struct Bench<R> {
    clock: Arc<TestClock>,
    remote: Arc<Mutex<R>>,
    store: Arc<dyn Store>,
    folder: tempfile::TempDir,
    service: Option<Service>,
}

impl<R: Remote> Bench<R> {
    async fn start(remote: R, live: Live) -> Self {
        let clock = TestClock::new(1_795_000_000);
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let mut bench = Self { clock, remote: Arc::new(Mutex::new(remote)), store, folder, service: None };
        bench.launch(live).await;
        bench
    }

    async fn launch(&mut self, live: Live) {
        let options = ServiceOptions {
            server_listen: "127.0.0.1:0".to_owned(),
            admin_listen: "127.0.0.1:0".to_owned(),
            public_url: Some("https://hooks.example.org".to_owned()),
            drain: Duration::ZERO,
            ..ServiceOptions::new(self.folder.path().to_owned())
        };
        let transport = Arc::new(Wire(Arc::clone(&self.remote), Arc::clone(&self.clock)));
        let world = World { clock: Arc::clone(&self.clock) as _, transport, random: Arc::new(Half), services: None };
        self.service = Some(Service::start_with_store(options, live, world, Arc::clone(&self.store)).await.unwrap());
    }

    async fn stop(&mut self) {
        if let Some(service) = self.service.take() {
            service.stop().await;
        }
    }

    /// Lets time pass until something is so. Time goes on when nothing has happened for a moment.
    async fn until(&self, what: &str, mut holds: impl FnMut(&R) -> bool) {
        for round in 0..6_000 {
            if holds(&self.remote.lock().unwrap()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
            if round % 4 == 3 {
                self.clock.next();
            }
        }
        panic!("never happened: {what}; {:?}", self.runs());
    }

    fn runs(&self) -> Vec<Json> {
        let engine = self.service.as_ref().unwrap().engine();
        let heads = self.store.runs(&flow_runtime::store::RunQuery { limit: 100, ..Default::default() }).unwrap();
        heads.iter().map(|head| engine.run(&head.id, true).unwrap().unwrap()).collect()
    }

    async fn send(&self, source: &str, id: &str, event_type: &str, payload: Json) {
        let incoming = flow_runtime::event::Incoming {
            id: id.to_owned(),
            source: source.to_owned(),
            event_type: Some(event_type.to_owned()),
            occurred_at: None,
            signed_at: None,
            payload: payload.to_string().into(),
            via: flow_runtime::event::Via::Webhook,
            origin: flow_runtime::event::Origin::External,
            depth: 0,
            only_trigger: None,
        };
        self.service.as_ref().unwrap().engine().accept("door", vec![incoming], None).await.unwrap();
    }
}

/// A lock with its cloud.
struct Door {
    state: &'static str,
    reported: i64,
    history: Vec<Json>,
    /// How many commands the cloud accepts and drops.
    drops: usize,
    /// After how many reads a command has reached the lock.
    slow: usize,
    underway: Option<(&'static str, usize)>,
    /// The cloud says no.
    refuses: bool,
    /// Every request: what it was.
    seen: Vec<String>,
    commands: Vec<Json>,
}

impl Door {
    fn new(state: &'static str) -> Self {
        Self {
            state,
            reported: 1_794_000_000,
            history: Vec::new(),
            drops: 0,
            slow: 1,
            underway: None,
            refuses: false,
            seen: Vec::new(),
            commands: Vec::new(),
        }
    }

    fn count(&self, what: &str) -> usize {
        self.seen.iter().filter(|seen| *seen == what).count()
    }
}

impl Remote for Door {
    fn answer(&mut self, request: &HttpRequest, now: Timestamp) -> (u16, Json) {
        assert_eq!(header(request, "x-api-key"), Some("api-key"));
        let path = request.url.strip_prefix("https://locks.example/api/D").unwrap();
        if path == "/cmd" {
            let body: Json = serde_json::from_slice(&request.body).unwrap();
            self.commands.push(body.clone());
            self.seen.push("command".to_owned());
            if self.refuses {
                return (200, json!({ "statusCode": 404, "message": "no such device" }));
            }
            if self.drops > 0 {
                self.drops -= 1;
            } else {
                let state = if body["cmd"] == 82 { "locked" } else { "unlocked" };
                self.underway = Some((state, self.slow));
            }
            return (200, Json::Null);
        }
        if path.starts_with("/history") {
            self.seen.push("history".to_owned());
            return (200, Json::Array(self.history.clone()));
        }
        assert_eq!(path, "");
        self.seen.push("status".to_owned());
        if let Some((state, left)) = self.underway.take() {
            if left == 0 {
                self.state = state;
                self.reported = now.as_second();
            } else {
                self.underway = Some((state, left - 1));
            }
        }
        (200, json!({ "CHSesame2Status": self.state, "timestamp": self.reported, "batteryPercentage": 94, "position": 11 }))
    }
}

fn door(flow: &str) -> Live {
    let compilation = compile("door", "lock", &[("device", "D")], &[LOCK, flow]);
    let mut door = connection(&compilation, "door", &[("api_key", "api-key"), ("secret_key", SECRET_KEY)]);
    door.polls = flow.contains("when door.");
    let connections = BTreeMap::from([("door".to_owned(), Arc::new(door))]);
    Live { flows: compilation.flows().cloned().collect(), connections, ..Live::default() }
}

fn without_polls(mut live: Live) -> Live {
    for connection in live.connections.values_mut() {
        Arc::get_mut(connection).unwrap().polls = false;
    }
    live
}

fn change(record: i64, code: i64, millis: i64, tag: Option<&str>) -> Json {
    match tag {
        Some(tag) => json!({ "recordID": record, "type": code, "timeStamp": millis, "historyTag": tag }),
        None => json!({ "recordID": record, "type": code, "timeStamp": millis }),
    }
}

const LOCK_AGAIN: &str = "when door.unlocked do door.lock(note: \"again, by {by else \"somebody\"}\")\n";

#[tokio::test]
async fn an_accepted_command_is_done_once_the_state_says_so() {
    let mut bench = Bench::start(Door { slow: 2, ..Door::new("unlocked") }, without_polls(door(LOCK_AGAIN))).await;
    bench.send("history", "1", "unlocked", change(1, 8, 1_795_000_000_000, None)).await;
    bench.until("the command is confirmed", |door| door.count("status") == 3).await;
    bench.until("the run ends", |_| bench.runs().iter().all(|run| run["status"] == "done")).await;
    let run = &bench.runs()[0];
    assert_eq!(run["steps"][0]["output"]["state"], "locked", "{run}");
    assert_eq!(run["steps"][0]["attempts"].as_array().unwrap().len(), 1);
    let commands = bench.remote.lock().unwrap().commands.clone();
    assert_eq!(commands.len(), 1);
    assert_eq!(commands[0]["history"], "YWdhaW4sIGJ5IHNvbWVib2R5");
    assert!(!run.to_string().contains(commands[0]["sign"].as_str().unwrap()), "a signature is never stored");
    bench.stop().await;
}

/// The state of last week is no confirmation.
#[tokio::test]
async fn a_command_that_came_to_nothing_is_sent_again_where_it_sets() {
    let mut bench = Bench::start(Door { drops: 1, ..Door::new("locked") }, without_polls(door(LOCK_AGAIN))).await;
    bench.send("history", "1", "unlocked", change(1, 8, 1_795_000_000_000, None)).await;
    bench.until("it is sent again", |door| door.commands.len() == 2).await;
    bench.until("the run ends", |_| bench.runs().iter().all(|run| run["status"] == "done")).await;
    let run = &bench.runs()[0];
    let first = run["steps"][0]["attempts"][0]["error"].as_str().unwrap();
    assert!(first.contains("not confirmed within 15 seconds"), "{first}");
    assert_eq!(bench.remote.lock().unwrap().count("status"), 5 + 2);
    bench.stop().await;
}

#[tokio::test]
async fn an_unlock_that_is_not_confirmed_is_a_matter_for_a_person() {
    let flow = "when door.locked fresh within 30 seconds do door.unlock\n";
    let mut bench = Bench::start(Door { drops: 9, ..Door::new("locked") }, without_polls(door(flow))).await;
    bench.send("history", "1", "locked", change(1, 7, 1_795_000_000_000, None)).await;
    bench.until("the run ends", |_| bench.runs().iter().any(|run| run["status"] == "dead")).await;
    let run = &bench.runs()[0];
    assert!(run.to_string().contains("the outcome is unknown"), "{run}");
    assert_eq!(bench.remote.lock().unwrap().commands.len(), 1, "an unlock is never repeated");
    bench.stop().await;
}

#[tokio::test]
async fn a_restart_between_command_and_confirmation() {
    for (flow, event, commands, end) in
        [(LOCK_AGAIN, "unlocked", 2, "done"), ("when door.locked fresh within 30 seconds do door.unlock\n", "locked", 1, "dead")]
    {
        let mut bench = Bench::start(Door { slow: 99, ..Door::new("moved") }, without_polls(door(flow))).await;
        let code = if event == "locked" { 7 } else { 8 };
        bench.send("history", "1", event, change(1, code, 1_795_000_000_000, None)).await;
        bench.until("the command is on its way", |door| door.count("status") == 1).await;
        bench.stop().await;
        bench.remote.lock().unwrap().slow = 0;
        bench.launch(without_polls(door(flow))).await;
        bench.until("the run ends", |_| bench.runs().iter().any(|run| run["status"] == end)).await;
        assert_eq!(bench.remote.lock().unwrap().commands.len(), commands, "{event}");
        bench.stop().await;
    }
}

/// What a lock's cloud lists for one act: the request with its tag, and the motor that arrived. The list is asked for when a
/// cheap read says that something has changed.
#[tokio::test]
async fn one_act_of_several_records_fires_once() {
    let flow = "when door.unlocked do door.lock(note: \"by {by else \"?\"} with {code} at {at}\")\n";
    let mut bench = Bench::start(Door { slow: 0, ..Door::new("locked") }, door(flow)).await;
    bench.until("the first look", |door| door.count("history") == 1).await;
    bench.until("quiet reads", |door| door.count("status") >= 6).await;
    // The first look found nothing new, so it was made once more.
    assert_eq!(bench.remote.lock().unwrap().count("history"), 2);
    let now = bench.clock.now().as_millisecond();
    {
        let mut door = bench.remote.lock().unwrap();
        door.history = vec![change(311, 17, now, Some("d2ViYXBp"))];
        (door.state, door.reported) = ("unlocked", now / 1000);
    }
    bench.until("the door is locked again", |door| door.commands.len() == 1).await;
    {
        let mut door = bench.remote.lock().unwrap();
        // The motor's record comes late, and so do those of our own command; a battery report and an odd code lie between.
        door.history.insert(0, change(312, 11, now + 2707, None));
        door.history.insert(0, change(313, 12, now + 3000, None));
        door.history.insert(0, change(314, 16, now + 9000, Some("bG9jaw==")));
        door.history.insert(0, change(315, 10, now + 9900, None));
        door.reported += 1;
    }
    let looks = bench.remote.lock().unwrap().count("history");
    bench.until("the records were read", |door| door.count("history") >= looks + 2).await;
    assert_eq!(bench.remote.lock().unwrap().commands.len(), 1);
    // After a restart as well, and with a list that has lost its oldest record.
    bench.stop().await;
    {
        let mut door = bench.remote.lock().unwrap();
        door.history.retain(|record| record["recordID"] != 311);
        door.reported += 1;
    }
    bench.launch(door(flow)).await;
    let looks = bench.remote.lock().unwrap().count("history");
    bench.until("the records were read again", |door| door.count("history") > looks).await;
    // A new act, in seconds as some answers have it, listed oldest first.
    let now = bench.clock.now().as_second();
    {
        let mut door = bench.remote.lock().unwrap();
        door.history.push(json!({ "recordID": 400, "type": 2, "timeStamp": now as f64, "historyTag": "44OJ44Op44GI44KC44KT", "parameter": null }));
        door.history
            .push(json!({ "recordID": 401, "type": 11, "timeStamp": (now + 2) as f64, "historyTag": null, "parameter": null }));
        (door.state, door.reported) = ("unlocked", now);
    }
    bench.until("the door is locked once more", |door| door.commands.len() == 2).await;
    let notes: Vec<String> =
        bench.runs().iter().map(|run| run["steps"][0]["input"]["note"].as_str().unwrap().to_owned()).collect();
    let mut notes: Vec<&str> = notes.iter().map(|note| note.split(" at ").next().unwrap()).collect();
    notes.sort_unstable();
    assert_eq!(notes, ["by webapi with 17", "by ドラえもん with 2"]);
    // The last record says when it was done.
    let last = Timestamp::from_second(now + 2).unwrap().to_string();
    assert!(
        bench.runs().iter().any(|run| run["steps"][0]["input"]["note"].as_str().unwrap().ends_with(&last)),
        "{:?}",
        bench.runs()
    );
    bench.stop().await;
}

/// What is a success for HTTP and none for the service.
#[tokio::test]
async fn a_command_that_is_refused_is_not_tried_again() {
    let mut bench = Bench::start(Door { refuses: true, ..Door::new("unlocked") }, without_polls(door(LOCK_AGAIN))).await;
    bench.send("history", "1", "unlocked", change(1, 8, 1_795_000_000_000, None)).await;
    bench.until("the run ends", |_| bench.runs().iter().any(|run| run["status"] == "dead")).await;
    assert!(bench.runs()[0].to_string().contains("no such device"), "{:?}", bench.runs());
    let (commands, asked) = {
        let remote = bench.remote.lock().unwrap();
        (remote.commands.len(), remote.count("status"))
    };
    assert_eq!((commands, asked), (1, 0));
    bench.stop().await;
}

/// Tests beside the flows are given such events without knowing of numbers.
#[test]
fn inline_tests_of_a_lock() {
    let test = r#"
test "the door is locked again" {
  given lock.unlocked { by: "app" }
  expect lock.lock once with { note: "again, by app" }
}
"#;
    let flow = LOCK_AGAIN.replace("door.", "lock.");
    let lock = LOCK.replace("quota 1000 per month", "quota 100_000 per month");
    let folder = crate::support::program::project(&[("main.flow", &format!("{lock}\n{flow}{test}"))]);
    let outcome = crate::support::program::flowc(folder.path(), &["test"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
}

// ------------------------------------------------------------------------------------------------ registration

/// A service that hands out webhooks.
#[derive(Default)]
struct Acme {
    /// By id: url, events, secret.
    hooks: BTreeMap<String, (String, BTreeSet<String>, String)>,
    /// By idempotency key.
    known: BTreeMap<String, Json>,
    made: usize,
    posts: usize,
    /// Answers that are lost after the service has acted.
    lost: usize,
    refused: usize,
}

impl Remote for Acme {
    fn answer(&mut self, request: &HttpRequest, _: Timestamp) -> (u16, Json) {
        let path = request.url.strip_prefix("https://shop.acme.example/api/v2").unwrap();
        if let ("DELETE", Some(id)) = (request.method.as_str(), path.strip_prefix("/hooks/")) {
            return if self.hooks.remove(id).is_some() { (200, json!({})) } else { (404, json!({})) };
        }
        if path != "/hooks" {
            return (200, json!({ "data": [], "has_more": false }));
        }
        self.posts += 1;
        if self.refused > 0 {
            self.refused -= 1;
            return (400, json!({ "errors": [{ "message": "not now" }] }));
        }
        let body: Json = serde_json::from_slice(&request.body).unwrap();
        let key = header(request, "idempotency-key").unwrap().to_owned();
        let answer = self.known.get(&key).cloned().unwrap_or_else(|| {
            self.made += 1;
            let (id, secret) = (format!("hook_{}", self.made), format!("secret-{}", self.made));
            let events = body["events"].as_array().unwrap().iter().map(|event| event.as_str().unwrap().to_owned()).collect();
            self.hooks.insert(id.clone(), (body["url"].as_str().unwrap().to_owned(), events, secret.clone()));
            json!({ "data": { "id": id }, "secret": secret })
        });
        self.known.insert(key, answer.clone());
        if self.lost > 0 {
            self.lost -= 1;
            return (0, Json::Null);
        }
        (201, answer)
    }
}

impl Acme {
    fn events(&self) -> Vec<Vec<&str>> {
        self.hooks.values().map(|(_, events, _)| events.iter().map(String::as_str).collect()).collect()
    }
}

fn acme(flow: &str) -> Live {
    let compilation = compile("billing", "acme_billing", &[("org", "shop")], &[ACME, flow]);
    let mut billing = connection(&compilation, "billing", &[("token", "t0ken")]);
    billing.polls = false;
    let connections = BTreeMap::from([("billing".to_owned(), Arc::new(billing))]);
    Live { flows: compilation.flows().cloned().collect(), connections, ..Live::default() }
}

const PAID: &str = "when billing.invoice_paid do billing.send_reminder(invoice: id)\n";
const BOTH: &str = "when billing.invoice_paid or billing.invoice_failed do billing.send_reminder(invoice: id)\n";

fn signed(secret: &str, body: &str, second: i64) -> String {
    use hmac::{KeyInit, Mac};
    let mut mac = <hmac::Hmac<sha2::Sha256> as KeyInit>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{second}.{body}").as_bytes());
    format!("t={second},v1={}", hex::encode(mac.finalize().into_bytes()))
}

fn deliver(bench: &Bench<Acme>, secret: &str, id: &str) -> u16 {
    let body =
        json!({ "id": id, "type": "invoice.paid", "created": 1_795_000_000, "data": { "object": { "id": "in_1" } } }).to_string();
    let header = signed(secret, &body, bench.clock.now().as_second());
    let server = bench.service.as_ref().unwrap().addresses().server.clone();
    let send = move || {
        let headers = [("acme-signature", header.as_str()), ("content-type", "application/json")];
        crate::support::http::send(&server, "POST", "/v1/webhooks/billing", &headers, body.as_bytes()).status
    };
    tokio::task::block_in_place(send)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_is_registered_once_and_follows_the_flows() {
    let mut bench = Bench::start(Acme { lost: 1, refused: 1, ..Acme::default() }, acme(PAID)).await;
    bench.until("it is registered", |acme| acme.posts == 3).await;
    let file = bench.folder.path().join("secrets/billing.events.json");
    let kept = || std::fs::read_to_string(&file).is_ok_and(|text| text.contains("secret-1"));
    bench.until("it is remembered", |_| kept()).await;
    {
        let acme = bench.remote.lock().unwrap();
        // Refused, then made, whose answer was lost, then found again by its key.
        assert_eq!((acme.made, acme.events()), (1, vec![vec!["invoice.paid"]]));
        assert_eq!(acme.hooks["hook_1"].0, "https://hooks.example.org/v1/webhooks/billing");
    }
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(deliver(&bench, "secret-1", "evt_1"), 200);
    assert_eq!(deliver(&bench, "secret-2", "evt_2"), 401);
    // A restart makes nothing.
    bench.stop().await;
    bench.launch(acme(PAID)).await;
    assert_eq!(deliver(&bench, "secret-1", "evt_3"), 200);
    // Other events: another webhook, and the first one is removed. What it sent is still taken.
    bench.service.as_ref().unwrap().swap(acme(BOTH));
    bench.until("it is replaced", |acme| acme.hooks.contains_key("hook_2") && acme.hooks.len() == 1).await;
    let events = ["invoice.failed", "invoice.late", "invoice.paid"];
    assert_eq!(bench.remote.lock().unwrap().events(), vec![events.to_vec()]);
    bench.until("the new secret is known", |_| std::fs::read_to_string(&file).is_ok_and(|text| !text.contains("secret-1"))).await;
    assert_eq!((deliver(&bench, "secret-2", "evt_4"), deliver(&bench, "secret-1", "evt_5")), (200, 200));
    assert_eq!(bench.remote.lock().unwrap().posts, 4);
    bench.stop().await;
}

/// Whoever writes a secret into flow.toml has registered the webhook.
#[tokio::test]
async fn a_webhook_with_a_secret_of_its_own_is_left_alone() {
    let mut live = acme(PAID);
    for connection in live.connections.values_mut() {
        let connection = Arc::get_mut(connection).unwrap();
        connection.secrets.insert("webhook_secret".to_owned(), Secret::new("by hand".to_owned()));
        connection.polls = true;
    }
    let mut bench = Bench::start(Acme::default(), live).await;
    let start = bench.clock.now();
    bench.until("time has passed", |_| bench.clock.now() > start + SignedDuration::from_mins(10)).await;
    assert_eq!(bench.remote.lock().unwrap().posts, 0);
    bench.stop().await;
}

// ------------------------------------------------------------------------------------------------ any sender

/// Nobody is asked.
struct Silent;

impl Remote for Silent {
    fn answer(&mut self, request: &HttpRequest, _: Timestamp) -> (u16, Json) {
        panic!("{} {}", request.method, request.url)
    }
}

const RECEIVED: &str =
    "when courier.received where body.kind is \"arrived\" do { let said = \"{id} {path else \"-\"}\" stop because said }\n";

async fn courier(values: &[(&str, &str)], flow: &str) -> Bench<Silent> {
    let compilation = compile("courier", "http", values, &[flow]);
    let courier = connection(&compilation, "courier", &[("webhook_secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]);
    let connections = BTreeMap::from([("courier".to_owned(), Arc::new(courier))]);
    Bench::start(Silent, Live { flows: compilation.flows().cloned().collect(), connections, ..Live::default() }).await
}

impl Bench<Silent> {
    fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> u16 {
        let server = self.service.as_ref().unwrap().addresses().server.clone();
        tokio::task::block_in_place(|| crate::support::http::send(&server, "POST", path, headers, body.as_bytes()).status)
    }

    fn payloads(&self) -> Vec<Json> {
        let query = flow_runtime::store::EventQuery { limit: 100, ..Default::default() };
        let mut events = self.store.events(&query).unwrap();
        events.sort_by_key(|event| event.seq);
        events.iter().map(|event| serde_json::from_slice(&event.payload).unwrap()).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_that_signs_an_id_and_a_time() {
    let mut bench = courier(&[("verify", "standard_webhooks")], RECEIVED).await;
    let body = r#"{"kind":"arrived","stop":12}"#;
    let send = |id: &str, second: i64, path: &str| {
        use base64::Engine;
        use hmac::{KeyInit, Mac};
        let key = base64::engine::general_purpose::STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let mut mac = <hmac::Hmac<sha2::Sha256> as KeyInit>::new_from_slice(&key).unwrap();
        mac.update(format!("{id}.{second}.{body}").as_bytes());
        let signature = format!("v1,{}", base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes()));
        let second = second.to_string();
        let headers = [("webhook-id", id), ("webhook-timestamp", &second), ("webhook-signature", &signature), ("cookie", "c=1")];
        bench.post(path, &headers, body)
    };
    let now = bench.clock.now().as_second();
    assert_eq!(send("msg_1", now - 20, "/v1/webhooks/courier"), 200);
    assert_eq!(send("msg_1", now - 20, "/v1/webhooks/courier"), 200, "a copy is known");
    assert_eq!(send("msg_2", now - 301, "/v1/webhooks/courier"), 401, "an old one is not taken");
    assert_eq!(send("msg_3", now, "/v1/webhooks/courier/door/2"), 200);
    assert_eq!(bench.post("/v1/webhooks/courier", &[], body), 401);
    bench.until("both end", |_| bench.runs().iter().filter(|run| run["status"] == "stopped").count() == 2).await;
    let payloads = bench.payloads();
    assert_eq!(payloads.len(), 2);
    assert_eq!(payloads[0]["body"]["stop"], 12);
    assert_eq!(payloads[0]["at"], format!("{:.3}", at(now - 20)));
    assert_eq!(payloads[0]["headers"].get("cookie"), None);
    assert_eq!((payloads[1]["id"].as_str(), payloads[1]["path"].as_str()), (Some("msg_3"), Some("door/2")));
    bench.stop().await;
}

/// Sends bodies to the courier with an HMAC, over the second that is given as well where there is one.
fn sent_with_hmac(bench: &Bench<Silent>, second: Option<i64>, path: &str, headers: &[(&str, &str)], body: &str) -> u16 {
    use hmac::{KeyInit, Mac};
    let mut mac = <hmac::Hmac<sha2::Sha256> as KeyInit>::new_from_slice(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let time = second.map(|second| second.to_string());
    mac.update(time.as_ref().map_or_else(|| body.to_owned(), |time| format!("{time}.{body}")).as_bytes());
    let signature = hex::encode(mac.finalize().into_bytes());
    let mut all = vec![("x-signature", &*signature), ("content-type", "application/json")];
    all.extend(time.as_deref().map(|time| ("x-time", time)));
    all.retain(|(name, _)| !headers.iter().any(|(other, _)| other == name));
    all.extend(headers);
    bench.post(path, &all, body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_signature_does_not_cover_makes_no_two_messages_of_one() {
    let values = [("verify", "hmac_sha256"), ("header", "X-Signature"), ("timestamp", "X-Time")];
    let mut bench = courier(&values, RECEIVED).await;
    let now = bench.clock.now().as_second();
    let (body, path) = (r#"{"kind":"arrived","stop":12}"#, "/v1/webhooks/courier");
    assert_eq!(sent_with_hmac(&bench, Some(now), path, &[("idempotency-key", "k1")], body), 200);
    // Whoever has seen it can send it as he likes, and it stays the same one.
    for key in ["k1", "k2", "k3"] {
        assert_eq!(sent_with_hmac(&bench, Some(now), path, &[("idempotency-key", key)], body), 200);
    }
    for path in ["/v1/webhooks/courier", "/v1/webhooks/courier/door/2", "/v1/webhooks/courier?a=1"] {
        assert_eq!(sent_with_hmac(&bench, Some(now), path, &[], body), 200);
    }
    assert_eq!(sent_with_hmac(&bench, Some(now), path, &[("content-type", "text/plain")], body), 200);
    assert_eq!(bench.payloads().len(), 1);
    // Nor does a key that somebody was quicker to use keep another message out.
    assert_eq!(sent_with_hmac(&bench, Some(now), path, &[("idempotency-key", "k1")], r#"{"kind":"arrived","stop":13}"#), 200);
    assert_eq!(sent_with_hmac(&bench, Some(now - 1), path, &[("idempotency-key", "k1")], body), 200);
    assert_eq!(bench.payloads().len(), 3);
    assert_eq!(sent_with_hmac(&bench, Some(now), path, &[("x-time", "1")], body), 401);
    bench.stop().await;
}

/// Without a time copies cannot be told from messages: `Idempotency-Key` tells a sender's second try, and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_not_signed_keeps_no_other_message_out() {
    let mut bench = courier(&[("verify", "hmac_sha256"), ("header", "X-Signature")], RECEIVED).await;
    let (body, key, path) = (r#"{"kind":"arrived"}"#, [("idempotency-key", "k1")], "/v1/webhooks/courier");
    for _ in 0..2 {
        assert_eq!(sent_with_hmac(&bench, None, path, &key, body), 200);
    }
    assert_eq!(bench.payloads().len(), 1, "a second try");
    assert_eq!(sent_with_hmac(&bench, None, path, &key, r#"{"kind":"arrived","stop":1}"#), 200);
    assert_eq!(sent_with_hmac(&bench, None, "/v1/webhooks/courier/door", &key, body), 200);
    assert_eq!(sent_with_hmac(&bench, None, "/v1/webhooks/courier?a=1", &key, body), 200);
    assert_eq!(bench.payloads().len(), 4);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_that_repeats_a_secret() {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let mut bench = courier(&[("verify", "token"), ("query", "key")], RECEIVED).await;
    let path = format!("/v1/webhooks/courier?key={secret}&a=1&a=2");
    assert_eq!(bench.post(&path, &[("content-type", "application/x-www-form-urlencoded")], "kind=arrived&note=a+b"), 200);
    assert_eq!(bench.post("/v1/webhooks/courier?key=wrong", &[], "{}"), 401);
    assert_eq!(bench.post("/v1/webhooks/courier", &[("authorization", secret)], "{}"), 401);
    assert_eq!(bench.post(&path, &[("content-type", "image/png")], "{}"), 415);
    assert_eq!(bench.post(&path, &[("idempotency-key", "k1"), ("content-type", "text/plain")], "hello"), 200);
    let payloads = bench.payloads();
    assert_eq!(payloads[0]["body"], json!({ "kind": "arrived", "note": "a b" }));
    assert_eq!(payloads[0]["query"], json!({ "a": ["1", "2"] }));
    assert_eq!((&payloads[1]["body"], &payloads[1]["id"]), (&json!("hello"), &json!("k1")));
    assert!(!payloads.iter().any(|payload| payload.to_string().contains(secret)), "the token is not stored");
    bench.stop().await;
    let mut bench = courier(&[("verify", "token")], RECEIVED).await;
    assert_eq!(bench.post("/v1/webhooks/courier", &[("authorization", &format!("Bearer {secret}"))], "{}"), 200);
    assert_eq!(bench.payloads()[0]["headers"].get("authorization"), None);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_vouches_where_flow_toml_and_the_flow_say_so() {
    let flow = RECEIVED.replace(" do {", " unverified do {");
    let mut bench = courier(&[("verify", "none")], &flow).await;
    assert_eq!(bench.post("/v1/webhooks/courier", &[], r#"{"kind":"arrived"}"#), 200);
    bench.until("it runs", |_| bench.runs().iter().any(|run| run["status"] == "stopped")).await;
    bench.stop().await;
}
