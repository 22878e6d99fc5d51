//! What people see of it.

use std::collections::BTreeMap;

use flow_plan::{Gaps, Value};
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::sync::tally;
use super::{Clockwork, Item, absence, expect, fold};
use crate::engine::{Shared, expectation};
use crate::store::StoreError;
use flow_functions::rfc3339;

fn time(at: Option<Timestamp>) -> Json {
    at.map_or(Json::Null, |at| Json::String(rfc3339(at)))
}

/// A flow that does not start as often as it should.
#[derive(Debug)]
pub(crate) struct Silence {
    pub(crate) flow: String,
    /// When it was first and last noticed.
    pub(crate) since: Timestamp,
    pub(crate) last: Timestamp,
    /// How many periods there were.
    pub(crate) periods: u64,
    pub(crate) reason: String,
}

/// Returns the flows that did not start as often as they should, and have not done so since.
pub(crate) fn silences(shared: &Shared, now: Timestamp) -> Result<Vec<Silence>, StoreError> {
    let waits: Vec<_> = {
        let inner = shared.clockwork.inner();
        let expected = inner.entries.iter().filter_map(|(key, entry)| match &entry.item {
            Item::Expect(rule) => Some((key.owner.clone(), rule.clone(), entry.row.read::<expect::Row>().ok()?.silent?)),
            Item::Schedule(_) | Item::Absence { .. } | Item::State { .. } => None,
        });
        expected.collect()
    };
    let mut silences = Vec::new();
    for (flow, rule, silent) in waits {
        if !expect::is_well(&rule, &tally(shared, &flow)?, now) {
            let reason = expectation(&rule);
            silences.push(Silence { flow, since: silent.since, last: silent.last, periods: silent.periods, reason });
        }
    }
    silences.sort_by(|left, right| left.flow.cmp(&right.flow));
    Ok(silences)
}

impl Clockwork {
    /// Returns by what the clock starts each flow, and when: flow → one object for each.
    pub(crate) fn starts(&self) -> BTreeMap<String, Vec<Json>> {
        let inner = self.inner();
        let mut keys: Vec<_> = inner.entries.keys().collect();
        keys.sort();
        let mut starts: BTreeMap<String, Vec<Json>> = BTreeMap::new();
        for key in keys {
            let Some(entry) = inner.entries.get(key) else { continue };
            let next_at = time(entry.due);
            let shown = match &entry.item {
                Item::Schedule(_) => json!({ "kind": "schedule", "next_at": next_at }),
                Item::Absence { connection, rule } => {
                    let row = entry.row.read::<absence::Row>().ok();
                    json!({
                        "kind": "absence",
                        "awaited": format!("{connection}.{}", rule.awaited.name),
                        "seen_at": time(row.as_ref().and_then(|row| row.seen)),
                        "silent_since": time(row.as_ref().map(|row| row.since)),
                        "next_at": next_at,
                        "started": row.is_some_and(|row| row.fired),
                    })
                }
                Item::Expect(rule) => {
                    let row = entry.row.read::<expect::Row>().ok();
                    json!({ "kind": "expect", "count": rule.count, "watched_since": time(row.map(|row| row.begun)), "next_at": next_at })
                }
                Item::State { connection, rule, .. } => {
                    let row = entry.row.read::<fold::Row>().ok();
                    let stretch = row.and_then(|row| row.stretch);
                    let at = stretch.as_ref().filter(|stretch| !stretch.fired);
                    let at = at.and_then(|stretch| Some(flow_schedule::after(stretch.since, rule.lasting.as_ref()?)));
                    json!({
                        "kind": "state",
                        "state": format!("{connection}.{}", rule.state),
                        "since": time(stretch.as_ref().map(|stretch| stretch.since)),
                        "across_gaps": match rule.gaps { Gaps::Verify => "verify", Gaps::Assume => "assume", Gaps::Restart => "restart" },
                        "next_at": time(at),
                        "started": stretch.is_some_and(|stretch| stretch.fired),
                    })
                }
            };
            starts.entry(key.owner.clone()).or_default().push(shown);
        }
        starts
    }

    /// Returns what is known of each state that a live flow waits for: connection → one object for each.
    pub(crate) fn states(&self, now: Timestamp) -> BTreeMap<String, Vec<Json>> {
        let inner = self.inner();
        let mut states: BTreeMap<String, Vec<Json>> = BTreeMap::new();
        for ((connection, state), reader) in &inner.readers {
            let known = &reader.known;
            let age = known.observed.map(|at| now.duration_since(at).as_millis());
            states.entry(connection.clone()).or_default().push(json!({
                "state": state,
                "value": known.value.as_ref().map(Value::to_json),
                "since": time(known.since),
                "observed_at": time(known.observed),
                "age_ms": age.and_then(|age| i64::try_from(age).ok()),
                "available": known.value.is_some() && reader.trouble.is_none(),
                "next_at": time(Some(reader.next_read)),
                "error": reader.trouble.as_ref().map(|trouble| trouble.reason.clone()),
                "failing_since": time(reader.failing_since),
                "broken": reader.trouble.as_ref().is_some_and(|trouble| trouble.broken),
            }));
        }
        states
    }
}
