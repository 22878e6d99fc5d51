//! Words, signs and braces that are missing, or stand in the wrong place.

use super::expected::{is_clause, is_step};
use super::look::{Look, is_reserved};
use super::shape::{CLAUSES, inserting};
use super::similar::nearest;
use super::token::Kind;
use super::top::short;
use crate::error::{Fix, SyntaxError};
use crate::grammar::Rule;
use crate::span::Span;

/// `every 90 minutes at 9:00`: an interval goes on by itself.
fn interval_at_a_time(look: &Look<'_>) -> Option<SyntaxError> {
    let at = look.found;
    let every = look.last_of(at, &["every", "do"]).filter(|i| look.word(*i) == "every")?;
    // `at` begins a clause as well, so the parser stops behind it; `on` is not expected at all.
    let joint = if look.word(at) == "on" { at } else { at.checked_sub(1)? };
    let last = joint + 1;
    let behind = match look.word(joint) {
        "at" => look.kind(last) == Some(Kind::Time) || matches!(look.word(last), "sunrise" | "sunset"),
        "on" => !matches!(look.word(last), "clock" | "error" | ""),
        _ => false,
    };
    let is_interval = look.word(every + 1).starts_with(|c: char| c.is_ascii_digit());
    if !behind || !is_interval || joint < every + 3 {
        return None;
    }
    let ends = |word: &str| {
        matches!(word, "" | "do" | "in" | "where" | "missed" | "while" | "one" | "once" | "throttle" | "expect" | "across")
    };
    let end = (last..look.tokens.len()).take_while(|at| !ends(look.word(*at))).last().unwrap_or(last);
    let span = look.span(joint).to(look.span(end));
    let length = look.span(every + 1).to(look.span(joint - 1)).text(look.source);
    let said = span.text(look.source);
    let of_day = matches!(length, "1 day" | "24 hours" | "24h" | "1 days");
    let mut error = SyntaxError::new("E604", span, format!("`every {length}` and `{said}`: which of them?"))
        .label("an interval is counted from one start to the next, and has no day or time of its own")
        .help(format!(
            "a time of day is `every day at 09:00`, a day of the week `every monday at 09:00`; for the interval leave `{said}` out"
        ));
    if of_day {
        let length = look.span(every + 1).to(look.span(joint - 1));
        error = error.guess("`every day`", length, "day");
    }
    Some(error.guess(format!("only `every {length}`"), Span { start: look.span(joint - 1).end, end: span.end }, ""))
}

/// Small words that are forgotten or doubled.
pub(super) fn small(look: &Look<'_>) -> Option<SyntaxError> {
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
    if let Some(error) = interval_at_a_time(look) {
        return Some(error);
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
        if let Some(error) = joined_condition(look) {
            return Some(error);
        }
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

/// `when stripe.charge_failed and amount > 100`.
fn joined_condition(look: &Look<'_>) -> Option<SyntaxError> {
    let at = look.found;
    let end = (at..look.tokens.len()).find(|i| matches!(look.word(*i), "do" | "where" | "within" | "per")).unwrap_or(at);
    let compares = (at..end).find(|i| {
        matches!(
            look.word(*i),
            ">" | ">=" | "<" | "<=" | "==" | "!=" | "is" | "in" | "=" | "contains" | "matches" | "starts" | "ends"
        )
    })?;
    let span = look.span(at);
    let whole = Span { start: look.gap(at).start, end: span.end };
    let condition = look.span(at + 1).to(look.span(end - 1)).text(look.source);
    let error = SyntaxError::new("E102", span, "a condition begins with `where`")
        .label("expected `where` here")
        .help(format!("write `where {}`", short(condition)));
    // `and door is open` may be meant as a second trigger.
    let fix = |error: SyntaxError| error.fix("replace it by `where`", whole, " where");
    let guess = |error: SyntaxError| error.guess("replace it by `where`", whole, " where");
    Some(if look.word(compares) == "is" { guess(error) } else { fix(error) })
}

/// Whether a word begins a line of a test.
pub(super) fn begins_test_line(word: &str) -> bool {
    matches!(word, "given" | "after" | "expect")
}

/// A missing comma, or a sign between steps that is none.
pub(super) fn separator(look: &Look<'_>) -> Option<SyntaxError> {
    let at = look.found;
    let span = look.span(at);
    let word = look.word(at);
    let open = look.open_bracket(at).map(|open| look.word(open));
    let begins_value = match look.kind(at) {
        // In a test the next line begins: what is missing is the closing brace.
        Some(Kind::Word) if look.place == Rule::only_tests && begins_test_line(word) && look.word(at + 1) != ":" => false,
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
        ))
        .map(|mut error| {
            // What is no named input may as well be a slip of another kind.
            let literal = matches!(look.kind(at), Some(Kind::Text | Kind::Number | Kind::Time)) && open == Some("[");
            let certain = literal || look.word(at + 1) == ":";
            error.fixes.iter_mut().for_each(|fix| fix.safe &= certain);
            error
        });
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

pub(super) fn missing_do(look: &Look<'_>) -> Option<SyntaxError> {
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
                .help("add what is to be done, for example `do kustomer.create_conversation(name: \"…\")`"),
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
pub(super) fn late_clause(look: &Look<'_>) -> Option<SyntaxError> {
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
    if !clause || look.expects(is_clause) || !look.place_is_flow() || look.place == Rule::only_tests {
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
pub(super) fn missing_braces(look: &Look<'_>) -> Option<SyntaxError> {
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
