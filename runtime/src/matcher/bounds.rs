//! Bounds in their order: those that a value keeps are one stretch of them, and the others are not touched.

use super::claim::{Point, Side};

/// So many stretches share the farthest of their ends.
const BLOCK: usize = 32;

/// A strict bound, in the number of its entry.
const STRICT: u32 = 1 << 31;

/// Bounds of one class and side.
#[derive(Debug)]
pub(super) struct Sorted {
    side: Side,
    points: Box<[Point]>,
    /// The entries, by point.
    entries: Box<[u32]>,
}

impl Sorted {
    /// Takes the bounds: the point, whether it is strict, and the entry.
    pub(super) fn new(side: Side, mut list: Vec<(Point, bool, u32)>) -> Self {
        // At one point, the ones that its own value keeps are on the side of those that it keeps anyway.
        list.sort_unstable_by_key(|(point, strict, entry)| {
            let strict_first = match side {
                Side::Lower => *strict,
                Side::Upper => !*strict,
            };
            (*point, strict_first, *entry)
        });
        let points = list.iter().map(|(point, ..)| *point).collect();
        let entries = list.iter().map(|(_, strict, entry)| entry | if *strict { STRICT } else { 0 }).collect();
        Self { side, points, entries }
    }

    /// Appends the entries whose bound the value keeps.
    pub(super) fn kept(&self, value: Point, into: &mut Vec<u32>) {
        let kept = match self.side {
            Side::Lower => {
                let below = self.points.partition_point(|point| *point < value);
                let equal = self.equal(below, value, |strict| !strict);
                self.entries.get(..below + equal)
            }
            Side::Upper => {
                let below = self.points.partition_point(|point| *point < value);
                let equal = self.equal(below, value, |strict| strict);
                self.entries.get(below + equal..)
            }
        };
        into.extend(kept.unwrap_or_default().iter().map(|entry| entry & !STRICT));
    }

    /// How many entries from this one on stand at the value's own point and are of a kind.
    fn equal(&self, from: usize, value: Point, is_of_kind: impl Fn(bool) -> bool) -> usize {
        let points = self.points.get(from..).unwrap_or_default();
        let here = points.partition_point(|point| *point == value);
        let entries = self.entries.get(from..from + here).unwrap_or_default();
        entries.partition_point(|entry| is_of_kind(entry & STRICT != 0))
    }

    /// Appends all entries.
    pub(super) fn all(&self, into: &mut Vec<u32>) {
        into.extend(self.entries.iter().map(|entry| entry & !STRICT));
    }
}

/// Stretches of one class, from a point to a point, by where they begin.
#[derive(Debug)]
pub(super) struct Stretches {
    begins: Box<[Point]>,
    ends: Box<[Point]>,
    entries: Box<[u32]>,
    /// The farthest end of each [`BLOCK`] of them.
    farthest: Box<[Point]>,
}

impl Stretches {
    /// Takes the stretches with their entries.
    pub(super) fn new(mut list: Vec<(Point, Point, u32)>) -> Self {
        list.sort_unstable();
        let ends: Box<[Point]> = list.iter().map(|(_, end, _)| *end).collect();
        Self {
            begins: list.iter().map(|(begin, ..)| *begin).collect(),
            farthest: ends.chunks(BLOCK).filter_map(|block| block.iter().max().copied()).collect(),
            ends,
            entries: list.iter().map(|(.., entry)| *entry).collect(),
        }
    }

    /// Appends the entries in whose stretch the value lies.
    pub(super) fn around(&self, value: Point, into: &mut Vec<u32>) {
        let begun = self.begins.partition_point(|begin| *begin <= value);
        let blocks = self.farthest.iter().zip(self.ends.chunks(BLOCK).zip(self.entries.chunks(BLOCK)));
        let mut left = begun;
        for (farthest, (ends, entries)) in blocks {
            if left == 0 {
                return;
            }
            if *farthest >= value {
                let open = ends.iter().zip(entries).take(left).filter(|(end, _)| **end >= value);
                into.extend(open.map(|(_, entry)| *entry));
            }
            left = left.saturating_sub(BLOCK);
        }
    }

    /// Appends all entries.
    pub(super) fn all(&self, into: &mut Vec<u32>) {
        into.extend_from_slice(&self.entries);
    }
}
