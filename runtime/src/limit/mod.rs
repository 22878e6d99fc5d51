//! What limits the starts of a flow: one file per limit, each a pure function over what was counted before.
//!
//! Nothing here reads a clock or a store. The keys are evaluated before an event is committed ([`Limited`]); the store's
//! writer decides inside the transaction that takes the event in, so that two events that come at one moment are counted
//! one after the other. The order is `fresh within`, `N times within D`, `once per`, `at most`, `while running`,
//! `one at a time per`, `throttle to`; what a start is dropped for uses up nothing of the limits behind it, and only a start
//! that takes place uses up `once per` and `at most`.

mod fresh;
mod keys;
mod rate;
mod tally;
mod window;

use flow_plan::{Limits, Otherwise, WhileRunning};

pub(crate) use fresh::{TOLERANCE, is_ahead, not_fresh, of_unknown_age, too_old};
pub use keys::{LimitKey, Limited};
pub(crate) use rate::{begin, begins_at, free_at, give_back, leave_place, rate_name, take, take_back};
pub(crate) use tally::{LITTLE, Tally};
pub(crate) use window::counts;

/// What becomes of a start while another run has the turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Busy {
    /// It does not take place.
    Skip,
    /// It waits in the line.
    Queue,
    /// The other run ends.
    Restart,
}

/// Returns what becomes of a start while another run of the same turn is under way; `None` where runs have no turns.
///
/// `one at a time per K` makes a turn for each key, `while running` alone one for the whole flow. Together they say what
/// becomes of an event whose key has a run.
pub(crate) fn busy(limits: &Limits) -> Option<Busy> {
    match (limits.while_running, &limits.one_at_a_time) {
        (Some(WhileRunning::Skip), _) => Some(Busy::Skip),
        (Some(WhileRunning::Restart), _) => Some(Busy::Restart),
        (Some(WhileRunning::Queue), _) | (None, Some(_)) => Some(Busy::Queue),
        (None, None) => None,
    }
}

/// Tells whether runs of the flow have turns, or can be held back before they begin.
pub(crate) fn holds_runs(limits: &Limits) -> bool {
    busy(limits).is_some() || holds_back(limits)
}

/// Tells whether runs of the flow can be held back until an instant.
pub(crate) fn holds_back(limits: &Limits) -> bool {
    limits.throttle.is_some() || limits.at_most.iter().any(|limit| limit.otherwise == Otherwise::Queue)
}
