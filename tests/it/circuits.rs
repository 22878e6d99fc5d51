//! What is well or not by itself: the APIs of a service, and the servers that runs name.

use serde_json::{Value as Json, json};

use crate::support::daemon::Daemon;
use crate::support::port::Port;
use crate::support::recorder::{Recorder, raw};
use crate::support::{eventually, http, stripe};

const HOOKS: &str = "connector hooks \"Hooks\" {
  secret key
  action send(url: text) -> { status: int } {
    POST at url json { id: run.key }
    answer whole
    retry after 0 seconds, 0 seconds, 0 seconds, 0 seconds, 1 second, 1 second, 1 minute
    effect keyed header \"Idempotency-Key\" for 24 hours
  }
}

flow it
when inbox.received
unverified
do hooks.send(url: \"{require body.url}\")
";

fn hooks() -> Daemon {
    let toml = "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[http]\nallow = [\"127.0.0.1\"]\n[connections.inbox]\nconnector = \"http\"\nverify = \"none\"\n[connections.hooks]\nkey = { env = \"TEST_KUSTOMER_KEY\" }\n";
    Daemon::start(&[("flow.toml", toml), ("main.flow", HOOKS)])
}

/// Lets a run begin that sends something there.
fn send(daemon: &Daemon, url: &str) {
    let body = json!({ "url": url }).to_string();
    let headers = [("content-type", "application/json")];
    assert_eq!(http::send(&daemon.server, "POST", "/v1/webhooks/inbox", &headers, body.as_bytes()).status, 200);
}

fn connection(daemon: &Daemon, name: &str) -> Json {
    let connections = daemon.get("connections");
    connections["connections"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone()
}

fn count(daemon: &Daemon, status: &str) -> usize {
    daemon.runs().iter().filter(|run| run["status"] == status).count()
}

#[test]
fn a_receiver_that_is_gone_parks_what_is_for_it_and_nothing_else_over_a_restart_too() {
    let ready = Recorder::start_raw(|_, _| Some(raw(200, &[], "")));
    let port = Port::reserve();
    let gone = port.url();
    let mut daemon = hooks();
    for path in ["a", "b", "c"] {
        send(&daemon, &format!("{gone}/{path}?secret=1"));
    }
    let part = eventually("its circuit opens", || {
        let hooks = connection(&daemon, "hooks");
        assert_eq!(hooks["state"], "ok", "{hooks:#}");
        hooks["parts"].as_array().unwrap().iter().find(|part| part["state"] == "open").cloned()
    });
    assert_eq!(part["origin"].as_str(), Some(gone.as_str()), "{part:#}");
    assert!(part["open"]["reason"].as_str().unwrap().starts_with("could not connect"), "{part:#}");
    // What comes now for the same receiver waits without an attempt, by whatever address of it; others get theirs.
    send(&daemon, &format!("{gone}/d"));
    send(&daemon, &ready.url);
    eventually("the other receiver gets its own", || (ready.arrived().len() == 1 && count(&daemon, "done") == 1).then_some(()));
    eventually("all for the one that is gone are parked", || (count(&daemon, "parked") == 4).then_some(()));
    let page = daemon.tell(&["status"]).out;
    assert!(page.contains("connection hooks (hooks): well"), "{page}");
    assert!(page.contains(&format!("    {gone}: does not answer since ")), "{page}");
    assert!(page.contains(&format!("! hooks {gone} does not answer")), "{page}");
    assert!(!page.contains("secret=1"), "{page}");
    daemon.kill();
    daemon.launch();
    let after = connection(&daemon, "hooks");
    assert_eq!(after["parts"][0]["open"]["since"], part["open"]["since"], "{after:#}");
    send(&daemon, &ready.url);
    eventually("the other one still does", || (ready.arrived().len() == 2).then_some(()));
    let back = Recorder::start_at(port.number, |_, _| Some(raw(200, &[], "")));
    eventually("all goes on when it is back", || (count(&daemon, "done") == 6).then_some(()));
    let keys: std::collections::BTreeSet<String> =
        back.arrived().iter().map(|one| one.header("idempotency-key").unwrap().to_owned()).collect();
    assert_eq!((back.arrived().len(), keys.len()), (4, 4), "each once");
    eventually("nothing is said of it any more", || {
        connection(&daemon, "hooks")["parts"].as_array().unwrap().is_empty().then_some(())
    });
}

#[test]
fn a_receiver_that_wants_patience_or_no_credentials_of_ours_holds_its_own_runs() {
    let busy = Recorder::start_raw(|_, _| Some(raw(429, &[("retry-after", "900")], "")));
    let closed = Recorder::start_raw(|_, _| Some(raw(401, &[], "")));
    let ready = Recorder::start_raw(|_, _| Some(raw(200, &[], "")));
    let daemon = hooks();
    send(&daemon, &busy.url);
    send(&daemon, &closed.url);
    eventually("each is known", || {
        let states: Vec<String> =
            connection(&daemon, "hooks")["parts"].as_array().unwrap().iter().map(|part| part["state"].to_string()).collect();
        (states.len() == 2 && states.contains(&"\"broken\"".to_owned()) && states.contains(&"\"paused\"".to_owned()))
            .then_some(())
    });
    // Another path of a server is the same server.
    send(&daemon, &format!("{}/other", busy.url));
    send(&daemon, &format!("{}/other", closed.url));
    send(&daemon, &ready.url);
    eventually("the third one is done", || (count(&daemon, "done") == 1 && ready.arrived().len() == 1).then_some(()));
    // Two of the four wait by their own answers.
    eventually("the other four wait", || {
        let waits = count(&daemon, "parked") + count(&daemon, "waiting") + count(&daemon, "running");
        (waits == 4 && count(&daemon, "parked") >= 3).then_some(())
    });
    assert_eq!((busy.arrived().len(), closed.arrived().len()), (1, 1));
    let page = daemon.tell(&["alarms"]).out;
    assert!(page.contains(&format!("! hooks {} is broken, 2 runs wait", closed.url)), "{page}");
}

const DESK: &str = "connector desk \"Desk\" {
  secret key
  base \"https://desk.example\"
  auth bearer(key)
  api slow {
    base \"https://slow.desk.example/slow\"
    auth header(\"X-Key\", key)
    limit 1 per hour
  }
  action quick(id: text) { POST \"/quick\" json { id } effect set }
  action slow(id: text) { POST \"/it\" via slow json { id } effect set }
}

when stripe.charge_failed where amount < 500 do desk.quick(id: id)
when stripe.charge_failed where amount >= 500 do desk.slow(id: id)
";

fn desk(service: &Recorder) -> Daemon {
    let toml = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[connections.stripe]\nwebhook_secret = {{ env = \"TEST_WEBHOOK_SECRET\" }}\n[connections.desk]\nkey = {{ env = \"TEST_KUSTOMER_KEY\" }}\nbase_url = \"{}\"\n",
        service.url
    );
    Daemon::start(&[("flow.toml", &toml), ("main.flow", DESK)])
}

fn charge(daemon: &Daemon, number: usize, cents: i64) {
    let body = stripe::charge_failed(&number.to_string(), cents, "usd", Some("a@example.com")).to_string();
    assert_eq!(stripe::post(&daemon.server, &body).status, 200);
}

#[test]
fn an_api_has_a_rate_of_its_own_that_a_restart_keeps() {
    let service = Recorder::start(|_, _| Some((200, json!({}))));
    let mut daemon = desk(&service);
    charge(&daemon, 0, 90_000);
    charge(&daemon, 1, 90_000);
    eventually("one is made", || (service.count("POST", "/slow/it") == 1).then_some(()));
    for number in 2..6 {
        charge(&daemon, number, 100);
    }
    eventually("the other API goes on", || (service.count("POST", "/quick") == 4).then_some(()));
    let part = connection(&daemon, "desk")["parts"][0].clone();
    assert_eq!((&part["api"], &part["rate"]["limit"], &part["rate"]["used"]), (&json!("slow"), &json!(1), &json!(1)), "{part:#}");
    daemon.kill();
    daemon.launch();
    charge(&daemon, 6, 100);
    eventually("the quick one goes on", || (service.count("POST", "/quick") == 5).then_some(()));
    assert_eq!(service.count("POST", "/slow/it"), 1, "the hour is not over");
}

#[test]
fn a_key_that_one_api_refuses_parks_nothing_of_another() {
    let service = Recorder::start(|request, _| {
        Some(if request.path.starts_with("/slow") { (401, json!({ "error": "no such key" })) } else { (200, json!({})) })
    });
    let daemon = desk(&service);
    charge(&daemon, 0, 90_000);
    eventually("it is parked", || (count(&daemon, "parked") == 1).then_some(()));
    charge(&daemon, 1, 100);
    eventually("the other one is done", || (count(&daemon, "done") == 1).then_some(()));
    let desk = connection(&daemon, "desk");
    assert_eq!((&desk["state"], &desk["parts"][0]["state"]), (&json!("broken"), &json!("broken")), "{desk:#}");
    assert!(desk["broken"]["reason"].as_str().unwrap().starts_with("slow API: 401"), "{desk:#}");
    let page = daemon.tell(&["status"]).out;
    assert!(page.contains("! desk slow API is broken, 1 run waits"), "{page}");
    assert!(page.contains("connection desk (desk): broken since ") && page.contains("slow API: 401"), "{page}");
}

/// The three secrets of Customer.io are three credentials.
#[test]
fn a_wrong_track_key_keeps_no_receipt_from_going_out_by_the_app_key() {
    let service = Recorder::start(|request, _| {
        Some(match request.method.as_str() {
            "PUT" => (401, json!({ "meta": { "errors": ["Unauthorized request", "second"] } })),
            _ => (200, json!({ "delivery_id": "d1", "queued_at": 1 })),
        })
    });
    let toml = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[connections.stripe]\nwebhook_secret = {{ env = \"TEST_WEBHOOK_SECRET\" }}\n[connections.customerio]\nsite_id = \"s\"\napi_key = {{ env = \"TEST_KUSTOMER_KEY\" }}\napp_key = {{ env = \"TEST_STRIPE_KEY\" }}\nbase_url = \"{}\"\n",
        service.url
    );
    let flows = "when stripe.charge_failed where amount < 500 do customerio.create_or_update_person(person: id)\n\nwhen stripe.charge_failed where amount >= 500 and customer_email is present\ndo customerio.send_email(to: customer_email, message: \"3\")\n";
    let daemon = Daemon::start(&[("flow.toml", &toml), ("main.flow", flows)]);
    charge(&daemon, 0, 100);
    let parked = eventually("it is parked", || daemon.runs().into_iter().find(|run| run["status"] == "parked"));
    assert!(parked["reason"].as_str().unwrap().starts_with("401: Unauthorized request; second – the site id"), "{parked:#}");
    charge(&daemon, 1, 90_000);
    eventually("the receipt goes out", || (count(&daemon, "done") == 1).then_some(()));
    assert_eq!(service.arrived().iter().filter(|one| one.method == "POST").count(), 1);
    let page = daemon.tell(&["status"]).out;
    assert!(page.contains("connection customerio (customerio): broken since ") && page.contains("the site id"), "{page}");
}
