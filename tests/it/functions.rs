//! The standard functions: every example of every function, through the real compiler and the real evaluator.

use std::fmt::Write as _;
use std::path::Path;

use flow_compiler::compile::Compiler;
use flow_compiler::settings::Settings;
use flow_plan::{Instr, Value};
use flow_runtime::eval::{self, Nothing};

use crate::support::daemon::{Daemon, toml};
use crate::support::program::flowc;
use crate::support::recorder::Recorder;
use crate::support::stripe;

/// Returns the values of expressions, as a run would compute them.
fn values(expressions: &[&str]) -> Result<Vec<Value>, String> {
    let mut source = String::from("when stripe.charge_failed do {\n");
    for (at, expression) in expressions.iter().enumerate() {
        let _ = writeln!(source, "  let v{at} = {expression}");
    }
    source.push_str("  kustomer.create_conversation(customer: \"5f1\", name: \"x\")\n}\n");
    let settings = Settings { timezone: Some("Europe/Paris".to_owned()), ..Settings::default() };
    let mut compiler = Compiler::new(settings);
    compiler.set("examples.flow", source.as_str());
    let compiled = compiler.compile();
    let errors: Vec<String> = compiled.errors().map(|error| format!("{}: {}", error.code, error.message)).collect();
    if !errors.is_empty() {
        return Err(format!("{source}\n{errors:#?}"));
    }
    let flow = compiled.flows().next().unwrap();
    let set = flow.program.instrs.iter().filter_map(|instr| match instr {
        Instr::Set { value, .. } => Some(eval::eval(value, &Nothing).unwrap()),
        _ => None,
    });
    Ok(set.collect())
}

#[test]
fn every_example_of_a_function_gives_what_it_says() {
    let mut examples = 0;
    let mut wrong = Vec::new();
    for spec in flow_functions::ALL {
        assert!(!spec.examples.is_empty(), "{} has no example", spec.name);
        for example in spec.examples {
            examples += 1;
            assert!(example.0.contains(&format!("{}(", spec.name)), "`{}` does not show `{}`", example.0, spec.name);
            let expected = match example.1 {
                "missing" => Value::Missing,
                written => values(&[written]).unwrap().remove(0),
            };
            match values(&[example.0]) {
                Ok(found) if shown(&found[0]) == shown(&expected) => {}
                Ok(found) => wrong.push(format!("{} is {}, not {}", example.0, shown(&found[0]), shown(&expected))),
                Err(errors) => wrong.push(errors),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(examples > 100, "{examples}");
}

/// A value as it is told apart from others: amounts of one size are equal however many zeros they were written with.
fn shown(value: &Value) -> String {
    match value {
        Value::Number(number) => format!("number {}", number.normalize()),
        Value::Money(money) => format!("money {money}"),
        Value::List(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
        other => format!("{other:?}"),
    }
}

#[test]
fn the_page_of_the_functions_is_what_the_register_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/language/functions.md");
    let made = flow_compiler::docs::functions_reference();
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        std::fs::write(&path, &made).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(written == made, "docs/language/functions.md is out of date: run this test with INSTA_UPDATE=always");
}

#[test]
fn flowc_docs_tells_of_functions() {
    let folder = tempfile::tempdir().unwrap();
    let page = |path: &str| {
        let outcome = flowc(folder.path(), &["docs", path]);
        assert_eq!(outcome.code, 0, "{path}: {outcome:?}");
        outcome.out
    };
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!("docs_functions", page("functions"));
        insta::assert_snapshot!("docs_functions_round", page("functions.round"));
        insta::assert_snapshot!("docs_functions_format", page("format"));
    });
    assert_eq!(page("round"), page("functions.round"));
    for spec in flow_functions::ALL {
        assert!(page("functions").contains(&format!("`{}`", spec.signature())), "{}", spec.name);
        assert!(page(spec.name).contains(spec.examples[0].0), "{}", spec.name);
    }
    for (asked, meant) in
        [("functions.rond", "functions.round"), ("functions.substring", "functions.slice"), ("uper", "functions.upper")]
    {
        let outcome = flowc(folder.path(), &["docs", asked]);
        assert_eq!(outcome.code, 2, "{outcome:?}");
        assert!(outcome.err.contains(meant), "{outcome:?}");
    }
}

#[test]
fn a_daemon_computes_with_functions_and_why_names_the_item_that_decides() {
    let server = Recorder::kustomer();
    let text = "flow parts\n  when stripe.charge_failed\n  where all(split(id, \"_\"), length(it) > 1)\n  do kustomer.create_conversation(customer: \"5f1\", name: \"never\")\n\
                flow told\n  when stripe.charge_failed\n  where any(split(id, \"_\"), it is \"ch\")\n  do kustomer.create_conversation(\n    customer: \"5f1\",\n    name: \"{format(amount, \"#,##0.00 CCC\")}, {join(map(split(id, \"_\"), upper(it)), \"+\")}\",\n  )\n";
    let daemon = Daemon::start(&[("flow.toml", &toml(&server.url)), ("a.flow", text)]);
    stripe::post(&daemon.server, &stripe::charge_failed("1", 123_450, "usd", None).to_string());
    daemon.settled(1);
    let sent = server.arrived();
    assert!(
        sent.iter().any(|request| request.line().contains("conversations") && request.json()["name"] == "1,234.50 USD, CH+1")
    );
    let why = daemon.ask(&["why", "evt_1"]);
    let flows = why["flows"].as_array().unwrap();
    let parts = flows.iter().find(|flow| flow["flow"] == "parts").unwrap();
    assert_eq!(parts["reason"], "`all(split(id, \"_\"), length(it) > 1)` does not hold: not for item 2 of 2", "{why:#}");
    assert_eq!(parts["clauses"][0]["values"][0]["name"], "id");
}
