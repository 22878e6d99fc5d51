//! The parts of a connector that are written like flows: composite operations, conditions and keys of triggers,
//! summaries.

use std::borrow::Cow;

use flow_grammar::span::Span;
use flow_grammar::syntax::{self, ExprKind, MemberKind, TextLit, TextPart};
use flow_plan as plan;
use flow_plan::Value;
use flow_plan::ty::Type;

use super::check::{Checker, Frame, Setting};
use super::step::Returns;
use super::typed::{Typed, split};
use crate::catalog::{Catalog, Connections, Connector, Operation, OperationBody, Record};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::settings::Settings;
use crate::suggest::nearest;

/// Checks what a connector says in steps and expressions: names and types.
pub fn check_connector(connector: &Connector, node: &syntax::Connector, source: &str, catalog: &Catalog) -> Vec<Diagnostic> {
    check(connector, node, source, catalog)
}

fn check<'a>(connector: &'a Connector, node: &syntax::Connector, source: &'a str, catalog: &'a Catalog) -> Vec<Diagnostic> {
    let connections = Connections::default();
    let settings = Settings::default();
    let mut diagnostics = Vec::new();
    let fresh = || Checker::new(catalog, &connections, &settings, &connector.file, source);
    for operation in connector.operations.values() {
        if let OperationBody::Steps(block) = &operation.body {
            let mut checker = fresh();
            checker.composite(connector, operation, block, name_span(node, &operation.name));
            diagnostics.append(&mut checker.diagnostics);
        }
    }
    for trigger in connector.triggers.values() {
        let Some(record) = connector.records.get(&trigger.record) else { continue };
        let mut checker = fresh();
        checker.starts.sources.push(Checker::source_of(connector, trigger, record));
        checker.guard(trigger, |_| None);
        diagnostics.append(&mut checker.diagnostics);
        for summary in &trigger.summaries {
            diagnostics.extend(check_summary(&fresh(), summary, record));
        }
    }
    for record in connector.records.values() {
        for summary in &record.summaries {
            diagnostics.extend(check_summary(&fresh(), summary, record));
        }
    }
    diagnostics.sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.span.end));
    diagnostics
}

/// Where an operation is named.
fn name_span(node: &syntax::Connector, name: &str) -> Span {
    node.members
        .iter()
        .find_map(|member| match &member.kind {
            MemberKind::Operation(operation) if operation.name.text == name => Some(operation.name.span),
            _ => None,
        })
        .unwrap_or(node.name.span)
}

/// The names in a summary are fields of the record.
fn check_summary(checker: &Checker<'_>, summary: &TextLit, record: &Record) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for part in &summary.parts {
        let TextPart::Expr(expr) = part else { continue };
        let ExprKind::Name(name) = expr.kind.as_ref() else { continue };
        if record.field(&name.text).is_none() {
            let mut diagnostic =
                checker.diagnostic(Code::E201, name.span, format!("`{}` has no field `{}`", record.name, name.text));
            if let Some(close) = nearest(&name.text, record.fields.iter().map(|field| field.name.as_str())) {
                diagnostic =
                    diagnostic.help(format!("did you mean `{close}`?")).fix(format!("`{close}`"), name.span, close, true);
            }
            found.push(diagnostic);
        }
    }
    found
}

impl<'a> Checker<'a> {
    fn composite(&mut self, connector: &'a Connector, operation: &'a Operation, block: &syntax::Block, name: Span) {
        for input in &operation.inputs {
            let (ty, optional) = split(&input.ty);
            let value = Typed::with(plan::Expr::Const(Value::Missing), Cow::Borrowed(ty))
                .optional(optional && input.default.is_none())
                .personal(input.accepts_personal);
            self.bind(input.name.as_str(), Span::default(), value);
        }
        self.frame = Frame {
            first_binding: 0,
            own: Some((connector, connector.name.as_str())),
            sees_event: false,
            is_guard: false,
            source: self.frame.source,
            block: None,
            depth: 1,
        };
        self.setting = Setting::Steps;
        let (local, label) = (self.build.local(), self.build.label());
        self.steps.returns = Some(Returns { local, label, output: &operation.output, strict: true });
        let done = self.block(block, String::new());
        let (output, optional) = split(&operation.output);
        if !done.ends && !optional && *output != Type::Nothing {
            let diagnostic = self
                .diagnostic(
                    Code::E820,
                    name,
                    format!("`{}` promises a result, and does not return one on every way", operation.name),
                )
                .label(format!("-> {output}"))
                .help("end its steps with `return`, or make the result `?`");
            self.report(diagnostic);
        }
    }
}
