//! A payload as the flows of a group see it, and what it starts.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use flow_plan::{Flow, JsonPath, TriggerUse, Value};

use super::group::{Group, GroupField};
use super::parts::Listener;
use super::program::verdict;
use super::view::FlowView;
use super::{MatchedFlow, MatchedStart};
use crate::decode::Misfit;
use crate::journal::EventHead;
use crate::scan::Scanned;
use crate::store::BookKey;

/// A payload as the flows of a group see it.
#[derive(Debug)]
pub struct Payload<'g, 'p> {
    group: &'g Group,
    /// The fields as far as somebody has asked for them.
    values: Box<[OnceCell<Found>]>,
    scanned: Scanned<'p>,
}

/// The value of a field, or why it does not fit.
pub(super) type Found = Result<Value, Box<Misfit>>;

/// Takes a flow, its trigger, what it sees, and whether its trigger's own condition holds.
type Listening<'a> = &'a mut dyn FnMut(&Arc<Flow>, &TriggerUse, &FlowView<'_>, Option<bool>);

/// A trigger whose guard lets the event pass, or cannot be answered.
struct Fired {
    identity: u32,
    /// Its place among the starts.
    start: usize,
}

impl<'g, 'p> Payload<'g, 'p> {
    pub(super) fn new(group: &'g Group, scanned: Scanned<'p>) -> Self {
        let values = std::iter::repeat_with(OnceCell::new).take(group.reading.fields.len()).collect();
        Self { group, values, scanned }
    }

    /// Returns a field by its number, or why it does not fit; nothing where the group does not read it.
    pub(super) fn field(&self, number: u32) -> Option<&Found> {
        let place = self.group.reading.place(number)?;
        let (cell, field) = (self.values.get(place)?, self.group.reading.fields.get(place)?);
        Some(self.found(cell, field))
    }

    fn found<'v>(&self, cell: &'v OnceCell<Found>, field: &GroupField) -> &'v Found {
        cell.get_or_init(|| field.value(&self.scanned).map_err(Box::new))
    }

    /// Returns what stands at a path of the raw payload.
    pub(super) fn raw(&self, path: &JsonPath) -> Value {
        self.group.reading.raw(path, &self.scanned)
    }

    /// Tells whether all fields fit that anybody reads.
    pub(super) fn fits(&self) -> bool {
        let cells = self.values.iter().zip(&self.group.reading.fields);
        cells.into_iter().all(|(cell, field)| self.found(cell, field).is_ok())
    }

    pub(super) fn group(&self) -> &'g Group {
        self.group
    }

    pub(super) fn view<'v>(
        &'v self,
        listener: &'v Listener,
        event: &'v EventHead,
        settings: &'v BTreeMap<String, Value>,
    ) -> FlowView<'v> {
        let used = usize::from(listener.used);
        FlowView { payload: self, flow: &listener.flow, event, settings, used, watches: listener.watches }
    }

    /// Returns what the event starts. A flow starts once for an event, by the first of its triggers that fires; flows that
    /// `skip` names do not start: it is asked only of those that would.
    pub fn starts(
        &self,
        event: &EventHead,
        settings: &BTreeMap<String, Value>,
        only_trigger: Option<&str>,
        skip: &dyn Fn(&str) -> bool,
    ) -> Vec<MatchedStart> {
        let (mut starts, fired) = self.fired(event, settings, only_trigger);
        if fired.is_empty() {
            return starts;
        }
        let mut started: HashSet<&str> = HashSet::new();
        for listener in self.group.starting.candidates(self) {
            let Some(start) = fired.binary_search_by_key(&listener.identity, |fired| fired.identity).ok() else { continue };
            let flow = &listener.flow.flow;
            let view = self.view(listener, event, settings);
            let matches = listener.part().map_or(Some(true), |part| verdict(&part.filter, &view));
            if matches == Some(false) || started.contains(flow.id.as_str()) || skip(&flow.id) {
                continue;
            }
            started.insert(&flow.id);
            let misfit = view.first_misfit();
            debug_assert!(misfit.is_some() || matches.is_some());
            if let Some(start) = fired.get(start).and_then(|fired| starts.get_mut(fired.start)) {
                start.flows.push(MatchedFlow {
                    flow: Arc::clone(flow),
                    slots: view.slots(),
                    raw: view.raws(),
                    misfit: misfit.map(ToString::to_string),
                });
            }
        }
        starts
    }

    /// Returns a start for each trigger that fires, in the order of the flows that use them, and which these are by number.
    fn fired(
        &self,
        event: &EventHead,
        settings: &BTreeMap<String, Value>,
        only_trigger: Option<&str>,
    ) -> (Vec<MatchedStart>, Vec<Fired>) {
        let identities = &self.group.identities;
        let mut numbers = Vec::new();
        identities.index().candidates(self, &mut numbers);
        numbers.sort_unstable();
        numbers.dedup();
        let candidates = numbers.iter().filter_map(|number| {
            let identity = identities.get(*number)?;
            Some((*number, identity, identity.first.as_ref()?))
        });
        let mut candidates: Vec<_> = candidates.collect();
        candidates.sort_by_key(|(.., first)| first.order());
        let (mut starts, mut fired) = (Vec::new(), Vec::new());
        for (number, identity, first) in candidates {
            let Some(used) = first.trigger() else { continue };
            if only_trigger.is_some_and(|only| only != used.name) {
                continue;
            }
            let view = self.view(first, event, settings);
            if verdict(&identity.guard, &view) == Some(false) {
                continue;
            }
            fired.push(Fired { identity: number, start: starts.len() });
            let (trigger, identity, key) = (used.name.clone(), identity.identity.to_string(), view.key(used));
            starts.push(MatchedStart { trigger, identity, key, flows: Vec::new() });
        }
        fired.sort_unstable_by_key(|fired| fired.identity);
        (starts, fired)
    }

    /// Returns the silences that the event ends: their rows.
    pub fn watched(&self, event: &EventHead, settings: &BTreeMap<String, Value>) -> Vec<BookKey> {
        let mut ended = Vec::new();
        for listener in self.group.watching.candidates(self) {
            let Some(watch) = listener.part().and_then(|part| part.watch.as_ref()) else { continue };
            // An event that cannot be read is not known to be what is awaited.
            let is_awaited = verdict(&watch.condition, &self.view(listener, event, settings)) == Some(true);
            if is_awaited && !ended.contains(&watch.row) {
                ended.push(watch.row.clone());
            }
        }
        ended
    }

    /// Calls `each` with every flow that listens, its trigger's place, and what it sees.
    pub(crate) fn each_listener(&self, event: &EventHead, settings: &BTreeMap<String, Value>, each: Listening<'_>) {
        for listener in self.group.starting.iter() {
            let Some(used) = listener.trigger() else { continue };
            let view = self.view(listener, event, settings);
            each(&listener.flow.flow, used, &view, view.guard());
        }
    }
}
