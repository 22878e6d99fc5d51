//! Webhooks that the daemon registers with services: one for each source whose connector says how, with the events that live
//! flows use.
//!
//! What was made is remembered in `secrets/` of the store's folder, readable by the owner alone: its id, its events, and the
//! secret that it signs with, which stands nowhere else. Where the connector says how what is registered is read, that is looked
//! at before anything is made, at each start, at each reload and every hour: what has our mark and is not known here came of a
//! request whose answer was lost, and goes; what was changed by somebody is set right. Where it does not, the intent is written
//! down before a request with a key that stays the same, so that a service that knows keys makes nothing twice.
//!
//! What the daemon did not make is left alone; so is a source whose secret stands in flow.toml, since somebody has registered
//! that one.

mod file;
mod hook;
mod keeper;
mod scope;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use flow_plan::{Register, Source};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tracing::error;

use crate::live::{Live, LiveConnection};
use crate::request::secret_of;
use crate::secret::Secret;
use crate::world::World;

use file::{Folder, Record};
use keeper::Keeper;

/// Which webhook: connection and source.
pub(crate) type Key = (String, String);

/// The secrets of the webhooks that were registered, the newest first. Those of replaced ones stay good until the daemon ends,
/// since some of their deliveries are still on their way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Registered(Arc<Mutex<BTreeMap<Key, Vec<Secret>>>>);

impl Registered {
    /// Returns the secrets of a webhook.
    pub(crate) fn secrets(&self, connection: &str, source: &str) -> Vec<Secret> {
        let map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        map.get(&(connection.to_owned(), source.to_owned())).cloned().unwrap_or_default()
    }

    /// Takes in the secrets of a record. Returns whether one of them is new.
    fn learn(&self, key: &Key, record: &Record) -> bool {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = map.entry(key.clone()).or_default();
        let made = record.current.iter().chain(&record.old).rev().filter_map(|made| made.secret.as_ref());
        let mut new = false;
        for secret in made {
            if !known.iter().any(|known| known.expose() == secret.as_str()) {
                known.insert(0, Secret::new(secret.as_str().to_owned()));
                new = true;
            }
        }
        new
    }
}

/// How the registrations are doing, by connection and source. Without a public address there are none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Registrations(Arc<Mutex<BTreeMap<Key, Registration>>>);

/// How one is doing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Registration {
    /// The address and the event types that the service knows.
    pub(crate) made: Option<(String, Vec<String>)>,
    /// What the service calls it.
    pub(crate) id: Option<String>,
    /// When it was last seen to be as it should.
    pub(crate) looked_at: Option<Timestamp>,
    /// Why the last try failed.
    pub(crate) failing: Option<Failing>,
    /// Somebody else has registered it: its secret stands in flow.toml.
    pub(crate) by_hand: bool,
    /// `flowd disconnect` was said.
    pub(crate) off: bool,
}

/// Why one is not as it should be.
#[derive(Debug, Clone)]
pub(crate) struct Failing {
    /// Since when all tries failed.
    pub(crate) since: Timestamp,
    /// Why the last one did.
    pub(crate) reason: String,
    /// It will be so until somebody changes something.
    pub(crate) for_good: bool,
}

/// What may pass by itself is no alarm before it has lasted for so long.
const ALARM_AFTER: SignedDuration = SignedDuration::from_mins(10);

impl Failing {
    /// Tells whether somebody should look at it.
    pub(crate) fn is_alarm(&self, now: Timestamp) -> bool {
        self.for_good || now.duration_since(self.since) >= ALARM_AFTER
    }
}

impl Registrations {
    /// Returns those that somebody should look at.
    pub(crate) fn alarms(&self, now: Timestamp) -> Vec<(Key, Failing)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failing = all.iter().filter_map(|(key, one)| Some((key.clone(), one.failing.clone()?)));
        failing.filter(|(_, failing)| failing.is_alarm(now)).collect()
    }

    /// What is neither wanted nor known to be registered fails no more.
    fn settle(&self, concerned: impl Fn(&Key) -> bool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter_mut().filter(|(key, _)| !concerned(key)).for_each(|(_, one)| one.failing = None);
    }

    fn update(&self, key: &Key, change: impl FnOnce(&mut Registration)) {
        change(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key.clone()).or_default());
    }

    /// Takes over what is written down.
    fn know(&self, key: &Key, record: &Record) {
        self.update(key, |known| {
            known.made = record.current.as_ref().map(|made| (made.url.clone(), made.events.iter().cloned().collect()));
            known.id = record.current.as_ref().and_then(|made| made.id.clone());
            known.off = record.off;
        });
    }

    /// Returns how one is doing.
    pub(crate) fn of(&self, connection: &str, source: &str) -> Option<Registration> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&(connection.to_owned(), source.to_owned())).cloned()
    }
}

/// What is done when a secret is new: the routes are made again.
pub(crate) type OnSecret = Arc<dyn Fn() + Send + Sync>;

/// What somebody asks of the keeper.
enum Asked {
    /// The webhooks of a connection go, and do not come back by themselves.
    Disconnect(String, oneshot::Sender<Result<Vec<String>, String>>),
    /// They may come back.
    Connect(String, oneshot::Sender<Result<Vec<String>, String>>),
}

/// A keeper that has not begun, with what it will hear.
type Waiting = (Keeper, watch::Receiver<Arc<Live>>, mpsc::UnboundedReceiver<Asked>);

/// Keeps the registrations as the live flows need them.
pub(crate) struct Registrar {
    live: watch::Sender<Arc<Live>>,
    asks: mpsc::UnboundedSender<Asked>,
    registrations: Registrations,
    registers: bool,
    waiting: Mutex<Option<Waiting>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Registrar {
    /// Reads what was made before. Secrets of it are good at once.
    pub(crate) fn known(store: &Path) -> Registered {
        let registered = Registered::default();
        for (key, record) in Folder::new(store).all() {
            registered.learn(&key, &record);
        }
        registered
    }

    /// Makes one that has not begun. Without a public address nothing is registered, and what was goes.
    pub(crate) fn new(
        store: &Path,
        public_url: Option<String>,
        world: World,
        live: Arc<Live>,
        registered: Registered,
        on_secret: OnSecret,
    ) -> Self {
        let (sender, receiver) = watch::channel(live);
        let (asks, asked) = mpsc::unbounded_channel();
        let registrations = Registrations::default();
        let registers = public_url.is_some();
        let keeper = Keeper::new(Folder::new(store), public_url, world, registered, on_secret, registrations.clone());
        let waiting = Mutex::new(Some((keeper, receiver, asked)));
        Self { live: sender, asks, registrations, registers, waiting, task: Mutex::new(None) }
    }

    /// Begins. By now whatever a service delivers at once has somebody to take it.
    pub(crate) fn begin(&self) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((keeper, plans, asked)) = waiting {
            *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(tokio::spawn(keeper.run(plans, asked)));
        }
    }

    /// Returns how the registrations are doing.
    pub(crate) fn registrations(&self) -> Registrations {
        self.registrations.clone()
    }

    /// Tells whether webhooks are registered with services at all.
    pub(crate) fn registers(&self) -> bool {
        self.registers
    }

    /// Takes another plan.
    pub(crate) fn swap(&self, live: Arc<Live>) {
        self.live.send_replace(live);
    }

    /// Removes the webhooks of a connection, which are registered again only after [`Registrar::connect`]. Returns their ids; an
    /// error says which could not be removed, which is tried again.
    pub(crate) async fn disconnect(&self, connection: &str) -> Result<Vec<String>, String> {
        self.ask(|reply| Asked::Disconnect(connection.to_owned(), reply)).await
    }

    /// Lets the webhooks of a connection be registered again.
    pub(crate) async fn connect(&self, connection: &str) -> Result<Vec<String>, String> {
        self.ask(|reply| Asked::Connect(connection.to_owned(), reply)).await
    }

    async fn ask(
        &self,
        asked: impl FnOnce(oneshot::Sender<Result<Vec<String>, String>>) -> Asked,
    ) -> Result<Vec<String>, String> {
        let (reply, answer) = oneshot::channel();
        let ends = || "the daemon is stopping".to_owned();
        self.asks.send(asked(reply)).map_err(|_| ends())?;
        answer.await.map_err(|_| ends())?
    }

    /// Ends. A request under way may have been sent: its intent is written down.
    pub(crate) async fn stop(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.abort();
            // An error says that it was ended, which is what was asked for.
            drop(task.await);
        }
    }
}

/// Returns whether somebody else has registered the webhook: its secret stands in flow.toml.
fn is_given(connection: &LiveConnection, source: &Source, register: &Register) -> bool {
    register.secret_at.is_some() && given_secret(connection, source).is_some()
}

/// The secret of a webhook that flow.toml names.
fn given_secret<'a>(connection: &'a LiveConnection, source: &Source) -> Option<&'a Secret> {
    let secret = source.webhook.as_ref().and_then(|webhook| webhook.params.get("secret"));
    secret.and_then(|expr| secret_of(expr, connection)).filter(|secret| !secret.expose().is_empty())
}

/// Returns the events that live flows use of each source whose webhook can be registered.
pub(crate) fn wanted(live: &Live) -> BTreeMap<Key, BTreeSet<String>> {
    let mut wanted: BTreeMap<Key, BTreeSet<String>> = BTreeMap::new();
    for trigger in live.listens_to() {
        let Some(connection) = live.connections.get(&trigger.connection) else { continue };
        let source = connection.plan.sources.iter().find(|source| source.name == trigger.source);
        if source.is_some_and(|source| source.register.is_some()) {
            let key = (trigger.connection.clone(), trigger.source.clone());
            wanted.entry(key).or_default().extend(trigger.types.iter().cloned());
        }
    }
    wanted
}

/// Removes the webhooks of a connection where no daemon runs, which registers them again only after [`connect`]. Returns the ids
/// of what was removed.
///
/// # Errors
/// Where the service does not remove one: it says which.
pub async fn disconnect(
    store: &Path,
    connection: &LiveConnection,
    public_url: Option<&str>,
    world: &World,
) -> Result<Vec<String>, String> {
    hook::disconnect(&Folder::new(store), connection, public_url, world).await
}

/// Lets the webhooks of a connection be registered again, where no daemon runs.
///
/// # Errors
/// Where what is known of them cannot be written.
pub fn connect(store: &Path, connection: &str) -> Result<(), String> {
    hook::connect(&Folder::new(store), connection).map(drop)
}

/// Returns the ids of the webhooks of a connection that are registered, as far as the store knows; of one without an id its address.
pub fn registered(store: &Path, connection: &str) -> Vec<String> {
    let of_it = Folder::new(store).all().into_iter().filter(|((name, _), _)| name == connection);
    let made = of_it.flat_map(|(_, record)| record.current.into_iter().chain(record.old));
    made.map(|made| made.id.unwrap_or(made.url)).collect()
}

/// Forgets what is known of the webhooks of a connection, where nobody can ask the service any more. Returns the ids of what
/// stays there.
///
/// # Errors
/// Where what is known of them cannot be removed.
pub fn forget(store: &Path, connection: &str) -> Result<Vec<String>, String> {
    let stays = registered(store, connection);
    let folder = Folder::new(store);
    for (key, _) in folder.all() {
        if key.0 == connection {
            folder.remove(&key)?;
        }
    }
    Ok(stays)
}

impl std::fmt::Debug for Registrar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Registrar")
    }
}

/// A file that cannot be read is as if there were none, and is said so.
fn unreadable(path: &Path, reason: &str) {
    error!(path = %path.display(), reason, "a registered webhook cannot be read");
}
