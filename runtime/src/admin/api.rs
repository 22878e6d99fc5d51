//! The addresses under `/api/v1` and what they answer.

use std::sync::Arc;

use hyper::StatusCode;
use serde_json::{Value as Json, json};

use super::State;
use super::alarms;
use super::params::{Params, segments};
use super::{missing, tried, views};
use crate::engine::{CancelOutcome, DismissOutcome, MoveOutcome, RetryOutcome};
use crate::run::{MoveRefusal, RetryRefusal, Status};
use crate::server::respond::HttpError;
use crate::service::ReloadKind;
use crate::store::{EventQuery, RunQuery, StoreError, StoredEvent};
use flow_functions::rfc3339;

/// What an address asks for.
pub(super) enum Route {
    /// A question.
    Query(Query),
    /// A change.
    Command(Command),
}

pub(super) enum Query {
    Status,
    Flows,
    Flow(String),
    Events,
    Event(String),
    Why(String),
    Missing,
    Progress,
    Runs,
    Run(String),
    Dead,
    Alarms,
    Connections,
    OpenApi,
}

pub(super) enum Command {
    Pause(String),
    Resume(String),
    Retry(String),
    Cancel(String),
    Migrate(String),
    Dismiss(String),
    DismissAlarm(String),
    Reload,
    Replay,
    Backtest,
    TrustClock,
    Connect(String),
    Disconnect(String),
}

impl Command {
    /// So many bytes a request may bring; only an edited file is one of its own.
    pub(super) fn most_bytes(&self) -> usize {
        match self {
            Command::Backtest => tried::MOST_BYTES,
            _ => super::MAX_BODY,
        }
    }
}

impl Route {
    pub(super) fn find(path: &str) -> Result<Self, HttpError> {
        let segments = segments(path)?;
        let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
        let id = |id: &str| id.to_owned();
        Ok(match segments.as_slice() {
            ["api", "v1", rest @ ..] => match rest {
                ["status"] => Self::Query(Query::Status),
                ["flows"] => Self::Query(Query::Flows),
                ["flows", flow] => Self::Query(Query::Flow(id(flow))),
                ["flows", flow, "pause"] => Self::Command(Command::Pause(id(flow))),
                ["flows", flow, "resume"] => Self::Command(Command::Resume(id(flow))),
                ["events"] => Self::Query(Query::Events),
                ["events", event] => Self::Query(Query::Event(id(event))),
                ["events", event, "why"] => Self::Query(Query::Why(id(event))),
                ["missing"] => Self::Query(Query::Missing),
                ["runs"] => Self::Query(Query::Runs),
                ["runs", run] => Self::Query(Query::Run(id(run))),
                ["runs", run, "retry"] => Self::Command(Command::Retry(id(run))),
                ["runs", run, "cancel"] => Self::Command(Command::Cancel(id(run))),
                ["runs", run, "migrate"] => Self::Command(Command::Migrate(id(run))),
                ["runs", run, "dismiss"] => Self::Command(Command::Dismiss(id(run))),
                ["dead"] => Self::Query(Query::Dead),
                ["alarms"] => Self::Query(Query::Alarms),
                ["alarms", alarm, "dismiss"] => Self::Command(Command::DismissAlarm(id(alarm))),
                ["connections"] => Self::Query(Query::Connections),
                ["connections", name, "connect"] => Self::Command(Command::Connect(id(name))),
                ["connections", name, "disconnect"] => Self::Command(Command::Disconnect(id(name))),
                ["reload"] => Self::Command(Command::Reload),
                ["replay"] => Self::Command(Command::Replay),
                ["clock", "trust"] => Self::Command(Command::TrustClock),
                ["backtest"] => Self::Command(Command::Backtest),
                ["backtest", "progress"] => Self::Query(Query::Progress),
                ["openapi.json"] => Self::Query(Query::OpenApi),
                _ => return Err(HttpError::not_found("there is no such address; see /api/v1/openapi.json")),
            },
            _ => return Err(HttpError::not_found("there is no such address; see /api/v1/openapi.json")),
        })
    }
}

/// Answers a question. It may read the disk.
pub(super) fn query(state: &State, query: Query, params: Option<&str>) -> Result<Json, HttpError> {
    let read = |known: &[&str]| Params::read(params, known);
    match query {
        Query::Status => read(&[]).map(|_| views::status(state)),
        Query::Flows => read(&[]).map(|_| views::flows(state)),
        Query::Flow(id) => {
            read(&[])?;
            views::flow(state, &id).ok_or_else(|| HttpError::not_found("there is no such flow"))
        }
        Query::Connections => read(&[]).map(|_| views::connections(state)),
        Query::OpenApi => serde_json::from_str(include_str!("openapi.json")).map_err(|_| internal()),
        Query::Events => events(state, &read(&["connection", "trigger", "misfit", "since", "limit", "after"])?),
        Query::Event(id) => event(state, &id, &read(&["connection", "personal"])?),
        Query::Why(id) => why(state, &id, &read(&["connection", "flow", "personal"])?),
        Query::Progress => {
            read(&[])?;
            let is_running = state.backtests.available_permits() == 0;
            Ok(json!({ "running": is_running, "events": is_running.then(|| state.backtest_progress.events()) }))
        }
        Query::Missing => missing::missing(state, &read(&["event", "trigger", "connection"])?),
        Query::Runs => {
            let params = read(&["flow", "status", "since", "limit", "after"])?;
            let status = params.text("status").map(|text| run_status(&text)).transpose()?;
            runs(state, &params, status)
        }
        Query::Alarms => {
            read(&[])?;
            let alarms = alarms::active(state).map_err(|error| unreadable(&error))?;
            Ok(json!({ "alarms": alarms.iter().map(|alarm| alarm.to_json()).collect::<Vec<_>>() }))
        }
        Query::Dead => runs(state, &read(&["flow", "since", "limit", "after"])?, Some(Status::Dead)),
        Query::Run(id) => {
            let personal = read(&["personal"])?.flag("personal")?;
            let run = state.engine.run(&id, personal).map_err(|error| unreadable(&error))?;
            let mut run = run.ok_or_else(|| HttpError::not_found("there is no such run"))?;
            let causes = state.engine.causes(&id).map_err(|error| unreadable(&error))?;
            if let (false, Some(object)) = (causes.is_empty(), run.as_object_mut()) {
                object.insert("caused_by".to_owned(), Json::Array(causes));
            }
            Ok(run)
        }
    }
}

/// What a pause means.
const PAUSED: &str =
    "events that are received while the flow is paused do not start it, also not later when it is resumed; its runs go on";

/// Makes a change.
pub(super) async fn command(state: &Arc<State>, command: Command, params: Option<&str>, body: &[u8]) -> Result<Json, HttpError> {
    let engine = &state.engine;
    let no_params = || Params::read(params, &[]).map(drop);
    match command {
        Command::Pause(flow) => {
            no_params()?;
            if !engine.pause(&flow).await.map_err(|error| unwritable(&error))? {
                return Err(HttpError::not_found("there is no such flow"));
            }
            Ok(json!({ "id": flow, "paused": true, "message": PAUSED }))
        }
        Command::Resume(flow) => {
            no_params()?;
            let known = engine.live().flows.iter().any(|live| live.id == flow);
            // A flow that is gone may still be paused, for when it comes back.
            let resumed = engine.resume_and_tell(&flow).await.map_err(|error| unwritable(&error))?;
            if resumed.is_none() && !known {
                return Err(HttpError::not_found("there is no such flow"));
            }
            let mut json = json!({ "id": flow, "paused": false, "was_paused": resumed.is_some() });
            if let (Some(resumed), Some(object)) = (resumed, json.as_object_mut()) {
                object.insert("since".to_owned(), json!(rfc3339(resumed.since)));
                object.insert("missed".to_owned(), json!(resumed.missed));
            }
            Ok(json)
        }
        Command::Retry(run) => {
            let force = Params::read(params, &["force"])?.flag("force")?;
            match engine.retry(&run, force).await.map_err(|error| unwritable(&error))? {
                RetryOutcome::Retried => {
                    let earlier = engine.is_of_earlier_version(&run).unwrap_or(false);
                    Ok(json!({ "id": run, "retried": true, "earlier_version": earlier }))
                }
                RetryOutcome::NotFound => Err(HttpError::not_found("there is no such run")),
                RetryOutcome::Refused(refusal) => {
                    let code = match refusal {
                        RetryRefusal::NotDead(_) | RetryRefusal::Waits(_) => "not_dead",
                        RetryRefusal::WillFailAgain(_) => "will_fail_again",
                        RetryRefusal::OutcomeUnknown(_) => "outcome_unknown",
                        RetryRefusal::Dangerous { .. } => "dangerous",
                    };
                    Err(HttpError::new(StatusCode::CONFLICT, code, refusal.to_string()))
                }
            }
        }
        Command::TrustClock => {
            no_params()?;
            let before = engine.trust_clock().await.map_err(|error| unwritable(&error))?;
            let now = rfc3339(state.world.clock.now());
            Ok(json!({ "trusted": true, "now": now, "latest_before": rfc3339(before) }))
        }
        Command::Cancel(run) => {
            no_params()?;
            match engine.cancel(&run).await.map_err(|error| unwritable(&error))? {
                CancelOutcome::Cancelled => Ok(json!({ "id": run, "cancelled": true })),
                CancelOutcome::NotFound => Err(HttpError::not_found("there is no such run")),
                CancelOutcome::Ended(status) => {
                    let message = format!("the run had ended: it is {}", status.as_str());
                    Err(HttpError::new(StatusCode::CONFLICT, "ended", message))
                }
            }
        }
        Command::Replay => tried::replay(state, params).await,
        Command::Backtest => {
            no_params()?;
            tried::backtest(state, body).await
        }
        Command::Migrate(run) => {
            let dry = Params::read(params, &["dry_run"])?.flag("dry_run")?;
            match engine.migrate(&run, dry).await.map_err(|error| unwritable(&error))? {
                MoveOutcome::Moved(moved) => Ok(moved.to_json(&run, dry)),
                MoveOutcome::NotFound => Err(HttpError::not_found("there is no such run")),
                MoveOutcome::Refused(refusal) => {
                    let code = match refusal {
                        MoveRefusal::Ended(_) => "ended",
                        MoveRefusal::Performing => "performing",
                        MoveRefusal::Current => "current",
                        MoveRefusal::NotLive(_) => "not_live",
                        MoveRefusal::Differs(_) => "differs",
                        MoveRefusal::OutcomeUnknown(_) => "outcome_unknown",
                    };
                    Err(HttpError::new(StatusCode::CONFLICT, code, refusal.to_string()))
                }
            }
        }
        Command::Dismiss(run) => {
            no_params()?;
            match engine.dismiss(&run).await.map_err(|error| unwritable(&error))? {
                DismissOutcome::Dismissed => Ok(json!({ "id": run, "dismissed": true })),
                DismissOutcome::NotFound => Err(HttpError::not_found("there is no such run")),
                DismissOutcome::NotDead(status) => {
                    let message = format!("the run is {}, not dead", status.as_str());
                    Err(HttpError::new(StatusCode::CONFLICT, "not_dead", message))
                }
            }
        }
        Command::DismissAlarm(id) => {
            no_params()?;
            match engine.dismiss_alarm(&id).await.map_err(|error| unwritable(&error))? {
                Some(true) => Ok(json!({ "id": id, "dismissed": true })),
                Some(false) => {
                    let message = "this alarm ends when what it is about is dealt with: its `next` says how";
                    Err(HttpError::new(StatusCode::CONFLICT, "not_dismissible", message))
                }
                None => Err(HttpError::not_found("there is no such alarm")),
            }
        }
        Command::Connect(name) => {
            no_params()?;
            let registered = state
                .registrar
                .connect(&name)
                .await
                .map_err(|reason| HttpError::new(StatusCode::CONFLICT, "not_connected", reason))?;
            Ok(json!({ "connection": name, "registers_again": registered }))
        }
        Command::Disconnect(name) => {
            no_params()?;
            if !engine.live().connections.contains_key(&name) {
                return Err(HttpError::not_found("there is no such connection"));
            }
            let removed =
                state.registrar.disconnect(&name).await.map_err(|reason| {
                    HttpError::new(StatusCode::CONFLICT, "not_removed", format!("{reason}; it is tried again"))
                })?;
            Ok(json!({ "connection": name, "removed": removed }))
        }
        Command::Reload => {
            let dry = Params::read(params, &["dry_run"])?.flag("dry_run")?;
            let kind = if dry { ReloadKind::Dry } else { ReloadKind::Real };
            let reload = state.reload.clone().ok_or_else(|| HttpError::not_found("this daemon cannot reload"))?;
            reload(kind).await.map_err(|message| HttpError::new(StatusCode::CONFLICT, "reload_failed", message))
        }
    }
}

fn events(state: &State, params: &Params) -> Result<Json, HttpError> {
    let limit = params.limit()?;
    // As flows write it: `stripe.charge_failed` is a trigger of one connection.
    let trigger = params.text("trigger");
    let (of, trigger) = match trigger.as_deref().and_then(|trigger| trigger.split_once('.')) {
        Some((connection, name)) => (Some(connection.to_owned()), Some(name.to_owned())),
        None => (None, trigger),
    };
    let connection = params.text("connection");
    if let (Some(connection), Some(of)) = (&connection, &of)
        && connection != of
    {
        return Ok(json!({ "events": [], "next": null }));
    }
    let query = EventQuery {
        connection: connection.or(of),
        trigger,
        since: params.instant("since", state.world.clock.now())?,
        misfit: params.flag("misfit")?,
        before: params.number("after")?,
        limit,
    };
    let events = state.engine.events(&query).map_err(|error| unreadable(&error))?;
    let next = events.last().filter(|_| events.len() == limit).map(|event| event.seq.to_string());
    Ok(json!({ "events": events.iter().map(|event| event.to_json(false)).collect::<Vec<_>>(), "next": next }))
}

fn runs(state: &State, params: &Params, status: Option<Status>) -> Result<Json, HttpError> {
    let limit = params.limit()?;
    let query = RunQuery {
        flow: params.text("flow"),
        status,
        since: params.instant("since", state.world.clock.now())?,
        before: params.number("after")?,
        limit,
    };
    let runs = state.engine.runs(&query).map_err(|error| unreadable(&error))?;
    let next = runs.last().filter(|_| runs.len() == limit).map(|run| run.seq.to_string());
    Ok(json!({ "runs": runs.iter().map(|run| run.to_json()).collect::<Vec<_>>(), "next": next }))
}

/// Returns the one event of an id; two connections may have the same.
fn found(state: &State, id: &str, params: &Params) -> Result<StoredEvent, HttpError> {
    let mut events = state.engine.event(id).map_err(|error| unreadable(&error))?;
    if let Some(connection) = params.text("connection") {
        events.retain(|event| event.connection == connection);
    }
    match (events.pop(), events.is_empty()) {
        (Some(event), true) => Ok(event),
        (Some(_), false) => {
            let message = "several connections have an event of this id: add `?connection=`";
            Err(HttpError::new(StatusCode::CONFLICT, "ambiguous", message))
        }
        (None, _) => Err(HttpError::not_found("there is no such event")),
    }
}

fn event(state: &State, id: &str, params: &Params) -> Result<Json, HttpError> {
    let event = found(state, id, params)?;
    let mut json = event.to_json(params.flag("personal")?);
    let runs = state.engine.runs_of_event(event.seq).map_err(|error| unreadable(&error))?;
    if let Some(object) = json.as_object_mut() {
        object.insert("runs".to_owned(), json!(runs));
    }
    Ok(json)
}

fn why(state: &State, id: &str, params: &Params) -> Result<Json, HttpError> {
    let event = found(state, id, params)?;
    let flow = params.text("flow");
    if let Some(flow) = &flow
        && !state.engine.knows(flow)
    {
        return Err(HttpError::not_found("there is no such flow"));
    }
    let why = state.engine.why(&event, flow.as_deref(), params.flag("personal")?).map_err(|error| unreadable(&error))?;
    let again = state
        .engine
        .came_again(&event)
        .map(|again| json!({ "count": again.count, "last_at": rfc3339(again.last_at), "via": again.via }));
    Ok(json!({ "event": event.to_json(false), "again": again, "flows": why }))
}

fn run_status(text: &str) -> Result<Status, HttpError> {
    let all = [Status::Running, Status::Waiting, Status::Parked, Status::Done, Status::Stopped, Status::Dead, Status::Cancelled];
    all.into_iter().find(|status| status.as_str() == text).ok_or_else(|| {
        let words: Vec<_> = all.iter().map(|status| status.as_str()).collect();
        HttpError::bad_request("bad_parameter", format!("`status` must be one of {}", words.join(", ")))
    })
}

pub(super) fn unreadable(error: &StoreError) -> HttpError {
    tracing::warn!(%error, "the store could not be read");
    HttpError::unavailable("store", "the store cannot be read", 5)
}

pub(super) fn unwritable(error: &StoreError) -> HttpError {
    tracing::warn!(%error, "the store could not be written");
    HttpError::unavailable("store", "the store cannot be written", 5)
}

fn internal() -> HttpError {
    HttpError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "an internal error")
}
