//! The emulators as programs see them: over real sockets.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod client;
mod control;
mod faults;
mod kustomer;
mod page;
mod play;
mod rates;
mod receiver;
mod stripe;
mod stripe_events;
mod stripe_idempotency;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use flow_sandbox::{Options, Sandbox};
use jiff::Timestamp;

use crate::client::Client;

/// So long is waited for what has to come: a machine that runs tests may be slow, and busy with others.
pub(crate) const PATIENCE: Duration = Duration::from_secs(150);

/// A clock that stands still until it is moved.
#[derive(Debug, Clone)]
pub(crate) struct Clock(Arc<AtomicI64>);

impl Clock {
    pub(crate) fn new() -> Clock {
        Clock(Arc::new(AtomicI64::new(1_795_000_000_000)))
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }

    pub(crate) fn options(&self) -> Options {
        let clock = self.0.clone();
        Options {
            clock: Arc::new(move || Timestamp::from_millisecond(clock.load(Ordering::SeqCst)).unwrap()),
            seed: Some(7),
            webhook_retry: vec![Duration::from_millis(1); 3],
            // Time stands still: nothing would ever be let in again.
            ..Options::default().unlimited()
        }
    }
}

/// Starts a sandbox with a clock that stands still.
pub(crate) async fn start() -> (Sandbox, Clock) {
    let clock = Clock::new();
    (Sandbox::start(clock.options()).await.unwrap(), clock)
}

fn secret(connector: &str, name: &str) -> &'static str {
    Sandbox::secrets(connector).iter().find(|(n, _)| *n == name).unwrap().1
}

/// A client with the right key for Stripe.
pub(crate) fn stripe(sandbox: &Sandbox) -> Client {
    Client::new(&sandbox.base_url("stripe").unwrap()).header("authorization", &format!("Bearer {}", secret("stripe", "key")))
}

/// A client with the right key for Kustomer.
pub(crate) fn kustomer(sandbox: &Sandbox) -> Client {
    Client::new(&sandbox.base_url("kustomer").unwrap())
        .header("authorization", &format!("Bearer {}", secret("kustomer", "api_key")))
}
