//! `is`: presence, emptiness, equality.

use flow_grammar::syntax::{self, ExprKind};
use flow_plan as plan;
use flow_plan::ty::Type;
use flow_plan::{Order, Value};

use super::super::check::Checker;
use super::super::fact::Fact;
use super::super::typed::Typed;
use super::Checked;
use super::compare::Against;
use crate::code::Code;

impl<'a> Checker<'a> {
    /// `x is present`, and with `wanted` false `x is missing`.
    pub(super) fn is_present(&mut self, expr: &syntax::Expr, value: &syntax::Expr, wanted: bool) -> Checked<'a> {
        let typed = self.value(value);
        if typed.is_unknown() {
            return self.unknown_test();
        }
        if !wanted && !typed.optional && self.quiet == 0 {
            let text = self.text_of(value);
            let why = if self.is_declared_present(&typed) { "it always has a value" } else { "it is known to have a value here" };
            let diagnostic = self
                .diagnostic(Code::E701, expr.span, format!("`{text}` is never missing here"))
                .label(why)
                .help("this condition never holds: take it out");
            self.report(diagnostic);
        }
        let facts: Vec<Fact<'a>> = self.present(&typed);
        // What needs a value is not filled in from where there is none.
        let none: Vec<Fact<'a>> = typed.place.iter().cloned().map(Fact::Missing).collect();
        let present = plan::Expr::IsPresent(Box::new(typed.expr));
        let test = if wanted { present } else { plan::Expr::Not(Box::new(present)) };
        let tree = self.test(expr, test);
        let (when_true, when_false) = if wanted { (facts, none) } else { (none, facts) };
        Checked { tree, when_true, when_false, partials: Vec::new() }
    }

    fn is_declared_present(&self, value: &Typed<'a>) -> bool {
        !value.place.as_ref().is_some_and(|place| self.facts.is_present(place))
    }

    /// `x is empty`, and with `wanted` false `x is not empty`. What is missing is empty.
    pub(super) fn is_empty(&mut self, expr: &syntax::Expr, value: &syntax::Expr, wanted: bool) -> Checked<'a> {
        let typed = self.value(value);
        match typed.ty.as_ref() {
            Type::Unknown => return self.unknown_test(),
            Type::Text(_) | Type::List(_) | Type::Map(_) | Type::Json | Type::Record(_) => {}
            _ => {
                let text = self.text_of(value);
                let mut diagnostic = self
                    .diagnostic(Code::E301, expr.span, format!("`{text}` cannot be empty"))
                    .label(format!("it is {}", typed.type_name()))
                    .help("texts and lists can be empty");
                if typed.optional {
                    let words = if wanted { "missing" } else { "present" };
                    diagnostic = diagnostic.fix(format!("`{text} is {words}`"), expr.span, format!("{text} is {words}"), true);
                }
                self.report(diagnostic);
                return self.unknown_test();
            }
        }
        let facts = self.present(&typed);
        let empty = plan::Expr::IsEmpty(Box::new(typed.expr));
        let test = if wanted { empty } else { plan::Expr::Not(Box::new(empty)) };
        let tree = self.test(expr, test);
        let (when_true, when_false) = if wanted { (Vec::new(), facts) } else { (facts, Vec::new()) };
        Checked { tree, when_true, when_false, partials: Vec::new() }
    }

    /// `a is b`, and with `wanted` false `a is not b`.
    pub(super) fn is_value(
        &mut self,
        expr: &syntax::Expr,
        left: &syntax::Expr,
        right: &syntax::Expr,
        wanted: bool,
    ) -> Checked<'a> {
        if super::super::slip::asks_currency(left) {
            self.beside = super::super::slip::capitals(&[right]);
        }
        let a = self.value(left);
        self.beside.clear();
        // One cause: what is compared with a connection is a value of its state, and not known as a name.
        if let (ExprKind::Name(whole), ExprKind::Name(_)) = (left.kind.as_ref(), right.kind.as_ref())
            && a.is_unknown()
            && self.connection(&whole.text).is_some()
        {
            return self.unknown_test();
        }
        if let ExprKind::Any(limits) = right.kind.as_ref() {
            return match self.limits(limits) {
                Some(limits) if *a.ty == Type::Money => {
                    let facts = self.present(&a);
                    let test = between(&a.expr, |order, value| plan::Expr::CompareAny(order, value, limits.clone()));
                    self.equality(expr, test, facts, wanted)
                }
                _ => self.unknown_test(),
            };
        }
        // A bare member of the enum, where nothing has that name or what has it is of another type.
        if let (Type::Enum { members, .. }, ExprKind::Name(name)) = (a.ty.as_ref(), right.kind.as_ref())
            && self.binding(&name.text).is_none()
            && (members.contains(&name.text) || self.bare_field(&name.text).is_none())
        {
            let ty = a.ty.clone();
            self.bare_member(right, name, &ty);
            return self.unknown_test();
        }
        let b = self.word_or_value(right, &a);
        if a.is_unknown() || b.is_unknown() {
            return self.unknown_test();
        }
        if self.awaited_itself(left, &a, right, &b) {
            return self.unknown_test();
        }
        let mut facts = self.present(&a);
        facts.extend(self.present(&b));
        let test = match self.equal((left, a), (right, b)) {
            Some(test) => test,
            None => return self.unknown_test(),
        };
        self.equality(expr, test, facts, wanted)
    }

    /// A test for equality with what is known where it holds and where it does not.
    pub(super) fn equality(&mut self, expr: &syntax::Expr, test: plan::Expr, facts: Vec<Fact<'a>>, wanted: bool) -> Checked<'a> {
        let triggers = self.triggers_where(&test);
        let (test, mut when_true, mut when_false) =
            if wanted { (test, facts, Vec::new()) } else { (plan::Expr::Not(Box::new(test)), Vec::new(), facts) };
        if let Some(set) = triggers {
            let (holds, fails) = if wanted { (set, !set) } else { (!set, set) };
            when_true.push(Fact::Trigger(holds));
            when_false.push(Fact::Trigger(fails));
        }
        Checked { tree: self.test(expr, test), when_true, when_false, partials: Vec::new() }
    }

    /// A value beside another: a bare word that means nothing was meant as a text, or as `true` or `false`.
    pub(super) fn word_or_value(&mut self, expr: &syntax::Expr, beside: &Typed<'a>) -> Typed<'a> {
        if let ExprKind::Name(name) = expr.kind.as_ref()
            && self.is_unknown_word(name)
        {
            if matches!(name.text.as_str(), "none" | "nothing" | "Nothing" | "blank" | "set" | "unset") {
                let diagnostic = self
                    .diagnostic(Code::E201, name.span, format!("there is no `{}`: a value is present or missing", name.text))
                    .label("a word for no value, as in other languages")
                    .help("write `is present`, or `is missing`");
                self.report(diagnostic);
                return Typed::unknown();
            }
            let fix = self.word_as(name, &beside.ty, beside.docs);
            self.unknown_name(name, fix);
            return Typed::unknown();
        }
        self.value(expr)
    }

    /// Returns the test whether two values are equal, reporting where they never can be.
    pub(in crate::flow) fn equal(
        &mut self,
        (left, a): (&syntax::Expr, Typed<'a>),
        (right, b): (&syntax::Expr, Typed<'a>),
    ) -> Option<plan::Expr> {
        match (a.ty.as_ref(), b.ty.as_ref()) {
            (Type::Enum { members, open }, Type::Text(_)) => {
                if let Some(Value::Text(text)) = b.as_const() {
                    let (text, members, open) = (text.clone(), members.clone(), *open);
                    if !self.check_enum_text(right, &text, &members, open) {
                        return None;
                    }
                }
            }
            (Type::Text(_), Type::Enum { .. }) => return self.equal((right, b), (left, a)),
            (Type::Money, Type::Int(_) | Type::Number) => {
                let Some(Value::Number(number)) = b.as_const() else {
                    self.incomparable((left, &a), (right, &b));
                    return None;
                };
                let number = *number;
                return match self.money_without_currency(right, number, &a) {
                    Against::Value(money) => Some(plan::Expr::Equal(Box::new(a.expr), Box::new(money.expr))),
                    Against::Major(number) => Some(between(&a.expr, |order, value| {
                        plan::Expr::CompareMajor(order, value, Box::new(plan::Expr::Const(Value::Number(number))))
                    })),
                    Against::Any(_) => None,
                };
            }
            (Type::Int(_) | Type::Number, Type::Money) => return self.equal((right, b), (left, a)),
            (Type::Money, Type::Money) => {
                if let (Some(p), Some(q)) = (&a.currencies, &b.currencies)
                    && p.is_disjoint(q)
                {
                    self.two_currencies(left.span.to(right.span), (left, &a), (right, &b));
                    return None;
                }
            }
            (Type::Json, Type::Money) | (Type::Money, Type::Json) => {
                self.incomparable((left, &a), (right, &b));
                return None;
            }
            (Type::Text(_) | Type::Enum { .. }, Type::Int(_) | Type::Number) if b.as_const().is_some() => {
                let text = self.text_of(right);
                let mut diagnostic = self
                    .diagnostic(Code::E301, right.span, format!("`{}` is a text, and {text} a number", self.text_of(left)))
                    .also(left.span, a.type_name())
                    .help("a text is never equal to a number; digits that are a text stand in quotes");
                if matches!(a.ty.as_ref(), Type::Text(_)) {
                    diagnostic = diagnostic.fix(format!("`\"{text}\"`"), right.span, format!("\"{text}\""), true);
                }
                self.report(diagnostic);
                return None;
            }
            (Type::Text(x), Type::Text(y)) if x != y => {
                // A text literal, or a text without a meaning, can be anything; two meanings cannot meet.
                let plain = |kind: &plan::ty::TextKind| *kind == plan::ty::TextKind::Plain;
                if !plain(x) && !plain(y) {
                    self.incomparable((left, &a), (right, &b));
                    return None;
                }
            }
            (Type::Bool, Type::Text(_)) | (Type::Text(_), Type::Bool) => {
                let (text, value) = if *a.ty == Type::Bool { (right, &b) } else { (left, &a) };
                let diagnostic = self
                    .diagnostic(Code::E301, left.span.to(right.span), "a truth cannot be compared with text")
                    .also(left.span, a.type_name())
                    .also(right.span, b.type_name());
                let plain = value.as_const().map(ToString::to_string).unwrap_or_default();
                let diagnostic = match plain.to_ascii_lowercase().as_str() {
                    "true" | "yes" | "on" => diagnostic.fix("`true`", text.span, "true", true),
                    "false" | "no" | "off" => diagnostic.fix("`false`", text.span, "false", true),
                    _ => diagnostic,
                };
                self.report(diagnostic);
                return None;
            }
            (x, y) => {
                let whole = |ty: &Type| matches!(ty, Type::Int(_) | Type::Number);
                let related = x == y
                    || matches!(x, Type::Json)
                    || matches!(y, Type::Json)
                    || whole(x) && whole(y)
                    || matches!((x, y), (Type::Enum { .. }, Type::Enum { .. }))
                    || matches!((x, y), (Type::List(_), Type::List(_)));
                if !related {
                    self.incomparable((left, &a), (right, &b));
                    return None;
                }
            }
        }
        match (a.as_const(), b.as_const()) {
            (None, Some(Value::Text(text))) => {
                let text = text.clone();
                self.check_case(&a, right, &text);
            }
            (Some(Value::Text(text)), None) => {
                let text = text.clone();
                self.check_case(&b, left, &text);
            }
            _ => self.raw_amount(left, &a, right, &b),
        }
        if let Some(call) = a.failed.or(b.failed) {
            let subject = if a.failed.is_some() { left } else { right };
            let text = self.text_of(subject);
            let diagnostic = self
                .diagnostic(Code::E307, subject.span, format!("`{text}` is not there where its step failed"))
                .also(call, "this step may fail, and `on error` goes on")
                .help("ask first: `is present and …`, or give a default with `else`");
            self.report(diagnostic);
            return None;
        }
        Some(plan::Expr::Equal(Box::new(a.expr), Box::new(b.expr)))
    }
}

/// Equality by two orderings, for money that has no constant of its own currency.
pub(super) fn between(value: &plan::Expr, compare: impl Fn(Order, Box<plan::Expr>) -> plan::Expr) -> plan::Expr {
    plan::Expr::And(vec![compare(Order::GreaterEq, Box::new(value.clone())), compare(Order::LessEq, Box::new(value.clone()))])
}
