//! `fresh within D`.

use flow_plan::Limits;
use jiff::Timestamp;

use crate::journal::EventHead;
use crate::retry::length;

/// Returns why an event is too old at `at`: by the service's own time, or by the time of receipt. A time that lies in the
/// future says nothing.
pub(crate) fn too_old(limits: &Limits, event: &EventHead, at: Timestamp) -> Option<String> {
    let bound = limits.fresh_ms?;
    let age = |since: Timestamp| u64::try_from(at.as_millisecond().saturating_sub(since.as_millisecond())).unwrap_or(0);
    let age = age(event.received_at).max(event.occurred_at.map_or(0, age));
    (age > bound).then(|| format!("the event is too old: {}, where `fresh within {}` is asked for", length(age), length(bound)))
}
