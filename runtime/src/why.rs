//! Why an event started a flow, or did not.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use flow_plan::{Condition, Each, Expr, FieldShape, Flow, TriggerUse, Value};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value as Json;

use crate::engine::{AtTheTime, DEEPEST, Was, about};
use crate::eval::Scope;
use crate::event::Via;
use crate::live::Live;
use crate::matcher::{FlowView, Matcher, reads};
use crate::run::{Status, shorten_field};
use crate::store::{RunHead, StoredEvent, WAS_PAUSED};
use flow_functions::rfc3339;

/// What a flow makes of an event.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Why {
    /// The flow.
    pub flow: String,
    /// The trigger of the flow that the event is.
    pub trigger: String,
    /// The run that the event started.
    pub ran: Option<String>,
    /// Where that run stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// The answer in one sentence.
    pub reason: String,
    /// The first clause that fails, with what it read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<Clause>,
    /// The version of the flow by which this is told, where it is another one than the live one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Earlier>,
    /// The clauses of the filter.
    pub clauses: Vec<Clause>,
}

/// A version of a flow that is not live any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Earlier {
    /// The hash of its plan.
    pub plan: String,
    /// Since when it was live.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

/// A clause with what it read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Clause {
    /// As written, or `all`, `any`, `not`.
    pub text: String,
    /// Where it stands: `main.flow:3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
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
    /// Earlier pauses, from and until.
    pub over: Vec<(Timestamp, Timestamp)>,
}

impl Pauses {
    fn covered(&self, at: Timestamp) -> bool {
        self.over.iter().any(|(from, until)| (*from..=*until).contains(&at))
    }
}

/// What is asked.
pub(crate) struct Asked<'a> {
    /// The event.
    pub(crate) event: &'a StoredEvent,
    /// One flow alone.
    pub(crate) only: Option<&'a str>,
    /// The runs that the event started.
    pub(crate) ran: &'a [RunHead],
    /// The flows that it did not start because of their limits, and why.
    pub(crate) drops: &'a [(String, String)],
    /// Personal values are wanted in full.
    pub(crate) personal: bool,
}

/// What is remembered beside the event and the live flows.
pub(crate) trait Remembered {
    /// When a flow was paused.
    fn pauses(&self, flow: &str) -> Pauses;
    /// Which version of a flow was live when the event came.
    fn version(&self, flow: &str) -> AtTheTime;
    /// The flows that were live when the event came, or after it, and are not any more.
    fn gone(&self) -> Vec<String>;
    /// The run that an earlier event of the same key started: its id, its event's id, and how and when that came.
    fn started_before(&self, flow: &str, identity: &str, key: &str) -> Option<String>;
}

/// Returns what the flows of the event's connection make of it, by the versions that were live when it came.
pub(crate) fn why(matcher: &Matcher, live: &Live, asked: &Asked<'_>, remembered: &dyn Remembered) -> Vec<Why> {
    let event = asked.event;
    let is_wanted = |flow: &Flow| match asked.only {
        Some(only) => only == flow.id,
        None => flow.triggers.iter().any(|used| used.connection == event.connection),
    };
    let mut told: Vec<Why> = Vec::new();
    let mut by_earlier: Vec<(Arc<Flow>, Was)> = Vec::new();
    let mut as_they_are: Vec<(Arc<Flow>, AtTheTime)> = Vec::new();
    for flow in &live.flows {
        // What a flow listens to may have changed too.
        match remembered.version(&flow.id) {
            AtTheTime::Was(was) => match was.plan.clone() {
                Some(plan) if is_wanted(&plan) || is_wanted(flow) => by_earlier.push((plan, *was)),
                _ if is_wanted(flow) => as_they_are.push((Arc::clone(flow), AtTheTime::Was(was))),
                _ => {}
            },
            version if is_wanted(flow) => as_they_are.push((Arc::clone(flow), version)),
            AtTheTime::Live | AtTheTime::None { .. } | AtTheTime::Unknown => {}
        }
    }
    for flow in remembered.gone() {
        if let AtTheTime::Was(was) = remembered.version(&flow)
            && let Some(plan) = was.plan.clone().filter(|plan| is_wanted(plan))
        {
            by_earlier.push((plan, *was));
        }
    }
    let mut answers = listening(matcher, live, asked, remembered);
    for (flow, version) in as_they_are {
        let answer = answers.iter().position(|answer| answer.flow == flow.id).map(|at| answers.swap_remove(at));
        told.push(at_the_time(answer.unwrap_or_else(|| not_listening(&flow, event)), &version));
    }
    if !by_earlier.is_empty() {
        let flows = by_earlier.iter().map(|(flow, _)| Arc::clone(flow)).collect();
        let then = Live { flows, connections: live.connections.clone(), ..Live::default() };
        let mut answers = listening(&Matcher::build(&then, None), &then, asked, remembered);
        for (flow, was) in by_earlier {
            let answer = answers.iter().position(|answer| answer.flow == flow.id).map(|at| answers.swap_remove(at));
            let mut answer = answer.unwrap_or_else(|| not_listening(&flow, event));
            answer.version = Some(Earlier { plan: was.hash, since: was.since, until: was.until });
            told.push(answer);
        }
    }
    for run in asked.ran {
        if asked.only.is_none_or(|only| only == run.flow) && !told.iter().any(|answer| answer.flow == run.flow) {
            told.push(Why {
                trigger: run.trigger.clone(),
                ran: Some(run.id.clone()),
                status: Some(run.status),
                ..Why::of(&run.flow, "it ran; the flow is not live any more")
            });
        }
    }
    // As the flows stand in their files; those that are gone behind them.
    let places: HashMap<&str, usize> = live.flows.iter().enumerate().map(|(at, flow)| (flow.id.as_str(), at)).collect();
    told.sort_by_key(|answer| places.get(answer.flow.as_str()).copied().unwrap_or(usize::MAX));
    told
}

impl Why {
    fn of(flow: &str, reason: impl Into<String>) -> Self {
        Self {
            flow: flow.to_owned(),
            trigger: String::new(),
            ran: None,
            status: None,
            reason: reason.into(),
            failed: None,
            version: None,
            clauses: Vec::new(),
        }
    }
}

/// Returns what the flows of a matcher that listen make of the event: one answer per flow, the one of the trigger that
/// fired, where one did.
fn listening(matcher: &Matcher, live: &Live, asked: &Asked<'_>, remembered: &dyn Remembered) -> Vec<Why> {
    let event = asked.event;
    let head = event.head();
    let no_settings = BTreeMap::new();
    let settings = live.connections.get(&event.connection).map_or(&no_settings, |live| &live.plan.settings);
    let mut first: Vec<Why> = Vec::new();
    let group = matcher.group_of(&event.connection, &event.source, event.event_type.as_deref());
    let Some(Ok(payload)) = group.map(|group| group.read(&event.payload)) else { return first };
    payload.each_listener(&head, settings, &mut |flow, used, view, guard| {
        if asked.only.is_some_and(|only| only != flow.id) {
            return;
        }
        let answer = explain(flow, used, view, guard, asked, remembered);
        match first.iter_mut().find(|known| known.flow == answer.flow) {
            Some(known) if known.ran.is_none() && answer.clauses.len() > known.clauses.len() => *known = answer,
            Some(_) => {}
            None => first.push(answer),
        }
    });
    first
}

fn not_listening(flow: &Flow, event: &StoredEvent) -> Why {
    let names: Vec<String> = flow.triggers.iter().map(|used| format!("{}.{}", used.connection, used.name)).collect();
    let is = match &event.event_type {
        Some(event_type) => format!("the event is of type `{event_type}`"),
        None => "the event is of another kind".to_owned(),
    };
    Why::of(&flow.id, format!("it listens to {}; {is}", names.join(", ")))
}

/// Says of an answer by the live version what is to be said of the time of the event.
fn at_the_time(mut answer: Why, version: &AtTheTime) -> Why {
    if answer.ran.is_some() {
        return answer;
    }
    let now = &answer.reason;
    match version {
        AtTheTime::Live | AtTheTime::Unknown => {}
        AtTheTime::Was(was) => {
            let (plan, until) = (was.hash.get(..12).unwrap_or(&was.hash), rfc3339(was.until));
            answer.reason = format!(
                "another version of the flow was live when it came (plan {plan}, until {until}), which is not kept; as it is now: {now}"
            );
        }
        AtTheTime::None { since: Some(since) } => {
            answer.reason =
                format!("the flow was not live yet when it came: it is since {}; as it is now: {now}", rfc3339(*since));
        }
        AtTheTime::None { since: None } => {
            answer.reason = format!("the flow was not live when it came; as it is now: {now}");
        }
    }
    answer
}

fn explain(
    flow: &Flow,
    used: &TriggerUse,
    view: &FlowView<'_>,
    guard: Option<bool>,
    asked: &Asked<'_>,
    remembered: &dyn Remembered,
) -> Why {
    let mut places = Places::of(flow);
    let clauses: Vec<Clause> = match &flow.filter {
        Some(Condition::All(parts)) => parts.iter().map(|part| clause(flow, view, part, asked.personal, &mut places)).collect(),
        Some(filter) => vec![clause(flow, view, filter, asked.personal, &mut places)],
        None => Vec::new(),
    };
    let verdict = flow.filter.as_ref().map_or(Some(true), |filter| view.verdict(filter));
    let run = asked.ran.iter().find(|run| run.flow == flow.id);
    let failed = if verdict == Some(false) { first_false(&clauses).cloned() } else { None };
    let reason = match (run, guard, verdict) {
        (Some(run), ..) if run.waits.held => format!("it starts later: {}", run.reason.as_deref().unwrap_or("it is held back")),
        (Some(run), ..) if run.plan != flow.hash => "it ran, under another version of the flow".to_owned(),
        (Some(_), ..) => "it ran".to_owned(),
        (None, Some(false), _) => uncounted(flow, used, view, asked.personal),
        (None, None, _) | (None, _, None) => match view.first_misfit() {
            Some(misfit) => format!("payload does not fit: {misfit}"),
            None => "payload does not fit".to_owned(),
        },
        (None, Some(true), Some(false)) => match &failed {
            Some(failed) => match &failed.because {
                Some(because) => format!("`{}` does not hold: {because}", failed.text),
                None => format!("`{}` does not hold", failed.text),
            },
            None => "its condition does not hold".to_owned(),
        },
        (None, Some(true), Some(true)) => kept_from_it(flow, used, view, asked, remembered),
    };
    Why {
        trigger: used.name.clone(),
        ran: run.map(|run| run.id.clone()),
        status: run.map(|run| run.status),
        failed: failed.filter(|_| run.is_none() && guard == Some(true)),
        clauses,
        ..Why::of(&flow.id, reason)
    }
}

/// Why the trigger's own condition leaves the event out: the first part of it that does not hold has no words of its own, but the
/// values that it looked at.
fn uncounted(flow: &Flow, used: &TriggerUse, view: &FlowView<'_>, personal: bool) -> String {
    let parts = match &used.guard {
        Some(Expr::And(parts)) => parts.as_slice(),
        Some(guard) => std::slice::from_ref(guard),
        None => &[],
    };
    let failing = parts.iter().find(|part| view.eval(part) != Value::Bool(true));
    let slots = failing.map(reads::slots).unwrap_or_default();
    let shapes: Vec<Option<&FieldShape>> = flow.reads_of(used).collect();
    let values: Vec<String> = slots
        .iter()
        .filter_map(|slot| Some(read(view, *slot, (*shapes.get(usize::from(*slot))?)?, personal)))
        .map(|seen| match seen.value {
            serde_json::Value::Null => format!("`{}` is missing", seen.name),
            value => format!("`{}` is {value}", seen.name),
        })
        .collect();
    match values.is_empty() {
        true => format!("trigger {} does not count this event", used.name),
        false => format!("trigger {} does not count this event: {}", used.name, values.join(", ")),
    }
}

/// Why a flow did not start for an event that it is for.
fn kept_from_it(flow: &Flow, used: &TriggerUse, view: &FlowView<'_>, asked: &Asked<'_>, remembered: &dyn Remembered) -> String {
    let event = asked.event;
    let pauses = remembered.pauses(&flow.id);
    let still_paused = is_still_paused(&pauses, event);
    match asked.drops.iter().find(|(of, _)| *of == flow.id) {
        Some((_, reason)) if reason == WAS_PAUSED && still_paused => return format!("{WAS_PAUSED}, and still is"),
        Some((_, reason)) => return reason.clone(),
        None => {}
    }
    if event.depth > DEEPEST {
        return format!("flows cause each other's events, {DEEPEST} deep: this one starts none");
    }
    if about(event.via, &event.payload).is_some_and(|about| about == flow.id) {
        return "the event is about the flow itself, and no flow hears of itself".to_owned();
    }
    if matches!(event.via, Via::Webhook | Via::Poll) && !event.triggers.contains(&used.name) {
        let taken = if event.triggers.is_empty() { "nothing".to_owned() } else { event.triggers.join(", ") };
        return format!("the event was taken in as {taken}, and not as {}: its webhook's address says so", used.name);
    }
    if still_paused {
        return format!("{WAS_PAUSED}, and still is");
    }
    if pauses.covered(event.received_at) {
        return WAS_PAUSED.to_owned();
    }
    let key = view.key(used);
    if let Some(before) = remembered.started_before(&flow.id, &used.identity(), &key) {
        return before;
    }
    if used.dedupe.is_some() && key != event.id {
        let reason = "it matches; an earlier event had the same key, and the flow starts once for a key";
        return reason.to_owned();
    }
    "it matches now; it was not live, paused, or another version, at the time".to_owned()
}

/// The lines of the leaves of a filter, taken one after the other.
struct Places<'f> {
    file: &'f str,
    lines: std::slice::Iter<'f, u32>,
}

impl<'f> Places<'f> {
    fn of(flow: &'f Flow) -> Self {
        Self { file: &flow.file, lines: flow.clause_lines.iter() }
    }

    fn next(&mut self) -> Option<String> {
        self.lines.next().map(|line| format!("{}:{line}", self.file))
    }
}

/// Returns the first leaf by which the condition of a flow fails for an event; `None` where it holds, or is not known to fail.
/// Personal values are shortened.
pub(crate) fn failing(flow: &Flow, view: &FlowView<'_>) -> Option<Clause> {
    let filter = flow.filter.as_ref()?;
    let whole = clause(flow, view, filter, false, &mut Places::of(flow));
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

fn clause(flow: &Flow, view: &FlowView<'_>, condition: &Condition, personal: bool, places: &mut Places<'_>) -> Clause {
    let holds = view.verdict(condition);
    let mut group = |text: &str, parts: &[Condition]| Clause {
        text: text.to_owned(),
        place: None,
        holds,
        values: Vec::new(),
        because: None,
        children: parts.iter().map(|part| clause(flow, view, part, personal, places)).collect(),
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
            Clause { text: text.clone(), place: places.next(), holds, values, because, children: Vec::new() }
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
