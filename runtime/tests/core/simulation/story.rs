//! A story: what happens to a daemon, its senders and its services, from one life of the process to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use flow_plan as plan;
use flow_plan::Flow;
use flow_runtime::engine::{CancelOutcome, Engine, EngineOptions, RetryOutcome};
use flow_runtime::event::{AcceptError, Cursor, Incoming, Origin, Via};
use flow_runtime::live::Live;
use flow_runtime::store::{Faults, MemoryStore, RedbStore, RunQuery, Store};
use flow_runtime::world::{Clock, Random, World};
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};

use super::clock::SimClock;
use super::dice::Dice;
use super::flows::{Edited, NAMES, make_up};
use super::power::{Point, Power};
use super::services::Services;
use super::trace::Trace;
use crate::disk::{SimDisk, Unsynced};
use crate::fixture::{at, connection, path};

/// What is wrong, for people.
pub(super) type Wrong = String;

/// What was live and not paused at a moment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Config {
    /// By flow: the version.
    pub(super) live: Vec<Option<usize>>,
    pub(super) paused: BTreeSet<String>,
}

/// An event as its sender knows it.
pub(super) struct Sent {
    pub(super) kind: &'static str,
    pub(super) name: &'static str,
    pub(super) fits: bool,
    incoming: Incoming,
    /// The configs under which it was offered until it was answered with 200, and that of the answer.
    pub(super) offered_under: Vec<usize>,
    /// In which delivery it was offered first, and in which answered.
    pub(super) offered_at: Option<u64>,
    pub(super) answered_at: Option<u64>,
    /// In which process it was answered.
    pub(super) taken_by: Option<u32>,
}

/// Events on their way; they stay until they are answered with 200, as senders do.
struct Delivery {
    number: u32,
    ids: Vec<String>,
    via: Via,
    /// By the steady clock.
    not_before: Timestamp,
}

enum Kept {
    Memory(Arc<MemoryStore>),
    Redb(tempfile::TempDir),
    /// With the inbox in front, and a power cut takes what was not synced.
    Disk(SimDisk),
}

/// Over what a story is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    Memory,
    Folder,
    Disk,
}

/// So long is a segment of the inbox: a few events fill it.
const SEGMENT: u64 = 12 * 1024;

/// How a life of the process ends.
pub(super) enum End {
    Crashed,
    Stopped,
    Over(Result<(), Wrong>),
}

struct Jitter(Mutex<Dice>);

impl Random for Jitter {
    fn fraction(&self) -> f64 {
        f64::from(u32::try_from(self.0.lock().unwrap().below(1_000_000)).unwrap()) / 1_000_000.0
    }
}

/// All that outlives a process.
pub(super) struct Story {
    dice: Dice,
    pub(super) clock: Arc<SimClock>,
    pub(super) power: Arc<Power>,
    pub(super) services: Arc<Services>,
    pub(super) trace: Arc<Trace>,
    random: Arc<Jitter>,
    pub(super) flows: Vec<Edited>,
    pub(super) configs: Vec<Config>,
    now_live: Vec<Option<usize>>,
    kept: Kept,
    faults: Option<Faults>,
    outbox: Vec<Delivery>,
    deliveries: u32,
    /// How often what was due was delivered.
    flushes: u64,
    pub(super) events: BTreeMap<String, Sent>,
    actions: u64,
    options: EngineOptions,
    pub(super) process: u32,
    pub(super) jumps: bool,
    over: bool,
    /// The flows that somebody paused, and the one of which nobody knows whether it was written.
    paused: BTreeSet<String>,
    unsure: Option<String>,
    /// Runs that were tried again by hand, with force.
    pub(super) forced: BTreeSet<String>,
    /// Runs that somebody did anything to.
    pub(super) touched: BTreeSet<String>,
}

impl Story {
    pub(super) fn new(seed: u64, traced: bool, over: Over) -> Self {
        let mut dice = Dice::new(seed, 1);
        let jumps = dice.percent(15);
        let clock = Arc::new(SimClock::new(at("2026-11-22T12:00:00Z"), jumps));
        let power = Power::new(seed, &clock);
        let trace = Trace::new(&clock, traced);
        let services = Services::new(seed, &clock, &power, &trace);
        let flows = make_up(&mut dice);
        let kept = match over {
            Over::Folder => Kept::Redb(tempfile::tempdir().unwrap()),
            Over::Memory => Kept::Memory(Arc::new(MemoryStore::in_turns(Arc::clone(&power) as _))),
            Over::Disk => {
                let disk = SimDisk::default();
                power.feeds(&disk);
                Kept::Disk(disk)
            }
        };
        let faults = match &kept {
            Kept::Memory(store) => Some(store.faults()),
            Kept::Redb(_) | Kept::Disk(_) => None,
        };
        let options = EngineOptions {
            concurrency: usize::try_from(*dice.pick(&[1, 2, 4, 64])).unwrap(),
            queue: usize::try_from(*dice.pick(&[2, 10_000, 10_000, 10_000])).unwrap(),
            ..EngineOptions::default()
        };
        let actions = if dice.percent(2) { dice.within(30, 60) } else { dice.within(3, 12) };
        let now_live = flows.iter().map(|_| Some(0)).collect();
        Self {
            random: Arc::new(Jitter(Mutex::new(Dice::new(seed, 4)))),
            dice,
            clock,
            power,
            services,
            trace,
            flows,
            configs: Vec::new(),
            now_live,
            kept,
            faults,
            outbox: Vec::new(),
            deliveries: 0,
            flushes: 0,
            events: BTreeMap::new(),
            actions,
            options,
            process: 0,
            jumps,
            over: false,
            paused: BTreeSet::new(),
            unsure: None,
            forced: BTreeSet::new(),
            touched: BTreeSet::new(),
        }
    }

    /// Lives on until the story is over.
    pub(super) fn play(&mut self) -> Result<(), Wrong> {
        for _ in 0..500 {
            let power = Arc::clone(&self.power);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .event_interval(1)
                .on_thread_park(move || power.nothing_to_run())
                .build()
                .unwrap();
            let end = runtime.block_on(async {
                let power = Arc::clone(&self.power);
                tokio::select! {
                    biased;
                    () = power.is_gone() => End::Crashed,
                    end = self.live() => end,
                }
            });
            drop(runtime);
            self.power.forgets_process();
            self.clock.forget_sleepers();
            match end {
                End::Over(result) => return result,
                End::Crashed => self.trace.say(|| "--- the process is gone".to_owned()),
                End::Stopped => self.trace.say(|| "--- the process has ended".to_owned()),
            }
            self.power.is_back();
            match &self.kept {
                Kept::Memory(store) => {
                    self.kept = Kept::Memory(Arc::new(store.reopened(Arc::clone(&self.power) as _)));
                }
                Kept::Disk(disk) => {
                    if matches!(end, End::Crashed) {
                        // The process alone was killed, or the machine went off.
                        let way = if self.dice.percent(30) { Unsynced::Kept } else { Unsynced::of(self.dice.below(1 << 40)) };
                        self.trace.say(|| format!("what was not synced is {way:?}"));
                        let disk = disk.after_cut(way);
                        self.power.feeds(&disk);
                        self.kept = Kept::Disk(disk);
                    }
                    self.goes_at_a_write(10);
                }
                Kept::Redb(_) => {}
            }
            self.heal_disk();
            if !self.over {
                let down = *self.dice.pick(&[0, 0, 1, 5, 30, 200, 5_000]);
                self.clock.set(self.clock.now() + SignedDuration::from_secs(down));
            }
        }
        Err("the process does not stay up".to_owned())
    }

    /// The power goes in so many of a hundred cases at one of the next operations of the disk, where there is one.
    fn goes_at_a_write(&mut self, percent: u64) -> bool {
        let Kept::Disk(disk) = &self.kept else { return false };
        let goes = !self.over && self.dice.percent(percent);
        if goes {
            let operations = self.dice.within(1, 80);
            self.trace.say(|| format!("the power will go behind {operations} more operations of the disk"));
            disk.off_after(disk.operations() + operations);
        }
        goes
    }

    /// Tells whether what comes goes through an inbox.
    pub(super) fn has_inbox(&self) -> bool {
        matches!(self.kept, Kept::Disk(_))
    }

    fn heal_disk(&self) {
        if let Kept::Disk(disk) = &self.kept {
            disk.heal();
        }
        if let Some(faults) = &self.faults {
            faults.heal();
        }
    }

    fn store(&self) -> Result<Arc<dyn Store>, Wrong> {
        match &self.kept {
            Kept::Memory(store) => Ok(Arc::clone(store) as _),
            Kept::Redb(folder) => {
                let store = RedbStore::open_in_turns(folder.path(), Arc::clone(&self.power) as _);
                Ok(Arc::new(store.map_err(|error| format!("the store cannot be opened: {error}"))?))
            }
            Kept::Disk(disk) => {
                let disk = Arc::new(disk.clone());
                let store = RedbStore::on_in_turns_with_inbox(disk, Arc::clone(&self.power) as _, SEGMENT);
                Ok(Arc::new(store.map_err(|error| format!("the store cannot be opened: {error}"))?))
            }
        }
    }

    fn live_flows(&self) -> Live {
        let flows: Vec<Arc<Flow>> = self
            .flows
            .iter()
            .zip(&self.now_live)
            .filter_map(|(flow, version)| version.map(|version| Arc::clone(&flow.versions[version])))
            .collect();
        let mut engine = connection("flow");
        engine.plan.sources = vec![Arc::new(plan::Source {
            name: "engine".to_owned(),
            envelope: plan::Envelope { object: path("data"), ..plan::Envelope::default() },
            triggers: ["dead", "failed", "silent", "paused"].map(|name| (name.to_owned(), vec![name.to_owned()])).into(),
            ..plan::Source::clone(&engine.plan.sources[0])
        })];
        let connections = [connection("svc"), engine].map(|known| (known.plan.name.clone(), Arc::new(known))).into();
        Live { flows, connections, ..Live::default() }
    }

    fn config(&mut self, engine: &Engine) -> usize {
        let paused = self.flows.iter().filter(|flow| engine.paused_since(&flow.id).is_some()).map(|flow| flow.id.clone());
        let config = Config { live: self.now_live.clone(), paused: paused.collect() };
        if self.configs.last() != Some(&config) {
            self.configs.push(config);
        }
        self.configs.len() - 1
    }

    async fn live(&mut self) -> End {
        match self.lives().await {
            Ok(end) => end,
            // It could not do what it wanted, since there is no power.
            Err(_) if matches!(&self.kept, Kept::Disk(disk) if disk.is_off()) => End::Crashed,
            Err(wrong) => End::Over(Err(wrong)),
        }
    }

    async fn lives(&mut self) -> Result<End, Wrong> {
        self.process += 1;
        self.services.next_process();
        let store = self.store()?;
        let world = World {
            clock: Arc::clone(&self.clock) as _,
            transport: Arc::clone(&self.services) as _,
            random: Arc::clone(&self.random) as _,
            services: None,
        };
        self.trace.say(|| format!("--- process {} begins", self.process));
        let engine = Engine::start(Arc::clone(&store), self.live_flows(), world, self.options.clone())
            .map_err(|error| format!("the engine does not start: {error}"))?;
        let unsure = self.unsure.take();
        for flow in &self.flows {
            let paused = engine.paused_since(&flow.id).is_some();
            if paused != self.paused.contains(&flow.id) && unsure.as_ref() != Some(&flow.id) {
                return Err(format!("{} is {}paused after a start", flow.id, if paused { "" } else { "not " }));
            }
            if paused {
                self.paused.insert(flow.id.clone())
            } else {
                self.paused.remove(&flow.id)
            };
        }
        while self.actions > 0 {
            self.actions -= 1;
            if let Some(end) = self.act(&engine).await? {
                return Ok(end);
            }
        }
        self.over = true;
        self.power.stays();
        if let Kept::Disk(disk) = &self.kept {
            disk.off_after(u64::MAX);
        }
        self.services.heal();
        self.heal_disk();
        self.trace.say(|| "everything works from here on".to_owned());
        self.ends(&engine, &*store).await?;
        self.check(&engine, &*store)?;
        self.drive(engine.stop(Duration::ZERO)).await?;
        Ok(End::Over(Ok(())))
    }

    async fn act(&mut self, engine: &Engine) -> Result<Option<End>, Wrong> {
        match self.dice.below(100) {
            0..36 => {
                self.send_some();
                if self.dice.percent(80) {
                    self.flush(engine).await?;
                }
            }
            36..60 => {
                let time = self.millis(0, 8_000);
                self.pass(engine, time).await?;
            }
            60..69 => {
                let time = self.millis(9_000, 240_000);
                self.pass(engine, time).await?;
            }
            69..71 => {
                let time = self.millis(300_000, 10_000_000);
                self.pass(engine, time).await?;
            }
            71..74 => {
                // The process, or the machine, stands still.
                let stands = SignedDuration::from_secs(*self.dice.pick(&[1, 20, 100, 1_000]));
                self.trace.say(|| format!("the process stands still for {stands:#}"));
                self.clock.set(self.clock.now() + stands);
            }
            74..82 => {
                if self.dice.percent(15) {
                    self.power.goes();
                    return Ok(Some(End::Crashed));
                }
                if self.goes_at_a_write(50) {
                    return Ok(None);
                }
                let point = *self.dice.pick(&[Point::Commit, Point::Commit, Point::Request, Point::Effect]);
                let times = self.dice.within(1, 6);
                self.trace.say(|| format!("the power will go at {point:?} number {times}"));
                self.power.goes_at(point, times);
            }
            82..85 => {
                let bound = SignedDuration::from_secs(*self.dice.pick(&[0, 5, 20]));
                self.trace.say(|| format!("stops within {bound:#}"));
                let begun = self.clock.steady();
                self.drive(engine.stop(Duration::try_from(bound).unwrap())).await?;
                let took = self.clock.steady().duration_since(begun);
                if took > bound {
                    return Err(format!("stopping took {took:#} where {bound:#} were allowed"));
                }
                return Ok(Some(End::Stopped));
            }
            85..88 => self.reload(engine),
            88..91 => self.pause_or_resume(engine).await?,
            91..94 => self.by_hand(engine).await?,
            94 => {
                if let Some(faults) = self.faults.clone() {
                    let commits = self.dice.below(3);
                    let time = self.millis(1_000, 100_000);
                    self.trace.say(|| format!("the disk is full after {commits} more commits, for {time:#}"));
                    faults.fail_after(commits);
                    self.pass(engine, time).await?;
                    faults.heal();
                }
                if let Kept::Disk(disk) = &self.kept {
                    let disk = disk.clone();
                    let operations = self.dice.below(30);
                    let time = self.millis(1_000, 100_000);
                    self.trace.say(|| format!("the disk is full behind {operations} more operations, for {time:#}"));
                    disk.refuse(disk.operations() + operations, u64::MAX, ErrorKind::StorageFull);
                    self.pass(engine, time).await?;
                    disk.heal();
                }
            }
            95..98 => {
                let time = self.millis(5_000, 600_000);
                if self.dice.percent(50) {
                    self.trace.say(|| format!("the credentials do not work for {time:#}"));
                    self.services.breaks_for(time);
                } else {
                    self.trace.say(|| format!("the service is down for {time:#}"));
                    self.services.is_down_for(time);
                }
            }
            _ if self.jumps => {
                let by = SignedDuration::from_millis(*self.dice.pick(&[-7_200_000, -60_000, -500, 45_000, 600_000, 18_000_000]));
                self.trace.say(|| format!("the clock is set by {by:#}"));
                self.clock.jump(by);
            }
            _ => {}
        }
        Ok(None)
    }

    fn millis(&mut self, from: u64, to: u64) -> SignedDuration {
        SignedDuration::from_millis(i64::try_from(self.dice.within(from, to)).unwrap())
    }

    /// Something happens at the service, which tells of it, once or more often.
    fn send_some(&mut self) {
        let count = *self.dice.pick(&[1, 1, 1, 2, 3]);
        let ids: Vec<String> = (0..count).map(|_| self.event()).collect();
        let together = self.dice.percent(50);
        let now = self.clock.steady();
        let groups: Vec<Vec<String>> = if together { vec![ids] } else { ids.into_iter().map(|id| vec![id]).collect() };
        for mut ids in groups {
            if self.dice.percent(30) {
                ids.reverse();
            }
            let via = if self.dice.percent(35) { Via::Poll } else { Via::Webhook };
            self.deliver(ids.clone(), via, now);
            while self.dice.percent(30) {
                // Once more: at the same moment, or late; by the same way or by the other.
                let late = SignedDuration::from_millis(*self.dice.pick(&[0, 0, 3_000, 40_000, 3_600_000]));
                let via = if self.dice.percent(50) { Via::Poll } else { Via::Webhook };
                self.deliver(ids.clone(), via, now + late);
            }
        }
    }

    fn deliver(&mut self, ids: Vec<String>, via: Via, not_before: Timestamp) {
        self.deliveries += 1;
        self.outbox.push(Delivery { number: self.deliveries, ids, via, not_before });
    }

    fn event(&mut self) -> String {
        let id = format!("evt_{}", self.events.len() + 1);
        let kind = if self.dice.percent(72) { "happened" } else { "other" };
        let name = *self.dice.pick(&NAMES);
        let fits = !self.dice.percent(3);
        let amount = if fits { "100" } else { "\"much\"" };
        let payload =
            format!(r#"{{"data":{{"object":{{"amount":{amount},"currency":"usd","email":"j@example.com","name":"{name}"}}}}}}"#);
        let ago = SignedDuration::from_secs(*self.dice.pick(&[0, 0, 0, 1, 10, 60, 400]));
        let incoming = Incoming {
            id: id.clone(),
            source: "events".to_owned(),
            event_type: Some(kind.to_owned()),
            occurred_at: self.dice.percent(70).then(|| self.clock.steady() - ago),
            signed_at: None,
            payload: Bytes::from(payload),
            via: Via::Webhook,
            origin: Origin::External,
            depth: 0,
            only_trigger: None,
        };
        let sent =
            Sent { kind, name, fits, incoming, offered_under: Vec::new(), offered_at: None, answered_at: None, taken_by: None };
        self.events.insert(id.clone(), sent);
        id
    }

    /// Delivers what is due, several at one moment.
    async fn flush(&mut self, engine: &Engine) -> Result<(), Wrong> {
        let now = self.clock.steady();
        self.flushes += 1;
        let mut together = Vec::new();
        let config = self.config(engine);
        for delivery in self.outbox.iter_mut().filter(|delivery| delivery.not_before <= now) {
            // Who gets no answer tries again.
            delivery.not_before = now + SignedDuration::from_secs(i64::try_from(self.dice.within(1, 20)).unwrap());
            let cursor =
                (delivery.via == Via::Poll).then(|| ("events".to_owned(), Cursor { watermark: Some(now), ..Cursor::default() }));
            let mut events = Vec::new();
            for id in &delivery.ids {
                let Some(sent) = self.events.get_mut(id) else { continue };
                if sent.taken_by.is_none() {
                    sent.offered_under.push(config);
                }
                sent.offered_at.get_or_insert(self.flushes);
                events.push(Incoming { via: delivery.via, ..sent.incoming.clone() });
            }
            together.push((delivery.number, events, cursor));
        }
        let engine = &engine;
        let answers = join_all(together.into_iter().map(|(number, events, cursor)| async move {
            let ids: Vec<String> = events.iter().map(|event| event.id.clone()).collect();
            (number, ids, engine.accept("svc", events, cursor).await)
        }));
        // What is decided behind others waits with them while the disk refuses.
        let answers = self.drive(answers).await?;
        for (number, ids, answer) in answers {
            match answer {
                Ok(accepted) => {
                    self.trace.say(|| {
                        format!(
                            "taken in: {}",
                            accepted
                                .iter()
                                .map(|one| format!("{}{} {:?}", one.id, if one.duplicate { " (known)" } else { "" }, one.runs))
                                .collect::<Vec<_>>()
                                .join(", ")
                        )
                    });
                    self.outbox.retain(|delivery| delivery.number != number);
                    for id in ids {
                        if let Some(sent) = self.events.get_mut(&id) {
                            sent.taken_by.get_or_insert(self.process);
                            sent.answered_at.get_or_insert(self.flushes);
                        }
                    }
                }
                Err(AcceptError::Malformed(error)) => return Err(format!("{ids:?} is malformed: {error}")),
                Err(error) => self.trace.say(|| format!("{ids:?} refused: {error}")),
            }
        }
        Ok(())
    }

    /// Returns when the next delivery is due, as the clock will show.
    fn next_delivery(&self) -> Option<Timestamp> {
        let next = self.outbox.iter().map(|delivery| delivery.not_before).min()?;
        let left = next.duration_since(self.clock.steady()).max(SignedDuration::ZERO);
        Some(self.clock.now() + left)
    }

    /// Lets time pass, from one thing that happens to the next.
    async fn pass(&mut self, engine: &Engine, time: SignedDuration) -> Result<(), Wrong> {
        let until = self.clock.now() + time;
        while self.moment(engine, until).await? {}
        self.power.idle().await;
        Ok(())
    }

    /// Goes on to the next thing that happens until an instant; `false` where there is none.
    async fn moment(&mut self, engine: &Engine, until: Timestamp) -> Result<bool, Wrong> {
        self.power.idle().await;
        if self.next_delivery().is_some_and(|next| next <= self.clock.now()) {
            self.flush(engine).await?;
            return Ok(true);
        }
        let next = self.clock.next().into_iter().chain(self.next_delivery()).min();
        match next.filter(|next| *next <= until) {
            Some(next) => {
                self.clock.set(next.max(self.clock.now()));
                Ok(true)
            }
            None => {
                self.clock.set(until.max(self.clock.now()));
                Ok(false)
            }
        }
    }

    /// Waits for something, and lets time pass as it needs it.
    async fn drive<T>(&self, work: impl Future<Output = T>) -> Result<T, Wrong> {
        let time = async {
            for _ in 0..20_000 {
                self.power.idle().await;
                match self.clock.next() {
                    Some(next) => self.clock.set(next.max(self.clock.now())),
                    None => break,
                }
            }
        };
        tokio::select! {
            biased;
            result = work => Ok(result),
            () = time => Err("something does not come to an end".to_owned()),
        }
    }

    fn reload(&mut self, engine: &Engine) {
        let candidates: Vec<usize> = (0..self.flows.len()).filter(|at| !self.flows[*at].by_clock()).collect();
        // The last one hears of deaths, and stays.
        let at = *self.dice.pick(&candidates[..candidates.len() - 1]);
        let versions = self.flows[at].versions.len() as u64;
        self.now_live[at] = if self.dice.percent(15) { None } else { usize::try_from(self.dice.below(versions)).ok() };
        self.trace.say(|| format!("reload: {} is {:?}", self.flows[at].id, self.now_live[at]));
        engine.swap(self.live_flows());
    }

    async fn pause_or_resume(&mut self, engine: &Engine) -> Result<(), Wrong> {
        let candidates: Vec<usize> = (0..self.flows.len() - 1).filter(|at| !self.flows[*at].by_clock()).collect();
        let flow = self.flows[*self.dice.pick(&candidates)].id.clone();
        let paused = engine.paused_since(&flow).is_some();
        self.unsure = Some(flow.clone());
        let done = if paused { self.drive(engine.resume(&flow)).await? } else { self.drive(engine.pause(&flow)).await? };
        if done.is_ok() {
            self.unsure = None;
            if !paused && done == Ok(true) {
                self.paused.insert(flow.clone());
            } else if paused {
                self.paused.remove(&flow);
            }
        }
        self.trace.say(|| format!("{} {flow}: {done:?}", if paused { "resume" } else { "pause" }));
        Ok(())
    }

    async fn by_hand(&mut self, engine: &Engine) -> Result<(), Wrong> {
        let runs = engine.runs(&RunQuery { limit: 100, ..RunQuery::default() }).map_err(|error| error.to_string())?;
        if runs.is_empty() {
            return Ok(());
        }
        let run = self.dice.pick(&runs).id.clone();
        self.touched.insert(run.clone());
        if self.dice.percent(25) {
            let done = self.drive(engine.cancel(&run)).await?;
            self.trace.say(|| format!("cancel {run}: {done:?}"));
            if let Ok(CancelOutcome::NotFound) = done {
                return Err(format!("{run} is gone"));
            }
            return Ok(());
        }
        let force = self.dice.percent(15);
        if force {
            self.forced.insert(run.clone());
        }
        let done = self.drive(engine.retry(&run, force)).await?;
        self.trace.say(|| format!("retry {run}{}: {done:?}", if force { " with force" } else { "" }));
        if let Ok(RetryOutcome::NotFound) = done {
            return Err(format!("{run} is gone"));
        }
        Ok(())
    }

    /// Lets everything come to its end.
    async fn ends(&mut self, engine: &Engine, store: &dyn Store) -> Result<(), Wrong> {
        // What the clock starts goes on for ever.
        if self.flows.iter().any(Edited::by_clock) {
            self.pass(engine, SignedDuration::from_mins(30)).await?;
            for (flow, version) in self.flows.iter().zip(&mut self.now_live) {
                if flow.by_clock() {
                    *version = None;
                }
            }
            engine.swap(self.live_flows());
        }
        let horizon = self.clock.now() + SignedDuration::from_hours(480);
        for _ in 0..20_000 {
            let goes_on = self.moment(engine, horizon).await?;
            self.drive(store.caught_up()).await?.map_err(|error| error.to_string())?;
            let quiet = self.outbox.is_empty() && store.counts().map_err(|error| error.to_string())?.0 == 0;
            if quiet || !goes_on {
                break;
            }
        }
        // What is told of the last deaths, be it together.
        self.pass(engine, SignedDuration::from_mins(30)).await
    }
}
