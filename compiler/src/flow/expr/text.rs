//! Texts with `{…}` in them.

use flow_grammar::syntax::{ExprKind, TextLit, TextPart};
use flow_plan as plan;
use flow_plan::Value;
use flow_plan::ty::Type;

use super::super::check::Checker;
use super::super::mend::Need;
use super::super::typed::Typed;
use crate::code::Code;

impl<'a> Checker<'a> {
    /// Checks a text. Everything in it must be there and have a plain form.
    pub(in crate::flow) fn text(&mut self, text: &TextLit) -> Typed<'a> {
        self.check_secret(text);
        if let [] | [TextPart::Text(_)] = text.parts.as_slice() {
            let plain = text.plain().unwrap_or_default();
            return Typed::constant(Value::text(plain), Type::text());
        }
        let mut parts = Vec::with_capacity(text.parts.len());
        let mut personal = false;
        for part in &text.parts {
            match part {
                TextPart::Text(piece) => parts.push(plan::Expr::Const(Value::text(piece.as_str()))),
                TextPart::Expr(expr) => {
                    // In a text any default can be read: `{amount_total else "an unknown amount"}`.
                    let value = match expr.kind.as_ref() {
                        ExprKind::Else(value, default) => self.default(value, default, None, true),
                        _ => self.value(expr),
                    };
                    let value = self.need(value, expr, &Need::Text);
                    self.check_displayable(&value, expr);
                    personal |= value.personal;
                    parts.push(value.expr);
                }
            }
        }
        Typed::new(plan::Expr::Text(parts), Type::text()).personal(personal)
    }

    fn check_displayable(&mut self, value: &Typed<'a>, expr: &flow_grammar::syntax::Expr) {
        let fields = match value.ty.as_ref() {
            Type::Record(record) if record.name.is_empty() => record.fields.first().map(|(name, _)| name.clone()),
            Type::Record(_) => self.record(&value.ty).and_then(|record| record.fields.first()).map(|field| field.name.clone()),
            Type::Nothing => {
                let diagnostic = self
                    .diagnostic(Code::E301, expr.span, format!("`{}` has no result to show", self.text_of(expr)))
                    .help("this action gives nothing back");
                self.report(diagnostic);
                return;
            }
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
            | Type::List(_)
            | Type::Map(_)
            | Type::Enum { .. }
            | Type::Optional(_) => return,
        };
        let name = self.text_of(expr);
        let mut diagnostic = self
            .diagnostic(Code::E301, expr.span, format!("`{name}` is a whole record, which has no plain form in a text"))
            .label(value.type_name());
        if let Some(field) = fields {
            diagnostic = diagnostic.help("show one of its fields").fix(
                format!("`{name}.{field}`"),
                expr.span.after(),
                format!(".{field}"),
                false,
            );
        }
        self.report(diagnostic);
    }
}
