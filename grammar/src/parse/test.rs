//! Tests.

use super::{Builder, Node, Parts};
use crate::diagnose;
use crate::grammar::Rule;
use crate::span::Span;
use crate::syntax::{Ident, NumberLit, ObjectField, Test, TestStep, TestStepKind, TriggerRef};

impl<'s> Builder<'s> {
    pub(super) fn test(&mut self, node: Node<'s>) -> Test {
        let span = self.span(&node);
        let docs = self.docs(span.start);
        let mut parts = Parts::of(node);
        let title = self.take_text(&mut parts);
        let flow = parts.take(Rule::test_flow).map(|node| {
            let mut inner = Parts::of(node);
            inner.take(Rule::w_flow);
            self.take_ident(&mut inner)
        });
        let mut steps: Vec<TestStep> = Vec::new();
        let mut lines = diagnose::Lines::new(Rule::only_tests, span);
        while let Some(part) = parts.next() {
            let at = self.span(&part);
            match part.as_rule() {
                Rule::lbrace => lines.open(at),
                Rule::rbrace => {}
                Rule::unclosed => lines.unclosed(at),
                Rule::bad => {
                    if lines.bad(at) {
                        steps.push(TestStep { span: at, kind: TestStepKind::Bad });
                    }
                }
                _ => {
                    lines.good(at, self.source, &mut self.errors);
                    let kind = self.test_line(part);
                    steps.push(TestStep { span: at, kind });
                }
            }
        }
        lines.finish(self.source, &mut self.errors);
        Test { span, docs, title, flow, steps }
    }

    fn test_line(&mut self, node: Node<'s>) -> TestStepKind {
        let rule = node.as_rule();
        let mut parts = Parts::of(node);
        if rule == Rule::after {
            return TestStepKind::After(self.take_duration(&mut parts));
        }
        let Some(inner) = parts.next() else {
            return TestStepKind::Bad;
        };
        let span = self.span(&inner);
        let rule = inner.as_rule();
        let mut parts = Parts::of(inner);
        match rule {
            Rule::given_restart => TestStepKind::GivenRestart,
            Rule::given_fails => {
                let path = self.take_path(&mut parts);
                let times = self.take_times(&mut parts);
                parts.find(Rule::w_with);
                let with = parts.next().map_or_else(|| Ident { text: String::new(), span }, |node| self.ident(&node));
                TestStepKind::GivenFails { path, times, with }
            }
            Rule::given_returns => {
                TestStepKind::GivenReturns { path: self.take_path(&mut parts), value: self.take_expr(&mut parts) }
            }
            Rule::given_state => {
                let path = self.take_path(&mut parts);
                let value = self.take_expr(&mut parts);
                let mut at = None;
                let mut zone = None;
                while let Some(part) = parts.peek() {
                    if part == Rule::zone {
                        zone = self.take_zone(&mut parts);
                    } else {
                        at = parts.next().map(|node| self.take_expr(&mut Parts::of(node)));
                    }
                }
                TestStepKind::GivenState { path, value, at, zone }
            }
            Rule::given_event => self.given_event(&mut parts, span),
            Rule::expect_else => TestStepKind::ExpectElse(match parts.next() {
                Some(node) => self.ident(&node),
                None => self.take_ident(&mut parts),
            }),
            Rule::expect_run => {
                let status = match parts.take(Rule::run_status) {
                    Some(node) => self.ident(&node),
                    None => self.take_ident(&mut parts),
                };
                let reason = self.take_text_maybe(&mut parts);
                TestStepKind::ExpectRun { status, reason }
            }
            Rule::expect_call => self.expect_call(&mut parts),
            _ => TestStepKind::Bad,
        }
    }

    fn given_event(&mut self, parts: &mut Parts<'s>, span: Span) -> TestStepKind {
        let path = self.take_path(parts);
        let last = path.last().map_or(span, |name| name.span);
        let end = match parts.0.peek() {
            Some(node) if node.as_rule() == Rule::args => self.span(&node),
            _ => last,
        };
        let (args, has_parens) = self.take_args(parts);
        let trigger = TriggerRef { span: Span { start: span.start, end: end.end }, path, args, has_parens };
        let mut from = None;
        let mut fields: Vec<ObjectField> = Vec::new();
        let mut times = None;
        let mut at = None;
        let mut zone = None;
        while let Some(part) = parts.peek() {
            match part {
                Rule::once | Rule::number => times = self.take_times(parts),
                Rule::zone => zone = self.take_zone(parts),
                _ => {
                    let Some(node) = parts.next() else { break };
                    match part {
                        Rule::object => fields.extend(self.object(node)),
                        Rule::from_file => from = Some(self.take_text(&mut Parts::of(node))),
                        Rule::at_instant => at = Some(self.take_expr(&mut Parts::of(node))),
                        _ => {}
                    }
                }
            }
        }
        TestStepKind::GivenEvent { trigger, from, fields, times, at, zone }
    }

    fn expect_call(&mut self, parts: &mut Parts<'s>) -> TestStepKind {
        let mut inner = match parts.take(Rule::expect_path) {
            Some(node) => Parts::of(node),
            None => return TestStepKind::Bad,
        };
        let none = inner.take(Rule::none_word).map(|node| {
            let span = node.as_span();
            NumberLit { span: Span::new(span.start(), span.end()), digits: "0".to_owned() }
        });
        let path = self.take_path(&mut inner);
        let times = self.take_times(parts);
        let with = match parts.take(Rule::with_fields) {
            Some(node) => match Parts::of(node).take(Rule::object) {
                Some(object) => self.object(object),
                None => Vec::new(),
            },
            None => Vec::new(),
        };
        TestStepKind::ExpectCall { path, times: times.or(none), with }
    }

    /// Takes `once`, `twice` or `3 times`, if one is there.
    fn take_times(&mut self, parts: &mut Parts<'s>) -> Option<NumberLit> {
        match parts.peek()? {
            Rule::once | Rule::number => {
                let count = self.take_count(parts);
                parts.take(Rule::w_times);
                Some(count)
            }
            _ => None,
        }
    }
}
