//! `flowd run`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use flow::output;
use flow::project::Project;
use flow_compiler::config::Config;
use flow_runtime::engine::EngineOptions;
use flow_runtime::live::Live;
use flow_runtime::server::Limits;
use flow_runtime::service::{Service, ServiceOptions};
use flow_runtime::transport::{FastRandom, ReqwestTransport, SystemClock};
use flow_runtime::world::World;
use flow_sandbox::Sandbox;
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tracing::{error, warn};

use crate::args::Run;
use crate::client::store_path;
use crate::commands::check_config::problems;
use crate::commands::reloading::{self, Asked, reload};
use crate::host::{Host, HostError, SandboxUrls};
use crate::sound::{self, Kept};
use crate::watch::{self, Changed, Watching};
use crate::{Exit, log};

/// The addresses of the connections that flows use.
fn base_urls(live: &Live) -> BTreeSet<String> {
    let connector = |name: &str| live.connections.get(name).map(|connection| connection.plan.connector.clone());
    let mut used = BTreeSet::new();
    for flow in &live.flows {
        used.extend(flow.triggers.iter().filter_map(|trigger| connector(&trigger.connection)));
        used.extend(flow.operations.iter().filter_map(|operation| Some(operation.name.split_once('.')?.0.to_owned())));
    }
    let connections = live.connections.values().filter(|connection| used.contains(&connection.plan.connector));
    connections.filter_map(|connection| connection.base_url.clone()).collect()
}

/// Simulated services with their page, on free ports.
pub(crate) fn with_page() -> flow_sandbox::Options {
    flow_sandbox::Options { page: Some(std::net::SocketAddr::from(([127, 0, 0, 1], 0))), ..Default::default() }
}

pub(crate) async fn run(args: Run) -> Exit {
    log::start(args.log);
    let sandbox = if args.sandbox {
        match Sandbox::start(with_page()).await {
            Ok(sandbox) => Some(sandbox),
            Err(error) => return Exit::Usage(format!("the sandbox cannot start: {error}")),
        }
    } else {
        None
    };
    // Before anything is told of the daemon: a signal that comes as soon as it says that it is ready must not end it.
    let mut signals = match Signals::receive() {
        Ok(signals) => signals,
        Err(error) => return Exit::Usage(format!("signals cannot be received: {error}")),
    };
    let project = match Project::of(&args.project) {
        Ok(project) => project,
        Err(error) => return Exit::Usage(error.to_string()),
    };
    // Watching begins before reading: a change in between is seen twice rather than not at all.
    let watching = match &project.single {
        _ if args.no_watch => None,
        Some(file) => Some(watch::watch(file.parent().unwrap_or(&project.root))),
        None => Some(watch::watch(&project.root)),
    };
    let (watcher, changes) = match watching {
        Some(Ok((watcher, changes))) => (Some(watcher), changes),
        Some(Err(error)) => {
            warn!(%error, "files are not watched: reload with `flowd reload` or SIGHUP");
            (None, mpsc::unbounded_channel().1)
        }
        None => (None, mpsc::unbounded_channel().1),
    };
    let kept = kept(&project, args.allow_literal_secrets);
    // The same of secrets in files: a key that is changed right after the start is read again.
    let heed = |host: &Host| {
        if let Some(watcher) = &watcher {
            watcher.and(host.secret_files());
        }
    };
    let (host, live) = match open(&project, args.allow_literal_secrets, sandbox.as_ref().map(urls), &kept, heed) {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    if let Some(reference) = &host.config().admin_token
        && let Err(reason) = flow::secrets::read(reference, &host.project().root)
    {
        return Exit::Problems(problems(&[format!("[admin] token: {reason}")]));
    }
    for file in &live.broken {
        error!(file = %file.file, problem = %file.message, "broken: its last sound version is live");
        if tracing::enabled!(tracing::Level::INFO) {
            output::err(&file.report);
        }
    }
    for warning in host.warnings(&live) {
        warn!("{warning}");
    }
    let flows = live.flows.len();
    // Before the service starts, since its polls begin with it.
    let began = jiff::Timestamp::now();
    let (reload_sender, reload_receiver) = mpsc::unbounded_channel();
    let used = base_urls(&live);
    let service = match Service::start(options(&host, reload_sender), live, system_world(host.config())).await {
        Ok(service) => service,
        Err(error) => return Exit::Usage(error.to_string()),
    };
    if let Some(sandbox) = &sandbox {
        connect(sandbox, &service);
    }
    keep(&host);
    let addresses = service.addresses();
    let mode = if args.sandbox { "; simulated services" } else { "" };
    output::out(&format!(
        "flowd {} ready: webhooks {}, admin {} ({flows} flow{}{mode})\n",
        env!("CARGO_PKG_VERSION"),
        addresses.server,
        addresses.admin,
        if flows == 1 { "" } else { "s" }
    ));
    if let Some(sandbox) = &sandbox {
        // Those that the flows speak with; of many that nobody uses nobody has to read.
        let services = || sandbox.services().filter(|(_, url)| used.is_empty() || used.iter().any(|base| base.starts_with(url)));
        let services: Vec<_> = services().map(|(name, url)| format!("{name} {url}")).collect();
        let page = sandbox.page_url().unwrap_or_default();
        output::out(&format!("simulated: {}; page: {page}\n", services.join(", ")));
    }
    notify(&[NotifyState::Ready]);
    if args.once {
        tokio::select! {
            () = once(&service, began) => {}
            _ = signals.terminate.recv() => {}
            _ = signals.interrupt.recv() => {}
        }
    } else {
        serve(host, &service, signals, (watcher.as_ref(), changes), reload_receiver).await;
    }
    notify(&[NotifyState::Stopping]);
    service.stop().await;
    drop(watcher);
    Exit::Well
}

/// Opens the project as it is on disk; where that is broken, or lacks something, as the last daemon left it. `heed` is told of
/// the host before secrets are read.
fn open(
    project: &Project,
    literal_secrets: bool,
    sandbox: Option<SandboxUrls>,
    kept: &Kept,
    heed: impl Fn(&Host),
) -> Result<(Host, Live), Exit> {
    let opened = match Host::open(project.clone(), literal_secrets, sandbox.clone(), kept) {
        Ok(host) => {
            heed(&host);
            let (live, notes) = host.live();
            if notes.is_empty() { Ok((host, live)) } else { Err(Exit::Problems(problems(&notes))) }
        }
        Err(HostError::Project(error)) => Err(Exit::Usage(error.to_string())),
        Err(HostError::Problems(reports)) => Err(Exit::Problems(reports.join("\n"))),
    };
    opened.or_else(|exit| Host::resume(project.clone(), literal_secrets, sandbox, kept, heed).ok_or(exit))
}

/// Returns the world as it is: the system's clock, the network, randomness.
pub(crate) fn system_world(config: &Config) -> World {
    World {
        clock: Arc::new(SystemClock),
        transport: Arc::new(ReqwestTransport::allowing(config.http_allow.clone())),
        random: Arc::new(FastRandom),
        services: None,
    }
}

/// Returns what was sound when a daemon last ran this project.
fn kept(project: &Project, literal_secrets: bool) -> Kept {
    let configured = project.config(literal_secrets).ok().and_then(|configured| configured.config.store_path);
    sound::load(&store_path(project, configured.as_deref()))
}

/// Keeps what is sound for the next start.
pub(super) fn keep(host: &Host) {
    let store = store_path(host.project(), host.config().store_path.as_deref());
    if let Err(error) = sound::save(&store, &host.kept()) {
        warn!(%error, "the sound versions of the files could not be kept for the next start");
    }
}

/// Returns where the emulators are.
pub(crate) fn urls(sandbox: &Sandbox) -> SandboxUrls {
    Sandbox::connectors().filter_map(|connector| Some((connector.to_owned(), sandbox.base_url(connector)?))).collect()
}

/// Lets the emulators deliver their webhooks to the service.
pub(crate) fn connect(sandbox: &Sandbox, service: &Service) {
    let live = service.engine().live();
    for (name, connection) in &live.connections {
        if connection.base_url.is_some() && connection.base_url == sandbox.base_url(&connection.plan.connector) {
            sandbox.set_webhook_target(&connection.plan.connector, &format!("{}/v1/webhooks/{name}", service.addresses().server));
        }
    }
}

/// Returns the options of the service for a project.
pub(crate) fn options(host: &Host, reload: mpsc::UnboundedSender<Asked>) -> ServiceOptions {
    let config = host.config();
    let trial = reload.clone();
    ServiceOptions {
        server_listen: config.server_listen.to_string(),
        admin_listen: config.admin_listen.to_string(),
        // A token that cannot be read has stopped the start before this.
        admin_token: config.admin_token.as_ref().and_then(|reference| flow::secrets::read(reference, &host.project().root).ok()),
        limits: {
            let limits = Limits::default();
            Limits { max_body: config.max_body, connections: crate::files::connections(limits.connections), ..limits }
        },
        public_url: config.settings.public_url.clone(),
        engine: EngineOptions {
            concurrency: config.concurrency,
            retain: Duration::from_millis(config.retain_ms),
            flood: config.flood,
            ..EngineOptions::default()
        },
        drain: Duration::from_millis(config.drain_ms),
        reload: Some(Arc::new(move |kind| {
            let (answer, wait) = oneshot::channel();
            let asked = reload.send(Asked::Reload(kind, answer));
            Box::pin(async move {
                let stopping = || "the daemon is stopping".to_owned();
                asked.map_err(|_| stopping())?;
                wait.await.map_err(|_| stopping())?
            })
        })),
        trial: Some(Arc::new(move |file, text| {
            let (answer, wait) = oneshot::channel();
            let asked = trial.send(Asked::Trial(file, text, answer));
            Box::pin(async move {
                let stopping = || vec!["the daemon is stopping".to_owned()];
                asked.map_err(|_| stopping())?;
                wait.await.map_err(|_| stopping())?
            })
        })),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..ServiceOptions::new(store_path(host.project(), config.store_path.as_deref()))
    }
}

/// The signals that mean something to a daemon.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn receive() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }
}

/// Waits for changes and signals until it is to stop.
async fn serve(
    mut host: Host,
    service: &Service,
    signals: Signals,
    (watcher, mut changes): (Option<&Watching>, mpsc::UnboundedReceiver<Changed>),
    mut asked: mpsc::UnboundedReceiver<Asked>,
) {
    let Signals { mut terminate, mut interrupt, mut hang_up } = signals;
    let mut watchdog = watchdog();
    let mut watched = true;
    loop {
        if let Some(watcher) = watcher {
            watcher.and(host.secret_files());
        }
        let looks_at = host.looks_at();
        let next = tokio::select! {
            _ = terminate.recv() => return,
            _ = interrupt.recv() => return,
            _ = hang_up.recv() => Next::Reload(None),
            Some(asked) = asked.recv() => Next::Answer(asked),
            changed = changes.recv(), if watched => match changed {
                Some(Changed::Paths(paths)) => Next::Reload(Some(paths)),
                Some(Changed::Everything) => Next::Reload(None),
                None => {
                    watched = false;
                    continue;
                }
            },
            () = at(looks_at) => Next::Reload(Some(host.to_look_at())),
            () = tick(&mut watchdog) => {
                notify(&[NotifyState::Watchdog]);
                continue;
            }
        };
        // A large project takes its time to compile: whoever stops the daemon does not wait for it, and neither does systemd.
        let mut work = Box::pin(next.taken_in(host, service));
        host = loop {
            tokio::select! {
                host = &mut work => break host,
                _ = terminate.recv() => return,
                _ = interrupt.recv() => return,
                () = tick(&mut watchdog) => notify(&[NotifyState::Watchdog]),
            }
        };
    }
}

/// What is to be done with the project.
enum Next {
    /// Takes in what changed, or everything.
    Reload(Option<BTreeSet<PathBuf>>),
    /// Does what somebody asked for.
    Answer(Asked),
}

impl Next {
    async fn taken_in(self, host: Host, service: &Service) -> Host {
        match self {
            Next::Reload(paths) => reload(host, service, paths).await.0,
            Next::Answer(asked) => reloading::answer(host, service, asked).await,
        }
    }
}

/// Waits until each source was polled once and what runs has ended or waits for another day.
async fn once(service: &Service, began: jiff::Timestamp) {
    let polled = async {
        loop {
            let live = service.engine().live();
            let waiting = live.connections.iter().filter(|(_, connection)| connection.polls).any(|(name, connection)| {
                let listens = live.flows.iter().any(|flow| flow.triggers.iter().any(|trigger| trigger.connection == *name));
                let polled = |source: &flow_plan::Source| {
                    let cursor = service.engine().cursor(name, &source.name);
                    cursor.and_then(|cursor| cursor.polled_at).is_some_and(|at| at >= began)
                };
                listens && connection.plan.sources.iter().any(|source| source.poll.is_some() && !polled(source))
            });
            if !waiting {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        service.engine().settled().await;
    };
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        error!("signals cannot be received");
        return;
    };
    tokio::select! {
        () = polled => {}
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

pub(super) fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "systemd was not told");
    }
}

pub(super) fn notify_reloading() {
    // Type=notify-reload wants the monotonic time with the notice.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(_) => notify(&[NotifyState::Reloading]),
    }
}

fn watchdog() -> Option<tokio::time::Interval> {
    // Twice as often as systemd asks for.
    sd_notify::watchdog_enabled().map(|period| tokio::time::interval(period / 2))
}

async fn at(instant: Option<std::time::Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant.into()).await,
        None => std::future::pending().await,
    }
}

async fn tick(watchdog: &mut Option<tokio::time::Interval>) {
    match watchdog {
        Some(interval) => {
            interval.tick().await;
        }
        None => std::future::pending().await,
    }
}
