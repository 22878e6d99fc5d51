//! A project of files, and what is said about it.

use std::fmt::Write as _;
use std::sync::Arc;

use flow_compiler::compile::{Compilation, Compiler};
use flow_compiler::config;
use flow_compiler::settings::Settings;

/// A service with one of everything.
pub(crate) const CRM: &str = r#"
connector crm "CRM" {
  base "https://crm.example"
  secret signing
  record Person {
    id: id<Person> @key
    email: email? @customer @personal
    score: int
    level: basic | gold | platinum
    tags: list<text>
  }
  trigger person_updated: Person from events "person.updated"
  trigger person_created(imported: bool): Person from events "person.created" where imported or score > 0
  source events {
    webhook verify hmac_sha256(header: "X-Signature", secret: signing)
    type "type"  id "id"  object "data"
  }
  action set_level(person: id<Person>, level: basic | gold | platinum) {
    PUT "/people/{person}" json { level }
    effect set
    emits person_updated
  }
  action count(name: text) {
    POST "/count" json { name }
    effect once
  }
  action create_person(email: text) {
    POST "/people" json { email }
    effect once
    emits person_created
  }
}
"#;

/// Compiles files; one that is called `flow.toml` configures the others.
pub(crate) fn compile(files: &[(&str, &str)]) -> Compilation {
    let mut compiler = Compiler::new(Settings::default());
    compiler.set("crm.flow", CRM);
    for (name, text) in files.iter().filter(|(name, _)| *name != "flow.toml") {
        compiler.set(name, *text);
    }
    if let Some((name, text)) = files.iter().find(|(name, _)| *name == "flow.toml") {
        let name: Arc<str> = Arc::from(*name);
        let (mut config, mut diagnostics) = config::read(&name, text, false);
        let catalog = compiler.catalog();
        diagnostics.extend(config::check(&name, &mut config, &catalog, false));
        assert!(diagnostics.is_empty(), "{diagnostics:#?}");
        compiler.set_settings(config.settings);
    }
    compiler.compile()
}

/// Returns what is said about a project.
pub(crate) fn said(files: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for one in compile(files).diagnostics() {
        let source = files.iter().find(|(name, _)| *name == &*one.file).map_or("", |(_, text)| *text);
        let at = |span: flow_grammar::span::Span| span.text(source).split_whitespace().collect::<Vec<_>>().join(" ");
        let _ = writeln!(text, "{}[{}] {}: {}", one.severity.word(), one.code, one.file, one.message);
        let _ = writeln!(text, "  > {}  -- {}", at(one.span), one.label);
        for label in &one.labels {
            let _ = writeln!(text, "  > {}  -- {}", at(label.span), label.text);
        }
        if let Some(help) = &one.help {
            let _ = writeln!(text, "  = {help}");
        }
        for fix in &one.fixes {
            let _ = writeln!(text, "  = fix: {}", fix.title);
        }
    }
    text
}

/// Returns the codes that are given for a file beside the connector.
pub(crate) fn codes(source: &str) -> Vec<String> {
    compile(&[("a.flow", source)]).diagnostics().iter().map(|one| one.code.to_string()).collect()
}

/// Compares what is said about several projects of one file with a snapshot.
pub(crate) fn group(name: &str, cases: &[&str]) {
    let mut text = String::new();
    for case in cases {
        let case = case.trim();
        let said = said(&[("a.flow", case)]);
        let _ = writeln!(text, "{case}\n\n{}\n────", if said.is_empty() { "nothing to say\n" } else { &said });
    }
    snapshot(name, &text);
}

pub(crate) fn snapshot(name: &str, text: &str) {
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false, snapshot_path => "snapshots" }, {
        insta::assert_snapshot!(name, text);
    });
}

#[test]
fn without_a_flow_toml_what_flows_name_is_connected_and_messages_know_the_rest() {
    let named = |source: &str, wanted: &[&str]| {
        let found = compile(&[("a.flow", source)]).connections;
        assert!(wanted.iter().all(|name| found.contains_key(*name)), "{:?}", found.keys());
        // A bare `email` may be a connection, which is looked at for that; what no text names is not.
        assert!(found.keys().all(|name| wanted.contains(&name.as_str()) || name == "email"), "{:?}", found.keys());
    };
    let two = "when stripe.charge_failed do crm.count(name: id)\nwhen crm.person_updated do kustomer.create_conversation";
    named(two, &["crm", "kustomer", "stripe"]);
    named("every day at 09:00 do slack.post_message(channel: \"#a\", text: \"b\")", &["slack"]);
    let said = said(&[("a.flow", "when strip.charge_failed do slack.post_message(channel: \"#a\", text: \"b\")\n")]);
    assert!(said.contains("did you mean `stripe` (Stripe)?"), "{said}");
    let said = self::said(&[("a.flow", "when charge_failed do slack.post_message(channel: \"#a\", text: \"b\")\n")]);
    assert!(said.contains("stripe.charge_failed"), "{said}");
}
