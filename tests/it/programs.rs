//! The programs of the language's definition, one of each kind: they check, are formatted, expand to themselves, lower to
//! plans and do what their tests say.

use std::path::Path;

use serde_json::Value;

use crate::support::program::{flowc, project};

/// The programs, with the small connectors that they use and that nobody else has.
fn programs() -> tempfile::TempDir {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let folder = project(&[]);
    for part in ["programs", "language"] {
        for entry in std::fs::read_dir(fixtures.join(part)).unwrap().flatten() {
            let name = entry.file_name();
            // Not the connectors that have programs of their own.
            if entry.path().is_file() && !["acme_billing.flow", "lock.flow"].contains(&name.to_str().unwrap()) {
                std::fs::copy(entry.path(), folder.path().join(name)).unwrap();
            }
        }
    }
    folder
}

#[test]
fn they_check_and_are_formatted() {
    let folder = programs();
    let check = flowc(folder.path(), &["check", "--deny-warnings"]);
    assert_eq!(check.code, 0, "{}", check.err);
    let fmt = flowc(folder.path(), &["fmt", "--diff"]);
    assert_eq!(fmt.code, 0, "{}", fmt.out);
}

#[test]
fn written_out_they_say_the_same() {
    let folder = programs();
    let expanded = |folder: &Path, file: &str| {
        let outcome = flowc(folder, &["expand", file]);
        assert_eq!(outcome.code, 0, "{}", outcome.err);
        outcome.out
    };
    for file in ["money.flow", "house.flow"] {
        let once = expanded(folder.path(), file);
        std::fs::write(folder.path().join(file), &once).unwrap();
        let check = flowc(folder.path(), &["check"]);
        assert_eq!(check.code, 0, "{once}\n{}", check.err);
        assert_eq!(expanded(folder.path(), file), once, "{file}");
    }
}

#[test]
fn each_has_a_plan() {
    let folder = programs();
    let outcome = flowc(folder.path(), &["plan", "money.flow", "house.flow", "--format", "json"]);
    let plan: Value = serde_json::from_str(&outcome.out).unwrap();
    assert_eq!(plan["version"], 1);
    let flows = plan["flows"].as_array().unwrap();
    assert_eq!(flows.len(), 20);
    let steps = |flow: &Value| !flow["steps"].as_array().unwrap().is_empty() && !flow["triggers"].as_array().unwrap().is_empty();
    assert!(flows.iter().all(steps), "{plan:#}");
    let human = flowc(folder.path(), &["plan", "money.flow", "house.flow"]);
    assert_eq!(human.code, 0);
    for words in ["day at 22:30", "at most 1 per customer per day", "wait for stripe.invoice_paid", "no stripe.new_payment"] {
        assert!(human.out.contains(words), "`{words}` is not in\n{}", human.out);
    }
}

#[test]
fn they_do_what_their_tests_say() {
    let folder = programs();
    let outcome = flowc(folder.path(), &["test"]);
    assert_eq!(outcome.code, 0, "{}", outcome.out);
    assert!(outcome.out.contains("17 passed, 0 failed"), "{}", outcome.out);
}

#[test]
fn an_answer_of_labels_has_to_be_covered() {
    let folder = programs();
    let with = |arms: &str| {
        let text = format!(
            "flow sort\n  when kustomer.message_received\n  where text is present\n  do {{\n    let intent = ai.classify(text: text, labels: [\"refund\", \"bug\"])\n    match intent {{ {arms} }}\n  }}\n"
        );
        std::fs::write(folder.path().join("labels.flow"), text).unwrap();
        flowc(folder.path(), &["check", "labels.flow"])
    };
    let covered = with("\"refund\" => stop  \"bug\" => report.send");
    assert_eq!(covered.code, 0, "{}", covered.err);
    let open = with("\"refund\" => report.send");
    assert!(open.code == 1 && open.err.contains("E305") && open.err.contains("bug"), "{}", open.err);
    let slip = with("\"refund\" => stop  \"bgu\" => report.send");
    assert!(slip.code == 1 && slip.err.contains("did you mean \"bug\"?"), "{}", slip.err);
}

/// Runs the tests of a file beside the programs' connectors; the report and whether they passed.
fn tested(text: &str) -> (bool, String) {
    let folder = programs();
    std::fs::write(folder.path().join("more.flow"), text).unwrap();
    let outcome = flowc(folder.path(), &["test", "more.flow"]);
    assert!(outcome.code <= 1 && !outcome.out.is_empty(), "{outcome:?}");
    (outcome.code == 0, outcome.out)
}

#[test]
fn a_door_is_not_opened_for_an_event_from_before_a_start() {
    let flow = "flow late\n  when courier.received\n  where body.kind is \"arrived\"\n  fresh within 30 seconds\n  do { wait 5 seconds front_door.unlock }\n\n";
    let given = "given courier.received { body: { kind: \"arrived\" } }\n  after 1 second";
    let (passed, report) = tested(&format!(
        "{flow}test \"started anew\" {{\n  {given}\n  given restart\n  after 10 seconds\n  expect no front_door.unlock\n  expect stopped \"dangerous\"\n}}\n\ntest \"not started anew\" {{\n  {given}\n  after 10 seconds\n  expect front_door.unlock once\n}}\n"
    ));
    assert!(passed, "{report}");
}

#[test]
fn a_change_in_a_gap_is_as_old_as_the_gap() {
    let (passed, report) = tested(
        "flow opened\n  when front_door becomes unlocked\n  fresh within 45 seconds\n  do notify.phone(text: \"opened\")\n\ntest \"seen\" {\n  given front_door becomes locked\n  after 1 minute\n  given front_door becomes unlocked\n  expect notify.phone once\n}\n\ntest \"not seen\" {\n  given front_door becomes locked\n  after 1 minute\n  given front_door becomes unavailable\n  after 3 hours\n  given front_door becomes unlocked\n  after 1 minute\n  expect no notify.phone\n}\n",
    );
    assert!(passed, "{report}");
}

#[test]
fn a_stretch_starts_a_flow_once_whatever_the_gaps_mean() {
    for gaps in ["verify", "assume", "restart"] {
        let (passed, report) = tested(&format!(
            "flow shut\n  when front_door is unlocked for 10 minutes\n  across gaps {gaps}\n  do front_door.lock\n\ntest \"once\" {{\n  given front_door becomes unlocked\n  after 11 minutes\n  expect front_door.lock once\n  given restart\n  after 1 hour\n  given front_door becomes unavailable\n  after 1 hour\n  given front_door becomes unlocked\n  after 1 hour\n  expect front_door.lock once\n}}\n"
        ));
        assert!(passed, "{gaps}\n{report}");
    }
}

#[test]
fn a_test_does_not_pass_over_calls() {
    let flow = "flow twice\n  when stripe.charge_failed\n  do {\n    slack.post_message(channel: \"#a\", text: \"first\")\n    wait 5 minutes\n    slack.post_message(channel: \"#a\", text: \"second\")\n  }\n\n";
    let event = "given stripe.charge_failed";
    for (lines, words) in [
        (format!("{event}\n expect slack.post_message once\n after 1 hour"), "was called another time"),
        (format!("expect no slack.post_message\n {event}"), "no line expects it"),
        (format!("{event}\n expect no slack.post_message with {{ text: \"x\" }}\n expect nothing else"), "no line expects it"),
        (format!("{event}\n after 1 hour\n expect slack.post_message once with {{ text: \"first\" }}"), "with other values"),
    ] {
        let (passed, report) = tested(&format!("{flow}test \"t\" {{\n {lines}\n}}\n"));
        assert!(!passed && report.contains(words), "{lines}\n{report}");
    }
    let (passed, report) = tested("test \"of nothing\" { expect no slack.post_message }\n");
    assert!(!passed && report.contains("it tests nothing"), "{report}");
}

#[test]
fn the_query_of_a_state_can_fail_and_answer() {
    let flow = "flow shut\n  when front_door is unlocked for 10 minutes\n  do front_door.lock\n\n";
    let (passed, report) = tested(&format!(
        "{flow}test \"an outage\" {{\n  given front_door becomes unlocked\n  after 1 minute\n  given front_door.status fails with 503\n  after 1 hour\n  expect no front_door.lock\n}}\n\ntest \"it says otherwise\" {{\n  given front_door becomes unlocked\n  after 1 minute\n  given front_door.status returns {{ standing: \"locked\" }}\n  after 1 hour\n  expect no front_door.lock\n}}\n"
    ));
    assert!(passed, "{report}");
}
