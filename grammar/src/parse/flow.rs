//! Flows: what starts them, their clauses, and `do`.

use super::{Builder, Node, Parts};
use crate::diagnose;
use crate::grammar::Rule;
use crate::span::Span;
use crate::syntax::{
    AtTime, Block, Clause, ClauseKind, DurationLit, Every, EveryKind, Expr, ExprKind, Flow, Ident, OnDay, Rate, Start, StateOp,
    StatePattern, TextLit, TriggerPattern, TriggerRef, When,
};

impl<'s> Builder<'s> {
    pub(super) fn flow(&mut self, node: Node<'s>) -> Flow {
        let span = self.span(&node);
        let mut parts = Parts::of(node);
        let docs = self.docs(span.start);
        let (name, title) = match parts.take(Rule::flow_head) {
            Some(head) => {
                let mut head = Parts::of(head);
                (Some(self.take_ident(&mut head)), self.take_text_maybe(&mut head))
            }
            None => (None, None),
        };
        let start = match parts.next() {
            Some(every) if every.as_rule() == Rule::every => Start::Every(self.every(every)),
            Some(when) => Start::When(self.when(when)),
            None => Start::When(When { span, alternatives: Vec::new() }),
        };
        let mut clauses = Vec::new();
        let mut do_span = span.after();
        while let Some(part) = parts.next() {
            if part.as_rule() == Rule::do_word {
                let word = part.as_span();
                do_span = Span::new(word.start(), word.end());
                break;
            }
            clauses.push(self.clause(part));
        }
        let body = self.do_body(&mut parts, do_span);
        let on_error =
            parts.take(Rule::flow_on_error).and_then(|node| Parts::of(node).find(Rule::block)).map(|block| self.block(block));
        let flow = Flow { span, docs, name, title, start, clauses, do_span, body, on_error };
        diagnose::flow(self.source, &flow, &mut self.errors);
        flow
    }

    fn do_body(&mut self, parts: &mut Parts<'s>, do_span: Span) -> Block {
        match parts.next() {
            Some(node) if node.as_rule() == Rule::block => self.block(node),
            Some(node) if node.as_rule() == Rule::chain => self.chain(node),
            other => {
                let span = other.map_or(do_span.after(), |node| self.span(&node));
                self.errors.push(diagnose::behind_do(self.source, do_span, span));
                Self::bad_block(span)
            }
        }
    }

    fn when(&mut self, node: Node<'s>) -> When {
        let span = self.span(&node);
        let alternatives =
            node.into_inner().filter(|node| node.as_rule() == Rule::pattern).map(|node| self.pattern(node)).collect();
        When { span, alternatives }
    }

    pub(super) fn take_pattern(&mut self, parts: &mut Parts<'s>) -> TriggerPattern {
        match parts.take(Rule::pattern) {
            Some(node) => self.pattern(node),
            None => {
                TriggerPattern::Event(TriggerRef { span: Span::default(), path: Vec::new(), args: Vec::new(), has_parens: false })
            }
        }
    }

    pub(super) fn state_op(word: &str) -> StateOp {
        match word.as_bytes().first() {
            Some(b'i') => StateOp::Is,
            Some(b'b') => StateOp::Becomes,
            Some(b'r') => StateOp::RisesAbove,
            _ => StateOp::DropsBelow,
        }
    }

    fn take_lasting(&mut self, parts: &mut Parts<'s>) -> Option<DurationLit> {
        parts.take(Rule::lasting).map(|node| self.take_duration(&mut Parts::of(node)))
    }

    fn pattern(&mut self, node: Node<'s>) -> TriggerPattern {
        let span = self.span(&node);
        let mut parts = Parts::of(node);
        let absent = parts.take(Rule::absent).is_some();
        let path = self.take_path(&mut parts);
        if let Some(op) = parts.take(Rule::state_op) {
            let op = Self::state_op(op.as_str());
            let value = Some(self.take_expr(&mut parts));
            let lasting = self.take_lasting(&mut parts);
            return TriggerPattern::State(StatePattern { span, path, op, value, lasting });
        }
        if parts.take(Rule::state_changes).is_some() {
            let lasting = self.take_lasting(&mut parts);
            return TriggerPattern::State(StatePattern { span, path, op: StateOp::Changes, value: None, lasting });
        }
        let (args, has_parens) = self.take_args(&mut parts);
        let start = path.first().map_or(span.start, |name| name.span.start);
        let trigger = TriggerRef { span: Span { start, end: span.end }, path, args, has_parens };
        if absent { TriggerPattern::Absence(trigger) } else { TriggerPattern::Event(trigger) }
    }

    fn every(&mut self, node: Node<'s>) -> Every {
        let span = self.span(&node);
        let mut parts = Parts::of(node);
        let kind = match parts.peek() {
            Some(Rule::duration) => EveryKind::Interval(self.take_duration(&mut parts)),
            Some(Rule::every_cron) => {
                let text = parts.next().map(Parts::of);
                EveryKind::Cron(match text {
                    Some(mut inner) => self.take_text(&mut inner),
                    None => self.take_text(&mut parts),
                })
            }
            _ => self.calendar(&mut parts),
        };
        let zone = self.take_zone(&mut parts);
        Every { span, kind, zone }
    }

    fn calendar(&mut self, parts: &mut Parts<'s>) -> EveryKind {
        let mut units = Vec::new();
        while let Some(unit) = parts.take(Rule::every_unit) {
            units.push(self.take_ident(&mut Parts::of(unit)));
        }
        let mut on = Vec::new();
        if let Some(node) = parts.take(Rule::every_on) {
            for day in node.into_inner().filter(|day| day.as_rule() == Rule::on_day) {
                on.push(self.on_day(day));
            }
        }
        let mut at = Vec::new();
        if let Some(node) = parts.take(Rule::every_at) {
            let mut times = Parts::of(node);
            loop {
                if let Some(time) = self.take_sun_or_time(&mut times) {
                    at.push(AtTime::Clock(time));
                } else if let Some(sun) = times.take(Rule::sun) {
                    at.push(self.sun(sun));
                } else {
                    break;
                }
            }
        }
        EveryKind::Calendar { units, on, at }
    }

    /// `the 1st` and `day 1` are written as `1`.
    fn on_day(&mut self, node: Node<'s>) -> OnDay {
        let span = self.span(&node);
        let mut words: Vec<Ident> = Vec::new();
        for word in node.into_inner() {
            let at = word.as_span();
            let text = at.as_str();
            let text = if text.starts_with(|c: char| c.is_ascii_digit()) {
                text.trim_end_matches(|c: char| c.is_ascii_alphabetic())
            } else {
                text
            };
            if text == "the" {
                continue;
            }
            if text.starts_with(|c: char| c.is_ascii_digit())
                && words.len() == 1
                && words.first().is_some_and(|word| matches!(word.text.as_str(), "day" | "days"))
            {
                words.clear();
            }
            words.push(Ident { text: text.to_owned(), span: Span::new(at.start(), at.end()) });
        }
        OnDay { span, words }
    }

    fn sun(&mut self, node: Node<'s>) -> AtTime {
        let span = self.span(&node);
        let mut parts = Parts::of(node);
        let event = self.take_ident(&mut parts);
        let offset = parts.take(Rule::sun_sign).map(|sign| (sign.as_str() == "+", self.take_duration(&mut parts)));
        AtTime::Sun { span, event, offset }
    }

    pub(super) fn take_zone(&mut self, parts: &mut Parts<'s>) -> Option<TextLit> {
        let zone = parts.take(Rule::zone)?;
        Some(self.take_text(&mut Parts::of(zone)))
    }

    fn clause(&mut self, node: Node<'s>) -> Clause {
        let span = self.span(&node);
        let rule = node.as_rule();
        let mut parts = Parts::of(node);
        let kind = match rule {
            Rule::where_clause => ClauseKind::Where(self.take_expr(&mut parts)),
            Rule::window => {
                let count = self.take_number(&mut parts);
                parts.find(Rule::w_within);
                ClauseKind::Window { count, within: self.take_duration(&mut parts), per: self.take_keys(&mut parts) }
            }
            Rule::within => ClauseKind::Within(self.take_duration(&mut parts)),
            Rule::fresh => {
                parts.take(Rule::w_within);
                ClauseKind::Fresh(self.take_duration(&mut parts))
            }
            Rule::at_most => {
                parts.take(Rule::w_most);
                let count = self.take_count(&mut parts);
                let (per, every) = self.take_rate(&mut parts, span);
                let otherwise = parts.take(Rule::otherwise).map(|node| self.take_ident(&mut Parts::of(node)));
                ClauseKind::AtMost { count, per, every, otherwise }
            }
            Rule::once_per => ClauseKind::OncePer(self.take_keys(&mut parts)),
            Rule::one_at_a_time => {
                parts.take(Rule::w_at_a_time);
                ClauseKind::OneAtATime(self.take_keys(&mut parts))
            }
            Rule::throttle => {
                parts.take(Rule::w_to);
                let count = self.take_count(&mut parts);
                let (per, every) = self.take_rate(&mut parts, span);
                ClauseKind::Throttle { count, every, per }
            }
            Rule::while_running => {
                parts.take(Rule::w_running);
                ClauseKind::WhileRunning(self.take_ident(&mut parts))
            }
            Rule::missed => {
                let policy = self.take_ident(&mut parts);
                let within = parts.take(Rule::w_within).map(|_| self.take_duration(&mut parts));
                ClauseKind::Missed { policy, within }
            }
            Rule::clock_change => {
                parts.take(Rule::w_change);
                ClauseKind::OnClockChange(self.take_ident(&mut parts))
            }
            Rule::across_gaps => {
                parts.take(Rule::w_gaps);
                ClauseKind::AcrossGaps(self.take_ident(&mut parts))
            }
            Rule::expect => {
                parts.take(Rule::w_at_least);
                let count = self.take_count(&mut parts);
                let (keys, every) = self.take_rate(&mut parts, span);
                if let Some(key) = keys.first() {
                    self.unexpected(key.span);
                }
                ClauseKind::Expect { count, every }
            }
            _ => ClauseKind::Unverified,
        };
        Clause { span, kind }
    }

    /// Takes `per a, b`, if it is there.
    fn take_keys(&mut self, parts: &mut Parts<'s>) -> Vec<Expr> {
        match parts.take(Rule::per) {
            Some(node) => self.keys(node),
            None => Vec::new(),
        }
    }

    fn keys(&mut self, node: Node<'s>) -> Vec<Expr> {
        let mut inner = Parts::of(node);
        inner.take(Rule::w_per);
        self.take_exprs(&mut inner)
    }

    /// Takes `per a, b per day`, or the two the other way round: the keys, and the time.
    pub(super) fn take_rate(&mut self, parts: &mut Parts<'s>, whole: Span) -> (Vec<Expr>, Rate) {
        let mut first = self.take_keys(parts);
        let mut second = self.take_keys(parts);
        if second.is_empty() {
            std::mem::swap(&mut first, &mut second);
        }
        if let Some(rate) = as_rate(&second) {
            return (first, rate);
        }
        if let Some(rate) = as_rate(&first) {
            return (second, rate);
        }
        let found = second.last().map_or(whole.after(), |expr| expr.span);
        self.errors.push(diagnose::rate(self.source, found));
        let unit = Ident { text: "day".to_owned(), span: found };
        (first, Rate::Unit(unit))
    }
}

/// Reads a key as a time: a unit word or a duration.
fn as_rate(keys: &[Expr]) -> Option<Rate> {
    let [key] = keys else { return None };
    match &*key.kind {
        ExprKind::Name(name) => {
            let unit = match name.text.as_str() {
                unit @ ("second" | "minute" | "hour" | "day" | "week" | "month" | "year") => unit,
                _ => return None,
            };
            Some(Rate::Unit(Ident { text: unit.to_owned(), span: name.span }))
        }
        ExprKind::Duration(duration) => Some(Rate::Duration(DurationLit { span: duration.span, parts: duration.parts.clone() })),
        _ => None,
    }
}
