//! What came for each connection lately: deliveries, refusals, repetitions. For `why`, which has to answer for events that
//! never came. Bounded: of each connection the last of each kind and counts, never what somebody sends.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::event::Via;
use crate::store::{Before, BookChange, BookKey, BookRow, EventQuery, Store, StoreError};

/// The kind of rows of the book: owner is the connection.
const KIND: &str = "delivered";
/// So many events that came more than once are remembered of a connection.
const MOST_AGAIN: usize = 256;
/// So many triggers are remembered of a connection; connectors have fewer.
const MOST_TRIGGERS: usize = 256;
/// So many addresses are remembered that belong to no connection.
const MOST_STRANGE: usize = 8;
/// Of an address that belongs to no connection so much is remembered.
const LONGEST: usize = 64;
/// So many of the newest events are read at a start: what came in the last moments before a kill was not written as such.
const LOOKED_AT: usize = 100;

/// When what is new is written: soon where little comes, and the more rarely the more comes, for whoever sends nonsense must
/// not wear the disk.
#[derive(Debug)]
pub(crate) struct Pace {
    pause: Duration,
    written_at: Option<Timestamp>,
}

impl Pace {
    const SHORTEST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(60);

    pub(crate) fn new() -> Self {
        Self { pause: Self::SHORTEST, written_at: None }
    }

    /// Returns how long something waits that is new at `now`.
    pub(crate) fn wait(&mut self, now: Timestamp) -> Duration {
        let was_quiet = self.written_at.is_none_or(|at| now.duration_since(at).unsigned_abs() >= Self::LONGEST);
        if was_quiet {
            self.pause = Self::SHORTEST;
        }
        self.pause
    }

    /// Something was written.
    pub(crate) fn written(&mut self, now: Timestamp) {
        self.written_at = Some(now);
        self.pause = (self.pause * 2).min(Self::LONGEST);
    }
}

/// What is remembered of a connection.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Connection {
    /// The last delivery that was taken in, whether it was new or not.
    #[serde(default)]
    pub(crate) last: Option<Delivery>,
    /// By trigger, the last event.
    #[serde(default)]
    pub(crate) triggers: BTreeMap<String, Delivery>,
    /// By the code of the answer, what was refused.
    #[serde(default)]
    pub(crate) refused: BTreeMap<String, Refused>,
    /// Events that came more than once, the last at the end.
    #[serde(default)]
    pub(crate) again: VecDeque<Again>,
}

/// Something that was taken in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Delivery {
    pub(crate) at: Timestamp,
    pub(crate) id: String,
    pub(crate) via: Via,
    /// It had come before.
    pub(crate) duplicate: bool,
}

/// Deliveries that were refused for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    /// What the sender was told the last time.
    pub(crate) message: String,
    pub(crate) count: u64,
    pub(crate) first_at: Timestamp,
    pub(crate) last_at: Timestamp,
}

/// An event that came more than once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Again {
    pub(crate) id: String,
    /// How often after the first time.
    pub(crate) count: u64,
    pub(crate) last_at: Timestamp,
    pub(crate) via: Via,
}

/// What is remembered of all connections.
#[derive(Debug, Default)]
pub(crate) struct Delivered {
    inner: Mutex<Inner>,
    /// Something is to be written.
    news: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    connections: BTreeMap<String, Connection>,
    /// Connections of which something new is known.
    unwritten: BTreeSet<String>,
}

/// The owner of what came to addresses that belong to no connection; no connection is called so.
pub(crate) const NOWHERE: &str = "";

impl Delivered {
    /// Reads what was written, and of the newest events what was not.
    pub(crate) fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let rows = store.book(KIND, None)?;
        let connections: BTreeMap<String, Connection> =
            rows.into_iter().filter_map(|(key, row)| Some((key.owner, row.read().ok()?))).collect();
        let delivered = Self { inner: Mutex::new(Inner { connections, ..Inner::default() }), news: Notify::new() };
        let newest = store.events(&EventQuery { limit: LOOKED_AT, ..EventQuery::default() })?;
        for event in newest.into_iter().rev().filter(|event| matches!(event.via, Via::Webhook | Via::Poll)) {
            let known = delivered.of(&event.connection).last.is_some_and(|last| last.at >= event.received_at);
            if !known {
                let delivery = Delivery { at: event.received_at, id: event.id, via: event.via, duplicate: false };
                delivered.took_in(&event.connection, &event.triggers, delivery);
            }
        }
        Ok(delivered)
    }

    /// Waits until something is to be written.
    pub(crate) async fn news(&self) {
        self.news.notified().await;
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes an event that was taken in.
    pub(crate) fn took_in(&self, connection: &str, triggers: &[String], delivery: Delivery) {
        let mut inner = self.inner();
        if !inner.connections.contains_key(connection) {
            inner.connections.insert(connection.to_owned(), Connection::default());
        }
        let Some(known) = inner.connections.get_mut(connection) else { return };
        if delivery.duplicate {
            known.came_again(&delivery);
        } else {
            for trigger in triggers {
                if let Some(last) = known.triggers.get_mut(trigger) {
                    last.clone_from(&delivery);
                } else if known.triggers.len() < MOST_TRIGGERS {
                    known.triggers.insert(trigger.clone(), delivery.clone());
                }
            }
        }
        known.last = Some(delivery);
        if !inner.unwritten.contains(connection) {
            inner.unwritten.insert(connection.to_owned());
            self.news.notify_one();
        }
    }

    /// Notes a delivery that was refused. `connection` is [`NOWHERE`] where the address belongs to none, and `code` the
    /// address then.
    pub(crate) fn refused(&self, connection: &str, code: &str, status: u16, message: &str, at: Timestamp) {
        let mut inner = self.inner();
        let code: String = code.chars().take(LONGEST).collect();
        let known = inner.connections.entry(connection.to_owned()).or_default();
        if connection == NOWHERE && !known.refused.contains_key(&code) && known.refused.len() >= MOST_STRANGE {
            // The one that was longest ago makes room.
            let oldest = known.refused.iter().min_by_key(|(_, refused)| refused.last_at).map(|(code, _)| code.clone());
            known.refused.remove(&oldest.unwrap_or_default());
        }
        let refused = known.refused.entry(code).or_insert_with(|| Refused {
            status,
            message: String::new(),
            count: 0,
            first_at: at,
            last_at: at,
        });
        refused.status = status;
        refused.count += 1;
        refused.last_at = at;
        if refused.message != message {
            message.clone_into(&mut refused.message);
        }
        if !inner.unwritten.contains(connection) {
            inner.unwritten.insert(connection.to_owned());
            self.news.notify_one();
        }
    }

    /// Returns what is remembered of a connection.
    pub(crate) fn of(&self, connection: &str) -> Connection {
        self.inner().connections.get(connection).cloned().unwrap_or_default()
    }

    /// Returns how often an event came after the first time.
    pub(crate) fn again(&self, connection: &str, id: &str) -> Option<Again> {
        let inner = self.inner();
        inner.connections.get(connection)?.again.iter().rev().find(|again| again.id == id).cloned()
    }

    /// What was to be written was not.
    pub(crate) fn not_written(&self, connections: impl IntoIterator<Item = String>) {
        self.inner().unwritten.extend(connections);
        self.news.notify_one();
    }

    /// Returns what is to be written.
    pub(crate) fn changes(&self) -> Vec<BookChange> {
        let mut inner = self.inner();
        let unwritten = std::mem::take(&mut inner.unwritten);
        let change = |name: &String| {
            let row = BookRow::of(inner.connections.get(name)?, None).ok()?;
            Some(BookChange { key: BookKey::new(KIND, name.as_str(), ""), row: Some(row), before: Before::Any })
        };
        unwritten.iter().filter_map(change).collect()
    }
}

impl Connection {
    fn came_again(&mut self, delivery: &Delivery) {
        let known = self.again.iter().position(|again| again.id == delivery.id);
        let count = known.and_then(|at| self.again.remove(at)).map_or(0, |again| again.count);
        if self.again.len() >= MOST_AGAIN {
            self.again.pop_front();
        }
        let (id, via) = (delivery.id.clone(), delivery.via);
        self.again.push_back(Again { id, count: count + 1, last_at: delivery.at, via });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap_or_default()
    }

    #[test]
    fn whoever_sends_nonsense_fills_nothing() {
        let delivered = Delivered::default();
        for number in 0..1000 {
            delivered.refused(NOWHERE, &format!("{number:04}{:x<200}", ""), 404, "no", at(number));
            let delivery = Delivery { at: at(number), id: format!("evt_{number}"), via: Via::Webhook, duplicate: true };
            delivered.took_in("stripe", &[], delivery);
        }
        assert_eq!(delivered.of(NOWHERE).refused.len(), MOST_STRANGE);
        assert!(delivered.of(NOWHERE).refused.keys().all(|code| code.len() == LONGEST));
        assert_eq!(delivered.of("stripe").again.len(), MOST_AGAIN);
        assert_eq!(delivered.again("stripe", "evt_0"), None);
        assert_eq!(delivered.again("stripe", "evt_999").map(|again| again.count), Some(1));
    }

    #[test]
    fn what_is_new_is_written_once() {
        let delivered = Delivered::default();
        delivered.refused("stripe", "signature_mismatch", 401, "no", at(0));
        assert_eq!(delivered.changes().len(), 1);
        assert_eq!(delivered.changes(), Vec::new(), "nothing is new");
        delivered.refused("stripe", "signature_mismatch", 401, "no", at(1));
        delivered.refused("kustomer", "signature_mismatch", 401, "no", at(1));
        assert_eq!(delivered.changes().len(), 2);
        delivered.not_written(["stripe".to_owned()]);
        assert_eq!(delivered.changes().len(), 1);
        assert_eq!(delivered.of("stripe").refused["signature_mismatch"].count, 2);
    }

    #[test]
    fn little_is_written_at_once_and_much_once_a_minute() {
        let mut pace = Pace::new();
        let (mut now, mut writes) = (0, 0);
        while now < 3_600 {
            now += i64::try_from(pace.wait(at(now)).as_secs()).unwrap();
            pace.written(at(now));
            writes += 1;
        }
        assert!(writes < 70, "{writes} writes in an hour in which it never ends");
        assert_eq!(pace.wait(at(now + 1)), Pace::LONGEST);
        assert_eq!(pace.wait(at(now + 60)), Pace::SHORTEST, "behind a minute in which nothing came");
    }
}
