//! Before the store is opened: whose version it is, the copy of an earlier one, and the birth of a new one.
//!
//! What is made is made under another name, synced, and renamed, and the folder is synced behind that: a power cut leaves
//! either no store or a whole one. The number of the version is there before the store is.

use super::disk::{Disk, failed, make, new_name, read};
use super::redb::{FILE, create};
use super::{StoreError, VERSION, inbox};

/// Beside the database, so that a file of a newer version is refused without being opened, which might repair it.
const VERSION_FILE: &str = "version";

/// Makes what is on a disk ready to be opened by this version.
///
/// # Errors
/// Where a newer version wrote it, which is left as it is, or the disk refuses.
pub(super) fn prepare(disk: &dyn Disk) -> Result<(), StoreError> {
    let found = version(disk)?;
    let is_new = !disk.exists(FILE).map_err(failed)?;
    // The inbox is made when the database is whole and durable. A new database would take up all that it has once more.
    let is_lost = |name: &&&str| disk.exists(name).unwrap_or(false);
    if is_new && let Some(inbox) = inbox::FILES.iter().find(is_lost) {
        return Err(StoreError::Corrupted(format!(
            "`{FILE}` is missing, and `{inbox}` beside it says that there was one: put it back; to begin anew, with nothing known of \
             what was done, move the whole folder away"
        )));
    }
    // The first version wrote its number last, so that a power cut could leave a store without one.
    let of = found.unwrap_or(if is_new { VERSION } else { 1 });
    // What a start left behind that lost its power.
    disk.remove(&new_name(FILE)).map_err(failed)?;
    if of < VERSION && !is_new {
        copy(disk, of)?;
    }
    if found != Some(VERSION) {
        // From here on a program of an earlier version leaves the file alone.
        make(disk, VERSION_FILE, |file| {
            let text = format!("{VERSION}\n");
            file.set_len(text.len() as u64).and_then(|()| file.write(0, text.as_bytes())).map_err(failed)
        })?;
    }
    if is_new {
        make(disk, FILE, create)?;
    }
    Ok(())
}

fn version(disk: &dyn Disk) -> Result<Option<u32>, StoreError> {
    let Some(bytes) = read(disk, VERSION_FILE).map_err(failed)? else { return Ok(None) };
    match std::str::from_utf8(&bytes).ok().and_then(|text| text.trim().parse::<u32>().ok()) {
        Some(found) if found > VERSION => Err(StoreError::Newer { found }),
        Some(found) => Ok(Some(found)),
        None => Err(StoreError::Corrupted(format!("`{VERSION_FILE}` holds no number"))),
    }
}

/// How much of a file is copied at once.
const PIECE: u64 = 1024 * 1024;

/// Keeps the store as an earlier version left it.
fn copy(disk: &dyn Disk, version: u32) -> Result<(), StoreError> {
    let name = format!("{FILE}.v{version}");
    make(disk, &name, |to| {
        let from = disk.open(FILE).map_err(failed)?;
        let length = from.len().map_err(failed)?;
        to.set_len(length).map_err(failed)?;
        let mut at = 0;
        while at < length {
            let mut piece = vec![0; usize::try_from(PIECE.min(length - at)).unwrap_or(0)];
            from.read(at, &mut piece).and_then(|()| to.write(at, &piece)).map_err(failed)?;
            at += piece.len() as u64;
        }
        Ok(())
    })?;
    tracing::info!(version, copy = name, "the store is of an earlier version; a copy of it is kept");
    Ok(())
}
