//! What begins at once and comes again at an interval takes turns, and keeps them, since each comes after its own interval: a
//! thousand polls a minute are some at any second, for us and for whoever is asked.

use std::time::Duration;

/// Turns are no further apart, so that the last of few begins soon.
const APART: Duration = Duration::from_millis(100);

/// Returns how long the one at a place among so many waits before it begins.
pub(crate) fn turn(place: usize, of: usize, every: Duration) -> Duration {
    let (place, of) = (u32::try_from(place).unwrap_or(u32::MAX), u32::try_from(of).unwrap_or(u32::MAX));
    (every / of.max(1)).min(APART).saturating_mul(place)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::turn;

    #[test]
    fn many_are_spread_over_the_interval_and_few_begin_soon() {
        let minute = Duration::from_secs(60);
        assert_eq!(turn(0, 1, minute), Duration::ZERO);
        assert_eq!(turn(2, 3, minute), Duration::from_millis(200));
        assert_eq!(turn(0, 1000, minute), Duration::ZERO);
        assert_eq!(turn(500, 1000, minute), Duration::from_secs(30));
        assert_eq!(turn(999, 1000, minute), Duration::from_millis(59_940));
        assert_eq!(turn(3, 4, Duration::from_millis(100)), Duration::from_millis(75));
    }
}
