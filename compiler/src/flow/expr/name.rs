//! Bare names: `let` and `as` names, then connections, then fields of the event.

use std::borrow::Cow;

use flow_grammar::syntax::Ident;
use flow_plan as plan;
use flow_plan::ty::Type;
use flow_plan::{Env, JsonPath};

use super::super::check::Checker;
use super::super::event::Event;
use super::super::fact::{Place, Root};
use super::super::typed::{Typed, split};
use crate::catalog::Field;
use crate::code::Code;

impl<'a> Checker<'a> {
    pub(super) fn name(&mut self, name: &Ident) -> Typed<'a> {
        if let Some(bound) = self.bound(&name.text) {
            return bound;
        }
        if let Some((connection, connector)) = self.bare_connection(&name.text) {
            self.uses(connection);
            // An event that is not known may have a field of that name.
            if matches!(self.event(), Event::Unknown) && self.frame.own.is_none() {
                return Typed::unknown();
            }
            let query = connector.operations.values().find(|op| !op.action && !op.internal);
            let query = query.map_or_else(|| "…".to_owned(), |query| query.name.clone());
            let help = if connector.states.is_empty() {
                format!("name one of its queries behind it: `{connection}.…(…)`; a field of that name is `event.{connection}`")
            } else {
                format!(
                    "a condition is about the event; a state starts a flow, as in `when {connection} becomes …`, and what it is now is asked in a step: `let now_is = {connection}.{query}(…)`"
                )
            };
            let diagnostic = self
                .diagnostic(Code::E301, name.span, format!("`{connection}` is a connection, not a value"))
                .label(format!("{} itself", connector.title))
                .help(help);
            self.report(diagnostic);
            return Typed::unknown();
        }
        if let Some(found) = self.awaited_name(name) {
            return found;
        }
        if self.frame.is_guard && name.text == "type" {
            return Typed::new(plan::Expr::Env(Env::EventType), Type::text());
        }
        match name.text.as_str() {
            "origin" if self.bare_field("origin").is_none() && self.frame.own.is_none() && !self.frame.is_guard => {
                let members = vec!["external".to_owned(), "flow".to_owned()];
                return Typed::new(plan::Expr::Env(Env::Origin), Type::Enum { members, open: false });
            }
            "now" => return Typed::new(plan::Expr::Env(Env::Now), Type::DateTime),
            "raw" => {
                if matches!(self.event(), Event::Bare(_)) && self.field_of_nothing(name) {
                    return Typed::unknown();
                }
                return self.raw(JsonPath::default());
            }
            "event" | "run" | "trigger" | "env" if self.event_field(&name.text).is_none() => {
                let example = match name.text.as_str() {
                    "event" => "`event.id`",
                    "run" => "`run.id`, `run.flow`",
                    "env" => "`env.timezone`, `env.kustomer.org`",
                    _ => "`trigger.name`",
                };
                let diagnostic = self
                    .diagnostic(Code::E301, name.span, format!("`{}` is no value by itself", name.text))
                    .help(format!("name something in it: {example}"));
                self.report(diagnostic);
                return Typed::unknown();
            }
            _ => {}
        }
        if let Some(field) = self.event_field(&name.text) {
            self.check_deprecated_event(field, name.span);
            return self.read(field);
        }
        if !matches!(self.event(), Event::Unknown) || self.frame.own.is_some() {
            self.unknown_name(name, None);
        }
        Typed::unknown()
    }

    /// Returns the value that a name is bound to.
    pub(in crate::flow) fn bound(&self, name: &str) -> Option<Typed<'a>> {
        let binding = self.binding(name)?;
        let place = Place { root: Root::Binding(binding.id), path: Cow::Borrowed("") };
        let present = binding.optional && self.facts.is_present(&place);
        Some(Typed {
            expr: binding.expr.clone(),
            ty: binding.ty.clone(),
            optional: binding.optional && !present,
            narrowed: present,
            failed: binding.failed.filter(|_| !present),
            currencies: self.facts.currencies(&place).cloned(),
            place: Some(place),
            personal: binding.personal,
            currency_at: None,
            lower_keys: binding.lower_keys,
            docs: binding.docs,
        })
    }

    /// Returns a field of the event.
    pub(in crate::flow) fn read(&mut self, field: &'a Field) -> Typed<'a> {
        let slot = self.slot(field);
        let place = Place { root: Root::Event, path: Cow::Borrowed(field.name.as_str()) };
        let others = || self.possible().filter_map(|(_, source)| source.record.field(&field.name));
        let optional = others().any(|field| split(&field.ty).1);
        let personal = others().any(|field| field.personal);
        let one_currency = self.currency_place(field).is_some();
        let mut typed = self.field_value(field, plan::Expr::Event(slot), place, optional);
        typed.personal |= personal;
        if !one_currency {
            typed.currency_at = None;
        }
        typed
    }

    /// A field of a record: narrowed by what is known about its place.
    pub(in crate::flow) fn field_value(
        &mut self,
        field: &'a Field,
        expr: plan::Expr,
        place: Place<'a>,
        base_optional: bool,
    ) -> Typed<'a> {
        let (ty, optional) = split(&field.ty);
        let optional = optional || base_optional;
        let present = optional && self.facts.is_present(&place);
        let currency_at = match &field.shape.shape {
            plan::Shape::Money { currency, instead, .. } if instead.is_empty() => Some((place.root, currency)),
            _ => None,
        };
        Typed {
            expr,
            ty: Cow::Borrowed(ty),
            optional: optional && !present,
            narrowed: present,
            failed: None,
            currencies: self.facts.currencies(&place).cloned(),
            place: Some(place),
            personal: field.personal,
            currency_at,
            lower_keys: field.has_lower_keys(),
            docs: &field.docs,
        }
    }

    /// A place in the raw payload.
    pub(super) fn raw(&mut self, path: JsonPath) -> Typed<'a> {
        let place = Place { root: Root::Raw, path: Cow::Owned(path.to_string()) };
        let mut typed = Typed::new(plan::Expr::Raw(path), Type::Json);
        typed.narrowed = self.facts.is_present(&place);
        typed.optional = !typed.narrowed;
        typed.place = Some(place);
        typed
    }
}
