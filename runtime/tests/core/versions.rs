//! Stores of other versions: a newer one is refused untouched, an earlier one is copied and brought up.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use flow_plan::{Effect, Flow};
use flow_runtime::journal::{Entry, What};
use flow_runtime::run::Status;
use flow_runtime::store::{
    AcceptBatch, PruneBite, PruneFrom, RedbStore, RunHead, RunUpdate, Store, StoreError, StoredEvent, VERSION,
};
use jiff::Timestamp;

use crate::fixture::{at, flow, op};
use crate::store::{event, head, new};

pub(crate) type Table<'t> = redb::Table<'t, &'static [u8], &'static [u8]>;

/// Changes a store that is closed, and says which version it is.
pub(crate) fn doctor(database: &redb::Database, version: u32, change: impl FnOnce(&mut Table<'_>)) {
    let transaction = database.begin_write().unwrap();
    {
        let mut table = transaction.open_table(redb::TableDefinition::new("flow")).unwrap();
        change(&mut table);
        table.insert(b"mversion\0".as_slice(), version.to_be_bytes().as_slice()).unwrap();
    }
    transaction.commit().unwrap();
}

fn doctor_file(folder: &Path, version: u32, change: impl FnOnce(&mut Table<'_>)) {
    doctor(&redb::Database::open(folder.join("flow.redb")).unwrap(), version, change);
    fs::write(folder.join("version"), format!("{version}\n")).unwrap();
}

/// Takes out what version 3 has and those before it had not, and keeps what they kept: plans without runs.
fn as_before_3(table: &mut Table<'_>) {
    let mut counted = 0;
    table
        .retain(|key, _| {
            let is_count = key.starts_with(b"P");
            counted += u32::from(is_count);
            !is_count
        })
        .unwrap();
    assert!(counted > 0);
    let unused = flow("gone", vec![op("set", Effect::Set)]);
    let plan = serde_json::to_vec(&unused).unwrap();
    table.insert(format!("p{}\0", unused.hash).as_bytes(), plan.as_slice()).unwrap();
}

/// Takes out what version 2 has: those that wait stood among the active ones.
fn as_before_2(table: &mut Table<'_>) {
    table.remove(&[b"g".as_slice(), &1u64.to_be_bytes()].concat()[..]).unwrap();
    table.remove(b"mwaiting\0".as_slice()).unwrap();
    table.insert(b"arun_a\0".as_slice(), b"".as_slice()).unwrap();
}

/// Writes a store with a run that waits and one that is done, both of one plan.
async fn written(folder: &Path) -> (Timestamp, StoredEvent, Arc<Flow>) {
    let noon = at("2026-11-22T12:00:00Z");
    let plan = Arc::new(flow("f", vec![op("set", Effect::Set)]));
    let first = event(1, "evt_1", noon);
    let second = event(2, "evt_2", noon);
    let store = RedbStore::open(folder).unwrap();
    let of_plan = |head: RunHead| RunHead { plan: plan.hash.clone(), ..head };
    let running = of_plan(head(1, "run_a", &first, Status::Running));
    let done = of_plan(head(2, "run_b", &second, Status::Done));
    let events = vec![new(first.clone(), running.clone()), new(second, done)];
    store.accept(AcceptBatch { events, plans: vec![Arc::clone(&plan)], ..AcceptBatch::default() }).await.unwrap();
    let waiting = RunHead { status: Status::Waiting, wake_at: Some(noon), entries: 2, ..running };
    store.update(vec![RunUpdate { head: waiting, entries: vec![Entry::new(noon, What::Woken)] }]).await.unwrap();
    (noon, first, plan)
}

/// A store that `doctored` gives the layout of `version` reads as one that this version wrote, twice.
async fn is_brought_up(version: u32, doctored: impl FnOnce(&mut Table<'_>)) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (noon, first, plan) = written(folder).await;
    doctor_file(folder, version, doctored);
    let before = fs::read(folder.join("flow.redb")).unwrap();
    let copy = folder.join(format!("flow.redb.v{version}"));
    for _ in 0..2 {
        let store = RedbStore::open(folder).unwrap();
        assert_eq!(store.active(None, 10).unwrap(), [""; 0]);
        assert_eq!(store.counts(), Ok((1, 0)));
        assert_eq!(store.due(noon, 10).unwrap().0, ["run_a"]);
        assert_eq!(store.event(1).unwrap().as_ref(), Some(&first));
        assert_eq!(store.journal("run_a").unwrap().len(), 2);
        assert_eq!(store.plan(&plan.hash).unwrap().as_deref(), Some(&*plan));
    }
    assert_eq!(fs::read(&copy).unwrap(), before);
    assert_eq!(fs::read_to_string(folder.join("version")).unwrap().trim(), VERSION.to_string());
    // The power went behind the copy, before anything else.
    fs::remove_file(&copy).unwrap();
    fs::write(folder.join("flow.redb"), &before).unwrap();
    let store = RedbStore::open(folder).unwrap();
    assert_eq!((store.active(None, 10).unwrap(), store.counts()), (Vec::new(), Ok((1, 0))));
    // The plan that nothing is kept of has gone; the other one goes with its last run.
    assert_eq!(store.plan(&flow("gone", vec![op("set", Effect::Set)]).hash), Ok(None));
    let later = at("2027-01-01T00:00:00Z");
    let prune =
        || store.prune(PruneBite { before: later, starts_before: noon, from: PruneFrom::default(), limit: 100, look: 1000 });
    let removed = prune().await.unwrap();
    assert_eq!((removed.runs, removed.plans, store.plan(&plan.hash).unwrap().is_some()), (1, 0, true));
    let waiting = store.run("run_a").unwrap().unwrap();
    let done = RunHead { status: Status::Done, wake_at: None, ended_at: Some(noon), entries: 3, ..waiting };
    store.update(vec![RunUpdate { head: done, entries: vec![Entry::new(noon, What::Woken)] }]).await.unwrap();
    let removed = prune().await.unwrap();
    assert_eq!((removed.runs, removed.plans, store.plan(&plan.hash)), (1, 1, Ok(None)));
}

#[tokio::test]
async fn a_store_of_the_first_version_is_copied_and_brought_up() {
    is_brought_up(1, |table| {
        as_before_3(table);
        as_before_2(table);
    })
    .await;
}

#[tokio::test]
async fn a_store_of_the_second_version_is_copied_and_brought_up() {
    is_brought_up(2, as_before_3).await;
}

#[test]
fn a_newer_store_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    drop(RedbStore::open(folder.path()).unwrap());
    fs::write(folder.path().join("version"), "9\n").unwrap();
    let before = fs::read(folder.path().join("flow.redb")).unwrap();
    let refused = RedbStore::open(folder.path()).err().unwrap();
    assert_eq!(refused, StoreError::Newer { found: 9 });
    assert!(!refused.is_retryable());
    assert_eq!(fs::read(folder.path().join("flow.redb")).unwrap(), before);
    // A file that came without its number, as from a backup of the file alone, says it itself.
    doctor_file(folder.path(), 9, |_| {});
    fs::write(folder.path().join("version"), format!("{VERSION}\n")).unwrap();
    assert_eq!(RedbStore::open(folder.path()).err(), Some(StoreError::Newer { found: 9 }));
}
