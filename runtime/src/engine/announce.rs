//! What the engine itself has to say about flows, as events of the built-in connection `flow`.
//!
//! Each is written in the transaction of what it announces. Runs that such an event started announce nothing, and no flow
//! hears of itself, so that nothing goes round.

use bytes::Bytes;
use flow_plan::{CalendarUnit, Expect, Otherwise, Rate};
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::accept::{Prepared, batch_of, prepare, settle};
use super::{Shared, causes};
use crate::event::{AcceptError, Incoming, Origin, Via};
use crate::executor::Job;
use crate::run::{Run, Status, Step, StepStatus};
use crate::store::{AcceptBatch, BookChange, FollowsFrom, MeterChange, Notice, RunUpdate, StoreError};
use flow_functions::rfc3339;

/// The connection that such events come from.
pub(crate) const FLOW: &str = "flow";
const ENGINE: &str = "engine";

/// Causes may stand so deep behind each other; what is deeper starts nothing.
pub(crate) const DEEPEST: u16 = 8;

/// Something that happened to a run and is to be announced.
#[derive(Debug, Clone)]
pub(crate) struct Announcement {
    dead: bool,
    /// How many entries the journal had behind it: it happens once.
    entries: u32,
    at: Timestamp,
    error: String,
    step: Option<String>,
    action: Option<String>,
}

/// Returns how many steps of a run have failed for good.
fn failed(run: &Run) -> usize {
    run.steps.iter().filter(|step| step.status == StepStatus::Failed).count()
}

/// What has to be known of a run before an entry is applied.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Before {
    failed: usize,
    dead: bool,
}

impl Before {
    pub(crate) fn of(run: &Run) -> Self {
        Self { failed: failed(run), dead: run.status == Status::Dead }
    }

    /// Returns what the entry that was applied since is to be announced as.
    pub(crate) fn announcement(self, job: &Job, at: Timestamp) -> Option<Announcement> {
        let run = &job.run;
        let made_by_the_engine = run.start.as_ref().is_some_and(|start| start.event.via == Via::Engine);
        let died = run.status == Status::Dead && !self.dead;
        let step_failed = failed(run) > self.failed;
        if made_by_the_engine || !died && !step_failed {
            return None;
        }
        let step = run.steps.iter().rev().find(|step| step.status == StepStatus::Failed).filter(|_| step_failed);
        let action = step.and_then(|step| action_of(job, step));
        let last = step.and_then(|step| step.attempts.last()).and_then(|attempt| attempt.error.clone());
        // One that was handled leaves its reason with the flow's handler, or nowhere but at the step.
        let error = if died { run.reason.clone() } else { last.or_else(|| run.handled.clone()) };
        Some(Announcement {
            dead: died,
            entries: run.entries,
            at,
            error: error.unwrap_or_default(),
            step: step.map(|step| step.path.clone()),
            action,
        })
    }
}

fn action_of(job: &Job, step: &Step) -> Option<String> {
    match job.flow.program.instrs.get(step.at as usize) {
        Some(flow_plan::Instr::Call(call)) => Some(call.name.clone()),
        _ => None,
    }
}

/// Tells whether a live flow wants to hear of it.
fn is_heard(shared: &Shared, kind: &str) -> bool {
    shared.current().matcher.listens(FLOW, ENGINE, kind)
}

fn report(kind: &str, id: String, at: Timestamp, depth: u16, mut data: Json) -> Incoming {
    if let Some(data) = data.as_object_mut() {
        data.insert("at".to_owned(), Json::String(rfc3339(at)));
    }
    let payload = json!({ "type": kind, "id": id, "at": rfc3339(at), "data": data });
    Incoming {
        id,
        source: ENGINE.to_owned(),
        event_type: Some(kind.to_owned()),
        occurred_at: Some(at),
        signed_at: None,
        payload: Bytes::from(payload.to_string()),
        via: Via::Engine,
        origin: Origin::Flow,
        depth,
        only_trigger: None,
    }
}

/// `3 times per day`.
fn often(count: u32, every: &Rate) -> String {
    let within = match every {
        Rate::Sliding(millis) => flow_plan::Duration::from_millis(i64::try_from(*millis).unwrap_or(i64::MAX)).to_string(),
        Rate::Calendar { unit, .. } => match unit {
            CalendarUnit::Day => "day",
            CalendarUnit::Week => "week",
            CalendarUnit::Month => "month",
            CalendarUnit::Year => "year",
        }
        .to_owned(),
    };
    format!("{count} time{} per {within}", if count == 1 { "" } else { "s" })
}

/// Returns the event that a notice becomes; `None` where nobody hears it.
pub(crate) fn announce_notice(shared: &Shared, id: String, flow: &str, error: &str, notice: &Notice) -> Option<Incoming> {
    if !is_heard(shared, &notice.kind) {
        return None;
    }
    let mut data = json!({ "flow": flow, "error": error });
    if let Some(data) = data.as_object_mut() {
        data.extend(notice.run.iter().map(|run| ("run".to_owned(), json!(run))));
        data.extend(notice.event.iter().map(|event| ("event_id".to_owned(), json!(event))));
        data.extend(notice.of.iter().flat_map(|(connection, trigger)| {
            [("connection".to_owned(), json!(connection)), ("trigger".to_owned(), json!(trigger))]
        }));
        if notice.untold > 0 {
            data.insert("runs".to_owned(), json!(notice.untold));
        }
    }
    Some(report(&notice.kind, id, notice.from, 1, data))
}

/// Returns what a flow was to do, for people.
pub(crate) fn expectation(rule: &Expect) -> String {
    format!("it should have started at least {}", often(rule.count, &rule.every))
}

/// Returns the event that says of a flow that it did not start as often as it should; `None` where nobody hears it.
pub(crate) fn announce_silence(shared: &Shared, flow: &str, rule: &Expect, at: Timestamp) -> Option<Incoming> {
    let error = expectation(rule);
    tracing::error!(flow, "the flow is silent: {error}");
    if !is_heard(shared, "silent") {
        return None;
    }
    Some(report("silent", format!("{flow}@{}:silent", rfc3339(at)), at, 1, json!({ "flow": flow, "error": error })))
}

/// Returns what is to be said of a run that is about to begin, should it come to that: it is dead from the start, or a limit
/// pauses its flow.
pub(super) fn of_start(shared: &Shared, job: &Job, at: Timestamp) -> Vec<(FollowsFrom, Incoming)> {
    let mut reports = Vec::new();
    if !job.run.status.is_active() {
        let death = Before::of(&Run::default()).announcement(job, at);
        reports.extend(
            death
                .iter()
                .flat_map(|death| events_of(shared, job, std::slice::from_ref(death)))
                .map(|event| (FollowsFrom::Birth, event)),
        );
    }
    let pausing = job.flow.limits.at_most.iter().find(|limit| limit.otherwise == Otherwise::Pause);
    if let Some(limit) = pausing
        && is_heard(shared, "paused")
    {
        let flow = &job.flow.id;
        let error = format!("it started more than {}, and its limit says `otherwise pause`", often(limit.count, &limit.every));
        let report = report("paused", format!("{flow}@{}:paused", rfc3339(at)), at, 1, json!({ "flow": flow, "error": error }));
        reports.push((FollowsFrom::Pause, report));
    }
    reports
}

/// Returns the events that a run's announcements are.
pub(crate) fn events_of(shared: &Shared, job: &Job, announcements: &[Announcement]) -> Vec<Incoming> {
    let Some(start) = job.run.start.as_deref() else { return Vec::new() };
    let of = |what: &Announcement| {
        // A step that nothing took over is told with the death of its run.
        let kind = if what.dead { "dead" } else { "failed" };
        is_heard(shared, kind).then(|| {
            let mut data = json!({
                "flow": job.flow.id,
                "error": what.error,
                "run": job.run.id(),
                "event_id": start.event.id,
                "trigger": start.trigger,
                "connection": start.event.connection,
            });
            if let Some(data) = data.as_object_mut() {
                data.extend(what.step.iter().map(|step| ("step".to_owned(), json!(step))));
                data.extend(what.action.iter().map(|action| ("action".to_owned(), json!(action))));
                data.extend(job.run.death.filter(|_| what.dead).map(|death| ("death".to_owned(), json!(death))));
            }
            let id = format!("{}:{}:{kind}", job.run.id(), what.entries);
            // At the end of a chain it is announced all the same, and nothing can follow from that.
            let depth = start.event.depth.saturating_add(1).min(DEEPEST);
            report(kind, id, what.at, depth, data)
        })
    };
    announcements.iter().filter_map(of).collect()
}

/// Writes what happened to a run together with the events that announce it, what those start, what it touched, and what it
/// is about to use of its connection.
pub(crate) async fn update(
    shared: &Shared,
    update: RunUpdate,
    events: Vec<Incoming>,
    touched: Vec<BookChange>,
    meters: Vec<MeterChange>,
) -> Result<(), StoreError> {
    if events.is_empty() && touched.is_empty() && meters.is_empty() {
        return shared.store.update(vec![update]).await;
    }
    let current = shared.current();
    let received_at = shared.world.clock.now();
    let prepared: Result<Vec<Prepared>, AcceptError> =
        events.into_iter().map(|event| prepare(shared, &current, FLOW, event, received_at)).collect();
    let mut prepared = prepared.map_err(|error| StoreError::Io(error.to_string()))?;
    let batch = AcceptBatch { meters, ..batch_of(&mut prepared, FLOW, None, touched.clone())? };
    let accepted = shared.store.update_and_accept(vec![update], batch).await?;
    causes::noted(shared, &touched);
    settle(shared, prepared, accepted);
    Ok(())
}
