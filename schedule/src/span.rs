//! Lengths of time from and to an instant.

use flow_plan::{CalendarUnit, Span};
use jiff::civil::Time;
use jiff::{Timestamp, ToSpan, Zoned};

use crate::{Zone, zone};

fn zone_of(name: Option<&str>) -> Zone {
    // A plan whose zone is not known any more counts in UTC: the compiler has refused names that do not exist.
    name.and_then(zone).unwrap_or(Zone::UTC)
}

/// Returns the instant a span after `at`. Calendar units count in the zone of the span; a time of day that does not exist
/// is the first valid one behind the gap. Beyond the end of time it is the end of time.
pub fn after(at: Timestamp, span: &Span) -> Timestamp {
    shift(at, span, 1).unwrap_or(Timestamp::MAX)
}

/// Returns the instant a span before `at`; before the beginning of time it is the beginning of time.
pub fn before(at: Timestamp, span: &Span) -> Timestamp {
    shift(at, span, -1).unwrap_or(Timestamp::MIN)
}

fn shift(at: Timestamp, span: &Span, sign: i64) -> Option<Timestamp> {
    let length = span.length;
    let mut shifted = at;
    if length.months != 0 || length.days != 0 {
        let calendar = jiff::Span::new()
            .try_months(i64::from(length.months) * sign)
            .and_then(|calendar| calendar.try_days(i64::from(length.days) * sign))
            .ok()?;
        shifted = at.to_zoned(zone_of(span.zone.as_deref())).checked_add(calendar).ok()?.timestamp();
    }
    shifted.checked_add(length.millis.checked_mul(sign)?.milliseconds()).ok()
}

/// Returns when the clock in the zone next shows a time of day, strictly after `at`. A time that a day does not have is
/// the first valid one behind the gap; of one that comes twice it is the first.
pub fn next_time(at: Timestamp, time: Time, zone: Option<&str>) -> Timestamp {
    let zone = zone_of(zone);
    let mut day = at.to_zoned(zone.clone()).date();
    // A day may lie wholly in a change of the date line; two more are enough.
    for _ in 0..4 {
        let shown = day.to_datetime(time).to_zoned(zone.clone()).map(|shown: Zoned| shown.timestamp());
        if let Ok(shown) = shown
            && shown > at
        {
            return shown;
        }
        let Ok(next) = day.tomorrow() else { break };
        day = next;
    }
    Timestamp::MAX
}

/// Returns the beginning and the end of the calendar unit in which an instant lies.
pub fn period(at: Timestamp, unit: CalendarUnit, zone: &str) -> (Timestamp, Timestamp) {
    let tz = zone_of(Some(zone));
    let date = at.to_zoned(tz.clone()).date();
    let first = match unit {
        CalendarUnit::Day => Some(date),
        CalendarUnit::Week => date.checked_sub(i64::from(date.weekday().to_monday_zero_offset()).days()).ok(),
        CalendarUnit::Month => Some(date.first_of_month()),
        CalendarUnit::Year => Some(date.first_of_year()),
    };
    let length = match unit {
        CalendarUnit::Day => 1.days(),
        CalendarUnit::Week => 1.weeks(),
        CalendarUnit::Month => 1.months(),
        CalendarUnit::Year => 1.years(),
    };
    let start = |date: jiff::civil::Date| date.to_zoned(tz.clone()).ok().map(|begin| begin.timestamp());
    let begin = first.and_then(start).unwrap_or(Timestamp::MIN);
    let end = first.and_then(|first| first.checked_add(length).ok()).and_then(start).unwrap_or(Timestamp::MAX);
    (begin, end)
}
