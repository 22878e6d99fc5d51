//! The services of a backtest: they answer as they did then, and say where nobody knows what they would have answered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flow_plan::{Effect, Instr, Value};

use super::recorded::{RecordedCall, calls, named};
use crate::engine::Engine;
use crate::journal::Outcome;
use crate::sim::{Maker, VirtualClock};
use crate::store::{RunHead, StoreError};
use crate::world::{BoxFuture, Clock, ServiceCall, ServiceStep, Services};

/// Answers out of the journals.
pub(super) struct Answers {
    engine: Engine,
    clock: Arc<VirtualClock>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// By run of the simulation: the stored event that starts it.
    events: HashMap<String, u64>,
    runs: HashMap<String, Answered>,
    trouble: Option<StoreError>,
    made_up: u32,
}

/// What a run of the simulation was answered.
#[derive(Debug, Default)]
pub(super) struct Answered {
    /// What the live flow did for the same event.
    recorded: Vec<RecordedCall>,
    /// What other flows did for it.
    others: Vec<RecordedCall>,
    /// What it called.
    pub(super) calls: Vec<MadeCall>,
    /// The call whose answer was not recorded: what follows it is not known.
    pub(super) lacks: Option<String>,
    /// Answers had to be made up: the run begins what the live flow never did.
    pub(super) assumes: bool,
}

/// A call that would be made.
#[derive(Debug, Clone)]
pub(super) struct MadeCall {
    pub(super) name: String,
    pub(super) inputs: Vec<(String, Value, bool)>,
    pub(super) reads: bool,
}

impl Answers {
    pub(super) fn new(engine: &Engine, clock: Arc<VirtualClock>) -> Self {
        Self { engine: engine.clone(), clock, inner: Mutex::default() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says by which stored event a run is started, before it is.
    pub(super) fn expect(&self, run: String, event: u64) {
        self.inner().events.insert(run, event);
    }

    /// Returns what a run called and was answered; it is forgotten.
    pub(super) fn take(&self, run: &str) -> Answered {
        let mut inner = self.inner();
        inner.events.remove(run);
        inner.runs.remove(run).unwrap_or_default()
    }

    /// Returns what went wrong with reading the journals, once.
    pub(super) fn trouble(&self) -> Option<StoreError> {
        self.inner().trouble.take()
    }

    fn load(&self, step: &ServiceStep, event: Option<u64>) -> Result<Answered, StoreError> {
        let store = &self.engine.shared.store;
        let mut answered = Answered::default();
        let mut of_event: Vec<RunHead> = Vec::new();
        if let Some(event) = event {
            for id in store.runs_of_event(event)? {
                of_event.extend(store.run(&id)?);
            }
        }
        // What the clock starts has one id in both.
        if of_event.is_empty() {
            of_event.extend(store.run(&step.run)?);
        }
        // Newest first: of a replayed event its last run counts.
        of_event.sort_by_key(|head| std::cmp::Reverse(head.seq));
        for head in &of_event {
            let found = calls(&self.engine, head)?;
            if head.flow == step.flow.id && answered.recorded.is_empty() {
                answered.recorded = found;
            } else {
                answered.others.extend(found);
            }
        }
        Ok(answered)
    }

    fn answer(&self, call: &ServiceCall) -> Outcome {
        let Some(step) = &call.step else { return unknown("states are not recorded") };
        let mut inner = self.inner();
        let inner = &mut *inner;
        if !inner.runs.contains_key(&step.run) {
            let loaded = self.load(step, inner.events.get(&step.run).copied()).unwrap_or_else(|error| {
                inner.trouble = Some(error);
                Answered::default()
            });
            inner.runs.insert(step.run.clone(), loaded);
        }
        let Some(answered) = inner.runs.get_mut(&step.run) else { return unknown(NOT_RECORDED) };
        if step.find {
            return Outcome::Done { status: Some(200), value: Value::Missing };
        }
        if answered.lacks.is_some() {
            return unknown(NOT_RECORDED);
        }
        let reads = matches!(call.operation.effect, Effect::Read);
        let given = personal(step);
        let inputs = named(&call.operation, &call.inputs, &given);
        answered.calls.push(MadeCall { name: call.name.clone(), inputs: inputs.clone(), reads });
        if let Some(outcome) = answered.same(&call.name, &inputs, reads) {
            return outcome;
        }
        if reads {
            answered.lacks = Some(call.name.clone());
            return unknown(NOT_RECORDED);
        }
        // The same call with other inputs is answered as it was; one that was never made needs an answer that is made up.
        if let Some(outcome) = answered.alike(&call.name) {
            return outcome;
        }
        answered.assumes = true;
        inner.made_up += 1;
        Outcome::Done { status: Some(200), value: made_up(call, inner.made_up, &self.clock) }
    }
}

const NOT_RECORDED: &str = "needs an answer that was not recorded";

impl Answered {
    fn same(&mut self, name: &str, inputs: &[(String, Value, bool)], reads: bool) -> Option<Outcome> {
        let is_same = |known: &&mut RecordedCall| {
            let values = known.inputs.iter().map(|(name, value, _)| (name, value));
            known.name == name && known.reads == reads && values.eq(inputs.iter().map(|(name, value, _)| (name, value)))
        };
        let fresh = |known: &&mut RecordedCall| !known.used || reads;
        let own = self.recorded.iter_mut().filter(fresh).find(is_same);
        let found = own.or_else(|| self.others.iter_mut().find(is_same).filter(|_| reads))?;
        let outcome = found.outcome.clone()?;
        found.used = true;
        Some(outcome)
    }

    fn alike(&mut self, name: &str) -> Option<Outcome> {
        let succeeded =
            |known: &&mut RecordedCall| known.name == name && !known.used && matches!(known.outcome, Some(Outcome::Done { .. }));
        let found = self.recorded.iter_mut().find(succeeded)?;
        found.used = true;
        found.outcome.clone()
    }
}

impl Services for Answers {
    fn perform(&self, call: ServiceCall) -> BoxFuture<'_, Outcome> {
        let outcome = self.answer(&call);
        Box::pin(std::future::ready(outcome))
    }
}

fn unknown(why: &str) -> Outcome {
    Outcome::Refused { status: None, error: why.to_owned() }
}

/// Which arguments of a step the flow says to be personal.
fn personal(step: &ServiceStep) -> Vec<bool> {
    let of_step = step.flow.program.instrs.iter().find_map(|instr| match instr {
        Instr::Call(call) if call.path == step.path => Some(call),
        _ => None,
    });
    of_step.map(|call| call.args.iter().map(|arg| arg.personal).collect()).unwrap_or_default()
}

/// What a service may answer to a call that was never made. Its texts begin with `new_`.
fn made_up(call: &ServiceCall, number: u32, clock: &VirtualClock) -> Value {
    let operation = &call.operation;
    let Some(shape) = &operation.answer.shape else { return Value::Missing };
    if let Some(input) = operation.answer.item_of {
        return match call.inputs.get(usize::from(input)) {
            Some(Value::List(items)) => items.first().cloned().unwrap_or_default(),
            _ => Value::Missing,
        };
    }
    let short = call.name.rsplit('.').next().unwrap_or(&call.name);
    let stem = format!("new_{}", short.split_once('_').map_or(short, |(_, rest)| rest));
    let inputs: Vec<(String, Value)> =
        operation.inputs.iter().map(|input| input.name.clone()).zip(call.inputs.iter().cloned()).collect();
    Maker { inputs: &inputs, stem: &stem, number, now: clock.now() }.value(shape, "")
}
