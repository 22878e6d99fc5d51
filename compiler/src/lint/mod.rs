//! The checks over all flows together: what only the whole rule set can tell.
//!
//! Each flow leaves a [`Summary`] when it is checked, so that a file that did not change is not looked at again. What
//! conditions allow is decided by a small procedure ([`solve`]) over intervals, finite sets and presence; what it cannot
//! decide is not reported.

mod cycle;
mod domain;
mod holds;
mod key;
mod overlap;
mod quota;
mod range;
mod solve;
mod summary;
mod text;
mod witness;

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use flow_grammar::span::{LineIndex, Span};
use flow_plan as plan;
use flow_plan::{Condition, FieldShape, Value};

use crate::diagnostic::Diagnostic;
use crate::settings::Settings;
use solve::Reader;

pub(crate) use holds::Holds;
pub use summary::Summary;
pub(crate) use summary::summary;

/// A file of the project with its flows.
#[derive(Debug)]
pub struct File<'a> {
    /// Its name.
    pub name: &'a Arc<str>,
    /// Its text.
    pub text: &'a str,
    /// Its sound flows.
    pub flows: &'a [Summary],
}

/// The whole rule set.
#[derive(Debug)]
pub struct Rules<'a> {
    files: Vec<File<'a>>,
    lines: Vec<OnceCell<LineIndex>>,
    connections: &'a BTreeMap<String, plan::Connection>,
    settings: &'a Settings,
}

/// What is wrong with several files together.
#[derive(Debug, Clone)]
pub struct Problem {
    /// What is said about it.
    pub diagnostic: Diagnostic,
    /// The files whose flows are part of it.
    pub files: BTreeSet<Arc<str>>,
}

/// A flow of the rule set: its file, and which of the file's it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct FlowAt {
    file: usize,
    flow: usize,
}

impl<'a> Rules<'a> {
    /// Puts the files together, in the order of their names.
    pub fn new(
        files: impl IntoIterator<Item = File<'a>>,
        connections: &'a BTreeMap<String, plan::Connection>,
        settings: &'a Settings,
    ) -> Self {
        let files: Vec<File<'a>> = files.into_iter().collect();
        let lines = files.iter().map(|_| OnceCell::new()).collect();
        Self { files, lines, connections, settings }
    }

    /// Returns what cannot work at all: flows that start each other for ever, polls beyond their quota.
    pub fn errors(&self) -> Vec<Problem> {
        let mut found = cycle::check(self);
        found.extend(quota::check(self).into_iter().filter(|problem| problem.diagnostic.is_error()));
        found
    }

    /// Returns what is probably a mistake: flows that do the same, polls that leave little of their quota.
    pub fn warnings(&self) -> Vec<Diagnostic> {
        let mut found = overlap::check(self);
        found.extend(quota::check(self).into_iter().map(|problem| problem.diagnostic).filter(|one| !one.is_error()));
        found
    }

    fn flows(&self) -> impl Iterator<Item = (FlowAt, &'a Summary)> {
        self.files
            .iter()
            .enumerate()
            .flat_map(|(file, one)| one.flows.iter().enumerate().map(move |(flow, summary)| (FlowAt { file, flow }, summary)))
    }

    fn flow(&self, at: FlowAt) -> Option<&'a Summary> {
        self.files.get(at.file)?.flows.get(at.flow)
    }

    /// The file's name; empty for a flow that is not there.
    fn name(&self, at: FlowAt) -> Arc<str> {
        self.file(at).cloned().unwrap_or_else(|| Arc::from(""))
    }

    fn file(&self, at: FlowAt) -> Option<&'a Arc<str>> {
        self.files.get(at.file).map(|file| file.name)
    }

    fn text(&self, at: FlowAt, span: Span) -> &'a str {
        self.files.get(at.file).map_or("", |file| span.text(file.text))
    }

    /// How a flow is called: `` `vip` (flows/a.flow:3) ``.
    fn called(&self, at: FlowAt) -> String {
        let Some(summary) = self.flow(at) else { return String::new() };
        let place = self.place(at, summary.head);
        match &summary.name {
            Some(name) => format!("`{name}` ({place})"),
            None => format!("the flow at {place}"),
        }
    }

    /// `flows/a.flow:3`.
    fn place(&self, at: FlowAt, span: Span) -> String {
        let (Some(file), Some(lines)) = (self.files.get(at.file), self.lines.get(at.file)) else { return String::new() };
        let line = lines.get_or_init(|| LineIndex::new(file.text)).position(file.text, span.start as usize).line;
        format!("{}:{line}", file.name)
    }
}

/// Tells whether a condition over these fields surely never holds.
pub fn never_holds(condition: &Condition, fields: &[FieldShape]) -> bool {
    Reader::new(&|slot| fields.get(usize::from(slot))).condition(condition).is_never()
}

/// Returns an event for which both conditions hold: a value for each field that they are about, [`Value::Missing`] where
/// it has to be missing. `None` where there is none, or where none was found. Fields are told apart by their names.
pub fn common_event(
    (first, first_fields): (&Condition, &[FieldShape]),
    (second, second_fields): (&Condition, &[FieldShape]),
) -> Option<Vec<(String, Value)>> {
    let first_slots = |slot| first_fields.get(usize::from(slot));
    let second_slots = |slot| second_fields.get(usize::from(slot));
    let first = Reader::new(&first_slots).condition(first);
    let second = Reader::new(&second_slots).condition(second);
    let known = overlap::known(first_fields.iter().chain(second_fields));
    overlap::event(&first, &second, &known)
}
