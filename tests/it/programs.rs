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
