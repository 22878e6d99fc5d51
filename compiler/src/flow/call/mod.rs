//! Calls: which operation is meant, with what, and what becomes of its result.

mod args;
mod candidate;
mod dangerous;
mod fill;
mod given_type;
mod json;
mod perform;
mod refused;
mod retry;
mod summary;
mod write;

use std::borrow::Cow;

pub(super) use given_type::GivenType;

use flow_grammar::span::Span;
use flow_grammar::syntax::{self, Call, CallStep, Step};
use flow_plan as plan;
use flow_plan::ty::Type;

use super::check::Checker;
use super::typed::{Typed, split};
use crate::catalog::{Connector, Operation};
use crate::code::Code;

/// An operation of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) connection: &'a str,
    pub(super) connector: &'a Connector,
    pub(super) operation: &'a Operation,
}

impl Target<'_> {
    /// As flows write it.
    pub(super) fn name(&self) -> String {
        format!("{}.{}", self.connection, self.operation.name)
    }
}

/// The type of an answer that is one of the labels that were given: where they are written out, `match` has to cover them.
fn labels(target: Target<'_>, args: &[Typed<'_>]) -> Option<Type> {
    let among = target.operation.among.as_ref()?;
    let at = target.operation.inputs.iter().position(|input| input.name == *among)?;
    let items: Vec<plan::Value> = match &args.get(at)?.expr {
        plan::Expr::Const(plan::Value::List(items)) => items.to_vec(),
        plan::Expr::List(items) => items
            .iter()
            .map(|item| match item {
                plan::Expr::Const(value) => Some(value.clone()),
                _ => None,
            })
            .collect::<Option<_>>()?,
        _ => return None,
    };
    let members = items.iter().map(|item| item.as_text().map(str::to_owned)).collect::<Option<Vec<_>>>()?;
    (!members.is_empty()).then_some(Type::Enum { members, open: false })
}

/// What a place wants of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Action,
    Query,
}

impl<'a> Checker<'a> {
    /// A step that performs an action.
    pub(super) fn call_step(&mut self, step: &Step, node: &CallStep) -> bool {
        let Some(target) = self.target(&node.call, Wanted::Action) else {
            self.after_unknown_call(node);
            return false;
        };
        if !target.operation.action {
            self.query_as_step(node, target);
            return false;
        }
        self.check_dangerous(node, target);
        let given = self.given_type(&node.call, target);
        let args = self.arguments(&node.call, target);
        self.surely_refused(&node.call, target, &args);
        let path = self.next_path();
        let retry = node.retry.as_ref().and_then(|retry| self.retry(retry));
        let handler = node.on_error.as_ref().map(|_| (self.build.label(), self.build.local()));
        let outer_retry = self.steps.retry.clone();
        if retry.is_some() {
            self.steps.retry = retry;
        }
        let outer_handler = self.steps.on_error;
        if handler.is_some() {
            self.steps.on_error = handler;
        }
        let calls = self.build.mark();
        let used = node.name.is_some();
        let text = self.heading(step, node.call.span);
        let dangerous = dangerous::danger(target.connector, target.operation, 0).is_some();
        let outer_danger = self.steps.dangerous;
        self.steps.dangerous |= dangerous;
        let given_ty = given.as_ref().map(|given| given.ty.clone());
        self.given_type = given;
        let result = self.perform(target, args, path.clone(), text, step.docs.lines.join("\n"), used);
        self.given_type = None;
        self.steps.dangerous = outer_danger;
        self.steps.retry = outer_retry;
        self.steps.on_error = outer_handler;
        match &node.retry {
            Some(retry) => self.check_retry(retry, &node.call, calls),
            None => self.told_late(node, target, calls),
        }
        if let Some((_, error)) = handler {
            self.note_error(error, [target.connection.to_owned()].into());
        }
        let after = node.on_error.as_ref().zip(handler).map(|(block, (label, error))| self.handle(block, label, error, &path));
        if let Some(name) = &node.name {
            self.name_result(name, node, target, given_ty, result, after);
        }
        false
    }

    /// The steps of an `on error`; `true` where the run does not go on behind them.
    fn handle(&mut self, block: &syntax::Block, label: super::build::Label, error: u16, path: &str) -> bool {
        let end = self.build.label();
        self.build.jump(end);
        self.build.here(label);
        let bindings = self.bindings.len();
        self.bind("error", Span::default(), error_value(error));
        let outer = std::mem::replace(&mut self.in_handler, true);
        let done = self.block(block, format!("{path}.on_error."));
        self.in_handler = outer;
        self.bindings.truncate(bindings);
        self.build.here(end);
        self.note(&format!("{path}.on_error"), "on error", "on error".to_owned(), done.outline);
        let skipped = super::step::Count::default();
        self.steps.count = self.steps.count.then(skipped.or(done.count));
        done.ends
    }

    /// `on error` behind the braces of `do`.
    pub(super) fn flow_on_error(&mut self, block: &syntax::Block) -> plan::ErrorHandler {
        let (label, error) = (self.build.label(), self.build.local());
        self.build.here(label);
        let called = self.build.connections_called();
        self.note_error(error, called);
        self.bind("error", Span::default(), error_value(error));
        self.in_handler = true;
        let done = self.block(block, "on_error.".to_owned());
        self.in_handler = false;
        self.build.push(plan::Instr::Finish);
        self.bindings.clear();
        self.note("on_error", "on error", "on error".to_owned(), done.outline);
        let skipped = super::step::Count::default();
        self.steps.count = self.steps.count.then(skipped.or(done.count));
        super::build::Builder::handler(label, error)
    }

    fn name_result(
        &mut self,
        name: &syntax::Ident,
        node: &CallStep,
        target: Target<'a>,
        given: Option<Type>,
        result: Option<u16>,
        handled: Option<bool>,
    ) {
        let operation = target.operation;
        if operation.output == Type::Nothing {
            let diagnostic = self
                .diagnostic(Code::E301, name.span, format!("`{}` has no result to name", target.name()))
                .help("take the `as` out");
            self.report(diagnostic);
            self.bind(name.text.clone(), name.span, Typed::unknown());
            return;
        }
        self.check_name(name, Some(&operation.output));
        let (ty, optional) = split(&operation.output);
        let Some(local) = result.filter(|_| given != Some(Type::Unknown)) else {
            self.bind(name.text.clone(), name.span, Typed::unknown());
            return;
        };
        let ty = given.map_or(Cow::Borrowed(ty), Cow::Owned);
        let mut value = Typed::with(plan::Expr::Local(local), ty).optional(optional);
        value.personal = self.sends.is_personal(local);
        if handled == Some(false) {
            value.optional = true;
            value.failed = Some(node.call.span);
        }
        self.bind(name.text.clone(), name.span, value);
    }

    /// Checks what can be checked of a call to nothing.
    fn after_unknown_call(&mut self, node: &CallStep) {
        for arg in &node.call.args {
            self.value(&arg.value);
        }
        if let Some(name) = &node.name {
            self.bind(name.text.clone(), name.span, Typed::unknown());
        }
        if let Some(block) = &node.on_error {
            let bindings = self.bindings.len();
            self.bind("error", Span::default(), Typed::unknown());
            self.block(block, String::new());
            self.bindings.truncate(bindings);
        }
    }

    /// A query in a value.
    pub(super) fn query(&mut self, expr: &syntax::Expr, call: &Call) -> Typed<'a> {
        if self.method_habit(call) {
            return Typed::unknown();
        }
        let Some(target) = self.target(call, Wanted::Query) else {
            for arg in &call.args {
                self.value(&arg.value);
            }
            return Typed::unknown();
        };
        if target.operation.action {
            self.action_as_value(expr, call, target);
            return Typed::unknown();
        }
        let Some(path) = self.steps.query_path.clone() else {
            self.query_out_of_place(expr, call, target);
            return Typed::unknown();
        };
        self.steps.queries += 1;
        let path = if self.steps.queries > 1 { format!("{path}.query_{}", self.steps.queries) } else { path };
        let given = self.given_type(call, target);
        let args = self.arguments(call, target);
        self.surely_refused(call, target, &args);
        let labels = labels(target, &args).or_else(|| given.as_ref().map(|given| given.ty.clone()));
        let text = self.show(call, expr.span);
        let personal = target.operation.derived && args.iter().any(|arg| arg.personal);
        self.given_type = given;
        let result = self.perform(target, args, path, text, String::new(), true);
        self.given_type = None;
        if let (Some(local), true) = (result, personal) {
            self.sends.mark_personal(local);
        }
        let (ty, optional) = split(&target.operation.output);
        match result.filter(|_| labels != Some(Type::Unknown)) {
            Some(local) => Typed::with(plan::Expr::Local(local), labels.map_or(Cow::Borrowed(ty), Cow::Owned))
                .optional(optional)
                .personal(self.sends.is_personal(local)),
            None => Typed::unknown(),
        }
    }

    /// A query in one line.
    fn show(&self, call: &Call, span: Span) -> String {
        if self.frame.block.is_some() || self.is_verdict_only() {
            // The `let` around it is what people see.
            return String::new();
        }
        let text = self.head(span, call.span);
        if text.is_empty() || span.end < call.span.end { super::show::call(call) } else { text }
    }

    // ------------------------------------------------------------------------------------------ what is meant

    /// Finds the operation that a path names.
    fn target(&mut self, call: &Call, wanted: Wanted) -> Option<Target<'a>> {
        let (actions, queries) = (wanted == Wanted::Action, true);
        match call.path.as_slice() {
            [name] => {
                if let Some((connector, connection)) = self.frame.own {
                    if let Some(operation) = connector.operations.get(&name.text) {
                        return Some(Target { connection, connector, operation });
                    }
                    self.unknown_operation(connection, connector, name, actions, queries);
                    return None;
                }
                if let Some((connection, connector)) = self.connection(&name.text) {
                    if let Some(operation) = connector.only_operation() {
                        self.uses(connection);
                        return Some(Target { connection, connector, operation });
                    }
                    let names: Vec<String> = connector
                        .operations
                        .values()
                        .filter(|op| !op.internal)
                        .take(6)
                        .map(|op| format!("{connection}.{}", op.name))
                        .collect();
                    let diagnostic = self
                        .diagnostic(Code::E201, name.span, format!("what of {}?", connector.title))
                        .help(format!("for example {}", super::check::listed(&names, "or")));
                    self.report(diagnostic);
                    return None;
                }
                if name.text == "any" {
                    self.any_without_currencies(call);
                } else {
                    self.unknown_function(name, call);
                }
                None
            }
            [connection_name, name] => {
                if let Some((own, _)) = self.frame.own
                    && own.name == connection_name.text
                    && own.operations.contains_key(&name.text)
                {
                    let diagnostic = self
                        .diagnostic(Code::E201, connection_name.span, "a connector names its own operations without a prefix")
                        .fix(format!("`{}`", name.text), connection_name.span.to(name.span), name.text.clone(), true);
                    self.report(diagnostic);
                    return None;
                }
                let Some((connection, connector)) = self.connection(&connection_name.text) else {
                    self.unknown_connection(connection_name);
                    return None;
                };
                self.uses(connection);
                match connector.operations.get(&name.text).filter(|op| !op.internal) {
                    Some(operation) => Some(Target { connection, connector, operation }),
                    None => {
                        self.not_an_operation(connection, connector, name, actions, queries);
                        None
                    }
                }
            }
            [first, .., last] => {
                let diagnostic = self
                    .diagnostic(Code::E201, first.span.to(last.span), "an action or query has two parts: connection and name")
                    .help("for example `kustomer.create_conversation(…)`");
                self.report(diagnostic);
                None
            }
            [] => None,
        }
    }

    fn not_an_operation(&mut self, connection: &str, connector: &Connector, name: &syntax::Ident, actions: bool, queries: bool) {
        if let Some(trigger) = connector.triggers.get(&name.text) {
            let _ = queries;
            let causing: Vec<String> = connector
                .operations
                .values()
                .filter(|op| !op.internal && op.emits.contains(&trigger.name))
                .map(|op| format!("{connection}.{}", op.name))
                .collect();
            let mut diagnostic = self
                .diagnostic(
                    Code::E505,
                    name.span,
                    format!("`{connection}.{}` is an event: it happens, nobody does it", name.text),
                )
                .label("it stands behind `when`");
            diagnostic = match causing.as_slice() {
                [] => diagnostic.help(format!(
                    "behind `do` stands an action; a run waits for an event with `wait for {connection}.{} … up to 3 days`",
                    name.text
                )),
                several => diagnostic.help(format!("what causes it is {}", super::check::listed(several, "or"))),
            };
            self.report(diagnostic);
            return;
        }
        if let Some(operation) = connector.operations.get(&name.text) {
            let diagnostic = self
                .diagnostic(Code::E201, name.span, format!("`{connection}.{}` is internal", operation.name))
                .label("only the connector's own actions and queries use it");
            self.report(diagnostic);
            return;
        }
        self.unknown_operation(connection, connector, name, actions, queries);
    }

    /// `connection.name` in a value, without parentheses.
    pub(super) fn not_called(&mut self, expr: &syntax::Expr, connection: &str, connector: &'a Connector, name: &syntax::Ident) {
        match connector.operations.get(&name.text).filter(|op| !op.internal) {
            Some(operation) if operation.action => {
                let diagnostic = self
                    .diagnostic(Code::E503, expr.span, format!("`{connection}.{}` is an action: it stands as a step", name.text))
                    .help(format!("do it in a step of its own, and name its result: `{connection}.{}(…) as result`", name.text));
                self.report(diagnostic);
            }
            Some(operation) => {
                let inputs: Vec<String> = operation.inputs.iter().take(2).map(|input| format!("{}: …", input.name)).collect();
                let diagnostic = self
                    .diagnostic(Code::E301, expr.span, format!("`{connection}.{}` is a query: say what it is asked", name.text))
                    .help(format!("`let x = {connection}.{}({})`", name.text, inputs.join(", ")));
                self.report(diagnostic);
            }
            None if self.event_field(&name.text).is_some()
                && matches!(self.event(), super::event::Event::Known(source) if source.connection == connection) =>
            {
                let diagnostic = self
                    .diagnostic(Code::E201, expr.span, format!("`{}` belongs to the event, not to the connection", name.text))
                    .fix(format!("`{}`", name.text), expr.span, name.text.clone(), true);
                self.report(diagnostic);
            }
            None => self.not_an_operation(connection, connector, name, false, true),
        }
    }

    fn query_as_step(&mut self, node: &CallStep, target: Target<'a>) {
        let name = node.name.as_ref().map_or_else(|| self.result_name(target), |name| name.text.clone());
        let call = self.head(node.call.span, node.call.span);
        let fixed = format!("let {name} = {call}");
        let span = node.name.as_ref().map_or(node.call.span, |name| node.call.span.to(name.span));
        let mut diagnostic = self
            .diagnostic(Code::E505, node.call.span, format!("`{}` is a query: by itself it does nothing", target.name()))
            .label("it only asks")
            .help(match &node.name {
                Some(_) => "its answer is named with `let`".to_owned(),
                // A name that nobody uses mends nothing, so it is no fix by itself.
                None => {
                    format!("its answer is named with `let`, for an action behind it: write `{fixed}`, and use `{name}` there")
                }
            });
        if node.retry.is_none() && node.on_error.is_none() && node.name.is_some() {
            diagnostic = diagnostic.fix(format!("`{fixed}`"), span, fixed, node.call.has_parens);
        }
        self.report(diagnostic);
        for arg in &node.call.args {
            self.value(&arg.value);
        }
        if let Some(name) = &node.name {
            self.bind(name.text.clone(), name.span, Typed::unknown());
        }
    }

    fn result_name(&self, target: Target<'a>) -> String {
        let base = match target.operation.output.required() {
            Type::Record(record) if !record.name.is_empty() => super::step_name(&record.name),
            _ => "found".to_owned(),
        };
        if self.binding(&base).is_some() || self.is_hidden(&base) || self.event_field(&base).is_some() {
            format!("found_{base}")
        } else {
            base
        }
    }

    fn action_as_value(&mut self, expr: &syntax::Expr, call: &Call, target: Target<'a>) {
        let diagnostic = self
            .diagnostic(Code::E503, expr.span, format!("`{}` is an action: it stands as a step", target.name()))
            .label("a value only asks and computes; it changes nothing outside")
            .help(format!("do it in a step before, and name its result: `{}(…) as result`", target.name()));
        self.report(diagnostic);
        for arg in &call.args {
            self.value(&arg.value);
        }
    }

    fn query_out_of_place(&mut self, expr: &syntax::Expr, call: &Call, target: Target<'a>) {
        let name = self.result_name(target);
        let text = self.text_of(expr);
        let mut diagnostic =
            self.diagnostic(Code::E506, expr.span, format!("`{}` asks the service: that cannot be done here", target.name()));
        diagnostic = match self.setting {
            super::check::Setting::Condition => diagnostic
                .label("`where` looks at the event alone, so that it is exact and costs nothing")
                .help(format!("ask in the steps: `do {{ let {name} = {text}  if … {{ … }} }}`")),
            super::check::Setting::Steps => diagnostic
                .label("a query is a step of its own")
                .help(format!("name the answer in a step before: `let {name} = {text}`, and use `{name}` here")),
        };
        self.report(diagnostic);
        for arg in &call.args {
            self.value(&arg.value);
        }
    }
}

/// The value of `error` inside an `on error`.
fn error_value<'a>(local: u16) -> Typed<'a> {
    let fields = vec![
        ("message".to_owned(), Type::text()),
        ("status".to_owned(), Type::Int(None).optional()),
        ("step".to_owned(), Type::text()),
    ];
    let record = plan::ty::RecordType { connector: String::new(), name: String::new(), fields };
    Typed::new(plan::Expr::Local(local), Type::Record(record))
}
