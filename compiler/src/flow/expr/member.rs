//! `a.b` and `a[0]`.

use std::borrow::Cow;

use flow_grammar::syntax::{self, ExprKind, Ident};
use flow_plan as plan;
use flow_plan::ty::Type;
use flow_plan::{Env, JsonPath, Segment, Value};
use rust_decimal::prelude::ToPrimitive;

use super::super::check::{Checker, listed};
use super::super::event::Event;
use super::super::typed::{Typed, split};
use crate::code::Code;
use crate::suggest::nearest;

impl<'a> Checker<'a> {
    pub(super) fn field(&mut self, expr: &syntax::Expr, base: &syntax::Expr, name: &Ident) -> Typed<'a> {
        if self.long_way(expr, base, name) {
            return Typed::unknown();
        }
        if let ExprKind::Name(root) = base.kind.as_ref()
            && self.binding(&root.text).is_none()
        {
            if let Some((connection, connector)) = self.connection(&root.text) {
                self.uses(connection);
                self.not_called(expr, connection, connector, name);
                return Typed::unknown();
            }
            match root.text.as_str() {
                "event" => return self.event_member(name),
                "run" if !self.frame.is_guard => return self.run_member(name),
                "trigger" if !self.frame.is_guard => return self.trigger_member(name),
                "env" if self.event_field("env").is_none() => return self.env_setting(expr, name),
                "raw" => {}
                "error" if self.event_field("error").is_none() => {
                    let diagnostic = self
                        .diagnostic(Code::E201, root.span, "there is no `error` here")
                        .help("`error.message` and `error.status` are known inside `on error { … }` only");
                    self.report(diagnostic);
                    return Typed::unknown();
                }
                // `customer.email` where there is `customer_email`: the fields are flat.
                other => {
                    let flat = format!("{other}_{}", name.text);
                    let has_members = self.event_field(other).is_some_and(|field| {
                        matches!(split(&field.ty).0, Type::Record(_) | Type::Map(_) | Type::Json | Type::Money | Type::DateTime)
                    });
                    if !has_members && self.event_field(&flat).is_some() {
                        let diagnostic = self
                            .diagnostic(
                                Code::E201,
                                expr.span,
                                format!("there is no `{other}.{}`, but there is `{flat}`", name.text),
                            )
                            .help("the fields of an event are flat")
                            .fix(format!("`{flat}`"), expr.span, flat, true);
                        self.report(diagnostic);
                        return Typed::unknown();
                    }
                }
            }
        }
        if let Some(connection) = super::env::connection_of(base)
            && self.binding("env").is_none()
            && self.event_field("env").is_none()
        {
            return self.env_of_connection(expr, connection, name);
        }
        let value = self.value(base);
        self.member(value, expr, base, name)
    }

    /// A member of a value.
    fn member(&mut self, value: Typed<'a>, expr: &syntax::Expr, base: &syntax::Expr, name: &Ident) -> Typed<'a> {
        if let plan::Expr::Raw(path) = &value.expr {
            return self.raw(path.join(&JsonPath(vec![Segment::Key(name.text.clone())])));
        }
        let place = value.place.clone();
        let lower = if value.lower_keys { name.text.to_lowercase() } else { name.text.clone() };
        let read = |value: Typed<'a>| plan::Expr::Field(Box::new(value.expr), lower);
        if let Some(record) = self.record(&value.ty) {
            let Some(field) = record.field(&name.text) else {
                self.unknown_field(expr, name, record, &value);
                return Typed::unknown();
            };
            if let Some((_, instead)) = &field.deprecated {
                let other = instead.as_deref().and_then(|name| record.field(name));
                self.check_deprecated(field, other, name.span);
            }
            let (optional, failed, personal) = (value.optional, value.failed, value.personal);
            let mut typed = match place {
                Some(place) => {
                    let place = place.member(&field.name);
                    self.field_value(field, read(value), place, optional)
                }
                None => {
                    let (ty, own) = split(&field.ty);
                    Typed::with(read(value), Cow::Borrowed(ty)).optional(own || optional).personal(field.personal)
                }
            };
            typed.failed = failed.filter(|_| typed.optional);
            typed.personal |= personal;
            return typed;
        }
        if let Some(part) = self.calendar_part(expr, value.clone(), name) {
            return part;
        }
        let ty = match value.ty.as_ref() {
            Type::Unknown => return Typed::unknown(),
            Type::Json => Type::Json,
            Type::Map(_) if value.lower_keys && name.text.contains('_') => {
                self.no_such_header(expr, base, name);
                return Typed::unknown();
            }
            Type::Map(inner) => inner.as_ref().clone().optional(),
            Type::Record(record) if record.name.is_empty() => match record.fields.iter().find(|(field, _)| *field == name.text) {
                Some((_, ty)) => ty.clone(),
                None => {
                    let names: Vec<&str> = record.fields.iter().map(|(field, _)| field.as_str()).collect();
                    let mut diagnostic = self
                        .diagnostic(Code::E201, name.span, format!("`{}` has no field `{}`", self.text_of(base), name.text))
                        .help(format!("it has {}", listed(&names, "and")));
                    if let Some(found) = nearest(&name.text, names.iter().copied()) {
                        diagnostic = diagnostic.fix(format!("`{found}`"), name.span, found, true);
                    }
                    self.report(diagnostic);
                    return Typed::unknown();
                }
            },
            Type::Money if matches!(name.text.as_str(), "currency" | "amount") => {
                let of = self.text_of(base);
                let help = if name.text == "currency" {
                    format!("the code of its currency is `currency({of})`, in lower case")
                } else {
                    format!("compare the money itself, with its currency: `{of} > 100 USD`; its number alone is `amount({of})`")
                };
                let mut diagnostic = self.diagnostic(Code::E201, name.span, "money has no fields").help(help);
                if name.text == "currency" {
                    diagnostic = diagnostic.fix(format!("`currency({of})`"), expr.span, format!("currency({of})"), true);
                    if let (Some(fix), false) = (diagnostic.fixes.last_mut(), self.beside.is_empty()) {
                        fix.edits.append(&mut self.beside);
                        fix.title.push_str(", with the code in lower case");
                    }
                }
                self.report(diagnostic);
                return Typed::unknown();
            }
            Type::Record(_)
            | Type::Text(_)
            | Type::Bool
            | Type::Int(_)
            | Type::Number
            | Type::Money
            | Type::Date
            | Type::Time
            | Type::DateTime
            | Type::Duration
            | Type::List(_)
            | Type::Enum { .. }
            | Type::Optional(_)
            | Type::Nothing => {
                let mut diagnostic = self
                    .diagnostic(Code::E201, name.span, format!("`{}` has no field `{}`", self.text_of(base), name.text))
                    .label(format!("it is {}", value.type_name()));
                let function = super::function::of_value(&name.text, &value.ty);
                if let Some(function) = function {
                    let fixed = format!("{function}({})", self.text_of(base));
                    diagnostic =
                        diagnostic.help("functions stand before their value").fix(format!("`{fixed}`"), expr.span, fixed, false);
                } else if *value.ty == Type::DateTime {
                    let known = ["date", "time", "weekday", "hour", "minute", "day", "month", "year"];
                    diagnostic = diagnostic.help(format!("an instant has {}", listed(&known, "and")));
                    if let Some(found) = nearest(&name.text, known) {
                        diagnostic = diagnostic.fix(format!("`{found}`"), name.span, found, false);
                    }
                } else if let Type::List(_) = value.ty.as_ref() {
                    diagnostic = diagnostic.help(format!(
                        "ask each item: `map({0}, it.{1})`; or go through it: `for item in {0} up to 10 {{ … item.{1} … }}`",
                        self.text_of(base),
                        name.text
                    ));
                }
                self.report(diagnostic);
                return Typed::unknown();
            }
        };
        let (personal, failed, base_optional) = (value.personal, value.failed, value.optional);
        let (ty, own) = match ty {
            Type::Optional(inner) => (*inner, true),
            Type::Json => (Type::Json, true),
            other => (other, false),
        };
        let place = place.map(|place| place.member_owned(&name.text));
        let present = place.as_ref().is_some_and(|place| self.facts.is_present(place));
        let mut typed = Typed::new(read(value), ty).optional((own || base_optional) && !present).personal(personal);
        typed.narrowed = present;
        typed.failed = failed.filter(|_| typed.optional);
        typed.place = place;
        typed
    }

    /// `headers.x_github_event`: the names of such a map have `-` where this has `_`.
    fn no_such_header(&mut self, expr: &syntax::Expr, base: &syntax::Expr, name: &Ident) {
        let form = format!("{}[\"{}\"]", self.text_of(base), name.text.to_lowercase().replace('_', "-"));
        let diagnostic = self
            .diagnostic(Code::E201, name.span, format!("no header is called `{}`", name.text))
            .label("their names have `-`, and no `_`")
            .help("a name with a `-` stands in brackets, as a text; capitals do not matter")
            .fix(format!("`{form}`"), expr.span, form, true);
        self.report(diagnostic);
    }

    /// `event.x`: always the starting event.
    fn event_member(&mut self, name: &Ident) -> Typed<'a> {
        if self.frame.is_guard && name.text == "id" {
            return Typed::new(plan::Expr::Env(Env::EventId), Type::text());
        }
        if let Some(field) = self.event_field(&name.text) {
            self.check_deprecated_event(field, name.span);
            return self.read(field);
        }
        let (env, ty) = match (name.text.as_str(), self.event()) {
            ("id", Event::Known(_) | Event::Several | Event::Bare(_)) => (Env::EventId, Type::text()),
            ("at" | "occurred_at", Event::Known(_) | Event::Several | Event::Bare(_)) => (Env::EventAt, Type::DateTime),
            ("received_at", Event::Known(_) | Event::Several | Event::Bare(_)) => (Env::ReceivedAt, Type::DateTime),
            ("type", Event::Known(_) | Event::Several) => (Env::EventType, Type::text()),
            (_, Event::Known(_) | Event::Several | Event::Bare(_) | Event::None) => {
                self.unknown_event_field(name);
                return Typed::unknown();
            }
            (_, Event::Unknown) => return Typed::unknown(),
        };
        Typed::new(plan::Expr::Env(env), ty)
    }

    fn run_member(&mut self, name: &Ident) -> Typed<'a> {
        let env = match name.text.as_str() {
            "id" => Env::RunId,
            "flow" => Env::RunFlow,
            "key" => Env::RunKey,
            _ => return self.unknown_member(name, "run", &["id", "flow", "key"]),
        };
        Typed::new(plan::Expr::Env(env), Type::text())
    }

    fn trigger_member(&mut self, name: &Ident) -> Typed<'a> {
        match name.text.as_str() {
            "name" => {
                let mut members: Vec<String> = Vec::new();
                for (_, source) in self.possible() {
                    if !members.contains(&source.trigger.name) {
                        members.push(source.trigger.name.clone());
                    }
                }
                let ty = if members.is_empty() { Type::text() } else { Type::Enum { members, open: false } };
                Typed::new(plan::Expr::Env(Env::TriggerName), ty)
            }
            // Reported already: the right trigger may well have it.
            _ if matches!(self.event(), Event::Unknown) => Typed::unknown(),
            _ => self.unknown_member(name, "trigger", &["name"]),
        }
    }

    fn unknown_member(&mut self, name: &Ident, of: &str, known: &[&str]) -> Typed<'a> {
        let all: Vec<String> = known.iter().map(|known| format!("{of}.{known}")).collect();
        let mut diagnostic = self
            .diagnostic(Code::E201, name.span, format!("there is no `{of}.{}`", name.text))
            .help(format!("there is {}", listed(&all, "and")));
        if let Some(found) = nearest(&name.text, known.iter().copied()) {
            diagnostic = diagnostic.fix(format!("`{of}.{found}`"), name.span, found, true);
        }
        self.report(diagnostic);
        Typed::unknown()
    }

    /// `a[0]` of a list, `a["key"]` of a map or of JSON.
    pub(super) fn index(&mut self, expr: &syntax::Expr, base: &syntax::Expr, index: &syntax::Expr) -> Typed<'a> {
        let value = self.value(base);
        let mut at = self.value(index);
        if let (plan::Expr::Raw(path), Some(key)) = (&value.expr, at.as_const()) {
            let segment = match key {
                Value::Text(key) => Some(Segment::Key(key.to_string())),
                Value::Number(number) => number.to_usize().map(Segment::Index),
                _ => None,
            };
            if let Some(segment) = segment {
                return self.raw(path.join(&JsonPath(vec![segment])));
            }
        }
        let (inner, by_text) = match value.ty.as_ref() {
            Type::List(inner) => (inner.as_ref().clone(), false),
            Type::Map(inner) => (inner.as_ref().clone(), true),
            Type::Json => (Type::Json, matches!(at.ty.as_ref(), Type::Text(_))),
            Type::Unknown => return Typed::unknown(),
            _ => {
                let diagnostic = self
                    .diagnostic(Code::E301, expr.span, format!("`{}` is no list", self.text_of(base)))
                    .label(format!("it is {}", value.type_name()));
                self.report(diagnostic);
                return Typed::unknown();
            }
        };
        let fits = match at.ty.as_ref() {
            Type::Text(_) => by_text,
            Type::Int(_) | Type::Number => !by_text,
            Type::Unknown | Type::Json => true,
            _ => false,
        };
        if !fits {
            let wanted = if by_text { "a text, its key" } else { "a number, counted from 0" };
            let diagnostic = self.diagnostic(Code::E301, index.span, format!("{wanted}, is expected here")).label(at.type_name());
            self.report(diagnostic);
        }
        if value.lower_keys {
            at = in_lower_case(at);
        }
        let (ty, _) = split(&inner);
        let place = match (&value.place, at.as_const()) {
            (Some(place), Some(key)) => {
                // As it is written: fixes show it.
                let key = key.as_text().map_or_else(|| key.to_string(), |key| format!("{key:?}"));
                Some(super::super::fact::Place { root: place.root, path: Cow::Owned(format!("{}[{key}]", place.path)) })
            }
            _ => None,
        };
        let present = place.as_ref().is_some_and(|place| self.facts.is_present(place));
        let personal = value.personal;
        let mut typed = Typed::new(plan::Expr::Index(Box::new(value.expr), Box::new(at.expr)), ty.clone());
        typed.optional = !present;
        typed.place = place;
        typed.personal(personal)
    }
}

/// A key of a map whose keys are in lower case: as it was written it would never be found.
fn in_lower_case(mut key: Typed<'_>) -> Typed<'_> {
    key.expr = match key.expr {
        plan::Expr::Const(Value::Text(text)) => plan::Expr::Const(Value::text(text.to_lowercase())),
        constant @ plan::Expr::Const(_) => constant,
        other => plan::Expr::Call(plan::Function::Lower, vec![other]),
    };
    key
}
