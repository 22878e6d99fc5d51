use std::path::Path;

use crate::{compile, errors, folder, texts};

/// Checks a program, expands it, and checks and expands what came out. Returns the hashes of its named flows and of those of
/// the expansion.
fn check_whole(name: &str, text: &str) -> (Vec<String>, Vec<String>) {
    let first = compile(&[(name, text)]);
    assert_eq!(errors(&first), Vec::<String>::new(), "{text}");
    let unit = &first.units[name];
    assert_eq!(unit.flows.len(), unit.flow_count, "{name}");
    let expanded =
        |unit: &flow_compiler::compile::Unit| unit.expanded.iter().map(flow_grammar::print_flow).collect::<Vec<_>>().join("\n\n");
    let once = expanded(unit);
    let second = compile(&[(name, &once)]);
    assert_eq!(errors(&second), Vec::<String>::new(), "{once}");
    assert_eq!(expanded(&second.units[name]), once);
    let hashes = |unit: &flow_compiler::compile::Unit| -> Vec<String> {
        // A flow without a name has its id in the type of its own event, and the id is of its text.
        unit.flows.iter().filter(|flow| flow.name.is_some()).map(|flow| flow.hash.clone()).collect()
    };
    (hashes(unit), hashes(&second.units[name]))
}

#[test]
fn programs_of_the_fixtures() {
    let mut plans = String::new();
    for (name, text) in texts(&folder().join("programs")) {
        assert_eq!(flow_grammar::format(&text).as_deref(), Ok(text.as_str()), "{name}");
        let (written, expanded) = check_whole(&name, &text);
        assert_eq!(written, expanded, "{name}");
        let flows: Vec<_> = compile(&[(&name, &text)]).flows().cloned().collect();
        let mut listing = flow_compiler::listing::human(&flows);
        for flow in &flows {
            // What a plan is made of has tests of its own.
            listing = listing.replace(&flow.hash[..12], "…");
        }
        plans.push_str(&listing);
        plans.push_str("\n────\n");
    }
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false, snapshot_path => "snapshots" }, {
        insta::assert_snapshot!("programs", plans);
    });
}

/// The programs of the definition itself, where it is at hand.
#[test]
fn programs_of_the_definition() {
    let definition = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/language.md");
    let Ok(text) = std::fs::read_to_string(definition) else { return };
    // Doc comments of programs look like headings: those that count have numbers.
    let programs = text.split_once("\n## 2.").unwrap().1.split_once("\n## 3.").unwrap().0;
    let mut seen = 0;
    for block in programs.split("```").skip(1).step_by(2) {
        let parsed = flow_grammar::parse(block);
        let only_flows = parsed.file.items.iter().all(|item| matches!(item, flow_grammar::syntax::Item::Flow(_)));
        if !only_flows || !parsed.errors.is_empty() {
            continue; // Tests and connectors have tests of their own.
        }
        seen += 1;
        // A `require` that the compiler puts before all steps has another place once it is written out: not the same plan.
        check_whole("definition.flow", block);
    }
    assert!(seen >= 9, "{seen}");
}
