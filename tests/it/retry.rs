//! What fails: tried again where that is safe, dead where it is not, and retried by hand.

use serde_json::json;

use crate::support::daemon::{Daemon, ONE_LINER, toml};
use crate::support::recorder::{Recorder, kustomer, raw};
use crate::support::{eventually, stripe};

#[test]
fn a_conversation_that_kustomer_refused_succeeds_when_it_is_retried() {
    let server = Recorder::start(|request, _| {
        Some(if request.line() == "POST /v1/conversations" {
            (400, json!({ "errors": [{ "code": "bad_request", "message": "name is too short" }] }))
        } else {
            kustomer(request)
        })
    });
    let flow = format!("flow big\n  {ONE_LINER}");
    let daemon = Daemon::start(&[("flow.toml", &toml(&server.url)), ("main.flow", &flow)]);
    stripe::post(&daemon.server, &stripe::charge_failed("1", 20_000, "usd", Some("a@example.com")).to_string());
    let run = daemon.settled(1)[0].clone();
    assert_eq!(run["status"], "dead");
    assert!(run["reason"].as_str().unwrap().contains("name is too short"), "{run:#}");
    let first_key =
        server.arrived().iter().find(|one| one.line() == "POST /v1/conversations").unwrap().json()["externalId"].clone();

    let dead = daemon.ask(&["dead"]);
    assert_eq!(dead["runs"][0]["id"], run["id"], "{dead:#}");

    // It keeps to the version that it began with, which is said where there is another.
    std::fs::write(daemon.path().join("main.flow"), flow.replace("amount > 100", "amount > 150")).unwrap();
    assert_eq!(daemon.tell(&["reload"]).code, 0);
    let outcome = daemon.tell(&["retry", run["id"].as_str().unwrap()]);
    assert!(outcome.code == 0 && outcome.out.contains("`flowd migrate run_"), "{outcome:?}");
    let refused = || server.count("POST", "/v1/conversations") == 2 && daemon.runs()[0]["status"] == "dead";
    crate::support::eventually("it is refused again", || refused().then_some(()));
    std::fs::write(daemon.path().join("main.flow"), &flow).unwrap();
    assert_eq!(daemon.tell(&["reload"]).code, 0);

    server.answer(|request, _| Some(kustomer(request)));
    let outcome = daemon.tell(&["retry", run["id"].as_str().unwrap()]);
    assert!(outcome.code == 0 && !outcome.out.contains("migrate"), "{outcome:?}");
    let again = crate::support::eventually("the retried run ends", || {
        Some(daemon.runs()[0].clone()).filter(|run| run["status"] == "done")
    });
    assert_eq!(again["id"], run["id"]);
    // The customer was made before and is not made again; a definite refusal gets a new key.
    assert_eq!(server.count("POST", "/v1/customers"), 1);
    let keys: Vec<_> = server
        .arrived()
        .iter()
        .filter(|one| one.line() == "POST /v1/conversations")
        .map(|one| one.json()["externalId"].clone())
        .collect();
    assert_eq!(keys.len(), 3);
    assert_ne!(keys[1], first_key);
    assert!(daemon.ask(&["dead"])["runs"].as_array().unwrap().is_empty());
}

#[test]
fn a_charge_without_an_address_is_dead_and_a_retry_says_that_it_will_fail_again() {
    let server = Recorder::kustomer();
    let daemon = Daemon::one_liner(&server.url);
    stripe::post(&daemon.server, &stripe::charge_failed("guest", 20_000, "usd", None).to_string());
    let run = daemon.settled(1)[0].clone();
    assert_eq!(run["status"], "dead");
    assert!(run["reason"].as_str().unwrap().contains("customer_email"), "{run:#}");
    assert!(server.arrived().is_empty(), "a missing field is found before the first effect");
    let outcome = daemon.tell(&["retry", run["id"].as_str().unwrap()]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(outcome.err.contains("fail again") && outcome.err.contains("customer_email"), "{outcome:?}");
}

#[test]
fn a_busy_service_is_asked_again_when_it_says() {
    let server = Recorder::start(|request, before| {
        Some(if before == 0 { (429, json!({ "errors": [{ "message": "slow down" }] })) } else { kustomer(request) })
    });
    let daemon = Daemon::one_liner(&server.url);
    stripe::post(&daemon.server, &stripe::charge_failed("1", 20_000, "usd", Some("a@example.com")).to_string());
    let run = crate::support::eventually("the run ends", || daemon.runs().first().cloned().filter(|run| run["status"] == "done"));
    let shown = daemon.ask(&["show", run["id"].as_str().unwrap()]);
    let attempts = shown["steps"][0]["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 2, "{shown:#}");
    assert_eq!(attempts[0]["status"], 429);
}

#[test]
fn a_conversation_that_may_exist_is_looked_for_before_it_is_made_again() {
    // The first POST is performed and its answer lost.
    let server = Recorder::start(|request, _| Some(kustomer(request)));
    let lost = std::sync::atomic::AtomicBool::new(false);
    let made = std::sync::Mutex::new(None::<serde_json::Value>);
    server.answer(move |request, _| {
        if request.line() == "POST /v1/conversations" && !lost.swap(true, std::sync::atomic::Ordering::SeqCst) {
            *made.lock().unwrap() = Some(request.json()["externalId"].clone());
            return None;
        }
        if let Some(id) = request.path.strip_prefix("/v1/conversations/externalId=") {
            let made = made.lock().unwrap();
            if made.as_ref().and_then(|made| made.as_str()) == Some(id) {
                return Some((200, json!({ "data": { "type": "conversation", "id": "found", "attributes": { "name": "x", "status": "open" }, "relationships": { "customer": { "data": { "type": "customer", "id": "customer_1" } } } } })));
            }
        }
        Some(kustomer(request))
    });
    let daemon = Daemon::start(&[("flow.toml", &toml(&server.url)), ("main.flow", ONE_LINER)]);
    stripe::post(&daemon.server, &stripe::charge_failed("1", 20_000, "usd", Some("a@example.com")).to_string());
    crate::support::eventually("the run ends", || daemon.runs().first().cloned().filter(|run| run["status"] == "done"));
    assert_eq!(server.count("POST", "/v1/conversations"), 1, "{:?}", server.lines());
    assert_eq!(server.count("POST", "/v1/conversations/found/notes"), 1, "{:?}", server.lines());
}

/// A service whose header says whether to try again, and an action of each class.
const ADVISED: &str = "connector acme \"Acme\" {
  base \"https://acme.example\"
  retry on 409
  retry by header \"X-Should-Retry\"
  record Thing { id: text @key }
  query thing(ref: text) -> Thing? @internal { GET \"/found/{ref}\" none on 404 }
  action keyed(text: text) { POST \"/keyed\" json { text } effect keyed header \"Idempotency-Key\" for 24 hours }
  action found(text: text) -> Thing { POST \"/found\" json { text, ref: run.key } effect findable by thing(ref: run.key) }
  action put(text: text) { PUT \"/put\" json { text } effect set }
  action once(text: text) { POST \"/once\" json { text } effect once }
}

";

/// What the service says goes before what its status means, but never makes anything twice that cannot be.
#[test]
fn a_header_that_says_whether_to_try_again_decides_within_what_the_effect_allows() {
    // The call, what is answered first and with which advice, how often it is sent in all, and what becomes of the run.
    let cases = [
        ("keyed", 500, "false", 1, "dead"),
        ("keyed", 400, "true", 2, "done"),
        ("keyed", 409, "false", 1, "dead"),
        ("keyed", 429, "false", 1, "dead"),
        ("keyed", 500, "perhaps", 2, "done"),
        ("keyed", 400, "False", 1, "dead"),
        ("put", 503, "false", 1, "dead"),
        ("put", 422, "true", 2, "done"),
        ("found", 400, "true", 2, "done"),
        ("found", 500, "false", 1, "dead"),
        ("once", 400, "true", 1, "dead"),
        ("once", 500, "true", 1, "dead"),
        ("once", 429, "true", 2, "done"),
        ("once", 429, "false", 1, "dead"),
    ];
    for (call, status, advice, sent, end) in cases {
        let name = format!("{call} {status} {advice}");
        let refused = std::sync::atomic::AtomicBool::new(false);
        let server = Recorder::start_raw(move |request, _| {
            if request.method == "GET" {
                return Some(raw(404, &[], "{}"));
            }
            // Once: however soon it comes again, it is taken then.
            if refused.swap(true, std::sync::atomic::Ordering::SeqCst) {
                return Some(raw(200, &[("content-type", "application/json")], r#"{"id":"t"}"#));
            }
            let advised = [("content-type", "application/json"), ("x-should-retry", advice)];
            Some(raw(status, &advised, r#"{"error":"no"}"#))
        });
        let toml = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[connections.stripe]\nwebhook_secret = {{ env = \"TEST_WEBHOOK_SECRET\" }}\n[connections.acme]\nbase_url = \"{}\"\n",
            server.url
        );
        let flow = format!("{ADVISED}when stripe.charge_failed do acme.{call}(text: id)\n");
        let daemon = Daemon::start(&[("flow.toml", &toml), ("main.flow", &flow)]);
        stripe::post(&daemon.server, &stripe::charge_failed("1", 20_000, "usd", None).to_string());
        let run = daemon.settled(1)[0].clone();
        assert_eq!(run["status"], end, "{name}: {run:#}");
        let made: Vec<_> = server.arrived().into_iter().filter(|one| one.method != "GET").collect();
        assert_eq!(made.len(), sent, "{name}");
        let keys: Vec<_> = made.iter().map(|one| one.header("idempotency-key")).collect();
        assert!(keys.iter().all(|key| *key == keys[0]), "{name}: one key in all attempts");
        let looked = server.arrived().iter().filter(|one| one.method == "GET").count();
        assert_eq!(looked, usize::from(call == "found" && sent == 2), "{name}: looked for before it is made again");
        // A 500 says nothing of what has happened: by hand it is tried with the same key too.
        if (call, status) == ("keyed", 500) && end == "dead" {
            assert!(run["reason"].as_str().unwrap().contains("the outcome is unknown"), "{run:#}");
            assert_eq!(daemon.tell(&["retry", run["id"].as_str().unwrap()]).code, 0);
            eventually("it is done", || (daemon.runs()[0]["status"] == "done").then_some(()));
            let arrived = server.arrived();
            assert_eq!(arrived[0].header("idempotency-key"), arrived[1].header("idempotency-key"));
        }
    }
}

#[test]
fn stripe_says_itself_whether_to_try_again() {
    let server = Recorder::start_raw(|_, _| Some(raw(500, &[("stripe-should-retry", "false")], r#"{"error":{"message":"no"}}"#)));
    let toml = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[connections.stripe]\nwebhook_secret = {{ env = \"TEST_WEBHOOK_SECRET\" }}\nkey = {{ env = \"TEST_STRIPE_KEY\" }}\nbase_url = \"{}\"\npoll = false\n",
        server.url
    );
    let daemon = Daemon::start(&[
        ("flow.toml", &toml),
        ("main.flow", "when stripe.charge_failed do stripe.create_customer(description: id)\n"),
    ]);
    stripe::post(&daemon.server, &stripe::charge_failed("1", 20_000, "usd", Some("a@example.com")).to_string());
    let run = daemon.settled(1)[0].clone();
    assert_eq!((&run["status"], server.count("POST", "/v1/customers")), (&json!("dead"), 1), "{run:#}");
}
