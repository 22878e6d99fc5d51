//! The arguments of a call: those written, and those filled in.

use flow_grammar::span::Span;
use flow_grammar::syntax::{Arg, Call};
use flow_plan as plan;
use flow_plan::Value;
use flow_plan::ty::{TextKind, Type};

use super::super::check::{Checker, listed};
use super::super::fit::Target as Place;
use super::super::mend::Need;
use super::super::typed::{Typed, split};
use super::Target;
use super::candidate::Leads;
use super::fill::Filled;
use crate::catalog::{Input, Operation, OperationBody};
use crate::code::Code;
use crate::diagnostic::{Edit, Fix};
use crate::suggest::nearest;

impl<'a> Checker<'a> {
    /// Checks the arguments and returns one for each input; what must be done before is done.
    pub(super) fn arguments(&mut self, call: &Call, target: Target<'a>) -> Vec<Typed<'a>> {
        let operation = target.operation;
        let mut given: Vec<Option<&Arg>> = vec![None; operation.inputs.len()];
        let mut order = Vec::with_capacity(call.args.len());
        let mut led: Vec<(Leads<'a>, &Arg)> = Vec::new();
        let mut sound = true;
        for arg in &call.args {
            if let Some(leads) = self.led_by(arg, call, target)
                && !led.iter().any(|(known, _)| known.at == leads.at)
            {
                led.push((leads, arg));
                continue;
            }
            match self.input_of(arg, call, target) {
                Some(at) => match given.get_mut(at) {
                    Some(slot @ None) => {
                        *slot = Some(arg);
                        order.push((at, arg));
                    }
                    _ => {
                        let name = operation.inputs.get(at).map_or("", |input| &input.name);
                        let first = given.get(at).copied().flatten().map_or(arg.span, |first| first.span);
                        let diagnostic = self
                            .diagnostic(Code::E205, arg.span, format!("`{name}` is given twice"))
                            .also(first, "the first time");
                        self.report(diagnostic);
                    }
                },
                None => {
                    sound = false;
                    // What was meant for a type is no value.
                    if operation.typed.is_none() {
                        self.value(&arg.value);
                    }
                }
            }
        }
        self.unnamed_inputs(call, target);
        let is_given = |at: usize| given.get(at).is_some_and(Option::is_some);
        // What is filled in may need steps before this one: they come first, whatever the arguments say.
        let mut filled = if sound { self.fill(call, target, &led, &is_given) } else { Filled::default() };

        let mut values: Vec<Option<Typed<'a>>> = vec![None; operation.inputs.len()];
        for (at, arg) in order {
            if let (Some(input), Some(slot)) = (operation.inputs.get(at), values.get_mut(at)) {
                *slot = Some(self.argument(input, &arg.value, target));
            }
        }
        if sound {
            self.fill_summaries(call, target, &is_given, &mut filled);
        }
        for (at, arg) in &filled.args {
            if let (Some(input), Some(slot)) = (operation.inputs.get(*at), values.get_mut(*at)) {
                *slot = Some(self.argument(input, &arg.value, target));
            }
        }
        self.keep(call, target, filled);
        self.freeze_defaults(call, target, &values);
        operation
            .inputs
            .iter()
            .zip(values)
            .map(|(input, value)| {
                value.unwrap_or_else(|| {
                    let expr = input.default.clone().unwrap_or(plan::Expr::Const(Value::Missing));
                    Typed::new(expr, Type::Unknown).optional(input.default.is_none())
                })
            })
            .collect()
    }

    /// One argument.
    fn argument(&mut self, input: &'a Input, expr: &flow_grammar::syntax::Expr, target: Target<'a>) -> Typed<'a> {
        if target.operation.typed.as_ref().is_some_and(|typed| typed.input == input.name) {
            return Typed::new(plan::Expr::Const(self.type_value(input, expr, target.operation)), input.ty.required().clone());
        }
        let (ty, optional) = split(&input.ty);
        let value = self.within_json(target.connector, target.operation, &input.name, |checker| {
            checker.value_for(expr, ty, &Place::Input(&input.name))
        });
        let mut value = if !value.optional || optional {
            value
        } else if let Some(default) = &input.default {
            let mut value = value;
            value.expr = plan::Expr::Else(Box::new(value.expr), Box::new(default.clone()));
            value.optional = false;
            value
        } else {
            self.need(value, expr, &Need::Input(&input.name))
        };
        if let Some(length) = input.length {
            self.check_length(input, expr, &value.expr, length, target);
        }
        if input.escaped {
            value.expr = escaped(value.expr);
        }
        if is_address(target.operation, input) {
            value.expr = addressed(value.expr);
        }
        if *ty == Type::Money && target.operation.action {
            self.check_amount(input, expr, &value);
        }
        // A record is what its fields are.
        value.personal |= self.holds_personal(&value.ty);
        if value.personal && !input.accepts_personal {
            let text = self.text_of(expr);
            let diagnostic = self
                .diagnostic(Code::E803, expr.span, format!("`{text}` is personal data, which `{}` does not take", input.name))
                .label(format!("would reach {} in a place not made for it", target.connector.title))
                .help(personal_help(target));
            self.report(diagnostic);
        }
        if *value.ty == Type::Text(TextKind::Secret) && *ty != Type::Text(TextKind::Secret) {
            let diagnostic = self
                .diagnostic(Code::E803, expr.span, format!("a secret cannot go to `{}`", input.name))
                .label("a secret reaches only the connector that owns it");
            self.report(diagnostic);
        }
        value.place = None;
        value
    }

    /// A text whose length is known must be of a length that the service takes.
    fn check_length(
        &mut self,
        input: &Input,
        expr: &flow_grammar::syntax::Expr,
        value: &plan::Expr,
        length: plan::Length,
        target: Target<'a>,
    ) {
        // What is filled in makes a text longer, never shorter.
        let (known, whole) = match value {
            plan::Expr::Const(Value::Text(text)) => (length.of(text), true),
            plan::Expr::Text(parts) => {
                let known = parts.iter().map(|part| match part {
                    plan::Expr::Const(Value::Text(text)) => length.of(text),
                    _ => 0,
                });
                (known.sum(), false)
            }
            _ => return,
        };
        let (least, most) = (length.least as usize, length.most as usize);
        if self.quiet > 0 || known <= most && (known >= least || !whole) {
            return;
        }
        let unit = length.unit();
        let diagnostic = if known > most {
            let at_least = if whole { "" } else { "at least " };
            self.diagnostic(Code::E301, expr.span, format!("`{}` is longer than {} takes", input.name, target.connector.title))
                .label(format!("{at_least}{known} {unit}, and the most is {most}"))
                .help(format!("`cut(text, {most}{})` shortens a text", if length.bytes { " bytes" } else { "" }))
        } else {
            self.diagnostic(Code::E301, expr.span, format!("`{}` is shorter than {} takes", input.name, target.connector.title))
                .label(format!("{known} {unit}, and the least is {least}"))
        };
        self.report(diagnostic);
    }

    /// An amount that is written out must be one.
    fn check_amount(&mut self, input: &Input, expr: &flow_grammar::syntax::Expr, value: &Typed<'a>) {
        let constant = match &value.expr {
            plan::Expr::Else(_, default) => default.as_ref(),
            other => other,
        };
        let plan::Expr::Const(Value::Money(money)) = constant else { return };
        if self.quiet > 0 || money.amount.is_sign_positive() && !money.amount.is_zero() {
            return;
        }
        let why = if money.amount.is_zero() {
            "an amount of nothing is refused by the service, or means something else there"
        } else {
            "an amount is never below zero: which way the money goes is said by the action"
        };
        let mut diagnostic = self
            .diagnostic(Code::E301, expr.span, format!("`{}` must be more than zero", input.name))
            .label(format!("found {money}"))
            .help(why);
        if !money.amount.is_zero() && matches!(value.expr, plan::Expr::Const(_)) {
            let text = format!("{} {}", money.amount.abs(), money.currency);
            diagnostic = diagnostic.fix(format!("`{text}`"), expr.span, text, false);
        }
        self.report(diagnostic);
    }

    /// `log("…")`: the name of a connection stands for its only operation, whose first input needs no name.
    fn is_short(&self, call: &Call) -> bool {
        call.path.len() == 1 && self.frame.own.is_none()
    }

    /// The input that an argument leads to, where it is called like none.
    fn led_by(&self, arg: &Arg, call: &Call, target: Target<'a>) -> Option<Leads<'a>> {
        let name = arg.name.as_ref()?;
        if target.operation.inputs.iter().any(|input| input.name == name.text) {
            return None;
        }
        let is_given = |input: &str| call.args.iter().any(|arg| arg.name.as_ref().is_some_and(|name| name.text == input));
        self.leads(&name.text, target, &is_given)
    }

    /// The input that an argument is for.
    fn input_of(&mut self, arg: &Arg, call: &Call, target: Target<'a>) -> Option<usize> {
        let inputs = &target.operation.inputs;
        let Some(name) = &arg.name else {
            let first = inputs.len() == 1 || self.is_short(call) && call.args.first() == Some(arg);
            return first.then_some(0);
        };
        let at = inputs.iter().position(|input| input.name == name.text);
        if at.is_none() {
            let mut diagnostic =
                self.diagnostic(Code::E204, name.span, format!("`{}` has no input `{}`", target.name(), name.text));
            if let Some(input) = nearest(&name.text, inputs.iter().map(|input| input.name.as_str()))
                .and_then(|n| inputs.iter().find(|i| i.name == n))
            {
                diagnostic = diagnostic.help(format!("did you mean `{}`? {}", input.name, input.docs).trim_end().to_owned()).fix(
                    format!("`{}`", input.name),
                    name.span,
                    input.name.clone(),
                    true,
                );
            } else if let Some(input) = described_as(&name.text, inputs).filter(|input| !is_named(call, input)) {
                diagnostic = diagnostic.help(format!("did you mean `{}`? {}", input.name, input.docs).trim_end().to_owned()).fix(
                    format!("`{}`", input.name),
                    name.span,
                    input.name.clone(),
                    false,
                );
            } else if let Some(input) = only_text_left(call, inputs) {
                diagnostic = diagnostic.help(format!("did you mean `{}`? {}", input.name, input.docs).trim_end().to_owned()).fix(
                    format!("`{}`", input.name),
                    name.span,
                    input.name.clone(),
                    false,
                );
            } else if inputs.is_empty() {
                diagnostic = diagnostic.help("it has no inputs");
            } else {
                let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
                diagnostic = diagnostic.help(format!("it has {}", listed(&names, "and")));
            }
            self.report(diagnostic);
        }
        at
    }

    /// Values without a name, where only names tell what they are for.
    fn unnamed_inputs(&mut self, call: &Call, target: Target<'a>) {
        let inputs = &target.operation.inputs;
        let unnamed: Vec<&Arg> = call.args.iter().filter(|arg| arg.name.is_none()).collect();
        let skip = usize::from(self.is_short(call) && call.args.first().is_some_and(|arg| arg.name.is_none()));
        let (Some(first), true) = (unnamed.get(skip), inputs.len() != 1) else { return };
        if inputs.is_empty() {
            let diagnostic = self.diagnostic(Code::E204, first.span, format!("`{}` has no inputs", target.name()));
            self.report(diagnostic);
            return;
        }
        let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
        let mut diagnostic = self.diagnostic(Code::E204, first.span, "say which input this is for").help(format!(
            "inputs are given by name: `{}` has {}",
            target.name(),
            listed(&names, "and")
        ));
        // A value that is called like an input was surely meant for it; the others in their order.
        let mut free: Vec<&str> = names
            .iter()
            .copied()
            .filter(|name| !call.args.iter().any(|arg| arg.name.as_ref().is_some_and(|given| given.text == *name)))
            .collect();
        let mut edits = Vec::new();
        let mut titles = Vec::new();
        for arg in &unnamed {
            let text = self.text_of(&arg.value);
            let last = text.rsplit('.').next().unwrap_or_default();
            let at = free.iter().position(|name| *name == last).unwrap_or(0);
            if free.is_empty() {
                return self.report(diagnostic);
            }
            let name = free.remove(at);
            edits.push(Edit { span: Span { start: arg.span.start, end: arg.span.start }, text: format!("{name}: ") });
            titles.push(format!("{name}: {text}"));
        }
        diagnostic.fixes.push(Fix { title: format!("`{}`", titles.join(", ")), edits, safe: false });
        self.report(diagnostic);
    }
}

/// A text whose own words may be markup of the service, and in which no value is.
fn escaped(expr: plan::Expr) -> plan::Expr {
    match expr {
        plan::Expr::Const(_) => expr,
        plan::Expr::Text(parts) => plan::Expr::Text(parts.into_iter().map(escaped).collect()),
        plan::Expr::Else(value, default) => plan::Expr::Else(Box::new(escaped(*value)), Box::new(escaped(*default))),
        value => plan::Expr::Call(plan::Function::EscapeMarkup, vec![value]),
    }
}

/// Tells whether an input is where the request of an operation goes.
fn is_address(operation: &Operation, input: &Input) -> bool {
    let OperationBody::Http(http) = &operation.body else { return false };
    let is_it = |expr: &plan::Expr| matches!(expr, plan::Expr::Input(at) if operation.inputs.get(usize::from(*at)).is_some_and(|known| known.name == input.name));
    match &http.request.address {
        Some(plan::Expr::Else(first, _)) => is_it(first),
        Some(expr) => is_it(expr),
        None => false,
    }
}

/// An address in which each value is one part of a path, or one parameter: of what it holds nothing leads elsewhere, nor asks for
/// more. A value at its beginning may be a whole address, and one before the path a part of the name of the server.
fn addressed(expr: plan::Expr) -> plan::Expr {
    match expr {
        plan::Expr::Else(value, default) => plan::Expr::Else(Box::new(addressed(*value)), Box::new(addressed(*default))),
        plan::Expr::Text(parts) => {
            let mut before = String::new();
            let mut all = Vec::with_capacity(parts.len());
            for part in parts {
                let is_inside = is_behind_server(&before);
                all.push(match part {
                    plan::Expr::Const(Value::Text(text)) => {
                        before.push_str(&text);
                        plan::Expr::Const(Value::Text(text))
                    }
                    part => {
                        before.push('x');
                        let is_encoded = matches!(part, plan::Expr::Call(plan::Function::PercentEncode, _));
                        if is_inside && !is_encoded {
                            plan::Expr::Call(plan::Function::PercentEncode, vec![plan::Expr::Text(vec![part])])
                        } else {
                            part
                        }
                    }
                });
            }
            plan::Expr::Text(all)
        }
        expr => expr,
    }
}

/// Tells whether the beginning of an address has the server whole.
fn is_behind_server(before: &str) -> bool {
    let before = before.trim_start();
    let behind = before.split_once("://").map_or(before, |(_, behind)| behind);
    before.starts_with('/') && !before.starts_with("//") || behind.contains(['/', '?', '#'])
}

/// The one text that must be given and is not.
fn only_text_left<'i>(call: &Call, inputs: &'i [Input]) -> Option<&'i Input> {
    let mut left = inputs.iter().filter(|input| input.is_required() && !is_named(call, input));
    let only = left.next().filter(|input| input.ty == Type::text())?;
    left.next().is_none().then_some(only)
}

fn is_named(call: &Call, input: &Input) -> bool {
    call.args.iter().any(|arg| arg.name.as_ref().is_some_and(|name| name.text == input.name))
}

/// The one input whose description uses this word.
fn described_as<'i>(word: &str, inputs: &'i [Input]) -> Option<&'i Input> {
    let word = word.to_lowercase().replace('_', " ");
    let says = |input: &&Input| {
        let docs = input.docs.to_lowercase();
        word.len() > 2
            && docs.match_indices(&word).any(|(at, found)| {
                let letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
                let before = docs.get(..at).and_then(|text| text.chars().next_back());
                let behind = docs.get(at + found.len()..).and_then(|text| text.chars().next());
                !letter(before) && !letter(behind)
            })
    };
    let is_it = |input: &&Input| input.docs.trim_end_matches('.').to_lowercase().strip_prefix("the ") == Some(&word);
    let mut found = inputs.iter().filter(says);
    inputs.iter().find(is_it).or_else(|| found.next().filter(|_| found.next().is_none()))
}

fn personal_help(target: Target<'_>) -> String {
    let accepting: Vec<&str> =
        target.operation.inputs.iter().filter(|input| input.accepts_personal).map(|input| input.name.as_str()).collect();
    if accepting.is_empty() {
        "no input of this action takes personal data; leave it out".to_owned()
    } else {
        format!("of its inputs {} may get personal data", listed(&accepting, "and"))
    }
}
