//! The calls of the live flow against those of the edited one, for one event.

use flow_plan::Value;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::answers::MadeCall;
use super::recorded::RecordedCall;
use crate::run::shorten;

/// A call that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct CallDifference {
    /// `connection.operation`.
    pub call: String,
    /// Who makes it: `live`, `edited` or `both`.
    pub by: &'static str,
    /// Where one alone makes it: its inputs.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub inputs: Map<String, Json>,
    /// Where both make it: the inputs that differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldDifference>,
}

/// An input that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct FieldDifference {
    /// The input.
    pub field: String,
    /// Its value in the live flow; null where it was not given.
    pub live: Json,
    /// Its value in the edited flow.
    pub edited: Json,
}

type Inputs = [(String, Value, bool)];

/// Compares the calls that change something. What a run would have done behind a call whose answer is not known is not
/// known either: then what the live flow alone did is no difference.
pub(super) fn compare(live: &[RecordedCall], until: Timestamp, edited: &[MadeCall], is_whole: bool) -> Vec<CallDifference> {
    let mut left: Vec<&RecordedCall> = live.iter().filter(|call| !call.reads && call.began_at < until).collect();
    let mut differences = Vec::new();
    for call in edited.iter().filter(|call| !call.reads) {
        let at = left.iter().position(|known| known.name == call.name);
        match at.map(|at| left.remove(at)) {
            Some(known) => differences.extend(fields(&call.name, &known.inputs, &call.inputs)),
            None => differences.push(alone(&call.name, "edited", &call.inputs)),
        }
    }
    if is_whole {
        differences.extend(left.into_iter().map(|call| alone(&call.name, "live", &call.inputs)));
    }
    differences
}

fn alone(call: &str, by: &'static str, inputs: &Inputs) -> CallDifference {
    let inputs = inputs.iter().map(|(name, value, personal)| (name.clone(), shown(value, *personal))).collect();
    CallDifference { call: call.to_owned(), by, inputs, fields: Vec::new() }
}

fn fields(call: &str, live: &Inputs, edited: &Inputs) -> Option<CallDifference> {
    let find = |inputs: &Inputs, name: &str| inputs.iter().find(|(known, ..)| known == name).cloned();
    let mut names: Vec<&String> = live.iter().map(|(name, ..)| name).collect();
    names.extend(edited.iter().map(|(name, ..)| name).filter(|name| !live.iter().any(|(known, ..)| known == *name)));
    let mut fields = Vec::new();
    for name in names {
        let (before, after) = (find(live, name), find(edited, name));
        let value = |side: &Option<(String, Value, bool)>| side.as_ref().map(|(_, value, _)| value.clone()).unwrap_or_default();
        if value(&before) != value(&after) {
            let personal = before.iter().chain(&after).any(|(.., personal)| *personal);
            let (live, edited) = (shown(&value(&before), personal), shown(&value(&after), personal));
            fields.push(FieldDifference { field: name.clone(), live, edited });
        }
    }
    (!fields.is_empty()).then(|| CallDifference { call: call.to_owned(), by: "both", inputs: Map::new(), fields })
}

/// Personal values are shortened.
pub(super) fn shown(value: &Value, personal: bool) -> Json {
    if personal { shorten(value).to_json() } else { value.to_json() }
}
