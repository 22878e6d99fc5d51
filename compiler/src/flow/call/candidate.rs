//! What could fill in an input: values of its semantic type, or a resolver that leads to one.

use std::borrow::Cow;

use flow_grammar::span::Span;
use flow_grammar::syntax::{Expr, ExprKind};
use flow_plan::ty::{TextKind, Type};

use super::super::check::Checker;
use super::super::fact::{Place, Root};
use super::super::step_name;
use super::super::typed::split;
use super::Target;
use super::write::{expr, field, ident};
use crate::catalog::{Connector, Input, Operation, Resolver};

/// A value that could fill in an input.
#[derive(Debug, Clone)]
pub(super) struct Candidate<'a> {
    pub(super) expr: Expr,
    pub(super) text: String,
    pub(super) place: Option<Place<'a>>,
    pub(super) optional: bool,
    same_role: bool,
    pub(super) docs: &'a str,
}

impl Candidate<'_> {
    /// Why it is the one.
    pub(super) fn why(&self, ty: &Type) -> String {
        let how = if self.same_role { "the one of its role" } else { "the only one" };
        format!("{}, {how}", super::super::fit::words(ty))
    }
}

impl Resolving<'_> {
    /// The record, as types are written.
    pub(super) fn record_name(&self) -> String {
        format!("{}.{}", self.connection, self.record)
    }
}

/// What was found for an input.
pub(super) enum Found<'a> {
    One(Box<Candidate<'a>>),
    Resolver(Box<Way<'a>>),
    Several(Vec<String>),
    None,
}

/// A resolver: the action, and the one input that it needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resolving<'a> {
    pub(super) connection: &'a str,
    pub(super) action: &'a Operation,
    pub(super) input: &'a Input,
    pub(super) record: &'a str,
    pub(super) key: &'a str,
}

/// A resolver with the value that it starts from.
#[derive(Debug, Clone)]
pub(super) struct Way<'a> {
    pub(super) resolver: Resolving<'a>,
    pub(super) from: Candidate<'a>,
}

/// A resolver that leads to an input, which is given by what the resolver starts from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leads<'a> {
    /// The place of the input.
    pub(super) at: usize,
    pub(super) resolver: Resolving<'a>,
}

impl<'a> Checker<'a> {
    /// Returns the best candidate for an input.
    pub(super) fn find(&self, input: &'a Input, target: Target<'a>) -> Found<'a> {
        if self.frame.own.is_some() {
            return Found::None;
        }
        let (ty, _) = split(&input.ty);
        match ty {
            Type::Text(TextKind::Plain | TextKind::Secret) => return Found::None,
            Type::Text(_) => {}
            _ => return Found::None,
        }
        match self.best(input, &input.roles) {
            Found::None => {}
            found => return found,
        }
        let Type::Text(TextKind::Id(connector, record)) = ty else { return Found::None };
        // A resolver is an action: it has no place in a `let`.
        if self.steps.query_path.is_some() {
            return Found::None;
        }
        let Some(owner) = self.catalog.connectors.get(connector) else { return Found::None };
        let Some(connection) = self.connection_of(owner, target) else { return Found::None };
        let mut ways = Vec::new();
        for resolver in owner.resolvers.iter().filter(|resolver| resolver.record == *record) {
            match self.way(connection, owner, resolver, &input.roles) {
                Ok(Some(way)) => ways.push(way),
                Ok(None) => {}
                Err(several) => return Found::Several(several),
            }
        }
        match ways.len() {
            0 => Found::None,
            1 => ways.pop().map_or(Found::None, |way| Found::Resolver(Box::new(way))),
            _ => Found::Several(ways.iter().map(|way| format!("{}.id", step_name(way.resolver.record))).collect()),
        }
    }

    /// The input that an argument of this name is meant for, though none is called so: an address stands for whose it is.
    pub(super) fn leads(&self, name: &str, target: Target<'a>, is_given: &dyn Fn(&str) -> bool) -> Option<Leads<'a>> {
        if self.frame.own.is_some() || self.steps.query_path.is_some() {
            return None;
        }
        let mut found = Vec::new();
        for (at, input) in target.operation.inputs.iter().enumerate() {
            let Type::Text(TextKind::Id(connector, record)) = split(&input.ty).0 else { continue };
            if !input.is_required() || is_given(&input.name) {
                continue;
            }
            let Some(owner) = self.catalog.connectors.get(connector) else { continue };
            let Some(connection) = self.connection_of(owner, target) else { continue };
            let resolvers = owner.resolvers.iter().filter(|resolver| resolver.record == *record);
            let resolvers = resolvers.filter_map(|resolver| resolving(connection, owner, resolver));
            found.extend(resolvers.filter(|resolver| resolver.input.name == name).map(|resolver| Leads { at, resolver }));
        }
        // Of several it would be a guess.
        found.pop().filter(|_| found.is_empty())
    }

    /// The one value of the input's semantic type: with its role, else the only one.
    fn best(&self, input: &'a Input, roles: &[String]) -> Found<'a> {
        let mut all = self.candidates(input, roles);
        if all.iter().any(|candidate| candidate.same_role) {
            all.retain(|candidate| candidate.same_role);
        }
        match all.len() {
            0 => Found::None,
            1 => all.pop().map_or(Found::None, |candidate| Found::One(Box::new(candidate))),
            _ => Found::Several(all.into_iter().map(|candidate| candidate.text).collect()),
        }
    }

    fn candidates(&self, input: &'a Input, roles: &[String]) -> Vec<Candidate<'a>> {
        let (want, _) = split(&input.ty);
        let span = Span::default();
        let mut found = Vec::new();
        {
            for field in self.event_fields() {
                let (ty, _) = split(&field.ty);
                let others = || self.possible().filter_map(|(_, source)| source.record.field(&field.name));
                let optional = others().any(|field| split(&field.ty).1);
                if ty != want || others().any(|field| field.personal) && !input.accepts_personal {
                    continue;
                }
                let place = Place { root: Root::Event, path: Cow::Borrowed(field.name.as_str()) };
                if self.facts.is_missing(&place) {
                    continue;
                }
                found.push(Candidate {
                    expr: self.event_expr(&field.name, span),
                    text: self.spell(&place),
                    optional: optional && !self.facts.is_present(&place),
                    same_role: field.roles.iter().any(|role| role != "key" && roles.contains(role)),
                    docs: &field.docs,
                    place: Some(place),
                });
            }
        }
        for binding in self.bindings.iter().filter(|binding| binding.failed.is_none()) {
            let place = Place { root: Root::Binding(binding.id), path: Cow::Borrowed("") };
            if self.facts.is_missing(&place) {
                continue;
            }
            let optional = binding.optional && !self.facts.is_present(&place);
            let name = expr(ExprKind::Name(ident(&binding.name, span)), span);
            if *binding.ty == *want {
                if binding.personal && !input.accepts_personal {
                    continue;
                }
                let text = binding.name.to_string();
                found.push(Candidate { expr: name, text, place: Some(place), optional, same_role: false, docs: binding.docs });
            } else if let Some(record) = self.record(&binding.ty)
                && let Some(key) =
                    record.fields.iter().find(|field| field.ty == *want && field.roles.iter().any(|role| role == "key"))
            {
                let text = format!("{}.{}", binding.name, key.name);
                let place = Some(place.member(&key.name));
                let expr = self::field(name, &key.name, span);
                found.push(Candidate { expr, text, place, optional, same_role: false, docs: &key.docs });
            }
        }
        found
    }

    /// A field of the event as it is written here.
    fn event_expr(&self, name: &str, span: Span) -> Expr {
        let bare = ExprKind::Name(ident(name, span));
        if self.is_hidden(name) { field(expr(ExprKind::Name(ident("event", span)), span), name, span) } else { expr(bare, span) }
    }

    fn connection_of(&self, owner: &Connector, target: Target<'a>) -> Option<&'a str> {
        if owner.name == target.connector.name {
            return Some(target.connection);
        }
        let mut of_owner = self.connections.of_connector(&owner.name);
        of_owner.next().filter(|_| of_owner.next().is_none())
    }

    /// A resolver, where the event has what it starts from.
    fn way(
        &self,
        connection: &'a str,
        owner: &'a Connector,
        resolver: &'a Resolver,
        roles: &[String],
    ) -> Result<Option<Way<'a>>, Vec<String>> {
        let Some(resolver) = resolving(connection, owner, resolver) else { return Ok(None) };
        let roles = if resolver.input.roles.is_empty() { roles } else { &resolver.input.roles };
        match self.best(resolver.input, roles) {
            Found::One(from) => Ok(Some(Way { resolver, from: *from })),
            Found::Several(names) => Err(names),
            Found::Resolver(_) | Found::None => Ok(None),
        }
    }
}

/// A resolver that needs nothing but what it starts from.
fn resolving<'a>(connection: &'a str, owner: &'a Connector, resolver: &'a Resolver) -> Option<Resolving<'a>> {
    let action = owner.operations.get(&resolver.action)?;
    let mut takes = action.inputs.iter().filter(|input| split(&input.ty).0.to_string() == resolver.from);
    let (Some(input), None) = (takes.next(), takes.next()) else { return None };
    // Whatever else it needs would have to be guessed.
    if action.inputs.iter().any(|other| other.is_required() && other.name != input.name) {
        return None;
    }
    let record = owner.records.get(&resolver.record)?;
    let key = record.fields.iter().find(|field| field.roles.iter().any(|role| role == "key"))?;
    Some(Resolving { connection, action, input, record: &resolver.record, key: &key.name })
}
