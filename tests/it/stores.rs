//! The store through the real daemon: of another version, held by another one, on a disk that refuses.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::support::daemon::Daemon;
use crate::support::program::flowd;
use crate::support::recorder::Recorder;
use crate::support::stripe;

/// A daemon that has done one run and stopped.
fn stopped() -> (Recorder, Daemon) {
    let server = Recorder::kustomer();
    let mut daemon = Daemon::one_liner(&server.url);
    stripe::post(&daemon.server, &stripe::charge_failed("1", 20_000, "usd", Some("a@example.com")).to_string());
    daemon.settled(1);
    assert_eq!(daemon.terminate(), 0);
    (server, daemon)
}

/// Sets the version that stands in the store's file, and takes out what came with the newest.
fn doctor(store: &Path, version: u32) {
    let database = redb::Database::open(store.join("flow.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let table = redb::TableDefinition::<&[u8], &[u8]>::new("flow");
        let mut table = transaction.open_table(table).unwrap();
        table.insert(b"mversion\0".as_slice(), version.to_be_bytes().as_slice()).unwrap();
        table.retain(|key, _| !key.starts_with(b"P")).unwrap();
    }
    transaction.commit().unwrap();
    fs::write(store.join("version"), format!("{version}\n")).unwrap();
}

fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|entry| entry.file_type().unwrap().is_file());
    files.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap())).collect()
}

#[test]
fn a_store_of_a_newer_version_is_refused_untouched() {
    let (_server, daemon) = stopped();
    let store = daemon.path().join(".flow");
    doctor(&store, 99);
    let before = contents(&store);
    let refused = flowd(daemon.path(), &["run"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.err.contains("written by a newer version of flowd (format 99, this one reads"), "{refused:?}");
    let mut after = contents(&store);
    // Who has the store open is written down before it is looked at.
    after.insert("lock".to_owned(), before["lock"].clone());
    assert_eq!(after, before);
}

#[test]
fn a_store_of_an_earlier_version_is_copied_and_brought_up() {
    let (_server, mut daemon) = stopped();
    let store = daemon.path().join(".flow");
    doctor(&store, 2);
    let before = fs::read(store.join("flow.redb")).unwrap();
    daemon.launch();
    assert_eq!(daemon.settled(1)[0]["status"], "done");
    assert_eq!(fs::read(store.join("flow.redb.v2")).unwrap(), before);
    assert_ne!(fs::read_to_string(store.join("version")).unwrap().trim(), "2");
    let known = stripe::post(&daemon.server, &stripe::charge_failed("1", 20_000, "usd", Some("a@example.com")).to_string());
    assert_eq!(known.status, 200);
    assert_eq!(daemon.settled(1).len(), 1, "the event is still known");
}
