//! The payload of a given event: the connector's example with the test's fields written into it, as the wire holds them.

use std::collections::BTreeMap;

use bytes::Bytes;
use flow_plan::{
    Currency, FieldShape, FieldSource, GivenEvent, HEARD, JsonPath, Money, MoneyUnit, Payload, Segment, Shape, Value, Writing,
};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde_json::{Map, Value as Json};

use super::services::Maker;
use crate::decode::{Root, decode_field, on_wire};
use crate::eval::{Scope, equal, holds, path_get};

/// A payload with what its envelope says.
pub(super) struct Made {
    pub(super) id: String,
    pub(super) event_type: Option<String>,
    pub(super) payload: Bytes,
}

/// Makes the payload of the event number `event` of the test, which is the number `count` of its trigger.
pub(super) fn make(event: &GivenEvent, now: Timestamp, number: u32, count: u32) -> Result<Made, String> {
    let name = format!("{}.{}", event.connection, event.trigger);
    let (mut document, recorded) = match &event.payload {
        Payload::Text(text) => (parse(text, "the example of the connector")?, false),
        Payload::File(file) => return Err(format!("the file `{file}` was not read")),
        Payload::Made => (Json::Object(Map::new()), false),
    };
    let recorded = recorded || matches!(&event.payload, Payload::Text(_)) && is_recorded(event, &document);
    let envelope = &event.envelope;
    let event_type = match &envelope.event_type {
        Some(path) => {
            let found = text_at(&document, path);
            let known = found.filter(|found| event.types.is_empty() || event.types.contains(found));
            match (known, &event.event_type) {
                (Some(found), _) => Some(found),
                (None, Some(wanted)) => {
                    set(&mut document, path, Json::String(wanted.clone()))?;
                    Some(wanted.clone())
                }
                (None, None) => None,
            }
        }
        None => coded(&mut document, event)?,
    };
    let id = format!("evt_test_{number}");
    if let Some(path) = &envelope.id {
        set(&mut document, path, Json::String(id.clone()))?;
    }
    if let Some((path, format)) = &envelope.at {
        set(&mut document, path, on_wire(now, *format))?;
    }
    let object = at(&document, &envelope.object).cloned().unwrap_or_else(|| Json::Object(Map::new()));
    let mut whole = Whole { object, event: Some(document) };
    if !recorded {
        fill(&mut whole, event, number, now)?;
    }
    for (field, value) in &event.fields {
        match number_of(event, field, value, &whole.object) {
            Some((path, number)) => set(&mut whole.object, &path, Json::from(number))?,
            None => write(&mut whole, field, value)?,
        }
    }
    if let Some(key) = event.key.as_ref().filter(|key| count > 1 && !event.fields.iter().any(|(field, _)| field.name == key.name))
        && let Ok(Value::Text(text)) = read(&whole, key)
    {
        write(&mut whole, key, &Value::text(format!("{text}_{count}")))?;
    }
    for (field, value) in &event.fields {
        let found = read(&whole, field).map_err(|misfit| format!("`{}` of `{name}` cannot be given so: {misfit}", field.name))?;
        if !(equal(&found, value) || found.is_missing() && value.is_missing() || found == *value) {
            let (found, value) = (shown(&found), shown(value));
            return Err(format!("`{}` of `{name}` would be {found} on the wire, not {value}", field.name));
        }
    }
    let Whole { object, event: document } = whole;
    let mut document = document.unwrap_or_default();
    set(&mut document, &envelope.object, object)?;
    // A field of the record may be the type.
    let event_type = envelope.event_type.as_ref().and_then(|path| text_at(&document, path)).or(event_type);
    Ok(Made { id, event_type, payload: Bytes::from(document.to_string()) })
}

/// Says for which values an event was heard: the one that the test gives, else those that mean it.
pub(super) fn hear(made: &mut Made, scheme: &str, mut values: Vec<String>, given: bool) -> Result<(), String> {
    let mut document = parse(&String::from_utf8_lossy(&made.payload), "the payload")?;
    if !given {
        values.retain(|value| crate::listen::means(scheme, value, &document));
    }
    document[HEARD] = values.into();
    made.payload = Bytes::from(document.to_string());
    Ok(())
}

/// The event type of a source that has numbers for types: what the payload says, else the first number of the one wanted.
fn coded(document: &mut Json, event: &GivenEvent) -> Result<Option<String>, String> {
    let Some(codes) = &event.envelope.codes else { return Ok(None) };
    let told = at(document, &codes.path).and_then(Json::as_i64);
    let known =
        told.and_then(|told| codes.types.iter().find(|(_, numbers)| numbers.contains(&told)).map(|(name, _)| name.clone()));
    if let Some(known) = known.filter(|known| event.types.is_empty() || event.types.contains(known)) {
        return Ok(Some(known));
    }
    if let Some(wanted) = &event.event_type
        && let Some(number) = codes.types.get(wanted).and_then(|numbers| numbers.first())
    {
        set(document, &codes.path, Json::from(*number))?;
    }
    Ok(event.event_type.clone())
}

/// A member for which there are several numbers: one that leaves the event of the type that it is, where the same number says
/// what has happened.
fn number_of(event: &GivenEvent, field: &FieldShape, value: &Value, object: &Json) -> Option<(JsonPath, i64)> {
    let (Shape::Coded { codes, .. }, Value::Text(member)) = (&field.shape, value) else { return None };
    let own = event.envelope.codes.as_ref()?;
    let path = &field.from.first()?.path;
    if *path != own.path || !event.envelope.object.is_root() || at(object, path).is_none() {
        return None;
    }
    let of_type = event.types.iter().filter_map(|name| own.types.get(name)).flatten();
    let number = of_type.copied().find(|number| codes.get(number).is_some_and(|known| **known == **member))?;
    Some((path.clone(), number))
}

/// Takes the text of a recorded payload in.
///
/// # Errors
/// Where it is no JSON object, or of another event type.
pub fn read_file(event: &mut GivenEvent, text: &str, file: &str) -> Result<(), String> {
    let document = parse(text, file)?;
    if let Some(path) = &event.envelope.event_type
        && let Some(found) = text_at(&document, path)
        && !event.types.is_empty()
        && !event.types.contains(&found)
    {
        let wanted = event.types.join("` or `");
        return Err(format!("`{file}` holds `{found}`, and `{}.{}` is made by `{wanted}`", event.connection, event.trigger));
    }
    if let Some(path) = &event.envelope.event_type
        && !event.types.is_empty()
        && text_at(&document, path).is_none()
    {
        let wanted = event.types.join("` or `");
        return Err(format!("`{file}` does not say at `{path}` what happened; it would be `{wanted}`"));
    }
    event.payload = Payload::Text(text.to_owned());
    Ok(())
}

/// A payload that has what the record needs.
fn is_recorded(event: &GivenEvent, document: &Json) -> bool {
    at(document, &event.envelope.object).is_some_and(|object| {
        let whole = Whole { object: object.clone(), event: Some(document.clone()) };
        let mut required = event.record.iter().filter(|field| !field.optional);
        required.all(|field| read(&whole, field).is_ok_and(|value| !value.is_missing()))
    })
}

fn parse(text: &str, what: &str) -> Result<Json, String> {
    let document: Json = serde_json::from_str(text).map_err(|error| format!("{what} is no JSON: {error}"))?;
    if document.is_object() { Ok(document) } else { Err(format!("{what} is no JSON object")) }
}

fn shown(value: &Value) -> String {
    if value.is_missing() { "missing".to_owned() } else { format!("`{value}`") }
}

/// Gives required fields that are not there plain values.
fn fill(whole: &mut Whole, event: &GivenEvent, number: u32, now: Timestamp) -> Result<(), String> {
    for field in event.record.iter().filter(|field| !field.optional) {
        if read(whole, field).is_ok_and(|value| !value.is_missing()) {
            continue;
        }
        let mut maker = Maker { inputs: &[], stem: &event.trigger, number, now };
        let value = maker.value(&field.shape, &field.name);
        write(whole, field, &value)?;
    }
    Ok(())
}

/// A record, and the payload that it is taken from where it is that of an event.
struct Whole {
    object: Json,
    event: Option<Json>,
}

impl Whole {
    fn root(&mut self, source: &FieldSource) -> Result<&mut Json, String> {
        match (Root::of(source), &mut self.event) {
            (Root::Record, _) => Ok(&mut self.object),
            (Root::Event, Some(event)) => Ok(event),
            (Root::Event, None) => Err(format!("`{}` stands in an event only", source.path)),
        }
    }
}

fn read(whole: &Whole, field: &FieldShape) -> Result<Value, crate::decode::Misfit> {
    let object = Value::from_json(&whole.object);
    let event = whole.event.as_ref().filter(|_| field.from.iter().any(|source| source.of_event)).map(Value::from_json);
    decode_field(&FieldShape { optional: true, ..field.clone() }, &|root, path| match root {
        Root::Record => path_get(&object, path),
        Root::Event => event.as_ref().map_or(Value::Missing, |event| path_get(event, path)),
    })
}

/// Writes a field where it would be read; a missing one is taken out wherever it may stand.
fn write(whole: &mut Whole, field: &FieldShape, value: &Value) -> Result<(), String> {
    let object = &mut whole.object;
    if let Shape::Money { amount, currency, instead, unit, exponents } = &field.shape {
        match value {
            Value::Money(money) => {
                let number = wire_amount(*money, *unit, exponents)
                    .ok_or_else(|| format!("`{}`: {money} has more decimals than the wire can hold", field.name))?;
                set(object, amount, number)?;
                return set(object, currency, Json::String(money.currency.code().to_lowercase()));
            }
            _ => {
                let places = std::iter::once(amount).chain(instead.iter().map(|(amount, _)| amount));
                return places.into_iter().try_for_each(|amount| remove(object, amount));
            }
        }
    }
    if value.is_missing() {
        return field.from.iter().try_for_each(|source| remove(whole.root(source)?, &source.path));
    }
    let document = Value::from_json(object);
    let counts = |when: &flow_plan::Expr| holds(when, &Record(&document)).unwrap_or(false);
    let place = field.from.iter().find(|source| source.when.as_ref().is_none_or(counts));
    let Some(place) = place else { return Err(format!("`{}` has no place in this payload", field.name)) };
    let encoded = encode(&field.shape, value).map_err(|error| format!("`{}`: {error}", field.name))?;
    set(whole.root(place)?, &place.path, encoded)
}

struct Record<'r>(&'r Value);

impl Scope for Record<'_> {
    fn answer(&self, path: &JsonPath) -> Value {
        path_get(self.0, path)
    }
}

/// Returns a value as the wire holds it.
fn encode(shape: &Shape, value: &Value) -> Result<Json, String> {
    Ok(match (shape, value) {
        (_, Value::Missing) => Json::Null,
        (Shape::Optional(inner), value) => encode(inner, value)?,
        (Shape::Instant(format), Value::Instant(at)) => on_wire(*at, *format),
        (Shape::Duration(unit), Value::Duration(by)) => {
            let units = Decimal::from(by.approximate_millis()).checked_div(Decimal::from(*unit)).unwrap_or_default();
            serde_json::from_str(&units.normalize().to_string()).unwrap_or(Json::Null)
        }
        (Shape::Written(Writing::Base64), Value::Text(text)) => {
            Json::String(base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text.as_bytes()))
        }
        (Shape::Written(Writing::Hex), Value::Text(text)) => Json::String(hex::encode(text.as_bytes())),
        (Shape::Coded { codes, .. }, Value::Text(member)) => {
            let number = codes.iter().find(|(_, known)| **known == **member).map(|(number, _)| *number);
            number.map_or_else(|| Json::String(member.to_string()), Json::from)
        }
        (Shape::Commas(_), Value::List(items)) => {
            Json::String(items.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
        }
        (Shape::List(inner), Value::List(items)) => {
            Json::Array(items.iter().map(|item| encode(inner, item)).collect::<Result<_, _>>()?)
        }
        (Shape::Map(inner), Value::Record(fields)) => {
            let fields = fields.iter().map(|(name, value)| Ok((name.to_string(), encode(inner, value)?)));
            Json::Object(fields.collect::<Result<_, String>>()?)
        }
        (Shape::Record(shapes), Value::Record(fields)) => {
            let mut whole = Whole { object: Json::Object(Map::new()), event: None };
            for (name, value) in fields.iter() {
                if let Some(shape) = shapes.iter().find(|shape| *shape.name == **name) {
                    write(&mut whole, shape, value)?;
                }
            }
            whole.object
        }
        (_, value) => value.to_json(),
    })
}

fn wire_amount(money: Money, unit: MoneyUnit, exponents: &BTreeMap<Currency, u8>) -> Option<Json> {
    match unit {
        MoneyUnit::Decimal => Some(Json::String(money.amount.normalize().to_string())),
        MoneyUnit::Minor => {
            let decimals = u32::from(exponents.get(&money.currency).copied().unwrap_or(money.currency.decimals()));
            let amount = money.amount.checked_mul(Decimal::from(10u64.checked_pow(decimals)?))?.normalize();
            if !amount.is_integer() {
                return None;
            }
            serde_json::from_str(&amount.to_string()).ok()
        }
    }
}

fn at<'j>(document: &'j Json, path: &JsonPath) -> Option<&'j Json> {
    path.0.iter().try_fold(document, |inside, segment| match segment {
        Segment::Key(key) => inside.get(key),
        Segment::Index(index) => inside.get(index),
    })
}

fn text_at(document: &Json, path: &JsonPath) -> Option<String> {
    match at(document, path)? {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// More elements than any payload has.
const MOST_ELEMENTS: usize = 10_000;

fn set(document: &mut Json, path: &JsonPath, value: Json) -> Result<(), String> {
    let mut inside = document;
    for segment in &path.0 {
        match segment {
            Segment::Key(key) => {
                if !inside.is_object() {
                    *inside = Json::Object(Map::new());
                }
                let Json::Object(fields) = inside else { return Err(format!("`{path}` cannot be written")) };
                inside = fields.entry(key.clone()).or_insert(Json::Null);
            }
            Segment::Index(index) => {
                if !inside.is_array() {
                    *inside = Json::Array(Vec::new());
                }
                let Json::Array(items) = inside else { return Err(format!("`{path}` cannot be written")) };
                if *index >= MOST_ELEMENTS {
                    return Err(format!("`{path}` cannot be written"));
                }
                if items.len() <= *index {
                    items.resize(index + 1, Json::Null);
                }
                inside = &mut items[*index];
            }
        }
    }
    *inside = value;
    Ok(())
}

fn remove(document: &mut Json, path: &JsonPath) -> Result<(), String> {
    if at(document, path).is_some() { set(document, path, Json::Null) } else { Ok(()) }
}
