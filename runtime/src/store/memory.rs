//! The store in memory: for tests and for the simulated driver.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::StoreError;
use super::backend::{Backend, Each, Read, Write};
use super::in_turns::Pace;
use super::whole::store_over_db;
use super::writer::Db;

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// A store that is gone with its last handle, and that fails when it is told to.
pub struct MemoryStore {
    db: Db<Memory>,
    faults: Faults,
}

/// Makes a memory store fail: for tests.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<Fault>>);

#[derive(Debug, Default)]
struct Fault {
    commits: u64,
    refused: u64,
    fails_from: Option<u64>,
}

impl Faults {
    /// Lets `commits` more commits succeed; those behind them fail until [`Faults::heal`].
    pub fn fail_after(&self, commits: u64) {
        let mut fault = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        fault.fails_from = Some(fault.commits + commits);
    }

    /// Lets commits succeed again.
    pub fn heal(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fails_from = None;
    }

    /// Returns how many commits there were.
    pub fn commits(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).commits
    }

    /// Returns how many commits failed.
    pub fn refused(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).refused
    }

    fn commit(&self) -> Result<(), StoreError> {
        let mut fault = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if fault.fails_from.is_some_and(|from| fault.commits >= from) {
            fault.refused += 1;
            return Err(StoreError::Io("no space left on device".to_owned()));
        }
        fault.commits += 1;
        Ok(())
    }
}

impl MemoryStore {
    /// Returns an empty store.
    ///
    /// # Errors
    /// Where its thread cannot be started.
    pub fn new() -> Result<Self, StoreError> {
        Self::over(Map::new())
    }

    /// Returns an empty store that writes at once, without a thread: what happens in it happens in one order.
    pub fn at_once() -> Self {
        let faults = Faults::default();
        let backend = Memory { map: RwLock::default(), faults: faults.clone() };
        Self { db: Db::at_once(backend), faults }
    }

    /// Returns an empty store that is written by a task of the runtime that uses it, when `pace` lets it.
    pub fn in_turns(pace: Arc<dyn Pace>) -> Self {
        let faults = Faults::default();
        let backend = Arc::new(Memory { map: RwLock::default(), faults: faults.clone() });
        Self { db: Db::in_turns(backend, pace), faults }
    }

    /// Returns the same store as the next process finds it, when this one is gone with its runtime.
    pub fn reopened(&self, pace: Arc<dyn Pace>) -> Self {
        Self { db: Db::in_turns(Arc::clone(&self.db.backend), pace), faults: self.faults.clone() }
    }

    /// Returns a store with what this one holds now: what a power cut would leave.
    ///
    /// # Errors
    /// Where its thread cannot be started.
    pub fn copy(&self) -> Result<Self, StoreError> {
        Self::over(self.db.backend.map.read().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Returns the means to make it fail.
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }

    fn over(map: Map) -> Result<Self, StoreError> {
        let faults = Faults::default();
        let backend = Memory { map: RwLock::new(map), faults: faults.clone() };
        Ok(Self { db: Db::new(backend)?, faults })
    }
}

store_over_db!(MemoryStore);

struct Memory {
    map: RwLock<Map>,
    faults: Faults,
}

impl Backend for Memory {
    fn read(&self, work: &mut dyn FnMut(&dyn Read) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let map = self.map.read().unwrap_or_else(PoisonError::into_inner);
        work(&Reading(&map))
    }

    fn write(&self, work: &mut dyn FnMut(&mut dyn Write) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let mut changes = BTreeMap::new();
        {
            let map = self.map.read().unwrap_or_else(PoisonError::into_inner);
            let mut writing = Writing { map: &map, changes: BTreeMap::new() };
            work(&mut writing)?;
            std::mem::swap(&mut changes, &mut writing.changes);
        }
        self.faults.commit()?;
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in changes {
            match value {
                Some(value) => map.insert(key, value),
                None => map.remove(&key),
            };
        }
        Ok(())
    }
}

struct Reading<'a>(&'a Map);

impl Read for Reading<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.get(key).cloned())
    }

    fn scan(&self, from: &[u8], to: &[u8], downwards: bool, each: Each<'_>) -> Result<(), StoreError> {
        if from >= to {
            return Ok(());
        }
        let mut range = self.0.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to)));
        while let Some((key, value)) = if downwards { range.next_back() } else { range.next() } {
            if !each(key, value)? {
                break;
            }
        }
        Ok(())
    }
}

/// The changes of a transaction over what was there before.
struct Writing<'a> {
    map: &'a Map,
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Read for Writing<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(match self.changes.get(key) {
            Some(changed) => changed.clone(),
            None => self.map.get(key).cloned(),
        })
    }

    fn scan(&self, from: &[u8], to: &[u8], downwards: bool, each: Each<'_>) -> Result<(), StoreError> {
        if from >= to {
            return Ok(());
        }
        let bounds = (Bound::Included(from), Bound::Excluded(to));
        let mut merged: BTreeMap<&[u8], &[u8]> =
            self.map.range::<[u8], _>(bounds).map(|(key, value)| (key.as_slice(), value.as_slice())).collect();
        for (key, value) in self.changes.range::<[u8], _>(bounds) {
            match value {
                Some(value) => merged.insert(key, value),
                None => merged.remove(key.as_slice()),
            };
        }
        let mut entries = merged.into_iter();
        while let Some((key, value)) = if downwards { entries.next_back() } else { entries.next() } {
            if !each(key, value)? {
                break;
            }
        }
        Ok(())
    }
}

impl Write for Writing<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.changes.insert(key.to_vec(), Some(value.to_vec()));
        Ok(())
    }

    fn remove(&mut self, key: &[u8]) -> Result<(), StoreError> {
        self.changes.insert(key.to_vec(), None);
        Ok(())
    }
}
