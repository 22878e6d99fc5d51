//! What bounds the requests to a connection, as the programs show it.

use serde_json::{Value as Json, json};

use crate::support::daemon::Daemon;
use crate::support::port::Port;
use crate::support::recorder::Recorder;
use crate::support::{eventually, http, stripe};

const LOCKS: &str = r#"connector locks "Locks" {
  base "https://locks.example"
  secret api_key
  setting monthly_quota: int?
  auth bearer(api_key)
  limit 50 per second
  quota 1_000 per month shared by api_key spent on 403
  action lock(door: text) { POST "/{door}/lock" effect set }
}

when stripe.charge_failed where amount < 500 do front.lock(door: "shop")
when stripe.charge_failed where amount >= 500 do back.lock(door: "yard")
"#;

fn project(base: &str) -> Daemon {
    let connection = |name: &str| {
        format!(
            "\n[connections.{name}]\nconnector = \"locks\"\napi_key = {{ env = \"TEST_KUSTOMER_KEY\" }}\nmonthly_quota = 5\nbase_url = \"{base}\"\n"
        )
    };
    let toml = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\n[connections.stripe]\nwebhook_secret = {{ env = \"TEST_WEBHOOK_SECRET\" }}\n{}{}",
        connection("front"),
        connection("back")
    );
    Daemon::start(&[("flow.toml", &toml), ("main.flow", LOCKS)])
}

fn charge(daemon: &Daemon, number: usize, cents: i64) {
    stripe::post(&daemon.server, &stripe::charge_failed(&number.to_string(), cents, "usd", Some("a@example.com")).to_string());
}

fn connection(daemon: &Daemon, name: &str) -> Json {
    let status = daemon.ask(&["status"]);
    status["connections"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone()
}

fn parked(daemon: &Daemon) -> usize {
    daemon.runs().iter().filter(|run| run["status"] == "parked").count()
}

#[test]
fn the_calls_of_a_key_are_counted_over_connections_and_restarts_and_what_is_beyond_waits() {
    let server = Recorder::start(|_, _| Some((200, json!({}))));
    let mut daemon = project(&server.url);
    for number in 0..3 {
        charge(&daemon, number, 10_000);
    }
    charge(&daemon, 3, 90_000);
    eventually("four calls are made", || (server.arrived().len() == 4).then_some(()));
    let front = eventually("all is counted", || Some(connection(&daemon, "front")).filter(|front| front["quota"]["used"] == 4));
    assert_eq!((&front["quota"]["limit"], &front["quota"]["shared_with"]), (&json!(5), &json!(["back"])), "{front:#}");
    daemon.terminate();
    daemon.launch();
    for number in 4..8 {
        charge(&daemon, number, 10_000);
    }
    eventually("three runs are beyond", || (parked(&daemon) == 3).then_some(()));
    eventually("the last call is made", || (server.arrived().len() == 5).then_some(()));
    let run = daemon.runs().into_iter().find(|run| run["status"] == "parked").unwrap();
    let reason = run["reason"].as_str().unwrap();
    assert!(reason.starts_with("quota of `front` is used up until "), "{reason}");
    let page = daemon.tell(&["status"]).out;
    assert!(page.contains("connection front (locks): its quota is used up until "), "{page}");
    assert!(page.contains("3 parked") && page.contains("5 of 5 calls (with back), counted anew on "), "{page}");
    let figures = http::send(&daemon.admin, "GET", "/metrics", &[], b"").body;
    assert!(figures.contains("flow_quota_calls_used{connection=\"back\"} 5\n"), "{figures}");
    assert!(figures.contains("flow_quota_spent{connection=\"front\"} 1\n"), "{figures}");
}

#[test]
fn a_service_that_does_not_answer_is_shown_and_its_runs_go_on_when_flow_toml_names_one_that_does() {
    // Nobody listens there.
    let nowhere = Port::reserve();
    let base = nowhere.url();
    let mut daemon = project(&base);
    for number in 0..5 {
        charge(&daemon, number, 10_000);
    }
    let front =
        eventually("it is known not to answer", || Some(connection(&daemon, "front")).filter(|one| one["state"] == "open"));
    assert!(front["open"]["reason"].as_str().unwrap().starts_with("could not connect"), "{front:#}");
    let page = daemon.tell(&["status"]).out;
    assert!(page.contains("connection front (locks): does not answer since "), "{page}");
    assert!(page.contains("connection back (locks): well"), "{page}");
    let figures = http::send(&daemon.admin, "GET", "/metrics", &[], b"").body;
    assert!(figures.contains("flow_connection_open{connection=\"front\"} 1\n"), "{figures}");
    let since = front["open"]["since"].clone();
    daemon.terminate();
    daemon.launch();
    assert_eq!(connection(&daemon, "front")["open"]["since"], since, "a restart does not forget it");
    let server = Recorder::start(|_, _| Some((200, json!({}))));
    let toml = daemon.folder.path().join("flow.toml");
    let text = std::fs::read_to_string(&toml).unwrap();
    std::fs::write(&toml, text.replace(&base, &server.url)).unwrap();
    eventually("all is done", || {
        let runs = daemon.runs();
        (runs.len() == 5 && runs.iter().all(|run| run["status"] == "done")).then_some(())
    });
    assert_eq!(server.arrived().len(), 5);
    // What nobody could receive was not counted.
    assert_eq!(connection(&daemon, "front")["quota"]["used"], 5);
}
