//! How fast requests may come.

use jiff::Timestamp;

/// How many requests a service allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rate {
    /// As many as the real one.
    #[default]
    Usual,
    /// Any number, in a month as well.
    Unlimited,
    /// So many in the time by which the service counts (Stripe: a second, Kustomer: a minute).
    Of(u32),
}

impl Rate {
    /// Returns the number, where there is one.
    pub(crate) fn or(self, usual: u32) -> Option<u32> {
        match self {
            Rate::Usual => Some(usual),
            Rate::Unlimited => None,
            Rate::Of(number) => Some(number),
        }
    }
}

/// A bucket: so many requests at once, and one more whenever the time for it has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowed {
    pub(crate) at_once: u32,
    /// In microseconds.
    one_more_after: i64,
}

impl Allowed {
    /// So many in each second, and as many at once. They are let in a twentieth faster: what was sent within a second arrives
    /// a little sooner or later.
    pub(crate) const fn per_second(number: u32) -> Allowed {
        let number = if number == 0 { 1 } else { number };
        Allowed { at_once: number, one_more_after: 950_000 / number as i64 }
    }

    /// So many at once, and one more after each pause of so many milliseconds.
    pub(crate) const fn burst(at_once: u32, pause_ms: i64) -> Allowed {
        Allowed { at_once, one_more_after: pause_ms * 1_000 }
    }
}

/// How full a bucket is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bucket {
    /// When it is empty again, in microseconds since 1970.
    empty_at: i64,
}

impl Bucket {
    /// Takes a request in; `false` where there is no room for it.
    pub(crate) fn take(&mut self, allowed: Allowed, now: Timestamp) -> bool {
        let now = now.as_microsecond();
        let full = allowed.one_more_after.saturating_mul(i64::from(allowed.at_once));
        // A clock that went back makes nobody wait longer than a full bucket does.
        let from = self.empty_at.clamp(now, now.saturating_add(full));
        let after = from.saturating_add(allowed.one_more_after);
        let fits = after <= now.saturating_add(full);
        self.empty_at = if fits { after } else { from };
        fits
    }
}

/// Requests of one stretch of time, which begins anew at its end.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Window {
    begun: i64,
    pub(crate) count: u32,
}

impl Window {
    /// Counts a request in the stretch of so many seconds that `now` is in, and returns how many there are.
    pub(crate) fn count(&mut self, seconds: i64, now: Timestamp) -> u32 {
        let begun = now.as_second().div_euclid(seconds);
        if self.begun != begun {
            *self = Window { begun, count: 0 };
        }
        self.count = self.count.saturating_add(1);
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + ms).unwrap()
    }

    #[test]
    fn a_bucket_takes_its_number_at_once_and_one_after_the_other_behind_it() {
        let mut bucket = Bucket::default();
        let allowed = Allowed::per_second(25);
        let taken = |bucket: &mut Bucket, ms: i64| (0..400).filter(|_| bucket.take(allowed, at(ms))).count();
        assert_eq!(taken(&mut bucket, 0), 25);
        assert_eq!(taken(&mut bucket, 37), 0);
        assert_eq!(taken(&mut bucket, 38), 1);
        assert_eq!(taken(&mut bucket, 988), 25);
        // Nothing is saved up beyond a full bucket, and a clock that goes back locks nobody out.
        assert_eq!(taken(&mut bucket, 60_000), 25);
        assert_eq!(taken(&mut bucket, 950), 0);
        assert_eq!(taken(&mut bucket, 1_900), 25);
        let (mut slow, allowed) = (Bucket::default(), Allowed::burst(60, 5_000));
        assert_eq!((0..100).filter(|_| slow.take(allowed, at(0))).count(), 60);
        assert!(!slow.take(allowed, at(4_999)) && slow.take(allowed, at(5_000)));
    }

    #[test]
    fn a_window_begins_anew() {
        let mut window = Window::default();
        let base = at(0).as_second().rem_euclid(60) * 1_000;
        assert_eq!(window.count(60, at(-base)), 1);
        assert_eq!(window.count(60, at(59_999 - base)), 2);
        assert_eq!(window.count(60, at(60_000 - base)), 1);
    }
}
