//! Starts by events that are in the store already.

use super::backend::Write;
use super::perform::{Known, begin_runs};
use super::records::{Admission, ReplayBatch, ReplayStart, Replayed};
use super::{StoreError, put, query, tables};

pub(super) fn replay(to: &mut dyn Write, batch: &mut ReplayBatch, known: &mut Known) -> Result<Vec<Replayed>, StoreError> {
    let mut results = Vec::with_capacity(batch.starts.len());
    let mut any_run = false;
    for start in &mut batch.starts {
        let result = replay_one(to, start, known)?;
        any_run |= matches!(&result, Replayed::Admitted { admissions, .. } if admissions.iter().any(takes_place));
        results.push(result);
    }
    if any_run {
        for flow in &batch.plans {
            put::put_plan(to, flow)?;
        }
    }
    Ok(results)
}

fn takes_place(admission: &Admission) -> bool {
    matches!(admission, Admission::Started { .. } | Admission::Held { .. })
}

fn replay_one(to: &mut dyn Write, replay: &mut ReplayStart, known: &mut Known) -> Result<Replayed, StoreError> {
    let ReplayStart { event, start, again } = replay;
    if to.get(&tables::event(*event))?.is_none() {
        return Ok(Replayed::Gone);
    }
    for run in &start.runs {
        if query::run(to, &run.head.id)?.is_some() {
            return Ok(Replayed::Known(run.head.id.clone()));
        }
        if *again {
            continue;
        }
        // By another of its triggers, a moment ago.
        for id in query::runs_of_event(to, *event)? {
            if query::run(to, &id)?.is_some_and(|head| head.flow == run.head.flow) {
                return Ok(Replayed::Known(id));
            }
        }
    }
    // Whoever comes later with the same key finds that it has started something.
    if to.get(&tables::start(&start.key))?.is_none()
        && let Some(at) = start.runs.first().map(|run| run.head.started_at)
    {
        to.put(&tables::start(&start.key), &at.as_millisecond().to_be_bytes())?;
        to.put(&tables::start_at(at, &start.key), &[])?;
    }
    // What was decided about it before counts no more.
    for run in &start.runs {
        to.remove(&tables::drop_of(*event, &run.head.flow))?;
    }
    let mut followed = Vec::new();
    let admissions = begin_runs(to, *event, start, &mut followed, known)?;
    Ok(Replayed::Admitted { admissions, followed })
}
