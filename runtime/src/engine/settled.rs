//! Whether there is anything left to do at this moment: told at each change, to whoever waits for it.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// A truth that is told far more often than somebody waits for it.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    is: AtomicBool,
    told: Notify,
}

impl Settled {
    /// Says whether the executor has nothing to do until an instant to come.
    pub(crate) fn tell(&self, is: bool) {
        self.is.store(is, Ordering::SeqCst);
        self.told.notify_waiters();
    }

    /// Returns what is next told from now on, whatever it is.
    pub(crate) fn told(&self) -> Notified<'_> {
        self.told.notified()
    }

    /// Returns when there is nothing to do.
    pub(crate) async fn wait(&self) {
        loop {
            // INVARIANT: it hears of what is told from here on, so nothing is missed between the look and the wait.
            let told = self.told();
            if self.is.load(Ordering::SeqCst) {
                return;
            }
            told.await;
        }
    }
}
