//! The power goes after each write in turn, in flows with limits and waits: what has started, what was dropped and what was
//! done in the end is what it would have been.

use std::sync::Arc;
use std::time::Duration;

use flow_plan as plan;
use flow_plan::{AtMost, Expr, Flow, Instr, Limits, Otherwise, Rate, Span, Throttle, Wait, WaitFor, WhileRunning, Window};
use flow_runtime::run::replay;
use flow_runtime::store::{MemoryStore, RunQuery, Store};
use jiff::Timestamp;

use crate::fixture::*;

/// What happens.
#[derive(Debug, Clone, Copy)]
enum Happens {
    /// An event of a customer and a type comes.
    Comes(&'static str, &'static str),
    /// So many seconds pass.
    Passes(u64),
}

use Happens::{Comes, Passes};

/// What has become of everything.
#[derive(Debug, PartialEq)]
struct Outcome {
    events: Vec<OfEvent>,
    /// How often each operation had its effect.
    effects: Vec<usize>,
    paused: bool,
}

/// An event with the runs that it started, their statuses, and what `why` says of it.
type OfEvent = (String, Vec<(String, String)>, Vec<String>);

struct Daemon {
    bench: Bench,
    store: Arc<MemoryStore>,
    flow: Flow,
}

impl Daemon {
    fn start(flow: Flow, cut: Option<u64>) -> Self {
        let store = Arc::new(MemoryStore::new().unwrap());
        if let Some(cut) = cut {
            store.faults().fail_after(cut);
        }
        let bench = Bench::over(Arc::clone(&store) as _, vec![flow.clone()], ManualClock::new(), Arc::new(Service::default()));
        Self { bench, store, flow }
    }

    /// Returns when everything waits, or as soon as a write failed: `true`.
    async fn settles(&self) -> bool {
        let faults = self.store.faults();
        let cut = async {
            while faults.refused() == 0 {
                tokio::task::yield_now().await;
                std::thread::yield_now();
            }
        };
        tokio::select! {
            biased;
            () = cut => true,
            () = self.bench.engine.settled() => false,
        }
    }

    /// The daemon is gone, and another one starts on what is on disk.
    async fn again(self) -> Self {
        let flow = self.flow;
        let (bench, store) = restart(self.bench, &self.store, vec![flow.clone()]).await;
        Self { bench, store, flow }
    }

    async fn comes(self, id: &str, name: &str, event_type: &str) -> Self {
        let sent = self.bench.engine.accept("svc", vec![event_of(id, name, event_type)], None).await;
        let cut = self.settles().await;
        if !cut {
            sent.unwrap();
            return self;
        }
        let again = self.again().await;
        // Who was not answered sends it once more; so does many a one who was.
        again.bench.engine.accept("svc", vec![event_of(id, name, event_type)], None).await.unwrap();
        again.bench.engine.settled().await;
        again
    }

    async fn passes(self, until: Timestamp) -> Self {
        let mut daemon = self;
        loop {
            if daemon.settles().await {
                daemon = daemon.again().await;
                continue;
            }
            let next = daemon.bench.clock.next().filter(|next| *next <= until).unwrap_or(until);
            daemon.bench.clock.set(next);
            for _ in 0..5 {
                tokio::task::yield_now().await;
            }
            if next == until {
                break;
            }
        }
        if daemon.settles().await { daemon.again().await } else { daemon }
    }

    async fn lives(self, story: &[Happens]) -> Outcome {
        let mut daemon = self;
        let mut ids = Vec::new();
        for (number, happens) in story.iter().enumerate() {
            match happens {
                Comes(name, event_type) => {
                    let id = format!("evt_{number}");
                    daemon = daemon.comes(&id, name, event_type).await;
                    ids.push(id);
                }
                Passes(seconds) => {
                    let until = daemon.bench.now().checked_add(Duration::from_secs(*seconds)).unwrap();
                    daemon = daemon.passes(until).await;
                }
            }
        }
        daemon.heads_are_what_journals_say();
        let engine = &daemon.bench.engine;
        let events = ids.into_iter().map(|id| {
            let event = engine.event(&id).unwrap().remove(0);
            let runs = engine.runs_of_event(event.seq).unwrap();
            let heads = runs.iter().map(|run| engine.run_head(run).unwrap().unwrap());
            let statuses = heads.map(|head| (head.id, head.status.as_str().to_owned())).collect();
            let why = engine.why(&event, Some("f"), true).unwrap();
            (id, statuses, why.into_iter().map(|why| why.reason).collect())
        });
        let effects = ["keyed_before", "after", "keyed_late"].map(|name| daemon.bench.service.effects(name).len());
        let outcome = Outcome { events: events.collect(), effects: effects.to_vec(), paused: engine.paused_since("f").is_some() };
        engine.stop(Duration::ZERO).await;
        outcome
    }

    /// The store writes some entries and heads by itself: they say the same.
    fn heads_are_what_journals_say(&self) {
        for head in self.store.runs(&RunQuery { limit: 1000, ..RunQuery::default() }).unwrap() {
            let run = replay(&self.flow, &self.store.journal(&head.id).unwrap());
            assert_eq!((head.status, &head.reason, head.ended_at), (run.status, &run.reason, run.ended_at), "{head:?}");
            assert_eq!((head.wake_at, head.entries, head.waits.held), (run.wake_at(), run.entries, run.is_held()), "{head:?}");
        }
    }
}

/// Two steps that can be told apart, and what stands between them.
fn steps(between: Vec<Instr>, limits: Limits) -> Flow {
    let mut flow = flow("f", vec![op("keyed_before", keyed()), op("after", findable()), op("keyed_late", keyed())]);
    let calls = std::mem::take(&mut flow.program.instrs);
    flow.program.instrs = vec![calls[0].clone()];
    flow.program.instrs.extend(between);
    flow.program.instrs.extend([calls[1].clone(), Instr::Finish, calls[2].clone()]);
    flow.limits = limits;
    rehash(&mut flow);
    flow
}

fn a_minute() -> Instr {
    Instr::Wait(Box::new(Wait::For(Span::exact(60_000))))
}

fn for_other() -> Instr {
    Instr::WaitFor(Box::new(WaitFor {
        trigger: plan::TriggerUse { types: vec!["other".to_owned()], name: "failed".to_owned(), ..trigger("failed") },
        key: Some((0, Expr::Event(2))),
        up_to: Some(Span::exact(600_000)),
        ..wait_for("2", 4)
    }))
}

async fn survives(flow: Flow, story: &[Happens]) {
    let expected = Daemon::start(flow.clone(), None).lives(story).await;
    for cut in 0.. {
        let daemon = Daemon::start(flow.clone(), Some(cut));
        let faults = daemon.store.faults();
        let found = daemon.lives(story).await;
        assert_eq!(found, expected, "cut after {cut} writes");
        if faults.refused() == 0 {
            assert!(cut > 4, "{cut} writes in all");
            break;
        }
    }
}

fn per_name() -> Vec<Expr> {
    vec![Expr::Event(2)]
}

fn at_most(otherwise: Otherwise) -> Limits {
    let limit = AtMost { count: 1, per: per_name(), every: Rate::Sliding(300_000), otherwise };
    Limits { at_most: vec![limit], ..Limits::default() }
}

const STORY: &[Happens] = &[
    Comes("a", "happened"),
    Comes("a", "happened"),
    Comes("b", "happened"),
    Passes(100),
    Comes("a", "happened"),
    Passes(301),
    Comes("a", "happened"),
    Passes(1500),
    Comes("a", "happened"),
    Passes(1500),
];

#[tokio::test]
async fn at_most_and_once_per() {
    survives(steps(Vec::new(), at_most(Otherwise::Drop)), STORY).await;
    survives(steps(Vec::new(), at_most(Otherwise::Queue)), STORY).await;
    survives(steps(Vec::new(), Limits { once_per: Some(per_name()), ..Limits::default() }), STORY).await;
}

#[tokio::test]
async fn at_most_pause() {
    survives(steps(Vec::new(), at_most(Otherwise::Pause)), STORY).await;
}

#[tokio::test]
async fn windows() {
    let window = Window { count: 2, within: Span::exact(300_000), per: per_name() };
    survives(steps(Vec::new(), Limits { window: Some(window), ..Limits::default() }), STORY).await;
}

#[tokio::test]
async fn throttles() {
    let throttle = Throttle { count: 1, every: Rate::Sliding(120_000), per: Vec::new() };
    survives(steps(Vec::new(), Limits { throttle: Some(throttle), ..Limits::default() }), STORY).await;
}

#[tokio::test]
async fn turns() {
    survives(steps(vec![a_minute()], Limits { one_at_a_time: Some(per_name()), ..Limits::default() }), STORY).await;
    let throttle = Throttle { count: 1, every: Rate::Sliding(120_000), per: Vec::new() };
    let both = Limits { one_at_a_time: Some(Vec::new()), throttle: Some(throttle), ..Limits::default() };
    survives(steps(vec![a_minute()], both), STORY).await;
}

#[tokio::test]
async fn while_running() {
    for policy in [WhileRunning::Skip, WhileRunning::Restart, WhileRunning::Queue] {
        survives(steps(vec![a_minute()], Limits { while_running: Some(policy), ..Limits::default() }), STORY).await;
    }
}

#[tokio::test]
async fn waits_for_an_instant() {
    survives(steps(vec![a_minute()], Limits::default()), &[Comes("a", "happened"), Passes(30), Passes(300)]).await;
}

#[tokio::test]
async fn waits_for_an_event() {
    let story = [
        Comes("a", "other"),
        Comes("a", "happened"),
        Comes("b", "happened"),
        Comes("b", "other"),
        Passes(30),
        Comes("b", "other"),
        Comes("c", "happened"),
        Comes("a", "other"),
        Passes(3600),
    ];
    survives(steps(vec![for_other()], Limits::default()), &story).await;
}
