//! Forms of other languages: each is named, and shown in the form to write, with the words that were written.
//!
//! A rule looks at one token and its neighbours and must not fire on what Flow reads. Only tokens up to the place
//! where the parser stopped are looked at, so a habit further on is reported when its turn comes.

use super::look::{Look, is_reserved};
use super::similar::nearest;
use super::token::Kind;
use crate::error::SyntaxError;
use crate::grammar::Rule;
use crate::span::Span;

/// Returns what the first habit in the text is.
pub(super) fn find(look: &Look<'_>) -> Option<SyntaxError> {
    let end = (look.found + 1).min(look.tokens.len());
    (0..end).find_map(|at| {
        sign(look, at)
            .or_else(|| currency_sign(look, at))
            .or_else(|| filter(look, at))
            .or_else(|| comparison_words(look, at))
            .or_else(|| word(look, at))
            .or_else(|| yaml(look, at))
            .or_else(|| if_then(look, at))
            .or_else(|| assignment(look, at))
            .or_else(|| arrow(look, at))
            .or_else(|| method(look, at))
    })
}

fn habit(look: &Look<'_>, span: Span, message: String) -> SyntaxError {
    let label = format!("`{}` is not part of Flow", first_line(span.text(look.source)));
    SyntaxError::new("E108", span, message).label(label)
}

/// A sign that is replaced by another, or by a word.
fn replaced(look: &Look<'_>, at: usize, with: &str, why: &str) -> SyntaxError {
    let span = look.span(at);
    let written = look.word(at);
    let form = example(look, at, with);
    habit(look, span, format!("{why} is written `{with}`")).help(format!("write `{form}`")).fix(
        format!("replace `{written}` by `{with}`"),
        span,
        with,
    )
}

/// `left with right`, in the words around the sign.
fn example(look: &Look<'_>, at: usize, with: &str) -> String {
    let left = look.value_before(at).map_or("a", |span| span.text(look.source));
    let right = look.value_at(at + 1).map_or("b", |span| span.text(look.source));
    format!("{left} {with} {right}")
}

fn sign(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let span = look.span(at);
    match look.word(at) {
        "===" => Some(replaced(look, at, "is", "equality")),
        "!==" | "<>" => Some(replaced(look, at, "is not", "inequality")),
        "=" if look.word(at + 1) == "<" && look.adjacent(at) => {
            let both = span.to(look.span(at + 1));
            Some(
                habit(look, both, "\"at most\" is written `<=`".to_owned())
                    .help(format!("write `{}`", example(look, at + 1, "<=")))
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
        "&" => Some(replaced(look, at, "and", "\"and\"")),
        ";" => {
            let error = habit(look, span, "steps and clauses need no `;` between them".to_owned());
            let joins = look.token(at + 1).is_some() && !look.begins_line(at + 1) && look.open_bracket(at).is_none();
            Some(if joins {
                error.help("on one line steps are joined by `then`").fix("replace `;` by `then`", span, " then")
            } else {
                error.help("leave it out").fix("remove `;`", span, "")
            })
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

fn currency_sign(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let code = match look.word(at) {
        "$" => "USD",
        "€" => "EUR",
        "£" => "GBP",
        "¥" => "JPY",
        "₹" => "INR",
        _ => return None,
    };
    let (span, amount) = if look.kind(at + 1) == Some(Kind::Number) {
        (look.span(at).to(look.span(at + 1)), look.word(at + 1))
    } else if at > 0 && look.kind(at - 1) == Some(Kind::Number) {
        (look.span(at - 1).to(look.span(at)), look.word(at - 1))
    } else {
        return Some(
            habit(look, look.span(at), "money is written with its currency code".to_owned()).help(format!("write `100 {code}`")),
        );
    };
    let form = format!("{} {code}", amount.replace(',', ""));
    Some(
        SyntaxError::new("E108", span, "money is written with its currency code")
            .label(format!("`{}` can be the money of several countries", look.word(at)))
            .help(format!("write `{form}`, or another code"))
            .guess(format!("write `{form}`"), span, form),
    )
}

/// `amount | round(2)`.
fn filter(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
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

/// Comparisons in words: `is greater than`, `equals`, `is one of`.
fn comparison_words(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
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
fn word(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
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
        "print" | "echo" | "printf" | "log" if step && look.word(at + 1) != "(" => {
            error("a flow prints nothing", "`##` before a step says in the run log what it does; values are in the run's journal")
        }
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
fn yaml(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
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
            && look.open_bracket(at).is_none_or(|open| look.word(open) == "{")
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

/// `if x then y`.
fn if_then(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
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

/// `=` where nothing is named.
fn assignment(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
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
            habit(look, span, "an input is given with `:`".to_owned()).help(format!("write `{name}: {value}`")).fix(
                "replace `=` by `:`",
                Span { start: look.gap(at).start, end: span.end },
                ":",
            )
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
        return Some(
            habit(look, span, "a value is named with `let`".to_owned()).help(format!("write `let {name} = {value}`")).fix(
                "add `let`",
                Span { start: place.start, end: place.start },
                "let ",
            ),
        );
    }
    None
}

/// `=>` and `->` where no arm of a `match` is.
fn arrow(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
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
    if look.in_condition(at) && look.word_before(at, 1) != ")" && written == "=>" {
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

/// `"text".upper()`, `f(x).trim()`.
fn method(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
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
pub(super) fn method_form(name: &str, value: &str) -> String {
    match name {
        "toLowerCase" | "lowercase" | "downcase" | "lower" => format!("lower({value})"),
        "toUpperCase" | "uppercase" | "upcase" | "upper" => format!("upper({value})"),
        "includes" | "indexOf" | "has" | "contains" => format!("{value} contains \"…\""),
        "startsWith" | "startswith" | "starts_with" => format!("{value} starts with \"…\""),
        "endsWith" | "endswith" | "ends_with" => format!("{value} ends with \"…\""),
        "trim" | "strip" => format!("trim({value})"),
        "length" | "size" | "len" | "count" => format!("length({value})"),
        "toString" | "to_s" => format!("\"{{{value}}}\""),
        "toFixed" => format!("round({value}, 2)"),
        other => format!("{other}({value}, …)"),
    }
}

/// Returns what a lone word at the start of a step may have been meant to be.
pub(super) fn step_word(word: &str) -> Option<&'static str> {
    nearest(
        word,
        &["let", "if", "else", "match", "for", "stop", "return", "require", "wait", "retry", "then", "on error", "because"],
    )
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or("").trim_end()
}

impl Look<'_> {
    /// Whether the text is a flow or steps, rather than a connector.
    pub(super) fn place_is_flow(&self) -> bool {
        matches!(self.place, Rule::only_items | Rule::only_steps | Rule::only_chain | Rule::only_arms | Rule::only_tests)
    }

    /// Whether `|` separates the values of an enum or of an arm here.
    fn place_is_types(&self) -> bool {
        matches!(self.place, Rule::only_members | Rule::only_fields | Rule::only_arms)
    }
}
