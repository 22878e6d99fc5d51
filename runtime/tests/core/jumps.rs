//! The clock is set forth and back, by a day: each follows its rule, nothing happens twice, and nothing waits for an instant
//! to come once more.

use std::sync::Arc;
use std::time::Duration;

use flow_plan::{Effect, Instr, Missed, Span, Wait};
use flow_runtime::store::{MemoryStore, RunQuery};
use jiff::SignedDuration;

use crate::fixture::*;
use crate::schedules::{every, scheduled};

const MINUTE: Duration = Duration::from_secs(60);

impl Bench {
    /// Sets the clock by so many hours.
    async fn jump(&self, hours: i64) {
        self.engine.settled().await;
        self.set(self.now().checked_add(SignedDuration::from_hours(hours)).unwrap()).await;
        self.engine.settled().await;
    }
}

#[tokio::test]
async fn a_pause_before_another_attempt_is_no_longer_for_a_clock_that_is_set_back() {
    let bench = Bench::new(vec![flow("f", vec![op("keyed", keyed())])]);
    bench.service.fault("keyed", [Fault::Status(503), Fault::TimeoutAfter, Fault::Status(503)]);
    let run = bench.send("evt_1", EVENT).await.runs.remove(0);
    assert_eq!(bench.status(&run).await, "waiting");
    bench.jump(-24).await;
    // The pause is over, and the next one is as long as any.
    bench.pass(MINUTE).await;
    assert_eq!(bench.status(&run).await, "done");
    let requests = bench.service.requests("keyed");
    assert_eq!((requests.len(), bench.service.effects("keyed").len()), (4, 1));
    assert!(requests.iter().all(|request| *request == requests[0]), "one key: {requests:?}");
}

#[tokio::test]
async fn a_store_that_refused_is_tried_again_after_a_clock_that_is_set_back() {
    let store = Arc::new(MemoryStore::new().unwrap());
    let bench = Bench::over(
        Arc::clone(&store) as _,
        vec![flow("f", vec![op("keyed", keyed())])],
        ManualClock::new(),
        Arc::new(Service::default()),
    );
    store.faults().fail_after(2);
    let run = bench.send("evt_1", EVENT).await.runs.remove(0);
    // It is tried again in a second.
    let next = bench.now().checked_add(SignedDuration::from_secs(1)).unwrap();
    while store.faults().refused() < 1 || bench.clock.next() != Some(next) {
        tokio::task::yield_now().await;
        std::thread::yield_now();
    }
    store.faults().heal();
    bench.set(bench.now().checked_sub(SignedDuration::from_hours(24)).unwrap()).await;
    bench.engine.settled().await;
    assert_eq!(bench.status(&run).await, "done");
    assert_eq!(bench.service.effects("keyed").len(), 1);
}

#[tokio::test]
async fn waits_go_by_the_clock() {
    let mut waits = flow("f", vec![op("set", Effect::Set)]);
    waits.program.instrs.insert(0, Instr::Wait(Box::new(Wait::For(Span::exact(2 * 3_600_000)))));
    rehash(&mut waits);
    let bench = Bench::new(vec![waits]);
    let run = bench.send("evt_1", EVENT).await.runs.remove(0);
    bench.jump(-24).await;
    bench.pass(MINUTE * 60 * 25).await;
    assert_eq!(bench.status(&run).await, "waiting", "its instant has not come");
    bench.pass(MINUTE * 60).await;
    assert_eq!(bench.status(&run).await, "done");
    // Forth: what became due is done at once, and once.
    let run = bench.send("evt_2", EVENT).await.runs.remove(0);
    bench.jump(24).await;
    assert_eq!(bench.status(&run).await, "done");
    bench.jump(-24).await;
    bench.pass(MINUTE * 60 * 30).await;
    assert_eq!(bench.service.requests("set").len(), 2);
}

#[tokio::test]
async fn what_is_known_stays_known() {
    let bench = Bench::new(vec![flow("f", vec![op("set", Effect::Set)])]);
    bench.send("evt_1", EVENT).await;
    for hours in [24, -48, 24, 240, -480] {
        bench.jump(hours).await;
        assert!(bench.send("evt_1", EVENT).await.duplicate, "after {hours} hours");
    }
    assert_eq!(bench.started("f").len(), 1);
    bench.send("evt_2", EVENT).await;
    bench.pass(MINUTE).await;
    assert_eq!(bench.service.requests("set").len(), 2);
}

#[tokio::test]
async fn an_instant_of_a_schedule_fires_once_and_the_next_one_is_not_waited_for_a_day() {
    for missed in [Missed::Skip, Missed::All] {
        let bench = Bench::new(vec![scheduled("f", every(3_600_000, missed.clone()))]);
        bench.pass(MINUTE * 150).await;
        assert_eq!(bench.started("f").len(), 2);
        // Back into what has been: those instants have fired.
        bench.jump(-2).await;
        bench.pass(MINUTE * 60).await;
        assert_eq!(bench.started("f").len(), 2, "{missed:?}");
        bench.pass(MINUTE * 60 * 2).await;
        let started = bench.started("f");
        assert!(started.len() >= 3, "{missed:?}: {started:?}");
        // A day forth, and back again: it goes on within the hour after what has fired.
        bench.jump(24).await;
        bench.jump(-24).await;
        let before = bench.started("f").len();
        bench.pass(MINUTE * 61).await;
        if missed == Missed::Skip {
            assert_eq!(bench.started("f").len(), before + 1, "{:?}", bench.started("f"));
        }
        bench.pass(MINUTE * 60 * 30).await;
        let mut ids = bench.started("f");
        let all = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), all, "{missed:?}: an instant has fired twice");
    }
}

#[tokio::test]
async fn nothing_is_pruned_for_a_clock_that_went_forth_but_what_is_that_old_by_it() {
    let bench = Bench::new(vec![flow("f", vec![op("set", Effect::Set)])]);
    bench.send("evt_1", EVENT).await;
    bench.pass(MINUTE).await;
    bench.jump(24 * 34).await;
    bench.pass(MINUTE * 61).await;
    assert_eq!(bench.engine.runs(&RunQuery { limit: 10, ..RunQuery::default() }).unwrap().len(), 0);
    // The key of its start is kept longer than it.
    let again = bench.send("evt_1", EVENT).await;
    assert_eq!((again.duplicate, again.runs.len()), (false, 0));
}
