//! From what earlier versions wrote to what this one reads.

use super::backend::Write;
use super::put::put_unlimited;
use super::records::RunHead;
use super::tables::{self, Key, LETTER, text_at};
use super::{StoreError, VERSION, query};
use crate::run::Status;

/// Brings a store of an earlier version up to this one, in one transaction.
///
/// Version 2 keeps runs that merely wait apart from those that are loaded when the daemon starts.
pub(super) fn migrate(to: &mut dyn Write) -> Result<(), StoreError> {
    let active = Key::of(b'a');
    let mut ids = Vec::new();
    to.scan(&active, &active.end(), false, &mut |key, _| {
        ids.extend(text_at(key, LETTER).map(str::to_owned));
        Ok(true)
    })?;
    for id in ids {
        if let Some(head) = query::run(to, &id)?.filter(|head| head.status == Status::Waiting) {
            // As it was kept until now: among the active ones.
            let mut old: RunHead = head.clone();
            old.waits.attention = true;
            put_unlimited(to, Some(&old), &head, &[])?;
        }
    }
    to.put(&tables::meta("version"), &VERSION.to_be_bytes())
}
