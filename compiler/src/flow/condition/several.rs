//! `country is "FR" or "DE"`: one comparison with several values, as it is said in English.

use flow_grammar::syntax::{self, BinaryOp, ExprKind, IsTest};

use super::super::check::Checker;
use crate::code::Code;

impl<'a> Checker<'a> {
    /// Reports an `or` whose right sides are bare values, and shows the list that they are.
    pub(super) fn bare_values_behind_or(&mut self, left: &syntax::Expr, right: &syntax::Expr) -> bool {
        let mut values = vec![right];
        let mut first = left;
        while let ExprKind::Binary(BinaryOp::Or, _, before, value) = first.kind.as_ref() {
            values.push(value);
            first = before;
        }
        values.reverse();
        if !values.iter().all(|value| is_literal(value)) {
            return false;
        }
        let whole = left.span.to(right.span);
        let rest: Vec<String> = values.iter().map(|value| self.text_of(value)).collect();
        let (form, message) = match first.kind.as_ref() {
            ExprKind::Is { value, negated, test: IsTest::Value(one) } if is_literal(one) => {
                let not = if *negated { "not " } else { "" };
                let list = format!("{}, {}", self.text_of(one), rest.join(", "));
                (format!("{} {not}in [{list}]", self.text_of(value)), "one of several values is asked for with `in` and a list")
            }
            ExprKind::Binary(
                op @ (BinaryOp::Less | BinaryOp::LessEq | BinaryOp::Greater | BinaryOp::GreaterEq),
                _,
                value,
                one,
            ) if std::iter::once(one)
                .chain(values.iter().copied())
                .all(|one| matches!(one.kind.as_ref(), ExprKind::Money(..))) =>
            {
                let sign = match op {
                    BinaryOp::Less => "<",
                    BinaryOp::LessEq => "<=",
                    BinaryOp::Greater => ">",
                    _ => ">=",
                };
                (
                    format!("{} {sign} any({}, {})", self.text_of(value), self.text_of(one), rest.join(", ")),
                    "a limit for each currency is written with `any`",
                )
            }
            ExprKind::Binary(op @ (BinaryOp::Contains | BinaryOp::StartsWith | BinaryOp::EndsWith), _, value, one)
                if is_literal(one) =>
            {
                let operator = match op {
                    BinaryOp::Contains => "contains",
                    BinaryOp::StartsWith => "starts with",
                    _ => "ends with",
                };
                let subject = self.text_of(value);
                let parts: Vec<String> =
                    std::iter::once(self.text_of(one)).chain(rest).map(|value| format!("{subject} {operator} {value}")).collect();
                (parts.join(" or "), "each comparison is written by itself")
            }
            _ => return false,
        };
        let label = match values.len() {
            1 => "this is a value, not a condition",
            _ => "these are values, not conditions",
        };
        let behind = values.first().map_or(right.span, |value| value.span).to(right.span);
        let negated = matches!(first.kind.as_ref(), ExprKind::Is { negated: true, .. });
        let diagnostic = self.diagnostic(Code::E301, behind, message).label(label).help(format!("write `{form}`")).fix(
            format!("`{form}`"),
            whole,
            form,
            !negated,
        );
        self.report(diagnostic);
        true
    }
}

fn is_literal(expr: &syntax::Expr) -> bool {
    matches!(
        expr.kind.as_ref(),
        ExprKind::Text(_) | ExprKind::Number(_) | ExprKind::Money(..) | ExprKind::Date(_) | ExprKind::Time(_)
    )
}
