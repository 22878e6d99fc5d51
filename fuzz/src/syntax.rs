//! Texts: read, and written in their canonical form.

use flow_grammar::span::Span;
use flow_grammar::{Parsed, compare};

/// Longer texts than people write are left to the tests of hostile texts, which have the bounds on time.
const LONGEST: usize = 1 << 16;

/// Any text parses: a tree and errors, in time that grows with the text, with every span inside of it.
pub fn parse(text: &str) {
    if text.len() > LONGEST {
        return;
    }
    let begun = std::time::Instant::now();
    let parsed = flow_grammar::parse(text);
    // The bound is far from what it takes, since the machine may be busy: what it catches is not slow but endless.
    assert!(begun.elapsed().as_secs() < 120, "{} bytes took {:?}", text.len(), begun.elapsed());
    for error in &parsed.errors {
        inside(error.span, text);
        assert!(!error.message.is_empty());
        error.labels.iter().for_each(|(span, _)| inside(*span, text));
        assert!(error.fixes.len() <= 3, "{:?}", error.fixes);
        for fix in &error.fixes {
            apart(fix.edits.iter().map(|(span, _)| *span).collect(), text);
        }
    }
    spans_of_the_tree(&parsed, text);
    let places: Vec<_> = parsed.errors.iter().map(|error| (error.span.start, error.span.end)).collect();
    assert!(places.is_sorted(), "{places:?}");
}

/// What is formatted says the same, has each comment, and is its own canonical form.
pub fn format(text: &str) {
    if text.len() > LONGEST {
        return;
    }
    let first = flow_grammar::parse(text);
    let formatted = flow_grammar::format(text);
    assert_eq!(formatted.is_ok(), first.errors.is_empty());
    let Ok(once) = formatted else { return };
    let second = flow_grammar::parse(&once);
    assert!(second.errors.is_empty(), "{once}\n{:#?}", second.errors);
    let comments = |parsed: &Parsed| {
        let mut texts: Vec<String> = parsed.file.comments.iter().map(|comment| comment.text.clone()).collect();
        texts.sort();
        texts
    };
    assert_eq!(comments(&first), comments(&second), "{once}");
    if !compare::same_tree(&first.file, &second.file) {
        assert_eq!(compare::outline(&first.file), compare::outline(&second.file), "{once}");
    }
    match flow_grammar::format(&once) {
        Ok(twice) => assert_eq!(twice, once),
        Err(errors) => panic!("{once}\n{errors:#?}"),
    }
}

/// A span lies inside of a text, between whole characters.
pub(crate) fn inside(span: Span, text: &str) {
    assert!(text.get(span.range()).is_some(), "{span:?} is not within {} bytes", text.len());
}

/// The spans that a fix replaces lie inside of a text and do not overlap.
pub(crate) fn apart(mut spans: Vec<Span>, text: &str) {
    spans.iter().for_each(|span| inside(*span, text));
    spans.sort();
    for pair in spans.windows(2) {
        assert!(pair[0].end <= pair[1].start, "{spans:?}");
    }
}

/// Every span that the tree has, read from how it is shown: so no kind of node is forgotten here.
fn spans_of_the_tree(parsed: &Parsed, text: &str) {
    let shown = format!("{:?}", parsed.file);
    for piece in shown.split("Span { start: ").skip(1) {
        let numbers = piece.split_once(" }").and_then(|(numbers, _)| numbers.split_once(", end: "));
        // A text in the tree may look like a span; it has no two numbers then.
        let Some((Ok(start), Ok(end))) = numbers.map(|(start, end)| (start.parse(), end.parse())) else { continue };
        inside(Span { start, end }, text);
    }
}
