//! Calls that say what their answer is: `record: acme.Weather`, `fields: { amount: number, due: date }`.
//!
//! The type is written as a value and never is one: the operation of such a call reads its answer as it says, and its input
//! gets the name of the type or, where it takes JSON, the JSON Schema of it.

use std::sync::Arc;

use flow_grammar::syntax::{self, Call, ExprKind};
use flow_plan as plan;
use flow_plan::ty::{RecordType, TextKind, Type};
use flow_plan::{FieldShape, FieldSource, JsonPath, MoneyUnit, Segment, Shape, TimeFormat, Value};

use super::super::check::{Checker, listed};
use super::Target;
use crate::catalog::{self, Operation};
use crate::code::Code;
use crate::connector::meant;
use crate::diagnostic::Diagnostic;
use crate::suggest::nearest;

/// The types that have a name of their own.
const NAMES: &[&str] =
    &["text", "int", "number", "bool", "date", "datetime", "time", "money", "email", "phone", "url", "country", "json"];
/// How deep a type may be.
const DEPTH: usize = 8;

/// What a call says that its answer is.
#[derive(Debug, Clone)]
pub(in crate::flow) struct GivenType {
    pub(super) ty: Type,
    shape: Shape,
    /// As the flow writes it.
    label: String,
    /// What the service is told of it.
    docs: Option<String>,
}

impl GivenType {
    /// What stands for a mistake that has been reported: nothing more is said about the result.
    fn unknown() -> Self {
        GivenType { ty: Type::Unknown, shape: Shape::Json, label: String::new(), docs: None }
    }

    /// The operation that reads its answer so.
    pub(super) fn operation(&self, declared: &Operation, operation: &Arc<plan::Operation>) -> Arc<plan::Operation> {
        let mut operation = plan::Operation::clone(operation);
        operation.answer.shape = Some(self.shape.clone());
        operation.answer.optional = self.ty.can_be_missing();
        if let Some(at) = declared.typed.as_ref().and_then(|typed| typed.at.clone()) {
            operation.answer.at = at;
        }
        Arc::new(operation)
    }
}

impl<'a> Checker<'a> {
    /// Returns what a call says that its answer is, where it does; what is wrong with that is reported.
    pub(super) fn given_type(&mut self, call: &Call, target: Target<'a>) -> Option<GivenType> {
        let typed = target.operation.typed.as_ref()?;
        let given = call.args.iter().find(|arg| arg.name.as_ref().is_some_and(|name| name.text == typed.input));
        let Some(arg) = given else {
            // Without a type there is nothing that could be asked for. A name that is a slip is told by itself.
            if typed.optional {
                let slip = |arg: &syntax::Arg| {
                    arg.name.as_ref().is_some_and(|name| target.operation.inputs.iter().all(|input| input.name != name.text))
                };
                if call.args.iter().any(slip) {
                    return Some(GivenType::unknown());
                }
                let diagnostic = self
                    .diagnostic(Code::E401, call.span, format!("`{}` of `{}` is not given", typed.input, target.name()))
                    .help(format!("say what is to be found: `{}: {{ title: text, amount: number }}`", typed.input));
                self.report(diagnostic);
                return Some(GivenType::unknown());
            }
            return None;
        };
        match self.type_of(&arg.value, typed.optional) {
            Ok(given) => Some(given),
            Err(diagnostic) => {
                self.report(*diagnostic);
                Some(GivenType::unknown())
            }
        }
    }

    /// The value of the input that names a type: its name, or its schema where the input takes JSON.
    pub(super) fn type_value(&self, input: &catalog::Input, expr: &syntax::Expr, operation: &Operation) -> Value {
        let optional = operation.typed.as_ref().is_some_and(|typed| typed.optional);
        // What is wrong with it has been told.
        let Ok(given) = self.type_of(expr, optional) else { return Value::Missing };
        if *input.ty.required() == Type::Json {
            schema(&given.shape, false, given.docs.as_deref())
        } else {
            Value::text(given.label)
        }
    }

    fn type_of(&self, expr: &syntax::Expr, optional: bool) -> Result<GivenType, Box<Diagnostic>> {
        let given = self.read_type(expr, 0)?;
        let given = if optional { self.all_optional(given) } else { given };
        if optional && let Some(what) = unaskable(&given.shape) {
            let diagnostic = self
                .diagnostic(Code::E301, expr.span, format!("{what} cannot be asked for"))
                .help("what is asked for is a text, a number, a date, a choice, a list of such, or a record of them");
            return Err(Box::new(diagnostic));
        }
        Ok(given)
    }

    fn read_type(&self, expr: &syntax::Expr, depth: usize) -> Result<GivenType, Box<Diagnostic>> {
        if depth > DEPTH {
            return Err(Box::new(self.diagnostic(Code::E301, expr.span, "this type is too deep")));
        }
        let label = self.text_of(expr);
        match &*expr.kind {
            ExprKind::Paren(inner) => self.read_type(inner, depth + 1),
            ExprKind::Name(name) => match named(&name.text) {
                Some((ty, shape)) => Ok(GivenType { ty, shape, label, docs: None }),
                None => Err(Box::new(self.no_type(expr, &name.text))),
            },
            ExprKind::Field(of, record) => match &*of.kind {
                ExprKind::Name(connector) => self.record_of(expr, connector, record, label),
                _ => Err(Box::new(self.no_type(expr, &label))),
            },
            ExprKind::List(items) => self.list_type(expr, items, label, depth),
            ExprKind::Object(fields) => self.object_type(fields, label, depth),
            _ => Err(Box::new(self.no_type(expr, &label))),
        }
    }

    fn no_type(&self, expr: &syntax::Expr, name: &str) -> Diagnostic {
        let diagnostic = self.diagnostic(Code::E301, expr.span, format!("`{name}` is no type"));
        if let Some(meant) = meant(name) {
            return diagnostic.label("comes from another language").help(format!("here it is `{meant}`")).fix(
                format!("`{meant}`"),
                expr.span,
                meant,
                true,
            );
        }
        match nearest(name, NAMES.iter().copied()) {
            Some(best) => diagnostic.fix(format!("did you mean `{best}`?"), expr.span, best, false),
            None => diagnostic
                .help("write a record of a connector, such as `acme.Weather`, or the fields: `{ title: text, amount: number }`")
                .advise("`[acme.Weather]` is a list of them, `[\"high\", \"low\"]` one of these texts"),
        }
    }

    fn record_of(
        &self,
        expr: &syntax::Expr,
        connector: &syntax::Ident,
        record: &syntax::Ident,
        label: String,
    ) -> Result<GivenType, Box<Diagnostic>> {
        let found = self
            .connections
            .get(&connector.text)
            .map(AsRef::as_ref)
            .or_else(|| self.catalog.connectors.get(&connector.text).map(AsRef::as_ref));
        let Some(found) = found else {
            let known: Vec<&str> = self.catalog.connectors.keys().collect();
            let diagnostic = self.diagnostic(Code::E201, connector.span, format!("there is no connector `{}`", connector.text));
            return Err(Box::new(match nearest(&connector.text, known.iter().copied()) {
                Some(best) => diagnostic.fix(format!("did you mean `{best}`?"), connector.span, best, false),
                None => {
                    diagnostic.help("a record is declared in a connector: `connector acme \"Acme\" { record Weather { … } }`")
                }
            }));
        };
        let Some(declared) = found.records.get(&record.text) else {
            let known: Vec<&str> = found.records.keys().map(String::as_str).collect();
            let diagnostic = self.diagnostic(
                Code::E201,
                record.span.to(expr.span),
                format!("the connector {} has no record `{}`", found.name, record.text),
            );
            return Err(Box::new(match nearest(&record.text, known.iter().copied()) {
                Some(best) => diagnostic.fix(format!("did you mean `{best}`?"), record.span, best, false),
                None if known.is_empty() || known.len() > 12 => diagnostic,
                None => diagnostic.help(format!("it has {}", listed(&known, "and"))),
            }));
        };
        let ty = Type::Record(RecordType { connector: found.name.clone(), name: declared.name.clone(), fields: Vec::new() });
        let shape = Shape::Record(declared.fields.iter().map(|field| field.shape.clone()).collect());
        let docs = (!declared.docs.is_empty()).then(|| declared.docs.clone());
        Ok(GivenType { ty, shape, label, docs })
    }

    /// `[acme.Weather]` is a list, `["high", "low"]` a choice.
    fn list_type(
        &self,
        expr: &syntax::Expr,
        items: &[syntax::Expr],
        label: String,
        depth: usize,
    ) -> Result<GivenType, Box<Diagnostic>> {
        let texts: Option<Vec<String>> = items
            .iter()
            .map(|item| match &*item.kind {
                ExprKind::Text(text) => text.plain(),
                _ => None,
            })
            .collect();
        match (texts, items) {
            (Some(members), [_, ..]) => {
                let (ty, shape) = (Type::Enum { members: members.clone(), open: false }, Shape::Enum { members, open: false });
                Ok(GivenType { ty, shape, label, docs: None })
            }
            (_, [one]) => {
                let inner = self.read_type(one, depth + 1)?;
                let (ty, shape) = (Type::List(Box::new(inner.ty)), Shape::List(Box::new(inner.shape)));
                Ok(GivenType { ty, shape, label, docs: None })
            }
            _ => {
                let diagnostic = self.diagnostic(Code::E301, expr.span, "a list is of one type, a choice of texts");
                Err(Box::new(diagnostic.help("write `[acme.Weather]`, or `[\"high\", \"low\"]`")))
            }
        }
    }

    fn object_type(&self, nodes: &[syntax::ObjectField], label: String, depth: usize) -> Result<GivenType, Box<Diagnostic>> {
        let (mut types, mut shapes) = (Vec::new(), Vec::new());
        for node in nodes {
            let name = node.key.text.clone();
            let Some(value) = &node.value else {
                let diagnostic = self.diagnostic(Code::E301, node.key.span, format!("of what type is `{name}`?"));
                return Err(Box::new(diagnostic.help(format!("write `{name}: text`"))));
            };
            let inner = self.read_type(value, depth + 1)?;
            let optional = node.optional.is_some();
            types.push((name.clone(), if optional { inner.ty.optional() } else { inner.ty }));
            shapes.push(field(name, inner.shape, optional));
        }
        let ty = Type::Record(RecordType { connector: String::new(), name: String::new(), fields: types });
        Ok(GivenType { ty, shape: Shape::Record(shapes), label, docs: None })
    }

    /// The same with fields that stand under their own names, and of which each can be missing.
    fn all_optional(&self, given: GivenType) -> GivenType {
        let (ty, shape) = self.optional_type(&given.ty, given.shape, 0);
        GivenType { ty, shape, ..given }
    }

    fn optional_type(&self, ty: &Type, shape: Shape, depth: usize) -> (Type, Shape) {
        match (ty.required(), shape) {
            (Type::Record(record), Shape::Record(fields)) if depth <= DEPTH => {
                let declared = self.record(ty.required());
                let (mut types, mut shapes) = (Vec::new(), Vec::new());
                for old in fields {
                    let of_record = || record.fields.iter().find(|(name, _)| *name == old.name).map(|(_, ty)| ty.clone());
                    let of_declared = || declared.and_then(|record| record.field(&old.name)).map(|field| field.ty.clone());
                    let inner = of_declared().or_else(of_record).unwrap_or(Type::Unknown);
                    let (inner, inner_shape) = self.optional_type(&inner, old.shape, depth + 1);
                    types.push((old.name.clone(), inner.optional()));
                    shapes.push(FieldShape { personal: old.personal, ..field(old.name, inner_shape, true) });
                }
                let ty = Type::Record(RecordType { connector: String::new(), name: String::new(), fields: types });
                (ty, Shape::Record(shapes))
            }
            (Type::List(item), Shape::List(shape) | Shape::Commas(shape)) => {
                let (inner, shape) = self.optional_type(item, *shape, depth + 1);
                let inner = if matches!(shape, Shape::Optional(_)) { inner.optional() } else { inner };
                (Type::List(Box::new(inner)), Shape::List(Box::new(shape)))
            }
            (ty, Shape::Optional(shape)) => {
                let (ty, shape) = self.optional_type(ty, *shape, depth);
                (ty, Shape::Optional(Box::new(shape)))
            }
            // Another service writes it otherwise.
            (ty @ Type::DateTime, Shape::Instant(_)) => (ty.clone(), Shape::Instant(TimeFormat::Iso)),
            (ty, Shape::Written(_)) => (ty.clone(), Shape::Text),
            (ty, shape) => (ty.clone(), shape),
        }
    }
}

/// A field that stands under its own name.
fn field(name: String, shape: Shape, optional: bool) -> FieldShape {
    let path = |last: &str| JsonPath(vec![Segment::Key(name.clone()), Segment::Key(last.to_owned())]);
    let (from, shape) = match shape {
        Shape::Money { .. } => {
            let (amount, currency) = (path("amount"), path("currency"));
            (
                Vec::new(),
                Shape::Money {
                    amount,
                    currency,
                    unit: MoneyUnit::Decimal,
                    exponents: std::collections::BTreeMap::new(),
                    instead: Vec::new(),
                },
            )
        }
        shape => (vec![FieldSource { path: JsonPath(vec![Segment::Key(name.clone())]), when: None, of_event: false }], shape),
    };
    FieldShape { name, from, shape, optional, personal: false, default: None }
}

/// A type that has a name, and how JSON holds it.
fn named(name: &str) -> Option<(Type, Shape)> {
    let text = |kind| (Type::Text(kind), Shape::Token);
    Some(match name {
        "text" => (Type::text(), Shape::Text),
        "int" => (Type::Int(None), Shape::Integer),
        "number" => (Type::Number, Shape::Number),
        "bool" => (Type::Bool, Shape::Bool),
        "date" => (Type::Date, Shape::Date),
        "datetime" => (Type::DateTime, Shape::Instant(TimeFormat::Iso)),
        "time" => (Type::Time, Shape::Time),
        "money" => {
            // Where it stands is the matter of the field that has it.
            let shape = Shape::Money {
                amount: JsonPath::default(),
                currency: JsonPath::default(),
                unit: MoneyUnit::Decimal,
                exponents: std::collections::BTreeMap::new(),
                instead: Vec::new(),
            };
            (Type::Money, shape)
        }
        "email" => text(TextKind::Email),
        "phone" => text(TextKind::Phone),
        "url" => text(TextKind::Url),
        "country" => text(TextKind::Country),
        "json" => (Type::Json, Shape::Json),
        _ => return None,
    })
}

/// What of a shape has no schema.
fn unaskable(shape: &Shape) -> Option<&'static str> {
    match shape {
        Shape::Json => Some("any JSON"),
        Shape::Map(_) => Some("a map"),
        Shape::Duration(_) => Some("a duration"),
        Shape::List(inner) | Shape::Commas(inner) | Shape::Optional(inner) => unaskable(inner),
        Shape::Record(fields) => fields.iter().find_map(|field| unaskable(&field.shape)),
        Shape::Text
        | Shape::Token
        | Shape::Bool
        | Shape::Integer
        | Shape::Number
        | Shape::Money { .. }
        | Shape::Instant(_)
        | Shape::Date
        | Shape::Time
        | Shape::Written(_)
        | Shape::Enum { .. }
        | Shape::Coded { .. } => None,
    }
}

/// The JSON Schema of a shape in the strict form: each object says all that it has, and what can be missing is null.
fn schema(shape: &Shape, nullable: bool, description: Option<&str>) -> Value {
    let text = |text: &str| Value::text(text);
    let list = |items: Vec<Value>| Value::List(items.into());
    let mut fields: Vec<(Arc<str>, Value)> = Vec::new();
    let mut put = |name: &str, value: Value| fields.push((Arc::from(name), value));
    let (kind, form) = match shape {
        Shape::Optional(inner) => return schema(inner, true, description),
        Shape::Bool => ("boolean", None),
        Shape::Integer => ("integer", None),
        Shape::Number => ("number", None),
        Shape::Date => ("string", Some("a date such as 2026-11-22")),
        Shape::Time => ("string", Some("a time of day such as 22:30")),
        Shape::Instant(_) => ("string", Some("a time such as 2026-11-22T12:00:00Z")),
        Shape::List(inner) | Shape::Commas(inner) => {
            put("items", schema(inner, false, None));
            ("array", None)
        }
        Shape::Money { .. } => {
            let amount = schema(&Shape::Text, false, Some("a decimal number such as 12.50"));
            let currency = schema(&Shape::Text, false, Some("the code of ISO 4217, such as EUR"));
            put("properties", Value::record([("amount".into(), amount), ("currency".into(), currency)]));
            put("required", list(vec![text("amount"), text("currency")]));
            put("additionalProperties", Value::Bool(false));
            ("object", None)
        }
        Shape::Record(inner) => {
            let properties =
                inner.iter().map(|field| (Arc::from(field.name.as_str()), schema(&field.shape, field.optional, None)));
            put("properties", Value::record(properties));
            put("required", list(inner.iter().map(|field| text(&field.name)).collect()));
            put("additionalProperties", Value::Bool(false));
            ("object", None)
        }
        Shape::Enum { members, open: false } | Shape::Coded { members, .. } => {
            let mut choices: Vec<Value> = members.iter().map(|member| text(member)).collect();
            if nullable {
                choices.push(Value::Missing);
            }
            put("enum", list(choices));
            ("string", None)
        }
        Shape::Text
        | Shape::Token
        | Shape::Written(_)
        | Shape::Enum { open: true, .. }
        | Shape::Json
        | Shape::Map(_)
        | Shape::Duration(_) => ("string", None),
    };
    put("type", if nullable { list(vec![text(kind), text("null")]) } else { text(kind) });
    if let Some(told) = description.or(form) {
        put("description", text(told));
    }
    Value::record(fields)
}
