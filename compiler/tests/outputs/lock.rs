//! flow.lock: what is filled in, frozen and compared.

use std::sync::Arc;

use flow_compiler::Diagnostic;
use flow_compiler::lock::{self, Lock, Scope};
use flow_compiler::report::{self, Style};
use flow_compiler::settings::Settings;

use crate::support::compile;

const SHOP: &str = include_str!("shop.flow");

/// A project with one of everything that is filled in.
const ALL: &str = r#"
flow all
  when crm.person_created
  where score > 5
  do {
    crm.add_note(body: "first")
    desk.note(text: "second")
    if level is "gold" { crm.subscribe(list: "gold") }
    let tags = crm.list_tags(person: id)
    crm.add_note(title: "all of it", priority: 1, kind: "call")
  } on error { crm.subscribe(list: "failed") }

when stripe.charge_failed where amount > 3 do crm.subscribe(list: "poor")
"#;

fn own() -> String {
    include_str!("crm.flow").to_owned()
}

fn settings() -> Settings {
    Settings { currency: flow_plan::Currency::parse("USD"), freeze: true, ..Settings::default() }
}

fn locked(flows: &str, own: &str, shop: &str, settings: Settings) -> (Lock, flow_compiler::report::Sources) {
    let (compilation, compiler) = compile(&[("dir/a b.flow", flows), ("own.flow", own), ("shop.flow", shop)], settings);
    let wrong: Vec<_> = compilation.errors().map(|one| format!("{} {}", one.code, one.message)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    (Lock::of(&compilation), compiler.sources())
}

fn reports(found: &[Diagnostic], sources: &flow_compiler::report::Sources) -> String {
    found.iter().map(|one| report::human(one, sources, Style::default())).collect()
}

/// Returns what is said about a change.
fn said(before: &Lock, flows: &str, own: &str, shop: &str, settings: Settings) -> Vec<String> {
    let (now, sources) = locked(flows, own, shop, settings);
    let found = lock::compare(&now, before, &Arc::from("flow.lock"), Scope::Project);
    found
        .iter()
        .map(|one| {
            let source = sources.get(&one.file).map_or("", |text| text);
            let at = one.span.text(source).split_whitespace().collect::<Vec<_>>().join(" ");
            format!("{} `{at}` {}", one.code, one.message)
        })
        .collect()
}

#[test]
fn the_text_has_everything_and_is_read_back() {
    let (lock, _) = locked(ALL, &own(), SHOP, settings());
    let text = lock.write();
    insta::assert_snapshot!("lock", text);
    let read = lock::parse(&Arc::from("flow.lock"), &text).unwrap();
    assert_eq!(read.write(), text);
    assert_eq!(lock::compare(&lock, &read, &Arc::from("flow.lock"), Scope::Project), []);
    // The same project gives the same text, and so does a checkout with other line ends.
    assert_eq!(locked(ALL, &own(), SHOP, settings()).0.write(), text);
    let read = lock::parse(&Arc::from("flow.lock"), &text.replace('\n', "\r\n")).unwrap();
    assert_eq!(lock::compare(&lock, &read, &Arc::from("flow.lock"), Scope::Project), []);
}

#[test]
fn nothing_is_kept_where_nobody_asks() {
    let (lock, _) = locked(ALL, &own(), SHOP, Settings { freeze: false, ..settings() });
    assert!(lock.flows.values().all(|flow| flow.entries.is_empty()));
}

#[test]
fn what_changes_from_outside_is_found_at_its_place() {
    let (before, _) = locked(ALL, &own(), SHOP, settings());
    let said = |own: &str, shop: &str, settings| said(&before, ALL, own, shop, settings);
    assert_eq!(said(&own(), SHOP, settings()), [""; 0]);
    // Another default.
    assert_eq!(
        said(&own().replace("priority: int 1..5 = 3", "priority: int 1..5 = 4"), SHOP, settings()),
        ["E404 `crm.add_note(body: \"first\")` `priority` of `crm.add_note` would be filled in differently than in flow.lock"]
    );
    // A default that came.
    assert_eq!(said(&own().replace("public: bool?", "public: bool = true"), SHOP, settings()).len(), 2, "one for each call");
    // Another currency.
    assert_eq!(
        said(&own(), SHOP, Settings { currency: flow_plan::Currency::parse("EUR"), ..settings() }),
        ["E404 `when stripe.charge_failed` this flow counts on another `currency` than in flow.lock"]
    );
    // Another summary, another resolver.
    assert_eq!(
        said(&own().replace("Score {score}", "Scored {score}"), SHOP, settings()),
        ["E404 `crm.add_note(body: \"first\")` `title` of `crm.add_note` would be filled in differently than in flow.lock"]
    );
    let desk = SHOP.replace("resolver Person from email = find_or_create\n  query", "resolver Person from email = another\n  action another(email: email) -> Person { POST \"/another\" json { email } effect set }\n  query");
    assert_ne!(desk, SHOP);
    assert_eq!(
        said(&own(), &desk, settings()),
        ["E404 `desk.note(text: \"second\")` a step before `desk.note` would be filled in differently than in flow.lock"]
    );
    // The trigger's option.
    assert_eq!(
        said(&own().replace("imported: bool = false", "imported: bool = true"), SHOP, settings()),
        ["E404 `crm.person_created` `imported` of `crm.person_created` would be filled in differently than in flow.lock"]
    );
}

#[test]
fn edits_of_flows() {
    let (before, _) = locked(ALL, &own(), SHOP, settings());
    let said = |flows: &str| said(&before, flows, &own(), SHOP, settings());
    // Steps that move, text that is laid out anew and comments change nothing.
    assert_eq!(said(&ALL.replace("  do {\n", "  do { # here\n\n    let n = score\n    if n > 3 { stop }\n")), [""; 0]);
    // What is written out is not filled in.
    assert_eq!(
        said(&ALL.replace("body: \"first\"", "body: \"first\", kind: \"mail\"")),
        ["E404 `crm.add_note(body: \"first\", kind: \"mail\")` `kind` of `crm.add_note` is not filled in any more"]
    );
    // What is left out is.
    assert_eq!(
        said(&ALL.replace(", priority: 1", "")),
        [
            "E404 `crm.add_note(title: \"all of it\", kind: \"call\")` `priority` of `crm.add_note` would be filled in, and is not in flow.lock"
        ]
    );
    // A flow comes, another goes.
    let (first, _) = ALL.split_once("when stripe").unwrap();
    let found = said(&format!("{first}flow fresh\n  when shop.ordered\n  do shop.ship\n"));
    assert_eq!(found.len(), 2, "{found:#?}");
    assert_eq!(found[0], "E405 `fresh` flow.lock does not have `fresh`");
    assert!(
        found[1].starts_with("E405 `` the flow `dir/a b.flow:") && found[1].ends_with("` of flow.lock is not in the project"),
        "{found:#?}"
    );
}

#[test]
fn of_a_single_file_only_its_own_flows_are_missed() {
    let (lock, _) = locked("flow one\n  when shop.ordered\n  do shop.ship\n", &own(), SHOP, settings());
    let text = "version 1\nflow one in \"dir/a b.flow\"\nflow two in other.flow\nflow three in \"dir/a b.flow\"\n";
    let frozen = lock::parse(&Arc::from("flow.lock"), text).unwrap();
    let of = |scope| -> Vec<String> {
        let found = lock::compare(&lock, &frozen, &Arc::from("flow.lock"), scope);
        found.iter().filter(|one| one.code.as_str() == "E405").map(|one| one.span.text(text).to_owned()).collect()
    };
    assert_eq!(of(Scope::File("dir/a b.flow")), ["flow three in \"dir/a b.flow\""]);
    assert_eq!(of(Scope::Project), ["flow three in \"dir/a b.flow\"", "flow two in other.flow"]);
}

#[test]
fn a_lock_that_is_none_is_told_with_its_line() {
    let cases = [
        ("", ""),
        ("flow a in a.flow\n", "flow a in a.flow"),
        ("version 2\n", "version 2"),
        ("version x\n", "version x"),
        ("version 1\n<<<<<<< ours\nflow a in a.flow\n", "<<<<<<< ours"),
        ("version 1\nflow a\n", "flow a"),
        ("version 1\nflow a in a.flow\nflow a in b.flow\n", "flow a in b.flow"),
        ("version 1\n  1 x.y\n", "1 x.y"),
        ("version 1\nflow a in a.flow\n    x (y) = z\n", "x (y) = z"),
        ("version 1\nflow a in a.flow\n  1 x.y\n    x = z\n", "x = z"),
        ("version 1\nflow a in a.flow\n   1 x.y\n", "1 x.y"),
        ("version 1\nflow \"a in a.flow\n", "flow \"a in a.flow"),
        ("version 1\nflow a in a.flow and more\n", "flow a in a.flow and more"),
    ];
    for (text, at) in cases {
        let found = lock::parse(&Arc::from("flow.lock"), text).unwrap_err();
        assert_eq!((found.code.as_str(), found.span.text(text)), ("E406", at), "{text:?}");
    }
}

#[test]
fn names_and_values_cannot_break_the_text() {
    let flows = "when shop.ordered do desk.post(text: \"x\")\n";
    let (mut lock, _) = locked(flows, &own(), SHOP, settings());
    let mut flow = lock.flows.pop_first().unwrap().1;
    flow.entries = vec![lock::Entry {
        place: "1".to_owned(),
        call: "a.b".to_owned(),
        key: "text".to_owned(),
        value: "\"a (b) = c # d\"".to_owned(),
        why: "why".to_owned(),
        span: flow.span,
    }];
    flow.file = "a \" in b.flow".to_owned();
    lock.flows.insert("x in \"y\"\n".to_owned(), flow);
    let text = lock.write();
    let read = lock::parse(&Arc::from("flow.lock"), &text).unwrap();
    assert_eq!(lock::compare(&lock, &read, &Arc::from("flow.lock"), Scope::Project), [], "{text}");
    assert_eq!(read.write(), text);
}

#[test]
fn what_is_said_about_differences() {
    let (before, mut sources) = locked(ALL, &own(), SHOP, settings());
    let text = before.write().replace("= 3", "= 2").replace("flow all", "flow al").replace("= USD", "= EUR");
    let file: Arc<str> = Arc::from("flow.lock");
    sources.insert(file.clone(), Arc::from(text.as_str()));
    let frozen = lock::parse(&file, &text).unwrap();
    let mut found = lock::compare(&before, &frozen, &file, Scope::Project);
    let text = text.replace("flow al ", "flow all ");
    let frozen = lock::parse(&file, &text).unwrap();
    found.extend(lock::compare(&before, &frozen, &file, Scope::Project));
    found.push(lock::missing(&file));
    found.push(lock::parse(&file, "version 3\n").unwrap_err());
    insta::assert_snapshot!("differences", reports(&found, &sources));
}
