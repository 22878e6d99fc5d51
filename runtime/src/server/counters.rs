//! What the edges count, for `/metrics`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Counters of the webhook server.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    accepted: AtomicU64,
    duplicates: AtomicU64,
    refused: Mutex<BTreeMap<&'static str, u64>>,
}

impl Counters {
    pub(crate) fn accepted(&self, duplicate: bool) {
        let counter = if duplicate { &self.duplicates } else { &self.accepted };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self, code: &'static str) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner).entry(code).or_default() += 1;
    }

    /// Returns how many were accepted, how many of them were there already, and the refused by code.
    pub(crate) fn read(&self) -> (u64, u64, BTreeMap<&'static str, u64>) {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (self.accepted.load(Ordering::Relaxed), self.duplicates.load(Ordering::Relaxed), refused)
    }
}
