//! A thousand connections that are polled each minute: what flowd, the real program, takes of one core and of memory, whether
//! each is really asked once a minute, and whether the requests are spread over the minute.
//!
//!     cargo bench --bench polling                       # events of Stripe, doors of Sesame, feeds; three minutes each
//!     cargo bench --bench polling -- sesame 1000 2      # one kind, so many of it, measured for so many minutes
//!
//! The first minute is that of the start, and is said by itself. `FLOWD` names another flowd to measure.

#[path = "support/listed.rs"]
mod listed;
#[path = "support/process.rs"]
mod process;

use std::time::{Duration, Instant};

use listed::{Kind, Service};
use process::{Program, eventually};

/// Connections where nothing else is asked for.
const CONNECTIONS: usize = 1_000;
/// Minutes that are measured behind the first one.
const MINUTES: u32 = 2;
const MINUTE: Duration = Duration::from_secs(60);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    // `cargo test --benches` asks only whether it builds and starts.
    if arguments.iter().any(|argument| argument == "--test") {
        return;
    }
    let mut numbers = arguments.iter().filter_map(|argument| argument.parse::<u32>().ok());
    let connections = numbers.next().map_or(CONNECTIONS, |number| number as usize);
    let minutes = numbers.next().unwrap_or(MINUTES);
    let asked = |kind: &Kind| arguments.iter().any(|argument| argument == kind.name());
    let all = !Kind::ALL.iter().any(asked);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
    // On the disk of the build, not in memory.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    println!("load {}", std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
    for kind in Kind::ALL.into_iter().filter(|kind| all || asked(kind)) {
        let service = runtime.block_on(Service::start(kind, connections));
        let began = Instant::now();
        let flowd = Program::flowd(
            &folder.path().join(kind.name()),
            &kind.flows(connections, service.port),
            &kind.toml(connections, service.port),
        );
        println!(
            "{}: {connections} connections, each polled once a minute; it listens at {} after {} ms",
            kind.name(),
            flowd.address,
            began.elapsed().as_millis()
        );
        std::thread::sleep(MINUTE.saturating_sub(began.elapsed()));
        println!(
            "  the first minute: {:.2} s of a core, {} polls, at most {} in a second; {}",
            flowd.used().cpu.as_secs_f64(),
            service.polls().len(),
            listed::most(&service.seconds(began, 1)),
            memory(&flowd)
        );
        let (first, used) = (Instant::now(), flowd.used());
        std::thread::sleep(MINUTE * minutes);
        let cpu = flowd.used().cpu.saturating_sub(used.cpu);
        report(&service, connections, first, minutes);
        println!("  processor: {:.2} % of a core; {}", cpu.as_secs_f64() / first.elapsed().as_secs_f64() * 100.0, memory(&flowd));
        // What came with the last polls is on its way.
        eventually("every item has its customer", || (service.made() >= service.items()).then_some(()));
        println!("  {} items were listed, and {} customers made", service.items(), service.made());
    }
}

/// Says how often each connection was asked, and how evenly.
fn report(service: &Service, connections: usize, first: Instant, minutes: u32) {
    let window = first..first + MINUTE * minutes;
    let mut each = vec![0_u32; connections];
    let mut pauses = Vec::new();
    let mut last: Vec<Option<Instant>> = vec![None; connections];
    for (connection, at) in service.polls() {
        if let Some(before) = last[connection].replace(at)
            && window.contains(&at)
        {
            each[connection] += 1;
            pauses.push(at.duration_since(before).as_secs_f64());
        }
    }
    pauses.sort_by(f64::total_cmp);
    let pause = |share: usize| pauses.get(pauses.len().saturating_sub(1) * share / 100).copied().unwrap_or_default();
    println!(
        "  {} polls in {minutes} minutes: {} to {} a connection; {:.2} s from one to the next by the median, {:.2} to {:.2} s",
        pauses.len(),
        each.iter().min().copied().unwrap_or_default(),
        each.iter().max().copied().unwrap_or_default(),
        pause(50),
        pause(0),
        pause(100),
    );
    let mut seconds = service.seconds(first, u64::from(minutes));
    let most = listed::most(&seconds);
    seconds.sort_unstable();
    println!(
        "  polls in a second: {} at least, {} by the median, {most} at most",
        seconds.first().copied().unwrap_or_default(),
        seconds.get(seconds.len() / 2).copied().unwrap_or_default(),
    );
}

fn memory(flowd: &Program) -> String {
    let megabytes = |what| flowd.memory(what) as f64 / 1024.0;
    format!("{:.1} MB resident, {:.1} MB at most", megabytes("VmRSS"), megabytes("VmHWM"))
}
