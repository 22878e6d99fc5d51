//! An event where a state stands: `when stripe.charge_failed rises above 100 USD`.

use flow_grammar::syntax::{ExprKind, StateOp, StatePattern};
use flow_plan::ty::Type;

use super::check::Checker;
use crate::catalog::{Connector, Trigger};
use crate::code::Code;

impl Checker<'_> {
    /// `when stripe.charge_failed rises above 100 USD`: one of its fields is compared.
    pub(super) fn event_neither_rises_nor_drops(
        &mut self,
        connection: &str,
        connector: &Connector,
        trigger: &Trigger,
        pattern: &StatePattern,
    ) {
        let path = format!("{connection}.{}", trigger.name);
        let (sign, words) = match pattern.op {
            StateOp::DropsBelow => ("<", "drops below"),
            StateOp::RisesAbove | StateOp::Is | StateOp::Becomes | StateOp::Changes => (">", "rises above"),
        };
        let limit = pattern.value.as_ref().map(|value| (self.text_of(value), matches!(value.kind.as_ref(), ExprKind::Money(..))));
        let (limit, is_money) = limit.unwrap_or_else(|| ("0".to_owned(), false));
        // The field that was surely meant is of the kind of the limit.
        let fields = connector.records.get(&trigger.record).map(|record| record.fields.as_slice()).unwrap_or_default();
        let fits =
            |ty: &Type| if is_money { *ty == Type::Money } else { matches!(ty, Type::Int(_) | Type::Number | Type::Money) };
        let field = fields.iter().find(|field| fits(field.ty.required()));
        let mut diagnostic = self
            .diagnostic(Code::E505, pattern.span, format!("`{path}` is an event: it neither rises nor drops"))
            .label(format!("only a state `{words}` a value"));
        diagnostic = match field {
            Some(field) => {
                let form = format!("{path} where {} {sign} {limit}", field.name);
                diagnostic.help(format!("an event is told by its fields which one is meant: `when {form} do …`")).fix(
                    format!("`{form}`"),
                    pattern.span,
                    form,
                    false,
                )
            }
            None => diagnostic
                .help(format!("which events are meant is said of their fields: `when {path} where … {sign} {limit} do …`")),
        };
        self.report(diagnostic);
    }
}
