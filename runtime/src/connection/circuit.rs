//! The circuit breaker: a connection that does not answer, or does not accept its credentials, is asked once in a while.
//!
//! Closed it lets all through and counts failures in a row; open nothing passes until it is time for one probe (half
//! open), whose answer closes it or opens it for longer.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Cause, earlier, later};

/// After so many failures in a row nothing but probes is sent.
pub(crate) const FAILURES: u32 = 5;
/// A connection that does not answer is tried after this, then after twice as long, and so on.
const FIRST_SILENCE: Duration = Duration::from_secs(1);
/// It is tried at least so often.
const LAST_SILENCE: Duration = Duration::from_secs(60);
/// The same of one whose credentials do not work.
const FIRST_BROKEN: Duration = Duration::from_secs(30);
const LAST_BROKEN: Duration = Duration::from_secs(15 * 60);

/// Whether a connection answers.
#[derive(Debug, Default)]
pub(crate) struct Circuit {
    failures: u32,
    open: Option<Open>,
}

/// Why nothing but probes is sent, and when the next one is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Open {
    /// [`Cause::Broken`] or [`Cause::Silent`].
    pub(crate) cause: Cause,
    pub(crate) since: Timestamp,
    pub(crate) error: String,
    pub(crate) next_probe: Timestamp,
    delay_ms: u64,
    /// One is under way.
    #[serde(skip)]
    pub(crate) probing: bool,
}

impl Open {
    fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms)
    }
}

fn bounds(cause: Cause) -> (Duration, Duration) {
    match cause {
        Cause::Broken => (FIRST_BROKEN, LAST_BROKEN),
        Cause::Silent | Cause::Spent | Cause::Paused => (FIRST_SILENCE, LAST_SILENCE),
    }
}

fn opened(cause: Cause, since: Timestamp, error: &str, next_probe: Timestamp, delay: Duration) -> Open {
    let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
    Open { cause, since, error: error.to_owned(), next_probe, delay_ms, probing: false }
}

impl Circuit {
    pub(crate) fn open(&self) -> Option<&Open> {
        self.open.as_ref()
    }

    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// Takes over how it was before this start. Broken credentials may have been mended meanwhile.
    pub(crate) fn recall(&mut self, open: Open, now: Timestamp) {
        let next_probe = match open.cause {
            Cause::Broken => now,
            Cause::Silent | Cause::Spent | Cause::Paused => open.next_probe,
        };
        self.failures = FAILURES;
        self.open = Some(Open { next_probe, probing: false, ..open });
        self.steady(now);
    }

    /// A clock that went back: no probe is further away than the longest pause.
    pub(crate) fn steady(&mut self, now: Timestamp) {
        if let Some(open) = &mut self.open {
            open.next_probe = open.next_probe.min(later(now, bounds(open.cause).1));
        }
    }

    /// The clock was set back by so much: the next probe is as far away as it was.
    pub(crate) fn set_back(&mut self, by: SignedDuration, now: Timestamp) {
        if let Some(open) = &mut self.open {
            open.next_probe = earlier(open.next_probe, by);
        }
        self.steady(now);
    }

    /// Tells whether a probe may be sent now.
    pub(crate) fn may_probe(&self, now: Timestamp) -> bool {
        self.open.as_ref().is_some_and(|open| open.next_probe <= now && !open.probing)
    }

    /// A request is about to be sent; returns whether it is a probe.
    pub(crate) fn sends(&mut self) -> bool {
        let Some(open) = &mut self.open else { return false };
        open.probing = true;
        true
    }

    /// The service answered. Returns why it was open until now.
    pub(crate) fn works(&mut self) -> Option<Open> {
        self.failures = 0;
        self.open.take()
    }

    /// The service did not answer, `probe` or another request. Returns whether it is open only now.
    pub(crate) fn fails(&mut self, now: Timestamp, error: &str, probe: bool) -> bool {
        self.failures = self.failures.saturating_add(1);
        match &mut self.open {
            // What was sent before it opened says nothing new.
            Some(_) if !probe => false,
            Some(open) => {
                open.probing = false;
                open.next_probe = later(now, open.delay());
                if open.cause == Cause::Silent {
                    error.clone_into(&mut open.error);
                    let delay = open.delay().saturating_mul(2).min(LAST_SILENCE);
                    open.next_probe = later(now, delay);
                    open.delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
                }
                false
            }
            None if self.failures >= FAILURES => {
                self.open = Some(opened(Cause::Silent, now, error, later(now, FIRST_SILENCE), FIRST_SILENCE));
                true
            }
            None => false,
        }
    }

    /// The credentials do not work. Returns whether that is new.
    pub(crate) fn breaks(&mut self, now: Timestamp, error: &str) -> bool {
        let known = self.open.take().filter(|open| open.cause == Cause::Broken);
        let delay = known.as_ref().map_or(FIRST_BROKEN, |open| open.delay().saturating_mul(2).min(LAST_BROKEN));
        let since = known.as_ref().map_or(now, |open| open.since);
        self.open = Some(opened(Cause::Broken, since, error, later(now, delay), delay));
        known.is_none()
    }

    /// A run waits since before this start for its connection: whether that works has to be tried.
    pub(crate) fn was_broken(&mut self, now: Timestamp, error: &str) {
        if self.open.is_none() {
            self.open = Some(opened(Cause::Broken, now, error, now, FIRST_BROKEN));
        }
    }

    /// Lets it be tried now.
    pub(crate) fn probe_at(&mut self, now: Timestamp) {
        if let Some(open) = &mut self.open {
            open.next_probe = now;
            open.delay_ms = u64::try_from(bounds(open.cause).0.as_millis()).unwrap_or(u64::MAX);
        }
    }

    /// What would have tried it was not sent.
    pub(crate) fn came_to_nothing(&mut self, now: Timestamp) {
        if let Some(open) = self.open.as_mut().filter(|open| open.probing) {
            open.probing = false;
            open.next_probe = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn silent() -> Circuit {
        let mut circuit = Circuit::default();
        for failure in 1..=FAILURES {
            assert_eq!(circuit.fails(at(0), "timed out", false), failure == FAILURES);
        }
        circuit
    }

    #[test]
    fn failures_in_a_row_open_it_and_each_failed_probe_keeps_it_open_for_longer() {
        let mut circuit = Circuit::default();
        for _ in 0..3 {
            (1..FAILURES).for_each(|_| assert!(!circuit.fails(at(0), "timed out", false)));
            assert!(circuit.works().is_none(), "not in a row");
        }
        let mut circuit = silent();
        assert!(!circuit.may_probe(at(0)));
        let (mut now, mut pauses) = (at(0), Vec::new());
        for _ in 0..8 {
            let next = circuit.open().unwrap().next_probe;
            pauses.push(next.as_second() - now.as_second());
            now = next;
            assert!(circuit.may_probe(now));
            assert!(circuit.sends());
            assert!(!circuit.may_probe(now), "one at a time");
            circuit.fails(now, "timed out", true);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(circuit.works().map(|open| open.since), Some(at(0)));
        assert!(circuit.open().is_none() && circuit.failures() == 0);
    }

    #[test]
    fn what_was_sent_before_it_opened_does_not_keep_it_open() {
        let mut circuit = silent();
        circuit.sends();
        (0..20).for_each(|_| assert!(!circuit.fails(at(0), "timed out", false)));
        assert_eq!(circuit.open().unwrap().next_probe, at(1));
        assert!(circuit.open().unwrap().probing);
    }

    #[test]
    fn it_is_as_it_was_after_a_restart_whatever_the_clock_did() {
        let open = silent().open().unwrap().clone();
        let mut again = Circuit::default();
        again.recall(open.clone(), at(-7200));
        assert_eq!(again.open().unwrap().next_probe, at(-7200 + 60));
        again.recall(open, at(0));
        assert_eq!(again.open().unwrap().next_probe, at(1));
        again.breaks(at(0), "401");
        let broken = again.open().unwrap().clone();
        again.recall(broken, at(5));
        assert!(again.may_probe(at(5)), "its key may have been changed");
    }
}
