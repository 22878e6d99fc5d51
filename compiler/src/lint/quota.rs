//! W705 and E705: polls against the number of calls that a key has, over all flows and connections.

use std::collections::{BTreeMap, BTreeSet};

use flow_plan as plan;
use flow_plan::Quota;

use super::summary::Listens;
use super::{FlowAt, Problem, Rules};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::pace::{self, length, round_up, time};
use crate::settings::ConnectionSettings;

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
        let key = (cost.connection.connector.clone(), pace::key_of(&cost.connection.name, &quota, settings));
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

/// What the live flows make the daemon poll: each source and each state of a connection once, however many flows use it. States
/// that one query tells, and a poll that asks it whether anything is new, share its reading.
pub(super) fn poll_costs<'r>(rules: &Rules<'r>) -> Vec<Cost<'r>> {
    if rules.connections.values().all(|connection| connection.quota().is_none()) {
        return Vec::new();
    }
    let mut seen: BTreeSet<(&str, &Listens)> = BTreeSet::new();
    let mut costs: Vec<Cost<'r>> = Vec::new();
    let mut shared: BTreeMap<(&str, String), usize> = BTreeMap::new();
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
            let (every_ms, asked) = match listens {
                Listens::Source(source) => {
                    let Some(poll) =
                        connection.sources.iter().find(|known| known.name == *source).and_then(|known| known.poll.as_ref())
                    else {
                        continue;
                    };
                    (poll.every_ms, poll.when_changes.as_ref().map(|when| pace::asked(&when.query.name, &when.args)))
                }
                Listens::State(state) => {
                    let Some(state) = connection.states.iter().find(|known| known.name == *state) else { continue };
                    (state.every_ms, Some(pace::asked(&state.query.name, &state.args)))
                }
            };
            let every_ms = settings.and_then(|settings| settings.poll_ms).unwrap_or(every_ms).max(1);
            if let Some(asked) = asked {
                match shared.get(&(name.as_str(), asked.clone())).and_then(|known| costs.get_mut(*known)) {
                    Some(known) => {
                        known.every_ms = known.every_ms.min(every_ms);
                        continue;
                    }
                    None => drop(shared.insert((name, asked), costs.len())),
                }
            }
            costs.push(Cost { connection, every_ms, requests: 1, flow: at });
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
    let code = if total > count && !stands_in(rules, group) {
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

/// Whether all of it goes to an address of flow.toml on this machine. Whose calls those are, and how many there are, nobody
/// knows here.
fn stands_in(rules: &Rules<'_>, group: &Shared<'_>) -> bool {
    group.costs.iter().all(|cost| settings(rules, &cost.connection.name).is_some_and(|settings| settings.stands_in))
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
