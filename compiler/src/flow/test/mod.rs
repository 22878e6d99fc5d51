//! Inline tests: what they give and expect, checked against the connectors and typed like the flows themselves.

mod constant;
mod expected;
mod given;

use flow_grammar::span::{LineIndex, Span};
use flow_grammar::syntax::{self, DurationLit, Ident, NumberLit, TestStepKind, TextLit};
use flow_plan as plan;
use jiff::Timestamp;

use super::Context;
use super::check::{Checker, one_line};
use crate::code::Code;
use crate::diagnostic::Diagnostic;

/// What checking a test gives.
#[derive(Debug)]
pub struct TestOutcome {
    /// The test; `None` where there are errors.
    pub test: Option<plan::Test>,
    /// What is wrong or worth knowing.
    pub diagnostics: Vec<Diagnostic>,
    /// The connections that it names.
    pub used_connections: std::collections::BTreeSet<String>,
}

/// Checks a test.
pub fn compile_test(ctx: &Context<'_>, node: &syntax::Test, index: &LineIndex) -> TestOutcome {
    let mut checker = Checker::new(ctx.catalog, ctx.connections, ctx.settings, ctx.file, ctx.source);
    let line_of = |span: Span| u32::try_from(index.position(ctx.source, span.start as usize).line).unwrap_or(u32::MAX);
    let mut steps = Vec::new();
    let mut begins_at = None;
    for step in &node.steps {
        let Some(what) = checker.test_step(step) else { continue };
        if begins_at.is_none() && steps.iter().all(|step: &plan::TestStep| !passes_time(&step.what)) {
            begins_at = instant_of(&what);
        }
        steps.push(plan::TestStep { line: line_of(step.span), text: one_line(step.span.text(ctx.source).trim()), what });
    }
    let title = checker.plain(&node.title, "the title of a test");
    checker.diagnostics.sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.span.end));
    let sound = !checker.broken && !checker.diagnostics.iter().any(Diagnostic::is_error);
    let test = title.filter(|_| sound).map(|title| plan::Test {
        title,
        file: ctx.file.to_string(),
        line: line_of(node.title.span),
        flow: node.flow.as_ref().map(|flow| flow.text.clone()),
        begins_at,
        steps,
    });
    TestOutcome { test, diagnostics: checker.diagnostics, used_connections: checker.used }
}

/// An event takes place as soon as it is given, so the time before it has passed.
fn passes_time(what: &plan::TestAction) -> bool {
    match what {
        plan::TestAction::Event(_) | plan::TestAction::State { .. } | plan::TestAction::After(_) | plan::TestAction::Restart => {
            true
        }
        plan::TestAction::Fails { .. }
        | plan::TestAction::Returns { .. }
        | plan::TestAction::Calls { .. }
        | plan::TestAction::Run { .. }
        | plan::TestAction::Else { .. } => false,
    }
}

fn instant_of(what: &plan::TestAction) -> Option<Timestamp> {
    match what {
        plan::TestAction::Event(event) => event.at,
        plan::TestAction::State { at, .. } => *at,
        plan::TestAction::Fails { .. }
        | plan::TestAction::Returns { .. }
        | plan::TestAction::Restart
        | plan::TestAction::After(_)
        | plan::TestAction::Calls { .. }
        | plan::TestAction::Run { .. }
        | plan::TestAction::Else { .. } => None,
    }
}

impl<'a> Checker<'a> {
    fn test_step(&mut self, step: &'a syntax::TestStep) -> Option<plan::TestAction> {
        match &step.kind {
            TestStepKind::GivenEvent { trigger, from, fields, times, at, zone } => {
                self.given_event(trigger, from.as_ref(), fields, times.as_ref(), at.as_ref().zip(Some(zone.as_ref())))
            }
            TestStepKind::GivenState { path, value, at, zone } => {
                self.given_state(step.span, path, value, at.as_ref().zip(Some(zone.as_ref())))
            }
            TestStepKind::GivenFails { path, times, with } => self.given_fails(path, times.as_ref(), with),
            TestStepKind::GivenReturns { path, value } => self.given_returns(path, value),
            TestStepKind::GivenRestart => Some(plan::TestAction::Restart),
            TestStepKind::After(duration) => self.after(duration),
            TestStepKind::ExpectCall { path, times, with } => self.expect_calls(path, times.as_ref(), with),
            TestStepKind::ExpectRun { status, reason } => self.expect_run(status, reason.as_ref()),
            TestStepKind::ExpectElse(word) => Some(plan::TestAction::Else { anything: word.text == "anything" }),
            TestStepKind::Bad => {
                self.broken = true;
                None
            }
        }
    }

    fn after(&mut self, duration: &DurationLit) -> Option<plan::TestAction> {
        let length = self.duration_value(duration)?;
        // In a test a day without a zone is one of UTC: there the clock never changes.
        let zone = self.settings.timezone.clone().unwrap_or_else(|| "UTC".to_owned());
        Some(plan::TestAction::After(plan::Span { length, zone: Some(zone) }))
    }

    /// A count, within reason.
    fn times(&mut self, number: &NumberLit) -> Option<u32> {
        /// More deliveries or calls than anybody can read.
        const MOST: u32 = 10_000;
        let count = number.digits.parse::<u32>().ok().filter(|count| *count <= MOST);
        if count.is_none() {
            let diagnostic = self
                .diagnostic(Code::E111, number.span, "this is no count")
                .help(format!("write a whole number up to {}, or `once`, `twice`", super::thousands(u64::from(MOST))));
            self.report(diagnostic);
        }
        count
    }

    /// The text of a literal without `{…}`.
    fn plain(&mut self, text: &TextLit, what: &str) -> Option<String> {
        let plain = text.plain();
        if plain.is_none() {
            let diagnostic = self
                .diagnostic(Code::E301, text.span, format!("{what} is a plain text"))
                .help("there is no event whose fields could stand in it; for a brace write `\\{`");
            self.report(diagnostic);
        }
        plain
    }

    /// The operation that a line of a test names.
    fn tested_operation(&mut self, path: &[Ident]) -> Option<super::call::Target<'a>> {
        if let [only] = path
            && let Some((connection, connector)) = self.connection(&only.text)
            && let Some(operation) = connector.only_operation()
        {
            self.uses(connection);
            return Some(super::call::Target { connection, connector, operation });
        }
        let [connection_name, name] = path else {
            let span = path.first().zip(path.last()).map_or(Span::default(), |(first, last)| first.span.to(last.span));
            let diagnostic = self
                .diagnostic(Code::E201, span, "an action or query has two parts: connection and name")
                .help("for example `kustomer.create_conversation`");
            self.report(diagnostic);
            return None;
        };
        let Some((connection, connector)) = self.connection(&connection_name.text) else {
            self.unknown_connection(connection_name);
            return None;
        };
        self.uses(connection);
        if let Some(operation) = connector.operations.get(&name.text).filter(|operation| !operation.internal) {
            return Some(super::call::Target { connection, connector, operation });
        }
        if connector.triggers.contains_key(&name.text) {
            let path = format!("{connection}.{}", name.text);
            let diagnostic = self
                .diagnostic(Code::E505, name.span, format!("`{path}` is an event: a test gives it, and expects calls"))
                .help(format!("`given {path} {{ … }}`"));
            self.report(diagnostic);
            return None;
        }
        self.unknown_operation(connection, connector, name, true, true);
        None
    }
}
