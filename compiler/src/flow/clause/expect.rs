//! `expect at least N per D`.

use flow_grammar::syntax::{NumberLit, Rate};
use flow_plan as plan;

use super::super::check::Checker;

impl<'a> Checker<'a> {
    pub(super) fn expect_clause(&mut self, count: &NumberLit, every: &Rate) -> Option<plan::Expect> {
        let count = self.whole(count, "the number of starts", 1, super::window::MOST);
        let every = self.project_rate(every);
        Some(plan::Expect { count: count?, every: every? })
    }
}
