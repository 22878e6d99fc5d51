//! A clock that only the simulation moves, forth and back.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use flow_runtime::world::{BoxFuture, Clock, Look};
use jiff::{SignedDuration, Timestamp};

/// What the wall shows, and how far it has been set off.
pub(super) struct SimClock {
    state: Mutex<State>,
    can_jump: bool,
}

struct State {
    now: Timestamp,
    set_off: SignedDuration,
    /// The latest that it has shown the process at hand.
    latest: Timestamp,
    /// By how much it was set back, in all.
    back: SignedDuration,
    sleepers: BTreeMap<(Timestamp, u64), Waker>,
    number: u64,
    /// How often somebody waited for what was past, since time went on.
    in_vain: u32,
}

/// Who waits so often for what is past goes round without end.
const MOST_IN_VAIN: u32 = 20_000;

impl SimClock {
    pub(super) fn new(now: Timestamp, can_jump: bool) -> Self {
        let state = State {
            now,
            set_off: SignedDuration::ZERO,
            latest: Timestamp::MIN,
            back: SignedDuration::ZERO,
            sleepers: BTreeMap::new(),
            number: 0,
            in_vain: 0,
        };
        Self { state: Mutex::new(state), can_jump }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Goes on to an instant.
    pub(super) fn set(&self, now: Timestamp) {
        let due = {
            let mut state = self.state();
            state.now = now;
            state.in_vain = 0;
            let later = state.sleepers.split_off(&(now, u64::MAX));
            std::mem::replace(&mut state.sleepers, later)
        };
        due.into_values().for_each(Waker::wake);
    }

    /// Somebody sets it.
    pub(super) fn jump(&self, by: SignedDuration) {
        let now = {
            let mut state = self.state();
            state.set_off += by;
            state.back -= by.min(SignedDuration::ZERO);
            state.now + by
        };
        self.set(now);
    }

    /// Returns the instant without what the clock was set off by: it only goes forth.
    pub(super) fn steady(&self) -> Timestamp {
        let state = self.state();
        state.now - state.set_off
    }

    /// Returns the next instant that somebody waits for.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.state().sleepers.keys().next().map(|(at, _)| *at)
    }

    /// Returns how often somebody waited for what was past, since time went on.
    pub(super) fn in_vain(&self) -> u32 {
        self.state().in_vain
    }

    /// The process is gone.
    pub(super) fn forget_sleepers(&self) {
        let sleepers = {
            let mut state = self.state();
            state.latest = Timestamp::MIN;
            std::mem::take(&mut state.sleepers)
        };
        drop(sleepers);
    }

    /// Returns the latest instant that it has shown the process at hand.
    pub(super) fn latest(&self) -> Timestamp {
        self.state().latest
    }

    /// Returns by how much it was set back, in all.
    pub(super) fn back(&self) -> SignedDuration {
        self.state().back
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        self.state().now
    }

    fn look(&self) -> Look {
        let mut state = self.state();
        let (now, steady) = (state.now, state.now - state.set_off);
        state.latest = state.latest.max(now);
        Look { now, steady: Duration::try_from(steady.duration_since(Timestamp::UNIX_EPOCH)).ok() }
    }

    fn sleep_until(&self, until: Timestamp) -> BoxFuture<'_, ()> {
        Box::pin(Sleep { clock: self, until, number: None })
    }

    fn can_jump(&self) -> bool {
        self.can_jump
    }
}

struct Sleep<'c> {
    clock: &'c SimClock,
    until: Timestamp,
    number: Option<u64>,
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(mut self: std::pin::Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.clock.state();
        if state.now >= self.until {
            state.in_vain += u32::from(self.number.is_none());
            let in_vain = state.in_vain;
            drop(state);
            assert!(in_vain < MOST_IN_VAIN, "somebody goes round without waiting");
            return Poll::Ready(());
        }
        let number = self.number.unwrap_or_else(|| {
            state.number += 1;
            state.number
        });
        state.sleepers.insert((self.until, number), context.waker().clone());
        drop(state);
        self.number = Some(number);
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            let waker = self.clock.state().sleepers.remove(&(self.until, number));
            drop(waker);
        }
    }
}
