//! Expressions.

use super::Printer;
use super::literal::{before_colon, duration, key, member, name, number, path, time};
use crate::span::Span;
use crate::syntax::{Arg, BinaryOp, Call, Expr, ExprKind, IsTest, ObjectField};

/// How tightly an expression holds together; the numbers are those of the parser.
fn strength(kind: &ExprKind) -> u8 {
    match kind {
        ExprKind::Binary(op, ..) => match op {
            BinaryOp::Or => 1,
            BinaryOp::And => 2,
            BinaryOp::Add | BinaryOp::Subtract => 6,
            BinaryOp::Multiply | BinaryOp::Divide => 7,
            BinaryOp::Less
            | BinaryOp::LessEq
            | BinaryOp::Greater
            | BinaryOp::GreaterEq
            | BinaryOp::Contains
            | BinaryOp::StartsWith
            | BinaryOp::EndsWith
            | BinaryOp::Matches => 4,
        },
        ExprKind::Not(_) => 3,
        ExprKind::Is { .. } | ExprKind::In { .. } => 4,
        ExprKind::Range(..) => 5,
        ExprKind::Else(..) => 8,
        ExprKind::Negate(_) | ExprKind::Require(_) => 9,
        ExprKind::Text(_)
        | ExprKind::Number(_)
        | ExprKind::Money(..)
        | ExprKind::Any(_)
        | ExprKind::Duration(_)
        | ExprKind::Bytes(_)
        | ExprKind::Time(_)
        | ExprKind::Date(_)
        | ExprKind::DateTime(..)
        | ExprKind::Bool(_)
        | ExprKind::Name(_)
        | ExprKind::Field(..)
        | ExprKind::Index(..)
        | ExprKind::Call(_)
        | ExprKind::List(_)
        | ExprKind::Object(_)
        | ExprKind::Paren(_)
        | ExprKind::Tuple(_)
        | ExprKind::Bad => 10,
    }
}

fn operator(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Or => "or",
        BinaryOp::And => "and",
        BinaryOp::Less => "<",
        BinaryOp::LessEq => "<=",
        BinaryOp::Greater => ">",
        BinaryOp::GreaterEq => ">=",
        BinaryOp::Contains => "contains",
        BinaryOp::StartsWith => "starts with",
        BinaryOp::EndsWith => "ends with",
        BinaryOp::Matches => "matches",
        BinaryOp::Add => "+",
        BinaryOp::Subtract => "-",
        BinaryOp::Multiply => "*",
        BinaryOp::Divide => "/",
    }
}

impl Printer<'_> {
    pub(crate) fn expr(&mut self, expr: &Expr) {
        self.inline_comments(expr.span.start);
        match &*expr.kind {
            ExprKind::Text(text) => self.text(text),
            ExprKind::Number(lit) => self.write(&number(lit)),
            ExprKind::Money(amount, currency) => self.write(&format!("{} {}", number(amount), currency.text)),
            ExprKind::Any(amounts) => {
                self.write("any");
                self.list(expr.span, Brackets::Paren, amounts, |p, amount| p.expr(amount));
            }
            ExprKind::Duration(lit) => self.write(&duration(lit)),
            ExprKind::Bytes(lit) => self.write(&format!("{} {}", number(lit), if lit.digits == "1" { "byte" } else { "bytes" })),
            ExprKind::Time(lit) => self.write(&time(lit)),
            ExprKind::Date(date) => self.write(date),
            ExprKind::DateTime(date, at) => self.write(&format!("{date} {}", time(at))),
            ExprKind::Bool(value) => self.write(if *value { "true" } else { "false" }),
            ExprKind::Name(ident) => self.write(&name(ident)),
            ExprKind::Field(value, field) => {
                self.operand(value, 10);
                self.inline_comments(field.span.start);
                self.write(&format!(".{}", member(field)));
            }
            ExprKind::Index(value, index) => {
                self.operand(value, 10);
                self.write("[");
                self.expr(index);
                self.inline_comments(expr.span.end);
                self.write("]");
            }
            ExprKind::Call(call) => self.call(call),
            ExprKind::Not(value) => {
                self.write("not ");
                self.operand(value, 3);
            }
            ExprKind::Negate(value) => {
                self.write("-");
                self.operand(value, 9);
            }
            ExprKind::Require(value) => {
                self.write("require ");
                self.operand(value, 9);
            }
            ExprKind::Binary(op, span, left, right) => self.binary(*op, *span, left, right),
            ExprKind::Is { value, negated, test } => {
                self.operand(value, 5);
                self.write(if *negated { " is not " } else { " is " });
                match test {
                    IsTest::Present => self.write("present"),
                    IsTest::Missing => self.write("missing"),
                    IsTest::Empty => self.write("empty"),
                    IsTest::Value(value) => self.right(value, 5),
                }
            }
            ExprKind::In { value, negated, set } => {
                self.operand(value, 5);
                self.write(if *negated { " not in " } else { " in " });
                self.right(set, 5);
            }
            ExprKind::Range(from, to) => {
                self.operand(from, 5);
                self.write("..");
                self.right(to, 6);
            }
            ExprKind::Else(value, default) => {
                self.operand(value, 8);
                self.write(" else ");
                self.right(default, 9);
            }
            ExprKind::List(values) => self.list(expr.span, Brackets::Square, values, |p, value| p.expr(value)),
            ExprKind::Object(fields) => self.object(expr.span, fields),
            ExprKind::Paren(value) => {
                self.write("(");
                self.expr(value);
                self.inline_comments(expr.span.end);
                self.write(")");
            }
            ExprKind::Tuple(values) => self.list(expr.span, Brackets::Paren, values, |p, value| p.expr(value)),
            ExprKind::Bad => {}
        }
        self.inline_comments(expr.span.end);
    }

    /// Writes an operand, in parentheses where it holds together less than its place asks for. A tree that was read
    /// never needs them.
    fn operand(&mut self, expr: &Expr, least: u8) {
        if strength(&expr.kind) < least {
            self.write("(");
            self.expr(expr);
            self.write(")");
        } else {
            self.expr(expr);
        }
    }

    /// A right side: a prefix needs no parentheses there.
    fn right(&mut self, expr: &Expr, least: u8) {
        let prefix = matches!(*expr.kind, ExprKind::Not(_) | ExprKind::Negate(_) | ExprKind::Require(_));
        self.operand(expr, if prefix { 0 } else { least });
    }

    fn binary(&mut self, op: BinaryOp, span: Span, left: &Expr, right: &Expr) {
        let (least_left, least_right) = match op {
            BinaryOp::Or => (1, 2),
            BinaryOp::And => (2, 3),
            BinaryOp::Add | BinaryOp::Subtract => (6, 7),
            BinaryOp::Multiply | BinaryOp::Divide => (7, 8),
            BinaryOp::Less
            | BinaryOp::LessEq
            | BinaryOp::Greater
            | BinaryOp::GreaterEq
            | BinaryOp::Contains
            | BinaryOp::StartsWith
            | BinaryOp::EndsWith
            | BinaryOp::Matches => (5, 5),
        };
        self.operand(left, least_left);
        self.inline_comments(span.start);
        self.write(&format!(" {} ", operator(op)));
        self.right(right, least_right);
    }

    /// Writes a condition; where it is too long, each `and` or `or` of the outermost row begins a line.
    pub(super) fn condition(&mut self, expr: &Expr) {
        self.group(
            expr.span,
            |p| p.expr(expr),
            |p| {
                let mut row: Vec<(BinaryOp, Span, &Expr)> = Vec::new();
                let mut first = expr;
                while let ExprKind::Binary(op @ (BinaryOp::And | BinaryOp::Or), span, left, right) = &*first.kind {
                    if row.iter().any(|(other, ..)| *other != *op) {
                        break;
                    }
                    row.push((*op, *span, right));
                    first = left;
                }
                let least = row.first().map_or(0, |(op, ..)| if *op == BinaryOp::Or { 1 } else { 2 });
                p.indented(|p| {
                    p.operand(first, least);
                    for (op, span, right) in row.into_iter().rev() {
                        p.line_for(span.start, false);
                        p.write(&format!("{} ", operator(op)));
                        p.right(right, if op == BinaryOp::Or { 2 } else { 3 });
                    }
                });
            },
        );
    }

    /// Writes values between brackets: on this line, or one per line with a comma behind each.
    pub(super) fn list<T: Spanned>(
        &mut self,
        span: Span,
        brackets: Brackets,
        values: &[T],
        write: impl Fn(&mut Printer<'_>, &T),
    ) {
        let (open, close, pad) = brackets.signs();
        self.write(open);
        if self.is_flat() || !self.has_comments(span) {
            let mut text = String::new();
            for (at, value) in values.iter().enumerate() {
                text.push_str(if at > 0 { ", " } else { pad });
                text.push_str(&self.flat(|p| write(p, value)));
            }
            text.push_str(if values.is_empty() { "" } else { pad });
            text.push_str(close);
            if self.is_flat() || self.fits(&text) {
                self.write(&text);
                self.skip_to(span.end);
                return;
            }
        }
        self.broken_list(span, values, write);
        self.write(close);
        self.skip_to(span.end);
    }

    /// Writes values one per line with a comma behind each, up to the line of the closing bracket.
    pub(super) fn broken_list<T: Spanned>(&mut self, span: Span, values: &[T], write: impl Fn(&mut Printer<'_>, &T)) {
        self.indented(|p| {
            for value in values {
                p.line_for(value.span().start, false);
                let reserve = std::mem::replace(&mut p.reserve, 1);
                write(p, value);
                p.reserve = reserve;
                p.comments_before_comma(value.span().end);
                p.write(",");
            }
            p.line_for_close(span.end);
        });
    }

    pub(super) fn object(&mut self, span: Span, fields: &[ObjectField]) {
        self.list(span, Brackets::Brace, fields, |p, field| p.field(field));
    }

    pub(super) fn field(&mut self, field: &ObjectField) {
        self.inline_comments(field.span.start);
        self.write(&key(&field.key, field.quoted));
        if let Some(value) = &field.value {
            self.write(": ");
            self.expr(value);
        }
        if field.optional.is_some() {
            self.write("?");
        }
    }

    pub(super) fn call(&mut self, call: &Call) {
        self.inline_comments(call.span.start);
        self.write(&path(&call.path));
        if call.has_parens || !call.args.is_empty() {
            self.args(call.span, &call.args);
        }
    }

    pub(super) fn args(&mut self, span: Span, args: &[Arg]) {
        self.list(span, Brackets::Paren, args, |p, arg| p.arg(arg));
    }

    fn arg(&mut self, arg: &Arg) {
        self.inline_comments(arg.span.start);
        if let Some(ident) = &arg.name {
            self.write(&format!("{}: ", before_colon(ident)));
        }
        self.expr(&arg.value);
    }
}

/// What stands around a list.
#[derive(Debug, Clone, Copy)]
pub(super) enum Brackets {
    Paren,
    Square,
    Brace,
}

impl Brackets {
    /// The two signs, and what stands inside of them on one line.
    fn signs(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Brackets::Paren => ("(", ")", ""),
            Brackets::Square => ("[", "]", ""),
            Brackets::Brace => ("{", "}", " "),
        }
    }
}

/// What has a place in the source.
pub(super) trait Spanned {
    fn span(&self) -> Span;
}

impl Spanned for Expr {
    fn span(&self) -> Span {
        self.span
    }
}

impl Spanned for Arg {
    fn span(&self) -> Span {
        self.span
    }
}

impl Spanned for ObjectField {
    fn span(&self) -> Span {
        self.span
    }
}
