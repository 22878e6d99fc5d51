//! States: what is known of one, and what that means for the flows that wait for it. Pure.
//!
//! A state that is not known says nothing: it neither begins nor ends a stretch, and what was known before and after it
//! are neighbours.

use flow_plan::{Gaps, StateOp, StateStart, Value};
use flow_schedule::after;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::eval::{equal, ordering};

/// What is known of a state.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Known {
    /// How it is read: what another source said is not taken over.
    pub(super) source: String,
    /// What it was when it was last known.
    pub(super) value: Option<Value>,
    /// Since when it is that, as far as is known.
    pub(super) since: Option<Timestamp>,
    /// When it was last known.
    pub(super) observed: Option<Timestamp>,
    /// It was not known at some time since.
    #[serde(default)]
    pub(super) gap: bool,
}

/// How a flow's wait for a state stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Row {
    /// When the rule was first seen: changes before do not count.
    pub(super) first: Timestamp,
    /// It holds, as far as is known.
    pub(super) stretch: Option<Stretch>,
}

/// A time in which it holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Stretch {
    /// Its beginning.
    pub(super) since: Timestamp,
    /// What the state was before, where that is known.
    pub(super) was: Option<Value>,
    /// The flow was started for it.
    pub(super) fired: bool,
}

/// Something that starts a flow.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fired {
    /// When it was due.
    pub(super) at: Timestamp,
    /// Since when it is so.
    pub(super) since: Timestamp,
    /// What the state was before.
    pub(super) was: Option<Value>,
}

/// Returns the name of the rule. How gaps count is no part of it: who changes that waits for the same.
pub(super) fn key(connection: &str, rule: &StateStart) -> String {
    super::rule_key(&(connection, &rule.state, &rule.op, &rule.value, &rule.lasting))
}

fn holds(rule: &StateStart, value: &Value) -> bool {
    match rule.op {
        StateOp::Is | StateOp::Becomes => equal(value, &rule.value),
        StateOp::RisesAbove => ordering(value, &rule.value).is_some_and(std::cmp::Ordering::is_gt),
        StateOp::DropsBelow => ordering(value, &rule.value).is_some_and(std::cmp::Ordering::is_lt),
        StateOp::Changes | StateOp::Unknown | StateOp::Unreadable | StateOp::Known => false,
    }
}

/// Tells whether the state is something when the flow starts.
pub(super) fn has_value(rule: &StateStart) -> bool {
    !matches!(rule.op, StateOp::Unknown | StateOp::Unreadable)
}

/// Whether a service tells nothing of a state, or cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unknown {
    /// It answers, and does not know either.
    Unsaid,
    /// There is no answer.
    Unread,
}

/// Advances a flow's wait by that a state is not known. `before` is what was known until now.
pub(super) fn advance_unknown(rule: &StateStart, row: &Row, before: &Known, why: Unknown, at: Timestamp) -> (Row, Option<Fired>) {
    let holds = match rule.op {
        StateOp::Unknown | StateOp::Known => true,
        StateOp::Unreadable => why == Unknown::Unread,
        StateOp::Is | StateOp::Becomes | StateOp::RisesAbove | StateOp::DropsBelow | StateOp::Changes => {
            return (row.clone(), None);
        }
    };
    if !holds {
        return (Row { first: row.first, stretch: None }, None);
    }
    let mut next = Row { first: row.first, stretch: row.stretch.clone() };
    let stretch = next.stretch.get_or_insert_with(|| Stretch { since: at, was: before.value.clone(), fired: false });
    let is_due = rule.lasting.as_ref().is_none_or(|lasting| after(stretch.since, lasting) <= at);
    // That it is known is said once it is.
    if stretch.fired || !is_due || rule.op == StateOp::Known {
        return (next, None);
    }
    stretch.fired = true;
    let fired = Fired { at, since: stretch.since, was: stretch.was.clone() };
    (next, Some(fired))
}

/// Returns when a flow starts unless something changes before.
pub(super) fn due(rule: &StateStart, row: &Row) -> Option<Timestamp> {
    let stretch = row.stretch.as_ref().filter(|stretch| !stretch.fired)?;
    rule.lasting.as_ref().map(|lasting| after(stretch.since, lasting))
}

/// Advances a flow's wait by what is known now. `before` is what was known until now, `sent_at` the instant of the question
/// and `at` that of the answer.
pub(super) fn advance(
    rule: &StateStart,
    row: &Row,
    before: &Known,
    value: &Value,
    sent_at: Timestamp,
    at: Timestamp,
) -> (Row, Option<Fired>) {
    let seen_before = before.value.as_ref().filter(|_| before.observed.is_some_and(|observed| observed >= row.first));
    if rule.op == StateOp::Changes {
        let fired = seen_before.filter(|before| *before != value).map(|was| {
            // Right after the last look, where nobody looked since: that one is the moment of the change before.
            let seen = before.observed.filter(|_| before.gap);
            let due = seen.map_or(at, |seen| seen.checked_add(jiff::SignedDuration::from_millis(1)).unwrap_or(seen).min(at));
            Fired { at: due, since: at, was: Some(was.clone()) }
        });
        return (Row { first: row.first, stretch: None }, fired);
    }
    if rule.op == StateOp::Known {
        let fired = row.stretch.as_ref().map(|unknown| Fired { at, since: unknown.since, was: unknown.was.clone() });
        return (Row { first: row.first, stretch: None }, fired);
    }
    if !holds(rule, value) {
        return (Row { first: row.first, stretch: None }, None);
    }
    let changed = seen_before.filter(|before| !holds(rule, before));
    let mut stretch = match &row.stretch {
        // The time counts from when the state was known again.
        // A flow that was started for the stretch is not started for it again.
        Some(known) if before.gap && rule.gaps == Gaps::Restart && !known.fired => Some(Stretch { since: at, ..known.clone() }),
        Some(known) => Some(known.clone()),
        None => {
            // That it is so suffices for `is`; all others need to have seen it become so.
            let begins = changed.is_some() || matches!((rule.op, &rule.lasting), (StateOp::Is, Some(_)));
            begins.then(|| Stretch { since: at, was: changed.cloned(), fired: false })
        }
    };
    let mut fired = None;
    if let Some(stretch) = stretch.as_mut().filter(|stretch| !stretch.fired) {
        let due = rule.lasting.as_ref().map_or(stretch.since, |lasting| after(stretch.since, lasting));
        // What was asked before the time was over says nothing about its end.
        if rule.lasting.is_none() || due <= sent_at {
            // What had to be read again first is due when that was done.
            let due = if rule.gaps == Gaps::Assume { due } else { due.max(sent_at) };
            // What changed while nobody looked may have changed right after the last look: so old is the event.
            let due = match before.observed.filter(|_| before.gap && rule.lasting.is_none()) {
                Some(seen) => due.min(seen),
                None => due,
            };
            fired = Some(Fired { at: due, since: stretch.since, was: stretch.was.clone() });
            stretch.fired = true;
        }
    }
    (Row { first: row.first, stretch }, fired)
}

/// Lets the time of a stretch be over without asking again: `across gaps assume`, and where there is nothing that could be asked.
pub(super) fn assume(rule: &StateStart, row: &Row, now: Timestamp) -> Option<(Row, Fired)> {
    let assumes = rule.gaps == Gaps::Assume || matches!(rule.op, StateOp::Unknown | StateOp::Unreadable);
    let at = due(rule, row).filter(|due| *due <= now && assumes)?;
    let mut stretch = row.stretch.clone()?;
    stretch.fired = true;
    let fired = Fired { at, since: stretch.since, was: stretch.was.clone() };
    Some((Row { first: row.first, stretch: Some(stretch) }, fired))
}

/// Returns what is known once the state was read.
pub(super) fn known(before: &Known, value: &Value, at: Timestamp) -> Known {
    let same = before.value.as_ref() == Some(value);
    Known {
        source: before.source.clone(),
        since: if same { before.since } else { Some(at) },
        value: Some(value.clone()),
        observed: Some(at),
        gap: false,
    }
}
