//! Retries by hand.

use flow_plan::{Effect, Flow, Instr};
use jiff::Timestamp;

use super::{Death, Phase, Run, Status, StepStatus, effect_at, elapsed_ms};
use crate::retry::key_bound_ms;

/// Why a run is not tried again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RetryRefusal {
    /// It has not failed.
    #[error("the run is {}, not dead", .0.as_str())]
    NotDead(Status),
    /// It waits as its flow says, or for its turn: there is nothing to try again.
    #[error("the run waits ({0}), it has not failed")]
    Waits(String),
    /// What it died of depends on the event alone.
    #[error("will fail again: {0}")]
    WillFailAgain(String),
    /// The effect of its last step may have happened: trying again may make it a second time, and needs `force`.
    #[error("it may have happened already: {0}; look at the service, and where it has not, `--force` tries it again")]
    OutcomeUnknown(String),
    /// So may that of a dangerous step, which is never repeated.
    #[error(
        "`{call}` is dangerous and may have happened already, so it is never repeated, `--force` or not ({reason}): look at the \
         thing itself; a new event starts the flow anew, and `flowd dead dismiss` takes this run from the list"
    )]
    Dangerous {
        /// The call.
        call: String,
        /// What the run died of.
        reason: String,
    },
}

/// Tells whether a run can be tried again at `now`.
///
/// # Errors
/// Why it should not be.
pub fn check_retry(flow: &Flow, run: &Run, now: Timestamp, force: bool) -> Result<(), RetryRefusal> {
    match run.status {
        Status::Dead => {}
        Status::Waiting if run.current().is_none() => {
            return Err(RetryRefusal::Waits(run.reason.clone().unwrap_or_default()));
        }
        // Waiting for its next attempt or its connection: it is tried at once.
        Status::Waiting | Status::Parked => return Ok(()),
        status => return Err(RetryRefusal::NotDead(status)),
    }
    let reason = || run.reason.clone().unwrap_or_default();
    match run.death {
        Some(Death::Missing | Death::Misfit) => Err(RetryRefusal::WillFailAgain(reason())),
        _ if let Some(call) = dangerous_and_unknown(flow, run) => Err(RetryRefusal::Dangerous { call, reason: reason() }),
        _ if force || repeat_is_safe(flow, run, now) => Ok(()),
        _ => Err(RetryRefusal::OutcomeUnknown(reason())),
    }
}

/// The failed step, where it is dangerous and may have had its effect.
fn dangerous_and_unknown(flow: &Flow, run: &Run) -> Option<String> {
    let step = run.steps.last().filter(|step| step.status == StepStatus::Failed && step.first_unknown().is_some())?;
    match flow.program.instrs.get(step.at as usize) {
        Some(Instr::Call(call)) if call.dangerous => Some(call.name.clone()),
        _ => None,
    }
}

/// The effect of the failed step surely did not happen, or repeating it makes it no second time.
fn repeat_is_safe(flow: &Flow, run: &Run, now: Timestamp) -> bool {
    let Some(step) = run.steps.last().filter(|step| step.status == StepStatus::Failed) else { return true };
    let Some(first) = step.first_unknown() else { return true };
    let Some(effect) = effect_at(flow, step.at) else { return false };
    match effect {
        Effect::Read | Effect::Set | Effect::Findable { .. } => true,
        Effect::Keyed { .. } => key_bound_ms(effect).is_some_and(|bound| elapsed_ms(first, now) <= bound),
        Effect::Once => false,
    }
}

impl Run {
    /// Begins again where it failed. What may have happened already is not repeated without `force`, whoever asks.
    pub(super) fn retry(&mut self, flow: &Flow, force: bool, at: Timestamp) {
        if self.status != Status::Dead {
            // What waits as its flow says goes on waiting, whoever asks.
            if self.current().is_some() {
                self.wake(flow, at);
            }
            return;
        }
        let safe = repeat_is_safe(flow, self, at);
        if !safe && !force {
            return;
        }
        let death = self.death.take();
        self.status = Status::Running;
        self.reason = None;
        self.ended_at = None;
        let failed = self.steps.last_mut().filter(|step| step.status == StepStatus::Failed && step.at == self.at);
        let Some(step) = failed else { return self.advance(flow, at) };
        let effect = effect_at(flow, step.at);
        let changes = !matches!(effect, Some(Effect::Read | Effect::Set));
        let unknown = changes && step.first_unknown().is_some();
        let find = unknown && matches!(effect, Some(Effect::Findable { .. }));
        // The service must take it for a new request after a definite refusal, since it may answer the old key with the
        // old refusal; but not where an earlier attempt under that key may have had its effect, unless it is forced.
        let refused = step.refusal.is_some() && matches!(effect, Some(Effect::Keyed { .. }));
        let anew = (death == Some(Death::Refused) && !unknown) || (force && (!safe || refused));
        if anew {
            self.generation = self.generation.saturating_add(1);
            return self.advance(flow, at);
        }
        step.status = StepStatus::Running;
        step.round = step.attempts.len();
        step.refusal = None;
        self.phase = Phase::Ready { find };
    }
}
