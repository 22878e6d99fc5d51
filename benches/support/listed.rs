//! Services that are polled: a list of events, a door that tells how it is, a feed. Most of the time there is nothing new; each
//! tenth poll of a connection finds an item.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// Each so many polls of a connection there is something new.
const NEW_EACH: usize = 10;
/// Where the service of the doors has its devices.
const DOORS: &str = "/api/sesame2/";

/// How a connection is polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A list of events of one service, with a key for each connection.
    Stripe,
    /// A status that tells whether the history has anything new, one device for each connection, and a quota that is counted.
    Sesame,
    /// A feed for each flow, each at an address of its own.
    Feeds,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Stripe, Self::Sesame, Self::Feeds];

    /// Returns its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::Sesame => "sesame",
            Self::Feeds => "feeds",
        }
    }

    /// Returns a flow for each connection, which makes a customer of each item.
    pub(crate) fn flows(self, connections: usize, port: u16) -> String {
        let mut text = String::from(
            "connector mirror \"Mirror\" {\n  base \"https://mirror.example\"\n  record Made { id: text @key }\n  action make(name: text) -> Made {\n    POST \"/v1/customers\" json { name }\n    effect keyed header \"Idempotency-Key\" for 24 hours\n  }\n}\n",
        );
        for number in 0..connections {
            let (starts, name) = match self {
                Self::Stripe => (format!("account_{number}.charge_failed"), "{id}"),
                Self::Sesame => (format!("door_{number}.unlocked"), "{at}"),
                Self::Feeds => {
                    (format!("rss.new_item(url: \"{}/feed/{number}\", `every`: 1 minute)", own(number, port)), "{guid}")
                }
            };
            writeln!(text, "when {starts} do mirror.make(name: \"{number} {name}\")").expect("a text takes all");
        }
        text
    }

    /// Returns the configuration of the connections.
    pub(crate) fn toml(self, connections: usize, port: u16) -> String {
        let mut text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[run]\nflood = 0\n[http]\nallow = [\"127.0.0.0/8\"]\n[connections.mirror]\nbase_url = \"http://127.0.0.1:{port}\"\n"
        );
        let each = |number: usize| match self {
            Self::Stripe => format!("[connections.account_{number}]\nconnector = \"stripe\"\nkey = \"sk_test_{number}\"\n"),
            Self::Sesame => format!(
                "[connections.door_{number}]\nconnector = \"sesame\"\napi_key = \"key-{number}\"\ndevice = \"{number}\"\nmonthly_quota = 100_000\n"
            ),
            Self::Feeds => String::new(),
        };
        for connection in (0..connections).map(each).filter(|text| !text.is_empty()) {
            writeln!(text, "{connection}poll = \"1 minute\"\nbase_url = \"http://127.0.0.1:{port}\"").expect("a text takes all");
        }
        text
    }

    /// Tells whether a request is a poll, and of which connection.
    fn polled(self, path: &str, key: &str) -> Option<usize> {
        match self {
            Self::Stripe => key.strip_prefix("Bearer sk_test_").filter(|_| path == "/v1/events"),
            Self::Sesame => path.strip_prefix(DOORS).filter(|rest| !rest.contains('/')),
            Self::Feeds => path.strip_prefix("/feed/"),
        }?
        .parse()
        .ok()
    }
}

/// An address for each feed: feeds are on machines of their own.
fn own(number: usize, port: u16) -> String {
    format!("http://127.1.{}.{}:{port}", number / 250, number % 250 + 1)
}

/// A service that is polled, and takes what is made of its items.
pub(crate) struct Service {
    /// Where it is, on all addresses of this machine.
    pub(crate) port: u16,
    state: Arc<State>,
}

struct State {
    kind: Kind,
    polls: Mutex<Vec<(usize, Instant)>>,
    connections: Mutex<Vec<Connection>>,
    items: AtomicU64,
    made: AtomicU64,
}

/// What is there for one connection.
#[derive(Debug, Clone, Copy, Default)]
struct Connection {
    polls: usize,
    /// When its newest item came, in milliseconds, and its number.
    newest: i64,
    number: usize,
}

impl Service {
    /// Starts it.
    pub(crate) async fn start(kind: Kind, connections: usize) -> Self {
        let listener = TcpListener::bind("0.0.0.0:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(State {
            kind,
            polls: Mutex::default(),
            // They are not all new at once.
            connections: Mutex::new(
                (0..connections).map(|number| Connection { polls: number % NEW_EACH, ..Connection::default() }).collect(),
            ),
            items: AtomicU64::new(0),
            made: AtomicU64::new(0),
        });
        let serving = Arc::clone(&state);
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                drop(stream.set_nodelay(true));
                let state = Arc::clone(&serving);
                tokio::spawn(async move {
                    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                        let state = Arc::clone(&state);
                        async move {
                            let (head, body) = request.into_parts();
                            body.collect().await?;
                            let key = head.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or("");
                            let text = state.answer(head.uri.path(), key);
                            let form = if text.starts_with('<') { "application/rss+xml" } else { "application/json" };
                            let mut answer = Response::new(Full::new(Bytes::from(text)));
                            answer.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static(form));
                            Ok::<_, hyper::Error>(answer)
                        }
                    });
                    drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        Self { port, state }
    }

    /// Returns the polls so far: of which connection, and when.
    pub(crate) fn polls(&self) -> Vec<(usize, Instant)> {
        self.state.polls.lock().expect("no panic before").clone()
    }

    /// Returns how many polls came in each second of so many minutes.
    pub(crate) fn seconds(&self, first: Instant, minutes: u64) -> Vec<usize> {
        let mut seconds = vec![0; usize::try_from(minutes * 60).expect("few")];
        for (_, at) in self.polls() {
            let second = at.checked_duration_since(first).map(|since| since.as_secs());
            if let Some(count) = second.and_then(|second| seconds.get_mut(usize::try_from(second).ok()?)) {
                *count += 1;
            }
        }
        seconds
    }

    /// Returns how many items were listed that flows have to see.
    pub(crate) fn items(&self) -> u64 {
        self.state.items.load(Ordering::SeqCst)
    }

    /// Returns how many customers were made of them.
    pub(crate) fn made(&self) -> u64 {
        self.state.made.load(Ordering::SeqCst)
    }
}

/// Returns the greatest.
pub(crate) fn most(counts: &[usize]) -> usize {
    counts.iter().max().copied().unwrap_or_default()
}

impl State {
    fn answer(&self, path: &str, key: &str) -> String {
        if path == "/v1/customers" {
            let number = self.made.fetch_add(1, Ordering::SeqCst);
            return format!(r#"{{"id":"cus_{number}","object":"customer","created":1795000000,"livemode":false}}"#);
        }
        let now = jiff::Timestamp::now().as_millisecond();
        let polled = self.kind.polled(path, key);
        let history = || path.strip_prefix(DOORS)?.strip_suffix("/history")?.parse().ok();
        let Some(number) = polled.or_else(history) else { return r#"{"message":"nothing of this name"}"#.to_owned() };
        let mut connections = self.connections.lock().expect("no panic before");
        let connection = &mut connections[number];
        if polled.is_some() {
            self.polls.lock().expect("no panic before").push((number, Instant::now()));
            connection.polls += 1;
            // What is there at the first poll is old.
            if connection.polls.is_multiple_of(NEW_EACH) && connection.polls > number % NEW_EACH + 1 {
                connection.newest = now;
                connection.number += 1;
                self.items.fetch_add(1, Ordering::SeqCst);
            }
        }
        let newest = *connection;
        drop(connections);
        match self.kind {
            Kind::Stripe => events(number, newest),
            Kind::Sesame if polled.is_some() => format!(
                r#"{{"batteryPercentage":94,"batteryVoltage":5.87,"position":11,"CHSesame2Status":"locked","timestamp":{},"wm2State":true}}"#,
                newest.newest / 1000 + 1
            ),
            Kind::Sesame => history_of(newest),
            Kind::Feeds => feed(number, newest),
        }
    }
}

/// A list with the newest event, or with none.
fn events(account: usize, newest: Connection) -> String {
    // The list is asked from a minute before what was read last; the newest event is in it for a while.
    let recent = jiff::Timestamp::now().as_millisecond() - newest.newest < 150_000;
    let data = if recent {
        format!(
            r#"{{"id":"evt_{account}_{number}","object":"event","api_version":"2026-10-28.endive","created":{created},"data":{{"object":{{"id":"ch_{account}_{number}","object":"charge","amount":25000,"amount_captured":0,"amount_refunded":0,"billing_details":{{"address":{{"city":null,"country":"FR","line1":null,"line2":null,"postal_code":"75001","state":null}},"email":"buyer@example.com","name":"A Buyer","phone":null}},"captured":false,"created":{created},"currency":"usd","customer":"cus_{account}","description":null,"disputed":false,"failure_code":"card_declined","failure_message":"Your card was declined.","livemode":false,"metadata":{{}},"paid":false,"payment_intent":"pi_{account}","receipt_email":null,"refunded":false,"status":"failed"}}}},"livemode":false,"pending_webhooks":1,"request":{{"id":null,"idempotency_key":null}},"type":"charge.failed"}}"#,
            number = newest.number,
            created = newest.newest / 1000,
        )
    } else {
        String::new()
    };
    format!(r#"{{"object":"list","data":[{data}],"has_more":false,"url":"/v1/events"}}"#)
}

/// The lines of a door, the newest first.
fn history_of(newest: Connection) -> String {
    let line = |number: usize| {
        // Lines before the newest are older by some minutes each.
        let at = newest.newest - i64::try_from(newest.number - number).expect("few") * 600_000;
        format!(r#"{{"type":{},"timeStamp":{at},"historyTag":"QSBwaG9uZQ==","recordID":{number},"parameter":null}}"#, 2)
    };
    let lines: Vec<String> = (1..=newest.number).rev().take(50).map(line).collect();
    format!("[{}]", lines.join(","))
}

/// A feed of ten items and those that came since.
fn feed(number: usize, newest: Connection) -> String {
    let item = |at: usize| {
        format!(
            "<item><title>Item {at}</title><link>https://news.example/{number}/{at}</link><guid>{number}-{at}</guid><description>What happened, in a sentence or two that say what it was about.</description></item>"
        )
    };
    let items: String = (0..newest.number + 10).rev().take(10).map(item).collect();
    format!(
        "<?xml version=\"1.0\"?><rss version=\"2.0\"><channel><title>News {number}</title><link>https://news.example/{number}</link><description>News</description>{items}</channel></rss>"
    )
}
