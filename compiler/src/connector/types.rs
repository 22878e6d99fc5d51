//! Types as written: what they are in the language, and how the wire holds them.

use flow_grammar::syntax::{self, Ident, TypeExpr, TypeKind};
use flow_plan::ty::{RecordType, TextKind, Type};
use flow_plan::{FieldShape, MoneyUnit, Shape, TimeFormat, Writing};
use rust_decimal::Decimal;

use super::{Cx, literal};
use crate::code::Code;

/// The types that have a name of their own.
const NAMES: &[&str] = &[
    "text", "bool", "int", "number", "money", "date", "time", "datetime", "duration", "json", "list", "map", "email", "phone",
    "url", "country", "locale", "id", "secret",
];

/// A type with how the wire holds it.
#[derive(Debug, Clone)]
pub(super) struct WireType {
    /// With `?` where the value can be missing.
    pub ty: Type,
    /// How it is read; any JSON where the type was wrong.
    pub shape: Shape,
}

/// The parts of a named type.
struct Named<'n> {
    name: &'n Ident,
    args: &'n [TypeExpr],
    words: &'n [Ident],
    money_from: &'n [(syntax::WirePath, syntax::WirePath)],
    exponents: &'n [(Ident, syntax::NumberLit)],
    range: Option<&'n (syntax::NumberLit, syntax::NumberLit)>,
}

impl Cx<'_> {
    /// The type of an input or a setting: nothing is read from a wire.
    pub(super) fn plain_type(&mut self, node: &TypeExpr) -> Type {
        let ty = match &node.kind {
            TypeKind::Enum(members) => self.enum_type(members),
            TypeKind::Record(fields) => Type::Record(RecordType {
                connector: String::new(),
                name: String::new(),
                fields: fields.iter().map(|field| (field.name.text.clone(), self.plain_type(&field.ty))).collect(),
            }),
            TypeKind::Named { name, args, words, money_from, exponents, range } => {
                if let Some(word) = words.first() {
                    let message = format!("`{}` says how a wire holds a value, which an input does not have", word.text);
                    let diagnostic = self.mistake(word.span, message);
                    self.push(diagnostic.help("leave it out; say in the request how it is sent, such as `unix(since)`"));
                }
                if let Some((path, _)) = money_from.first() {
                    self.push(self.mistake(path.span, "only a field of a record is read from somewhere"));
                }
                let named = Named { name, args, words, money_from, exponents, range: range.as_ref() };
                match name.text.as_str() {
                    "list" => Type::List(Box::new(self.argument(&named).map_or(Type::Unknown, |inner| self.plain_type(inner)))),
                    "map" => Type::Map(Box::new(self.argument(&named).map_or(Type::Unknown, |inner| self.plain_type(inner)))),
                    _ => self.scalar(&named),
                }
            }
        };
        if node.optional { ty.optional() } else { ty }
    }

    /// The type of something that is read from an answer or an event.
    pub(super) fn wire_type(&mut self, node: &TypeExpr) -> WireType {
        let WireType { ty, shape } = match &node.kind {
            TypeKind::Enum(members) => {
                let ty = self.enum_type(members);
                let shape = match &ty {
                    Type::Enum { members, open } => Shape::Enum { members: members.clone(), open: *open },
                    _ => Shape::Text,
                };
                WireType { ty, shape }
            }
            TypeKind::Record(nodes) => {
                let fields = self.fields(nodes);
                WireType {
                    ty: Type::Record(RecordType {
                        connector: String::new(),
                        name: String::new(),
                        fields: fields.iter().map(|field| (field.name.clone(), field.ty.clone())).collect(),
                    }),
                    shape: Shape::Record(fields.into_iter().map(|field| field.shape).collect()),
                }
            }
            TypeKind::Named { name, args, words, money_from, exponents, range } => {
                let named = Named { name, args, words, money_from, exponents, range: range.as_ref() };
                self.named_wire_type(&named)
            }
        };
        WireType { ty: if node.optional { ty.optional() } else { ty }, shape }
    }

    fn named_wire_type(&mut self, named: &Named<'_>) -> WireType {
        match named.name.text.as_str() {
            "list" | "map" => {
                let inner = self.argument(named).map(|inner| self.wire_type(inner));
                let WireType { ty, shape } = inner.unwrap_or(WireType { ty: Type::Unknown, shape: Shape::Json });
                if named.name.text == "list" {
                    let shape = if matches!(ty, Type::Optional(_)) { Shape::Optional(Box::new(shape)) } else { shape };
                    let commas = named.words.first().is_some_and(|word| word.text == "comma");
                    let shape = if commas { Shape::Commas(Box::new(shape)) } else { Shape::List(Box::new(shape)) };
                    WireType { ty: Type::List(Box::new(ty)), shape }
                } else {
                    WireType { ty: Type::Map(Box::new(ty)), shape: Shape::Map(Box::new(shape)) }
                }
            }
            "money" => WireType { ty: self.scalar(named), shape: self.money_shape(named) },
            "datetime" => WireType { ty: self.scalar(named), shape: self.instant_shape(named) },
            _ => {
                let ty = self.scalar(named);
                let shape = self.scalar_shape(named, &ty);
                WireType { ty, shape }
            }
        }
    }

    fn scalar_shape(&mut self, named: &Named<'_>, ty: &Type) -> Shape {
        let word = named.words.first();
        if let Some(word) = word {
            let written = match (ty, word.text.as_str()) {
                (Type::Text(_), "base64") => Some(Shape::Written(Writing::Base64)),
                (Type::Text(_), "hex") => Some(Shape::Written(Writing::Hex)),
                (Type::Text(_), "lower") => Some(Shape::Written(Writing::Lower)),
                (Type::Text(_), "upper") => Some(Shape::Written(Writing::Upper)),
                (Type::Text(_), "text" | "string") => Some(Shape::Written(Writing::Text)),
                // Numbers in quotes are read as numbers anyway.
                (Type::Int(_), "text" | "string" | "decimal") => Some(Shape::Integer),
                (Type::Number, "text" | "string" | "decimal") => Some(Shape::Number),
                (Type::Duration, "milliseconds") => Some(Shape::Duration(1)),
                (Type::Duration, "seconds") => Some(Shape::Duration(1_000)),
                (Type::Duration, "minutes") => Some(Shape::Duration(60_000)),
                (Type::Duration, "hours") => Some(Shape::Duration(3_600_000)),
                (Type::Duration, "days") => Some(Shape::Duration(86_400_000)),
                _ => None,
            };
            return written.unwrap_or_else(|| {
                self.push(self.mistake(word.span, format!("{ty} is not written as `{}`", word.text)));
                Shape::Json
            });
        }
        match ty {
            Type::Text(TextKind::Plain) => Shape::Text,
            Type::Text(_) => Shape::Token,
            Type::Bool => Shape::Bool,
            Type::Int(_) => Shape::Integer,
            Type::Number => Shape::Number,
            Type::Date => Shape::Date,
            Type::Time => Shape::Time,
            Type::Duration => {
                let diagnostic = self.mistake(named.name.span, "how does the wire count this duration?");
                self.push(diagnostic.help("write `duration seconds`, `milliseconds`, `minutes`, `hours` or `days`"));
                Shape::Json
            }
            Type::Record(record) => Shape::Record(self.record_shape(&record.name)),
            _ => Shape::Json,
        }
    }

    /// How the fields of a declared record are read.
    fn record_shape(&self, name: &str) -> Vec<FieldShape> {
        let record = self.records.get(name).and_then(Option::as_ref);
        record.into_iter().flat_map(|record| &record.fields).map(|field| field.shape.clone()).collect()
    }

    fn money_shape(&mut self, named: &Named<'_>) -> Shape {
        let unit = match named.words {
            [] => None,
            [word, ..] => match word.text.as_str() {
                "minor" => Some(MoneyUnit::Minor),
                "decimal" | "major" => Some(MoneyUnit::Decimal),
                _ => None,
            },
        };
        let (Some(unit), Some(((amount, currency), instead))) = (unit, named.money_from.split_first()) else {
            let diagnostic = self.mistake(named.name.span, "how does the wire hold this money?");
            self.push(
                diagnostic
                    .advise("`money minor from (amount, currency)`: a whole number of cents")
                    .advise("`money decimal from (amount, currency)`: a number like 12.50"),
            );
            return Shape::Json;
        };
        let mut exponents = self.exponents.clone();
        exponents.extend(self.exponents(named.exponents));
        let instead = instead.iter().map(|(amount, currency)| (self.path(amount), self.path(currency))).collect();
        Shape::Money { amount: self.path(amount), currency: self.path(currency), instead, unit, exponents }
    }

    fn instant_shape(&mut self, named: &Named<'_>) -> Shape {
        let Some(word) = named.words.first() else {
            let diagnostic = self.mistake(named.name.span, "how does the wire write this time?");
            self.push(
                diagnostic
                    .advise("`datetime unix`: seconds since 1970 (`unix_ms`: milliseconds)")
                    .advise("`datetime iso`: like 2026-11-22T12:00:00Z"),
            );
            return Shape::Json;
        };
        self.time_format(word).map_or(Shape::Json, Shape::Instant)
    }

    /// How instants are written, by the word for it.
    pub(super) fn time_format(&mut self, word: &Ident) -> Option<TimeFormat> {
        match word.text.as_str() {
            "unix" | "unix_s" => Some(TimeFormat::Unix),
            "unix_ms" => Some(TimeFormat::UnixMillis),
            "unix_auto" => Some(TimeFormat::UnixAuto),
            "iso" | "rfc3339" => Some(TimeFormat::Iso),
            "unix_us" => Some(TimeFormat::UnixMicros),
            "rfc2822" => Some(TimeFormat::Rfc2822),
            other => {
                let known = ["unix", "unix_ms", "unix_us", "unix_auto", "iso", "rfc2822"];
                self.unknown(word.span, format!("`{other}` is no way to write a time"), other, known);
                None
            }
        }
    }

    fn scalar(&mut self, named: &Named<'_>) -> Type {
        let name = named.name;
        let kind = match name.text.as_str() {
            "text" => TextKind::Plain,
            "email" => TextKind::Email,
            "phone" => TextKind::Phone,
            "url" => TextKind::Url,
            "country" => TextKind::Country,
            "locale" => TextKind::Locale,
            "secret" => TextKind::Secret,
            "id" => return self.id_type(named),
            "bool" => return self.without_range(named, Type::Bool),
            "int" => return Type::Int(self.range(named)),
            "number" => return self.without_range(named, Type::Number),
            "money" => return self.without_range(named, Type::Money),
            "date" => return self.without_range(named, Type::Date),
            "time" => return self.without_range(named, Type::Time),
            "datetime" => return self.without_range(named, Type::DateTime),
            "duration" => return self.without_range(named, Type::Duration),
            "json" => return self.without_range(named, Type::Json),
            _ => return self.record_type(name),
        };
        self.without_range(named, Type::Text(kind))
    }

    fn without_range(&mut self, named: &Named<'_>, ty: Type) -> Type {
        if let Some((low, _)) = named.range {
            let diagnostic = self.mistake(low.span, format!("`{ty}` has no bounds"));
            self.push(diagnostic.help("bounds are for `int`: `int 1..5`"));
        }
        if let Some(arg) = named.args.first() {
            self.push(self.mistake(arg.span, format!("`{ty}` is of nothing else")));
        }
        ty
    }

    fn range(&mut self, named: &Named<'_>) -> Option<(Decimal, Decimal)> {
        let (low, high) = named.range?;
        let bounds = literal::number(low).zip(literal::number(high)).filter(|(low, high)| low <= high);
        if bounds.is_none() {
            self.push(self.mistake(low.span.to(high.span), "the lower bound comes first"));
        }
        bounds
    }

    fn id_type(&mut self, named: &Named<'_>) -> Type {
        let record = match named.args {
            [TypeExpr { kind: TypeKind::Named { name, .. }, .. }] => name,
            _ => {
                let diagnostic = self.mistake(named.name.span, "an id is the id of a record");
                self.push(diagnostic.help("write `id<Customer>`"));
                return Type::text();
            }
        };
        if let Some((connector, record)) = record.text.split_once('.') {
            // Whether the other connector has the record is not known here: connectors are declared one by one.
            return Type::Text(TextKind::Id(connector.to_owned(), record.to_owned()));
        }
        if !self.record_nodes.contains_key(record.text.as_str()) {
            let known: Vec<&str> = self.record_nodes.keys().copied().collect();
            self.unknown(record.span, format!("there is no record `{}`", record.text), &record.text, known);
            return Type::Unknown;
        }
        Type::Text(TextKind::Id(self.node.name.text.clone(), record.text.clone()))
    }

    fn record_type(&mut self, name: &Ident) -> Type {
        if self.record_nodes.contains_key(name.text.as_str()) {
            self.declare_record(name);
            return Type::Record(RecordType {
                connector: self.node.name.text.clone(),
                name: name.text.clone(),
                fields: Vec::new(),
            });
        }
        if let Some(meant) = meant(&name.text) {
            let diagnostic = self
                .diagnostic(Code::E201, name.span, format!("there is no type `{}`", name.text))
                .label("comes from another language")
                .help(format!("here it is `{meant}`"))
                .fix(format!("`{meant}`"), name.span, meant, true);
            self.push(diagnostic);
            return Type::Unknown;
        }
        let known: Vec<&str> = self.record_nodes.keys().copied().chain(NAMES.iter().copied()).collect();
        self.unknown(name.span, format!("there is no type `{}`", name.text), &name.text, known);
        Type::Unknown
    }

    fn argument<'n>(&mut self, named: &Named<'n>) -> Option<&'n TypeExpr> {
        if let [inner] = named.args {
            return Some(inner);
        }
        let name = &named.name.text;
        let diagnostic = self.mistake(named.name.span, format!("a {name} is a {name} of something"));
        self.push(diagnostic.help(format!("write `{name}<text>`")));
        None
    }

    fn enum_type(&mut self, nodes: &[Ident]) -> Type {
        let mut members: Vec<String> = Vec::new();
        let mut open = false;
        for node in nodes {
            if node.text == "other" {
                open = true;
            } else if members.contains(&node.text) {
                self.push(self.diagnostic(Code::E202, node.span, format!("`{}` is there twice", node.text)));
            } else {
                members.push(node.text.clone());
            }
        }
        Type::Enum { members, open }
    }
}

/// What a type of other languages is called here.
pub(crate) fn meant(name: &str) -> Option<&'static str> {
    Some(match name.to_ascii_lowercase().as_str() {
        "string" | "str" | "varchar" | "char" | "uuid" => "text",
        "boolean" => "bool",
        "integer" | "long" | "bigint" | "i64" | "i32" => "int",
        "decimal" | "float" | "double" | "numeric" | "f64" => "number",
        "timestamp" | "instant" => "datetime",
        "object" | "any" | "dict" | "hash" => "json",
        "uri" => "url",
        _ => return None,
    })
}
