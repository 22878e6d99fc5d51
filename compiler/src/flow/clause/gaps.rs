//! `across gaps verify|assume|restart`.

use flow_grammar::syntax::Ident;
use flow_plan::{Gaps, StartKind};

use super::super::check::Checker;
use super::super::start::Started;
use super::word::Choice;

const WORDS: &[Choice<Gaps>] = &[
    Choice {
        word: "verify",
        means: Gaps::Verify,
        also: &["check", "confirm", "reread"],
        docs: "the time counts once the state has been read again and is still the same",
    },
    Choice {
        word: "assume",
        means: Gaps::Assume,
        also: &["ignore", "continue", "keep", "trust"],
        docs: "the time counts without a look",
    },
    Choice { word: "restart", means: Gaps::Restart, also: &["reset", "again", "anew"], docs: "the time begins anew" },
];

impl<'a> Checker<'a> {
    pub(super) fn across_gaps(&mut self, word: &Ident, started: &mut Started) {
        let Some(gaps) = self.word(word, "across gaps", WORDS) else { return };
        for used in &mut started.triggers {
            if let StartKind::State(state) = &mut used.kind {
                state.gaps = gaps;
            }
        }
    }
}
