//! The files of a store: the one seam to the disk, behind which tests put disks that fail and lose power.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;
use redb::backends::FileBackend;

use super::StoreError;

/// The name of the file that says who has the store open.
const LOCK: &str = "lock";

/// A file that is open.
pub type OpenFile = Box<dyn StorageBackend>;

/// What a store does to its folder. A name is durable behind [`Disk::sync`], the bytes of a file behind the file's own.
pub trait Disk: Send + Sync + 'static {
    /// Opens a file that is there.
    fn open(&self, name: &str) -> io::Result<OpenFile>;
    /// Makes an empty file, whatever there was of this name.
    fn create(&self, name: &str) -> io::Result<OpenFile>;
    /// Tells whether there is a file.
    fn exists(&self, name: &str) -> io::Result<bool>;
    /// Gives a file another name, which another one may have had.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file; none is as good.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes names durable.
    fn sync(&self) -> io::Result<()>;
    /// A file is relied on from here on.
    fn watch(&self, _name: &str) -> io::Result<()> {
        Ok(())
    }
    /// Tells whether the files that are relied on are still those of their names. Cheap enough to be asked before each write.
    fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Reads a whole file; `None` where there is none.
pub(super) fn read(disk: &dyn Disk, name: &str) -> io::Result<Option<Vec<u8>>> {
    if !disk.exists(name)? {
        return Ok(None);
    }
    let file = disk.open(name)?;
    let mut bytes = vec![0; usize::try_from(file.len()?).map_err(io::Error::other)?];
    file.read(0, &mut bytes)?;
    Ok(Some(bytes))
}

/// Makes a file of a name, whole or not at all: under another name first.
pub(super) fn make(
    disk: &dyn Disk,
    name: &str,
    write: impl FnOnce(OpenFile) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let new = new_name(name);
    write(disk.create(&new).map_err(failed)?)?;
    // Whoever wrote it may have closed it unsynced.
    disk.open(&new).and_then(|file| file.sync_data()).map_err(failed)?;
    disk.rename(&new, name).and_then(|()| disk.sync()).map_err(failed)
}

/// The name that a file has until it is whole.
pub(super) fn new_name(name: &str) -> String {
    format!("{name}.new")
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
pub(super) fn failed(error: io::Error) -> StoreError {
    StoreError::Io(error.to_string())
}

/// A folder of the system, which one process at a time has.
pub(super) struct Folder {
    path: PathBuf,
    /// Held as long as the store is open.
    lock: File,
    /// Which files are relied on, by which it is noticed that somebody removed or replaced them.
    known: Mutex<BTreeMap<String, Identity>>,
}

/// Device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity(u64, u64);

impl Identity {
    fn of(found: &fs::Metadata) -> Self {
        Self(found.dev(), found.ino())
    }
}

impl Folder {
    /// Takes a folder, which is made where there is none.
    ///
    /// # Errors
    /// Where another process has it, or the disk refuses.
    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        make_folder(path).map_err(failed)?;
        let lock = lock(path)?;
        close_to_others(path);
        let identity = lock.metadata().map(|found| Identity::of(&found)).map_err(failed)?;
        Ok(Self { path: path.to_owned(), lock, known: Mutex::new(BTreeMap::from([(LOCK.to_owned(), identity)])) })
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Identity>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Closing it says the same; a copy of the handle in a child process would not.
        drop(self.lock.unlock());
    }
}

impl Disk for Folder {
    fn open(&self, name: &str) -> io::Result<OpenFile> {
        let file = OpenOptions::new().read(true).write(true).open(self.path.join(name))?;
        Ok(Box::new(FileBackend::new(file).map_err(io::Error::other)?))
    }

    fn create(&self, name: &str) -> io::Result<OpenFile> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(true).mode(0o600).open(self.path.join(name))?;
        Ok(Box::new(FileBackend::new(file).map_err(io::Error::other)?))
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        self.path.join(name).try_exists()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn sync(&self) -> io::Result<()> {
        sync_folder(&self.path)
    }

    fn watch(&self, name: &str) -> io::Result<()> {
        let identity = Identity::of(&fs::metadata(self.path.join(name))?);
        self.known().insert(name.to_owned(), identity);
        Ok(())
    }

    /// Looks, each time: some look-ups of a name are nothing beside a commit, and an event that was answered while nobody
    /// looked would be lost.
    fn check(&self) -> Result<(), StoreError> {
        let is_there = |(name, known): (&String, &Identity)| match fs::metadata(self.path.join(name)) {
            Ok(found) => Identity::of(&found) == *known,
            // Of a disk that answers nothing the write itself will say what is wrong.
            Err(error) => !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
        };
        if self.known().iter().all(is_there) { Ok(()) } else { Err(StoreError::Gone { folder: self.path.display().to_string() }) }
    }
}

/// Says who has a folder's store open, where somebody has.
pub(super) fn held(folder: &Path) -> Option<StoreError> {
    let mut file = File::open(folder.join(LOCK)).ok()?;
    match file.try_lock_shared() {
        Err(fs::TryLockError::WouldBlock) => Some(held_by(folder, &mut file)),
        Ok(()) | Err(fs::TryLockError::Error(_)) => None,
    }
}

fn held_by(folder: &Path, lock: &mut File) -> StoreError {
    let mut text = String::new();
    let by = lock.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
    StoreError::Held { folder: folder.display().to_string(), by }
}

fn lock(folder: &Path) -> Result<File, StoreError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut file = options.open(folder.join(LOCK)).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Err(held_by(folder, &mut file)),
        Err(fs::TryLockError::Error(error)) => return Err(failed(error)),
    }
    let pid = format!("{}\n", std::process::id());
    file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(pid.as_bytes())).map_err(failed)?;
    Ok(file)
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = folder.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists()).collect();
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // The name of the folder itself too, whoever made it: its maker may have lost power before this.
    let made = missing.into_iter().chain([folder]).filter_map(Path::parent);
    for parent in made.map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent }) {
        match sync_folder(parent) {
            // One that may be entered and not read, such as what systemd makes for its units.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
            result => result?,
        }
    }
    Ok(())
}

/// Takes from others what they may do with a folder, such as after it was copied back: whoever cannot enter it reads nothing of it.
fn close_to_others(folder: &Path) {
    let Ok(found) = fs::metadata(folder) else { return };
    let mode = found.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 {
        return;
    }
    let (path, was) = (folder.display(), format!("{mode:o}"));
    if mode & 0o1000 != 0 {
        tracing::warn!(store = %path, was, "the store lies in a folder of everybody, which stays open to them: give it one of its own");
        return;
    }
    match fs::set_permissions(folder, fs::Permissions::from_mode(mode & 0o7700)) {
        Ok(()) => tracing::warn!(store = %path, was, "others could enter the folder of the store, and cannot any more"),
        Err(error) => tracing::warn!(store = %path, was, %error, "others can enter the folder of the store: chmod 700"),
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all())
}
