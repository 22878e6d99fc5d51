//! The clock on the wall: stretches of time between two changes, and what a rule over clock times means at the changes.
//!
//! Within a stretch the clock runs evenly, so that the question "when does it next show one of these times" is one of the
//! calendar alone. All that is special about changes is said once, at the border of two stretches.

use flow_plan::ClockChange;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use crate::Zone;

/// What a rule does at changes of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Manner {
    /// Times that do not exist run at the first instant behind the gap.
    pub(crate) gap: bool,
    /// Times that come twice run the first time.
    pub(crate) first: bool,
    /// Times that come twice run the second time.
    pub(crate) second: bool,
}

impl Manner {
    /// Returns what the clause says. `follows` is a rule that goes with the clock, such as each full hour: what the clock
    /// does not show is not run, and what it shows twice is run twice.
    pub(crate) fn of(change: ClockChange, follows: bool) -> Self {
        match change {
            ClockChange::Natural if follows => Self { gap: false, first: true, second: true },
            ClockChange::Natural | ClockChange::Once => Self { gap: true, first: true, second: false },
            ClockChange::Skip => Self { gap: false, first: false, second: false },
            ClockChange::Twice => Self { gap: true, first: true, second: true },
        }
    }
}

/// A change of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shift {
    /// When.
    pub(crate) at: Timestamp,
    pub(crate) old: Offset,
    pub(crate) new: Offset,
}

impl Shift {
    /// What the clock would show at the change without it.
    pub(crate) fn from(&self) -> DateTime {
        self.old.to_datetime(self.at)
    }

    /// What it shows instead.
    pub(crate) fn to(&self) -> DateTime {
        self.new.to_datetime(self.at)
    }
}

/// Returns the first change strictly behind an instant.
pub(crate) fn shift_after(zone: &Zone, at: Timestamp) -> Option<Shift> {
    zone.following(at).map(|transition| shift(zone, transition.timestamp(), transition.offset())).find(moves)
}

/// Returns the last change that is not behind an instant.
pub(crate) fn shift_until(zone: &Zone, at: Timestamp) -> Option<Shift> {
    let just_behind = at.checked_add(jiff::SignedDuration::from_nanos(1)).unwrap_or(at);
    zone.preceding(just_behind).map(|transition| shift(zone, transition.timestamp(), transition.offset())).find(moves)
}

fn shift(zone: &Zone, at: Timestamp, new: Offset) -> Shift {
    let just_before = at.checked_sub(jiff::SignedDuration::from_nanos(1)).unwrap_or(at);
    Shift { at, old: zone.to_offset(just_before), new }
}

/// A zone also notes changes of a name alone.
fn moves(shift: &Shift) -> bool {
    shift.old != shift.new
}

/// Returns the first instant strictly behind `after` at which a clock rule runs. `find` gives the first clock time of the
/// rule that is not before the given one; `None` where there is none for decades.
pub(crate) fn next_on_clock(
    zone: &Zone,
    manner: Manner,
    after: Timestamp,
    find: impl Fn(DateTime) -> Option<DateTime>,
) -> Option<Timestamp> {
    let mut begin = shift_until(zone, after);
    let mut from = after.checked_add(jiff::SignedDuration::from_nanos(1)).ok()?;
    let mut reached = after;
    let mut offset = zone.to_offset(after);
    let horizon = find(offset.to_datetime(after))?;
    // A rule that has a time has it in each stretch of a few decades: beyond the first one found, a hundred years are a
    // bound for rules whose only times fall into gaps that they skip.
    let last_year = horizon.year().saturating_add(100);
    loop {
        let end = shift_after(zone, reached);
        let mut low = offset.to_datetime(from);
        if let Some(begin) = begin
            && !manner.second
            && begin.to() < begin.from()
        {
            low = low.max(begin.from());
        }
        // The stretch reaches to the change; what comes a second time behind it is left to that where the first is not run.
        let high = end.as_ref().map(|end| if end.to() < end.from() && !manner.first { end.to() } else { end.from() });
        if let Some(found) = find(low)
            && high.is_none_or(|high| found < high)
        {
            return offset.to_timestamp(found).ok();
        }
        let end = end?;
        if manner.gap && end.to() > end.from() && find(end.from()).is_some_and(|lost| lost < end.to()) {
            return Some(end.at);
        }
        (reached, from) = (end.at, end.at);
        offset = end.new;
        begin = Some(end);
        if offset.to_datetime(from).year() > last_year {
            return None;
        }
        // Without a time for decades there is none; and years without one need not be walked through change by change.
        let found = find(offset.to_datetime(from))?;
        if let Some(near) =
            offset.to_timestamp(found).ok().and_then(|near| near.checked_sub(jiff::SignedDuration::from_hours(72)).ok())
            && near > from
        {
            begin = shift_until(zone, near);
            (reached, from) = (near, near);
            offset = zone.to_offset(near);
        }
    }
}

/// Returns the instants at which the clock shows a time: the first behind a gap, the first of two.
pub(crate) fn first_showing(zone: &Zone, time: DateTime) -> Option<Timestamp> {
    use jiff::tz::AmbiguousOffset;
    match zone.to_ambiguous_timestamp(time).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(time).ok(),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(time).ok(),
        AmbiguousOffset::Gap { after, .. } => shift_after(zone, after.to_timestamp(time).ok()?).map(|shift| shift.at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn a_time_in_a_gap_is_shown_behind_it() {
        for (name, time, at) in [
            ("America/New_York", date(2026, 3, 8).at(2, 30, 0, 0), "2026-03-08T07:00:00Z"),
            ("Europe/Paris", date(2026, 3, 29).at(2, 0, 0, 0), "2026-03-29T01:00:00Z"),
            ("Australia/Lord_Howe", date(2026, 10, 4).at(2, 15, 0, 0), "2026-10-03T15:30:00Z"),
            ("Pacific/Apia", date(2011, 12, 30).at(9, 0, 0, 0), "2011-12-30T10:00:00Z"),
            ("Europe/Paris", date(2026, 10, 25).at(2, 30, 0, 0), "2026-10-25T00:30:00Z"),
            ("Asia/Tokyo", date(2026, 10, 25).at(2, 30, 0, 0), "2026-10-24T17:30:00Z"),
        ] {
            let zone = crate::zone(name).unwrap();
            assert_eq!(first_showing(&zone, time).unwrap().to_string(), at, "{name} {time}");
        }
    }
}
