//! The task: what is due is done, and it is looked when that is next.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::sync::{Blind, alive_key, change, moved, sync, tally};
use super::{BLIND, Item, LOOK, STEP_BACK, TIME, absence, due_of, event, expect, fold, later, read, schedule};
use crate::alarm;
use crate::engine::{Refused, Shared, announce_silence, take_in};
use crate::event::Incoming;
use crate::store::{AcceptBatch, Before, BookChange, BookKey, BookRow, StoreError};
use flow_functions::rfc3339;

/// So many flows are started by one transaction.
const TOGETHER: usize = 256;
/// After the store failed, or where too many runs wait, it is tried again after so long.
const PAUSE: Duration = Duration::from_secs(1);

/// Starts flows by the clock until the engine stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    loop {
        shared.queue().clock_works = true;
        shared.settled.tell(false);
        let now = shared.world.clock.now();
        let next = if shared.is_stopping() { None } else { look(&shared, now).await };
        let changed = shared.clockwork.changed.notified();
        shared.queue().clock_works = false;
        shared.touch();
        // Set back while it was looked: what was found belongs to another time.
        let again = shared.world.clock.now();
        match next.map(|next| if again < now { again } else { next }) {
            Some(next) => tokio::select! {
                biased;
                () = changed => {}
                () = shared.world.clock.sleep_until(next) => {}
            },
            None => changed.await,
        }
    }
}

/// Does what is due. Returns when to look again; `None` where there is nothing to wait for.
async fn look(shared: &Arc<Shared>, now: Timestamp) -> Option<Timestamp> {
    match work(shared, now).await {
        Ok(next) => {
            if std::mem::take(&mut shared.clockwork.inner().troubled) {
                tracing::info!("flows are started by the clock again");
            }
            next
        }
        Err(refused) => {
            if let Refused::No(error) = &refused
                && !std::mem::replace(&mut shared.clockwork.inner().troubled, true)
            {
                tracing::warn!(%error, "what is due cannot be started now; it is tried again");
            }
            Some(now.checked_add(PAUSE).unwrap_or(Timestamp::MAX))
        }
    }
}

async fn work(shared: &Arc<Shared>, now: Timestamp) -> Result<Option<Timestamp>, Refused> {
    if shared.clockwork.inner().stale {
        sync(shared, now).await?;
    }
    notice_jump(shared, now).await?;
    loop {
        let due = shared.clockwork.inner().take_due(now);
        if due.is_empty() {
            break;
        }
        let done = handle(shared, now, &due).await;
        if let Err(refused) = done {
            // What is not done is still due, though it cannot be read now; a row that is not as it was thought to be is read again.
            shared.clockwork.inner().put_back(&due);
            due.iter().try_for_each(|key| refresh(shared, key))?;
            if !matches!(refused, Refused::Conflict) {
                return Err(refused);
            }
        }
    }
    read::begin_due(shared, now);
    heartbeat(shared, now).await?;
    let notice = alarm::announce_due(shared, now).await?;
    Ok(shared.clockwork.inner().next(now, shared.world.clock.can_jump()).into_iter().chain(notice).min())
}

impl super::Inner {
    fn take_due(&mut self, now: Timestamp) -> Vec<BookKey> {
        let due: Vec<BookKey> =
            self.due.iter().take_while(|(at, _)| *at <= now).take(TOGETHER).map(|(_, key)| key.clone()).collect();
        due.iter().for_each(|key| self.set_due(key, None));
        due
    }

    fn put_back(&mut self, taken: &[BookKey]) {
        for key in taken {
            let due = self.entries.get(key).and_then(|entry| due_of(&entry.item, &entry.row));
            self.set_due(key, due);
        }
    }

    fn next(&self, now: Timestamp, can_jump: bool) -> Option<Timestamp> {
        if self.entries.is_empty() {
            return None;
        }
        let due = self.due.first().map(|(at, _)| *at);
        let read = self.readers.values().filter(|reader| !reader.reading).map(|reader| reader.next_read).min();
        // A clock that is set, and a machine that slept, are noticed by looking.
        due.into_iter().chain(read).chain(can_jump.then(|| later(now, LOOK))).min()
    }
}

fn refresh(shared: &Shared, key: &BookKey) -> Result<(), StoreError> {
    let row = shared.store.book_row(key)?;
    let mut inner = shared.clockwork.inner();
    match row {
        Some(row) => inner.wrote(key, row),
        // It went with its flow; whether it comes back is seen with what is live.
        None => {
            inner.remove(key);
            inner.stale = true;
        }
    }
    Ok(())
}

/// Something that is to be written, with the events that it starts.
#[derive(Default)]
struct Batch {
    events: Vec<Incoming>,
    book: Vec<BookChange>,
}

impl Batch {
    fn write(&mut self, key: &BookKey, before: &BookRow, row: BookRow) {
        self.book.push(change(key, Some(row), Before::Row(Some(before.clone()))));
    }

    async fn commit(self, shared: &Arc<Shared>, connection: &str) -> Result<(), Refused> {
        if self.events.is_empty() && self.book.is_empty() {
            return Ok(());
        }
        take_in(shared, connection, self.events, None, self.book.clone()).await?;
        let mut inner = shared.clockwork.inner();
        for change in self.book {
            if let Some(row) = change.row {
                inner.wrote(&change.key, row);
            }
        }
        Ok(())
    }
}

async fn handle(shared: &Arc<Shared>, now: Timestamp, due: &[BookKey]) -> Result<(), Refused> {
    let mut schedules = Batch::default();
    for key in due {
        let (found, up_since) = {
            let inner = shared.clockwork.inner();
            let found = inner.entries.get(key).map(|entry| (entry.trigger.clone(), entry.item.clone(), entry.row.clone()));
            (found, inner.up_since)
        };
        let Some((trigger, item, row)) = found else { continue };
        match item {
            Item::Schedule(rule) => {
                let decision = schedule::decide(&rule, &row.read()?, now, up_since);
                announce_passed_over(key, &rule, &decision);
                scheduled(&mut schedules, key, &trigger, &row, &decision)?;
                if schedules.events.len() >= TOGETHER {
                    std::mem::take(&mut schedules).commit(shared, TIME).await?;
                }
            }
            Item::Absence { connection, rule } => silent(shared, now, key, &trigger, &connection, &rule, &row).await?,
            Item::Expect(rule) => expected(shared, now, key, &rule, &row).await?,
            Item::State { connection, rule, event_type } => {
                let waits: fold::Row = row.read()?;
                // That it is not known is only said once somebody has looked.
                let looked = fold::has_value(&rule) || shared.clockwork.inner().is_troubled(&connection, &rule.state);
                match fold::assume(&rule, &waits, now).filter(|_| looked) {
                    Some((next, fired)) => {
                        let value =
                            shared.clockwork.inner().value_of(&connection, &rule.state).filter(|_| fold::has_value(&rule));
                        let mut batch = Batch::default();
                        batch.events.push(read::state_event(&event_type, &trigger, &fired, value.as_ref()));
                        batch.write(key, &row, BookRow::of(&next, None)?);
                        batch.commit(shared, &connection).await?;
                    }
                    // It is read again first; what it is then decides.
                    None => read::want(shared, &connection, &rule.state, now),
                }
            }
        }
    }
    schedules.commit(shared, TIME).await
}

/// The instants of a schedule as events, with the row that says so.
fn scheduled(
    batch: &mut Batch,
    key: &BookKey,
    trigger: &str,
    row: &BookRow,
    decision: &schedule::Decision,
) -> Result<(), StoreError> {
    let known: schedule::Row = row.read()?;
    for instant in &decision.fire {
        let payload = json!({ "due": rfc3339(instant.at), "missed": instant.missed });
        batch.events.push(event(&key.owner, trigger, "schedule", instant.at, &payload));
    }
    let next = schedule::Row { anchor: known.anchor, handled: decision.handled };
    batch.write(key, row, BookRow::of(&next, None)?);
    Ok(())
}

fn announce_passed_over(key: &BookKey, rule: &flow_plan::Schedule, decision: &schedule::Decision) {
    if decision.passed_over == 0 && !decision.more {
        return;
    }
    let (flow, instants, latest) = (&key.owner, decision.passed_over, rfc3339(decision.handled));
    if decision.more && rule.missed == flow_plan::Missed::All {
        let most = schedule::MOST;
        tracing::error!(
            flow,
            latest,
            "more instants were missed than are made up for: the latest {most} are, the others are not"
        );
    } else {
        let at_least = if decision.more { "at least " } else { "" };
        tracing::info!(flow, latest, "{at_least}{instants} instants were missed and are passed over, as the flow says");
    }
}

async fn silent(
    shared: &Arc<Shared>,
    now: Timestamp,
    key: &BookKey,
    trigger: &str,
    connection: &str,
    rule: &flow_plan::Absence,
    row: &BookRow,
) -> Result<(), Refused> {
    let known: absence::Row = row.read()?;
    let Some(due) = absence::due(rule, &known).filter(|due| *due <= now) else {
        shared.clockwork.inner().wrote(key, row.clone());
        return Ok(());
    };
    let mut batch = Batch::default();
    let payload = json!({ "since": rfc3339(known.since), "seen": known.seen.map(rfc3339) });
    batch.events.push(event(&key.owner, trigger, "absence", due, &payload));
    batch.write(key, row, BookRow::of(&absence::Row { fired: true, ..known }, None)?);
    batch.commit(shared, connection).await
}

async fn expected(
    shared: &Arc<Shared>,
    now: Timestamp,
    key: &BookKey,
    rule: &flow_plan::Expect,
    row: &BookRow,
) -> Result<(), Refused> {
    let known: expect::Row = row.read()?;
    let starts = tally(shared, &key.owner)?;
    let due = expect::due(rule, &known, &starts);
    let mut batch = Batch::default();
    if due > now {
        shared.clockwork.inner().set_due(key, Some(due));
        if known.silent.is_some() && expect::is_well(rule, &starts, now) {
            tracing::info!(flow = key.owner, "the flow starts as often as it should again");
            batch.write(key, row, BookRow::of(&expect::Row { silent: None, ..known }, None)?);
            batch.commit(shared, crate::engine::FLOW).await?;
        }
        return Ok(());
    }
    let mut next = match expect::judge(rule, &known, &starts, due) {
        expect::Verdict::Well(next) => next,
        expect::Verdict::Silent(next) => {
            batch.events.extend(announce_silence(shared, &key.owner, rule, due));
            next
        }
    };
    if expect::due(rule, &next, &starts) <= now {
        // Whole periods went by in which nobody looked.
        next.begun = now;
    }
    batch.write(key, row, BookRow::of(&next, None)?);
    batch.commit(shared, crate::engine::FLOW).await
}

/// A clock that was set, or a machine that slept: a time in which nothing was seen.
async fn notice_jump(shared: &Arc<Shared>, now: Timestamp) -> Result<(), Refused> {
    if !shared.world.clock.can_jump() {
        return Ok(());
    }
    let (before, waits) = {
        let mut inner = shared.clockwork.inner();
        let waits = !inner.entries.is_empty();
        (inner.looked_at.replace(now).filter(|_| waits), waits)
    };
    if !waits {
        shared.clockwork.inner().looked_at = None;
        return Ok(());
    }
    let Some(before) = before else { return Ok(()) };
    let passed = now.duration_since(before);
    if passed <= BLIND && passed >= -STEP_BACK {
        return Ok(());
    }
    tracing::warn!(
        before = rfc3339(before),
        now = rfc3339(now),
        "the clock jumped, or the machine slept: nothing was seen in between"
    );
    let blind = Blind { from: Some(before), until: now };
    let entries: Vec<_> = {
        let mut inner = shared.clockwork.inner();
        // Until it is written nothing was noticed.
        inner.looked_at = Some(before);
        inner.entries.iter().map(|(key, entry)| (key.clone(), entry.item.clone(), entry.row.clone())).collect()
    };
    let mut book = Vec::new();
    for (key, item, row) in &entries {
        let next = moved(shared, key, item, row, blind)?;
        if next != *row {
            book.push(change(key, Some(next), Before::Row(Some(row.clone()))));
        }
    }
    if shared.clockwork.inner().counts_silence() {
        book.push(change(&alive_key(), Some(BookRow::of(&now, None)?), Before::Any));
    }
    let written = shared.store.accept(AcceptBatch { book: book.clone(), ..AcceptBatch::default() }).await;
    if matches!(written, Err(StoreError::Conflict)) {
        entries.iter().try_for_each(|(key, ..)| refresh(shared, key))?;
    }
    written?;
    let mut inner = shared.clockwork.inner();
    inner.looked_at = Some(now);
    inner.up_since = now;
    inner.alive_at = Some(now);
    for change in book {
        if let Some(row) = change.row {
            inner.wrote(&change.key, row);
        }
    }
    for reader in inner.readers.values_mut() {
        reader.known.gap = true;
        reader.next_read = now;
        reader.anew_from = Some(now);
    }
    Ok(())
}

/// Now and then it is written that the daemon lives, so that a crash is not taken for a silence.
async fn heartbeat(shared: &Arc<Shared>, now: Timestamp) -> Result<(), Refused> {
    let due = shared.clockwork.inner().alive_at.is_none_or(|at| now.duration_since(at) >= LOOK);
    if due {
        super::live_until(shared, now).await?;
    }
    Ok(())
}
