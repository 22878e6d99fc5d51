//! The listeners of a group: many that do not change, and few that came since.
//!
//! What has gone is marked, what has come stands in a small index beside the large one; when both are a good part of the whole,
//! one is made of them again. So the cost of a change goes with the change.

use std::sync::Arc;

use super::claim::{self, Claim};
use super::group::Gone;
use super::identity::Identities;
use super::index::Index;
use super::parts::Listener;
use super::payload::Payload;

/// Up to so many changes are kept beside any base.
const SLACK: usize = 64;

/// Beyond, up to this part of the base.
const PART: usize = 16;

/// A guard that so many listeners share finds none of them faster.
const SHARED: usize = 64;

/// Listeners in their order.
#[derive(Debug, Clone, Default)]
pub(super) struct Line {
    base: Arc<Segment>,
    /// The numbers of those of the base that are there no more, sorted.
    gone: Arc<[u32]>,
    added: Arc<Segment>,
}

/// Listeners in their order with their index.
#[derive(Debug, Default)]
struct Segment {
    listeners: Box<[Listener]>,
    index: Index,
}

impl Line {
    pub(super) fn new(listeners: Vec<Listener>, identities: &Identities) -> Self {
        Self { base: Arc::new(Segment::new(listeners, identities)), ..Self::default() }
    }

    /// Tells whether such a change is little beside the base.
    pub(super) fn has_room(&self, gone: &Gone, added: &[Listener]) -> bool {
        let all = self.gone.len() + self.added.listeners.len() + gone.len() + added.len();
        (gone.is_empty() && added.is_empty()) || all <= SLACK + self.base.listeners.len() / PART
    }

    /// Returns the line without some and with others.
    pub(super) fn changed(&self, gone: &Gone, added: Vec<Listener>, identities: &Identities) -> Self {
        if gone.is_empty() && added.is_empty() {
            return self.clone();
        }
        // One that came since may stand where one of the base stood.
        let mut of_base = self.gone.to_vec();
        of_base.extend(gone.iter().filter_map(|order| self.base.number(*order)));
        of_base.sort_unstable();
        of_base.dedup();
        let stay = self.added.listeners.iter().filter(|listener| !gone.contains(&listener.order())).cloned();
        let mut beside: Vec<Listener> = stay.chain(added).collect();
        beside.sort_unstable_by_key(Listener::order);
        let added = Arc::new(Segment::new(beside, identities));
        Self { base: Arc::clone(&self.base), gone: of_base.into(), added }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.base.listeners.len() == self.gone.len() && self.added.listeners.is_empty()
    }

    /// Returns all listeners in their order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Listener> {
        let numbered = (0u32..).zip(&self.base.listeners);
        let base = numbered.filter(|(number, _)| self.gone.binary_search(number).is_err()).map(|(_, listener)| listener);
        Merged { left: base.peekable(), right: self.added.listeners.iter().peekable() }
    }

    /// Returns the listeners that the payload may concern, in their order.
    pub(super) fn candidates(&self, payload: &Payload<'_, '_>) -> impl Iterator<Item = &Listener> {
        let base = self.base.candidates(payload).into_iter();
        let base = base.filter(|number| self.gone.is_empty() || self.gone.binary_search(number).is_err());
        let base = base.filter_map(|number| self.base.listeners.get(number as usize));
        let added = self.added.candidates(payload).into_iter();
        let added = added.filter_map(|number| self.added.listeners.get(number as usize));
        Merged { left: base.peekable(), right: added.peekable() }
    }
}

impl Segment {
    fn new(listeners: Vec<Listener>, identities: &Identities) -> Self {
        let mut uses: Vec<usize> = Vec::new();
        for listener in &listeners {
            let number = listener.identity as usize;
            if uses.len() <= number {
                uses.resize(number + 1, 0);
            }
            uses[number] += 1;
        }
        let claims: Vec<Vec<Claim>> = listeners
            .iter()
            .map(|listener| {
                let mut claims = Vec::new();
                match listener.part() {
                    Some(part) if listener.watches => {
                        part.watch.iter().for_each(|watch| claim::claims(&watch.condition, &mut claims));
                    }
                    Some(part) => claim::claims(&part.filter, &mut claims),
                    None => {}
                }
                if !listener.watches
                    && uses.get(listener.identity as usize).is_some_and(|uses| *uses <= SHARED)
                    && let Some(identity) = identities.get(listener.identity)
                {
                    claim::claims(&identity.guard, &mut claims);
                }
                claim::pair(&mut claims);
                claims
            })
            .collect();
        Self { index: Index::new(&claims), listeners: listeners.into() }
    }

    fn number(&self, order: (u64, u16)) -> Option<u32> {
        let place = self.listeners.binary_search_by_key(&order, Listener::order).ok()?;
        u32::try_from(place).ok()
    }

    fn candidates(&self, payload: &Payload<'_, '_>) -> Vec<u32> {
        let mut found = Vec::new();
        self.index.candidates(payload, &mut found);
        // The numbers are in the order of the listeners.
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// Two sequences of listeners in their order, as one.
struct Merged<L: Iterator, R: Iterator> {
    left: std::iter::Peekable<L>,
    right: std::iter::Peekable<R>,
}

impl<'l, L: Iterator<Item = &'l Listener>, R: Iterator<Item = &'l Listener>> Iterator for Merged<L, R> {
    type Item = &'l Listener;

    fn next(&mut self) -> Option<&'l Listener> {
        match (self.left.peek(), self.right.peek()) {
            (Some(left), Some(right)) if left.order() > right.order() => self.right.next(),
            (Some(_), _) => self.left.next(),
            (None, _) => self.right.next(),
        }
    }
}
