//! What is known about places at one point of a flow: which values are there, and in which currency.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::rc::Rc;

use flow_plan::Currency;

/// Where a value comes from, if it is something that can be narrowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place<'a> {
    pub(super) root: Root,
    /// The field names joined by dots; empty for the root itself.
    pub(super) path: Cow<'a, str>,
}

/// Where a place begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    /// The starting event.
    Event,
    /// A `let` or `as` name, a loop variable, an input of a composite operation: its number.
    Binding(u32),
    /// The raw payload.
    Raw,
    /// The event that a `wait for` awaits.
    Awaited,
}

impl<'a> Place<'a> {
    /// Returns the place of a member of this one.
    pub(super) fn member(&self, name: &'a str) -> Place<'a> {
        let path = if self.path.is_empty() { Cow::Borrowed(name) } else { Cow::Owned(format!("{}.{name}", self.path)) };
        Place { root: self.root, path }
    }

    /// As [`Place::member`], for a name that does not live as long.
    pub(super) fn member_owned(&self, name: &str) -> Place<'a> {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Place { root: self.root, path: Cow::Owned(path) }
    }

    fn is_within(&self, outer: &Place<'_>) -> bool {
        self.root == outer.root
            && self
                .path
                .strip_prefix(outer.path.as_ref())
                .is_some_and(|rest| rest.is_empty() || outer.path.is_empty() || rest.starts_with('.') || rest.starts_with('['))
    }
}

/// Something known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fact<'a> {
    /// There is a value.
    Present(Place<'a>),
    /// The money there has one of these currencies.
    Currency(Place<'a>, Rc<BTreeSet<Currency>>),
    /// There is no value.
    Missing(Place<'a>),
    /// The event is of one of these triggers: their numbers, as a set.
    Trigger(u64),
}

/// The facts at one point, innermost last.
#[derive(Debug, Default)]
pub(super) struct Facts<'a> {
    known: Vec<Fact<'a>>,
    /// What the compiler requires before the first step, and so holds everywhere in the steps.
    always: Vec<Place<'a>>,
}

impl<'a> Facts<'a> {
    /// Returns a mark for [`Facts::reset`].
    pub(super) fn mark(&self) -> usize {
        self.known.len()
    }

    /// Forgets what was learned since the mark.
    pub(super) fn reset(&mut self, mark: usize) {
        self.known.truncate(mark);
    }

    pub(super) fn learn(&mut self, facts: impl IntoIterator<Item = Fact<'a>>) {
        self.known.extend(facts);
    }

    pub(super) fn learn_present(&mut self, place: Place<'a>) {
        self.known.push(Fact::Present(place));
    }

    pub(super) fn learn_always(&mut self, place: Place<'a>) {
        self.always.push(place);
    }

    /// Tells whether the place, or something within it, is known to be there.
    pub(super) fn is_present(&self, place: &Place<'_>) -> bool {
        self.always.iter().any(|known| known.is_within(place)) || facts_have(&self.known, place)
    }

    /// Returns the currencies that money at the place can have, where that is known.
    pub(super) fn currencies(&self, place: &Place<'_>) -> Option<&Rc<BTreeSet<Currency>>> {
        // The newest is the narrowest: it was learned where the older ones held.
        self.known.iter().rev().find_map(|fact| match fact {
            Fact::Currency(known, currencies) if known == place => Some(currencies),
            Fact::Currency(..) | Fact::Present(_) | Fact::Missing(_) | Fact::Trigger(_) => None,
        })
    }

    /// Tells whether the place is known to have no value.
    pub(super) fn is_missing(&self, place: &Place<'_>) -> bool {
        self.known.iter().any(|fact| matches!(fact, Fact::Missing(known) if known == place))
    }

    /// Returns the triggers that the event can be of, as a set.
    pub(super) fn triggers(&self) -> u64 {
        triggers(&self.known).unwrap_or(u64::MAX)
    }
}

/// The triggers that the event can be of, where something is known about that.
pub(super) fn triggers(facts: &[Fact<'_>]) -> Option<u64> {
    facts
        .iter()
        .filter_map(|fact| match fact {
            Fact::Trigger(set) => Some(*set),
            Fact::Present(_) | Fact::Missing(_) | Fact::Currency(..) => None,
        })
        .reduce(|left, right| left & right)
}

/// Tells whether one of the facts says that the place is there.
pub(super) fn facts_have(facts: &[Fact<'_>], place: &Place<'_>) -> bool {
    facts.iter().any(|fact| match fact {
        Fact::Present(known) | Fact::Currency(known, _) => known.is_within(place),
        Fact::Missing(_) | Fact::Trigger(_) => false,
    })
}

/// What holds where one of two sides holds.
pub(super) fn common<'a>(left: Vec<Fact<'a>>, right: &[Fact<'a>]) -> Vec<Fact<'a>> {
    left.into_iter()
        .filter_map(|fact| match fact {
            Fact::Present(place) => facts_have(right, &place).then_some(Fact::Present(place)),
            Fact::Missing(_) => right.contains(&fact).then_some(fact),
            Fact::Currency(place, currencies) => right.iter().find_map(|other| match other {
                Fact::Currency(known, others) if *known == place => {
                    Some(Fact::Currency(place.clone(), Rc::new(currencies.union(others).copied().collect())))
                }
                Fact::Currency(..) | Fact::Present(_) | Fact::Missing(_) | Fact::Trigger(_) => None,
            }),
            Fact::Trigger(set) => triggers(right).map(|others| Fact::Trigger(set | others)),
        })
        .collect()
}
