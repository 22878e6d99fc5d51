//! The clock is set forth and back, by a day: each follows its rule, nothing happens twice, and nothing waits for an instant
//! to come once more.

use std::sync::Arc;
use std::time::Duration;

use flow_plan::{
    AtMost, Effect, Gaps, Instr, Limits, Missed, Otherwise, QUOTA_MONTH_MS, Quota, Rate, RateLimit, Span, Throttle, Wait,
};
use flow_runtime::engine::RetryOutcome;
use flow_runtime::live::Live;
use flow_runtime::run::RetryRefusal;
use flow_runtime::store::{MemoryStore, RunQuery};
use jiff::SignedDuration;

use crate::fixture::*;
use crate::schedules::{every, scheduled};
use crate::states::{door, with_states};

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
async fn a_broken_connection_is_tried_after_a_clock_that_is_set_back() {
    let bench = Bench::new(vec![flow("f", vec![op("set", Effect::Set)])]);
    bench.service.always("set", Some(Fault::Status(401)));
    let run = bench.send("evt_1", EVENT).await.runs.remove(0);
    bench.pass(MINUTE * 10).await;
    assert_eq!(bench.status(&run).await, "parked");
    bench.service.always("set", None);
    bench.jump(-24).await;
    // No later than the longest time between two tries.
    bench.pass(MINUTE * 16).await;
    assert_eq!(bench.status(&run).await, "done");
}

#[tokio::test]
async fn a_service_that_does_not_answer_or_asked_for_patience_is_asked_as_soon_as_it_would_have_been() {
    for (fault, waits) in [(Fault::NotConnected, 2), (Fault::RetryAfter(429, 600), 11)] {
        let bench = Bench::new(vec![flow("f", vec![op("set", Effect::Set)])]);
        bench.service.always("set", Some(fault.clone()));
        let mut runs = Vec::new();
        for at in 0..12 {
            runs.push(bench.send(&format!("evt_{at}"), EVENT).await.runs.remove(0));
        }
        bench.pass(MINUTE).await;
        bench.service.always("set", None);
        for hours in [-24, -2] {
            bench.jump(hours).await;
        }
        bench.pass(MINUTE * waits).await;
        for run in runs {
            assert_eq!(bench.status(&run).await, "done", "{fault:?}");
        }
    }
}

/// A connection with a rate, or with a quota.
fn bounded(change: impl Fn(&mut flow_plan::Api)) -> Live {
    let mut live = live(vec![flow("f", vec![op("set", Effect::Set)])]);
    let mut svc = connection("svc");
    change(Arc::make_mut(&mut svc.plan.api));
    live.connections.insert("svc".to_owned(), Arc::new(svc));
    live
}

#[tokio::test]
async fn a_rate_is_kept_and_delays_nothing_by_more_than_its_time() {
    let live = bounded(|api| api.limit = Some(RateLimit { count: 2, per_ms: 600_000 }));
    let bench = Bench::with_live(Arc::new(MemoryStore::new().unwrap()), live, ManualClock::new(), Arc::default());
    for at in 0..6 {
        bench.send(&format!("evt_{at}"), EVENT).await;
    }
    bench.pass(MINUTE * 5).await;
    assert_eq!(bench.service.requests("set").len(), 2);
    bench.jump(-24).await;
    bench.pass(MINUTE * 4).await;
    assert_eq!(bench.service.requests("set").len(), 2, "five minutes are left");
    bench.pass(MINUTE * 2).await;
    assert_eq!(bench.service.requests("set").len(), 4);
    bench.jump(-48).await;
    bench.pass(MINUTE * 11).await;
    assert_eq!(bench.service.requests("set").len(), 6);
}

#[tokio::test]
async fn a_quota_that_a_service_says_is_used_up_is_tried_as_soon_as_it_would_have_been() {
    let quota = Quota { count: 1000, per_ms: QUOTA_MONTH_MS, shared_by: None, spent_on: vec![403] };
    let live = bounded(|api| api.quota = Some(quota.clone()));
    let bench = Bench::with_live(Arc::new(MemoryStore::new().unwrap()), live, ManualClock::new(), Arc::default());
    bench.send("evt_1", EVENT).await;
    bench.pass(MINUTE).await;
    bench.service.always("set", Some(Fault::Status(403)));
    let run = bench.send("evt_2", EVENT).await.runs.remove(0);
    bench.pass(MINUTE).await;
    assert_eq!(bench.status(&run).await, "parked");
    bench.service.always("set", None);
    // In the same month.
    bench.jump(-24 * 5).await;
    bench.pass(MINUTE * 60).await;
    assert_eq!(bench.status(&run).await, "done");
}

#[tokio::test]
async fn a_watch_of_a_quota_goes_on_and_the_month_that_is_counted_is_that_of_the_clock() {
    // Half of what there is for readings is gone: what is left is spread over the rest of the month.
    let quota = Quota { count: 500, per_ms: QUOTA_MONTH_MS, shared_by: None, spent_on: Vec::new() };
    let mut live = with_states(vec![door(Gaps::Verify)]);
    if let Some(svc) = live.connections.get_mut("svc").and_then(Arc::get_mut) {
        Arc::make_mut(&mut svc.plan.api).quota = Some(quota);
    }
    let bench = Bench::with_live(Arc::new(MemoryStore::new().unwrap()), live, ManualClock::new(), Arc::default());
    bench.service.says("door", Some("\"locked\""));
    bench.pass(MINUTE * 60 * 6).await;
    let before = bench.service.requests("door").len();
    assert!((200..260).contains(&before), "{before}");
    bench.jump(-24 * 5).await;
    // 14 days for some 150 readings.
    bench.pass(MINUTE * 60 * 12).await;
    let after = bench.service.requests("door").len() - before;
    assert!((3..20).contains(&after), "{after}");
}

#[tokio::test]
async fn what_a_limit_holds_back_begins_as_soon_as_it_would_have() {
    let hourly = |limits: &mut Limits| {
        let limit = AtMost { count: 1, per: Vec::new(), every: Rate::Sliding(3_600_000), otherwise: Otherwise::Queue };
        limits.at_most = vec![limit];
    };
    let throttled = |limits: &mut Limits| {
        limits.throttle = Some(Throttle { count: 1, every: Rate::Sliding(3_600_000), per: Vec::new() });
    };
    let both: [&dyn Fn(&mut Limits); 2] = [&hourly, &throttled];
    for (number, limit) in both.into_iter().enumerate() {
        let mut flow = flow("f", vec![op("set", Effect::Set)]);
        limit(&mut flow.limits);
        rehash(&mut flow);
        let bench = Bench::new(vec![flow]);
        for at in 0..4 {
            bench.send(&format!("evt_{at}"), EVENT).await;
        }
        bench.pass(MINUTE * 70).await;
        assert_eq!(bench.service.requests("set").len(), 2, "{number}");
        bench.jump(-48).await;
        bench.pass(MINUTE * 45).await;
        assert_eq!(bench.service.requests("set").len(), 2, "{number}: an hour after the one before");
        // What such a limit counts moves with the clock when it is asked, which is when the first of them begins: that is one
        // time of it more, for each that has a place already.
        bench.pass(MINUTE * 80).await;
        assert_eq!(bench.service.requests("set").len(), 3, "{number}");
        bench.pass(MINUTE * 120).await;
        assert_eq!(bench.service.requests("set").len(), 4, "{number}");
    }
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

/// A keyed step whose service remembers keys for a minute, which leaves 48 seconds; nobody answers.
fn forgetful() -> (Bench, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::new().unwrap());
    let bench = Bench::over(Arc::clone(&store) as _, vec![forgets()], ManualClock::new(), Arc::default());
    bench.service.always("keyed", Some(Fault::TimeoutAfter));
    (bench, store)
}

fn forgets() -> flow_plan::Flow {
    flow("f", vec![op("keyed", Effect::Keyed { header: "Idempotency-Key".to_owned(), window_ms: 60_000 })])
}

/// The service answers again, and is not asked: it may have forgotten the key.
async fn is_dead_and_never_repeated(bench: &Bench, run: &str) {
    let asked = bench.service.requests("keyed").len();
    bench.service.always("keyed", None);
    bench.pass(MINUTE * 10).await;
    let told = bench.run(run).await;
    assert_eq!((&told["status"], bench.service.requests("keyed").len()), (&"dead".into(), asked), "{told:#}");
    let reason = told["reason"].as_str().unwrap();
    assert!(reason.contains("the outcome is unknown"), "{reason}");
    // Who asks for it without more is told the same, and who insists has it made with a new key.
    let refused = bench.engine.retry(run, false).await.unwrap();
    assert!(matches!(&refused, RetryOutcome::Refused(RetryRefusal::OutcomeUnknown(_))), "{refused:?}");
    assert_eq!(bench.engine.retry(run, true).await.unwrap(), RetryOutcome::Retried);
    bench.pass(MINUTE).await;
    assert_eq!(bench.status(run).await, "done");
    let requests = bench.service.requests("keyed");
    assert_eq!(requests.len(), asked + 1);
    assert_ne!(requests[asked], requests[0], "a new key");
}

#[tokio::test]
async fn a_key_is_not_sent_for_longer_though_the_clock_is_set_back() {
    for back in [3, 40, 120, 86_400] {
        let (bench, _) = forgetful();
        let run = bench.send("evt_1", EVENT).await.runs.remove(0);
        bench.pass(Duration::from_secs(5)).await;
        bench.leap(SignedDuration::from_secs(-back)).await;
        bench.pass(Duration::from_secs(20)).await;
        assert_eq!(bench.status(&run).await, "waiting", "{back}: 25 seconds of 48");
        bench.pass(Duration::from_secs(24)).await;
        // A minute and more behind its key.
        is_dead_and_never_repeated(&bench, &run).await;
    }
}

#[tokio::test]
async fn a_key_is_not_sent_for_longer_though_the_clock_creeps_back() {
    let (bench, _) = forgetful();
    let run = bench.send("evt_1", EVENT).await.runs.remove(0);
    for _ in 0..98 {
        bench.pass(Duration::from_millis(500)).await;
        bench.leap(SignedDuration::from_millis(-480)).await;
    }
    is_dead_and_never_repeated(&bench, &run).await;
}

#[tokio::test]
async fn a_key_is_not_sent_again_where_a_start_finds_the_clock_behind_it() {
    // With the attempt as the last thing that was written, or with something later; before it would be tried again, or after.
    for (later, waits) in [(0, 0), (30, 0), (30, 700)] {
        let (bench, store) = forgetful();
        let run = bench.send("evt_1", EVENT).await.runs.remove(0);
        bench.pass(Duration::from_secs(3)).await;
        if later > 0 {
            // What it waits for is not the time, but that its connection works again.
            bench.service.always("keyed", Some(Fault::Status(401)));
            bench.pass(Duration::from_secs(later)).await;
        }
        let asked = bench.service.requests("keyed").len();
        bench.leap(SignedDuration::from_secs(-600)).await;
        let (bench, _) = restart(bench, &store, vec![forgets()]).await;
        assert!(asked > 0 && bench.service.requests("keyed").len() <= asked + 1);
        bench.pass(Duration::from_secs(waits)).await;
        is_dead_and_never_repeated(&bench, &run).await;
    }
}

#[tokio::test]
async fn a_key_that_was_sent_behind_a_clock_that_was_set_back_is_sent_as_long_as_any() {
    let (bench, _) = forgetful();
    bench.leap(SignedDuration::from_hours(-1)).await;
    let run = bench.send("evt_1", EVENT).await.runs.remove(0);
    bench.pass(Duration::from_secs(30)).await;
    bench.service.always("keyed", None);
    bench.pass(Duration::from_secs(15)).await;
    assert_eq!(bench.status(&run).await, "done");
}
