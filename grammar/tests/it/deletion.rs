//! One token is missing: the rest of the file stays as it was.

use flow_grammar::parse;
use flow_grammar::syntax::{Item, StepKind};

use crate::support::{item_text, programs};

/// Cuts a text into tokens, roughly; blanks and comments are left out.
fn tokens(source: &str) -> Vec<std::ops::Range<usize>> {
    let mut out = Vec::new();
    let bytes = source.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        match bytes[at] {
            b'#' => {
                at += source[at..].find('\n').unwrap_or(source.len() - at);
                continue;
            }
            b if b.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            b'"' => at += 1,
            b if b.is_ascii_alphanumeric() || b == b'_' => {
                at += source[at..].find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(source.len() - at);
            }
            _ => at += source[at..].chars().next().unwrap().len_utf8(),
        }
        out.push(start..at);
    }
    out
}

/// A file in pieces of three items: damage goes to a neighbour or nowhere, and short texts are read fast.
fn pieces((name, source): (String, String)) -> Vec<(String, String)> {
    let starts: Vec<usize> = parse(&source).file.items.iter().map(start_of).collect();
    let end = |at: usize| starts.get(at).copied().unwrap_or(source.len());
    (0..starts.len()).step_by(3).map(|at| (name.clone(), source[end(at)..end(at + 3)].to_owned())).collect()
}

#[test]
fn a_missing_token_damages_one_item() {
    let (mut all, mut contained) = (0, 0);
    for (name, source) in programs().into_iter().flat_map(pieces) {
        let whole: Vec<String> = parse(&source).file.items.iter().map(item_text).collect();
        for token in tokens(&source) {
            let text = format!("{}{}", &source[..token.start], &source[token.end..]);
            let parsed = parse(&text);
            let left: Vec<String> = parsed.file.items.iter().map(item_text).collect();
            let lost = whole.iter().filter(|item| !left.contains(item)).count();
            all += 1;
            if lost <= 1 {
                contained += 1;
            }
            assert!(lost <= 2, "{name}: without `{}` at {} {lost} items are lost", &source[token.clone()], token.start);
            // Errors lie where they can be shown.
            for error in &parsed.errors {
                assert!(text.get(error.span.range()).is_some(), "{error:?}");
                assert!(error.labels.iter().all(|(span, _)| text.get(span.range()).is_some()), "{error:?}");
                assert!(
                    error.fixes.iter().flat_map(|fix| &fix.edits).all(|(span, _)| text.get(span.range()).is_some()),
                    "{error:?}"
                );
            }
        }
    }
    assert!(all > 3_000, "{all}");
    assert!(contained * 1000 >= all * 999, "{contained} of {all}");
}

fn start_of(item: &Item) -> usize {
    match item {
        Item::Flow(flow) => flow.span.start as usize,
        Item::Test(test) => test.span.start as usize,
        Item::Connector(connector) => connector.span.start as usize,
        Item::Bad(span) => span.start as usize,
    }
}

/// A line is missing, stands twice, or is the last: the items before it stay, the answer comes, and it can be shown.
#[test]
fn a_line_more_or_less_damages_two_items() {
    for (name, source) in programs().into_iter().flat_map(pieces) {
        let whole: Vec<String> = parse(&source).file.items.iter().map(item_text).collect();
        let begun: Vec<usize> = parse(&source).file.items.iter().map(start_of).collect();
        let begun_behind = |cut: usize| begun.iter().filter(|start| **start >= cut).count();
        let lines: Vec<&str> = source.split_inclusive('\n').collect();
        for at in 0..lines.len() {
            let (before, line, behind) = (lines[..at].concat(), lines[at], lines[at + 1..].concat());
            for (how, text, most) in [
                ("without", format!("{before}{behind}"), 2),
                ("twice", format!("{before}{line}{line}{behind}"), 2),
                ("ends with", format!("{before}{line}"), 1 + begun_behind(before.len() + line.len())),
            ] {
                let parsed = parse(&text);
                let left: Vec<String> = parsed.file.items.iter().map(item_text).collect();
                let lost = whole.iter().filter(|item| !left.contains(item)).count();
                assert!(lost <= most, "{name}, line {} {how}: {lost} items are lost", at + 1);
                for error in &parsed.errors {
                    assert!(text.get(error.span.range()).is_some(), "{error:?}");
                }
            }
        }
    }
}

/// A step that is broken leaves the steps around it.
#[test]
fn a_broken_step_leaves_its_neighbours() {
    let parsed = parse("flow a\n  when b.c\n  do {\n    d.e(f: 1)\n    g.h(i: )\n    j.k(l: 2)\n  }\nwhen m.n do o.p\n");
    assert_eq!(parsed.errors.len(), 1);
    let steps = |item: &Item| match item {
        Item::Flow(flow) => flow.body.steps.iter().map(|step| step.kind == StepKind::Bad).collect(),
        _ => Vec::new(),
    };
    assert_eq!(steps(&parsed.file.items[0]), [false, true, false]);
    assert_eq!(parsed.file.items.len(), 2);
}
