//! The groups of a source, by event type.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use flow_plan::JsonPath;

use super::group::Group;
use super::parts::{Fields, Listener};

/// The groups of a source.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// Where in a payload the object lies.
    pub(super) object: JsonPath,
    by_type: HashMap<Arc<str>, Arc<Group>>,
    /// For event types that no flow names.
    others: Arc<Group>,
}

impl Source {
    /// Returns the groups of listeners, which are in their order.
    pub(super) fn new(object: JsonPath, listeners: &[Listener], known: &Fields) -> Self {
        let mut by_type: HashMap<&str, Vec<Listener>> = HashMap::new();
        for name in listeners.iter().flat_map(Listener::types) {
            by_type.entry(name).or_default();
        }
        let mut others = Vec::new();
        for listener in listeners {
            if listener.types().is_empty() {
                others.push(listener.clone());
                by_type.values_mut().for_each(|of_type| of_type.push(listener.clone()));
            }
            let names: BTreeSet<&String> = listener.types().iter().collect();
            for name in names {
                if let Some(of_type) = by_type.get_mut(name.as_str()) {
                    of_type.push(listener.clone());
                }
            }
        }
        let group = |listeners: Vec<Listener>| Arc::new(Group::new(&object, listeners, known));
        let by_type = by_type.into_iter().map(|(name, listeners)| (Arc::from(name), group(listeners))).collect();
        let others = group(others);
        Self { object, by_type, others }
    }

    /// Returns the groups without some listeners and with others.
    pub(super) fn changed(&self, removed: &[Listener], added: &[Listener], known: &Fields) -> Self {
        let both = || removed.iter().chain(added);
        let is_general = |listener: &&Listener| listener.types().is_empty();
        let mut names: BTreeSet<Arc<str>> = both().flat_map(Listener::types).map(|name| Arc::from(name.as_str())).collect();
        let mut others = Arc::clone(&self.others);
        if both().any(|listener| is_general(&listener)) {
            names.extend(self.by_type.keys().cloned());
            let general = |all: &'_ [Listener]| all.iter().filter(is_general).cloned().collect::<Vec<_>>();
            let (removed, added) = (general(removed), general(added));
            let (removed, added): (Vec<_>, Vec<_>) = (removed.iter().collect(), added.iter().collect());
            others = Arc::new(self.others.changed(&removed, &added, known));
        }
        let mut by_type = self.by_type.clone();
        for name in names {
            let of_type = |listener: &&Listener| listener.is_of_type(&name);
            let new: Vec<&Listener> = added.iter().filter(of_type).collect();
            // A type that nobody named so far has the listeners that name none.
            let (before, gone) = match self.by_type.get(&name) {
                Some(group) => (group, removed.iter().filter(of_type).collect::<Vec<_>>()),
                None => (&self.others, removed.iter().filter(is_general).collect()),
            };
            let group = before.changed(&gone, &new, known);
            if group.is_empty() {
                by_type.remove(&name);
            } else {
                by_type.insert(name, Arc::new(group));
            }
        }
        Self { object: self.object.clone(), by_type, others }
    }

    /// Returns the group of events of a type.
    pub(super) fn group(&self, event_type: Option<&str>) -> &Arc<Group> {
        event_type.and_then(|name| self.by_type.get(name)).unwrap_or(&self.others)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.others.is_empty() && self.by_type.values().all(|group| group.is_empty())
    }
}
