//! What a file was when it was looked at.

use std::fs::{File, Metadata};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A text beyond is not shown, and of a larger file only its beginning and its end are looked at.
pub(super) const MAX_TEXT: u64 = 64 * 1024;

/// What a file was when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    pub(super) size: u64,
    seconds: i64,
    nanos: i64,
    /// When anything of it was changed, rights and name included: no writer sets it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) touched: Option<(i64, i64)>,
    /// What its content is known by, once it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mark: Option<String>,
}

/// How one look at a file compares with another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compared {
    Same,
    Other,
    /// Its size and time are the same, and something was done to it: its content says what.
    Unsure,
}

impl Stamp {
    pub(super) fn of(found: &Metadata) -> Self {
        let touched = Some((found.ctime(), found.ctime_nsec()));
        Self { size: found.len(), seconds: found.mtime(), nanos: found.mtime_nsec(), touched, mark: None }
    }

    pub(super) fn marked(self, mark: Option<String>) -> Self {
        Self { mark, ..self }
    }

    pub(super) fn modified_at(&self) -> Option<Timestamp> {
        Timestamp::new(self.seconds, i32::try_from(self.nanos).ok()?).ok()
    }

    fn written(&self) -> (u64, i64, i64) {
        (self.size, self.seconds, self.nanos)
    }

    pub(super) fn compare(&self, found: &Self) -> Compared {
        if self.written() != found.written() {
            Compared::Other
        } else if self.touched == found.touched {
            Compared::Same
        } else {
            Compared::Unsure
        }
    }
}

/// What is in a file.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) mark: String,
    /// All of it, where that is text and not much.
    pub(super) text: Option<String>,
}

/// Reads a file, where it can be read and is still what it was.
pub(super) fn content(path: &Path, stamp: &Stamp) -> Option<Content> {
    // A pipe would let us wait, and what a link leads to is another file.
    let mut file = File::options().read(true).custom_flags(NOT_THROUGH_LINKS).open(path).ok()?;
    if !file.metadata().is_ok_and(|found| found.is_file() && Stamp::of(&found).written() == stamp.written()) {
        return None;
    }
    let is_small = stamp.size <= MAX_TEXT;
    let mut bytes = Vec::new();
    file.by_ref().take(if is_small { MAX_TEXT } else { MAX_TEXT / 2 }).read_to_end(&mut bytes).ok()?;
    if !is_small {
        file.seek(SeekFrom::Start(stamp.size - MAX_TEXT / 2)).ok()?;
        file.take(MAX_TEXT / 2).read_to_end(&mut bytes).ok()?;
    }
    let mark = hex::encode(&Sha256::digest(&bytes)[..8]);
    Some(Content { mark, text: String::from_utf8(bytes).ok().filter(|_| is_small) })
}

const NOT_THROUGH_LINKS: i32 = libc::O_NOFOLLOW | libc::O_NONBLOCK;
