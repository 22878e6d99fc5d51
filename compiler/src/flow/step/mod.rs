//! Steps: one file per kind, and the blocks that hold them.

mod awaited;
mod branch;
mod choice;
mod repeat;
mod simple;
mod wait;

pub(super) use awaited::Awaited;
pub(super) use repeat::MOST as MOST_ROUNDS;
pub(super) use simple::snake;

use flow_grammar::span::Span;
use flow_grammar::syntax::{Block, Step, StepKind};
use flow_plan as plan;
use flow_plan::ty::Type;

use super::build::Label;
use super::check::{Checker, one_line};
use crate::code::Code;

/// The fewest and most calls, on the ways that go on and on those that end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Count {
    pub(super) through: Option<(u64, u64)>,
    pub(super) ended: Option<(u64, u64)>,
}

impl Default for Count {
    fn default() -> Self {
        Self { through: Some((0, 0)), ended: None }
    }
}

fn plus(a: Option<(u64, u64)>, b: Option<(u64, u64)>) -> Option<(u64, u64)> {
    let ((a, b), (c, d)) = (a?, b?);
    Some((a.saturating_add(c), b.saturating_add(d)))
}

fn either(a: Option<(u64, u64)>, b: Option<(u64, u64)>) -> Option<(u64, u64)> {
    match (a, b) {
        (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
        (only, None) | (None, only) => only,
    }
}

impl Count {
    /// One after the other.
    pub(super) fn then(self, next: Count) -> Count {
        Count { ended: either(self.ended, plus(self.through, next.ended)), through: plus(self.through, next.through) }
    }

    /// One or the other.
    pub(super) fn or(self, other: Count) -> Count {
        Count { through: either(self.through, other.through), ended: either(self.ended, other.ended) }
    }

    /// A call.
    pub(super) fn call() -> Count {
        Count { through: Some((1, 1)), ended: None }
    }

    /// The end of the run.
    pub(super) fn end() -> Count {
        Count { through: None, ended: Some((0, 0)) }
    }

    /// All ways together.
    pub(super) fn total(self) -> (u64, u64) {
        either(self.through, self.ended).unwrap_or_default()
    }
}

/// What is known about the steps around the one at hand.
#[derive(Debug, Default)]
pub(super) struct StepContext<'a> {
    /// How many steps the block has so far.
    pub(super) number: u32,
    /// The block for people.
    pub(super) outline: Vec<plan::Outline>,
    /// The calls as the flow's author sees them.
    pub(super) invocations: Vec<plan::Invocation>,
    /// The calls of the block.
    pub(super) count: Count,
    /// Queries may stand in the value at hand; the calls get this path.
    pub(super) query_path: Option<String>,
    /// How many queries the value had.
    pub(super) queries: u32,
    /// The doc comment of the composite step around.
    pub(super) docs: String,
    /// The action at hand, or the one around it, is dangerous.
    pub(super) dangerous: bool,
    /// `retry` of the composite action around.
    pub(super) retry: Option<plan::Retry>,
    /// `on error` of the composite action around.
    pub(super) on_error: Option<(Label, u16)>,
    /// Where `return` of the composite operation around goes.
    pub(super) returns: Option<Returns<'a>>,
    /// How long the run has waited before the step at hand, at least, in milliseconds.
    pub(super) waited: u64,
    /// How often the step at hand runs at most, by the loops around it; 0 stands for once.
    pub(super) rounds: u64,
    /// The outermost loop that goes round too often: how often, how many calls that makes, and where its bound stands.
    pub(super) too_many: Option<(u64, u64, Span)>,
}

/// Where a composite operation's result goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Returns<'a> {
    pub(super) local: u16,
    pub(super) label: Label,
    pub(super) output: &'a Type,
    /// The connector is checked itself, not a flow that uses it.
    pub(super) strict: bool,
}

/// A checked block.
#[derive(Debug)]
pub(super) struct Done {
    /// Nothing behind it is reached.
    pub(super) ends: bool,
    pub(super) count: Count,
    pub(super) outline: Vec<plan::Outline>,
}

impl<'a> Checker<'a> {
    /// Checks the steps of a block; names and facts of it end with it.
    pub(super) fn block(&mut self, block: &Block, prefix: String) -> Done {
        let outer = (
            std::mem::replace(&mut self.path, prefix),
            std::mem::take(&mut self.steps.number),
            std::mem::take(&mut self.steps.outline),
            std::mem::take(&mut self.steps.count),
        );
        let bindings = self.bindings.len();
        let mark = self.facts.mark();
        let waited = self.steps.waited;
        let known = self.known.clone();
        let ends = self.all_steps(&block.steps);
        self.steps.waited = waited;
        self.facts.reset(mark);
        self.known = known;
        if self.quiet == 0 && self.frame.own.is_none() {
            let left = self.bindings.get(bindings..).unwrap_or_default();
            self.gone.extend(left.iter().filter(|b| b.span.start < b.span.end).map(|b| (b.name.clone(), b.span)));
        }
        self.bindings.truncate(bindings);
        let done = Done {
            ends,
            outline: std::mem::replace(&mut self.steps.outline, outer.2),
            count: std::mem::replace(&mut self.steps.count, outer.3),
        };
        self.path = outer.0;
        self.steps.number = outer.1;
        done
    }

    fn all_steps(&mut self, steps: &[Step]) -> bool {
        let mut ends = false;
        for (at, step) in steps.iter().enumerate() {
            if ends {
                if let Some(last) = steps.last() {
                    let diagnostic = self
                        .diagnostic(Code::W707, step.span.to(last.span), "this is never reached")
                        .label("nothing comes here")
                        .also(steps.get(at - 1).map_or(step.span, |before| before.span), "the run has ended here in any case");
                    self.report(diagnostic);
                }
                break;
            }
            ends = self.step(step);
        }
        ends
    }

    /// Checks a step; `true` where nothing behind it is reached.
    pub(super) fn step(&mut self, step: &Step) -> bool {
        match &step.kind {
            StepKind::Let { name, value } => self.let_step(step, name, value),
            StepKind::Call(call) => self.call_step(step, call),
            StepKind::If(node) => {
                let path = self.next_path();
                self.if_step(step, node, &path, "if")
            }
            StepKind::Match { subject, arms } => self.match_step(step, subject, arms),
            StepKind::For { var, list, up_to, body } => self.for_step(step, var, list, up_to.as_ref(), body),
            StepKind::Stop(reason) => self.stop_step(step, reason.as_ref()),
            StepKind::Return(value) => self.return_step(step, value.as_ref()),
            StepKind::Require(value) => self.require_step(step, value),
            StepKind::Wait(length) => self.wait_step(step, length),
            StepKind::WaitUntil { at, zone } => self.wait_until_step(step, at, zone.as_ref()),
            StepKind::WaitFor { pattern, condition, from_now, up_to, otherwise } => {
                let node = awaited::WaitForNode {
                    pattern,
                    condition: condition.as_ref(),
                    from_now: *from_now,
                    up_to: up_to.as_ref(),
                    otherwise: otherwise.as_ref(),
                };
                self.wait_for_step(step, node)
            }
            StepKind::Bad => {
                self.broken = true;
                false
            }
        }
    }

    /// Counts a step of the block and returns its path.
    pub(super) fn next_path(&mut self) -> String {
        self.steps.number += 1;
        format!("{}{}", self.path, self.steps.number)
    }

    /// Tells whether nobody will look at the plan: then nothing is noted that is only for people.
    pub(super) fn is_verdict_only(&self) -> bool {
        self.settings.verdict_only
    }

    /// Notes a step for people.
    pub(super) fn note(&mut self, path: &str, kind: &str, text: String, steps: Vec<plan::Outline>) {
        if self.is_verdict_only() {
            return;
        }
        let outline = plan::Outline { path: path.to_owned(), kind: kind.to_owned(), text, call: None, effect: None, steps };
        self.steps.outline.push(outline);
    }

    /// The first line of a step, up to `end` where it is the source's own; nothing where nobody will read it.
    pub(super) fn heading(&self, step: &Step, end: Span) -> String {
        if self.is_verdict_only() {
            return String::new();
        }
        match self.frame.block {
            Some(block) => super::show::remembered(block, step),
            None => {
                let text = self.head(step.span, end);
                if text.is_empty() { super::show::heading(step) } else { text }
            }
        }
    }

    /// The source of a step from its beginning to before `end`, in one line.
    pub(super) fn head(&self, start: Span, end: Span) -> String {
        if self.synthetic > 0 {
            return String::new();
        }
        let span = Span { start: start.start, end: end.end };
        one_line(span.text(self.frame.source))
    }
}
