//! Records: fields with types, and where each stands on the wire.

use flow_grammar::syntax::{self, Attribute, ExprKind, Ident, RecordField};
use flow_plan as plan;
use flow_plan::ty::Type;
use flow_plan::{FieldShape, FieldSource, JsonPath, Segment, Shape};

use super::wire::{Place, Scope};
use super::{Cx, docs_line, docs_text};
use crate::catalog;
use crate::code::Code;

/// What the attributes of a field or an input say.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    /// Roles such as `customer` and `key`.
    pub roles: Vec<String>,
    /// `@personal`.
    pub personal: bool,
    /// `@accepts_personal`.
    pub accepts_personal: bool,
    /// `@summary`.
    pub summary: bool,
    /// `@deprecated("2.3", use: "category")`.
    pub deprecated: Option<(String, Option<String>)>,
    /// `@length(1..2000)`, `@bytes(1..4096)`.
    pub length: Option<plan::Length>,
    /// `@escaped`.
    pub escaped: bool,
}

/// The attributes that mean something by themselves; others are roles.
const ATTRIBUTES: &[&str] = &[
    "personal",
    "accepts_personal",
    "summary",
    "deprecated",
    "key",
    "customer",
    "length",
    "bytes",
    "escaped",
    catalog::LOWER_KEYS,
];

/// So deep may records lie in each other.
const DEPTH: usize = 32;
/// So many fields may a record have, with those of the records in it.
const MOST_FIELDS: usize = 20_000;

impl<'a> Cx<'a> {
    /// Declares every record.
    pub(super) fn declare_records(&mut self) {
        let node = self.node;
        for member in &node.members {
            if let syntax::MemberKind::Record(record) = &member.kind {
                self.declare_record(&record.name);
            }
        }
    }

    /// Declares a record, unless it is declared.
    pub(super) fn declare_record(&mut self, name: &Ident) {
        match self.records.get(&name.text) {
            Some(Some(_)) => return,
            Some(None) => {
                let diagnostic = self.mistake(name.span, format!("`{}` contains itself", name.text));
                self.push(diagnostic.help(format!("refer to it by its id: `id<{}>`", name.text)));
                return;
            }
            None => {}
        }
        let Some((node, docs)) = self.record_nodes.get(name.text.as_str()).copied() else { return };
        self.records.insert(name.text.clone(), None);
        let mut fields = Vec::new();
        if self.records_around < DEPTH {
            self.records_around += 1;
            fields = self.fields(&node.fields);
            self.records_around -= 1;
        } else {
            let diagnostic = self.mistake(name.span, format!("`{}` lies too deep in other records", name.text));
            self.push(diagnostic.help(format!("records lie in each other at most {DEPTH} deep; refer to one by its id")));
        }
        // A record in a record is written out in it, and so what lies in that one.
        if fields.iter().map(|field| size(&field.shape.shape)).sum::<usize>() > MOST_FIELDS {
            let message = format!("`{}` has more than {MOST_FIELDS} fields, with those of the records in it", name.text);
            let diagnostic = self.mistake(name.span, message);
            self.push(diagnostic.help("leave out what no flow reads, or refer to a record by its id"));
            fields.clear();
        }
        let record =
            catalog::Record { name: name.text.clone(), docs: docs_text(docs), fields, summaries: node.summaries.clone() };
        self.records.insert(name.text.clone(), Some(record));
    }

    /// Declares the fields of a record.
    pub(super) fn fields(&mut self, nodes: &[RecordField]) -> Vec<catalog::Field> {
        let mut fields: Vec<catalog::Field> = Vec::new();
        for node in nodes {
            if let Some(first) =
                nodes.iter().take_while(|other| other.span != node.span).find(|other| other.name.text == node.name.text)
            {
                let twice =
                    self.diagnostic(Code::E202, node.name.span, format!("there are two fields named `{}`", node.name.text));
                self.push(twice.also(first.name.span, "the first one"));
                continue;
            }
            fields.push(self.field(node));
        }
        fields
    }

    fn field(&mut self, node: &RecordField) -> catalog::Field {
        let mut typed = self.wire_type(&node.ty);
        if !node.codes.is_empty() || node.otherwise.is_some() {
            typed.shape = self.coded(node, &typed.ty);
        }
        let attributes = self.attributes(&node.attributes);
        let default = node.default.as_ref().and_then(|default| {
            if typed.ty.can_be_missing() {
                let diagnostic = self.mistake(default.span, "what has a default is never missing");
                self.push(diagnostic.help("leave the `?` out, or the default"));
            }
            self.constant(default, &typed.ty)
        });
        let (from, wire) = self.places(node, &typed.shape);
        let optional = typed.ty.can_be_missing();
        catalog::Field {
            name: node.name.text.clone(),
            docs: docs_line(&node.docs),
            ty: typed.ty,
            roles: attributes.roles,
            personal: attributes.personal,
            deprecated: attributes.deprecated,
            shape: FieldShape {
                name: node.name.text.clone(),
                from,
                shape: typed.shape,
                optional,
                personal: attributes.personal,
                default,
            },
            wire,
        }
    }

    /// An enum whose members the wire writes as numbers, or that says what any other value is.
    fn coded(&mut self, node: &RecordField, ty: &Type) -> Shape {
        let span = node.otherwise.as_ref().or_else(|| node.codes.first().map(|(name, _)| name)).map_or(node.span, |at| at.span);
        let Type::Enum { members, open: false } = ty.required() else {
            let diagnostic = self.mistake(span, "only an enum has members that stand for numbers or for all other values");
            self.push(diagnostic.help("name all members, without `other`: `app | hand | unknown`"));
            return Shape::Json;
        };
        let known = |name: &Ident| members.contains(&name.text);
        for name in node.codes.iter().map(|(name, _)| name).chain(&node.otherwise).filter(|name| !known(name)) {
            let message = format!("`{}` is no member of `{}`", name.text, node.name.text);
            self.unknown(name.span, message, &name.text, members.iter().map(String::as_str));
        }
        let table = self.code_table(&node.codes);
        let codes = table.into_iter().flat_map(|(name, numbers)| numbers.into_iter().map(move |number| (number, name.clone())));
        Shape::Coded {
            members: members.clone(),
            codes: codes.collect(),
            otherwise: node.otherwise.as_ref().map(|name| name.text.clone()),
        }
    }

    /// Where a field may stand, and the same for people.
    fn places(&mut self, node: &RecordField, shape: &Shape) -> (Vec<FieldSource>, String) {
        if let Shape::Money { amount, currency, instead, .. } = shape {
            if let Some(from) = node.from.first() {
                let diagnostic = self.mistake(from.path.span, "money is read from two places");
                self.push(diagnostic.help("write `money minor from (amount, currency)`"));
            }
            let first = std::iter::once((amount, currency));
            let pairs = first.chain(instead.iter().map(|(amount, currency)| (amount, currency)));
            let wire: Vec<String> = pairs.map(|(amount, currency)| format!("{amount}, {currency}")).collect();
            return (Vec::new(), wire.join(", else "));
        }
        if node.from.is_empty() {
            let path = JsonPath(vec![Segment::Key(node.name.text.clone())]);
            return (vec![FieldSource::at(path)], node.name.text.clone());
        }
        let mut places = Vec::new();
        let mut wire = Vec::new();
        for from in &node.from {
            let path = self.path(&from.path);
            let when = from.when.as_ref().map(|when| self.wire(when, &Scope::new(Place::Answer, &[])).expr);
            let of_event = if from.of_event { "event " } else { "" };
            wire.push(match &from.when {
                Some(condition) => format!("{of_event}{path} when {}", condition.span.text(self.source)),
                None => format!("{of_event}{path}"),
            });
            places.push(FieldSource { path, of_event: from.of_event, when });
        }
        (places, wire.join(", else "))
    }

    /// Reads attributes.
    pub(super) fn attributes(&mut self, nodes: &[Attribute]) -> Attributes {
        let mut attributes = Attributes::default();
        for node in nodes {
            let name = &node.name;
            match name.text.as_str() {
                "personal" => attributes.personal = true,
                "accepts_personal" => attributes.accepts_personal = true,
                "summary" => attributes.summary = true,
                "deprecated" => attributes.deprecated = Some(self.deprecated(node)),
                "length" | "bytes" => attributes.length = self.length(node),
                "escaped" => attributes.escaped = true,
                role if ATTRIBUTES.contains(&role) => attributes.roles.push(role.to_owned()),
                role => {
                    // Any other word is a role of the connector's own, but a slip in a known one would silently do nothing.
                    match crate::suggest::nearest(role, ATTRIBUTES.iter().copied()) {
                        Some(best) => {
                            let diagnostic = self.diagnostic(Code::E201, name.span, format!("there is no attribute `@{role}`"));
                            self.push(diagnostic.fix(format!("did you mean `@{best}`?"), name.span, best, false));
                        }
                        None => attributes.roles.push(role.to_owned()),
                    }
                }
            }
        }
        attributes
    }

    /// `@length(1..2000)`, `@bytes(1..4096)`.
    fn length(&mut self, node: &Attribute) -> Option<plan::Length> {
        let bounds = match node.args.as_slice() {
            [arg] => match &*arg.value.kind {
                ExprKind::Range(low, high) => match (&*low.kind, &*high.kind) {
                    (ExprKind::Number(low), ExprKind::Number(high)) => Some((self.count(low), self.count(high))),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        };
        match bounds {
            Some((least, most)) if least <= most => Some(plan::Length { least, most, bytes: node.name.text == "bytes" }),
            _ => {
                let diagnostic = self.mistake(node.span, format!("`@{}` says how long a text may be", node.name.text));
                self.push(diagnostic.help(format!("write `@{}(1..2000)`", node.name.text)));
                None
            }
        }
    }

    fn deprecated(&mut self, node: &Attribute) -> (String, Option<String>) {
        let mut since = String::new();
        let mut instead = None;
        for arg in &node.args {
            let ExprKind::Text(text) = &*arg.value.kind else {
                self.push(self.mistake(arg.span, "a text is expected here"));
                continue;
            };
            let text = self.plain(text, "what replaces a field");
            match arg.name.as_ref().map(|name| name.text.as_str()) {
                None => since = text,
                Some("use") => instead = Some(text),
                Some(_) => self.push(self.mistake(arg.span, "`@deprecated` takes a version and `use`")),
            }
        }
        (since, instead)
    }

    /// Tells whether the type is a text that names somebody.
    pub(super) fn names_somebody(ty: &Type) -> bool {
        use flow_plan::ty::TextKind;
        matches!(ty.required(), Type::Text(TextKind::Email | TextKind::Phone | TextKind::Id(..)))
    }
}

/// How many fields a shape has, itself included.
fn size(shape: &Shape) -> usize {
    1 + match shape {
        Shape::Record(fields) => fields.iter().map(|field| size(&field.shape)).sum(),
        Shape::List(inner) | Shape::Map(inner) | Shape::Commas(inner) | Shape::Optional(inner) => size(inner),
        Shape::Json
        | Shape::Text
        | Shape::Token
        | Shape::Bool
        | Shape::Integer
        | Shape::Number
        | Shape::Money { .. }
        | Shape::Instant(_)
        | Shape::Date
        | Shape::Time
        | Shape::Duration(_)
        | Shape::Written(_)
        | Shape::Enum { .. }
        | Shape::Coded { .. } => 0,
    }
}
