//! A flow as its listing shows it, with what is compared taken apart.

use std::collections::{BTreeMap, BTreeSet};

use flow_plan::Schedule;
use serde_json::Value as Json;

/// A flow.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Seen {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) file: String,
    pub(super) line: u64,
    pub(super) hash: String,
    /// What starts it, each in one line.
    pub(super) starts: Vec<String>,
    /// The schedules among that.
    pub(super) schedules: Vec<Schedule>,
    /// The clauses of the filter that all have to hold.
    pub(super) filter: Vec<String>,
    pub(super) limits: Vec<String>,
    /// The steps, those inside of others behind them.
    pub(super) steps: Vec<Step>,
    /// The fewest and the most calls.
    pub(super) calls: (u64, Option<u64>),
    /// The fields that go to an action or query.
    pub(super) sends: BTreeMap<String, BTreeSet<String>>,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) path: String,
    pub(super) text: String,
    pub(super) effect: Option<String>,
    /// How deep it lies in others.
    pub(super) depth: usize,
}

fn text(json: &Json, key: &str) -> String {
    json.get(key).and_then(Json::as_str).unwrap_or_default().to_owned()
}

fn list<'a>(json: &'a Json, key: &str) -> &'a [Json] {
    json.get(key).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

fn texts(json: &Json, key: &str) -> Vec<String> {
    list(json, key).iter().filter_map(Json::as_str).map(str::to_owned).collect()
}

impl Seen {
    /// Reads a flow of a listing. What an older one does not say is as if there were none.
    pub(super) fn read(flow: &Json) -> Self {
        let mut seen = Self {
            id: text(flow, "id"),
            name: flow.get("name").and_then(Json::as_str).map(str::to_owned),
            file: text(flow, "file"),
            line: flow.get("line").and_then(Json::as_u64).unwrap_or_default(),
            hash: text(flow, "hash"),
            limits: texts(flow, "limits"),
            calls: (flow["calls"]["min"].as_u64().unwrap_or_default(), flow["calls"]["max"].as_u64()),
            ..Self::default()
        };
        for trigger in list(flow, "triggers") {
            seen.starts.push(start(trigger));
            let rule = trigger.get("schedule").and_then(|schedule| schedule.get("rule"));
            seen.schedules.extend(rule.and_then(|rule| serde_json::from_value(rule.clone()).ok()));
        }
        match flow.get("filter") {
            None | Some(Json::Null) => {}
            Some(filter) if filter.get("all").is_some() => seen.filter = list(filter, "all").iter().map(condition).collect(),
            Some(filter) => seen.filter.push(condition(filter)),
        }
        steps(list(flow, "steps"), 0, &mut seen.steps);
        for send in list(flow, "sends") {
            seen.sends.entry(text(send, "to")).or_default().extend(texts(send, "fields"));
        }
        seen
    }

    /// Returns what it consists of, for finding the one that is most like it.
    pub(super) fn parts(&self) -> BTreeSet<&str> {
        let steps = self.steps.iter().map(|step| step.text.as_str());
        let lists = self.starts.iter().chain(&self.filter).chain(&self.limits).map(String::as_str);
        lists.chain(steps).chain(self.sends.keys().map(String::as_str)).collect()
    }
}

/// What starts a flow, in the words of the language.
fn start(trigger: &Json) -> String {
    if let Some(schedule) = trigger.get("schedule") {
        let missed = text(schedule, "missed");
        let change = schedule.get("on_clock_change").and_then(Json::as_str);
        let change = change.map(|word| format!(", on clock change {word}")).unwrap_or_default();
        return format!("{}, missed {missed}{change}", text(schedule, "text"));
    }
    for word in ["absence", "state"] {
        if let Some(written) = trigger.get(word).and_then(Json::as_str) {
            return written.to_owned();
        }
    }
    let options = trigger.get("options").and_then(Json::as_object);
    let options: Vec<String> = options.into_iter().flatten().map(|(name, value)| format!("{name}: {value}")).collect();
    let options = if options.is_empty() { String::new() } else { format!("({})", options.join(", ")) };
    format!("{}.{}{options}", text(trigger, "connection"), text(trigger, "trigger"))
}

/// A condition in one line.
fn condition(json: &Json) -> String {
    let join = |key: &str, word: &str| list(json, key).iter().map(condition).collect::<Vec<_>>().join(word);
    if json.get("all").is_some() {
        return format!("({})", join("all", " and "));
    }
    if json.get("any").is_some() {
        return format!("({})", join("any", " or "));
    }
    match json.get("not") {
        Some(inner) => format!("not {}", condition(inner)),
        None => text(json, "test"),
    }
}

fn steps(of: &[Json], depth: usize, into: &mut Vec<Step>) {
    for step in of {
        let effect = step.get("effect").and_then(Json::as_str).map(str::to_owned);
        into.push(Step { path: text(step, "path"), text: text(step, "text"), effect, depth });
        steps(list(step, "steps"), depth + 1, into);
    }
}
