//! Texts, numbers, durations, names.

use super::Printer;
use crate::syntax::{DurationLit, DurationUnit, Ident, NumberLit, Quote, Rate, TextLit, TextPart, TimeLit, WirePath};

/// Returns a number with `_` between its thousands, from five digits on.
pub(super) fn number(number: &NumberLit) -> String {
    let digits = number.digits.as_str();
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut out = String::with_capacity(digits.len() + 4);
    for (at, digit) in whole.chars().enumerate() {
        if whole.len() > 4 && at > 0 && (whole.len() - at) % 3 == 0 {
            out.push('_');
        }
        out.push(digit);
    }
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

/// Returns a duration in words.
pub(super) fn duration(duration: &DurationLit) -> String {
    let parts: Vec<String> = duration
        .parts
        .iter()
        .map(|(amount, unit)| {
            let word = match unit {
                DurationUnit::Millisecond => "millisecond",
                DurationUnit::Second => "second",
                DurationUnit::Minute => "minute",
                DurationUnit::Hour => "hour",
                DurationUnit::Day => "day",
                DurationUnit::Week => "week",
                DurationUnit::Month => "month",
                DurationUnit::Year => "year",
            };
            let plural = if amount.digits == "1" { "" } else { "s" };
            format!("{} {word}{plural}", number(amount))
        })
        .collect();
    parts.join(" ")
}

pub(super) fn rate(rate: &Rate) -> String {
    match rate {
        Rate::Unit(unit) => unit.text.clone(),
        Rate::Duration(lit) => duration(lit),
    }
}

pub(super) fn time(time: &TimeLit) -> String {
    if time.second == 0 {
        format!("{:02}:{:02}", time.hour, time.minute)
    } else {
        format!("{:02}:{:02}:{:02}", time.hour, time.minute, time.second)
    }
}

/// `once`, `twice`, or a number and `times`.
pub(super) fn times(count: &NumberLit) -> String {
    match count.digits.as_str() {
        "1" => "once".to_owned(),
        "2" => "twice".to_owned(),
        _ => format!("{} times", number(count)),
    }
}

/// `once` or a number, where `times` does not follow.
pub(super) fn count(count: &NumberLit) -> String {
    if count.digits == "1" { "once".to_owned() } else { number(count) }
}

/// Returns a name, in backticks where it needs them.
pub(super) fn name(name: &Ident) -> String {
    let text = name.text.as_str();
    if is_plain(text) && !is_reserved(text) { text.to_owned() } else { format!("`{text}`") }
}

/// Returns a name before a colon, where three of the words are not reserved.
pub(super) fn before_colon(ident: &Ident) -> String {
    if matches!(ident.text.as_str(), "in" | "when" | "every") { ident.text.clone() } else { name(ident) }
}

/// Returns `a.b.c`: behind a dot no word is reserved.
pub(super) fn path(path: &[Ident]) -> String {
    let mut out = String::new();
    for (at, part) in path.iter().enumerate() {
        if at == 0 {
            out.push_str(&name(part));
        } else {
            out.push('.');
            out.push_str(&member(part));
        }
    }
    out
}

pub(super) fn member(part: &Ident) -> String {
    if is_plain(&part.text) { part.text.clone() } else { format!("`{}`", part.text) }
}

/// Returns a key: quoted, or `a.b`.
pub(super) fn key(key: &Ident, quoted: bool) -> String {
    if quoted {
        return quoted_key(&key.text);
    }
    let parts: Vec<Ident> = key.text.split('.').map(|part| Ident { text: part.to_owned(), span: key.span }).collect();
    path(&parts)
}

pub(super) fn wire(wire: &WirePath) -> String {
    if wire.quoted {
        return quoted_key(&wire.text);
    }
    let parts: Vec<Ident> = wire.text.split('.').map(|part| Ident { text: part.to_owned(), span: wire.span }).collect();
    path(&parts)
}

/// A member of an enum: quoted where it is no name.
pub(super) fn enum_word(word: &Ident) -> String {
    if is_plain(&word.text) && !is_reserved(&word.text) { word.text.clone() } else { quoted_key(&word.text) }
}

/// Returns a key or a path in quotes, which is never filled in.
pub fn quoted_key(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

pub(super) fn is_plain(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn is_reserved(word: &str) -> bool {
    crate::diagnose::is_reserved(word)
}

impl Printer<'_> {
    pub(super) fn text(&mut self, text: &TextLit) {
        match text.quote {
            Quote::Double | Quote::Single => {
                let mut out = String::from("\"");
                for part in &text.parts {
                    match part {
                        TextPart::Text(text) => escaped(text, &mut out),
                        TextPart::Expr(expr) => {
                            out.push('{');
                            out.push_str(&self.flat(|p| p.expr(expr)));
                            out.push('}');
                        }
                    }
                }
                out.push('"');
                self.write(&out);
            }
            Quote::Raw => {
                self.write("\"");
                for part in &text.parts {
                    if let TextPart::Text(text) = part {
                        self.write(text);
                    }
                }
                self.write("\"");
            }
            Quote::Triple => self.triple(text),
        }
    }

    /// The lines stand two columns further in, and so do the closing quotes.
    fn triple(&mut self, text: &TextLit) {
        let mut lines = vec![String::new()];
        for part in &text.parts {
            match part {
                TextPart::Text(text) => {
                    for (at, piece) in text.split('\n').enumerate() {
                        if at > 0 {
                            lines.push(String::new());
                        }
                        if let Some(line) = lines.last_mut() {
                            escaped_line(piece, line);
                        }
                    }
                }
                TextPart::Expr(expr) => {
                    let inner = self.flat(|p| p.expr(expr));
                    if let Some(line) = lines.last_mut() {
                        line.push('{');
                        line.push_str(&inner);
                        line.push('}');
                    }
                }
            }
        }
        self.write("\"\"\"");
        self.indented(|p| {
            for line in &lines {
                p.text_line(line);
            }
            p.text_line("\"\"\"");
        });
    }
}

/// Returns a text in quotes, with nothing filled in.
pub fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    escaped(text, &mut out);
    out.push('"');
    out
}

fn escaped(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '"' | '\\' | '{' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => out.push_str(&format!("\\u{{{:X}}}", u32::from(c))),
            c => out.push(c),
        }
    }
}

fn escaped_line(text: &str, out: &mut String) {
    let text = text.replace('\\', "\\\\").replace('{', "\\{").replace("\"\"\"", "\\\"\\\"\\\"");
    for c in text.chars() {
        match c {
            '\r' => out.push_str("\\r"),
            '\t' => out.push(c),
            c if c.is_control() => out.push_str(&format!("\\u{{{:X}}}", u32::from(c))),
            c => out.push(c),
        }
    }
}
