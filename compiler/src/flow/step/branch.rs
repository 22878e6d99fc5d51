//! `if … else …`.

use flow_grammar::syntax::{Block, ElseBranch, IfStep, Step, StepKind};

use flow_plan as plan;

use super::super::check::{Checker, Setting};
use super::super::condition::{Checked, Position, into_expr};
use super::super::fact::{Fact, facts_have};
use super::super::mend::Partial;
use super::Count;
use crate::code::Code;
use crate::diagnostic::{Edit, Fix};
use crate::lint::Holds;

/// Tells whether a condition holds, where it is made of constants.
fn decided(test: &plan::Expr) -> Option<bool> {
    match test {
        plan::Expr::Const(plan::Value::Bool(truth)) => Some(*truth),
        plan::Expr::IsPresent(inner) => match inner.as_ref() {
            plan::Expr::Const(value) => Some(!value.is_missing()),
            _ => None,
        },
        plan::Expr::Not(inner) => decided(inner).map(|truth| !truth),
        plan::Expr::And(parts) if parts.iter().any(|part| decided(part) == Some(false)) => Some(false),
        plan::Expr::And(parts) => parts.iter().all(|part| decided(part) == Some(true)).then_some(true),
        plan::Expr::Or(parts) if parts.iter().any(|part| decided(part) == Some(true)) => Some(true),
        plan::Expr::Or(parts) => parts.iter().all(|part| decided(part) == Some(false)).then_some(false),
        _ => None,
    }
}

impl<'a> Checker<'a> {
    pub(super) fn if_step(&mut self, step: &Step, node: &IfStep, path: &str, kind: &str) -> bool {
        let condition = self.step_condition(node);
        self.branches(step, node, condition, path, kind, &[])
    }

    fn step_condition(&mut self, node: &IfStep) -> Checked<'a> {
        let setting = std::mem::replace(&mut self.setting, Setting::Steps);
        let condition = self.condition(&node.condition, Position::Positive);
        self.setting = setting;
        condition
    }

    fn branches(
        &mut self,
        step: &Step,
        node: &IfStep,
        condition: Checked<'a>,
        path: &str,
        kind: &str,
        before: &[Partial<'a>],
    ) -> bool {
        let Checked { tree, when_true, when_false, partials } = condition;
        let (otherwise, end) = (self.build.label(), self.build.label());
        let test = into_expr(tree);
        // What a connector does only with inputs that this call does not give is no part of the flow.
        if self.frame.own.is_some() && node.otherwise.is_none() && decided(&test) == Some(false) {
            self.facts.learn(when_false);
            return false;
        }
        let (yes, no) = self.ways(node, &test);
        let around = self.known.clone();
        self.build.unless(test, otherwise);
        self.know(&yes);
        let mark = self.facts.mark();
        self.facts.learn(when_true.iter().cloned());
        let effect_before = self.effect_before;
        let then = self.block(&node.then, format!("{path}.then."));
        let effect_within = std::mem::replace(&mut self.effect_before, effect_before);
        self.facts.reset(mark);
        self.known = around.clone();
        let head = self.heading(step, node.condition.span);
        let head = if kind == "else" { format!("else {head}") } else { head };
        self.note(path, kind, head, then.outline);

        let mut other_ends = false;
        let mut other_count = Count::default();
        if let Some(branch) = &node.otherwise {
            if !then.ends {
                self.build.jump(end);
            }
            self.build.here(otherwise);
            self.facts.learn(when_false.iter().cloned());
            self.know(&no);
            let else_path = format!("{path}.else");
            (other_ends, other_count) = match branch {
                ElseBranch::Block(block) => {
                    // Where both ways round were asked, `else` is what cannot be decided, and is meant.
                    let asked = |partial: &Partial<'a>| before.iter().any(|known| partial.flipped.as_ref() == Some(&known.text));
                    let open: Vec<Partial<'a>> = partials.iter().filter(|partial| !asked(partial)).cloned().collect();
                    self.undecided(&open, Some(block), &[]);
                    let done = self.block(block, format!("{else_path}."));
                    self.note(&else_path, "else", "else".to_owned(), done.outline);
                    (done.ends, done.count)
                }
                ElseBranch::If(nested) => self.else_if(nested, &partials, &else_path),
            };
            self.facts.reset(mark);
            self.known = around;
        } else {
            self.build.here(otherwise);
        }
        self.effect_before |= effect_within;
        self.build.here(end);
        self.steps.count = self.steps.count.then(then.count.or(other_count));
        if then.ends && !other_ends {
            self.know(&no);
            self.facts.learn(when_false);
        } else if other_ends && !then.ends {
            self.know(&yes);
            self.facts.learn(when_true);
        }
        then.ends && other_ends
    }

    /// Returns what holds on the two ways, reporting one that is never taken.
    fn ways(&mut self, node: &IfStep, test: &plan::Expr) -> (Holds, Holds) {
        if self.quiet > 0 || self.frame.own.is_some() {
            return (Holds::default(), Holds::default());
        }
        let (yes, no) = (self.holds_where(test, true), self.holds_where(test, false));
        if self.is_silent(node.condition.span) || has_unknown(test) {
            return (yes, no);
        }
        let text = self.text_of(&node.condition);
        if yes.is_never() {
            let diagnostic = self
                .diagnostic(Code::E701, node.condition.span, "this condition never holds")
                .label("no value fits all of it")
                .help("`and` wants everything at once; if either will do, write `or`");
            self.report(diagnostic);
        } else if self.is_excluded(&yes) {
            let diagnostic = self
                .diagnostic(Code::W707, node.then.span, "this is never reached")
                .label("nothing comes here")
                .also(node.condition.span, "this never holds here")
                .help(format!("`where` and the conditions around it leave nothing for which `{text}` holds"));
            self.report(diagnostic);
        } else if let (Some(branch), true) = (&node.otherwise, self.is_excluded(&no)) {
            let span = match branch {
                ElseBranch::Block(block) => block.span,
                ElseBranch::If(step) => step.span,
            };
            let diagnostic = self
                .diagnostic(Code::W707, span, "this is never reached")
                .label("nothing comes here")
                .also(node.condition.span, "this always holds here")
                .help(format!("`where` and the conditions around it leave nothing for which `{text}` does not hold"));
            self.report(diagnostic);
        }
        (yes, no)
    }

    fn else_if(&mut self, nested: &Step, partials: &[Partial<'a>], path: &str) -> (bool, Count) {
        let StepKind::If(node) = &nested.kind else { return (false, Count::default()) };
        let condition = self.step_condition(node);
        self.undecided(partials, None, &condition.when_true);
        let outer = std::mem::take(&mut self.steps.count);
        let ends = self.branches(nested, node, condition, path, "else", partials);
        (ends, std::mem::replace(&mut self.steps.count, outer))
    }

    /// Reports a comparison that was not decided, where `else` takes that for "no". What the next condition settles is
    /// no problem.
    fn undecided(&mut self, partials: &[Partial<'a>], block: Option<&Block>, settled: &[Fact<'a>]) {
        let open = partials.iter().find(|partial| {
            !partial.place.as_ref().is_some_and(|place| {
                if partial.missing {
                    facts_have(settled, place)
                } else {
                    settled.iter().any(|fact| matches!(fact, Fact::Currency(known, _) if known == place))
                }
            })
        });
        if let Some(partial) = open {
            let fix = match (&partial.flipped, block, partials) {
                (Some(flipped), Some(block), [_]) => Some(Fix {
                    title: format!("`else if {flipped} {{ … }}`"),
                    edits: vec![Edit {
                        span: flow_grammar::span::Span { start: block.span.start, end: block.span.start },
                        text: format!("if {flipped} "),
                    }],
                    safe: false,
                }),
                _ => None,
            };
            self.partial(partial, "`else` would take \"not known\" for \"no\"", fix);
        }
    }
}

/// Tells whether a part of a condition is `false` as it stands, as is what a mistake that was reported leaves behind.
fn has_unknown(test: &plan::Expr) -> bool {
    match test {
        plan::Expr::Const(value) => *value == plan::Value::Bool(false),
        plan::Expr::And(parts) | plan::Expr::Or(parts) => parts.iter().any(has_unknown),
        plan::Expr::Not(inner) => has_unknown(inner),
        _ => false,
    }
}
