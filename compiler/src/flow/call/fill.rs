//! Filling in what is not given: the schema's default, else the one best candidate, never a guess.
//!
//! What is filled in is written as syntax and then checked like anything else, so that the expanded flow and the flow
//! as written are one program.

use flow_grammar::span::Span;
use flow_grammar::syntax::{Arg, Call, Expr, ExprKind, Step, StepKind};
use flow_plan::Instr;
use flow_plan::ty::{TextKind, Type};

use super::super::check::{Checker, listed};
use super::super::event::Event;
use super::super::expand::Fill;
use super::super::fact::Root;
use super::super::fit::words;
use super::super::step_name;
use super::super::typed::split;
use super::Target;
use super::candidate::{Candidate, Found, Leads, Resolving};
use super::write::{arg, argument_edit, expr, field, has_word, ident, resolving_step, respan, step};
use crate::catalog::Input;
use crate::code::Code;
use crate::diagnostic::Fix;

/// What was filled in at one call.
#[derive(Debug, Default)]
pub(super) struct Filled {
    /// Inputs by their place, with their arguments.
    pub(super) args: Vec<(usize, Arg)>,
    /// Steps that stand before the call.
    before: Vec<Step>,
    /// Arguments that went into those steps.
    gone: Vec<Span>,
    /// What goes into flow.lock: key, value, reason.
    pub(super) told: Vec<(String, String, String)>,
}

impl<'a> Checker<'a> {
    /// Fills in the required inputs that are not given, all but summaries.
    pub(super) fn fill(
        &mut self,
        call: &Call,
        target: Target<'a>,
        led: &[(Leads<'a>, &Arg)],
        is_given: &dyn Fn(usize) -> bool,
    ) -> Filled {
        let mut filled = Filled::default();
        for (at, input) in target.operation.inputs.iter().enumerate() {
            if is_given(at) || !input.is_required() || input.summary {
                continue;
            }
            if let Some((leads, arg)) = led.iter().find(|(leads, _)| leads.at == at) {
                filled.gone.push(arg.span);
                self.resolve(&leads.resolver, arg.value.clone(), at, input, call, &mut filled);
                continue;
            }
            let found = self.find(input, target);
            self.take(found, at, input, call, target, &mut filled);
        }
        for group in &target.operation.one_of {
            self.fill_group(group, call, target, is_given, &mut filled);
        }
        self.worth_it(call, target, is_given);
        filled
    }

    /// Says what a call will not do for want of an input.
    fn worth_it(&mut self, call: &Call, target: Target<'a>, is_given: &dyn Fn(usize) -> bool) {
        for (group, because) in &target.operation.warn_unless {
            let given = |(at, input): (usize, &Input)| is_given(at) && group.contains(&input.name);
            if target.operation.inputs.iter().enumerate().any(given) {
                continue;
            }
            let names: Vec<&str> = group.iter().map(String::as_str).collect();
            let diagnostic = self
                .diagnostic(Code::W407, call.span, format!("`{}` without {}", target.name(), listed(&names, "or")))
                .label(because.clone())
                .help("give it one of them; where that is meant, say so in a comment: `# allow W407: …`");
            self.report(diagnostic);
        }
    }

    /// One of several inputs must be given: the first that can be filled in, where none is.
    fn fill_group(
        &mut self,
        group: &[String],
        call: &Call,
        target: Target<'a>,
        is_given: &dyn Fn(usize) -> bool,
        filled: &mut Filled,
    ) {
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
        if matches!(self.event(), Event::Unknown) {
            return; // Reported already: the right trigger may well fill it in.
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
                let Some(value) = self.sure(&candidate, input, call, target, filled) else { return };
                if self.freezes() {
                    let why = candidate.why(split(&input.ty).0);
                    filled.told.push((input.name.clone(), super::super::show::expr(&value), why));
                }
                filled.args.push((at, arg(&input.name, value, call.span)));
            }
            Found::Resolver(way) => {
                let Some(value) = self.sure(&way.from, way.resolver.input, call, target, filled) else { return };
                self.resolve(&way.resolver, value, at, input, call, filled);
            }
            Found::Several(names) => {
                let mut diagnostic = self
                    .diagnostic(Code::E402, call.span, format!("several values could be `{}`", input.name))
                    .label(listed(&names, "or"))
                    .help(format!(
                        "`{}` needs {}, and the compiler does not choose: say which",
                        target.name(),
                        words(split(&input.ty).0)
                    ));
                for name in names.iter().take(3) {
                    let text = format!("{}: {name}", input.name);
                    diagnostic.fixes.push(Fix {
                        title: format!("`{text}`"),
                        edits: vec![argument_edit(call, &text)],
                        safe: false,
                    });
                }
                self.report(diagnostic);
            }
            Found::None => self.not_given(input, call, target),
        }
    }

    /// Lets a resolver find what an input is to be, in a step before the call.
    fn resolve(&mut self, way: &Resolving<'a>, value: Expr, at: usize, input: &'a Input, call: &Call, filled: &mut Filled) {
        let name = self.free_name(&step_name(way.record), way.connection);
        let step = resolving_step(way, value, &name, call.span);
        self.synthetic += 1;
        self.step(&step);
        self.synthetic -= 1;
        let value = field(expr(ExprKind::Name(ident(&name, call.span)), call.span), way.key, call.span);
        if self.freezes() {
            let text = flow_grammar::print::print_step(&step);
            let why = format!("the resolver of {} from {}", way.record_name(), words(split(&way.input.ty).0));
            filled.told.push(("do first".to_owned(), text.trim().to_owned(), why));
            let why = format!("what `{name}` is known by");
            filled.told.push((input.name.clone(), super::super::show::expr(&value), why));
        }
        filled.before.push(step);
        filled.args.push((at, arg(&input.name, value, call.span)));
    }

    /// A required input that nothing fills in.
    pub(super) fn not_given(&mut self, input: &Input, call: &Call, target: Target<'a>) {
        if matches!(self.event(), Event::Unknown) {
            return; // Reported already: the right trigger may well fill it in.
        }
        let (ty, _) = split(&input.ty);
        let label = match ty {
            Type::Text(TextKind::Plain) | Type::Bool | Type::Int(_) | Type::Number | Type::Json => format!("it is {ty}"),
            _ if matches!(self.event(), Event::Known(_) | Event::Several) => {
                format!("it is {ty}, and nothing in the event is one")
            }
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
                    connector
                        .operations
                        .values()
                        .find(|op| !op.internal && matches!(op.output.required(), Type::Record(found) if found.name == *record))
                });
                match maker {
                    Some(op) if op.action => {
                        format!("{}.id` after `{connector}.{}(…) as {}", step_name(record), op.name, step_name(record))
                    }
                    Some(op) => {
                        format!("{}.id` after `let {} = {connector}.{}(…)", step_name(record), step_name(record), op.name)
                    }
                    None => "…".to_owned(),
                }
            }
            Type::Money => "10 USD".to_owned(),
            ty => super::super::mend::example(ty).unwrap_or_else(|| "…".to_owned()),
        };
        match example.split_once('`') {
            Some((value, rest)) => format!("`{}({}: {value})`{rest}`", target.name(), input.name),
            None => format!("`{}({}: {example})`", target.name(), input.name),
        }
    }

    /// Returns the candidate as a value that is there: by a `require`, which is told.
    fn sure(
        &mut self,
        candidate: &Candidate<'a>,
        input: &Input,
        call: &Call,
        target: Target<'a>,
        filled: &mut Filled,
    ) -> Option<Expr> {
        let value = respan(&candidate.expr, call.span);
        if !candidate.optional {
            return Some(value);
        }
        let text = candidate.text.clone();
        let mut fixes = Vec::new();
        fixes.extend(candidate.place.as_ref().and_then(|place| self.present_in_where(place)));
        if self.settings.strict {
            let mut diagnostic = self
                .diagnostic(
                    Code::E302,
                    call.span,
                    format!("`{text}` can be missing, and would be filled in for `{}`", input.name),
                )
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
        if self.quiet == 0 && !self.settings.quick {
            let label = if hoists {
                format!("`{text}` is filled in, and required before the first step, whether or not this one is reached")
            } else {
                format!("`{text}` is filled in, and required")
            };
            let mut diagnostic = self
                .diagnostic(Code::W403, call.span, format!("an event without `{text}` ends in the dead letters here"))
                .label(label)
                .help(if candidate.docs.is_empty() {
                    "it can be missing".to_owned()
                } else {
                    format!("it can be missing: {}", candidate.docs)
                });
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
                let why = "it can be missing, and steps stand before".to_owned();
                filled.told.push(("require first".to_owned(), candidate.text.clone(), why));
                Some(value)
            }
            _ => Some(required),
        }
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
    pub(super) fn keep(&mut self, call: &Call, target: Target<'a>, mut filled: Filled) {
        for (key, value, why) in std::mem::take(&mut filled.told) {
            self.freeze_fill(call.span, &target.name(), key, &value, why);
        }
        if self.synthetic == 0 && self.frame.depth == 0 && !(filled.args.is_empty() && filled.before.is_empty()) {
            let args = filled.args.into_iter().map(|(_, arg)| arg).collect();
            self.fills.push(Fill { at: call.span, before: filled.before, args, gone: filled.gone });
        }
    }
}
