//! The cheap query that tells whether a poll would find anything.

use std::sync::Arc;
use std::time::Duration;

use flow_plan::WhenChanges;
use jiff::Timestamp;

use super::Spec;
use super::fetch::PollError;
use crate::engine::Engine;
use crate::eval::eval;
use crate::reading::{self, ReadingScope, Untold};
use crate::world::World;

impl From<Untold> for PollError {
    fn from(untold: Untold) -> Self {
        match untold {
            Untold::Withheld(withheld) => withheld.into(),
            Untold::Broken(error) => Self::Broken(error),
            Untold::Failed { error, retry_after } => Self::Failed { error, retry_after },
        }
    }
}

/// Returns what the query tells, as a text that can be compared and kept, and when it was asked.
pub(super) async fn ask(
    spec: &Spec,
    when: &WhenChanges,
    engine: &Engine,
    world: &World,
    every: Duration,
) -> Result<(String, Timestamp), PollError> {
    let connection = &spec.connection;
    let failed = |error: String| PollError::Failed { error, retry_after: None };
    let scope = ReadingScope::new(connection, world.clock.now());
    let inputs = when.args.iter().map(|arg| eval(arg, &scope)).collect::<Result<Vec<_>, _>>();
    let inputs = inputs.map_err(|required| failed(required.to_string()))?;
    let since = reading::serves_from(world.clock.now(), every);
    let read = reading::read(&engine.shared, connection, &Arc::new(when.query.clone()), inputs, since).await?;
    let told = eval(&when.value, &scope.with_result(&read.value)).map_err(|required| failed(required.to_string()))?;
    Ok((told.to_json().to_string(), read.sent_at))
}
