//! Polls against a service that lists late, twice, out of order, in pages, and at times not at all.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use flow_plan::{Expr, JsonPath};
use flow_runtime::live::{Live, LiveConnection};
use flow_runtime::service::Service;
use flow_runtime::store::EventQuery;
use flow_runtime::transport::ReqwestTransport;
use flow_runtime::world::{BoxFuture, Clock, Random, World};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::support::{PATIENCE, Reply, acme, event, field, flow, live, options, path, request, send, signature_at};

const EVERY: i64 = 60;
const START: i64 = 1_795_000_000;

/// A clock that the test moves.
pub(crate) struct TestClock {
    now: watch::Sender<Timestamp>,
    /// Until when somebody sleeps at this moment.
    sleepers: watch::Sender<Vec<Timestamp>>,
}

/// Somebody who sleeps; whoever stops waiting sleeps no longer.
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
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { now: watch::Sender::new(Timestamp::from_second(START).unwrap()), sleepers: watch::Sender::default() })
    }

    pub(crate) fn second(&self) -> i64 {
        self.now().as_second()
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.advance_by(SignedDuration::from_secs(seconds));
    }

    pub(crate) fn advance_by(&self, time: SignedDuration) {
        self.now.send_modify(|now| *now += time);
    }

    /// Waits until somebody sleeps for exactly so long from now.
    pub(crate) async fn somebody_sleeps(&self, time: SignedDuration) {
        let until = self.now() + time;
        let mut sleepers = self.sleepers.subscribe();
        let asleep = sleepers.wait_for(|sleepers| sleepers.contains(&until));
        let found = tokio::time::timeout(PATIENCE, asleep).await.is_ok_and(|found| found.is_ok());
        assert!(found, "nobody sleeps until {until}: {:?}", self.sleepers.borrow());
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.now.borrow()
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.sleepers.send_modify(|sleepers| sleepers.push(at));
            let _sleeper = Sleeper(self, at);
            let _ = self.now.subscribe().wait_for(|now| *now >= at).await;
        })
    }
}

struct NoJitter;

impl Random for NoJitter {
    fn fraction(&self) -> f64 {
        1.0
    }
}

/// What the service lists and how it misbehaves.
#[derive(Default)]
struct Script {
    events: Vec<Json>,
    page: usize,
    /// Answers that come first: status, `Retry-After`; 0 is a good page.
    failures: VecDeque<(u16, &'static str)>,
    /// Goes away when the first page has been given.
    vanishes: Option<String>,
    /// Behind the last item comes the first one again.
    round: bool,
    /// How many seconds its clock is ahead.
    skew: i64,
    /// The next answer takes so many seconds.
    slow: i64,
    queries: Vec<String>,
}

impl Script {
    fn answer(&mut self, query: &str) -> (u16, &'static str, Json) {
        self.queries.push(query.to_owned());
        match self.failures.pop_front() {
            None | Some((0, _)) => {}
            Some((status, retry_after)) => return (status, retry_after, json!({ "error": { "message": "not now" } })),
        }
        let all = |name: &str| -> Vec<String> {
            form_urlencoded::parse(query.as_bytes()).filter(|(n, _)| n == name).map(|(_, v)| v.into_owned()).collect()
        };
        let (types, since) = (all("types[]"), all("created[gte]").first().map_or(0, |text| text.parse().unwrap()));
        let mut found: Vec<&Json> = self.events.iter().collect();
        found.retain(|event| types.iter().any(|t| event["type"] == **t) && event["created"].as_i64().unwrap() >= since);
        // Newest first; of one second the last one listed comes first.
        found.reverse();
        found.sort_by_key(|event| std::cmp::Reverse(event["created"].as_i64()));
        let from = match all("starting_after").first() {
            None => 0,
            Some(after) => match found.iter().position(|event| event["id"] == **after) {
                Some(place) => place + 1,
                None => return (404, "", json!({ "error": { "message": "No such event" } })),
            },
        };
        let from = if self.round && from >= found.len() { 0 } else { from };
        let page: Vec<Json> = found.iter().skip(from).take(self.page).map(|event| (*event).clone()).collect();
        let has_more = found.len() > from + page.len() || (self.round && !found.is_empty());
        if let Some(id) = self.vanishes.take() {
            self.events.retain(|event| event["id"] != *id);
        }
        (200, "", json!({ "object": "list", "data": page, "has_more": has_more }))
    }
}

struct Test {
    clock: Arc<TestClock>,
    script: Arc<Mutex<Script>>,
    base: String,
    folder: tempfile::TempDir,
    service: Option<Service>,
}

impl Test {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Script)) -> Self {
        let clock = TestClock::new();
        let mut script = Script { page: 100, ..Script::default() };
        change(&mut script);
        let script = Arc::new(Mutex::new(script));
        let base = serve(Arc::clone(&script), Arc::clone(&clock)).await;
        Self { clock, script, base, folder: tempfile::tempdir().unwrap(), service: None }
    }

    fn acme(&self) -> LiveConnection {
        acme(&self.base, Some(Duration::from_secs(EVERY as u64)))
    }

    fn live(&self, flows: &[(&str, &str)]) -> Live {
        live(vec![self.acme()], flows.iter().map(|(id, trigger)| flow(id, trigger)).collect())
    }

    async fn start(&mut self, flows: &[(&str, &str)]) {
        self.start_with(self.live(flows)).await;
        self.asleep_for(EVERY).await;
    }

    async fn start_with(&mut self, live: Live) {
        let transport = Arc::new(ReqwestTransport::new());
        let world = World { clock: self.clock.clone(), transport, random: Arc::new(NoJitter), services: None };
        let folder: &Path = self.folder.path();
        self.service = Some(Service::start(options(&folder.join("store")), live, world).await.unwrap());
    }

    async fn stop(&mut self) {
        self.service.take().unwrap().stop().await;
    }

    fn service(&self) -> &Service {
        self.service.as_ref().unwrap()
    }

    /// Lets one interval go by, and waits until the poll of it is done.
    async fn poll(&self) {
        self.clock.advance(EVERY);
        self.asleep_for(EVERY).await;
    }

    /// Waits until the poll is done and the next one comes in exactly so long.
    async fn asleep_for(&self, seconds: i64) {
        let at = || Json::String(format!("{:.3}", self.clock.now() + SignedDuration::from_secs(seconds)));
        let asleep = async {
            while self.status().await["next_at"] != at() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, asleep).await.is_ok();
        assert!(found, "the next poll is not at {}: {}", at(), self.status().await);
    }

    /// Lists an event that happened so many seconds ago by the service's clock.
    fn happens(&self, id: &str, event_type: &str, ago: i64) {
        let mut script = self.script.lock().unwrap();
        let created = self.clock.second() + script.skew - ago;
        script.events.push(event(id, event_type, created));
    }

    fn fail(&self, status: u16, retry_after: &'static str) {
        self.script.lock().unwrap().failures.push_back((status, retry_after));
    }

    /// Waits until the service was asked so often, and the poll sleeps for so many seconds before it asks again.
    async fn queries_are(&self, count: usize, sleeps: i64) {
        let asked = || self.script.lock().unwrap().queries.len();
        let waited = async {
            while asked() < count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, waited).await.is_ok(), "{} of {count}", asked());
        self.clock.somebody_sleeps(SignedDuration::from_secs(sleeps)).await;
        assert_eq!(asked(), count);
    }

    fn queries(&self) -> Vec<String> {
        std::mem::take(&mut self.script.lock().unwrap().queries)
    }

    /// What was taken in, in its order.
    fn taken(&self) -> Vec<String> {
        let query = EventQuery { limit: 1000, ..EventQuery::default() };
        let mut events = self.service().engine().events(&query).unwrap();
        events.sort_by_key(|event| event.seq);
        events.into_iter().map(|event| event.id).collect()
    }

    async fn status(&self) -> Json {
        let reply: Reply = send(&self.service().addresses().admin, "GET", "/api/v1/connections", &[], b"").await;
        reply.json()["connections"][0]["polls"][0].clone()
    }
}

async fn serve(script: Arc<Mutex<Script>>, clock: Arc<TestClock>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (script, clock) = (Arc::clone(&script), Arc::clone(&clock));
            let service = service_fn(move |request: Request<Incoming>| {
                let (status, retry_after, body, skew) = {
                    let mut script = script.lock().unwrap();
                    clock.advance(std::mem::take(&mut script.slow));
                    let (status, retry_after, body) = script.answer(request.uri().query().unwrap_or_default());
                    (status, retry_after, body, script.skew)
                };
                let date = clock.now() + SignedDuration::from_secs(skew);
                let mut answer = Response::builder().status(status);
                answer = answer.header("date", date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string());
                if !retry_after.is_empty() {
                    answer = answer.header("retry-after", retry_after);
                }
                let answer = answer.body(Full::new(Bytes::from(body.to_string()))).unwrap();
                async move { Ok::<_, Infallible>(answer) }
            });
            tokio::spawn(http1::Builder::new().auto_date_header(false).serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

#[tokio::test]
async fn the_first_start_emits_nothing_old() {
    let mut test = Test::new().await;
    test.happens("old_1", "invoice.paid", 3600);
    test.happens("old_2", "invoice.paid", 5);
    test.start(&[("f", "paid")]).await;
    assert_eq!(test.taken(), Vec::<String>::new());
    test.happens("new_1", "invoice.paid", 0);
    test.poll().await;
    assert_eq!(test.taken(), ["new_1"]);
    // In the overlap lies the old one still.
    test.poll().await;
    assert_eq!(test.taken(), ["new_1"]);
    assert_eq!(test.service().engine().stats().runs_started, 1);
    test.stop().await;
}

#[tokio::test]
async fn late_doubled_and_unordered_items_come_once_and_oldest_first() {
    let mut test = Test::new().await;
    test.start(&[("f", "paid")]).await;
    test.poll().await;
    for (id, ago) in [("c", 10), ("a", 30), ("d", 10), ("b", 20), ("e", 10)] {
        test.happens(id, "invoice.paid", ago);
    }
    // Listed twice in one list.
    test.happens("a", "invoice.paid", 30);
    test.poll().await;
    assert_eq!(test.taken(), ["a", "b", "c", "d", "e"]);
    // It happened before all of them and shows only now.
    let created = test.clock.second() - EVERY - 40;
    test.script.lock().unwrap().events.push(event("late", "invoice.paid", created));
    test.poll().await;
    assert_eq!(test.taken(), ["a", "b", "c", "d", "e", "late"]);
    test.poll().await;
    let stats = test.service().engine().stats();
    assert_eq!((stats.events, stats.runs_started), (6, 6));
    test.stop().await;
}

#[tokio::test]
async fn all_pages_of_all_types_are_read() {
    let mut test = Test::with(|script| script.page = 3).await;
    test.start(&[("f", "paid"), ("g", "failed")]).await;
    test.poll().await;
    let types = ["invoice.paid", "invoice.failed", "invoice.late"];
    for at in 0..30 {
        test.happens(&format!("e{at:02}"), types[at % 3], 40 - at as i64);
    }
    test.queries();
    test.poll().await;
    let wanted: Vec<String> = (0..30).map(|at| format!("e{at:02}")).collect();
    assert_eq!(test.taken(), wanted);
    let queries = test.queries();
    // Three types in chunks of two: two lists, of 7 and of 4 pages.
    assert_eq!(queries.iter().filter(|query| !query.contains("starting_after")).count(), 2);
    assert_eq!(queries.len(), 11);
    test.stop().await;
}

#[tokio::test]
async fn a_page_that_fails_moves_nothing() {
    let mut test = Test::with(|script| script.page = 2).await;
    test.start(&[("f", "paid")]).await;
    test.poll().await;
    for at in 0..6 {
        test.happens(&format!("e{at}"), "invoice.paid", 6 - at);
    }
    test.fail(0, "");
    test.fail(403, "");
    test.clock.advance(EVERY);
    test.asleep_for(1).await;
    assert_eq!(test.taken(), Vec::<String>::new());
    assert_eq!(test.status().await["error"], "403: not now");
    // The second failure waits longer.
    test.fail(500, "");
    test.clock.advance(1);
    test.asleep_for(2).await;
    test.clock.advance(2);
    test.asleep_for(EVERY).await;
    assert_eq!(test.taken(), ["e0", "e1", "e2", "e3", "e4", "e5"]);
    assert_eq!(test.status().await["error"], Json::Null);
    test.stop().await;
}

/// What was read is not thrown away for one page that fails.
#[tokio::test]
async fn a_page_that_fails_in_the_middle_is_asked_for_again() {
    let mut test = Test::with(|script| script.page = 2).await;
    test.start(&[("f", "paid")]).await;
    test.poll().await;
    for at in 0..6 {
        test.happens(&format!("e{at}"), "invoice.paid", 6 - at);
    }
    test.queries();
    for (status, retry_after) in [(0, ""), (500, ""), (429, "7"), (0, ""), (0, ""), (599, "")] {
        test.fail(status, retry_after);
    }
    test.script.lock().unwrap().failures.pop_back();
    test.clock.advance(EVERY);
    // 1 second for the first failure, 7 for the second, which asks for them.
    test.queries_are(2, 1).await;
    test.clock.advance(1);
    test.queries_are(3, 7).await;
    test.clock.advance(6);
    test.queries_are(3, 1).await;
    test.clock.advance(1);
    test.asleep_for(EVERY).await;
    assert_eq!(test.taken(), ["e0", "e1", "e2", "e3", "e4", "e5"]);
    let queries = test.queries();
    assert_eq!((queries.len(), &queries[1]), (5, &queries[2]));
    assert_eq!(queries[2], queries[3]);
    assert_eq!(test.status().await["error"], Json::Null);
    test.stop().await;
}

#[tokio::test]
async fn a_page_that_fails_for_good_ends_the_poll() {
    let mut test = Test::with(|script| script.page = 2).await;
    test.start(&[("f", "paid")]).await;
    for at in 0..6 {
        test.happens(&format!("e{at}"), "invoice.paid", 6 - at);
    }
    test.queries();
    test.fail(0, "");
    (0..10).for_each(|_| test.fail(503, ""));
    test.clock.advance(EVERY);
    let given_up = async {
        while test.status().await["error"] == Json::Null {
            test.clock.advance(1);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, given_up).await.unwrap();
    assert_eq!(test.queries().len(), 11);
    assert_eq!((test.status().await["error"].as_str(), test.taken().len()), (Some("503: not now"), 0));
    test.stop().await;
}

#[tokio::test]
async fn pages_keep_to_the_limit_of_the_connection() {
    let mut test = Test::with(|script| script.page = 1).await;
    let mut acme = test.acme();
    Arc::make_mut(&mut acme.plan.api).limit = Some(flow_plan::RateLimit { count: 2, per_ms: 10_000 });
    test.start_with(live(vec![acme], vec![flow("f", "paid")])).await;
    test.asleep_for(EVERY).await;
    test.poll().await;
    for at in 0..5 {
        test.happens(&format!("e{at}"), "invoice.paid", 5 - at);
    }
    test.queries();
    test.clock.advance(EVERY);
    for pages in [2, 4] {
        test.queries_are(pages, 10).await;
        test.clock.advance(9);
        test.queries_are(pages, 1).await;
        test.clock.advance(1);
    }
    test.asleep_for(EVERY).await;
    assert_eq!(test.taken(), ["e0", "e1", "e2", "e3", "e4"]);
    test.stop().await;
}

#[tokio::test]
async fn a_list_that_goes_round_ends() {
    let mut test = Test::with(|script| script.page = 1).await;
    test.start(&[("f", "paid")]).await;
    test.script.lock().unwrap().round = true;
    for at in 0..3 {
        test.happens(&format!("e{at}"), "invoice.paid", 3 - at);
    }
    test.clock.advance(EVERY);
    test.asleep_for(1).await;
    assert_eq!(test.status().await["error"], "the list repeats the same page");
    test.stop().await;
}

#[tokio::test]
async fn an_item_that_vanishes_between_pages_loses_no_other() {
    let mut test = Test::with(|script| script.page = 2).await;
    test.start(&[("f", "paid")]).await;
    test.poll().await;
    for at in 0..6 {
        test.happens(&format!("e{at}"), "invoice.paid", 6 - at);
    }
    // The last of the first page: the next page cannot be asked for.
    test.script.lock().unwrap().vanishes = Some("e4".to_owned());
    test.clock.advance(EVERY);
    test.asleep_for(1).await;
    assert_eq!(test.taken(), Vec::<String>::new());
    test.clock.advance(1);
    test.asleep_for(EVERY).await;
    assert_eq!(test.taken(), ["e0", "e1", "e2", "e3", "e5"]);
    test.stop().await;
}

#[tokio::test]
async fn by_both_ways_it_comes_once() {
    let mut test = Test::new().await;
    test.start(&[("f", "paid")]).await;
    test.happens("both", "invoice.paid", 1);
    test.happens("polled", "invoice.paid", 0);
    let body = test.script.lock().unwrap().events[0].to_string();
    let server = test.service().addresses().server.clone();
    let deliver = |body: String| {
        let signed = signature_at(body.as_bytes(), test.clock.second());
        let server = server.clone();
        async move { send(&server, "POST", "/v1/webhooks/acme", &[("Acme-Signature", &*signed)], body.as_bytes()).await.json() }
    };
    assert_eq!(deliver(body).await["duplicate"], false);
    test.poll().await;
    assert_eq!(test.taken(), ["both", "polled"]);
    let polled = test.script.lock().unwrap().events[1].to_string();
    assert_eq!(deliver(polled).await["duplicate"], true);
    assert_eq!(test.service().engine().stats().runs_started, 2);
    test.stop().await;
}

#[tokio::test]
async fn waits_that_the_service_asks_for_are_kept() {
    let mut test = Test::new().await;
    test.start(&[("f", "paid")]).await;
    test.fail(429, "90");
    test.clock.advance(EVERY);
    test.asleep_for(90).await;
    test.clock.advance(90);
    test.asleep_for(EVERY).await;
    test.stop().await;
}

#[tokio::test]
async fn a_broken_connection_is_probed_slowly_and_comes_back() {
    let mut test = Test::new().await;
    test.start(&[("f", "paid")]).await;
    test.happens("e1", "invoice.paid", 0);
    test.fail(401, "");
    test.fail(401, "");
    test.clock.advance(EVERY);
    test.asleep_for(300).await;
    assert_eq!(test.status().await["broken"], true);
    test.clock.advance(300);
    test.asleep_for(300).await;
    // A new key: it is tried at once.
    let mut acme = test.acme();
    acme.secrets.insert("key".to_owned(), flow_runtime::secret::Secret::new("sk_new".to_owned()));
    test.service().swap(live(vec![acme], vec![flow("f", "paid")]));
    test.asleep_for(EVERY).await;
    assert_eq!((test.status().await["broken"].as_bool(), test.taken()), (Some(false), vec!["e1".to_owned()]));
    test.stop().await;
}

#[tokio::test]
async fn a_restart_goes_on_where_it_was() {
    let mut test = Test::new().await;
    test.start(&[("f", "paid")]).await;
    test.happens("e1", "invoice.paid", 0);
    test.poll().await;
    test.stop().await;
    test.clock.advance(86_400);
    test.happens("e2", "invoice.paid", 80_000);
    test.happens("e3", "invoice.paid", 10);
    test.start(&[("f", "paid")]).await;
    assert_eq!(test.taken(), ["e1", "e2", "e3"]);
    assert_eq!(test.service().engine().stats().runs_started, 2);
    test.stop().await;
    // Longer than the service remembers: what it still has is taken.
    test.clock.advance(45 * 86_400);
    test.happens("e4", "invoice.paid", 29 * 86_400);
    test.queries();
    test.start(&[("f", "paid")]).await;
    let since = test.clock.second() - 30 * 86_400 - 60;
    assert!(test.queries()[0].contains(&format!("created[gte]={since}")));
    assert_eq!(test.taken().last().unwrap(), "e4");
    let gap = test.status().await["gap"].clone();
    assert!(gap["from"].as_str() < gap["to"].as_str(), "{gap}");
    test.stop().await;
}

/// A service that refuses for longer than it lists, without a restart.
#[tokio::test]
async fn what_the_service_does_not_list_any_more_is_said_while_the_daemon_runs() {
    let alarms = async |test: &Test| {
        let reply = send(&test.service().addresses().admin, "GET", "/api/v1/alarms", &[], b"").await;
        reply.json()["alarms"].as_array().unwrap().clone()
    };
    let mut test = Test::new().await;
    test.start(&[("f", "paid")]).await;
    test.poll().await;
    let read_until = test.clock.now();
    // Each try comes five minutes later; the clock jumps, as days do that nobody has to wait for.
    for _ in 0..3 {
        test.fail(401, "");
    }
    test.clock.advance(EVERY);
    test.asleep_for(300).await;
    test.clock.advance(29 * 86_400);
    test.asleep_for(300).await;
    assert_eq!(test.status().await["gap"], Json::Null, "it is still listed");
    test.clock.advance(2 * 86_400);
    test.asleep_for(300).await;
    let kinds = |alarms: &[Json]| alarms.iter().map(|alarm| alarm["kind"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(kinds(&alarms(&test).await), ["source", "gap"], "said as soon as it is so");
    // The key is mended. What the service still lists is taken, and of the rest it is said from when to when.
    test.happens("e1", "invoice.paid", 29 * 86_400);
    test.clock.advance(300);
    test.asleep_for(EVERY).await;
    assert_eq!(test.taken(), ["e1"]);
    let said = alarms(&test).await;
    assert_eq!(kinds(&said), ["gap"], "{said:#?}");
    let (from, to) = (read_until, test.clock.now() - SignedDuration::from_hours(30 * 24));
    let reason = said[0]["reason"].as_str().unwrap();
    assert!(reason.contains(from.to_string().trim_end_matches('Z')) && to > from, "{reason} {from} {to}");
    let why = send(&test.service().addresses().admin, "GET", "/api/v1/missing?event=evt_lost&connection=acme", &[], b"").await;
    assert!(why.body.contains("did not list any more"), "{why:?}");
    // A start makes nothing come back.
    test.stop().await;
    test.clock.advance(EVERY);
    test.start(&[("f", "paid")]).await;
    let told = alarms(&test).await;
    assert_eq!((&told[0]["reason"], &told[0]["since"]), (&said[0]["reason"], &said[0]["since"]), "{told:#?}");
    test.clock.advance(86_400);
    test.asleep_for(EVERY).await;
    assert_eq!(alarms(&test).await, Vec::<Json>::new());
    test.stop().await;
}

#[tokio::test]
async fn a_new_flow_does_not_act_on_what_was_before_it() {
    let mut test = Test::new().await;
    test.start(&[("f", "paid")]).await;
    test.happens("paid_1", "invoice.paid", 0);
    test.poll().await;
    test.happens("failed_old", "invoice.failed", 10);
    // So that the poll of the swap can be told from the one before.
    test.clock.advance(1);
    test.service().swap(test.live(&[("f", "paid"), ("g", "failed")]));
    test.asleep_for(EVERY).await;
    test.happens("failed_new", "invoice.failed", 0);
    test.happens("paid_2", "invoice.paid", 0);
    test.poll().await;
    assert_eq!(test.taken(), ["paid_1", "failed_new", "paid_2"]);
    // A swap that changes nothing for the poll does not wake it.
    test.queries();
    test.service().swap(test.live(&[("f", "paid"), ("g", "failed"), ("h", "failed")]));
    test.poll().await;
    assert_eq!(test.queries().iter().filter(|query| !query.contains("starting_after")).count(), 2);
    // Nobody draws on it any more.
    test.service().swap(test.live(&[]));
    assert_eq!(test.status().await, Json::Null);
    test.stop().await;
}

/// An edit that is taken back loses nothing, whether a poll falls between or not.
#[tokio::test]
async fn a_trigger_that_is_away_for_a_moment_loses_nothing() {
    let mut test = Test::new().await;
    test.start(&[("f", "paid"), ("g", "failed")]).await;
    test.poll().await;
    test.clock.advance(40);
    test.happens("failed_1", "invoice.failed", 30);
    test.happens("paid_1", "invoice.paid", 0);
    // The swaps come so fast that no poll is between.
    test.service().swap(test.live(&[("f", "paid")]));
    test.service().swap(test.live(&[("f", "paid"), ("g", "failed")]));
    test.asleep_for(EVERY).await;
    assert_eq!(test.taken(), ["failed_1", "paid_1"]);
    // Polls are between, which read on for the others, well beyond the overlap of the request.
    test.clock.advance(1);
    test.happens("failed_2", "invoice.failed", 0);
    test.service().swap(test.live(&[("f", "paid")]));
    test.asleep_for(EVERY).await;
    for at in 0..5 {
        test.poll().await;
        test.happens(&format!("paid_2{at}"), "invoice.paid", 0);
    }
    test.poll().await;
    test.clock.advance(1);
    test.happens("late_2", "invoice.late", 100);
    test.service().swap(test.live(&[("f", "paid"), ("g", "failed")]));
    test.asleep_for(EVERY).await;
    let taken = test.taken();
    assert_eq!(taken[taken.len() - 2..], ["failed_2", "late_2"]);
    assert_eq!(taken.len(), 9);
    // Away for long, it begins anew.
    test.service().swap(test.live(&[("f", "paid")]));
    test.poll().await;
    test.happens("failed_3", "invoice.failed", 0);
    test.clock.advance(2 * 3600);
    test.asleep_for(EVERY).await;
    test.service().swap(test.live(&[("f", "paid"), ("g", "failed")]));
    test.poll().await;
    test.happens("failed_4", "invoice.failed", 0);
    test.poll().await;
    assert_eq!(test.taken()[9..], ["failed_4"]);
    test.stop().await;
}

#[tokio::test]
async fn an_item_that_cannot_be_read_is_said_once() {
    let mut test = Test::new().await;
    test.start(&[("f", "paid")]).await;
    let log = crate::support::Log::default();
    let guard = log.start();
    test.script.lock().unwrap().events.push(json!({ "id": {}, "type": "invoice.paid", "created": START + 70 }));
    for at in 0..4 {
        test.happens(&format!("e{at}"), "invoice.paid", 0);
        test.poll().await;
    }
    drop(guard);
    assert_eq!(log.count("a polled item is malformed"), 1);
    assert_eq!(test.taken(), ["e0", "e1", "e2", "e3"]);
    test.stop().await;
}

#[tokio::test]
async fn clocks_that_differ_neither_lose_nor_invent() {
    for skew in [-100, 100] {
        let mut test = Test::with(|script| script.skew = skew).await;
        test.happens("old", "invoice.paid", 5);
        test.start(&[("f", "paid")]).await;
        test.happens("new", "invoice.paid", 0);
        test.poll().await;
        assert_eq!(test.taken(), ["new"], "{skew}");
        test.stop().await;
    }
}

/// What happened while the first answer was on its way happened after the start.
#[tokio::test]
async fn a_slow_answer_is_not_a_clock_that_differs() {
    let mut test = Test::with(|script| {
        script.slow = 30;
        script.events.push(event("meanwhile", "invoice.paid", START + 5));
    })
    .await;
    test.start(&[("f", "paid")]).await;
    assert_eq!(test.taken(), ["meanwhile"]);
    test.stop().await;
}

#[tokio::test]
async fn a_list_beyond_the_bound_of_memory_is_read_in_parts() {
    let mut test = Test::with(|script| script.page = 5).await;
    test.start(&[("f", "paid")]).await;
    test.clock.advance(3600 - EVERY);
    {
        let mut script = test.script.lock().unwrap();
        for at in 0..20 {
            let mut large = event(&format!("e{at:02}"), "invoice.paid", START + 100 + at * 150);
            large["data"]["object"]["note"] = Json::String("x".repeat(2 * 1024 * 1024));
            script.events.push(large);
        }
    }
    test.poll().await;
    let wanted: Vec<String> = (0..20).map(|at| format!("e{at:02}")).collect();
    assert_eq!(test.taken(), wanted);
    test.stop().await;
}

/// A source with a cursor of the service's own and items without times.
#[tokio::test]
async fn cursors_of_the_service_are_kept_and_may_be_lost() {
    #[derive(Default)]
    struct Feed {
        items: Vec<String>,
        lost: bool,
        asked: Vec<String>,
    }
    let feed = Arc::new(Mutex::new(Feed { items: vec!["old".to_owned()], ..Feed::default() }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let shared = Arc::clone(&feed);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let feed = Arc::clone(&shared);
            let service = service_fn(move |request: Request<Incoming>| {
                let mut feed = feed.lock().unwrap();
                let query = request.uri().query().unwrap_or_default().to_owned();
                let after = query.strip_prefix("after=").map(|after| after.parse::<usize>().unwrap());
                feed.asked.push(query);
                let lost = feed.lost && after.is_some();
                let from = after.unwrap_or(0);
                let items: Vec<Json> = feed.items[from..].iter().map(|id| json!({ "key": id, "kind": "k" })).collect();
                let body = json!({ "items": items, "next": feed.items.len() });
                let answer = Response::builder().status(if lost { 410 } else { 200 });
                let answer = answer.body(Full::new(Bytes::from(body.to_string()))).unwrap();
                async move { Ok::<_, Infallible>(answer) }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });

    let mut test = Test::new().await;
    let mut feed_connection = acme(&base, Some(Duration::from_secs(EVERY as u64)));
    let source = Arc::make_mut(&mut feed_connection.plan.sources[0]);
    source.envelope.id = None;
    source.envelope.at = None;
    source.envelope.event_type = None;
    source.envelope.object = JsonPath::default();
    source.triggers.insert("paid".to_owned(), Vec::new());
    let poll = source.poll.as_mut().unwrap();
    poll.request = request("GET", vec![flow_plan::PathPart::Literal("/feed".to_owned())]);
    poll.request.query = vec![field("after", Expr::Env(flow_plan::Env::Cursor))];
    (poll.items, poll.cursor, poll.pages, poll.order_by) = (path("items"), Some(path("next")), None, None);
    poll.seen = vec![path("key"), path("kind")];
    poll.newest_first = false;
    let mut paid = (*flow("f", "paid")).clone();
    paid.triggers[0].types = Vec::new();
    test.start_with(live(vec![feed_connection], vec![Arc::new(paid)])).await;
    test.asleep_for(EVERY).await;
    assert_eq!(test.taken(), Vec::<String>::new());
    feed.lock().unwrap().items.extend(["a".to_owned(), "b".to_owned()]);
    test.poll().await;
    assert_eq!(test.taken(), ["a:k", "b:k"]);
    assert_eq!(feed.lock().unwrap().asked, ["", "after=1", "after=1"]);
    // The service forgets the cursor: it goes on without, and what was there is not emitted again.
    {
        let mut feed = feed.lock().unwrap();
        feed.items.push("c".to_owned());
        feed.lost = true;
    }
    test.poll().await;
    assert_eq!(test.taken().last().map(String::as_str), Some("c:k"));
    test.stop().await;
}

#[tokio::test]
async fn polls_leave_a_fifth_of_the_quota_for_actions_and_are_spread_over_the_month_across_restarts() {
    let mut test = Test::new().await;
    let live = |test: &Test| {
        let mut acme = test.acme();
        let shared_by = Some("key".to_owned());
        let quota = flow_plan::Quota { count: 20, per_ms: flow_plan::QUOTA_MONTH_MS, shared_by, spent_on: vec![403] };
        Arc::make_mut(&mut acme.plan.api).quota = Some(quota);
        live(vec![acme], vec![flow("f", "paid")])
    };
    test.start_with(live(&test)).await;
    test.asleep_for(EVERY).await;
    for _ in 0..7 {
        test.poll().await;
    }
    assert_eq!(test.queries().len(), 8, "at first as often as it says");
    let connection = async |test: &Test| {
        let reply: Reply = send(&test.service().addresses().admin, "GET", "/api/v1/connections", &[], b"").await;
        reply.json()["connections"][0].clone()
    };
    assert_eq!(connection(&test).await["quota"]["used"], 8);
    test.clock.advance(EVERY);
    test.asleep_for(3600).await;
    let error = test.status().await["error"].clone();
    assert_eq!(error, "the quota of `acme` is spread over the time until 2026-12-01");
    let mut polls = Vec::new();
    for step in 0..60 {
        if step == 20 {
            test.stop().await;
            test.start_with(live(&test)).await;
        }
        test.clock.advance(6 * 3600);
        let now = test.clock.now();
        let asleep = async {
            while test.status().await["next_at"].as_str().is_none_or(|at| at.parse::<Timestamp>().unwrap() <= now) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, asleep).await.is_ok(), "{}", test.status().await);
        let of_this_month = now < "2026-12-01T00:00:00Z".parse::<Timestamp>().unwrap();
        polls.extend((0..test.queries().len()).filter(|_| of_this_month).map(|_| now));
    }
    assert_eq!(polls.len(), 8, "{polls:?}");
    assert!(polls.windows(2).all(|two| two[1].duration_since(two[0]) >= SignedDuration::from_hours(12)), "{polls:?}");
    let now = connection(&test).await;
    assert_eq!((&now["quota"]["resets_at"], &now["state"]), (&json!("2027-01-01T00:00:00.000Z"), &json!("ok")), "a new month");
    test.stop().await;
}
