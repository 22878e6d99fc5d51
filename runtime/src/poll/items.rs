//! Items of a page: which are wanted, in which order they go on.

use std::collections::{BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use flow_plan::{Envelope, JsonPath, Poll, Segment, Shape, Source, TimeFormat, Value};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde_json::{Map, Value as Json};
use tracing::{debug, warn};

use super::told::joins;
use crate::decode::{decode, on_wire};
use crate::event::{Alone, Incoming, Via};
use crate::live::LiveConnection;
use crate::scan::PathSet;
use crate::server::{EnvelopeReader, Misread};

/// An item of a list.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) id: String,
    /// The ids of the records that it was made of beside its own.
    pub(super) more: Vec<String>,
    /// When the first of them happened, where that is not when the last did.
    pub(super) began: Option<Timestamp>,
    pub(super) event_type: Option<String>,
    pub(super) at: Option<Timestamp>,
    order: Option<Decimal>,
    /// What decides where that is the same.
    then: Option<Decimal>,
    pub(super) payload: Bytes,
    /// No list had it: when it happened is not known, only since when it is known to have.
    told: bool,
    /// Something that no list had lies between the one before and this.
    apart: bool,
}

/// Items that cannot be read and of which that has been said: a list holds them at every poll.
#[derive(Debug, Default)]
pub(super) struct Odd(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    items: HashSet<u64>,
    /// Why the last one could not be read.
    reason: String,
    /// One was listed since that was asked.
    listed: bool,
}

/// Of more items nothing is said.
const MAX_ODD: usize = 1000;

impl Odd {
    fn is_new(&self, json: &str, reason: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        json.hash(&mut hasher);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.listed = true;
        let is_new = known.items.len() < MAX_ODD && known.items.insert(hasher.finish());
        if is_new {
            reason.clone_into(&mut known.reason);
        }
        is_new
    }

    /// Returns how many there were since the start, and what is wrong with the last, where one was listed since that was asked.
    pub(super) fn listed(&self) -> Option<(u64, String)> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut known.listed).then(|| (known.items.len() as u64, known.reason.clone()))
    }
}

/// Reads items of one source.
pub(super) struct ItemReader {
    source: String,
    envelope: EnvelopeReader,
    /// The path that decides the order, where it is not that of the instant.
    order_by: Option<(PathSet, usize)>,
    order_format: Option<TimeFormat>,
    then_by: Option<(PathSet, usize)>,
    by_instant: bool,
    odd: Arc<Odd>,
}

impl ItemReader {
    pub(super) fn new(source: &Source, poll: &Poll, connection: &LiveConnection, odd: &Arc<Odd>) -> Self {
        let at = source.envelope.at.as_ref().map(|(path, _)| path);
        let by_instant = poll.order_by.is_none() || poll.order_by.as_ref() == at;
        let one = |path: &JsonPath| {
            let mut paths = PathSet::default();
            let leaf = paths.insert(path);
            (paths, leaf)
        };
        let order_by = poll.order_by.as_ref().filter(|_| !by_instant).map(one);
        let then_by = poll.then_by.as_ref().map(one);
        Self {
            source: source.name.clone(),
            envelope: EnvelopeReader::new(&source.envelope, &poll.seen).for_connection(connection),
            order_by,
            order_format: poll.order_format,
            then_by,
            by_instant: by_instant && at.is_some(),
            odd: Arc::clone(odd),
        }
    }

    /// Tells whether items are ordered by the instant that is the watermark.
    pub(super) fn by_instant(&self) -> bool {
        self.by_instant
    }

    /// Reads an item; `None` where it cannot be an event, which is logged: one odd item must not stop all others.
    pub(super) fn read(&self, json: &str) -> Option<Item> {
        let payload = Bytes::copy_from_slice(json.as_bytes());
        let read = match self.envelope.read(&payload, None) {
            Ok(read) => read,
            Err(Misread::Refused(reason) | Misread::Ignored { because: reason, .. }) => {
                debug!(source = self.source, reason, "a polled item was refused");
                return None;
            }
            Err(Misread::Malformed(reason)) => {
                if self.odd.is_new(json, reason) {
                    warn!(source = self.source, reason, "a polled item is malformed and is left out");
                }
                return None;
            }
        };
        let order = match &self.order_by {
            Some((paths, leaf)) => paths.scan(&payload).ok().and_then(|found| number(&found.value(*leaf), self.order_format)),
            None => read.at.map(|at| Decimal::from(at.as_millisecond())),
        };
        let then = |(paths, leaf): &(PathSet, usize)| number(&paths.scan(&payload).ok()?.value(*leaf), None);
        let then = self.then_by.as_ref().and_then(then);
        Some(Item {
            id: read.id,
            more: Vec::new(),
            began: None,
            event_type: read.event_type,
            at: read.at,
            order,
            then,
            payload,
            told: false,
            apart: false,
        })
    }
}

impl Item {
    /// Returns the ids of all records that it was made of.
    pub(super) fn ids(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.id).chain(&self.more)
    }

    /// Returns when it began to happen.
    pub(super) fn since(&self) -> Option<Timestamp> {
        self.began.or(self.at)
    }

    /// Takes in a later record of the same act: the first says who and why, the last when.
    fn absorb(&mut self, later: Item, at: Option<&JsonPath>) {
        self.began = self.began.or(self.at);
        self.at = later.at.or(self.at);
        self.order = later.order.or(self.order);
        self.more.push(later.id);
        self.more.extend(later.more);
        if let Some(payload) = at.and_then(|at| with_time_of(&self.payload, &later.payload, at)) {
            self.payload = payload;
        }
    }

    /// What a query told has happened. It is in no list, and its payload has no more than when.
    pub(super) fn alone(told: &Alone, envelope: &Envelope) -> Self {
        let mut payload = Json::Object(Map::new());
        if let Some((path, format)) = &envelope.at {
            put(&mut payload, path, on_wire(told.at, *format));
        }
        Self {
            id: format!("told:{}:{}", told.event_type, told.at.as_second()),
            more: Vec::new(),
            began: None,
            event_type: Some(told.event_type.clone()),
            at: Some(told.at),
            order: None,
            then: None,
            payload: Bytes::from(payload.to_string()),
            told: true,
            apart: false,
        }
    }

    /// The same with fields of ours in the payload.
    pub(super) fn with(mut self, fields: &[(String, Json)]) -> Self {
        if !fields.is_empty()
            && let Ok(Json::Object(mut payload)) = crate::json::read(&self.payload)
        {
            payload.extend(fields.iter().cloned());
            self.payload = Bytes::from(Json::Object(payload).to_string());
        }
        self
    }

    pub(super) fn into_incoming(self, source: &str) -> Incoming {
        Incoming {
            id: self.id,
            source: source.to_owned(),
            event_type: self.event_type,
            // Who must not act on what is old asks for both: an act is as old as its first record, and one that was only told
            // is of an age that nobody knows.
            occurred_at: self.at.filter(|_| !self.told),
            signed_at: if self.told { self.at } else { self.began },
            payload: self.payload,
            via: Via::Poll,
            origin: crate::event::Origin::External,
            depth: 0,
            only_trigger: None,
        }
    }

    /// Tells whether a live flow draws on items of this type.
    pub(super) fn is_wanted(&self, types: &BTreeSet<String>) -> bool {
        types.is_empty() || self.event_type.as_ref().is_none_or(|found| types.contains(found))
    }
}

/// Puts items in their order, oldest first. Equal ones keep the order of the wire, reversed where that is newest first.
/// An item without an order stands where the one before it stands.
pub(super) fn sort(items: &mut [Item], newest_first: bool) {
    if newest_first {
        items.reverse();
    }
    let mut last = None;
    for item in items.iter_mut() {
        match item.order {
            Some(order) => last = Some(order),
            None => item.order = last,
        }
    }
    items.sort_by_key(|item| (item.order, item.then));
}

/// Makes one item of those of one type that follow each other. They are in their order, and of all types: what lies between
/// two of one type tells them apart, also where no list had it.
pub(super) fn collapse(mut items: Vec<Item>, envelope: &Envelope, alone: &[Alone]) -> Vec<Item> {
    let at = envelope.at.as_ref().map(|(path, _)| path);
    let among = envelope.codes.as_ref().map_or(&[][..], |codes| &codes.among);
    set_apart(&mut items, among, alone);
    joined(items, among, |item| item.event_type.as_deref(), |item| item.apart, |act, item| act.absorb(item, at))
}

/// Marks the items of which something of another type, which no list had, lies between the one before and them.
fn set_apart(items: &mut [Item], among: &[String], alone: &[Alone]) {
    let mut alone: Vec<&Alone> = alone.iter().filter(|one| joins(&one.event_type, among)).collect();
    alone.sort_by_key(|one| one.at);
    let mut alone = alone.into_iter().peekable();
    let mut between: Vec<&str> = Vec::new();
    for item in items.iter_mut().filter(|item| item.event_type.as_ref().is_some_and(|name| joins(name, among))) {
        let Some(at) = item.at else { continue };
        // What was told has whole seconds: within one, what the list has comes first.
        while let Some(one) = alone.next_if(|one| one.at.as_second() < at.as_second()) {
            between.push(&one.event_type);
        }
        item.apart = between.drain(..).any(|name| item.event_type.as_deref() != Some(name));
    }
}

/// Joins items of one type that follow each other, in their order, but for those that are apart from what is before them. Where
/// types are named, only those are joined, and only they tell two of one type apart.
pub(crate) fn joined<T>(
    items: Vec<T>,
    among: &[String],
    type_of: impl Fn(&T) -> Option<&str>,
    is_apart: impl Fn(&T) -> bool,
    mut absorb: impl FnMut(&mut T, T),
) -> Vec<T> {
    let mut acts: Vec<T> = Vec::new();
    // The last of those that can be joined.
    let mut last: Option<usize> = None;
    for item in items {
        let joins = among.is_empty() || type_of(&item).is_some_and(|name| joins(name, among));
        let same = last.and_then(|at| acts.get_mut(at)).filter(|act| joins && type_of(act) == type_of(&item));
        match same.filter(|_| !is_apart(&item)) {
            Some(act) => absorb(act, item),
            None => {
                last = if joins { Some(acts.len()) } else { last };
                acts.push(item);
            }
        }
    }
    acts
}

/// Returns a payload with the time of another.
fn with_time_of(payload: &[u8], other: &[u8], at: &JsonPath) -> Option<Bytes> {
    let mut json: Json = crate::json::read(payload).ok()?;
    let other: Json = crate::json::read(other).ok()?;
    let place = at.0.iter().try_fold(&mut json, |json, segment| member_mut(json, segment))?;
    *place = at.0.iter().try_fold(&other, member)?.clone();
    Some(Bytes::from(json.to_string()))
}

fn member<'a>(json: &'a Json, segment: &Segment) -> Option<&'a Json> {
    match segment {
        Segment::Key(key) => json.get(key),
        Segment::Index(index) => json.get(index),
    }
}

fn member_mut<'a>(json: &'a mut Json, segment: &Segment) -> Option<&'a mut Json> {
    match segment {
        Segment::Key(key) => json.get_mut(key),
        Segment::Index(index) => json.get_mut(index),
    }
}

/// Puts a value in its place among objects.
fn put(json: &mut Json, path: &JsonPath, value: Json) {
    let mut place = json;
    for segment in &path.0 {
        let (Segment::Key(key), Json::Object(fields)) = (segment, place) else { return };
        place = fields.entry(key.as_str()).or_insert_with(|| Json::Object(Map::new()));
    }
    *place = value;
}

/// Numbers count as they are, instants as milliseconds.
pub(crate) fn number(value: &Value, format: Option<TimeFormat>) -> Option<Decimal> {
    if let Some(format) = format
        && let Ok(Value::Instant(at)) = decode(&Shape::Instant(format), value)
    {
        return Some(Decimal::from(at.as_millisecond()));
    }
    match value {
        Value::Number(number) => Some(*number),
        Value::Text(text) => match text.parse::<Timestamp>() {
            Ok(at) => Some(Decimal::from(at.as_millisecond())),
            Err(_) => text.parse().ok(),
        },
        _ => None,
    }
}

/// Returns what stands at a path of a JSON text, as a text.
pub(super) fn text_at(json: &str, path: &JsonPath) -> Option<String> {
    let mut paths = PathSet::default();
    let leaf = paths.insert(path);
    match paths.scan(json.as_bytes()).ok()?.value(leaf) {
        Value::Text(text) if !text.is_empty() => Some(text.to_string()),
        Value::Number(number) => Some(number.normalize().to_string()),
        _ => None,
    }
}
