//! `once per K`.

use flow_grammar::syntax::{Clause, Expr};
use flow_plan as plan;

use super::super::check::Checker;
use crate::code::Code;

impl<'a> Checker<'a> {
    pub(super) fn once_per(&mut self, clause: &Clause, keys: &[Expr]) -> Option<Vec<plan::Expr>> {
        if let [key] = keys
            && let flow_grammar::syntax::ExprKind::Name(name) = key.kind.as_ref()
            && matches!(name.text.as_str(), "minute" | "hour" | "day" | "week" | "month" | "year")
            && self.event_field(&name.text).is_none()
            && self.binding(&name.text).is_none()
        {
            let unit = &name.text;
            let diagnostic = self
                .diagnostic(Code::E102, clause.span, format!("`once per {unit}` would remember for good"))
                .label(format!("`once per` takes what is remembered; {unit} is a time"))
                .help("a limit for a time is `at most`")
                .fix(format!("`at most once per {unit}`"), clause.span, format!("at most once per {unit}"), true);
            self.report(diagnostic);
            return None;
        }
        Some(self.keys(keys))
    }
}
