//! `unverified`: events that nobody vouches for.

use flow_grammar::span::Span;
use flow_grammar::syntax::{Clause, ClauseKind};

use super::super::check::Checker;
use super::super::event::Source;
use crate::code::Code;
use flow_plan as plan;

/// How it is known that an event is what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::flow) enum Vouched {
    /// flowd reads it from the service, or makes it itself.
    Read,
    /// It comes with a signature over a time or a unique id: an old one that comes again is noticed.
    Signed,
    /// It is a whole request whose signature covers a time and the body alone: the address and the headers are anybody's who
    /// has seen it.
    InPart,
    /// A broker has passed it on: whoever may publish there can have sent it.
    Passed,
    /// Its sender is known, and a copy of an old one would be believed.
    Sent,
    /// Anybody can send it.
    Nobody,
}

impl<'a> Checker<'a> {
    /// Reports an `unverified` that allows nothing: neither what starts the flow nor what it waits for could be anybody's.
    pub(in crate::flow) fn check_unverified(&mut self, clauses: &[Clause]) {
        let Some(clause) = clauses.iter().find(|clause| matches!(clause.kind, ClauseKind::Unverified)) else { return };
        // An event that is not understood could be the one that is meant.
        if self.error_count() > 0
            || self.waited_for.iter().any(|source| self.vouched(*source) == Vouched::Nobody)
            || self.does_not_fit(clause)
        {
            return;
        }
        let events: Vec<Source<'a>> = self.starts.sources.iter().chain(&self.waited_for).copied().collect();
        if events.is_empty() || events.iter().any(|source| self.vouched(*source) == Vouched::Nobody) {
            return;
        }
        let mut names: Vec<String> = events.iter().map(Source::path).collect();
        names.sort_unstable();
        names.dedup();
        let diagnostic = self
            .diagnostic(Code::E112, clause.span, "these events are verified")
            .label(format!("{} comes with a signature, or is fetched", super::super::check::listed(&names, "and")))
            .help("`unverified` allows events of which nobody knows who sent them: take it out")
            .fix("without it", clause.span, "", true);
        self.report(diagnostic);
    }

    /// Events that anybody could send start a flow only where it says that this is meant.
    pub(super) fn check_verified(&mut self, clauses: &[Clause]) {
        if clauses.iter().any(|clause| matches!(clause.kind, ClauseKind::Unverified)) {
            return;
        }
        let Some(source) = self.starts.sources.iter().copied().find(|source| self.vouched(*source) == Vouched::Nobody) else {
            return;
        };
        let Some(node) = self.node else { return };
        let flow_grammar::syntax::Start::When(when) = &node.start else { return };
        let end = clauses.last().map_or(when.span, |clause| clause.span).after();
        let diagnostic = self
            .diagnostic(Code::E805, when.span, format!("anybody can send `{}`", source.path()))
            .label("its webhook is not verified: whoever knows the address can start this flow")
            .help("set how it is verified in flow.toml, or say that this is meant")
            .fix("`unverified`", end, " unverified", false);
        self.report(diagnostic);
    }

    /// Events that anybody could send let a run go on only where its flow says that this is meant.
    pub(in crate::flow) fn check_awaited_verified(&mut self, source: Source<'a>, at: Span) {
        let Some(node) = self.node.filter(|_| self.vouched(source) == Vouched::Nobody) else { return };
        if node.clauses.iter().any(|clause| matches!(clause.kind, ClauseKind::Unverified)) {
            return;
        }
        let start = match &node.start {
            flow_grammar::syntax::Start::When(when) => when.span,
            flow_grammar::syntax::Start::Every(every) => every.span,
        };
        let end = node.clauses.last().map_or(start, |clause| clause.span).after();
        let diagnostic = self
            .diagnostic(Code::E805, at, format!("anybody can send `{}`", source.path()))
            .label("its webhook is not verified: whoever knows the address can let the run go on")
            .help("set how it is verified in flow.toml, or say at the start of the flow that this is meant")
            .fix("`unverified`", end, " unverified", false);
        self.report(diagnostic);
    }

    /// Returns how it is known that the events of a trigger are what they say.
    pub(in crate::flow) fn vouched(&self, source: Source<'a>) -> Vouched {
        let Some(found) = source.connector.sources.iter().find(|known| known.name == source.trigger.source) else {
            // A state, or what flowd makes by itself.
            return Vouched::Read;
        };
        let Some(webhook) = &found.webhook else {
            let by_broker = found.listen.is_some() && source.connector.api.via.as_ref().is_some_and(|via| via.scheme == "mqtt");
            return if by_broker && !self.is_trusted(source) { Vouched::Passed } else { Vouched::Read };
        };
        let scheme = match webhook.scheme.as_str() {
            "chosen" => self.param(source, webhook, "by").unwrap_or_default(),
            fixed => fixed.to_owned(),
        };
        match scheme.as_str() {
            "none" => Vouched::Nobody,
            // All of these sign the time at which the message was sent; this one an id as well.
            "standard_webhooks" => Vouched::Signed,
            "stripe_signature" if webhook.whole => Vouched::InPart,
            "stripe_signature" => Vouched::Signed,
            "hmac_sha1" | "hmac_sha256" | "hmac_sha512" if self.param(source, webhook, "timestamp").is_some() => {
                if webhook.whole { Vouched::InPart } else { Vouched::Signed }
            }
            // The signature is over the body: what the body has in it is signed. Of a whole request the rest is not.
            "hmac_sha1" | "hmac_sha256" | "hmac_sha512"
                if !webhook.whole && (found.envelope.id.is_some() || found.envelope.at.is_some()) =>
            {
                Vouched::Signed
            }
            _ => Vouched::Sent,
        }
    }

    /// Tells whether flow.toml says that whoever may publish on a broker may have done what is dangerous.
    fn is_trusted(&self, source: Source<'a>) -> bool {
        let given = self.settings.connections.as_ref().and_then(|all| all.get(source.connection)?.values.get("trusted"));
        given == Some(&plan::Value::Bool(true)) || crate::expose::is_used(self.settings, self.connections, source.connection)
    }

    /// The text of a parameter of the scheme, which a setting of the connection may give or leave out.
    fn param(&self, source: Source<'a>, webhook: &plan::Webhook, name: &str) -> Option<String> {
        let value = match webhook.params.get(name)? {
            plan::Expr::Const(value) => value.clone(),
            plan::Expr::Env(plan::Env::Setting(name)) => {
                let given = self.settings.connections.as_ref().and_then(|all| all.get(source.connection)?.values.get(name));
                let declared = || source.connector.settings.iter().find(|setting| setting.name == *name)?.default.as_ref();
                given.or_else(declared)?.clone()
            }
            _ => return None,
        };
        value.as_text().map(str::to_owned)
    }
}
