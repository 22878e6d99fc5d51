//! Which types of events a trigger takes, where its options have a say.
//!
//! What a trigger never takes is neither polled nor registered for: some services act on who listens to what.

use std::collections::BTreeMap;

use flow_grammar::span::Span;
use flow_grammar::syntax::TriggerRef;
use flow_plan::{Env, Expr, Value};

use super::check::Checker;
use super::event::Source;
use crate::catalog::Trigger;
use crate::code::Code;
use crate::suggest::one_slip;

/// Returns the types of events that a trigger takes with these options.
pub(super) fn taken(trigger: &Trigger, options: &BTreeMap<String, Value>, guard: Option<&Expr>) -> Vec<String> {
    if let Some(option) = &trigger.types_of {
        return named(options.get(option));
    }
    let Some(guard) = guard else { return trigger.types.clone() };
    let left: Vec<String> = trigger.types.iter().filter(|name| holds_for(guard, name) != Some(false)).cloned().collect();
    // A condition that never holds is told elsewhere; no type at all would mean every one.
    if left.is_empty() { trigger.types.clone() } else { left }
}

/// The types that the value of an option names.
fn named(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::List(items)) => items.iter().filter_map(Value::as_text).map(str::to_owned).collect(),
        Some(value) => value.as_text().map(str::to_owned).into_iter().collect(),
        None => Vec::new(),
    }
}

/// Tells whether a condition can hold for events of a type; `None` where that depends on more than the type.
fn holds_for(condition: &Expr, name: &str) -> Option<bool> {
    let is_type = |expr: &Expr| matches!(expr, Expr::Env(Env::EventType));
    let names = |expr: &Expr| match expr {
        Expr::Const(value) => value.as_text().map(|text| text == name),
        _ => None,
    };
    match condition {
        Expr::Const(Value::Bool(truth)) => Some(*truth),
        Expr::Not(inner) => holds_for(inner, name).map(|holds| !holds),
        Expr::And(parts) => join(parts, name, false),
        Expr::Or(parts) => join(parts, name, true),
        Expr::Equal(left, right) if is_type(left) => names(right),
        Expr::Equal(left, right) if is_type(right) => names(left),
        Expr::Equal(left, right) => match (left.as_ref(), right.as_ref()) {
            (Expr::Const(left), Expr::Const(right)) => Some(left == right && !left.is_missing()),
            _ => None,
        },
        Expr::OneOf(value, choices) if is_type(value) => {
            let found: Option<Vec<bool>> = choices.iter().map(names).collect();
            found.map(|found| found.contains(&true))
        }
        _ => None,
    }
}

/// `and`, `or`: one part of the value `decides` is enough, all others have to be known.
fn join(parts: &[Expr], name: &str, decides: bool) -> Option<bool> {
    let found: Vec<Option<bool>> = parts.iter().map(|part| holds_for(part, name)).collect();
    if found.contains(&Some(decides)) {
        return Some(decides);
    }
    found.iter().all(Option::is_some).then_some(!decides)
}

impl<'a> Checker<'a> {
    /// Checks the types that a flow names itself: one that does not exist would never come.
    pub(super) fn check_types(&mut self, reference: &TriggerRef, source: Source<'a>, options: &BTreeMap<String, Value>) {
        let Some(option) = &source.trigger.types_of else { return };
        let Some(value) = options.get(option) else { return };
        let span = self.option_span(reference, option);
        let found = named(Some(value));
        if found.is_empty() || found.iter().any(|name| name.trim().is_empty() || name.contains(char::is_whitespace)) {
            let diagnostic = self
                .diagnostic(Code::E301, span, "this is no type of events")
                .help("write it as the service does; without one the flow would never start");
            self.report(diagnostic);
            return;
        }
        let known = source.connector.triggers.values().filter(|trigger| trigger.source == source.trigger.source);
        let known: Vec<&str> = known.flat_map(|trigger| &trigger.types).map(String::as_str).collect();
        for name in found.iter().filter(|name| !known.contains(&name.as_str())) {
            if let Some(best) = one_slip(name, known.iter().copied()) {
                let diagnostic = self
                    .diagnostic(Code::W314, span, format!("`{name}` is no type that the connector knows"))
                    .label(format!("did you mean `{best}`?"))
                    .help("events of a type that does not exist never come");
                self.report(diagnostic);
            }
        }
    }

    fn option_span(&self, reference: &TriggerRef, option: &str) -> Span {
        let named = |arg: &&flow_grammar::syntax::Arg| arg.name.as_ref().is_none_or(|name| name.text == option);
        reference.args.iter().find(named).map_or(reference.span, |arg| arg.value.span)
    }
}
