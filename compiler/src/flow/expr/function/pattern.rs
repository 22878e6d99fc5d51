//! The pattern of `format`.

use flow_functions::pattern::{self, Of};
use flow_grammar::syntax::{Arg, ExprKind};
use flow_plan::Value;
use flow_plan::ty::Type;

use super::super::super::check::Checker;
use super::super::super::typed::Typed;
use super::Valued;
use crate::code::Code;

impl<'a> Checker<'a> {
    /// Returns the pattern, or reports what is wrong with it.
    pub(super) fn pattern(&mut self, arg: &Arg, values: &[Valued<'_, 'a>]) -> Option<Typed<'a>> {
        let of = match values.first().map(|(_, value)| value.ty.as_ref())? {
            Type::Money => Of::Money,
            Type::Date => Of::Date,
            Type::Time => Of::Time,
            Type::DateTime => Of::Instant,
            _ => Of::Number,
        };
        let plain = match arg.value.kind.as_ref() {
            ExprKind::Text(text) => text.plain(),
            _ => None,
        };
        let Some(pattern) = plain else {
            let diagnostic = self
                .diagnostic(Code::E315, arg.value.span, "the pattern of `format` stands in quotes, without `{…}`")
                .label("it cannot be put together at run time, so that it is known to be sound")
                .help("for example `\"YYYY-MM-DD\"` or `\"#,##0.00\"`");
            self.report(diagnostic);
            return None;
        };
        if let Err(problem) = pattern::check(&pattern, of) {
            let mut diagnostic = self.diagnostic(Code::E315, arg.value.span, problem.message).help(problem.help);
            // What is meant instead is only offered where it works.
            if let Some(instead) = problem.instead.filter(|instead| pattern::check(instead, of).is_ok()) {
                let quoted = format!("\"{}\"", instead.replace('\\', "\\\\").replace('"', "\\\"").replace('{', "\\{"));
                diagnostic = diagnostic.fix(format!("`{quoted}`"), arg.value.span, quoted, false);
            }
            self.report(diagnostic);
            return None;
        }
        Some(Typed::constant(Value::text(pattern), Type::text()))
    }
}
