//! `every 5 minutes`, `every 2 weeks`: counted from an anchor.

use flow_plan::{Duration, Span};
use jiff::Timestamp;

/// Returns the first instant strictly behind `after` that is a whole number of lengths, at least one, behind the anchor.
/// Days and months count in the zone, and from the anchor each time: a month behind 31 January is the last of February, two
/// are 31 March. `None` for a length of nothing, and at the end of time.
pub fn interval(length: Duration, zone: Option<&str>, anchor: Timestamp, after: Timestamp) -> Option<Timestamp> {
    let about = length.approximate_millis();
    if about <= 0 || length.months < 0 || length.days < 0 || length.millis < 0 {
        return None;
    }
    let passed = after.as_millisecond().saturating_sub(anchor.as_millisecond()).max(0);
    let whole = passed / about;
    if length.months == 0 && length.days == 0 {
        return at(length, zone, anchor, whole.saturating_add(1)).filter(|found| *found > after);
    }
    // A month is not 30 days long: what is estimated lies within a few in a hundred, and is put right step by step.
    let doubt = if length.months == 0 { 2 } else { whole / 20 + 2 };
    let mut count = whole.saturating_sub(doubt).max(1);
    loop {
        let found = at(length, zone, anchor, count)?;
        if found > after {
            return Some(found);
        }
        count = count.checked_add(1)?;
    }
}

fn at(length: Duration, zone: Option<&str>, anchor: Timestamp, count: i64) -> Option<Timestamp> {
    let small = i32::try_from(count).ok();
    let times = |number: i32| if number == 0 { Some(0) } else { number.checked_mul(small?) };
    let length = Duration { months: times(length.months)?, days: times(length.days)?, millis: length.millis.checked_mul(count)? };
    Some(crate::after(anchor, &Span { length, zone: zone.map(str::to_owned) })).filter(|found| *found < Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(length: Duration, zone: &str, anchor: &str, count: usize) -> Vec<String> {
        let anchor: Timestamp = anchor.parse().unwrap();
        let mut after = anchor;
        (0..count)
            .map(|_| {
                after = interval(length, Some(zone), anchor, after).unwrap();
                after.to_string()
            })
            .collect()
    }

    #[test]
    fn months_count_from_the_anchor() {
        let month = Duration { months: 1, ..Duration::default() };
        assert_eq!(
            series(month, "UTC", "2026-01-31T10:00:00Z", 3),
            ["2026-02-28T10:00:00Z", "2026-03-31T10:00:00Z", "2026-04-30T10:00:00Z"]
        );
    }

    #[test]
    fn days_keep_the_time_on_the_clock() {
        let day = Duration { days: 1, ..Duration::default() };
        assert_eq!(
            series(day, "Europe/Paris", "2026-03-27T11:00:00Z", 3),
            ["2026-03-28T11:00:00Z", "2026-03-29T10:00:00Z", "2026-03-30T10:00:00Z"]
        );
    }

    #[test]
    fn an_interval_is_found_at_once_however_long_ago_its_anchor_is() {
        let anchor: Timestamp = "1970-01-01T00:00:00Z".parse().unwrap();
        let after: Timestamp = "2026-01-01T00:00:01Z".parse().unwrap();
        let minutes = interval(Duration::from_millis(300_000), None, anchor, after).unwrap();
        assert_eq!(minutes.to_string(), "2026-01-01T00:05:00Z");
        let weeks = Duration { days: 14, ..Duration::default() };
        assert_eq!(interval(weeks, Some("UTC"), anchor, after).unwrap().to_string(), "2026-01-15T00:00:00Z");
        assert_eq!(interval(Duration::default(), None, anchor, after), None);
    }
}
