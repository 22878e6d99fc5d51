//! The plain values of a test: what is given and what is expected is known before anything runs.

use flow_grammar::syntax::{Expr, ExprKind, ObjectField, TextLit};
use flow_plan::Value;
use flow_plan::ty::Type;
use jiff::Timestamp;
use std::sync::Arc;

use super::super::check::{Checker, listed};
use super::super::fit::Target;
use super::super::typed::split;
use super::given::with_lower_keys;
use crate::catalog::Field;
use crate::code::Code;
use crate::suggest::nearest;

/// An instant as written, with its zone.
pub(super) type At<'e> = Option<(&'e Expr, Option<&'e TextLit>)>;

impl<'a> Checker<'a> {
    /// Returns the value of an expression that has to be known, as the type that its place wants.
    pub(super) fn constant(&mut self, expr: &Expr, want: &Type, name: &str) -> Option<Value> {
        let (want, _) = split(want);
        match expr.kind.as_ref() {
            ExprKind::Name(word) if word.text == "missing" => return Some(Value::Missing),
            ExprKind::Name(word) if !matches!(want, Type::Enum { .. } | Type::Unknown) => {
                self.not_plain(expr, name, &format!("`{}` is only known when a flow runs", word.text));
                return None;
            }
            ExprKind::Paren(inner) => return self.constant(inner, want, name),
            ExprKind::Object(fields) => {
                if let Some(declared) = self.declared_fields(want) {
                    return self.constant_record(fields, want, &declared);
                }
                if matches!(want, Type::Json | Type::Map(_) | Type::Unknown) {
                    let inner = if let Type::Map(inner) = want { inner.as_ref() } else { &Type::Json };
                    return self.constant_map(fields, inner);
                }
            }
            ExprKind::List(items) => {
                let inner = match want {
                    Type::List(inner) => Some(inner.as_ref()),
                    Type::Json | Type::Unknown => Some(&Type::Json),
                    _ => None,
                };
                if let Some(inner) = inner {
                    let items: Vec<Option<Value>> = items.iter().map(|item| self.constant(item, inner, name)).collect();
                    return items.into_iter().collect::<Option<Vec<_>>>().map(|items| Value::List(Arc::new(items)));
                }
            }
            _ => {}
        }
        // One is a list of one, as in a call.
        if let Type::List(inner) = want
            && !matches!(expr.kind.as_ref(), ExprKind::List(_))
        {
            return self.constant(expr, inner, name).map(|item| Value::List(Arc::new(vec![item])));
        }
        let before = self.error_count();
        let typed = self.value_for(expr, want, &Target::Input(name));
        match typed.as_const() {
            Some(value) if !typed.is_unknown() => Some(value.clone()),
            _ => {
                if self.error_count() == before {
                    self.not_plain(expr, name, "this is only known when a flow runs");
                }
                None
            }
        }
    }

    fn not_plain(&mut self, expr: &Expr, name: &str, label: &str) {
        let diagnostic = self
            .diagnostic(Code::E301, expr.span, format!("a test gives and expects plain values, here for `{name}`"))
            .label(label)
            .help("write the value itself; `missing` stands for none");
        self.report(diagnostic);
    }

    /// A record of which any fields may be given.
    fn constant_record(&mut self, fields: &[ObjectField], of: &Type, declared: &[(String, Type)]) -> Option<Value> {
        let mut values = Vec::new();
        let mut sound = true;
        for field in fields {
            let Some((name, ty)) = declared.iter().find(|(name, _)| *name == field.key.text) else {
                self.no_such_key(field, "this record", declared.iter().map(|(name, _)| name.as_str()));
                sound = false;
                continue;
            };
            let lower = self.record(of).and_then(|record| record.field(name)).is_some_and(Field::has_lower_keys);
            match self.field_constant(field, ty) {
                Some(value) if lower => values.push((Arc::from(name.as_str()), with_lower_keys(value))),
                Some(value) => values.push((Arc::from(name.as_str()), value)),
                None => sound = false,
            }
        }
        sound.then(|| Value::record(values))
    }

    fn constant_map(&mut self, fields: &[ObjectField], inner: &Type) -> Option<Value> {
        let mut values = Vec::new();
        for field in fields {
            values.push((Arc::from(field.key.text.as_str()), self.field_constant(field, inner)?));
        }
        Some(Value::record(values))
    }

    /// The value of `name: value`; a name alone says nothing in a test.
    pub(super) fn field_constant(&mut self, field: &ObjectField, ty: &Type) -> Option<Value> {
        let Some(value) = &field.value else {
            let diagnostic = self
                .diagnostic(Code::E301, field.span, format!("`{}` has no value", field.key.text))
                .help(format!("write it behind the name: `{}: …`", field.key.text));
            self.report(diagnostic);
            return None;
        };
        if let Some(mark) = field.optional {
            let diagnostic = self.no_type_here(mark);
            self.report(diagnostic);
            return None;
        }
        self.constant(value, ty, &field.key.text)
    }

    /// Reports a field or input that does not exist.
    pub(super) fn no_such_key<'n>(&mut self, field: &ObjectField, of: &str, names: impl Iterator<Item = &'n str> + Clone) {
        let mut diagnostic = self.diagnostic(Code::E204, field.key.span, format!("{of} has no `{}`", field.key.text));
        match nearest(&field.key.text, names.clone()) {
            Some(found) => {
                diagnostic =
                    diagnostic.help(format!("did you mean `{found}`?")).fix(format!("`{found}`"), field.key.span, found, true);
            }
            None => {
                let names: Vec<&str> = names.take(12).collect();
                if !names.is_empty() {
                    diagnostic = diagnostic.help(format!("it has {}", listed(&names, "and")));
                }
            }
        }
        self.report(diagnostic);
    }

    /// The instant behind `at`.
    pub(super) fn instant(&mut self, at: At<'_>) -> Result<Option<Timestamp>, ()> {
        let Some((expr, zone)) = at else { return Ok(None) };
        let ExprKind::DateTime(date, time) = expr.kind.as_ref() else {
            let diagnostic = self
                .diagnostic(Code::E301, expr.span, "an event of a test takes place at a date and a time")
                .help("for example `at 2026-11-22 22:05 in \"Asia/Tokyo\"`");
            self.report(diagnostic);
            return Err(());
        };
        let (Some(date), Some(time)) = (self.calendar_date(expr.span, date), self.clock(time)) else { return Err(()) };
        let name = match zone {
            Some(zone) => self.zone_of(zone).ok_or(())?,
            None => self.settings.timezone.clone().unwrap_or_else(|| "UTC".to_owned()),
        };
        let zone = flow_schedule::zone(&name).ok_or(())?;
        date.to_datetime(time).to_zoned(zone).map(|at| Some(at.timestamp())).map_err(|_| ())
    }
}
