//! A disk in memory that can be copied, and one of whose files can be full.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flow_runtime::store::{Disk, OpenFile};

/// The bytes of a file.
type Bytes = Arc<Mutex<Vec<u8>>>;

/// A disk.
#[derive(Debug, Default)]
pub(crate) struct MemoryDisk {
    files: Mutex<BTreeMap<String, Bytes>>,
    /// Its database is full.
    pub(crate) full: Arc<AtomicBool>,
}

/// An open file; whether it is the database, which can be full.
#[derive(Debug)]
struct OpenBytes(Bytes, Option<Arc<AtomicBool>>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryDisk {
    /// A disk with these files.
    pub(crate) fn of(files: BTreeMap<String, Vec<u8>>) -> Self {
        let files = files.into_iter().map(|(name, bytes)| (name, Arc::new(Mutex::new(bytes)))).collect();
        Self { files: Mutex::new(files), full: Arc::default() }
    }

    /// What is on it.
    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        lock(&self.files).iter().map(|(name, bytes)| (name.clone(), lock(bytes).clone())).collect()
    }

    fn opened(&self, name: &str, bytes: &Bytes) -> OpenFile {
        Box::new(OpenBytes(Arc::clone(bytes), (name == "flow.redb").then(|| Arc::clone(&self.full))))
    }
}

impl Disk for MemoryDisk {
    fn open(&self, name: &str) -> io::Result<OpenFile> {
        lock(&self.files).get(name).map(|bytes| self.opened(name, bytes)).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn create(&self, name: &str) -> io::Result<OpenFile> {
        let bytes = Bytes::default();
        lock(&self.files).insert(name.to_owned(), Arc::clone(&bytes));
        Ok(self.opened(name, &bytes))
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        Ok(lock(&self.files).contains_key(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = lock(&self.files);
        let bytes = files.remove(from).ok_or(ErrorKind::NotFound)?;
        files.insert(to.to_owned(), bytes);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        lock(&self.files).remove(name);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

impl OpenBytes {
    fn writable(&self) -> io::Result<MutexGuard<'_, Vec<u8>>> {
        if self.1.as_ref().is_some_and(|full| full.load(Ordering::SeqCst)) {
            return Err(ErrorKind::StorageFull.into());
        }
        Ok(lock(&self.0))
    }
}

fn place(offset: u64, length: usize) -> io::Result<std::ops::Range<usize>> {
    let from = usize::try_from(offset).map_err(io::Error::other)?;
    Ok(from..from.checked_add(length).ok_or(ErrorKind::InvalidInput)?)
}

impl redb::StorageBackend for OpenBytes {
    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.0).len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let range = place(offset, out.len())?;
        out.copy_from_slice(lock(&self.0).get(range).ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        // More than a store of this size has use for.
        let length = usize::try_from(length).ok().filter(|length| *length <= 1 << 28).ok_or(ErrorKind::StorageFull)?;
        self.writable()?.resize(length, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let range = place(offset, data.len())?;
        let mut bytes = self.writable()?;
        if bytes.len() < range.end {
            bytes.resize(range.end, 0);
        }
        bytes[range].copy_from_slice(data);
        Ok(())
    }
}
