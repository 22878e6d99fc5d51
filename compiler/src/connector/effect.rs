//! Effect classes: what may be repeated.

use flow_grammar::span::Span;
use flow_grammar::syntax::{self, EffectLine};
use flow_plan::ty::Type;
use flow_plan::{Effect, Expr, FindBy, Value};

use super::Cx;
use super::types::WireType;
use super::wire::{Place, Scope};
use crate::catalog::{self, OperationBody};
use crate::code::Code;

impl Cx<'_> {
    /// Declares the effect class of an operation.
    pub(super) fn effect(
        &mut self,
        node: &syntax::Operation,
        span: Span,
        line: &EffectLine,
        inputs: &[catalog::Input],
        output: Option<&WireType>,
    ) -> Effect {
        if !node.action && !matches!(line, EffectLine::Read) {
            let diagnostic =
                self.mistake(span, format!("a query changes nothing, so `{}` has no other effect than `read`", node.name.text));
            self.push(diagnostic.help("make it an `action`, or leave this line out"));
            return Effect::Read;
        }
        match line {
            EffectLine::Read => {
                if node.action {
                    let diagnostic = self.mistake(span, "an action that changes nothing is a query");
                    self.push(diagnostic.help(format!("write `query {}`", node.name.text)));
                }
                Effect::Read
            }
            EffectLine::Set => Effect::Set,
            EffectLine::Once => Effect::Once,
            EffectLine::Keyed { header, window } => {
                let header = self.plain(header, "the name of a header");
                Effect::Keyed { header, window_ms: self.millis(window) }
            }
            EffectLine::Findable { query, find_on } => {
                let find_on = self.statuses(find_on);
                match self.find_by(query, inputs, output) {
                    Some(by) => Effect::Findable { by: Box::new(by), find_on },
                    None => Effect::Once,
                }
            }
        }
    }

    fn find_by(&mut self, call: &syntax::Call, inputs: &[catalog::Input], output: Option<&WireType>) -> Option<FindBy> {
        let (query, operation) = self.one_query(call, "tell whether something happened")?;
        let span = call.path.first().map_or(call.span, |first| first.span);
        self.check_result(span, &query.name, &query.output, output);
        let args = self.query_args(call, &query, &Scope::new(Place::Find, inputs))?;
        Some(FindBy { query: operation.as_ref().clone(), args })
    }

    /// The query that a call names, where it is one request. `purpose` says what only a query can.
    pub(super) fn one_query(
        &mut self,
        call: &syntax::Call,
        purpose: &str,
    ) -> Option<(catalog::Operation, std::sync::Arc<flow_plan::Operation>)> {
        let name = call.path.iter().map(|part| part.text.as_str()).collect::<Vec<_>>().join(".");
        let span = call.path.first().map_or(call.span, |first| first.span);
        let Some(query) = self.operations.get(&name).filter(|operation| !operation.action).cloned() else {
            if self.operation_nodes.contains_key(name.as_str()) {
                self.push(self.mistake(span, format!("`{name}` is an action; only a query can {purpose}")));
            } else {
                let known: Vec<&str> =
                    self.operation_nodes.iter().filter(|(_, (node, _))| !node.action).map(|(name, _)| *name).collect();
                self.unknown(span, format!("there is no query `{name}`"), &name, known);
            }
            return None;
        };
        let OperationBody::Http(operation) = &query.body else {
            let diagnostic = self.mistake(span, format!("`{name}` is made of steps; this needs a query that is one request"));
            self.push(diagnostic);
            return None;
        };
        let operation = operation.clone();
        Some((query, operation))
    }

    /// What is found has to be what the action would have given.
    fn check_result(&mut self, span: Span, name: &str, found: &Type, output: Option<&WireType>) {
        if !matches!(found, Type::Optional(_) | Type::Unknown) {
            let diagnostic = self.mistake(span, format!("`{name}` always finds something, so it cannot tell"));
            self.push(
                diagnostic.help("a query whose result can be missing says so: `-> Customer?`, with `none on 404` or `first`"),
            );
            return;
        }
        let Some(output) = output else { return };
        let (wanted, found) = (output.ty.required(), found.required());
        if wanted != found && !matches!((wanted, found), (Type::Unknown, _) | (_, Type::Unknown)) {
            let message = format!("`{name}` finds {found}, and the action gives {wanted}");
            self.push(self.diagnostic(Code::E301, span, message));
        }
    }

    /// The arguments of a call of a query, in the order of its inputs.
    pub(super) fn query_args(&mut self, call: &syntax::Call, query: &catalog::Operation, scope: &Scope<'_>) -> Option<Vec<Expr>> {
        let mut given: Vec<Option<Expr>> = query.inputs.iter().map(|input| input.default.clone()).collect();
        let mut sound = true;
        let mut named: Vec<&str> = Vec::new();
        for (at, arg) in call.args.iter().enumerate() {
            let wanted = match &arg.name {
                Some(name) => query.inputs.iter().position(|input| input.name == name.text),
                None if call.args.len() == 1 => Some(at),
                None => None,
            };
            let (Some(at), false) = (wanted, arg.name.as_ref().is_some_and(|name| named.contains(&name.text.as_str()))) else {
                self.wrong_argument(arg, query, &named);
                sound = false;
                continue;
            };
            named.extend(arg.name.as_ref().map(|name| name.text.as_str()));
            let typed = self.wire(&arg.value, scope);
            let (Some(input), Some(slot)) = (query.inputs.get(at), given.get_mut(at)) else { continue };
            *slot = Some(typed.expr);
            if matches!(typed.ty, Type::Optional(_)) && input.is_required() {
                let text = arg.value.span.text(self.source);
                let message = format!("`{text}` can be missing, and `{}` needs it", query.name);
                self.push(self.diagnostic(Code::E302, arg.value.span, message));
                sound = false;
            } else if !alike(typed.ty.required(), input.ty.required()) {
                let message = format!("expected {}, found {}", input.ty.required(), typed.ty);
                self.push(self.diagnostic(Code::E301, arg.value.span, message));
                sound = false;
            }
        }
        let mut args = Vec::new();
        for (input, given) in query.inputs.iter().zip(given) {
            if given.is_none() && input.is_required() && sound {
                self.push(self.diagnostic(Code::E401, call.span, format!("`{}` of `{}` is not given", input.name, query.name)));
                sound = false;
            }
            args.push(given.unwrap_or(Expr::Const(Value::Missing)));
        }
        sound.then_some(args)
    }

    fn wrong_argument(&mut self, arg: &syntax::Arg, query: &catalog::Operation, named: &[&str]) {
        match &arg.name {
            Some(name) if named.contains(&name.text.as_str()) => {
                self.push(self.diagnostic(Code::E205, name.span, format!("`{}` is given twice", name.text)));
            }
            Some(name) => {
                let known: Vec<&str> = query.inputs.iter().map(|input| input.name.as_str()).collect();
                let message = format!("`{}` has no input `{}`", query.name, name.text);
                let diagnostic = self.diagnostic(Code::E204, name.span, message);
                let diagnostic = self.suggest(diagnostic, name.span, &name.text, &known);
                self.push(diagnostic);
            }
            None => {
                let diagnostic = self.mistake(arg.span, "which input is this?");
                self.push(diagnostic.help("write `name: value`"));
            }
        }
    }
}

/// Tells whether a value of one type can go where another is expected, as far as the wire is concerned.
fn alike(found: &Type, wanted: &Type) -> bool {
    match (found, wanted) {
        (Type::Unknown | Type::Json, _) | (_, Type::Unknown | Type::Json) => true,
        (Type::Text(_) | Type::Enum { .. }, Type::Text(_) | Type::Enum { .. }) => true,
        (Type::Int(_), Type::Int(_) | Type::Number) => true,
        (Type::List(found), Type::List(wanted)) | (Type::Map(found), Type::Map(wanted)) => alike(found, wanted),
        (Type::Record(_), Type::Record(_) | Type::Map(_)) => true,
        (found, wanted) => found == wanted,
    }
}
