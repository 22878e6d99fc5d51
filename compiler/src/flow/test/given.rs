//! `given …`: events, states, and how services answer.

use std::collections::BTreeSet;
use std::sync::Arc;

use flow_grammar::span::Span;
use flow_grammar::syntax::{
    Block, ElseBranch, Expr, ExprKind, Ident, IfStep, NumberLit, ObjectField, StepKind, TextLit, TriggerRef,
};
use flow_plan as plan;
use flow_plan::ty::Type;
use flow_plan::{Fault, GivenEvent, Payload, TestAction};

use super::super::call::Target;
use super::super::check::{Checker, listed};
use super::super::state::only_state;
use super::constant::At;
use crate::catalog::{Connector, OperationBody, Trigger};
use crate::code::Code;
use crate::connector::builtin_fixture;
use crate::suggest::nearest;

impl<'a> Checker<'a> {
    pub(super) fn given_event(
        &mut self,
        reference: &TriggerRef,
        from: Option<&TextLit>,
        fields: &[ObjectField],
        times: Option<&NumberLit>,
        at: At<'_>,
    ) -> Option<TestAction> {
        let source = self.trigger(reference)?;
        if let Some(state) = &source.trigger.state {
            self.given_by_state(reference, source.connection, &state.state);
            return None;
        }
        let mut sound = true;
        let mut given: Vec<(plan::FieldShape, plan::Value)> = Vec::new();
        for field in fields {
            let Some(declared) = source.record.field(&field.key.text) else {
                let of = format!("an event `{}.{}`", source.connection, source.trigger.name);
                self.no_such_key(field, &of, source.record.fields.iter().map(|field| field.name.as_str()));
                sound = false;
                continue;
            };
            if given.iter().any(|(shape, _)| shape.name == declared.name) {
                let diagnostic = self.diagnostic(Code::E205, field.key.span, format!("`{}` is given twice", declared.name));
                self.report(diagnostic);
                sound = false;
                continue;
            }
            match self.field_constant(field, &declared.ty) {
                Some(value) if declared.has_lower_keys() => given.push((declared.shape.clone(), with_lower_keys(value))),
                Some(value) => given.push((declared.shape.clone(), value)),
                None => sound = false,
            }
        }
        let times = match times {
            Some(times) => self.times(times)?,
            None => 1,
        };
        let at = self.instant(at).ok()?;
        let payload = match from {
            Some(file) => Payload::File(self.plain(file, "a file")?),
            None => example(source.connector, source.trigger),
        };
        let declared = source.connector.sources.iter().find(|known| known.name == source.trigger.source);
        let listens = declared.and_then(|found| found.listen.clone()).zip(source.connector.api.via.clone());
        let heard = match (&listens, reference.args.is_empty()) {
            (Some((listen, _)), false) => self.heard(reference, source.trigger, &listen.by),
            _ => None,
        };
        let envelope = declared.map(|declared| declared.envelope.clone()).unwrap_or_default();
        let key = source.record.fields.iter().find(|field| field.roles.iter().any(|role| role == "key"));
        // Options narrow which event is meant; where none are given, any of the trigger's will do.
        let types = if reference.args.is_empty() {
            source.trigger.types.clone()
        } else {
            let options = self.options(reference, source);
            // The trigger's own condition is over the fields of this event.
            self.starts.sources.push(source);
            let types = self.own_condition(reference.span, source, options).types;
            self.starts.sources.pop();
            types
        };
        sound.then(|| {
            TestAction::Event(Box::new(GivenEvent {
                connection: source.connection.to_owned(),
                trigger: source.trigger.name.clone(),
                source: source.trigger.source.clone(),
                event_type: types.first().cloned(),
                types,
                envelope,
                listens,
                heard,
                payload,
                record: source.record.fields.iter().map(|field| field.shape.clone()).collect(),
                key: key.map(|field| field.shape.clone()),
                fields: given,
                times,
                at,
            }))
        })
    }

    /// The option that is listened by, where the test gives it.
    fn heard(&mut self, reference: &TriggerRef, trigger: &Trigger, by: &str) -> Option<plan::Value> {
        let option = trigger.options.iter().find(|option| option.name == by)?;
        let only = trigger.options.len() == 1;
        let arg = reference.args.iter().find(|arg| match &arg.name {
            Some(name) => name.text == by,
            None => only,
        })?;
        self.constant(&arg.value, &option.ty, by)
    }

    /// A trigger that is a state happens when the state is given.
    fn given_by_state(&mut self, reference: &TriggerRef, connection: &str, state: &str) {
        let name = reference.path.last().map_or("", |name| name.text.as_str()).to_owned();
        let diagnostic = self
            .diagnostic(Code::E112, reference.span, format!("`{connection}.{name}` is told by a state: it is given by that"))
            .help(format!(
                "write what `{connection}.{state}` was, and then what it becomes: `given {connection}.{state} becomes …`"
            ));
        self.report(diagnostic);
    }

    /// `given front_door becomes unlocked`: the value of a state from now on; `unavailable` where it cannot be read.
    pub(super) fn given_state(&mut self, span: Span, path: &[Ident], value: &Expr, at: At<'_>) -> Option<TestAction> {
        let (connection_name, name) = match path {
            [connection] => (connection, None),
            [connection, name] => (connection, Some(name)),
            _ => {
                let diagnostic = self
                    .diagnostic(Code::E201, span, "a state has two parts: connection and state")
                    .help("for example `front_door becomes unlocked`, or `front_door.battery becomes 20`");
                self.report(diagnostic);
                return None;
            }
        };
        let Some((connection, connector)) = self.connection(&connection_name.text) else {
            self.unknown_connection(connection_name);
            return None;
        };
        self.uses(connection);
        let known: Vec<&str> = connector.states.keys().map(String::as_str).collect();
        let state = match name {
            Some(name) => connector.states.get(&name.text),
            None => only_state(connector),
        };
        let Some(state) = state else {
            let place = name.unwrap_or(connection_name);
            let mut diagnostic = match (name, known.is_empty()) {
                (_, true) => self.diagnostic(Code::E201, place.span, format!("{} has no states", connector.title)),
                (Some(name), false) => {
                    self.diagnostic(Code::E201, place.span, format!("{} has no state `{}`", connector.title, name.text))
                }
                (None, false) => self.diagnostic(Code::E201, place.span, format!("which state of {}?", connector.title)),
            };
            if let Some(found) = name.and_then(|name| nearest(&name.text, known.iter().copied())) {
                diagnostic = diagnostic.fix(format!("`{found}`"), place.span, found, true);
            } else if !known.is_empty() {
                diagnostic = diagnostic.help(format!("it has {}", listed(&known, "and")));
            }
            self.report(diagnostic);
            return None;
        };
        let value = match value.kind.as_ref() {
            ExprKind::Name(word) if word.text == "unavailable" => plan::Value::Missing,
            ExprKind::Name(word) if matches!(&state.ty, Type::Enum { .. }) => self.given_member(word, &state.ty)?,
            _ => self.constant(value, &state.ty, &state.name)?,
        };
        let at = self.instant(at).ok()?;
        Some(TestAction::State { connection: connection.to_owned(), state: state.name.clone(), value, at })
    }

    /// A member of a state's type, which stands bare behind `becomes`.
    fn given_member(&mut self, word: &Ident, ty: &Type) -> Option<plan::Value> {
        let Type::Enum { members, open } = ty else { return None };
        if *open || members.contains(&word.text) {
            return Some(plan::Value::text(word.text.as_str()));
        }
        let mut diagnostic = self
            .diagnostic(Code::E304, word.span, format!("it is never `{}`", word.text))
            .label(format!("one of {}, or `unavailable`", listed(members, "and")));
        if let Some(found) = nearest(&word.text, members.iter().map(String::as_str)) {
            diagnostic = diagnostic.fix(format!("`{found}`"), word.span, found, true);
        }
        self.report(diagnostic);
        None
    }

    pub(super) fn given_fails(&mut self, path: &[Ident], times: Option<&NumberLit>, with: &Ident) -> Option<TestAction> {
        let target = self.tested_operation(path)?.name();
        let times = match times {
            Some(times) => Some(self.times(times)?),
            None => None,
        };
        let word = with.text.as_str();
        let fault = match word.parse::<u16>() {
            Ok(status) if (400..600).contains(&status) => Some(Fault::Status(status)),
            Ok(_) => None,
            Err(_) => Fault::WORDS.iter().find(|(known, _)| *known == word).map(|(_, fault)| *fault),
        };
        if fault.is_none() {
            let words = Fault::WORDS.iter().map(|(word, _)| *word);
            let mut diagnostic =
                self.diagnostic(Code::E204, with.span, format!("a call cannot fail with `{word}`")).help(format!(
                    "it fails with {}, or with an HTTP status from 400 to 599",
                    listed(&words.clone().collect::<Vec<_>>(), "or")
                ));
            if let Some(found) = nearest(word, words) {
                diagnostic = diagnostic.fix(format!("`{found}`"), with.span, found, false);
            }
            self.report(diagnostic);
        }
        Some(TestAction::Fails { target, times, fault: fault? })
    }

    pub(super) fn given_returns(&mut self, path: &[Ident], value: &Expr) -> Option<TestAction> {
        let target = self.tested_operation(path)?;
        let output = &target.operation.output;
        if *output == Type::Nothing {
            let span = path.first().zip(path.last()).map_or(value.span, |(first, last)| first.span.to(last.span));
            let diagnostic = self
                .diagnostic(Code::E301, span, format!("`{}` has no result", target.name()))
                .help("take the line out: without it the call succeeds");
            self.report(diagnostic);
            return None;
        }
        // What a call says that its answer is no other call has to say: then only the value itself tells.
        let value = if target.operation.typed.is_some() && !self.has_only_fields_of(value, output) {
            self.with_money_written(true, |checker| checker.constant(value, &Type::Json, "returns"))?
        } else {
            self.constant(value, output, "returns")?
        };
        let by = parts(target);
        if by.is_empty() {
            let span = path.first().zip(path.last()).map_or(Span::default(), |(first, last)| first.span.to(last.span));
            let diagnostic = self
                .diagnostic(Code::E301, span, format!("`{}` is computed by its connector from several answers", target.name()))
                .help("say what those parts return; `flowc plan` lists them");
            self.report(diagnostic);
            return None;
        }
        Some(TestAction::Returns { target: target.name(), by, value })
    }
}

impl Checker<'_> {
    /// Tells whether a value is an object of fields that a type declares.
    fn has_only_fields_of(&self, value: &Expr, ty: &Type) -> bool {
        let ExprKind::Object(fields) = value.kind.as_ref() else { return false };
        let declared = self.declared_fields(ty.required()).unwrap_or_default();
        fields.iter().all(|field| declared.iter().any(|(name, _)| *name == field.key.text))
    }
}

/// As it comes: whatever case the keys of such a map are written in.
pub(super) fn with_lower_keys(value: plan::Value) -> plan::Value {
    match value {
        plan::Value::Record(fields) => {
            plan::Value::record(fields.iter().map(|(name, value)| (Arc::from(name.to_lowercase()), value.clone())))
        }
        other => other,
    }
}

/// The example of a trigger: one that is built in, or one beside the connector's own file.
fn example(connector: &Connector, trigger: &Trigger) -> Payload {
    match &trigger.example {
        Some(file) => match builtin_fixture(file) {
            Some(text) if connector.file.starts_with("connectors/") => Payload::Text(text.to_owned()),
            _ => {
                let folder = connector.file.rsplit_once('/').map_or("", |(folder, _)| folder);
                Payload::File(if folder.is_empty() { format!("/{file}") } else { format!("/{folder}/{file}") })
            }
        },
        None => Payload::Made,
    }
}

/// The requests whose answer is the result of an operation.
fn parts(target: Target<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    collect(
        target.connector,
        target.connection,
        &target.operation.name,
        target.operation.output.required(),
        &mut seen,
        &mut found,
    );
    found
}

fn collect(
    connector: &Connector,
    connection: &str,
    name: &str,
    output: &Type,
    seen: &mut BTreeSet<String>,
    found: &mut Vec<String>,
) {
    let Some(operation) = connector.operations.get(name) else { return };
    if !seen.insert(name.to_owned()) {
        return;
    }
    match &operation.body {
        OperationBody::Http(_) => {
            if operation.output.required() == output {
                found.push(format!("{connection}.{name}"));
            }
        }
        OperationBody::Steps(block) => {
            let mut called = Vec::new();
            calls(block, &mut called);
            for name in called {
                collect(connector, connection, &name, output, seen, found);
            }
        }
    }
}

/// The operations that steps call, wherever they do.
fn calls(block: &Block, into: &mut Vec<String>) {
    for step in &block.steps {
        match &step.kind {
            StepKind::Call(call) => {
                into.extend(call.call.path.last().map(|name| name.text.clone()));
                call.on_error.iter().for_each(|block| calls(block, into));
            }
            StepKind::Let { value, .. } | StepKind::Return(Some(value)) => called_in(value, into),
            StepKind::If(node) => calls_of_if(node, into),
            StepKind::Match { arms, .. } => arms.iter().for_each(|arm| calls(&arm.body, into)),
            StepKind::For { list, body, .. } => {
                called_in(list, into);
                calls(body, into);
            }
            StepKind::WaitFor { otherwise, .. } => otherwise.iter().for_each(|block| calls(block, into)),
            StepKind::Stop(_)
            | StepKind::Return(None)
            | StepKind::Require(_)
            | StepKind::Wait(_)
            | StepKind::WaitUntil { .. }
            | StepKind::Bad => {}
        }
    }
}

fn calls_of_if(node: &IfStep, into: &mut Vec<String>) {
    calls(&node.then, into);
    match &node.otherwise {
        Some(ElseBranch::Block(block)) => calls(block, into),
        Some(ElseBranch::If(step)) => {
            if let StepKind::If(nested) = &step.kind {
                calls_of_if(nested, into);
            }
        }
        None => {}
    }
}

fn called_in(expr: &Expr, into: &mut Vec<String>) {
    match expr.kind.as_ref() {
        ExprKind::Call(call) => into.extend(call.path.last().map(|name| name.text.clone())),
        ExprKind::Field(inner, _) | ExprKind::Paren(inner) | ExprKind::Require(inner) => called_in(inner, into),
        ExprKind::Index(inner, _) => called_in(inner, into),
        ExprKind::Else(left, right) => {
            called_in(left, into);
            called_in(right, into);
        }
        _ => {}
    }
}
