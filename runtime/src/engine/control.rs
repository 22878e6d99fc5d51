//! What a person can do: retry, cancel, pause.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::{Engine, MoveOutcome, Shared};
use crate::executor::{self, Job};
use crate::journal::What;
use crate::run::{Death, RetryRefusal, Status, check_retry};
use crate::store::{RunHead, StoreError};

/// What became of a retry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetryOutcome {
    /// The run goes on.
    Retried,
    /// There is no such run.
    NotFound,
    /// It is not tried again.
    Refused(RetryRefusal),
}

/// What became of a cancellation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelOutcome {
    /// The run is cancelled; a request that was under way may still have its effect.
    Cancelled,
    /// There is no such run.
    NotFound,
    /// It had ended.
    Ended(Status),
}

/// What became of a dismissal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DismissOutcome {
    /// The run is not among the dead any more.
    Dismissed,
    /// There is no such run.
    NotFound,
    /// It is not dead.
    NotDead(Status),
}

/// A pause that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resumed {
    /// Since when the flow was paused.
    pub since: jiff::Timestamp,
    /// How many events were kept that would have started it.
    pub missed: u64,
}

impl Shared {
    /// The store has paused a flow at `since`: by `otherwise pause` of its own, since it started too often, or since it and
    /// others cause each other's events.
    pub(crate) fn was_paused_by_itself(&self, flow: &str, reason: &str, since: jiff::Timestamp) {
        self.paused.write().unwrap_or_else(PoisonError::into_inner).entry(flow.to_owned()).or_insert(since);
        tracing::error!(flow, reason, "the flow is paused; events are kept, and `flowd resume` lets it go on");
    }

    /// A run took the turn of another one, which the store has cancelled.
    pub(crate) fn was_superseded(&self, run: Option<&str>, by: &str) {
        if let Some(run) = run {
            tracing::info!(run, by, "run is cancelled: a newer event took its turn");
            self.counters.cancelled.fetch_add(1, Ordering::Relaxed);
            self.queue().forget_parked(run);
        }
    }
}

impl Engine {
    /// Tries a dead run again from the step that failed, or one that waits at once. `force` repeats a step although its
    /// effect may have happened.
    ///
    /// # Errors
    /// Where the store cannot be read or written.
    pub async fn retry(&self, run: &str, force: bool) -> Result<RetryOutcome, StoreError> {
        let shared = &self.shared;
        let Some(mut head) = shared.store.run(run)? else { return Ok(RetryOutcome::NotFound) };
        if matches!(head.death, Some(Death::Misfit | Death::Missing)) {
            if let Err(refusal) = self.read_again(&head).await? {
                return Ok(RetryOutcome::Refused(refusal));
            }
            let gone = || StoreError::Corrupted("the run is gone".to_owned());
            head = shared.store.run(run)?.ok_or_else(gone)?;
        }
        if !shared.queue().claim(run) {
            return Ok(RetryOutcome::Refused(RetryRefusal::NotDead(Status::Running)));
        }
        let result = async {
            let mut job = executor::load(shared, &head)?;
            let now = executor::key_time(shared, &job, shared.look());
            if let Err(refusal) = check_retry(&job.flow, &job.run, now, force) {
                return Ok(Err(refusal));
            }
            job.record(now, What::Retried { force });
            job.write(shared).await?;
            Ok::<Result<Job, RetryRefusal>, StoreError>(Ok(job))
        }
        .await;
        match result {
            Ok(Ok(job)) => {
                tracing::info!(run, force, "run is tried again");
                if self.is_held_again(run)? {
                    shared.queue().release(run);
                    shared.touch();
                    return Ok(RetryOutcome::Retried);
                }
                let now = shared.world.clock.now();
                {
                    let mut queue = shared.queue();
                    queue.forget_parked(run);
                    queue.probe(&job, now);
                }
                executor::enqueue_claimed(shared, vec![job]);
                Ok(RetryOutcome::Retried)
            }
            Ok(Err(refusal)) => {
                shared.queue().release(run);
                Ok(RetryOutcome::Refused(refusal))
            }
            Err(error) => {
                shared.queue().release(run);
                // The commit may have reached the disk although it failed: then the run is found there, under way.
                shared.rescan.store(true, Ordering::SeqCst);
                shared.touch();
                Err(error)
            }
        }
    }

    /// A run that died of its event alone goes on only where the live version of its flow reads the event otherwise: then it
    /// is moved to that. The payload is read anew, and nothing is guessed.
    async fn read_again(&self, head: &RunHead) -> Result<Result<(), RetryRefusal>, StoreError> {
        let no = |reason: String| Ok(Err(RetryRefusal::WillFailAgain(reason)));
        let died_of = head.reason.clone().unwrap_or_default();
        let current = self.shared.current();
        let live = current.matcher.flow(&head.flow);
        if live.is_none_or(|flow| flow.hash == head.plan) {
            return no(died_of);
        }
        let Some(event) = self.shared.store.event(head.event)? else { return no("its event is not kept any more".to_owned()) };
        let no_settings = BTreeMap::new();
        let settings = current.live.connections.get(&event.connection).map_or(&no_settings, |live| &live.plan.settings);
        let group = current.matcher.group_of(&event.connection, &event.source, event.event_type.as_deref());
        let Some(Ok(payload)) = group.map(|group| group.read(&event.payload)) else { return no(died_of) };
        let starts = payload.starts(&event.head(), settings, Some(&head.trigger), &|flow: &str| flow != head.flow);
        match starts.into_iter().flat_map(|start| start.flows).next() {
            None => return no("as it is read now, the event does not meet the condition of the flow: dismiss the run".to_owned()),
            Some(matched) => {
                if let Some(misfit) = matched.misfit {
                    return no(format!("payload does not fit: {misfit}"));
                }
            }
        }
        Ok(match self.migrate(&head.id, false).await? {
            MoveOutcome::Moved(_) => Ok(()),
            MoveOutcome::Refused(refusal) => Err(RetryRefusal::WillFailAgain(refusal.to_string())),
            MoveOutcome::NotFound => Err(RetryRefusal::WillFailAgain(died_of)),
        })
    }

    /// Tells whether a run that was tried again has to wait for its turn.
    fn is_held_again(&self, run: &str) -> Result<bool, StoreError> {
        let head = self.shared.store.run(run)?;
        Ok(head.is_some_and(|head| head.waits.limited && head.status == Status::Waiting))
    }

    /// Cancels a run, whatever it waits for.
    ///
    /// # Errors
    /// Where the store cannot be read or written.
    pub async fn cancel(&self, run: &str) -> Result<CancelOutcome, StoreError> {
        let shared = &self.shared;
        loop {
            let Some(head) = shared.store.run(run)? else { return Ok(CancelOutcome::NotFound) };
            if !head.status.is_active() && head.status != Status::Dead {
                return Ok(CancelOutcome::Ended(head.status));
            }
            let mut job = executor::load(shared, &head)?;
            job.record(shared.world.clock.now(), What::Cancelled);
            match job.write(shared).await {
                Ok(()) => {
                    tracing::info!(run, "run is cancelled");
                    shared.counters.cancelled.fetch_add(1, Ordering::Relaxed);
                    shared.queue().forget_parked(run);
                    executor::take_turns(shared, shared.world.clock.now());
                    shared.touch();
                    return Ok(CancelOutcome::Cancelled);
                }
                // Its task was faster: once more on what it wrote.
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Dismisses a dead run: somebody has looked at it, and nothing more is to be done. It goes with the other runs that have
    /// ended, when they are old enough.
    ///
    /// # Errors
    /// Where the store cannot be read or written.
    pub async fn dismiss(&self, run: &str) -> Result<DismissOutcome, StoreError> {
        match self.shared.store.run(run)? {
            None => return Ok(DismissOutcome::NotFound),
            Some(head) if head.status != Status::Dead => return Ok(DismissOutcome::NotDead(head.status)),
            Some(_) => {}
        }
        match self.cancel(run).await? {
            CancelOutcome::Cancelled => Ok(DismissOutcome::Dismissed),
            CancelOutcome::NotFound => Ok(DismissOutcome::NotFound),
            CancelOutcome::Ended(status) => Ok(DismissOutcome::NotDead(status)),
        }
    }

    /// Pauses a flow: events start it no more until it is resumed. Its runs go on. Returns whether there is such a flow.
    ///
    /// # Errors
    /// Where the store cannot be written.
    pub async fn pause(&self, flow: &str) -> Result<bool, StoreError> {
        let shared = Arc::clone(&self.shared);
        if shared.current().matcher.flow(flow).is_none() {
            return Ok(false);
        }
        // Paused twice is paused since the first time.
        let since = self.paused_since(flow).unwrap_or_else(|| shared.world.clock.now());
        shared.store.set_paused(flow, Some(since)).await?;
        shared.paused.write().unwrap_or_else(PoisonError::into_inner).insert(flow.to_owned(), since);
        tracing::info!(flow, "flow is paused");
        Ok(true)
    }

    /// Lets events start a flow again. Returns whether it was paused.
    ///
    /// # Errors
    /// Where the store cannot be written.
    pub async fn resume(&self, flow: &str) -> Result<bool, StoreError> {
        Ok(self.resume_and_tell(flow).await?.is_some())
    }

    /// As [`Engine::resume`]; returns what the pause was.
    ///
    /// # Errors
    /// Where the store cannot be read or written.
    pub async fn resume_and_tell(&self, flow: &str) -> Result<Option<Resumed>, StoreError> {
        let pause = self.pauses()?.remove(flow);
        self.shared.store.set_paused(flow, None).await?;
        let was = self.shared.paused.write().unwrap_or_else(PoisonError::into_inner).remove(flow);
        if let Some(since) = was {
            self.shared.was_paused(flow, since, self.shared.world.clock.now());
            tracing::info!(flow, "flow goes on");
        }
        Ok(was.map(|since| Resumed { since, missed: pause.map_or(0, |pause| pause.count) }))
    }

    /// Tells since when a flow is paused.
    pub fn paused_since(&self, flow: &str) -> Option<jiff::Timestamp> {
        self.shared.paused_since(flow)
    }
}
