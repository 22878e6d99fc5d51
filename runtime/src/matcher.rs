//! Which flows an event starts.
//!
//! For each connection, source and event type there is a group: the flows that listen, an index over their conditions, and the
//! union of the fields that they read. A payload is scanned once; a field is read when the index or a flow that may match asks
//! for it, and once, however many flows there are. From the values of the event the index leads to the flows that it may
//! concern; only their conditions are evaluated. The answer is the one that a loop over all flows would give, in its order.
//!
//! A matcher takes over from the one before what a change of the flows does not concern.

mod bounds;
mod claim;
mod group;
mod identity;
mod index;
mod line;
mod misfits;
mod names;
mod order;
mod parts;
mod payload;
mod program;
pub(crate) mod reads;
mod source;
mod view;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use flow_plan::{Flow, JsonPath, Value};

use crate::live::Live;

pub use group::Group;
pub use payload::Payload;

pub(crate) use group::{Leaf, leaf_of, leaves};
pub(crate) use view::FlowView;

use names::Names;
use order::{Change, Entry, Order};
use parts::{Compiled, Fields, Listener};
use source::Source;

/// Finds the flows that an event starts.
#[derive(Debug, Default)]
pub struct Matcher {
    /// By connection and source.
    sources: HashMap<String, HashMap<String, Arc<Source>>>,
    order: Order,
    names: Names,
    fields: Arc<Mutex<Fields>>,
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

/// Listeners of a source: those that go and those that come.
type Changes<'e> = HashMap<(&'e str, &'e str), (Vec<Listener>, Vec<Listener>)>;

impl Matcher {
    /// Returns the matcher of what is live, taking over from `previous` what has not changed.
    pub fn build(live: &Live, previous: Option<&Matcher>) -> Self {
        let fields = previous.map(|previous| Arc::clone(&previous.fields)).unwrap_or_default();
        let mut known = fields.lock().unwrap_or_else(PoisonError::into_inner);
        let change = previous.and_then(|previous| {
            let change = previous.order.changed(&live.flows, &mut |flow| Compiled::new(flow, &mut known))?;
            Some((previous, change))
        });
        let (sources, order, names) = match change {
            Some((previous, change)) => {
                let names = previous.names.changed(&change.removed, &change.added, live.flows.len());
                (previous.changed_sources(live, &change, &known), change.order, names)
            }
            None => {
                // Without room between labels all get new ones; what is known of each flow stays.
                let old = previous.into_iter().flat_map(|previous| previous.order.iter());
                let old: HashMap<usize, &Compiled> =
                    old.map(|entry| (Arc::as_ptr(&entry.flow.flow).addr(), &entry.flow)).collect();
                let compiled = live.flows.iter().map(|flow| match old.get(&Arc::as_ptr(flow).addr()) {
                    Some(compiled) => (*compiled).clone(),
                    None => Compiled::new(flow, &mut known),
                });
                let order = Order::new(compiled);
                (new_sources(live, &order, None, &known), order, Names::new(&live.flows))
            }
        };
        drop(known);
        Self { sources, order, names, fields }
    }

    fn changed_sources(&self, live: &Live, change: &Change, known: &Fields) -> HashMap<String, HashMap<String, Arc<Source>>> {
        let mut changes: Changes<'_> = HashMap::new();
        for (entries, is_new) in [(&change.removed, false), (&change.added, true)] {
            for listener in entries.iter().flat_map(|entry| Listener::of(&entry.flow, entry.label).map(move |one| (entry, one))) {
                let (entry, listener) = listener;
                let Some(name) = source_of(entry, &listener) else { continue };
                let (gone, new) = changes.entry(name).or_default();
                if is_new { new.push(listener) } else { gone.push(listener) }
            }
        }
        let mut sources = self.sources.clone();
        let mut anew = HashSet::new();
        for (connection, by_name) in &sources {
            let moved = by_name.iter().filter(|(name, source)| source.object != object_of(live, connection, name));
            anew.extend(moved.map(|(name, _)| (connection.clone(), name.clone())));
        }
        for ((connection, name), (removed, added)) in changes {
            let of = (connection.to_owned(), name.to_owned());
            match sources.get_mut(connection).and_then(|by_name| by_name.get_mut(name)) {
                Some(source) if !anew.contains(&of) => *source = Arc::new(source.changed(&removed, &added, known)),
                Some(_) | None => {
                    anew.insert(of);
                }
            }
        }
        if !anew.is_empty() {
            for (connection, source) in &anew {
                sources.get_mut(connection).and_then(|by_name| by_name.remove(source));
            }
            for (connection, by_name) in new_sources(live, &change.order, Some(&anew), known) {
                sources.entry(connection).or_default().extend(by_name);
            }
        }
        for by_name in sources.values_mut() {
            by_name.retain(|_, source| !source.is_empty());
        }
        sources.retain(|_, by_name| !by_name.is_empty());
        sources
    }

    /// Returns the group that an event belongs to; `None` where no flow listens to its source.
    pub fn group_of(&self, connection: &str, source: &str, event_type: Option<&str>) -> Option<&Arc<Group>> {
        Some(self.sources.get(connection)?.get(source)?.group(event_type))
    }

    /// Tells whether a flow listens to this kind of event, whatever it holds.
    pub(crate) fn listens(&self, connection: &str, source: &str, event_type: &str) -> bool {
        self.group_of(connection, source, Some(event_type)).is_some_and(|group| !group.is_empty())
    }

    /// Returns a flow by its id.
    pub fn flow(&self, id: &str) -> Option<&Arc<Flow>> {
        self.names.flow(id)
    }
}

/// The connection and the source that a listener listens to.
fn source_of<'e>(entry: &'e Entry, listener: &Listener) -> Option<(&'e str, &'e str)> {
    let used = entry.flow.flow.triggers.get(usize::from(listener.used))?;
    let used = if listener.watches { parts::awaited(used)? } else { used };
    Some((&used.connection, &used.source))
}

/// Where in the payloads of a source the object lies.
fn object_of(live: &Live, connection: &str, source: &str) -> JsonPath {
    let known = live.connections.get(connection).and_then(|live| live.plan.sources.iter().find(|known| known.name == source));
    known.map(|source| source.envelope.object.clone()).unwrap_or_default()
}

/// Returns the sources that flows listen to: all, or some.
fn new_sources(
    live: &Live,
    order: &Order,
    only: Option<&HashSet<(String, String)>>,
    known: &Fields,
) -> HashMap<String, HashMap<String, Arc<Source>>> {
    // Sources are few, and neighbours mostly listen to the same one.
    let mut listening: Vec<((&str, &str), Vec<Listener>)> = Vec::new();
    let mut last = 0;
    for entry in order.iter() {
        for listener in Listener::of(&entry.flow, entry.label) {
            let Some(name) = source_of(entry, &listener) else { continue };
            if listening.get(last).is_none_or(|(of, _)| *of != name) {
                last = listening.iter().position(|(of, _)| *of == name).unwrap_or_else(|| {
                    listening.push((name, Vec::new()));
                    listening.len() - 1
                });
            }
            if let Some((_, listeners)) = listening.get_mut(last) {
                listeners.push(listener);
            }
        }
    }
    let mut sources: HashMap<String, HashMap<String, Arc<Source>>> = HashMap::new();
    for ((connection, name), listeners) in listening {
        if only.is_none_or(|only| only.contains(&(connection.to_owned(), name.to_owned()))) {
            let source = Source::new(object_of(live, connection, name), &listeners, known);
            sources.entry(connection.to_owned()).or_default().insert(name.to_owned(), Arc::new(source));
        }
    }
    sources
}
