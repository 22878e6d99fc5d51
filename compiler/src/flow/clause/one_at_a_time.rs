//! `one at a time per K`.

use flow_grammar::syntax::{Clause, ClauseKind, Expr};
use flow_plan as plan;

use super::super::check::Checker;
use crate::code::Code;

impl<'a> Checker<'a> {
    pub(super) fn one_at_a_time(&mut self, clause: &Clause, keys: &[Expr], all: &[Clause]) -> Option<Vec<plan::Expr>> {
        // With a key `while running skip` and `restart` say what an event means for the run of its own key.
        let says_the_same = |other: &Clause| match &other.kind {
            ClauseKind::WhileRunning(word) => keys.is_empty() || word.text == "queue",
            _ => false,
        };
        let running = all.iter().find(|other| says_the_same(other));
        if let Some(other) = running {
            let (first, second) = if other.span.start < clause.span.start { (other, clause) } else { (clause, other) };
            let diagnostic = self
                .diagnostic(Code::E112, second.span, "two answers to what a second run waits for")
                .label("this says what becomes of an event while a run goes on")
                .also(first.span, "and so does this")
                .help("`one at a time` lets the others wait already: keep one of them; beside `one at a time per K` there is room for `while running skip` and `restart`, which then speak of the run of the same key")
                .fix("without this one", second.span, "", false)
                .fix("without the other one", first.span, "", false);
            self.report(diagnostic);
            return None;
        }
        Some(self.keys(keys))
    }
}
