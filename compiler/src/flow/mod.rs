//! Flows: from the syntax tree to a plan, or to diagnostics.
//!
//! Checking and lowering are one walk over the tree ([`check::Checker`]), since each needs what the other knows: a field
//! that is read becomes a slot, a composite operation becomes its steps, an input that is not given is filled in and
//! checked like one that is. Each construct has its file. Nothing here reads a file, a clock or the environment.

mod build;
mod call;
mod check;
mod condition;
mod connector;
mod expand;
mod expr;
mod fact;
mod fit;
mod hash;
mod hint;
mod mend;
mod secret;
mod sends;
mod show;
mod step;
mod trigger;
mod typed;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use flow_grammar::syntax::{self, Clause, ClauseKind};
use flow_plan as plan;
use flow_plan::{Condition, Instr};

use crate::catalog::{Catalog, Connector};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::settings::Settings;
use check::{Checker, Setting};
use condition::Position;
use step::snake as step_name;

pub use connector::check_connector;

/// What a flow is compiled with.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The connectors.
    pub catalog: &'a Catalog,
    /// The connectors by the names of their connections.
    pub connections: &'a BTreeMap<String, Arc<Connector>>,
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
    /// What is wrong or worth knowing, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
    /// The connections that the flow names.
    pub used_connections: BTreeSet<String>,
    /// The flow with all that the compiler filled in written out; `None` where there are errors, and in a quick check.
    pub expanded: Option<syntax::Flow>,
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
    let trigger = checker.start(&node.start);
    let filter = checker.clauses(&node.clauses);
    checker.setting = Setting::Steps;
    let body = checker.block(&node.body, String::new());
    checker.steps.outline = body.outline;
    checker.steps.count = body.count;
    let on_error = node.on_error.as_ref().map(|block| {
        checker.build.push(Instr::Finish);
        checker.flow_on_error(block)
    });
    if checker.build.is_too_large() {
        let diagnostic = checker
            .diagnostic(Code::E301, node.do_span, "this flow is too large")
            .help("a flow has room for 65,535 intermediate values; split it into several");
        checker.report(diagnostic);
    }
    checker.finish(node, trigger, filter, on_error)
}

impl<'a> Checker<'a> {
    /// Checks the clauses; what the filter says is known in the steps.
    fn clauses(&mut self, clauses: &[Clause]) -> Option<Condition> {
        let mut filter = None;
        for clause in clauses {
            let (what, help) = match &clause.kind {
                ClauseKind::Where(condition) => {
                    let checked = self.condition(condition, Position::Positive);
                    self.facts.learn(checked.when_true);
                    filter = Some(match filter {
                        None => checked.tree,
                        Some(Condition::All(mut parts)) => {
                            parts.push(checked.tree);
                            Condition::All(parts)
                        }
                        Some(first) => Condition::All(vec![first, checked.tree]),
                    });
                    continue;
                }
                ClauseKind::Window { .. } => ("`N times within D`", "each event that matches starts the flow today"),
                ClauseKind::Within(_) => ("`within D` of an event that does not come", "a flow starts with an event that comes"),
                ClauseKind::Fresh(_) => {
                    ("`fresh within D`", "a bound on the age can stand in `where`: `now - created_at < 30 seconds`")
                }
                ClauseKind::AtMost { .. } => ("`at most N per K per D`", "without it, each event that matches starts the flow"),
                ClauseKind::OncePer(_) => {
                    ("`once per K`", "an event starts the flow once in any case, however often it is delivered")
                }
                ClauseKind::OneAtATime(_) => ("`one at a time`", "without it, runs stand side by side"),
                ClauseKind::Throttle { .. } => ("`throttle`", "what a service allows per second is kept in any case"),
                ClauseKind::WhileRunning(_) => ("`while running`", "without it, runs stand side by side"),
                ClauseKind::Missed { .. } => ("`missed`", "it belongs to schedules, which do not work yet either"),
                ClauseKind::OnClockChange(_) => ("`on clock change`", "it belongs to schedules, which do not work yet either"),
                ClauseKind::AcrossGaps(_) => ("`across gaps`", "it belongs to states, which do not work yet either"),
                ClauseKind::Expect { .. } => ("`expect`", "`flowd status` shows when a flow last ran"),
                ClauseKind::Unverified => ("`unverified`", "only verified webhooks are taken"),
            };
            self.unsupported(clause.span, what, &format!("take it out; {help}"));
        }
        filter
    }

    fn finish(
        mut self,
        node: &syntax::Flow,
        trigger: Option<plan::TriggerUse>,
        filter: Option<Condition>,
        on_error: Option<plan::ErrorHandler>,
    ) -> Outcome {
        self.diagnostics.sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.span.end));
        let sound = !self.broken && !self.diagnostics.iter().any(Diagnostic::is_error);
        let (Some(trigger), true) = (trigger, sound) else {
            return Outcome { flow: None, diagnostics: self.diagnostics, used_connections: self.used, expanded: None };
        };
        let expanded = (!self.settings.quick)
            .then(|| expand::expand(node, std::mem::take(&mut self.fills), std::mem::take(&mut self.hoisted)));
        let (program, operations) = self.build.finish(on_error);
        let mut flow = plan::Flow {
            id: node
                .name
                .as_ref()
                .map_or_else(|| format!("{}:{}", self.file, plan::short_hash(&show::normalized(node))), |name| name.text.clone()),
            name: node.name.as_ref().map(|name| name.text.clone()),
            title: node.title.as_ref().and_then(syntax::TextLit::plain),
            docs: node.docs.lines.join("\n"),
            file: self.file.to_string(),
            line: 0,
            hash: String::new(),
            triggers: vec![trigger],
            reads: self.reads.iter().map(|field| field.shape.clone()).collect(),
            filter,
            program,
            operations,
            outline: std::mem::take(&mut self.steps.outline),
            calls: {
                let (least, most) = self.steps.count.total();
                (least, Some(most))
            },
            sends: self.sends.finish(),
        };
        if !self.settings.verdict_only {
            flow.hash = hash::behaviour(&mut flow);
        }
        Outcome { flow: Some(flow), diagnostics: self.diagnostics, used_connections: self.used, expanded }
    }
}
