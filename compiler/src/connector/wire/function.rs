//! The functions of requests.

use flow_grammar::syntax;
use flow_plan::ty::Type;
use flow_plan::{Expr, Function, TimeFormat};

use super::{Scope, Typed};
use crate::code::Code;
use crate::connector::Cx;

/// What a function takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    Text,
    Number,
    Money,
    Instant,
    List,
    Anything,
}

/// The functions, with what they take.
const FUNCTIONS: &[(&str, &[Takes])] = &[
    ("base64", &[Takes::Text]),
    ("currency", &[Takes::Money]),
    ("cut", &[Takes::Text, Takes::Number]),
    ("first", &[Takes::List]),
    ("given", &[Takes::Anything, Takes::Anything]),
    ("hash", &[Takes::Text]),
    ("iso", &[Takes::Instant]),
    ("last", &[Takes::List]),
    ("length", &[Takes::Anything]),
    ("lower", &[Takes::Text]),
    ("minor", &[Takes::Money]),
    ("trim", &[Takes::Text]),
    ("unix", &[Takes::Instant]),
    ("unix_ms", &[Takes::Instant]),
    ("upper", &[Takes::Text]),
];

impl Takes {
    fn accepts(self, ty: &Type) -> bool {
        match (self, ty) {
            (_, Type::Unknown | Type::Json) | (Takes::Anything, _) => true,
            (Takes::Text, ty) => matches!(ty, Type::Text(_) | Type::Enum { .. }),
            (Takes::Number, ty) => matches!(ty, Type::Int(_) | Type::Number),
            (Takes::Money, ty) => matches!(ty, Type::Money),
            (Takes::Instant, ty) => matches!(ty, Type::DateTime),
            (Takes::List, ty) => matches!(ty, Type::List(_)),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Takes::Text => "a text",
            Takes::Number => "a number",
            Takes::Money => "money",
            Takes::Instant => "a time",
            Takes::List => "a list",
            Takes::Anything => "a value",
        }
    }
}

/// The function that writes an instant.
pub(super) fn writer(format: TimeFormat) -> Function {
    match format {
        TimeFormat::Unix | TimeFormat::UnixAuto => Function::Unix,
        TimeFormat::UnixMillis => Function::UnixMillis,
        TimeFormat::Iso => Function::Iso,
    }
}

impl Cx<'_> {
    /// A call of a function.
    pub(super) fn function(&mut self, call: &syntax::Call, scope: &Scope<'_>) -> Typed {
        let name = call.path.iter().map(|part| part.text.as_str()).collect::<Vec<_>>().join(".");
        let Some((_, takes)) = FUNCTIONS.iter().find(|(known, _)| *known == name) else {
            let known = FUNCTIONS.iter().map(|(known, _)| *known);
            let span = call.path.first().map_or(call.span, |first| first.span);
            if self.operation_nodes.contains_key(name.as_str()) {
                let diagnostic = self.mistake(call.span, format!("`{name}` is an operation, not a function"));
                self.push(diagnostic.help("one request cannot use another; make an operation of steps that calls both"));
            } else {
                self.unknown(span, format!("there is no function `{name}`"), &name, known);
            }
            return Typed::unknown();
        };
        if call.args.len() != takes.len() || call.args.iter().any(|arg| arg.name.is_some()) {
            let wanted: Vec<&str> = takes.iter().map(|takes| takes.word()).collect();
            self.push(self.mistake(call.span, format!("`{name}` takes {}", wanted.join(" and "))));
            return Typed::unknown();
        }
        let mut args = Vec::new();
        for (arg, takes) in call.args.iter().zip(*takes) {
            let typed = self.wire(&arg.value, scope);
            if !takes.accepts(typed.ty.required()) {
                let message = format!("`{name}` takes {}, found {}", takes.word(), typed.ty);
                self.push(self.diagnostic(Code::E301, arg.span, message));
                return Typed::unknown();
            }
            args.push(typed);
        }
        self.apply(&name, args)
    }

    fn apply(&mut self, name: &str, args: Vec<Typed>) -> Typed {
        let missing = args.first().is_some_and(|arg| arg.ty.can_be_missing());
        let element = match args.first().map(|arg| arg.ty.required()) {
            Some(Type::List(element)) => element.as_ref().clone(),
            _ => Type::Unknown,
        };
        let (function, ty) = match name {
            "base64" => (Function::Base64, Type::text()),
            "currency" => (Function::CurrencyCode, Type::text()),
            "cut" => (Function::Cut, Type::text()),
            "first" => (Function::First, element.optional()),
            "given" => return given(args),
            "hash" => (Function::Hash, Type::text()),
            "iso" => (Function::Iso, Type::text()),
            "last" => (Function::Last, element.optional()),
            "length" => (Function::Length, Type::Int(None)),
            "lower" => (Function::Lower, Type::text()),
            "minor" => (Function::Minor(self.exponents.clone()), Type::Int(None)),
            "trim" => (Function::Trim, Type::text()),
            "unix" => (Function::Unix, Type::Int(None)),
            "unix_ms" => (Function::UnixMillis, Type::Int(None)),
            _ => (Function::Upper, Type::text()),
        };
        let ty = if missing { ty.optional() } else { ty };
        Typed::new(Expr::Call(function, args.into_iter().map(|arg| arg.expr).collect()), ty)
    }
}

/// `given(x, value)`: the value where `x` is present, else nothing, so that the field is left out.
///
/// The plan has no conditional expression, and needs none for this: the value stands in a record under "true", and what is
/// looked up there is whether `x` is present.
fn given(args: Vec<Typed>) -> Typed {
    let mut args = args.into_iter();
    let (Some(condition), Some(value)) = (args.next(), args.next()) else { return Typed::unknown() };
    let choice = Expr::Record(vec![("true".to_owned(), value.expr)]);
    let key = Expr::Text(vec![Expr::IsPresent(Box::new(condition.expr))]);
    Typed::new(Expr::Index(Box::new(choice), Box::new(key)), value.ty.optional())
}
