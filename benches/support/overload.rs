//! Ten times what can be worked off, for a minute: memory stays bounded, every 200 is honoured, though the process is killed
//! with all that it has taken in, the rest is 503 with `Retry-After`, and a second after it the daemon is as fast as before.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use super::bare::Sink;
use super::load::{self, Connection};
use super::process::{Program, eventually};
use super::{HIGH, MIRROR, toml};

/// The service takes so long, and flowd sends it so many requests at a time: what can be worked off is known.
const PAUSE: Duration = Duration::from_millis(160);
const AT_A_TIME: u64 = 64;
const CONNECTIONS: usize = 64;

#[derive(Default)]
struct Counts {
    taken: AtomicU64,
    refused: AtomicU64,
    without_patience: AtomicU64,
    other: AtomicU64,
    slowest: AtomicU64,
}

pub(crate) fn run(runtime: &Runtime, folder: &Path) {
    let capacity = AT_A_TIME * 1000 / PAUSE.as_millis() as u64;
    let seconds: u64 = std::env::var("SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let sink = runtime.block_on(Sink::start(PAUSE));
    let flowd = Program::flowd(folder, MIRROR, &toml(sink.address));
    let speed = |what: &str| {
        let made = sink.made();
        std::thread::sleep(Duration::from_secs(2));
        println!("{what}: {} of {capacity} a second worked off", (sink.made() - made) / 2);
    };
    println!("overload: {} webhooks a second for {seconds} s, where {capacity} a second can be worked off", capacity * 10);
    let counts = Arc::new(Counts::default());
    let began = Instant::now();
    let sampler = std::thread::scope(|scope| {
        let load = scope.spawn(|| runtime.block_on(drive(&flowd, capacity * 10, Duration::from_secs(seconds), &counts)));
        let mut most = 0;
        while !load.is_finished() {
            most = most.max(flowd.memory("VmRSS"));
            std::thread::sleep(Duration::from_millis(100));
        }
        load.join().expect("the load ends well");
        most
    });
    let get = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
    println!(
        "{} sent in {:.1} s: {} taken in, {} refused with 503 and Retry-After, {} without, {} other; slowest answer {} ms",
        get(&counts.taken) + get(&counts.refused) + get(&counts.without_patience) + get(&counts.other),
        began.elapsed().as_secs_f64(),
        get(&counts.taken),
        get(&counts.refused),
        get(&counts.without_patience),
        get(&counts.other),
        get(&counts.slowest),
    );
    println!("memory: {sampler} kB resident at most");
    std::thread::sleep(Duration::from_secs(1));
    speed("one second after it");
    let taken = get(&counts.taken);
    println!("killed with {} of {taken} not worked off", taken.saturating_sub(sink.different().0));
    // Dropped, it is killed.
    drop(flowd);
    let flowd = Program::flowd(folder, MIRROR, &toml(sink.address));
    let mut before = 0;
    while sink.different().0 < taken {
        before = eventually("another event has its customer", || Some(sink.different().0).filter(|now| *now > before));
    }
    std::thread::sleep(Duration::from_secs(1));
    let (different, under_several) = sink.different();
    println!("worked off: {different} customers for {taken} answers of 200, {under_several} of them under several keys");
    println!("memory after it: {} kB resident", flowd.memory("VmRSS"));
}

/// Sends so many a second, whatever the answers are.
async fn drive(flowd: &Program, per_second: u64, length: Duration, counts: &Arc<Counts>) {
    let address = flowd.address;
    let began = Instant::now();
    let lanes: Vec<_> = (0..CONNECTIONS)
        .map(|lane| {
            let counts = Arc::clone(counts);
            tokio::spawn(async move {
                let mut connection = Connection::open(address).await;
                let every = Duration::from_secs_f64(CONNECTIONS as f64 / per_second as f64);
                let mut number = 0u32;
                while began.elapsed() < length {
                    let due = every * number;
                    if let Some(early) = due.checked_sub(began.elapsed()) {
                        tokio::time::sleep(early).await;
                    }
                    let id = lane + CONNECTIONS * number as usize;
                    let request = load::requests("/v1/webhooks/stripe", id, 1, HIGH).remove(0);
                    let sent = Instant::now();
                    let answer = connection.send(&request).await;
                    counts.slowest.fetch_max(sent.elapsed().as_millis() as u64, Ordering::SeqCst);
                    let counter = if answer.starts_with("HTTP/1.1 200") {
                        &counts.taken
                    } else if answer.starts_with("HTTP/1.1 503") && answer.to_ascii_lowercase().contains("retry-after:") {
                        &counts.refused
                    } else if answer.starts_with("HTTP/1.1 503") {
                        &counts.without_patience
                    } else {
                        &counts.other
                    };
                    counter.fetch_add(1, Ordering::SeqCst);
                    number += 1;
                }
            })
        })
        .collect();
    for lane in lanes {
        lane.await.expect("a lane ends well");
    }
}
