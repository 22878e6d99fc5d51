//! Topics of a broker: one session for all that live flows subscribe to.
//!
//! A message is acknowledged when it is in the store, with the flows that it starts. What the broker then sends once more, since
//! the acknowledgement was lost, is known by its number and content for as long as the broker may not have read that.
//!
//! How old a message is nobody says. What lay in the broker's queue has no age, and so nothing dangerous follows from it; what
//! comes on a line that has fallen silent meanwhile is at most as old as the last question that the broker answered, since it
//! writes in order. It happened when it came, and is as old as it can be.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use tokio::sync::watch;
use tracing::{debug, info, warn};

use super::{Deaf, Ear, Spec, Times, Wanted, asks, digest, event, unless_changed};
use crate::event::Incoming;
use crate::live::LiveConnection;
use crate::request;
use crate::via::mqtt::{Broker, Link, Packet, Qos, Session, codec as wire, filter_error, is_shared, matches, overlap};
use crate::world::TransportError;

/// The broker is asked so often whether it is there. What came since its last answer may have lain on the way since then, so that this
/// is how exactly the age of a message is known.
const PING: SignedDuration = SignedDuration::from_secs(1);
/// A session that has stood for so long was worth coming for: when it ends the next one begins soon.
const WORTH: SignedDuration = SignedDuration::from_secs(30);
/// One that has stood for so long is well, whatever was before.
const STEADY: SignedDuration = SignedDuration::from_mins(10);
/// So many sessions that end sooner are no accident.
const MOST_ENDED: u32 = 3;
/// A broker that has not answered for so long is gone.
const SILENCE: SignedDuration = SignedDuration::from_secs(20);
const FORGOTTEN_WITHIN: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(120);
/// Who is refused comes again after this.
const REFUSED_PAUSE: Duration = Duration::from_secs(300);
/// So many messages are taken in at once.
const BATCH: usize = 100;
/// Beyond so many acknowledgements the broker is asked whether it has read them.
const MOST_UNREAD: usize = 200;
/// Topics that no broker has: what they say is said by flowd itself.
const OWN: &str = "$flowd/";
/// So many retained messages of a session are spoken of.
const MOST_SAID: usize = 10;
/// So many topics with a retained message are remembered.
const MOST_RETAINED: usize = 1000;

/// What is remembered of a session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Memory {
    /// What the broker has subscribed us to.
    topics: BTreeSet<String>,
    /// Messages whose acknowledgement the broker may not have read: what each number stands for.
    unread: BTreeMap<u16, String>,
    /// The retained message of a topic that was taken in last.
    retained: BTreeMap<String, String>,
    /// What is taken away when nobody listens any more: by what is listened to.
    #[serde(default)]
    clears: BTreeMap<String, String>,
}

/// Listens for as long as live flows subscribe to anything.
pub(super) async fn run(mut ear: Ear, mut specs: watch::Receiver<Arc<Spec>>) {
    let mut memory: Memory = ear.remembered().unwrap_or_default();
    let mut pause = FIRST_PAUSE;
    let mut ends = Ends::default();
    loop {
        let spec = Arc::clone(&specs.borrow_and_update());
        let wait = match listen(&mut ear, &spec, &mut specs, &mut memory, &mut ends).await {
            Ended::Changed => continue,
            Ended::Stopping => return,
            Ended::Failed { error, stood } => {
                let broken = matches!(error, TransportError::Broken(_));
                let mut said = error.to_string();
                if let Some(stood) = stood {
                    ends.count(stood, &error);
                    said = ends.trouble().unwrap_or(said);
                    if stood >= WORTH {
                        pause = FIRST_PAUSE;
                    }
                }
                ear.failed(&said, broken);
                let wait = if broken { REFUSED_PAUSE } else { pause.mul_f64(0.5 + ear.world.random.fraction() / 2.0) };
                pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
                wait
            }
        };
        let until = crate::poll::later(ear.world.clock.now(), wait);
        ear.next_at(until);
        let clock = Arc::clone(&ear.world.clock);
        if !unless_changed(&mut specs, clock.sleep_until(until)).await {
            return;
        }
    }
}

enum Ended {
    Changed,
    Stopping,
    Failed {
        error: TransportError,
        /// How long the session had stood, where it had begun.
        stood: Option<SignedDuration>,
    },
}

/// Why a session goes no further.
enum Stop {
    Changed,
    Stopping,
    Failed(TransportError),
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Stop::Failed(TransportError::NoAnswer(error.to_string()))
    }
}

/// Sessions that have ended one after another: another program that comes under the same name has the broker end ours, as ours ends its.
#[derive(Debug, Default)]
struct Ends {
    count: u32,
    last: String,
    /// As whom we come.
    client_id: String,
}

impl Ends {
    fn count(&mut self, stood: SignedDuration, error: &TransportError) {
        self.count = if stood >= STEADY { 1 } else { self.count.saturating_add(1) };
        self.last = error.to_string();
    }

    /// Returns what is wrong, where sessions end again and again.
    fn trouble(&self) -> Option<String> {
        (self.count >= MOST_ENDED).then(|| {
            format!(
                "sessions with the broker end soon after they have begun, {} one after another: {}. Does another program come as `{}`? Then give one of them another `client_id`",
                self.count, self.last, self.client_id
            )
        })
    }
}

/// Ends the session of a connection that nobody listens to any more: the broker keeps nothing for it. `false` where the broker
/// cannot be reached.
pub(super) async fn forget(ear: &mut Ear, connection: &LiveConnection) -> bool {
    let Ok(Some(channel)) = request::channel(connection) else { return true };
    let Ok(broker) = Broker::of(&channel) else { return true };
    let memory: Memory = ear.remembered().unwrap_or_default();
    let mut link = match Link::open(&broker, &Session { client_id: &broker.client_id, clean: true, will: None }).await {
        Ok(link) => link,
        Err(error) => {
            debug!(connection = channel.connection, %error, "the broker keeps a session that nobody wants");
            return false;
        }
    };
    let status = broker.status.iter().map(|topic| (topic, "offline"));
    for (topic, payload) in memory.clears.values().map(|topic| (topic, "")).chain(status) {
        let id = link.next_id();
        wire::publish(&mut link.out, topic, payload.as_bytes(), Qos::AtLeast, true, id);
    }
    // What the broker answers behind it, it has read.
    let is_done = link.is_alive(FORGOTTEN_WITHIN).await;
    link.close().await;
    is_done
}

/// One connection, until it ends.
async fn listen(
    ear: &mut Ear,
    spec: &Spec,
    specs: &mut watch::Receiver<Arc<Spec>>,
    memory: &mut Memory,
    ends: &mut Ends,
) -> Ended {
    let not_begun = |error| Ended::Failed { error, stood: None };
    let broker = match request::channel(&spec.connection) {
        Ok(Some(channel)) => Broker::of(&channel),
        Ok(None) => Err(TransportError::Broken("the connection leads to no broker".to_owned())),
        Err(error) => Err(TransportError::Broken(error.to_string())),
    };
    let broker = match broker {
        Ok(broker) => broker,
        Err(error) => return not_begun(error),
    };
    ends.client_id.clone_from(&broker.client_id);
    let will = broker.status.as_deref().map(|topic| (topic, "offline"));
    let session = Session { client_id: &broker.client_id, clean: !broker.queued, will };
    let link = match Link::open(&broker, &session).await {
        Ok(link) => link,
        Err(error) => return not_begun(error),
    };
    if !link.session_present {
        *memory = Memory { topics: BTreeSet::new(), unread: BTreeMap::new(), ..std::mem::take(memory) };
    }
    let clock = Arc::clone(&ear.world.clock);
    let now = clock.now();
    let queued = link.session_present;
    let mut hearing = Hearing {
        ear,
        spec,
        link,
        memory,
        trouble: ends.trouble(),
        ends,
        begun_at: now,
        apart: BTreeSet::new(),
        qos: broker.qos,
        status: broker.status.clone(),
        asked_at: None,
        look_at: now,
        ask_again: false,
        silent: true,
        acknowledged: Vec::new(),
        confirmed: Vec::new(),
        since: (!queued).then_some(now),
        releasing: HashMap::new(),
        refused: None,
        left_out: 0,
    };
    let stop = match hearing.go_on(specs).await {
        Ok(stop) | Err(stop) => stop,
    };
    match stop {
        Stop::Changed => Ended::Changed,
        Stop::Stopping => Ended::Stopping,
        Stop::Failed(error) => Ended::Failed { error, stood: Some(clock.now().duration_since(now)) },
    }
}

/// A session.
struct Hearing<'a> {
    ear: &'a mut Ear,
    spec: &'a Spec,
    link: Link,
    memory: &'a mut Memory,
    ends: &'a mut Ends,
    /// Sessions before this one have ended too soon, so that it has to stand for a while before all is well.
    trouble: Option<String>,
    begun_at: Timestamp,
    /// Filters whose messages cannot be told from those of others.
    apart: BTreeSet<String>,
    qos: Qos,
    status: Option<String>,
    /// When the broker was asked whether it is there, while it has not answered.
    asked_at: Option<Timestamp>,
    /// When that is looked at next.
    look_at: Timestamp,
    /// It is to be asked behind what is acknowledged now.
    ask_again: bool,
    /// No message has come since it was asked.
    silent: bool,
    /// What was acknowledged since it was asked, and what before that.
    acknowledged: Vec<u16>,
    confirmed: Vec<u16>,
    /// Since when each message that comes was written: none before this. `None` while the queue may hold older ones.
    since: Option<Timestamp>,
    /// Messages that come once, and whose end is to be acknowledged still.
    releasing: HashMap<u16, ()>,
    /// What the broker does not let us subscribe to.
    refused: Option<String>,
    /// How many retained messages were left out.
    left_out: usize,
}

impl Hearing<'_> {
    async fn go_on(&mut self, specs: &mut watch::Receiver<Arc<Spec>>) -> Result<Stop, Stop> {
        self.subscribe().await?;
        self.ask();
        loop {
            self.flush().await?;
            let clock = Arc::clone(&self.ear.world.clock);
            let look_at = self.look_at;
            let packet = tokio::select! {
                biased;
                packet = self.link.next() => Some(packet?),
                changed = specs.changed() => return Ok(if changed.is_ok() { self.goodbye().await } else { Stop::Stopping }),
                () = clock.sleep_until(look_at) => None,
            };
            let Some(packet) = packet else {
                self.look()?;
                continue;
            };
            let mut packets = vec![packet];
            while packets.len() < BATCH
                && let Some(packet) = self.link.ready()?
            {
                packets.push(packet);
            }
            self.take(packets).await?;
        }
    }

    /// Ends the connection as one that is wanted again at once, with other topics.
    async fn goodbye(&mut self) -> Stop {
        wire::disconnect(&mut self.link.out);
        drop(self.link.flush().await);
        Stop::Changed
    }

    fn ask(&mut self) {
        wire::pingreq(&mut self.link.out);
        let now = self.ear.world.clock.now();
        self.asked_at = Some(now);
        self.look_at = now.checked_add(PING).unwrap_or(now);
        self.silent = true;
        self.ask_again = false;
        self.confirmed.append(&mut self.acknowledged);
    }

    /// Writes what is to be written, and gives up a broker that does not read.
    async fn flush(&mut self) -> Result<(), Stop> {
        let clock = Arc::clone(&self.ear.world.clock);
        let deadline = clock.now().checked_add(SILENCE).unwrap_or(Timestamp::MAX);
        tokio::select! {
            written = self.link.flush() => Ok(written?),
            () = clock.sleep_until(deadline) => Err(std::io::Error::other("the broker does not read what it is sent").into()),
        }
    }

    /// Asks the broker whether it is there, and gives up one that does not answer.
    fn look(&mut self) -> Result<(), Stop> {
        let now = self.ear.world.clock.now();
        if self.trouble.is_some() && now.duration_since(self.begun_at) >= STEADY {
            self.trouble = None;
            self.ends.count = 0;
            self.ear.succeeded();
        }
        match self.asked_at {
            None => self.ask(),
            Some(asked) if now.duration_since(asked) > SILENCE => {
                return Err(Stop::from(std::io::Error::other("the broker does not answer")));
            }
            Some(_) => self.look_at = now.checked_add(PING).unwrap_or(now),
        }
        Ok(())
    }

    /// Subscribes to what is new, and unsubscribes from what nobody wants any more.
    async fn subscribe(&mut self) -> Result<(), Stop> {
        let mut wanted = BTreeSet::new();
        for filter in self.spec.wanted.iter().map(|wanted| &wanted.filter).filter(|filter| !filter.starts_with(OWN)) {
            match filter_error(filter) {
                None => drop(wanted.insert(filter.clone())),
                Some(error) => self.refused = Some(format!("`{filter}`: {error}")),
            }
        }
        self.set_apart(&mut wanted);
        self.clear();
        let gone: Vec<String> = self.memory.topics.difference(&wanted).cloned().collect();
        let new: Vec<String> = wanted.difference(&self.memory.topics).cloned().collect();
        if !gone.is_empty() {
            let id = self.link.next_id();
            wire::unsubscribe(&mut self.link.out, id, gone.iter().map(String::as_str));
        }
        if let Some(topic) = self.status.clone() {
            self.keep(&topic, "online");
        }
        if new.is_empty() {
            self.memory.topics = wanted;
            return self.begun().await;
        }
        let id = self.link.next_id();
        wire::subscribe(&mut self.link.out, id, new.iter().map(String::as_str), self.qos);
        self.flush().await?;
        // What comes before the answer is of an earlier session, or retained.
        let clock = Arc::clone(&self.ear.world.clock);
        let deadline = clock.now().checked_add(SILENCE).unwrap_or(Timestamp::MAX);
        let codes = loop {
            let packet = tokio::select! {
                packet = self.link.next() => packet?,
                () = clock.sleep_until(deadline) => return Err(std::io::Error::other("the broker does not answer").into()),
            };
            match packet {
                Packet::SubAck { id: found, codes } if found == id => break codes,
                other => self.take(vec![other]).await?,
            }
        };
        if codes.len() != new.len() {
            return Err(std::io::Error::other("the broker does not say what it has subscribed us to").into());
        }
        let mut topics = wanted;
        for (filter, code) in new.iter().zip(codes) {
            if code > 2 {
                topics.remove(filter);
                self.refused = Some(format!("`{filter}`: the broker does not let this user subscribe to it"));
            }
        }
        self.memory.topics = topics;
        self.begun().await
    }

    /// Of a shared subscription each message comes to one of those who have it. Where another filter of ours has the same messages, nobody
    /// could say of one whose turn it is.
    fn set_apart(&mut self, wanted: &mut BTreeSet<String>) {
        for shared in wanted.iter().filter(|filter| is_shared(filter)) {
            if let Some(other) = wanted.iter().find(|other| *other != shared && overlap(shared, other)) {
                self.refused = Some(format!(
                    "`{shared}` and `{other}` mean the same messages, and the broker does not say which of the two one came by: subscribe to one of them by a connection of its own, with another `client_id`"
                ));
                self.apart.insert(shared.clone());
            }
        }
        wanted.retain(|filter| !self.apart.contains(filter));
    }

    /// Publishes a message that the broker keeps.
    fn keep(&mut self, topic: &str, payload: &str) {
        let id = self.link.next_id();
        wire::publish(&mut self.link.out, topic, payload.as_bytes(), Qos::AtLeast, true, id);
    }

    /// Takes away what was kept for those who are listened to no more.
    fn clear(&mut self) {
        let clears = self.spec.wanted.iter().filter_map(|wanted| Some((wanted.filter.clone(), wanted.clears.clone()?)));
        let clears: BTreeMap<String, String> = clears.collect();
        let before = std::mem::replace(&mut self.memory.clears, clears);
        for (filter, topic) in before {
            if !self.memory.clears.contains_key(&filter) {
                info!(connection = self.ear.key.0, topic, "nobody listens any more: what was published is taken away");
                self.keep(&topic, "");
            }
        }
    }

    /// The session has begun, which some flows wait for.
    async fn begun(&mut self) -> Result<(), Stop> {
        match (self.refused.take(), &self.trouble) {
            (Some(refused), _) => self.ear.failed(&refused, true),
            (None, Some(trouble)) => self.ear.failed(trouble, false),
            (None, None) => self.ear.succeeded(),
        }
        let connected =
            Message { again: false, retained: false, id: None, topic: format!("{OWN}connected"), payload: Bytes::new() };
        let events = self.events(connected);
        self.remember(events).await?;
        let topics = self.memory.topics.len();
        info!(connection = self.ear.key.0, topics, queued = self.link.session_present, "listening to a broker");
        Ok(())
    }

    /// Takes packets in their order: messages first into the store, then acknowledged.
    async fn take(&mut self, packets: Vec<Packet>) -> Result<(), Stop> {
        let mut events = Vec::new();
        let mut taken: Vec<(Qos, u16)> = Vec::new();
        for packet in packets {
            match packet {
                Packet::Publish { again, retained, qos, id, topic, payload } => {
                    self.silent = false;
                    let message = Message { again, retained, id, topic, payload };
                    events.extend(self.events(message));
                    taken.extend(id.map(|id| (qos, id)));
                }
                Packet::TooLarge { qos, id, topic, bytes } => {
                    self.silent = false;
                    warn!(connection = self.ear.key.0, topic, bytes, "a message is too large and is left out");
                    let shown: String = topic.chars().take(200).collect();
                    self.ear.left_out(&format!(
                        "a message on `{shown}` has {bytes} bytes, and {} at most are read",
                        wire::MAX_MESSAGE
                    ));
                    taken.extend(id.map(|id| (qos, id)));
                }
                Packet::PubRel(id) => {
                    self.releasing.remove(&id);
                    wire::pubcomp(&mut self.link.out, id);
                    self.acknowledged.push(id);
                }
                Packet::PingResp => self.answered(),
                Packet::ConnAck { .. }
                | Packet::PubAck(_)
                | Packet::PubRec(_)
                | Packet::PubComp(_)
                | Packet::SubAck { .. }
                | Packet::UnsubAck(_) => {}
            }
        }
        if !events.is_empty() {
            self.remember(events).await?;
        }
        for (qos, id) in taken {
            if qos == Qos::Exactly {
                self.releasing.insert(id, ());
                wire::pubrec(&mut self.link.out, id);
            } else {
                wire::puback(&mut self.link.out, id);
                self.acknowledged.push(id);
            }
        }
        let many = self.acknowledged.len() >= MOST_UNREAD && self.asked_at.is_none();
        if self.ask_again || many {
            self.ask();
        }
        Ok(())
    }

    /// The broker has read all that was written before it was asked.
    fn answered(&mut self) {
        let Some(asked) = self.asked_at.take() else { return };
        for id in std::mem::take(&mut self.confirmed) {
            self.memory.unread.remove(&id);
        }
        // Behind a silence nothing is left in the queue: it would have come before the answer.
        if self.since.is_some() || self.silent {
            self.since = Some(asked);
        } else {
            // The queue may not be empty yet: ask again behind what is acknowledged now.
            self.ask_again = true;
        }
    }

    /// Returns the events that a message is: one for each source that listens to its topic.
    fn events(&mut self, message: Message) -> Vec<Incoming> {
        let Message { again, retained, id, topic, payload } = message;
        let heard: Vec<&Wanted> = self
            .spec
            .wanted
            .iter()
            .filter(|wanted| !self.apart.contains(&wanted.filter) && matches(&wanted.filter, &topic))
            .collect();
        let content = digest(&format!("{topic}\0{}", hex::encode(&payload)));
        if let Some(id) = id {
            let known = self.memory.unread.get(&id) == Some(&content);
            if (again || self.releasing.contains_key(&id)) && known {
                debug!(connection = self.ear.key.0, topic, "the broker sends a message once more");
                return Vec::new();
            }
            self.memory.unread.insert(id, content.clone());
            // The number stands for another message from here on.
            self.acknowledged.retain(|known| *known != id);
            self.confirmed.retain(|known| *known != id);
        }
        if heard.is_empty() {
            return Vec::new();
        }
        if retained {
            let wanted = heard.iter().any(|wanted| asks(&wanted.options, "retained"));
            if !wanted || self.memory.retained.get(&topic) == Some(&content) {
                self.left_out += 1;
                if self.left_out <= MOST_SAID {
                    info!(connection = self.ear.key.0, topic, "a retained message is no event");
                }
                return Vec::new();
            }
            if self.memory.retained.len() >= MOST_RETAINED && !self.memory.retained.contains_key(&topic) {
                self.memory.retained.pop_first();
            }
            self.memory.retained.insert(topic.clone(), content);
        }
        let at = self.ear.world.clock.now();
        let fields = fields(&topic, &payload, retained, at);
        // What is kept by the broker has no age.
        let times = self.since.filter(|_| !retained && !again).map(|since| Times { since, at });
        let mut events: Vec<(&Wanted, Vec<String>)> = Vec::new();
        for wanted in heard {
            match events.iter_mut().find(|(first, _)| first.source == wanted.source) {
                Some((_, values)) => values.push(wanted.value.clone()),
                None => events.push((wanted, vec![wanted.value.clone()])),
            }
        }
        let mut made = Vec::with_capacity(events.len());
        for (wanted, values) in events {
            let mut fields = fields.clone();
            fields.insert("value".to_owned(), json!(wanted.value_of(&topic)));
            made.push(event(self.ear.fresh_id(), &wanted.source, times, values, fields));
        }
        made
    }

    /// Commits events with what is remembered. While the store refuses nothing is acknowledged.
    async fn remember(&mut self, events: Vec<Incoming>) -> Result<(), Stop> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.ear.take_in(events.clone(), self.memory).await {
                Ok(()) => return Ok(()),
                Err(Deaf::Stopping) => return Err(Stop::Stopping),
                Err(Deaf::Later(reason)) => {
                    self.ear.failed(&reason, false);
                    let until = crate::poll::later(self.ear.world.clock.now(), pause);
                    self.ear.world.clock.sleep_until(until).await;
                    pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
                }
            }
        }
    }
}

struct Message {
    again: bool,
    retained: bool,
    id: Option<u16>,
    topic: String,
    payload: Bytes,
}

/// What a flow sees of a message: its text, what that is as JSON, and where it is no text its bytes.
fn fields(topic: &str, payload: &Bytes, retained: bool, at: Timestamp) -> Map<String, Json> {
    let mut fields = Map::new();
    fields.insert("topic".to_owned(), json!(topic));
    match std::str::from_utf8(payload) {
        Ok(text) => {
            fields.insert("payload".to_owned(), json!(text));
            if let Ok(found) = crate::json::read::<Json>(payload) {
                fields.insert("json".to_owned(), found);
            }
        }
        Err(_) => {
            let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, payload);
            fields.insert("bytes".to_owned(), json!(encoded));
        }
    }
    fields.insert("retained".to_owned(), json!(retained));
    fields.insert("at".to_owned(), json!(at.to_string()));
    fields
}
