//! `wait for trigger where … up to D else { … }`.

use flow_grammar::span::Span;
use flow_grammar::syntax::{Block, DurationLit, Expr, Ident, Step, StepKind, TriggerPattern, TriggerRef};
use flow_plan as plan;
use flow_plan::{Condition, Instr};

use super::super::build::Builder;
use super::super::check::{Checker, Setting};
use super::super::condition::Position;
use super::super::event::{Slot, Source, Starts};
use super::super::fact::{Fact, Place, Root};
use super::super::typed::Typed;
use super::Count;
use crate::catalog::Field;
use crate::code::Code;
use crate::suggest::nearest;

/// The event that a `wait for` awaits, while its condition is checked.
#[derive(Debug)]
pub(in crate::flow) struct Awaited<'a> {
    pub(in crate::flow) source: Source<'a>,
    /// The slots of its fields.
    reads: Vec<&'a Field>,
}

/// A `wait for` as it is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct WaitForNode<'n> {
    pub(super) pattern: &'n TriggerPattern,
    pub(super) condition: Option<&'n Expr>,
    pub(super) from_now: bool,
    pub(super) up_to: Option<&'n DurationLit>,
    pub(super) otherwise: Option<&'n Block>,
}

impl<'a> Checker<'a> {
    pub(super) fn wait_for_step(&mut self, step: &Step, node: WaitForNode<'_>) -> bool {
        if self.may_not_wait(step) {
            return false;
        }
        let path = self.next_path();
        let before = self.waited_for.len();
        let wait = self.awaited_event(node, &path);
        // Behind `else` it has not come.
        let comes = self.waited_for.split_off(before);
        let up_to = match node.up_to {
            Some(up_to) => self.project_span(up_to),
            None => {
                self.wait_without_bound(step, node);
                None
            }
        };
        let (otherwise, end) = (self.build.label(), self.build.label());
        let mut settled = Vec::new();
        if let Some((mut wait, facts)) = wait {
            settled = facts;
            wait.up_to = up_to;
            wait.otherwise = Builder::handler(otherwise, 0).to;
            self.build.push(Instr::WaitFor(Box::new(wait)));
        }
        let head = self.heading(step, node.otherwise.map_or(step.span, |block| before_else(step.span, block, self.frame.source)));
        self.note(&path, "wait for", head, Vec::new());
        let Some(block) = node.otherwise else {
            self.build.here(otherwise);
            self.waited_for.extend(comes);
            return false;
        };
        self.build.jump(end);
        self.build.here(otherwise);
        let effect_before = self.effect_before;
        let else_path = format!("{path}.else");
        let done = self.block(block, format!("{else_path}."));
        self.waited_for.extend(comes);
        self.effect_before |= effect_before;
        self.note(&else_path, "else", "else".to_owned(), done.outline);
        self.build.here(end);
        self.steps.count = self.steps.count.then(Count::default().or(done.count));
        if done.ends {
            // Whoever comes here has seen the event.
            self.facts.learn(settled);
        }
        false
    }

    /// What a loop waits for anywhere within a round has come before the next one begins.
    pub(super) fn comes_around(&mut self, body: &Block) {
        let mut all = Vec::new();
        awaited_in(body, &mut all);
        let failed = std::mem::take(&mut self.quiet_error);
        self.quiet += 1;
        let found: Vec<Source<'a>> = all.into_iter().filter_map(|reference| self.trigger(reference)).collect();
        self.quiet -= 1;
        self.quiet_error = failed;
        self.waited_for.extend(found);
    }

    /// The event with its condition, and what is known of the run's own values once it has come.
    fn awaited_event(&mut self, node: WaitForNode<'_>, path: &str) -> Option<(plan::WaitFor, Vec<Fact<'a>>)> {
        let reference = match node.pattern {
            TriggerPattern::Event(reference) => reference,
            TriggerPattern::Absence(reference) => {
                self.wait_for_silence(reference);
                return None;
            }
            TriggerPattern::State(state) => {
                let diagnostic = self
                    .diagnostic(Code::E112, state.span, "a run waits for an event, not for a state")
                    .label("what a state is at the moment starts flows, and is not waited for")
                    .help("name the event that the change is, `wait for front_door.locked`; or let a second flow start with `when … becomes …`");
                self.report(diagnostic);
                return None;
            }
        };
        let source = self.trigger(reference).filter(|source| self.is_event(reference, *source))?;
        self.waited_for.push(source);
        self.check_awaited_verified(source, reference.span);
        let (trigger, reads) = self.trigger_apart(reference, source);
        self.awaited = Some(Awaited { source, reads });
        let setting = std::mem::replace(&mut self.setting, Setting::Condition);
        let mark = self.facts.mark();
        let checked = node.condition.map(|condition| self.condition(condition, Position::Positive));
        self.facts.reset(mark);
        self.setting = setting;
        let Awaited { reads, .. } = self.awaited.take()?;
        let (condition, facts) = match checked {
            Some(checked) => (Some(checked.tree), checked.when_true),
            None => (None, Vec::new()),
        };
        let key = condition.as_ref().and_then(|condition| key_of(condition, &reads));
        let about_the_run = |fact: &Fact<'a>| match fact {
            Fact::Present(place) | Fact::Missing(place) | Fact::Currency(place, _) => place.root != Root::Awaited,
            Fact::Trigger(_) => true,
        };
        let wait = plan::WaitFor {
            path: path.to_owned(),
            trigger,
            reads: reads.iter().map(|field| field.shape.clone()).collect(),
            condition,
            key,
            from_now: node.from_now,
            up_to: None,
            otherwise: 0,
        };
        Some((wait, facts.into_iter().filter(about_the_run).collect()))
    }

    /// The awaited trigger, over slots of its own: nothing of what is known about the starting event is known about it.
    fn trigger_apart(&mut self, reference: &TriggerRef, source: Source<'a>) -> (plan::TriggerUse, Vec<&'a Field>) {
        let starts = std::mem::replace(&mut self.starts, Starts { sources: vec![source], bare: None, unknown: false });
        let reads = std::mem::take(&mut self.reads);
        let facts = std::mem::take(&mut self.facts);
        let options = self.options(reference, source);
        let trigger = self.own_condition(reference.span, source, options);
        self.facts = facts;
        self.starts = starts;
        let own = std::mem::replace(&mut self.reads, reads);
        (trigger, own.iter().filter_map(Slot::field).collect())
    }

    /// A bare name inside the condition of a `wait for`.
    pub(in crate::flow) fn awaited_name(&mut self, name: &Ident) -> Option<Typed<'a>> {
        let source = self.awaited.as_ref()?.source;
        match name.text.as_str() {
            "now" => return None,
            "raw" => {
                let diagnostic = self
                    .diagnostic(Code::E201, name.span, "`raw` is that of the event that started the run")
                    .label("inside `wait for` bare names are of the awaited event")
                    .help("give what is needed of it a name before the wait: `let x = raw.…`");
                self.report(diagnostic);
                return Some(Typed::unknown());
            }
            _ => {}
        }
        if let Some(field) = source.record.field(&name.text) {
            return Some(self.read_awaited(field));
        }
        if matches!(name.text.as_str(), "event" | "run" | "trigger" | "env" | "origin") {
            return None;
        }
        let text = &name.text;
        let mut diagnostic = self
            .diagnostic(Code::E201, name.span, format!("{} has no field `{text}`", source.path()))
            .label("inside `wait for` bare names are fields of the awaited event");
        if self.event_field(text).is_some() {
            diagnostic = diagnostic.help(format!("the event that started the run has one: `event.{text}`")).fix(
                format!("`event.{text}`"),
                name.span,
                format!("event.{text}"),
                true,
            );
        } else if let Some(found) = nearest(text, source.record.fields.iter().map(|field| field.name.as_str())) {
            diagnostic = diagnostic.help(format!("did you mean `{found}`?")).fix(format!("`{found}`"), name.span, found, true);
        } else {
            diagnostic = diagnostic.help(format!("`flowc docs {}` lists the fields", source.path()));
        }
        self.report(diagnostic);
        Some(Typed::unknown())
    }

    fn read_awaited(&mut self, field: &'a Field) -> Typed<'a> {
        let Some(awaited) = &mut self.awaited else { return Typed::unknown() };
        let at = awaited.reads.iter().position(|known| std::ptr::eq(*known, field)).unwrap_or_else(|| {
            awaited.reads.push(field);
            awaited.reads.len() - 1
        });
        let place = Place { root: Root::Awaited, path: std::borrow::Cow::Borrowed(field.name.as_str()) };
        self.field_value(field, plan::Expr::Awaited(u16::try_from(at).unwrap_or(u16::MAX)), place, false)
    }

    /// Reports `id is id` inside a `wait for`: both are the awaited event's.
    pub(in crate::flow) fn awaited_itself(&mut self, left: &Expr, a: &Typed<'a>, right: &Expr, b: &Typed<'a>) -> bool {
        let (Some(_), Some(place)) = (&self.awaited, &a.place) else { return false };
        if place.root != Root::Awaited || b.place.as_ref() != Some(place) {
            return false;
        }
        let text = self.text_of(right);
        let mut diagnostic = self
            .diagnostic(Code::E701, left.span.to(right.span), format!("both are `{text}` of the awaited event"))
            .label("this would hold for every such event")
            .help("inside `wait for` bare names are fields of the awaited event; `event.` is the event that started the run");
        let first = place.path.split('.').next().unwrap_or_default();
        if self.event_field(first).is_some() {
            diagnostic = diagnostic.fix(format!("`event.{text}`"), right.span, format!("event.{text}"), false);
        }
        self.report(diagnostic);
        true
    }

    fn wait_for_silence(&mut self, reference: &TriggerRef) {
        let text = reference.span.text(self.frame.source).to_owned();
        let diagnostic = self
            .diagnostic(Code::E112, reference.span, "a run waits for an event that comes")
            .label("that it does not come is what `else` is for")
            .help(format!("`wait for {text} up to 3 days else {{ … }}`: the steps behind `else` are done when it has not come"));
        self.report(diagnostic);
    }

    fn wait_without_bound(&mut self, step: &Step, node: WaitForNode<'_>) {
        let at = node.otherwise.map_or(step.span.after(), |block| before_else(step.span, block, self.frame.source).after());
        let mut diagnostic = self
            .diagnostic(Code::E609, step.span, "for how long does the run wait?")
            .label("an event that never comes would keep the run for ever, and all runs after it as well")
            .help("say how long at most, and what is done when it has not come by then");
        diagnostic = diagnostic.fix("`up to 3 days`", at, " up to 3 days", false);
        if node.otherwise.is_none() {
            let text = " up to 3 days else { stop because \"it did not come\" }";
            diagnostic = diagnostic.fix(format!("`{}`", text.trim()), at, text, false);
        }
        self.report(diagnostic);
    }
}

/// The events that steps wait for.
fn awaited_in<'b>(block: &'b Block, into: &mut Vec<&'b TriggerRef>) {
    for step in &block.steps {
        if let StepKind::WaitFor { pattern: TriggerPattern::Event(reference), .. } = &step.kind {
            into.push(reference);
        }
        step.kind.blocks().into_iter().for_each(|block| awaited_in(block, into));
    }
}

/// The step up to its `else`.
fn before_else(step: Span, block: &Block, source: &str) -> Span {
    let head = Span { start: step.start, end: block.span.start };
    let text = head.text(source);
    let end = text.rfind("else").map_or(text.len(), |at| text.get(..at).unwrap_or("").trim_end().len());
    Span { start: step.start, end: step.start + u32::try_from(end).unwrap_or(0) }
}

/// Finds `field is value`, where the condition demands it: by its value the waiting runs are found. The field that
/// identifies the record is the best.
fn key_of(condition: &Condition, reads: &[&Field]) -> Option<(u16, plan::Expr)> {
    let mut found: Vec<(u16, plan::Expr)> = Vec::new();
    demanded(condition, &mut found);
    let is_key = |slot: u16| reads.get(usize::from(slot)).is_some_and(|field| field.roles.iter().any(|role| role == "key"));
    let best = found.iter().position(|(slot, _)| is_key(*slot)).unwrap_or(0);
    if best < found.len() { Some(found.swap_remove(best)) } else { None }
}

fn demanded(condition: &Condition, found: &mut Vec<(u16, plan::Expr)>) {
    match condition {
        Condition::All(parts) => parts.iter().for_each(|part| demanded(part, found)),
        Condition::Test { expr: plan::Expr::Equal(left, right), .. } => {
            let pair = match (left.as_ref(), right.as_ref()) {
                (plan::Expr::Awaited(slot), value) | (value, plan::Expr::Awaited(slot)) => Some((*slot, value)),
                _ => None,
            };
            if let Some((slot, value)) = pair
                && !reads_awaited(value)
            {
                found.push((slot, value.clone()));
            }
        }
        Condition::Any(_) | Condition::Not(_) | Condition::Test { .. } => {}
    }
}

fn reads_awaited(expr: &plan::Expr) -> bool {
    let mut found = false;
    expr.walk(&mut |part| found |= matches!(part, plan::Expr::Awaited(_)));
    found
}
