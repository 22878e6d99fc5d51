//! The store on disk: one redb file in a folder of its own.
//!
//! The file is made under another name, synced, and renamed, so that a power cut during the first start leaves either no
//! store or a whole one. A lock file says who has it open.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek, Write as _};
use std::ops::Bound;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use redb::{Database, Durability, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition};

use super::backend::{Backend, Each, Read, Write};
use super::in_turns::Pace;
use super::writer::{Db, store_over_db};
use super::{StoreError, VERSION, migrate, tables};

const TABLE: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("flow");
const FILE: &str = "flow.redb";
const NEW_FILE: &str = "flow.redb.new";
const LOCK: &str = "lock";
const VERSION_FILE: &str = "version";
/// A store of an earlier version is kept under this name and its version's number.
const COPY: &str = "flow.redb.v";

/// The store on disk.
pub struct RedbStore {
    db: Db<Redb>,
    /// Held as long as the store is open.
    _lock: Option<File>,
}

store_over_db!(RedbStore);

impl RedbStore {
    /// Opens the store in a folder, which is made where there is none.
    ///
    /// # Errors
    /// Where another process has it open, a newer version wrote it, or the disk refuses.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        Self::open_with(folder, None)
    }

    /// Opens the store in a folder without a thread: it is written by a task of the runtime that uses it, when `pace` lets
    /// it.
    ///
    /// # Errors
    /// As [`RedbStore::open`].
    pub fn open_in_turns(folder: &Path, pace: Arc<dyn Pace>) -> Result<Self, StoreError> {
        Self::open_with(folder, Some(pace))
    }

    fn open_with(folder: &Path, pace: Option<Arc<dyn Pace>>) -> Result<Self, StoreError> {
        make_folder(folder)?;
        let lock = lock(folder)?;
        let found = check_version(folder)?;
        let file = folder.join(FILE);
        remove_if_there(&folder.join(NEW_FILE))?;
        let is_new = !file.try_exists().map_err(io)?;
        // The first version wrote its number last, so that a power cut could leave a store without one.
        let found = found.unwrap_or(if is_new { VERSION } else { 1 });
        if found < VERSION {
            copy(folder, found)?;
        }
        // From here on a program of an earlier version leaves the file alone.
        write_version(folder)?;
        if is_new {
            create(folder)?;
        }
        let place = Place::new(folder, &lock)?;
        let open = Box::new(move || builder().open(&file).map_err(|error| storage(error.into())));
        let store = Self::over(open, Some(place), pace)?;
        Ok(Self { _lock: Some(lock), ..store })
    }

    /// Opens a store over any backend of redb; `open` is called again after a failure of the disk.
    ///
    /// # Errors
    /// As [`RedbStore::open`].
    pub fn with_backend<S: StorageBackend>(
        open: impl Fn() -> std::io::Result<S> + Send + Sync + 'static,
    ) -> Result<Self, StoreError> {
        let open = move || builder().create_with_backend(open().map_err(io)?).map_err(|error| storage(error.into()));
        initialise(&open()?)?;
        Self::over(Box::new(open), None, None)
    }

    fn over(open: Open, place: Option<Place>, pace: Option<Arc<dyn Pace>>) -> Result<Self, StoreError> {
        let database = open()?;
        let redb = Redb { database: RwLock::new(Some(database)), open, place };
        let mut found = None;
        redb.read(&mut |from| {
            found = from.get(&tables::meta("version"))?;
            Ok(())
        })?;
        let found = found.and_then(|bytes| bytes.try_into().ok().map(u32::from_be_bytes));
        match found {
            Some(found) if found > VERSION => Err(StoreError::Newer { found }),
            Some(found) => {
                if found < VERSION {
                    redb.write(&mut |to| migrate::migrate(to, found))?;
                    tracing::info!(from = found, to = VERSION, "the store was brought up to this version");
                }
                let db = match pace {
                    Some(pace) => Db::in_turns(Arc::new(redb), pace),
                    None => Db::new(redb)?,
                };
                Ok(Self { db, _lock: None })
            }
            None => Err(StoreError::Corrupted("it has no version".to_owned())),
        }
    }
}

/// What redb may keep in memory. Its own default is a gibibyte, which an automation daemon has no right to.
const CACHE: usize = 16 * 1024 * 1024;

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE);
    builder
}

type Open = Box<dyn Fn() -> Result<Database, StoreError> + Send + Sync>;

struct Redb {
    /// `None` after a failure of the disk, until it can be opened again: redb refuses all work after one.
    database: RwLock<Option<Database>>,
    open: Open,
    /// Where the files are, for a store that has any.
    place: Option<Place>,
}

/// The files of a store, by which it notices that somebody removed or replaced them.
struct Place {
    folder: PathBuf,
    database: Identity,
    lock: Identity,
}

/// Device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity(u64, u64);

impl Place {
    fn new(folder: &Path, lock: &File) -> Result<Self, StoreError> {
        let database = fs::metadata(folder.join(FILE)).map(|found| Identity::of(&found)).map_err(io)?;
        let lock = lock.metadata().map(|found| Identity::of(&found)).map_err(io)?;
        Ok(Self { folder: folder.to_owned(), database, lock })
    }

    /// Looks, each time: two look-ups of a name are nothing beside a commit, and an event that was answered while nobody
    /// looked would be lost.
    fn check(&self) -> Result<(), StoreError> {
        let is_there = |name: &str, known: Identity| match fs::metadata(self.folder.join(name)) {
            Ok(found) => Identity::of(&found) == known,
            // Of a disk that answers nothing the write itself will say what is wrong.
            Err(error) => !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
        };
        if is_there(FILE, self.database) && is_there(LOCK, self.lock) {
            Ok(())
        } else {
            Err(StoreError::Gone { folder: self.folder.display().to_string() })
        }
    }
}

impl Identity {
    fn of(found: &fs::Metadata) -> Self {
        Self(found.dev(), found.ino())
    }
}

impl Redb {
    /// Closes the database where it will not work any more.
    fn close_if_broken(&self, error: &StoreError) {
        if matches!(error, StoreError::Io(_)) {
            *self.database.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    fn reopen(&self) -> Result<(), StoreError> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if database.is_none() {
            self.check()?;
            *database = Some((self.open)()?);
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
        self.place.as_ref().map_or(Ok(()), Place::check)
    }

    fn read(&self, work: &mut dyn FnMut(&dyn Read) -> Result<(), StoreError>) -> Result<(), StoreError> {
        self.with(|database| {
            let transaction = database.begin_read().map_err(|error| storage(error.into()))?;
            let table = transaction.open_table(TABLE).map_err(|error| storage(error.into()))?;
            work(&Reading(&table))
        })
    }

    fn write(&self, work: &mut dyn FnMut(&mut dyn Write) -> Result<(), StoreError>) -> Result<(), StoreError> {
        self.with(|database| {
            let mut transaction = database.begin_write().map_err(|error| storage(error.into()))?;
            transaction.set_durability(Durability::Immediate).map_err(|error| storage(error.into()))?;
            {
                let table = transaction.open_table(TABLE).map_err(|error| storage(error.into()))?;
                work(&mut Writing(table))?;
            }
            transaction.commit().map_err(|error| storage(error.into()))
        })
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

/// Makes the file under another name and renames it when it is whole and synced.
fn create(folder: &Path) -> Result<(), StoreError> {
    let new = folder.join(NEW_FILE);
    // Made before redb opens it, so that it is never readable by others.
    drop(private_file(&new)?);
    let database = builder().create(&new).map_err(|error| storage(error.into()))?;
    initialise(&database)?;
    drop(database);
    OpenOptions::new().write(true).open(&new).and_then(|file| file.sync_all()).map_err(io)?;
    fs::rename(&new, folder.join(FILE)).map_err(io)?;
    sync_folder(folder)
}

/// Beside the database, so that a file of a newer version is refused without being opened, which might repair it.
fn check_version(folder: &Path) -> Result<Option<u32>, StoreError> {
    match fs::read_to_string(folder.join(VERSION_FILE)) {
        Ok(text) => match text.trim().parse::<u32>() {
            Ok(found) if found > VERSION => Err(StoreError::Newer { found }),
            Ok(found) => Ok(Some(found)),
            Err(_) => Err(StoreError::Corrupted(format!("`{VERSION_FILE}` holds no number"))),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io(error)),
    }
}

/// Keeps the store as an earlier version left it, whole or not at all.
fn copy(folder: &Path, version: u32) -> Result<(), StoreError> {
    let new = folder.join(format!("{COPY}{version}.new"));
    let mut to = private_file(&new)?;
    let mut from = File::open(folder.join(FILE)).map_err(io)?;
    std::io::copy(&mut from, &mut to).and_then(|_| to.sync_all()).map_err(io)?;
    fs::rename(&new, folder.join(format!("{COPY}{version}"))).map_err(io)?;
    sync_folder(folder)?;
    tracing::info!(version, copy = format!("{COPY}{version}"), "the store is of an earlier version; a copy of it is kept");
    Ok(())
}

fn write_version(folder: &Path) -> Result<(), StoreError> {
    let path = folder.join(VERSION_FILE);
    if check_version(folder)? == Some(VERSION) {
        return Ok(());
    }
    let new = folder.join("version.new");
    let mut file = private_file(&new)?;
    file.write_all(format!("{VERSION}\n").as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
    fs::rename(&new, &path).map_err(io)?;
    sync_folder(folder)
}

fn lock(folder: &Path) -> Result<File, StoreError> {
    let path: PathBuf = folder.join(LOCK);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = private(&mut options).open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => {
            let mut text = String::new();
            let by = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            return Err(StoreError::Held { folder: folder.display().to_string(), by });
        }
        Err(fs::TryLockError::Error(error)) => return Err(io(error)),
    }
    let pid = format!("{}\n", std::process::id());
    file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(pid.as_bytes())).map_err(io)?;
    Ok(file)
}

fn make_folder(folder: &Path) -> Result<(), StoreError> {
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(io)?;
    folder.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or(Ok(()), sync_folder)
}

fn private_file(path: &Path) -> Result<File, StoreError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true);
    private(&mut options).open(path).map_err(io)
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

fn remove_if_there(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io(error)),
        _ => Ok(()),
    }
}

fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn io(error: std::io::Error) -> StoreError {
    StoreError::Io(error.to_string())
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
