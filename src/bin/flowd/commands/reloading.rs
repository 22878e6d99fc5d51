//! The daemon's side of a reload: compile, swap, and say what that changed.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use flow::output;
use flow_compiler::changes::{self, Change, Kind};
use flow_runtime::backtest::Edited;
use flow_runtime::engine::{Engine, OnVersions};
use flow_runtime::live::{BrokenFile, Live};
use flow_runtime::service::{ReloadKind, Service};
use sd_notify::NotifyState;
use serde_json::{Value as Json, json};
use tokio::sync::oneshot;
use tracing::{error, info, warn};

use super::run::{keep, notify, notify_reloading};
use crate::host::{Ended, Host, Reloaded, lacking};

/// What somebody asked of the project, and where the answer is waited for.
pub(crate) enum Asked {
    /// A reload, or what it would change.
    Reload(ReloadKind, oneshot::Sender<Result<Json, String>>),
    /// Another text for a file, compiled within the project: name and text.
    Trial(String, String, oneshot::Sender<Result<Edited, Vec<String>>>),
}

/// Does what was asked. Whoever asked may have gone.
pub(crate) async fn answer(mut host: Host, service: &Service, asked: Asked) -> Host {
    match asked {
        Asked::Reload(ReloadKind::Real, answer) => {
            let before = service.engine().live();
            let (reloaded, outcome) = reload(host, service, None).await;
            host = reloaded;
            let told = match outcome {
                Ok(Outcome::Live(told)) => Ok(tell(service, &before, *told, ReloadKind::Real).await),
                Ok(Outcome::Lacking(notes)) => Err(notes.join("; ")),
                Err(reason) => Err(reason),
            };
            drop(answer.send(told));
        }
        Asked::Reload(ReloadKind::Dry, answer) => drop(answer.send(dry(&host, service).await)),
        Asked::Trial(file, text, answer) => {
            let compiled = tokio::task::spawn_blocking(move || {
                let edited = host.trial(&file, &text);
                (host, edited)
            });
            let edited = match compiled.await {
                Ok((kept, edited)) => {
                    host = kept;
                    edited
                }
                // The compiler panicked; its state went with it, and nothing can be reloaded any more.
                Err(failed) => std::panic::resume_unwind(failed.into_panic()),
            };
            drop(answer.send(edited));
        }
    }
    host
}

/// What a reload came to.
pub(crate) enum Outcome {
    /// What is sound is live.
    Live(Box<Told>),
    /// Connections lack something: nothing has changed.
    Lacking(Vec<String>),
}

/// What is said about a reload.
pub(crate) struct Told {
    flows: Vec<Arc<flow_plan::Flow>>,
    broken: Vec<BrokenFile>,
    diagnostics: Json,
    notes: Vec<String>,
    later: Vec<&'static str>,
    consequences: Json,
}

impl Told {
    fn of(reloaded: Reloaded, consequences: Json) -> (Self, Live) {
        let Reloaded { live, broken, diagnostics, notes, later, ended: _ } = reloaded;
        (Self { flows: live.flows.clone(), broken, diagnostics, notes, later, consequences }, live)
    }
}

/// Compiles what changed and swaps it in. An error is for whoever asked; broken files are none, they are in the status.
pub(crate) async fn reload(
    mut host: Host,
    service: &Service,
    paths: Option<BTreeSet<PathBuf>>,
) -> (Host, Result<Outcome, String>) {
    let began = std::time::Instant::now();
    notify_reloading();
    let compiled = tokio::task::spawn_blocking(move || {
        let result = host.reload(paths.as_ref());
        (host, result)
    })
    .await;
    let (host, result) = match compiled {
        Ok(compiled) => compiled,
        // The compiler panicked; its state went with it, and nothing can be reloaded any more.
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    };
    let outcome = match result {
        Ok(reloaded) => {
            log(&reloaded);
            if reloaded.notes.is_empty() {
                for warning in host.warnings(&reloaded.live) {
                    warn!("{warning}");
                }
                let consequences = service.consequences(&reloaded.live).await;
                let (told, live) = Told::of(reloaded, consequences);
                service.engine().set_flood(host.config().flood);
                service.swap(live);
                info!(
                    flows = told.flows.len(),
                    broken = told.broken.len(),
                    ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
                    "reloaded"
                );
                Ok(Outcome::Live(Box::new(told)))
            } else {
                error!("not reloaded: the connections above lack something");
                // What is live stays, and the status says why nothing else goes live.
                let now = service.engine().live();
                let mut broken = reloaded.broken;
                broken.push(lacking(&reloaded.notes));
                service.swap(Live {
                    flows: now.flows.clone(),
                    connections: now.connections.clone(),
                    broken,
                    held: now.held.clone(),
                });
                Ok(Outcome::Lacking(reloaded.notes))
            }
        }
        Err(error) => {
            error!(%error, "not reloaded");
            Err(error.to_string())
        }
    };
    notify(&[NotifyState::Ready]);
    // What lacks something is not live: the next start goes on with what is.
    if !matches!(outcome, Ok(Outcome::Live(_))) {
        return (host, outcome);
    }
    // Behind the swap: what is live does not wait for the disk.
    let kept = tokio::task::spawn_blocking(move || {
        keep(&host);
        host
    });
    match kept.await {
        Ok(host) => (host, outcome),
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}

fn log(reloaded: &Reloaded) {
    for Ended { file, flows } in &reloaded.ended {
        let flows = flows.join(", ");
        warn!(%file, flows, "the file is empty now: its flows end");
    }
    for key in &reloaded.later {
        warn!(key, "changed in flow.toml: it takes effect at the next start");
    }
    for file in &reloaded.broken {
        error!(file = %file.file, problem = %file.message, "broken: its last sound version stays live");
        if tracing::enabled!(tracing::Level::INFO) {
            output::err(&file.report);
        }
    }
    for note in &reloaded.notes {
        error!("{note}");
    }
}

/// Compiles what is on disk and says what it would change. The copy that knows it is thrown away.
async fn dry(host: &Host, service: &Service) -> Result<Json, String> {
    let mut copy = host.clone();
    let compiled = tokio::task::spawn_blocking(move || copy.reload(None)).await;
    let reloaded = match compiled {
        Ok(result) => result.map_err(|error| error.to_string())?,
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    };
    let consequences = service.consequences(&reloaded.live).await;
    let (told, _) = Told::of(reloaded, consequences);
    Ok(tell(service, &service.engine().live(), told, ReloadKind::Dry).await)
}

/// Returns the document of a reload.
async fn tell(service: &Service, before: &Arc<Live>, told: Told, kind: ReloadKind) -> Json {
    let (engine, before) = (service.engine().clone(), Arc::clone(before));
    let telling = tokio::task::spawn_blocking(move || document(&engine, &before, told, kind));
    match telling.await {
        Ok(document) => document,
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}

fn document(engine: &Engine, before: &Live, told: Told, kind: ReloadKind) -> Json {
    let found = changes::changes(&before.flows, &told.flows, jiff::Timestamp::now());
    let on_versions = if found.is_empty() { OnVersions::default() } else { runs(engine) };
    let mut document = found.to_json();
    for (json, change) in document["changes"].as_array_mut().into_iter().flatten().zip(&found.flows) {
        json["runs"] = runs_of(&on_versions, change);
        if let Some(pause) = pause_of(engine, change) {
            json["pause"] = Json::String(pause);
        }
    }
    document["dry_run"] = json!(kind == ReloadKind::Dry);
    document["flows"] = json!(told.flows.len());
    document["sound"] = json!(told.broken.is_empty() && told.notes.is_empty());
    document["broken"] =
        told.broken.iter().map(|file| json!({ "file": file.file, "message": file.message, "report": file.report })).collect();
    document["diagnostics"] = told.diagnostics;
    document["lacking"] = json!(told.notes);
    document["at_next_start"] = json!(told.later);
    document["consequences"] = told.consequences;
    document
}

fn runs(engine: &Engine) -> OnVersions {
    engine.on_versions().unwrap_or_else(|error| {
        warn!(%error, "the versions of runs cannot be read");
        OnVersions::default()
    })
}

/// The runs that stay with a version which is not live behind the change.
fn runs_of(on_versions: &OnVersions, change: &Change) -> Json {
    let flow = change.was.as_ref().unwrap_or(&change.flow);
    let of_it = on_versions.versions.iter().filter(|version| {
        let goes_on_as_it_is = change.was.is_none() && change.after.as_ref() == Some(&version.plan);
        version.flow == *flow && !goes_on_as_it_is
    });
    let versions: Vec<Json> = of_it
        .map(|version| {
            let mut json = version.to_json();
            json["live"] = json!(false);
            json
        })
        .collect();
    json!({ "versions": versions, "complete": on_versions.complete || versions.is_empty() })
}

/// A pause belongs to the name.
fn pause_of(engine: &Engine, change: &Change) -> Option<String> {
    let paused = |flow: &String| engine.paused_since(flow).is_some();
    let was = change.was.as_ref()?;
    match (change.kind, paused(was), paused(&change.flow)) {
        (Kind::Removed, ..) | (_, false, false) | (_, true, true) => None,
        (_, true, false) => Some(format!("`{was}` is paused, `{}` is not: events start it", change.flow)),
        (_, false, true) => {
            Some(format!("a flow `{}` was paused before: this one is paused as soon as it is there", change.flow))
        }
    }
}
