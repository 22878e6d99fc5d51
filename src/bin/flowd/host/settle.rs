//! What goes live of what was compiled: a file that is broken, or would do harm, stays at its last sound version.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use flow_compiler::compile::{Compilation, Unit};
use flow_compiler::connector::is_implicit;
use flow_compiler::lint::Rules;
use flow_compiler::report::{self, Style};
use flow_compiler::{Code, Diagnostic};
use flow_grammar::span::Span;
use flow_plan as plan;
use flow_runtime::live::BrokenFile;

use super::connection::uses;
use super::{Host, Reloaded};

impl Host {
    /// Sound files go live, broken ones stay at their last sound version.
    pub(super) fn settle(&mut self, compilation: &Compilation) -> Reloaded {
        let mut found: Vec<Diagnostic> = compilation.own_errors().chain(compilation.connector_errors()).cloned().collect();
        found.extend(self.unreadable.values().chain(&self.config_errors).filter(|one| one.is_error()).cloned());
        found.extend(self.lock_error.iter().cloned().chain(self.unlocked(compilation)));
        // A broken connector could change what any flow means: then nothing changes at all.
        if compilation.connector_errors().next().is_none() {
            let before = std::mem::replace(&mut self.connections, compilation.connections.clone());
            let broken: BTreeSet<&Arc<str>> = found.iter().map(|one| &one.file).collect();
            let mut next: BTreeMap<Arc<str>, Arc<Unit>> = BTreeMap::new();
            for (name, unit) in &compilation.units {
                if !broken.contains(name) {
                    next.insert(name.clone(), unit.clone());
                } else if let Some(sound) = self.sound.get(name) {
                    next.insert(name.clone(), sound.clone());
                }
            }
            self.keep_connections(before, &next);
            found.extend(self.without_collisions(&mut next));
            found.extend(self.without_harm(&mut next, compilation));
            // A flow that stays at its last sound version may need a connector whose file is gone.
            if found.is_empty() {
                self.kept.files.retain(|name, _| next.contains_key(name));
            }
            for (name, text) in self.compiler.sources() {
                let taken = next.get(&name).zip(compilation.units.get(&name)).is_some_and(|(next, now)| Arc::ptr_eq(next, now));
                if taken {
                    self.kept.files.insert(name, text);
                }
            }
            self.sound = next;
        }
        let sources = report::without_secrets(&found, &self.sources());
        let mut by_file: BTreeMap<&Arc<str>, Vec<&Diagnostic>> = BTreeMap::new();
        for diagnostic in &found {
            by_file.entry(&diagnostic.file).or_default().push(diagnostic);
        }
        let broken: Vec<BrokenFile> = by_file
            .into_iter()
            .map(|(file, diagnostics)| BrokenFile {
                file: file.to_string(),
                message: diagnostics.first().map(|first| format!("{}: {}", first.code, first.message)).unwrap_or_default(),
                report: diagnostics
                    .iter()
                    .map(|one| report::human(one, &sources, Style::default()))
                    .collect::<Vec<_>>()
                    .join("\n"),
            })
            .collect();
        let (mut live, notes) = self.live();
        live.broken.clone_from(&broken);
        let diagnostics = report::json(&found, &sources, 0)["diagnostics"].take();
        Reloaded { live, broken, diagnostics, notes, later: Vec::new(), ended: Vec::new() }
    }

    /// A flow that stays at its last sound version keeps its connections, although no file that is sound names them, or none has
    /// their connector any more: what comes meanwhile would be lost. One that was taken out of flow.toml goes.
    fn keep_connections(&mut self, before: BTreeMap<String, plan::Connection>, next: &BTreeMap<Arc<str>, Arc<Unit>>) {
        let named = &self.config.settings.connections;
        let is_there = |name: &str| is_implicit(name) || named.as_ref().is_none_or(|named| named.contains_key(name));
        for (name, connection) in before.into_iter().filter(|(name, _)| is_there(name)) {
            if next.values().flat_map(|unit| &unit.flows).any(|flow| uses(flow, &name)) {
                self.connections.entry(name).or_insert(connection);
            }
        }
    }

    /// Takes files out of what is to go live that would start each other for ever or use up a quota: those that changed
    /// stay at their last sound version.
    fn without_harm(&self, next: &mut BTreeMap<Arc<str>, Arc<Unit>>, compilation: &Compilation) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        let now = self.compiler.sources();
        loop {
            let text = |file: &Arc<str>, unit: &Arc<Unit>| {
                let is_new = compilation.units.get(file).is_some_and(|new| Arc::ptr_eq(new, unit));
                let texts = if is_new { &now } else { &self.kept.files };
                texts.get(file).map_or("", |text| &**text)
            };
            let files = next.iter().map(|(file, unit)| unit.rules(file, text(file, unit)));
            let problems = Rules::new(files, &self.connections, &self.config.settings).errors();
            let unchanged = |file: &Arc<str>| {
                let live = next.get(file).zip(self.sound.get(file));
                live.is_some_and(|(next, sound)| Arc::ptr_eq(next, sound))
            };
            let changed = problems.into_iter().find_map(|problem| {
                let changed: Vec<Arc<str>> = problem.files.iter().filter(|file| !unchanged(file)).cloned().collect();
                (!changed.is_empty()).then_some((problem.diagnostic, changed))
            });
            let Some((mut diagnostic, changed)) = changed else { return found };
            for file in &changed {
                match self.sound.get(file) {
                    Some(sound) => next.insert(file.clone(), sound.clone()),
                    None => next.remove(file),
                };
            }
            // Said of a file that stays as it was; the places are those of the text that does not go live.
            if let (false, Some(file)) = (changed.contains(&diagnostic.file), changed.first()) {
                diagnostic.file = file.clone();
                diagnostic.span = Span::default();
                diagnostic.labels.clear();
                diagnostic.fixes.clear();
            }
            found.push(diagnostic);
        }
    }

    /// Takes files out of what is to go live that bring a name which another file has: the newcomer stays at its last
    /// sound version, since the flow that was there first must go on.
    fn without_collisions(&self, next: &mut BTreeMap<Arc<str>, Arc<Unit>>) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        while let Some((id, first, second)) = collision(next) {
            let had = |file: &Arc<str>| self.sound.get(file).is_some_and(|unit| unit.flows.iter().any(|flow| flow.id == id));
            let (newcomer, other) = if had(&second) && !had(&first) { (first, second) } else { (second, first) };
            found.push(
                Diagnostic::new(Code::E202, &newcomer, Span::default(), format!("the flow `{id}` is there already, in {other}"))
                    .help(
                        "history, limits and metrics belong to the name, so each flow needs its own; this file stays as it was",
                    ),
            );
            let before =
                self.sound.get(&newcomer).filter(|sound| next.get(&newcomer).is_some_and(|unit| !Arc::ptr_eq(unit, sound)));
            match before.cloned() {
                Some(sound) => next.insert(newcomer, sound),
                None => next.remove(&newcomer),
            };
        }
        found
    }
}

/// Returns a name that two flows have, and the files of both.
fn collision(units: &BTreeMap<Arc<str>, Arc<Unit>>) -> Option<(String, Arc<str>, Arc<str>)> {
    let mut first: HashMap<&str, &Arc<str>> = HashMap::new();
    for (file, unit) in units {
        for flow in &unit.flows {
            if let Some(other) = first.insert(&flow.id, file) {
                return Some((flow.id.clone(), other.clone(), file.clone()));
            }
        }
    }
    None
}
