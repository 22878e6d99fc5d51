//! What is too old is taken out, every hour, in small bites that let others through.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::engine::Shared;
use crate::store::{PruneBite, PruneFrom, StoreError};

/// How often.
const EVERY: Duration = Duration::from_secs(3600);
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
    loop {
        let now = shared.world.clock.now();
        shared.queue().pruning = true;
        shared.settled.tell(false);
        if let Err(error) = prune(&shared, now, &mut limit).await {
            tracing::warn!(%error, "old runs and events could not be removed");
        }
        shared.queue().pruning = false;
        shared.touch();
        let next = now.checked_add(EVERY).unwrap_or(Timestamp::MAX);
        shared.world.clock.sleep_until(next).await;
    }
}

async fn prune(shared: &Shared, now: Timestamp, limit: &mut usize) -> Result<(), StoreError> {
    let ago = |age: Duration| now.checked_sub(age).unwrap_or(Timestamp::MIN);
    let retain = shared.options.retain;
    let mut bite = PruneBite {
        before: ago(retain),
        starts_before: ago(retain.max(STARTS)),
        from: PruneFrom::default(),
        limit: *limit,
        look: LOOK,
    };
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
            _ => return Ok(()),
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
