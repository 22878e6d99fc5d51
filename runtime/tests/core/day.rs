//! A day in which everything happens that the engine knows, lived by the real engine on a disk that may fail.

use std::collections::{BTreeMap, VecDeque};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use flow_plan as plan;
use flow_plan::{AtMost, Effect, Expr, Flow, Instr, Limits, Missed, Otherwise, Rate, Span, Throttle, Wait, WaitFor};
use flow_runtime::engine::{Engine, EngineOptions};
use flow_runtime::event::{Cursor, Incoming};
use flow_runtime::live::Live;
use flow_runtime::run::{Status, replay};
use flow_runtime::store::{EventQuery, Pace, RedbStore, RunHead, RunQuery, Store};
use flow_runtime::world::BoxFuture;
use jiff::Timestamp;

use crate::absence::alarm;
use crate::disk::{SimDisk, Unsynced};
use crate::fixture::*;
use crate::reports::{listener, reported};
use crate::schedules::{every, scheduled};

/// What happens.
#[derive(Debug, Clone, Copy)]
enum Happens {
    /// An event of a customer and a type comes by webhook.
    Comes(&'static str, &'static str),
    /// The service lists so many more items.
    Listed(usize),
    /// The service is asked for what is new, in pages of two.
    Polled,
    /// So many seconds pass.
    Passes(u64),
}

use Happens::{Comes, Listed, Passes, Polled};

/// A day. After it everything is old enough to go, as far as it may.
const DAY: &[Happens] = &[
    Comes("a", "order"),
    Comes("a", "order"),
    Comes("b", "order"),
    Comes("a", "begin"),
    Comes("b", "begin"),
    Listed(3),
    Polled,
    Passes(61),
    Comes("a", "pay"),
    Comes("a", "pay"),
    Comes("a", "once"),
    Comes("a", "reply"),
    Comes("a", "fail"),
    Passes(300),
    Listed(2),
    Polled,
    Comes("a", "order"),
    Comes("b", "once"),
    Passes(500),
    Comes("a", "pay"),
    Comes("b", "order"),
    Passes(3600),
];

const HOUR: u64 = 3600;

/// After so many turns of all others nothing goes on by itself.
const PATIENCE: usize = 2000;

fn typed(kind: &str) -> plan::TriggerUse {
    plan::TriggerUse { types: vec![kind.to_owned()], ..trigger(kind) }
}

/// A flow that a type of events starts, with instructions between its first step and the others.
fn of_type(kind: &str, operations: Vec<plan::Operation>, between: Vec<Instr>, limits: Limits) -> Flow {
    let mut flow = flow(kind, operations);
    let mut calls = std::mem::take(&mut flow.program.instrs).into_iter();
    flow.program.instrs.extend(calls.next());
    flow.program.instrs.extend(between);
    flow.program.instrs.extend(calls);
    flow.triggers = vec![typed(kind)];
    flow.limits = limits;
    rehash(&mut flow);
    flow
}

fn per_name() -> Vec<Expr> {
    vec![Expr::Event(2)]
}

fn flows() -> Vec<Flow> {
    let a_minute = || Instr::Wait(Box::new(Wait::For(Span::exact(60_000))));
    let for_reply = Instr::WaitFor(Box::new(WaitFor {
        trigger: typed("reply"),
        key: Some((0, Expr::Event(2))),
        up_to: Some(Span::exact(600_000)),
        ..wait_for("2", 4)
    }));
    let in_turn = Limits { one_at_a_time: Some(per_name()), ..Limits::default() };
    let at_most = AtMost { count: 1, per: per_name(), every: Rate::Sliding(300_000), otherwise: Otherwise::Queue };
    let throttle = Throttle { count: 1, every: Rate::Sliding(120_000), per: Vec::new() };
    let few = Limits { at_most: vec![at_most], throttle: Some(throttle), ..Limits::default() };
    let drops = AtMost { count: 2, per: Vec::new(), every: Rate::Sliding(7_200_000), otherwise: Otherwise::Drop };
    vec![
        of_type("order", vec![op("keyed_take", keyed()), op("set_mark", Effect::Set)], vec![a_minute()], in_turn),
        of_type("pay", vec![op("keyed_pay", keyed()), op("findable", findable())], Vec::new(), few),
        of_type(
            "begin",
            vec![op("keyed_ask", keyed()), op("keyed_thank", keyed()), op("keyed_remind", keyed())],
            vec![for_reply],
            Limits::default(),
        ),
        of_type("once", vec![op("once", Effect::Once)], Vec::new(), Limits::default()),
        of_type("fail", vec![op("set_fail", Effect::Set)], Vec::new(), Limits::default()),
        of_type("item", vec![op("keyed_item", keyed())], Vec::new(), Limits { at_most: vec![drops], ..Limits::default() }),
        scheduled("tick", every(20 * 60_000, Missed::All)),
        alarm(15, false),
        listener("mourner", "dead"),
    ]
}

fn live_day() -> Live {
    let mut live = reported(flows());
    let mut svc = connection("svc");
    for kind in ["order", "pay", "begin", "reply", "once", "fail", "item"] {
        Arc::make_mut(&mut svc.plan.sources[0]).triggers.insert(kind.to_owned(), vec![kind.to_owned()]);
    }
    live.connections.insert("svc".to_owned(), Arc::new(svc));
    live
}

pub(crate) fn service() -> Arc<Service> {
    let service = Arc::new(Service::default());
    service.fault("keyed_pay", [Fault::TimeoutAfter]);
    service.fault("findable", [Fault::TimeoutAfter]);
    service.fault("set_mark", [Fault::Status(503)]);
    service.always("set_fail", Some(Fault::Status(422)));
    service
}

/// Writes what waits as soon as all others have had their turn.
pub(crate) struct AtOnce;

impl Pace for AtOnce {
    fn next(&self) -> (u32, usize) {
        (1, 1024)
    }

    fn committed(&self) {}

    fn rest(&self) -> BoxFuture<'static, ()> {
        Box::pin(tokio::task::yield_now())
    }
}

/// What has become of everything.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    /// By flow: the event of each run, how it stands, and its steps.
    pub(crate) runs: BTreeMap<String, Vec<(String, String, Vec<String>)>>,
    /// What `why` says of events that started nothing.
    pub(crate) dropped: Vec<String>,
    /// How often each operation had its effect.
    effects: Vec<(String, usize)>,
    cursor: Option<String>,
    paused: Vec<(String, Timestamp)>,
    events: usize,
}

pub(crate) struct Daemon {
    bench: Bench,
    store: Arc<RedbStore>,
    disk: SimDisk,
    /// Behind how many operations the power goes: of this disk, of what it leaves, and so on; and how.
    cuts: VecDeque<(u64, Unsynced)>,
    way: Unsynced,
    /// How often it went.
    outages: usize,
    /// How many items the service lists.
    listed: usize,
    /// The disk refuses now and then.
    is_troubled: bool,
    /// So many events may be refused because of it.
    refusals: u32,
}

impl Daemon {
    /// Starts on a disk. Where the power goes meanwhile, on what it leaves.
    pub(crate) fn start(
        mut disk: SimDisk,
        clock: Arc<ManualClock>,
        service: Arc<Service>,
        mut cuts: VecDeque<(u64, Unsynced)>,
    ) -> Self {
        let mut outages = 0;
        loop {
            let cut = cuts.pop_front();
            let way = cut.map_or(Unsynced::Lost, |(_, way)| way);
            if let Some((operations, _)) = cut {
                disk.off_after(operations);
            }
            let options = EngineOptions { retain: Duration::from_secs(2 * HOUR), ..EngineOptions::default() };
            let store = RedbStore::on_in_turns(Arc::new(disk.clone()), Arc::new(AtOnce)).map(Arc::new);
            let started = store.and_then(|store| {
                Engine::start(Arc::clone(&store) as _, live_day(), world(&clock, &service), options).map(|engine| (store, engine))
            });
            match started {
                Ok((store, engine)) => {
                    let bench = Bench { clock, service, engine };
                    return Self { bench, store, disk, cuts, way, outages, listed: 0, is_troubled: false, refusals: 0 };
                }
                Err(error) => {
                    assert!(disk.is_off(), "it does not start: {error}");
                    outages += 1;
                    disk = disk.after_cut(way);
                }
            }
        }
    }

    /// Lets the disk refuse some operations, and the senders be told so.
    pub(crate) fn troubled(mut self, from: u64, until: u64, error: ErrorKind) -> Self {
        self.disk.refuse(from, until, error);
        self.is_troubled = true;
        self.refusals = u32::try_from(until - from).unwrap();
        self
    }

    /// Returns when everything waits, or as soon as the power has gone: `true`.
    async fn settles(&self) -> bool {
        let off = async {
            while !self.disk.is_off() {
                tokio::task::yield_now().await;
            }
        };
        // While the disk refuses, who writes waits for time to pass.
        let waits = async {
            for _ in 0..PATIENCE {
                tokio::task::yield_now().await;
            }
            if !self.is_troubled {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = off => true,
            () = self.bench.engine.settled() => false,
            () = waits => false,
        }
    }

    /// The power is back: another daemon starts on what is on the disk.
    async fn again(self) -> Self {
        let left = self.disk.after_cut(self.way);
        let (clock, service) = (Arc::clone(&self.bench.clock), Arc::clone(&self.bench.service));
        self.bench.engine.stop(Duration::ZERO).await;
        drop((self.bench, self.store));
        let (outages, listed) = (self.outages + 1, self.listed);
        let next = Self::start(left, clock, service, self.cuts);
        Self { outages: outages + next.outages, listed, ..next }
    }

    /// Takes events in, until they are: who was not answered sends them once more.
    async fn takes(mut self, events: Vec<Incoming>, cursor: Option<Cursor>) -> Self {
        loop {
            let cursor = cursor.clone().map(|cursor| ("events".to_owned(), cursor));
            let sent = self.bench.engine.accept("svc", events.clone(), cursor).await;
            let off = self.settles().await;
            if off {
                self = self.again().await;
            }
            if sent.is_ok() {
                return self;
            }
            if !off {
                // The disk refuses: the sender was told so, and tries again in a moment.
                assert!(self.refusals > 0, "{sent:?}");
                self.refusals -= 1;
                self = self.passes(1).await;
            }
        }
    }

    async fn passes(mut self, seconds: u64) -> Self {
        let until = self.bench.now().checked_add(Duration::from_secs(seconds)).unwrap();
        loop {
            if self.settles().await {
                self = self.again().await;
                continue;
            }
            match self.bench.clock.next().filter(|next| *next <= until) {
                Some(next) => self.bench.set(next).await,
                None if self.bench.now() < until => self.bench.set(until).await,
                None => return self,
            }
        }
    }

    /// Asks the service for what is new until there is nothing.
    async fn polls(mut self) -> Self {
        loop {
            let at = self.cursor().map_or(0, |cursor| cursor.parse().unwrap());
            if at == self.listed {
                return self;
            }
            let next = (at + 2).min(self.listed);
            let items = (at..next).map(|item| event_of(&format!("item_{item}"), "a", "item")).collect();
            let cursor = Cursor { cursor: Some(next.to_string()), ..Cursor::default() };
            self = self.takes(items, Some(cursor)).await;
        }
    }

    fn cursor(&self) -> Option<String> {
        self.bench.engine.cursor("svc", "events").and_then(|cursor| cursor.cursor)
    }

    /// Lives through the day. Returns how all stood in the evening, and when the old had gone.
    pub(crate) async fn lives(self) -> ([Outcome; 2], SimDisk, usize) {
        let mut daemon = self;
        for (number, happens) in DAY.iter().enumerate() {
            daemon = match happens {
                Comes(name, kind) => daemon.takes(vec![event_of(&format!("evt_{number}"), name, kind)], None).await,
                Listed(more) => {
                    daemon.listed += more;
                    daemon
                }
                Polled => daemon.polls().await,
                Passes(seconds) => daemon.passes(*seconds).await,
            };
        }
        let evening = daemon.outcome().await;
        daemon = daemon.passes(3 * HOUR).await;
        let mut later = daemon.outcome().await;
        // What is too old is looked for every hour from the start on: of the newest this or that one is there.
        later.runs.remove("tick");
        daemon.bench.engine.stop(Duration::ZERO).await;
        ([evening, later], daemon.disk.clone(), daemon.outages)
    }

    fn heads(&self) -> Vec<RunHead> {
        let mut heads = self.store.runs(&RunQuery { limit: 1000, ..RunQuery::default() }).unwrap();
        heads.reverse();
        heads
    }

    async fn outcome(&self) -> Outcome {
        let engine = &self.bench.engine;
        let heads = self.heads();
        self.is_in_itself_right(&heads);
        let mut runs = BTreeMap::<String, Vec<_>>::new();
        for head in &heads {
            let run = engine.run(&head.id, true).unwrap().unwrap();
            let steps = run["steps"].as_array().unwrap().iter();
            let steps = steps.map(|step| format!("{} {}", step["path"], step["status"])).collect();
            let status = head.status.as_str().to_owned();
            match head.flow.as_str() {
                // What was in flight when the power went is of unknown outcome, and is announced.
                "once" | "mourner" => {}
                // A silence in which nobody listened begins anew, so that it is noticed later.
                "alarm" => runs.entry(head.flow.clone()).or_default().push((String::new(), status, steps)),
                // Where the disk refused at first it counts from a moment later.
                "tick" => {
                    let minute = head.event_id.get(.."tick@2026-11-22T12:20".len()).unwrap_or_default().to_owned();
                    runs.entry(head.flow.clone()).or_default().push((minute, status, steps));
                }
                _ => runs.entry(head.flow.clone()).or_default().push((head.event_id.clone(), status, steps)),
            }
        }
        runs.values_mut().for_each(|runs| runs.sort());
        let events = engine.events(&EventQuery { limit: 1000, ..EventQuery::default() }).unwrap();
        // That of a dead run stays.
        let is_counted = |kind: Option<&str>| kind != Some("once");
        let from_outside = events.iter().filter(|event| event.connection == "svc" && is_counted(event.event_type.as_deref()));
        let drops = from_outside.clone().flat_map(|event| self.store.drops(event.seq).unwrap());
        let names = ["keyed_take", "set_mark", "keyed_pay", "findable", "keyed_ask", "keyed_thank", "keyed_remind", "keyed_item"];
        Outcome {
            runs,
            dropped: drops.map(|(flow, reason)| format!("{flow}: {reason}")).collect(),
            effects: names.map(|name| (name.to_owned(), self.distinct(name))).to_vec(),
            cursor: self.cursor(),
            paused: self.store.paused().unwrap(),
            events: from_outside.count(),
        }
    }

    /// How many effects an operation had. What is set twice under one key is set once.
    fn distinct(&self, name: &str) -> usize {
        let mut effects = self.bench.service.effects(name);
        let all = effects.len();
        effects.sort();
        effects.dedup();
        if !name.starts_with("set") {
            assert_eq!(all, effects.len(), "{name} was done twice");
        }
        effects.len()
    }

    /// What holds whatever the power did.
    fn is_in_itself_right(&self, heads: &[RunHead]) {
        let flows = flows();
        for head in heads {
            let flow = flows.iter().find(|flow| flow.id == head.flow).unwrap();
            let run = replay(flow, &self.store.journal(&head.id).unwrap());
            assert_eq!((head.status, &head.reason, head.ended_at), (run.status, &run.reason, run.ended_at), "{head:?}");
            assert_eq!((head.wake_at, head.entries, head.waits.held), (run.wake_at(), run.entries, run.is_held()), "{head:?}");
            assert!(self.store.plan(&head.plan).unwrap().is_some(), "{head:?}");
        }
        let of = |flow: &str| heads.iter().filter(|head| head.flow == flow).collect::<Vec<_>>();
        // An effect that may happen once alone is not tried twice, and one of unknown outcome is dead.
        let requests = self.bench.service.requests("once");
        let mut keys: Vec<_> = requests.iter().map(|(_, key)| key).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), requests.len(), "`once` was tried twice");
        for run in of("once") {
            assert!(matches!(run.status, Status::Done | Status::Dead), "{run:?}");
        }
        // Each death is announced, once. The announcements that are done go as all that is done.
        let dead = heads.iter().filter(|head| head.status == Status::Dead).count();
        let mourned = of("mourner").len();
        assert!(mourned == dead || mourned == 0, "{dead} dead, {mourned} announced");
    }
}
