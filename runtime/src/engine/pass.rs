//! Requests that are no turn of a run: pages of polls, readings of states, and what confirms an action.
//!
//! They share the limit, the quota and the health of their connection with the steps of runs.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{Engine, Shared};
use crate::connection::{Asked, Heard, Hold, Purpose, Target};
use crate::executor::Passes;
use crate::store::AcceptBatch;

/// Who is held back looks again after this at the latest: another flow.toml may have more calls.
const LOOK_AGAIN: Duration = Duration::from_secs(3600);
/// While the store refuses to count, nothing that has to be counted is sent.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// Leave to send one request. Whoever has it says what the service had to say; where that is never said, nothing was learnt.
#[derive(Debug)]
pub(crate) struct Pass {
    shared: Arc<Shared>,
    target: Target,
    probe: bool,
    step: bool,
    /// It has a place among the requests that are made at once.
    watches: bool,
    heard: bool,
}

/// Nothing is sent for a while, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Withheld {
    pub(crate) reason: String,
    pub(crate) wait: Duration,
}

impl Withheld {
    fn of(hold: Hold, now: Timestamp) -> Self {
        let wait = Duration::try_from(hold.until.duration_since(now)).unwrap_or_default();
        Self { reason: hold.reason, wait: wait.min(LOOK_AGAIN) }
    }
}

impl Engine {
    /// Waits until a request that is no turn of a run may be sent, or says why that is a long time.
    pub(crate) async fn pass(&self, target: &Target, purpose: Purpose) -> Result<Pass, Withheld> {
        let shared = &self.shared;
        loop {
            let now = shared.world.clock.now();
            let passes = shared.queue().pass(target, purpose, now);
            let sends = match passes {
                Passes::Wait(until) => {
                    shared.world.clock.sleep_until(until).await;
                    continue;
                }
                Passes::Hold(hold) => return Err(Withheld::of(hold, now)),
                Passes::Goes(sends) => sends,
            };
            // From here on it is given back should nobody wait for it any more.
            let step = matches!(purpose, Purpose::Confirm | Purpose::Follow);
            let watches = matches!(purpose, Purpose::Watch | Purpose::Page);
            let shared = Arc::clone(shared);
            let pass =
                Pass { shared: Arc::clone(&shared), target: target.clone(), probe: sends.probe, step, watches, heard: false };
            if sends.counts.is_empty() {
                return Ok(pass);
            }
            let batch = AcceptBatch { meters: sends.counts.clone(), ..AcceptBatch::default() };
            if let Err(error) = shared.store.update_and_accept(Vec::new(), batch).await {
                drop(pass);
                shared.queue().was_not_sent(target, false, &sends.counts, now);
                return Err(Withheld { reason: format!("the request cannot be counted: {error}"), wait: STORE_PAUSE });
            }
            return Ok(pass);
        }
    }
}

impl Pass {
    /// Takes note of what the service had to say. An error says that nothing is asked for a while, because the key is refused
    /// though it worked before, which is how some services say that its calls are used up.
    pub(crate) fn heard(mut self, heard: &Heard) -> Result<(), Withheld> {
        self.tell(heard).map_or(Ok(()), Err)
    }

    fn tell(&mut self, heard: &Heard) -> Option<Withheld> {
        self.heard = true;
        if std::mem::take(&mut self.watches) {
            self.shared.queue().asked(&self.target.connection);
        }
        let asked = Asked { step: self.step, probe: self.probe };
        let now = self.shared.world.clock.now();
        let hold = self.shared.queue().heard(&self.target, heard, asked, now);
        self.shared.touch();
        hold.map(|hold| Withheld::of(hold, now))
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if !self.heard {
            self.tell(&Heard::Nothing);
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}
