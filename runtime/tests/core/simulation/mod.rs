//! The engine itself, with faults on every edge: seeded, in virtual time, so that whatever goes wrong goes wrong again.
//!
//! `FLOW_SIM_RUNS` says how many simulations there are, `FLOW_SIM_SEED` with which seed they begin. What fails prints its
//! seed and its trace, and `FLOW_SIM_SEED=… FLOW_SIM_RUNS=1` plays it again. `FLOW_SIM_TELL=1` tells each line when it
//! happens, for what does not come to an end. `FLOW_SIM_ON_DISK=1` plays all of them over the real store on a disk in memory.

mod checks;
mod clock;
mod dice;
mod flows;
mod found;
mod power;
mod services;
mod story;
mod trace;

use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use story::{Over, Story, Wrong};

/// How many simulations there are unless somebody says otherwise.
const RUNS: u64 = 2_000;
/// One of so many is over redb in a folder.
const IN_FOLDER: u64 = 1_000;
/// One of so many is over redb with the inbox in front, on a disk that loses what was not synced.
const ON_DISK: u64 = 80;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Panics that are part of a simulation are told by what fails, not on standard error.
fn quiet() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                before(panic);
            }
        }));
    });
    QUIET.set(true);
}

/// What one simulation came to.
struct Played {
    result: Result<(), Wrong>,
    trace: Vec<String>,
    events: u64,
    asked: u64,
    commits: u64,
    processes: u64,
}

fn play(seed: u64, traced: bool) -> Played {
    let over = match number("FLOW_SIM_ON_DISK") {
        _ if seed % IN_FOLDER == 7 => Over::Folder,
        every if seed.is_multiple_of(every.unwrap_or(ON_DISK).max(1)) => Over::Disk,
        _ => Over::Memory,
    };
    let mut story = Story::new(seed, traced, over);
    let played = std::panic::catch_unwind(AssertUnwindSafe(|| story.play()));
    let result = played.unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<String>().cloned();
        let message = message.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("a panic: {}", message.unwrap_or_default()))
    });
    Played {
        result,
        trace: story.trace.lines(),
        events: story.events.len() as u64,
        asked: story.services.asked().len() as u64,
        commits: story.power.commits(),
        processes: u64::from(story.process),
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

#[test]
fn nothing_is_lost_and_nothing_is_made_twice() {
    let first = number("FLOW_SIM_SEED").unwrap_or(1);
    let runs = number("FLOW_SIM_RUNS").unwrap_or(RUNS);
    let (next, failed) = (AtomicU64::new(first), AtomicBool::new(false));
    let totals: [AtomicU64; 4] = Default::default();
    let began = std::time::Instant::now();
    let failures: Vec<(u64, Wrong)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    quiet();
                    let mut wrong = Vec::new();
                    while !failed.load(Ordering::SeqCst) {
                        let seed = next.fetch_add(1, Ordering::SeqCst);
                        if seed >= first + runs {
                            break;
                        }
                        let played = play(seed, std::env::var_os("FLOW_SIM_TELL").is_some());
                        for (total, count) in totals.iter().zip([played.events, played.asked, played.commits, played.processes]) {
                            total.fetch_add(count, Ordering::Relaxed);
                        }
                        if let Err(what) = played.result {
                            failed.store(true, Ordering::SeqCst);
                            wrong.push((seed, what));
                        }
                    }
                    wrong
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let [events, asked, commits, processes] = totals.map(AtomicU64::into_inner);
    println!(
        "{} simulations from seed {first} in {:.1} s: {events} events, {asked} requests, {commits} commits, {processes} processes",
        next.load(Ordering::SeqCst).saturating_sub(first).min(runs),
        began.elapsed().as_secs_f64()
    );
    if let Some((seed, what)) = failures.into_iter().min_by_key(|(seed, _)| *seed) {
        quiet();
        let again = play(seed, true);
        QUIET.set(false);
        let trace = again.trace.join("\n");
        panic!(
            "seed {seed}: {what}\nplayed again: {:?}\n{trace}\nFLOW_SIM_SEED={seed} FLOW_SIM_RUNS=1 plays it again",
            again.result
        );
    }
}

#[test]
fn a_seed_plays_the_same_each_time() {
    quiet();
    let first = number("FLOW_SIM_SEED").unwrap_or(1);
    for seed in first..first + 60 {
        let (one, other) = (play(seed, true), play(seed, true));
        if one.trace != other.trace {
            QUIET.set(false);
            let place = one.trace.iter().zip(&other.trace).position(|(one, other)| one != other);
            let place = place.unwrap_or(one.trace.len().min(other.trace.len()));
            let line = |trace: &[String]| trace.get(place).cloned().unwrap_or_default();
            panic!("seed {seed} differs in line {place}:\n{}\n{}", line(&one.trace), line(&other.trace));
        }
    }
    QUIET.set(false);
}
