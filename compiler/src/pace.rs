//! How often something can be polled that keeps within the calls of its key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use flow_plan::{QUOTA_MONTH_MS, Quota, Source};

use crate::catalog::Connector;
use crate::settings::{ConnectionSettings, Settings};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// What the connections of one key have, and what it is used for.
struct Shared {
    quota: Quota,
    /// Calls of those whose interval flow.toml says.
    fixed: u64,
    /// Requests that are made at each interval of the others, over all of them.
    readings: u64,
    connections: Vec<String>,
}

/// Makes the intervals of `within quota` so long that polls take four fifths of the calls of their key at most, whatever flows
/// use: a device that is looked at now does not make another one slow down.
pub(crate) fn apply(connections: &mut BTreeMap<String, Arc<Connector>>, settings: &Settings) {
    let mut shared: BTreeMap<(String, String), Shared> = BTreeMap::new();
    for (name, connector) in connections.iter() {
        let readings = readings(connector);
        let own = settings.connections.as_ref().and_then(|all| all.get(name));
        let Some(quota) = quota_of(connector, own) else { continue };
        if readings == 0 || own.is_some_and(|own| own.never_polls) {
            continue;
        }
        let key = (connector.name.clone(), key_of(name, &quota, own));
        let fresh = || Shared { quota: quota.clone(), fixed: 0, readings: 0, connections: Vec::new() };
        let group = shared.entry(key).or_insert_with(fresh);
        if quota.is_below(&group.quota) {
            group.quota = quota.clone();
        }
        match own.and_then(|own| own.poll_ms) {
            Some(every) => group.fixed += quota.per_ms / every.max(1) * readings,
            None => {
                group.readings += readings;
                group.connections.push(name.clone());
            }
        }
    }
    // Connections that are polled alike share what is known of them.
    let mut made: BTreeMap<(String, u64), Arc<Connector>> = BTreeMap::new();
    for group in shared.into_values() {
        let left = (u64::from(group.quota.count) * 4 / 5).saturating_sub(group.fixed).max(1);
        let needed = round_up(group.quota.per_ms.saturating_mul(group.readings).div_ceil(left));
        for name in group.connections {
            let Some(connector) = connections.get_mut(&name) else { continue };
            let slower = made.entry((connector.name.clone(), needed)).or_insert_with(|| Arc::new(slowed(connector, needed)));
            *connector = Arc::clone(slower);
        }
    }
}

/// Returns the connector of a connection that flow.toml does not list: nothing is said of its polls there, and its key is its own.
pub(crate) fn alone(connector: &Arc<Connector>) -> Arc<Connector> {
    let mut only = BTreeMap::from([(connector.name.clone(), connector.clone())]);
    apply(&mut only, &Settings::default());
    only.into_values().next().unwrap_or_else(|| connector.clone())
}

/// How many calls a connection has.
pub(crate) fn quota_of(connector: &Connector, settings: Option<&ConnectionSettings>) -> Option<Quota> {
    let none = BTreeMap::new();
    Quota::of(connector.api.quota.as_ref(), settings.map_or(&none, |settings| &settings.values))
}

/// What tells the key of a connection from others.
pub(crate) fn key_of(connection: &str, quota: &Quota, settings: Option<&ConnectionSettings>) -> String {
    match quota.shared_by.as_ref().and_then(|secret| settings?.secrets.get(secret)) {
        Some(reference) => format!("key {reference}"),
        None => format!("connection {connection}"),
    }
}

/// How many requests are made at each interval that keeps within the quota: states and polls that ask the same share one.
fn readings(connector: &Connector) -> u64 {
    let polls = connector.sources.iter().filter_map(|source| Some((source, source.poll.as_ref()?)));
    let polls = polls.filter(|(_, poll)| poll.within_quota).map(|(source, poll)| match &poll.when_changes {
        Some(when) => asked(&when.query.name, &when.args),
        None => format!("source {}", source.name),
    });
    let states = connector.states.values().filter(|state| state.source.within_quota);
    let states = states.map(|state| asked(&state.source.query.name, &state.source.args));
    polls.chain(states).collect::<BTreeSet<_>>().len() as u64
}

/// What tells one reading from another.
pub(crate) fn asked(query: &str, args: &[flow_plan::Expr]) -> String {
    format!("{query} {args:?}")
}

fn slowed(connector: &Connector, needed: u64) -> Connector {
    let mut connector = connector.clone();
    let adapts = |source: &Arc<Source>| source.poll.as_ref().is_some_and(|poll| poll.within_quota);
    for source in connector.sources.iter_mut().filter(|source| adapts(source)) {
        if let Some(poll) = &mut Arc::make_mut(source).poll {
            poll.every_ms = poll.every_ms.max(needed);
        }
    }
    for state in connector.states.values_mut().filter(|state| state.source.within_quota) {
        let source = Arc::make_mut(&mut state.source);
        source.every_ms = source.every_ms.max(needed);
    }
    connector
}

/// `a month`.
pub(crate) fn time(per_ms: u64) -> String {
    match per_ms {
        MINUTE => "a minute".to_owned(),
        HOUR => "an hour".to_owned(),
        DAY => "a day".to_owned(),
        604_800_000 => "a week".to_owned(),
        QUOTA_MONTH_MS => "a month".to_owned(),
        other => format!("in {}", length(other)),
    }
}

/// The next interval that people would write.
pub(crate) fn round_up(millis: u64) -> u64 {
    let unit = match millis {
        ..MINUTE => 1000,
        MINUTE..HOUR => MINUTE,
        HOUR..DAY => 30 * MINUTE,
        _ => DAY,
    };
    millis.div_ceil(unit).max(1) * unit
}

/// `90 minutes`, `1 hour 30 minutes`: exact to the second.
pub(crate) fn length(millis: u64) -> String {
    let mut parts = Vec::new();
    let mut rest = millis / 1000;
    for (size, word) in [(86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")] {
        let number = rest / size;
        rest %= size;
        if number > 0 {
            parts.push(format!("{number} {word}{}", if number == 1 { "" } else { "s" }));
        }
    }
    if parts.is_empty() { format!("{millis} milliseconds") } else { parts.join(" ") }
}
