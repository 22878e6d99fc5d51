//! What starts a flow without an event from outside, with a real flowd and a small device.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::recorder::Recorder;

const DEVICE: &str = r#"connector device "Device" {
  base "http://device.example"
  record Status {
    id: text? @key
    state: locked | unlocked | other
  }
  query status() -> Status { GET "/status" }
  state door: locked | unlocked | unknown from query status().state every 1 minute
  action lock() -> Status { POST "/lock" effect set }
  action jam() -> Status { POST "/jam" effect set }
  action tell(text: text) -> Status { POST "/tell" json { text } effect set }
}
"#;

/// A door that can be opened by hand, and locks when it is told to.
fn door() -> (Arc<AtomicBool>, Recorder) {
    let open = Arc::new(AtomicBool::new(false));
    let state = Arc::clone(&open);
    let device = Recorder::start(move |request, _| {
        if request.line() == "POST /jam" {
            return Some((400, json!({})));
        }
        if request.line() == "POST /lock" {
            state.store(false, Ordering::SeqCst);
        }
        Some((200, json!({ "state": if state.load(Ordering::SeqCst) { "unlocked" } else { "locked" } })))
    });
    (open, device)
}

fn project(device: &Recorder, flows: &str) -> Daemon {
    let toml = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[connections.device]\nbase_url = \"{}\"\npoll = \"1 second\"\n[connections.stripe]\nwebhook_secret = {{ env = \"TEST_WEBHOOK_SECRET\" }}\n",
        device.url
    );
    Daemon::start(&[("flow.toml", &toml), ("device.flow", DEVICE), ("main.flow", flows)])
}

fn events_of(daemon: &Daemon, connection: &str) -> Vec<Value> {
    let events = daemon.get(&format!("events?connection={connection}&limit=500"));
    events["events"].as_array().cloned().unwrap_or_default()
}

#[test]
fn a_door_locks_itself_across_a_kill() {
    let (open, device) = door();
    let flows = "flow auto_lock\n  when device.door is \"unlocked\" for 2 seconds\n  across gaps verify\n  do device.lock\n";
    let mut daemon = project(&device, flows);
    let state = |daemon: &Daemon| daemon.get("connections")["connections"][0]["states"][0].clone();
    eventually("the state is known", || (state(&daemon)["value"] == "locked").then_some(()));
    assert_eq!(device.count("POST", "/lock"), 0);
    open.store(true, Ordering::SeqCst);
    eventually("it is seen", || (state(&daemon)["value"] == "unlocked").then_some(()));
    let since = state(&daemon)["since"].clone();
    daemon.kill();
    daemon.launch();
    eventually("the door locks", || (device.count("POST", "/lock") == 1).then_some(()));
    let event = events_of(&daemon, "device").remove(0);
    assert!(event["id"].as_str().unwrap().starts_with("auto_lock@"), "{event:#}");
    eventually("it is seen", || (state(&daemon)["value"] == "locked").then_some(()));
    assert!(state(&daemon)["since"].as_str() > since.as_str());
    assert!(daemon.tell(&["status"]).out.contains("door locked"));
    assert_eq!(daemon.get("flows")["flows"][0]["clock"][0]["kind"], "state");
    assert_eq!(device.count("POST", "/lock"), 1);
}

#[test]
fn an_interval_keeps_its_beat_across_a_kill() {
    let (_, device) = door();
    let mut daemon = project(&device, "flow beat\n  every 1 second\n  missed all\n  do device.lock\n");
    let beats = |daemon: &Daemon| events_of(daemon, "time");
    eventually("it beats", || (beats(&daemon).len() >= 2).then_some(()));
    assert!(!daemon.get("flows")["flows"][0]["clock"][0]["next_at"].is_null());
    daemon.kill();
    daemon.launch();
    let before = beats(&daemon).len();
    eventually("it beats on", || (beats(&daemon).len() >= before + 2).then_some(()));
    let mut at: Vec<i64> = beats(&daemon)
        .iter()
        .map(|event| event["occurred_at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond())
        .collect();
    at.sort_unstable();
    assert!(at.windows(2).all(|pair| pair[1] - pair[0] == 1000), "each second once, none left out: {at:?}");
}

#[test]
fn a_death_and_a_silence_are_told() {
    let (_, device) = door();
    let flows = "flow breaks\n  every 1 second do device.jam\n\
        flow tell_me\n  when flow.dead do device.tell(text: \"{flow} gave up: {error}\")\n\
        flow quiet\n  when no stripe.new_payment within 1 second\n  do device.lock\n";
    let daemon = project(&device, flows);
    let told = eventually("the death is told", || device.arrived().into_iter().find(|one| one.line() == "POST /tell"));
    assert!(told.json()["text"].as_str().unwrap().starts_with("breaks gave up: device.jam"), "{told:?}");
    eventually("the silence is noticed", || (device.count("POST", "/lock") == 1).then_some(()));
    let dead = events_of(&daemon, "flow").remove(0);
    assert_eq!(dead["type"], "dead");
    let why = daemon.ask(&["why", dead["id"].as_str().unwrap()]);
    let flows = why["flows"].as_array().unwrap();
    assert!(flows.iter().any(|flow| flow["flow"] == "tell_me" && flow["reason"] == "it ran"), "{why:#}");
    assert_eq!(device.count("POST", "/lock"), 1, "once per silence");
}
