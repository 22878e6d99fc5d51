//! A daemon within this process, over real sockets: a store in memory, a clock that stands still, services that say yes.
//!
//! It is begun anew after [`LIFE`] inputs, so that what is kept of them stays bounded and a finding needs few of them.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use bytes::Bytes;
use flow_runtime::live::{Live, LiveConnection};
use flow_runtime::secret::Secret;
use flow_runtime::service::{Service, ServiceOptions, StartError};
use flow_runtime::store::{MemoryStore, RunQuery, Store};
use flow_runtime::world::{BoxFuture, Clock, HttpAnswer, HttpRequest, Random, Transport, TransportError, World};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What Stripe's webhooks are signed with.
pub(crate) const STRIPE: &str = "whsec_0f1e2d3c4b5a69788796a5b4c3d2e1f0";
/// What the others are signed with: base64 behind a prefix, as Standard Webhooks have it.
pub(crate) const STANDARD: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
/// The token of those that repeat one, and what a seal is made with.
pub(crate) const KEY: &str = "key_9081726354aabbcc";
/// The token of the admin API.
pub(crate) const TOKEN: &str = "token_5f3c9d0e7b1a4628";
/// The instant at which everything happens.
pub(crate) const NOW: i64 = 1_795_262_400;
/// How many inputs one daemon gets.
const LIFE: u32 = 1_000;
/// How long one input may take. Far more than it takes: what is beyond hangs.
const PATIENCE: Duration = Duration::from_secs(150);
/// How long an answer to what is perhaps not whole is waited for. Where it comes later it is not looked at.
const A_WHILE: Duration = Duration::from_millis(3);

const CONNECTOR: &str = r#"
connector bell "Bell" {
  secret signing
  secret token
  base "https://bell.example"
  record Ring { id: text @key
    kind: calm | urgent | other
    who: text? @personal
    price: money? minor from (price.amount, price.currency)
    at: datetime? iso
    tags: list<text>
    n: int? }
  source hook { webhook verify standard_webhooks(secret: signing) type "type" id "id" at "data.at" iso object "data" }
  source told { webhook verify token(header: "X-Bell-Token", secret: token) type "type" id "id" object "data" }
  source seal {
    webhook verify hmac_sha256(header: "X-Seal", secret: token, encoding: "base64", prefix: "v0=", timestamp: "X-Seal-At",
      signed: "v0:{timestamp}:{body}")
    type "type"
    id "id"
    object "data"
  }
  trigger rang: Ring from hook "rang"
  trigger told: Ring from told "told"
  trigger sealed: Ring from seal "sealed"
  action note(text: text @accepts_personal) { POST "/notes" json { text } effect set }
}
"#;

const FLOWS: &str = r#"
flow big
  when stripe.charge_failed
  where amount > 100 USD and customer is present
  at most 3 per customer per hour
  do bell.note(text: "{id} {amount} {customer_email else customer_name else customer}")

flow urgent
  when bell.rang
  where kind is "urgent" and (n is missing or n > 3) or any(tags, it is "now")
  one at a time per id
  do bell.note(text: "{id} {who else "nobody"} {price else "free"} {at else now} {lower(join(tags, ", "))}")

flow sealed
  when bell.sealed
  where who is missing
  at most 2 per id per hour
  do bell.note(text: "{id} {count(tags)}")

flow knocked
  when door.knocked
  where path is present
  do bell.note(text: "{path} {id}")

flow told
  when bell.told
  once per id
  do {
    wait 1 hour
    bell.note(text: "{id}")
  }
"#;

/// A door at which anything may knock that has the token.
const DOOR: &str = r#"
connector door "Door" {
  secret token
  base "https://door.example"
  record Knock { id: text @key
    at: datetime iso
    path: text?
    headers: map<text>
    query: json
    body: json }
  source any { webhook whole verify token(header: "X-Door-Token", secret: token) id "id" at "at" iso }
  trigger knocked: Knock from any
}
"#;

static DAEMON: Mutex<Option<Daemon>> = Mutex::new(None);

/// A running daemon.
pub(crate) struct Daemon {
    runtime: tokio::runtime::Runtime,
    pub(crate) service: Service,
    /// A run that there is.
    pub(crate) run: String,
    left: u32,
}

/// Does something with the daemon of this process. A panic leaves none behind.
pub(crate) fn with(act: impl FnOnce(&mut Daemon)) {
    let mut place = DAEMON.lock().unwrap_or_else(PoisonError::into_inner);
    let mut daemon = place.take().filter(|daemon| daemon.left > 0).unwrap_or_else(Daemon::start);
    daemon.left -= 1;
    act(&mut daemon);
    *place = Some(daemon);
}

struct Standing;

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(NOW).unwrap_or_default()
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'_, ()> {
        if at <= self.now() { Box::pin(std::future::ready(())) } else { Box::pin(std::future::pending()) }
    }

    fn can_jump(&self) -> bool {
        false
    }
}

struct Even;

impl Random for Even {
    fn fraction(&self) -> f64 {
        0.5
    }
}

struct Agrees;

impl Transport for Agrees {
    fn send(&self, _: HttpRequest, _: Duration, _: usize) -> BoxFuture<'_, Result<HttpAnswer, TransportError>> {
        let body = Bytes::from_static(br#"{"data":{"id":"5f0c1d2e3a4b5c6d7e8f9a0b","type":"conversation","attributes":{}}}"#);
        Box::pin(std::future::ready(Ok(HttpAnswer { status: 200, headers: Vec::new(), body })))
    }
}

/// What the daemons run, compiled once.
static LIVE: LazyLock<Live> = LazyLock::new(compiled);

fn live() -> Live {
    Live { flows: LIVE.flows.clone(), connections: LIVE.connections.clone(), ..Live::default() }
}

fn compiled() -> Live {
    let mut compiler = flow_compiler::compile::Compiler::new(flow_compiler::settings::Settings::default());
    compiler.set("bell.flow", CONNECTOR);
    compiler.set("door.flow", DOOR);
    compiler.set("main.flow", FLOWS);
    let compilation = compiler.compile();
    let wrong: Vec<_> = compilation.errors().collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    let flows: Vec<_> = compilation.units.values().flat_map(|unit| unit.flows.iter().cloned()).collect();
    assert_eq!(flows.len(), 5);
    let secret = |name: &str| match name {
        "webhook_secret" => STRIPE,
        "signing" => STANDARD,
        _ => KEY,
    };
    let connections = compilation.connections.into_iter().map(|(name, plan)| {
        let secrets: BTreeMap<_, _> =
            plan.secrets.iter().map(|one| (one.name.clone(), Secret::new(secret(&one.name).to_owned()))).collect();
        (name, Arc::new(LiveConnection { secrets, ..LiveConnection::bare(plan) }))
    });
    Live { flows, connections: connections.collect(), ..Live::default() }
}

impl Daemon {
    /// Starts one with some events and runs.
    fn start() -> Self {
        let store = Arc::new(MemoryStore::new().expect("a store"));
        let mut daemon = Self::over(store).expect("it starts");
        daemon.some("s");
        daemon
    }

    /// Starts one over a store.
    pub(crate) fn over(store: Arc<dyn Store>) -> Result<Self, StartError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let folder = tempfile::tempdir().expect("a folder");
        let mut options = ServiceOptions {
            server_listen: "127.0.0.1:0".to_owned(),
            admin_listen: "127.0.0.1:0".to_owned(),
            admin_token: Some(Secret::new(TOKEN.to_owned())),
            drain: Duration::ZERO,
            ..ServiceOptions::new(folder.path().to_owned())
        };
        options.engine.flood = 0;
        let world = World { clock: Arc::new(Standing), transport: Arc::new(Agrees), random: Arc::new(Even), services: None };
        let service = runtime.block_on(Service::start_with_store(options, live(), world, store))?;
        // It needs its folder for the way in alone.
        drop(folder);
        Ok(Self { runtime, service, run: String::new(), left: LIFE })
    }

    /// Takes in some events, and lets them come to rest.
    pub(crate) fn some(&mut self, named: &str) {
        assert!(self.send(named).iter().all(|status| *status == 200));
        self.settled();
        let runs = self.service.engine().runs(&RunQuery { limit: 1, ..RunQuery::default() }).expect("runs");
        self.run = runs.first().expect("a run").id.clone();
    }

    /// Sends some events of each kind. Returns how each was answered.
    pub(crate) fn send(&self, named: &str) -> Vec<u16> {
        let mut requests = Vec::new();
        for at in 0..3 {
            let body = format!(
                r#"{{"id":"evt_{named}{at}","object":"event","api_version":"2026-10-28.endive","created":{NOW},"livemode":false,"type":"charge.failed","data":{{"object":{{"id":"ch_{at}","object":"charge","amount":20000,"currency":"usd","created":{NOW},"customer":"cus_1","billing_details":{{}},"metadata":{{}},"livemode":false,"status":"failed"}}}}}}"#
            );
            requests.push(signed("stripe", &by_stripe(body.as_bytes()), body.as_bytes()));
            let ring =
                format!(r#"{{"type":"rang","id":"{named}{at}","data":{{"id":"r1","kind":"urgent","tags":["now"],"n":{at}}}}}"#);
            requests.push(signed("bell/hook", &by_standard(&format!("msg_{named}{at}"), ring.as_bytes()), ring.as_bytes()));
        }
        let told = format!(r#"{{"type":"told","id":"t_{named}","data":{{"id":"{named}","kind":"calm","tags":[]}}}}"#);
        requests.push(signed("bell/told", &format!("X-Bell-Token: {KEY}"), told.as_bytes()));
        requests.iter().flat_map(|request| self.to_server(request, true)).map(|reply| reply.status).collect()
    }

    /// Gives what goes on a moment; what was damaged may never come to its end.
    pub(crate) fn rests(&self) {
        self.runtime.block_on(async {
            let _ = tokio::time::timeout(A_WHILE * 10, self.service.engine().settled()).await;
        });
    }

    /// Sends bytes over a new connection to the webhooks, and reads all that comes back. What is whole ends the connection
    /// by itself.
    pub(crate) fn to_server(&self, bytes: &[u8], is_whole: bool) -> Vec<Reply> {
        self.exchange(&self.service.addresses().server, bytes, is_whole)
    }

    /// The same for the admin API.
    pub(crate) fn to_admin(&self, bytes: &[u8], is_whole: bool) -> Vec<Reply> {
        self.exchange(&self.service.addresses().admin, bytes, is_whole)
    }

    /// Waits until everything that can happen now has happened.
    pub(crate) fn settled(&self) {
        self.runtime.block_on(async {
            tokio::time::timeout(PATIENCE, self.service.engine().settled()).await.expect("it comes to rest");
        });
    }

    fn exchange(&self, address: &str, bytes: &[u8], is_whole: bool) -> Vec<Reply> {
        let host = address.strip_prefix("http://").unwrap_or(address);
        let all = self.runtime.block_on(async {
            let talk = async {
                let mut stream = TcpStream::connect(host).await.expect("it listens");
                let (mut from, mut to) = stream.split();
                let (mut all, mut part) = (Vec::new(), [0; 4096]);
                // It may refuse, and close, before all is written; a refusal in the middle ends in a reset.
                let send = to.write_all(bytes);
                let receive = async {
                    while let Ok(count @ 1..) = from.read(&mut part).await {
                        all.extend_from_slice(&part[..count]);
                    }
                };
                tokio::pin!(receive);
                tokio::select! {
                    () = &mut receive => {}
                    _ = send => {
                        // What is whole asks for the end of the connection; of anything else more could come.
                        if is_whole {
                            receive.await;
                        } else if tokio::time::timeout(A_WHILE, &mut receive).await.is_err() {
                            let _ = to.shutdown().await;
                            receive.await;
                        }
                    }
                }
                all
            };
            tokio::time::timeout(PATIENCE, talk).await.expect("an answer in time")
        });
        replies(&all)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.runtime.block_on(self.service.stop());
    }
}

/// The header with which Stripe signs a body.
pub(crate) fn by_stripe(body: &[u8]) -> String {
    let mac = mac(STRIPE.as_bytes(), &[NOW.to_string().as_bytes(), b".", body]);
    let hex: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("Stripe-Signature: t={NOW},v1={hex}")
}

/// The headers with which a sender of Standard Webhooks signs a body.
pub(crate) fn by_standard(id: &str, body: &[u8]) -> String {
    let base64 = base64::engine::general_purpose::STANDARD;
    let key = base64.decode(STANDARD.trim_start_matches("whsec_")).expect("our own key");
    let mac = mac(&key, &[id.as_bytes(), b".", NOW.to_string().as_bytes(), b".", body]);
    let mac = base64.encode(mac);
    format!("Webhook-Id: {id}\r\nWebhook-Timestamp: {NOW}\r\nWebhook-Signature: v1,{mac}")
}

/// The headers of a seal.
pub(crate) fn by_seal(body: &[u8]) -> String {
    let mac = mac(KEY.as_bytes(), &[b"v0:", NOW.to_string().as_bytes(), b":", body]);
    format!("X-Seal-At: {NOW}\r\nX-Seal: v0={}", base64::engine::general_purpose::STANDARD.encode(mac))
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

/// A delivery with these headers.
pub(crate) fn signed(place: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST /v1/webhooks/{place} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// The body as JSON, where it is.
    pub(crate) fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// Panics where it is an internal error, or a refusal that does not say why. The answer to a HEAD has no body to say it in.
    pub(crate) fn sensible(&self) {
        assert!(self.status < 500 || matches!(self.status, 501 | 503 | 505), "{self:?}");
        if self.status >= 400 && !self.body.is_empty() {
            let json = self.json().unwrap_or_else(|| panic!("{self:?}"));
            assert!(json["error"]["code"].is_string() && json["error"]["message"].is_string(), "{self:?}");
        }
    }
}

/// Reads answers as a client does, and panics where they cannot be told apart.
fn replies(mut bytes: &[u8]) -> Vec<Reply> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return found };
        let head = std::str::from_utf8(&bytes[..end]).expect("a head is text");
        let status = head.split(' ').nth(1).and_then(|text| text.parse().ok()).expect("a status");
        bytes = &bytes[end + 4..];
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().expect("a length"))
        });
        // A HEAD's answer says the length of what it leaves out; it is the last one then, or another head follows.
        let length = if bytes.starts_with(b"HTTP/1.") || status == 100 { 0 } else { length.unwrap_or(0).min(bytes.len()) };
        let (body, rest) = bytes.split_at(length);
        found.push(Reply { status, body: body.to_vec() });
        bytes = rest;
    }
    found
}
