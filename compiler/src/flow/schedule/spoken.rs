//! A schedule that was put behind `when`: `when sunset`, `when time is 9:00`.

use flow_grammar::span::Span;
use flow_grammar::syntax::{ExprKind, Ident, Start, StatePattern};

use super::super::check::Checker;
use super::WEEKDAYS;
use crate::code::Code;

impl<'a> Checker<'a> {
    /// Reports a word behind `when` that means a time; `false` where it means none.
    pub(in crate::flow) fn is_a_time(&mut self, name: &Ident) -> bool {
        let Some(schedule) = named(&name.text) else { return false };
        self.starts_by_the_clock(name.span, &schedule);
        true
    }

    /// Reports `when time is 9:00`, `when now.weekday is monday`; `false` where the clock is not asked so.
    pub(in crate::flow) fn asks_the_clock(&mut self, pattern: &StatePattern) -> bool {
        let [first, ..] = pattern.path.as_slice() else { return false };
        if !matches!(
            first.text.as_str(),
            "it" | "time" | "clock" | "now" | "date" | "today" | "weekday" | "day" | "hour" | "sun" | "schedule"
        ) {
            return false;
        }
        let Some(value) = &pattern.value else { return false };
        let schedule = match value.kind.as_ref() {
            ExprKind::Time(time) => {
                let written = time.span.text(self.frame.source);
                Some(format!("day at {}{written}", if written.find(':') == Some(1) { "0" } else { "" }))
            }
            ExprKind::Name(word) => named(&word.text),
            ExprKind::Text(text) => text.plain().and_then(|word| named(&word)),
            _ => None,
        };
        match schedule {
            Some(schedule) => {
                self.starts_by_the_clock(pattern.span, &schedule);
                true
            }
            None => false,
        }
    }

    fn starts_by_the_clock(&mut self, span: Span, schedule: &str) {
        let mut diagnostic = self
            .diagnostic(Code::E201, span, "a flow that the clock starts begins with `every`")
            .label("no service has the time")
            .help(format!("write `every {schedule} do …`; a condition asks `where now.time in 08:00..18:00`"));
        if let Some(node) = self.node
            && let Start::When(when) = &node.start
            && when.alternatives.len() == 1
            && self.awaited.is_none()
        {
            diagnostic = diagnostic.fix(format!("`every {schedule}`"), when.span, format!("every {schedule}"), false);
        }
        self.report(diagnostic);
    }
}

/// What stands behind `every` for a word that means a time.
fn named(word: &str) -> Option<String> {
    let word = word.to_lowercase();
    let schedule = match word.as_str() {
        "hourly" => "hour",
        "daily" | "everyday" | "morning" => "day at 09:00",
        "nightly" | "night" => "day at 22:00",
        "evening" => "day at 18:00",
        "weekly" => "monday at 09:00",
        "monthly" => "month on 1 at 09:00",
        "sunrise" => "day at sunrise",
        "sunset" => "day at sunset",
        "noon" | "midday" => "day at 12:00",
        "midnight" => "day at 00:00",
        "weekday" | "weekdays" => "weekday at 09:00",
        other => {
            let day = other.strip_suffix('s').unwrap_or(other);
            return WEEKDAYS.contains(&day).then(|| format!("{day} at 09:00"));
        }
    };
    Some(schedule.to_owned())
}
