//! Conditions: `between 1 and 5`, `contains(id, "x")`, `IS NULL`, `2 days ago`, `x => x.amount > 1`.

use super::{between, instead, perhaps, said, words};
use crate::diagnose::look::{Look, is_reserved};
use crate::diagnose::token::Kind;
use crate::error::SyntaxError;
use crate::span::Span;

pub(super) fn find(look: &Look<'_>) -> Option<SyntaxError> {
    let at = look.found;
    comma(look, at)
        .or_else(|| range(look, at))
        .or_else(|| called(look, at))
        .or_else(|| null(look, at))
        .or_else(|| moment(look, at))
        .or_else(|| verb(look, at))
        .or_else(|| ago(look, at))
        .or_else(|| unless(look, at))
        .or_else(|| method(look, at))
        .or_else(|| lambda(look, at))
}

/// `where x > 5, do a.b`.
fn comma(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let clause = matches!(
        look.word(at + 1),
        "do" | "at" | "once" | "one" | "fresh" | "throttle" | "while" | "missed" | "expect" | "across" | "then"
    );
    (look.word(at) == "," && clause && look.open_bracket(at).is_none()).then(|| {
        SyntaxError::new("E102", look.span(at), "no comma belongs here").label("clauses and steps need none between them").fix(
            "remove `,`",
            look.span(at),
            "",
        )
    })
}

/// `x between 1 and 5`.
fn range(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    if !words(look, at, &["between"]) || look.word(at + 1) == "." {
        return None;
    }
    // Behind a trigger there is no value yet that could lie in a range.
    if look.last_of(at, &["when", "every", "where", "if", "let", "="]).is_some_and(|i| matches!(look.word(i), "when" | "every")) {
        return None;
    }
    let left = look.value_before(at)?;
    let and = (at + 2..at + 8).find(|i| words(look, *i, &["and"]))?;
    let (low, high) = (between(look, at + 1, and - 1), look.value_at(and + 1)?);
    let with = format!("in {low}..{}", high.text(look.source));
    let whole = look.span(at).to(high);
    Some(
        instead(look.span(at), whole, "a range is written `in a..b`", &with)
            .help(format!("write `{} {with}`", left.text(look.source))),
    )
}

/// `contains(id, "x")`, `matches(id, "x")`.
fn called(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let at = (at.saturating_sub(1)..=at).find(|at| matches!(look.word(*at), "contains" | "in") && look.word(at + 1) == "(")?;
    if look.value_before(at).is_some() {
        return None;
    }
    let first = look.value_at(at + 2)?;
    let comma = look.tokens.iter().position(|token| token.span.start >= first.end)?;
    let second = (look.word(comma) == ",").then(|| look.value_at(comma + 1))??;
    let close = look.tokens.iter().position(|token| token.span.start >= second.end).filter(|close| look.word(*close) == ")")?;
    let word = look.word(at);
    let form = format!("{} {word} {}", first.text(look.source), second.text(look.source));
    let whole = look.span(at).to(look.span(close));
    Some(instead(look.span(at), whole, &format!("`{word}` stands between its two sides"), &form))
}

/// `IS NULL`, `is not NULL`.
fn null(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    if !matches!(look.word(at), "IS" | "Is") {
        return None;
    }
    let not = usize::from(words(look, at + 1, &["not"]));
    if !words(look, at + 1 + not, &["null"]) && !words(look, at + 1 + not, &["none"]) {
        return None;
    }
    let with = if not == 1 { "is present" } else { "is missing" };
    let span = look.span(at).to(look.span(at + 1 + not));
    Some(instead(span, span, "there is no `null`: a value is present or missing", with))
}

/// `where status becomes "open"`, `where amount rises above 100 USD`: what starts a flow, in a condition.
fn moment(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    if !look.in_condition(at) {
        return None;
    }
    let (operator, last) = match (look.word(at), look.word(at + 1)) {
        ("becomes" | "became", _) => ("is", at),
        ("rises" | "goes" | "climbs", "above" | "over") => (">", at + 1),
        ("drops" | "goes" | "falls", "below" | "under") => ("<", at + 1),
        _ => return None,
    };
    let left = look.value_before(at)?;
    let right = look.value_at(last + 1)?;
    let span = look.span(at).to(look.span(last));
    let form = format!("{} {operator} {}", left.text(look.source), right.text(look.source));
    let message = format!("`{}` is a moment, which starts a flow: a condition compares", span.text(look.source));
    Some(
        instead(span, span, &message, operator)
            .help(format!("write `{form}`; a flow that a state starts is `when door becomes open`")),
    )
}

/// `id has "x"`, `amount exceeds 100 USD`, `amount is over 100 USD`.
fn verb(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let alone = match look.word(at) {
        "has" | "have" | "containing" | "include" | "including" => Some("contains"),
        "exceeds" | "exceed" | "above" | "over" => Some(">"),
        "below" | "under" => Some("<"),
        _ => None,
    };
    let (operator, from, last) = if let (Some(operator), true) = (alone, look.value_before(at).is_some()) {
        (operator, at, at)
    } else {
        let word = (at.saturating_sub(2)..=at).find(|i| look.word_before(*i, 1) == "is")?;
        let operator = match look.word(word) {
            "over" | "above" | "beyond" => ">",
            "under" | "below" => "<",
            _ => return None,
        };
        (operator, word - 1, word)
    };
    if look.word(last + 1) == "." {
        return None;
    }
    let left = look.value_before(from)?;
    let right = look.value_at(last + 1)?;
    let span = look.span(from).to(look.span(last));
    let form = format!("{} {operator} {}", left.text(look.source), right.text(look.source));
    Some(instead(span, span, &format!("this comparison is written `{operator}`"), operator).help(format!("write `{form}`")))
}

/// `2 days ago`, `in 3 days`.
fn ago(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    if look.word(at) != "ago" {
        return None;
    }
    let length = look.value_before(at)?;
    let whole = length.to(look.span(at));
    Some(instead(whole, whole, "an instant is counted from `now`", &format!("now - {}", length.text(look.source))))
}

/// `… unless x`.
fn unless(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    if look.word(at) != "unless" || look.word(at + 1) == "." {
        return None;
    }
    let end = (at + 1..look.tokens.len()).find(|i| matches!(look.word(*i), "do" | "{" | "then"))?;
    let rest = between(look, at + 1, end.checked_sub(1).filter(|last| *last > at)?);
    let joined = look.last_of(at, &["where", "if"]).is_some();
    let with = if joined { format!("and not ({rest})") } else { format!("where not ({rest})") };
    let whole = look.span(at).to(look.span(end - 1));
    let message = "a negative condition is written with `not`";
    // A sentence is no condition yet.
    let spoken = (at + 1..end).any(|i| {
        let names = |i: usize| look.kind(i) == Some(Kind::Word) && !is_reserved(look.word(i));
        names(i) && names(i + 1) && i + 1 < end && !matches!(look.word(i), "starts" | "ends" | "matches")
    });
    Some(if spoken {
        said(look.span(at), message, &format!("{} not (…)", if joined { "and" } else { "where" }))
    } else {
        perhaps(look.span(at), whole, message, &with)
    })
}

/// `id.includes("x")`.
fn method(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let dot = (at.saturating_sub(3)..=at).rev().find(|i| {
        look.word(*i) == "."
            && look.kind(i + 1) == Some(Kind::Word)
            && look.word(i + 2) == "("
            && look.kind(i + 3) == Some(Kind::Text)
    })?;
    let operator = match look.word(dot + 1) {
        "includes" | "contains" | "has" | "include" => "contains",
        "startsWith" | "startswith" | "starts_with" => "starts with",
        "endsWith" | "endswith" | "ends_with" => "ends with",
        "match" | "matches" | "test" => "matches",
        "equals" | "eq" => "is",
        _ => return None,
    };
    if look.word(dot + 4) != ")" {
        return None;
    }
    let value = look.value_before(dot)?;
    let form = format!("{} {operator} {}", as_call(value.text(look.source))?, look.word(dot + 3));
    let whole = value.to(look.span(dot + 4));
    let mut error = instead(look.span(dot + 1), whole, "functions are called with the value, not on it", &form);
    error.label = "values have fields, but no methods".to_owned();
    Some(error)
}

/// `description.toLowerCase().trim()` as `trim(lower(description))`; `None` where a method has no such function.
fn as_call(value: &str) -> Option<String> {
    let Some((inner, method)) = value.strip_suffix("()").and_then(|value| value.rsplit_once('.')) else {
        return Some(value.to_owned());
    };
    let function = match method {
        "toLowerCase" | "lower" | "lowercase" | "downcase" | "toLower" => "lower",
        "toUpperCase" | "upper" | "uppercase" | "upcase" | "toUpper" => "upper",
        "trim" | "strip" => "trim",
        "toString" | "valueOf" => return as_call(inner),
        _ => return None,
    };
    Some(format!("{function}({})", as_call(inner)?))
}

/// `filter(list, x => x.amount > 1)`, `list.filter(x => x.amount > 1)`.
fn lambda(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let arrow = (at.saturating_sub(3)..=at + 3).find(|i| matches!(look.word(*i), "=>" | "->"))?;
    let open = look.open_bracket(arrow).filter(|open| look.word(*open) == "(" && *open > 0)?;
    // The name stands alone or in brackets of its own.
    let (name, open) =
        if look.word(open + 2) == ")" { (open + 1, look.open_bracket(open)?) } else { (arrow.checked_sub(1)?, open) };
    let item = look.word(name);
    if look.word(open) != "(" || look.kind(name) != Some(Kind::Word) || look.kind(open - 1) != Some(Kind::Word) {
        return None;
    }
    let close = {
        let mut depth = 0_usize;
        (open..look.tokens.len()).find(|i| {
            match look.word(*i) {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0
        })?
    };
    if close <= arrow + 1 {
        return None;
    }
    // The body, with `it` for the name.
    let mut body = String::new();
    let mut from = look.span(arrow + 1).start;
    for i in arrow + 1..close {
        if look.word(i) == item && look.word_before(i, 1) != "." {
            body.push_str(Span { start: from, end: look.span(i).start }.text(look.source));
            body.push_str("it");
            from = look.span(i).end;
        }
    }
    body.push_str(Span { start: from, end: look.span(close - 1).end }.text(look.source));
    let function = open - 1;
    let message = "the item at hand is called `it`: no function is written for it";
    let (list, whole) = if look.word_before(function, 1) == "." {
        let list = look.value_before(function - 1)?;
        (list.text(look.source), list.to(look.span(close)))
    } else {
        let list = look.value_at(open + 1).filter(|list| list.end < look.span(arrow).start)?;
        (list.text(look.source), look.span(function).to(look.span(close)))
    };
    let name = match look.word(function) {
        "some" => "any",
        "every" => "all",
        "find" => "filter",
        "forEach" | "each" => {
            let form = format!("for {item} in {list} up to 20 {{ {} }}", between(look, arrow + 1, close - 1));
            return Some(said(look.span(function), "steps are repeated with `for`", &form).guess(
                format!("write `{form}`"),
                whole,
                form.clone(),
            ));
        }
        other => other,
    };
    Some(perhaps(look.span(arrow), whole, message, &format!("{name}({list}, {body})")))
}
