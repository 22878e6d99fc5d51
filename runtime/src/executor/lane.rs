//! The runs that want to speak with one service, or one server that runs have named: their order, and its health.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::bounds::Bounds;
use super::fair::Fair;
use super::job::Job;
use crate::connection::{Cause, Circuit, CircuitState, Hold, Open, Target, earlier};
use crate::journal::Withheld;
use crate::run::repeatable;

/// A service that asks for more patience is asked again after this.
const MOST_PATIENCE: Duration = Duration::from_secs(15 * 60);
/// Runs wait so long in memory for a service that asked for patience; where it asked for more they wait in the store.
const PATIENCE_IN_MEMORY: Duration = Duration::from_secs(30);
/// A server that did not answer, and that nobody wants any more, is forgotten so long after it would be tried.
const KNOWN: Duration = Duration::from_secs(3600);

/// The runs of one target.
#[derive(Debug, Default)]
pub(super) struct Lane {
    jobs: Fair<Job>,
    pub(super) in_flight: usize,
    /// Runs that wait in the store until the connection allows them to go on, by their numbers.
    parked: BTreeMap<u64, Parked>,
    seqs: HashMap<String, u64>,
    /// Runs that may go on, and are to be loaded.
    waking: Fair<String>,
    pub(super) circuit: Circuit,
    paused_until: Option<Timestamp>,
    /// How it is doing is to be written.
    pub(super) is_new: bool,
    /// The store has something of it.
    noted: bool,
    /// When it was wanted last, counted in uses of all.
    pub(super) used: u64,
}

/// A run that waits in the store.
#[derive(Debug)]
pub(super) struct Parked {
    pub(super) run: String,
    flow: String,
    pub(super) cause: Cause,
    /// What it would send may be sent again, and how often it was tried: to choose who tries the connection.
    once: bool,
    attempts: usize,
}

impl Parked {
    pub(super) fn of(job: &Job, cause: Cause) -> Self {
        Self {
            run: job.run.id().to_owned(),
            flow: job.flow.id.clone(),
            cause,
            once: !job.run.call(&job.flow).is_some_and(|call| repeatable(&job.flow, call)),
            attempts: job.run.current().map_or(0, |step| step.attempts.len()),
        }
    }
}

/// What a lane can do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Readiness {
    /// A request can be sent.
    Ready,
    /// Runs wait in the store.
    Parks(Hold),
    /// Not before this instant.
    NotBefore(Timestamp),
    /// Not before a request that is under way has its answer.
    Busy,
}

/// What outlives the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    open: Option<Open>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    paused_until: Option<Timestamp>,
}

impl Lane {
    pub(super) fn push(&mut self, job: Job) {
        self.jobs.push(&job.flow.id.clone(), job);
    }

    pub(super) fn pop(&mut self) -> Option<Job> {
        self.jobs.pop()
    }

    pub(super) fn queued(&self) -> usize {
        self.jobs.len()
    }

    /// What a step could do now: `target` says which rate it counts with.
    pub(super) fn readiness(&mut self, target: &Target, bounds: &Bounds, now: Timestamp) -> Readiness {
        self.circuit.steady(now);
        if let Some(open) = self.circuit.open() {
            // One request tells whether it works again; all others wait for its answer.
            if !self.circuit.may_probe(now) {
                return Readiness::Parks(Hold { cause: open.cause, reason: open.error.clone(), until: open.next_probe.max(now) });
            }
        }
        if let Some(until) = self.paused(now) {
            let long = later(now, PATIENCE_IN_MEMORY);
            let reason = "the service asked for fewer requests".to_owned();
            return if until > long {
                Readiness::Parks(Hold { cause: Cause::Paused, reason, until })
            } else {
                Readiness::NotBefore(until)
            };
        }
        match bounds.rate(target).free_at(now) {
            Some(free) => Readiness::NotBefore(free),
            None if bounds.free() == 0 => Readiness::Busy,
            None => Readiness::Ready,
        }
    }

    /// Tells whether nothing would be lost but what is known of how it is doing.
    pub(super) fn is_idle(&self) -> bool {
        self.jobs.is_empty() && self.in_flight == 0 && self.parked.is_empty() && self.waking.is_empty()
    }

    /// Tells whether there is nothing to know: it answers, or was last tried long ago.
    pub(super) fn is_forgotten(&self, now: Timestamp) -> bool {
        let knows = match self.circuit.open() {
            Some(open) => later(open.next_probe, KNOWN) > now,
            None => self.circuit.failures() > 0,
        };
        self.is_idle() && !knows && self.paused(now).is_none()
    }

    /// Tells whether the store has something of it that is to be removed with it.
    pub(super) fn is_noted(&self) -> bool {
        self.noted || self.is_new
    }

    /// The clock was set back by so much: pauses are as long as they were.
    pub(super) fn set_back(&mut self, by: SignedDuration, now: Timestamp) {
        self.circuit.set_back(by, now);
        self.paused_until = self.paused_until.map(|until| earlier(until, by).min(later(now, MOST_PATIENCE)));
        self.is_new |= self.circuit.open().is_some() || self.paused_until.is_some();
    }

    /// Until when the service asked for patience. A clock that went back makes it no longer than it can be.
    pub(super) fn paused(&self, now: Timestamp) -> Option<Timestamp> {
        self.paused_until.map(|until| until.min(later(now, MOST_PATIENCE))).filter(|until| *until > now)
    }

    /// The service wants fewer requests.
    pub(super) fn slow_down(&mut self, now: Timestamp, wait: Option<Duration>) {
        let until = later(now, wait.unwrap_or(Duration::from_secs(1)).min(MOST_PATIENCE));
        let until = self.paused(now).map_or(until, |already| already.max(until));
        self.paused_until = Some(until);
        // What is over before a daemon has started again is not worth a write.
        self.is_new |= until > later(now, Duration::from_secs(2));
    }

    /// Notes a run that waits in the store.
    pub(super) fn park(&mut self, seq: u64, parked: Parked) {
        self.seqs.insert(parked.run.clone(), seq);
        self.parked.insert(seq, parked);
    }

    pub(super) fn forget(&mut self, run: &str) {
        if let Some(seq) = self.seqs.remove(run) {
            self.parked.remove(&seq);
        }
    }

    /// What runs were thought to wait for was another cause: it is that which lets them go.
    pub(super) fn wait_for_another(&mut self, from: &[Cause], to: Cause) {
        self.parked.values_mut().filter(|parked| from.contains(&parked.cause)).for_each(|parked| parked.cause = to);
    }

    /// Lets runs go on that waited for one of these causes.
    pub(super) fn let_go(&mut self, causes: &[Cause]) -> usize {
        let free: Vec<u64> =
            self.parked.iter().filter(|(_, parked)| causes.contains(&parked.cause)).map(|(seq, _)| *seq).collect();
        for seq in &free {
            if let Some(parked) = self.parked.remove(seq) {
                self.seqs.remove(&parked.run);
                self.waking.push(&parked.flow, parked.run);
            }
        }
        free.len()
    }

    /// Returns the next run that may go on.
    pub(super) fn next_waking(&mut self) -> Option<String> {
        self.waking.pop()
    }

    pub(super) fn has_waking(&self) -> bool {
        !self.waking.is_empty()
    }

    /// Returns the parked run to try the connection with, where nobody wants to anyway: rather one whose request may be
    /// repeated than one that is lost with its answer, and rather one that has not failed yet than one that may be the only
    /// one that fails.
    pub(super) fn probe(&self, causes: &[Cause]) -> Option<String> {
        if !self.jobs.is_empty() || !self.waking.is_empty() {
            return None;
        }
        let waiting = self.parked.iter().filter(|(_, parked)| causes.contains(&parked.cause));
        waiting.min_by_key(|(seq, parked)| (parked.once, parked.attempts, **seq)).map(|(_, parked)| parked.run.clone())
    }

    /// Returns the next instant at which something may be possible that is not now.
    pub(super) fn next(&mut self, target: &Target, bounds: &Bounds, now: Timestamp) -> Option<Timestamp> {
        if let Some(open) = self.circuit.open().cloned() {
            let waits = !self.parked.is_empty() || !self.jobs.is_empty();
            if open.probing || open.next_probe > now {
                return (waits && !open.probing).then_some(open.next_probe);
            }
            // It is time for a probe: what it still waits for is the rate, or the patience that the service asked for.
        }
        if self.jobs.is_empty() {
            return None;
        }
        match self.readiness(target, bounds, now) {
            Readiness::NotBefore(at) => Some(at),
            Readiness::Ready | Readiness::Parks(_) | Readiness::Busy => None,
        }
    }

    /// Returns what outlives the daemon; `None` where there is nothing to say.
    pub(super) fn note(&mut self, now: Timestamp) -> Option<Note> {
        let note = Note { open: self.circuit.open().cloned(), paused_until: self.paused(now) };
        self.noted = note.open.is_some() || note.paused_until.is_some();
        self.noted.then_some(note)
    }

    pub(super) fn recall(&mut self, note: Note, now: Timestamp) {
        self.noted = true;
        if let Some(open) = note.open {
            self.circuit.recall(open, now);
        }
        // Whatever the clock did meanwhile.
        self.paused_until = note.paused_until.map(|until| until.min(later(now, MOST_PATIENCE)));
    }

    pub(super) fn parked(&self) -> usize {
        self.parked.len() + self.waking.len()
    }

    pub(super) fn circuit_state(&self) -> CircuitState {
        match self.circuit.open() {
            None => CircuitState::Closed { failures: self.circuit.failures() },
            Some(open) => CircuitState::Open {
                cause: open.cause,
                since: open.since,
                error: open.error.clone(),
                until: open.next_probe,
                probing: open.probing,
            },
        }
    }
}

/// Returns what a run is told that waits in the store.
pub(super) fn withheld(hold: &Hold, until: Option<Timestamp>) -> Withheld {
    Withheld { cause: hold.cause, reason: hold.reason.clone(), until }
}

pub(super) fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}
