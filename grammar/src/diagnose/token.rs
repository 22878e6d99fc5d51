//! Tokens of text that did not fit, for the rules that guess what was meant.
//!
//! Broken text alone is cut into tokens, and the cuts are generous: what no Flow program may contain is a token too.

use crate::parse::is_blank;
use crate::span::Span;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A word of any alphabet, with or without backticks.
    Word,
    /// Digits with `_` and `.`.
    Number,
    /// `9:00`.
    Time,
    /// A text with its quotes.
    Text,
    /// A text without its closing quote, to the end of the line.
    OpenText,
    /// One sign, or several that belong together in some language.
    Sign,
}

/// A token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'s> {
    pub(super) kind: Kind,
    pub(super) span: Span,
    pub(super) text: &'s str,
}

/// Signs of more than one character, long before short.
const SIGNS: [&str; 28] = [
    "===", "!==", "...", "<=>", "=>", "==", "!=", ">=", "<=", "<>", "&&", "||", "??", "?.", "?:", "..", "->", "//", "/*", "*/",
    ":=", "+=", "-=", "--", "=~", "++", "<-", "::",
];

/// Cuts `source[range]` into tokens; comments are left out.
pub(super) fn tokens(source: &str, range: Span) -> Vec<Token<'_>> {
    let mut out = Vec::new();
    let mut at = range.start as usize;
    let end = (range.end as usize).min(source.len());
    while at < end {
        let rest = source.get(at..end).unwrap_or("");
        let Some(first) = rest.chars().next() else { break };
        if is_blank(first) {
            at += first.len_utf8();
            continue;
        }
        if first == '#' {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        }
        let (kind, len) = cut(rest, first);
        out.push(Token { kind, span: Span::new(at, at + len), text: rest.get(..len).unwrap_or("") });
        at += len.max(1);
    }
    out
}

fn cut(rest: &str, first: char) -> (Kind, usize) {
    if first == '"' || first == '\'' {
        return text(rest, first);
    }
    if first == '`' {
        let end = rest.get(1..).and_then(|rest| rest.find(['`', '\n']));
        return match end {
            Some(end) if rest.as_bytes().get(end + 1) == Some(&b'`') => (Kind::Word, end + 2),
            _ => (Kind::Sign, 1),
        };
    }
    if first.is_ascii_digit() {
        return number(rest);
    }
    if first.is_alphabetic() || first == '_' {
        let len = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        return (Kind::Word, len);
    }
    let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
    (Kind::Sign, sign.map_or(first.len_utf8(), |sign| sign.len()))
}

fn number(rest: &str) -> (Kind, usize) {
    let bytes = rest.as_bytes();
    let digits =
        |from: usize| bytes.get(from..).unwrap_or_default().iter().take_while(|b| b.is_ascii_digit() || **b == b'_').count();
    let mut len = digits(0);
    let colon = |at: usize| bytes.get(at) == Some(&b':') && digits(at + 1) == 2;
    if len <= 2 && colon(len) {
        len += 3;
        if colon(len) {
            len += 3;
        }
        return (Kind::Time, len);
    }
    while bytes.get(len) == Some(&b'.') && digits(len + 1) > 0 {
        len += 1 + digits(len + 1);
    }
    (Kind::Number, len)
}

/// Finds the end of a text; `{…}` in it may hold texts again.
fn text(rest: &str, quote: char) -> (Kind, usize) {
    let bytes = rest.as_bytes();
    let triple = rest.starts_with("\"\"\"");
    // Open quotes and holes, the innermost last.
    let mut open: Vec<u8> = vec![if triple { b'3' } else { quote as u8 }];
    let mut at = if triple { 3 } else { 1 };
    while let Some(byte) = bytes.get(at).copied() {
        let Some(inner) = open.last().copied() else { break };
        if byte == b'\n' && !triple {
            break;
        }
        if inner == b'{' {
            match byte {
                b'}' => {
                    open.pop();
                }
                b'{' | b'"' | b'\'' => open.push(byte),
                _ => {}
            }
            at += 1;
        } else if byte == b'\\' {
            at += 2;
        } else if inner == b'3' && rest.get(at..).is_some_and(|rest| rest.starts_with("\"\"\"")) {
            open.pop();
            at += 3;
        } else {
            if byte == b'{' {
                open.push(byte);
            } else if byte == inner {
                open.pop();
            }
            at += 1;
        }
        if open.is_empty() {
            return (Kind::Text, at);
        }
    }
    // Braces may have led astray: a plain look for the closing quote.
    if !triple {
        let line = rest.get(1..).unwrap_or("");
        let line = line.get(..line.find('\n').unwrap_or(line.len())).unwrap_or("");
        if open.len() > 1
            && let Some(end) = line.find(quote)
        {
            return (Kind::Text, end + 2);
        }
        return (Kind::OpenText, 1 + line.trim_end().len());
    }
    (Kind::OpenText, 3)
}
