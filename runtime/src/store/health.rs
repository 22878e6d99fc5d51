//! Whether writes succeed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::backend::Backend;
use super::{StoreError, tables};

/// Whether writes succeed. Only changes that last are logged: on a full disk small writes go on succeeding now and then.
#[derive(Default)]
pub(super) struct Health {
    trouble: Mutex<Trouble>,
    is_troubled: AtomicBool,
}

#[derive(Default)]
struct Trouble {
    /// What the last failure was, until a write of ordinary size has succeeded.
    error: Option<StoreError>,
    tried_at: Option<Instant>,
}

/// How large a write has to succeed after a failure.
const ORDINARY: usize = 64 * 1024;
/// Such a write is tried no more often.
pub(super) const TRY_EVERY: Duration = Duration::from_secs(1);

impl Health {
    fn trouble(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what is wrong.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.trouble().error.clone().map_or(Ok(()), Err)
    }

    /// Tells whether something is wrong.
    pub(super) fn is_troubled(&self) -> bool {
        self.is_troubled.load(Ordering::SeqCst)
    }

    /// A write failed.
    pub(super) fn failed(&self, error: &StoreError, operations: usize) {
        let before = self.trouble().error.replace(error.clone());
        self.is_troubled.store(true, Ordering::SeqCst);
        if before.is_none_or(|before| std::mem::discriminant(&before) != std::mem::discriminant(error)) {
            tracing::error!(%error, operations, "the store could not be written; this is not said again until it works");
        }
    }

    /// A write succeeded. After a failure that says little: one of ordinary size has to succeed too.
    pub(super) fn succeeded<B: Backend>(&self, backend: &B) {
        if !self.is_troubled() || self.trouble().tried_at.is_some_and(|at| at.elapsed() < TRY_EVERY) {
            return;
        }
        let key = tables::meta("probe");
        // What repeats itself could be stored in less.
        let bytes: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(ORDINARY).collect();
        let tried = backend.write(&mut |to| to.put(&key, &bytes)).and_then(|()| backend.write(&mut |to| to.remove(&key)));
        match tried {
            Ok(()) => {
                *self.trouble() = Trouble::default();
                self.is_troubled.store(false, Ordering::SeqCst);
                tracing::info!("the store works again");
            }
            Err(_) => self.trouble().tried_at = Some(Instant::now()),
        }
    }
}
