//! `limit 25 per second`: so many requests within any such time, over a restart too.
//!
//! In memory each of the last requests has its instant. On disk they are counted in sixteenth parts of the time; after a
//! start each counts as made at the end of its part, so that the limit is kept, and by a sixteenth more than kept. A time of
//! two seconds or less is not worth a write: after a start nothing is sent for as long.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::state::RateState;
use super::{earlier, later};
use crate::store::{MeterChange, MeterKind};

/// The time of a limit is counted on disk in so many parts.
const PARTS: i64 = 16;
/// A time up to this is waited for after a start, rather than counted on disk.
const CAUTION: Duration = Duration::from_secs(2);

/// The requests of a connection, against the limit of its connector.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    limit: Option<(usize, Duration)>,
    /// Of the last requests, oldest first; never more than the limit counts.
    sent: VecDeque<Timestamp>,
}

impl Rate {
    /// Sets the limit. What was sent goes on counting.
    pub(crate) fn set(&mut self, limit: Option<(u32, Duration)>) {
        self.limit = limit.map(|(count, per)| (count.max(1) as usize, per));
        self.trim();
    }

    /// Takes over what the store has counted before this start.
    pub(crate) fn recall(&mut self, counted: &[(i64, u64)], now: Timestamp) {
        let Some((count, per)) = self.limit else { return };
        if per <= CAUTION {
            self.sent = std::iter::repeat_n(now, count).collect();
            return;
        }
        let mut counted = counted.to_vec();
        counted.sort_unstable();
        for (begins, requests) in counted {
            let at = Timestamp::from_millisecond(begins.saturating_add(part_ms(per))).unwrap_or(now).min(now);
            let requests = usize::try_from(requests).unwrap_or(count).min(count);
            self.sent.extend(std::iter::repeat_n(at, requests));
        }
        self.trim();
    }

    /// The clock was set back by so much: what was sent lies as long ago as it did.
    pub(crate) fn set_back(&mut self, by: SignedDuration, now: Timestamp) {
        self.sent.iter_mut().for_each(|sent| *sent = earlier(*sent, by).min(now));
    }

    /// Returns when the next request may be sent; `None` at once.
    pub(crate) fn free_at(&self, now: Timestamp) -> Option<Timestamp> {
        let (count, per) = self.limit?;
        let oldest = self.sent.len().checked_sub(count).and_then(|at| self.sent.get(at))?;
        // A clock that went back: what it counted lies no further ahead than now.
        let free = later((*oldest).min(now), per);
        (free > now).then_some(free)
    }

    /// Counts a request that is about to be sent; returns what the store has to count with it.
    pub(crate) fn count(&mut self, connection: &str, now: Timestamp) -> Option<MeterChange> {
        let (_, per) = self.limit?;
        self.sent.iter_mut().for_each(|sent| *sent = (*sent).min(now));
        self.sent.push_back(now);
        self.trim();
        (per > CAUTION).then(|| change(connection, per, now, 1))
    }

    /// Returns how many requests count now, and of how many.
    pub(crate) fn state(&self, now: Timestamp) -> Option<RateState> {
        let (count, per) = self.limit?;
        let used = self.sent.iter().filter(|sent| later(**sent, per) > now).count();
        Some(RateState { count, per, used })
    }

    fn trim(&mut self) {
        let most = self.limit.map_or(0, |(count, _)| count);
        let surplus = self.sent.len().saturating_sub(most);
        self.sent.drain(..surplus);
    }
}

fn part_ms(per: Duration) -> i64 {
    (i64::try_from(per.as_millis()).unwrap_or(i64::MAX) / PARTS).max(1)
}

fn change(connection: &str, per: Duration, now: Timestamp, by: i64) -> MeterChange {
    let part = part_ms(per);
    let slot = now.as_millisecond().div_euclid(part) * part;
    let keep_from = slot.saturating_sub(part.saturating_mul(PARTS + 1));
    MeterChange::Count { kind: MeterKind::Rate, name: connection.to_owned(), slot, by, keep_from }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + ms).unwrap()
    }

    fn rate(count: u32, seconds: u64) -> Rate {
        let mut rate = Rate::default();
        rate.set(Some((count, Duration::from_secs(seconds))));
        rate
    }

    /// Sends whenever it may, restarting after each `every`-th request, and returns when it sent.
    fn sends(count: u32, seconds: u64, requests: usize, every: usize) -> Vec<i64> {
        let (mut rate_now, mut now, mut sent) = (rate(count, seconds), at(0), Vec::new());
        let mut slots: std::collections::BTreeMap<i64, u64> = std::collections::BTreeMap::new();
        while sent.len() < requests {
            now = rate_now.free_at(now).unwrap_or(now);
            if let Some(MeterChange::Count { slot, keep_from, .. }) = rate_now.count("c", now) {
                slots.retain(|begins, _| *begins >= keep_from);
                *slots.entry(slot).or_default() += 1;
            }
            sent.push(now.as_millisecond());
            if sent.len() % every == 0 {
                rate_now = rate(count, seconds);
                rate_now.recall(&slots.iter().map(|(begins, count)| (*begins, *count)).collect::<Vec<_>>(), now);
            }
        }
        sent
    }

    #[test]
    fn a_limit_is_kept_over_restarts_and_little_is_lost_by_that() {
        for (count, seconds) in [(1, 60), (7, 60), (100, 3600), (5, 1), (3, 2)] {
            for every in [1, 2, 5, usize::MAX] {
                let requests = usize::try_from(count).unwrap() * 4;
                let sent = sends(count, seconds, requests, every);
                let per = i64::try_from(seconds * 1000).unwrap();
                for within in sent.windows(usize::try_from(count).unwrap() + 1) {
                    assert!(within[within.len() - 1] - within[0] >= per, "{count} per {seconds} s, restarted after {every}");
                }
                if seconds > 2 {
                    let took = sent[sent.len() - 1] - sent[0];
                    assert!(took <= per * 4 + per / 4, "{count} per {seconds} s, restarted after {every}: {took}");
                }
            }
        }
    }

    #[test]
    fn a_clock_that_goes_back_delays_by_no_more_than_the_time() {
        let mut rate = rate(1, 60);
        rate.count("c", at(7_200_000));
        assert_eq!(rate.free_at(at(0)), Some(at(60_000)));
    }
}
