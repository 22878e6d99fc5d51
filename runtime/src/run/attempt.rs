//! Attempts: what their outcomes mean, by the effect class of the step.

use flow_plan as plan;
use jiff::Timestamp;

use super::{Attempt, Death, Phase, Run, Status, StepStatus, effect_at, elapsed_ms, is_tried_once, pauses_at};
use crate::journal::{Outcome, Withheld};
use crate::retry::{Policy, key_bound_ms, length};

/// Why a step is not tried again with its key.
pub(crate) const KEY_FORGOTTEN: &str = "the service may have forgotten the key by now";

impl Run {
    pub(super) fn intend(&mut self, flow: &plan::Flow, at: Timestamp) {
        let Phase::Ready { find } = self.phase else { return };
        if self.stop_if_too_old(flow, at) {
            return;
        }
        let effect = effect_at(flow, self.at);
        let Some(step) = self.steps.last_mut() else { return };
        // The service may have forgotten the key: asking again could make the effect a second time.
        if let Some(bound) = effect.and_then(key_bound_ms)
            && let Some(first) = step.first_unknown()
            && elapsed_ms(first, at) > bound
        {
            let error = format!("the outcome is unknown, and {KEY_FORGOTTEN}");
            return self.step_failed(flow, Death::Unknown, None, error, at);
        }
        step.status = StepStatus::Running;
        step.attempts.push(Attempt { at, find, ms: None, status: None, error: None, unknown: false });
        self.phase = Phase::InFlight { find };
        self.status = Status::Running;
    }

    pub(super) fn end_attempt(&mut self, flow: &plan::Flow, at: Timestamp, ms: u64, outcome: &Outcome, jitter: u32) {
        let Some(step) = self.steps.last_mut() else { return };
        let Some(attempt) = step.attempts.last_mut().filter(|attempt| attempt.ms.is_none()) else { return };
        attempt.ms = Some(ms);
        attempt.status = outcome.status();
        attempt.error = outcome.error().map(str::to_owned);
        attempt.unknown = !attempt.find && may_have_happened(outcome);
        let Phase::InFlight { find } = self.phase else { return };
        if find { self.looked(flow, at, outcome, jitter) } else { self.performed(flow, at, outcome, jitter) }
    }

    fn performed(&mut self, flow: &plan::Flow, at: Timestamp, outcome: &Outcome, jitter: u32) {
        let Some(effect) = effect_at(flow, self.at) else { return };
        match outcome {
            Outcome::Done { value, .. } => self.step_done(flow, value.clone(), at),
            Outcome::NotDone { status, error, .. } if is_tried_once(flow, self.at) => {
                if !self.stop_if_too_old(flow, at) {
                    let error = format!("{error}; nothing was done, and it is not tried again by itself");
                    self.step_failed(flow, Death::GaveUp, *status, error, at);
                }
            }
            Outcome::NotDone { status, error, retry_after_ms } => {
                self.try_again(flow, at, *status, error, *retry_after_ms, jitter);
            }
            Outcome::Unknown { status, error, last } => match effect {
                plan::Effect::Once => {
                    let error = format!("the outcome is unknown ({error}), and it cannot be repeated safely");
                    self.step_failed(flow, Death::Unknown, *status, error, at);
                }
                plan::Effect::Read | plan::Effect::Set if *last => {
                    self.step_failed(flow, Death::GaveUp, *status, error.clone(), at);
                }
                // Tried again by hand it is tried with the same key, or looked up: it may have happened.
                plan::Effect::Keyed { .. } | plan::Effect::Findable { .. } if *last => {
                    let error = format!("the outcome is unknown, and the service says not to try again: {error}");
                    self.step_failed(flow, Death::Unknown, *status, error, at);
                }
                plan::Effect::Read | plan::Effect::Set | plan::Effect::Keyed { .. } | plan::Effect::Findable { .. } => {
                    self.try_again(flow, at, *status, error, None, jitter);
                }
            },
            Outcome::Refused { status, error } => match effect {
                plan::Effect::Findable { find_on, .. } if status.is_some_and(|status| find_on.contains(&status)) => {
                    if let Some(step) = self.steps.last_mut() {
                        step.refusal = Some((*status, error.clone()));
                    }
                    self.phase = Phase::Ready { find: true };
                }
                _ if may_have_happened(outcome) => self.step_failed(flow, Death::Unknown, *status, error.clone(), at),
                plan::Effect::Read | plan::Effect::Set => self.step_failed(flow, Death::Refused, *status, error.clone(), at),
                plan::Effect::Keyed { .. } | plan::Effect::Findable { .. } | plan::Effect::Once => {
                    self.refused(flow, at, *status, error);
                }
            },
            Outcome::Broken { error, .. } => self.park(error, false, None),
        }
    }

    /// A refusal is definite for its own attempt only: one before may have had its effect.
    fn refused(&mut self, flow: &plan::Flow, at: Timestamp, status: Option<u16>, error: &str) {
        let maybe_done = self.steps.last().is_some_and(|step| step.first_unknown().is_some());
        if !maybe_done {
            return self.step_failed(flow, Death::Refused, status, error.to_owned(), at);
        }
        if let Some(step) = self.steps.last_mut() {
            step.refusal = Some((status, error.to_owned()));
        }
        let error = format!("{error}; the outcome of an earlier attempt is unknown");
        self.step_failed(flow, Death::Unknown, status, error, at);
    }

    fn looked(&mut self, flow: &plan::Flow, at: Timestamp, outcome: &Outcome, jitter: u32) {
        let refusal = self.steps.last().and_then(|step| step.refusal.clone());
        match outcome {
            Outcome::Done { value, .. } if !value.is_missing() => self.step_done(flow, value.clone(), at),
            Outcome::Done { .. } => match refusal {
                Some((status, error)) => self.refused(flow, at, status, &error),
                None => self.phase = Phase::Ready { find: false },
            },
            Outcome::NotDone { status, error, retry_after_ms } => {
                self.try_again(flow, at, *status, error, *retry_after_ms, jitter);
            }
            Outcome::Unknown { status, error, .. } => self.try_again(flow, at, *status, error, None, jitter),
            Outcome::Refused { status, error } => {
                let error = format!("the outcome is unknown, and it could not be looked up: {error}");
                self.step_failed(flow, Death::Unknown, *status, error, at);
            }
            Outcome::Broken { error, .. } => self.park(error, true, None),
        }
    }

    /// Waits for the next attempt, or gives up.
    fn try_again(
        &mut self,
        flow: &plan::Flow,
        at: Timestamp,
        status: Option<u16>,
        error: &str,
        retry_after_ms: Option<u64>,
        jitter: u32,
    ) {
        if self.stop_if_too_old(flow, at) {
            return;
        }
        let (Some(effect), Some(call)) = (effect_at(flow, self.at), self.call(flow)) else { return };
        let Some(step) = self.steps.last_mut() else { return };
        let policy = Policy::of(call.retry.as_ref(), effect, pauses_at(flow, self.at));
        let round = &step.attempts[step.round.min(step.attempts.len())..];
        let tried = u32::try_from(round.len()).unwrap_or(u32::MAX);
        let elapsed = round.first().map_or(0, |first| elapsed_ms(first.at, at));
        let maybe_done = step.first_unknown().is_some();
        let findable = matches!(effect, plan::Effect::Findable { .. });
        let find = findable && (maybe_done || step.refusal.is_some());
        let delay = policy.delay_after(tried, elapsed, retry_after_ms, jitter);
        let next = delay.and_then(|delay| at.checked_add(std::time::Duration::from_millis(delay)).ok());
        match next {
            Some(until) => {
                step.status = StepStatus::Waiting;
                self.status = Status::Waiting;
                self.reason = Some(error.to_owned());
                self.phase = Phase::Waiting { until, find };
            }
            None => {
                let safe = matches!(effect, plan::Effect::Read | plan::Effect::Set);
                let death = if maybe_done && !safe { Death::Unknown } else { Death::GaveUp };
                let unknown = if death == Death::Unknown { "the outcome is unknown; " } else { "" };
                let why = match retry_after_ms.filter(|_| policy.delay_after(tried, elapsed, None, jitter).is_some()) {
                    Some(asked) => {
                        let bound = length(policy.bound_ms);
                        format!(
                            "the service asked to wait {}, and the step may wait no longer than {bound} in all",
                            length(asked)
                        )
                    }
                    None => format!("gave up after {tried} attempt{}", if tried == 1 { "" } else { "s" }),
                };
                self.step_failed(flow, death, status, format!("{unknown}{why}: {error}"), at);
            }
        }
    }

    fn park(&mut self, error: &str, find: bool, withheld: Option<Withheld>) {
        if let Some(step) = self.steps.last_mut() {
            step.status = StepStatus::Parked;
        }
        self.status = Status::Parked;
        self.reason = Some(error.to_owned());
        self.phase = Phase::Parked { find, withheld };
    }

    pub(super) fn park_ready(&mut self, error: &str) {
        if let Phase::Ready { find } = self.phase {
            self.park(error, find, None);
        }
    }

    /// Nothing is sent to its connection for a while: that costs no attempt.
    pub(super) fn withhold(&mut self, withheld: &Withheld) {
        if let Phase::Ready { find } = self.phase {
            self.park(&withheld.reason, find, Some(withheld.clone()));
        }
    }

    /// Returns until when the step at hand may be tried: as long as its policy says since its first attempt, or since it
    /// began where there was none.
    pub(crate) fn tried_until(&self, flow: &plan::Flow) -> Option<Timestamp> {
        let (effect, call, step) = (effect_at(flow, self.at)?, self.call(flow)?, self.steps.last()?);
        let round = step.attempts.get(step.round..).unwrap_or_default();
        let from = round.first().map_or(step.began_at, |first| first.at);
        let bound = Policy::of(call.retry.as_ref(), effect, pauses_at(flow, self.at)).bound_ms;
        from.checked_add(std::time::Duration::from_millis(bound)).ok()
    }

    /// The time for trying is over, and its connection did not answer.
    pub(super) fn waited_in_vain(&mut self, flow: &plan::Flow, error: &str, at: Timestamp) {
        let Phase::Ready { .. } = self.phase else { return };
        if self.stop_if_too_old(flow, at) {
            return;
        }
        let (Some(effect), Some(step)) = (effect_at(flow, self.at), self.steps.last()) else { return };
        let safe = matches!(effect, plan::Effect::Read | plan::Effect::Set);
        let death = if step.first_unknown().is_some() && !safe { Death::Unknown } else { Death::GaveUp };
        let unknown = if death == Death::Unknown { "the outcome is unknown; " } else { "" };
        let tried = step.attempts.len().saturating_sub(step.round);
        let why = match tried {
            0 => "nothing was sent".to_owned(),
            tried => format!("gave up after {tried} attempt{}", if tried == 1 { "" } else { "s" }),
        };
        self.step_failed(flow, death, None, format!("{unknown}{why}: {error}"), at);
    }
}

/// An unknown outcome, or a success whose answer makes no sense: the step fails, but nothing says that it did nothing.
fn may_have_happened(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Unknown { .. } => true,
        Outcome::Refused { status: Some(200..=299), error } => error.starts_with("the answer does not fit"),
        Outcome::Done { .. } | Outcome::NotDone { .. } | Outcome::Refused { .. } | Outcome::Broken { .. } => false,
    }
}
