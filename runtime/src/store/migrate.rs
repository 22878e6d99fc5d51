//! From what earlier versions wrote to what this one reads.

use std::collections::BTreeMap;

use super::backend::Write;
use super::put::{count_plan, put_unlimited};
use super::query::decode;
use super::records::RunHead;
use super::tables::{self, Key, LETTER, text_at};
use super::{StoreError, VERSION, query};
use crate::run::Status;

/// Brings a store of an earlier version up to this one, in one transaction.
pub(super) fn migrate(to: &mut dyn Write, found: u32) -> Result<(), StoreError> {
    if found < 2 {
        part_waiting(to)?;
    }
    if found < 3 {
        count_plans(to)?;
    }
    to.put(&tables::meta("version"), &VERSION.to_be_bytes())
}

/// Version 2 keeps runs that merely wait apart from those that are loaded when the daemon starts.
fn part_waiting(to: &mut dyn Write) -> Result<(), StoreError> {
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
    Ok(())
}

/// Version 3 knows how many runs there are of each plan, and keeps none without runs. Further tables that are new in it
/// begin empty.
fn count_plans(to: &mut dyn Write) -> Result<(), StoreError> {
    let mut counts = BTreeMap::<String, i64>::new();
    let runs = Key::of(b'r');
    to.scan(&runs, &runs.end(), false, &mut |_, value| {
        let head: RunHead = decode(value)?;
        *counts.entry(head.plan).or_default() += 1;
        Ok(true)
    })?;
    let (plans, mut unused) = (Key::of(b'p'), Vec::new());
    to.scan(&plans, &plans.end(), false, &mut |key, _| {
        if text_at(key, LETTER).is_none_or(|hash| !counts.contains_key(hash)) {
            unused.push(key.to_vec());
        }
        Ok(true)
    })?;
    for (hash, count) in counts {
        count_plan(to, &hash, count)?;
    }
    unused.iter().try_for_each(|key| to.remove(key))
}
