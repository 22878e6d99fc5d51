//! `missed …` and `on clock change …`.

use flow_grammar::span::Span;
use flow_grammar::syntax::{Clause, ClauseKind, DurationLit, Ident};
use flow_plan as plan;
use flow_plan::{ClockChange, Missed, Rule};

use super::super::check::Checker;
use super::{choices, default_missed, zone_of};
use crate::code::Code;
use crate::suggest::nearest;

const MISSED: &[&str] = &["skip", "all", "latest"];
const CHANGES: &[&str] = &["skip", "once", "twice"];

impl<'a> Checker<'a> {
    /// What the clauses of a schedule say, and what counts where they say nothing.
    pub(super) fn schedule_clauses(&mut self, rule: &Rule) -> Option<(Missed, ClockChange)> {
        let mut missed = Some(default_missed(rule));
        let mut change = Some(ClockChange::Natural);
        for clause in self.node.map_or(&[] as &[Clause], |node| node.clauses.as_slice()) {
            match &clause.kind {
                ClauseKind::Missed { policy, within } => missed = self.missed(clause.span, policy, within.as_ref()),
                ClauseKind::OnClockChange(word) => change = self.clock_change(clause.span, word, rule),
                ClauseKind::Where(_)
                | ClauseKind::Window { .. }
                | ClauseKind::Within(_)
                | ClauseKind::Fresh(_)
                | ClauseKind::AtMost { .. }
                | ClauseKind::OncePer(_)
                | ClauseKind::OneAtATime(_)
                | ClauseKind::Throttle { .. }
                | ClauseKind::WhileRunning(_)
                | ClauseKind::AcrossGaps(_)
                | ClauseKind::Expect { .. }
                | ClauseKind::Unverified => {}
            }
        }
        Some((missed?, change?))
    }

    fn missed(&mut self, span: Span, policy: &Ident, within: Option<&DurationLit>) -> Option<Missed> {
        match (policy.text.as_str(), within) {
            ("skip", None) => Some(Missed::Skip),
            ("all", None) => Some(Missed::All),
            ("latest", Some(length)) => {
                let zone = self.clock_zone.clone();
                let within = self.span(length, zone_of(zone.as_deref()))?;
                Some(Missed::Latest { within })
            }
            ("latest", None) => {
                let diagnostic = self
                    .diagnostic(Code::E604, span, "`missed latest`: how old may it be?")
                    .label("without a bound, a schedule of last month would still be made up for")
                    .help("the bound stands behind `within`")
                    .fix("`missed latest within 1 hour`", policy.span.after(), " within 1 hour", false);
                self.report(diagnostic);
                None
            }
            (word @ ("skip" | "all"), Some(length)) => {
                let diagnostic = self
                    .diagnostic(Code::E604, length.span, format!("`missed {word}` has no bound"))
                    .help("`missed latest within …` makes up for the latest only; `missed all` for each, however old")
                    .fix("`missed latest`", policy.span, "latest", false);
                self.report(diagnostic);
                None
            }
            (_, _) => {
                self.no_such_word("missed", policy, MISSED);
                None
            }
        }
    }

    fn clock_change(&mut self, span: Span, word: &Ident, rule: &Rule) -> Option<ClockChange> {
        let change = match word.text.as_str() {
            "skip" => ClockChange::Skip,
            "once" => ClockChange::Once,
            "twice" => ClockChange::Twice,
            _ => {
                self.no_such_word("on clock change", word, CHANGES);
                return None;
            }
        };
        let by_sun =
            matches!(rule, Rule::Calendar { times, .. } if times.iter().all(|time| matches!(time, plan::DayTime::Sun { .. })));
        if matches!(rule, Rule::Interval(_)) || by_sun {
            let label = if by_sun { "the sun does not change its clock" } else { "an interval does not look at the clock" };
            let diagnostic = self
                .diagnostic(Code::E607, span, "`on clock change` means nothing here")
                .label(label)
                .help("it says what becomes of a time on the clock, such as `every day at 02:30`, that is skipped or comes twice")
                .fix("leave it out", span, "", true);
            self.report(diagnostic);
            return None;
        }
        Some(change)
    }

    fn no_such_word(&mut self, clause: &str, word: &Ident, known: &[&str]) {
        let mut diagnostic = self
            .diagnostic(Code::E604, word.span, format!("there is no `{clause} {}`", word.text))
            .help(format!("`{clause}` takes {}", choices(known)));
        let meant = match word.text.as_str() {
            "ignore" | "none" | "never" => Some("skip"),
            "last" | "newest" => Some("latest").filter(|meant| known.contains(meant)),
            "both" => Some("twice").filter(|meant| known.contains(meant)),
            _ => nearest(&word.text, known.iter().copied()),
        };
        if let Some(meant) = meant {
            diagnostic = diagnostic.fix(format!("`{clause} {meant}`"), word.span, meant, false);
        }
        self.report(diagnostic);
    }
}
