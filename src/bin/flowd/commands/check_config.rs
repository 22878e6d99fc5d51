//! `flowd check-config`: everything that `flowd run` would refuse, without running.

use flow::output;
use flow::project::Project;

use crate::Exit;
use crate::args::CheckConfig;
use crate::host::{Host, HostError};
use crate::sound::Texts;

pub(crate) fn run(args: &CheckConfig) -> Exit {
    match open(args) {
        Ok(host) => {
            let (live, notes) = host.live();
            for (name, connection) in &live.connections {
                let there: Vec<&str> = connection.secrets.keys().map(String::as_str).collect();
                let base = connection.base_url.as_deref().unwrap_or("the service's own address");
                output::out(&format!(
                    "{name}: {} at {base}; secrets: {}; polls: {}\n",
                    connection.plan.connector,
                    if there.is_empty() { "none".to_owned() } else { there.join(", ") },
                    if connection.polls && connection.plan.sources.iter().any(|source| source.poll.is_some()) {
                        "yes"
                    } else {
                        "no"
                    }
                ));
            }
            for warning in host.warnings(&live) {
                output::err(&format!("warning: {warning}"));
            }
            if notes.is_empty() {
                output::err(&format!(
                    "{}, {}: ready to run",
                    counted(live.flows.len(), "flow"),
                    counted(live.connections.len(), "connection")
                ));
                Exit::Well
            } else {
                Exit::Problems(problems(&notes))
            }
        }
        Err(HostError::Project(error)) => Exit::Usage(error.to_string()),
        Err(HostError::Problems(reports)) => Exit::Problems(reports.join("\n")),
    }
}

fn open(args: &CheckConfig) -> Result<Host, HostError> {
    Host::open(Project::of(&args.project)?, args.allow_literal_secrets, None, &Texts::new())
}

/// Returns problems with connections as one text.
pub(crate) fn problems(notes: &[String]) -> String {
    notes.iter().map(|note| format!("error: {note}")).collect::<Vec<_>>().join("\n")
}

fn counted(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}
