//! What is waited for is what is live; and what was not seen while the daemon did not run.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use flow_plan::{Rate, StartKind, StateSource};
use flow_schedule::period;
use jiff::{SignedDuration, Timestamp};

use super::{
    ABSENCE, ALIVE, Clockwork, EXPECT, Entry, Inner, Item, Reader, SCHEDULE, STATE, STATE_START, absence, expect, fold, schedule,
};
use crate::engine::Shared;
use crate::live::{Live, LiveConnection};
use crate::poll::later;
use crate::store::{AcceptBatch, Before, BookChange, BookKey, BookRow, STARTS, StoreError, starts_key};
use crate::turns::turn;

/// No interval is shorter.
const SHORTEST: Duration = Duration::from_millis(100);

/// A time in which nothing was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Blind {
    /// When something was last seen; `None` where nobody knows.
    pub(super) from: Option<Timestamp>,
    pub(super) until: Timestamp,
}

impl Blind {
    /// Moves the beginning of a time on, so that it is as long as it was seen to be.
    fn moved(self, begun: Timestamp) -> Timestamp {
        let seen = self.from.map_or(SignedDuration::ZERO, |from| from.duration_since(begun).max(SignedDuration::ZERO));
        self.until.checked_sub(seen).unwrap_or(begun)
    }
}

pub(super) fn alive_key() -> BookKey {
    BookKey::new(ALIVE, "", "")
}

/// Notes that the daemon lived until now, so that the time in which it does not is known.
pub(crate) async fn live_until(shared: &Shared, now: Timestamp) -> Result<(), StoreError> {
    if !shared.clockwork.inner().counts_silence() {
        return Ok(());
    }
    let book = vec![change(&alive_key(), Some(BookRow::of(&now, None)?), Before::Any)];
    shared.store.accept(AcceptBatch { book, ..AcceptBatch::default() }).await?;
    shared.clockwork.inner().alive_at = Some(now);
    Ok(())
}

pub(super) fn change(key: &BookKey, row: Option<BookRow>, before: Before) -> BookChange {
    BookChange { key: key.clone(), row, before }
}

impl Inner {
    /// Tells whether anything is counted that must not go on while the daemon does not run.
    pub(super) fn counts_silence(&self) -> bool {
        self.entries.values().any(|entry| matches!(entry.item, Item::Absence { .. } | Item::Expect(_)))
    }
}

/// What live flows wait for.
fn wanted(live: &Live) -> BTreeMap<BookKey, (String, Item)> {
    let mut wanted = BTreeMap::new();
    for flow in &live.flows {
        let key = |kind, rule: String| BookKey::new(kind, flow.id.as_str(), rule);
        for used in &flow.triggers {
            match &used.kind {
                StartKind::Event => {}
                StartKind::Schedule(rule) => {
                    let item = Item::Schedule(Arc::new((**rule).clone()));
                    wanted.insert(key(SCHEDULE, schedule::key(rule)), (used.name.clone(), item));
                }
                StartKind::Absence(rule) => {
                    let connection = used.connection.clone();
                    let item = Item::Absence { connection, rule: Arc::new((**rule).clone()) };
                    wanted.insert(key(ABSENCE, absence::key(rule)), (used.name.clone(), item));
                }
                StartKind::State(rule) => {
                    let connection = used.connection.clone();
                    let name = fold::key(&connection, rule);
                    let event_type = used.types.first().cloned().unwrap_or_else(|| flow.id.clone());
                    let item = Item::State { connection, rule: Arc::new((**rule).clone()), event_type };
                    wanted.insert(key(STATE_START, name), (used.name.clone(), item));
                }
            }
        }
        if let Some(rule) = &flow.limits.expect {
            wanted.insert(key(EXPECT, expect::key(rule)), (String::new(), Item::Expect(Arc::new(rule.clone()))));
        }
    }
    wanted
}

/// The states that are to be read, by connection and name.
type WantedStates = BTreeMap<(String, String), (Arc<LiveConnection>, Arc<StateSource>)>;

/// The states that live flows wait for.
fn wanted_states(live: &Live) -> WantedStates {
    let mut wanted = BTreeMap::new();
    for used in live.flows.iter().flat_map(|flow| &flow.triggers) {
        let StartKind::State(rule) = &used.kind else { continue };
        let Some(connection) = live.connections.get(&used.connection) else { continue };
        let Some(source) = connection.plan.states.iter().find(|known| known.name == rule.state) else { continue };
        wanted
            .entry((used.connection.clone(), rule.state.clone()))
            .or_insert_with(|| (Arc::clone(connection), Arc::clone(source)));
    }
    wanted
}

/// What of the book is read at the start.
struct Stored {
    rows: HashMap<BookKey, BookRow>,
    blind: Blind,
}

fn load(shared: &Shared, now: Timestamp) -> Result<Stored, StoreError> {
    let mut rows = HashMap::new();
    for kind in [SCHEDULE, ABSENCE, EXPECT, STATE, STATE_START, STARTS] {
        rows.extend(shared.store.book(kind, None)?);
    }
    let alive = shared.store.book_row(&alive_key())?.and_then(|row| row.read().ok());
    Ok(Stored { rows, blind: Blind { from: alive, until: now } })
}

/// Makes what is waited for that of what is live. What is new begins now; what is gone is forgotten. Where the store fails
/// it is still to be done.
pub(super) async fn sync(shared: &Arc<Shared>, now: Timestamp) -> Result<(), StoreError> {
    let first = {
        let mut inner = shared.clockwork.inner();
        // A swap from here on asks for another one.
        inner.stale = false;
        !inner.loaded
    };
    let done = take_over(shared, first, now).await;
    if done.is_err() {
        shared.clockwork.inner().stale = true;
    }
    done
}

async fn take_over(shared: &Arc<Shared>, first: bool, now: Timestamp) -> Result<(), StoreError> {
    let live = Arc::clone(&shared.current().live);
    let stored = if first { Some(load(shared, now)?) } else { None };
    let row_of = |key: &BookKey| match &stored {
        Some(stored) => Ok(stored.rows.get(key).cloned()),
        None => shared.store.book_row(key),
    };
    let wanted = wanted(&live);
    let states = wanted_states(&live);
    let (new, mut gone) = differences(&shared.clockwork, &wanted, &states);
    let mut changes = Vec::new();
    let mut entries = Vec::new();
    for key in new {
        let Some((_, item)) = wanted.get(&key) else { continue };
        let before = row_of(&key)?;
        let known = before.as_ref().filter(|row| is_readable(item, row));
        let row = match (known, &stored) {
            (Some(row), Some(stored)) => moved(shared, &key, item, row, stored.blind)?,
            (Some(row), None) => row.clone(),
            (None, _) => first_row(item, now)?,
        };
        if before.as_ref() != Some(&row) {
            changes.push(change(&key, Some(row.clone()), Before::Row(before)));
        }
        entries.push((key, row));
    }
    let mut readers = Vec::new();
    let places = places(&shared.clockwork, &states);
    for (name, (connection, source)) in &states {
        let row = row_of(&state_key(name))?;
        let mut reader = new_reader(connection, source, row, now);
        let place = places.get(name.0.as_str()).copied().unwrap_or_default();
        reader.next_read = later(now, turn(place, places.len(), reader.every));
        readers.push((name.clone(), reader));
    }
    if let Some(stored) = &stored {
        let tallied = |key: &BookKey| live.flows.iter().any(|flow| flow.id == key.owner && flow.limits.expect.is_some());
        let is_wanted = |key: &BookKey| match key.kind {
            STARTS => tallied(key),
            STATE => states.contains_key(&(key.owner.clone(), key.key.clone())),
            _ => wanted.contains_key(key),
        };
        gone.extend(stored.rows.keys().filter(|key| !is_wanted(key)).cloned());
    }
    changes.extend(gone.iter().map(|key| change(key, None, Before::Any)));
    let counts = wanted.values().any(|(_, item)| matches!(item, Item::Absence { .. } | Item::Expect(_)));
    if first && counts {
        // In one transaction with what was moved by it: it is never counted twice.
        changes.push(change(&alive_key(), Some(BookRow::of(&now, None)?), Before::Any));
    }
    if !changes.is_empty() {
        shared.store.accept(AcceptBatch { book: changes, ..AcceptBatch::default() }).await?;
    }
    let mut inner = shared.clockwork.inner();
    if first {
        inner.loaded = true;
        inner.up_since = now;
        inner.alive_at = Some(now);
    }
    gone.iter().for_each(|key| inner.remove(key));
    for (key, row) in entries {
        if let Some((trigger, item)) = wanted.get(&key).cloned() {
            inner.entries.insert(key.clone(), Entry { trigger, item, row: row.clone(), due: None });
            inner.wrote(&key, row);
        }
    }
    for (key, (trigger, item)) in wanted {
        if let Some(entry) = inner.entries.get_mut(&key) {
            entry.trigger = trigger;
            // What is no part of the name may have changed: how missed instants and gaps count.
            entry.item = item;
        }
    }
    inner.readers.retain(|name, _| states.contains_key(name));
    for (name, reader) in readers {
        inner.take_reader(name, reader, now);
    }
    Ok(())
}

/// Returns the turns of the connections of which a state is to be read that was not read before: those of one share their readings.
fn places<'s>(clock: &Clockwork, states: &'s WantedStates) -> HashMap<&'s str, usize> {
    let inner = clock.inner();
    let new = states.keys().filter(|name| !inner.readers.contains_key(*name));
    let connections: BTreeSet<&str> = new.map(|(connection, _)| connection.as_str()).collect();
    connections.into_iter().zip(0..).collect()
}

/// Returns what is wanted and not there, and what is there and not wanted.
fn differences(
    clock: &Clockwork,
    wanted: &BTreeMap<BookKey, (String, Item)>,
    states: &WantedStates,
) -> (Vec<BookKey>, Vec<BookKey>) {
    let inner = clock.inner();
    let new = wanted.keys().filter(|key| !inner.entries.contains_key(key)).cloned().collect();
    let mut gone: Vec<BookKey> = inner.entries.keys().filter(|key| !wanted.contains_key(key)).cloned().collect();
    gone.extend(inner.readers.keys().filter(|name| !states.contains_key(name)).map(state_key));
    // An expectation that is gone takes what was counted for it with it.
    let expects = |flow: &str| wanted.keys().any(|key| key.kind == EXPECT && key.owner == flow);
    let uncounted: Vec<BookKey> =
        gone.iter().filter(|key| key.kind == EXPECT && !expects(&key.owner)).map(|key| starts_key(&key.owner)).collect();
    gone.extend(uncounted);
    (new, gone)
}

fn is_readable(item: &Item, row: &BookRow) -> bool {
    match item {
        Item::Schedule(_) => row.read::<schedule::Row>().is_ok(),
        Item::Absence { .. } => row.read::<absence::Row>().is_ok(),
        Item::Expect(_) => row.read::<expect::Row>().is_ok(),
        Item::State { .. } => row.read::<fold::Row>().is_ok(),
    }
}

/// The row of a rule that is seen for the first time: from now on.
fn first_row(item: &Item, now: Timestamp) -> Result<BookRow, StoreError> {
    match item {
        Item::Schedule(_) => BookRow::of(&schedule::Row { anchor: now, handled: now }, None),
        Item::Absence { .. } => BookRow::of(&absence::Row { since: now, seen: None, fired: false }, None),
        Item::Expect(_) => BookRow::of(&expect::Row::new(now), None),
        Item::State { .. } => BookRow::of(&fold::Row { first: now, stretch: None }, None),
    }
}

/// Returns a row as it is after a time in which nothing was seen: silence is only counted while somebody listens.
pub(super) fn moved(shared: &Shared, key: &BookKey, item: &Item, row: &BookRow, blind: Blind) -> Result<BookRow, StoreError> {
    match item {
        Item::Absence { .. } => {
            let known: absence::Row = row.read()?;
            if known.fired {
                return Ok(row.clone());
            }
            BookRow::of(&absence::Row { since: blind.moved(known.since), ..known }, None)
        }
        Item::Expect(rule) => {
            let known: expect::Row = row.read()?;
            let starts = tally(shared, &key.owner)?;
            BookRow::of(&expect_moved(rule, &known, &starts, blind), None)
        }
        Item::State { .. } => {
            let mut known: fold::Row = row.read()?;
            // A clock that went back: nothing has lasted since an instant to come.
            if let Some(stretch) = &mut known.stretch {
                stretch.since = stretch.since.min(blind.until);
            }
            known.first = known.first.min(blind.until);
            BookRow::of(&known, None)
        }
        Item::Schedule(_) => {
            let known: schedule::Row = row.read()?;
            if known.handled <= blind.until {
                return Ok(row.clone());
            }
            // A clock that went back meets instants again; those that have fired are known by their ids.
            BookRow::of(&schedule::Row { handled: blind.until, ..known }, None)
        }
    }
}

fn expect_moved(rule: &flow_plan::Expect, known: &expect::Row, starts: &[Timestamp], blind: Blind) -> expect::Row {
    match &rule.every {
        Rate::Sliding(millis) => {
            // The time that counts began with the start that it is counted from.
            let length = SignedDuration::from_millis(i64::try_from(*millis).unwrap_or(i64::MAX));
            let from = expect::due(rule, known, starts).checked_sub(length).unwrap_or(known.begun);
            expect::Row { silent: known.silent.clone(), ..expect::Row::new(blind.moved(from)) }
        }
        Rate::Calendar { unit, zone } => {
            let due = expect::due(rule, known, starts);
            let begin = period(due.checked_sub(SignedDuration::from_millis(1)).unwrap_or(due), *unit, zone).0;
            let from = blind.from.unwrap_or(begin).clamp(begin, due.max(begin));
            let down = blind.until.min(due).duration_since(from).max(SignedDuration::ZERO);
            let down_ms = known.down_ms.saturating_add(i64::try_from(down.as_millis()).unwrap_or(i64::MAX));
            expect::Row { begun: known.begun, down_ms, silent: known.silent.clone() }
        }
    }
}

/// Returns the last starts of a flow, oldest first.
pub(super) fn tally(shared: &Shared, flow: &str) -> Result<Vec<Timestamp>, StoreError> {
    shared.store.book_row(&starts_key(flow))?.map_or_else(|| Ok(Vec::new()), |row| row.read())
}

pub(super) fn state_key(name: &(String, String)) -> BookKey {
    BookKey::new(STATE, name.0.as_str(), name.1.as_str())
}

fn new_reader(connection: &Arc<LiveConnection>, source: &Arc<StateSource>, row: Option<BookRow>, now: Timestamp) -> Reader {
    let settings = &connection.plan.settings;
    // How often it is read makes no other state of it, where that follows from what else is polled with the same key.
    let every_ms = if source.within_quota { 0 } else { source.every_ms };
    let name = super::rule_key(&(StateSource { every_ms, ..StateSource::clone(source) }, settings, &connection.base_url));
    let known = row.as_ref().and_then(|row| row.read::<fold::Known>().ok()).filter(|known| known.source == name);
    // Nobody looked until now.
    let known = fold::Known { gap: true, source: name, ..known.unwrap_or_default() };
    Reader {
        source: Arc::clone(source),
        connection: Arc::clone(connection),
        every: connection.poll_every.unwrap_or(Duration::from_millis(source.every_ms)).max(SHORTEST),
        known,
        row,
        written_at: None,
        next_read: now,
        reading: false,
        again: false,
        anew_from: None,
        failures: 0,
        trouble: None,
        failing_since: None,
    }
}

impl Inner {
    /// Takes a reader over, or what has changed of one that is there.
    fn take_reader(&mut self, name: (String, String), new: Reader, now: Timestamp) {
        let Some(known) = self.readers.get_mut(&name).filter(|known| known.known.source == new.known.source) else {
            self.readers.insert(name, new);
            return;
        };
        // A swap may have mended it.
        if known.trouble.is_some() || known.every != new.every {
            known.next_read = known.next_read.min(now);
            known.failures = 0;
        }
        known.source = new.source;
        known.connection = new.connection;
        known.every = new.every;
    }
}
