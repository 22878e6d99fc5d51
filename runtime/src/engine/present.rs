//! Which time it is, as far as what is dangerous may rely on it, and what is from before.
//!
//! A clock can be behind: it is set back, or a machine without a battery for it starts with an old time. An old event then
//! counts as young. So the latest time that the clock ever showed is kept, over restarts too, and as long as the clock is
//! behind it no dangerous step is performed. Where it was the later time that was wrong, a person says so.
//!
//! A clock that has caught up again still makes the events too young that were received before it was set back: by so much
//! as it was set back, which is counted in. So it is with the time in which a service remembers a key.
//!
//! What is kept for a time goes by yet another measure, which does not run faster than time passes: a clock that leaps ahead for
//! a moment takes nothing with it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Engine, Shared, locked};
use crate::event::Origin;
use crate::journal::{EventHead, What};
use crate::limit;
use crate::store::{AcceptBatch, Before, BookChange, BookKey, BookRow, EventQuery, Store, StoreError};
use crate::world::Look;
use flow_functions::rfc3339;

/// The kind of the one row.
const LATEST: &str = "latest";
/// As long as dangerous flows are live the latest time is written so often. After a start that no orderly stop came before,
/// what happened within it behind the latest time that is known may be from before: a clock can be behind by so much unnoticed.
pub(crate) const WRITTEN: SignedDuration = SignedDuration::from_secs(10);
/// The kind of the row that has the instant by which retention goes, and how often it is written.
const KEPT: &str = "kept";
/// A clock that is behind the instant by which retention goes for so long is taken for right.
const BEHIND_FOR_GOOD: Duration = Duration::from_secs(3600);
/// By this part of the time that passes retention catches up with the clock: a day in 35. Keys of starts are kept for a day in 36
/// longer than is promised, so that they are kept long enough all the same.
const CATCHES_UP: u32 = 35;
/// So many times at which the clock was set back are told apart.
const MOST_STEPS: usize = 64;

/// The latest time that was seen, and where this start begins.
#[derive(Debug)]
pub(crate) struct Present(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    latest: Timestamp,
    /// Up to where it was tried to be written.
    written: Option<Timestamp>,
    /// What the clock showed when it was looked at last, and the one that nobody can set.
    looked: Timestamp,
    steady: Option<Duration>,
    /// What the clock would show had it not been set back since the last of `steps`.
    expected: Timestamp,
    /// When it was set back.
    steps: VecDeque<Step>,
    /// Held by the events that were received since, as long as they have no numbers.
    received: Received,
    /// The latest time that this start knows of, whoever says what of it was wrong.
    highest: Timestamp,
    /// The latest time that was known at the start, where the clock was behind it: nobody knows how long ago that was.
    began_behind: Option<Timestamp>,
    /// Events with lower numbers are from before the start.
    first_of_start: u64,
    /// In all.
    back: SignedDuration,
    /// What happened before is from before this start, or from before a person said which time it is.
    since: Timestamp,
    /// So are events with lower numbers.
    first_event: u64,
    /// That the clock is behind was said.
    said: bool,
    /// The instant by which retention goes.
    kept: Timestamp,
    /// For how long the clock has been behind that.
    behind_kept: Duration,
    /// Retention knew it from its row.
    knows_kept: bool,
}

/// The clock was set back.
#[derive(Debug)]
struct Step {
    /// The number of the first event behind that; `None` as long as some before it have none: until then all are before it.
    first: Option<u64>,
    /// The events that were received before it, and behind the one before.
    before: Weak<()>,
    by: SignedDuration,
    /// The latest time that had been seen.
    highest: Timestamp,
}

/// Somebody has it as long as an event that was received has no number.
#[derive(Debug, Clone, Default)]
pub(super) struct Received(Arc<()>);

impl Step {
    /// Tells whether the event with this number was received before it.
    fn is_behind(&self, event: u64) -> bool {
        self.first.is_none_or(|first| event < first)
    }
}

/// What is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    latest: Timestamp,
    /// Events with lower numbers say nothing about the time: they were received by a clock that was wrong.
    from: u64,
    /// Nothing came behind that: the daemon was stopped.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    stopped: bool,
}

/// By what retention goes.
#[derive(Debug, Serialize, Deserialize)]
struct KeptRow {
    until: Timestamp,
}

fn key() -> BookKey {
    BookKey::new(LATEST, "", "")
}

fn kept_key() -> BookKey {
    BookKey::new(KEPT, "", "")
}

impl Present {
    /// Reads what is known at a start. `last_event` is the highest number that an event was given.
    pub(super) fn load(store: &dyn Store, look: Look, last_event: u64) -> Result<Self, StoreError> {
        let now = look.now;
        let row: Option<Row> = store.book_row(&key())?.map(|row| row.read()).transpose()?;
        let from = row.as_ref().map_or(0, |row| row.from);
        let last = store.events(&EventQuery { limit: 1, ..EventQuery::default() })?;
        let received = last.first().filter(|event| event.seq >= from).map(|event| event.received_at);
        let stopped = row.as_ref().filter(|row| row.stopped).map(|row| row.latest);
        let known = row.map(|row| row.latest).into_iter().chain(received).max();
        let latest = known.map_or(now, |known| known.max(now));
        let since = known.map_or(now, |known| {
            let unseen = if stopped == Some(known) { SignedDuration::ZERO } else { WRITTEN.saturating_add(limit::TOLERANCE) };
            later(known, unseen).max(now)
        });
        let kept: Option<KeptRow> = store.book_row(&kept_key())?.map(|row| row.read()).transpose()?;
        let knows_kept = kept.is_some();
        // A store of a version that did not know of it: its newest event was received while a daemon ran.
        let kept = kept.map(|row| row.until).or(last.first().map(|event| event.received_at)).unwrap_or(now);
        Ok(Self(Mutex::new(Inner {
            latest,
            written: None,
            looked: now,
            steady: look.steady,
            expected: now,
            steps: VecDeque::new(),
            received: Received::default(),
            highest: latest,
            began_behind: Some(latest).filter(|latest| limit::is_ahead(*latest, now)),
            first_of_start: last_event + 1,
            back: SignedDuration::ZERO,
            since,
            first_event: last_event + 1,
            said: false,
            kept,
            behind_kept: Duration::ZERO,
            knows_kept,
        })))
    }

    /// Returns the latest time that was seen, where the clock is behind it.
    pub(crate) fn behind(&self, now: Timestamp) -> Option<Timestamp> {
        Some(locked(&self.0).latest).filter(|latest| limit::is_ahead(*latest, now))
    }

    /// Returns by how much the clock was set back since the start, in all.
    pub(crate) fn back(&self) -> SignedDuration {
        locked(&self.0).back
    }

    /// Tells whether an event is from before this start: by its number, since a clock that was set says nothing about what
    /// came first, and by its own times, since a poll finds late what happened before.
    fn is_before(&self, event: &EventHead) -> bool {
        let inner = locked(&self.0);
        event.seq < inner.first_event || [event.occurred_at, event.signed_at].into_iter().flatten().any(|at| at < inner.since)
    }

    /// Returns what the clock would show now had it not been set back since an event was received.
    fn steady(&self, event: &EventHead, now: Timestamp) -> Timestamp {
        let inner = locked(&self.0);
        inner.steps.iter().filter(|step| step.is_behind(event.seq)).fold(now, |at, step| later(at, step.by))
    }

    /// Returns what the clock would show now had it not been set back since it showed `then` while a run of the event `event` was
    /// performed; rather a later time than an earlier one. `None` where nobody knows how long that has been.
    pub(crate) fn steady_since(&self, event: u64, then: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let inner = locked(&self.0);
        if inner.began_behind.is_some_and(|latest| event < inner.first_of_start && then <= latest) {
            return None;
        }
        // What was seen by then was no later than the latest time that was seen before the clock was set back.
        let since = inner.steps.iter().filter(|step| step.is_behind(event) && then <= step.highest);
        let at = since.fold(now, |at, step| later(at, step.by));
        (!limit::is_ahead(then, at)).then_some(at)
    }

    /// Returns the instant by which retention goes.
    fn kept(&self, now: Timestamp) -> Timestamp {
        locked(&self.0).kept.min(now)
    }
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

impl Inner {
    /// Takes note of what the clock shows. Returns whether it has newly fallen behind, or caught up.
    fn look(&mut self, look: Look, last_event: impl Fn() -> u64) -> Option<bool> {
        let now = look.now;
        let passed = match (self.steady, look.steady) {
            (Some(before), Some(steady)) => steady.saturating_sub(before),
            _ => Duration::try_from(now.duration_since(self.looked)).unwrap_or_default(),
        };
        // Over all looks since: what is too little to be told at once comes together.
        let expected = self.expected.checked_add(passed).unwrap_or(Timestamp::MAX).max(now);
        self.highest = self.highest.max(expected);
        self.expected = expected;
        if limit::is_ahead(expected, now) {
            let by = expected.duration_since(now);
            self.back = self.back.saturating_add(by);
            let before = std::mem::take(&mut self.received);
            self.steps.push_back(Step { first: None, before: Arc::downgrade(&before.0), by, highest: self.highest });
            if self.steps.len() > MOST_STEPS
                && let Some(oldest) = self.steps.pop_front()
                && let Some(next) = self.steps.front_mut()
            {
                next.by = next.by.saturating_add(oldest.by);
            }
            self.expected = now;
        }
        // The numbers are given behind this, in the order of the steps.
        for step in self.steps.iter_mut().skip_while(|step| step.first.is_some()) {
            if step.before.strong_count() > 0 {
                break;
            }
            // Who has a number was noted before it let go.
            step.first = Some(last_event() + 1);
        }
        (self.looked, self.steady) = (now, look.steady);
        self.keep(now, passed);
        self.latest = self.latest.max(expected).max(now);
        let behind = limit::is_ahead(self.latest, now);
        (std::mem::replace(&mut self.said, behind) != behind).then_some(behind)
    }

    /// Lets time pass for retention: hardly faster than it passes, though the clock leaps ahead.
    fn keep(&mut self, now: Timestamp, passed: Duration) {
        if self.kept <= now {
            let more = passed.saturating_add(passed / CATCHES_UP);
            self.kept = self.kept.checked_add(more).map_or(now, |kept| kept.min(now));
            self.behind_kept = Duration::ZERO;
            return;
        }
        self.behind_kept = self.behind_kept.saturating_add(passed);
        if self.behind_kept >= BEHIND_FOR_GOOD {
            (self.kept, self.behind_kept) = (now, Duration::ZERO);
        }
    }
}

impl Shared {
    /// Looks at the clock.
    pub(crate) fn look(&self) -> Timestamp {
        self.look_and(|_| ()).0
    }

    /// Looks at the clock for events that are received now. What is returned beside is held until they have their numbers.
    pub(super) fn receive(&self) -> (Timestamp, Received) {
        self.look_and(|inner| inner.received.clone())
    }

    fn look_and<T>(&self, then: impl FnOnce(&Inner) -> T) -> (Timestamp, T) {
        let (now, latest, new, done) = {
            let mut inner = locked(&self.present.0);
            // Under the lock, so that nobody takes two looks in the wrong order for a clock that was set back.
            let look = self.world.clock.look();
            let new = inner.look(look, || self.last_event());
            (look.now, inner.latest, new, then(&inner))
        };
        match new.filter(|_| self.current().dangerous) {
            Some(true) => {
                let (now, latest) = (rfc3339(now), rfc3339(latest));
                tracing::error!(
                    now,
                    latest,
                    "the clock is behind the latest time that was seen: no dangerous step is performed until it has caught up, or \
                     somebody says that it is right (`flowd trust-clock`)"
                );
            }
            Some(false) => tracing::info!("the clock has caught up with the latest time that was seen"),
            None => {}
        }
        (now, done)
    }

    /// As [`limit::not_fresh`], with the clock as it would be had it not been set back since the event was received.
    pub(crate) fn not_fresh(&self, limits: &flow_plan::Limits, event: &EventHead, now: Timestamp) -> Option<String> {
        limits.fresh_ms?;
        limit::not_fresh(limits, event, self.present.steady(event, now))
    }

    /// Returns why an event must not lead to anything dangerous, whatever else it is asked for: it is from before, or what it
    /// stands behind is, or nobody can say how old they are. `fresh` is asked of all of them: an action that waited for hours
    /// causes an event that is young.
    pub(crate) fn is_stale(&self, event: &EventHead, fresh: &flow_plan::Limits, now: Timestamp) -> Option<String> {
        if let Some(latest) = self.present.behind(now) {
            let (now, latest) = (rfc3339(now), rfc3339(latest));
            return Some(format!("the clock shows {now}, and has shown {latest}: nobody can say how old an event is"));
        }
        let of = |event: &EventHead| {
            if self.present.is_before(event) {
                return Some("the event is from before the daemon was started, as far as the clock tells".to_owned());
            }
            limit::of_unknown_age(event, now).or_else(|| self.not_fresh(fresh, event, now))
        };
        of(event).or_else(|| {
            let (run, reason) = self.stands_behind(event, &of)?;
            Some(format!("its event was caused by {run}, and {reason}"))
        })
    }

    /// Returns what a run has waited for, `connection.trigger`, by the service's own id; `None` where that cannot be read.
    pub(crate) fn event_of(&self, awaited: &str, id: &str) -> Option<EventHead> {
        let connection = awaited.split('.').next()?;
        let seq = self.store.event_seq(connection, id).ok()??;
        self.store.event(seq).ok()?.map(|event| event.head())
    }

    /// Goes through what caused an event, and returns the first run whose own event will not do. What cannot be read will not.
    fn stands_behind(&self, event: &EventHead, will_not_do: &dyn Fn(&EventHead) -> Option<String>) -> Option<(String, String)> {
        let mut seq = event.seq;
        let mut is_caused = event.origin == Origin::Flow;
        // No chain is deeper; one that was would have been broken off.
        for _ in 0..=super::DEEPEST {
            let stored = match self.store.event(seq) {
                Ok(Some(stored)) => stored,
                Ok(None) if is_caused => return Some(("a run".to_owned(), "that event is not kept any more".to_owned())),
                Ok(None) => return None,
                Err(error) => return Some(("a run, perhaps".to_owned(), format!("that cannot be read: {error}"))),
            };
            let run = stored.cause.or_else(|| super::turned_out(self, seq)?.1)?;
            let gone = || Some((run.clone(), "that run is not kept any more".to_owned()));
            let started = self.store.run(&run).and_then(|head| match head {
                Some(_) => self.store.journal(&run),
                None => Ok(Vec::new()),
            });
            let Ok(journal) = started else { return gone() };
            let start = journal.iter().find_map(|entry| match &entry.what {
                What::Started(start) => Some(start),
                _ => None,
            });
            let Some(start) = start else { return gone() };
            if start.replayed {
                return Some((run, "that is a replay".to_owned()));
            }
            if let Some(reason) = will_not_do(&start.event) {
                return Some((run, reason));
            }
            (seq, is_caused) = (start.event.seq, start.event.origin == Origin::Flow);
        }
        None
    }

    /// Lets the latest time be written now and then, in a task of its own.
    pub(crate) fn note_latest(self: &Arc<Self>) {
        if !self.current().dangerous {
            return;
        }
        {
            let mut inner = locked(&self.present.0);
            if inner.written.is_some_and(|written| inner.latest.duration_since(written) < WRITTEN) {
                return;
            }
            // Where it cannot be written it is tried again when it would be written anyway.
            inner.written = Some(inner.latest);
        }
        self.queue().background += 1;
        let task = Arc::clone(self);
        locked(&self.steps).spawn(async move {
            if let Err(error) = task.write_latest(false).await {
                tracing::debug!(%error, "the latest time that was seen could not be written");
            }
            task.queue().background -= 1;
            task.touch();
        });
    }

    /// Writes the latest time that was seen where that has moved on by a second: a key has been sent, and a start after this has
    /// to know when the clock is behind that.
    pub(crate) async fn note_now(&self) {
        self.look();
        {
            let mut inner = locked(&self.present.0);
            if inner.written.is_some_and(|written| inner.latest.duration_since(written) < SignedDuration::from_secs(1)) {
                return;
            }
            inner.written = Some(inner.latest);
        }
        if let Err(error) = self.write_latest(false).await {
            tracing::debug!(%error, "the latest time that was seen could not be written");
        }
    }

    /// Writes the latest time that was seen, and whether nothing comes behind that.
    pub(crate) async fn write_latest(&self, stopped: bool) -> Result<(), StoreError> {
        let from = self.store.book_row(&key())?.map(|row| row.read::<Row>()).transpose()?.map_or(0, |row| row.from);
        let latest = locked(&self.present.0).latest;
        self.write_row(&Row { latest, from, stopped }).await
    }

    async fn write_row(&self, row: &Row) -> Result<(), StoreError> {
        self.write_book(key(), BookRow::of(row, None)?).await
    }

    async fn write_book(&self, key: BookKey, row: BookRow) -> Result<(), StoreError> {
        let book = vec![BookChange { key, row: Some(row), before: Before::Any }];
        self.store.accept(AcceptBatch { book, ..AcceptBatch::default() }).await.map(drop)
    }

    /// Returns the instant by which retention goes: the clock's, or an earlier one where the clock has leapt ahead of the time
    /// that has passed.
    pub(crate) fn kept(&self) -> Timestamp {
        let now = self.look();
        self.present.kept(now)
    }

    /// Tells whether it was known at the start by what retention goes.
    pub(crate) fn knows_kept(&self) -> bool {
        locked(&self.present.0).knows_kept
    }

    /// Writes by what retention goes: a start goes on from there, whatever the clock shows then.
    pub(crate) async fn write_kept(&self) -> Result<(), StoreError> {
        let until = self.kept();
        self.write_book(kept_key(), BookRow::of(&KeptRow { until }, None)?).await?;
        locked(&self.present.0).knows_kept = true;
        Ok(())
    }
}

impl Engine {
    /// Returns the latest time that was seen, where the clock is behind it and a dangerous flow is live: no dangerous step is
    /// performed then.
    pub fn clock_is_behind(&self) -> Option<Timestamp> {
        let now = self.shared.look();
        self.shared.present.behind(now).filter(|_| self.shared.current().dangerous)
    }

    /// A person says that the clock is right, and that it was the later time which was wrong. What was received until now
    /// counts as from before. Returns the latest time that was seen until now.
    ///
    /// # Errors
    /// Where that cannot be written: nothing changes then.
    pub async fn trust_clock(&self) -> Result<Timestamp, StoreError> {
        let shared = &self.shared;
        let now = shared.look();
        shared.store.caught_up().await?;
        let from = shared.last_event() + 1;
        let before = locked(&shared.present.0).latest;
        shared.write_row(&Row { latest: now, from, stopped: false }).await?;
        {
            let mut inner = locked(&shared.present.0);
            (inner.latest, inner.written, inner.since, inner.said) = (inner.looked, Some(now), now, false);
            inner.first_event = inner.first_event.max(from);
        }
        tracing::warn!(now = rfc3339(now), before = rfc3339(before), "a person says that the clock is right");
        shared.touch();
        Ok(before)
    }
}
