//! Blocks and steps.

use super::Printer;
use super::literal::{duration, name, number, times};
use crate::syntax::{Arm, Block, CallStep, ElseBranch, IfStep, Step, StepKind, TriggerPattern};

/// Patterns wider than this are not padded to the width of the others.
const MAX_PAD: usize = 40;

impl Printer<'_> {
    /// Writes steps: in braces, or joined by `then`.
    pub(crate) fn block(&mut self, block: &Block) {
        if block.braces {
            self.broken_block(block);
        } else {
            self.chain(block);
        }
    }

    fn chain(&mut self, block: &Block) {
        for (at, step) in block.steps.iter().enumerate() {
            if at == 0 {
                self.inline_comments(step.span.start);
                self.step(step);
            } else if self.is_flat() {
                self.write(" then ");
                self.step(step);
            } else {
                self.indented(|p| {
                    p.line_for(step.span.start, false);
                    p.write("then ");
                    p.step(step);
                });
            }
        }
    }

    /// Writes a block in braces, one step per line.
    pub(super) fn broken_block(&mut self, block: &Block) {
        self.inline_comments(block.span.start);
        self.write("{");
        if block.steps.is_empty() && !self.has_comments(block.span) {
            self.write("}");
            self.skip_to(block.span.end);
            return;
        }
        self.indented(|p| {
            for step in &block.steps {
                p.line_for(step.span.start, true);
                p.docs(&step.docs);
                p.step(step);
            }
            p.line_for_close(block.span.end);
        });
        self.newline();
        self.write("}");
        self.skip_to(block.span.end);
    }

    /// Writes a block in braces: on this line where it is one simple step and fits.
    fn short_block(&mut self, block: &Block) {
        let simple = match block.steps.as_slice() {
            [step] => is_simple(step) && step.docs.lines.is_empty(),
            _ => false,
        };
        self.inline_comments(block.span.start);
        if simple && !self.has_comments(block.span) {
            let text = self.flat(|p| {
                for step in &block.steps {
                    p.step(step);
                }
            });
            let text = format!("{{ {text} }}");
            if self.is_flat() || self.fits(&text) {
                self.write(&text);
                self.skip_to(block.span.end);
                return;
            }
        }
        self.broken_block(block);
    }

    pub(crate) fn step(&mut self, step: &Step) {
        self.inline_comments(step.span.start);
        match &step.kind {
            StepKind::Let { name: ident, value } => {
                self.write(&format!("let {} = ", name(ident)));
                self.expr(value);
            }
            StepKind::Call(call) => self.call_step(step, call),
            StepKind::If(branch) => self.if_step(branch),
            StepKind::Match { subject, arms } => {
                self.write("match ");
                self.with_reserve(2, |p| p.expr(subject));
                self.write(" {");
                self.arms(step, arms);
            }
            StepKind::For { var, list, up_to, body } => {
                self.write(&format!("for {} in ", name(var)));
                self.expr(list);
                if let Some(bound) = up_to {
                    self.inline_comments(bound.span.start);
                    self.write(&format!(" up to {}", number(bound)));
                }
                self.write(" ");
                self.short_block(body);
            }
            StepKind::Stop(reason) => {
                self.write("stop");
                if let Some(reason) = reason {
                    self.write(" because ");
                    self.expr(reason);
                }
            }
            StepKind::Return(value) => {
                self.write("return");
                if let Some(value) = value {
                    self.write(" ");
                    self.expr(value);
                }
            }
            StepKind::Require(value) => {
                self.write("require ");
                self.expr(value);
            }
            StepKind::Wait(time) => self.write(&format!("wait {}", duration(time))),
            StepKind::WaitUntil { at, zone } => {
                self.write("wait until ");
                self.expr(at);
                if let Some(zone) = zone {
                    self.inline_comments(zone.span.start);
                    self.write(" in ");
                    self.text(zone);
                }
            }
            StepKind::WaitFor { .. } => self.group(step.span, |p| p.wait_for(step, false), |p| p.wait_for(step, true)),
            StepKind::Bad => self.write(step.span.text(self.source_text()).trim()),
        }
        self.inline_comments(step.span.end);
    }

    pub(super) fn with_reserve(&mut self, columns: usize, inner: impl FnOnce(&mut Self)) {
        let before = std::mem::replace(&mut self.reserve, columns);
        inner(self);
        self.reserve = before;
    }

    /// A call and its suffixes: on one line, or each suffix on a line of its own, or the inputs one per line.
    fn call_step(&mut self, step: &Step, call: &CallStep) {
        if self.is_flat() {
            self.call(&call.call);
            self.suffixes(call, false);
            return;
        }
        let text = self.flat(|p| {
            p.call(&call.call);
            p.suffixes(call, false);
        });
        if !self.has_comments(step.span) && self.fits(&text) {
            self.write(&text);
            self.skip_to(step.span.end);
            return;
        }
        let alone = self.flat(|p| p.call(&call.call));
        let one_line = !self.has_comments(call.call.span) && self.fits(&alone);
        self.call(&call.call);
        let behind = self.flat(|p| p.suffixes(call, false));
        if !one_line && !self.has_comments(step.span) && self.fits(&format!(" {behind}")) {
            if !behind.is_empty() {
                self.write(&format!(" {behind}"));
            }
            self.skip_to(step.span.end);
        } else {
            self.indented(|p| p.suffixes(call, true));
        }
    }

    /// Writes `as`, `retry` and `on error`; where comments stand between them, in the order of the source.
    fn suffixes(&mut self, call: &CallStep, lines: bool) {
        type Write<'w, 'p> = (u32, Box<dyn Fn(&mut Printer<'p>) + 'w>);
        let mut parts: Vec<Write<'_, '_>> = Vec::new();
        if let Some(ident) = &call.name {
            parts.push((ident.span.start, Box::new(move |p| p.write(&format!("as {}", name(ident))))));
        }
        if let Some(retry) = &call.retry {
            parts.push((
                retry.span.start,
                Box::new(move |p| {
                    p.write(&format!("retry {} times", number(&retry.times)));
                    if let Some(over) = &retry.over {
                        p.write(&format!(" over {}", duration(over)));
                    }
                }),
            ));
        }
        if let Some(block) = &call.on_error {
            parts.push((
                block.span.start,
                Box::new(move |p| {
                    p.write("on error ");
                    p.short_block(block);
                }),
            ));
        }
        let first = parts.iter().map(|(at, _)| *at).min().unwrap_or(0);
        let last = parts.iter().map(|(at, _)| *at).max().unwrap_or(0);
        let between = crate::span::Span { start: call.call.span.end.min(first), end: last };
        if lines && self.has_comments(between) {
            parts.sort_by_key(|(at, _)| *at);
        }
        for (at, write) in parts {
            if lines {
                self.line_for(at, false);
            } else {
                self.write(" ");
            }
            write(self);
        }
    }

    fn if_step(&mut self, branch: &IfStep) {
        self.write("if ");
        self.with_reserve(2, |p| p.condition(&branch.condition));
        self.write(" ");
        let Some(otherwise) = &branch.otherwise else {
            self.short_block(&branch.then);
            return;
        };
        self.broken_block(&branch.then);
        match otherwise {
            ElseBranch::Block(block) => {
                self.inline_comments(block.span.start);
                self.write(" else ");
                self.broken_block(block);
            }
            ElseBranch::If(step) => {
                self.inline_comments(step.span.start);
                self.write(" else ");
                match &step.kind {
                    // A branch of a chain is written like the others, with or without more behind it.
                    StepKind::If(inner) if inner.otherwise.is_none() => {
                        self.write("if ");
                        self.with_reserve(2, |p| p.condition(&inner.condition));
                        self.write(" ");
                        self.broken_block(&inner.then);
                    }
                    _ => self.step(step),
                }
            }
        }
    }

    fn arms(&mut self, step: &Step, arms: &[Arm]) {
        let heads: Vec<String> = arms.iter().map(|arm| self.flat(|p| p.arm_head(arm))).collect();
        let width = heads.iter().map(|head| head.chars().count()).filter(|width| *width <= MAX_PAD).max().unwrap_or(0);
        self.indented(|p| {
            for (arm, head) in arms.iter().zip(&heads) {
                p.line_for(arm.span.start, true);
                if p.has_comments(crate::span::Span { start: arm.span.start, end: arm.body.span.start }) {
                    p.arm_head(arm);
                    p.write(" ");
                } else {
                    p.write(&format!("{head:width$} "));
                }
                p.inline_comments(arm.body.span.start);
                p.write("=> ");
                if arm.body.braces {
                    p.short_block(&arm.body);
                } else {
                    p.chain_in_arm(arm);
                }
                p.inline_comments(arm.span.end);
            }
            p.line_for_close(step.span.end);
        });
        self.newline();
        self.write("}");
    }

    fn chain_in_arm(&mut self, arm: &Arm) {
        if arm.body.steps.len() > 1 {
            self.group(arm.body.span, |p| p.chain(&arm.body), |p| p.chain(&arm.body));
        } else {
            self.chain(&arm.body);
        }
    }

    fn arm_head(&mut self, arm: &Arm) {
        if arm.patterns.is_empty() {
            self.write("else");
        }
        for (at, pattern) in arm.patterns.iter().enumerate() {
            if at > 0 {
                self.inline_comments(pattern.span.start);
                self.write(" | ");
            }
            self.expr(pattern);
        }
    }

    fn wait_for(&mut self, step: &Step, lines: bool) {
        let StepKind::WaitFor { pattern, condition, from_now, up_to, otherwise } = &step.kind else {
            return;
        };
        self.write("wait for ");
        self.pattern(pattern);
        self.indent_if(lines, |p| {
            if let Some(condition) = condition {
                p.part(lines, condition.span.start);
                p.write("where ");
                p.condition(condition);
            }
            if *from_now {
                p.part(lines, pattern_end(pattern));
                p.write("from now");
            }
            if let Some(bound) = up_to {
                p.part(lines, bound.span.start);
                p.write(&format!("up to {}", duration(bound)));
            }
            if let Some(block) = otherwise {
                p.part(lines, block.span.start);
                p.write("else ");
                p.short_block(block);
            }
        });
    }

    pub(super) fn indent_if(&mut self, lines: bool, inner: impl FnOnce(&mut Self)) {
        if lines { self.indented(inner) } else { inner(self) }
    }

    /// Begins a part: on a line of its own, or behind a blank.
    pub(super) fn part(&mut self, lines: bool, start: u32) {
        if lines {
            self.line_for(start, false);
        } else {
            self.write(" ");
        }
    }
}

fn pattern_end(pattern: &TriggerPattern) -> u32 {
    match pattern {
        TriggerPattern::Event(trigger) | TriggerPattern::Absence(trigger) => trigger.span.end,
        TriggerPattern::State(state) => state.span.end,
    }
}

/// Whether a step may stand in braces on one line.
fn is_simple(step: &Step) -> bool {
    match &step.kind {
        StepKind::Call(call) => call.on_error.is_none(),
        StepKind::Let { .. }
        | StepKind::Stop(_)
        | StepKind::Return(_)
        | StepKind::Require(_)
        | StepKind::Wait(_)
        | StepKind::WaitUntil { .. } => true,
        StepKind::If(_) | StepKind::Match { .. } | StepKind::For { .. } | StepKind::WaitFor { .. } | StepKind::Bad => false,
    }
}

/// `once`, `twice` or `3 times`, with a blank before it.
pub(super) fn times_behind(count: Option<&crate::syntax::NumberLit>) -> String {
    count.map_or_else(String::new, |count| format!(" {}", times(count)))
}
