//! `quota 1_000 per month shared by api_key`: the calls that an account has, and who may use which of them.
//!
//! Steps may use all. Polls and readings of states may use four fifths, which is what the compiler's arithmetic leaves them
//! without a warning (W705); once half of that is gone, what is left of it is spread evenly over the rest of the time.

use std::collections::BTreeMap;
use std::time::Duration;

use flow_plan::{CalendarUnit, QUOTA_MONTH_MS, Quota};
use flow_schedule::period;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::state::QuotaState;
use super::{Cause, Hold, Purpose, earlier, later};
use crate::store::{MeterChange, MeterKind};

const DAY_MS: u64 = 86_400_000;
/// The zone of months and days: no service that is known says another one.
const ZONE: &str = "UTC";
/// A service that says that nothing is left is tried again after this, then after twice as long, and so on.
const FIRST_TRY: Duration = Duration::from_hours(1);
/// It is tried at least so often.
const LAST_TRY: Duration = Duration::from_hours(24);
/// Polls and states write a count for so many requests at once, at most: by so many a crash may count too much.
const MOST_AHEAD: u64 = 64;
/// So many times are remembered.
const KEPT: i64 = 3;

/// How much of a quota is used, as far as it is announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Level {
    /// Less than four fifths.
    #[default]
    Free,
    /// Four fifths and more.
    Most,
    /// All.
    All,
}

/// What outlives the daemon beside the count.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Standing {
    /// The service has accepted the key at some time.
    worked: bool,
    /// It says that nothing is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refused: Option<Refused>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Refused {
    since: Timestamp,
    next_try: Timestamp,
    delay_ms: u64,
    #[serde(skip)]
    trying: bool,
}

/// The calls of one key, or of one connection.
#[derive(Debug)]
pub(crate) struct Account {
    name: String,
    quota: Quota,
    /// What was counted, by the beginning of its time, in milliseconds.
    used: BTreeMap<i64, u64>,
    /// Of the present time, in milliseconds.
    begins: i64,
    ends: i64,
    /// So many of the used were counted ahead, for requests that are not made yet.
    ahead: u64,
    watched_at: Option<Timestamp>,
    standing: Standing,
    told: Level,
    pub(super) connections: Vec<String>,
}

impl Account {
    /// `used` is what the store has counted.
    pub(super) fn new(name: &str, quota: Quota, used: &[(i64, u64)], standing: Standing, now: Timestamp) -> Self {
        let mut account = Self {
            name: name.to_owned(),
            quota,
            used: used.iter().copied().collect(),
            begins: 0,
            ends: 0,
            ahead: 0,
            watched_at: None,
            standing,
            told: Level::Free,
            connections: Vec::new(),
        };
        if let Some(refused) = &mut account.standing.refused {
            // Whatever the clock did meanwhile.
            refused.next_try = refused.next_try.min(later(now, LAST_TRY));
        }
        account.steady(now);
        // What was reached before this start was said then.
        account.told = account.level();
        account
    }

    pub(super) fn quota(&self) -> &Quota {
        &self.quota
    }

    pub(super) fn set_quota(&mut self, quota: Quota, now: Timestamp) {
        if self.quota.per_ms != quota.per_ms {
            (self.begins, self.ends, self.ahead) = (0, 0, 0);
        }
        self.quota = quota;
        self.steady(now);
        self.told = self.told.min(self.level());
    }

    /// Begins the next time where the last one is over; a clock that went back finds the count of its own time.
    pub(crate) fn steady(&mut self, now: Timestamp) {
        let ms = now.as_millisecond();
        if self.begins <= ms && ms < self.ends {
            return;
        }
        (self.begins, self.ends) = time_at(&self.quota, now);
        self.ahead = 0;
        self.watched_at = None;
        self.standing.refused = None;
        let keep_from = self.keep_from();
        self.used.retain(|begins, _| *begins >= keep_from);
        self.told = self.level();
    }

    /// The clock was set back by so much: the next try is as far away as it was. The time that is counted is that of the clock.
    pub(crate) fn set_back(&mut self, by: SignedDuration, now: Timestamp) {
        self.watched_at = self.watched_at.map(|at| earlier(at, by).min(now));
        if let Some(refused) = &mut self.standing.refused {
            refused.next_try = earlier(refused.next_try, by).min(later(now, LAST_TRY));
        }
        self.steady(now);
    }

    fn keep_from(&self) -> i64 {
        self.begins.saturating_sub((self.ends - self.begins).saturating_mul(KEPT))
    }

    fn used(&self) -> u64 {
        self.used.get(&self.begins).copied().unwrap_or(0)
    }

    /// Polls and states stop here.
    fn watched(&self) -> u64 {
        u64::from(self.quota.count) * 4 / 5
    }

    fn ends_at(&self) -> Timestamp {
        Timestamp::from_millisecond(self.ends).unwrap_or(Timestamp::MAX)
    }

    fn level(&self) -> Level {
        if self.used().saturating_sub(self.ahead) >= u64::from(self.quota.count) || self.standing.refused.is_some() {
            Level::All
        } else if self.used().saturating_sub(self.ahead) >= self.watched() {
            Level::Most
        } else {
            Level::Free
        }
    }

    /// Returns the level where it was not reached before in this time: each is announced once.
    pub(crate) fn reached(&mut self) -> Option<Level> {
        let level = self.level();
        let new = level > self.told;
        self.told = self.told.max(level);
        new.then_some(level)
    }

    /// Returns why a request cannot be made now. [`Account::steady`] is asked first.
    pub(crate) fn holds(&self, connection: &str, purpose: Purpose, now: Timestamp) -> Option<Hold> {
        let until = self.ends_at();
        let hold = |reason: String, until| Some(Hold { cause: Cause::Spent, reason, until });
        if purpose == Purpose::Confirm {
            return None;
        }
        if let Some(refused) = &self.standing.refused {
            if refused.next_try <= now && !refused.trying {
                return None;
            }
            return hold(self.refusal(connection), until);
        }
        // What was counted ahead is there to be used.
        let used = self.used().saturating_sub(self.ahead);
        let count = u64::from(self.quota.count);
        let most = match purpose {
            Purpose::Act | Purpose::Follow | Purpose::Confirm => count,
            Purpose::Watch => self.watched(),
            Purpose::Page => count - count / 10,
        };
        if used >= count {
            return hold(format!("quota of `{connection}` is used up until {}", day(until)), until);
        }
        if used >= most {
            let reason = format!("what is left of the quota of `{connection}` is kept for actions until {}", day(until));
            return hold(reason, until);
        }
        if purpose != Purpose::Watch {
            return None;
        }
        let next = self.watched_next(now, used)?;
        hold(format!("the quota of `{connection}` is spread over the time until {}", day(until)), next)
    }

    /// The two look the same: some services say no other word to a key without calls than to a wrong one.
    fn refusal(&self, connection: &str) -> String {
        let used = self.used().saturating_sub(self.ahead);
        format!(
            "the key of `{connection}` is refused, or its quota is used up, though it worked before: {used} of {} calls were counted here",
            self.quota.count
        )
    }

    /// Returns until when nothing is asked of a service that has refused the key though it worked before.
    pub(crate) fn refused(&self, connection: &str) -> Option<Hold> {
        let until = self.standing.refused.as_ref()?.next_try;
        Some(Hold { cause: Cause::Spent, reason: self.refusal(connection), until })
    }

    /// When the next poll may be made, where half of what there is for polls is gone.
    fn watched_next(&self, now: Timestamp, used: u64) -> Option<Timestamp> {
        let next = later(self.watched_at?.min(now), self.gap(now, used)?);
        (next > now).then_some(next)
    }

    /// The time between two polls, where half of what there is for them is gone.
    fn gap(&self, now: Timestamp, used: u64) -> Option<Duration> {
        let watched = self.watched();
        if used < watched / 2 {
            return None;
        }
        let left = u64::try_from(self.ends.saturating_sub(now.as_millisecond())).unwrap_or(0);
        // The last one comes before the end.
        Some(Duration::from_millis(left / (watched.saturating_sub(used) + 1)))
    }

    /// Counts a request that is about to be sent; returns what the store has to count with it.
    pub(crate) fn count(&mut self, purpose: Purpose, now: Timestamp) -> Option<MeterChange> {
        if let Some(refused) = &mut self.standing.refused {
            refused.trying = true;
        }
        let watches = matches!(purpose, Purpose::Watch | Purpose::Page);
        if purpose == Purpose::Watch {
            self.watched_at = Some(now);
        }
        if self.ahead > 0 {
            self.ahead -= 1;
            return None;
        }
        let used = self.used();
        let left = u64::from(self.quota.count).saturating_sub(used);
        let at_once = if watches { (u64::from(self.quota.count) / 1000).clamp(1, MOST_AHEAD).min(left).max(1) } else { 1 };
        self.ahead = at_once - 1;
        self.used.insert(self.begins, used + at_once);
        Some(self.change(i64::try_from(at_once).unwrap_or(i64::MAX)))
    }

    fn change(&self, by: i64) -> MeterChange {
        let (name, slot, keep_from) = (self.name.clone(), self.begins, self.keep_from());
        MeterChange::Count { kind: MeterKind::Quota, name, slot, by, keep_from }
    }

    /// A request that was counted was not made: its count is there for the next one. `written` tells whether the store has
    /// counted it.
    pub(crate) fn was_not_made(&mut self, written: bool) {
        if let Some(refused) = &mut self.standing.refused {
            refused.trying = false;
        }
        if written {
            self.ahead = self.ahead.saturating_add(1).min(self.used());
        } else if let Some(used) = self.used.get_mut(&self.begins) {
            *used = used.saturating_sub(1);
        }
    }

    /// Returns what was counted ahead, to be taken back when the daemon stops.
    pub(super) fn take_back(&mut self) -> Option<MeterChange> {
        let ahead = std::mem::take(&mut self.ahead);
        if ahead == 0 {
            return None;
        }
        if let Some(used) = self.used.get_mut(&self.begins) {
            *used = used.saturating_sub(ahead);
        }
        Some(self.change(-i64::try_from(ahead).unwrap_or(0)))
    }

    /// The service answered as it should. Returns what is to be noted, and whether calls are left that were not before.
    pub(super) fn works(&mut self) -> (Option<MeterChange>, bool) {
        let freed = self.standing.refused.take().is_some();
        let new = !std::mem::replace(&mut self.standing.worked, true);
        if freed {
            self.told = self.level();
        }
        ((freed || new).then(|| self.note()), freed)
    }

    /// The service refuses with a status that says that nothing is left, or that the key is refused. Returns what is to be
    /// noted; `None` where the key has never worked, so that it is the key.
    pub(super) fn refuses(&mut self, now: Timestamp) -> Option<MeterChange> {
        if !self.standing.worked {
            return None;
        }
        let before = self.standing.refused.take();
        let delay = before.as_ref().map_or(FIRST_TRY, |refused| {
            let delay = Duration::from_millis(refused.delay_ms);
            if refused.trying { delay.saturating_mul(2).min(LAST_TRY) } else { delay }
        });
        // The turn of the month comes first.
        let next_try = later(now, delay).min(self.ends_at());
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        let since = before.map_or(now, |refused| refused.since);
        self.standing.refused = Some(Refused { since, next_try, delay_ms, trying: false });
        Some(self.note())
    }

    /// Nothing was learnt: it may be tried again at once.
    pub(super) fn came_to_nothing(&mut self) {
        if let Some(refused) = &mut self.standing.refused {
            refused.trying = false;
        }
    }

    /// Lets a service that says that nothing is left be tried now.
    pub(super) fn try_at(&mut self, now: Timestamp) {
        if let Some(refused) = &mut self.standing.refused {
            refused.next_try = now;
        }
    }

    /// Tells whether the service has said that nothing is left, and has not worked since.
    pub(crate) fn is_refused(&self) -> bool {
        self.standing.refused.is_some()
    }

    /// Returns when a service that says that nothing is left may be tried; `None` where it does not say so.
    pub(crate) fn next_try(&self) -> Option<Timestamp> {
        self.standing.refused.as_ref().filter(|refused| !refused.trying).map(|refused| refused.next_try)
    }

    fn note(&self) -> MeterChange {
        // Two small fields: it cannot fail, and would be noted by the next one.
        let value = serde_json::to_vec(&self.standing).ok();
        MeterChange::Note { kind: MeterKind::Account, name: self.name.clone(), value }
    }

    pub(super) fn state(&self, connection: &str, now: Timestamp) -> QuotaState {
        let used = self.used().saturating_sub(self.ahead);
        let millis = |ms: i64| Duration::from_millis(u64::try_from(ms).unwrap_or(0));
        let (left, whole) = (self.ends.saturating_sub(now.as_millisecond()), self.ends.saturating_sub(self.begins));
        QuotaState {
            used,
            left_of: (millis(left), millis(whole)),
            gap: self.gap(now, used),
            count: self.quota.count,
            of: unit_name(&self.quota),
            watched: self.watched(),
            resets_at: self.ends_at(),
            refused_since: self.standing.refused.as_ref().map(|refused| refused.since),
            next_try: self.standing.refused.as_ref().map(|refused| refused.next_try),
            shared_with: self.connections.iter().filter(|other| *other != connection).cloned().collect(),
        }
    }
}

/// The unit of the calendar that a quota counts.
fn unit_of(quota: &Quota) -> Option<CalendarUnit> {
    match quota.per_ms {
        QUOTA_MONTH_MS => Some(CalendarUnit::Month),
        DAY_MS => Some(CalendarUnit::Day),
        _ => None,
    }
}

/// `month`, `day`, `time of 2 hours`.
fn unit_name(quota: &Quota) -> String {
    match unit_of(quota) {
        Some(CalendarUnit::Day) => "day".to_owned(),
        Some(CalendarUnit::Week) => "week".to_owned(),
        Some(CalendarUnit::Month) => "month".to_owned(),
        Some(CalendarUnit::Year) => "year".to_owned(),
        None => {
            let millis = i64::try_from(quota.per_ms).unwrap_or(i64::MAX);
            format!("time of {}", flow_plan::Duration::from_millis(millis))
        }
    }
}

/// Returns the month, day or other time that a quota counts, around an instant.
fn time_at(quota: &Quota, now: Timestamp) -> (i64, i64) {
    if let Some(unit) = unit_of(quota) {
        let (begins, ends) = period(now, unit, ZONE);
        return (begins.as_millisecond(), ends.as_millisecond());
    }
    let per = i64::try_from(quota.per_ms).unwrap_or(i64::MAX).max(1);
    let begins = now.as_millisecond().div_euclid(per).saturating_mul(per);
    (begins, begins.saturating_add(per))
}

/// `2026-12-01`, with the time where it is not midnight.
fn day(at: Timestamp) -> String {
    let text = flow_functions::rfc3339(at);
    match text.split_once('T') {
        Some((day, time)) if time.starts_with("00:00:00") => day.to_owned(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn monthly(count: u32) -> Quota {
        Quota { count, per_ms: QUOTA_MONTH_MS, shared_by: None, spent_on: vec![403] }
    }

    fn account(count: u32, used: &[(&str, u64)], now: &str) -> Account {
        let used: Vec<(i64, u64)> = used.iter().map(|(begins, used)| (at(begins).as_millisecond(), *used)).collect();
        Account::new("a", monthly(count), &used, Standing::default(), at(now))
    }

    fn used_by(account: &mut Account, purpose: Purpose, now: Timestamp) -> u32 {
        let mut made = 0;
        while made < 100_000 && account.holds("c", purpose, now).is_none() {
            drop(account.count(purpose, now));
            made += 1;
        }
        made
    }

    #[test]
    fn a_quota_is_called_by_the_time_that_it_counts() {
        let per = |per_ms: u64| unit_name(&Quota { per_ms, ..monthly(1) });
        assert_eq!([QUOTA_MONTH_MS, DAY_MS, 7_200_000].map(per), ["month", "day", "time of 2 hours"]);
    }

    #[test]
    fn actions_use_all_pages_nine_tenths_and_nothing_more_until_the_month_turns() {
        let now = at("2026-11-26T12:00:00Z");
        let mut account = account(1000, &[("2026-11-01T00:00:00Z", 300)], "2026-11-26T12:00:00Z");
        assert_eq!(account.reached(), None);
        assert_eq!(used_by(&mut account, Purpose::Page, now), 600);
        assert_eq!(account.reached(), Some(Level::Most));
        assert_eq!(account.reached(), None, "said once");
        let kept = account.holds("c", Purpose::Watch, now).unwrap();
        assert_eq!(kept.reason, "what is left of the quota of `c` is kept for actions until 2026-12-01");
        assert_eq!(used_by(&mut account, Purpose::Act, now), 100);
        assert_eq!(account.reached(), Some(Level::All));
        let spent = account.holds("c", Purpose::Act, now).unwrap();
        assert_eq!(
            (spent.reason.as_str(), spent.until),
            ("quota of `c` is used up until 2026-12-01", at("2026-12-01T00:00:00Z"))
        );
        assert_eq!(account.holds("c", Purpose::Confirm, now), None, "what was sent is to be known");
        account.steady(at("2026-12-01T00:00:00Z"));
        assert_eq!(used_by(&mut account, Purpose::Act, at("2026-12-01T00:00:00Z")), 1000);
        // A clock that goes back finds the month as it was.
        account.steady(now);
        assert!(account.holds("c", Purpose::Act, now).is_some());
    }

    #[test]
    fn polls_are_spread_once_half_of_what_they_have_is_gone() {
        let mut now = at("2026-11-01T00:00:00Z");
        let mut account = account(1000, &[], "2026-11-01T00:00:00Z");
        assert_eq!(used_by(&mut account, Purpose::Watch, now), 400, "half of four fifths at once");
        let mut made = 400;
        loop {
            match account.holds("c", Purpose::Watch, now) {
                None => {
                    drop(account.count(Purpose::Watch, now));
                    made += 1;
                }
                Some(hold) if hold.until >= at("2026-12-01T00:00:00Z") => break,
                Some(hold) => now = hold.until,
            }
        }
        assert_eq!(made, 800);
        assert!(now > at("2026-11-30T00:00:00Z"), "{now}: they last for the month");
    }

    #[test]
    fn what_the_store_counts_is_never_less_than_what_was_sent() {
        let now = at("2026-11-02T00:00:00Z");
        for count in [1, 10, 1000, 50_000, 10_000_000] {
            let mut account = account(count, &[], "2026-11-02T00:00:00Z");
            let mut stored = 0i64;
            for sent in 1..=1000i64.min(i64::from(count)) {
                let purpose = if sent % 3 == 0 { Purpose::Act } else { Purpose::Page };
                if let Some(MeterChange::Count { by, .. }) = account.count(purpose, now) {
                    stored += by;
                }
                assert!((sent..=sent + 63).contains(&stored), "{count}: {sent} sent, {stored} counted");
            }
            if let Some(MeterChange::Count { by, .. }) = account.take_back() {
                stored += by;
            }
            assert_eq!(stored, 1000.min(i64::from(count)));
        }
    }

    #[test]
    fn a_refusal_counts_as_used_up_only_where_the_key_has_worked() {
        let now = at("2026-11-29T12:00:00Z");
        let mut account = account(1000, &[], "2026-11-29T12:00:00Z");
        assert_eq!(account.refuses(now), None);
        account.works();
        assert!(account.refuses(now).is_some());
        assert_eq!(account.reached(), Some(Level::All));
        assert!(account.holds("c", Purpose::Act, now).is_some());
        let hour = at("2026-11-29T13:00:00Z");
        assert_eq!(account.holds("c", Purpose::Act, hour), None, "one try");
        account.count(Purpose::Act, hour);
        assert!(account.holds("c", Purpose::Act, hour).is_some(), "and no more");
        account.refuses(hour);
        assert_eq!(account.next_try(), Some(at("2026-11-29T15:00:00Z")));
        assert!(account.works().1);
        assert_eq!(account.holds("c", Purpose::Act, hour), None);
    }
}
