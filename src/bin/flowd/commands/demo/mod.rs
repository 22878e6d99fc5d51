//! `flowd demo`: the example flows against simulated services, live.

mod flows;
mod scene;
mod screen;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use flow::project::Project;
use flow_runtime::service::Service;
use flow_runtime::store::RunQuery;
use flow_sandbox::{Activity, Happening, Sandbox};
use serde_json::{Value as Json, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{broadcast, mpsc};

use crate::args::{Demo, Log};
use crate::commands::run::{connect, options, system_world, urls, with_page};
use crate::commands::table::text;
use crate::host::{Host, HostError};
use crate::sound::Kept;
use crate::{Exit, log};
use scene::{SCENES, Scene};
use screen::Screen;

/// How long the demo waits for the runs of one event before it goes on.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many of the latest runs are looked through for those that were not shown.
const LATEST: usize = 50;

pub(crate) async fn run(args: Demo) -> Exit {
    log::quiet(Log::Human);
    match begin(&args).await {
        Ok(()) => Exit::Well,
        Err(message) => Exit::Usage(message),
    }
}

async fn begin(args: &Demo) -> Result<(), String> {
    let sandbox = Sandbox::start(flow_sandbox::Options { demo: true, ..with_page() }).await.map_err(|error| error.to_string())?;
    let folder = flows::scratch(&sandbox).map_err(|error| format!("the demo has no place for its files: {error}"))?;
    // A door that is asked every second has used up what a real key is allowed within minutes.
    let quota = Happening::new("quota").with("limit", json!(1_000_000_000));
    sandbox.play("sesame", quota).await.map_err(|error| error.to_string())?;
    play(args, sandbox, folder.path()).await
}

async fn play(args: &Demo, sandbox: Sandbox, folder: &Path) -> Result<(), String> {
    let project = Project::of(folder).map_err(|error| error.to_string())?;
    let host = Host::open(project, false, Some(urls(&sandbox)), &Kept::default()).map_err(|error| match error {
        HostError::Project(error) => error.to_string(),
        HostError::Problems(reports) => reports.join("\n"),
    })?;
    let (live, notes) = host.live();
    if let Some(note) = notes.first() {
        return Err(note.clone());
    }
    let (reload, _) = mpsc::unbounded_channel();
    let service =
        Service::start(options(&host, reload), live, system_world(host.config())).await.map_err(|error| error.to_string())?;
    connect(&sandbox, &service);
    let screen = Screen::new();
    screen.welcome(&service, &sandbox, folder);
    let mut show = Show { screen, calls: sandbox.subscribe(), shown: BTreeSet::new(), ends: BTreeMap::new() };
    let mut stop = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    for number in 0..args.events.unwrap_or(u32::MAX) {
        let scene = SCENES[number as usize % SCENES.len()];
        tokio::select! {
            shown = show.scene(&sandbox, &service, scene, number) => shown?,
            _ = stop.recv() => break,
            _ = terminate.recv() => break,
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(args.pace)) => {}
            _ = stop.recv() => break,
            _ = terminate.recv() => break,
        }
    }
    show.screen.farewell(&sandbox, &show.ends);
    service.stop().await;
    sandbox.shutdown().await;
    Ok(())
}

/// The demo as it goes on.
struct Show {
    screen: Screen,
    calls: broadcast::Receiver<Activity>,
    /// The runs that were shown.
    shown: BTreeSet<String>,
    /// How many ended how.
    ends: BTreeMap<String, u32>,
}

impl Show {
    async fn scene(&mut self, sandbox: &Sandbox, service: &Service, scene: Scene, number: u32) -> Result<(), String> {
        // What came of the page's buttons in the meantime.
        self.others(service).await;
        let before = self.shown.len();
        let happening = scene.happening(sandbox, number)?;
        let played = sandbox.play(scene.connector(), happening).await.map_err(|error| error.to_string())?;
        self.screen.happened(scene, &played.objects);
        for event in &played.events {
            for id in runs_of(service, event).await {
                self.run(service, &id).await;
            }
        }
        if let Some(flow) =
            scene.starts_later().filter(|flow| service.engine().live().flows.iter().any(|known| known.id == *flow))
        {
            self.later(service, flow).await;
        }
        if self.shown.len() == before {
            self.asked();
            self.screen.nothing();
            *self.ends.entry("started nothing".to_owned()).or_default() += 1;
        }
        Ok(())
    }

    /// Shows a run when it has ended.
    async fn run(&mut self, service: &Service, id: &str) {
        if !self.shown.insert(id.to_owned()) {
            return;
        }
        let run = wait_for_end(service, id).await;
        // What was called in the meantime is what these steps did.
        self.asked();
        let status = text(&run, "status");
        self.screen.ended(&run, &status);
        *self.ends.entry(status).or_default() += 1;
    }

    fn asked(&mut self) {
        while let Ok(activity) = self.calls.try_recv() {
            self.screen.called(&activity);
        }
    }

    /// The runs that were not shown, the oldest first.
    fn unseen(&self, service: &Service) -> Vec<(String, String)> {
        let query = RunQuery { flow: None, status: None, since: None, before: None, limit: LATEST };
        let runs = service.engine().runs(&query).unwrap_or_default().into_iter().rev();
        runs.filter(|run| !self.shown.contains(&run.id)).map(|run| (run.id, run.flow)).collect()
    }

    async fn others(&mut self, service: &Service) {
        for (id, _) in self.unseen(service) {
            self.run(service, &id).await;
        }
    }

    /// Waits for a run of a flow that no event starts at once.
    async fn later(&mut self, service: &Service, flow: &str) {
        let found = async {
            while !self.unseen(service).iter().any(|(_, of)| of == flow) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, found).await.is_ok() {
            self.others(service).await;
        }
    }
}

/// Waits until the event is accepted and returns the runs that it started.
async fn runs_of(service: &Service, event: &str) -> Vec<String> {
    let found = async {
        loop {
            if let Ok(stored) = service.engine().event(event)
                && let Some(stored) = stored.first()
            {
                return service.engine().runs_of_event(stored.seq).unwrap_or_default();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.unwrap_or_default()
}

async fn wait_for_end(service: &Service, id: &str) -> Json {
    let ended = async {
        loop {
            if let Ok(Some(run)) = service.engine().run(id, false)
                && !run["ended_at"].is_null()
            {
                return run;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, ended).await {
        Ok(run) => run,
        Err(_) => service.engine().run(id, false).ok().flatten().unwrap_or_default(),
    }
}
