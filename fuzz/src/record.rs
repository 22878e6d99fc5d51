//! Stored records: rows of the database and records of the inbox, changed, with every checksum right.

use std::collections::BTreeMap;
use std::panic;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use flow_runtime::store::RedbStore;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::daemon::{Daemon, TOKEN};
use super::disk::MemoryDisk;
use super::draw::Draw;

const TABLE: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("flow");
const DATABASE: &str = "flow.redb";
const INBOX: &str = "inbox.1";

/// A store with some of everything, and with events in its inbox that are not sorted in.
struct Whole {
    files: BTreeMap<String, Vec<u8>>,
    /// The keys of its rows.
    keys: Vec<Vec<u8>>,
}

static WHOLE: LazyLock<Whole> = LazyLock::new(|| {
    let disk = Arc::new(MemoryDisk::default());
    let daemon = || Daemon::over(Arc::new(RedbStore::on(disk.clone()).expect("a store"))).expect("it starts");
    let mut first = daemon();
    first.some("a");
    drop(first);
    // What comes now stays in the inbox; the same flows have to know the plans.
    let second = daemon();
    disk.full.store(true, Ordering::SeqCst);
    second.send("b");
    let files = disk.files();
    disk.full.store(false, Ordering::SeqCst);
    drop(second);
    let keys = rows(&files).into_iter().map(|(key, _)| key).collect();
    assert!(records(&files[INBOX]).len() >= 4, "the inbox holds what was not sorted in");
    Whole { files, keys }
});

/// How many panics there were in any thread.
static PANICS: AtomicU64 = AtomicU64::new(0);

/// Whatever a record says, the store is refused with a reason or works: nothing panics, hangs or takes memory without bound.
pub fn record(bytes: &[u8]) {
    static COUNTED: LazyLock<()> = LazyLock::new(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PANICS.fetch_add(1, Ordering::SeqCst);
            before(info);
        }));
    });
    LazyLock::force(&COUNTED);
    let mut draw = Draw(bytes);
    let mut files = WHOLE.files.clone();
    for _ in 0..=draw.below(3) {
        if draw.below(3) == 0 {
            change_inbox(&mut files, &mut draw);
        } else {
            change_row(&mut files, &mut draw);
        }
    }
    let before = PANICS.load(Ordering::SeqCst);
    let Ok(store) = RedbStore::on(Arc::new(MemoryDisk::of(files))) else {
        assert_eq!(PANICS.load(Ordering::SeqCst), before, "a thread panicked");
        return;
    };
    if let Ok(daemon) = Daemon::over(Arc::new(store)) {
        look_at_all(&daemon);
        daemon.send("c");
        daemon.rests();
        assert_eq!(daemon.service.engine().stats().panics, 0);
    }
    assert_eq!(PANICS.load(Ordering::SeqCst), before, "a thread panicked");
}

fn look_at_all(daemon: &Daemon) {
    let ask = |method: &str, path: &str| {
        let head = format!(
            "{method} /api/v1/{path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\nX-Flow-Admin: 1\r\nConnection: close\r\n\r\n"
        );
        let reply = daemon.to_admin(head.as_bytes(), true).into_iter().next().expect("an answer");
        let json = reply.json().unwrap_or_default();
        // What is damaged is said to be; that something of ours failed is another matter.
        assert_ne!(json["error"]["code"], "internal", "{path}");
        json
    };
    for path in ["status", "flows", "dead", "alarms", "connections", "missing?trigger=stripe.charge_failed"] {
        ask("GET", path);
    }
    for (list, more) in [("events", "/why"), ("runs", "")] {
        let all = ask("GET", &format!("{list}?limit=20&personal=true"));
        for one in all[list].as_array().into_iter().flatten().take(8) {
            let Some(id) = one["id"].as_str() else { continue };
            let id: String = id.bytes().map(|byte| format!("%{byte:02X}")).collect();
            ask("GET", &format!("{list}/{id}{more}?personal=true"));
        }
    }
    ask("POST", "replay?flow=big&since=30d&dry=true");
    ask("POST", "runs/RUN/retry");
}

fn rows(files: &BTreeMap<String, Vec<u8>>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let disk = MemoryDisk::of(BTreeMap::from([(DATABASE.to_owned(), files[DATABASE].clone())]));
    let database = open(&disk);
    let reading = database.begin_read().expect("it is read");
    let table = reading.open_table(TABLE).expect("its table");
    let rows = table.iter().expect("rows");
    rows.map(|row| row.map(|(key, value)| (key.value().to_vec(), value.value().to_vec())).expect("a row")).collect()
}

fn open(disk: &MemoryDisk) -> Database {
    struct Opened(flow_runtime::store::OpenFile);
    impl std::fmt::Debug for Opened {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Opened")
        }
    }
    impl redb::StorageBackend for Opened {
        fn len(&self) -> std::io::Result<u64> {
            self.0.len()
        }
        fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
            self.0.read(offset, out)
        }
        fn set_len(&self, length: u64) -> std::io::Result<()> {
            self.0.set_len(length)
        }
        fn sync_data(&self) -> std::io::Result<()> {
            self.0.sync_data()
        }
        fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
            self.0.write(offset, data)
        }
    }
    use flow_runtime::store::Disk as _;
    let file = Opened(disk.open(DATABASE).expect("a database"));
    Database::builder().set_cache_size(1 << 20).create_with_backend(file).expect("it opens")
}

/// Changes the value of a row, or puts a row of a key nearly like another's.
fn change_row(files: &mut BTreeMap<String, Vec<u8>>, draw: &mut Draw<'_>) {
    let keys = &WHOLE.keys;
    let at = (draw.below(256) * 256 + draw.below(256)) % keys.len();
    let disk = MemoryDisk::of(BTreeMap::from([(DATABASE.to_owned(), files[DATABASE].clone())]));
    let database = open(&disk);
    let writing = database.begin_write().expect("it is written");
    {
        let mut table = writing.open_table(TABLE).expect("its table");
        let mut key = keys[at].clone();
        let mut value = table.get(&*key).expect("it is read").map(|value| value.value().to_vec()).unwrap_or_default();
        match draw.below(8) {
            0 => {
                table.remove(&*key).expect("it is written");
            }
            1 => {
                // The table stays: its rows alone are meant.
                let letter = key.first().copied();
                change(&mut key, draw);
                if let (Some(letter), Some(first)) = (letter, key.first_mut()) {
                    *first = letter;
                }
                table.insert(&*key, &*value).expect("it is written");
            }
            _ => {
                change(&mut value, draw);
                table.insert(&*key, &*value).expect("it is written");
            }
        }
    }
    writing.commit().expect("it is written");
    drop(database);
    files.extend(disk.files());
}

/// Changes bytes here or there.
fn change(bytes: &mut Vec<u8>, draw: &mut Draw<'_>) {
    for _ in 0..=draw.below(3) {
        let at = (draw.below(256) * 256 + draw.below(256)) % (bytes.len() + 1);
        let until = (at + draw.below(12)).min(bytes.len());
        match draw.below(5) {
            0 => drop(bytes.drain(at..until)),
            1 => bytes[at..until].fill(u8::MAX),
            2 => {
                let piece = bytes[at..until].to_vec();
                bytes.splice(at..at, piece);
            }
            3 => {
                // A number in JSON becomes another one.
                if let Some(digit) = bytes.iter().skip(at).position(u8::is_ascii_digit).map(|found| at + found) {
                    let end =
                        bytes.iter().skip(digit).position(|byte| !byte.is_ascii_digit()).map_or(bytes.len(), |end| digit + end);
                    let number = draw.one(&["0", "-1", "18446744073709551615", "4294967295", "9223372036854775807", "1e9"]);
                    bytes.splice(digit..end, number.bytes());
                }
            }
            _ => {
                let new = draw.some(8, Draw::byte);
                bytes.splice(at..until, new);
            }
        }
    }
}

/// Magic, format, the segment's number, the number of its first record, checksum.
const HEADER: usize = 8 + 4 + 8 + 8 + 8;
/// Length, number, checksum.
const RECORD: usize = 4 + 8 + 8;

/// The records of a segment: number and bytes.
fn records(segment: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut found = Vec::new();
    let Some(mut rest) = segment.get(HEADER..) else { return found };
    while let Some((head, more)) = rest.split_at_checked(RECORD) {
        let length = usize::try_from(int(&head[..4])).unwrap_or(usize::MAX);
        let Some((bytes, behind)) = more.split_at_checked(length).filter(|_| int(&head[4..12]) > 0) else { break };
        found.push((int(&head[4..12]), bytes.to_vec()));
        rest = behind;
    }
    found
}

/// Changes a record of the inbox, its number, or what the segment says of itself, and makes the checksums right again.
fn change_inbox(files: &mut BTreeMap<String, Vec<u8>>, draw: &mut Draw<'_>) {
    let Some(segment) = files.get_mut(INBOX) else { return };
    let mut records = records(segment);
    if records.is_empty() {
        return;
    }
    let at = draw.below(256) % records.len();
    match draw.below(6) {
        0 => records[at].0 = [0, 1, u64::MAX, u64::MAX - 1, i64::MAX as u64][draw.below(5)],
        1 => drop(records.remove(at)),
        2 => records.swap(at, 0),
        _ => change(&mut records[at].1, draw),
    }
    let mut written = segment[..HEADER - 8].to_vec();
    written.extend(sum(&written).to_be_bytes());
    let number = int(&segment[12..20]);
    for (record, bytes) in &records {
        written.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        written.extend(record.to_be_bytes());
        let check = [*record, bytes.len() as u64, sum(bytes)].into_iter().fold(number, mix);
        written.extend(check.to_be_bytes());
        written.extend(bytes);
    }
    written.resize(written.len().max(segment.len()), 0);
    *segment = written;
}

fn int(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// As `runtime/src/store/inbox/log.rs` has it; that it is still the same is shown by the inbox being read.
fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let sum = words.iter().fold(bytes.len() as u64, |sum, word| mix(sum, u64::from_le_bytes(*word)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(sum, u64::from_le_bytes(last))
}

fn mix(one: u64, two: u64) -> u64 {
    let product = u128::from(one ^ 0x9e37_79b9_7f4a_7c15) * u128::from(two ^ 0xd6e8_feb8_6659_fd93);
    ((product & u128::from(u64::MAX)) as u64) ^ ((product >> 64) as u64) ^ one.rotate_left(32)
}
