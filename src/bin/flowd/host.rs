//! A project as the daemon holds it: compiled, with its secrets, kept at the last sound version of each file.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flow::project::{Project, ProjectError, ReadError, read_settled};
use flow::secrets;
use flow_compiler::compile::{Compilation, Compiler, Unit};
use flow_compiler::config::{self, Config, ConnectionConfig, SecretRef};
use flow_compiler::lint::Rules;
use flow_compiler::lock::{self, Lock, Scope};
use flow_compiler::report::{self, Sources, Style};
use flow_compiler::settings::Settings;
use flow_compiler::{Code, Diagnostic};
use flow_grammar::span::Span;
use flow_plan as plan;
use flow_runtime::backtest::Edited;
use flow_runtime::live::{BrokenFile, Live, LiveConnection};
use flow_runtime::secret::Secret;

use crate::emptied::{self, Emptied};
use crate::shared::shared_secrets;
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

    fn check_config(&mut self) -> Vec<Diagnostic> {
        let Some((name, _)) = &self.config_source else { return Vec::new() };
        let catalog = self.compiler.catalog();
        let diagnostics = config::check(name, &mut self.config, &catalog, self.literal_secrets);
        self.compiler.set_settings(self.settings());
        diagnostics
    }

    /// The daemon shows no advice, and what is filled in is of interest only where it is compared.
    fn settings(&self) -> Settings {
        Settings { quick: true, errors_only: true, freeze: self.lock.is_some(), ..self.config.settings.clone() }
    }

    /// Takes flow.lock as it is now. One that cannot be read changes nothing but a report.
    fn reload_lock(&mut self) {
        self.lock_error = None;
        let name: Arc<str> = Arc::from(lock::FILE);
        match self.project.lock() {
            Ok(None) => self.lock = None,
            Ok(Some(text)) => match lock::parse(&name, &text) {
                Ok(lock) => self.lock = Some(lock),
                Err(error) => self.lock_error = Some(error),
            },
            Err(error) => {
                self.lock_error = Some(Diagnostic::new(Code::E406, &name, Span::default(), error.to_string()));
            }
        }
        self.compiler.set_settings(self.settings());
    }

    /// Returns where something else would be filled in than flow.lock has. A flow that is gone harms nobody.
    fn unlocked(&self, compilation: &Compilation) -> Vec<Diagnostic> {
        let Some(frozen) = &self.lock else { return Vec::new() };
        let name: Arc<str> = Arc::from(lock::FILE);
        let mut found = lock::compare(&Lock::of(compilation), frozen, &name, Scope::Project);
        found.retain(|one| one.file != name);
        found
    }

    fn sources(&self) -> Sources {
        let mut sources = self.compiler.sources();
        if let Some((name, text)) = &self.config_source {
            sources.insert(name.clone(), Arc::from(config::shown(text)));
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

    /// Returns the files within the project that secrets are read from.
    pub(crate) fn secret_files(&self) -> BTreeSet<PathBuf> {
        let of_connections = self.config.connections.values().flat_map(|connection| connection.secrets.values());
        let references = of_connections.map(|(_, reference)| reference).chain(&self.config.admin_token);
        let files = references.filter_map(|reference| match reference {
            SecretRef::File(path) => std::fs::canonicalize(self.project.root.join(path)).ok(),
            SecretRef::Env(_) | SecretRef::Credential(_) | SecretRef::Literal(_) => None,
        });
        files.collect()
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

    fn reload_config(&mut self) {
        self.project.find_toml();
        if let Some(path) = self.project.toml.clone() {
            self.emptied.forget(&path);
            let Some(read) = read_settled(&path) else { return };
            let had_text = self.config_source.as_ref().is_some_and(|(_, text)| !text.is_empty());
            if matches!(&read, Ok(text) if text.is_empty()) && had_text && self.emptied.wait_for(&path) {
                let (message, _) = emptied::waiting();
                let name: Arc<str> = Arc::from(self.project.name(&path));
                let help = "its last version stays in force; a file that stays empty is believed";
                self.config_errors = vec![Diagnostic::new(Code::E100, &name, Span::default(), message).help(help)];
                return;
            }
        }
        let before = self.config.clone();
        let configured = match self.project.config(self.literal_secrets) {
            Ok(configured) => configured,
            // Gone, or not to be read: the last version stays.
            Err(error) => {
                let file = self.config_source.as_ref().map_or_else(|| Arc::from("flow.toml"), |(name, _)| name.clone());
                self.config_errors = vec![
                    Diagnostic::new(Code::E100, &file, Span::default(), error.to_string())
                        .help("its last version stays in force"),
                ];
                return;
            }
        };
        let mut diagnostics = configured.diagnostics;
        self.config_source = configured.file;
        self.config = configured.config;
        diagnostics.extend(self.check_config());
        if diagnostics.iter().any(Diagnostic::is_error) {
            // A broken flow.toml changes nothing but a report.
            self.config = before;
            self.compiler.set_settings(self.settings());
        }
        self.config_errors = diagnostics;
    }

    /// A flow.toml by which polls would use up a quota changes nothing but a report.
    fn without_spent_quota(&mut self, compilation: &mut Compilation, before: Config) {
        let spent = |compilation: &Compilation| -> Vec<Diagnostic> {
            compilation.errors().filter(|one| one.code == Code::E705).cloned().collect()
        };
        let found = spent(compilation);
        if found.is_empty() {
            return;
        }
        let after = std::mem::replace(&mut self.config, before);
        self.compiler.set_settings(self.settings());
        let again = self.compiler.compile();
        if spent(&again).is_empty() {
            self.config_errors.extend(found);
            *compilation = again;
        } else {
            // Not its doing.
            self.config = after;
            self.compiler.set_settings(self.settings());
            *compilation = self.compiler.compile();
        }
    }

    /// Returns the keys of flow.toml that differ from what the daemon started with and that it reads only then.
    fn only_at_start(&self) -> Vec<&'static str> {
        let (now, then) = (&self.config, &self.started_with);
        [
            ("[server] listen", now.server_listen != then.server_listen),
            ("[server] public_url", now.settings.public_url != then.settings.public_url),
            ("[server] max_body", now.max_body != then.max_body),
            ("[admin] listen", now.admin_listen != then.admin_listen),
            ("[admin] token", now.admin_token != then.admin_token),
            ("[store] path", now.store_path != then.store_path),
            ("[store] retain", now.retain_ms != then.retain_ms),
            ("[run] concurrency", now.concurrency != then.concurrency),
            ("[run] drain", now.drain_ms != then.drain_ms),
            ("[http] allow", now.http_allow != then.http_allow),
        ]
        .into_iter()
        .filter_map(|(key, differs)| differs.then_some(key))
        .collect()
    }

    /// Sound files go live, broken ones stay at their last sound version.
    fn settle(&mut self, compilation: &Compilation) -> Reloaded {
        let mut found: Vec<Diagnostic> = compilation.own_errors().chain(compilation.connector_errors()).cloned().collect();
        found.extend(self.unreadable.values().chain(&self.config_errors).filter(|one| one.is_error()).cloned());
        found.extend(self.lock_error.iter().cloned().chain(self.unlocked(compilation)));
        // A broken connector could change what any flow means: then nothing changes at all.
        if compilation.connector_errors().next().is_none() {
            self.connections.clone_from(&compilation.connections);
            let broken: BTreeSet<&Arc<str>> = found.iter().map(|one| &one.file).collect();
            let mut next: BTreeMap<Arc<str>, Arc<Unit>> = BTreeMap::new();
            for (name, unit) in &compilation.units {
                if !broken.contains(name) {
                    next.insert(name.clone(), unit.clone());
                } else if let Some(sound) = self.sound.get(name) {
                    next.insert(name.clone(), sound.clone());
                }
            }
            found.extend(self.without_collisions(&mut next));
            found.extend(self.without_harm(&mut next, compilation));
            self.texts.retain(|name, _| next.contains_key(name));
            for (name, text) in self.compiler.sources() {
                let taken = next.get(&name).zip(compilation.units.get(&name)).is_some_and(|(next, now)| Arc::ptr_eq(next, now));
                if taken {
                    self.texts.insert(name, text);
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

    /// Takes files out of what is to go live that would start each other for ever or use up a quota: those that changed
    /// stay at their last sound version.
    fn without_harm(&self, next: &mut BTreeMap<Arc<str>, Arc<Unit>>, compilation: &Compilation) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        let now = self.compiler.sources();
        loop {
            let text = |file: &Arc<str>, unit: &Arc<Unit>| {
                let is_new = compilation.units.get(file).is_some_and(|new| Arc::ptr_eq(new, unit));
                let texts = if is_new { &now } else { &self.texts };
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

    /// Tells whether a flow uses a connection.
    pub(crate) fn uses(&self, connection: &str) -> bool {
        self.sound.values().flat_map(|unit| &unit.flows).any(|flow| uses(flow, connection))
    }

    /// Returns what is live now, and a line for each thing that is not as it should be with a connection in use.
    pub(crate) fn live(&self) -> (Live, Vec<String>) {
        let flows: Vec<Arc<plan::Flow>> = self.sound.values().flat_map(|unit| unit.flows.iter().cloned()).collect();
        let mut notes = Vec::new();
        let mut connections = BTreeMap::new();
        for (name, declared) in &self.connections {
            let used = flows.iter().any(|flow| uses(flow, name));
            // Without flow.toml every connector is a connection: only those in use matter.
            if !used && self.config.settings.connections.is_none() {
                continue;
            }
            let connection = self.connection(name, declared, &flows, used, &mut notes);
            connections.insert(name.clone(), Arc::new(connection));
        }
        (Live { flows, connections, broken: self.set_aside() }, notes)
    }

    /// Returns what whoever has set the connections up should know, and is no reason not to start. What is simulated has the
    /// secrets of the emulators.
    pub(crate) fn warnings(&self, live: &Live) -> Vec<String> {
        if self.sandbox.is_some() { Vec::new() } else { shared_secrets(live) }
    }

    fn connection(
        &self,
        name: &str,
        declared: &plan::Connection,
        flows: &[Arc<plan::Flow>],
        used: bool,
        notes: &mut Vec<String>,
    ) -> LiveConnection {
        let default = ConnectionConfig { polls: true, ..ConnectionConfig::default() };
        let config = self.config.connections.get(name).unwrap_or(&default);
        let mut declared = declared.clone();
        let mut base_url = config.base_url.clone();
        let mut found: BTreeMap<String, Secret> = BTreeMap::new();
        let sandboxed = self.sandbox.as_ref().filter(|_| base_url.is_none()).and_then(|urls| urls.get(&declared.connector));
        // What has no emulator of its own is not reached either: no e-mail leaves, no broker hears of it.
        let outward = declared.api.via.as_ref().is_some_and(|via| matches!(via.scheme.as_str(), "mqtt" | "smtp"));
        let stand_in = sandboxed.is_some() || self.sandbox.is_some() && outward;
        if let Some(url) = sandboxed {
            base_url = Some(url.clone());
            for (key, text) in flow_sandbox::Sandbox::secrets(&declared.connector) {
                if declared.secrets.iter().any(|secret| secret.name == *key) {
                    found.insert((*key).to_owned(), Secret::new((*text).to_owned()));
                } else if declared.setting_decls.iter().any(|setting| setting.name == *key) {
                    declared.settings.entry((*key).to_owned()).or_insert_with(|| plan::Value::text(*text));
                }
            }
            // What the emulator has no secret of its own for comes from outside all the same: whoever sends webhooks.
            let from_outside = |key: &str| declared.secrets.iter().any(|secret| secret.name == key && secret.for_webhooks);
            for (key, (_, reference)) in config.secrets.iter().filter(|(key, _)| from_outside(key)) {
                if !found.contains_key(key)
                    && let Ok(secret) = secrets::read(reference, &self.project.root)
                {
                    found.insert(key.clone(), secret);
                }
            }
        } else {
            for (key, (_, reference)) in &config.secrets {
                match secrets::read(reference, &self.project.root) {
                    Ok(secret) => {
                        found.insert(key.clone(), secret);
                    }
                    Err(reason) if used => notes.push(format!("connection {name}: the secret `{key}` is missing: {reason}")),
                    Err(_) => {}
                }
            }
        }
        let mut polls = config.polls;
        if used {
            let acts = flows.iter().any(|flow| performs(flow, name));
            let listens = flows.iter().any(|flow| flow.listens_to().any(|trigger| trigger.connection == name));
            if listens && let Some(setting) = unchosen(&declared) {
                notes.push(format!(
                    "connection {name}: the setting `{setting}` says how a sender proves who it is, and is missing: put `{setting} = \"standard_webhooks\"`, or one of the others that `flowc docs {}` lists, under [connections.{name}] in flow.toml",
                    declared.connector,
                ));
            }
            let lacking = |wanted: fn(&plan::SecretDecl) -> bool| -> Vec<&plan::SecretDecl> {
                declared
                    .secrets
                    .iter()
                    .filter(|secret| !secret.optional && wanted(secret) && !found.contains_key(&secret.name))
                    .collect()
            };
            let needed = needed_secrets(flows, &declared);
            let mut for_requests = lacking(|secret| secret.for_requests);
            // A service with several APIs has a key for each: those that nothing goes to need none.
            let one_way = declared.apis.is_empty() && declared.api.via.is_none();
            for_requests.retain(|secret| one_way || needed.contains(&secret.name));
            let for_webhooks = lacking(|secret| secret.for_webhooks);
            if acts {
                for group in &declared.api.one_of {
                    if !group.iter().any(|name| found.contains_key(name) || config.secrets.contains_key(name)) {
                        notes.push(format!(
                            "connection {name}: its actions need one of the secrets {}: put it under [connections.{name}] in flow.toml, or use `--sandbox`",
                            group.iter().map(|secret| format!("`{secret}`")).collect::<Vec<_>>().join(" and "),
                        ));
                    }
                }
            }
            let mut need = |secret: &plan::SecretDecl, why: &str| {
                if config.secrets.contains_key(&secret.name) {
                    return; // Said above, with the reason.
                }
                let hint = secret.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
                notes.push(format!(
                    "connection {name}: the secret `{0}` is missing, and {why}{hint}: put `{0} = {{ env = \"{1}\" }}` under [connections.{name}] in flow.toml and set {1}, or use `--sandbox`",
                    secret.name,
                    format!("{name}_{}", secret.name).to_uppercase(),
                ));
            };
            if acts {
                for_requests.iter().for_each(|secret| need(secret, "its actions need it"));
            } else if listens
                && !for_requests.is_empty()
                && !for_webhooks.is_empty()
                // One of the two would do: where it is wanted and cannot be read, that was said above.
                && !for_requests.iter().any(|secret| config.secrets.contains_key(&secret.name))
            {
                for_webhooks.iter().for_each(|secret| need(secret, "webhooks need it"));
            }
            polls = polls && for_requests.is_empty();
            if base_url.is_none() {
                for setting in declared
                    .setting_decls
                    .iter()
                    .filter(|setting| setting.in_base && !setting.optional && !declared.settings.contains_key(&setting.name))
                {
                    notes.push(format!("connection {name}: the setting `{0}` is missing: put `{0} = \"…\"` under [connections.{name}] in flow.toml", setting.name));
                }
            }
        }
        LiveConnection {
            plan: declared,
            base_url,
            stand_in,
            secrets: found,
            poll_every: config.poll_ms.map(Duration::from_millis),
            polls,
            root: self.project.root.clone(),
        }
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

/// Returns the secrets without which a request cannot be made that live flows, or what starts them, make.
fn needed_secrets(flows: &[Arc<plan::Flow>], connection: &plan::Connection) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut note = |request| names.extend(connection.secrets_of(request).into_iter().map(str::to_owned));
    for flow in flows {
        for instr in &flow.program.instrs {
            if let plan::Instr::Call(call) = instr
                && call.connection == connection.name
                && let Some(operation) = flow.operations.get(usize::try_from(call.operation).unwrap_or(usize::MAX))
            {
                note(&operation.request);
                if let plan::Effect::Findable { by, .. } = &operation.effect {
                    note(&by.query.request);
                }
            }
        }
        for trigger in flow.listens_to().filter(|trigger| trigger.connection == connection.name) {
            let source = connection.sources.iter().find(|source| source.name == trigger.source);
            if let Some(poll) = source.and_then(|source| source.poll.as_ref()) {
                note(&poll.request);
            }
        }
    }
    names
}

/// Returns the setting that says how webhooks are verified, where it does not.
fn unchosen(connection: &plan::Connection) -> Option<&str> {
    let chosen = connection.sources.iter().filter_map(|source| source.webhook.as_ref()).find(|one| one.scheme == "chosen")?;
    match chosen.params.get("by")? {
        plan::Expr::Env(plan::Env::Setting(name)) if !connection.settings.contains_key(name) => Some(name),
        _ => None,
    }
}

fn uses(flow: &plan::Flow, connection: &str) -> bool {
    performs(flow, connection) || flow.listens_to().any(|trigger| trigger.connection == connection)
}

fn performs(flow: &plan::Flow, connection: &str) -> bool {
    flow.program.instrs.iter().any(|instr| matches!(instr, plan::Instr::Call(call) if call.connection == connection))
}
