//! Summaries: texts that a connector declares for its events, most specific first.

use flow_grammar::span::Span;
use flow_grammar::syntax::{Call, Expr, ExprKind, TextLit, TextPart};

use super::super::check::Checker;
use super::super::event::Event;
use super::Target;
use super::fill::Filled;
use super::write::{arg, expr, ident};
use crate::catalog::Input;

impl<'a> Checker<'a> {
    /// Fills in the inputs that a summary of the event is made for.
    pub(super) fn fill_summaries(
        &mut self,
        call: &Call,
        target: Target<'a>,
        is_given: &dyn Fn(usize) -> bool,
        filled: &mut Filled,
    ) {
        for (at, input) in target.operation.inputs.iter().enumerate() {
            if is_given(at) || !input.summary || !input.is_required() {
                continue;
            }
            let chosen = self.own_summaries().into_iter().find_map(|summary| self.fitting(summary, input, call.span));
            match chosen {
                Some(value) => {
                    let why = match self.event() {
                        Event::Known(source) => format!("the summary of {}", source.path()),
                        Event::Several => "the summary that these events share".to_owned(),
                        Event::None | Event::Unknown | Event::Bare(_) => "a summary".to_owned(),
                    };
                    filled.told.push((input.name.clone(), super::super::show::expr(&value), why));
                    filled.args.push((at, arg(&input.name, value, call.span)));
                }
                None if matches!(self.event(), Event::Unknown) => {}
                None => self.not_given(input, call, target),
            }
        }
    }

    /// The summaries of the event. Of several triggers those that all have: another would tell of the wrong event.
    fn own_summaries(&self) -> Vec<&'a TextLit> {
        if self.frame.own.is_some() {
            return Vec::new();
        }
        match self.event() {
            Event::Known(source) => source.connector.summaries(source.trigger).collect(),
            Event::Several => {
                let mut all = self.possible().map(|(_, source)| source);
                let Some(first) = all.next() else { return Vec::new() };
                let others: Vec<_> = all.collect();
                let shared = |summary: &&TextLit| {
                    others.iter().all(|other| other.connector.summaries(other.trigger).any(|one| std::ptr::eq(one, *summary)))
                };
                first.connector.summaries(first.trigger).filter(shared).collect()
            }
            Event::None | Event::Unknown | Event::Bare(_) => Vec::new(),
        }
    }

    /// Returns the summary where all that it names is there and may go to the input.
    fn fitting(&mut self, summary: &TextLit, input: &Input, span: Span) -> Option<Expr> {
        let parts = summary
            .parts
            .iter()
            .map(|part| match part {
                TextPart::Text(text) => TextPart::Text(text.clone()),
                TextPart::Expr(inner) => TextPart::Expr(self.respell(inner, span)),
            })
            .collect::<Vec<_>>();
        let reads = self.reads.len();
        let mark = self.facts.mark();
        let before = std::mem::take(&mut self.quiet_error);
        self.quiet += 1;
        let fits = parts.iter().all(|part| match part {
            TextPart::Text(_) => true,
            TextPart::Expr(inner) => {
                let value = self.value(inner);
                !value.optional && !value.is_unknown() && (!value.personal || input.accepts_personal)
            }
        });
        self.quiet -= 1;
        let failed = std::mem::replace(&mut self.quiet_error, before);
        self.facts.reset(mark);
        if !fits || failed {
            self.reads.truncate(reads);
            return None;
        }
        Some(expr(ExprKind::Text(TextLit { span, quote: summary.quote, parts }), span))
    }

    /// Writes the names of a summary as they are understood here.
    fn respell(&self, inner: &Expr, span: Span) -> Expr {
        let kind = match inner.kind.as_ref() {
            ExprKind::Name(name) => {
                // Beside a step named `customer`, `customer_email` could be taken for something of it.
                let alike = |binding: &str| name.text.strip_prefix(binding).is_some_and(|rest| rest.starts_with('_'));
                if self.is_hidden(&name.text) || self.bindings.iter().any(|binding| alike(&binding.name)) {
                    ExprKind::Field(expr(ExprKind::Name(ident("event", span)), span), ident(&name.text, span))
                } else {
                    ExprKind::Name(ident(&name.text, span))
                }
            }
            ExprKind::Field(base, name) => ExprKind::Field(self.respell(base, span), ident(&name.text, span)),
            ExprKind::Else(value, default) => ExprKind::Else(self.respell(value, span), self.respell(default, span)),
            ExprKind::Paren(value) => ExprKind::Paren(self.respell(value, span)),
            ExprKind::Call(call) => {
                let mut call = call.clone();
                for arg in &mut call.args {
                    arg.value = self.respell(&arg.value, span);
                }
                ExprKind::Call(call)
            }
            other => other.clone(),
        };
        expr(kind, span)
    }
}
