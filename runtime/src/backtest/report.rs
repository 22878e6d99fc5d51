//! What a backtest tells, as JSON.

use flow_functions::rfc3339;
use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};

use super::subject::Subject;
use super::tally::{Kind, Tally};

/// What a backtest found.
#[derive(Debug, Clone, PartialEq)]
pub struct Report(pub(super) Json);

impl Report {
    /// Returns the JSON of the API.
    pub fn to_json(&self) -> Json {
        self.0.clone()
    }
}

/// What is said of the whole.
pub(super) struct Head<'a> {
    pub(super) file: &'a str,
    pub(super) since: Timestamp,
    pub(super) until: Timestamp,
    pub(super) stored_since: Option<Timestamp>,
    /// Stored events within the time.
    pub(super) events: u64,
    /// Live flows of the file that it has no more, and how often they started.
    pub(super) removed: Vec<(String, u64)>,
}

pub(super) fn report(head: &Head<'_>, flows: &[(Subject, Tally)]) -> Report {
    Report(json!({
        "file": head.file,
        "since": rfc3339(head.since),
        "until": rfc3339(head.until),
        "stored_since": head.stored_since.map(rfc3339),
        "events": head.events,
        "flows": flows.iter().map(|(subject, tally)| flow(subject, tally)).collect::<Vec<_>>(),
        "removed": head.removed.iter().map(|(flow, runs)| json!({ "flow": flow, "runs": runs })).collect::<Vec<_>>(),
    }))
}

fn flow(subject: &Subject, tally: &Tally) -> Json {
    let flow = &subject.edited;
    let pairs = |counts: &mut dyn Iterator<Item = (&str, &(u64, u64))>| -> Vec<Json> {
        counts.map(|(name, (live, edited))| json!({ "name": name, "live": live, "edited": edited })).collect()
    };
    let mut json = json!({
        "flow": flow.id,
        "line": flow.line,
        "live": subject.live.is_some(),
        "changed": subject.live.as_ref().is_none_or(|live| live.hash != flow.hash),
        "tried": !subject.is_blind,
        "notes": subject.notes,
        "events": tally.events,
        "by_clock": tally.by_clock,
        "both": tally.both,
        "same_calls": tally.same_calls,
        "assumed": tally.assumed,
        "busiest_hour": tally.busiest_hour,
        "calls": pairs(&mut tally.calls.iter().map(|(name, counts)| (name.as_str(), counts))),
        "ends": pairs(&mut tally.ends.iter().map(|(name, counts)| (*name, counts))),
        "reasons": {
            "only_live": tally.reasons(Kind::OnlyLive),
            "only_edited": tally.reasons(Kind::OnlyEdited),
        },
    });
    if let Some(object) = json.as_object_mut() {
        let mut examples = Map::new();
        for (kind, name) in Kind::ALL {
            object.insert(name.to_owned(), json!(tally.of(kind)));
            examples.insert(name.to_owned(), tally.examples(kind));
        }
        object.insert("examples".to_owned(), Json::Object(examples));
    }
    json
}
