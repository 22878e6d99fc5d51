//! Mistakes at the start of an item.

use super::look::Look;
use super::similar::nearest;
use super::token::{Kind, tokens};
use crate::error::SyntaxError;
use crate::grammar::Rule;
use crate::span::Span;

const TOP: [&str; 5] = ["when", "every", "flow", "test", "connector"];

/// Returns whether text in column 0 can only go on with the item before it.
pub(super) fn continues(source: &str, bad: Span) -> bool {
    let end = bad.end.min(bad.start + 400);
    let head = tokens(source, Span { start: bad.start, end });
    let second = head.get(1).map_or("", |token| token.text);
    match head.first().map_or("", |token| token.text) {
        "where" | "do" | "then" | "and" | "or" | ")" | "}" | "]" | "else" | "," => true,
        "fresh" | "at" | "once" | "one" | "throttle" | "missed" | "across" | "expect" | "on" | "within" | "retry" | "as" => {
            second != "."
        }
        _ => false,
    }
}

/// Mistakes that are certain.
pub(super) fn known(look: &Look<'_>) -> Option<SyntaxError> {
    if look.place != Rule::only_items || look.found != 0 && look.word(0) != "if" {
        return None;
    }
    let span = look.span(0);
    let error = |message: &str| SyntaxError::new("E101", span, message).label("no flow begins like this");
    match look.word(0) {
        "if" | "whenever" | "upon" | "once" | "on" | "If" | "When" | "WHEN" | "Every" | "IF" => {
            let with = if look.word(0) == "Every" { "every" } else { "when" };
            let rest = then_for_do(look);
            let mut error = error("a flow begins with `when` or `every`")
                .help("write `when trigger where condition do action`")
                .guess(format!("write `{with}`"), span, with);
            if let (Some(then), Some(fix)) = (rest, error.fixes.first_mut()) {
                fix.title = format!("write `{with}` and `do`");
                fix.edits.push((then, "do".to_owned()));
            }
            Some(error)
        }
        "do" | "then" => {
            Some(error("a flow begins with what starts it").help("write `when trigger` or `every day at 09:00` before `do`"))
        }
        "}" | ")" | "]" => Some(
            SyntaxError::new("E105", span, format!("this `{}` closes nothing", look.word(0)))
                .label("there is no partner before it")
                .help("remove it, or add the opening one")
                .guess(format!("remove `{}`", look.word(0)), span, ""),
        ),
        "where" | "and" | "or" => Some(error("a condition belongs to a flow").help("write `when trigger` before it")),
        "let" => Some(error("`let` belongs into a flow").help(
            "write it in the braces of `do`; what several flows share is a setting (`env.name`) or an action of a connector",
        )),
        _ => None,
    }
}

/// Returns where `then` stands for `do`.
fn then_for_do(look: &Look<'_>) -> Option<Span> {
    let has_do = look.tokens.iter().any(|token| token.text == "do");
    let then = look.tokens.iter().find(|token| token.text == "then")?;
    (!has_do).then_some(then.span)
}

/// Anything else that is no item.
pub(super) fn unknown(look: &Look<'_>) -> Option<SyntaxError> {
    if look.place != Rule::only_items || look.found != 0 {
        return None;
    }
    let span = look.span(0);
    let word = look.word(0);
    let error = SyntaxError::new("E101", span, format!("`{}` does not begin a flow, a test or a connector", short(word)));
    if look.kind(0) != Some(Kind::Word) {
        return Some(error.label("expected `when`, `every`, `flow`, `test` or `connector`").help(
            "a flow is a sentence, for example `when stripe.charge_failed where amount > 100 do kustomer.create_conversation`",
        ));
    }
    if let Some(near) = nearest(word, &TOP) {
        return Some(error.label(format!("did you mean `{near}`?")).guess(format!("write `{near}`"), span, near));
    }
    let error = error.label("expected `when`, `every`, `flow`, `test` or `connector`");
    Some(match (word, look.word(1)) {
        ("flow", ".") | ("test" | "connector", _) => {
            error.help("behind `test` stands a text, behind `flow` and `connector` a name")
        }
        ("flow", _) => error.help("write `flow name` and then `when …`"),
        (_, "." | "(") => error.help("a step belongs behind `do`: `when trigger do action`"),
        _ => error.help("a flow is a sentence: `when trigger where condition do action`"),
    })
}

/// Cuts long words.
pub(super) fn short(word: &str) -> String {
    let line = word.lines().next().unwrap_or("");
    if line.chars().count() <= 40 {
        return line.to_owned();
    }
    let cut: String = line.chars().take(37).collect();
    format!("{cut}…")
}
