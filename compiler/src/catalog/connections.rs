//! The connectors of a project by the names of its connections. What no flow.toml lists is read when a flow names it: reading
//! each connector takes longer than checking a flow.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use super::{Catalog, Connector};

/// The connections of a project.
#[derive(Debug, Default)]
pub struct Connections {
    all: BTreeMap<String, Known>,
    /// Where the connectors come from that were not read yet.
    catalog: Arc<Catalog>,
}

/// A connection, of which the connector's name is known in any case.
#[derive(Debug)]
struct Known {
    connector: String,
    read: OnceLock<Option<Arc<Connector>>>,
}

impl Connections {
    /// Begins with those that are read already.
    pub(crate) fn new(all: BTreeMap<String, Arc<Connector>>, catalog: Arc<Catalog>) -> Self {
        let known =
            |connector: Arc<Connector>| Known { connector: connector.name.clone(), read: OnceLock::from(Some(connector)) };
        Self { all: all.into_iter().map(|(name, connector)| (name, known(connector))).collect(), catalog }
    }

    /// Adds a connector under its own name, where nothing has that name; it is read when it is asked for.
    pub(crate) fn add_unread(&mut self, name: &str) {
        if !self.all.contains_key(name) {
            self.all.insert(name.to_owned(), Known { connector: name.to_owned(), read: OnceLock::new() });
        }
    }

    /// Returns the connector of a connection.
    pub fn get(&self, name: &str) -> Option<&Arc<Connector>> {
        self.get_key_value(name).map(|(_, connector)| connector)
    }

    /// Returns the connector of a connection, with the name as it is held here.
    pub fn get_key_value(&self, name: &str) -> Option<(&str, &Arc<Connector>)> {
        let (name, known) = self.all.get_key_value(name)?;
        Some((name, self.read(known)?))
    }

    /// Tells whether there is a connection of this name.
    pub fn contains_key(&self, name: &str) -> bool {
        self.all.contains_key(name)
    }

    /// Returns all names, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.all.keys().map(String::as_str)
    }

    /// Returns the names of the connections that a connector has.
    pub fn of_connector<'c>(&'c self, connector: &str) -> impl Iterator<Item = &'c str> {
        self.all.iter().filter(move |(_, known)| known.connector == connector).map(|(name, _)| name.as_str())
    }

    /// Returns all of them, sorted by name. Each connector is read for it.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Arc<Connector>)> + Clone {
        self.all.iter().filter_map(|(name, known)| Some((name.as_str(), self.read(known)?)))
    }

    /// Returns those whose connector was read, sorted by name: without a flow.toml only they can be in use.
    pub(crate) fn that_were_read(&self) -> impl Iterator<Item = (&str, &Arc<Connector>)> {
        self.all.iter().filter_map(|(name, known)| Some((name.as_str(), known.read.get()?.as_ref()?)))
    }

    fn read<'c>(&'c self, known: &'c Known) -> Option<&'c Arc<Connector>> {
        let read = || self.catalog.connectors.get(&known.connector).map(crate::pace::alone);
        known.read.get_or_init(read).as_ref()
    }
}

impl FromIterator<(String, Arc<Connector>)> for Connections {
    fn from_iter<I: IntoIterator<Item = (String, Arc<Connector>)>>(all: I) -> Self {
        Self::new(all.into_iter().collect(), Arc::default())
    }
}
