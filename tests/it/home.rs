//! `homeassistant`: a lock that appears by itself over a real Mosquitto, entities as events, services as actions.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::broker::{Broker, Client};
use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::recorder::Recorder;

/// A lock of the shape of those that are built in.
const BOLT: &str = r#"connector bolt "Bolt" {
  base "https://bolt.example"
  record Status {
    state: locked | unlocked | moved | other
    battery: int?
    online: bool?
    at: datetime unix
  }
  query status -> Status { GET "/status" }
  state state: locked | unlocked | moved | unknown from query status().state every 1 hour
  state battery: int from query status().battery every 1 hour
  state online: bool from query status().online every 1 hour
  action lock -> Status {
    POST "/lock" json {}
    effect set
    confirm status every 1 second up to 10 seconds where state is "locked" and at >= sent_at
  }
  action unlock -> Status @dangerous(default: 1 minute) {
    POST "/unlock" json {}
    effect once
    confirm status every 1 second up to 10 seconds where state is "unlocked" and at >= sent_at
  }
}
"#;

/// A door that does what it is told.
fn door() -> Recorder {
    let state = std::sync::Mutex::new("locked".to_owned());
    Recorder::start(move |request, _| {
        let mut state = state.lock().unwrap();
        match request.path.as_str() {
            "/lock" => "locked".clone_into(&mut state),
            "/unlock" => "unlocked".clone_into(&mut state),
            _ => {}
        }
        let at = jiff::Timestamp::now().as_second();
        Some((200, json!({ "state": *state, "battery": 87, "online": true, "at": at })))
    })
}

/// What a door says of itself, which the test decides.
#[derive(Clone)]
struct Says {
    status: u16,
    state: &'static str,
    battery: u32,
    online: bool,
}

fn toml(broker: u16, door: &str, expose: &str) -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[connections.home]\nconnector = \"homeassistant\"\nhost = \"127.0.0.1\"\nport = {broker}\n[connections.front_door]\nconnector = \"bolt\"\nbase_url = \"{door}\"\n{expose}"
    )
}

const CONFIG: &str = "homeassistant/device/flow_front_door/config";

#[test]
fn a_lock_appears_is_unlocked_once_and_goes() {
    let Some(broker) = Broker::start() else { return };
    let door = door();
    let mut client = Client::new(broker.port, None);
    // What the broker keeps is no command: it would open the door at each start.
    client.publish("flow/front_door/set", "UNLOCK", true);
    let exposed = toml(broker.port, &door.url, "expose = \"home\"\n");
    let mut daemon = Daemon::start(&[("flow.toml", &exposed), ("bolt.flow", BOLT), ("main.flow", "")]);
    client.subscribe("homeassistant/#");
    client.subscribe("flow/+/state");
    client.subscribe("flow/+/battery");
    client.subscribe("flow/+/available");
    client.subscribe("flow/status");
    let config: Value = serde_json::from_str(&client.hears(CONFIG).payload).unwrap();
    let lock = &config["components"]["lock"];
    assert_eq!((&lock["command_topic"], &lock["state_topic"]), (&json!("flow/front_door/set"), &json!("flow/front_door/state")));
    assert_eq!(config["device"]["name"], "front door");
    assert_eq!(config["components"]["battery"]["device_class"], "battery");
    for (topic, payload) in [
        ("flow/front_door/state", "LOCKED"),
        ("flow/front_door/battery", "87"),
        ("flow/front_door/available", "online"),
        ("flow/status", "online"),
    ] {
        eventually(topic, || client.heard().iter().any(|m| m.topic == topic && m.payload == payload).then_some(()));
    }
    assert!(daemon.log().contains("a retained message is no event"), "{}", daemon.log());
    assert_eq!(door.count("POST", "/unlock"), 0);

    client.publish("flow/front_door/set", "UNLOCK", false);
    let states = |client: &Client| -> Vec<String> {
        let heard = client.heard();
        heard.into_iter().filter(|message| message.topic == "flow/front_door/state").map(|message| message.payload).collect()
    };
    eventually("it is unlocked", || (states(&client).last().is_some_and(|state| state == "UNLOCKED")).then_some(()));
    assert!(states(&client).contains(&"UNLOCKING".to_owned()), "{:?}", states(&client));
    assert_eq!(door.count("POST", "/unlock"), 1);
    // Home Assistant starts anew: all of it is said again.
    let configs = |client: &Client| client.heard().iter().filter(|message| message.topic == CONFIG).count();
    let before = configs(&client);
    client.publish("homeassistant/status", "online", false);
    eventually("it is announced again", || (configs(&client) > before).then_some(()));
    eventually("all runs end", || {
        let runs = daemon.runs();
        runs.iter().all(|run| run["status"] == "done").then_some(())
    });

    // Whoever asks while flowd is away has gone by then.
    daemon.kill();
    eventually("the broker says that flowd is gone", || (client.hears("flow/status").payload == "offline").then_some(()));
    client.publish("flow/front_door/set", "UNLOCK", false);
    let before = configs(&client);
    daemon.launch();
    eventually("it is announced", || (configs(&client) > before).then_some(()));
    client.publish("flow/front_door/set", "LOCK", false);
    eventually("it is locked", || (states(&client).last().is_some_and(|state| state == "LOCKED")).then_some(()));
    assert_eq!((door.count("POST", "/unlock"), door.count("POST", "/lock")), (1, 1));

    // No longer exposed: it goes.
    std::fs::write(daemon.path().join("flow.toml"), toml(broker.port, &door.url, "")).unwrap();
    assert_eq!(daemon.tell(&["reload"]).code, 0);
    eventually("the entity is taken away", || client.hears(CONFIG).payload.is_empty().then_some(()));
}

/// What the broker keeps on a topic.
fn kept(broker: &Broker, topic: &str) -> Option<String> {
    let mut client = Client::new(broker.port, None);
    client.subscribe(topic);
    client.subscribe("test/mark");
    // What is kept comes before what comes.
    client.publish("test/mark", "", false);
    client.hears("test/mark");
    client.heard().into_iter().find(|message| message.topic == topic && message.retained).map(|message| message.payload)
}

#[test]
fn a_lock_that_is_disconnected_while_the_broker_is_away_is_taken_away_when_it_is_back() {
    let kept_over_a_stop =
        "allow_anonymous true\npersistence true\npersistence_location {folder}/\nautosave_on_changes true\nautosave_interval 1\n";
    let Some(mut broker) = Broker::start_with(kept_over_a_stop) else { return };
    let door = door();
    let exposed = toml(broker.port, &door.url, "expose = \"home\"\n");
    let daemon = Daemon::start(&[("flow.toml", &exposed), ("bolt.flow", BOLT), ("main.flow", "")]);
    eventually("it is announced", || kept(&broker, CONFIG).filter(|config| config.contains("unique_id")));
    eventually("it is there", || (kept(&broker, "flow/status").as_deref() == Some("online")).then_some(()));
    let config: Value = serde_json::from_str(&kept(&broker, CONFIG).unwrap()).unwrap();
    let names: Vec<&Value> = config["components"].as_object().unwrap().values().map(|one| &one["unique_id"]).collect();
    assert_eq!(names.len(), names.iter().collect::<std::collections::HashSet<_>>().len(), "{names:?}");
    broker.stop();
    let gone = daemon.tell(&["disconnect", "front_door", "--forget", "--yes"]);
    assert_eq!(gone.code, 0, "{gone:?}");
    broker.launch();
    eventually("it is taken away", || kept(&broker, CONFIG).is_none().then_some(()));
    assert_eq!(kept(&broker, "flow/status").as_deref(), Some("offline"));
}

#[test]
fn whether_a_lock_can_be_reached_and_its_battery_are_told_without_a_move_of_its_bolt() {
    let Some(broker) = Broker::start() else { return };
    let says = Arc::new(Mutex::new(Says { status: 200, state: "unlocked", battery: 12, online: false }));
    let door = {
        let says = Arc::clone(&says);
        Recorder::start(move |_, _| {
            let Says { status, state, battery, online } = says.lock().unwrap().clone();
            let at = jiff::Timestamp::now().as_second();
            Some((status, json!({ "state": state, "battery": battery, "online": online, "at": at })))
        })
    };
    let mut client = Client::new(broker.port, None);
    // What an earlier life has left.
    for (topic, payload) in [("available", "online"), ("battery", "94"), ("state", "LOCKED")] {
        client.publish(&format!("flow/front_door/{topic}"), payload, true);
    }
    for topic in ["available", "battery", "state"] {
        client.subscribe(&format!("flow/front_door/{topic}"));
    }
    let exposed = toml(broker.port, &door.url, "expose = \"home\"\n");
    let bolt = BOLT.replace("every 1 hour", "every 200 milliseconds");
    let mut daemon = Daemon::start(&[("flow.toml", &exposed), ("bolt.flow", &bolt), ("main.flow", "")]);
    let latest = |client: &Client, topic: &str| {
        let topic = format!("flow/front_door/{topic}");
        client.heard().into_iter().rfind(|message| message.topic == topic).map(|message| message.payload).unwrap_or_default()
    };
    let becomes = |client: &Client, wanted: [&str; 3]| {
        let now = || ["available", "battery", "state"].map(|topic| latest(client, topic));
        eventually(&format!("{wanted:?}"), || (now() == wanted).then_some(()));
    };
    becomes(&client, ["offline", "12", "UNLOCKED"]);
    let change = |change: &dyn Fn(&mut Says)| change(&mut says.lock().unwrap());
    change(&|says| says.online = true);
    becomes(&client, ["online", "12", "UNLOCKED"]);
    change(&|says| says.battery = 11);
    becomes(&client, ["online", "11", "UNLOCKED"]);
    change(&|says| (says.battery, says.online) = (100, false));
    becomes(&client, ["offline", "100", "UNLOCKED"]);
    change(&|says| says.online = true);
    becomes(&client, ["online", "100", "UNLOCKED"]);

    // What the lock itself does not know is not what it was, and a lock that does not know can be reached.
    change(&|says| says.state = "unknown");
    becomes(&client, ["online", "100", "None"]);
    change(&|says| says.state = "unlocked");
    becomes(&client, ["online", "100", "UNLOCKED"]);

    // Nobody can read it, for long or for good.
    for status in [503, 401] {
        change(&|says| says.status = status);
        becomes(&client, ["offline", "100", "None"]);
        change(&|says| says.status = 200);
        if status == 401 {
            // A key that is refused is tried again every few minutes, or when somebody says that it is mended.
            assert_eq!(daemon.tell(&["reload"]).code, 0);
        }
        becomes(&client, ["online", "100", "UNLOCKED"]);
    }

    // What has changed while nobody looked.
    daemon.kill();
    change(&|says| (says.battery, says.online, says.state) = (5, false, "moved"));
    daemon.launch();
    becomes(&client, ["offline", "5", "JAMMED"]);
}

/// The service takes the command and nothing moves, or it refuses it: what the lock says is told then.
#[test]
fn behind_a_command_that_does_not_move_the_bolt_stands_what_the_lock_says() {
    let Some(broker) = Broker::start() else { return };
    let commands = Arc::new(Mutex::new(200));
    let door = {
        let commands = Arc::clone(&commands);
        Recorder::start(move |request, _| {
            let status = if request.method == "POST" { *commands.lock().unwrap() } else { 200 };
            let at = jiff::Timestamp::now().as_second() - 3_600;
            Some((status, json!({ "state": "locked", "battery": 87, "online": true, "at": at })))
        })
    };
    let mut client = Client::new(broker.port, None);
    client.subscribe("flow/front_door/state");
    let exposed = toml(broker.port, &door.url, "expose = \"home\"\n");
    let bolt = BOLT.replace("every 1 second up to 10 seconds", "every 100 milliseconds up to 1 second");
    let daemon = Daemon::start(&[("flow.toml", &exposed), ("bolt.flow", &bolt), ("main.flow", "")]);
    let states = |client: &Client| client.heard().into_iter().map(|message| message.payload).collect::<Vec<_>>();
    let ends_locked = |states: &[String]| states.last().is_some_and(|state| state == "LOCKED");
    eventually("it is told at first", || ends_locked(&states(&client)).then_some(()));
    for status in [200, 400] {
        *commands.lock().unwrap() = status;
        let before = states(&client).len();
        client.publish("flow/front_door/set", "UNLOCK", false);
        eventually("it is under way", || states(&client)[before..].contains(&"UNLOCKING".to_owned()).then_some(()));
        eventually(&format!("it is locked still, {status}"), || ends_locked(&states(&client)[before..]).then_some(()));
    }
    let stopped = |run: &Value| run["status"] == "stopped" && run["reason"] == "it could not unlock";
    eventually("both runs have stopped", || (daemon.runs().iter().filter(|run| stopped(run)).count() == 2).then_some(()));
    assert_eq!(door.count("POST", "/unlock"), 2);
}

#[test]
fn entities_are_events_and_services_are_actions() {
    let Some(broker) = Broker::start() else { return };
    let home = Recorder::start(|request, _| match request.path.as_str() {
        "/api/states/climate.hall" => {
            Some((200, json!({ "entity_id": "climate.hall", "state": "off", "attributes": { "mode": 1 } })))
        }
        "/api/states/climate.gone" => Some((404, json!({ "message": "Entity not found." }))),
        _ => Some((200, json!([]))),
    });
    let toml = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[connections.homeassistant]\nhost = \"127.0.0.1\"\nport = {}\nbase_url = \"{}\"\ntoken = {{ file = \"token\" }}\n",
        broker.port, home.url
    );
    let flow = r#"flow cold
  when homeassistant.state_changed(entity: "sensor.*")
  where value < 18
  do {
    let climate = homeassistant.state(entity: "climate.hall")
    if climate is present and climate.state is "off" {
      homeassistant.call_service(domain: "climate", service: "turn_on", entity: "climate.hall", data: { hvac_mode: "heat" })
    }
    log("cold {entity} {state}")
  }
"#;
    let daemon = Daemon::start(&[("flow.toml", &toml), ("main.flow", flow), ("token", "ha-token-that-must-not-leak")]);
    eventually("it listens", || daemon.log().contains("listening to a broker").then_some(()));
    let mut client = Client::new(broker.port, None);
    client.publish("homeassistant/sensor/hall/state", "21.5", true);
    client.publish("homeassistant/light/hall/state", "1", true);
    client.publish("homeassistant/sensor/hall/state", "16.5", true);
    let runs = daemon.settled(1);
    assert_eq!((runs.len(), &runs[0]["status"]), (1, &json!("done")), "{runs:?}\n{}", daemon.log());
    assert!(daemon.log().contains("cold sensor.hall 16.5"), "{}", daemon.log());
    let called = home.arrived().into_iter().find(|request| request.path == "/api/services/climate/turn_on").unwrap();
    assert_eq!(called.json(), json!({ "entity_id": "climate.hall", "hvac_mode": "heat" }));
    assert_eq!(called.header("authorization"), Some("Bearer ha-token-that-must-not-leak"));
}
