//! The store on disk: one redb file in a folder of its own.

use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use redb::{BackendError, Database, Durability, ReadOnlyTable, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition};

use super::backend::{Backend, Each, Read, Write};
use super::disk::{Disk, Folder, OpenFile, failed};
use super::in_turns::Pace;
use super::whole::store_over_db;
use super::writer::Db;
use super::{StoreError, VERSION, birth, inbox, migrate, tables};

const TABLE: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("flow");
/// The name of the file.
pub(super) const FILE: &str = "flow.redb";

/// The store on disk.
pub struct RedbStore {
    db: Db<Redb>,
}

store_over_db!(RedbStore);

impl RedbStore {
    /// Opens the store in a folder, which is made where there is none.
    ///
    /// # Errors
    /// Where another process has it open, a newer version wrote it, or the disk refuses.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        Self::on(Arc::new(Folder::take(folder)?))
    }

    /// Opens the store in a folder without a thread: it is written by a task of the runtime that uses it, when `pace` lets
    /// it.
    ///
    /// # Errors
    /// As [`RedbStore::open`].
    pub fn open_in_turns(folder: &Path, pace: Arc<dyn Pace>) -> Result<Self, StoreError> {
        Self::on_in_turns(Arc::new(Folder::take(folder)?), pace)
    }

    /// Says who has the store of a folder open, where another process has.
    pub fn held(folder: &Path) -> Option<StoreError> {
        super::disk::held(folder)
    }

    /// Opens the store on a disk of any kind.
    ///
    /// # Errors
    /// As [`RedbStore::open`].
    #[expect(clippy::needless_pass_by_value, reason = "the store takes its disk over")]
    pub fn on(disk: Arc<dyn Disk>) -> Result<Self, StoreError> {
        let redb = Redb::on(Arc::clone(&disk))?;
        let inbox = inbox::Open::on(&*redb.disk, &redb)?;
        Ok(Self { db: Db::with_inbox(redb, inbox)? })
    }

    /// As [`RedbStore::open_in_turns`], on a disk of any kind.
    ///
    /// # Errors
    /// As [`RedbStore::open`].
    #[expect(clippy::needless_pass_by_value, reason = "the store takes its disk over")]
    pub fn on_in_turns(disk: Arc<dyn Disk>, pace: Arc<dyn Pace>) -> Result<Self, StoreError> {
        let redb = Redb::on(Arc::clone(&disk))?;
        // What is left there is sorted in; it is not written to without a thread.
        inbox::Open::on(&*redb.disk, &redb)?;
        Ok(Self { db: Db::in_turns(Arc::new(redb), pace) })
    }

    /// As [`RedbStore::on_in_turns`], with the inbox in front, whose segments are so long.
    ///
    /// # Errors
    /// As [`RedbStore::open`].
    #[expect(clippy::needless_pass_by_value, reason = "the store takes its disk over")]
    pub fn on_in_turns_with_inbox(disk: Arc<dyn Disk>, pace: Arc<dyn Pace>, length: u64) -> Result<Self, StoreError> {
        let redb = Redb::on(Arc::clone(&disk))?;
        let inbox = inbox::Open::of_length(&*redb.disk, &redb, length)?;
        Ok(Self { db: Db::in_turns_with_inbox(redb, pace, inbox) })
    }
}

/// What redb may keep in memory. Its own default is a gibibyte, which an automation daemon has no right to. The system keeps
/// the file's pages as well, where it has room.
const CACHE: usize = 6 * 1024 * 1024;

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE);
    builder
}

/// From this length on each commit notes what is free in the file, so that it has not to be walked after a crash: that takes
/// seconds for a file of gigabytes, while the note makes a commit a fifth dearer.
const LARGE: u64 = 256 * 1024 * 1024;

/// What redb has to be given is no box. The other part is how long the file is.
#[derive(Debug)]
struct Opened(OpenFile, Arc<AtomicU64>);

impl StorageBackend for Opened {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)?;
        self.1.store(len, Ordering::Relaxed);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.query_lock_range(start, end)
    }
}

/// Makes the database in an empty file.
pub(super) fn create(file: OpenFile) -> Result<(), StoreError> {
    let database = builder().create_with_backend(Opened(file, Arc::default())).map_err(|error| storage(error.into()))?;
    initialise(&database)?;
    database.close().map_err(|error| storage(error.into()))
}

fn open(disk: &dyn Disk, length: &Arc<AtomicU64>) -> Result<Database, StoreError> {
    let file = disk.open(FILE).map_err(failed)?;
    let found = file.len().map_err(failed)?;
    if found == 0 {
        return Err(StoreError::Corrupted(format!("`{FILE}` is empty: put a copy of the folder back")));
    }
    length.store(found, Ordering::Relaxed);
    builder().create_with_backend(Opened(file, Arc::clone(length))).map_err(|error| storage(error.into()))
}

struct Redb {
    /// Before the database: it is given back first.
    latest: Latest,
    /// `None` after a failure of the disk, until it can be opened again: redb refuses all work after one.
    database: RwLock<Option<Database>>,
    disk: Arc<dyn Disk>,
    /// How long the file is.
    length: Arc<AtomicU64>,
}

impl Redb {
    /// Opens what is on a disk, or makes it, and brings it up to this version.
    fn on(disk: Arc<dyn Disk>) -> Result<Self, StoreError> {
        birth::prepare(&*disk)?;
        let length = Arc::default();
        let database = open(&*disk, &length)?;
        disk.watch(FILE).map_err(failed)?;
        let redb = Self { latest: Latest::default(), database: RwLock::new(Some(database)), disk, length };
        let mut found = None;
        redb.read(&mut |from| {
            found = from.get(&tables::meta("version"))?;
            Ok(())
        })?;
        match found.and_then(|bytes| bytes.try_into().ok().map(u32::from_be_bytes)) {
            Some(found) if found > VERSION => return Err(StoreError::Newer { found }),
            Some(found) if found < VERSION => {
                redb.write(&mut |to| migrate::migrate(to, found))?;
                tracing::info!(from = found, to = VERSION, "the store was brought up to this version");
            }
            Some(_) => {}
            None => return Err(StoreError::Corrupted("it has no version".to_owned())),
        }
        Ok(redb)
    }
}

impl Redb {
    /// Closes the database where it will not work any more.
    fn close_if_broken(&self, error: &StoreError) {
        if matches!(error, StoreError::Io(_)) {
            let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
            self.latest.forget();
            *database = None;
        }
    }

    fn reopen(&self) -> Result<(), StoreError> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if database.is_none() {
            self.check()?;
            *database = Some(open(&*self.disk, &self.length)?);
            tracing::debug!("the store is open again");
        }
        Ok(())
    }

    fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, StoreError>) -> Result<T, StoreError> {
        if self.database.read().unwrap_or_else(PoisonError::into_inner).is_none() {
            self.reopen()?;
        }
        let result = match &*self.database.read().unwrap_or_else(PoisonError::into_inner) {
            Some(database) => work(database),
            None => Err(StoreError::Io("the database is closed after a failure".to_owned())),
        };
        if let Err(error) = &result {
            self.close_if_broken(error);
        }
        result
    }
}

impl Backend for Redb {
    fn check(&self) -> Result<(), StoreError> {
        self.disk.check()
    }

    fn read(&self, work: &mut dyn FnMut(&dyn Read) -> Result<(), StoreError>) -> Result<(), StoreError> {
        self.with(|database| work(&Reading(&self.latest.of(database)?.table)))
    }

    fn write(&self, work: &mut dyn FnMut(&mut dyn Write) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let written = self.with(|database| {
            // As long as it is held, what a transaction frees is not used again.
            self.latest.forget();
            let mut transaction = database.begin_write().map_err(|error| storage(error.into()))?;
            transaction.set_durability(Durability::Immediate).map_err(|error| storage(error.into()))?;
            transaction.set_quick_repair(self.length.load(Ordering::Relaxed) >= LARGE);
            {
                let table = transaction.open_table(TABLE).map_err(|error| storage(error.into()))?;
                work(&mut Writing(table))?;
            }
            transaction.commit().map_err(|error| storage(error.into()))
        });
        // Whatever came of it: from here on it is read anew.
        self.latest.is_past();
        written
    }
}

/// The state of the last commit, opened to be read: each webhook asks whether its event is known, and to open the state takes
/// longer than to ask it.
#[derive(Default)]
struct Latest {
    /// How many transactions have ended.
    ended: AtomicU64,
    snapshot: Mutex<Option<Arc<Snapshot>>>,
}

struct Snapshot {
    /// As many had ended before it was opened, so that it has what they wrote.
    ended: u64,
    table: ReadOnlyTable<&'static [u8], &'static [u8]>,
}

impl Latest {
    fn of(&self, database: &Database) -> Result<Arc<Snapshot>, StoreError> {
        let ended = self.ended.load(Ordering::SeqCst);
        let known = self.snapshot().clone().filter(|snapshot| snapshot.ended == ended);
        if let Some(known) = known {
            return Ok(known);
        }
        let transaction = database.begin_read().map_err(|error| storage(error.into()))?;
        let table = transaction.open_table(TABLE).map_err(|error| storage(error.into()))?;
        let opened = Arc::new(Snapshot { ended, table });
        let mut snapshot = self.snapshot();
        // One that was opened before a transaction that has ended meanwhile is not kept.
        if self.ended.load(Ordering::SeqCst) == ended {
            *snapshot = Some(Arc::clone(&opened));
        }
        Ok(opened)
    }

    fn forget(&self) {
        drop(self.snapshot().take());
    }

    /// A transaction has ended.
    fn is_past(&self) {
        let mut snapshot = self.snapshot();
        self.ended.fetch_add(1, Ordering::SeqCst);
        drop(snapshot.take());
    }

    fn snapshot(&self) -> MutexGuard<'_, Option<Arc<Snapshot>>> {
        self.snapshot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Reading<'a, T>(&'a T);

impl<T: ReadableTable<&'static [u8], &'static [u8]>> Read for Reading<'_, T> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.get(key).map_err(|error| storage(error.into()))?.map(|value| value.value().to_vec()))
    }

    fn has(&self, key: &[u8]) -> Result<bool, StoreError> {
        Ok(self.0.get(key).map_err(|error| storage(error.into()))?.is_some())
    }

    fn scan(&self, from: &[u8], to: &[u8], downwards: bool, each: Each<'_>) -> Result<(), StoreError> {
        if from >= to {
            return Ok(());
        }
        let bounds = (Bound::Included(from), Bound::Excluded(to));
        let mut range = self.0.range::<&[u8]>(bounds).map_err(|error| storage(error.into()))?;
        while let Some(entry) = if downwards { range.next_back() } else { range.next() } {
            let (key, value) = entry.map_err(|error| storage(error.into()))?;
            if !each(key.value(), value.value())? {
                break;
            }
        }
        Ok(())
    }
}

struct Writing<'t>(redb::Table<'t, &'static [u8], &'static [u8]>);

impl Read for Writing<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Reading(&self.0).get(key)
    }

    fn has(&self, key: &[u8]) -> Result<bool, StoreError> {
        Reading(&self.0).has(key)
    }

    fn scan(&self, from: &[u8], to: &[u8], downwards: bool, each: Each<'_>) -> Result<(), StoreError> {
        Reading(&self.0).scan(from, to, downwards, each)
    }
}

impl Write for Writing<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.0.insert(key, value).map(drop).map_err(|error| storage(error.into()))
    }

    fn remove(&mut self, key: &[u8]) -> Result<(), StoreError> {
        self.0.remove(key).map(drop).map_err(|error| storage(error.into()))
    }
}

fn initialise(database: &Database) -> Result<(), StoreError> {
    let transaction = database.begin_write().map_err(|error| storage(error.into()))?;
    {
        let mut table = transaction.open_table(TABLE).map_err(|error| storage(error.into()))?;
        let key = tables::meta("version");
        if table.get(&*key).map_err(|error| storage(error.into()))?.is_none() {
            let version = VERSION.to_be_bytes();
            table.insert(&*key, version.as_slice()).map(drop).map_err(|error| storage(error.into()))?;
        }
    }
    transaction.commit().map_err(|error| storage(error.into()))
}

/// Any error of redb, which converts all of its own into one.
fn storage(error: redb::Error) -> StoreError {
    match error {
        redb::Error::Corrupted(what) => StoreError::Corrupted(what),
        redb::Error::DatabaseClosed => StoreError::Closed,
        // After a failed write redb refuses everything until it is opened again: the same remedy as for the failure.
        other => StoreError::Io(other.to_string()),
    }
}
