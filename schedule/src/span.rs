//! Lengths of time from and to an instant.

use flow_plan::{CalendarUnit, Duration, Span};
use jiff::civil::{DateTime, Time};
use jiff::{Timestamp, ToSpan};

use crate::clock::first_showing;
use crate::{Zone, zone};

/// Returns the zone of a name; a plan whose zone is not known any more counts in UTC, since the compiler has refused names
/// that do not exist.
pub(crate) fn zone_of(name: Option<&str>) -> Zone {
    name.and_then(zone).unwrap_or(Zone::UTC)
}

/// Returns the date and time that the clocks of a zone show.
pub fn on_clock(at: Timestamp, zone: Option<&str>) -> DateTime {
    zone_of(zone).to_datetime(at)
}

/// Returns the instant at which the clocks of a zone show a date and time: the first behind a gap, the first of two.
pub fn showing(time: DateTime, zone: Option<&str>) -> Option<Timestamp> {
    first_showing(&zone_of(zone), time)
}

/// Returns the instant a span after `at`. Calendar units count in the zone of the span; a time of day that does not exist
/// is the first valid one behind the gap, and of one that comes twice it is the first. Beyond the end of time it is the end
/// of time.
pub fn after(at: Timestamp, span: &Span) -> Timestamp {
    shift(at, span, 1).unwrap_or(Timestamp::MAX)
}

/// Returns the instant a span before `at`; before the beginning of time it is the beginning of time.
pub fn before(at: Timestamp, span: &Span) -> Timestamp {
    shift(at, span, -1).unwrap_or(Timestamp::MIN)
}

fn shift(at: Timestamp, span: &Span, sign: i64) -> Option<Timestamp> {
    let Duration { months, days, millis } = span.length;
    let mut shifted = at;
    if months != 0 || days != 0 {
        // One after the other, since a span of jiff has one sign: a month less a day would be a month and a day back.
        let months = jiff::Span::new().try_months(i64::from(months) * sign).ok()?;
        let days = jiff::Span::new().try_days(i64::from(days) * sign).ok()?;
        let zone = zone_of(span.zone.as_deref());
        shifted = first_showing(&zone, zone.to_datetime(at).checked_add(months).ok()?.checked_add(days).ok()?)?;
    }
    shifted.checked_add(jiff::SignedDuration::from_millis(millis.checked_mul(sign)?)).ok()
}

/// Returns when the clock in the zone next shows a time of day, strictly after `at`. A time that a day does not have is
/// the first valid one behind the gap; of one that comes twice it is the first.
pub fn next_time(at: Timestamp, time: Time, zone: Option<&str>) -> Timestamp {
    let zone = zone_of(zone);
    let mut day = zone.to_datetime(at).date();
    // A day may lie wholly in a change of the date line; two more are enough.
    for _ in 0..4 {
        if let Some(shown) = first_showing(&zone, day.to_datetime(time))
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
    let date = tz.to_datetime(at).date();
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
    let start = |date: jiff::civil::Date| first_showing(&tz, date.to_datetime(Time::midnight()));
    let begin = first.and_then(start).unwrap_or(Timestamp::MIN);
    let end = first.and_then(|first| first.checked_add(length).ok()).and_then(start).unwrap_or(Timestamp::MAX);
    (begin, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn days(days: i32, zone: &str) -> Span {
        Span { length: Duration { days, ..Duration::default() }, zone: Some(zone.to_owned()) }
    }

    #[test]
    fn a_day_has_23_to_25_hours() {
        for (from, to) in [
            ("2026-03-28T11:00:00Z", "2026-03-29T10:00:00Z"),
            ("2026-10-24T10:00:00Z", "2026-10-25T11:00:00Z"),
            ("2026-06-01T10:00:00Z", "2026-06-02T10:00:00Z"),
            // 02:30 does not exist on the next day: the first instant that does.
            ("2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z"),
        ] {
            assert_eq!(after(instant(from), &days(1, "Europe/Paris")), instant(to), "{from}");
        }
        assert_eq!(before(instant("2026-03-29T10:00:00Z"), &days(1, "Europe/Paris")), instant("2026-03-28T11:00:00Z"));
        assert_eq!(after(instant("2026-03-28T11:00:00Z"), &Span::exact(86_400_000)), instant("2026-03-29T11:00:00Z"));
    }

    #[test]
    fn the_next_time_of_day_keeps_the_rules_of_schedules() {
        let at = |hour, minute| Time::constant(hour, minute, 0, 0);
        let paris = Some("Europe/Paris");
        assert_eq!(next_time(instant("2026-03-28T12:00:00Z"), at(2, 30), paris), instant("2026-03-29T01:00:00Z"));
        assert_eq!(next_time(instant("2026-10-24T12:00:00Z"), at(2, 30), paris), instant("2026-10-25T00:30:00Z"));
        // The second showing of 02:30 is not waited for.
        assert_eq!(next_time(instant("2026-10-25T00:30:00Z"), at(2, 30), paris), instant("2026-10-26T01:30:00Z"));
        assert_eq!(next_time(instant("2011-12-29T20:00:00Z"), at(9, 0), Some("Pacific/Apia")), instant("2011-12-30T10:00:00Z"));
    }

    #[test]
    fn a_period_begins_at_its_first_instant() {
        let at = instant("2026-03-29T12:00:00Z");
        let of = |unit| {
            let (begin, end) = period(at, unit, "Europe/Paris");
            (begin.to_string(), end.to_string())
        };
        assert_eq!(of(CalendarUnit::Day), ("2026-03-28T23:00:00Z".into(), "2026-03-29T22:00:00Z".into()));
        assert_eq!(of(CalendarUnit::Week), ("2026-03-22T23:00:00Z".into(), "2026-03-29T22:00:00Z".into()));
        assert_eq!(of(CalendarUnit::Month), ("2026-02-28T23:00:00Z".into(), "2026-03-31T22:00:00Z".into()));
        assert_eq!(of(CalendarUnit::Year), ("2025-12-31T23:00:00Z".into(), "2026-12-31T23:00:00Z".into()));
    }
}
