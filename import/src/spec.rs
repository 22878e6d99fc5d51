//! The description as a whole: its version, and what its references lead to.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use crate::ImportError;
use crate::document::Node;
use crate::words::clean;

/// How often something of the description is looked at before what is left stays untyped: what refers to itself in many
/// ways at once could be looked at forever.
const FUEL: usize = 3_000_000;
/// The same for a single schema, so that one that is like this leaves something for the others.
const FUEL_OF_ONE: usize = 5_000;
/// How many references may lead to each other.
const MOST_HOPS: usize = 16;

/// A description of version 3.
pub(crate) struct Spec<'s> {
    root: &'s Node,
    fuel: Cell<usize>,
    fuel_of_one: Cell<usize>,
    ran_out: Cell<bool>,
    notes: RefCell<BTreeSet<String>>,
}

/// What a reference led to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found<'s> {
    /// It itself.
    pub(crate) node: &'s Node,
    /// The reference, where there was one: what is the same has the same.
    pub(crate) pointer: Option<&'s str>,
}

impl<'s> Spec<'s> {
    /// Takes a document.
    pub(crate) fn new(root: &'s Node) -> Result<Self, ImportError> {
        let version = root.get("openapi").and_then(Node::scalar).unwrap_or_default();
        if version == "3" || version.starts_with("3.") {
            return Ok(Self {
                root,
                fuel: Cell::new(FUEL),
                fuel_of_one: Cell::new(FUEL_OF_ONE),
                ran_out: Cell::new(false),
                notes: RefCell::default(),
            });
        }
        let swagger = root.get("swagger").and_then(Node::scalar);
        Err(ImportError::NotOpenApi(match (swagger, root) {
            (Some(version), _) => format!("this is Swagger {}, and versions 2.0 and 3.0 to 3.2 are read", clean(&version, 10)),
            (None, Node::Object(_)) if !version.is_empty() => {
                format!("this is OpenAPI {}, and versions 3.0 to 3.2 are read", clean(&version, 10))
            }
            (None, Node::Object(_)) => "this is no OpenAPI document: it has no `openapi: 3…`".to_owned(),
            (None, _) => "this is no OpenAPI document: it is no object".to_owned(),
        }))
    }

    /// Returns the whole document.
    pub(crate) fn root(&self) -> &'s Node {
        self.root
    }

    /// Notes something that a reader of the connector should know, once.
    pub(crate) fn note(&self, text: String) {
        let mut notes = self.notes.borrow_mut();
        if notes.len() < 50 {
            notes.insert(text);
        }
    }

    /// Returns what was noted.
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = self.notes.borrow().iter().cloned().collect();
        if self.ran_out.get() {
            notes.push("it refers to itself in so many ways that a part of it stayed untyped".to_owned());
        }
        notes
    }

    /// Takes a little of what may be spent; `false` where nothing is left.
    pub(crate) fn spend(&self) -> bool {
        let (left, of_one) = (self.fuel.get(), self.fuel_of_one.get());
        self.fuel.set(left.saturating_sub(1));
        self.fuel_of_one.set(of_one.saturating_sub(1));
        let enough = left > 0 && of_one > 0;
        self.ran_out.set(self.ran_out.get() || !enough);
        enough
    }

    /// Begins with another schema.
    pub(crate) fn next_schema(&self) {
        self.fuel_of_one.set(FUEL_OF_ONE);
    }

    /// Follows references; `None` where they lead nowhere, or out of the document.
    pub(crate) fn resolve(&self, node: &'s Node) -> Option<Found<'s>> {
        let mut found = Found { node, pointer: None };
        for _ in 0..MOST_HOPS {
            let Some(pointer) = found.node.text_at("$ref") else { return Some(found) };
            let Some(target) = pointer.strip_prefix('#').and_then(|path| self.at(path)) else {
                self.note(match pointer.strip_prefix('#') {
                    Some(_) => format!("the reference `{}` leads nowhere", clean(pointer, 100)),
                    None => format!("the reference `{}` leads to another document, which is not read", clean(pointer, 100)),
                });
                return None;
            };
            if !self.spend() {
                return None;
            }
            found = Found { node: target, pointer: Some(pointer) };
        }
        self.note("references go around in a circle".to_owned());
        None
    }

    /// Returns what a JSON pointer names (RFC 6901).
    fn at(&self, pointer: &str) -> Option<&'s Node> {
        let mut node = self.root;
        for part in pointer.split('/').skip(1) {
            let part = percent_decoded(part).replace("~1", "/").replace("~0", "~");
            node = match node {
                Node::List(items) => items.get(part.parse::<usize>().ok()?)?,
                other => other.get(&part)?,
            };
        }
        Some(node)
    }
}

/// References are addresses, so that their characters may be encoded.
fn percent_decoded(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let code = behind.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = rest.get(3..).unwrap_or(&[]);
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}
