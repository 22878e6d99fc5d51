//! Forms of other languages: each is named, and shown in the form to write, with the words that were written.
//!
//! A rule looks at one token and its neighbours and must not fire on what Flow reads. Only tokens up to the place
//! where the parser stopped are looked at, so a habit further on is reported when its turn comes.

mod sign;
mod word;

use super::look::Look;
use crate::error::SyntaxError;
use crate::grammar::Rule;
use crate::span::Span;

pub(super) use sign::method_form;
pub(super) use word::step_word;

/// Returns what the first habit in the text is.
pub(super) fn find(look: &Look<'_>) -> Option<SyntaxError> {
    let end = (look.found + 1).min(look.tokens.len());
    (0..end).find_map(|at| {
        sign::sign(look, at)
            .or_else(|| sign::currency_sign(look, at))
            .or_else(|| sign::filter(look, at))
            .or_else(|| word::comparison_words(look, at))
            .or_else(|| word::word(look, at))
            .or_else(|| word::yaml(look, at))
            .or_else(|| word::if_then(look, at))
            .or_else(|| sign::assignment(look, at))
            .or_else(|| sign::arrow(look, at))
            .or_else(|| sign::method(look, at))
    })
}

fn habit(look: &Look<'_>, span: Span, message: String) -> SyntaxError {
    let label = format!("`{}` is not part of Flow", first_line(span.text(look.source)));
    SyntaxError::new("E108", span, message).label(label)
}

/// A sign that is replaced by another, or by a word.
fn replaced(look: &Look<'_>, at: usize, with: &str, why: &str) -> SyntaxError {
    let span = look.span(at);
    let written = look.word(at);
    let form = example(look, at, with);
    habit(look, span, format!("{why} is written `{with}`")).help(format!("write `{form}`")).fix(
        format!("replace `{written}` by `{with}`"),
        span,
        with,
    )
}

/// `left with right`, in the words around the sign.
fn example(look: &Look<'_>, at: usize, with: &str) -> String {
    let left = look.value_before(at).map_or("a", |span| span.text(look.source));
    let right = look.value_at(at + 1).map_or("b", |span| span.text(look.source));
    format!("{left} {with} {right}")
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or("").trim_end()
}

impl Look<'_> {
    /// Whether the text is a flow or steps, rather than a connector.
    pub(super) fn place_is_flow(&self) -> bool {
        matches!(self.place, Rule::only_items | Rule::only_steps | Rule::only_chain | Rule::only_arms | Rule::only_tests)
    }

    /// Whether `|` separates the values of an enum or of an arm here.
    fn place_is_types(&self) -> bool {
        matches!(self.place, Rule::only_members | Rule::only_fields | Rule::only_arms)
    }
}
