//! What putting other flows live begins and ends beside the flows themselves: polls, registrations, states that are read,
//! pauses. Said before it happens; what makes it happen is [`crate::service::Service::swap`].

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use crate::engine::Engine;
use crate::live::Live;
use crate::{poll, register};
use flow_functions::rfc3339;
use flow_plan::StartKind;

/// Returns what begins, ends and changes with a swap from one to the other. `registers`: webhooks are registered with
/// services.
pub(crate) fn consequences(engine: &Engine, before: &Live, after: &Live, registers: bool) -> Json {
    json!({
        "connections": connections(before, after),
        "polls": polls(engine, before, after),
        "webhooks": if registers { webhooks(before, after) } else { Vec::new() },
        "states": states(before, after),
        "paused": paused(engine, before, after),
    })
}

/// What is of one and not of the other, by its key, with what is said of each.
fn differences<K: Ord + Clone, V: PartialEq>(
    before: &BTreeMap<K, V>,
    after: &BTreeMap<K, V>,
    mut say: impl FnMut(&K, Option<&V>, Option<&V>) -> Json,
) -> Vec<Json> {
    let keys: BTreeSet<&K> = before.keys().chain(after.keys()).collect();
    let differing = keys.into_iter().filter(|key| before.get(key) != after.get(key));
    differing.map(|key| say(key, before.get(key), after.get(key))).collect()
}

fn word<V>(before: Option<&V>, after: Option<&V>) -> &'static str {
    match (before, after) {
        (None, _) => "begins",
        (Some(_), None) => "ends",
        (Some(_), Some(_)) => "changes",
    }
}

fn connections(before: &Live, after: &Live) -> Vec<Json> {
    let of = |live: &Live| -> BTreeMap<String, String> {
        live.connections.iter().map(|(name, connection)| (name.clone(), connection.plan.connector.clone())).collect()
    };
    differences(
        &of(before),
        &of(after),
        |name, old, new| json!({ "connection": name, "connector": new.or(old), "change": word(old, new) }),
    )
}

/// Types that one has and the other has not.
fn types(of: Option<&BTreeSet<String>>, without: Option<&BTreeSet<String>>) -> Vec<String> {
    let has = |name: &String| without.is_some_and(|other| other.contains(name));
    of.into_iter().flatten().filter(|name| !has(name)).cloned().collect()
}

fn polls(engine: &Engine, before: &Live, after: &Live) -> Vec<Json> {
    let now = engine.now();
    differences(&poll::polled(before, now), &poll::polled(after, now), |(connection, source), old, new| {
        let known = engine.cursor(connection, source);
        let note = match (old, new) {
            (None, Some(_)) => match known.and_then(|cursor| cursor.polled_at) {
                Some(at) => format!("goes on behind what was read until {}", rfc3339(at)),
                None => "reads what happens from then on; nothing older becomes an event".to_owned(),
            },
            (Some(_), None) => "how far it has read is kept".to_owned(),
            _ => String::new(),
        };
        json!({
            "connection": connection,
            "source": source,
            "change": word(old, new),
            "types_added": types(new.map(|new| &new.0), old.map(|old| &old.0)),
            "types_removed": types(old.map(|old| &old.0), new.map(|new| &new.0)),
            "every_ms": new.map(|(_, every)| u64::try_from(every.as_millis()).unwrap_or(u64::MAX)),
            "note": note,
        })
    })
}

fn webhooks(before: &Live, after: &Live) -> Vec<Json> {
    differences(&register::wanted(before), &register::wanted(after), |(connection, source), old, new| {
        let note = match (old, new) {
            (Some(_), None) => {
                "is removed from the service in ten minutes, unless a flow uses it again; until then what it delivers starts nothing"
            }
            (None, _) => "is registered with the service",
            (Some(_), Some(_)) => "is given its other events at the service, or registered anew where it cannot be changed",
        };
        json!({
            "connection": connection,
            "source": source,
            "change": word(old, new),
            "types_added": types(new, old),
            "types_removed": types(old, new),
            "note": note,
        })
    })
}

fn states(before: &Live, after: &Live) -> Vec<Json> {
    let of = |live: &Live| -> BTreeMap<String, ()> {
        let used = live.flows.iter().flat_map(|flow| &flow.triggers);
        used.filter_map(|used| match &used.kind {
            StartKind::State(rule) => Some((format!("{}.{}", used.connection, rule.state), ())),
            StartKind::Event | StartKind::Schedule(_) | StartKind::Absence(_) => None,
        })
        .collect()
    };
    differences(&of(before), &of(after), |state, old, new| json!({ "state": state, "change": word(old, new) }))
}

/// Flows that are paused as soon as they come, and those whose pause is kept although they go.
fn paused(engine: &Engine, before: &Live, after: &Live) -> Vec<Json> {
    let ids = |live: &Live| -> BTreeSet<String> { live.flows.iter().map(|flow| flow.id.clone()).collect() };
    let (old, new) = (ids(before), ids(after));
    let note = |id: &String| {
        let since = engine.paused_since(id)?;
        let note = match (old.contains(id), new.contains(id)) {
            (false, true) => "it is paused as soon as it is there: it was when it went",
            (true, false) => "it is paused, and will be when a flow of this name comes back",
            _ => return None,
        };
        Some(json!({ "flow": id, "since": rfc3339(since), "note": note }))
    };
    old.union(&new).filter_map(note).collect()
}
