//! The flows by their ids: many that do not change, and few that did since.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use flow_plan::Flow;

use super::order::Entry;

/// Up to so many changes are kept beside any base.
const SLACK: usize = 64;

/// Beyond, up to this part of all flows.
const PART: usize = 16;

/// The flows by their ids.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    base: Arc<HashSet<ById>>,
    /// What became of ids since; `None` are those that are gone.
    changed: HashMap<String, Option<Arc<Flow>>>,
}

/// A flow that is its id.
#[derive(Debug)]
struct ById(Arc<Flow>);

impl Borrow<str> for ById {
    fn borrow(&self) -> &str {
        &self.0.id
    }
}

impl Hash for ById {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id.as_str().hash(state);
    }
}

impl PartialEq for ById {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for ById {}

impl Names {
    pub(super) fn new<'f>(flows: impl IntoIterator<Item = &'f Arc<Flow>>) -> Self {
        let mut base = HashSet::new();
        for flow in flows {
            base.replace(ById(Arc::clone(flow)));
        }
        Self { base: Arc::new(base), changed: HashMap::new() }
    }

    /// Returns the names without some flows and with others; `all` are so many.
    pub(super) fn changed(&self, removed: &[Entry], added: &[Entry], all: usize) -> Self {
        let mut names = self.clone();
        for Entry { flow, .. } in removed {
            if names.flow(&flow.flow.id).is_some_and(|known| Arc::ptr_eq(known, &flow.flow)) {
                names.changed.insert(flow.flow.id.clone(), None);
            }
        }
        for Entry { flow, .. } in added {
            names.changed.insert(flow.flow.id.clone(), Some(Arc::clone(&flow.flow)));
        }
        if names.changed.len() <= SLACK + all / PART {
            return names;
        }
        let base = names.base.iter().map(|known| &known.0).filter(|flow| !names.changed.contains_key(&flow.id));
        Self::new(base.chain(names.changed.values().flatten()))
    }

    /// Returns a flow.
    pub(super) fn flow(&self, id: &str) -> Option<&Arc<Flow>> {
        match self.changed.get(id) {
            Some(changed) => changed.as_ref(),
            None => self.base.get(id).map(|known| &known.0),
        }
    }
}
