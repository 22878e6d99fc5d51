//! Lengths of time in clauses and waits, with the zone in which their days and months count.

use flow_grammar::syntax::{self, DurationLit, TextLit};
use flow_plan as plan;
use flow_plan::CalendarUnit;

use super::check::Checker;
use crate::code::Code;

/// Which zone the days and months of a place count in.
#[derive(Debug, Clone, Copy)]
pub(super) enum InZone<'n> {
    /// That of the project.
    Project,
    /// That which was written; checked already.
    Written(&'n str),
}

impl<'a> Checker<'a> {
    /// Returns the length of a duration with its zone, reporting a zone that is missing or a length of nothing.
    pub(super) fn span(&mut self, duration: &DurationLit, zone: InZone<'_>) -> Option<plan::Span> {
        let length = self.duration_value(duration)?;
        if length.approximate_millis() <= 0 {
            let diagnostic = self
                .diagnostic(Code::E111, duration.span, "this is no time at all")
                .label("nothing can happen within it")
                .help("a duration is longer than nothing: `5 minutes`");
            self.report(diagnostic);
            return None;
        }
        if length.months == 0 && length.days == 0 {
            return Some(plan::Span { length, zone: None });
        }
        let zone = self.zone_for(duration.span, zone, "days, weeks and months are counted by the calendar of a place")?;
        Some(plan::Span { length, zone: Some(zone) })
    }

    /// Returns the time of a rate: `per minute` slides, `per day` is a day of the calendar. Of the calendar are only the
    /// words: `per 24 hours` slides, and so does `per 7 days`, as seven times 24 hours: a day of the calendar that slides
    /// would be longer and shorter from one event to the next.
    pub(super) fn rate(&mut self, rate: &syntax::Rate, zone: InZone<'_>) -> Option<plan::Rate> {
        let unit = match rate {
            syntax::Rate::Duration(duration) => {
                let length = self.duration_value(duration)?;
                let millis = u64::try_from(length.approximate_millis()).ok().filter(|millis| *millis > 0);
                if millis.is_none() {
                    let diagnostic = self
                        .diagnostic(Code::E111, duration.span, "this is no time at all")
                        .help("a rate is over a time: `per minute`, `per 24 hours`");
                    self.report(diagnostic);
                }
                return millis.map(plan::Rate::Sliding);
            }
            syntax::Rate::Unit(unit) => unit,
        };
        let calendar = match unit.text.as_str() {
            "second" => return Some(plan::Rate::Sliding(1_000)),
            "minute" => return Some(plan::Rate::Sliding(60_000)),
            "hour" => return Some(plan::Rate::Sliding(3_600_000)),
            "day" => CalendarUnit::Day,
            "week" => CalendarUnit::Week,
            "month" => CalendarUnit::Month,
            "year" => CalendarUnit::Year,
            _ => {
                let mut diagnostic = self.diagnostic(Code::E111, unit.span, format!("`{}` is no unit of time", unit.text)).help(
                    "a rate is `per minute`, `per hour`, `per day`, `per week`, `per month`, or over a duration: `per 24 hours`",
                );
                let units = ["second", "minute", "hour", "day", "week", "month", "year"];
                if let Some(found) = crate::suggest::nearest(&unit.text, units) {
                    diagnostic = diagnostic.fix(format!("`{found}`"), unit.span, found, true);
                }
                self.report(diagnostic);
                return None;
            }
        };
        let zone = self.zone_for(
            unit.span,
            zone,
            &format!("a {} begins at midnight, and that is at another time in each place", unit.text),
        )?;
        Some(plan::Rate::Calendar { unit: calendar, zone })
    }

    /// Returns the name of the zone that counts, or tells that there is none.
    pub(super) fn zone_for(&mut self, at: flow_grammar::span::Span, zone: InZone<'_>, why: &str) -> Option<String> {
        let found = match zone {
            InZone::Project => {
                self.frozen.timezone.set(true);
                self.settings.timezone.clone()
            }
            InZone::Written(name) => Some(name.to_owned()),
        };
        if found.is_none() {
            let diagnostic = self
                .diagnostic(Code::E603, at, "in which time zone?")
                .label(why)
                .help("set `timezone = \"Europe/Paris\"` (yours) at the top of flow.toml, for the whole project");
            self.report(diagnostic);
        }
        found
    }

    /// Returns the name of the zone of the flow: that which its schedule names, or that of the project.
    pub(super) fn zone_here(&mut self, at: flow_grammar::span::Span, why: &str) -> Option<String> {
        match self.clock_zone.clone() {
            Some(zone) => Some(zone),
            None => self.zone_for(at, InZone::Project, why),
        }
    }

    /// Returns the zone that a text names, reporting one that does not exist.
    pub(super) fn zone_of(&mut self, text: &TextLit) -> Option<String> {
        let Some(name) = text.plain() else {
            let diagnostic = self
                .diagnostic(Code::E601, text.span, "a time zone must be a plain text")
                .label("it is known before any event")
                .help("write its name: `in \"Europe/Paris\"`");
            self.report(diagnostic);
            return None;
        };
        if flow_schedule::zone(&name).is_some() {
            return Some(name);
        }
        let diagnostic = crate::zone::unknown(self.file, text.span, &name);
        self.report(diagnostic);
        None
    }
}
