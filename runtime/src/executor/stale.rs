//! Whether a step may be performed for its event, now: what is old is not acted on, what is dangerous neither after a restart
//! nor twice, and nothing once more whose key the service may have forgotten.
//!
//! This is asked with the clock at hand, and what it says is recorded. What a journal alone decides (`fresh within` at the
//! instants of its entries) is in `run`.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::job::Job;
use crate::engine::Shared;
use crate::journal::{EventHead, What};
use crate::limit;
use crate::retry::key_bound_ms;
use crate::run::{KEY_FORGOTTEN, StepStatus, effect_at};
use crate::transport::CONNECT_TIMEOUT;
use crate::world::Guard;

/// Returns what is recorded in place of an intent, where the step at hand must not be performed.
pub(super) fn forbids(shared: &Shared, job: &Job, now: Timestamp) -> Option<What> {
    if let Some(error) = repeats(job).or_else(|| key_is_old(shared, job, now)) {
        return Some(What::WaitedInVain { error });
    }
    let reason = too_late(shared, job, now)?;
    tracing::warn!(flow = job.flow.id, run = job.run.id(), reason, "a step is not performed");
    Some(What::TooLate { reason })
}

/// Returns why the step at hand comes too late. It is asked once more right before the request: the process may have stood
/// still since the intent was written, or the clock was set.
pub(super) fn too_late(shared: &Shared, job: &Job, now: Timestamp) -> Option<String> {
    let start = job.run.start.as_ref()?;
    let limits = &job.flow.limits;
    let Some(call) = job.run.call(&job.flow).filter(|call| call.dangerous) else {
        return shared.not_fresh(limits, &start.event, now).or_else(|| {
            limits.fresh_ms?;
            old_among_awaited(shared, job, |event| shared.not_fresh(limits, event?, now))
        });
    };
    // What holds a door open may have passed while nobody looked.
    if start.replayed {
        return Some(format!("`{}` is dangerous, and the run is a replay", call.name));
    }
    let reason = shared.is_stale(&start.event, limits, now).or_else(|| {
        old_among_awaited(shared, job, |event| match event {
            Some(event) => shared.is_stale(event, limits, now),
            None => Some("it is not kept any more".to_owned()),
        })
    })?;
    Some(format!("`{}` is dangerous, and {reason}", call.name))
}

/// Returns which of the events that the run has waited for is too old, and why. One that cannot be read is `None` to whom is
/// asked.
fn old_among_awaited(shared: &Shared, job: &Job, is_too_old: impl Fn(Option<&EventHead>) -> Option<String>) -> Option<String> {
    job.run.waits.iter().find_map(|waited| {
        let (awaits, id) = (waited.awaits.as_ref()?, waited.event.as_ref()?);
        let reason = is_too_old(shared.event_of(awaits, id).as_ref())?;
        Some(format!("it waited for `{awaits}`: {reason}"))
    })
}

/// Returns why the step at hand is not tried again with its key: the service may have forgotten it. That goes by how long it has
/// been, whatever the clock shows; the run itself asks by the instants of its journal.
pub(super) fn key_is_old(shared: &Shared, job: &Job, now: Timestamp) -> Option<String> {
    let (bound, first) = key_is_kept(job)?;
    let is_over = key_time(shared, job, now).duration_since(first).unsigned_abs() > bound;
    is_over.then(|| KEY_FORGOTTEN.to_owned())
}

/// Returns the instant by which it is told whether the service still knows the key of the step at hand: what the clock would show
/// had it not been set back since the key was sent first. Where nobody can tell it is one at which the key is forgotten.
pub(crate) fn key_time(shared: &Shared, job: &Job, now: Timestamp) -> Timestamp {
    let Some((bound, first)) = key_is_kept(job) else { return now };
    let event = job.run.start.as_ref().map_or(0, |start| start.event.seq);
    let last = job.run.steps.last().and_then(|step| step.attempts.last()).map_or(first, |last| last.at.max(first));
    let known = shared.present.steady_since(event, first, now).filter(|at| !limit::is_ahead(last, *at));
    known.unwrap_or_else(|| {
        let forgotten = first.checked_add(bound.saturating_add(Duration::from_secs(1))).unwrap_or(Timestamp::MAX);
        forgotten.max(now)
    })
}

/// Tells whether the step at hand is one whose key may be sent again only for a time, which has begun.
pub(super) fn key_counts(job: &Job) -> bool {
    key_is_kept(job).is_some()
}

/// Returns for how long the key of the last step may be sent again, and since when: where its outcome is unknown.
fn key_is_kept(job: &Job) -> Option<(Duration, Timestamp)> {
    let step = job.run.steps.last().filter(|step| !matches!(step.status, StepStatus::Done | StepStatus::Cancelled))?;
    let bound = key_bound_ms(effect_at(&job.flow, step.at)?)?;
    Some((Duration::from_millis(bound), step.first_unknown()?))
}

/// Returns what is asked when the connection of the request at hand stands, where it must not be late. What is dangerous, or may
/// be too late by the time that a connection can take, has one of its own.
pub(super) fn guard(shared: &Arc<Shared>, job: &Job) -> Option<Guard> {
    let dangerous = job.run.call(&job.flow).is_some_and(|call| call.dangerous);
    if !dangerous && job.flow.limits.fresh_ms.is_none() && !key_counts(job) {
        return None;
    }
    let is_late = |shared: &Shared, job: &Job, at| too_late(shared, job, at).or_else(|| key_is_old(shared, job, at));
    let connected = shared.world.clock.now().checked_add(CONNECT_TIMEOUT).unwrap_or(Timestamp::MAX);
    let alone = dangerous || is_late(shared, job, connected).is_some();
    let job = Job::new(Arc::clone(&job.flow), job.run.clone(), job.seq);
    let shared = Arc::clone(shared);
    Some(Guard { forbids: Arc::new(move || is_late(&shared, &job, shared.look())), alone })
}

/// A dangerous step whose outcome is unknown is not performed once more, whatever its effect class: the door may have been
/// open since. To look whether it happened is no danger.
fn repeats(job: &Job) -> Option<String> {
    let call = job.run.call(&job.flow).filter(|call| call.dangerous)?;
    let step = job.run.current().filter(|_| !job.run.looks())?;
    let is_it = |other: &&crate::run::Step| other.at == step.at && other.loops == step.loops;
    let unknown = job.run.steps.iter().filter(is_it).any(|step| step.first_unknown().is_some());
    unknown.then(|| format!("`{}` is dangerous, and may have happened already: it is never repeated", call.name))
}
