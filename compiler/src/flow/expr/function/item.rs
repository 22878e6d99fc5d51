//! Functions over lists: what is asked of each item, where the item is `it`.

use flow_functions::{Form, Kind, Spec};
use flow_grammar::span::Span;
use flow_grammar::syntax::{self, Arg, Call, ExprKind};
use flow_plan as plan;
use flow_plan::ty::Type;
use flow_plan::{Each, Expr, Function};

use super::super::super::check::Checker;
use super::super::super::condition::{Position, into_expr};
use super::super::super::fit::Target;
use super::super::super::mend::Partial;
use super::super::super::typed::{Typed, split};
use super::given::Values;
use super::{Valued, kinds};
use crate::code::Code;

/// What was asked of each item.
struct Asked<'a> {
    value: Typed<'a>,
    partials: Vec<Partial<'a>>,
}

impl<'a> Checker<'a> {
    /// A function over a list.
    pub(super) fn over_items(
        &mut self,
        (list_arg, list): Valued<'_, 'a>,
        values: &Values<'_>,
        spec: &'static Spec,
        position: Position,
    ) -> (Typed<'a>, Vec<Partial<'a>>) {
        let none = (Typed::unknown(), Vec::new());
        let item = match list.ty.as_ref() {
            Type::List(item) => item.as_ref().clone(),
            _ => Type::Json,
        };
        let param = spec.params.get(1);
        let asked = match (values.by_param.get(1).copied().flatten(), param) {
            (Some(arg), Some(param)) => {
                let condition = param.accepts(Kind::Condition);
                // What `filter` and `count` choose is meant to be so for certain; of `any` and `all` it depends.
                let position =
                    if matches!(spec.form, Form::ForEach(Each::Any | Each::All)) { position } else { Position::Positive };
                let Some(asked) = self.asked(arg, &list, &item, condition, position) else { return none };
                Some(asked)
            }
            _ => None,
        };
        // The function is about what was asked, or else about the items themselves.
        let about = match (&asked, param) {
            (Some(asked), Some(param)) if param.accepts(Kind::About) => asked.value.ty.as_ref().clone(),
            _ => item.clone(),
        };
        if !spec.items.is_empty() && !kinds(&about).iter().any(|kind| spec.items.contains(kind)) {
            let (arg, of) = match values.by_param.get(1).copied().flatten() {
                Some(arg) => (arg, Typed::new(plan::Expr::It, about)),
                None => (list_arg, list),
            };
            self.wrong_items(arg, &of, spec);
            return none;
        }
        (self.over(spec, list, asked.as_ref(), &item, &about), asked.map(|asked| asked.partials).unwrap_or_default())
    }

    /// Puts the function, the list and what is asked together.
    fn over(&self, spec: &'static Spec, list: Typed<'a>, asked: Option<&Asked<'a>>, item: &Type, about: &Type) -> Typed<'a> {
        let body = || asked.map_or(Expr::It, |asked| asked.value.expr.clone());
        let expr = match &spec.form {
            Form::ForEach(Each::Count) if asked.is_none() => Expr::Call(Function::Length, vec![list.expr]),
            Form::ForEach(each) => Expr::ForEach(*each, Box::new(list.expr), Box::new(body())),
            Form::Of(function, each) => {
                let of = match asked {
                    Some(_) => Expr::ForEach(*each, Box::new(list.expr), Box::new(body())),
                    None => list.expr,
                };
                let sums_money = *function == Function::Sum && *about.required() == Type::Money;
                Expr::Call(if sums_money { Function::SumMoney } else { function.clone() }, vec![of])
            }
            Form::Call(function) => Expr::Call(function.clone(), vec![list.expr]),
        };
        let (ty, may_fail) = self.of_items(spec, item, about);
        let asks_value = matches!(spec.form, Form::ForEach(Each::Map) | Form::Of(_, Each::Map));
        let personal = match asked {
            Some(asked) if asks_value => asked.value.personal,
            _ => list.personal,
        };
        let mut typed = Typed::new(expr, ty);
        typed.optional = may_fail || list.optional || *list.ty == Type::Json;
        typed.failed = list.failed;
        typed.personal = personal && spec.keeps_personal;
        typed
    }

    /// Checks what is asked of each item.
    fn asked(&mut self, arg: &Arg, list: &Typed<'a>, item: &Type, condition: bool, position: Position) -> Option<Asked<'a>> {
        let (ty, optional) = split(item);
        let mut it = Typed::new(Expr::It, ty.clone());
        // A list holds no missing items, except JSON, of which nothing is known.
        it.optional = optional && *ty != Type::Json;
        it.personal = list.personal;
        let (bindings, mark) = (self.bindings.len(), self.facts.mark());
        self.bind("it", Span::default(), it);
        // A query would be asked once, before there is any item.
        let query_path = self.steps.query_path.take();
        let asked = if condition {
            let checked = self.condition(&arg.value, position);
            Asked { value: Typed::new(into_expr(checked.tree), Type::Bool), partials: checked.partials }
        } else {
            Asked { value: self.value(&arg.value), partials: Vec::new() }
        };
        self.steps.query_path = query_path;
        self.facts.reset(mark);
        self.bindings.truncate(bindings);
        if asked.value.is_unknown() || is_reported(&asked.value.expr) {
            return None;
        }
        if !reads_item(&asked.value.expr) {
            self.says_nothing(arg, item);
            return None;
        }
        Some(asked)
    }

    /// `filter(refunds, amount > 10)`: without `it`, it is the same for every item.
    fn says_nothing(&mut self, arg: &Arg, item: &Type) {
        let text = self.text_of(&arg.value);
        let names = self.item_fields(item);
        let mut bare = Vec::new();
        bare_names(&arg.value, &mut bare);
        let meant = bare.into_iter().find(|name| names.contains(&name.text));
        let example = match (meant, names.first()) {
            (Some(name), _) => format!("it.{}", name.text),
            (None, Some(name)) => format!("it.{name}"),
            (None, None) => "it".to_owned(),
        };
        let mut diagnostic = self
            .diagnostic(Code::E301, arg.value.span, format!("`{text}` says nothing about the items"))
            .label("the same for each of them")
            .help(format!("the item at hand is `it`: `{example}`"));
        if let Some(name) = meant {
            let start = Span { start: name.span.start, end: name.span.start };
            diagnostic = diagnostic.fix(format!("`it.{}`", name.text), start, "it.", false);
        }
        self.report(diagnostic);
    }

    /// The fields that an item has.
    pub(in crate::flow) fn item_fields(&self, item: &Type) -> Vec<String> {
        match item.required() {
            Type::Record(record) if record.name.is_empty() => record.fields.iter().map(|(name, _)| name.clone()).collect(),
            ty => {
                self.record(ty).map(|record| record.fields.iter().map(|field| field.name.clone()).collect()).unwrap_or_default()
            }
        }
    }

    pub(super) fn wrong_items(&mut self, arg: &Arg, of: &Typed<'a>, spec: &'static Spec) {
        let words: Vec<&str> = spec.items.iter().map(|kind| kind.words()).collect();
        // A field that would do.
        let item = match of.ty.as_ref() {
            Type::List(item) => item.required(),
            ty => ty,
        };
        let fits = |ty: &Type| kinds(ty.required()).iter().any(|kind| spec.items.contains(kind));
        let field = match item {
            Type::Record(record) if record.name.is_empty() => {
                record.fields.iter().find(|(_, ty)| fits(ty)).map(|(name, _)| name.as_str())
            }
            ty => self
                .record(ty)
                .and_then(|record| record.fields.iter().find(|field| fits(&field.ty)).map(|field| field.name.as_str())),
        };
        let text = self.text_of(&arg.value);
        let is_list = matches!(of.ty.as_ref(), Type::List(_));
        let mut diagnostic = self
            .diagnostic(Code::E301, arg.value.span, format!("`{}` needs {}, not {}", spec.name, joined(&words), of.type_name()))
            .label(of.type_name());
        if let Some(field) = field {
            let shown = match (is_list, spec.asks_items()) {
                (true, true) => format!("{}({text}, it.{field})", spec.name),
                (true, false) => format!("map({text}, it.{field})"),
                (false, _) => format!("{text}.{field}"),
            };
            diagnostic = diagnostic.help(format!("ask something of each item: `{shown}`"));
        }
        self.report(diagnostic);
    }

    /// `min(a, b)`: one of several values, of which none is a list.
    pub(super) fn one_of_several(
        &mut self,
        expr: &syntax::Expr,
        (first_arg, first): Valued<'_, 'a>,
        values: &Values<'_>,
        spec: &'static Spec,
    ) -> Typed<'a> {
        let Form::Of(function, _) = &spec.form else { return Typed::unknown() };
        let mut result = Typed::new(Expr::Const(plan::Value::Missing), first.ty.as_ref().clone());
        result.currencies.clone_from(&first.currencies);
        let mut one_currency = true;
        let mut args = Vec::with_capacity(values.all.len());
        let mut before: Option<Valued<'_, 'a>> = None;
        for arg in values.all {
            let value = if std::ptr::eq(arg, first_arg) { first.clone() } else { self.value(&arg.value) };
            if value.is_unknown() {
                return Typed::unknown();
            }
            result.ty = match (result.ty.as_ref(), value.ty.as_ref()) {
                (Type::Int(_), Type::Int(_)) => std::borrow::Cow::Owned(Type::Int(None)),
                (Type::Int(_) | Type::Number, Type::Int(_) | Type::Number) => std::borrow::Cow::Owned(Type::Number),
                (known, found) if known == found => result.ty,
                _ => {
                    let want = result.ty.clone();
                    self.expect(value, &want, &arg.value, &Target::Item);
                    return Typed::unknown();
                }
            };
            if let Some((known_arg, known)) = &before
                && *known.ty == Type::Money
            {
                one_currency &= known.currency_at.is_some() && known.currency_at == value.currency_at
                    || matches!((&known.currencies, &value.currencies), (Some(p), Some(q)) if p.len() == 1 && p == q);
                if let (Some(p), Some(q)) = (&known.currencies, &value.currencies)
                    && p.is_disjoint(q)
                {
                    self.two_currencies(expr.span, (&known_arg.value, known), (&arg.value, &value));
                    return Typed::unknown();
                }
            }
            result.optional |= value.optional;
            result.failed = result.failed.or(value.failed);
            result.personal |= value.personal;
            args.push(value.expr.clone());
            before = Some((arg, value));
        }
        result.optional |= *result.ty == Type::Money && !one_currency;
        if !one_currency {
            result.currencies = None;
        }
        result.expr = Expr::Call(function.clone(), args);
        result
    }

    /// `any(100, 90)`: limits without their currencies, where a list and a condition are no better reading.
    pub(super) fn other_any(&mut self, call: &Call, spec: &'static Spec) -> bool {
        let limits = spec.name == "any"
            && call.args.iter().all(|arg| matches!(arg.value.kind.as_ref(), ExprKind::Number(_) | ExprKind::Money(..)));
        if limits {
            self.any_without_currencies(call);
        }
        limits
    }
}

/// Tells whether an expression reads the item at hand, and not only that of a list within.
fn reads_item(expr: &Expr) -> bool {
    match expr {
        Expr::It => true,
        Expr::ForEach(_, list, _) => reads_item(list),
        other => {
            let mut reads = false;
            other.each_part(&mut |part| reads |= reads_item(part));
            reads
        }
    }
}

/// Tells whether a condition stands for a mistake that has been reported.
fn is_reported(expr: &Expr) -> bool {
    matches!(expr, Expr::Const(plan::Value::Bool(false)))
}

/// The bare names in an expression, outermost first.
fn bare_names<'e>(expr: &'e syntax::Expr, into: &mut Vec<&'e syntax::Ident>) {
    match expr.kind.as_ref() {
        ExprKind::Name(name) => into.push(name),
        ExprKind::Field(inner, _) | ExprKind::Not(inner) | ExprKind::Negate(inner) | ExprKind::Paren(inner) => {
            bare_names(inner, into);
        }
        ExprKind::Binary(_, _, left, right) | ExprKind::Else(left, right) => {
            bare_names(left, into);
            bare_names(right, into);
        }
        ExprKind::Is { value, .. } | ExprKind::In { value, .. } => bare_names(value, into),
        ExprKind::Call(call) => call.args.iter().for_each(|arg| bare_names(&arg.value, into)),
        _ => {}
    }
}

fn joined(words: &[&str]) -> String {
    match words {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        words => words.concat(),
    }
}
