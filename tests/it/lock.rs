//! flow.lock from outside: `flowc lock`, `flowc check --locked`, and the daemon that honours it.

use serde_json::Value;

use crate::support::daemon::{Daemon, ONE_LINER, toml};
use crate::support::eventually;
use crate::support::program::{Outcome, flowc, flowc_with, flowd, project};
use crate::support::recorder::Recorder;

/// Codes and lines of what is wrong.
fn found(outcome: &Outcome) -> Vec<(String, String, u64)> {
    let json: Value = serde_json::from_str(&outcome.out).unwrap_or_else(|error| panic!("{error}: {outcome:?}"));
    let all = json["diagnostics"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    all.map(|one| (text(&one["code"]), text(&one["file"]), one["span"]["start"]["line"].as_u64().unwrap())).collect()
}

fn locked(folder: &std::path::Path, more: &[&str]) -> Vec<(String, String, u64)> {
    let outcome = flowc(folder, &[&["check", "--locked", "--format", "json"], more].concat());
    let found = found(&outcome);
    assert_eq!(outcome.code, i32::from(!found.is_empty()), "{outcome:?}");
    found
}

fn one(code: &str, file: &str, line: u64) -> Vec<(String, String, u64)> {
    vec![(code.to_owned(), file.to_owned(), line)]
}

const CONNECTIONS: &str = "[connections.stripe]\n[connections.kustomer]\n";

#[test]
fn a_project_is_locked_and_checked_against_it() {
    let folder = project(&[("flow.toml", &format!("currency = \"USD\"\n{CONNECTIONS}")), ("deep/a.flow", ONE_LINER)]);
    let path = folder.path();
    assert_eq!(locked(path, &[]), one("E405", "flow.lock", 1));

    let outcome = flowc(path, &["lock"]);
    assert_eq!((outcome.code, outcome.out.as_str(), outcome.err.trim()), (0, "", "flow.lock: 1 flow, written"));
    let text = std::fs::read_to_string(path.join("flow.lock")).unwrap();
    for part in ["currency (flow.toml) = USD", "do first", "priority", "require customer_email"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(locked(path, &[]), []);
    // From a folder within, and of one of its files.
    assert_eq!(locked(&path.join("deep"), &[]), []);
    assert_eq!(locked(path, &["deep/a.flow"]), []);
    assert_eq!(flowc(&path.join("deep"), &["lock"]).err.trim(), "flow.lock: 1 flow, nothing changed");

    std::fs::write(path.join("flow.toml"), format!("currency = \"EUR\"\n{CONNECTIONS}")).unwrap();
    assert_eq!(locked(path, &[]), one("E404", "deep/a.flow", 1));
    // Without the option nobody is bothered.
    assert_eq!(flowc(path, &["check"]).code, 0);
    assert_eq!(flowc(path, &["lock"]).err.trim(), "flow.lock: 1 flow, changed");
    assert_eq!(locked(path, &[]), []);

    std::fs::write(
        path.join("b.flow"),
        "flow b\n  when stripe.new_dispute\n  do kustomer.create_conversation(name: \"b\", customer: \"c\")\n",
    )
    .unwrap();
    assert_eq!(locked(path, &[]), one("E405", "b.flow", 1));
    flowc(path, &["lock"]);
    std::fs::remove_file(path.join("b.flow")).unwrap();
    let gone = locked(path, &[]);
    assert_eq!((gone.len(), gone[0].0.as_str(), gone[0].1.as_str()), (1, "E405", "flow.lock"));

    std::fs::write(path.join("flow.lock"), "version 1\n<<<<<<< ours\n").unwrap();
    assert_eq!(locked(path, &[]), one("E406", "flow.lock", 2));
    // Beside another mistake the lock is not looked at.
    std::fs::write(path.join("deep/a.flow"), "when stripe.charge_faild do kustomer.create_conversation\n").unwrap();
    assert_eq!(locked(path, &[]), one("E201", "deep/a.flow", 1));
}

#[test]
fn a_broken_project_keeps_its_lock() {
    let folder = project(&[
        ("flow.toml", CONNECTIONS),
        ("a.flow", "when stripe.charge_faild do kustomer.create_conversation\n"),
        ("flow.lock", "mine\n"),
    ]);
    let outcome = flowc(folder.path(), &["lock"]);
    assert_eq!(outcome.code, 1);
    assert!(outcome.err.contains("E201") && outcome.err.contains("left as it is"), "{outcome:?}");
    assert_eq!(std::fs::read_to_string(folder.path().join("flow.lock")).unwrap(), "mine\n");
}

#[test]
fn single_files_share_the_lock_of_their_folder() {
    // Three flows that do not do the same.
    let named =
        |name: &str| format!("flow {name}\n  when stripe.charge_failed\n  do kustomer.create_conversation(name: \"{name}\")\n");
    let folder = project(&[("a.flow", &named("a")), ("b.flow", &named("b")), ("c.flow", &named("c"))]);
    for file in ["a.flow", "b.flow", "c.flow"] {
        assert_eq!(flowc(folder.path(), &["lock", file]).code, 0);
    }
    let text = std::fs::read_to_string(folder.path().join("flow.lock")).unwrap();
    assert!(
        text.contains("flow a in a.flow") && text.contains("flow b in b.flow") && text.contains("flow c in c.flow"),
        "{text}"
    );
    assert_eq!(locked(folder.path(), &["a.flow"]), []);
    assert_eq!(locked(folder.path(), &[]), []);
    std::fs::remove_file(folder.path().join("c.flow")).unwrap();
    flowc(folder.path(), &["lock", "a.flow"]);
    assert!(!std::fs::read_to_string(folder.path().join("flow.lock")).unwrap().contains("flow c"));
}

#[test]
fn standard_input_has_no_lock() {
    let folder = project(&[("a.flow", ONE_LINER)]);
    for args in [&["check", "-", "--locked"][..], &["lock", "-"]] {
        let outcome = flowc_with(folder.path(), args, ONE_LINER.as_bytes());
        assert_eq!(outcome.code, 2, "{args:?} {outcome:?}");
        assert!(outcome.err.contains("standard input"), "{outcome:?}");
    }
}

/// The pages of E404 to E406 show a flow.lock and a flow: the wrong ones give the code, the right ones nothing.
#[test]
fn the_pages_do_what_they_say() {
    for code in ["E404", "E405", "E406"] {
        let page = flowc(std::env::temp_dir().as_path(), &["explain", code]).out;
        let (wrong, right) = page.split_once("## Right").unwrap();
        let block = |text: &str, language: &str| {
            let rest = text.split_once(&format!("```{language}\n"))?.1;
            Some(rest.split_once("```").unwrap().0.to_owned())
        };
        let flow = block(wrong, "flows").unwrap_or_else(|| {
            "flow a\n  when stripe.charge_failed\n  where customer_email is present\n  do kustomer.create_conversation\n"
                .to_owned()
        });
        let folder = project(&[("flow.toml", CONNECTIONS), ("a.flow", &flow), ("flow.lock", &block(wrong, "lock").unwrap())]);
        let codes: Vec<String> = locked(folder.path(), &[]).into_iter().map(|one| one.0).collect();
        assert!(!codes.is_empty() && codes.iter().any(|one| one == code), "{code}: {codes:?}");

        // As it is advised: the right flow, or the right lock.
        if let Some(flow) = block(right, "flows") {
            std::fs::write(folder.path().join("a.flow"), flow).unwrap();
        }
        match block(right, "lock") {
            Some(lock) => std::fs::write(folder.path().join("flow.lock"), lock).unwrap(),
            None => assert_eq!(flowc(folder.path(), &["lock"]).code, 0),
        }
        let left: Vec<String> = locked(folder.path(), &[]).into_iter().map(|one| one.0).filter(|one| one == code).collect();
        assert_eq!(left, [""; 0], "{code}");
    }
}

#[test]
fn the_daemon_keeps_what_is_locked() {
    let server = Recorder::kustomer();
    let named =
        |name: &str, more: &str| format!("flow {name}\n  when stripe.charge_failed\n  do kustomer.create_conversation{more}\n");
    let daemon = Daemon::start(&[("flow.toml", &toml(&server.url)), ("a.flow", &named("a", ""))]);
    let live = || {
        let mut flows: Vec<(String, String)> = daemon.get("flows")["flows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|flow| (flow["name"].as_str().unwrap().to_owned(), flow["hash"].as_str().unwrap_or_default().to_owned()))
            .collect();
        flows.sort();
        flows
    };
    let broken = |wanted: &str| {
        eventually(&format!("{wanted} is reported"), || {
            daemon.ask(&["status"])["broken"].to_string().contains(wanted).then_some(())
        });
    };
    let well = || {
        eventually("nothing is broken", || daemon.ask(&["status"])["broken"].as_array().is_some_and(Vec::is_empty).then_some(()));
    };
    assert_eq!(flowc(daemon.path(), &["lock"]).code, 0);
    let first = live();

    // What is filled in changes with the edit: the last sound version stays.
    std::fs::write(daemon.path().join("a.flow"), named("a", "(name: \"x\")")).unwrap();
    broken("E404");
    assert_eq!(live(), first);
    // Once it is locked, it goes live.
    assert_eq!(flowc(daemon.path(), &["lock"]).code, 0);
    well();
    eventually("the new version is live", || (live() != first).then_some(()));

    // A flow that nobody has locked does not go live.
    std::fs::write(daemon.path().join("b.flow"), named("b", "")).unwrap();
    broken("E405");
    assert_eq!(live().len(), 1);
    // A lock that cannot be read changes nothing.
    let good = std::fs::read_to_string(daemon.path().join("flow.lock")).unwrap();
    std::fs::write(daemon.path().join("flow.lock"), "version 9\n").unwrap();
    broken("E406");
    assert_eq!(live().len(), 1);
    // Without a lock nothing is compared.
    std::fs::remove_file(daemon.path().join("flow.lock")).unwrap();
    well();
    eventually("both are live", || (live().len() == 2).then_some(()));

    // With the old one back, the flow that it does not have goes no further; one that is gone is no reason for anything.
    std::fs::write(daemon.path().join("flow.lock"), good).unwrap();
    broken("E405");
    std::fs::remove_file(daemon.path().join("b.flow")).unwrap();
    well();
}

#[test]
fn a_daemon_does_not_start_against_its_lock() {
    let folder = project(&[
        ("flow.toml", &toml("http://127.0.0.1:9")),
        ("a.flow", "flow a\n  when stripe.charge_failed\n  do kustomer.create_conversation\n"),
        ("flow.lock", "version 1\n"),
    ]);
    let outcome = flowd(folder.path(), &["run", "."]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(outcome.err.contains("E405") && outcome.err.contains("flowc lock"), "{outcome:?}");
    let outcome = flowd(folder.path(), &["check-config"]);
    assert!(outcome.code == 1 && format!("{}{}", outcome.out, outcome.err).contains("E405"), "{outcome:?}");
}
