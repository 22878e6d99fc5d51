//! What a connector says about HTTP: sources, requests, and the lines of operations.

use super::{Builder, Node, Parts};
use crate::diagnose;
use crate::grammar::Rule;
use crate::span::Span;
use crate::syntax::{
    Address, AnswerForm, Body, Codes, DoneOn, EffectLine, Emitted, Expr, ExprKind, HttpOperation, Ident, NumberLit,
    OperationLine, OperationLineKind, Order, Quote, Registered, Request, RequestField, Source, SourceLine, SourceLineKind,
    TextLit, Told, WirePath,
};

impl<'s> Builder<'s> {
    pub(super) fn source_body(&mut self, name: Option<Ident>, node: Node<'s>) -> Source {
        let span = self.span(&node);
        let mut out = Vec::new();
        let mut lines = diagnose::Lines::new(Rule::only_source, span);
        for part in node.into_inner() {
            let at = self.span(&part);
            match part.as_rule() {
                Rule::lbrace => lines.open(at),
                Rule::rbrace => {}
                Rule::unclosed => lines.unclosed(at),
                Rule::bad => {
                    lines.bad(at);
                }
                _ => {
                    lines.good(at, self.source, &mut self.errors);
                    out.push(SourceLine { span: at, kind: self.source_line(part) });
                }
            }
        }
        lines.finish(self.source, &mut self.errors);
        Source { name, lines: out }
    }

    fn source_line(&mut self, node: Node<'s>) -> SourceLineKind {
        let rule = node.as_rule();
        let mut parts = Parts::of(node);
        let parts = &mut parts;
        match rule {
            Rule::webhook => {
                let whole = parts.take(Rule::webhook_whole).is_some();
                SourceLineKind::Webhook { whole, verify: self.take_call(parts) }
            }
            Rule::register => {
                let request = self.take_request(parts);
                let secret_at = parts.take(Rule::w_secret).map(|_| self.take_wire(parts));
                let id_at = parts.take(Rule::w_id).map(|_| self.take_wire(parts));
                SourceLineKind::Register { request, secret_at, id_at }
            }
            Rule::unregister => SourceLineKind::Unregister(self.take_request(parts)),
            Rule::update => SourceLineKind::Update(self.take_request(parts)),
            Rule::registered => SourceLineKind::Registered(Box::new(self.registered(parts))),
            Rule::poll => self.poll(parts),
            Rule::listen => {
                let by = self.take_ident(parts);
                let pattern = parts.take(Rule::listen_as).map(|node| self.take_text(&mut Parts::of(node)));
                let clears = parts.take(Rule::listen_clears).map(|node| self.take_text(&mut Parts::of(node)));
                let every = parts.take(Rule::poll_every).map(|node| self.take_duration(&mut Parts::of(node)));
                SourceLineKind::Listen { by, pattern, clears, every }
            }
            Rule::pages => {
                let (param, from, of, more) = self.pages(parts);
                SourceLineKind::Pages { param, from, of, more }
            }
            Rule::cursor => {
                let path = self.take_wire(parts);
                SourceLineKind::Cursor(path, parts.take(Rule::plus).map(|_| self.take_number(parts)))
            }
            Rule::order => SourceLineKind::Order(self.order(parts)),
            Rule::seen => {
                let mut paths = Vec::new();
                while let Some(node) = parts.take(Rule::wire) {
                    paths.push(self.wire(node));
                }
                SourceLineKind::Seen(paths)
            }
            Rule::history => SourceLineKind::History(self.take_duration(parts)),
            Rule::first_poll => SourceLineKind::First(self.take_ident(parts)),
            Rule::type_line => SourceLineKind::Type(self.take_wire(parts)),
            Rule::id_line => SourceLineKind::Id { path: self.take_wire(parts), else_body: parts.take(Rule::id_else).is_some() },
            Rule::at_line => {
                let path = self.take_wire(parts);
                let scheme = self.take_scheme(parts);
                SourceLineKind::At(path, scheme)
            }
            Rule::object_line => SourceLineKind::Object(self.take_wire(parts)),
            Rule::refuse => {
                SourceLineKind::Refuse { quietly: false, when: self.take_expr(parts), because: self.take_because(parts) }
            }
            Rule::ignore => {
                SourceLineKind::Refuse { quietly: true, when: self.take_expr(parts), because: self.take_because(parts) }
            }
            Rule::codes => SourceLineKind::Codes(self.codes(parts)),
            Rule::along => {
                let (span, fields) = match parts.take(Rule::object) {
                    Some(object) => (self.span(&object), self.object(object)),
                    None => (Span::default(), Vec::new()),
                };
                SourceLineKind::Along(Expr { span, kind: Box::new(ExprKind::Object(fields)) })
            }
            Rule::told => SourceLineKind::Told(self.told(parts)),
            // `items`, the only line left.
            _ => SourceLineKind::Items(self.take_wire(parts)),
        }
    }

    fn poll(&mut self, parts: &mut Parts<'s>) -> SourceLineKind {
        let request = self.take_request(parts);
        let mut every = None;
        let mut within_quota = false;
        let mut when_changes = Vec::new();
        while let Some(part) = parts.next() {
            let at = self.span(&part);
            let rule = part.as_rule();
            let mut inner = Parts::of(part);
            let twice = if rule == Rule::poll_every {
                let twice = every.replace(self.take_duration(&mut inner)).is_some();
                within_quota |= inner.take(Rule::within_quota).is_some();
                twice
            } else {
                !std::mem::replace(&mut when_changes, self.take_path(&mut inner)).is_empty()
            };
            if twice {
                self.errors.push(diagnose::twice(self.source, at));
            }
        }
        SourceLineKind::Poll { request, every, within_quota, when_changes }
    }

    fn registered(&mut self, parts: &mut Parts<'s>) -> Registered {
        let mut registered = Registered {
            request: self.take_request(parts),
            list_at: None,
            ours: None,
            id_at: None,
            url_at: None,
            events_at: None,
            update_unless: None,
            replace_unless: None,
        };
        while let Some(part) = parts.next() {
            let at = self.span(&part);
            let rule = part.as_rule();
            let mut inner = Parts::of(part);
            let twice = match rule {
                Rule::registered_where => {
                    inner.take(Rule::w_where);
                    registered.ours.replace(self.take_expr(&mut inner)).is_some()
                }
                Rule::registered_unless => {
                    let replaces = inner.take(Rule::unless_what).is_some_and(|word| word.as_str() == "replace");
                    inner.take(Rule::w_unless);
                    let unless = self.take_expr(&mut inner);
                    let place = if replaces { &mut registered.replace_unless } else { &mut registered.update_unless };
                    place.replace(unless).is_some()
                }
                _ => {
                    inner.find(Rule::w_at);
                    let path = self.take_wire(&mut inner);
                    let place = match rule {
                        Rule::registered_list => &mut registered.list_at,
                        Rule::registered_id => &mut registered.id_at,
                        Rule::registered_url => &mut registered.url_at,
                        _ => &mut registered.events_at,
                    };
                    place.replace(path).is_some()
                }
            };
            if twice {
                self.errors.push(diagnose::twice(self.source, at));
            }
        }
        registered
    }

    fn take_scheme(&mut self, parts: &mut Parts<'s>) -> Option<Ident> {
        let node = parts.take(Rule::scheme)?;
        Some(self.take_ident(&mut Parts::of(node)))
    }

    fn pages(&mut self, parts: &mut Parts<'s>) -> (Ident, Expr, Option<NumberLit>, Option<WirePath>) {
        let param = self.take_ident(parts);
        let from = self.take_expr(parts);
        let of = parts.take(Rule::pages_of).map(|node| self.take_number(&mut Parts::of(node)));
        let more = parts.take(Rule::pages_while).map(|node| self.take_wire(&mut Parts::of(node)));
        (param, from, of, more)
    }

    fn order(&mut self, parts: &mut Parts<'s>) -> Order {
        let first = self.take_ident(parts);
        let by = self.take_wire(parts);
        let scheme = self.take_scheme(parts);
        let then = parts.take(Rule::order_then).map(|node| self.take_wire(&mut Parts::of(node)));
        Order { first, by, scheme, then }
    }

    fn codes(&mut self, parts: &mut Parts<'s>) -> Codes {
        let path = self.take_wire(parts);
        let table = self.code_rows(parts);
        let (mut collapse, mut among) = (None, Vec::new());
        if let Some(node) = parts.find(Rule::collapse) {
            let mut inner = Parts::of(node);
            collapse = Some(self.take_ident(&mut inner));
            if let Some(node) = inner.take(Rule::collapse_of) {
                among = self.take_idents(&mut Parts::of(node));
            }
        }
        Codes { path, table, collapse, among }
    }

    /// `state { locked: locked unlocked: unlocked } at at`.
    fn told(&mut self, parts: &mut Parts<'s>) -> Told {
        let value = self.take_expr(parts);
        parts.take(Rule::lbrace);
        let mut table = Vec::new();
        while let Some(row) = parts.take(Rule::told_row) {
            let mut inner = Parts::of(row);
            let name = self.take_ident(&mut inner);
            inner.take(Rule::colon);
            table.push((name, self.take_idents(&mut inner)));
        }
        parts.find(Rule::w_at);
        Told { value, table, at: self.take_expr(parts) }
    }

    /// `{ locked: 1, 6 unlocked: 2 }`.
    pub(super) fn code_rows(&mut self, parts: &mut Parts<'s>) -> Vec<(Ident, Vec<NumberLit>)> {
        parts.take(Rule::lbrace);
        let mut table = Vec::new();
        while let Some(row) = parts.take(Rule::code_row) {
            let mut inner = Parts::of(row);
            let name = self.take_ident(&mut inner);
            inner.take(Rule::colon);
            table.push((name, self.take_numbers(&mut inner)));
        }
        table
    }

    fn take_request(&mut self, parts: &mut Parts<'s>) -> Request {
        match parts.take(Rule::request) {
            Some(node) => self.request(node),
            None => no_request(Span::default()),
        }
    }

    fn request(&mut self, node: Node<'s>) -> Request {
        let span = self.span(&node);
        let mut parts = Parts::of(node);
        let mut request = no_request(span);
        if let Some(method) = parts.take(Rule::method) {
            request.method = self.ident(&method);
        }
        match parts.take(Rule::address) {
            Some(node) => request.address = Some(self.address(node)),
            None => request.path = self.take_text(&mut parts),
        }
        while let Some(part) = parts.next() {
            let at = self.span(&part);
            let rule = part.as_rule();
            let mut inner = Parts::of(part);
            match rule {
                Rule::request_via => {
                    if request.via.replace(self.take_ident(&mut inner)).is_some() {
                        self.errors.push(diagnose::twice(self.source, at));
                    }
                }
                Rule::request_query if inner.take(Rule::lbrace).is_none() => {
                    if request.more_query.replace(self.take_ident(&mut inner)).is_some() {
                        self.errors.push(diagnose::twice(self.source, at));
                    }
                }
                Rule::request_headers => {
                    if request.more_headers.replace(self.take_ident(&mut inner)).is_some() {
                        self.errors.push(diagnose::twice(self.source, at));
                    }
                }
                Rule::request_query => {
                    while let Some(field) = inner.take(Rule::request_field) {
                        request.query.push(self.request_field(field));
                    }
                }
                Rule::body => {
                    let encoding = match inner.take(Rule::encoding) {
                        Some(word) => self.ident(&word),
                        None => self.take_ident(&mut inner),
                    };
                    let value = self.take_expr(&mut inner);
                    let nulls = inner.take(Rule::body_null).map(|node| self.take_expr(&mut Parts::of(node)));
                    if request.bodies.iter().any(|body| body.encoding.text == encoding.text) {
                        self.errors.push(diagnose::twice(self.source, at));
                    }
                    request.bodies.push(Body { encoding, value, nulls });
                }
                _ => {
                    let name = self.take_text(&mut inner);
                    request.headers.push((name, self.take_expr(&mut inner)));
                }
            }
        }
        request
    }

    fn address(&mut self, node: Node<'s>) -> Address {
        let mut parts = Parts::of(node);
        let method = (parts.peek() == Some(Rule::name)).then(|| self.take_ident(&mut parts));
        parts.take(Rule::w_at);
        Address { method, url: self.take_expr(&mut parts) }
    }

    /// `send { … }`: no address, and what is sent as the body.
    fn send(&mut self, node: Node<'s>) -> Request {
        let span = self.span(&node);
        let mut parts = Parts::of(node);
        let mut request = no_request(span);
        if let Some(word) = parts.take(Rule::send_word) {
            request.method = self.ident(&word);
        }
        if let Some(object) = parts.take(Rule::object) {
            let (at, encoding) = (self.span(&object), Ident { text: "json".to_owned(), span: request.method.span });
            let value = Expr { span: at, kind: Box::new(ExprKind::Object(self.object(object))) };
            request.bodies.push(Body { encoding, value, nulls: None });
        }
        request
    }

    /// `a, "b.c"`.
    fn take_emitted(&mut self, parts: &mut Parts<'s>) -> Vec<Emitted> {
        let mut emitted = Vec::new();
        while let Some(node) = parts.take(Rule::emitted) {
            let span = self.span(&node);
            let mut inner = Parts::of(node);
            emitted.push(match inner.take(Rule::key_text) {
                Some(text) => Emitted { name: Ident { text: self.plain_text(&text), span }, quoted: true },
                None => Emitted { name: self.take_ident(&mut inner), quoted: false },
            });
        }
        emitted
    }

    fn request_field(&mut self, node: Node<'s>) -> RequestField {
        let mut parts = Parts::of(node);
        let field = match parts.take(Rule::field) {
            Some(node) => self.field(node),
            None => crate::syntax::ObjectField {
                span: Span::default(),
                key: self.take_ident(&mut parts),
                quoted: false,
                value: None,
                optional: None,
            },
        };
        let chunk = parts.take(Rule::chunk).map(|node| self.take_number(&mut Parts::of(node)));
        RequestField { field, chunk }
    }

    pub(super) fn http(&mut self, node: Node<'s>) -> HttpOperation {
        let span = self.span(&node);
        let mut request = no_request(span);
        let mut out = Vec::new();
        let mut lines = diagnose::Lines::new(Rule::only_http, span);
        for part in node.into_inner() {
            let at = self.span(&part);
            match part.as_rule() {
                Rule::lbrace => lines.open(at),
                Rule::rbrace => {}
                Rule::unclosed => lines.unclosed(at),
                Rule::bad => {
                    lines.bad(at);
                }
                Rule::request => {
                    lines.good(at, self.source, &mut self.errors);
                    request = self.request(part);
                }
                Rule::send => {
                    lines.good(at, self.source, &mut self.errors);
                    request = self.send(part);
                }
                _ => {
                    lines.good(at, self.source, &mut self.errors);
                    out.push(OperationLine { span: at, kind: self.operation_line(part) });
                }
            }
        }
        lines.finish(self.source, &mut self.errors);
        HttpOperation { request, lines: out }
    }

    fn operation_line(&mut self, node: Node<'s>) -> OperationLineKind {
        let rule = node.as_rule();
        let mut parts = Parts::of(node);
        let parts = &mut parts;
        match rule {
            Rule::at_path => OperationLineKind::At(self.take_wire(parts)),
            Rule::none_on => OperationLineKind::NoneOn(self.take_numbers(parts)),
            Rule::none_when => OperationLineKind::NoneWhen(self.take_expr(parts)),
            Rule::first_where => OperationLineKind::First(parts.take(Rule::w_where).map(|_| self.take_expr(parts))),
            Rule::warn_unless => {
                parts.take(Rule::w_unless);
                let names = parts.take(Rule::one_of).map(|node| {
                    let mut inner = Parts::of(node);
                    inner.take(Rule::w_of);
                    self.take_idents(&mut inner)
                });
                let because = match self.take_because(parts) {
                    Some(because) => because,
                    None => self.take_text(parts),
                };
                OperationLineKind::WarnUnless { names: names.unwrap_or_default(), because }
            }
            Rule::refused => {
                let unless = parts.take(Rule::refused_word).is_some_and(|word| word.as_str() == "unless");
                let condition = self.take_expr(parts);
                let because = self.take_because(parts);
                if unless {
                    OperationLineKind::RefusedUnless(condition, because)
                } else {
                    OperationLineKind::RefusedWhen(condition, because)
                }
            }
            Rule::refuse => OperationLineKind::Refuse { when: self.take_expr(parts), because: self.take_because(parts) },
            Rule::effect => OperationLineKind::Effect(self.effect(parts)),
            Rule::sign => {
                let fields = match parts.take(Rule::object) {
                    Some(object) => self.object(object),
                    None => Vec::new(),
                };
                OperationLineKind::Sign(fields)
            }
            Rule::confirm => {
                let query = self.take_call(parts);
                parts.find(Rule::w_every);
                let every = self.take_duration(parts);
                parts.find(Rule::w_up_to);
                let up_to = self.take_expr(parts);
                let mark = parts.take(Rule::as_name).map(|node| self.take_ident(&mut Parts::of(node)));
                parts.find(Rule::w_where);
                OperationLineKind::Confirm { query, every, up_to, mark, condition: self.take_expr(parts) }
            }
            Rule::emits => OperationLineKind::Emits(self.take_emitted(parts)),
            Rule::retry_on => {
                parts.take(Rule::w_on);
                OperationLineKind::RetryOn(self.take_numbers(parts))
            }
            Rule::retry_after => {
                parts.take(Rule::w_after);
                let mut pauses = Vec::new();
                while parts.peek() == Some(Rule::duration) {
                    pauses.push(self.take_duration(parts));
                }
                OperationLineKind::RetryAfter(pauses)
            }
            Rule::answer => OperationLineKind::Answer(match parts.take(Rule::answer_json) {
                Some(node) => {
                    let mut inner = Parts::of(node);
                    inner.take(Rule::w_in);
                    AnswerForm::JsonIn(self.take_wire(&mut inner))
                }
                None if parts.take(Rule::answer_word).is_some_and(|word| word.as_str() == "whole") => AnswerForm::Whole,
                None => AnswerForm::Text,
            }),
            Rule::done_on => {
                parts.take(Rule::w_on);
                OperationLineKind::DoneOn(if parts.peek() == Some(Rule::number) {
                    DoneOn::Statuses(self.take_numbers(parts))
                } else {
                    DoneOn::Input(self.take_ident(parts))
                })
            }
            Rule::timeout => OperationLineKind::Timeout(self.take_expr(parts)),
            Rule::body_up_to => {
                parts.take(Rule::w_up_to);
                OperationLineKind::BodyUpTo(self.take_number(parts))
            }
            Rule::once_more => OperationLineKind::OnceMore,
            Rule::retry_never => OperationLineKind::RetryNever,
            Rule::pages => {
                let (param, from, of, more) = self.pages(parts);
                OperationLineKind::Pages { param, from, of, more }
            }
            Rule::order => OperationLineKind::Order(self.order(parts)),
            Rule::codes => OperationLineKind::Codes(self.codes(parts)),
            Rule::only => OperationLineKind::Only(self.take_text(parts)),
            Rule::since_line => OperationLineKind::Since(self.take_expr(parts)),
            Rule::most => {
                parts.take(Rule::w_up_to);
                OperationLineKind::UpTo(self.take_expr(parts))
            }
            // `one of`, the only line left.
            _ => {
                parts.take(Rule::w_of);
                OperationLineKind::OneOf(self.take_idents(parts))
            }
        }
    }

    fn take_because(&mut self, parts: &mut Parts<'s>) -> Option<TextLit> {
        parts.take(Rule::refuse_because).map(|node| self.take_text(&mut Parts::of(node)))
    }

    /// Takes `when condition` or `unless condition`: whether it is `unless`, and the condition.
    pub(super) fn take_refused(&mut self, parts: &mut Parts<'s>) -> (bool, Expr) {
        let unless = parts.take(Rule::refused_word).is_some_and(|word| word.as_str() == "unless");
        (unless, self.take_expr(parts))
    }

    fn effect(&mut self, parts: &mut Parts<'s>) -> EffectLine {
        let Some(node) = parts.next() else {
            return EffectLine::Once;
        };
        let rule = node.as_rule();
        let word = node.as_str();
        let mut inner = Parts::of(node);
        match rule {
            Rule::keyed => {
                inner.take(Rule::w_header);
                let header = self.take_text(&mut inner);
                inner.take(Rule::w_for);
                EffectLine::Keyed { header, window: self.take_duration(&mut inner) }
            }
            Rule::findable => {
                inner.take(Rule::w_by);
                let query = self.take_call(&mut inner);
                let find_on = match inner.take(Rule::find_on) {
                    Some(node) => self.take_numbers(&mut Parts::of(node)),
                    None => Vec::new(),
                };
                EffectLine::Findable { query, find_on }
            }
            _ => match word {
                "read" => EffectLine::Read,
                "set" => EffectLine::Set,
                _ => EffectLine::Once,
            },
        }
    }
}

fn no_request(span: Span) -> Request {
    Request {
        span,
        method: Ident { text: "GET".to_owned(), span },
        path: TextLit { span, quote: Quote::Double, parts: Vec::new() },
        address: None,
        via: None,
        query: Vec::new(),
        more_query: None,
        bodies: Vec::new(),
        headers: Vec::new(),
        more_headers: None,
    }
}
