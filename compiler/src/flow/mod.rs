//! Flows: from the syntax tree to a plan, or to diagnostics.
//!
//! Checking and lowering are one walk over the tree ([`check::Checker`]), since each needs what the other knows: a field
//! that is read becomes a slot, a composite operation becomes its steps, an input that is not given is filled in and
//! checked like one that is. Each construct has its file. Nothing here reads a file, a clock or the environment.

mod amount;
mod build;
mod call;
mod check;
mod clause;
mod condition;
mod connector;
mod event;
mod event_as_state;
mod expand;
mod expr;
mod fact;
mod fit;
mod frozen;
mod hash;
mod hint;
mod kinds;
mod mend;
mod schedule;
mod secret;
mod sends;
mod show;
mod slip;
mod span;
mod start;
mod state;
mod step;
mod test;
mod trigger;
mod typed;

use std::collections::BTreeSet;
use std::sync::Arc;

use flow_grammar::span::Span;
use flow_grammar::syntax::{self, ElseBranch, StepKind};
use flow_plan as plan;
use flow_plan::Instr;

use crate::catalog::{Catalog, Connections};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::lint;
use crate::settings::Settings;
use check::{Checker, Setting};
use clause::Said;
use start::Started;
use step::snake as step_name;

pub use connector::check_connector;
pub use test::{TestOutcome, compile_test};

/// What a flow is compiled with.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The connectors.
    pub catalog: &'a Catalog,
    /// The connectors by the names of their connections.
    pub connections: &'a Connections,
    /// The settings of the project.
    pub settings: &'a Settings,
    /// The file, as diagnostics name it.
    pub file: &'a Arc<str>,
    /// Its text.
    pub source: &'a str,
}

/// What compiling a flow gives.
#[derive(Debug)]
pub struct Outcome {
    /// The plan; `None` where there are errors. Its `line` is left 0: whoever has the index of the file's lines sets it.
    pub flow: Option<plan::Flow>,
    /// What the checks over all flows need of it; `None` where there are errors.
    pub summary: Option<lint::Summary>,
    /// What is wrong or worth knowing, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
    /// The connections that the flow names.
    pub used_connections: BTreeSet<String>,
    /// The flow with all that the compiler filled in written out; `None` where there are errors, and in a quick check.
    pub expanded: Option<syntax::Flow>,
    /// What the compiler filled in, where that is asked for; nothing where there are errors.
    pub frozen: Vec<crate::lock::Entry>,
}

/// Checks a flow and lowers it to a plan.
pub fn compile_flow(ctx: &Context<'_>, node: &syntax::Flow) -> Outcome {
    run(ctx, node)
}

fn run<'a>(ctx: &Context<'a>, node: &'a syntax::Flow) -> Outcome {
    let mut checker = Checker::new(ctx.catalog, ctx.connections, ctx.settings, ctx.file, ctx.source);
    checker.node = Some(node);
    if let Some(title) = &node.title {
        checker.check_secret(title);
    }
    let mut started = checker.start(node);
    let said = checker.clauses(&node.clauses, &mut started);
    checker.setting = Setting::Steps;
    let body = checker.block(&node.body, String::new());
    checker.steps.outline = body.outline;
    checker.steps.count = body.count;
    let on_error = node.on_error.as_ref().map(|block| {
        checker.build.push(Instr::Finish);
        checker.flow_on_error(block)
    });
    checker.check_unverified(&node.clauses);
    checker.check_count(node);
    checker.check_does_something(node);
    if checker.build.is_too_large() {
        let diagnostic = checker
            .diagnostic(Code::E301, node.do_span, "this flow is too large")
            .help("a flow has room for 65,535 intermediate values and 200,000 instructions; split it into several");
        checker.report(diagnostic);
    }
    checker.finish(node, started, said, on_error)
}

impl<'a> Checker<'a> {
    /// A run must end in a time that can be waited for.
    fn check_count(&mut self, node: &syntax::Flow) {
        let (_, most) = self.steps.count.total();
        let limit = u64::from(step::MOST_ROUNDS);
        let (rounds, calls, span) = match self.steps.too_many {
            Some((rounds, calls, span)) => (rounds, calls, span),
            None if most > limit => (0, most, node.do_span),
            None => return,
        };
        let (number, what) = if calls > limit { (calls, "make") } else { (rounds, "go round") };
        let shown = if number > 1_000_000_000_000 { "more than 1,000,000,000,000".to_owned() } else { thousands(number) };
        let unit = if calls > limit { "calls" } else { "times" };
        let diagnostic = self
            .diagnostic(Code::E309, span, format!("this run could {what} {shown} {unit}"))
            .label("the bounds of loops within loops multiply, and so do the calls of each round")
            .help(format!("at most {} are allowed in one run: lower the bounds", thousands(limit)));
        self.report(diagnostic);
    }

    /// A flow is there to do something.
    fn check_does_something(&mut self, node: &syntax::Flow) {
        if does_something(&node.body) || self.broken || self.error_count() > 0 || matches!(self.event(), event::Event::Unknown) {
            return;
        }
        let diagnostic = self
            .diagnostic(Code::E107, node.do_span.to(node.body.span), "this flow does nothing")
            .label("no action stands here: nothing outside would change")
            .help(match self.any_action() {
                Some(action) => format!("behind `do` stands at least one action, for example `{action}`"),
                None => "behind `do` stands at least one action".to_owned(),
            });
        self.report(diagnostic);
    }

    /// An action of this project, for examples.
    fn any_action(&self) -> Option<String> {
        let all = || {
            self.connections.iter().flat_map(|(connection, connector)| {
                let actions = connector.operations.values().filter(|op| op.action && !op.internal && op.dangerous.is_none());
                actions.map(move |op| format!("{connection}.{}", op.name))
            })
        };
        all().find(|name| name == "kustomer.create_conversation").or_else(|| all().next())
    }

    /// Takes out what only follows from a mistake that the parser has told: the same word, or what it is a part of.
    fn without_echoes(&mut self, node: &syntax::Flow, source: &str) {
        let text = node.span.text(source);
        if !self.diagnostics.iter().any(Diagnostic::is_error) {
            return;
        }
        let told: Vec<Span> = flow_grammar::parse(text)
            .errors
            .iter()
            .map(|error| {
                let at = error.span;
                let start =
                    text.get(..at.start as usize).map_or(0, |before| before.rfind(char::is_whitespace).map_or(0, |at| at + 1));
                let end = text
                    .get(at.end as usize..)
                    .map_or(text.len(), |behind| at.end as usize + behind.find(char::is_whitespace).unwrap_or(behind.len()));
                let offset = node.span.start as usize;
                Span::new(offset + start, offset + end)
            })
            .collect();
        self.diagnostics.retain(|diagnostic| {
            !diagnostic.is_error()
                || !told.iter().any(|told| diagnostic.span.start < told.end && told.start < diagnostic.span.end)
        });
    }

    fn finish(mut self, node: &syntax::Flow, started: Started, said: Said, on_error: Option<plan::ErrorHandler>) -> Outcome {
        self.diagnostics.sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.span.end));
        let sound = !self.broken && !self.diagnostics.iter().any(Diagnostic::is_error);
        if started.triggers.is_empty() || !sound {
            let source = self.frame.source;
            self.without_echoes(node, source);
            return Outcome {
                flow: None,
                summary: None,
                diagnostics: self.diagnostics,
                used_connections: self.used,
                expanded: None,
                frozen: Vec::new(),
            };
        }
        let frozen = self.freeze(node);
        let expanded = (!self.settings.quick)
            .then(|| expand::expand(node, std::mem::take(&mut self.fills), std::mem::take(&mut self.hoisted)))
            .map(|mut expanded| {
                for trigger in &started.triggers {
                    if let plan::StartKind::Schedule(schedule) = &trigger.kind {
                        schedule::written_out(&mut expanded, schedule);
                    }
                }
                expanded
            });
        let id = self.flow_id(node);
        let mut triggers = started.triggers;
        let reads = self.set_reads(&mut triggers);
        let mut limits = said.limits;
        limits.fresh_ms = limits.fresh_ms.or(self.fresh_ms);
        let (program, operations) = self.build.finish(on_error);
        let mut flow = plan::Flow {
            id,
            name: node.name.as_ref().map(|name| name.text.clone()),
            title: node.title.as_ref().and_then(syntax::TextLit::plain),
            docs: node.docs.lines.join("\n"),
            file: self.file.to_string(),
            line: 0,
            hash: String::new(),
            triggers,
            reads,
            filter: said.filter,
            clause_lines: Vec::new(),
            limits,
            program,
            operations,
            outline: std::mem::take(&mut self.steps.outline),
            invocations: std::mem::take(&mut self.steps.invocations),
            calls: {
                let (least, most) = self.steps.count.total();
                (u32::try_from(least).unwrap_or(u32::MAX), u32::try_from(most).ok())
            },
            sends: self.sends.finish(),
        };
        let summary = lint::summary(&flow, node, self.frame.source, self.connections);
        if !self.settings.verdict_only {
            flow.hash = hash::behaviour(&mut flow);
        }
        Outcome {
            flow: Some(flow),
            summary: Some(summary),
            diagnostics: self.diagnostics,
            used_connections: self.used,
            expanded,
            frozen,
        }
    }
}

/// Returns the id of a flow without a name: it is the same as long as the flow says the same.
pub(crate) fn nameless_id(file: &str, node: &syntax::Flow) -> String {
    format!("{file}:{}", plan::short_hash(&show::normalized(node)))
}

/// Tells whether a block has an action, or an end.
fn does_something(block: &syntax::Block) -> bool {
    block.steps.iter().any(|step| match &step.kind {
        StepKind::Let { .. } | StepKind::Require(_) | StepKind::Wait(_) | StepKind::WaitUntil { .. } => false,
        StepKind::WaitFor { otherwise, .. } => otherwise.as_ref().is_some_and(does_something),
        StepKind::If(node) => if_does_something(node),
        StepKind::Match { arms, .. } => arms.iter().any(|arm| does_something(&arm.body)),
        StepKind::For { body, .. } => does_something(body),
        StepKind::Call(_) | StepKind::Stop(_) | StepKind::Return(_) | StepKind::Bad => true,
    })
}

fn if_does_something(node: &syntax::IfStep) -> bool {
    does_something(&node.then)
        || match &node.otherwise {
            Some(ElseBranch::Block(block)) => does_something(block),
            Some(ElseBranch::If(step)) => matches!(&step.kind, StepKind::If(nested) if if_does_something(nested)),
            None => false,
        }
}

/// A number as people read it: 10,000.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
