//! What starts a flow beside plain events, and what limits its starts.

use serde::{Deserialize, Serialize};

use crate::{Condition, Expr, Rate, Schedule, Span, TriggerUse, Value};

/// How a trigger starts the flow.
///
/// Everything but [`StartKind::Event`] is turned into an event by the runtime: its connection, source and type are those of
/// the [`TriggerUse`], whose only type is the flow's id, so that it concerns no other flow. Its payload is an object whose
/// members are what the flow may read of it; the source is none of the connector's, so paths begin at the payload's root.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartKind {
    /// Each event that matches.
    #[default]
    Event,
    /// `every …`. Connection `time`, source `schedule`. The event's own time is the due instant, and its payload
    /// `{ "due": …, "missed": … }`: the instant, and whether the daemon did not run then. A flow that is paused passes its
    /// instants over, whatever `missed` says.
    Schedule(Box<Schedule>),
    /// `when no … within D`. The connection is that of the awaited event, the source is `absence`. The event's own time is
    /// when the silence had lasted long enough, and its payload `{ "since": …, "seen": … }`: since when it is counted, and
    /// when the last awaited event was received, or null.
    Absence(Box<Absence>),
    /// `when front_door is unlocked for 10 minutes`. The source is `state`.
    State(Box<StateStart>),
}

/// An event that does not come. What is awaited cannot be read in the steps: the event that the runtime makes has no
/// fields, and the [`TriggerUse`] around it none to read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Absence {
    /// The awaited event: a plain trigger. How its events are read is what [`crate::Flow::reads_of`] says of it.
    pub awaited: TriggerUse,
    /// Which of its events end the silence; over the slots of [`crate::Flow::reads`], as its guard is. The flow itself has
    /// no filter then.
    pub filter: Option<Condition>,
    /// How long the silence is: from the last such event, or from when the flow was first live.
    pub within: Span,
}

/// A state that starts a flow. Changes before the flow was first live with this rule do not count.
///
/// The payload of its event is `{ "value": …, "was": …, "since": … }`: what the state is now, what it was known to be before
/// (left out where that is not known), both as [`Value::to_json`] writes them, and since when it is so, in RFC 3339. A state that
/// becomes known has the instant since which it was not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StateStart {
    /// The state of the connection: [`crate::StateSource::name`].
    pub state: String,
    /// How it is compared.
    pub op: StateOp,
    /// With what; missing where it is compared with nothing.
    pub value: Value,
    /// For how long it has to hold; `None` at once. With every operator but [`StateOp::Is`] the time begins with the change.
    pub lasting: Option<Span>,
    /// What a time in which the state was not known means for `lasting`.
    pub gaps: Gaps,
}

/// How a state is compared. A state that is unavailable matches only those that ask for that, and what comes before and after it
/// are neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateOp {
    /// `is X for D`: it has been X for D without a break. Once per stretch.
    Is,
    /// `becomes X`: it was known to be something else before.
    Becomes,
    /// `rises above N`: it was known to be N or less before.
    RisesAbove,
    /// `drops below N`: it was known to be N or more before.
    DropsBelow,
    /// `changes`: it was known to be something else before.
    Changes,
    /// `is unknown for D`, `becomes unknown`: it could not be read, or the service did not know it. Once until it is known.
    Unknown,
    /// `is unreadable for D`, `becomes unreadable`: it could not be read. Once until the service says anything.
    Unreadable,
    /// `becomes known`: it was not known before.
    Known,
}

/// What a time in which the state was not known (the daemon stopped, the service did not answer) means for a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gaps {
    /// The same state before and after, and nothing that says otherwise in between: the time counts, once the state has
    /// been read again.
    #[default]
    Verify,
    /// The time counts even before the state has been read again.
    Assume,
    /// The duration begins anew.
    Restart,
}

/// What limits the starts of a flow. They are decided in the transaction that takes the event in, in this order.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Limits {
    /// `fresh within D`, in milliseconds: neither start nor step for an event that is older, by its own time or by receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fresh_ms: Option<u64>,
    /// `3 times within 1 hour per K`: each N-th event within the time starts the flow, and the count begins anew. What
    /// counts is when the events happened, by the service's own time, and never later than their receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// `once per K`: remembered for good. Used up by runs that begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub once_per: Option<Vec<Expr>>,
    /// `at most N per K per D`. Counted at the time of receipt; used up by runs that begin.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub at_most: Vec<AtMost>,
    /// `one at a time per K`: the others wait, in the order of arrival; without a key for the whole flow. A dead run has no
    /// turn; one that is tried again takes its place by its arrival, so that it is the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_at_a_time: Option<Vec<Expr>>,
    /// `while running …`: of the whole flow, or of the key where there is `one at a time per K`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub while_running: Option<WhileRunning>,
    /// `throttle to N per D`: starts are delayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttle: Option<Throttle>,
    /// `expect at least N per D`: silence is announced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expect>,
}

impl Limits {
    /// Tells whether nothing limits the starts.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns all keys, for what walks over the expressions of a flow.
    pub fn keys(&self) -> impl Iterator<Item = &Expr> {
        let window = self.window.iter().flat_map(|window| &window.per);
        let once = self.once_per.iter().flatten();
        let at_most = self.at_most.iter().flat_map(|limit| &limit.per);
        let one = self.one_at_a_time.iter().flatten();
        let throttle = self.throttle.iter().flat_map(|throttle| &throttle.per);
        window.chain(once).chain(at_most).chain(one).chain(throttle)
    }
}

/// `3 times within 1 hour per K`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// How many.
    pub count: u32,
    /// Within which time.
    pub within: Span,
    /// The key; over the event.
    pub per: Vec<Expr>,
}

/// `at most N per K per D`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AtMost {
    /// How many.
    pub count: u32,
    /// The key; over the event.
    pub per: Vec<Expr>,
    /// In what time.
    pub every: Rate,
    /// What becomes of the rest.
    pub otherwise: Otherwise,
}

/// What becomes of what is beyond a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Otherwise {
    /// It does not start the flow.
    #[default]
    Drop,
    /// It waits for its turn.
    Queue,
    /// The flow is paused, and that is announced.
    Pause,
}

/// `throttle to N per D per K`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Throttle {
    /// How many.
    pub count: u32,
    /// In what time.
    pub every: Rate,
    /// The key; over the event.
    pub per: Vec<Expr>,
}

/// `while running …`: what an event means for a flow that has a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhileRunning {
    /// It does not start the flow.
    Skip,
    /// It waits until the run has ended.
    Queue,
    /// The run is cancelled, and a new one begins.
    Restart,
}

/// `expect at least N per D`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Expect {
    /// How many starts.
    pub count: u32,
    /// In what time.
    pub every: Rate,
}

/// `wait 3 days`, `wait until 09:00 in "Europe/Paris"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// So long.
    For(Span),
    /// Until an instant, or until the clock in the zone next shows a time of day. What is past does not wait.
    Until {
        /// A time of day or an instant.
        at: Expr,
        /// The IANA zone for a time of day.
        zone: Option<String>,
    },
}

/// `wait for trigger where … up to D else { … }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WaitFor {
    /// The place in the flow.
    pub path: String,
    /// The awaited event: a plain trigger. Its guard reads the slots of `reads` as [`Expr::Event`]; its own `reads` are empty.
    pub trigger: TriggerUse,
    /// The fields of the awaited event: the slots of [`Expr::Awaited`].
    pub reads: Vec<crate::FieldShape>,
    /// Which of its events; over the awaited event, the starting one and the locals. [`crate::Env`] is that of the starting
    /// event; `now` is when the awaited event was received.
    pub condition: Option<Condition>,
    /// `field is value`, where the condition demands it: a slot of `reads` and an expression without [`Expr::Awaited`], so
    /// that waiting runs are found by its value.
    pub key: Option<(u16, Expr)>,
    /// Events accepted since the run's own do not count, only those from the beginning of the wait.
    pub from_now: bool,
    /// The bound.
    pub up_to: Option<Span>,
    /// Where the run goes on when the bound is reached. Behind the event it goes on with the next instruction.
    pub otherwise: u32,
}
