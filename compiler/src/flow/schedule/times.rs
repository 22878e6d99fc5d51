//! The times of a schedule: `at 08:45, 13:00`, `at sunset - 15 minutes`.

use flow_grammar::span::Span;
use flow_grammar::syntax::{AtTime, DurationLit, Every, Ident, OnDay};
use flow_plan::DayTime;

use super::super::check::Checker;
use super::units_text;
use crate::code::Code;
use crate::suggest::nearest;

/// The most that a time can lie before or behind sunrise or sunset.
const MOST_OFFSET_MS: i64 = 12 * 3_600_000;

/// Where a time stands.
pub(super) fn span_of(time: &AtTime) -> Span {
    match time {
        AtTime::Clock(time) => time.span,
        AtTime::Sun { span, .. } => *span,
    }
}

impl<'a> Checker<'a> {
    /// The times of a rule; a day without a time says too little.
    pub(super) fn day_times(&mut self, every: &Every, units: &[Ident], on: &[OnDay], at: &[AtTime]) -> Option<Vec<DayTime>> {
        if at.is_empty() {
            let last = units.last()?.span;
            let end = on.last().map_or(last, |entry| entry.span);
            let on_text = match (on.first(), on.last()) {
                (Some(first), Some(last)) => format!(" on {}", first.span.to(last.span).text(self.frame.source)),
                _ => String::new(),
            };
            let said = format!("every {}{on_text}", units_text(units));
            let diagnostic = self
                .diagnostic(Code::E604, Span { start: every.span.start, end: end.end }, format!("`{said}`: at what time?"))
                .label("a day alone does not say when")
                .help("the time stands behind `at`; several are separated by commas")
                .fix(format!("`{said} at 09:00`"), end.after(), " at 09:00", false);
            self.report(diagnostic);
            return None;
        }
        let mut times: Vec<DayTime> = Vec::new();
        let mut sound = true;
        for time in at {
            let Some(value) = self.day_time(time) else {
                sound = false;
                continue;
            };
            if times.contains(&value) {
                let text = span_of(time).text(self.frame.source).to_owned();
                let diagnostic = self.diagnostic(Code::E205, span_of(time), format!("`{text}` is given twice"));
                self.report(diagnostic);
                sound = false;
            }
            times.push(value);
        }
        // In another order the rule is the same.
        times.sort_by_key(|time| match *time {
            DayTime::Clock { hour, minute, second } => (0, i64::from(hour), i64::from(minute), i64::from(second)),
            DayTime::Sun { rise, offset_ms } => (1, i64::from(!rise), offset_ms, 0),
        });
        sound.then_some(times)
    }

    fn day_time(&mut self, time: &AtTime) -> Option<DayTime> {
        match time {
            AtTime::Clock(time) => {
                self.clock(time)?;
                Some(DayTime::Clock { hour: time.hour, minute: time.minute, second: time.second })
            }
            AtTime::Sun { span, event, offset } => {
                let rise = match event.text.as_str() {
                    "sunrise" => true,
                    "sunset" => false,
                    _ => {
                        self.no_sun_event(event);
                        return None;
                    }
                };
                let offset_ms = match offset {
                    Some((later, length)) => {
                        let millis = self.sun_offset(*span, length)?;
                        if *later { millis } else { -millis }
                    }
                    None => 0,
                };
                Some(DayTime::Sun { rise, offset_ms })
            }
        }
    }

    fn sun_offset(&mut self, span: Span, length: &DurationLit) -> Option<i64> {
        let value = self.duration_value(length)?;
        if value.months == 0 && value.days == 0 && (1..=MOST_OFFSET_MS).contains(&value.millis) {
            return Some(value.millis);
        }
        let diagnostic = self
            .diagnostic(Code::E604, length.span, "this is another day")
            .label("the sun has gone round by then")
            .also(span, "counted from here")
            .help("up to 12 hours before or behind sunrise or sunset, for example `sunset - 15 minutes`");
        self.report(diagnostic);
        None
    }

    fn no_sun_event(&mut self, event: &Ident) {
        let meant = match event.text.as_str() {
            "noon" | "midday" => Some("12:00"),
            "midnight" => Some("00:00"),
            "dawn" | "sun_rise" => Some("sunrise"),
            "dusk" | "nightfall" | "sundown" | "sun_set" => Some("sunset"),
            _ => nearest(&event.text, ["sunrise", "sunset"]),
        };
        let mut diagnostic = self
            .diagnostic(Code::E604, event.span, format!("`{}` is no time of day", event.text))
            .help("a time of day is `09:00`, `sunrise` or `sunset`, these with `+` or `-` a duration");
        if let Some(meant) = meant {
            diagnostic = diagnostic.fix(format!("`{meant}`"), event.span, meant, matches!(meant, "12:00" | "00:00"));
        }
        self.report(diagnostic);
    }

    /// The minutes of `every hour at 00:15, 00:45`; the full hour where there are none.
    pub(super) fn minutes(&mut self, at: &[AtTime]) -> Option<Vec<u8>> {
        let mut minutes = Vec::new();
        for time in at {
            match time {
                AtTime::Clock(time) if time.hour == 0 && time.second == 0 => {
                    self.clock(time)?;
                    minutes.push(time.minute);
                }
                AtTime::Clock(_) | AtTime::Sun { .. } => {
                    let text = span_of(time).text(self.frame.source).to_owned();
                    let mut diagnostic = self
                        .diagnostic(Code::E604, span_of(time), format!("`every hour` and `at {text}`: which of them?"))
                        .label("this comes once a day")
                        .help("minutes past each hour are `every hour at 00:15`; once a day is `every day at …`");
                    if let AtTime::Clock(time) = time {
                        let fixed = format!("00:{:02}", time.minute);
                        diagnostic = diagnostic.fix(format!("`{fixed}`, in each hour"), time.span, fixed, false);
                    }
                    self.report(diagnostic);
                    return None;
                }
            }
        }
        if minutes.is_empty() {
            minutes.push(0);
        }
        minutes.sort_unstable();
        minutes.dedup();
        Some(minutes)
    }
}
