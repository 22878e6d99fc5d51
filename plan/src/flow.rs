//! A compiled flow: self-contained, so that a run can end under the plan it began with.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::start::{Limits, StartKind, Wait, WaitFor};
use crate::{Condition, Expr, FieldShape, Operation, Value};

/// A compiled flow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flow {
    /// The name, or file and hash of the normalised text for a flow without one.
    pub id: String,
    /// The name.
    pub name: Option<String>,
    /// The title behind the name.
    pub title: Option<String>,
    /// The doc comment.
    pub docs: String,
    /// The file, relative to the project.
    pub file: String,
    /// The line of its first word, from 1.
    pub line: u32,
    /// SHA-256 over everything that decides what a run does; file and line are not part of it.
    pub hash: String,
    /// What starts it; one of them suffices.
    pub triggers: Vec<TriggerUse>,
    /// The fields of the event that it reads: the slots of [`Expr::Event`]. Paths are relative to the event's object. Where
    /// the triggers of a flow differ in this, [`TriggerUse::reads`] has the slots of each; ask [`Flow::reads_of`].
    pub reads: Vec<FieldShape>,
    /// Which events.
    pub filter: Option<Condition>,
    /// The lines of the tests of the filter, from 1, in their order; empty where they are not known. As the line of the flow
    /// they are for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clause_lines: Vec<u32>,
    /// What limits its starts.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
    /// What it does.
    pub program: Program,
    /// The operations that the program performs.
    pub operations: Vec<Arc<Operation>>,
    /// The steps as a tree for people.
    pub outline: Vec<Outline>,
    /// The calls as the flow's author sees them: composite operations whole. For `flowc test`, and never stored.
    #[serde(skip)]
    pub invocations: Vec<Invocation>,
    /// The fewest and the most calls of one run; `None` is unbounded.
    pub calls: (u32, Option<u32>),
    /// Which fields go where.
    pub sends: Vec<Send>,
}

/// A trigger as a flow uses it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TriggerUse {
    /// The connection.
    pub connection: String,
    /// The trigger.
    pub name: String,
    /// The source that it draws from.
    pub source: String,
    /// The event types.
    pub types: Vec<String>,
    /// The options given, defaults included.
    pub options: BTreeMap<String, Value>,
    /// The trigger's own condition.
    pub guard: Option<Expr>,
    /// The trigger's key, where it is not the event's id.
    pub dedupe: Option<Expr>,
    /// How it starts the flow.
    #[serde(default)]
    pub kind: StartKind,
    /// The slots for events of this trigger, where they are not those of [`Flow::reads`]: one for each slot, `None` where
    /// these events have no such field, and the slot is missing. Empty: those of the flow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<Option<FieldShape>>,
}

impl Flow {
    /// Returns how the slots of [`Expr::Event`] are read from the events of one of its triggers, slot for slot; `None`
    /// where these events have no such field.
    pub fn reads_of<'a>(&'a self, trigger: &'a TriggerUse) -> impl Iterator<Item = Option<&'a FieldShape>> {
        let own = !trigger.reads.is_empty();
        self.reads.iter().enumerate().map(move |(slot, shape)| match own {
            true => trigger.reads.get(slot).and_then(Option::as_ref),
            false => Some(shape),
        })
    }

    /// Returns the events that it wants to hear of: those that start it, those whose absence does, those that it waits for.
    pub fn listens_to(&self) -> impl Iterator<Item = &TriggerUse> {
        let starts = self.triggers.iter().map(|used| match &used.kind {
            StartKind::Absence(absence) => &absence.awaited,
            StartKind::Event | StartKind::Schedule(_) | StartKind::State(_) => used,
        });
        starts.chain(self.waits_for())
    }

    /// Returns the events that its runs wait for.
    pub fn waits_for(&self) -> impl Iterator<Item = &TriggerUse> {
        self.program.instrs.iter().filter_map(|instr| match instr {
            Instr::WaitFor(wait) => Some(&wait.trigger),
            _ => None,
        })
    }

    /// Returns its first dangerous call.
    pub fn dangerous(&self) -> Option<&Call> {
        self.program.instrs.iter().find_map(|instr| match instr {
            Instr::Call(call) if call.dangerous => Some(&**call),
            _ => None,
        })
    }
}

impl TriggerUse {
    /// Returns the name under which starts are deduplicated: trigger and options.
    pub fn identity(&self) -> String {
        let mut identity = self.name.clone();
        for (name, value) in &self.options {
            identity.push_str(&format!(";{name}={value}"));
        }
        identity
    }
}

/// The steps as instructions, so that a run's place is one number.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Program {
    /// The instructions. Execution begins at 0 and ends behind the last.
    pub instrs: Vec<Instr>,
    /// How many locals it has.
    pub locals: u16,
    /// `on error` of the flow: entered when a step fails for good that has no handler of its own.
    pub on_error: Option<ErrorHandler>,
}

/// An instruction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Instr {
    /// A local gets a value.
    Set {
        /// Which.
        local: u16,
        /// The value.
        value: Expr,
    },
    /// A query or action is performed.
    Call(Box<Call>),
    /// Goes on elsewhere.
    Jump(u32),
    /// Goes on elsewhere unless the condition holds.
    Unless {
        /// The condition.
        condition: Expr,
        /// Where.
        to: u32,
    },
    /// Ends the run as dead where the value is missing.
    Require(Expr),
    /// Freezes a list and sets a counter to 0.
    Each {
        /// The list.
        list: Expr,
        /// The local that keeps the list.
        into: u16,
        /// The local that counts.
        counter: u16,
        /// At most so many items.
        up_to: u32,
    },
    /// Takes the next item, or goes on behind the loop. The counter goes up by one.
    Next {
        /// The local that keeps the list.
        list: u16,
        /// The local that counts.
        counter: u16,
        /// The local that gets the item.
        item: u16,
        /// Where to go on when there is none.
        end: u32,
    },
    /// Waits for an instant.
    Wait(Box<Wait>),
    /// Waits for an event.
    WaitFor(Box<WaitFor>),
    /// Ends the run as stopped.
    Stop {
        /// Why.
        reason: Option<Expr>,
    },
    /// Ends the run as done.
    Finish,
}

/// A call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// The place in the flow, unique and stable: `2`, `2.then.1`, `1.find_or_create_customer.2`.
    pub path: String,
    /// `connection.operation` as written, or as the composite action calls it.
    pub name: String,
    /// The connection.
    pub connection: String,
    /// Index into [`Flow::operations`].
    pub operation: u32,
    /// The arguments, in the order of the operation's inputs; [`Value::Missing`] where one is left out.
    pub args: Vec<CallArg>,
    /// Where the result goes.
    pub result: Option<u16>,
    /// `retry …`.
    pub retry: Option<Retry>,
    /// `on error` of the call.
    pub on_error: Option<ErrorHandler>,
    /// The counters of the loops around it, outermost first: part of its key.
    pub loops: Vec<u16>,
    /// `@dangerous`: it is never made after a start of the daemon for an event from before it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dangerous: bool,
    /// The doc comment, or "".
    pub docs: String,
}

/// An argument.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallArg {
    /// The value.
    pub value: Expr,
    /// Personal data: shortened in views.
    pub personal: bool,
}

/// `retry 6 times over 2 hours`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// Attempts after the first.
    pub times: u32,
    /// The time over which they are spread, in milliseconds.
    pub over_ms: Option<u64>,
}

/// Where a run goes on after a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorHandler {
    /// The instruction.
    pub to: u32,
    /// The local that gets the error: a record with `message`, `status` and `step`.
    pub error: u16,
}

/// A step for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outline {
    /// The place in the flow.
    pub path: String,
    /// `call`, `let`, `if`, `else`, `match`, `arm`, `for`, `stop`, `require`, `wait`, `wait for`, `on error`.
    pub kind: String,
    /// The step in one line, as the formatter writes it.
    pub text: String,
    /// The action or query called.
    pub call: Option<String>,
    /// The effect class of the call.
    pub effect: Option<String>,
    /// The steps inside.
    pub steps: Vec<Outline>,
}

/// A call as the flow's author sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Invocation {
    /// The place in the flow; the calls that it consists of have it as the beginning of theirs.
    pub path: String,
    /// `connection.operation`.
    pub name: String,
    /// The compiler wrote it.
    pub filled_in: bool,
    /// The inputs of a composite operation with their values, over the event and the run's locals; empty for an operation
    /// that is one request.
    pub inputs: Vec<(String, Expr)>,
}

impl Invocation {
    /// Tells whether a call at `path` is part of it.
    pub fn holds(&self, path: &str) -> bool {
        path.strip_prefix(self.path.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

/// Fields that go to a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Send {
    /// `connection.operation`.
    pub to: String,
    /// `connection.field`, sorted; those marked personal end in `(personal)`.
    pub fields: Vec<String>,
}
