//! Matching as it is meant: each flow looks at each event by itself. It shares the reading of fields and of expressions with
//! the matcher, and nothing else: no scan, no groups, no index, no programs.

use std::sync::Arc;

use flow_plan::{Condition, Env, Expr, Flow, JsonPath, StartKind, TriggerUse, Value};
use flow_runtime::decode::{Misfit, Root, decode_field};
use flow_runtime::eval::{self, Scope, path_get};
use flow_runtime::journal::EventHead;
use flow_runtime::matcher::{MatchedFlow, MatchedStart};

/// An event as one flow sees it.
struct Seen<'a> {
    slots: Vec<Result<Value, Misfit>>,
    root: &'a Value,
    event: &'a EventHead,
}

impl Scope for Seen<'_> {
    fn event(&self, slot: u16) -> Value {
        self.slots.get(usize::from(slot)).and_then(|value| value.clone().ok()).unwrap_or_default()
    }

    fn env(&self, env: &Env) -> Value {
        match env {
            Env::EventId => Value::text(self.event.id.as_str()),
            _ => Value::Missing,
        }
    }

    fn raw(&self, path: &JsonPath) -> Value {
        path_get(self.root, path)
    }
}

impl<'a> Seen<'a> {
    fn new(flow: &Flow, used: &TriggerUse, root: &'a Value, event: &'a EventHead) -> Self {
        let object = path_get(root, &crate::fixture::path("data.object"));
        let slots = flow.reads_of(used).map(|field| match field {
            Some(field) => decode_field(field, &|from, path| match from {
                Root::Record => path_get(&object, path),
                Root::Event => path_get(root, path),
            }),
            None => Ok(Value::Missing),
        });
        Self { slots: slots.collect(), root, event }
    }

    fn fits(&self, slots: &[u16]) -> bool {
        slots.iter().all(|slot| self.slots.get(usize::from(*slot)).is_none_or(Result::is_ok))
    }

    fn guard(&self, used: &TriggerUse) -> Option<bool> {
        let Some(guard) = &used.guard else { return Some(true) };
        let mut slots = Vec::new();
        guard.walk(&mut |expr| {
            if let Expr::Event(slot) = expr {
                slots.push(*slot);
            }
        });
        self.fits(&slots).then(|| eval::holds(guard, self).unwrap_or(false))
    }

    fn verdict(&self, condition: &Condition) -> Option<bool> {
        match condition {
            Condition::All(parts) => {
                let parts: Vec<_> = parts.iter().map(|part| self.verdict(part)).collect();
                if parts.contains(&Some(false)) {
                    Some(false)
                } else {
                    parts.into_iter().collect::<Option<Vec<_>>>().map(|_| true)
                }
            }
            Condition::Any(parts) => {
                let parts: Vec<_> = parts.iter().map(|part| self.verdict(part)).collect();
                if parts.contains(&Some(true)) {
                    Some(true)
                } else {
                    parts.into_iter().collect::<Option<Vec<_>>>().map(|_| false)
                }
            }
            Condition::Not(inner) => self.verdict(inner).map(|holds| !holds),
            Condition::Test { expr, reads, .. } => self.fits(reads).then(|| eval::holds(expr, self).unwrap_or(false)),
        }
    }
}

fn concerns(used: &TriggerUse, event: &EventHead) -> bool {
    let is_of_type = used.types.is_empty() || event.event_type.as_ref().is_some_and(|name| used.types.contains(name));
    used.connection == event.connection && used.source == "events" && is_of_type
}

fn tree(payload: &str) -> Value {
    Value::from_json(&serde_json::from_str(payload).unwrap())
}

/// Returns what an event starts.
pub(super) fn starts(
    flows: &[Arc<Flow>],
    event: &EventHead,
    payload: &str,
    only: Option<&str>,
    skip: &dyn Fn(&str) -> bool,
) -> Vec<MatchedStart> {
    let root = tree(payload);
    let mut starts: Vec<MatchedStart> = Vec::new();
    // Guard and key of a trigger are asked once.
    let mut asked: Vec<(String, Option<bool>)> = Vec::new();
    let mut started: Vec<&str> = Vec::new();
    for flow in flows {
        for used in flow.triggers.iter().filter(|used| concerns(used, event) && only.is_none_or(|only| only == used.name)) {
            let seen = Seen::new(flow, used, &root, event);
            let identity = used.identity();
            let known = asked.iter().find(|(known, _)| *known == identity).map(|(_, holds)| *holds);
            let holds = known.unwrap_or_else(|| {
                let holds = seen.guard(used);
                asked.push((identity.clone(), holds));
                if holds != Some(false) {
                    let key = match used.dedupe.as_ref().map(|key| eval::eval(key, &seen).unwrap_or_default()) {
                        None | Some(Value::Missing) => event.id.clone(),
                        Some(Value::Text(key)) => key.to_string(),
                        Some(key) => key.to_json().to_string(),
                    };
                    let (trigger, identity) = (used.name.clone(), identity.clone());
                    starts.push(MatchedStart { trigger, identity, key, flows: Vec::new() });
                }
                holds
            });
            let matches = flow.filter.as_ref().map_or(Some(true), |filter| seen.verdict(filter));
            let starts_it = holds != Some(false) && matches != Some(false);
            if !starts_it || started.contains(&flow.id.as_str()) || skip(&flow.id) {
                continue;
            }
            started.push(&flow.id);
            let raw = seen_raw(flow, &root);
            let misfit = seen.slots.iter().find_map(|slot| slot.as_ref().err()).map(ToString::to_string);
            let slots = seen.slots.into_iter().map(Result::unwrap_or_default).collect();
            let start = starts.iter_mut().find(|start| start.identity == identity).unwrap();
            start.flows.push(MatchedFlow { flow: Arc::clone(flow), slots, raw, misfit });
        }
    }
    starts
}

/// What a flow reads of the raw payload: here only its filter does.
fn seen_raw(flow: &Flow, root: &Value) -> Vec<(JsonPath, Value)> {
    fn walk(condition: &Condition, paths: &mut Vec<JsonPath>) {
        match condition {
            Condition::All(parts) | Condition::Any(parts) => parts.iter().for_each(|part| walk(part, paths)),
            Condition::Not(inner) => walk(inner, paths),
            Condition::Test { expr, .. } => expr.walk(&mut |expr| {
                if let Expr::Raw(path) = expr
                    && !paths.contains(path)
                {
                    paths.push(path.clone());
                }
            }),
        }
    }
    let mut paths = Vec::new();
    let awaited = flow.triggers.iter().filter_map(|used| match &used.kind {
        StartKind::Absence(rule) => rule.filter.as_ref(),
        _ => None,
    });
    awaited.chain(&flow.filter).for_each(|filter| walk(filter, &mut paths));
    let values = paths.into_iter().map(|path| (path.clone(), path_get(root, &path)));
    values.filter(|(_, value)| !value.is_missing()).collect()
}

/// Returns the flows whose silence an event ends.
pub(super) fn ended(flows: &[Arc<Flow>], event: &EventHead, payload: &str) -> Vec<String> {
    let root = tree(payload);
    let mut ended = Vec::new();
    for flow in flows {
        for used in &flow.triggers {
            let StartKind::Absence(rule) = &used.kind else { continue };
            let seen = Seen::new(flow, &rule.awaited, &root, event);
            let filter = rule.filter.as_ref().map_or(Some(true), |filter| seen.verdict(filter));
            if concerns(&rule.awaited, event) && seen.guard(&rule.awaited) == Some(true) && filter == Some(true) {
                ended.push(flow.id.clone());
            }
        }
    }
    ended
}
