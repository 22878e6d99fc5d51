//! What an edit changes: two sets of plans beside each other, flow by flow, in words.
//!
//! It works on what [`crate::listing`] says of a flow, which is a contract: so a plan of today can be compared with one that
//! was printed long ago, and a daemon says the same as `flowc plan --against`. Flows of equal hashes do the same and are not
//! looked at. Nothing here reads a clock: whoever asks gives the instant from which schedules are compared.

mod pair;
mod seen;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use flow_plan as plan;
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use crate::listing;
use pair::pairs;
use seen::Seen;

/// What an edit does to one flow.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The flow's id, as it is now; that of before where it is gone.
    pub flow: String,
    /// Its id before, where it was another.
    pub was: Option<String>,
    /// What becomes of it.
    pub kind: Kind,
    /// The file and line where it stands now, or stood.
    pub place: (String, u64),
    /// The hash of its plan before.
    pub before: Option<String>,
    /// The hash of its plan now.
    pub after: Option<String>,
    /// What differs.
    pub differences: Vec<Difference>,
}

/// What becomes of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It is there now.
    Added,
    /// It is there no more.
    Removed,
    /// It has another name, and does the same or nearly the same.
    Renamed,
    /// It does something else.
    Changed,
}

impl Kind {
    /// Returns the word of the document.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Added => "added",
            Kind::Removed => "removed",
            Kind::Renamed => "renamed",
            Kind::Changed => "changed",
        }
    }
}

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What: `when`, `where`, `limits`, `step`, `calls`, `sends`, `schedule`, `name`, `other`.
    pub what: &'static str,
    /// How it was; `None` where it is new.
    pub before: Option<String>,
    /// How it is; `None` where it is gone.
    pub after: Option<String>,
    /// What follows from it, or what it is about, for people; "" where that is plain.
    pub note: String,
}

/// All that an edit changes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Changes {
    /// The flows that are not as they were, by kind and id.
    pub flows: Vec<Change>,
    /// How many flows do the same as before.
    pub unchanged: usize,
}

/// Why a document cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangesError {
    /// It is something else.
    #[error("this is no document of `flowc plan --format json`: {0}")]
    NoPlan(String),
    /// Another version of Flow wrote it.
    #[error("this plan is of version {found}, and only version {} can be compared", plan::VERSION)]
    Version {
        /// The version found.
        found: u64,
    },
}

/// Compares two sets of flows. The next instants of schedules are those behind `at`.
pub fn changes(before: &[Arc<plan::Flow>], after: &[Arc<plan::Flow>], at: Timestamp) -> Changes {
    let hashes = |flows: &[Arc<plan::Flow>]| -> BTreeMap<String, String> {
        flows.iter().map(|flow| (flow.id.clone(), flow.hash.clone())).collect()
    };
    let (old, new) = (hashes(before), hashes(after));
    // What did not change is most of it, and is not written out.
    let differs = |flow: &&Arc<plan::Flow>, other: &BTreeMap<String, String>| other.get(&flow.id) != Some(&flow.hash);
    let seen = |flows: &[Arc<plan::Flow>], other: &BTreeMap<String, String>| -> Vec<Seen> {
        flows.iter().filter(|flow| differs(flow, other)).map(|flow| Seen::read(&listing::flow_json(flow))).collect()
    };
    let (gone, come) = (seen(before, &new), seen(after, &old));
    let unchanged = after.len().saturating_sub(come.len());
    compare(&gone, &come, unchanged, at)
}

/// Compares a document of `flowc plan --format json` from before with flows.
///
/// # Errors
/// Where it is no such document.
pub fn changes_since(before: &Json, after: &[Arc<plan::Flow>], at: Timestamp) -> Result<Changes, ChangesError> {
    let no_plan = |reason: &str| ChangesError::NoPlan(reason.to_owned());
    let found = before.get("version").and_then(Json::as_u64).ok_or_else(|| no_plan("it has no `version`"))?;
    if found != u64::from(plan::VERSION) {
        return Err(ChangesError::Version { found });
    }
    let flows = before.get("flows").and_then(Json::as_array).ok_or_else(|| no_plan("it has no `flows`"))?;
    if flows.iter().any(|flow| flow["id"].as_str().is_none() || flow["hash"].as_str().is_none()) {
        return Err(no_plan("a flow in it has no `id` or no `hash`"));
    }
    let old: Vec<Seen> = flows.iter().map(Seen::read).collect();
    let new: Vec<Seen> = after.iter().map(|flow| Seen::read(&listing::flow_json(flow))).collect();
    let same = |seen: &Seen, others: &[Seen]| others.iter().any(|other| other.id == seen.id && other.hash == seen.hash);
    let gone: Vec<Seen> = old.iter().filter(|seen| !same(seen, &new)).cloned().collect();
    let come: Vec<Seen> = new.iter().filter(|seen| !same(seen, &old)).cloned().collect();
    let unchanged = new.len().saturating_sub(come.len());
    Ok(compare(&gone, &come, unchanged, at))
}

/// Pairs what is gone with what has come, and words the differences.
fn compare(gone: &[Seen], come: &[Seen], unchanged: usize, at: Timestamp) -> Changes {
    let mut flows: Vec<Change> = pairs(gone, come)
        .into_iter()
        .filter_map(|(before, after)| {
            let kind = match (before, after) {
                (None, _) => Kind::Added,
                (Some(_), None) => Kind::Removed,
                // A flow without a name is called by what it says, so that each edit gives it another id.
                (Some(before), Some(after)) if before.id != after.id && before.name != after.name => Kind::Renamed,
                (Some(_), Some(_)) => Kind::Changed,
            };
            let shown = after.or(before)?;
            Some(Change {
                flow: shown.id.clone(),
                was: before.filter(|before| before.id != shown.id).map(|before| before.id.clone()),
                kind,
                place: (shown.file.clone(), shown.line),
                before: before.map(|before| before.hash.clone()),
                after: after.map(|after| after.hash.clone()),
                differences: words::differences(before, after, at),
            })
        })
        .collect();
    flows.sort_by(|one, other| (one.kind, &one.flow).cmp(&(other.kind, &other.flow)));
    Changes { flows, unchanged }
}

impl Changes {
    /// Tells whether every flow does the same as before.
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// Returns the document.
    pub fn to_json(&self) -> Json {
        json!({ "changes": self.flows.iter().map(change_json).collect::<Vec<_>>(), "unchanged": self.unchanged })
    }
}

fn change_json(change: &Change) -> Json {
    let differences = change
        .differences
        .iter()
        .map(|one| json!({ "what": one.what, "before": one.before, "after": one.after, "note": one.note }));
    json!({
        "flow": change.flow,
        "was": change.was,
        "change": change.kind.as_str(),
        "file": change.place.0,
        "line": change.place.1,
        "plan": { "before": change.before, "after": change.after },
        "differences": differences.collect::<Vec<_>>(),
    })
}
