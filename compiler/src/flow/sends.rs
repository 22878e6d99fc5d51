//! Which fields of which service go where: what `flowc plan` lists under `sends`.

use std::collections::{BTreeMap, BTreeSet};

use flow_plan as plan;
use flow_plan::Expr;
use flow_plan::ty::Type;

use super::check::{Checker, Event};

/// What was seen so far.
#[derive(Debug, Default)]
pub(super) struct Sends {
    /// Target to fields.
    to: BTreeMap<String, BTreeSet<String>>,
    /// What a local is made of.
    locals: Vec<(u16, Origin)>,
}

#[derive(Debug, Clone)]
enum Origin {
    /// The result of `connection.operation`.
    Result { connection: String, operation: String },
    /// A value out of other fields.
    Fields(BTreeSet<String>),
}

impl Sends {
    pub(super) fn finish(self) -> Vec<plan::Send> {
        self.to.into_iter().map(|(to, fields)| plan::Send { to, fields: fields.into_iter().collect() }).collect()
    }

    pub(super) fn result(&mut self, local: u16, connection: &str, operation: &str) {
        let origin = Origin::Result { connection: connection.to_owned(), operation: operation.to_owned() };
        self.locals.push((local, origin));
    }

    fn origin(&self, local: u16) -> Option<&Origin> {
        self.locals.iter().rev().find_map(|(known, origin)| (*known == local).then_some(origin))
    }
}

impl Checker<'_> {
    /// Notes what a local is made of.
    pub(super) fn note_local(&mut self, local: u16, value: &Expr) {
        if let Expr::Local(other) = value
            && let Some(origin) = self.sends.origin(*other).cloned()
        {
            self.sends.locals.push((local, origin));
            return;
        }
        let mut fields = BTreeSet::new();
        self.collect(value, &mut fields);
        if !fields.is_empty() {
            self.sends.locals.push((local, Origin::Fields(fields)));
        }
    }

    /// Notes what an argument carries to an operation.
    pub(super) fn note_send(&mut self, connection: &str, operation: &str, value: &Expr) {
        if let Expr::Const(_) = value {
            return;
        }
        let mut fields = BTreeSet::new();
        self.collect(value, &mut fields);
        // What a service is told of itself is no news.
        let own = format!("{connection}.");
        fields.retain(|field| !field.starts_with(&own));
        if !fields.is_empty() {
            self.sends.to.entry(format!("{connection}.{operation}")).or_default().extend(fields);
        }
    }

    fn collect(&self, expr: &Expr, into: &mut BTreeSet<String>) {
        match expr {
            Expr::Event(slot) => {
                if let (Event::Known(source), Some(field)) = (self.event, self.reads.get(usize::from(*slot))) {
                    let mark = if field.personal { " (personal)" } else { "" };
                    into.insert(format!("{}.{}{mark}", source.connection, field.name));
                }
            }
            Expr::Raw(path) => {
                if let Event::Known(source) = self.event {
                    into.insert(format!("{}.raw.{path}", source.connection));
                }
            }
            Expr::Local(local) => match self.sends.origin(*local) {
                Some(Origin::Result { connection, operation }) => {
                    into.insert(format!("{connection}.{operation}"));
                }
                Some(Origin::Fields(fields)) => into.extend(fields.iter().cloned()),
                None => {}
            },
            Expr::Field(inner, name) => match inner.as_ref() {
                Expr::Local(local) => match self.sends.origin(*local) {
                    Some(Origin::Result { connection, operation }) => {
                        let mark = if self.is_personal_result(connection, operation, name) { " (personal)" } else { "" };
                        into.insert(format!("{connection}.{name}{mark}"));
                    }
                    Some(Origin::Fields(_)) | None => self.collect(inner, into),
                },
                inner => self.collect(inner, into),
            },
            Expr::Const(_) | Expr::Input(_) | Expr::Env(_) | Expr::Answer(_) => {}
            // What has no origin of its own has that of its parts.
            other => other.each_part(&mut |part| self.collect(part, into)),
        }
    }

    fn is_personal_result(&self, connection: &str, operation: &str, name: &str) -> bool {
        self.connections
            .get(connection)
            .and_then(|connector| connector.operations.get(operation))
            .and_then(|operation| match operation.output.required() {
                Type::List(item) => self.record(item),
                other => self.record(other),
            })
            .and_then(|record| record.field(name))
            .is_some_and(|field| field.personal)
    }
}
