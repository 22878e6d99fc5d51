//! Which fields a body may have, and of which types.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::refusal::Refusal;

use super::error;

/// The longest text of a custom field, in characters.
const LONGEST_CUSTOM: usize = 1_024;

/// What a field may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    Text,
    Integer,
    Boolean,
    Time,
    /// A list of anything.
    List,
    /// A list of texts with at most so many.
    Texts(usize),
    Object,
    /// Fields whose names end in their type.
    Custom,
    OneOf(&'static [&'static str]),
    /// A list of objects with this text in each.
    Entries(&'static str, &'static [&'static str]),
}

/// Fields by name.
pub(crate) type Spec = &'static [(&'static str, Shape)];

/// Reads the body of a request: an object with nothing but known fields. Null unsets.
pub(crate) fn read(body: &Value, spec: Spec) -> Result<Map<String, Value>, Refusal> {
    let Some(fields) = body.as_object() else {
        return Err(error::plain(400, "bad_request", "The body must be an object"));
    };
    for (name, value) in fields {
        let Some((_, shape)) = spec.iter().find(|(known, _)| known == name) else {
            return Err(error::unknown(name, "/properties"));
        };
        if !value.is_null() {
            check(name, value, *shape)?;
        }
    }
    Ok(fields.clone())
}

fn check(name: &str, value: &Value, shape: Shape) -> Result<(), Refusal> {
    let expected = match shape {
        Shape::Text if value.is_string() => return Ok(()),
        Shape::Text => "a text",
        Shape::Integer if value.as_i64().is_some() => return Ok(()),
        Shape::Integer => "an integer",
        Shape::Boolean if value.is_boolean() => return Ok(()),
        Shape::Boolean => "true or false",
        Shape::Time if is_time(value) => return Ok(()),
        Shape::Time => "a time in ISO 8601",
        Shape::List if value.is_array() => return Ok(()),
        Shape::List => "a list",
        Shape::Object if value.is_object() => return Ok(()),
        Shape::Object => "an object",
        Shape::Texts(most) => match value.as_array() {
            Some(list) if list.len() <= most && list.iter().all(Value::is_string) => return Ok(()),
            _ => return Err(error::bad(name, &format!("must be a list of at most {most} texts"))),
        },
        Shape::Custom => return check_custom(value),
        Shape::OneOf(words) => match value.as_str() {
            Some(word) if words.contains(&word) => return Ok(()),
            _ => return Err(error::bad(name, &format!("must be one of {}", words.join(", ")))),
        },
        Shape::Entries(key, types) => return check_entries(name, value, key, types),
    };
    Err(error::bad(name, &format!("must be {expected}")))
}

fn check_entries(name: &str, value: &Value, key: &str, types: &[&str]) -> Result<(), Refusal> {
    let Some(list) = value.as_array() else {
        return Err(error::bad(name, "must be a list"));
    };
    for entry in list {
        let Some(fields) = entry.as_object() else {
            return Err(error::bad(name, "must hold objects"));
        };
        if fields.get(key).and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(error::missing(&format!("{name}.{key}")));
        }
        if let Some(unknown) = fields.keys().find(|k| !matches!(k.as_str(), "type" | "verified") && *k != key) {
            return Err(error::unknown(unknown, &format!("/properties/{name}")));
        }
        if let Some(given) = fields.get("type") {
            check(&format!("{name}.type"), given, Shape::Text)?;
            if !given.as_str().is_some_and(|given| types.contains(&given)) {
                let detail = format!("must be one of {}", types.join(", "));
                return Err(error::bad(&format!("{name}.type"), &detail));
            }
        }
        if key == "email" && !fields.get(key).and_then(Value::as_str).is_some_and(is_email) {
            return Err(error::bad("emails.email", "must be an email address"));
        }
    }
    Ok(())
}

fn is_email(text: &str) -> bool {
    text.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
        && !text.contains(char::is_whitespace)
}

fn check_custom(value: &Value) -> Result<(), Refusal> {
    let Some(fields) = value.as_object() else {
        return Err(error::bad("custom", "must be an object"));
    };
    for (name, value) in fields {
        if value.is_null() {
            continue;
        }
        let fits = if name.ends_with("Str") || name.ends_with("Txt") {
            value.as_str().is_some_and(|text| text.chars().count() <= LONGEST_CUSTOM)
        } else if name.ends_with("Num") {
            value.is_number()
        } else if name.ends_with("At") {
            is_time(value)
        } else if name.ends_with("Bool") {
            value.is_boolean()
        } else if name.ends_with("Url") {
            value.is_string()
        } else {
            return Err(error::unknown(name, "/properties/custom"));
        };
        if !fits {
            return Err(error::bad(name, "does not have the type that its name ends in"));
        }
    }
    Ok(())
}

fn is_time(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.parse::<Timestamp>().is_ok())
}
