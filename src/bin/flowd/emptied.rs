//! Files that are empty now and were not before.
//!
//! Whoever saves a file in two steps leaves it empty in between, at times for seconds: an editor that truncates first, a slow
//! copy. What it was stays live until it has been empty for a while; only then its flows end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A file that was left alone for so long is meant to be empty.
const BELIEVED: Duration = Duration::from_secs(5);

/// The files that are waited for, each with the time at which it is looked at again.
#[derive(Debug, Clone, Default)]
pub(crate) struct Emptied(BTreeMap<PathBuf, Instant>);

impl Emptied {
    /// Tells whether a file that is empty now is waited for. A time in the future says nothing about somebody writing now.
    pub(crate) fn wait_for(&mut self, path: &Path) -> bool {
        let since = std::fs::metadata(path).ok().and_then(|metadata| metadata.modified().ok()).and_then(|at| at.elapsed().ok());
        let left = since.and_then(|since| BELIEVED.checked_sub(since)).filter(|left| !left.is_zero());
        if let Some(left) = left {
            self.0.insert(path.to_path_buf(), Instant::now() + left);
        }
        left.is_some()
    }

    /// Waits no longer for a file.
    pub(crate) fn forget(&mut self, path: &Path) {
        self.0.remove(path);
    }

    /// Returns when the next file is to be looked at.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.values().min().copied()
    }

    /// Returns the files that are to be looked at by now.
    pub(crate) fn due(&self) -> BTreeSet<PathBuf> {
        let now = Instant::now();
        self.0.iter().filter(|(_, at)| **at <= now).map(|(path, _)| path.clone()).collect()
    }
}

/// What is said of a file that is waited for: message and help.
pub(crate) fn waiting() -> (String, String) {
    let seconds = BELIEVED.as_secs();
    (
        "the file is empty, and was not before: somebody may be saving it at this moment".to_owned(),
        format!("its last version stays live; a file that stays empty for {seconds} seconds is believed, and its flows end"),
    )
}
