//! A project as the daemon holds it: compiled, with its secrets, kept at the last sound version of each file.

mod config;
mod connection;
mod needs;
mod resume;
mod settle;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use flow::project::{Project, ProjectError, ReadError, read_settled};
use flow_compiler::compile::{Compiler, Unit};
use flow_compiler::config::{Config, shown};
use flow_compiler::lock::{self, Lock};
use flow_compiler::report::{self, Sources, Style};
use flow_compiler::settings::Settings;
use flow_compiler::{Code, Diagnostic};
use flow_grammar::span::Span;
use flow_plan as plan;
use flow_runtime::backtest::Edited;
use flow_runtime::live::{BrokenFile, Live};

pub(crate) use resume::lacking;

use crate::emptied::{self, Emptied};
use crate::sound::Kept;

/// Where the emulators are, for `--sandbox`: connector → base address.
pub(crate) type SandboxUrls = BTreeMap<String, String>;

/// The project of a daemon. A copy is for looking at what a reload would do: it shares what is compiled.
#[derive(Clone)]
pub(crate) struct Host {
    project: Project,
    compiler: Compiler,
    config: Config,
    config_source: Option<(Arc<str>, Arc<str>)>,
    literal_secrets: bool,
    sandbox: Option<SandboxUrls>,
    /// The last sound version of each file.
    sound: BTreeMap<Arc<str>, Arc<Unit>>,
    connections: BTreeMap<String, plan::Connection>,
    unreadable: BTreeMap<Arc<str>, Diagnostic>,
    /// What is wrong with flow.toml as it is now.
    config_errors: Vec<Diagnostic>,
    /// What the daemon was started with.
    started_with: Config,
    /// The texts of what is sound.
    kept: Kept,
    /// What may be filled in, where the project has a flow.lock.
    lock: Option<Lock>,
    /// What is wrong with flow.lock as it is now.
    lock_error: Option<Diagnostic>,
    /// The files that are empty for a moment.
    emptied: Emptied,
    /// Files that are empty for good since the last reload, and the flows that end with that.
    ended: Vec<Ended>,
}

/// A file that is empty now, and the flows that were in it.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    pub(crate) file: Arc<str>,
    pub(crate) flows: Vec<String>,
}

/// What a reload came to.
pub(crate) struct Reloaded {
    pub(crate) live: Live,
    /// What is wrong with it, for the log: file and report.
    pub(crate) broken: Vec<BrokenFile>,
    /// The same for programs, in the form of `flowc check`.
    pub(crate) diagnostics: serde_json::Value,
    /// Warnings and problems with connections, a line each.
    pub(crate) notes: Vec<String>,
    /// Keys of flow.toml that changed and are read at the next start.
    pub(crate) later: Vec<&'static str>,
    /// Files that are taken for empty.
    pub(crate) ended: Vec<Ended>,
}

/// Why a project cannot be run.
pub(crate) enum HostError {
    /// A path that cannot be used.
    Project(ProjectError),
    /// Problems in the user's files, as reports.
    Problems(Vec<String>),
}

impl From<ProjectError> for HostError {
    fn from(error: ProjectError) -> Self {
        HostError::Project(error)
    }
}

impl Host {
    /// Reads and checks everything as it is on disk. Whatever is broken is an error.
    ///
    /// A file that was just emptied is taken as it was in `kept`.
    pub(crate) fn open(
        project: Project,
        literal_secrets: bool,
        sandbox: Option<SandboxUrls>,
        kept: &Kept,
    ) -> Result<Self, HostError> {
        let configured = project.config(literal_secrets)?;
        let mut host = Self::new(project, literal_secrets, sandbox, configured.config, configured.file);
        host.reload_lock();
        let files = host.project.files()?;
        let texts = host.project.read(&files)?;
        for (name, text) in texts.files {
            let before = kept.files.get(&name).filter(|before| text.is_empty() && !before.is_empty());
            match before.filter(|_| host.emptied.wait_for(&host.project.root.join(&*name))) {
                Some(before) => host.wait_for(&name, before.clone()),
                None => host.compiler.set(&name, text),
            }
        }
        let mut diagnostics = configured.diagnostics;
        diagnostics.extend(texts.diagnostics);
        host.begin(diagnostics).map_err(|diagnostics| {
            let sources = report::without_secrets(&diagnostics, &host.sources());
            let style = flow::terminal::report_style();
            HostError::Problems(diagnostics.iter().map(|one| report::human(one, &sources, style)).collect())
        })?;
        Ok(host)
    }

    fn new(
        project: Project,
        literal_secrets: bool,
        sandbox: Option<SandboxUrls>,
        config: Config,
        config_source: Option<(Arc<str>, Arc<str>)>,
    ) -> Self {
        Self {
            project,
            compiler: Compiler::new(Settings::default()),
            config,
            config_source,
            literal_secrets,
            sandbox,
            sound: BTreeMap::new(),
            connections: BTreeMap::new(),
            unreadable: BTreeMap::new(),
            config_errors: Vec::new(),
            started_with: Config::default(),
            kept: Kept::default(),
            lock: None,
            lock_error: None,
            emptied: Emptied::default(),
            ended: Vec::new(),
        }
    }

    /// Takes what was set as the first sound version, where it is sound; else returns what is wrong.
    fn begin(&mut self, mut diagnostics: Vec<Diagnostic>) -> Result<(), Vec<Diagnostic>> {
        diagnostics.extend(self.check_config());
        let compilation = self.compiler.compile();
        diagnostics.retain(Diagnostic::is_error);
        diagnostics.extend(compilation.errors().cloned());
        diagnostics.extend(self.lock_error.clone());
        if diagnostics.is_empty() {
            diagnostics.extend(self.unlocked(&compilation));
        }
        if !diagnostics.is_empty() {
            return Err(diagnostics);
        }
        self.started_with = self.config.clone();
        self.connections = compilation.connections;
        self.sound = compilation.units;
        self.kept = Kept { files: self.compiler.sources(), config: self.config_source.clone() };
        Ok(())
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Returns what the next start may go on with: the texts of what is sound. A flow.toml with a secret written out in it is
    /// kept nowhere else.
    pub(crate) fn kept(&self) -> Kept {
        let config = self.kept.config.clone().filter(|_| !self.config.has_literal_secrets());
        Kept { files: self.kept.files.clone(), config }
    }

    /// Returns the files that are broken on disk and were taken as they were before.
    pub(crate) fn set_aside(&self) -> Vec<BrokenFile> {
        let of = |one: &Diagnostic| BrokenFile {
            file: one.file.to_string(),
            message: format!("{}: {}", one.code, one.message),
            report: format!("{}: {}: {}", one.file, one.code, one.message),
        };
        self.unreadable.values().map(of).collect()
    }

    pub(crate) fn project(&self) -> &Project {
        &self.project
    }

    fn sources(&self) -> Sources {
        let mut sources = self.compiler.sources();
        if let Some((name, text)) = &self.config_source {
            sources.insert(name.clone(), Arc::from(shown(text)));
        }
        sources
    }

    /// Takes changed paths in. `None` reads the whole project anew.
    pub(crate) fn reload(&mut self, changed: Option<&BTreeSet<PathBuf>>) -> Result<Reloaded, ProjectError> {
        // What was wrong with it may have been a connector that is there by now.
        let toml_changed = !self.config_errors.is_empty()
            || changed.is_none_or(|paths| paths.iter().any(|path| path.file_name().is_some_and(|name| name == "flow.toml")));
        let before = toml_changed.then(|| (self.config.clone(), self.kept.config.clone()));
        let is_lock = |path: &PathBuf| path.file_name().is_some_and(|name| name == lock::FILE);
        if changed.is_none_or(|paths| paths.iter().any(is_lock)) {
            self.reload_lock();
        }
        match changed {
            Some(paths) if paths.iter().all(|path| self.is_plain_change(path)) => {
                for path in paths.iter().filter(|path| flow::project::is_source(path)) {
                    self.take(path);
                }
            }
            _ => {
                let files = self.project.files()?;
                let names: BTreeSet<String> = files.iter().map(|path| self.project.name(path)).collect();
                let known: Vec<Arc<str>> = self.compiler.files().cloned().collect();
                for gone in known.iter().filter(|name| !names.contains(&***name)) {
                    self.forget(gone);
                }
                for path in &files {
                    self.take(path);
                }
            }
        }
        // Behind the sources: it may name a connector that came with it.
        if toml_changed {
            self.reload_config();
        }
        let mut compilation = self.compiler.compile();
        if let Some(before) = before {
            self.without_spent_quota(&mut compilation, before);
        }
        let mut reloaded = self.settle(&compilation);
        reloaded.later = self.only_at_start();
        reloaded.ended = std::mem::take(&mut self.ended);
        Ok(reloaded)
    }

    /// Compiles another text for a file within the project, and changes nothing. An error is the reports on what is wrong
    /// with it, or with the whole by it.
    pub(crate) fn trial(&mut self, file: &str, text: &str) -> Result<Edited, Vec<String>> {
        let name: Arc<str> = Arc::from(file);
        let before = self.compiler.sources().get(&name).cloned();
        self.compiler.set(file, text);
        let compilation = self.compiler.compile();
        let sources = self.sources();
        match before {
            Some(text) => self.compiler.set(file, text),
            None => self.compiler.remove(file),
        }
        // What is wrong with other files is their own matter, unless a connector is: it may change what any flow means.
        let of_file =
            compilation.errors().filter(|one| one.file == name || compilation.connector_errors().any(|other| other == *one));
        let found: Vec<Diagnostic> = of_file.cloned().collect();
        if !found.is_empty() {
            let sources = report::without_secrets(&found, &sources);
            return Err(found.iter().map(|one| report::human(one, &sources, Style::default())).collect());
        }
        let flows = compilation.units.get(&name).map(|unit| unit.flows.clone()).unwrap_or_default();
        Ok(Edited { flows, connections: compilation.connections })
    }

    /// A file that is there or was known: neither a folder that came nor one that went.
    fn is_plain_change(&self, path: &std::path::Path) -> bool {
        let name = self.project.name(path);
        path.is_file() || self.sound.contains_key(name.as_str()) || !path.exists() && path.extension().is_some()
    }

    /// Goes on with a text for a file that is empty for the moment.
    fn wait_for(&mut self, name: &Arc<str>, before: Arc<str>) {
        let (message, help) = emptied::waiting();
        self.unreadable.insert(name.clone(), Diagnostic::new(Code::E100, name, Span::default(), message).help(help));
        self.compiler.set(name, before);
    }

    /// Returns when files are to be looked at again that are empty for the moment.
    pub(crate) fn looks_at(&self) -> Option<Instant> {
        self.emptied.next()
    }

    /// Returns those files.
    pub(crate) fn to_look_at(&self) -> BTreeSet<PathBuf> {
        self.emptied.due()
    }

    fn take(&mut self, path: &std::path::Path) {
        let name: Arc<str> = Arc::from(self.project.name(path));
        self.emptied.forget(path);
        // A link that leads out of the project is no part of it.
        if std::fs::canonicalize(path).is_ok_and(|target| !target.starts_with(&self.project.root)) {
            return self.forget(&name);
        }
        let Some(read) = read_settled(path) else { return };
        match read {
            Ok(text) if text.is_empty() && self.compiler.text(&name).is_some_and(|before| !before.is_empty()) => {
                if self.emptied.wait_for(path) {
                    let before = self.compiler.text(&name).cloned().unwrap_or_default();
                    return self.wait_for(&name, before);
                }
                self.unreadable.remove(&name);
                self.compiler.set(&name, text);
                let flows = self.sound.get(&name).map(|unit| unit.flows.iter().map(|flow| flow.id.clone()).collect());
                self.ended.push(Ended { file: name, flows: flows.unwrap_or_default() });
            }
            Ok(text) => {
                self.unreadable.remove(&name);
                self.compiler.set(&name, text);
            }
            // Gone, or gone between the notice and now.
            Err(ReadError::Unreadable(_)) if !path.exists() => self.forget(&name),
            Err(ReadError::Unreadable(reason)) => {
                let diagnostic =
                    Diagnostic::new(Code::E100, &name, Span::default(), format!("the file cannot be read: {reason}"));
                self.unreadable.insert(name, diagnostic);
            }
            Err(ReadError::Bad(message, help)) => {
                self.unreadable.insert(name.clone(), Diagnostic::new(Code::E100, &name, Span::default(), message).help(help));
            }
        }
    }

    fn forget(&mut self, name: &Arc<str>) {
        self.emptied.forget(&self.project.root.join(&**name));
        self.compiler.remove(name);
        self.sound.remove(name);
        self.unreadable.remove(name);
    }
}
