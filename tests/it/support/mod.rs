//! What the tests share: projects on disk, the real programs, a recording server, signatures.

pub(crate) mod broker;
pub(crate) mod daemon;
pub(crate) mod http;
pub(crate) mod leaks;
pub(crate) mod page;
pub(crate) mod port;
pub(crate) mod program;
pub(crate) mod recorder;
pub(crate) mod sandbox;
pub(crate) mod scripted;
pub(crate) mod stripe;

use std::time::{Duration, Instant};

/// So long is waited for what has to come: a machine that runs tests may be slow, and busy with others.
pub(crate) const PATIENCE: Duration = Duration::from_secs(150);

/// Waits for a condition; fails after a patience that only a broken program exhausts.
pub(crate) fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let patience = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < patience, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(3));
    }
}
