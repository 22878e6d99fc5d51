//! Form and query text with brackets: `a[b][0][c]=x`, `types[]=a&types[]=b`.
//!
//! The tree has no types yet: everything is text until a specification of the parameters is applied.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// How many pairs a form may have.
const MOST_PAIRS: usize = 2_000;
/// How deep brackets may nest.
const DEEPEST: usize = 12;

/// One parameter: text, or parameters within it. Lists are nodes whose names are numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    Text(String),
    Fields(Fields),
}

/// Parameters by name.
pub(crate) type Fields = BTreeMap<String, Node>;

/// What is wrong with a form.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FormError {
    #[error("too many parameters")]
    TooMany,
    #[error("invalid parameter name: {0}")]
    Name(String),
    #[error("the parameter {0} is both a value and an object")]
    Mixed(String),
}

/// Decodes forms into one tree, in order; of two equal names the last wins.
pub(crate) fn decode(texts: &[&[u8]]) -> Result<Fields, FormError> {
    let mut fields = Fields::new();
    let mut pairs = 0;
    for text in texts {
        for (name, value) in form_urlencoded::parse(text) {
            pairs += 1;
            if pairs > MOST_PAIRS {
                return Err(FormError::TooMany);
            }
            let path = split(&name).ok_or_else(|| FormError::Name(shorten(&name)))?;
            insert(&mut fields, &path, &value).map_err(|()| FormError::Mixed(shorten(&name)))?;
        }
    }
    Ok(fields)
}

fn shorten(name: &str) -> String {
    name.chars().take(100).collect()
}

/// Splits `a[b][]` into `a`, `b` and an empty piece.
fn split(name: &str) -> Option<Vec<&str>> {
    let Some((first, mut rest)) = name.split_once('[') else {
        return (!name.is_empty() && !name.contains(']')).then(|| vec![name]);
    };
    if first.is_empty() || first.contains(']') {
        return None;
    }
    let mut path = vec![first];
    loop {
        let (piece, after) = rest.split_once(']')?;
        if piece.contains('[') || path.len() == DEEPEST {
            return None;
        }
        path.push(piece);
        if after.is_empty() {
            return Some(path);
        }
        rest = after.strip_prefix('[')?;
    }
}

fn insert(fields: &mut Fields, path: &[&str], value: &str) -> Result<(), ()> {
    let Some((first, rest)) = path.split_first() else {
        return Err(());
    };
    let name = if first.is_empty() {
        // `a[]` appends: the next number above those there are.
        let next = fields.keys().filter_map(|name| name.parse::<u64>().ok()).max().map_or(0, |number| number.saturating_add(1));
        next.to_string()
    } else {
        (*first).to_owned()
    };
    if rest.is_empty() {
        return match fields.insert(name, Node::Text(value.to_owned())) {
            Some(Node::Fields(_)) => Err(()),
            Some(Node::Text(_)) | None => Ok(()),
        };
    }
    match fields.entry(name).or_insert_with(|| Node::Fields(Fields::new())) {
        Node::Fields(inner) => insert(inner, rest, value),
        Node::Text(_) => Err(()),
    }
}

/// Returns the elements in the order of their numbers, or `None` where a name is no number.
pub(crate) fn elements(fields: &Fields) -> Option<Vec<&Node>> {
    let mut elements = fields.iter().map(|(name, node)| Some((name.parse::<u64>().ok()?, node))).collect::<Option<Vec<_>>>()?;
    elements.sort_by_key(|(number, _)| *number);
    Some(elements.into_iter().map(|(_, node)| node).collect())
}

/// Returns the tree as JSON, with text for all values.
pub(crate) fn to_json(fields: &Fields) -> Value {
    let object = || fields.iter().map(|(name, node)| (name.clone(), node_to_json(node))).collect::<Map<_, _>>();
    Value::Object(object())
}

/// Returns a node as JSON, with lists for nodes whose names are all numbers.
pub(crate) fn node_to_json(node: &Node) -> Value {
    match node {
        Node::Text(text) => Value::String(text.clone()),
        Node::Fields(fields) => match elements(fields) {
            Some(elements) if !elements.is_empty() => Value::Array(elements.into_iter().map(node_to_json).collect()),
            Some(_) | None => to_json(fields),
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn json_of(text: &str) -> Value {
        to_json(&decode(&[text.as_bytes()]).unwrap())
    }

    #[test]
    fn brackets_nest() {
        assert_eq!(
            json_of("items[0][price]=p&items[1][price]=q&items[0][n]=2&a%5Bb%5D%5Bc%5D=x+y&t[]=1&t[]=2"),
            json!({
                "items": [{"price": "p", "n": "2"}, {"price": "q"}],
                "a": {"b": {"c": "x y"}},
                "t": ["1", "2"],
            })
        );
    }

    #[test]
    fn elements_come_in_the_order_of_their_numbers() {
        assert_eq!(json_of("a[10]=k&a[9]=j&a[0]=i"), json!({"a": ["i", "j", "k"]}));
    }

    #[test]
    fn impossible_names_are_refused() {
        for name in ["a[", "a]", "[a]", "a[b", "a[b]c", "a[[b]]", "=x"] {
            assert!(decode(&[format!("{name}=1").as_bytes()]).is_err(), "{name}");
        }
        assert!(decode(&[b"a=1&a[b]=2"]).is_err());
        assert!(decode(&[b"a[b]=2&a=1"]).is_err());
        let deep = format!("a{}=1", "[b]".repeat(5_000));
        assert!(decode(&[deep.as_bytes()]).is_err());
    }

    proptest! {
        /// No bytes of a peer make the decoder fail otherwise than by an error.
        #[test]
        fn any_bytes_decode_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(fields) = decode(&[&bytes]) {
                to_json(&fields);
            }
        }
    }
}
