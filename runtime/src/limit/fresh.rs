//! `fresh within D`, and what can be said of the age of an event at all.

use flow_functions::rfc3339;
use flow_plan::Limits;
use jiff::{SignedDuration, Timestamp};

use crate::event::Via;
use crate::journal::EventHead;
use crate::retry::length;

/// Clocks that are kept right over the network differ by some hundredths of a second, and a time that is given in whole
/// seconds is rounded by half of one: together less than one second, and as much again for what nobody thought of. An instant
/// that lies further ahead was shown by another clock than the one at hand.
pub(crate) const TOLERANCE: SignedDuration = SignedDuration::from_secs(2);

/// Returns why an event is too old at `at`: by the service's own time, by the time that its sender signed, or by the time of
/// receipt. A time that lies in the future says nothing.
pub(crate) fn too_old(limits: &Limits, event: &EventHead, at: Timestamp) -> Option<String> {
    let bound = limits.fresh_ms?;
    let age = |since: Timestamp| u64::try_from(at.as_millisecond().saturating_sub(since.as_millisecond())).unwrap_or(0);
    let age = event.times().map(age).max().unwrap_or(0);
    (age > bound).then(|| format!("the event is too old: {}, where `fresh within {}` is asked for", length(age), length(bound)))
}

/// As [`too_old`], and where nobody can say how old the event is: it was received before the clock was set back. What is
/// computed from a journal alone does not ask this, since runs of earlier versions went on.
pub(crate) fn not_fresh(limits: &Limits, event: &EventHead, at: Timestamp) -> Option<String> {
    limits.fresh_ms?;
    too_old(limits, event, at).or_else(|| {
        let set_back = is_ahead(event.received_at, at);
        set_back.then(|| "the clock was set back since the event was received: nobody can say how old it is".to_owned())
    })
}

/// Returns why nobody can say how old an event is, for whom that has to be known: one of its times lies ahead of the clock,
/// or it was found by a poll and has none.
pub(crate) fn of_unknown_age(event: &EventHead, at: Timestamp) -> Option<String> {
    if event.via == Via::Poll && event.occurred_at.is_none() {
        return Some("the event was found by a poll and has no time: nobody can say how old it is".to_owned());
    }
    let ahead = event.times().find(|time| is_ahead(*time, at))?;
    Some(format!("the event is of {}, and the clock shows {}: nobody can say how old it is", rfc3339(ahead), rfc3339(at)))
}

/// Tells whether an instant lies further ahead of the clock than clocks differ.
pub(crate) fn is_ahead(instant: Timestamp, clock: Timestamp) -> bool {
    instant.duration_since(clock) > TOLERANCE
}

impl EventHead {
    /// Returns what is known of when it happened: it is at least as old as the earliest of these says.
    fn times(&self) -> impl Iterator<Item = Timestamp> {
        [Some(self.received_at), self.occurred_at, self.signed_at].into_iter().flatten()
    }
}
