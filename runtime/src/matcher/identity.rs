//! The triggers of a group by what makes them one: guard and key are the same for all flows that use one with the same options.

use std::collections::HashMap;
use std::sync::Arc;

use super::claim::{self, Claim};
use super::index::Index;
use super::parts::{Fields, Listener};
use super::program::{Compiler, Op};

/// The identities of a group, numbered.
#[derive(Debug, Clone, Default)]
pub(super) struct Identities {
    numbers: HashMap<Arc<str>, u32>,
    all: Vec<Identity>,
    /// Finds those whose guard may let an event pass.
    index: Arc<Index>,
}

/// A trigger with its options.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub(super) identity: Arc<str>,
    /// The first flow that uses it; `None` where there is none any more.
    pub(super) first: Option<Listener>,
    /// Which events count.
    pub(super) guard: Arc<[Op]>,
}

impl Identities {
    /// Numbers a listener. Returns whether that changes what is known of identities.
    pub(super) fn number(&mut self, listener: &mut Listener, known: &Fields) -> bool {
        let Some(name) = listener.part().map(|part| Arc::clone(&part.identity)) else { return false };
        if let Some(number) = self.numbers.get(&name) {
            listener.identity = *number;
            let first = self.get(*number).and_then(|identity| identity.first.as_ref());
            let is_first = first.is_none_or(|first| listener.order() < first.order());
            if is_first {
                self.set_first(listener, known);
            }
            return is_first;
        }
        let number = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        listener.identity = number;
        self.numbers.insert(Arc::clone(&name), number);
        self.all.push(Identity { identity: name, first: None, guard: Arc::default() });
        self.set_first(listener, known);
        true
    }

    /// Says who is the first of an identity: guard and key are asked as its flow reads the event.
    pub(super) fn set_first(&mut self, first: &Listener, known: &Fields) {
        if let Some(identity) = self.all.get_mut(first.identity as usize) {
            let mut guard = Vec::new();
            let compiler = Compiler { known, fields: first.fields() };
            compiler.guard(first.trigger().and_then(|used| used.guard.as_ref()), &mut guard);
            identity.guard = guard.into();
            identity.first = Some(first.clone());
        }
    }

    /// Takes out a listener. Returns the number of its identity where it was the first of it: then somebody else is.
    pub(super) fn forget(&mut self, gone: &Listener) -> Option<u32> {
        let number = *self.numbers.get(&gone.part()?.identity)?;
        let identity = self.all.get_mut(number as usize)?;
        let was_first = identity.first.as_ref().is_some_and(|first| first.order() == gone.order());
        if was_first {
            identity.first = None;
        }
        was_first.then_some(number)
    }

    /// Makes the index anew.
    pub(super) fn index_anew(&mut self) {
        let claims: Vec<Vec<Claim>> = self
            .all
            .iter()
            .map(|identity| {
                let mut claims = Vec::new();
                claim::claims(&identity.guard, &mut claims);
                claims
            })
            .collect();
        self.index = Arc::new(Index::new(&claims));
    }

    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    pub(super) fn get(&self, number: u32) -> Option<&Identity> {
        self.all.get(number as usize)
    }
}
