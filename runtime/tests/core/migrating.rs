//! Runs that are moved to the live version of their flow.

use std::sync::Arc;
use std::time::Duration;

use flow_plan as plan;
use flow_plan::{Condition, Effect, Expr, Flow, Instr, Limits, Span, Value, Wait, WaitFor};
use flow_runtime::engine::{MoveOutcome, MovedTo, RetryOutcome};
use flow_runtime::journal::{Entry, What};
use flow_runtime::run::{MoveRefusal, Outside, Run, Status, apply, plan_move, replay};
use flow_runtime::store::{MemoryStore, Store};
use proptest::prelude::*;

use crate::fixture::*;
use crate::replay::{any_flow, next, start};

/// Operations one after the other, with a wait behind the first.
fn waiting(operations: &[&str], wait: Wait) -> Flow {
    let mut flow = flow("f", operations.iter().map(|name| op(name, Effect::Set)).collect());
    flow.program.instrs.insert(1, Instr::Wait(Box::new(wait)));
    rehash(&mut flow);
    flow
}

fn minute() -> Wait {
    Wait::For(Span::exact(60_000))
}

fn bench_of(flow: &Flow) -> (Bench, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::new().unwrap());
    let bench = Bench::over(Arc::clone(&store) as _, vec![flow.clone()], ManualClock::new(), Arc::new(Service::default()));
    (bench, store)
}

async fn begin(bench: &Bench) -> String {
    let run = bench.send("evt_1", EVENT).await.runs.remove(0);
    bench.engine.settled().await;
    run
}

async fn moved(bench: &Bench, run: &str) -> MovedTo {
    match bench.engine.migrate(run, false).await.unwrap() {
        MoveOutcome::Moved(moved) => moved,
        other => panic!("{other:?}"),
    }
}

async fn refused(bench: &Bench, run: &str) -> MoveRefusal {
    let dry = bench.engine.migrate(run, true).await.unwrap();
    let real = bench.engine.migrate(run, false).await.unwrap();
    assert_eq!(dry, real, "a dry run says what becomes of it");
    match real {
        MoveOutcome::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_run_that_waits_goes_on_under_the_live_version_and_repeats_nothing() {
    let old = waiting(&["before", "after"], minute());
    let new = waiting(&["before", "note", "after"], minute());
    let (bench, store) = bench_of(&old);
    let run = begin(&bench).await;
    bench.engine.swap(live(vec![new.clone()]));
    let before = store.journal(&run).unwrap();
    let dry = bench.engine.migrate(&run, true).await.unwrap();
    assert!(matches!(&dry, MoveOutcome::Moved(moved) if moved.to == new.hash), "{dry:?}");
    assert_eq!(store.journal(&run).unwrap(), before, "a dry run writes nothing");

    let moved = moved(&bench, &run).await;
    assert_eq!((moved.from.as_str(), moved.to.as_str()), (old.hash.as_str(), new.hash.as_str()));
    assert_eq!(moved.ahead, "the run goes on as it was: waits until 2026-11-22T12:01:00.000Z");
    let shown = bench.run(&run).await;
    assert_eq!((&shown["plan"], shown["status"].as_str()), (&new.hash.clone().into(), Some("waiting")));
    assert_eq!(shown["moves"][0]["to"], new.hash);
    assert_eq!(store.plan(&old.hash).unwrap(), None, "nobody goes by it any more");

    // The plan is in the store, whatever is live at the next start.
    let (bench, _store) = restart(bench, &store, vec![old]).await;
    bench.pass(Duration::from_secs(60)).await;
    assert_eq!(bench.status(&run).await, "done");
    let effects = ["before", "note", "after"].map(|name| bench.service.effects(name).len());
    assert_eq!(effects, [1, 1, 1]);
}

#[tokio::test]
async fn a_dead_run_is_moved_to_the_mended_version_and_tried_again_there() {
    let old = flow("f", vec![op("first", Effect::Once), op("keyed", keyed())]);
    let mut new = old.clone();
    if let Instr::Call(call) = &mut new.program.instrs[1] {
        call.args[0].value = Expr::Const(Value::text("mended@example.com"));
    }
    rehash(&mut new);
    let (bench, _store) = bench_of(&old);
    bench.service.fault("keyed", [Fault::Status(422)]);
    let run = begin(&bench).await;
    assert_eq!(bench.status(&run).await, "dead");
    bench.engine.swap(live(vec![new.clone()]));
    let moved = moved(&bench, &run).await;
    assert_eq!(moved.ahead, "`flowd retry` goes on with step 2 `svc.call_2`");
    assert_eq!(moved.status, Status::Dead, "somebody has to say that it goes on");
    assert_eq!(bench.engine.retry(&run, false).await.unwrap(), RetryOutcome::Retried);
    let shown = bench.run(&run).await;
    assert_eq!(shown["status"], "done", "{shown:#}");
    assert_eq!(shown["steps"][1]["input"]["email"], "mended@example.com");
    assert_eq!(bench.service.effects("first").len(), 1);
    let keys: Vec<String> = bench.service.requests("keyed").into_iter().map(|(_, key)| key).collect();
    assert_ne!(keys[0], keys[1], "the service must not answer with the refusal of before");
}

#[tokio::test]
async fn what_is_done_must_be_the_same() {
    let old = waiting(&["before", "after"], minute());
    let (bench, store) = bench_of(&old);
    let run = begin(&bench).await;
    let journal = store.journal(&run).unwrap();
    let mut other = waiting(&["before", "after"], minute());
    if let Instr::Call(call) = &mut other.program.instrs[0] {
        call.name = "svc.other".to_owned();
    }
    rehash(&mut other);
    let mut another_type = old.clone();
    let mut operation = op("before", Effect::Set);
    operation.answer.shape = None;
    another_type.operations[0] = Arc::new(operation);
    rehash(&mut another_type);
    let mut elsewhere = old.clone();
    elsewhere.triggers[0].name = "failed".to_owned();
    rehash(&mut elsewhere);
    let mut later = waiting(&["before", "after"], minute());
    later.program.instrs.swap(0, 1);
    rehash(&mut later);
    for (flow, reason) in [
        (other, "step 1 `svc.call_1` has been done; in the live version it is `svc.other`"),
        (another_type, "step 1 `svc.call_1` has been done; in the live version its result is of another type"),
        (elsewhere, "the run was started by svc.happened, which does not start the live version"),
        (
            later,
            "step 1 `svc.call_1` has been done; in the live version the run waits until 2026-11-22T12:01:00.000Z at this place",
        ),
    ] {
        bench.engine.swap(live(vec![flow]));
        assert_eq!(refused(&bench, &run).await.to_string(), reason);
    }
    bench.engine.swap(live(Vec::new()));
    assert!(matches!(refused(&bench, &run).await, MoveRefusal::NotLive(_)));
    bench.engine.swap(live(vec![old]));
    assert_eq!(refused(&bench, &run).await, MoveRefusal::Current);
    assert_eq!(store.journal(&run).unwrap(), journal);
    bench.pass(Duration::from_secs(60)).await;
    assert_eq!(bench.status(&run).await, "done", "it goes on as though nothing had been asked");
    bench.engine.swap(live(vec![waiting(&["after"], minute())]));
    assert_eq!(refused(&bench, &run).await, MoveRefusal::Ended(Status::Done));
}

#[tokio::test]
async fn a_step_that_may_have_happened_is_not_left_behind() {
    let old = flow("f", vec![op("once", Effect::Once)]);
    let mut new = old.clone();
    if let Instr::Call(call) = &mut new.program.instrs[0] {
        call.args[0].value = Expr::Const(Value::text("other@example.com"));
    }
    rehash(&mut new);
    let (bench, _store) = bench_of(&old);
    bench.service.fault("once", [Fault::TimeoutAfter]);
    let run = begin(&bench).await;
    assert_eq!(bench.status(&run).await, "dead");
    bench.engine.swap(live(vec![new]));
    assert!(matches!(refused(&bench, &run).await, MoveRefusal::OutcomeUnknown(_)));
    // The same request may be tried again as before: only the rest is another.
    let mut longer = flow("f", vec![op("once", Effect::Once), op("after", Effect::Set)]);
    longer.hash = "longer".to_owned();
    bench.engine.swap(live(vec![longer]));
    moved(&bench, &run).await;
    assert!(matches!(bench.engine.retry(&run, false).await.unwrap(), RetryOutcome::Refused(_)), "still unknown");
    assert_eq!(bench.service.effects("once").len(), 1);
    assert_eq!(bench.engine.retry(&run, true).await.unwrap(), RetryOutcome::Retried);
    assert_eq!(bench.status(&run).await, "done");
    assert_eq!(bench.service.effects("after").len(), 1);
}

#[tokio::test]
async fn a_run_that_awaits_an_event_finds_what_the_live_version_awaits_even_among_those_before() {
    let until = |name: &str| {
        let mut flow = flow("f", vec![op("before", Effect::Set), op("paid", Effect::Set)]);
        let wait = WaitFor {
            trigger: plan::TriggerUse { types: vec!["other".to_owned()], name: "failed".to_owned(), ..trigger("failed") },
            condition: Some(Condition::Test {
                text: format!("name is \"{name}\""),
                expr: Expr::Equal(Box::new(Expr::Awaited(0)), Box::new(Expr::Const(Value::text(name)))),
                reads: Vec::new(),
            }),
            key: Some((0, Expr::Const(Value::text(name)))),
            ..wait_for("2", 3)
        };
        flow.program.instrs.insert(1, Instr::WaitFor(Box::new(wait)));
        rehash(&mut flow);
        flow
    };
    let (bench, _store) = bench_of(&until("a"));
    let run = begin(&bench).await;
    bench.engine.accept("svc", vec![event_of("evt_2", "b", "other")], None).await.unwrap();
    assert_eq!(bench.status(&run).await, "waiting", "another one's");
    bench.engine.swap(live(vec![until("b")]));
    moved(&bench, &run).await;
    assert_eq!(bench.status(&run).await, "done", "the event came before the move");
    assert_eq!(bench.service.effects("paid").len(), 1);
}

#[tokio::test]
async fn a_wait_that_is_gone_lets_the_run_go_on_at_once_and_a_second_move_knows_of_the_first() {
    let old = waiting(&["before", "after"], Wait::For(Span::exact(86_400_000)));
    let without = flow("f", vec![op("before", Effect::Set), op("after", Effect::Set), op("last", Effect::Set)]);
    let (bench, store) = bench_of(&old);
    bench.service.always("after", Some(Fault::Status(422)));
    let run = begin(&bench).await;
    bench.engine.swap(live(vec![without.clone()]));
    let first = moved(&bench, &run).await;
    assert_eq!(first.ahead, "step 2 `svc.call_2` comes");
    assert!(first.notes[0].contains("the wait"), "{first:?}");
    assert_eq!(bench.status(&run).await, "dead");
    // As it was: the wait comes after what is done already, and the step that was refused is begun anew behind it.
    bench.engine.swap(live(vec![old.clone()]));
    let second = moved(&bench, &run).await;
    assert_eq!(second.to, old.hash);
    bench.service.always("after", None);
    assert_eq!(bench.engine.retry(&run, false).await.unwrap(), RetryOutcome::Retried);
    assert_eq!(bench.status(&run).await, "waiting");
    bench.pass(Duration::from_secs(86_400)).await;
    let shown = bench.run(&run).await;
    assert_eq!((shown["status"].as_str(), shown["moves"].as_array().unwrap().len()), (Some("done"), 2), "{shown:#}");
    assert_eq!(bench.service.effects("before").len(), 1);
    assert_eq!(replay(&old, &store.journal(&run).unwrap()).status, Status::Done);
}

#[tokio::test]
async fn runs_that_take_turns_stay_in_their_line() {
    let mut old = waiting(&["before", "after"], minute());
    old.limits = Limits { one_at_a_time: Some(vec![Expr::Event(2)]), ..Limits::default() };
    rehash(&mut old);
    let new = waiting(&["before", "note", "after"], minute());
    let (bench, _store) = bench_of(&old);
    let run = begin(&bench).await;
    let second = bench.send("evt_2", EVENT).await.runs.remove(0);
    bench.engine.swap(live(vec![new.clone()]));
    assert!(refused(&bench, &run).await.to_string().contains("takes turns otherwise"));
    // The same turns under another number of the field.
    let mut same = new;
    same.reads.insert(0, field("id", flow_plan::Shape::Token, true));
    for instr in &mut same.program.instrs {
        if let Instr::Call(call) = instr {
            call.args[0].value = Expr::Event(2);
        }
    }
    same.limits = Limits { one_at_a_time: Some(vec![Expr::Event(3)]), ..Limits::default() };
    rehash(&mut same);
    bench.engine.swap(live(vec![same]));
    moved(&bench, &run).await;
    moved(&bench, &second).await;
    bench.pass(Duration::from_secs(60)).await;
    assert_eq!((bench.status(&run).await.as_str(), bench.status(&second).await.as_str()), ("done", "waiting"));
    bench.pass(Duration::from_secs(60)).await;
    assert_eq!(bench.status(&second).await, "done");
    assert_eq!(bench.service.effects("note").len(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// A journal with a move in it rebuilds the state after each of its entries, through its written form; what was done is
    /// what was done; and nothing of the plan before is needed for it.
    #[test]
    fn a_journal_with_moves_rebuilds_its_state(choices in prop::collection::vec(any::<u8>(), 4..80), when in 2usize..40) {
        let old = any_flow();
        let mut new = any_flow();
        // All instructions stand elsewhere.
        new.program.instrs.insert(0, Instr::Set { local: 7, value: Expr::Const(Value::text("new")) });
        for instr in &mut new.program.instrs {
            match instr {
                Instr::Jump(to) | Instr::Unless { to, .. } => *to += 1,
                Instr::Next { end, .. } => *end += 1,
                Instr::WaitFor(wait) => wait.otherwise += 1,
                Instr::Call(call) => call.on_error.iter_mut().for_each(|handler| handler.to += 1),
                Instr::Set { .. } | Instr::Require(_) | Instr::Each { .. } | Instr::Wait(_) | Instr::Stop { .. } | Instr::Finish => {}
            }
        }
        new.program.on_error.iter_mut().for_each(|handler| handler.to += 1);
        rehash(&mut new);

        let mut journal = vec![start()];
        let mut run = Run::default();
        apply(&old, &mut run, &journal[0]);
        let What::Started(begun) = journal[0].what.clone() else { unreachable!() };
        let outside = Outside { start: &begun, awaited: &|_, _| Some(vec![Value::text("came")]) };
        let mut now = journal[0].at;
        let (mut flow, mut states) = (&old, Vec::new());
        for (at, choice) in choices.into_iter().enumerate() {
            now = now.checked_add(Duration::from_secs(u64::from(choice))).unwrap();
            let may_move = at >= when && flow.hash == old.hash;
            let planned = if may_move { plan_move(&old, &new, &journal, &outside, now).ok() } else { None };
            let what = match planned {
                Some(planned) => What::Moved(Box::new(planned.moved)),
                None => next(&run, choice, now),
            };
            let is_move = matches!(what, What::Moved(_));
            let done = run.steps.clone();
            let entry = Entry::new(now, what);
            if is_move {
                flow = &new;
            }
            apply(flow, &mut run, &entry);
            journal.push(entry);
            if is_move {
                for (known, step) in done.iter().zip(&run.steps) {
                    prop_assert_eq!((&known.path, &known.key, known.status), (&step.path, &step.key, step.status));
                    prop_assert_eq!((&known.inputs, &known.output), (&step.inputs, &step.output));
                }
            }
            if flow.hash == new.hash {
                states.push((journal.len(), run.clone()));
            }
        }
        let written = serde_json::to_string(&journal).unwrap();
        let read: Vec<Entry> = serde_json::from_str(&written).unwrap();
        for (length, state) in states {
            prop_assert_eq!(&replay(&new, &read[..length]), &state);
        }
    }
}
