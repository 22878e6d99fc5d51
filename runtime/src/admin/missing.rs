//! Why an event never came: what is known of the ways on which it could have come.

use std::collections::BTreeSet;

use flow_plan::{Flow, Instr, StartKind};
use hyper::StatusCode;
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::State;
use super::params::Params;
use super::views;
use crate::delivered::{Connection, Delivery, NOWHERE, Refused};
use crate::engine::way;
use crate::live::LiveConnection;
use crate::poll::PollStatus;
use crate::register::{Failing, Registration};
use crate::server::respond::HttpError;
use crate::store::{EventQuery, StoredEvent};
use flow_functions::rfc3339;

/// So many of the newest events are looked through for an id.
const MOST_SEARCHED: usize = 2_000;
const PAGE: usize = 250;
/// So many events are named that mention an id, or have one like it.
const MOST_NAMED: usize = 5;
/// Ids differ by so many letters at most that could be one mistyped.
const SLIPS: usize = 2;
/// Shorter ids are like too many.
const SHORTEST: usize = 4;

/// Answers for an event that never came: of an id that nobody knows, of a trigger, of a connection.
pub(super) fn missing(state: &State, params: &Params) -> Result<Json, HttpError> {
    let id = params.text("event");
    let (of, trigger) = match params.text("trigger") {
        Some(trigger) => match trigger.split_once('.') {
            Some((connection, name)) => (Some(connection.to_owned()), Some(name.to_owned())),
            None => (None, Some(trigger)),
        },
        None => (None, None),
    };
    let connection = params.text("connection").or(of);
    if id.is_none() && trigger.is_none() && connection.is_none() {
        return Err(HttpError::bad_request("bad_parameter", "`event`, `trigger` or `connection` says what is missing"));
    }
    let live = state.engine.live();
    let mut names: Vec<&String> = live.connections.keys().collect();
    if let Some(connection) = &connection {
        names.retain(|name| *name == connection);
        if names.is_empty() {
            let all: Vec<&str> = live.connections.keys().map(String::as_str).collect();
            return Err(HttpError::not_found(format!("there is no connection `{connection}`; there are {}", all.join(", "))));
        }
    }
    if let Some(trigger) = &trigger {
        let known: BTreeSet<String> = names.iter().flat_map(|name| triggers_of(&live.connections[*name])).collect();
        let asked = names.clone();
        names.retain(|name| triggers_of(&live.connections[*name]).contains(trigger));
        if names.is_empty() {
            let of_state =
                asked.iter().find(|name| live.connections[**name].plan.states.iter().any(|state| state.name == *trigger));
            if let Some(name) = of_state {
                return Err(HttpError::not_found(format!(
                    "`{name}.{trigger}` is a state, which is read again and again: `flowd status` shows what it is and when it was read, and \
                     `flowd events --connection {name}` what it has started"
                )));
            }
            let known: Vec<String> = known.into_iter().collect();
            let there =
                if known.is_empty() { "no events come from there".to_owned() } else { format!("there are {}", known.join(", ")) };
            return Err(HttpError::not_found(format!("there is no trigger `{trigger}`; {there}")));
        }
    }
    let of_one = connection.is_some();
    let looked = match &id {
        Some(id) => Some(look(state, id)?),
        None => None,
    };
    let shown = views::connections(state);
    let polls = state.polls.status();
    let mut hints = Vec::new();
    let connections: Vec<Json> = names
        .into_iter()
        .filter_map(|name| Some((name, live.connections.get(name)?)))
        // One that nothing comes from cannot have lost anything.
        .filter(|(_, connection)| connection.plan.sources.iter().any(|source| source.webhook.is_some() || source.poll.is_some()))
        // Whoever asks for an id alone does not ask for what nobody uses.
        .filter(|(name, connection)| {
            let asked = Asked { state, name, connection, trigger: None, flows: &live.flows };
            trigger.is_some() || of_one || live.flows.iter().any(|flow| asked.is_listening(flow))
        })
        .map(|(name, connection)| {
            let view = shown["connections"].as_array().into_iter().flatten().find(|view| view["name"] == name.as_str());
            let of_it = polls.iter().filter(|((of, _), _)| of == name).map(|((_, source), status)| (source.as_str(), status));
            let asked = Asked { state, name, connection, trigger: trigger.as_deref(), flows: &live.flows };
            asked.told(view.unwrap_or(&Json::Null), &of_it.collect::<Vec<_>>(), &mut hints)
        })
        .collect();
    let strange = state.engine.delivered(NOWHERE);
    for (name, refused) in &strange.refused {
        hints.push(format!(
            "{} sent to /v1/webhooks/{name}, which is no connection, the last {}",
            counted(refused.count, "delivery was", "deliveries were"),
            rfc3339(refused.last_at)
        ));
    }
    let (mentioned, near, searched) =
        looked.map_or((Vec::new(), Vec::new(), 0), |looked| (looked.mentioned, looked.near, looked.searched));
    let named = |event: &StoredEvent| {
        json!({
            "id": event.id,
            "connection": event.connection,
            "type": event.event_type,
            "triggers": event.triggers,
            "received_at": rfc3339(event.received_at),
        })
    };
    Ok(json!({
        "event": id,
        "trigger": trigger,
        "searched": searched,
        "mentioned_in": mentioned.iter().map(named).collect::<Vec<_>>(),
        "near": near.iter().map(named).collect::<Vec<_>>(),
        "connections": connections,
        "unknown_addresses": strange.refused.iter().map(|(name, refused)| refused_json(name, refused)).collect::<Vec<_>>(),
        "hints": hints,
    }))
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn triggers_of(connection: &LiveConnection) -> BTreeSet<String> {
    connection.plan.sources.iter().flat_map(|source| source.triggers.keys().cloned()).collect()
}

/// One connection, and what is missing of it.
struct Asked<'a> {
    state: &'a State,
    name: &'a str,
    connection: &'a LiveConnection,
    trigger: Option<&'a str>,
    flows: &'a [std::sync::Arc<Flow>],
}

impl Asked<'_> {
    fn told(&self, view: &Json, polls: &[(&str, &PollStatus)], hints: &mut Vec<String>) -> Json {
        let name = self.name;
        let known = self.state.engine.delivered(name);
        let listening: Vec<&str> =
            self.flows.iter().filter(|flow| self.is_listening(flow)).map(|flow| flow.id.as_str()).collect();
        let last = self.last_of_trigger(&known);
        self.of_flows(&listening, hints);
        let takes_webhooks = self.connection.plan.sources.iter().any(|source| source.webhook.is_some());
        if takes_webhooks {
            self.of_webhooks(&known, !polls.is_empty(), hints);
        }
        self.of_polls(polls, hints);
        if let Some(reason) = view["broken"]["reason"].as_str() {
            hints.push(format!("{name} is broken: {reason}"));
        }
        if let Some(until) = view["paused_until"].as_str() {
            hints.push(format!("nothing is sent to {name} before {until}"));
        }
        match (self.trigger, &last) {
            (Some(trigger), Some(last)) => {
                hints.push(format!("the last {name}.{trigger} came {} by {}: {}", rfc3339(last.at), way(last.via), last.id));
            }
            (Some(trigger), None) => hints.push(format!("no {name}.{trigger} is known to have come")),
            (None, _) => {}
        }
        json!({
            "name": name,
            "connector": self.connection.plan.connector,
            "listening": listening,
            "last_delivery": known.last.as_ref().map(delivery_json),
            "last_of_trigger": last.as_ref().map(delivery_json),
            "refused": known.refused.iter().map(|(code, refused)| refused_json(code, refused)).collect::<Vec<_>>(),
            "registrations": self.registrations().map(|(source, one)| registration_json(source, &one)).collect::<Vec<_>>(),
            "state": view,
        })
    }

    /// Tells whether a flow starts with it, waits for it, or waits for it in vain.
    fn is_listening(&self, flow: &Flow) -> bool {
        let is_it = |connection: &str, name: &str| connection == self.name && self.trigger.is_none_or(|trigger| trigger == name);
        let starts = flow.triggers.iter().any(|used| match &used.kind {
            StartKind::Absence(rule) => is_it(&rule.awaited.connection, &rule.awaited.name),
            StartKind::Event | StartKind::Schedule(_) | StartKind::State(_) => is_it(&used.connection, &used.name),
        });
        let awaits = |instr: &Instr| matches!(instr, Instr::WaitFor(wait) if is_it(&wait.trigger.connection, &wait.trigger.name));
        starts || flow.program.instrs.iter().any(awaits)
    }

    fn what(&self) -> String {
        self.trigger.map_or_else(|| self.name.to_owned(), |trigger| format!("{}.{trigger}", self.name))
    }

    fn of_flows(&self, listening: &[&str], hints: &mut Vec<String>) {
        if listening.is_empty() {
            hints.push(format!(
                "no live flow listens for {}: it is not asked for, and what comes by itself starts nothing",
                self.what()
            ));
        }
        let paused = listening.iter().filter(|flow| self.state.engine.paused_since(flow).is_some());
        hints.extend(paused.map(|flow| format!("the flow {flow} is paused: events are kept and do not start it")));
    }

    fn of_webhooks(&self, known: &Connection, is_polled: bool, hints: &mut Vec<String>) {
        let name = self.name;
        let address = match &self.state.public_url {
            Some(url) => format!("{}/v1/webhooks/{name}", url.trim_end_matches('/')),
            None => format!("{}/v1/webhooks/{name}", self.state.addresses.server),
        };
        match &known.last {
            Some(last) => {
                let again = if last.duplicate { ", which had come before" } else { "" };
                hints.push(format!(
                    "the last delivery of {name} came {} by {}: {}{again}",
                    rfc3339(last.at),
                    way(last.via),
                    last.id
                ));
            }
            None => hints.push(format!("nothing of {name} is known to have come; its webhooks go to {address}")),
        }
        let mut refused: Vec<_> = known.refused.iter().collect();
        refused.sort_by_key(|(_, refused)| std::cmp::Reverse(refused.last_at));
        for (code, refused) in refused.into_iter().take(MOST_NAMED) {
            let after = known.last.as_ref().is_some_and(|last| last.at > refused.last_at);
            let since = if after { "; others have been taken in since" } else { "" };
            hints.push(format!(
                "{} of {name} {} refused with {} {code} ({}), the last {}{since}",
                counted(refused.count, "delivery", "deliveries"),
                if refused.count == 1 { "was" } else { "were" },
                refused.status,
                refused.message,
                rfc3339(refused.last_at)
            ));
            if code == "signature_mismatch" && !after {
                hints.push(format!("the secret under [connections.{name}] is not the one that {name} signs with, or something on the way changes the body"));
            }
        }
        for (source, one) in self.registrations() {
            match (&one.failing, &one.made) {
                (Some(Failing { since, reason, .. }), _) => {
                    hints
                        .push(format!("the webhook {name}.{source} could not be registered since {}: {reason}", rfc3339(*since)));
                }
                (None, Some((url, _))) => hints.push(format!("the webhook {name}.{source} is registered with {url}")),
                (None, None) if one.by_hand => {
                    hints.push(format!("the webhook {name}.{source} was registered by hand, since its secret stands in flow.toml: the service has to know {address}"));
                }
                (None, None) if one.off => hints.push(format!(
                    "the webhook {name}.{source} was removed by `flowd disconnect {name}`: `flowd connect {name}` registers it again"
                )),
                (None, None) => {}
            }
        }
        let has_secret = self.connection.plan.secrets.iter().filter(|secret| secret.for_webhooks);
        let lacking = has_secret.filter(|secret| !self.connection.secrets.contains_key(&secret.name)).count();
        if lacking > 0 && !is_polled && self.registrations().all(|(_, one)| one.made.is_none()) {
            hints.push(format!("webhooks of {name} cannot be verified: their secret is not there"));
        }
    }

    fn registrations(&self) -> impl Iterator<Item = (&str, Registration)> {
        self.connection
            .plan
            .sources
            .iter()
            .filter_map(|source| Some((source.name.as_str(), self.state.registrations.of(self.name, &source.name)?)))
    }

    fn of_polls(&self, polls: &[(&str, &PollStatus)], hints: &mut Vec<String>) {
        let name = self.name;
        for (source, status) in polls {
            let next = status.next_at.map(|at| format!("; the next is {}", rfc3339(at))).unwrap_or_default();
            match (&status.error, status.polled_at) {
                (Some(error), _) => {
                    let since = status.failing_since.map(|since| format!(" since {}", rfc3339(since))).unwrap_or_default();
                    hints.push(format!("polls of {name}.{source} fail{since}: {error}{next}"));
                }
                (None, Some(at)) => hints.push(format!("{name}.{source} was last polled {}{next}", rfc3339(at))),
                (None, None) => hints.push(format!("{name}.{source} was not polled yet{next}")),
            }
            if let Some(gap) = status.gap {
                let (from, to) = (rfc3339(gap.from), rfc3339(gap.to));
                hints.push(format!("the service did not list any more what happened on {name}.{source} between {from} and {to}"));
            }
        }
        let can = self.connection.plan.sources.iter().any(|source| source.poll.is_some());
        if polls.is_empty() && can && !self.connection.polls {
            hints.push(format!("{name} is not polled: its key is not there, or `poll` is off"));
        }
    }

    /// The last event of the trigger: as it is remembered, else out of the newest events.
    fn last_of_trigger(&self, known: &Connection) -> Option<Delivery> {
        let trigger = self.trigger?;
        if let Some(last) = known.triggers.get(trigger) {
            return Some(last.clone());
        }
        let query = EventQuery { limit: MOST_SEARCHED, ..EventQuery::default() };
        let mut found = None;
        search(self.state, &query, &mut |event| {
            if event.connection == self.name && event.triggers.iter().any(|name| name == trigger) {
                found = Some(Delivery { at: event.received_at, id: event.id, via: event.via, duplicate: false });
            }
            found.is_none()
        })
        .ok()?;
        found
    }
}

fn delivery_json(delivery: &Delivery) -> Json {
    json!({
        "at": rfc3339(delivery.at),
        "id": delivery.id,
        "via": delivery.via,
        "status": 200,
        "duplicate": delivery.duplicate,
    })
}

fn refused_json(code: &str, refused: &Refused) -> Json {
    json!({
        "code": code,
        "status": refused.status,
        "message": refused.message,
        "count": refused.count,
        "first_at": rfc3339(refused.first_at),
        "last_at": rfc3339(refused.last_at),
    })
}

pub(super) fn registration_json(source: &str, one: &Registration) -> Json {
    let time = |since: &Timestamp| rfc3339(*since);
    json!({
        "source": source,
        "url": one.made.as_ref().map(|(url, _)| url),
        "events": one.made.as_ref().map(|(_, events)| events),
        "id": one.id,
        "looked_at": one.looked_at.as_ref().map(time),
        "by_hand": one.by_hand,
        "off": one.off,
        "error": one.failing.as_ref().map(|failing| &failing.reason),
        "failing_since": one.failing.as_ref().map(|failing| time(&failing.since)),
    })
}

/// What the newest events say of an id that none of them has.
struct Looked {
    /// Events with the id in their payload: it is that of what they are about.
    mentioned: Vec<StoredEvent>,
    /// Events with an id like it.
    near: Vec<StoredEvent>,
    searched: usize,
}

fn look(state: &State, id: &str) -> Result<Looked, HttpError> {
    let mut looked = Looked { mentioned: Vec::new(), near: Vec::new(), searched: 0 };
    if id.chars().count() < SHORTEST {
        return Ok(looked);
    }
    let query = EventQuery { limit: MOST_SEARCHED, ..EventQuery::default() };
    // In the payload it stands as a text of its own.
    let quoted = json!(id).to_string().into_bytes();
    search(state, &query, &mut |event| {
        looked.searched += 1;
        if looked.mentioned.len() < MOST_NAMED && event.payload.windows(quoted.len()).any(|part| part == quoted) {
            looked.mentioned.push(event);
        } else if looked.near.len() < MOST_NAMED && is_near(id, &event.id) {
            looked.near.push(event);
        }
        looked.mentioned.len() < MOST_NAMED || looked.near.len() < MOST_NAMED
    })?;
    Ok(looked)
}

/// Goes through the newest events until there are no more, or enough.
fn search(state: &State, query: &EventQuery, each: &mut dyn FnMut(StoredEvent) -> bool) -> Result<(), HttpError> {
    let (mut before, mut left) = (query.before, query.limit);
    while left > 0 {
        let page = EventQuery { before, limit: PAGE.min(left), ..query.clone() };
        let events = state.engine.events(&page).map_err(|error| {
            tracing::warn!(%error, "the store could not be read");
            HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "store", "the store cannot be read")
        })?;
        let Some(last) = events.last().map(|event| event.seq) else { return Ok(()) };
        left = left.saturating_sub(events.len());
        before = Some(last);
        for event in events {
            if !each(event) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// One is the other with a slip or two, in other letters, or a part of it.
fn is_near(one: &str, other: &str) -> bool {
    let (one, other) = (one.to_lowercase(), other.to_lowercase());
    let part = one.len() >= 8 && other.contains(&one) || other.len() >= 8 && one.contains(&other);
    one == other || part || slips(&one, &other) <= SLIPS.min(one.chars().count() / 3)
}

/// How many letters are wrong, too much or too few; more than two are not counted.
fn slips(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    if one.len().abs_diff(other.len()) > SLIPS || one.len() > 200 {
        return SLIPS + 1;
    }
    let mut before: Vec<usize> = (0..=other.len()).collect();
    for (i, letter) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, theirs) in other.iter().enumerate() {
            let changed = before[j] + usize::from(letter != theirs);
            row.push(changed.min(before[j + 1] + 1).min(row[j] + 1));
        }
        before = row;
    }
    before.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::is_near;

    #[test]
    fn slips_are_near_and_strangers_are_not() {
        assert!(is_near("evt_1Q8xyzABC", "evt_1Q8xyzABD"));
        assert!(is_near("evt_1q8XYZ", "EVT_1Q8xyz"));
        assert!(is_near("1Q8xyzAB", "evt_1Q8xyzABC"));
        assert!(!is_near("evt_1", "evt_2222"));
        assert!(!is_near("ch_9", "evt_9"));
    }
}
