//! `3 times within 1 hour per K`.

use flow_grammar::syntax::{DurationLit, Expr, NumberLit};
use flow_plan as plan;

use super::super::check::Checker;

/// The most events that are counted.
pub(super) const MOST: u32 = 1_000_000;

impl<'a> Checker<'a> {
    pub(super) fn window(&mut self, count: &NumberLit, within: &DurationLit, per: &[Expr]) -> Option<plan::Window> {
        let times = self.whole(count, "the number of times", 2, MOST);
        let within = self.project_span(within);
        let per = self.keys(per);
        Some(plan::Window { count: times?, within: within?, per })
    }
}
