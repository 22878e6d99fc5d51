//! The clauses between what starts a flow and `do`: which events, and how many of them. One file for each.

mod at_most;
mod expect;
mod fresh;
mod gaps;
mod key;
mod misfit;
mod once;
mod one_at_a_time;
mod running;
mod throttle;
mod unverified;
mod window;
mod word;

use flow_grammar::syntax::{Clause, ClauseKind};
use flow_plan as plan;
use flow_plan::{Condition, Limits};

use super::check::Checker;
use super::condition::Position;
use super::span::InZone;
use super::start::Started;

pub(super) use unverified::Vouched;

/// What the clauses say.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) filter: Option<Condition>,
    pub(super) limits: Limits,
}

/// So many `where` of one flow are looked into.
const MOST_FILTERS: usize = 8;

impl<'a> Checker<'a> {
    /// Checks the clauses; what the filter says is known in the keys of the limits and in the steps.
    pub(super) fn clauses(&mut self, clauses: &'a [Clause], started: &mut Started) -> Said {
        self.know_guard(started);
        let filter = self.filter(clauses);
        let filter = self.after_filter(started, filter);
        let mut said = Said { filter, limits: Limits::default() };
        let limits = &mut said.limits;
        for clause in clauses {
            if !matches!(clause.kind, ClauseKind::Unverified) && self.does_not_fit(clause) {
                continue;
            }
            match &clause.kind {
                // The condition is checked first, the silence with the event that does not come, and schedules with theirs.
                ClauseKind::Where(_) | ClauseKind::Within(_) | ClauseKind::Missed { .. } | ClauseKind::OnClockChange(_) => {}
                ClauseKind::Window { count, within, per } => limits.window = self.window(count, within, per),
                ClauseKind::Fresh(within) => limits.fresh_ms = self.fresh(within),
                ClauseKind::AtMost { count, per, every, otherwise } => {
                    let found = self.at_most(clause, count, per, every, otherwise.as_ref(), &limits.at_most);
                    limits.at_most.extend(found);
                }
                ClauseKind::OncePer(keys) => limits.once_per = self.once_per(clause, keys),
                ClauseKind::OneAtATime(keys) => limits.one_at_a_time = self.one_at_a_time(clause, keys, clauses),
                ClauseKind::Throttle { count, every, per } => limits.throttle = self.throttle(count, every, per),
                ClauseKind::WhileRunning(word) => limits.while_running = self.while_running(word),
                ClauseKind::AcrossGaps(word) => self.across_gaps(word, started),
                ClauseKind::Expect { count, every } => limits.expect = self.expect_clause(count, every),
                // Whether it is needed is known behind the steps.
                ClauseKind::Unverified => {}
            }
        }
        self.check_verified(clauses);
        said
    }

    /// `where`: which events. What it says is known from here on.
    fn filter(&mut self, clauses: &'a [Clause]) -> Option<Condition> {
        let mut filter = None;
        // One is right, and more were reported: that they are a hundred thousand must not cost anything.
        let all = clauses.iter().filter_map(|clause| match &clause.kind {
            ClauseKind::Where(condition) => Some(condition),
            _ => None,
        });
        for condition in all.take(MOST_FILTERS) {
            let checked = self.condition(condition, Position::Positive);
            let holds = self.never(condition, &checked.tree);
            self.never_by_trigger(condition, &holds);
            self.know(&holds);
            self.facts.learn(checked.when_true);
            filter = Some(match filter {
                None => checked.tree,
                Some(Condition::All(mut parts)) => {
                    parts.push(checked.tree);
                    Condition::All(parts)
                }
                Some(first) => Condition::All(vec![first, checked.tree]),
            });
        }
        filter
    }

    /// A length of time; days and months of it are those of the project's zone, or of that which a schedule names.
    pub(super) fn project_span(&mut self, length: &flow_grammar::syntax::DurationLit) -> Option<plan::Span> {
        let zone = self.clock_zone.clone();
        self.span(length, zone.as_deref().map_or(InZone::Project, InZone::Written))
    }

    /// The time of a rate; its days and months are those of the project's zone, or of that which a schedule names.
    fn project_rate(&mut self, rate: &flow_grammar::syntax::Rate) -> Option<plan::Rate> {
        let zone = self.clock_zone.clone();
        self.rate(rate, zone.as_deref().map_or(InZone::Project, InZone::Written))
    }
}
