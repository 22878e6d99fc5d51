//! Flows of all kinds, made up for a seed, each in several versions.

use std::sync::Arc;

use flow_plan as plan;
use flow_plan::{
    Absence, AtMost, ClockChange, Condition, Effect, Env, ErrorHandler, Expr, Flow, Instr, Limits, Missed, Operation, Otherwise,
    Rate, Retry, Rule, Schedule, Span, StartKind, Throttle, Value, Wait, WaitFor, WhileRunning, Window,
};

use super::dice::Dice;
use crate::fixture::{call, field, findable, flow, keyed, op, rehash, trigger, wait_for};

/// The customers.
pub(super) const NAMES: [&str; 3] = ["a", "b", "c"];
/// The flow that hears of deaths.
pub(super) const UNDERTAKER: &str = "undertaker";

/// A flow that is edited now and then.
pub(super) struct Edited {
    pub(super) id: String,
    /// Its versions: programs differ, triggers and limits do not.
    pub(super) versions: Vec<Arc<Flow>>,
}

impl Edited {
    pub(super) fn any(&self) -> &Flow {
        &self.versions[0]
    }

    /// Starts by the clock.
    pub(super) fn by_clock(&self) -> bool {
        !matches!(self.any().triggers[0].kind, StartKind::Event)
    }
}

/// Makes up the flows of a seed.
pub(super) fn make_up(dice: &mut Dice) -> Vec<Edited> {
    let count = dice.within(1, 3);
    let mut flows: Vec<Edited> = (0..count).map(|number| edited(&format!("f{number}"), dice)).collect();
    if dice.percent(8) {
        flows.push(by_clock("schedule", dice, schedule));
    }
    if dice.percent(8) {
        flows.push(by_clock("absence", dice, absence));
    }
    flows.push(Edited { id: UNDERTAKER.to_owned(), versions: vec![Arc::new(undertaker())] });
    flows
}

fn edited(id: &str, dice: &mut Dice) -> Edited {
    let limits = if dice.percent(55) { Limits::default() } else { limits(dice) };
    let dangerous = dice.percent(12);
    let filter = dice.percent(20).then(|| Condition::Test {
        text: "name is not c".to_owned(),
        expr: Expr::Not(Box::new(Expr::Equal(Box::new(Expr::Event(2)), Box::new(Expr::Const(Value::text("c")))))),
        reads: vec![2],
    });
    let versions = (0..dice.within(1, 2)).map(|version| {
        let mut flow = flow(id, Vec::new());
        flow.limits = limits.clone();
        flow.filter = filter.clone();
        // What is never read tells versions apart that are made up alike.
        flow.docs = format!("version {version}");
        Program::make_up(&mut flow, dangerous, dice);
        rehash(&mut flow);
        Arc::new(flow)
    });
    Edited { id: id.to_owned(), versions: versions.collect() }
}

fn per_name() -> Vec<Expr> {
    vec![Expr::Event(2)]
}

fn limits(dice: &mut Dice) -> Limits {
    let every = Rate::Sliding(dice.within(10, 200) * 1000);
    let count = u32::try_from(dice.within(1, 2)).unwrap();
    let fresh_ms = dice.percent(25).then(|| dice.within(5, 90) * 1000);
    let mut limits = Limits { fresh_ms, ..Limits::default() };
    match dice.below(9) {
        0..3 => limits.one_at_a_time = Some(if dice.percent(70) { per_name() } else { Vec::new() }),
        3 => {
            limits.while_running = Some(*dice.pick(&[WhileRunning::Skip, WhileRunning::Queue, WhileRunning::Restart]));
            limits.one_at_a_time = dice.percent(50).then(per_name);
        }
        4 => limits.throttle = Some(Throttle { count, every, per: if dice.percent(50) { per_name() } else { Vec::new() } }),
        5 => {
            let otherwise = *dice.pick(&[Otherwise::Drop, Otherwise::Queue]);
            limits.at_most = vec![AtMost { count, per: per_name(), every, otherwise }];
        }
        6 => limits.once_per = Some(per_name()),
        7 => {
            let within = Span::exact(i64::try_from(dice.within(10, 200) * 1000).unwrap());
            limits.window = Some(Window { count: count + 1, within, per: per_name() });
        }
        _ => limits.fresh_ms = Some(dice.within(5, 90) * 1000),
    }
    limits
}

/// An operation that says to the service for what it is.
fn told(name: &str, effect: Effect) -> Operation {
    let mut made = op(name, effect);
    let tell = |operation: &mut Operation| {
        operation.request.headers.push(("x-run".to_owned(), Expr::Env(Env::RunId)));
        operation.request.headers.push(("x-event".to_owned(), Expr::Env(Env::EventId)));
    };
    tell(&mut made);
    if let Effect::Findable { by, .. } = &mut made.effect {
        tell(&mut by.query);
    }
    made
}

fn operation(name: &str) -> Operation {
    let effect = match name {
        "read" => Effect::Read,
        "keyed" => keyed(),
        "brief" => Effect::Keyed { header: "Idempotency-Key".to_owned(), window_ms: 600_000 },
        "findable" => findable(),
        "once" | "danger" => Effect::Once,
        _ => Effect::Set,
    };
    told(name, effect)
}

/// A program under construction.
struct Program<'d> {
    dice: &'d mut Dice,
    operations: Vec<Operation>,
    instrs: Vec<Instr>,
    calls: usize,
    locals: u16,
    /// Runs of the flow stand in a line.
    in_line: bool,
}

impl<'d> Program<'d> {
    fn make_up(flow: &mut Flow, dangerous: bool, dice: &'d mut Dice) {
        let in_line = flow.limits.one_at_a_time.is_some() || flow.limits.while_running.is_some();
        let mut program = Program { dice, operations: Vec::new(), instrs: Vec::new(), calls: 0, locals: 0, in_line };
        let count = program.dice.within(1, 3);
        for _ in 0..count {
            program.element();
        }
        if dangerous {
            let mut call = program.call("danger");
            call.dangerous = true;
            program.instrs.push(Instr::Call(call));
        }
        if program.dice.percent(12) {
            program.instrs.push(Instr::Finish);
            let error = program.local();
            flow.program.on_error = Some(ErrorHandler { to: program.here(), error });
            program.step("set");
        }
        flow.program.instrs = program.instrs;
        flow.program.locals = program.locals;
        flow.operations = program.operations.into_iter().map(Arc::new).collect();
    }

    fn here(&self) -> u32 {
        u32::try_from(self.instrs.len()).unwrap()
    }

    fn local(&mut self) -> u16 {
        self.locals += 1;
        self.locals - 1
    }

    fn call(&mut self, name: &str) -> Box<plan::Call> {
        self.calls += 1;
        self.operations.push(operation(name));
        let mut call = call(self.calls, u32::try_from(self.operations.len() - 1).unwrap());
        call.retry = self.dice.percent(10).then(|| Retry {
            times: u32::try_from(self.dice.within(1, 4)).unwrap(),
            over_ms: Some(self.dice.within(30, 900) * 1000),
        });
        Box::new(call)
    }

    fn kind(&mut self) -> &'static str {
        self.dice.pick::<&str>(&["read", "set", "keyed", "keyed", "brief", "findable", "findable", "once", "once"])
    }

    fn step(&mut self, name: &str) {
        let call = self.call(name);
        self.instrs.push(Instr::Call(call));
    }

    fn element(&mut self) {
        match self.dice.below(20) {
            0..11 => {
                let kind = self.kind();
                self.step(kind);
            }
            11..14 => {
                let span = Span::exact(i64::try_from(self.dice.within(1, 200_000)).unwrap());
                self.instrs.push(Instr::Wait(Box::new(Wait::For(span))));
                let kind = self.kind();
                self.step(kind);
            }
            // A line of runs that each wait for a day would be longer than a simulation.
            14 if !self.in_line => {
                let time = jiff::civil::time(i8::try_from(self.dice.within(12, 14)).unwrap(), 0, 0, 0);
                let wait = Wait::Until { at: Expr::Const(Value::Time(time)), zone: Some("UTC".to_owned()) };
                self.instrs.push(Instr::Wait(Box::new(wait)));
                self.step("keyed");
            }
            15..17 => self.wait_for(),
            17 => {
                // A failure of the step itself is dealt with.
                let (to, error) = (self.here() + 2, self.local());
                let kind = self.kind();
                let mut call = self.call(kind);
                call.on_error = Some(ErrorHandler { to, error });
                self.instrs.push(Instr::Call(call));
                self.instrs.push(Instr::Jump(to + 1));
                self.step("set");
            }
            _ => self.each(),
        }
    }

    fn wait_for(&mut self) {
        let otherwise = self.here() + 3;
        let bound = Span::exact(i64::try_from(self.dice.within(5, 300) * 1000).unwrap());
        let wait = WaitFor {
            trigger: plan::TriggerUse { types: vec!["other".to_owned()], name: "failed".to_owned(), ..trigger("failed") },
            key: Some((0, Expr::Event(2))),
            condition: Some(Condition::Test {
                text: "name is event.name".to_owned(),
                expr: Expr::Equal(Box::new(Expr::Awaited(0)), Box::new(Expr::Event(2))),
                reads: Vec::new(),
            }),
            from_now: self.dice.percent(40),
            up_to: Some(bound),
            ..wait_for(&format!("w{}", self.calls), otherwise)
        };
        self.instrs.push(Instr::WaitFor(Box::new(wait)));
        let kind = self.kind();
        self.step(kind);
        self.instrs.push(Instr::Jump(otherwise + 1));
        self.step("set");
    }

    fn each(&mut self) {
        let (list, counter, item) = (self.local(), self.local(), self.local());
        let items = ["x", "y"].map(|item| Expr::Const(Value::text(item))).to_vec();
        self.instrs.push(Instr::Each { list: Expr::List(items), into: list, counter, up_to: 10 });
        let again = self.here();
        self.instrs.push(Instr::Next { list, counter, item, end: again + 3 });
        let kind = self.kind();
        let mut call = self.call(kind);
        call.loops = vec![counter];
        self.instrs.push(Instr::Call(call));
        self.instrs.push(Instr::Jump(again));
    }
}

fn by_clock(id: &str, dice: &mut Dice, make: impl Fn(&mut Flow, &mut Dice)) -> Edited {
    let mut flow = flow(id, vec![told("set", Effect::Set)]);
    make(&mut flow, dice);
    if let Some(Instr::Call(call)) = flow.program.instrs.first_mut() {
        call.args[0].value = Expr::Const(Value::Missing);
    }
    rehash(&mut flow);
    Edited { id: id.to_owned(), versions: vec![Arc::new(flow)] }
}

fn schedule(flow: &mut Flow, dice: &mut Dice) {
    let minutes = i64::try_from(dice.within(1, 10)).unwrap();
    let schedule = Schedule {
        rule: Rule::Interval(plan::Duration::from_millis(minutes * 60_000)),
        zone: None,
        location: None,
        missed: if dice.percent(50) { Missed::All } else { Missed::Skip },
        clock_change: ClockChange::Natural,
    };
    flow.triggers = vec![plan::TriggerUse {
        connection: "time".to_owned(),
        source: "schedule".to_owned(),
        types: vec![flow.id.clone()],
        kind: StartKind::Schedule(Box::new(schedule)),
        ..trigger("every")
    }];
    flow.reads = Vec::new();
}

fn absence(flow: &mut Flow, dice: &mut Dice) {
    let within = Span::exact(i64::try_from(dice.within(1, 10) * 60_000).unwrap());
    flow.triggers = vec![plan::TriggerUse {
        source: "absence".to_owned(),
        types: vec![flow.id.clone()],
        reads: vec![None; flow.reads.len()],
        kind: StartKind::Absence(Box::new(Absence { awaited: trigger("happened"), filter: None, within })),
        ..trigger("no happened")
    }];
}

fn undertaker() -> Flow {
    let mut flow = flow(UNDERTAKER, vec![told("keyed", keyed())]);
    flow.triggers = vec![plan::TriggerUse {
        connection: "flow".to_owned(),
        source: "engine".to_owned(),
        types: vec!["dead".to_owned()],
        ..trigger("dead")
    }];
    flow.reads = vec![field("flow", plan::Shape::Text, false), field("error", plan::Shape::Text, false)];
    rehash(&mut flow);
    flow
}
