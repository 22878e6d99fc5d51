//! Conditions: total, and with what is known where they hold or do not hold.

mod compare;
mod equal;
mod member;
mod never;
mod several;

use flow_grammar::syntax::{self, BinaryOp, ExprKind, IsTest};
use flow_plan as plan;
use flow_plan::ty::Type;
use flow_plan::{Condition, Order, Value};

use super::check::{Checker, Setting};
use super::fact::{Fact, common};
use super::mend::Partial;
use super::typed::Typed;
use crate::code::Code;

/// Where a condition stands: what is not sure may only decide for "no" where that is what is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    /// It must hold.
    Positive,
    /// Behind `not`.
    Negative,
    /// Its truth is a value.
    Value,
}

impl Position {
    fn negated(self) -> Self {
        match self {
            Position::Positive => Position::Negative,
            Position::Negative => Position::Positive,
            Position::Value => Position::Value,
        }
    }
}

/// A checked condition.
#[derive(Debug)]
pub(super) struct Checked<'a> {
    pub(super) tree: Condition,
    pub(super) when_true: Vec<Fact<'a>>,
    pub(super) when_false: Vec<Fact<'a>>,
    /// Comparisons in it that may not be possible.
    pub(super) partials: Vec<Partial<'a>>,
}

/// Returns a condition as an expression.
pub(super) fn into_expr(tree: Condition) -> plan::Expr {
    match tree {
        Condition::All(parts) => plan::Expr::And(parts.into_iter().map(into_expr).collect()),
        Condition::Any(parts) => plan::Expr::Or(parts.into_iter().map(into_expr).collect()),
        Condition::Not(inner) => plan::Expr::Not(Box::new(into_expr(*inner))),
        Condition::Test { expr, .. } => expr,
    }
}

impl<'a> Checker<'a> {
    /// Checks a condition.
    pub(super) fn condition(&mut self, expr: &syntax::Expr, position: Position) -> Checked<'a> {
        match expr.kind.as_ref() {
            ExprKind::Paren(inner) => self.condition(inner, position),
            ExprKind::Not(inner) => {
                self.negation = Some(expr.span);
                let inner = self.condition(inner, position.negated());
                Checked {
                    tree: Condition::Not(Box::new(inner.tree)),
                    when_true: inner.when_false,
                    when_false: inner.when_true,
                    partials: inner.partials,
                }
            }
            ExprKind::Binary(op, at, left, right) => match op {
                BinaryOp::And => self.and(left, right, position),
                BinaryOp::Or => self.or(left, right, position),
                BinaryOp::Less => self.compare(expr, Order::Less, left, right, position),
                BinaryOp::LessEq => self.compare(expr, Order::LessEq, left, right, position),
                BinaryOp::Greater => self.compare(expr, Order::Greater, left, right, position),
                BinaryOp::GreaterEq => self.compare(expr, Order::GreaterEq, left, right, position),
                BinaryOp::Contains => self.contains(expr, left, right),
                BinaryOp::StartsWith | BinaryOp::EndsWith => self.affix(expr, *op == BinaryOp::StartsWith, left, right),
                BinaryOp::Matches => self.matches(expr, *at, left, right),
                BinaryOp::Add | BinaryOp::Subtract | BinaryOp::Multiply | BinaryOp::Divide => self.bare(expr, position),
            },
            ExprKind::Is { value, negated, test } => match test {
                IsTest::Present => self.is_present(expr, value, !negated),
                IsTest::Missing => self.is_present(expr, value, *negated),
                IsTest::Empty => self.is_empty(expr, value, !negated),
                IsTest::Value(other) => self.is_value(expr, value, other, !negated),
            },
            ExprKind::In { value, negated, set } => self.is_in(expr, value, set, !negated, position),
            ExprKind::Text(_)
            | ExprKind::Number(_)
            | ExprKind::Bytes(_)
            | ExprKind::Money(..)
            | ExprKind::Any(_)
            | ExprKind::Duration(_)
            | ExprKind::Time(_)
            | ExprKind::Date(_)
            | ExprKind::DateTime(..)
            | ExprKind::Bool(_)
            | ExprKind::Name(_)
            | ExprKind::Field(..)
            | ExprKind::Index(..)
            | ExprKind::Call(_)
            | ExprKind::Negate(_)
            | ExprKind::Range(..)
            | ExprKind::Else(..)
            | ExprKind::Require(_)
            | ExprKind::List(_)
            | ExprKind::Object(_)
            | ExprKind::Tuple(_)
            | ExprKind::Bad => self.bare(expr, position),
        }
    }

    fn and(&mut self, left: &syntax::Expr, right: &syntax::Expr, position: Position) -> Checked<'a> {
        self.negation = None;
        let (left_expr, right_expr) = (left, right);
        let mut left = self.condition(left, position);
        let mark = self.facts.mark();
        self.facts.learn(left.when_true.iter().cloned());
        let right = self.condition(right, position);
        self.facts.reset(mark);
        self.contradiction((left_expr, &left.tree), (right_expr, &right.tree));
        left.when_true.extend(right.when_true);
        left.when_false = common(left.when_false, &right.when_false);
        left.partials.extend(right.partials);
        left.tree = match (left.tree, right.tree) {
            (Condition::All(mut parts), Condition::All(more)) => {
                parts.extend(more);
                Condition::All(parts)
            }
            (Condition::All(mut parts), other) => {
                parts.push(other);
                Condition::All(parts)
            }
            (first, other) => Condition::All(vec![first, other]),
        };
        left
    }

    fn or(&mut self, left: &syntax::Expr, right: &syntax::Expr, position: Position) -> Checked<'a> {
        if self.bare_values_behind_or(left, right) {
            return self.unknown_test();
        }
        self.negation = None;
        let mut left = self.condition(left, position);
        let mark = self.facts.mark();
        self.facts.learn(left.when_false.iter().cloned());
        let right = self.condition(right, position);
        self.facts.reset(mark);
        left.when_true = common(left.when_true, &right.when_true);
        left.when_false.extend(right.when_false);
        left.partials.extend(right.partials);
        left.tree = match (left.tree, right.tree) {
            (Condition::Any(mut parts), Condition::Any(more)) => {
                parts.extend(more);
                Condition::Any(parts)
            }
            (Condition::Any(mut parts), other) => {
                parts.push(other);
                Condition::Any(parts)
            }
            (first, other) => Condition::Any(vec![first, other]),
        };
        left
    }

    /// A value that stands as a condition: it must be `true` or `false`.
    fn bare(&mut self, expr: &syntax::Expr, position: Position) -> Checked<'a> {
        let (value, mut partials) = self.value_at(expr, position);
        if let (ExprKind::Bool(false), 0) = (expr.kind.as_ref(), self.quiet) {
            let diagnostic = self
                .diagnostic(Code::E701, expr.span, "`false` never holds")
                .label("no event gets past this")
                .help("say which events are meant; a flow that is not wanted for now can stand behind `#`");
            self.report(diagnostic);
        }
        match value.ty.as_ref() {
            Type::Unknown => return self.unknown_test(),
            Type::Bool | Type::Json => {}
            _ => {
                self.not_a_condition(expr, &value);
                return self.unknown_test();
            }
        }
        if value.optional && *value.ty == Type::Bool {
            let text = self.text_of(expr);
            let partial = Partial {
                span: expr.span,
                flipped: None,
                place: value.place.clone(),
                beside: None,
                missing: true,
                failed: value.failed,
                text: text.clone(),
            };
            match position {
                Position::Positive if partial.failed.is_none() => partials.push(partial),
                Position::Positive | Position::Negative | Position::Value => {
                    let fix = crate::diagnostic::Fix {
                        title: format!("`({text} else false)`"),
                        edits: super::mend::wrap(expr.span, "(", " else false)"),
                        safe: false,
                    };
                    self.partial(&partial, "say what a missing value counts as", Some(fix));
                }
            }
        }
        let when_true = self.present(&value);
        Checked { tree: self.test(expr, value.expr), when_true, when_false: Vec::new(), partials }
    }

    /// A value that is true or false. What `any` and `all` ask is a condition at the place where they stand.
    fn value_at(&mut self, expr: &syntax::Expr, position: Position) -> (Typed<'a>, Vec<Partial<'a>>) {
        match expr.kind.as_ref() {
            ExprKind::Call(call) => match self.called_function(call) {
                Some(spec) => self.function(expr, call, spec, position),
                None => (self.value(expr), Vec::new()),
            },
            _ => (self.value(expr), Vec::new()),
        }
    }

    fn not_a_condition(&mut self, expr: &syntax::Expr, value: &Typed<'a>) {
        let text = self.text_of(expr);
        let help = match value.ty.as_ref() {
            _ if value.as_const().is_some() => "it is the same for every event: compare a field with it".to_owned(),
            Type::Money => format!("compare it: `{text} > 100 USD`"),
            Type::Int(_) | Type::Number => format!("compare it: `{text} > 10`"),
            Type::Text(_) | Type::Enum { .. } if value.optional => {
                format!("compare it (`{text} is \"…\"`), or ask `{text} is present`")
            }
            Type::Text(_) | Type::Enum { .. } => format!("compare it: `{text} is \"…\"`"),
            Type::DateTime => format!("compare it: `now - {text} < 1 hour`"),
            _ => format!("ask something about it: `{text} is present`"),
        };
        let mut diagnostic = self
            .diagnostic(Code::E301, expr.span, format!("`{text}` is no condition"))
            .label(format!("it is {}, neither true nor false", value.type_name()))
            .help(help);
        if value.optional {
            diagnostic = diagnostic.fix(format!("`{text} is present`"), expr.span.after(), " is present", false);
        }
        self.report(diagnostic);
    }

    /// Makes one test.
    fn test(&self, expr: &syntax::Expr, test: plan::Expr) -> Condition {
        // The texts are for `why`, which shows the filter; elsewhere nobody reads them.
        if self.setting != Setting::Condition || self.frame.is_guard {
            return Condition::Test { text: String::new(), expr: test, reads: Vec::new() };
        }
        let mut reads = Vec::new();
        test.walk(&mut |part| {
            if let plan::Expr::Event(slot) = part
                && !reads.contains(slot)
            {
                reads.push(*slot);
            }
        });
        Condition::Test { text: self.text_of(expr), expr: test, reads }
    }

    /// What stands for a mistake that has been reported.
    fn unknown_test(&self) -> Checked<'a> {
        let tree = Condition::Test { text: String::new(), expr: plan::Expr::Const(Value::Bool(false)), reads: Vec::new() };
        Checked { tree, when_true: Vec::new(), when_false: Vec::new(), partials: Vec::new() }
    }

    /// The fact that a value is there.
    fn present(&self, value: &Typed<'a>) -> Vec<Fact<'a>> {
        value.place.iter().cloned().map(Fact::Present).collect()
    }
}
