//! The connector `mqtt` against a real Mosquitto, and `log`.

use serde_json::{Value, json};

use crate::support::broker::{Broker, Client, Wire, certificates, self_signed};
use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::program::{flowd, project};

const LISTEN: &str = "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n";

const DOORS: &str = r#"flow doors
  when mqtt.message(topic: "zigbee/+/door")
  do log("{topic} {payload else "?"} {json.contact else "?"}")
"#;

fn toml(port: u16, more: &str) -> String {
    format!("{LISTEN}[connections.mqtt]\nhost = \"127.0.0.1\"\nport = {port}\n{more}")
}

fn start(port: u16, flows: &str) -> Daemon {
    let daemon = Daemon::start(&[("flow.toml", &toml(port, "")), ("main.flow", flows)]);
    listens(&daemon, 1);
    daemon
}

/// Waits until it has subscribed so often.
fn listens(daemon: &Daemon, times: usize) {
    eventually("it listens to the broker", || (daemon.log().matches("listening to a broker").count() >= times).then_some(()));
}

/// The lines that flows have written.
fn written(daemon: &Daemon, count: usize) -> Vec<String> {
    daemon.settled(count);
    lines(daemon)
}

fn lines(daemon: &Daemon) -> Vec<String> {
    let log = daemon.log();
    let of_flows = log.lines().filter(|line| line.contains(" flow=\""));
    of_flows.map(|line| line.split_once("INFO ").unwrap().1.split(" flow=\"").next().unwrap().to_owned()).collect()
}

#[test]
fn a_message_starts_each_flow_that_names_its_topic_and_is_answered_by_another() {
    let Some(broker) = Broker::start() else { return };
    let daemon = start(
        broker.port,
        r#"flow doors
  when mqtt.message(topic: "zigbee/+/door") where json.contact is false
  do mqtt.publish(topic: "house/last", payload: { door: topic, battery: json.battery }, qos: 2)

flow all
  when mqtt.message(topic: "zigbee/#")
  do mqtt.publish_state(topic: "house/state", payload: payload else "?")
"#,
    );
    let mut client = Client::new(broker.port, None);
    client.subscribe("house/#");
    client.publish("zigbee/kitchen/door", r#"{"contact": false, "battery": 87.50}"#, false);
    client.publish("zigbee/kitchen/door", r#"{"contact": true}"#, false);
    client.publish("zigbee/temperature", "21.5", false);
    client.publish("other/door", "x", false);
    let runs = daemon.settled(4);
    assert!(runs.iter().all(|run| run["status"] == "done"), "{runs:?}");
    assert_eq!(serde_json::from_str::<Value>(&client.hears("house/last").payload).unwrap()["door"], "zigbee/kitchen/door");
    assert!(client.hears("house/last").payload.contains("87.5"));
    // Whoever subscribes later finds it.
    let mut late = Client::new(broker.port, None);
    late.subscribe("house/#");
    let state = late.hears("house/state");
    assert!(state.retained, "{state:?}");
    assert!(late.heard().iter().all(|message| message.topic != "house/last"), "only what is to be kept is kept");
    drop(daemon);
}

/// It was always what came too late: a fan was turned on although it had become cool.
#[test]
fn a_run_that_waits_for_a_message_goes_on_with_it_and_with_no_other() {
    let Some(broker) = Broker::start() else { return };
    let daemon = start(
        broker.port,
        r#"flow fan
  when mqtt.message(topic: "room/heat") where json > 28
  do {
    wait for mqtt.message(topic: "room/+") where json < 26 up to 5 hours
      else { stop because "hot" }
    log("cool")
  }
"#,
    );
    let mut client = Client::new(broker.port, None);
    client.publish("room/heat", "29", false);
    eventually("the run waits", || daemon.runs().iter().any(|run| run["status"] == "waiting").then_some(()));
    client.publish("hall/heat", "20", false);
    client.publish("room/heat", "27", false);
    client.publish("room/cold", "20", false);
    let run = daemon.settled(1).remove(0);
    assert_eq!(run["status"], "done", "{run:#}");
    assert_eq!(lines(&daemon), ["cool"]);
}

#[test]
fn a_retained_message_is_an_event_only_where_that_is_asked_for_and_once() {
    let Some(broker) = Broker::start() else { return };
    let mut client = Client::new(broker.port, None);
    client.publish("door/state", "open", true);
    let flows = |retained: &str| {
        format!(
            "flow plain\n  when mqtt.message(topic: \"door/+\")\n  do log(\"plain {{payload else \"?\"}}\")\n\nflow kept\n  when mqtt.message(topic: \"door/state\", retained: {retained})\n  do log(\"kept {{payload else \"?\"}}\")\n"
        )
    };
    let mut daemon = start(broker.port, &flows("true"));
    assert_eq!(written(&daemon, 1), ["kept open"]);
    daemon.terminate();
    daemon.launch();
    listens(&daemon, 2);
    client.publish("door/state", "closed", false);
    let mut lines = written(&daemon, 3);
    lines.sort();
    assert_eq!(lines, ["kept closed", "kept open", "plain closed"], "what is kept comes once, whoever subscribes how often");
}

#[test]
fn a_message_whose_acknowledgement_was_lost_starts_its_flow_once() {
    let Some(broker) = Broker::start() else { return };
    let wire = Wire::to(broker.port);
    let mut daemon = start(wire.port, DOORS);
    let mut client = Client::new(broker.port, None);
    wire.loses(true);
    client.publish("zigbee/a/door", "one", false);
    client.publish("zigbee/a/door", "two", false);
    daemon.settled(2);
    eventually("flowd acknowledges both", || (wire.lost() >= 2).then_some(()));
    daemon.kill();
    wire.loses(false);
    // While it is away another one comes.
    client.publish("zigbee/a/door", "three", false);
    daemon.launch();
    listens(&daemon, 2);
    client.publish("zigbee/a/door", "four", false);
    client.publish("zigbee/a/door", "four", false);
    let mut lines = written(&daemon, 5);
    lines.sort();
    let wanted = ["four", "four", "one", "three", "two"].map(|text| format!("zigbee/a/door {text} ?"));
    assert_eq!(lines, wanted, "broker:\n{}", broker.log());
}

#[test]
fn a_message_that_was_not_in_the_store_comes_again_after_a_kill() {
    let Some(broker) = Broker::start() else { return };
    let mut daemon = start(broker.port, DOORS);
    let mut client = Client::new(broker.port, None);
    // It is on its way, and flowd does not get to it.
    daemon.stand_still();
    for number in 0..20 {
        client.publish("zigbee/a/door", number.to_string(), false);
    }
    daemon.kill();
    daemon.launch();
    let mut lines = written(&daemon, 20);
    assert_eq!(lines.len(), 20);
    lines.sort();
    lines.dedup();
    assert_eq!(lines.len(), 20, "each of them once");
}

#[test]
fn a_broker_that_goes_away_is_found_again_and_other_topics_are_subscribed_to_at_once() {
    let Some(mut broker) = Broker::start() else { return };
    let daemon = start(broker.port, DOORS);
    broker.stop();
    eventually("it says that the broker is gone", || daemon.log().contains("listening fails").then_some(()));
    broker.launch();
    listens(&daemon, 2);
    Client::new(broker.port, None).publish("zigbee/b/door", r#"{"contact": true}"#, false);
    assert_eq!(written(&daemon, 1), [r#"zigbee/b/door {"contact": true} true"#]);
    std::fs::write(daemon.path().join("main.flow"), DOORS.replace("zigbee/+/door", "z2m/+")).unwrap();
    assert_eq!(daemon.tell(&["reload"]).code, 0);
    listens(&daemon, 3);
    let mut client = Client::new(broker.port, None);
    client.publish("zigbee/c/door", "not any more", false);
    client.publish("z2m/c", "now", false);
    assert_eq!(written(&daemon, 2).last().unwrap(), "z2m/c now ?");
    // Nobody listens any more: the broker keeps nothing.
    std::fs::write(daemon.path().join("main.flow"), "every 10 minutes do log(\"x\")\n").unwrap();
    assert_eq!(daemon.tell(&["reload"]).code, 0);
    eventually("the session is gone", || {
        let log = broker.log();
        let last = log.lines().rev().find(|line| line.contains("as flowd-mqtt "))?;
        last.contains("c1,").then_some(())
    });
}

#[test]
fn what_comes_is_hostile_or_large() {
    let Some(broker) = Broker::start() else { return };
    let daemon = start(
        broker.port,
        "flow all\n  when mqtt.message(topic: \"in/#\")\n  do log(\"{topic}: {payload else bytes else \"?\"}\")\n",
    );
    let mut client = Client::new(broker.port, None);
    client.publish("in/large", "x".repeat(10 * 1024 * 1024), false);
    client.publish("in/bytes", [0xff, 0xfe, 0x00], false);
    client.publish("in/empty", "", false);
    client.publish("in/lines", "a\nERROR b\u{1b}[31m\u{202e}c", false);
    client.publish("in/deep", "[".repeat(100_000), false);
    let mut lines = written(&daemon, 4);
    lines.sort();
    assert!(daemon.log().contains("too large"), "the large one is left out");
    let alarms = daemon.tell(&["alarms"]).out;
    assert!(alarms.contains("a message on `in/large` has 10485"), "{alarms}");
    let (deep, others) = (lines.remove(1), lines);
    assert_eq!(others, ["in/bytes: //4A", "in/empty: ", "in/lines: a ERROR b [31m c"]);
    assert!(deep.starts_with("in/deep: [[[") && deep.ends_with('…') && deep.chars().count() <= 1001);
    let status = daemon.tell(&["status"]);
    assert_eq!(status.code, 0, "{status:?}");
}

#[test]
fn a_wrong_password_is_said_and_tls_knows_whom_it_speaks_to() {
    let files = tempfile::tempdir().unwrap();
    if crate::support::broker::mosquitto().is_none() {
        return;
    }
    certificates(files.path());
    let at = files.path().display();
    let hash = std::process::Command::new("mosquitto_passwd")
        .args(["-b", "-c"])
        .arg(files.path().join("users"))
        .args(["ann", SECRET])
        .status();
    assert!(hash.unwrap().success());
    let broker = Broker::start_with(&format!(
        "allow_anonymous false\npassword_file {at}/users\ncafile {at}/ca.pem\ncertfile {at}/server.pem\nkeyfile {at}/server.key\n"
    ))
    .unwrap();
    let toml = |host: &str, ca: &str, secret: &str| {
        format!(
            "{LISTEN}[connections.mqtt]\nhost = \"{host}\"\nport = {}\ntls = true\nusername = \"ann\"\n{ca}password = {{ file = \"{secret}\" }}\n",
            broker.port
        )
    };
    let ca = std::fs::read_to_string(files.path().join("ca.pem")).unwrap();
    let flow = "flow loop\n  when mqtt.message(topic: \"in\")\n  do mqtt.publish(topic: \"out\", payload: \"x\")\n";
    let with_ca = "ca_file = \"ca.pem\"\n";
    let mut daemon = Daemon::start(&[
        ("flow.toml", &toml("localhost", "", "secret")),
        ("main.flow", flow),
        ("ca.pem", &ca),
        ("secret", SECRET),
        ("wrong", "not the password"),
    ]);
    // The certificate is signed by nobody that the machine knows.
    eventually("TLS fails", || daemon.log().contains("TLS with localhost").then_some(()));
    let mut next = |text: String, wanted: &str| {
        std::fs::write(daemon.path().join("flow.toml"), text).unwrap();
        daemon.terminate();
        std::fs::remove_file(daemon.path().join("flowd.log")).unwrap();
        daemon.launch();
        eventually(wanted, || daemon.log().contains(wanted).then_some(()));
    };
    next(toml("localhost", with_ca, "wrong"), "refuses the user name or password");
    next(toml("localhost", with_ca, "secret"), "listening to a broker");
    // The same is known without a daemon, before anything is written.
    let checked = |toml: &str| {
        let folder =
            project(&[("flow.toml", toml), ("main.flow", flow), ("ca.pem", &ca), ("secret", SECRET), ("wrong", "not it")]);
        flowd(folder.path(), &["check-config", "--online"])
    };
    let well = checked(&toml("localhost", with_ca, "secret"));
    assert!(well.code == 0 && well.out.contains("MQTT localhost works"), "{well:?}");
    let wrong = checked(&toml("localhost", with_ca, "wrong"));
    assert!(wrong.code == 1 && wrong.out.contains("MQTT localhost does not work: the credentials are refused"), "{wrong:?}");
    let shown = daemon.get("connections").to_string() + &daemon.log();
    assert!(!shown.contains(SECRET) && !shown.contains("not the password"), "{shown}");
}

#[test]
fn a_certificate_that_is_signed_by_itself_is_trusted_where_it_is_named_and_for_its_name_and_time() {
    if crate::support::broker::mosquitto().is_none() {
        return;
    }
    let last = ("20250101000000Z", "20250201000000Z");
    let next = ("21250101000000Z", "21250201000000Z");
    for (name, valid, other, wanted) in [
        ("localhost", None, false, "listening to a broker"),
        ("localhost", None, true, "neither in"),
        ("elsewhere", None, false, "is for another name"),
        ("localhost", Some(last), false, "has expired"),
        ("localhost", Some(next), false, "not valid yet"),
    ] {
        let files = tempfile::tempdir().unwrap();
        self_signed(files.path(), name, valid);
        let at = files.path().display();
        let tls = format!("allow_anonymous true\ncertfile {at}/server.pem\nkeyfile {at}/server.key\n");
        let broker = Broker::start_with(&tls).unwrap();
        if other {
            // Another one for the same name.
            let files = tempfile::tempdir().unwrap();
            self_signed(files.path(), name, valid);
            std::fs::copy(files.path().join("ca.pem"), std::path::PathBuf::from(at.to_string()).join("ca.pem")).unwrap();
        }
        let ca = std::fs::read_to_string(files.path().join("ca.pem")).unwrap();
        let toml = format!("{LISTEN}[connections.mqtt]\nhost = \"localhost\"\nport = {}\nca_file = \"ca.pem\"\n", broker.port);
        let daemon = Daemon::start(&[("flow.toml", &toml), ("main.flow", DOORS), ("ca.pem", &ca)]);
        eventually(wanted, || daemon.log().contains(wanted).then_some(()));
        assert!(wanted.contains("listening") || !daemon.log().contains("listening to a broker"), "{}", daemon.log());
    }
}

const SECRET: &str = "mqtt-password-that-must-not-leak";

#[test]
fn a_door_is_opened_by_a_message_only_where_the_broker_is_trusted_and_only_at_once() {
    let gate = "connector gate \"Gate\" {\n  base \"https://gate.example\"\n  action open @dangerous(default: 30 seconds, limit: 2 minutes) {\n    POST \"/open\" json {}\n    effect once\n  }\n}\n";
    let flow = "flow opens\n  when mqtt.message(topic: \"door/set\") where payload is \"UNLOCK\"\n  fresh within 30 seconds\n  do gate.open\n";
    let folder = |trusted: &str| {
        let toml =
            format!("{LISTEN}[connections.mqtt]\nhost = \"h\"\n{trusted}[connections.gate]\nbase_url = \"http://127.0.0.1:1\"\n");
        crate::support::program::project(&[("flow.toml", &toml), ("gate.flow", gate), ("main.flow", flow)])
    };
    let check = crate::support::program::flowc(folder("").path(), &["check", "."]);
    assert!(check.code == 1 && check.err.contains("E504") && check.err.contains("trusted = true"), "{check:?}");
    let check = crate::support::program::flowc(folder("trusted = true\n").path(), &["check", "."]);
    assert_eq!(check.code, 0, "{check:?}");

    let Some(broker) = Broker::start() else { return };
    let opened = crate::support::recorder::Recorder::start(|_, _| Some((200, json!({}))));
    let toml = format!("{}[connections.gate]\nbase_url = \"{}\"\n", toml(broker.port, "trusted = true\n"), opened.url);
    let mut daemon = Daemon::start(&[("flow.toml", &toml), ("gate.flow", gate), ("main.flow", flow)]);
    listens(&daemon, 1);
    let mut client = Client::new(broker.port, None);
    client.publish("door/set", "UNLOCK", false);
    let runs = daemon.settled(1);
    assert_eq!((runs[0]["status"].as_str(), opened.count("POST", "/open")), (Some("done"), 1), "{runs:?}");
    // What lay in the queue has no age: whoever asked for it may be gone.
    daemon.kill();
    client.publish("door/set", "UNLOCK", false);
    daemon.launch();
    let runs = daemon.settled(2);
    assert!(runs.iter().any(|run| run["status"] == "stopped" || run["status"] == "dead"), "{runs:?}");
    assert_eq!(opened.count("POST", "/open"), 1, "{runs:?}");
}
