//! `3 times within 1 hour per K`.

use flow_plan::Window;
use flow_schedule::before;
use jiff::Timestamp;

use super::tally::{Tally, instant};

/// Counts an event, and tells whether it completes the number. Then the count begins anew.
///
/// What counts is when the events happened, by the service's own time, so that a poll that finds three at once does not
/// take them for three within a moment; but never later than the time of receipt. One that comes out of order is put in
/// its place.
pub(crate) fn counts(tally: &mut Tally, window: &Window, happened: Timestamp, now: Timestamp) -> bool {
    let now = tally.steady(now);
    tally.at.push(happened.as_millisecond());
    // Of a future that was none, before the clock was corrected.
    tally.at.iter_mut().for_each(|at| *at = (*at).min(now));
    tally.at.sort_unstable();
    let newest = tally.at.last().copied().unwrap_or(now);
    let from = before(instant(newest), &window.within).as_millisecond();
    tally.at.retain(|at| *at >= from);
    let enough = usize::try_from(window.count.max(1)).unwrap_or(usize::MAX);
    if tally.at.len() < enough {
        return false;
    }
    tally.at.clear();
    true
}

impl Tally {
    /// Returns how many events count at the moment.
    pub(crate) fn counted(&self) -> usize {
        self.at.len()
    }
}

#[cfg(test)]
mod tests {
    use flow_plan::Span;

    use super::*;

    fn at(minutes: i64) -> Timestamp {
        instant(1_800_000_000_000 + minutes * 60_000)
    }

    fn three() -> Window {
        Window { count: 3, within: Span::exact(3_600_000), per: Vec::new() }
    }

    #[test]
    fn the_third_within_the_time_completes_it_and_the_count_begins_anew() {
        let mut tally = Tally::default();
        let minutes = [0, 30, 61, 91, 92, 93, 94];
        let found = minutes.map(|minute| counts(&mut tally, &three(), at(minute), at(minute)));
        assert_eq!(found, [false, false, false, false, true, false, false]);
        assert_eq!(tally.counted(), 2);
    }

    #[test]
    fn what_happened_counts_when_it_happened() {
        let mut tally = Tally::default();
        // Found by one poll, hours later, and not in order.
        assert!(!counts(&mut tally, &three(), at(180), at(300)));
        assert!(!counts(&mut tally, &three(), at(0), at(300)), "three hours before");
        assert!(!counts(&mut tally, &three(), at(170), at(300)));
        assert!(counts(&mut tally, &three(), at(150), at(300)));
        // A time that has not come yet is that of receipt.
        assert!(!counts(&mut tally, &three(), at(9_000_000), at(301)));
        assert!(!counts(&mut tally, &three(), at(302), at(302)));
        assert!(counts(&mut tally, &three(), at(303), at(303)));
    }
}
