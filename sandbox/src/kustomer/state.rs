//! What the Kustomer emulator holds, and the hand through which requests change it.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::error;
use super::event;
use crate::delivery::Delivery;
use crate::ids::Ids;
use crate::rate::Window;
use crate::refusal::Refusal;
use crate::table::Table;

/// The organisation's identifier.
pub(crate) const ORG_ID: &str = "60000000000000000000a001";
/// The machine user that the API key belongs to.
pub(crate) const MACHINE_USER: &str = "60000000000000000000b001";
/// A member of the team.
pub(crate) const AGENT: &str = "60000000000000000000b002";
/// The team.
pub(crate) const TEAM: &str = "60000000000000000000c001";

/// How large an index gets before it is cleared of what is no longer there; more than all tables can hold.
const MOST_INDEXED: usize = 250_000;

/// Everything the emulator holds.
#[derive(Debug)]
pub(crate) struct State {
    /// By the `type` of the resources.
    pub(crate) tables: BTreeMap<&'static str, Table>,
    /// Identifiers by a value that names one record: its email, phone or external identifier.
    names: HashMap<Name, String>,
    /// Identifiers by the record they belong to: the messages of a conversation, oldest first.
    belonging: HashMap<(&'static str, String), Vec<String>>,
    pub(crate) ids: Ids,
    pub(crate) webhook_target: Option<String>,
    /// The requests of a minute.
    pub(crate) rate: Window,
    /// Those of them that search.
    pub(crate) searches: Window,
}

impl State {
    pub(crate) fn new(ids: Ids, now: Timestamp) -> State {
        let mut state = State {
            tables: BTreeMap::new(),
            names: HashMap::new(),
            belonging: HashMap::new(),
            ids,
            webhook_target: None,
            rate: Window::default(),
            searches: Window::default(),
        };
        for (kind, id, name) in
            [("user", MACHINE_USER, "Flow (machine)"), ("user", AGENT, "Robin Agent"), ("team", TEAM, "Support")]
        {
            let row = json!({
                "type": kind,
                "id": id,
                "attributes": {"name": name, "displayName": name, "createdAt": time(now), "updatedAt": time(now)},
                "relationships": {"org": org()},
                "links": {"self": format!("/v1/{kind}s/{id}")},
            });
            state.table(kind).put(id, row);
        }
        state
    }

    pub(crate) fn table(&mut self, kind: &'static str) -> &mut Table {
        self.tables.entry(kind).or_default()
    }

    /// Keeps the indexes from growing over records that the tables no longer hold.
    fn forget_dropped(&mut self) {
        let tables = &self.tables;
        let holds = |kind: &str, id: &str| tables.get(kind).is_some_and(|table| table.get(id).is_some());
        if self.names.len() > MOST_INDEXED {
            self.names.retain(|(kind, _, _), id| holds(kind, id));
        }
        if self.belonging.len() > MOST_INDEXED {
            self.belonging.retain(|(kind, _), ids| {
                ids.retain(|id| holds(kind, id));
                !ids.is_empty()
            });
        }
    }
}

/// A kind, an attribute, and a value of it that no two records of the kind share.
type Name = (&'static str, &'static str, String);

/// Returns the values that name a record.
fn names_of(kind: &'static str, row: &Value) -> Vec<Name> {
    let list = |list: &'static str, key: &'static str| {
        let entries = attribute(row, list).and_then(Value::as_array).into_iter().flatten();
        entries.filter_map(move |entry| entry.get(key)?.as_str()).map(move |value| (kind, key, value.to_lowercase()))
    };
    let mut names = Vec::new();
    if kind == "customer" {
        names.extend(list("emails", "email"));
        names.extend(list("phones", "phone"));
    }
    let external = attribute_text(row, "externalId");
    if !external.is_empty() {
        names.push((kind, "externalId", external.to_owned()));
    }
    names
}

/// The state during one request, with its time and author.
#[derive(Debug)]
pub(crate) struct Cx<'s> {
    pub(crate) state: &'s mut State,
    pub(crate) now: Timestamp,
    /// Who does it: a user's identifier, or nobody for the customer's own doing.
    pub(crate) author: Option<&'static str>,
    /// Webhooks to send once the state is unlocked.
    pub(crate) outgoing: Vec<Delivery>,
    /// The first record that the request made.
    pub(crate) created: Option<String>,
    /// The events that the request caused.
    pub(crate) emitted: Vec<String>,
}

impl<'s> Cx<'s> {
    pub(crate) fn new(state: &'s mut State, now: Timestamp, author: Option<&'static str>) -> Cx<'s> {
        Cx { state, now, author, outgoing: Vec::new(), created: None, emitted: Vec::new() }
    }

    pub(crate) fn id(&mut self) -> String {
        self.state.ids.document(self.now)
    }

    pub(crate) fn time(&self) -> String {
        time(self.now)
    }

    pub(crate) fn find(&mut self, kind: &'static str, id: &str) -> Option<Value> {
        self.state.table(kind).get(id).cloned()
    }

    /// Returns a copy of a record that was not deleted.
    pub(crate) fn get(&mut self, kind: &'static str, id: &str) -> Result<Value, Refusal> {
        self.find(kind, id)
            .filter(|row| attribute(row, "deleted") != Some(&json!(true)))
            .ok_or_else(|| error::not_found("id", kind))
    }

    /// Returns a copy of the record that a field names.
    pub(crate) fn get_field(&mut self, kind: &'static str, id: &str, field: &str) -> Result<Value, Refusal> {
        self.get(kind, id).map_err(|_| error::not_found(field, kind))
    }

    /// Keeps a new record, and emits its event where there is one.
    pub(crate) fn create(&mut self, kind: &'static str, row: Value) -> Value {
        if self.created.is_none() {
            self.created = row.get("id").and_then(Value::as_str).map(str::to_owned);
        }
        self.save(kind, &row);
        event::created(self, kind, &row);
        row
    }

    /// Keeps a record as it is now.
    pub(crate) fn save(&mut self, kind: &'static str, row: &Value) {
        let id = id_of(row).to_owned();
        match self.find(kind, &id) {
            Some(before) => {
                for name in names_of(kind, &before) {
                    if self.state.names.get(&name) == Some(&id) {
                        self.state.names.remove(&name);
                    }
                }
            }
            None => {
                for owner in ["customer", "conversation"].map(|owner| related(row, owner)) {
                    if !owner.is_empty() {
                        self.state.belonging.entry((kind, owner.to_owned())).or_default().push(id.clone());
                    }
                }
            }
        }
        if attribute(row, "deleted") != Some(&json!(true)) {
            for name in names_of(kind, row) {
                let taken = self.state.names.get(&name).cloned();
                if taken.is_none_or(|other| self.find(kind, &other).is_none()) {
                    self.state.names.insert(name, id.clone());
                }
            }
        }
        self.state.table(kind).put(&id, row.clone());
        self.state.forget_dropped();
    }

    /// Returns the record that a value names: `email` and `phone` of customers, `externalId` of any.
    pub(crate) fn named(&mut self, kind: &'static str, by: &'static str, value: &str) -> Option<Value> {
        let value = if by == "externalId" { value.to_owned() } else { value.to_lowercase() };
        let id = self.state.names.get(&(kind, by, value))?.clone();
        self.find(kind, &id)
    }

    /// Returns the records of a kind that belong to a customer or a conversation, oldest first.
    pub(crate) fn belonging(&mut self, kind: &'static str, owner: &str) -> Vec<Value> {
        let ids = self.state.belonging.get(&(kind, owner.to_owned())).cloned().unwrap_or_default();
        ids.iter().filter_map(|id| self.find(kind, id)).collect()
    }

    /// Changes attributes of a record, dates the change, and emits its event. Null removes.
    pub(crate) fn change(&mut self, kind: &'static str, before: &Value, attributes: Map<String, Value>) -> Value {
        let mut after = before.clone();
        if let Some(fields) = after.get_mut("attributes").and_then(Value::as_object_mut) {
            for (name, value) in attributes {
                if value.is_null() {
                    fields.remove(&name);
                } else {
                    fields.insert(name, value);
                }
            }
            let rev = fields.get("rev").and_then(Value::as_i64).unwrap_or(1);
            fields.insert("rev".to_owned(), json!(rev + 1));
            for name in ["updatedAt", "modifiedAt", "lastActivityAt"] {
                fields.insert(name.to_owned(), json!(time(self.now)));
            }
        }
        let by = self.author.map(|author| relation("user", author, "users"));
        if let (Some(by), Some(relationships)) = (by, after.get_mut("relationships").and_then(Value::as_object_mut)) {
            relationships.insert("modifiedBy".to_owned(), by);
        }
        self.save(kind, &after);
        event::updated(self, kind, before, &after);
        after
    }

    /// Returns the relationships every new record has.
    pub(crate) fn relationships(&self) -> Map<String, Value> {
        let mut relationships = Map::new();
        relationships.insert("org".to_owned(), org());
        if let Some(author) = self.author {
            let by = relation("user", author, "users");
            relationships.insert("createdBy".to_owned(), by.clone());
            relationships.insert("modifiedBy".to_owned(), by);
        }
        relationships
    }
}

/// Writes a time as Kustomer does: UTC with milliseconds.
pub(crate) fn time(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// Returns an attribute of a record.
pub(crate) fn attribute<'v>(row: &'v Value, name: &str) -> Option<&'v Value> {
    row.get("attributes")?.get(name)
}

/// Returns an attribute as text; empty where it is missing or none.
pub(crate) fn attribute_text<'v>(row: &'v Value, name: &str) -> &'v str {
    attribute(row, name).and_then(Value::as_str).unwrap_or_default()
}

/// Returns an attribute as an integer; 0 where it is missing or none.
pub(crate) fn attribute_integer(row: &Value, name: &str) -> i64 {
    attribute(row, name).and_then(Value::as_i64).unwrap_or_default()
}

/// Returns the identifier of a record.
pub(crate) fn id_of(row: &Value) -> &str {
    row.get("id").and_then(Value::as_str).unwrap_or_default()
}

/// Returns the identifier a relationship points to; empty where there is none.
pub(crate) fn related<'v>(row: &'v Value, name: &str) -> &'v str {
    row.get("relationships")
        .and_then(|relationships| relationships.get(name))
        .and_then(|relationship| relationship.get("data"))
        .and_then(|data| data.get("id"))
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Makes a relationship to a record.
pub(crate) fn relation(kind: &str, id: &str, plural: &str) -> Value {
    json!({"data": {"type": kind, "id": id}, "links": {"self": format!("/v1/{plural}/{id}")}})
}

fn org() -> Value {
    relation("org", ORG_ID, "orgs")
}
