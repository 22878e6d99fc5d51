//! A power cut during the first start, or during the first of a newer version: what is left can always be opened.

use std::sync::Arc;

use flow_runtime::run::Status;
use flow_runtime::store::{AcceptBatch, Disk, RedbStore, Store};
use redb::StorageBackend;

use crate::disk::{SimDisk, Unsynced};
use crate::fixture::at;
use crate::store::{event, head, new};

/// So many ways in which what was not synced is left behind.
const WAYS: u64 = 6;

fn batch(number: u64) -> AcceptBatch {
    let event = event(number, &format!("evt_{number}"), at("2026-11-22T12:00:00Z"));
    let head = head(number, &format!("run_{number}"), &event, Status::Running);
    AcceptBatch { events: vec![new(event, head)], ..AcceptBatch::default() }
}

/// Starts on a disk, takes an event in, and stops.
async fn begins(disk: &SimDisk) -> Result<(), flow_runtime::store::StoreError> {
    let store = RedbStore::on(Arc::new(disk.clone()))?;
    store.accept(batch(1)).await.map(drop)
}

/// How many operations a first start has until it has taken an event in.
async fn birth(disk: &SimDisk) -> u64 {
    let before = disk.operations();
    begins(disk).await.unwrap();
    disk.operations() - before
}

#[tokio::test]
async fn a_cut_at_any_step_of_the_first_start_leaves_what_can_be_opened() {
    let whole = birth(&SimDisk::default()).await;
    assert!(whole > 20, "{whole}");
    for cut in 0..=whole {
        for way in 0..WAYS {
            let disk = SimDisk::default();
            disk.off_after(cut);
            let accepted = begins(&disk).await.is_ok();
            let left = disk.after_cut(Unsynced::of(cut * WAYS + way));
            let store = RedbStore::on(Arc::new(left.clone())).unwrap_or_else(|error| panic!("cut {cut}, way {way}: {error}"));
            let kept = store.run("run_1").unwrap().is_some();
            assert!(kept || !accepted, "cut {cut}, way {way}: accepted and lost");
            assert_eq!(store.accept(batch(2)).await.unwrap()[0].started, [true]);
            drop(store);
            // Nothing half-made is left behind.
            assert!(left.names().iter().all(|name| !name.ends_with(".redb.new")), "{:?}", left.names());
            // What is whole is durable.
            let again = RedbStore::on(Arc::new(left.after_cut(Unsynced::Lost))).unwrap();
            assert_eq!(again.counts(), Ok((1 + u64::from(kept), 0)), "cut {cut}, way {way}");
        }
    }
}

/// What the inbox has was done: a database that knows nothing of that would do it once more.
#[tokio::test]
async fn a_database_that_is_lost_beside_its_inbox_is_no_first_start() {
    let disk = SimDisk::default();
    begins(&disk).await.unwrap();
    disk.remove("flow.redb").unwrap();
    disk.sync().unwrap();
    for left in [disk.clone(), disk.after_cut(Unsynced::Kept)] {
        let Err(error) = RedbStore::on(Arc::new(left.clone())) else { panic!("it is taken for a new one") };
        let said = error.to_string();
        assert!(said.contains("`flow.redb` is missing, and `inbox.1` beside it") && !error.is_retryable(), "{said}");
        assert!(!left.names().iter().any(|name| name.starts_with("flow.redb")), "nothing is made");
    }
    // Whoever wants to begin anew says so by taking all of it away.
    ["inbox.1", "inbox.2"].iter().for_each(|name| disk.remove(name).unwrap());
    begins(&disk).await.unwrap();
}

#[tokio::test]
async fn a_second_cut_on_what_the_first_one_left_does_no_harm() {
    let whole = birth(&SimDisk::default()).await;
    for first in (0..=whole).step_by(3) {
        for second in (0..=whole).step_by(5) {
            let disk = SimDisk::default();
            disk.off_after(first);
            drop(begins(&disk).await);
            let left = disk.after_cut(Unsynced::of(first));
            left.off_after(second);
            drop(begins(&left).await);
            let left = left.after_cut(Unsynced::of(first + second));
            if let Err(error) = begins(&left).await {
                panic!("cut {first}, then {second}: {error}");
            }
        }
    }
}

/// A store as version 2 left it.
async fn of_version_2() -> SimDisk {
    let disk = SimDisk::default();
    begins(&disk).await.unwrap();
    let database = redb::Builder::new().create_with_backend(disk.file("flow.redb")).unwrap();
    crate::versions::doctor(&database, 2, |table| table.retain(|key, _| !key.starts_with(b"P")).unwrap());
    drop(database);
    disk.create("version").unwrap();
    let version = disk.file("version");
    version.write(0, b"2\n").unwrap();
    version.sync_data().unwrap();
    disk.sync().unwrap();
    disk.after_cut(Unsynced::Kept)
}

#[tokio::test]
async fn a_cut_at_any_step_of_bringing_a_store_up_loses_nothing() {
    let old = of_version_2().await;
    let before = old.bytes("flow.redb").unwrap();
    let disk = old.after_cut(Unsynced::Kept);
    drop(RedbStore::on(Arc::new(disk.clone())).unwrap());
    let whole = disk.operations();
    assert!(whole > 10, "{whole}");
    for cut in 0..=whole {
        for way in 0..WAYS {
            let disk = old.after_cut(Unsynced::Kept);
            disk.off_after(cut);
            drop(RedbStore::on(Arc::new(disk.clone())));
            let left = disk.after_cut(Unsynced::of(cut * WAYS + way));
            let store = RedbStore::on(Arc::new(left.clone())).unwrap_or_else(|error| panic!("cut {cut}, way {way}: {error}"));
            assert_eq!(store.journal("run_1").unwrap().len(), 1);
            assert_eq!(store.counts(), Ok((1, 0)));
            assert!(left.bytes("flow.redb.v2").unwrap() == before, "cut {cut}, way {way}: the copy is not what it was");
        }
    }
}
