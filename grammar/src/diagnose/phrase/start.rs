//! What starts a flow, and how often: `changes to`, `since`, `3x in 1h`, `no more than`, `any of`.

use super::{between, duration, instead, path_at, path_before, perhaps, said, unit, words};
use crate::diagnose::look::{Look, is_reserved};
use crate::diagnose::token::Kind;
use crate::error::{Fix, SyntaxError};
use crate::grammar::Rule;
use crate::span::Span;

pub(super) fn find(look: &Look<'_>) -> Option<SyntaxError> {
    let at = look.found;
    if look.place != Rule::only_items || look.word(0) == "test" || look.last_of(at, &["do"]).is_some() {
        return None;
    }
    several(look, at)
        .or_else(|| counted_first(look, at))
        .or_else(|| silence(look, at))
        .or_else(|| and_condition(look, at))
        .or_else(|| limit_of_state(look, at))
        .or_else(|| state(look, at))
        .or_else(|| count(look, at))
        .or_else(|| limit(look, at))
        .or_else(|| early_wait(look, at))
        .or_else(|| time_of_day(look, at))
        .or_else(|| answer(look, at))
}

/// `any of a.b, a.c`, `stripe.(a or b)`, `stripe.*`.
fn several(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    if words(look, at.checked_sub(1)?, &["any", "of"]) || words(look, at - 1, &["one", "of"]) {
        let mut last = path_at(look, at + 1)?;
        let mut names = vec![between(look, at + 1, last)];
        while matches!(look.word(last + 1), "," | "or") {
            let first = last + 2;
            last = path_at(look, first)?;
            names.push(between(look, first, last));
        }
        let span = look.span(at - 1).to(look.span(last));
        return Some(instead(span, span, "several triggers are joined by `or`", &names.join(" or ")));
    }
    if look.word_before(at, 1) != "." || look.last_of(at, &["when", "where", "or"]).is_none_or(|i| look.word(i) == "where") {
        return None;
    }
    let service = look.word_before(at, 2);
    if look.word(at) == "*" {
        return Some(
            said(look.span(at), "each trigger is named", &format!("when {service}.… or {service}.…"))
                .help(format!("join the ones that are meant by `or`; `flowc docs {service}` lists them")),
        );
    }
    if look.word(at) != "(" {
        return None;
    }
    let close = (at..look.tokens.len()).find(|i| look.word(*i) == ")")?;
    let names: Vec<String> = (at + 1..close)
        .filter(|i| look.kind(*i) == Some(Kind::Word) && look.word(*i) != "or")
        .map(|i| format!("{service}.{}", look.word(i)))
        .collect();
    let whole = look.span(at - 2).to(look.span(close));
    Some(instead(whole, whole, "several triggers are joined by `or`, each with its connection", &names.join(" or ")))
}

/// `when 3 a.b within 1 hour`.
fn counted_first(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    if look.word_before(at, 1) != "when" || look.kind(at) != Some(Kind::Number) {
        return None;
    }
    let first = if words(look, at + 1, &["times"]) { at + 2 } else { at + 1 };
    let last = path_at(look, first)?;
    let span = look.span(at).to(look.span(last));
    let with = format!("{} {} times", between(look, first, last), look.word(at));
    Some(instead(span, span, "how many events it takes stands behind the trigger", &with))
}

/// `when not a.b within`, `when no a.b for 6 hours`.
fn silence(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let message = "that an event does not come is written `no … within`";
    if look.word_before(at, 1) == "when" && matches!(look.word(at), "not" | "without" | "missing") {
        let last = path_at(look, at + 1)?;
        let span = look.span(at);
        let name = between(look, at + 1, last);
        return Some(instead(span, span, message, "no").help(format!("write `no {name} within 6 hours`")));
    }
    if !matches!(look.word(at), "for" | "since" | "during") || duration(look, at + 1).is_none() {
        return None;
    }
    let first = path_before(look, at)?;
    (look.word_before(first, 1) == "no").then(|| {
        let (length, _) = duration(look, at + 1).unwrap_or((look.span(at), at));
        let form = format!("no {} within {}", between(look, first, at - 1), length.text(look.source));
        instead(look.span(at), look.span(at), message, "within").help(format!("write `{form}`"))
    })
}

/// `when a.b and livemode`: a condition, not a second event.
fn and_condition(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    if look.word(at) != "and" || look.last_of(at, &["where"]).is_some() || look.word(at + 2) == "." {
        return None;
    }
    let first = path_before(look, at)?;
    let plain = look.kind(at + 1) == Some(Kind::Word) && matches!(look.word(at + 2), "do" | "and" | "or" | "{");
    (plain && look.word_before(first, 1) == "when" && !is_reserved(look.word(at + 1)))
        .then(|| instead(look.span(at), look.span(at), "the condition of a flow begins with `where`", "where"))
}

/// `when room.temperature is above 20`, `when front_door.battery < 20`.
fn limit_of_state(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let when = look.last_of(at, &["when", "where"]).filter(|first| look.word(*first) == "when")?;
    let last = path_at(look, when + 1)?;
    let operator = last + 1;
    if operator > at || at > operator + 3 {
        return None;
    }
    let side = |at: usize| match look.word(at) {
        "above" | "over" | "greater" | "more" | "higher" | "beyond" => Some("rises above"),
        "below" | "under" | "less" | "lower" | "fewer" => Some("drops below"),
        _ => None,
    };
    let (verb, mut value) = match look.word(operator) {
        ">" | ">=" | "exceeds" => ("rises above", operator + 1),
        "<" | "<=" => ("drops below", operator + 1),
        "is" | "becomes" | "goes" | "gets" | "rises" | "drops" | "falls" | "climbs" | "stays" => {
            (side(operator + 1)?, operator + 2)
        }
        _ => (side(operator)?, operator + 1),
    };
    value += usize::from(look.word(value) == "than");
    let limit = look.value_at(value)?.text(look.source);
    if look.word(value + 1) == "times" {
        return None;
    }
    let name = between(look, when + 1, last);
    let span = look.span(operator).to(look.span(value - 1));
    let form = format!("{name} {verb} {limit}");
    Some(perhaps(span, span, "a flow starts at the moment when a state `rises above` or `drops below` a limit", verb).help(
        format!("write `{form}`; an event has no value by itself, its fields are compared: `when {name} where amount > {limit}`"),
    ))
}

/// `front_door changes to open`, `== "open"`, `since 10 minutes`, `from x to y`.
fn state(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let word = look.word(at);
    let span = look.span(at);
    if word == "since" && duration(look, at + 1).is_some() {
        return Some(instead(span, span, "how long a state has lasted is written `for`", "for"));
    }
    if unit(word).is_some() && look.kind(at.checked_sub(1)?) == Some(Kind::Number) && look.word_before(at, 3) == "is" {
        let length = look.span(at - 1).to(span);
        return Some(
            said(length, "how long a state has lasted is said with `for`", &format!("for {}", length.text(look.source))).fix(
                "add `for`",
                Span { start: length.start, end: length.start },
                "for ",
            ),
        );
    }
    let colon = usize::from(word == ":");
    if look.word_before(at, 1) == "for" && look.kind(at + colon) == Some(Kind::Text) {
        let whole = span.to(look.span(at + colon));
        let parts: Vec<u32> =
            look.word(at + colon).trim_matches(['"', '\'']).split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
        let units = ["hours", "minutes", "seconds"];
        let words: Vec<String> =
            parts.iter().zip(units).filter(|(n, _)| **n > 0).map(|(n, unit)| format!("{n} {unit}")).collect();
        return Some(instead(whole, whole, "a duration is written with its units", &words.join(" ")));
    }
    if look.word(1) == "state" && look.word(3) == "to" && look.kind(2) == Some(Kind::Word) {
        let value = if look.word(4) == ":" { 5 } else { 4 };
        let form = format!("{} becomes {}", look.word(2), look.word(value).trim_matches(['"', '\'']));
        let whole = look.span(1).to(look.span(value));
        return Some(perhaps(whole, whole, "a state that begins is written `becomes`", &form));
    }
    let first = path_before(look, at)?;
    if look.word_before(first, 1) != "when" {
        return None;
    }
    let name = between(look, first, at - 1);
    let becomes = "a state that begins is written `becomes`";
    let verb = matches!(word, "changes" | "changed" | "turns" | "turned" | "goes" | "gets" | "switches" | "went" | "set");
    if verb && look.word(at + 1) == "from" && look.word(at + 3) == "to" && look.kind(at + 4) == Some(Kind::Word) {
        let span = span.to(look.span(at + 4));
        return Some(perhaps(span, span, becomes, &format!("becomes {}", look.word(at + 4))));
    }
    if verb {
        let last = if look.word(at + 1) == "to" || look.word(at + 1) == "into" { at + 1 } else { at };
        if look.kind(last + 1) == Some(Kind::Word) && !is_reserved(look.word(last + 1)) {
            let span = span.to(look.span(last));
            return Some(instead(span, span, becomes, "becomes").help(format!("write `{name} becomes {}`", look.word(last + 1))));
        }
        let ends = look.word(at + 1).is_empty() || is_reserved(look.word(at + 1)) || look.begins_line(at + 1);
        if ends && matches!(word, "changes" | "changed") {
            return Some(
                SyntaxError::new("E108", span, "a flow starts when a state becomes something")
                    .label("becomes what?")
                    .help(format!(
                        "write `{name} becomes open`, with `or` between several, or `{name} changes`; of a number `{name} rises above 20`, or \
                         `drops below`. An event has a name of its own: `flowc docs` shows those of each service"
                    )),
            );
        }
    }
    if word == "from" && look.word(at + 2) == "to" {
        let to = look.word(at + 3);
        let span = span.to(look.span(at + 3));
        return Some(perhaps(span, span, becomes, &format!("becomes {to}")));
    }
    if matches!(word, "to" | "state" | ":") && (look.word(at + 1) == ":" || word == ":") {
        let value = if word == ":" { at + 1 } else { at + 2 };
        let text = look.word(value).trim_matches(['"', '\'']);
        let span = span.to(look.span(value));
        return Some(perhaps(span, span, becomes, &format!("becomes {text}")));
    }
    if matches!(word, "==" | "=" | "===") {
        let verb = if look.word(at + 2) == "for" { "is" } else { "becomes" };
        return Some(instead(span, span, "a state that starts a flow is written `becomes`, or `is … for`", verb));
    }
    let value = look.kind(at) == Some(Kind::Word) && !is_reserved(word) && !name.contains('.');
    (value && matches!(look.word(at + 1), "for" | "do")).then(|| {
        let (verb, why) = if look.word(at + 1) == "for" { ("is", "is") } else { ("becomes", "becomes") };
        said(span, &format!("between a state and its value stands `{why}`"), &format!("{name} {verb} {word}")).fix(
            format!("add `{verb}`"),
            look.gap(at),
            format!(" {verb}"),
        )
    })
}

/// `3x in 1h`, `more than 3 times within 1 hour`, `within 1 hour 3 times`, `3 times per 1 hour`.
fn count(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    if let Some(error) = super::test::number_word(look, at) {
        return Some(error);
    }
    let message = "events are counted with `3 times within 1 hour`";
    if matches!(look.word(at), "x" | "X" | "×") && look.kind(at.checked_sub(1)?) == Some(Kind::Number) {
        let number = look.word(at - 1);
        let joins = matches!(look.word(at + 1), "in" | "within" | "per" | "a" | "/" | "every" | "over");
        if let (true, Some((length, last))) = (joins, duration(look, at + 2)) {
            let whole = look.span(at - 1).to(look.span(last));
            return Some(instead(whole, whole, message, &format!("{number} times within {}", length.text(look.source))));
        }
        if let (true, Some(unit)) = (joins, unit(look.word(at + 2))) {
            let whole = look.span(at - 1).to(look.span(at + 2));
            return Some(instead(whole, whole, message, &format!("{number} times within 1 {unit}")));
        }
        let whole = look.span(at - 1).to(look.span(at));
        return Some(instead(whole, whole, message, &format!("{number} times")));
    }
    if words(look, at, &["more", "than"]) && words(look, at + 3, &["times"]) {
        let number: u32 = look.word(at + 2).parse().ok()?;
        let span = look.span(at).to(look.span(at + 3));
        let with = format!("{} times", number.checked_add(1)?);
        return Some(instead(span, span, message, &with).help(format!("write `{with}`: it starts with that event")));
    }
    if look.word_before(at, 1) == "times" && look.word_before(at, 5) == "within" {
        let (length, _) = duration(look, at - 4)?;
        let times = between(look, at - 2, at - 1);
        let whole = look.span(at - 5).to(look.span(at - 1));
        return Some(instead(whole, whole, message, &format!("{times} within {}", length.text(look.source))));
    }
    if matches!(look.word(at), "per" | "every" | "a" | "each") && look.word_before(at, 1) == "times" {
        let span = look.span(at);
        if duration(look, at + 1).is_some() {
            return Some(instead(span, span, message, "within"));
        }
        let unit = unit(look.word(at + 1))?;
        return Some(instead(span, span.to(look.span(at + 1)), message, &format!("within 1 {unit}")));
    }
    None
}

/// `no more than 3 per day`, `rate limit`, `only once per`, `unique by`, `group by`.
fn limit(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let span = look.span(at);
    let word = look.word(at);
    let limit = "a limit of starts is written `at most`";
    if words(look, at, &["no", "more", "than"]) || words(look, at, &["not", "more", "than"]) {
        let span = span.to(look.span(at + 2));
        return Some(instead(span, span, limit, "at most"));
    }
    if matches!(word, "max" | "maximum" | "limit")
        && look.kind(at + 1) == Some(Kind::Number)
        && matches!(look.word(at + 2), "do" | "where" | "")
    {
        let whole = span.to(look.span(at + 1));
        let form = format!("at most {} per day", look.word(at + 1));
        return Some(perhaps(whole, whole, "a limit of starts is a number for a time", &form));
    }
    if words(look, at, &["up", "to"]) && look.kind(at + 2) == Some(Kind::Number) {
        let span = span.to(look.span(at + 1));
        return Some(instead(span, span, limit, "at most"));
    }
    if matches!(word, "rate" | "limit") && matches!(look.word(at + 1), "limit" | "to") && look.kind(at + 2) == Some(Kind::Number)
    {
        let span = span.to(look.span(at + 1));
        return Some(
            instead(span, span, limit, "at most")
                .help("`at most 3 per day` leaves out what is more; `throttle to 3 per day` lets it wait"),
        );
    }
    if word == "only" && (matches!(look.word(at + 1), "once" | "twice") || look.kind(at + 1) == Some(Kind::Number)) {
        let number = look.word(at + 1);
        let key = (look.word(at + 2) == "per").then(|| look.value_at(at + 3)).flatten();
        let (whole, form) = match key {
            Some(key) if super::unit(key.text(look.source)).is_none() => {
                (span.to(key), format!("at most {number} per {} per day", key.text(look.source)))
            }
            _ => (span, "at most".to_owned()),
        };
        let shown = if whole == span { format!("at most {number} per day") } else { form.clone() };
        return Some(
            perhaps(span, whole, limit, &form).help(format!("write `{shown}`; `once per` and a key alone remembers for good")),
        );
    }
    if matches!(word, "time" | "times")
        && look.kind(at.checked_sub(1)?) == Some(Kind::Number)
        && look.word_before(at, 2) == "most"
    {
        let whole = Span { start: look.gap(at).start, end: span.end };
        return Some(SyntaxError::new("E102", span, "a limit is a number and `per`").label("this word is too many").fix(
            format!("remove `{word}`"),
            whole,
            "",
        ));
    }
    if matches!(word, "unique" | "distinct" | "dedupe" | "deduplicate" | "dedup") {
        let last = at + usize::from(matches!(look.word(at + 1), "by" | "on" | "per"));
        let key = look.value_at(last + 1)?;
        let form = format!("once per {}", key.text(look.source));
        return Some(
            instead(
                span.to(look.span(last)),
                span.to(look.span(last)),
                "a flow that starts once for each key says `once per`",
                "once per",
            )
            .help(format!("write `{form}`")),
        );
    }
    if words(look, at, &["group", "by"]) || words(look, at, &["grouped", "by"]) || words(look, at, &["for", "each"]) {
        let span = span.to(look.span(at + 1));
        return Some(instead(span, span, "for whom is counted stands behind `per`", "per"));
    }
    if matches!(word, "by" | "for")
        && (look.word_before(at, 1) == "time" || unit(look.word_before(at, 1)).is_some())
        && look.value_at(at + 1).is_some()
    {
        return Some(instead(span, span, "for whom is counted stands behind `per`", "per"));
    }
    if word == "per" && look.word_before(at, 3) == "once" && look.word_before(at, 2) == "per" && look.word_before(at, 4) != "most"
    {
        let once = look.span(at - 3);
        let form = format!("at most once per {} per {}", look.word_before(at, 1), look.word(at + 1));
        let mut error = said(once.to(look.span(at + 1)), "a limit for a time begins with `at most`", &form);
        error.help = Some(format!("write `{form}`; `once per` and a key alone remembers for good"));
        error.fixes.push(Fix {
            title: format!("write `{form}`"),
            edits: vec![(Span { start: once.start, end: once.start }, "at most ".to_owned())],
            safe: true,
        });
        return Some(error);
    }
    if look.word_before(at, 1) == "throttle" && duration(look, at).is_some() {
        let (length, last) = duration(look, at)?;
        let with = format!("throttle to 1 per {}", length.text(look.source));
        return Some(perhaps(
            look.span(at - 1).to(look.span(last)),
            look.span(at - 1).to(look.span(last)),
            "how fast a flow starts is a number for a time",
            &with,
        ));
    }
    if look.word_before(at, 1) == "fresh" && duration(look, at).is_some() {
        let (length, _) = duration(look, at)?;
        let place = Span { start: span.start, end: span.start };
        return Some(
            said(
                span,
                "how old an event may be is written `fresh within`",
                &format!("fresh within {}", length.text(look.source)),
            )
            .fix("add `within`", place, "within "),
        );
    }
    None
}

/// `when a.b wait 10 minutes do …`.
fn early_wait(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    if !matches!(look.word(at), "wait" | "delay" | "sleep" | "after") {
        return None;
    }
    let first = if words(look, at + 1, &["for"]) { at + 2 } else { at + 1 };
    let (length, last) = duration(look, first)?;
    let span = look.span(at).to(look.span(last));
    let form = format!("do wait {} then …", length.text(look.source));
    let error = said(span, "waiting is a step: it stands behind `do`", &form);
    if look.word(last + 1) != "do" {
        return Some(error);
    }
    let with = format!("do wait {} then", length.text(look.source));
    Some(error.fix(format!("write `{with}`"), span.to(look.span(last + 1)), with))
}

/// `when a.b after 22:00`, `when a.b between 22:00 and 06:00`, `when a.b after sunset`: when an event counts is a condition.
fn time_of_day(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let first = path_before(look, at)?;
    let word = look.word(at);
    let span = look.span(at);
    if look.word_before(first, 1) != "when"
        || !matches!(word, "after" | "before" | "between" | "during" | "from" | "since" | "until")
    {
        return None;
    }
    let message = "at what time an event counts is a condition";
    let time = |at: usize| (look.kind(at) == Some(Kind::Time)).then(|| look.word(at));
    let padded = |time: &str| if time.find(':') == Some(1) { format!("0{time}") } else { time.to_owned() };
    let bounds = time(at + 1).zip(time(at + 3)).filter(|_| matches!(look.word(at + 2), "and" | "to" | "-" | "until"));
    if let (Some((low, high)), "between" | "from" | "during") = (bounds, word) {
        let form = format!("where now.time in {}..{}", padded(low), padded(high));
        let whole = span.to(look.span(at + 3));
        return Some(instead(whole, whole, message, &form));
    }
    if let Some(limit) = time(at + 1) {
        let sign = if matches!(word, "before" | "until") { "<" } else { ">=" };
        let whole = span.to(look.span(at + 1));
        return Some(instead(whole, whole, message, &format!("where now.time {sign} {}", padded(limit))));
    }
    let light = match look.word(at + 1) {
        "sunset" | "sundown" | "dark" | "night" => word != "before",
        "sunrise" | "dawn" | "daylight" | "day" => matches!(word, "before" | "until"),
        _ => return None,
    };
    let form = if light { "where now.time in 20:00..07:00" } else { "where now.time in 07:00..20:00" };
    let whole = span.to(look.span(at + 1));
    let error = perhaps(whole, whole, message, form);
    Some(error.help(format!("write `{form}`, with the hours that you mean: where the sun stands can start a flow, `every day at sunset`, and is no condition")))
}

/// `when http.get(…).status is 200`: what is asked starts nothing.
fn answer(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    if look.word(at) != "." || look.word_before(at, 1) != ")" {
        return None;
    }
    let asked = look.value_before(at)?;
    let first = look.tokens.iter().position(|token| token.span.start == asked.start)?;
    if look.word_before(first, 1) != "when" {
        return None;
    }
    Some(
        SyntaxError::new("E102", asked, "an answer starts no flow: an event does, or the clock")
            .label("this asks a service")
            .help(format!(
                "ask again and again: `every 5 minutes do {{ let answer = {}  if answer… is … {{ … }} }}`",
                asked.text(look.source)
            )),
    )
}
