//! A schedule in the words of the language, so that what a plan shows could stand in a flow.

use flow_plan::{CalendarUnit, ClockChange, DayTime, Days, Duration, Missed, MonthDay, Rule, Schedule};

const WEEKDAYS: &[&str] = &["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const MONTHS: &[&str] =
    &["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"];
const COUNTS: &[&str] = &["first", "second", "third", "fourth", "fifth"];

/// Returns a schedule in one line, without its clauses: `every weekday at 08:45, 13:00 in "Europe/Paris"`.
pub fn explain(schedule: &Schedule) -> String {
    let rule = match &schedule.rule {
        Rule::Interval(length) => format!("every {length}"),
        Rule::Cron(text) => format!("every cron \"{text}\""),
        Rule::Hourly { minutes } if minutes.as_slice() == [0] => "every hour".to_owned(),
        Rule::Hourly { minutes } => {
            let minutes: Vec<String> = minutes.iter().map(|minute| format!("00:{minute:02}")).collect();
            format!("every hour at {}", minutes.join(", "))
        }
        Rule::Calendar { days, times } => {
            let times: Vec<String> = times.iter().map(time).collect();
            format!("every {} at {}", days_text(days), times.join(", "))
        }
    };
    match &schedule.zone {
        Some(zone) => format!("{rule} in \"{zone}\""),
        None => rule,
    }
}

/// Returns what becomes of missed instants: `latest within 1 hour`.
pub fn missed(missed: &Missed) -> String {
    match missed {
        Missed::Skip => "skip".to_owned(),
        Missed::All => "all".to_owned(),
        Missed::Latest { within } => format!("latest within {}", within.length),
    }
}

/// Returns what becomes of times that the clock skips or shows twice; `None` where the rule goes with the clock, as an hourly
/// one does, or does not look at it.
pub fn clock_change(schedule: &Schedule) -> Option<&'static str> {
    match schedule.clock_change {
        ClockChange::Skip => Some("skip"),
        ClockChange::Once => Some("once"),
        ClockChange::Twice => Some("twice"),
        ClockChange::Natural => fixed(schedule).then_some("once"),
    }
}

/// Tells whether the rule has times of day that a change of the clock can touch, and does not go with the clock.
fn fixed(schedule: &Schedule) -> bool {
    match &schedule.rule {
        Rule::Calendar { times, .. } => times.iter().any(|time| matches!(time, DayTime::Clock { .. })),
        Rule::Cron(text) => crate::Cron::parse(text).is_ok_and(|cron| !cron.follows),
        Rule::Interval(_) | Rule::Hourly { .. } => false,
    }
}

fn days_text(days: &[Days]) -> String {
    let mut of_year = Vec::new();
    for entry in days {
        match entry {
            Days::Every => return "day".to_owned(),
            Days::Weekday(weekdays) => return weekdays_text(weekdays),
            Days::OfMonth { months, days } => {
                let days: Vec<String> = days.iter().map(|day| month_day(*day)).collect();
                if months.is_empty() {
                    return format!("month on {}", days.join(", "));
                }
                for month in months.iter().filter_map(|month| MONTHS.get(usize::from(*month).checked_sub(1)?)) {
                    of_year.extend(days.iter().map(|day| format!("{day} {month}")));
                }
            }
        }
    }
    format!("year on {}", of_year.join(", "))
}

fn weekdays_text(weekdays: &[u8]) -> String {
    match weekdays {
        [1, 2, 3, 4, 5] => "weekday".to_owned(),
        [6, 7] => "weekend".to_owned(),
        several => several.iter().map(|day| weekday(*day)).collect::<Vec<_>>().join(", "),
    }
}

fn weekday(number: u8) -> &'static str {
    usize::from(number).checked_sub(1).and_then(|at| WEEKDAYS.get(at)).copied().unwrap_or("day")
}

fn month_day(day: MonthDay) -> String {
    match day {
        MonthDay::Day(number) => number.to_string(),
        MonthDay::Last => "last day".to_owned(),
        MonthDay::LastWeekday => "last weekday".to_owned(),
        MonthDay::FirstWeekday => "first weekday".to_owned(),
        MonthDay::Nth { nth, weekday: number } => {
            let count = usize::from(nth).checked_sub(1).and_then(|at| COUNTS.get(at)).copied().unwrap_or("last");
            format!("{count} {}", weekday(number))
        }
        MonthDay::LastNamed { weekday: number } => format!("last {}", weekday(number)),
    }
}

fn time(time: &DayTime) -> String {
    match *time {
        DayTime::Clock { hour, minute, second: 0 } => format!("{hour:02}:{minute:02}"),
        DayTime::Clock { hour, minute, second } => format!("{hour:02}:{minute:02}:{second:02}"),
        DayTime::Sun { rise, offset_ms } => {
            let event = if rise { "sunrise" } else { "sunset" };
            let offset = Duration::from_millis(offset_ms.abs());
            match offset_ms {
                0 => event.to_owned(),
                1.. => format!("{event} + {offset}"),
                _ => format!("{event} - {offset}"),
            }
        }
    }
}

/// Returns the word of a unit of the calendar: `day`.
pub fn unit(unit: CalendarUnit) -> &'static str {
    match unit {
        CalendarUnit::Day => "day",
        CalendarUnit::Week => "week",
        CalendarUnit::Month => "month",
        CalendarUnit::Year => "year",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_reads_as_it_was_written() {
        let schedule = |rule| Schedule {
            rule,
            zone: Some("Europe/Paris".to_owned()),
            location: None,
            missed: Missed::Skip,
            clock_change: ClockChange::Natural,
        };
        let clock = |hour, minute| DayTime::Clock { hour, minute, second: 0 };
        let of_month = |months: &[u8], days: &[MonthDay]| Days::OfMonth { months: months.to_vec(), days: days.to_vec() };
        for (rule, text, change) in [
            (Rule::Interval(Duration::from_millis(300_000)), "every 5 minutes", None),
            (Rule::Hourly { minutes: vec![0] }, "every hour", None),
            (Rule::Hourly { minutes: vec![15, 45] }, "every hour at 00:15, 00:45", None),
            (Rule::Cron("*/5 * * * *".into()), "every cron \"*/5 * * * *\"", None),
            (Rule::Cron("30 2 * * *".into()), "every cron \"30 2 * * *\"", Some("once")),
            (
                Rule::Calendar { days: vec![Days::Weekday(vec![1, 2, 3, 4, 5])], times: vec![clock(8, 45), clock(13, 0)] },
                "every weekday at 08:45, 13:00",
                Some("once"),
            ),
            (
                Rule::Calendar {
                    days: vec![of_month(&[], &[MonthDay::Last, MonthDay::Nth { nth: 1, weekday: 1 }])],
                    times: vec![DayTime::Sun { rise: false, offset_ms: -900_000 }],
                },
                "every month on last day, first monday at sunset - 15 minutes",
                None,
            ),
            (
                Rule::Calendar {
                    days: vec![of_month(&[12], &[MonthDay::Day(24)]), of_month(&[2], &[MonthDay::Last])],
                    times: vec![clock(18, 0)],
                },
                "every year on 24 december, last day february at 18:00",
                Some("once"),
            ),
        ] {
            let schedule = schedule(rule);
            assert_eq!(explain(&schedule), format!("{text} in \"Europe/Paris\""));
            assert_eq!(clock_change(&schedule), change, "{text}");
        }
    }
}
