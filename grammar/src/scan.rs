//! One quick look over a text before it is parsed: where the comments are, how deep the brackets go, which texts
//! are never closed.
//!
//! It knows just enough of the syntax for that. The parser relies on it for two things: that what is handed to pest
//! is not nested deeply, and that comments, which pest skips, are not lost.

use crate::diagnose::is_reserved;
use crate::span::Span;

/// How deep brackets, and texts within `{…}` of texts, may be nested.
pub(crate) const MAX_DEPTH: usize = 64;

/// A comment as found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RawComment {
    /// From its first `#` to its last visible character.
    pub(crate) span: Span,
    /// It begins with exactly two `#`.
    pub(crate) doc: bool,
    /// Nothing but blanks stands before it on its line.
    pub(crate) own_line: bool,
}

/// What the look found wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// More than [`MAX_DEPTH`] brackets are open; the rest of the item was not looked at.
    TooDeep,
    /// A text runs into the end of its line, or of the file.
    UnclosedText,
    /// A comment inside `{…}` of a text.
    CommentInText,
    /// A name in backticks with `${…}` in it.
    Backticks,
}

/// The result.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// All comments in order.
    pub(crate) comments: Vec<RawComment>,
    /// What is wrong, in order; the span is the character or text that shows it.
    pub(crate) troubles: Vec<(Trouble, Span)>,
}

/// How a text is quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// `(`, `[` or `{` in code.
    Bracket(u8),
    /// `{` in a text.
    Hole { line: bool },
    /// `"` or `'`.
    Line { quote: u8, start: usize },
    /// `"""`.
    Triple { start: usize },
}

/// Looks over `source`.
pub(crate) fn scan(source: &str) -> Scan {
    Scanner { bytes: source.as_bytes(), source, out: Scan::default(), stack: Vec::new(), at: 0, triple_off: false }.run()
}

/// Returns whether a word that begins an item stands at `at`, a line's first column.
pub(crate) fn is_top_word(source: &str, at: usize) -> bool {
    let rest = source.get(at..).unwrap_or("");
    let word_len = rest.bytes().take_while(u8::is_ascii_lowercase).count();
    let (word, behind) = rest.split_at(word_len);
    let trimmed = behind.trim_start_matches([' ', '\t']);
    match word {
        "when" | "every" => !behind.bytes().next().is_some_and(is_word),
        "flow" | "connector" => {
            let quoted = trimmed.strip_prefix('`').and_then(|rest| rest.find('`')).map(|len| len + 2);
            let name_len = quoted.unwrap_or_else(|| trimmed.bytes().take_while(|b| is_word(*b)).count());
            let (name, end) = trimmed.split_at(name_len);
            let is_name = name.starts_with(|c: char| !c.is_ascii_digit());
            let is_operator = is_reserved(name) || matches!(name, "matches" | "starts" | "ends");
            let end = end.trim_start_matches([' ', '\t']);
            let end_word = end.bytes().take_while(|b| is_word(*b)).count();
            let ends = end.is_empty()
                || end.starts_with(['\n', '\r', '#', '"', '\'', '{'])
                || matches!(end.get(..end_word), Some("when" | "every"));
            trimmed.len() < behind.len() && is_name && !is_operator && ends
        }
        "test" => trimmed.len() < behind.len() && trimmed.starts_with(['"', '\'']),
        _ => false,
    }
}

/// Returns where the first item begins that stands in column 0 behind `from`.
pub(crate) fn next_item(source: &str, from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += source.get(at..)?.find('\n')? + 1;
        if is_top_word(source, at) {
            return Some(at);
        }
    }
}

/// Returns whether `byte` can continue a word.
pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

struct Scanner<'s> {
    bytes: &'s [u8],
    source: &'s str,
    out: Scan,
    stack: Vec<Mode>,
    at: usize,
    /// A `"""` ran to the end of the file: no later one can be trusted.
    triple_off: bool,
}

impl Scanner<'_> {
    fn run(mut self) -> Scan {
        loop {
            while let Some(byte) = self.peek(0) {
                match self.stack.last().copied() {
                    Some(Mode::Line { quote, start }) => self.in_line_text(byte, quote, start),
                    Some(Mode::Triple { .. }) => self.in_triple_text(byte),
                    Some(Mode::Bracket(_) | Mode::Hole { .. }) | None => self.in_code(byte),
                }
            }
            // A `"""` that is never closed has swallowed the rest: take up again behind its line.
            let open = self.stack.iter().find_map(|mode| match mode {
                Mode::Triple { start } => Some(*start),
                Mode::Bracket(_) | Mode::Hole { .. } | Mode::Line { .. } => None,
            });
            if let Some(start) = open.filter(|_| !self.triple_off) {
                self.triple_off = true;
                self.trouble(Trouble::UnclosedText, start, start + 3);
                self.out.comments.retain(|c| (c.span.start as usize) < start);
                self.stack.clear();
                self.at = self.line_end(start);
            } else {
                break;
            }
        }
        if let Some(Mode::Line { start, .. }) = self.stack.last().copied() {
            self.trouble(Trouble::UnclosedText, start, self.bytes.len());
        }
        self.out
    }

    fn in_code(&mut self, byte: u8) {
        match byte {
            b'\n' => {
                self.at += 1;
                if matches!(self.stack.last(), Some(Mode::Hole { line: true })) {
                    self.unclosed_line_text();
                }
                if !self.stack.is_empty() {
                    self.begin_line();
                }
            }
            b'#' => self.comment(),
            b'"' | b'\'' => self.text(byte),
            b'(' | b'[' | b'{' => {
                self.at += 1;
                self.push(Mode::Bracket(byte));
            }
            b')' | b']' | b'}' => self.close(byte),
            b'`' => {
                let rest = self.bytes.get(self.at + 1..).unwrap_or_default();
                let end = rest.iter().position(|b| matches!(b, b'`' | b'\n'));
                if let Some(end) = end.filter(|end| rest.get(*end) == Some(&b'`'))
                    && rest.get(..end).is_some_and(|name| name.windows(2).any(|pair| pair == b"${"))
                {
                    self.trouble(Trouble::Backticks, self.at, self.at + end + 2);
                }
                self.at += match end {
                    Some(end) if rest.get(end) == Some(&b'`') => end + 2,
                    _ => 1,
                };
            }
            _ => self.at += 1,
        }
    }

    /// Forgets what was left open where a new item begins.
    fn begin_line(&mut self) {
        let in_text = self.stack.iter().any(|m| matches!(m, Mode::Hole { .. }));
        if !in_text && is_top_word(self.source, self.at) {
            self.stack.clear();
        }
    }

    fn comment(&mut self) {
        let start = self.at;
        let end = self.line_end(start);
        self.at = end;
        let in_text = self.stack.iter().any(|m| matches!(m, Mode::Hole { .. }));
        let text = self.source.get(start..end).unwrap_or("");
        let span = Span::new(start, start + text.trim_end().len());
        if in_text {
            self.out.troubles.push((Trouble::CommentInText, span));
            return;
        }
        let before = self.source.get(..start).unwrap_or("");
        let line = before.rfind('\n').map_or(before, |at| before.get(at + 1..).unwrap_or(""));
        self.out.comments.push(RawComment {
            span,
            doc: text.starts_with("##") && !text.starts_with("###"),
            own_line: line.trim_matches(['\u{FEFF}']).trim().is_empty(),
        });
    }

    fn text(&mut self, quote: u8) {
        let start = self.at;
        if self.is_raw() {
            self.at += 1;
            while let Some(byte) = self.peek(0) {
                match byte {
                    b'\\' if self.peek(1).is_some_and(|b| b != b'\n') => self.at += 2,
                    b'\n' => return self.trouble(Trouble::UnclosedText, start, self.at),
                    _ => self.at += 1,
                }
                if byte == quote {
                    return;
                }
            }
            self.trouble(Trouble::UnclosedText, start, self.at);
        } else if quote == b'"' && self.starts_with(b"\"\"\"") && !self.triple_off {
            self.at += 3;
            self.push(Mode::Triple { start });
        } else {
            self.at += 1;
            self.push(Mode::Line { quote, start });
        }
    }

    /// Whether the word before is `matches`.
    fn is_raw(&self) -> bool {
        let before = self.source.get(..self.at).unwrap_or("").trim_end();
        before
            .strip_suffix("matches")
            .is_some_and(|rest| before.len() < self.at && !rest.bytes().next_back().is_some_and(|b| is_word(b) || b == b'.'))
    }

    fn in_line_text(&mut self, byte: u8, quote: u8, start: usize) {
        match byte {
            b'\\' if self.peek(1).is_some_and(|b| b != b'\n') => self.at += 2,
            b'\n' => {
                self.trouble(Trouble::UnclosedText, start, self.at);
                self.stack.pop();
                // A text within a text takes its owner with it.
                if matches!(self.stack.last(), Some(Mode::Hole { line: true })) {
                    self.drop_line_text();
                }
            }
            b'{' => {
                self.at += 1;
                self.push(Mode::Hole { line: true });
            }
            _ => {
                if byte == quote {
                    self.stack.pop();
                }
                self.at += 1;
            }
        }
    }

    fn in_triple_text(&mut self, byte: u8) {
        match byte {
            b'\\' => self.at += 2,
            b'{' => {
                self.at += 1;
                self.push(Mode::Hole { line: false });
            }
            b'"' if self.starts_with(b"\"\"\"") => {
                self.stack.pop();
                self.at += 3;
            }
            _ => self.at += 1,
        }
    }

    fn close(&mut self, byte: u8) {
        self.at += 1;
        let open = match byte {
            b')' => b'(',
            b']' => b'[',
            _ => b'{',
        };
        // Only the brackets of the innermost text, or of the code around all texts, count.
        let floor = self.stack.iter().rposition(|mode| !matches!(mode, Mode::Bracket(_))).unwrap_or(0);
        let partner = self.stack.iter().rposition(|mode| *mode == Mode::Bracket(open)).filter(|at| *at >= floor);
        if let Some(partner) = partner {
            self.stack.truncate(partner);
        } else if byte == b'}' && matches!(self.stack.get(floor), Some(Mode::Hole { .. })) {
            self.stack.truncate(floor);
        }
    }

    /// The line ends inside `{…}` of a text.
    fn unclosed_line_text(&mut self) {
        let start = self.drop_line_text();
        if let Some(start) = start {
            self.trouble(Trouble::UnclosedText, start, self.at - 1);
        }
    }

    /// Drops the outermost text of a line and all within, and returns where it began.
    fn drop_line_text(&mut self) -> Option<usize> {
        let from = self
            .stack
            .iter()
            .rposition(|mode| !matches!(mode, Mode::Line { .. } | Mode::Hole { line: true } | Mode::Bracket(_)))
            .map_or(0, |at| at + 1);
        let at = from + self.stack.get(from..).unwrap_or_default().iter().position(|mode| matches!(mode, Mode::Line { .. }))?;
        let start = match self.stack.get(at) {
            Some(Mode::Line { start, .. }) => Some(*start),
            _ => None,
        };
        self.stack.truncate(at);
        start
    }

    /// Opens a bracket or text at the current place, or gives this item up.
    fn push(&mut self, mode: Mode) {
        if self.stack.len() < MAX_DEPTH {
            self.stack.push(mode);
            return;
        }
        self.trouble(Trouble::TooDeep, self.at.saturating_sub(1), self.at);
        self.stack.clear();
        self.at = next_item(self.source, self.at).unwrap_or(self.bytes.len());
    }

    fn trouble(&mut self, trouble: Trouble, start: usize, end: usize) {
        self.out.troubles.push((trouble, Span::new(start, end)));
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    fn starts_with(&self, what: &[u8]) -> bool {
        self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(what))
    }

    fn line_end(&self, from: usize) -> usize {
        let rest = self.bytes.get(from..).unwrap_or_default();
        rest.iter().position(|b| *b == b'\n').map_or(self.bytes.len(), |at| from + at)
    }
}
