//! Texts, numbers, durations and times.

use super::{Builder, Node, Parts};
use crate::diagnose;
use crate::grammar::Rule;
use crate::span::Span;
use crate::syntax::{DurationLit, DurationUnit, NumberLit, Quote, TextLit, TextPart, TimeLit};

/// A piece of a text before layout is taken out of `"""`.
enum Piece {
    /// As written: line breaks count for the layout.
    Written(String),
    /// From an escape: never layout.
    Escaped(String),
    Part(TextPart),
}

impl<'s> Builder<'s> {
    pub(super) fn number(&mut self, node: &Node<'s>) -> NumberLit {
        let span = node.as_span();
        let text = span.as_str();
        let lit = NumberLit {
            span: Span::new(span.start(), span.end()),
            digits: if text.contains('_') { text.replace('_', "") } else { text.to_owned() },
        };
        self.errors.extend(diagnose::number(self.source, &lit));
        lit
    }

    /// `once`, `twice` or a number.
    pub(super) fn take_count(&mut self, parts: &mut Parts<'s>) -> NumberLit {
        match parts.take(Rule::once) {
            Some(node) => {
                let span = node.as_span();
                NumberLit {
                    span: Span::new(span.start(), span.end()),
                    digits: if span.as_str() == "once" { "1" } else { "2" }.to_owned(),
                }
            }
            None => self.take_number(parts),
        }
    }

    pub(super) fn take_duration(&mut self, parts: &mut Parts<'s>) -> DurationLit {
        match parts.take(Rule::duration) {
            Some(node) => self.duration(node),
            None => DurationLit { span: Span::default(), parts: Vec::new() },
        }
    }

    pub(super) fn duration(&mut self, node: Node<'s>) -> DurationLit {
        let span = self.span(&node);
        let mut inner = Parts::of(node);
        DurationLit { span, parts: self.duration_parts(&mut inner) }
    }

    pub(super) fn duration_parts(&mut self, parts: &mut Parts<'s>) -> Vec<(NumberLit, DurationUnit)> {
        let mut out = Vec::with_capacity(1);
        while let Some(node) = parts.take(Rule::number) {
            let number = self.number(&node);
            if let Some(unit) = parts.take(Rule::unit) {
                out.push((number, unit_of(unit.as_str())));
            }
        }
        out
    }

    pub(super) fn time(&mut self, node: &Node<'s>) -> TimeLit {
        let span = node.as_span();
        let mut numbers = span.as_str().split(':').map(|part| part.parse().unwrap_or(u8::MAX));
        let mut next = || numbers.next().unwrap_or(0);
        let lit = TimeLit { span: Span::new(span.start(), span.end()), hour: next(), minute: next(), second: next() };
        self.errors.extend(diagnose::time(self.source, &lit));
        lit
    }

    pub(super) fn take_text(&mut self, parts: &mut Parts<'s>) -> TextLit {
        match parts.take(Rule::text) {
            Some(node) => self.text(node),
            None => TextLit { span: Span::default(), quote: Quote::Double, parts: Vec::new() },
        }
    }

    pub(super) fn text(&mut self, node: Node<'s>) -> TextLit {
        let span = self.span(&node);
        let written = span.text(self.source);
        let quote = if written.starts_with("\"\"\"") {
            Quote::Triple
        } else if written.starts_with('\'') {
            Quote::Single
        } else {
            Quote::Double
        };
        let mut height = 0;
        let mut pieces = Vec::with_capacity(1);
        if written.contains(['$', '#', '<']) {
            self.errors.extend(diagnose::template(self.source, &node));
        }
        for part in node.into_inner() {
            match part.as_rule() {
                Rule::chunk_double | Rule::chunk_single => pieces.push(Piece::Written(part.as_str().to_owned())),
                Rule::chunk_triple => pieces.push(Piece::Written(part.as_str().replace("\r\n", "\n"))),
                Rule::escape => pieces.push(Piece::Escaped(self.escape(&part))),
                Rule::interp => {
                    let mut inner = Parts::of(part);
                    let expr = self.take_expr(&mut inner);
                    height = height.max(self.height);
                    pieces.push(Piece::Part(TextPart::Expr(expr)));
                }
                _ => {}
            }
        }
        self.height = height + 1;
        if quote == Quote::Triple {
            remove_layout(&mut pieces);
        }
        TextLit { span, quote, parts: joined(pieces) }
    }

    /// The text behind `matches`.
    pub(super) fn raw_text(&self, node: &Node<'s>) -> TextLit {
        let span = node.as_span();
        let written = span.as_str();
        let inner = written.get(1..written.len().saturating_sub(1)).unwrap_or("");
        let text = if written.starts_with('\'') { raw_in_double_quotes(inner) } else { inner.to_owned() };
        TextLit {
            span: Span::new(span.start(), span.end()),
            quote: Quote::Raw,
            parts: if text.is_empty() { Vec::new() } else { vec![TextPart::Text(text)] },
        }
    }

    /// A quoted key or path: a text without `{…}`.
    pub(super) fn plain_text(&mut self, node: &Node<'s>) -> String {
        let written = node.as_str();
        let inner = written.get(1..written.len().saturating_sub(1)).unwrap_or("");
        if !inner.contains('\\') {
            return inner.to_owned();
        }
        let start = node.as_span().start() + 1;
        let mut out = String::with_capacity(inner.len());
        let mut rest = inner;
        while let Some(at) = rest.find('\\') {
            out.push_str(rest.get(..at).unwrap_or(""));
            let len = escape_len(rest.get(at..).unwrap_or(""));
            let escape = rest.get(at..at + len).unwrap_or("");
            let from = start + (inner.len() - rest.len()) + at;
            out.push_str(&self.resolve_escape(escape, Span::new(from, from + len)));
            rest = rest.get(at + len.max(1)..).unwrap_or("");
        }
        out.push_str(rest);
        out
    }

    fn escape(&mut self, node: &Node<'s>) -> String {
        let span = node.as_span();
        self.resolve_escape(span.as_str(), Span::new(span.start(), span.end()))
    }

    fn resolve_escape(&mut self, escape: &str, span: Span) -> String {
        let behind = escape.get(1..).unwrap_or("");
        let plain = match behind {
            "n" => "\n",
            "t" => "\t",
            "r" => "\r",
            "\"" | "'" | "\\" | "{" | "}" => behind,
            _ => {
                let code = behind.strip_prefix("u{").and_then(|code| code.strip_suffix('}'));
                let char = code.and_then(|code| u32::from_str_radix(code, 16).ok()).and_then(char::from_u32);
                if let Some(char) = char {
                    return char.to_string();
                }
                self.errors.push(diagnose::escape(escape, span));
                behind
            }
        };
        plain.to_owned()
    }
}

fn escape_len(text: &str) -> usize {
    if text.starts_with("\\u{") {
        return text.find('}').map_or(2, |at| at + 1);
    }
    1 + text.chars().nth(1).map_or(0, char::len_utf8)
}

/// In `'…'` a `"` needs no backslash, in `"…"` it does.
fn raw_in_double_quotes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '"' {
            out.push('\\');
        }
        out.push(c);
        if c == '\\' {
            out.extend(chars.next());
        }
    }
    out
}

fn joined(pieces: Vec<Piece>) -> Vec<TextPart> {
    let mut out: Vec<TextPart> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match piece {
            Piece::Written(text) | Piece::Escaped(text) => match out.last_mut() {
                _ if text.is_empty() => {}
                Some(TextPart::Text(before)) => before.push_str(&text),
                Some(TextPart::Expr(_)) | None => out.push(TextPart::Text(text)),
            },
            Piece::Part(part) => out.push(part),
        }
    }
    out
}

/// Takes the layout out of `"""`: where its first line is empty, that line break, the one before the closing quotes
/// and the indentation that all lines share are not part of the text.
fn remove_layout(pieces: &mut [Piece]) {
    let starts_empty = match pieces.first() {
        Some(Piece::Written(text)) => text.trim_start_matches([' ', '\t']).starts_with('\n'),
        _ => false,
    };
    if !starts_empty {
        return;
    }
    let indent = shared_indent(pieces);
    let last = pieces.len() - 1;
    for (at, piece) in pieces.iter_mut().enumerate() {
        let Piece::Written(text) = piece else { continue };
        let mut out = String::with_capacity(text.len());
        for (line_at, line) in text.split('\n').enumerate() {
            if line_at == 0 {
                // The rest of a line that began in another piece; of the first piece it is the empty first line.
                if at > 0 {
                    out.push_str(line);
                }
                continue;
            }
            if line_at > 1 || at > 0 {
                out.push('\n');
            }
            let blanks = line.len() - line.trim_start_matches([' ', '\t']).len();
            out.push_str(line.get(blanks.min(indent)..).unwrap_or(""));
        }
        if at == last
            && let Some((before, end)) = out.rsplit_once('\n').or(if at == 0 { Some(("", out.as_str())) } else { None })
            && end.trim_matches([' ', '\t']).is_empty()
        {
            out = before.to_owned();
        }
        *text = out;
    }
}

/// The least indentation of the lines with something on them, and of the closing quotes.
fn shared_indent(pieces: &[Piece]) -> usize {
    let mut least = usize::MAX;
    for piece in pieces {
        let Piece::Written(text) = piece else { continue };
        let lines: Vec<&str> = text.split('\n').collect();
        for (line_at, line) in lines.iter().enumerate().skip(1) {
            let blanks = line.len() - line.trim_start_matches([' ', '\t']).len();
            // The last line of a piece is followed by something else, be it the closing quotes.
            let ends_piece = line_at + 1 == lines.len();
            if blanks < line.len() || ends_piece {
                least = least.min(blanks);
            }
        }
    }
    if least == usize::MAX { 0 } else { least }
}

/// Returns the unit that a word or letter names.
fn unit_of(word: &str) -> DurationUnit {
    match word {
        "ms" | "millisecond" | "milliseconds" => DurationUnit::Millisecond,
        "s" | "sec" | "secs" | "second" | "seconds" => DurationUnit::Second,
        "m" | "min" | "mins" | "minute" | "minutes" => DurationUnit::Minute,
        "h" | "hr" | "hrs" | "hour" | "hours" => DurationUnit::Hour,
        "w" | "week" | "weeks" => DurationUnit::Week,
        "month" | "months" => DurationUnit::Month,
        "year" | "years" => DurationUnit::Year,
        _ => DurationUnit::Day,
    }
}
