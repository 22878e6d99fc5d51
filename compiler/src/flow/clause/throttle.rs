//! `throttle to N per D per K`.

use flow_grammar::syntax::{Expr, NumberLit, Rate};
use flow_plan as plan;

use super::super::check::Checker;

impl<'a> Checker<'a> {
    pub(super) fn throttle(&mut self, count: &NumberLit, every: &Rate, per: &[Expr]) -> Option<plan::Throttle> {
        let count = self.whole(count, "the number of starts", 1, super::window::MOST);
        let every = self.project_rate(every);
        let per = self.keys(per);
        Some(plan::Throttle { count: count?, every: every?, per })
    }
}
