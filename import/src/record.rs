//! Records: what answers are made of.
//!
//! A component of the description becomes one record, wherever it is used. What contains itself refers to itself by its id;
//! what would be very large where it is contained stays untyped there, and can be read all the same.

use std::collections::{HashMap, HashSet};

use crate::name::{self, Taken};
use crate::schema::{self, Kind, Schema};
use crate::spec::Spec;
use crate::words::{self, clean};

/// How many fields a record may bring along as the field of another.
const MOST_WITHIN: usize = 60;
/// How many fields a record may have in all.
const MOST_IN_ALL: usize = 300;
/// How many records may contain each other in a row.
const MOST_DEPTH: usize = 20;
/// An object of more properties gets a name.
const MOST_INLINE: usize = 6;

/// What stands behind the colon of a field or an input.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Ty {
    /// A named type with the words behind it: `datetime`, `iso`.
    Plain(&'static str, String),
    Enum {
        members: Vec<String>,
        open: bool,
    },
    List(Box<Ty>),
    Map(Box<Ty>),
    /// One of the records.
    Record(usize),
    /// The id of what a reference names.
    Id(String),
    Inline(Vec<Field>),
    Json,
}

impl Ty {
    /// A type without words behind it.
    pub(crate) fn plain(name: &'static str) -> Self {
        Ty::Plain(name, String::new())
    }
}

/// A field, or an input.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: String,
    /// Where it stands, where that is not its name.
    pub(crate) from: Option<String>,
    pub(crate) ty: Ty,
    pub(crate) optional: bool,
    pub(crate) docs: Vec<String>,
    pub(crate) attributes: Vec<&'static str>,
}

/// A record.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) name: String,
    pub(crate) docs: Vec<String>,
    /// What could not be said, above it.
    pub(crate) notes: Vec<String>,
    pub(crate) fields: Vec<Field>,
    /// How many fields it has with all that it contains.
    weight: usize,
    /// Its fields are being read.
    open: bool,
    /// It has an `id` that is a text.
    has_id: bool,
}

/// The records of a connector.
pub(crate) struct Records<'s, 'd> {
    spec: &'d Spec<'s>,
    by_key: HashMap<String, usize>,
    list: Vec<Record>,
    names: Taken,
    depth: usize,
}

impl<'s, 'd> Records<'s, 'd> {
    pub(crate) fn new(spec: &'d Spec<'s>) -> Self {
        Self { spec, by_key: HashMap::new(), list: Vec::new(), names: Taken::default(), depth: 0 }
    }

    /// Returns the type of a value that is read, and what a comment should say of it. `context` names what has no name.
    pub(crate) fn ty(&mut self, schema: &Schema<'s>, context: &str) -> (Ty, Option<String>) {
        let plain = |name: &'static str, words: &str| (Ty::Plain(name, words.to_owned()), None);
        match &schema.kind {
            Kind::Text => plain("text", ""),
            Kind::Binary => plain("text", ""),
            Kind::Email => plain("email", ""),
            Kind::Url => plain("url", ""),
            Kind::Int(_) => plain("int", ""),
            Kind::Number | Kind::QuotedNumber => plain("number", ""),
            Kind::Bool => plain("bool", ""),
            Kind::Date => plain("date", ""),
            Kind::Instant => plain("datetime", "iso"),
            Kind::UnixTime => plain("datetime", "unix"),
            Kind::Enum(members) if members.len() == 1 => plain("text", ""),
            Kind::Enum(members) => (Ty::Enum { members: members.clone(), open: true }, None),
            Kind::Any(words) => (Ty::Json, words.clone()),
            Kind::IdOf(node) => {
                let object = schema::read(self.spec, node);
                match object.pointer.filter(|_| self.id_of(&object)) {
                    Some(pointer) => (Ty::Id(pointer.to_owned()), None),
                    None => (Ty::Json, Some(format!("an id, or {}", schema::describe(&object)))),
                }
            }
            Kind::List(item) => {
                let (ty, note) = self.ty(item, context);
                (Ty::List(Box::new(ty)), note.map(|note| format!("each is {note}")))
            }
            Kind::Map(item) => {
                let (ty, note) = self.ty(item, context);
                (Ty::Map(Box::new(ty)), note.map(|note| format!("each is {note}")))
            }
            Kind::Object(properties) => {
                if self.depth >= MOST_DEPTH || !self.spec.spend() {
                    return (Ty::Json, Some(schema::describe(schema)));
                }
                if schema.pointer.is_none() && properties.len() <= MOST_INLINE {
                    self.depth += 1;
                    let (fields, _) = self.fields(schema, context, None);
                    self.depth -= 1;
                    return if fields.is_empty() { (Ty::Json, None) } else { (Ty::Inline(fields), None) };
                }
                self.record(schema, context)
            }
        }
    }

    /// Tells whether an object has an id that is a text.
    fn id_of(&self, object: &Schema<'s>) -> bool {
        let id = object.properties().iter().find(|property| property.name == "id");
        id.is_some_and(|id| schema::read(self.spec, id.node).kind == Kind::Text)
    }

    fn record(&mut self, schema: &Schema<'s>, context: &str) -> (Ty, Option<String>) {
        let key = schema.pointer.map_or_else(|| format!("inline {context}"), str::to_owned);
        if let Some(at) = self.by_key.get(&key).copied() {
            let Some(known) = self.list.get(at) else { return (Ty::Json, None) };
            // Where it would contain itself, its id stands for it: that is read out of the object as well.
            return match (known.open, known.has_id) {
                (false, _) => (Ty::Record(at), None),
                (true, true) => (Ty::Id(key), None),
                (true, false) => (Ty::Json, Some(format!("a record {}", known.name))),
            };
        }
        let wanted = schema.pointer.map_or_else(|| name::pascal(context), |pointer| name::pascal(schema::last(pointer)));
        let record = Record {
            name: self.names.take(&wanted),
            docs: words::lines(schema.own_docs.unwrap_or(""), 300),
            notes: Vec::new(),
            fields: Vec::new(),
            weight: 1,
            open: true,
            has_id: self.id_of(schema),
        };
        let at = self.list.len();
        let own = record.name.clone();
        let has_id = record.has_id;
        self.list.push(record);
        self.by_key.insert(key.clone(), at);
        self.depth += 1;
        let (mut fields, notes) = self.fields(schema, &own, has_id.then_some(key.as_str()));
        self.depth -= 1;
        if fields.is_empty() {
            // Nothing of it can be named: a record without fields would be no use.
            fields.push(Field {
                name: "value".to_owned(),
                from: Some(String::new()),
                ty: Ty::Json,
                optional: false,
                docs: vec!["All of it.".to_owned()],
                attributes: Vec::new(),
            });
        }
        let weight = 1 + fields.iter().map(|field| self.weight(&field.ty)).sum::<usize>();
        if let Some(record) = self.list.get_mut(at) {
            record.notes = notes;
            record.fields = fields;
            record.weight = weight;
            record.open = false;
        }
        (Ty::Record(at), None)
    }

    /// The fields of an object; `key` is its own reference, where it has an id.
    fn fields(&mut self, schema: &Schema<'s>, context: &str, key: Option<&str>) -> (Vec<Field>, Vec<String>) {
        let mut taken = Taken::default();
        let mut fields: Vec<Field> = Vec::new();
        let mut notes = Vec::new();
        let mut weight = 0;
        // What has its name on the wire as well keeps it, whatever comes before.
        let own = schema.properties().iter().map(|property| property.name).filter(|wire| is_own(wire));
        own.for_each(|wire| drop(taken.take(wire)));
        for property in schema.properties() {
            let read = schema::read(self.spec, property.node);
            if read.write_only {
                continue;
            }
            let Some((name, from)) = place(property.name, &mut taken) else {
                notes.push(format!("not imported: the field `{}`, which no path can name", clean(property.name, 60)));
                continue;
            };
            let inner = format!("{context}_{name}");
            let (mut ty, mut note) = self.ty(&read, &inner);
            if read.kind == Kind::Text && (name == "email" || name.ends_with("_email")) {
                ty = Ty::plain("email");
            }
            let own = self.weight(&ty);
            if own > MOST_WITHIN || weight + own > MOST_IN_ALL {
                note = Some(self.outgrown(&ty, &read));
                ty = Ty::Json;
            }
            weight += self.weight(&ty);
            let mut attributes = Vec::new();
            if let Some(key) = key.filter(|_| property.name == "id") {
                ty = Ty::Id(key.to_owned());
                attributes.push("@key");
            } else if schema.pointer.is_some() && property.name == "id" && matches!(ty, Ty::Plain("int" | "text", _)) {
                attributes.push("@key");
            }
            if is_personal(&name, &ty) {
                attributes.push("@personal");
            }
            // What holds for a record wherever it is used stands at the record.
            let said = read.docs.filter(|docs| !matches!(ty, Ty::Record(_) | Ty::Id(_)) || read.own_docs != Some(docs));
            let mut docs = words::lines(said.unwrap_or(""), 200);
            docs.extend(note.map(|note| format!("In JSON: {note}.")));
            if read.deprecated {
                docs.push("Deprecated.".to_owned());
            }
            fields.push(Field { name, from, ty, optional: !property.required || read.nullable, docs, attributes });
        }
        notes.extend(money(&fields));
        (fields, notes)
    }

    fn outgrown(&self, ty: &Ty, schema: &Schema<'_>) -> String {
        match ty {
            Ty::Record(at) => match self.list.get(*at) {
                Some(record) => format!("a {}, too large to be spelled out", record.name),
                None => schema::describe(schema),
            },
            Ty::List(_) => "a list, too large to be spelled out".to_owned(),
            _ => format!("{}, too large to be spelled out", schema::describe(schema)),
        }
    }

    fn weight(&self, ty: &Ty) -> usize {
        match ty {
            Ty::Plain(..) | Ty::Enum { .. } | Ty::Id(_) | Ty::Json => 1,
            Ty::List(inner) | Ty::Map(inner) => self.weight(inner),
            Ty::Record(at) => self.list.get(*at).map_or(1, |record| record.weight),
            Ty::Inline(fields) => 1 + fields.iter().map(|field| self.weight(&field.ty)).sum::<usize>(),
        }
    }

    /// Returns the records that these types lead to, in the order in which they were met.
    pub(crate) fn used<'t>(&self, types: impl Iterator<Item = &'t Ty>) -> HashSet<usize> {
        let mut used = HashSet::new();
        let mut open: Vec<usize> = Vec::new();
        for ty in types {
            contained(ty, &mut open);
        }
        while let Some(at) = open.pop() {
            if used.insert(at) {
                let fields = self.list.get(at).map_or(&[][..], |record| &record.fields);
                fields.iter().for_each(|field| contained(&field.ty, &mut open));
            }
        }
        used
    }

    /// Returns all records.
    pub(crate) fn list(&self) -> &[Record] {
        &self.list
    }

    /// Returns the record that a reference names, where it has an id.
    pub(crate) fn with_id(&self, key: &str) -> Option<usize> {
        self.by_key.get(key).copied().filter(|at| self.list.get(*at).is_some_and(|record| record.has_id))
    }
}

fn contained(ty: &Ty, found: &mut Vec<usize>) {
    match ty {
        Ty::Record(at) => found.push(*at),
        Ty::List(inner) | Ty::Map(inner) => contained(inner, found),
        Ty::Inline(fields) => fields.iter().for_each(|field| contained(&field.ty, found)),
        Ty::Plain(..) | Ty::Enum { .. } | Ty::Id(_) | Ty::Json => {}
    }
}

/// Returns the name of a field and, where that is another, its place.
fn place(wire: &str, taken: &mut Taken) -> Option<(String, Option<String>)> {
    if !words::can_be_key(wire) || wire.trim() != wire {
        return None;
    }
    if wire.contains(['.', '[', ']']) {
        // A path would lead through it; a name is taken as it is.
        let free = !wire.contains('`') && wire.len() <= 60 && taken.is_free(wire);
        return free.then(|| (taken.take(wire), None));
    }
    let name = if is_own(wire) { wire.to_owned() } else { taken.take(&name::snake(wire, "field")) };
    let from = (name != wire).then(|| wire.to_owned());
    Some((name, from))
}

/// Tells whether a name of the wire is one of the language as well.
fn is_own(wire: &str) -> bool {
    words::can_be_key(wire) && name::snake(wire, "field") == wire
}

/// Fields that are about a person, whatever they stand in.
fn is_personal(name: &str, ty: &Ty) -> bool {
    const PERSONAL: [&str; 12] = [
        "email",
        "phone",
        "first_name",
        "last_name",
        "full_name",
        "family_name",
        "given_name",
        "email_address",
        "phone_number",
        "mobile",
        "date_of_birth",
        "birthday",
    ];
    match ty {
        Ty::Plain("email", _) => true,
        Ty::Plain("text" | "date", _) => PERSONAL.contains(&name),
        _ => false,
    }
}

/// An amount beside its currency may be money: only somebody who knows the service can say in which unit.
fn money(fields: &[Field]) -> Option<String> {
    let currency = fields.iter().find(|field| {
        matches!(field.ty, Ty::Plain("text", _) | Ty::Enum { .. }) && (field.name == "currency" || field.name == "currency_code")
    })?;
    let amounts: Vec<&Field> = fields
        .iter()
        .filter(|field| {
            let counts = matches!(field.ty, Ty::Plain("int" | "number", _));
            counts && ["amount", "total", "price", "balance", "cost", "fee"].iter().any(|word| field.name.contains(word))
        })
        .collect();
    let first = amounts.first()?;
    let wire = |field: &Field| field.from.clone().unwrap_or_else(|| field.name.clone());
    let unit = if matches!(first.ty, Ty::Plain("int", _)) { "minor" } else { "decimal" };
    Some(format!(
        "As money, where {unit} units are meant: `{}: money{} {unit} from ({}, {})`.",
        first.name,
        if first.optional { "?" } else { "" },
        words::key(&wire(first)),
        words::key(&wire(currency))
    ))
}
