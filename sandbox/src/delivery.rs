//! Delivers webhooks, each attempt signed anew, and tries again for a while.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Semaphore, broadcast, mpsc, watch};
use tokio::task::JoinSet;

use crate::activity::{Activity, Direction};
use crate::client;
use crate::clock::Clock;
use crate::emulator::Emulator;
use crate::signature::Signer;

/// How many attempts run at a time.
const CONCURRENT: usize = 32;
/// How many deliveries may wait; what comes above is given up at once.
const MOST_WAITING: usize = 200_000;

/// One webhook on its way to one address.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) service: &'static str,
    pub(crate) event: String,
    pub(crate) event_type: String,
    pub(crate) endpoint: Option<String>,
    pub(crate) url: String,
    pub(crate) signer: Signer,
    pub(crate) body: Bytes,
}

/// Takes deliveries; clones feed the same queue.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    sender: mpsc::UnboundedSender<Delivery>,
    /// How many deliveries are neither done nor given up.
    waiting: watch::Sender<usize>,
}

impl Queue {
    pub(crate) fn new() -> (Queue, mpsc::UnboundedReceiver<Delivery>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let queue = Queue { sender, waiting: watch::Sender::new(0) };
        (queue, receiver)
    }

    /// Queues deliveries. What there is no room for is given up.
    pub(crate) fn push_all(&self, deliveries: Vec<Delivery>) {
        for delivery in deliveries {
            let event = delivery.event.clone();
            if !self.push(delivery) {
                tracing::warn!(event, "no room for another webhook");
            }
        }
    }

    /// Queues a delivery; false where there is no room.
    pub(crate) fn push(&self, delivery: Delivery) -> bool {
        if *self.waiting.borrow() >= MOST_WAITING {
            return false;
        }
        self.waiting.send_modify(|waiting| *waiting += 1);
        if self.sender.send(delivery).is_ok() {
            return true;
        }
        self.done();
        false
    }

    /// Waits until at most `most` deliveries are outstanding.
    pub(crate) async fn wait_below(&self, most: usize) {
        // The sender lives in `self`, so the wait cannot fail.
        let _ = self.waiting.subscribe().wait_for(|waiting| *waiting <= most).await;
    }

    fn done(&self) {
        self.waiting.send_modify(|waiting| *waiting = waiting.saturating_sub(1));
    }
}

/// How webhooks are sent.
pub(crate) struct Courier {
    pub(crate) clock: Clock,
    /// The pause before each attempt after the first.
    pub(crate) retry: Vec<Duration>,
    pub(crate) timeout: Duration,
    pub(crate) stream: broadcast::Sender<Activity>,
    pub(crate) emulators: Vec<Weak<dyn Emulator>>,
    pub(crate) queue: Queue,
}

impl Courier {
    /// Delivers what comes from the queue, until its senders are gone.
    pub(crate) async fn run(self, mut receiver: mpsc::UnboundedReceiver<Delivery>) {
        let courier = Arc::new(self);
        let permits = Arc::new(Semaphore::new(CONCURRENT));
        let mut tasks = JoinSet::new();
        while let Some(delivery) = receiver.recv().await {
            while tasks.try_join_next().is_some() {}
            // Waiting for a permit here keeps first attempts in the order of their events.
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                return;
            };
            let (courier, permits) = (Arc::clone(&courier), Arc::clone(&permits));
            tasks.spawn(async move {
                let mut ok = courier.attempt(&delivery, 1).await;
                drop(permit);
                for (pause, number) in courier.retry.iter().zip(2..) {
                    if ok || courier.is_withdrawn(&delivery) {
                        break;
                    }
                    tokio::time::sleep(*pause).await;
                    let Ok(_permit) = permits.acquire().await else {
                        return;
                    };
                    ok = courier.attempt(&delivery, number).await;
                }
                courier.report(&delivery, ok);
                courier.queue.done();
            });
        }
    }

    async fn attempt(&self, delivery: &Delivery, number: usize) -> bool {
        let now = (self.clock)();
        let headers = delivery.signer.headers(now.as_second(), &delivery.body);
        let result = client::post(&delivery.url, &headers, delivery.body.clone(), self.timeout).await;
        let (status, what) = match &result {
            Ok(status) => (Some(*status), format!("answered {status}")),
            Err(error) => (None, error.to_string()),
        };
        let again = if number > 1 { format!(", attempt {number}") } else { String::new() };
        tracing::debug!(service = delivery.service, event = delivery.event, ?status, "webhook");
        // Nobody listening is no error.
        let _ = self.stream.send(Activity {
            at: now,
            service: delivery.service,
            direction: Direction::Webhook,
            method: "POST".to_owned(),
            path: delivery.url.clone(),
            status,
            summary: format!("{} {}: {what}{again}", delivery.event_type, delivery.event),
        });
        result.is_ok_and(|status| (200..300).contains(&status))
    }

    fn emulator(&self, service: &str) -> Option<Arc<dyn Emulator>> {
        self.emulators.iter().filter_map(Weak::upgrade).find(|emulator| emulator.name() == service)
    }

    /// True where the endpoint was removed since: nothing is tried again then.
    fn is_withdrawn(&self, delivery: &Delivery) -> bool {
        let (Some(endpoint), Some(emulator)) = (&delivery.endpoint, self.emulator(delivery.service)) else {
            return false;
        };
        !emulator.has_endpoint(endpoint)
    }

    fn report(&self, delivery: &Delivery, ok: bool) {
        if let Some(emulator) = self.emulator(delivery.service) {
            emulator.delivered(&delivery.event, delivery.endpoint.as_deref(), ok);
        }
    }
}
