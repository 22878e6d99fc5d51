//! The core of a run: pure, without I/O and without a clock.
//!
//! [`apply`] advances a run by one entry of its journal and returns what has to be done next. A run's state is nothing but
//! the fold of its journal, so replaying it gives the same state and the same pending effects.

mod attempt;
mod moved;
mod program;
mod retried;
mod view;
mod wait;

use flow_plan as plan;
use flow_plan::Value;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::journal::{Begun, Entry, Held, Start, Waits, What, Withheld};
use crate::{key, limit};

pub(crate) use attempt::KEY_FORGOTTEN;
pub use moved::{Move, MoveRefusal, Outside, Plan as MovePlan, plan_move};
pub use retried::{RetryRefusal, check_retry};
pub(crate) use view::shorten_field;
pub use view::{shorten, to_json};
pub use wait::Waited;

/// The state of a run. It can be written, since a move to another version keeps it in the journal.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Run {
    /// How it began; `None` before the first entry.
    pub start: Option<Box<Start>>,
    /// Where it stands.
    pub status: Status,
    /// Why it stopped, died, or waits.
    pub reason: Option<String>,
    /// What kind of death it died.
    pub death: Option<Death>,
    /// The failure that the flow's own `on error` dealt with.
    pub handled: Option<String>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The steps, in the order in which they began.
    pub steps: Vec<Step>,
    /// The waits, in the order in which they began.
    pub waits: Vec<Waited>,
    /// The moves to other versions of its flow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moves: Vec<Move>,
    /// How many entries have been applied.
    pub entries: u32,
    /// Raised by a retry by hand after a definite refusal, so that the service takes it for a new request.
    pub generation: u32,
    phase: Phase,
    at: u32,
    locals: Vec<Value>,
    /// The fields of the event that was awaited last.
    awaited: Vec<Value>,
    error: Value,
    in_handler: bool,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Steps are performed, or will be as soon as there is room.
    #[default]
    Running,
    /// It waits: for the next attempt of a step, for an instant or an event as its flow says, or for its turn.
    Waiting,
    /// It waits for a connection to work again.
    Parked,
    /// It came to its end.
    Done,
    /// The flow stopped it.
    Stopped,
    /// A step failed for good. It is kept, announced, and can be retried.
    Dead,
    /// Somebody cancelled it.
    Cancelled,
}

impl Status {
    /// Returns the word of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Running => "running",
            Status::Waiting => "waiting",
            Status::Parked => "parked",
            Status::Done => "done",
            Status::Stopped => "stopped",
            Status::Dead => "dead",
            Status::Cancelled => "cancelled",
        }
    }

    /// Tells whether something is still to happen by itself.
    pub fn is_active(self) -> bool {
        matches!(self, Status::Running | Status::Waiting | Status::Parked)
    }
}

/// Why a run is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Death {
    /// A required field is missing in the event.
    Missing,
    /// The payload does not fit its record.
    Misfit,
    /// The service refused, definitely.
    Refused,
    /// Nobody knows whether the last step's effect happened.
    Unknown,
    /// Nothing happened, and the time for trying is over.
    GaveUp,
    /// A bug of ours.
    Crashed,
}

/// A step that was performed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The place in the flow.
    pub path: String,
    /// The instruction.
    pub at: u32,
    /// The counters of the loops around it.
    pub loops: Vec<u32>,
    /// The generation under which its key was made.
    pub generation: u32,
    /// The idempotency key.
    pub key: String,
    /// The frozen inputs.
    pub inputs: Vec<Value>,
    /// When it began.
    pub began_at: Timestamp,
    /// Where it stands.
    pub status: StepStatus,
    /// The result.
    pub output: Value,
    /// The attempts.
    pub attempts: Vec<Attempt>,
    /// The attempts before the last retry by hand: they do not count for the policy.
    round: usize,
    /// A refusal that stands unless the effect is found.
    refusal: Option<(Option<u16>, String)>,
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepStatus {
    /// It is performed.
    Running,
    /// It waits for its next attempt.
    Waiting,
    /// It waits for its connection.
    Parked,
    /// It has a result.
    Done,
    /// It failed for good.
    Failed,
    /// The run was cancelled under it.
    Cancelled,
}

/// An attempt at a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// When its intent was recorded.
    pub at: Timestamp,
    /// It only looked whether the effect had happened.
    pub find: bool,
    /// How long it took, in milliseconds; `None` while it is under way.
    pub ms: Option<u64>,
    /// The HTTP status.
    pub status: Option<u16>,
    /// What went wrong.
    pub error: Option<String>,
    /// Its outcome is unknown.
    pub unknown: bool,
}

/// What has to be done for a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Record that this step begins.
    Begin(Begun),
    /// Record that this wait begins.
    BeginWait(Waits),
    /// Record the intent of an attempt as soon as the connection has room, or that it is broken.
    Intend,
    /// Send the request of the current step, or the one that looks whether it happened.
    Send {
        /// Look only.
        find: bool,
    },
    /// Wake the run at this instant.
    Wake {
        /// The instant.
        at: Timestamp,
    },
    /// Nothing: an event that comes, or a run that ends, is what it waits for.
    Rest,
    /// Wake the run when its connection works again.
    Park,
    /// It has ended.
    End,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Phase {
    #[default]
    New,
    Beginning(Begun),
    Ready {
        find: bool,
    },
    InFlight {
        find: bool,
    },
    Waiting {
        until: Timestamp,
        find: bool,
    },
    Parked {
        find: bool,
        withheld: Option<Withheld>,
    },
    /// At a wait whose beginning is not recorded yet.
    Pausing(Waits),
    /// In a wait.
    Resting(Waits),
    /// Held back; `before` is where it was, or `None` where it has not begun.
    Held {
        until: Option<Timestamp>,
        before: Option<Box<Phase>>,
    },
    Ended,
}

/// Advances a run by one entry and returns what has to be done next.
///
/// An entry that does not fit the state changes nothing but the count: a late answer for a run that was cancelled meanwhile.
pub fn apply(flow: &plan::Flow, run: &mut Run, entry: &Entry) -> Vec<Effect> {
    run.entries = run.entries.saturating_add(1);
    match &entry.what {
        What::Started(start) => run.start(flow, start, entry.at),
        What::Begun(begun) => run.begin(flow, begun, entry.at),
        What::Intent => run.intend(flow, entry.at),
        What::Ended { ms, outcome, jitter } => run.end_attempt(flow, entry.at, *ms, outcome, *jitter),
        What::Parked { error } => run.park_ready(error),
        What::Withheld(withheld) => run.withhold(withheld),
        What::WaitedInVain { error } => run.waited_in_vain(flow, error, entry.at),
        What::Held(held) => run.hold(held),
        What::Waits(waits) => run.begin_wait(flow, waits, entry.at),
        What::Came(came) => run.came(flow, came, entry.at),
        What::Superseded { by } => run.superseded(by, entry.at),
        What::Woken => run.wake(flow, entry.at),
        What::Retried { force } => run.retry(flow, *force, entry.at),
        What::TooLate { reason } => run.too_late(reason, entry.at),
        What::Cancelled => run.cancel(entry.at),
        What::Moved(moved) => run.moved(moved),
        What::Crashed { message } => run.crash(message, entry.at),
    }
    run.pending()
}

/// Rebuilds a run from its journal, under the plan that it goes by.
pub fn replay(flow: &plan::Flow, entries: &[Entry]) -> Run {
    let mut run = Run::default();
    // What was before a move happened under another plan; the move has the state that it led to.
    let from = entries.iter().rposition(|entry| matches!(entry.what, What::Moved(_))).unwrap_or(0);
    run.entries = u32::try_from(from).unwrap_or(u32::MAX);
    for entry in entries.iter().skip(from) {
        apply(flow, &mut run, entry);
    }
    run
}

impl Run {
    /// Returns what has to be done next.
    pub fn pending(&self) -> Vec<Effect> {
        match &self.phase {
            Phase::New => Vec::new(),
            Phase::Beginning(begun) => vec![Effect::Begin(begun.clone())],
            Phase::Ready { .. } => vec![Effect::Intend],
            Phase::InFlight { find } => vec![Effect::Send { find: *find }],
            Phase::Waiting { until, .. } => vec![Effect::Wake { at: *until }],
            Phase::Parked { .. } => vec![Effect::Park],
            Phase::Pausing(waits) => vec![Effect::BeginWait(waits.clone())],
            Phase::Resting(Waits { until: Some(at), .. }) | Phase::Held { until: Some(at), .. } => {
                vec![Effect::Wake { at: *at }]
            }
            Phase::Resting(Waits { until: None, .. }) | Phase::Held { until: None, .. } => vec![Effect::Rest],
            Phase::Ended => vec![Effect::End],
        }
    }

    /// Notes the number of its event, which the store gives when the run has begun in memory.
    pub(crate) fn number(&mut self, event: u64) {
        if let Some(start) = &mut self.start {
            start.event.seq = event;
        }
        // A flow that waits before anything else looks at what came since its event.
        if let Phase::Pausing(Waits { awaits: Some(awaits), .. }) = &mut self.phase {
            awaits.after = event;
        }
    }

    /// Returns its id.
    pub fn id(&self) -> &str {
        self.start.as_ref().map_or("", |start| &start.run)
    }

    /// Tells whether it pauses between two attempts.
    pub(crate) fn is_retrying(&self) -> bool {
        matches!(self.phase, Phase::Waiting { .. })
    }

    /// Tells whether the step at hand is to be looked up, and not to be performed.
    pub(crate) fn looks(&self) -> bool {
        matches!(self.phase, Phase::Ready { find: true } | Phase::InFlight { find: true })
    }

    /// Returns the instant at which it wants to be woken.
    pub fn wake_at(&self) -> Option<Timestamp> {
        match &self.phase {
            Phase::Waiting { until, .. } => Some(*until),
            Phase::Resting(waits) => waits.until,
            Phase::Held { until, .. } => *until,
            Phase::Parked { withheld, .. } => withheld.as_ref().and_then(|withheld| withheld.until),
            Phase::New
            | Phase::Beginning(_)
            | Phase::Ready { .. }
            | Phase::InFlight { .. }
            | Phase::Pausing(_)
            | Phase::Ended => None,
        }
    }

    /// Tells whether it is held back and has not begun.
    pub fn is_held(&self) -> bool {
        matches!(self.phase, Phase::Held { before: None, .. })
    }

    /// Returns why its connection lets it wait; `None` where it does not wait, or where the service itself refused it.
    pub fn withheld(&self) -> Option<&Withheld> {
        match &self.phase {
            Phase::Parked { withheld, .. } => withheld.as_ref(),
            Phase::New
            | Phase::Beginning(_)
            | Phase::Ready { .. }
            | Phase::InFlight { .. }
            | Phase::Waiting { .. }
            | Phase::Pausing(_)
            | Phase::Resting(_)
            | Phase::Held { .. }
            | Phase::Ended => None,
        }
    }

    /// Returns the call that it stands at.
    pub fn call<'f>(&self, flow: &'f plan::Flow) -> Option<&'f plan::Call> {
        match flow.program.instrs.get(self.at as usize) {
            Some(plan::Instr::Call(call)) => Some(call),
            _ => None,
        }
    }

    /// Returns the step that is performed.
    pub fn current(&self) -> Option<&Step> {
        match &self.phase {
            Phase::Ready { .. } | Phase::InFlight { .. } | Phase::Waiting { .. } | Phase::Parked { .. } => self.steps.last(),
            Phase::New | Phase::Beginning(_) | Phase::Pausing(_) | Phase::Resting(_) | Phase::Held { .. } | Phase::Ended => None,
        }
    }

    fn start(&mut self, flow: &plan::Flow, start: &Start, at: Timestamp) {
        self.start = Some(Box::new(start.clone()));
        self.started_at = Some(at);
        self.locals = vec![Value::Missing; usize::from(flow.program.locals)];
        match &start.held {
            Some(held) => self.hold(held),
            None => self.advance(flow, at),
        }
    }

    /// Holds the run back. One that has begun goes on where it is.
    fn hold(&mut self, held: &Held) {
        let before = match std::mem::take(&mut self.phase) {
            Phase::Ended => {
                self.phase = Phase::Ended;
                return;
            }
            Phase::New => None,
            Phase::Held { before, .. } => before,
            begun => Some(Box::new(begun)),
        };
        self.phase = Phase::Held { until: held.until, before };
        self.status = Status::Waiting;
        self.reason = Some(held.reason.clone());
    }

    /// Ends the run where its event is too old to be acted on; tells whether it did.
    fn stop_if_too_old(&mut self, flow: &plan::Flow, at: Timestamp) -> bool {
        let Some(mut reason) = self.start.as_ref().and_then(|start| limit::too_old(&flow.limits, &start.event, at)) else {
            return false;
        };
        if let Some(step) = self.steps.last_mut().filter(|step| !matches!(step.status, StepStatus::Done | StepStatus::Failed)) {
            step.status = StepStatus::Cancelled;
            if step.first_unknown().is_some() {
                reason.push_str("; the outcome of an earlier attempt is unknown");
            }
        }
        self.finish(Status::Stopped, Some(reason), at);
        true
    }

    /// Goes on behind the current instruction, until there is something to do or the end.
    fn advance(&mut self, flow: &plan::Flow, at: Timestamp) {
        self.status = Status::Running;
        if let Some(misfit) = self.start.as_ref().and_then(|start| start.misfit.clone()) {
            return self.die(Death::Misfit, format!("payload does not fit: {misfit}"), at);
        }
        program::advance(flow, self, at);
    }

    fn begin(&mut self, flow: &plan::Flow, begun: &Begun, at: Timestamp) {
        if !matches!(self.phase, Phase::Beginning(_)) || self.stop_if_too_old(flow, at) {
            return;
        }
        let cached = self.cached(flow, begun);
        self.steps.push(Step {
            path: begun.path.clone(),
            at: self.at,
            loops: begun.loops.clone(),
            generation: self.generation,
            key: begun.key.clone(),
            inputs: begun.inputs.clone(),
            began_at: at,
            status: StepStatus::Running,
            output: Value::Missing,
            attempts: Vec::new(),
            round: 0,
            refusal: None,
        });
        match cached {
            Some(value) => self.step_done(flow, value, at),
            None => self.phase = Phase::Ready { find: false },
        }
    }

    /// The result of the same query, as long as nothing was changed since.
    fn cached(&self, flow: &plan::Flow, begun: &Begun) -> Option<Value> {
        let call = self.call(flow)?;
        let is_read = |step: &&Step| effect_at(flow, step.at).is_some_and(|effect| matches!(effect, plan::Effect::Read));
        if !matches!(operation(flow, call)?.effect, plan::Effect::Read) {
            return None;
        }
        let mut earlier = self.steps.iter().rev().take_while(is_read);
        let same = |step: &&Step| match flow.program.instrs.get(step.at as usize) {
            Some(plan::Instr::Call(other)) => {
                other.operation == call.operation && other.connection == call.connection && step.inputs == begun.inputs
            }
            _ => false,
        };
        earlier.find(|step| step.status == StepStatus::Done && same(step)).map(|step| step.output.clone())
    }

    fn wake(&mut self, flow: &plan::Flow, at: Timestamp) {
        match std::mem::take(&mut self.phase) {
            Phase::Waiting { find, .. } | Phase::Parked { find, .. } => {
                self.phase = Phase::Ready { find };
                self.goes_on();
                if let Some(step) = self.steps.last_mut() {
                    step.status = StepStatus::Running;
                }
            }
            Phase::Held { before: Some(before), .. } => {
                self.phase = *before;
                self.goes_on();
            }
            Phase::Held { before: None, .. } => {
                self.goes_on();
                if !self.stop_if_too_old(flow, at) {
                    self.advance(flow, at);
                }
            }
            Phase::Resting(waits) => self.waited(flow, &waits, at),
            other => self.phase = other,
        }
    }

    fn goes_on(&mut self) {
        self.status = Status::Running;
        self.reason = None;
    }

    fn step_done(&mut self, flow: &plan::Flow, value: Value, at: Timestamp) {
        if let Some(step) = self.steps.last_mut() {
            step.status = StepStatus::Done;
            step.output = value.clone();
        }
        self.reason = None;
        if let Some(result) = self.call(flow).and_then(|call| call.result) {
            self.set(result, value);
        }
        self.at = self.at.saturating_add(1);
        self.advance(flow, at);
    }

    /// A step failed for good: its own handler, the flow's, or the end.
    fn step_failed(&mut self, flow: &plan::Flow, death: Death, status: Option<u16>, error: String, at: Timestamp) {
        let Some(call) = self.call(flow) else { return };
        if let Some(step) = self.steps.last_mut() {
            step.status = StepStatus::Failed;
        }
        self.reason = None;
        let reason = format!("{}: {error}", call.name);
        let handler = match &call.on_error {
            Some(handler) => Some(handler),
            None if !self.in_handler => {
                let handler = flow.program.on_error.as_ref();
                self.in_handler = handler.is_some();
                self.handled = handler.map(|_| reason.clone());
                handler
            }
            None => None,
        };
        let Some(handler) = handler else { return self.die(death, reason, at) };
        let record = Value::record([
            ("message".into(), Value::text(error)),
            ("status".into(), status.map_or(Value::Missing, |status| Value::Number(status.into()))),
            ("step".into(), Value::text(call.path.as_str())),
        ]);
        self.set(handler.error, record.clone());
        self.error = record;
        self.at = handler.to;
        self.advance(flow, at);
    }

    fn die(&mut self, death: Death, reason: String, at: Timestamp) {
        self.death = Some(death);
        self.finish(Status::Dead, Some(reason), at);
    }

    fn finish(&mut self, status: Status, reason: Option<String>, at: Timestamp) {
        self.status = status;
        self.reason = reason;
        self.ended_at = Some(at);
        if let Some(wait) = self.waits.last_mut() {
            wait.ended_at.get_or_insert(at);
        }
        self.phase = Phase::Ended;
    }

    fn cancel(&mut self, at: Timestamp) {
        if !self.status.is_active() && self.status != Status::Dead {
            return;
        }
        if let Some(step) = self.steps.last_mut().filter(|step| step.status != StepStatus::Done) {
            step.status = StepStatus::Cancelled;
        }
        // What a dead one died of is not forgotten with its dismissal.
        let died = self.reason.take().filter(|_| self.status == Status::Dead);
        self.finish(Status::Cancelled, died.map(|reason| format!("dismissed; it had died: {reason}")), at);
    }

    fn superseded(&mut self, by: &str, at: Timestamp) {
        if self.status.is_active() {
            self.cancel(at);
            self.reason = Some(superseded_by(by));
        }
    }

    fn too_late(&mut self, reason: &str, at: Timestamp) {
        if self.status.is_active() {
            if let Some(step) = self.steps.last_mut().filter(|step| step.status != StepStatus::Done) {
                step.status = StepStatus::Cancelled;
            }
            self.finish(Status::Stopped, Some(reason.to_owned()), at);
        }
    }

    fn crash(&mut self, message: &str, at: Timestamp) {
        if self.status.is_active() {
            if let Some(step) = self.steps.last_mut().filter(|step| step.status != StepStatus::Done) {
                step.status = StepStatus::Failed;
                // An attempt that was under way may have had its effect.
                if let Some(attempt) = step.attempts.last_mut().filter(|attempt| attempt.ms.is_none()) {
                    attempt.unknown = !attempt.find;
                    attempt.ms = Some(0);
                }
            }
            self.die(Death::Crashed, format!("flowd failed: {message}"), at);
        }
    }

    fn set(&mut self, local: u16, value: Value) {
        if let Some(slot) = self.locals.get_mut(usize::from(local)) {
            *slot = value;
        }
    }

    fn key_of(&self, path: &str, loops: &[u32]) -> String {
        key::step_key(self.id(), path, loops, self.generation)
    }
}

impl Step {
    /// Returns when the first attempt was sent whose outcome is unknown.
    pub(crate) fn first_unknown(&self) -> Option<Timestamp> {
        self.attempts.iter().find(|attempt| attempt.unknown).map(|attempt| attempt.at)
    }
}

/// Returns why a run was cancelled whose turn was taken.
pub(crate) fn superseded_by(run: &str) -> String {
    format!("a newer event took its turn: {run}")
}

/// Returns the operation of a call.
pub(crate) fn operation<'f>(flow: &'f plan::Flow, call: &plan::Call) -> Option<&'f plan::Operation> {
    flow.operations.get(call.operation as usize).map(AsRef::as_ref)
}

/// Tells whether what a call sends may be sent again when its outcome is unknown.
pub(crate) fn repeatable(flow: &plan::Flow, call: &plan::Call) -> bool {
    operation(flow, call).is_some_and(|operation| !matches!(operation.effect, plan::Effect::Once))
}

pub(crate) fn effect_at(flow: &plan::Flow, at: u32) -> Option<&plan::Effect> {
    match flow.program.instrs.get(at as usize) {
        Some(plan::Instr::Call(call)) => operation(flow, call).map(|operation| &operation.effect),
        _ => None,
    }
}

/// The pauses between attempts that the operation at a place says.
pub(crate) fn pauses_at(flow: &plan::Flow, at: u32) -> &[u64] {
    match flow.program.instrs.get(at as usize) {
        Some(plan::Instr::Call(call)) => operation(flow, call).map_or(&[], |operation| &operation.peculiar.pauses_ms),
        _ => &[],
    }
}

/// Tells whether an operation is attempted once only, whatever is known of that attempt.
pub(crate) fn is_tried_once(flow: &plan::Flow, at: u32) -> bool {
    match flow.program.instrs.get(at as usize) {
        Some(plan::Instr::Call(call)) => operation(flow, call).is_some_and(|operation| operation.peculiar.retry_never),
        _ => false,
    }
}

/// A clock that went back counts as no time.
fn elapsed_ms(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.as_millisecond().saturating_sub(from.as_millisecond())).unwrap_or(0)
}
