//! `in`, `contains`, `starts with`, `ends with`, `matches`.

use std::rc::Rc;

use flow_grammar::span::Span;
use flow_grammar::syntax::{self, ExprKind};
use flow_plan as plan;
use flow_plan::ty::{TextKind, Type};
use flow_plan::{Order, Value};

use super::super::check::Checker;
use super::super::fact::Fact;
use super::super::mend::Partial;
use super::super::typed::Typed;
use super::compare::Against;
use super::{Checked, Position};
use crate::code::Code;

impl<'a> Checker<'a> {
    pub(super) fn is_in(
        &mut self,
        expr: &syntax::Expr,
        left: &syntax::Expr,
        set: &syntax::Expr,
        wanted: bool,
        position: Position,
    ) -> Checked<'a> {
        if let ExprKind::List(items) = unwrapped(set).kind.as_ref()
            && super::super::slip::asks_currency(left)
        {
            self.beside = super::super::slip::capitals(&items.iter().collect::<Vec<_>>());
        }
        let a = self.value(left);
        self.beside.clear();
        let mut facts = self.present(&a);
        let mut partials = Vec::new();
        let test = match unwrapped(set).kind.as_ref() {
            ExprKind::List(items) => {
                if items.is_empty() && wanted && self.quiet == 0 {
                    let diagnostic = self
                        .diagnostic(Code::E701, expr.span, "nothing is in an empty list")
                        .label("this never holds")
                        .help("write the values that are meant: `in [\"a\", \"b\"]`");
                    self.report(diagnostic);
                }
                let mut choices = Vec::with_capacity(items.len());
                let mut tests = Vec::new();
                for item in items {
                    let bare = match (a.ty.as_ref(), item.kind.as_ref()) {
                        (Type::Enum { .. }, ExprKind::Name(name)) if self.binding(&name.text).is_none() => Some(name.clone()),
                        _ => None,
                    };
                    if let Some(name) = bare {
                        let ty = a.ty.clone();
                        self.bare_member(item, &name, &ty);
                        continue;
                    }
                    let b = self.word_or_value(item, &a);
                    if a.is_unknown() || b.is_unknown() {
                        continue;
                    }
                    match self.equal((left, a.clone()), (item, b)) {
                        Some(plan::Expr::Equal(_, choice)) => choices.push(*choice),
                        Some(other) => tests.push(other),
                        None => {}
                    }
                }
                if tests.is_empty() {
                    plan::Expr::OneOf(Box::new(a.expr), choices)
                } else {
                    if !choices.is_empty() {
                        tests.push(plan::Expr::OneOf(Box::new(a.expr), choices));
                    }
                    plan::Expr::Or(tests)
                }
            }
            ExprKind::Range(low, high) => {
                let checked = self.in_range(expr, (left, a), low, high, wanted, position);
                match checked {
                    Some((test, more, partial)) => {
                        facts.extend(more);
                        partials.extend(partial);
                        test
                    }
                    None => return self.unknown_test(),
                }
            }
            _ => {
                let b = self.value(set);
                match b.ty.as_ref() {
                    Type::Unknown => return self.unknown_test(),
                    Type::List(_) | Type::Json => plan::Expr::InList(Box::new(a.expr), Box::new(b.expr)),
                    Type::Text(_) => {
                        let (value, text) = (self.text_of(left), self.text_of(set));
                        let diagnostic = self
                            .diagnostic(Code::E301, expr.span, "`in` looks into a list or a range, not into a text")
                            .also(set.span, b.type_name())
                            .fix(format!("`{text} contains {value}`"), expr.span, format!("{text} contains {value}"), false)
                            .fix(format!("`{value} is {text}`"), expr.span, format!("{value} is {text}"), false);
                        self.report(diagnostic);
                        return self.unknown_test();
                    }
                    _ => {
                        let diagnostic = self
                            .diagnostic(Code::E301, set.span, "a list or a range is expected behind `in`")
                            .label(b.type_name())
                            .help("for example `in [\"a\", \"b\"]` or `in 10..20`");
                        self.report(diagnostic);
                        return self.unknown_test();
                    }
                }
            }
        };
        let mut checked = self.equality(expr, test, facts, wanted);
        checked.partials = partials;
        checked
    }

    /// `a in low..high`: two orderings in one.
    fn in_range(
        &mut self,
        expr: &syntax::Expr,
        (left, a): (&syntax::Expr, Typed<'a>),
        low: &syntax::Expr,
        high: &syntax::Expr,
        wanted: bool,
        position: Position,
    ) -> Option<(plan::Expr, Vec<Fact<'a>>, Option<Partial<'a>>)> {
        let (l, h) = (self.value(low), self.value(high));
        if a.is_unknown() || l.is_unknown() || h.is_unknown() {
            return None;
        }
        let money_limit = |this: &mut Self, expr: &syntax::Expr, limit: Typed<'a>| match (a.ty.as_ref(), limit.as_const()) {
            (Type::Money, Some(Value::Number(number))) => {
                let number = *number;
                this.money_without_currency(expr, number, &a)
            }
            _ => Against::Value(limit),
        };
        let l = money_limit(self, low, l);
        let h = money_limit(self, high, h);
        let sure = self.comparable((left, &a), (low, &l))? & self.comparable((left, &a), (high, &h))?;
        let ends_missing = [&l, &h].into_iter().any(|end| matches!(end, Against::Value(end) if end.optional));
        let mut partial = None;
        if a.optional || ends_missing || !sure {
            let found = Partial {
                span: expr.span,
                text: self.text_of(expr),
                place: a.place.clone(),
                beside: None,
                missing: a.optional || ends_missing,
                failed: a.failed,
                flipped: None,
            };
            // `not in` looks at it from the other side.
            let position = if wanted { position } else { position.negated() };
            if position == Position::Positive && found.failed.is_none() {
                partial = Some(found);
            } else {
                self.partial(&found, "\"not known\" would count as outside of the range", None);
            }
        }
        let mut facts = Vec::new();
        if let (Some(place), Against::Value(l), Against::Value(h)) = (&a.place, &l, &h)
            && let (Some(p), Some(q)) = (&l.currencies, &h.currencies)
        {
            if p.is_disjoint(q) {
                self.two_currencies(low.span.to(high.span), (low, l), (high, h));
                return None;
            }
            facts.push(Fact::Currency(place.clone(), Rc::new(p.intersection(q).copied().collect())));
        }
        let test = match (l, h) {
            (Against::Major(l), Against::Major(h)) => {
                let side = |order, number| {
                    plan::Expr::CompareMajor(order, Box::new(a.expr.clone()), Box::new(plan::Expr::Const(Value::Number(number))))
                };
                plan::Expr::And(vec![side(Order::GreaterEq, l), side(Order::LessEq, h)])
            }
            (Against::Value(l), Against::Value(h)) if *a.ty == Type::Money => plan::Expr::And(vec![
                plan::Expr::Compare(Order::GreaterEq, Box::new(a.expr.clone()), Box::new(l.expr)),
                plan::Expr::Compare(Order::LessEq, Box::new(a.expr), Box::new(h.expr)),
            ]),
            (Against::Value(l), Against::Value(h)) => {
                self.check_range_order((low, &l), (high, &h));
                plan::Expr::InRange(Box::new(a.expr), Box::new(l.expr), Box::new(h.expr))
            }
            _ => {
                let diagnostic = self
                    .diagnostic(Code::E301, low.span.to(high.span), "both ends of a range need the same kind of amount")
                    .help("write the currency at both ends: `100 USD..200 USD`");
                self.report(diagnostic);
                return None;
            }
        };
        Some((test, facts, partial))
    }

    fn check_range_order(&mut self, (low, l): (&syntax::Expr, &Typed<'a>), (high, h): (&syntax::Expr, &Typed<'a>)) {
        let backwards = match (l.as_const(), h.as_const()) {
            (Some(Value::Number(l)), Some(Value::Number(h))) => l > h,
            (Some(Value::Date(l)), Some(Value::Date(h))) => l > h,
            (Some(Value::Instant(l)), Some(Value::Instant(h))) => l > h,
            _ => false,
        };
        if backwards {
            let (first, last) = (self.text_of(low), self.text_of(high));
            let diagnostic = self
                .diagnostic(Code::E701, low.span.to(high.span), format!("nothing lies in {first}..{last}"))
                .label("the first end is above the last")
                .fix(format!("`{last}..{first}`"), low.span.to(high.span), format!("{last}..{first}"), false);
            self.report(diagnostic);
        }
    }

    pub(super) fn contains(&mut self, expr: &syntax::Expr, left: &syntax::Expr, right: &syntax::Expr) -> Checked<'a> {
        let (a, b) = (self.value(left), self.value(right));
        if a.is_unknown() || b.is_unknown() {
            return self.unknown_test();
        }
        let facts = self.present(&a);
        let test = match (a.ty.as_ref(), b.ty.as_ref()) {
            (Type::List(_), _) => plan::Expr::InList(Box::new(b.expr), Box::new(a.expr)),
            (Type::Text(_) | Type::Enum { .. } | Type::Json, Type::Text(_) | Type::Enum { .. } | Type::Json) => {
                plan::Expr::Contains(Box::new(a.expr), Box::new(b.expr))
            }
            (Type::Text(_) | Type::Enum { .. }, _) => {
                let text = self.text_of(right);
                let mut diagnostic =
                    self.diagnostic(Code::E301, right.span, "a text can only contain a text").label(b.type_name());
                if b.as_const().is_some() {
                    diagnostic = diagnostic.fix(format!("`\"{text}\"`"), right.span, format!("\"{text}\""), true);
                }
                self.report(diagnostic);
                return self.unknown_test();
            }
            (Type::Map(_), _) => {
                let diagnostic = self
                    .diagnostic(Code::E301, expr.span, format!("`{}` is a map: ask for a key", self.text_of(left)))
                    .help(format!("`{}.key is present`", self.text_of(left)));
                self.report(diagnostic);
                return self.unknown_test();
            }
            _ => {
                let diagnostic = self
                    .diagnostic(Code::E301, expr.span, format!("`{}` cannot contain anything", self.text_of(left)))
                    .also(left.span, a.type_name())
                    .help("texts and lists can");
                self.report(diagnostic);
                return self.unknown_test();
            }
        };
        Checked { tree: self.test(expr, test), when_true: facts, when_false: Vec::new(), partials: Vec::new() }
    }

    pub(super) fn affix(&mut self, expr: &syntax::Expr, starts: bool, left: &syntax::Expr, right: &syntax::Expr) -> Checked<'a> {
        let (a, b) = (self.value(left), self.value(right));
        if !self.both_texts((left, &a), (right, &b), if starts { "starts with" } else { "ends with" }) {
            return self.unknown_test();
        }
        let facts = self.present(&a);
        let (a, b) = (Box::new(a.expr), Box::new(b.expr));
        let test = if starts { plan::Expr::StartsWith(a, b) } else { plan::Expr::EndsWith(a, b) };
        Checked { tree: self.test(expr, test), when_true: facts, when_false: Vec::new(), partials: Vec::new() }
    }

    pub(super) fn matches(&mut self, expr: &syntax::Expr, _at: Span, left: &syntax::Expr, right: &syntax::Expr) -> Checked<'a> {
        let a = self.value(left);
        let pattern = match right.kind.as_ref() {
            ExprKind::Text(text) => text.plain(),
            _ => None,
        };
        let Some(pattern) = pattern else {
            let diagnostic = self
                .diagnostic(Code::E306, right.span, "behind `matches` stands a regular expression in quotes")
                .help("it cannot be put together at run time, so that it is known to be sound");
            self.report(diagnostic);
            return self.unknown_test();
        };
        if a.is_unknown() {
            return self.unknown_test();
        }
        if !matches!(a.ty.as_ref(), Type::Text(_) | Type::Enum { .. } | Type::Json) {
            let diagnostic = self.diagnostic(Code::E301, left.span, "only texts match a regular expression").label(a.type_name());
            self.report(diagnostic);
            return self.unknown_test();
        }
        if let Err(error) = regex::Regex::new(&pattern) {
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or_default().trim().trim_start_matches("error: ");
            let mut diagnostic = self.diagnostic(Code::E306, right.span, "this regular expression is not valid").label(reason);
            if pattern.contains("(?=") || pattern.contains("(?!") || pattern.contains("(?<=") || pattern.contains("(?<!") {
                diagnostic = diagnostic.help(
                    "looking around is not supported, so that every match takes linear time; use two conditions joined by `and`",
                );
            }
            self.report(diagnostic);
            return self.unknown_test();
        }
        let facts = self.present(&a);
        let test = plan::Expr::Matches(Box::new(a.expr), pattern);
        Checked { tree: self.test(expr, test), when_true: facts, when_false: Vec::new(), partials: Vec::new() }
    }

    fn both_texts(
        &mut self,
        (left, a): (&syntax::Expr, &Typed<'a>),
        (right, b): (&syntax::Expr, &Typed<'a>),
        words: &str,
    ) -> bool {
        for (expr, value) in [(left, a), (right, b)] {
            match value.ty.as_ref() {
                Type::Unknown => return false,
                Type::Text(kind) if *kind != TextKind::Secret => {}
                Type::Enum { .. } | Type::Json => {}
                _ => {
                    let text = self.text_of(expr);
                    let mut diagnostic =
                        self.diagnostic(Code::E301, expr.span, format!("`{words}` compares texts")).label(value.type_name());
                    if let (ExprKind::List(items), true) = (expr.kind.as_ref(), expr.span == right.span) {
                        let subject = self.text_of(left);
                        let all: Vec<String> =
                            items.iter().map(|item| format!("{subject} {words} {}", self.text_of(item))).collect();
                        let form = all.join(" or ");
                        diagnostic = diagnostic.help(format!("each is asked by itself: `{form}`")).fix(
                            format!("`({form})`"),
                            left.span.to(right.span),
                            format!("({form})"),
                            false,
                        );
                    } else if value.as_const().is_some() {
                        diagnostic = diagnostic.fix(format!("`\"{text}\"`"), expr.span, format!("\"{text}\""), true);
                    }
                    self.report(diagnostic);
                    return false;
                }
            }
        }
        true
    }
}

fn unwrapped(expr: &syntax::Expr) -> &syntax::Expr {
    match expr.kind.as_ref() {
        ExprKind::Paren(inner) => unwrapped(inner),
        _ => expr,
    }
}
