//! Conditions that cannot hold: two parts of one `and` that exclude each other.

use std::cmp::Ordering;

use flow_grammar::syntax::{self, BinaryOp, ExprKind};
use flow_plan as plan;
use flow_plan::{Condition, Order, Value};

use super::super::check::Checker;
use crate::code::Code;

/// Longer chains are not looked at: each pair is compared.
const MOST_PARTS: usize = 32;

/// What a test says of the value that it looks at.
#[derive(Debug)]
enum Claim<'e> {
    Missing,
    /// One of these; no other claim of presence can stand beside `Missing`.
    Among(Vec<&'e Value>),
    Not(&'e Value),
    /// From and to, each with whether it is included.
    Range(Option<(&'e Value, bool)>, Option<(&'e Value, bool)>),
}

const TRUE: Value = Value::Bool(true);
const FALSE: Value = Value::Bool(false);

impl Checker<'_> {
    /// Reports two parts of an `and`, one on each side, of which never both hold.
    pub(super) fn contradiction(
        &mut self,
        (left, left_tree): (&syntax::Expr, &Condition),
        (right, right_tree): (&syntax::Expr, &Condition),
    ) {
        if self.quiet > 0 {
            return;
        }
        let (mut first, mut second) = (Vec::new(), Vec::new());
        parts(left, &mut first);
        parts(right, &mut second);
        let (mut first_tests, mut second_tests) = (Vec::new(), Vec::new());
        tests(left_tree, &mut first_tests);
        tests(right_tree, &mut second_tests);
        if first.len() != first_tests.len() || second.len() != second_tests.len() || first.len() > MOST_PARTS {
            return;
        }
        let found = first
            .iter()
            .zip(&first_tests)
            .find_map(|(a, x)| second.iter().zip(&second_tests).find(|(_, y)| excludes(x, y)).map(|(b, _)| (a.span, b.span)));
        if let Some((a, b)) = found {
            let diagnostic = self
                .diagnostic(Code::E701, b, "this can never hold together with what stands before it")
                .also(a, "no value fits both")
                .help("`and` wants both at once; if either will do, write `or`");
            self.report(diagnostic);
        }
    }
}

/// The parts that `and` joins.
fn parts<'e>(expr: &'e syntax::Expr, into: &mut Vec<&'e syntax::Expr>) {
    match expr.kind.as_ref() {
        ExprKind::Paren(inner) => parts(inner, into),
        ExprKind::Binary(BinaryOp::And, _, left, right) => {
            parts(left, into);
            parts(right, into);
        }
        _ => into.push(expr),
    }
}

fn tests<'e>(tree: &'e Condition, into: &mut Vec<&'e Condition>) {
    match tree {
        Condition::All(parts) => parts.iter().for_each(|part| tests(part, into)),
        other => into.push(other),
    }
}

fn excludes(a: &Condition, b: &Condition) -> bool {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    claims_of(a, &mut first);
    claims_of(b, &mut second);
    first.iter().any(|(x, p)| second.iter().any(|(y, q)| x == y && disjoint(p, q)))
}

fn claims_of<'e>(condition: &'e Condition, into: &mut Vec<(&'e plan::Expr, Claim<'e>)>) {
    match condition {
        Condition::Test { expr, .. } => claims(expr, true, into),
        Condition::Not(inner) => {
            if let Condition::Test { expr, .. } = inner.as_ref() {
                claims(expr, false, into);
            }
        }
        Condition::All(_) | Condition::Any(_) => {}
    }
}

fn constant(expr: &plan::Expr) -> Option<&Value> {
    match expr {
        plan::Expr::Const(value) if !value.is_missing() => Some(value),
        _ => None,
    }
}

/// What an expression that holds says, and with `holds` false one that does not hold.
fn claims<'e>(expr: &'e plan::Expr, holds: bool, into: &mut Vec<(&'e plan::Expr, Claim<'e>)>) {
    match expr {
        plan::Expr::Not(inner) => claims(inner, !holds, into),
        plan::Expr::And(parts) if holds => parts.iter().for_each(|part| claims(part, true, into)),
        plan::Expr::Equal(left, right) => {
            let (subject, value) = match (constant(left), constant(right)) {
                (None, Some(value)) => (left, value),
                (Some(value), None) => (right, value),
                _ => return,
            };
            into.push((subject, if holds { Claim::Among(vec![value]) } else { Claim::Not(value) }));
        }
        plan::Expr::OneOf(subject, values) if holds => {
            if let Some(values) = values.iter().map(constant).collect::<Option<Vec<_>>>() {
                into.push((subject, Claim::Among(values)));
            }
        }
        plan::Expr::IsPresent(subject) if !holds => into.push((subject, Claim::Missing)),
        plan::Expr::Compare(order, left, right) | plan::Expr::CompareMajor(order, left, right) if holds => {
            let (subject, value, order) = match (constant(left), constant(right)) {
                (None, Some(value)) => (left, value, *order),
                (Some(value), None) => (right, value, super::compare::mirrored(*order)),
                _ => return,
            };
            let claim = match order {
                Order::Less => Claim::Range(None, Some((value, false))),
                Order::LessEq => Claim::Range(None, Some((value, true))),
                Order::Greater => Claim::Range(Some((value, false)), None),
                Order::GreaterEq => Claim::Range(Some((value, true)), None),
            };
            into.push((subject, claim));
        }
        // Times of day may go over midnight.
        plan::Expr::InRange(subject, low, high) if holds => {
            if let (Some(low), Some(high)) = (constant(low), constant(high))
                && !matches!(low, Value::Time(_))
            {
                into.push((subject, Claim::Range(Some((low, true)), Some((high, true)))));
            }
        }
        plan::Expr::Event(_) | plan::Expr::Local(_) | plan::Expr::Field(..) | plan::Expr::Raw(_) => {
            into.push((expr, Claim::Among(vec![if holds { &TRUE } else { &FALSE }])));
        }
        _ => {}
    }
}

fn disjoint(a: &Claim<'_>, b: &Claim<'_>) -> bool {
    match (a, b) {
        (Claim::Missing, Claim::Among(values)) | (Claim::Among(values), Claim::Missing) => {
            // A missing truth is not true, but `not` of it may be.
            !values.iter().all(|value| **value == FALSE)
        }
        (Claim::Missing, Claim::Range(..)) | (Claim::Range(..), Claim::Missing) => true,
        (Claim::Missing, Claim::Missing | Claim::Not(_)) | (Claim::Not(_), Claim::Missing | Claim::Not(_) | Claim::Range(..)) => {
            false
        }
        (Claim::Range(..), Claim::Not(_)) => false,
        (Claim::Among(values), Claim::Not(other)) | (Claim::Not(other), Claim::Among(values)) => {
            values.iter().all(|value| value == other)
        }
        (Claim::Among(values), Claim::Among(others)) => {
            values.iter().all(|value| others.iter().all(|other| differ(value, other)))
        }
        (Claim::Among(values), Claim::Range(low, high)) | (Claim::Range(low, high), Claim::Among(values)) => {
            values.iter().all(|value| apart(Some((value, true)), *high) || apart(*low, Some((value, true))))
        }
        (Claim::Range(low, high), Claim::Range(other_low, other_high)) => apart(*low, *other_high) || apart(*other_low, *high),
    }
}

/// Tells whether nothing lies between.
fn apart(low: Option<(&Value, bool)>, high: Option<(&Value, bool)>) -> bool {
    let (Some((low, includes_low)), Some((high, includes_high))) = (low, high) else { return false };
    match order(low, high) {
        Some(Ordering::Greater) => true,
        Some(Ordering::Equal) => !(includes_low && includes_high),
        Some(Ordering::Less) | None => false,
    }
}

/// Two values of one kind that are not equal.
fn differ(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => a != b,
        (Value::Bool(a), Value::Bool(b)) => a != b,
        (Value::Money(a), Value::Money(b)) => a != b,
        _ => matches!(order(a, b), Some(Ordering::Less | Ordering::Greater)),
    }
}

fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => Some(a.cmp(b)),
        (Value::Money(a), Value::Money(b)) if a.currency == b.currency => Some(a.amount.cmp(&b.amount)),
        (Value::Date(a), Value::Date(b)) => Some(a.cmp(b)),
        (Value::Instant(a), Value::Instant(b)) => Some(a.cmp(b)),
        _ => None,
    }
}
