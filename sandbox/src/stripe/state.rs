//! What the Stripe emulator holds, and the hand through which requests change it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::event;
use super::idempotency::Keys;
use crate::delivery::Delivery;
use crate::ids::Ids;
use crate::rate::Bucket;
use crate::table::Table;

/// Everything the emulator holds.
#[derive(Debug)]
pub(crate) struct State {
    /// By the `object` of the rows; a few names with a colon hold what an object does not show.
    pub(crate) tables: BTreeMap<&'static str, Table>,
    pub(crate) keys: Keys,
    pub(crate) ids: Ids,
    pub(crate) webhook_target: Option<String>,
    pub(crate) rate: Bucket,
}

impl State {
    pub(crate) fn new(ids: Ids) -> State {
        let tables = BTreeMap::from([("event", Table::with_most(event::MOST))]);
        State { tables, keys: Keys::default(), ids, webhook_target: None, rate: Bucket::default() }
    }

    pub(crate) fn table(&mut self, kind: &'static str) -> &mut Table {
        self.tables.entry(kind).or_default()
    }
}

/// The request an event comes from; nothing where nobody asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cause {
    pub(crate) request_id: Option<String>,
    pub(crate) idempotency_key: Option<String>,
}

/// The state during one request, with its time and cause.
#[derive(Debug)]
pub(crate) struct Cx<'s> {
    pub(crate) state: &'s mut State,
    /// Unix seconds.
    pub(crate) now: i64,
    pub(crate) cause: Cause,
    /// How many seconds from now events are dated: less than 0 for those that come to light late.
    pub(crate) event_offset: i64,
    /// Webhooks to send once the state is unlocked.
    pub(crate) outgoing: Vec<Delivery>,
    /// The first object that the request made.
    pub(crate) created: Option<String>,
    /// The events that the request caused.
    pub(crate) emitted: Vec<String>,
}

impl<'s> Cx<'s> {
    pub(crate) fn new(state: &'s mut State, now: i64, cause: Cause) -> Cx<'s> {
        Cx { state, now, cause, event_offset: 0, outgoing: Vec::new(), created: None, emitted: Vec::new() }
    }

    /// Makes an identifier.
    pub(crate) fn id(&mut self, prefix: &str, length: usize) -> String {
        self.state.ids.alphanumeric(prefix, length)
    }

    /// Returns a copy of an object.
    pub(crate) fn find(&mut self, kind: &'static str, id: &str) -> Option<Value> {
        self.state.table(kind).get(id).cloned()
    }

    /// Returns a copy of the object that a path names.
    pub(crate) fn get(&mut self, kind: &'static str, id: &str) -> Result<Value, ApiError> {
        self.find(kind, id).ok_or_else(|| ApiError::not_found(kind, id))
    }

    /// Returns a copy of the object that a parameter names.
    pub(crate) fn get_param(&mut self, kind: &'static str, id: &str, param: &str) -> Result<Value, ApiError> {
        self.find(kind, id).ok_or_else(|| ApiError::no_such(kind, id, param))
    }

    /// Keeps a new object and emits its event.
    pub(crate) fn create(&mut self, kind: &'static str, object: Value, event_type: Option<&str>) -> Value {
        if self.created.is_none() {
            self.created = object.get("id").and_then(Value::as_str).map(str::to_owned);
        }
        self.save(kind, &object);
        if let Some(event_type) = event_type {
            self.emit(event_type, &object);
        }
        object
    }

    /// Keeps an object as it is now.
    pub(crate) fn save(&mut self, kind: &'static str, object: &Value) {
        if let Some(id) = object.get("id").and_then(Value::as_str) {
            self.state.table(kind).put(id, object.clone());
        }
    }

    /// Keeps a changed object, and emits an `updated` event with what was there before.
    pub(crate) fn update(&mut self, kind: &'static str, before: &Value, after: Value, event_type: &str) -> Value {
        self.save(kind, &after);
        let previous = previous_attributes(before, &after);
        if previous.as_object().is_some_and(|previous| !previous.is_empty()) {
            event::emit(self, event_type, &after, Some(previous));
        }
        after
    }

    /// Records an event and queues its webhooks.
    pub(crate) fn emit(&mut self, event_type: &str, object: &Value) {
        event::emit(self, event_type, object, None);
    }
}

/// Returns a field as text; empty where it is missing or no text.
pub(crate) fn text<'v>(object: &'v Value, name: &str) -> &'v str {
    object.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Returns a parameter as text.
pub(crate) fn param<'v>(params: &'v Map<String, Value>, name: &str) -> Option<&'v str> {
    params.get(name).and_then(Value::as_str)
}

/// Returns a field as an integer; 0 where it is missing or none.
pub(crate) fn integer(object: &Value, name: &str) -> i64 {
    object.get(name).and_then(Value::as_i64).unwrap_or_default()
}

/// Sets a field of an object.
pub(crate) fn set(object: &mut Value, name: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
}

/// Copies the parameters that were sent into an object. Metadata is merged, key by key.
pub(crate) fn apply(object: &mut Value, params: &Map<String, Value>, names: &[&str]) {
    for name in names {
        if let Some(value) = params.get(*name) {
            set(object, name, value.clone());
        }
    }
    match params.get("metadata") {
        None => {}
        Some(Value::Object(changes)) => {
            let mut metadata = object.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
            for (key, value) in changes {
                if value.is_null() {
                    metadata.remove(key);
                } else {
                    metadata.insert(key.clone(), value.clone());
                }
            }
            set(object, "metadata", Value::Object(metadata));
        }
        Some(_) => set(object, "metadata", json!({})),
    }
}

/// Returns the old values of the fields that differ; of objects only the parts that differ.
fn previous_attributes(before: &Value, after: &Value) -> Value {
    let (Some(old), Some(new)) = (before.as_object(), after.as_object()) else {
        return before.clone();
    };
    let mut previous = Map::new();
    for (name, value) in old {
        match new.get(name) {
            Some(now) if now == value => {}
            Some(now @ Value::Object(_)) if value.is_object() => {
                previous.insert(name.clone(), previous_attributes(value, now));
            }
            Some(_) | None => {
                previous.insert(name.clone(), value.clone());
            }
        }
    }
    for name in new.keys().filter(|name| !old.contains_key(*name)) {
        previous.insert(name.clone(), Value::Null);
    }
    Value::Object(previous)
}
