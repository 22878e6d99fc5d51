//! Random events, restarts and steps of the clock against a simple model of each limit: when does which event begin?

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use flow_plan::{AtMost, CalendarUnit, Expr, Flow, Instr, Limits, Otherwise, Rate, Span, Throttle, Wait, WhileRunning, Window};
use flow_runtime::store::MemoryStore;
use proptest::prelude::*;

use crate::fixture::*;

#[derive(Debug, Clone)]
enum Op {
    /// An event of one of three customers.
    Comes(u8),
    Passes(u64),
    Restarts,
}

fn any_ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => (0u8..3).prop_map(Op::Comes),
        3 => (1u64..40).prop_map(Op::Passes),
        1 => (3_000u64..50_000).prop_map(Op::Passes),
        1 => Just(Op::Restarts),
    ];
    prop::collection::vec(op, 1..40)
}

/// The seconds at which the events begin, counted from the start; `None` for those that do not.
type Begins = Vec<Option<u64>>;

/// A limit as it may be understood: it is told of each event with its customer and second, and says when it begins.
fn expected(ops: &[Op], mut model: impl FnMut(u8, u64) -> Option<u64>) -> Begins {
    let (mut now, mut begins) = (0, Vec::new());
    for op in ops {
        match op {
            Op::Comes(customer) => begins.push(model(*customer, now)),
            Op::Passes(seconds) => now += seconds,
            Op::Restarts => {}
        }
    }
    begins
}

async fn found(flow: Flow, ops: &[Op]) -> Begins {
    let mut store = Arc::new(MemoryStore::new().unwrap());
    let flows = vec![flow];
    let mut bench = Bench::over(Arc::clone(&store) as _, flows.clone(), ManualClock::new(), Arc::new(Service::default()));
    let zero = bench.now();
    let mut runs = Vec::new();
    for (number, op) in ops.iter().enumerate() {
        match op {
            Op::Comes(customer) => {
                let event = event_of(&format!("evt_{number}"), &format!("customer_{customer}"), "happened");
                let accepted = bench.engine.accept("svc", vec![event], None).await.unwrap().remove(0);
                runs.push(accepted.runs.into_iter().next());
                bench.engine.settled().await;
            }
            Op::Passes(seconds) => bench.pass(Duration::from_secs(*seconds)).await,
            Op::Restarts => (bench, store) = restart(bench, &store, flows.clone()).await,
        }
    }
    bench.pass(Duration::from_secs(10 * 86_400)).await;
    let mut begins = Vec::new();
    for run in runs {
        let Some(run) = run else {
            begins.push(None);
            continue;
        };
        let run = bench.run(&run).await;
        let began = run["waits"][0]["began_at"].as_str().or(run["steps"][0]["attempts"][0]["at"].as_str());
        begins.push(began.map(|began| u64::try_from(at(began).as_second() - zero.as_second()).unwrap()));
    }
    bench.engine.stop(Duration::ZERO).await;
    begins
}

fn limited(limits: Limits, length: Option<u64>) -> Flow {
    let mut flow = flow("f", vec![op("keyed", keyed())]);
    flow.limits = limits;
    if let Some(length) = length {
        let wait = Wait::For(Span::exact(i64::try_from(length * 1000).unwrap()));
        flow.program.instrs.insert(0, Instr::Wait(Box::new(wait)));
    }
    rehash(&mut flow);
    flow
}

fn per_customer() -> Vec<Expr> {
    vec![Expr::Event(2)]
}

fn at_most(count: u32, every: Rate, otherwise: Otherwise) -> Limits {
    Limits { at_most: vec![AtMost { count, per: per_customer(), every, otherwise }], ..Limits::default() }
}

fn agrees(
    limits: Limits,
    length: Option<u64>,
    ops: &[Op],
    model: impl FnMut(u8, u64) -> Option<u64>,
) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let found = runtime.block_on(found(limited(limits, length), ops));
    prop_assert_eq!(found, expected(ops, model));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn at_most_in_a_sliding_time(ops in any_ops(), count in 1u32..4) {
        let mut starts: BTreeMap<u8, Vec<u64>> = BTreeMap::new();
        agrees(at_most(count, Rate::Sliding(60_000), Otherwise::Drop), None, &ops, |customer, now| {
            let starts = starts.entry(customer).or_default();
            let recent = starts.iter().filter(|start| **start + 60 > now).count();
            (recent < count as usize).then(|| { starts.push(now); now })
        })?;
    }

    #[test]
    fn at_most_in_a_day(ops in any_ops(), count in 1u32..3) {
        let every = Rate::Calendar { unit: CalendarUnit::Day, zone: "UTC".to_owned() };
        let mut starts: BTreeMap<(u8, u64), u32> = BTreeMap::new();
        agrees(at_most(count, every, Otherwise::Drop), None, &ops, |customer, now| {
            // It begins at noon.
            let today = starts.entry((customer, (now + 43_200) / 86_400)).or_default();
            (*today < count).then(|| { *today += 1; now })
        })?;
    }

    #[test]
    fn at_most_otherwise_queue(ops in any_ops(), count in 1u32..4) {
        let mut starts: BTreeMap<u8, Vec<u64>> = BTreeMap::new();
        agrees(at_most(count, Rate::Sliding(60_000), Otherwise::Queue), None, &ops, |customer, now| {
            let starts = starts.entry(customer).or_default();
            let free = starts.len().checked_sub(count as usize).map_or(now, |nth| now.max(starts[nth] + 60));
            starts.push(free);
            Some(free)
        })?;
    }

    #[test]
    fn throttle(ops in any_ops(), count in 1u32..4) {
        let throttle = Throttle { count, every: Rate::Sliding(60_000), per: Vec::new() };
        let mut starts: Vec<u64> = Vec::new();
        agrees(Limits { throttle: Some(throttle), ..Limits::default() }, None, &ops, |_, now| {
            let free = starts.len().checked_sub(count as usize).map_or(now, |nth| now.max(starts[nth] + 60));
            starts.push(free);
            Some(free)
        })?;
    }

    #[test]
    fn once_per(ops in any_ops()) {
        let mut known = BTreeSet::new();
        agrees(Limits { once_per: Some(per_customer()), ..Limits::default() }, None, &ops, |customer, now| {
            known.insert(customer).then_some(now)
        })?;
    }

    #[test]
    fn window(ops in any_ops(), count in 1u32..4) {
        let window = Window { count, within: Span::exact(60_000), per: per_customer() };
        let mut came: BTreeMap<u8, Vec<u64>> = BTreeMap::new();
        agrees(Limits { window: Some(window), ..Limits::default() }, None, &ops, |customer, now| {
            let came = came.entry(customer).or_default();
            came.push(now);
            came.retain(|at| at + 60 >= now);
            (came.len() >= count as usize).then(|| { came.clear(); now })
        })?;
    }

    #[test]
    fn one_at_a_time(ops in any_ops(), length in 1u64..90) {
        let mut free: BTreeMap<u8, u64> = BTreeMap::new();
        agrees(Limits { one_at_a_time: Some(per_customer()), ..Limits::default() }, Some(length), &ops, |customer, now| {
            let free = free.entry(customer).or_default();
            let begins = now.max(*free);
            *free = begins + length;
            Some(begins)
        })?;
    }

    #[test]
    fn while_running_skip(ops in any_ops(), length in 1u64..90) {
        let mut free = 0;
        agrees(Limits { while_running: Some(WhileRunning::Skip), ..Limits::default() }, Some(length), &ops, |_, now| {
            (now >= free).then(|| { free = now + length; now })
        })?;
    }

    #[test]
    fn while_running_restart_and_at_most(ops in any_ops(), length in 1u64..90) {
        let mut limits = at_most(2, Rate::Sliding(60_000), Otherwise::Drop);
        limits.while_running = Some(WhileRunning::Restart);
        let mut starts: BTreeMap<u8, Vec<u64>> = BTreeMap::new();
        agrees(limits, Some(length), &ops, |customer, now| {
            let starts = starts.entry(customer).or_default();
            let recent = starts.iter().filter(|start| **start + 60 > now).count();
            (recent < 2).then(|| { starts.push(now); now })
        })?;
    }

    #[test]
    fn one_at_a_time_and_a_throttle(ops in any_ops(), length in 1u64..90) {
        let throttle = Throttle { count: 1, every: Rate::Sliding(60_000), per: Vec::new() };
        let limits = Limits { one_at_a_time: Some(Vec::new()), throttle: Some(throttle), ..Limits::default() };
        let (mut free, mut last) = (0, None);
        agrees(limits, Some(length), &ops, |_, now| {
            let turn = now.max(free);
            let begins = last.map_or(turn, |last: u64| turn.max(last + 60));
            last = Some(begins);
            free = begins + length;
            Some(begins)
        })?;
    }
}
