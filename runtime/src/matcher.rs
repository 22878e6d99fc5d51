//! Which flows an event starts.
//!
//! For each connection, source and event type there is a group: the flows that listen, and the union of the fields that
//! they read, so that a payload is scanned once and each field is read once, however many flows there are. Building a
//! matcher takes over what the one before knew of flows that have not changed.

mod reads;
mod view;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use flow_plan::{FieldShape, Flow, JsonPath, Shape, StartKind, TriggerUse, Value};

use crate::clock;
use crate::decode::{Misfit, decode_field};
use crate::event::Difference;
use crate::journal::EventHead;
use crate::live::Live;
use crate::scan::{PathSet, ScanError, Scanned};
use crate::store::BookKey;

pub(crate) use view::FlowView;

/// Finds the flows that an event starts.
#[derive(Debug, Default)]
pub struct Matcher {
    connections: HashMap<String, HashMap<String, Listeners>>,
    /// In the order of the live flows.
    compiled: Vec<Compiled>,
    /// From a flow's id to its place, made when it is first asked for.
    places: OnceLock<HashMap<String, usize>>,
    fields: Arc<Mutex<Fields>>,
}

/// The groups of a source.
#[derive(Debug, Default)]
struct Listeners {
    by_type: HashMap<String, Arc<Group>>,
    /// For event types that no flow names.
    others: Arc<Group>,
}

/// The flows that one kind of event concerns.
#[derive(Debug, Default)]
pub struct Group {
    listeners: Vec<Listener>,
    fields: Vec<GroupField>,
    /// From the number of a field to its place in this group.
    places: HashMap<u32, u32>,
    raw: HashMap<JsonPath, usize>,
    paths: PathSet,
    object: JsonPath,
}

#[derive(Debug)]
struct GroupField {
    shape: Arc<FieldShape>,
    /// Its paths, relative to the object, and their numbers in the scan.
    leaves: Vec<(JsonPath, usize)>,
}

#[derive(Debug, Clone)]
struct Listener {
    flow: Compiled,
    used: usize,
    /// It does not start the flow: it is what the flow waits for in vain.
    watches: bool,
}

#[derive(Debug, Clone)]
struct Compiled {
    flow: Arc<Flow>,
    parts: Arc<Parts>,
}

/// What is computed once per flow.
#[derive(Debug)]
struct Parts {
    /// For each trigger the numbers of its fields, by slot; `None` where its events have no such field.
    fields: Vec<Vec<Option<u32>>>,
    raw: Vec<JsonPath>,
    identities: Vec<String>,
    guard_slots: Vec<Vec<u16>>,
    /// For each trigger that is an absence: what has to be known of the awaited events.
    watches: Vec<Option<Watch>>,
}

/// What is computed once for an event that a flow waits for in vain.
#[derive(Debug)]
struct Watch {
    fields: Vec<Option<u32>>,
    guard_slots: Vec<u16>,
    /// The row that says how long it has been silent.
    row: BookKey,
}

/// The fields of all flows, numbered. It only grows.
#[derive(Debug, Default)]
struct Fields {
    numbers: HashMap<String, u32>,
    shapes: Vec<Arc<FieldShape>>,
}

/// What a trigger starts for an event.
#[derive(Debug, Clone, PartialEq)]
pub struct MatchedStart {
    /// The trigger.
    pub trigger: String,
    /// The trigger with its options: under this name starts are deduplicated.
    pub identity: String,
    /// The trigger's key, or the event's id.
    pub key: String,
    /// The flows that match.
    pub flows: Vec<MatchedFlow>,
}

/// A flow that an event starts.
#[derive(Debug, Clone, PartialEq)]
pub struct MatchedFlow {
    /// The flow.
    pub flow: Arc<Flow>,
    /// The values of its slots.
    pub slots: Vec<Value>,
    /// What it reads of the raw payload.
    pub raw: Vec<(JsonPath, Value)>,
    /// Why the payload does not fit.
    pub misfit: Option<String>,
}

impl Matcher {
    /// Returns the matcher of what is live, taking over from `previous` what has not changed.
    pub fn build(live: &Live, previous: Option<&Matcher>) -> Self {
        let fields = previous.map(|previous| Arc::clone(&previous.fields)).unwrap_or_default();
        let mut matcher = Self { fields, ..Self::default() };
        // Sources are few, and neighbours mostly listen to the same one.
        let mut listening: Vec<((&str, &str), Vec<Listener>)> = Vec::new();
        let mut last = 0;
        let mut known = Known::new(previous);
        matcher.compiled.reserve(live.flows.len());
        for flow in &live.flows {
            let parts = known.parts(flow).unwrap_or_else(|| Arc::new(matcher.parts(flow)));
            let compiled = Compiled { flow: Arc::clone(flow), parts };
            let own = flow.triggers.iter().enumerate().map(|(used, trigger)| (used, trigger, false));
            let watched = flow.triggers.iter().enumerate().filter_map(|(used, trigger)| Some((used, awaited(trigger)?, true)));
            for (used, trigger, watches) in own.chain(watched) {
                let listener = Listener { flow: compiled.clone(), used, watches };
                let source = (trigger.connection.as_str(), trigger.source.as_str());
                if listening.get(last).is_none_or(|(of, _)| *of != source) {
                    last = listening.iter().position(|(of, _)| *of == source).unwrap_or_else(|| {
                        listening.push((source, Vec::new()));
                        listening.len() - 1
                    });
                }
                if let Some((_, listeners)) = listening.get_mut(last) {
                    listeners.push(listener);
                }
            }
            matcher.compiled.push(compiled);
        }
        for ((connection, source), listeners) in listening {
            let object = live
                .connections
                .get(connection)
                .and_then(|live| live.plan.sources.iter().find(|known| known.name == source))
                .map(|source| source.envelope.object.clone())
                .unwrap_or_default();
            let before = previous.and_then(|previous| previous.connections.get(connection)?.get(source));
            let listeners = matcher.listeners(&listeners, &object, before);
            matcher.connections.entry(connection.to_owned()).or_default().insert(source.to_owned(), listeners);
        }
        matcher
    }

    fn parts(&self, flow: &Flow) -> Parts {
        let mut known = self.fields.lock().unwrap_or_else(PoisonError::into_inner);
        Parts {
            fields: flow
                .triggers
                .iter()
                .map(|used| flow.reads_of(used).map(|field| field.map(|field| known.number(field))).collect())
                .collect(),
            raw: reads::raw_paths(flow),
            identities: flow.triggers.iter().map(TriggerUse::identity).collect(),
            guard_slots: flow.triggers.iter().map(|used| used.guard.as_ref().map(reads::slots).unwrap_or_default()).collect(),
            watches: flow.triggers.iter().map(|used| Watch::of(flow, used, &mut known)).collect(),
        }
    }

    fn listeners(&self, all: &[Listener], object: &JsonPath, before: Option<&Listeners>) -> Listeners {
        let mut by_type: HashMap<&str, Vec<&Listener>> = HashMap::new();
        for listener in all {
            for name in listener.types() {
                by_type.entry(name).or_default();
            }
        }
        let mut others = Vec::new();
        for listener in all {
            if listener.types().is_empty() {
                others.push(listener);
                by_type.values_mut().for_each(|listeners| listeners.push(listener));
            }
            for name in listener.types() {
                if let Some(listeners) = by_type.get_mut(name.as_str()) {
                    listeners.push(listener);
                }
            }
        }
        let group = |listeners: &[&Listener], before: Option<&Arc<Group>>| match before {
            Some(before) if before.is_of(listeners, object) => before.with_flows(listeners),
            _ => Arc::new(self.group(listeners, object)),
        };
        Listeners {
            others: group(&others, before.map(|before| &before.others)),
            by_type: by_type
                .into_iter()
                .map(|(name, listeners)| (name.to_owned(), group(&listeners, before.and_then(|before| before.by_type.get(name)))))
                .collect(),
        }
    }

    fn group(&self, listeners: &[&Listener], object: &JsonPath) -> Group {
        let known = self.fields.lock().unwrap_or_else(PoisonError::into_inner);
        let mut group = Group { object: object.clone(), ..Group::default() };
        for listener in listeners {
            for number in listener.fields().iter().flatten() {
                let Some(shape) = known.shapes.get(*number as usize) else { continue };
                if !group.places.contains_key(number) {
                    group.places.insert(*number, u32::try_from(group.fields.len()).unwrap_or(u32::MAX));
                    let leaves = leaves(shape, object, &mut group.paths);
                    group.fields.push(GroupField { shape: Arc::clone(shape), leaves });
                }
            }
            for path in &listener.flow.parts.raw {
                let leaf = group.paths.insert(path);
                group.raw.insert(path.clone(), leaf);
            }
            group.listeners.push((*listener).clone());
        }
        group
    }

    /// Returns the group that an event belongs to; `None` where no flow listens to its source.
    pub fn group_of(&self, connection: &str, source: &str, event_type: Option<&str>) -> Option<&Arc<Group>> {
        let listeners = self.connections.get(connection)?.get(source)?;
        Some(event_type.and_then(|name| listeners.by_type.get(name)).unwrap_or(&listeners.others))
    }

    /// Tells whether a flow listens to this kind of event, whatever it holds.
    pub(crate) fn listens(&self, connection: &str, source: &str, event_type: &str) -> bool {
        let group = self.group_of(connection, source, Some(event_type));
        group.is_some_and(|group| !group.listeners.is_empty())
    }

    /// Returns a flow by its id.
    pub fn flow(&self, id: &str) -> Option<&Arc<Flow>> {
        let places = self.places.get_or_init(|| {
            self.compiled.iter().enumerate().map(|(place, compiled)| (compiled.flow.id.clone(), place)).collect()
        });
        self.compiled.get(*places.get(id)?).map(|compiled| &compiled.flow)
    }
}

/// What the matcher before knew of flows that have not changed. Most stand where they stood; behind a change they are
/// found by their address.
struct Known<'a> {
    before: &'a [Compiled],
    at: usize,
    by_address: Option<HashMap<usize, usize>>,
}

impl<'a> Known<'a> {
    fn new(previous: Option<&'a Matcher>) -> Self {
        Self { before: previous.map_or(&[], |previous| &previous.compiled), at: 0, by_address: None }
    }

    fn parts(&mut self, flow: &Arc<Flow>) -> Option<Arc<Parts>> {
        let mut place = self.at;
        if !self.before.get(place).is_some_and(|known| Arc::ptr_eq(&known.flow, flow)) {
            let (before, from) = (self.before, self.at);
            let by_address = self.by_address.get_or_insert_with(|| {
                let rest = before.iter().enumerate().skip(from);
                rest.map(|(place, known)| (Arc::as_ptr(&known.flow).addr(), place)).collect()
            });
            place = *by_address.get(&Arc::as_ptr(flow).addr())?;
        }
        self.at = place + 1;
        self.before.get(place).map(|known| Arc::clone(&known.parts))
    }
}

impl Fields {
    fn number(&mut self, field: &FieldShape) -> u32 {
        // Two fields are one where all that reading them needs is equal.
        let name = serde_json::to_string(field).unwrap_or_else(|_| field.name.clone());
        let next = u32::try_from(self.shapes.len()).unwrap_or(u32::MAX);
        *self.numbers.entry(name).or_insert_with(|| {
            self.shapes.push(Arc::new(field.clone()));
            next
        })
    }
}

/// Returns what a trigger waits for in vain.
fn awaited(used: &TriggerUse) -> Option<&TriggerUse> {
    match &used.kind {
        StartKind::Absence(rule) => Some(&rule.awaited),
        StartKind::Event | StartKind::Schedule(_) | StartKind::State(_) => None,
    }
}

impl Watch {
    fn of(flow: &Flow, used: &TriggerUse, known: &mut Fields) -> Option<Self> {
        let StartKind::Absence(rule) = &used.kind else { return None };
        Some(Self {
            fields: flow.reads_of(&rule.awaited).map(|field| field.map(|field| known.number(field))).collect(),
            guard_slots: rule.awaited.guard.as_ref().map(reads::slots).unwrap_or_default(),
            row: BookKey::new(clock::ABSENCE, flow.id.as_str(), clock::absence_key(rule)),
        })
    }
}

impl Listener {
    fn trigger(&self) -> Option<&TriggerUse> {
        let used = self.flow.flow.triggers.get(self.used)?;
        if self.watches { awaited(used) } else { Some(used) }
    }

    /// The numbers of the fields that it reads, by slot.
    fn fields(&self) -> &[Option<u32>] {
        self.flow.fields(self.used, self.watches)
    }

    fn types(&self) -> &[String] {
        self.trigger().map_or(&[], |used| &used.types)
    }
}

/// Takes the paths of a field into a scan, and returns them with their numbers.
pub(crate) fn leaves(field: &FieldShape, object: &JsonPath, paths: &mut PathSet) -> Vec<(JsonPath, usize)> {
    let mut leaves: Vec<(JsonPath, usize)> = Vec::new();
    let mut want = |path: &JsonPath| {
        if !leaves.iter().any(|(known, _)| known == path) {
            leaves.push((path.clone(), paths.insert(&object.join(path))));
        }
    };
    if let Shape::Money { amount, currency, .. } = &field.shape {
        want(amount);
        want(currency);
    }
    for source in &field.from {
        want(&source.path);
        if let Some(when) = &source.when {
            reads::answer_paths(when, &mut want);
        }
    }
    leaves
}

impl Compiled {
    fn fields(&self, used: usize, watches: bool) -> &[Option<u32>] {
        let fields = match self.parts.watches.get(used) {
            Some(Some(watch)) if watches => Some(&watch.fields),
            _ => self.parts.fields.get(used),
        };
        fields.map_or(&[], Vec::as_slice)
    }
}

impl Group {
    /// The same flows, as far as matching is concerned.
    fn is_of(&self, listeners: &[&Listener], object: &JsonPath) -> bool {
        self.object == *object
            && self.listeners.len() == listeners.len()
            && self.listeners.iter().zip(listeners).all(|(left, right)| {
                left.used == right.used && left.watches == right.watches && Arc::ptr_eq(&left.flow.parts, &right.flow.parts)
            })
    }

    /// The same group with the newest plans: their files and lines may have changed.
    fn with_flows(self: &Arc<Self>, listeners: &[&Listener]) -> Arc<Self> {
        let same = self.listeners.iter().zip(listeners).all(|(left, right)| Arc::ptr_eq(&left.flow.flow, &right.flow.flow));
        if same {
            return Arc::clone(self);
        }
        Arc::new(Self {
            listeners: listeners.iter().map(|listener| (*listener).clone()).collect(),
            fields: self
                .fields
                .iter()
                .map(|field| GroupField { shape: Arc::clone(&field.shape), leaves: field.leaves.clone() })
                .collect(),
            places: self.places.clone(),
            raw: self.raw.clone(),
            paths: self.paths.clone(),
            object: self.object.clone(),
        })
    }

    /// Reads the fields of a payload that the group's flows read.
    ///
    /// # Errors
    /// Where the payload is no JSON.
    pub fn read<'g, 'p>(&'g self, payload: &'p [u8]) -> Result<Payload<'g, 'p>, ScanError> {
        let scanned = self.paths.scan(payload)?;
        let values = self.fields.iter().map(|field| {
            decode_field(&field.shape, &|path| {
                let leaf = field.leaves.iter().find(|(known, _)| known == path);
                leaf.map_or(Value::Missing, |(_, leaf)| scanned.value(*leaf))
            })
        });
        let values = values.collect();
        Ok(Payload { group: self, values, scanned })
    }
}

/// Of an event that fits nowhere no more is said.
const MOST_MISFITS: usize = 20;

/// `items[17].amount` as `items[].amount`: the same field of another item is no other misfit.
fn without_numbers(path: &str) -> String {
    let mut plain = String::with_capacity(path.len());
    let mut inside = false;
    for c in path.chars() {
        inside &= c != ']';
        if !inside {
            plain.push(c);
        }
        inside |= c == '[';
    }
    plain
}

/// A payload as the flows of a group see it.
#[derive(Debug)]
pub struct Payload<'g, 'p> {
    group: &'g Group,
    values: Vec<Result<Value, Misfit>>,
    scanned: Scanned<'p>,
}

/// Takes a flow, its trigger, what it sees, and whether its trigger's own condition holds.
type Listening<'a> = &'a mut dyn FnMut(&Arc<Flow>, &TriggerUse, &FlowView<'_>, Option<bool>);

/// What guard and key of a trigger say, the same for all flows that use it.
struct Fired {
    /// `None` where the payload does not fit.
    holds: Option<bool>,
    start: usize,
}

impl Payload<'_, '_> {
    /// Returns what the event starts. A flow starts once for an event, by the first of its triggers that fires; flows that `skip` names do not start: it is asked only of those that would.
    pub fn starts(
        &self,
        event: &EventHead,
        settings: &BTreeMap<String, Value>,
        only_trigger: Option<&str>,
        skip: &dyn Fn(&str) -> bool,
    ) -> Vec<MatchedStart> {
        let mut starts: Vec<MatchedStart> = Vec::new();
        let mut fired: HashMap<&str, Fired> = HashMap::new();
        let mut started: HashSet<&str> = HashSet::new();
        for listener in self.group.listeners.iter().filter(|listener| !listener.watches) {
            let (Some(used), Some(identity)) = (listener.trigger(), listener.flow.parts.identities.get(listener.used)) else {
                continue;
            };
            if only_trigger.is_some_and(|only| only != used.name) {
                continue;
            }
            let view = FlowView { payload: self, flow: &listener.flow, event, settings, used: listener.used, watches: false };
            let fired = fired.entry(identity).or_insert_with(|| {
                let holds = view.guard(listener.used);
                let start = starts.len();
                if holds != Some(false) {
                    let key = view.key(used);
                    starts.push(MatchedStart { trigger: used.name.clone(), identity: identity.clone(), key, flows: Vec::new() });
                }
                Fired { holds, start }
            });
            if fired.holds == Some(false) || started.contains(listener.flow.flow.id.as_str()) {
                continue;
            }
            let guard_fits = fired.holds.is_some();
            let matches = match &listener.flow.flow.filter {
                Some(filter) => view.verdict(filter),
                None => Some(true),
            };
            if matches == Some(false) || skip(&listener.flow.flow.id) {
                continue;
            }
            started.insert(&listener.flow.flow.id);
            let misfit = view.first_misfit();
            debug_assert!(misfit.is_some() || (guard_fits && matches.is_some()));
            if let Some(start) = starts.get_mut(fired.start) {
                start.flows.push(MatchedFlow {
                    flow: Arc::clone(&listener.flow.flow),
                    slots: view.slots(),
                    raw: view.raws(),
                    misfit: misfit.map(ToString::to_string),
                });
            }
        }
        starts
    }

    /// Returns what of the payload does not fit, of what flows read of the triggers that it is.
    pub(crate) fn misfits(
        &self,
        event: &EventHead,
        settings: &BTreeMap<String, Value>,
        only_trigger: Option<&str>,
    ) -> Vec<Difference> {
        let mut found: Vec<Difference> = Vec::new();
        if self.values.iter().all(Result::is_ok) {
            return found;
        }
        for listener in &self.group.listeners {
            let Some(used) = listener.trigger().filter(|used| only_trigger.is_none_or(|only| only == used.name)) else {
                continue;
            };
            let watches = listener.watches;
            let view = FlowView { payload: self, flow: &listener.flow, event, settings, used: listener.used, watches };
            if !watches && view.guard(listener.used) == Some(false) {
                continue;
            }
            let places = listener.fields().iter().flatten().filter_map(|number| self.group.places.get(number));
            for place in places {
                let (Some(Err(misfit)), Some(field)) = (self.values.get(*place as usize), self.group.fields.get(*place as usize))
                else {
                    continue;
                };
                let path = without_numbers(&misfit.path);
                if found.len() < MOST_MISFITS && !found.iter().any(|known| known.trigger == used.name && known.field == path) {
                    found.push(Difference {
                        trigger: used.name.clone(),
                        field: path,
                        at: field.leaves.first().map(|(path, _)| self.group.object.join(path).to_string()).unwrap_or_default(),
                        expected: misfit.expected.clone(),
                        found: misfit.found.clone(),
                        value: misfit.value.clone().filter(|value| !value.is_empty()),
                        read_by: listener.flow.flow.id.clone(),
                    });
                }
            }
        }
        found
    }

    /// Returns the silences that the event ends: their rows.
    pub(crate) fn watched(&self, event: &EventHead, settings: &BTreeMap<String, Value>) -> Vec<BookKey> {
        let mut ended = Vec::new();
        for listener in self.group.listeners.iter().filter(|listener| listener.watches) {
            let Some(Some(watch)) = listener.flow.parts.watches.get(listener.used) else { continue };
            let view = FlowView { payload: self, flow: &listener.flow, event, settings, used: listener.used, watches: true };
            if view.is_awaited(&watch.guard_slots) && !ended.contains(&watch.row) {
                ended.push(watch.row.clone());
            }
        }
        ended
    }

    /// Calls `each` with every flow that listens, its trigger's place, and what it sees.
    pub(crate) fn each_listener(&self, event: &EventHead, settings: &BTreeMap<String, Value>, each: Listening<'_>) {
        for listener in self.group.listeners.iter().filter(|listener| !listener.watches) {
            let Some(used) = listener.trigger() else { continue };
            let view = FlowView { payload: self, flow: &listener.flow, event, settings, used: listener.used, watches: false };
            each(&listener.flow.flow, used, &view, view.guard(listener.used));
        }
    }
}
