//! A run in memory, with what of its journal is not written yet.

use std::sync::Arc;

use flow_plan::{Flow, Value, WaitFor};
use jiff::Timestamp;

use super::perform::AttemptScope;
use crate::connection::Target;
use crate::engine::{self, Announcement, BeforeEntry, Shared, Touched};
use crate::journal::{Awaits, Entry, What};
use crate::key::value_key;
use crate::limit;
use crate::live::Live;
use crate::run::{Effect, Run, apply, operation, replay};
use crate::store::{AwaitKind, AwaitedBy, MeterChange, RunHead, RunUpdate, StoreError, Waiting};

/// A run in memory.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) flow: Arc<Flow>,
    pub(crate) run: Run,
    pub(crate) seq: u64,
    unwritten: Vec<Entry>,
    /// What of it is to be announced.
    announcements: Vec<Announcement>,
    /// What its actions touched.
    touched: Vec<Touched>,
    /// What the store has to count with what is not written.
    pub(crate) counts: Vec<MeterChange>,
}

impl Job {
    /// Returns a job whose journal is written.
    pub(crate) fn new(flow: Arc<Flow>, run: Run, seq: u64) -> Self {
        Self { flow, run, seq, unwritten: Vec::new(), announcements: Vec::new(), touched: Vec::new(), counts: Vec::new() }
    }

    /// Applies an entry, to be written with the next [`Job::write`].
    pub(crate) fn record(&mut self, at: Timestamp, what: What) {
        let entry = Entry::new(at, what);
        let before = BeforeEntry::of(&self.run);
        let touched = self.touches(&entry);
        self.touched.extend(touched);
        apply(&self.flow, &mut self.run, &entry);
        self.unwritten.push(entry);
        let announcement = before.announcement(self, at);
        self.announcements.extend(announcement);
    }

    /// What the step at hand touches, where its operation causes events of its own service.
    fn touches(&self, entry: &Entry) -> Vec<Touched> {
        let Some(call) = self.run.call(&self.flow) else { return Vec::new() };
        match (operation(&self.flow, call), self.run.current()) {
            (Some(operation), Some(step)) if !operation.emits.is_empty() => {
                // Before an entry of its end is applied the last attempt is the one that ends.
                let sent_at = match (&entry.what, step.attempts.last()) {
                    (What::Ended { .. }, Some(attempt)) => attempt.at,
                    _ => entry.at,
                };
                engine::touched(&call.connection, operation, &step.inputs, entry, sent_at)
            }
            _ => Vec::new(),
        }
    }

    /// Returns the entries that are not written.
    pub(crate) fn unwritten(&self) -> &[Entry] {
        &self.unwritten
    }

    /// Writes what is not written.
    pub(crate) async fn write(&mut self, shared: &Shared) -> Result<(), StoreError> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        let mut head = head_of(&self.flow, &self.run, self.seq);
        // Subscribed with this write; the events before it are looked through behind it.
        let begins_to_await = |entry: &Entry| matches!(&entry.what, What::Waits(waits) if waits.awaits.is_some());
        head.waits.attention = head.waits.awaits.is_some() && self.unwritten.iter().any(begins_to_await);
        let wake_at = head.wake_at;
        let events = engine::events_of(shared, self, &self.announcements);
        let depth = self.depth(shared);
        let touched = engine::changes_of_causes(shared, &self.touched, self.run.id(), depth, shared.world.clock.now())?;
        let written = RunUpdate { head, entries: self.unwritten.clone() };
        engine::update(shared, written, events, touched, self.counts.clone()).await?;
        self.unwritten.clear();
        self.counts.clear();
        self.touched.clear();
        self.announcements.clear();
        if let Some(at) = wake_at {
            shared.queue().timer_at(at);
        }
        Ok(())
    }

    /// Returns how deep its event stands in the chain of causes, as far as is known by now.
    fn depth(&self, shared: &Shared) -> u16 {
        let Some(event) = self.run.start.as_ref().map(|start| &start.event).filter(|_| !self.touched.is_empty()) else {
            return 0;
        };
        engine::turned_out(shared, event.seq).map_or(event.depth, |(depth, _)| depth.max(event.depth))
    }

    /// Returns the connection of the call that it stands at, or "".
    pub(crate) fn connection(&self) -> &str {
        self.run.call(&self.flow).map_or("", |call| &call.connection)
    }
}

impl Job {
    /// Returns what the call that it stands at goes to.
    pub(crate) fn target(&self, live: Option<&Live>) -> Target {
        let Some(call) = self.run.call(&self.flow) else { return Target::service("") };
        let request = operation(&self.flow, call).map(|operation| &operation.request);
        // Most say nothing of their own.
        let request = request.filter(|request| request.via.is_some() || request.address.is_some());
        let connection = live.and_then(|live| live.connections.get(&call.connection));
        let (Some(request), Some(connection)) = (request, connection) else { return Target::service(&call.connection) };
        let pending = self.run.pending();
        let (inputs, key): (&[Value], _) = match (pending.first(), self.run.current()) {
            (Some(Effect::Begin(begun)), _) => (&begun.inputs, begun.key.as_str()),
            (_, Some(step)) => (&step.inputs, step.key.as_str()),
            (_, None) => (&[], ""),
        };
        let now = self.run.started_at.unwrap_or_default();
        Target::of(request, connection, &AttemptScope { job: self, inputs, key, now, sent_at: now })
    }
}

/// Loads a run under the plan that it began with.
pub(crate) fn load(shared: &Shared, head: &RunHead) -> Result<Job, StoreError> {
    let flow = shared.plan(&head.flow, &head.plan)?;
    let entries = shared.store.journal(&head.id)?;
    let run = replay(&flow, &entries);
    Ok(Job::new(flow, run, head.seq))
}

fn awaited_by(wait: &WaitFor, awaits: &Awaits) -> AwaitedBy {
    let used = &wait.trigger;
    let keyed = wait.key.as_ref().and_then(|(slot, _)| wait.reads.get(usize::from(*slot))).zip(awaits.key.as_ref());
    AwaitedBy {
        connection: used.connection.clone(),
        source: used.source.clone(),
        kind: AwaitKind { trigger: used.name.clone(), types: used.types.clone(), field: keyed.map(|(field, _)| field.clone()) },
        key: keyed.map(|(_, value)| value_key(std::slice::from_ref(value))),
    }
}

/// Returns what lists and indexes need of a run.
pub(crate) fn head_of(flow: &Flow, run: &Run, seq: u64) -> RunHead {
    let start = run.start.as_deref();
    let event = start.map(|start| &start.event);
    RunHead {
        id: run.id().to_owned(),
        seq,
        flow: flow.id.clone(),
        plan: flow.hash.clone(),
        event: event.map_or(0, |event| event.seq),
        event_id: event.map(|event| event.id.clone()).unwrap_or_default(),
        connection: event.map(|event| event.connection.clone()).unwrap_or_default(),
        trigger: start.map(|start| start.trigger.clone()).unwrap_or_default(),
        status: run.status,
        death: run.death,
        reason: run.reason.clone(),
        started_at: run.started_at.unwrap_or_default(),
        ended_at: run.ended_at,
        wake_at: run.wake_at(),
        entries: run.entries,
        replay: start.filter(|start| start.replayed).map(|start| start.replay),
        waits: Waiting {
            limited: limit::holds_runs(&flow.limits),
            held: run.is_held(),
            attention: false,
            awaits: run.awaits(flow).map(|(wait, awaits)| Box::new(awaited_by(wait, awaits))),
        },
    }
}
