//! What the clock starts: cron rules and rules of the calendar, asked for their next instants.

use flow_plan::{CalendarUnit, ClockChange, DayTime, Days, Duration, Missed, MonthDay, Rule, Schedule, Span};
use flow_schedule::{Cron, after, before, changes, explain, instants, next_time, period};
use jiff::Timestamp;

use super::draw::Draw;

/// Places whose clocks change in unlike ways.
const ZONES: &[&str] = &[
    "UTC",
    "Europe/Paris",
    "America/New_York",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Cairo",
    "Asia/Tokyo",
    "Antarctica/Troll",
    "Africa/Casablanca",
    "America/Sao_Paulo",
    "nowhere",
];

/// How many instants are asked for.
const MOST: usize = 12;

/// A schedule ends or goes on, each instant behind the one before it; what is said of it can be said. The lengths of time
/// of the calendar never go the wrong way.
pub fn schedule(bytes: &[u8]) {
    let mut draw = Draw(bytes);
    let at = instant(&mut draw);
    lengths(&mut draw, at);
    let schedule = rule(&mut draw);
    let mut before = at;
    for found in instants(&schedule, instant(&mut draw), at).take(MOST) {
        assert!(found > before, "{found} comes after {before}: {schedule:?}");
        before = found;
    }
    explain(&schedule);
    let year = jiff::SignedDuration::from_hours(24 * 366);
    for change in changes(&schedule, at, at.checked_add(year).unwrap_or(at)) {
        let _ = format!("{change:?}");
    }
}

fn instant(draw: &mut Draw<'_>) -> Timestamp {
    match draw.below(16) {
        0 => Timestamp::MIN,
        1 => Timestamp::MAX,
        2 => Timestamp::from_millisecond(draw.whole()).unwrap_or_default(),
        // From 1996 to 2045, to the quarter of an hour: clocks change within.
        _ => {
            let quarters = i64::from(u32::from_le_bytes([draw.byte(), draw.byte(), draw.byte(), 0]) % 1_700_000);
            Timestamp::from_second(830_000_000 + quarters * 900).unwrap_or_default()
        }
    }
}

fn lengths(draw: &mut Draw<'_>, at: Timestamp) {
    let length = Duration {
        months: i32::from(draw.byte() % 16),
        days: i32::from(draw.byte() % 40),
        millis: i64::from(draw.byte()) * 900_000,
    };
    let zone = draw.one(ZONES);
    let span = Span { length, zone: Some(zone.to_owned()) };
    assert!(after(at, &span) >= at, "{at} {span:?}");
    assert!(before(at, &span) <= at, "{at} {span:?}");
    let time = jiff::civil::time(i8::try_from(draw.below(24)).unwrap(), i8::try_from(draw.below(60)).unwrap(), 0, 0);
    let found = next_time(at, time, Some(zone));
    assert!(found > at || at == Timestamp::MAX, "{time} after {at} in {zone}");
    let unit = draw.one(&[CalendarUnit::Day, CalendarUnit::Week, CalendarUnit::Month, CalendarUnit::Year]);
    let (begins, ends) = period(at, unit, zone);
    assert!(begins <= at && (at < ends || ends == Timestamp::MAX), "{begins} {at} {ends} {unit:?} {zone}");
}

fn rule(draw: &mut Draw<'_>) -> Schedule {
    let zone = draw.one(ZONES);
    let clock_change = draw.one(&[ClockChange::Natural, ClockChange::Skip, ClockChange::Once, ClockChange::Twice]);
    let location = match draw.below(4) {
        0 => Some(("48.85", "2.35")),
        1 => Some(("78.2", "15.6")),
        2 => Some(("-90", "180")),
        _ => None,
    };
    let rule = match draw.below(4) {
        0 => Rule::Interval(Duration {
            months: i32::from(draw.byte()) % 14,
            days: i32::from(draw.byte()) % 40,
            millis: draw.whole(),
        }),
        1 => Rule::Hourly { minutes: draw.some(4, Draw::byte) },
        2 => Rule::Calendar { days: draw.some(3, days), times: draw.some(3, time) },
        _ => {
            let text = String::from_utf8_lossy(draw.0.get(..draw.0.len().min(80)).unwrap_or_default()).into_owned();
            match Cron::parse(&text) {
                Ok(cron) => drop(format!("{cron:?}")),
                Err(error) => assert!(text.get(error.at.clone()).is_some(), "{error:?} is not within {text:?}"),
            }
            Rule::Cron(text)
        }
    };
    Schedule {
        rule,
        zone: Some(zone.to_owned()),
        location: location.map(|(north, east)| (north.to_owned(), east.to_owned())),
        missed: Missed::Skip,
        clock_change,
    }
}

fn days(draw: &mut Draw<'_>) -> Days {
    match draw.below(3) {
        0 => Days::Every,
        1 => Days::Weekday(draw.some(4, |draw| draw.byte() % 9)),
        _ => Days::OfMonth {
            months: draw.some(2, |draw| draw.byte() % 14),
            days: draw.some(3, |draw| match draw.below(6) {
                0 => MonthDay::Last,
                1 => MonthDay::LastWeekday,
                2 => MonthDay::FirstWeekday,
                3 => MonthDay::Nth { nth: draw.byte() % 7, weekday: draw.byte() % 9 },
                4 => MonthDay::LastNamed { weekday: draw.byte() % 9 },
                _ => MonthDay::Day(draw.byte() % 34),
            }),
        },
    }
}

fn time(draw: &mut Draw<'_>) -> DayTime {
    if draw.below(3) == 0 {
        return DayTime::Sun { rise: draw.below(2) == 0, offset_ms: draw.whole() };
    }
    DayTime::Clock { hour: draw.byte() % 25, minute: draw.byte() % 61, second: draw.byte() % 61 }
}
