//! Who has a turn next.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::job::Job;
use super::lane::{Lane, Parked, Readiness};
use crate::connection::{Cause, ConnectionState, Hold, Ledger, Purpose};
use crate::live::Live;
use crate::store::{MeterChange, MeterKind, MeterRow};

/// The runs in memory, per connection.
#[derive(Debug)]
pub(crate) struct Queue {
    concurrency: usize,
    pub(super) lanes: BTreeMap<String, Lane>,
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
    /// Runs that are about to begin, once the store says that their throttle lets them.
    pub(crate) beginning: usize,
    /// Requests that are no steps, such as those for states.
    pub(crate) background: usize,
    /// The calls of accounts.
    pub(super) ledger: Ledger,
    live: Option<Arc<Live>>,
    /// What is to be noted of accounts.
    pub(super) notes: Vec<MeterChange>,
}

/// A run with the right to perform one step.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) job: Job,
    pub(crate) lane: String,
    /// Nothing is sent to the connection now: the run waits in the store.
    pub(crate) hold: Option<Hold>,
    pub(crate) sends: Sends,
}

/// A request that was counted and is about to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Sends {
    /// It tries a connection that does not work.
    pub(crate) probe: bool,
    /// What the store has to count with it.
    pub(crate) counts: Vec<MeterChange>,
}

/// Whether a request may be sent that is no turn of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Passes {
    /// It may, once the store has counted it.
    Goes(Sends),
    /// Not before this instant.
    Wait(Timestamp),
    /// Not for a while.
    Hold(Hold),
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
            beginning: 0,
            ledger: Ledger::default(),
            live: None,
            notes: Vec::new(),
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
        self.lane(job.connection()).push(job);
    }

    pub(crate) fn queued(&self) -> usize {
        self.lanes.values().map(Lane::queued).sum()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Tells whether everything waits for an instant to come, or for somebody.
    pub(crate) fn is_idle(&self) -> bool {
        let elsewhere = self.pruning || self.offering || self.clock_works || self.background > 0;
        let waking = self.lanes.values().any(Lane::has_waking);
        let notes = !self.notes.is_empty() || self.lanes.values().any(|lane| lane.is_new);
        !elsewhere && !waking && !notes && self.in_flight == 0 && self.claimed.len() == self.queued()
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
        let lane = self.lanes.get_mut(name).filter(|lane| lane.queued() > 0)?;
        // A lane leaves a quarter of what it could have to others, and each lane has one turn whatever others do: so a
        // connection that hangs takes no turn from one that works.
        let share = (lane.in_flight + free).saturating_mul(3).div_ceil(4);
        if lane.in_flight > 0 && (free == 0 || lane.in_flight >= share) {
            return None;
        }
        let readiness = self.readiness(name, now);
        let lane = self.lanes.get_mut(name)?;
        let hold = match readiness {
            Readiness::Ready => None,
            Readiness::Parks(hold) => Some(hold),
            Readiness::NotBefore(_) | Readiness::Busy => return None,
        };
        let job = lane.pop()?;
        lane.in_flight += 1;
        self.in_flight += 1;
        let sends = if hold.is_none() { self.count(name, Purpose::Act, now) } else { Sends::default() };
        Some(Turn { job, lane: name.to_owned(), hold, sends })
    }

    /// Lets a run keep its turn for one more step of the same lane, where nobody else waits. Returns what the store has to
    /// count with it.
    pub(crate) fn keep_turn(&mut self, name: &str, now: Timestamp) -> Option<Sends> {
        let lane = self.lanes.get_mut(name)?;
        if lane.queued() > 0 || lane.has_waking() {
            return None;
        }
        // Its own turn is one of those in flight.
        lane.in_flight = lane.in_flight.saturating_sub(1);
        let readiness = self.readiness(name, now);
        if let Some(lane) = self.lanes.get_mut(name) {
            lane.in_flight += 1;
        }
        (readiness == Readiness::Ready).then(|| self.count(name, Purpose::Act, now))
    }

    pub(crate) fn end_turn(&mut self, name: &str) {
        if let Some(lane) = self.lanes.get_mut(name) {
            lane.in_flight = lane.in_flight.saturating_sub(1);
        }
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Returns when the next turn may be possible.
    pub(crate) fn next_turn(&mut self, now: Timestamp) -> Option<Timestamp> {
        let (lanes, ledger) = (&mut self.lanes, &mut self.ledger);
        let next = lanes.iter_mut().filter_map(|(name, lane)| {
            let tries = ledger.account(name, now).and_then(|account| account.next_try());
            let tries = tries.filter(|_| lane.parked() > 0);
            lane.next(now).into_iter().chain(tries).min()
        });
        next.filter(|at| *at > now).min()
    }

    /// Returns runs with which connections are to be tried.
    pub(crate) fn due_probes(&mut self, now: Timestamp) -> Vec<String> {
        let (lanes, ledger) = (&self.lanes, &mut self.ledger);
        let due = lanes.iter().filter_map(|(name, lane)| {
            let tries = ledger.account(name, now).and_then(|account| account.next_try()).is_some_and(|at| at <= now);
            match lane.circuit.open() {
                Some(_) if lane.circuit.may_probe(now) => lane.probe(&[Cause::Broken, Cause::Silent]),
                None if tries => lane.probe(&[Cause::Spent]),
                Some(_) | None => None,
            }
        });
        due.collect()
    }

    /// The clock was set back by so much.
    pub(crate) fn set_back(&mut self, by: SignedDuration, now: Timestamp) {
        self.lanes.values_mut().for_each(|lane| lane.set_back(by, now));
        self.ledger.set_back(by, now);
        self.offer_from = None;
        self.rescan_from = None;
        self.timers_known = false;
    }

    /// Lets a broken connection be tried at once.
    pub(crate) fn probe(&mut self, connection: &str, now: Timestamp) {
        self.lane(connection).circuit.probe_at(now);
    }

    /// Takes over what the store has of connections. `fresh` tells that no daemon has sent anything before.
    pub(crate) fn recall(&mut self, rows: &[MeterRow], live: &Arc<Live>, fresh: bool, now: Timestamp) {
        self.ledger.recall(rows);
        self.live = Some(Arc::clone(live));
        self.ledger.configure(live, now);
        let counted = |name: &str| rows.iter().find(|row| row.kind == MeterKind::Rate && row.name == *name);
        let names: Vec<String> = live.connections.keys().cloned().collect();
        for name in names.iter().filter(|_| !fresh) {
            let slots = counted(name).map(MeterRow::slots).unwrap_or_default();
            self.lane(name).rate.recall(&slots, now);
        }
        for row in rows.iter().filter(|row| row.kind == MeterKind::Connection) {
            if let Some(note) = row.note() {
                self.lane(&row.name).recall(note, now);
            }
        }
    }

    /// Another version is live: connections that were broken or used up may have been mended.
    pub(crate) fn configure(&mut self, live: &Arc<Live>, now: Timestamp) {
        self.live = Some(Arc::clone(live));
        self.ledger.configure(live, now);
        self.ledger.try_all(now);
        for (name, lane) in &mut self.lanes {
            lane.rate.set(limit_of(live, name));
            lane.at_once = at_once_of(live, name);
            lane.circuit.probe_at(now);
            if self.ledger.holds(name, Purpose::Act, now).is_none() {
                lane.let_go(&[Cause::Spent]);
            }
        }
    }

    pub(super) fn lane(&mut self, name: &str) -> &mut Lane {
        let live = self.live.as_deref();
        self.lanes.entry(name.to_owned()).or_insert_with(|| {
            let mut lane = Lane::default();
            lane.rate.set(live.and_then(|live| limit_of(live, name)));
            lane.at_once = live.and_then(|live| at_once_of(live, name));
            lane
        })
    }

    /// Notes a run that waits in the store for its connection.
    pub(crate) fn park(&mut self, job: &Job, now: Timestamp) {
        let name = job.connection().to_owned();
        let withheld = job.run.withheld().cloned();
        let refused = self.ledger.account(&name, now).is_some_and(|account| account.is_refused());
        // An answer that the quota is used up looks as any other refusal to the run.
        let cause = withheld.map_or(if refused { Cause::Spent } else { Cause::Broken }, |withheld| withheld.cause);
        let reason = job.run.reason.clone().unwrap_or_default();
        let lane = self.lane(&name);
        lane.park(job.seq, Parked::of(job, cause));
        match cause {
            Cause::Broken => lane.circuit.was_broken(now, &reason),
            // It answered before this run was written.
            Cause::Silent if lane.circuit.open().is_none() => drop(lane.let_go(&[Cause::Silent])),
            Cause::Silent | Cause::Paused | Cause::Spent => {}
        }
    }

    pub(crate) fn forget_parked(&mut self, run: &str) {
        for lane in self.lanes.values_mut() {
            lane.forget(run);
        }
    }

    /// Returns runs that may go on, with room for `most` of them; each connection in its turn.
    pub(crate) fn waking(&mut self, most: usize) -> Vec<String> {
        let mut runs = Vec::new();
        loop {
            let before = runs.len();
            for lane in self.lanes.values_mut() {
                if runs.len() < most {
                    runs.extend(lane.next_waking());
                }
            }
            if runs.len() == before {
                return runs;
            }
        }
    }

    /// Tells whether runs may go on, and there is room for them.
    pub(crate) fn can_wake(&self, most: usize) -> bool {
        self.queued() < most && self.lanes.values().any(Lane::has_waking)
    }

    /// Returns what is to be noted of connections and accounts since it was asked last.
    pub(crate) fn take_notes(&mut self, now: Timestamp) -> Vec<MeterChange> {
        let mut notes = std::mem::take(&mut self.notes);
        for (name, lane) in &mut self.lanes {
            if std::mem::take(&mut lane.is_new) {
                let value = lane.note(now).and_then(|note| serde_json::to_vec(&note).ok());
                notes.push(MeterChange::Note { kind: MeterKind::Connection, name: name.clone(), value });
            }
        }
        notes
    }

    /// Returns what was counted ahead, to be taken back when the daemon stops.
    pub(crate) fn take_back(&mut self) -> Vec<MeterChange> {
        self.ledger.take_back()
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

    /// Returns how the connections are doing that are live, or that runs wait for.
    pub(crate) fn states(&mut self, now: Timestamp) -> Vec<ConnectionState> {
        let configured = self.live.iter().flat_map(|live| live.connections.keys().cloned()).collect::<Vec<_>>();
        for name in configured {
            self.lane(&name);
        }
        let (lanes, ledger) = (&self.lanes, &mut self.ledger);
        let state = |(name, lane): (&String, &Lane)| ConnectionState {
            name: name.clone(),
            queued: lane.queued(),
            in_flight: lane.in_flight,
            most_in_flight: lane.most().min(self.concurrency),
            parked: lane.parked(),
            circuit: lane.circuit_state(),
            paused_until: lane.paused(now),
            rate: lane.rate.state(now),
            quota: ledger.state(name, now),
        };
        lanes.iter().filter(|(name, _)| !name.is_empty()).map(state).collect()
    }
}

fn at_once_of(live: &Live, name: &str) -> Option<usize> {
    live.connections.get(name)?.plan.api.at_once.map(|at_once| at_once as usize)
}

fn limit_of(live: &Live, name: &str) -> Option<(u32, Duration)> {
    let limit = live.connections.get(name)?.plan.api.limit.as_ref()?;
    Some((limit.count, Duration::from_millis(limit.per_ms)))
}
