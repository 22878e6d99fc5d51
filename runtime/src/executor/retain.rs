//! What is too old is taken out, every hour, in small bites that let others through.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::engine::Shared;
use crate::store::{PruneBite, PruneFrom, StoreError};

/// How often.
const EVERY: Duration = Duration::from_secs(3600);
/// How soon in a store that is new: nothing has been written yet by what time it goes.
const SOON: Duration = Duration::from_secs(60);
/// How often everything is looked at that has been old enough before and had to stay, such as what waits for months: in so
/// many parts of the time that things are kept, so that none stays for much longer than that.
const WHOLE_PARTS: u32 = 30;
/// Keys of starts are kept at least so long.
const STARTS: Duration = Duration::from_secs(36 * 86_400);
/// How many rows a bite looks at.
const LOOK: usize = 1000;
/// How many rows a bite removes: at first, at least and at most.
const BITE: (usize, usize, usize) = (50, 5, 500);
/// A bite that took longer is followed by smaller ones, one that took a quarter of it by larger ones. Writes of others wait
/// for it, so that it is well below what anybody notices.
const LONG: Duration = Duration::from_millis(20);

/// Takes out what is too old until the engine stops.
pub(crate) async fn retain(shared: Arc<Shared>) {
    let mut limit = BITE.0;
    let (mut from, mut whole_at) = (PruneFrom::default(), None);
    loop {
        let now = shared.world.clock.now();
        let since_whole = whole_at.map(|at| now.duration_since(at).unsigned_abs());
        if since_whole.is_none_or(|since| since >= shared.options.retain / WHOLE_PARTS) {
            (from, whole_at) = (PruneFrom::default(), Some(now));
        }
        shared.queue().pruning = true;
        shared.settled.tell(false);
        match pass(&shared, from.clone(), &mut limit).await {
            Ok(next) => from = next,
            Err(error) => tracing::warn!(%error, "old runs and events could not be removed"),
        }
        shared.queue().pruning = false;
        shared.touch();
        let pause = if shared.knows_kept() { EVERY } else { SOON };
        let next = now.checked_add(pause).unwrap_or(Timestamp::MAX);
        shared.world.clock.sleep_until(next).await;
    }
}

/// What goes does not go by what the clock shows, since it may have leapt ahead, but by time that has passed. A start goes on with
/// what is written of that.
async fn pass(shared: &Shared, from: PruneFrom, limit: &mut usize) -> Result<PruneFrom, StoreError> {
    if shared.last_event() > 0 || shared.knows_kept() {
        shared.write_kept().await?;
    }
    prune(shared, shared.kept(), from, limit).await
}

/// Returns where the next pass begins.
async fn prune(shared: &Shared, now: Timestamp, from: PruneFrom, limit: &mut usize) -> Result<PruneFrom, StoreError> {
    let ago = |age: Duration| now.checked_sub(age).unwrap_or(Timestamp::MIN);
    let retain = shared.options.retain;
    let mut bite =
        PruneBite { before: ago(retain), starts_before: ago(retain.max(STARTS)), from: from.clone(), limit: *limit, look: LOOK };
    loop {
        let began = Instant::now();
        let pruned = shared.store.prune(bite.clone()).await?;
        let removed = pruned.runs + pruned.events + pruned.starts + pruned.tallies;
        if removed > 0 {
            let (runs, events, starts, plans) = (pruned.runs, pruned.events, pruned.starts, pruned.plans);
            tracing::debug!(runs, events, starts, plans, "removed what is too old");
            *limit = next_limit(*limit, began.elapsed());
            bite.limit = *limit;
        }
        match pruned.next {
            Some(next) if !shared.is_stopping() => bite.from = next,
            Some(_) => return Ok(from),
            None => return Ok(PruneFrom::behind(&pruned)),
        }
        tokio::task::yield_now().await;
    }
}

/// How much the next bite removes after one that took so long.
fn next_limit(limit: usize, took: Duration) -> usize {
    let (_, least, most) = BITE;
    if took > LONG {
        (limit / 2).max(least)
    } else if took < LONG / 4 {
        limit.saturating_mul(2).min(most)
    } else {
        limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bites_become_smaller_where_they_take_long() {
        let mut limit = BITE.0;
        for _ in 0..10 {
            limit = next_limit(limit, LONG * 2);
        }
        assert_eq!(limit, BITE.1);
        assert_eq!(next_limit(limit, LONG / 2), limit);
        for _ in 0..10 {
            limit = next_limit(limit, Duration::ZERO);
        }
        assert_eq!(limit, BITE.2);
    }
}
