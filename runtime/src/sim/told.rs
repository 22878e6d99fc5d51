//! Why nothing came of what a test gave: as `flowd why` tells it of the daemon.

use std::sync::Arc;

use flow_plan::{Flow, StartKind};

use crate::engine::Engine;
use crate::run::Status;
use crate::store::{EventQuery, RunHead, RunQuery, StoreError, StoredEvent};
use crate::why::{Read, Why};

/// More would bury what is wrong.
const MOST: usize = 8;

/// Returns what is known of why a call was not made (or not as often as expected: then it was `called`), or without one why no
/// flow ran: a line for each flow and cause.
pub(super) fn why_not(
    engine: &Engine,
    flows: &[Arc<Flow>],
    target: Option<&str>,
    called: bool,
) -> Result<Vec<String>, StoreError> {
    let calls = |flow: &Flow| target.is_none_or(|target| flow.invocations.iter().any(|call| call.name == target));
    let concerned: Vec<&Arc<Flow>> = flows.iter().filter(|flow| calls(flow)).collect();
    let mut notes: Vec<String> = Vec::new();
    if concerned.is_empty() {
        if let Some(target) = target {
            notes.push(format!("no flow of this test calls {target}"));
        }
        return Ok(notes);
    }
    let mut runs = engine.runs(&RunQuery { limit: usize::MAX, ..RunQuery::default() })?;
    runs.reverse();
    let mut events = engine.events(&EventQuery { limit: usize::MAX, ..EventQuery::default() })?;
    events.reverse();
    for flow in concerned {
        let own: Vec<&RunHead> = runs.iter().filter(|run| run.flow == flow.id).collect();
        let found = of_flow(engine, flow, &own, &events, called)?;
        for note in found {
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
    }
    let more = notes.len().saturating_sub(MOST);
    notes.truncate(MOST);
    if more > 0 {
        notes.push(format!("… and {more} more like these"));
    }
    Ok(notes)
}

fn of_flow(
    engine: &Engine,
    flow: &Flow,
    runs: &[&RunHead],
    events: &[StoredEvent],
    called: bool,
) -> Result<Vec<String>, StoreError> {
    let mut notes: Vec<String> = runs.iter().filter_map(|run| of_run(run, called)).collect();
    let mut heard = !runs.is_empty();
    for event in events {
        if !flow.triggers.iter().any(|used| used.connection == event.connection && event.triggers.contains(&used.name)) {
            continue;
        }
        heard = true;
        for answer in engine.why(event, Some(&flow.id), true)? {
            if answer.ran.is_none() {
                notes.push(of_event(flow, event, &answer));
            }
        }
    }
    if !heard {
        notes.push(unheard(flow));
    }
    Ok(notes)
}

/// Where a run stands that has not done what was expected; a dead one is told of by itself.
fn of_run(run: &RunHead, called: bool) -> Option<String> {
    let flow = &run.flow;
    let because = run.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    match run.status {
        Status::Done if called => None,
        Status::Done => Some(format!("{flow} ran and is done, on a way without it")),
        Status::Stopped => Some(format!("{flow} ran and was stopped{because}")),
        Status::Dead => None,
        other => Some(format!("{flow} is {}{because}; `after …` lets time pass", other.as_str())),
    }
}

/// What kept an event from starting the flow.
fn of_event(flow: &Flow, event: &StoredEvent, why: &Why) -> String {
    let name = if why.trigger.is_empty() { event.triggers.join(", ") } else { why.trigger.clone() };
    let mut note = format!("{} did not start for {}.{name}: {}", flow.id, event.connection, why.reason);
    if let Some(failed) = &why.failed {
        if !failed.values.is_empty() {
            note.push_str(&format!(" ({})", failed.values.iter().map(value).collect::<Vec<_>>().join(", ")));
        }
        if let Some(place) = &failed.place {
            note.push_str(&format!(", at {place}"));
        }
    }
    note
}

fn value(read: &Read) -> String {
    let value = match &read.value {
        serde_json::Value::Null => "missing".to_owned(),
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Object(money) if money.len() == 2 && money.contains_key("currency") => {
            let part = |name: &str| money.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
            format!("{} {}", part("amount"), part("currency"))
        }
        other => other.to_string(),
    };
    format!("{} = {value}", read.name)
}

/// Nothing was given that the flow hears of.
fn unheard(flow: &Flow) -> String {
    let starts: Vec<String> = flow
        .triggers
        .iter()
        .map(|used| match &used.kind {
            StartKind::Event => format!("`given {}.{} {{ … }}`", used.connection, used.name),
            StartKind::Schedule(_) => "`after …`, since the clock starts it".to_owned(),
            StartKind::State(state) => format!("`given {}.{} becomes …`", used.connection, state.state),
            StartKind::Absence(absence) => {
                format!("`after …`, since it starts when no {}.{} comes", absence.awaited.connection, absence.awaited.name)
            }
        })
        .collect();
    format!("{} did not start: it takes {}", flow.id, starts.join(", or "))
}
