//! Plans that are live no more, and under which runs wait: what those wait for is listened to still.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use flow_plan::Flow;

use super::{Current, Engine, SORTING, Shared};
use crate::live::Live;
use crate::run::Status;
use crate::store::{RunQuery, StoreError};

/// So many runs are looked at in one go.
const PORTION: usize = 256;

impl Engine {
    /// Makes the plans that are held those under which runs have not ended, as the store knows it. Returns whether others are held
    /// than before; `None` where something else went live meanwhile, or the store cannot say.
    pub(crate) async fn hold_what_waits(&self) -> Option<bool> {
        let current = self.shared.current();
        let held = match held(&self.shared, &current.live).await {
            Ok(held) => held,
            Err(error) => {
                tracing::warn!(%error, "which events runs of edited flows wait for cannot be read now");
                return None;
            }
        };
        let hashes = |plans: &[Arc<Flow>]| -> BTreeSet<String> { plans.iter().map(|plan| plan.hash.clone()).collect() };
        if hashes(&held) == hashes(&current.live.held) {
            return Some(false);
        }
        let live = with(&current.live, held);
        let mut place = self.shared.current.write().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&place, &current) {
            return None;
        }
        // The flows are the same: nothing is matched otherwise.
        *place = Arc::new(Current { live: Arc::new(live), matcher: Arc::clone(&current.matcher), dangerous: current.dangerous });
        Some(true)
    }

    /// Returns what would be live with these flows, with the plans under which runs wait. Where the store cannot say there are none.
    pub(crate) async fn holding(&self, next: &Live) -> Live {
        with(next, held(&self.shared, next).await.unwrap_or_default())
    }
}

fn with(live: &Live, held: Vec<Arc<Flow>>) -> Live {
    Live { flows: live.flows.clone(), connections: live.connections.clone(), broken: live.broken.clone(), held }
}

async fn held(shared: &Shared, live: &Live) -> Result<Vec<Arc<Flow>>, StoreError> {
    // A run whose event is on its way began before.
    shared.catch_up(SORTING).await;
    let is_live: BTreeSet<&str> = live.flows.iter().map(|flow| flow.hash.as_str()).collect();
    let mut of_old = BTreeMap::new();
    for hash in shared.store.plans()? {
        if !is_live.contains(hash.as_str())
            && let Some(plan) = shared.store.plan(&hash)?
            && plan.waits_for().next().is_some()
        {
            of_old.insert(hash, plan);
        }
    }
    let mut held = Vec::new();
    let mut note = |hash: &str| {
        held.extend(of_old.remove(hash));
        of_old.is_empty()
    };
    if note("") {
        return Ok(held);
    }
    let mut after: Option<String> = None;
    loop {
        let active = shared.store.active(after.as_deref(), PORTION)?;
        for run in &active {
            let Some(head) = shared.store.run(run)? else { continue };
            if note(&head.plan) {
                return Ok(held);
            }
        }
        let Some(last) = active.last().cloned() else { break };
        after = Some(last);
        tokio::task::yield_now().await;
    }
    let mut before = None;
    loop {
        let query = RunQuery { status: Some(Status::Waiting), before, limit: PORTION, ..RunQuery::default() };
        let waiting = shared.store.runs(&query)?;
        if waiting.iter().any(|head| note(&head.plan)) {
            return Ok(held);
        }
        let Some(last) = waiting.last() else { break };
        before = Some(last.seq);
        tokio::task::yield_now().await;
    }
    Ok(held)
}
