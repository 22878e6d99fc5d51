//! Tests.

use super::Printer;
use super::literal::{duration, name, path};
use super::step::times_behind;
use crate::syntax::{Expr, Test, TestStep, TestStepKind, TextLit};

impl Printer<'_> {
    pub(crate) fn test(&mut self, test: &Test) {
        self.docs(&test.docs);
        self.write("test ");
        self.inline_comments(test.title.span.start);
        self.text(&test.title);
        if let Some(flow) = &test.flow {
            self.inline_comments(flow.span.start);
            self.write(&format!(" for flow {}", name(flow)));
        }
        self.write(" {");
        if test.steps.is_empty() && !self.has_comments(test.span) {
            self.write("}");
            return;
        }
        self.indented(|p| {
            for step in &test.steps {
                p.line_for(step.span.start, true);
                p.test_step(step);
                p.inline_comments(step.span.end);
            }
            p.line_for_close(test.span.end);
        });
        self.newline();
        self.write("}");
    }

    fn test_step(&mut self, step: &TestStep) {
        match &step.kind {
            TestStepKind::GivenEvent { trigger, from, fields, times, at, zone } => {
                self.write("given ");
                self.trigger_ref(trigger);
                if !fields.is_empty() {
                    self.write(" ");
                    let span = self.around(fields);
                    self.object(span, fields);
                }
                if let Some(file) = from {
                    self.inline_comments(file.span.start);
                    self.write(" from ");
                    self.text(file);
                }
                self.write(&times_behind(times.as_ref()));
                self.at_zone(at.as_ref(), zone.as_ref());
            }
            TestStepKind::GivenState { path: state, value, at, zone } => {
                self.write(&format!("given {} becomes ", path(state)));
                self.expr(value);
                self.at_zone(at.as_ref(), zone.as_ref());
            }
            TestStepKind::GivenFails { path: call, times, with } => {
                self.write(&format!("given {} fails{} with {}", path(call), times_behind(times.as_ref()), with.text));
            }
            TestStepKind::GivenReturns { path: call, value } => {
                self.write(&format!("given {} returns ", path(call)));
                self.expr(value);
            }
            TestStepKind::GivenRestart => self.write("given restart"),
            TestStepKind::After(time) => self.write(&format!("after {}", duration(time))),
            TestStepKind::ExpectCall { path: call, times, with } => {
                let none = times.as_ref().is_some_and(|times| times.digits == "0");
                self.write(&format!("expect {}{}", if none { "no " } else { "" }, path(call)));
                if !none {
                    self.write(&times_behind(times.as_ref()));
                }
                if !with.is_empty() {
                    self.write(" with ");
                    let span = self.around(with);
                    self.object(span, with);
                }
            }
            TestStepKind::ExpectRun { status, reason } => {
                self.write(&format!("expect {}", status.text));
                if let Some(reason) = reason {
                    self.write(" ");
                    self.text(reason);
                }
            }
            TestStepKind::ExpectElse(what) => self.write(&format!("expect {} else", what.text)),
            TestStepKind::Bad => self.write(step.span.text(self.source_text()).trim()),
        }
    }

    fn at_zone(&mut self, at: Option<&Expr>, zone: Option<&TextLit>) {
        if let Some(at) = at {
            self.write(" at ");
            self.expr(at);
        }
        if let Some(zone) = zone {
            self.inline_comments(zone.span.start);
            self.write(" in ");
            self.text(zone);
        }
    }
}
