//! The runs that want to speak with one connection: their order, its limit, and its health.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use super::job::Job;
use crate::engine::ConnectionState;

/// After so many failures in a row one request at a time is sent, with pauses.
const FAILURES: u32 = 5;
/// The longest pause after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A broken connection is tried after this, then after twice as long, and so on.
const FIRST_PROBE: Duration = Duration::from_secs(30);
/// A broken connection is tried at least so often.
const LAST_PROBE: Duration = Duration::from_secs(15 * 60);
/// A service that asks for more patience is asked again after this.
const MOST_PATIENCE: Duration = Duration::from_secs(15 * 60);

/// The runs of one connection.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) jobs: VecDeque<Job>,
    pub(super) in_flight: usize,
    pub(super) parked: BTreeSet<String>,
    limit: Option<(usize, Duration)>,
    sent: VecDeque<Timestamp>,
    paused_until: Option<Timestamp>,
    failures: u32,
    broken: Option<Broken>,
}

#[derive(Debug)]
struct Broken {
    since: Timestamp,
    error: String,
    next_probe: Timestamp,
    delay: Duration,
    probing: bool,
}

/// What a lane can do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Readiness {
    /// A request can be sent.
    Ready,
    /// The connection is broken: runs park.
    Broken(String),
    /// Not before this instant.
    NotBefore(Timestamp),
    /// Not before a request that is under way has its answer.
    Busy,
}

impl Lane {
    pub(super) fn set_limit(&mut self, count: u32, per: Duration) {
        self.limit = Some((count.max(1) as usize, per));
    }

    pub(super) fn readiness(&self, now: Timestamp) -> Readiness {
        if let Some(broken) = &self.broken {
            // One request tells whether it works again; all others wait for its answer.
            let may_probe = broken.next_probe <= now && !broken.probing && self.in_flight == 0;
            return if may_probe { Readiness::Ready } else { Readiness::Broken(broken.error.clone()) };
        }
        if let Some(until) = self.paused_until.filter(|until| *until > now) {
            return Readiness::NotBefore(until);
        }
        if self.failures >= FAILURES && self.in_flight > 0 {
            return Readiness::Busy;
        }
        if let Some((count, per)) = self.limit
            && self.sent.len() >= count
            && let Some(oldest) = self.sent.get(self.sent.len() - count)
        {
            let free = later(*oldest, per);
            if free > now {
                return Readiness::NotBefore(free);
            }
        }
        Readiness::Ready
    }

    /// Counts a request that is about to be sent.
    pub(super) fn count(&mut self, now: Timestamp) {
        if let Some(broken) = &mut self.broken {
            broken.probing = true;
        }
        let Some((count, _)) = self.limit else { return };
        self.sent.push_back(now);
        while self.sent.len() > count {
            self.sent.pop_front();
        }
    }

    /// Counts a request that is no step, such as a page of a poll; or returns when it may be sent. Whether the connection
    /// works is not asked: whoever sends such requests has probes of its own.
    pub(super) fn pace(&mut self, now: Timestamp) -> Option<Timestamp> {
        if let Some(until) = self.paused_until.filter(|until| *until > now) {
            return Some(until);
        }
        let (count, per) = self.limit?;
        let free = self.sent.len().checked_sub(count).and_then(|at| self.sent.get(at)).map(|oldest| later(*oldest, per));
        if let Some(free) = free.filter(|free| *free > now) {
            return Some(free);
        }
        self.sent.push_back(now);
        while self.sent.len() > count {
            self.sent.pop_front();
        }
        None
    }

    /// The service answered as it should. Returns whether the connection was broken until now.
    pub(super) fn works(&mut self) -> bool {
        self.failures = 0;
        self.broken.take().is_some()
    }

    /// No answer, or none that says anything.
    pub(super) fn failed(&mut self, now: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES {
            let factor = 1u32.checked_shl((self.failures - FAILURES).min(6)).unwrap_or(64);
            let pause = Duration::from_secs(1).saturating_mul(factor).min(LONGEST_PAUSE);
            self.paused_until = Some(later(now, pause));
        }
        if let Some(broken) = &mut self.broken {
            broken.probing = false;
            broken.next_probe = later(now, broken.delay);
        }
    }

    /// The service wants fewer requests.
    pub(super) fn slow_down(&mut self, now: Timestamp, wait: Option<Duration>) {
        let until = later(now, wait.unwrap_or(Duration::from_secs(1)).min(MOST_PATIENCE));
        self.paused_until = Some(self.paused_until.map_or(until, |already| already.max(until)));
    }

    /// The connection does not work. Returns whether that is new.
    pub(super) fn breaks(&mut self, now: Timestamp, error: &str) -> bool {
        let delay = self.broken.as_ref().map_or(FIRST_PROBE, |broken| broken.delay.saturating_mul(2).min(LAST_PROBE));
        let since = self.broken.as_ref().map(|broken| broken.since);
        self.broken = Some(Broken {
            since: since.unwrap_or(now),
            error: error.to_owned(),
            next_probe: later(now, delay),
            delay,
            probing: false,
        });
        since.is_none()
    }

    /// A run was parked before this start: whether the connection works has to be tried.
    pub(super) fn was_broken(&mut self, now: Timestamp, error: &str) {
        if self.broken.is_none() {
            let broken = Broken { since: now, error: error.to_owned(), next_probe: now, delay: FIRST_PROBE, probing: false };
            self.broken = Some(broken);
        }
    }

    /// Lets a broken connection be tried now.
    pub(super) fn probe_at(&mut self, now: Timestamp) {
        if let Some(broken) = &mut self.broken {
            broken.next_probe = now;
            broken.delay = FIRST_PROBE;
        }
    }

    /// A run that would have tried the connection came to nothing.
    pub(super) fn probe_came_to_nothing(&mut self, now: Timestamp) {
        if let Some(broken) = &mut self.broken
            && broken.probing
        {
            broken.probing = false;
            broken.next_probe = now;
        }
    }

    /// Returns the parked run to try the connection with, where it is time for that and no run wants to anyway.
    pub(super) fn due_probe(&self, now: Timestamp) -> Option<String> {
        let broken = self.broken.as_ref()?;
        let due = broken.next_probe <= now && !broken.probing && self.in_flight == 0 && self.jobs.is_empty();
        self.parked.first().filter(|_| due).cloned()
    }

    /// Returns the next instant at which something may be possible that is not now.
    pub(super) fn next(&self, now: Timestamp) -> Option<Timestamp> {
        if let Some(broken) = &self.broken {
            // A request under way has its answer first; that it has come is told without a clock.
            let probes = !self.parked.is_empty() && !broken.probing && self.in_flight == 0;
            return probes.then_some(broken.next_probe);
        }
        match self.readiness(now) {
            Readiness::NotBefore(at) if !self.jobs.is_empty() => Some(at),
            _ => None,
        }
    }

    pub(super) fn state(&self, name: &str) -> ConnectionState {
        ConnectionState {
            name: name.to_owned(),
            queued: self.jobs.len(),
            in_flight: self.in_flight,
            parked: self.parked.len(),
            broken: self.broken.as_ref().map(|broken| (broken.since, broken.error.clone())),
            paused_until: self.paused_until,
        }
    }
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}
