//! So many in a time: `at most 3 per customer per day`, `throttle to 10 per minute`.
//!
//! A sliding time (`per hour`, `per 24 hours`) allows the next start as soon as the N-th last lies that long ago. A unit of
//! the calendar (`per day`) counts from its beginning in the zone.

use flow_plan::{CalendarUnit, Rate};
use flow_schedule::period;

use super::tally::{Tally, instant};

/// Returns the first instant from `at` on at which one more may start, in milliseconds.
pub(crate) fn free_at(tally: &Tally, count: u32, rate: &Rate, at: i64) -> i64 {
    match rate {
        Rate::Sliding(ms) => {
            let length = i64::try_from(*ms).unwrap_or(i64::MAX);
            let enough = usize::try_from(count.max(1)).unwrap_or(usize::MAX);
            match tally.at.len().checked_sub(enough).and_then(|nth| tally.at.get(nth)) {
                Some(nth) => at.max(nth.saturating_add(length)),
                None => at,
            }
        }
        Rate::Calendar { unit, zone } => {
            let (begin, _) = unit_at(at, *unit, zone);
            match tally.period {
                // Those that are held back fill the units to come, one after the other.
                Some(counted) if counted >= begin && tally.count < count.max(1) => at.max(counted),
                Some(counted) if counted >= begin => unit_at(counted, *unit, zone).1,
                _ => at,
            }
        }
    }
}

/// Counts a start at an instant that [`free_at`] has returned.
pub(crate) fn take(tally: &mut Tally, count: u32, rate: &Rate, at: i64) {
    match rate {
        Rate::Sliding(ms) => {
            tally.at.push(at);
            tally.at.sort_unstable();
            // What lies too long ago goes first; the rest only where it is too much, as when many are held back.
            let from = tally.seen.saturating_sub(i64::try_from(*ms).unwrap_or(i64::MAX));
            tally.at.retain(|at| *at > from);
            let most = usize::try_from(count.max(1)).unwrap_or(usize::MAX).saturating_mul(2);
            let surplus = tally.at.len().saturating_sub(most);
            tally.at.drain(..surplus);
            tally.cut |= surplus > 0;
        }
        Rate::Calendar { unit, zone } => {
            let (begin, _) = unit_at(at, *unit, zone);
            // Those that are held back have places in units to come, and the places before those are taken.
            if tally.period.is_some_and(|counted| counted > begin) {
                return;
            }
            tally.count = if tally.period == Some(begin) { tally.count.saturating_add(1) } else { 1 };
            tally.period = Some(begin);
        }
    }
}

/// Takes back a start that did not take place. Where that could let more through than the rate allows it stays used up.
pub(crate) fn give_back(tally: &mut Tally, rate: &Rate, at: i64) {
    match rate {
        Rate::Sliding(_) => {
            if let Some(found) = tally.at.iter().position(|known| *known == at).filter(|_| !tally.cut) {
                tally.at.remove(found);
            }
        }
        Rate::Calendar { unit, zone } => {
            if tally.period == Some(unit_at(at, *unit, zone).0) {
                tally.count = tally.count.saturating_sub(1);
            }
        }
    }
}

/// Leaves a place that [`give_back`] kept, for another that is taken right after: what is used up stays as much.
pub(crate) fn leave_place(tally: &mut Tally, rate: &Rate, at: i64) {
    if let Rate::Sliding(_) = rate
        && tally.cut
        && let Some(found) = tally.at.iter().position(|known| *known == at)
    {
        tally.at.remove(found);
    }
}

/// Returns the first instant from `at` on at which one more may really begin, as [`begin`] has counted them.
pub(crate) fn begins_at(tally: &Tally, count: u32, rate: &Rate, at: i64) -> i64 {
    match rate {
        Rate::Sliding(ms) => {
            let length = i64::try_from(*ms).unwrap_or(i64::MAX);
            let enough = usize::try_from(count.max(1)).unwrap_or(usize::MAX);
            match tally.begun.len().checked_sub(enough).and_then(|nth| tally.begun.get(nth)) {
                Some(nth) => at.max(nth.saturating_add(length)),
                None => at,
            }
        }
        Rate::Calendar { unit, zone } => {
            let (begin, end) = unit_at(at, *unit, zone);
            if tally.begun_in.is_some_and(|(of, begun)| of == begin && begun >= count.max(1)) { end } else { at }
        }
    }
}

/// Counts a run that really begins.
pub(crate) fn begin(tally: &mut Tally, rate: &Rate, at: i64) {
    match rate {
        Rate::Sliding(ms) => {
            let from = at.saturating_sub(i64::try_from(*ms).unwrap_or(i64::MAX));
            tally.begun.retain(|begun| *begun > from);
            tally.begun.push(at);
            tally.begun.sort_unstable();
        }
        Rate::Calendar { unit, zone } => {
            let (begin, _) = unit_at(at, *unit, zone);
            let before = tally.begun_in.filter(|(of, _)| *of == begin).map_or(0, |(_, begun)| begun);
            tally.begun_in = Some((begin, before.saturating_add(1)));
        }
    }
}

/// Takes back a beginning that was counted and did not take place.
pub(crate) fn take_back(tally: &mut Tally, rate: &Rate, at: i64) {
    match rate {
        Rate::Sliding(_) => {
            if let Some(found) = tally.begun.iter().position(|begun| *begun == at) {
                tally.begun.remove(found);
            }
        }
        Rate::Calendar { unit, zone } => {
            if let Some((_, begun)) = tally.begun_in.as_mut().filter(|(of, _)| *of == unit_at(at, *unit, zone).0) {
                *begun = begun.saturating_sub(1);
            }
        }
    }
}

impl Tally {
    /// Returns the instant from which on it says nothing any more, for a rate.
    pub(crate) fn rate_ends(&self, rate: &Rate) -> i64 {
        match rate {
            Rate::Sliding(ms) => {
                let length = i64::try_from(*ms).unwrap_or(i64::MAX);
                self.at.last().copied().unwrap_or(self.seen).saturating_add(length)
            }
            Rate::Calendar { unit, zone } => unit_at(self.period.unwrap_or(self.seen), *unit, zone).1,
        }
    }
}

fn unit_at(at: i64, unit: CalendarUnit, zone: &str) -> (i64, i64) {
    let (begin, end) = period(instant(at), unit, zone);
    (begin.as_millisecond(), end.as_millisecond())
}

/// Returns the time of a rate as it is written: `day`, `24 hours`.
pub(crate) fn rate_name(rate: &Rate) -> String {
    match rate {
        Rate::Calendar { unit, .. } => match unit {
            CalendarUnit::Day => "day",
            CalendarUnit::Week => "week",
            CalendarUnit::Month => "month",
            CalendarUnit::Year => "year",
        }
        .to_owned(),
        Rate::Sliding(ms) => match ms {
            1_000 => "second".to_owned(),
            60_000 => "minute".to_owned(),
            3_600_000 => "hour".to_owned(),
            ms => flow_plan::Duration::from_millis(i64::try_from(*ms).unwrap_or(i64::MAX)).to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn a_sliding_time_frees_as_the_oldest_leaves_it() {
        let rate = Rate::Sliding(60_000);
        let mut tally = Tally::default();
        for at in [0, 10_000] {
            assert_eq!(free_at(&tally, 2, &rate, at), at);
            take(&mut tally, 2, &rate, at);
        }
        assert_eq!(free_at(&tally, 2, &rate, 20_000), 60_000);
        take(&mut tally, 2, &rate, 60_000);
        assert_eq!(free_at(&tally, 2, &rate, 20_000), 70_000, "one behind the other");
        give_back(&mut tally, &rate, 60_000);
        assert_eq!(free_at(&tally, 2, &rate, 20_000), 60_000);
        give_back(&mut tally, &rate, 10_000);
        assert_eq!(free_at(&tally, 2, &rate, 20_000), 20_000);
    }

    #[test]
    fn a_day_begins_at_midnight_in_its_zone() {
        let rate = Rate::Calendar { unit: CalendarUnit::Day, zone: "Asia/Tokyo".to_owned() };
        let mut tally = Tally::default();
        let evening = ms("2026-11-22T14:59:00Z");
        take(&mut tally, 1, &rate, evening);
        assert_eq!(free_at(&tally, 1, &rate, evening), ms("2026-11-22T15:00:00Z"));
        assert_eq!(free_at(&tally, 1, &rate, ms("2026-11-22T15:00:00Z")), ms("2026-11-22T15:00:00Z"));
        // Two that wait take two days.
        take(&mut tally, 1, &rate, ms("2026-11-22T15:00:00Z"));
        assert_eq!(free_at(&tally, 1, &rate, evening), ms("2026-11-23T15:00:00Z"));
        give_back(&mut tally, &rate, ms("2026-11-22T15:00:00Z"));
        assert_eq!(free_at(&tally, 1, &rate, ms("2026-11-22T15:00:00Z")), ms("2026-11-22T15:00:00Z"));
    }

    #[test]
    fn a_clock_that_was_corrected_blocks_nothing() {
        let rate = Rate::Sliding(3_600_000);
        let mut tally = Tally::default();
        let wrong = tally.steady("2027-11-22T12:00:00Z".parse().unwrap());
        take(&mut tally, 1, &rate, wrong);
        let right = tally.steady("2026-11-22T12:00:00Z".parse().unwrap());
        assert_eq!(right, ms("2026-11-22T12:00:00Z"));
        assert_eq!(free_at(&tally, 1, &rate, right), right + 3_600_000, "an hour, not a year");
        let little = tally.steady("2026-11-22T11:59:59Z".parse().unwrap());
        assert_eq!(little, right, "a clock that goes back a little stands still");
    }
}
