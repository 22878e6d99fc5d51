//! The contract between compiler and runtime: values, compiled expressions, operations, sources and flows.
//!
//! Data only. Nothing here reads a file, a clock or a network, and nothing here knows a service. Everything that is
//! serialised is covered by [`VERSION`].

mod allowed;
mod connection;
mod currency;
mod expr;
mod flow;
mod hash;
mod operation;
mod path;
mod schedule;
mod shape;
mod source;
mod start;
mod state;
mod test;
pub mod ty;
mod value;
mod via;

pub use allowed::{Allowed, NotAPlace};
pub use connection::{Api, Auth, Connection, QUOTA_MONTH_MS, Quota, RateLimit, SecretDecl, SettingDecl};
pub use currency::{Currency, decimals_of};
pub use expr::{Arithmetic, Condition, Each, Env, Expr, Function, Order};
pub use flow::{Call, CallArg, ErrorHandler, Flow, Instr, Invocation, Outline, Program, Retry, Send, TriggerUse};
pub use hash::{content_hash, short_hash};
pub use operation::{Answer, AnswerForm, Body, Confirm, Effect, Encoding, FindBy, Input, Length, Operation, PathPart};
pub use operation::{ListOrder, Listing, SignPlace, Signature};
pub use operation::{Peculiar, QueryField, Request};
pub use path::{JsonPath, PathError, Segment};
pub use schedule::{CalendarUnit, ClockChange, DayTime, Days, Missed, MonthDay, Rate, Rule, Schedule, Span};
pub use shape::{FieldShape, FieldSource, MoneyUnit, Shape, TimeFormat, Writing};
pub use source::{Codes, Envelope, Pages, Poll, Refusal, Register, Registered, Source, Told, Webhook, WhenChanges};
pub use start::{Absence, AtMost, Expect, Gaps, Limits, Otherwise, StartKind, StateOp, StateStart, Throttle, Wait, WaitFor};
pub use start::{WhileRunning, Window};
pub use state::StateSource;
pub use test::{ExpectedStatus, Fault, GivenEvent, Payload, Test, TestAction, TestStep};
pub use value::{Duration, Money, Value, parse_decimal};
pub use via::{HEARD, Listen, SEND, Via};

/// The version of everything in this crate that is written to disk.
pub const VERSION: u32 = 1;
