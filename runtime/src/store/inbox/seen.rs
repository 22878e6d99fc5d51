//! Which events are on their way in at this moment, so that of several that are the same one alone is new.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The events on their way. They are known by a hash: two that share one are treated as if they were the same, which takes
/// longer and comes to the same end.
#[derive(Debug, Default)]
pub(in crate::store) struct Seen {
    hasher: RandomState,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    all: HashMap<u64, Entry>,
    /// How many of them are taken.
    taken: usize,
}

#[derive(Debug, Default)]
struct Entry {
    /// How many have it in their hands.
    holders: u32,
    /// One of them has got it, or had: whoever comes after it is not the first.
    taken: bool,
}

/// The right to take events in, asked for before it is looked whether the store has them. What becomes known of them while
/// this is held is not forgotten before it is dropped.
#[derive(Debug, Default)]
pub struct Hold {
    seen: Option<Arc<Seen>>,
    keys: Vec<u64>,
    contested: bool,
}

impl Seen {
    /// Returns the hold on events of a connection.
    pub(in crate::store) fn hold<'a>(this: &Arc<Self>, connection: &str, ids: impl Iterator<Item = &'a str>) -> Hold {
        let keys: Vec<u64> = ids.map(|id| this.hasher.hash_one((connection, id))).collect();
        let mut contested = false;
        let mut entries = this.entries();
        for key in &keys {
            let entry = entries.all.entry(*key).or_default();
            entry.holders += 1;
            contested |= entry.taken;
        }
        drop(entries);
        Hold { seen: Some(Arc::clone(this)), keys, contested }
    }

    /// Tells whether somebody has taken events, and the store may not have decided about them.
    pub(in crate::store) fn any_taken(&self) -> bool {
        self.entries().taken > 0
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hold {
    /// Tells whether somebody had taken one of the events when this was asked for: whether the store has it is known when
    /// the store has caught up.
    pub fn is_contested(&self) -> bool {
        self.contested
    }

    /// Takes the events, whether or not somebody else has. Returns whether nobody had.
    pub(in crate::store) fn take(&self) -> bool {
        let Some(seen) = &self.seen else { return false };
        let mut entries = seen.entries();
        let mut first = true;
        for key in &self.keys {
            let entry = entries.all.entry(*key).or_default();
            first &= !entry.taken;
            let was = std::mem::replace(&mut entry.taken, true);
            entries.taken += usize::from(!was);
        }
        first
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let Some(seen) = &self.seen else { return };
        let mut entries = seen.entries();
        for key in &self.keys {
            let Some(entry) = entries.all.get_mut(key) else { continue };
            entry.holders -= 1;
            if entry.holders == 0 {
                let taken = entry.taken;
                entries.all.remove(key);
                entries.taken -= usize::from(taken);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_alone_is_the_first_as_long_as_anybody_holds_it() {
        let seen = Arc::new(Seen::default());
        let hold = || Seen::hold(&seen, "svc", ["evt_1"].into_iter());
        let (one, two) = (hold(), hold());
        assert!(!one.is_contested() && !two.is_contested());
        assert!(one.take() && seen.any_taken());
        assert!(hold().is_contested());
        drop(one);
        assert!(!two.take(), "it was taken while this was held");
        drop(two);
        let next = hold();
        assert!(!next.is_contested() && next.take());
        assert!(Seen::hold(&seen, "other", ["evt_1"].into_iter()).take());
        drop(next);
        assert!(seen.entries().all.is_empty() && !seen.any_taken());
    }
}
