//! The checker: what is in scope, what is known, what was found. Checking and lowering are one walk, since each needs
//! what the other knows; the constructs are in files of their own.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use flow_grammar::span::Span;
use flow_grammar::syntax;
use flow_plan as plan;
use flow_plan::ty::Type;

use super::build::Builder;
use super::event::{Slot, Starts};
use super::expand::Fill;
use super::fact::{Facts, Place, Root};
use super::sends::Sends;
use super::step::Awaited;
use super::typed::Typed;
use crate::catalog::{Catalog, Connections, Connector, Field, Record};
use crate::code::Code;
use crate::connector::is_implicit;
use crate::diagnostic::Diagnostic;
use crate::lint::Holds;
use crate::settings::Settings;

/// A name that the source gave to a value.
#[derive(Debug, Clone)]
pub(super) struct Binding<'a> {
    pub(super) name: Cow<'a, str>,
    /// Its number, unique in the flow.
    pub(super) id: u32,
    pub(super) expr: plan::Expr,
    pub(super) ty: Cow<'a, Type>,
    pub(super) optional: bool,
    /// The call that gives it may have failed, and that was handled.
    pub(super) failed: Option<Span>,
    pub(super) personal: bool,
    pub(super) lower_keys: bool,
    pub(super) span: Span,
    pub(super) docs: &'a str,
}

/// Where an expression stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    /// In `where`, or in the condition or key of a trigger: pure.
    Condition,
    /// In a step.
    Steps,
}

/// What names mean at the moment: the flow itself, the condition of a trigger, or a composite operation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    /// Bindings before this one are out of sight.
    pub(super) first_binding: usize,
    /// The connector whose operations are called without a prefix, and the connection.
    pub(super) own: Option<(&'a Connector, &'a str)>,
    /// Fields of the event can be named.
    pub(super) sees_event: bool,
    /// The condition or key of a trigger: `type` and `event.id` are those of the payload's envelope.
    pub(super) is_guard: bool,
    /// The text that spans lie in; empty where it is not at hand.
    pub(super) source: &'a str,
    /// The steps of the composite operation that is written out.
    pub(super) block: Option<&'a Arc<syntax::Block>>,
    /// Composite operations that are being written out, to notice one that calls itself.
    pub(super) depth: usize,
}

/// The checker.
#[derive(Debug)]
pub(super) struct Checker<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) connections: &'a Connections,
    pub(super) settings: &'a Settings,
    pub(super) file: &'a Arc<str>,
    /// The flow that is checked; `None` for a connector.
    pub(super) node: Option<&'a syntax::Flow>,
    pub(super) diagnostics: Vec<Diagnostic>,
    /// While it is above 0, nothing is reported: what is checked is not the user's text.
    pub(super) quiet: usize,
    /// Something was wrong while nothing was reported.
    pub(super) quiet_error: bool,
    /// The tree has parts that could not be read.
    pub(super) broken: bool,
    pub(super) starts: Starts<'a>,
    /// The zone that a schedule names for itself, and so for what its flow reads from a clock.
    pub(super) clock_zone: Option<String>,
    /// The event that the `wait for` at hand awaits: bare names are its fields.
    pub(super) awaited: Option<Awaited<'a>>,
    pub(super) frame: Frame<'a>,
    pub(super) setting: Setting,
    pub(super) bindings: Vec<Binding<'a>>,
    next_binding: u32,
    pub(super) facts: Facts<'a>,
    /// What the conditions around say.
    pub(super) known: Holds,
    pub(super) build: Builder,
    /// The slots of the event's fields.
    pub(super) reads: Vec<Slot<'a>>,
    pub(super) used: BTreeSet<String>,
    pub(super) fills: Vec<Fill>,
    /// Above 0: the step at hand was written by the compiler.
    pub(super) synthetic: usize,
    pub(super) hoisted: Vec<syntax::Step>,
    pub(super) sends: Sends,
    /// What is filled in, for flow.lock.
    pub(super) frozen: super::frozen::Frozen,
    /// Where the step at hand stands: `2.then.`.
    pub(super) path: String,
    /// Counters of the loops around, outermost first.
    pub(super) loops: Vec<u16>,
    /// An action stands before the step at hand.
    pub(super) effect_before: bool,
    /// The step at hand is part of an `on error`.
    pub(super) in_handler: bool,
    /// The comparison at hand stands directly behind this `not`.
    pub(super) negation: Option<Span>,
    /// Texts in capitals that the value at hand is compared with, in lower case.
    pub(super) beside: Vec<crate::diagnostic::Edit>,
    /// Names that are out of scope, with the places that gave them.
    pub(super) gone: Vec<(Cow<'a, str>, Span)>,
    /// How old the event may be, because of a dangerous step.
    pub(super) fresh_ms: Option<u64>,
    /// What the flow has waited for before the step at hand, behind the last step for all that it waits for.
    pub(super) waited_for: Vec<super::event::Source<'a>>,
    /// What the call that is performed next says that its answer is.
    pub(super) given_type: Option<super::call::GivenType>,
    /// The operation that the JSON at hand goes to says how money in it is written.
    pub(super) money_is_written: bool,
    pub(super) steps: super::step::StepContext<'a>,
}

impl<'a> Checker<'a> {
    pub(super) fn new(
        catalog: &'a Catalog,
        connections: &'a Connections,
        settings: &'a Settings,
        file: &'a Arc<str>,
        source: &'a str,
    ) -> Self {
        Self {
            catalog,
            connections,
            settings,
            file,
            node: None,
            diagnostics: Vec::new(),
            quiet: 0,
            quiet_error: false,
            broken: false,
            starts: Starts::default(),
            clock_zone: None,
            awaited: None,
            frame: Frame { first_binding: 0, own: None, sees_event: true, is_guard: false, source, block: None, depth: 0 },
            setting: Setting::Condition,
            bindings: Vec::new(),
            next_binding: 0,
            facts: Facts::default(),
            known: Holds::default(),
            build: Builder::default(),
            reads: Vec::new(),
            used: BTreeSet::new(),
            fills: Vec::new(),
            synthetic: 0,
            hoisted: Vec::new(),
            sends: Sends::default(),
            frozen: super::frozen::Frozen::default(),
            path: String::new(),
            loops: Vec::new(),
            effect_before: false,
            in_handler: false,
            negation: None,
            beside: Vec::new(),
            gone: Vec::new(),
            fresh_ms: None,
            waited_for: Vec::new(),
            given_type: None,
            money_is_written: false,
            steps: super::step::StepContext::default(),
        }
    }

    // ------------------------------------------------------------------------------------------ diagnostics

    /// Begins a diagnostic of this file.
    pub(super) fn diagnostic(&self, code: Code, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(code, self.file, span, message)
    }

    pub(super) fn report(&mut self, diagnostic: Diagnostic) {
        if self.quiet > 0 {
            self.quiet_error |= diagnostic.is_error();
        } else {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Tells whether something was wrong in what is checked at the moment.
    pub(super) fn error_count(&self) -> usize {
        if self.quiet > 0 { usize::from(self.quiet_error) } else { self.diagnostics.iter().filter(|d| d.is_error()).count() }
    }

    /// Returns the source text of an expression, in one line.
    pub(super) fn text_of(&self, expr: &syntax::Expr) -> String {
        let text = if self.synthetic > 0 { "" } else { expr.span.text(self.frame.source) };
        if text.is_empty() { super::show::expr(expr) } else { one_line(text) }
    }

    // ------------------------------------------------------------------------------------------ names

    /// Brings a name into scope and returns its number.
    pub(super) fn bind(&mut self, name: impl Into<Cow<'a, str>>, span: Span, value: Typed<'a>) -> u32 {
        let id = self.next_binding;
        self.next_binding += 1;
        self.bindings.push(Binding {
            name: name.into(),
            id,
            expr: value.expr,
            ty: value.ty,
            optional: value.optional,
            failed: value.failed,
            personal: value.personal,
            lower_keys: value.lower_keys,
            span,
            docs: value.docs,
        });
        id
    }

    /// Returns what a name is bound to.
    pub(super) fn binding(&self, name: &str) -> Option<&Binding<'a>> {
        self.bindings.get(self.frame.first_binding..)?.iter().rev().find(|binding| binding.name == name)
    }

    /// Notes that a connection is used.
    pub(super) fn uses(&mut self, connection: &str) {
        if !self.used.contains(connection) {
            self.used.insert(connection.to_owned());
        }
    }

    /// Returns the connection of this name, where one can be named.
    pub(super) fn connection(&self, name: &str) -> Option<(&'a str, &'a Connector)> {
        if self.frame.own.is_some() || self.frame.is_guard {
            return None;
        }
        self.connections.get_key_value(name).map(|(name, connector)| (name, connector.as_ref()))
    }

    /// Returns the connection that a bare name means where a value is expected. Some have names that are
    /// words for other things as well, fields above all (`flow`, `email`): as a value those are never meant.
    pub(super) fn bare_connection(&self, name: &str) -> Option<(&'a str, &'a Connector)> {
        self.connection(name).filter(|(_, connector)| !is_a_word(connector))
    }

    /// Returns the field that a bare name reaches where no binding and no connection has that name.
    pub(super) fn bare_field(&self, name: &str) -> Option<&'a Field> {
        match &self.awaited {
            Some(awaited) => awaited.source.record.field(name),
            None => self.event_field(name),
        }
    }

    /// How a place is written here.
    pub(super) fn spell(&self, place: &Place<'_>) -> String {
        match place.root {
            Root::Event => {
                let first = place.path.split(['.', '[']).next().unwrap_or_default();
                if self.awaited.is_some() || self.is_hidden(first) {
                    format!("event.{}", place.path)
                } else {
                    place.path.to_string()
                }
            }
            Root::Raw => format!("raw.{}", place.path),
            Root::Awaited => place.path.to_string(),
            Root::Binding(id) => {
                let name = self.bindings.iter().find(|binding| binding.id == id).map_or("", |binding| &binding.name);
                if place.path.is_empty() { name.to_owned() } else { format!("{name}.{}", place.path) }
            }
        }
    }

    /// Tells whether a bare name does not reach the event's field.
    pub(super) fn is_hidden(&self, name: &str) -> bool {
        self.binding(name).is_some() || self.bare_connection(name).is_some() || super::expr::is_builtin(name) || is_reserved(name)
    }

    /// Returns the record of a record type, with its connector.
    pub(super) fn record(&self, ty: &Type) -> Option<&'a Record> {
        match ty {
            Type::Record(record) if !record.name.is_empty() => {
                self.catalog.connectors.get(&record.connector)?.records.get(&record.name)
            }
            _ => None,
        }
    }
}

/// Joins the lines of a text by single blanks.
pub(super) fn one_line(text: &str) -> String {
    if !text.contains(['\n', '\t', '\r']) {
        return text.to_owned();
    }
    let mut joined = String::with_capacity(text.len());
    for line in text.lines() {
        let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
        if words.starts_with([')', ']']) && joined.ends_with(',') {
            joined.pop();
        }
        if !joined.is_empty() && !words.is_empty() && !joined.ends_with(['(', '[']) && !words.starts_with([')', ']']) {
            joined.push(' ');
        }
        joined.push_str(&words);
    }
    joined
}

/// The words that can be names only in backticks or behind a dot.
pub(super) fn is_reserved(name: &str) -> bool {
    matches!(
        name,
        "when"
            | "every"
            | "where"
            | "do"
            | "then"
            | "and"
            | "or"
            | "not"
            | "is"
            | "in"
            | "contains"
            | "else"
            | "if"
            | "match"
            | "let"
            | "for"
            | "true"
            | "false"
    )
}

/// Writes a list as people do: `a`, `b` and `c`.
pub(super) fn listed<S: AsRef<str>>(items: &[S], joint: &str) -> String {
    let quoted: Vec<String> = items.iter().map(|item| format!("`{}`", item.as_ref())).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} {joint} {last}", first.join(", ")),
    }
}

/// Tells whether the name of a connector is a word that people use for other things too: what comes without a service behind it.
pub(super) fn is_a_word(connector: &Connector) -> bool {
    connector.states.is_empty() && (is_implicit(&connector.name) || connector.api.via.is_some())
}
