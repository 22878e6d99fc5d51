//! Forms that are close to one of Flow's: the form to write is given in the words that were written.

use super::look::{Look, is_reserved};
use super::token::{Kind, tokens};
use crate::error::{Fix, SyntaxError};
use crate::grammar::Rule;
use crate::span::Span;

/// Returns the first that fits the place where the parser stopped.
pub(super) fn find(look: &Look<'_>) -> Option<SyntaxError> {
    head(look)
        .or_else(|| trigger(look))
        .or_else(|| dashed(look))
        .or_else(|| negated(look))
        .or_else(|| capitals(look))
        .or_else(|| choice(look))
        .or_else(|| range(look))
        .or_else(|| at_least(look))
        .or_else(|| pattern(look))
        .or_else(|| conditions(look))
        .or_else(|| value(look))
        .or_else(|| call(look))
        .or_else(|| arms(look))
        .or_else(|| connector(look))
}

fn wrong(span: Span, message: &str, form: &str) -> SyntaxError {
    SyntaxError::new("E108", span, message).label("not a form of Flow").help(format!("write `{form}`"))
}

/// One replacement, with the form as its title.
fn instead(span: Span, whole: Span, message: &str, form: &str) -> SyntaxError {
    wrong(span, message, form).fix(format!("write `{form}`"), whole, form)
}

/// The left side of what stands at `at`.
fn left<'s>(look: &Look<'s>, at: usize) -> Option<(Span, &'s str)> {
    look.value_before(at).map(|span| (span, span.text(look.source)))
}

/// `flow big-charge`, `flow "Big charge"`, `flow big {`.
fn head(look: &Look<'_>) -> Option<SyntaxError> {
    if look.place != Rule::only_items || look.word(0) != "flow" || look.found > 4 || is_reserved(look.word(1)) {
        return None;
    }
    let start = (1..look.tokens.len().min(12)).find(|at| matches!(look.word(*at), "when" | "every" | "{" | ":"))?;
    let (first, last) = (look.span(1), look.span(start.checked_sub(1)?));
    if start < 2 {
        return None;
    }
    let written = first.to(last);
    let text = written.text(look.source);
    if matches!(look.word(start), "{" | ":") && start == 2 {
        let sign = look.span(start);
        let mut error = SyntaxError::new("E108", sign, format!("no `{}` stands behind the name of a flow", look.word(start)))
            .label("the flow begins with `when` or `every`")
            .help(format!("write `flow {text}` and then `when …`; only what stands behind `do` is in braces"));
        let mut edits = vec![(sign, String::new())];
        if look.word(start) == "{" {
            let last = look.tokens.len().checked_sub(1)?;
            if look.word(last) != "}" || look.open_bracket(last) != Some(start) {
                return Some(error);
            }
            edits.push((look.span(last), String::new()));
        }
        error.fixes.push(Fix { title: format!("remove the `{}`", look.word(start)), edits, safe: true });
        return Some(error);
    }
    if start == 2 && look.kind(1) == Some(Kind::Word) || text.contains('\n') {
        return None;
    }
    let lower = text.trim_matches(['"', '\'']).to_lowercase();
    let mut name: String = lower.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    name = name.split('_').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("_");
    if name.is_empty() {
        return None;
    }
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name = format!("flow_{name}");
    }
    let title = text.trim_matches(['"', '\'']);
    let form = if look.kind(1) == Some(Kind::Text) && start == 2 { format!("{name} \"{title}\"") } else { name };
    Some(
        SyntaxError::new("E102", written, "the name of a flow is one word: small letters, digits and `_`")
            .label("not a name")
            .help(format!("write `flow {form}`"))
            .fix(format!("write `flow {form}`"), written, form),
    )
}

/// `when "stripe.charge_failed"`.
fn trigger(look: &Look<'_>) -> Option<SyntaxError> {
    let at = look.found;
    let inner = look.word(at).strip_prefix(['"', '\''])?.strip_suffix(['"', '\''])?;
    let path = inner.contains('.') && inner.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'));
    if !matches!(look.word_before(at, 1), "when" | "do" | "then" | "for" | "or") || !path {
        return None;
    }
    let span = look.span(at);
    Some(
        SyntaxError::new("E108", span, "triggers and actions stand without quotes")
            .label("this is a text")
            .help(format!("write `{inner}`"))
            .fix("remove the quotes", span, inner),
    )
}

/// `stripe.charge-failed`.
fn dashed(look: &Look<'_>) -> Option<SyntaxError> {
    let at = (look.found.saturating_sub(1)..=look.found).find(|at| look.word(*at) == "-")?;
    let joins = |at: usize| {
        look.word(at) == "-" && look.adjacent(at) && look.kind(at + 1) == Some(Kind::Word) && !is_reserved(look.word(at + 1))
    };
    if at < 3 || !joins(at) || !look.adjacent(at - 1) || look.kind(at - 1) != Some(Kind::Word) || look.in_condition(at) {
        return None;
    }
    let mut first = at - 1;
    while first >= 2 && look.word(first - 1) == "." && look.kind(first - 2) == Some(Kind::Word) {
        first -= 2;
    }
    let mut last = at + 1;
    while joins(last + 1) || look.word(last + 1) == "." && look.kind(last + 2) == Some(Kind::Word) {
        last += 2;
    }
    if first + 1 == at
        || !matches!(look.word_before(first, 1), "when" | "or" | "do" | "then" | "{" | "}" | ")" | "=" | "=>" | "no")
    {
        return None;
    }
    let span = look.span(first).to(look.span(last));
    let form = span.text(look.source).replace('-', "_");
    Some(
        SyntaxError::new("E102", span, "names have no `-`: words are joined by `_`")
            .label("`-` subtracts")
            .help(format!("write `{form}`"))
            .fix(format!("write `{form}`"), span, form),
    )
}

/// `x not contains y`, `x does not contain y`, `x isn't y`.
fn negated(look: &Look<'_>) -> Option<SyntaxError> {
    let at = look.found;
    let (value, text) = left(look, at)?;
    let short = look.source.get(look.span(at).end as usize..).unwrap_or("");
    let apostrophe = short.strip_prefix(['\'', '’']).and_then(|rest| rest.strip_prefix('t')).is_some();
    let mut next = at;
    match look.word(at) {
        "isn" | "aren" | "isnt" if apostrophe || look.word(at) == "isnt" => {
            let behind = short.chars().next().filter(|_| apostrophe).map_or(0, |c| c.len_utf8() + 1);
            let end = look.span(at).end + u32::try_from(behind).unwrap_or(0);
            let span = Span { start: look.span(at).start, end };
            return Some(
                wrong(
                    span,
                    "this comparison is written `is not`",
                    &format!("{text} is not {}", next_word(look.source, span.end)),
                )
                .fix("replace it by `is not`", span, "is not"),
            );
        }
        "doesn" | "don" if apostrophe => {
            let span = Span { start: look.span(at).start, end: look.span(at).end };
            return Some(wrong(span, "a condition is turned round by `not` before it", &format!("not ({text} contains \"…\")")));
        }
        "does" | "do" if look.word(at + 1) == "not" => next += 2,
        "doesnt" => next += 1,
        "not" => next += 1,
        _ => return None,
    }
    let (operator, mut right) = match look.word(next) {
        "contain" | "contains" | "include" | "includes" | "have" | "has" => ("contains", next + 1),
        "match" | "matches" => ("matches", next + 1),
        "start" | "starts" => ("starts with", next + 1),
        "end" | "ends" => ("ends with", next + 1),
        "equal" | "equals" => ("is", next + 1),
        "exist" | "exists" => ("is present", next + 1),
        _ => return None,
    };
    if matches!(look.word(right), "with" | "to") {
        right += 1;
    }
    let span = look.span(at).to(look.span(right - 1));
    if operator == "is present" {
        return Some(instead(span, span, "whether there is a value is asked with `is missing`", "is missing"));
    }
    let message = "a condition is turned round by `not` before it";
    match look.value_at(right) {
        Some(right) => {
            let form = format!("not ({text} {operator} {})", right.text(look.source));
            Some(instead(span, value.to(right), message, &form))
        }
        None => Some(wrong(span, message, &format!("not ({text} {operator} …)"))),
    }
}

/// The first token behind a place.
fn next_word(source: &str, at: u32) -> &str {
    let rest = source.get(at as usize..).unwrap_or("");
    let len = rest.find('\n').unwrap_or(rest.len());
    let range = Span { start: at, end: at + u32::try_from(len).unwrap_or(0) };
    tokens(source, range).first().map_or("…", |token| token.text)
}

/// `AND`, `OR`, `NOT`.
fn capitals(look: &Look<'_>) -> Option<SyntaxError> {
    let at = if matches!(look.word_before(look.found, 1), "NOT" | "AND" | "OR") { look.found - 1 } else { look.found };
    let with = match look.word(at) {
        "AND" | "And" => "and",
        "OR" | "Or" => "or",
        "NOT" => "not",
        "IN" => "in",
        "IS" => "is",
        "WHERE" | "Where" => "where",
        "DO" | "Do" => "do",
        "THEN" | "Then" => "then",
        "ELSE" | "Else" => "else",
        _ => return None,
    };
    if look.word(at + 1) == "." || look.word_before(at, 1) == "." {
        return None;
    }
    let span = look.span(at);
    Some(
        SyntaxError::new("E108", span, format!("`{}` is written in small letters", look.word(at)))
            .label(format!("did you mean `{with}`?"))
            .help(format!("write `{with}`"))
            .fix(format!("write `{with}`"), span, with),
    )
}

/// `x in "a", "b"`, `x any of "a", "b"`.
fn choice(look: &Look<'_>) -> Option<SyntaxError> {
    let at = look.found;
    let (operator, first) = if matches!(look.word(at), "any" | "one") && look.word(at + 1) == "of" {
        (at, at + 2)
    } else if look.word_before(at, 1) == "is" && look.word(at) == "in" {
        (at - 1, at + 1)
    } else if look.word(at) == "of" && look.word_before(at, 2) == "is" && matches!(look.word_before(at, 1), "any" | "one") {
        (at - 2, at + 1)
    } else if look.word(at) == "," && look.word_before(at, 2) == "in" && look.in_condition(at) && look.open_bracket(at).is_none()
    {
        (at - 2, at - 1)
    } else {
        return None;
    };
    let from = if look.word_before(operator, 1) == "not" { operator - 1 } else { operator };
    let (_, text) = left(look, from)?;
    let span = look.span(from).to(look.span(if first > at { first - 1 } else { at }));
    let message = "one of several values is asked for with `in` and a list";
    if look.word(first) == "[" {
        let rest = look.source.get(look.span(first).start as usize..).unwrap_or("");
        let list = rest.find([']', '\n']).and_then(|end| rest.get(..=end)).filter(|list| list.ends_with(']'));
        let form = format!("{text} in {}", list.unwrap_or("[\"a\", \"b\"]"));
        return Some(wrong(span, message, &form).fix("replace it by `in`", span, "in"));
    }
    let mut last = first;
    let mut values = Vec::new();
    while let Some(value) = look.value_at(last) {
        values.push(value.text(look.source));
        let end = look.tokens.iter().position(|token| token.span.end == value.end)?;
        last = end + 1;
        let joined = matches!(look.word(last), "," | "or") && look.kind(last + 1).is_some_and(|kind| kind != Kind::Word);
        if !joined {
            break;
        }
        last += 1;
    }
    if values.is_empty() {
        return Some(wrong(span, message, &format!("{text} in [\"a\", \"b\"]")));
    }
    let not = if from < operator { "not " } else { "" };
    let list = format!("{not}in [{}]", values.join(", "));
    let whole = look.span(from).to(look.span(last.checked_sub(1)?));
    Some(wrong(span, message, &format!("{text} {list}")).fix(format!("write `{list}`"), whole, list))
}

/// `in 1 to 5`, `in 1...5`.
fn range(look: &Look<'_>) -> Option<SyntaxError> {
    let at = look.found;
    let dots = look.word(at) == "...";
    let to = matches!(look.word(at), "to" | "until" | "-")
        && look.last_of(at, &["in", "where", "if"]).is_some_and(|i| look.word(i) == "in" && at - i <= 4);
    if !dots && !to {
        return None;
    }
    let low = look.value_before(at)?;
    let high = look.value_at(at + 1)?;
    let form = format!("{}..{}", low.text(look.source), high.text(look.source));
    Some(instead(look.span(at), low.to(high), "a range is written with `..`", &form))
}

/// `x at least 5`, `at least 5 times within 1 hour`.
fn at_least(look: &Look<'_>) -> Option<SyntaxError> {
    let at = look.found;
    if look.word(at) != "least" || look.word_before(at, 1) != "at" {
        return None;
    }
    let span = look.span(at - 1).to(look.span(at));
    if look.word(at + 2) == "times" || !look.in_condition(at) {
        let number = look.word(at + 1);
        let whole = Span { start: span.start, end: look.span(at + 1).start };
        let error = SyntaxError::new("E108", span, "events are counted from a number on without `at least`")
            .label("this is meant anyway")
            .help(format!("write `{number} times within 1 hour`"));
        return Some(if look.word(at + 2) == "times" { error.fix("remove it", whole, "") } else { error });
    }
    let (_, text) = left(look, at - 1)?;
    let right = look.value_at(at + 1).map_or("…", |span| span.text(look.source));
    Some(wrong(span, "\"at least\" is written `>=`", &format!("{text} >= {right}")).fix("replace it by `>=`", span, ">="))
}

/// `match /x/`, `starts "a"`.
fn pattern(look: &Look<'_>) -> Option<SyntaxError> {
    let at = look.found;
    let word = look.word(at);
    if matches!(word, "starts" | "ends" | "start" | "end" | "begins") && look.word(at + 1) != "." {
        let (_, text) = left(look, at)?;
        let verb = if word.starts_with('e') { "ends with" } else { "starts with" };
        let last = if look.word(at + 1) == "with" { at + 1 } else { at };
        let right = look.value_at(last + 1)?;
        let span = look.span(at).to(look.span(last));
        let form = format!("{text} {verb} {}", right.text(look.source));
        return Some(wrong(span, &format!("this comparison is written `{verb}`"), &form).fix(
            format!("write `{verb}`"),
            span,
            verb,
        ));
    }
    let operator = if matches!(word, "match" | "regex" | "matching") {
        at
    } else if word == "/" && matches!(look.word_before(at, 1), "matches" | "=~") {
        at - 1
    } else {
        return None;
    };
    let (_, text) = left(look, operator)?;
    let first = look.span(operator + 1);
    let start = look.span(operator).start;
    if look.kind(operator + 1) == Some(Kind::Text) {
        let span = look.span(operator);
        let form = format!("{text} matches {}", first.text(look.source));
        return Some(wrong(span, "a test against a pattern is written `matches`", &form).fix("write `matches`", span, "matches"));
    }
    let rest = look.source.get(first.start as usize..)?.strip_prefix('/')?;
    let line = rest.get(..rest.find('\n').unwrap_or(rest.len()))?;
    let len = line.find('/')?;
    let inner = line.get(..len)?;
    let end = first.start as usize + len + 2;
    let form = format!("matches \"{}\"", inner.replace('"', "\\\""));
    let whole = Span::new(start as usize, end);
    Some(wrong(whole, "a pattern stands in double quotes behind `matches`", &format!("{text} {form}")).fix(
        format!("write `{form}`"),
        whole,
        form,
    ))
}

/// `where a, b`.
fn conditions(look: &Look<'_>) -> Option<SyntaxError> {
    let at = look.found;
    if look.word(at) != "," || !look.in_condition(at) || look.open_bracket(at).is_some_and(|open| look.word(open) != "{") {
        return None;
    }
    let span = look.span(at);
    let whole = Span { start: look.gap(at).start, end: span.end };
    let lone = matches!(look.kind(at + 1), Some(Kind::Text | Kind::Number))
        && matches!(look.word(at + 2), "do" | "," | "and" | "or" | "within" | "per" | "");
    let operator = at.checked_sub(2).map_or("", |i| look.word(i));
    if lone && let Some((_, subject)) = left(look, at.saturating_sub(2)).filter(|_| matches!(operator, "contains" | "is")) {
        let (one, two) = (look.word(at - 1), look.word(at + 1));
        return Some(
            SyntaxError::new("E102", span, "a comparison has one value on its right")
                .label("`,` joins no values here")
                .help(format!("write `{subject} {operator} {one} or {subject} {operator} {two}`")),
        );
    }
    Some(
        SyntaxError::new("E102", span, "conditions are joined by `and` or `or`")
            .label("`,` joins no conditions")
            .help("write `and` where all must hold, `or` where one is enough")
            .guess("replace it by `and`", whole, " and")
            .guess("replace it by `or`", whole, " or"),
    )
}

/// `f"…"`, `x default "y"`, `name: Charge failed`.
fn value(look: &Look<'_>) -> Option<SyntaxError> {
    let at = look.found;
    let before = look.word_before(at, 1);
    if look.kind(at) == Some(Kind::Text)
        && at > 0
        && look.adjacent(at - 1)
        && matches!(before, "f" | "r" | "b" | "u" | "s" | "$" | "F")
    {
        let prefix = look.span(at - 1);
        return Some(
            SyntaxError::new(
                "E108",
                prefix,
                format!("no `{before}` stands before a text: values in `{{…}}` are filled in anyway"),
            )
            .label("from another language")
            .help(format!("write `{}`", super::top::short(look.word(at))))
            .fix(format!("remove `{before}`"), prefix, ""),
        );
    }
    if matches!(look.word(at), "default" | "fallback" | "otherwise") && !look.expects_rule(Rule::otherwise) {
        let (_, text) = left(look, at)?;
        let right = look.value_at(at + 1)?.text(look.source);
        let span = look.span(at);
        let form = format!("{text} else {right}");
        return Some(wrong(span, "a default is given with `else`", &form).fix("replace it by `else`", span, "else"));
    }
    // Key and colon are kept where they do not fit.
    if look.word(at + 1) == ":" && look.kind(at) == Some(Kind::Text) && look.word(at).starts_with('\'') {
        let key = look.word(at).trim_matches('\'');
        return Some(instead(look.span(at), look.span(at), "a key stands in double quotes, or in none", &format!("\"{key}\"")));
    }
    let open = (0..at.min(look.tokens.len())).rev().find(|i| look.word(*i) == "(")?;
    if look.open_bracket(at) != Some(open) || look.word(at + 1) == ":" {
        return None;
    }
    let colon = (open..at).rev().find(|i| look.word(*i) == ":")?;
    let end = (at..look.tokens.len()).find(|i| matches!(look.word(*i), ")" | "," | "]"))?;
    let plain = |i: usize| look.kind(i) == Some(Kind::Word) && !look.word(i).starts_with('`');
    let words = (colon + 1..end).all(|i| plain(i) || matches!(look.word(i), "{" | "}" | "."));
    let begins = plain(colon + 1) && (plain(colon + 2) || look.word(colon + 2) == "{");
    (at > colon + 1 && words && begins).then_some(())?;
    let span = look.span(colon + 1).to(look.span(end - 1));
    let text = span.text(look.source);
    if text.contains('\n') {
        return None;
    }
    let form = format!("\"{text}\"");
    Some(
        SyntaxError::new("E102", span, "a text stands in double quotes")
            .label("without quotes a word names a value")
            .help(format!("write `{form}`"))
            .guess(format!("write `{form}`"), span, form),
    )
}

/// `slack.post text: "x"`, `on failure`.
fn call(look: &Look<'_>) -> Option<SyntaxError> {
    let at = look.found;
    if matches!(look.word(at), "failure" | "fail" | "failed" | "errors" | "exception" | "fault")
        && look.word_before(at, 1) == "on"
        || look.word(at) == "on" && matches!(look.word(at + 1), "failure" | "fail" | "errors" | "exception")
    {
        let at = if look.word(at) == "on" { at + 1 } else { at };
        let span = look.span(at);
        return Some(wrong(span, "what happens on a failure stands behind `on error`", "on error { … }").fix(
            "replace it by `error`",
            span,
            "error",
        ));
    }
    let name = (at.saturating_sub(1)..=at).find(|i| look.kind(*i) == Some(Kind::Word) && look.word(i + 1) == ":")?;
    if look.place == Rule::only_arms && matches!(look.word(name), "_" | "default" | "else" | "otherwise") {
        let span = look.span(name).to(look.span(name + 1));
        return Some(instead(span, span, "the arm for all other values is written `else =>`", "else =>"));
    }
    let (action, text) = left(look, name)?;
    if !text.contains('.') || !look.place_is_flow() || look.open_bracket(name).is_some_and(|open| look.word(open) != "{") {
        return None;
    }
    let ends =
        |i: usize| matches!(look.word(i), "then" | "}" | "as" | "retry" | "on") || look.begins_line(i) && look.word(i + 1) != ":";
    let end = (name..look.tokens.len()).find(|i| ends(*i)).unwrap_or(look.tokens.len());
    let inputs = look.span(name).to(look.span(end - 1));
    let form = format!("{text}({})", inputs.text(look.source));
    let mut error = SyntaxError::new("E102", look.span(name), "the inputs of an action stand in parentheses")
        .label("expected `(` before this")
        .help(format!("write `{form}`"));
    error.fixes.push(Fix {
        title: "add the parentheses".to_owned(),
        edits: vec![(Span { start: action.end, end: inputs.start }, "(".to_owned()), (inputs.after(), ")".to_owned())],
        safe: look.place != Rule::only_arms,
    });
    Some(error)
}

/// `"a" or "b" =>`.
fn arms(look: &Look<'_>) -> Option<SyntaxError> {
    let at = look.found;
    if !look.expects_rule(Rule::arrow) || !matches!(look.word(at), "or" | "," | "and" | "||") {
        return None;
    }
    let (_, text) = left(look, at)?;
    let right = look.value_at(at + 1)?.text(look.source);
    let span = look.span(at);
    let whole = Span { start: look.gap(at).start, end: span.end };
    Some(wrong(span, "the values of one arm are separated by `|`", &format!("{text} | {right} => …")).fix(
        "replace it by `|`",
        whole,
        " |",
    ))
}

/// `note?: text`, `limit 100/minute`.
fn connector(look: &Look<'_>) -> Option<SyntaxError> {
    let at = look.found;
    let span = look.span(at);
    if look.word(at) == "?:" && look.kind(at + 1) == Some(Kind::Word) && !look.place_is_flow() {
        let (name, kind) = (look.word_before(at, 1), look.word(at + 1));
        let form = format!("{name}: {kind}?");
        let simple = !matches!(look.word(at + 2), "<" | "?" | "|" | ".");
        let mut error = wrong(span, "what can be missing has its `?` behind the type", &form);
        if simple {
            error.fixes.push(Fix {
                title: format!("write `{form}`"),
                edits: vec![(span, ":".to_owned()), (look.span(at + 1).after(), "?".to_owned())],
                safe: true,
            });
        }
        return Some(error);
    }
    let per = look.word(at) == "/" && look.expects(|rule| matches!(rule, Rule::per | Rule::w_per));
    if per && look.kind(at + 1) == Some(Kind::Word) {
        let (before, behind) = (look.word_before(at, 1), look.span(at + 1));
        let unit = match behind.text(look.source) {
            "s" | "sec" => "second",
            "m" | "min" => "minute",
            "h" | "hr" => "hour",
            unit => unit,
        };
        let whole = Span { start: look.gap(at).start, end: behind.end };
        return Some(
            wrong(span, "a limit says with `per` for what time and for whom it is", &format!("{before} per {unit}")).fix(
                format!("write `per {unit}`"),
                whole,
                format!(" per {unit}"),
            ),
        );
    }
    None
}
