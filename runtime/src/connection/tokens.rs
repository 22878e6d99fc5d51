//! `spends "usage.total_tokens"`: what answers say that they cost, against what a connection may spend in a day.
//!
//! What an answer costs is known when it is there. So a step begins as long as anything is left, and the last one of a day may
//! go beyond by what its own answer costs.

use std::collections::BTreeMap;

use flow_plan::CalendarUnit;
use flow_schedule::period;
use jiff::Timestamp;

use super::state::TokenState;
use super::{Cause, Hold};
use crate::store::{MeterChange, MeterKind};

/// Days are those of UTC, as for quotas.
const ZONE: &str = "UTC";
/// So many days are remembered.
const KEPT_MS: i64 = 3 * 86_400_000;
/// No answer counts for more: what a service says is not trusted to close a connection for years.
const MOST_AT_ONCE: u64 = 10_000_000;

/// What a connection has spent.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    most: Option<u32>,
    /// By the beginning of the day, in milliseconds.
    used: BTreeMap<i64, u64>,
}

impl Tokens {
    /// With what the store has counted.
    pub(super) fn new(used: &[(i64, u64)]) -> Self {
        Self { most: None, used: used.iter().copied().collect() }
    }

    /// What may be spent in a day; any number without it.
    pub(super) fn allow(&mut self, most: Option<u32>) {
        self.most = most;
    }

    /// The name under which the store counts them: no connection and no key is called so.
    pub(super) fn name(connection: &str) -> String {
        format!("tokens {connection}")
    }

    fn used(&self, now: Timestamp) -> u64 {
        let (begins, _) = period(now, CalendarUnit::Day, ZONE);
        self.used.get(&begins.as_millisecond()).copied().unwrap_or(0)
    }

    /// Returns why nothing more is asked today.
    pub(super) fn holds(&self, connection: &str, now: Timestamp) -> Option<Hold> {
        let most = u64::from(self.most?);
        let used = self.used(now);
        if used < most {
            return None;
        }
        let (_, until) = period(now, CalendarUnit::Day, ZONE);
        let day = until.to_zoned(jiff::tz::TimeZone::UTC).date();
        let reason = format!("`{connection}` has spent its tokens of the day, {used} of {most}: it goes on {day}");
        Some(Hold { cause: Cause::Spent, reason, until })
    }

    /// Counts what an answer has cost; returns what the store has to count.
    pub(super) fn spend(&mut self, connection: &str, tokens: u64, now: Timestamp) -> Option<MeterChange> {
        self.most?;
        let (begins, _) = period(now, CalendarUnit::Day, ZONE);
        let slot = begins.as_millisecond();
        let keep_from = slot.saturating_sub(KEPT_MS);
        self.used.retain(|begins, _| *begins >= keep_from);
        let tokens = tokens.min(MOST_AT_ONCE);
        let used = self.used.entry(slot).or_default();
        *used = used.saturating_add(tokens);
        let by = i64::try_from(tokens).unwrap_or(i64::MAX);
        Some(MeterChange::Count { kind: MeterKind::Quota, name: Self::name(connection), slot, by, keep_from })
    }

    pub(super) fn state(&self, now: Timestamp) -> Option<TokenState> {
        let (_, resets_at) = period(now, CalendarUnit::Day, ZONE);
        Some(TokenState { used: self.used(now), most: self.most?, resets_at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_tokens_of_a_day_are_counted_and_nothing_is_asked_beyond_until_the_next() {
        let now = at("2026-11-27T10:00:00Z");
        let mut tokens = Tokens::new(&[(at("2026-11-27T00:00:00Z").as_millisecond(), 700)]);
        assert_eq!(tokens.spend("ai", 5, now), None, "without a bound nothing is counted");
        tokens.allow(Some(1000));
        assert_eq!(tokens.holds("ai", now), None);
        let change = tokens.spend("ai", 400, now).unwrap();
        assert!(matches!(change, MeterChange::Count { by: 400, ref name, .. } if name == "tokens ai"), "{change:?}");
        let hold = tokens.holds("ai", now).unwrap();
        assert_eq!(hold.reason, "`ai` has spent its tokens of the day, 1100 of 1000: it goes on 2026-11-28");
        assert_eq!(hold.until, at("2026-11-28T00:00:00Z"));
        assert_eq!(tokens.holds("ai", hold.until), None);
        tokens.allow(Some(1101));
        assert_eq!(tokens.holds("ai", now), None, "more is allowed");
        tokens.spend("ai", u64::MAX, now);
        assert_eq!(tokens.state(now).unwrap().used, 1100 + MOST_AT_ONCE);
    }
}
