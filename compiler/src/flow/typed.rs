//! A checked expression with all that is known about its value.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::rc::Rc;

use flow_grammar::span::Span;
use flow_plan as plan;
use flow_plan::ty::Type;
use flow_plan::{Currency, JsonPath, Value};

use super::fact::{Place, Root};

/// A checked expression.
#[derive(Debug, Clone)]
pub(super) struct Typed<'a> {
    /// What is evaluated.
    pub(super) expr: plan::Expr,
    /// Its type, never [`Type::Optional`].
    pub(super) ty: Cow<'a, Type>,
    /// The value can be missing.
    pub(super) optional: bool,
    /// It could be missing, but is known to be there at this point.
    pub(super) narrowed: bool,
    /// It can be missing because the call at this place may have failed and its failure was handled.
    pub(super) failed: Option<Span>,
    /// Where it comes from.
    pub(super) place: Option<Place<'a>>,
    /// Personal data.
    pub(super) personal: bool,
    /// The currencies that money can have, where they are known.
    pub(super) currencies: Option<Rc<BTreeSet<Currency>>>,
    /// Where the currency of this money is read: two amounts with one such place have one currency.
    pub(super) currency_at: Option<(Root, &'a JsonPath)>,
    /// It is a map whose keys are in lower case, whatever case they came in.
    pub(super) lower_keys: bool,
    /// One line about the field or input, for messages.
    pub(super) docs: &'a str,
}

impl<'a> Typed<'a> {
    /// Returns a value of a type that is there.
    pub(super) fn new(expr: plan::Expr, ty: Type) -> Self {
        Self::with(expr, Cow::Owned(ty))
    }

    /// As [`Typed::new`], for a type of the catalog.
    pub(super) fn with(expr: plan::Expr, ty: Cow<'a, Type>) -> Self {
        Self {
            expr,
            ty,
            optional: false,
            narrowed: false,
            failed: None,
            place: None,
            personal: false,
            currencies: None,
            currency_at: None,
            lower_keys: false,
            docs: "",
        }
    }

    /// Returns a constant.
    pub(super) fn constant(value: Value, ty: Type) -> Self {
        Self::new(plan::Expr::Const(value), ty)
    }

    /// Returns what stands for a mistake that has been reported.
    pub(super) fn unknown() -> Self {
        Self::new(plan::Expr::Const(Value::Missing), Type::Unknown)
    }

    pub(super) fn is_unknown(&self) -> bool {
        *self.ty == Type::Unknown
    }

    /// Returns the constant, if it is one.
    pub(super) fn as_const(&self) -> Option<&Value> {
        match &self.expr {
            plan::Expr::Const(value) => Some(value),
            _ => None,
        }
    }

    #[must_use]
    pub(super) fn optional(mut self, optional: bool) -> Self {
        self.optional = optional;
        self
    }

    #[must_use]
    pub(super) fn personal(mut self, personal: bool) -> Self {
        self.personal = personal;
        self
    }

    /// How the type is written, with its `?`.
    pub(super) fn type_name(&self) -> String {
        if self.optional && !matches!(*self.ty, Type::Json | Type::Unknown) {
            format!("{}?", self.ty)
        } else {
            self.ty.to_string()
        }
    }
}

/// Splits a declared type into itself and its `?`.
pub(super) fn split(ty: &Type) -> (&Type, bool) {
    match ty {
        Type::Optional(inner) => (inner, true),
        Type::Json => (ty, true),
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
        | Type::List(_)
        | Type::Map(_)
        | Type::Record(_)
        | Type::Enum { .. }
        | Type::Nothing => (ty, false),
    }
}
