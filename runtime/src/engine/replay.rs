//! Stored events offered once more to a flow: bite by bite, each start in one transaction.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use jiff::Timestamp;

use super::accept::{Beginning, admitted, begin, plans_with, settle};
use super::{Engine, Shared};
use crate::executor::{self, Job};
use crate::replay::{Examined, Examiner, ReplayBite, ReplayPlace, ReplayQuery, ReplayedEvent, Verdict, first_since};
use crate::store::{Admission, ReplayBatch, ReplayStart, Replayed, StoreError, StoredEvent};

/// At most so many events are looked at in one bite.
const LOOKED_AT: usize = 1000;
/// At most so many runs are started in one bite.
const STARTED: usize = 50;
/// While more runs than this wait for their turn no more are started.
const MOST_QUEUED: usize = 100;
/// So many events are read at once.
const PAGE: usize = 100;

/// Why a replay does not take place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// There is no such flow.
    #[error("there is no such flow")]
    NoFlow,
    /// There is no such event.
    #[error("there is no such event in the store")]
    NoEvent,
    /// The flow is paused.
    #[error("the flow is paused: `flowd resume` it first, so that it may start")]
    Paused,
    /// The daemon is stopping.
    #[error("the daemon is stopping")]
    Stopping,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Engine {
    /// Offers the next stored events to a flow, or only looks what would become of them. When it returns, the runs that it
    /// started are durable.
    ///
    /// # Errors
    /// Where flow or event are not there, the flow is paused, or the store fails.
    pub async fn replay(&self, query: &ReplayQuery) -> Result<ReplayBite, ReplayError> {
        let (shared, query) = (Arc::clone(&self.shared), query.clone());
        // A task of its own: whoever asks and goes away must not part the commit from what follows it.
        tokio::spawn(async move { bite(&shared, query).await }).await.unwrap_or_else(|error| {
            tracing::error!(%error, "a replay failed");
            Err(ReplayError::Store(StoreError::Io("an internal error".to_owned())))
        })
    }
}

async fn bite(shared: &Arc<Shared>, query: ReplayQuery) -> Result<ReplayBite, ReplayError> {
    if shared.is_stopping() {
        return Err(ReplayError::Stopping);
    }
    let current = shared.current();
    let flow = current.matcher.flow(&query.flow).cloned().ok_or(ReplayError::NoFlow)?;
    if !query.dry_run && shared.pauses(&flow.id).since.is_some() {
        return Err(ReplayError::Paused);
    }
    let now = shared.world.clock.now();
    let began_at = query.from.map_or(now, |from| from.began_at);
    if !query.dry_run && shared.queue().queued() > MOST_QUEUED {
        let next = query.from.unwrap_or(ReplayPlace { event: 0, began_at });
        let stored_since = None;
        return Ok(ReplayBite { began_at, looked_at: 0, events: Vec::new(), next: Some(next), busy: true, stored_since });
    }
    let (again, dry_run) = (query.again, query.dry_run);
    let looked = {
        let shared = Arc::clone(shared);
        let current = Arc::clone(&current);
        let flow = Arc::clone(&flow);
        let examine = move || {
            let examiner = Examiner::new(&*shared.store, &current.live, &flow, query.again, began_at, now);
            look(&shared, &query, examiner, began_at)
        };
        tokio::task::spawn_blocking(examine).await.map_err(|error| StoreError::Io(error.to_string()))?
    };
    let Looked { looked_at, examined, next, stored_since } = looked?;
    let events = if dry_run {
        examined.into_iter().map(|examined| examined.event).collect()
    } else {
        start(shared, &current, examined, again, now).await?
    };
    Ok(ReplayBite { began_at, looked_at, events, next, busy: false, stored_since })
}

struct Looked {
    looked_at: u64,
    examined: Vec<Examined>,
    next: Option<ReplayPlace>,
    stored_since: Option<Timestamp>,
}

/// Looks at the next events.
fn look(shared: &Shared, query: &ReplayQuery, mut examiner: Examiner<'_>, began_at: Timestamp) -> Result<Looked, ReplayError> {
    let store = &*shared.store;
    let stored_since = store.events_from(0, 1)?.first().map(|event| event.received_at);
    let mut looked = Looked { looked_at: 0, examined: Vec::new(), next: None, stored_since };
    if let Some(id) = &query.event {
        let mut events = Vec::new();
        for (_, seq) in store.event_seqs(id)? {
            events.extend(store.event(seq)?);
        }
        if events.is_empty() {
            return Err(ReplayError::NoEvent);
        }
        for event in events {
            looked.looked_at += 1;
            looked.examined.extend(examiner.examine(event)?);
        }
        return Ok(looked);
    }
    let since = query.since.unwrap_or(Timestamp::MIN);
    let until = query.until.map_or(began_at, |until| until.min(began_at));
    let mut from = match query.from.map(|from| from.event).filter(|from| *from > 0) {
        Some(from) => from,
        None => first_since(store, since, shared.last_event())?,
    };
    let mut starts = 0;
    loop {
        let page = store.events_from(from, PAGE)?;
        if page.is_empty() {
            return Ok(looked);
        }
        for event in page {
            from = event.seq.saturating_add(1);
            // Clocks may have been set back: who came out of order is not the end.
            if event.received_at < since || event.received_at >= until {
                if is_past(&event, until) {
                    return Ok(looked);
                }
                continue;
            }
            looked.looked_at += 1;
            if let Some(examined) = examiner.examine(event)? {
                starts += usize::from(examined.start.is_some());
                looked.examined.push(examined);
            }
            if starts >= STARTED && !query.dry_run || looked.looked_at as usize >= LOOKED_AT {
                looked.next = Some(ReplayPlace { event: from, began_at });
                return Ok(looked);
            }
        }
    }
}

/// Nothing behind this event was received before `until`, were the clock set back by as much as an hour.
fn is_past(event: &StoredEvent, until: Timestamp) -> bool {
    event.received_at.checked_sub(jiff::SignedDuration::from_hours(1)).is_ok_and(|before| before > until)
}

/// Starts what the events start, and says what became of each.
async fn start(
    shared: &Arc<Shared>,
    current: &super::Current,
    mut examined: Vec<Examined>,
    again: bool,
    now: Timestamp,
) -> Result<Vec<ReplayedEvent>, ReplayError> {
    let mut starts = Vec::new();
    let mut waiting = Vec::new();
    let mut follows = Vec::new();
    for (at, examined) in examined.iter_mut().enumerate() {
        let Some((start, number)) = examined.start.take() else { continue };
        let mut of_it = Vec::new();
        let beginning = Beginning { at: now, replay: Some(number) };
        let begun = begin(shared, current, &examined.stored.head(), start, beginning, &mut of_it);
        let (start, jobs) = begun.map_err(|error| StoreError::Io(error.to_string()))?;
        starts.push(ReplayStart { event: examined.stored.seq, start, again });
        waiting.push((at, jobs));
        follows.push(of_it);
    }
    let mut events: Vec<ReplayedEvent> = examined.into_iter().map(|examined| examined.event).collect();
    if starts.is_empty() {
        return Ok(events);
    }
    let plans = plans_with(waiting.iter().flat_map(|(_, jobs)| jobs), follows.iter().flatten());
    let replayed = shared.store.replay(ReplayBatch { starts, plans }).await.inspect_err(|_| {
        // The commit may have reached the disk although it failed: then its runs are found there.
        shared.rescan.store(true, Ordering::SeqCst);
    })?;
    let (mut ready, mut followed) = (Vec::new(), Vec::new());
    for (((at, jobs), of_it), replayed) in waiting.into_iter().zip(follows).zip(replayed) {
        let Some(event) = events.get_mut(at) else { continue };
        match replayed {
            Replayed::Gone => tell(event, Verdict::Other, "it is in the store no more", None),
            Replayed::Known(run) => tell(event, Verdict::Already, "", Some(run)),
            Replayed::Admitted { admissions, followed: of_store } => {
                for (job, admission) in jobs.into_iter().zip(admissions) {
                    let run = job.run.id().to_owned();
                    match &admission {
                        Admission::Started { .. } => tell(event, Verdict::Started, "", Some(run)),
                        Admission::Held { .. } => tell(event, Verdict::Started, "it is held back by a limit", Some(run)),
                        Admission::Dropped(reason) | Admission::Paused(reason) | Admission::Flooded(reason) => {
                            tell(event, Verdict::Limited, reason, None);
                        }
                    }
                    admitted(shared, job, admission, now, &mut Vec::new(), &mut ready);
                }
                followed.extend(of_it.into_iter().zip(of_store).filter_map(|(event, accepted)| Some((event, accepted?))));
            }
        }
    }
    go(shared, ready);
    if !followed.is_empty() {
        let (prepared, accepted) = followed.into_iter().unzip();
        settle(shared, prepared, accepted);
    }
    Ok(events)
}

fn go(shared: &Arc<Shared>, ready: Vec<Job>) {
    if !ready.is_empty() {
        shared.counters.runs.fetch_add(ready.len() as u64, Ordering::Relaxed);
        executor::enqueue(shared, ready);
    }
}

fn tell(event: &mut ReplayedEvent, verdict: Verdict, reason: &str, run: Option<String>) {
    event.verdict = verdict;
    reason.clone_into(&mut event.reason);
    event.run = run;
}
