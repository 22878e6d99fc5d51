//! Phrases of other tools, and orders of words that read as well in English: each is given back in Flow's form, with the
//! user's own words in it.
//!
//! A rule looks at the place where the parser stopped, so none can fire on what Flow reads.

mod condition;
mod connector;
mod schedule;
mod start;
mod step;
mod test;

use super::look::{Look, is_reserved};
use super::token::Kind;
use crate::error::SyntaxError;
use crate::grammar::Rule;
use crate::span::Span;

/// Returns what the phrase at the place is in Flow.
pub(super) fn find(look: &Look<'_>) -> Option<SyntaxError> {
    match look.place {
        Rule::only_tests => return test::find(look),
        Rule::only_members | Rule::only_fields | Rule::only_source | Rule::only_http => return connector::find(look),
        _ => {}
    }
    schedule::find(look)
        .or_else(|| start::find(look))
        .or_else(|| condition::find(look))
        .or_else(|| step::find(look))
        .or_else(|| test::find(look))
        .or_else(|| connector::find(look))
}

/// `span` is the phrase, `whole` what `with` replaces.
fn instead(span: Span, whole: Span, message: &str, with: &str) -> SyntaxError {
    said(span, message, with).fix(format!("write `{with}`"), whole, with)
}

/// The same, where it may not be what was meant.
fn perhaps(span: Span, whole: Span, message: &str, with: &str) -> SyntaxError {
    said(span, message, with).guess(format!("write `{with}`"), whole, with)
}

fn said(span: Span, message: &str, form: &str) -> SyntaxError {
    SyntaxError::new("E108", span, message).label("not a form of Flow").help(format!("write `{form}`"))
}

/// `10 minutes`: where it is, and the last token of it.
fn duration(look: &Look<'_>, at: usize) -> Option<(Span, usize)> {
    let fits = look.kind(at) == Some(Kind::Number) && unit(look.word(at + 1)).is_some();
    fits.then(|| (look.span(at).to(look.span(at + 1)), at + 1))
}

/// The unit of time that a word or letter stands for.
fn unit(word: &str) -> Option<&'static str> {
    Some(match word.to_lowercase().as_str() {
        "ms" | "millisecond" | "milliseconds" => "millisecond",
        "s" | "sec" | "secs" | "second" | "seconds" => "second",
        "m" | "min" | "mins" | "minute" | "minutes" => "minute",
        "h" | "hr" | "hrs" | "hour" | "hours" => "hour",
        "d" | "day" | "days" => "day",
        "week" | "weeks" => "week",
        "month" | "months" => "month",
        _ => return None,
    })
}

/// The text of some tokens.
fn between<'s>(look: &Look<'s>, first: usize, last: usize) -> &'s str {
    look.span(first).to(look.span(last)).text(look.source)
}

/// Whether these words stand at `at`, in small letters or capitals.
fn words(look: &Look<'_>, at: usize, words: &[&str]) -> bool {
    words.iter().enumerate().all(|(i, word)| look.word(at + i).eq_ignore_ascii_case(word))
}

/// The first token of the path that ends right before `at`: `stripe.charge_failed`.
fn path_before(look: &Look<'_>, at: usize) -> Option<usize> {
    let mut first = at.checked_sub(1)?;
    while first >= 2 && look.word(first - 1) == "." {
        first -= 2;
    }
    (look.kind(first) == Some(Kind::Word) && !is_reserved(look.word(first))).then_some(first)
}

/// The last token of the path that begins at `at`.
fn path_at(look: &Look<'_>, at: usize) -> Option<usize> {
    if look.kind(at) != Some(Kind::Word) || is_reserved(look.word(at)) {
        return None;
    }
    let mut last = at;
    while look.word(last + 1) == "." && look.kind(last + 2) == Some(Kind::Word) {
        last += 2;
    }
    Some(last)
}

/// The last token of the call or path that begins at `at`.
fn call_at(look: &Look<'_>, at: usize) -> Option<usize> {
    let last = path_at(look, at)?;
    let end = look.value_at(at)?.end;
    look.tokens.iter().position(|token| token.span.end == end).map(|token| token.max(last))
}
