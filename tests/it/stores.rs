//! The store through the real daemon: of another version, held by another one, on a disk that refuses.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::support::daemon::Daemon;
use crate::support::program::flowd;
use crate::support::recorder::Recorder;
use crate::support::stripe;
use crate::support::{eventually, http};

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

#[test]
fn a_second_daemon_is_refused_and_told_who_has_the_store() {
    let server = Recorder::kustomer();
    let daemon = Daemon::one_liner(&server.url);
    let holder = fs::read_to_string(daemon.path().join(".flow/lock")).unwrap().trim().to_owned();
    let said = format!("another flowd (process {holder}) has the store");
    let second = flowd(daemon.path(), &["run"]);
    assert_eq!(second.code, 2, "{second:?}");
    assert!(second.err.contains(&said), "{second:?}");
    // Where it meets the other one's address first that is not all that it says.
    let config = fs::read_to_string(daemon.path().join("flow.toml")).unwrap();
    let address = daemon.server.strip_prefix("http://").unwrap();
    fs::write(daemon.path().join("flow.toml"), config.replacen("127.0.0.1:0", address, 1)).unwrap();
    let second = flowd(daemon.path(), &["run"]);
    assert!(second.code == 2 && second.err.contains(&said), "{second:?}");
    // The first one was not disturbed.
    stripe::post(&daemon.server, &stripe::charge_failed("1", 20_000, "usd", Some("a@example.com")).to_string());
    assert_eq!(daemon.settled(1)[0]["status"], "done");
}

/// A small file system of its own at a folder; `None`, with a word to whoever reads, where it may not be mounted.
struct Small(std::path::PathBuf);

impl Small {
    fn mount(at: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let done = mount(&["-t", "tmpfs", "-o", &format!("size={size},mode=0700"), "tmpfs"], at);
        if !done {
            eprintln!("SKIPPED: no file system can be mounted here; as root it can");
        }
        done.then(|| Self(at.to_owned()))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn mount(args: &[&str], at: &Path) -> bool {
    let mounted = std::process::Command::new("mount").args(args).arg(at).stderr(std::process::Stdio::null()).status();
    mounted.is_ok_and(|status| status.success())
}

/// Writes into a file until there is no room left.
fn fill(file: &Path) {
    use std::io::Write;
    let mut file = fs::File::create(file).unwrap();
    let mut piece = vec![7u8; 64 * 1024];
    while !piece.is_empty() {
        if file.write_all(&piece).is_err() {
            piece.truncate(piece.len() / 2);
        }
    }
}

fn charge(number: usize) -> String {
    let mut event = stripe::charge_failed(&number.to_string(), 20_000, "usd", Some(&format!("u{number}@example.com")));
    event["data"]["object"]["description"] = "x".repeat(20_000).into();
    event.to_string()
}

#[test]
fn a_full_disk_refuses_events_and_room_is_all_that_it_needs() {
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let open = std::sync::Arc::clone(&asked);
    // The first effect is under way when the disk fills.
    let server = Recorder::start(move |request, _| {
        if request.line() == "POST /v1/conversations" {
            while !open.load(std::sync::atomic::Ordering::SeqCst) {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
        }
        Some(crate::support::recorder::kustomer(request))
    });
    let mut daemon = Daemon::one_liner(&server.url);
    assert_eq!(daemon.terminate(), 0);
    let store = daemon.path().join(".flow");
    fs::remove_dir_all(&store).unwrap();
    let Some(_mounted) = Small::mount(&store, "24m") else { return };
    daemon.launch();
    assert_eq!(stripe::post(&daemon.server, &charge(0)).status, 200);
    eventually("its effect is under way", || (server.count("POST", "/v1/conversations") > 0).then_some(()));
    let filler = store.join("filler");
    fill(&filler);
    let mut accepted = 1;
    let refused = (1..2000).map(|number| stripe::post(&daemon.server, &charge(number))).find(|answer| {
        accepted += usize::from(answer.status == 200);
        answer.status != 200
    });
    let refused = refused.unwrap();
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.head.to_ascii_lowercase().contains("retry-after:"), "{refused:?}");
    let status = |path: &str| http::send(&daemon.server, "GET", path, &[], b"").status;
    assert_eq!(status("/healthz"), 200, "it lives");
    eventually("it is not ready", || (status("/readyz") == 503).then_some(()));
    // The answer comes; its result has no room.
    asked.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(status("/readyz"), 503);
    fs::remove_file(&filler).unwrap();
    eventually("it goes on by itself", || (status("/readyz") == 200).then_some(()));
    assert_eq!(stripe::post(&daemon.server, &charge(5000)).status, 200);
    let runs = daemon.settled(accepted + 1);
    assert_eq!(runs.len(), accepted + 1, "what was refused was not kept");
    assert!(runs.iter().all(|run| run["status"] == "done"), "{runs:?}");
    assert_eq!(server.count("POST", "/v1/conversations"), accepted + 1, "each effect was made once");
}

#[test]
fn a_store_that_may_only_be_read_is_said_so_and_a_start_waits_for_nobody() {
    let (_server, mut daemon) = stopped();
    let store = daemon.path().join(".flow");
    let kept = contents(&store);
    let Some(_mounted) = Small::mount(&store, "24m") else { return };
    for (name, bytes) in &kept {
        fs::write(store.join(name), bytes).unwrap();
    }
    assert!(mount(&["-o", "remount,ro"], &store));
    let refused = flowd(daemon.path(), &["run"]);
    assert!(refused.code == 2 && refused.err.contains("Read-only file system"), "{refused:?}");
    assert_eq!(contents(&store), kept);
    assert!(mount(&["-o", "remount,rw"], &store));
    daemon.launch();
    assert_eq!(daemon.settled(1)[0]["status"], "done");
}
