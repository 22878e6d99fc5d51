//! Which fields of which service go where: what `flowc plan` lists under `sends`.
//!
//! Every value that an operation gets is followed back to what it is made of: through texts, lists, records and functions,
//! through `let`, loops and the inputs of composite operations, to a field of the event or of a result. Only what a
//! condition lets through is no flow of data: that a step runs at all tells something, too, but no field says what.

use std::collections::{BTreeMap, BTreeSet};

use flow_plan as plan;
use flow_plan::ty::Type;
use flow_plan::{Each, Expr, Function};

use super::check::Checker;
use super::event::{Slot, Source};
use crate::catalog::Field;

/// How deep records may lie within records when it is asked whether any part is personal.
const DEPTH: usize = 8;

/// What was seen so far.
#[derive(Debug, Default)]
pub(super) struct Sends {
    /// Target to fields.
    to: BTreeMap<String, BTreeSet<String>>,
    /// What a local is made of.
    locals: Vec<(u16, Origin)>,
    /// Locals into which a composite operation has put personal data.
    personal: BTreeSet<u16>,
}

#[derive(Debug, Clone)]
enum Origin {
    /// One value of a service.
    Value(Known),
    /// A value out of several.
    Fields(BTreeSet<String>),
}

/// A value that a service gave: a field, or a whole result.
#[derive(Debug, Clone)]
struct Known {
    connection: String,
    /// The field, with those that it lies in; for a whole result the operation.
    path: String,
    /// It is a result, of which fields are told by their names alone.
    whole: bool,
    ty: Type,
    personal: bool,
}

impl Known {
    fn member(mut self, name: &str, ty: Type, personal: bool) -> Known {
        self.path = if self.whole { name.to_owned() } else { format!("{}.{name}", self.path) };
        self.whole = false;
        self.ty = ty;
        self.personal |= personal;
        self
    }

    /// An item of a list, a value of a map.
    fn item(mut self) -> Known {
        self.ty = match self.ty {
            Type::List(inner) | Type::Map(inner) => inner.required().clone(),
            other => other,
        };
        self
    }
}

impl Sends {
    pub(super) fn finish(self) -> Vec<plan::Send> {
        self.to.into_iter().map(|(to, fields)| plan::Send { to, fields: fields.into_iter().collect() }).collect()
    }

    /// Notes that a local gets personal data, whatever its type says.
    pub(super) fn mark_personal(&mut self, local: u16) {
        self.personal.insert(local);
    }

    /// Tells whether a local may have personal data by what was put into it.
    pub(super) fn is_personal(&self, local: u16) -> bool {
        self.personal.contains(&local)
    }

    fn origin(&self, local: u16) -> Option<&Origin> {
        self.locals.iter().rev().find_map(|(known, origin)| (*known == local).then_some(origin))
    }
}

impl<'a> Checker<'a> {
    /// Notes that a local has the result of an operation.
    pub(super) fn note_result(&mut self, local: u16, connection: &str, operation: &str, output: &Type) {
        if self.is_verdict_only() {
            return;
        }
        let (connection, path) = (connection.to_owned(), operation.to_owned());
        let known =
            Known { connection, path, whole: true, ty: output.required().clone(), personal: self.sends.is_personal(local) };
        self.sends.locals.push((local, Origin::Value(known)));
    }

    /// Notes what a local is made of.
    pub(super) fn note_local(&mut self, local: u16, value: &Expr) {
        if self.is_verdict_only() {
            return;
        }
        let origin = match self.known(value, None) {
            Some(known) => Origin::Value(known),
            None => {
                let mut fields = BTreeSet::new();
                self.collect(value, None, &mut fields);
                Origin::Fields(fields)
            }
        };
        self.sends.locals.push((local, origin));
    }

    /// Notes that a local has an item of a list.
    pub(super) fn note_item(&mut self, local: u16, list: &Expr) {
        if self.is_verdict_only() {
            return;
        }
        self.note_local(local, list);
        if let Some((_, Origin::Value(known))) = self.sends.locals.last_mut() {
            *known = known.clone().item();
        }
    }

    /// Notes that a local has an error of one of these connections: its message is the service's own.
    pub(super) fn note_error(&mut self, local: u16, connections: BTreeSet<String>) {
        let fields = connections.into_iter().map(|connection| format!("{connection}.error")).collect();
        self.sends.locals.push((local, Origin::Fields(fields)));
    }

    /// Notes what an argument carries to an operation.
    pub(super) fn note_send(&mut self, connection: &str, operation: &str, value: &Expr) {
        if let Expr::Const(_) = value {
            return;
        }
        let mut fields = BTreeSet::new();
        self.collect(value, None, &mut fields);
        // What a service is told of itself is no news.
        let own = format!("{connection}.");
        fields.retain(|field| !field.starts_with(&own));
        if !fields.is_empty() {
            self.sends.to.entry(format!("{connection}.{operation}")).or_default().extend(fields);
        }
    }

    /// Tells whether a value of the type has personal data in it: a record with such a field, or a list of those.
    pub(super) fn holds_personal(&self, ty: &Type) -> bool {
        self.has_personal(ty, DEPTH)
    }

    fn has_personal(&self, ty: &Type, depth: usize) -> bool {
        let Some(depth) = depth.checked_sub(1) else { return false };
        match ty {
            Type::List(inner) | Type::Map(inner) | Type::Optional(inner) => self.has_personal(inner, depth),
            Type::Record(record) if record.name.is_empty() => record.fields.iter().any(|(_, ty)| self.has_personal(ty, depth)),
            Type::Record(_) => self
                .record(ty)
                .is_some_and(|record| record.fields.iter().any(|field| field.personal || self.has_personal(&field.ty, depth))),
            Type::Unknown
            | Type::Text(_)
            | Type::Bool
            | Type::Int(_)
            | Type::Number
            | Type::Money
            | Type::Date
            | Type::Time
            | Type::DateTime
            | Type::Duration
            | Type::Json
            | Type::Enum { .. }
            | Type::Nothing => false,
        }
    }

    /// `it` is the item at hand within a function over a list, where it is known.
    fn collect(&self, expr: &Expr, it: Option<&Known>, into: &mut BTreeSet<String>) {
        if let Some(known) = self.known(expr, it) {
            let mark = if known.personal || self.holds_personal(&known.ty) { " (personal)" } else { "" };
            into.insert(format!("{}.{}{mark}", known.connection, known.path));
            return;
        }
        match expr {
            Expr::Raw(path) => {
                let dot = if path.is_root() { "" } else { "." };
                into.extend(self.possible().map(|(_, source)| format!("{}.raw{dot}{path}", source.connection)));
            }
            // A field of several services.
            Expr::Event(slot) => {
                let mark = if self.reads.get(usize::from(*slot)).is_some_and(Slot::is_personal) { " (personal)" } else { "" };
                into.extend(self.origins(*slot).map(|(source, field)| format!("{}.{}{mark}", source.connection, field.name)));
            }
            Expr::Local(local) => {
                if let Some(Origin::Fields(fields)) = self.sends.origin(*local) {
                    into.extend(fields.iter().cloned());
                }
            }
            // Which items are chosen, and in which order they come, is no part of them.
            Expr::ForEach(Each::Filter | Each::Sort, list, _) => self.collect(list, it, into),
            // Of the items goes only what is asked of them.
            Expr::ForEach(Each::Any | Each::All | Each::Count | Each::Map, list, asked) => match self.known(list, it) {
                Some(list) => self.collect(asked, Some(&list.item()), into),
                None => {
                    self.collect(list, it, into);
                    self.collect(asked, None, into);
                }
            },
            // What has no origin of its own has that of its parts.
            other => other.each_part(&mut |part| self.collect(part, it, into)),
        }
    }

    /// The fields that a slot is read from, of the triggers that are possible here.
    fn origins(&self, slot: u16) -> impl Iterator<Item = (Source<'a>, &'a Field)> {
        let slot = self.reads.get(usize::from(slot));
        self.possible().filter_map(move |(at, source)| Some((source, slot?.fields.get(at).copied().flatten()?)))
    }

    /// Returns the one value of a service that an expression is.
    fn known(&self, expr: &Expr, it: Option<&Known>) -> Option<Known> {
        match expr {
            Expr::It => it.cloned(),
            Expr::ForEach(Each::Filter | Each::Sort, list, _) => self.known(list, it),
            Expr::Event(slot) => {
                let mut origins = self.origins(*slot);
                let (source, field) = origins.next()?;
                if origins.any(|(other, _)| other.connection != source.connection) {
                    return None;
                }
                Some(Known {
                    connection: source.connection.to_owned(),
                    path: field.name.clone(),
                    whole: false,
                    ty: field.ty.required().clone(),
                    personal: self.reads.get(usize::from(*slot)).is_some_and(Slot::is_personal),
                })
            }
            Expr::Local(local) => match self.sends.origin(*local)? {
                Origin::Value(known) => Some(known.clone()),
                Origin::Fields(_) => None,
            },
            Expr::Field(inner, name) => {
                let known = self.known(inner, it)?;
                if let Some(record) = self.record(&known.ty) {
                    let field = record.field(name)?;
                    return Some(known.member(name, field.ty.required().clone(), field.personal));
                }
                let ty = match &known.ty {
                    Type::Map(inner) => inner.required().clone(),
                    Type::Record(record) => {
                        record.fields.iter().find_map(|(field, ty)| (field == name).then(|| ty.required().clone()))?
                    }
                    _ => Type::Json,
                };
                Some(known.member(name, ty, false))
            }
            Expr::Index(inner, _) => Some(self.known(inner, it)?.item()),
            Expr::Call(Function::First | Function::Last, args) => match args.as_slice() {
                [list] => Some(self.known(list, it)?.item()),
                _ => None,
            },
            Expr::Call(Function::Reverse | Function::Unique | Function::Slice, args) => self.known(args.first()?, it),
            Expr::Require { value, .. } => self.known(value, it),
            _ => None,
        }
    }
}
