//! What bounds the requests to a connection: its rate, its quota, and whether what it leads to answers at all.
//!
//! Plain data and arithmetic: nothing here reads a clock or a store. `executor/lane.rs` asks before each request, whatever
//! it is for, and says afterwards what the service had to say. What must outlive the daemon leaves as changes of meters
//! (`store/meters.rs`): counts together with the intent of a step, or before the request of a poll; notes behind what they
//! note.

mod account;
mod circuit;
mod ledger;
mod rate;
mod state;
mod target;
mod tokens;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub(crate) use circuit::{Circuit, Open};
pub(crate) use ledger::Ledger;
pub(crate) use rate::Rate;
pub use state::{CircuitState, ConnectionState, PartState, QuotaState, RateState, TokenState};
pub(crate) use target::Target;

/// What a request is for: the last part of a quota is for what flows do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A step of a run: an action, a query, or the look-up whether an action has happened.
    Act,
    /// To learn what became of an action that was sent: never held back by a quota.
    Confirm,
    /// The first request of a poll, or the reading of a state.
    Watch,
    /// A further page of a step's list: as the step, which has its turn already.
    Follow,
    /// A further page of a poll: it may go on into half of what is kept for actions, since its pages would be read again.
    Page,
}

/// Why a run waits for its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Its credentials do not work.
    Broken,
    /// It does not answer.
    Silent,
    /// Its quota is used up.
    Spent,
    /// The service asked for patience.
    Paused,
}

/// Why nothing is sent now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hold {
    pub(crate) cause: Cause,
    /// For people.
    pub(crate) reason: String,
    /// When it may be possible again; that of a quota is the end of its time, though a try may come before.
    pub(crate) until: Timestamp,
}

/// What a service had to say to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It answered as it should.
    Works,
    /// It wants fewer requests, and perhaps none for so long.
    Slower(Option<std::time::Duration>),
    /// It did not answer, or not in a way that says anything, and perhaps it asks for patience.
    Silence { error: String, wait: Option<std::time::Duration> },
    /// It does not accept the credentials, or says that the quota is used up, with this status.
    Refusal { status: Option<u16>, error: String },
    /// The request was not sent, and nothing was learnt.
    Nothing,
    /// No connection could be made: it was not counted by anybody.
    Unreached(String),
}

/// Who hears it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    /// A step of a run asked.
    pub(crate) step: bool,
    /// It was the one request that tries a connection that does not work.
    pub(crate) probe: bool,
}

/// An instant that is no point in time but the end or the beginning of a length of it, once the clock was set back.
pub(crate) fn earlier(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_sub(by).unwrap_or(Timestamp::MIN)
}

fn later(at: Timestamp, by: std::time::Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}
