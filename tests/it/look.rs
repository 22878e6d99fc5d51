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
