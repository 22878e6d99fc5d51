//! The connector `mqtt` with brokers that break off, repeat, or say what is no MQTT, and where two programs have one name.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::json;

use crate::support::broker::{Broker, Client, connect_packet};
use crate::support::daemon::Daemon;
use crate::support::scripted::Scripted;
use crate::support::{eventually, http};

const LISTEN: &str = "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n";
const HEARS: &str = "flow hears\n  when mqtt.message(topic: \"in/+\")\n  do log(\"heard {topic} {payload else \"?\"}\")\n";

fn start(port: u16, more: &str, flows: &str) -> Daemon {
    let toml = format!("{LISTEN}[connections.mqtt]\nhost = \"127.0.0.1\"\nport = {port}\n{more}");
    Daemon::start(&[("flow.toml", &toml), ("main.flow", flows)])
}

fn heard(daemon: &Daemon) -> Vec<String> {
    let log = daemon.log();
    let found = log.lines().filter_map(|line| Some(line.split_once("INFO heard ")?.1.split(" flow=").next()?.to_owned()));
    let mut found: Vec<String> = found.collect();
    found.sort();
    found
}

fn alarm(daemon: &Daemon, wanted: &str) {
    eventually(wanted, || daemon.tell(&["alarms"]).out.contains(wanted).then_some(()));
}

#[test]
fn a_message_that_comes_once_starts_its_flow_once_wherever_the_line_breaks() {
    let broker = Scripted::start();
    let mut daemon = start(broker.port, "qos = 2\n", HEARS);
    let mut peer = broker.takes();
    assert_eq!(peer.client_id, "flowd-mqtt");
    peer.publishes(0x34, "in/a", 1, "one");
    assert_eq!(peer.hears(0x50), [0, 1]);
    // The broker has not read that: it sends the message again.
    peer.hangs_up();
    let mut peer = broker.knows();
    peer.publishes(0x3c, "in/a", 1, "one");
    assert_eq!(peer.hears(0x50), [0, 1]);
    // The broker has read that, and starts anew before it reads the end.
    peer.says(&[0x62, 2, 0, 1]);
    assert_eq!(peer.hears(0x70), [0, 1]);
    peer.hangs_up();
    let mut peer = broker.knows();
    for _ in 0..2 {
        peer.says(&[0x62, 2, 0, 1]);
        assert_eq!(peer.hears(0x70), [0, 1]);
    }
    // The number and the text may come again for another message.
    peer.publishes(0x34, "in/a", 1, "one");
    assert_eq!(peer.hears(0x50), [0, 1]);
    daemon.settled(2);
    daemon.kill();
    daemon.launch();
    let mut peer = broker.knows();
    peer.publishes(0x3c, "in/a", 1, "one");
    assert_eq!(peer.hears(0x50), [0, 1]);
    peer.says(&[0x62, 2, 0, 1]);
    assert_eq!(peer.hears(0x70), [0, 1]);
    peer.publishes(0x34, "in/a", 2, "two");
    assert_eq!(peer.hears(0x50), [0, 2]);
    daemon.settled(3);
    assert_eq!(heard(&daemon), ["in/a one", "in/a one", "in/a two"]);
    // A broker that knows us no more may give any number to any message.
    peer.hangs_up();
    let mut peer = broker.takes();
    peer.publishes(0x34, "in/a", 2, "two");
    assert_eq!(peer.hears(0x50), [0, 2]);
    daemon.settled(4);
    assert_eq!(heard(&daemon).len(), 4);
}

#[test]
fn what_is_no_mqtt_ends_the_session_and_the_next_ones_come_more_and_more_rarely() {
    let broker = Scripted::start();
    let daemon = start(broker.port, "", HEARS);
    // A topic that no message can have; a packet that is cut off; a length of five bytes.
    let mut before: Option<Instant> = None;
    for bad in [&b"\x32\x08\0\x04in/+\0\x01"[..], b"\x32\x09\0\x04in", b"\x30\xff\xff\xff\xff\x01"] {
        let mut peer = broker.takes();
        before = Some(Instant::now());
        peer.says(bad);
        if bad.ends_with(b"in") { peer.hangs_up() } else { peer.sees_it_go() }
    }
    alarm(&daemon, "Does another program come as `flowd-mqtt`?");
    let mut peer = broker.takes();
    // At least half of the third pause: 1, 2, 4 seconds.
    assert!(before.unwrap().elapsed() > Duration::from_secs(2), "it came at once");
    let log = daemon.log();
    assert!(log.contains("no MQTT: a topic that no message can have"), "{log}");
    // It still hears, and does not say that all is well before it is.
    peer.publishes(0x32, "in/b", 7, "well");
    assert_eq!(peer.hears(0x40), [0, 7]);
    daemon.settled(1);
    assert_eq!(heard(&daemon), ["in/b well"]);
    alarm(&daemon, "one after another");
}

#[test]
fn what_a_broker_answers_first_is_said() {
    for (answer, wanted) in [
        (&[0x20, 2, 0, 3][..], "not available (3)"),
        (&[0x20, 2, 0, 1], "speaks no MQTT 3.1.1"),
        (&[0x20, 2, 0, 2], "refuses the client id"),
        (&[0x20, 2, 0, 0x87], "not available (135)"),
        (&[0x30, 4, 0, 1, b'a', 0], "does not answer as one"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "no MQTT"),
    ] {
        let broker = Scripted::start();
        let daemon = start(broker.port, "", HEARS);
        broker.comes().says(answer);
        alarm(&daemon, wanted);
    }
}

#[test]
fn two_programs_of_one_name_are_found_out() {
    let Some(broker) = Broker::start() else { return };
    let daemon = start(broker.port, "", HEARS);
    let over = Arc::new(AtomicBool::new(false));
    let (until, port) = (Arc::clone(&over), broker.port);
    let other = std::thread::spawn(move || {
        while !until.load(Ordering::SeqCst) {
            let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { continue };
            stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            stream.write_all(&connect_packet("flowd-mqtt")).unwrap();
            // As long as it is let.
            while !until.load(Ordering::SeqCst) {
                match std::io::Read::read(&mut stream, &mut [0; 100]) {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
                    Err(_) => break,
                }
            }
        }
    });
    alarm(&daemon, "then give one of them another `client_id`".trim_start_matches("then "));
    over.store(true, Ordering::SeqCst);
    other.join().unwrap();
    Client::new(broker.port, None).publish("in/late", "x", false);
    eventually("it hears when the other has gone", || (heard(&daemon) == ["in/late x"]).then_some(()));
}

#[test]
fn what_is_published_while_the_broker_is_away_is_published_once_also_after_a_kill() {
    let Some(mut broker) = Broker::start_with("allow_anonymous true\nlog_type all\n") else { return };
    let more = "[connections.orders]\nconnector = \"http\"\nverify = \"none\"\n";
    let flow = "flow tells\n  when orders.received\n  where body.to is present\n  unverified\n  do mqtt.publish(topic: \"out/{body.to}\", payload: \"x\", qos: 2)\n";
    let mut daemon = start(broker.port, more, flow);
    broker.stop();
    let order = |daemon: &Daemon, to: &str| {
        let body = json!({ "to": to }).to_string();
        let headers = [("content-type", "application/json")];
        assert_eq!(http::send(&daemon.server, "POST", "/v1/webhooks/orders", &headers, body.as_bytes()).status, 200);
    };
    for to in ["a", "b"] {
        order(&daemon, to);
    }
    eventually("both have been tried", || {
        let runs = daemon.runs();
        let tried = |run: &serde_json::Value| daemon.get(&format!("runs/{}", run["id"].as_str().unwrap())).to_string();
        (runs.len() == 2 && runs.iter().all(|run| tried(run).contains("could not connect") || tried(run).contains("refused")))
            .then_some(())
    });
    daemon.kill();
    daemon.launch();
    order(&daemon, "c");
    broker.launch();
    let runs = daemon.settled(3);
    assert!(runs.iter().all(|run| run["status"] == "done"), "{runs:?}");
    let log = broker.log();
    for to in ["a", "b", "c"] {
        let sent = log.matches(&format!("'out/{to}'")).filter(|_| true).count();
        let taken =
            log.lines().filter(|line| line.contains("Received PUBLISH from") && line.contains(&format!("'out/{to}'"))).count();
        assert_eq!(taken, 1, "{to} ({sent}):\n{log}");
    }
}

#[test]
fn a_message_whose_acknowledgement_is_lost_is_never_published_twice_and_never_forgotten() {
    let broker = Scripted::start();
    let more = "[connections.orders]\nconnector = \"http\"\nverify = \"none\"\n";
    let flow = "flow tells\n  when orders.received\n  where body.to is present\n  unverified\n  do mqtt.publish(topic: \"out\", payload: \"x\")\n";
    let mut daemon = start(broker.port, more, flow);
    let order = |daemon: &Daemon| {
        let headers = [("content-type", "application/json")];
        assert_eq!(http::send(&daemon.server, "POST", "/v1/webhooks/orders", &headers, b"{\"to\":1}").status, 200);
    };
    order(&daemon);
    let mut peer = broker.comes();
    peer.says(&[0x20, 2, 0, 0]);
    peer.hears(0x32);
    peer.hangs_up();
    let runs = daemon.settled(1);
    assert_eq!(runs[0]["status"], "dead", "{runs:?}");
    let run = daemon.get(&format!("runs/{}", runs[0]["id"].as_str().unwrap())).to_string();
    assert!(run.contains("the broker has not acknowledged it"), "{run}");
    // Killed in between: the same.
    order(&daemon);
    let mut peer = broker.comes();
    peer.says(&[0x20, 2, 0, 0]);
    peer.hears(0x32);
    daemon.kill();
    drop(peer);
    daemon.launch();
    let runs = daemon.settled(2);
    assert!(runs.iter().all(|run| run["status"] == "dead"), "{runs:?}");
    assert!(daemon.tell(&["alarms"]).out.contains("has dead runs"), "{}", daemon.tell(&["alarms"]).out);
}

#[test]
fn a_shared_subscription_is_heard_and_told_from_no_other() {
    let Some(broker) = Broker::start() else { return };
    let daemon = start(broker.port, "", &HEARS.replace("in/+", "$share/workers/in/+"));
    eventually("it listens", || daemon.log().contains("listening to a broker").then_some(()));
    let mut client = Client::new(broker.port, None);
    client.publish("in/a", "x", false);
    eventually("it is heard", || (heard(&daemon) == ["in/a x"]).then_some(()));
    let both = format!(
        "{}\nflow all\n  when mqtt.message(topic: \"in/#\")\n  do log(\"heard {{topic}} by all\")\n",
        HEARS.replace("in/+", "$share/workers/in/+")
    );
    std::fs::write(daemon.path().join("main.flow"), both).unwrap();
    assert_eq!(daemon.tell(&["reload"]).code, 0);
    alarm(&daemon, "mean the same messages");
    client.publish("in/b", "y", false);
    eventually("the other is heard", || heard(&daemon).contains(&"in/b by all".to_owned()).then_some(()));
    assert_eq!(heard(&daemon), ["in/a x", "in/b by all"]);
}

#[test]
fn a_message_happens_when_it_comes() {
    let Some(broker) = Broker::start() else { return };
    let daemon = start(broker.port, "", HEARS);
    eventually("it listens", || daemon.log().contains("listening to a broker").then_some(()));
    let mut client = Client::new(broker.port, None);
    for round in 1..=5 {
        let before = Timestamp::now();
        client.publish("in/a", "x", false);
        daemon.settled(round);
        let events = daemon.get("events");
        let at: Timestamp = events["events"][0]["occurred_at"].as_str().unwrap_or_else(|| panic!("{events}")).parse().unwrap();
        assert!(
            at.as_millisecond() >= before.as_millisecond(),
            "{at} {before}: it is not as old as the last sign of life of the broker"
        );
    }
}
