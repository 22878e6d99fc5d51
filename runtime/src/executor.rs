//! Performs what runs have to do: bounded, fair between connections, and so that a bug in one run harms no other.
//!
//! Decide, persist, perform: a request is sent only after its intent is in the store, and a run goes on only after its
//! result is. One loop hands out the turns; each turn is a task that ends with the step.

mod awaited;
mod bounds;
mod confirm;
mod fair;
mod gate;
mod job;
mod lane;
mod once_more;
mod pages;
mod perform;
mod queue;
mod retain;
mod sought;
mod stale;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use flow_plan::{Otherwise, Rate};
use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};

use crate::connection::{Asked, Cause, Heard, earlier};
use crate::engine::{Shared, WRITTEN, locked};
use crate::journal::{Held, Outcome, What, Withheld};
use crate::limit;
use crate::run::{Effect, Status};
use crate::store::{AcceptBatch, RunHead, StoreError};

pub(crate) use awaited::read_awaited;
pub(crate) use job::{Job, head_of, load};
pub(crate) use perform::outcome;
pub(crate) use queue::{Passes, Queue};
pub(crate) use retain::retain;
pub(crate) use stale::key_time;

/// Timers are taken up in portions of so many.
const PORTION: usize = 256;
/// Without anything to wait for the loop looks again after so long.
const IDLE: Duration = Duration::from_secs(3600);
/// After the store failed the loop tries again after so long.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// Puts the runs that had not ended where they belong: after a start, and after the store failed. Where more want a turn
/// than may wait in memory, the rest is looked for again when there is room.
pub(crate) fn recover_all(shared: &Arc<Shared>) -> Result<(), StoreError> {
    let mut after: Option<String> = None;
    loop {
        let portion = shared.store.active(after.as_deref(), PORTION)?;
        let Some(last) = portion.last().cloned() else { return Ok(()) };
        if shared.queue().queued() >= shared.options.queue {
            shared.rescan.store(true, Ordering::SeqCst);
            return Ok(());
        }
        for id in portion {
            let Some(head) = shared.store.run(&id)? else { continue };
            if !shared.queue().claim(&id) {
                continue;
            }
            restore(shared, &head)?;
        }
        after = Some(last);
    }
}

/// Puts a run that is claimed where it belongs.
pub(crate) fn restore(shared: &Arc<Shared>, head: &RunHead) -> Result<(), StoreError> {
    match recover(shared, head) {
        Ok(Recovered::GoesOn(job)) => enqueue_claimed(shared, vec![*job]),
        Ok(Recovered::Seeks(job)) => awaited::start_seeking(shared, *job),
        Ok(Recovered::Rests) => shared.queue().release(&head.id),
        Err(error) => {
            shared.queue().release(&head.id);
            if error.is_retryable() {
                return Err(error);
            }
            tracing::error!(run = head.id, %error, "a run cannot go on");
        }
    }
    Ok(())
}

/// How a run goes on that nobody performs.
enum Recovered {
    GoesOn(Box<Job>),
    /// It waits for an event, and has not looked through those before.
    Seeks(Box<Job>),
    /// It waits for its connection, or for something to come.
    Rests,
}

/// Loads a run that nobody performs. Of those that merely wait there are rows and nothing else: they are not asked for.
fn recover(shared: &Shared, head: &RunHead) -> Result<Recovered, StoreError> {
    let mut job = load(shared, head)?;
    let goes_on = |job: Job| Ok(Recovered::GoesOn(Box::new(job)));
    match job.run.pending().first() {
        // The daemon ended between intent and answer.
        Some(Effect::Send { .. }) => {
            let jitter = jitter(shared);
            job.record(shared.world.clock.now(), What::Ended { ms: 0, outcome: Outcome::lost(), jitter });
            goes_on(job)
        }
        Some(Effect::Park) => {
            shared.queue().park(&job, shared.world.clock.now());
            Ok(Recovered::Rests)
        }
        Some(Effect::Begin(_) | Effect::Intend | Effect::BeginWait(_)) => goes_on(job),
        Some(Effect::Wake { .. } | Effect::Rest) if job.run.awaits(&job.flow).is_some() => Ok(Recovered::Seeks(Box::new(job))),
        // It was held back, and has got its turn.
        Some(Effect::Rest) if head.waits.attention => {
            job.record(shared.world.clock.now(), What::Woken);
            goes_on(job)
        }
        Some(Effect::Wake { .. } | Effect::Rest | Effect::End) | None => Ok(Recovered::Rests),
    }
}

/// Gives new runs their turns.
pub(crate) fn enqueue(shared: &Shared, jobs: Vec<Job>) {
    let jobs = jobs.into_iter().filter(|job| {
        let ended = !job.run.status.is_active();
        if ended {
            perform::announce(shared, job);
        }
        !ended && shared.queue().claim(job.run.id())
    });
    enqueue_claimed(shared, jobs.collect());
}

/// Gives runs that are claimed already their turns.
pub(crate) fn enqueue_claimed(shared: &Shared, jobs: Vec<Job>) {
    {
        let mut queue = shared.queue();
        for job in jobs {
            queue.push(job);
        }
    }
    shared.touch();
}

/// Hands out turns until the engine stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut back = SignedDuration::ZERO;
    // What the clock showed before it was set back, as may be while no daemon ran, until all is done that follows from that.
    let mut resumes = shared.present.behind(shared.world.clock.now());
    loop {
        let now = shared.look();
        let by = shared.present.back().saturating_sub(back);
        if by.is_positive() {
            back = back.saturating_add(by);
            let before = now.checked_add(by).unwrap_or(Timestamp::MAX);
            tracing::warn!(%before, %now, "the clock was set back: what waits for another attempt is tried now");
            shared.queue().set_back(by, now);
            resumes = Some(resumes.map_or(before, |already| already.max(before)));
        }
        if resumes.is_some_and(|before| resume(&shared, before, now)) {
            resumes = None;
        }
        let mut next = shared.world.clock.now().checked_add(IDLE).unwrap_or(Timestamp::MAX);
        if !shared.is_stopping() {
            match take_up(&shared, now) {
                Ok(due) => next = due.map_or(next, |due| due.min(next)),
                Err(error) => {
                    tracing::warn!(%error, "timers cannot be read; trying again");
                    next = now.checked_add(STORE_PAUSE).unwrap_or(next);
                }
            }
            if let Some(turn) = hand_out(&shared, now) {
                next = next.min(turn);
            }
            if shared.queue().can_wake(shared.options.queue) {
                next = now;
            }
        }
        note(&shared, now);
        shared.note_latest();
        if shared.current().dangerous && shared.world.clock.can_jump() {
            next = next.min(now.checked_add(WRITTEN).unwrap_or(next));
        }
        // Set back while it was looked: what was found belongs to another time.
        let again = shared.world.clock.now();
        if again < now {
            next = again;
        }
        reap(&shared);
        let changed = shared.changed.notified();
        {
            // Under the lock, as in `touch`: what is pushed after this is followed by a `false`.
            let queue = shared.queue();
            let offers = shared.offers.load(Ordering::SeqCst) && queue.offer_from.is_none();
            if queue.is_idle() && !offers {
                shared.settled.tell(true);
            }
        }
        tokio::select! {
            biased;
            () = changed => {}
            () = shared.world.clock.sleep_until(next) => {}
        }
        shared.settled.tell(false);
    }
}

/// Forgets tasks that have ended.
fn reap(shared: &Shared) {
    let mut steps = locked(&shared.steps);
    while steps.try_join_next().is_some() {}
}

/// Takes up what is due: timers, and what a failure of the store left behind. Returns the next instant.
fn take_up(shared: &Arc<Shared>, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    let has_room = shared.queue().queued() <= shared.options.queue / 2;
    let looks_again = shared.queue().look_again();
    if looks_again {
        shared.rescan.store(true, Ordering::SeqCst);
    }
    take_turns(shared, now);
    wake_some(shared, now);
    let offers = offer(shared, now);
    let rescan = shared.queue().rescan_from.filter(|from| *from > now);
    if has_room && rescan.is_none() && shared.rescan.swap(false, Ordering::SeqCst) {
        shared.queue().rescan_from = None;
        // A commit that failed may have given numbers all the same.
        let numbers = shared.store.last_numbers().inspect_err(|_| shared.rescan.store(true, Ordering::SeqCst))?;
        shared.numbered(numbers.0);
        recover_all(shared).inspect_err(|_| shared.rescan.store(true, Ordering::SeqCst))?;
    }
    let earlier = |next: Option<Timestamp>| next.into_iter().chain(offers).chain(rescan).min();
    if shared.queue().next_timer().is_some_and(|next| next > now) {
        return Ok(earlier(shared.queue().next_timer()));
    }
    loop {
        let limit = {
            let mut queue = shared.queue();
            if queue.queued() + queue.beginning >= shared.options.queue {
                // They keep; the next turn that ends makes room, and asks again.
                queue.forget_timers();
                return Ok(earlier(None));
            }
            queue.ask_timers();
            // What is claimed is still due until its next entry is written.
            PORTION + queue.claimed()
        };
        let (due, next) = shared.store.due(now, limit).inspect_err(|_| shared.queue().forget_timers())?;
        let mut taken = 0;
        for id in due {
            if !claim_due(shared, &id) {
                continue;
            }
            let head = shared.store.run(&id);
            let seeks = matches!(&head, Ok(Some(head)) if head.waits.attention && head.waits.awaits.is_some());
            let job = head.and_then(|head| head.map(|head| load(shared, &head)).transpose());
            match job {
                // It could not look through the events a moment ago: it does when that is tried again, and is due behind that.
                Ok(Some(_)) if seeks && rescan.is_some() => {
                    let mut queue = shared.queue();
                    queue.release(&id);
                    queue.miss_timer();
                }
                // An event that came before the bound comes first, though it be looked at later.
                Ok(Some(job)) if seeks => awaited::start_seeking(shared, job),
                Ok(Some(job)) if job.run.awaits(&job.flow).is_some() && is_offering(shared) => shared.queue().release(&id),
                Ok(Some(job)) if job.run.is_held() && limit::holds_back(&job.flow.limits) && is_due(&job, now) => {
                    start_beginning(shared, job, now);
                    taken += 1;
                }
                Ok(Some(mut job)) if matches!(job.run.pending().first(), Some(Effect::Wake { .. } | Effect::Park)) => {
                    shared.queue().forget_parked(&id);
                    job.record(now, What::Woken);
                    enqueue_claimed(shared, vec![job]);
                    taken += 1;
                }
                Ok(_) => shared.queue().release(&id),
                Err(error) => {
                    shared.queue().release(&id);
                    if error.is_retryable() {
                        shared.queue().forget_timers();
                        return Err(error);
                    }
                    tracing::error!(run = id, %error, "a run cannot go on");
                }
            }
        }
        // What is due and claimed is performed already; its timer goes with its next entry.
        let more = next.is_some_and(|next| next <= now) && taken > 0;
        if !more {
            let next = next.filter(|next| *next > now);
            let mut queue = shared.queue();
            queue.set_next_timer(next);
            return Ok(earlier(queue.next_timer()));
        }
    }
}

fn is_due(job: &Job, now: Timestamp) -> bool {
    matches!(job.run.pending().first(), Some(Effect::Wake { at }) if *at <= now)
}

/// Lets a run begin that a limit held back until now, or holds it back once more: the store counts who has begun.
fn start_beginning(shared: &Arc<Shared>, mut job: Job, now: Timestamp) {
    shared.queue().beginning += 1;
    // In their order: each is asked for before the next one is looked at.
    let begins = shared.store.begin_held(job.run.id(), job.run.entries, now);
    let task = Arc::clone(shared);
    locked(&shared.steps).spawn(async move {
        let begins = begins.await;
        let failed = begins.as_ref().is_err_and(StoreError::is_retryable);
        if failed {
            let again = task.world.clock.now().checked_add(STORE_PAUSE).unwrap_or(Timestamp::MAX);
            task.world.clock.sleep_until(again).await;
        }
        {
            let mut queue = task.queue();
            queue.beginning -= 1;
            if failed || queue.beginning == 0 {
                // Those that there was no room for, and this one again.
                queue.forget_timers();
            }
        }
        match begins {
            Ok(None) => {
                job.record(now, What::Woken);
                enqueue_claimed(&task, vec![job]);
            }
            Ok(Some(until)) => {
                let mut queue = task.queue();
                queue.timer_at(until);
                queue.release(job.run.id());
            }
            Err(error) => {
                tracing::debug!(run = job.run.id(), %error, "a run cannot begin yet");
                task.queue().release(job.run.id());
            }
        }
        task.touch();
    });
}

/// Has the runs looked for that nobody performs, a moment after the store failed: while it refuses that would go round.
fn rescan_later(shared: &Shared) {
    let from = shared.world.clock.now().checked_add(STORE_PAUSE).unwrap_or(Timestamp::MAX);
    shared.queue().rescan_from = Some(from);
    shared.rescan.store(true, Ordering::SeqCst);
}

/// Farther ahead than this no attempt is put off.
const LONGEST_PAUSE: Duration = Duration::from_secs(86_400);

/// The clock was set back. A pause before another attempt is a length of time, so that those that were in one go on now
/// rather than when their instant comes once more. Waits of flows go by the clock. Returns whether that is all of them.
fn resume(shared: &Arc<Shared>, before: Timestamp, now: Timestamp) -> bool {
    match resume_all(shared, before, now) {
        Ok(all) => all,
        Err(error) => {
            tracing::warn!(%error, "what waits for another attempt cannot be looked for yet");
            false
        }
    }
}

fn resume_all(shared: &Arc<Shared>, before: Timestamp, now: Timestamp) -> Result<bool, StoreError> {
    let until = before.checked_add(LONGEST_PAUSE).unwrap_or(Timestamp::MAX);
    let mut from = now;
    loop {
        let (portion, next) = shared.store.timers(from, until, PORTION)?;
        for id in portion {
            if shared.queue().queued() >= shared.options.queue {
                return Ok(false);
            }
            if !shared.queue().claim(&id) {
                continue;
            }
            let job = shared.store.run(&id).and_then(|head| head.map(|head| load(shared, &head)).transpose());
            match job {
                Ok(Some(mut job)) if job.run.is_retrying() || job.run.withheld().is_some_and(is_pause) => {
                    shared.queue().forget_parked(&id);
                    job.record(now, What::Woken);
                    enqueue_claimed(shared, vec![job]);
                }
                Ok(Some(mut job)) => match held_for_less(&job, before, now) {
                    Some(held) => {
                        job.record(now, What::Held(held));
                        let task = Arc::clone(shared);
                        locked(&shared.steps).spawn(async move {
                            perform::carry_on(&task, job).await;
                            task.touch();
                        });
                    }
                    None => shared.queue().release(&id),
                },
                Ok(None) => shared.queue().release(&id),
                Err(error) => {
                    shared.queue().release(&id);
                    return Err(error);
                }
            }
        }
        match next {
            Some(next) => from = next,
            None => return Ok(true),
        }
    }
}

/// A pause that the service asked for; what it waits for it finds out anew.
fn is_pause(withheld: &Withheld) -> bool {
    withheld.cause == Cause::Paused
}

/// How a run is held back by a limit, once the clock was set back: for as long as it was. A day of the calendar is that of the
/// clock, though; and where it was set back by little, what is counted stands still.
fn held_for_less(job: &Job, before: Timestamp, now: Timestamp) -> Option<Held> {
    let by = before.duration_since(now);
    let limits = &job.flow.limits;
    let queues = limits.at_most.iter().filter(|limit| limit.otherwise == Otherwise::Queue).map(|limit| &limit.every);
    let mut rates = queues.chain(limits.throttle.as_ref().map(|throttle| &throttle.every));
    let slides = rates.all(|rate| matches!(rate, Rate::Sliding(_)));
    // What lies behind what the clock showed has been moved already.
    let until = job.run.wake_at().filter(|until| job.run.is_held() && slides && by > limit::LITTLE && *until > before)?;
    Some(Held { until: Some(earlier(until, by)), reason: job.run.reason.clone().unwrap_or_default() })
}

/// Lets runs begin that got their turn.
pub(crate) fn take_turns(shared: &Arc<Shared>, now: Timestamp) {
    for turn in shared.store.turns() {
        match turn.at {
            Some(at) => shared.queue().timer_at(at),
            None => {
                if let Err(error) = begin_turn(shared, &turn.run, now) {
                    tracing::warn!(run = turn.run, %error, "a run that got its turn cannot be read yet");
                    shared.rescan.store(true, Ordering::SeqCst);
                }
            }
        }
    }
}

fn begin_turn(shared: &Arc<Shared>, run: &str, now: Timestamp) -> Result<(), StoreError> {
    if !shared.queue().claim_or_note(run) {
        return Ok(());
    }
    let loaded = shared.store.run(run).and_then(|head| {
        let head = head.filter(|head| head.status == Status::Waiting && head.waits.attention);
        head.map(|head| load(shared, &head)).transpose()
    });
    match loaded {
        Ok(Some(mut job)) => {
            job.record(now, What::Woken);
            enqueue_claimed(shared, vec![job]);
            Ok(())
        }
        Ok(None) => {
            shared.queue().release(run);
            Ok(())
        }
        Err(error) => {
            shared.queue().release(run);
            Err(error)
        }
    }
}

/// Lets events be offered that are to be. Returns when to look again.
fn offer(shared: &Arc<Shared>, now: Timestamp) -> Option<Timestamp> {
    let (offering, from) = {
        let queue = shared.queue();
        (queue.offering, queue.offer_from)
    };
    if offering || !shared.offers.load(Ordering::SeqCst) {
        return None;
    }
    if let Some(from) = from.filter(|from| *from > now) {
        return Some(from);
    }
    shared.offers.store(false, Ordering::SeqCst);
    shared.queue().offer_from = None;
    awaited::start_offering(shared);
    None
}

fn is_offering(shared: &Shared) -> bool {
    shared.queue().offering || shared.offers.load(Ordering::SeqCst)
}

fn claim_due(shared: &Shared, run: &str) -> bool {
    let mut queue = shared.queue();
    let claimed = queue.claim(run);
    if !claimed {
        queue.miss_timer();
    }
    claimed
}

/// Gives turns to all that can have one. Returns when the next may be possible.
fn hand_out(shared: &Arc<Shared>, now: Timestamp) -> Option<Timestamp> {
    let (turns, next, probes) = {
        let mut queue = shared.queue();
        let turns = queue.turns(now);
        let probes = queue.due_probes(now);
        (turns, queue.next_turn(now), probes)
    };
    for turn in turns {
        spawn(shared, turn);
    }
    if probes.is_empty() {
        return next;
    }
    // One run of each connection that does not work, to see whether it works again.
    let mut after = Some(now);
    for run in probes {
        if let Err(error) = wake(shared, &run, now) {
            tracing::warn!(run, %error, "a parked run cannot be woken yet");
            shared.rescan.store(true, Ordering::SeqCst);
            after = now.checked_add(STORE_PAUSE).ok();
        }
    }
    after
}

/// Lets runs go on whose connection works again, as many as there is room for.
fn wake_some(shared: &Arc<Shared>, now: Timestamp) {
    let runs = {
        let mut queue = shared.queue();
        let room = shared.options.queue.saturating_sub(queue.queued());
        queue.waking(room.min(PORTION))
    };
    for run in runs {
        if let Err(error) = wake(shared, &run, now) {
            tracing::warn!(run, %error, "a parked run cannot be woken yet");
            shared.rescan.store(true, Ordering::SeqCst);
        }
    }
}

/// Writes how connections are doing, where that has changed, in a task of its own.
fn note(shared: &Arc<Shared>, now: Timestamp) {
    let meters = {
        let mut queue = shared.queue();
        let meters = queue.take_notes(now);
        if meters.is_empty() {
            return;
        }
        queue.background += 1;
        meters
    };
    // In their order: the store has them when this returns, and only their end is waited for.
    let written = shared.store.update_and_accept(Vec::new(), AcceptBatch { meters, ..AcceptBatch::default() });
    let task = Arc::clone(shared);
    locked(&shared.steps).spawn(async move {
        if let Err(error) = written.await {
            tracing::warn!(%error, "how connections are doing could not be written");
        }
        task.queue().background -= 1;
        task.touch();
    });
}

/// Wakes a run that waits for its connection; `false` where it does not.
pub(crate) fn wake(shared: &Arc<Shared>, run: &str, now: Timestamp) -> Result<bool, StoreError> {
    shared.queue().forget_parked(run);
    let Some(head) = shared.store.run(run)?.filter(|head| head.status == Status::Parked) else { return Ok(false) };
    if !shared.queue().claim(run) {
        return Ok(false);
    }
    match load(shared, &head) {
        Ok(mut job) => {
            job.record(now, What::Woken);
            enqueue_claimed(shared, vec![job]);
            Ok(true)
        }
        Err(error) => {
            shared.queue().release(run);
            Err(error)
        }
    }
}

/// Performs a turn in a task of its own. A panic makes its run dead, and nothing else.
fn spawn(shared: &Arc<Shared>, turn: queue::Turn) {
    let shared = Arc::clone(shared);
    let task = {
        let shared = Arc::clone(&shared);
        async move {
            let (run, lane, tries) = (turn.job.run.id().to_owned(), turn.lane.clone(), turn.tries);
            let performed = AssertUnwindSafe(perform::turn(&shared, turn)).catch_unwind().await;
            if let Err(panic) = performed {
                let message = panic
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| panic.downcast_ref::<&str>().copied())
                    .unwrap_or("a panic without a message");
                shared.counters.panics.fetch_add(1, Ordering::Relaxed);
                perform::bury(&shared, &run, message).await;
                let now = shared.world.clock.now();
                take_turns(&shared, now);
                let mut queue = shared.queue();
                // Whether a connection works again is for another run to find out.
                queue.heard(&lane, &Heard::Nothing, Asked { step: true, probe: true }, now);
                queue.end_turn(&lane, tries);
                queue.release(&run);
            }
            shared.touch();
        }
    };
    locked(&shared.steps).spawn(task);
}

/// A random number below a million.
fn jitter(shared: &Shared) -> u32 {
    // In 0.0..1.0 by contract, and the cast saturates.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let jitter = (shared.world.random.fraction() * 1_000_000.0) as u32;
    jitter.min(999_999)
}
