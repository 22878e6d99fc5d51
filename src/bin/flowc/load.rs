//! Paths of the command line → compiled projects.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flow::project::{MAX_FILE, Project, ProjectError, ReadError, as_text, distinct};
use flow_compiler::allow::Allows;
use flow_compiler::compile::{Compilation, Compiler};
use flow_compiler::config;
use flow_compiler::lock::{self, Lock};
use flow_compiler::report::Sources;
use flow_compiler::{Code, Diagnostic};
use flow_grammar::span::Span;

/// The name of standard input in reports.
pub(crate) const STDIN: &str = "<stdin>";

/// One project, compiled, and which of its files were asked for.
pub(crate) struct Loaded {
    /// The folder that names of files are relative to.
    pub(crate) root: PathBuf,
    pub(crate) compilation: Compilation,
    pub(crate) sources: Sources,
    pub(crate) selected: BTreeSet<Arc<str>>,
    /// What is filled in in the flows of the project, where that was asked for.
    pub(crate) lock: Lock,
    /// Everything about the selected files, flow.toml and flow.lock, in order.
    pub(crate) diagnostics: Vec<Diagnostic>,
}

impl Loaded {
    /// Returns the number of flows in the selected files.
    pub(crate) fn flow_count(&self) -> usize {
        self.selected.iter().filter_map(|file| self.compilation.units.get(file)).map(|unit| unit.flow_count).sum()
    }

    /// Returns the texts of the selected files and flow.toml.
    pub(crate) fn selected_sources(&self) -> Sources {
        let wanted = |name: &Arc<str>| self.selected.contains(name) || name.ends_with("flow.toml") || &**name == lock::FILE;
        self.sources.iter().filter(|(name, _)| wanted(name)).map(|(name, text)| (name.clone(), text.clone())).collect()
    }
}

/// What is wanted of a project.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Want {
    /// Nothing is filled in from a field that can be missing.
    pub(crate) strict: bool,
    /// Advice, and the flows written out.
    pub(crate) everything: bool,
    /// What is filled in.
    pub(crate) freeze: bool,
    /// What is filled in, compared with flow.lock.
    pub(crate) locked: bool,
    /// Only what is wrong.
    pub(crate) verdict_only: bool,
}

/// Loads the projects of the paths, each once.
pub(crate) fn load(paths: &[PathBuf], want: Want) -> Result<Vec<Loaded>, ProjectError> {
    let mut projects: BTreeMap<PathBuf, (Project, Vec<PathBuf>, bool)> = BTreeMap::new();
    for path in distinct(paths) {
        let stdin = path == Path::new("-");
        let project = Project::of(if stdin { Path::new(".") } else { &path })?;
        let key = project.single.clone().unwrap_or_else(|| project.root.clone());
        let entry = projects.entry(key).or_insert_with(|| (project, Vec::new(), false));
        if stdin {
            entry.2 = true;
        } else {
            entry.1.push(path);
        }
    }
    projects.into_values().map(|(project, paths, stdin)| load_one(&project, &paths, stdin, want)).collect()
}

fn load_one(project: &Project, paths: &[PathBuf], stdin: bool, want: Want) -> Result<Loaded, ProjectError> {
    let mut configured = project.config(false)?;
    // Standard input without a flow.toml is a project by itself: the folder that one happens to be in says nothing.
    let alone = stdin && paths.is_empty() && project.toml.is_none();
    let files = if alone { Vec::new() } else { project.files()? };
    let mut selected_paths = BTreeSet::new();
    for path in paths {
        let absolute = std::fs::canonicalize(path).unwrap_or_else(|_| path.clone());
        let before = selected_paths.len();
        selected_paths.extend(files.iter().filter(|file| file.starts_with(&absolute)).cloned());
        if absolute.is_file() && !files.contains(&absolute) {
            selected_paths.insert(absolute);
        } else if selected_paths.len() == before && !files.iter().any(|file| file.starts_with(&absolute)) {
            return Err(ProjectError::NoFlows(path.display().to_string()));
        }
    }
    let mut all = files;
    all.extend(selected_paths.iter().cloned());
    all.sort();
    all.dedup();
    let texts = project.read(&all)?;
    let mut selected: BTreeSet<Arc<str>> = selected_paths.iter().map(|path| Arc::from(project.name(path))).collect();
    let mut diagnostics = texts.diagnostics;

    let mut compiler = Compiler::new(configured.config.settings.clone());
    for (name, text) in texts.files {
        compiler.set(&name, text);
    }
    if stdin {
        let name: Arc<str> = Arc::from(STDIN);
        selected.insert(name.clone());
        match read_stdin() {
            Ok(text) => compiler.set(STDIN, text),
            Err(ReadError::Bad(message, help)) => {
                diagnostics.push(Diagnostic::new(Code::E100, &name, Span::default(), message).help(help));
            }
            Err(ReadError::Unreadable(reason)) => return Err(ProjectError::Unreadable { path: STDIN.to_owned(), reason }),
        }
    }

    let config_sound = configured.diagnostics.is_empty();
    diagnostics.append(&mut configured.diagnostics);
    if let Some((name, _)) = &configured.file {
        let catalog = compiler.catalog();
        diagnostics.extend(config::check(name, &mut configured.config, &catalog, false));
    }
    let mut settings = configured.config.settings.clone();
    settings.strict = want.strict;
    settings.freeze = want.freeze || want.locked;
    settings.quick = !want.everything;
    settings.verdict_only = want.verdict_only;
    settings.today = Some(jiff::tz::TimeZone::UTC.to_datetime(jiff::Timestamp::now()).date());
    compiler.set_settings(settings);
    let compilation = compiler.compile();
    // What flow.toml adds belongs to the whole.
    if compiler.files().all(|file| selected.contains(file)) {
        selected.extend(compiler.generated().cloned());
    }
    let is_config = |file: &Arc<str>| configured.file.as_ref().is_some_and(|(name, _)| name == file);
    let found = compilation.diagnostics().into_iter();
    diagnostics.extend(found.filter(|one| selected.contains(&one.file) || is_config(&one.file)));
    // Beside an error it would be noise: the broken flow may be the one that uses it.
    let sound = config_sound && compilation.is_sound() && !diagnostics.iter().any(Diagnostic::is_error);
    if sound && let Some((name, text)) = &configured.file {
        // A connection of flow.toml that only other files use is used; the whole project is loaded for that.
        diagnostics.extend(compiler.unused_connections().into_iter().filter_map(|unused| {
            let connection = configured.config.connections.get(&unused)?;
            Some(
                Diagnostic::new(Code::W706, name, connection.span, format!("no flow uses the connection `{unused}`"))
                    .help("take it out, or write a flow that uses it"),
            )
        }));
        let mut allows = Allows::of_toml(name, text);
        allows.silence(&mut diagnostics);
        diagnostics.extend(allows.unused(name, text, want.everything));
        diagnostics.append(&mut allows.diagnostics);
    }
    let mut sources = compiler.sources();
    configured.add_source(&mut sources);
    let lock = Lock::of(&compilation);
    // Beside an error it is not known what would be filled in.
    if want.locked && !diagnostics.iter().any(Diagnostic::is_error) && compilation.is_sound() {
        diagnostics.extend(compare(project, &lock, &mut sources)?);
    }
    diagnostics.sort_by(|a, b| (&a.file, a.span, a.code).cmp(&(&b.file, b.span, b.code)));
    Ok(Loaded { root: project.root.clone(), compilation, lock, sources, selected, diagnostics })
}

/// Returns the differences to flow.lock.
fn compare(project: &Project, now: &Lock, sources: &mut Sources) -> Result<Vec<Diagnostic>, ProjectError> {
    let name: Arc<str> = Arc::from(lock::FILE);
    let Some(text) = project.lock()? else { return Ok(vec![lock::missing(&name)]) };
    let differences = lock::parse(&name, &text).map(|frozen| {
        let single = project.single.as_ref().map(|file| project.name(file));
        let scope = single.as_deref().map_or(lock::Scope::Project, lock::Scope::File);
        lock::compare(now, &frozen, &name, scope)
    });
    sources.insert(name, Arc::from(text));
    Ok(differences.unwrap_or_else(|unreadable| vec![unreadable]))
}

/// Reads standard input within the bound of a file.
pub(crate) fn read_stdin() -> Result<String, ReadError> {
    let mut bytes = Vec::new();
    match std::io::stdin().lock().take(MAX_FILE + 1).read_to_end(&mut bytes) {
        Ok(_) => as_text(bytes),
        Err(error) => Err(ReadError::Unreadable(error.to_string())),
    }
}
