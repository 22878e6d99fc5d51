//! A clock that stands until it is told to go on.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use jiff::Timestamp;

use crate::world::{BoxFuture, Clock};

/// The clock of a simulation.
pub(crate) struct VirtualClock(Mutex<State>);

struct State {
    now: Timestamp,
    /// By instant and number: who waits for it.
    sleepers: BTreeMap<(Timestamp, u64), Waker>,
    number: u64,
}

impl VirtualClock {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self(Mutex::new(State { now, sleepers: BTreeMap::new(), number: 0 }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn instant(&self) -> Timestamp {
        self.state().now
    }

    /// Goes on to an instant, and wakes who waited for it.
    pub(crate) fn set(&self, now: Timestamp) {
        let due = {
            let mut state = self.state();
            state.now = state.now.max(now);
            let reached = (state.now, u64::MAX);
            let later = state.sleepers.split_off(&reached);
            std::mem::replace(&mut state.sleepers, later)
        };
        due.into_values().for_each(Waker::wake);
    }

    /// Returns the next instant that somebody waits for.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.state().sleepers.keys().next().map(|(at, _)| *at)
    }

    /// Forgets who waits: their tasks have ended.
    pub(crate) fn forget_sleepers(&self) {
        self.state().sleepers.clear();
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.instant()
    }

    fn sleep_until(&self, until: Timestamp) -> BoxFuture<'_, ()> {
        Box::pin(Sleep { clock: self, until, number: None })
    }

    /// It goes from one thing that happens to the next; days of nothing are one step.
    fn can_jump(&self) -> bool {
        false
    }
}

/// Somebody who waits; whoever is dropped waits no more.
struct Sleep<'c> {
    clock: &'c VirtualClock,
    until: Timestamp,
    number: Option<u64>,
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(mut self: std::pin::Pin<&mut Self>, ctx: &mut std::task::Context<'_>) -> Poll<()> {
        let mut state = self.clock.state();
        if state.now >= self.until {
            return Poll::Ready(());
        }
        let number = self.number.unwrap_or_else(|| {
            state.number += 1;
            state.number
        });
        state.sleepers.insert((self.until, number), ctx.waker().clone());
        drop(state);
        self.number = Some(number);
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.clock.state().sleepers.remove(&(self.until, number));
        }
    }
}
