//! Queries and actions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use flow_grammar::span::Span;
use flow_grammar::syntax::{self, Attribute, ExprKind, HttpOperation, Ident, OperationLineKind, StepKind};
use flow_plan as plan;
use flow_plan::ty::Type;
use flow_plan::{Effect, Expr, Value};

use super::types::WireType;
use super::wire::{Place, Scope};
use super::{Cx, docs_text, input};
use crate::catalog::{self, OperationBody};
use crate::code::Code;

/// What stands behind the inputs of an operation.
#[derive(Default)]
struct Marks {
    dangerous: Option<catalog::Dangerous>,
    internal: bool,
    among: Option<String>,
    typed: Option<catalog::TypedBy>,
    within: Option<String>,
    derived: bool,
    one_of: Vec<Vec<String>>,
    warn_unless: Vec<(Vec<String>, String)>,
    emits_types: Vec<String>,
}

/// `refused when …` and `refused unless …`.
#[derive(Clone, Copy)]
pub(super) enum Refused<'a> {
    When(&'a syntax::Expr),
    Unless(&'a syntax::Expr),
}

impl<'a> Cx<'a> {
    /// Declares every operation: queries first, since actions find out by them what they did.
    pub(super) fn declare_operations(&mut self) {
        let node = self.node;
        for actions in [false, true] {
            for member in &node.members {
                if let syntax::MemberKind::Operation(operation) = &member.kind
                    && operation.action == actions
                    && !self.operations.contains_key(&operation.name.text)
                {
                    let declared = self.operation(operation, &member.docs);
                    self.operations.insert(operation.name.text.clone(), declared);
                }
            }
        }
        self.find_circles();
        self.spread_emits();
    }

    fn operation(&mut self, node: &'a syntax::Operation, docs: &syntax::Docs) -> catalog::Operation {
        let inputs = self.inputs(&node.inputs);
        let output = node.output.as_ref().map(|output| self.wire_type(output));
        let mut marks = self.marks(&node.attributes, &inputs);
        let (body, emits) = match &node.body {
            syntax::OperationBody::Steps(block) => (OperationBody::Steps(Arc::new(block.clone())), Vec::new()),
            syntax::OperationBody::Http(http) => {
                let mut operation = self.http(node, http, &inputs, output.as_ref(), &mut marks);
                operation.answer.item_of =
                    marks.among.as_ref().and_then(|name| inputs.iter().position(|input| input.name == *name)?.try_into().ok());
                operation.answer.longest =
                    marks.within.as_ref().and_then(|name| inputs.iter().position(|input| input.name == *name)?.try_into().ok());
                let emits = operation.emits.iter().filter_map(|name| Some(name.split_once('.')?.1.to_owned())).collect();
                (OperationBody::Http(Arc::new(operation)), emits)
            }
        };
        catalog::Operation {
            name: node.name.text.clone(),
            docs: docs_text(docs),
            action: node.action,
            inputs,
            output: output.map_or(Type::Nothing, |output| output.ty),
            dangerous: marks.dangerous,
            internal: marks.internal,
            among: marks.among,
            typed: marks.typed,
            within: marks.within,
            derived: marks.derived,
            one_of: marks.one_of,
            warn_unless: marks.warn_unless,
            emits,
            emits_types: marks.emits_types,
            endless: false,
            body,
        }
    }

    fn marks(&mut self, attributes: &[Attribute], inputs: &[catalog::Input]) -> Marks {
        let mut marks = Marks::default();
        for attribute in attributes {
            match attribute.name.text.as_str() {
                "dangerous" => marks.dangerous = Some(self.dangerous(attribute)),
                "internal" => marks.internal = true,
                "among" => marks.among = self.among(attribute, inputs),
                "typed" => marks.typed = self.typed_by(attribute, inputs),
                "within" => marks.within = self.within(attribute, inputs),
                "derived" => marks.derived = true,
                "one_of" => {
                    let names: Vec<&Ident> = attribute
                        .args
                        .iter()
                        .filter_map(|arg| match &*arg.value.kind {
                            ExprKind::Name(name) => Some(name),
                            _ => None,
                        })
                        .collect();
                    if names.len() < attribute.args.len() || names.is_empty() {
                        self.push(self.mistake(attribute.span, "`@one_of` takes names of inputs"));
                    }
                    let group = self.one_of(names, inputs);
                    marks.one_of.push(group);
                }
                other => {
                    let message = format!("there is no attribute `@{other}` of an operation");
                    self.unknown(
                        attribute.name.span,
                        message,
                        other,
                        ["among", "dangerous", "derived", "internal", "one_of", "typed", "within"],
                    );
                }
            }
        }
        marks
    }

    /// `@among(labels)`: the input that lists what the result can be.
    fn among(&mut self, attribute: &Attribute, inputs: &[catalog::Input]) -> Option<String> {
        let name = match attribute.args.as_slice() {
            [arg] => match arg.value.kind.as_ref() {
                ExprKind::Name(name) => Some(name),
                _ => None,
            },
            _ => None,
        };
        let Some(name) = name else {
            let diagnostic = self.mistake(attribute.span, "`@among` takes the name of an input");
            self.push(diagnostic.help("the one that lists what the result can be: `@among(labels)`"));
            return None;
        };
        let Some(input) = inputs.iter().find(|input| input.name == name.text) else {
            let known: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
            self.unknown(name.span, format!("there is no input `{}`", name.text), &name.text, known);
            return None;
        };
        if !matches!(input.ty.required(), Type::List(item) if matches!(item.as_ref(), Type::Text(_))) {
            self.push(self.mistake(name.span, format!("`{}` lists no texts: it is {}", name.text, input.ty)));
            return None;
        }
        Some(input.name.clone())
    }

    /// `@typed(record, "body", optional)`: the input by which a call says what its result is.
    fn typed_by(&mut self, attribute: &Attribute, inputs: &[catalog::Input]) -> Option<catalog::TypedBy> {
        let mut typed = catalog::TypedBy { input: String::new(), at: None, optional: false };
        for (at, arg) in attribute.args.iter().enumerate() {
            match arg.value.kind.as_ref() {
                ExprKind::Name(name) if at == 0 => typed.input = self.input_named(name, inputs)?.name.clone(),
                ExprKind::Name(name) if name.text == "optional" => typed.optional = true,
                ExprKind::Text(text) if at > 0 => {
                    let text = self.plain(text, "a path");
                    typed.at = Some(self.path(&syntax::WirePath { span: arg.span, text, quoted: true }));
                }
                _ => {
                    let diagnostic = self.mistake(arg.span, "`@typed` takes an input, and where in the answer the result stands");
                    self.push(diagnostic.help("`@typed(record, \"body\")`; with `optional` each field can be missing"));
                    return None;
                }
            }
        }
        if typed.input.is_empty() {
            self.push(self.mistake(attribute.span, "`@typed` takes the name of an input"));
            return None;
        }
        Some(typed)
    }

    /// `@within(max_length)`: the input that says how long the result may be.
    fn within(&mut self, attribute: &Attribute, inputs: &[catalog::Input]) -> Option<String> {
        let name = match attribute.args.as_slice() {
            [arg] => match arg.value.kind.as_ref() {
                ExprKind::Name(name) => name,
                _ => return None,
            },
            _ => {
                self.push(self.mistake(attribute.span, "`@within` takes the name of an input"));
                return None;
            }
        };
        let input = self.input_named(name, inputs)?;
        if !matches!(input.ty.required(), Type::Int(_)) {
            self.push(self.mistake(name.span, format!("`{}` is no number of characters: it is {}", name.text, input.ty)));
            return None;
        }
        Some(input.name.clone())
    }

    fn input_named<'i>(&mut self, name: &Ident, inputs: &'i [catalog::Input]) -> Option<&'i catalog::Input> {
        let found = inputs.iter().find(|input| input.name == name.text);
        if found.is_none() {
            let known: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
            self.unknown(name.span, format!("there is no input `{}`", name.text), &name.text, known);
        }
        found
    }

    /// `@dangerous`, `@dangerous(default: 30 seconds, limit: 5 minutes)`.
    fn dangerous(&mut self, attribute: &Attribute) -> catalog::Dangerous {
        let mut dangerous = catalog::Dangerous::default();
        let mut default = None;
        for arg in &attribute.args {
            let ExprKind::Duration(duration) = arg.value.kind.as_ref() else {
                let diagnostic = self.mistake(arg.span, "`@dangerous` takes lengths of time");
                self.push(diagnostic.help("`@dangerous(default: 30 seconds, limit: 5 minutes)`: how old its event may be"));
                continue;
            };
            let millis = self.millis(duration);
            match arg.name.as_ref().map(|name| name.text.as_str()) {
                Some("default") => default = Some(millis),
                Some("limit") => dangerous.limit_ms = millis,
                Some(other) => {
                    let message = format!("`@dangerous` has no `{other}`");
                    self.unknown(arg.span, message, other, ["default", "limit"]);
                }
                None => {
                    let diagnostic = self.mistake(arg.span, "is this the `default` or the `limit`?");
                    self.push(diagnostic.help("`@dangerous(default: 30 seconds, limit: 5 minutes)`: how old its event may be"));
                }
            }
        }
        dangerous.default_ms = default.unwrap_or(dangerous.default_ms.min(dangerous.limit_ms));
        if dangerous.default_ms > dangerous.limit_ms {
            self.push(self.mistake(attribute.span, "the default is more than the limit"));
        }
        dangerous
    }

    fn one_of<'n>(&mut self, names: impl IntoIterator<Item = &'n Ident>, inputs: &[catalog::Input]) -> Vec<String> {
        let mut group = Vec::new();
        for name in names {
            match inputs.iter().find(|input| input.name == name.text) {
                None => {
                    let known: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
                    self.unknown(name.span, format!("there is no input `{}`", name.text), &name.text, known);
                }
                Some(input) if input.is_required() => {
                    let message = format!("`{}` must be given anyway", name.text);
                    let diagnostic = self.mistake(name.span, message);
                    self.push(diagnostic.help("make it optional with `?`, or leave it out here"));
                }
                Some(_) => group.push(name.text.clone()),
            }
        }
        group
    }

    fn http(
        &mut self,
        node: &'a syntax::Operation,
        http: &'a HttpOperation,
        inputs: &[catalog::Input],
        output: Option<&WireType>,
        marks: &mut Marks,
    ) -> plan::Operation {
        let request = self.request(&http.request, &Scope::new(Place::Request, inputs));
        let mut answer = plan::Answer {
            at: plan::JsonPath::default(),
            shape: output.map(|output| output.shape.clone()),
            optional: output.is_none_or(|output| output.ty.can_be_missing()),
            none_on: Vec::new(),
            none_when: None,
            first: None,
            refused_when: self.refused_when.clone(),
            item_of: None,
            longest: None,
            form: plan::AnswerForm::Json,
            refused: Vec::new(),
            done_on: None,
        };
        let mut peculiar = plan::Peculiar::default();
        let connector = self.node.name.text.as_str();
        let mut effect = None;
        let mut retry_on = Vec::new();
        let mut emits = Vec::new();
        let mut sign = Vec::new();
        let mut confirm = None;
        let mut listing = plan::Listing::default();
        let mut seen: BTreeMap<&'static str, Span> = BTreeMap::new();
        let scope = Scope::new(Place::Answer, inputs);
        for line in &http.lines {
            let word = word(&line.kind);
            if let Some(first) = seen.get(word) {
                let twice = self.diagnostic(Code::E202, line.span, format!("there are two `{word}` lines"));
                self.push(twice.also(*first, "the first one"));
                continue;
            }
            if !word.is_empty() {
                seen.insert(word, line.span);
            }
            match &line.kind {
                OperationLineKind::At(path) => answer.at = self.path(path),
                OperationLineKind::NoneOn(statuses) => answer.none_on = self.statuses(statuses),
                OperationLineKind::NoneWhen(when) => answer.none_when = Some(self.condition(when, &scope)),
                OperationLineKind::First(when) => {
                    answer.first = Some(match when {
                        Some(when) => self.condition(when, &scope),
                        None => Expr::Const(Value::Bool(true)),
                    });
                }
                OperationLineKind::RefusedWhen(when, because) => {
                    self.refused(&mut answer, Refused::When(when), because.as_ref(), &scope);
                }
                OperationLineKind::RefusedUnless(unless, because) => {
                    self.refused(&mut answer, Refused::Unless(unless), because.as_ref(), &scope);
                }
                OperationLineKind::Effect(line_effect) => {
                    effect = Some(self.effect(node, line.span, line_effect, inputs, output));
                }
                OperationLineKind::Sign(fields) => sign = self.sign(fields, &request, inputs),
                OperationLineKind::Confirm { .. } => {
                    confirm = self.confirm(node, line, inputs, output).map(Box::new);
                }
                OperationLineKind::Emits(names) => {
                    let (triggers, types) = self.emitted(names);
                    emits.extend(triggers.into_iter().map(|name| format!("{connector}.{name}")));
                    marks.emits_types.extend(types);
                }
                OperationLineKind::RetryOn(statuses) => retry_on = self.statuses(statuses),
                OperationLineKind::OneOf(names) => marks.one_of.push(self.one_of(names, inputs)),
                OperationLineKind::Answer(form) => answer.form = self.answer_form(form),
                OperationLineKind::DoneOn(_)
                | OperationLineKind::Refuse { .. }
                | OperationLineKind::Timeout(_)
                | OperationLineKind::BodyUpTo(_)
                | OperationLineKind::RetryAfter(_)
                | OperationLineKind::RetryNever
                | OperationLineKind::OnceMore => self.peculiar_line(node, line, inputs, &mut answer, &mut peculiar),
                OperationLineKind::WarnUnless { names, because } => {
                    let group = self.one_of(names, inputs);
                    marks.warn_unless.push((group, self.plain(because, "a reason")));
                }
                OperationLineKind::Pages { .. }
                | OperationLineKind::Order(_)
                | OperationLineKind::Codes(_)
                | OperationLineKind::Only(_)
                | OperationLineKind::Since(_)
                | OperationLineKind::UpTo(_) => self.list_line(line, inputs, &mut listing),
            }
        }
        let listing = self.listing(node, http, listing, output).map(Box::new);
        self.check_answer(node, http, &answer, output);
        let effect = effect.unwrap_or_else(|| self.no_effect_line(node));
        if peculiar.retry_never && effect != plan::Effect::Once {
            let span = seen.get("retry never").copied().unwrap_or(node.name.span);
            let mistake = self.mistake(span, "this can be repeated, by its effect: whether it is to be is for flows to say");
            self.push(mistake.help("`retry never` stands beside `effect once`"));
        }
        plan::Operation {
            name: format!("{connector}.{}", node.name.text),
            inputs: inputs
                .iter()
                .map(|input| plan::Input {
                    name: input.name.clone(),
                    optional: !input.is_required(),
                    personal: input::is_personal(&input.ty),
                    length: input.length,
                })
                .collect(),
            request,
            answer,
            effect,
            retry_on,
            emits,
            sign,
            confirm,
            peculiar: Box::new(peculiar),
            listing,
        }
    }

    /// What an answer is read as.
    pub(super) fn answer_form(&mut self, form: &syntax::AnswerForm) -> plan::AnswerForm {
        match form {
            syntax::AnswerForm::Text => plan::AnswerForm::Text,
            syntax::AnswerForm::Whole => plan::AnswerForm::Whole,
            syntax::AnswerForm::JsonIn(path) => plan::AnswerForm::JsonIn(self.path(path)),
        }
    }

    /// A success that is none, with its reason where one is given.
    pub(super) fn refused(
        &mut self,
        answer: &mut plan::Answer,
        condition: Refused<'_>,
        because: Option<&syntax::TextLit>,
        scope: &Scope<'_>,
    ) {
        let when = match condition {
            Refused::When(when) => self.condition(when, scope),
            Refused::Unless(unless) => Expr::Not(Box::new(self.condition(unless, scope))),
        };
        match because {
            Some(because) => {
                let because = self.plain(because, "a reason");
                answer.refused.push(plan::Refusal { when, because, quietly: false });
            }
            None => answer.refused_when = Some(or(answer.refused_when.take(), when)),
        }
    }

    pub(super) fn is_trigger(&mut self, name: &Ident) -> bool {
        let known = self.trigger_names.contains(name.text.as_str());
        if !known {
            let names: Vec<&str> = self.trigger_names.iter().copied().collect();
            self.unknown(name.span, format!("there is no trigger `{}`", name.text), &name.text, names);
        }
        known
    }

    /// An answer that may be none needs a result that may be missing.
    fn check_answer(&mut self, node: &syntax::Operation, http: &HttpOperation, answer: &plan::Answer, output: Option<&WireType>) {
        let Some(output) = output else { return };
        // No items on a page is an empty list.
        let list = matches!(output.ty, Type::List(_));
        let line = http.lines.iter().find(|line| match line.kind {
            OperationLineKind::NoneOn(_) | OperationLineKind::NoneWhen(_) => !list,
            OperationLineKind::First(_) => true,
            _ => false,
        });
        if let Some(line) = line
            && !answer.optional
        {
            let span = node.output.as_ref().map_or(node.name.span, |output| output.span);
            let message = format!("the result of `{}` can be missing", node.name.text);
            let diagnostic = self.diagnostic(Code::E302, span, message).also(line.span, "there is none where this applies");
            self.push(diagnostic.fix("add `?`", span.after(), "?", true));
        }
    }

    fn no_effect_line(&mut self, node: &syntax::Operation) -> Effect {
        if !node.action {
            return Effect::Read;
        }
        let message = format!("what happens when `{}` is tried again?", node.name.text);
        let diagnostic = self.mistake(node.name.span, message);
        self.push(
            diagnostic
                .help("an answer can get lost after the service has acted, so each action says whether it may be repeated")
                .advise("`effect keyed header \"Idempotency-Key\" for 24 hours`: the service drops what it has seen")
                .advise("`effect findable by QUERY(…)`: a query can tell whether it happened")
                .advise("`effect set`: twice is as good as once; `effect once`: it is not"),
        );
        Effect::Once
    }

    /// Declares the resolvers.
    pub(super) fn declare_resolvers(&mut self) -> Vec<catalog::Resolver> {
        let node = self.node;
        let mut resolvers = Vec::new();
        for member in &node.members {
            let syntax::MemberKind::Resolver { record, from, action } = &member.kind else { continue };
            if !self.record_nodes.contains_key(record.text.as_str()) {
                let known: Vec<&str> = self.record_nodes.keys().copied().collect();
                self.unknown(record.span, format!("there is no record `{}`", record.text), &record.text, known);
                continue;
            }
            let Some(operation) = self.operations.get(&action.text) else {
                let known: Vec<&str> = self.operation_nodes.keys().copied().collect();
                self.unknown(action.span, format!("there is no operation `{}`", action.text), &action.text, known);
                continue;
            };
            let gives = matches!(operation.output.required(), Type::Record(of) if of.name == record.text);
            let takes = matches!(operation.inputs.as_slice(), [input] if input.ty.required().to_string() == from.text);
            if gives && takes {
                resolvers.push(catalog::Resolver {
                    record: record.text.clone(),
                    from: from.text.clone(),
                    action: action.text.clone(),
                });
                continue;
            }
            let message = format!("`{}` does not make a `{}` out of {}", action.text, record.text, from.text);
            let diagnostic = self.mistake(action.span, message);
            self.push(
                diagnostic.help(format!("a resolver has one input of type `{}` and the result `{}`", from.text, record.text)),
            );
        }
        resolvers
    }
}

pub(super) fn or(first: Option<Expr>, second: Expr) -> Expr {
    match first {
        Some(first) => Expr::Or(vec![first, second]),
        None => second,
    }
}

/// The word of a line that may stand once.
fn word(kind: &OperationLineKind) -> &'static str {
    match kind {
        OperationLineKind::At(_) => "at",
        OperationLineKind::NoneOn(_) => "none on",
        OperationLineKind::NoneWhen(_) => "none when",
        OperationLineKind::First(_) => "first",
        OperationLineKind::Effect(_) => "effect",
        OperationLineKind::Emits(_) => "emits",
        OperationLineKind::RetryOn(_) => "retry on",
        OperationLineKind::Sign(_) => "sign",
        OperationLineKind::Confirm { .. } => "confirm",
        OperationLineKind::Pages { .. } => "pages",
        OperationLineKind::Order(_) => "order",
        OperationLineKind::Codes(_) => "codes",
        OperationLineKind::Only(_) => "only",
        OperationLineKind::Since(_) => "since",
        OperationLineKind::UpTo(_) => "up to",
        OperationLineKind::Answer(_) => "answer",
        OperationLineKind::DoneOn(_) => "done on",
        OperationLineKind::Timeout(_) => "timeout",
        OperationLineKind::BodyUpTo(_) => "body up to",
        OperationLineKind::RetryAfter(_) => "retry after",
        OperationLineKind::RetryNever => "retry never",
        OperationLineKind::OnceMore => "once more",
        OperationLineKind::RefusedWhen(..)
        | OperationLineKind::RefusedUnless(..)
        | OperationLineKind::Refuse { .. }
        | OperationLineKind::OneOf(_)
        | OperationLineKind::WarnUnless { .. } => "",
    }
}

/// The operations that steps call.
pub(super) fn collect_calls(block: &syntax::Block, called: &mut BTreeSet<String>) {
    for step in &block.steps {
        match &step.kind {
            StepKind::Call(call) => {
                if let [name] = call.call.path.as_slice() {
                    called.insert(name.text.clone());
                }
                if let Some(on_error) = &call.on_error {
                    collect_calls(on_error, called);
                }
            }
            StepKind::If(branch) => collect_if(branch, called),
            StepKind::Match { arms, .. } => arms.iter().for_each(|arm| collect_calls(&arm.body, called)),
            StepKind::For { body, .. } => collect_calls(body, called),
            StepKind::WaitFor { otherwise: Some(block), .. } => collect_calls(block, called),
            _ => {}
        }
    }
}

fn collect_if(branch: &syntax::IfStep, called: &mut BTreeSet<String>) {
    collect_calls(&branch.then, called);
    match &branch.otherwise {
        Some(syntax::ElseBranch::Block(block)) => collect_calls(block, called),
        Some(syntax::ElseBranch::If(step)) => {
            if let StepKind::If(branch) = &step.kind {
                collect_if(branch, called);
            }
        }
        None => {}
    }
}
