//! States: what is so at the moment, as a query tells it.

use std::collections::{BTreeMap, BTreeSet};

use flow_grammar::syntax::{self, ExprKind, Ident, MemberKind};
use flow_plan::ty::Type;
use flow_plan::{Expr, StateSource, WhenChanges};

use super::wire::{Place, Scope};
use super::{Cx, docs_text};
use crate::catalog;
use crate::code::Code;

/// How often a state is read where neither the connector nor flow.toml says.
const EVERY_MS: u64 = 60_000;

impl Cx<'_> {
    /// Declares every state.
    pub(super) fn declare_states(&mut self) -> BTreeMap<String, catalog::State> {
        let node = self.node;
        let mut states = BTreeMap::new();
        for member in &node.members {
            if let MemberKind::State(state) = &member.kind
                && !states.contains_key(&state.name.text)
                && let Some(declared) = self.state(state, &member.docs)
            {
                states.insert(state.name.text.clone(), declared);
            }
        }
        states
    }

    fn state(&mut self, node: &syntax::StateDecl, docs: &syntax::Docs) -> Option<catalog::State> {
        let ty = self.plain_type(&node.ty);
        let Some(from) = &node.from else {
            let diagnostic = self.mistake(node.name.span, format!("where is `{}` read?", node.name.text));
            self.push(diagnostic.help("add `from query` and the field of a query: `from query status().state`"));
            return None;
        };
        let mut fields = Vec::new();
        let call = self.query_with_fields(from, &mut fields)?;
        let (query, operation) = self.one_query(&call, "tell a state")?;
        let args = self.query_args(&call, &query, &Scope::new(Place::State, &[]))?;
        let (value, found) = self.fields_in(&query.output, &fields)?;
        self.check_state(node, &ty, from, &found);
        let members = match ty.required() {
            Type::Enum { members, .. } => members.clone(),
            _ => Vec::new(),
        };
        let every_ms = node.every.as_ref().map_or(EVERY_MS, |every| self.millis(every));
        let name = node.name.text.clone();
        self.check_within_quota(node.name.span, node.within_quota);
        let within_quota = node.within_quota;
        let source = StateSource { name: name.clone(), query: operation, args, value, members, every_ms, within_quota };
        Some(catalog::State::new(&name, &docs_text(docs), ty.required().clone(), source))
    }

    /// What is read has to be of the state's type.
    fn check_state(&mut self, node: &syntax::StateDecl, ty: &Type, from: &syntax::Expr, found: &Type) {
        if let (Type::Enum { members, .. }, Type::Enum { members: known, open: false }) = (ty.required(), found.required()) {
            // What is none of the members is unavailable, so a query may tell more. What it never tells is a slip, except for
            // the word with which a state says that it is not known.
            let odd = members.iter().find(|member| !known.contains(member) && *member != "unknown");
            if let Some(odd) = odd {
                let names: Vec<&str> = known.iter().map(String::as_str).collect();
                let diagnostic = self.diagnostic(Code::E304, node.ty.span, format!("the query never tells `{odd}`"));
                self.push(diagnostic.also(from.span, format!("this tells {}", super::listed(&names))));
            }
            return;
        }
        let fits = match (ty.required(), found.required()) {
            (Type::Unknown, _) | (_, Type::Unknown | Type::Json) => true,
            (Type::Enum { .. } | Type::Text(_), Type::Enum { .. } | Type::Text(_)) => true,
            (Type::Number, Type::Int(_)) | (Type::Int(_), Type::Int(_)) => true,
            (ty, found) => ty == found,
        };
        if !fits {
            let message = format!("expected {}, found {}", ty.required(), found.required());
            self.push(self.diagnostic(Code::E301, from.span, message));
        }
    }

    /// `QUERY(…).a.b`: the call, and the fields behind it in their order.
    fn query_with_fields<'e>(&mut self, expr: &'e syntax::Expr, fields: &mut Vec<&'e Ident>) -> Option<syntax::Call> {
        match &*expr.kind {
            ExprKind::Paren(inner) => self.query_with_fields(inner, fields),
            ExprKind::Field(inner, field) => {
                let call = self.query_with_fields(inner, fields);
                fields.push(field);
                call
            }
            ExprKind::Call(call) => Some(call.clone()),
            ExprKind::Name(name) => {
                Some(syntax::Call { span: name.span, path: vec![name.clone()], args: Vec::new(), has_parens: false })
            }
            _ => {
                let diagnostic = self.mistake(expr.span, "a query is expected here");
                self.push(diagnostic.help("write `status().state`: a query, and the field of its result"));
                None
            }
        }
    }

    /// The value of fields of a query's result, which is [`Expr::Local`] 0, and its type.
    fn fields_in(&mut self, output: &Type, fields: &[&Ident]) -> Option<(Expr, Type)> {
        let (mut value, mut ty) = (Expr::Local(0), output.clone());
        for field in fields {
            if !matches!(ty.required(), Type::Record(_) | Type::Json | Type::Map(_) | Type::Unknown) {
                self.push(self.mistake(field.span, format!("{} has no fields", ty.required())));
                return None;
            }
            let known = self.fields_of(&ty);
            ty = match ty.required() {
                Type::Record(_) => match known.iter().find(|(name, _)| *name == field.text) {
                    Some((_, found)) => found.clone(),
                    None => {
                        let names: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
                        self.unknown(field.span, format!("there is no field `{}`", field.text), &field.text, names);
                        return None;
                    }
                },
                Type::Map(inner) => inner.as_ref().clone(),
                _ => Type::Json,
            };
            value = Expr::Field(Box::new(value), field.text.clone());
        }
        Some((value, ty))
    }

    /// `when status.at changes`: a query without inputs, and the field that changes; with what else the result is for.
    pub(super) fn when_changes(
        &mut self,
        path: &[Ident],
        along: Option<&syntax::Expr>,
        told: Option<(&syntax::Told, &BTreeMap<String, Vec<String>>)>,
    ) -> Option<WhenChanges> {
        let Some((first, fields)) = path.split_first() else {
            if let Some(span) = along.map(|along| along.span).or(told.map(|(told, _)| told.value.span)) {
                let diagnostic = self.mistake(span, "there is no query that tells this");
                self.push(diagnostic.help("add `when QUERY changes` behind the poll: its result is what is told"));
            }
            return None;
        };
        let call = syntax::Call { span: first.span, path: vec![first.clone()], args: Vec::new(), has_parens: false };
        let (query, operation) = self.one_query(&call, "tell whether anything has changed")?;
        let args = self.query_args(&call, &query, &Scope::new(Place::State, &[]))?;
        let fields: Vec<&Ident> = fields.iter().collect();
        let (value, _) = self.fields_in(&query.output, &fields)?;
        let scope = Scope::reading(Place::Told, &[], &query.output);
        let along = along.map(|fields| self.along(fields, &scope)).unwrap_or_default();
        let told = told.and_then(|(told, triggers)| self.told(told, triggers, &scope));
        Some(WhenChanges { query: operation.as_ref().clone(), args, value, along, told })
    }

    /// `with { battery, device: connection }`.
    fn along(&mut self, fields: &syntax::Expr, scope: &Scope<'_>) -> Vec<(String, Expr)> {
        match self.wire_value(fields, scope) {
            Expr::Record(fields) => fields,
            _ => Vec::new(),
        }
    }

    /// `otherwise state { locked: locked jammed: moved } at at`.
    fn told(
        &mut self,
        node: &syntax::Told,
        triggers: &BTreeMap<String, Vec<String>>,
        scope: &Scope<'_>,
    ) -> Option<flow_plan::Told> {
        let (value, at) = (self.wire(&node.value, scope), self.wire(&node.at, scope));
        let members = match value.ty.required() {
            Type::Enum { members, .. } => members.clone(),
            Type::Unknown => return None,
            other => {
                let diagnostic = self.mistake(node.value.span, format!("{other} has no members that stand for events"));
                self.push(diagnostic.help("name a field that is one of several words: `otherwise state { … } at at`"));
                return None;
            }
        };
        if !matches!(at.ty.required(), Type::DateTime | Type::Unknown) {
            let message = format!("a time is expected, found {}", at.ty);
            self.push(self.diagnostic(Code::E301, node.at.span, message));
        }
        let known: BTreeSet<&str> = triggers.values().flatten().map(String::as_str).collect();
        for (name, _) in node.table.iter().filter(|(name, _)| !known.contains(name.text.as_str())) {
            let message = format!("no trigger asks for `{}`", name.text);
            self.unknown(name.span, message, &name.text, known.iter().copied());
        }
        for member in node.table.iter().flat_map(|(_, stand_for)| stand_for).filter(|member| !members.contains(&member.text)) {
            let message = format!("this is never `{}`", member.text);
            self.unknown(member.span, message, &member.text, members.iter().map(String::as_str));
        }
        let texts = |names: &[Ident]| names.iter().map(|name| name.text.clone()).collect();
        let types = node.table.iter().map(|(name, stand_for)| (name.text.clone(), texts(stand_for))).collect();
        Some(flow_plan::Told { value: value.expr, types, at: at.expr })
    }
}
