//! What the admin API shows of flows and connections.

use std::collections::BTreeMap;

use flow_plan::{Flow, Outline, TriggerUse};
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::{State, pace};
use crate::engine::{ConnectionState, OnVersion, OnVersions, PartState, QuotaState, RateState, TokenState};
use crate::live::{BrokenFile, Live, LiveConnection};
use crate::poll::PollStatus;
use crate::store::Alarm;
use flow_functions::rfc3339;

pub(super) fn status(state: &State) -> Json {
    let live = state.engine.live();
    let alarms = super::alarms::active(state).unwrap_or_else(|error| {
        tracing::warn!(%error, "alarms could not be read");
        Vec::new()
    });
    let paused = live.flows.iter().filter(|flow| state.engine.paused_since(&flow.id).is_some()).count();
    let (accepted, duplicates, refused) = state.counters.read();
    json!({
        "version": state.version,
        "started_at": rfc3339(state.started_at),
        "addresses": { "server": state.addresses.server, "admin": state.addresses.admin },
        "public_url": state.public_url,
        "flows": { "live": live.flows.len(), "paused": paused },
        "broken": broken(&live),
        "alarms": alarms.iter().map(|alarm| alarm.to_json()).collect::<Vec<_>>(),
        "connections": connections(state)["connections"],
        "webhooks": { "accepted": accepted, "duplicates": duplicates, "refused": refused },
        "engine": state.engine.stats(),
        "versions": old_versions(state, None),
    })
}

/// The versions that are not live any more and still have runs: of all flows, or of one.
fn old_versions(state: &State, of: Option<&str>) -> Json {
    let found = state.engine.on_versions().unwrap_or_else(|error| {
        tracing::warn!(%error, "the versions of runs cannot be read");
        OnVersions::default()
    });
    let old = found.versions.iter().filter(|version| !version.live && of.is_none_or(|of| of == version.flow));
    json!({ "old": old.map(OnVersion::to_json).collect::<Vec<_>>(), "complete": found.complete })
}

fn broken(live: &Live) -> Vec<Json> {
    let file = |file: &BrokenFile| json!({ "file": file.file, "message": file.message, "report": file.report });
    live.broken.iter().map(file).collect()
}

pub(super) fn flows(state: &State) -> Json {
    let live = state.engine.live();
    let mut clock = state.engine.clock_starts();
    let pauses = pauses(state);
    let flows: Vec<Json> =
        live.flows.iter().map(|flow| brief(state, flow, clock.remove(&flow.id), pauses.get(&flow.id))).collect();
    json!({ "flows": flows, "broken": broken(&live), "versions": old_versions(state, None) })
}

fn pauses(state: &State) -> BTreeMap<String, Alarm> {
    state.engine.pauses().unwrap_or_else(|error| {
        tracing::warn!(%error, "pauses could not be read");
        BTreeMap::new()
    })
}

/// `clock` is what starts the flow beside events.
fn brief(state: &State, flow: &Flow, clock: Option<Vec<Json>>, pause: Option<&Alarm>) -> Json {
    json!({
        "id": flow.id,
        "name": flow.name,
        "title": flow.title,
        "file": flow.file,
        "line": flow.line,
        "hash": flow.hash,
        "triggers": flow.triggers.iter().map(trigger).collect::<Vec<_>>(),
        "clock": clock.unwrap_or_default(),
        "paused_since": state.engine.paused_since(&flow.id).map(rfc3339),
        "pause": pause.map(|pause| json!({ "by": pause.by, "reason": pause.reason, "missed": pause.count })),
    })
}

fn trigger(trigger: &TriggerUse) -> String {
    format!("{}.{}", trigger.connection, trigger.name)
}

pub(super) fn flow(state: &State, id: &str) -> Option<Json> {
    let live = state.engine.live();
    let flow = live.flows.iter().find(|flow| flow.id == id)?;
    let mut json = brief(state, flow, state.engine.clock_starts().remove(id), pauses(state).get(id));
    let object = json.as_object_mut()?;
    object.insert("docs".to_owned(), json!(flow.docs));
    object.insert("versions".to_owned(), old_versions(state, Some(id)));
    object.insert("reads".to_owned(), flow.reads.iter().map(|field| field.name.clone()).collect());
    object.insert("steps".to_owned(), flow.outline.iter().map(step).collect());
    object.insert("calls".to_owned(), json!({ "min": flow.calls.0, "max": flow.calls.1 }));
    object.insert("sends".to_owned(), flow.sends.iter().map(|sends| json!({ "to": sends.to, "fields": sends.fields })).collect());
    Some(json)
}

fn step(outline: &Outline) -> Json {
    json!({
        "path": outline.path,
        "kind": outline.kind,
        "text": outline.text,
        "call": outline.call,
        "effect": outline.effect,
        "steps": outline.steps.iter().map(step).collect::<Vec<_>>(),
    })
}

pub(super) fn connections(state: &State) -> Json {
    let live = state.engine.live();
    let states = state.engine.connections();
    let polls = state.polls.status();
    let mut known = state.engine.states();
    let readings: BTreeMap<&String, pace::Readings> = live
        .connections
        .iter()
        .map(|(name, connection)| {
            let sources = polls.keys().filter(|(of, _)| of == name).map(|(_, source)| source.as_str());
            let states = known.get(name).into_iter().flatten().filter_map(|state| state["state"].as_str());
            (name, pace::readings(connection, sources, states))
        })
        .collect();
    let connections: Vec<Json> = live
        .connections
        .iter()
        .map(|(name, connection)| {
            let of_it: Vec<_> = polls.iter().filter(|((of, _), _)| of == name).collect();
            let engine = states.iter().find(|state| &state.name == name);
            let mut json = view(name, connection, engine, &of_it);
            if let (Some(quota), Some(own)) = (engine.and_then(|engine| engine.quota.as_ref()), readings.get(name)) {
                let others = quota.shared_with.iter().filter_map(|other| readings.get(other));
                let all = others.map(BTreeMap::len).sum::<usize>() + own.len();
                json["quota"]["polls"] = pace::shown(quota, own, all);
            }
            if let Some(object) = json.as_object_mut() {
                object.insert("states".to_owned(), Json::Array(known.remove(name).unwrap_or_default()));
                let registered = connection.plan.sources.iter().filter_map(|source| {
                    let one = state.registrations.of(name, &source.name)?;
                    Some(super::missing::registration_json(&source.name, &one))
                });
                object.insert("registrations".to_owned(), Json::Array(registered.collect()));
            }
            json
        })
        .collect();
    json!({ "connections": connections })
}

type Polled<'a> = (&'a (String, String), &'a PollStatus);

/// A secret shows as there or not there, and nothing else of it.
fn view(name: &str, connection: &LiveConnection, engine: Option<&ConnectionState>, polls: &[Polled<'_>]) -> Json {
    let secrets = connection.plan.secrets.iter().map(|secret| {
        let configured = connection.secrets.contains_key(&secret.name);
        json!({ "name": secret.name, "configured": configured, "for_webhooks": secret.for_webhooks })
    });
    let takes_webhooks = connection.plan.sources.iter().any(|source| source.webhook.is_some());
    // Steps and polls find out independently.
    let by_steps = engine.and_then(ConnectionState::broken);
    let by_polls = polls.iter().find(|(_, status)| status.broken).map(|(_, status)| status);
    let broken = match (by_steps, by_polls) {
        (Some((since, reason)), _) => json!({ "since": rfc3339(since), "reason": reason }),
        (None, Some(status)) => json!({ "since": status.failing_since.map(rfc3339), "reason": status.error }),
        (None, None) => Json::Null,
    };
    json!({
        "name": name,
        "connector": connection.plan.connector,
        "base_url": connection.base_url,
        "webhook": takes_webhooks.then(|| format!("/v1/webhooks/{name}")),
        "secrets": secrets.collect::<Vec<_>>(),
        "state": if broken.is_null() { engine.map_or("ok", ConnectionState::word) } else { "broken" },
        "broken": broken,
        "open": engine.and_then(open),
        "paused_until": engine.and_then(|engine| engine.paused_until).map(rfc3339),
        "rate": engine.and_then(|engine| engine.rate).map(rate),
        "quota": engine.and_then(|engine| engine.quota.as_ref()).map(quota),
        "tokens": engine.and_then(|engine| engine.tokens).map(tokens),
        "queued": engine.map_or(0, |engine| engine.queued),
        "in_flight": engine.map_or(0, |engine| engine.in_flight),
        "most_in_flight": engine.map_or(0, |engine| engine.most_in_flight),
        "parked": engine.map_or(0, |engine| engine.parked),
        "parts": engine.map_or_else(Vec::new, |engine| engine.parts.iter().map(part).collect()),
        "unshown_parts": engine.map_or(0, |engine| engine.unshown),
        "polls": polls.iter().map(|((_, source), status)| poll(source, status)).collect::<Vec<_>>(),
    })
}

/// Why nothing but probes is sent to a connection that does not answer.
fn open(engine: &ConnectionState) -> Option<Json> {
    let (since, reason, until) = engine.silent()?;
    Some(json!({ "since": rfc3339(since), "reason": reason, "next_try": rfc3339(until) }))
}

/// What is well or not by itself: an API of the service, or a server that runs have named.
fn part(part: &PartState) -> Json {
    let broken = part.circuit.broken().map(|(since, reason)| json!({ "since": rfc3339(since), "reason": reason }));
    let open = part.circuit.silent();
    let open =
        open.map(|(since, reason, until)| json!({ "since": rfc3339(since), "reason": reason, "next_try": rfc3339(until) }));
    json!({
        "api": part.api,
        "origin": part.origin,
        "label": part.label(),
        "state": part.word(),
        "broken": broken,
        "open": open,
        "paused_until": part.paused_until.map(rfc3339),
        "rate": part.rate.map(rate),
        "queued": part.queued,
        "in_flight": part.in_flight,
        "parked": part.parked,
    })
}

fn rate(rate: RateState) -> Json {
    let per_ms = u64::try_from(rate.per.as_millis()).unwrap_or(u64::MAX);
    json!({ "limit": rate.count, "per_ms": per_ms, "used": rate.used })
}

fn quota(quota: &QuotaState) -> Json {
    json!({
        "limit": quota.count,
        "used": quota.used,
        "left": u64::from(quota.count).saturating_sub(quota.used),
        "spent": quota.is_spent(),
        "polls_until": quota.watched,
        "resets_at": rfc3339(quota.resets_at),
        "refused_since": quota.refused_since.map(rfc3339),
        "next_try": quota.next_try.map(rfc3339),
        "shared_with": quota.shared_with,
    })
}

fn tokens(tokens: TokenState) -> Json {
    json!({
        "limit": tokens.most,
        "used": tokens.used,
        "spent": tokens.is_spent(),
        "resets_at": rfc3339(tokens.resets_at),
    })
}

fn poll(source: &str, status: &PollStatus) -> Json {
    let time = |at: Option<Timestamp>| at.map(rfc3339);
    json!({
        "source": source,
        "polled_at": time(status.polled_at),
        "watermark": time(status.watermark),
        "next_at": time(status.next_at),
        "gap": status.gap.map(|gap| json!({ "from": rfc3339(gap.from), "to": rfc3339(gap.to) })),
        "events": status.events,
        "left_out": status.left_out.as_ref().map(|left_out| json!({ "count": left_out.count, "reason": left_out.reason })),
        "error": status.error,
        "failing_since": time(status.failing_since),
        "broken": status.broken,
    })
}
