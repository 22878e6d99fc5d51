//! Which flow of now is which one of before.

use std::collections::BTreeSet;

use super::seen::Seen;

/// Flows are one that was renamed where they have so much in common, in hundredths.
const ALIKE: usize = 60;
/// A flow without a name in the same file is the one that was edited where it has so much in common.
const ALIKE_IN_ONE_FILE: usize = 34;
/// Beyond so many comparisons only flows that do the very same are found.
const MOST: usize = 250_000;

/// One before, one after.
type Pair<'s> = (Option<&'s Seen>, Option<&'s Seen>);

/// Pairs flows: by their id, then those that do the same, then those that are most alike.
pub(super) fn pairs<'s>(gone: &'s [Seen], come: &'s [Seen]) -> Vec<Pair<'s>> {
    let mut paired: Vec<Pair<'s>> = Vec::new();
    let (mut left, mut rest): (Vec<&Seen>, Vec<&Seen>) = (gone.iter().collect(), come.iter().collect());
    let take = |left: &mut Vec<&'s Seen>, rest: &mut Vec<&'s Seen>, paired: &mut Vec<Pair<'s>>, at: (usize, usize)| {
        paired.push((Some(left.swap_remove(at.0)), Some(rest.swap_remove(at.1))));
    };
    for same in [|one: &Seen, other: &Seen| one.id == other.id, |one: &Seen, other: &Seen| one.hash == other.hash] {
        let mut at = 0;
        while let Some(one) = left.get(at) {
            match rest.iter().position(|other| same(one, other)) {
                Some(other) => take(&mut left, &mut rest, &mut paired, (at, other)),
                None => at += 1,
            }
        }
    }
    if left.len().saturating_mul(rest.len()) <= MOST {
        while let Some(at) = most_alike(&left, &rest) {
            take(&mut left, &mut rest, &mut paired, at);
        }
    }
    paired.extend(left.into_iter().map(|one| (Some(one), None)));
    paired.extend(rest.into_iter().map(|one| (None, Some(one))));
    paired
}

/// Returns the places of the two that have most in common, where that is enough.
fn most_alike(left: &[&Seen], rest: &[&Seen]) -> Option<(usize, usize)> {
    let parts: Vec<BTreeSet<&str>> = rest.iter().map(|seen| seen.parts()).collect();
    let mut best: Option<(usize, (usize, usize))> = None;
    for (at, one) in left.iter().enumerate() {
        let own = one.parts();
        for ((other_at, other), theirs) in rest.iter().enumerate().zip(&parts) {
            let all = own.union(theirs).count().max(1);
            let score = own.intersection(theirs).count() * 100 / all;
            let nameless = one.name.is_none() && other.name.is_none() && one.file == other.file;
            let enough = if nameless { ALIKE_IN_ONE_FILE } else { ALIKE };
            if score >= enough && best.is_none_or(|(known, _)| score > known) {
                best = Some((score, (at, other_at)));
            }
        }
    }
    best.map(|(_, at)| at)
}
