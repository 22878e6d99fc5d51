//! What the history says, what the door says of itself where the history is late or unreadable, and the queries over it.

use super::*;

const TOLD: &str = "flow told when front_door.locked or front_door.unlocked or front_door.jammed do stop because \"{trigger.name}, {method}, {by else \"nobody\"}, {battery else 0} % of {device}\"\n";

/// Waits until so many runs are over, and returns why they stopped, in order of their text.
fn reasons(daemon: &Daemon, count: usize) -> Vec<String> {
    let runs = daemon.settled(count);
    let mut reasons: Vec<String> = runs.iter().map(|run| run["reason"].as_str().unwrap_or_default().to_owned()).collect();
    reasons.sort();
    assert_eq!(reasons.len(), count, "{reasons:#?}");
    reasons
}

fn poll(daemon: &Daemon) -> Json {
    connection(daemon)["polls"][0].clone()
}

/// How often the history was read.
fn pages(emulators: &Emulators) -> usize {
    let state = emulators.state("sesame");
    let is_history = |call: &&Json| call["path"].as_str().unwrap().ends_with("/history") && call["status"] == 200;
    state["calls"].as_array().unwrap().iter().filter(is_history).count()
}

/// Waits until the history was read, and what was told is dealt with.
fn reads_well(daemon: &Daemon, emulators: &Emulators) {
    let before = pages(emulators);
    another_second();
    // Whatever is reported makes it be read; twice, since a list may be late.
    emulators.happen("sesame", &json!({ "type": "battery", "level": 94 }));
    eventually("the history is read", || (pages(emulators) > before).then_some(()));
    another_second();
    let before = pages(emulators);
    emulators.happen("sesame", &json!({ "type": "battery", "level": 94 }));
    eventually("the history is read twice more", || (pages(emulators) >= before + 2).then_some(()));
    eventually("nothing is wrong with it", || poll(daemon)["error"].is_null().then_some(()));
}

fn another_second() {
    let second = jiff::Timestamp::now().as_second();
    eventually("another second begins", || (jiff::Timestamp::now().as_second() > second).then_some(()));
}

fn unreadable(emulators: &Emulators) {
    emulators.fault("sesame", &json!({ "match": { "method": "GET", "path": "*/history" }, "fault": "status", "status": 500 }));
}

#[test]
fn a_door_that_moves_while_its_history_cannot_be_read_is_told_once_for_each_time() {
    let emulators = Emulators::start();
    let mut daemon = start(&toml(&emulators), TOLD);
    first_look(&daemon);
    unreadable(&emulators);
    another_second();
    emulators.happen("sesame", &json!({ "type": "unlocked", "method": "app", "by": "Marie" }));
    assert_eq!(reasons(&daemon, 1), ["unlocked, unknown, nobody, 94 % of front_door"]);
    // That it cannot be read is to be seen.
    let error = eventually("it is said", || poll(&daemon)["error"].as_str().map(ToOwned::to_owned));
    assert!(error.contains("500"), "{error}");
    // Neither a crash nor a reload says it again.
    daemon.kill();
    daemon.launch();
    another_second();
    emulators.happen("sesame", &json!({ "type": "battery", "level": 90 }));
    emulators.happen("sesame", &json!({ "type": "jammed" }));
    let second = ["jammed, unknown, nobody, 90 % of front_door", "unlocked, unknown, nobody, 94 % of front_door"];
    assert_eq!(reasons(&daemon, 2), second);
    another_second();
    emulators.happen("sesame", &json!({ "type": "locked", "method": "auto_lock" }));
    assert_eq!(reasons(&daemon, 3)[1], "locked, unknown, nobody, 90 % of front_door");
    // The history is there again: it has all of these, and two more that nobody could tell since the door stood as before.
    daemon.terminate();
    another_second();
    emulators.happen("sesame", &json!({ "type": "unlocked", "method": "module", "by": "Ada" }));
    emulators.happen("sesame", &json!({ "type": "locked", "method": "hand" }));
    daemon.launch();
    eventually("it is tried", || poll(&daemon)["error"].as_str().map(ToOwned::to_owned));
    assert_eq!(daemon.settled(3).len(), 3);
    emulators.well_again("sesame");
    let all = reasons(&daemon, 5);
    let new: Vec<&String> = all.iter().filter(|reason| !reason.contains("unknown")).collect();
    assert_eq!(new, ["locked, hand, nobody, 90 % of front_door", "unlocked, module, Ada, 90 % of front_door"], "{all:#?}");
    reads_well(&daemon, &emulators);
    assert_eq!(daemon.settled(5).len(), 5);
    // From here on it is as ever.
    another_second();
    emulators.happen("sesame", &json!({ "type": "unlocked", "method": "web", "by": "Grace" }));
    assert!(reasons(&daemon, 6).contains(&"unlocked, web, Grace, 94 % of front_door".to_owned()));
}

/// A device whose history has no word for what happened, or has it late.
#[test]
fn a_door_that_moves_without_a_line_is_told_all_the_same_and_not_again_when_the_line_is_there() {
    let emulators = Emulators::start();
    let daemon = start(&toml(&emulators), TOLD);
    first_look(&daemon);
    another_second();
    let at = jiff::Timestamp::now().as_millisecond();
    // A code of a device that nobody knows yet.
    emulators.happen("sesame", &json!({ "type": "record", "object": { "recordID": 700, "type": 77, "timeStamp": at } }));
    emulators.happen("sesame", &json!({ "type": "status", "status": "unlocked" }));
    assert_eq!(reasons(&daemon, 1), ["unlocked, unknown, nobody, 94 % of front_door"]);
    let line = json!({ "recordID": 701, "type": 8, "timeStamp": at + 1 });
    emulators.happen("sesame", &json!({ "type": "record", "object": line }));
    reads_well(&daemon, &emulators);
    assert_eq!(daemon.settled(1).len(), 1);
    // A word that nobody knows is no event, and no change when it goes.
    emulators.happen("sesame", &json!({ "type": "status", "status": "ajar" }));
    reads_well(&daemon, &emulators);
    emulators.happen("sesame", &json!({ "type": "status", "status": "unlocked" }));
    reads_well(&daemon, &emulators);
    assert_eq!(daemon.settled(1).len(), 1);
}

/// A device that writes lines of some of its moves alone: what the door told of the others tells two lines of one kind apart, and
/// a line from before is none of what happened since. Whether a flow wants to hear of them is no matter.
#[test]
fn what_has_no_line_tells_apart_what_has_one() {
    let emulators = Emulators::start();
    for flow in [TOLD, "flow opened when front_door.unlocked do stop because \"unlocked, {method}\"\n"] {
        let emulators = if flow == TOLD { &emulators } else { &Emulators::start() };
        let all = flow == TOLD;
        let daemon = start(&toml(emulators), flow);
        first_look(&daemon);
        let mut number = 900;
        let mut line = |code: i64| {
            another_second();
            number += 1;
            let at = jiff::Timestamp::now().as_millisecond();
            let line = json!({ "recordID": number, "type": code, "timeStamp": at });
            emulators.happen("sesame", &json!({ "type": "record", "object": line }));
        };
        let stands = |state: &str| emulators.happen("sesame", &json!({ "type": "status", "status": state }));
        let (mut locked, mut unlocked) = (0, 0);
        for round in 0..3 {
            // By hand, with a line each time; locked with a code that nobody knows yet.
            line(8);
            stands("unlocked");
            unlocked += 1;
            assert_eq!(told(&daemon, locked + unlocked, "unlocked, hand"), unlocked, "round {round}");
            line(30);
            stands("locked");
            locked += usize::from(all);
            reads_well(&daemon, emulators);
            assert_eq!(told(&daemon, locked + unlocked, "locked, unknown"), locked, "round {round}");
        }
        // Neither of these has a line: what the list has last is from before.
        another_second();
        stands("unlocked");
        assert_eq!(told(&daemon, locked + unlocked + 1, "unlocked, unknown"), 1);
        another_second();
        stands("locked");
        locked += usize::from(all);
        reads_well(&daemon, emulators);
        assert_eq!(told(&daemon, locked + unlocked + 1, "locked, unknown"), locked);
        // Within a minute of what had none, and not that.
        line(8);
        stands("unlocked");
        unlocked += 1;
        assert_eq!(told(&daemon, locked + unlocked + 1, "unlocked, hand"), unlocked);
        line(1);
        stands("locked");
        reads_well(&daemon, emulators);
        assert_eq!(told(&daemon, locked + unlocked + 1 + usize::from(all), "unlocked, hand"), unlocked);
    }
}

/// Waits until so many runs are over; returns how many of them begin so.
fn told(daemon: &Daemon, count: usize, begins: &str) -> usize {
    let runs = daemon.settled(count);
    assert_eq!(runs.len(), count, "{runs:#?}");
    runs.iter().filter(|run| run["reason"].as_str().is_some_and(|reason| reason.starts_with(begins))).count()
}

/// A request of ours and the motor that did it, seen by two polls: one act, whatever the door says in between.
#[test]
fn an_act_whose_lines_come_one_by_one_is_told_once() {
    let emulators = Emulators::start();
    let daemon = start(&toml(&emulators), TOLD);
    first_look(&daemon);
    another_second();
    let at = jiff::Timestamp::now().as_millisecond();
    let line = |number: i64, code: i64, at: i64| {
        emulators.happen("sesame", &json!({ "type": "record", "object": { "recordID": number, "type": code, "timeStamp": at } }));
    };
    line(800, 17, at);
    emulators.happen("sesame", &json!({ "type": "battery", "level": 93 }));
    assert_eq!(reasons(&daemon, 1), ["unlocked, web, nobody, 93 % of front_door"]);
    unreadable(&emulators);
    another_second();
    line(801, 11, jiff::Timestamp::now().as_millisecond());
    emulators.happen("sesame", &json!({ "type": "status", "status": "unlocked" }));
    eventually("it cannot be read", || poll(&daemon)["error"].as_str().map(ToOwned::to_owned));
    emulators.well_again("sesame");
    reads_well(&daemon, &emulators);
    assert_eq!(daemon.settled(1).len(), 1);
}

/// The calls of the key are at an end in the middle: what was told before that is told.
#[test]
fn a_key_whose_last_call_tells_that_the_door_moved_is_enough() {
    let emulators = Emulators::start();
    let daemon = start(&toml(&emulators), TOLD);
    eventually("the history was read, and once more since it has nothing", || (pages(&emulators) == 2).then_some(()));
    emulators.fault(
        "sesame",
        &json!({ "match": { "path": "*/history" }, "fault": "status", "status": 403, "body": { "Message": "User is not authorized to access this resource with an explicit deny in an identity-based policy" } }),
    );
    another_second();
    emulators.happen("sesame", &json!({ "type": "unlocked", "method": "hand" }));
    assert_eq!(reasons(&daemon, 1), ["unlocked, unknown, nobody, 94 % of front_door"]);
    let spent = eventually("it is spent", || Some(connection(&daemon)).filter(|one| one["state"] == "spent"));
    assert!(spent["broken"].is_null(), "{spent:#}");
}

/// Whether a flow of ours moved the door or somebody else: two flows that would answer each other come to an end.
#[test]
fn a_door_that_a_flow_moved_is_told_apart_from_one_that_somebody_moved() {
    let emulators = Emulators::start();
    let flow = "flow again\n  when front_door.unlocked\n  where origin is \"external\"\n  do front_door.lock\n\nflow told when front_door.locked or front_door.unlocked do stop because \"{trigger.name} by {origin}\"\n";
    let mut daemon = start(&toml(&emulators), flow);
    first_look(&daemon);
    another_second();
    emulators.happen("sesame", &json!({ "type": "unlocked", "method": "hand" }));
    let told = |daemon: &Daemon, count: usize| {
        let mut told: Vec<String> =
            daemon.settled(count).iter().filter_map(|run| run["reason"].as_str().map(ToOwned::to_owned)).collect();
        told.sort();
        told
    };
    assert_eq!(told(&daemon, 3), ["locked by flow", "unlocked by external"]);
    // Found after a restart, which is late: what we did is ours, and what somebody did is not.
    unreadable(&emulators);
    another_second();
    emulators.happen("sesame", &json!({ "type": "unlocked", "method": "hand" }));
    let all = told(&daemon, 6);
    assert_eq!(all, ["locked by flow", "locked by flow", "unlocked by external", "unlocked by external"]);
    daemon.kill();
    daemon.launch();
    emulators.well_again("sesame");
    reads_well(&daemon, &emulators);
    assert_eq!(told(&daemon, 6), all);
}

/// Histories that were recorded from real devices, and a sample of the vendor. They are not part of the repository.
#[test]
fn recorded_histories_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/sesame");
    let read = |name: &str| -> Option<Json> {
        let text = std::fs::read_to_string(folder.join(name)).ok()?;
        Some(serde_json::from_str::<Json>(&text).unwrap()["response"].clone())
    };
    let (Some(recorded), Some(sample)) = (read("history_recorded.json"), read("history_vendor_sample.json")) else { return };
    let server = Recorder::start(move |request, _| {
        let history = if request.path.contains("/recorded/") { &recorded } else { &sample };
        request.path.contains("/history").then(|| (200, history.clone()))
    });
    let mut toml = "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n".to_owned();
    for name in ["recorded", "sample"] {
        toml.push_str(&format!(
            "\n[connections.{name}]\nconnector = \"sesame\"\nbase_url = \"{}\"\napi_key = \"k\"\nsecret_key = \"0f1e2d3c4b5a69788796a5b4c3d2e1f0\"\ndevice = \"{name}\"\nmonthly_quota = 100_000\n",
            server.url
        ));
    }
    toml.push_str(&format!(
        "\n[connections.courier]\nconnector = \"http\"\nverify = \"standard_webhooks\"\nwebhook_secret = \"{COURIER}\"\n"
    ));
    let flow = r#"flow list
  when courier.received
  do {
    let a = recorded.history()
    let b = recorded.unlocked_history()
    let c = recorded.locked_history()
    let d = sample.history(limit: 1)
    let e = sample.unlocked_history()
    let f = sample.locked_history(since: now - 1 hour)
    stop because "{length(a)} {length(b)} {length(c)} {length(d)} {length(e)} {length(f)}"
  }
"#;
    let daemon = start(&toml, flow);
    courier_comes(&daemon, "msg_1");
    let runs = daemon.settled(1);
    assert_eq!(runs[0]["reason"], "2 1 0 1 1 0", "{runs:#?}");
    let run = daemon.get(&format!("runs/{}?personal=true", runs[0]["id"].as_str().unwrap()));
    let output = |step: usize| run["steps"][step]["output"][0].clone();
    // The newest first, whatever the order of the wire.
    assert_eq!((&output(0)["kind"], &output(0)["record_id"]), (&json!("drive_unlocked"), &json!(312)));
    assert_eq!((&output(3)["kind"], &output(3)["record_id"]), (&json!("drive_unlocked"), &json!(256)));
    let act = output(1);
    assert_eq!((&act["method"], &act["by"], &act["record_id"]), (&json!("web"), &json!("webapi"), &json!(311)), "{act:#}");
    assert_eq!(act["at"], "2021-12-25T00:54:31.108Z", "{act:#}");
    let act = output(4);
    assert_eq!((&act["method"], &act["by"], &act["record_id"]), (&json!("app"), &json!("ドラえもん"), &json!(255)), "{act:#}");
    assert_eq!(act["at"], "2020-08-15T12:01:04Z", "{act:#}");
}
