//! `retry N times over D`, and what may be repeated.

use std::sync::Arc;

use flow_grammar::syntax::{self, Call, CallStep, ClauseKind, Retry};
use flow_plan as plan;
use flow_plan::Effect;

use super::super::check::Checker;
use super::Target;
use super::dangerous::danger;
use crate::code::Code;

/// The most attempts, and the longest time for them: a month.
const MOST_TIMES: u32 = 1_000;
const MOST_MILLIS: u64 = 31 * 86_400_000;

impl<'a> Checker<'a> {
    /// Checks a `retry` by itself.
    pub(super) fn retry(&mut self, retry: &Retry) -> Option<plan::Retry> {
        let times = self.whole(&retry.times, "the number of retries", 1, MOST_TIMES)?;
        let over_ms = match &retry.over {
            Some(over) => {
                let millis = u64::try_from(self.duration_value(over)?.approximate_millis()).unwrap_or(0);
                if millis == 0 || millis > MOST_MILLIS {
                    let diagnostic = self.diagnostic(Code::E301, over.span, "retries are spread over at most 31 days").help(
                        "what should be tried for longer is better a dead letter, which can be retried by hand at any time",
                    );
                    self.report(diagnostic);
                    return None;
                }
                Some(millis)
            }
            None => None,
        };
        Some(plan::Retry { times, over_ms })
    }

    /// Tells whether flows cannot call an operation by its name.
    fn is_internal(&self, name: &str) -> bool {
        let Some((connection, name)) = name.split_once('.') else { return false };
        let operation = self.connection(connection).and_then(|(_, connector)| connector.operations.get(name));
        operation.is_some_and(|operation| operation.internal)
    }

    /// Checks a `retry` against the calls that it repeats.
    pub(super) fn check_retry(&mut self, retry: &Retry, call: &Call, since: usize) {
        let over = retry.over.as_ref().and_then(|over| self.duration_value(over)).map_or(0, |over| over.approximate_millis());
        let over = u64::try_from(over).unwrap_or(0);
        let calls: Vec<(String, Arc<plan::Operation>)> = self.build.calls_since(since).collect();
        // One request of several is told by its own name, unless that is the connector's own affair.
        let written = call.path.iter().map(|part| part.text.as_str()).collect::<Vec<_>>().join(".");
        for (name, operation) in calls {
            let name = if self.is_internal(&name) { written.clone() } else { name };
            match &operation.effect {
                Effect::Once => {
                    let diagnostic = self
                        .diagnostic(Code::E501, retry.span, format!("`{name}` cannot be repeated"))
                        .label("after a time-out nobody knows whether it happened; again could mean twice")
                        .also(call.span, "done once, or not at all")
                        .help("take the `retry` out: where its request was certainly not sent it is tried again anyway, and otherwise a person decides")
                        .fix("without `retry`", retry.span, "", true);
                    self.report(diagnostic);
                    return;
                }
                Effect::Keyed { window_ms, .. } if over > *window_ms => {
                    let window = plan::Duration::from_millis(i64::try_from(*window_ms).unwrap_or(i64::MAX));
                    let hours = window_ms / 3_600_000 * 4 / 5;
                    let over_span = retry.over.as_ref().map_or(retry.span, |over| over.span);
                    let mut diagnostic = self
                        .diagnostic(Code::E502, over_span, format!("`{name}` is remembered for {window} only"))
                        .label("a retry after that could do it a second time")
                        .help(format!(
                            "the service recognises a repeated request by its key for {window}; retries stop at 80 % of that"
                        ));
                    if hours > 0 {
                        diagnostic = diagnostic.fix(format!("`{hours} hours`"), over_span, format!("{hours} hours"), true);
                    }
                    self.report(diagnostic);
                    return;
                }
                Effect::Read | Effect::Set | Effect::Keyed { .. } | Effect::Findable { .. } => {}
            }
        }
    }

    /// An `on error` behind a step that moves something, such as a lock, and is tried for a day before that: whoever is told
    /// then has slept behind an open door.
    pub(super) fn told_late(&mut self, node: &CallStep, target: Target<'a>, since: usize) {
        // What is dangerous is not done late, whatever its retries: the age of its event bounds it.
        let is_of_another = self.quiet > 0 || self.frame.own.is_some() || self.steps.retry.is_some();
        if is_of_another || danger(target.connector, target.operation, 0).is_some() {
            return;
        }
        // So it is where the flow says how old its event may be.
        let is_fresh = |clause: &syntax::Clause| matches!(clause.kind, ClauseKind::Fresh(_));
        if self.node.is_some_and(|flow| flow.clauses.iter().any(is_fresh)) {
            return;
        }
        let own = node.on_error.as_ref().map(|block| block.span);
        let of_flow = || self.node.filter(|_| !self.in_handler)?.on_error.as_ref().map(|block| block.span);
        let Some(handler) = own.or_else(of_flow) else { return };
        let late = self.build.calls_since(since).any(|(_, operation)| is_tried_for_a_day(&operation));
        if !late {
            return;
        }
        let place = node.name.as_ref().map_or(node.call.span, |name| name.span).after();
        let diagnostic = self
            .diagnostic(Code::W507, node.call.span, "a failure here is told only after a day")
            .label("tried again and again until then")
            .also(handler, "comes behind that")
            .help("where somebody has to know soon, say how often and how long it is tried")
            .fix("`retry 3 times over 1 minute`", place, " retry 3 times over 1 minute", false);
        self.report(diagnostic);
    }
}

/// Tells whether an action that has to be seen to have happened is repeated for a day, as whatever may be done twice is where
/// neither its flow nor its connector says otherwise.
fn is_tried_for_a_day(operation: &plan::Operation) -> bool {
    let repeats = match operation.effect {
        Effect::Set | Effect::Findable { .. } => true,
        Effect::Read | Effect::Once | Effect::Keyed { .. } => false,
    };
    repeats && operation.confirm.is_some() && operation.peculiar.pauses_ms.is_empty()
}
