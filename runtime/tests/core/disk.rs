//! A disk in memory that keeps apart what is durable: it can lose power at any of its operations, and refuse any of them.
//!
//! What was not synced when the power went is kept, lost, or torn between sectors; names come and go in their order. A
//! [`SimDisk`] is a handle: copies show the same disk.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard};

use flow_runtime::store::{Disk, OpenFile};

/// What is written as a whole or not at all.
const SECTOR: usize = 512;

/// A disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct SimDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    files: Vec<Inode>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    /// Changes of names since the folder was synced, in their order.
    pending_names: Vec<NameChange>,
    /// How many operations that change something there were.
    operations: u64,
    /// The power goes behind this many operations.
    off_after: Option<u64>,
    /// Which operations fail, by their number, and what they say.
    refuses: Option<Refusal>,
    refused: u64,
    /// Hears that there is no power.
    told: Told,
}

#[derive(Default)]
struct Told(Option<Box<dyn Fn() + Send>>);

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Told")
    }
}

/// Which operations are refused.
#[derive(Debug, Clone, Copy)]
struct Refusal {
    from: u64,
    until: u64,
    error: ErrorKind,
}

#[derive(Debug, Clone, Default)]
struct Inode {
    now: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Bytes(usize, Vec<u8>),
    Length(usize),
}

#[derive(Debug, Clone)]
enum NameChange {
    Is(String, usize),
    Was(String),
    Renamed(String, String),
}

/// What a power cut does to what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unsynced {
    /// Nothing of it is there.
    Lost,
    /// All of it is there.
    Kept,
    /// Whole writes are there or not, as a seed says.
    Some(u64),
    /// Sectors are there or not, as a seed says.
    Torn(u64),
}

impl Unsynced {
    /// One of the ways, for a number.
    pub(crate) fn of(number: u64) -> Self {
        match number % 4 {
            0 => Unsynced::Lost,
            1 => Unsynced::Kept,
            2 => Unsynced::Some(number),
            _ => Unsynced::Torn(number),
        }
    }
}

/// Says yes or no, the same for the same seed.
struct Dice(u64);

impl Dice {
    fn throw(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn yes(&mut self) -> bool {
        self.throw() >> 63 == 0
    }
}

impl SimDisk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Lets the power go behind so many operations; those behind them are refused.
    pub(crate) fn off_after(&self, operations: u64) {
        self.state().off_after = Some(operations);
    }

    /// Whoever asks for an operation without power lets this be told.
    pub(crate) fn when_off(&self, told: impl Fn() + Send + 'static) {
        self.state().told = Told(Some(Box::new(told)));
    }

    /// Refuses the operations `from..until`, counted from the first one of the disk.
    pub(crate) fn refuse(&self, from: u64, until: u64, error: ErrorKind) {
        self.state().refuses = Some(Refusal { from, until, error });
    }

    /// Refuses all operations from now on.
    pub(crate) fn refuse_all(&self, error: ErrorKind) {
        let from = self.operations();
        self.refuse(from, u64::MAX, error);
    }

    /// Refuses nothing any more.
    pub(crate) fn heal(&self) {
        self.state().refuses = None;
    }

    /// Returns how many operations there were that change something.
    pub(crate) fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Tells whether the power has gone, and somebody has noticed.
    pub(crate) fn is_off(&self) -> bool {
        let state = self.state();
        state.refused > 0 && state.off_after.is_some_and(|last| state.operations >= last)
    }

    /// Opens a file for a test that changes it.
    pub(crate) fn file(&self, name: &str) -> SimFile {
        SimFile { disk: self.clone(), file: self.state().names[name] }
    }

    /// Returns what is in a file.
    pub(crate) fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state();
        state.names.get(name).map(|file| state.files[*file].now.clone())
    }

    /// Returns the names of the files.
    pub(crate) fn names(&self) -> Vec<String> {
        self.state().names.keys().cloned().collect()
    }

    /// Returns the disk as it is when the power comes back.
    pub(crate) fn after_cut(&self, unsynced: Unsynced) -> SimDisk {
        let state = self.state();
        let mut dice = match unsynced {
            Unsynced::Lost | Unsynced::Kept => Dice(0),
            Unsynced::Some(seed) | Unsynced::Torn(seed) => Dice(seed),
        };
        let mut names = state.durable_names.clone();
        let kept = match unsynced {
            Unsynced::Lost => 0,
            Unsynced::Kept => state.pending_names.len(),
            Unsynced::Some(_) | Unsynced::Torn(_) => {
                usize::try_from(dice.throw() % (state.pending_names.len() as u64 + 1)).unwrap()
            }
        };
        state.pending_names[..kept].iter().for_each(|change| change.apply(&mut names));
        let files = state.files.iter().map(|file| file.after_cut(unsynced, &mut dice)).collect();
        let durable_names = names.clone();
        SimDisk(Arc::new(Mutex::new(State { files, names, durable_names, ..State::default() })))
    }
}

impl State {
    /// Counts an operation, unless it is refused.
    fn operate(&mut self) -> io::Result<()> {
        let refused = match (self.off_after, self.refuses) {
            (Some(last), _) if self.operations >= last => Some(ErrorKind::BrokenPipe),
            (_, Some(refusal)) if (refusal.from..refusal.until).contains(&self.operations) => Some(refusal.error),
            _ => None,
        };
        if let Some(error) = refused {
            self.refused += 1;
            if error == ErrorKind::BrokenPipe {
                self.told.0.iter().for_each(|told| told());
            }
            // A refused operation is counted too, but not one without power: `refuse(n, n + 1)` is the n-th alone.
            if error != ErrorKind::BrokenPipe {
                self.operations += 1;
            }
            return Err(io::Error::new(error, "the disk refuses"));
        }
        self.operations += 1;
        Ok(())
    }

    /// Without power nothing can be read either.
    fn reads(&mut self) -> io::Result<()> {
        match self.off_after {
            Some(last) if self.operations >= last => {
                self.refused += 1;
                self.told.0.iter().for_each(|told| told());
                Err(io::Error::new(ErrorKind::BrokenPipe, "there is no power"))
            }
            _ => Ok(()),
        }
    }

    fn rename(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.pending_names.push(change);
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            NameChange::Is(name, file) => {
                names.insert(name.clone(), *file);
            }
            NameChange::Was(name) => {
                names.remove(name);
            }
            NameChange::Renamed(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
        }
    }
}

impl Inode {
    fn after_cut(&self, unsynced: Unsynced, dice: &mut Dice) -> Inode {
        let mut left = match unsynced {
            Unsynced::Kept => self.now.clone(),
            _ => self.durable.clone(),
        };
        for change in &self.pending {
            match (change, unsynced) {
                (_, Unsynced::Lost | Unsynced::Kept) => {}
                (Change::Length(length), _) => {
                    if dice.yes() {
                        left.resize(*length, 0);
                    }
                }
                (Change::Bytes(at, bytes), Unsynced::Some(_)) => {
                    if dice.yes() {
                        put(&mut left, *at, bytes);
                    }
                }
                (Change::Bytes(at, bytes), Unsynced::Torn(_)) => {
                    // Sectors of the disk, not of the write.
                    let (mut from, end) = (*at, at + bytes.len());
                    while from < end {
                        let next = ((from / SECTOR + 1) * SECTOR).min(end);
                        if dice.yes() {
                            put(&mut left, from, &bytes[from - at..next - at]);
                        }
                        from = next;
                    }
                }
            }
        }
        Inode { now: left.clone(), durable: left, pending: Vec::new() }
    }
}

/// Writes bytes as far as the file goes: what lies behind its end is not seen.
fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
    if at < file.len() {
        let end = (at + bytes.len()).min(file.len());
        file[at..end].copy_from_slice(&bytes[..end - at]);
    }
}

impl Disk for SimDisk {
    fn open(&self, name: &str) -> io::Result<OpenFile> {
        let mut state = self.state();
        state.reads()?;
        let file = *state.names.get(name).ok_or(ErrorKind::NotFound)?;
        Ok(Box::new(SimFile { disk: self.clone(), file }))
    }

    fn create(&self, name: &str) -> io::Result<OpenFile> {
        let mut state = self.state();
        state.operate()?;
        let file = match state.names.get(name) {
            Some(file) => *file,
            None => {
                state.files.push(Inode::default());
                let file = state.files.len() - 1;
                state.rename(NameChange::Is(name.to_owned(), file));
                file
            }
        };
        state.files[file].set_len(0);
        Ok(Box::new(SimFile { disk: self.clone(), file }))
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        let mut state = self.state();
        state.reads()?;
        Ok(state.names.contains_key(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.operate()?;
        if !state.names.contains_key(from) {
            return Err(ErrorKind::NotFound.into());
        }
        state.rename(NameChange::Renamed(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        if state.names.contains_key(name) {
            state.operate()?;
            state.rename(NameChange::Was(name.to_owned()));
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state();
        state.operate()?;
        state.durable_names = state.names.clone();
        state.pending_names.clear();
        Ok(())
    }
}

impl Inode {
    fn set_len(&mut self, length: usize) {
        self.now.resize(length, 0);
        self.pending.push(Change::Length(length));
    }
}

/// An open file of a disk.
#[derive(Debug)]
pub(crate) struct SimFile {
    disk: SimDisk,
    file: usize,
}

impl redb::StorageBackend for SimFile {
    fn len(&self) -> io::Result<u64> {
        let mut state = self.disk.state();
        state.reads()?;
        Ok(state.files[self.file].now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        state.reads()?;
        let at = usize::try_from(offset).unwrap();
        let bytes = state.files[self.file].now.get(at..at + out.len()).ok_or(ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.operate()?;
        state.files[self.file].set_len(usize::try_from(length).unwrap());
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        state.operate()?;
        let file = &mut state.files[self.file];
        for change in std::mem::take(&mut file.pending) {
            match change {
                Change::Length(length) => file.durable.resize(length, 0),
                Change::Bytes(at, bytes) => put(&mut file.durable, at, &bytes),
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        state.operate()?;
        let at = usize::try_from(offset).unwrap();
        let file = &mut state.files[self.file];
        if file.now.len() < at + data.len() {
            // As a file of the system does.
            file.set_len(at + data.len());
        }
        file.now[at..at + data.len()].copy_from_slice(data);
        file.pending.push(Change::Bytes(at, data.to_vec()));
        Ok(())
    }
}

#[test]
fn what_is_synced_stays_and_what_is_not_is_kept_lost_or_torn() {
    let disk = SimDisk::default();
    let file = disk.create("a").unwrap();
    file.set_len(2048).unwrap();
    file.sync_data().unwrap();
    disk.sync().unwrap();
    file.write(0, &[1; 2048]).unwrap();
    disk.create("b").unwrap();
    let bytes = |disk: &SimDisk| disk.bytes("a").unwrap();
    let lost = disk.after_cut(Unsynced::Lost);
    assert_eq!((bytes(&lost), lost.names()), (vec![0; 2048], vec!["a".to_owned()]));
    let kept = disk.after_cut(Unsynced::Kept);
    assert_eq!((bytes(&kept), kept.names()), (vec![1; 2048], vec!["a".to_owned(), "b".to_owned()]));
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..64 {
        let torn = bytes(&disk.after_cut(Unsynced::Torn(seed)));
        assert!(torn.chunks(SECTOR).all(|sector| sector.iter().all(|byte| *byte == sector[0])), "sectors are whole");
        seen.insert(torn);
    }
    assert!(seen.len() > 8, "{}", seen.len());
    disk.off_after(disk.operations() + 1);
    file.write(0, &[2]).unwrap();
    assert!(file.sync_data().is_err() && disk.is_off() && file.len().is_err());
}
