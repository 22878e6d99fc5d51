//! What is live: flows and connections as one immutable value that is swapped as a whole.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use flow_plan as plan;

use crate::secret::Secret;

/// Everything that decides what happens to an event.
#[derive(Debug, Default)]
pub struct Live {
    /// The flows, in the order of files and lines.
    pub flows: Vec<Arc<plan::Flow>>,
    /// The connections by name.
    pub connections: BTreeMap<String, Arc<LiveConnection>>,
    /// Files whose newest version is broken: the flows of their last sound version stay live.
    pub broken: Vec<BrokenFile>,
    /// Plans that are live no more, and under which runs wait for events.
    pub held: Vec<Arc<plan::Flow>>,
}

impl Live {
    /// Returns the events that somebody wants to hear of: those that live flows start by or wait for, and those that runs of older
    /// plans wait for.
    pub fn listens_to(&self) -> impl Iterator<Item = &plan::TriggerUse> {
        let of_runs = self.held.iter().flat_map(|flow| flow.waits_for());
        self.flows.iter().flat_map(|flow| flow.listens_to()).chain(of_runs)
    }

    /// Holds the plans of what was live before, as far as runs may wait under them.
    pub fn hold(&mut self, before: &Live) {
        let old = before.flows.iter().chain(&before.held).filter(|flow| flow.waits_for().next().is_some());
        for flow in old {
            if !self.flows.iter().chain(&self.held).any(|known| known.hash == flow.hash) {
                self.held.push(Arc::clone(flow));
            }
        }
    }
}

/// A file whose newest version did not compile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenFile {
    /// The file, relative to the project.
    pub file: String,
    /// The first line of the report.
    pub message: String,
    /// The whole report without colours.
    pub report: String,
}

/// A connection with what flow.toml says about it.
#[derive(Debug)]
pub struct LiveConnection {
    /// What the compiler says.
    pub plan: plan::Connection,
    /// `base_url`. Without a path it replaces the origin of the connector's base, with one the whole base.
    pub base_url: Option<String>,
    /// `base_url` is that of something that stands in for every service: requests go there whatever address they name.
    pub stand_in: bool,
    /// Its secrets, as far as they are there.
    pub secrets: BTreeMap<String, Secret>,
    /// `poll`: instead of the connector's own interval.
    pub poll_every: Option<Duration>,
    /// Polls are made. Off where webhooks alone are wanted.
    pub polls: bool,
    /// The folder of the project, which paths are relative to.
    pub root: PathBuf,
}

impl LiveConnection {
    /// A connection with what its plan says and nothing of flow.toml: at the connector's own base, without secrets, and not
    /// polled. Paths are relative to the working folder.
    pub fn bare(plan: plan::Connection) -> Self {
        Self {
            plan,
            base_url: None,
            stand_in: false,
            secrets: BTreeMap::new(),
            poll_every: None,
            polls: false,
            root: PathBuf::new(),
        }
    }
}
