//! How often what is polled with a key is read, and how often it could be.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::engine::QuotaState;
use crate::live::LiveConnection;

/// What is read of a connection again and again: each request once, with its interval.
pub(super) type Readings = BTreeMap<String, Duration>;

/// Returns what is read of a connection whose live flows draw on these sources and states.
pub(super) fn readings<'n>(
    connection: &LiveConnection,
    sources: impl Iterator<Item = &'n str>,
    states: impl Iterator<Item = &'n str>,
) -> Readings {
    let mut readings = Readings::new();
    let plan = &connection.plan;
    // States that one query tells, and a poll that asks it whether anything is new, share its reading.
    let asked = |query: &str, args: &[flow_plan::Expr]| format!("{query} {args:?}");
    let polls = sources.filter_map(|name| plan.sources.iter().find(|source| source.name == *name)).filter_map(|source| {
        let poll = source.poll.as_ref()?;
        let name = match &poll.when_changes {
            Some(when) => asked(&when.query.name, &when.args),
            None => format!("source {}", source.name),
        };
        Some((name, poll.every_ms))
    });
    let states = states.filter_map(|name| plan.states.iter().find(|state| state.name == *name));
    let states = states.map(|state| (asked(&state.query.name, &state.args), state.every_ms));
    for (name, every_ms) in polls.chain(states) {
        let every = connection.poll_every.unwrap_or(Duration::from_millis(every_ms));
        readings.entry(name).and_modify(|known| *known = every.min(*known)).or_insert(every);
    }
    readings
}

/// What polls may use of a quota, how often they come, and how often they could. `all` is how many readings the key has, over all
/// of its connections.
pub(super) fn shown(quota: &QuotaState, own: &Readings, all: usize) -> Json {
    let left = quota.watched.saturating_sub(quota.used);
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let count = u64::try_from(all).unwrap_or(u64::MAX);
    // Between two readings of the same, where all of them share `calls` in `time`.
    let safe = |time: Duration, calls: u64| (calls > 0).then(|| millis(time).saturating_mul(count).div_ceil(calls));
    let every = own.values().min().copied();
    let slowed = quota.gap.map(|gap| millis(gap).saturating_mul(count));
    let (until_reset, whole) = quota.left_of;
    json!({
        "may_use": quota.watched,
        "left": left,
        "readings": all,
        "set_every_ms": every.map(millis),
        // What is not made any more has no interval.
        "every_ms": every.map(|every| millis(every).max(slowed.unwrap_or_default())).filter(|_| left > 0),
        "fastest_safe_ms": every.and_then(|_| safe(until_reset, left)),
        "whole_month_ms": every.and_then(|_| safe(whole, quota.watched)),
    })
}
