//! Publishing: done when the broker has acknowledged it. A connection is made when it is needed, and ends soon after.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::codec::{self, Packet, Qos};
use super::link::{Broker, Link, Session};
use super::topic_error;
use crate::via::{Channel, done};
use crate::world::{HttpAnswer, TransportError};

/// A connection that nobody needs is kept for so long.
const IDLE: Duration = Duration::from_secs(10);
/// One that was idle answers within this, or another is made.
const STILL_THERE: Duration = Duration::from_secs(3);
/// So many idle ones are kept for a broker.
const MOST_IDLE: usize = 4;

type Idle = Arc<Mutex<HashMap<String, Vec<(Broker, Link, u64)>>>>;

/// The connections over which messages are published.
#[derive(Debug, Default)]
pub(crate) struct Publishers {
    idle: Idle,
    count: std::sync::atomic::AtomicU64,
}

impl Publishers {
    /// Publishes a message.
    pub(crate) async fn publish(
        &self,
        channel: &Channel,
        what: &Json,
        timeout: Duration,
        forbids: &(dyn Fn() -> Option<String> + Send + Sync),
    ) -> Result<HttpAnswer, TransportError> {
        let topic = what.get("topic").and_then(Json::as_str).unwrap_or_default();
        if let Some(error) = topic_error(topic) {
            return Err(TransportError::Refused(error.to_owned()));
        }
        let payload = match what.get("payload") {
            Some(Json::String(text)) => text.clone(),
            Some(Json::Null) | None => String::new(),
            Some(json) => json.to_string(),
        };
        if topic.len() + payload.len() + 4 > codec::MAX_PACKET {
            return Err(TransportError::Refused("a message has 256 MB at most".to_owned()));
        }
        let retain = what.get("retain").and_then(Json::as_bool).unwrap_or(false);
        if channel.stand_in {
            tracing::info!(connection = channel.connection, topic, "simulated: a message is not published");
            return Ok(done(&json!({ "ok": true })));
        }
        let broker = Broker::of(channel)?;
        let qos = what.get("qos").and_then(Json::as_u64).map_or(Some(broker.qos), Qos::of);
        let qos = qos.ok_or_else(|| TransportError::Refused("`qos` is 0, 1 or 2".to_owned()))?;
        let mut link = self.link(&channel.connection, &broker).await?;
        if let Some(reason) = forbids() {
            return Err(TransportError::NotConnected(format!("it was not sent: {reason}")));
        }
        let id = link.next_id();
        codec::publish(&mut link.out, topic, payload.as_bytes(), qos, retain, id);
        match tokio::time::timeout(timeout, acknowledged(&mut link, qos, id)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(TransportError::NoAnswer(format!("the broker has not acknowledged it: {error}"))),
            Err(_) => return Err(TransportError::NoAnswer("the broker has not acknowledged it in time".to_owned())),
        }
        self.keep(&channel.connection, broker, link);
        Ok(done(&json!({ "ok": true })))
    }

    async fn link(&self, connection: &str, broker: &Broker) -> Result<Link, TransportError> {
        while let Some((known, mut link)) = self.take(connection) {
            if known == *broker && link.is_alive(STILL_THERE).await {
                return Ok(link);
            }
        }
        // Two of one name would end each other.
        let number = self.count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let client_id = format!("{}-{:x}-{number:x}", broker.client_id, std::process::id());
        Link::open(broker, &Session { client_id: &client_id, clean: true, will: None }).await
    }

    fn take(&self, connection: &str) -> Option<(Broker, Link)> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let (broker, link, _) = idle.get_mut(connection)?.pop()?;
        Some((broker, link))
    }

    /// Keeps a connection for a moment: messages often come several at a time.
    fn keep(&self, connection: &str, broker: Broker, link: Link) {
        let number = self.count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            let kept = idle.entry(connection.to_owned()).or_default();
            if kept.len() >= MOST_IDLE {
                return;
            }
            kept.push((broker, link, number));
        }
        let (idle, connection) = (Arc::clone(&self.idle), connection.to_owned());
        tokio::spawn(async move {
            tokio::time::sleep(IDLE).await;
            let link = {
                let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(kept) = idle.get_mut(&connection) else { return };
                let found = kept.iter().position(|(_, _, known)| *known == number).map(|at| kept.remove(at));
                if kept.is_empty() {
                    idle.remove(&connection);
                }
                found
            };
            if let Some((_, link, _)) = link {
                link.close().await;
            }
        });
    }
}

/// Comes to the broker under a name that nobody else has, and goes again.
pub(crate) async fn greet(channel: &Channel) -> Result<(), TransportError> {
    let broker = Broker::of(channel)?;
    let client_id = format!("{}-{:x}-check", broker.client_id, std::process::id());
    let link = Link::open(&broker, &Session { client_id: &client_id, clean: true, will: None }).await?;
    link.close().await;
    Ok(())
}

/// Waits until the broker has taken the message over. Of one that is not acknowledged it is known by what comes behind it: a
/// broker reads in order.
async fn acknowledged(link: &mut Link, qos: Qos, id: u16) -> std::io::Result<()> {
    if qos == Qos::AtMost {
        codec::pingreq(&mut link.out);
    }
    link.flush().await?;
    loop {
        match (link.next().await?, qos) {
            (Packet::PingResp, Qos::AtMost) => return Ok(()),
            (Packet::PubAck(found), Qos::AtLeast) if found == id => return Ok(()),
            (Packet::PubRec(found), Qos::Exactly) if found == id => {
                codec::pubrel(&mut link.out, id);
                link.flush().await?;
            }
            (Packet::PubComp(found), Qos::Exactly) if found == id => return Ok(()),
            _ => {}
        }
    }
}
