//! When a process ends that does not know of it, and when it has nothing to do.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use flow_runtime::store::Pace;
use flow_runtime::world::{BoxFuture, Clock};
use jiff::SignedDuration;

use super::clock::SimClock;
use super::dice::Dice;
use crate::disk::SimDisk;

/// Where the power can go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Point {
    /// Behind a commit that nobody has heard of.
    Commit,
    /// Behind the intent, before the request arrives.
    Request,
    /// Behind the effect, before its answer arrives.
    Effect,
}

/// The power of a process.
pub(super) struct Power {
    armed: Mutex<Option<(Point, u64)>>,
    gone: AtomicBool,
    watcher: Mutex<Option<Waker>>,
    idle: AtomicBool,
    idler: Mutex<Option<Waker>>,
    dice: Mutex<Dice>,
    /// How eagerly others go first before a commit.
    dawdles: u64,
    commits: AtomicU64,
    clock: Arc<SimClock>,
    /// The disk, where the story has one.
    disk: Mutex<Option<SimDisk>>,
}

impl Power {
    pub(super) fn new(seed: u64, clock: &Arc<SimClock>) -> Arc<Self> {
        let mut dice = Dice::new(seed, 2);
        let dawdles = *dice.pick(&[0, 0, 2, 6]);
        Arc::new(Self {
            armed: Mutex::default(),
            gone: AtomicBool::new(false),
            watcher: Mutex::default(),
            idle: AtomicBool::new(false),
            idler: Mutex::default(),
            dice: Mutex::new(dice),
            dawdles,
            commits: AtomicU64::new(0),
            clock: Arc::clone(clock),
            disk: Mutex::default(),
        })
    }

    /// Without power nothing more gets onto this disk; and where it goes at an operation of the disk, that is known here.
    pub(super) fn feeds(self: &Arc<Self>, disk: &SimDisk) {
        let power = Arc::downgrade(self);
        disk.when_off(move || {
            if let Some(power) = power.upgrade() {
                power.is_noticed();
            }
        });
        *self.disk.lock().unwrap() = Some(disk.clone());
    }

    /// The process has ended: nobody is to be woken any more. Who would be holds the runtime, and that holds this.
    pub(super) fn forgets_process(&self) {
        *self.watcher.lock().unwrap() = None;
        *self.idler.lock().unwrap() = None;
    }

    /// It goes now.
    pub(super) fn goes(&self) {
        if let Some(disk) = &*self.disk.lock().unwrap() {
            disk.off_after(0);
        }
        self.is_noticed();
    }

    fn is_noticed(&self) {
        self.gone.store(true, Ordering::SeqCst);
        if let Some(waker) = self.watcher.lock().unwrap().take() {
            waker.wake();
        }
    }

    /// It goes when this has happened so often.
    pub(super) fn goes_at(&self, point: Point, times: u64) {
        *self.armed.lock().unwrap() = Some((point, times));
    }

    /// It stays.
    pub(super) fn stays(&self) {
        *self.armed.lock().unwrap() = None;
    }

    /// Another process begins.
    pub(super) fn is_back(&self) {
        self.stays();
        self.gone.store(false, Ordering::SeqCst);
    }

    /// Something happens; tells whether it is the last thing.
    pub(super) fn passes(&self, point: Point) -> bool {
        if point == Point::Commit {
            self.commits.fetch_add(1, Ordering::SeqCst);
        }
        let mut armed = self.armed.lock().unwrap();
        match &mut *armed {
            Some((at, left)) if *at == point => {
                *left = left.saturating_sub(1);
                if *left > 0 {
                    return false;
                }
            }
            _ => return false,
        }
        *armed = None;
        drop(armed);
        self.goes();
        true
    }

    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::SeqCst)
    }

    /// Returns when the power is gone.
    pub(super) async fn is_gone(&self) {
        std::future::poll_fn(|context| {
            if self.gone.load(Ordering::SeqCst) {
                return Poll::Ready(());
            }
            *self.watcher.lock().unwrap() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// The runtime has nothing to run.
    pub(super) fn nothing_to_run(&self) {
        let idler = self.idler.lock().unwrap().take();
        if let Some(idler) = idler {
            self.idle.store(true, Ordering::SeqCst);
            idler.wake();
        }
    }

    /// Returns when the runtime has nothing to run but the caller.
    pub(super) async fn idle(&self) {
        self.idle.store(false, Ordering::SeqCst);
        std::future::poll_fn(|context| {
            if self.idle.load(Ordering::SeqCst) {
                return Poll::Ready(());
            }
            *self.idler.lock().unwrap() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl Pace for Power {
    fn next(&self) -> (u32, usize) {
        let mut dice = self.dice.lock().unwrap();
        let gives_way = u32::try_from(dice.below(self.dawdles + 1)).unwrap();
        let most = if dice.percent(70) { 64 } else { 1 };
        (gives_way, most)
    }

    fn committed(&self) {
        self.passes(Point::Commit);
    }

    fn rest(&self) -> BoxFuture<'static, ()> {
        let clock = Arc::clone(&self.clock);
        Box::pin(async move { clock.sleep_until(clock.now() + SignedDuration::from_secs(1)).await })
    }
}
