//! Edited flows on the stored events: what differs is told, with limits and waits in virtual time, and nothing is sent.

use std::sync::Arc;
use std::time::Duration;

use flow_plan as plan;
use flow_plan::{
    AtMost, ClockChange, Condition, Effect, Expr, Flow, Gaps, Instr, Limits, Missed, Otherwise, Rate, Rule, Schedule, Span,
    StartKind, StateOp, StateStart, Value, Wait,
};
use flow_runtime::backtest::{self, BacktestError, BacktestQuery, Edited};
use flow_runtime::store::RunQuery;
use serde_json::{Value as Json, json};

use crate::fixture::*;

fn base() -> Flow {
    let mut flow = flow("f", vec![op("set", Effect::Set)]);
    flow.file = "a.flow".to_owned();
    rehash(&mut flow);
    flow
}

fn only(name: &str, mut flow: Flow) -> Flow {
    let expr = Expr::Equal(Box::new(Expr::Event(2)), Box::new(Expr::Const(Value::text(name))));
    flow.filter = Some(Condition::Test { text: format!("name is \"{name}\""), expr, reads: vec![2] });
    rehash(&mut flow);
    flow
}

async fn tried(bench: &Bench, flow: Flow) -> Result<Json, BacktestError> {
    let connections = live(Vec::new()).connections.iter().map(|(name, live)| (name.clone(), live.plan.clone())).collect();
    let query = BacktestQuery {
        file: "a.flow".to_owned(),
        since: at("2026-11-22T00:00:00Z"),
        until: bench.now(),
        flow: None,
        examples: 3,
    };
    let edited = Edited { flows: vec![Arc::new(flow)], connections };
    backtest::run(&bench.engine, query, edited).await.map(|report| report.to_json())
}

/// A daemon with a flow to which these customers come, one every ten seconds.
async fn came(flow: Flow, names: &[&str]) -> Bench {
    let bench = Bench::new(vec![flow]);
    for (at, name) in names.iter().enumerate() {
        let event = event_of(&format!("evt_{}", at + 1), name, "happened");
        bench.engine.accept("svc", vec![event], None).await.unwrap();
        bench.pass(Duration::from_secs(10)).await;
    }
    bench
}

fn counts(flow: &Json) -> [u64; 5] {
    ["both", "only_live", "only_edited", "other_calls", "needs_answers"].map(|key| flow[key].as_u64().unwrap())
}

#[tokio::test]
async fn a_condition_that_changes_is_told_with_both_clauses() {
    let bench = came(only("Ada", base()), &["Ada", "Bob", "Ada"]).await;
    let (runs, sent) = (bench.engine.runs(&RunQuery { limit: 9, ..RunQuery::default() }).unwrap(), bench.service.effects("set"));
    let report = tried(&bench, only("Bob", base())).await.unwrap();
    let flow = &report["flows"][0];
    assert_eq!((counts(flow), report["events"].as_u64()), ([0, 2, 1, 0, 0], Some(3)), "{report:#}");
    let more = &flow["examples"]["only_edited"][0];
    assert_eq!((&more["event"], &more["live"]["clause"]["text"]), (&json!("evt_2"), &json!("name is \"Ada\"")), "{more:#}");
    assert_eq!(more["live"]["clause"]["values"][0], json!({ "name": "name", "value": "Bob" }));
    assert_eq!(more["calls"][0]["by"], "edited", "{more:#}");
    // The argument is personal.
    assert_eq!(more["calls"][0]["inputs"]["email"], "j…@example.com", "{more:#}");
    let less = &flow["examples"]["only_live"][0];
    assert_eq!((&less["event"], &less["edited"]["clause"]["text"]), (&json!("evt_1"), &json!("name is \"Bob\"")), "{less:#}");
    assert_eq!(flow["reasons"]["only_live"], json!([{ "reason": "name is \"Bob\"", "count": 2 }]));
    let after = bench.engine.runs(&RunQuery { limit: 9, ..RunQuery::default() }).unwrap();
    assert_eq!((after, bench.service.effects("set")), (runs, sent), "nothing is sent or started");
}

#[tokio::test]
async fn limits_are_counted_in_virtual_time() {
    let bench = came(base(), &["a", "a", "a", "a", "a", "a", "a", "b"]).await;
    let mut limited = base();
    let limit = AtMost { count: 1, per: vec![Expr::Event(2)], every: Rate::Sliding(60_000), otherwise: Otherwise::Drop };
    limited.limits = Limits { at_most: vec![limit], ..Limits::default() };
    rehash(&mut limited);
    let report = tried(&bench, limited).await.unwrap();
    let flow = &report["flows"][0];
    // At 0, 60 and 70 seconds.
    assert_eq!(counts(flow), [3, 5, 0, 0, 0], "{report:#}");
    assert_eq!(flow["reasons"]["only_live"], json!([{ "reason": "at most 1 per minute", "count": 5 }]), "{flow:#}");
    assert_eq!(flow["same_calls"], 3);
    assert!(flow["notes"][0].as_str().unwrap().contains("nothing counted"), "{flow:#}");
}

#[tokio::test]
async fn a_wait_takes_no_time_and_what_is_not_over_makes_no_call() {
    let bench = came(base(), &["a", "b"]).await;
    bench.pass(Duration::from_secs(3585)).await;
    let mut waits = base();
    waits.program.instrs.insert(0, Instr::Wait(Box::new(Wait::For(Span::exact(3_600_000)))));
    rehash(&mut waits);
    let report = tried(&bench, waits).await.unwrap();
    let flow = &report["flows"][0];
    // An hour is over for the first alone.
    assert_eq!((counts(flow), &flow["same_calls"]), ([2, 0, 0, 1, 0], &json!(1)), "{report:#}");
    assert_eq!(flow["calls"], json!([{ "name": "svc.call_1", "live": 2, "edited": 1 }]));
    assert_eq!(flow["examples"]["other_calls"][0]["calls"][0]["by"], "live", "{flow:#}");
    assert_eq!(flow["ends"], json!([{ "name": "done", "live": 2, "edited": 1 }, { "name": "waiting", "live": 0, "edited": 1 }]));
}

#[tokio::test]
async fn answers_are_those_of_then_and_what_was_not_recorded_is_said() {
    let bench = came(only("Ada", flow("f", vec![op("read", Effect::Read), op("set", Effect::Set)])), &["Ada", "Bob"]).await;
    let mut wider = flow("f", vec![op("read", Effect::Read), op("set", Effect::Set)]);
    let report = tried(&bench, wider.clone()).await.unwrap();
    let told = &report["flows"][0];
    assert_eq!((counts(told), &told["same_calls"]), ([1, 0, 1, 0, 1], &json!(1)), "{report:#}");
    let lacks = &told["examples"]["needs_answers"][0];
    assert_eq!(lacks["event"], "evt_2");
    assert_eq!(lacks["edited"]["reason"], "`svc.call_1` needs an answer that was not recorded");

    // The same call with another input is answered as it was then.
    if let Some(Instr::Call(call)) = wider.program.instrs.get_mut(1) {
        call.args[0].value = Expr::Const(Value::text("ops@example.com"));
        call.args[0].personal = false;
    }
    let edited = only("Ada", wider);
    let report = tried(&bench, edited).await.unwrap();
    let told = &report["flows"][0];
    assert_eq!(counts(told), [1, 0, 0, 1, 0], "{report:#}");
    let fields = &told["examples"]["other_calls"][0]["calls"][0]["fields"][0];
    // One side of it is personal, so that both are shortened.
    assert_eq!(*fields, json!({ "field": "email", "live": "j…@example.com", "edited": "o…@example.com" }), "{told:#}");
}

#[tokio::test]
async fn a_flow_that_is_gone_and_one_that_is_new_are_told_as_that() {
    let bench = came(base(), &["a", "b"]).await;
    let mut new = base();
    new.id = "g".to_owned();
    new.name = Some("g".to_owned());
    rehash(&mut new);
    let report = tried(&bench, new).await.unwrap();
    assert_eq!(report["removed"], json!([{ "flow": "f", "runs": 2 }]), "{report:#}");
    let flow = &report["flows"][0];
    assert_eq!((&flow["flow"], &flow["live"], counts(flow)), (&json!("g"), &json!(false), [0, 0, 2, 0, 0]), "{report:#}");
    assert_eq!(flow["reasons"]["only_edited"], json!([{ "reason": "the flow is new", "count": 2 }]));
    let connections = live(Vec::new()).connections.iter().map(|(name, live)| (name.clone(), live.plan.clone())).collect();
    let query = BacktestQuery {
        file: "a.flow".to_owned(),
        since: at("2026-11-22T00:00:00Z"),
        until: bench.now(),
        flow: None,
        examples: 3,
    };
    let none = backtest::run(&bench.engine, query, Edited { flows: Vec::new(), connections }).await;
    assert_eq!(none.unwrap_err(), BacktestError::NoFlows);
}

/// A flow that the clock starts at so many minutes of each hour.
fn hourly(minutes: &[u8]) -> Flow {
    let schedule = Schedule {
        rule: Rule::Hourly { minutes: minutes.to_vec() },
        zone: Some("UTC".to_owned()),
        location: None,
        missed: Missed::Skip,
        clock_change: ClockChange::Natural,
    };
    let mut flow = base();
    flow.triggers = vec![plan::TriggerUse {
        connection: "time".to_owned(),
        source: "schedule".to_owned(),
        types: vec!["f".to_owned()],
        kind: StartKind::Schedule(Box::new(schedule)),
        ..trigger("every")
    }];
    flow.reads = Vec::new();
    if let Some(Instr::Call(call)) = flow.program.instrs.first_mut() {
        call.args[0].value = Expr::Const(Value::Missing);
    }
    rehash(&mut flow);
    flow
}

#[tokio::test]
async fn instants_of_a_schedule_are_counted_one_by_one() {
    let bench = Bench::new(vec![hourly(&[0, 30])]);
    bench.pass(Duration::from_secs(2 * 3600 + 60)).await;
    let report = tried(&bench, hourly(&[0, 15])).await.unwrap();
    let flow = &report["flows"][0];
    // From midnight to two in the afternoon; the live one began at noon.
    assert_eq!((flow["by_clock"].as_u64(), counts(flow)), (Some(28), [2, 2, 26, 0, 0]), "{report:#}");
    assert_eq!(flow["same_calls"], 2);
    assert_eq!(flow["examples"]["only_live"][0]["event"], "f@2026-11-22T12:30:00.000Z", "{flow:#}");
    assert_eq!(flow["examples"]["only_edited"][0]["live"]["reason"], "the clock did not start it then");
}

#[tokio::test]
async fn what_cannot_be_tried_is_said() {
    let bench = came(base(), &["a"]).await;
    let mut flow = base();
    let rule = StateStart {
        state: "door".to_owned(),
        op: StateOp::Becomes,
        value: Value::text("open"),
        lasting: None,
        gaps: Gaps::Verify,
    };
    flow.triggers = vec![plan::TriggerUse {
        source: "state".to_owned(),
        types: vec!["f".to_owned()],
        kind: StartKind::State(Box::new(rule)),
        ..trigger("door")
    }];
    rehash(&mut flow);
    let report = tried(&bench, flow).await.unwrap();
    let told = &report["flows"][0];
    assert_eq!((&told["tried"], counts(told)[1]), (&json!(false), 1), "{report:#}");
    assert!(told["notes"][0].as_str().unwrap().contains("states are not recorded"), "{told:#}");
}

#[tokio::test]
async fn an_unnamed_flow_is_compared_with_what_it_was_before_the_edit() {
    let unnamed = |id: &str, flow: Flow| {
        let mut flow = Flow { id: id.to_owned(), name: None, ..flow };
        rehash(&mut flow);
        flow
    };
    let bench = came(unnamed("a.flow#1", base()), &["Ada", "Bob"]).await;
    let report = tried(&bench, unnamed("a.flow#2", only("Ada", base()))).await.unwrap();
    let flow = &report["flows"][0];
    assert_eq!((&flow["flow"], counts(flow)), (&json!("a.flow#1"), [1, 1, 0, 0, 0]), "{report:#}");
    assert_eq!((&flow["same_calls"], &report["removed"]), (&json!(1), &json!([])), "runs have one id in both: {report:#}");
}

#[tokio::test]
async fn a_run_that_waits_for_an_event_gets_it_in_virtual_time() {
    let bench = came(base(), &["a", "b"]).await;
    let mut waits = only("a", base());
    // For any event behind its own.
    waits.program.instrs.insert(0, Instr::WaitFor(Box::new(wait_for("0", 1))));
    rehash(&mut waits);
    let report = tried(&bench, waits).await.unwrap();
    let flow = &report["flows"][0];
    assert_eq!((counts(flow), &flow["same_calls"]), ([1, 1, 0, 0, 0], &json!(1)), "{report:#}");
    assert_eq!(flow["ends"], json!([{ "name": "done", "live": 2, "edited": 1 }]));
}

/// `FLOW_BACKTEST_EVENTS=100000 cargo test --release -p flow-runtime --test core many_events -- --nocapture` measures it.
#[tokio::test]
async fn many_events_are_gone_through_one_after_the_other() {
    let many = std::env::var("FLOW_BACKTEST_EVENTS").ok().and_then(|text| text.parse().ok()).unwrap_or(300);
    let bench = Bench::new(vec![only("Ada", base())]);
    for first in (0..many).step_by(100) {
        let name = |at: usize| if at.is_multiple_of(10) { "Ada" } else { "Bob" };
        let events = (first..(first + 100).min(many)).map(|at| event_of(&format!("evt_{at}"), name(at), "happened"));
        bench.engine.accept("svc", events.collect(), None).await.unwrap();
        bench.pass(Duration::from_secs(60)).await;
    }
    for (name, edited) in [("a tenth starts", only("Ada", base())), ("all start", base())] {
        let began = std::time::Instant::now();
        let report = tried(&bench, edited).await.unwrap();
        println!("{many} events, {name}: {:?}", began.elapsed());
        let flow = &report["flows"][0];
        let alone = if name == "all start" { many - many / 10 } else { 0 };
        assert_eq!(counts(flow), [many as u64 / 10, 0, alone as u64, 0, 0], "{report:#}");
    }
}
