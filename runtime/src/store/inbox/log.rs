//! The log: records one after the other in two segments, which are used in turn and written over in place.
//!
//! A segment begins with a header: its number, drawn at random, is mixed into the checksums of its records, so that what an
//! earlier use left behind is never read as a part of this one. Records have numbers that only grow, and the store knows the
//! last one that it has applied: what is read again is applied once. A record that is torn ends its segment; all before it
//! are whole, since what is written is synced before anything is written behind it.
//!
//! A segment is written over only when the store has all of it. Its file is never made smaller or replaced, so that a power
//! cut has nothing to take apart but the records themselves.

use std::io;

use redb::StorageBackend;

use crate::store::disk::OpenFile;
use crate::store::tables::HIGHEST;

const MAGIC: &[u8; 8] = b"flow inb";
const FORMAT: u32 = 1;
/// Magic, format, the segment's number, the number of its first record, checksum.
const HEADER: usize = 8 + 4 + 8 + 8 + 8;
/// Length, number, checksum.
const RECORD: usize = 4 + 8 + 8;
/// Where everything is applied, a segment longer than this is begun anew: a log that is rarely written stays small.
const SHORT: u64 = 256 * 1024;

/// Both segments are full of what the store has not applied.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::store) struct NoRoom;

/// A record to append: its bytes and their [`sum`].
pub(in crate::store) type Record<'a> = (&'a [u8], u64);

/// The log, to append to.
#[derive(Debug)]
pub(in crate::store) struct Log {
    segments: [Segment; 2],
    active: usize,
    /// The next record's number.
    next: u64,
    /// How long a segment gets.
    length: u64,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Segment {
    storage: OpenFile,
    number: u64,
    /// Where the next record goes; 0 before the header.
    at: u64,
    /// The last record in it.
    last: u64,
}

/// What an earlier process left behind: numbers of records and their bytes, in their order.
pub(in crate::store) type Left = Vec<(u64, Vec<u8>)>;

impl Log {
    /// Opens a log. Returns with it the segments that have records behind `applied`: those have to be applied before anything
    /// is appended.
    pub(in crate::store) fn open(storages: [OpenFile; 2], applied: u64, length: u64) -> io::Result<(Self, Left)> {
        let (mut left, mut last) = (Vec::new(), applied);
        for storage in &storages {
            let records = read(&**storage)?;
            let end = records.last().map_or(0, |(number, _)| *number);
            last = last.max(end);
            // What is not applied may need what was said before it in its segment.
            if end > applied {
                left.extend(records);
            }
        }
        if last > HIGHEST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the store says that it has sorted in what never was"));
        }
        left.sort_by_key(|(number, _)| *number);
        let segments = storages.map(|storage| Segment { storage, number: 0, at: 0, last: 0 });
        Ok((Self { segments, active: 0, next: last + 1, length, buffer: Vec::new() }, left))
    }

    /// Returns the longest record that can be appended.
    pub(in crate::store) fn longest(length: u64) -> usize {
        usize::try_from(length).unwrap_or(usize::MAX).saturating_sub(HEADER + RECORD)
    }

    /// Tells how much a record of so many bytes takes.
    pub(in crate::store) fn weight(bytes: usize) -> usize {
        RECORD + bytes
    }

    /// Makes room for records of so many bytes, by [`Log::weight`]. `applied` is the last record that the store has applied.
    ///
    /// # Errors
    /// Where both segments are full of what it has not.
    pub(in crate::store) fn make_room(&mut self, bytes: usize, applied: u64) -> Result<(), NoRoom> {
        let active = &mut self.segments[self.active];
        let fits = active.at == 0 || active.at + bytes as u64 <= self.length;
        if active.last <= applied && (active.at > SHORT || !fits) {
            active.at = 0;
            return Ok(());
        }
        if fits {
            return Ok(());
        }
        let other = 1 - self.active;
        if self.segments[other].last > applied {
            return Err(NoRoom);
        }
        self.active = other;
        self.segments[other].at = 0;
        Ok(())
    }

    /// Tells whether the next record is the first one of its segment.
    pub(in crate::store) fn is_begun_anew(&self) -> bool {
        self.segments[self.active].at == 0
    }

    /// Returns the last record's number.
    pub(in crate::store) fn last(&self) -> u64 {
        self.next - 1
    }

    /// Appends records, for which there is room, and syncs them. Returns the number of the first one; those of the others
    /// follow.
    ///
    /// # Errors
    /// Where the disk refuses. None of them is kept.
    pub(in crate::store) fn append(&mut self, records: &[Record<'_>]) -> io::Result<u64> {
        let first = self.next;
        // A number is given once, whatever becomes of it: what a write that failed has left of its records on the disk is
        // never read as following upon others.
        self.next += records.len() as u64;
        let segment = &mut self.segments[self.active];
        self.buffer.clear();
        if segment.at == 0 {
            segment.number = fastrand::u64(..);
            put_header(&mut self.buffer, segment.number, first);
        }
        for (number, (bytes, sum)) in (first..).zip(records) {
            put_record(&mut self.buffer, segment.number, number, bytes, *sum);
        }
        let written = segment.storage.write(segment.at, &self.buffer).and_then(|()| segment.storage.sync_data());
        if let Err(error) = written {
            // Should the disk take this, nothing of them is found at the next start either.
            let erased = segment.storage.write(segment.at, &[0; RECORD]).and_then(|()| segment.storage.sync_data());
            if let Err(error) = erased {
                tracing::debug!(%error, "what was half written could not be erased");
            }
            return Err(error);
        }
        segment.at += self.buffer.len() as u64;
        segment.last = self.next - 1;
        if self.buffer.capacity() > MOST_BUFFER {
            self.buffer = Vec::new();
        }
        Ok(first)
    }

    /// Marks the segments as empty, when the store has applied everything: the next start has nothing to read.
    pub(in crate::store) fn clear(&mut self) -> io::Result<()> {
        for segment in &mut self.segments {
            if segment.storage.len()? > 0 {
                segment.storage.write(0, &[0; HEADER])?;
            }
            segment.at = 0;
        }
        Ok(())
    }
}

/// A buffer that grew beyond this for one large record is given back.
const MOST_BUFFER: usize = 1024 * 1024;

fn put_header(to: &mut Vec<u8>, number: u64, first: u64) {
    let begin = to.len();
    to.extend(MAGIC);
    to.extend(FORMAT.to_be_bytes());
    to.extend(number.to_be_bytes());
    to.extend(first.to_be_bytes());
    let check = sum(&to[begin..]);
    to.extend(check.to_be_bytes());
}

fn put_record(to: &mut Vec<u8>, segment: u64, number: u64, bytes: &[u8], sum: u64) {
    // Longer ones than a segment are not appended.
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    to.extend(length.to_be_bytes());
    to.extend(number.to_be_bytes());
    to.extend(check(segment, number, length, sum).to_be_bytes());
    to.extend(bytes);
}

/// The checksum of a record: over its segment, its number and its length too.
fn check(segment: u64, number: u64, length: u32, sum: u64) -> u64 {
    [number, u64::from(length), sum].into_iter().fold(segment, mix)
}

/// Returns a checksum of bytes. It is not meant against somebody who wants two texts to have the same.
pub(in crate::store) fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let sum = words.iter().fold(bytes.len() as u64, |sum, word| mix(sum, u64::from_le_bytes(*word)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(sum, u64::from_le_bytes(last))
}

/// Each bit of either decides about every bit of what comes out.
fn mix(one: u64, two: u64) -> u64 {
    let product = u128::from(one ^ 0x9e37_79b9_7f4a_7c15) * u128::from(two ^ 0xd6e8_feb8_6659_fd93);
    let (low, high) = (product & u128::from(u64::MAX), product >> 64);
    #[expect(clippy::cast_possible_truncation, reason = "both are halves")]
    let (low, high) = (low as u64, high as u64);
    low ^ high ^ one.rotate_left(32)
}

/// Reads what is whole of a segment.
fn read(storage: &dyn StorageBackend) -> io::Result<Left> {
    let mut left = Vec::new();
    let mut window = Window { storage, length: storage.len()?, at: 0, bytes: Vec::new(), from: 0 };
    let Some(header) = window.next(HEADER)? else { return Ok(left) };
    let Some((segment, mut least)) = header_of(header) else { return Ok(left) };
    loop {
        let Some(head) = window.next(RECORD)? else { return Ok(left) };
        let (length, number, known) = (int(head, 0, 4), int(head, 4, 8), int(head, 12, 8));
        let size = usize::try_from(length).unwrap_or(usize::MAX);
        if number < least || number > HIGHEST {
            return Ok(left);
        }
        let Some(bytes) = window.next(size)? else { return Ok(left) };
        if check(segment, number, u32::try_from(length).unwrap_or(u32::MAX), sum(bytes)) != known {
            return Ok(left);
        }
        left.push((number, bytes.to_vec()));
        least = number + 1;
    }
}

/// Returns the number of a segment and that of its first record.
fn header_of(bytes: &[u8]) -> Option<(u64, u64)> {
    let (what, known) = bytes.split_at_checked(HEADER - 8)?;
    let is_header = what.starts_with(MAGIC) && int(what, 8, 4) == u64::from(FORMAT) && sum(what) == int(known, 0, 8);
    is_header.then(|| (int(what, 12, 8), int(what, 20, 8)))
}

/// Reads a number of so many bytes; 0 where there are not as many.
fn int(bytes: &[u8], at: usize, size: usize) -> u64 {
    bytes.get(at..at + size).unwrap_or_default().iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// A segment, read piece by piece.
struct Window<'a> {
    storage: &'a dyn StorageBackend,
    length: u64,
    /// Where the next piece begins.
    at: u64,
    bytes: Vec<u8>,
    /// Where the bytes at hand begin.
    from: u64,
}

/// So much is read at once.
const PIECE: u64 = 256 * 1024;

impl Window<'_> {
    /// Returns the next bytes; `None` where there are not as many.
    fn next(&mut self, size: usize) -> io::Result<Option<&[u8]>> {
        let end = self.at.saturating_add(size as u64);
        if end > self.length {
            return Ok(None);
        }
        if end > self.from + self.bytes.len() as u64 {
            let until = (self.at + PIECE.max(size as u64)).min(self.length);
            self.bytes = vec![0; usize::try_from(until - self.at).map_err(io::Error::other)?];
            self.storage.read(self.at, &mut self.bytes)?;
            self.from = self.at;
        }
        let begin = usize::try_from(self.at - self.from).map_err(io::Error::other)?;
        self.at = end;
        Ok(self.bytes.get(begin..begin + size))
    }
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;

    use super::*;

    const LENGTH: u64 = 4096;

    fn storages() -> [OpenFile; 2] {
        [Box::new(InMemoryBackend::new()), Box::new(InMemoryBackend::new())]
    }

    /// What of the log a next process finds.
    fn copy(log: &Log) -> [OpenFile; 2] {
        [0, 1].map(|at| {
            let from = &log.segments[at].storage;
            let mut bytes = vec![0; usize::try_from(from.len().unwrap()).unwrap()];
            from.read(0, &mut bytes).unwrap();
            let to = InMemoryBackend::new();
            to.set_len(bytes.len() as u64).unwrap();
            to.write(0, &bytes).unwrap();
            Box::new(to) as OpenFile
        })
    }

    fn append(log: &mut Log, texts: &[&str], applied: u64) -> Result<u64, NoRoom> {
        let weight = texts.iter().map(|text| Log::weight(text.len())).sum();
        log.make_room(weight, applied)?;
        ensure(log, weight);
        let records: Vec<Record<'_>> = texts.iter().map(|text| (text.as_bytes(), sum(text.as_bytes()))).collect();
        Ok(log.append(&records).unwrap())
    }

    /// Memory does not grow by being written to.
    fn ensure(log: &Log, size: usize) {
        for segment in &log.segments {
            let wanted = segment.at + (HEADER + size) as u64;
            if segment.storage.len().unwrap() < wanted {
                segment.storage.set_len(wanted).unwrap();
            }
        }
    }

    fn texts(left: &Left) -> Vec<String> {
        left.iter().map(|(_, bytes)| String::from_utf8(bytes.clone()).unwrap()).collect()
    }

    #[test]
    fn a_number_that_none_can_have_ends_a_segment_and_a_store_that_has_it_is_refused() {
        let mut bytes = Vec::new();
        put_header(&mut bytes, 7, 1);
        for number in [1, u64::MAX, u64::MAX] {
            put_record(&mut bytes, 7, number, b"one", sum(b"one"));
        }
        let [storage, other] = storages();
        storage.set_len(bytes.len() as u64).unwrap();
        storage.write(0, &bytes).unwrap();
        let (log, left) = Log::open([storage, other], 0, LENGTH).unwrap();
        assert_eq!((texts(&left), log.next), (vec!["one".to_owned()], 2));
        assert!(Log::open(storages(), u64::MAX, LENGTH).is_err());
    }

    #[test]
    fn what_is_appended_is_left_until_it_is_applied() {
        let (mut log, left) = Log::open(storages(), 0, LENGTH).unwrap();
        assert!(left.is_empty());
        assert_eq!(append(&mut log, &["one", "two"], 0).unwrap(), 1);
        assert_eq!(append(&mut log, &["three"], 0).unwrap(), 3);
        let (_, left) = Log::open(copy(&log), 0, LENGTH).unwrap();
        assert_eq!(texts(&left), ["one", "two", "three"]);
        let (mut next, left) = Log::open(copy(&log), 2, LENGTH).unwrap();
        assert_eq!(texts(&left), ["one", "two", "three"]);
        // What is begun anew hides all that was there.
        assert_eq!(append(&mut next, &["one"], 3).unwrap(), 4);
        let (mut next, left) = Log::open(copy(&next), 0, LENGTH).unwrap();
        assert_eq!(left, [(4, b"one".to_vec())]);
        next.clear().unwrap();
        assert!(Log::open(copy(&next), 0, LENGTH).unwrap().1.is_empty());
    }

    #[test]
    fn segments_take_turns_and_nothing_that_is_not_applied_is_written_over() {
        let (mut log, _) = Log::open(storages(), 0, LENGTH).unwrap();
        let text = "x".repeat(1000);
        let mut last = 0;
        while let Ok(number) = append(&mut log, &[&text], 0) {
            last = number;
        }
        assert_eq!(last, 6, "three in each");
        assert_eq!(append(&mut log, &[&text], 2), Err(NoRoom));
        assert_eq!(append(&mut log, &["y"], 3).unwrap(), 7);
        let (_, left) = Log::open(copy(&log), 3, LENGTH).unwrap();
        assert_eq!(left.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [4, 5, 6, 7]);
        assert!(Log::longest(LENGTH) < 4096 && Log::longest(LENGTH) > 4000);
    }

    #[test]
    fn a_record_that_is_damaged_ends_the_segment() {
        let (mut log, _) = Log::open(storages(), 0, LENGTH).unwrap();
        append(&mut log, &["one", "two", "three"], 0).unwrap();
        let end = log.segments[0].at;
        for at in 0..end {
            let storages = copy(&log);
            let mut byte = [0];
            storages[0].read(at, &mut byte).unwrap();
            storages[0].write(at, &[byte[0] ^ 1]).unwrap();
            let (_, left) = Log::open(storages, 0, LENGTH).unwrap();
            let whole = (at.saturating_sub(HEADER as u64)) / (RECORD as u64 + 3);
            let whole = if at < HEADER as u64 { 0 } else { whole.min(2) };
            assert_eq!(left.len() as u64, whole, "byte {at}");
        }
    }

    #[test]
    fn what_a_failed_write_left_never_follows_upon_others() {
        let (mut log, _) = Log::open(storages(), 0, LENGTH).unwrap();
        append(&mut log, &["one"], 0).unwrap();
        let at = log.segments[0].at;
        append(&mut log, &["two", "six"], 0).unwrap();
        // As if the sync of the last two had failed, although they are on the disk.
        log.segments[0].at = at;
        append(&mut log, &["ten"], 0).unwrap();
        let (_, left) = Log::open(copy(&log), 0, LENGTH).unwrap();
        assert_eq!(texts(&left), ["one", "ten"]);
    }

    #[test]
    fn sums_differ() {
        let mut known = std::collections::HashSet::new();
        for length in 0..64usize {
            for bit in 0..=length * 8 {
                let mut bytes = vec![0u8; length];
                if let Some(byte) = bytes.get_mut(bit / 8) {
                    *byte |= 1 << (bit % 8);
                }
                if bit < length * 8 || bit == 0 {
                    known.insert(sum(&bytes));
                }
            }
        }
        let different: usize = 1 + (1..64).map(|length| length * 8).sum::<usize>();
        assert_eq!(known.len(), different);
    }
}
