//! Clauses that do not fit what starts the flow.

use flow_grammar::syntax::{Clause, ClauseKind, Start, TriggerPattern};

use super::super::check::Checker;
use crate::code::Code;

/// What starts the flow, as far as clauses are concerned.
#[derive(Debug, Default, Clone, Copy)]
struct Kinds {
    event: bool,
    state: bool,
    lasting: bool,
    absence: bool,
    clock: bool,
}

impl Kinds {
    fn of(start: &Start) -> Self {
        let mut kinds = Self::default();
        match start {
            Start::Every(_) => kinds.clock = true,
            Start::When(when) => {
                for pattern in &when.alternatives {
                    match pattern {
                        TriggerPattern::Event(_) => kinds.event = true,
                        TriggerPattern::Absence(_) => kinds.absence = true,
                        TriggerPattern::State(state) => {
                            kinds.state = true;
                            kinds.lasting |= state.lasting.is_some();
                        }
                    }
                }
            }
        }
        kinds
    }
}

impl<'a> Checker<'a> {
    /// Reports a clause that says nothing about what starts this flow.
    pub(super) fn does_not_fit(&mut self, clause: &Clause) -> bool {
        let Some(node) = self.node else { return false };
        let kinds = Kinds::of(&node.start);
        let (what, why, help) = match &clause.kind {
            ClauseKind::Within(_) if !kinds.absence => (
                "`within` alone says how long an event does not come",
                "this flow starts with something that comes",
                "`fresh within D` bounds the age of an event, `3 times within D` counts events; silence is `when no …  within D`",
            ),
            ClauseKind::Window { .. } if kinds.clock => {
                ("the clock is not counted", "each time of a schedule comes once", "say in `every …` when the flow starts")
            }
            ClauseKind::Window { .. } if kinds.absence => {
                ("a silence is not counted", "the flow starts once for each silence", "make the silence longer: `within D`")
            }
            ClauseKind::Fresh(_) if kinds.clock => (
                "a schedule has no events that come late",
                "what was missed is another question",
                "`missed latest within D` says how late a time may be made up for, `missed skip` that it is not",
            ),
            ClauseKind::Fresh(_) if kinds.absence => {
                ("a silence is never old", "the time in which flowd does not run is no silence", "take it out")
            }
            ClauseKind::Missed { .. } if !kinds.clock => (
                "`missed` belongs to schedules",
                "this flow does not start by the clock",
                "events are never missed: what comes while flowd does not run is fetched; how old one may be is `fresh within D`",
            ),
            ClauseKind::OnClockChange(_) if !kinds.clock => {
                ("`on clock change` belongs to schedules", "this flow does not start by the clock", "take it out")
            }
            ClauseKind::AcrossGaps(_) if !kinds.state => (
                "`across gaps` belongs to states that last: `when … is … for D`",
                "this flow starts with an event, which has no gaps",
                "take it out",
            ),
            ClauseKind::AcrossGaps(_) if !kinds.lasting => (
                "there is no time for a gap to be in",
                "the state starts the flow at once",
                "say for how long it has to last, `for 10 minutes`, or take this out",
            ),
            ClauseKind::Unverified if !kinds.event => {
                ("`unverified` belongs to events that others send", "nobody sends what starts this flow", "take it out")
            }
            ClauseKind::Where(_)
            | ClauseKind::Window { .. }
            | ClauseKind::Within(_)
            | ClauseKind::Fresh(_)
            | ClauseKind::AtMost { .. }
            | ClauseKind::OncePer(_)
            | ClauseKind::OneAtATime(_)
            | ClauseKind::Throttle { .. }
            | ClauseKind::WhileRunning(_)
            | ClauseKind::Missed { .. }
            | ClauseKind::OnClockChange(_)
            | ClauseKind::AcrossGaps(_)
            | ClauseKind::Expect { .. }
            | ClauseKind::Unverified => return false,
        };
        let start = match &node.start {
            Start::When(when) => when.span,
            Start::Every(every) => every.span,
        };
        let mut diagnostic =
            self.diagnostic(Code::E112, clause.span, what).label(why).also(start, "what starts the flow").help(help);
        match (&clause.kind, kinds) {
            (ClauseKind::Within(within), Kinds { event: true, .. }) => {
                let text = within.span.text(self.frame.source);
                diagnostic = diagnostic.fix(format!("`fresh within {text}`"), clause.span, format!("fresh within {text}"), false);
            }
            (ClauseKind::Fresh(within), Kinds { clock: true, .. }) => {
                let text = within.span.text(self.frame.source);
                let title = format!("`missed latest within {text}`");
                diagnostic = diagnostic.fix(title, clause.span, format!("missed latest within {text}"), false);
            }
            _ => diagnostic = diagnostic.fix("without it", clause.span, "", false),
        }
        self.report(diagnostic);
        true
    }
}
