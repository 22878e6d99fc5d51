//! The functions of the language with their types, in one table.

use flow_grammar::syntax::{self, Call, ExprKind};
use flow_plan as plan;
use flow_plan::ty::{TextKind, Type};
use flow_plan::{Function, Value};

use super::super::check::Checker;
use super::super::fit::Target;
use super::super::typed::Typed;
use crate::code::Code;

/// A function as flows see it.
#[derive(Debug)]
pub(in crate::flow) struct Signature {
    /// Its name.
    pub(in crate::flow) name: &'static str,
    /// What it takes.
    takes: Takes,
    /// What it gives.
    gives: Gives,
    function: Function,
    /// What it does, in one line.
    pub(in crate::flow) docs: &'static str,
}

#[derive(Debug, Clone, Copy)]
enum Takes {
    Text,
    TextOrList,
    List,
    Money,
    Instant,
}

#[derive(Debug, Clone, Copy)]
enum Gives {
    Text,
    Whole,
    /// An item of the list, which may be empty.
    Item,
}

/// The functions.
pub(in crate::flow) const FUNCTIONS: &[Signature] = &[
    Signature {
        name: "lower",
        takes: Takes::Text,
        gives: Gives::Text,
        function: Function::Lower,
        docs: "the text in small letters",
    },
    Signature { name: "upper", takes: Takes::Text, gives: Gives::Text, function: Function::Upper, docs: "the text in capitals" },
    Signature {
        name: "trim",
        takes: Takes::Text,
        gives: Gives::Text,
        function: Function::Trim,
        docs: "the text without blanks at its ends",
    },
    Signature {
        name: "length",
        takes: Takes::TextOrList,
        gives: Gives::Whole,
        function: Function::Length,
        docs: "how many characters a text has, or items a list",
    },
    Signature {
        name: "first",
        takes: Takes::List,
        gives: Gives::Item,
        function: Function::First,
        docs: "the first item of a list",
    },
    Signature { name: "last", takes: Takes::List, gives: Gives::Item, function: Function::Last, docs: "the last item of a list" },
    Signature {
        name: "hash",
        takes: Takes::Text,
        gives: Gives::Text,
        function: Function::Hash,
        docs: "the SHA-256 of a text, in hex",
    },
    Signature {
        name: "base64",
        takes: Takes::Text,
        gives: Gives::Text,
        function: Function::Base64,
        docs: "the bytes of a text in Base64",
    },
    Signature {
        name: "currency",
        takes: Takes::Money,
        gives: Gives::Text,
        function: Function::CurrencyCode,
        docs: "the code of a currency in small letters: \"usd\"",
    },
    Signature {
        name: "iso",
        takes: Takes::Instant,
        gives: Gives::Text,
        function: Function::Iso,
        docs: "an instant as text, in UTC: \"2026-11-22T12:00:00.000Z\"",
    },
    Signature {
        name: "unix",
        takes: Takes::Instant,
        gives: Gives::Whole,
        function: Function::Unix,
        docs: "an instant in whole seconds since 1970",
    },
];

/// Functions of the language that do not work yet.
pub(in crate::flow) const PLANNED: &[&str] = &[
    "replace",
    "split",
    "join",
    "sum",
    "min",
    "max",
    "any",
    "all",
    "count",
    "filter",
    "map",
    "round",
    "format",
    "date_of",
    "days_between",
    "random",
];

/// Returns the function of this name.
pub(in crate::flow) fn find(name: &str) -> Option<&'static Signature> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

impl<'a> Checker<'a> {
    /// A call in a value: a function, or a query.
    pub(super) fn call_value(&mut self, expr: &syntax::Expr, call: &Call) -> Typed<'a> {
        if let [name] = call.path.as_slice() {
            let own = self.frame.own.is_some_and(|(connector, _)| connector.operations.contains_key(&name.text));
            if !own && let Some(function) = find(&name.text) {
                return self.function(expr, call, function);
            }
        }
        self.query(expr, call)
    }

    fn function(&mut self, expr: &syntax::Expr, call: &Call, function: &'static Signature) -> Typed<'a> {
        let [arg] = call.args.as_slice() else {
            let diagnostic = self
                .diagnostic(Code::E204, expr.span, format!("`{}` takes one value", function.name))
                .label(format!("found {}", call.args.len()))
                .help(format!("{}: `{}({})`", function.docs, function.name, function.example()));
            self.report(diagnostic);
            return Typed::unknown();
        };
        let value = self.value(&arg.value);
        let item = match (function.takes, value.ty.as_ref()) {
            (_, Type::Unknown) => return Typed::unknown(),
            (Takes::Text | Takes::TextOrList, Type::Text(kind)) if *kind != TextKind::Secret => Type::text(),
            (Takes::Text | Takes::TextOrList, Type::Enum { .. }) => Type::text(),
            (Takes::TextOrList | Takes::List, Type::List(inner)) => inner.as_ref().clone(),
            (Takes::TextOrList, Type::Map(inner)) => inner.as_ref().clone(),
            (Takes::Money, Type::Money) => Type::Money,
            (Takes::Instant, Type::DateTime) => Type::DateTime,
            (_, Type::Json) => Type::Json,
            _ => {
                let target = Target::Function(function.name);
                self.mismatch(&value, function.takes.words(), &arg.value, &target);
                return Typed::unknown();
            }
        };
        let (ty, may_be_empty) = match function.gives {
            Gives::Text => (Type::text(), false),
            Gives::Whole => (Type::Int(None), false),
            Gives::Item => (item, true),
        };
        let optional = value.optional || may_be_empty;
        let personal = value.personal && !matches!(function.gives, Gives::Whole);
        let mut typed = Typed::new(plan::Expr::Call(function.function.clone(), vec![value.expr]), ty.required().clone())
            .optional(optional)
            .personal(personal);
        typed.failed = value.failed;
        typed
    }

    /// `customer_email.lower()`: what other languages call a method.
    pub(in crate::flow) fn method_habit(&mut self, call: &Call) -> bool {
        let [base @ .., last] = call.path.as_slice() else { return false };
        let (Some(first), Some(function)) = (base.first(), find(&last.text)) else { return false };
        if self.connection(&first.text).is_some() {
            return false;
        }
        // Of these the parser has told.
        if matches!(function.name, "lower" | "upper" | "trim") {
            self.broken = true;
            return true;
        }
        let of = base.iter().map(|part| part.text.as_str()).collect::<Vec<_>>().join(".");
        let fixed = format!("{}({of})", function.name);
        let diagnostic = self.diagnostic(Code::E108, call.span, format!("functions stand before their value: `{fixed}`")).fix(
            format!("`{fixed}`"),
            call.span,
            fixed,
            true,
        );
        self.report(diagnostic);
        true
    }
}

impl Signature {
    fn example(&self) -> &'static str {
        match self.takes {
            Takes::Text | Takes::TextOrList => "customer_email",
            Takes::List => "items",
            Takes::Money => "amount",
            Takes::Instant => "created_at",
        }
    }
}

impl Takes {
    fn words(self) -> &'static str {
        match self {
            Takes::Text => "text",
            Takes::TextOrList => "a text or a list",
            Takes::List => "a list",
            Takes::Money => "money",
            Takes::Instant => "datetime",
        }
    }
}

/// Tells whether an expression is a text literal, for messages.
pub(in crate::flow) fn is_text_literal(expr: &syntax::Expr, value: &Typed<'_>) -> bool {
    matches!(expr.kind.as_ref(), ExprKind::Text(_)) && matches!(value.as_const(), Some(Value::Text(_)))
}
