//! What `why` asks of the engine beside the event.

use jiff::Timestamp;
use tokio::sync::watch;

use super::{AtTheTime, Engine, Shared};
use crate::delivered::{Again, Connection, Pace};
use crate::event::Via;
use crate::key;
use crate::store::{AcceptBatch, StoreError, StoredEvent};
use crate::why::{Asked, Pauses, Remembered, Why, why};
use flow_functions::rfc3339;

/// The memory of one question.
struct Memory<'s> {
    shared: &'s Shared,
    event: &'s StoredEvent,
}

impl Remembered for Memory<'_> {
    fn pauses(&self, flow: &str) -> Pauses {
        self.shared.pauses(flow)
    }

    fn version(&self, flow: &str) -> AtTheTime {
        self.shared.version_at(flow, self.event.received_at).unwrap_or_else(|error| {
            tracing::debug!(flow, %error, "the versions of a flow cannot be read");
            AtTheTime::Unknown
        })
    }

    fn gone(&self) -> Vec<String> {
        self.shared.gone_since(self.event.received_at)
    }

    fn started_before(&self, flow: &str, identity: &str, key: &str) -> Option<String> {
        let id = key::run_id(flow, &self.event.connection, identity, key, 0);
        let run = self.shared.store.run(&id).ok().flatten().filter(|run| run.event != self.event.seq)?;
        let first = self.shared.store.event(run.event).ok().flatten();
        let came = first.map(|first| format!(" (by {}, {})", way(first.via), rfc3339(first.received_at))).unwrap_or_default();
        Some(format!("the flow starts once for this key: {}{came} had the same one, and started {id}", run.event_id))
    }
}

/// The way that an event came, in a word.
pub(crate) fn way(via: Via) -> &'static str {
    match via {
        Via::Webhook => "webhook",
        Via::Poll => "poll",
        Via::Clock => "the clock",
        Via::Engine => "flowd itself",
    }
}

impl Engine {
    /// Returns why an event started flows of its connection, or did not: of all, or of `flow` alone. Each is told by the
    /// version that was live when the event came, as far as that is kept.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn why(&self, event: &StoredEvent, flow: Option<&str>, personal: bool) -> Result<Vec<Why>, StoreError> {
        let current = self.shared.current();
        let mut ran = Vec::new();
        for id in self.shared.store.runs_of_event(event.seq)? {
            ran.extend(self.shared.store.run(&id)?);
        }
        let drops = self.shared.store.drops(event.seq)?;
        let asked = Asked { event, only: flow, ran: &ran, drops: &drops, personal };
        Ok(why(&current.matcher, &current.live, &asked, &Memory { shared: &self.shared, event }))
    }

    /// Tells whether a flow is live, or was.
    pub(crate) fn knows(&self, flow: &str) -> bool {
        self.shared.current().matcher.flow(flow).is_some()
            || self.shared.gone_since(Timestamp::MIN).iter().any(|gone| gone == flow)
    }

    /// Returns how often an event came after the first time.
    pub(crate) fn came_again(&self, event: &StoredEvent) -> Option<Again> {
        self.shared.delivered.again(&event.connection, &event.id)
    }

    /// Returns what came for a connection lately.
    pub(crate) fn delivered(&self, connection: &str) -> Connection {
        self.shared.delivered.of(connection)
    }

    /// Notes a delivery that was refused; see [`crate::delivered::Delivered::refused`].
    pub(crate) fn refused(&self, connection: &str, code: &str, status: u16, message: &str) {
        self.shared.delivered.refused(connection, code, status, message, self.now());
    }

    /// Writes down what came lately, soon after it came and beside those who take it in, until it is to stop.
    pub(crate) async fn keep_delivered(&self, mut stops: watch::Receiver<bool>) {
        let mut pace = Pace::new();
        loop {
            let is_time = async {
                self.shared.delivered.news().await;
                let at = self.now().checked_add(pace.wait(self.now())).unwrap_or(Timestamp::MAX);
                self.shared.world.clock.sleep_until(at).await;
            };
            tokio::select! {
                () = is_time => {}
                _ = stops.changed() => return,
            }
            self.write_delivered().await;
            pace.written(self.now());
        }
    }

    /// Writes down what came lately.
    pub(crate) async fn write_delivered(&self) {
        let book = self.shared.delivered.changes();
        if book.is_empty() {
            return;
        }
        let connections: Vec<String> = book.iter().map(|change| change.key.owner.clone()).collect();
        if let Err(error) = self.shared.store.accept(AcceptBatch { book, ..AcceptBatch::default() }).await {
            tracing::debug!(%error, "what came lately could not be written down");
            self.shared.delivered.not_written(connections);
        }
    }
}
