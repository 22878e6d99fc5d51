//! Who has a turn next.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::bounds::{Bounds, share};
use super::job::Job;
use super::lane::{Lane, Parked, Readiness};
use crate::connection::{Cause, CircuitState, ConnectionState, Hold, Ledger, PartState, Purpose, Target};
use crate::live::Live;
use crate::store::{MeterChange, MeterKind, MeterRow};

/// At most so many servers that runs have named are known of; then those are forgotten that nobody waits for.
const MOST_ORIGINS: usize = 1000;
/// So many of them are shown of a connection, at most.
const SHOWN_ORIGINS: usize = 20;

/// The runs in memory, by what they want to speak with.
#[derive(Debug)]
pub(crate) struct Queue {
    concurrency: usize,
    pub(super) lanes: BTreeMap<Target, Lane>,
    /// What the lanes of a connection share.
    pub(super) bounds: BTreeMap<String, Bounds>,
    /// Lanes of servers that runs have named, and how many there may be before some are forgotten.
    origins: usize,
    most_origins: usize,
    /// How often a lane was wanted.
    uses: u64,
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
    pub(crate) lane: Target,
    /// Nothing is sent to the connection now: the run waits in the store.
    pub(crate) hold: Option<Hold>,
    pub(crate) sends: Sends,
    /// It tries a server that runs have named and that did not answer.
    pub(crate) tries: bool,
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
            bounds: BTreeMap::new(),
            origins: 0,
            most_origins: MOST_ORIGINS,
            uses: 0,
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
        let target = job.target(self.live.as_deref());
        self.lane(&target).push(job);
        self.bounds(&target.connection).queued += 1;
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
        let wants = self.lanes.iter().filter(|(_, lane)| lane.queued() > 0);
        // Those that work come first: what tries the others takes no place from them.
        let (mut targets, trying): (Vec<_>, Vec<_>) =
            wants.map(|(target, lane)| (target.clone(), lane.circuit.open().is_some())).partition(|(_, is_open)| !is_open);
        self.first = self.first.wrapping_add(1);
        let first = self.first.checked_rem(targets.len()).unwrap_or(0);
        targets.rotate_left(first);
        targets.extend(trying);
        loop {
            let before = turns.len();
            for (target, _) in &targets {
                turns.extend(self.turn(target, now));
            }
            if turns.len() == before {
                return turns;
            }
        }
    }

    fn turn(&mut self, target: &Target, now: Timestamp) -> Option<Turn> {
        let free = self.concurrency.saturating_sub(self.in_flight);
        let lane = self.lanes.get(target).filter(|lane| lane.queued() > 0)?;
        let bounds = self.bounds.get(&target.connection)?;
        // A connection leaves a quarter of what it could have to others, and each has one turn whatever others do: so one that
        // hangs takes no turn from one that works.
        if bounds.in_flight > 0 && (free == 0 || bounds.in_flight >= share(bounds.in_flight, free)) {
            return None;
        }
        if bounds.are_for_others(lane.in_flight, lane.queued()) {
            return None;
        }
        let readiness = self.readiness(target, now);
        let tries = target.origin.is_some() && readiness == Readiness::Ready && self.lane(target).circuit.open().is_some();
        if tries && self.bounds(&target.connection).tries_enough() {
            return None;
        }
        let lane = self.lanes.get_mut(target)?;
        let hold = match readiness {
            Readiness::Ready => None,
            Readiness::Parks(hold) => Some(hold),
            Readiness::NotBefore(_) | Readiness::Busy => return None,
        };
        let job = lane.pop()?;
        lane.in_flight += 1;
        self.in_flight += 1;
        self.uses += 1;
        lane.used = self.uses;
        let bounds = self.bounds(&target.connection);
        bounds.in_flight += 1;
        bounds.queued = bounds.queued.saturating_sub(1);
        bounds.trying += usize::from(tries);
        let sends = if hold.is_none() { self.count(target, Purpose::Act, now) } else { Sends::default() };
        Some(Turn { job, lane: target.clone(), hold, sends, tries })
    }

    /// Lets a run keep its turn for one more step of the same lane, where nobody else waits. Returns what the store has to
    /// count with it.
    pub(crate) fn keep_turn(&mut self, target: &Target, now: Timestamp) -> Option<Sends> {
        let lane = self.lanes.get(target)?;
        let bounds = self.bounds.get_mut(&target.connection)?;
        if bounds.queued > 0 || lane.has_waking() {
            return None;
        }
        // Its own turn is one of those in flight.
        bounds.in_flight = bounds.in_flight.saturating_sub(1);
        let readiness = self.readiness(target, now);
        self.bounds(&target.connection).in_flight += 1;
        (readiness == Readiness::Ready).then(|| self.count(target, Purpose::Act, now))
    }

    /// `tries` is that of the turn.
    pub(crate) fn end_turn(&mut self, target: &Target, tries: bool) {
        if let Some(lane) = self.lanes.get_mut(target) {
            lane.in_flight = lane.in_flight.saturating_sub(1);
        }
        let bounds = self.bounds(&target.connection);
        bounds.in_flight = bounds.in_flight.saturating_sub(1);
        bounds.trying = bounds.trying.saturating_sub(usize::from(tries));
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Returns when the next turn may be possible.
    pub(crate) fn next_turn(&mut self, now: Timestamp) -> Option<Timestamp> {
        let (lanes, ledger, bounds) = (&mut self.lanes, &mut self.ledger, &self.bounds);
        let next = lanes.iter_mut().filter_map(|(target, lane)| {
            let tries = ledger.account(&target.connection, now).and_then(|account| account.next_try());
            let tries = tries.filter(|_| lane.parked() > 0);
            lane.next(target, bounds.get(&target.connection)?, now).into_iter().chain(tries).min()
        });
        next.filter(|at| *at > now).min()
    }

    /// Returns runs with which connections are to be tried.
    pub(crate) fn due_probes(&mut self, now: Timestamp) -> Vec<String> {
        let (lanes, ledger) = (&self.lanes, &mut self.ledger);
        let due = lanes.iter().filter_map(|(target, lane)| {
            let tries =
                ledger.account(&target.connection, now).and_then(|account| account.next_try()).is_some_and(|at| at <= now);
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
        self.bounds.values_mut().for_each(|bounds| bounds.set_back(by, now));
        self.ledger.set_back(by, now);
        self.offer_from = None;
        self.rescan_from = None;
        self.timers_known = false;
    }

    /// Lets what a run wants to speak with be tried at once, where it is broken.
    pub(crate) fn probe(&mut self, job: &Job, now: Timestamp) {
        let target = job.target(self.live.as_deref());
        self.lane(&target).circuit.probe_at(now);
    }

    /// Takes over what the store has of connections. `fresh` tells that no daemon has sent anything before.
    pub(crate) fn recall(&mut self, rows: &[MeterRow], live: &Arc<Live>, fresh: bool, now: Timestamp) {
        self.ledger.recall(rows);
        self.live = Some(Arc::clone(live));
        self.ledger.configure(live, now);
        let row = |name: &str| rows.iter().find(|row| row.kind == MeterKind::Rate && row.name == *name);
        let counted = |name: &str| row(name).map(MeterRow::slots).unwrap_or_default();
        for name in live.connections.keys().filter(|_| !fresh) {
            self.bounds(name).recall(name, counted, now);
        }
        for row in rows.iter().filter(|row| row.kind == MeterKind::Connection) {
            if let Some(note) = row.note() {
                self.lane(&Target::parse(&row.name)).recall(note, now);
            }
        }
    }

    /// Another version is live: connections that were broken or used up may have been mended.
    pub(crate) fn configure(&mut self, live: &Arc<Live>, now: Timestamp) {
        self.live = Some(Arc::clone(live));
        self.ledger.configure(live, now);
        self.ledger.try_all(now);
        for (name, bounds) in &mut self.bounds {
            bounds.configure(live, name);
        }
        for (target, lane) in &mut self.lanes {
            lane.circuit.probe_at(now);
            if self.ledger.holds(&target.connection, Purpose::Act, now).is_none() {
                lane.let_go(&[Cause::Spent]);
            }
        }
    }

    pub(super) fn lane(&mut self, target: &Target) -> &mut Lane {
        if !self.lanes.contains_key(target) {
            if target.origin.is_some() {
                if self.origins >= self.most_origins {
                    self.forget_origins(MOST_ORIGINS / 2);
                    // Those that are left have runs: a look at all of them is worth it once they are twice as many.
                    self.most_origins = MOST_ORIGINS.max(self.origins * 2);
                }
                self.origins += 1;
            }
            self.bounds(&target.connection).lanes += 1;
        }
        self.uses += 1;
        let lane = self.lanes.entry(target.clone()).or_default();
        lane.used = self.uses;
        lane
    }

    pub(super) fn bounds(&mut self, connection: &str) -> &mut Bounds {
        if !self.bounds.contains_key(connection) {
            let bounds = self.bounds.entry(connection.to_owned()).or_default();
            if let Some(live) = &self.live {
                bounds.configure(live, connection);
            }
        }
        self.bounds.entry(connection.to_owned()).or_default()
    }

    /// Returns all lanes of a connection.
    pub(super) fn lanes_of(&mut self, connection: &str) -> impl Iterator<Item = &mut Lane> {
        let of = self.lanes.range_mut(Target::service(connection)..);
        of.take_while(move |(target, _)| target.connection == connection).map(|(_, lane)| lane)
    }

    /// Forgets servers that runs have named and that no run is for, those first that were wanted longest ago, until no more
    /// than `left` are known.
    fn forget_origins(&mut self, left: usize) {
        let idle = self.lanes.iter().filter(|(target, lane)| target.origin.is_some() && lane.is_idle());
        let mut idle: Vec<_> = idle.map(|(target, lane)| (lane.used, target.clone())).collect();
        idle.sort_unstable();
        for (_, target) in idle.into_iter().take(self.origins.saturating_sub(left)) {
            self.forget(&target);
        }
    }

    fn forget(&mut self, target: &Target) {
        let Some(lane) = self.lanes.remove(target) else { return };
        if lane.is_noted() {
            self.notes.push(MeterChange::Note { kind: MeterKind::Connection, name: target.to_string(), value: None });
        }
        self.origins = self.origins.saturating_sub(usize::from(target.origin.is_some()));
        let bounds = self.bounds(&target.connection);
        bounds.lanes = bounds.lanes.saturating_sub(1);
    }

    /// Notes a run that waits in the store for its connection.
    pub(crate) fn park(&mut self, job: &Job, now: Timestamp) {
        let target = job.target(self.live.as_deref());
        let withheld = job.run.withheld().cloned();
        let refused = self.ledger.account(&target.connection, now).is_some_and(|account| account.is_refused());
        // An answer that the quota is used up looks as any other refusal to the run.
        let cause = withheld.map_or(if refused { Cause::Spent } else { Cause::Broken }, |withheld| withheld.cause);
        let reason = job.run.reason.clone().unwrap_or_default();
        let has_calls = !refused && self.ledger.holds(&target.connection, Purpose::Act, now).is_none();
        let lane = self.lane(&target);
        lane.park(job.seq, Parked::of(job, cause));
        match cause {
            Cause::Broken => lane.circuit.was_broken(now, &reason),
            // It answered before this run was written.
            Cause::Silent if lane.circuit.open().is_none() => drop(lane.let_go(&[Cause::Silent])),
            // So it is with calls that are there again: nobody would come back to it before they are counted anew.
            Cause::Spent if has_calls => drop(lane.let_go(&[Cause::Spent])),
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
        let mut forgotten = Vec::new();
        for (target, lane) in &mut self.lanes {
            if target.origin.is_some() && lane.is_forgotten(now) {
                forgotten.push(target.clone());
            } else if std::mem::take(&mut lane.is_new) {
                let value = lane.note(now).and_then(|note| serde_json::to_vec(&note).ok());
                self.notes.push(MeterChange::Note { kind: MeterKind::Connection, name: target.to_string(), value });
            }
        }
        for target in forgotten {
            self.forget(&target);
        }
        std::mem::take(&mut self.notes)
    }

    /// Counts what an answer has cost.
    pub(crate) fn spend(&mut self, connection: &str, tokens: u64, now: Timestamp) {
        self.notes.extend(self.ledger.spend(connection, tokens, now));
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
            self.lane(&Target::service(&name));
        }
        let names: Vec<String> = self.bounds.keys().filter(|name| !name.is_empty()).cloned().collect();
        names.into_iter().map(|name| self.state(name, now)).collect()
    }

    fn state(&mut self, name: String, now: Timestamp) -> ConnectionState {
        let bounds = self.bounds(&name);
        let (queued, in_flight, most) = (bounds.queued, bounds.in_flight, bounds.most());
        let rate = bounds.rate(&Target::service(&name)).state(now);
        let mut state = ConnectionState {
            queued,
            in_flight,
            most_in_flight: most.min(self.concurrency),
            parked: 0,
            circuit: CircuitState::Closed { failures: 0 },
            paused_until: None,
            rate,
            quota: self.ledger.state(&name, now),
            tokens: self.ledger.tokens(&name, now),
            parts: Vec::new(),
            unshown: 0,
            name,
        };
        let lanes = self.lanes.range(Target::service(&state.name)..).take_while(|(target, _)| target.connection == state.name);
        for (target, lane) in lanes {
            state.parked += lane.parked();
            if target.api.is_none() && target.origin.is_none() {
                state.circuit = lane.circuit_state();
                state.paused_until = lane.paused(now);
                continue;
            }
            let part = PartState {
                api: target.api.clone(),
                origin: target.origin.clone(),
                queued: lane.queued(),
                in_flight: lane.in_flight,
                parked: lane.parked(),
                circuit: lane.circuit_state(),
                paused_until: lane.paused(now),
                rate: self.bounds.get(&state.name).and_then(|bounds| bounds.rate(target).state(now)),
            };
            // Of servers only those are worth a word that something is wrong with.
            let origins = state.parts.iter().filter(|part| part.origin.is_some()).count();
            match &part.origin {
                Some(_) if part.word() == "ok" => {}
                Some(_) if origins >= SHOWN_ORIGINS => state.unshown += 1,
                Some(_) | None => state.parts.push(part),
            }
        }
        state
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::{Asked, Heard};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn server(number: usize) -> Target {
        Target { origin: Some(format!("https://{number}.example")), ..Target::service("hooks") }
    }

    /// Whoever chooses where requests go makes up as many servers as they like.
    #[test]
    fn servers_that_runs_name_take_a_bounded_place_in_memory_and_in_the_store() {
        let mut queue = Queue::new(64);
        let asked = Asked { step: true, probe: false };
        let (mut stored, mut most) = (std::collections::BTreeSet::new(), 0);
        for number in 0..5000 {
            for _ in 0..5 {
                queue.heard(&server(number), &Heard::Unreached("no such name".to_owned()), asked, at(0));
            }
            for note in queue.take_notes(at(0)) {
                let MeterChange::Note { name, value, .. } = note else { panic!("a note") };
                if value.is_some() {
                    stored.insert(name)
                } else {
                    stored.remove(&name)
                };
            }
            most = most.max(queue.lanes.len()).max(stored.len());
        }
        assert!(most <= MOST_ORIGINS, "{most}");
        assert_eq!(stored.len(), queue.lanes.len());
        assert!(queue.lanes.contains_key(&server(4999)), "the latest are known");
        // Those that nobody wants any more are forgotten in time.
        let later: Vec<_> = queue.take_notes(at(2 * 3600));
        assert_eq!((later.len(), queue.lanes.len(), queue.origins, queue.bounds("hooks").lanes), (stored.len(), 0, 0, 0));
    }
}
