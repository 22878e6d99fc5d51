//! Money where JSON is sent (E316).
//!
//! An amount has several forms there: cents, major units, a text, with its currency beside it or without. Which of them is
//! meant only the flow can say, unless the connector does (`money_as_text`), so nothing is chosen for it.

use flow_grammar::syntax::{self, Block, Call, ExprKind, StepKind};
use flow_plan as plan;
use flow_plan::ty::Type;
use flow_plan::{Function, Money, Value};

use super::super::check::Checker;
use super::super::fit::Target as Place;
use super::super::typed::Typed;
use crate::catalog::{Connector, Operation, OperationBody};
use crate::code::Code;

/// How deep is looked for money: records can hold each other in a circle.
const DEPTH: usize = 8;

impl<'a> Checker<'a> {
    /// Checks what stands in the JSON of an input, of which the operation may say how money is written.
    pub(in crate::flow) fn within_json<T>(
        &mut self,
        connector: &Connector,
        operation: &Operation,
        input: &str,
        check: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let written = operation
            .inputs
            .iter()
            .position(|declared| declared.name == input && holds_json(&declared.ty))
            .is_some_and(|at| writes_money(connector, operation, at, 0));
        self.with_money_written(written, check)
    }

    /// Checks what stands in JSON where money may stand, or may not.
    pub(in crate::flow) fn with_money_written<T>(&mut self, written: bool, check: impl FnOnce(&mut Self) -> T) -> T {
        let outer = std::mem::replace(&mut self.money_is_written, written);
        let checked = check(self);
        self.money_is_written = outer;
        checked
    }

    /// Reports money that would be sent as JSON, in a value for a place that takes JSON; `true` where there is some.
    pub(in crate::flow) fn money_in_json(
        &mut self,
        value: &Typed<'a>,
        want: &Type,
        expr: &syntax::Expr,
        place: &Place<'_>,
    ) -> bool {
        if self.money_is_written || !holds_json(want) {
            return false;
        }
        let Some(within) = self.money_within(&value.ty, want, 0) else { return false };
        let text = self.text_of(expr);
        let mut diagnostic = self.diagnostic(Code::E316, expr.span, "money has no form of its own in JSON");
        if within.is_empty() {
            diagnostic = diagnostic.label(value.type_name()).help(
                "the service may count it in cents, in whole units or as a text, and takes the wrong one for another amount; write the form that it expects",
            );
            // No brace may stand behind `else`.
            let skip = usize::from(matches!(place, Place::Default));
            for (form, what) in forms(&text, value.as_const()).into_iter().skip(skip) {
                // A text has no hole.
                if value.optional && form.starts_with('"') {
                    continue;
                }
                diagnostic = diagnostic.fix(format!("`{form}`  ({what})"), expr.span, form, false);
            }
        } else {
            let field = within.strip_prefix('.').unwrap_or(&within);
            diagnostic = diagnostic
                .label(format!("its `{field}` is money"))
                .help("write the fields that the service gets one by one, and money in the form that it expects");
            if within.starts_with('.') && !within.contains('[') && value.place.is_some() {
                diagnostic = diagnostic.advise(format!("`{{ {}: \"{{{text}{within}}}\" }}`", last_name(field)));
            }
        }
        self.report(diagnostic);
        true
    }

    /// Where in a type money stands that would be JSON: empty where it is the type itself.
    fn money_within(&self, ty: &Type, want: &Type, depth: usize) -> Option<String> {
        let want = want.required();
        let in_json = matches!(want, Type::Json);
        if depth > DEPTH || !holds_json(want) {
            return None;
        }
        match ty.required() {
            Type::Money if in_json => Some(String::new()),
            Type::List(item) => {
                let inner = match want {
                    Type::List(inner) => inner,
                    other => other,
                };
                self.money_within(item, inner, depth + 1).map(|within| format!("[0]{within}"))
            }
            Type::Map(item) => {
                let inner = match want {
                    Type::Map(inner) => inner,
                    other => other,
                };
                self.money_within(item, inner, depth + 1).map(|within| format!("[…]{within}"))
            }
            ty @ Type::Record(record) => {
                let inner = match want {
                    Type::Map(inner) => inner,
                    other => other,
                };
                let of_literal = record.fields.iter().map(|(name, ty)| (name, ty));
                let declared = self.record(ty).into_iter().flat_map(|record| &record.fields);
                of_literal
                    .chain(declared.map(|field| (&field.name, &field.ty)))
                    .find_map(|(name, ty)| self.money_within(ty, inner, depth + 1).map(|within| format!(".{name}{within}")))
            }
            _ => None,
        }
    }
}

/// The forms that an amount can be written in, the fullest first.
fn forms(text: &str, constant: Option<&Value>) -> [(String, &'static str); 3] {
    let both = "the number and its currency";
    match constant {
        Some(Value::Money(money)) => {
            let Money { amount, currency } = money;
            [
                (format!("{{ amount: {}, currency: \"{currency}\" }}", amount.normalize()), both),
                (format!("\"{money}\""), "a text"),
                (amount.normalize().to_string(), "the number alone"),
            ]
        }
        _ => [
            (format!("{{ amount: amount({text}), currency: currency({text}) }}"), both),
            (format!("\"{{{text}}}\""), "a text: \"19.99 USD\""),
            (format!("amount({text})"), "the number alone, in whole units: 19.99"),
        ],
    }
}

fn last_name(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// Tells whether a place takes JSON, at any depth.
fn holds_json(ty: &Type) -> bool {
    match ty {
        Type::Json => true,
        Type::List(inner) | Type::Map(inner) | Type::Optional(inner) => holds_json(inner),
        Type::Record(record) => record.fields.iter().any(|(_, ty)| holds_json(ty)),
        Type::Unknown
        | Type::Text(_)
        | Type::Bool
        | Type::Int(_)
        | Type::Number
        | Type::Money
        | Type::Date
        | Type::Time
        | Type::DateTime
        | Type::Duration
        | Type::Enum { .. }
        | Type::Nothing => false,
    }
}

/// Tells whether an operation says how money in an input is written.
fn writes_money(connector: &Connector, operation: &Operation, input: usize, depth: usize) -> bool {
    match &operation.body {
        OperationBody::Http(http) => u16::try_from(input).is_ok_and(|input| !sends_as_it_is(&http.request, input)),
        OperationBody::Steps(block) => {
            let Some(name) = operation.inputs.get(input).map(|input| input.name.as_str()) else { return false };
            depth < DEPTH && !passes_on(connector, block, name, depth)
        }
    }
}

/// Tells whether a request has an input in it as the flow gives it.
fn sends_as_it_is(request: &plan::Request, input: u16) -> bool {
    let bodies = request.body.iter().chain(&request.other_bodies).map(|body| &body.value);
    let fields = request.query.iter().map(|field| &field.value).chain(request.headers.iter().map(|(_, value)| value));
    bodies.chain(fields).chain(&request.more_query).chain(&request.more_headers).any(|expr| is_as_it_is(expr, input))
}

fn is_as_it_is(expr: &plan::Expr, input: u16) -> bool {
    match expr {
        plan::Expr::Input(at) => *at == input,
        // In a text money has its display form, and in JSON that is a text the currency stands beside it.
        plan::Expr::Text(_) | plan::Expr::Call(Function::MoneyAsText | Function::Json, _) => false,
        plan::Expr::IsPresent(_) | plan::Expr::IsEmpty(_) => false,
        other => {
            let mut found = false;
            other.each_part(&mut |part| found |= is_as_it_is(part, input));
            found
        }
    }
}

/// Tells whether steps give an input to an operation that sends it as it is.
fn passes_on(connector: &Connector, block: &Block, name: &str, depth: usize) -> bool {
    let as_it_is = |call: &Call| {
        let [operation] = call.path.as_slice() else { return false };
        let Some(operation) = connector.operations.get(&operation.text) else { return false };
        operation.inputs.iter().enumerate().filter(|(_, input)| holds_json(&input.ty)).any(|(at, input)| {
            let given = call.args.iter().find(|arg| arg.name.as_ref().is_none_or(|given| given.text == input.name));
            given.is_some_and(|arg| mentions(&arg.value, name)) && !writes_money(connector, operation, at, depth + 1)
        })
    };
    block.steps.iter().any(|step| match &step.kind {
        StepKind::Call(node) => as_it_is(&node.call),
        StepKind::Let { value, .. } => matches!(value.kind.as_ref(), ExprKind::Call(call) if as_it_is(call)),
        other => other.blocks().into_iter().any(|block| passes_on(connector, block, name, depth)),
    })
}

/// Tells whether an expression has a name in it.
fn mentions(expr: &syntax::Expr, name: &str) -> bool {
    match expr.kind.as_ref() {
        ExprKind::Name(known) => known.text == name,
        ExprKind::Field(base, _) => mentions(base, name),
        ExprKind::Paren(inner) | ExprKind::Require(inner) => mentions(inner, name),
        ExprKind::Index(a, b) | ExprKind::Else(a, b) => mentions(a, name) || mentions(b, name),
        ExprKind::List(items) => items.iter().any(|item| mentions(item, name)),
        ExprKind::Object(fields) => fields.iter().any(|field| match &field.value {
            Some(value) => mentions(value, name),
            None => field.key.text == name,
        }),
        ExprKind::Call(call) => call.args.iter().any(|arg| mentions(&arg.value, name)),
        _ => false,
    }
}
