//! Services that are polled and answer badly, or whose clock is another: what they say is a clear state of the connection, what is
//! no event starts nothing, and what was new meanwhile is found once they answer again.

use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};

use crate::support::daemon::Daemon;
use crate::support::recorder::{Arrived, Raw, Recorder, raw};
use crate::support::{eventually, http, stripe};

const ACME: &str = "connector acme \"Acme\" {
  secret key
  base \"https://acme.example\"
  auth bearer(key)
  record Item {
    id: text @key
    at: datetime unix
    total: money minor from (total, currency)
    count: int
    state: open | closed | other
    summary \"{id}\"
  }
  source items {
    poll GET \"/items\" query { limit: 3 } every 1 hour
    items \"data\"
    pages after last.id while \"has_more\"
    order newest by \"at\"
    id \"id\"
    at \"at\" unix
  }
  trigger item: Item from items
  action put(id: text, count: int) { POST \"/put\" json { id, count } effect once }
}

when acme.item do acme.put(id: id, count: count)
";

type Answer = Box<dyn Fn(&Arrived) -> Option<Raw> + Send>;

/// A service with a list, and what it says instead of it.
#[derive(Clone)]
struct Service {
    items: Arc<Mutex<Vec<Json>>>,
    instead: Arc<Mutex<Option<Answer>>>,
    /// How far its clock is ahead.
    ahead: Arc<Mutex<SignedDuration>>,
}

impl Service {
    fn start() -> (Self, Recorder) {
        let service = Self { items: Arc::default(), instead: Arc::default(), ahead: Arc::default() };
        let known = service.clone();
        let recorder = Recorder::start_raw(move |request, _| Some(known.answer(request)));
        (service, recorder)
    }

    fn answer(&self, request: &Arrived) -> Raw {
        if request.method == "POST" {
            return self.json(200, &json!({}));
        }
        if let Some(instead) = self.instead.lock().unwrap().as_ref().and_then(|answer| answer(request)) {
            return instead;
        }
        let items = self.items.lock().unwrap();
        let from = request.path.split("after=").nth(1).map_or(0, |after| {
            let after = after.split('&').next().unwrap();
            items.iter().position(|item| item["id"] == after).map_or(0, |at| at + 1)
        });
        let page: Vec<&Json> = items.iter().skip(from).take(3).collect();
        self.json(200, &json!({ "data": page, "has_more": from + 3 < items.len() }))
    }

    fn json(&self, status: u16, body: &Json) -> Raw {
        let date = (Timestamp::now() + *self.ahead.lock().unwrap()).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        raw(status, &[("content-type", "application/json"), ("date", &date)], &body.to_string())
    }

    fn says(&self, answer: impl Fn(&Arrived) -> Option<Raw> + Send + 'static) {
        *self.instead.lock().unwrap() = Some(Box::new(answer));
    }

    fn is_well(&self) {
        *self.instead.lock().unwrap() = None;
    }

    /// Something happens, by the service's clock.
    fn happens(&self, id: &str) {
        let at = Timestamp::now() + *self.ahead.lock().unwrap();
        self.items.lock().unwrap().insert(0, item(id, at));
    }
}

fn item(id: &str, at: Timestamp) -> Json {
    json!({ "id": id, "at": at.as_second(), "total": 100, "currency": "usd", "count": 1, "state": "open" })
}

fn daemon(recorder: &Recorder) -> Daemon {
    let toml = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[connections.acme]\nkey = {{ env = \"TEST_KUSTOMER_KEY\" }}\nbase_url = \"{}\"\npoll = \"1 second\"\n",
        recorder.url
    );
    let daemon = Daemon::start(&[("flow.toml", &toml), ("main.flow", ACME)]);
    eventually("it has polled", || {
        daemon.get("connections")["connections"][0]["polls"][0]["polled_at"].is_string().then_some(())
    });
    daemon
}

fn put(recorder: &Recorder) -> Vec<String> {
    let posts = recorder.arrived().into_iter().filter(|one| one.method == "POST");
    posts.map(|one| one.json()["id"].as_str().unwrap().to_owned()).collect()
}

fn poll(daemon: &Daemon) -> Json {
    daemon.get("connections")["connections"][0]["polls"][0].clone()
}

#[test]
fn a_poll_that_is_answered_badly_is_said_and_nothing_is_lost_or_invented() {
    let (service, recorder) = Service::start();
    let other = Recorder::start(|_, _| Some((200, json!({ "data": [item("stolen", Timestamp::now())], "has_more": false }))));
    let daemon = daemon(&recorder);
    let elsewhere = format!("{}/items", other.url);
    let page = |body: &'static str| move |_: &Arrived| Some(raw(200, &[("content-type", "application/json")], body));
    let cases: Vec<(&str, &str, Answer)> = vec![
        ("HTML", "not JSON", Box::new(|_| Some(raw(200, &[("content-type", "text/html")], "<html>soon</html>")))),
        ("an empty body", "not JSON", Box::new(page(""))),
        ("truncated JSON", "not JSON", Box::new(page("{\"data\":[{\"id\":\"t\",\"at\":17"))),
        ("null", "no list at `data`", Box::new(page("null"))),
        ("null for the list", "no list at `data`", Box::new(page("{\"data\":null}"))),
        ("an object for the list", "no list at `data`", Box::new(page("{\"data\":{\"id\":\"t\"}}"))),
        ("an error in a success", "no list at `data`", Box::new(page("{\"error\":{\"message\":\"over\"}}"))),
        (
            "lists in lists",
            "levels deep",
            Box::new(|_| Some(raw(200, &[], &format!("{{\"data\":{}{}}}", "[".repeat(200), "]".repeat(200))))),
        ),
        (
            "40 MB",
            "larger than",
            Box::new(|_| Some(raw(200, &[], &format!("{{\"data\":[],\"x\":\"{}\"}}", "a".repeat(40 << 20))))),
        ),
        ("a redirect", "redirects are not followed", Box::new(move |_| Some(raw(302, &[("location", &elsewhere)], "")))),
        (
            "a cursor that repeats",
            "repeats the same page",
            Box::new(|_| {
                let page = json!({ "data": [item("old", Timestamp::UNIX_EPOCH)], "has_more": true });
                Some(raw(200, &[], &page.to_string()))
            }),
        ),
        ("an empty page before more", "empty although more", Box::new(page("{\"data\":[],\"has_more\":true}"))),
        (
            "a second page that fails",
            "404",
            Box::new(|request| {
                let after = request.path.contains("after=");
                let page = json!({ "data": [item("first_of_two", Timestamp::UNIX_EPOCH)], "has_more": true });
                Some(if after { raw(404, &[], "") } else { raw(200, &[], &page.to_string()) })
            }),
        ),
        ("too many requests", "429", Box::new(|_| Some(raw(429, &[("retry-after", "1")], "")))),
        ("an error of its own", "500", Box::new(|_| Some(raw(500, &[], "")))),
    ];
    let mut expected = Vec::new();
    for (name, told, answer) in cases {
        service.says(answer);
        let known = put(&recorder).len();
        let failed = eventually(&format!("{name} is said"), || Some(poll(&daemon)).filter(|poll| poll["error"].is_string()));
        assert!(failed["error"].as_str().unwrap().contains(told), "{name}: {failed:#}");
        assert!(daemon.tell(&["alarms"]).out.contains("! acme items cannot be polled"), "{name}");
        assert_eq!(put(&recorder).len(), known, "{name}");
        // What happens while it answers badly is found when it answers well.
        let id = name.replace(' ', "_");
        service.happens(&id);
        service.is_well();
        expected.push(id);
        eventually(&format!("what happened meanwhile is found after {name}"), || (put(&recorder) == expected).then_some(()));
        eventually(&format!("{name} is over"), || poll(&daemon)["error"].is_null().then_some(()));
    }
    assert!(other.arrived().is_empty(), "nobody followed the redirect");
}

#[test]
fn a_list_without_an_end_gives_what_is_in_it_once_it_has_one() {
    let (service, recorder) = Service::start();
    let daemon = daemon(&recorder);
    let begun = Timestamp::now();
    let pages = Arc::new(std::sync::atomic::AtomicI64::new(0));
    let (counted, known) = (Arc::clone(&pages), service.clone());
    service.says(move |_| {
        let page = counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let old = item(&format!("old {page}"), begun - SignedDuration::from_hours(page + 1));
        Some(known.json(200, &json!({ "data": [old], "has_more": true })))
    });
    eventually("it is read on", || (pages.load(std::sync::atomic::Ordering::SeqCst) > 300).then_some(()));
    assert!(put(&recorder).is_empty(), "nothing counts before the list is whole");
    assert_eq!(http::send(&daemon.server, "GET", "/healthz", &[], b"").status, 200);
    service.is_well();
    service.happens("new");
    eventually("the new one is found", || (put(&recorder) == ["new"]).then_some(()));
}

#[test]
fn items_that_cannot_be_read_stop_no_others_and_are_said() {
    let (service, recorder) = Service::start();
    let mut daemon = daemon(&recorder);
    let now = Timestamp::now();
    let with = |id: &str, field: &str, value: Json| {
        let mut item = item(id, now);
        item[field] = value;
        item
    };
    *service.items.lock().unwrap() = vec![
        item("first", now),
        with("another_currency", "currency", json!("quatloo")),
        with("none", "count", Json::Null),
        with("another_type", "count", json!("many")),
        with("a_new_value", "state", json!("archived")),
        with("x", "id", json!({})),
        with("no_time", "at", json!("yesterday")),
        json!({ "at": now.as_second() }),
        json!("a text"),
        item("last", now),
        Json::Null,
    ];
    // What stands in a field that the flow does not look at is no matter; a field that it needs has its run say so.
    eventually("all that can be read is done", || {
        let mut ids = put(&recorder);
        ids.sort();
        (ids == ["a_new_value", "another_currency", "first", "last"]).then_some(())
    });
    let dead = eventually("two runs are dead", || {
        let dead: Vec<Json> = daemon.runs().into_iter().filter(|run| run["status"] == "dead").collect();
        (dead.len() == 2).then_some(dead)
    });
    assert!(dead.iter().all(|run| run["reason"].as_str().unwrap().contains("count")), "{dead:#?}");
    let odd = eventually("the five are counted", || Some(poll(&daemon)).filter(|poll| poll["left_out"]["count"] == 5));
    assert!(odd["error"].is_null() && odd["left_out"]["reason"].is_string(), "{odd:#}");
    let alarms = daemon.tell(&["alarms"]).out;
    assert!(alarms.contains("! acme items has items that cannot be read, 5 items"), "{alarms}");
    assert!(alarms.contains("! acme.item count does not fit, 2 events"), "{alarms}");
    // They are in the list at each poll, and are said once.
    service.happens("later");
    eventually("it goes on", || put(&recorder).contains(&"later".to_owned()).then_some(()));
    assert_eq!(poll(&daemon)["left_out"]["count"], 5);
    // They are no less lost for being in the list no more, nor for a start.
    service.items.lock().unwrap().retain(|item| item["id"] == "later");
    daemon.kill();
    daemon.launch();
    eventually("it is polled again", || poll(&daemon)["polled_at"].is_string().then_some(()));
    assert_eq!(poll(&daemon)["left_out"], odd["left_out"]);
    assert!(daemon.tell(&["alarms"]).out.contains("! acme items has items that cannot be read, 5 items"));
}

#[test]
fn a_clock_that_is_ten_minutes_off_loses_no_item_and_starts_nothing_old() {
    for minutes in [-10, 10] {
        let (service, recorder) = Service::start();
        *service.ahead.lock().unwrap() = SignedDuration::from_mins(minutes);
        service.happens("before");
        // Whole seconds, by which the service counts: what happened in the second of the start counts as new.
        let old = Timestamp::now() + SignedDuration::from_mins(minutes) - SignedDuration::from_secs(5);
        service.items.lock().unwrap()[0]["at"] = json!(old.as_second());
        let mut daemon = daemon(&recorder);
        service.happens("new");
        eventually("the new one is found", || (put(&recorder) == ["new"]).then_some(()));
        daemon.kill();
        service.happens("meanwhile");
        daemon.launch();
        eventually("what happened meanwhile is found", || (put(&recorder) == ["new", "meanwhile"]).then_some(()));
        service.happens("newer");
        eventually("the next one is found", || (put(&recorder).len() == 3).then_some(()));
        assert_eq!(put(&recorder), ["new", "meanwhile", "newer"], "{minutes}");
    }
}

/// The sender's clock, or ours: nobody can tell which. The sender sends it again, so that nothing is lost.
#[test]
fn a_webhook_that_was_signed_ten_minutes_ago_is_refused_and_said_and_taken_once_when_it_comes_again() {
    let service = Recorder::start(|_, _| Some((200, json!({}))));
    let toml = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[connections.stripe]\nwebhook_secret = {{ env = \"TEST_WEBHOOK_SECRET\" }}\n[connections.sink]\nbase_url = \"{}\"\n",
        service.url
    );
    let flow = "connector sink \"Sink\" {\n  base \"https://sink.example\"\n  action put(id: text) { POST \"/put\" json { id } effect once }\n}\n\nwhen stripe.charge_failed do sink.put(id: id)\n";
    let daemon = Daemon::start(&[("flow.toml", &toml), ("main.flow", flow)]);
    let body = stripe::charge_failed("off", 10_000, "usd", None).to_string();
    let signed = |minutes: i64| {
        let at = (Timestamp::now() + SignedDuration::from_mins(minutes)).as_second();
        let signature = stripe::signature_at(stripe::SECRET, at, body.as_bytes());
        let headers = [("content-type", "application/json"), ("stripe-signature", signature.as_str())];
        http::send(&daemon.server, "POST", "/v1/webhooks/stripe", &headers, body.as_bytes())
    };
    let answer = signed(-10);
    assert_eq!(answer.status, 401, "{}", answer.body);
    assert!(!answer.body.contains("whsec"));
    let page = daemon.tell(&["status"]).out;
    assert!(page.contains("1 webhooks: "), "{page}");
    assert!(daemon.runs().is_empty() && service.arrived().is_empty());
    // A sender whose clock is ahead is taken, as Stripe's own libraries do; what comes again is known.
    assert_eq!(signed(10).status, 200);
    assert_eq!(stripe::post(&daemon.server, &body).status, 200);
    eventually("it is done once", || (service.arrived().len() == 1).then_some(()));
}

/// A receiver whose clock is another refuses what we sign with our time: its runs wait, nothing is sent twice meanwhile, and all is
/// done when the clocks agree.
#[test]
fn a_signature_that_a_receiver_finds_ten_minutes_old_parks_what_is_for_it() {
    let ahead = Arc::new(Mutex::new(SignedDuration::from_mins(10)));
    let theirs = Arc::clone(&ahead);
    let receiver = Recorder::start_raw(move |request, _| {
        let now = Timestamp::now() + *theirs.lock().unwrap();
        let signed: i64 = request.header("webhook-timestamp").unwrap().parse().unwrap();
        Some(raw(if (now.as_second() - signed).abs() > 300 { 401 } else { 204 }, &[], ""))
    });
    let toml = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[connections.stripe]\nwebhook_secret = {{ env = \"TEST_WEBHOOK_SECRET\" }}\n[connections.partner]\nconnector = \"webhook\"\nsecret = {{ file = \"secrets/partner\" }}\nendpoint = \"{}/hooks\"\n",
        receiver.url
    );
    let flow = "when stripe.charge_failed do partner.send(type: \"x\", data: { id })\n";
    let daemon = Daemon::start(&[
        ("flow.toml", &toml),
        ("main.flow", flow),
        ("secrets/partner", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    ]);
    assert_eq!(stripe::post(&daemon.server, &stripe::charge_failed("1", 10_000, "usd", None).to_string()).status, 200);
    let parked = eventually("it is parked", || daemon.runs().into_iter().find(|run| run["status"] == "parked"));
    assert!(daemon.tell(&["status"]).out.contains("connection partner (webhook): broken since "));
    *ahead.lock().unwrap() = SignedDuration::ZERO;
    assert_eq!(daemon.tell(&["retry", parked["id"].as_str().unwrap()]).code, 0);
    eventually("it is taken", || (daemon.runs()[0]["status"] == "done").then_some(()));
    let ids: Vec<_> = receiver.arrived().iter().map(|one| one.header("webhook-id").unwrap().to_owned()).collect();
    assert!(ids.len() >= 2 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

/// The calls of a key that both steps and polls use.
#[test]
fn a_quota_that_is_used_up_holds_steps_and_polls_and_loses_nothing() {
    let (service, recorder) = Service::start();
    let toml = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[connections.stripe]\nwebhook_secret = {{ env = \"TEST_WEBHOOK_SECRET\" }}\n[connections.acme]\nkey = {{ env = \"TEST_KUSTOMER_KEY\" }}\nbase_url = \"{}\"\nmonthly_quota = 10\npoll = \"1 second\"\n",
        recorder.url
    );
    let connector = ACME.replace(
        "  auth bearer(key)\n",
        "  auth bearer(key)\n  setting monthly_quota: int?\n  quota 10 per month shared by key spent on 403\n",
    );
    let flow = format!("{connector}\nwhen stripe.charge_failed do acme.put(id: id, count: 1)\n");
    let mut daemon = Daemon::start(&[("flow.toml", &toml), ("main.flow", &flow)]);
    eventually("polls stop before the end", || {
        let acme = daemon.get("connections")["connections"].as_array()?.iter().find(|one| one["name"] == "acme")?.clone();
        acme["polls"][0]["error"].as_str().filter(|error| error.contains("quota")).map(|_| ())
    });
    let polled = recorder.arrived().len();
    assert!((2..=8).contains(&polled), "{polled}");
    // Steps have what was kept for them, and no more.
    for number in 0..30 {
        let body = stripe::charge_failed(&number.to_string(), 10_000, "usd", None).to_string();
        assert_eq!(stripe::post(&daemon.server, &body).status, 200);
    }
    service.happens("unseen");
    let parked = || daemon.runs().iter().filter(|run| run["status"] == "parked").count();
    eventually("the rest waits for the next month", || (put(&recorder).len() + parked() == 30 && parked() >= 20).then_some(()));
    assert_eq!(recorder.arrived().len(), 10, "no call more than there are");
    let page = daemon.tell(&["status"]).out;
    assert!(page.contains("connection acme (acme): its quota is used up until "), "{page}");
    let waiting = parked();
    daemon.kill();
    daemon.launch();
    assert_eq!(daemon.runs().iter().filter(|run| run["status"] == "parked").count(), waiting);
    assert_eq!(recorder.arrived().len(), 10);
    // Somebody buys more.
    let path = daemon.path().join("flow.toml");
    let text = std::fs::read_to_string(&path).unwrap().replace("monthly_quota = 10", "monthly_quota = 1000");
    std::fs::write(&path, text).unwrap();
    eventually("all is done once", || {
        let mut ids = put(&recorder);
        ids.sort();
        ids.dedup();
        (ids.len() == 31 && put(&recorder).len() == 31).then_some(())
    });
}

/// What is deleted while numbered pages are asked for has the others move up, one of them over the border between two pages.
#[test]
fn an_item_that_is_deleted_between_numbered_pages_loses_no_other() {
    let items: Arc<Mutex<Vec<Json>>> = Arc::default();
    let deletes: Arc<Mutex<Option<&str>>> = Arc::default();
    let (list, deleted) = (Arc::clone(&items), Arc::clone(&deletes));
    let recorder = Recorder::start(move |request, _| {
        if request.method == "POST" {
            return Some((200, json!({})));
        }
        let mut list = list.lock().unwrap();
        let page: usize = request.path.split("page=").nth(1)?.split('&').next()?.parse().ok()?;
        let answer = json!({ "data": list.iter().skip(3 * page).take(3).collect::<Vec<_>>() });
        if let Some(id) = deleted.lock().unwrap().take() {
            list.retain(|item| item["id"] != id);
        }
        Some((200, answer))
    });
    items.lock().unwrap().push(item("old", Timestamp::now() - SignedDuration::from_hours(1)));
    let numbered = ACME
        .replace("query { limit: 3 }", "query { page: 0 }")
        .replace("pages after last.id while \"has_more\"", "pages page page + 1 of 3");
    let toml = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[connections.acme]\nkey = {{ env = \"TEST_KUSTOMER_KEY\" }}\nbase_url = \"{}\"\npoll = \"1 second\"\n",
        recorder.url
    );
    let daemon = Daemon::start(&[("flow.toml", &toml), ("main.flow", &numbered)]);
    eventually("it has polled", || poll(&daemon)["polled_at"].is_string().then_some(()));
    {
        let mut items = items.lock().unwrap();
        for number in 1..=7 {
            items.insert(0, item(&format!("e{number}"), Timestamp::now()));
        }
        // With it e4, the first of the second page, becomes the last of the first, which was read.
        *deletes.lock().unwrap() = Some("e6");
    }
    eventually("all have come", || {
        let mut put = put(&recorder);
        put.sort();
        (put == ["e1", "e2", "e3", "e4", "e5", "e6", "e7"]).then_some(())
    });
}
