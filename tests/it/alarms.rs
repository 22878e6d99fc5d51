//! Alarms as whoever runs the daemon meets them: nothing is set up for them.

use serde_json::Value;

use crate::support::daemon::{Daemon, ONE_LINER, toml};
use crate::support::eventually;
use crate::support::recorder::{Recorder, kustomer};
use crate::support::{http, stripe};

const FLOW: &str = "flow big when stripe.charge_failed where amount > 100 do kustomer.create_conversation\n";

fn charge(n: usize) -> String {
    stripe::charge_failed(&n.to_string(), 20_000, "usd", Some("a@example.com")).to_string()
}

#[test]
fn a_flood_is_paused_kept_and_made_up_for() {
    let server = Recorder::kustomer();
    let toml = format!("{}\n[run]\nflood = 3\n", toml(&server.url));
    let mut daemon = Daemon::start(&[("flow.toml", &toml), ("a.flow", FLOW)]);
    for n in 0..8 {
        assert_eq!(stripe::post(&daemon.server, &charge(n)).status, 200);
    }
    assert_eq!(daemon.settled(3).len(), 3);
    assert_eq!(daemon.get("events")["events"].as_array().unwrap().len(), 8);
    assert_eq!(daemon.tell(&["status"]).code, 0);
    daemon.kill();
    daemon.launch();
    let told = daemon.tell(&["status", "--check"]);
    assert_eq!(told.code, 1, "{told:?}");
    assert!(told.out.contains("! big is paused") && told.out.contains("-> flowd resume big"), "{told:?}");
    assert!(told.out.contains("3 times within an hour") && told.out.contains("5 events were kept"), "{told:?}");
    assert!(daemon.tell(&["flows"]).out.contains("paused (flood)"));
    assert!(daemon.log().contains("the flow is paused"));
    let metrics = http::send(&daemon.admin, "GET", "/metrics", &[], b"").body;
    assert!(metrics.contains("flow_alarms{kind=\"paused\"} 1") && metrics.contains("flow_flows_paused 1"), "{metrics}");
    let resumed = daemon.tell(&["resume", "big"]);
    assert!(resumed.out.contains("5 events were kept"), "{resumed:?}");
    // The command that it names works as it stands there.
    let replay = resumed.out.split('`').nth(1).unwrap().to_owned();
    let args: Vec<&str> = replay.split(' ').skip(1).chain(["--yes"]).collect();
    let told = daemon.tell(&args);
    assert_eq!(told.code, 0, "{replay}: {told:?}");
    assert_eq!(daemon.settled(8).len(), 8);
    assert_eq!(daemon.tell(&["status", "--check"]).code, 0);
    assert_eq!(daemon.tell(&["alarms"]).out, "no alarms\n");
    let trusted = daemon.tell(&["trust-clock"]);
    assert!(trusted.code == 0 && trusted.out.starts_with("the clock counts as it is: 20"), "{trusted:?}");
    assert!(daemon.log().contains("a person says that the clock is right"));
}

#[test]
fn what_does_not_fit_is_shown_field_by_field_and_can_be_retried_when_it_does() {
    let server = Recorder::kustomer();
    let daemon = Daemon::start(&[("flow.toml", &toml(&server.url)), ("a.flow", FLOW)]);
    let odd =
        |n: usize| charge(n).replace("\"risk_score\":7", "\"risk_score\":\"\\u001b[31mhigh\"").replace("20000", "\"2 hundred\"");
    for n in 0..3 {
        let answer = stripe::post(&daemon.server, &odd(n));
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let dead = daemon.settled(3);
    assert!(dead.iter().all(|run| run["status"] == "dead"), "{dead:#?}");
    let told = daemon.tell(&["events", "--misfits"]);
    assert!(told.out.contains("data.object.amount") && told.out.contains("text (2 hundred)"), "{told:?}");
    assert!(told.out.contains("stripe.charge_failed") && !told.out.contains('\u{1b}'), "{told:?}");
    println!("{}", told.out);
    assert_eq!(daemon.get("events?misfit=true")["events"].as_array().unwrap().len(), 3);
    assert_eq!(daemon.get("events?misfit=true&trigger=stripe.charge_failed")["events"][0]["misfits"][0]["field"], "amount");
    let alarms = daemon.ask(&["alarms"]);
    let of = |kind: &str| alarms["alarms"].as_array().unwrap().iter().find(|alarm| alarm["kind"] == kind).cloned().unwrap();
    assert_eq!((of("misfit")["count"].as_u64(), of("dead")["count"].as_u64()), (Some(3), Some(3)), "{alarms:#}");
    assert_eq!(daemon.log().matches("a payload does not fit what the connector says").count(), 1, "once, and not per event");
    // Nothing has changed: it would fail again.
    let run = dead[0]["id"].as_str().unwrap();
    let refused = daemon.tell(&["retry", run]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("amount: expected money, found text"), "{refused:?}");
    // The flow is mended so that it needs the amount no more.
    let mended = "flow big when stripe.charge_failed do kustomer.create_conversation(name: \"A charge failed\")\n";
    std::fs::write(daemon.path().join("a.flow"), mended).unwrap();
    let told = daemon.tell(&["reload"]);
    assert_eq!(told.code, 0, "{told:?}");
    let told = daemon.tell(&["dead", "retry", "--flow", "big"]);
    assert_eq!((told.code, told.out.as_str()), (0, "3 runs are tried again\n"), "{told:?}");
    eventually("the runs end", || daemon.runs().iter().all(|run| run["status"] == "done").then_some(()));
    let id = of("misfit")["id"].as_str().unwrap().to_owned();
    assert_eq!(daemon.tell(&["alarms", "dismiss", &id]).code, 0);
    assert_eq!(daemon.tell(&["alarms", "dismiss", &id]).code, 1, "it is gone");
    assert_eq!(daemon.tell(&["alarms"]).out, "no alarms\n");
}

#[test]
fn dead_runs_are_dismissed_one_by_one_or_all_of_a_flow() {
    let server = Recorder::start(|request, _| {
        Some(if request.line() == "POST /v1/conversations" {
            (400, serde_json::json!({ "errors": [{ "message": "no" }] }))
        } else {
            kustomer(request)
        })
    });
    let daemon = Daemon::start(&[("flow.toml", &toml(&server.url)), ("a.flow", FLOW)]);
    for n in 0..3 {
        stripe::post(&daemon.server, &charge(n));
    }
    let dead: Vec<Value> = daemon.settled(3);
    let ids: Vec<&str> = dead.iter().map(|run| run["id"].as_str().unwrap()).collect();
    let told = daemon.tell(&["dead", "--flow", "big", "--limit", "2"]);
    assert_eq!(told.out.lines().count(), 3, "{told:?}");
    assert!(told.err.contains("there are more: `--after "), "{told:?}");
    assert!(!daemon.tell(&["dead"]).err.contains("more"));
    assert_eq!(daemon.tell(&["dead", "dismiss"]).code, 2, "it is to be said which");
    assert_eq!(daemon.tell(&["dead", "dismiss", ids[0]]).out, "1 run is dismissed\n");
    let again = daemon.tell(&["dead", "dismiss", ids[0], "run_no"]);
    assert_eq!(again.code, 1, "{again:?}");
    assert!(again.err.contains("not dead") && again.err.contains("no such run"), "{again:?}");
    let json = daemon.ask(&["dead", "dismiss", "--flow", "big"]);
    assert_eq!(json["done"].as_array().unwrap().len(), 2, "{json:#}");
    assert_eq!(daemon.tell(&["dead"]).out, "no dead letters\n");
    assert!(daemon.ask(&["show", ids[0]])["reason"].as_str().unwrap().starts_with("dismissed; it had died: "));
    assert_eq!(daemon.tell(&["status", "--check"]).code, 0);
}

#[test]
fn a_wrong_file_is_an_alarm_and_help_has_examples() {
    let daemon = Daemon::one_liner("http://127.0.0.1:9");
    std::fs::write(daemon.path().join("main.flow"), ONE_LINER.replace("amount", "amont")).unwrap();
    daemon.tell(&["reload"]);
    let told = daemon.tell(&["alarms"]);
    assert!(told.out.contains("main.flow cannot go live as it is") && told.out.contains("-> flowc check"), "{told:?}");
    for command in ["alarms", "dead", "status"] {
        assert!(daemon.tell(&[command, "--help"]).out.contains("Examples:"), "{command}");
    }
}
