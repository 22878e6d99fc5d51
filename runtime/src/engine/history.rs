//! Which version of each flow was live, and when: for `why`, which has to answer for the time of the event.
//!
//! Rows of the book. That a version is live is one row with its hash; when another takes its place, the one of before is kept
//! with its whole plan, for as long as events are kept. Written after a swap: should the daemon be killed in between, the
//! next start finds that another version is live and writes it down then.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use flow_plan::Flow;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Engine, Shared, locked};
use crate::live::Live;
use crate::store::{AcceptBatch, Before, BookChange, BookKey, BookRow, StoreError};

/// The kind of rows that say what is live: owner is the flow.
const LIVE: &str = "version";
/// The kind of rows with what was live before: owner is the flow, key the instant at which it went.
const WAS: &str = "version_was";
/// The row that says since when this is written down.
const BEGUN: &str = "version_begun";
/// So many earlier versions of a flow are kept.
const MOST: usize = 16;

/// What is live of a flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// The hash of its plan; empty where the flow is gone.
    hash: String,
    /// Since when.
    since: Timestamp,
}

/// What was live of a flow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Was {
    pub(crate) hash: String,
    pub(crate) since: Timestamp,
    pub(crate) until: Timestamp,
    /// What it was; `None` where it went while the daemon did not run.
    #[serde(default)]
    pub(crate) plan: Option<Arc<Flow>>,
}

/// What is known of the versions of all flows.
#[derive(Debug, Default)]
pub(crate) struct Versions {
    live: BTreeMap<String, Row>,
    /// Since when this is written down.
    begun: Option<Timestamp>,
}

/// Which version of a flow was live at an instant.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum AtTheTime {
    /// The one that is live now.
    Live,
    /// Another one.
    Was(Box<Was>),
    /// None: the flow came later, or had gone before.
    None {
        /// Since when it is live, where it came later.
        since: Option<Timestamp>,
    },
    /// Nobody knows: it was before this was written down.
    Unknown,
}

fn live_key(flow: &str) -> BookKey {
    BookKey::new(LIVE, flow, "")
}

fn begun_key() -> BookKey {
    BookKey::new(BEGUN, "", "")
}

impl Shared {
    /// Reads what was written down.
    pub(super) fn load_versions(&self) -> Result<(), StoreError> {
        let begun = self.store.book_row(&begun_key())?.and_then(|row| row.read().ok());
        let rows = self.store.book(LIVE, None)?;
        let live = rows.into_iter().filter_map(|(key, row)| Some((key.owner, row.read().ok()?))).collect();
        *locked(&self.versions) = Versions { live, begun };
        Ok(())
    }

    /// Returns which version of a flow was live at `at`.
    pub(crate) fn version_at(&self, flow: &str, at: Timestamp) -> Result<AtTheTime, StoreError> {
        let (row, begun) = {
            let versions = locked(&self.versions);
            (versions.live.get(flow).cloned(), versions.begun)
        };
        if begun.is_none_or(|begun| at < begun) {
            return Ok(AtTheTime::Unknown);
        }
        match &row {
            Some(row) if row.since <= at && !row.hash.is_empty() => return Ok(AtTheTime::Live),
            Some(_) | None => {}
        }
        let mut earlier: Vec<Was> =
            self.store.book(WAS, Some(flow))?.into_iter().filter_map(|(_, row)| row.read().ok()).collect();
        earlier.sort_by_key(|was| was.until);
        let oldest = earlier.first().map(|was| was.since);
        match earlier.into_iter().find(|was| was.since <= at && at < was.until) {
            Some(was) => Ok(AtTheTime::Was(Box::new(was))),
            None => {
                let came = row.filter(|row| !row.hash.is_empty()).map(|row| row.since);
                Ok(AtTheTime::None { since: oldest.into_iter().chain(came).filter(|since| *since > at).min() })
            }
        }
    }

    /// Returns the flows that went, and were there at `at` or later.
    pub(crate) fn gone_since(&self, at: Timestamp) -> Vec<String> {
        let versions = locked(&self.versions);
        let gone = versions.live.iter().filter(|(_, row)| row.hash.is_empty() && row.since > at);
        gone.map(|(flow, _)| flow.clone()).collect()
    }
}

impl Engine {
    /// Writes down which versions are live, and keeps those of `before` that are not any more.
    pub(crate) async fn note_versions(&self, before: Option<Arc<Live>>) {
        if let Err(error) = note(&self.shared, before.as_deref()).await {
            tracing::warn!(%error, "which versions are live could not be written down; `why` may not know it");
        }
    }
}

async fn note(shared: &Shared, before: Option<&Live>) -> Result<(), StoreError> {
    let now = shared.world.clock.now();
    let live = Arc::clone(&shared.current().live);
    let mut book = Vec::new();
    let mut next = BTreeMap::new();
    let ids: HashSet<&str> = live.flows.iter().map(|flow| flow.id.as_str()).collect();
    let keep_since = shared.kept().checked_sub(shared.options.retain).unwrap_or(Timestamp::MIN);
    let known = {
        let versions = locked(&shared.versions);
        if versions.begun.is_none() {
            book.push(BookChange { key: begun_key(), row: Some(BookRow::of(&now, None)?), before: Before::Any });
        }
        for flow in &live.flows {
            if versions.live.get(&flow.id).is_none_or(|row| row.hash != flow.hash) {
                next.insert(flow.id.clone(), Row { hash: flow.hash.clone(), since: now });
            }
        }
        for (flow, row) in &versions.live {
            let gone = !ids.contains(flow.as_str());
            if gone && !row.hash.is_empty() {
                next.insert(flow.clone(), Row { hash: String::new(), since: now });
            }
        }
        next.keys().filter_map(|flow| Some((flow.clone(), versions.live.get(flow)?.clone()))).collect::<BTreeMap<_, _>>()
    };
    if next.is_empty() && book.is_empty() {
        return Ok(());
    }
    for (flow, row) in &next {
        book.push(BookChange { key: live_key(flow), row: Some(BookRow::of(row, None)?), before: Before::Any });
        let Some(old) = known.get(flow).filter(|old| !old.hash.is_empty()) else { continue };
        let plan = before.and_then(|before| before.flows.iter().find(|known| known.id == *flow && known.hash == old.hash));
        let was = Was { hash: old.hash.clone(), since: old.since, until: now, plan: plan.cloned() };
        book.push(BookChange { key: was_key(flow, now), row: Some(BookRow::of(&was, None)?), before: Before::Any });
        // The key sorts by the instant, so that the oldest come first.
        let kept = shared.store.book(WAS, Some(flow))?;
        let surplus = (kept.len() + 1).saturating_sub(MOST);
        let too_old = |key: &BookKey| key.key.parse::<Timestamp>().is_ok_and(|until| until < keep_since);
        let removed = kept.into_iter().enumerate().filter(|(at, (key, _))| *at < surplus || too_old(key));
        book.extend(removed.map(|(_, (key, _))| BookChange { key, row: None, before: Before::Any }));
    }
    shared.store.accept(AcceptBatch { book, ..AcceptBatch::default() }).await?;
    let mut versions = locked(&shared.versions);
    versions.begun.get_or_insert(now);
    versions.live.extend(next);
    Ok(())
}

fn was_key(flow: &str, until: Timestamp) -> BookKey {
    BookKey::new(WAS, flow, flow_functions::rfc3339(until))
}
