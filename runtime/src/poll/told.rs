//! What a cheap query says has happened, beside the list that it is asked for.
//!
//! A list says who, why and when, but it can be late, or unreadable for days. What the query tells of the thing itself is then
//! an event: once for each change, and what the list has of that change afterwards is known.

use jiff::{SignedDuration, Timestamp};

use super::items::Item;
use crate::event::{Alone, Stood};

/// What a list has of a change is dated no later than so long behind what was told of it.
const SLACK: SignedDuration = SignedDuration::from_secs(60);
/// So many changes that no list had are remembered.
const MOST: usize = 64;

impl Stood {
    /// Tells whether something of this type has happened since.
    fn is_left_by(&self, event_type: &str, among: &[String]) -> bool {
        self.last != event_type && !(joins(event_type, among) && self.among.as_deref() == Some(event_type))
    }

    /// How it stands when something of this type has happened.
    fn then(before: Option<&Self>, event_type: &str, among: &[String]) -> Self {
        let joined = joins(event_type, among).then(|| event_type.to_owned());
        Self { last: event_type.to_owned(), among: joined.or_else(|| before.and_then(|before| before.among.clone())) }
    }
}

/// Whether several of this type in a row are one.
pub(super) fn joins(event_type: &str, among: &[String]) -> bool {
    among.is_empty() || among.iter().any(|name| name == event_type)
}

/// Returns how it stands by what was told, and whether that is a change. At first it is none.
pub(super) fn told(before: Option<&Stood>, told: &Alone, among: &[String]) -> (Stood, bool) {
    let changed = before.is_some_and(|before| before.is_left_by(&told.event_type, among));
    (Stood::then(before, &told.event_type, among), changed)
}

/// Tells whether a list accounts for what was told: it has that, or what happened behind it. `newest` says when it has each type
/// last, in that order; `alone` is what no list had. What lies before a change to something else is no line of the change back.
pub(super) fn is_listed(newest: &[(String, Timestamp)], new: &[&Item], told: &Alone, among: &[String], alone: &[Alone]) -> bool {
    let last = newest.last();
    let last_joined = newest.iter().rfind(|(name, _)| joins(name, among));
    let is_it = |name: &str, at: Timestamp| {
        let changes = alone.iter().filter(|one| parts(&one.event_type, &told.event_type, among));
        name == told.event_type && !changes.map(|one| one.at).any(|change| is_between(change, at, told.at))
    };
    last.is_some_and(|(name, at)| is_it(name, *at))
        || last_joined.is_some_and(|(name, at)| is_it(name, *at))
        || last.is_some_and(|(_, at)| at.as_second() > told.at.as_second())
        // What is new is its line, whatever its clock shows.
        || new.iter().any(|item| item.event_type.as_ref() == Some(&told.event_type))
}

/// Tells whether something of one type tells two of another apart.
fn parts(one: &str, other: &str, among: &[String]) -> bool {
    one != other && (joins(one, among) || !joins(other, among))
}

fn is_between(at: Timestamp, from: Timestamp, to: Timestamp) -> bool {
    from.as_second() < at.as_second() && at.as_second() < to.as_second()
}

/// Returns how it stands by a list and by what was told, whichever was later.
pub(super) fn listed(
    before: Option<&Stood>,
    newest: &[(String, Timestamp)],
    told: Option<&Alone>,
    among: &[String],
) -> Option<Stood> {
    // In one second what was told is the older: the list says more exactly when.
    let is_behind = |at: &Timestamp| told.is_none_or(|told| at.as_second() >= told.at.as_second());
    let (behind, until): (Vec<_>, Vec<_>) = newest.iter().partition(|(_, at)| is_behind(at));
    let names = until.iter().map(|(name, _)| name).chain(told.map(|told| &told.event_type));
    let names = names.chain(behind.iter().map(|(name, _)| name));
    names.fold(before.cloned(), |stood, name| Some(Stood::then(stood.as_ref(), name, among)))
}

/// Takes out of what is new in a list what was an event by what was told alone. `acts` is all that the list has. Returns what it
/// does not have yet.
pub(super) fn take_out(
    new: &mut Vec<&Item>,
    alone: &[Alone],
    newest: &[(String, Timestamp)],
    acts: &[(String, Timestamp)],
    among: &[String],
) -> Vec<Alone> {
    let read_until = newest.last().map(|(_, at)| at);
    let mut left = Vec::new();
    for one in alone {
        let until = one.at.checked_add(SLACK).unwrap_or(one.at);
        // What has something else between is another time.
        let listed = acts.iter().map(|(name, at)| (name, *at)).chain(alone.iter().map(|other| (&other.event_type, other.at)));
        let others: Vec<Timestamp> = listed.filter(|(name, _)| parts(name, &one.event_type, among)).map(|(_, at)| at).collect();
        let is_apart = |item: &Item| {
            let (from, to) = match (item.since(), item.at) {
                (Some(since), _) if since > one.at => (one.at, since),
                (_, Some(at)) => (at, one.at),
                _ => return false,
            };
            others.iter().any(|other| is_between(*other, from, to))
        };
        let fits = |item: &&Item, until: Timestamp| {
            item.event_type.as_ref() == Some(&one.event_type)
                && item.since().is_some_and(|since| since.as_second() <= until.as_second())
                && !is_apart(item)
        };
        // The last of them by then: those before it are changes that nobody was told of. Else the next, since clocks differ.
        let found = new.iter().rposition(|item| fits(item, one.at)).or_else(|| new.iter().position(|item| fits(item, until)));
        if let Some(at) = found {
            new.remove(at);
        } else if read_until.is_none_or(|read| *read <= until) {
            left.push(one.clone());
        }
    }
    left
}

/// Remembers one more.
pub(super) fn remember(alone: &mut Vec<Alone>, one: Alone) {
    alone.push(one);
    if alone.len() > MOST {
        alone.remove(0);
    }
}
