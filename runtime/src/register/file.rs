//! What was registered, on disk: one file for each webhook, readable by the owner alone.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Key, unreadable};

/// The version of these files.
const VERSION: u32 = 1;

/// What is known of one webhook.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Record {
    version: u32,
    connection: String,
    source: String,
    /// What is registered.
    pub(super) current: Option<Made>,
    /// What was replaced and is still to be removed.
    #[serde(default)]
    pub(super) old: Vec<Made>,
    /// A request that was about to be sent.
    #[serde(default)]
    pub(super) intent: Option<Intent>,
    /// Nothing is registered any more, until somebody says so.
    #[serde(default)]
    pub(super) off: bool,
}

/// A webhook that was made.
#[derive(Serialize, Deserialize)]
pub(super) struct Made {
    pub(super) id: Option<String>,
    pub(super) url: String,
    pub(super) events: BTreeSet<String>,
    /// What signs its deliveries.
    pub(super) secret: Option<Zeroizing<String>>,
}

/// A request that may have been sent.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Intent {
    /// The same for every try.
    pub(super) key: String,
    pub(super) url: String,
    pub(super) events: BTreeSet<String>,
}

/// The folder of these files.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(store: &Path) -> Self {
        Self(store.join("secrets"))
    }

    fn path(&self, key: &Key) -> PathBuf {
        let (connection, source) = (crate::form::encode_segment(&key.0), crate::form::encode_segment(&key.1));
        self.0.join(format!("{connection}.{source}.json"))
    }

    pub(super) fn read(&self, key: &Key) -> Option<Record> {
        read(&self.path(key))
    }

    /// Returns all that were made.
    pub(super) fn all(&self) -> Vec<(Key, Record)> {
        let Ok(entries) = fs::read_dir(&self.0) else { return Vec::new() };
        let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
        files.filter_map(|path| read(&path)).map(|record| ((record.connection.clone(), record.source.clone()), record)).collect()
    }

    /// Writes a record: whoever reads the file sees all of it or none.
    pub(super) fn write(&self, key: &Key, record: &mut Record) -> Result<(), String> {
        record.version = VERSION;
        (record.connection, record.source) = key.clone();
        self.try_write(key, record).map_err(|error| format!("{}: {error}", self.path(key).display()))
    }

    /// Removes a record.
    pub(super) fn remove(&self, key: &Key) -> Result<(), String> {
        let path = self.path(key);
        fs::remove_file(&path).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn try_write(&self, key: &Key, record: &Record) -> std::io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        let place = self.path(key);
        let new = place.with_extension("new");
        let text = Zeroizing::new(serde_json::to_vec(record)?);
        // A file that is left from a daemon that was killed may have other rights.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&new, &place)?;
        fs::File::open(&self.0)?.sync_all()
    }
}

fn read(path: &Path) -> Option<Record> {
    let text = match fs::read(path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => {
            unreadable(path, &error.to_string());
            return None;
        }
    };
    match serde_json::from_slice::<Record>(&text) {
        Ok(record) if record.version <= VERSION => Some(record),
        Ok(_) => {
            unreadable(path, "a newer version wrote it");
            None
        }
        // What serde says could repeat what stands there.
        Err(_) => {
            unreadable(path, "it is damaged");
            None
        }
    }
}
