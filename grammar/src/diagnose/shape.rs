//! Mistakes that show in the shape of the text around the place where the parser stopped.

use super::expected::{is_clause, is_step, is_value, phrase};
use super::habit::step_word;
use super::literal::decimal_comma;
use super::look::{Look, is_reserved};
use super::similar::nearest;
use super::token::Kind;
use super::top::short;
use crate::error::{Fix, SyntaxError};
use crate::grammar::Rule;
use crate::span::Span;

/// Words that begin a clause.
const CLAUSES: [&str; 11] = ["where", "within", "fresh", "at", "once", "one", "throttle", "while", "missed", "across", "expect"];

/// Returns the first mistake that is recognised.
pub(super) fn find(look: &Look<'_>) -> Option<SyntaxError> {
    reserved_name(look)
        .or_else(|| amount(look))
        .or_else(|| unfinished(look))
        .or_else(|| small(look))
        .or_else(|| separator(look))
        .or_else(|| missing_do(look))
        .or_else(|| late_clause(look))
        .or_else(|| missing_braces(look))
        .or_else(|| brackets(look))
        .or_else(|| misspelt(look))
        .or_else(|| lone_word(look))
}

/// What is known about any place.
pub(super) fn general(look: &Look<'_>) -> SyntaxError {
    let span = look.span(look.found);
    let found = look.word(look.found);
    let wanted = phrase(&look.expected);
    // Behind the text that did not fit stands at most the brace that closes it.
    let behind = look.source.get(look.bad.end as usize..).unwrap_or("").trim_start();
    let found = match found {
        "" if behind.starts_with('}') => "`}`".to_owned(),
        "" => "the end".to_owned(),
        found => format!("`{}`", short(found)),
    };
    // One certain word that is missing can be added.
    if let [Rule::w_times] = look.expected.as_slice() {
        let error = SyntaxError::new("E102", span, format!("`times` is missing, found {found}")).label("expected `times` here");
        return inserting(error, look, "add `times`", " times");
    }
    match wanted {
        Some(wanted) => {
            SyntaxError::new("E102", span, format!("expected {wanted}, found {found}")).label(format!("expected {wanted} here"))
        }
        None => SyntaxError::new("E102", span, format!("{found} cannot stand here")).label("not expected here"),
    }
}

fn insert(look: &Look<'_>, text: &str) -> (Span, String) {
    (look.gap(look.found), text.to_owned())
}

/// Adds a fix that inserts a text before the token where the parser stopped.
fn inserting(mut error: SyntaxError, look: &Look<'_>, title: &str, text: &str) -> SyntaxError {
    error.fixes.push(Fix { title: title.to_owned(), edits: vec![insert(look, text)], safe: true });
    error
}

fn reserved_name(look: &Look<'_>) -> Option<SyntaxError> {
    let word = look.word(look.found);
    if !is_reserved(word) {
        return None;
    }
    let before = look.word_before(look.found, 1);
    let behind = look.word(look.found + 1);
    if before == "flow" && matches!(word, "when" | "every" | "do" | "where") {
        let flow = look.span(look.found - 1);
        let whole = Span { start: flow.start, end: look.span(look.found).start };
        return Some(
            SyntaxError::new("E102", flow, "this flow has no name")
                .label("expected a name behind `flow`")
                .help("write `flow my_flow`, or leave `flow` out: a flow needs no name")
                .fix("remove `flow`", whole, ""),
        );
    }
    let key = behind == ":" && matches!(before, "(" | "," | "{") && look.open_bracket(look.found).is_some()
        || behind == ":" && matches!(look.place, Rule::only_fields | Rule::only_members);
    let named = matches!(before, "let" | "as" | "for" | "flow" | "connector" | "record" | "trigger" | "query" | "action");
    let operand = look.expects(is_value)
        && matches!(behind, "is" | ">" | "<" | ">=" | "<=" | "==" | "!=" | "contains" | "." | ")" | "," | "+" | "*")
        && !matches!(word, "do" | "and" | "or" | "then" | "not" | "else");
    (key || named || operand).then(|| {
        let span = look.span(look.found);
        SyntaxError::new("E110", span, format!("`{word}` is a word of the language, not a name"))
            .label("reserved everywhere")
            .help(format!("write it in backticks: `` `{word}` ``; behind a dot it is free, as in `event.{word}`"))
            .fix("put it in backticks", span, format!("`{word}`"))
    })
}

/// Numbers with a wrong unit, and times in a wrong form.
fn amount(look: &Look<'_>) -> Option<SyntaxError> {
    let at = look.found;
    let duration_word = |at: usize| {
        matches!(
            look.word_before(at, 1),
            "wait" | "within" | "to" | "timeout" | "over" | "every" | "history" | "after" | "for" | "per" | "-" | "+"
        )
    };
    let wants_duration = look.expects(|rule| matches!(rule, Rule::duration | Rule::unit))
        && (duration_word(at) || at > 0 && duration_word(at - 1));
    if look.kind(at) == Some(Kind::Time) && wants_duration && !look.expects_rule(Rule::every_at) {
        return Some(time_as_duration(look, at));
    }
    // `9am`, `9 pm`, `9.30`, `9` where a time stands.
    let wants_time = look.expects_rule(Rule::time) || look.word_before(at, 1) == "at" || look.word_before(at, 2) == "at";
    let number_at = if look.kind(at) == Some(Kind::Number) {
        Some(at)
    } else {
        at.checked_sub(1).filter(|n| look.kind(*n) == Some(Kind::Number))
    };
    let number_at = number_at?;
    let number = look.word(number_at);
    let number_span = look.span(number_at);
    if wants_time
        && look.place_is_flow()
        && matches!(look.word_before(number_at, 1), "at" | "until" | "," | "and")
        && !look.expects_rule(Rule::expr)
    {
        return clock(look, number_at);
    }
    let unit_at = number_at + 1;
    let unit = look.word(unit_at);
    // `1,000` and `50,00`.
    if unit == ","
        && look.adjacent(number_at)
        && look.adjacent(unit_at)
        && look.kind(unit_at + 1) == Some(Kind::Number)
        && unit_at == at
    {
        return Some(decimal_comma(look.source, number_span.to(look.span(unit_at + 1))));
    }
    if look.word(at).matches('.').count() > 1 && look.kind(at) == Some(Kind::Number) || number.matches('.').count() > 1 {
        let form = number.replace('.', "_");
        return Some(
            SyntaxError::new("E108", number_span, "digits are grouped with `_`")
                .label("a number has one `.` at most")
                .help(format!("write `{form}`"))
                .guess(format!("write `{form}`"), number_span, form),
        );
    }
    if unit_at == at && look.kind(unit_at) == Some(Kind::Word) && !is_reserved(unit) {
        let span = number_span.to(look.span(unit_at));
        if let Some(code) = currency_of(unit) {
            let form = format!("{number} {code}");
            return Some(
                SyntaxError::new("E111", look.span(unit_at), "a currency is written as its three capitals")
                    .label(format!("did you mean `{code}`?"))
                    .help(format!("write `{form}`"))
                    .guess(format!("write `{form}`"), span, form),
            );
        }
        let near = nearest(unit, &["seconds", "minutes", "hours", "days", "weeks", "months", "years", "milliseconds", "times"]);
        if wants_duration && let Some(near) = near {
            let form = format!("{number} {near}");
            return Some(
                SyntaxError::new("E111", look.span(unit_at), format!("`{unit}` is no unit of time"))
                    .label(format!("did you mean `{near}`?"))
                    .help(format!("write `{form}`"))
                    .guess(format!("write `{form}`"), span, form),
            );
        }
    }
    // `wait 15`, `within 5`.
    if unit_at == at && wants_duration && !look.expects_rule(Rule::w_times) {
        return Some(inserting(
            SyntaxError::new("E111", number_span, "this duration has no unit")
                .label(format!("{number} of what?"))
                .help(format!("write `{number} minutes`, or another unit: seconds, hours, days")),
            look,
            "add `minutes`",
            " minutes",
        ))
        .map(|mut error| {
            error.fixes.iter_mut().for_each(|fix| fix.safe = false);
            error
        });
    }
    None
}

fn time_as_duration(look: &Look<'_>, at: usize) -> SyntaxError {
    let written = look.word(at);
    let mut numbers = written.split(':').map(|part| part.parse::<u32>().unwrap_or(0));
    let (first, second, third) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0), numbers.next());
    let units = match third {
        Some(third) => [(first, "hour"), (second, "minute"), (third, "second")],
        None => [(first, "hour"), (second, "minute"), (0, "second")],
    };
    let words: Vec<String> = units
        .iter()
        .filter(|(amount, _)| *amount > 0)
        .map(|(amount, unit)| if *amount == 1 { format!("1 {unit}") } else { format!("{amount} {unit}s") })
        .collect();
    let form = if words.is_empty() { "0 seconds".to_owned() } else { words.join(" ") };
    let span = look.span(at);
    SyntaxError::new("E108", span, "a duration is written with its units")
        .label(format!("`{written}` is a time of day"))
        .help(format!("write `{form}`"))
        .guess(format!("write `{form}`"), span, form)
}

/// `9am`, `9`, `9.30` where a time of day belongs.
fn clock(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let number = look.word(at);
    let mut span = look.span(at);
    let (hour, minute) = number.split_once('.').unwrap_or((number, "00"));
    let mut hour: u32 = hour.parse().ok()?;
    let half = look.word(at + 1).to_lowercase();
    if matches!(half.as_str(), "am" | "pm" | "a" | "p" | "uhr" | "h" | "o" | "hours") {
        span = span.to(look.span(at + 1));
        match half.as_str() {
            "pm" | "p" if hour < 12 => hour += 12,
            "am" | "a" if hour == 12 => hour = 0,
            _ => {}
        }
    }
    if hour > 23 || minute.len() > 2 {
        return None;
    }
    let form = format!("{hour:02}:{minute:0<2}");
    Some(
        SyntaxError::new("E111", span, "a time of day is written with hours and minutes")
            .label("from 00:00 to 23:59")
            .help(format!("write `{form}`"))
            .guess(format!("write `{form}`"), span, form),
    )
}

fn currency_of(word: &str) -> Option<String> {
    let upper = word.to_uppercase();
    let code = match upper.as_str() {
        "DOLLAR" | "DOLLARS" | "BUCKS" => "USD",
        "EURO" | "EUROS" => "EUR",
        "POUND" | "POUNDS" => "GBP",
        "YEN" => "JPY",
        "FRANC" | "FRANCS" => "CHF",
        "USD" | "EUR" | "GBP" | "JPY" | "CHF" | "CAD" | "AUD" | "SEK" | "NOK" | "DKK" | "PLN" | "CZK" | "INR" | "CNY" | "NZD"
        | "SGD" | "HKD" | "KRW" | "BRL" | "MXN" | "ZAR" | "TRY" | "HUF" | "RON" | "ILS" | "AED" | "THB" | "ISK" => &upper,
        _ => return None,
    };
    Some(code.to_owned())
}

/// An operator or keyword without what it is about.
fn unfinished(look: &Look<'_>) -> Option<SyntaxError> {
    let before = look.word_before(look.found, 1);
    let gap = look.gap(look.found);
    let span = look.span(look.found);
    if before == "." {
        return Some(
            SyntaxError::new("E104", span, "a name is missing behind the dot")
                .label("expected a name here")
                .also(gap, "the dot")
                .help("write the name of a trigger, an action or a field; `flowc docs` lists them"),
        );
    }
    let operator = matches!(
        before,
        ">" | ">="
            | "<"
            | "<="
            | "=="
            | "!="
            | "+"
            | "-"
            | "*"
            | "/"
            | "and"
            | "or"
            | "not"
            | "is"
            | "in"
            | "contains"
            | "with"
            | "matches"
            | ".."
            | "&&"
            | "||"
    );
    let opener =
        matches!(before, "where" | "if" | "=" | ":" | "because" | "per" | "until" | "else" | "require" | "match" | "return");
    let begins = look.expects(is_value) || look.expects_rule(Rule::duration) && operator;
    if !begins
        || !(operator || opener)
        || look.token(look.found).is_some_and(|token| token.kind == Kind::Text && before != "matches")
    {
        return None;
    }
    let example = match before {
        ">" | ">=" | "<" | "<=" => "`100 USD`",
        "is" => "`present` or `\"open\"`",
        "in" => "`[\"a\", \"b\"]` or `08:00..18:00`",
        "contains" | "with" | "starts" | "ends" => "`\"text\"`",
        "matches" => "`\"^[0-9]+$\"`",
        "and" | "or" | "not" | "where" | "if" => "`amount > 100`",
        "because" => "`\"the reason\"`",
        "per" => "`customer`",
        "until" => "`09:00`",
        _ => "`\"text\"` or `100`",
    };
    let condition = operator && look.in_condition(look.found) || matches!(before, "where" | "if");
    let message =
        if condition { "the condition is not finished".to_owned() } else { format!("a value is missing behind `{before}`") };
    let what = if matches!(before, "and" | "or" | "not" | "where" | "if") { "a condition" } else { "a value" };
    let mut error = SyntaxError::new("E104", span, message).label(format!("expected {what} here, for example {example}"));
    if gap != span {
        error = error.also(gap, "");
    }
    Some(error)
}

/// Small words that are forgotten or doubled.
fn small(look: &Look<'_>) -> Option<SyntaxError> {
    let at = look.found;
    let span = look.span(at);
    let word = look.word(at);
    let before = look.word_before(at, 1);
    if before == "stop" && look.kind(at) == Some(Kind::Text) {
        return Some(inserting(
            SyntaxError::new("E102", span, "a reason stands behind `because`")
                .label("this text belongs to nothing")
                .help(format!("write `stop because {}`", short(word))),
            look,
            "add `because`",
            " because",
        ));
    }
    if look.expects_rule(Rule::w_times) && look.word_before(at, 2) == "retry" {
        return Some(inserting(
            SyntaxError::new("E102", span, "`times` is missing")
                .label("expected `times` here")
                .also(look.gap(at), "")
                .help(format!("write `retry {before} times`, and `over 2 hours` if you like")),
            look,
            "add `times`",
            " times",
        ));
    }
    if let Some(error) = preposition(look) {
        return Some(error);
    }
    if before.starts_with('\'') && at > 0 && look.kind(at - 1) == Some(Kind::Text) && look.adjacent(at - 1) {
        return Some(
            SyntaxError::new("E102", span, "the text before this has ended already")
                .label("this is behind its closing `'`")
                .help("put texts with a `'` in them in double quotes: `\"it's\"`"),
        );
    }
    if look.kind(at) == Some(Kind::Time) && at > 0 && look.kind(at - 1) == Some(Kind::Time) {
        return Some(inserting(
            SyntaxError::new("E102", span, "a comma is missing between two times").label("expected `,` before this"),
            look,
            "add `,`",
            ",",
        ));
    }
    let schedule = look.last_of(at, &["every", "at", "do"]).is_some_and(|i| look.word(i) == "every");
    if look.kind(at) == Some(Kind::Time) && schedule {
        return Some(inserting(
            SyntaxError::new("E102", span, "`at` is missing before the time")
                .label("expected `at` here")
                .help(format!("write `at {word}`")),
            look,
            "add `at`",
            " at",
        ));
    }
    if word == before && (look.kind(at) == Some(Kind::Word) || word == ",") {
        return Some(SyntaxError::new("E102", span, format!("`{word}` stands here twice")).label("this one is too many").fix(
            format!("remove the second `{word}`"),
            Span { start: look.gap(at).start, end: span.end },
            "",
        ));
    }
    if word == "else" && look.expects(is_step) {
        return Some(
            SyntaxError::new("E102", span, "this `else` has no `if` before it")
                .label("no `if { … }` or `wait for` ends right before this")
                .help("`else` stands right behind the `}` of an `if`"),
        );
    }
    if word == "when" && look.expects(is_step) || word == "every" && look.expects(is_step) {
        return Some(
            SyntaxError::new("E102", span, "flows cannot stand inside flows")
                .label("this would begin another flow")
                .help("put it behind the `}` of this flow; within a flow `wait for …` waits for another event"),
        );
    }
    None
}

/// A small word in place of another: `in` for `within`, `a` for `per`.
fn preposition(look: &Look<'_>) -> Option<SyntaxError> {
    let at = look.found;
    let word = look.word(at);
    let span = look.span(at);
    let number_next = look.kind(at + 1) == Some(Kind::Number);
    let (with, message) = if look.expects_rule(Rule::w_within) && matches!(word, "in" | "during" | "over" | "for" | "inside") {
        ("within", "the time in which something happens is said with `within`")
    } else if look.expects(|rule| matches!(rule, Rule::per | Rule::w_per))
        && matches!(word, "a" | "an" | "each" | "every" | "in" | "/" | "for")
    {
        ("per", "a limit says with `per` for what time and for whom it is")
    } else if word == "in" && number_next && look.expects(is_clause) {
        ("within", "the time in which something happens is said with `within`")
    } else if look.expects_rule(Rule::w_to) && look.kind(at) == Some(Kind::Number) {
        return Some(inserting(
            SyntaxError::new("E102", span, "`to` is missing behind `throttle`").label("expected `to` here"),
            look,
            "add `to`",
            " to",
        ));
    } else if word == "for" && number_next && look.expects(is_clause) {
        return Some(
            SyntaxError::new("E102", span, "only a state can last")
                .label("an event happens at once")
                .help("write `when front_door is unlocked for 10 minutes`, or count events with `3 times within 10 minutes`"),
        );
    } else if matches!(word, "and" | ",")
        && look.expects(is_clause)
        && look.last_of(at, &["where", "do"]).is_none()
        && look.place == Rule::only_items
    {
        let error = SyntaxError::new("E102", span, "one event starts a flow")
            .label("two events do not happen at once")
            .help("write `or` for either of them; to wait for a second one, write `wait for …` behind `do`");
        let whole = Span { start: look.gap(at).start, end: span.end };
        return Some(error.guess("replace it by `or`", whole, " or"));
    } else {
        return None;
    };
    Some(SyntaxError::new("E102", span, message).label(format!("expected `{with}` here")).fix(
        format!("replace `{word}` by `{with}`"),
        span,
        with,
    ))
}

/// A missing comma, or a sign between steps that is none.
fn separator(look: &Look<'_>) -> Option<SyntaxError> {
    let at = look.found;
    let span = look.span(at);
    let word = look.word(at);
    let open = look.open_bracket(at).map(|open| look.word(open));
    let begins_value = match look.kind(at) {
        Some(Kind::Word) => !is_reserved(word) || matches!(word, "not" | "true" | "false"),
        Some(Kind::Number | Kind::Time | Kind::Text) => true,
        Some(Kind::Sign) => matches!(word, "{" | "["),
        Some(Kind::OpenText) | None => false,
    };
    let in_list = look.expects(|rule| matches!(rule, Rule::rparen | Rule::rbrack))
        || (open == Some("{") && look.expects_rule(Rule::rbrace));
    let closes_later = (at..look.tokens.len()).any(|i| matches!(look.word(i), ")" | "]" | "}"));
    let named = look.word(at + 1) == ":" || look.word_before(at, 2) == "," || !look.begins_line(at);
    if in_list && begins_value && closes_later && named && !matches!(look.word_before(at, 1), "(" | "[" | "," | "{") {
        return Some(inserting(
            SyntaxError::new("E102", look.span(at), "a comma is missing")
                .label("expected `,` before this")
                .also(look.gap(at), ""),
            look,
            "add `,`",
            ",",
        ));
    }
    let between_steps = matches!(word, "," | "and" | "&&" | "+") && open.is_none_or(|open| open == "{") && look.place_is_flow();
    let behind_do = look.last_of(at, &["do", "then"]).is_some();
    if between_steps && behind_do && look.kind(at + 1) == Some(Kind::Word) && look.word(at + 2) == "." {
        return Some(
            SyntaxError::new("E102", span, "steps are joined by `then`")
                .label(format!("`{word}` joins values"))
                .help("write `do first.step then second.step`, or put the steps in braces")
                .fix("replace it by `then`", Span { start: look.gap(at).start, end: span.end }, " then"),
        );
    }
    if word == "," && look.open_bracket(at).is_none() {
        return Some(
            SyntaxError::new("E102", span, "no comma belongs here").label("clauses and steps need none between them").fix(
                "remove `,`",
                span,
                "",
            ),
        );
    }
    None
}

fn missing_do(look: &Look<'_>) -> Option<SyntaxError> {
    let at = look.found;
    if look.place != Rule::only_items || !(look.expects_rule(Rule::do_word) || look.expects(is_clause)) {
        return None;
    }
    if look.last_of(at, &["do"]).is_some() || at == 0 {
        return None;
    }
    let word = look.word(at);
    let span = look.span(at);
    let do_later = (at..look.tokens.len()).any(|i| look.word(i) == "do");
    if word == "if" {
        return Some(
            SyntaxError::new("E102", span, "the condition of a flow begins with `where`")
                .label("`if` is a step")
                .help("write `where …` before `do`")
                .fix("replace `if` by `where`", span, "where"),
        );
    }
    let Some(token) = look.token(at) else {
        return Some(
            SyntaxError::new("E107", span, "this flow does nothing: its `do` is missing")
                .label("expected `do` and a step here")
                .help("add what is to be done, for example `do slack.post_message(channel: \"#ops\", text: \"…\")`"),
        );
    };
    if word == "then" {
        return Some(
            SyntaxError::new("E107", span, "what a flow does stands behind `do`").label("`then` joins further steps").fix(
                "replace `then` by `do`",
                span,
                "do",
            ),
        );
    }
    if do_later {
        let condition = token.kind == Kind::Word && !is_reserved(word) && !CLAUSES.contains(&word) || matches!(word, "not" | "(");
        let compares = (at..(at + 6).min(look.tokens.len()))
            .any(|i| matches!(look.word(i), ">" | ">=" | "<" | "<=" | "is" | "==" | "!=" | "in" | "contains"));
        return (condition && compares && nearest(word, &CLAUSES).is_none_or(|_| look.word(at + 1) != look.word(at))).then(
            || {
                if let Some(near) = nearest(word, &["where"]) {
                    return SyntaxError::new("E102", span, format!("`{word}` is no clause"))
                        .label(format!("did you mean `{near}`?"))
                        .fix(format!("write `{near}`"), span, near);
                }
                if matches!(
                    word,
                    "with" | "having" | "given" | "provided" | "only" | "and" | "unless" | "whose" | "that" | "filter"
                ) {
                    return SyntaxError::new("E102", span, "a condition begins with `where`")
                        .label("expected `where` here")
                        .guess("write `where`", span, "where");
                }
                inserting(
                    SyntaxError::new("E102", span, "`where` is missing before the condition").label("expected `where` here"),
                    look,
                    "add `where`",
                    " where",
                )
            },
        );
    }
    let step = word == "{"
        || token.kind == Kind::Word && matches!(look.word(at + 1), "." | "(")
        || matches!(word, "let" | "match" | "for");
    step.then(|| {
        inserting(
            SyntaxError::new("E107", span, "`do` is missing before what is to be done").label("expected `do` here"),
            look,
            "add `do`",
            " do",
        )
    })
}

/// A clause behind `do`.
fn late_clause(look: &Look<'_>) -> Option<SyntaxError> {
    let at = look.found;
    let word = look.word(at);
    let second = look.word(at + 1);
    let clause = match word {
        "where" => true,
        "at" => second == "most",
        "once" => second == "per",
        "one" => second == "at",
        "while" => second == "running",
        "across" => second == "gaps",
        "throttle" | "missed" | "fresh" | "expect" | "within" => {
            look.kind(at + 1) == Some(Kind::Word) || look.kind(at + 1) == Some(Kind::Number)
        }
        _ => false,
    };
    let behind_do = look.last_of(at, &["do"]);
    if !clause || look.expects(is_clause) || !look.place_is_flow() {
        return None;
    }
    let span = look.span(at);
    let error = SyntaxError::new("E112", span, format!("`{word}` belongs before `do`"))
        .label("clauses say when the flow runs, steps what it does")
        .help("put it between the trigger and `do`; inside `do`, `if … { … }` decides");
    let Some(behind_do) = behind_do.filter(|_| look.place == Rule::only_items) else {
        return Some(error);
    };
    let place = look.span(behind_do);
    let whole = Span { start: look.gap(at).start, end: look.bad.end };
    let mut error = error.also(place, "it belongs before this");
    let text = whole.text(look.source).trim();
    if !text.contains('\n') {
        error.fixes.push(Fix {
            title: "move it before `do`".to_owned(),
            edits: vec![(Span { start: place.start, end: place.start }, format!("{text} ")), (whole, String::new())],
            safe: true,
        });
    }
    Some(error)
}

/// `if x do y`, `on error notify`, `for x in xs do`.
fn missing_braces(look: &Look<'_>) -> Option<SyntaxError> {
    let at = look.found;
    let brace = look.expects(|rule| matches!(rule, Rule::block | Rule::arms | Rule::lbrace | Rule::http));
    if !brace || look.word(at) == "{" {
        return None;
    }
    let owner =
        look.last_of(at, &["if", "for", "match", "error", "else", "test", "connector", "record", "source", "action", "query"])?;
    let owner = match look.word(owner) {
        "error" => "on error",
        owner => owner,
    };
    let span = look.span(at);
    let form = match owner {
        "match" => "match value { \"a\" => step  else => step }".to_owned(),
        "for" => "for x in list { … }".to_owned(),
        "on error" | "else" => format!("{owner} {{ … }}"),
        "if" => "if condition { … }".to_owned(),
        other => format!("{other} … {{ … }}"),
    };
    Some(
        SyntaxError::new("E102", span, format!("what belongs to `{owner}` stands in braces"))
            .label("expected `{` here")
            .help(format!("write `{form}`")),
    )
}

/// Brackets without a partner.
fn brackets(look: &Look<'_>) -> Option<SyntaxError> {
    let at = look.found;
    let word = look.word(at);
    let span = look.span(at);
    let open = look.open_bracket(at);
    if matches!(word, ")" | "]" | "}") && open.is_none() {
        return Some(
            SyntaxError::new("E105", span, format!("this `{word}` closes nothing"))
                .label("there is no partner before it")
                .help("remove it, or add the opening one")
                .guess(format!("remove `{word}`"), span, ""),
        );
    }
    let open = open?;
    let opening = look.word(open);
    let (closing, rule) = match opening {
        "(" => (")", Rule::rparen),
        "[" => ("]", Rule::rbrack),
        _ => ("}", Rule::rbrace),
    };
    let wrong = matches!(word, ")" | "]" | "}") && word != closing;
    let ends = look.token(at).is_none() || wrong || look.begins_line(at) || is_reserved(word);
    if !ends || !(look.expects_rule(rule) || wrong || look.token(at).is_none()) {
        return None;
    }
    let gap = look.gap(at);
    Some(
        SyntaxError::new("E105", look.span(open), format!("this `{opening}` is never closed"))
            .label(format!("its `{closing}` is missing"))
            .also(gap, format!("expected `{closing}` here"))
            .guess(format!("add `{closing}`"), gap, closing),
    )
}

/// A word that is nearly one that would fit.
fn misspelt(look: &Look<'_>) -> Option<SyntaxError> {
    let at = look.found;
    if look.kind(at) != Some(Kind::Word) {
        return None;
    }
    let word = look.word(at);
    let mut candidates: Vec<&'static str> = Vec::new();
    if look.expects(is_clause) {
        candidates.extend(CLAUSES);
        candidates.extend(["unverified", "do"]);
    }
    if look.expects_rule(Rule::do_word) {
        candidates.push("do");
    }
    for (rule, words) in FITTING {
        if look.expects_rule(*rule) {
            candidates.extend(*words);
        }
    }
    let near = nearest(word, &candidates)?;
    let span = look.span(at);
    Some(SyntaxError::new("E102", span, format!("`{word}` does not fit here")).label(format!("did you mean `{near}`?")).fix(
        format!("write `{near}`"),
        span,
        near,
    ))
}

/// A word alone where a step begins.
fn lone_word(look: &Look<'_>) -> Option<SyntaxError> {
    let at = look.lone_word()?;
    let word = look.word(at);
    let span = look.span(at);
    if word == "as" {
        return Some(
            SyntaxError::new("E104", span, "a name is missing behind `as`")
                .label("expected a name behind this")
                .help("write `as ticket`, and use `ticket.id` further on"),
        );
    }
    if matches!(word, "effect" | "emits" | "at" | "refused" | "sign" | "confirm" | "none" | "query")
        && look.place == Rule::only_steps
    {
        return Some(
            SyntaxError::new("E102", span, "an operation begins with its request")
                .label("expected a request before this")
                .help("write for example `POST \"/path\" json { … }` first; without a request an operation consists of steps"),
        );
    }
    let error = SyntaxError::new("E102", span, format!("`{word}` is no step"));
    if let Some(near) = step_word(word) {
        return Some(error.label(format!("did you mean `{near}`?")).fix(format!("write `{near}`"), span, near));
    }
    (look.place_is_flow() && !is_reserved(word)).then(|| {
        error
            .label("expected a step here")
            .help("a step is a call such as `slack.post_message(text: \"…\")`, or begins with `let`, `if`, `match`, `for`, `wait` or `stop`")
    })
}

/// The words that a rule begins with, for spelling.
const FITTING: &[(Rule, &[&str])] = &[
    (Rule::when, &["when"]),
    (Rule::every, &["every"]),
    (Rule::w_times, &["times"]),
    (Rule::w_within, &["within"]),
    (Rule::w_most, &["most"]),
    (Rule::w_running, &["running"]),
    (Rule::w_gaps, &["gaps"]),
    (Rule::w_change, &["change"]),
    (Rule::w_error, &["error"]),
    (Rule::w_per, &["per"]),
    (Rule::per, &["per"]),
    (Rule::because, &["because"]),
    (Rule::otherwise, &["otherwise"]),
    (Rule::retry, &["retry"]),
    (Rule::is_word, &["present", "missing", "empty"]),
    (Rule::given, &["given", "after", "expect"]),
    (Rule::after, &["given", "after", "expect"]),
    (Rule::expect_line, &["given", "after", "expect"]),
    (Rule::w_with, &["with"]),
    (Rule::infix, &["contains", "matches", "starts with", "ends with"]),
    (
        Rule::record,
        &[
            "docs",
            "secret",
            "setting",
            "base",
            "auth",
            "header",
            "limit",
            "quota",
            "retry",
            "broken",
            "error",
            "record",
            "source",
            "trigger",
            "state",
            "query",
            "action",
            "resolver",
            "exponents",
        ],
    ),
    (
        Rule::items,
        &[
            "webhook", "register", "poll", "items", "pages", "cursor", "order", "seen", "history", "first", "type", "id", "at",
            "object", "field", "refuse", "codes",
        ],
    ),
    (
        Rule::effect,
        &["at", "none", "first", "refused", "effect", "sign", "confirm", "emits", "retry", "query", "json", "form", "header"],
    ),
    (Rule::effect_word, &["read", "set", "keyed", "findable", "once"]),
    (Rule::method, &["GET", "POST", "PUT", "PATCH", "DELETE"]),
];
