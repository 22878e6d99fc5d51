//! Moving a run to the live version of its flow.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use flow_plan::{Flow, Value, WaitFor};
use serde_json::{Value as Json, json};

use super::{Engine, Shared};
use crate::executor::{self, Job, head_of};
use crate::journal::{Entry, Start, What};
use crate::live::Live;
use crate::matcher::Matcher;
use crate::run::{MovePlan, MoveRefusal, Outside, apply, plan_move, replay};
use crate::store::{AcceptBatch, RunHead, RunUpdate, StoreError, StoredEvent};

/// What became of a move.
#[derive(Debug, Clone, PartialEq)]
pub enum MoveOutcome {
    /// It goes by the live version; or would, where that was only asked.
    Moved(MovedTo),
    /// There is no such run.
    NotFound,
    /// It stays under the version that it has.
    Refused(MoveRefusal),
}

/// How a run goes on that was moved.
#[derive(Debug, Clone, PartialEq)]
pub struct MovedTo {
    /// The flow.
    pub flow: String,
    /// The hash of the plan before.
    pub from: String,
    /// The hash of the plan now.
    pub to: String,
    /// Where the run stands.
    pub status: crate::run::Status,
    /// What is otherwise than it would be had the run begun under this version.
    pub notes: Vec<String>,
    /// What comes next, for people.
    pub ahead: String,
}

impl MovedTo {
    /// Returns the JSON of the API.
    pub fn to_json(&self, run: &str, dry: bool) -> Json {
        json!({
            "id": run,
            "flow": self.flow,
            "from": self.from,
            "to": self.to,
            "moved": !dry,
            "dry_run": dry,
            "status": self.status.as_str(),
            "notes": self.notes,
            "ahead": self.ahead,
        })
    }
}

impl Engine {
    /// Moves a run that waits, is parked or dead to the live version of its flow, where what it has done is the same there.
    /// A `dry` one changes nothing.
    ///
    /// # Errors
    /// Where the store cannot be read or written.
    pub async fn migrate(&self, run: &str, dry: bool) -> Result<MoveOutcome, StoreError> {
        let (engine, run) = (self.clone(), run.to_owned());
        // A task of its own: whoever asks and goes away must not part the commit from what follows it.
        tokio::spawn(async move { engine.move_run(&run, dry).await }).await.unwrap_or_else(|error| {
            tracing::error!(%error, "moving a run failed");
            Err(StoreError::Io("an internal error".to_owned()))
        })
    }

    async fn move_run(&self, run: &str, dry: bool) -> Result<MoveOutcome, StoreError> {
        let shared = &self.shared;
        let Some(head) = shared.store.run(run)? else { return Ok(MoveOutcome::NotFound) };
        let Some(flow) = shared.current().matcher.flow(&head.flow).cloned() else {
            return Ok(MoveOutcome::Refused(MoveRefusal::NotLive(head.flow)));
        };
        if flow.hash == head.plan {
            return Ok(MoveOutcome::Refused(MoveRefusal::Current));
        }
        if dry {
            return Ok(match worked_out(shared, &head, &flow)? {
                Ok(plan) => MoveOutcome::Moved(moved_to(&head, &plan)),
                Err(refusal) => MoveOutcome::Refused(refusal),
            });
        }
        if !shared.queue().claim(run) {
            return Ok(MoveOutcome::Refused(MoveRefusal::Performing));
        }
        let written = self.write_move(&head, &flow).await;
        if !matches!(written, Ok(MoveOutcome::Moved(_))) {
            shared.queue().release(run);
            return match written {
                // Its event came, or its time: it is under way.
                Err(StoreError::Conflict) => Ok(MoveOutcome::Refused(MoveRefusal::Performing)),
                other => other,
            };
        }
        tracing::info!(run, flow = flow.id, plan = flow.hash, "run is moved to the live version of its flow");
        shared.queue().forget_parked(run);
        let gone = || StoreError::Corrupted("the run is gone".to_owned());
        let restored = shared.store.run(run).and_then(|head| executor::restore(shared, &head.ok_or_else(gone)?));
        if let Err(error) = restored {
            // It is moved, and is found in the store when that can be read.
            tracing::warn!(run, %error, "a run that was moved cannot be read yet");
            shared.queue().release(run);
            shared.rescan.store(true, Ordering::SeqCst);
        }
        executor::take_turns(shared, self.now());
        shared.touch();
        written
    }

    /// Writes a move: the entry, the plan, and the run under it, in one transaction.
    async fn write_move(&self, head: &RunHead, flow: &Arc<Flow>) -> Result<MoveOutcome, StoreError> {
        let shared = &self.shared;
        let plan = match worked_out(shared, head, flow)? {
            Ok(plan) => plan,
            Err(refusal) => return Ok(MoveOutcome::Refused(refusal)),
        };
        let moved = moved_to(head, &plan);
        let entry = Entry::new(self.now(), What::Moved(Box::new(plan.moved)));
        let mut run = replay(flow, &[]);
        run.entries = head.entries;
        apply(flow, &mut run, &entry);
        let mut head = head_of(flow, &run, head.seq);
        // It looks once more through the events before its wait: the live version may wait for others.
        head.waits.attention = head.waits.awaits.is_some();
        let wake_at = head.wake_at;
        let batch = AcceptBatch { plans: vec![Arc::clone(flow)], ..AcceptBatch::default() };
        shared.store.update_and_accept(vec![RunUpdate { head, entries: vec![entry] }], batch).await?;
        if let Some(at) = wake_at {
            shared.queue().timer_at(at);
        }
        Ok(MoveOutcome::Moved(moved))
    }
}

fn moved_to(head: &RunHead, plan: &MovePlan) -> MovedTo {
    MovedTo {
        flow: head.flow.clone(),
        from: plan.moved.from.clone(),
        to: plan.moved.to.clone(),
        status: plan.moved.state.status,
        notes: plan.moved.notes.clone(),
        ahead: plan.ahead.clone(),
    }
}

/// Works a move out, and changes nothing.
fn worked_out(shared: &Shared, head: &RunHead, flow: &Arc<Flow>) -> Result<Result<MovePlan, MoveRefusal>, StoreError> {
    let Job { flow: old, run, .. } = executor::load(shared, head)?;
    let gone = || StoreError::Corrupted("the event of the run is gone".to_owned());
    let event = shared.store.event(head.event)?.ok_or_else(gone)?;
    let before = run.start.ok_or_else(gone)?;
    let start = match start_under(shared, flow, &event, &before) {
        Ok(start) => start,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let journal = shared.store.journal(&head.id)?;
    let awaited = |wait: &WaitFor, seq: u64| -> Option<Vec<Value>> {
        let event = shared.store.event(seq).ok().flatten()?;
        executor::read_awaited(shared, wait, &event)
    };
    let outside = Outside { start: &start, awaited: &awaited };
    Ok(plan_move(&old, flow, &journal, &outside, shared.world.clock.now()))
}

/// Returns how the run would have begun under another version: what that reads of the event.
fn start_under(shared: &Shared, flow: &Arc<Flow>, event: &StoredEvent, before: &Start) -> Result<Start, MoveRefusal> {
    let current = shared.current();
    let alone = Live { flows: vec![Arc::clone(flow)], connections: current.live.connections.clone(), ..Live::default() };
    let matcher = Matcher::build(&alone, None);
    let no_settings = BTreeMap::new();
    let settings = current.live.connections.get(&event.connection).map_or(&no_settings, |live| &live.plan.settings);
    let mut read = None;
    let group = matcher.group_of(&event.connection, &event.source, event.event_type.as_deref());
    if let Some(Ok(payload)) = group.map(|group| group.read(&event.payload)) {
        payload.each_listener(&event.head(), settings, &mut |_, used, view, _| {
            if used.name == before.trigger && read.is_none() {
                read = Some((view.slots(), view.raws(), view.first_misfit().map(ToString::to_string)));
            }
        });
    }
    let Some((slots, raw, misfit)) = read else {
        let started = format!("{}.{}", event.connection, before.trigger);
        return Err(MoveRefusal::Differs(format!("the run was started by {started}, which does not start the live version")));
    };
    Ok(Start { slots, raw, misfit, ..before.clone() })
}
