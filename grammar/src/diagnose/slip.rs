//! Slips of people who know the words but not their places: `every 9:00`, `is unlocked 10 minutes`, `within hour`,
//! `retry never`, `once per id for 30 days`.

use super::amount::currency_of;
use super::expected::{is_clause, is_step};
use super::look::{Look, is_reserved};
use super::shape::inserting;
use super::token::Kind;
use super::top::short;
use crate::error::SyntaxError;
use crate::grammar::Rule;
use crate::span::Span;

/// Returns the first that fits the place where the parser stopped.
pub(super) fn find(look: &Look<'_>) -> Option<SyntaxError> {
    let at = look.found;
    time_of_day(look, at)
        .or_else(|| adverb(look, at))
        .or_else(|| last_day(look, at))
        .or_else(|| place(look, at))
        .or_else(|| two_starts(look, at))
        .or_else(|| spoken(look, at))
        .or_else(|| bare_length(look, at))
        .or_else(|| remembered(look, at))
        .or_else(|| one_per(look, at))
        .or_else(|| times_sign(look, at))
        .or_else(|| retry(look, at))
        .or_else(|| loop_bound(look, at))
        .or_else(|| bare_unit(look, at))
        .or_else(|| repeated_is(look, at))
        .or_else(|| address(look, at))
        .or_else(|| early_quote(look, at))
        .or_else(|| wait(look, at))
        .or_else(|| inner_do(look, at))
}

/// `form` replaces `span`, and means the same.
fn instead(span: Span, message: &str, form: &str) -> SyntaxError {
    SyntaxError::new("E108", span, message).label("not a form of Flow").help(format!("write `{form}`")).fix(
        format!("write `{form}`"),
        span,
        form,
    )
}

/// `form` replaces `span`, if that was meant.
fn perhaps(span: Span, message: &str, form: &str) -> SyntaxError {
    SyntaxError::new("E108", span, message).label("not a form of Flow").help(format!("write `{form}`")).guess(
        format!("write `{form}`"),
        span,
        form,
    )
}

/// The `every` of the schedule that `at` stands in.
fn schedule(look: &Look<'_>, at: usize) -> Option<usize> {
    look.last_of(at + 1, &["every", "when", "do"]).filter(|every| look.word(*every) == "every" && look.place == Rule::only_items)
}

fn is_unit(word: &str) -> bool {
    matches!(word, "second" | "minute" | "hour" | "day" | "week" | "month" | "year")
}

fn is_units(word: &str) -> bool {
    is_unit(word) || word.strip_suffix('s').is_some_and(is_unit) || matches!(word, "min" | "mins" | "s" | "m" | "h" | "d")
}

/// `10 minutes`.
fn length(look: &Look<'_>, at: usize) -> Option<Span> {
    (look.kind(at) == Some(Kind::Number) && is_units(look.word(at + 1))).then(|| look.span(at).to(look.span(at + 1)))
}

/// `every 9:00`.
fn time_of_day(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    if look.kind(at) != Some(Kind::Time) || look.word_before(at, 1) != "every" {
        return None;
    }
    let time = look.word(at);
    let time = if time.find(':') == Some(1) { format!("0{time}") } else { time.to_owned() };
    Some(
        instead(look.span(at), "a time of day stands behind `at`, and the day before it", &format!("day at {time}")).help(
            format!("write `every day at {time}`, or `every weekday at {time}`; an interval has its unit: `every 9 hours`"),
        ),
    )
}

/// `daily at 09:00`.
fn adverb(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    if look.place != Rule::only_items || at > 0 && !look.expects_rule(Rule::every) {
        return None;
    }
    let word = look.word(at);
    let unit = match word.to_lowercase().as_str() {
        "hourly" => "hour",
        "daily" | "nightly" => "day",
        "weekly" => "week",
        "monthly" => "month",
        "yearly" | "annually" => "year",
        "weekdays" => "weekday",
        _ => return None,
    };
    let span = look.span(at);
    let with = format!("every {unit}");
    let rest = match look.word(at + 1) {
        "at" if look.kind(at + 2) == Some(Kind::Time) => format!(" at {}", look.word(at + 2)),
        _ => String::new(),
    };
    Some(
        SyntaxError::new("E101", span, "a schedule begins with `every`")
            .label(format!("`{word}` begins no flow"))
            .help(format!("write `{with}{rest}`"))
            .fix(format!("write `{with}`"), span, with),
    )
}

/// `every last day of month`, `every first monday of the month`.
fn last_day(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let every = schedule(look, at)?;
    let (first, day) = (look.word(every + 1), look.word(every + 2));
    if at != every + 2
        || !matches!(first, "last" | "first" | "second" | "third" | "fourth" | "the")
        || look.kind(at) != Some(Kind::Word)
    {
        return None;
    }
    let skip = usize::from(first == "the");
    let (first, day) = if skip == 1 { (day, look.word(every + 3)) } else { (first, day) };
    let mut last = every + 2 + skip;
    for words in
        [&["of", "the", "month"][..], &["of", "each", "month"], &["of", "every", "month"], &["of", "month"], &["in", "month"]]
    {
        if words.iter().enumerate().all(|(i, word)| look.word(last + 1 + i) == *word) {
            last += words.len();
            break;
        }
    }
    let span = look.span(every + 1).to(look.span(last));
    let form = format!("month on {first} {day}");
    Some(instead(span, "a day of the month stands behind `every month on`", &form).help(format!("write `every {form}`")))
}

/// `at 09:00 Europe/Paris`, `at 09:00 in Paris`.
fn place(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let until = look.last_of(at, &["until", "then", "do"]).is_some_and(|i| look.word(i) == "until");
    if schedule(look, at).is_none() && !until {
        return None;
    }
    let behind_in = look.word_before(at, 1) == "in" && look.expects_rule(Rule::text);
    let behind_time = at.checked_sub(1).is_some_and(|before| look.kind(before) == Some(Kind::Time));
    let name = |at: usize| look.kind(at) == Some(Kind::Word) && !is_reserved(look.word(at));
    if !(name(at) && (behind_in || behind_time && look.word(at + 1) == "/")) {
        return None;
    }
    let mut last = at;
    while look.word(last + 1) == "/" && name(last + 2) {
        last += 2;
    }
    let span = look.span(at).to(look.span(last));
    let text = span.text(look.source);
    let message = "a time zone stands behind `in`, as a text";
    if behind_in {
        let form = format!("\"{text}\"");
        return Some(if text.contains('/') {
            instead(span, message, &form)
        } else {
            perhaps(span, message, &form).help(format!(
                "write `in` and a region with a city, such as \"Europe/Paris\", in quotes; \"{text}\" may be a city of it"
            ))
        });
    }
    Some(instead(span, message, &format!("in \"{text}\"")))
}

/// `every day at 9:00 when stripe.charge_failed`.
fn two_starts(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let every = schedule(look, at.checked_sub(1)?)?;
    if look.word(at) != "when" || look.begins_line(at) {
        return None;
    }
    let span = look.span(at);
    let clock = look.span(every).to(look.span(at - 1));
    let event = look.value_at(at + 1).map_or("stripe.charge_failed", |event| event.text(look.source));
    let clock_text = short(clock.text(look.source));
    Some(
        SyntaxError::new("E108", span, "a flow starts at a time or by an event, not by both")
            .label("this would be a second start")
            .also(clock, "this is the first")
            .help(format!(
                "write two flows, `{clock_text} do …` and `when {event} do …`; an event at certain hours is `when {event} where now.time in 08:00..18:00`"
            )),
    )
}

/// `when a stripe charge fails`.
fn spoken(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let when = look.last_of(at, &["when", "do"]).filter(|when| look.word(*when) == "when" && look.place == Rule::only_items)?;
    let article = matches!(look.word(when + 1), "a" | "an" | "any" | "the" | "some" | "my");
    let first = when + 1 + usize::from(article);
    let plain = |at: usize| look.kind(at) == Some(Kind::Word) && !is_reserved(look.word(at)) && look.word(at + 1) != ".";
    if at != when + 2 || !plain(first) || !plain(first + 1) || !(article || look.expects(is_clause)) {
        return None;
    }
    let mut last = first + 1;
    while plain(last + 1) && !matches!(look.word(last + 1), "within" | "at" | "once" | "one" | "throttle" | "missed" | "expect") {
        last += 1;
    }
    // `front_door changes to unlocked`: what a state does has words of its own.
    let change = ["changes", "changed", "turns", "turned", "goes", "gets", "switches", "went", "from"];
    if !article && (change.contains(&look.word(first + 1)) || look.word(first) == "state") {
        return None;
    }
    // `front_door unlocked for`: a state, which has words of its own.
    if !article && last == first + 1 && matches!(look.word(last + 1), "for" | "do") {
        return None;
    }
    let span = look.span(when + 1).to(look.span(last));
    let connection = look.word(first);
    let name: Vec<&str> = (first + 1..=last).map(|at| look.word(at)).collect();
    let form = format!("{connection}.{}", name.join("_"));
    Some(
        SyntaxError::new("E102", span, "a trigger is a connection, a dot and the name of an event")
            .label("said in words")
            .help(format!(
                "write `when {connection}.…`, for example `{form}`: `flowc docs {connection}` lists the events by name"
            ))
            .guess(format!("`{form}`"), span, form),
    )
}

/// `is unlocked 10 minutes`, `missed latest 12 hours`, `a.b 10 minutes`: a length without its word.
fn bare_length(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let number = at.checked_sub(1)?;
    let span = length(look, number)?;
    if !look.expects_rule(Rule::w_times) || look.place != Rule::only_items {
        return None;
    }
    let text = span.text(look.source);
    let gap = look.gap(number);
    let missing = |with: &str, message: &str, form: String| {
        Some(
            SyntaxError::new("E102", span, message)
                .label(format!("expected `{with}` before this"))
                .help(format!("write `{form}`"))
                .fix(format!("add `{with}`"), gap, format!(" {with}")),
        )
    };
    if look.word_before(number, 1) == "latest" {
        return missing("within", "how late a start may come is said with `within`", format!("missed latest within {text}"));
    }
    let when = look.last_of(number, &["when", "or", "every", "do"])?;
    if look.word_before(number, 2) == "is" {
        let form = format!("{} for {text}", look.span(when + 1).to(look.span(number - 1)).text(look.source));
        return missing("for", "how long a state has lasted is said with `for`", form);
    }
    if look.word(when + 1) == "no" {
        let form = format!("{} within {text}", look.span(when).to(look.span(number - 1)).text(look.source));
        return missing("within", "for how long no event came is said with `within`", form);
    }
    Some(
        SyntaxError::new("E102", span, "what this length of time is for is not said")
            .label("expected a word such as `within` before this")
            .help(format!(
                "`3 times within {text}` counts events, `fresh within {text}` leaves out old ones, `at most once per {text}` limits; to wait, `do {{ wait {text} … }}`"
            )),
    )
}

/// `once per id for 30 days`.
fn remembered(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let span = length(look, at + 1)?;
    if !matches!(look.word(at), "for" | "in" | "within" | "every" | "during") {
        return None;
    }
    let once = look.last_of(at, &["once", "when", "do", "most"]).filter(|once| look.word(*once) == "once")?;
    if look.word(once + 1) != "per" || look.word_before(once, 1) == "most" || once + 2 >= at {
        return None;
    }
    let key = look.span(once + 2).to(look.span(at - 1)).text(look.source);
    let whole = look.span(once).to(span);
    let form = format!("at most once per {key} per {}", span.text(look.source));
    Some(perhaps(whole, "`once per` remembers for good", &form).help(format!("write `once per {key}`, or for a time `{form}`")))
}

/// `one per customer`.
fn one_per(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    if look.word(at) != "per" || look.word_before(at, 1) != "one" {
        return None;
    }
    let key = look.value_at(at + 1)?;
    let text = key.text(look.source);
    let whole = look.span(at - 1).to(key);
    let running = format!("one at a time per {text}");
    if is_unit(text) {
        return Some(instead(whole, "a limit for a time begins with `at most`", &format!("at most once per {text}")));
    }
    let good = format!("once per {text}");
    Some(
        SyntaxError::new("E108", whole, "one run at a time, one a day, or one for good?")
            .label("not said")
            .help(format!("`at most once per {text} per day` is a limit for a time"))
            .guess(format!("`{running}`: the next begins when the one before it has ended"), whole, running)
            .guess(format!("`{good}`: never a second one"), whole, good),
    )
}

/// `at most 1x per day`, `retry 6x`.
fn times_sign(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let number = at.checked_sub(1)?;
    let sign = matches!(look.word(at), "x" | "X" | "×") && look.adjacent(number) && look.kind(number) == Some(Kind::Number);
    if !sign || !matches!(look.word_before(number, 1), "most" | "retry" | "to" | "least" | "expect") {
        return None;
    }
    let span = look.span(number).to(look.span(at));
    let count = look.word(number);
    let form = match (count, look.word_before(number, 1)) {
        ("1", _) => "once".to_owned(),
        (count, "retry") => format!("{count} times"),
        (count, _) => count.to_owned(),
    };
    Some(instead(span, "how often is a number, and a word", &form))
}

/// `retry over 2 hours`, `retry over 2 hours 6 times`, `retry 6 times in 2 hours`, `retry never`.
fn retry(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let counted = look.word_before(at, 2) == "retry" && look.word_before(at, 1) == "once"
        || look.word_before(at, 3) == "retry" && look.word_before(at, 1) == "times";
    if counted && matches!(look.word(at), "in" | "within" | "for" | "during" | "up" | "per") && length(look, at + 1).is_some() {
        return Some(instead(look.span(at), "over how long a step is tried again is said with `over`", "over"));
    }
    if look.word_before(at, 1) != "retry" {
        return None;
    }
    let word = look.word(at);
    if matches!(word, "over" | "within" | "for" | "in") {
        let time = length(look, at + 1)?;
        let text = time.text(look.source);
        let count = at + 3;
        if look.kind(count) == Some(Kind::Number) {
            let times = look.word(count + 1) == "times";
            let whole = look.span(at).to(look.span(count + usize::from(times)));
            let form = format!("{} times over {text}", look.word(count));
            return Some(instead(whole, "how often comes before how long", &form).help(format!("write `retry {form}`")));
        }
        let form = format!("6 times over {text}");
        let whole = look.span(at).to(time);
        return Some(
            perhaps(whole, "how often it is tried again is not said", &form)
                .help(format!("write `retry {form}`; without `retry` a step is tried for a day, with growing pauses")),
        );
    }
    if matches!(word, "never" | "no" | "none" | "off" | "not" | "forever" | "always") {
        let span = look.span(at - 1).to(look.span(at));
        let error = SyntaxError::new("E108", span, "behind `retry` stands how often").label(format!("`{word}` is no number"));
        return Some(if matches!(word, "forever" | "always") {
            error
                .help("a step has an end: write `retry 20 times over 20 hours`; what failed for good is kept, and `flowd retry` goes on")
                .guess("write `retry 20 times over 20 hours`", span, "retry 20 times over 20 hours")
        } else {
            error
                .help("what cannot be done twice safely is not repeated anyway; `retry once` is the least, and `on error { … }` says what happens then")
                .guess("write `retry once`", span, "retry once")
        });
    }
    None
}

/// `for x in list max 20`.
fn loop_bound(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    if !look.expects_rule(Rule::w_up_to) || look.last_of(at, &["for", "do"]).is_none_or(|i| look.word(i) != "for") {
        return None;
    }
    let last = match (look.word(at), look.word(at + 1)) {
        ("at", "most") | ("no", "more") => at + 1,
        ("max" | "maximum" | "limit" | "first" | "top" | "take" | "upto", _) => at,
        _ => return None,
    };
    let number = last + 1;
    (look.kind(number) == Some(Kind::Number)).then(|| {
        let span = look.span(at).to(look.span(last));
        instead(span, "how many items a loop takes is said with `up to`", "up to")
            .help(format!("write `up to {}`", look.word(number)))
    })
}

/// `within hour`, `wait day`, `up to week`.
fn bare_unit(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let unit = look.word(at);
    let before = look.word_before(at, 1);
    if !is_unit(unit) || !look.expects(|rule| matches!(rule, Rule::duration | Rule::number)) {
        return None;
    }
    let joins = matches!(before, "within" | "over" | "for" | "timeout" | "after")
        || before == "to" && look.word_before(at, 2) == "up"
        || before == "wait";
    joins.then(|| {
        inserting(
            SyntaxError::new("E111", look.span(at), "a duration begins with its number")
                .label(format!("how many {unit}s?"))
                .help(format!("write `{}{before} 1 {unit}`", if before == "to" { "up " } else { "" })),
            look,
            "add `1`",
            " 1",
        )
    })
}

/// `country is "FR" or is "DE"`, `amount > 5 and < 10`.
fn repeated_is(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let join = look.word_before(at, 1);
    if !matches!(join, "or" | "and") || !look.in_condition(at) {
        return None;
    }
    let operator = look.word(at);
    let sign = matches!(operator, ">" | ">=" | "<" | "<=" | "==" | "!=" | "is" | "contains");
    let first = (0..at - 1).rev().find(|i| {
        matches!(look.word(*i), ">" | ">=" | "<" | "<=" | "==" | "!=" | "is" | "contains" | "where" | "if" | "and" | "or")
    })?;
    if !sign || matches!(look.word(first), "where" | "if" | "and" | "or") {
        return None;
    }
    let subject = look.value_before(first)?;
    let name = subject.text(look.source);
    let one = look.value_at(first + 1)?;
    let two = look.value_at(at + 1)?;
    let span = look.span(at);
    if join == "or" && look.word(first) == "is" && operator == "is" {
        let mut values = vec![one.text(look.source), two.text(look.source)];
        let mut end = two;
        // `or is "IT"`
        let mut next = look.tokens.iter().position(|token| token.span.end == two.end)? + 1;
        while look.word(next) == "or" && look.word(next + 1) == "is" {
            let Some(more) = look.value_at(next + 2) else { break };
            values.push(more.text(look.source));
            end = more;
            next = look.tokens.iter().position(|token| token.span.end == more.end)? + 1;
        }
        let form = format!("{name} in [{}]", values.join(", "));
        return Some(
            SyntaxError::new(
                "E104",
                span,
                "what is compared is named each time, or one of several values is asked for with `in`",
            )
            .label("what is that?")
            .help(format!("write `{form}`"))
            .fix(format!("write `{form}`"), subject.to(end), form),
        );
    }
    let form = format!("{join} {name} {operator} {}", two.text(look.source));
    Some(
        SyntaxError::new("E104", span, "what is compared is named each time")
            .label(format!("expected what is compared, such as `{name}`"))
            .help(format!("write `{form}`"))
            .fix(format!("add `{name}`"), look.gap(at), format!(" {name}")),
    )
}

/// `contains @example.com`.
fn address(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let operator = matches!(look.word_before(at, 1), "contains" | "is" | "with" | ":" | "==" | "," | "[" | "(");
    if look.word(at) != "@" || !operator || !look.place_is_flow() || look.kind(at + 1) != Some(Kind::Word) {
        return None;
    }
    let start = look.span(at).start;
    let rest = look.source.get(start as usize..)?;
    let len = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '@' | '.' | '-' | '_' | '+'))).unwrap_or(rest.len());
    let span = Span::new(start as usize, start as usize + len);
    let form = format!("\"{}\"", span.text(look.source));
    Some(
        SyntaxError::new("E102", span, "a text stands in double quotes")
            .label("not a name, nor a number")
            .help(format!("write `{form}`"))
            .fix(format!("write `{form}`"), span, form),
    )
}

/// `post(channel: "#ops, text: "x")`: the quote that is missing is that of the text before.
fn early_quote(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let text = look.token(at.checked_sub(1)?)?;
    let inner = text.text.strip_prefix('"')?.strip_suffix('"')?;
    if text.kind != Kind::Text || !look.adjacent(at - 1) || look.text.is_some() {
        return None;
    }
    let before = inner.trim_end().strip_suffix(':')?;
    let comma = before.rfind(',')?;
    let key = before.get(comma + 1..)?.trim();
    if key.is_empty() || !key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit()) {
        return None;
    }
    let value = before.get(..comma)?;
    let place = text.span.start as usize + 1 + comma;
    let span = Span::new(text.span.start as usize, place);
    Some(
        SyntaxError::new("E103", span, "the closing quote of this text is missing")
            .label(format!("it would go on to the quote behind `{key}:`"))
            .help(format!("write `\"{}\", {key}: …`", short(value)))
            .fix("add `\"`", Span::new(place, place), "\""),
    )
}

/// `wait d`, `wait until monday at 09:00`, `wait for a.b or c.d`, `… up to 3 days as m`.
fn wait(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    const STEPS: [&str; 9] = ["wait", "let", "if", "match", "stop", "require", "return", "{", "}"];
    if look.lone_word() == Some(at.wrapping_sub(1)) && look.word_before(at, 1) == "wait" {
        let value = look.value_at(at)?;
        let text = value.text(look.source);
        if look.kind(at) != Some(Kind::Word) || currency_of(text).is_some() || look.kind(at + 1) == Some(Kind::Number) {
            return None;
        }
        let form = format!("until now + {text}");
        return Some(
            SyntaxError::new("E102", value, "how long a run waits is written out behind `wait`")
                .label("a value, not a length of time such as `3 days`")
                .help(format!("write `wait 3 days`; what is calculated is an instant: `wait {form}`"))
                .guess(format!("write `wait {form}`"), value, form),
        );
    }
    let word = look.lone_word().unwrap_or(at);
    let step = look.last_of(word, &STEPS).filter(|step| look.word(*step) == "wait")?;
    match look.word(word) {
        "at" if look.word(step + 1) == "until" => {
            let day = look.span(step + 2).to(look.span(word - 1)).text(look.source);
            let time = if look.kind(word + 1) == Some(Kind::Time) { look.word(word + 1) } else { "09:00" };
            Some(
                SyntaxError::new("E102", look.span(step + 2).to(look.span(word + 1)), "a run waits until a time of day or an instant")
                    .label(format!("`{day}` is no instant"))
                    .help(format!(
                        "`wait until {time}` is the next {time}, `wait until 2026-12-24 {time}` an instant; what is done on certain days is a flow of its own, `every {} at {time}`",
                        if is_day(day) { day } else { "monday" }
                    )),
            )
        }
        "or" if look.word(step + 1) == "for" => {
            let first = look.span(step + 2).to(look.span(word - 1)).text(look.source);
            let second = look.value_at(word + 1)?.text(look.source);
            Some(
                SyntaxError::new("E102", look.span(word), "a run waits for one event")
                    .label("a second one cannot be waited for at the same time")
                    .help(format!(
                        "wait for that which decides, `wait for {}`, with `else {{ … }}` for when it does not come; for `{second}` write a flow of its own",
                        short(first)
                    )),
            )
        }
        "as" if look.word(step + 1) == "for" => Some(
            SyntaxError::new("E102", look.span(word).to(look.span(word + 1)), "an awaited event gets no name")
                .label("`as` names the result of an action")
                .help("what it must be like stands in its `where`; behind the wait the fields are those of the event that started the run, and a query asks for what is new: `let x = …`"),
        ),
        _ => None,
    }
}

/// `do { do a.b }`.
fn inner_do(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    if look.word(at) != "do" || look.place != Rule::only_steps || !look.expects(is_step) {
        return None;
    }
    let span = look.span(at);
    let whole = Span { start: span.start, end: look.span(at + 1).start.max(span.end) };
    Some(
        SyntaxError::new("E102", span, "`do` stands once, before the steps of the flow")
            .label("a step needs none of its own")
            .help("each step begins with the name of its connection")
            .fix("remove `do`", whole, ""),
    )
}

fn is_day(word: &str) -> bool {
    matches!(word, "monday" | "tuesday" | "wednesday" | "thursday" | "friday" | "saturday" | "sunday")
}
