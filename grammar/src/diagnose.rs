//! What to say about text that does not fit.

use pest::Parser;
use pest::error::InputLocation;

use crate::error::SyntaxError;
use crate::grammar::{FlowParser, Rule};
use crate::parse::{DeepItem, Parsed};
use crate::scan::{Scan, Trouble};
use crate::span::Span;
use crate::syntax::{Flow, Item, NumberLit, TimeLit};

pub(crate) struct Lines {
    rule: Rule,
    open: Span,
    previous: Option<Span>,
    bad: Option<Span>,
    unclosed: bool,
}

impl Lines {
    pub(crate) fn new(rule: Rule, whole: Span) -> Self {
        Self { rule, open: Span { start: whole.start, end: whole.start + 1 }, previous: None, bad: None, unclosed: false }
    }
    pub(crate) fn open(&mut self, span: Span) {
        self.open = span;
    }
    pub(crate) fn bad(&mut self, span: Span) -> bool {
        let new = self.bad.is_none();
        self.bad = Some(self.bad.map_or(span, |bad| bad.to(span)));
        new
    }
    pub(crate) fn unclosed(&mut self) {
        self.unclosed = true;
    }
    pub(crate) fn good(&mut self, span: Span, source: &str, errors: &mut Vec<SyntaxError>) {
        self.flush(source, errors);
        self.previous = Some(span);
    }
    fn flush(&mut self, source: &str, errors: &mut Vec<SyntaxError>) {
        if let Some(bad) = self.bad.take() {
            errors.push(general(source, self.rule, self.previous, bad));
        }
    }
    pub(crate) fn finish(mut self, source: &str, errors: &mut Vec<SyntaxError>) {
        self.flush(source, errors);
        if self.unclosed {
            errors.push(SyntaxError::new("E105", self.open, "this brace is never closed"));
        }
    }
}

fn general(source: &str, rule: Rule, previous: Option<Span>, bad: Span) -> SyntaxError {
    let from = previous.unwrap_or(bad).start as usize;
    let text = source.get(from..bad.end as usize).unwrap_or("");
    let (at, expected) = match FlowParser::parse(rule, text) {
        Err(error) => {
            let at = match error.location { InputLocation::Pos(at) => at, InputLocation::Span((at, _)) => at };
            (from + at, format!("{:?}", error.variant))
        }
        Ok(_) => (bad.start as usize, "?".to_owned()),
    };
    SyntaxError::new("E102", Span::new(at, at), format!("something else is expected here: {expected}"))
}

pub(crate) fn item(source: &str, previous: Option<Span>, bad: Span) -> SyntaxError {
    let column_0 = bad.start == 0 || source.as_bytes().get(bad.start as usize - 1) == Some(&b'\n');
    general(source, Rule::only_items, if column_0 { None } else { previous }, bad)
}
pub(crate) fn deep(items: &[DeepItem], parsed: &mut Parsed) {
    for item in items {
        parsed.errors.push(SyntaxError::new("E106", item.at, "nested too deeply"));
        parsed.file.items.push(Item::Bad(item.item));
    }
}
pub(crate) fn troubles(_source: &str, scan: &Scan, parsed: &mut Parsed) {
    for (trouble, span) in &scan.troubles {
        if *trouble == Trouble::UnclosedText {
            parsed.errors.push(SyntaxError::new("E103", *span, "this text is never closed"));
        }
    }
}
pub(crate) fn number(_source: &str, _number: &NumberLit) -> Option<SyntaxError> { None }
pub(crate) fn time(_source: &str, _time: &TimeLit) -> Option<SyntaxError> { None }
pub(crate) fn escape(text: &str, span: Span) -> SyntaxError { SyntaxError::new("E109", span, format!("`{text}` is no escape")) }
pub(crate) fn comparisons(_source: &str, first: Span, second: Span) -> SyntaxError { SyntaxError::new("E114", first.to(second), "two comparisons in a row") }
pub(crate) fn too_long(span: Span) -> SyntaxError { SyntaxError::new("E106", span, "too long") }
pub(crate) fn unexpected(_source: &str, span: Span) -> SyntaxError { SyntaxError::new("E102", span, "unexpected") }
pub(crate) fn flow(_source: &str, _flow: &Flow, _errors: &mut Vec<SyntaxError>) {}
pub(crate) fn behind_do(_source: &str, do_span: Span, _span: Span) -> SyntaxError { SyntaxError::new("E107", do_span, "nothing to do") }
pub(crate) fn rate(_source: &str, span: Span) -> SyntaxError { SyntaxError::new("E102", span, "expected a unit of time") }
pub(crate) fn twice(_source: &str, span: Span) -> SyntaxError { SyntaxError::new("E112", span, "twice") }
