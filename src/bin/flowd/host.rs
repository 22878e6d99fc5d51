//! A project as the daemon holds it: compiled, with its secrets, kept at the last sound version of each file.

mod config;
mod connection;
mod needs;
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

use crate::emptied::{self, Emptied};
use crate::sound::Texts;

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
    texts: Texts,
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
    /// Reads and checks everything.
    ///
    /// A file that is broken now is taken as it was when it was last sound, where `kept` has it. Without that, a broken
    /// file is an error.
    pub(crate) fn open(
        project: Project,
        literal_secrets: bool,
        sandbox: Option<SandboxUrls>,
        kept: &Texts,
    ) -> Result<Self, HostError> {
        let configured = project.config(literal_secrets)?;
        let mut host = Self {
            compiler: Compiler::new(Settings::default()),
            config: configured.config,
            config_source: configured.file,
            project,
            literal_secrets,
            sandbox,
            sound: BTreeMap::new(),
            connections: BTreeMap::new(),
            unreadable: BTreeMap::new(),
            config_errors: Vec::new(),
            started_with: Config::default(),
            texts: Texts::new(),
            lock: None,
            lock_error: None,
            emptied: Emptied::default(),
            ended: Vec::new(),
        };
        host.reload_lock();
        let files = host.project.files()?;
        let texts = host.project.read(&files)?;
        for (name, text) in texts.files {
            let before = kept.get(&name).filter(|before| text.is_empty() && !before.is_empty());
            match before.filter(|_| host.emptied.wait_for(&host.project.root.join(&*name))) {
                Some(before) => host.wait_for(&name, before.clone()),
                None => host.compiler.set(&name, text),
            }
        }
        let mut diagnostics = configured.diagnostics;
        diagnostics.extend(texts.diagnostics);
        diagnostics.extend(host.check_config());
        let mut compilation = host.compiler.compile();
        diagnostics.retain(Diagnostic::is_error);
        diagnostics.extend(compilation.errors().cloned());
        diagnostics.extend(host.lock_error.clone());
        if diagnostics.is_empty() {
            diagnostics.extend(host.unlocked(&compilation));
        }
        if !diagnostics.is_empty() && diagnostics.iter().all(|one| kept.contains_key(&one.file)) {
            for diagnostic in &diagnostics {
                host.unreadable.entry(diagnostic.file.clone()).or_insert_with(|| diagnostic.clone());
                host.compiler.set(&diagnostic.file, kept.get(&diagnostic.file).cloned().unwrap_or_default());
            }
            let again = host.compiler.compile();
            if again.is_sound() && host.unlocked(&again).is_empty() {
                compilation = again;
                diagnostics.clear();
            }
        }
        if !diagnostics.is_empty() {
            let sources = report::without_secrets(&diagnostics, &host.sources());
            return Err(HostError::Problems(
                diagnostics.iter().map(|one| report::human(one, &sources, flow::terminal::report_style())).collect(),
            ));
        }
        host.started_with = host.config.clone();
        host.connections = compilation.connections;
        host.sound = compilation.units;
        host.texts = host.compiler.sources();
        Ok(host)
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the texts of what is sound.
    pub(crate) fn texts(&self) -> &Texts {
        &self.texts
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
        let toml_changed =
            changed.is_none_or(|paths| paths.iter().any(|path| path.file_name().is_some_and(|name| name == "flow.toml")));
        let before = toml_changed.then(|| self.config.clone());
        if toml_changed {
            self.reload_config();
        }
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
