//! The live flows in their order, in pieces that versions share: a change touches the pieces around it.
//!
//! Each flow has a label, which grows along the order and stays while the flow does. So what has been found by other ways is
//! put into order without knowing places, which shift.

use std::collections::HashMap;
use std::sync::Arc;

use flow_plan::Flow;

use super::parts::Compiled;

/// A piece has at most so many flows.
const PIECE: usize = 512;

/// What lies between the labels of neighbours at first, so that others find room.
const GAP: u64 = 1 << 32;

/// The flows in their order.
#[derive(Debug, Clone, Default)]
pub(super) struct Order {
    pieces: Vec<Arc<[Entry]>>,
}

/// A flow and its label.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) flow: Compiled,
    pub(super) label: u64,
}

/// What became of an order.
pub(super) struct Change {
    pub(super) order: Order,
    pub(super) removed: Vec<Entry>,
    pub(super) added: Vec<Entry>,
}

impl Order {
    /// Returns the flows in an order of their own.
    pub(super) fn new(flows: impl Iterator<Item = Compiled>) -> Self {
        let entries: Vec<Entry> =
            (1..).map(|place: u64| place * GAP).zip(flows).map(|(label, flow)| Entry { flow, label }).collect();
        Self { pieces: pieces(entries) }
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.pieces.iter().flat_map(|piece| piece.iter())
    }

    fn len(&self) -> usize {
        self.pieces.iter().map(|piece| piece.len()).sum()
    }

    /// Returns the order of other flows, where those that are the same keep their labels; `compile` is asked for flows that are
    /// new. Nothing where there is no room between labels.
    pub(super) fn changed(&self, flows: &[Arc<Flow>], compile: &mut dyn FnMut(&Arc<Flow>) -> Compiled) -> Option<Change> {
        let same = |(entry, flow): &(&Entry, &Arc<Flow>)| Arc::ptr_eq(&entry.flow.flow, flow);
        let begin = self.iter().zip(flows).take_while(same).count();
        let most = self.len().min(flows.len()) - begin;
        let end = self.iter().rev().zip(flows.iter().rev()).take(most).take_while(same).count();
        let (old, new) = (begin..self.len() - end, flows.get(begin..flows.len() - end)?);
        if old.is_empty() && new.is_empty() {
            return Some(Change { order: self.clone(), removed: Vec::new(), added: Vec::new() });
        }
        let middle: Vec<&Entry> = self.iter().skip(old.start).take(old.len()).collect();
        let (below, above) = (begin.checked_sub(1).and_then(|last| self.label(last)), self.label(old.end));
        let merged = merge(&middle, new, (below.unwrap_or_default(), above), compile)?;
        Some(Change { order: self.spliced(old, merged.entries), removed: merged.removed, added: merged.added })
    }

    fn label(&self, place: usize) -> Option<u64> {
        self.iter().nth(place).map(|entry| entry.label)
    }

    /// The same with other entries in place of a stretch.
    fn spliced(&self, old: std::ops::Range<usize>, new: Vec<Entry>) -> Self {
        let (mut before, mut between, mut behind) = (Vec::new(), Vec::new(), Vec::new());
        let mut new = Some(new);
        let mut from = 0;
        for piece in &self.pieces {
            let to = from + piece.len();
            if to < old.start {
                before.push(Arc::clone(piece));
            } else if from > old.end {
                behind.push(Arc::clone(piece));
            } else {
                between.extend(piece.iter().take(old.start.saturating_sub(from)).cloned());
                if old.end <= to {
                    between.extend(new.take().unwrap_or_default());
                }
                between.extend(piece.iter().skip(old.end.saturating_sub(from)).cloned());
            }
            from = to;
        }
        between.extend(new.take().unwrap_or_default());
        before.extend(pieces(between));
        before.extend(behind);
        Self { pieces: before }
    }
}

/// Cuts entries into pieces of nearly one size.
fn pieces(entries: Vec<Entry>) -> Vec<Arc<[Entry]>> {
    let count = entries.len().div_ceil(PIECE).max(1);
    let size = entries.len().div_ceil(count).max(1);
    let mut entries = entries.into_iter();
    let mut pieces = Vec::with_capacity(count);
    loop {
        let piece: Arc<[Entry]> = entries.by_ref().take(size).collect();
        if piece.is_empty() {
            return pieces;
        }
        pieces.push(piece);
    }
}

/// A stretch of the order, as it becomes.
struct Merged {
    entries: Vec<Entry>,
    removed: Vec<Entry>,
    added: Vec<Entry>,
}

fn merge(
    old: &[&Entry],
    new: &[Arc<Flow>],
    (below, above): (u64, Option<u64>),
    compile: &mut dyn FnMut(&Arc<Flow>) -> Compiled,
) -> Option<Merged> {
    let by_address: HashMap<usize, usize> =
        old.iter().enumerate().map(|(place, entry)| (Arc::as_ptr(&entry.flow.flow).addr(), place)).collect();
    let mut kept = vec![false; old.len()];
    let mut merged = Merged { entries: Vec::with_capacity(new.len()), removed: Vec::new(), added: Vec::new() };
    let (mut next, mut label) = (0, below);
    let mut pending: Vec<Compiled> = Vec::new();
    for flow in new {
        let place = by_address.get(&Arc::as_ptr(flow).addr()).copied();
        match place.and_then(|place| Some((place, *old.get(place)?))) {
            Some((place, entry)) if place >= next => {
                merged.put(&mut pending, label, Some(entry.label))?;
                merged.entries.push(entry.clone());
                kept[place] = true;
                (next, label) = (place + 1, entry.label);
            }
            // It was moved: it keeps what is known of it, and gets another label.
            Some((_, entry)) => pending.push(entry.flow.clone()),
            None => pending.push(compile(flow)),
        }
    }
    merged.put(&mut pending, label, above)?;
    merged.removed = old.iter().zip(kept).filter(|(_, kept)| !kept).map(|(entry, _)| (*entry).clone()).collect();
    Some(merged)
}

impl Merged {
    /// Puts new flows between two labels.
    fn put(&mut self, flows: &mut Vec<Compiled>, below: u64, above: Option<u64>) -> Option<()> {
        let count = flows.len() as u64;
        let step = (above.unwrap_or(u64::MAX).checked_sub(below)? / (count + 1)).min(GAP);
        if step == 0 && count > 0 {
            return None;
        }
        for (place, flow) in (1..).zip(flows.drain(..)) {
            let entry = Entry { flow, label: below + step * place };
            self.entries.push(entry.clone());
            self.added.push(entry);
        }
        Some(())
    }
}
