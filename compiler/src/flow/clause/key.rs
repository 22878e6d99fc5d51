//! `per K`: what events are told apart by.

use flow_grammar::syntax::{Expr, ExprKind};
use flow_plan as plan;
use flow_plan::ty::{TextKind, Type};

use super::super::check::Checker;
use super::super::mend::Need;
use super::super::typed::Typed;
use crate::code::Code;

impl<'a> Checker<'a> {
    /// The keys of a limit.
    pub(super) fn keys(&mut self, keys: &[Expr]) -> Vec<plan::Expr> {
        let mut all = Vec::with_capacity(keys.len());
        for key in keys {
            let Some(found) = self.key(key) else { continue };
            if all.contains(&found) {
                let text = self.text_of(key);
                let diagnostic = self
                    .diagnostic(Code::E205, key.span, format!("`{text}` is a key already"))
                    .help("once is enough: take this one out");
                self.report(diagnostic);
                continue;
            }
            all.push(found);
        }
        all
    }

    fn key(&mut self, key: &Expr) -> Option<plan::Expr> {
        let value = self.value(key);
        if value.is_unknown() {
            return None;
        }
        let text = self.text_of(key);
        if value.as_const().is_some() {
            let diagnostic = self
                .diagnostic(Code::E301, key.span, format!("`{text}` is the same for every event"))
                .label("a key tells events apart")
                .help("name a field of the event: `per customer`; for all events together leave `per` and its key out");
            self.report(diagnostic);
            return None;
        }
        let why = match value.ty.as_ref() {
            Type::Text(TextKind::Secret) => "a secret is not kept",
            Type::Text(_)
            | Type::Enum { .. }
            | Type::Bool
            | Type::Int(_)
            | Type::Number
            | Type::Date
            | Type::Time
            | Type::DateTime
            | Type::Json => {
                return Some(self.need(value, key, &Need::Key).expr);
            }
            Type::Money => "two that pay the same are not the same",
            Type::Duration => "two that took equally long are not the same",
            Type::List(_) | Type::Map(_) => "it has many values",
            Type::Record(_) => return self.record_as_key(key, &value),
            Type::Unknown | Type::Optional(_) | Type::Nothing => return None,
        };
        let diagnostic = self
            .diagnostic(Code::E301, key.span, format!("`{text}` is no key: it is {}", value.type_name()))
            .label(why)
            .help("events are told apart by who or what they are about: an id, an e-mail address, a text");
        self.report(diagnostic);
        None
    }

    /// A record as a key: its own key is meant.
    fn record_as_key(&mut self, key: &Expr, value: &Typed<'a>) -> Option<plan::Expr> {
        let text = self.text_of(key);
        let mut diagnostic = self
            .diagnostic(Code::E301, key.span, format!("`{text}` is no key: it is {}", value.type_name()))
            .label("a whole record, of which anything may change");
        let own = self
            .record(&value.ty)
            .and_then(|record| record.fields.iter().find(|field| field.roles.iter().any(|role| role == "key")));
        if let Some(field) = own {
            diagnostic = diagnostic.help("name the field of it that stays").fix(
                format!("`{text}.{}`", field.name),
                key.span.after(),
                format!(".{}", field.name),
                false,
            );
        }
        if matches!(key.kind.as_ref(), ExprKind::Name(_)) && diagnostic.fixes.is_empty() {
            diagnostic = diagnostic.help("name a field of it");
        }
        self.report(diagnostic);
        None
    }
}
