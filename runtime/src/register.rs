//! Webhooks that the daemon registers with services: one for each source whose connector says how, with the events that live
//! flows use.
//!
//! What was made is remembered in `secrets/` of the store's folder, readable by the owner alone: its id, its events, and the
//! secret that it signs with, which stands nowhere else. Before a request the intent is written down with a key that stays the
//! same, so that a service that knows keys makes nothing twice. What the daemon did not make is left alone; so is a source
//! whose secret stands in flow.toml, since somebody has registered that one.

mod file;
mod scope;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flow_plan::{JsonPath, Register, Source, Value};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use crate::answer::{self, StatusClass};
use crate::eval::path_get;
use crate::live::{Live, LiveConnection};
use crate::request::{build_request, secret_of};
use crate::secret::Secret;
use crate::world::{HttpAnswer, World};

use file::{Folder, Intent, Made, Record};
use scope::RegisterScope;

/// Which webhook: connection and source.
pub(crate) type Key = (String, String);

/// A registration is answered within.
const TIMEOUT: Duration = Duration::from_secs(60);
const MAX_ANSWER: usize = 1024 * 1024;
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

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
    /// Why the last try failed, and since when all did.
    pub(crate) failing: Option<(Timestamp, String)>,
    /// Somebody else has registered it: its secret stands in flow.toml.
    pub(crate) by_hand: bool,
}

impl Registrations {
    fn update(&self, key: &Key, change: impl FnOnce(&mut Registration)) {
        change(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key.clone()).or_default());
    }

    /// Returns how one is doing.
    pub(crate) fn of(&self, connection: &str, source: &str) -> Option<Registration> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&(connection.to_owned(), source.to_owned())).cloned()
    }
}

/// What is done when a secret is new: the routes are made again.
pub(crate) type OnSecret = Arc<dyn Fn() + Send + Sync>;

/// Keeps the registrations as the live flows need them.
pub(crate) struct Registrar {
    live: watch::Sender<Arc<Live>>,
    registrations: Registrations,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Registrar {
    /// Reads what was made before. Secrets of it are good at once.
    pub(crate) fn known(store: &std::path::Path) -> Registered {
        let registered = Registered::default();
        for (key, record) in Folder::new(store).all() {
            registered.learn(&key, &record);
        }
        registered
    }

    /// Begins. Without a public address nothing is registered.
    pub(crate) fn start(
        store: &std::path::Path,
        public_url: Option<String>,
        world: World,
        live: Arc<Live>,
        registered: Registered,
        on_secret: OnSecret,
    ) -> Self {
        let (sender, receiver) = watch::channel(live);
        let registrations = Registrations::default();
        let task = public_url.map(|public_url| {
            let keeper = Keeper {
                folder: Folder::new(store),
                public_url,
                world,
                registered,
                on_secret,
                failing: BTreeSet::new(),
                registrations: registrations.clone(),
            };
            tokio::spawn(keeper.run(receiver))
        });
        Self { live: sender, registrations, task: Mutex::new(task) }
    }

    /// Returns how the registrations are doing.
    pub(crate) fn registrations(&self) -> Registrations {
        self.registrations.clone()
    }

    /// Tells whether webhooks are registered with services at all.
    pub(crate) fn registers(&self) -> bool {
        self.task.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Takes another plan.
    pub(crate) fn swap(&self, live: Arc<Live>) {
        self.live.send_replace(live);
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
    let secret = source.webhook.as_ref().and_then(|webhook| webhook.params.get("secret"));
    register.secret_at.is_some()
        && secret.and_then(|expr| secret_of(expr, connection)).is_some_and(|secret| !secret.expose().is_empty())
}

struct Keeper {
    folder: Folder,
    public_url: String,
    world: World,
    registered: Registered,
    on_secret: OnSecret,
    /// Failures that were announced.
    failing: BTreeSet<Key>,
    registrations: Registrations,
}

/// Why a webhook could not be registered or removed.
struct Failed(String);

impl Keeper {
    async fn run(mut self, mut plans: watch::Receiver<Arc<Live>>) {
        let mut failures = 0_u32;
        loop {
            let live = Arc::clone(&plans.borrow_and_update());
            let wait = if self.settle(&live).await {
                failures = 0;
                None
            } else {
                let longest = FIRST_WAIT.saturating_mul(1 << failures.min(20)).min(LONGEST_WAIT);
                failures = failures.saturating_add(1);
                Some(longest.mul_f64(self.world.random.fraction().clamp(0.1, 1.0)))
            };
            let changed = match wait.and_then(|wait| SignedDuration::try_from(wait).ok()) {
                None => plans.changed().await,
                Some(wait) => {
                    let until = self.world.clock.now().checked_add(wait).unwrap_or(jiff::Timestamp::MAX);
                    tokio::select! {
                        () = self.world.clock.sleep_until(until) => Ok(()),
                        changed = plans.changed() => changed,
                    }
                }
            };
            if changed.is_err() {
                return;
            }
        }
    }

    /// Makes the registrations those of a plan. `false` where one of them failed.
    async fn settle(&mut self, live: &Live) -> bool {
        let mut sound = true;
        for (key, events) in wanted(live) {
            let Some(connection) = live.connections.get(&key.0) else { continue };
            let Some(source) = connection.plan.sources.iter().find(|source| source.name == key.1) else { continue };
            let Some(register) = source.register.as_deref() else { continue };
            let by_hand = is_given(connection, source, register);
            self.registrations.update(&key, |known| known.by_hand = by_hand);
            if by_hand {
                continue;
            }
            match self.keep(&key, connection, register, events).await {
                Ok(()) => {
                    let made = self.folder.read(&key).and_then(|record| record.current);
                    let made = made.map(|made| (made.url, made.events.into_iter().collect()));
                    self.registrations.update(&key, |known| (known.made, known.failing) = (made, None));
                    if self.failing.remove(&key) {
                        info!(connection = key.0, source = key.1, "the webhook is registered now");
                    }
                }
                Err(Failed(reason)) => {
                    sound = false;
                    let now = self.world.clock.now();
                    self.registrations.update(&key, |known| {
                        let since = known.failing.as_ref().map_or(now, |(since, _)| *since);
                        known.failing = Some((since, reason.clone()));
                    });
                    if self.failing.insert(key.clone()) {
                        warn!(connection = key.0, source = key.1, reason, "a webhook could not be registered; it is tried again");
                    }
                }
            }
        }
        sound
    }

    async fn keep(
        &self,
        key: &Key,
        connection: &LiveConnection,
        register: &Register,
        events: BTreeSet<String>,
    ) -> Result<(), Failed> {
        let mut record = self.folder.read(key).unwrap_or_default();
        let url = format!("{}/v1/webhooks/{}", self.public_url.trim_end_matches('/'), crate::form::encode_segment(&key.0));
        if !record.current.as_ref().is_some_and(|made| made.url == url && made.events == events) {
            self.make(key, connection, register, &mut record, url, events).await?;
        }
        self.remove_old(key, connection, register, &mut record).await
    }

    async fn make(
        &self,
        key: &Key,
        connection: &LiveConnection,
        register: &Register,
        record: &mut Record,
        url: String,
        events: BTreeSet<String>,
    ) -> Result<(), Failed> {
        let intent = match record.intent.take().filter(|intent| intent.url == url && intent.events == events) {
            Some(intent) => {
                info!(
                    connection = key.0,
                    source = key.1,
                    "an earlier registration got no answer; it is made again under its key"
                );
                intent
            }
            None => Intent { key: self.fresh_key(key), url, events },
        };
        record.intent = Some(intent.clone());
        self.folder.write(key, record).map_err(Failed)?;
        let scope =
            RegisterScope { url: &intent.url, events: &intent.events, key: &intent.key, id: "", now: self.world.clock.now() };
        let answer = self.send(connection, &register.request, &scope).await?;
        match class(connection, &answer) {
            StatusClass::Success => {}
            StatusClass::Refused => {
                // Surely not made: the next one is another.
                record.intent = None;
                self.folder.write(key, record).map_err(Failed)?;
                return Err(Failed(answer::error_text(connection, &answer)));
            }
            StatusClass::NotDone | StatusClass::Unknown | StatusClass::Broken => {
                return Err(Failed(answer::error_text(connection, &answer)));
            }
        }
        let body = crate::json::read(&answer.body).map_or(Value::Missing, |json| Value::from_json(&json));
        let secret = register.secret_at.as_ref().and_then(|path| word(&body, path));
        if register.secret_at.is_some() && secret.is_none() {
            return Err(Failed("the answer holds no secret".to_owned()));
        }
        let id = word(&body, &register.id_at);
        if id.is_none() && register.remove.is_some() {
            warn!(connection = key.0, source = key.1, "the answer holds no id, so the webhook cannot be removed by the daemon");
        }
        let events = intent.events.iter().cloned().collect::<Vec<_>>().join(", ");
        info!(connection = key.0, source = key.1, id, url = intent.url, events, "a webhook was registered");
        record.old.extend(record.current.take());
        record.current = Some(Made { id, url: intent.url, events: intent.events, secret: secret.map(Into::into) });
        record.intent = None;
        // The service may deliver at once. Until it is written down, the intent would find the same webhook again.
        if self.registered.learn(key, record) {
            (self.on_secret)();
        }
        self.folder.write(key, record).map_err(Failed)
    }

    /// Removes what was replaced: it was made here, and its deliveries would come twice.
    async fn remove_old(
        &self,
        key: &Key,
        connection: &LiveConnection,
        register: &Register,
        record: &mut Record,
    ) -> Result<(), Failed> {
        while let Some(old) = record.old.first() {
            match (&register.remove, &old.id) {
                (Some(request), Some(id)) => {
                    let scope = RegisterScope { url: &old.url, events: &old.events, key: "", id, now: self.world.clock.now() };
                    let answer = self.send(connection, request, &scope).await?;
                    // What is gone already was removed by somebody else.
                    if !matches!(answer.status, 200..=299 | 404 | 410) {
                        return Err(Failed(answer::error_text(connection, &answer)));
                    }
                    info!(connection = key.0, source = key.1, id, "the webhook that was replaced is removed");
                }
                (None, id) | (Some(_), id @ None) => {
                    let id = id.as_deref().unwrap_or("unknown");
                    warn!(
                        connection = key.0,
                        source = key.1,
                        id,
                        "the webhook that was replaced stays at the service: remove it there"
                    );
                }
            }
            record.old.remove(0);
            self.folder.write(key, record).map_err(Failed)?;
        }
        Ok(())
    }

    async fn send(
        &self,
        connection: &LiveConnection,
        request: &flow_plan::Request,
        scope: &RegisterScope<'_>,
    ) -> Result<HttpAnswer, Failed> {
        let request = build_request(request, connection, scope, &[]).map_err(|error| Failed(error.to_string()))?;
        self.world.transport.send(request, TIMEOUT, MAX_ANSWER).await.map_err(|error| Failed(error.to_string()))
    }

    fn fresh_key(&self, key: &Key) -> String {
        let random = self.world.random.fraction().to_bits() ^ self.world.random.fraction().to_bits().rotate_left(17);
        let text = format!("{}/{}/{}/{random}", key.0, key.1, self.world.clock.now());
        hex::encode(&Sha256::digest(text.as_bytes())[..16])
    }
}

fn class(connection: &LiveConnection, answer: &HttpAnswer) -> StatusClass {
    answer::classify(connection, &connection.plan.api.retry_on, answer)
}

fn word(body: &Value, path: &JsonPath) -> Option<String> {
    match path_get(body, path) {
        Value::Text(text) if !text.is_empty() => Some(text.to_string()),
        Value::Number(number) => Some(number.normalize().to_string()),
        _ => None,
    }
}

/// Returns the events that live flows use of each source whose webhook can be registered.
pub(crate) fn wanted(live: &Live) -> BTreeMap<Key, BTreeSet<String>> {
    let mut wanted: BTreeMap<Key, BTreeSet<String>> = BTreeMap::new();
    for trigger in live.flows.iter().flat_map(|flow| &flow.triggers) {
        let Some(connection) = live.connections.get(&trigger.connection) else { continue };
        let source = connection.plan.sources.iter().find(|source| source.name == trigger.source);
        if source.is_some_and(|source| source.register.is_some()) {
            let key = (trigger.connection.clone(), trigger.source.clone());
            wanted.entry(key).or_default().extend(trigger.types.iter().cloned());
        }
    }
    wanted
}

impl std::fmt::Debug for Registrar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Registrar")
    }
}

/// A file that cannot be read is as if there were none, and is said so.
fn unreadable(path: &std::path::Path, reason: &str) {
    error!(path = %path.display(), reason, "a registered webhook cannot be read");
}
