//! Moving a run to another version of its flow.
//!
//! What has happened is played again under the other version: each step that is done has to be the same call at the same
//! place, and gets the result that it had. Where that leads to a place from which the run can go on, the state that it has
//! there becomes an entry of its journal, so that replaying the journal needs neither the version of before nor this file.

use flow_plan as plan;
use flow_plan::{Effect as Class, Flow, Instr, Limits, Otherwise, Value, WaitFor};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{Death, Effect, Phase, Run, Status, Step, StepStatus, apply, effect_at, operation, program, replay};
use crate::journal::{Came, Entry, Moved, Start, Waits, What};
use crate::limit;
use flow_functions::rfc3339;

/// A change of the version that a run goes by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// When.
    pub at: Timestamp,
    /// The hash of the plan before.
    pub from: String,
    /// The hash of the plan from then on.
    pub to: String,
}

/// Why a run stays under the version that it has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoveRefusal {
    /// There is nothing ahead of it.
    #[error("the run has ended: it is {}", .0.as_str())]
    Ended(Status),
    /// A step is being performed: nobody knows yet how it ends.
    #[error("the run is performing a step; try again in a moment")]
    Performing,
    /// There is no other version.
    #[error("the run goes by the live version of its flow already")]
    Current,
    /// Nothing is live to which it could be moved.
    #[error("no flow `{0}` is live: a run can only be moved to the live version of its own flow")]
    NotLive(String),
    /// What it has done is not what the other version would have done.
    #[error("{0}")]
    Differs(String),
    /// A step that the other version does otherwise may have had its effect.
    #[error("{0}")]
    OutcomeUnknown(String),
}

/// What moving a run comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What is written into the journal.
    pub moved: Moved,
    /// What comes next, for people.
    pub ahead: String,
}

/// What moving needs beside the journal.
pub struct Outside<'a> {
    /// The start as the other version reads the event.
    pub start: &'a Start,
    /// Reads an event that was awaited, by its number, as a wait of the other version does; `None` where it is gone.
    pub awaited: &'a dyn Fn(&WaitFor, u64) -> Option<Vec<Value>>,
}

impl std::fmt::Debug for Outside<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outside").field("start", self.start).finish_non_exhaustive()
    }
}

/// Works out how a run goes on under another version of its flow, at `now`.
///
/// # Errors
/// Why it cannot.
pub fn plan_move(old: &Flow, new: &Flow, journal: &[Entry], outside: &Outside<'_>, now: Timestamp) -> Result<Plan, MoveRefusal> {
    let before = replay(old, journal);
    match before.status {
        Status::Done | Status::Stopped | Status::Cancelled => return Err(MoveRefusal::Ended(before.status)),
        Status::Running => return Err(MoveRefusal::Performing),
        Status::Waiting | Status::Parked | Status::Dead => {}
    }
    same_turns(old, new)?;
    let mut mover = Mover { old, new, before: &before, run: Run::default(), notes: Vec::new(), dropped_from: None };
    let entries = history(journal);
    let first_open = before.first_open();
    mover.play(journal, &entries, first_open, outside)?;
    let state = mover.finish(&entries, first_open, now)?;
    let ahead = ahead(new, &state);
    let moved = Moved {
        from: old.hash.clone(),
        to: new.hash.clone(),
        dropped_from: mover.dropped_from.and_then(|at| u32::try_from(at).ok()),
        notes: mover.notes,
        state,
    };
    Ok(Plan { moved, ahead })
}

/// Returns the entries that led to the state, with their places: without moves, and without what they left behind.
fn history(journal: &[Entry]) -> Vec<(usize, &Entry)> {
    let mut kept: Vec<(usize, &Entry)> = Vec::new();
    for (at, entry) in journal.iter().enumerate() {
        match &entry.what {
            What::Moved(moved) => {
                if let Some(from) = moved.dropped_from {
                    kept.retain(|(place, _)| *place < from as usize);
                }
            }
            _ => kept.push((at, entry)),
        }
    }
    kept
}

/// Runs that take turns, or wait for them, stay where they are counted.
fn same_turns(old: &Flow, new: &Flow) -> Result<(), MoveRefusal> {
    if !limit::holds_runs(&old.limits) && !limit::holds_runs(&new.limits) {
        return Ok(());
    }
    let turns = |flow: &Flow| {
        let Limits { one_at_a_time, while_running, throttle, at_most, .. } = &flow.limits;
        let queued: Vec<_> = at_most.iter().filter(|limit| limit.otherwise == Otherwise::Queue).collect();
        named(flow, serde_json::to_value((one_at_a_time, while_running, throttle, queued)).unwrap_or_default())
    };
    if turns(old) == turns(new) {
        return Ok(());
    }
    let reason = "the live version takes turns otherwise (`one at a time`, `while running`, `throttle to`, `otherwise queue`): \
                  let the run end, or cancel it";
    Err(MoveRefusal::Differs(reason.to_owned()))
}

/// Fields by their names instead of their places, which differ from version to version.
fn named(flow: &Flow, json: Json) -> Json {
    match json {
        Json::Object(members) => {
            let slot = members.get("Event").filter(|_| members.len() == 1).and_then(Json::as_u64);
            let field = slot.and_then(|slot| flow.reads.get(usize::try_from(slot).ok()?));
            match field {
                Some(field) => Json::String(field.name.clone()),
                None => members.into_iter().map(|(name, value)| (name, named(flow, value))).collect(),
            }
        }
        Json::Array(items) => items.into_iter().map(|item| named(flow, item)).collect(),
        other => other,
    }
}

impl Run {
    /// Returns the place among the steps of the first try at the step that is not done; their number where there is none.
    fn first_open(&self) -> usize {
        let is_open = match &self.phase {
            Phase::Ready { .. } | Phase::InFlight { .. } | Phase::Waiting { .. } | Phase::Parked { .. } => true,
            Phase::Held { before, .. } => before.is_some(),
            // Behind a failure that `on error` took over it stands elsewhere.
            Phase::Ended => self.status == Status::Dead && self.steps.last().is_some_and(|last| last.at == self.at),
            Phase::New | Phase::Beginning(_) | Phase::Pausing(_) | Phase::Resting(_) => false,
        };
        let Some(last) = self.steps.last().filter(|last| is_open && last.status != StepStatus::Done) else {
            return self.steps.len();
        };
        let same = |step: &&Step| step.path == last.path && step.loops == last.loops && step.status != StepStatus::Done;
        self.steps.len() - self.steps.iter().rev().take_while(same).count()
    }

    /// Takes the state of a move.
    pub(super) fn moved(&mut self, moved: &Moved) {
        let entries = self.entries;
        *self = moved.state.clone();
        self.entries = entries;
    }
}

struct Mover<'a> {
    old: &'a Flow,
    new: &'a Flow,
    before: &'a Run,
    /// The run under the other version, as far as it has been played.
    run: Run,
    notes: Vec<String>,
    /// The place in the journal of the first entry that is left behind.
    dropped_from: Option<usize>,
}

impl Mover<'_> {
    /// Plays the entries until the first try at the step that is not done.
    fn play(
        &mut self,
        journal: &[Entry],
        entries: &[(usize, &Entry)],
        first_open: usize,
        outside: &Outside<'_>,
    ) -> Result<(), MoveRefusal> {
        let mut begun_steps = 0;
        // In a wait that the other version does not have.
        let mut passes_over = false;
        for (place, entry) in entries {
            match &entry.what {
                What::Started(_) => self.feed(entry.at, What::Started(Box::new(outside.start.clone()))),
                What::Begun(_) if begun_steps == first_open => break,
                What::Begun(begun) => {
                    let Some(step) = self.before.steps.get(begun_steps) else { break };
                    self.same_step(step)?;
                    self.feed(entry.at, What::Begun(begun.clone()));
                    begun_steps += 1;
                }
                What::Waits(waits) => {
                    if let Some(waits) = self.same_wait(journal, *place, waits) {
                        self.feed(entry.at, What::Waits(waits));
                    } else if matches!(self.before.phase, Phase::Resting(_)) && self.is_last_wait(entries, *place) {
                        self.notes.push("the wait that the run is in is not in the live version at this place".to_owned());
                        self.dropped_from = Some(*place);
                        break;
                    } else {
                        passes_over = true;
                    }
                }
                What::Woken | What::Came(_) if passes_over => passes_over = false,
                What::Came(came) => {
                    let slots = self.run.wait_for(self.new).map(|wait| (outside.awaited)(wait, came.seq));
                    let Some(slots) = slots.flatten() else {
                        let gone = format!("the event {} that the run waited for is not kept any more", came.id);
                        return Err(MoveRefusal::Differs(gone));
                    };
                    self.feed(entry.at, What::Came(Came { slots, ..came.clone() }));
                }
                what => self.feed(entry.at, what.clone()),
            }
        }
        self.same_outcomes(first_open)
    }

    fn feed(&mut self, at: Timestamp, what: What) {
        apply(self.new, &mut self.run, &Entry::new(at, what));
    }

    /// The step that was done is what the other version does now.
    fn same_step(&mut self, step: &Step) -> Result<(), MoveRefusal> {
        let done = format!("step {} `{}` has been done", step.path, self.name_at(self.old, step.at));
        let pending = self.run.pending();
        match pending.first() {
            Some(Effect::Begin(next)) if next.path == step.path && next.loops == step.loops => {
                if let Some(why) = other_call(self.old, step.at, self.new, self.run.at) {
                    return Err(MoveRefusal::Differs(format!("{done}; in the live version {why}")));
                }
                if next.inputs != step.inputs {
                    let name = self.name_at(self.old, step.at);
                    let path = &step.path;
                    self.notes.push(format!("step {path} `{name}` was done with other inputs than the live version gives it"));
                }
                Ok(())
            }
            _ => Err(MoveRefusal::Differs(format!("{done}; in the live version {} at this place", ahead(self.new, &self.run)))),
        }
    }

    fn name_at(&self, flow: &Flow, at: u32) -> String {
        match flow.program.instrs.get(at as usize) {
            Some(Instr::Call(call)) => call.name.clone(),
            _ => "a step".to_owned(),
        }
    }

    /// Returns the wait as the other version has it, where it waits at this place for the same.
    fn same_wait(&self, journal: &[Entry], place: usize, waits: &Waits) -> Option<Waits> {
        let pending = self.run.pending();
        let Some(Effect::BeginWait(next)) = pending.first() else { return None };
        // All waits that ever began are kept, those included that were left behind.
        let is_wait = |entry: &&Entry| matches!(entry.what, What::Waits(_));
        let number = journal.iter().take(place).filter(is_wait).count();
        let awaited = self.before.waits.get(number).and_then(|wait| wait.awaits.clone());
        let now = next.awaits.is_some().then(|| self.run.wait_for(self.new)).flatten();
        let now = now.map(|wait| format!("{}.{}", wait.trigger.connection, wait.trigger.name));
        (awaited == now).then(|| Waits { until: waits.until, awaits: next.awaits.clone() })
    }

    fn is_last_wait(&self, entries: &[(usize, &Entry)], place: usize) -> bool {
        let last = entries.iter().rev().find(|(_, entry)| matches!(entry.what, What::Waits(_)));
        last.is_some_and(|(last, _)| *last == place)
    }

    /// What was done has had the same outcome under the other version, and stands at its place there.
    fn same_outcomes(&mut self, done: usize) -> Result<(), MoveRefusal> {
        for (step, known) in self.run.steps.iter_mut().zip(&self.before.steps) {
            if step.path != known.path || step.status != known.status || step.output != known.output {
                let why = format!("step {} ended otherwise than it would in the live version", known.path);
                return Err(MoveRefusal::Differs(why));
            }
            *step = Step { at: step.at, ..known.clone() };
        }
        if self.run.steps.len() == done {
            return Ok(());
        }
        Err(MoveRefusal::Differs("the live version does the steps in another order".to_owned()))
    }

    /// Puts what is not done behind what was played, or lets the run go on from there without it.
    fn finish(&mut self, entries: &[(usize, &Entry)], first_open: usize, now: Timestamp) -> Result<Run, MoveRefusal> {
        let before = self.before;
        let open = before.steps.get(first_open..).unwrap_or_default();
        let mut run = std::mem::take(&mut self.run);
        run.waits.clone_from(&before.waits);
        run.generation = before.generation;
        run.moves.clone_from(&before.moves);
        run.moves.push(Move { at: now, from: self.old.hash.clone(), to: self.new.hash.clone() });
        let mut goes_on_anew = self.dropped_from.is_some();
        if let Some(last) = open.last() {
            if self.is_same_open(&run, last) {
                let at = run.at;
                run.steps.extend(open.iter().map(|step| Step { at, ..step.clone() }));
                run.phase = before.phase.clone();
            } else {
                self.leave(open)?;
                let is_open = |(_, entry): &&(usize, &Entry)| matches!(entry.what, What::Begun(_));
                self.dropped_from = entries.iter().filter(is_open).nth(first_open).map(|(place, _)| *place);
                // The service must not take the next request for one that it has answered.
                let attempted = open.iter().any(|step| !step.attempts.is_empty());
                run.generation = run.generation.saturating_add(u32::from(attempted));
                goes_on_anew = true;
            }
        }
        if before.status == Status::Dead {
            run.status = Status::Dead;
            run.reason.clone_from(&before.reason);
            run.ended_at = before.ended_at;
            run.handled.clone_from(&before.handled);
            // What the event lacked for the version of before says nothing about this one.
            run.death = before.death.filter(|death| !matches!(death, Death::Missing | Death::Misfit));
            run.phase = Phase::Ended;
            return Ok(run);
        }
        if goes_on_anew {
            if let Some(wait) = run.waits.last_mut() {
                wait.ended_at.get_or_insert(now);
            }
            run.phase = Phase::New;
            run.status = Status::Running;
            run.reason = None;
            run.ended_at = None;
            program::advance(self.new, &mut run, now);
        } else {
            run.status = before.status;
            run.reason.clone_from(&before.reason);
        }
        Ok(run)
    }

    /// The step that is not done is the same request in the other version.
    fn is_same_open(&self, run: &Run, step: &Step) -> bool {
        let pending = run.pending();
        let Some(Effect::Begin(next)) = pending.first() else { return false };
        next.path == step.path && next.loops == step.loops && next.inputs == step.inputs && {
            let (old, new) = (call_at(self.old, step.at), call_at(self.new, run.at));
            old.zip(new).is_some_and(|(old, new)| {
                old.connection == new.connection && operation(self.old, old) == operation(self.new, new)
            })
        }
    }

    /// A step is left behind only where it surely did nothing, or may be repeated.
    fn leave(&mut self, open: &[Step]) -> Result<(), MoveRefusal> {
        for step in open {
            let name = self.name_at(self.old, step.at);
            let harmless = matches!(effect_at(self.old, step.at), Some(Class::Read | Class::Set));
            let unknown = step.first_unknown().is_some();
            if unknown && call_at(self.old, step.at).is_some_and(|call| call.dangerous) {
                return Err(MoveRefusal::OutcomeUnknown(format!(
                    "step {} `{name}` is dangerous and may have happened, so it is never repeated: dismiss the run, or cancel it",
                    step.path
                )));
            }
            if unknown && !harmless {
                return Err(MoveRefusal::OutcomeUnknown(format!(
                    "step {} `{name}` may have happened, and the live version does something else: \
                     retry the run under its own version, or cancel it",
                    step.path
                )));
            }
        }
        if let Some(step) = open.last() {
            let name = self.name_at(self.old, step.at);
            self.notes.push(format!("step {} `{name}` was not done, and is not tried again as it was", step.path));
        }
        Ok(())
    }
}

fn call_at(flow: &Flow, at: u32) -> Option<&plan::Call> {
    match flow.program.instrs.get(at as usize) {
        Some(Instr::Call(call)) => Some(call),
        _ => None,
    }
}

/// Returns why a call is another one, as far as its result is concerned.
fn other_call(old: &Flow, old_at: u32, new: &Flow, new_at: u32) -> Option<String> {
    let (Some(one), Some(other)) = (call_at(old, old_at), call_at(new, new_at)) else {
        return Some("no call stands there".to_owned());
    };
    if one.name != other.name || one.connection != other.connection {
        return Some(format!("it is `{}`", other.name));
    }
    match (operation(old, one), operation(new, other)) {
        (Some(one), Some(other)) if one.answer != other.answer => Some("its result is of another type".to_owned()),
        (Some(one), Some(other)) if one.effect != other.effect => Some("it is of another effect class".to_owned()),
        (Some(_), Some(_)) => None,
        (None, _) | (_, None) => Some("the plan has no such operation".to_owned()),
    }
}

/// What comes next, for people.
fn ahead(flow: &Flow, run: &Run) -> String {
    let reason = run.reason.clone().unwrap_or_default();
    match run.pending().first() {
        _ if run.status == Status::Dead && run.moves.is_empty() => format!("the run fails ({reason})"),
        _ if run.status == Status::Dead => match call_at(flow, run.at) {
            Some(call) => format!("`flowd retry` goes on with step {} `{}`", call.path, call.name),
            None => "`flowd retry` goes on".to_owned(),
        },
        Some(Effect::Begin(begun)) => match call_at(flow, run.at) {
            Some(call) => format!("step {} `{}` comes", begun.path, call.name),
            None => format!("step {} comes", begun.path),
        },
        Some(Effect::BeginWait(waits)) => match waits.until {
            Some(until) => format!("the run waits until {}", rfc3339(until)),
            None => "the run waits for an event".to_owned(),
        },
        Some(Effect::End) | None => match run.status {
            Status::Stopped => "the run has stopped".to_owned(),
            _ => "the run has come to its end".to_owned(),
        },
        Some(Effect::Wake { .. } | Effect::Rest | Effect::Park | Effect::Intend | Effect::Send { .. }) if !reason.is_empty() => {
            format!("the run goes on as it was: {reason}")
        }
        Some(Effect::Wake { .. } | Effect::Rest | Effect::Park | Effect::Intend | Effect::Send { .. }) => {
            "the run goes on as it was".to_owned()
        }
    }
}
