//! The lock behind a cloud, through the real daemon: commands that are signed and confirmed, acts out of several records, states,
//! and a key whose calls are used up.

mod history;
mod quota;
mod safety;

use std::path::Path;

use serde_json::{Value as Json, json};

use crate::support::daemon::Daemon;
use crate::support::recorder::Recorder;
use crate::support::sandbox::Emulators;
use crate::support::{eventually, http};

const DOOR: &str = "11223344-5566-7788-99AA-BBCCDDEEFF00";

/// The connector itself, told to be quicker: a test has no 15 seconds to wait for what does not happen.
fn quick() -> String {
    let source = include_str!("../../connectors/sesame.flow");
    let mut quick = source.to_owned();
    for (from, to) in [
        ("every 3 seconds up to", "every 100 milliseconds up to"),
        ("confirm_within: duration = 15 seconds", "confirm_within: duration = 4 seconds"),
        ("every 1 minute within quota", "every 150 milliseconds"),
    ] {
        assert!(quick.contains(from), "{from}");
        quick = quick.replace(from, to);
    }
    quick
}

const FIXTURES: &[(&str, &str)] = &[
    ("fixtures/sesame.locked.json", include_str!("../../connectors/fixtures/sesame.locked.json")),
    ("fixtures/sesame.unlocked.json", include_str!("../../connectors/fixtures/sesame.unlocked.json")),
    ("fixtures/sesame.jammed.json", include_str!("../../connectors/fixtures/sesame.jammed.json")),
    ("fixtures/sesame.battery_low.json", include_str!("../../connectors/fixtures/sesame.battery_low.json")),
    ("fixtures/sesame.offline.json", include_str!("../../connectors/fixtures/sesame.offline.json")),
    ("fixtures/sesame.online.json", include_str!("../../connectors/fixtures/sesame.online.json")),
];

/// flow.toml for a door at these emulators, read several times a second.
fn toml(emulators: &Emulators) -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\n[connections.front_door]\nconnector = \"sesame\"\nmonthly_quota = 100_000_000\n{}\n[connections.courier]\nconnector = \"http\"\nverify = \"standard_webhooks\"\nwebhook_secret = \"{COURIER}\"\n",
        emulators.settings("sesame")
    )
}

fn start(toml: &str, flow: &str) -> Daemon {
    let connector = quick();
    let mut files = vec![("flow.toml", toml), ("main.flow", flow), ("sesame.flow", connector.as_str())];
    files.extend(FIXTURES);
    Daemon::start_with(&files, &["--allow-literal-secrets"])
}

const COURIER: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What is signed in the second in which the daemon was started may be from before it, as far as a clock of seconds tells.
fn next_second(daemon: &Daemon) {
    let started: jiff::Timestamp = daemon.ask(&["status"])["started_at"].as_str().unwrap().parse().unwrap();
    eventually("another second begins", || (jiff::Timestamp::now().as_second() > started.as_second()).then_some(()));
}

/// A courier says that he is at the door, with a signature over an id and the time.
fn courier_comes(daemon: &Daemon, id: &str) {
    use base64::Engine;
    use hmac::{KeyInit, Mac};
    next_second(daemon);
    let base64 = base64::engine::general_purpose::STANDARD;
    let body = json!({ "kind": "arrived" }).to_string();
    let seconds = jiff::Timestamp::now().as_second();
    let key = base64.decode(COURIER.trim_start_matches("whsec_")).unwrap();
    let mut mac = <hmac::Hmac<sha2::Sha256> as KeyInit>::new_from_slice(&key).unwrap();
    mac.update(format!("{id}.{seconds}.{body}").as_bytes());
    let signature = format!("v1,{}", base64.encode(mac.finalize().into_bytes()));
    let seconds = seconds.to_string();
    let headers = [
        ("webhook-id", id),
        ("webhook-timestamp", seconds.as_str()),
        ("webhook-signature", signature.as_str()),
        ("content-type", "application/json"),
    ];
    let answer = http::send(&daemon.server, "POST", "/v1/webhooks/courier", &headers, body.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.body);
}

fn door(emulators: &Emulators) -> Json {
    emulators.state("sesame")["devices"][DOOR].clone()
}

fn codes(door: &Json) -> Vec<i64> {
    door["history"].as_array().unwrap().iter().map(|record| record["type"].as_i64().unwrap()).collect()
}

fn connection(daemon: &Daemon) -> Json {
    let status = daemon.ask(&["status"]);
    status["connections"].as_array().unwrap().iter().find(|one| one["name"] == "front_door").unwrap().clone()
}

/// A state, as `flowd status` shows it.
fn known(daemon: &Daemon, name: &str) -> Json {
    let connection = connection(daemon);
    connection["states"].as_array().unwrap().iter().find(|one| one["state"] == name).cloned().unwrap_or_default()
}

/// Waits until the daemon has looked at the door, so that what happens now is new.
fn first_look(daemon: &Daemon) {
    eventually("the door was looked at", || {
        let polls = connection(daemon)["polls"].clone();
        polls.as_array()?.iter().all(|poll| !poll["polled_at"].is_null()).then_some(())
    });
}

const LOCK_AGAIN: &str =
    "flow lock_again when front_door.unlocked do front_door.lock(note: \"again, by {by else \"somebody\"}\")\n";
const LET_IN: &str =
    "flow let_the_courier_in when courier.received where body.kind is \"arrived\" fresh within 30 seconds do front_door.unlock\n";

#[test]
fn a_door_that_somebody_opens_is_locked_again_once_and_confirmed() {
    let emulators = Emulators::start();
    let daemon = start(&toml(&emulators), LOCK_AGAIN);
    first_look(&daemon);
    // The app asks, the motor arrives: two records, one act.
    emulators.happen("sesame", &json!({ "type": "unlocked", "method": "app", "by": "ドラえもん" }));
    let runs = daemon.settled(1);
    assert_eq!((runs.len(), &runs[0]["status"]), (1, &json!("done")), "{runs:#?}");
    let run = daemon.get(&format!("runs/{}?personal=true", runs[0]["id"].as_str().unwrap()));
    let output = &run["steps"][0]["output"];
    let told = (&output["state"], &output["accepted"], &output["confirmed"]);
    assert_eq!(told, (&json!("locked"), &json!(true), &json!(true)), "{run:#}");
    assert!(output["at"].as_str().is_some(), "{run:#}");
    assert_eq!(run["steps"][0]["attempts"].as_array().unwrap().len(), 1);
    let door = door(&emulators);
    // What we asked for and the motor that did it; the emulator took the signature.
    assert_eq!((&door["accepted"], codes(&door)), (&json!(1), vec![2, 11, 16, 10]), "{door:#}");
    let tag = door["history"][2]["historyTag"].as_str().unwrap();
    use base64::Engine;
    let tag = String::from_utf8(base64::engine::general_purpose::STANDARD.decode(tag).unwrap()).unwrap();
    // 21 bytes, cut between characters.
    assert_eq!(tag, "again, by ドラえ");
}

#[test]
fn an_unlock_is_signed_confirmed_and_named_after_its_flow() {
    let emulators = Emulators::start();
    let daemon = start(&toml(&emulators), LET_IN);
    courier_comes(&daemon, "msg_1");
    let runs = daemon.settled(1);
    assert_eq!(runs[0]["status"], "done", "{runs:#?}");
    let door = door(&emulators);
    assert_eq!((&door["status"]["CHSesame2Status"], codes(&door)), (&json!("unlocked"), vec![17, 11]));
    // "let_the_courier_in" has fewer than 21 bytes.
    assert_eq!(door["history"][0]["historyTag"], "bGV0X3RoZV9jb3VyaWVyX2lu");
}

#[test]
fn a_command_that_moves_nothing_is_not_confirmed() {
    let emulators = Emulators::start();
    let daemon = start(&toml(&emulators), &format!("{LOCK_AGAIN}{LET_IN}"));
    first_look(&daemon);
    // An unlock is a matter for a person then.
    emulators.happen("sesame", &json!({ "type": "sticks", "count": 1 }));
    emulators.happen("sesame", &json!({ "type": "answers", "body": "empty" }));
    courier_comes(&daemon, "msg_1");
    let runs = daemon.settled(1);
    assert_eq!(runs[0]["status"], "dead", "{runs:#?}");
    let reason = runs[0]["reason"].as_str().unwrap();
    assert!(reason.contains("the outcome is unknown") && reason.contains("not confirmed within 4 seconds"), "{reason}");
    assert_eq!(door(&emulators)["accepted"], 1);
    // A lock is told again.
    emulators.happen("sesame", &json!({ "type": "sticks", "count": 1 }));
    emulators.happen("sesame", &json!({ "type": "unlocked" }));
    let runs = daemon.settled(2);
    let locked = runs.iter().find(|run| run["flow"].as_str().unwrap().contains("lock_again")).unwrap();
    assert_eq!(locked["status"], "done", "{locked:#}");
    let run = daemon.get(&format!("runs/{}", locked["id"].as_str().unwrap()));
    assert_eq!(run["steps"][0]["attempts"].as_array().unwrap().len(), 2, "{run:#}");
    assert_eq!(door(&emulators)["accepted"], 3);
}

/// A module that is offline drops what it is told, and may answer 404.
#[test]
fn a_lock_waits_for_a_module_that_is_offline() {
    let emulators = Emulators::start();
    let daemon = start(&toml(&emulators), LOCK_AGAIN);
    first_look(&daemon);
    emulators.happen("sesame", &json!({ "type": "unlocked" }));
    emulators.happen("sesame", &json!({ "type": "offline", "answer": 404 }));
    let run = eventually("it was told once", || {
        let id = daemon.runs().first()?["id"].as_str()?.to_owned();
        let run = daemon.get(&format!("runs/{id}"));
        (!run["steps"][0]["attempts"][0]["status"].is_null()).then_some(run)
    });
    assert_eq!(run["steps"][0]["attempts"][0]["status"], 404, "{run:#}");
    emulators.happen("sesame", &json!({ "type": "online" }));
    let runs = daemon.settled(1);
    assert_eq!(runs[0]["status"], "done", "{runs:#?}");
}

#[test]
fn a_kill_between_sending_and_recording_an_unlock_sends_it_no_second_time() {
    let emulators = Emulators::start();
    let mut daemon = start(&toml(&emulators), LET_IN);
    // It is done, and no answer comes.
    emulators.fault("sesame", &json!({ "match": { "method": "POST" }, "fault": "timeout_after_effect", "times": 1 }));
    courier_comes(&daemon, "msg_1");
    eventually("the door was told", || (door(&emulators)["accepted"] == 1).then_some(()));
    daemon.kill();
    daemon.launch();
    let runs = daemon.settled(1);
    assert_eq!(runs[0]["status"], "dead", "{runs:#?}");
    assert!(runs[0]["reason"].as_str().unwrap().contains("the outcome is unknown"), "{runs:#?}");
    // The same message once more is known.
    courier_comes(&daemon, "msg_1");
    assert_eq!(daemon.settled(1).len(), 1);
    assert_eq!(door(&emulators)["accepted"], 1);
}

#[test]
fn acts_are_found_in_milliseconds_with_the_newest_first() {
    acts_are_found("milliseconds", "newest");
}

#[test]
fn acts_are_found_in_seconds_with_the_oldest_first() {
    acts_are_found("seconds", "oldest");
}

/// Both units of time, both orders, records without a tag and with none, and a device that counts its records anew.
fn acts_are_found(unit: &str, order: &str) {
    let emulators = Emulators::start();
    emulators.happen("sesame", &json!({ "type": "history", "unit": unit, "order": order }));
    let flow = "flow told when front_door.locked or front_door.unlocked or front_door.jammed do stop because \"{trigger.name} {record_id else 0} by {by else \"nobody\"}, {method}\"\n";
    let mut daemon = start(&toml(&emulators), flow);
    first_look(&daemon);
    let told = |daemon: &Daemon, count: usize| {
        let mut told: Vec<String> =
            daemon.settled(count).iter().map(|run| run["reason"].as_str().unwrap_or_default().to_owned()).collect();
        told.sort();
        told
    };
    emulators.happen("sesame", &json!({ "type": "unlocked", "method": "module", "by": "Marie" }));
    assert_eq!(told(&daemon, 1), ["unlocked 1 by Marie, module"]);
    emulators.happen("sesame", &json!({ "type": "locked", "method": "auto_lock" }));
    assert_eq!(told(&daemon, 2), ["locked 3 by nobody, auto_lock", "unlocked 1 by Marie, module"]);
    // The numbers begin again, while the daemon is away.
    daemon.terminate();
    // Of two records with one number in one second nobody could tell that they are two.
    let second = jiff::Timestamp::now().as_second();
    eventually("another second begins", || (jiff::Timestamp::now().as_second() > second).then_some(()));
    emulators.happen("sesame", &json!({ "type": "restart" }));
    emulators.happen("sesame", &json!({ "type": "unlocked", "method": "app", "by": "Marie", "seconds_ago": 0 }));
    emulators.happen("sesame", &json!({ "type": "jammed" }));
    daemon.launch();
    let four =
        ["jammed 3 by nobody, motor", "locked 3 by nobody, auto_lock", "unlocked 1 by Marie, app", "unlocked 1 by Marie, module"];
    assert_eq!(told(&daemon, 4), four);
    // Tags that are no text are shown as digits, codes that nobody knows are no acts, and nor is the fault with its time of 2038.
    let now = jiff::Timestamp::now().as_millisecond();
    for record in [
        json!({ "recordID": 90, "type": 0, "timeStamp": 2_147_483_647 }),
        json!({ "recordID": 91, "type": 77, "timeStamp": now }),
        json!({ "recordID": 92, "type": 7, "timeStamp": now, "historyTag": "//4A", "devicePk": null, "parameter": null }),
    ] {
        emulators.happen("sesame", &json!({ "type": "record", "object": record }));
    }
    emulators.happen("sesame", &json!({ "type": "battery", "level": 93 }));
    assert!(told(&daemon, 5).contains(&"locked 92 by fffe00, hand".to_owned()), "{:?}", told(&daemon, 5));
}

#[test]
fn a_state_that_nobody_knows_is_none_of_those_that_are_known() {
    let emulators = Emulators::start();
    let flow = "when front_door becomes unlocked or front_door becomes locked do stop because \"{value}\"\n\nwhen front_door.battery_low do stop because \"battery {battery}\"\n";
    let daemon = start(&toml(&emulators), flow);
    eventually("it is locked", || (known(&daemon, "state")["value"] == "locked").then_some(()));
    emulators.happen("sesame", &json!({ "type": "status", "status": "ajar" }));
    let state = eventually("it is not known", || Some(known(&daemon, "state")).filter(|state| !state["error"].is_null()));
    assert!(state["error"].as_str().unwrap().contains("does not say what it is"), "{state:#}");
    // Without a word of the module.
    emulators.happen("sesame", &json!({ "type": "offline", "told": false }));
    emulators.happen("sesame", &json!({ "type": "battery", "level": 19 }));
    let runs = daemon.settled(1);
    assert_eq!((runs.len(), &runs[0]["reason"]), (1, &json!("battery 19")), "{runs:#?}");
    emulators.happen("sesame", &json!({ "type": "status", "status": "unlocked" }));
    let mut reasons: Vec<String> = daemon.settled(2).iter().map(|run| run["reason"].as_str().unwrap().to_owned()).collect();
    reasons.sort();
    assert_eq!(reasons, ["battery 19", "unlocked"]);
}

#[test]
fn a_key_that_is_refused_after_it_worked_is_used_up_and_tried_again() {
    let emulators = Emulators::start();
    let daemon = start(&toml(&emulators), LOCK_AGAIN);
    first_look(&daemon);
    emulators.happen("sesame", &json!({ "type": "quota", "limit": 5, "used": 5 }));
    let spent = eventually("it is known to be used up", || Some(connection(&daemon)).filter(|one| one["state"] == "spent"));
    assert!(!spent["quota"]["refused_since"].is_null(), "{spent:#}");
    // That something did not come is asked of events; a state is looked at.
    let asked = daemon.tell(&["why", "--trigger", "front_door.battery"]).err;
    assert!(asked.contains("is a state") && asked.contains("`flowd status`"), "{asked}");
    let page = daemon.tell(&["status"]).out;
    assert!(page.contains("front_door (sesame): its key is refused or its quota is used up since "), "{page}");
    let asked = emulators.state("sesame")["calls"].as_array().unwrap().len();
    // Somebody has bought more calls, and says so by a new line in flow.toml.
    emulators.happen("sesame", &json!({ "type": "quota", "limit": 5_000 }));
    let toml = daemon.path().join("flow.toml");
    let text = std::fs::read_to_string(&toml).unwrap();
    std::fs::write(&toml, text.replace("100_000_000", "90_000_000")).unwrap();
    eventually("it is well", || (connection(&daemon)["state"] == "ok").then_some(()));
    emulators.happen("sesame", &json!({ "type": "unlocked" }));
    assert_eq!(daemon.settled(1)[0]["status"], "done");
    assert!(emulators.state("sesame")["calls"].as_array().unwrap().len() > asked);
}

/// A wrong key has never worked: that is no quota.
#[test]
fn a_wrong_key_is_a_broken_connection() {
    let emulators = Emulators::start();
    let toml = toml(&emulators).replace("sesame_sandbox_api_key", "sesame_another_api_key");
    let daemon = start(&toml, LOCK_AGAIN);
    let broken = eventually("it is broken", || Some(connection(&daemon)).filter(|one| one["state"] == "broken"));
    assert!(broken["broken"]["reason"].as_str().unwrap().contains("403"), "{broken:#}");
}

/// Answers that were recorded from real devices. They are not part of the repository.
#[test]
fn recorded_answers_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/sesame");
    let Ok(files) = std::fs::read_dir(&folder) else { return };
    let read = |path: &Path| -> Json { serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap() };
    let statuses: Vec<(String, Json)> = files
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("status_"))
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), read(&path)["response"].clone()))
        .collect();
    assert!(statuses.len() >= 3);
    let served = statuses.clone();
    let server = Recorder::start(move |request, _| {
        let (_, status) = served.iter().find(|(name, _)| request.path == format!("/api/sesame2/{name}"))?;
        Some((200, status.clone()))
    });
    let mut toml = "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n".to_owned();
    let mut flow = String::new();
    for (name, _) in &statuses {
        toml.push_str(&format!(
            "\n[connections.{name}]\nconnector = \"sesame\"\nbase_url = \"{}\"\napi_key = \"k\"\ndevice = \"{name}\"\npoll = \"1 hour\"\nmonthly_quota = 100_000\n",
            server.url
        ));
        flow.push_str(&format!("when {name}.state becomes moved or {name}.battery_low or {name}.offline do stop\n\n"));
    }
    let daemon = start(&toml, &flow);
    for (name, status) in &statuses {
        let known = eventually(&format!("{name} is read"), || {
            let all = daemon.ask(&["status"]);
            let one = all["connections"].as_array()?.iter().find(|one| one["name"] == name.as_str())?.clone();
            one["states"].as_array()?.iter().all(|state| !state["value"].is_null() || !state["error"].is_null()).then_some(one)
        });
        let value =
            |state: &str| known["states"].as_array().unwrap().iter().find(|one| one["state"] == state).unwrap()["value"].clone();
        assert_eq!(value("state"), status["CHSesame2Status"], "{known:#}");
        assert_eq!(value("battery").to_string(), status["batteryPercentage"].to_string(), "{known:#}");
        assert_eq!(value("module_online"), status["wm2State"], "{known:#}");
    }
}

#[test]
fn a_battery_is_low_once_until_it_was_charged_and_a_module_comes_and_goes() {
    let emulators = Emulators::start();
    let flow = "flow low when front_door.battery_low do stop because \"low {battery}, was {was else 0}\"\n\nflow lower when front_door.battery_low(below: 10) do stop because \"very low {battery}\"\n\nflow away when front_door.offline or front_door.online do stop because \"{trigger.name}\"\n";
    let daemon = start(&toml(&emulators), flow);
    eventually("the battery is known", || (known(&daemon, "battery")["value"] == 94).then_some(()));
    eventually("the module is known", || (known(&daemon, "module_online")["value"] == true).then_some(()));
    let told = |daemon: &Daemon, count: usize| {
        let mut told: Vec<String> =
            daemon.settled(count).iter().map(|run| run["reason"].as_str().unwrap_or_default().to_owned()).collect();
        told.sort();
        told
    };
    let level = |level: i64| emulators.happen("sesame", &json!({ "type": "battery", "level": level }));
    level(19);
    assert_eq!(told(&daemon, 1), ["low 19, was 94"]);
    level(18);
    eventually("it is seen", || (known(&daemon, "battery")["value"] == 18).then_some(()));
    level(9);
    assert_eq!(told(&daemon, 2), ["low 19, was 94", "very low 9"]);
    level(100);
    eventually("it is seen", || (known(&daemon, "battery")["value"] == 100).then_some(()));
    level(15);
    assert_eq!(told(&daemon, 3), ["low 15, was 100", "low 19, was 94", "very low 9"]);
    emulators.happen("sesame", &json!({ "type": "offline" }));
    assert_eq!(told(&daemon, 4)[2..], ["offline", "very low 9"]);
    emulators.happen("sesame", &json!({ "type": "online" }));
    assert_eq!(told(&daemon, 5)[2..], ["offline", "online", "very low 9"]);
}

/// Three states and a poll ask the same: one request serves them all.
#[test]
fn what_is_read_of_a_door_is_read_once_for_all() {
    let emulators = Emulators::start();
    let flow = "when front_door.locked or front_door.unlocked do stop\n\nwhen front_door becomes locked do stop\n\nwhen front_door.battery_low do stop\n\nwhen front_door.offline do stop\n";
    let toml = toml(&emulators).replace("monthly_quota", "poll = \"1 second\"\nmonthly_quota");
    // Before the first request can be made.
    let began = std::time::Instant::now();
    let daemon = start(&toml, flow);
    let asked = || {
        emulators.state("sesame")["calls"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|call| call["path"] == format!("/api/sesame2/{DOOR}"))
            .count()
    };
    eventually("it is read several times", || (asked() >= 4).then_some(()));
    let (asked, seconds) = (asked(), began.elapsed().as_secs_f64());
    // One a second, and one at the start; four a second without.
    assert!(asked as f64 <= seconds + 3.0, "{asked} requests in {seconds} s");
    for state in ["state", "battery", "module_online"] {
        assert!(!known(&daemon, state)["value"].is_null(), "{state}");
    }
}

#[test]
fn histories_are_listed_page_by_page_and_acts_are_one() {
    let emulators = Emulators::start();
    let daemon = start(
        &toml(&emulators),
        r#"flow list
  when courier.received
  do {
    let all = front_door.history(limit: 200)
    let few = front_door.history(limit: 3)
    let locked = front_door.locked_history(limit: 30)
    let unlocked = front_door.unlocked_history(since: now - 1 hour)
    let status = front_door.status()
    stop because "{length(all)} {length(few)} {length(locked)} {length(unlocked)} {status.state} {status.battery else 0}"
  }
"#,
    );
    // Old acts, then 70 of this hour: each is asked for over Bluetooth and done by the motor.
    for ago in [9_000, 8_000] {
        emulators.happen("sesame", &json!({ "type": "unlocked", "method": "app", "by": "Marie", "seconds_ago": ago }));
        emulators.happen("sesame", &json!({ "type": "locked", "method": "auto_lock", "seconds_ago": ago - 500 }));
    }
    for act in 0..35 {
        let ago = 3_000 - act * 20;
        emulators.happen("sesame", &json!({ "type": "unlocked", "method": "app", "by": "Marie", "seconds_ago": ago }));
        emulators.happen("sesame", &json!({ "type": "locked", "method": "auto_lock", "seconds_ago": ago - 10 }));
    }
    emulators.happen("sesame", &json!({ "type": "status", "status": "ajar" }));
    courier_comes(&daemon, "msg_1");
    let runs = daemon.settled(1);
    assert_eq!(runs[0]["reason"], "148 3 30 35 unknown 94", "{runs:#?}");
    let pages = |calls: &Json| -> Vec<String> {
        let calls = calls.as_array().unwrap().iter().filter(|call| call["path"].as_str().unwrap().ends_with("/history"));
        calls
            .map(|call| {
                let query = call["query"].as_array().unwrap();
                query.iter().find(|pair| pair[0] == "page").unwrap()[1].as_str().unwrap().to_owned()
            })
            .collect()
    };
    let asked = pages(&emulators.state("sesame")["calls"]);
    // All in three pages; three of the first; thirty acts of four lines each in three; those of this hour in three.
    assert_eq!(asked, ["0", "1", "2", "0", "0", "1", "2", "0", "1", "2"], "{asked:?}");
    let run = daemon.get(&format!("runs/{}?personal=true", runs[0]["id"].as_str().unwrap()));
    let first = &run["steps"][3]["output"][0];
    assert_eq!((&first["method"], &first["by"], &first["code"]), (&json!("app"), &json!("Marie"), &json!(2)), "{first:#}");
    let newest = &run["steps"][0]["output"][0];
    assert_eq!((&newest["kind"], &newest["record_id"]), (&json!("drive_locked"), &json!(148)), "{newest:#}");
}

/// More happened between two polls than one page holds.
#[test]
fn a_busy_door_is_polled_page_by_page() {
    let emulators = Emulators::start();
    let flow = "flow count when front_door.unlocked do stop because \"{record_id else 0}\"\n";
    let mut daemon = start(&toml(&emulators), flow);
    first_look(&daemon);
    daemon.terminate();
    for _ in 0..40 {
        emulators.happen("sesame", &json!({ "type": "unlocked", "method": "app" }));
        emulators.happen("sesame", &json!({ "type": "locked", "method": "app" }));
    }
    daemon.launch();
    let runs = daemon.settled(40);
    let mut records: Vec<i64> = runs.iter().map(|run| run["reason"].as_str().unwrap().parse().unwrap()).collect();
    records.sort_unstable();
    assert_eq!(records, (0..40).map(|act| act * 4 + 1).collect::<Vec<_>>());
}

#[test]
fn a_bot_presses_its_button_once() {
    let emulators = Emulators::start();
    let bot = "99AABBCC-DDEE-FF00-1122-334455667788";
    let toml = toml(&emulators).replace(DOOR, bot);
    let daemon = start(&toml, "flow press when courier.received do front_door.click(note: \"hello\")\n");
    courier_comes(&daemon, "msg_1");
    let runs = daemon.settled(1);
    assert_eq!(runs[0]["status"], "done", "{runs:#?}");
    let device = emulators.state("sesame")["devices"][bot].clone();
    assert_eq!((&device["accepted"], &device["history"][0]["type"]), (&json!(1), &json!(20)), "{device:#}");
}
