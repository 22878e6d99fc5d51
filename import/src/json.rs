//! JSON to a document.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::ImportError;
use crate::document::{MOST_NODES, Node, Object};

/// As serde_json hands out numbers whose digits are kept.
const NUMBER: &str = "$serde_json::private::Number";

/// Reads a text. Its depth is bounded by `serde_json`.
pub(crate) fn read(text: &str) -> Result<Node, ImportError> {
    let mut left = MOST_NODES;
    let mut json = serde_json::Deserializer::from_str(text);
    let root = Value { left: &mut left }.deserialize(&mut json).and_then(|root| json.end().map(|()| root));
    root.map_err(|error| {
        if left == 0 {
            return ImportError::TooLarge(format!("more than {MOST_NODES} values"));
        }
        ImportError::Unreadable { format: "JSON", reason: crate::words::clean(&error.to_string(), 200) }
    })
}

struct Value<'l> {
    left: &'l mut usize,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        if *self.left == 0 {
            return Err(de::Error::custom("too many values"));
        }
        *self.left -= 1;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Number(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(Node::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(Value { left: self.left })? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut object = Object::default();
        while let Some(Key(name)) = map.next_key()? {
            if name == NUMBER {
                return Ok(Node::Number(map.next_value()?));
            }
            let value = map.next_value_seed(Value { left: self.left })?;
            object.set(name, value);
        }
        Ok(Node::Object(object))
    }
}

#[derive(Deserialize)]
struct Key(String);
