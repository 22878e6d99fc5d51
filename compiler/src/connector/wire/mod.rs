//! The expressions of requests, answers and sources, as expressions of the plan.
//!
//! They are smaller than those of flows: inputs, settings, secrets, what the surroundings know, a few functions. Where an
//! answer or a payload is looked at, a quoted text on the left of a comparison is a path into it.

mod constant;
mod function;
mod name;
mod operator;

pub(super) use function::where_true;

use flow_grammar::syntax::{self, ExprKind, TextLit, TextPart};
use flow_plan::ty::{RecordType, Type};
use flow_plan::{Expr, TimeFormat, Value};

use super::{Cx, literal};
use crate::catalog::Input;
use crate::code::Code;

/// Where an expression stands, which decides what it can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::connector) enum Place {
    /// The base address: settings.
    Base,
    /// A header or the authorisation of every request: settings and secrets.
    Header,
    /// The request of an operation: inputs, settings, secrets and the run.
    Request,
    /// The query by which an action finds what it did: inputs and the run.
    Find,
    /// What a request is signed with: as in the request, and the request itself.
    Sign,
    /// What confirms an action: its inputs, settings, and the fields of what a query read.
    Confirm,
    /// The inputs of a query that tells a state: settings.
    State,
    /// What a query tells beside a list: its fields, settings, and the connection's name.
    Told,
    /// The request that registers a webhook: settings, secrets, and what is registered.
    Register,
    /// The request of a poll; instants are written as the source writes them.
    Poll(Option<TimeFormat>),
    /// The parameters of a webhook: settings and secrets.
    Webhook,
    /// The parameters of another way than HTTP: settings and secrets, which may be missing.
    Via,
    /// A condition over an answer or a payload.
    Answer,
    /// A condition that refuses a payload: as over an answer, and what a secret begins with.
    Refuse,
    /// A constant.
    Constant,
}

impl Place {
    /// A quoted text on the left of a comparison is a path into what came.
    fn reads_answer(self) -> bool {
        matches!(self, Place::Answer | Place::Refuse)
    }
}

/// What an expression can name.
#[derive(Debug, Clone, Copy)]
pub(in crate::connector) struct Scope<'s> {
    place: Place,
    inputs: &'s [Input],
    /// The result of a query whose fields have bare names.
    read: Option<&'s Type>,
    /// `run` is what is registered, and not what performs a step.
    registers: bool,
    /// Settings may be named.
    settings: bool,
}

impl<'s> Scope<'s> {
    pub(in crate::connector) fn new(place: Place, inputs: &'s [Input]) -> Self {
        let settings = !matches!(place, Place::Answer | Place::Constant | Place::Find);
        Self { place, inputs, read: None, registers: matches!(place, Place::Register), settings }
    }

    /// The fields of what a query read are named too; the result is [`Expr::Local`] 0.
    pub(in crate::connector) fn reading(place: Place, inputs: &'s [Input], read: &'s Type) -> Self {
        Self { read: Some(read), ..Self::new(place, inputs) }
    }

    /// A condition over what is registered with a service.
    pub(in crate::connector) fn registered() -> Self {
        Self { registers: true, ..Self::checked() }
    }

    /// A condition over what tells whether the credentials work.
    pub(in crate::connector) fn checked() -> Self {
        Self { settings: true, ..Self::new(Place::Answer, &[]) }
    }
}

/// An expression with its type.
#[derive(Debug, Clone)]
pub(in crate::connector) struct Typed {
    pub expr: Expr,
    pub ty: Type,
    /// It is bytes, which only functions take.
    bytes: bool,
}

impl Typed {
    fn new(expr: Expr, ty: Type) -> Self {
        Self { expr, ty, bytes: false }
    }

    /// Bytes, of which no type of the language is.
    fn bytes(expr: Expr, missing: bool) -> Self {
        let ty = if missing { Type::text().optional() } else { Type::text() };
        Self { expr, ty, bytes: true }
    }

    /// What it is, for messages.
    fn word(&self) -> String {
        if self.bytes { "bytes".to_owned() } else { self.ty.to_string() }
    }

    /// What stands for an expression that is wrong.
    fn unknown() -> Self {
        Self { expr: Expr::Const(Value::Missing), ty: Type::Unknown, bytes: false }
    }
}

impl Cx<'_> {
    /// A value that goes over the wire: what JSON and forms cannot hold has to be written out.
    pub(in crate::connector) fn wire_value(&mut self, node: &syntax::Expr, scope: &Scope<'_>) -> Expr {
        let typed = self.wire(node, scope);
        self.as_sent(node, typed, scope).expr
    }

    /// The same for an expression whose type is known.
    pub(in crate::connector) fn as_sent(&mut self, node: &syntax::Expr, typed: Typed, scope: &Scope<'_>) -> Typed {
        if typed.bytes {
            let diagnostic = self.mistake(node.span, "bytes cannot be sent as they are");
            self.push(diagnostic.help("say how they are written: `hex(…)` or `base64(…)`"));
            return Typed::unknown();
        }
        let problem = match (typed.ty.required(), scope.place) {
            (
                _,
                Place::Answer | Place::Refuse | Place::Constant | Place::Find | Place::Webhook | Place::Confirm | Place::State,
            ) => return typed,
            (Type::DateTime, Place::Poll(Some(format))) => {
                return Typed::new(Expr::Call(function::writer(format), vec![typed.expr]), Type::text());
            }
            (Type::DateTime, _) => ("a time", "`unix(…)`, `unix_ms(…)` or `iso(…)`"),
            (Type::Money, _) => ("money", "`minor(…)` for the amount in cents and `currency(…)` for its code"),
            (Type::Duration, _) => ("a duration", "a number, as the service counts it"),
            (ty, _) if self.has_money_in_it(ty, 0) => ("money in a list or a record", "`money_as_text(…)` makes texts of it"),
            _ => return typed,
        };
        let diagnostic = self.mistake(node.span, format!("{} cannot be sent as it is", problem.0));
        self.push(diagnostic.help(format!("say how it is written: {}", problem.1)));
        Typed::unknown()
    }

    /// Tells whether money lies in a list, a map or a record. Records can hold each other in a circle.
    fn has_money_in_it(&self, ty: &Type, depth: usize) -> bool {
        let within = |ty: &Type| *ty.required() == Type::Money || self.has_money_in_it(ty.required(), depth + 1);
        match ty {
            _ if depth > 8 => false,
            Type::List(inner) | Type::Map(inner) => within(inner),
            Type::Record(_) => self.fields_of(ty).iter().any(|(_, ty)| within(ty)),
            _ => false,
        }
    }

    /// An expression with its type.
    pub(in crate::connector) fn wire(&mut self, node: &syntax::Expr, scope: &Scope<'_>) -> Typed {
        match &*node.kind {
            ExprKind::Text(text) => self.text(text, scope),
            ExprKind::Number(number) | ExprKind::Bytes(number) => match literal::number(number) {
                Some(value) if value.fract().is_zero() => Typed::new(Expr::Const(Value::Number(value)), Type::Int(None)),
                Some(value) => Typed::new(Expr::Const(Value::Number(value)), Type::Number),
                None => self.wrong(node, "this number has more digits than can be held exactly"),
            },
            ExprKind::Duration(duration) => match literal::duration(duration) {
                Some(value) => Typed::new(Expr::Const(Value::Duration(value)), Type::Duration),
                None => self.wrong(node, "this duration is out of bounds"),
            },
            ExprKind::Bool(value) => Typed::new(Expr::Const(Value::Bool(*value)), Type::Bool),
            ExprKind::Name(name) => self.name(name, scope),
            ExprKind::Field(record, field) => self.field_of(node, record, field, scope),
            ExprKind::Index(list, index) => {
                let (list, index) = (self.wire(list, scope), self.wire(index, scope));
                let ty = match list.ty.required() {
                    Type::List(inner) | Type::Map(inner) => inner.as_ref().clone().optional(),
                    _ => Type::Unknown,
                };
                Typed::new(Expr::Index(Box::new(list.expr), Box::new(index.expr)), ty)
            }
            ExprKind::Call(call) => self.function(call, scope),
            ExprKind::Not(_) | ExprKind::Negate(_) | ExprKind::Binary(..) | ExprKind::Is { .. } | ExprKind::In { .. } => {
                self.operator(node, scope)
            }
            ExprKind::Else(value, default) => {
                let (value, default) = (self.wire(value, scope), self.wire(default, scope));
                let ty = if default.ty.can_be_missing() { value.ty } else { value.ty.required().clone() };
                Typed::new(Expr::Else(Box::new(value.expr), Box::new(default.expr)), ty)
            }
            ExprKind::List(items) => self.list(items, scope),
            ExprKind::Object(fields) => self.object(fields, scope),
            ExprKind::Paren(inner) => self.wire(inner, scope),
            ExprKind::Bad => Typed::unknown(),
            ExprKind::Require(_) => {
                let diagnostic = self.mistake(node.span, "`require` belongs into steps");
                self.push(diagnostic.help("make the input required: take the `?` out of its type"));
                Typed::unknown()
            }
            ExprKind::Money(..) | ExprKind::Any(_) => self.wrong(node, "money cannot stand here"),
            ExprKind::Time(_) | ExprKind::Date(_) | ExprKind::DateTime(..) => {
                self.wrong(node, "a date or time cannot stand here")
            }
            ExprKind::Range(..) | ExprKind::Tuple(_) => self.wrong(node, "a value is expected here"),
        }
    }

    fn wrong(&mut self, node: &syntax::Expr, message: &str) -> Typed {
        self.push(self.mistake(node.span, message));
        Typed::unknown()
    }

    fn text(&mut self, text: &TextLit, scope: &Scope<'_>) -> Typed {
        if let Some(plain) = text.plain() {
            return Typed::new(Expr::Const(Value::text(plain)), Type::text());
        }
        let parts = text.parts.iter().map(|part| match part {
            TextPart::Text(text) => Expr::Const(Value::text(text.as_str())),
            TextPart::Expr(expr) => self.wire_value(expr, scope),
        });
        let parts = parts.collect();
        Typed::new(Expr::Text(parts), Type::text())
    }

    fn list(&mut self, items: &[syntax::Expr], scope: &Scope<'_>) -> Typed {
        let mut ty = Type::Unknown;
        let mut exprs = Vec::new();
        for item in items {
            let typed = self.wire(item, scope);
            let typed = self.as_sent(item, typed, scope);
            ty = typed.ty.required().clone();
            exprs.push(typed.expr);
        }
        Typed::new(Expr::List(exprs), Type::List(Box::new(ty)))
    }

    /// `?` behind a value.
    pub(in crate::connector) fn check_no_type(&mut self, node: &syntax::ObjectField) {
        if let Some(mark) = node.optional {
            let diagnostic = self
                .diagnostic(Code::E108, mark, "`?` stands behind a type, and this is a value")
                .help("a value that can be missing is given as it is, and left out where there is none")
                .fix("take it out", mark, "", true);
            self.push(diagnostic);
        }
    }

    fn object(&mut self, nodes: &[syntax::ObjectField], scope: &Scope<'_>) -> Typed {
        let mut types = Vec::new();
        let mut fields: Vec<(String, Expr)> = Vec::new();
        for node in nodes {
            if fields.iter().any(|(name, _)| *name == node.key.text) {
                self.push(self.mistake(node.key.span, format!("`{}` is there twice", node.key.text)));
                continue;
            }
            self.check_no_type(node);
            let typed = match &node.value {
                Some(value) => {
                    let typed = self.wire(value, scope);
                    self.as_sent(value, typed, scope)
                }
                None => {
                    let typed = self.name(&node.key, scope);
                    let name = syntax::Expr { span: node.key.span, kind: Box::new(ExprKind::Name(node.key.clone())) };
                    self.as_sent(&name, typed, scope)
                }
            };
            types.push((node.key.text.clone(), typed.ty));
            fields.push((node.key.text.clone(), typed.expr));
        }
        let ty = RecordType { connector: String::new(), name: String::new(), fields: types };
        Typed::new(Expr::Record(fields), Type::Record(ty))
    }
}
