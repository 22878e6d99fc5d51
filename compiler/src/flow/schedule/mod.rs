//! `every …`: a schedule, from its words to the rule that the runtime follows.
//!
//! What a schedule leaves open is not guessed: a time of day, a day of the month and a zone have to be said, here or in
//! flow.toml. The days are in [`days`], the times in [`times`], cron in [`cron`], the clauses in [`clause`].

mod change;
mod clause;
mod cron;
mod days;
mod spoken;
mod times;
mod write;

use std::collections::BTreeMap;

use flow_grammar::span::Span;
use flow_grammar::syntax::{AtTime, DurationLit, Every, EveryKind, Ident, OnDay};
use flow_plan as plan;
use flow_plan::{ClockChange, Days, Missed, Rule, Schedule};

use super::check::{Checker, listed};
use super::span::InZone;
use crate::code::Code;
use crate::suggest::nearest;

pub(super) use write::written_out;

/// The longest interval: what comes more rarely has a day.
const LONGEST_MS: i64 = 366 * 86_400_000;

/// The days of the week, from Monday.
const WEEKDAYS: &[&str] = &["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// What can stand behind `every`.
const UNITS: &[&str] = &["second", "minute", "hour", "day", "weekday", "weekend", "week", "month", "year"];

impl<'a> Checker<'a> {
    /// Checks a schedule; `id` is that of the flow.
    pub(super) fn every(&mut self, every: &'a Every, id: String) -> Option<plan::TriggerUse> {
        if let Some(text) = &every.zone {
            self.clock_zone = Some(self.zone_of(text)?);
        }
        let rule = match &every.kind {
            EveryKind::Interval(length) => self.interval(length)?,
            EveryKind::Cron(text) => self.cron(text)?,
            EveryKind::Calendar { units, on, at } => self.calendar(every, units, on, at)?,
        };
        let zone = match &rule {
            Rule::Interval(length) if length.months == 0 && length.days == 0 => {
                if let Some(zone) = &every.zone {
                    self.zone_of_an_interval(every, zone.span);
                    return None;
                }
                None
            }
            // The full hour is the same nearly everywhere: without a zone it is that of UTC.
            Rule::Hourly { .. } => {
                self.frozen.timezone.set(self.clock_zone.is_none());
                self.clock_zone.clone().or_else(|| self.settings.timezone.clone())
            }
            Rule::Interval(_) | Rule::Cron(_) | Rule::Calendar { .. } => Some(self.schedule_zone(every, &rule)?),
        };
        let location = self.location_of(every, &rule)?;
        let (missed, clock_change) = self.schedule_clauses(&rule)?;
        let schedule = Schedule { rule, zone, location, missed, clock_change };
        if !self.comes_at_all(every, &schedule) {
            return None;
        }
        if clock_change == ClockChange::Natural {
            self.warn_of_changes(every, &schedule);
        }
        Some(plan::TriggerUse {
            connection: "time".to_owned(),
            name: "schedule".to_owned(),
            source: "schedule".to_owned(),
            types: vec![id],
            options: BTreeMap::new(),
            guard: None,
            dedupe: None,
            kind: plan::StartKind::Schedule(Box::new(schedule)),
            reads: Vec::new(),
        })
    }

    fn interval(&mut self, length: &DurationLit) -> Option<Rule> {
        let value = self.duration_value(length)?;
        let millis = value.approximate_millis();
        let written = length.span.text(self.frame.source);
        let diagnostic = if millis <= 0 {
            self.diagnostic(Code::E604, length.span, "this would never stop starting the flow")
                .label("no time between one start and the next")
                .help("an interval is longer than nothing: `every 5 minutes`")
        } else if millis < 1_000 {
            self.diagnostic(Code::E604, length.span, format!("`every {written}` is too often"))
                .label("less than a second")
                .help("a schedule starts a flow once a second at most")
        } else if millis > LONGEST_MS {
            self.diagnostic(Code::E604, length.span, format!("`every {written}` is longer than a year"))
                .label("counted from when the flow is first live, which nobody will remember")
                .help("name the day: `every year on 1 january at 09:00`")
        } else {
            return Some(Rule::Interval(value));
        };
        self.report(diagnostic);
        None
    }

    fn calendar(&mut self, every: &Every, units: &[Ident], on: &[OnDay], at: &[AtTime]) -> Option<Rule> {
        let [first, others @ ..] = units else { return None };
        if let Some(wrong) = units.iter().find(|unit| !is_unit(&unit.text)) {
            self.unknown_unit(wrong, !at.is_empty());
            return None;
        }
        if let Some(other) = others.iter().find(|unit| days::named(&unit.text).is_none()) {
            self.units_do_not_add_up(first, other);
            return None;
        }
        if !others.is_empty() && days::named(&first.text).is_none() {
            self.units_do_not_add_up(others.first()?, first);
            return None;
        }
        match first.text.as_str() {
            unit @ ("second" | "minute") => {
                self.nothing_behind(first, on, at)?;
                let millis = if unit == "second" { 1_000 } else { 60_000 };
                Some(Rule::Interval(plan::Duration::from_millis(millis)))
            }
            "hour" => {
                self.no_day_behind(first, on)?;
                Some(Rule::Hourly { minutes: self.minutes(at)? })
            }
            _ => {
                let days = self.days(units, on)?;
                let times = self.day_times(every, units, on, at)?;
                Some(Rule::Calendar { days, times })
            }
        }
    }

    fn unknown_unit(&mut self, unit: &Ident, has_time: bool) {
        let text = unit.text.to_ascii_lowercase();
        let known = || UNITS.iter().chain(WEEKDAYS).copied();
        let single = text.strip_suffix('s').and_then(|single| known().find(|known| *known == single));
        let short = (3..=4).contains(&text.len()).then(|| WEEKDAYS.iter().copied().find(|day| day.starts_with(&text))).flatten();
        let meant = match text.as_str() {
            "daily" => Some("day"),
            "hourly" => Some("hour"),
            "weekly" => Some("week"),
            "monthly" => Some("month"),
            "yearly" | "annually" => Some("year"),
            "workday" | "workdays" | "businessday" | "business" => Some("weekday"),
            _ => single.or(short).or_else(|| known().find(|known| *known == text)),
        };
        let mut diagnostic = self.diagnostic(Code::E604, unit.span, format!("there is no `every {}`", unit.text));
        match text.as_str() {
            "morning" | "noon" | "midday" | "afternoon" | "evening" | "night" | "midnight" => {
                let at = match text.as_str() {
                    "morning" => "08:00",
                    "noon" | "midday" => "12:00",
                    "afternoon" => "15:00",
                    "evening" => "19:00",
                    "night" => "22:00",
                    _ => "00:00",
                };
                // Where the time stands behind it, it is the day that has to be said.
                let form = if has_time { "day".to_owned() } else { format!("day at {at}") };
                diagnostic = diagnostic.help("a time of day is a number").fix(format!("`{form}`"), unit.span, form, has_time);
            }
            "sunrise" | "sunset" => {
                diagnostic = diagnostic.help(format!("the sun gives the time of a day: `every day at {text}`")).fix(
                    format!("`day at {text}`"),
                    unit.span,
                    format!("day at {text}"),
                    true,
                );
            }
            "quarter" => {
                let help = "name the months: `every year on 1 january, 1 april, 1 july, 1 october at 09:00`";
                diagnostic = diagnostic.help(help);
            }
            _ => {
                diagnostic = diagnostic.help(
                    "behind `every` stands a time such as `5 minutes`, or `hour`, `day`, `weekday`, `weekend`, `monday`, `month`, `year`",
                );
                if let Some(found) = meant.or_else(|| nearest(&text, known())) {
                    diagnostic = diagnostic.fix(format!("`every {found}`"), unit.span, found, true);
                }
            }
        }
        self.report(diagnostic);
    }

    fn units_do_not_add_up(&mut self, one: &Ident, other: &Ident) {
        let diagnostic = self
            .diagnostic(Code::E604, other.span, format!("`{}` and `{}` are no days of one schedule", one.text, other.text))
            .help("days of the week can stand beside each other, `every monday, thursday at 09:00`; other schedules are flows of their own");
        self.report(diagnostic);
    }

    fn nothing_behind(&mut self, unit: &Ident, on: &[OnDay], at: &[AtTime]) -> Option<()> {
        let span = on.first().map(|day| day.span).or_else(|| at.first().map(times::span_of));
        let Some(span) = span else { return Some(()) };
        let diagnostic = self
            .diagnostic(Code::E604, span, format!("`every {}` has no day and no time", unit.text))
            .label(format!("the flow starts each {} anyway", unit.text))
            .help("say `every day at 09:00`, or leave out what stands behind");
        self.report(diagnostic);
        None
    }

    fn no_day_behind(&mut self, unit: &Ident, on: &[OnDay]) -> Option<()> {
        let Some(day) = on.first() else { return Some(()) };
        let diagnostic = self
            .diagnostic(Code::E604, day.span, format!("`every {}` is on each day", unit.text))
            .label("a day makes no sense here")
            .help("which days is said behind `every`: `every monday at 09:00`, `every month on 1 at 09:00`");
        self.report(diagnostic);
        None
    }

    fn zone_of_an_interval(&mut self, every: &Every, zone: Span) {
        let behind = match &every.kind {
            EveryKind::Interval(length) => length.span.after(),
            EveryKind::Calendar { units, .. } => units.last().map_or(zone, |unit| unit.span.after()),
            EveryKind::Cron(text) => text.span.after(),
        };
        let diagnostic = self
            .diagnostic(Code::E604, zone, "an interval has no time zone")
            .label("minutes and hours are as long everywhere")
            .help("for a time on the clocks there: `every day at 09:00 in …`")
            .fix("leave it out", Span { start: behind.start, end: zone.end }, "", true);
        self.report(diagnostic);
    }

    /// The zone of a schedule that needs one; says where it can be named.
    fn schedule_zone(&mut self, every: &Every, rule: &Rule) -> Option<String> {
        if let Some(zone) = &self.clock_zone {
            return Some(zone.clone());
        }
        if let Some(zone) = &self.settings.timezone {
            self.frozen.timezone.set(true);
            return Some(zone.clone());
        }
        let why = match rule {
            Rule::Interval(_) => "days and weeks are counted by the calendar of a place",
            Rule::Cron(_) => "cron rules go by the clocks of a place",
            Rule::Calendar { times, .. } if times.iter().any(|time| matches!(time, plan::DayTime::Clock { .. })) => {
                "it is this time at another instant in each zone"
            }
            Rule::Calendar { .. } | Rule::Hourly { .. } => "a day begins at another instant in each zone",
        };
        let diagnostic = self
            .diagnostic(Code::E603, every.span, "in which time zone?")
            .label(why)
            .help("`timezone = \"Europe/Paris\"` (yours) at the top of flow.toml is for the whole project; or name it here")
            .fix("`in \"Europe/Paris\"` (yours)", every.span.after(), " in \"Europe/Paris\"", false);
        self.report(diagnostic);
        None
    }

    /// Where the sun is looked at; `Some(None)` where a rule needs it not.
    fn location_of(&mut self, every: &Every, rule: &Rule) -> Option<Option<(String, String)>> {
        let Rule::Calendar { times, .. } = rule else { return Some(None) };
        if !times.iter().any(|time| matches!(time, plan::DayTime::Sun { .. })) {
            return Some(None);
        }
        if let Some((north, east)) = self.settings.location {
            self.frozen.location.set(true);
            return Some(Some((north.to_string(), east.to_string())));
        }
        let EveryKind::Calendar { at, .. } = &every.kind else { return None };
        let sun = at.iter().find(|time| matches!(time, AtTime::Sun { .. })).map_or(every.span, times::span_of);
        let diagnostic = self
            .diagnostic(Code::E606, sun, "sunrise and sunset of which place?")
            .label("the sun sets at another time in each place, and the zone does not tell which one")
            .help("write latitude and longitude (yours) at the top of flow.toml, north and east positive: `location = [48.86, 2.35]`");
        self.report(diagnostic);
        None
    }

    /// A rule whose day never comes is not one.
    fn comes_at_all(&mut self, every: &Every, schedule: &Schedule) -> bool {
        if matches!(schedule.rule, Rule::Interval(_)) {
            return true;
        }
        // Any instant will do: what comes at all comes within some years.
        let from = jiff::Timestamp::constant(1_767_225_600, 0);
        if flow_schedule::next(schedule, from, from).is_some() {
            return true;
        }
        let by_sun = schedule.location.is_some();
        let diagnostic = self
            .diagnostic(Code::E604, every.span, "this never comes")
            .label(if by_sun { "the sun neither rises nor sets there on such a day" } else { "there is no such day" })
            .help(if by_sun { "give a time by the clock, `12:00`" } else { "choose a day that exists" });
        self.report(diagnostic);
        false
    }
}

fn is_unit(word: &str) -> bool {
    UNITS.contains(&word) || WEEKDAYS.contains(&word)
}

/// The rule for what was missed where nothing is said.
fn default_missed(rule: &Rule) -> Missed {
    match rule {
        Rule::Interval(_) => Missed::Skip,
        Rule::Cron(_) | Rule::Calendar { .. } | Rule::Hourly { .. } => Missed::Latest { within: plan::Span::exact(3_600_000) },
    }
}

/// `monday`, `thursday`: the days of a rule, as they are written.
fn units_text(units: &[Ident]) -> String {
    units.iter().map(|unit| unit.text.as_str()).collect::<Vec<_>>().join(", ")
}

/// Days that are all days of the week; `None` where one is not.
fn all_weekdays(units: &[Ident]) -> Option<Vec<u8>> {
    let mut found = Vec::new();
    for unit in units {
        found.extend(days::named(&unit.text)?);
    }
    found.sort_unstable();
    found.dedup();
    Some(found)
}

/// Says what a clause takes.
fn choices(words: &[&str]) -> String {
    listed(words, "or")
}

/// The days of a rule that means each day.
fn each_day() -> Vec<Days> {
    vec![Days::Every]
}

/// The zone in which a clause of a schedule counts.
fn zone_of(zone: Option<&str>) -> InZone<'_> {
    zone.map_or(InZone::Project, InZone::Written)
}
