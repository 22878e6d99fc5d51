//! Days and times by the calendar: which days a rule means, and its times on them.

use flow_plan::{DayTime, Days, MonthDay};
use jiff::civil::{Date, DateTime, Time, Weekday};

/// How many years ahead a rule is looked up. The rarest days that exist, such as a 29 February that is a Monday across 2100,
/// are 40 years apart.
const YEARS: i16 = 50;

/// The times of day of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Times {
    /// Sorted.
    Listed(Vec<Time>),
    /// Each of the minutes in each of the hours, as bits.
    Fields { minutes: u64, hours: u64 },
}

impl Times {
    /// Returns the times that a rule lists by the clock.
    pub(crate) fn listed(times: &[DayTime]) -> Self {
        let clock = |time: &DayTime| match *time {
            DayTime::Clock { hour, minute, second } => {
                let small = |number: u8| i8::try_from(number).ok();
                Time::new(small(hour)?, small(minute)?, small(second)?, 0).ok()
            }
            DayTime::Sun { .. } => None,
        };
        let mut times: Vec<Time> = times.iter().filter_map(clock).collect();
        times.sort_unstable();
        Self::Listed(times)
    }

    /// Tells whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Times::Listed(times) => times.is_empty(),
            Times::Fields { minutes, hours } => *minutes == 0 || *hours == 0,
        }
    }

    /// Returns the first that is not before `from`.
    fn next(&self, from: Time) -> Option<Time> {
        match self {
            Times::Listed(times) => times.iter().copied().find(|time| *time >= from),
            Times::Fields { minutes, hours } => {
                let at = |hour: u32, minute: u32| Time::new(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, 0, 0).ok();
                let hour = u32::try_from(from.hour()).ok()?;
                // Part of a minute has passed: the minute has begun already.
                let begun = from.second() > 0 || from.subsec_nanosecond() > 0;
                let minute = u32::try_from(from.minute()).ok()? + u32::from(begun);
                if hours >> hour & 1 == 1 && minute < 60 {
                    let rest = minutes >> minute;
                    if rest != 0 {
                        return at(hour, minute + rest.trailing_zeros());
                    }
                }
                let later = hours >> (hour + 1);
                (later != 0 && *minutes != 0).then(|| at(hour + 1 + later.trailing_zeros(), minutes.trailing_zeros()))?
            }
        }
    }
}

/// The days of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DayRule {
    /// As a calendar says it.
    Calendar(Vec<Days>),
    /// As cron says it; bits by number, 0 is Sunday.
    Cron {
        days: u64,
        months: u64,
        weekdays: u64,
        /// A day of the month and a day of the week: one suffices.
        either: bool,
    },
}

impl DayRule {
    /// Tells whether the rule means the day.
    pub(crate) fn has(&self, day: Date) -> bool {
        match self {
            DayRule::Calendar(days) => days.iter().any(|days| means(days, day)),
            DayRule::Cron { days, months, weekdays, either } => {
                let bit = |bits: &u64, at: i8| bits >> at & 1 == 1;
                let by_day = bit(days, day.day());
                let by_week = bit(weekdays, day.weekday().to_sunday_zero_offset());
                bit(months, day.month()) && if *either { by_day || by_week } else { by_day && by_week }
            }
        }
    }

    /// Tells whether the rule means a day of this month at all, so that months can be passed over.
    fn has_month(&self, month: i8) -> bool {
        match self {
            DayRule::Cron { months, .. } => months >> month & 1 == 1,
            DayRule::Calendar(days) => days.iter().any(|days| match days {
                Days::Every | Days::Weekday(_) => true,
                Days::OfMonth { months, .. } => in_months(months, month),
            }),
        }
    }

    /// Returns the first day of the rule from a day on; `None` where there is none for decades.
    pub(crate) fn next(&self, from: Date) -> Option<Date> {
        let last = from.year().saturating_add(YEARS);
        let mut day = from;
        while day.year() <= last {
            if !self.has_month(day.month()) {
                day = day.last_of_month().tomorrow().ok()?;
            } else if self.has(day) {
                return Some(day);
            } else {
                day = day.tomorrow().ok()?;
            }
        }
        None
    }

    /// Returns the first clock time of the rule that is not before `from`.
    pub(crate) fn next_at(&self, times: &Times, from: DateTime) -> Option<DateTime> {
        if times.is_empty() {
            return None;
        }
        let day = self.next(from.date())?;
        if day > from.date() {
            return Some(day.to_datetime(times.next(Time::midnight())?));
        }
        match times.next(from.time()) {
            Some(time) => Some(day.to_datetime(time)),
            None => Some(self.next(day.tomorrow().ok()?)?.to_datetime(times.next(Time::midnight())?)),
        }
    }
}

fn in_months(months: &[u8], month: i8) -> bool {
    months.is_empty() || months.iter().any(|known| i8::try_from(*known) == Ok(month))
}

fn means(days: &Days, day: Date) -> bool {
    match days {
        Days::Every => true,
        Days::Weekday(weekdays) => weekdays.iter().any(|weekday| is_weekday(*weekday, day)),
        Days::OfMonth { months, days } => {
            in_months(months, day.month()) && days.iter().any(|of_month| is_month_day(*of_month, day))
        }
    }
}

fn is_weekday(weekday: u8, day: Date) -> bool {
    i8::try_from(weekday) == Ok(day.weekday().to_monday_one_offset())
}

fn is_month_day(of_month: MonthDay, day: Date) -> bool {
    let last = day.days_in_month();
    let works = !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
    match of_month {
        MonthDay::Day(number) => i8::try_from(number) == Ok(day.day()),
        MonthDay::Last => day.day() == last,
        MonthDay::FirstWeekday => works && (day.day() == 1 || day.weekday() == Weekday::Monday && day.day() <= 3),
        MonthDay::LastWeekday => works && (day.day() == last || day.weekday() == Weekday::Friday && day.day() >= last - 2),
        MonthDay::Nth { nth, weekday } => is_weekday(weekday, day) && i8::try_from(nth) == Ok((day.day() - 1) / 7 + 1),
        MonthDay::LastNamed { weekday } => is_weekday(weekday, day) && day.day() > last - 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn days(of_month: MonthDay, from: Date, count: usize) -> Vec<String> {
        let rule = DayRule::Calendar(vec![Days::OfMonth { months: vec![], days: vec![of_month] }]);
        let mut found = Vec::new();
        let mut day = from;
        while found.len() < count {
            day = rule.next(day).unwrap();
            found.push(day.to_string());
            day = day.tomorrow().unwrap();
        }
        found
    }

    #[test]
    fn days_of_the_month() {
        let from = date(2026, 1, 1);
        assert_eq!(days(MonthDay::Last, from, 3), ["2026-01-31", "2026-02-28", "2026-03-31"]);
        assert_eq!(days(MonthDay::Day(31), from, 3), ["2026-01-31", "2026-03-31", "2026-05-31"]);
        assert_eq!(days(MonthDay::FirstWeekday, from, 5), ["2026-01-01", "2026-02-02", "2026-03-02", "2026-04-01", "2026-05-01"]);
        assert_eq!(days(MonthDay::LastWeekday, from, 5), ["2026-01-30", "2026-02-27", "2026-03-31", "2026-04-30", "2026-05-29"]);
        assert_eq!(days(MonthDay::Nth { nth: 1, weekday: 1 }, from, 3), ["2026-01-05", "2026-02-02", "2026-03-02"]);
        assert_eq!(days(MonthDay::Nth { nth: 5, weekday: 1 }, from, 3), ["2026-03-30", "2026-06-29", "2026-08-31"]);
        assert_eq!(days(MonthDay::LastNamed { weekday: 5 }, from, 3), ["2026-01-30", "2026-02-27", "2026-03-27"]);
    }

    #[test]
    fn a_day_that_never_comes_ends() {
        let rule = DayRule::Calendar(vec![Days::OfMonth { months: vec![2], days: vec![MonthDay::Day(31)] }]);
        assert_eq!(rule.next(date(2026, 1, 1)), None);
    }
}
