//! W702: two flows that do the same for one event. W704: one of them does it once only, and the other does not know.
//!
//! Flows are grouped by event and action with its arguments, and compared within a group only. A flow is compared with a
//! bounded number of the others: those that ask for the same text in the same field, and some of those that do not.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry::Vacant;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use flow_plan::{Expr, FieldShape, Value};

use super::key::{Key, Keys};
use super::solve::{Cube, Dnf, Leaf};
use super::summary::{Act, Start, Summary};
use super::witness::{self, Known};
use super::{FlowAt, Rules};
use crate::code::Code;
use crate::diagnostic::Diagnostic;

/// A group of so many is compared pair by pair.
const SMALL: usize = 16;
/// So many of a list that is longer are candidates: the first and as many of the last.
const SAMPLE: usize = 8;
/// So many texts of one field are told apart.
const MOST_PINS: usize = 4;

/// An action that an event leads to.
struct Entry<'r> {
    at: FlowAt,
    summary: &'r Summary,
    start: &'r Start,
    act: &'r Act,
    when: Cow<'r, Dnf>,
}

pub(super) fn check(rules: &Rules<'_>) -> Vec<Diagnostic> {
    let mut keyed: Vec<(Key, FlowAt, &Summary, &Start, &Act)> = Vec::new();
    for (at, summary) in rules.flows() {
        if summary.has_window {
            continue;
        }
        for start in summary.starts.iter().filter(|start| is_tellable(&start.when)) {
            for act in summary.acts.iter().filter(|act| is_tellable(&act.when)) {
                let Some(key) = act.key else { continue };
                let mut hasher = DefaultHasher::new();
                (&start.event, key).hash(&mut hasher);
                keyed.push((hasher.finish(), at, summary, start, act));
            }
        }
    }
    // Stable, so that the order is that of the texts.
    keyed.sort_by_key(|(group, at, ..)| (*group, *at));
    let mut found: HashMap<FlowAt, Diagnostic> = HashMap::new();
    for group in keyed.chunk_by(|a, b| a.0 == b.0).filter(|group| group.len() > 1) {
        let mut entries: Vec<Entry<'_>> = Vec::with_capacity(group.len());
        for (_, at, summary, start, act) in group {
            // An action that stands twice in one flow is that flow's own matter.
            if entries.last().is_some_and(|last| last.at == *at) {
                continue;
            }
            let when = if act.when == Dnf::always() { Cow::Borrowed(&start.when) } else { Cow::Owned(start.when.and(&act.when)) };
            entries.push(Entry { at: *at, summary, start, act, when });
        }
        let mut index = Index::default();
        for (number, entry) in entries.iter().enumerate() {
            if let Vacant(free) = found.entry(entry.at) {
                let candidates = if entries.len() <= SMALL { (0..number).collect() } else { index.candidates(entry) };
                let met = candidates.iter().filter_map(|at| entries.get(*at)).find_map(|other| {
                    let known: Vec<Known<'_>> =
                        other.summary.fields.iter().chain(&entry.summary.fields).map(|(key, field)| (*key, field)).collect();
                    event(&other.when, &entry.when, &known).map(|event| (other, event))
                });
                if let Some((other, event)) = met {
                    let example = format!("{}{}", entry.start.event, witness::shown(&event));
                    free.insert(report(rules, earliest(other, entry), &example));
                }
            }
            if entries.len() > SMALL {
                index.add(number, entry);
            }
        }
    }
    let mut found: Vec<(FlowAt, Diagnostic)> = found.into_iter().collect();
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, diagnostic)| diagnostic).collect()
}

/// Finds the flows of a large group that one may meet.
#[derive(Default)]
struct Index {
    /// Those that take any text in any field.
    free: Vec<usize>,
    /// Those that ask for this text in this field.
    pinned: HashMap<(Key, Arc<str>), Vec<usize>>,
    /// Some of those that ask for a text in this field.
    some: Vec<(Key, Vec<usize>)>,
}

impl Index {
    fn add(&mut self, number: usize, entry: &Entry<'_>) {
        let Some((field, texts)) = pins(&entry.when) else {
            self.free.push(number);
            return;
        };
        for text in texts {
            self.pinned.entry((field, text)).or_default().push(number);
        }
        let fields = self.some.len();
        match self.some.iter_mut().find(|(known, _)| *known == field) {
            Some((_, some)) if some.len() < SAMPLE => some.push(number),
            Some(_) => {}
            None if fields < SAMPLE => self.some.push((field, vec![number])),
            None => {}
        }
    }

    fn candidates(&self, entry: &Entry<'_>) -> Vec<usize> {
        let mut found: Vec<usize> = Vec::new();
        let pins = pins(&entry.when);
        if let Some((field, texts)) = &pins {
            texts.iter().filter_map(|text| self.pinned.get(&(*field, text.clone()))).for_each(|list| sample(list, &mut found));
        }
        sample(&self.free, &mut found);
        let own = pins.map(|(field, _)| field);
        self.some.iter().filter(|(field, _)| Some(*field) != own).for_each(|(_, list)| sample(list, &mut found));
        found
    }
}

fn sample(list: &[usize], into: &mut Vec<usize>) {
    into.extend(list.iter().take(SAMPLE));
    into.extend(list.iter().skip(SAMPLE.max(list.len().saturating_sub(SAMPLE))));
}

/// A field in which every alternative asks for one of a few texts.
fn pins(when: &Dnf) -> Option<(Key, Vec<Arc<str>>)> {
    let (first, rest) = when.cubes.split_first()?;
    first.claims.iter().find_map(|claim| {
        let mut texts = claim.domain.finite_texts()?.to_vec();
        for cube in rest {
            texts.extend_from_slice(cube.claims.iter().find(|other| other.key == claim.key)?.domain.finite_texts()?);
        }
        (texts.len() <= MOST_PINS).then_some((claim.key, texts))
    })
}

/// Tells whether an example event could be made for it at all: most of what is done behind a question to a service is not
/// compared with thousands of others of its kind for nothing.
fn is_tellable(when: &Dnf) -> bool {
    when.exact && when.cubes.iter().any(witness::is_about_events)
}

/// Returns an event that fits both.
pub(super) fn event(first: &Dnf, second: &Dnf, fields: &[Known<'_>]) -> Option<Vec<(String, Value)>> {
    if !first.exact || !second.exact {
        return None;
    }
    first.cubes.iter().find_map(|a| {
        second.cubes.iter().find_map(|b| {
            let both = a.and(b)?;
            outside_agrees(a, b).then(|| witness::build(&both, fields)).flatten()
        })
    })
}

/// What does not depend on the event can be true for both only where it is known to be: where one of them does not ask,
/// or both ask the same.
fn outside_agrees(a: &Cube, b: &Cube) -> bool {
    let claims = |cube: &Cube| cube.claims.iter().filter(|claim| matches!(claim.leaf, Leaf::Outside)).count();
    let atoms = |cube: &Cube| cube.atoms.iter().filter(|atom| matches!(atom.leaf, Leaf::Outside)).count();
    let alone = |cube: &Cube| claims(cube) + atoms(cube) == 0;
    alone(a)
        || alone(b)
        || claims(a) == claims(b)
            && atoms(a) == atoms(b)
            && a.claims.iter().filter(|claim| matches!(claim.leaf, Leaf::Outside)).all(|claim| b.claims.contains(claim))
            && a.atoms.iter().filter(|atom| matches!(atom.leaf, Leaf::Outside)).all(|atom| b.atoms.contains(atom))
}

/// The fields of a flow by the keys of claims about them.
pub(super) fn known<'f>(fields: impl Iterator<Item = &'f FieldShape>) -> Vec<Known<'f>> {
    fields
        .map(|field| {
            let only = |_| Some(field);
            (Keys::new(&only).of(&Expr::Event(0)), field)
        })
        .collect()
}

/// The action that is reported, of one of two flows.
#[derive(Clone, Copy)]
struct Said<'r> {
    at: FlowAt,
    summary: &'r Summary,
    act: &'r Act,
}

/// Returns the first of the actions that both perform for the same events as the one at hand.
fn earliest<'r>(first: &Entry<'r>, second: &Entry<'r>) -> (Said<'r>, Said<'r>) {
    let same = |act: &'r Act| {
        let other = first.summary.acts.iter().find(|other| other.key.is_some() && other.key == act.key)?;
        (other.when == first.act.when && act.when == second.act.when).then_some((other, act))
    };
    let (other, act) = second.summary.acts.iter().find_map(same).unwrap_or((first.act, second.act));
    (Said { at: first.at, summary: first.summary, act: other }, Said { at: second.at, summary: second.summary, act })
}

fn report(rules: &Rules<'_>, (first, second): (Said<'_>, Said<'_>), example: &str) -> Diagnostic {
    if first.summary.once.is_some() || second.summary.once.is_some() {
        return shadowed(rules, first, second, example);
    }
    let other = rules.called(first.at);
    let mut diagnostic =
        Diagnostic::new(Code::W702, &rules.name(second.at), second.act.span, "two flows do the same for one event")
            .label(format!("`{}` a second time, with the same inputs", second.act.name))
            .help(format!("{other} does it too, for example for {example}"))
            .advise("`where …` in one of them, so that it leaves the other's events out; or one flow instead of two");
    if first.at.file == second.at.file {
        diagnostic = diagnostic.also(first.act.span, "the first time");
    }
    diagnostic
}

/// One of the two has `once per`, and that does not hold for the other.
fn shadowed(rules: &Rules<'_>, first: Said<'_>, second: Said<'_>, example: &str) -> Diagnostic {
    // Said at the flow that does not remember, or at the second where both do.
    let first_is_free = second.summary.once.is_some() && first.summary.once.is_none();
    let (free, bound) = if first_is_free { (first, second) } else { (second, first) };
    let clause = bound.summary.once.map_or("once per …", |span| rules.text(bound.at, span));
    let other = rules.called(bound.at);
    let why = if free.summary.once.is_some() { "each of the two remembers for itself" } else { "this flow does not remember" };
    let message = format!("`{clause}` of another flow does not hold for this one");
    let mut diagnostic = Diagnostic::new(Code::W704, &rules.name(free.at), free.act.span, message)
        .label(format!("`{}` again, with the same inputs: {why}", free.act.name))
        .help(format!("{other} does it `{clause}`; both start with {example}"))
        .advise("one flow instead of two, with `or` in its `where`")
        .advise("`where …` in one of them, so that it leaves the other's events out");
    if let (Some(span), true) = (bound.summary.once, free.at.file == bound.at.file) {
        diagnostic = diagnostic.also(span, "this is kept by its own flow only");
    }
    diagnostic
}
