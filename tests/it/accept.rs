//! Webhooks in, effects out: the main job on the wire.

use serde_json::{Value, json};

use crate::support::daemon::{Daemon, KUSTOMER_KEY, toml};
use crate::support::program::project;
use crate::support::recorder::Recorder;
use crate::support::{eventually, http, stripe};

#[test]
fn a_big_failed_charge_opens_a_conversation_with_a_first_note() {
    let kustomer = Recorder::kustomer();
    let daemon = Daemon::one_liner(&kustomer.url);
    let answer =
        stripe::post(&daemon.server, &stripe::charge_failed("1", 12_050, "usd", Some("ada+test@example.com")).to_string());
    assert_eq!((answer.status, answer.json()), (200, json!({ "received": true, "id": "evt_1", "duplicate": false })));

    let runs = daemon.settled(1);
    assert_eq!(runs[0]["status"], "done", "{runs:#?}");
    assert_eq!(
        kustomer.lines(),
        [
            "GET /v1/customers/email=ada%2Btest%40example.com",
            "POST /v1/customers",
            "POST /v1/conversations",
            "POST /v1/conversations/conversation_1/notes",
        ]
    );
    let arrived = kustomer.arrived();
    assert!(arrived.iter().all(|request| request.header("authorization") == Some(&format!("Bearer {KUSTOMER_KEY}"))));
    let conversation = arrived[2].json();
    assert_eq!(conversation["customer"], "customer_1");
    assert_eq!(conversation["name"], "Charge of 120.50 USD failed for ada+test@example.com");
    assert!(conversation["externalId"].as_str().is_some_and(|id| !id.is_empty()), "{conversation}");
}

#[test]
fn only_what_is_over_the_limit_starts_and_yen_are_not_cents() {
    let kustomer = Recorder::kustomer();
    let daemon = Daemon::one_liner(&kustomer.url);
    for (id, amount, currency) in [
        ("small", 10_000, "usd"),
        ("over", 10_001, "usd"),
        ("yen", 101, "jpy"),
        ("few_yen", 100, "jpy"),
        ("dinar", 100_010, "kwd"),
        ("krona", 10_100, "isk"),
    ] {
        let answer =
            stripe::post(&daemon.server, &stripe::charge_failed(id, amount, currency, Some("a@example.com")).to_string());
        assert_eq!(answer.status, 200, "{id}");
    }
    daemon.settled(4);
    let mut names: Vec<String> = kustomer
        .arrived()
        .iter()
        .filter(|one| one.line() == "POST /v1/conversations")
        .map(|one| one.json()["name"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    // 100.00 USD and 100 JPY are not over 100; Stripe counts krónur in hundredths, dinars in thousandths.
    assert_eq!(
        names,
        [
            "Charge of 100.01 USD failed for a@example.com",
            "Charge of 100.010 KWD failed for a@example.com",
            "Charge of 101 ISK failed for a@example.com",
            "Charge of 101 JPY failed for a@example.com",
        ]
    );
}

#[test]
fn the_same_event_starts_once_however_often_it_comes() {
    let kustomer = Recorder::kustomer();
    let daemon = Daemon::one_liner(&kustomer.url);
    let body = stripe::charge_failed("again", 20_000, "usd", Some("a@example.com")).to_string();
    let answers: Vec<Value> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(|| stripe::post(&daemon.server, &body).json())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|answer| answer["duplicate"] == json!(false)).count(), 1, "{answers:#?}");
    daemon.settled(1);
    assert_eq!(kustomer.count("POST", "/v1/conversations"), 1);
    assert_eq!(daemon.runs().len(), 1);
}

#[test]
fn every_bad_request_has_its_status_and_leaves_nothing_behind() {
    let kustomer = Recorder::kustomer();
    let daemon = Daemon::one_liner(&kustomer.url);
    let body = stripe::charge_failed("bad", 20_000, "usd", Some("a@example.com")).to_string();
    let now = jiff::Timestamp::now().as_second();
    let good = stripe::signature_at(stripe::SECRET, now, body.as_bytes());
    let stale = stripe::signature_at(stripe::SECRET, now - 302, body.as_bytes());
    let forged = stripe::signature_at("whsec_other", now, body.as_bytes());
    let json_type = ("content-type", "application/json");
    let status = |method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]| {
        let answer = http::send(&daemon.server, method, path, headers, body);
        if answer.status != 200 {
            assert!(answer.json()["error"]["code"].is_string() && answer.json()["error"]["message"].is_string(), "{answer:?}");
            assert!(!answer.body.contains(stripe::SECRET));
        }
        answer.status
    };
    let webhook = "/v1/webhooks/stripe";
    assert_eq!(status("POST", webhook, &[json_type], body.as_bytes()), 401, "no signature");
    assert_eq!(status("POST", webhook, &[json_type, ("stripe-signature", &stale)], body.as_bytes()), 401, "stale");
    assert_eq!(status("POST", webhook, &[json_type, ("stripe-signature", &forged)], body.as_bytes()), 401, "forged");
    assert_eq!(
        status("POST", webhook, &[json_type, ("stripe-signature", &good.replace("v1=", "v0="))], body.as_bytes()),
        401,
        "downgraded"
    );
    assert_eq!(status("POST", "/v1/webhooks/nobody", &[json_type, ("stripe-signature", &good)], body.as_bytes()), 404);
    assert_eq!(status("GET", webhook, &[], b""), 405);
    assert_eq!(status("POST", webhook, &[("content-type", "text/html"), ("stripe-signature", &good)], body.as_bytes()), 415);
    let garbage = b"{\"id\": \"evt_x\", ";
    let signed_garbage = stripe::signature_at(stripe::SECRET, now, garbage);
    assert_eq!(status("POST", webhook, &[json_type, ("stripe-signature", &signed_garbage)], garbage), 400);
    let large = vec![b' '; 2 * 1024 * 1024];
    assert_eq!(status("POST", webhook, &[json_type, ("stripe-signature", &good)], &large), 413);
    assert_eq!(daemon.get("events")["events"].as_array().map(Vec::len), Some(0));
    assert_eq!(status("POST", webhook, &[json_type, ("stripe-signature", &good)], body.as_bytes()), 200);
    assert_eq!(daemon.settled(1).len(), 1);
}

#[test]
fn an_event_that_no_flow_wants_is_kept_and_answered() {
    let daemon = Daemon::one_liner("http://127.0.0.1:9");
    let mut event = stripe::charge_failed("odd", 1, "usd", None);
    event["type"] = json!("radar.early_fraud_warning.created");
    assert_eq!(stripe::post(&daemon.server, &event.to_string()).status, 200);
    assert_eq!(daemon.get("events/evt_odd")["id"], "evt_odd");
    assert_eq!(daemon.runs().len(), 0);
}

#[test]
fn a_thin_event_is_refused_with_the_reason() {
    let daemon = Daemon::one_liner("http://127.0.0.1:9");
    let body =
        json!({ "id": "evt_thin", "object": "v2.core.event", "type": "v1.charge.failed", "created": "2026-11-22T10:00:00Z" });
    let answer = stripe::post(&daemon.server, &body.to_string());
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("thin"), "{}", answer.body);
}

/// The recorded and constructed payloads beside the project, where they are there.
#[test]
fn recorded_failed_charges_do_the_right_thing() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/stripe/events");
    if !folder.is_dir() {
        return;
    }
    let kustomer = Recorder::kustomer();
    let daemon = Daemon::one_liner(&kustomer.url);
    let mut bodies = Vec::new();
    for kind in ["recorded", "current-shape"] {
        for entry in std::fs::read_dir(folder.join(kind)).unwrap().flatten() {
            if entry.file_name().to_string_lossy().starts_with("charge.failed") {
                bodies.push(std::fs::read_to_string(entry.path()).unwrap());
            }
        }
    }
    assert_eq!(bodies.len(), 4);
    for body in &bodies {
        assert_eq!(stripe::post(&daemon.server, body).status, 200);
    }
    // 120.50 USD with an address is done, 500 JPY without one is dead, 25.00 and 20.00 USD start nothing.
    let mut ends: Vec<(String, String)> = daemon
        .settled(2)
        .iter()
        .map(|run| (run["status"].as_str().unwrap().to_owned(), run["reason"].as_str().unwrap_or("").to_owned()))
        .collect();
    ends.sort();
    assert_eq!(ends.len(), 2, "{ends:?}");
    assert_eq!(ends[0].0, "dead");
    assert!(ends[0].1.contains("customer_email"), "{ends:?}");
    assert_eq!(ends[1].0, "done");
    assert_eq!(kustomer.count("POST", "/v1/conversations"), 1);
}

/// A poll and a webhook of one connection share the memory of what was seen.
#[test]
fn an_event_that_comes_both_ways_runs_once_and_a_first_start_emits_nothing_old() {
    let kustomer = Recorder::kustomer();
    let old = stripe::charge_failed("old", 30_000, "usd", Some("a@example.com"));
    let fresh = stripe::charge_failed("fresh", 30_000, "usd", Some("a@example.com"));
    let listed = std::sync::Arc::new(std::sync::Mutex::new(vec![old]));
    let list = listed.clone();
    let api = Recorder::start(move |request, _| {
        assert!(request.path.starts_with("/v1/events?"), "{}", request.path);
        // As Stripe does: newest first, and only what `created[gte]` asks for.
        let path = request.path.replace("%5B", "[").replace("%5D", "]");
        let since: i64 = path
            .split("created[gte]=")
            .nth(1)
            .and_then(|rest| rest.split('&').next())
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        let data: Vec<Value> =
            list.lock().unwrap().iter().filter(|event| event["created"].as_i64().unwrap() >= since).cloned().collect();
        Some((200, json!({ "object": "list", "data": data, "has_more": false, "url": "/v1/events" })))
    });
    listed.lock().unwrap()[0]["created"] = json!(jiff::Timestamp::now().as_second() - 7200);
    let toml = toml(&kustomer.url).replace(
        "[connections.stripe]\n",
        &format!(
            "[connections.stripe]\nkey = {{ env = \"TEST_STRIPE_KEY\" }}\nbase_url = \"{}\"\npoll = \"1 second\"\n",
            api.url
        ),
    );
    let daemon = Daemon::start(&[("flow.toml", &toml), ("main.flow", crate::support::daemon::ONE_LINER)]);
    eventually("the first poll", || (!api.arrived().is_empty()).then_some(()));
    let asked = api.arrived()[0].path.replace("%5B", "[").replace("%5D", "]");
    assert!(asked.contains("types[]=charge.failed"), "{asked}");
    assert_eq!(stripe::post(&daemon.server, &fresh.to_string()).json()["duplicate"], json!(false));
    listed.lock().unwrap().insert(0, fresh);
    let late = stripe::charge_failed("late", 40_000, "usd", Some("b@example.com"));
    listed.lock().unwrap().insert(0, late);
    let runs = daemon.settled(2);
    let mut events: Vec<&str> = runs.iter().map(|run| run["event"].as_str().unwrap()).collect();
    events.sort_unstable();
    assert_eq!(events, ["evt_fresh", "evt_late"]);
    assert_eq!(kustomer.count("POST", "/v1/conversations"), 2);
}

#[test]
fn a_second_daemon_on_one_store_and_a_port_in_use_are_refused_with_a_reason() {
    let daemon = Daemon::one_liner("http://127.0.0.1:9");
    let second = crate::support::program::flowd(daemon.path(), &["run", "--sandbox"]);
    assert_eq!(second.code, 2, "{second:?}");
    assert!(second.err.contains("another flowd") || second.err.contains("held by"), "{second:?}");

    let port = daemon.server.rsplit(':').next().unwrap();
    let other = project(&[
        (
            "flow.toml",
            &format!(
                "[server]\nlisten = \"127.0.0.1:{port}\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[connections.stripe]\n[connections.kustomer]\n"
            ),
        ),
        ("main.flow", crate::support::daemon::ONE_LINER),
    ]);
    let busy = crate::support::program::flowd(other.path(), &["run", "--sandbox"]);
    assert_eq!(busy.code, 2, "{busy:?}");
    assert!(busy.err.contains("in use") && busy.err.contains(port), "{busy:?}");
}

#[test]
fn once_polls_each_source_finishes_what_runs_and_ends() {
    let kustomer = Recorder::kustomer();
    let api =
        Recorder::start(|_, _| Some((200, json!({ "object": "list", "data": [], "has_more": false, "url": "/v1/events" }))));
    let toml = toml(&kustomer.url).replace(
        "[connections.stripe]\n",
        &format!("[connections.stripe]\nkey = {{ env = \"TEST_STRIPE_KEY\" }}\nbase_url = \"{}\"\n", api.url),
    );
    let folder = project(&[("flow.toml", &toml), ("main.flow", crate::support::daemon::ONE_LINER)]);
    let outcome = crate::support::program::flowd(folder.path(), &["run", "--once"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(outcome.out.contains("ready"), "{outcome:?}");
}
