//! Versions of flows: what an edit changes, what waits under the version of before, and runs that are moved.

use serde_json::Value;

use crate::support::daemon::{Daemon, toml};
use crate::support::program::{flowc, flowc_with, project};
use crate::support::recorder::Recorder;
use crate::support::{eventually, stripe};

const BIG: &str = "flow big
  when stripe.charge_failed
  where amount > 100 USD
  do {
    kustomer.create_conversation
    wait 72 hours
    kustomer.create_conversation(name: \"Still failing\")
  }
";

fn edited() -> String {
    BIG.replace("amount > 100 USD", "amount > 50 USD\n    and risk_score > 5").replace("\"Still failing\"", "\"Still: {amount}\"")
}

fn one<'v>(changes: &'v Value, flow: &str) -> &'v Value {
    changes["changes"].as_array().unwrap().iter().find(|change| change["flow"] == flow).unwrap_or(&Value::Null)
}

fn difference<'v>(change: &'v Value, what: &str) -> &'v Value {
    change["differences"].as_array().unwrap().iter().find(|one| one["what"] == what).unwrap_or(&Value::Null)
}

fn waiting(daemon: &Daemon) -> String {
    eventually("a run waits", || {
        let runs = daemon.runs();
        let run = runs.first().filter(|run| run["reason"].as_str().is_some_and(|reason| reason.starts_with("waits until")))?;
        run["id"].as_str().map(str::to_owned)
    })
}

#[test]
fn an_edit_is_told_before_it_goes_live_and_a_run_that_waits_is_moved_to_it() {
    let server = Recorder::kustomer();
    let other = "flow small\n  when stripe.charge_failed\n  where amount < 5 USD\n  do kustomer.create_conversation\n";
    let files = [("flow.toml", toml(&server.url)), ("a.flow", BIG.to_owned()), ("b.flow", other.to_owned())];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let mut daemon = Daemon::start_with(&files, &["--no-watch"]);
    stripe::post(&daemon.server, &stripe::charge_failed("1", 20_000, "usd", Some("ada@example.com")).to_string());
    let run = waiting(&daemon);
    let before = daemon.get("flows");

    std::fs::write(daemon.path().join("a.flow"), edited()).unwrap();
    let told = daemon.ask(&["reload", "--dry-run"]);
    assert_eq!((&told["dry_run"], &told["sound"], told["unchanged"].as_u64()), (&true.into(), &true.into(), Some(1)));
    let change = one(&told, "big");
    assert_eq!(change["change"], "changed", "{told:#}");
    let filter = difference(change, "where");
    assert_eq!(filter["before"], "amount > 100 USD");
    assert_eq!(filter["after"], "amount > 50 USD and risk_score > 5");
    assert!(difference(change, "step")["after"].as_str().unwrap().contains("Still: {amount}"), "{change:#}");
    let version = &change["runs"]["versions"][0];
    assert_eq!((version["waiting"].as_u64(), version["first"][0]["id"].as_str()), (Some(1), Some(run.as_str())));
    let page = daemon.tell(&["reload", "--dry-run"]);
    assert!(page.code == 0 && page.out.contains("amount > 50 USD") && page.out.contains("nothing was changed"), "{page:?}");
    assert_eq!(daemon.get("flows"), before, "a dry run changes nothing");
    assert!(daemon.tell(&["migrate", &run]).err.contains("live version of its flow already"));

    // By hand it answers when it is done.
    let page = daemon.tell(&["reload"]);
    assert!(page.code == 0 && page.out.contains("2 flows live"), "{page:?}");
    assert_ne!(daemon.get("flows")["flows"][0]["hash"], before["flows"][0]["hash"]);
    let old = daemon.ask(&["status"])["versions"]["old"].clone();
    assert_eq!((old[0]["flow"].as_str(), old[0]["plan"].clone()), (Some("big"), before["flows"][0]["hash"].clone()));
    assert!(daemon.tell(&["flows"]).out.contains("1 waiting under plan"));
    assert!(daemon.tell(&["status"]).out.contains("earlier version of big: 1 waiting"));

    let dry = daemon.tell(&["migrate", &run, "--dry-run"]);
    assert!(dry.code == 0 && dry.out.contains("can be moved"), "{dry:?}");
    assert_eq!(daemon.ask(&["show", &run])["plan"], before["flows"][0]["hash"]);
    let moved = daemon.ask(&["migrate", "--all-of", "big"]);
    assert_eq!((moved["moved"][0]["id"].as_str(), moved["stay"].as_array().map(Vec::len)), (Some(run.as_str()), Some(0)));
    daemon.kill();
    daemon.launch();
    let shown = daemon.ask(&["show", &run]);
    assert_eq!(shown["plan"], daemon.get("flows")["flows"][0]["hash"], "{shown:#}");
    assert_eq!((shown["status"].as_str(), shown["moves"].as_array().map(Vec::len)), (Some("waiting"), Some(1)));
    assert!(daemon.tell(&["show", &run]).out.contains("moved"));
    assert_eq!(server.count("POST", "/v1/conversations"), 1, "what was done is not done again");
}

#[test]
fn a_reload_by_hand_tells_what_is_broken_and_what_went_live_beside_it() {
    let daemon = Daemon::start_with(&[("flow.toml", &toml("http://127.0.0.1:9")), ("a.flow", BIG)], &["--no-watch"]);
    let path = daemon.path();
    std::fs::write(path.join("a.flow"), "flow big when stripe.charge_failed where amuont > 5 do kustomer.create_conversation\n")
        .unwrap();
    std::fs::write(path.join("b.flow"), BIG.replace("flow big", "flow second")).unwrap();
    for args in [vec!["reload", "--dry-run"], vec!["reload"]] {
        let told = daemon.tell(&args);
        assert_eq!(told.code, 1, "{told:?}");
        assert!(told.err.contains("amuont") && told.err.contains("a.flow is broken"), "{told:?}");
        assert!(told.out.contains("added    second"), "{told:?}");
    }
    let told = daemon.tell(&["reload", "--json"]);
    let json: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!((told.code, json["sound"].as_bool(), json["diagnostics"][0]["code"].as_str()), (1, Some(false), Some("E201")));
    let names: Vec<Value> = daemon.get("flows")["flows"].as_array().unwrap().iter().map(|flow| flow["id"].clone()).collect();
    assert_eq!(names, ["big", "second"], "the sound version of the broken file stays");
}

#[test]
fn plans_are_compared_with_those_from_before() {
    let day = "flow morning\n  every day at 08:00 in \"Europe/Paris\"\n  do kustomer.create_customer(name: \"x\", email: \"a@example.com\")\n";
    let unnamed = "when stripe.charge_failed where amount > 5 USD do kustomer.create_conversation\n";
    let folder = project(&[("a.flow", BIG), ("b.flow", day), ("c.flow", unnamed)]);
    let before = flowc(folder.path(), &["plan", "--format", "json"]);
    let against = |args: &[&str]| {
        let told = flowc_with(folder.path(), args, before.out.as_bytes());
        assert_eq!(told.code, 0, "{told:?}");
        told.out
    };
    let compare = || -> Value { serde_json::from_str(&against(&["plan", "--against", "-", "--format", "json"])).unwrap() };
    assert_eq!(against(&["plan", "--against", "-"]), "nothing changes; 3 flows stay as they are\n");

    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("a.flow", &BIG.replace("flow big", "flow great"));
    write("b.flow", &day.replace("08:00", "07:30"));
    write("c.flow", &unnamed.replace("> 5 USD", "> 6 USD"));
    let told = compare();
    assert_eq!((one(&told, "great")["change"].as_str(), one(&told, "great")["was"].as_str()), (Some("renamed"), Some("big")));
    let schedule = difference(one(&told, "morning"), "schedule");
    assert!(schedule["before"].as_str().unwrap().contains("08:00"), "{told:#}");
    assert!(schedule["after"].as_str().unwrap().contains("07:30"), "{told:#}");
    let changes = told["changes"].as_array().unwrap();
    let nameless = changes.iter().find(|change| change["file"] == "c.flow").unwrap();
    assert_eq!(nameless["change"], "changed", "a flow without a name is found by what it says: {told:#}");
    assert_eq!(difference(nameless, "where")["after"], "amount > 6 USD");

    // Data that goes where it did not go before is told.
    write("a.flow", &BIG.replace("\"Still failing\"", "\"Still failing\", note: \"risk {risk_score else 0}\""));
    write("b.flow", day);
    let told = compare();
    let sends = difference(one(&told, "big"), "sends");
    assert!(sends["after"].as_str().is_some_and(|fields| fields.contains("risk_score")), "{told:#}");
    std::fs::remove_file(folder.path().join("b.flow")).unwrap();
    assert_eq!(one(&compare(), "morning")["change"], "removed");
    let odd = flowc_with(folder.path(), &["plan", "--against", "-"], b"{}");
    assert!(odd.code == 2 && odd.err.contains("no `version`"), "{odd:?}");
}
