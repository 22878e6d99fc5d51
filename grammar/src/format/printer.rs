//! The paper: lines, indentation, and the comments on their way into them.

use super::expr::Spanned;
use crate::parse::is_blank;
use crate::scan::RawComment;
use crate::span::Span;
use crate::syntax::{Docs, Item};

/// Lines end here at the latest, where they can be broken.
pub(crate) const WIDTH: usize = 100;

/// Writes canonical text.
pub(crate) struct Printer<'s> {
    source: &'s str,
    comments: &'s [RawComment],
    /// Comments before this place are written.
    cursor: u32,
    out: String,
    /// Where the current line begins in `out`.
    line_start: usize,
    indent: usize,
    /// A comment was written: the line has to end before anything else.
    comment_open: bool,
    /// Everything on one line, to see how long it becomes.
    flat: bool,
    /// Doc comments are left out.
    no_docs: bool,
    /// Columns to keep free behind what is written next.
    pub(super) reserve: usize,
}

impl<'s> Printer<'s> {
    pub(crate) fn new(source: &'s str, comments: &'s [RawComment]) -> Self {
        Self {
            source,
            comments,
            cursor: 0,
            out: String::new(),
            line_start: 0,
            indent: 0,
            comment_open: false,
            flat: false,
            no_docs: false,
            reserve: 0,
        }
    }

    /// A printer without a source: no comments, doc comments from the nodes.
    pub(crate) fn detached() -> Printer<'static> {
        Printer::new("", &[])
    }

    /// Leaves doc comments out.
    pub(crate) fn without_docs(mut self) -> Self {
        self.no_docs = true;
        self
    }

    pub(crate) fn finish(self) -> String {
        self.out
    }

    pub(super) fn is_flat(&self) -> bool {
        self.flat
    }

    /// Writes the item on paper of its own, and returns it with the place up to which its comments are in it.
    pub(super) fn item(&self, item: &Item, span: Span) -> (String, u32) {
        let mut own = Printer::new(self.source, self.comments);
        own.cursor = span.start;
        match item {
            Item::Flow(flow) => own.flow(flow),
            Item::Test(test) => own.test(test),
            Item::Connector(connector) => own.connector(connector),
            Item::Bad(span) => {
                own.out.push_str(span.text(self.source).trim_end());
                own.cursor = span.end;
            }
        }
        own.inline_comments(span.end);
        (own.out, own.cursor)
    }

    // -------------------------------------------------------------------------------------- text

    /// Writes a text without line breaks. A blank at its start is left out at the start of a line.
    pub(super) fn write(&mut self, text: &str) {
        if self.comment_open {
            self.newline();
        }
        let text = if self.out.len() == self.line_start {
            let text = text.trim_start_matches(' ');
            if !text.is_empty() {
                self.out.extend(std::iter::repeat_n(' ', self.indent));
            }
            text
        } else {
            text
        };
        self.out.push_str(text);
    }

    /// Writes lines as they are.
    pub(super) fn raw(&mut self, text: &str) {
        self.out.push_str(text);
        self.line_start = self.out.rfind('\n').map_or(0, |at| at + 1);
        self.comment_open = false;
    }

    /// Ends the line if there is anything on it.
    pub(super) fn newline(&mut self) {
        if self.flat {
            // What needs several lines does not fit on one.
            self.out.push('\n');
            return;
        }
        self.comment_open = false;
        if self.out.len() > self.line_start {
            let len = self.out.trim_end_matches(' ').len();
            self.out.truncate(len.max(self.line_start));
            self.out.push('\n');
            self.line_start = self.out.len();
        }
    }

    /// Writes one line of a text of several lines, indented unless it is empty.
    pub(super) fn text_line(&mut self, line: &str) {
        self.out.push('\n');
        self.line_start = self.out.len();
        if !line.is_empty() {
            self.out.extend(std::iter::repeat_n(' ', self.indent));
            self.out.push_str(line);
        }
    }

    /// Writes one of many parts: on this line where it fits, else on the next.
    pub(super) fn filled(&mut self, text: &str) {
        if !self.flat && !self.fits(text) {
            self.newline();
        }
        self.write(text);
    }

    pub(super) fn indented(&mut self, inner: impl FnOnce(&mut Self)) {
        self.indent += 2;
        inner(self);
        self.indent -= 2;
    }

    fn column(&self) -> usize {
        let line = self.out.get(self.line_start..).unwrap_or("");
        if line.is_empty() { self.indent } else { line.chars().count() }
    }

    /// Returns what `inner` writes on one line; with a line break in it where that cannot be.
    pub(super) fn flat(&self, inner: impl FnOnce(&mut Printer<'_>)) -> String {
        let mut printer = Printer::detached();
        printer.flat = true;
        inner(&mut printer);
        printer.out
    }

    /// Returns whether `text` is one line and fits behind what is written.
    pub(super) fn fits(&self, text: &str) -> bool {
        !text.contains('\n') && self.column() + text.chars().count() + self.reserve <= WIDTH
    }

    /// Writes the node at `span` on this line if it fits and has no comments within, and broken otherwise.
    pub(super) fn group(&mut self, span: Span, flat: impl Fn(&mut Printer<'_>), broken: impl FnOnce(&mut Self)) {
        if self.flat {
            let text = self.flat(flat);
            self.out.push_str(&text);
            return;
        }
        self.inline_comments(span.start);
        if !self.has_comments(span) {
            let text = self.flat(flat);
            if self.fits(&text) {
                self.write(&text);
                return;
            }
        }
        broken(self);
    }

    // -------------------------------------------------------------------------------------- comments

    fn pending(&self, until: u32) -> impl Iterator<Item = RawComment> + use<'s> {
        let comments = self.comments;
        let from = comments.partition_point(|c| c.span.start < self.cursor);
        let to = comments.partition_point(|c| c.span.start < until).max(from);
        comments.get(from..to).unwrap_or_default().iter().copied()
    }

    /// Returns whether a comment that is not written yet stands in `span`.
    pub(super) fn has_comments(&self, span: Span) -> bool {
        let start = self.cursor.max(span.start);
        let at = self.comments.partition_point(|c| c.span.start < start);
        self.comments.get(at).is_some_and(|c| c.span.start < span.end)
    }

    /// Writes the comments before `until` where a token follows on the same line, or would.
    pub(super) fn inline_comments(&mut self, until: u32) {
        for comment in self.pending(until) {
            self.comment(comment);
        }
        self.skip_to(until);
    }

    fn comment(&mut self, comment: RawComment) {
        let has_text = self.out.len() > self.line_start;
        if comment.own_line || self.comment_open {
            self.newline();
        } else if has_text {
            let len = self.out.trim_end_matches(' ').len();
            self.out.truncate(len.max(self.line_start));
            self.out.push_str("  ");
        }
        self.write(comment.span.text(self.source));
        self.comment_open = true;
    }

    /// Begins a new line for what stands at `next`; comments before it are written first. With `blanks`, one blank
    /// line is kept where the source has any.
    pub(super) fn line_for(&mut self, next: u32, blanks: bool) {
        for comment in self.pending(next) {
            if comment.own_line {
                self.newline();
                if blanks && self.blank_before(comment.span.start) {
                    self.blank_line();
                }
            }
            self.comment(comment);
        }
        self.skip_to(next);
        self.newline();
        if blanks && self.blank_before(next) {
            self.blank_line();
        }
    }

    /// Writes the comments before a closing bracket at `close` on lines of their own, and begins a line.
    pub(super) fn line_for_close(&mut self, end: u32) {
        self.line_for(end.saturating_sub(1), false);
    }

    /// Writes the comments between a value that ends at `end` and its comma, if the source has one.
    pub(super) fn comments_before_comma(&mut self, end: u32) {
        let Some(first) = self.pending(u32::MAX).next() else { return };
        let place = self.next_token(end);
        if self.source.as_bytes().get(place as usize) == Some(&b',') && first.span.start < place {
            self.inline_comments(place);
        }
    }

    /// Returns where the token behind `end` begins.
    fn next_token(&self, end: u32) -> u32 {
        let mut at = end as usize;
        while let Some(rest) = self.source.get(at..) {
            let rest = rest.trim_start_matches(is_blank);
            at = self.source.len() - rest.len();
            if !rest.starts_with('#') {
                break;
            }
            at += rest.find('\n').unwrap_or(rest.len());
        }
        u32::try_from(at).unwrap_or(end)
    }

    /// Returns the span of fields with what stands before them on their line and the bracket behind them.
    pub(super) fn around<T: Spanned>(&self, values: &[T]) -> Span {
        let start = values.first().map_or(0, |value| value.span().start);
        let mut end = self.next_token(values.last().map_or(0, |value| value.span().end));
        if self.source.as_bytes().get(end as usize) == Some(&b',') {
            end = self.next_token(end + 1);
        }
        Span { start, end: end + 1 }
    }

    pub(super) fn source_text(&self) -> &'s str {
        self.source
    }

    /// Comments before this place count as written.
    pub(super) fn skip_to(&mut self, place: u32) {
        self.cursor = self.cursor.max(place);
    }

    /// Goes back, for nodes that are not printed in the order of the source.
    pub(super) fn at(&mut self, place: u32) -> u32 {
        std::mem::replace(&mut self.cursor, place)
    }

    /// Returns where the comments end that stand on the same line behind `place`.
    pub(super) fn line_comment_end(&self, place: u32) -> u32 {
        let at = self.comments.partition_point(|c| c.span.start < place);
        match self.comments.get(at) {
            Some(comment) if !comment.own_line => {
                let between = Span { start: place, end: comment.span.start };
                if between.text(self.source).trim_matches([' ', '\t', ',']).is_empty() { comment.span.end } else { place }
            }
            _ => place,
        }
    }

    /// Writes a doc comment where there is no source that has it.
    pub(super) fn docs(&mut self, docs: &Docs) {
        if !self.source.is_empty() || self.no_docs {
            return;
        }
        for line in &docs.lines {
            let text = if line.is_empty() { "##".to_owned() } else { format!("## {line}") };
            self.write(&text);
            self.newline();
        }
    }

    fn blank_before(&self, place: u32) -> bool {
        let before = self.source.get(..place as usize).unwrap_or("");
        let blanks = before.len() - before.trim_end().len();
        before.get(before.len() - blanks..).unwrap_or("").matches('\n').count() > 1
    }

    /// Writes an empty line, unless there is one or a block has just begun.
    fn blank_line(&mut self) {
        let begins = self.out.is_empty() || self.out.ends_with("\n\n") || self.out.ends_with("{\n");
        if !begins {
            self.out.push('\n');
            self.line_start = self.out.len();
        }
    }

    /// Writes what stands between two items.
    pub(super) fn item_gap(&mut self, next: u32, wants_blank: bool) {
        let mut wants_blank = wants_blank;
        for comment in self.pending(next) {
            if comment.own_line {
                self.newline();
                if wants_blank || self.blank_before(comment.span.start) {
                    self.blank_line();
                }
                wants_blank = false;
            }
            self.comment(comment);
        }
        self.skip_to(next);
        self.newline();
        if wants_blank || self.blank_before(next) {
            self.blank_line();
        }
    }

    /// Writes the comments behind the last item.
    pub(super) fn end_of_file(&mut self) {
        for comment in self.pending(u32::MAX) {
            if comment.own_line {
                self.newline();
                if self.blank_before(comment.span.start) {
                    self.blank_line();
                }
            }
            self.comment(comment);
        }
        self.newline();
    }
}
