//! When a flow starts by the clock, and lengths of time that need a calendar. Data only: the arithmetic is in `flow-schedule`.

use serde::{Deserialize, Serialize};

use crate::Duration;

/// A length of time with the zone in which its calendar units count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The length.
    pub length: Duration,
    /// The IANA zone; `None` where the length has no calendar units.
    pub zone: Option<String>,
}

impl Span {
    /// Returns a span of exact milliseconds.
    pub fn exact(millis: i64) -> Self {
        Self { length: Duration::from_millis(millis), zone: None }
    }
}

/// The time of a rate: `per day`, `per 24 hours`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rate {
    /// A unit word of the calendar: it counts from the beginning of the day, week (Monday), month or year in the zone.
    Calendar {
        /// Which.
        unit: CalendarUnit,
        /// The IANA zone.
        zone: String,
    },
    /// A sliding time of so many milliseconds: `per minute`, `per hour`, `per 24 hours`.
    Sliding(u64),
}

/// The units of the calendar that a rate can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CalendarUnit {
    /// From midnight to midnight.
    Day,
    /// From Monday to Sunday.
    Week,
    /// From the first to the last.
    Month,
    /// From January to December.
    Year,
}

/// When a flow starts by the clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// The rule.
    pub rule: Rule,
    /// The IANA zone; `None` where the rule needs none (an exact interval).
    pub zone: Option<String>,
    /// Latitude and longitude as decimal texts, for sunrise and sunset.
    pub location: Option<(String, String)>,
    /// What becomes of instants at which the daemon did not run.
    pub missed: Missed,
    /// What becomes of times that the clock skips or shows twice.
    pub clock_change: ClockChange,
}

/// The rule of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// `every 5 minutes`: counted from the flow's first start with this rule, so that a restart moves nothing.
    Interval(Duration),
    /// `every cron "…"`: five fields with the meaning of Vixie cron.
    Cron(String),
    /// `every weekday at 08:45, 13:00`; each of the days at each of the times.
    Calendar {
        /// The days; one of them suffices.
        days: Vec<Days>,
        /// The times of day.
        times: Vec<DayTime>,
    },
    /// `every hour`, `every hour at …` has no days: minutes past each hour.
    Hourly {
        /// The minutes, sorted.
        minutes: Vec<u8>,
    },
}

/// Which days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Days {
    /// Each day.
    Every,
    /// The days of the week: 1 is Monday, 7 is Sunday.
    Weekday(Vec<u8>),
    /// Days of each month, or of the named months (1 to 12; empty: all).
    OfMonth {
        /// The months.
        months: Vec<u8>,
        /// The days.
        days: Vec<MonthDay>,
    },
}

/// A day of a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MonthDay {
    /// The day with this number; months without it are passed over.
    Day(u8),
    /// The last day.
    Last,
    /// The last day that is Monday to Friday.
    LastWeekday,
    /// The first day that is Monday to Friday.
    FirstWeekday,
    /// The n-th such day of the week (1 to 5; 1 is Monday).
    Nth {
        /// Which of them.
        nth: u8,
        /// 1 is Monday, 7 is Sunday.
        weekday: u8,
    },
    /// The last such day of the week.
    LastNamed {
        /// 1 is Monday, 7 is Sunday.
        weekday: u8,
    },
}

/// A time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DayTime {
    /// By the clock.
    Clock {
        /// 0 to 23.
        hour: u8,
        /// 0 to 59.
        minute: u8,
        /// 0 to 59.
        second: u8,
    },
    /// By the sun, with an offset in milliseconds. A day without sunrise or sunset is passed over.
    Sun {
        /// Sunrise rather than sunset.
        rise: bool,
        /// Later, or earlier where negative.
        offset_ms: i64,
    },
}

/// What becomes of instants at which the daemon did not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// They are passed over.
    Skip,
    /// Each is made up for, in order.
    All,
    /// The latest is made up for, where it is not older than this.
    Latest {
        /// How old at most.
        within: Span,
    },
}

/// What becomes of times that the clock skips or shows twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockChange {
    /// The first valid instant after a gap; of a time that comes twice the first.
    Natural,
    /// Neither a time in a gap nor one that comes twice.
    Skip,
    /// Once in any case; the same as natural, spelled out.
    Once,
    /// A time that comes twice runs twice; one in a gap at the first valid instant.
    Twice,
}
