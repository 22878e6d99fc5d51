//! Steps and blocks.

use super::{Builder, Node, Parts};
use crate::diagnose;
use crate::error::SyntaxError;
use crate::grammar::Rule;
use crate::scan::MAX_DEPTH;
use crate::span::Span;
use crate::syntax::{Arm, Block, CallStep, Docs, ElseBranch, Expr, IfStep, NumberLit, Retry, Step, StepKind};

impl<'s> Builder<'s> {
    pub(super) fn bad_block(span: Span) -> Block {
        Block { span, braces: false, steps: vec![Step { span, docs: Docs::default(), kind: StepKind::Bad }] }
    }

    /// `{ … }`.
    pub(super) fn block(&mut self, node: Node<'s>) -> Block {
        let span = self.span(&node);
        let mut steps: Vec<Step> = Vec::new();
        let mut lines = diagnose::Lines::new(Rule::only_steps, span);
        for part in node.into_inner() {
            let at = self.span(&part);
            match part.as_rule() {
                Rule::bad => {
                    let docs = self.docs(at.start);
                    if lines.bad(at) {
                        steps.push(Step { span: at, docs, kind: StepKind::Bad });
                    }
                }
                Rule::rbrace => {}
                Rule::unclosed => lines.unclosed(at),
                _ => {
                    lines.good(at, self.source, &mut self.errors);
                    let step = self.step(part);
                    steps.push(step);
                }
            }
        }
        lines.finish(self.source, &mut self.errors);
        Block { span, braces: true, steps }
    }

    /// Steps joined by `then`.
    pub(super) fn chain(&mut self, node: Node<'s>) -> Block {
        let span = self.span(&node);
        let steps = node.into_inner().map(|step| self.step(step)).collect();
        Block { span, braces: false, steps }
    }

    /// Takes a block where the grammar has one.
    fn take_block(&mut self, parts: &mut Parts<'s>) -> Block {
        match parts.take(Rule::block) {
            Some(node) => self.block(node),
            None => Self::bad_block(Span::default()),
        }
    }

    fn step(&mut self, node: Node<'s>) -> Step {
        let span = self.span(&node);
        let docs = self.docs(span.start);
        let rule = node.as_rule();
        let mut parts = Parts::of(node);
        let kind = match rule {
            Rule::call_step => StepKind::Call(self.call_step(&mut parts)),
            Rule::let_step => {
                let name = self.take_ident(&mut parts);
                parts.take(Rule::assign);
                StepKind::Let { name, value: self.take_expr(&mut parts) }
            }
            Rule::if_step => self.if_step(&mut parts),
            Rule::match_step => {
                let subject = self.take_expr(&mut parts);
                let arms = match parts.take(Rule::arms) {
                    Some(arms) => self.arms(arms),
                    None => Vec::new(),
                };
                StepKind::Match { subject, arms }
            }
            Rule::for_step => {
                let var = self.take_ident(&mut parts);
                parts.take(Rule::w_in);
                let list = self.take_expr(&mut parts);
                let up_to: Option<NumberLit> = parts.take(Rule::w_up_to).map(|_| self.take_number(&mut parts));
                let body = self.take_block(&mut parts);
                StepKind::For { var, list, up_to, body }
            }
            Rule::stop_step => StepKind::Stop(parts.take(Rule::because).map(|node| self.take_expr(&mut Parts::of(node)))),
            Rule::return_step => StepKind::Return(parts.peek().map(|_| self.take_expr(&mut parts))),
            Rule::require_step => StepKind::Require(self.take_expr(&mut parts)),
            Rule::wait_step => self.wait(&mut parts),
            _ => StepKind::Bad,
        };
        Step { span, docs, kind }
    }

    fn call_step(&mut self, parts: &mut Parts<'s>) -> CallStep {
        let call = match parts.take(Rule::step_call) {
            Some(node) => self.call(node),
            None => self.take_call(parts),
        };
        self.errors.extend(diagnose::step_call(self.source, &call));
        let mut step = CallStep { call, name: None, retry: None, on_error: None };
        while let Some(part) = parts.next() {
            let span = self.span(&part);
            let rule = part.as_rule();
            let mut inner = Parts::of(part);
            let twice = match rule {
                Rule::as_name => step.name.replace(self.take_ident(&mut inner)).is_some(),
                Rule::retry => {
                    let times = self.take_count(&mut inner);
                    let over = inner.peek().map(|_| self.take_duration(&mut inner));
                    step.retry.replace(Retry { span, times, over }).is_some()
                }
                _ => {
                    let block = self.take_block(&mut inner);
                    step.on_error.replace(block).is_some()
                }
            };
            if twice {
                self.errors.push(diagnose::twice(self.source, span));
            }
        }
        step
    }

    fn if_step(&mut self, parts: &mut Parts<'s>) -> StepKind {
        let condition = self.take_expr(parts);
        let then = self.take_block(parts);
        let mut branches: Vec<(Span, Expr, Block)> = Vec::new();
        let mut last = None;
        while let Some(part) = parts.next() {
            let span = self.span(&part);
            let rule = part.as_rule();
            let mut inner = Parts::of(part);
            if rule == Rule::else_block {
                last = Some(ElseBranch::Block(self.take_block(&mut inner)));
                continue;
            }
            let span = inner.take(Rule::w_if).map_or(span, |word| Span { start: self.span(&word).start, end: span.end });
            let condition = self.take_expr(&mut inner);
            let block = self.take_block(&mut inner);
            branches.push((span, condition, block));
        }
        if let Some((span, ..)) = branches.get(MAX_DEPTH) {
            let at = Span { start: span.start, end: span.start + 2 };
            self.errors.push(
                SyntaxError::new("E106", at, "too many branches in one `if`")
                    .label(format!("more than {MAX_DEPTH} `else if`"))
                    .help("use `match`, which compares one value with many"),
            );
            branches.truncate(MAX_DEPTH);
        }
        // From the last to the first, since each branch owns those behind it.
        for (span, condition, then) in branches.into_iter().rev() {
            // A branch ends where the last of those behind it ends.
            let end = match &last {
                Some(ElseBranch::Block(block)) => block.span.end,
                Some(ElseBranch::If(step)) => step.span.end,
                None => then.span.end,
            };
            last = Some(ElseBranch::If(Box::new(Step {
                span: Span { start: span.start, end },
                docs: Docs::default(),
                kind: StepKind::If(IfStep { condition, then, otherwise: last.take() }),
            })));
        }
        StepKind::If(IfStep { condition, then, otherwise: last })
    }

    fn arms(&mut self, node: Node<'s>) -> Vec<Arm> {
        let span = self.span(&node);
        let mut arms = Vec::new();
        let mut lines = diagnose::Lines::new(Rule::only_arms, span);
        for part in node.into_inner() {
            let at = self.span(&part);
            match part.as_rule() {
                Rule::arm => {
                    lines.good(at, self.source, &mut self.errors);
                    arms.push(self.arm(part, at));
                }
                Rule::bad => {
                    lines.bad(at);
                }
                Rule::unclosed => lines.unclosed(at),
                _ => {}
            }
        }
        lines.finish(self.source, &mut self.errors);
        arms
    }

    fn arm(&mut self, node: Node<'s>, span: Span) -> Arm {
        let mut parts = Parts::of(node);
        parts.take(Rule::arm_else);
        let patterns = self.take_exprs(&mut parts);
        if let [pattern] = patterns.as_slice() {
            self.errors.extend(diagnose::any_arm(self.source, pattern.span));
        }
        parts.take(Rule::arrow);
        let body = match parts.next() {
            Some(node) if node.as_rule() == Rule::block => self.block(node),
            Some(node) => self.chain(node),
            None => Self::bad_block(span),
        };
        let span = Span { start: span.start, end: body.span.end };
        Arm { span, patterns, body }
    }

    fn wait(&mut self, parts: &mut Parts<'s>) -> StepKind {
        match parts.peek() {
            Some(Rule::wait_until) => {
                let Some(node) = parts.next() else { return StepKind::Bad };
                let mut inner = Parts::of(node);
                let at = self.take_expr(&mut inner);
                let zone = self.take_zone(&mut inner);
                StepKind::WaitUntil { at, zone }
            }
            Some(Rule::wait_for) => {
                let Some(node) = parts.next() else { return StepKind::Bad };
                self.wait_for(node)
            }
            _ => StepKind::Wait(self.take_duration(parts)),
        }
    }

    fn wait_for(&mut self, node: Node<'s>) -> StepKind {
        let mut parts = Parts::of(node);
        let pattern = self.take_pattern(&mut parts);
        let mut condition = None;
        let mut from_now = false;
        let mut up_to = None;
        let mut otherwise = None;
        while let Some(part) = parts.next() {
            let span = self.span(&part);
            let rule = part.as_rule();
            let mut inner = Parts::of(part);
            let twice = match rule {
                Rule::where_clause => condition.replace(self.take_expr(&mut inner)).is_some(),
                Rule::from_now => std::mem::replace(&mut from_now, true),
                Rule::up_to => up_to.replace(self.take_duration(&mut inner)).is_some(),
                _ => {
                    let block = self.take_block(&mut inner);
                    otherwise.replace(block).is_some()
                }
            };
            if twice {
                self.errors.push(diagnose::twice(self.source, span));
            }
        }
        StepKind::WaitFor { pattern, condition, from_now, up_to, otherwise }
    }
}
