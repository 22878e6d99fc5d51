//! The zone in which a function reads clocks and calendars.

use flow_functions::{Form, Gives, Spec};
use flow_grammar::syntax::{self, Arg, ExprKind, Ident};
use flow_plan as plan;
use flow_plan::Value;
use flow_plan::ty::{TextKind, Type};

use super::super::super::check::Checker;
use super::super::super::fit::Target;
use super::super::super::typed::Typed;
use super::Valued;
use crate::code::Code;

/// What became of the zone.
pub(super) enum Found<'a> {
    /// None is needed for these values.
    Needless,
    Zone(Box<Typed<'a>>),
    /// There is none, and that was reported.
    Reported,
}

impl<'a> Checker<'a> {
    pub(super) fn zone(
        &mut self,
        expr: &syntax::Expr,
        arg: Option<&Arg>,
        values: &[Valued<'_, 'a>],
        spec: &'static Spec,
    ) -> Found<'a> {
        // A date and a time of day are the same everywhere; only when they begin is not.
        let needed = values.iter().any(|(_, value)| *value.ty == Type::DateTime) || spec.gives == Gives::Instant;
        match arg {
            Some(arg) if !needed => {
                let ty = values.first().map_or("this", |(_, value)| match value.ty.as_ref() {
                    Type::Date => "a date",
                    Type::Time => "a time of day",
                    _ => "this",
                });
                let diagnostic = self
                    .diagnostic(Code::E204, arg.span, format!("{ty} is the same in every zone"))
                    .label("not needed")
                    .help("only an instant, a datetime, is another time in each zone");
                self.report(diagnostic);
                Found::Reported
            }
            Some(arg) => self.written_zone(arg).map_or(Found::Reported, |zone| Found::Zone(Box::new(zone))),
            None if !needed => Found::Needless,
            None => self.project_zone(expr, spec).map_or(Found::Reported, |zone| Found::Zone(Box::new(zone))),
        }
    }

    fn written_zone(&mut self, arg: &Arg) -> Option<Typed<'a>> {
        if let ExprKind::Text(text) = arg.value.kind.as_ref()
            && text.plain().is_some()
        {
            return self.zone_of(text).map(|name| Typed::constant(Value::text(name), Type::text()));
        }
        let value = self.value(&arg.value);
        match value.ty.as_ref() {
            Type::Unknown => None,
            // A text that is no zone gives no value.
            Type::Text(kind) if *kind != TextKind::Secret => Some(value.optional(true)),
            Type::Json | Type::Enum { .. } => Some(value.optional(true)),
            _ => {
                self.mismatch(&value, "the name of a time zone", &arg.value, &Target::Input("in"));
                None
            }
        }
    }

    fn project_zone(&mut self, expr: &syntax::Expr, spec: &'static Spec) -> Option<Typed<'a>> {
        if let Some(zone) = &self.clock_zone {
            return Some(Typed::constant(Value::text(zone.as_str()), Type::text()));
        }
        self.frozen.timezone.set(true);
        if let Some(zone) = &self.settings.timezone {
            return Some(Typed::constant(Value::text(zone.as_str()), Type::text()));
        }
        let shown = self.text_of(expr);
        let mut diagnostic = self
            .diagnostic(Code::E603, expr.span, format!("`{shown}`: on the clocks of which place?"))
            .label("an instant is another time of day in each zone, and perhaps another day")
            .help("set `timezone = \"Europe/Paris\"` (yours) at the top of flow.toml, or name the zone here");
        let zone = ", in: \"Europe/Paris\"";
        match expr.kind.as_ref() {
            ExprKind::Call(call) => {
                if let Some(last) = call.args.last() {
                    diagnostic =
                        diagnostic.fix(format!("`…{zone})`, with the zone that is meant"), last.span.after(), zone, false);
                }
            }
            ExprKind::Field(of, _) => {
                let called = format!("{}({}{zone})", spec.name, self.text_of(of));
                diagnostic = diagnostic.fix(format!("`{called}`, with the zone that is meant"), expr.span, called, false);
            }
            _ => {}
        }
        self.report(diagnostic);
        None
    }

    /// `now.time`, `created_at.weekday`: the parts of an instant in the project's zone.
    pub(in crate::flow) fn calendar_part(&mut self, expr: &syntax::Expr, value: Typed<'a>, name: &Ident) -> Option<Typed<'a>> {
        let function = match (name.text.as_str(), value.ty.as_ref()) {
            ("time", Type::DateTime) => "time_of",
            ("date", Type::DateTime) => "date_of",
            (part @ ("year" | "month" | "day" | "weekday"), Type::DateTime | Type::Date) => part,
            (part @ ("hour" | "minute"), Type::DateTime | Type::Time) => part,
            _ => return None,
        };
        let spec = flow_functions::find(function)?;
        let Form::Call(called) = &spec.form else { return None };
        let zone = if *value.ty == Type::DateTime {
            match self.project_zone(expr, spec) {
                Some(zone) => Some(zone),
                None => return Some(Typed::unknown()),
            }
        } else {
            None
        };
        let arg = Arg { span: expr.span, name: None, value: expr.clone() };
        let mut result = self.result(spec, &[(&arg, value.clone())], called);
        let args = std::iter::once(value.expr).chain(zone.map(|zone| zone.expr)).collect();
        result.expr = plan::Expr::Call(called.clone(), args);
        Some(result)
    }
}
