//! A queue before a thread that takes together what waits at one moment.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What waits.
pub(super) trait Waits {
    /// How much room it takes of what is taken together.
    fn weight(&self) -> usize;
    /// Somebody waits for it.
    fn is_urgent(&self) -> bool;
}

/// How much is taken together, and what is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Portion {
    /// Those whose answers went out together come back together: waiting for so many, for a fraction of what a commit
    /// takes, spares commits. Where they come one by one nothing waits.
    pub(super) together: usize,
    /// How long that is waited for.
    pub(super) gather: Duration,
    /// How long what nobody waits for may lie, unless there is as much as goes at once.
    pub(super) lag: Duration,
    /// So much goes at once.
    pub(super) weight: usize,
}

/// Why something cannot wait here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shut {
    /// As many wait as may.
    Full,
    /// Nobody takes anything any more.
    Closed,
}

/// The queue.
pub(super) struct Lobby<T> {
    inner: Mutex<Inner<T>>,
    woken: Condvar,
    most: usize,
}

struct Inner<T> {
    waiting: VecDeque<T>,
    weight: usize,
    urgent: usize,
    closed: bool,
    /// What the thread sleeps for; `None` where it is awake.
    asleep: Option<Sleep>,
}

#[derive(Debug, Clone, Copy)]
struct Sleep {
    /// So many that wait.
    count: usize,
    /// Something urgent, however few wait.
    urgent: bool,
}

impl<T: Waits> Lobby<T> {
    /// Returns a queue in which at most so many wait.
    pub(super) fn new(most: usize) -> Self {
        let inner = Inner { waiting: VecDeque::new(), weight: 0, urgent: 0, closed: false, asleep: None };
        Self { inner: Mutex::new(inner), woken: Condvar::new(), most }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets something wait; it comes back where it cannot.
    pub(super) fn enter(&self, one: T) -> Result<(), (T, Shut)> {
        let mut inner = self.lock();
        if inner.closed {
            return Err((one, Shut::Closed));
        }
        if inner.waiting.len() >= self.most {
            return Err((one, Shut::Full));
        }
        let wakes = inner.enter(one);
        drop(inner);
        if wakes {
            self.woken.notify_one();
        }
        Ok(())
    }

    /// Lets all of these wait, however many there are: whoever brings them has a bound of its own. It comes before the end,
    /// so that it is open.
    pub(super) fn enter_all(&self, all: impl IntoIterator<Item = T>) {
        let mut inner = self.lock();
        let mut wakes = false;
        for one in all {
            wakes |= inner.enter(one);
        }
        drop(inner);
        if wakes {
            self.woken.notify_one();
        }
    }

    /// Puts back what was taken, before everything else.
    pub(super) fn put_back(&self, all: Vec<T>) {
        let mut inner = self.lock();
        for one in all.into_iter().rev() {
            inner.count(&one);
            inner.waiting.push_front(one);
        }
    }

    /// Nothing more gets in. What waits is still taken.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.woken.notify_all();
    }

    /// Tells whether it is closed.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Waits until something comes beside what waits already, or for so long.
    pub(super) fn rest(&self, longest: Duration) {
        let mut inner = self.lock();
        let (known, until) = (inner.waiting.len(), Instant::now() + longest);
        while inner.waiting.len() <= known && !inner.closed {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            inner = self.sleep(inner, Sleep { count: known + 1, urgent: false }, left);
        }
    }

    /// Takes what waits, at least one. Returns `None` when it is closed and empty.
    pub(super) fn take(&self, portion: Portion) -> Option<Vec<T>> {
        let mut inner = self.lock();
        while inner.waiting.is_empty() {
            if inner.closed {
                return None;
            }
            inner.asleep = Some(Sleep { count: 1, urgent: false });
            inner = self.woken.wait(inner).unwrap_or_else(PoisonError::into_inner);
            inner.asleep = None;
        }
        let mut until: Option<(Instant, bool)> = None;
        while !inner.closed && inner.weight < portion.weight {
            let urgent = inner.urgent > 0;
            if urgent && inner.waiting.len() >= portion.together {
                break;
            }
            let now = Instant::now();
            let end = match until {
                Some((end, was)) if was == urgent => end,
                Some((end, _)) => end.min(now + portion.gather),
                None => now + if urgent { portion.gather } else { portion.lag },
            };
            until = Some((end, urgent));
            let left = end.saturating_duration_since(now);
            if left.is_zero() {
                break;
            }
            // What nobody waits for is looked at when the time is up; how heavy it is, now and then before that.
            let count = if urgent { portion.together } else { inner.waiting.len() + LOOK };
            inner = self.sleep(inner, Sleep { count, urgent: !urgent }, left);
        }
        Some(inner.take(portion.weight))
    }

    fn sleep<'a>(&'a self, mut inner: MutexGuard<'a, Inner<T>>, sleep: Sleep, longest: Duration) -> MutexGuard<'a, Inner<T>> {
        inner.asleep = Some(sleep);
        let (mut inner, _) = self.woken.wait_timeout(inner, longest).unwrap_or_else(PoisonError::into_inner);
        inner.asleep = None;
        inner
    }
}

/// After so many more the thread looks whether there is enough.
const LOOK: usize = 64;

impl<T: Waits> Inner<T> {
    /// Returns whether that wakes the thread.
    fn enter(&mut self, one: T) -> bool {
        let urgent = one.is_urgent();
        self.count(&one);
        self.waiting.push_back(one);
        let wakes = self.asleep.is_some_and(|sleep| self.waiting.len() >= sleep.count || urgent && sleep.urgent);
        if wakes {
            // One call suffices.
            self.asleep = None;
        }
        wakes
    }

    fn count(&mut self, one: &T) {
        self.weight += one.weight();
        self.urgent += usize::from(one.is_urgent());
    }

    fn take(&mut self, most: usize) -> Vec<T> {
        let (mut count, mut weight) = (0, 0);
        for one in &self.waiting {
            weight += one.weight();
            if count > 0 && weight > most {
                break;
            }
            count += 1;
        }
        let taken: Vec<T> = self.waiting.drain(..count).collect();
        self.weight -= taken.iter().map(Waits::weight).sum::<usize>();
        self.urgent -= taken.iter().filter(|one| one.is_urgent()).count();
        taken
    }
}
