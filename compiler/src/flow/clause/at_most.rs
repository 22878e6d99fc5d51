//! `at most N per K per D otherwise queue|pause`.

use flow_grammar::syntax::{Clause, Expr, Ident, NumberLit, Rate};
use flow_plan as plan;
use flow_plan::Otherwise;

use super::super::check::Checker;
use super::word::Choice;
use crate::code::Code;

const OTHERWISE: &[Choice<Otherwise>] = &[
    Choice {
        word: "queue",
        means: Otherwise::Queue,
        also: &["wait", "delay", "queued", "hold"],
        docs: "they wait for their turn",
    },
    Choice {
        word: "pause",
        means: Otherwise::Pause,
        also: &["stop", "paused", "disable"],
        docs: "the flow is paused, and that is announced",
    },
];

impl<'a> Checker<'a> {
    pub(super) fn at_most(
        &mut self,
        clause: &Clause,
        count: &NumberLit,
        per: &[Expr],
        every: &Rate,
        otherwise: Option<&Ident>,
        before: &[plan::AtMost],
    ) -> Option<plan::AtMost> {
        let count = self.whole(count, "the number of starts", 1, super::window::MOST);
        let per = self.keys(per);
        let every = self.project_rate(every);
        let otherwise = match otherwise {
            None => Otherwise::Drop,
            Some(word) if matches!(word.text.as_str(), "drop" | "skip" | "ignore" | "discard") => {
                let from = flow_grammar::span::Span { start: word.span.start.saturating_sub(1), end: word.span.end };
                let cut = self.otherwise_span(clause).unwrap_or(from);
                let diagnostic = self
                    .diagnostic(Code::E102, word.span, format!("`otherwise {}` is what happens anyway", word.text))
                    .label("what is beyond the limit does not start the flow")
                    .fix("without `otherwise`", cut, "", true);
                self.report(diagnostic);
                return None;
            }
            Some(word) => self.word(word, "otherwise", OTHERWISE)?,
        };
        let limit = plan::AtMost { count: count?, per, every: every?, otherwise };
        if before.iter().any(|other| other.per == limit.per && other.every == limit.every) {
            let diagnostic = self
                .diagnostic(Code::E112, clause.span, "a second limit for the same time and the same keys")
                .label("the smaller of the two would decide in any case")
                .help("keep one of them")
                .fix("without this one", clause.span, "", false);
            self.report(diagnostic);
            return None;
        }
        Some(limit)
    }

    /// From `otherwise` to the end of the clause.
    fn otherwise_span(&self, clause: &Clause) -> Option<flow_grammar::span::Span> {
        let text = clause.span.text(self.frame.source);
        let at = u32::try_from(text.rfind("otherwise")?).ok()?;
        Some(flow_grammar::span::Span { start: clause.span.start + at, end: clause.span.end })
    }
}
