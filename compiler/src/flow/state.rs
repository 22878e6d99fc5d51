//! States that start a flow: `is X for D`, `becomes X`, `rises above N`, `drops below N`, `changes`, and that they are not known.

use std::collections::BTreeMap;

use flow_grammar::span::Span;
use flow_grammar::syntax::{self, ExprKind, Ident, StatePattern, TriggerRef};
use flow_plan as plan;
use flow_plan::Value;
use flow_plan::ty::Type;

use super::check::{Checker, listed};
use super::event::Source;
use super::fit::Target;
use super::thousands;
use crate::catalog::{Connector, State, TriggerState, TriggerValue};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::pace;
use crate::suggest::nearest;

/// A state as a flow uses it.
pub(super) struct StateUse<'a> {
    pub(super) source: Source<'a>,
    start: plan::StateStart,
}

impl StateUse<'_> {
    /// The trigger of a flow, whose events have this type.
    pub(super) fn into_trigger(self, event_type: String) -> plan::TriggerUse {
        plan::TriggerUse {
            connection: self.source.connection.to_owned(),
            name: self.source.trigger.name.clone(),
            source: "state".to_owned(),
            types: vec![event_type],
            options: BTreeMap::new(),
            guard: None,
            dedupe: None,
            kind: plan::StartKind::State(Box::new(self.start)),
            reads: Vec::new(),
        }
    }
}

impl<'a> Checker<'a> {
    /// Checks a state behind `when`. What a gap means is said by a clause.
    pub(super) fn state(&mut self, pattern: &StatePattern) -> Option<StateUse<'a>> {
        let (connection, connector, state) = self.state_of(pattern)?;
        let unknown = self.is_not_known(pattern, state);
        let value = match (&pattern.value, unknown) {
            (Some(expr), None) => self.state_value(pattern, expr, connection, state),
            _ => Some(Value::Missing),
        };
        let lasting = match &pattern.lasting {
            Some(lasting) => Some(self.project_span(lasting)?),
            None => None,
        };
        if pattern.op == syntax::StateOp::Is && lasting.is_none() {
            self.is_without_for(pattern);
            return None;
        }
        if let (syntax::StateOp::Changes, Some(lasting)) = (pattern.op, &pattern.lasting) {
            self.changes_for(pattern, lasting.span);
            return None;
        }
        let op = unknown.unwrap_or(match pattern.op {
            syntax::StateOp::Is => plan::StateOp::Is,
            syntax::StateOp::Becomes => plan::StateOp::Becomes,
            syntax::StateOp::RisesAbove => plan::StateOp::RisesAbove,
            syntax::StateOp::DropsBelow => plan::StateOp::DropsBelow,
            syntax::StateOp::Changes => plan::StateOp::Changes,
        });
        if unknown.is_some() {
            // What cannot be read is tried more often.
            if self.never_read(pattern.span, connection) {
                return None;
            }
        } else {
            self.check_poll(pattern, connection, connector, state, lasting.as_ref());
        }
        let is_known = !matches!(op, plan::StateOp::Unknown | plan::StateOp::Unreadable);
        let record = if is_known { &state.event } else { &state.unknown };
        Some(StateUse {
            source: Source { connection, connector, trigger: &state.trigger, record },
            start: plan::StateStart { state: state.name.clone(), op, value: value?, lasting, gaps: plan::Gaps::default() },
        })
    }

    /// A trigger that is a state, with its options.
    pub(super) fn state_trigger(
        &mut self,
        reference: &TriggerRef,
        source: Source<'a>,
        declared: &TriggerState,
    ) -> Option<StateUse<'a>> {
        let options = self.options(reference, source);
        let value = match &declared.value {
            TriggerValue::Plain(value) => value.clone(),
            TriggerValue::Option(name) => options.get(name).cloned()?,
        };
        if self.never_read(reference.span, source.connection) {
            return None;
        }
        let (state, op) = (declared.state.clone(), declared.op);
        Some(StateUse { source, start: plan::StateStart { state, op, value, lasting: None, gaps: plan::Gaps::default() } })
    }

    /// Only what starts a flow can be told by a state. Reports where it is.
    pub(super) fn is_event(&mut self, reference: &TriggerRef, source: Source<'a>) -> bool {
        let Some(declared) = &source.trigger.state else { return true };
        let name = format!("{}.{}", source.connection, source.trigger.name);
        let diagnostic = self
            .diagnostic(Code::E112, reference.span, format!("`{name}` is told by a state, which is not waited for"))
            .label(format!("`{}.{}` is read again and again", source.connection, declared.state))
            .help(format!("let a flow start with it: `when {name} do …`"));
        self.report(diagnostic);
        false
    }

    /// Finds the state that a path names.
    fn state_of(&mut self, pattern: &StatePattern) -> Option<(&'a str, &'a Connector, &'a State)> {
        let (connection_name, name) = match pattern.path.as_slice() {
            [connection] => (connection, None),
            [connection, name] => (connection, Some(name)),
            [.., last] => {
                let diagnostic = self
                    .diagnostic(Code::E201, last.span, "a state has two parts: connection and state")
                    .help("for example `front_door.standing`, or `front_door` where there is only one");
                self.report(diagnostic);
                return None;
            }
            [] => return None,
        };
        let Some((connection, connector)) = self.connection(&connection_name.text) else {
            if !self.asks_the_clock(pattern) {
                self.unknown_connection(connection_name);
            }
            return None;
        };
        self.uses(connection);
        let Some(name) = name else {
            return match only_state(connector) {
                Some(state) => Some((connection, connector, state)),
                None => {
                    self.which_state(connection, connector, connection_name);
                    None
                }
            };
        };
        let found = connector.states.get(&name.text);
        if found.is_none() {
            self.unknown_state(connection, connector, name, pattern);
        }
        found.map(|state| (connection, connector, state))
    }

    fn which_state(&mut self, connection: &str, connector: &Connector, at: &Ident) {
        let names: Vec<String> = connector.states.keys().map(|name| format!("{connection}.{name}")).collect();
        let diagnostic = if names.is_empty() {
            self.no_states(connector, at)
        } else {
            self.diagnostic(Code::E201, at.span, format!("which state of {}?", connector.title))
                .help(format!("there are {}", listed(&names, "and")))
        };
        self.report(diagnostic);
    }

    fn no_states(&self, connector: &Connector, at: &Ident) -> Diagnostic {
        let events: Vec<&str> = connector.triggers.keys().take(6).map(String::as_str).collect();
        let diagnostic = self
            .diagnostic(Code::E201, at.span, format!("{} has no states", connector.title))
            .label("nothing about it is read again and again");
        if events.is_empty() { diagnostic } else { diagnostic.help(format!("it has events: {}", listed(&events, "and"))) }
    }

    fn unknown_state(&mut self, connection: &str, connector: &Connector, name: &Ident, pattern: &StatePattern) {
        if let Some(trigger) = connector.triggers.get(&name.text) {
            if matches!(pattern.op, syntax::StateOp::RisesAbove | syntax::StateOp::DropsBelow) {
                self.event_neither_rises_nor_drops(connection, connector, trigger, pattern);
                return;
            }
            let diagnostic = self
                .diagnostic(Code::E505, name.span, format!("`{connection}.{}` is an event: it happens, and is not so", name.text))
                .help(format!(
                    "it stands alone behind `when`: `when {connection}.{0}`; that it does not come is `when no {connection}.{0} within 6 hours`",
                    name.text
                ));
            self.report(diagnostic);
            return;
        }
        if connector.states.is_empty() {
            let diagnostic = self.no_states(connector, name);
            self.report(diagnostic);
            return;
        }
        let mut diagnostic = self.diagnostic(Code::E201, name.span, format!("{} has no state `{}`", connector.title, name.text));
        match nearest(&name.text, connector.states.keys().map(String::as_str)) {
            Some(found) => {
                diagnostic = diagnostic.help(format!("did you mean `{connection}.{found}`?")).fix(
                    format!("`{found}`"),
                    name.span,
                    found,
                    true,
                );
            }
            None => {
                let names: Vec<&str> = connector.states.keys().map(String::as_str).collect();
                diagnostic = diagnostic.help(format!("there are {}", listed(&names, "and")));
            }
        }
        self.report(diagnostic);
    }

    /// `is unknown for D`, `becomes known`: whether it is known, and not what it is. A member of that name comes first, unless no
    /// state is ever that.
    fn is_not_known(&self, pattern: &StatePattern, state: &State) -> Option<plan::StateOp> {
        let ExprKind::Name(name) = pattern.value.as_ref()?.kind.as_ref() else { return None };
        let is_member = matches!(&state.ty, Type::Enum { members, .. } if members.contains(&name.text));
        match (name.text.as_str(), pattern.op) {
            ("unknown", syntax::StateOp::Is | syntax::StateOp::Becomes) => Some(plan::StateOp::Unknown),
            ("unreadable", syntax::StateOp::Is | syntax::StateOp::Becomes) if !is_member => Some(plan::StateOp::Unreadable),
            ("known", syntax::StateOp::Becomes) if !is_member && pattern.lasting.is_none() => Some(plan::StateOp::Known),
            _ => None,
        }
    }

    /// `changes for 10 minutes`.
    fn changes_for(&mut self, pattern: &StatePattern, at: Span) {
        let diagnostic = self
            .diagnostic(Code::E115, at, "a change is a moment and does not last")
            .help("a flow starts at each change; for how long a state has to last is said of a value: `is open for 10 minutes`")
            .fix(
                "leave it out",
                Span { start: pattern.path.last().map_or(at.start, |name| name.span.end), end: at.end },
                " changes",
                false,
            );
        self.report(diagnostic);
    }

    /// What the state is compared with.
    fn state_value(&mut self, pattern: &StatePattern, expr: &syntax::Expr, connection: &str, state: &'a State) -> Option<Value> {
        let over = matches!(pattern.op, syntax::StateOp::RisesAbove | syntax::StateOp::DropsBelow);
        let counts = matches!(state.ty, Type::Int(_) | Type::Number | Type::Money | Type::Duration | Type::DateTime | Type::Date);
        if over && !counts {
            let mut diagnostic = self
                .diagnostic(Code::E301, pattern.span, format!("`{}` neither rises nor drops", state.name))
                .label(format!("it is {}", state.ty));
            if let Type::Enum { members, .. } = &state.ty
                && let Some(member) = members.first()
            {
                diagnostic = diagnostic.help(format!("it is one of several: `{connection}.{} becomes {member}`", state.name));
            }
            self.report(diagnostic);
            return None;
        }
        let value = match (expr.kind.as_ref(), &state.ty) {
            (ExprKind::Name(name), Type::Enum { members, .. }) => return self.state_member(name, connection, state, members),
            (ExprKind::Not(not), Type::Enum { members, .. }) => {
                self.not_a_member(expr, not, connection, members);
                return None;
            }
            (ExprKind::Name(name), Type::Bool) => {
                let fix = self.word_as(name, &Type::Bool, "");
                let mut diagnostic = self
                    .diagnostic(Code::E301, name.span, format!("`{}` is true or false", state.name))
                    .help("truths are `true` and `false`");
                diagnostic.fixes.extend(fix);
                self.report(diagnostic);
                return None;
            }
            (ExprKind::Name(name), _) => {
                self.no_plain_value(expr, &format!("`{}` is not known before any event", name.text));
                return None;
            }
            // A lock has no members beyond those that the connector names: what else it says is unavailable.
            (_, Type::Enum { members, .. }) => {
                let closed = Type::Enum { members: members.clone(), open: false };
                self.value_for(expr, &closed, &Target::Pattern)
            }
            (_, ty) => self.value_for(expr, ty, &Target::Pattern),
        };
        if value.is_unknown() {
            return None;
        }
        let found = value.as_const().filter(|value| !value.is_missing()).cloned();
        if found.is_none() {
            self.no_plain_value(expr, "a plain value is expected here");
        }
        found
    }

    /// `front_door is not locked`: what it is then is named.
    fn not_a_member(&mut self, expr: &syntax::Expr, not: &syntax::Expr, connection: &str, members: &[String]) {
        let written = self.text_of(not);
        let others: Vec<&String> = members.iter().filter(|member| **member != written.trim_matches('"')).collect();
        let mut diagnostic = self
            .diagnostic(Code::E301, expr.span, format!("what `{connection}` is, and not what it is not, starts a flow"))
            .label(format!("it is one of {}", listed(members, "or")));
        diagnostic = match others.as_slice() {
            [only] => diagnostic.help(format!("write `is {only}`")).fix(format!("`{only}`"), expr.span, only.as_str(), false),
            _ => diagnostic.help("name the value, and join several flows' starts with `or`"),
        };
        self.report(diagnostic);
    }

    fn no_plain_value(&mut self, expr: &syntax::Expr, message: &str) {
        let diagnostic = self
            .diagnostic(Code::E301, expr.span, message.to_owned())
            .help("a state is compared with a value that is written out: `drops below 20`");
        self.report(diagnostic);
    }

    fn state_member(&mut self, name: &Ident, connection: &str, state: &State, members: &[String]) -> Option<Value> {
        if members.contains(&name.text) {
            return Some(Value::text(name.text.as_str()));
        }
        let mut diagnostic = self.diagnostic(Code::E304, name.span, format!("`{connection}` is never `{}`", name.text));
        if matches!(name.text.as_str(), "unavailable" | "missing" | "unknown" | "offline") {
            diagnostic = diagnostic.label("a state that cannot be read is none of its values").help(
                "that it is not known starts a flow with `is unknown for 30 minutes`; that the service does not answer with \
                     `is unreadable for 30 minutes`",
            );
        } else if let Some(found) = nearest(&name.text, members.iter().map(String::as_str)) {
            diagnostic = diagnostic
                .label(format!("one of {}", listed(members, "or")))
                .help(format!("did you mean `{found}`?"))
                .fix(format!("`{found}`"), name.span, found, true);
        } else {
            diagnostic = diagnostic.label(format!("`{}` is one of {}", state.name, listed(members, "or")));
        }
        self.report(diagnostic);
        None
    }

    /// `when front_door is unlocked`: a state is so for long, and starts nothing by being so.
    fn is_without_for(&mut self, pattern: &StatePattern) {
        let source = self.frame.source;
        let subject = pattern.path.first().zip(pattern.path.last());
        let subject = subject.map_or("", |(first, last)| first.span.to(last.span).text(source)).to_owned();
        let value = pattern.value.as_ref().map(|value| self.text_of(value)).unwrap_or_default();
        let diagnostic = self
            .diagnostic(Code::E115, pattern.span, format!("when does `{subject} is {value}` start the flow?"))
            .label("a state is so for a while: it has no moment of its own")
            .help("a flow starts at the moment when it becomes so, or when it has been so for a time")
            .fix(format!("`{subject} becomes {value}`"), pattern.span, format!("{subject} becomes {value}"), false)
            .fix(format!("`{subject} is {value} for 10 minutes`"), pattern.span.after(), " for 10 minutes", false);
        self.report(diagnostic);
    }

    /// A state that is read more slowly than it has to last cannot be seen to last.
    fn check_poll(
        &mut self,
        pattern: &StatePattern,
        connection: &str,
        connector: &Connector,
        state: &State,
        lasting: Option<&plan::Span>,
    ) {
        if self.never_read(pattern.span, connection) {
            return;
        }
        let settings = self.settings.connections.as_ref().and_then(|all| all.get(connection));
        let (Some(lasting), Some(written)) = (lasting, &pattern.lasting) else { return };
        let own = settings.and_then(|settings| settings.poll_ms);
        let every_ms = own.unwrap_or(state.source.every_ms);
        let lasting_ms = u64::try_from(lasting.length.approximate_millis()).unwrap_or(0);
        if every_ms <= lasting_ms {
            return;
        }
        let words = |millis: u64| plan::Duration::from_millis(i64::try_from(millis).unwrap_or(i64::MAX)).to_string();
        let quota = pace::quota_of(connector, settings);
        let (why, place) = match (own, quota.filter(|_| state.source.within_quota)) {
            (Some(_), _) => (String::new(), format!("`poll` of `{connection}` in flow.toml says so: make it shorter")),
            (None, Some(quota)) => {
                // So many calls as would make it possible, in the round numbers in which plans are sold.
                let needed = (u64::from(quota.count) * every_ms).div_ceil(lasting_ms.max(1)).div_ceil(100) * 100;
                (
                    format!(", since its key has {} calls {}", thousands(quota.count.into()), pace::time(quota.per_ms)),
                    format!(
                        "this takes at least {} calls a month: where your plan has them, say so with `monthly_quota` of `{connection}` in flow.toml",
                        thousands(needed)
                    ),
                )
            }
            (None, None) => (String::new(), format!("set a shorter `poll` for `{connection}` in flow.toml")),
        };
        let text = written.span.text(self.frame.source).to_owned();
        let diagnostic = self
            .diagnostic(
                Code::E705,
                written.span,
                format!("`{connection}` is read every {}, and not within {text}", words(every_ms)),
            )
            .label(format!("nothing is known between one reading and the next, {} later{why}", words(every_ms)))
            .help(format!("{place}; or wait for longer: at least {}", words(every_ms)))
            .fix(format!("`for {}`", words(every_ms)), written.span, words(every_ms), false);
        self.report(diagnostic);
    }

    /// Reports where nothing of a connection is read by itself.
    fn never_read(&mut self, span: Span, connection: &str) -> bool {
        let settings = self.settings.connections.as_ref().and_then(|all| all.get(connection));
        let never = settings.is_some_and(|settings| settings.never_polls);
        if never {
            let diagnostic = self
                .diagnostic(Code::E705, span, format!("`{connection}` is never read"))
                .label("a state is known by reading it again and again")
                .help(format!("take `poll = false` of `{connection}` out of flow.toml"));
            self.report(diagnostic);
        }
        never
    }
}

/// The state that a connection's name alone means: its only one, or the one that is called `state`.
pub(super) fn only_state(connector: &Connector) -> Option<&State> {
    let mut all = connector.states.values();
    match (all.next(), all.next()) {
        (Some(only), None) => Some(only),
        _ => connector.states.get("state"),
    }
}
