//! One source, polled for as long as flows draw from it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use flow_plan::Poll;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tracing::{error, info, warn};

use super::change::{self, Telling};
use super::fetch::{Fetched, KEEP_BYTES, PollError, Start, fetch};
use super::items::{Item, ItemReader, Odd};
use super::{Board, Key, Spec, TAKEN_BACK, told};
use crate::engine::Engine;
use crate::event::{AcceptError, Cursor, Gap, Incoming, Left, LeftOut};
use crate::world::World;

/// Events that are committed at a time.
const BATCH: usize = 500;
/// A silent poll writes its cursor this often, so that the disk is not woken for nothing.
const QUIET_COMMIT: SignedDuration = SignedDuration::from_mins(5);
/// In silence the watermark stays so far behind the service's own time: late items are still asked for.
const QUIET_LAG: SignedDuration = SignedDuration::from_hours(1);
/// A service's clock that differs by more says nothing.
const MAX_SKEW: SignedDuration = SignedDuration::from_hours(24);
/// How often a broken connection is tried.
const PROBE: Duration = Duration::from_secs(300);
/// Who may not ask looks again no sooner.
const MOMENT: Duration = Duration::from_secs(1);
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(15 * 60);
/// What a source without times remembers of its list.
const MAX_SEEN: usize = 10_000;

/// Polls until the task is ended or the plan no longer has the source.
pub(super) async fn run(
    key: Key,
    mut specs: watch::Receiver<Arc<Spec>>,
    engine: Engine,
    world: World,
    board: Board,
    begins_at: Timestamp,
) {
    let mut task = Task {
        key,
        engine,
        world,
        board,
        cursor: Cursor::default(),
        known: HashSet::new(),
        fresh: BTreeSet::new(),
        odd: Arc::default(),
        committed_at: None,
        tried: None,
        keep_bytes: KEEP_BYTES,
    };
    let mut failures = 0;
    let mut loaded = false;
    // A clock that was set back is no reason to wait for long.
    if begins_at > task.world.clock.now() {
        task.board.update(&task.key, |status| status.next_at = Some(begins_at));
        task.world.clock.sleep_until(begins_at).await;
    }
    loop {
        let spec = Arc::clone(&specs.borrow_and_update());
        let Some(poll) = &spec.source.poll else { return };
        let result = async {
            if !loaded {
                task.load(&spec, poll).await?;
                loaded = true;
            }
            task.poll(&spec, poll).await
        };
        let wait = match result.await {
            Ok(Next::Again) => Duration::ZERO,
            Ok(Next::Interval { since }) => {
                task.succeeded();
                failures = 0;
                // What was read by others a moment ago counts from then, so that it is read once for all the next time.
                let gone = Duration::try_from(task.world.clock.now().duration_since(since)).unwrap_or_default();
                spec.every.saturating_sub(gone).max(spec.every / 4)
            }
            Err(Trouble::Stopping) => return,
            Err(Trouble::Store(reason)) => task.failed(&reason, false, task.backoff(&mut failures, None, spec.every)),
            Err(Trouble::Poll(PollError::Broken(reason))) => task.failed(&reason, true, PROBE.max(spec.every)),
            Err(Trouble::Poll(PollError::CursorLost(reason))) => {
                task.cursor_lost(&reason);
                Duration::ZERO
            }
            Err(Trouble::Poll(PollError::Withheld { reason, wait })) => task.failed(&reason, false, wait.max(MOMENT)),
            Err(Trouble::Poll(PollError::Failed { error, retry_after })) => {
                task.failed(&error, false, task.backoff(&mut failures, retry_after, spec.every))
            }
        };
        let next_at = later(task.world.clock.now(), wait);
        task.board.update(&task.key, |status| status.next_at = Some(next_at));
        if wait.is_zero() {
            // Long lists take turns with the other polls.
            tokio::task::yield_now().await;
            continue;
        }
        tokio::select! {
            () = task.world.clock.sleep_until(next_at) => {}
            changed = specs.changed() => {
                if changed.is_err() {
                    return;
                }
                failures = 0;
            }
        }
    }
}

struct Task {
    key: Key,
    engine: Engine,
    world: World,
    board: Board,
    /// How far was read, as it was last committed or is about to be.
    cursor: Cursor,
    /// What the last list held: it comes again in the overlap. The engine has the last word on what is new.
    known: HashSet<String>,
    /// Event types whose beginning has not yet been compared with the service's clock.
    fresh: BTreeSet<String>,
    odd: Arc<Odd>,
    committed_at: Option<Timestamp>,
    /// What the cheap query told when a poll found nothing new: a list may lag behind, so it is asked for once more.
    tried: Option<String>,
    keep_bytes: usize,
}

enum Next {
    Again,
    /// After the interval, which begins then.
    Interval {
        since: Timestamp,
    },
}

enum Trouble {
    Stopping,
    Store(String),
    Poll(PollError),
}

impl From<PollError> for Trouble {
    fn from(error: PollError) -> Self {
        Self::Poll(error)
    }
}

impl From<AcceptError> for Trouble {
    fn from(error: AcceptError) -> Self {
        match error {
            AcceptError::Stopping => Self::Stopping,
            AcceptError::QueueFull | AcceptError::Store(_) | AcceptError::Malformed(_) => Self::Store(error.to_string()),
        }
    }
}

impl Task {
    /// Reads the cursor, and makes it where the source is new.
    async fn load(&mut self, spec: &Spec, poll: &Poll) -> Result<(), Trouble> {
        let (connection, source) = self.key.clone();
        let Some(cursor) = self.engine.cursor(&connection, &source) else {
            let now = self.world.clock.now();
            self.cursor = Cursor { polled_at: Some(now), ..Cursor::default() };
            if poll.first_now {
                self.cursor.watermark = Some(whole_second(now));
                if !has_times(spec) {
                    return self.prime(spec, poll).await;
                }
                self.begin_types(spec);
                self.cursor.watermark = self.cursor.since.values().min().copied();
            }
            self.commit(Vec::new(), self.cursor.clone()).await?;
            info!(connection, source, "polling begins now; nothing older is emitted");
            return Ok(());
        };
        self.known = cursor.seen.iter().cloned().collect();
        self.cursor = cursor;
        // What was lost before this start is no less lost, and is said for as long.
        let now = self.world.clock.now();
        self.cursor.gap.take_if(|gap| !gap.is_alarm(now));
        self.cursor.left_out.take_if(|left_out| !left_out.is_alarm(now));
        let (gap, left_out) = (self.cursor.gap, self.cursor.left_out.clone());
        self.board.update(&self.key, |status| (status.gap, status.left_out) = (gap, left_out));
        Ok(())
    }

    /// Says what the service does not list any more, before anything is read: after a stop, and after failures that lasted.
    fn mind_the_gap(&mut self, poll: &Poll) {
        let read_until = self.cursor.polled_at.into_iter().chain(self.cursor.watermark).max();
        let (Some(read_until), Some(oldest)) = (read_until, self.oldest(poll)) else { return };
        if read_until >= oldest {
            return;
        }
        let is_new = self.cursor.gap.is_none_or(|gap| gap.from != read_until);
        self.lost(Gap { from: read_until, to: oldest, found: self.world.clock.now() });
        if is_new {
            error!(connection = self.key.0, source = self.key.1, gap_from = %read_until, gap_to = %oldest,
                "the service no longer lists what happened in this gap: events of that time are lost");
        }
    }

    /// Notes what is lost. It is written with the next cursor: until then each start finds it again.
    fn lost(&mut self, gap: Gap) {
        self.cursor.gap = Some(gap);
        self.committed_at = None;
        self.board.update(&self.key, |status| status.gap = Some(gap));
    }

    /// Notes items that cannot be read. Those that are listed still are counted anew after a start.
    fn note_left_out(&mut self) {
        let Some((count, reason)) = self.odd.listed() else { return };
        let known = self.cursor.left_out.take();
        let count = known.as_ref().map_or(count, |known| known.count.max(count));
        if known.is_none_or(|known| (known.count, &known.reason) != (count, &reason)) {
            self.committed_at = None;
        }
        self.cursor.left_out = Some(LeftOut { count, reason, found: self.world.clock.now() });
        let left_out = self.cursor.left_out.clone();
        self.board.update(&self.key, |status| status.left_out = left_out);
    }

    /// Items without times: what is there at the first poll is old.
    async fn prime(&mut self, spec: &Spec, poll: &Poll) -> Result<(), Trouble> {
        let reader = ItemReader::new(&spec.source, poll, &spec.connection, &self.odd);
        let reach_only = poll.cursor_of_items.is_some();
        let start = Start {
            watermark: self.cursor.watermark,
            cursor: None,
            keep_bytes: self.keep_bytes,
            begun: false,
            reach_only,
            alone: &[],
        };
        let fetched = fetch(spec, poll, &reader, &self.engine, &self.world, start).await?;
        self.remember(&fetched.items);
        self.cursor.cursor = fetched.cursor;
        self.cursor.seen = seen(&fetched.items);
        self.commit(Vec::new(), self.cursor.clone()).await
    }

    /// Event types count from when a flow first wants them, and little longer than one does: one that is wanted again soon
    /// goes on where it was left. Returns whether anything changed.
    fn begin_types(&mut self, spec: &Spec) -> bool {
        let now = self.world.clock.now();
        // At least one more poll passes before a type is forgotten, however long the interval is.
        let kept = TAKEN_BACK.max(SignedDuration::try_from(spec.every.saturating_mul(2)).unwrap_or(TAKEN_BACK));
        let (wanted, gone) =
            std::mem::take(&mut self.cursor.since).into_iter().partition(|(name, _)| spec.since.contains_key(name));
        let gone: BTreeMap<String, Timestamp> = gone;
        self.cursor.since = wanted;
        let mut changed = !gone.is_empty();
        let watermark = self.cursor.watermark;
        self.cursor.left.extend(gone.into_iter().map(|(name, since)| (name, Left { since, watermark, at: now })));
        for (name, since) in &spec.since {
            if self.cursor.since.contains_key(name) {
                continue;
            }
            changed = true;
            let left = self.cursor.left.remove(name).filter(|left| now.duration_since(left.at) <= kept);
            let (since, watermark) = if let Some(left) = left {
                info!(connection = self.key.0, source = self.key.1, event_type = name, "a type is wanted again; it goes on");
                (left.since, left.watermark)
            } else {
                self.fresh.insert(name.clone());
                (whole_second(*since), Some(whole_second(*since)))
            };
            self.cursor.since.insert(name.clone(), since);
            // What others have read meanwhile was not read of this type. What comes twice is known.
            self.cursor.watermark = self.cursor.watermark.into_iter().chain(watermark).min();
        }
        let before = self.cursor.left.len();
        self.cursor.left.retain(|_, left| now.duration_since(left.at) <= kept);
        changed || self.cursor.left.len() != before
    }

    /// Returns the oldest instant that the service still lists.
    fn oldest(&self, poll: &Poll) -> Option<Timestamp> {
        let history = SignedDuration::from_millis(i64::try_from(poll.history_ms?).ok()?);
        self.world.clock.now().checked_sub(history).ok()
    }

    async fn poll(&mut self, spec: &Spec, poll: &Poll) -> Result<Next, Trouble> {
        let reader = ItemReader::new(&spec.source, poll, &spec.connection, &self.odd);
        let timed = has_times(spec);
        if poll.first_now && timed && self.begin_types(spec) {
            self.commit(Vec::new(), self.cursor.clone()).await?;
        }
        let mut since = None;
        let told = match &poll.when_changes {
            Some(when) => {
                let told = change::ask(spec, when, &self.engine, &self.world, spec.every).await?;
                if self.cursor.changed.as_ref() == Some(&told.text) {
                    if poll.history_ms.is_some() {
                        // That nothing has happened is known until now.
                        let now = self.world.clock.now();
                        self.commit_quietly(Cursor { polled_at: Some(now), ..self.cursor.clone() }, now).await?;
                    }
                    return Ok(Next::Interval { since: told.at });
                }
                since = Some(told.at);
                Some(told)
            }
            None => None,
        };
        self.mind_the_gap(poll);
        let watermark = match (self.cursor.watermark, self.oldest(poll)) {
            (Some(watermark), Some(oldest)) => Some(watermark.max(oldest)),
            (watermark, _) => watermark,
        };
        let cursor = self.cursor.cursor.clone();
        let begun = told.is_some();
        let alone = self.cursor.alone.clone();
        let (cursor, keep_bytes) = (cursor.as_deref(), self.keep_bytes);
        let start = Start { watermark, cursor, keep_bytes, begun, reach_only: false, alone: &alone };
        let asked_at = self.world.clock.now();
        let fetched = match fetch(spec, poll, &reader, &self.engine, &self.world, start).await {
            Ok(fetched) => fetched,
            Err(error) => {
                if let Some(told) = &told {
                    self.told_alone(spec, told).await?;
                }
                return Err(error.into());
            }
        };
        self.note_left_out();
        self.compare_clocks(fetched.answered_at, asked_at);
        let before = self.cursor.watermark;
        let cut = fetched.whole_until.is_some();
        self.hand_over(spec, &reader, fetched, told).await?;
        if !cut {
            self.keep_bytes = KEEP_BYTES;
            return Ok(Next::Interval { since: since.unwrap_or_else(|| self.world.clock.now()) });
        }
        if self.cursor.watermark == before {
            // Too much happened at one instant for the bound: it has to give way, or the poll would never get further.
            self.keep_bytes = self.keep_bytes.saturating_mul(2);
            warn!(connection = self.key.0, source = self.key.1, bytes = self.keep_bytes, "a poll needs more memory");
        }
        Ok(Next::Again)
    }

    /// A start is an instant of our clock, items carry the service's: the difference must neither lose nor invent any.
    fn compare_clocks(&mut self, answered_at: Option<Timestamp>, asked_at: Timestamp) {
        let Some(theirs) = answered_at else { return };
        // A `Date` has whole seconds and is made while we wait: what lies within that time is no difference. Where it is in
        // doubt the earlier instant is taken, since that loses nothing.
        let slack = SignedDuration::from_secs(2);
        let ahead = theirs.duration_since(self.world.clock.now()) - slack;
        let behind = theirs.duration_since(asked_at);
        let skew = if ahead.is_positive() {
            ahead
        } else if behind < -slack {
            behind
        } else {
            SignedDuration::ZERO
        };
        let fresh = std::mem::take(&mut self.fresh);
        if skew.is_zero() || skew.abs() > MAX_SKEW {
            return;
        }
        let all = fresh.len() == self.cursor.since.len();
        for (name, since) in self.cursor.since.iter_mut().filter(|(name, _)| fresh.contains(*name)) {
            *since = whole_second(since.checked_add(skew).unwrap_or(*since));
            self.committed_at = None;
            info!(connection = self.key.0, source = self.key.1, event_type = name, %skew, "the service's clock differs");
        }
        if all && let Some(earliest) = self.cursor.since.values().min() {
            self.cursor.watermark = Some(*earliest);
        }
    }

    /// Gives new items to the engine, oldest first, with the cursor that they bring.
    async fn hand_over(
        &mut self,
        spec: &Spec,
        reader: &ItemReader,
        fetched: Fetched,
        told: Option<Telling>,
    ) -> Result<(), Trouble> {
        let now = self.world.clock.now();
        let limit =
            fetched.answered_at.filter(|theirs| theirs.duration_since(now).abs() <= MAX_SKEW).map_or(now, |at| at.max(now));
        let mut last = Cursor { polled_at: Some(now), ..self.cursor.clone() };
        last.cursor = fetched.cursor.clone().or(last.cursor);
        if !has_times(spec) || spec.collapses() {
            last.seen = seen(&fetched.items);
        }
        let newest = fetched.items.iter().filter_map(|item| item.at).max();
        last.watermark = last.watermark.into_iter().chain(newest.map(|at| at.min(limit))).max();
        if fetched.whole_until.is_none()
            && let Some(quiet) = fetched.answered_at.and_then(|at| at.min(limit).checked_sub(QUIET_LAG).ok())
            && theirs_is_sane(fetched.answered_at, now)
        {
            last.watermark = last.watermark.map(|watermark| watermark.max(quiet));
        }
        if let Some(whole_until) = fetched.whole_until {
            last.watermark = self.cursor.watermark.into_iter().chain([whole_until.min(limit)]).max();
            last.cursor = self.cursor.cursor.clone();
        }
        let mut new: Vec<&Item> = fetched.items.iter().filter(|item| self.is_new(item)).collect();
        let alone;
        if fetched.whole_until.is_none()
            && let Some(told) = &told
        {
            let found_nothing = new.is_empty();
            let found = self.beside(spec, &fetched, &mut new, told, &mut last);
            // A list may be late: it is asked for once more before its silence counts.
            let waits = (found_nothing || found.is_some()) && self.tried.as_ref() != Some(&told.text);
            alone = found.filter(|_| !waits);
            if waits {
                self.tried = Some(told.text.clone());
            } else {
                self.tried = None;
                last.changed = Some(told.text.clone());
            }
            // Until a list that may be late was asked for once more, it stands as before; at first it stands as is told.
            if !waits || last.stood.is_none() {
                last.stood = told::listed(last.stood.as_ref(), &fetched.newest, told.stands.as_ref(), among(spec));
            }
            if let (Some(item), Some(stands)) = (&alone, &told.stands) {
                last.stood = Some(told::told(last.stood.as_ref(), stands, among(spec)).0);
                told::remember(&mut last.alone, stands.clone());
                // That nobody wants it makes it no less what lies between others.
                if item.is_wanted(&spec.types) {
                    new.push(item);
                }
            }
        }
        let along = told.as_ref().map_or(&[][..], |told| &told.along);
        let batches: Vec<&[&Item]> = new.chunks(BATCH).collect();
        for (at, batch) in batches.iter().enumerate() {
            let cursor = if at + 1 == batches.len() { last.clone() } else { self.partial(reader, batch, limit) };
            let events = batch.iter().map(|item| (*item).clone().with(along).into_incoming(&spec.source.name)).collect();
            self.commit(events, cursor).await?;
        }
        if batches.is_empty() {
            self.commit_quietly(last, now).await?;
        }
        self.remember(&fetched.items);
        Ok(())
    }

    /// Compares a list with what was told beside it: takes out of what is new what was an event already, and returns what is one
    /// by what was told alone.
    fn beside(&self, spec: &Spec, fetched: &Fetched, new: &mut Vec<&Item>, told: &Telling, last: &mut Cursor) -> Option<Item> {
        last.alone = told::take_out(new, &self.cursor.alone, &fetched.newest, &fetched.acts, among(spec));
        let stands = told.stands.as_ref()?;
        let (_, changed) = told::told(self.cursor.stood.as_ref(), stands, among(spec));
        if !changed || told::is_listed(&fetched.newest, new, stands, among(spec), &last.alone) {
            return None;
        }
        let item = Item::alone(stands, &spec.source.envelope);
        self.is_new(&item).then_some(item)
    }

    /// The list cannot be read: what was told is an event by itself, where it is a change.
    async fn told_alone(&mut self, spec: &Spec, told: &Telling) -> Result<(), Trouble> {
        let Some(stands) = &told.stands else { return Ok(()) };
        let (stood, changed) = told::told(self.cursor.stood.as_ref(), stands, among(spec));
        if !changed && self.cursor.stood.is_some() {
            return Ok(());
        }
        let mut cursor = Cursor { stood: Some(stood), ..self.cursor.clone() };
        let item = Item::alone(stands, &spec.source.envelope);
        let mut events = Vec::new();
        if changed && self.is_new(&item) {
            told::remember(&mut cursor.alone, stands.clone());
        }
        if changed && item.is_wanted(&spec.types) && self.is_new(&item) {
            let (connection, source, event_type) = (&self.key.0, &self.key.1, &stands.event_type);
            info!(connection, source, event_type, "the list cannot be read; what was told beside it is an event");
            events.push(item.with(&told.along).into_incoming(&spec.source.name));
        }
        self.commit(events, cursor).await
    }

    /// Returns the cursor of a batch that is not the last. It moves only where the order says that all older ones are in.
    fn partial(&self, reader: &ItemReader, batch: &[&Item], limit: Timestamp) -> Cursor {
        let mut cursor = self.cursor.clone();
        if reader.by_instant() {
            let newest = batch.iter().filter_map(|item| item.at).max().map(|at| at.min(limit));
            cursor.watermark = cursor.watermark.into_iter().chain(newest).max();
        }
        cursor
    }

    fn is_new(&self, item: &Item) -> bool {
        if item.ids().any(|id| self.known.contains(id)) {
            return false;
        }
        let since = self.cursor.since.get(item.event_type.as_deref().unwrap_or_default()).or_else(|| self.cursor.since.get(""));
        !matches!((item.since(), since), (Some(at), Some(since)) if at < *since)
    }

    fn remember(&mut self, items: &[Item]) {
        self.known = items.iter().flat_map(Item::ids).cloned().collect();
    }

    /// A cursor that only says "nothing new" is worth a write now and then.
    async fn commit_quietly(&mut self, cursor: Cursor, now: Timestamp) -> Result<(), Trouble> {
        let moved = cursor.cursor != self.cursor.cursor
            || cursor.seen != self.cursor.seen
            || cursor.since != self.cursor.since
            || cursor.changed != self.cursor.changed
            || cursor.stood != self.cursor.stood
            || cursor.alone != self.cursor.alone;
        let due = self.committed_at.is_none_or(|at| now.duration_since(at) >= QUIET_COMMIT);
        if moved || due {
            return self.commit(Vec::new(), cursor).await;
        }
        self.cursor = cursor;
        Ok(())
    }

    async fn commit(&mut self, events: Vec<Incoming>, cursor: Cursor) -> Result<(), Trouble> {
        let count = events.len() as u64;
        self.engine.accept(&self.key.0, events, Some((self.key.1.clone(), cursor.clone()))).await?;
        self.committed_at = Some(self.world.clock.now());
        self.cursor = cursor;
        self.board.update(&self.key, |status| status.events += count);
        Ok(())
    }

    fn cursor_lost(&mut self, reason: &str) {
        error!(connection = self.key.0, source = self.key.1, reason, since = ?self.cursor.polled_at,
            "the service no longer knows the cursor: polling goes on without it, and events since then may be lost");
        if let Some(from) = self.cursor.polled_at {
            let now = self.world.clock.now();
            self.lost(Gap { from, to: now, found: now });
        }
        self.cursor.cursor = None;
    }

    fn succeeded(&mut self) {
        let (now, watermark) = (self.world.clock.now(), self.cursor.watermark);
        self.board.update(&self.key, |status| {
            if status.error.take().is_some() {
                info!(connection = self.key.0, source = self.key.1, "polling works again");
            }
            status.broken = false;
            status.failing_since = None;
            status.polled_at = Some(now);
            status.watermark = watermark;
        });
    }

    /// Notes a failure, announced once for as long as it lasts, and returns the time to wait.
    fn failed(&self, reason: &str, broken: bool, wait: Duration) -> Duration {
        let now = self.world.clock.now();
        self.board.update(&self.key, |status| {
            let (connection, source) = (&self.key.0, &self.key.1);
            match (broken, status.broken, status.error.is_some()) {
                (true, false, _) => error!(connection, source, reason, "the connection is broken: its credentials do not work"),
                (false, _, false) => warn!(connection, source, reason, "a poll failed; it is tried again"),
                _ => {}
            }
            status.broken = broken;
            status.failing_since.get_or_insert(now);
            status.error = Some(reason.to_owned());
        });
        wait
    }

    /// Returns the delay after one more failure: doubling, with full jitter, and never shorter than the service asks.
    ///
    /// What is polled seldom, since its calls are few, is not asked more often because it does not answer.
    fn backoff(&self, failures: &mut u32, retry_after: Option<Duration>, every: Duration) -> Duration {
        let longest = FIRST_BACKOFF.saturating_mul(1 << (*failures).min(20)).min(LONGEST_BACKOFF.max(every));
        *failures = failures.saturating_add(1);
        let jittered = longest.mul_f64(self.world.random.fraction().clamp(0.1, 1.0));
        jittered.max(retry_after.unwrap_or_default())
    }
}

/// The types of which several in a row are one; none for all.
fn among(spec: &Spec) -> &[String] {
    spec.source.envelope.codes.as_ref().map_or(&[], |codes| &codes.among)
}

fn has_times(spec: &Spec) -> bool {
    spec.source.envelope.at.is_some()
}

fn theirs_is_sane(theirs: Option<Timestamp>, now: Timestamp) -> bool {
    theirs.is_some_and(|theirs| theirs.duration_since(now).abs() <= MAX_SKEW)
}

/// Returns the newest ids of a list.
fn seen(items: &[Item]) -> Vec<String> {
    items.iter().rev().flat_map(Item::ids).take(MAX_SEEN).cloned().collect()
}

/// Services count whole seconds: what happens in the second of a start counts as after it.
fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

pub(crate) fn later(at: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| at.checked_add(by).ok()).unwrap_or(at)
}
