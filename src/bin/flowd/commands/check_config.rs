//! `flowd check-config`: everything that `flowd run` would refuse, without running.

use flow::output;
use flow::project::Project;

use crate::Exit;
use crate::args::CheckConfig;
use crate::host::{Host, HostError};

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
                    if connection.polls { "yes" } else { "no" }
                ));
            }
            if notes.is_empty() {
                output::err(&format!("{} flows, {} connections: ready to run", live.flows.len(), live.connections.len()));
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
    Host::open(Project::of(&args.project)?, args.allow_literal_secrets, None)
}

/// Returns problems with connections as one text.
pub(crate) fn problems(notes: &[String]) -> String {
    notes.iter().map(|note| format!("error: {note}")).collect::<Vec<_>>().join("\n")
}
