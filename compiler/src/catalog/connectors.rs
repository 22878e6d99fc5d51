//! Connectors by name, of which those that come with the compiler are read when they are first asked for: most projects use two
//! or three of them, and reading all takes longer than checking a flow.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Index;
use std::sync::Arc;

use super::Connector;
use crate::connector::{builtin_connector, builtin_sources, is_unread};

/// The connectors of a project: those that come with the compiler, and its own, which win over one of the same name.
#[derive(Debug, Clone, Default)]
pub struct Connectors {
    own: BTreeMap<String, Arc<Connector>>,
}

impl Connectors {
    /// Returns a connector.
    pub fn get(&self, name: &str) -> Option<&Arc<Connector>> {
        self.own.get(name).or_else(|| builtin_connector(name))
    }

    /// Tells whether there is one of this name.
    pub fn contains_key(&self, name: &str) -> bool {
        self.own.contains_key(name) || builtin_sources().iter().any(|(known, ..)| *known == name)
    }

    /// Tells whether this is one that comes with the compiler and that nobody has asked for yet.
    pub(crate) fn is_unread(&self, name: &str) -> bool {
        !self.own.contains_key(name) && is_unread(name)
    }

    /// Returns all names, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let own = self.own.keys().map(String::as_str);
        let names: BTreeSet<&str> = own.chain(builtin_sources().iter().map(|(name, ..)| *name)).collect();
        names.into_iter()
    }

    /// Returns all of them with their names, sorted by name. Each is read for it.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Arc<Connector>)> {
        self.keys().filter_map(|name| Some((name, self.get(name)?)))
    }

    /// Returns all of them, sorted by name. Each is read for it.
    pub fn values(&self) -> impl Iterator<Item = &Arc<Connector>> {
        self.iter().map(|(_, connector)| connector)
    }

    /// Puts in one of the project.
    pub fn insert(&mut self, name: String, connector: Arc<Connector>) {
        self.own.insert(name, connector);
    }
}

impl Index<&str> for Connectors {
    type Output = Arc<Connector>;

    /// # Panics
    /// Where there is none of this name.
    fn index(&self, name: &str) -> &Self::Output {
        self.get(name).expect("a connector of this name")
    }
}
