//! What expressions look at, as numbers that are equal where the expressions are, in all flows of one event.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use flow_plan::{Expr, FieldShape, Value};

/// A hash of 64 bits over an expression. Two different ones of one value are not to be expected within a project.
pub(super) type Key = u64;

/// Hashes expressions: fields of the event by name instead of by slot, locals by how they came about.
pub(super) struct Keys<'f> {
    fields: &'f dyn Fn(u16) -> Option<&'f FieldShape>,
    locals: BTreeMap<u16, Key>,
}

impl<'f> Keys<'f> {
    /// Returns keys for the slots of one flow. Locals are known by their number.
    pub(super) fn new(fields: &'f dyn Fn(u16) -> Option<&'f FieldShape>) -> Self {
        Self { fields, locals: BTreeMap::new() }
    }

    /// Says what a local is.
    pub(super) fn define(&mut self, local: u16, key: Key) {
        self.locals.insert(local, key);
    }

    /// Tells whether it was said what a local is.
    pub(super) fn knows(&self, local: u16) -> bool {
        self.locals.contains_key(&local)
    }

    /// Returns what a local is so far.
    pub(super) fn defined(&self, local: u16) -> Option<Key> {
        self.locals.get(&local).copied()
    }

    /// Returns the key of an expression.
    pub(super) fn of(&self, expr: &Expr) -> Key {
        let mut hasher = DefaultHasher::new();
        self.feed(expr, &mut hasher);
        hasher.finish()
    }

    /// Feeds an expression to a hasher.
    pub(super) fn feed(&self, expr: &Expr, to: &mut DefaultHasher) {
        std::mem::discriminant(expr).hash(to);
        match expr {
            Expr::Const(value) => value_into(value, to),
            Expr::Event(slot) => match (self.fields)(*slot) {
                Some(field) => field.name.hash(to),
                None => slot.hash(to),
            },
            Expr::Local(local) => match self.locals.get(local) {
                Some(key) => key.hash(to),
                None => (u64::MAX, local).hash(to),
            },
            Expr::Awaited(slot) | Expr::Input(slot) => slot.hash(to),
            Expr::Env(env) => format!("{env:?}").hash(to),
            Expr::Raw(path) | Expr::Answer(path) => path.to_string().hash(to),
            Expr::Field(_, name) => name.hash(to),
            Expr::Record(fields) => fields.iter().for_each(|(name, _)| name.hash(to)),
            Expr::Compare(order, ..) | Expr::CompareMajor(order, ..) => (*order as u8).hash(to),
            Expr::CompareAny(order, _, limits) => {
                (*order as u8).hash(to);
                limits.iter().for_each(|(currency, limit)| (currency, limit.normalize()).hash(to));
            }
            Expr::Matches(_, pattern) => pattern.hash(to),
            Expr::Arithmetic(how, ..) => (*how as u8).hash(to),
            Expr::ForEach(each, ..) => format!("{each:?}").hash(to),
            Expr::Call(function, _) => format!("{function:?}").hash(to),
            Expr::It
            | Expr::Index(..)
            | Expr::Text(_)
            | Expr::List(_)
            | Expr::Not(_)
            | Expr::And(_)
            | Expr::Or(_)
            | Expr::Equal(..)
            | Expr::OneOf(..)
            | Expr::InList(..)
            | Expr::InRange(..)
            | Expr::IsPresent(_)
            | Expr::IsEmpty(_)
            | Expr::Contains(..)
            | Expr::StartsWith(..)
            | Expr::EndsWith(..)
            | Expr::Negate(_)
            | Expr::Else(..)
            | Expr::Require { .. } => {}
        }
        let mut parts = 0u32;
        expr.each_part(&mut |part| {
            parts += 1;
            self.feed(part, to);
        });
        parts.hash(to);
    }
}

fn value_into(value: &Value, to: &mut DefaultHasher) {
    std::mem::discriminant(value).hash(to);
    match value {
        Value::Missing => {}
        Value::Bool(truth) => truth.hash(to),
        Value::Number(number) => number.normalize().hash(to),
        Value::Text(text) => text.hash(to),
        Value::Money(money) => (money.currency, money.amount.normalize()).hash(to),
        Value::Date(date) => date.hash(to),
        Value::Time(time) => time.hash(to),
        Value::Instant(at) => at.hash(to),
        Value::Duration(duration) => duration.hash(to),
        Value::List(items) => {
            items.len().hash(to);
            items.iter().for_each(|item| value_into(item, to));
        }
        Value::Record(fields) => {
            fields.len().hash(to);
            for (name, value) in fields.iter() {
                name.hash(to);
                value_into(value, to);
            }
        }
    }
}
