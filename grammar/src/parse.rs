//! Text to syntax tree.
//!
//! [`parse`] never fails: what cannot be read becomes a `Bad` node with a diagnostic, and the rest of the file is
//! read as if it were not there. The work is done in three steps: `scan` finds comments and what must not be
//! handed to pest, pest finds the structure, the builder here turns it into the tree. Errors are worked out
//! afterwards, and only for the text that did not fit (`diagnose`).

mod connector;
mod expr;
mod flow;
mod http;
mod literal;
mod operator;
mod step;
mod test;
mod types;

use pest::Parser;
use pest::iterators::{Pair, Pairs};

use crate::diagnose;
use crate::error::SyntaxError;
use crate::grammar::{FlowParser, Rule};
use crate::scan::{self, RawComment, Scan, Trouble};
use crate::span::Span;
pub(crate) use operator::MAX_HEIGHT;

use crate::syntax::{Comment, Docs, File, Ident, Item, NumberLit};

/// What a text says, as far as it can be read.
#[derive(Debug, Clone, Default)]
pub struct Parsed {
    /// The tree.
    pub file: File,
    /// What is wrong with the text, in the order of the text.
    pub errors: Vec<SyntaxError>,
}

/// Reads a text. Never fails: mistakes are listed beside the tree.
///
/// ```
/// let parsed = flow_grammar::parse("when stripe.charge_failed do slack.post_message");
/// assert!(parsed.errors.is_empty());
/// assert_eq!(parsed.file.items.len(), 1);
/// ```
pub fn parse(source: &str) -> Parsed {
    let scan = scan::scan(source);
    let deep = deep_items(source, &scan);
    let masked;
    let text = if deep.is_empty() {
        source
    } else {
        masked = mask(source, &deep);
        &masked
    };
    let mut builder = Builder::new(source, &scan.comments);
    match FlowParser::parse(Rule::file, text) {
        Ok(pairs) => builder.file(pairs),
        // Only where the stack is nearly used up already by the caller.
        Err(_) => builder.give_up(),
    }
    let mut parsed = builder.finish();
    diagnose::deep(&deep, &mut parsed);
    diagnose::troubles(source, &scan, &mut parsed);
    parsed.errors.sort_by_key(|error| (error.span.start, error.span.end));
    parsed
}

/// An item that is nested too deeply to be read.
pub(crate) struct DeepItem {
    /// The item.
    pub(crate) item: Span,
    /// The bracket that is one too many.
    pub(crate) at: Span,
}

fn deep_items(source: &str, scan: &Scan) -> Vec<DeepItem> {
    scan.troubles
        .iter()
        .filter(|(trouble, _)| *trouble == Trouble::TooDeep)
        .map(|(_, at)| DeepItem { item: item_around(source, at.start as usize), at: *at })
        .collect()
}

/// Returns the lines from the item word in column 0 at or before `at` to the next one.
pub(crate) fn item_around(source: &str, at: usize) -> Span {
    let is_start = |line: usize| line == 0 || scan::is_top_word(source, line);
    let mut start = at;
    loop {
        let before = source.get(..start).unwrap_or("");
        start = before.rfind('\n').map_or(0, |newline| newline + 1);
        if is_start(start) {
            break;
        }
        start -= 1;
    }
    let end = scan::next_item(source, at).map_or(source.len(), |next| next - 1);
    Span::new(start, end)
}

/// Returns `source` with blanks in place of the items, line breaks kept.
fn mask(source: &str, items: &[DeepItem]) -> String {
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    for item in items {
        let range = item.item.range();
        out.push_str(source.get(at..range.start).unwrap_or(""));
        let hidden = source.get(range.start.max(at)..range.end).unwrap_or("");
        out.extend(hidden.bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }));
        at = range.end.max(at);
    }
    out.push_str(source.get(at..).unwrap_or(""));
    out
}

/// One piece of structure.
type Node<'s> = Pair<'s, Rule>;

/// The pieces of a node, taken one after the other.
struct Parts<'s>(Pairs<'s, Rule>);

impl<'s> Parts<'s> {
    fn of(node: Node<'s>) -> Self {
        Self(node.into_inner())
    }

    fn next(&mut self) -> Option<Node<'s>> {
        self.0.next()
    }

    fn peek(&self) -> Option<Rule> {
        self.0.peek().map(|node| node.as_rule())
    }

    /// Takes the next piece if it is of this rule.
    fn take(&mut self, rule: Rule) -> Option<Node<'s>> {
        if self.peek()? == rule { self.0.next() } else { None }
    }

    /// Skips to the next piece of this rule.
    fn find(&mut self, rule: Rule) -> Option<Node<'s>> {
        self.0.by_ref().find(|node| node.as_rule() == rule)
    }
}

/// Turns structure into the tree.
pub(crate) struct Builder<'s> {
    source: &'s str,
    comments: &'s [RawComment],
    has_docs: bool,
    /// Which doc comments belong to a node.
    used_docs: Vec<bool>,
    errors: Vec<SyntaxError>,
    items: Vec<Item>,
    /// Height of the expression that was built last.
    height: u32,
    /// Within an expression that was reported as too high.
    reported_height: bool,
}

impl<'s> Builder<'s> {
    pub(crate) fn new(source: &'s str, comments: &'s [RawComment]) -> Self {
        let has_docs = comments.iter().any(|comment| comment.doc && comment.own_line);
        Self {
            source,
            comments,
            has_docs,
            used_docs: if has_docs { vec![false; comments.len()] } else { Vec::new() },
            errors: Vec::new(),
            items: Vec::new(),
            height: 0,
            reported_height: false,
        }
    }

    fn file(&mut self, pairs: Pairs<'s, Rule>) {
        let mut previous: Option<Span> = None;
        for node in pairs.flat_map(Pair::into_inner) {
            let span = self.span(&node);
            self.reported_height = false;
            let item = match node.as_rule() {
                Rule::flow => Item::Flow(self.flow(node)),
                Rule::test => Item::Test(self.test(node)),
                Rule::connector => Item::Connector(self.connector(node)),
                Rule::bad_item => {
                    self.errors.push(diagnose::item(self.source, previous, span));
                    Item::Bad(span)
                }
                _ => continue,
            };
            previous = Some(span);
            self.items.push(item);
        }
    }

    fn give_up(&mut self) {
        let span = Span::new(0, self.source.len());
        self.errors.push(
            SyntaxError::new("E106", Span::new(0, 0), "this file is nested too deeply to be read")
                .help("name the inner values with `let` and use the names"),
        );
        self.items.push(Item::Bad(span));
    }

    fn finish(self) -> Parsed {
        let used = self.used_docs;
        let comments = self
            .comments
            .iter()
            .enumerate()
            .filter(|(at, _)| !used.get(*at).copied().unwrap_or(false))
            .map(|(_, comment)| Comment {
                span: comment.span,
                text: comment.span.text(self.source).get(1..).unwrap_or("").to_owned(),
            })
            .collect();
        Parsed { file: File { items: self.items, comments }, errors: self.errors }
    }

    /// Returns where a node stands, without the blanks and comments behind its last token.
    fn span(&self, node: &Node<'s>) -> Span {
        let span = node.as_span();
        Span::new(span.start(), self.trim_end(span.start(), span.end()))
    }

    fn trim_end(&self, start: usize, end: usize) -> usize {
        let bytes = self.source.as_bytes();
        let mut end = end;
        loop {
            let last = end.checked_sub(1).and_then(|at| bytes.get(at)).copied().unwrap_or(b'x');
            // Blanks end a node unless the line break before the next item does: then a comment may be the end.
            let next = bytes.get(end).copied().unwrap_or(b'\n');
            if next != b'\n' && last > b' ' && last < 0x80 {
                return end;
            }
            let text = self.source.get(start..end).unwrap_or("");
            end = start + text.trim_end_matches(is_blank).len();
            let behind = self.comments.partition_point(|c| (c.span.start as usize) < end);
            match behind.checked_sub(1).and_then(|at| self.comments.get(at)) {
                Some(comment) if end <= comment.span.end as usize && comment.span.start as usize >= start => {
                    end = comment.span.start as usize;
                }
                _ => return end,
            }
        }
    }

    /// Returns the doc comment that ends right before `start`, and marks it as used.
    fn docs(&mut self, start: u32) -> Docs {
        if !self.has_docs {
            return Docs::default();
        }
        let mut at = self.comments.partition_point(|c| c.span.start < start);
        let mut until = start as usize;
        let mut first = None;
        let mut last = None;
        let mut lines = Vec::new();
        while let Some(comment) = at.checked_sub(1).and_then(|at| self.comments.get(at)) {
            let between = self.source.get(comment.span.end as usize..until).unwrap_or("x");
            if !comment.own_line || !between.trim_matches(is_blank).is_empty() {
                break;
            }
            at -= 1;
            until = comment.span.start as usize;
            if comment.doc {
                let text = comment.span.text(self.source).get(2..).unwrap_or("");
                lines.push(text.strip_prefix(' ').unwrap_or(text).to_owned());
                if let Some(used) = self.used_docs.get_mut(at) {
                    *used = true;
                }
                first = Some(comment.span);
                last = last.or(Some(comment.span));
            }
        }
        lines.reverse();
        match (first, last) {
            (Some(first), Some(last)) => Docs { lines, span: first.to(last) },
            _ => Docs::default(),
        }
    }

    /// Returns a name, without backticks.
    fn ident(&self, node: &Node<'s>) -> Ident {
        let span = node.as_span();
        let text = span.as_str();
        Ident { text: text.trim_matches('`').to_owned(), span: Span::new(span.start(), span.end()) }
    }

    /// Takes a name where the grammar has one.
    fn take_ident(&self, parts: &mut Parts<'s>) -> Ident {
        parts.take(Rule::name).map_or_else(|| Ident { text: String::new(), span: Span::default() }, |node| self.ident(&node))
    }

    /// Takes `a.b.c`.
    fn take_path(&self, parts: &mut Parts<'s>) -> Vec<Ident> {
        let mut path = Vec::with_capacity(2);
        while let Some(Rule::name | Rule::member) = parts.peek() {
            // A second name would belong to something else.
            if !path.is_empty() && parts.peek() == Some(Rule::name) {
                break;
            }
            if let Some(node) = parts.next() {
                path.push(self.ident(&node));
            }
        }
        path
    }

    /// Takes names up to the next piece of another kind.
    fn take_idents(&self, parts: &mut Parts<'s>) -> Vec<Ident> {
        let mut names = Vec::new();
        while let Some(node) = parts.take(Rule::name) {
            names.push(self.ident(&node));
        }
        names
    }

    fn take_number(&mut self, parts: &mut Parts<'s>) -> NumberLit {
        match parts.take(Rule::number) {
            Some(node) => self.number(&node),
            None => NumberLit { span: Span::default(), digits: String::new() },
        }
    }

    fn take_numbers(&mut self, parts: &mut Parts<'s>) -> Vec<NumberLit> {
        let mut numbers = Vec::new();
        while let Some(node) = parts.take(Rule::number) {
            numbers.push(self.number(&node));
        }
        numbers
    }
}

/// Returns whether the character separates tokens.
pub(crate) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\n' | '\t' | '\r' | '\u{A0}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{3000}' | '\u{FEFF}')
}
