//! W602: a time of a schedule that the clock skips, or shows twice.

use flow_grammar::span::Span;
use flow_grammar::syntax::{AtTime, Every, EveryKind};
use flow_plan::Schedule;
use flow_schedule::Change;
use jiff::civil::{DateTime, Time};
use jiff::{SignedDuration, Timestamp};

use super::super::check::Checker;
use crate::code::Code;

/// How far ahead it is looked: both changes of a year, from anywhere in it.
const AHEAD: SignedDuration = SignedDuration::from_hours(24 * 400);

impl<'a> Checker<'a> {
    /// Warns where a time of the schedule does not exist on a coming day, or comes twice, and nothing says what then.
    pub(super) fn warn_of_changes(&mut self, every: &Every, schedule: &Schedule) {
        let Some(today) = self.settings.today else { return };
        // Each hour is each hour: what goes with the clock has nothing to be told of it.
        if flow_schedule::clock_change(schedule).is_none() {
            return;
        }
        let Ok(from) = today.to_zoned(jiff::tz::TimeZone::UTC).map(|day| day.timestamp()) else { return };
        let until = from.checked_add(AHEAD).unwrap_or(Timestamp::MAX);
        let changes = flow_schedule::changes(schedule, from, until);
        let lost = changes.iter().find(|change| !change.twice);
        let twice = changes.iter().find(|change| change.twice);
        let Some(first) = changes.first() else { return };
        let zone = schedule.zone.as_deref().unwrap_or("UTC");
        let told = if first.twice { twice } else { lost };
        let Some(told) = told else { return };
        let time = clock(told.time.time());
        let mut diagnostic = if told.twice {
            self.diagnostic(Code::W602, place(every, told), format!("{time} comes twice on {} in {zone}", day(told.time)))
        } else {
            self.diagnostic(Code::W602, place(every, told), format!("there is no {time} on {} in {zone}", day(told.time)))
        };
        diagnostic = diagnostic.label(what_happens(told));
        let other = if told.twice { lost } else { twice };
        let also = match other {
            Some(other) if other.twice => {
                format!("; on {} {} comes twice, and runs the first time", day(other.time), clock(other.time.time()))
            }
            Some(other) => format!(
                "; on {} there is no {}, and it runs at {}",
                day(other.time),
                clock(other.time.time()),
                clock(other.jump.1.time())
            ),
            None => String::new(),
        };
        let (low, high) = if told.twice { (told.jump.1, told.jump.0) } else { told.jump };
        diagnostic = diagnostic
            .help(format!("times outside of {} to {} are not touched{also}", clock(low.time()), clock(high.time())))
            .fix("`on clock change once`: so it is meant", every.span.after(), " on clock change once", true)
            .fix("`on clock change skip`: not at all on such a day", every.span.after(), " on clock change skip", false);
        self.report(diagnostic);
    }
}

fn what_happens(change: &Change) -> String {
    let (from, to) = (clock(change.jump.0.time()), clock(change.jump.1.time()));
    if change.twice {
        format!("the clock goes back from {from} to {to}: it runs the first time only")
    } else {
        format!("the clock jumps from {from} to {to}: it runs at {to}")
    }
}

/// The time as it stands in the source.
fn place(every: &Every, change: &Change) -> Span {
    let EveryKind::Calendar { at, .. } = &every.kind else { return every.span };
    let time = change.time.time();
    at.iter()
        .find_map(|at| match at {
            AtTime::Clock(lit) => {
                let same = i64::from(lit.hour) == i64::from(time.hour())
                    && i64::from(lit.minute) == i64::from(time.minute())
                    && i64::from(lit.second) == i64::from(time.second());
                same.then_some(lit.span)
            }
            AtTime::Sun { .. } => None,
        })
        .unwrap_or(every.span)
}

fn clock(time: Time) -> String {
    if time.second() == 0 { time.strftime("%H:%M").to_string() } else { time.strftime("%H:%M:%S").to_string() }
}

fn day(time: DateTime) -> String {
    time.date().strftime("%-d %B %Y").to_string()
}
