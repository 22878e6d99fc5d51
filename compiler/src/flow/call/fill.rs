//! Filling in what is not given: the schema's default, else the one best candidate, never a guess.
//!
//! What is filled in is written as syntax and then checked like anything else, so that the expanded flow and the flow
//! as written are one program.

use std::borrow::Cow;

use flow_grammar::span::Span;
use flow_grammar::syntax::{Arg, Call, CallStep, Docs, Expr, ExprKind, Ident, Step, StepKind, TextLit, TextPart};
use flow_plan::Instr;
use flow_plan::ty::{TextKind, Type};

use super::super::check::{Checker, Event, listed};
use super::super::expand::Fill;
use super::super::fact::{Place, Root};
use super::super::fit::words;
use super::super::step_name;
use super::super::typed::split;
use super::Target;
use crate::catalog::{Connector, Input, Operation, Resolver};
use crate::code::Code;
use crate::diagnostic::{Edit, Fix};

/// What was filled in at one call.
#[derive(Debug, Default)]
pub(super) struct Filled {
    /// Inputs by their place, with their arguments.
    pub(super) args: Vec<(usize, Arg)>,
    /// Steps that stand before the call.
    before: Vec<Step>,
}

/// A value that could fill in an input.
#[derive(Debug, Clone)]
struct Candidate<'a> {
    expr: Expr,
    text: String,
    place: Option<Place<'a>>,
    optional: bool,
    same_role: bool,
    docs: &'a str,
}

/// What was found for an input.
enum Found<'a> {
    One(Box<Candidate<'a>>),
    Resolver(Box<Way<'a>>),
    Several(Vec<String>),
    None,
}

/// A resolver with the value that it starts from.
#[derive(Debug, Clone)]
struct Way<'a> {
    connection: &'a str,
    action: &'a Operation,
    input: &'a Input,
    record: &'a str,
    key: &'a str,
    from: Candidate<'a>,
}

impl<'a> Checker<'a> {
    /// Fills in the required inputs that are not given, all but summaries.
    pub(super) fn fill(&mut self, call: &Call, target: Target<'a>, is_given: &dyn Fn(usize) -> bool) -> Filled {
        let mut filled = Filled::default();
        for (at, input) in target.operation.inputs.iter().enumerate() {
            if is_given(at) || !input.is_required() || input.summary {
                continue;
            }
            let found = self.find(input, target);
            self.take(found, at, input, call, target, &mut filled);
        }
        for group in &target.operation.one_of {
            self.fill_group(group, call, target, is_given, &mut filled);
        }
        filled
    }

    /// One of several inputs must be given: the first that can be filled in, where none is.
    fn fill_group(&mut self, group: &[String], call: &Call, target: Target<'a>, is_given: &dyn Fn(usize) -> bool, filled: &mut Filled) {
        let inputs = &target.operation.inputs;
        let members: Vec<(usize, &'a Input)> =
            group.iter().filter_map(|name| inputs.iter().enumerate().find(|(_, input)| input.name == *name)).collect();
        if members.iter().any(|(at, _)| is_given(*at)) {
            return;
        }
        let mut several = None;
        for (at, input) in &members {
            match self.find(input, target) {
                Found::None => {}
                Found::Several(names) => several = several.or(Some((*at, *input, names))),
                found @ (Found::One(_) | Found::Resolver(_)) => {
                    self.take(found, *at, input, call, target, filled);
                    return;
                }
            }
        }
        if let Some((at, input, names)) = several {
            self.take(Found::Several(names), at, input, call, target, filled);
            return;
        }
        let names: Vec<&str> = members.iter().map(|(_, input)| input.name.as_str()).collect();
        let example = members.first().map_or(String::new(), |(_, input)| self.example_call(target, input));
        let diagnostic = self
            .diagnostic(Code::E401, call.span, format!("`{}` needs {}", target.name(), listed(&names, "or")))
            .label("none of them is given, and nothing in the event could be one")
            .help(format!("for example {example}"));
        self.report(diagnostic);
    }

    /// Uses what was found for an input, or says why there is nothing.
    fn take(&mut self, found: Found<'a>, at: usize, input: &'a Input, call: &Call, target: Target<'a>, filled: &mut Filled) {
        match found {
            Found::One(candidate) => {
                let Some(value) = self.sure(&candidate, input, call, target) else { return };
                filled.args.push((at, arg(&input.name, value, call.span)));
            }
            Found::Resolver(way) => {
                let Some(value) = self.sure(&way.from, way.input, call, target) else { return };
                let name = self.free_name(&step_name(way.record), way.connection);
                let step = resolving_step(&way, value, &name, call.span);
                self.synthetic += 1;
                self.step(&step);
                self.synthetic -= 1;
                filled.before.push(step);
                let value = field(expr(ExprKind::Name(ident(&name, call.span)), call.span), way.key, call.span);
                filled.args.push((at, arg(&input.name, value, call.span)));
            }
            Found::Several(names) => {
                let mut diagnostic = self
                    .diagnostic(Code::E402, call.span, format!("several values could be `{}`", input.name))
                    .label(listed(&names, "or"))
                    .help(format!("`{}` needs {}, and the compiler does not choose: say which", target.name(), words(split(&input.ty).0)));
                for name in names.iter().take(3) {
                    let text = format!("{}: {name}", input.name);
                    diagnostic.fixes.push(Fix { title: format!("`{text}`"), edits: vec![argument_edit(call, &text)], safe: false });
                }
                self.report(diagnostic);
            }
            Found::None => self.not_given(input, call, target),
        }
    }

    /// A required input that nothing fills in.
    fn not_given(&mut self, input: &Input, call: &Call, target: Target<'a>) {
        let (ty, _) = split(&input.ty);
        let label = match ty {
            Type::Text(TextKind::Plain) | Type::Bool | Type::Int(_) | Type::Number | Type::Json => format!("it is {ty}"),
            _ if matches!(self.event, Event::Known(_)) => format!("it is {ty}, and nothing in the event is one"),
            _ => format!("it is {ty}"),
        };
        let docs = if input.docs.is_empty() { String::new() } else { format!("{} ", input.docs) };
        let example = self.example_call(target, input);
        let diagnostic = self
            .diagnostic(Code::E401, call.span, format!("`{}` needs `{}`", target.name(), input.name))
            .label(label)
            .help(format!("{docs}For example {example}"));
        self.report(diagnostic);
    }

    fn example_call(&self, target: Target<'a>, input: &Input) -> String {
        let (ty, _) = split(&input.ty);
        let example = match ty {
            Type::Text(TextKind::Id(connector, record)) => {
                let maker = self.catalog.connectors.get(connector).and_then(|connector| {
                    connector.operations.values().find(|op| {
                        !op.internal && matches!(op.output.required(), Type::Record(found) if found.name == *record)
                    })
                });
                match maker {
                    Some(op) if op.action => format!("{}.id` after `{connector}.{}(…) as {}", step_name(record), op.name, step_name(record)),
                    Some(op) => format!("{}.id` after `let {} = {connector}.{}(…)", step_name(record), step_name(record), op.name),
                    None => "…".to_owned(),
                }
            }
            ty => super::super::mend::example(ty).unwrap_or_else(|| "…".to_owned()),
        };
        match example.split_once('`') {
            Some((value, rest)) => format!("`{}({}: {value})`{rest}`", target.name(), input.name),
            None => format!("`{}({}: {example})`", target.name(), input.name),
        }
    }

    // ------------------------------------------------------------------------------------------ candidates

    fn find(&self, input: &'a Input, target: Target<'a>) -> Found<'a> {
        if self.frame.own.is_some() {
            return Found::None;
        }
        let (ty, _) = split(&input.ty);
        match ty {
            Type::Text(TextKind::Plain | TextKind::Secret) => return Found::None,
            Type::Text(_) => {}
            _ => return Found::None,
        }
        match self.best(input, &input.roles) {
            Found::None => {}
            found => return found,
        }
        let Type::Text(TextKind::Id(connector, record)) = ty else { return Found::None };
        // A resolver is an action: it has no place in a `let`.
        if self.steps.query_path.is_some() {
            return Found::None;
        }
        let Some(owner) = self.catalog.connectors.get(connector) else { return Found::None };
        let Some(connection) = self.connection_of(owner, target) else { return Found::None };
        let mut ways = Vec::new();
        for resolver in owner.resolvers.iter().filter(|resolver| resolver.record == *record) {
            match self.way(connection, owner, resolver, &input.roles) {
                Ok(Some(way)) => ways.push(way),
                Ok(None) => {}
                Err(several) => return Found::Several(several),
            }
        }
        match ways.len() {
            0 => Found::None,
            1 => ways.pop().map_or(Found::None, |way| Found::Resolver(Box::new(way))),
            _ => Found::Several(ways.iter().map(|way| format!("{}.id", step_name(way.record))).collect()),
        }
    }

    /// The one value of the input's semantic type: with its role, else the only one.
    fn best(&self, input: &'a Input, roles: &[String]) -> Found<'a> {
        let mut all = self.candidates(input, roles);
        if all.iter().any(|candidate| candidate.same_role) {
            all.retain(|candidate| candidate.same_role);
        }
        match all.len() {
            0 => Found::None,
            1 => all.pop().map_or(Found::None, |candidate| Found::One(Box::new(candidate))),
            _ => Found::Several(all.into_iter().map(|candidate| candidate.text).collect()),
        }
    }

    fn candidates(&self, input: &'a Input, roles: &[String]) -> Vec<Candidate<'a>> {
        let (want, _) = split(&input.ty);
        let span = Span::default();
        let mut found = Vec::new();
        if let Event::Known(source) = self.event {
            for field in &source.record.fields {
                let (ty, optional) = split(&field.ty);
                if ty != want || field.personal && !input.accepts_personal {
                    continue;
                }
                let place = Place { root: Root::Event, path: Cow::Borrowed(field.name.as_str()) };
                found.push(Candidate {
                    expr: self.event_expr(&field.name, span),
                    text: self.spell(&place),
                    optional: optional && !self.facts.is_present(&place),
                    same_role: field.roles.iter().any(|role| role != "key" && roles.contains(role)),
                    docs: &field.docs,
                    place: Some(place),
                });
            }
        }
        for binding in self.bindings.iter().filter(|binding| binding.failed.is_none()) {
            let place = Place { root: Root::Binding(binding.id), path: Cow::Borrowed("") };
            let optional = binding.optional && !self.facts.is_present(&place);
            let name = expr(ExprKind::Name(ident(&binding.name, span)), span);
            if *binding.ty == *want {
                if binding.personal && !input.accepts_personal {
                    continue;
                }
                let text = binding.name.clone();
                found.push(Candidate { expr: name, text, place: Some(place), optional, same_role: false, docs: binding.docs });
            } else if let Some(record) = self.record(&binding.ty)
                && let Some(key) = record.fields.iter().find(|field| field.ty == *want && field.roles.iter().any(|role| role == "key"))
            {
                let text = format!("{}.{}", binding.name, key.name);
                let place = Some(place.member(&key.name));
                let expr = self::field(name, &key.name, span);
                found.push(Candidate { expr, text, place, optional, same_role: false, docs: &key.docs });
            }
        }
        found
    }

    /// A field of the event as it is written here.
    fn event_expr(&self, name: &str, span: Span) -> Expr {
        let bare = ExprKind::Name(ident(name, span));
        if self.is_hidden(name) { field(expr(ExprKind::Name(ident("event", span)), span), name, span) } else { expr(bare, span) }
    }

    fn connection_of(&self, owner: &Connector, target: Target<'a>) -> Option<&'a str> {
        if owner.name == target.connector.name {
            return Some(target.connection);
        }
        let mut of_owner = self.connections.iter().filter(|(_, connector)| connector.name == owner.name);
        match (of_owner.next(), of_owner.next()) {
            (Some((name, _)), None) => Some(name.as_str()),
            _ => None,
        }
    }

    /// A resolver, where the event has what it starts from.
    fn way(
        &self,
        connection: &'a str,
        owner: &'a Connector,
        resolver: &'a Resolver,
        roles: &[String],
    ) -> Result<Option<Way<'a>>, Vec<String>> {
        let Some(action) = owner.operations.get(&resolver.action) else { return Ok(None) };
        let mut takes = action.inputs.iter().filter(|input| split(&input.ty).0.to_string() == resolver.from);
        let (Some(input), None) = (takes.next(), takes.next()) else { return Ok(None) };
        // Whatever else it needs would have to be guessed.
        if action.inputs.iter().any(|other| other.is_required() && other.name != input.name) {
            return Ok(None);
        }
        let key = owner
            .records
            .get(&resolver.record)
            .and_then(|record| record.fields.iter().find(|field| field.roles.iter().any(|role| role == "key")));
        let Some(key) = key else { return Ok(None) };
        let roles = if input.roles.is_empty() { roles } else { &input.roles };
        match self.best(input, roles) {
            Found::One(from) => {
                Ok(Some(Way { connection, action, input, record: &resolver.record, key: &key.name, from: *from }))
            }
            Found::Several(names) => Err(names),
            Found::Resolver(_) | Found::None => Ok(None),
        }
    }

    /// Returns the candidate as a value that is there: by a `require`, which is told.
    fn sure(&mut self, candidate: &Candidate<'a>, input: &Input, call: &Call, target: Target<'a>) -> Option<Expr> {
        let value = respan(&candidate.expr, call.span);
        if !candidate.optional {
            return Some(value);
        }
        let text = candidate.text.clone();
        let mut fixes = Vec::new();
        fixes.extend(candidate.place.as_ref().and_then(|place| self.present_in_where(place)));
        if self.settings.strict {
            let mut diagnostic = self
                .diagnostic(Code::E302, call.span, format!("`{text}` can be missing, and would be filled in for `{}`", input.name))
                .label(candidate.docs)
                .help("with `--strict` nothing is filled in from a field that can be missing");
            let written = format!("{}: require {text}", input.name);
            if target.operation.inputs.iter().any(|known| std::ptr::eq(known, input)) {
                fixes.push(Fix { title: format!("`{written}`"), edits: vec![argument_edit(call, &written)], safe: false });
            }
            diagnostic.fixes = fixes;
            self.report(diagnostic);
            return None;
        }
        // What happens in an `on error` cannot be known before the failure that it answers.
        let hoists = self.effect_before
            && !self.in_handler
            && candidate.place.as_ref().is_some_and(|place| matches!(place.root, Root::Event | Root::Raw));
        if self.quiet == 0 {
            let label = if hoists {
                format!("`{text}` is filled in, and required before the first step, whether or not this one is reached")
            } else {
                format!("`{text}` is filled in, and required")
            };
            let mut diagnostic = self
                .diagnostic(Code::W403, call.span, format!("an event without `{text}` ends in the dead letters here"))
                .label(label)
                .help(if candidate.docs.is_empty() { "it can be missing".to_owned() } else { format!("it can be missing: {}", candidate.docs) });
            diagnostic.fixes = fixes;
            self.report(diagnostic);
        }
        let required = expr(ExprKind::Require(value.clone()), call.span);
        match candidate.place.clone() {
            // Nothing may have happened when it turns out to be missing.
            Some(place) if hoists => {
                let checked = self.value(&required);
                self.build.push_first(Instr::Require(checked.expr));
                self.facts.learn_always(place);
                self.hoisted.push(step(StepKind::Require(value.clone()), call.span));
                Some(value)
            }
            _ => Some(required),
        }
    }

    // ------------------------------------------------------------------------------------------ summaries

    /// Fills in the inputs that a summary of the event is made for.
    pub(super) fn fill_summaries(&mut self, call: &Call, target: Target<'a>, is_given: &dyn Fn(usize) -> bool, filled: &mut Filled) {
        for (at, input) in target.operation.inputs.iter().enumerate() {
            if is_given(at) || !input.summary || !input.is_required() {
                continue;
            }
            let chosen = match self.event {
                Event::Known(source) if self.frame.own.is_none() => {
                    source.connector.summaries(source.trigger).find_map(|summary| self.fitting(summary, input, call.span))
                }
                Event::Known(_) | Event::None | Event::Unknown => None,
            };
            match chosen {
                Some(value) => filled.args.push((at, arg(&input.name, value, call.span))),
                None if matches!(self.event, Event::Unknown) => {}
                None => self.not_given(input, call, target),
            }
        }
    }

    /// Returns the summary where all that it names is there and may go to the input.
    fn fitting(&mut self, summary: &TextLit, input: &Input, span: Span) -> Option<Expr> {
        let parts = summary
            .parts
            .iter()
            .map(|part| match part {
                TextPart::Text(text) => TextPart::Text(text.clone()),
                TextPart::Expr(inner) => TextPart::Expr(self.respell(inner, span)),
            })
            .collect::<Vec<_>>();
        let reads = self.reads.len();
        let mark = self.facts.mark();
        let before = std::mem::take(&mut self.quiet_error);
        self.quiet += 1;
        let fits = parts.iter().all(|part| match part {
            TextPart::Text(_) => true,
            TextPart::Expr(inner) => {
                let value = self.value(inner);
                !value.optional && !value.is_unknown() && (!value.personal || input.accepts_personal)
            }
        });
        self.quiet -= 1;
        let failed = std::mem::replace(&mut self.quiet_error, before);
        self.facts.reset(mark);
        if !fits || failed {
            self.reads.truncate(reads);
            return None;
        }
        Some(expr(ExprKind::Text(TextLit { span, quote: summary.quote, parts }), span))
    }

    /// Writes the names of a summary as they are understood here.
    fn respell(&self, inner: &Expr, span: Span) -> Expr {
        let kind = match inner.kind.as_ref() {
            ExprKind::Name(name) => {
                // Beside a step named `customer`, `customer_email` could be taken for something of it.
                let alike = |binding: &str| name.text.strip_prefix(binding).is_some_and(|rest| rest.starts_with('_'));
                if self.is_hidden(&name.text) || self.bindings.iter().any(|binding| alike(&binding.name)) {
                    ExprKind::Field(expr(ExprKind::Name(ident("event", span)), span), ident(&name.text, span))
                } else {
                    ExprKind::Name(ident(&name.text, span))
                }
            }
            ExprKind::Field(base, name) => ExprKind::Field(self.respell(base, span), ident(&name.text, span)),
            ExprKind::Else(value, default) => ExprKind::Else(self.respell(value, span), self.respell(default, span)),
            ExprKind::Paren(value) => ExprKind::Paren(self.respell(value, span)),
            ExprKind::Call(call) => {
                let mut call = call.clone();
                for arg in &mut call.args {
                    arg.value = self.respell(&arg.value, span);
                }
                ExprKind::Call(call)
            }
            other => other.clone(),
        };
        expr(kind, span)
    }

    // ------------------------------------------------------------------------------------------ the expanded flow

    /// A name for a step of the compiler: nothing that the source says may come to mean it.
    fn free_name(&self, wanted: &str, connection: &str) -> String {
        let text = self.node.map_or("", |node| node.span.text(self.frame.source));
        let free = |name: &str| {
            self.binding(name).is_none()
                && !self.connections.contains_key(name)
                && !super::super::check::is_reserved(name)
                && !super::super::expr::is_builtin(name)
                && !has_word(text, name)
        };
        if free(wanted) {
            return wanted.to_owned();
        }
        let longer = format!("{connection}_{wanted}");
        if free(&longer) {
            return longer;
        }
        (2..).map(|number| format!("{longer}_{number}")).find(|name| free(name)).unwrap_or(longer)
    }

    /// Keeps what was filled in, for `flowc expand`.
    pub(super) fn keep(&mut self, call: &Call, filled: Filled) {
        if self.synthetic == 0 && self.frame.depth == 0 && !(filled.args.is_empty() && filled.before.is_empty()) {
            let args = filled.args.into_iter().map(|(_, arg)| arg).collect();
            self.fills.push(Fill { at: call.span, before: filled.before, args });
        }
    }
}

/// `kustomer.find_or_create_customer(email: require customer_email) as customer`.
fn resolving_step(way: &Way<'_>, value: Expr, name: &str, span: Span) -> Step {
    let call = Call {
        span,
        path: vec![ident(way.connection, span), ident(&way.action.name, span)],
        args: vec![arg(&way.input.name, value, span)],
        has_parens: true,
    };
    let call = CallStep { call, name: Some(ident(name, span)), retry: None, on_error: None };
    step(StepKind::Call(call), span)
}

fn step(kind: StepKind, span: Span) -> Step {
    Step { span, docs: Docs::default(), kind }
}

fn arg(name: &str, value: Expr, span: Span) -> Arg {
    Arg { span, name: Some(ident(name, span)), value }
}

fn ident(name: &str, span: Span) -> Ident {
    Ident { text: name.to_owned(), span }
}

fn expr(kind: ExprKind, span: Span) -> Expr {
    Expr { span, kind: Box::new(kind) }
}

fn field(base: Expr, name: &str, span: Span) -> Expr {
    expr(ExprKind::Field(base, ident(name, span)), span)
}

/// A name or a field of one, with another span.
fn respan(inner: &Expr, span: Span) -> Expr {
    let kind = match inner.kind.as_ref() {
        ExprKind::Name(name) => ExprKind::Name(ident(&name.text, span)),
        ExprKind::Field(base, name) => ExprKind::Field(respan(base, span), ident(&name.text, span)),
        other => other.clone(),
    };
    expr(kind, span)
}

/// The edit that adds an argument to a call.
fn argument_edit(call: &Call, text: &str) -> Edit {
    match call.args.last() {
        Some(last) => Edit { span: last.span.after(), text: format!(", {text}") },
        None if call.has_parens => {
            let at = call.span.end.saturating_sub(1);
            Edit { span: Span { start: at, end: at }, text: text.to_owned() }
        }
        None => Edit { span: call.path.last().map_or(call.span, |last| last.span).after(), text: format!("({text})") },
    }
}

/// Tells whether a text has a word that is not behind a dot.
fn has_word(text: &str, word: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let behind = text.get(at + word.len()..).and_then(|rest| rest.chars().next());
        before.is_none_or(|c| !inside(c) && c != '.') && behind.is_none_or(|c| !inside(c))
    })
}
