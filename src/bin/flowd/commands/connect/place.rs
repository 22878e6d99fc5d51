//! The project that a connection is set up in: its flow.toml, which may be missing, and what its connectors are.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flow::project::{Configured, Project, ReadError, read_source};
use flow_compiler::catalog::Catalog;
use flow_compiler::compile::Compiler;
use flow_compiler::config;
use flow_compiler::settings::Settings;
use flow_plan::Instr;

use flow::secrets::reason;

use crate::Exit;

/// A project's place.
pub(crate) struct Place {
    /// The folder.
    pub(crate) root: PathBuf,
    /// Its flow.toml, which may not be there yet.
    pub(crate) toml: PathBuf,
    /// What stands in it.
    pub(crate) text: String,
    /// Its connectors.
    pub(crate) catalog: Arc<Catalog>,
    compiler: Compiler,
}

/// Reads a flow.toml; one that is not there is empty.
fn read(toml: &Path) -> Result<String, Exit> {
    // A link that leads nowhere is there.
    if !toml.exists() && !toml.is_symlink() {
        return Ok(String::new());
    }
    read_source(toml).map_err(|error| match error {
        ReadError::Unreadable(reason) | ReadError::Bad(reason, _) => {
            Exit::Usage(format!("{} cannot be read: {reason}", toml.display()))
        }
    })
}

impl Place {
    /// Reads what is there.
    pub(crate) fn open(path: &Path) -> Result<Self, Exit> {
        let project = Project::of(path).map_err(|error| Exit::Usage(error.to_string()))?;
        let toml = project.toml.clone().unwrap_or_else(|| project.root.join("flow.toml"));
        let text = read(&toml)?;
        // The connectors of the project lie among its flows; what is wrong with those is no matter here.
        let whole = Project { single: None, ..project };
        let files = whole.files().map_err(|error| Exit::Usage(error.to_string()))?;
        let texts = whole.read(&files).map_err(|error| Exit::Usage(error.to_string()))?;
        let mut compiler = Compiler::new(Settings { quick: true, errors_only: true, ..Settings::default() });
        for (name, text) in texts.files {
            compiler.set(&name, text);
        }
        let catalog = compiler.catalog();
        Ok(Self { root: whole.root, toml, text, catalog, compiler })
    }

    /// Waits until nobody else sets up a connection in this project, and keeps others waiting as long as what it returns lives.
    /// What stands in flow.toml by now is read. Where the file system knows no locks nobody waits.
    pub(crate) fn alone(&mut self) -> Result<std::fs::File, Exit> {
        let failed = |error: std::io::Error| Exit::Usage(format!("{} cannot be read: {}", self.root.display(), reason(&error)));
        let folder = std::fs::File::open(&self.root).map_err(failed)?;
        if folder.lock().is_err() {
            // As said.
        }
        self.text = read(&self.toml)?;
        Ok(folder)
    }

    /// What flow.toml is called in reports.
    pub(crate) fn toml_name(&self) -> Arc<str> {
        let name = self.toml.strip_prefix(&self.root).unwrap_or(&self.toml);
        Arc::from(name.to_string_lossy())
    }

    /// The project as other commands know it.
    pub(crate) fn project(&self) -> Project {
        Project { root: self.root.clone(), toml: self.toml.exists().then(|| self.toml.clone()), single: None }
    }

    /// Reads and checks a text as flow.toml.
    pub(crate) fn configured(&mut self, text: &str) -> Configured {
        let name = self.toml_name();
        let (mut config, mut diagnostics) = config::read(&name, text, false);
        diagnostics.extend(config::check(&name, &mut config, &self.catalog, false));
        Configured { config, file: Some((name, Arc::from(text))), diagnostics }
    }

    /// The connections that flows use, where each connector is one under its own name.
    pub(crate) fn used_connections(&mut self) -> BTreeSet<String> {
        let compilation = self.compiler.compile();
        let mut used = BTreeSet::new();
        for flow in compilation.flows() {
            used.extend(flow.triggers.iter().map(|trigger| trigger.connection.clone()));
            used.extend(flow.program.instrs.iter().filter_map(|instr| match instr {
                Instr::Call(call) => Some(call.connection.clone()),
                _ => None,
            }));
        }
        used.retain(|name| self.catalog.connectors.contains_key(name) && name != flow_compiler::connector::ENGINE);
        used
    }

    /// The flows that use a connection, under a text of flow.toml.
    pub(crate) fn flows_of(&mut self, connection: &str, text: &str) -> Vec<String> {
        let configured = self.configured(text);
        self.compiler.set_settings(Settings { quick: true, errors_only: true, ..configured.config.settings });
        let compilation = self.compiler.compile();
        let uses = |flow: &flow_plan::Flow| {
            let calls = |instr: &Instr| matches!(instr, Instr::Call(call) if call.connection == connection);
            flow.triggers.iter().any(|trigger| trigger.connection == connection) || flow.program.instrs.iter().any(calls)
        };
        // What a lock is exposed with is made of its own section, and goes with that.
        let own = format!("exposed/{connection}.flow");
        compilation.flows().filter(|flow| flow.file != own && uses(flow)).map(|flow| flow.id.clone()).collect()
    }
}
