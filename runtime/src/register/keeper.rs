//! The task that keeps the registrations: at a start, when the plan changes, every hour, and when somebody asks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use super::file::{Folder, Record};
use super::hook::{self, Failed, Hook};
use super::{Asked, Failing, Key, OnSecret, Registered, Registrations, given_secret, is_given, wanted};
use crate::live::Live;
use crate::poll::later;
use crate::world::World;

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);
/// What was refused for good is tried again this late, and ever later up to [`LOOK_EVERY`]: until somebody changes something,
/// which is noticed by itself, it will be refused again.
const FIRST_WAIT_REFUSED: Duration = Duration::from_secs(5 * 60);
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
    /// What does not succeed.
    failing: BTreeMap<Key, Tries>,
    /// When each is looked at next; what is not here is at once.
    due: BTreeMap<Key, Timestamp>,
    /// Since when no flow wants what is registered.
    unwanted: BTreeMap<Key, Timestamp>,
    registrations: Registrations,
}

/// What was tried in vain.
#[derive(Default)]
struct Tries {
    /// How often since somebody changed something.
    count: u32,
    /// It was said that it fails.
    said: bool,
    /// It was said that somebody should look at it.
    alarmed: bool,
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
        let (failing, due, unwanted) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { folder, public_url, world, registered, on_secret, failing, due, unwanted, registrations }
    }

    pub(super) async fn run(mut self, mut plans: watch::Receiver<Arc<Live>>, mut asked: mpsc::UnboundedReceiver<Asked>) {
        loop {
            let live = Arc::clone(&plans.borrow_and_update());
            self.settle(&live).await;
            let now = self.world.clock.now();
            let until = self.due.values().min().copied().unwrap_or_else(|| later(now, LOOK_EVERY));
            tokio::select! {
                () = self.world.clock.sleep_until(until) => {}
                changed = plans.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.anew();
                }
                Some(asked) = asked.recv() => {
                    self.answer(&live, asked).await;
                    self.anew();
                }
            }
        }
    }

    /// Somebody changed something: all are looked at at once, and what failed has another chance.
    fn anew(&mut self) {
        self.due.clear();
        self.failing.values_mut().for_each(|tries| tries.count = 0);
    }

    fn is_due(&self, key: &Key) -> bool {
        self.due.get(key).is_none_or(|at| *at <= self.world.clock.now())
    }

    /// Makes the registrations that are due those of a plan.
    async fn settle(&mut self, live: &Live) {
        let wanted = if self.public_url.is_some() { wanted(live) } else { BTreeMap::new() };
        for (key, events) in &wanted {
            self.unwanted.remove(key);
            if self.is_due(key) {
                let kept = self.keep(live, key, events).await;
                self.note(key, kept);
            }
        }
        let written = self.folder.all();
        for (key, record) in &written {
            if !wanted.contains_key(key) && self.is_due(key) {
                let let_go = self.let_go(live, key, record).await;
                self.note(key, let_go);
            }
        }
        let concerned = |key: &Key| wanted.contains_key(key) || written.iter().any(|(known, _)| known == key);
        self.due.retain(|key, _| concerned(key));
        self.failing.retain(|key, _| concerned(key));
        self.registrations.settle(concerned);
    }

    /// Takes note of how one is doing, and when it is looked at next.
    fn note(&mut self, key: &Key, outcome: Result<(), Failed>) {
        if let Some(record) = self.folder.read(key) {
            self.registrations.know(key, &record);
        }
        let now = self.world.clock.now();
        let wait = match outcome {
            Ok(()) => {
                self.registrations.update(key, |known| (known.failing, known.looked_at) = (None, Some(now)));
                if self.failing.remove(key).is_some() {
                    info!(connection = key.0, source = key.1, "the webhook is as it should be now");
                }
                // Not all daemons at once.
                LOOK_EVERY.mul_f64(self.world.random.fraction().mul_add(0.1, 0.9))
            }
            Err(failed) => self.note_failure(key, &failed, now),
        };
        let ends = self.unwanted.get(key).and_then(|since| since.checked_add(UNWANTED_FOR).ok()).filter(|end| *end > now);
        self.due.insert(key.clone(), ends.into_iter().chain([later(now, wait)]).min().unwrap_or(now));
    }

    /// The same of one that failed. Returns the time to wait.
    fn note_failure(&mut self, key: &Key, failed: &Failed, now: Timestamp) -> Duration {
        let Failed { reason, for_good, retry_after } = failed;
        let mut is_alarm = false;
        self.registrations.update(key, |known| {
            let since = known.failing.as_ref().map_or(now, |failing| failing.since);
            let failing = Failing { since, reason: reason.clone(), for_good: *for_good };
            is_alarm = failing.is_alarm(now);
            known.failing = Some(failing);
        });
        let tries = self.failing.entry(key.clone()).or_default();
        match (is_alarm, tries.alarmed, tries.said) {
            (true, false, _) => {
                error!(
                    connection = key.0,
                    source = key.1,
                    reason,
                    "a webhook cannot be registered: what it would tell does not come"
                );
                (tries.alarmed, tries.said) = (true, true);
            }
            (false, _, false) => {
                warn!(connection = key.0, source = key.1, reason, "a webhook could not be registered; it is tried again");
                tries.said = true;
            }
            _ => {}
        }
        let fraction = self.world.random.fraction();
        let doubled = |first: Duration, longest: Duration| first.saturating_mul(1 << tries.count.min(20)).min(longest);
        let wait = if *for_good {
            doubled(FIRST_WAIT_REFUSED, LOOK_EVERY).mul_f64(fraction.mul_add(0.5, 0.5))
        } else {
            doubled(FIRST_WAIT, LONGEST_WAIT).mul_f64(fraction.clamp(0.1, 1.0))
        };
        tries.count = tries.count.saturating_add(1);
        wait.max(retry_after.unwrap_or_default().min(LOOK_EVERY))
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
            return Err(Failed::for_good(format!(
                "the webhook {id} stays at the service, since the connection is not configured any more: put it back and say `flowd \
                 disconnect {0}`, or remove the webhook there and say `flowd disconnect {0} --forget`",
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
