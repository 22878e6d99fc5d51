//! A writer without a thread: a task of the runtime that uses the store, which writes when it is let.
//!
//! As the threads do, it takes the writes in their order, puts several into one transaction, and answers behind it; what comes
//! through the inbox is appended by a task of its own. A simulation decides when and how many, so that what happens between a
//! write and its answer happens in an order that can be had again.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::StoreError;
use super::backend::Backend;
use super::inbox::log::Log;
use super::inbox::{self, Applied, Arrival};
use super::writer::{Job, Turns, Work, commit};
use crate::world::BoxFuture;

/// Decides when a store is written that has no thread.
pub trait Pace: Send + Sync {
    /// Returns how often all others go first before the next transaction, and how many writes it takes at most.
    fn next(&self) -> (u32, usize);
    /// Something is on disk, and nobody has heard of it yet.
    fn committed(&self);
    /// What is durable in the inbox could not be sorted in: returns when that is tried again.
    fn rest(&self) -> BoxFuture<'static, ()>;
}

/// The writes that wait.
pub(super) struct InTurns<B> {
    backend: Arc<B>,
    turns: Arc<Turns>,
    pace: Arc<dyn Pace>,
    waiting: Mutex<Waiting<Work>>,
    inbox: Option<Inbox>,
}

/// The log in front of the store.
struct Inbox {
    arriving: Mutex<Waiting<Arrival>>,
    log: Mutex<(Log, HashSet<String>)>,
    applied: Arc<Applied>,
    longest: usize,
}

struct Waiting<T> {
    all: VecDeque<T>,
    /// There is a task that takes them.
    taken: bool,
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self { all: VecDeque::new(), taken: false }
    }
}

impl<T> Waiting<T> {
    /// Takes at most so many; where there are none the task ends.
    fn take(&mut self, most: usize) -> Vec<T> {
        let count = most.max(1).min(self.all.len());
        self.taken = count > 0;
        self.all.drain(..count).collect()
    }
}

fn locked<T>(waiting: &Mutex<T>) -> MutexGuard<'_, T> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<B: Backend> InTurns<B> {
    pub(super) fn new(backend: Arc<B>, turns: Arc<Turns>, pace: Arc<dyn Pace>, inbox: Option<inbox::Open>) -> Self {
        let inbox = inbox.map(|inbox::Open { log, applied, longest }| Inbox {
            arriving: Mutex::default(),
            log: Mutex::new((log, HashSet::new())),
            applied,
            longest,
        });
        Self { backend, turns, pace, waiting: Mutex::default(), inbox }
    }

    /// Returns the longest record that the inbox takes, where there is one.
    pub(super) fn longest(&self) -> Option<usize> {
        self.inbox.as_ref().map(|inbox| inbox.longest)
    }

    pub(super) fn submit(self: &Arc<Self>, job: Job) {
        self.enter(vec![Work::Job(job)]);
    }

    fn enter(self: &Arc<Self>, work: Vec<Work>) {
        if work.is_empty() {
            return;
        }
        let begins = {
            let mut waiting = locked(&self.waiting);
            waiting.all.extend(work);
            !std::mem::replace(&mut waiting.taken, true)
        };
        if begins {
            let writer = Arc::clone(self);
            tokio::spawn(async move { writer.write_all().await });
        }
    }

    /// Lets something arrive at the inbox.
    pub(super) fn arrive(self: &Arc<Self>, arrival: Arrival) {
        let Some(inbox) = &self.inbox else { return };
        let begins = {
            let mut arriving = locked(&inbox.arriving);
            arriving.all.push_back(arrival);
            !std::mem::replace(&mut arriving.taken, true)
        };
        if begins {
            let appender = Arc::clone(self);
            tokio::spawn(async move { appender.append_all().await });
        }
    }

    async fn write_all(&self) {
        loop {
            let most = self.gives_way().await;
            let work = locked(&self.waiting).take(most);
            if work.is_empty() {
                return;
            }
            if !self.write(work) {
                self.pace.rest().await;
            }
        }
    }

    async fn append_all(self: &Arc<Self>) {
        let Some(inbox) = &self.inbox else { return };
        loop {
            let most = self.gives_way().await;
            let arrivals = locked(&inbox.arriving).take(most);
            if arrivals.is_empty() {
                return;
            }
            let (mut events, mut behind) = (Vec::new(), Vec::new());
            for arrival in arrivals {
                match arrival {
                    Arrival::Events(new) if new.is_first() => events.push(*new),
                    Arrival::Events(new) => behind.push(Work::Job(inbox::decided_later(*new))),
                    Arrival::Job(job) => behind.push(Work::Job(job)),
                }
            }
            if !events.is_empty() {
                // There is nobody else who could make room.
                let mut room = |_| {
                    let work = locked(&self.waiting).all.drain(..).collect();
                    if self.write(work) { Ok(()) } else { Err(StoreError::Io("the inbox is full".to_owned())) }
                };
                let (log, plans) = &mut *locked(&inbox.log);
                match inbox::append(log, &events, plans, &*self.backend, &inbox.applied, &mut room) {
                    Ok(first) => {
                        self.pace.committed();
                        inbox::take(events, first, |taken| self.enter(taken));
                    }
                    Err(error) => events.into_iter().for_each(|new| inbox::refuse(new, &error)),
                }
            }
            self.enter(behind);
        }
    }

    /// Lets others go first; returns how many are taken then.
    async fn gives_way(&self) -> usize {
        let (gives_way, most) = self.pace.next();
        for _ in 0..gives_way {
            tokio::task::yield_now().await;
        }
        most
    }

    /// Writes in one transaction. Returns whether nothing is left that has to be tried again.
    fn write(&self, work: Vec<Work>) -> bool {
        let last = work.iter().rev().find_map(|work| match work {
            Work::Taken(taken) => Some(taken.number()),
            Work::Job(_) => None,
        });
        let left = commit(&*self.backend, work, &self.turns, |committed| {
            if committed.is_ok() {
                if let (Some(inbox), Some(last)) = (&self.inbox, last) {
                    inbox.applied.set(last);
                }
                self.pace.committed();
            }
        });
        let is_done = left.is_empty();
        let mut waiting = locked(&self.waiting);
        left.into_iter().rev().for_each(|one| waiting.all.push_front(one));
        is_done
    }
}
