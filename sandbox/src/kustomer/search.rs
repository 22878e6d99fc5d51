//! `POST /customers/search`: criteria over customers, conversations, messages, objects and notes.
//!
//! Operators that Kustomer is known to take are taken; others are refused, so that nobody comes to rely on
//! them. Unlike Kustomer's index this one is never behind.

use std::cmp::Ordering;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde_json::{Map, Value, json};

use crate::refusal::Refusal;

use super::customer::{self, entries};
use super::error;
use super::list;
use super::state::{Cx, State, attribute, attribute_text, id_of, related};

/// How many pages of one query can be read.
const MOST_PAGES: usize = 100;
/// How many criteria a query may have.
const MOST_CRITERIA: usize = 200;

/// What a query looks through: its name in `queryContext`, and the type of the records.
const CONTEXTS: &[(&str, &str)] = &[
    ("customer", "customer"),
    ("conversation", "conversation"),
    ("message", "message"),
    ("kobject", "kobject"),
    ("company", "company"),
    ("note", "note"),
];

#[derive(Debug)]
struct Criterion {
    attribute: String,
    operator: Operator,
    value: Value,
}

#[derive(Debug, Clone, Copy)]
enum Operator {
    Equals,
    Contains,
    In,
    Gte,
    Lte,
    NotSet,
}

/// Answers a search.
pub(crate) fn search(cx: &mut Cx<'_>, query: &[(String, String)], body: &Value) -> Result<Value, Refusal> {
    let fields = body.as_object().ok_or_else(|| error::plain(400, "bad_request", "The body must be an object"))?;
    const KNOWN: &[&str] = &["queryContext", "and", "or", "not", "sort", "timeZone", "includeDeleted", "fields", "aggs", "type"];
    if let Some(unknown) = fields.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        return Err(error::unknown(unknown, "/properties"));
    }
    let context = fields.get("queryContext").and_then(Value::as_str).unwrap_or("customer");
    let kind = CONTEXTS
        .iter()
        .find(|(name, _)| *name == context)
        .map(|(_, kind)| *kind)
        .ok_or_else(|| error::bad("queryContext", "no such context"))?;
    let zone = fields.get("timeZone").and_then(Value::as_str).unwrap_or("GMT");
    let zone = if zone == "GMT" { Ok(TimeZone::UTC) } else { TimeZone::get(zone) }
        .map_err(|_| error::bad("timeZone", "no such time zone"))?;
    let and = criteria(fields, "and", &zone)?;
    let or = criteria(fields, "or", &zone)?;
    let not = criteria(fields, "not", &zone)?;
    if and.len() + or.len() + not.len() > MOST_CRITERIA {
        return Err(error::plain(400, "bad_request", "Too many criteria"));
    }
    let sort = sort_keys(fields)?;
    for name in and.iter().chain(&or).chain(&not).map(|criterion| &criterion.attribute).chain(sort.iter().map(|(name, _)| name)) {
        if !is_known(name) {
            return Err(error::bad(name, "no such attribute"));
        }
    }
    let include_deleted = fields.get("includeDeleted") == Some(&json!(true));

    let state = &*cx.state;
    let matches = |row: &Value, criterion: &Criterion| criterion.matches(&values(state, kind, row, &criterion.attribute));
    let mut found: Vec<&Value> = state
        .tables
        .get(kind)
        .into_iter()
        .flat_map(|table| table.rows())
        .filter(|row| include_deleted || attribute(row, "deleted") != Some(&json!(true)))
        .filter(|row| {
            and.iter().all(|criterion| matches(row, criterion))
                && (or.is_empty() || or.iter().any(|criterion| matches(row, criterion)))
                && !not.iter().any(|criterion| matches(row, criterion))
        })
        .collect();
    for (name, ascending) in sort.iter().rev() {
        let key = |row: &Value| values(state, kind, row, name).into_iter().next();
        found.sort_by(|a, b| {
            let order = compare_keys(key(a).as_ref(), key(b).as_ref());
            if *ascending { order } else { order.reverse() }
        });
    }
    let ids_only = query.iter().any(|(name, value)| name == "idsOnly" && value == "true");
    let rows: Vec<Value> = found
        .into_iter()
        .map(|row| if ids_only { json!({"type": row.get("type"), "id": id_of(row)}) } else { row.clone() })
        .collect();
    list::page(rows, "/v1/customers/search", query, Some(MOST_PAGES))
}

fn criteria(fields: &Map<String, Value>, name: &str, zone: &TimeZone) -> Result<Vec<Criterion>, Refusal> {
    let list = match fields.get(name) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(error::bad(name, "must be a list")),
    };
    let wrong = || error::bad(name, "a criterion is one attribute with one operator");
    list.iter()
        .map(|criterion| {
            let (attribute, rest) = only(criterion).ok_or_else(wrong)?;
            let (operator, value) = only(rest).ok_or_else(wrong)?;
            let operator = match operator.as_str() {
                "equals" => Operator::Equals,
                "contains" => Operator::Contains,
                "in" => Operator::In,
                "gte" => Operator::Gte,
                "lte" => Operator::Lte,
                "not_set" => Operator::NotSet,
                other => return Err(error::bad(attribute, &format!("no operator {other}"))),
            };
            if matches!(operator, Operator::In) && !value.is_array() {
                return Err(error::bad(attribute, "`in` takes a list"));
            }
            let late = matches!(operator, Operator::Lte);
            let value = if attribute.ends_with("_at") || attribute.ends_with("At") {
                instant(value, zone, late).ok_or_else(|| error::bad(attribute, "must be a date or a time"))?
            } else {
                value.clone()
            };
            Ok(Criterion { attribute: attribute.clone(), operator, value })
        })
        .collect()
}

fn only(value: &Value) -> Option<(&String, &Value)> {
    let fields = value.as_object()?;
    if fields.len() == 1 { fields.iter().next() } else { None }
}

/// Returns a time in full; of a date its beginning in the zone, or its end.
fn instant(value: &Value, zone: &TimeZone, late: bool) -> Option<Value> {
    let text = value.as_str()?;
    if text.is_empty() {
        return Some(value.clone());
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(json!(super::state::time(at)));
    }
    let date = text.parse::<Date>().ok()?;
    let start = date.to_zoned(zone.clone()).ok()?;
    let at =
        if late { start.checked_add(1.day()).ok()?.timestamp().checked_sub(1.millisecond()).ok()? } else { start.timestamp() };
    Some(json!(super::state::time(at)))
}

fn sort_keys(fields: &Map<String, Value>) -> Result<Vec<(String, bool)>, Refusal> {
    let wrong = || error::bad("sort", "must be a list of {attribute: asc or desc}");
    let read = |entry: &Value| {
        let (name, order) = only(entry).ok_or_else(wrong)?;
        match order.as_str() {
            Some("asc") => Ok((name.clone(), true)),
            Some("desc") => Ok((name.clone(), false)),
            _ => Err(wrong()),
        }
    };
    match fields.get("sort") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(list)) => list.iter().map(read).collect(),
        Some(one @ Value::Object(_)) => read(one).map(|key| vec![key]),
        Some(_) => Err(wrong()),
    }
}

const ATTRIBUTES: &[&str] = &[
    "any_text",
    "name",
    "email",
    "phone",
    "urls",
    "address",
    "locale",
    "externalId",
    "external_id",
    "conversations_count",
    "priority",
    "tags",
    "status",
    "assigned_users",
    "assigned_teams",
    "created_at",
    "updated_at",
    "modified_at",
    "activity_at",
    "last_activity_at",
    "last_seen_at",
    "signed_up_at",
    "last_message_at",
    "channel",
    "channels",
    "direction",
    "preview",
    "subject",
    "app",
    "sent_at",
    "id",
    "customer_id",
    "body",
    "title",
    "message_count",
    "reply_channel",
];

fn is_known(name: &str) -> bool {
    let Some((_, rest)) = split(name) else {
        return false;
    };
    rest.starts_with("custom_") || ATTRIBUTES.contains(&rest)
}

/// Splits `customer_email` into the kind it is about and the rest.
fn split(name: &str) -> Option<(&'static str, &str)> {
    CONTEXTS.iter().find_map(|(context, kind)| Some((*kind, name.strip_prefix(context)?.strip_prefix('_')?)))
}

/// Returns the values that a record has for an attribute, its own or a relative's.
fn values(state: &State, kind: &str, row: &Value, name: &str) -> Vec<Value> {
    let Some((about, rest)) = split(name) else {
        return Vec::new();
    };
    if about == kind {
        return own_values(row, rest);
    }
    let Some(table) = state.tables.get(about) else {
        return Vec::new();
    };
    let upwards = related(row, about);
    if !upwards.is_empty() {
        return table.get(upwards).map(|row| own_values(row, rest)).unwrap_or_default();
    }
    let id = id_of(row);
    table.rows().filter(|other| related(other, kind) == id).flat_map(|other| own_values(other, rest)).collect()
}

fn own_values(row: &Value, name: &str) -> Vec<Value> {
    let texts = |list: &str, key: &'static str| entries(row, list, key).map(|text| json!(text)).collect::<Vec<_>>();
    match name {
        "id" => vec![json!(id_of(row))],
        "customer_id" => vec![json!(related(row, "customer"))],
        "email" => texts("emails", "email"),
        "phone" => texts("phones", "phone"),
        "urls" => texts("urls", "url"),
        "address" => texts("locations", "address"),
        "conversations_count" => vec![json!(customer::conversation_count(row))],
        "any_text" => {
            let mut all = texts("emails", "email");
            all.extend(texts("phones", "phone"));
            for field in ["name", "externalId", "username", "preview", "subject", "body", "title"] {
                all.push(json!(attribute_text(row, field)));
            }
            all
        }
        "activity_at" => attribute(row, "lastActivityAt").cloned().into_iter().collect(),
        _ => {
            let value = match name.strip_prefix("custom_") {
                Some(custom) => {
                    let fields = attribute(row, "custom");
                    // Of an object the class stands before the field.
                    let field = || fields?.get(custom.split_once('_')?.1);
                    fields.and_then(|fields| fields.get(custom)).or_else(field)
                }
                None => attribute(row, &camel(name)),
            };
            match value {
                None | Some(Value::Null) => Vec::new(),
                Some(Value::Array(list)) => list.clone(),
                Some(other) => vec![other.clone()],
            }
        }
    }
}

/// Turns `last_message_at` into `lastMessageAt`.
fn camel(name: &str) -> String {
    let mut camel = String::new();
    let mut upper = false;
    for c in name.chars() {
        if c == '_' {
            upper = true;
        } else if upper {
            camel.extend(c.to_uppercase());
            upper = false;
        } else {
            camel.push(c);
        }
    }
    camel
}

impl Criterion {
    fn matches(&self, values: &[Value]) -> bool {
        let any = |test: &dyn Fn(&Value) -> bool| values.iter().any(test);
        match self.operator {
            Operator::NotSet => values.iter().all(|value| value == ""),
            Operator::Equals => any(&|value| same(value, &self.value)),
            Operator::In => any(&|value| self.value.as_array().into_iter().flatten().any(|wanted| same(value, wanted))),
            Operator::Contains => any(&|value| match (value, &self.value) {
                (Value::String(text), Value::String(part)) => text.to_lowercase().contains(&part.to_lowercase()),
                (value, wanted) => same(value, wanted),
            }),
            Operator::Gte => any(&|value| compare(value, &self.value).is_some_and(Ordering::is_ge)),
            Operator::Lte => any(&|value| compare(value, &self.value).is_some_and(Ordering::is_le)),
        }
    }
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.to_lowercase() == b.to_lowercase(),
        (a, b) => a == b,
    }
}

/// Compares numbers with numbers, times with times, texts with texts.
fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64()?.partial_cmp(&b.as_f64()?),
        (Value::String(a), Value::String(b)) => match (a.parse::<Timestamp>(), b.parse::<Timestamp>()) {
            (Ok(a), Ok(b)) => Some(a.cmp(&b)),
            _ => Some(a.cmp(b)),
        },
        _ => None,
    }
}

/// Compares for sorting: what is missing comes last.
fn compare_keys(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => compare(a, b).unwrap_or(Ordering::Equal),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}
