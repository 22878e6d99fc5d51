//! When a webhook is registered, tried again, let go and complained about, by a clock that the test moves.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use flow_plan::{Body, Encoding, Env, Expr, PathPart, Register, Registered, Request as Asked};
use flow_runtime::live::{Live, LiveConnection};
use flow_runtime::service::{Service, ServiceOptions};
use flow_runtime::transport::ReqwestTransport;
use flow_runtime::world::{Random, World};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use jiff::SignedDuration;
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;

use crate::poll::TestClock;
use crate::support::{PATIENCE, acme, flow, live, options, path, request, send};

/// A service that keeps webhooks, or refuses to.
#[derive(Default)]
struct Hooks {
    made: Vec<Json>,
    count: usize,
    /// Requests that begin so are answered with this instead.
    refuses: Option<(&'static str, u16, &'static str)>,
    /// Method and path of each request, and its key.
    asked: Vec<(String, String)>,
}

impl Hooks {
    fn answer(&mut self, line: &str, key: &str, body: &Json) -> (u16, Json) {
        self.asked.push((line.to_owned(), key.to_owned()));
        if let Some((_, status, message)) = self.refuses.filter(|(begins, ..)| line.starts_with(begins)) {
            return (status, json!({ "error": { "message": message } }));
        }
        let id = line.rsplit('/').next().unwrap_or_default().to_owned();
        match line.split(' ').next().unwrap() {
            "GET" => (200, json!({ "data": self.made })),
            "DELETE" => {
                self.made.retain(|hook| hook["id"] != *id);
                (200, json!({}))
            }
            _ if line == "POST /hooks" => {
                self.count += 1;
                let mut hook = body.clone();
                hook["id"] = json!(format!("we_{}", self.count));
                self.made.push(hook.clone());
                hook["secret"] = json!("whsec_made_0123456789");
                (200, hook)
            }
            _ => {
                let hook = self.made.iter_mut().find(|hook| hook["id"] == *id).unwrap();
                hook["events"] = body["events"].clone();
                (200, hook.clone())
            }
        }
    }
}

async fn serve(hooks: Arc<Mutex<Hooks>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let hooks = Arc::clone(&hooks);
            let service = service_fn(move |request: Request<Incoming>| {
                let hooks = Arc::clone(&hooks);
                async move {
                    let line = format!("{} {}", request.method(), request.uri().path());
                    let key = request.headers().get("idempotency-key").map(|key| key.to_str().unwrap().to_owned());
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    let body = serde_json::from_slice(&body).unwrap_or_default();
                    let (status, body) = hooks.lock().unwrap().answer(&line, &key.unwrap_or_default(), &body);
                    let answer = Response::builder().status(status).body(Full::new(Bytes::from(body.to_string())));
                    Ok::<_, Infallible>(answer.unwrap())
                }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

fn register() -> Register {
    let one = || vec![PathPart::Literal("/hooks/".to_owned()), PathPart::Value(Expr::Input(0))];
    let all = || vec![PathPart::Literal("/hooks".to_owned())];
    let what = [("url", Env::PublicUrl), ("events", Env::LiveTypes), ("mark", Env::Instance)];
    let what = what.map(|(name, env)| (name.to_owned(), Expr::Env(env))).to_vec();
    let sends = |path| Asked {
        headers: vec![("Idempotency-Key".to_owned(), Expr::Env(Env::RunKey))],
        body: Some(Body { encoding: Encoding::Json, value: Expr::Record(what.clone()), nulls: None }),
        ..request("POST", path)
    };
    Register {
        request: sends(all()),
        secret_at: Some(path("secret")),
        id_at: path("id"),
        remove: Some(request("DELETE", one())),
        update: Some(sends(one())),
        registered: Some(Box::new(Registered {
            request: request("GET", all()),
            list_at: path("data"),
            ours: Expr::Equal(Box::new(Expr::Answer(path("mark"))), Box::new(Expr::Env(Env::Instance))),
            id_at: path("id"),
            url_at: Some(path("url")),
            events_at: Some(path("events")),
            update_unless: None,
            replace_unless: None,
        })),
    }
}

/// Always the same, by which nobody else sleeps as long as the keeper does.
struct Jitter;

impl Random for Jitter {
    fn fraction(&self) -> f64 {
        0.6
    }
}

struct Test {
    clock: Arc<TestClock>,
    hooks: Arc<Mutex<Hooks>>,
    base: String,
    service: Service,
    _folder: tempfile::TempDir,
}

impl Test {
    async fn start(refuses: Option<(&'static str, u16, &'static str)>) -> Self {
        let clock = TestClock::new();
        let hooks = Arc::new(Mutex::new(Hooks { refuses, ..Hooks::default() }));
        let base = serve(Arc::clone(&hooks)).await;
        let folder = tempfile::tempdir().unwrap();
        let transport = Arc::new(ReqwestTransport::new());
        let world = World { clock: clock.clone(), transport, random: Arc::new(Jitter), services: None };
        let options =
            ServiceOptions { public_url: Some("https://hooks.example.org".to_owned()), ..options(&folder.path().join("store")) };
        let service = Service::start(options, flows(&base, &["paid"]), world).await.unwrap();
        Self { clock, hooks, base, service, _folder: folder }
    }

    fn swap(&self, triggers: &[&str]) {
        self.service.swap(flows(&self.base, triggers));
    }

    fn refuses(&self, refuses: Option<(&'static str, u16, &'static str)>) {
        self.hooks.lock().unwrap().refuses = refuses;
    }

    /// Waits until the service was asked this since the last time, and the keeper sleeps for so long. Returns the keys.
    async fn asked(&self, lines: &[&str], sleeps: f64) -> Vec<String> {
        let asked = || self.hooks.lock().unwrap().asked.iter().map(|(line, _)| line.clone()).collect::<Vec<_>>();
        let waited = async {
            while asked().len() < lines.len() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, waited).await.is_ok(), "{:?} and not {lines:?}", asked());
        self.clock.somebody_sleeps(time(sleeps)).await;
        assert_eq!(asked(), lines, "then {sleeps} s");
        self.hooks.lock().unwrap().asked.drain(..).map(|(_, key)| key).collect()
    }

    async fn alarms(&self) -> Vec<Json> {
        let reply = send(&self.service.addresses().admin, "GET", "/api/v1/alarms", &[], b"").await;
        reply.json()["alarms"].as_array().unwrap().clone()
    }

    fn made(&self) -> Vec<Json> {
        self.hooks.lock().unwrap().made.clone()
    }
}

fn flows(base: &str, triggers: &[&str]) -> Live {
    let mut acme: LiveConnection = acme(base, None);
    Arc::make_mut(&mut acme.plan.sources[0]).register = Some(Box::new(register()));
    acme.secrets.remove("webhook_secret");
    live(vec![acme], triggers.iter().map(|trigger| flow(trigger, trigger)).collect())
}

fn time(seconds: f64) -> SignedDuration {
    SignedDuration::from_millis((seconds * 1000.0).round() as i64)
}

/// How long a webhook that is as it should be is left alone.
const HOUR: f64 = 3456.0;
const LIST: &str = "GET /hooks";
const MAKE: &str = "POST /hooks";

#[tokio::test]
async fn what_is_refused_for_good_is_an_alarm_and_seldom_tried_until_somebody_changes_something() {
    let invalid = "Invalid URL: URL must be publicly accessible.";
    let test = Test::start(Some((MAKE, 400, invalid))).await;
    test.asked(&[LIST, MAKE], 240.0).await;
    let alarms = test.alarms().await;
    assert_eq!(alarms.len(), 1, "{alarms:#?}");
    assert_eq!(
        (&alarms[0]["kind"], &alarms[0]["subject"], &alarms[0]["detail"]),
        (&json!("webhook"), &json!("acme"), &json!("events"))
    );
    assert!(alarms[0]["reason"].as_str().unwrap().contains(invalid) && !alarms[0]["since"].is_null(), "{alarms:#?}");
    for (waited, next) in [(240.0, 480.0), (480.0, 960.0), (960.0, 1920.0), (1920.0, 2880.0), (2880.0, 2880.0)] {
        test.clock.advance_by(time(waited));
        test.asked(&[LIST, MAKE], next).await;
    }
    // A reload is another chance.
    test.swap(&["paid"]);
    test.asked(&[LIST, MAKE], 240.0).await;
    assert_eq!(test.alarms().await[0]["since"], alarms[0]["since"]);
    test.refuses(None);
    test.swap(&["paid"]);
    test.asked(&[LIST, MAKE], HOUR).await;
    assert_eq!((test.alarms().await, test.made().len()), (Vec::new(), 1));
    // No right to look at them: nothing is known here either.
    test.refuses(Some((LIST, 403, "rak_webhook_read is needed")));
    test.clock.advance_by(time(HOUR));
    test.asked(&[LIST], 240.0).await;
    assert_eq!(test.alarms().await.len(), 1);
    test.service.stop().await;
}

#[tokio::test]
async fn an_alarm_goes_with_the_last_flow_that_needs_the_webhook() {
    let test = Test::start(Some((LIST, 403, "rak_webhook_read is needed"))).await;
    test.asked(&[LIST], 240.0).await;
    assert_eq!(test.alarms().await.len(), 1);
    test.swap(&[]);
    let gone = async {
        while !test.alarms().await.is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, gone).await.is_ok());
    assert!(test.hooks.lock().unwrap().asked.is_empty());
    test.service.stop().await;
}

#[tokio::test]
async fn what_may_pass_is_tried_soon_and_is_an_alarm_once_it_lasts() {
    let test = Test::start(Some((MAKE, 503, "not now"))).await;
    let (mut waited, mut wait) = (0.0, 0.6);
    while waited < 600.0 {
        test.asked(&[LIST, MAKE], wait).await;
        assert_eq!(test.alarms().await.len(), 0, "after {waited} seconds");
        test.clock.advance_by(time(wait));
        waited += wait;
        wait = f64::min(wait * 2.0, 540.0);
    }
    test.asked(&[LIST, MAKE], wait).await;
    assert_eq!(test.alarms().await.len(), 1);
    test.refuses(None);
    test.clock.advance_by(time(wait));
    // What was asked before may have been done late, so it is looked at once more.
    test.asked(&[LIST, MAKE, LIST], HOUR).await;
    assert_eq!(test.alarms().await, Vec::<Json>::new());
    test.service.stop().await;
}

#[tokio::test]
async fn a_webhook_outlives_edits_and_goes_ten_minutes_after_the_last_flow() {
    let test = Test::start(None).await;
    test.asked(&[LIST, MAKE], HOUR).await;
    let made = test.made();
    // A file is moved: for a while there is no flow.
    test.swap(&[]);
    test.asked(&[], 600.0).await;
    test.clock.advance(599);
    test.swap(&["failed"]);
    test.asked(&[LIST, "POST /hooks/we_1"], HOUR).await;
    assert_eq!((&test.made()[0]["id"], &test.made()[0]["events"]), (&made[0]["id"], &json!(["invoice.failed", "invoice.late"])));
    test.swap(&[]);
    test.asked(&[], 600.0).await;
    test.clock.advance(600);
    test.asked(&[LIST, "DELETE /hooks/we_1"], HOUR).await;
    assert_eq!(test.made(), Vec::<Json>::new());
    test.swap(&["paid"]);
    test.asked(&[LIST, MAKE], HOUR).await;
    assert_eq!(test.made()[0]["id"], "we_2");
    test.service.stop().await;
}

#[tokio::test]
async fn each_change_of_a_webhook_has_a_key_of_its_own() {
    let test = Test::start(None).await;
    test.asked(&[LIST, MAKE], HOUR).await;
    let mut keys = Vec::new();
    // The same change twice: what the service remembers of the first must not stand for the second.
    for triggers in [&["failed"][..], &["paid"], &["failed"]] {
        test.clock.advance(1);
        test.swap(triggers);
        keys.push(test.asked(&[LIST, "POST /hooks/we_1"], HOUR).await[1].clone());
    }
    let differing: BTreeSet<&String> = keys.iter().collect();
    assert!(differing.len() == 3 && differing.iter().all(|key| key.len() >= 16), "{keys:?}");
    test.service.stop().await;
}
