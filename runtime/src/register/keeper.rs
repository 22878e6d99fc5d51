//! The task that keeps the registrations: at a start, when the plan changes, every hour, and when somebody asks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use super::file::{Folder, Record};
use super::hook::{self, Failed, Hook};
use super::{Asked, Key, OnSecret, Registered, Registrations, given_secret, is_given, wanted};
use crate::live::Live;
use crate::world::World;

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);
/// What is registered is looked at so often, since somebody may have changed it, and services switch off what fails.
const LOOK_EVERY: Duration = Duration::from_secs(3600);
/// What no flow wants any more goes after this: files are moved, and flows come back under another name.
const UNWANTED_FOR: SignedDuration = SignedDuration::from_mins(10);

/// Keeps them.
pub(super) struct Keeper {
    folder: Folder,
    public_url: Option<String>,
    world: World,
    registered: Registered,
    on_secret: OnSecret,
    /// Failures that were announced.
    failing: BTreeSet<Key>,
    /// Since when no flow wants what is registered.
    unwanted: BTreeMap<Key, Timestamp>,
    registrations: Registrations,
}

impl Keeper {
    pub(super) fn new(
        folder: Folder,
        public_url: Option<String>,
        world: World,
        registered: Registered,
        on_secret: OnSecret,
        registrations: Registrations,
    ) -> Self {
        for (key, record) in folder.all() {
            registrations.know(&key, &record);
        }
        let (failing, unwanted) = (BTreeSet::new(), BTreeMap::new());
        Self { folder, public_url, world, registered, on_secret, failing, unwanted, registrations }
    }

    pub(super) async fn run(mut self, mut plans: watch::Receiver<Arc<Live>>, mut asked: mpsc::UnboundedReceiver<Asked>) {
        let mut failures = 0_u32;
        loop {
            let live = Arc::clone(&plans.borrow_and_update());
            let sound = self.settle(&live).await;
            let fraction = self.world.random.fraction();
            let wait = if sound {
                failures = 0;
                // Not all daemons at once.
                LOOK_EVERY.mul_f64(fraction.mul_add(0.1, 0.9))
            } else {
                let longest = FIRST_WAIT.saturating_mul(1 << failures.min(20)).min(LONGEST_WAIT);
                failures = failures.saturating_add(1);
                longest.mul_f64(fraction.clamp(0.1, 1.0))
            };
            let until = self.next_look(wait);
            tokio::select! {
                () = self.world.clock.sleep_until(until) => {}
                changed = plans.changed() => if changed.is_err() {
                    return;
                },
                Some(asked) = asked.recv() => self.answer(&live, asked).await,
            }
        }
    }

    fn next_look(&self, wait: Duration) -> Timestamp {
        let now = self.world.clock.now();
        let wait = SignedDuration::try_from(wait).unwrap_or(UNWANTED_FOR);
        let until = now.checked_add(wait).unwrap_or(Timestamp::MAX);
        let ends = self.unwanted.values().filter_map(|since| since.checked_add(UNWANTED_FOR).ok());
        ends.filter(|end| *end > now).fold(until, Timestamp::min)
    }

    /// Makes the registrations those of a plan. `false` where one of them failed.
    async fn settle(&mut self, live: &Live) -> bool {
        let mut sound = true;
        let wanted = if self.public_url.is_some() { wanted(live) } else { BTreeMap::new() };
        for (key, events) in &wanted {
            self.unwanted.remove(key);
            let kept = self.keep(live, key, events).await;
            sound &= self.note(key, kept);
        }
        for (key, record) in self.folder.all() {
            if !wanted.contains_key(&key) {
                let let_go = self.let_go(live, &key, &record).await;
                sound &= self.note(&key, let_go);
            }
        }
        sound
    }

    /// Takes note of how one is doing. Returns whether it is well.
    fn note(&mut self, key: &Key, outcome: Result<(), Failed>) -> bool {
        if let Some(record) = self.folder.read(key) {
            self.registrations.know(key, &record);
        }
        match outcome {
            Ok(()) => {
                let now = self.world.clock.now();
                self.registrations.update(key, |known| (known.failing, known.looked_at) = (None, Some(now)));
                if self.failing.remove(key) {
                    info!(connection = key.0, source = key.1, "the webhook is as it should be now");
                }
                true
            }
            Err(Failed(reason)) => {
                let now = self.world.clock.now();
                self.registrations.update(key, |known| {
                    let since = known.failing.as_ref().map_or(now, |(since, _)| *since);
                    known.failing = Some((since, reason.clone()));
                });
                if self.failing.insert(key.clone()) {
                    warn!(connection = key.0, source = key.1, reason, "a webhook could not be registered; it is tried again");
                }
                false
            }
        }
    }

    async fn keep(&self, live: &Live, key: &Key, events: &BTreeSet<String>) -> Result<(), Failed> {
        let Some(connection) = live.connections.get(&key.0) else { return Ok(()) };
        let Some(source) = connection.plan.sources.iter().find(|source| source.name == key.1) else { return Ok(()) };
        let Some(register) = source.register.as_deref() else { return Ok(()) };
        let Some(public_url) = &self.public_url else { return Ok(()) };
        let by_hand = is_given(connection, source, register);
        self.registrations.update(key, |known| known.by_hand = by_hand);
        let record = self.folder.read(key).unwrap_or_default();
        let hook = Hook::new(&self.folder, &self.world, key, connection, register, hook::address(public_url, &key.0));
        if by_hand {
            // The secret of our own may have been copied from the service's pages.
            let ours = record.current.as_ref().and_then(|made| made.secret.as_ref());
            let same =
                given_secret(connection, source).is_some_and(|given| ours.is_some_and(|ours| ours.as_str() == given.expose()));
            return if record.current.is_none() || same { Ok(()) } else { hook.remove().await.map(drop) };
        }
        if record.off {
            return if record.current.is_none() && record.old.is_empty() { Ok(()) } else { hook.remove().await.map(drop) };
        }
        hook.keep(events, &|record| {
            if self.registered.learn(key, record) {
                (self.on_secret)();
            }
        })
        .await
    }

    /// What no flow wants: it goes after a while.
    async fn let_go(&mut self, live: &Live, key: &Key, record: &Record) -> Result<(), Failed> {
        if record.current.is_none() && record.old.is_empty() && record.intent.is_none() {
            self.unwanted.remove(key);
            return Ok(());
        }
        let now = self.world.clock.now();
        let since = *self.unwanted.entry(key.clone()).or_insert(now);
        if !record.off && now.duration_since(since) < UNWANTED_FOR {
            return Ok(());
        }
        let connection = live.connections.get(&key.0);
        let source = connection.and_then(|connection| connection.plan.sources.iter().find(|source| source.name == key.1));
        let register = source.and_then(|source| source.register.as_deref());
        let (Some(connection), Some(register)) = (connection, register) else {
            let id = record.current.as_ref().and_then(|made| made.id.clone()).unwrap_or_default();
            return Err(Failed(format!(
                "the webhook {id} stays at the service, since the connection is not configured any more: remove it there, or put the \
                 connection back and say `flowd disconnect {}`",
                key.0
            )));
        };
        let url = record.current.as_ref().map_or_else(String::new, |made| made.url.clone());
        Hook::new(&self.folder, &self.world, key, connection, register, url).remove().await?;
        info!(connection = key.0, source = key.1, "no flow uses the webhook: it was removed");
        self.unwanted.remove(key);
        Ok(())
    }

    async fn answer(&mut self, live: &Live, asked: Asked) {
        let (outcome, reply) = match asked {
            Asked::Disconnect(name, reply) => {
                let outcome = match live.connections.get(&name) {
                    Some(connection) => hook::disconnect(&self.folder, connection, self.public_url.as_deref(), &self.world).await,
                    None => Err(format!("there is no connection `{name}`")),
                };
                (outcome, reply)
            }
            Asked::Connect(name, reply) => (hook::connect(&self.folder, &name), reply),
        };
        for (key, record) in self.folder.all() {
            self.registrations.know(&key, &record);
        }
        // Whoever asked may have gone.
        drop(reply.send(outcome));
    }
}
