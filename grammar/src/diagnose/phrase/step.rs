//! Steps: `do a.b do c.d`, `and then`, `call a.b`, `retry up to 3 times`, `after 10 minutes`.

use super::{between, call_at, duration, instead, path_at, perhaps, said, words};
use crate::diagnose::look::Look;
use crate::diagnose::token::Kind;
use crate::error::{Fix, SyntaxError};
use crate::grammar::Rule;
use crate::span::Span;

pub(super) fn find(look: &Look<'_>) -> Option<SyntaxError> {
    if !look.place_is_flow() {
        return None;
    }
    let at = look.found;
    joined(look, at)
        .or_else(|| called(look, at))
        .or_else(|| later(look, at))
        .or_else(|| retries(look, at))
        .or_else(|| loops(look, at))
        .or_else(|| branches(look, at))
        .or_else(|| hash(look, at))
}

/// `do then a.b`, `do a.b do c.d`, `a.b and then c.d`.
fn joined(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let span = look.span(at);
    let message = "steps are joined by `then`";
    let behind_do = look.last_of(at, &["do"]).is_some() || look.place != Rule::only_items;
    match look.word(at) {
        "then" if at == 0 || look.word_before(at, 1) == "do" => {
            let whole = Span { start: span.start, end: look.span(at + 1).start };
            (look.place != Rule::only_items || at > 0).then(|| {
                SyntaxError::new("E102", span, "`then` joins a further step, and this is the first")
                    .label("nothing stands before it")
                    .fix("remove `then`", whole, "")
            })
        }
        "do" if look.last_of(at, &["do"]).is_some() && path_at(look, at + 1).is_some() && look.word_before(at, 1) != "do" => {
            Some(instead(span, span, message, "then").help("write `do` once, and `then` before each further step"))
        }
        "and" if behind_do && words(look, at + 1, &["then"]) => {
            let span = span.to(look.span(at + 1));
            Some(instead(span, span, message, "then"))
        }
        "(" if matches!(look.word_before(at, 1), "do" | "then") || at == 0 => {
            let last = call_at(look, at + 1)?;
            (look.word(last + 1) == ")").then(|| {
                let mut error = said(span, "a step stands without brackets around it", between(look, at + 1, last));
                error.fixes.push(Fix {
                    title: "remove the brackets".to_owned(),
                    edits: vec![(span, String::new()), (look.span(last + 1), String::new())],
                    safe: true,
                });
                error
            })
        }
        _ if look.lone_word().is_some_and(|word| look.word(word) == "begin") => {
            let at = look.lone_word()?;
            let span = look.span(at);
            let end = (at + 1..look.tokens.len()).rev().find(|i| look.word(*i) == "end");
            let mut error = said(span, "several steps stand in braces", "{ … }");
            if let Some(end) = end {
                error.fixes.push(Fix {
                    title: "write `{` and `}`".to_owned(),
                    edits: vec![(span, "{".to_owned()), (look.span(end), "}".to_owned())],
                    safe: true,
                });
            }
            Some(error)
        }
        _ => None,
    }
}

/// `call a.b`, `service: a.b`.
fn called(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let word = look.lone_word().filter(|word| *word + 1 >= at)?;
    let colon = usize::from(look.word(word + 1) == ":");
    if !matches!(look.word(word), "call" | "run" | "execute" | "invoke" | "perform" | "service" | "action" | "step" | "do") {
        return None;
    }
    let first = word + 1 + colon;
    let last = path_at(look, first).filter(|last| *last > first)?;
    let span = look.span(word).to(look.span(word + colon));
    let whole = Span { start: span.start, end: look.span(first).start };
    Some(said(span, "an action is called by its name alone", between(look, first, last)).fix(
        format!("remove `{}`", span.text(look.source)),
        whole,
        "",
    ))
}

/// `after 10 minutes { … }`, `a.b after 10 minutes`, `wait minutes 10`, `await a.b`.
fn later(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let message = "a pause is a step of its own, before what is done later";
    let word = if look.word(at) == "after" { at } else { at.saturating_sub(1) };
    if look.word(word) == "after"
        && let Some((length, last)) = duration(look, word + 1)
    {
        let length = length.text(look.source);
        let span = look.span(word).to(look.span(last));
        let error = said(span, message, &format!("wait {length}"));
        // Behind a step it is about that step.
        if word > 0 && matches!(look.kind(word - 1), Some(Kind::Word)) && look.word(word - 1) != "do"
            || look.word_before(word, 1) == ")"
        {
            let value = look.value_before(word)?;
            let mut error = error.help(format!("write `wait {length} then {}`", value.text(look.source)));
            if look.word(last + 1).is_empty() || look.begins_line(last + 1) || look.word(last + 1) == "}" {
                error.fixes.push(Fix {
                    title: format!("write `wait {length}` before it"),
                    edits: vec![
                        (Span { start: value.start, end: value.start }, format!("wait {length} then ")),
                        (Span { start: look.gap(word).start, end: span.end }, String::new()),
                    ],
                    safe: false,
                });
            }
            return Some(error);
        }
        let block = look.word(last + 1) == "{";
        return Some(if block {
            error.help(format!("write `wait {length}`, and what follows without braces"))
        } else {
            error.guess(format!("write `wait {length}`"), span, format!("wait {length}"))
        });
    }
    if matches!(look.word(at), "business" | "working") && look.word(at + 1) == "days" {
        let span = look.span(at).to(look.span(at + 1));
        return Some(
            SyntaxError::new("E108", span, "there are no business days: a wait is a length of time")
                .label("days of the calendar are counted")
                .help("write `wait 3 days`; a flow that acts on working days alone begins with `every weekday at 09:00`"),
        );
    }
    let word = look.lone_word().filter(|word| matches!(look.word(*word), "await" | "delay" | "sleep" | "pause" | "wait"));
    if let Some(word) = word {
        let colon = usize::from(look.word(word + 1) == ":");
        let first = word + 1 + colon;
        let span = look.span(word).to(look.span(word + colon));
        if look.word(word) == "await"
            && let Some(last) = path_at(look, first).filter(|last| *last > first)
            // With inputs it is an action, and each is waited for.
            && look.word(last + 1) != "("
        {
            let form = format!("wait for {}", between(look, first, last));
            return Some(
                perhaps(span, span, "a run waits for an event with `wait for`", "wait for")
                    .help(format!("write `{form} up to 3 days`")),
            );
        }
        if look.kind(first) == Some(Kind::Time) && look.word(word) != "await" {
            let mut parts = look.word(first).split(':').map(|part| part.parse::<u32>().unwrap_or(0));
            let units = ["hours", "minutes", "seconds"];
            let words: Vec<String> =
                units.iter().filter_map(|unit| parts.next().filter(|n| *n > 0).map(|n| format!("{n} {unit}"))).collect();
            let whole = look.span(word).to(look.span(first));
            return Some(perhaps(
                whole,
                whole,
                "a pause is written `wait`, with its units",
                &format!("wait {}", words.join(" ")),
            ));
        }
    }
    let wait = (at.saturating_sub(2)..=at).find(|i| look.word(*i) == "wait")?;
    let unit = super::unit(look.word(wait + 1))?;
    (look.kind(wait + 2) == Some(Kind::Number)).then(|| {
        let number = look.word(wait + 2);
        let many = if number == "1" { "" } else { "s" };
        let span = look.span(wait).to(look.span(wait + 2));
        instead(span, span, "a duration is a number and its unit", &format!("wait {number} {unit}{many}"))
    })
}

/// `retry 3 times every 10 minutes`, `retry up to 3 times`, `on error retry`.
fn retries(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let span = look.span(at);
    if look.word(at) == "retry" && look.word_before(at, 1) == "error" {
        let whole = look.span(at - 2).to(span);
        return Some(
            perhaps(whole, whole, "trying again is said behind the call", "retry 3 times over 10 minutes")
                .help("write `retry 3 times over 10 minutes`; what is done when that did not help stands in `on error { … }`"),
        );
    }
    let retry = (at.saturating_sub(3)..=at).find(|i| look.word(*i) == "retry")?;
    if words(look, retry + 1, &["up", "to"]) || words(look, retry + 1, &["at", "most"]) || words(look, retry + 1, &["max"]) {
        let last = if words(look, retry + 1, &["max"]) { retry + 1 } else { retry + 2 };
        let span = look.span(retry + 1).to(look.span(last));
        let whole = Span { start: span.start, end: look.span(last + 1).start };
        let mut error = said(span, "behind `retry` stands how often", &format!("retry {} times", look.word(last + 1))).fix(
            format!("remove `{}`", span.text(look.source)),
            whole,
            "",
        );
        error.label = "this is meant anyway".to_owned();
        return Some(error);
    }
    if words(look, at, &["every"]) && words(look, retry + 2, &["times"]) && retry + 3 == at {
        let (_, last) = duration(look, at + 1)?;
        let (times, step): (u32, u32) = (look.word(retry + 1).parse().ok()?, look.word(at + 1).parse().ok()?);
        let unit = super::unit(look.word(last))?;
        let form = format!("over {} {unit}s", times.checked_mul(step)?);
        let whole = span.to(look.span(last));
        return Some(
            perhaps(whole, whole, "within what time it is tried again is written `over`", &form)
                .help(format!("write `retry {times} times {form}`: the pauses grow by themselves")),
        );
    }
    None
}

/// `for (x of list)`, `for x in list limit 20`, `stop if x`.
fn loops(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    if matches!(look.word(at), "limit" | "max" | "first" | "take")
        && look.kind(at + 1) == Some(Kind::Number)
        && look.last_of(at, &["for", "{", "}"]).is_some_and(|i| look.word(i) == "for")
    {
        return Some(instead(look.span(at), look.span(at), "how many items at most is written `up to`", "up to"));
    }
    if look.word(at) == "(" && look.word_before(at, 1) == "for" && matches!(look.word(at + 2), "of" | "in") {
        let item = look.word(at + 1);
        let list = look.value_at(at + 3)?;
        let close = look.tokens.iter().position(|token| token.span.start >= list.end).filter(|i| look.word(*i) == ")")?;
        let form = format!("for {item} in {} up to 20", list.text(look.source));
        return Some(perhaps(
            look.span(at),
            look.span(at - 1).to(look.span(close)),
            "a loop has no brackets, and a bound",
            &form,
        ));
    }
    None
}

/// `else if {`, `else a.b`, `if x a.b`, `on error a.b`.
fn branches(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    if let Some(open) = (at.saturating_sub(6)..=at).rev().find(|i| look.word(*i) == "{" && look.word_before(*i, 1) == "if") {
        let span = look.span(open - 1);
        let error =
            SyntaxError::new("E104", span, "behind `if` a condition is missing").label("expected a condition behind this");
        return Some(if look.word_before(open, 2) == "else" {
            let whole = Span { start: look.span(open - 2).end, end: span.end };
            error.help("write `else if condition { … }`, or `else { … }` for all the rest").guess("write `else`", whole, "")
        } else {
            error.help("write for example `if amount > 100 { … }`")
        });
    }
    if let Some(error) = unbraced(look, at) {
        return Some(error);
    }
    let colon = usize::from(look.word(at) == ":");
    let owner = match look.word_before(at, 1) {
        "else" => "else",
        "error" if look.word_before(at, 2) == "on" => "on error",
        _ => return None,
    };
    let last = call_at(look, at + colon).filter(|last| *last > at + colon)?;
    let call = between(look, at + colon, last);
    let whole = look.span(at).to(look.span(last));
    let mut error = SyntaxError::new("E102", look.span(at), format!("what belongs to `{owner}` stands in braces"))
        .label("expected `{` here")
        .help(format!("write `{owner} {{ {call} }}`"));
    error.fixes.push(Fix {
        title: "add the braces".to_owned(),
        edits: vec![(whole, format!("{}{{ {call} }}", if colon == 1 { " " } else { "" }))],
        safe: true,
    });
    Some(error)
}

/// `if x a.b`, `if x then a.b else c.d`, `stop if x`.
fn unbraced(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let start = look.last_of(at, &["if", "{", "}", "do", "=>"]).filter(|i| look.word(*i) == "if" && at > i + 1)?;
    if look.word(at) == "=" || matches!(look.word(at), "and" | "or" | "is") {
        return None;
    }
    let condition = between(look, start + 1, at - 1);
    if condition.contains('\n') {
        return None;
    }
    if look.word_before(start, 1) == "stop" {
        let whole = look.span(start - 1).to(look.span(at - 1));
        let form = format!("if {condition} {{ stop }}");
        return Some(instead(whole, whole, "the condition stands before what depends on it", &form));
    }
    let first = at + usize::from(matches!(look.word(at), "then" | ":"));
    let last = call_at(look, first).filter(|last| *last > first)?;
    let mut form = format!("{{ {} }}", between(look, first, last));
    let mut end = last;
    if look.word(last + 1) == "else"
        && let Some(other) = call_at(look, last + 2).filter(|other| *other > last + 2)
    {
        form = format!("{form} else {{ {} }}", between(look, last + 2, other));
        end = other;
    }
    let whole = look.span(at).to(look.span(end));
    let form_gap = if look.word(at) == ":" { format!(" {form}") } else { form.clone() };
    Some(
        SyntaxError::new("E102", look.span(at), "what belongs to `if` stands in braces")
            .label("expected `{` here")
            .help(format!("write `if {condition} {form}`"))
            .fix("add the braces", whole, form_gap),
    )
}

/// `channel: #ops`: the rest of the line is a comment.
fn hash(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    if look.word_before(at, 1) != ":" {
        return None;
    }
    let from = look.gap(at).start;
    let rest = look.source.get(from as usize..)?;
    let blank = rest.len() - rest.trim_start_matches(' ').len();
    let word = rest.get(blank..)?.strip_prefix('#')?;
    let len = word.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-'))).unwrap_or(word.len());
    if len == 0 {
        return None;
    }
    let start = from as usize + blank;
    let span = Span::new(start, start + 1 + len);
    let name = span.text(look.source);
    Some(
        SyntaxError::new("E104", span, "a value is missing behind `:`: `#` begins a comment")
            .label("a text stands in quotes")
            .help(format!("write `\"{name}\"`"))
            .guess(format!("write `\"{name}\"`"), span, format!("\"{name}\"")),
    )
}
