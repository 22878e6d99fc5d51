//! One pass over a payload that takes out the wanted paths, without building a tree of the rest.
//!
//! The whole document is validated: its UTF-8, its syntax and its depth. Of a key that comes twice the last wins, as it
//! does for everybody who builds a tree.

use std::collections::HashMap;
use std::fmt;

use flow_plan::{JsonPath, Segment, Value};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

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
#[derive(Debug, Clone, Default)]
pub struct PathSet {
    root: Node,
    leaves: HashMap<JsonPath, usize>,
}

#[derive(Debug, Clone, Default)]
struct Node {
    leaf: Option<usize>,
    keys: HashMap<String, Node>,
    indices: HashMap<usize, Node>,
}

/// What a scan found.
#[derive(Debug)]
pub struct Scanned<'a> {
    found: Vec<Option<&'a RawValue>>,
}

impl PathSet {
    /// Returns the number of a path, which it takes in where it is new.
    pub fn insert(&mut self, path: &JsonPath) -> usize {
        if let Some(leaf) = self.leaves.get(path) {
            return *leaf;
        }
        let leaf = self.leaves.len();
        self.leaves.insert(path.clone(), leaf);
        let mut node = &mut self.root;
        for segment in &path.0 {
            node = match segment {
                Segment::Key(key) => node.keys.entry(key.clone()).or_default(),
                Segment::Index(index) => node.indices.entry(*index).or_default(),
            };
        }
        node.leaf = Some(leaf);
        leaf
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
        if depth(payload) > MAX_DEPTH {
            return Err(ScanError::Depth);
        }
        let mut found = vec![None; self.leaves.len()];
        let mut reader = serde_json::Deserializer::from_str(text);
        Take { node: &self.root, found: &mut found, parts: false }
            .deserialize(&mut reader)
            .and_then(|()| reader.end())
            .map_err(|error| ScanError::Syntax { line: error.line(), column: error.column() })?;
        Ok(Scanned { found })
    }
}

impl Scanned<'_> {
    /// Returns the value of a path by its number; missing where it is absent or null.
    pub fn value(&self, leaf: usize) -> Value {
        let Some(raw) = self.found.get(leaf).copied().flatten() else { return Value::Missing };
        // The scan has validated it, all but halves of characters.
        crate::json::read::<serde_json::Value>(raw.get().as_bytes()).map_or(Value::Missing, |json| Value::from_json(&json))
    }

    /// Returns the JSON text of a path by its number.
    pub fn raw(&self, leaf: usize) -> Option<&str> {
        self.found.get(leaf).copied().flatten().map(RawValue::get)
    }
}

/// Counts brackets outside of texts.
fn depth(payload: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0usize, 0usize, false, false);
    for byte in payload {
        if in_text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_text = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Takes what a node wants out of the value at hand.
struct Take<'n, 'f, 'de> {
    node: &'n Node,
    found: &'f mut Vec<Option<&'de RawValue>>,
    /// The node's own leaf is taken already; only the parts are wanted.
    parts: bool,
}

impl<'de> DeserializeSeed<'de> for Take<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let Some(leaf) = self.node.leaf.filter(|_| !self.parts) else { return deserializer.deserialize_any(self) };
        let raw = <&'de RawValue as serde::Deserialize>::deserialize(deserializer)?;
        if raw.get() != "null" {
            self.found[leaf] = Some(raw);
        }
        if self.node.keys.is_empty() && self.node.indices.is_empty() {
            return Ok(());
        }
        // The path is wanted as a whole and in parts: the parts are taken out of its own text.
        let mut reader = serde_json::Deserializer::from_str(raw.get());
        Take { parts: true, ..self }.deserialize(&mut reader).map_err(serde::de::Error::custom)
    }
}

impl<'de> Visitor<'de> for Take<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(node) = map.next_key_seed(Find(self.node))? {
            match node {
                Some(node) => {
                    clear(node, self.found);
                    map.next_value_seed(Take { node, found: self.found, parts: false })?;
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut at = 0;
        loop {
            let more = match self.node.indices.get(&at) {
                Some(node) => seq.next_element_seed(Take { node, found: self.found, parts: false })?.is_some(),
                None => seq.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                return Ok(());
            }
            at += 1;
        }
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

/// Forgets what an earlier value of the same key had.
fn clear(node: &Node, found: &mut [Option<&RawValue>]) {
    if let Some(leaf) = node.leaf {
        found[leaf] = None;
    }
    for inner in node.keys.values().chain(node.indices.values()) {
        clear(inner, found);
    }
}

/// Reads a key and finds the node that wants it.
struct Find<'n>(&'n Node);

impl<'n, 'de> DeserializeSeed<'de> for Find<'n> {
    type Value = Option<&'n Node>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'n> Visitor<'_> for Find<'n> {
    type Value = Option<&'n Node>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.keys.get(key))
    }
}
