//! What a function gives.

use flow_functions::{Gives, Kind, Spec, WEEKDAYS};
use flow_plan as plan;
use flow_plan::ty::Type;
use flow_plan::{Function, Value};

use super::super::super::check::Checker;
use super::super::super::typed::Typed;
use super::Valued;

impl<'a> Checker<'a> {
    /// Returns what a function of these values gives; its expression is still to be made.
    pub(super) fn result(&self, spec: &'static Spec, values: &[Valued<'_, 'a>], function: &Function) -> Typed<'a> {
        let first = values.first().map(|(_, value)| value);
        let of_first = first.map_or(Type::Unknown, |value| value.ty.as_ref().clone());
        let ty = match spec.gives {
            Gives::Same => same(of_first),
            Gives::Rounded => rounded(&of_first, values),
            Gives::Items | Gives::Asked | Gives::Item | Gives::Sum | Gives::Average => of_first,
            fixed => of_kind(fixed),
        };
        let mut typed = Typed::new(plan::Expr::Const(Value::Missing), ty);
        typed.optional = spec.may_fail;
        for (_, value) in values {
            // What JSON turns out to be may be nothing that the function takes.
            let of_json = *value.ty == Type::Json && !takes_anything(spec);
            if of_json && !typed.optional && !value.optional {
                typed.docs = "what JSON holds there may be nothing that the function takes";
            }
            typed.optional |= value.optional || of_json;
            typed.failed = typed.failed.or(value.failed);
            typed.personal |= value.personal;
        }
        typed.personal |= *function == Function::Json && first.is_some_and(|value| self.holds_personal(&value.ty));
        typed.personal &= spec.keeps_personal;
        if let (Some(first), Type::Money, Gives::Same | Gives::Rounded) = (first, typed.ty.as_ref(), spec.gives) {
            typed.currencies.clone_from(&first.currencies);
            typed.currency_at = first.currency_at;
        }
        typed
    }

    /// Returns the type of what is made of a list, and whether there may be none.
    pub(super) fn of_items(&self, spec: &'static Spec, item: &Type, about: &Type) -> (Type, bool) {
        let about = about.required();
        match spec.gives {
            Gives::Items => (Type::List(Box::new(item.clone())), spec.may_fail),
            Gives::Asked => (Type::List(Box::new(about.clone())), spec.may_fail),
            Gives::Item => (about.clone(), spec.may_fail),
            Gives::Sum => match about {
                // Of no amounts, or amounts of two currencies, there is none.
                Type::Money => (Type::Money, true),
                Type::Int(_) => (Type::Int(None), false),
                Type::Json => (Type::Number, true),
                _ => (Type::Number, false),
            },
            Gives::Average => (if *about == Type::Money { Type::Money } else { Type::Number }, true),
            fixed => (of_kind(fixed), spec.may_fail),
        }
    }
}

fn takes_anything(spec: &Spec) -> bool {
    spec.params.first().is_some_and(|param| param.accepts(Kind::Anything))
}

/// A part of a text with a meaning is a plain text; a number within bounds may leave them.
fn same(ty: Type) -> Type {
    match ty {
        Type::Text(_) | Type::Enum { .. } => Type::text(),
        Type::Int(_) => Type::Int(None),
        other => other,
    }
}

/// A number without decimals is a whole one.
fn rounded(ty: &Type, values: &[Valued<'_, '_>]) -> Type {
    let whole = match values.get(1).map(|(_, digits)| digits.as_const()) {
        None => true,
        Some(Some(Value::Number(digits))) => digits.is_zero() || digits.is_sign_negative(),
        Some(_) => false,
    };
    match ty {
        Type::Money => Type::Money,
        Type::Int(_) => Type::Int(None),
        _ if whole => Type::Int(None),
        _ => Type::Number,
    }
}

fn of_kind(gives: Gives) -> Type {
    match gives {
        Gives::Text => Type::text(),
        Gives::Whole => Type::Int(None),
        Gives::Number => Type::Number,
        Gives::Money => Type::Money,
        Gives::Bool => Type::Bool,
        Gives::Date => Type::Date,
        Gives::Time => Type::Time,
        Gives::Instant => Type::DateTime,
        Gives::Json => Type::Json,
        Gives::Texts => Type::List(Box::new(Type::text())),
        Gives::Weekday => Type::Enum { members: WEEKDAYS.iter().map(|day| (*day).to_owned()).collect(), open: false },
        Gives::Same | Gives::Rounded | Gives::Items | Gives::Asked | Gives::Item | Gives::Sum | Gives::Average => Type::Unknown,
    }
}
