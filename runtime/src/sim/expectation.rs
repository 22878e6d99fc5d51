//! Whether what a test expects is what happened.

use std::collections::BTreeMap;

use flow_plan::{ExpectedStatus, Test, TestAction, Value};
use jiff::Timestamp;

use super::services::Call;
use crate::eval::equal;
use crate::run::Status;
use crate::store::RunHead;

/// Something that a test expects and that is not so.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// The line of the test, as its place among the steps; `None` for what no line mentions.
    pub step: Option<usize>,
    /// What is wrong, in one line.
    pub message: String,
    /// For `with { … }`: the calls that were made, each with the inputs that differ.
    pub differences: Vec<Vec<Difference>>,
    /// Why it is so, as far as is known: what kept events from starting a flow, and where its runs stand.
    pub notes: Vec<String>,
    /// How many such calls were made.
    pub(super) found: u32,
}

impl Failure {
    fn new(step: Option<usize>, message: String) -> Self {
        Self { step, message, differences: Vec::new(), notes: Vec::new(), found: 0 }
    }
}

/// An input that is not as expected.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The input.
    pub input: String,
    /// What the test expects.
    pub expected: Value,
    /// What it was.
    pub found: Value,
}

/// A call as the flow's author sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct MadeCall {
    /// When it was made first.
    pub at: Timestamp,
    /// The flow.
    pub flow: String,
    /// `connection.operation`.
    pub name: String,
    /// What it was given.
    pub inputs: Vec<(String, Value)>,
    /// It changes nothing.
    pub reads: bool,
    /// The compiler wrote it.
    pub filled_in: bool,
    /// How often it had its effect: more than once where it was repeated without protection.
    pub times: u32,
    /// The requests that it consists of, by their names.
    requests: BTreeMap<(String, String), u32>,
}

/// What a call is known by: the run, the place in the flow and the counters of the loops around it.
type Place<'c> = (&'c str, &'c str, &'c [u32]);

/// Puts requests together to the calls of the flow's author.
pub(super) fn made(calls: &[Call]) -> Vec<MadeCall> {
    let mut made: Vec<(Place<'_>, MadeCall)> = Vec::new();
    for call in calls {
        let part = call.parts_of.first();
        let path = part.map_or(call.path.as_str(), |part| part.path.as_str());
        let key = (call.run.as_str(), path, call.loops.as_slice());
        let request = (call.path.clone(), call.name.clone());
        if let Some((_, known)) = made.iter_mut().find(|(known, _)| *known == key) {
            *known.requests.entry(request).or_default() += 1;
            known.reads &= call.reads;
            known.times = known.requests.values().copied().max().unwrap_or(1);
            continue;
        }
        made.push((
            key,
            MadeCall {
                at: call.at,
                flow: call.flow.clone(),
                name: part.map_or_else(|| call.name.clone(), |part| part.name.clone()),
                inputs: part.map_or_else(|| call.inputs.clone(), |part| part.inputs.clone()),
                reads: call.reads,
                filled_in: part.is_some_and(|part| part.filled_in),
                times: 1,
                requests: BTreeMap::from([(request, 1)]),
            },
        ));
    }
    made.into_iter().map(|(_, call)| call).collect()
}

/// Checks `expect connection.operation …`.
pub(super) fn calls(step: usize, calls: &[Call], target: &str, times: Option<u32>, with: &[(String, Value)]) -> Option<Failure> {
    let all: Vec<MadeCall> = made(calls).into_iter().filter(|call| call.name == target).collect();
    let differences: Vec<Vec<Difference>> = all.iter().map(|call| differences(call, with)).collect();
    let fitting: u32 = all.iter().zip(&differences).filter(|(_, differ)| differ.is_empty()).map(|(call, _)| call.times).sum();
    let found: u32 = all.iter().map(|call| call.times).sum();
    let fulfilled = match times {
        Some(times) => fitting == times,
        None => fitting > 0,
    };
    if fulfilled {
        return None;
    }
    let message = match (times, fitting == found) {
        (Some(0), _) => format!("expected no call of {target}, found {}", counted(fitting)),
        (_, true) | (Some(1), _) if found == 0 => format!("{target} was not called"),
        (Some(times), true) => format!("expected {} of {target}, found {}", counted(times), counted(found)),
        (None, true) => format!("{target} was not called"),
        (_, false) => format!("{target} was called {}, but not with these values", often(found)),
    };
    let repeated = all.iter().any(|call| call.times > 1);
    let message = if repeated { format!("{message} (one had its effect more than once)") } else { message };
    let differences = if with.is_empty() { Vec::new() } else { differences };
    Some(Failure { differences, found, ..Failure::new(Some(step), message) })
}

fn differences(call: &MadeCall, with: &[(String, Value)]) -> Vec<Difference> {
    with.iter()
        .filter_map(|(name, expected)| {
            let found = call.inputs.iter().find(|(input, _)| input == name).map(|(_, value)| value.clone()).unwrap_or_default();
            let same = equal(&found, expected) || found == *expected;
            (!same).then(|| Difference { input: name.clone(), expected: expected.clone(), found })
        })
        .collect()
}

fn counted(count: u32) -> String {
    if count == 1 { "1 call".to_owned() } else { format!("{count} calls") }
}

fn often(count: u32) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        _ => format!("{count} times"),
    }
}

/// How often each call had its effect when a line expected it: by the place of the call among those made.
#[derive(Debug, Default)]
pub(super) struct Covered(BTreeMap<usize, u32>);

impl Covered {
    /// Notes the calls that an `expect` line speaks of; one that expects none speaks of none.
    pub(super) fn by(&mut self, calls: &[Call], target: &str, times: Option<u32>, with: &[(String, Value)]) {
        if times == Some(0) {
            return;
        }
        for (at, call) in made(calls).iter().enumerate() {
            if call.name == target && differences(call, with).is_empty() {
                self.0.insert(at, call.times);
            }
        }
    }
}

/// Checks `expect dead "…"` and its like.
pub(super) fn run(step: usize, runs: &[RunHead], expected: ExpectedStatus, reason: Option<&str>) -> Option<Failure> {
    if runs.iter().any(|run| ended_so(run, expected, reason)) {
        return None;
    }
    let word = status_of(expected).as_str();
    let wanted = reason.map(|reason| format!(" because of \"{reason}\"")).unwrap_or_default();
    let found: Vec<String> = runs
        .iter()
        .map(|run| {
            let because = run.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            format!("{} is {}{because}", run.flow, run.status.as_str())
        })
        .collect();
    let found = if found.is_empty() { "nothing ran".to_owned() } else { found.join("; ") };
    Some(Failure::new(Some(step), format!("no run is {word}{wanted}: {found}")))
}

fn ended_so(run: &RunHead, expected: ExpectedStatus, reason: Option<&str>) -> bool {
    run.status == status_of(expected)
        && reason.is_none_or(|reason| run.reason.as_deref().is_some_and(|found| found.contains(reason)))
}

fn status_of(expected: ExpectedStatus) -> Status {
    match expected {
        ExpectedStatus::Done => Status::Done,
        ExpectedStatus::Stopped => Status::Stopped,
        ExpectedStatus::Dead => Status::Dead,
    }
}

/// Nothing else may have happened, unless the test says that it may: no action that no line speaks of, none again after the
/// last line that does, no dead run. `told` are the lines that did not hold.
pub(super) fn nothing_else(test: &Test, calls: &[Call], covered: &Covered, runs: &[RunHead], told: &[usize]) -> Vec<Failure> {
    let mut deaths: Vec<Option<&str>> = Vec::new();
    let mut death_told = false;
    // A line that did not hold has said what is wrong with its calls.
    let mut named: Vec<&str> = Vec::new();
    for (at, step) in test.steps.iter().enumerate() {
        match &step.what {
            TestAction::Else { anything: true } => return Vec::new(),
            TestAction::Calls { target, .. } if told.contains(&at) => named.push(target),
            TestAction::Run { status: ExpectedStatus::Dead, reason } => {
                deaths.push(reason.as_deref());
                death_told |= told.contains(&at);
            }
            TestAction::Calls { .. }
            | TestAction::Run { .. }
            | TestAction::Else { anything: false }
            | TestAction::Event(_)
            | TestAction::State { .. }
            | TestAction::Fails { .. }
            | TestAction::Returns { .. }
            | TestAction::Restart
            | TestAction::After(_) => {}
        }
    }
    let expected = |name: &str| {
        test.steps
            .iter()
            .any(|step| matches!(&step.what, TestAction::Calls { target, times, .. } if target == name && *times != Some(0)))
    };
    let mut failures: Vec<Failure> = Vec::new();
    for (at, call) in made(calls).iter().enumerate() {
        let known = covered.0.get(&at).copied();
        if call.reads || call.filled_in || named.contains(&call.name.as_str()) || known.is_some_and(|times| times >= call.times) {
            continue;
        }
        let message = match known {
            Some(_) => format!("{} had its effect again after it was expected, and no line expects it", call.name),
            None if expected(&call.name) => {
                format!(
                    "{} was called another time, behind the lines about it or with other values, and no line expects it",
                    call.name
                )
            }
            None => format!("{} was called, and no line expects it", call.name),
        };
        if !failures.iter().any(|failure| failure.message == message) {
            failures.push(Failure::new(None, message));
        }
    }
    // One cause, one report: a death for another reason than expected is told where it was expected.
    for run in runs.iter().filter(|run| run.status == Status::Dead && !death_told) {
        if deaths.iter().any(|reason| ended_so(run, ExpectedStatus::Dead, *reason)) {
            continue;
        }
        let reason = run.reason.as_deref().unwrap_or("for no reason that is known");
        failures.push(Failure::new(None, format!("a run of {} died, and no line expects it: {reason}", run.flow)));
    }
    failures
}
