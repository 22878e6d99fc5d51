//! A document as it was written: JSON and YAML alike, in the order of the text.

use std::collections::HashMap;

/// How many values a document may have, those behind aliases counted each time.
pub(crate) const MOST_NODES: usize = 4_000_000;
/// How deep values may be nested.
pub(crate) const MOST_DEPTH: usize = 100;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Null,
    Bool(bool),
    /// A number, as it is written.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Object(Object),
}

/// Fields in the order of the text. Of two with one name the last counts.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Object {
    entries: Vec<(String, Node)>,
    /// Where each name stands, once there are so many that looking at each takes long.
    index: HashMap<String, usize>,
}

/// From so many fields on they are indexed.
const MANY: usize = 12;

impl Object {
    /// Adds a field, or replaces the one of this name.
    pub(crate) fn set(&mut self, name: String, value: Node) {
        if let Some(at) = self.place(&name) {
            if let Some((_, old)) = self.entries.get_mut(at) {
                *old = value;
            }
            return;
        }
        if self.entries.len() == MANY {
            self.index = self.entries.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect();
        }
        if self.entries.len() >= MANY {
            self.index.insert(name.clone(), self.entries.len());
        }
        self.entries.push((name, value));
    }

    fn place(&self, name: &str) -> Option<usize> {
        if self.entries.len() > MANY {
            return self.index.get(name).copied();
        }
        self.entries.iter().position(|(known, _)| known == name)
    }

    /// Returns the field.
    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        self.entries.get(self.place(name)?).map(|(_, value)| value)
    }

    /// Returns the fields in their order.
    pub(crate) fn entries(&self) -> &[(String, Node)] {
        &self.entries
    }
}

impl Node {
    /// Returns the field of an object.
    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        match self {
            Node::Object(object) => object.get(name),
            Node::Null | Node::Bool(_) | Node::Number(_) | Node::Text(_) | Node::List(_) => None,
        }
    }

    /// Returns the text under a name.
    pub(crate) fn text_at(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Node::text)
    }

    /// Tells whether the field is there and true.
    pub(crate) fn is_true(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Node::Bool(true)))
    }

    /// Returns the text that it is.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Node::Text(text) => Some(text),
            Node::Null | Node::Bool(_) | Node::Number(_) | Node::List(_) | Node::Object(_) => None,
        }
    }

    /// Returns what a scalar looks like.
    pub(crate) fn scalar(&self) -> Option<String> {
        match self {
            Node::Text(text) | Node::Number(text) => Some(text.clone()),
            Node::Bool(value) => Some(value.to_string()),
            Node::Null | Node::List(_) | Node::Object(_) => None,
        }
    }

    /// Returns the items of a list; none where it is something else.
    pub(crate) fn items(&self) -> &[Node] {
        match self {
            Node::List(items) => items,
            Node::Null | Node::Bool(_) | Node::Number(_) | Node::Text(_) | Node::Object(_) => &[],
        }
    }

    /// Returns the fields of an object; none where it is something else.
    pub(crate) fn entries(&self) -> &[(String, Node)] {
        match self {
            Node::Object(object) => object.entries(),
            Node::Null | Node::Bool(_) | Node::Number(_) | Node::Text(_) | Node::List(_) => &[],
        }
    }

    /// Returns the items of the list under a name.
    pub(crate) fn items_at(&self, name: &str) -> &[Node] {
        self.get(name).map_or(&[], Node::items)
    }

    /// Returns the fields of the object under a name.
    pub(crate) fn entries_at(&self, name: &str) -> &[(String, Node)] {
        self.get(name).map_or(&[], Node::entries)
    }

    /// Returns how many values it holds, itself included.
    pub(crate) fn size(&self) -> usize {
        // The depth of a document is bounded.
        1 + match self {
            Node::List(items) => items.iter().map(Node::size).sum(),
            Node::Object(object) => object.entries().iter().map(|(_, value)| value.size()).sum(),
            Node::Null | Node::Bool(_) | Node::Number(_) | Node::Text(_) => 0,
        }
    }
}
