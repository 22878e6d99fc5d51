//! JSON to typed values, as a connector's records describe the wire.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use flow_plan::{
    Currency, FieldShape, FieldSource, JsonPath, Money, MoneyUnit, Shape, TimeFormat, Value, Writing, parse_decimal,
};
use jiff::{SignedDuration, Timestamp, civil};
use rust_decimal::{Decimal, prelude::ToPrimitive};
use serde_json::Value as Json;

use crate::eval::{Scope, holds, path_get};
use flow_functions::rfc3339;

/// A value that does not fit its shape. Its text names kinds, never the value itself, which may be personal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Misfit {
    /// Where: `items[2].amount`; empty for the value itself.
    pub path: String,
    /// What the shape wants.
    pub expected: String,
    /// What is there.
    pub found: String,
    /// The value itself, shortened: for those who may see the payload. Nothing where it is personal, or no single value.
    pub value: Option<String>,
}

/// Longer values are shortened.
const MOST_SHOWN: usize = 40;

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "expected {}, found {}", self.expected, self.found)
    }
}

impl Misfit {
    pub(crate) fn new(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { path: String::new(), expected: expected.into(), found: found.into(), value: None }
    }

    /// Notes the value. What is further inside has noted its own before.
    fn of(mut self, value: &Value) -> Self {
        self.value.get_or_insert_with(|| match value {
            Value::Text(text) => match text.char_indices().nth(MOST_SHOWN) {
                Some((end, _)) => format!("{}…", &text[..end]),
                None => text.to_string(),
            },
            Value::Number(number) => number.to_string(),
            Value::Bool(truth) => truth.to_string(),
            _ => String::new(),
        });
        self
    }

    /// Takes the value out.
    fn unseen(self) -> Self {
        Self { value: Some(String::new()), ..self }
    }

    pub(crate) fn within(mut self, parent: &str) -> Self {
        self.path = match self.path.as_str() {
            "" => parent.to_owned(),
            inner if inner.starts_with('[') => format!("{parent}{inner}"),
            inner => format!("{parent}.{inner}"),
        };
        self
    }
}

/// Reads a JSON value as a shape says. Null stays missing, whatever the shape: whether it may be is the matter of the field or
/// the list that it stands in.
///
/// # Errors
/// Where the value has another form.
pub fn decode(shape: &Shape, value: &Value) -> Result<Value, Misfit> {
    read(shape, value).map_err(|misfit| misfit.of(value))
}

fn read(shape: &Shape, value: &Value) -> Result<Value, Misfit> {
    if value.is_missing() && !matches!(shape, Shape::Money { .. }) {
        return Ok(Value::Missing);
    }
    match shape {
        Shape::Json => Ok(value.clone()),
        Shape::Text => match value {
            Value::Text(_) => Ok(value.clone()),
            _ => Err(Misfit::new("text", kind(value))),
        },
        Shape::Token => token(value),
        Shape::Bool => match value {
            Value::Bool(_) => Ok(value.clone()),
            _ => Err(Misfit::new("true or false", kind(value))),
        },
        Shape::Integer => match number(value) {
            Some(number) if number.fract().is_zero() => Ok(Value::Number(number.trunc())),
            Some(_) => Err(Misfit::new("a whole number", "a number with decimals")),
            None => Err(Misfit::new("a whole number", kind(value))),
        },
        Shape::Number => number(value).map(Value::Number).ok_or_else(|| Misfit::new("a number", kind(value))),
        Shape::Money { .. } => money_at(shape, &|_, path| path_get(value, path)).map_err(|(misfit, _)| misfit),
        Shape::Instant(format) => instant(value, *format).map(Value::Instant),
        Shape::Date => match value.as_text().and_then(|text| text.parse::<civil::Date>().ok()) {
            Some(date) => Ok(Value::Date(date)),
            None => Err(Misfit::new("a date", kind(value))),
        },
        Shape::Time => match value.as_text().and_then(|text| text.trim().parse::<civil::Time>().ok()) {
            Some(time) => Ok(Value::Time(time)),
            None => Err(Misfit::new("a time of day", kind(value))),
        },
        Shape::Duration(unit) => duration(value, *unit).ok_or_else(|| Misfit::new("a duration", kind(value))),
        Shape::Written(writing) => written(value, *writing),
        Shape::Commas(inner) => match value {
            Value::Text(text) => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Value::text);
                list(inner, &Value::List(items.collect::<Vec<_>>().into()))
            }
            _ => list(inner, value),
        },
        Shape::Enum { members, open } => match value.as_text() {
            Some(text) if *open || members.iter().any(|member| member == text) => Ok(value.clone()),
            Some(_) => Err(Misfit::new(format!("one of {}", members.join(", ")), "another text")),
            None => Err(Misfit::new("text", kind(value))),
        },
        Shape::Coded { members, codes, otherwise } => coded(value, members, codes, otherwise.as_deref()),
        Shape::List(inner) => list(inner, value),
        Shape::Map(inner) => map(inner, value),
        Shape::Record(fields) => match value {
            Value::Record(_) => decode_record(fields, value),
            _ => Err(Misfit::new("a record", kind(value))),
        },
        Shape::Optional(inner) => read(inner, value),
    }
}

/// Writes an instant as the wire has it.
pub(crate) fn on_wire(at: Timestamp, format: TimeFormat) -> Json {
    match format {
        TimeFormat::Unix | TimeFormat::UnixAuto => Json::from(at.as_second()),
        TimeFormat::UnixMillis => Json::from(at.as_millisecond()),
        TimeFormat::UnixMicros => Json::from(at.as_microsecond()),
        TimeFormat::Rfc2822 => {
            jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_string(&at).map_or(Json::Null, Json::String)
        }
        TimeFormat::Iso => Json::String(rfc3339(at)),
    }
}

/// Reads the fields of a record.
///
/// # Errors
/// At the first field that has another form, or that is required and missing.
pub fn decode_record(fields: &[FieldShape], record: &Value) -> Result<Value, Misfit> {
    let mut values = BTreeMap::new();
    for field in fields {
        let value = decode_field(field, &|root, path| match root {
            Root::Record => path_get(record, path),
            Root::Event => Value::Missing,
        })?;
        if !value.is_missing() {
            values.insert(Arc::from(field.name.as_str()), value);
        }
    }
    Ok(Value::Record(Arc::new(values)))
}

/// From where a path of a field goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// From the record.
    Record,
    /// From the whole payload of the event that the record is in.
    Event,
}

impl Root {
    /// Returns the root of a place.
    pub fn of(source: &FieldSource) -> Self {
        if source.of_event { Root::Event } else { Root::Record }
    }
}

/// Reads one field of a record, whose JSON `get` returns by path.
///
/// # Errors
/// Where the field has another form, or is required and missing.
pub fn decode_field(field: &FieldShape, get: &dyn Fn(Root, &JsonPath) -> Value) -> Result<Value, Misfit> {
    let value = match &field.shape {
        shape @ Shape::Money { .. } => money_at(shape, get).map_err(|(misfit, amount)| misfit.of(&amount)),
        shape => match first_present(field, get) {
            Value::Missing => Ok(Value::Missing),
            found => decode(shape, &found),
        },
    };
    let seen = |misfit: Misfit| if field.personal { misfit.unseen() } else { misfit };
    match value.map_err(|misfit| seen(misfit).within(&field.name))? {
        Value::Missing if field.default.is_some() => Ok(field.default.clone().unwrap_or_default()),
        Value::Missing if !field.optional => Err(Misfit::new(expected(&field.shape), "nothing").within(&field.name)),
        value => Ok(value),
    }
}

/// Reads money from the first of its places that has an amount; an error brings that along.
fn money_at(shape: &Shape, get: &dyn Fn(Root, &JsonPath) -> Value) -> Result<Value, (Misfit, Value)> {
    let Shape::Money { amount, currency, instead, unit, exponents } = shape else { return Ok(Value::Missing) };
    let mut found = (get(Root::Record, amount), currency);
    for (amount, currency) in instead {
        if !found.0.is_missing() {
            break;
        }
        found = (get(Root::Record, amount), currency);
    }
    let (amount, currency) = found;
    money(&amount, &get(Root::Record, currency), *unit, exponents).map_err(|misfit| (misfit, amount))
}

fn first_present(field: &FieldShape, get: &dyn Fn(Root, &JsonPath) -> Value) -> Value {
    struct Record<'a>(&'a dyn Fn(Root, &JsonPath) -> Value);
    impl Scope for Record<'_> {
        fn answer(&self, path: &JsonPath) -> Value {
            (self.0)(Root::Record, path)
        }
    }
    for source in &field.from {
        // A `require` has no place in a record: it counts as false.
        if source.when.as_ref().is_some_and(|when| !holds(when, &Record(get)).unwrap_or(false)) {
            continue;
        }
        let value = get(Root::of(source), &source.path);
        let blank = matches!((&field.shape, &value), (Shape::Token, Value::Text(text)) if text.is_empty());
        if !value.is_missing() && !blank {
            return value;
        }
    }
    Value::Missing
}

fn token(value: &Value) -> Result<Value, Misfit> {
    match value {
        Value::Text(text) if text.is_empty() => Ok(Value::Missing),
        Value::Text(_) => Ok(value.clone()),
        // A reference that the service expanded: the object stands where its id would.
        Value::Record(fields) if matches!(fields.get("id"), Some(Value::Text(_))) => token(&value.field("id")),
        // Some services number their records.
        Value::Number(number) => Ok(Value::text(number.normalize().to_string())),
        _ => Err(Misfit::new("text", kind(value))),
    }
}

/// A number of units, whole or not.
fn duration(value: &Value, unit: u32) -> Option<Value> {
    let millis = number(value)?.checked_mul(Decimal::from(unit))?.round().to_i64()?;
    Some(Value::Duration(flow_plan::Duration::from_millis(millis)))
}

/// A text that is written in another way on the wire.
fn written(value: &Value, writing: Writing) -> Result<Value, Misfit> {
    let text = match value {
        Value::Text(text) => text.as_ref(),
        Value::Number(number) if writing == Writing::Text => return Ok(Value::text(number.normalize().to_string())),
        _ => return Err(Misfit::new("text", kind(value))),
    };
    Ok(match writing {
        Writing::Text => value.clone(),
        Writing::Lower => Value::text(text.to_lowercase()),
        Writing::Upper => Value::text(text.to_uppercase()),
        Writing::Base64 => {
            let bytes = flow_functions::from_base64(text).ok_or_else(|| Misfit::new("base64", "another text"))?;
            match String::from_utf8(bytes) {
                Ok(text) => Value::text(text),
                Err(error) => Value::text(hex::encode(error.as_bytes())),
            }
        }
        Writing::Hex => {
            let bytes = hex::decode(text.trim()).map_err(|_| Misfit::new("hexadecimal digits", "another text"))?;
            String::from_utf8(bytes).map_or_else(|_| value.clone(), Value::text)
        }
    })
}

fn list(inner: &Shape, value: &Value) -> Result<Value, Misfit> {
    let Value::List(items) = value else { return Err(Misfit::new("a list", kind(value))) };
    let items = items
        .iter()
        .enumerate()
        .map(|(at, item)| list_item(inner, item).map_err(|misfit| misfit.within(&format!("[{at}]"))))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Value::List(Arc::new(items)))
}

/// As a required field, an item is something: whatever is made of it would have a hole, or do without what it needs.
fn list_item(shape: &Shape, item: &Value) -> Result<Value, Misfit> {
    match decode(shape, item)? {
        Value::Missing if !matches!(shape, Shape::Json | Shape::Optional(_)) => Err(Misfit::new(expected(shape), "nothing")),
        value => Ok(value),
    }
}

fn map(inner: &Shape, value: &Value) -> Result<Value, Misfit> {
    let Value::Record(fields) = value else { return Err(Misfit::new("a map", kind(value))) };
    let fields = fields
        .iter()
        .map(|(name, value)| Ok((name.clone(), decode(inner, value).map_err(|misfit| misfit.within(name))?)))
        .collect::<Result<Vec<_>, Misfit>>()?;
    Ok(Value::record(fields))
}

/// A member of an enum: by its own name, by its number, or else what all other values are.
fn coded(value: &Value, members: &[String], codes: &BTreeMap<i64, String>, otherwise: Option<&str>) -> Result<Value, Misfit> {
    let named = value.as_text().filter(|text| members.iter().any(|member| member == text));
    let number = || number(value).filter(|number| number.fract().is_zero()).and_then(|number| number.to_i64());
    let numbered = || number().and_then(|number| codes.get(&number)).map(String::as_str);
    match named.or_else(numbered).or(otherwise) {
        Some(member) => Ok(Value::text(member)),
        None if codes.is_empty() => Err(Misfit::new(format!("one of {}", members.join(", ")), "another value")),
        None => Err(Misfit::new("a number that means something", "another value")),
    }
}

/// Numbers in quotes count as numbers.
fn number(value: &Value) -> Option<Decimal> {
    match value {
        Value::Number(number) => Some(*number),
        Value::Text(text) => parse_decimal(text.trim()),
        _ => None,
    }
}

fn money(amount: &Value, currency: &Value, unit: MoneyUnit, exponents: &BTreeMap<Currency, u8>) -> Result<Value, Misfit> {
    if amount.is_missing() {
        return Ok(Value::Missing);
    }
    let Some(number) = number(amount) else { return Err(Misfit::new("money", kind(amount))) };
    let code = match currency {
        // Services send a zero with a null currency for an account that was never used: no money to speak of.
        Value::Missing if number.is_zero() => return Ok(Value::Missing),
        Value::Missing => return Err(Misfit::new("money", "an amount without a currency")),
        other => other.as_text().ok_or_else(|| Misfit::new("a currency", kind(other)))?,
    };
    let currency = Currency::parse(code).ok_or_else(|| Misfit::new("a currency", "another text"))?;
    let amount = match unit {
        MoneyUnit::Decimal => number,
        MoneyUnit::Minor if !number.fract().is_zero() => {
            return Err(Misfit::new("a whole number of minor units", "a number with decimals"));
        }
        // How much it is depends on the decimals, and a guess would be wrong by tens or hundreds.
        MoneyUnit::Minor if !exponents.contains_key(&currency) && !currency.is_known() => {
            return Err(Misfit::new("a currency whose decimals are known", "another one"));
        }
        MoneyUnit::Minor => {
            let decimals = exponents.get(&currency).copied().unwrap_or(currency.decimals());
            // Exact: only the decimal point moves.
            let major = number.trunc().checked_mul(Decimal::new(1, u32::from(decimals)));
            major.ok_or_else(|| Misfit::new("money", "a number that is too large"))?
        }
    };
    Ok(Value::Money(Money { amount, currency }))
}

fn instant(value: &Value, format: TimeFormat) -> Result<Timestamp, Misfit> {
    let misfit = || Misfit::new("an instant", kind(value));
    let millis = |per_second: Decimal| -> Option<Timestamp> {
        let micros = number(value)?.checked_mul(per_second)?.trunc().to_i64()?;
        Timestamp::UNIX_EPOCH.checked_add(SignedDuration::from_micros(micros)).ok()
    };
    let (of_seconds, of_millis) = (Decimal::from(1_000_000), Decimal::from(1_000));
    match format {
        TimeFormat::Unix => millis(of_seconds),
        TimeFormat::UnixMillis => millis(of_millis),
        TimeFormat::UnixMicros => millis(Decimal::ONE),
        // The year 2286 in seconds, April of 1970 in milliseconds.
        TimeFormat::UnixAuto => {
            let large = number(value).is_some_and(|number| number.abs() > Decimal::from(10_000_000_000u64));
            millis(if large { of_millis } else { of_seconds })
        }
        TimeFormat::Rfc2822 => value
            .as_text()
            .and_then(|text| jiff::fmt::rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text.trim()).ok()),
        TimeFormat::Iso => value.as_text().and_then(|text| text.trim().parse().ok()),
    }
    .ok_or_else(misfit)
}

/// Returns what kind of JSON a value is, for messages.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Missing => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::Text(_) => "text",
        Value::Money(_) => "money",
        Value::Date(_) => "a date",
        Value::Time(_) => "a time",
        Value::Instant(_) => "an instant",
        Value::Duration(_) => "a duration",
        Value::List(_) => "a list",
        Value::Record(_) => "a record",
    }
}

/// Returns what a shape wants, for messages.
pub(crate) fn expected(shape: &Shape) -> &'static str {
    match shape {
        Shape::Json => "a value",
        Shape::Text | Shape::Token | Shape::Enum { .. } | Shape::Written(_) => "text",
        Shape::Coded { .. } => "a member",
        Shape::Bool => "true or false",
        Shape::Integer => "a whole number",
        Shape::Number => "a number",
        Shape::Money { .. } => "money",
        Shape::Instant(_) => "an instant",
        Shape::Date => "a date",
        Shape::Time => "a time of day",
        Shape::Duration(_) => "a duration",
        Shape::List(_) | Shape::Commas(_) => "a list",
        Shape::Map(_) => "a map",
        Shape::Record(_) => "a record",
        Shape::Optional(inner) => expected(inner),
    }
}
