//! Limits and waits in the words of others: `max 3 per hour`, `cooldown 5 minutes`, `mode: restart`, `once a day`.

use super::expected::is_clause;
use super::look::Look;
use super::token::Kind;
use crate::error::SyntaxError;
use crate::span::Span;

/// Finds such a word where the parser stopped.
pub(super) fn find(look: &Look<'_>) -> Option<SyntaxError> {
    let at = look.found;
    once_a(look, at)
        .or_else(|| wait(look, at))
        .or_else(|| if look.expects(is_clause) { clause(look, at).or_else(|| mode(look, at)) } else { None })
        .or_else(|| if at > 0 && look.word(at) == ":" { mode(look, at - 1) } else { None })
}

fn is_unit(word: &str) -> bool {
    matches!(word, "second" | "minute" | "hour" | "day" | "week" | "month" | "year")
}

/// `once a day`, `once an hour`, `once every day`: a limit for a time.
fn once_a(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let unit = look.word(at + 1);
    if look.word_before(at, 1) != "once" || !matches!(look.word(at), "a" | "an" | "every" | "each") || !is_unit(unit) {
        return None;
    }
    // `at most once a day` lacks nothing but its `per`.
    if look.word_before(at, 2) == "most" {
        return None;
    }
    let span = look.span(at - 1).to(look.span(at + 1));
    let with = format!("at most once per {unit}");
    Some(
        SyntaxError::new("E108", span, "a limit for a time begins with `at most`")
            .label(format!("`{}` is not part of Flow", span.text(look.source)))
            .help(format!("write `{with}`; `once per` and a key remembers for good"))
            .fix(format!("replace it by `{with}`"), span, with),
    )
}

/// Words that begin a limit elsewhere.
fn clause(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let word = look.word(at);
    let span = look.span(at);
    let number_next = look.kind(at + 1) == Some(Kind::Number) || matches!(look.word(at + 1), "once" | "twice");
    let error = |message: &str| SyntaxError::new("E108", span, message).label(format!("`{word}` is not part of Flow"));
    let count = look.word(at + 1);
    let time = if look.word(at + 2) == "per" { look.word(at + 3) } else { "hour" };
    match word {
        "max" | "maximum" | "limit" | "upto" if number_next => Some(
            error("a limit of starts is written `at most`")
                .help(format!(
                    "`at most {count} per {time}` leaves out what is more; `throttle to {count} per {time}` lets it wait"
                ))
                .fix("replace it by `at most`", span, "at most"),
        ),
        "min" | "minimum" if number_next => {
            Some(error("how often a flow should start at least is written `expect at least`").guess(
                "replace it by `expect at least`",
                span,
                "expect at least",
            ))
        }
        "ratelimit" | "rate_limit" | "rate" if number_next => Some(
            error("a bound on how fast a flow starts is written `throttle to`")
                .help(format!(
                    "`throttle to {count} per {time}` lets the others wait; `at most {count} per {time}` leaves them out"
                ))
                .guess("replace it by `throttle to`", span, "throttle to"),
        ),
        "cooldown" | "debounce" if number_next => {
            let length = duration(look, at + 1)?;
            let text = length.text(look.source);
            let with = format!("at most once per {text}");
            let help = if word == "cooldown" {
                format!("`{with}` leaves out what comes within that time")
            } else {
                format!(
                    "`{with}` takes the first and leaves out what follows; for the last, begin the steps with `wait {text}`, and say `while running restart`"
                )
            };
            Some(error(&format!("there is no `{word}`: a limit says how many may start in what time")).help(help).guess(
                format!("`{with}`"),
                span.to(length),
                with,
            ))
        }
        _ => None,
    }
}

/// `5 minutes`.
fn duration(look: &Look<'_>, at: usize) -> Option<Span> {
    (look.kind(at) == Some(Kind::Number) && look.kind(at + 1) == Some(Kind::Word)).then(|| look.span(at).to(look.span(at + 1)))
}

/// `mode: restart`, `mode single`.
fn mode(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    if !matches!(look.word(at), "mode" | "concurrency") {
        return None;
    }
    let value = if look.word(at + 1) == ":" { at + 2 } else { at + 1 };
    let span = look.span(at).to(look.span(value));
    let error = SyntaxError::new("E108", span, "what a second start means for a run that goes on is said with `while running`")
        .label(format!("`{}` is not part of Flow", look.word(at)));
    let word = match look.word(value) {
        "restart" => "restart",
        "single" | "skip" | "drop" => "skip",
        "queued" | "queue" => "queue",
        "parallel" => {
            return Some(error.help("the runs of a flow stand side by side anyway: take it out").guess("remove it", span, ""));
        }
        _ => return Some(error.help("`while running skip`, `while running queue` or `while running restart`")),
    };
    let with = format!("while running {word}");
    Some(error.help(format!("write `{with}`")).fix(format!("replace it by `{with}`"), span, with))
}

/// `wait for 5 minutes`.
fn wait(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    if look.word_before(at, 1) == "for" && look.word_before(at, 2) == "wait" {
        let length = duration(look, at)?;
        let text = length.text(look.source);
        let whole = look.span(at - 2).to(length);
        return Some(
            SyntaxError::new("E102", look.span(at - 1), "a length of time stands right behind `wait`")
                .label("`wait for` waits for an event")
                .fix(format!("`wait {text}`"), whole, format!("wait {text}")),
        );
    }
    None
}
