//! Each example checks without warnings, is formatted, and runs against the sandbox.

use std::path::{Path, PathBuf};

use crate::support::program::flowc;

fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "flow"))
        .collect();
    files.sort();
    assert!(files.len() >= 5);
    files
}

#[test]
fn each_example_checks_and_is_formatted() {
    for file in examples() {
        let path = file.to_str().unwrap();
        let check = flowc(Path::new("."), &["check", path, "--deny-warnings"]);
        assert_eq!(check.code, 0, "{path}\n{}", check.err);
        let fmt = flowc(Path::new("."), &["fmt", "--diff", path]);
        assert_eq!(fmt.code, 0, "{path}\n{}", fmt.out);
    }
}

#[test]
fn the_flows_of_the_demo_are_formatted() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin/flowd/commands/demo");
    let fmt = flowc(Path::new("."), &["fmt", "--diff", folder.to_str().unwrap()]);
    assert_eq!(fmt.code, 0, "{}", fmt.out);
}

#[test]
fn connectors_are_formatted() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("connectors");
    let fmt = flowc(Path::new("."), &["fmt", "--diff", folder.to_str().unwrap()]);
    assert_eq!(fmt.code, 0, "{}", fmt.out);
}

#[test]
fn the_demo_runs_every_kind_of_example_to_its_end() {
    let outcome = crate::support::program::flowd(Path::new("."), &["demo", "--events", "12", "--pace", "20"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(outcome.out.contains("\n  http://127.0.0.1:"), "{}", outcome.out);
    let (_, flows) = outcome.out.split_once("The flows:\n").unwrap();
    let (flows, told) = flows.split_once("\n\n").unwrap();
    let flows: Vec<&str> = flows.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(flows.len() >= 7, "{flows:?}");
    // Each of them has run to a good end; the one dead run is that of a guest whom nobody can write to.
    for flow in flows {
        assert!(
            told.contains(&format!("   {flow} done")) || told.contains(&format!("   {flow} stopped")),
            "{flow}\n{}",
            outcome.out
        );
    }
    let dead: Vec<&str> = told.lines().filter(|line| line.contains(" dead  run_")).collect();
    assert!(matches!(dead.as_slice(), [one] if one.contains("`customer_email` is missing")), "{}", outcome.out);
}
