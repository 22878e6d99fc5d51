//! A writer without a thread: a task of the runtime that uses the store, which writes when it is let.
//!
//! As the thread does, it takes the writes in their order, puts several into one transaction, and answers behind it. A
//! simulation decides when and how many, so that what happens between a write and its answer happens in an order that can
//! be had again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::backend::Backend;
use super::writer::{Job, Turns, Work, commit};

/// Decides when a store is written that has no thread.
pub trait Pace: Send + Sync {
    /// Returns how often all others go first before the next transaction, and how many writes it takes at most.
    fn next(&self) -> (u32, usize);
    /// A transaction is on disk, and nobody has heard of it yet.
    fn committed(&self);
}

/// The writes that wait.
pub(super) struct InTurns<B> {
    backend: Arc<B>,
    turns: Arc<Turns>,
    pace: Arc<dyn Pace>,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    /// There is a task that writes them.
    written: bool,
}

impl<B: Backend> InTurns<B> {
    pub(super) fn new(backend: Arc<B>, turns: Arc<Turns>, pace: Arc<dyn Pace>) -> Self {
        Self { backend, turns, pace, waiting: Mutex::default() }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn submit(self: &Arc<Self>, job: Job) {
        let begins = {
            let mut waiting = self.waiting();
            waiting.jobs.push_back(job);
            !std::mem::replace(&mut waiting.written, true)
        };
        if begins {
            let writer = Arc::clone(self);
            tokio::spawn(async move { writer.write_all().await });
        }
    }

    async fn write_all(&self) {
        loop {
            let (gives_way, most) = self.pace.next();
            for _ in 0..gives_way {
                tokio::task::yield_now().await;
            }
            let jobs: Vec<Work> = {
                let mut waiting = self.waiting();
                let count = most.max(1).min(waiting.jobs.len());
                waiting.written = count > 0;
                waiting.jobs.drain(..count).map(Work::Job).collect()
            };
            if jobs.is_empty() {
                return;
            }
            let left = commit(&*self.backend, jobs, &self.turns, |committed| {
                if committed.is_ok() {
                    self.pace.committed();
                }
            });
            debug_assert!(left.is_empty(), "jobs are answered, whatever becomes of them");
        }
    }
}
