//! Inputs: what a flow gives to an operation, and how it is sent.

use crate::document::Node;
use crate::name::{self, Taken};
use crate::record::{Field, Ty};
use crate::schema::{self, Kind, Schema};
use crate::spec::Spec;
use crate::words::{self, clean};

/// How deep objects are spelled out within an input.
const MOST_DEPTH: usize = 2;
/// Larger objects stay untyped.
const MOST_FIELDS: usize = 12;

/// Something that is sent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Input {
    pub(crate) field: Field,
    /// Its name on the wire.
    pub(crate) wire: String,
    /// What is sent: the input's name, or something made of it.
    pub(crate) value: String,
}

/// Returns the input for a value of this schema.
pub(crate) fn input(spec: &Spec<'_>, wire: &str, schema: &Schema<'_>, required: bool, taken: &mut Taken, prefix: &str) -> Input {
    let plain = name::snake(wire, "value");
    let name = if taken.is_free(&plain) { taken.take(&plain) } else { taken.take(&format!("{prefix}_{plain}")) };
    let (ty, note) = ty(spec, schema, &name, 0);
    let written = name::written(&name);
    let value = match &schema.kind {
        Kind::UnixTime => format!("unix({written})"),
        Kind::Instant => format!("iso({written})"),
        _ => written,
    };
    let mut docs = words::lines(schema.docs.unwrap_or(""), 200);
    docs.extend(note.map(|note| format!("In JSON: {note}.")));
    if schema.deprecated {
        docs.push("Deprecated.".to_owned());
    }
    let attributes = if accepts_personal(&plain, &ty) { vec!["@accepts_personal"] } else { Vec::new() };
    let optional = !required;
    Input { field: Field { name, from: None, ty, optional, docs, attributes }, wire: wire.to_owned(), value }
}

/// Returns what is sent where a value has to be given and can be one text alone.
pub(crate) fn constant(schema: &Schema<'_>, required: bool) -> Option<String> {
    match &schema.kind {
        Kind::Enum(members) if required && !schema.nullable => match members.as_slice() {
            [only] => Some(words::quoted(only)),
            _ => None,
        },
        _ => None,
    }
}

/// Returns the input that says how long a list of several pages gets; nothing of it is sent.
pub(crate) fn at_most(taken: &mut Taken) -> Input {
    let name = taken.take("at_most");
    let field = Field {
        name: name.clone(),
        from: None,
        ty: Ty::Plain("int", "1..10_000".to_owned()),
        optional: false,
        docs: vec!["How many at most: as many pages are asked for as that takes.".to_owned()],
        // Stands where attributes do.
        attributes: vec!["= 100"],
    };
    Input { field, wire: String::new(), value: name }
}

/// The type of what is sent. Within an object names are those of the wire.
fn ty(spec: &Spec<'_>, schema: &Schema<'_>, name: &str, depth: usize) -> (Ty, Option<String>) {
    let plain = |name: &'static str| (Ty::plain(name), None);
    match &schema.kind {
        Kind::Text if depth == 0 && (name == "email" || name.ends_with("_email")) => plain("email"),
        Kind::Text | Kind::Url | Kind::QuotedNumber | Kind::IdOf(_) => plain("text"),
        Kind::Email => plain(if depth == 0 { "email" } else { "text" }),
        Kind::Int(Some((low, high))) => (Ty::Plain("int", format!("{low}..{high}")), None),
        Kind::Int(None) => plain("int"),
        Kind::Number => plain("number"),
        Kind::Bool => plain("bool"),
        Kind::Date => plain("date"),
        Kind::Instant => plain("datetime"),
        Kind::UnixTime if depth == 0 => plain("datetime"),
        Kind::UnixTime => plain("int"),
        Kind::Enum(members) => (Ty::Enum { members: members.clone(), open: false }, None),
        Kind::Any(words) => (Ty::Json, words.clone()),
        Kind::Binary => (Ty::Json, Some("a file, which cannot be given".to_owned())),
        Kind::List(item) => {
            let (ty, note) = self::ty(spec, item, name, depth + 1);
            (Ty::List(Box::new(ty)), note.map(|note| format!("each is {note}")))
        }
        Kind::Map(item) => {
            let (ty, note) = self::ty(spec, item, name, depth + 1);
            (Ty::Map(Box::new(ty)), note.map(|note| format!("each is {note}")))
        }
        Kind::Object(_) => object(spec, schema, depth),
    }
}

fn object(spec: &Spec<'_>, schema: &Schema<'_>, depth: usize) -> (Ty, Option<String>) {
    let untyped = (Ty::Json, Some(schema::describe(schema)));
    if depth >= MOST_DEPTH || schema.properties().len() > MOST_FIELDS || !spec.spend() {
        return untyped;
    }
    let mut fields = Vec::new();
    for property in schema.properties() {
        let read = schema::read(spec, property.node);
        if read.read_only {
            continue;
        }
        let wire = property.name;
        // Keys with brackets would change a form, and a name in backticks has none.
        if !words::can_be_key(wire) || wire.contains(['`', '[', ']', '.']) || wire.trim() != wire || wire.len() > 60 {
            return untyped;
        }
        let (ty, note) = ty(spec, &read, wire, depth + 1);
        let mut docs = words::lines(read.docs.unwrap_or(""), 120);
        docs.extend(note.map(|note| format!("In JSON: {note}.")));
        fields.push(Field { name: wire.to_owned(), from: None, ty, optional: !property.required, docs, attributes: Vec::new() });
    }
    if fields.is_empty() { untyped } else { (Ty::Inline(fields), None) }
}

/// Inputs into which personal data belongs.
fn accepts_personal(name: &str, ty: &Ty) -> bool {
    const WORDS: [&str; 24] = [
        "name",
        "email",
        "phone",
        "address",
        "street",
        "city",
        "postal",
        "zip",
        "birth",
        "description",
        "note",
        "comment",
        "message",
        "text",
        "body",
        "subject",
        "title",
        "content",
        "summary",
        "contact",
        "recipient",
        "customer",
        "person",
        "value",
    ];
    let named = |name: &str| WORDS.iter().any(|word| name.contains(word));
    match ty {
        Ty::Plain("text", _) | Ty::Json | Ty::Map(_) => named(name),
        Ty::List(inner) => accepts_personal(name, inner),
        Ty::Inline(fields) => named(name) || fields.iter().any(|field| accepts_personal(&field.name.to_lowercase(), &field.ty)),
        Ty::Plain(..) | Ty::Enum { .. } | Ty::Record(_) | Ty::Id(_) => false,
    }
}

/// Where a parameter goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Path,
    Query,
    Header,
}

/// A parameter of an operation.
pub(crate) struct Parameter<'s> {
    pub(crate) name: &'s str,
    pub(crate) place: Place,
    pub(crate) required: bool,
    pub(crate) schema: Schema<'s>,
    /// How lists and objects stand in the address.
    pub(crate) style: Style,
    /// What it is where it is not given, a whole number.
    pub(crate) first: Option<i64>,
    /// The least that it can be, a whole number.
    pub(crate) least: Option<i64>,
}

/// How lists and objects are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// `a=1&a=2`.
    Repeated,
    /// `a=1,2`: one text, with this between the values.
    Joined(&'static str),
    /// `a[0]=1`, `a[b]=1`.
    Brackets,
}

/// Reads a parameter. `Ok(None)` where it is one that requests have anyway.
pub(crate) fn parameter<'s>(spec: &Spec<'s>, node: &'s Node) -> Result<Option<Parameter<'s>>, String> {
    let Some(found) = spec.resolve(node) else { return Err("a parameter that is described elsewhere".to_owned()) };
    let node = found.node;
    let name = node.text_at("name").unwrap_or("");
    let shown = clean(name, 60);
    let place = match node.text_at("in").unwrap_or("") {
        "path" => Place::Path,
        "query" => Place::Query,
        "header" => Place::Header,
        "cookie" => return failed(node, format!("the parameter `{shown}`, which is a cookie")),
        _ => return failed(node, format!("the parameter `{shown}`, of which is not said where it goes")),
    };
    if name.is_empty() || !words::can_be_key(name) {
        return Err("a parameter without a usable name".to_owned());
    }
    if place == Place::Header
        && matches!(name.to_ascii_lowercase().as_str(), "accept" | "content-type" | "authorization" | "user-agent")
    {
        return Ok(None);
    }
    if place == Place::Header && !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)) {
        return failed(node, format!("the header `{shown}`"));
    }
    let Some(schema) = node.get("schema").map(|schema| schema::read(spec, schema)) else {
        return failed(node, format!("the parameter `{shown}`, which is written as JSON within the address"));
    };
    let mut schema = schema;
    schema.docs = node.text_at("description").or(schema.docs);
    schema.deprecated |= node.is_true("deprecated");
    let style = match (node.text_at("style").unwrap_or(""), node.get("explode")) {
        ("deepObject", _) => Style::Brackets,
        ("form" | "", Some(Node::Bool(false))) => Style::Joined(","),
        ("spaceDelimited", None | Some(Node::Bool(false))) => Style::Joined(" "),
        ("pipeDelimited", None | Some(Node::Bool(false))) => Style::Joined("|"),
        ("form" | "" | "simple", _) => Style::Repeated,
        (other, _) => return failed(node, format!("the parameter `{shown}`, written in the style `{}`", clean(other, 30))),
    };
    let required = node.is_true("required") || place == Place::Path;
    let whole = |key: &str| match node.get("schema").and_then(|schema| spec.resolve(schema)).and_then(|found| found.node.get(key))
    {
        Some(Node::Number(number)) => number.parse().ok(),
        _ => None,
    };
    let (first, least) = (whole("default"), whole("minimum"));
    Ok(Some(Parameter { name, place, required, schema, style, first, least }))
}

/// What cannot be sent need not be, unless it is required.
fn failed<'s>(node: &Node, what: String) -> Result<Option<Parameter<'s>>, String> {
    let needed = node.is_true("required");
    Err(if needed { format!("!{what}") } else { what })
}

/// Returns the field of a query or a form: how a list is written stands in its name.
pub(crate) fn pair(input: &Input, style: Style) -> String {
    let list = matches!(input.field.ty, Ty::List(_));
    match style {
        Style::Joined(between) if list => {
            format!("{}: join({}, {})", key(&input.wire), input.value, words::quoted(between))
        }
        Style::Repeated if list => format!(
            "{}: {}",
            words::key(&format!("{}[*]", input.wire.trim_end_matches("[]")))
                .replace("[*]", if input.wire.ends_with("[]") { "[]" } else { "[*]" }),
            input.value
        ),
        Style::Joined(_) | Style::Repeated | Style::Brackets => field(&input.wire, &input.value),
    }
}

/// Returns `name`, or `"wire": value`.
pub(crate) fn field(wire: &str, value: &str) -> String {
    if wire == value { wire.to_owned() } else { format!("{}: {value}", key(wire)) }
}

fn key(wire: &str) -> String {
    if name::is_plain(wire) && !flow_grammar::is_reserved(wire) { wire.to_owned() } else { words::key(wire) }
}
