//! Which versions of flows have runs that have not ended.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::Engine;
use crate::run::Status;
use crate::store::{RunHead, RunQuery, StoreError};
use flow_functions::rfc3339;

/// At most so many runs are looked at; a million that wait are not counted one by one while somebody looks on.
const MOST: usize = 10_000;
/// So many of the runs of a version are named.
const NAMED: usize = 5;

/// A version of a flow that has runs which have not ended, or are dead.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OnVersion {
    /// The flow.
    pub flow: String,
    /// The hash of its plan.
    pub plan: String,
    /// It is the version that new events start.
    pub live: bool,
    /// Runs that perform steps.
    pub running: u64,
    /// Runs that wait: for an instant, an event, their turn, or the next attempt.
    pub waiting: u64,
    /// Runs that wait for a connection to work again.
    pub parked: u64,
    /// Dead runs, which can be tried again.
    pub dead: u64,
    /// When the last of the instants comes that they wait for.
    pub until: Option<Timestamp>,
    /// Some of them, those that go on first at the front.
    pub first: Vec<RunHead>,
}

/// The versions that have such runs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OnVersions {
    /// By flow and plan.
    pub versions: Vec<OnVersion>,
    /// All runs were looked at; else there are more than is said.
    pub complete: bool,
}

impl Engine {
    /// Returns the versions of flows that have runs which have not ended, or are dead.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn on_versions(&self) -> Result<OnVersions, StoreError> {
        let store = &self.shared.store;
        let of = |status| RunQuery { status: Some(status), limit: MOST, ..RunQuery::default() };
        let mut heads = store.runs(&of(Status::Waiting))?;
        let dead = store.runs(&of(Status::Dead))?;
        let active = store.active(None, MOST)?;
        let complete = heads.len() < MOST && dead.len() < MOST && active.len() < MOST;
        heads.extend(dead);
        for id in active {
            heads.extend(store.run(&id)?);
        }
        let current = self.shared.current();
        let mut found: BTreeMap<(String, String), OnVersion> = BTreeMap::new();
        for head in heads {
            let version = found.entry((head.flow.clone(), head.plan.clone())).or_insert_with(|| OnVersion {
                flow: head.flow.clone(),
                plan: head.plan.clone(),
                live: current.matcher.flow(&head.flow).is_some_and(|live| live.hash == head.plan),
                ..OnVersion::default()
            });
            version.add(head);
        }
        let mut versions: Vec<OnVersion> = found.into_values().collect();
        for version in &mut versions {
            version.first.sort_by_key(|head| (head.wake_at.unwrap_or(Timestamp::MAX), head.seq));
            version.first.truncate(NAMED);
        }
        Ok(OnVersions { versions, complete })
    }

    /// Tells whether a run is one of an earlier version of a flow that is live: then [`Engine::migrate`] can move it.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn is_of_earlier_version(&self, run: &str) -> Result<bool, StoreError> {
        let Some(head) = self.shared.store.run(run)? else { return Ok(false) };
        Ok(self.shared.current().matcher.flow(&head.flow).is_some_and(|live| live.hash != head.plan))
    }
}

impl OnVersion {
    fn add(&mut self, head: RunHead) {
        match head.status {
            Status::Running => self.running += 1,
            Status::Waiting => self.waiting += 1,
            Status::Parked => self.parked += 1,
            Status::Dead => self.dead += 1,
            // It has ended since it was looked for.
            Status::Done | Status::Stopped | Status::Cancelled => return,
        }
        self.until = self.until.max(head.wake_at);
        self.first.push(head);
        // In between, so that many of them are not all kept in memory.
        if self.first.len() > 64 * NAMED {
            self.first.sort_by_key(|head| (head.wake_at.unwrap_or(Timestamp::MAX), head.seq));
            self.first.truncate(NAMED);
        }
    }

    /// Returns the JSON of the API.
    pub fn to_json(&self) -> Json {
        let run = |head: &RunHead| {
            json!({
                "id": head.id,
                "status": head.status.as_str(),
                "reason": head.reason,
                "until": head.wake_at.map(rfc3339),
            })
        };
        json!({
            "flow": self.flow,
            "plan": self.plan,
            "live": self.live,
            "running": self.running,
            "waiting": self.waiting,
            "parked": self.parked,
            "dead": self.dead,
            "until": self.until.map(rfc3339),
            "first": self.first.iter().map(run).collect::<Vec<_>>(),
        })
    }
}
