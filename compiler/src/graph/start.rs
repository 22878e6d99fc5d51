//! What starts a flow, in the words of the picture. A new kind of start is told here and nowhere else.

use flow_plan::{DayTime, Days, Flow, Instr, MonthDay, Rule, Schedule, StartKind, TriggerUse};

use crate::listing::compared;

/// A start.
pub(super) struct Start {
    /// The connection, or what stands for one.
    pub(super) service: String,
    /// What happens there.
    pub(super) label: String,
    /// The flow is under way already, and waits for it.
    pub(super) waits: bool,
}

/// Returns what starts a flow and what it waits for.
pub(super) fn of(flow: &Flow) -> Vec<Start> {
    let awaited = flow.program.instrs.iter().filter_map(|instr| match instr {
        Instr::WaitFor(wait) => Some(&wait.trigger),
        _ => None,
    });
    flow.triggers.iter().map(|trigger| start(trigger, false)).chain(awaited.map(|trigger| start(trigger, true))).collect()
}

fn start(trigger: &TriggerUse, waits: bool) -> Start {
    let (service, label) = match &trigger.kind {
        StartKind::Event => (trigger.connection.clone(), trigger.name.clone()),
        StartKind::Schedule(schedule) => ("time".to_owned(), schedule_words(schedule)),
        StartKind::Absence(absence) => {
            (absence.awaited.connection.clone(), format!("no {} within {}", absence.awaited.name, absence.within.length))
        }
        StartKind::State(state) => {
            let lasting = state.lasting.as_ref().map(|span| format!(" for {}", span.length)).unwrap_or_default();
            (trigger.connection.clone(), format!("{} {}{lasting}", state.state, compared(state)))
        }
    };
    Start { service, label, waits }
}

fn schedule_words(schedule: &Schedule) -> String {
    let rule = match &schedule.rule {
        Rule::Interval(length) => format!("every {length}"),
        Rule::Cron(text) => format!("cron {text}"),
        Rule::Hourly { minutes } => {
            let minutes: Vec<String> = minutes.iter().map(|minute| format!(":{minute:02}")).collect();
            format!("every hour at {}", minutes.join(", "))
        }
        Rule::Calendar { days, times } => {
            let days: Vec<String> = days.iter().map(days_words).collect();
            let times: Vec<String> = times.iter().map(|time| time_words(*time)).collect();
            format!("every {} at {}", days.join(", "), times.join(", "))
        }
    };
    match &schedule.zone {
        Some(zone) => format!("{rule} in {zone}"),
        None => rule,
    }
}

fn days_words(days: &Days) -> String {
    match days {
        Days::Every => "day".to_owned(),
        Days::Weekday(days) if days.as_slice() == [1, 2, 3, 4, 5] => "weekday".to_owned(),
        Days::Weekday(days) if days.as_slice() == [6, 7] => "weekend".to_owned(),
        Days::Weekday(days) => days.iter().map(|day| weekday(*day)).collect::<Vec<_>>().join(", "),
        Days::OfMonth { months, days } => {
            let days: Vec<String> = days.iter().map(|day| month_day(*day)).collect();
            match months.as_slice() {
                [] => format!("month on {}", days.join(", ")),
                months => {
                    let months: Vec<&str> = months.iter().map(|number| month(*number)).collect();
                    format!("{} on {}", months.join(", "), days.join(", "))
                }
            }
        }
    }
}

fn month_day(day: MonthDay) -> String {
    match day {
        MonthDay::Day(day) => format!("day {day}"),
        MonthDay::Last => "the last day".to_owned(),
        MonthDay::LastWeekday => "the last weekday".to_owned(),
        MonthDay::FirstWeekday => "the first weekday".to_owned(),
        MonthDay::Nth { nth, weekday: day } => format!("{} number {nth}", weekday(day)),
        MonthDay::LastNamed { weekday: day } => format!("the last {}", weekday(day)),
    }
}

fn time_words(time: DayTime) -> String {
    match time {
        DayTime::Clock { hour, minute, second: 0 } => format!("{hour:02}:{minute:02}"),
        DayTime::Clock { hour, minute, second } => format!("{hour:02}:{minute:02}:{second:02}"),
        DayTime::Sun { rise, offset_ms } => {
            let sun = if rise { "sunrise" } else { "sunset" };
            let length = flow_plan::Duration::from_millis(offset_ms.saturating_abs());
            match offset_ms {
                0 => sun.to_owned(),
                1.. => format!("{sun} + {length}"),
                _ => format!("{sun} - {length}"),
            }
        }
    }
}

fn weekday(day: u8) -> &'static str {
    const NAMES: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    NAMES.get(usize::from(day).wrapping_sub(1)).copied().unwrap_or("day")
}

fn month(month: u8) -> &'static str {
    const NAMES: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    NAMES.get(usize::from(month).wrapping_sub(1)).copied().unwrap_or("month")
}
