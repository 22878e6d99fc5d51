//! Syntax that the compiler writes.

use flow_grammar::span::Span;
use flow_grammar::syntax::{Arg, Call, CallStep, Docs, Expr, ExprKind, Ident, Step, StepKind};

use super::candidate::Resolving;
use crate::diagnostic::Edit;

/// `kustomer.find_or_create_customer(email: require customer_email) as customer`.
pub(super) fn resolving_step(way: &Resolving<'_>, value: Expr, name: &str, span: Span) -> Step {
    let call = Call {
        span,
        path: vec![ident(way.connection, span), ident(&way.action.name, span)],
        args: vec![arg(&way.input.name, value, span)],
        has_parens: true,
    };
    let call = CallStep { call, name: Some(ident(name, span)), retry: None, on_error: None };
    step(StepKind::Call(call), span)
}

pub(super) fn step(kind: StepKind, span: Span) -> Step {
    Step { span, docs: Docs::default(), kind }
}

pub(super) fn arg(name: &str, value: Expr, span: Span) -> Arg {
    Arg { span, name: Some(ident(name, span)), value }
}

pub(super) fn ident(name: &str, span: Span) -> Ident {
    Ident { text: name.to_owned(), span }
}

pub(super) fn expr(kind: ExprKind, span: Span) -> Expr {
    Expr { span, kind: Box::new(kind) }
}

pub(super) fn field(base: Expr, name: &str, span: Span) -> Expr {
    expr(ExprKind::Field(base, ident(name, span)), span)
}

/// A name or a field of one, with another span.
pub(super) fn respan(inner: &Expr, span: Span) -> Expr {
    let kind = match inner.kind.as_ref() {
        ExprKind::Name(name) => ExprKind::Name(ident(&name.text, span)),
        ExprKind::Field(base, name) => ExprKind::Field(respan(base, span), ident(&name.text, span)),
        other => other.clone(),
    };
    expr(kind, span)
}

/// The edit that adds an argument to a call.
pub(super) fn argument_edit(call: &Call, text: &str) -> Edit {
    match call.args.last() {
        Some(last) => Edit { span: last.span.after(), text: format!(", {text}") },
        None if call.has_parens => {
            let at = call.span.end.saturating_sub(1);
            Edit { span: Span { start: at, end: at }, text: text.to_owned() }
        }
        None => Edit { span: call.path.last().map_or(call.span, |last| last.span).after(), text: format!("({text})") },
    }
}

/// Tells whether a text has a word that is not behind a dot.
pub(super) fn has_word(text: &str, word: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let behind = text.get(at + word.len()..).and_then(|rest| rest.chars().next());
        before.is_none_or(|c| !inside(c) && c != '.') && behind.is_none_or(|c| !inside(c))
    })
}
