//! Stored events once more: for a live flow, and for one that is edited.

use std::sync::Arc;

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::Value as Json;

use super::State;
use super::api::{unreadable, unwritable};
use super::params::{Params, instant};
use crate::backtest::{self, BacktestError, BacktestQuery};
use crate::engine::ReplayError;
use crate::replay::{ReplayPlace, ReplayQuery};
use crate::server::respond::HttpError;

/// An edited file may be as large as any file of a project; in JSON it takes more.
pub(super) const MOST_BYTES: usize = 16 * 1024 * 1024;
/// So many examples of each kind without being asked for, and at most.
const EXAMPLES: usize = 5;
const MOST_EXAMPLES: usize = 1000;

/// Offers the next stored events to a flow once more.
pub(super) async fn replay(state: &State, params: Option<&str>) -> Result<Json, HttpError> {
    let params = Params::read(params, &["flow", "since", "until", "event", "again", "dry_run", "after"])?;
    let place = |text: String| {
        ReplayPlace::parse(&text)
            .ok_or_else(|| HttpError::bad_request("bad_parameter", "`after` must be what `next` of the part before says"))
    };
    let from = params.text("after").map(place).transpose()?;
    // A time ago is so long before the replay began, in each of its parts.
    let now = from.map_or_else(|| state.world.clock.now(), |from| from.began_at);
    let query = ReplayQuery {
        flow: params.text("flow").ok_or_else(|| HttpError::bad_request("bad_parameter", "`flow` is needed"))?,
        since: params.instant("since", now)?,
        until: params.instant("until", now)?,
        event: params.text("event"),
        again: params.flag("again")?,
        dry_run: params.flag("dry_run")?,
        from,
    };
    if query.since.is_none() && query.event.is_none() {
        return Err(HttpError::bad_request("bad_parameter", "`since` or `event` is needed"));
    }
    match state.engine.replay(&query).await {
        Ok(bite) => Ok(bite.to_json(&query)),
        Err(error @ (ReplayError::NoFlow | ReplayError::NoEvent)) => Err(HttpError::not_found(error.to_string())),
        Err(error @ ReplayError::Paused) => Err(HttpError::new(StatusCode::CONFLICT, "paused", error.to_string())),
        Err(error @ ReplayError::Stopping) => Err(HttpError::unavailable("stopping", error.to_string(), 5)),
        Err(ReplayError::Store(error)) => Err(unwritable(&error)),
    }
}

/// What is asked of a backtest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    file: String,
    text: String,
    since: String,
    #[serde(default)]
    until: Option<String>,
    #[serde(default)]
    flow: Option<String>,
    #[serde(default)]
    examples: Option<usize>,
}

/// Tries an edited file on the stored events.
pub(super) async fn backtest(state: &State, body: &[u8]) -> Result<Json, HttpError> {
    let asked: Asked = serde_json::from_slice(body)
        .map_err(|error| HttpError::bad_request("bad_body", format!("the body does not fit: {error}")))?;
    let now = state.world.clock.now();
    let examples = asked.examples.unwrap_or(EXAMPLES);
    if examples > MOST_EXAMPLES {
        return Err(HttpError::bad_request("bad_body", format!("`examples` is at most {MOST_EXAMPLES}")));
    }
    let query = BacktestQuery {
        file: asked.file,
        since: instant("since", &asked.since, now)?,
        until: asked.until.map(|until| instant("until", &until, now)).transpose()?.map_or(now, |until| until.min(now)),
        flow: asked.flow,
        examples,
    };
    if query.since >= query.until {
        return Err(HttpError::bad_request("bad_body", "`since` must be before `until` and before now"));
    }
    // One at a time: it takes a processor and memory of its own.
    let Ok(_place) = state.backtests.try_acquire() else {
        return Err(HttpError::new(StatusCode::CONFLICT, "busy", "another backtest is going on: try again when it has ended"));
    };
    let compile = state.trial.clone().ok_or_else(|| HttpError::not_found("this daemon cannot compile"))?;
    let edited = compile(query.file.clone(), asked.text).await;
    let edited = edited.map_err(|reports| HttpError::new(StatusCode::UNPROCESSABLE_ENTITY, "broken_file", reports.join("\n")))?;
    match backtest::told(&state.engine, query, edited, Arc::clone(&state.backtest_progress)).await {
        Ok(report) => Ok(report.to_json()),
        Err(error @ (BacktestError::NoFlow(_) | BacktestError::NoFlows)) => Err(HttpError::not_found(error.to_string())),
        Err(error @ BacktestError::BrokenOff) => Err(HttpError::unavailable("stopping", error.to_string(), 5)),
        Err(error @ BacktestError::Endless) => Err(HttpError::new(StatusCode::CONFLICT, "endless", error.to_string())),
        Err(BacktestError::Store(error)) => Err(unreadable(&error)),
        Err(error @ BacktestError::Failed(_)) => {
            tracing::error!(%error, "a backtest failed");
            Err(HttpError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string()))
        }
    }
}
