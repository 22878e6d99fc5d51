//! Inline tests, checked and typed: what `flowc test` hands to the simulated driver. Nothing of it is stored.

use jiff::Timestamp;

use crate::{Envelope, FieldShape, Listen, Span, Value, Via};

/// A test.
#[derive(Debug, Clone, PartialEq)]
pub struct Test {
    /// What it shows.
    pub title: String,
    /// The file, relative to the project.
    pub file: String,
    /// The line of its first word, from 1.
    pub line: u32,
    /// The only flow that it loads; without one all flows of the file are loaded.
    pub flow: Option<String>,
    /// When it begins; `None` leaves that to the driver.
    pub begins_at: Option<Timestamp>,
    /// Its lines.
    pub steps: Vec<TestStep>,
}

/// A line of a test.
#[derive(Debug, Clone, PartialEq)]
pub struct TestStep {
    /// The line of the file, from 1.
    pub line: u32,
    /// The line as written, in one line.
    pub text: String,
    /// What it says.
    pub what: TestAction,
}

/// What a line of a test says.
#[derive(Debug, Clone, PartialEq)]
pub enum TestAction {
    /// `given stripe.charge_failed { … }`.
    Event(Box<GivenEvent>),
    /// `given front_door becomes unlocked at …`.
    State {
        /// The connection.
        connection: String,
        /// The state.
        state: String,
        /// Its value from now on; missing is unavailable.
        value: Value,
        /// When, where the test says so.
        at: Option<Timestamp>,
    },
    /// `given kustomer.create_conversation fails once with timeout_after_effect`.
    Fails {
        /// `connection.operation`.
        target: String,
        /// How often; `None` is always.
        times: Option<u32>,
        /// How.
        fault: Fault,
    },
    /// `given stripe.find_customer returns { … }`.
    Returns {
        /// `connection.operation` as written.
        target: String,
        /// The operations of one request that give the value: the target itself, or those parts of a composite one that have
        /// its type.
        by: Vec<String>,
        /// The value; missing where there is none.
        value: Value,
    },
    /// `given restart`.
    Restart,
    /// `after 4 minutes`.
    After(Span),
    /// `expect kustomer.create_conversation once with { … }`.
    Calls {
        /// `connection.operation`.
        target: String,
        /// How often exactly; `None` is at least once.
        times: Option<u32>,
        /// The inputs that count, each with its value; missing where it must not be given.
        with: Vec<(String, Value)>,
    },
    /// `expect dead "…"`.
    Run {
        /// How it ended.
        status: ExpectedStatus,
        /// What the reason has to contain.
        reason: Option<String>,
    },
    /// `expect nothing else`, which holds anyway, or `expect anything else`.
    Else {
        /// Whether calls that no line mentions are fine.
        anything: bool,
    },
}

/// How a run is expected to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedStatus {
    /// At its end.
    Done,
    /// By the flow.
    Stopped,
    /// With a failure.
    Dead,
}

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The request was sent and nothing was done; no answer came.
    TimeoutBeforeEffect,
    /// It was done; no answer came.
    TimeoutAfterEffect,
    /// No connection could be made.
    NotConnected,
    /// An answer with this HTTP status; nothing was done.
    Status(u16),
}

impl Fault {
    /// The words of the language, with the faults that they stand for.
    pub const WORDS: &[(&str, Fault)] = &[
        ("timeout_after_effect", Fault::TimeoutAfterEffect),
        ("timeout_before_effect", Fault::TimeoutBeforeEffect),
        ("timeout", Fault::TimeoutBeforeEffect),
        ("no_connection", Fault::NotConnected),
    ];
}

/// An event that a test makes.
#[derive(Debug, Clone, PartialEq)]
pub struct GivenEvent {
    /// The connection.
    pub connection: String,
    /// The trigger.
    pub trigger: String,
    /// The source.
    pub source: String,
    /// The event type that is written into the payload; `None` where the source has none.
    pub event_type: Option<String>,
    /// All types that the trigger takes, for a payload out of a file.
    pub types: Vec<String>,
    /// Where the parts of a payload are.
    pub envelope: Envelope,
    /// What its source listens to, and by which scheme.
    pub listens: Option<(Listen, Via)>,
    /// The value of the option that is listened by, where the test gives it: the event is of that.
    pub heard: Option<Value>,
    /// What the payload is made of.
    pub payload: Payload,
    /// The fields of the trigger's record.
    pub record: Vec<FieldShape>,
    /// The field that identifies the object, made unique where an example is given more than once.
    pub key: Option<FieldShape>,
    /// The fields that the test gives.
    pub fields: Vec<(FieldShape, Value)>,
    /// How often it is delivered.
    pub times: u32,
    /// When it happens, where the test says so.
    pub at: Option<Timestamp>,
}

/// What a payload is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// The connector's example, or a file that was read.
    Text(String),
    /// A file, relative to that of the test, that whoever runs the test reads.
    File(String),
    /// Nothing is known: required fields get plain values.
    Made,
}
