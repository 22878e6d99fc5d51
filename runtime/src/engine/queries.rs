//! What can be asked.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value as Json, json};

use super::{Engine, turned_out};
use crate::connection::ConnectionState;
use crate::executor;
use crate::run::{Status, to_json};
use crate::store::{EventQuery, RunHead, RunQuery, StoreError, StoredEvent};
use flow_functions::rfc3339;

/// Of a chain of causes no more is shown.
const LONGEST_CHAIN: usize = 32;

/// What has happened since the start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) events: AtomicU64,
    pub(crate) duplicates: AtomicU64,
    pub(crate) runs: AtomicU64,
    pub(crate) done: AtomicU64,
    pub(crate) stopped: AtomicU64,
    pub(crate) dead: AtomicU64,
    pub(crate) cancelled: AtomicU64,
    pub(crate) attempts: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) panics: AtomicU64,
    pub(crate) misfits: AtomicU64,
}

/// How the engine is doing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Stats {
    /// Events taken in since the start.
    pub events: u64,
    /// Events that were known already.
    pub duplicates: u64,
    /// Runs started.
    pub runs_started: u64,
    /// Runs that came to their end.
    pub runs_done: u64,
    /// Runs that their flow stopped.
    pub runs_stopped: u64,
    /// Runs that died.
    pub runs_dead: u64,
    /// Runs that were cancelled.
    pub runs_cancelled: u64,
    /// Requests sent for steps.
    pub attempts: u64,
    /// Attempts without success.
    pub failures: u64,
    /// Panics contained: bugs of ours.
    pub panics: u64,
    /// Events of which something did not fit.
    pub misfits: u64,
    /// Runs that wait for their turn.
    pub queued: u64,
    /// Steps that are performed.
    pub in_flight: u64,
    /// Runs in the store that have not ended.
    pub active: u64,
    /// Dead runs in the store.
    pub dead: u64,
}

/// Whoever asks waits no longer for what was accepted just now: for as long as a disk that others write to may hold up a write.
const PATIENCE: Duration = Duration::from_secs(10);

impl Engine {
    /// Returns when all that was answered before can be read; at the latest after a while, where the disk is slow.
    pub async fn caught_up(&self) {
        if !self.shared.catch_up(PATIENCE).await {
            tracing::debug!("what was accepted just now is not sorted into the store yet");
        }
    }

    /// Returns events, newest first.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn events(&self, query: &EventQuery) -> Result<Vec<StoredEvent>, StoreError> {
        self.shared.store.events(query)
    }

    /// Returns the events with the service's own id, or with the store's number.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn event(&self, id: &str) -> Result<Vec<StoredEvent>, StoreError> {
        let mut found = Vec::new();
        for (_, seq) in self.shared.store.event_seqs(id)? {
            found.extend(self.shared.store.event(seq)?);
        }
        if found.is_empty()
            && let Ok(seq) = id.parse()
        {
            found.extend(self.shared.store.event(seq)?);
        }
        Ok(found)
    }

    /// Returns the ids of the runs that an event started.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn runs_of_event(&self, seq: u64) -> Result<Vec<String>, StoreError> {
        self.shared.store.runs_of_event(seq)
    }

    /// Returns runs, newest first.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn runs(&self, query: &RunQuery) -> Result<Vec<RunHead>, StoreError> {
        self.shared.store.runs(query)
    }

    /// Returns the dead runs, newest first.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn dead(&self, query: &RunQuery) -> Result<Vec<RunHead>, StoreError> {
        self.shared.store.runs(&RunQuery { status: Some(Status::Dead), ..query.clone() })
    }

    /// Returns the head of a run.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn run_head(&self, id: &str) -> Result<Option<RunHead>, StoreError> {
        self.shared.store.run(id)
    }

    /// Returns a run as design.md §4.5 fixes it; personal values are shortened unless `personal` is set.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn run(&self, id: &str, personal: bool) -> Result<Option<Json>, StoreError> {
        let Some(head) = self.shared.store.run(id)? else { return Ok(None) };
        let job = executor::load(&self.shared, &head)?;
        Ok(Some(to_json(&job.flow, &job.run, personal)))
    }

    /// Returns the runs that stand before a run in the chain of causes, the nearest first.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn causes(&self, run: &str) -> Result<Vec<Json>, StoreError> {
        let mut chain = Vec::new();
        let Some(head) = self.shared.store.run(run)? else { return Ok(chain) };
        let mut event = self.shared.store.event(head.event)?;
        let cause_of = |event: StoredEvent| event.cause.or_else(|| turned_out(&self.shared, event.seq)?.1);
        while let Some(cause) = event.and_then(cause_of) {
            let Some(head) = self.shared.store.run(&cause)?.filter(|_| chain.len() < LONGEST_CHAIN) else { break };
            chain.push(json!({ "run": head.id, "flow": head.flow, "event": head.event_id, "connection": head.connection }));
            event = self.shared.store.event(head.event)?;
        }
        Ok(chain)
    }

    /// Returns how the engine is doing.
    pub fn stats(&self) -> Stats {
        let counters = &self.shared.counters;
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (active, dead) = self.shared.store.counts().unwrap_or_else(|error| {
            tracing::warn!(%error, "runs could not be counted");
            (0, 0)
        });
        let queue = self.shared.queue();
        Stats {
            events: get(&counters.events),
            duplicates: get(&counters.duplicates),
            runs_started: get(&counters.runs),
            runs_done: get(&counters.done),
            runs_stopped: get(&counters.stopped),
            runs_dead: get(&counters.dead),
            runs_cancelled: get(&counters.cancelled),
            attempts: get(&counters.attempts),
            failures: get(&counters.failures),
            panics: get(&counters.panics),
            misfits: get(&counters.misfits),
            queued: queue.queued() as u64,
            in_flight: queue.in_flight() as u64,
            active,
            dead,
        }
    }

    /// Returns how many runs were started since the start.
    pub(crate) fn stats_of_runs(&self) -> u64 {
        self.shared.counters.runs.load(Ordering::Relaxed)
    }

    /// Returns what starts flows beside events, and when next: by flow, one object for each schedule, absence, state and
    /// expectation.
    pub fn clock_starts(&self) -> BTreeMap<String, Vec<Json>> {
        self.shared.clockwork.starts()
    }

    /// Returns what is known of the states that live flows wait for: by connection, one object for each.
    pub fn states(&self) -> BTreeMap<String, Vec<Json>> {
        self.shared.clockwork.states(self.shared.world.clock.now())
    }

    /// Returns how the connections are doing that are live, or that runs wait for.
    pub fn connections(&self) -> Vec<ConnectionState> {
        self.shared.queue().states(self.shared.world.clock.now())
    }
}

impl RunHead {
    /// Returns the JSON of a list: the run without its steps.
    pub fn to_json(&self) -> Json {
        json!({
            "id": self.id,
            "flow": self.flow,
            "plan": self.plan,
            "event": self.event_id,
            "connection": self.connection,
            "trigger": self.trigger,
            "status": self.status.as_str(),
            "reason": self.reason,
            "started_at": rfc3339(self.started_at),
            "ended_at": self.ended_at.map(rfc3339),
            "retry_at": self.wake_at.map(rfc3339),
            "held": self.waits.held,
            "replay": self.replay,
        })
    }
}

impl StoredEvent {
    /// Returns the JSON of the API, with the payload where it is asked for: it may hold personal data.
    pub fn to_json(&self, with_payload: bool) -> Json {
        let mut json = json!({
            "id": self.id,
            "seq": self.seq,
            "connection": self.connection,
            "type": self.event_type,
            "triggers": self.triggers,
            "occurred_at": self.occurred_at.map(rfc3339),
            "received_at": rfc3339(self.received_at),
            "via": self.via,
            "origin": self.origin,
        });
        if let Some(object) = json.as_object_mut() {
            if self.depth > 0 {
                object.insert("depth".to_owned(), json!(self.depth));
            }
            object.extend(self.cause.iter().map(|run| ("caused_by".to_owned(), json!(run))));
            if !self.misfits.is_empty() {
                object.insert("misfits".to_owned(), json!(self.misfits));
            }
        }
        if let (true, Some(object)) = (with_payload, json.as_object_mut()) {
            let payload = crate::json::read(&self.payload).unwrap_or(Json::Null);
            object.insert("payload".to_owned(), payload);
        }
        json
    }
}
