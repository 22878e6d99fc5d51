//! Why an event started a flow, or did not.

use std::collections::BTreeMap;

use flow_plan::{Condition, Each, Expr, FieldShape, Flow, TriggerUse, Value};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value as Json;

use crate::eval::Scope;
use crate::live::Live;
use crate::matcher::{FlowView, Matcher};
use crate::run::shorten_field;
use crate::store::{RunHead, StoredEvent, WAS_PAUSED};

/// What a flow makes of an event.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Why {
    /// The flow.
    pub flow: String,
    /// The trigger of the flow that the event is.
    pub trigger: String,
    /// The run that the event started.
    pub ran: Option<String>,
    /// The answer in one sentence.
    pub reason: String,
    /// The clauses of the filter as it is now.
    pub clauses: Vec<Clause>,
}

/// A clause with what it read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Clause {
    /// As written, or `all`, `any`, `not`.
    pub text: String,
    /// Whether it holds; `null` where a field that it reads does not fit.
    pub holds: Option<bool>,
    /// What it read.
    pub values: Vec<Read>,
    /// Why it does not hold, where that is not plain: `missing`, `other currency`, `does not fit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// The clauses inside.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Clause>,
}

/// A field with its value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Read {
    /// The field.
    pub name: String,
    /// Its value; personal ones are shortened unless they were asked for.
    pub value: Json,
}

/// When a flow was paused, as far as is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pauses {
    /// Since when it is paused.
    pub since: Option<Timestamp>,
    /// Earlier pauses, from and until: those of this start, since the store keeps none that is over.
    pub over: Vec<(Timestamp, Timestamp)>,
}

impl Pauses {
    fn covered(&self, at: Timestamp) -> bool {
        self.over.iter().any(|(from, until)| (*from..=*until).contains(&at))
    }
}

/// Returns what the live flows of the event's source make of it: all of them, or `only` one. `ran` are the runs that it
/// started, `drops` the flows that it did not start because of their limits, and why.
#[expect(clippy::too_many_arguments, reason = "one answer from all that is known about it")]
pub fn why(
    matcher: &Matcher,
    live: &Live,
    event: &StoredEvent,
    only: Option<&str>,
    ran: &[RunHead],
    drops: &[(String, String)],
    pauses: &dyn Fn(&str) -> Pauses,
    personal: bool,
) -> Vec<Why> {
    let mut answers: Vec<Why> = Vec::new();
    let head = event.head();
    let no_settings = BTreeMap::new();
    let settings = live.connections.get(&event.connection).map_or(&no_settings, |live| &live.plan.settings);
    let group = matcher.group_of(&event.connection, &event.source, event.event_type.as_deref());
    if let Some(Ok(payload)) = group.map(|group| group.read(&event.payload)) {
        payload.each_listener(&head, settings, &mut |flow, used, view, guard| {
            if only.is_none_or(|only| only == flow.id) {
                let run = ran.iter().find(|run| run.flow == flow.id);
                let dropped = drops.iter().find(|(of, _)| *of == flow.id).map(|(_, reason)| reason.as_str());
                answers.push(explain(flow, used, view, guard, run, dropped, event, &pauses(&flow.id), personal));
            }
        });
    }
    // One answer per flow: the one of the trigger that fired, where one did.
    let mut first: Vec<Why> = Vec::new();
    for answer in answers {
        match first.iter_mut().find(|known| known.flow == answer.flow) {
            Some(known) if known.ran.is_none() && answer.clauses.len() > known.clauses.len() => *known = answer,
            Some(_) => {}
            None => first.push(answer),
        }
    }
    for flow in &live.flows {
        let listens = first.iter().any(|answer| answer.flow == flow.id);
        let of_connection = flow.triggers.iter().any(|used| used.connection == event.connection);
        let wanted = only.map_or(of_connection, |only| only == flow.id);
        if !listens && wanted {
            first.push(not_listening(flow, event));
        }
    }
    for run in ran {
        if only.is_none_or(|only| only == run.flow) && !first.iter().any(|answer| answer.flow == run.flow) {
            let reason = "it ran; the flow is not live any more".to_owned();
            let (flow, trigger) = (run.flow.clone(), run.trigger.clone());
            first.push(Why { flow, trigger, ran: Some(run.id.clone()), reason, clauses: Vec::new() });
        }
    }
    first
}

fn not_listening(flow: &Flow, event: &StoredEvent) -> Why {
    let names: Vec<String> = flow.triggers.iter().map(|used| format!("{}.{}", used.connection, used.name)).collect();
    let is = match &event.event_type {
        Some(event_type) => format!("the event is of type `{event_type}`"),
        None => "the event is of another kind".to_owned(),
    };
    Why {
        flow: flow.id.clone(),
        trigger: String::new(),
        ran: None,
        reason: format!("it listens to {}; {is}", names.join(", ")),
        clauses: Vec::new(),
    }
}

#[expect(clippy::too_many_arguments, reason = "one answer from all that is known about it")]
fn explain(
    flow: &Flow,
    used: &TriggerUse,
    view: &FlowView<'_>,
    guard: Option<bool>,
    run: Option<&RunHead>,
    dropped: Option<&str>,
    event: &StoredEvent,
    pauses: &Pauses,
    personal: bool,
) -> Why {
    let clauses = match &flow.filter {
        Some(Condition::All(parts)) => parts.iter().map(|part| clause(flow, view, part, personal)).collect(),
        Some(filter) => vec![clause(flow, view, filter, personal)],
        None => Vec::new(),
    };
    let verdict = flow.filter.as_ref().map_or(Some(true), |filter| view.verdict(filter));
    let reason = match (run, guard, verdict) {
        (Some(run), ..) if run.waits.held => format!("it starts later: {}", run.reason.as_deref().unwrap_or("it is held back")),
        (Some(run), ..) if run.plan != flow.hash => "it ran, under an earlier version of the flow".to_owned(),
        (Some(_), ..) => "it ran".to_owned(),
        (None, Some(true), Some(true)) if dropped == Some(WAS_PAUSED) && is_still_paused(pauses, event) => {
            format!("{WAS_PAUSED}, and still is")
        }
        (None, Some(true), Some(true)) if dropped.is_some() => dropped.unwrap_or_default().to_owned(),
        (None, Some(false), _) => format!("trigger {} does not count this event", used.name),
        (None, None, _) | (None, _, None) => match view.first_misfit() {
            Some(misfit) => format!("payload does not fit: {misfit}"),
            None => "payload does not fit".to_owned(),
        },
        (None, _, Some(false)) => match first_false(&clauses) {
            Some(failed) => match &failed.because {
                Some(because) => format!("`{}` does not hold: {because}", failed.text),
                None => format!("`{}` does not hold", failed.text),
            },
            None => "its condition does not hold".to_owned(),
        },
        (None, Some(true), Some(true)) if is_still_paused(pauses, event) => format!("{WAS_PAUSED}, and still is"),
        (None, Some(true), Some(true)) if pauses.covered(event.received_at) => WAS_PAUSED.to_owned(),
        (None, Some(true), Some(true)) if used.dedupe.is_some() && view.key(used) != event.id => {
            "it matches; it has run for an earlier event with the same key, or was paused or not live at the time".to_owned()
        }
        (None, Some(true), Some(true)) => "it matches now; it was not live, paused, or another version, at the time".to_owned(),
    };
    Why { flow: flow.id.clone(), trigger: used.name.clone(), ran: run.map(|run| run.id.clone()), reason, clauses }
}

/// Returns the first leaf by which the condition of a flow fails for an event; `None` where it holds, or is not known to fail.
/// Personal values are shortened.
pub(crate) fn failing(flow: &Flow, view: &FlowView<'_>) -> Option<Clause> {
    let filter = flow.filter.as_ref()?;
    let whole = clause(flow, view, filter, false);
    if whole.holds != Some(false) {
        return None;
    }
    first_false(std::slice::from_ref(&whole)).cloned()
}

/// The pause that kept the event from the flow goes on.
fn is_still_paused(pauses: &Pauses, event: &StoredEvent) -> bool {
    pauses.since.is_some_and(|since| since <= event.received_at)
}

/// The first leaf that makes the whole fail.
fn first_false(clauses: &[Clause]) -> Option<&Clause> {
    let failed = clauses.iter().find(|clause| clause.holds == Some(false))?;
    match failed.text.as_str() {
        "all" | "any" if !failed.children.is_empty() => first_false(&failed.children).or(Some(failed)),
        _ => Some(failed),
    }
}

fn clause(flow: &Flow, view: &FlowView<'_>, condition: &Condition, personal: bool) -> Clause {
    let holds = view.verdict(condition);
    let group = |text: &str, parts: &[Condition]| Clause {
        text: text.to_owned(),
        holds,
        values: Vec::new(),
        because: None,
        children: parts.iter().map(|part| clause(flow, view, part, personal)).collect(),
    };
    match condition {
        Condition::All(parts) => group("all", parts),
        Condition::Any(parts) => group("any", parts),
        Condition::Not(inner) => group("not", std::slice::from_ref(inner)),
        Condition::Test { text, expr, reads } => {
            let values = reads.iter().filter_map(|slot| Some((*slot, flow.reads.get(usize::from(*slot))?)));
            let values = values.map(|(slot, field)| read(view, slot, field, personal)).collect();
            let because = match holds {
                Some(true) => None,
                Some(false) => because(view, expr),
                None => reads.iter().find_map(|slot| view.misfit(*slot)).map(|misfit| format!("does not fit: {misfit}")),
            };
            Clause { text: text.clone(), holds, values, because, children: Vec::new() }
        }
    }
}

fn read(view: &FlowView<'_>, slot: u16, field: &FieldShape, personal: bool) -> Read {
    let value = view.event(slot);
    let shown = if personal { value } else { shorten_field(Some(field), &value) };
    Read { name: field.name.clone(), value: shown.to_json() }
}

/// Which item of a list decides.
fn of_items(view: &FlowView<'_>, expr: &Expr, list: &Expr, asked: &Expr) -> Option<String> {
    let items = match view.eval(list) {
        Value::List(items) => items,
        _ => return Some("missing".to_owned()),
    };
    if let Expr::ForEach(Each::Any, ..) = expr {
        return Some(match items.len() {
            0 => "the list is empty".to_owned(),
            1 => "not for its one item".to_owned(),
            many => format!("for none of its {many} items"),
        });
    }
    // What is asked is asked of one item after the other, as lists of one.
    let failing = items.iter().position(|item| {
        let one = Expr::Const(Value::List(vec![item.clone()].into()));
        view.eval(&Expr::ForEach(Each::All, Box::new(one), Box::new(asked.clone()))) != Value::Bool(true)
    })?;
    Some(format!("not for item {} of {}", failing + 1, items.len()))
}

/// Why a test does not hold, where its values alone do not say it.
fn because(view: &FlowView<'_>, expr: &Expr) -> Option<String> {
    let sides: Vec<Value> = match expr {
        Expr::CompareAny(_, value, limits) => {
            return match view.eval(value) {
                Value::Missing => Some("missing".to_owned()),
                Value::Money(money) if !limits.contains_key(&money.currency) => Some("other currency".to_owned()),
                _ => None,
            };
        }
        Expr::Compare(_, left, right) | Expr::CompareMajor(_, left, right) | Expr::Equal(left, right) => {
            vec![view.eval(left), view.eval(right)]
        }
        Expr::InRange(value, low, high) => vec![view.eval(value), view.eval(low), view.eval(high)],
        Expr::Contains(left, right) | Expr::StartsWith(left, right) | Expr::EndsWith(left, right) | Expr::InList(left, right) => {
            vec![view.eval(left), view.eval(right)]
        }
        Expr::OneOf(value, _) | Expr::Matches(value, _) => vec![view.eval(value)],
        Expr::ForEach(Each::Any | Each::All, list, asked) => return of_items(view, expr, list, asked),
        _ => return None,
    };
    if sides.iter().any(Value::is_missing) {
        return Some("missing".to_owned());
    }
    let mut currencies = sides.iter().filter_map(|side| match side {
        Value::Money(money) => Some(money.currency),
        _ => None,
    });
    let first = currencies.next()?;
    currencies.any(|other| other != first).then(|| "other currency".to_owned())
}
