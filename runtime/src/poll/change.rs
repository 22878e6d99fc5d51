//! The cheap query that tells whether a poll would find anything.

use std::sync::Arc;
use std::time::Duration;

use flow_plan::{Value, WhenChanges};
use jiff::Timestamp;
use serde_json::Value as Json;

use super::Spec;
use super::fetch::PollError;
use crate::engine::Engine;
use crate::eval::eval;
use crate::event::Alone;
use crate::reading::{self, ReadingScope, Untold};
use crate::world::World;

/// What the query told.
pub(super) struct Telling {
    /// A text that can be compared and kept.
    pub(super) text: String,
    /// When it was asked.
    pub(super) at: Timestamp,
    /// What goes along with each item.
    pub(super) along: Vec<(String, Json)>,
    /// What has happened last, by what it told alone.
    pub(super) stands: Option<Alone>,
}

impl From<Untold> for PollError {
    fn from(untold: Untold) -> Self {
        match untold {
            Untold::Withheld(withheld) => withheld.into(),
            Untold::Broken(error) => Self::Broken(error),
            Untold::Failed { error, retry_after } => Self::Failed { error, retry_after },
        }
    }
}

/// Asks the query, or takes what it told a moment ago.
pub(super) async fn ask(
    spec: &Spec,
    when: &WhenChanges,
    engine: &Engine,
    world: &World,
    every: Duration,
) -> Result<Telling, PollError> {
    let connection = &spec.connection;
    let failed = |error: String| PollError::Failed { error, retry_after: None };
    let scope = ReadingScope::new(connection, world.clock.now());
    let inputs = when.args.iter().map(|arg| eval(arg, &scope)).collect::<Result<Vec<_>, _>>();
    let inputs = inputs.map_err(|required| failed(required.to_string()))?;
    let since = reading::serves_from(world.clock.now(), every);
    let read = reading::read(&engine.shared, connection, &Arc::new(when.query.clone()), inputs, since).await?;
    let scope = scope.with_result(&read.value);
    let of = |expr| eval(expr, &scope).map_err(|required| failed(required.to_string()));
    let text = of(&when.value)?.to_json().to_string();
    let mut along = Vec::new();
    for (name, value) in &when.along {
        let value = of(value)?;
        if !value.is_missing() {
            along.push((name.clone(), value.to_json()));
        }
    }
    let mut stands = None;
    if let Some(told) = &when.told {
        let (value, at) = (of(&told.value)?, of(&told.at)?);
        let stands_for = |members: &[String]| value.as_text().is_some_and(|text| members.iter().any(|member| member == text));
        let at = if let Value::Instant(at) = at { at } else { read.at };
        let event_type = told.types.iter().find(|(_, members)| stands_for(members)).map(|(name, _)| name.clone());
        stands = event_type.map(|event_type| Alone { event_type, at });
    }
    Ok(Telling { text, at: read.sent_at, along, stands })
}
