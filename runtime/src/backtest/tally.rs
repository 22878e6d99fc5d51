//! What is counted for one flow, with a few examples of each kind: bounded, however many events there are.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value as Json;

use super::compare::CallDifference;
use crate::why::Clause;

/// So many different reasons are counted apart.
const MOST_REASONS: usize = 50;
const OTHER_REASONS: &str = "other reasons";

/// An event that is told.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Example {
    /// The service's own id.
    pub event: String,
    /// The connection.
    pub connection: String,
    /// When it was received.
    #[serde(serialize_with = "instant")]
    pub received_at: Timestamp,
    /// The run of the live flow.
    pub run: Option<String>,
    /// What the live version made of it.
    pub live: Side,
    /// What the edited version makes of it.
    pub edited: Side,
    /// The calls that differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<CallDifference>,
}

/// What a version makes of an event.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub(super) struct Side {
    /// It starts, or started.
    pub starts: bool,
    /// Why not, or what is to be known of it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The clause that decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clause: Option<Clause>,
}

impl Side {
    pub(super) fn started(reason: impl Into<String>) -> Self {
        Self { starts: true, reason: reason.into(), clause: None }
    }

    pub(super) fn because(reason: impl Into<String>) -> Self {
        Self { starts: false, reason: reason.into(), clause: None }
    }

    pub(super) fn fails(clause: Clause) -> Self {
        Self { starts: false, reason: String::new(), clause: Some(clause) }
    }

    /// What it is counted under: the clause as written, or the reason without the values in it.
    fn kind(&self) -> String {
        match &self.clause {
            Some(clause) => clause.text.clone(),
            None => self.reason.split([':', ';']).next().unwrap_or_default().split(" for ").next().unwrap_or_default().to_owned(),
        }
    }
}

fn instant<S: serde::Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&flow_functions::rfc3339(*at))
}

/// What an event was in both versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    OnlyLive,
    OnlyEdited,
    OtherCalls,
    NeedsAnswers,
    Misfit,
}

impl Kind {
    pub(super) const ALL: [(Kind, &str); 5] = [
        (Kind::OnlyLive, "only_live"),
        (Kind::OnlyEdited, "only_edited"),
        (Kind::OtherCalls, "other_calls"),
        (Kind::NeedsAnswers, "needs_answers"),
        (Kind::Misfit, "misfits"),
    ];
}

/// What is counted for one flow.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Stored events that either version listens to.
    pub(super) events: u64,
    /// Instants and silences at which the clock starts the edited flow.
    pub(super) by_clock: u64,
    pub(super) both: u64,
    pub(super) same_calls: u64,
    /// Runs whose end is not known: an answer that they need was not recorded.
    pub(super) counts: BTreeMap<Kind, u64>,
    /// Runs for which answers had to be made up.
    pub(super) assumed: u64,
    /// By call: how often by the live flow, how often by the edited one.
    pub(super) calls: BTreeMap<String, (u64, u64)>,
    /// By end of the run, as for the calls.
    pub(super) ends: BTreeMap<&'static str, (u64, u64)>,
    /// The most starts of the edited flow within an hour.
    pub(super) busiest_hour: usize,
    last_hour: VecDeque<Timestamp>,
    reasons: BTreeMap<(Kind, String), u64>,
    examples: BTreeMap<Kind, Vec<Example>>,
}

impl Tally {
    /// Counts a start of the edited flow.
    pub(super) fn starts(&mut self, at: Timestamp) {
        let hour = SignedDuration::from_hours(1);
        while self.last_hour.front().is_some_and(|first| at.duration_since(*first) >= hour) {
            self.last_hour.pop_front();
        }
        self.last_hour.push_back(at);
        self.busiest_hour = self.busiest_hour.max(self.last_hour.len());
    }

    /// Counts an event, and keeps it as an example while there is room.
    pub(super) fn count(&mut self, kind: Kind, most: usize, example: impl FnOnce() -> Example) {
        *self.counts.entry(kind).or_default() += 1;
        let known = self.examples.entry(kind).or_default();
        if known.len() < most {
            known.push(example());
        }
    }

    /// Adds the calls of a run to the event that is told for it.
    pub(super) fn add_calls(&mut self, kind: Kind, event: &str, calls: Vec<CallDifference>) {
        if let Some(known) = self.examples.get_mut(&kind).and_then(|known| known.iter_mut().find(|known| known.event == event)) {
            known.calls = calls;
        }
    }

    /// Counts why one of both does not start.
    pub(super) fn because(&mut self, kind: Kind, side: &Side) {
        let reason = side.kind();
        let is_known = self.reasons.contains_key(&(kind, reason.clone()));
        let reason = if is_known || self.reasons.len() < MOST_REASONS { reason } else { OTHER_REASONS.to_owned() };
        *self.reasons.entry((kind, reason)).or_default() += 1;
    }

    pub(super) fn of(&self, kind: Kind) -> u64 {
        self.counts.get(&kind).copied().unwrap_or(0)
    }

    pub(super) fn examples(&self, kind: Kind) -> Json {
        self.examples.get(&kind).map(|examples| serde_json::json!(examples)).unwrap_or_else(|| Json::Array(Vec::new()))
    }

    /// The reasons of a kind, the most frequent first.
    pub(super) fn reasons(&self, kind: Kind) -> Vec<Json> {
        let mut found: Vec<_> = self.reasons.iter().filter(|((of, _), _)| *of == kind).collect();
        found.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        found.into_iter().map(|((_, reason), count)| serde_json::json!({ "reason": reason, "count": count })).collect()
    }
}
