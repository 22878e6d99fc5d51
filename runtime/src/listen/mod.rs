//! What is listened to by a way other than HTTP: topics, feeds, files. What exactly is the union of what live flows name: one
//! subscription, poll or watch for each value, however many flows name it, and none where no flow does.
//!
//! As with polls, an event and how far was read are committed together, so that after a crash it comes once, and a first look
//! at what was there before fires nothing.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use flow_plan::{Env, Expr, Flow, HEARD, Listen, Value};
use jiff::Timestamp;
use serde_json::{Map, Value as Json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::engine::Engine;
use crate::eval::{Scope, eval};
use crate::event::{AcceptError, Cursor, Incoming, LeftOut, Origin, Via};
use crate::live::{Live, LiveConnection};
use crate::poll::Board;
use crate::world::World;

mod feed;
mod files;
mod mqtt;

use crate::key::short as digest;

pub(crate) use files::glob_matches;

/// Which: the connection, and the source, behind which stands the value where each has a task of its own.
pub(crate) type Key = (String, String);

/// The options that flows give beside the one that is listened by.
pub(crate) type Options = BTreeMap<String, Value>;

/// What a task listens to.
#[derive(Debug)]
pub(crate) struct Spec {
    pub(crate) connection: Arc<LiveConnection>,
    /// The values that live flows name, by source and value.
    pub(crate) wanted: Vec<Wanted>,
}

/// A value that live flows name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) source: String,
    pub(crate) value: String,
    /// What is listened to for it.
    pub(crate) filter: String,
    /// The text into which the value was put, where there is one.
    pattern: Option<String>,
    /// What is taken away when nobody listens to it any more.
    pub(crate) clears: Option<String>,
    pub(crate) every_ms: Option<u64>,
    /// The other options that flows give.
    pub(crate) options: Vec<Options>,
}

impl Wanted {
    fn new(connection: &LiveConnection, source: &str, listen: &Listen, value: String) -> Self {
        let text = |expr: &Option<Expr>| {
            let text = eval(expr.as_ref()?, &Settings(connection)).ok()?;
            text.as_text().map(str::to_owned)
        };
        let pattern = text(&listen.pattern);
        let put = |pattern: &str, value: &str| pattern.replacen('*', value, 1);
        // A name with dots is a path, and any name a level of it.
        let path = value.replace('.', "/").replace('*', "+");
        let filter = pattern.as_ref().map_or_else(|| value.clone(), |pattern| put(pattern, &path));
        let clears = text(&listen.clears).map(|pattern| put(&pattern, &path));
        let (source, every_ms) = (source.to_owned(), listen.every_ms);
        Self { source, value, filter, pattern, clears, every_ms, options: Vec::new() }
    }

    /// Returns the value that a topic stands for: the other way round.
    fn value_of(&self, topic: &str) -> String {
        let within = self.pattern.as_ref().and_then(|pattern| {
            let (before, behind) = pattern.split_once('*')?;
            Some(topic.strip_prefix(before)?.strip_suffix(behind)?.replace('/', "."))
        });
        within.unwrap_or_else(|| topic.to_owned())
    }
}

/// The settings of a connection.
struct Settings<'a>(&'a LiveConnection);

impl Scope for Settings<'_> {
    fn env(&self, env: &Env) -> Value {
        match env {
            Env::Setting(name) => crate::request::setting(self.0, name),
            _ => Value::Missing,
        }
    }
}

impl Spec {
    fn scheme(&self) -> &str {
        self.connection.plan.api.via.as_ref().map_or("", |via| &via.scheme)
    }

    /// Returns the value, where each has a task of its own.
    fn only(&self) -> (&str, &[Options]) {
        self.wanted.first().map_or(("", &[]), |wanted| (&wanted.value, &wanted.options))
    }

    /// Returns how often it is looked at, as its source says.
    fn every(&self) -> Option<Duration> {
        self.wanted.first().and_then(|wanted| wanted.every_ms).map(Duration::from_millis)
    }

    fn source(&self) -> &str {
        self.wanted.first().map_or("", |wanted| &wanted.source)
    }
}

/// Tells whether flows that use any of these options ask for something.
fn asks(options: &[Options], name: &str) -> bool {
    options.iter().any(|options| options.get(name) == Some(&Value::Bool(true)))
}

/// All that a daemon listens to.
#[derive(Debug)]
pub(crate) struct Listeners {
    engine: Engine,
    world: World,
    board: Board,
    running: Mutex<BTreeMap<Key, Running>>,
    /// What is listened to no more, while that is being said.
    leaving: Mutex<BTreeMap<Key, JoinHandle<()>>>,
}

/// Who cannot be told is told again after this, and with growing pauses so often.
const FIRST_GOODBYE: Duration = Duration::from_secs(2);
const LONGEST_GOODBYE: Duration = Duration::from_secs(120);
const MOST_GOODBYES: u32 = 100;

#[derive(Debug)]
struct Running {
    spec: watch::Sender<Arc<Spec>>,
    task: JoinHandle<()>,
}

impl Listeners {
    /// Returns what listens to nothing yet.
    pub(crate) fn new(engine: Engine, world: World, board: Board) -> Self {
        Self { engine, world, board, running: Mutex::default(), leaving: Mutex::default() }
    }

    /// Starts, changes and ends tasks, so that they are those of the plan.
    pub(crate) fn swap(&self, live: &Live) {
        let mut wanted = specs(live);
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let mut leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        leaving.retain(|key, task| {
            if wanted.contains_key(key) {
                task.abort();
            }
            !wanted.contains_key(key) && !task.is_finished()
        });
        running.retain(|key, task| {
            let Some(spec) = wanted.remove(key) else {
                task.task.abort();
                self.board.remove(key);
                let connection = Arc::clone(&task.spec.borrow().connection);
                leaving.insert(key.clone(), tokio::spawn(self.ear(key).forget(connection)));
                return false;
            };
            // A task is only woken by what concerns it.
            task.spec.send_if_modified(|known| {
                let changed = !same(known, &spec);
                *known = Arc::new(spec);
                changed
            });
            true
        });
        // What ended while nobody was there.
        for (name, connection) in &live.connections {
            let key = (name.clone(), MQTT.to_owned());
            let is_known = wanted.contains_key(&key) || running.contains_key(&key) || leaving.contains_key(&key);
            if !is_known && self.ear(&key).remembered::<serde_json::Value>().is_some() {
                let task = tokio::spawn(self.ear(&key).forget(Arc::clone(connection)));
                leaving.insert(key, task);
            }
        }
        let feeds = wanted.values().filter(|spec| spec.scheme() == FEED).count();
        let mut place = 0;
        for (key, spec) in wanted {
            let ear = self.ear(&key);
            let scheme = spec.scheme().to_owned();
            let (sender, receiver) = watch::channel(Arc::new(spec));
            let task = match scheme.as_str() {
                MQTT => tokio::spawn(mqtt::run(ear, receiver)),
                FEED => {
                    place += 1;
                    tokio::spawn(feed::run(ear, receiver, place - 1, feeds))
                }
                "files" => tokio::spawn(files::run(ear, receiver)),
                _ => continue,
            };
            running.insert(key, Running { spec: sender, task });
        }
    }

    fn ear(&self, key: &Key) -> Ear {
        Ear::new(key.clone(), self.engine.clone(), self.world.clone(), self.board.clone())
    }

    /// Ends all tasks. What was not yet committed comes again.
    pub(crate) async fn stop(&self) {
        let leaving = std::mem::take(&mut *self.leaving.lock().unwrap_or_else(PoisonError::into_inner));
        leaving.values().for_each(JoinHandle::abort);
        let running = std::mem::take(&mut *self.running.lock().unwrap_or_else(PoisonError::into_inner));
        running.values().for_each(|listener| listener.task.abort());
        for listener in running.into_values() {
            // An error says that it was ended, which is what was asked for.
            drop(listener.task.await);
        }
    }
}

/// Returns what is listened to under a plan.
fn specs(live: &Live) -> BTreeMap<Key, Spec> {
    let mut specs: BTreeMap<Key, Spec> = BTreeMap::new();
    for used in live.listens_to() {
        let Some(connection) = live.connections.get(&used.connection) else { continue };
        let source = connection.plan.sources.iter().find(|source| source.name == used.source);
        let Some((source, listen)) = source.and_then(|source| Some((source, source.listen.as_ref()?))) else { continue };
        let simulated = connection.stand_in;
        let Some(value) = used.options.get(&listen.by).filter(|_| !simulated).map(ToString::to_string) else { continue };
        // A broker is spoken to in one session, whatever comes over it.
        let together = connection.plan.api.via.as_ref().is_some_and(|via| via.scheme == MQTT);
        let name = if together { MQTT.to_owned() } else { task_name(&source.name, &value) };
        let spec = specs
            .entry((used.connection.clone(), name))
            .or_insert_with(|| Spec { connection: Arc::clone(connection), wanted: Vec::new() });
        let options: Options = used
            .options
            .iter()
            .filter(|(name, _)| **name != listen.by)
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let at = spec.wanted.iter().position(|known| known.source == source.name && known.value == value);
        let at = at.unwrap_or_else(|| {
            spec.wanted.push(Wanted::new(connection, &source.name, listen, value));
            spec.wanted.len() - 1
        });
        if let Some(known) = spec.wanted.get_mut(at)
            && !known.options.contains(&options)
        {
            known.options.push(options);
        }
    }
    // The order of the flows is no difference.
    for spec in specs.values_mut() {
        spec.wanted.sort_by(|one, other| (&one.source, &one.value).cmp(&(&other.source, &other.value)));
    }
    specs
}

/// The name under which a value of a source is read on its own.
fn task_name(source: &str, value: &str) -> String {
    // The parameters of an address may hold a key, and this is shown.
    match value.split_once('?') {
        Some((before, _)) => format!("{source} {before} {}", &digest(value)[..8]),
        None => format!("{source} {value}"),
    }
}

/// Returns the values that flows of a test name for a source.
pub(crate) fn values_in<'f>(
    flows: impl IntoIterator<Item = &'f Arc<Flow>>,
    connection: &str,
    source: &str,
    by: &str,
) -> Vec<String> {
    let mut values = Vec::new();
    for used in flows.into_iter().flat_map(|flow| flow.listens_to()) {
        let value = used.options.get(by).filter(|_| used.connection == connection && used.source == source);
        if let Some(value) = value.map(ToString::to_string)
            && !values.contains(&value)
        {
            values.push(value);
        }
    }
    values
}

/// Tells whether an event is one that a value means.
pub(crate) fn means(scheme: &str, value: &str, event: &Json) -> bool {
    let text = |name: &str| event.get(name).and_then(Json::as_str).unwrap_or_default();
    match scheme {
        // Without a topic it is of something that a pattern was made of.
        MQTT if event.get("value").is_none() => crate::via::mqtt::matches(value, text("topic")),
        MQTT => crate::via::mqtt::matches(&value.replace('.', "/").replace('*', "+"), &text("value").replace('.', "/")),
        "files" => glob_matches(value, text("path")),
        // Where a feed is says nothing of what is in it.
        _ => true,
    }
}

fn same(one: &Spec, other: &Spec) -> bool {
    let secrets = |spec: &Spec| -> Vec<(String, String)> {
        spec.connection.secrets.iter().map(|(name, secret)| (name.clone(), secret.expose().to_owned())).collect()
    };
    one.wanted == other.wanted
        && one.connection.plan.api == other.connection.plan.api
        && one.connection.plan.settings == other.connection.plan.settings
        && one.connection.poll_every == other.connection.poll_every
        && one.connection.root == other.connection.root
        && secrets(one) == secrets(other)
}

/// The scheme that has one task for a connection, and its name.
const MQTT: &str = "mqtt";
/// The scheme that has a task for each address.
const FEED: &str = "feed";

/// What a task hears with: the way into the engine.
pub(crate) struct Ear {
    pub(crate) key: Key,
    pub(crate) engine: Engine,
    pub(crate) world: World,
    board: Board,
    count: u64,
}

/// Why something could not be taken in.
pub(crate) enum Deaf {
    /// The daemon is stopping.
    Stopping,
    /// The store refuses for now.
    Later(String),
}

impl Ear {
    fn new(key: Key, engine: Engine, world: World, board: Board) -> Self {
        Self { key, engine, world, board, count: 0 }
    }

    /// Returns what was remembered, where anything was.
    fn remembered<T: serde::de::DeserializeOwned>(&self) -> Option<T> {
        let cursor = self.engine.cursor(&self.key.0, &self.key.1)?;
        serde_json::from_str(cursor.cursor.as_deref()?).ok()
    }

    /// Takes events in, with what is to be remembered, in one transaction.
    async fn take_in<T: serde::Serialize>(&mut self, events: Vec<Incoming>, memory: &T) -> Result<(), Deaf> {
        let memory = serde_json::to_string(memory).map_err(|error| Deaf::Later(error.to_string()))?;
        let now = self.world.clock.now();
        let cursor = Cursor { cursor: Some(memory), polled_at: Some(now), ..Cursor::default() };
        let count = events.len() as u64;
        match self.engine.accept(&self.key.0, events, Some((self.key.1.clone(), cursor))).await {
            Ok(_) => {
                self.board.update(&self.key, |status| status.events += count);
                Ok(())
            }
            Err(AcceptError::Stopping) => Err(Deaf::Stopping),
            Err(error @ (AcceptError::QueueFull | AcceptError::Store(_) | AcceptError::Malformed(_))) => {
                Err(Deaf::Later(error.to_string()))
            }
        }
    }

    /// Nobody names it any more: what was remembered would be too old for whoever names it later.
    async fn forget(mut self, connection: Arc<LiveConnection>) {
        let mut pause = FIRST_GOODBYE;
        let mut tries = 1;
        while self.key.1 == MQTT && !mqtt::forget(&mut self, &connection).await {
            if tries == MOST_GOODBYES {
                return;
            }
            tries += 1;
            let until = crate::poll::later(self.world.clock.now(), pause);
            self.world.clock.sleep_until(until).await;
            pause = pause.saturating_mul(2).min(LONGEST_GOODBYE);
        }
        let forgotten = Some((self.key.1.clone(), Cursor::default()));
        if let Err(error) = self.engine.accept(&self.key.0, Vec::new(), forgotten).await {
            tracing::debug!(connection = self.key.0, source = self.key.1, %error, "what was remembered stays");
        }
    }

    /// Returns an id that no other event has.
    fn fresh_id(&mut self) -> String {
        self.count += 1;
        let seed = format!("{:?} {} {} {}", self.key, self.world.clock.now(), self.count, self.world.random.fraction());
        digest(&seed)
    }

    fn succeeded(&self) {
        let now = self.world.clock.now();
        self.board.update(&self.key, |status| {
            if status.error.take().is_some() {
                tracing::info!(connection = self.key.0, source = self.key.1, "listening works again");
            }
            status.broken = false;
            status.failing_since = None;
            status.polled_at = Some(now);
        });
    }

    /// Notes a failure, which is said once for as long as it lasts.
    fn failed(&self, reason: &str, broken: bool) {
        let now = self.world.clock.now();
        self.board.update(&self.key, |status| {
            if status.error.as_deref() != Some(reason) && status.broken == broken && status.error.is_some() {
                tracing::debug!(connection = self.key.0, source = self.key.1, reason, "listening still fails");
            } else if status.error.is_none() || broken && !status.broken {
                tracing::warn!(connection = self.key.0, source = self.key.1, reason, "listening fails; it is tried again");
            }
            status.broken = broken;
            status.failing_since.get_or_insert(now);
            status.error = Some(reason.to_owned());
        });
    }

    /// Notes something that cannot be read and is left out.
    fn left_out(&self, reason: &str) {
        let found = self.world.clock.now();
        self.board.update(&self.key, |status| {
            let count = status.left_out.take().map_or(0, |known| known.count);
            status.left_out = Some(LeftOut { count: count + 1, reason: reason.to_owned(), found });
        });
    }

    /// Notes how many things are there that cannot be read, and one of them.
    fn sees_odd(&self, count: usize, first: Option<&str>) {
        let (reason, found) = (first.map(|name| format!("the name `{name}` is no UTF-8")), self.world.clock.now());
        self.board.update(&self.key, |status| {
            if let Some(reason) =
                reason.as_ref().filter(|_| status.left_out.as_ref().is_none_or(|known| known.count != count as u64))
            {
                tracing::warn!(connection = self.key.0, source = self.key.1, count, reason, "files are left out");
            }
            status.left_out = reason.map(|reason| LeftOut { count: count as u64, reason, found });
        });
    }

    fn next_at(&self, at: Timestamp) {
        self.board.update(&self.key, |status| status.next_at = Some(at));
    }
}

/// Waits, unless what is wanted changes first: `false` where nothing is wanted any more.
async fn unless_changed(specs: &mut watch::Receiver<Arc<Spec>>, wait: impl Future<Output = ()>) -> bool {
    tokio::select! {
        () = wait => true,
        changed = specs.changed() => changed.is_ok(),
    }
}

/// When something was heard, and since when it can have been on its way.
#[derive(Debug, Clone, Copy)]
struct Times {
    since: Timestamp,
    at: Timestamp,
}

/// Returns an event that was heard for these values.
fn event(id: String, source: &str, times: Option<Times>, heard: Vec<String>, mut fields: Map<String, Json>) -> Incoming {
    fields.insert("id".to_owned(), Json::String(id.clone()));
    fields.insert(HEARD.to_owned(), heard.into());
    Incoming {
        id,
        source: source.to_owned(),
        event_type: None,
        occurred_at: times.map(|times| times.at),
        // It is at least as old as this.
        signed_at: times.map(|times| times.since),
        payload: Bytes::from(Json::Object(fields).to_string()),
        via: Via::Poll,
        origin: Origin::External,
        depth: 0,
        only_trigger: None,
    }
}
