//! `@dangerous` actions: never for an old event, nor for one that somebody has sent a second time.

use flow_grammar::span::Span;
use flow_grammar::syntax::{CallStep, ClauseKind, Start, StepKind};

use super::super::check::{Checker, listed};
use super::super::clause::Vouched;
use super::super::event::{Bare, Source};
use super::Target;
use crate::catalog::{Connector, Dangerous, Operation, OperationBody};
use crate::code::Code;
use crate::diagnostic::Diagnostic;

impl<'a> Checker<'a> {
    /// Reports a dangerous action whose event may be old, or a copy.
    pub(super) fn check_dangerous(&mut self, node: &CallStep, target: Target<'a>) {
        let Some(flow) = self.node.filter(|_| self.quiet == 0 && self.frame.own.is_none()) else { return };
        let Some(danger) = danger(target.connector, target.operation, 0) else { return };
        let name = target.name();
        let at = node.call.span;
        let clause = |wanted: fn(&ClauseKind) -> bool| flow.clauses.iter().find(|clause| wanted(&clause.kind));
        if let Some(clause) = clause(|kind| matches!(kind, ClauseKind::Unverified)) {
            let diagnostic = self
                .diagnostic(Code::E504, at, format!("`{name}` must not act on what anybody can send"))
                .label("dangerous")
                .also(clause.span, "these events are not verified")
                .help("take `unverified` out, and set in flow.toml how the webhook is verified");
            self.report(diagnostic);
            return;
        }
        let starts = self.starts.sources.iter().filter(|_| self.starts.bare.is_none());
        // What it waits for says that it may be done as well.
        let mut events: Vec<Source<'a>> = starts.chain(&self.waited_for).copied().collect();
        let mut named = std::collections::BTreeSet::new();
        events.retain(|source| named.insert(source.path()));
        let copied: Vec<String> = events
            .iter()
            .filter(|source| matches!(self.vouched(**source), Vouched::Sent | Vouched::Nobody))
            .map(Source::path)
            .collect();
        if !copied.is_empty() {
            let diagnostic = self
                .diagnostic(Code::E504, at, format!("`{name}` must not act on a copy of an old event"))
                .label("dangerous")
                .help(format!(
                    "the signature of {} covers neither a time nor an id, so that whoever has recorded one could send it again; start with an event that is fetched from the service, or whose signature has a time (`stripe_signature`, `standard_webhooks`)",
                    listed(&copied, "and")
                ));
            self.report(diagnostic);
            return;
        }
        let passed: Vec<String> =
            events.iter().filter(|source| self.vouched(**source) == Vouched::Passed).map(Source::path).collect();
        if !passed.is_empty() {
            let diagnostic = self
                .diagnostic(Code::E504, at, format!("`{name}` must not act on what anybody on a broker can publish"))
                .label("dangerous")
                .help(format!(
                    "nothing signs {}: it is as good as the rights that the broker gives; where only those may publish there who may also have this done, say so in flow.toml with `trusted = true` under the connection",
                    listed(&passed, "and")
                ));
            self.report(diagnostic);
            return;
        }
        let in_part: Vec<String> =
            events.iter().filter(|source| self.vouched(**source) == Vouched::InPart).map(Source::path).collect();
        if !in_part.is_empty() {
            let names = listed(&in_part, "and");
            let diagnostic = self
                .diagnostic(Code::E504, at, format!("`{name}` must not act on a request of which a part is signed"))
                .label("dangerous")
                .help(format!(
                    "the signature of {names} covers the time and the body: the path, the parameters, the headers and how the body is to be read are of whoever sends it, who may have recorded it; set `verify = \"standard_webhooks\"`, whose id is signed, or start with another event"
                ));
            self.report(diagnostic);
            return;
        }
        let silence = matches!(self.starts.bare, Some(Bare::Absence));
        let own = events.iter().find(|source| self.is_of_flowd(**source)).map(Source::path);
        if silence || own.is_some() {
            let what = own.map_or_else(|| "silence says".to_owned(), |own| format!("`{own}` says what flowd does, and"));
            let diagnostic = self
                .diagnostic(Code::E504, at, format!("`{name}` must not act on what nobody vouches for"))
                .label("dangerous")
                .help(format!("{what} nothing that a sender has signed or a service was asked for: whoever cuts a line, or has a flow fail, would have it done; start with an event"));
            self.report(diagnostic);
            return;
        }
        let ageless: Vec<String> = events.iter().filter(|source| self.is_ageless(**source)).map(Source::path).collect();
        if !ageless.is_empty() {
            let names = listed(&ageless, "and");
            let diagnostic = self
                .diagnostic(Code::E504, at, format!("`{name}` must not act on an event whose age nobody knows"))
                .label("dangerous")
                .help(format!(
                    "{names} is found by a poll, whose items have no time: one that was missed in an outage would be taken for a new one; say in its source where the time of an item stands (`at \"created_at\" iso`), or start with another event"
                ));
            self.report(diagnostic);
            return;
        }
        if let Some(clause) = clause(|kind| matches!(kind, ClauseKind::AcrossGaps(word) if word.text == "assume")) {
            let diagnostic = self
                .diagnostic(Code::E504, at, format!("`{name}` must not act on what nobody knows"))
                .label("dangerous")
                .also(clause.span, "by this the time is over although the state cannot be read")
                .help("`across gaps verify`, which is the default, reads the state once more")
                .fix("`across gaps verify`", clause.span, "across gaps verify", false);
            self.report(diagnostic);
            return;
        }
        let fresh = match &flow.start {
            Start::Every(_) => self.made_up_for(flow, danger, &name, at),
            Start::When(_) => self.age(flow, danger, &name, at),
        };
        let Some(fresh) = fresh else { return };
        if self.steps.waited > fresh {
            let diagnostic = self
                .diagnostic(Code::E504, at, format!("`{name}` would never be done"))
                .label(format!("the flow has waited for {} before it", words(self.steps.waited)))
                .help(format!("it must not act on an event that is older than {}: do it before the `wait`", words(fresh)));
            self.report(diagnostic);
        }
        // What is late for the flow is late for each of its steps.
        self.fresh_ms = Some(self.fresh_ms.map_or(fresh, |known| known.min(fresh)));
    }

    /// Tells whether polls find events of a trigger, and nothing says when those happened.
    fn is_ageless(&self, source: Source<'a>) -> bool {
        let declared = source.connector.sources.iter().find(|known| known.name == source.trigger.source);
        declared.is_some_and(|found| (found.poll.is_some() || found.listen.is_some()) && found.envelope.at.is_none())
    }

    /// Tells whether the events of a trigger are flowd's own.
    fn is_of_flowd(&self, source: Source<'a>) -> bool {
        let declared = source.connector.sources.iter().find(|known| known.name == source.trigger.source);
        declared.is_some_and(|found| found.poll.is_none() && found.webhook.is_none() && found.listen.is_none())
    }

    /// The bound on the age of the event.
    fn age(&mut self, flow: &flow_grammar::syntax::Flow, danger: Dangerous, name: &str, at: Span) -> Option<u64> {
        let fresh = flow.clauses.iter().find_map(|clause| match &clause.kind {
            ClauseKind::Fresh(within) => Some(within),
            _ => None,
        });
        let Some(within) = fresh else {
            let text = format!("fresh within {}", words(danger.default_ms));
            let diagnostic = self
                .must_not_be_old(name, at)
                .help(format!(
                    "say how old the event may be: such a step needs `fresh within D` on its flow, {} at most",
                    words(danger.limit_ms)
                ))
                .fix(format!("`{text}`"), self.behind_conditions(flow), format!(" {text}"), false);
            self.report(diagnostic);
            return None;
        };
        let millis = u64::try_from(self.duration_value(within)?.approximate_millis()).unwrap_or(u64::MAX);
        if millis > danger.limit_ms {
            let limit = words(danger.limit_ms);
            let diagnostic = self
                .must_not_be_old(name, at)
                .also(within.span, format!("its connector allows {limit} at most"))
                .help("whoever stood before it then may be gone by now")
                .fix(format!("`fresh within {limit}`"), within.span, limit, false);
            self.report(diagnostic);
            return None;
        }
        Some(millis)
    }

    /// A schedule: times that are made up for are late.
    fn made_up_for(&mut self, flow: &flow_grammar::syntax::Flow, danger: Dangerous, name: &str, at: Span) -> Option<u64> {
        let missed = flow.clauses.iter().find_map(|clause| match &clause.kind {
            ClauseKind::Missed { policy, within } => Some((clause.span, policy.text.as_str(), within)),
            _ => None,
        });
        match missed {
            Some((_, "skip", _)) => return Some(danger.limit_ms),
            Some((_, "latest", Some(within))) => {
                let millis = u64::try_from(self.duration_value(within)?.approximate_millis()).unwrap_or(u64::MAX);
                if millis <= danger.limit_ms {
                    return Some(millis);
                }
            }
            _ => {}
        }
        let diagnostic = self.must_not_be_old(name, at).help(format!(
            "a time that was missed may be made up for {} later at most: say `missed skip`, or `missed latest within {}`",
            words(danger.limit_ms),
            words(danger.limit_ms)
        ));
        let (span, text) = match missed {
            Some((span, ..)) => (span, "missed skip".to_owned()),
            None => (self.behind_conditions(flow), " missed skip".to_owned()),
        };
        let diagnostic = diagnostic.fix("`missed skip`", span, text, false);
        self.report(diagnostic);
        None
    }

    fn must_not_be_old(&self, name: &str, at: Span) -> Diagnostic {
        self.diagnostic(Code::E504, at, format!("`{name}` must not act on an old event"))
            .label("dangerous: it may come hours late, after a restart or an outage")
    }

    /// Behind what starts the flow and its `where`.
    fn behind_conditions(&self, flow: &flow_grammar::syntax::Flow) -> Span {
        let start = match &flow.start {
            Start::When(when) => when.span,
            Start::Every(every) => every.span,
        };
        let last = flow
            .clauses
            .iter()
            .filter(|clause| matches!(clause.kind, ClauseKind::Where(_) | ClauseKind::Window { .. } | ClauseKind::Within(_)));
        last.map(|clause| clause.span).max_by_key(|span| span.end).unwrap_or(start).after()
    }
}

/// How dangerous an operation is: one of several steps is as dangerous as they are.
pub(super) fn danger(connector: &Connector, operation: &Operation, depth: usize) -> Option<Dangerous> {
    if operation.dangerous.is_some() || depth > 8 {
        return operation.dangerous;
    }
    let OperationBody::Steps(block) = &operation.body else { return None };
    let mut all = Vec::new();
    called(block, &mut all);
    let own = all.iter().filter_map(|name| connector.operations.get(*name));
    own.filter_map(|operation| danger(connector, operation, depth + 1)).min_by_key(|danger| danger.limit_ms)
}

/// The operations that steps call.
fn called<'b>(block: &'b flow_grammar::syntax::Block, into: &mut Vec<&'b str>) {
    for step in &block.steps {
        if let StepKind::Call(call) = &step.kind {
            into.extend(call.call.path.last().map(|name| name.text.as_str()));
        }
        step.kind.blocks().into_iter().for_each(|block| called(block, into));
    }
}

/// A length of time in words.
fn words(millis: u64) -> String {
    flow_plan::Duration::from_millis(i64::try_from(millis).unwrap_or(i64::MAX)).to_string()
}
