//! What is computed once per flow.

use std::collections::HashMap;
use std::sync::Arc;

use flow_plan::{FieldShape, Flow, JsonPath, Shape, StartKind, TriggerUse};

use super::program::{Compiler, Op};
use super::reads;
use crate::clock;
use crate::store::BookKey;

/// A flow with what is computed once of it.
#[derive(Debug, Clone)]
pub(crate) struct Compiled {
    pub(super) flow: Arc<Flow>,
    pub(super) parts: Arc<Parts>,
}

/// What is computed once per flow.
#[derive(Debug)]
pub(super) struct Parts {
    /// For each trigger.
    uses: Box<[Use]>,
    /// The paths of the raw payload that the flow reads.
    pub(super) raw: Box<[JsonPath]>,
}

/// What is computed once per trigger of a flow.
#[derive(Debug)]
pub(super) struct Use {
    /// The numbers of the fields, by slot; `None` where the trigger's events have no such field.
    pub(super) fields: Arc<[Option<u32>]>,
    /// Under this name guard and key are the same for all flows.
    pub(super) identity: Arc<str>,
    /// The flow's condition over the trigger's events.
    pub(super) filter: Arc<[Op]>,
    /// What has to be known of the awaited events, where the trigger is an absence.
    pub(super) watch: Option<Box<Watch>>,
}

/// What is computed once for an event that a flow waits for in vain.
#[derive(Debug)]
pub(super) struct Watch {
    fields: Arc<[Option<u32>]>,
    /// Which events are awaited: the trigger's own condition, and the flow's.
    pub(super) condition: Arc<[Op]>,
    /// The row that says how long it has been silent.
    pub(super) row: BookKey,
}

/// The fields of all flows, numbered, and the names of triggers. It only grows.
#[derive(Debug, Default)]
pub(super) struct Fields {
    by_name: HashMap<String, Vec<u32>>,
    shapes: Vec<Arc<FieldShape>>,
    names: HashMap<String, Arc<str>>,
}

impl Compiled {
    pub(super) fn new(flow: &Arc<Flow>, known: &mut Fields) -> Self {
        let mut uses: Vec<Use> = Vec::with_capacity(flow.triggers.len());
        for used in &flow.triggers {
            let fields: Arc<[Option<u32>]> = flow.reads_of(used).map(|field| field.map(|field| known.number(field))).collect();
            // Most triggers of a flow read its slots in the same way.
            let same = uses.iter().find(|other| other.fields == fields);
            let (fields, filter) = match same {
                Some(same) => (Arc::clone(&same.fields), Arc::clone(&same.filter)),
                None => {
                    let mut filter = Vec::new();
                    if let Some(condition) = &flow.filter {
                        Compiler { known, fields: &fields }.condition(condition, &mut filter);
                    }
                    (fields, filter.into())
                }
            };
            let watch = Watch::of(flow, used, known).map(Box::new);
            uses.push(Use { fields, identity: known.name(&used.identity()), filter, watch });
        }
        let parts = Parts { uses: uses.into(), raw: reads::raw_paths(flow).into() };
        Self { flow: Arc::clone(flow), parts: Arc::new(parts) }
    }

    pub(super) fn part(&self, used: usize) -> Option<&Use> {
        self.parts.uses.get(used)
    }

    /// The numbers of the fields that a trigger's events are read for, by slot.
    pub(super) fn fields(&self, used: usize, watches: bool) -> &[Option<u32>] {
        let fields = self.part(used).map(|part| match &part.watch {
            Some(watch) if watches => &watch.fields,
            _ => &part.fields,
        });
        fields.map_or(&[], |fields| fields)
    }
}

impl Fields {
    /// Returns the number of a field. Two fields are one where all that reading them needs is equal.
    fn number(&mut self, field: &FieldShape) -> u32 {
        let alike = self.by_name.entry(field.name.clone()).or_default();
        let known = alike.iter().find(|number| self.shapes.get(**number as usize).is_some_and(|shape| **shape == *field));
        if let Some(known) = known {
            return *known;
        }
        let next = u32::try_from(self.shapes.len()).unwrap_or(u32::MAX);
        alike.push(next);
        self.shapes.push(Arc::new(field.clone()));
        next
    }

    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        let known: Arc<str> = name.into();
        self.names.insert(name.to_owned(), Arc::clone(&known));
        known
    }

    /// Returns a field by its number.
    pub(super) fn field(&self, number: u32) -> Option<&Arc<FieldShape>> {
        self.shapes.get(number as usize)
    }

    /// Returns how a field is read.
    pub(super) fn shape(&self, number: u32) -> Option<&Shape> {
        self.field(number).map(|field| &field.shape)
    }
}

/// Returns what a trigger waits for in vain.
pub(super) fn awaited(used: &TriggerUse) -> Option<&TriggerUse> {
    match &used.kind {
        StartKind::Absence(rule) => Some(&rule.awaited),
        StartKind::Event | StartKind::Schedule(_) | StartKind::State(_) => None,
    }
}

impl Watch {
    fn of(flow: &Flow, used: &TriggerUse, known: &mut Fields) -> Option<Self> {
        let StartKind::Absence(rule) = &used.kind else { return None };
        let fields: Arc<[Option<u32>]> =
            flow.reads_of(&rule.awaited).map(|field| field.map(|field| known.number(field))).collect();
        let mut condition = Vec::new();
        let compiler = Compiler { known, fields: &fields };
        compiler.guard(rule.awaited.guard.as_ref(), &mut condition);
        if let Some(filter) = &rule.filter {
            compiler.condition(filter, &mut condition);
        }
        let row = BookKey::new(clock::ABSENCE, flow.id.as_str(), clock::absence_key(rule));
        Some(Self { fields, condition: condition.into(), row })
    }
}

/// A flow that listens by one of its triggers.
#[derive(Debug, Clone)]
pub(super) struct Listener {
    pub(super) flow: Compiled,
    /// Where the flow stands among all.
    pub(super) label: u64,
    /// The number of its trigger's identity in the group.
    pub(super) identity: u32,
    /// The place of the trigger in the flow.
    pub(super) used: u16,
    /// It does not start the flow: it is what the flow waits for in vain.
    pub(super) watches: bool,
}

impl Listener {
    /// Returns the listeners of a flow: its triggers, and what they wait for in vain.
    pub(super) fn of(flow: &Compiled, label: u64) -> impl Iterator<Item = Listener> {
        let listener = move |used: usize, watches: bool| {
            // INVARIANT: the compiler bounds the alternatives of a `when` far below.
            let used = u16::try_from(used).unwrap_or(u16::MAX);
            Listener { flow: flow.clone(), label, identity: 0, used, watches }
        };
        let watched = flow.flow.triggers.iter().enumerate().filter(|(_, used)| awaited(used).is_some());
        let own = 0..flow.flow.triggers.len();
        own.map(move |used| listener(used, false)).chain(watched.map(move |(used, _)| listener(used, true)))
    }

    pub(super) fn trigger(&self) -> Option<&TriggerUse> {
        let used = self.flow.flow.triggers.get(usize::from(self.used))?;
        if self.watches { awaited(used) } else { Some(used) }
    }

    pub(super) fn part(&self) -> Option<&Use> {
        self.flow.part(usize::from(self.used))
    }

    /// The numbers of the fields that it reads, by slot.
    pub(super) fn fields(&self) -> &[Option<u32>] {
        self.flow.fields(usize::from(self.used), self.watches)
    }

    pub(super) fn types(&self) -> &[String] {
        self.trigger().map_or(&[], |used| &used.types)
    }

    pub(super) fn is_of_type(&self, name: &str) -> bool {
        self.types().is_empty() || self.types().iter().any(|known| known == name)
    }

    /// Its place among all listeners.
    pub(super) fn order(&self) -> (u64, u16) {
        (self.label, self.used)
    }
}
