//! `log`: a line in the daemon's own log.

use serde_json::{Value as Json, json};

use super::done;
use crate::world::{HttpAnswer, TransportError};

/// What of a text is written.
const LONGEST: usize = 1000;

/// Writes a line: whatever the text holds it is one, and not endless.
pub(super) fn write(what: &Json) -> Result<HttpAnswer, TransportError> {
    let field = |name: &str| what.get(name).and_then(Json::as_str).unwrap_or_default();
    let text = field("text");
    let mut line: String = text.chars().map(|c| if crate::answer::is_control(c) { ' ' } else { c }).take(LONGEST).collect();
    if text.chars().nth(LONGEST).is_some() {
        line.push('…');
    }
    let (flow, run) = (field("flow"), field("run"));
    match field("level") {
        "error" => tracing::error!(flow, run, "{line}"),
        "warning" => tracing::warn!(flow, run, "{line}"),
        "debug" => tracing::debug!(flow, run, "{line}"),
        _ => tracing::info!(flow, run, "{line}"),
    }
    Ok(done(&json!({})))
}
