//! One webhook at its service: made, found again, changed in place, removed.

use std::collections::BTreeSet;
use std::time::Duration;

use flow_plan::{JsonPath, Register, Value};
use sha2::{Digest, Sha256};
use tracing::{info, warn};

use super::Key;
use super::file::{Folder, Intent, Made, Record};
use super::scope::RegisterScope;
use crate::answer::{self, StatusClass};
use crate::eval::path_get;
use crate::live::LiveConnection;
use crate::request::build_request;
use crate::world::{HttpAnswer, TransportError, World};

/// A registration is answered within.
const TIMEOUT: Duration = Duration::from_secs(60);
const MAX_ANSWER: usize = 1024 * 1024;

/// Why a webhook could not be registered, changed or removed.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) reason: String,
    /// It will be so until somebody changes something: the service has refused it, or things are configured so.
    pub(super) for_good: bool,
    /// The service asks to wait so long.
    pub(super) retry_after: Option<Duration>,
}

impl Failed {
    /// It may be otherwise the next time.
    pub(super) fn for_now(reason: String) -> Self {
        Self { reason, for_good: false, retry_after: None }
    }

    /// It will be so until somebody changes something.
    pub(super) fn for_good(reason: String) -> Self {
        Self { reason, for_good: true, retry_after: None }
    }
}

/// What is done with a record that has a secret: deliveries may come at once.
pub(super) type Learn<'a> = &'a (dyn Fn(&Record) + Send + Sync);

/// One webhook.
pub(super) struct Hook<'a> {
    folder: &'a Folder,
    world: &'a World,
    key: &'a Key,
    connection: &'a LiveConnection,
    register: &'a Register,
    url: String,
    /// What marks it at the service.
    instance: String,
}

/// One of those that the service lists, and that is ours.
struct Listed {
    id: String,
    /// Something of it differs from what was asked for, and can be changed in place.
    differs: bool,
    /// It cannot be made right in place.
    unfit: bool,
}

/// Returns the address of a connection's webhook.
pub(super) fn address(public_url: &str, connection: &str) -> String {
    format!("{}/v1/webhooks/{}", public_url.trim_end_matches('/'), crate::form::encode_segment(connection))
}

impl<'a> Hook<'a> {
    pub(super) fn new(
        folder: &'a Folder,
        world: &'a World,
        key: &'a Key,
        connection: &'a LiveConnection,
        register: &'a Register,
        url: String,
    ) -> Self {
        // The same for the same place, also where the store was lost, and another for each other one.
        let instance = hex::encode(&Sha256::digest(format!("{url}\n{}", key.1).as_bytes())[..8]);
        Self { folder, world, key, connection, register, url, instance }
    }

    /// Makes it what it should be.
    pub(super) async fn keep(&self, events: &BTreeSet<String>, learn: Learn<'_>) -> Result<(), Failed> {
        let mut record = self.folder.read(self.key).unwrap_or_default();
        let Some(listed) = self.listed(&record, events).await? else {
            return self.keep_unseen(&mut record, events, learn).await;
        };
        self.remove_strays(&mut record, &listed).await?;
        let known = record.current.as_ref().and_then(|made| made.id.clone());
        let found = listed.iter().find(|one| known.as_ref() == Some(&one.id));
        let secret_lost = self.register.secret_at.is_some() && record.current.as_ref().is_some_and(|made| made.secret.is_none());
        match found {
            Some(found) if found.unfit || secret_lost => {
                warn!(
                    connection = self.key.0,
                    source = self.key.1,
                    id = found.id,
                    "the webhook cannot stay as it is: it is made anew"
                );
                self.make(&mut record, events, learn).await?;
            }
            Some(found) if found.differs || !self.is_current(&record, events) => {
                self.change(&mut record, &found.id, events, learn).await?;
            }
            Some(_) => {}
            None => {
                if let Some(id) = &known {
                    warn!(
                        connection = self.key.0,
                        source = self.key.1,
                        id,
                        "the webhook is gone at the service: it is made anew"
                    );
                    record.current = None;
                    record.intent = None;
                }
                self.make(&mut record, events, learn).await?;
            }
        }
        self.remove_old(&mut record).await
    }

    /// The same where the service cannot be asked what it has.
    async fn keep_unseen(&self, record: &mut Record, events: &BTreeSet<String>, learn: Learn<'_>) -> Result<(), Failed> {
        if !self.is_current(record, events) {
            match record.current.as_ref().and_then(|made| made.id.clone()) {
                Some(id) => self.change(record, &id, events, learn).await?,
                None => self.make(record, events, learn).await?,
            }
        }
        self.remove_old(record).await
    }

    fn is_current(&self, record: &Record, events: &BTreeSet<String>) -> bool {
        record.current.as_ref().is_some_and(|made| made.url == self.url && made.events == *events)
    }

    /// Removes all that is ours.
    pub(super) async fn remove(&self) -> Result<Vec<String>, Failed> {
        let mut record = self.folder.read(self.key).unwrap_or_default();
        let mut removed = Vec::new();
        if let Some(listed) = self.listed(&record, &BTreeSet::new()).await? {
            for one in listed {
                self.delete(&one.id, &BTreeSet::new()).await?;
                removed.push(one.id);
            }
            record.old.clear();
        } else {
            record.old.extend(record.current.take());
            removed.extend(record.old.iter().filter_map(|made| made.id.clone()));
            self.remove_old(&mut record).await?;
        }
        record.current = None;
        record.intent = None;
        self.write(&mut record)?;
        Ok(removed)
    }

    /// Returns those at the service that are ours: they have our mark, or are known here. `None` where it cannot be asked.
    async fn listed(&self, record: &Record, events: &BTreeSet<String>) -> Result<Option<Vec<Listed>>, Failed> {
        let Some(rule) = &self.register.registered else { return Ok(None) };
        let scope = self.scope(&self.url, events, "", "");
        let answer = self.send(&rule.request, &scope).await?;
        self.succeeded(&answer)?;
        let body = body(&answer)?;
        let Value::List(items) = path_get(&body, &rule.list_at) else {
            return Err(Failed::for_now(format!("what is registered cannot be read: there is no list at `{}`", rule.list_at)));
        };
        let holds = |condition: &flow_plan::Expr, item: &Value| {
            answer::holds_in(condition, item, self.connection, &scope).map_err(|error| Failed::for_now(error.to_string()))
        };
        let known: BTreeSet<&str> = record.current.iter().chain(&record.old).filter_map(|made| made.id.as_deref()).collect();
        let mut ours = Vec::new();
        for item in items.iter() {
            let Some(id) = word(item, &rule.id_at) else { continue };
            if !known.contains(id.as_str()) && !holds(&rule.ours, item)? {
                continue;
            }
            let at = |path: &Option<JsonPath>| path.as_ref().map(|path| path_get(item, path));
            let other_url = at(&rule.url_at).is_some_and(|url| url.as_text() != Some(self.url.as_str()));
            let other_events = at(&rule.events_at).is_some_and(|found| names(&found) != *events);
            let unlike = |condition: &Option<flow_plan::Expr>| match condition {
                Some(condition) => holds(condition, item).map(|holds| !holds),
                None => Ok(false),
            };
            let differs = other_url || other_events || unlike(&rule.update_unless)?;
            let unfit = unlike(&rule.replace_unless)?;
            ours.push(Listed { id, differs, unfit });
        }
        Ok(Some(ours))
    }

    /// Removes what is ours and not known: it came of a request whose answer was lost, and nobody has its secret.
    async fn remove_strays(&self, record: &mut Record, listed: &[Listed]) -> Result<(), Failed> {
        let known: BTreeSet<String> = record.current.iter().chain(&record.old).filter_map(|made| made.id.clone()).collect();
        for stray in listed.iter().filter(|one| !known.contains(&one.id)) {
            self.delete(&stray.id, &BTreeSet::new()).await?;
            info!(
                connection = self.key.0,
                source = self.key.1,
                id = stray.id,
                "a webhook of ours whose secret is not known is removed"
            );
            // The key of before would be answered with what is gone now.
            if record.intent.take().is_some() {
                self.write(record)?;
            }
        }
        Ok(())
    }

    async fn make(&self, record: &mut Record, events: &BTreeSet<String>, learn: Learn<'_>) -> Result<(), Failed> {
        let before = record.intent.take();
        let again = before.is_some();
        let intent = match before.filter(|intent| intent.url == self.url && intent.events == *events) {
            Some(intent) => {
                info!(
                    connection = self.key.0,
                    source = self.key.1,
                    "an earlier registration got no answer; it is made again under its key"
                );
                intent
            }
            None => Intent { key: self.fresh_key(), url: self.url.clone(), events: events.clone() },
        };
        record.intent = Some(intent.clone());
        self.write(record)?;
        let scope = self.scope(&intent.url, &intent.events, &intent.key, "");
        let answer = self.send(&self.register.request, &scope).await?;
        if matches!(self.class(&answer), StatusClass::Refused) {
            // Surely not made: the next one is another.
            record.intent = None;
            self.write(record)?;
        }
        self.succeeded(&answer)?;
        let body = body(&answer)?;
        let secret = self.register.secret_at.as_ref().and_then(|path| word(&body, path));
        if self.register.secret_at.is_some() && secret.is_none() {
            return Err(Failed::for_good("the answer holds no secret".to_owned()));
        }
        let id = word(&body, &self.register.id_at);
        if id.is_none() && self.register.remove.is_some() {
            warn!(
                connection = self.key.0,
                source = self.key.1,
                "the answer holds no id, so the webhook cannot be removed by the daemon"
            );
        }
        let names = intent.events.iter().cloned().collect::<Vec<_>>().join(", ");
        info!(connection = self.key.0, source = self.key.1, id, url = intent.url, events = names, "a webhook was registered");
        record.old.extend(record.current.take());
        record.current = Some(Made { id, url: intent.url, events: intent.events, secret: secret.map(Into::into) });
        record.intent = None;
        // The service may deliver at once. Until it is written down, the intent would find the same webhook again.
        learn(record);
        self.write(record)?;
        if again && let Some(listed) = self.listed(record, events).await? {
            // A request of before may have arrived late.
            self.remove_strays(record, &listed).await?;
        }
        Ok(())
    }

    /// Gives it other events or another address, in place where the service allows that.
    async fn change(&self, record: &mut Record, id: &str, events: &BTreeSet<String>, learn: Learn<'_>) -> Result<(), Failed> {
        let Some(request) = &self.register.update else { return self.make(record, events, learn).await };
        // Another key each time: what a service remembers of an earlier change must not stand for this one, and a change that is
        // made twice is made once.
        let key = self.fresh_key();
        let scope = self.scope(&self.url, events, &key, id);
        let answer = self.send(request, &scope).await?;
        if matches!(answer.status, 404 | 410) {
            warn!(connection = self.key.0, source = self.key.1, id, "the webhook is gone at the service: it is made anew");
            record.current = None;
            return self.make(record, events, learn).await;
        }
        self.succeeded(&answer)?;
        if let Some(made) = &mut record.current {
            (made.url, made.events) = (self.url.clone(), events.clone());
        }
        let names = events.iter().cloned().collect::<Vec<_>>().join(", ");
        info!(
            connection = self.key.0,
            source = self.key.1,
            id,
            url = self.url,
            events = names,
            "the webhook was changed in place"
        );
        self.write(record)
    }

    /// Removes what was replaced: it was made here, and its deliveries would come twice.
    async fn remove_old(&self, record: &mut Record) -> Result<(), Failed> {
        while let Some(old) = record.old.first() {
            match (&self.register.remove, &old.id) {
                (Some(_), Some(id)) => {
                    self.delete(id, &old.events).await?;
                    info!(connection = self.key.0, source = self.key.1, id, "the webhook of before is removed");
                }
                (None, id) | (Some(_), id @ None) => {
                    let id = id.as_deref().unwrap_or("unknown");
                    warn!(
                        connection = self.key.0,
                        source = self.key.1,
                        id,
                        "the webhook of before stays at the service: remove it there"
                    );
                }
            }
            record.old.remove(0);
            self.write(record)?;
        }
        Ok(())
    }

    async fn delete(&self, id: &str, events: &BTreeSet<String>) -> Result<(), Failed> {
        let Some(request) = &self.register.remove else {
            let reason = format!("the connector does not say how the webhook {id} is removed: remove it at the service");
            return Err(Failed::for_good(reason));
        };
        let answer = self.send(request, &self.scope(&self.url, events, "", id)).await?;
        // What is gone already was removed by somebody else.
        if matches!(answer.status, 200..=299 | 404 | 410) {
            return Ok(());
        }
        let failed = self.failed(&answer);
        Err(Failed { reason: format!("the webhook {id} is not removed: {}", failed.reason), ..failed })
    }

    fn scope<'s>(&'s self, url: &'s str, events: &'s BTreeSet<String>, key: &'s str, id: &'s str) -> RegisterScope<'s> {
        RegisterScope { url, events, key, id, instance: &self.instance, now: self.world.clock.now() }
    }

    async fn send(&self, request: &flow_plan::Request, scope: &RegisterScope<'_>) -> Result<HttpAnswer, Failed> {
        let request = build_request(request, self.connection, scope, &[]).map_err(|error| Failed::for_good(error.to_string()))?;
        self.world.transport.send(request, TIMEOUT, MAX_ANSWER).await.map_err(|error| match error {
            TransportError::Refused(reason) => Failed::for_good(reason),
            error => Failed::for_now(error.to_string()),
        })
    }

    fn class(&self, answer: &HttpAnswer) -> StatusClass {
        answer::classify(self.connection, &self.connection.plan.api, answer)
    }

    fn succeeded(&self, answer: &HttpAnswer) -> Result<(), Failed> {
        if matches!(self.class(answer), StatusClass::Success) { Ok(()) } else { Err(self.failed(answer)) }
    }

    /// What an answer that is no success means for the next try.
    fn failed(&self, answer: &HttpAnswer) -> Failed {
        let for_good = match self.class(answer) {
            StatusClass::Refused | StatusClass::Broken => true,
            StatusClass::Success | StatusClass::NotDone | StatusClass::Unknown => false,
        };
        let retry_after = answer::wait(self.connection, answer);
        Failed { reason: answer::error_text(self.connection, answer), for_good, retry_after }
    }

    fn write(&self, record: &mut Record) -> Result<(), Failed> {
        self.folder.write(self.key, record).map_err(Failed::for_now)
    }

    fn fresh_key(&self) -> String {
        let random = self.world.random.fraction().to_bits() ^ self.world.random.fraction().to_bits().rotate_left(17);
        let text = format!("{}/{}/{}/{random}", self.key.0, self.key.1, self.world.clock.now());
        hex::encode(&Sha256::digest(text.as_bytes())[..16])
    }
}

/// Removes the webhooks of a connection and notes that they are not wanted. Returns the ids of what was removed.
pub(super) async fn disconnect(
    folder: &Folder,
    connection: &LiveConnection,
    public_url: Option<&str>,
    world: &World,
) -> Result<Vec<String>, String> {
    let name = &connection.plan.name;
    let mut removed = Vec::new();
    let mut failed = Vec::new();
    for source in &connection.plan.sources {
        let Some(register) = source.register.as_deref() else { continue };
        let key = (name.clone(), source.name.clone());
        // First the note: what is removed must not come back by a daemon that starts meanwhile.
        let mut record = folder.read(&key).unwrap_or_default();
        record.off = true;
        folder.write(&key, &mut record)?;
        let known = record.current.map(|made| made.url).or(record.intent.map(|intent| intent.url));
        // Where the store was lost, ours have the mark of their address all the same.
        let Some(url) = known.or_else(|| Some(address(public_url?, name))) else { continue };
        match Hook::new(folder, world, &key, connection, register, url).remove().await {
            Ok(ids) => removed.extend(ids),
            Err(Failed { reason, .. }) => failed.push(format!("{name}.{}: {reason}", source.name)),
        }
    }
    if failed.is_empty() { Ok(removed) } else { Err(failed.join("; ")) }
}

/// Notes that the webhooks of a connection are wanted again.
pub(super) fn connect(folder: &Folder, connection: &str) -> Result<Vec<String>, String> {
    let mut noted = Vec::new();
    for (key, mut record) in folder.all() {
        if key.0 == connection && record.off {
            record.off = false;
            folder.write(&key, &mut record)?;
            noted.push(key.1);
        }
    }
    Ok(noted)
}

fn body(answer: &HttpAnswer) -> Result<Value, Failed> {
    let json = crate::json::read(&answer.body).map_err(|_| Failed::for_now("the answer is not JSON".to_owned()))?;
    Ok(Value::from_json(&json))
}

fn word(body: &Value, path: &JsonPath) -> Option<String> {
    match path_get(body, path) {
        Value::Text(text) if !text.is_empty() => Some(text.to_string()),
        Value::Number(number) => Some(number.normalize().to_string()),
        _ => None,
    }
}

fn names(list: &Value) -> BTreeSet<String> {
    match list {
        Value::List(items) => items.iter().filter_map(Value::as_text).map(str::to_owned).collect(),
        _ => BTreeSet::new(),
    }
}
