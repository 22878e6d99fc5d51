//! The lines between two braces: which did not fit, and whether the closing brace is there.

use super::explain;
use super::token::tokens;
use crate::error::SyntaxError;
use crate::grammar::Rule;
use crate::span::Span;

/// Follows the lines of one pair of braces.
pub(crate) struct Lines {
    /// How one line is read strictly.
    place: Rule,
    /// The opening brace.
    open: Span,
    /// The last line that was read.
    previous: Option<Span>,
    /// Lines in a row that were not: one mistake.
    bad: Option<Span>,
    /// The closing brace is missing, and this is where it should have been at the latest.
    unclosed: Option<Span>,
}

impl Lines {
    /// Begins with the first character of `whole`, which is the opening brace unless [`Lines::open`] says otherwise.
    pub(crate) fn new(place: Rule, whole: Span) -> Self {
        Self { place, open: Span { start: whole.start, end: whole.start + 1 }, previous: None, bad: None, unclosed: None }
    }

    /// Says where the opening brace is.
    pub(crate) fn open(&mut self, span: Span) {
        self.open = span;
    }

    /// Adds a line that was read.
    pub(crate) fn good(&mut self, span: Span, source: &str, errors: &mut Vec<SyntaxError>) {
        self.explain_bad(source, errors);
        self.previous = Some(span);
    }

    /// Adds a line that was not, and returns whether it is the first in a row.
    pub(crate) fn bad(&mut self, span: Span) -> bool {
        let first = self.bad.is_none();
        self.bad = Some(self.bad.map_or(span, |bad| bad.to(span)));
        first
    }

    /// Says that the closing brace is missing before `end`.
    pub(crate) fn unclosed(&mut self, end: Span) {
        self.unclosed = Some(end);
    }

    /// Reports what is left to report.
    pub(crate) fn finish(mut self, source: &str, errors: &mut Vec<SyntaxError>) {
        let explained = self.explain_bad(source, errors);
        let Some(end) = self.unclosed else { return };
        // An unclosed brace within, or a bad line that swallowed the brace, is the cause already.
        let inner = |error: &SyntaxError| error.span.start >= self.open.start && error.code != "E108";
        if explained || errors.iter().rev().take(8).any(|error| inner(error) && matches!(error.code, "E103" | "E105")) {
            return;
        }
        errors.push(unclosed_brace(source, self.open, end));
    }

    fn explain_bad(&mut self, source: &str, errors: &mut Vec<SyntaxError>) -> bool {
        let Some(bad) = self.bad.take() else { return false };
        let error = explain(source, self.place, self.previous, bad);
        let swallowed = matches!(error.code, "E103" | "E105");
        errors.push(error);
        swallowed
    }
}

/// Finds the brace that was most likely forgotten: one whose partner is indented less than its own line.
fn unclosed_brace(source: &str, open: Span, end: Span) -> SyntaxError {
    let mut stack: Vec<(Span, usize)> = Vec::new();
    let mut suspect = open;
    // The indentation of the line that is being read.
    let mut indent = indent_before(source, open.start as usize);
    let mut behind = open.start as usize;
    let range = Span { start: open.start, end: end.start };
    for token in tokens(source, range) {
        let start = token.span.start as usize;
        let blanks = source.get(behind..start).unwrap_or("");
        let first = blanks.contains('\n');
        if let Some(newline) = blanks.rfind('\n') {
            indent = blanks.len() - newline - 1;
        }
        behind = token.span.end as usize;
        match token.text {
            "{" => stack.push((token.span, indent)),
            "}" => {
                if let Some((partner, opening)) = stack.pop()
                    && first
                    && indent < opening
                {
                    suspect = partner;
                    break;
                }
            }
            _ => {}
        }
    }
    let last = source.get(..end.start as usize).unwrap_or("").trim_end().len();
    SyntaxError::new("E105", suspect, "this brace is never closed")
        .label("its `}` is missing")
        .also(Span::new(last, last), "the text ends here, or the next item begins")
        .help("add `}` where the block ends")
}

/// Returns how far the line of `at` is indented.
fn indent_before(source: &str, at: usize) -> usize {
    let before = source.get(..at).unwrap_or("");
    let line = before.rfind('\n').map_or(before, |newline| before.get(newline + 1..).unwrap_or(""));
    line.len() - line.trim_start().len()
}
