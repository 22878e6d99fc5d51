//! The power goes after each write in turn: the run comes to the same end, and no effect is made under two keys.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use flow_plan::{Effect, Flow};
use flow_runtime::store::{MemoryStore, RunQuery};

use crate::fixture::*;

fn flows() -> Vec<Flow> {
    vec![flow("f", vec![op("read", Effect::Read), op("keyed", keyed()), op("findable", findable()), op("set", Effect::Set)])]
}

fn with_faults() -> Arc<Service> {
    let service = Arc::new(Service::default());
    service.fault("keyed", [Fault::TimeoutAfter]);
    service.fault("findable", [Fault::TimeoutBefore]);
    service.fault("set", [Fault::Status(503)]);
    service
}

#[tokio::test]
async fn cut_after_each_write() {
    let undisturbed = Arc::new(MemoryStore::new().unwrap());
    let bench = Bench::over(Arc::clone(&undisturbed) as _, flows(), ManualClock::new(), with_faults());
    let run = bench.send("evt_1", EVENT).await.runs.remove(0);
    bench.pass(Duration::from_secs(3600)).await;
    let expected = bench.run(&run).await;
    assert_eq!(expected["status"], "done");
    let commits = undisturbed.faults().commits();
    assert!(commits >= 8, "{commits}");

    for cut in 1..=commits {
        let (clock, service) = (ManualClock::new(), with_faults());
        let store = Arc::new(MemoryStore::new().unwrap());
        // The store takes `cut` commits and no more: what the daemon does after them, it does in vain.
        store.faults().fail_after(cut);
        let before = Bench::over(Arc::clone(&store) as _, flows(), Arc::clone(&clock), Arc::clone(&service));
        let began = before.engine.accept("svc", vec![incoming("evt_1", EVENT)], None).await;
        // On to the last write, and some way beyond.
        let mut beyond = 0;
        while beyond < 50 {
            tokio::task::yield_now().await;
            std::thread::yield_now();
            let next = clock.next().filter(|next| *next < at("2026-11-22T13:30:00Z"));
            // Two operations may share a commit, so that there are fewer than undisturbed.
            beyond += usize::from(store.faults().commits() == cut || next.is_none());
            if let Some(next) = next {
                clock.set(next);
            }
        }
        before.engine.stop(Duration::ZERO).await;
        drop(before);

        let rest = Arc::new(store.copy().unwrap());
        let after = Bench::over(rest, flows(), clock, Arc::clone(&service));
        if began.is_err() {
            after.send("evt_1", EVENT).await;
        }
        after.pass(Duration::from_secs(3 * 3600)).await;
        let found = after.run(&run).await;
        assert_eq!(found["status"], "done", "cut after {cut}: {found}");
        let steps = |run: &serde_json::Value| -> Vec<String> {
            run["steps"].as_array().unwrap().iter().map(|step| format!("{} {}", step["path"], step["status"])).collect()
        };
        assert_eq!(steps(&found), steps(&expected), "cut after {cut}");
        for name in ["keyed", "findable"] {
            assert_eq!(service.effects(name).len(), 1, "{name}, cut after {cut}");
        }
        for name in ["keyed", "findable", "set"] {
            let keys: BTreeSet<_> = service.requests(name).into_iter().map(|(_, key)| key).collect();
            assert_eq!(keys.len(), 1, "{name} under one key, cut after {cut}");
        }
        assert_eq!(after.engine.runs(&RunQuery { limit: 10, ..RunQuery::default() }).unwrap().len(), 1);
    }
}

#[tokio::test]
async fn once_is_not_repeated_after_a_crash_between_intent_and_result() {
    let store = Arc::new(MemoryStore::new().unwrap());
    let (clock, service) = (ManualClock::new(), Arc::new(Service::default()));
    let flows = || vec![flow("f", vec![op("once", Effect::Once)])];
    let before = Bench::over(Arc::clone(&store) as _, flows(), Arc::clone(&clock), Arc::clone(&service));
    service.fault("once", [Fault::Hang]);
    let run = before.send("evt_1", EVENT).await.runs.remove(0);
    while service.requests("once").is_empty() {
        tokio::task::yield_now().await;
    }
    let after = Bench::over(Arc::new(store.copy().unwrap()), flows(), clock, Arc::clone(&service));
    after.pass(Duration::from_secs(86_400)).await;
    let found = after.run(&run).await;
    assert_eq!(found["status"], "dead");
    assert!(found["reason"].as_str().unwrap().contains("the daemon ended before the answer came"), "{found}");
    assert_eq!(service.requests("once").len(), 1);
    before.engine.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn ids_and_keys_are_equal_even_if_the_store_is_lost() {
    let service = Arc::new(Service::default());
    let mut runs = Vec::new();
    for _ in 0..2 {
        let store = Arc::new(MemoryStore::new().unwrap());
        let bench = Bench::over(store, flows(), ManualClock::new(), Arc::clone(&service));
        runs.extend(bench.send("evt_1", EVENT).await.runs);
        bench.pass(Duration::from_secs(60)).await;
    }
    assert_eq!(runs[0], runs[1]);
    assert_eq!(service.effects("keyed").len(), 1, "the service saw the same key");
}
