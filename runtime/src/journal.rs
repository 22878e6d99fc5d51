//! What happened to a run: the entries from which its state is rebuilt.
//!
//! An entry carries everything that its application needs, the instant and the random number included, so that applying
//! a journal again gives the same state. Entries never hold secrets: inputs and results do not contain them.

use flow_plan::{JsonPath, Value};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use crate::connection::Cause;
use crate::event::{Origin, Via};
use crate::run::Run;

/// One thing that happened to a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: What,
}

impl Entry {
    /// Returns an entry.
    pub fn new(at: Timestamp, what: What) -> Self {
        Self { at, what }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The event matched, and the run began. Always the first entry.
    Started(Box<Start>),
    /// A step began: its inputs are frozen from here on.
    Begun(Begun),
    /// The request is about to be sent: from here on its outcome may be unknown.
    Intent,
    /// The attempt ended.
    Ended {
        /// How long it took, in milliseconds.
        ms: u64,
        /// How it ended.
        outcome: Outcome,
        /// A random number below a million, for the delay before the next attempt.
        jitter: u32,
    },
    /// The run is held back: another one has the turn, or a rate is used up. It goes on with [`What::Woken`].
    Held(Held),
    /// The run waits, for an instant or for an event. An instant is ended by [`What::Woken`].
    Waits(Waits),
    /// The event came that the run waited for.
    Came(Came),
    /// A newer event took its turn: `while running restart`.
    Superseded {
        /// The run of that event.
        by: String,
    },
    /// The connection is known to be broken, so nothing was sent.
    Parked {
        /// What is wrong with it.
        error: String,
    },
    /// Nothing is sent to the connection for a while, and why.
    Withheld(Withheld),
    /// The step has waited for its connection for as long as it may be tried.
    WaitedInVain {
        /// What it waited for.
        error: String,
    },
    /// The time for the next attempt has come, or the connection may work again.
    Woken,
    /// Somebody asked for another try.
    Retried {
        /// Although the outcome of the last attempt is unknown.
        force: bool,
    },
    /// It must not go on: a dangerous step for an event from before the daemon's start.
    TooLate {
        /// Why, for people.
        reason: String,
    },
    /// Somebody moved the run to another version of its flow: from here on that is its plan.
    Moved(Box<Moved>),
    /// Somebody cancelled the run.
    Cancelled,
    /// Performing the run panicked: our own bug.
    Crashed {
        /// The message of the panic.
        message: String,
    },
}

/// A move to another version of the flow. It holds the whole state, so that nothing of the version before is needed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Moved {
    /// The hash of the plan before.
    pub from: String,
    /// The hash of the plan from here on.
    pub to: String,
    /// The number of the first entry that is left behind: a step that was not done, or a wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped_from: Option<u32>,
    /// What is otherwise than it would be had the run begun under this version, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The state under the plan from here on.
    pub state: Run,
}

/// How a run begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// The run's id.
    pub run: String,
    /// 0, or how often its event had started the flow before: `flowd replay --again`.
    pub replay: u32,
    /// It was started by `flowd replay`, from an event that was in the store.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
    /// The event.
    pub event: EventHead,
    /// The trigger that fired.
    pub trigger: String,
    /// The fields that the flow reads: the slots of `Expr::Event`.
    pub slots: Vec<Value>,
    /// What the flow reads of the raw payload.
    pub raw: Vec<(JsonPath, Value)>,
    /// Why the payload does not fit its record; the run is dead from the start.
    pub misfit: Option<String>,
    /// It does not begin at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
}

/// A run that is held back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Until when; `None` until it gets the turn.
    pub until: Option<Timestamp>,
    /// Why, for people.
    pub reason: String,
}

/// A step that waits for its connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withheld {
    /// What kind of wait it is.
    pub cause: Cause,
    /// Why, for people.
    pub reason: String,
    /// Until when at the latest; then it goes on, or is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// A wait of a flow. What it needs of the calendar and of the run's values is computed once and kept here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Waits {
    /// Until when; `None` for an event without a bound.
    pub until: Option<Timestamp>,
    /// The event that ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaits: Option<Awaits>,
}

/// What a run knows of the event that it awaits, beside what its plan says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Awaits {
    /// Only events with higher numbers count: those accepted since the run's own, or since the beginning of the wait.
    pub after: u64,
    /// The value of the field by which it is found; `None` where the condition demands no such value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Value>,
}

/// The event that ended a wait.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Came {
    /// Its number in the store.
    pub seq: u64,
    /// The service's own id.
    pub id: String,
    /// The fields that the wait reads: the slots of `Expr::Awaited`.
    pub slots: Vec<Value>,
}

/// What a run knows of its event beside the payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventHead {
    /// Its number in the store.
    pub seq: u64,
    /// The service's own id.
    pub id: String,
    /// The connection.
    pub connection: String,
    /// The event type as the service calls it.
    pub event_type: Option<String>,
    /// When it happened, by the service's own time.
    pub occurred_at: Option<Timestamp>,
    /// When its sender signed it, where the scheme of the webhook signs that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_at: Option<Timestamp>,
    /// When it was received.
    pub received_at: Timestamp,
    /// The way it came.
    pub via: Via,
    /// Who caused it.
    #[serde(default)]
    pub origin: Origin,
    /// How many runs of this daemon stand before it in the chain of causes.
    #[serde(default)]
    pub depth: u16,
}

impl EventHead {
    /// Returns what `now` is in conditions: the due instant of what the clock makes, else the time of receipt.
    pub fn now(&self) -> Timestamp {
        match self.via {
            // A state's own time says how old the change may be, not what the clock shows.
            Via::Clock if self.connection == crate::clock::TIME => self.occurred_at.unwrap_or(self.received_at),
            Via::Clock | Via::Webhook | Via::Poll | Via::Engine => self.received_at,
        }
    }
}

/// A step with its frozen inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Begun {
    /// The place in the flow.
    pub path: String,
    /// The counters of the loops around it.
    pub loops: Vec<u32>,
    /// The inputs of the operation.
    pub inputs: Vec<Value>,
    /// The idempotency key.
    pub key: String,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is done.
    Done {
        /// The HTTP status.
        status: Option<u16>,
        /// The result.
        value: Value,
    },
    /// It is surely not done, and may be tried again.
    NotDone {
        /// The HTTP status.
        status: Option<u16>,
        /// What went wrong.
        error: String,
        /// When the service wants to be asked again.
        retry_after_ms: Option<u64>,
    },
    /// Nobody knows whether it is done.
    Unknown {
        /// The HTTP status.
        status: Option<u16>,
        /// What went wrong.
        error: String,
        /// The service says that trying again does not help.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        last: bool,
    },
    /// It is not done and will not be.
    Refused {
        /// The HTTP status.
        status: Option<u16>,
        /// What went wrong.
        error: String,
    },
    /// The connection does not work: wrong credentials.
    Broken {
        /// The HTTP status.
        status: Option<u16>,
        /// What went wrong.
        error: String,
    },
}

impl Outcome {
    /// Returns the outcome of an attempt that was under way when the daemon ended.
    pub fn lost() -> Self {
        Outcome::Unknown { status: None, error: "the daemon ended before the answer came".to_owned(), last: false }
    }

    /// Returns the HTTP status.
    pub fn status(&self) -> Option<u16> {
        match self {
            Outcome::Done { status, .. }
            | Outcome::NotDone { status, .. }
            | Outcome::Unknown { status, .. }
            | Outcome::Refused { status, .. }
            | Outcome::Broken { status, .. } => *status,
        }
    }

    /// Returns what went wrong.
    pub fn error(&self) -> Option<&str> {
        match self {
            Outcome::Done { .. } => None,
            Outcome::NotDone { error, .. }
            | Outcome::Unknown { error, .. }
            | Outcome::Refused { error, .. }
            | Outcome::Broken { error, .. } => Some(error),
        }
    }
}
