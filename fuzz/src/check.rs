//! Programs: checked, reported, listed, drawn, frozen and written out.

use std::cell::RefCell;
use std::sync::Arc;

use flow_compiler::compile::{Compilation, Compiler};
use flow_compiler::graph::Graph;
use flow_compiler::lock::Lock;
use flow_compiler::settings::Settings;
use flow_compiler::{graph, listing, report};
use flow_plan::{Flow, StartKind};

use super::syntax::{apart, inside};

/// Connectors beside the built-in ones, with one of nearly everything that a connector can have.
const CONNECTORS: &[(&str, &str)] = &[
    ("ai.flow", include_str!("../../tests/fixtures/language/ai.flow")),
    ("customerio.flow", include_str!("../../tests/fixtures/language/customerio.flow")),
    ("front_door.flow", include_str!("../../tests/fixtures/language/front_door.flow")),
    ("lock.flow", include_str!("../../tests/fixtures/language/lock.flow")),
    ("metrics.flow", include_str!("../../tests/fixtures/language/metrics.flow")),
    ("report.flow", include_str!("../../tests/fixtures/language/report.flow")),
    ("slack.flow", include_str!("../../tests/fixtures/language/slack.flow")),
    ("sms.flow", include_str!("../../tests/fixtures/language/sms.flow")),
];

const FILE: &str = "fuzz.flow";

/// Programs of this length hold each construct many times.
const LONGEST: usize = 1 << 14;

thread_local! {
    /// The connectors are read once.
    static COMPILER: RefCell<Compiler> = RefCell::new(compiler());
}

fn compiler() -> Compiler {
    let settings = Settings {
        timezone: Some("Europe/Paris".to_owned()),
        location: Some((48.85, 2.35)),
        today: jiff::civil::Date::new(2026, 11, 26).ok(),
        freeze: true,
        ..Settings::default()
    };
    let mut compiler = Compiler::new(settings);
    for (name, text) in CONNECTORS {
        compiler.set(name, *text);
    }
    compiler
}

fn compile(text: &str) -> (Compilation, report::Sources) {
    COMPILER.with_borrow_mut(|compiler| {
        compiler.set(FILE, text);
        let compilation = compiler.compile();
        (compilation, compiler.sources())
    })
}

/// Any text checks: flows and diagnostics, each of which can be shown and whose fixes can be applied. What is sound is
/// sound when it is formatted, and when it is written out, which then changes nothing more.
pub fn check(text: &str) {
    if text.len() > LONGEST {
        return;
    }
    let (compilation, sources) = compile(text);
    let diagnostics = compilation.diagnostics();
    for diagnostic in &diagnostics {
        let source = sources.get(&diagnostic.file).map_or("", |text| &**text);
        inside(diagnostic.span, source);
        diagnostic.labels.iter().for_each(|label| inside(label.span, source));
        assert!(diagnostic.fixes.len() <= 3, "{diagnostic:#?}");
        for fix in &diagnostic.fixes {
            apart(fix.edits.iter().map(|edit| edit.span).collect(), source);
        }
        assert!(!report::human(diagnostic, &sources, report::Style::default()).is_empty());
    }
    report::json(&diagnostics, &sources, compilation.flow_count());
    let flows: Vec<_> = compilation.flows().cloned().collect();
    listing::human(&flows);
    listing::json(&flows);
    let drawn = Graph::of(&flows);
    graph::mermaid::draw(&drawn);
    graph::svg::draw(&drawn);
    let lock = Lock::of(&compilation).write();
    let file: Arc<str> = Arc::from("flow.lock");
    let read = flow_compiler::lock::parse(&file, &lock);
    assert_eq!(read.map(|read| read.write()).as_ref(), Ok(&lock));
    if compilation.is_sound() {
        rewritten(text, &compilation);
    }
}

/// A sound program formatted and written out.
fn rewritten(text: &str, first: &Compilation) {
    let Ok(formatted) = flow_grammar::format(text) else { panic!("a sound program cannot be formatted") };
    let (second, _) = compile(&formatted);
    assert_eq!(problems(&second), Vec::<String>::new(), "{formatted}");
    assert_eq!(hashes(first), hashes(&second), "{formatted}");
    let Some(once) = expanded(text, first) else { return };
    let (third, _) = compile(&once);
    assert_eq!(problems(&third), Vec::<String>::new(), "{once}");
    assert_eq!(hashes(first), hashes(&third), "{once}");
    assert_eq!(expanded(text, &third).as_ref(), Some(&once));
}

/// The flows of the file written out; `None` where it has more than flows, on which they may rely.
fn expanded(text: &str, compilation: &Compilation) -> Option<String> {
    use flow_grammar::syntax::Item;
    let only_flows = flow_grammar::parse(text).file.items.iter().all(|item| matches!(item, Item::Flow(_)));
    let unit = compilation.units.get(FILE).filter(|_| only_flows)?;
    Some(unit.expanded.iter().map(flow_grammar::print_flow).collect::<Vec<_>>().join("\n\n"))
}

fn problems(compilation: &Compilation) -> Vec<String> {
    compilation.errors().map(|one| format!("{} {} {}", one.file, one.code, one.message)).collect()
}

/// What the flows with names mean. Of one without a name the id is a hash of its text, which is not the same written out; of
/// one that the clock starts, what holds without a word is another value than the same word.
fn hashes(compilation: &Compilation) -> Vec<String> {
    let by_clock = |flow: &Flow| flow.triggers.iter().any(|used| matches!(used.kind, StartKind::Schedule(_)));
    let told = |flow: &&Arc<Flow>| flow.name.is_some() && !by_clock(flow);
    compilation.flows().filter(told).map(|flow| flow.hash.clone()).collect()
}
