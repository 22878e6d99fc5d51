//! Calls of the standard functions: which values go where, whether they fit, and what comes out.
//!
//! What each function takes and gives stands with it, in the crate `flow-functions`.

mod given;
mod habit;
mod item;
mod pattern;
mod result;
mod zone;

use flow_functions::{Form, Given, Habit, Kind, Spec};
use flow_grammar::syntax::{self, Arg, Call, ExprKind};
use flow_plan as plan;
use flow_plan::ty::{TextKind, Type};
use flow_plan::{Function, Value};

use super::super::check::Checker;
use super::super::condition::Position;
use super::super::fit::Target;
use super::super::mend::Partial;
use super::super::typed::Typed;

use given::Values;

/// A value with the argument that gave it.
type Valued<'c, 'a> = (&'c Arg, Typed<'a>);

impl<'a> Checker<'a> {
    /// A call in a value: a function, or a query.
    pub(super) fn call_value(&mut self, expr: &syntax::Expr, call: &Call) -> Typed<'a> {
        match self.called_function(call) {
            Some(spec) => self.function(expr, call, spec, Position::Value).0,
            None => self.query(expr, call),
        }
    }

    /// Returns the function that a call means. A connector's own operations come first.
    pub(in crate::flow) fn called_function(&self, call: &Call) -> Option<&'static Spec> {
        let [name] = call.path.as_slice() else { return None };
        let own = self.frame.own.is_some_and(|(connector, _)| connector.operations.contains_key(&name.text));
        if own { None } else { flow_functions::find(&name.text) }
    }

    /// A call of a function; with what is not sure of it where it asks a list a question.
    pub(in crate::flow) fn function(
        &mut self,
        expr: &syntax::Expr,
        call: &Call,
        spec: &'static Spec,
        position: Position,
    ) -> (Typed<'a>, Vec<Partial<'a>>) {
        let none = (Typed::unknown(), Vec::new());
        if self.other_any(call, spec) {
            return none;
        }
        let Some(first) =
            call.args.iter().find(|arg| arg.name.is_none() || spec.params.first().is_some_and(|p| is_named(arg, p)))
        else {
            self.given(expr, call, spec, false);
            return none;
        };
        let Some(param) = spec.params.first() else { return none };
        // What the first value is decides how the others are read: `max(list, it.amount)`, `max(a, b)`.
        let value = self.value(&first.value);
        let several = param.given == Given::More && !matches!(value.ty.as_ref(), Type::List(_) | Type::Json);
        let Some(values) = self.given(expr, call, spec, several) else { return none };
        if several && values.all.len() == 1 && !value.is_unknown() {
            self.mismatch(&value, "a list, or several values,", &first.value, &Target::Function(spec.name));
            return none;
        }
        let Some(value) = self.taken(first, value, param.takes, &param.words(), spec) else { return none };
        if several {
            return (self.one_of_several(expr, (first, value), &values, spec), Vec::new());
        }
        match &spec.form {
            Form::ForEach(_) | Form::Of(..) => self.over_items((first, value), &values, spec, position),
            Form::Call(function) => (self.of_values(expr, function, (first, value), &values, spec), Vec::new()),
        }
    }

    /// A function of values alone.
    fn of_values(
        &mut self,
        expr: &syntax::Expr,
        function: &Function,
        (first, value): Valued<'_, 'a>,
        values: &Values<'_>,
        spec: &'static Spec,
    ) -> Typed<'a> {
        if let Type::List(item) = value.ty.as_ref()
            && !spec.items.is_empty()
            && !kinds(item).iter().any(|kind| spec.items.contains(kind))
        {
            self.wrong_items(first, &value, spec);
            return Typed::unknown();
        }
        let mut function = function.clone();
        let mut typed = vec![(first, value)];
        let mut zone = None;
        for (param, arg) in spec.params.iter().zip(&values.by_param).skip(1) {
            match (arg, param.takes) {
                (arg, [Kind::Zone]) => match self.zone(expr, *arg, &typed, spec) {
                    zone::Found::Needless => {}
                    zone::Found::Zone(found) => zone = Some(found),
                    zone::Found::Reported => return Typed::unknown(),
                },
                (Some(arg), [Kind::Pattern]) => {
                    let Some(pattern) = self.pattern(arg, &typed) else { return Typed::unknown() };
                    typed.push((arg, pattern));
                }
                // A bound of bytes is another function of the same name.
                (Some(arg), _) if function == Function::CutCharacters && matches!(*arg.value.kind, ExprKind::Bytes(_)) => {
                    let ExprKind::Bytes(number) = arg.value.kind.as_ref() else { continue };
                    let Some(bytes) = self.decimal(number) else { return Typed::unknown() };
                    function = Function::Cut;
                    typed.push((arg, Typed::constant(Value::Number(bytes), Type::Int(None))));
                }
                (Some(arg), takes) => {
                    let value = self.value(&arg.value);
                    let Some(value) = self.taken(arg, value, takes, &param.words(), spec) else { return Typed::unknown() };
                    typed.push((arg, value));
                }
                // Only the last ones can be left out, and then the function knows what they are.
                (None, _) => break,
            }
        }
        let mut result = self.result(spec, &typed, &function);
        let mut args: Vec<plan::Expr> = typed.into_iter().map(|(_, value)| value.expr).collect();
        if let Some(zone) = zone {
            result.optional |= zone.optional;
            result.failed = result.failed.or(zone.failed);
            args.push(zone.expr);
        }
        result.expr = plan::Expr::Call(function, args);
        result
    }

    /// Returns a value that one of the kinds fits, or reports what it is instead.
    fn taken(&mut self, arg: &Arg, value: Typed<'a>, takes: &[Kind], words: &str, spec: &'static Spec) -> Option<Typed<'a>> {
        if value.is_unknown() {
            return None;
        }
        let whole = matches!(value.as_const(), Some(Value::Number(number)) if number.is_integer());
        let fits = kinds(&value.ty).iter().any(|kind| takes.contains(kind)) || whole && takes.contains(&Kind::Whole);
        if fits {
            return Some(value);
        }
        self.mismatch(&value, words, &arg.value, &Target::Function(spec.name));
        None
    }
}

/// Tells whether an argument names this input.
fn is_named(arg: &Arg, param: &flow_functions::Param) -> bool {
    arg.name.as_ref().is_some_and(|name| name.text == param.name)
}

/// Returns the kinds of input that a type fits. JSON holds neither money nor times: they are texts and numbers in it.
pub(super) fn kinds(ty: &Type) -> &'static [Kind] {
    match ty {
        Type::Text(TextKind::Secret) | Type::Nothing => &[],
        Type::Text(_) | Type::Enum { .. } => &[Kind::Text, Kind::Single, Kind::Anything],
        Type::Bool => &[Kind::Bool, Kind::Single, Kind::Anything],
        Type::Int(_) => &[Kind::Whole, Kind::Number, Kind::Single, Kind::Anything],
        Type::Number => &[Kind::Number, Kind::Single, Kind::Anything],
        Type::Money => &[Kind::Money, Kind::Single, Kind::Anything],
        Type::Date => &[Kind::Date, Kind::Single, Kind::Anything],
        Type::Time => &[Kind::Time, Kind::Single, Kind::Anything],
        Type::DateTime => &[Kind::Instant, Kind::Single, Kind::Anything],
        Type::Duration => &[Kind::Duration, Kind::Single, Kind::Anything],
        Type::List(_) => &[Kind::List, Kind::Anything],
        Type::Map(_) => &[Kind::Map, Kind::Anything],
        Type::Record(_) => &[Kind::Anything],
        Type::Json => &[Kind::Text, Kind::Whole, Kind::Number, Kind::Bool, Kind::List, Kind::Map, Kind::Single, Kind::Anything],
        Type::Optional(inner) => kinds(inner),
        Type::Unknown => &[
            Kind::Text,
            Kind::Whole,
            Kind::Number,
            Kind::Money,
            Kind::Date,
            Kind::Time,
            Kind::Instant,
            Kind::Duration,
            Kind::Bool,
            Kind::List,
            Kind::Map,
            Kind::Single,
            Kind::Anything,
        ],
    }
}

/// Returns the function that `value.name` was probably meant to be: one that takes such a value.
pub(super) fn of_value(name: &str, ty: &Type) -> Option<&'static str> {
    let spec = flow_functions::find(name).or_else(|| match flow_functions::habit(name) {
        Some(Habit::Is(known)) => flow_functions::find(known),
        _ => None,
    })?;
    let takes = spec.params.first()?.takes;
    kinds(ty).iter().any(|kind| takes.contains(kind)).then_some(spec.name)
}

/// Tells whether an expression is a text literal, for messages.
pub(in crate::flow) fn is_text_literal(expr: &syntax::Expr, value: &Typed<'_>) -> bool {
    matches!(expr.kind.as_ref(), ExprKind::Text(_)) && matches!(value.as_const(), Some(Value::Text(_)))
}
