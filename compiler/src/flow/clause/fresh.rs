//! `fresh within D`.

use flow_grammar::syntax::DurationLit;

use super::super::check::Checker;

impl<'a> Checker<'a> {
    pub(super) fn fresh(&mut self, within: &DurationLit) -> Option<u64> {
        let span = self.project_span(within)?;
        u64::try_from(span.length.approximate_millis()).ok()
    }
}
