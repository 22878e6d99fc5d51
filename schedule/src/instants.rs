//! The instants of a schedule, one after the other.

use flow_plan::{DayTime, Days, Duration, Rule, Schedule};
use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};

use crate::calendar::{DayRule, Times};
use crate::clock::{Manner, next_on_clock};
use crate::span::zone_of;
use crate::{Cron, Zone, interval, sun};

/// How many years a rule of the sun is looked up: leap days with a sunset come within eight.
const SUN_YEARS: i16 = 12;

/// Returns the first instant of the schedule strictly after `after`; `None` where there is none. The anchor is that from
/// which an interval is counted; other rules do not look at it.
pub fn next(schedule: &Schedule, anchor: Timestamp, after: Timestamp) -> Option<Timestamp> {
    instants(schedule, anchor, after).next()
}

/// Returns the instants of the schedule strictly after `after`, in order.
pub fn instants(schedule: &Schedule, anchor: Timestamp, after: Timestamp) -> Instants {
    Instants { rule: Ready::of(schedule), anchor, after }
}

/// The instants of a schedule.
#[derive(Debug, Clone)]
pub struct Instants {
    rule: Ready,
    anchor: Timestamp,
    after: Timestamp,
}

impl Iterator for Instants {
    type Item = Timestamp;

    fn next(&mut self) -> Option<Timestamp> {
        let found = self.rule.next(self.anchor, self.after)?;
        self.after = found;
        Some(found)
    }
}

/// A schedule, ready to be asked.
#[derive(Debug, Clone)]
pub(crate) enum Ready {
    /// It never comes: its plan says what cannot be read.
    Never,
    Interval {
        length: Duration,
        zone: Option<String>,
    },
    Calendar {
        zone: Zone,
        days: DayRule,
        times: Times,
        manner: Manner,
        suns: Vec<SunTime>,
        location: Option<(f64, f64)>,
    },
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct SunTime {
    rise: bool,
    offset: SignedDuration,
}

impl Ready {
    pub(crate) fn of(schedule: &Schedule) -> Self {
        let zone = zone_of(schedule.zone.as_deref());
        let clock = |days, times, follows| Ready::Calendar {
            zone: zone.clone(),
            days,
            times,
            manner: Manner::of(schedule.clock_change, follows),
            suns: Vec::new(),
            location: None,
        };
        match &schedule.rule {
            Rule::Interval(length) => Ready::Interval { length: *length, zone: schedule.zone.clone() },
            Rule::Cron(text) => match Cron::parse(text) {
                Ok(cron) => clock(cron.days, cron.times, cron.follows),
                Err(_) => Ready::Never,
            },
            Rule::Hourly { minutes } => {
                let minutes = minutes.iter().filter(|minute| **minute < 60).fold(0, |bits, minute| bits | 1 << minute);
                let every = DayRule::Calendar(vec![Days::Every]);
                clock(every, Times::Fields { minutes, hours: (1 << 24) - 1 }, true)
            }
            Rule::Calendar { days, times } => {
                let sun_time = |time: &DayTime| match *time {
                    DayTime::Sun { rise, offset_ms } => Some(SunTime { rise, offset: SignedDuration::from_millis(offset_ms) }),
                    DayTime::Clock { .. } => None,
                };
                let location =
                    schedule.location.as_ref().and_then(|(north, east)| Some((north.parse().ok()?, east.parse().ok()?)));
                Ready::Calendar {
                    zone,
                    days: DayRule::Calendar(days.clone()),
                    times: Times::listed(times),
                    manner: Manner::of(schedule.clock_change, false),
                    suns: times.iter().filter_map(sun_time).collect(),
                    location,
                }
            }
        }
    }

    pub(crate) fn next(&self, anchor: Timestamp, after: Timestamp) -> Option<Timestamp> {
        match self {
            Ready::Never => None,
            Ready::Interval { length, zone } => interval(*length, zone.as_deref(), anchor, after),
            Ready::Calendar { zone, days, times, manner, suns, location } => {
                let by_clock = next_on_clock(zone, *manner, after, |from| days.next_at(times, from));
                let by_sun =
                    location.and_then(|at| suns.iter().filter_map(|time| next_by_sun(zone, days, *time, at, after)).min());
                by_clock.into_iter().chain(by_sun).min()
            }
        }
    }

    /// Returns the first clock time of the rule that is not before `from`, as though the clock never changed.
    pub(crate) fn on_paper(&self, from: DateTime) -> Option<DateTime> {
        match self {
            Ready::Calendar { days, times, .. } => days.next_at(times, from),
            Ready::Never | Ready::Interval { .. } => None,
        }
    }

    /// The zone, and what the rule does at changes of its clock.
    pub(crate) fn clock(&self) -> Option<(&Zone, Manner)> {
        match self {
            Ready::Calendar { zone, manner, .. } => Some((zone, *manner)),
            Ready::Never | Ready::Interval { .. } => None,
        }
    }
}

fn next_by_sun(zone: &Zone, days: &DayRule, time: SunTime, at: (f64, f64), after: Timestamp) -> Option<Timestamp> {
    // With its offset an instant may lie on another day than its sunset.
    let first = zone.to_datetime(after.checked_sub(time.offset).ok()?).date().yesterday().ok()?;
    let mut day = first;
    while day.year() - first.year() <= SUN_YEARS {
        day = days.next(day)?;
        let sun = sun(day, at.0, at.1, zone);
        let found = if time.rise { sun.rise } else { sun.set };
        if let Some(found) = found.and_then(|found| found.checked_add(time.offset).ok())
            && found > after
        {
            return Some(found);
        }
        day = day.tomorrow().ok()?;
    }
    None
}
