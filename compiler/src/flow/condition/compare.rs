//! `<`, `<=`, `>`, `>=`, of numbers, money, times.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use flow_grammar::span::Span;
use flow_grammar::syntax::{self, ExprKind};
use flow_plan as plan;
use flow_plan::ty::{TextKind, Type};
use flow_plan::{Currency, Order, Value};
use rust_decimal::Decimal;

use super::super::amount::Amount;
use super::super::check::Checker;
use super::super::expr::function::is_text_literal;
use super::super::fact::Fact;
use super::super::mend::Partial;
use super::super::typed::Typed;
use super::{Checked, Position};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Edit, Fix};

/// What an ordering compares its left side with.
pub(super) enum Against<'a> {
    /// A value of its type.
    Value(Typed<'a>),
    /// One limit per currency.
    Any(BTreeMap<Currency, Decimal>),
    /// Major units of whatever currency the money has.
    Major(Decimal),
}

/// From here on a whole number without a currency is more often an amount in cents than one in dollars.
const LOOKS_LIKE_CENTS: Decimal = Decimal::from_parts(10_000, 0, 0, false, 0);

impl<'a> Checker<'a> {
    pub(super) fn compare(
        &mut self,
        expr: &syntax::Expr,
        order: Order,
        left: &syntax::Expr,
        right: &syntax::Expr,
        position: Position,
    ) -> Checked<'a> {
        if let ExprKind::Any(_) = bare(left).kind.as_ref() {
            return self.compare(expr, mirrored(order), right, left, position);
        }
        let negation = self.negation.take();
        let a = self.value(left);
        let b = match bare(right).kind.as_ref() {
            ExprKind::Any(limits) => match self.limits(limits) {
                Some(limits) if *a.ty == Type::Money => Against::Any(limits),
                Some(_) => {
                    if !a.is_unknown() {
                        self.incomparable((left, &a), (right, &Typed::new(plan::Expr::Const(Value::Missing), Type::Money)));
                    }
                    return self.unknown_test();
                }
                None => return self.unknown_test(),
            },
            _ => {
                let b = self.value(right);
                if a.is_unknown() || b.is_unknown() {
                    return self.unknown_test();
                }
                // A number without a currency beside money.
                if let (Type::Money, Some(Value::Number(number))) = (a.ty.as_ref(), b.as_const()) {
                    let number = *number;
                    self.money_without_currency(right, number, &a)
                } else if let (Some(Value::Number(number)), Type::Money) = (a.as_const(), b.ty.as_ref()) {
                    let number = *number;
                    let against = self.money_without_currency(left, number, &b);
                    return self.ordering(expr, mirrored(order), (right, b), (left, against), (position, negation));
                } else {
                    Against::Value(b)
                }
            }
        };
        self.ordering(expr, order, (left, a), (right, b), (position, negation))
    }

    fn ordering(
        &mut self,
        expr: &syntax::Expr,
        order: Order,
        (left, a): (&syntax::Expr, Typed<'a>),
        (right, b): (&syntax::Expr, Against<'a>),
        (position, negation): (Position, Option<Span>),
    ) -> Checked<'a> {
        let Some(sure) = self.comparable((left, &a), (right, &b)) else { return self.unknown_test() };
        let partial = self.unsure(expr, order, (left, &a), (right, &b), sure);
        let mut partials = Vec::new();
        if let Some(partial) = partial {
            match position {
                Position::Positive if partial.failed.is_none() => partials.push(partial),
                Position::Positive | Position::Negative | Position::Value => {
                    let why = match position {
                        Position::Negative => "under `not`, \"not known\" would count as true",
                        Position::Positive | Position::Value => "as a value, \"not known\" would count as false",
                    };
                    let fix = negation.zip(partial.flipped.clone()).map(|(span, flipped)| crate::diagnostic::Fix {
                        title: format!("`{flipped}`"),
                        edits: vec![Edit { span, text: flipped }],
                        safe: false,
                    });
                    self.partial(&partial, why, fix);
                }
            }
        }
        let mut when_true = self.present(&a);
        let boxed = Box::new(a.expr);
        let test = match b {
            Against::Value(b) => {
                when_true.extend(self.present(&b));
                if let (Some(place), Some(currencies)) = (&a.place, &b.currencies) {
                    when_true.push(Fact::Currency(place.clone(), currencies.clone()));
                }
                if let (Some(currencies), Some(place)) = (&a.currencies, &b.place)
                    && a.place.is_none()
                {
                    when_true.push(Fact::Currency(place.clone(), currencies.clone()));
                }
                plan::Expr::Compare(order, boxed, Box::new(b.expr))
            }
            Against::Any(limits) => {
                if let Some(place) = &a.place {
                    when_true.push(Fact::Currency(place.clone(), Rc::new(limits.keys().copied().collect())));
                }
                plan::Expr::CompareAny(order, boxed, limits)
            }
            Against::Major(number) => plan::Expr::CompareMajor(order, boxed, Box::new(plan::Expr::Const(Value::Number(number)))),
        };
        // Where a sure comparison does not hold, both sides are there all the same; but then they were known to be.
        Checked { tree: self.test(expr, test), when_true, when_false: Vec::new(), partials }
    }

    /// Tells whether two sides can be compared, and then whether their currency is sure to be one.
    pub(super) fn comparable(
        &mut self,
        (left, a): (&syntax::Expr, &Typed<'a>),
        (right, b): (&syntax::Expr, &Against<'a>),
    ) -> Option<bool> {
        match b {
            Against::Major(_) => Some(true),
            Against::Any(limits) => {
                let listed: BTreeSet<Currency> = limits.keys().copied().collect();
                match &a.currencies {
                    Some(known) if known.is_disjoint(&listed) => {
                        let mut limit = Typed::new(plan::Expr::Const(Value::Missing), Type::Money);
                        limit.currencies = Some(Rc::new(listed));
                        self.two_currencies(left.span.to(right.span), (left, a), (right, &limit));
                        None
                    }
                    Some(known) => Some(known.is_subset(&listed)),
                    None => Some(false),
                }
            }
            Against::Value(b) => match (order_kind(&a.ty), order_kind(&b.ty)) {
                (Some(Kind::Any), Some(Kind::Money)) | (Some(Kind::Money), Some(Kind::Any)) => {
                    self.incomparable((left, a), (right, b));
                    None
                }
                (Some(x), Some(y)) if x == y || x == Kind::Any || y == Kind::Any => {
                    self.raw_amount(left, a, right, b);
                    if x != Kind::Money || y != Kind::Money {
                        return Some(true);
                    }
                    match (&a.currencies, &b.currencies) {
                        (Some(p), Some(q)) if p.is_disjoint(q) => {
                            self.two_currencies(left.span.to(right.span), (left, a), (right, b));
                            None
                        }
                        (Some(p), Some(q)) if p.len() == 1 && p == q => Some(true),
                        _ => Some(a.currency_at.is_some() && a.currency_at == b.currency_at),
                    }
                }
                _ => {
                    self.incomparable((left, a), (right, b));
                    None
                }
            },
        }
    }

    /// Says why a comparison may not be possible, if so.
    fn unsure(
        &self,
        expr: &syntax::Expr,
        order: Order,
        (left, a): (&syntax::Expr, &Typed<'a>),
        (right, b): (&syntax::Expr, &Against<'a>),
        sure: bool,
    ) -> Option<Partial<'a>> {
        let (subject, missing) = match b {
            _ if a.optional => (a, true),
            Against::Value(b) if b.optional => (b, true),
            Against::Value(b) if !sure => (if a.place.is_some() { a } else { b }, false),
            Against::Any(_) if !sure => (a, false),
            Against::Value(_) | Against::Any(_) | Against::Major(_) => return None,
        };
        Some(Partial {
            span: expr.span,
            text: self.text_of(expr),
            place: subject.place.clone(),
            beside: match b {
                Against::Value(b) if a.optional && b.optional => b.place.clone(),
                Against::Value(_) | Against::Any(_) | Against::Major(_) => None,
            },
            missing,
            failed: subject.failed,
            flipped: Some(format!("{} {} {}", self.text_of(left), sign(opposite(order)), self.text_of(right))),
        })
    }

    /// A number without a currency beside money: in the project's currency, or in whatever the money has.
    pub(super) fn money_without_currency(&mut self, expr: &syntax::Expr, number: Decimal, money: &Typed<'a>) -> Against<'a> {
        let example = self.settings.currency.map_or_else(|| "USD".to_owned(), |currency| currency.to_string());
        let warned = self.looks_like_cents(expr, number);
        self.frozen.currency.set(true);
        match self.settings.currency {
            Some(currency) => {
                if number.normalize().scale() > u32::from(currency.decimals()) {
                    let diagnostic = self
                        .diagnostic(Code::E312, expr.span, format!("{currency} does not have so many decimals"))
                        .label(format!("flow.toml says that amounts are in {currency}"));
                    self.report(diagnostic);
                }
                let mut typed = Typed::constant(Value::Money(plan::Money { amount: number, currency }), Type::Money);
                typed.currencies = Some(Rc::new(BTreeSet::from([currency])));
                Against::Value(typed)
            }
            None => {
                if self.quiet == 0 && !warned && !self.settings.quick {
                    let text = self.text_of(expr);
                    let subject =
                        money.place.as_ref().map_or_else(|| "the money".to_owned(), |place| format!("`{}`", self.spell(place)));
                    let diagnostic = self
                        .diagnostic(Code::W311, expr.span, format!("{text} of which currency?"))
                        .label(format!("{text} units of whatever currency {subject} has: 100 dollars and 100 yen alike"))
                        .help("write the currency, or set `currency` in flow.toml")
                        .fix(format!("`{text} {example}`"), expr.span.after(), format!(" {example}"), false);
                    self.report(diagnostic);
                }
                Against::Major(number)
            }
        }
    }

    /// Warns of a whole number that is probably an amount in cents.
    fn looks_like_cents(&mut self, expr: &syntax::Expr, number: Decimal) -> bool {
        let decimals = self.settings.currency.map_or(2, |currency| currency.decimals());
        if self.quiet > 0 || decimals == 0 || !number.is_integer() || number.abs() < LOOKS_LIKE_CENTS {
            return false;
        }
        let major = (number / Decimal::from(100)).normalize();
        let example = self.settings.currency.map_or_else(|| "USD".to_owned(), |currency| currency.to_string());
        let text = self.text_of(expr);
        let diagnostic = self
            .diagnostic(Code::W313, expr.span, format!("is {text} meant in cents?"))
            .label(format!("amounts are in whole units: this is {text}.00"))
            .help("write the currency and this warning is gone")
            .fix(format!("`{major} {example}`, if cents were meant"), expr.span, format!("{major} {example}"), false)
            .fix(format!("`{text} {example}`, if not"), expr.span.after(), format!(" {example}"), false);
        self.report(diagnostic);
        true
    }

    /// The limits of `any(…)`.
    pub(super) fn limits(&mut self, limits: &[syntax::Expr]) -> Option<BTreeMap<Currency, Decimal>> {
        let mut table = BTreeMap::new();
        let mut sound = true;
        for limit in limits {
            let value = self.value(limit);
            match value.as_const() {
                Some(Value::Money(money)) => {
                    if table.insert(money.currency, money.amount).is_some() {
                        let diagnostic = self
                            .diagnostic(Code::E205, limit.span, format!("{} has two limits here", money.currency))
                            .help("keep one of them");
                        self.report(diagnostic);
                        sound = false;
                    }
                }
                _ => {
                    if !value.is_unknown() {
                        let mut diagnostic = self
                            .diagnostic(Code::E301, limit.span, "`any(…)` takes amounts with their currency")
                            .label(value.type_name());
                        if let Some(Value::Number(_)) = value.as_const() {
                            diagnostic =
                                diagnostic.fix(format!("`{} USD`", self.text_of(limit)), limit.span.after(), " USD", false);
                        }
                        self.report(diagnostic);
                    }
                    sound = false;
                }
            }
        }
        sound.then_some(table)
    }

    /// Reports two sides that cannot be compared.
    pub(super) fn incomparable(&mut self, (left, a): (&syntax::Expr, &Typed<'a>), (right, b): (&syntax::Expr, &Typed<'a>)) {
        let span = left.span.to(right.span);
        let mut diagnostic = self
            .diagnostic(Code::E301, span, format!("{} cannot be compared with {}", noun(&a.ty), noun(&b.ty)))
            .also(left.span, a.type_name())
            .also(right.span, b.type_name());
        diagnostic = match (a.ty.as_ref(), b.ty.as_ref()) {
            (Type::Money | Type::Int(_) | Type::Number, Type::Text(_)) => {
                unquoted(diagnostic, right, b, *a.ty == Type::Money, self.settings.currency)
            }
            (Type::Text(_), Type::Money | Type::Int(_) | Type::Number) if is_text_literal(left, a) => {
                unquoted(diagnostic, left, a, *b.ty == Type::Money, self.settings.currency)
            }
            (Type::Text(_) | Type::Enum { .. }, Type::Int(_) | Type::Number) if b.as_const().is_some() => {
                let text = self.text_of(right);
                diagnostic
                    .help(format!(
                        "`{}` is a text: texts can be equal, contain or begin with one another, but have no order",
                        self.text_of(left)
                    ))
                    .fix(
                        format!("its length: `length({}) … {text}`", self.text_of(left)),
                        left.span,
                        format!("length({})", self.text_of(left)),
                        false,
                    )
            }
            (Type::Text(TextKind::Id(connector, record)), Type::Text(TextKind::Id(other, thing)))
                if (connector, record) != (other, thing) =>
            {
                diagnostic.message =
                    format!("`{}` and `{}` are ids of different things", self.text_of(left), self.text_of(right));
                diagnostic.help(format!(
                    "the id of a `{connector}.{record}` is never that of a `{other}.{thing}`: compare ids of one thing, or what both have, such as an email address"
                ))
            }
            (Type::Text(_) | Type::Enum { .. }, Type::Text(_) | Type::Enum { .. }) => diagnostic
                .help("texts have no order; compare with `is`, `contains`, `starts with`, `matches` or `in [\"a\", \"b\"]`"),
            (Type::Json, Type::Money) | (Type::Money, Type::Json) => {
                let (raw, value) = if *a.ty == Type::Json { (left, a) } else { (right, b) };
                match self.money_behind(value) {
                    Some(field) => diagnostic
                        .help(format!(
                            "`raw` is what the service sent, in its smallest unit and without a currency; `{}` is money",
                            field.name
                        ))
                        .fix(format!("`{}`", field.name), raw.span, field.name.clone(), false),
                    None => {
                        let (raw, written) = (self.text_of(raw), if *a.ty == Type::Json { right } else { left });
                        let limit = match bare(written).kind.as_ref() {
                            ExprKind::Money(number, currency) => {
                                Some((number.span.text(self.frame.source).to_owned(), currency.text.to_lowercase()))
                            }
                            _ => None,
                        };
                        match limit {
                            Some((number, currency)) => diagnostic
                                .help(format!(
                                    "JSON has no currency: `money(number({raw}), \"{currency}\")` makes money of it, where it is so many whole units; or compare the bare number"
                                ))
                                .fix(format!("`{number}`"), bare(written).span, number, false),
                            None => diagnostic.help(format!(
                                "JSON has no currency: `money(number({raw}), \"usd\")` makes money of it, where it is so many whole units"
                            )),
                        }
                    }
                }
            }
            (Type::Money, Type::Int(_) | Type::Number) | (Type::Int(_) | Type::Number, Type::Money) => {
                let diagnostic =
                    diagnostic.help("a number has no currency; compare money with money, and a number with a number");
                let amount = [left, right].into_iter().find_map(|side| match bare(side).kind.as_ref() {
                    ExprKind::Money(number, _) => Some((bare(side).span, number.span.text(self.frame.source).to_owned())),
                    _ => None,
                });
                match amount {
                    Some((span, number)) => diagnostic.fix(format!("`{number}`"), span, number, false),
                    None => diagnostic,
                }
            }
            (Type::Text(_) | Type::Enum { .. }, Type::Money) => {
                diagnostic.help(format!("`{}` is a text, which has no amount: compare a field that is money", self.text_of(left)))
            }
            (Type::DateTime, Type::Duration) => {
                let text = self.text_of(left);
                diagnostic.help(format!("how long ago something was is `now - {text}`")).fix(
                    format!("`now - {text}`"),
                    left.span,
                    format!("now - {text}"),
                    false,
                )
            }
            (Type::DateTime, Type::Date | Type::Time) | (Type::Date | Type::Time, Type::DateTime) => {
                diagnostic.help("an instant is compared with an instant: `now`, or a date with its time, `2026-11-22 00:00`")
            }
            (Type::Text(_) | Type::Enum { .. }, Type::Bool) if matches!(right.kind.as_ref(), ExprKind::Name(_)) => {
                let text = self.text_of(right);
                diagnostic.help(format!("`{text}` is a field of its own; a text stands in quotes")).fix(
                    format!("`\"{text}\"`"),
                    right.span,
                    format!("\"{text}\""),
                    false,
                )
            }
            (Type::Bool, _) => diagnostic.help(format!("`{0}` is true or false by itself: `{0}`, `not {0}`", self.text_of(left))),
            _ => diagnostic,
        };
        self.report(diagnostic);
    }
}

/// A number or an amount that stands in quotes.
fn unquoted(
    diagnostic: Diagnostic,
    expr: &syntax::Expr,
    value: &Typed<'_>,
    money: bool,
    default: Option<Currency>,
) -> Diagnostic {
    let plain = value.as_const().map(ToString::to_string).unwrap_or_default();
    let Some(amount) = Amount::read(&plain) else { return diagnostic };
    let (text, safe) = match (&amount.currency, default) {
        (Some(currency), _) if money => (format!("{} {currency}", amount.number), !amount.by_sign),
        (Some(_), _) => return diagnostic,
        // Money without a currency is compared with whatever currency there is: that is not meant by leaving quotes out.
        (None, None) if money => (format!("{} USD", amount.number), false),
        (None, _) => (amount.number, true),
    };
    let fix = Fix { title: format!("`{text}`"), edits: vec![Edit { span: expr.span, text }], safe };
    let mut diagnostic =
        diagnostic.help(if money { "amounts are written without quotes" } else { "numbers are written without quotes" });
    diagnostic.fixes.push(fix);
    diagnostic
}

/// What has an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Money,
    Date,
    Time,
    Instant,
    Duration,
    Any,
}

fn order_kind(ty: &Type) -> Option<Kind> {
    match ty {
        Type::Int(_) | Type::Number => Some(Kind::Number),
        Type::Money => Some(Kind::Money),
        Type::Date => Some(Kind::Date),
        Type::Time => Some(Kind::Time),
        Type::DateTime => Some(Kind::Instant),
        Type::Duration => Some(Kind::Duration),
        Type::Json | Type::Unknown => Some(Kind::Any),
        Type::Text(_)
        | Type::Bool
        | Type::List(_)
        | Type::Map(_)
        | Type::Record(_)
        | Type::Enum { .. }
        | Type::Optional(_)
        | Type::Nothing => None,
    }
}

/// What a type is called in a sentence.
pub(super) fn noun(ty: &Type) -> String {
    match ty {
        Type::Text(_) | Type::Enum { .. } => "text".to_owned(),
        Type::Int(_) | Type::Number => "a number".to_owned(),
        Type::Bool => "a truth".to_owned(),
        Type::Date => "a date".to_owned(),
        Type::Time => "a time of day".to_owned(),
        Type::DateTime => "an instant".to_owned(),
        Type::Duration => "a duration".to_owned(),
        Type::List(_) => "a list".to_owned(),
        Type::Map(_) => "a map".to_owned(),
        Type::Record(_) => "a record".to_owned(),
        other => other.to_string(),
    }
}

fn bare(expr: &syntax::Expr) -> &syntax::Expr {
    match expr.kind.as_ref() {
        ExprKind::Paren(inner) => bare(inner),
        _ => expr,
    }
}

pub(super) fn mirrored(order: Order) -> Order {
    match order {
        Order::Less => Order::Greater,
        Order::LessEq => Order::GreaterEq,
        Order::Greater => Order::Less,
        Order::GreaterEq => Order::LessEq,
    }
}

fn opposite(order: Order) -> Order {
    match order {
        Order::Less => Order::GreaterEq,
        Order::LessEq => Order::Greater,
        Order::Greater => Order::LessEq,
        Order::GreaterEq => Order::Less,
    }
}

fn sign(order: Order) -> &'static str {
    match order {
        Order::Less => "<",
        Order::LessEq => "<=",
        Order::Greater => ">",
        Order::GreaterEq => ">=",
    }
}
