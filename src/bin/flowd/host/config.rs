//! flow.toml and flow.lock, as the daemon holds them: what is wrong with either changes nothing but a report.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use flow::project::read_settled;
use flow_compiler::compile::Compilation;
use flow_compiler::config::{self, Config, SecretRef};
use flow_compiler::lock::{self, Lock, Scope};
use flow_compiler::settings::Settings;
use flow_compiler::{Code, Diagnostic};
use flow_grammar::span::Span;

use super::Host;
use crate::emptied;

/// What was in force before, and its text.
type Before = (Config, Option<(Arc<str>, Arc<str>)>);

impl Host {
    pub(super) fn check_config(&mut self) -> Vec<Diagnostic> {
        let Some((name, _)) = &self.config_source else { return Vec::new() };
        let catalog = self.compiler.catalog();
        let diagnostics = config::check(name, &mut self.config, &catalog, self.literal_secrets);
        self.compiler.set_settings(self.settings());
        diagnostics
    }

    /// The daemon shows no advice, and what is filled in is of interest only where it is compared.
    pub(super) fn settings(&self) -> Settings {
        Settings { quick: true, errors_only: true, freeze: self.lock.is_some(), ..self.config.settings.clone() }
    }

    /// Takes flow.lock as it is now. One that cannot be read changes nothing but a report.
    pub(super) fn reload_lock(&mut self) {
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
    pub(super) fn unlocked(&self, compilation: &Compilation) -> Vec<Diagnostic> {
        let Some(frozen) = &self.lock else { return Vec::new() };
        let name: Arc<str> = Arc::from(lock::FILE);
        let mut found = lock::compare(&Lock::of(compilation), frozen, &name, Scope::Project);
        found.retain(|one| one.file != name);
        found
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

    pub(super) fn reload_config(&mut self) {
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
        } else {
            self.kept.config.clone_from(&self.config_source);
        }
        self.config_errors = diagnostics;
    }

    /// A flow.toml by which polls would use up a quota changes nothing but a report.
    pub(super) fn without_spent_quota(&mut self, compilation: &mut Compilation, before: Before) {
        let spent = |compilation: &Compilation| -> Vec<Diagnostic> {
            compilation.errors().filter(|one| one.code == Code::E705).cloned().collect()
        };
        let found = spent(compilation);
        if found.is_empty() {
            return;
        }
        let after = (std::mem::replace(&mut self.config, before.0), std::mem::replace(&mut self.kept.config, before.1));
        self.compiler.set_settings(self.settings());
        let again = self.compiler.compile();
        if spent(&again).is_empty() {
            self.config_errors.extend(found);
            *compilation = again;
        } else {
            // Not its doing.
            (self.config, self.kept.config) = after;
            self.compiler.set_settings(self.settings());
            *compilation = self.compiler.compile();
        }
    }

    /// Returns the keys of flow.toml that differ from what the daemon started with and that it reads only then.
    pub(super) fn only_at_start(&self) -> Vec<&'static str> {
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
}
