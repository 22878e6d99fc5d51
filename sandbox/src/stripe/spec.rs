//! Which parameters a request may have, written in one line, and reading a form by it.
//!
//! `"amount:i! currency! email metadata:m items[price quantity:i] address{city country} mode(payment|setup)"`:
//! names with a type after a colon, fields of an object in braces, of a list's elements in brackets, words
//! to choose from in parentheses; `!` requires. Types: none or `s` text, `i` integer, `b` boolean, `d` decimal
//! text, `m` metadata, `o` anything with fields, `r` range of times, `x` anything. Empty brackets hold texts.
//!
//! Every request may have `expand`. An empty text becomes null, which unsets.

use serde_json::{Map, Value, json};

use super::error::ApiError;
use crate::form::{self, Fields, Node};

/// The longest text a parameter may have.
const LONGEST_TEXT: usize = 5_000;

#[derive(Debug)]
struct Field<'s> {
    name: &'s str,
    shape: Shape<'s>,
    required: bool,
}

#[derive(Debug)]
enum Shape<'s> {
    Text,
    Integer,
    Boolean,
    Decimal,
    Metadata,
    Free,
    Range,
    Object(Vec<Field<'s>>),
    List(Vec<Field<'s>>),
    Texts,
    OneOf(Vec<&'s str>),
}

/// Reads a form by a specification, into JSON with the right types.
pub(crate) fn read(spec: &'static str, form: &Fields) -> Result<Map<String, Value>, ApiError> {
    let mut rest = spec;
    let mut fields = parse(&mut rest);
    fields.push(Field { name: "expand", shape: Shape::Texts, required: false });
    read_fields(&fields, form, "")
}

/// Parses fields up to a closing bracket, which it takes.
fn parse<'s>(rest: &mut &'s str) -> Vec<Field<'s>> {
    let mut fields = Vec::new();
    loop {
        *rest = rest.trim_start();
        let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let (name, after) = rest.split_at(length);
        *rest = after;
        if name.is_empty() {
            let mut characters = rest.chars();
            characters.next();
            *rest = characters.as_str();
            return fields;
        }
        let shape = parse_shape(rest);
        let required = rest.strip_prefix('!').inspect(|after| *rest = after).is_some();
        fields.push(Field { name, shape, required });
    }
}

fn parse_shape<'s>(rest: &mut &'s str) -> Shape<'s> {
    let mut characters = rest.chars();
    match characters.next() {
        Some('{') => {
            *rest = characters.as_str();
            Shape::Object(parse(rest))
        }
        Some('[') => {
            *rest = characters.as_str();
            match parse(rest) {
                fields if fields.is_empty() => Shape::Texts,
                fields => Shape::List(fields),
            }
        }
        Some('(') => {
            let (words, after) = characters.as_str().split_once(')').unwrap_or_default();
            *rest = after;
            Shape::OneOf(words.split('|').collect())
        }
        Some(':') => {
            let shape = match characters.next() {
                Some('i') => Shape::Integer,
                Some('b') => Shape::Boolean,
                Some('d') => Shape::Decimal,
                Some('m') => Shape::Metadata,
                Some('o' | 'x') => Shape::Free,
                Some('r') => Shape::Range,
                Some(_) | None => Shape::Text,
            };
            *rest = characters.as_str();
            shape
        }
        Some(_) | None => Shape::Text,
    }
}

fn read_fields(fields: &[Field<'_>], form: &Fields, path: &str) -> Result<Map<String, Value>, ApiError> {
    let mut read = Map::new();
    for (name, node) in form {
        let place = join(path, name);
        let Some(field) = fields.iter().find(|field| field.name == name) else {
            return Err(ApiError::parameter("parameter_unknown", &place, format!("Received unknown parameter: {place}")));
        };
        read.insert(name.clone(), read_node(&field.shape, node, &place)?);
    }
    for field in fields.iter().filter(|field| field.required) {
        let place = join(path, field.name);
        match read.get(field.name) {
            None => return Err(ApiError::missing(&place)),
            Some(Value::Null) => {
                return Err(ApiError::parameter(
                    "parameter_invalid_empty",
                    &place,
                    format!(
                        "You passed an empty string for '{place}'. We assume empty values are an attempt to unset a parameter; however '{place}' cannot be unset. You should remove '{place}' from your request or supply a non-empty value."
                    ),
                ));
            }
            Some(_) => {}
        }
    }
    Ok(read)
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}[{name}]") }
}

fn read_node(shape: &Shape<'_>, node: &Node, place: &str) -> Result<Value, ApiError> {
    let wrong = |what: &str| {
        let shown: String = match node {
            Node::Text(text) => text.chars().take(100).collect(),
            Node::Fields(_) => "an object".to_owned(),
        };
        let code = match what {
            "integer" => "parameter_invalid_integer",
            "string" => "parameter_invalid_string_blank",
            _ => "parameter_invalid",
        };
        ApiError::parameter(code, place, format!("Invalid {what}: {shown}"))
    };
    match (shape, node) {
        (_, Node::Text(text)) if text.is_empty() => Ok(Value::Null),
        (Shape::Text, Node::Text(text)) => {
            if text.chars().count() > LONGEST_TEXT {
                return Err(ApiError::parameter(
                    "parameter_invalid_string_too_long",
                    place,
                    format!("Invalid string: must be at most {LONGEST_TEXT} characters"),
                ));
            }
            Ok(json!(text))
        }
        (Shape::Integer, Node::Text(text)) => match text.parse::<i64>() {
            Ok(number) => Ok(json!(number)),
            Err(_) => Err(wrong("integer")),
        },
        (Shape::Boolean, Node::Text(text)) => match text.as_str() {
            "true" => Ok(json!(true)),
            "false" => Ok(json!(false)),
            _ => Err(wrong("boolean")),
        },
        (Shape::Decimal, Node::Text(text)) => {
            let digits = text.strip_prefix('-').unwrap_or(text);
            let is_decimal = digits.len() < 30
                && digits.chars().filter(|c| *c == '.').count() <= 1
                && digits.chars().any(|c| c.is_ascii_digit())
                && digits.chars().all(|c| c.is_ascii_digit() || c == '.');
            if is_decimal { Ok(json!(text)) } else { Err(wrong("decimal")) }
        }
        (Shape::OneOf(words), Node::Text(text)) => {
            if words.contains(&text.as_str()) {
                return Ok(json!(text));
            }
            Err(ApiError::parameter("parameter_invalid", place, format!("Invalid {place}: must be one of {}", words.join(", "))))
        }
        (Shape::Metadata, Node::Fields(fields)) => read_metadata(fields, place),
        (Shape::Free, node) => Ok(form::node_to_json(node)),
        (Shape::Range, Node::Text(text)) => match text.parse::<i64>() {
            Ok(number) => Ok(json!({"gte": number, "lte": number})),
            Err(_) => Err(wrong("timestamp")),
        },
        (Shape::Range, Node::Fields(fields)) => {
            let spec = ["gt", "gte", "lt", "lte"].map(|name| Field { name, shape: Shape::Integer, required: false });
            read_fields(&spec, fields, place).map(Value::Object)
        }
        (Shape::Object(spec), Node::Fields(fields)) => read_fields(spec, fields, place).map(Value::Object),
        (Shape::List(spec), Node::Fields(fields)) => form::elements(fields)
            .ok_or_else(|| wrong("array"))?
            .into_iter()
            .enumerate()
            .map(|(index, node)| match node {
                Node::Fields(fields) => {
                    let place = join(place, &index.to_string());
                    read_fields(spec, fields, &place).map(Value::Object)
                }
                Node::Text(_) => Err(wrong("object")),
            })
            .collect(),
        (Shape::Texts, Node::Fields(fields)) => form::elements(fields)
            .ok_or_else(|| wrong("array"))?
            .into_iter()
            .map(|node| match node {
                Node::Text(text) => Ok(json!(text)),
                Node::Fields(_) => Err(wrong("string")),
            })
            .collect(),
        (Shape::Texts | Shape::List(_), Node::Text(_)) => Err(wrong("array")),
        (Shape::Object(_) | Shape::Metadata, Node::Text(_)) => Err(wrong("object")),
        (Shape::Text | Shape::Integer | Shape::Boolean | Shape::Decimal | Shape::OneOf(_), Node::Fields(_)) => {
            Err(wrong("string"))
        }
    }
}

fn read_metadata(fields: &Fields, place: &str) -> Result<Value, ApiError> {
    let refuse = |message: String| Err(ApiError::parameter("parameter_invalid", place, message));
    if fields.len() > 50 {
        return refuse(format!("You can have up to 50 metadata keys, but you passed {}.", fields.len()));
    }
    let mut metadata = Map::new();
    for (key, node) in fields {
        let Node::Text(value) = node else {
            return refuse(format!("Metadata values must be strings: {key}"));
        };
        if key.chars().count() > 40 {
            return refuse(format!(
                "Metadata keys can have up to 40 characters, but you passed in a key that is {} characters.",
                key.chars().count()
            ));
        }
        if value.chars().count() > 500 {
            return refuse(format!(
                "Metadata values can have up to 500 characters, but you passed in a value that is {} characters.",
                value.chars().count()
            ));
        }
        let value = if value.is_empty() { Value::Null } else { json!(value) };
        metadata.insert(key.clone(), value);
    }
    Ok(Value::Object(metadata))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: &str =
        "amount:i! live:b mode(a|b) types[] items[price! quantity:i] address{city geo{lat:d}} metadata:m created:r free:o";

    fn read_text(text: &str) -> Result<Value, String> {
        let form = form::decode(&[text.as_bytes()]).unwrap();
        read(SPEC, &form).map(Value::Object).map_err(|error| error.summary())
    }

    #[test]
    fn a_form_becomes_typed() {
        assert_eq!(
            read_text("amount=5&live=true&mode=b&types[]=x&types[]=y&items[0][price]=p&items[0][quantity]=2&address[city]=&address[geo][lat]=-1.50&metadata[k]=v&metadata[l]=&created[gte]=7&free[a][0]=1&expand[]=x").unwrap(),
            json!({
                "amount": 5, "live": true, "mode": "b", "types": ["x", "y"],
                "items": [{"price": "p", "quantity": 2}],
                "address": {"city": null, "geo": {"lat": "-1.50"}},
                "metadata": {"k": "v", "l": null}, "created": {"gte": 7},
                "free": {"a": ["1"]}, "expand": ["x"],
            })
        );
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (form, expected) in [
            ("live=true", "parameter_missing: Missing required param: amount."),
            ("amount=1&colour=red", "parameter_unknown: Received unknown parameter: colour"),
            ("amount=1&items[0][prize]=p", "parameter_unknown: Received unknown parameter: items[0][prize]"),
            ("amount=1&items[0][quantity]=1", "parameter_missing: Missing required param: items[0][price]."),
            ("amount=1.5", "parameter_invalid_integer: Invalid integer: 1.5"),
            ("amount=1&live=yes", "parameter_invalid: Invalid boolean: yes"),
            ("amount=1&mode=c", "parameter_invalid: Invalid mode: must be one of a, b"),
            ("amount=", "parameter_invalid_empty: You passed an empty string for 'amount'"),
        ] {
            let error = read_text(form).unwrap_err();
            assert!(error.starts_with(expected), "{form}: {error}");
        }
    }
}
