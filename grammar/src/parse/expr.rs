//! Expressions.

use super::operator::{MAX_HEIGHT, Row, expr};
use super::{Builder, Node, Parts};
use crate::diagnose;
use crate::grammar::Rule;
use crate::span::Span;
use crate::syntax::{Arg, Call, Expr, ExprKind, Ident, ObjectField, TextLit, TimeLit};

impl<'s> Builder<'s> {
    /// Takes an expression of any of the three kinds of row.
    pub(super) fn take_expr(&mut self, parts: &mut Parts<'s>) -> Expr {
        match parts.peek() {
            Some(Rule::expr | Rule::sum | Rule::plain) => match parts.next() {
                Some(node) => self.expr(node),
                None => expr(Span::default(), ExprKind::Bad),
            },
            _ => expr(Span::default(), ExprKind::Bad),
        }
    }

    /// Takes expressions up to the next piece of another kind.
    pub(super) fn take_exprs(&mut self, parts: &mut Parts<'s>) -> Vec<Expr> {
        let mut out = Vec::new();
        let mut height = 0;
        while let Some(Rule::expr | Rule::sum | Rule::plain) = parts.peek() {
            out.push(self.take_expr(parts));
            height = height.max(self.height);
        }
        self.height = height;
        out
    }

    pub(super) fn expr(&mut self, node: Node<'s>) -> Expr {
        let span = self.span(&node);
        let mut row = Row::default();
        for part in node.into_inner() {
            match part.as_rule() {
                Rule::prefix | Rule::is_op | Rule::matches_op | Rule::infix | Rule::arith | Rule::else_op => {
                    self.operator(&mut row, &part);
                }
                Rule::is_word => Self::is_word(&mut row, &part),
                Rule::tail_field => {
                    let end = self.span(&part);
                    let name = part.into_inner().next().map(|name| self.ident(&name));
                    if let Some(name) = name {
                        row.wrap_last(end, |height| height + 1, |value| ExprKind::Field(value, name));
                    }
                }
                Rule::tail_index => {
                    let end = self.span(&part);
                    let index = self.take_expr(&mut Parts::of(part));
                    let index_height = self.height;
                    row.wrap_last(end, |height| index_height.max(height) + 1, |value| ExprKind::Index(value, index));
                }
                _ => {
                    let value = self.primary(part);
                    row.push(value, self.height);
                }
            }
        }
        self.finish_row(row, span)
    }

    /// Builds an operand, and leaves its height in `self.height`.
    fn primary(&mut self, node: Node<'s>) -> Expr {
        let span = self.span(&node);
        self.height = 1;
        let kind = match node.as_rule() {
            Rule::named => return self.named(node),
            Rule::text => ExprKind::Text(self.text(node)),
            Rule::raw_text => ExprKind::Text(self.raw_text(&node)),
            Rule::quantity => self.quantity(node),
            Rule::time => ExprKind::Time(self.time(&node)),
            Rule::date_time => self.date_time(node),
            Rule::bool => ExprKind::Bool(node.as_str() == "true"),
            Rule::paren => self.paren(node),
            Rule::list => {
                let values = self.take_exprs(&mut Parts::of(node));
                self.height += 1;
                ExprKind::List(values)
            }
            Rule::object => {
                let fields = self.object(node);
                self.height += 1;
                ExprKind::Object(fields)
            }
            _ => ExprKind::Bad,
        };
        expr(span, kind)
    }

    fn paren(&mut self, node: Node<'s>) -> ExprKind {
        let mut values = self.take_exprs(&mut Parts::of(node));
        self.height += 1;
        if values.len() == 1
            && let Some(value) = values.pop()
        {
            return ExprKind::Paren(value);
        }
        ExprKind::Tuple(values)
    }

    fn quantity(&mut self, node: Node<'s>) -> ExprKind {
        let span = self.span(&node);
        let mut parts = Parts::of(node);
        let ahead = {
            let mut ahead = parts.0.clone();
            ahead.next();
            ahead.next().map(|node| node.as_rule())
        };
        if ahead == Some(Rule::unit) {
            return ExprKind::Duration(crate::syntax::DurationLit { span, parts: self.duration_parts(&mut parts) });
        }
        let number = self.take_number(&mut parts);
        match parts.next() {
            Some(node) if node.as_rule() == Rule::currency => ExprKind::Money(number, self.ident(&node)),
            Some(_) => ExprKind::Bytes(number),
            None => ExprKind::Number(number),
        }
    }

    fn date_time(&mut self, node: Node<'s>) -> ExprKind {
        let mut parts = Parts::of(node);
        let date = parts.take(Rule::date).map(|date| date.as_str().to_owned()).unwrap_or_default();
        match parts.take(Rule::time) {
            Some(time) => ExprKind::DateTime(date, self.time(&time)),
            None => ExprKind::Date(date),
        }
    }

    /// A name, `a.b.c`, or a call.
    fn named(&mut self, node: Node<'s>) -> Expr {
        let span = self.span(&node);
        let mut parts = Parts::of(node);
        let mut path = self.take_path(&mut parts);
        if let Some(args) = parts.take(Rule::args) {
            let args = self.args(args);
            self.height += 1;
            if let [name] = path.as_slice()
                && name.text == "any"
                && let Some(amounts) = amounts(&args)
            {
                return expr(span, ExprKind::Any(amounts));
            }
            let call = Call { span, path, args, has_parens: true };
            self.errors.extend(diagnose::method(self.source, &call));
            return expr(span, ExprKind::Call(call));
        }
        if path.is_empty() {
            return expr(span, ExprKind::Bad);
        }
        let rest = path.split_off(1);
        if rest.is_empty() && matches!(span.text(self.source), "null" | "NULL" | "None" | "nil" | "undefined") {
            self.errors.push(diagnose::null(self.source, span));
        }
        let Some(first) = path.pop() else {
            return expr(span, ExprKind::Bad);
        };
        let mut value = expr(first.span, ExprKind::Name(first));
        for name in rest {
            let whole = value.span.to(name.span);
            self.height += 1;
            // What is too high anyhow must not take a call stack of that height to drop.
            let kind = if self.height > MAX_HEIGHT { ExprKind::Bad } else { ExprKind::Field(value, name) };
            value = expr(whole, kind);
        }
        value
    }

    /// Builds arguments, and leaves the height of the highest in `self.height`.
    pub(super) fn args(&mut self, node: Node<'s>) -> Vec<Arg> {
        let mut height = 0;
        let mut out = Vec::new();
        for arg in node.into_inner() {
            if arg.as_rule() != Rule::arg {
                continue;
            }
            let span = self.span(&arg);
            let mut parts = Parts::of(arg);
            let name = parts.take(Rule::name).or_else(|| parts.take(Rule::arg_word)).map(|name| self.ident(&name));
            let value = self.take_expr(&mut parts);
            height = height.max(self.height);
            out.push(Arg { span, name, value });
        }
        self.height = height;
        out
    }

    pub(super) fn take_args(&mut self, parts: &mut Parts<'s>) -> (Vec<Arg>, bool) {
        match parts.take(Rule::args) {
            Some(node) => (self.args(node), true),
            None => (Vec::new(), false),
        }
    }

    /// `path(args)` or `path` alone.
    pub(super) fn call(&mut self, node: Node<'s>) -> Call {
        let span = self.span(&node);
        let mut parts = Parts::of(node);
        let path = self.take_path(&mut parts);
        let (args, has_parens) = self.take_args(&mut parts);
        Call { span, path, args, has_parens }
    }

    /// Takes a call written with or without parentheses.
    pub(super) fn take_call(&mut self, parts: &mut Parts<'s>) -> Call {
        match parts.take(Rule::named_call) {
            Some(node) => self.call(node),
            None => Call { span: Span::default(), path: Vec::new(), args: Vec::new(), has_parens: false },
        }
    }

    /// Builds the fields of an object, and leaves the height of the highest in `self.height`.
    pub(super) fn object(&mut self, node: Node<'s>) -> Vec<ObjectField> {
        let mut height = 0;
        let mut out = Vec::new();
        for field in node.into_inner() {
            if field.as_rule() == Rule::field {
                out.push(self.field(field));
                height = height.max(self.height);
            }
        }
        self.height = height;
        out
    }

    pub(super) fn field(&mut self, node: Node<'s>) -> ObjectField {
        let span = self.span(&node);
        let mut parts = Parts::of(node);
        let (key, quoted) = match parts.take(Rule::key) {
            Some(key) => self.key(key),
            None => (self.take_ident(&mut parts), false),
        };
        parts.take(Rule::colon);
        self.height = 1;
        let value = parts.peek().map(|_| self.take_expr(&mut parts));
        let optional = parts.take(Rule::optional).map(|mark| self.span(&mark));
        ObjectField { span, key, quoted, value, optional }
    }

    fn key(&mut self, node: Node<'s>) -> (Ident, bool) {
        let span = self.span(&node);
        let mut parts = Parts::of(node);
        if let Some(text) = parts.take(Rule::key_text) {
            return (Ident { text: self.plain_text(&text), span }, true);
        }
        let names: Vec<String> = self.take_path(&mut parts).into_iter().map(|name| name.text).collect();
        (Ident { text: names.join("."), span }, false)
    }

    pub(super) fn take_sun_or_time(&mut self, parts: &mut Parts<'s>) -> Option<TimeLit> {
        parts.take(Rule::time).map(|node| self.time(&node))
    }

    /// Takes a text that is the whole of a piece, or reports nothing where there is none.
    pub(super) fn take_text_maybe(&mut self, parts: &mut Parts<'s>) -> Option<TextLit> {
        parts.take(Rule::text).map(|node| self.text(node))
    }

    /// Reports a call on a value, as other languages have them.
    pub(super) fn unexpected(&mut self, span: Span) {
        self.errors.push(diagnose::unexpected(self.source, span));
    }
}

/// Returns the values of `any(…)` where they are limits, one per currency.
fn amounts(args: &[Arg]) -> Option<Vec<Expr>> {
    let all = args.iter().all(|arg| arg.name.is_none());
    let money = args.iter().any(|arg| matches!(*arg.value.kind, ExprKind::Money(..)));
    (all && money).then(|| args.iter().map(|arg| arg.value.clone()).collect())
}
