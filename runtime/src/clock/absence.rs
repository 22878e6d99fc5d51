//! `when no … within D`: a silence that lasts.

use flow_plan::{Absence, Condition};
use flow_schedule::after;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::store::{BookRow, StoreError};

/// How long it has been silent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Row {
    /// Where the silence is counted from: the last event, or the first sight of the rule, moved on by the time in which
    /// nobody listened.
    pub(super) since: Timestamp,
    /// When the last event was received.
    pub(super) seen: Option<Timestamp>,
    /// The flow was started for this silence.
    pub(super) fired: bool,
}

/// Returns the name of the rule. The condition counts as it is written: the numbers of its slots change with edits of
/// other parts of the flow.
pub(crate) fn key(rule: &Absence) -> String {
    let filter = rule.filter.as_ref().map(written);
    super::rule_key(&(&rule.awaited.connection, rule.awaited.identity(), &rule.awaited.types, filter, &rule.within))
}

fn written(condition: &Condition) -> String {
    let all = |parts: &[Condition]| parts.iter().map(written).collect::<Vec<_>>().join(" ; ");
    match condition {
        Condition::All(parts) => format!("all({})", all(parts)),
        Condition::Any(parts) => format!("any({})", all(parts)),
        Condition::Not(inner) => format!("not({})", written(inner)),
        Condition::Test { text, .. } => text.clone(),
    }
}

pub(super) fn due(rule: &Absence, row: &Row) -> Option<Timestamp> {
    (!row.fired).then(|| after(row.since, &rule.within))
}

/// Returns the row once an event has come.
pub(super) fn seen_row(at: Timestamp) -> Result<BookRow, StoreError> {
    BookRow::of(&Row { since: at, seen: Some(at), fired: false }, None)
}
