//! Clauses that are read but stand in the wrong place, or twice.

use std::mem::discriminant;

use crate::error::{Fix, SyntaxError};
use crate::span::Span;
use crate::syntax::{Clause, ClauseKind, Flow, StepKind};

/// Checks the order of a flow's clauses, and where its `on error` belongs.
pub(crate) fn flow(source: &str, flow: &Flow, errors: &mut Vec<SyntaxError>) {
    for (at, clause) in flow.clauses.iter().enumerate() {
        let before = flow.clauses.get(..at).unwrap_or_default();
        if let Some(first) = before.iter().find(|other| repeats(other, clause)) {
            errors.push(repeated(source, first, clause));
            continue;
        }
        let late = |other: &&Clause| matches!(other.kind, ClauseKind::Window { .. } | ClauseKind::Within(_));
        if let (ClauseKind::Where(_), Some(window)) = (&clause.kind, before.iter().find(late)) {
            errors.push(late_where(source, window, clause));
        }
    }
    if !flow.body.braces
        && flow.body.steps.len() > 1
        && let Some(last) = flow.body.steps.last()
        && let StepKind::Call(call) = &last.kind
        && let Some(block) = &call.on_error
    {
        errors.push(ambiguous_on_error(source, flow, block.span));
    }
}

/// Whether both say the same kind of thing, and only one may. A flow may have a limit per day and one per customer.
fn repeats(first: &Clause, second: &Clause) -> bool {
    let several = matches!(second.kind, ClauseKind::AtMost { .. });
    !several && discriminant(&first.kind) == discriminant(&second.kind)
}

fn repeated(source: &str, first: &Clause, second: &Clause) -> SyntaxError {
    let word = first_word(source, second.span);
    let name = word.text(source);
    let error = SyntaxError::new("E112", word, format!("a second `{name}` in one flow"))
        .label("this one comes again")
        .also(first_word(source, first.span), "this is the first");
    if name == "where" {
        return error.help("join the conditions with `and`, or with `or`").guess("replace it by `and`", word, "and");
    }
    error.help("keep one of them").guess("remove this one", second.span, "")
}

fn late_where(source: &str, window: &Clause, clause: &Clause) -> SyntaxError {
    let mut error = SyntaxError::new("E112", first_word(source, clause.span), "`where` stands before what is counted")
        .label("the condition says which events count")
        .also(window.span, "these events are counted, so their condition comes first")
        .help("put `where …` right behind the trigger");
    error.fixes.push(Fix {
        title: "move `where` before it".to_owned(),
        edits: vec![
            (Span { start: window.span.start, end: window.span.start }, format!("{} ", clause.span.text(source))),
            (clause.span, String::new()),
        ],
        safe: true,
    });
    error
}

fn ambiguous_on_error(source: &str, flow: &Flow, block: Span) -> SyntaxError {
    let steps = &flow.body.steps;
    let start = flow.body.span.start;
    let before = source.get(start as usize..block.start as usize).unwrap_or("");
    let at = before.rfind("on").map_or(block.start, |at| start + u32::try_from(at).unwrap_or(0));
    let place = Span { start: at, end: block.start };
    let word = Span { start: at, end: at + u32::try_from(place.text(source).trim_end().len()).unwrap_or(0) };
    let mut error = SyntaxError::new("E113", word, "which step is this `on error` for?")
        .label("it could be for the last step, or for the whole flow")
        .also(flow.do_span, "several steps follow `do` without braces")
        .help("put braces around the steps: `on error` behind a call is for that call, behind the braces for the flow");
    let mut edits = vec![(Span { start, end: start }, "{ ".to_owned())];
    for pair in steps.windows(2) {
        if let [one, two] = pair {
            let between = Span { start: one.span.end, end: two.span.start };
            if between.text(source).trim() == "then" {
                edits.push((between, "\n".to_owned()));
            }
        }
    }
    edits.push((Span { start: at, end: at }, "} ".to_owned()));
    error.fixes.push(Fix { title: "put braces around the steps, so that it is for all of them".to_owned(), edits, safe: false });
    error
}

fn first_word(source: &str, span: Span) -> Span {
    let text = span.text(source);
    let len = text.find(char::is_whitespace).unwrap_or(text.len());
    Span { start: span.start, end: span.start + u32::try_from(len).unwrap_or(0) }
}

/// A suffix or clause that may stand once only.
pub(crate) fn twice(source: &str, span: Span) -> SyntaxError {
    let word = first_word(source, span);
    SyntaxError::new("E112", word, format!("`{}` stands here twice", word.text(source)))
        .label("this one comes again")
        .help("keep one of them")
        .guess("remove this one", span, "")
}

/// `at most 3 per customer`, without a time.
pub(crate) fn rate(source: &str, span: Span) -> SyntaxError {
    let word = span.text(source);
    let after = span.after();
    SyntaxError::new("E102", span, "a limit needs the time that it is for")
        .label("expected a unit of time at the end, such as `per day`")
        .help(format!("write `per {word} per day`, or `per hour` for all together"))
        .guess("add `per day`", after, " per day")
}
