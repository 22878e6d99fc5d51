//! Values: one function per kind of expression, dispatched here.

mod arithmetic;
mod deprecated;
mod env;
pub(super) mod function;
mod literal;
mod member;
mod name;
mod structure;
mod text;

use flow_grammar::syntax::{self, BinaryOp, ExprKind};
use flow_plan::Value;
use flow_plan::ty::Type;

use super::check::Checker;
use super::condition::{Position, into_expr};
use super::typed::Typed;
use crate::code::Code;

/// Tells whether the language itself gives a meaning to a bare name.
pub(super) fn is_builtin(name: &str) -> bool {
    matches!(name, "event" | "trigger" | "run" | "now" | "raw" | "env")
}

impl<'a> Checker<'a> {
    /// Checks an expression as a value.
    pub(super) fn value(&mut self, expr: &syntax::Expr) -> Typed<'a> {
        match expr.kind.as_ref() {
            ExprKind::Text(text) => self.text(text),
            ExprKind::Number(number) => self.number(number),
            ExprKind::Bytes(_) => {
                let diagnostic = self
                    .diagnostic(Code::E301, expr.span, "a size in bytes is no value in a flow")
                    .help("it stands in `cut(…)`, in the requests of a connector");
                self.report(diagnostic);
                Typed::unknown()
            }
            ExprKind::Money(number, currency) => self.money(expr.span, number, currency),
            ExprKind::Any(_) => {
                let diagnostic = self
                    .diagnostic(Code::E301, expr.span, "`any(…)` is no amount by itself")
                    .label("one limit per currency")
                    .help("compare with it directly: `amount > any(100 USD, 90 EUR)`");
                self.report(diagnostic);
                Typed::unknown()
            }
            ExprKind::Duration(duration) => self.duration(duration),
            ExprKind::Time(time) => self.time(time),
            ExprKind::Date(date) => self.date(expr.span, date),
            ExprKind::DateTime(date, time) => self.date_time(expr.span, date, time),
            ExprKind::Bool(value) => Typed::constant(Value::Bool(*value), Type::Bool),
            ExprKind::Name(name) => self.name(name),
            ExprKind::Field(base, name) => self.field(expr, base, name),
            ExprKind::Index(base, index) => self.index(expr, base, index),
            ExprKind::Call(call) => self.call_value(expr, call),
            ExprKind::Not(_) | ExprKind::Is { .. } | ExprKind::In { .. } => self.truth(expr),
            ExprKind::Binary(BinaryOp::Or, at, left, right) if self.or_as_default(*at, left, right) => Typed::unknown(),
            ExprKind::Binary(op, at, left, right) => match op {
                BinaryOp::Or
                | BinaryOp::And
                | BinaryOp::Less
                | BinaryOp::LessEq
                | BinaryOp::Greater
                | BinaryOp::GreaterEq
                | BinaryOp::Contains
                | BinaryOp::StartsWith
                | BinaryOp::EndsWith
                | BinaryOp::Matches => self.truth(expr),
                BinaryOp::Add | BinaryOp::Subtract | BinaryOp::Multiply | BinaryOp::Divide => {
                    self.arithmetic(expr, *op, *at, left, right)
                }
            },
            ExprKind::Negate(inner) => self.negate(expr, inner),
            ExprKind::Range(..) => {
                let diagnostic = self
                    .diagnostic(Code::E301, expr.span, "a range is no value")
                    .help("it stands behind `in`: `risk_score in 50..85`");
                self.report(diagnostic);
                Typed::unknown()
            }
            ExprKind::Else(value, default) => self.default(value, default, None, false),
            ExprKind::Require(inner) => self.require_value(expr, inner),
            ExprKind::List(items) => self.list(items, None),
            ExprKind::Object(fields) => self.object(fields, None),
            ExprKind::Paren(inner) => self.value(inner),
            ExprKind::Tuple(items) => self.tuple(expr, items),
            ExprKind::Bad => {
                self.broken = true;
                Typed::unknown()
            }
        }
    }

    /// Checks a condition that is used as a value: it must be decidable.
    fn truth(&mut self, expr: &syntax::Expr) -> Typed<'a> {
        let mark = self.facts.mark();
        let condition = self.condition(expr, Position::Value);
        self.facts.reset(mark);
        Typed::new(into_expr(condition.tree), Type::Bool)
    }
}
