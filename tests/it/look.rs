//! Looking at a running daemon: status, flows, events, runs, show, why. And what must not be seen.

use serde_json::Value;

use crate::support::daemon::{Daemon, KUSTOMER_KEY, ONE_LINER, STRIPE_KEY, toml};
use crate::support::recorder::{Recorder, kustomer};
use crate::support::{http, stripe};

#[test]
fn why_shows_each_clause_with_its_values() {
    let server = Recorder::kustomer();
    let text = "flow big\n  when stripe.charge_failed\n  where amount > any(100 USD, 90 EUR)\n    and risk_score > 50\n  do kustomer.create_conversation\n";
    let daemon = Daemon::start(&[("flow.toml", &toml(&server.url)), ("a.flow", text)]);
    stripe::post(&daemon.server, &stripe::charge_failed("1", 20_000, "usd", Some("a@example.com")).to_string());
    let why = daemon.ask(&["why", "evt_1"]);
    let flow = &why["flows"][0];
    assert_eq!(flow["flow"], "big", "{why:#}");
    assert_eq!(flow["ran"], Value::Null);
    let clauses = flow["clauses"].as_array().unwrap();
    assert_eq!((clauses[0]["holds"].as_bool(), clauses[1]["holds"].as_bool()), (Some(true), Some(false)), "{why:#}");
    assert_eq!(clauses[1]["text"], "risk_score > 50");
    assert_eq!(clauses[1]["values"][0]["name"], "risk_score");
    let told = daemon.tell(&["why", "evt_1"]);
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.out.contains("risk_score > 50") && told.out.contains('7'), "{told:?}");
}

#[test]
fn show_has_each_step_with_input_output_and_attempts_and_people_can_read_the_rest() {
    let server = Recorder::kustomer();
    let daemon = Daemon::start(&[("flow.toml", &toml(&server.url)), ("a.flow", ONE_LINER)]);
    stripe::post(&daemon.server, &stripe::charge_failed("1", 20_000, "usd", Some("ada@example.com")).to_string());
    let run = daemon.settled(1)[0].clone();
    let id = run["id"].as_str().unwrap();
    let shown = daemon.ask(&["show", id]);
    let steps = shown["steps"].as_array().unwrap();
    assert!(steps.len() >= 4, "{shown:#}");
    for step in steps {
        assert!(step["path"].is_string() && step["call"].is_string() && step["input"].is_object(), "{step:#}");
        assert_eq!(step["attempts"][0]["error"], Value::Null);
    }
    assert!(!shown.to_string().contains("ada@example.com"), "personal data is shortened: {shown:#}");
    assert!(daemon.ask(&["show", id, "--personal"]).to_string().contains("ada@example.com"));
    for args in
        [vec!["status"], vec!["flows"], vec!["events"], vec!["runs"], vec!["dead"], vec!["show", id], vec!["why", "evt_1"]]
    {
        let told = daemon.tell(&args);
        assert_eq!(told.code, 0, "{args:?} {told:?}");
        assert!(!told.out.is_empty(), "{args:?}");
    }
    assert!(daemon.tell(&["runs"]).out.contains(id));
    assert!(daemon.tell(&["events"]).out.contains("evt_1"));
    let unknown = daemon.tell(&["show", "run_nothere"]);
    assert_eq!(unknown.code, 1, "{unknown:?}");
    let nobody = crate::support::program::flowd(tempfile::tempdir().unwrap().path(), &["status"]);
    assert_eq!(nobody.code, 2, "{nobody:?}");
    assert!(nobody.err.contains("flowd run"), "{nobody:?}");
}

#[test]
fn a_paused_flow_starts_nothing_until_it_is_resumed() {
    let server = Recorder::kustomer();
    let text = "flow big when stripe.charge_failed where amount > 100 do kustomer.create_conversation\n";
    let daemon = Daemon::start(&[("flow.toml", &toml(&server.url)), ("a.flow", text)]);
    assert_eq!(daemon.tell(&["pause", "big"]).code, 0);
    stripe::post(&daemon.server, &stripe::charge_failed("1", 20_000, "usd", Some("a@example.com")).to_string());
    assert_eq!(daemon.runs().len(), 0);
    assert_eq!(daemon.tell(&["resume", "big"]).code, 0);
    stripe::post(&daemon.server, &stripe::charge_failed("2", 20_000, "usd", Some("a@example.com")).to_string());
    assert_eq!(daemon.settled(1)[0]["event"], "evt_2");
    assert_eq!(daemon.tell(&["pause", "nothing"]).code, 1);
}

#[test]
fn json_steers_no_terminal_and_says_the_same() {
    let text = "flow big\n  when stripe.charge_failed\n  where customer_email is \"nobody\"\n  do kustomer.create_conversation\n";
    let daemon = Daemon::start(&[("flow.toml", &toml("http://127.0.0.1:9")), ("a.flow", text)]);
    let evil = "evil\u{202e}moc.\u{9b}31m@x\u{7f}";
    let body = stripe::charge_failed("1", 2_000, "usd", Some(evil)).to_string();
    assert_eq!(stripe::post(&daemon.server, &body).status, 200);
    let told = daemon.tell(&["why", "evt_1", "--personal", "--json"]);
    assert!(told.out.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{told:?}");
    let json: serde_json::Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(json["flows"][0]["clauses"][0]["values"][0]["value"], evil, "{json:#}");
}

#[test]
fn why_tells_what_was_repeated_what_never_came_and_what_was_refused() {
    let server = Recorder::kustomer();
    let text = "flow big\n  when stripe.charge_failed\n  where amount > 100 USD\n    and risk_score > 50\n  do kustomer.create_conversation\n";
    let mut daemon = Daemon::start(&[("flow.toml", &toml(&server.url)), ("a.flow", text)]);
    // An event that matched nothing, and came once more.
    let body = stripe::charge_failed("1", 20_000, "usd", Some("a@example.com")).to_string();
    stripe::post(&daemon.server, &body);
    stripe::post(&daemon.server, &body);
    let why = daemon.ask(&["why", "evt_1"]);
    let failed = &why["flows"][0]["failed"];
    assert_eq!((failed["text"].as_str(), failed["place"].as_str()), (Some("risk_score > 50"), Some("a.flow:4")), "{why:#}");
    assert_eq!((why["again"]["count"].as_u64(), why["again"]["via"].as_str()), (Some(1), Some("webhook")), "{why:#}");
    let told = daemon.tell(&["why", "evt_1"]).out;
    assert!(told.contains("`risk_score > 50` does not hold (risk_score = 7), at a.flow:4"), "{told}");
    assert!(told.contains("it came once more"), "{told}");
    assert!(daemon.tell(&["show", "evt_1"]).out.contains("flowd why evt_1"));

    // One that never came: it was refused.
    let headers = [("content-type", "application/json"), ("stripe-signature", "t=1,v1=00")];
    let forged = http::send(&daemon.server, "POST", "/v1/webhooks/stripe", &headers, body.as_bytes());
    assert_eq!(forged.status, 401);
    assert_eq!(http::send(&daemon.server, "POST", "/v1/webhooks/strip", &headers, body.as_bytes()).status, 404);
    let missing = daemon.ask(&["why", "--trigger", "stripe.charge_failed"]);
    let stripe = &missing["connections"][0];
    assert_eq!((stripe["name"].as_str(), stripe["listening"][0].as_str()), (Some("stripe"), Some("big")), "{missing:#}");
    assert_eq!((stripe["refused"][0]["status"].as_u64(), stripe["refused"][0]["count"].as_u64()), (Some(401), Some(1)));
    assert_eq!(
        (stripe["last_of_trigger"]["id"].as_str(), stripe["last_delivery"]["duplicate"].as_bool()),
        (Some("evt_1"), Some(true))
    );
    assert_eq!(missing["unknown_addresses"][0]["code"], "strip");
    let told = daemon.tell(&["why", "--trigger", "stripe.charge_failed"]);
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.out.contains("refused with 401") && told.out.contains("/v1/webhooks/strip, which is no connection"), "{told:?}");
    assert!(daemon.tell(&["why", "--trigger", "stripe.new_dispute"]).out.contains("no live flow listens for stripe.new_dispute"));
    assert!(daemon.tell(&["why", "--trigger", "stripe.nothing"]).err.contains("charge_failed"));

    // An id that no event has: that of the charge, and one mistyped.
    let told = daemon.tell(&["why", "ch_1"]);
    assert_eq!(told.code, 1, "{told:?}");
    assert!(told.out.contains("it is mentioned in evt_1"), "{told:?}");
    assert!(daemon.tell(&["why", "evt_2"]).out.contains("did you mean evt_1"));

    // It is remembered.
    daemon.terminate();
    daemon.launch();
    let after = daemon.ask(&["why", "--trigger", "stripe.charge_failed"]);
    assert_eq!(after["connections"][0]["refused"], stripe["refused"], "{after:#}");
    assert_eq!(daemon.ask(&["why", "evt_1"])["again"]["count"], 1);
}

#[test]
fn why_answers_for_the_version_of_the_time() {
    let server = Recorder::kustomer();
    let text = "flow big\n  when stripe.charge_failed\n  where amount > 500 USD\n  do kustomer.create_conversation\n";
    let daemon = Daemon::start_with(&[("flow.toml", &toml(&server.url)), ("a.flow", text)], &["--no-watch"]);
    stripe::post(&daemon.server, &stripe::charge_failed("1", 20_000, "usd", Some("a@example.com")).to_string());
    let plan = daemon.get("flows")["flows"][0]["hash"].clone();
    std::fs::write(daemon.path().join("a.flow"), text.replace("> 500", "> 100")).unwrap();
    std::fs::write(daemon.path().join("b.flow"), text.replace("flow big", "flow later").replace("> 500", "> 1")).unwrap();
    assert_eq!(daemon.tell(&["reload"]).code, 0);
    let why = crate::support::eventually("the versions are written down", || {
        Some(daemon.ask(&["why", "evt_1"])).filter(|why| !why["flows"][0]["version"].is_null())
    });
    let of = |flow: &str| why["flows"].as_array().unwrap().iter().find(|one| one["flow"] == flow).unwrap();
    assert_eq!(
        (&of("big")["version"]["plan"], of("big")["failed"]["text"].as_str()),
        (&plan, Some("amount > 500 USD")),
        "{why:#}"
    );
    assert!(of("later")["reason"].as_str().unwrap().starts_with("the flow was not live yet when it came"), "{why:#}");
    // Gone by now, and live at the time.
    std::fs::remove_file(daemon.path().join("a.flow")).unwrap();
    assert_eq!(daemon.tell(&["reload"]).code, 0);
    crate::support::eventually("it is told of what is gone", || {
        let why = daemon.tell(&["why", "evt_1", "--flow", "big", "--json"]);
        let why: Value = serde_json::from_str(&why.out).ok()?;
        (why["flows"][0]["failed"]["text"] == "amount > 500 USD").then_some(())
    });
}

#[test]
fn secrets_appear_nowhere() {
    // A service that repeats the key in its error.
    let server = Recorder::start(|request, _| {
        Some(if request.line() == "POST /v1/conversations" {
            (400, serde_json::json!({ "errors": [{ "message": format!("bad token {KUSTOMER_KEY}") }] }))
        } else {
            kustomer(request)
        })
    });
    let toml = toml(&server.url).replace(
        "[connections.stripe]\n",
        &format!("[connections.stripe]\nkey = {{ env = \"TEST_STRIPE_KEY\" }}\nbase_url = \"{}\"\n", server.url),
    );
    let mut daemon = Daemon::start(&[("flow.toml", &toml), ("a.flow", ONE_LINER)]);
    stripe::post(&daemon.server, &stripe::charge_failed("1", 20_000, "usd", Some("a@example.com")).to_string());
    let run = daemon.settled(1)[0]["id"].as_str().unwrap().to_owned();
    let mut seen = daemon.log();
    for path in [
        "status",
        "flows",
        "events",
        "runs",
        "dead",
        "connections",
        "openapi.json",
        "events/evt_1",
        "events/evt_1/why",
        "missing?event=evt_x",
        "missing?trigger=stripe.charge_failed",
        &format!("runs/{run}?personal=true"),
    ] {
        seen.push_str(&http::send(&daemon.admin, "GET", &format!("/api/v1/{path}"), &[], b"").body);
    }
    seen.push_str(&http::send(&daemon.admin, "GET", "/metrics", &[], b"").body);
    daemon.terminate();
    seen.push_str(&daemon.log());
    for entry in walk(&daemon.path().join(".flow")) {
        seen.push_str(&String::from_utf8_lossy(&std::fs::read(entry).unwrap_or_default()));
    }
    for secret in [KUSTOMER_KEY, STRIPE_KEY, stripe::SECRET] {
        assert!(!seen.contains(secret), "{secret} was seen");
    }
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() { files.extend(walk(&entry.path())) } else { files.push(entry.path()) }
    }
    files
}

#[test]
fn the_store_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let daemon = Daemon::one_liner("http://127.0.0.1:9");
    let store = daemon.path().join(".flow");
    let mode = |path: &std::path::Path| std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&store), 0o700);
    for entry in std::fs::read_dir(&store).unwrap().flatten() {
        assert_eq!(mode(&entry.path()) & 0o077, 0, "{}", entry.path().display());
    }
}
