//! Connector sources to typed declarations.
//!
//! [`declare`] turns the syntax tree of one connector into a [`catalog::Connector`]. It collects problems instead of
//! stopping at one, so what it returns can be used even where there are some. What a composite operation or the condition
//! of a trigger means is not looked at here: both are steps and expressions of the language, which `crate::flow` checks.

mod api;
mod builtin;
mod check;
mod circle;
mod effect;
mod emits;
mod input;
mod listing;
mod literal;
mod operation;
mod peculiar;
mod record;
mod request;
mod sign;
mod source;
mod state;
mod trigger;
mod types;
mod via;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use flow_grammar::span::Span;
use flow_grammar::syntax::{self, MemberKind};
use flow_plan as plan;

use crate::catalog;
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::settings::ConnectionSettings;
use crate::suggest::nearest;

pub(crate) use circle::DEPTH;
pub(crate) use types::meant;
pub(crate) use via::heard_for;

pub use builtin::{ENGINE, builtin, builtin_connector, builtin_fixture, builtin_sources, is_implicit};
pub(crate) use builtin::{is_unread, read_ahead};

/// Returns the declarations of one connector, with everything that is wrong in it.
pub fn declare(file: &Arc<str>, source: &str, node: &syntax::Connector) -> (catalog::Connector, Vec<Diagnostic>) {
    let mut cx = Cx::new(file, source, node);
    cx.collect_names();
    let (api, apis) = cx.declare_apis();
    cx.declare_records();
    cx.declare_operations();
    let states = cx.declare_states();
    let triggers = cx.declare_triggers(&states);
    cx.cause_by_type(&triggers);
    let sources = cx.declare_sources(&triggers);
    let checks = cx.declare_checks();
    let resolvers = cx.declare_resolvers();
    let connector = catalog::Connector {
        name: node.name.text.clone(),
        title: node.title.as_ref().and_then(syntax::TextLit::plain).unwrap_or_else(|| node.name.text.clone()),
        docs: docs_text(&node.docs),
        docs_url: cx.docs_url(),
        file: file.clone(),
        settings: cx.settings,
        secrets: cx.secrets.into(),
        api: Arc::new(api),
        apis: Arc::new(apis),
        records: cx.records.into_iter().filter_map(|(name, record)| Some((name, record?))).collect(),
        triggers,
        operations: cx.operations,
        resolvers,
        sources: sources.into_iter().map(Arc::new).collect(),
        states,
        checks: checks.into(),
    };
    (connector, cx.diagnostics)
}

/// Returns what the runtime has to know about one connection: what its connector says, and the settings with their
/// defaults.
pub fn connection(connector: &catalog::Connector, name: &str, settings: &ConnectionSettings) -> plan::Connection {
    let mut values: BTreeMap<String, plan::Value> =
        connector.settings.iter().filter_map(|setting| Some((setting.name.clone(), setting.default.clone()?))).collect();
    values.extend(settings.values.iter().map(|(name, value)| (name.clone(), value.clone())));
    let sources = connector.sources.iter().map(|source| source::with_settings(source, &values)).collect();
    let mut api = Arc::clone(&connector.api);
    if let Some(at_once) = settings.at_once {
        Arc::make_mut(&mut api).at_once = Some(connector.api.at_once.map_or(at_once, |known| known.min(at_once)));
    }
    plan::Connection {
        name: name.to_owned(),
        connector: connector.name.clone(),
        api,
        apis: Arc::clone(&connector.apis),
        settings: values,
        setting_decls: connector
            .settings
            .iter()
            .map(|setting| plan::SettingDecl {
                name: setting.name.clone(),
                optional: setting.default.is_some() || setting.ty.can_be_missing(),
                in_base: setting.in_base,
            })
            .collect(),
        secrets: Arc::clone(&connector.secrets),
        sources,
        states: connector.states.values().map(|state| Arc::clone(&state.source)).collect(),
        checks: Arc::clone(&connector.checks),
    }
}

/// What is known while one connector is declared.
struct Cx<'a> {
    file: &'a Arc<str>,
    source: &'a str,
    node: &'a syntax::Connector,
    diagnostics: Vec<Diagnostic>,
    settings: Vec<catalog::Setting>,
    secrets: Vec<plan::SecretDecl>,
    exponents: BTreeMap<plan::Currency, u8>,
    /// The declared records; `None` while one is being declared, which is how a record inside itself is noticed.
    records: BTreeMap<String, Option<catalog::Record>>,
    /// Records that are being declared, each in the one before.
    records_around: usize,
    operations: BTreeMap<String, catalog::Operation>,
    record_nodes: BTreeMap<&'a str, (&'a syntax::Record, &'a syntax::Docs)>,
    operation_nodes: BTreeMap<&'a str, (&'a syntax::Operation, &'a syntax::Docs)>,
    trigger_names: BTreeSet<&'a str>,
    source_names: BTreeSet<&'a str>,
    api_names: BTreeSet<&'a str>,
    /// A success that is none, for every operation.
    refused_when: Option<plan::Expr>,
}

impl<'a> Cx<'a> {
    fn new(file: &'a Arc<str>, source: &'a str, node: &'a syntax::Connector) -> Self {
        Self {
            file,
            source,
            node,
            diagnostics: Vec::new(),
            settings: Vec::new(),
            secrets: Vec::new(),
            exponents: BTreeMap::new(),
            records: BTreeMap::new(),
            records_around: 0,
            operations: BTreeMap::new(),
            record_nodes: BTreeMap::new(),
            operation_nodes: BTreeMap::new(),
            trigger_names: BTreeSet::new(),
            source_names: BTreeSet::new(),
            api_names: BTreeSet::new(),
            refused_when: None,
        }
    }

    /// Notes every name, so that the order of the members does not matter.
    fn collect_names(&mut self) {
        let mut taken: BTreeMap<(&str, &str), Span> = BTreeMap::new();
        for member in &self.node.members {
            let (space, name) = match &member.kind {
                MemberKind::Record(record) => ("record", &record.name),
                // A trigger and an operation of one name would both be `connector.name` in a flow.
                MemberKind::Trigger(trigger) => ("operation", &trigger.name),
                MemberKind::Operation(operation) => ("operation", &operation.name),
                MemberKind::State(state) => ("operation", &state.name),
                MemberKind::Source(syntax::Source { name: Some(name), .. }) => ("source", name),
                MemberKind::Api { name, .. } => ("api", name),
                MemberKind::Secret { name, .. } | MemberKind::Setting { name, .. } => ("setting", name),
                MemberKind::Source(_)
                | MemberKind::Docs(_)
                | MemberKind::Base(..)
                | MemberKind::Refused { .. }
                | MemberKind::Auth(_)
                | MemberKind::Via(_)
                | MemberKind::Header(..)
                | MemberKind::Limit(..)
                | MemberKind::LimitAtOnce(_)
                | MemberKind::Quota { .. }
                | MemberKind::RetryOn(_)
                | MemberKind::RetryBy(_)
                | MemberKind::BrokenOn(_)
                | MemberKind::BrokenWhen(_)
                | MemberKind::WaitAt(_)
                | MemberKind::Spends(_)
                | MemberKind::OneOf(_)
                | MemberKind::ErrorText(_)
                | MemberKind::HelpOn(..)
                | MemberKind::Exponents(_)
                | MemberKind::Check(_)
                | MemberKind::CheckVia
                | MemberKind::Resolver { .. }
                | MemberKind::Bad => continue,
            };
            if let Some(first) = taken.get(&(space, name.text.as_str())) {
                let twice = self.diagnostic(Code::E202, name.span, format!("there are two things named `{}`", name.text));
                self.push(twice.also(*first, "the first one"));
                continue;
            }
            taken.insert((space, name.text.as_str()), name.span);
            match &member.kind {
                MemberKind::Record(record) => drop(self.record_nodes.insert(&name.text, (record, &member.docs))),
                MemberKind::Operation(operation) => drop(self.operation_nodes.insert(&name.text, (operation, &member.docs))),
                MemberKind::Trigger(_) => drop(self.trigger_names.insert(&name.text)),
                MemberKind::Source(_) => drop(self.source_names.insert(&name.text)),
                MemberKind::Api { .. } => drop(self.api_names.insert(&name.text)),
                _ => {}
            }
        }
    }

    fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    fn diagnostic(&self, code: Code, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(code, self.file, span, message)
    }

    /// A mistake that has no code of its own.
    fn mistake(&self, span: Span, message: impl Into<String>) -> Diagnostic {
        self.diagnostic(Code::E820, span, message)
    }

    /// An unknown name, with the nearest of those that would have been right, else with all of them where they are few.
    fn unknown<'n>(&mut self, span: Span, message: String, name: &str, known: impl IntoIterator<Item = &'n str>) {
        let known: Vec<&str> = known.into_iter().collect();
        let diagnostic = self.suggest(self.diagnostic(Code::E201, span, message), span, name, &known);
        self.push(diagnostic);
    }

    /// Adds "did you mean", or the list of what there is.
    fn suggest(&self, diagnostic: Diagnostic, span: Span, name: &str, known: &[&str]) -> Diagnostic {
        match nearest(name, known.iter().copied()) {
            Some(best) => diagnostic.fix(format!("did you mean `{best}`?"), span, best, false),
            None if known.is_empty() || known.len() > 12 => diagnostic,
            None => diagnostic.help(format!("there is {}", listed(known))),
        }
    }
}

/// Returns `a`, `b` and `c`, each in backticks.
fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => "nothing".to_owned(),
    }
}

/// The doc comment as it was written.
fn docs_text(docs: &syntax::Docs) -> String {
    docs.lines.join("\n").trim().to_owned()
}

/// The doc comment in one line.
fn docs_line(docs: &syntax::Docs) -> String {
    docs.lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}
