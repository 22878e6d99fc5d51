//! Signs of other languages.

use super::super::look::{Look, is_reserved};
use super::super::token::Kind;
use super::{habit, replaced};
use crate::error::SyntaxError;
use crate::grammar::Rule;
use crate::span::Span;

pub(super) fn sign(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let span = look.span(at);
    match look.word(at) {
        "===" => Some(replaced(look, at, "is", "equality")),
        "!==" | "<>" => Some(replaced(look, at, "is not", "inequality")),
        "=" if look.word(at + 1) == "<" && look.adjacent(at) => {
            let both = span.to(look.span(at + 1));
            Some(
                habit(look, both, "\"at most\" is written `<=`".to_owned())
                    .help(format!(
                        "write `{} <= {}`",
                        word_of(look.value_before(at), look, "a"),
                        word_of(look.value_at(at + 2), look, "b")
                    ))
                    .fix("replace `=<` by `<=`", both, "<="),
            )
        }
        "=~" => Some(replaced(look, at, "matches", "a test against a pattern")),
        "??" | "?:" => Some(replaced(look, at, "else", "a default for a missing value")),
        "?." => Some(
            habit(look, span, "fields of a missing value are missing: no `?.` is needed".to_owned())
                .help("write `.`, and say what holds when it is missing with `else` or `is present`")
                .fix("replace `?.` by `.`", span, "."),
        ),
        "&" if at == look.found && (look.kind(at + 1) == Some(Kind::Text) || at > 0 && look.kind(at - 1) == Some(Kind::Text)) => {
            joined_text(look, at)
        }
        "≥" => Some(replaced(look, at, ">=", "\"at least\"")),
        "≤" => Some(replaced(look, at, "<=", "\"at most\"")),
        "≠" => Some(replaced(look, at, "is not", "inequality")),
        "×" => Some(replaced(look, at, "*", "multiplication")),
        "÷" => Some(replaced(look, at, "/", "division")),
        "&" => Some(replaced(look, at, "and", "\"and\"")),
        ";" => {
            let error = habit(look, span, "steps and clauses need no `;` between them".to_owned());
            let joins = |at: usize| {
                look.token(at + 1).is_some()
                    && !look.begins_line(at + 1)
                    && look.open_bracket(at).is_none()
                    && look.word(at + 1) != "}"
            };
            let mut error =
                if joins(at) { error.help("on one line steps are joined by `then`") } else { error.help("leave it out") };
            // One habit, one mistake: all of them go.
            let all = (0..look.tokens.len()).filter(|i| look.word(*i) == ";");
            let edits: Vec<(Span, String)> =
                all.map(|i| (look.span(i), if joins(i) { " then" } else { "" }.to_owned())).collect();
            let title = if joins(at) { "replace `;` by `then`" } else { "remove `;`" };
            error.fixes.push(crate::error::Fix { title: title.to_owned(), edits, safe: true });
            Some(error)
        }
        "//" | "--" => Some(habit(look, span, "a comment begins with `#`".to_owned()).help("write `#` in its place").fix(
            format!("replace `{}` by `#`", look.word(at)),
            span,
            "#",
        )),
        "/*" | "*/" => Some(
            habit(look, span, "a comment begins with `#` and ends with its line".to_owned())
                .help("begin each line of the comment with `#`"),
        ),
        "%" if matches!(look.kind(at.wrapping_sub(1)), Some(Kind::Number)) => {
            Some(habit(look, span, "there is no percent sign".to_owned()).help(format!(
                "write the fraction: `{}` for {} %",
                percent(look.word_before(at, 1)),
                look.word_before(at, 1)
            )))
        }
        "%" => Some(
            habit(look, span, "there is no `%` operator".to_owned())
                .help("remainders come from functions; texts are built with `\"{value}\"`"),
        ),
        "++" | "+=" | "-=" => Some(
            habit(look, span, "values do not change: there is no counting up".to_owned())
                .help("name a new value with `let`, or use `count`, `sum` or `length` of a list"),
        ),
        "?" if look.found <= at + 1 && look.place_is_flow() && matches!(look.word(at + 1), "," | ")" | "]" | "}" | "") => Some(
            habit(look, span, "`?` stands behind the type of a field".to_owned())
                .help("what an answer may leave out is a field of a record: `record: { title: text? }`; a value is never marked"),
        ),
        "?" if look.found <= at + 1 && look.place_is_flow() => Some(
            habit(look, span, "there is no `condition ? a : b`".to_owned())
                .help("use `if … { … } else { … }`, or `x else default` for a value that can be missing"),
        ),
        "“" | "”" | "„" | "«" | "»" | "‘" | "’" | "‚" => Some(curly(look, at)),
        "!" if look.adjacent(at) && matches!(look.word(at + 1), "secret" | "env_var" | "include" | "input" | "lambda") => Some(
            habit(look, span.to(look.span(at + 1)), format!("`!{}` belongs to YAML", look.word(at + 1)))
                .help("secrets stand in flow.toml and only the connector that owns them reads them; settings are `env.name`"),
        ),
        "{" if look.word(at + 1) == "{" && look.adjacent(at) => {
            let close = (at + 2..look.tokens.len()).find(|i| look.word(*i) == "}" && look.word(i + 1) == "}")?;
            let both = span.to(look.span(close + 1));
            let inner = Span { start: look.span(at + 1).end, end: look.span(close).start };
            let inner = inner.text(look.source).trim();
            Some(
                habit(look, both, "values are named as they are, without `{{ }}`".to_owned())
                    .help(format!("write `{inner}`, and `\"… {{{inner}}} …\"` in a text"))
                    .fix(format!("replace it by `{inner}`"), both, inner),
            )
        }
        _ => None,
    }
}

/// `"x" & y`.
fn joined_text(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let piece = |span: Span| {
        let text = span.text(look.source);
        match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
            Some(inner) => inner.to_owned(),
            None => format!("{{{text}}}"),
        }
    };
    let (left, right) = (look.value_before(at)?, look.value_at(at + 1)?);
    let form = format!("\"{}{}\"", piece(left), piece(right));
    Some(habit(look, look.span(at), "texts are put together in one text".to_owned()).help(format!("write `{form}`")).fix(
        format!("write `{form}`"),
        left.to(right),
        form,
    ))
}

fn word_of<'s>(value: Option<Span>, look: &Look<'s>, otherwise: &'s str) -> &'s str {
    value.map_or(otherwise, |span| span.text(look.source))
}

fn percent(number: &str) -> String {
    match number.parse::<u32>() {
        Ok(n) if n < 100 => format!("0.{n:02}"),
        _ => "0.1".to_owned(),
    }
}

fn curly(look: &Look<'_>, at: usize) -> SyntaxError {
    let span = look.span(at);
    let line_end = look.source.get(span.end as usize..).and_then(|rest| rest.find('\n'));
    let end = line_end.map_or(look.source.len(), |len| span.end as usize + len);
    let rest = look.source.get(span.end as usize..end).unwrap_or("");
    let error = SyntaxError::new("E108", span, "texts stand in straight quotes")
        .label(format!("`{}` comes from a word processor", look.word(at)));
    match rest.char_indices().find(|(_, c)| matches!(c, '“' | '”' | '«' | '»' | '‘' | '’' | '"')) {
        Some((len, close)) => {
            let inner = rest.get(..len).unwrap_or("");
            let whole = Span::new(span.start as usize, span.end as usize + len + close.len_utf8());
            error.help(format!("write `\"{inner}\"`")).fix("use straight quotes", whole, format!("\"{inner}\""))
        }
        None => error.help("write `\"` at both ends"),
    }
}

/// A sign of money without a number; with one it is an amount (`money`).
pub(super) fn currency_sign(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    if look.word(at) == "$" && look.kind(at + 1) == Some(Kind::Word) && look.adjacent(at) {
        return Some(variable(look, at));
    }
    let code = match look.word(at) {
        "$" => "USD",
        "€" => "EUR",
        "£" => "GBP",
        "¥" => "JPY",
        "₹" => "INR",
        _ => return None,
    };
    Some(habit(look, look.span(at), "money is written with its currency code".to_owned()).help(format!("write `100 {code}`")))
}

/// `$json.body`, `$amount`: a name of another tool.
fn variable(look: &Look<'_>, at: usize) -> SyntaxError {
    let root = matches!(look.word(at + 1), "json" | "input" | "trigger" | "node" | "item" | "event" | "data" | "context");
    let whole = if root && look.word(at + 2) == "." && look.kind(at + 3) == Some(Kind::Word) {
        look.span(at).to(look.span(at + 2))
    } else {
        look.span(at)
    };
    let rest = look.source.get(whole.end as usize..).unwrap_or("");
    let name = rest.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.'))).next().unwrap_or("");
    habit(look, whole, "names have no `$`: the fields of the event are named by themselves".to_owned())
        .help(format!("write `{name}`"))
        .fix(format!("remove `{}`", whole.text(look.source)), whole, "")
}

/// `amount | round(2)`.
pub(super) fn filter(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    if look.word(at) != "|" || at + 1 < look.found || at > look.found || look.place_is_types() {
        return None;
    }
    let name = look.token(at + 1).filter(|token| token.kind == Kind::Word)?;
    let value = look.value_before(at)?;
    let call = look.value_at(at + 1).unwrap_or(name.span);
    let whole = value.to(call);
    let value = value.text(look.source);
    let args = call.text(look.source).get(name.text.len()..).unwrap_or("");
    let args = args.strip_prefix('(').and_then(|args| args.strip_suffix(')')).unwrap_or("").trim();
    let form = match name.text {
        "default" | "d" => format!("{value} else {}", if args.is_empty() { "\"…\"" } else { args }),
        other => {
            let function = match other {
                "uppercase" | "upcase" | "toupper" => "upper",
                "lowercase" | "downcase" | "tolower" => "lower",
                "size" | "count" => "length",
                other => other,
            };
            if args.is_empty() { format!("{function}({value})") } else { format!("{function}({value}, {args})") }
        }
    };
    Some(
        SyntaxError::new("E108", look.span(at), "there are no filters: functions are called with the value")
            .label("`|` only separates the values of a `match`")
            .help(format!("write `{form}`"))
            .guess(format!("write `{form}`"), whole, form),
    )
}

/// `=>` and `->` where no arm of a `match` is.
pub(super) fn arrow(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let written = look.word(at);
    if at != look.found {
        return None;
    }
    if look.expects_rule(Rule::arrow) {
        return matches!(written, "->" | ":" | "=" | "then").then(|| {
            let span = look.span(at);
            let left = look.value_before(at).map_or("\"a\"", |span| span.text(look.source));
            habit(look, span, "an arm of a `match` is written `=>`".to_owned()).help(format!("write `{left} => …`")).fix(
                "replace it by `=>`",
                Span { start: look.gap(at).start, end: span.end },
                " =>",
            )
        });
    }
    if !matches!(written, "=>" | "->") {
        return None;
    }
    if look.in_condition(at) && written == "=>" && (look.word_before(at, 1) != ")" || called(look, at)) {
        return Some(replaced(look, at, ">=", "\"at least\""));
    }
    if look.place == Rule::only_items && look.open_bracket(at).is_none() {
        let span = look.span(at);
        return Some(
            habit(look, span, "what a flow does stands behind `do`".to_owned()).help("write `when trigger do action`").fix(
                format!("replace `{written}` by `do`"),
                span,
                "do",
            ),
        );
    }
    look.place_is_flow().then(|| {
        habit(look, look.span(at), "flows have no functions of their own".to_owned()).help(
            "give a list and a condition to a function, as in `count(lines, quantity > 1)`, or repeat with `for x in list { … }`",
        )
    })
}

/// Whether `f(…)` stands before this.
fn called(look: &Look<'_>, at: usize) -> bool {
    look.value_before(at).is_some_and(|value| !value.text(look.source).starts_with('('))
}

/// `=` where nothing is named.
pub(super) fn assignment(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    if !matches!(look.word(at), "=" | ":=") || at != look.found && at + 1 != look.found {
        return None;
    }
    let span = look.span(at);
    if look.word(at) == ":=" {
        return Some(replaced(look, at, "=", "a name for a value"));
    }
    let in_call =
        look.open_bracket(at).is_some_and(|open| look.word(open) == "(" && open > 0 && look.kind(open - 1) == Some(Kind::Word))
            && matches!(look.word_before(at, 2), "(" | ",");
    if in_call {
        let name = look.word_before(at, 1);
        let value = look.value_at(at + 1).map_or("value", |span| span.text(look.source));
        return (at == look.found).then(|| {
            let mut error = habit(look, span, "an input is given with `:`".to_owned()).help(format!("write `{name}: {value}`"));
            // Who writes one so writes all of them so.
            let open = look.open_bracket(at);
            let edits = (at..look.tokens.len())
                .filter(|i| look.word(*i) == "=" && look.open_bracket(*i) == open)
                .filter(|i| matches!(look.word_before(*i, 2), "(" | ","))
                .map(|i| {
                    let blank = if look.adjacent(i) { ": " } else { ":" };
                    (Span { start: look.gap(i).start, end: look.span(i).end }, blank.to_owned())
                })
                .collect();
            error.fixes.push(crate::error::Fix { title: "replace `=` by `:`".to_owned(), edits, safe: true });
            error
        });
    }
    if at != look.found {
        return None;
    }
    if let Some(open) = look.open_bracket(at)
        && look.word(open) == "{"
        && (look.place == Rule::only_tests
            || matches!(look.word_before(open, 1), ":" | "(" | "," | "[" | "json" | "form" | "query"))
    {
        return Some(
            habit(look, span, "a field is given with `:`".to_owned())
                .help(format!("write `{}: …`", look.word_before(at, 1)))
                .fix("replace `=` by `:`", Span { start: look.gap(at).start, end: span.end }, ":"),
        );
    }
    if look.in_condition(at) || look.text.is_some() {
        return Some(replaced(look, at, "is", "equality"));
    }
    let name = look.word_before(at, 1);
    let starts = look.place_is_flow()
        && at > 0
        && look.kind(at - 1) == Some(Kind::Word)
        && !is_reserved(name)
        && look.word_before(at, 2) != ".";
    if starts && (at == 1 || look.begins_line(at - 1) || matches!(look.word_before(at, 2), "{" | "do" | "then" | "}" | ")")) {
        let value = look.value_at(at + 1).map_or("value", |span| span.text(look.source));
        let place = look.span(at - 1);
        let error = habit(look, span, "a value is named with `let`".to_owned());
        // A query is named so, an action is not: which it is is not known here.
        if let Some(call) = look.value_at(at + 1).filter(|_| value.contains('.') && value.ends_with(')')) {
            return Some(
                error
                    .help(format!(
                        "write `let {name} = …` for what a query or function gives, and `… as {name}` for what an action gives"
                    ))
                    .guess(format!("write `let {name} = {value}`"), Span { start: place.start, end: place.start }, "let ")
                    .guess(format!("write `{value} as {name}`"), place.to(call), format!("{value} as {name}")),
            );
        }
        return Some(error.help(format!("write `let {name} = {value}`")).fix(
            "add `let`",
            Span { start: place.start, end: place.start },
            "let ",
        ));
    }
    None
}

/// `"text".upper()`, `f(x).trim()`.
pub(super) fn method(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let called = look.word(at) == "." && look.kind(at + 1) == Some(Kind::Word) && look.word(at + 2) == "(";
    if !called || at + 2 < look.found || at > look.found {
        return None;
    }
    let value = look.value_before(at)?;
    let name = look.span(at + 1);
    let form = method_form(name.text(look.source), value.text(look.source));
    Some(
        SyntaxError::new("E108", name, "functions are called with the value, not on it")
            .label("values have fields, but no methods")
            .help(format!("write `{form}`")),
    )
}

/// Returns how `value.name(…)` is written.
pub(in super::super) fn method_form(name: &str, value: &str) -> String {
    match name {
        "toLowerCase" | "lowercase" | "downcase" | "lower" => format!("lower({value})"),
        "toUpperCase" | "uppercase" | "upcase" | "upper" => format!("upper({value})"),
        "includes" | "indexOf" | "has" | "contains" => format!("{value} contains \"…\""),
        "startsWith" | "startswith" | "starts_with" => format!("{value} starts with \"…\""),
        "endsWith" | "endswith" | "ends_with" => format!("{value} ends with \"…\""),
        "trim" | "strip" => format!("trim({value})"),
        "length" | "size" | "len" | "count" => format!("length({value})"),
        "toString" | "to_s" => format!("\"{{{value}}}\""),
        "isEmpty" => format!("{value} is missing"),
        "equals" => format!("{value} is \"…\""),
        "concat" => format!("{value} + \"…\""),
        "forEach" | "each" => format!("for item in {value} up to 20 {{ … }}"),
        "toFixed" => format!("round({value}, 2)"),
        other => format!("{other}({value}, …)"),
    }
}
