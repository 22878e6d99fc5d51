//! What to say about text that does not fit.
//!
//! The grammar takes text that it cannot read as a whole (`bad`, `bad_item`), so the rest of the file stays readable.
//! Here that text is read again, strictly: where the parser stops and what it would have taken there is the raw
//! material ([`look`]). Known mistakes are recognised from the tokens around that place, the most telling first
//! ([`habit`], [`shape`]); what remains is said in general words ([`expected`]).

mod amount;
mod clause;
mod clock;
mod expected;
mod habit;
mod hidden;
mod limit;
mod lines;
mod literal;
mod look;
mod meant;
mod missing;
mod money;
mod phrase;
mod shape;
mod similar;
mod slip;
mod text;
mod token;
mod top;

use crate::error::SyntaxError;
use crate::grammar::Rule;
use crate::parse::{DeepItem, Parsed};
use crate::scan::{MAX_DEPTH, Scan, Trouble};
use crate::span::Span;
use crate::syntax::Item;
use look::Look;

pub(crate) use clause::{flow, rate, twice};
pub(crate) use lines::Lines;
pub(crate) use literal::{any_arm, comparisons, escape, method, null, number, step_call, time, too_long};
pub use look::is_reserved;
pub(crate) use text::template;

/// Text before a mistake that is read again with it: more would only cost time.
const CONTEXT: u32 = 4_000;

/// Explains why `bad` is not what `place` has, given what was read right before it.
fn explain(source: &str, place: Rule, previous: Option<Span>, bad: Span) -> SyntaxError {
    let from = previous.filter(|span| bad.end - span.start < CONTEXT).unwrap_or(bad).start;
    let look = Look::new(source, place, from, bad);
    let mut error = hidden::find(&look)
        .or_else(|| money::find(&look))
        .or_else(|| text::quotes(&look))
        .or_else(|| clock::find(&look))
        .or_else(|| slip::find(&look))
        .or_else(|| phrase::find(&look))
        .or_else(|| limit::find(&look))
        .or_else(|| meant::find(&look))
        .or_else(|| text::open(&look))
        .or_else(|| text::inside(&look))
        .or_else(|| top::known(&look))
        .or_else(|| habit::find(&look))
        .or_else(|| shape::find(&look))
        .or_else(|| top::unknown(&look))
        .unwrap_or_else(|| shape::general(&look));
    look.doubt(Span { start: from, end: bad.end }, &mut error);
    error
}

/// Explains text that is no item.
pub(crate) fn item(source: &str, previous: Option<Span>, bad: Span) -> SyntaxError {
    let column_0 = bad.start == 0 || source.as_bytes().get(bad.start as usize - 1) == Some(&b'\n');
    // What is not in column 0 goes on with the item before it.
    let previous = if column_0 && !top::continues(source, bad) { None } else { previous };
    explain(source, Rule::only_items, previous, bad)
}

/// Explains what stands behind `do` and is no step.
pub(crate) fn behind_do(source: &str, do_span: Span, bad: Span) -> SyntaxError {
    if bad.text(source).trim().is_empty() {
        return SyntaxError::new("E107", do_span, "this flow does nothing")
            .label("no step follows `do`")
            .help("write what is to be done, for example `do kustomer.create_conversation(name: \"…\")`");
    }
    let again = bad.text(source).strip_prefix("do").filter(|rest| rest.starts_with(char::is_whitespace));
    if again.is_some() {
        let span = Span { start: bad.start, end: bad.start + 2 };
        let whole = Span { start: do_span.end, end: span.end };
        return SyntaxError::new("E102", span, "`do` stands here twice").label("this one is too many").fix(
            "remove the second `do`",
            whole,
            "",
        );
    }
    if bad.text(source).starts_with(':') {
        let colon = Span { start: bad.start, end: bad.start + 1 };
        return SyntaxError::new("E108", colon, "no colon stands behind `do`")
            .label("`:` is not part of Flow here")
            .help("write `do` and go on; blocks stand in braces, indentation means nothing")
            .fix("remove `:`", colon, "");
    }
    explain(source, Rule::only_chain, None, bad)
}

/// Says what cannot stand here, where the tree found out.
pub(crate) fn unexpected(source: &str, span: Span) -> SyntaxError {
    SyntaxError::new("E102", span, format!("`{}` cannot stand here", span.text(source))).label("not expected here")
}

/// Reports items that were left out because they are nested too deeply, and puts `Bad` in their place.
pub(crate) fn deep(items: &[DeepItem], parsed: &mut Parsed) {
    for item in items {
        parsed.errors.push(
            SyntaxError::new("E106", item.at, "this is nested too deeply")
                .label(format!("more than {MAX_DEPTH} brackets are open here"))
                .help("name inner values with `let`, or split the flow in two"),
        );
        parsed.file.items.push(Item::Bad(item.item));
    }
    if !items.is_empty() {
        parsed.file.items.sort_by_key(|item| span_of(item).start);
    }
}

fn span_of(item: &Item) -> Span {
    match item {
        Item::Flow(flow) => flow.span,
        Item::Test(test) => test.span,
        Item::Connector(connector) => connector.span,
        Item::Bad(span) => *span,
    }
}

/// Reports what the first look over the text found and nothing else has explained.
pub(crate) fn troubles(source: &str, scan: &Scan, parsed: &mut Parsed) {
    if scan.troubles.is_empty() {
        return;
    }
    parsed.errors.sort_by_key(|error| error.span.start);
    let mut last: Option<Span> = None;
    let mut more = Vec::new();
    for (trouble, span) in &scan.troubles {
        // One cause, one error: an item that is explained already keeps its explanation.
        if last.is_some_and(|item| span.start <= item.end) {
            continue;
        }
        let item = crate::parse::item_around(source, span.start as usize);
        last = Some(item);
        let next = parsed.errors.partition_point(|error| error.span.start < item.start);
        if parsed.errors.get(next).is_some_and(|error| error.span.start <= item.end) {
            continue;
        }
        more.push(match trouble {
            Trouble::TooDeep => continue,
            Trouble::Backticks => text::backticks(source, *span),
            Trouble::UnclosedText => text::unclosed(source, *span),
            Trouble::CommentInText => SyntaxError::new("E109", *span, "no comment can stand inside `{…}` of a text")
                .label("this is a comment")
                .help("write it before the step"),
        });
    }
    parsed.errors.append(&mut more);
}
