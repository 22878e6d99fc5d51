//! How values stand on the wire: as parameters of a query or form, and as JSON.
//!
//! A missing value is left out, an empty text is sent. Money never appears as it is: its amount and currency have several
//! forms, so the connector or the flow says which, and what reaches this module unconverted is refused.

use std::fmt::Write;

use flow_plan::{Expr, Function, Value};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use flow_functions::rfc3339;

/// What RFC 3986 calls unreserved stays; all else is encoded, so that no value can end its place.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Names keep their brackets, for readers of logs on the other side.
const NAME: &AsciiSet = &COMPONENT.remove(b'[').remove(b']');

/// Why a value cannot stand on the wire.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Money that does not fit: its amount has more decimals than the service counts, or it is not of the currency that is
    /// needed. [`WireError::of`] tells it from money that was never to be counted.
    #[error("`{0}` cannot be {1}: the service counts it with fewer decimals, or in another currency")]
    Money(String, String),
    /// Money that nothing says the form of.
    #[error("`{0}` is {1}, and money has no form of its own here: send `amount(…)`, with `currency(…)` beside it, or a text")]
    PlainMoney(String, String),
    /// A key out of data that would change the structure.
    #[error("a key in `{0}` holds a bracket, which would change what the request means")]
    Key(String),
}

impl WireError {
    /// Returns the error for what `expr` makes: what was to be counted did not fit the unit, anything else has no form.
    #[must_use]
    pub fn of(self, expr: &Expr) -> Self {
        let mut counted = false;
        expr.walk(&mut |part| counted |= matches!(part, Expr::Call(Function::Minor(_) | Function::DecimalText, _)));
        match self {
            WireError::Money(place, money) if !counted => WireError::PlainMoney(place, money),
            other => other,
        }
    }
}

/// Parameters in their order, decoded.
pub type Pairs = Vec<(String, String)>;

/// Appends a value under a name: records as `a[b]`, lists as `a[0]`; a list under a name that ends in `[]` is repeated under
/// it, and under one that ends in `[*]` without these signs.
///
/// # Errors
/// Where the value holds money, or a key that holds brackets.
pub fn push(pairs: &mut Pairs, name: &str, value: &Value) -> Result<(), WireError> {
    if let Some(name) = name.strip_suffix("[*]") {
        return match value {
            Value::List(items) => items.iter().try_for_each(|item| push(pairs, name, item)),
            one => push(pairs, name, one),
        };
    }
    match value {
        Value::Missing => {}
        Value::Record(fields) => {
            for (key, value) in fields.iter() {
                if key.contains(['[', ']']) {
                    return Err(WireError::Key(name.to_owned()));
                }
                push(pairs, &format!("{name}[{key}]"), value)?;
            }
        }
        Value::List(items) if name.ends_with("[]") => {
            for item in items.iter() {
                push(pairs, name, item)?;
            }
        }
        Value::List(items) => {
            for (at, item) in items.iter().enumerate() {
                push(pairs, &format!("{name}[{at}]"), item)?;
            }
        }
        scalar => pairs.push((name.to_owned(), scalar_text(name, scalar)?)),
    }
    Ok(())
}

/// Appends the fields of a form's body. Names of its top level may hold brackets, since the connector wrote them.
///
/// # Errors
/// As [`push`].
pub fn push_body(pairs: &mut Pairs, body: &Value) -> Result<(), WireError> {
    if let Value::Record(fields) = body {
        for (key, value) in fields.iter() {
            push(pairs, key, value)?;
        }
    }
    Ok(())
}

/// Returns the parameters as `a=b&c=d`.
pub fn encode(pairs: &Pairs) -> String {
    let mut out = String::new();
    for (name, value) in pairs {
        if !out.is_empty() {
            out.push('&');
        }
        // Writing into a text cannot fail.
        let _ = write!(out, "{}={}", utf8_percent_encode(name, NAME), utf8_percent_encode(value, COMPONENT));
    }
    out
}

/// Returns a text encoded as (a part of) one path segment.
pub fn encode_segment(text: &str) -> String {
    utf8_percent_encode(text, COMPONENT).to_string()
}

/// Returns a scalar as the wire has it: numbers plain, instants in RFC 3339; `name` is for the error.
///
/// # Errors
/// Where it is money.
pub fn scalar_text(name: &str, value: &Value) -> Result<String, WireError> {
    Ok(match value {
        Value::Money(_) => return Err(WireError::Money(name.to_owned(), value.to_string())),
        Value::Instant(at) => rfc3339(*at),
        Value::Missing
        | Value::Bool(_)
        | Value::Number(_)
        | Value::Text(_)
        | Value::Date(_)
        | Value::Time(_)
        | Value::Duration(_)
        | Value::List(_)
        | Value::Record(_) => value.to_string(),
    })
}

/// Returns a value as JSON: missing fields left out, numbers exact, instants in RFC 3339.
///
/// # Errors
/// Where it holds money; `name` says where.
pub fn json(name: &str, value: &Value) -> Result<serde_json::Value, WireError> {
    use serde_json::Value as Json;
    Ok(match value {
        Value::List(items) => Json::Array(
            items.iter().enumerate().map(|(at, item)| json(&format!("{name}[{at}]"), item)).collect::<Result<_, _>>()?,
        ),
        Value::Record(fields) => {
            let mut object = serde_json::Map::new();
            for (key, value) in fields.iter().filter(|(_, value)| !value.is_missing()) {
                let place = if name.is_empty() { key.to_string() } else { format!("{name}.{key}") };
                object.insert(key.to_string(), json(&place, value)?);
            }
            Json::Object(object)
        }
        Value::Money(_) | Value::Instant(_) => Json::String(scalar_text(name, value)?),
        Value::Missing
        | Value::Bool(_)
        | Value::Number(_)
        | Value::Text(_)
        | Value::Date(_)
        | Value::Time(_)
        | Value::Duration(_) => value.to_json(),
    })
}
