//! A call becomes instructions: one for a request, all steps of it for a composite operation.

use std::borrow::Cow;
use std::sync::Arc;

use flow_grammar::span::Span;
use flow_grammar::syntax::Block;
use flow_plan as plan;
use flow_plan::ty::Type;
use flow_plan::{CallArg, Effect, Expr, Instr, Value};

use super::super::build::Builder;
use super::super::check::{Checker, Frame, Setting};
use super::super::step::{Count, Returns};
use super::super::typed::{Typed, split};
use super::Target;
use crate::catalog::OperationBody;
use crate::code::Code;
use crate::connector::DEPTH;

/// So many instructions may a flow have before nothing more is written into it.
const MOST_INSTRUCTIONS: usize = 200_000;

impl<'a> Checker<'a> {
    /// Performs an operation and returns the local with its result.
    pub(super) fn perform(
        &mut self,
        target: Target<'a>,
        args: Vec<Typed<'a>>,
        path: String,
        text: String,
        docs: String,
        wanted: bool,
    ) -> Option<u16> {
        if self.frame.own.is_none() && !self.is_verdict_only() {
            self.steps.invocations.push(plan::Invocation {
                path: path.clone(),
                name: target.name(),
                filled_in: self.synthetic > 0,
                inputs: Vec::new(),
            });
        }
        match &target.operation.body {
            OperationBody::Http(operation) => {
                let result = (wanted && target.operation.output != Type::Nothing).then(|| self.build.local());
                self.request(target, operation, args, result, path, text, docs);
                result
            }
            OperationBody::Steps(block) => {
                let docs = if docs.is_empty() { self.steps.docs.clone() } else { docs };
                let outer = std::mem::replace(&mut self.steps.docs, docs);
                let (result, outline) = self.inline(target, block, args, &path);
                self.steps.docs = outer;
                if !self.is_verdict_only() {
                    self.steps.outline.push(plan::Outline {
                        path,
                        kind: "call".to_owned(),
                        text,
                        call: Some(target.name()),
                        effect: None,
                        steps: outline,
                    });
                }
                Some(result)
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one instruction, for its only caller")]
    fn request(
        &mut self,
        target: Target<'a>,
        operation: &Arc<plan::Operation>,
        args: Vec<Typed<'a>>,
        result: Option<u16>,
        path: String,
        text: String,
        docs: String,
    ) {
        let name = target.name();
        let given = self.given_type.take();
        let read = given.as_ref().map(|given| given.operation(target.operation, operation));
        let operation = read.as_ref().unwrap_or(operation);
        let output = given.map(|given| given.ty);
        if !self.is_verdict_only() {
            for arg in &args {
                self.note_send(target.connection, &target.operation.name, &arg.expr);
            }
        }
        if let Some(result) = result {
            let output = output.as_ref().unwrap_or(&target.operation.output);
            self.note_result(result, target.connection, &target.operation.name, output);
            // A round before may have left its result.
            if !self.loops.is_empty() && self.steps.on_error.is_some() {
                self.build.set(result, Expr::Const(Value::Missing));
            }
        }
        if !matches!(operation.effect, Effect::Read) {
            self.effect_before = true;
        }
        let number = self.build.operation(operation);
        let args = args.into_iter().map(|arg| CallArg { value: arg.expr, personal: arg.personal }).collect();
        if !self.is_verdict_only() {
            self.steps.outline.push(plan::Outline {
                path: path.clone(),
                kind: "call".to_owned(),
                text,
                call: Some(name.clone()),
                effect: Some(effect_word(&operation.effect).to_owned()),
                steps: Vec::new(),
            });
        }
        self.steps.count = self.steps.count.then(Count::call());
        self.build.push(Instr::Call(Box::new(plan::Call {
            path,
            name,
            connection: target.connection.to_owned(),
            operation: number,
            args,
            result,
            retry: self.steps.retry.clone(),
            on_error: self.steps.on_error.map(|(label, error)| Builder::handler(label, error)),
            loops: self.loops.clone(),
            dangerous: self.steps.dangerous && !matches!(operation.effect, Effect::Read),
            docs: if docs.is_empty() { self.steps.docs.clone() } else { docs },
        })));
    }

    /// Writes the steps of a composite operation into the program.
    fn inline(
        &mut self,
        target: Target<'a>,
        block: &'a Arc<Block>,
        args: Vec<Typed<'a>>,
        path: &str,
    ) -> (u16, Vec<plan::Outline>) {
        let result = self.build.local();
        // What is wrong with the operations themselves has been told.
        if target.operation.endless || self.frame.depth >= DEPTH {
            if self.frame.own.is_none() {
                self.mistake_in_connector(target);
            }
            return (result, Vec::new());
        }
        if self.build.is_longer_than(MOST_INSTRUCTIONS) {
            return (result, Vec::new());
        }
        if !self.loops.is_empty() {
            self.build.set(result, Expr::Const(Value::Missing));
        }
        let first_binding = self.bindings.len();
        for (input, arg) in target.operation.inputs.iter().zip(args) {
            let (ty, optional) = split(&input.ty);
            let expr = if matches!(arg.expr, Expr::Const(_) | Expr::Event(_) | Expr::Local(_)) {
                arg.expr
            } else {
                let local = self.build.local();
                self.note_local(local, &arg.expr);
                self.build.set(local, arg.expr);
                Expr::Local(local)
            };
            let value = Typed::with(expr, Cow::Borrowed(ty)).optional(optional && input.default.is_none()).personal(arg.personal);
            self.bind(input.name.as_str(), Span::default(), value);
        }
        if self.frame.own.is_none()
            && !self.is_verdict_only()
            && let Some(invocation) = self.steps.invocations.last_mut()
        {
            let given = self.bindings.get(first_binding..).unwrap_or_default();
            invocation.inputs = given.iter().map(|input| (input.name.to_string(), input.expr.clone())).collect();
        }
        let label = self.build.label();
        let frame = Frame {
            first_binding,
            own: Some((target.connector, target.connection)),
            sees_event: false,
            is_guard: false,
            source: "",
            block: Some(block),
            depth: self.frame.depth + 1,
        };
        let outer_frame = std::mem::replace(&mut self.frame, frame);
        let outer_setting = std::mem::replace(&mut self.setting, Setting::Steps);
        let outer_query = self.steps.query_path.take();
        let returns = Returns { local: result, label, output: &target.operation.output, strict: false };
        let outer_returns = self.steps.returns.replace(returns);
        let failed_before = std::mem::take(&mut self.quiet_error);
        self.quiet += 1;
        let mark = self.facts.mark();
        let done = self.block(block, format!("{path}.{}.", target.operation.name));
        self.facts.reset(mark);
        self.quiet -= 1;
        let failed = std::mem::replace(&mut self.quiet_error, failed_before);
        self.steps.returns = outer_returns;
        self.steps.query_path = outer_query;
        self.setting = outer_setting;
        self.frame = outer_frame;
        self.bindings.truncate(first_binding);
        self.build.here(label);
        self.note_result(result, target.connection, &target.operation.name, &target.operation.output);
        self.steps.count = self.steps.count.then(Count {
            through: match (done.count.through, done.count.ended) {
                (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
                (only, None) | (None, only) => only,
            },
            ended: None,
        });
        // What is wrong with an argument has been told, and may be all that is wrong.
        if failed && (self.quiet > 0 || self.error_count() == 0) {
            self.mistake_in_connector(target);
        }
        (result, done.outline)
    }

    /// A flow calls what its connector does not say rightly.
    fn mistake_in_connector(&mut self, target: Target<'a>) {
        let start = self.node.map_or(Span::default(), |node| node.do_span);
        let diagnostic = self
            .diagnostic(
                Code::E820,
                start,
                format!("`{}` of the connector {} has a mistake", target.name(), target.connector.name),
            )
            .help(format!("see {}", target.connector.file));
        self.report(diagnostic);
    }
}

/// The word for an effect class.
fn effect_word(effect: &Effect) -> &'static str {
    match effect {
        Effect::Read => "read",
        Effect::Set => "set",
        Effect::Keyed { .. } => "keyed",
        Effect::Findable { .. } => "findable",
        Effect::Once => "once",
    }
}
