//! Schemas in one form, whatever the version of the description and however they are put together.
//!
//! `nullable: true`, `type: [string, "null"]` and `anyOf` with `null` are the same; `allOf` is taken as one schema. What
//! has several forms that cannot be told apart stays untyped.

use crate::document::Node;
use crate::name;
use crate::spec::Spec;
use crate::words::clean;

/// How deep `allOf` and `anyOf` are looked into.
const MOST_DEPTH: usize = 12;
/// How many properties an object may have.
const MOST_PROPERTIES: usize = 250;
/// Longer lists of values are texts.
const MOST_MEMBERS: usize = 40;

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind<'s> {
    Text,
    Email,
    Url,
    /// With its bounds, where it has both.
    Int(Option<(u64, u64)>),
    Number,
    /// A number in quotes.
    QuotedNumber,
    Bool,
    Date,
    /// RFC 3339.
    Instant,
    /// Seconds since 1970.
    UnixTime,
    /// One of these; none of them is named twice.
    Enum(Vec<String>),
    /// Bytes that no text holds.
    Binary,
    List(Box<Schema<'s>>),
    Map(Box<Schema<'s>>),
    Object(Vec<Property<'s>>),
    /// The id of an object, or the object itself where the caller asks for it.
    IdOf(&'s Node),
    /// Anything; in words where they are known.
    Any(Option<String>),
}

/// A schema.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Schema<'s> {
    pub(crate) kind: Kind<'s>,
    /// Null is one of its values.
    pub(crate) nullable: bool,
    /// The reference that led to it: what has the same is the same.
    pub(crate) pointer: Option<&'s str>,
    pub(crate) docs: Option<&'s str>,
    /// What is said of what the reference leads to, wherever it is used.
    pub(crate) own_docs: Option<&'s str>,
    pub(crate) deprecated: bool,
    pub(crate) read_only: bool,
    pub(crate) write_only: bool,
    /// `deleted: true`, always: the object says that it is no longer there.
    says_deleted: bool,
}

/// A property of an object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Property<'s> {
    pub(crate) name: &'s str,
    /// Not yet looked at, so that what refers to itself comes to an end.
    pub(crate) node: &'s Node,
    pub(crate) required: bool,
}

impl<'s> Schema<'s> {
    fn any(words: Option<String>) -> Self {
        Self {
            kind: Kind::Any(words),
            nullable: false,
            pointer: None,
            docs: None,
            own_docs: None,
            deprecated: false,
            read_only: false,
            write_only: false,
            says_deleted: false,
        }
    }

    /// Returns the properties of an object; none where it is none.
    pub(crate) fn properties(&self) -> &[Property<'s>] {
        match &self.kind {
            Kind::Object(properties) => properties,
            _ => &[],
        }
    }
}

/// Reads a schema.
pub(crate) fn read<'s>(spec: &Spec<'s>, node: &'s Node) -> Schema<'s> {
    spec.next_schema();
    read_at(spec, node, 0)
}

/// Reads the schema of an answer: one that only says that what was asked for is gone is told apart.
pub(crate) fn read_answer<'s>(spec: &Spec<'s>, node: &'s Node) -> (Schema<'s>, bool) {
    let found = spec.resolve(node).map_or(node, |found| found.node);
    let choices = alternatives(found);
    if choices.len() > 1 {
        let (gone, there): (Vec<&Node>, Vec<&Node>) = choices.into_iter().partition(|node| read(spec, node).says_deleted);
        if let ([one], false) = (there.as_slice(), gone.is_empty()) {
            return (read(spec, one), true);
        }
    }
    (read(spec, node), false)
}

fn read_at<'s>(spec: &Spec<'s>, node: &'s Node, depth: usize) -> Schema<'s> {
    if depth > MOST_DEPTH || !spec.spend() {
        return Schema::any(None);
    }
    let Some(found) = spec.resolve(node) else { return Schema::any(None) };
    let mut schema = shape(spec, found.node, depth);
    schema.pointer = found.pointer.or(schema.pointer);
    if let (Kind::Object(_), Some(told), Some(pointer)) = (&schema.kind, found.node.get("discriminator"), schema.pointer) {
        let by = told.text_at("propertyName").or(told.text()).unwrap_or("");
        let (name, by) = (clean(last(pointer), 60), clean(by, 60));
        spec.note(format!(
            "`{name}` has several forms, told apart by `{by}`: what they share is there, and not what one of them has alone"
        ));
    }
    // Titles are often names of types, made by a program.
    let title = found.node.text_at("title").filter(|title| title.trim().contains(' '));
    schema.own_docs = schema.docs.or(title);
    schema.docs = node.text_at("description").or(schema.own_docs);
    schema.nullable |= found.node.is_true("nullable") || node.is_true("nullable");
    schema.deprecated |= found.node.is_true("deprecated") || node.is_true("deprecated");
    schema.read_only |= found.node.is_true("readOnly") || node.is_true("readOnly");
    schema.write_only |= found.node.is_true("writeOnly") || node.is_true("writeOnly");
    schema
}

/// `anyOf` and `oneOf`.
fn alternatives(node: &Node) -> Vec<&Node> {
    node.items_at("anyOf").iter().chain(node.items_at("oneOf")).collect()
}

fn shape<'s>(spec: &Spec<'s>, node: &'s Node, depth: usize) -> Schema<'s> {
    let mut schema = Schema::any(None);
    schema.docs = node.text_at("description");
    if !node.items_at("allOf").is_empty() {
        return all_of(spec, node, depth, schema);
    }
    let choices = alternatives(node);
    // Alternatives beside properties only say which of them go together.
    if !choices.is_empty() && node.entries_at("properties").is_empty() {
        return any_of(spec, &choices, depth, schema);
    }
    let (types, null) = types(node);
    schema.nullable = null;
    schema.kind = match types.as_slice() {
        [] => untyped(spec, node, depth, &mut schema),
        [one] => typed(spec, node, one, depth, &mut schema),
        _ => Kind::Any(Some(types.join(" or "))),
    };
    schema
}

/// The types of a schema, and whether null is one of them.
fn types(node: &Node) -> (Vec<&str>, bool) {
    let mut types: Vec<&str> = match node.get("type") {
        Some(Node::Text(one)) => vec![one],
        Some(Node::List(several)) => several.iter().filter_map(Node::text).collect(),
        _ => Vec::new(),
    };
    let before = types.len();
    types.retain(|name| *name != "null");
    let null = types.len() < before || node.items_at("enum").contains(&Node::Null);
    (types, null)
}

fn untyped<'s>(spec: &Spec<'s>, node: &'s Node, depth: usize, schema: &mut Schema<'s>) -> Kind<'s> {
    if !node.entries_at("properties").is_empty()
        || node.get("additionalProperties").is_some_and(|more| matches!(more, Node::Object(_)))
    {
        return typed(spec, node, "object", depth, schema);
    }
    if node.get("items").is_some() {
        return typed(spec, node, "array", depth, schema);
    }
    let values: Vec<&Node> =
        node.items_at("enum").iter().chain(node.get("const")).filter(|value| **value != Node::Null).collect();
    let all = |fits: &dyn Fn(&Node) -> bool| !values.is_empty() && values.iter().all(|value| fits(value));
    if all(&|value| value.text().is_some()) {
        return typed(spec, node, "string", depth, schema);
    }
    if all(&|value| matches!(value, Node::Bool(_))) {
        return Kind::Bool;
    }
    if all(&|value| matches!(value, Node::Number(digits) if digits.parse::<i64>().is_ok())) {
        return Kind::Int(None);
    }
    Kind::Any(None)
}

fn typed<'s>(spec: &Spec<'s>, node: &'s Node, name: &str, depth: usize, schema: &mut Schema<'s>) -> Kind<'s> {
    let format = node.text_at("format").unwrap_or("");
    match name {
        "string" => text(node, format),
        "integer" if format == "unix-time" => Kind::UnixTime,
        "integer" => Kind::Int(bounds(node)),
        "number" => Kind::Number,
        "boolean" => Kind::Bool,
        "array" => match node.get("items") {
            Some(items @ Node::Object(_)) => Kind::List(Box::new(read_at(spec, items, depth + 1))),
            _ => Kind::List(Box::new(Schema::any(None))),
        },
        "object" => object(spec, node, depth, schema),
        other => Kind::Any(Some(clean(other, 40))),
    }
}

fn text<'s>(node: &Node, format: &str) -> Kind<'s> {
    let values: Vec<&Node> = node.items_at("enum").iter().chain(node.get("const")).collect();
    let members = members(values.iter().filter_map(|value| value.text()));
    if !members.is_empty() {
        return Kind::Enum(members);
    }
    match format {
        "date" => Kind::Date,
        "date-time" => Kind::Instant,
        "email" | "idn-email" => Kind::Email,
        "uri" | "url" | "iri" => Kind::Url,
        "decimal" => Kind::QuotedNumber,
        "binary" => Kind::Binary,
        _ => Kind::Text,
    }
}

/// The texts of an enum; none where there are too many of them, or such that cannot be written.
fn members<'s>(texts: impl Iterator<Item = &'s str>) -> Vec<String> {
    let mut members: Vec<String> = Vec::new();
    // The empty text takes a value back; in a flow nothing is given then.
    for text in texts.filter(|text| !text.is_empty()) {
        if !crate::words::can_be_key(text) || text.len() > 60 || members.len() >= MOST_MEMBERS {
            return Vec::new();
        }
        if !members.iter().any(|known| known == text) {
            members.push(text.to_owned());
        }
    }
    members
}

/// The bounds of a whole number, where both are there and none is negative.
fn bounds(node: &Node) -> Option<(u64, u64)> {
    let bound = |name: &str| match node.get(name) {
        Some(Node::Number(digits)) => digits.parse::<u64>().ok(),
        _ => None,
    };
    let (low, high) = (bound("minimum")?, bound("maximum")?);
    (low <= high && high <= 999_999_999_999).then_some((low, high))
}

fn object<'s>(spec: &Spec<'s>, node: &'s Node, depth: usize, schema: &mut Schema<'s>) -> Kind<'s> {
    let mut required: Vec<&str> = node.items_at("required").iter().filter_map(Node::text).collect();
    required.sort_unstable();
    let properties: Vec<Property<'s>> = node
        .entries_at("properties")
        .iter()
        .take(MOST_PROPERTIES)
        .filter(|(name, value)| is_schema(spec, name, value))
        .map(|(name, value)| Property { name, node: value, required: required.binary_search(&name.as_str()).is_ok() })
        .collect();
    if node.entries_at("properties").len() > MOST_PROPERTIES {
        spec.note(format!(
            "of an object with {} properties the first {MOST_PROPERTIES} are there",
            node.entries_at("properties").len()
        ));
    }
    if properties.is_empty() {
        return match node.get("additionalProperties") {
            Some(more @ Node::Object(_)) if !more.entries().is_empty() => Kind::Map(Box::new(read_at(spec, more, depth + 1))),
            _ => Kind::Any(Some("an object".to_owned())),
        };
    }
    schema.says_deleted = properties.iter().any(|property| {
        property.required && property.name == "deleted" && property.node.items_at("enum") == [Node::Bool(true)]
            || property.name == "deleted" && property.node.get("const") == Some(&Node::Bool(true))
    });
    Kind::Object(properties)
}

/// Tells whether a property has a schema: `true` is one that anything fits, and `false` one that nothing does.
fn is_schema(spec: &Spec<'_>, name: &str, node: &Node) -> bool {
    if !matches!(node, Node::Object(_) | Node::Bool(_)) {
        spec.note(format!("the field `{}` is left out: what stands in place of its schema is none", clean(name, 60)));
    }
    matches!(node, Node::Object(_) | Node::Bool(true))
}

fn all_of<'s>(spec: &Spec<'s>, node: &'s Node, depth: usize, mut schema: Schema<'s>) -> Schema<'s> {
    let mut parts: Vec<&'s Node> = node.items_at("allOf").iter().collect();
    let own = !node.entries_at("properties").is_empty();
    // A lone reference is how a description is put beside it.
    if let ([one], false) = (parts.as_slice(), own) {
        let mut only = read_at(spec, one, depth + 1);
        only.docs = schema.docs.or(only.docs);
        return only;
    }
    let mut properties: Vec<Property<'s>> = Vec::new();
    let mut required: Vec<&str> = node.items_at("required").iter().filter_map(Node::text).collect();
    let mut other = None;
    parts.truncate(32);
    for part in parts {
        let read = read_at(spec, part, depth + 1);
        schema.nullable |= read.nullable;
        schema.docs = schema.docs.or(read.docs);
        if let Some(found) = spec.resolve(part) {
            required.extend(found.node.items_at("required").iter().filter_map(Node::text));
        }
        match read.kind {
            Kind::Object(more) => more.into_iter().for_each(|property| add(&mut properties, property)),
            Kind::Any(_) => {}
            _ => other = other.or(Some(read)),
        }
    }
    if own && let Kind::Object(more) = object(spec, node, depth, &mut schema) {
        more.into_iter().for_each(|property| add(&mut properties, property));
    }
    for property in &mut properties {
        property.required |= required.contains(&property.name);
    }
    if properties.is_empty() {
        return other.unwrap_or(schema);
    }
    schema.kind = Kind::Object(properties);
    schema
}

fn add<'s>(properties: &mut Vec<Property<'s>>, property: Property<'s>) {
    if let Some(known) = properties.iter_mut().find(|known| known.name == property.name) {
        known.required |= property.required;
        known.node = property.node;
    } else if properties.len() < MOST_PROPERTIES {
        properties.push(property);
    }
}

fn any_of<'s>(spec: &Spec<'s>, choices: &[&'s Node], depth: usize, mut schema: Schema<'s>) -> Schema<'s> {
    let mut read: Vec<(Schema<'s>, &'s Node)> = Vec::new();
    for choice in choices.iter().copied().take(32) {
        let (types, null) = types(choice);
        // `null`, and the empty text that takes a value back.
        let nothing = null && types.is_empty()
            || choice.text_at("type") == Some("null")
            || choice.items_at("enum") == [Node::Text(String::new())];
        schema.nullable |= null;
        if !nothing {
            read.push((read_at(spec, choice, depth + 1), choice));
        }
    }
    schema.nullable |= read.iter().any(|(one, _)| one.nullable);
    // What says no more than that it is gone is no form of the value.
    if read.iter().any(|(one, _)| !one.says_deleted) {
        read.retain(|(one, _)| !one.says_deleted);
    }
    if read.len() == 1
        && let Some((mut only, _)) = read.pop()
    {
        only.nullable |= schema.nullable;
        only.docs = schema.docs.or(only.docs);
        return only;
    }
    let texts = |kind: &Kind<'_>| {
        matches!(kind, Kind::Text | Kind::Enum(_) | Kind::Email | Kind::Url | Kind::Date | Kind::Instant | Kind::QuotedNumber)
    };
    let objects: Vec<&'s Node> =
        read.iter().filter(|(one, _)| matches!(one.kind, Kind::Object(_))).map(|(_, node)| *node).collect();
    let plain = read.iter().filter(|(one, _)| texts(&one.kind)).count();
    schema.kind = if plain == read.len() {
        union(read.iter().map(|(one, _)| &one.kind))
    } else if let ([object], true) = (objects.as_slice(), plain == 1 && read.len() == 2) {
        Kind::IdOf(object)
    } else if objects.len() + 1 == read.len() && plain == 1 {
        Kind::Any(Some(format!("an id, or {}", listed(&read))))
    } else if read.iter().all(|(one, _)| matches!(one.kind, Kind::Int(_) | Kind::Number)) && !read.is_empty() {
        Kind::Number
    } else {
        Kind::Any(Some(listed(&read)))
    };
    schema
}

/// Texts of several kinds.
fn union<'s, 'k>(kinds: impl Iterator<Item = &'k Kind<'s>>) -> Kind<'s>
where
    's: 'k,
{
    let mut all: Vec<&str> = Vec::new();
    for kind in kinds {
        match kind {
            Kind::Enum(members) => all.extend(members.iter().map(String::as_str)),
            _ => return Kind::Text,
        }
    }
    let members = members(all.into_iter());
    if members.is_empty() { Kind::Text } else { Kind::Enum(members) }
}

/// The alternatives in words.
fn listed(read: &[(Schema<'_>, &Node)]) -> String {
    let mut names: Vec<String> = Vec::new();
    for (schema, _) in read {
        let words = match schema.pointer {
            Some(pointer) => name::pascal(last(pointer)),
            None => describe(schema),
        };
        if !names.contains(&words) && names.len() < 8 {
            names.push(words);
        }
    }
    names.join(" or ")
}

/// The last part of a reference.
pub(crate) fn last(pointer: &str) -> &str {
    pointer.rsplit('/').next().unwrap_or(pointer)
}

/// Returns what a value is in words, for a comment.
pub(crate) fn describe(schema: &Schema<'_>) -> String {
    match &schema.kind {
        Kind::Text | Kind::Enum(_) | Kind::IdOf(_) => "a text".to_owned(),
        Kind::Email => "an e-mail address".to_owned(),
        Kind::Url => "an address".to_owned(),
        Kind::Int(_) => "a whole number".to_owned(),
        Kind::Number => "a number".to_owned(),
        Kind::QuotedNumber => "a number in quotes".to_owned(),
        Kind::Bool => "`true` or `false`".to_owned(),
        Kind::Date => "a date".to_owned(),
        Kind::Instant => "a time".to_owned(),
        Kind::UnixTime => "seconds since 1970".to_owned(),
        Kind::Binary => "a file".to_owned(),
        Kind::List(_) => "a list".to_owned(),
        Kind::Map(_) => "your own keys and values".to_owned(),
        Kind::Object(properties) => {
            let names: Vec<String> =
                properties.iter().take(10).map(|property| format!("`{}`", clean(property.name, 40))).collect();
            let more = if properties.len() > 10 { ", …" } else { "" };
            format!("an object with {}{more}", names.join(", "))
        }
        Kind::Any(Some(words)) => words.clone(),
        Kind::Any(None) => "any value".to_owned(),
    }
}
