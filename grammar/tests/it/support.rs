//! What several tests need.

use std::fs;
use std::path::PathBuf;

use flow_grammar::SyntaxError;
use flow_grammar::compare::{outline, same_tree};
use flow_grammar::print::{print_connector, print_flow, print_test};
use flow_grammar::span::{LineIndex, Span};
use flow_grammar::syntax::Item;
use flow_grammar::{format, parse};

/// Returns the fixtures with their names.
pub(crate) fn fixtures() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut out: Vec<(String, String)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "flow"))
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read_to_string(path).unwrap()))
        .collect();
    out.sort();
    out
}

/// Returns programs of the repository that are right: the fixtures, the examples, and those of other tests.
pub(crate) fn programs() -> Vec<(String, String)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut out = fixtures();
    for folder in ["examples", "tests/fixtures/programs", "tests/fixtures/language/programs"] {
        let mut found: Vec<(String, String)> = fs::read_dir(root.join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|ext| ext == "flow"))
            .map(|path| (format!("{folder}/{}", path.file_name().unwrap().to_string_lossy()), fs::read_to_string(path).unwrap()))
            .collect();
        found.sort();
        assert!(!found.is_empty(), "{folder}");
        out.extend(found);
    }
    out
}

/// Returns what one item says, wherever it stands.
pub(crate) fn item_text(item: &Item) -> String {
    match item {
        Item::Flow(flow) => print_flow(flow),
        Item::Test(test) => print_test(test),
        Item::Connector(connector) => print_connector(connector),
        Item::Bad(_) => String::new(),
    }
}

/// Formats, and checks what holds for all formatting.
pub(crate) fn checked_format(source: &str) -> String {
    let once = format(source).unwrap_or_else(|errors| panic!("{errors:#?}\n{source}"));
    let before = parse(source);
    let after = parse(&once);
    assert!(after.errors.is_empty(), "{:#?}\n{source}\n{once}", after.errors);
    if !same_tree(&before.file, &after.file) {
        let (a, b) = (outline(&before.file), outline(&after.file));
        let at = a.lines().zip(b.lines()).position(|(a, b)| a != b).unwrap_or(0);
        let context = |text: &str| text.lines().skip(at.saturating_sub(12)).take(24).collect::<Vec<_>>().join("\n");
        panic!(
            "the tree changed\n--- source\n{source}\n--- formatted\n{once}\n--- before\n{}\n--- after\n{}",
            context(&a),
            context(&b)
        );
    }
    let twice = format(&once).unwrap();
    assert_eq!(once, twice, "formatting is not stable for\n{source}");
    once
}

/// Renders an error as a person sees it.
pub(crate) fn rendered(source: &str, error: &SyntaxError) -> String {
    let index = LineIndex::new(source);
    let line_of = |span: Span| index.position(source, span.start as usize);
    let place = line_of(error.span);
    let mut out = format!("{}: {}\n", error.code, error.message);
    let text = source.lines().nth(place.line - 1).unwrap_or("");
    out.push_str(&format!("  {text}\n"));
    let width = error.span.text(source).lines().next().unwrap_or("").chars().count().max(1);
    out.push_str(&format!("  {}{} {}\n", " ".repeat(place.column - 1), "^".repeat(width), error.label));
    for (span, label) in &error.labels {
        let at = line_of(*span);
        let width = span.text(source).lines().next().unwrap_or("").chars().count().max(1);
        let line = if at.line == place.line { String::new() } else { format!("(line {}) ", at.line) };
        out.push_str(&format!("  {}{} {line}{label}\n", " ".repeat(at.column - 1), "-".repeat(width)));
    }
    if let Some(help) = &error.help {
        out.push_str(&format!("  = {help}\n"));
    }
    for fix in &error.fixes {
        let sure = if fix.safe { "fix" } else { "fix?" };
        out.push_str(&format!("  = {sure}: {} -> {}\n", fix.title, applied(source, fix).replace('\n', "⏎")));
    }
    // A snapshot is a text.
    out.replace('\0', "␀")
}

/// Returns the source with a fix applied.
pub(crate) fn applied(source: &str, fix: &flow_grammar::Fix) -> String {
    let mut edits = fix.edits.clone();
    edits.sort_by_key(|(span, _)| std::cmp::Reverse((span.start, span.end)));
    let mut out = source.to_owned();
    for (span, text) in edits {
        out.replace_range(span.range(), &text);
    }
    out
}
