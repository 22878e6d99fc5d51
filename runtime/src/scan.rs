//! One pass over a payload that takes out the wanted paths, without building a tree of the rest.
//!
//! The whole document is validated: its UTF-8, its syntax and its depth. Of a key that comes twice the last wins, as it
//! does for everybody who builds a tree. The time is linear in the payload, whatever it holds.

mod paths;
mod reader;

use std::collections::HashMap;

use flow_plan::{JsonPath, Value, parse_decimal};

use paths::Node;
use reader::{Place, Reader};

/// How deep a payload may nest.
pub const MAX_DEPTH: usize = 100;

/// Why a payload cannot be scanned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// It is no UTF-8.
    #[error("it is not UTF-8")]
    Encoding,
    /// It nests too deeply.
    #[error("it nests more than {MAX_DEPTH} levels deep")]
    Depth,
    /// It is no JSON. The place is that of the byte where reading ended.
    #[error("it is not JSON (line {line}, column {column})")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
}

/// The paths to take out: a tree of their segments.
#[derive(Debug, Clone)]
pub struct PathSet {
    /// The first is the root. The number of a path is that of its node.
    nodes: Vec<Node>,
    leaves: HashMap<JsonPath, usize>,
}

impl Default for PathSet {
    fn default() -> Self {
        Self { nodes: vec![Node::default()], leaves: HashMap::new() }
    }
}

/// What a scan found.
#[derive(Debug)]
pub struct Scanned<'a> {
    text: &'a str,
    /// By node.
    places: Vec<Place>,
}

impl PathSet {
    /// Returns the number of a path, which it takes in where it is new.
    pub fn insert(&mut self, path: &JsonPath) -> usize {
        if let Some(leaf) = self.leaves.get(path) {
            return *leaf;
        }
        let mut at = 0;
        for segment in &path.0 {
            let next = self.nodes.len();
            let Some(node) = self.nodes.get_mut(at) else { break };
            at = node.child(segment, next);
            if at == next {
                self.nodes.push(Node::default());
            }
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.is_leaf = true;
        }
        self.leaves.insert(path.clone(), at);
        at
    }

    /// Returns the number of a path.
    pub fn leaf(&self, path: &JsonPath) -> Option<usize> {
        self.leaves.get(path).copied()
    }

    /// Scans a payload once.
    ///
    /// # Errors
    /// Where it is no JSON, or nests too deeply.
    pub fn scan<'a>(&self, payload: &'a [u8]) -> Result<Scanned<'a>, ScanError> {
        let text = std::str::from_utf8(payload).map_err(|_| ScanError::Encoding)?;
        let places = Reader::new(text, &self.nodes).document()?;
        Ok(Scanned { text, places })
    }
}

impl<'a> Scanned<'a> {
    /// Returns the value of a path by its number; missing where it is absent or null.
    pub fn value(&self, leaf: usize) -> Value {
        let Some(json) = self.raw(leaf) else { return Value::Missing };
        let plain = match json.as_bytes() {
            [b'"', text @ .., b'"'] if !text.contains(&b'\\') => json.get(1..json.len() - 1).map(Value::text),
            [b'-' | b'0'..=b'9', rest @ ..] if !rest.iter().any(|byte| matches!(byte, b'e' | b'E')) => {
                parse_decimal(json).map(Value::Number)
            }
            b"true" => Some(Value::Bool(true)),
            b"false" => Some(Value::Bool(false)),
            _ => None,
        };
        plain.unwrap_or_else(|| {
            // The scan has validated it, all but halves of characters.
            crate::json::read::<serde_json::Value>(json.as_bytes()).map_or(Value::Missing, |json| Value::from_json(&json))
        })
    }

    /// Returns the JSON text of a path by its number; nothing where it is absent or null.
    pub fn raw(&self, leaf: usize) -> Option<&'a str> {
        let place = self.places.get(leaf)?;
        self.text.get(place.start..place.end).filter(|text| !text.is_empty())
    }
}
