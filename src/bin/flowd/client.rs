//! Questions to the running daemon, over the unix socket in its store.

use std::path::{Path, PathBuf};

use flow::project::{Project, ProjectError};
use flow_compiler::Diagnostic;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::Value as Json;

use crate::Exit;
use crate::args::Client;

/// An answer of the daemon.
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The document.
    pub(crate) json: Json,
}

/// Returns the folder of the store: `[store] path`, else `$STATE_DIRECTORY`, else `.flow` in the project.
pub(crate) fn store_path(project: &Project, configured: Option<&str>) -> PathBuf {
    if let Some(path) = configured {
        return project.root.join(path);
    }
    // systemd gives a list; the first is ours.
    match std::env::var("STATE_DIRECTORY").ok().and_then(|list| list.split(':').next().map(PathBuf::from)) {
        Some(path) if !path.as_os_str().is_empty() => path,
        _ => project.root.join(".flow"),
    }
}

/// Where the project of the system's service lies.
const SYSTEM: &str = "/etc/flow";

/// Returns the project that is meant: where no other is named and this folder is none, that of the system's service.
pub(crate) fn project_of(path: &Path) -> Result<Project, ProjectError> {
    let here = Project::of(path)?;
    let named = path != Path::new(".");
    let system = Path::new(SYSTEM);
    if named || here.toml.is_some() || here.root.join(".flow").exists() || !system.join("flow.toml").is_file() {
        return Ok(here);
    }
    Project::of(system)
}

/// Asks the daemon of the project. `path` is below `/api/v1/` and already encoded.
pub(crate) async fn ask(client: &Client, method: &str, path: &str) -> Result<Answer, Exit> {
    ask_with(client, method, path, Bytes::new()).await
}

/// A question is no longer than this: beyond, what was given is something else than an id, a name or a time.
const LONGEST_QUESTION: usize = 12 * 1024;

/// As [`ask`], with a JSON document.
pub(crate) async fn ask_with(client: &Client, method: &str, path: &str, body: Bytes) -> Result<Answer, Exit> {
    if path.len() > LONGEST_QUESTION {
        return Err(Exit::Usage(
            "an argument is too long: ids, names and times have a few hundred characters at most".to_owned(),
        ));
    }
    let project = project_of(&client.project).map_err(|error| Exit::Usage(error.to_string()))?;
    let configured = project.config(true).map_err(|error| Exit::Usage(error.to_string()))?;
    let store = store_path(&project, configured.config.store_path.as_deref());
    let unknown = configured.config.store_path.is_none() && configured.diagnostics.iter().any(Diagnostic::is_error);
    let instead = if unknown {
        "flow.toml cannot be read, which says where its store is: `flowd check-config` says what is wrong with it"
    } else {
        "Start one with `flowd run`, or name its project with --project"
    };
    request(&store, method, path, body)
        .await
        .map_err(|reason| Exit::Usage(format!("no daemon answers for {}: {reason}. {instead}", project.root.display())))
}

/// As [`ask`], where a daemon runs. `None` without one.
pub(crate) async fn ask_running(project: &Project, method: &str, path: &str) -> Option<Answer> {
    let configured = project.config(true).ok()?;
    let store = store_path(project, configured.config.store_path.as_deref());
    request(&store, method, path, Bytes::new()).await.ok()
}

async fn request(store: &Path, method: &str, path: &str, body: Bytes) -> Result<Answer, String> {
    let socket = store.join(flow_runtime::admin::SOCKET_NAME);
    let stream = tokio::net::UnixStream::connect(&socket)
        .await
        .map_err(|error| format!("{}: {}", socket.display(), flow::secrets::reason(&error)))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let driver = tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(format!("/api/v1/{path}"))
        .header("host", "localhost")
        .header(flow_runtime::admin::ADMIN_HEADER, "1")
        .header("content-type", "application/json")
        .body(Full::new(body))
        .map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
    driver.abort();
    let json = serde_json::from_slice(&body).unwrap_or(Json::Null);
    Ok(Answer { status, json })
}

/// Returns the exit for an answer that is an error of what was asked.
pub(crate) fn refused(answer: &Answer) -> Exit {
    Exit::Problems(format!("flowd: {}", flow::terminal::printable(reason(answer))))
}

/// Returns why the daemon refused something, as it says.
pub(crate) fn reason(answer: &Answer) -> &str {
    answer.json.pointer("/error/message").and_then(Json::as_str).unwrap_or("the daemon gave no reason")
}

/// Returns `text` for a path or query.
pub(crate) fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
