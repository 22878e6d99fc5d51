//! Who has a turn next.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;

use super::job::Job;
use super::lane::{Lane, Readiness};
use crate::engine::ConnectionState;
use crate::live::Live;

/// The runs in memory, per connection.
#[derive(Debug)]
pub(crate) struct Queue {
    concurrency: usize,
    lanes: BTreeMap<String, Lane>,
    /// Runs that are in memory: nobody else loads them.
    claimed: HashSet<String>,
    /// The lane that is asked first; it goes round.
    first: usize,
    in_flight: usize,
    next_timer: Option<Timestamp>,
    timers_known: bool,
    /// A timer was due of a run that somebody had claimed.
    missed_timer: bool,
    /// What is too old is being removed.
    pub(crate) pruning: bool,
    /// Events are being offered to runs that wait.
    pub(crate) offering: bool,
    /// Not before this, after it failed.
    pub(crate) offer_from: Option<Timestamp>,
    /// Runs that nobody performs are not looked for before this, after the store failed.
    pub(crate) rescan_from: Option<Timestamp>,
    /// Runs that changed in the store while somebody had claimed them.
    noted: HashSet<String>,
    /// One of them was given back.
    look_again: bool,
    /// The clock is being looked at, or is about to be.
    pub(crate) clock_works: bool,
    /// Requests that are no steps, such as those for states.
    pub(crate) background: usize,
}

/// A run with the right to perform one step.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) job: Job,
    pub(crate) lane: String,
    /// The connection is broken: the run parks.
    pub(crate) broken: Option<String>,
}

impl Queue {
    pub(crate) fn new(concurrency: usize) -> Self {
        Self {
            concurrency: concurrency.max(1),
            lanes: BTreeMap::new(),
            claimed: HashSet::new(),
            first: 0,
            in_flight: 0,
            next_timer: None,
            timers_known: false,
            missed_timer: false,
            pruning: false,
            offering: false,
            offer_from: None,
            rescan_from: None,
            noted: HashSet::new(),
            look_again: false,
            clock_works: false,
            background: 0,
        }
    }

    /// Claims a run for the caller; `false` where somebody has it.
    pub(crate) fn claim(&mut self, run: &str) -> bool {
        self.claimed.insert(run.to_owned())
    }

    /// Claims a run that can go on; where somebody has it, it is looked at again when it is given back.
    pub(crate) fn claim_or_note(&mut self, run: &str) -> bool {
        let claimed = self.claim(run);
        if !claimed {
            self.noted.insert(run.to_owned());
        }
        claimed
    }

    /// Tells whether a run was given back that had changed meanwhile: the store says how it goes on.
    pub(crate) fn look_again(&mut self) -> bool {
        std::mem::take(&mut self.look_again)
    }

    /// Gives a run back.
    pub(crate) fn release(&mut self, run: &str) {
        self.claimed.remove(run);
        self.look_again |= self.noted.remove(run);
        // Its timer may have come while it was claimed.
        if std::mem::take(&mut self.missed_timer) {
            self.timers_known = false;
        }
    }

    /// Returns how many runs are in memory.
    pub(crate) fn claimed(&self) -> usize {
        self.claimed.len()
    }

    pub(crate) fn push(&mut self, job: Job) {
        self.lanes.entry(job.connection().to_owned()).or_default().jobs.push_back(job);
    }

    pub(crate) fn queued(&self) -> usize {
        self.lanes.values().map(|lane| lane.jobs.len()).sum()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Tells whether everything waits for an instant to come, or for somebody.
    pub(crate) fn is_idle(&self) -> bool {
        let elsewhere = self.pruning || self.offering || self.clock_works || self.background > 0;
        !elsewhere && self.in_flight == 0 && self.claimed.len() == self.queued()
    }

    pub(crate) fn set_limits(&mut self, live: &Live) {
        for (name, lane) in &mut self.lanes {
            if let Some(limit) = live.connections.get(name).and_then(|connection| connection.plan.api.limit.as_ref()) {
                lane.set_limit(limit.count, Duration::from_millis(limit.per_ms));
            }
        }
    }

    /// Counts a request that is no step against the limit of its connection; or returns when it may be sent.
    pub(crate) fn pace(&mut self, connection: &str, limit: (u32, Duration), now: Timestamp) -> Option<Timestamp> {
        let lane = self.lane(connection);
        lane.set_limit(limit.0, limit.1);
        lane.pace(now)
    }

    /// Hands out all turns that are possible now, going round the lanes.
    pub(crate) fn turns(&mut self, now: Timestamp) -> Vec<Turn> {
        let mut turns = Vec::new();
        let names: Vec<String> = self.lanes.keys().cloned().collect();
        if names.is_empty() {
            return turns;
        }
        self.first = (self.first + 1) % names.len();
        loop {
            let before = turns.len();
            for at in 0..names.len() {
                let name = &names[(self.first + at) % names.len()];
                turns.extend(self.turn(name, now));
            }
            if turns.len() == before {
                return turns;
            }
        }
    }

    fn turn(&mut self, name: &str, now: Timestamp) -> Option<Turn> {
        let free = self.concurrency.saturating_sub(self.in_flight);
        let lane = self.lanes.get_mut(name).filter(|lane| !lane.jobs.is_empty())?;
        // A lane leaves a quarter of what it could have to others, and each lane has one turn whatever others do: so a
        // connection that hangs takes no turn from one that works.
        let share = (lane.in_flight + free).saturating_mul(3).div_ceil(4);
        if lane.in_flight > 0 && (free == 0 || lane.in_flight >= share) {
            return None;
        }
        let broken = match lane.readiness(now) {
            Readiness::Ready => None,
            Readiness::Broken(error) => Some(error),
            Readiness::NotBefore(_) | Readiness::Busy => return None,
        };
        let job = lane.jobs.pop_front()?;
        if broken.is_none() {
            lane.count(now);
        }
        lane.in_flight += 1;
        self.in_flight += 1;
        Some(Turn { job, lane: name.to_owned(), broken })
    }

    /// Lets a run keep its turn for one more step of the same lane, where nobody else waits.
    pub(crate) fn keep_turn(&mut self, name: &str, now: Timestamp) -> bool {
        let Some(lane) = self.lanes.get_mut(name) else { return false };
        let free = lane.jobs.is_empty() && lane.readiness(now) == Readiness::Ready;
        if free {
            lane.count(now);
        }
        free
    }

    pub(crate) fn end_turn(&mut self, name: &str) {
        if let Some(lane) = self.lanes.get_mut(name) {
            lane.in_flight = lane.in_flight.saturating_sub(1);
        }
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Returns when the next turn may be possible.
    pub(crate) fn next_turn(&self, now: Timestamp) -> Option<Timestamp> {
        self.lanes.values().filter_map(|lane| lane.next(now)).min()
    }

    pub(crate) fn due_probes(&self, now: Timestamp) -> Vec<(String, String)> {
        self.lanes.iter().filter_map(|(name, lane)| Some((name.clone(), lane.due_probe(now)?))).collect()
    }

    /// Lets a broken connection be tried at once.
    pub(crate) fn probe(&mut self, connection: &str, now: Timestamp) {
        self.lane(connection).probe_at(now);
    }

    /// Lets broken connections be tried at once.
    pub(crate) fn probe_all(&mut self, now: Timestamp) {
        self.lanes.values_mut().for_each(|lane| lane.probe_at(now));
    }

    pub(super) fn lane(&mut self, name: &str) -> &mut Lane {
        self.lanes.entry(name.to_owned()).or_default()
    }

    /// Notes a run that waits for its connection since before this start.
    pub(crate) fn park(&mut self, connection: &str, run: String, error: &str, now: Timestamp) {
        let lane = self.lane(connection);
        lane.was_broken(now, error);
        lane.parked.insert(run);
    }

    pub(crate) fn forget_parked(&mut self, run: &str) {
        for lane in self.lanes.values_mut() {
            lane.parked.remove(run);
        }
    }

    /// Returns the next timer; `None` too where the store has to be asked.
    pub(crate) fn next_timer(&self) -> Option<Timestamp> {
        if self.timers_known { Some(self.next_timer.unwrap_or(Timestamp::MAX)) } else { None }
    }

    /// The store is about to be asked for timers: those written from here on are noted.
    pub(crate) fn ask_timers(&mut self) {
        self.next_timer = None;
        self.timers_known = true;
    }

    /// The store has said which timer is the next.
    pub(crate) fn set_next_timer(&mut self, next: Option<Timestamp>) {
        if let Some(next) = next {
            self.timer_at(next);
        }
    }

    /// The store has to be asked again.
    pub(crate) fn forget_timers(&mut self) {
        self.timers_known = false;
    }

    /// A run was due that somebody has claimed: it is looked at again when it is released.
    pub(crate) fn miss_timer(&mut self) {
        self.missed_timer = true;
    }

    /// A timer was written.
    pub(crate) fn timer_at(&mut self, at: Timestamp) {
        self.next_timer = Some(self.next_timer.map_or(at, |next| next.min(at)));
    }

    pub(crate) fn states(&self) -> Vec<ConnectionState> {
        self.lanes.iter().filter(|(name, _)| !name.is_empty()).map(|(name, lane)| lane.state(name)).collect()
    }
}
