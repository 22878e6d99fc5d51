//! What the journals of the daemon's store say: the calls of a run, with their inputs and answers.

use flow_plan::{Effect, Instr, Operation, Value};
use jiff::Timestamp;

use crate::engine::Engine;
use crate::executor;
use crate::journal::Outcome;
use crate::run::{StepStatus, operation};
use crate::store::{RunHead, StoreError};

/// A call of a run.
#[derive(Debug, Clone)]
pub(super) struct RecordedCall {
    pub(super) name: String,
    /// The inputs by name, and whether each is personal.
    pub(super) inputs: Vec<(String, Value, bool)>,
    pub(super) reads: bool,
    pub(super) began_at: Timestamp,
    /// How it ended, where it has.
    pub(super) outcome: Option<Outcome>,
    /// Its answer was given to a call of the simulation.
    pub(super) used: bool,
}

/// Returns the inputs of a call by name. `given` says which of them are personal whatever the operation says.
pub(super) fn named(operation: &Operation, values: &[Value], given: &[bool]) -> Vec<(String, Value, bool)> {
    let inputs = values.iter().enumerate().filter(|(_, value)| !value.is_missing());
    inputs
        .map(|(at, value)| {
            let input = operation.inputs.get(at);
            let name = input.map_or_else(|| at.to_string(), |input| input.name.clone());
            let personal = input.is_some_and(|input| input.personal) || given.get(at).copied().unwrap_or(false);
            (name, value.clone(), personal)
        })
        .collect()
}

/// Reads the calls of a run.
pub(super) fn calls(engine: &Engine, head: &RunHead) -> Result<Vec<RecordedCall>, StoreError> {
    let job = executor::load(&engine.shared, head)?;
    let mut calls = Vec::with_capacity(job.run.steps.len());
    for step in &job.run.steps {
        let Some(Instr::Call(call)) = job.flow.program.instrs.get(step.at as usize) else { continue };
        let Some(operation) = operation(&job.flow, call) else { continue };
        let given: Vec<bool> = call.args.iter().map(|arg| arg.personal).collect();
        let last = step.attempts.last();
        let outcome = match step.status {
            StepStatus::Done => Some(Outcome::Done { status: Some(200), value: step.output.clone() }),
            StepStatus::Failed => Some(Outcome::Refused {
                status: last.and_then(|attempt| attempt.status),
                error: last.and_then(|attempt| attempt.error.clone()).unwrap_or_else(|| "it failed".to_owned()),
            }),
            StepStatus::Running | StepStatus::Waiting | StepStatus::Parked | StepStatus::Cancelled => None,
        };
        calls.push(RecordedCall {
            name: call.name.clone(),
            inputs: named(operation, &step.inputs, &given),
            reads: matches!(operation.effect, Effect::Read),
            began_at: step.began_at,
            outcome,
            used: false,
        });
    }
    Ok(calls)
}
