//! `+ - * /` and the sign.

use std::rc::Rc;

use std::borrow::Cow;

use flow_grammar::span::Span;
use flow_grammar::syntax::{self, BinaryOp};
use flow_plan as plan;
use flow_plan::ty::Type;
use flow_plan::{Arithmetic, Money, Value};

use super::super::amount::Amount;
use super::super::check::Checker;
use super::super::mend::Need;
use super::super::typed::Typed;
use crate::code::Code;

/// What arithmetic can be done with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Whole,
    Number,
    Money,
    Duration,
    Instant,
    Text,
    Any,
}

impl<'a> Checker<'a> {
    pub(super) fn arithmetic(
        &mut self,
        expr: &syntax::Expr,
        op: BinaryOp,
        at: Span,
        left: &syntax::Expr,
        right: &syntax::Expr,
    ) -> Typed<'a> {
        let (a, b) = (self.value(left), self.value(right));
        if a.is_unknown() || b.is_unknown() {
            return Typed::unknown();
        }
        let how = match op {
            BinaryOp::Subtract => Arithmetic::Subtract,
            BinaryOp::Multiply => Arithmetic::Multiply,
            BinaryOp::Divide => Arithmetic::Divide,
            _ => Arithmetic::Add,
        };
        let (Some(x), Some(y)) = (kind(&a.ty), kind(&b.ty)) else {
            return self.no_arithmetic(at, op, (left, &a), (right, &b));
        };
        let ty = match (how, x, y) {
            (Arithmetic::Add, Kind::Text, Kind::Text) => return self.join((left, a), (right, b)),
            (Arithmetic::Divide, Kind::Whole | Kind::Number, Kind::Whole | Kind::Number) => Type::Number,
            (_, Kind::Whole, Kind::Whole) => Type::Int(None),
            (_, Kind::Whole | Kind::Number, Kind::Whole | Kind::Number) => Type::Number,
            (Arithmetic::Add | Arithmetic::Subtract, Kind::Money, Kind::Money) => Type::Money,
            (Arithmetic::Divide, Kind::Money, Kind::Money) => Type::Number,
            (Arithmetic::Multiply | Arithmetic::Divide, Kind::Money, Kind::Whole | Kind::Number)
            | (Arithmetic::Multiply, Kind::Whole | Kind::Number, Kind::Money) => Type::Money,
            (Arithmetic::Add | Arithmetic::Subtract, Kind::Duration, Kind::Duration) => Type::Duration,
            (Arithmetic::Add | Arithmetic::Subtract, Kind::Instant, Kind::Duration)
            | (Arithmetic::Add, Kind::Duration, Kind::Instant) => Type::DateTime,
            (Arithmetic::Subtract, Kind::Instant, Kind::Instant) => Type::Duration,
            (_, Kind::Any, Kind::Any | Kind::Whole | Kind::Number) | (_, Kind::Whole | Kind::Number, Kind::Any) => Type::Number,
            _ => return self.no_arithmetic(at, op, (left, &a), (right, &b)),
        };
        let both_money = x == Kind::Money && y == Kind::Money;
        let mut one_currency = !both_money;
        let mut currencies = if x == Kind::Money { a.currencies.clone() } else { b.currencies.clone() };
        if both_money {
            one_currency = a.currency_at.is_some() && a.currency_at == b.currency_at;
            if let (Some(p), Some(q)) = (&a.currencies, &b.currencies) {
                if p.is_disjoint(q) {
                    self.two_currencies(expr.span, (left, &a), (right, &b));
                    return Typed::unknown();
                }
                one_currency |= p.len() == 1 && p == q;
            }
            if !one_currency {
                // Where the sum is there at all, it has the currency of both.
                currencies = match (&a.currencies, &b.currencies) {
                    (Some(p), Some(q)) => Some(Rc::new(p.intersection(q).copied().collect())),
                    (known, None) | (None, known) => known.clone(),
                };
            }
            if how == Arithmetic::Divide {
                currencies = None;
            }
        }
        let is_zero = match b.as_const() {
            Some(Value::Number(number)) => number.is_zero(),
            Some(Value::Money(money)) => money.amount.is_zero(),
            _ => false,
        };
        if how == Arithmetic::Divide && is_zero && self.quiet == 0 {
            let diagnostic = self
                .diagnostic(Code::E301, right.span, "nothing can be divided by zero")
                .label("the result would always be missing");
            self.report(diagnostic);
            return Typed::unknown();
        }
        // By a constant that is not zero one can always divide.
        let divides = how != Arithmetic::Divide
            || matches!(b.as_const(), Some(Value::Number(n)) if !n.is_zero())
            || matches!(b.as_const(), Some(Value::Money(m)) if !m.amount.is_zero());
        let failed = a.failed.or(b.failed);
        let currency_at = if one_currency { a.currency_at.or(b.currency_at) } else { None };
        let optional = a.optional || b.optional || !one_currency || !divides;
        let personal = a.personal || b.personal;
        let calculated = match (x, y) {
            (Kind::Instant, Kind::Duration) | (Kind::Duration, Kind::Instant) => {
                let (at, by, span) = if x == Kind::Instant { (a, b, right.span) } else { (b, a, left.span) };
                match self.shifted(how, at, by, span) {
                    Some(shifted) => shifted,
                    None => return Typed::unknown(),
                }
            }
            _ => plan::Expr::Arithmetic(how, Box::new(a.expr), Box::new(b.expr)),
        };
        let mut typed = Typed::new(calculated, ty);
        if *typed.ty == Type::Money {
            typed.currencies = currencies;
            typed.currency_at = currency_at;
        }
        typed.failed = failed;
        typed.optional(optional).personal(personal)
    }

    /// An instant with a duration. Days and months count in the zone of the flow; a length that is exact needs none.
    fn shifted(&mut self, how: Arithmetic, at: Typed<'a>, by: Typed<'a>, span: Span) -> Option<plan::Expr> {
        let exact = matches!(by.as_const(), Some(Value::Duration(length)) if length.months == 0 && length.days == 0);
        if exact {
            return Some(plan::Expr::Arithmetic(how, Box::new(at.expr), Box::new(by.expr)));
        }
        let zone = self.zone_here(span, "days, weeks and months are counted by the calendar of a place")?;
        let length = match how {
            Arithmetic::Subtract => plan::Expr::Negate(Box::new(by.expr)),
            Arithmetic::Add | Arithmetic::Multiply | Arithmetic::Divide => by.expr,
        };
        Some(plan::Expr::Call(plan::Function::Shift, vec![at.expr, length, plan::Expr::Const(Value::text(zone))]))
    }

    fn join(&mut self, (left, a): (&syntax::Expr, Typed<'a>), (right, b): (&syntax::Expr, Typed<'a>)) -> Typed<'a> {
        let a = self.need(a, left, &Need::Text);
        let b = self.need(b, right, &Need::Text);
        let personal = a.personal || b.personal;
        Typed::new(plan::Expr::Text(vec![a.expr, b.expr]), Type::text()).personal(personal)
    }

    fn no_arithmetic(
        &mut self,
        at: Span,
        op: BinaryOp,
        (left, a): (&syntax::Expr, &Typed<'a>),
        (right, b): (&syntax::Expr, &Typed<'a>),
    ) -> Typed<'a> {
        let (sign, doing) = match op {
            BinaryOp::Subtract => ("-", "subtract"),
            BinaryOp::Multiply => ("*", "multiply"),
            BinaryOp::Divide => ("/", "divide"),
            _ => ("+", "add"),
        };
        let mut diagnostic = self
            .diagnostic(Code::E301, at, format!("`{sign}` cannot {doing} {} and {}", a.type_name(), b.type_name()))
            .also(left.span, a.type_name())
            .also(right.span, b.type_name());
        let text = |value: &Typed<'_>| matches!(value.ty.as_ref(), Type::Text(_) | Type::Enum { .. });
        let money = |value: &Typed<'_>| *value.ty == Type::Money;
        let quoted = [(left, a), (right, b)].into_iter().find_map(|(expr, value)| {
            let plain = value.as_const().filter(|_| text(value))?.to_string();
            Amount::read(&plain).map(|amount| (expr, amount))
        });
        if let Some((expr, Amount { number, currency: Some(currency), .. })) = &quoted
            && (money(a) || money(b))
        {
            let amount = format!("{number} {currency}");
            diagnostic =
                diagnostic.help("amounts are written without quotes").fix(format!("`{amount}`"), expr.span, amount, false);
        } else if op == BinaryOp::Add && (text(a) || text(b)) {
            let (l, r) = (piece(self, left, a), piece(self, right, b));
            diagnostic =
                diagnostic.help("put both into one text").fix("one text", left.span.to(right.span), format!("\"{l}{r}\""), true);
        } else if money(a) != money(b) && matches!(op, BinaryOp::Add | BinaryOp::Subtract) {
            let number = if money(a) { right } else { left };
            if matches!(number.kind.as_ref(), syntax::ExprKind::Number(_)) {
                let currency = self.settings.currency.map_or("USD".to_owned(), |currency| currency.to_string());
                diagnostic = diagnostic.help("say in which currency").fix(
                    format!("`{} {currency}`", self.text_of(number)),
                    number.span.after(),
                    format!(" {currency}"),
                    false,
                );
            }
        }
        self.report(diagnostic);
        Typed::unknown()
    }

    /// Reports two amounts that never have one currency.
    pub(in crate::flow) fn two_currencies(
        &mut self,
        span: Span,
        (left, a): (&syntax::Expr, &Typed<'a>),
        (right, b): (&syntax::Expr, &Typed<'a>),
    ) {
        let words = |value: &Typed<'_>| {
            value
                .currencies
                .as_ref()
                .map_or(String::new(), |all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or "))
        };
        let diagnostic = self
            .diagnostic(Code::E310, span, format!("{} and {} are different currencies", words(a), words(b)))
            .also(left.span, words(a))
            .also(right.span, words(b))
            .help("Flow exchanges nothing by itself: rates change. Compare amounts of one currency, or give a limit for each: `any(100 USD, 90 EUR)`");
        self.report(diagnostic);
    }

    pub(super) fn negate(&mut self, expr: &syntax::Expr, inner: &syntax::Expr) -> Typed<'a> {
        let mut value = self.value(inner);
        match value.ty.as_ref() {
            Type::Unknown => return value,
            Type::Int(_) => value.ty = Cow::Owned(Type::Int(None)),
            Type::Number | Type::Money | Type::Duration => {}
            Type::Json => value.ty = Cow::Owned(Type::Number),
            _ => {
                let diagnostic = self
                    .diagnostic(Code::E301, expr.span, format!("{} has no sign", value.type_name()))
                    .help("`-` stands before numbers, money and durations; the opposite of a condition is `not`");
                self.report(diagnostic);
                return Typed::unknown();
            }
        }
        value.place = None;
        value.expr = match value.expr {
            plan::Expr::Const(Value::Number(number)) => plan::Expr::Const(Value::Number(-number)),
            plan::Expr::Const(Value::Money(money)) => {
                plan::Expr::Const(Value::Money(Money { amount: -money.amount, currency: money.currency }))
            }
            other => plan::Expr::Negate(Box::new(other)),
        };
        value
    }
}

fn kind(ty: &Type) -> Option<Kind> {
    match ty {
        Type::Int(_) => Some(Kind::Whole),
        Type::Number => Some(Kind::Number),
        Type::Money => Some(Kind::Money),
        Type::Duration => Some(Kind::Duration),
        Type::DateTime => Some(Kind::Instant),
        Type::Text(_) | Type::Enum { .. } => Some(Kind::Text),
        Type::Json => Some(Kind::Any),
        Type::Unknown
        | Type::Bool
        | Type::Date
        | Type::Time
        | Type::List(_)
        | Type::Map(_)
        | Type::Record(_)
        | Type::Optional(_)
        | Type::Nothing => None,
    }
}

/// A side as it stands within a text.
fn piece(checker: &Checker<'_>, expr: &syntax::Expr, value: &Typed<'_>) -> String {
    if super::function::is_text_literal(expr, value) {
        let text = checker.text_of(expr);
        text.get(1..text.len().saturating_sub(1)).unwrap_or_default().to_owned()
    } else {
        format!("{{{}}}", checker.text_of(expr))
    }
}
