//! The flows that one kind of event concerns, and the union of the fields that they read.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use flow_plan::{FieldShape, JsonPath, Shape, Value};

use super::identity::Identities;
use super::line::Line;
use super::misfits::{self, Reader};
use super::parts::{Fields, Listener};
use super::payload::Payload;
use super::reads;
use crate::decode::{Misfit, Root, decode_field};
use crate::scan::{PathSet, ScanError, Scanned};

/// The flows that one kind of event concerns.
#[derive(Debug, Default)]
pub struct Group {
    pub(super) reading: Arc<Reading>,
    pub(super) identities: Arc<Identities>,
    /// Those that the events start.
    pub(super) starting: Line,
    /// Those that wait for the events in vain.
    pub(super) watching: Line,
    /// Who reads what first, once somebody has asked.
    readers: OnceLock<Vec<Reader>>,
}

/// Places in the order that are empty from now on.
pub(super) type Gone = HashSet<(u64, u16)>;

/// What is read of a payload.
#[derive(Debug, Clone, Default)]
pub(super) struct Reading {
    object: JsonPath,
    pub(super) fields: Vec<GroupField>,
    /// From the number of a field, less the first, to its place here.
    places: Vec<Option<u32>>,
    first: u32,
    raw: HashMap<JsonPath, usize>,
    paths: PathSet,
}

/// A field with its paths and their numbers in the scan.
#[derive(Debug, Clone)]
pub(super) struct GroupField {
    shape: Arc<FieldShape>,
    leaves: Vec<Leaf>,
}

impl Group {
    /// Returns a group of listeners, which are in their order.
    pub(super) fn new(object: &JsonPath, listeners: Vec<Listener>, known: &Fields) -> Self {
        let mut reading = Reading { object: object.clone(), ..Reading::default() };
        listeners.iter().for_each(|listener| reading.take_in(listener, known));
        let mut identities = Identities::default();
        let (watching, mut starting): (Vec<_>, Vec<_>) = listeners.into_iter().partition(|listener| listener.watches);
        for listener in &mut starting {
            identities.number(listener, known);
        }
        identities.index_anew();
        let (starting, watching) = (Line::new(starting, &identities), Line::new(watching, &identities));
        Self { reading: Arc::new(reading), identities: Arc::new(identities), starting, watching, readers: OnceLock::new() }
    }

    /// Returns the group without some listeners and with others.
    pub(super) fn changed(&self, removed: &[&Listener], added: &[&Listener], known: &Fields) -> Self {
        let of_kind = |watches: bool| {
            let gone = removed.iter().filter(|listener| listener.watches == watches).map(|listener| listener.order()).collect();
            let new = added.iter().filter(|listener| listener.watches == watches).map(|listener| (*listener).clone()).collect();
            (gone, new)
        };
        let (start, watch): ((Gone, Vec<Listener>), (Gone, Vec<Listener>)) = (of_kind(false), of_kind(true));
        let sound = self.starting.has_room(&start.0, &start.1) && self.watching.has_room(&watch.0, &watch.1);
        if !sound {
            let stays = |listener: &&Listener| match listener.watches {
                true => !watch.0.contains(&listener.order()),
                false => !start.0.contains(&listener.order()),
            };
            let old = self.starting.iter().chain(self.watching.iter()).filter(stays);
            let mut all: Vec<Listener> = old.chain(added.iter().copied()).cloned().collect();
            all.sort_by_key(Listener::order);
            return Self::new(&self.reading.object, all, known);
        }
        let mut reading = Arc::clone(&self.reading);
        for listener in added {
            if !reading.has(listener) {
                Arc::make_mut(&mut reading).take_in(listener, known);
            }
        }
        let ((start_gone, mut start_new), (watch_gone, watch_new)) = (start, watch);
        let identities = self.renumbered(removed, &start_gone, &mut start_new, known);
        let starting = self.starting.changed(&start_gone, start_new, &identities);
        let watching = self.watching.changed(&watch_gone, watch_new, &identities);
        Self { reading, identities, starting, watching, readers: OnceLock::new() }
    }

    /// Numbers new listeners, and returns the identities as they are with them and without those that have gone.
    fn renumbered(&self, removed: &[&Listener], gone: &Gone, new: &mut [Listener], known: &Fields) -> Arc<Identities> {
        let mut identities = (*self.identities).clone();
        let orphans = removed.iter().filter(|listener| !listener.watches).filter_map(|listener| identities.forget(listener));
        let mut orphans: HashSet<u32> = orphans.collect();
        let mut changed = !orphans.is_empty();
        for listener in self.starting.iter().filter(|listener| !gone.contains(&listener.order())) {
            if orphans.is_empty() {
                break;
            }
            if orphans.remove(&listener.identity) {
                identities.set_first(listener, known);
            }
        }
        for listener in new {
            changed |= identities.number(listener, known);
        }
        if !changed {
            return Arc::clone(&self.identities);
        }
        identities.index_anew();
        Arc::new(identities)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.starting.is_empty() && self.watching.is_empty()
    }

    /// Returns the flows that are the first to read something of a trigger.
    pub(super) fn readers(&self) -> &[Reader] {
        self.readers.get_or_init(|| misfits::readers(self))
    }

    /// Scans a payload; its fields are read when somebody asks for them.
    ///
    /// # Errors
    /// Where the payload is no JSON.
    pub fn read<'g, 'p>(&'g self, payload: &'p [u8]) -> Result<Payload<'g, 'p>, ScanError> {
        Ok(Payload::new(self, self.reading.paths.scan(payload)?))
    }
}

impl Reading {
    /// Tells whether all that a listener reads is read.
    fn has(&self, listener: &Listener) -> bool {
        listener.fields().iter().flatten().all(|number| self.place(*number).is_some())
            && listener.flow.parts.raw.iter().all(|path| self.raw.contains_key(path))
    }

    fn take_in(&mut self, listener: &Listener, known: &Fields) {
        for number in listener.fields().iter().flatten() {
            let Some(shape) = known.field(*number).filter(|_| self.place(*number).is_none()) else { continue };
            let place = u32::try_from(self.fields.len()).unwrap_or(u32::MAX);
            if self.places.is_empty() {
                self.first = *number;
            }
            if *number < self.first {
                let before = (self.first - number) as usize;
                self.places.splice(0..0, std::iter::repeat_n(None, before));
                self.first = *number;
            }
            let at = (number - self.first) as usize;
            if self.places.len() <= at {
                self.places.resize(at + 1, None);
            }
            self.places[at] = Some(place);
            let leaves = leaves(shape, &self.object, &mut self.paths);
            self.fields.push(GroupField { shape: Arc::clone(shape), leaves });
        }
        for path in &listener.flow.parts.raw {
            if !self.raw.contains_key(path) {
                self.raw.insert(path.clone(), self.paths.insert(path));
            }
        }
    }

    /// Returns the place of a field by its number.
    pub(super) fn place(&self, number: u32) -> Option<usize> {
        let at = number.checked_sub(self.first)?;
        self.places.get(at as usize).copied().flatten().map(|place| place as usize)
    }

    /// Returns where in the payload a field stands, or may stand first.
    pub(super) fn at(&self, number: u32) -> Option<JsonPath> {
        let field = self.fields.get(self.place(number)?)?;
        field.leaves.first().map(|leaf| leaf.place(&self.object))
    }

    /// Returns what stands at a path of the raw payload.
    pub(super) fn raw(&self, path: &JsonPath, scanned: &Scanned<'_>) -> Value {
        self.raw.get(path).map_or(Value::Missing, |leaf| scanned.value(*leaf))
    }
}

impl GroupField {
    pub(super) fn value(&self, scanned: &Scanned<'_>) -> Result<Value, Misfit> {
        decode_field(&self.shape, &|root, path| leaf_of(&self.leaves, root, path, scanned))
    }
}

/// A path of a field, and its number in a scan.
#[derive(Debug, Clone)]
pub(crate) struct Leaf {
    root: Root,
    path: JsonPath,
    number: usize,
}

impl Leaf {
    /// Returns the path from the root of the payload.
    fn place(&self, object: &JsonPath) -> JsonPath {
        match self.root {
            Root::Record => object.join(&self.path),
            Root::Event => self.path.clone(),
        }
    }
}

/// Returns what stands at a path of a field.
pub(crate) fn leaf_of(leaves: &[Leaf], root: Root, path: &JsonPath, scanned: &Scanned<'_>) -> Value {
    let leaf = leaves.iter().find(|leaf| leaf.root == root && leaf.path == *path);
    leaf.map_or(Value::Missing, |leaf| scanned.value(leaf.number))
}

/// Takes the paths of a field into a scan, and returns them with their numbers.
pub(crate) fn leaves(field: &FieldShape, object: &JsonPath, paths: &mut PathSet) -> Vec<Leaf> {
    let mut leaves: Vec<Leaf> = Vec::new();
    let mut want = |root: Root, path: &JsonPath| {
        if !leaves.iter().any(|known| known.root == root && known.path == *path) {
            let mut leaf = Leaf { root, path: path.clone(), number: 0 };
            leaf.number = paths.insert(&leaf.place(object));
            leaves.push(leaf);
        }
    };
    if let Shape::Money { amount, currency, instead, .. } = &field.shape {
        for (amount, currency) in std::iter::once((amount, currency)).chain(instead.iter().map(|(a, b)| (a, b))) {
            want(Root::Record, amount);
            want(Root::Record, currency);
        }
    }
    for source in &field.from {
        want(Root::of(source), &source.path);
        if let Some(when) = &source.when {
            reads::answer_paths(when, &mut |path| want(Root::Record, path));
        }
    }
    leaves
}
