//! The look-up of an attempt whose outcome is unknown: what was there before that attempt is not its own.

use flow_plan::{FindBy, Value};
use jiff::Timestamp;

use super::confirm::by_their_clock;
use super::perform::AttemptScope;
use crate::answer;
use crate::eval::{Required, eval};
use crate::run::Step;
use crate::world::HttpAnswer;

/// When the attempt began that is looked for: the first of which nobody knows whether it had its effect.
pub(super) fn began(step: &Step, asked_at: Timestamp) -> Timestamp {
    step.first_unknown().or_else(|| step.attempts.first().map(|first| first.at)).unwrap_or(asked_at)
}

/// What the query is given. `sent_at` is when that attempt began.
pub(super) fn args(by: &FindBy, scope: &AttemptScope<'_>, began: Timestamp) -> Result<Vec<Value>, Required> {
    // Services count whole seconds: what was made in the second of the attempt counts as after it.
    let began = Timestamp::from_second(began.as_second()).unwrap_or(began);
    let scope = AttemptScope { sent_at: began, ..*scope };
    by.args.iter().map(|arg| eval(arg, &scope)).collect()
}

/// The same by the service's clock, once its answer says what that shows.
pub(super) fn args_of_theirs(
    by: &FindBy,
    scope: &AttemptScope<'_>,
    began: Timestamp,
    answer: &HttpAnswer,
    now: Timestamp,
) -> Result<Vec<Value>, Required> {
    args(by, scope, by_their_clock(began, scope.sent_at, answer::answered_at(answer), now))
}
