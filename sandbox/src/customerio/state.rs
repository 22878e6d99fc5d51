//! What the Customer.io emulator holds: people, what they did, what they were sent.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::report;
use crate::delivery::Delivery;
use crate::ids::Ids;
use crate::rate::Bucket;
use crate::table::Table;

/// How many ids of events are remembered, and how much the log of activities keeps.
const MOST_REMEMBERED: usize = 100_000;

/// Everything the emulator holds.
#[derive(Debug)]
pub(crate) struct State {
    /// By `cio_id`.
    pub(crate) people: Table,
    /// `cio_id` by your own id, and by address in small letters.
    names: HashMap<(Name, String), String>,
    pub(crate) suppressed: HashSet<String>,
    pub(crate) events: Table,
    /// The ids of events that were counted.
    pub(crate) counted: HashSet<String>,
    pub(crate) deliveries: Table,
    pub(crate) segments: Table,
    pub(crate) broadcasts: Table,
    /// When each broadcast was started last, in milliseconds.
    pub(crate) started: HashMap<String, i64>,
    pub(crate) forms: Table,
    /// What the activity log shows beside what was asked for: updates that came to nothing though the answer was 200.
    pub(crate) activities: Table,
    pub(crate) reports: Table,
    pub(crate) ids: Ids,
    pub(crate) webhook_target: Option<String>,
    /// Requests about people and events, those that read, and those that send.
    pub(crate) rates: [Bucket; 3],
}

/// By what a person is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Name {
    /// Your own id.
    Id,
    /// An address.
    Email,
}

impl Name {
    pub(crate) fn field(self) -> &'static str {
        match self {
            Name::Id => "id",
            Name::Email => "email",
        }
    }
}

/// The manual segment that every workspace here has.
pub(crate) const MANUAL_SEGMENT: u64 = 7;

impl State {
    pub(crate) fn new(ids: Ids) -> State {
        let mut segments = Table::default();
        for (id, name, kind) in [(1, "All people", "dynamic"), (MANUAL_SEGMENT, "Buyers", "manual")] {
            segments.put(&id.to_string(), json!({"id": id, "name": name, "type": kind, "state": "finished", "people": []}));
        }
        State {
            people: Table::default(),
            names: HashMap::new(),
            suppressed: HashSet::new(),
            events: Table::default(),
            counted: HashSet::new(),
            deliveries: Table::default(),
            segments,
            broadcasts: Table::default(),
            started: HashMap::new(),
            forms: Table::default(),
            activities: Table::default(),
            reports: Table::default(),
            ids,
            webhook_target: None,
            rates: [Bucket::default(); 3],
        }
    }

    /// Returns the `cio_id` of whoever an identifier names; which kind it is shows in its shape.
    pub(crate) fn find(&self, identifier: &str) -> Option<String> {
        if let Some(cio_id) = identifier.strip_prefix("cio_")
            && self.people.get(cio_id).is_some()
        {
            return Some(cio_id.to_owned());
        }
        self.named(name_of(identifier), identifier)
    }

    pub(crate) fn named(&self, name: Name, value: &str) -> Option<String> {
        self.names.get(&(name, key(name, value))).filter(|cio_id| self.people.get(cio_id).is_some()).cloned()
    }

    pub(crate) fn call(&mut self, name: Name, value: &str, cio_id: &str) {
        self.names.insert((name, key(name, value)), cio_id.to_owned());
    }

    pub(crate) fn forget(&mut self, cio_id: &str) -> Option<Value> {
        let person = self.people.remove(cio_id)?;
        self.names.retain(|_, known| known != cio_id);
        Some(person)
    }

    /// Tells whether an event with this id is the first.
    pub(crate) fn counts(&mut self, id: &str) -> bool {
        if self.counted.len() >= MOST_REMEMBERED {
            self.counted.clear();
        }
        self.counted.insert(id.to_owned())
    }
}

/// What kind of identifier it is.
pub(crate) fn name_of(identifier: &str) -> Name {
    if identifier.contains('@') { Name::Email } else { Name::Id }
}

/// Addresses are the same however they are written.
fn key(name: Name, value: &str) -> String {
    match name {
        Name::Id => value.to_owned(),
        Name::Email => value.to_lowercase(),
    }
}

/// The hand through which requests change the state.
#[derive(Debug)]
pub(crate) struct Cx<'s> {
    pub(crate) state: &'s mut State,
    pub(crate) now: Timestamp,
    pub(crate) outgoing: Vec<Delivery>,
    /// The identifier of what a request made.
    pub(crate) created: Option<String>,
    /// The ids of the reports that were made.
    pub(crate) reported: Vec<String>,
}

impl<'s> Cx<'s> {
    pub(crate) fn new(state: &'s mut State, now: Timestamp) -> Cx<'s> {
        Cx { state, now, outgoing: Vec::new(), created: None, reported: Vec::new() }
    }

    /// Notes something in the activity log.
    pub(crate) fn note(&mut self, kind: &str, person: &str, data: &Value) {
        let id = self.ulid();
        let row = json!({"id": id, "type": kind, "customer_id": person, "timestamp": self.now.as_second(), "data": data});
        self.state.activities.put(&id, row);
    }

    /// Returns an identifier that begins with the time.
    pub(crate) fn ulid(&mut self) -> String {
        const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let millis = u64::try_from(self.now.as_millisecond()).unwrap_or_default();
        let letter = |five: usize| LETTERS.get(five % 32).map_or('0', |letter| char::from(*letter));
        let time = (0..10).rev().map(|at| letter(usize::try_from(millis >> (5 * at) & 31).unwrap_or_default()));
        let mut id: String = time.collect();
        for _ in 0..16 {
            id.push(letter(self.state.ids.below(32)));
        }
        id
    }

    /// Tells the receiver of webhooks that something happened.
    pub(crate) fn report(&mut self, metric: &str, channel: Option<&str>, data: &Map<String, Value>) -> String {
        report::make(self, metric, channel, data)
    }
}
