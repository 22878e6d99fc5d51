//! The daemon as one value: store, engine, webhook server, polls and admin API.

use std::fs;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::info;

use crate::admin::{self, Admin, State, bind_socket};
use crate::backtest::Edited;
use crate::engine::{Engine, EngineOptions};
use crate::live::Live;
use crate::poll::Polls;
use crate::register::{OnSecret, Registered, Registrar};
use crate::secret::Secret;
use crate::server::counters::Counters;
use crate::server::listen::{self, Listener};
use crate::server::{Limits, Readiness, Routes, Server};
use crate::store::{RedbStore, Store, StoreError};
use crate::swap;
use crate::world::{BoxFuture, World};

/// Compiles the project anew and swaps it in, or only says what that would change; an error is for whoever asked, and so is
/// the document of what went live.
pub type Reload = Arc<dyn Fn(ReloadKind) -> BoxFuture<'static, Result<serde_json::Value, String>> + Send + Sync>;

/// What somebody asks for who asks for a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReloadKind {
    /// What is on disk goes live.
    Real,
    /// Nothing changes.
    Dry,
}

/// Compiles an edited file within its project, and changes nothing; an error is the reports on what is wrong with it.
pub type Trial = Arc<dyn Fn(String, String) -> BoxFuture<'static, Result<Edited, Vec<String>>> + Send + Sync>;

/// How the daemon runs.
#[derive(Clone)]
pub struct ServiceOptions {
    /// Where webhooks are received: `127.0.0.1:7400`; port 0 takes a free one.
    pub server_listen: String,
    /// Where the admin API is: `127.0.0.1:7401`.
    pub admin_listen: String,
    /// The token of the admin API; needed unless it listens on loopback.
    pub admin_token: Option<Secret>,
    /// Bounds on what comes in.
    pub limits: Limits,
    /// The address under which senders reach the server.
    pub public_url: Option<String>,
    /// The folder of the store.
    pub store_path: PathBuf,
    /// How the engine works: concurrency, retention, queue.
    pub engine: EngineOptions,
    /// How long steps and connections in flight may take, together, when the daemon stops.
    pub drain: Duration,
    /// What `reload` does.
    pub reload: Option<Reload>,
    /// What compiles a file for a backtest.
    pub trial: Option<Trial>,
    /// The version, as the API shows it.
    pub version: String,
}

impl ServiceOptions {
    /// Returns the defaults of `flow.toml` over this store.
    pub fn new(store_path: PathBuf) -> Self {
        Self {
            server_listen: "127.0.0.1:7400".to_owned(),
            admin_listen: "127.0.0.1:7401".to_owned(),
            admin_token: None,
            limits: Limits::default(),
            public_url: None,
            store_path,
            engine: EngineOptions::default(),
            drain: Duration::from_secs(20),
            reload: None,
            trial: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

impl std::fmt::Debug for ServiceOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceOptions").field("store_path", &self.store_path).finish_non_exhaustive()
    }
}

/// Why the daemon does not start. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another program listens there.
    #[error("{what}: the address {address} is in use by another program")]
    InUse {
        /// `server.listen` or `admin.listen`.
        what: &'static str,
        /// The address.
        address: String,
    },
    /// The address cannot be listened on.
    #[error("{what}: cannot listen on {address}: {error}")]
    Listen {
        /// `server.listen` or `admin.listen`.
        what: &'static str,
        /// The address.
        address: String,
        /// What the system says.
        error: io::Error,
    },
    /// The admin API would be open to the network.
    #[error("admin.listen: {address} is not loopback, so `admin.token` is needed")]
    TokenRequired {
        /// The address.
        address: String,
    },
    /// The socket of the admin API lies in the store's folder, and the system bounds its path.
    #[error(
        "the store's path is too long for a unix socket ({bytes} bytes, at most {}): set [store] path to a shorter one",
        admin::LONGEST_PATH
    )]
    SocketPath {
        /// The length of the socket's path.
        bytes: usize,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file in the store's folder cannot be made.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// The addresses that a running daemon listens on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// `http://127.0.0.1:7400`.
    pub server: String,
    /// `http://127.0.0.1:7401`.
    pub admin: String,
    /// The unix socket of the admin API.
    pub socket: PathBuf,
}

/// When it is first looked whether runs wait under older plans, and how often from then on.
const FIRST_LOOK: Duration = Duration::from_secs(60);
const NEXT_LOOK: Duration = Duration::from_secs(600);

/// The name of the file that says where a daemon listens.
const ADDRESSES_FILE: &str = "addresses.json";

/// A running daemon.
pub struct Service {
    engine: Engine,
    server: Arc<Server>,
    polls: Arc<Polls>,
    registered: Registered,
    registrar: Arc<Registrar>,
    addresses: Addresses,
    /// Which file the socket is.
    socket: Option<(u64, u64)>,
    folder: PathBuf,
    drain: Duration,
    stop_server: watch::Sender<bool>,
    stop_admin: watch::Sender<bool>,
    tasks: Mutex<Option<Tasks>>,
    /// Looks which plans are held by runs.
    holding: Mutex<Option<JoinHandle<()>>>,
    clock: Arc<dyn crate::world::Clock>,
}

struct Tasks {
    server: JoinHandle<()>,
    admin: Vec<JoinHandle<()>>,
    /// Writes down what came.
    delivered: JoinHandle<()>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl Service {
    /// Starts the daemon. When it returns, webhooks are taken and the addresses are written down.
    ///
    /// # Errors
    /// Where an address is taken or the store cannot be opened.
    pub async fn start(options: ServiceOptions, live: Live, world: World) -> Result<Self, StartError> {
        Self::start_over(options, live, world, |folder| Ok(Arc::new(RedbStore::open(folder)?))).await
    }

    /// Starts the daemon over another store. The folder, which must exist, still holds the socket and the addresses.
    ///
    /// # Errors
    /// Where an address is taken.
    pub async fn start_with_store(
        options: ServiceOptions,
        live: Live,
        world: World,
        store: Arc<dyn Store>,
    ) -> Result<Self, StartError> {
        Self::start_over(options, live, world, |_| Ok(store)).await
    }

    async fn start_over(
        options: ServiceOptions,
        live: Live,
        world: World,
        open: impl FnOnce(&Path) -> Result<Arc<dyn Store>, StoreError>,
    ) -> Result<Self, StartError> {
        // Where its address is in use it may be by the daemon that has the store, which is then what is to be said.
        let who = |error: StartError| match (&error, RedbStore::held(&options.store_path)) {
            (StartError::InUse { .. }, Some(held)) => held.into(),
            _ => error,
        };
        let server_listener = bind("server.listen", &options.server_listen).await.map_err(who)?;
        let admin_listener = bind("admin.listen", &options.admin_listen).await.map_err(who)?;
        let server_at = local(&server_listener, "server.listen", &options.server_listen)?;
        let admin_at = local(&admin_listener, "admin.listen", &options.admin_listen)?;
        if !admin_at.ip().is_loopback() && options.admin_token.is_none() {
            return Err(StartError::TokenRequired { address: admin_at.to_string() });
        }
        let bytes = admin::path_length(&options.store_path);
        if bytes > admin::LONGEST_PATH {
            return Err(StartError::SocketPath { bytes });
        }
        // Addresses first: a daemon that cannot listen makes no store.
        let store = open(&options.store_path)?;
        let folder = options.store_path.clone();
        let file_error = |path: PathBuf| move |error| StartError::File { path, error };
        let (socket, socket_path) = bind_socket(&folder).map_err(file_error(folder.join(crate::admin::SOCKET_NAME)))?;
        let addresses = Addresses { server: reachable(server_at), admin: reachable(admin_at), socket: socket_path };

        let started_at = world.clock.now();
        let engine = Engine::start(Arc::clone(&store), live, world.clone(), options.engine)?;
        engine.note_versions(None).await;
        let counters = Arc::new(Counters::default());
        let readiness = Readiness::new(store);
        let limits = options.limits;
        // A topic that is not subscribed to in time loses what the broker has kept.
        engine.hold_what_waits().await;
        let registered = Registrar::known(&options.store_path);
        let clock = Arc::clone(&world.clock);
        let holding_clock = Arc::clone(&clock);
        let server = Server::new(engine.clone(), clock, limits.clone(), Arc::clone(&counters), readiness, &registered);
        let server = Arc::new(server);
        let on_secret: OnSecret = {
            let (engine, server, registered) = (engine.clone(), Arc::clone(&server), registered.clone());
            Arc::new(move || server.swap(Routes::new(&engine.live(), &registered)))
        };
        let registrar = Registrar::new(
            &options.store_path,
            options.public_url.clone(),
            world.clone(),
            engine.live(),
            registered.clone(),
            on_secret,
        );
        let registrar = Arc::new(registrar);
        let polls = Arc::new(Polls::new(engine.clone(), world.clone()));
        let state = Arc::new(State {
            engine: engine.clone(),
            world,
            registrations: registrar.registrations(),
            registrar: Arc::clone(&registrar),
            polls: Arc::clone(&polls),
            counters,
            reload: options.reload,
            trial: options.trial,
            backtests: Semaphore::new(1),
            backtest_progress: Arc::default(),
            addresses: addresses.clone(),
            public_url: options.public_url,
            version: options.version,
            started_at,
        });
        let (stop_server, server_stops) = watch::channel(false);
        let (stop_admin, admin_stops) = watch::channel(false);
        let drain = options.drain;
        // Connections of its own: however many senders there are, the API answers.
        let admin_limits = Limits { connections: limits.connections.div_ceil(8), ..limits.clone() };
        let serve_admin = |listener, admin| {
            tokio::spawn(listen::serve(listener, Arc::new(admin), admin_limits.clone(), admin_stops.clone(), ADMIN_DRAIN))
        };
        let (keeping, keeping_stops) = (engine.clone(), server_stops.clone());
        let tasks = Tasks {
            delivered: tokio::spawn(async move { keeping.keep_delivered(keeping_stops).await }),
            admin: vec![
                serve_admin(Listener::Unix(socket), Admin::on_socket(Arc::clone(&state))),
                serve_admin(Listener::Tcp(admin_listener), Admin::on_tcp(state, options.admin_token)),
            ],
            server: tokio::spawn(listen::serve(
                Listener::Tcp(server_listener),
                Arc::clone(&server),
                limits.clone(),
                server_stops,
                drain.min(SERVER_DRAIN),
            )),
        };
        let service = Self {
            engine,
            server,
            polls,
            registered,
            registrar,
            socket: identity(&addresses.socket),
            addresses,
            folder: folder.clone(),
            drain,
            stop_server,
            stop_admin,
            tasks: Mutex::new(Some(tasks)),
            holding: Mutex::default(),
            clock: holding_clock,
        };
        if let Err(error) = write_addresses(&folder, &service.addresses) {
            service.stop().await;
            return Err(file_error(folder.join(ADDRESSES_FILE))(error));
        }
        service.polls.swap(&service.engine.live());
        // The receiver is up.
        service.registrar.begin();
        service.keep_holding(!service.engine.live().held.is_empty());
        info!(server = service.addresses.server, admin = service.addresses.admin, "flowd is ready");
        Ok(service)
    }

    /// Returns where it listens.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Returns the engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Returns what putting this live would begin and end beside the flows themselves: polls, registrations, states, pauses.
    pub async fn consequences(&self, next: &Live) -> serde_json::Value {
        let next = self.engine.holding(next).await;
        swap::consequences(&self.engine, &self.engine.live(), &next, self.registrar.registers())
    }

    /// Puts another version live. Between two events: each is taken in under the one or the other.
    pub fn swap(&self, mut live: Live) {
        let routes = Routes::new(&live, &self.registered);
        let before = self.engine.live();
        // Until it is known what runs wait for, all of it is listened to.
        live.hold(&before);
        let holds = !live.held.is_empty();
        self.engine.swap(live);
        self.server.swap(routes);
        self.polls.swap(&self.engine.live());
        self.registrar.swap(self.engine.live());
        // What is live does not wait for what is written about it.
        let engine = self.engine.clone();
        tokio::spawn(async move { engine.note_versions(Some(before)).await });
        self.keep_holding(holds);
    }

    /// Looks now and then what runs under older plans still wait for, until there are none.
    fn keep_holding(&self, holds: bool) {
        let mut holding = self.holding.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = holding.take() {
            task.abort();
        }
        if !holds {
            return;
        }
        let (engine, polls, registrar) = (self.engine.clone(), Arc::clone(&self.polls), Arc::clone(&self.registrar));
        let clock = Arc::clone(&self.clock);
        *holding = Some(tokio::spawn(async move {
            // What was on its way under an older plan has begun by the first look.
            let mut pause = FIRST_LOOK;
            while !engine.live().held.is_empty() {
                clock.sleep_until(crate::poll::later(clock.now(), pause)).await;
                if engine.hold_what_waits().await == Some(true) {
                    polls.swap(&engine.live());
                    registrar.swap(engine.live());
                }
                pause = NEXT_LOOK;
            }
        }));
    }

    /// Stops: no new events, then steps in flight end or stay as an intent, then the admin API goes. The store is free
    /// for another daemon when this value and all handles of its engine are dropped.
    pub async fn stop(&self) {
        let tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(tasks) = tasks else { return };
        info!("flowd stops");
        let begun = Instant::now();
        self.stop_server.send_replace(true);
        let holding = self.holding.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = holding {
            task.abort();
            // An error says that it was ended, which is what was asked for.
            drop(task.await);
        }
        self.registrar.stop().await;
        self.polls.stop().await;
        // Webhooks that are on their way in are answered before the engine closes.
        ended(tasks.server).await;
        ended(tasks.delivered).await;
        self.engine.write_delivered().await;
        self.engine.stop(self.drain.saturating_sub(begun.elapsed())).await;
        self.stop_admin.send_replace(true);
        for task in tasks.admin {
            ended(task).await;
        }
        let (socket, file) = (&self.addresses.socket, self.folder.join(ADDRESSES_FILE));
        // Where the store's folder was removed meanwhile, both may be another daemon's.
        let ours = [
            identity(socket) == self.socket,
            fs::read_to_string(&file).is_ok_and(|text| text == addresses_text(&self.addresses)),
        ];
        for (path, _) in [socket, &file].into_iter().zip(ours).filter(|(_, ours)| *ours) {
            if let Err(error) = fs::remove_file(path) {
                tracing::debug!(%error, path = %path.display(), "a file could not be removed");
            }
        }
    }
}

/// A webhook whose body comes slowly is not yet taken in: its sender tries again.
const SERVER_DRAIN: Duration = Duration::from_secs(5);
/// Questions are short.
const ADMIN_DRAIN: Duration = Duration::from_secs(2);

async fn ended(task: JoinHandle<()>) {
    if let Err(error) = task.await {
        tracing::error!(%error, "a server ended badly");
    }
}

async fn bind(what: &'static str, address: &str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => StartError::InUse { what, address: address.to_owned() },
        _ => StartError::Listen { what, address: address.to_owned(), error },
    })
}

fn local(listener: &TcpListener, what: &'static str, address: &str) -> Result<SocketAddr, StartError> {
    listener.local_addr().map_err(|error| StartError::Listen { what, address: address.to_owned(), error })
}

/// Returns the address for programs on this machine: "any" is reached through loopback.
fn reachable(mut at: SocketAddr) -> String {
    match at.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => at.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => at.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    format!("http://{at}")
}

fn addresses_text(addresses: &Addresses) -> String {
    serde_json::json!({ "server": addresses.server, "admin": addresses.admin }).to_string()
}

/// Returns what tells a file from all others.
fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// Whoever reads the file sees all of it or none.
fn write_addresses(folder: &Path, addresses: &Addresses) -> io::Result<()> {
    let (new, place) = (folder.join(".addresses.json"), folder.join(ADDRESSES_FILE));
    let text = addresses_text(addresses);
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    fs::rename(new, place)
}
