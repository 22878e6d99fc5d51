//! A run is its journal: replaying any part of it gives the state that the part led to.

use flow_plan::{Duration, Effect as Class, ErrorHandler, Expr, Flow, Instr, Span, Value, Wait, WaitFor};
use flow_runtime::event::Via;
use flow_runtime::journal::{Came, Entry, EventHead, Held, Outcome, Start, What};
use flow_runtime::run::{Effect, Run, Status, apply, replay};
use jiff::Timestamp;
use proptest::prelude::*;

use crate::fixture::*;

fn paris() -> Option<String> {
    Some("Europe/Paris".to_owned())
}

/// A flow with a loop, a branch, a handler, waits, and a step of each class.
pub(crate) fn any_flow() -> Flow {
    let operations = vec![
        op("read", Class::Read),
        op("set", Class::Set),
        op("keyed", keyed()),
        op("findable", findable()),
        op("once", Class::Once),
    ];
    let mut flow = flow("f", operations);
    let mut calls: Vec<Instr> = std::mem::take(&mut flow.program.instrs);
    for call in &mut calls {
        if let Instr::Call(call) = call {
            call.loops = vec![1];
            call.result = Some(4);
        }
    }
    if let Instr::Call(call) = &mut calls[1] {
        call.on_error = Some(ErrorHandler { to: 5, error: 3 });
    }
    let list = ["a", "b"].map(|item| Expr::Const(Value::text(item))).to_vec();
    flow.program.instrs = vec![
        Instr::Each { list: Expr::List(list), into: 0, counter: 1, up_to: 10 },
        Instr::Next { list: 0, counter: 1, item: 2, end: 10 },
        calls[0].clone(),
        Instr::Unless { condition: Expr::IsPresent(Box::new(Expr::Local(4))), to: 5 },
        calls[1].clone(),
        calls[2].clone(),
        Instr::Wait(Box::new(Wait::For(Span { length: Duration { days: 1, ..Duration::default() }, zone: paris() }))),
        calls[3].clone(),
        Instr::WaitFor(Box::new(WaitFor { up_to: Some(Span::exact(60_000)), ..wait_for("8", 1) })),
        Instr::Jump(1),
        calls[4].clone(),
        Instr::Finish,
    ];
    flow.program.on_error = Some(ErrorHandler { to: 11, error: 3 });
    rehash(&mut flow);
    flow
}

pub(crate) fn start() -> Entry {
    let now = at("2026-11-22T12:00:00Z");
    let event = EventHead {
        seq: 1,
        id: "evt".to_owned(),
        connection: "svc".to_owned(),
        event_type: None,
        occurred_at: None,
        signed_at: None,
        received_at: now,
        via: Via::Webhook,
        origin: flow_runtime::event::Origin::External,
        depth: 0,
    };
    let slots = vec![Value::Missing, Value::text("jane@example.com"), Value::Missing];
    let start = Start {
        run: "run_x".to_owned(),
        replay: 0,
        replayed: false,
        event,
        trigger: "happened".to_owned(),
        slots,
        raw: Vec::new(),
        misfit: None,
        held: None,
    };
    Entry::new(now, What::Started(Box::new(start)))
}

/// One choice decides what happens next, whatever the run wants.
pub(crate) fn next(run: &Run, choice: u8, now: Timestamp) -> What {
    let error = || "it failed".to_owned();
    if choice > 250 {
        return if choice == 255 { What::Cancelled } else { What::Retried { force: choice.is_multiple_of(2) } };
    }
    if choice == 250 {
        return match now.as_second() % 3 {
            0 => What::Superseded { by: "run_y".to_owned() },
            _ => What::Held(Held { until: None, reason: error() }),
        };
    }
    let came = || What::Came(Came { seq: 2, id: "evt_2".to_owned(), slots: vec![Value::text("came")] });
    match run.pending().into_iter().next() {
        Some(Effect::Begin(begun)) => What::Begun(begun),
        Some(Effect::BeginWait(waits)) => What::Waits(waits),
        Some(Effect::Wake { .. } | Effect::Rest) if choice.is_multiple_of(3) => came(),
        Some(Effect::Intend) if choice.is_multiple_of(13) => What::Parked { error: error() },
        Some(Effect::Intend) => What::Intent,
        Some(Effect::Send { .. }) => {
            let outcome = match choice % 9 {
                0 => Outcome::NotDone { status: Some(429), error: error(), retry_after_ms: Some(u64::from(choice) * 1000) },
                1 | 2 => Outcome::Unknown { status: None, error: error(), last: false },
                3 => Outcome::Refused { status: Some(409), error: error() },
                4 => Outcome::Broken { status: Some(401), error: error() },
                5 => Outcome::Done { status: Some(404), value: Value::Missing },
                _ => Outcome::Done { status: Some(200), value: Value::text("result") },
            };
            What::Ended { ms: 5, outcome, jitter: u32::from(choice) * 3_900 }
        }
        Some(Effect::Wake { .. } | Effect::Rest | Effect::Park) => What::Woken,
        Some(Effect::End) | None if run.status == Status::Dead && now.as_second() % 2 == 0 => What::Retried { force: false },
        Some(Effect::End) | None => What::Crashed { message: error() },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_prefix_of_a_journal_rebuilds_its_state(choices in prop::collection::vec(any::<u8>(), 1..80)) {
        let flow = any_flow();
        let mut journal = vec![start()];
        let mut run = Run::default();
        let mut states = vec![];
        apply(&flow, &mut run, &journal[0]);
        states.push(run.clone());
        let mut now = journal[0].at;
        for choice in choices {
            now = now.checked_add(std::time::Duration::from_secs(u64::from(choice))).unwrap();
            let entry = Entry::new(now, next(&run, choice, now));
            let effects = apply(&flow, &mut run, &entry);
            prop_assert_eq!(&effects, &run.pending());
            prop_assert_eq!(run.status.is_active(), !effects.contains(&Effect::End));
            journal.push(entry);
            states.push(run.clone());
        }
        // As it is after the store: through its serialised form, in any number of pieces.
        let written = serde_json::to_string(&journal).unwrap();
        let read: Vec<Entry> = serde_json::from_str(&written).unwrap();
        for (length, state) in states.iter().enumerate() {
            let replayed = replay(&flow, &read[..=length]);
            prop_assert_eq!(&replayed, state);
            prop_assert_eq!(replayed.pending(), state.pending());
        }
    }

    /// Whatever happens, a `once` step whose request may have been sent is not sent again without force, and a step's key
    /// changes only with its generation.
    #[test]
    fn once_is_once_and_keys_are_stable(choices in prop::collection::vec(0u8..=249, 1..120)) {
        let mut flow = flow("f", vec![op("once", Class::Once), op("keyed", keyed())]);
        rehash(&mut flow);
        let mut run = Run::default();
        let mut now = start().at;
        apply(&flow, &mut run, &start());
        for choice in choices {
            now = now.checked_add(std::time::Duration::from_secs(u64::from(choice))).unwrap();
            let entry = Entry::new(now, next(&run, choice, now));
            apply(&flow, &mut run, &entry);
        }
        for step in run.steps.iter().filter(|step| step.path == "1") {
            let unknown = step.attempts.iter().position(|attempt| attempt.unknown);
            prop_assert!(unknown.is_none_or(|at| at + 1 == step.attempts.len()), "{:?}", step.attempts);
        }
        let mut keys = std::collections::BTreeMap::new();
        for step in &run.steps {
            let key = keys.entry((step.path.clone(), step.generation)).or_insert_with(|| step.key.clone());
            prop_assert_eq!(&*key, &step.key);
        }
    }
}
