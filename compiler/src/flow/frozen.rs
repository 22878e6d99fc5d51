//! What goes into flow.lock: all that the compiler adds to what a flow says.

use std::cell::Cell;

use flow_grammar::span::Span;
use flow_grammar::syntax::{self, Call};
use flow_plan as plan;
use flow_plan::{Expr, Value};

use super::call::Target;
use super::check::Checker;
use super::event::Source;
use super::typed::Typed;
use crate::lock::{Entry, one_line};

/// What was noted so far.
#[derive(Debug, Default)]
pub(super) struct Frozen {
    entries: Vec<Entry>,
    /// An amount is in the currency of flow.toml, or in any because there is none.
    pub(super) currency: Cell<bool>,
    /// A time is one on the clocks of the time zone of flow.toml.
    pub(super) timezone: Cell<bool>,
    /// The sun is that of the place of flow.toml.
    pub(super) location: Cell<bool>,
}

impl<'a> Checker<'a> {
    /// Notes an input that was filled in, or what had to be done for it.
    pub(super) fn freeze_fill(&mut self, span: Span, call: &str, key: String, value: &str, why: String) {
        if self.freezes() {
            let place = self.steps.query_path.clone().unwrap_or_else(|| format!("{}{}", self.path, self.steps.number + 1));
            self.frozen.entries.push(Entry { place, call: call.to_owned(), key, value: one_line(value), why, span });
        }
    }

    /// Notes the inputs of a call that get the connector's default.
    pub(super) fn freeze_defaults(&mut self, call: &Call, target: Target<'a>, values: &[Option<Typed<'a>>]) {
        if !self.freezes() {
            return;
        }
        for (input, value) in target.operation.inputs.iter().zip(values) {
            if let (None, Some(default)) = (value, &input.default) {
                let why = format!("the default of {}", target.connector.name);
                self.freeze_fill(call.span, &target.name(), input.name.clone(), &constant(default), why);
            }
        }
    }

    /// Notes an option of a trigger that gets its default.
    pub(super) fn freeze_option(&mut self, span: Span, source: Source<'a>, option: &str, value: &Value) {
        if self.freezes() {
            self.frozen.entries.push(Entry {
                place: "when".to_owned(),
                call: format!("{}.{}", source.connection, source.trigger.name),
                key: option.to_owned(),
                value: one_line(&shown(value)),
                why: format!("the default of {}", source.connector.name),
                span,
            });
        }
    }

    /// Returns all that was noted, in the order of the text.
    pub(super) fn freeze(&mut self, node: &syntax::Flow) -> Vec<Entry> {
        if !self.settings.freeze {
            return Vec::new();
        }
        let start = match &node.start {
            syntax::Start::When(when) => when.span,
            syntax::Start::Every(every) => every.span,
        };
        let span = node.name.as_ref().map_or(start, |name| name.span);
        let none = || "none".to_owned();
        let settings = self.settings;
        let of_toml = [
            ("currency", self.frozen.currency.get(), settings.currency.map_or_else(none, |currency| currency.to_string())),
            ("timezone", self.frozen.timezone.get(), settings.timezone.clone().unwrap_or_else(none)),
            (
                "location",
                self.frozen.location.get(),
                settings.location.map_or_else(none, |(latitude, longitude)| format!("{latitude}, {longitude}")),
            ),
        ];
        let entries = of_toml.into_iter().filter(|(_, relied, _)| *relied).map(|(key, _, value)| Entry {
            place: String::new(),
            call: String::new(),
            key: key.to_owned(),
            value: one_line(&value),
            why: "flow.toml".to_owned(),
            span,
        });
        entries.chain(std::mem::take(&mut self.frozen.entries)).collect()
    }

    /// What a connector's own steps do is its own affair, and what is only tried counts for nothing.
    pub(super) fn freezes(&self) -> bool {
        self.settings.freeze && self.quiet == 0 && self.frame.depth == 0 && self.frame.own.is_none()
    }
}

/// A default as it would be written.
fn constant(expr: &Expr) -> String {
    match expr {
        Expr::Const(value) => shown(value),
        // What is computed has no form of its own; its hash tells whether it is still the same.
        other => format!("computed {}", plan::content_hash(other).get(..12).unwrap_or_default()),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("{text:?}"),
        other => other.to_string(),
    }
}
