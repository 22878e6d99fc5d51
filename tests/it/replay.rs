//! Stored events offered once more with `flowd replay`, and tried against an edited flow with `flowd backtest`.

use serde_json::Value;

use crate::support::daemon::{Daemon, toml};
use crate::support::recorder::Recorder;
use crate::support::{eventually, stripe};

fn big(limit: u32) -> String {
    format!("flow big\n  when stripe.charge_failed\n  where amount > {limit} USD\n  do kustomer.create_conversation\n")
}

/// A daemon with `big` over a limit, to which failed charges of these amounts came.
fn daemon(kustomer: &str, limit: u32, amounts: &[i64]) -> Daemon {
    let daemon = Daemon::start(&[("flow.toml", &toml(kustomer)), ("a.flow", &big(limit))]);
    for (at, amount) in amounts.iter().enumerate() {
        let body = stripe::charge_failed(&(at + 1).to_string(), amount * 100, "usd", Some("ada@example.com")).to_string();
        assert_eq!(stripe::post(&daemon.server, &body).status, 200);
    }
    daemon
}

/// Saves another version of the flow and waits until it is live.
fn edit(daemon: &Daemon, text: &str) {
    let hash = |daemon: &Daemon| daemon.get("flows")["flows"][0]["hash"].clone();
    let before = hash(daemon);
    std::fs::write(daemon.path().join("a.flow"), text).unwrap();
    eventually("the edited flow is live", || (hash(daemon) != before).then_some(()));
}

fn verdicts(answer: &Value) -> Vec<(String, String)> {
    let of = |event: &Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
    let mut found: Vec<_> =
        answer["events"].as_array().unwrap().iter().map(|event| (of(event, "event"), of(event, "verdict"))).collect();
    found.sort();
    found
}

fn pair(event: &str, verdict: &str) -> (String, String) {
    (event.to_owned(), verdict.to_owned())
}

#[test]
fn a_mended_condition_makes_up_for_what_it_missed() {
    let kustomer = Recorder::kustomer();
    let daemon = daemon(&kustomer.url, 1000, &[50, 150, 2000]);
    daemon.settled(1);
    edit(&daemon, &big(100));

    let args = ["replay", "--flow", "big", "--since", "1 hour"];
    let dry = daemon.ask(&[&args[..], &["--dry-run"]].concat());
    let expected = [pair("evt_1", "condition"), pair("evt_2", "starts"), pair("evt_3", "already_started")];
    assert_eq!(verdicts(&dry), expected, "{dry:#}");
    let told = daemon.tell(&[&args[..], &["--dry-run"]].concat());
    assert!(told.out.contains("no  amount > 100 USD  (amount = 50.00 USD)"), "{told:?}");
    let asked = daemon.tell(&args);
    assert_eq!(asked.code, 2, "without a terminal nobody can be asked: {asked:?}");
    assert!(asked.err.contains("1 run of big would be started") && asked.err.contains("--yes"), "{asked:?}");
    assert_eq!(daemon.runs().len(), 1);

    let done = daemon.ask(&[&args[..], &["--yes"]].concat());
    assert_eq!(done["verdicts"]["started"], 1, "{done:#}");
    let run = daemon.settled(2).iter().find(|run| run["event"] == "evt_2").cloned().unwrap();
    assert_eq!((&run["status"], &run["replay"]), (&Value::from("done"), &Value::from(0)), "{run:#}");
    assert!(daemon.tell(&["runs"]).out.contains("evt_2 (replay)"));
    assert!(daemon.tell(&["show", run["id"].as_str().unwrap()]).out.contains("offered once more"));

    let twice = daemon.ask(&[&args[..], &["--yes"]].concat());
    assert_eq!(twice["verdicts"]["started"], Value::Null, "{twice:#}");
    assert_eq!(kustomer.count("POST", "/v1/conversations"), 2);
    let unknown = daemon.tell(&["replay", "--flow", "small", "--since", "7d", "--dry-run"]);
    assert_eq!((unknown.code, unknown.err.contains("there is no such flow")), (1, true), "{unknown:?}");
    let nonsense = daemon.tell(&["replay", "--flow", "big", "--since", "yesterday", "--dry-run"]);
    assert_eq!((nonsense.code, nonsense.err.contains("a day such as")), (1, true), "{nonsense:?}");
}

#[test]
fn what_was_done_under_another_name_is_said_and_a_program_is_answered_where_nothing_starts() {
    let kustomer = Recorder::kustomer();
    let daemon = daemon(&kustomer.url, 100, &[50, 150]);
    daemon.settled(1);
    let args = ["replay", "--flow", "big", "--since", "1 hour"];
    let nothing = daemon.ask(&args);
    assert_eq!((&nothing["verdicts"]["already_started"], &nothing["dry_run"]), (&1.into(), &true.into()), "{nothing:#}");
    std::fs::write(daemon.path().join("a.flow"), big(100).replace("flow big", "flow large")).unwrap();
    eventually("it has another name", || (daemon.get("flows")["flows"][0]["name"] == "large").then_some(()));
    let args = ["replay", "--flow", "large", "--since", "1 hour"];
    let dry = daemon.ask(&[&args[..], &["--dry-run"]].concat());
    assert_eq!(dry["under_other_names"], serde_json::json!({ "big": 1 }), "{dry:#}");
    let asked = daemon.tell(&args);
    assert!(asked.code == 2 && asked.err.contains("1 of those that start have started big, which is no flow"), "{asked:?}");
    assert_eq!(daemon.runs().len(), 1);
}

#[test]
fn an_argument_that_is_no_id_is_answered_as_such() {
    let daemon = daemon("http://127.0.0.1:9", 100, &[]);
    let long = "a".repeat(100_000);
    for command in ["show", "why", "retry", "cancel"] {
        let told = daemon.tell(&[command, &long]);
        assert_eq!((told.code, told.err.contains("an argument is too long")), (2, true), "{command}: {}", told.err.len());
    }
    let told = daemon.tell(&["show", &"a".repeat(10_000)]);
    assert_eq!((told.code, told.err.contains("no daemon")), (1, false), "{told:?}");
}

#[test]
fn again_makes_the_effects_again_and_says_so() {
    let kustomer = Recorder::kustomer();
    let daemon = daemon(&kustomer.url, 100, &[150]);
    daemon.settled(1);
    let args = ["replay", "--flow", "big", "--event", "evt_1", "--again"];
    let asked = daemon.tell(&args);
    assert_eq!(asked.code, 2, "{asked:?}");
    assert!(asked.err.contains("AGAIN, under new idempotency keys"), "{asked:?}");
    let done = daemon.ask(&[&args[..], &["--yes"]].concat());
    assert_eq!(verdicts(&done), [pair("evt_1", "started")], "{done:#}");
    daemon.settled(2);
    let of = |request: &crate::support::recorder::Arrived| request.json()["externalId"].clone();
    let keys: Vec<Value> = kustomer.arrived().iter().filter(|one| one.line() == "POST /v1/conversations").map(of).collect();
    assert!(keys.len() == 2 && keys[0] != keys[1], "{keys:?}");
    assert!(daemon.tell(&["runs"]).out.contains("evt_1 (replay 1)"));
}

#[test]
fn a_backtest_shows_what_an_edit_would_have_changed_and_sends_nothing() {
    let kustomer = Recorder::kustomer();
    let daemon = daemon(&kustomer.url, 100, &[50, 150, 2000]);
    daemon.settled(2);
    let sent = kustomer.arrived().len();
    let edited = daemon.path().join("edited.txt");
    let text =
        "flow big\n  when stripe.charge_failed\n  where amount > 1_000 USD\n  do kustomer.create_conversation(priority: 5)\n";
    std::fs::write(&edited, text).unwrap();
    let args = ["backtest", edited.to_str().unwrap(), "--as", "a.flow", "--since", "1h"];
    let report = daemon.ask(&args);
    let flow = &report["flows"][0];
    let counts: Vec<u64> = ["events", "both", "only_live", "only_edited", "other_calls", "needs_answers"]
        .map(|key| flow[key].as_u64().unwrap())
        .into();
    assert_eq!(counts, [3, 1, 1, 0, 1, 0], "{report:#}");
    let less = &flow["examples"]["only_live"][0];
    assert_eq!((&less["event"], &less["edited"]["clause"]["text"]), (&"evt_2".into(), &"amount > 1_000 USD".into()), "{less:#}");
    assert_eq!(less["edited"]["clause"]["values"][0]["value"]["amount"], "150.00", "{less:#}");
    let other = &flow["examples"]["other_calls"][0]["calls"][0];
    assert_eq!(other["call"], "kustomer.post_conversation", "{other:#}");
    assert_eq!(other["fields"], serde_json::json!([{ "field": "priority", "live": 3, "edited": 5 }]), "{other:#}");
    let told = daemon.tell(&args);
    assert!(told.out.contains("no  amount > 1_000 USD  (amount = 150.00 USD)"), "{told:?}");

    // As it is live nothing differs, and what was not recorded is said.
    let same = daemon.ask(&["backtest", "a.flow", "--project", ".", "--since", "1h"]);
    let flow = &same["flows"][0];
    assert_eq!((&flow["changed"], &flow["both"], &flow["same_calls"]), (&false.into(), &2.into(), &2.into()), "{same:#}");
    std::fs::write(&edited, big(20)).unwrap();
    let more = daemon.ask(&args);
    let flow = &more["flows"][0];
    assert_eq!((&flow["only_edited"], &flow["needs_answers"]), (&1.into(), &1.into()), "{more:#}");
    let new = &flow["examples"]["only_edited"][0];
    assert_eq!(new["live"]["clause"]["text"], "amount > 100 USD", "{new:#}");
    assert!(!more.to_string().contains("ada@example.com"), "personal data is shortened");

    assert_eq!(kustomer.arrived().len(), sent, "nothing is sent");
    assert_eq!(daemon.runs().len(), 2, "nothing is started");
}

#[test]
fn a_broken_file_is_answered_with_its_diagnostics() {
    let daemon = daemon("http://127.0.0.1:9", 100, &[]);
    let edited = daemon.path().join("edited.txt");
    std::fs::write(&edited, "flow big when stripe.charge_failed where amuont > 5 do kustomer.create_conversation\n").unwrap();
    let args = ["backtest", edited.to_str().unwrap(), "--since", "7d"];
    let broken = daemon.tell(&[&args[..], &["--as", "a.flow"]].concat());
    assert_eq!(broken.code, 1, "{broken:?}");
    assert!(broken.err.contains("E201") && broken.err.contains("amuont") && broken.err.contains("a.flow"), "{broken:?}");
    let homeless = daemon.tell(&["backtest", "-", "--since", "7d"]);
    assert_eq!((homeless.code, homeless.err.contains("--as")), (2, true), "{homeless:?}");
    std::fs::write(&edited, big(5)).unwrap();
    let other = daemon.tell(&[&args[..], &["--as", "a.flow", "--flow", "small"]].concat());
    assert_eq!((other.code, other.err.contains("the file has no flow `small`")), (1, true), "{other:?}");
    // Nothing of it has gone live, and less is stored than was asked for.
    assert!(daemon.get("status")["broken"].as_array().unwrap().is_empty());
    let told = daemon.tell(&[&args[..], &["--as", "a.flow"]].concat());
    assert!(told.code == 0 && told.out.contains("no events are stored"), "{told:?}");
}
