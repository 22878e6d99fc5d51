//! The connectors for what has no connector of its own, through the real daemon: messages, webhooks, any address, AI.

mod asking;
mod messages;
mod sandboxed;
mod sending;

use serde_json::Value;

use crate::support::daemon::Daemon;
use crate::support::http;

/// A flow.toml with free ports, a connection `hook` that anybody can send to, and what stands behind.
fn toml(connections: &str) -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\n[connections.hook]\nconnector = \"http\"\nverify = \"none\"\n\n{connections}"
    )
}

/// Starts a daemon whose one flow does this for whatever comes to `hook`.
fn doing(steps: &str, connections: &str, secrets: &[(&str, &str)]) -> Daemon {
    let flow = format!("flow it\n  when hook.received\n  unverified\n  do {{\n{steps}\n  }}\n");
    let toml = toml(connections);
    let mut files = vec![("flow.toml", toml.as_str()), ("main.flow", flow.as_str())];
    files.extend(secrets);
    Daemon::start(&files)
}

/// Sends a body to `hook`.
fn send(daemon: &Daemon, body: &Value) {
    let answer = http::send(
        &daemon.server,
        "POST",
        "/v1/webhooks/hook",
        &[("content-type", "application/json")],
        body.to_string().as_bytes(),
    );
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// Sends a body and returns the run that it starts, once it has ended.
fn run_of(daemon: &Daemon, body: &Value) -> Value {
    let before = daemon.runs();
    send(daemon, body);
    let runs = daemon.settled(before.len() + 1);
    let new = runs.iter().find(|run| before.iter().all(|known| known["id"] != run["id"])).unwrap();
    daemon.get(&format!("runs/{}?personal=true", new["id"].as_str().unwrap()))
}

/// Returns the error of the last attempt of a run's last step.
fn error(run: &Value) -> String {
    let step = run["steps"].as_array().and_then(|steps| steps.last()).cloned().unwrap_or_default();
    let attempt = step["attempts"].as_array().and_then(|attempts| attempts.last()).cloned().unwrap_or_default();
    attempt["error"].as_str().unwrap_or_else(|| panic!("no error in {run:#}")).to_owned()
}
