//! Bringing runs the events that they wait for.
//!
//! An event that is taken in is offered to the runs that wait for one of its kind; a run that begins to wait looks through
//! the events that came since its own. How the two together let no event slip is told in `store/awaited.rs`. Whichever
//! finds the event writes it into the journal; where the run waits no more by then nothing happens.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use flow_plan::{Env, Expr, FieldShape, JsonPath, Value, WaitFor};
use futures_util::future::join_all;
use jiff::Timestamp;

use super::job::{Job, load};
use super::{PORTION, STORE_PAUSE, perform, rescan_later};
use crate::decode::decode_field;
use crate::engine::{Shared, locked};
use crate::eval::{Scope, holds};
use crate::journal::{Came, EventHead, What};
use crate::key::value_key;
use crate::matcher::{Leaf, leaf_of, leaves, reads};
use crate::run::Status;
use crate::scan::PathSet;
use crate::store::{StoreError, StoredEvent};

/// So many events are read at once when a run looks through those before its wait.
const LOOKED_AT_ONCE: usize = 256;

/// Begins to offer what is to be offered, unless that is being done.
pub(super) fn start_offering(shared: &Arc<Shared>) {
    shared.queue().offering = true;
    let task = Arc::clone(shared);
    locked(&shared.steps).spawn(async move {
        let offered = offer_all(&task).await;
        {
            let mut queue = task.queue();
            queue.offering = false;
            // Bounds that were reached meanwhile had to wait for it.
            queue.forget_timers();
        }
        if let Err(error) = offered {
            tracing::warn!(%error, "events cannot be offered to the runs that wait for them; trying again");
            let again = task.world.clock.now().checked_add(STORE_PAUSE).unwrap_or(Timestamp::MAX);
            task.queue().offer_from = Some(again);
            task.offers.store(true, Ordering::SeqCst);
        }
        task.touch();
    });
}

async fn offer_all(shared: &Arc<Shared>) -> Result<(), StoreError> {
    while !shared.is_stopping() {
        let events = shared.store.to_offer(PORTION)?;
        if events.is_empty() {
            break;
        }
        for event in &events {
            if let Some(event) = shared.store.event(*event)? {
                offer(shared, &event).await?;
            }
        }
        shared.store.offered(events).await?;
    }
    Ok(())
}

/// Offers an event to the runs that wait for its like.
async fn offer(shared: &Arc<Shared>, event: &StoredEvent) -> Result<(), StoreError> {
    for (id, kind) in shared.store.await_kinds(&event.connection, &event.source)? {
        if !kind.is_of(event) {
            continue;
        }
        let key = match &kind.field {
            None => None,
            Some(field) => {
                let reader = Reader::new(std::slice::from_ref(field), &object_of(shared, event), None);
                match reader.read(&event.payload).and_then(|(mut values, _)| values.pop()) {
                    // What is missing equals nothing.
                    None | Some(Value::Missing) => continue,
                    Some(value) => Some(value_key(&[value])),
                }
            }
        };
        let by = (event.connection.as_str(), event.source.as_str(), id.as_str());
        let mut after: Option<String> = None;
        loop {
            let runs = shared.store.awaiting(by, key.as_ref(), after.as_deref(), PORTION)?;
            let Some(last) = runs.last().cloned() else { break };
            // Together, so that they share commits. One that fails ends none of the others: what it has written would be known to
            // nobody.
            let delivered = join_all(runs.iter().map(|run| deliver(shared, run, event))).await;
            delivered.into_iter().collect::<Result<(), StoreError>>()?;
            after = Some(last);
        }
    }
    Ok(())
}

/// Gives an event to a run, where it is what the run waits for.
async fn deliver(shared: &Arc<Shared>, run: &str, event: &StoredEvent) -> Result<(), StoreError> {
    loop {
        let Some(head) = shared.store.run(run)?.filter(|head| head.status == Status::Waiting) else { return Ok(()) };
        let mut job = match load(shared, &head) {
            Ok(job) => job,
            // It keeps nobody else from what they wait for.
            Err(error) if !error.is_retryable() => {
                tracing::error!(run, %error, "a run cannot go on");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let Some(came) = came(shared, &job, event) else { return Ok(()) };
        job.record(shared.world.clock.now(), What::Came(came));
        perform::rest(shared, &mut job).await;
        match job.write(shared).await {
            Ok(()) => {
                if shared.queue().queued() >= shared.options.queue {
                    // It is found in the store when there is room.
                    shared.rescan.store(true, Ordering::SeqCst);
                } else if shared.queue().claim_or_note(run) {
                    perform::put_back(shared, job, true);
                    shared.touch();
                }
                return Ok(());
            }
            // Somebody was faster: once more on what is there now.
            Err(StoreError::Conflict) => {}
            Err(error) => {
                // The commit may have reached the disk although it failed: then the run is found there, under way.
                shared.rescan.store(true, Ordering::SeqCst);
                return Err(error);
            }
        }
    }
}

/// Lets a run that has begun to wait look through the events that came since, in a task of its own.
pub(super) fn start_seeking(shared: &Arc<Shared>, job: Job) {
    let task = Arc::clone(shared);
    locked(&shared.steps).spawn(async move {
        let run = job.run.id().to_owned();
        if let Err(error) = seek(&task, job).await {
            tracing::warn!(run, %error, "a run cannot look through the events before its wait; trying again");
            rescan_later(&task);
            task.queue().release(&run);
        }
        task.touch();
    });
}

async fn seek(shared: &Arc<Shared>, mut job: Job) -> Result<(), StoreError> {
    if let Some(came) = look_through(shared, &job).await? {
        job.record(shared.world.clock.now(), What::Came(came));
        perform::carry_on(shared, job).await;
        return Ok(());
    }
    let run = job.run.id().to_owned();
    match shared.store.settle(&run, job.run.entries).await {
        Ok(()) => shared.queue().release(&run),
        // The event came meanwhile, or somebody cancelled the run.
        Err(StoreError::Conflict) => {
            let head = shared.store.run(&run)?.ok_or_else(|| StoreError::Corrupted("the run is gone".to_owned()))?;
            perform::put_back(shared, load(shared, &head)?, true);
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Returns the first of the events since the run's own, or since the beginning of the wait, that the run waits for.
async fn look_through(shared: &Arc<Shared>, job: &Job) -> Result<Option<Came>, StoreError> {
    let Some((wait, awaits)) = job.run.awaits(&job.flow) else { return Ok(None) };
    let source = (wait.trigger.connection.as_str(), wait.trigger.source.as_str());
    let mut after = awaits.after;
    loop {
        let (events, next) = shared.store.events_after(after, source, LOOKED_AT_ONCE)?;
        if let Some(came) = events.iter().find_map(|event| came(shared, job, event)) {
            return Ok(Some(came));
        }
        let Some(next) = next.filter(|_| !shared.is_stopping()) else { return Ok(None) };
        after = next;
        tokio::task::yield_now().await;
    }
}

/// Returns what a run has to know of an event, where it is what the run waits for.
fn came(shared: &Shared, job: &Job, event: &StoredEvent) -> Option<Came> {
    let (wait, awaits) = job.run.awaits(&job.flow)?;
    let used = &wait.trigger;
    let is_candidate = event.seq > awaits.after
        && (event.connection == used.connection && event.source == used.source)
        && event.is_of(&used.name, &used.types)
        // What came behind the bound came too late, whenever it is looked at.
        && job.run.wake_at().is_none_or(|until| event.received_at <= until);
    if !is_candidate {
        return None;
    }
    let reader = Reader::new(&wait.reads, &object_of(shared, event), used.guard.as_ref());
    let (slots, raws) = reader.read(&event.payload)?;
    let head = event.head();
    let no_settings = BTreeMap::new();
    let live = shared.current();
    let settings = live.live.connections.get(&event.connection).map_or(&no_settings, |live| &live.plan.settings);
    if let Some(guard) = &used.guard {
        let scope = AwaitedScope { slots: &slots, raws: &raws, event: &head, settings, trigger: &used.name };
        if !holds(guard, &scope).unwrap_or(false) {
            return None;
        }
    }
    let is_it = job.run.is_awaited(&job.flow, wait, &slots, head.now());
    is_it.then(|| Came { seq: event.seq, id: event.id.clone(), slots })
}

/// Reads an event as a wait for it does.
pub(crate) fn read_awaited(shared: &Shared, wait: &WaitFor, event: &StoredEvent) -> Option<Vec<Value>> {
    Reader::new(&wait.reads, &object_of(shared, event), None).read(&event.payload).map(|(slots, _)| slots)
}

/// Returns where in its payload the object of an event lies.
fn object_of(shared: &Shared, event: &StoredEvent) -> JsonPath {
    let current = shared.current();
    let live = current.live.connections.get(&event.connection);
    let source = live.and_then(|live| live.plan.sources.iter().find(|source| source.name == event.source));
    source.map(|source| source.envelope.object.clone()).unwrap_or_default()
}

/// What stands at the places of a raw payload.
type Raws = Vec<(JsonPath, Value)>;

/// Reads fields out of payloads, and the places that a guard looks at.
struct Reader<'f> {
    fields: Vec<(&'f FieldShape, Vec<Leaf>)>,
    raws: Vec<(JsonPath, usize)>,
    paths: PathSet,
}

impl<'f> Reader<'f> {
    fn new(fields: &'f [FieldShape], object: &JsonPath, guard: Option<&Expr>) -> Self {
        let mut paths = PathSet::default();
        let fields = fields.iter().map(|field| (field, leaves(field, object, &mut paths))).collect();
        let raws = guard.map(reads::raw_of).unwrap_or_default();
        let raws = raws.into_iter().map(|path| {
            let leaf = paths.insert(&path);
            (path, leaf)
        });
        let raws = raws.collect();
        Self { fields, raws, paths }
    }

    /// Returns the values of the fields, and what the guard looks at; `None` where one does not fit its shape: then nobody can say
    /// what it means.
    fn read(&self, payload: &[u8]) -> Option<(Vec<Value>, Raws)> {
        let scanned = self.paths.scan(payload).ok()?;
        let values =
            self.fields.iter().map(|(field, leaves)| decode_field(field, &|root, path| leaf_of(leaves, root, path, &scanned)));
        let raws = self.raws.iter().map(|(path, leaf)| (path.clone(), scanned.value(*leaf))).collect();
        Some((values.collect::<Result<_, _>>().ok()?, raws))
    }
}

/// What the guard of an awaited trigger can read.
struct AwaitedScope<'a> {
    slots: &'a [Value],
    raws: &'a [(JsonPath, Value)],
    event: &'a EventHead,
    settings: &'a BTreeMap<String, Value>,
    trigger: &'a str,
}

impl Scope for AwaitedScope<'_> {
    fn event(&self, slot: u16) -> Value {
        self.slots.get(usize::from(slot)).cloned().unwrap_or_default()
    }

    fn awaited(&self, slot: u16) -> Value {
        self.event(slot)
    }

    fn raw(&self, path: &JsonPath) -> Value {
        self.raws.iter().find(|(known, _)| known == path).map(|(_, value)| value.clone()).unwrap_or_default()
    }

    fn env(&self, env: &Env) -> Value {
        match env {
            Env::Now => Value::Instant(self.event.now()),
            Env::ReceivedAt => Value::Instant(self.event.received_at),
            Env::TriggerName => Value::text(self.trigger),
            Env::Origin => Value::text(self.event.origin.as_str()),
            Env::EventId => Value::text(self.event.id.as_str()),
            Env::EventAt => Value::Instant(self.event.occurred_at.unwrap_or(self.event.received_at)),
            Env::EventType => self.event.event_type.as_deref().map_or(Value::Missing, Value::text),
            Env::Setting(name) => self.settings.get(name).cloned().unwrap_or_default(),
            Env::RunFlow
            | Env::RunKey
            | Env::RunId
            | Env::SentAt
            | Env::SentBody
            | Env::SentForm
            | Env::SentQuery
            | Env::Secret(_)
            | Env::Connection
            | Env::PublicUrl
            | Env::LiveTypes
            | Env::Instance
            | Env::Watermark
            | Env::Cursor
            | Env::Error
            | Env::Mistake => Value::Missing,
        }
    }
}
