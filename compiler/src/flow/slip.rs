//! Slips whose meaning is plain: a bare word for a text, `charge.amount` for `amount`, cents in the raw payload.

use flow_grammar::span::Span;
use flow_grammar::syntax::{self, ExprKind, Ident};
use flow_plan as plan;
use flow_plan::ty::Type;
use flow_plan::{Function, JsonPath, Value};
use rust_decimal::Decimal;

use super::check::Checker;
use super::event::Event;
use super::typed::Typed;
use crate::catalog::Field;
use crate::code::Code;
use crate::diagnostic::{Edit, Fix};

/// Words that others use for the event.
const EVENTS: &[&str] =
    &["payload", "data", "object", "body", "input", "webhook", "context", "ctx", "this", "self", "trigger", "event"];

impl<'a> Checker<'a> {
    /// Tells whether a bare name means nothing here, so that it is surely a slip.
    pub(super) fn is_unknown_word(&self, name: &Ident) -> bool {
        self.frame.own.is_none()
            && !self.frame.is_guard
            && matches!(self.event(), Event::Known(_) | Event::Several | Event::Bare(_))
            && self.binding(&name.text).is_none()
            && self.connection(&name.text).is_none()
            && self.bare_field(&name.text).is_none()
            && !super::expr::is_builtin(&name.text)
            && name.text != "origin"
    }

    /// What a bare word was meant to be where a value of this type belongs.
    pub(super) fn word_as(&self, name: &Ident, ty: &Type, docs: &str) -> Option<Fix> {
        let text = name.text.as_str();
        let (title, with, safe) = match ty {
            Type::Bool => {
                let value = match text.to_ascii_lowercase().as_str() {
                    "true" | "yes" | "on" => "true",
                    "false" | "no" | "off" => "false",
                    _ => return None,
                };
                (format!("`{value}`"), value.to_owned(), true)
            }
            Type::Text(_) => {
                let text = if docs.contains("lower case") { text.to_lowercase() } else { text.to_owned() };
                (format!("`\"{text}\"`, the text"), format!("\"{text}\""), false)
            }
            _ => return None,
        };
        Some(Fix { title, edits: vec![Edit { span: name.span, text: with }], safe })
    }

    /// `charge.amount`, `event.data.amount`, `stripe.charge_failed.amount`: the fields of the event have bare names.
    pub(super) fn long_way(&mut self, expr: &syntax::Expr, base: &syntax::Expr, name: &Ident) -> bool {
        let awaited = self.awaited.as_ref().map(|awaited| awaited.source);
        let source = match (awaited, self.event()) {
            (Some(source), _) | (None, Event::Known(source)) => source,
            _ => return false,
        };
        let has_field = match awaited {
            Some(source) => source.record.field(&name.text).is_some(),
            None => self.event_field(&name.text).is_some(),
        };
        if self.frame.own.is_some() || self.frame.is_guard || !has_field {
            return false;
        }
        let mut path = Vec::new();
        let mut at = base;
        let root = loop {
            match at.kind.as_ref() {
                ExprKind::Field(inner, part) => {
                    path.push(part.text.as_str());
                    at = inner;
                }
                ExprKind::Name(root) => break root,
                _ => return false,
            }
        };
        let is_event = match root.text.as_str() {
            "raw" | "run" | "env" | "error" => return false,
            // Behind `event.` stands the event that started the run.
            "trigger" | "event" if awaited.is_some() => return false,
            "trigger" => path.is_empty(),
            "event" => match path.last() {
                Some(first) if self.event_field(first).is_none() => true,
                _ => return false,
            },
            connection if self.connection(connection).is_some() => {
                if self.binding(connection).is_some() || connection != source.connection || path != [source.trigger.name.as_str()]
                {
                    return false;
                }
                self.uses(source.connection);
                true
            }
            other => {
                if !self.is_unknown_word(root) || self.event_field(&format!("{other}_{}", name.text)).is_some() {
                    return false;
                }
                let means_event = EVENTS.contains(&other)
                    || other == super::step_name(&source.record.name)
                    || source.trigger.name.split('_').any(|part| part == other);
                if !means_event || self.gone.iter().any(|(known, _)| known == other) {
                    return false;
                }
                true
            }
        };
        if !is_event {
            return false;
        }
        let text = self.text_of(expr);
        let written =
            if awaited.is_none() && self.is_hidden(&name.text) { format!("event.{}", name.text) } else { name.text.clone() };
        let help = if awaited.is_some() {
            format!(
                "in this condition `{written}` is that of the awaited event; that of the event that started the run is behind `event.`"
            )
        } else {
            format!("`{written}` is that of the event that starts the flow")
        };
        let diagnostic = self
            .diagnostic(Code::E201, expr.span, format!("there is no `{text}`, but there is `{written}`"))
            .label("the fields of the event stand by themselves")
            .help(help)
            .fix(format!("`{written}`"), expr.span, written, true);
        self.report(diagnostic);
        true
    }

    /// `failure_message or "x"` as a value.
    pub(super) fn or_as_default(&mut self, at: Span, left: &syntax::Expr, right: &syntax::Expr) -> bool {
        // Names only: nothing is done when they are looked at.
        if !matches!(left.kind.as_ref(), ExprKind::Name(_) | ExprKind::Field(..)) || self.quiet > 0 {
            return false;
        }
        let failed = std::mem::take(&mut self.quiet_error);
        self.quiet += 1;
        let value = self.value(left);
        self.quiet -= 1;
        self.quiet_error = failed;
        if value.is_unknown() && matches!(right.kind.as_ref(), ExprKind::Text(_)) {
            // What is wrong with it is told, and `or` with it.
            self.value(left);
            return true;
        }
        if matches!(value.ty.as_ref(), Type::Unknown | Type::Bool | Type::Json) {
            return false;
        }
        let (text, default) = (self.text_of(left), self.text_of(right));
        let diagnostic = self
            .diagnostic(Code::E301, at, "`or` joins conditions; a default stands behind `else`")
            .also(left.span, value.type_name());
        let diagnostic = if value.optional {
            diagnostic.fix(format!("`{text} else {default}`"), at, "else", true)
        } else {
            diagnostic.help(format!("`{text}` always has a value: it needs no default")).fix(
                format!("`{text}`"),
                left.span.to(right.span),
                text,
                false,
            )
        };
        self.report(diagnostic);
        true
    }

    /// The money field of the event whose amount stands at a place of the raw payload.
    pub(super) fn money_behind(&self, value: &Typed<'a>) -> Option<&'a Field> {
        let (plan::Expr::Raw(path), Event::Known(source)) = (&value.expr, self.event()) else { return None };
        source.record.fields.iter().find(|field| match &field.shape.shape {
            plan::Shape::Money { amount, unit: plan::MoneyUnit::Minor, .. } => ends_with(path, amount),
            _ => false,
        })
    }

    /// Warns of a plain number beside an amount of the raw payload, which counts in cents.
    pub(super) fn raw_amount(&mut self, left: &syntax::Expr, a: &Typed<'a>, right: &syntax::Expr, b: &Typed<'a>) {
        let Some(Value::Number(number)) = b.as_const() else { return };
        let Some(field) = self.money_behind(a) else { return };
        if self.quiet > 0 || self.settings.quick {
            return;
        }
        let text = self.text_of(left);
        let currency = self.settings.currency.map_or_else(|| "USD".to_owned(), |currency| currency.to_string());
        let major = (*number / Decimal::from(100)).normalize();
        let mut diagnostic = self
            .diagnostic(Code::W313, left.span, format!("`{text}` counts in the smallest unit: {number} may be {major}"))
            .label("as the service sent it: cents, yen, …")
            .help(format!("`{}` is the same as money, with its currency", field.name));
        diagnostic.fixes.push(Fix {
            title: format!("compare `{}` with `{major} {currency}`", field.name),
            edits: vec![
                Edit { span: left.span, text: field.name.clone() },
                Edit { span: right.span, text: format!("{major} {currency}") },
            ],
            safe: false,
        });
        self.report(diagnostic);
    }

    /// A text in capitals beside one that is always in lower case.
    pub(super) fn check_case(&mut self, value: &Typed<'a>, expr: &syntax::Expr, text: &str) {
        let is_lower = matches!(value.expr, plan::Expr::Call(Function::CurrencyCode | Function::Lower, _))
            || value.place.is_some() && value.docs.contains("lower case");
        let lower = text.to_lowercase();
        if !is_lower || lower == text || self.quiet > 0 || super::secret::looks_live(text) {
            return;
        }
        let diagnostic = self
            .diagnostic(Code::W314, expr.span, format!("\"{text}\" is in capitals, and this is always in lower case"))
            .label("it would never be equal")
            .fix(format!("`\"{lower}\"`"), expr.span, format!("\"{lower}\""), true);
        self.report(diagnostic);
    }
}

fn ends_with(path: &JsonPath, end: &JsonPath) -> bool {
    !end.0.is_empty() && path.0.ends_with(&end.0)
}

/// Texts in capitals that stand beside a value, with what they would be in lower case.
pub(super) fn capitals(exprs: &[&syntax::Expr]) -> Vec<Edit> {
    exprs
        .iter()
        .filter_map(|expr| match expr.kind.as_ref() {
            ExprKind::Text(text) => {
                let plain = text.plain()?;
                let lower = plain.to_lowercase();
                (lower != plain).then(|| Edit { span: expr.span, text: format!("\"{lower}\"") })
            }
            _ => None,
        })
        .collect()
}

/// `amount.currency`, as others write it.
pub(super) fn asks_currency(expr: &syntax::Expr) -> bool {
    matches!(expr.kind.as_ref(), ExprKind::Field(_, name) if name.text == "currency")
}
