//! Connectors and their members.

use super::{Builder, Node, Parts};
use crate::diagnose;
use crate::grammar::Rule;
use crate::span::Span;
use crate::syntax::{
    Connector, Expr, HttpOperation, Member, MemberKind, Operation, OperationBody, Rate, StateDecl, StateOp, StatePattern,
    TextLit, Trigger,
};

impl<'s> Builder<'s> {
    pub(super) fn connector(&mut self, node: Node<'s>) -> Connector {
        let span = self.span(&node);
        let docs = self.docs(span.start);
        let mut parts = Parts::of(node);
        let name = self.take_ident(&mut parts);
        let title = self.take_text_maybe(&mut parts);
        let mut members: Vec<Member> = Vec::new();
        let mut lines = diagnose::Lines::new(Rule::only_members, span);
        while let Some(part) = parts.next() {
            let at = self.span(&part);
            match part.as_rule() {
                Rule::lbrace => lines.open(at),
                Rule::rbrace => {}
                Rule::unclosed => lines.unclosed(at),
                Rule::bad => {
                    let docs = self.docs(at.start);
                    if lines.bad(at) {
                        members.push(Member { span: at, docs, kind: MemberKind::Bad });
                    }
                }
                _ => {
                    lines.good(at, self.source, &mut self.errors);
                    let docs = self.docs(at.start);
                    let kind = self.member(part, at);
                    members.push(Member { span: at, docs, kind });
                }
            }
        }
        lines.finish(self.source, &mut self.errors);
        Connector { span, docs, name, title, members }
    }

    fn member(&mut self, node: Node<'s>, span: Span) -> MemberKind {
        let rule = node.as_rule();
        let mut parts = Parts::of(node);
        let parts = &mut parts;
        match rule {
            Rule::docs => MemberKind::Docs(self.take_text(parts)),
            Rule::secret => {
                let name = self.take_ident(parts);
                let optional = parts.peek() == Some(Rule::r#type) && self.take_type(parts).optional;
                let hint = self.take_text_maybe(parts);
                let hex_digits = parts.take(Rule::secret_form).map(|node| self.take_number(&mut Parts::of(node)));
                let starts_with = parts.take(Rule::secret_starts).map(|node| {
                    let mut inner = Parts::of(node);
                    inner.take(Rule::w_with);
                    self.take_texts(&mut inner)
                });
                MemberKind::Secret { name, optional, hint, hex_digits, starts_with: starts_with.unwrap_or_default() }
            }
            Rule::setting => {
                let name = self.take_ident(parts);
                parts.take(Rule::colon);
                let ty = self.take_type(parts);
                let default = parts.take(Rule::default).map(|node| {
                    let mut inner = Parts::of(node);
                    inner.take(Rule::assign);
                    self.take_expr(&mut inner)
                });
                MemberKind::Setting { name, ty, default }
            }
            Rule::base => {
                let text = self.take_text(parts);
                MemberKind::Base(text, parts.take(Rule::base_when).map(|node| self.take_expr(&mut Parts::of(node))))
            }
            Rule::api => self.api(parts),
            Rule::refused => {
                let (unless, condition) = self.take_refused(parts);
                MemberKind::Refused { unless, condition }
            }
            Rule::auth => MemberKind::Auth(self.take_call(parts)),
            Rule::via => MemberKind::Via(self.take_call(parts)),
            Rule::header => {
                let name = self.take_text(parts);
                MemberKind::Header(name, self.take_expr(parts))
            }
            Rule::limit => {
                let count = self.take_number(parts);
                if parts.take(Rule::at_once).is_some() {
                    return MemberKind::LimitAtOnce(count);
                }
                MemberKind::Limit(count, self.take_rate_alone(parts, span))
            }
            Rule::quota => {
                let count = self.take_number(parts);
                let every = self.take_rate_alone(parts, span);
                let shared_by = parts.take(Rule::shared_by).map(|node| {
                    let mut inner = Parts::of(node);
                    inner.take(Rule::w_by);
                    self.take_ident(&mut inner)
                });
                let spent_on = parts.take(Rule::spent_on).map(|node| {
                    let mut inner = Parts::of(node);
                    inner.take(Rule::w_on);
                    self.take_numbers(&mut inner)
                });
                MemberKind::Quota { count, every, shared_by, spent_on: spent_on.unwrap_or_default() }
            }
            Rule::retry_on => {
                parts.take(Rule::w_on);
                MemberKind::RetryOn(self.take_numbers(parts))
            }
            Rule::retry_by => {
                parts.take(Rule::w_by);
                parts.take(Rule::w_header);
                MemberKind::RetryBy(self.take_text(parts))
            }
            Rule::broken_on => {
                parts.take(Rule::w_on);
                MemberKind::BrokenOn(self.take_numbers(parts))
            }
            Rule::broken_when => {
                parts.take(Rule::w_when);
                MemberKind::BrokenWhen(self.take_expr(parts))
            }
            Rule::spends => MemberKind::Spends(self.take_wire(parts)),
            Rule::wait_at => {
                parts.take(Rule::w_after);
                MemberKind::WaitAt(self.take_wire(parts))
            }
            Rule::one_of => {
                parts.take(Rule::w_of);
                MemberKind::OneOf(self.take_idents(parts))
            }
            Rule::help_on => {
                parts.take(Rule::w_on);
                let statuses = self.take_numbers(parts);
                MemberKind::HelpOn(statuses, self.take_text(parts))
            }
            Rule::error_text => {
                parts.take(Rule::w_text);
                MemberKind::ErrorText(self.take_texts(parts))
            }
            Rule::check => match parts.take(Rule::http) {
                Some(node) => MemberKind::Check(self.http(node)),
                None if parts.take(Rule::check_via).is_some() => MemberKind::CheckVia,
                None => MemberKind::Bad,
            },
            Rule::record => MemberKind::Record(self.record(parts)),
            Rule::source => self.source_member(parts),
            Rule::trigger => MemberKind::Trigger(self.trigger(parts)),
            Rule::state => MemberKind::State(self.state(parts)),
            Rule::query => MemberKind::Operation(self.operation(parts, false)),
            Rule::action => MemberKind::Operation(self.operation(parts, true)),
            Rule::exponents => MemberKind::Exponents(self.exponents(parts)),
            Rule::resolver => {
                let record = self.take_ident(parts);
                parts.take(Rule::w_from);
                let from = self.take_ident(parts);
                parts.take(Rule::assign);
                MemberKind::Resolver { record, from, action: self.take_ident(parts) }
            }
            _ => MemberKind::Bad,
        }
    }

    fn api(&mut self, parts: &mut Parts<'s>) -> MemberKind {
        let name = self.take_ident(parts);
        let mut members = Vec::new();
        while let Some(part) = parts.next() {
            if matches!(part.as_rule(), Rule::lbrace | Rule::rbrace) {
                continue;
            }
            let span = self.span(&part);
            let docs = self.docs(span.start);
            let kind = self.member(part, span);
            members.push(Member { span, docs, kind });
        }
        MemberKind::Api { name, members }
    }

    /// Takes `per day` where no keys may stand.
    fn take_rate_alone(&mut self, parts: &mut Parts<'s>, span: Span) -> Rate {
        let (keys, rate) = self.take_rate(parts, span);
        if let Some(key) = keys.first() {
            self.unexpected(key.span);
        }
        rate
    }

    pub(super) fn take_texts(&mut self, parts: &mut Parts<'s>) -> Vec<TextLit> {
        let mut texts = Vec::new();
        while let Some(node) = parts.take(Rule::text) {
            texts.push(self.text(node));
        }
        texts
    }

    fn source_member(&mut self, parts: &mut Parts<'s>) -> MemberKind {
        let name = self.take_ident(parts);
        match parts.take(Rule::source_body) {
            Some(node) => MemberKind::Source(self.source_body(Some(name), node)),
            None => MemberKind::Bad,
        }
    }

    fn trigger(&mut self, parts: &mut Parts<'s>) -> Trigger {
        let mut trigger = Trigger {
            name: self.take_ident(parts),
            options: self.take_inputs(parts),
            record: None,
            source: None,
            types: Vec::new(),
            types_of: None,
            state: None,
            condition: None,
            dedupe: None,
            example: None,
            summaries: Vec::new(),
            own_source: None,
        };
        if parts.take(Rule::colon).is_some() {
            trigger.record = Some(self.take_type(parts));
        }
        while let Some(part) = parts.next() {
            let at = self.span(&part);
            let rule = part.as_rule();
            let twice = if rule == Rule::source_body {
                trigger.own_source.replace(self.source_body(None, part)).is_some()
            } else {
                let mut inner = Parts::of(part);
                match rule {
                    Rule::trigger_from if inner.peek() == Some(Rule::trigger_state) => {
                        let state = inner.take(Rule::trigger_state).map(|node| Box::new(self.trigger_state(node)));
                        std::mem::replace(&mut trigger.state, state).is_some() || trigger.source.is_some()
                    }
                    Rule::trigger_from => {
                        let twice = trigger.source.replace(self.take_ident(&mut inner)).is_some();
                        trigger.types_of = inner.take(Rule::types_of).map(|node| self.take_ident(&mut Parts::of(node)));
                        trigger.types = self.take_texts(&mut inner);
                        twice
                    }
                    Rule::trigger_where => trigger.condition.replace(self.take_expr(&mut inner)).is_some(),
                    Rule::summary => {
                        trigger.summaries.push(self.take_text(&mut inner));
                        false
                    }
                    Rule::dedupe => {
                        inner.take(Rule::w_by);
                        trigger.dedupe.replace(self.take_expr(&mut inner)).is_some()
                    }
                    _ => trigger.example.replace(self.take_text(&mut inner)).is_some(),
                }
            };
            if twice {
                self.errors.push(diagnose::twice(self.source, at));
            }
        }
        trigger
    }

    /// `state battery drops below below`.
    fn trigger_state(&mut self, node: Node<'s>) -> StatePattern {
        let span = self.span(&node);
        let mut parts = Parts::of(node);
        let path = self.take_path(&mut parts);
        if parts.take(Rule::state_changes).is_some() {
            return StatePattern { span, path, op: StateOp::Changes, value: None, lasting: None };
        }
        let op = parts.take(Rule::state_op).map_or(StateOp::Is, |op| Self::state_op(op.as_str()));
        StatePattern { span, path, op, value: Some(self.take_expr(&mut parts)), lasting: None }
    }

    fn state(&mut self, parts: &mut Parts<'s>) -> StateDecl {
        let name = self.take_ident(parts);
        parts.take(Rule::colon);
        let ty = self.take_type(parts);
        let from: Option<Expr> = parts.take(Rule::state_from).map(|node| self.take_expr(&mut Parts::of(node)));
        let (mut every, mut within_quota) = (None, false);
        if let Some(node) = parts.take(Rule::poll_every) {
            let mut inner = Parts::of(node);
            every = Some(self.take_duration(&mut inner));
            within_quota = inner.take(Rule::within_quota).is_some();
        }
        StateDecl { name, ty, from, every, within_quota }
    }

    fn operation(&mut self, parts: &mut Parts<'s>, action: bool) -> Operation {
        let name = self.take_ident(parts);
        let inputs = self.take_inputs(parts);
        let output = parts.take(Rule::output).map(|node| self.take_type(&mut Parts::of(node)));
        let mut attributes = Vec::new();
        while let Some(node) = parts.take(Rule::attribute) {
            attributes.push(self.attribute(node));
        }
        let body = match parts.next() {
            Some(node) if node.as_rule() == Rule::http => {
                let http: HttpOperation = self.http(node);
                OperationBody::Http(Box::new(http))
            }
            Some(node) => OperationBody::Steps(self.block(node)),
            None => OperationBody::Steps(Self::bad_block(name.span.after())),
        };
        Operation { action, name, inputs, output, attributes, body }
    }
}
