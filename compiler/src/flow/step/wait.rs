//! `wait 3 days`, `wait until 09:00 in "Europe/Paris"`.

use flow_grammar::syntax::{DurationLit, Expr, ExprKind, Step, TextLit};
use flow_plan as plan;
use flow_plan::Instr;
use flow_plan::ty::Type;

use super::super::check::Checker;
use super::super::mend::Need;
use super::super::span::InZone;
use crate::code::Code;

impl<'a> Checker<'a> {
    pub(super) fn wait_step(&mut self, step: &Step, length: &DurationLit) -> bool {
        if self.may_not_wait(step) {
            return false;
        }
        let path = self.next_path();
        if let Some(length) = self.project_span(length) {
            let millis = u64::try_from(length.length.approximate_millis()).unwrap_or(0);
            self.steps.waited = self.steps.waited.saturating_add(millis);
            self.build.push(Instr::Wait(Box::new(plan::Wait::For(length))));
        }
        let text = self.heading(step, step.span);
        self.note(&path, "wait", text, Vec::new());
        false
    }

    pub(super) fn wait_until_step(&mut self, step: &Step, at: &Expr, zone: Option<&TextLit>) -> bool {
        if self.may_not_wait(step) {
            return false;
        }
        let path = self.next_path();
        if let Some(wait) = self.until(step, at, zone) {
            self.build.push(Instr::Wait(Box::new(wait)));
        }
        let text = self.heading(step, step.span);
        self.note(&path, "wait", text, Vec::new());
        false
    }

    fn until(&mut self, step: &Step, at: &Expr, zone: Option<&TextLit>) -> Option<plan::Wait> {
        let written = match zone {
            Some(zone) => Some(self.zone_of(zone)?),
            None => None,
        };
        let value = self.value(at);
        if value.is_unknown() {
            return None;
        }
        let text = self.text_of(at);
        match value.ty.as_ref() {
            Type::Time => {
                let value = self.need(value, at, &Need::Wait);
                let in_zone = written.as_deref().map_or(InZone::Project, InZone::Written);
                let zone = self.zone_for(step.span, in_zone, "a time of day is another instant in each place")?;
                Some(plan::Wait::Until { at: value.expr, zone: Some(zone) })
            }
            Type::DateTime => {
                if let Some(zone) = zone {
                    let diagnostic = self
                        .diagnostic(Code::E301, zone.span, format!("`{text}` is an instant: it is the same in every zone"))
                        .label("a zone tells what a time of day means")
                        .help("take the zone out; a time of day is waited for with `wait until 09:00 in \"…\"`");
                    self.report(diagnostic);
                    return None;
                }
                let value = self.need(value, at, &Need::Wait);
                Some(plan::Wait::Until { at: value.expr, zone: None })
            }
            other => {
                let mut diagnostic = self.diagnostic(
                    Code::E301,
                    at.span,
                    format!("`wait until` takes a time of day or an instant, and not {}", value.type_name()),
                );
                diagnostic = match other {
                    Type::Duration => diagnostic
                        .help("a length of time stands behind `wait` alone, and is written out: `wait 3 days`; or add it to an instant")
                        .fix(format!("`wait until now + {text}`"), at.span, format!("now + {text}"), false),
                    Type::Date if matches!(at.kind.as_ref(), ExprKind::Date(_)) => diagnostic
                        .help(format!("a day begins at midnight: `wait until {text} 00:00`"))
                        .fix(format!("`wait until {text} 00:00`"), at.span, format!("{text} 00:00"), false),
                    Type::Date => diagnostic.help("a day has no time: which instant of it is meant?"),
                    Type::Bool => diagnostic.help(
                        "a condition is not waited for: what makes it true is an event, `wait for stripe.invoice_paid where …`",
                    ),
                    _ => diagnostic.help("for example `wait until 09:00`, or a field that is an instant, `wait until due_at - 1 hour`"),
                };
                self.report(diagnostic);
                None
            }
        }
    }

    /// The steps of a connector's own operations do not wait: a step of a flow that takes days would look like one that hangs.
    pub(super) fn may_not_wait(&mut self, step: &Step) -> bool {
        if self.frame.own.is_none() {
            return false;
        }
        let diagnostic = self
            .diagnostic(Code::E820, step.span, "the steps of a connector do not wait")
            .label("this is one step of a flow, which would seem to hang")
            .help("flows wait: `wait` stands between their steps");
        self.report(diagnostic);
        true
    }
}
