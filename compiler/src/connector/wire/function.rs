//! The functions of requests.

use flow_grammar::syntax;
use flow_plan::ty::Type;
use std::collections::BTreeMap;

use flow_plan::{Currency, Expr, Function, TimeFormat, Value};

use super::{Scope, Typed};
use crate::code::Code;
use crate::connector::Cx;

/// What a function takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// Bytes, and nothing that is not bytes already.
    Bytes,
    /// Bytes, or a text whose UTF-8 is meant.
    Signed,
    /// A number, or a time in seconds.
    Counted,
    /// The fields of a request.
    Fields,
    Text,
    Number,
    Money,
    Instant,
    List,
    /// Something that holds or does not.
    Condition,
    Anything,
}

/// The functions, with what they take.
const FUNCTIONS: &[(&str, &[Takes])] = &[
    ("aes_cmac", &[Takes::Bytes, Takes::Signed]),
    ("base64", &[Takes::Signed]),
    ("behind", &[Takes::Text, Takes::Text]),
    ("bytes", &[Takes::Text]),
    ("currency", &[Takes::Money]),
    ("cut", &[Takes::Text, Takes::Number]),
    ("decimal", &[Takes::Money]),
    ("first", &[Takes::List]),
    ("given", &[Takes::Anything, Takes::Anything]),
    ("hash", &[Takes::Text]),
    ("hex", &[Takes::Signed]),
    ("hmac_sha256", &[Takes::Signed, Takes::Signed]),
    ("holds", &[Takes::Condition, Takes::Anything]),
    ("iso", &[Takes::Instant]),
    ("join", &[Takes::List, Takes::Text]),
    ("last", &[Takes::List]),
    ("le32", &[Takes::Counted]),
    ("length", &[Takes::Anything]),
    ("lower", &[Takes::Text]),
    ("md5", &[Takes::Signed]),
    ("md5_sorted", &[Takes::Text, Takes::Fields]),
    ("merge", &[Takes::Fields, Takes::Fields]),
    ("minor", &[Takes::Money]),
    ("minor_in", &[Takes::Money, Takes::Text]),
    ("money_as_text", &[Takes::Anything]),
    ("replace", &[Takes::Text, Takes::Text, Takes::Text]),
    ("sha256", &[Takes::Signed]),
    ("slice", &[Takes::Bytes, Takes::Number, Takes::Number]),
    ("times_as_unix", &[Takes::Anything]),
    ("trim", &[Takes::Text]),
    ("ulid", &[Takes::Instant, Takes::Text]),
    ("unbase64", &[Takes::Text]),
    ("unhex", &[Takes::Text]),
    ("unix", &[Takes::Instant]),
    ("unix_ms", &[Takes::Instant]),
    ("upper", &[Takes::Text]),
    ("wrap", &[Takes::List, Takes::Text]),
];

impl Takes {
    fn accepts(self, typed: &Typed) -> bool {
        if typed.bytes {
            return matches!(self, Takes::Bytes | Takes::Signed);
        }
        match (self, typed.ty.required()) {
            (_, Type::Unknown) | (Takes::Anything, _) => true,
            (Takes::Bytes, _) => false,
            (_, Type::Json) => true,
            (Takes::Counted, ty) => matches!(ty, Type::Int(_) | Type::Number | Type::DateTime),
            (Takes::Fields, ty) => matches!(ty, Type::Map(_) | Type::Record(_)),
            (Takes::Text | Takes::Signed, ty) => matches!(ty, Type::Text(_) | Type::Enum { .. }),
            (Takes::Number, ty) => matches!(ty, Type::Int(_) | Type::Number),
            (Takes::Money, ty) => matches!(ty, Type::Money),
            (Takes::Instant, ty) => matches!(ty, Type::DateTime),
            (Takes::List, ty) => matches!(ty, Type::List(_)),
            (Takes::Condition, ty) => matches!(ty, Type::Bool),
        }
    }

    /// A text whose bytes are meant becomes bytes, a time seconds.
    fn prepared(self, typed: Typed) -> Typed {
        let missing = typed.ty.can_be_missing();
        match self {
            Takes::Signed if !typed.bytes => Typed::bytes(Expr::Call(Function::Bytes, vec![typed.expr]), missing),
            Takes::Counted if matches!(typed.ty.required(), Type::DateTime) => {
                let ty = if missing { Type::Int(None).optional() } else { Type::Int(None) };
                Typed::new(Expr::Call(Function::Unix, vec![typed.expr]), ty)
            }
            _ => typed,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Takes::Bytes => "bytes",
            Takes::Signed => "bytes or a text",
            Takes::Counted => "a number or a time",
            Takes::Fields => "fields, such as `form` or `query`",
            Takes::Text => "a text",
            Takes::Number => "a number",
            Takes::Money => "money",
            Takes::Instant => "a time",
            Takes::List => "a list",
            Takes::Condition => "a condition",
            Takes::Anything => "a value",
        }
    }
}

/// The function that writes an instant.
pub(super) fn writer(format: TimeFormat) -> Function {
    match format {
        TimeFormat::Unix | TimeFormat::UnixAuto => Function::Unix,
        TimeFormat::UnixMillis | TimeFormat::UnixMicros => Function::UnixMillis,
        TimeFormat::Iso | TimeFormat::Rfc2822 => Function::Iso,
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
            if !takes.accepts(&typed) {
                let message = format!("`{name}` takes {}, found {}", takes.word(), typed.word());
                let mut diagnostic = self.diagnostic(Code::E301, arg.span, message);
                if *takes == Takes::Bytes && matches!(typed.ty.required(), Type::Text(_)) && !typed.bytes {
                    diagnostic = diagnostic.help("say what the text holds: `unhex(…)`, `unbase64(…)`, or its own `bytes(…)`");
                }
                self.push(diagnostic);
                return Typed::unknown();
            }
            args.push(takes.prepared(typed));
        }
        self.check_slice(call, &name, &args);
        self.apply(&name, args)
    }

    /// Places that are known are looked at.
    fn check_slice(&mut self, call: &syntax::Call, name: &str, args: &[Typed]) {
        if name != "slice" {
            return;
        }
        let place = |at: usize| match args.get(at).map(|arg| &arg.expr) {
            Some(Expr::Const(Value::Number(number))) => Some(*number),
            _ => None,
        };
        let (from, to) = (place(1), place(2));
        let negative = [from, to].into_iter().flatten().any(|place| place.is_sign_negative() && !place.is_zero());
        if negative || matches!((from, to), (Some(from), Some(to)) if from >= to) {
            let diagnostic = self.mistake(call.span, "this takes no byte at all");
            self.push(diagnostic.help("`slice(bytes, 1, 4)` is from the byte 1, counted from 0, to before the byte 4"));
        }
    }

    fn apply(&mut self, name: &str, args: Vec<Typed>) -> Typed {
        let missing = args.first().is_some_and(|arg| arg.ty.can_be_missing());
        let element = match args.first().map(|arg| arg.ty.required()) {
            Some(Type::List(element)) => element.as_ref().clone(),
            _ => Type::Unknown,
        };
        let function = match name {
            "aes_cmac" => Some(Function::AesCmac),
            "bytes" => Some(Function::Bytes),
            "hmac_sha256" => Some(Function::HmacSha256),
            "le32" => Some(Function::Le32),
            "md5" => Some(Function::Md5),
            "sha256" => Some(Function::Sha256),
            "slice" => Some(Function::SliceBytes),
            "unbase64" => Some(Function::Unbase64),
            "unhex" => Some(Function::Unhex),
            _ => None,
        };
        if let Some(function) = function {
            return Typed::bytes(Expr::Call(function, args.into_iter().map(|arg| arg.expr).collect()), missing);
        }
        let (function, ty) = match name {
            "base64" => (Function::BytesToBase64, Type::text()),
            "hex" => (Function::Hex, Type::text()),
            "md5_sorted" => (Function::Md5Sorted, Type::text()),
            "behind" => (Function::Behind, Type::text()),
            "currency" => (Function::CurrencyCode, Type::text()),
            "cut" => (Function::Cut, Type::text()),
            "first" => (Function::First, element.optional()),
            "given" => return given(args),
            "minor_in" => return minor_in(self.exponents.clone(), args),
            "holds" => return holds(args),
            "decimal" => (Function::DecimalText, Type::text()),
            "merge" => {
                let args = args.into_iter().map(|arg| arg.expr).collect();
                return Typed::new(Expr::Call(Function::Merge, args), Type::Map(Box::new(Type::Json)));
            }
            "money_as_text" => (Function::MoneyAsText, Type::Map(Box::new(Type::Json))),
            "times_as_unix" => (Function::TimesAsUnix, Type::Map(Box::new(Type::Json))),
            "ulid" => (Function::Ulid, Type::text()),
            "wrap" => (Function::Wrap, Type::List(Box::new(Type::Json))),
            "hash" => (Function::Hash, Type::text()),
            "iso" => (Function::Iso, Type::text()),
            "join" => (Function::Join, Type::text()),
            "last" => (Function::Last, element.optional()),
            "length" => (Function::Length, Type::Int(None)),
            "lower" => (Function::Lower, Type::text()),
            "replace" => (Function::Replace, Type::text()),
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

/// `minor_in(money, currency)`: missing where there is no money, and where there is some but no currency, it does not fit: left
/// out, it would mean "all".
fn minor_in(exponents: BTreeMap<Currency, u8>, args: Vec<Typed>) -> Typed {
    let mut args = args.into_iter();
    let (Some(money), Some(currency)) = (args.next(), args.next()) else { return Typed::unknown() };
    let ty = if money.ty.can_be_missing() { Type::Int(None).optional() } else { Type::Int(None) };
    let currency = Expr::Else(Box::new(currency.expr), Box::new(Expr::Const(Value::text(""))));
    Typed::new(Expr::Call(Function::Minor(exponents), vec![money.expr, currency]), ty)
}

/// `given(x, value)`: the value where `x` is present, else nothing, so that the field is left out.
///
/// The plan has no conditional expression, and needs none for this: the value stands in a record under "true", and what is
/// looked up there is whether `x` is present.
fn given(args: Vec<Typed>) -> Typed {
    let mut args = args.into_iter();
    let (Some(condition), Some(value)) = (args.next(), args.next()) else { return Typed::unknown() };
    Typed::new(where_true(Expr::IsPresent(Box::new(condition.expr)), value.expr), value.ty.optional())
}

/// `holds(condition, value)`: the value where the condition holds, else nothing.
fn holds(args: Vec<Typed>) -> Typed {
    let mut args = args.into_iter();
    let (Some(condition), Some(value)) = (args.next(), args.next()) else { return Typed::unknown() };
    Typed::new(where_true(condition.expr, value.expr), value.ty.optional())
}

/// The value where the condition holds, else nothing.
pub(in crate::connector) fn where_true(condition: Expr, value: Expr) -> Expr {
    let choice = Expr::Record(vec![("true".to_owned(), value)]);
    Expr::Index(Box::new(choice), Box::new(Expr::Text(vec![condition])))
}
