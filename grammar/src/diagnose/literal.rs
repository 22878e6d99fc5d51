//! Literals that are read but wrong, and what else only the tree can tell.

use super::{habit::method_form, money};
use crate::error::SyntaxError;
use crate::parse::MAX_HEIGHT;
use crate::span::Span;
use crate::syntax::{Call, NumberLit, TimeLit};

/// Checks the form of a number.
pub(crate) fn number(source: &str, number: &NumberLit) -> Option<SyntaxError> {
    let digits = number.digits.as_str();
    let span = number.span;
    let whole = digits.split_once('.').map_or(digits, |(whole, _)| whole);
    if let Some(error) = money::number(source, span) {
        return error;
    }
    if let Some(error) = date(source, span) {
        return Some(error);
    }
    if whole.len() > 1 && whole.starts_with('0') {
        let form = whole.trim_start_matches('0');
        let form = if form.is_empty() { "0" } else { form };
        return Some(
            SyntaxError::new("E111", span, "a number does not begin with `0`")
                .label("leading zeros mean nothing")
                .help(format!("write `{form}`; what is no quantity, such as a post code, is a text: `\"{whole}\"`")),
        );
    }
    None
}

/// `2026-1-2`, which would count down from 2026.
fn date(source: &str, year: Span) -> Option<SyntaxError> {
    let rest = source.get(year.end as usize..)?.strip_prefix('-')?;
    let mut parts = rest.split(|c: char| !c.is_ascii_digit());
    let (month, day) = (parts.next()?, parts.next()?);
    let len = month.len() + 1 + day.len();
    let fits = year.text(source).len() == 4 && matches!(month.len(), 1 | 2) && matches!(day.len(), 1 | 2);
    if !fits || rest.as_bytes().get(month.len()) != Some(&b'-') {
        return None;
    }
    let span = Span { start: year.start, end: year.end + 1 + u32::try_from(len).ok()? };
    let form = format!("{}-{month:0>2}-{day:0>2}", year.text(source));
    Some(
        SyntaxError::new("E111", span, "a date has two digits for the month and for the day")
            .label("this would be a subtraction")
            .help(format!("write `{form}`"))
            .guess(format!("write `{form}`"), span, form),
    )
}

/// A step such as `wait(3)`, where the word is one of the language.
pub(crate) fn step_call(source: &str, call: &Call) -> Option<SyntaxError> {
    let [word] = call.path.as_slice() else { return None };
    let args = Span { start: word.span.end, end: call.span.end };
    let inner = args.text(source).trim().trim_start_matches('(').trim_end_matches(')').trim();
    let (message, form) = match word.text.as_str() {
        "wait" => ("`wait` is followed by a duration, without parentheses", format!("wait {inner}")),
        "sleep" | "delay" | "pause" => {
            let seconds = inner.parse::<u32>().ok().filter(|seconds| *seconds > 0);
            let form = seconds.map_or_else(|| "wait 15 minutes".to_owned(), |seconds| format!("wait {seconds} seconds"));
            ("a pause is written `wait`, with a unit", form)
        }
        "stop" | "exit" => (
            "a run is ended with `stop`, without parentheses",
            if inner.is_empty() { "stop".to_owned() } else { format!("stop because {inner}") },
        ),
        "retry" => ("`retry` stands behind a call, without parentheses", format!("retry {inner} times")),
        "print" | "echo" => ("a line in the log of flowd is written with `log`", format!("log({inner})")),
        _ => return None,
    };
    Some(SyntaxError::new("E108", word.span, message).label("a step of its own").help(format!("write `{form}`")))
}

/// `_ =>` and `default =>`.
pub(crate) fn any_arm(source: &str, pattern: Span) -> Option<SyntaxError> {
    let word = pattern.text(source);
    matches!(word, "_" | "default" | "otherwise").then(|| {
        SyntaxError::new("E108", pattern, "the arm for all other values begins with `else`")
            .label(format!("`{word}` would be the name of a value"))
            .help("write `else => …`")
            .fix("write `else`", pattern, "else")
    })
}

/// Checks the form of a time of day.
pub(crate) fn time(source: &str, time: &TimeLit) -> Option<SyntaxError> {
    let fits = time.hour < 24 && time.minute < 60 && time.second < 60;
    (!fits).then(|| {
        let label = match (time.hour, time.minute) {
            (24, 0) => "the day ends where the next begins, at 00:00",
            (24.., _) => "hours go from 00 to 23",
            _ => "minutes and seconds go from 00 to 59",
        };
        SyntaxError::new("E111", time.span, format!("`{}` is no time of day", time.span.text(source)))
            .label(label)
            .help("write a time from 00:00 to 23:59; a duration is written with its units, as in `36 hours`")
    })
}

/// `\d` and the like.
pub(crate) fn escape(escape: &str, span: Span) -> SyntaxError {
    let error = SyntaxError::new("E109", span, format!("`{escape}` means nothing in a text")).label("no such escape");
    if escape.starts_with("\\u") {
        return error.help("write the number of the character in braces: `\\u{1F512}`");
    }
    error
        .help(
            "escapes are `\\n`, `\\t`, `\\r`, `\\\"`, `\\\\`, `\\{`, `\\}` and `\\u{…}`; behind `matches` no escapes are needed",
        )
        .guess("write a backslash that means itself", span, format!("\\{escape}"))
}

/// `1 < x < 5`.
pub(crate) fn comparisons(source: &str, first: Span, second: Span) -> SyntaxError {
    SyntaxError::new("E114", second, "two comparisons in a row")
        .label(format!("`{}` compares again", second.text(source)))
        .also(first, "this has compared already")
        .help("write each comparison by itself and join them with `and`; a range is `x in 1..5`")
}

/// An expression whose tree is too high.
pub(crate) fn too_long(span: Span) -> SyntaxError {
    SyntaxError::new("E106", span, "this expression is too long")
        .label(format!("more than {MAX_HEIGHT} operators within one another"))
        .help("name parts of it with `let`; many values of one field are compared with `field in [\"a\", \"b\"]`")
}

/// `null` and its kin.
pub(crate) fn null(source: &str, span: Span) -> SyntaxError {
    let written = span.text(source);
    let error = SyntaxError::new("E108", span, format!("there is no `{written}`: a value is present or missing"))
        .label(format!("`{written}` comes from another language"));
    let before = source.get(..span.start as usize).unwrap_or("").trim_end();
    let (without_not, not) = match before.strip_suffix("not") {
        Some(rest) => (rest.trim_end(), true),
        None => (before, false),
    };
    let compared = [("is", not), ("==", false), ("!=", true), ("=", false)]
        .into_iter()
        .find_map(|(operator, negated)| Some((without_not.strip_suffix(operator)?, negated)));
    let Some((left, negated)) = compared else {
        return error.help("leave the input out, or give a default with `else`");
    };
    let form = if negated { "is present" } else { "is missing" };
    let whole = Span { start: u32::try_from(left.len()).unwrap_or(span.start), end: span.end };
    error.help(format!("write `{form}`")).fix(format!("write `{form}`"), whole, form)
}

/// `name.toLowerCase()`.
pub(crate) fn method(source: &str, call: &Call) -> Option<SyntaxError> {
    let (last, before) = call.path.split_last()?;
    let first = before.first()?;
    let foreign = matches!(
        last.text.as_str(),
        "toLowerCase"
            | "toUpperCase"
            | "includes"
            | "indexOf"
            | "startsWith"
            | "endsWith"
            | "startswith"
            | "endswith"
            | "starts_with"
            | "ends_with"
            | "toString"
            | "toFixed"
            | "lowercase"
            | "uppercase"
            | "downcase"
            | "upcase"
            | "lower"
            | "upper"
            | "strip"
            | "trim"
    );
    let foreign = foreign || matches!(last.text.as_str(), "forEach" | "isEmpty" | "equals" | "concat" | "size");
    foreign.then(|| {
        let end = before.last().map_or(first.span.end, |name| name.span.end);
        let value = Span { start: first.span.start, end };
        let mut form = method_form(&last.text, value.text(source));
        let only = match call.args.as_slice() {
            [only] if only.name.is_none() => Some(only.value.span.text(source)),
            _ => None,
        };
        // The form stands for any text; the one that was written is better.
        let whole = match (only, form.contains("\"…\"")) {
            (Some(text), true) => {
                form = form.replace("\"…\"", text);
                true
            }
            (None, false) => call.args.is_empty() && !form.contains('…'),
            _ => false,
        };
        let error = SyntaxError::new("E108", last.span, "functions are called with the value, not on it")
            .label("values have fields, but no methods")
            .help(format!("write `{form}`"));
        if whole { error.guess(format!("write `{form}`"), call.span, form) } else { error }
    })
}
