//! Whether a step may be performed for its event, now: what is old is not acted on, and what is dangerous neither after a
//! restart nor twice.
//!
//! This is asked with the clock at hand, and what it says is recorded. What a journal alone decides (`fresh within` at the
//! instants of its entries) is in `run`.

use jiff::Timestamp;

use super::job::Job;
use crate::engine::Shared;
use crate::journal::What;

/// Returns what is recorded in place of an intent, where the step at hand must not be performed.
pub(super) fn forbids(shared: &Shared, job: &Job, now: Timestamp) -> Option<What> {
    if let Some(error) = repeats(job) {
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
    let Some(call) = job.run.call(&job.flow).filter(|call| call.dangerous) else {
        return shared.not_fresh(&job.flow.limits, &start.event, now);
    };
    // What holds a door open may have passed while nobody looked.
    if start.replayed {
        return Some(format!("`{}` is dangerous, and the run is a replay", call.name));
    }
    let limits = &job.flow.limits;
    let reason = shared.is_stale(&start.event, limits, now).or_else(|| {
        job.run.waits.iter().find_map(|waited| {
            let (awaits, id) = (waited.awaits.as_ref()?, waited.event.as_ref()?);
            let reason = match shared.event_of(awaits, id) {
                Some(event) => shared.is_stale(&event, limits, now),
                None => Some("it is not kept any more".to_owned()),
            };
            reason.map(|reason| format!("it waited for `{awaits}`: {reason}"))
        })
    })?;
    Some(format!("`{}` is dangerous, and {reason}", call.name))
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
