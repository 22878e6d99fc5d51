//! W705 and E705: polls against the number of calls that a key has, over all flows and connections.

use std::collections::{BTreeMap, BTreeSet};

use flow_plan as plan;
use flow_plan::Quota;

use super::summary::Listens;
use super::{FlowAt, Problem, Rules};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::settings::ConnectionSettings;

const MINUTE: u64 = 60_000;
const DAY: u64 = 86_400_000;
const MONTH: u64 = flow_plan::QUOTA_MONTH_MS;

/// What one poll costs.
#[derive(Debug)]
pub(super) struct Cost<'r> {
    connection: &'r plan::Connection,
    /// The interval in milliseconds.
    every_ms: u64,
    /// Requests of one poll, at least.
    requests: u64,
    /// A flow that needs it.
    flow: FlowAt,
}

/// Connections that share a number of calls.
struct Shared<'r> {
    quota: Quota,
    costs: Vec<Cost<'r>>,
}

pub(super) fn check(rules: &Rules<'_>) -> Vec<Problem> {
    let mut shared: BTreeMap<(String, String), Shared<'_>> = BTreeMap::new();
    for cost in poll_costs(rules) {
        let settings = settings(rules, &cost.connection.name);
        let Some(quota) = cost.connection.quota() else { continue };
        let key = match quota.shared_by.as_ref().and_then(|secret| settings?.secrets.get(secret)) {
            Some(reference) => (cost.connection.connector.clone(), format!("key {reference}")),
            None => (cost.connection.connector.clone(), format!("connection {}", cost.connection.name)),
        };
        let group = shared.entry(key).or_insert_with(|| Shared { quota: quota.clone(), costs: Vec::new() });
        // The plan of a key is one: where two connections say different things, the smaller is safe.
        if quota.is_below(&group.quota) {
            group.quota = quota;
        }
        group.costs.push(cost);
    }
    let problem = |group: &Shared<'_>| {
        let files = group.costs.iter().map(|cost| rules.name(cost.flow)).collect();
        Some(Problem { diagnostic: report(rules, group)?, files })
    };
    shared.values().filter_map(problem).collect()
}

/// What the live flows make the daemon poll: each source and each state of a connection once, however many flows use it.
pub(super) fn poll_costs<'r>(rules: &Rules<'r>) -> Vec<Cost<'r>> {
    if rules.connections.values().all(|connection| connection.quota().is_none()) {
        return Vec::new();
    }
    let mut seen: BTreeSet<(&str, &Listens)> = BTreeSet::new();
    let mut costs = Vec::new();
    for (at, summary) in rules.flows() {
        for (name, listens) in &summary.listens {
            let Some(connection) = rules.connections.get(name) else { continue };
            if !seen.insert((name, listens)) {
                continue;
            }
            let settings = settings(rules, name);
            if settings.is_some_and(|settings| settings.never_polls) {
                continue;
            }
            let (every_ms, requests) = match listens {
                Listens::Source(source) => {
                    let Some(poll) =
                        connection.sources.iter().find(|known| known.name == *source).and_then(|known| known.poll.as_ref())
                    else {
                        continue;
                    };
                    (poll.every_ms, 1)
                }
                Listens::State(state) => {
                    let Some(state) = connection.states.iter().find(|known| known.name == *state) else { continue };
                    (state.every_ms, 1)
                }
            };
            let every_ms = settings.and_then(|settings| settings.poll_ms).unwrap_or(every_ms).max(1);
            costs.push(Cost { connection, every_ms, requests, flow: at });
        }
    }
    costs
}

fn settings<'r>(rules: &Rules<'r>, connection: &str) -> Option<&'r ConnectionSettings> {
    rules.settings.connections.as_ref()?.get(connection)
}

fn report(rules: &Rules<'_>, group: &Shared<'_>) -> Option<Diagnostic> {
    let quota = &group.quota;
    let per_quota = |cost: &Cost<'_>| quota.per_ms / cost.every_ms * cost.requests;
    let total: u64 = group.costs.iter().map(per_quota).sum();
    let count = u64::from(quota.count);
    let code = if total > count {
        Code::E705
    } else if total * 5 > count * 4 {
        Code::W705
    } else {
        return None;
    };
    let (span_word, first) = (time(quota.per_ms), group.costs.first()?);
    let message = match code {
        Code::E705 => format!("polling would take {} calls {span_word}, and there are {}", grouped(total), grouped(count)),
        _ => format!("polling would take {} of the {} calls {span_word}", grouped(total), grouped(count)),
    };
    let names: BTreeSet<&str> = group.costs.iter().map(|cost| cost.connection.name.as_str()).collect();
    let lines: Vec<String> = group
        .costs
        .iter()
        .map(|cost| {
            let polls = grouped(quota.per_ms / cost.every_ms);
            let times = if cost.requests > 1 { format!(" × {} requests", cost.requests) } else { String::new() };
            format!("`{}` every {}: {polls}{times}", cost.connection.name, interval(cost.every_ms))
        })
        .collect();
    let sum = if group.costs.len() > 1 { format!("; together {}", grouped(total)) } else { String::new() };
    let share = if names.len() > 1 { " They share one key, and so its calls." } else { "" };
    // As slow as it has to be, so that a fifth is left for what flows do.
    let requests: u64 = group.costs.iter().map(|cost| cost.requests).sum();
    let needed = (quota.per_ms.saturating_mul(requests).saturating_mul(5)).div_ceil((count * 4).max(1));
    let slower = round_up(needed);
    let left = if total > count { "none would be left" } else { "too few would be left" };
    let (file, span) = match (&rules.settings.file, settings(rules, &first.connection.name)) {
        (Some(file), Some(settings)) => (file.clone(), settings.span),
        _ => (rules.file(first.flow)?.clone(), rules.flow(first.flow)?.when),
    };
    let diagnostic = Diagnostic::new(code, &file, span, message)
        .label(format!("{left} for what flows do"))
        .help(format!("in {}, {}{sum}.{share}", length(quota.per_ms), lines.join(", ")))
        .advise(match names.len() {
            1 => format!("`poll = \"{}\"` for this connection in flow.toml", length(slower)),
            _ => format!("`poll = \"{}\"` for each of these connections in flow.toml", length(slower)),
        });
    Some(diagnostic)
}

/// `a month`.
fn time(per_ms: u64) -> String {
    match per_ms {
        MINUTE => "a minute".to_owned(),
        3_600_000 => "an hour".to_owned(),
        DAY => "a day".to_owned(),
        604_800_000 => "a week".to_owned(),
        MONTH => "a month".to_owned(),
        other => format!("in {}", length(other)),
    }
}

/// The next interval that people would write.
fn round_up(millis: u64) -> u64 {
    let unit = match millis {
        ..60_000 => 1000,
        60_000..3_600_000 => MINUTE,
        3_600_000..86_400_000 => 30 * MINUTE,
        _ => DAY,
    };
    millis.div_ceil(unit).max(1) * unit
}

/// `90 minutes`, `1 hour 30 minutes`: exact to the second.
fn length(millis: u64) -> String {
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

/// `minute`, `90 minutes`: what stands behind `every`.
fn interval(millis: u64) -> String {
    let text = length(millis);
    text.strip_prefix("1 ").filter(|unit| !unit.contains(' ')).map_or_else(|| text.clone(), ToOwned::to_owned)
}

/// A number as people read it: 10,000.
fn grouped(number: u64) -> String {
    crate::flow::thousands(number)
}
