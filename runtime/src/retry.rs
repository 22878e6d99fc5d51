//! When a failed attempt is tried again.
//!
//! Plain data and arithmetic: nothing here sleeps, reads a clock or draws a random number.

use flow_plan::{Effect, Retry};

/// How long an unlucky call is tried: a day.
pub const DEFAULT_BOUND_MS: u64 = 24 * 3_600_000;
/// The first delay.
const FIRST_MS: u64 = 1_000;
/// The longest delay.
const LONGEST_MS: u64 = 15 * 60_000;
/// No delay is shorter, whatever the jitter.
const SHORTEST_MS: u64 = 100;

/// How often and how long a call is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Attempts after the first; `None` is any number within the bound.
    retries: Option<u32>,
    /// The time over which a given number of attempts is spread.
    spread_ms: Option<u64>,
    /// No attempt begins later than so long after the first.
    pub bound_ms: u64,
    /// The pauses between attempts, where the connector says them.
    pauses_ms: Vec<u64>,
}

/// How much longer than it says a pause of a connector is at most: a tenth.
const PAUSE_JITTER: u64 = 10;

impl Policy {
    /// Returns the policy of a call: its own `retry`, else the pauses of its operation, else a day, and never past the
    /// service's memory of keys.
    pub fn of(retry: Option<&Retry>, effect: &Effect, pauses_ms: &[u64]) -> Self {
        let pauses_ms = if retry.is_none() { pauses_ms.to_vec() } else { Vec::new() };
        let default = match pauses_ms.iter().sum::<u64>() {
            0 => DEFAULT_BOUND_MS,
            whole => whole + whole / PAUSE_JITTER + DEFAULT_BOUND_MS / 24,
        };
        let bound_ms = retry.and_then(|retry| retry.over_ms).unwrap_or(default);
        Self {
            pauses_ms,
            retries: retry.map(|retry| retry.times),
            spread_ms: retry.and_then(|retry| retry.over_ms),
            bound_ms: key_bound_ms(effect).map_or(bound_ms, |keys| keys.min(bound_ms)),
        }
    }

    /// Returns the delay in milliseconds after the attempt number `attempt` (from 1) failed, `elapsed_ms` after the
    /// first began; `None` where it was the last. `jitter` is below a million.
    ///
    /// What the service asked for is kept where it lies within the bound; where it does not there is no next attempt.
    pub fn delay_after(&self, attempt: u32, elapsed_ms: u64, retry_after_ms: Option<u64>, jitter: u32) -> Option<u64> {
        let left = self.bound_ms.checked_sub(elapsed_ms).filter(|left| *left > 0)?;
        if self.retries.is_some_and(|retries| attempt > retries) {
            return None;
        }
        let planned = self.pauses_ms.get(attempt.saturating_sub(1) as usize).copied();
        if planned.is_none() && !self.pauses_ms.is_empty() {
            return None;
        }
        let delay = match (self.retries, self.spread_ms) {
            _ if let Some(pause) = planned => pause + scaled(pause / PAUSE_JITTER, jitter),
            // Between three quarters of the planned delay and the whole of it, so that all attempts fit.
            (Some(retries), Some(spread)) => {
                let planned = planned_delay(retries, spread, attempt);
                planned - planned / 4 + scaled(planned / 4, jitter)
            }
            _ => scaled(exponential(attempt), jitter).max(SHORTEST_MS),
        };
        match retry_after_ms {
            Some(wanted) if wanted > left => None,
            Some(wanted) => Some(delay.max(wanted).min(left)),
            None => Some(delay.min(left)),
        }
    }
}

/// Returns a length for people: its two largest units.
pub(crate) fn length(ms: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1_000, "second")];
    /// Some services have no idea what they ask for.
    const CENTURY_MS: u64 = 36_525 * 86_400_000;
    if ms >= CENTURY_MS {
        return "longer than a century".to_owned();
    }
    // Whole seconds.
    let mut left = ms.div_ceil(1_000) * 1_000;
    let mut words = Vec::new();
    for (unit, name) in UNITS {
        let count = left / unit;
        left %= unit;
        if count > 0 {
            words.push(format!("{count} {name}{}", if count == 1 { "" } else { "s" }));
        } else if !words.is_empty() {
            break;
        }
    }
    words.truncate(2);
    if words.is_empty() { "no time".to_owned() } else { words.join(" ") }
}

/// Returns how long after the first send a keyed call may be repeated: four fifths of the service's memory.
pub fn key_bound_ms(effect: &Effect) -> Option<u64> {
    match effect {
        Effect::Keyed { window_ms, .. } => Some(window_ms / 5 * 4),
        Effect::Read | Effect::Set | Effect::Findable { .. } | Effect::Once => None,
    }
}

/// Doubles from a second to a quarter of an hour.
fn exponential(attempt: u32) -> u64 {
    FIRST_MS.saturating_mul(1u64.checked_shl(attempt.saturating_sub(1).min(40)).unwrap_or(u64::MAX)).min(LONGEST_MS)
}

/// Delays that double and together fill the spread. Where that would begin below a second, they begin there and stop
/// doubling in time.
fn planned_delay(retries: u32, spread_ms: u64, attempt: u32) -> u64 {
    let doublings = (1u64 << retries.min(40)).saturating_sub(1).max(1);
    let first = (spread_ms / doublings).max(FIRST_MS).min(spread_ms / u64::from(retries.max(1)));
    let total = |longest: u64| -> u64 {
        (0..retries).map(|at| first.saturating_mul(1 << at.min(40)).min(longest)).fold(0, u64::saturating_add)
    };
    // The longest delay for which the sum still fits, by bisection.
    let (mut low, mut high) = (first, spread_ms.max(first));
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if total(middle) <= spread_ms { low = middle } else { high = middle - 1 }
    }
    first.saturating_mul(1 << attempt.saturating_sub(1).min(40)).min(low)
}

fn scaled(ms: u64, jitter: u32) -> u64 {
    let scaled = u128::from(ms) * u128::from(jitter.min(1_000_000)) / 1_000_000;
    u64::try_from(scaled).unwrap_or(ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(times: u32, over_ms: Option<u64>) -> Policy {
        Policy::of(Some(&Retry { times, over_ms }), &Effect::Set, &[])
    }

    #[test]
    fn a_given_number_is_spread_over_the_given_time() {
        for (times, over) in [(1, 60_000), (3, 3_600_000), (6, 7_200_000), (20, 72_000_000), (3, 10)] {
            let policy = policy(times, Some(over));
            let mut elapsed = 0;
            for attempt in 1..=times {
                elapsed += policy.delay_after(attempt, elapsed, None, 1_000_000).unwrap();
            }
            assert!(elapsed <= over && elapsed >= over / 2, "{times} over {over}: {elapsed}");
            assert_eq!(policy.delay_after(times + 1, elapsed, None, 0), None);
        }
    }

    #[test]
    fn the_default_ends_after_a_day_or_with_the_key() {
        let keyed = Effect::Keyed { header: "Idempotency-Key".to_owned(), window_ms: 86_400_000 };
        assert_eq!(Policy::of(None, &keyed, &[]).bound_ms, 69_120_000);
        let policy = Policy::of(None, &Effect::Once, &[]);
        assert_eq!(policy.delay_after(1, 0, None, 1_000_000), Some(1_000));
        assert_eq!(policy.delay_after(40, 0, None, 1_000_000), Some(900_000));
        assert_eq!(policy.delay_after(40, DEFAULT_BOUND_MS, None, 0), None);
        assert_eq!(policy.delay_after(40, DEFAULT_BOUND_MS - 5, None, 999_999), Some(5));
    }

    #[test]
    fn the_pauses_of_a_connector_are_kept_and_end() {
        let keyed = Effect::Keyed { header: "webhook-id".to_owned(), window_ms: 345_600_000 };
        let policy = Policy::of(None, &keyed, &[0, 5_000, 300_000]);
        assert_eq!(policy.delay_after(1, 0, None, 999_999), Some(0));
        assert_eq!(policy.delay_after(2, 10, None, 0), Some(5_000));
        assert_eq!(policy.delay_after(3, 6_000, None, 1_000_000), Some(330_000));
        assert_eq!(policy.delay_after(3, 6_000, Some(600_000), 0), Some(600_000), "who asks for more gets it");
        assert_eq!(policy.delay_after(4, 400_000, None, 0), None);
        let own = Policy::of(Some(&Retry { times: 1, over_ms: None }), &keyed, &[0, 5_000]);
        assert_eq!(own.delay_after(2, 0, None, 0), None, "the flow's own word goes before");
    }

    #[test]
    fn the_service_is_obeyed_within_the_bound() {
        let policy = policy(3, Some(60_000));
        assert!(policy.delay_after(1, 0, Some(30_000), 0).unwrap() >= 30_000);
        assert_eq!(policy.delay_after(1, 50_000, Some(30_000), 0), None);
    }
}
