//! A start where another daemon left off: what is broken on disk by now changes nothing but a report, as it would have done
//! without the restart.

use flow::project::{Configured, Project};
use flow_compiler::config;
use flow_runtime::live::{BrokenFile, Live};

use super::{Host, SandboxUrls};
use crate::sound::Kept;

impl Host {
    /// Goes live with what was kept, then takes in what is on disk as a reload does. `None` where nothing was kept, or where
    /// that cannot be used any more: by another version of Flow, or since a secret is gone. `heed` is told of the host before
    /// secrets are read.
    pub(crate) fn resume(
        project: Project,
        literal_secrets: bool,
        sandbox: Option<SandboxUrls>,
        kept: &Kept,
        heed: impl Fn(&Self),
    ) -> Option<(Self, Live)> {
        if kept.files.is_empty() {
            return None;
        }
        // A project that was kept without a flow.toml may have got one since.
        let configured = match &kept.config {
            Some((name, text)) => {
                let (config, diagnostics) = config::read(name, text, literal_secrets);
                Configured { config, file: Some((name.clone(), text.clone())), diagnostics }
            }
            None if project.toml.is_none() => Configured::default(),
            None => project.config(literal_secrets).ok()?,
        };
        let mut host = Self::new(project, literal_secrets, sandbox, configured.config, configured.file);
        host.reload_lock();
        // One that is broken now is so to the reload.
        host.lock_error = None;
        for (name, text) in &kept.files {
            host.compiler.set(name, text.clone());
        }
        host.begin(configured.diagnostics).ok()?;
        heed(&host);
        let (live, notes) = host.live();
        if !notes.is_empty() {
            return None;
        }
        let reloaded = host.reload(None).ok()?;
        for ended in &reloaded.ended {
            tracing::warn!(file = %ended.file, flows = ended.flows.join(", "), "the file is empty now: its flows end");
        }
        if reloaded.notes.is_empty() {
            return Some((host, reloaded.live));
        }
        let mut broken = reloaded.broken;
        broken.push(lacking(&reloaded.notes));
        Some((host, Live { broken, ..live }))
    }
}

/// What the status says where connections lack something, so that nothing else goes live.
pub(crate) fn lacking(notes: &[String]) -> BrokenFile {
    BrokenFile { file: "flow.toml".to_owned(), message: notes.join("; "), report: notes.join("\n") }
}
