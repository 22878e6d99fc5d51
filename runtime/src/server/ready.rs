//! Whether the daemon can take events: the store takes a write.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::store::{Store, StoreError};

/// Asks the store, and keeps its answer for a while: nobody may wake the disk by asking.
pub(crate) struct Readiness {
    store: Arc<dyn Store>,
    last: Mutex<Option<(Instant, Result<(), String>)>>,
}

const KEPT: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(5);

impl Readiness {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, last: Mutex::default() }
    }

    /// Tells whether the store took a write just now, or within the last seconds.
    pub(crate) async fn check(&self) -> Result<(), String> {
        let mut last = self.last.lock().await;
        let known = self.store.check();
        if let Some((at, result)) = &*last
            && at.elapsed() < KEPT
            && result.is_ok() == known.is_ok()
        {
            return result.clone();
        }
        // A flow without a name is never paused, so this changes nothing but has to reach the disk.
        let written = tokio::time::timeout(PATIENCE, self.store.set_paused("", None)).await;
        // After a failure one small write that succeeds says little: the store itself knows when it works again.
        let result = match written.map(|written| written.and_then(|()| self.store.check())) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(StoreError::Gone { .. })) => Err("the store was removed or replaced".to_owned()),
            Ok(Err(_)) => Err("the store takes no writes".to_owned()),
            Err(_) => Err("the store is too slow".to_owned()),
        };
        *last = Some((Instant::now(), result.clone()));
        result
    }
}
