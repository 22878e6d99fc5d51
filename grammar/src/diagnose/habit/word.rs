//! Words of other languages.

use super::super::look::Look;
use super::super::similar::nearest;
use super::super::token::Kind;
use super::{first_line, habit};
use crate::error::SyntaxError;
use crate::grammar::Rule;
use crate::span::Span;

/// Comparisons in words: `is greater than`, `equals`, `is one of`.
pub(super) fn comparison_words(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    const AFTER_IS: [(&[&str], &str); 25] = [
        (&["greater", "than", "or", "equal", "to"], ">="),
        (&["less", "than", "or", "equal", "to"], "<="),
        (&["greater", "or", "equal", "to"], ">="),
        (&["less", "or", "equal", "to"], "<="),
        (&["greater", "than"], ">"),
        (&["bigger", "than"], ">"),
        (&["larger", "than"], ">"),
        (&["higher", "than"], ">"),
        (&["more", "than"], ">"),
        (&["less", "than"], "<"),
        (&["smaller", "than"], "<"),
        (&["lower", "than"], "<"),
        (&["fewer", "than"], "<"),
        (&["at", "least"], ">="),
        (&["at", "most"], "<="),
        (&["not", "equal", "to"], "is not"),
        (&["equal", "to"], "is"),
        (&["not", "one", "of"], "not in"),
        (&["not", "in"], "not in"),
        (&["one", "of"], "in"),
        (&["any", "of"], "in"),
        (&["above"], ">"),
        (&["over"], ">"),
        (&["below"], "<"),
        (&["in"], "in"),
    ];
    const ALONE: [(&[&str], &str); 13] = [
        (&["equals"], "is"),
        (&["equal", "to"], "is"),
        (&["eq"], "is"),
        (&["ne"], "is not"),
        (&["gt"], ">"),
        (&["gte"], ">="),
        (&["lt"], "<"),
        (&["lte"], "<="),
        (&["greater", "than"], ">"),
        (&["more", "than"], ">"),
        (&["less", "than"], "<"),
        (&["includes"], "contains"),
        (&["isnt"], "is not"),
    ];
    let after_is = look.word(at) == "is";
    if !after_is && at != look.found {
        return None;
    }
    let first = if after_is { at + 1 } else { at };
    let forms: &[(&[&str], &str)] = if after_is { &AFTER_IS } else { &ALONE };
    let fits = |words: &[&str]| words.iter().enumerate().all(|(i, word)| look.word(first + i) == *word);
    let (words, with) = forms.iter().find(|(words, _)| fits(words)).copied()?;
    let last = first + words.len() - 1;
    // `status is above` compares with a name, and is read: only what cannot go on is a habit.
    if last + 1 < look.found || look.value_before(at).is_none() {
        return None;
    }
    let span = look.span(at).to(look.span(last));
    let left = look.value_before(at).map_or("a", |span| span.text(look.source));
    let mut right = look.value_at(last + 1).map_or("b", |span| span.text(look.source)).to_owned();
    if with.ends_with("in") && !right.starts_with('[') {
        right = "[\"a\", \"b\"]".to_owned();
    }
    Some(
        SyntaxError::new("E108", span, format!("this comparison is written `{with}`"))
            .label(format!("`{}` is not an operator", span.text(look.source)))
            .help(format!("write `{left} {with} {right}`"))
            .fix(format!("replace it by `{with}`"), span, with),
    )
}

/// Words that other languages use for what Flow says otherwise.
pub(super) fn word(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    if look.kind(at) != Some(Kind::Word) || look.word(at + 1) == "." || look.word_before(at, 1) == "." {
        return None;
    }
    let span = look.span(at);
    let written = look.word(at);
    let error = |message: &str, help: &str| Some(habit(look, span, message.to_owned()).help(help));
    let replace = |message: &str, with: &str| {
        Some(habit(look, span, message.to_owned()).help(format!("write `{with}`")).fix(
            format!("replace `{written}` by `{with}`"),
            span,
            with,
        ))
    };
    // What may be a name as well is a habit only where the parser stopped right there or right behind.
    let near = at + 1 >= look.found;
    let step = look.place_is_flow() && look.lone_word() == Some(at);
    match written {
        "elif" | "elsif" | "elseif" => replace("another branch begins with `else if`", "else if"),
        "await" | "async" if near => {
            let end = look.span(at + 1).start.max(span.end);
            Some(
                habit(look, span, "every step is waited for: nothing has to be awaited".to_owned())
                    .help(format!("leave `{written}` out"))
                    .fix(format!("remove `{written}`"), Span { start: span.start, end }, ""),
            )
        }
        "like" | "ilike" if near => Some(like(look, at)),
        "between" if at == look.found => {
            let low = look.value_at(at + 1);
            let and = low.and_then(|_| (at + 1..look.tokens.len()).find(|i| look.word(*i) == "and"));
            let high = and.and_then(|and| look.value_at(and + 1));
            let left = look.value_before(at).map_or("a", |span| span.text(look.source));
            let form = match (low, high) {
                (Some(low), Some(high)) => format!("{left} in {}..{}", low.text(look.source), high.text(look.source)),
                _ => format!("{left} in 1..10"),
            };
            error("a range is written `in a..b`", &format!("write `{form}`"))
        }
        "exists" if at == look.found => replace("whether there is a value is asked with `is present`", "is present"),
        "choose" | "switch" | "case" if step => error(
            "choices are written with `match`",
            "write `match value { \"a\" => step  else => step }`, or `if … { … } else { … }`",
        ),
        "function" | "def" | "fn" | "func" | "lambda" | "proc" if near => error(
            "flows have no functions of their own",
            "name values with `let`, repeat with `for x in list { … }`, and put shared steps into an action of a connector",
        ),
        "foreach" if near => replace("a loop is written `for x in list { … }`", "for"),
        "each" if look.word_before(at, 1) == "for" => {
            Some(habit(look, span, "a loop is written `for x in list { … }`".to_owned()).help("leave `each` out").fix(
                "remove `each`",
                Span { start: look.span(at - 1).end, end: span.end },
                "",
            ))
        }
        "of" if look.word_before(at, 2) == "for" => replace("a loop goes over `in`", "in"),
        "while" | "loop" | "repeat" | "until" if step => error(
            "there are no open loops: a flow always comes to an end",
            "go over a list with `for x in list up to 20 { … }`, or wait with `wait for … up to 3 days`",
        ),
        "var" | "const" | "val" | "local" | "dim" | "set" if step => replace("a value is named with `let`", "let"),
        "mut" if look.word_before(at, 1) == "let" => {
            error("values do not change", "leave `mut` out; name a new value with another `let`")
        }
        "exit" | "abort" | "halt" | "break" | "quit" | "continue" if step => {
            replace("a run is ended with `stop`, or `stop because \"…\"`", "stop")
        }
        "sleep" | "delay" | "pause" if step => replace("a pause is written `wait`, with a unit", "wait"),
        "try" | "catch" | "except" | "rescue" | "finally" if step => error(
            "what happens on a failure is said behind the call",
            "write `service.action(…) on error { … }`, or `on error { … }` behind the braces of `do`",
        ),
        "throw" | "raise" if step => replace("a run is ended with a reason by `stop because \"…\"`", "stop because"),
        "print" | "echo" | "printf" | "log" if step && look.word(at + 1) != "(" => error(
            "a line in the log of flowd is written with `log`",
            "write `log(\"…\")`; what a step does is said by `##` before it",
        ),
        "end" | "endif" | "fi" | "done" | "endfor" | "esac" if step => {
            error("blocks end with `}`", "write `}` in its place, with `{` where the block begins")
        }
        "unless" if at == look.found && !look.expects_rule(Rule::refused_word) => {
            error("a negative condition is written with `not`", "write `where not (…)` or `if not (…) { … }`")
        }
        "filter" | "having" if at == look.found && look.expects_rule(Rule::where_clause) => {
            replace("a condition begins with `where`", "where")
        }
        "import" | "use" | "include" | "using" | "from" if look.place == Rule::only_items && at == 0 && look.found <= 1 => error(
            "nothing has to be imported",
            "connections are named in flow.toml and used by their names, as in `stripe.charge_failed`",
        ),
        _ => None,
    }
}

fn like(look: &Look<'_>, at: usize) -> SyntaxError {
    let span = look.span(at);
    let error = habit(look, span, "there is no `like`".to_owned());
    let left = look.value_before(at).map_or("name", |span| span.text(look.source));
    let Some(text) = look.token(at + 1).filter(|token| token.kind == Kind::Text) else {
        return error.help("write `contains`, `starts with`, `ends with` or `matches`");
    };
    let inner = text.text.trim_matches(['"', '\'']);
    let (operator, inner) = match (inner.strip_prefix('%'), inner.strip_suffix('%')) {
        (Some(_), Some(_)) => ("contains", inner.trim_matches('%')),
        (Some(end), None) => ("ends with", end),
        (None, Some(start)) => ("starts with", start),
        (None, None) => ("is", inner),
    };
    let whole = span.to(text.span);
    error.help(format!("write `{left} {operator} \"{inner}\"`")).fix(
        format!("write `{operator} \"{inner}\"`"),
        whole,
        format!("{operator} \"{inner}\""),
    )
}

/// `when:`, `- service: x`.
pub(super) fn yaml(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    const KEYS: [&str; 12] = ["when", "every", "where", "do", "if", "else", "then", "flow", "match", "for", "wait", "stop"];
    const FOREIGN: [&str; 14] = [
        "trigger",
        "triggers",
        "platform",
        "condition",
        "conditions",
        "action",
        "actions",
        "service",
        "alias",
        "automation",
        "on",
        "steps",
        "name",
        "jobs",
    ];
    let key = look.word(at);
    if look.word(at + 1) == ":" {
        let colon = look.span(at + 1);
        if look.place_is_flow()
            && KEYS.contains(&key)
            && look.open_bracket(at).is_none_or(|open| look.word(open) == "{" && !is_object(look, open))
            && at + 1 >= look.found.saturating_sub(1)
        {
            return Some(
                habit(look, colon, format!("no colon stands behind `{key}`"))
                    .help(format!("write `{key}` and go on; blocks stand in braces, indentation means nothing"))
                    .fix("remove `:`", colon, ""),
            );
        }
        if look.place == Rule::only_items && FOREIGN.contains(&key) && look.begins_line(at) && at + 1 >= look.found {
            return Some(
                habit(look, look.span(at).to(colon), "this is YAML".to_owned())
                    .help("a flow is a sentence: `when service.event where condition do service.action(input: value)`"),
            );
        }
    }
    if key == "-" && look.place == Rule::only_items && at == 0 && look.found == 0 {
        return Some(
            habit(look, look.span(at), "this is a list of YAML".to_owned())
                .help("a flow is a sentence: `when service.event where condition do service.action(input: value)`"),
        );
    }
    if key == "-" && look.begins_line(at) && at + 1 >= look.found && look.kind(at + 1) == Some(Kind::Word) && look.place_is_flow()
    {
        return Some(
            habit(look, look.span(at), "steps are no list: they need no `-`".to_owned())
                .help("leave it out; each step begins with the name of its connection")
                .fix("remove `-`", look.span(at), ""),
        );
    }
    None
}

/// Whether what begins at a brace is a value, and no block.
fn is_object(look: &Look<'_>, open: usize) -> bool {
    look.place == Rule::only_tests || matches!(look.word_before(open, 1), ":" | "," | "(" | "[" | "{" | "=" | "with" | "returns")
}

/// `if x then y`.
pub(super) fn if_then(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    if look.word(at) != "then" || at != look.found || look.place == Rule::only_items {
        return None;
    }
    let start = look.last_of(at, &["if", "then", "{", "}"])?;
    (look.word(start) == "if").then(|| {
        let condition = Span { start: look.span(start + 1).start, end: look.gap(at).end };
        let condition = first_line(condition.text(look.source));
        habit(look, look.span(at), "what follows a condition stands in braces".to_owned())
            .help(format!("write `if {condition} {{ … }}`"))
    })
}

/// Returns what a lone word at the start of a step may have been meant to be.
pub(in super::super) fn step_word(word: &str) -> Option<&'static str> {
    nearest(
        word,
        &["let", "if", "else", "match", "for", "stop", "return", "require", "wait", "retry", "then", "on error", "because"],
    )
}
