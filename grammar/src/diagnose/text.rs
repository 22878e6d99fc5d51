//! Mistakes in texts: no closing quote, `{{ }}`, empty braces, what stands in them.

use pest::iterators::Pair;

use super::look::Look;
use super::token::{Kind, Token};
use crate::error::{Fix, SyntaxError};
use crate::grammar::Rule;
use crate::span::Span;

/// A text without its closing quote at or before the place where the parser stopped.
pub(super) fn open(look: &Look<'_>) -> Option<SyntaxError> {
    let token = look.tokens.iter().take(look.found + 1).find(|token| token.kind == Kind::OpenText)?;
    Some(unclosed(look.source, token.span))
}

/// `"{x else \"y\"}"`: quotes with a backslash inside `{…}`.
pub(super) fn quotes(look: &Look<'_>) -> Option<SyntaxError> {
    let outer = match look.text {
        Some(outer) => outer,
        None => look.token(look.found).filter(|token| matches!(token.kind, Kind::Text | Kind::OpenText))?,
    };
    let line = look.source.get(outer.span.start as usize..)?;
    let line = line.get(..line.find('\n').unwrap_or(line.len()))?;
    let mut places = Vec::new();
    let (mut hole, mut skip, mut of_first) = (None, false, None);
    for (at, byte) in line.bytes().enumerate().skip(1) {
        match byte {
            _ if skip => skip = false,
            b'\\' => {
                if hole.is_some() && line.as_bytes().get(at + 1) == Some(&b'"') {
                    places.push(at);
                }
                skip = true;
            }
            b'{' if hole.is_none() => hole = Some(at),
            b'}' => {
                hole = None;
                of_first = of_first.or(places.last().copied());
            }
            b'"' if hole.is_none() => break,
            _ => {}
        }
    }
    let start = outer.span.start as usize;
    let span = |at: usize| Span::new(start + at, start + at + 1);
    let (first, last) = (*places.first()?, of_first?);
    let form = line.get(first..last + 2)?.replace("\\\"", "\"");
    let mut error = SyntaxError::new("E109", Span::new(start + first, start + last + 2), "quotes inside `{…}` need no backslash")
        .label("the text around it has not ended here")
        .help(format!("write `{form}`"));
    error.fixes.push(Fix {
        title: "remove the backslashes".to_owned(),
        edits: places.iter().map(|at| (span(*at), String::new())).collect(),
        safe: true,
    });
    Some(error)
}

/// `${x}`, `#{x}`, `<%= x %>` in a text that was read: they would be sent as they are.
pub(crate) fn template(source: &str, text: &Pair<'_, Rule>) -> Option<SyntaxError> {
    let mut before: Option<Span> = None;
    for part in text.clone().into_inner() {
        let at = Span::new(part.as_span().start(), part.as_span().end());
        match part.as_rule() {
            Rule::chunk_double | Rule::chunk_single | Rule::chunk_triple => {
                if let Some(error) = erb(at, part.as_str()) {
                    return Some(error);
                }
                before = part.as_str().ends_with(['$', '#']).then_some(Span { start: at.end - 1, end: at.end });
            }
            Rule::interp => {
                if let Some(sign) = before.take() {
                    let mark = sign.text(source);
                    let form = at.text(source);
                    return Some(
                        SyntaxError::new("E108", sign.to(at), format!("a value in a text is written `{{…}}`, without `{mark}`"))
                            .label(format!("the `{mark}` would be part of the text"))
                            .help(format!(
                                "write `{form}`; a `{mark}` that is meant is `\\u{{{:X}}}`",
                                mark.as_bytes().first().copied().unwrap_or(0)
                            ))
                            .fix(format!("write `{form}`"), sign, ""),
                    );
                }
            }
            _ => before = None,
        }
    }
    None
}

fn erb(at: Span, chunk: &str) -> Option<SyntaxError> {
    let open = chunk.find("<%")?;
    let inner = chunk.get(open + 2..)?;
    let name = inner.trim_start_matches(['=', '-']).trim_start();
    if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return None;
    }
    let start = at.start as usize + open;
    let close = inner.find("%>");
    let span = Span::new(start, start + 2 + close.map_or(0, |close| close + 2));
    let error = SyntaxError::new("E108", span, "a value in a text is written `{…}`").label("a habit from templates");
    let Some(close) = close else { return Some(error.help("write `{name}`")) };
    let value = inner.get(..close)?.trim_matches(['=', '-', ' ']);
    let form = format!("{{{value}}}");
    Some(error.help(format!("write `{form}`")).fix(format!("write `{form}`"), span, form))
}

/// A text in backticks.
pub(super) fn backticks(source: &str, span: Span) -> SyntaxError {
    let inner = span.text(source).trim_matches('`');
    let form = format!("\"{}\"", inner.replace('"', "\\\"").replace("${", "{"));
    SyntaxError::new("E108", span, "a text stands in double quotes")
        .label("backticks are for names")
        .help(format!("write `{form}`"))
        .fix(format!("write `{form}`"), span, form)
}

/// The text at `span` has no closing quote.
pub(super) fn unclosed(source: &str, span: Span) -> SyntaxError {
    let text = span.text(source);
    let quote = if text.starts_with("\"\"\"") { 3 } else { 1 };
    let opening = Span { start: span.start, end: span.start + quote };
    if quote == 3 {
        return SyntaxError::new("E103", opening, "this text is never closed")
            .label("its `\"\"\"` is missing at the end")
            .help("add `\"\"\"` behind the last line of the text");
    }
    let mark = text.chars().next().unwrap_or('"');
    let text = text.trim_end();
    let end = span.start as usize + text.len();
    // Brackets at the end of the line were hardly meant as part of the text.
    let kept = if text.contains(['(', '[', '{']) { text } else { text.trim_end_matches([')', ']', '}', ',', ' ']) };
    let close = span.start as usize + if kept.len() > 1 { kept.len() } else { text.len() };
    SyntaxError::new("E103", opening, "this text is never closed")
        .label(format!("its `{mark}` is missing at the end"))
        .also(Span::new(end, end), "the line ends here")
        .help("add the quote; a text of several lines stands in `\"\"\"`")
        .guess(format!("add `{mark}`"), Span::new(close, close), mark)
}

/// The parser stopped inside a text.
pub(super) fn inside(look: &Look<'_>) -> Option<SyntaxError> {
    if let Some(outer) = look.text {
        return hole(look, outer);
    }
    // A brace right at the start of what would be a value.
    let token = look.token(look.found).filter(|token| token.kind == Kind::Text)?;
    braces(token, 0)
}

fn hole(look: &Look<'_>, outer: Token<'_>) -> Option<SyntaxError> {
    let start = look.tokens.first().map_or(look.bad.start, |token| token.span.start);
    let from = (start.max(outer.span.start) - outer.span.start) as usize;
    let before = outer.text.get(..from).unwrap_or("").rfind('{').unwrap_or(0);
    braces(outer, before).or_else(|| {
        let colon = look.found < look.tokens.len() && look.word(look.found) == ":";
        colon.then(|| {
            SyntaxError::new("E109", look.span(look.found), "a `:` cannot stand in `{…}` of a text")
                .label("a value ends before this")
                .help("values are written as they are; functions give them a form, as in `{round(amount, 2)}`; a brace that means itself is `\\{`")
        })
    })
}

/// `{{ x }}`, `{}`, `{x` in the text, from the byte `from` on.
fn braces(token: Token<'_>, from: usize) -> Option<SyntaxError> {
    let text = token.text;
    let start = token.span.start as usize;
    let at = from + text.get(from..)?.find('{')?;
    let rest = text.get(at..)?;
    if rest.starts_with("{{") || rest.starts_with("{%") {
        let twice = rest.starts_with("{{");
        let close = rest.find(if twice { "}}" } else { "%}" });
        let len = close.map_or(2, |close| close + 2);
        let span = Span::new(start + at, start + at + len);
        let inner = close.and_then(|close| rest.get(2..close)).unwrap_or("").trim();
        let error = SyntaxError::new("E109", span, "a value in a text stands in single braces").label("a habit from templates");
        if !twice || inner.is_empty() {
            return Some(
                error.help("write `{value}`; conditions are steps, or `{value else \"…\"}`; a brace that means itself is `\\{`"),
            );
        }
        let form = format!("{{{}}}", without_filter(inner));
        return Some(error.help(format!("write `{form}`; a brace that means itself is `\\{{`")).fix(
            format!("write `{form}`"),
            span,
            form,
        ));
    }
    let inner = rest.get(1..)?;
    let close = inner.find('}');
    if inner.trim_start().starts_with('}') {
        let len = 2 + close.unwrap_or(0);
        let span = Span::new(start + at, start + at + len);
        return Some(
            SyntaxError::new("E109", span, "these braces are empty")
                .label("the name of a value is missing")
                .help("write `{amount}` with the name of a value, or `\\{\\}` for the braces themselves")
                .guess("write braces that mean themselves", span, "\\{\\}"),
        );
    }
    if close.is_none() {
        let span = Span::new(start + at, start + at + 1);
        return Some(
            SyntaxError::new("E109", span, "this brace is not closed in the text")
                .label("its `}` is missing")
                .help("write `{name}` for a value, `\\{` for the brace itself")
                .guess("write a brace that means itself", span, "\\{"),
        );
    }
    None
}

/// Writes the filters of a template as Flow has them.
fn without_filter(inner: &str) -> String {
    let mut parts = inner.split('|').map(str::trim);
    let mut value = parts.next().unwrap_or("").to_owned();
    for filter in parts {
        let (name, args) = filter.split_once('(').unwrap_or((filter, ""));
        let args = args.trim_end_matches(')').trim();
        value = match (name.trim(), args) {
            ("default", "") => format!("{value} else \"…\""),
            ("default", args) => format!("{value} else {args}"),
            (name, "") => format!("{name}({value})"),
            (name, args) => format!("{name}({value}, {args})"),
        };
    }
    value
}
