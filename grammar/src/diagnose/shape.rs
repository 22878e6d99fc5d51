//! Mistakes that show in the shape of the text around the place where the parser stopped.

use super::amount::amount;
use super::expected::{is_clause, is_value, phrase};
use super::habit::step_word;
use super::look::{Look, is_reserved};
use super::missing::{begins_test_line, late_clause, missing_braces, missing_do, separator, small};
use super::similar::nearest;
use super::token::Kind;
use super::top::short;
use crate::error::{Fix, SyntaxError};
use crate::grammar::Rule;
use crate::span::Span;

/// Words that begin a clause.
pub(super) const CLAUSES: [&str; 11] =
    ["where", "within", "fresh", "at", "once", "one", "throttle", "while", "missed", "across", "expect"];

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
pub(super) fn inserting(mut error: SyntaxError, look: &Look<'_>, title: &str, text: &str) -> SyntaxError {
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
    let ends = look.token(at).is_none()
        || wrong
        || look.begins_line(at)
        || is_reserved(word)
        || look.place == Rule::only_tests && begins_test_line(word);
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
            .help("a step is a call such as `kustomer.create_conversation(name: \"…\")`, or begins with `let`, `if`, `match`, `for` or `stop`")
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
            "via",
            "header",
            "limit",
            "quota",
            "retry",
            "broken",
            "error",
            "check",
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
            "webhook",
            "register",
            "registered",
            "unregister",
            "update",
            "poll",
            "listen",
            "items",
            "pages",
            "cursor",
            "order",
            "seen",
            "history",
            "first",
            "type",
            "id",
            "at",
            "object",
            "field",
            "refuse",
            "codes",
            "with",
            "otherwise",
        ],
    ),
    (
        Rule::effect,
        &[
            "at", "none", "first", "refused", "refuse", "effect", "sign", "confirm", "emits", "retry", "query", "json", "form",
            "header", "answer", "done", "timeout", "body", "pages", "order", "codes", "only", "since",
        ],
    ),
    (Rule::effect_word, &["read", "set", "keyed", "findable", "once"]),
    (Rule::method, &["GET", "POST", "PUT", "PATCH", "DELETE"]),
];
