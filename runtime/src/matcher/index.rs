//! An index over conditions: from the values of an event to the entries that may concern it, without a look at the others.
//!
//! Each entry stands behind the most selective of its claims: behind the values that it demands, where it demands some, else
//! behind its bounds, else among those that are always looked at. Many entries behind one value are an index of their own,
//! over the claims that are left.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use flow_plan::Value;

use super::bounds::{Sorted, Stretches};
use super::claim::{Claim, Class, How, Point, Probe, Side, hash, hash_bytes, place};
use super::payload::Payload;

/// Up to so many entries behind one value are not told apart any further.
const FEW: usize = 8;

/// An index.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// These are always looked at.
    plain: Vec<u32>,
    values: Vec<(Probe, Values)>,
    bounds: Vec<Bounded>,
}

type Values = HashMap<u64, Posting, BuildHasherDefault<Hashed>>;

/// The bounds of a field.
#[derive(Debug)]
struct Bounded {
    field: u32,
    lists: Vec<(Class, List)>,
}

#[derive(Debug)]
enum List {
    OneSided(Sorted),
    TwoSided(Stretches),
}

/// The bounds of an index while it is made, by field and class.
#[derive(Default)]
struct Gathered {
    one_sided: HashMap<(u32, Class, Side), OneSided>,
    two_sided: HashMap<(u32, Class), TwoSided>,
}

/// A point, whether it is strict, and the entry.
type OneSided = Vec<(Point, bool, u32)>;

/// Where an entry begins and ends, and the entry.
type TwoSided = Vec<(Point, Point, u32)>;

/// The entries behind one value.
#[derive(Debug)]
enum Posting {
    One(u32),
    More(Box<More>),
}

#[derive(Debug)]
enum More {
    Few(Box<[u32]>),
    Many(Index),
}

/// What is looked up is a hash already.
#[derive(Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// An entry while an index is made: its number, and a bit for each of its claims that is used up.
type Entry = (u32, u64);

impl Index {
    /// Returns the index of entries by their claims; the place of an entry is its number.
    pub(super) fn new(claims: &[Vec<Claim>]) -> Self {
        let entries = (0..claims.len()).filter_map(|number| Some((u32::try_from(number).ok()?, 0))).collect();
        Self::of(claims, entries)
    }

    fn of(claims: &[Vec<Claim>], entries: Vec<Entry>) -> Self {
        let left = |entry: &Entry| {
            let (number, used) = *entry;
            let own = claims.get(number as usize).into_iter().flatten().take(64).enumerate();
            own.filter(move |(at, _)| used & 1 << at == 0)
        };
        let mut counts: HashMap<(Probe, u64), usize> = HashMap::new();
        for (_, claim) in entries.iter().flat_map(left) {
            if let Claim::Keys(probe, keys) = claim {
                keys.iter().for_each(|key| *counts.entry((*probe, *key)).or_default() += 1);
            }
        }
        let mut index = Self::default();
        let mut behind: HashMap<(Probe, u64), Vec<Entry>> = HashMap::new();
        let mut gathered = Gathered::default();
        let all = entries.len();
        for entry in entries {
            let weight = |probe: &Probe, keys: &[u64]| {
                keys.iter().map(|key| counts.get(&(*probe, *key)).copied().unwrap_or_default()).sum::<usize>()
            };
            let fewest = left(&entry)
                .filter_map(|(at, claim)| match claim {
                    Claim::Keys(probe, keys) => Some((weight(probe, keys), at, probe, keys)),
                    Claim::Bounds(..) | Claim::Between(..) => None,
                })
                .min_by_key(|(weight, ..)| *weight);
            // What all demand tells nobody apart.
            if let Some((_, at, probe, keys)) = fewest.filter(|(weight, ..)| *weight < all || all == 1) {
                for key in keys {
                    behind.entry((*probe, *key)).or_default().push((entry.0, entry.1 | 1 << at));
                }
                continue;
            }
            match left(&entry).find(|(_, claim)| !matches!(claim, Claim::Keys(..))) {
                Some((_, claim)) => gathered.take(claim, entry.0),
                None => match fewest {
                    Some((_, at, probe, keys)) => {
                        for key in keys {
                            behind.entry((*probe, *key)).or_default().push((entry.0, entry.1 | 1 << at));
                        }
                    }
                    None => index.plain.push(entry.0),
                },
            }
        }
        for ((probe, key), entries) in behind {
            let at = index.values.iter().position(|(known, _)| *known == probe).unwrap_or_else(|| {
                index.values.push((probe, Values::default()));
                index.values.len() - 1
            });
            index.values[at].1.insert(key, Posting::of(claims, entries));
        }
        index.bounds = gathered.into_bounds();
        index.plain.shrink_to_fit();
        index.values.iter_mut().for_each(|(_, values)| values.shrink_to_fit());
        index
    }

    /// Appends the entries that the payload may concern; one may come several times.
    pub(super) fn candidates(&self, payload: &Payload<'_, '_>, into: &mut Vec<u32>) {
        into.extend_from_slice(&self.plain);
        for (probe, values) in &self.values {
            let mut look_up = |key: u64| {
                if let Some(posting) = values.get(&key) {
                    posting.candidates(payload, into);
                }
            };
            let value = match payload.field(probe.field) {
                Some(Ok(Value::Missing)) | None => continue,
                Some(Ok(value)) => value,
                Some(Err(_)) => {
                    values.values().for_each(|posting| posting.candidates(payload, into));
                    continue;
                }
            };
            match (probe.how, value) {
                (How::Whole, value) => hash(value).into_iter().for_each(look_up),
                (How::Item, Value::List(items)) => items.iter().filter_map(hash).for_each(look_up),
                (How::Prefix(length), Value::Text(text)) => {
                    text.as_bytes().get(..length).map(hash_bytes).into_iter().for_each(look_up);
                }
                (How::Suffix(length), Value::Text(text)) => {
                    let from = text.len().checked_sub(length);
                    from.and_then(|from| text.as_bytes().get(from..)).map(hash_bytes).into_iter().for_each(&mut look_up);
                }
                (How::Item | How::Prefix(_) | How::Suffix(_), _) => {}
            }
        }
        for Bounded { field, lists } in &self.bounds {
            let value = match payload.field(*field) {
                Some(Ok(value)) => value,
                Some(Err(_)) => {
                    lists.iter().for_each(|(_, list)| list.all(into));
                    continue;
                }
                None => continue,
            };
            let Some((own, point)) = place(value) else { continue };
            for (class, list) in lists {
                if *class == own || *class == Class::Major && matches!(own, Class::Money(_)) {
                    list.candidates(point, into);
                }
            }
        }
    }
}

impl Gathered {
    fn take(&mut self, claim: &Claim, entry: u32) {
        match claim {
            Claim::Keys(..) => {}
            Claim::Bounds(field, bounds) => {
                for bound in bounds {
                    let list = self.one_sided.entry((*field, bound.class, bound.side)).or_default();
                    list.push((bound.point, bound.strict, entry));
                }
            }
            Claim::Between(field, class, low, high) => {
                self.two_sided.entry((*field, *class)).or_default().push((*low, *high, entry));
            }
        }
    }

    fn into_bounds(self) -> Vec<Bounded> {
        let one_sided = self.one_sided.into_iter().map(|((field, class, side), list)| {
            let list = Sorted::new(side, list);
            (field, class, List::OneSided(list))
        });
        let two_sided =
            self.two_sided.into_iter().map(|((field, class), list)| (field, class, List::TwoSided(Stretches::new(list))));
        let mut bounds: Vec<Bounded> = Vec::new();
        for (field, class, list) in one_sided.chain(two_sided) {
            match bounds.iter_mut().find(|known| known.field == field) {
                Some(known) => known.lists.push((class, list)),
                None => bounds.push(Bounded { field, lists: vec![(class, list)] }),
            }
        }
        bounds
    }
}

impl List {
    fn candidates(&self, value: Point, into: &mut Vec<u32>) {
        match self {
            List::OneSided(list) => list.kept(value, into),
            List::TwoSided(list) => list.around(value, into),
        }
    }

    fn all(&self, into: &mut Vec<u32>) {
        match self {
            List::OneSided(list) => list.all(into),
            List::TwoSided(list) => list.all(into),
        }
    }
}

impl Posting {
    fn of(claims: &[Vec<Claim>], entries: Vec<Entry>) -> Self {
        match entries.as_slice() {
            [(one, _)] => Posting::One(*one),
            few if few.len() <= FEW => Posting::More(Box::new(More::Few(few.iter().map(|(number, _)| *number).collect()))),
            _ => Posting::More(Box::new(More::Many(Index::of(claims, entries)))),
        }
    }

    fn candidates(&self, payload: &Payload<'_, '_>, into: &mut Vec<u32>) {
        match self {
            Posting::One(one) => into.push(*one),
            Posting::More(more) => match more.as_ref() {
                More::Few(few) => into.extend_from_slice(few),
                More::Many(index) => index.candidates(payload, into),
            },
        }
    }
}
