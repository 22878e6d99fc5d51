//! Webhooks: how fast they are taken in, what of the processor and of the memory that takes, and what happens where more
//! come than can be worked off. Each figure of flowd, the real program, stands beside one of a bare program that does the
//! same without recording it, taken in turns in the same run.
//!
//!     cargo bench --bench accept                  # accepting, the whole path, memory
//!     cargo bench --bench accept -- overload      # ten times what can be worked off, for a minute
//!     cargo bench --bench accept -- kinds         # ten kinds of webhooks mixed, beside one kind, also in a flowd of its own
//!     cargo bench --bench accept -- accept 20     # one part, with so many rounds
//!
//! `FLOWD` names another flowd to measure.

#[path = "support/bare.rs"]
mod bare;
#[path = "support/kinds.rs"]
mod kinds;
#[path = "support/load.rs"]
mod load;
#[path = "support/overload.rs"]
mod overload;
#[path = "support/process.rs"]
mod process;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bare::Sink;
use process::{Program, eventually};
use tokio::runtime::Runtime;

const CONNECTIONS: usize = 32;
const REQUESTS: usize = 8_000;
const ROUNDS: usize = 9;
/// Webhooks of a round of the whole path.
const PATHS: usize = 2_000;

/// A service without a limit of its own: what is measured is flowd.
macro_rules! mirror {
    ($flow:literal) => {
        concat!(
            "connector mirror \"Mirror\" {\n  base \"https://mirror.example\"\n  record Made { id: text @key }\n",
            "  action make(name: text) -> Made {\n    POST \"/v1/customers\" json { name }\n",
            "    effect keyed header \"Idempotency-Key\" for 24 hours\n  }\n}\n",
            $flow
        )
    };
}

const QUIET: &str = mirror!("when stripe.charge_failed where amount > 100 USD do kustomer.create_conversation\n");
/// Below the bound of the flow: what is measured is accepting, not what runs afterwards.
const LOW: u64 = 5_000;
/// One request for each event.
const MIRROR: &str = mirror!("when stripe.charge_failed where amount > 100 USD do mirror.make(name: \"Mirror of {id}\")\n");
const HIGH: u64 = 20_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    // `cargo test --benches` asks only whether it builds and starts.
    if arguments.iter().any(|argument| argument == "--test") {
        return;
    }
    if let [part, folder, sink @ ..] = arguments.as_slice()
        && part == "bare"
    {
        return bare::run(Path::new(folder), sink.first().and_then(|sink| sink.parse().ok()));
    }
    let rounds = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(ROUNDS);
    let wants = |part: &str| arguments.iter().any(|argument| argument == part);
    let all = !["accept", "path", "memory", "overload", "kinds"].into_iter().any(wants);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
    // On the disk of the build, not in memory.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    println!("load {}", std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
    if all || wants("accept") || wants("memory") {
        accept(&runtime, &folder.path().join("accept"), rounds);
    }
    if all || wants("path") {
        path(&runtime, &folder.path().join("path"), rounds);
    }
    if wants("kinds") {
        kinds(&runtime, &folder.path().join("kinds"), rounds);
    }
    if wants("overload") {
        overload::run(&runtime, &folder.path().join("overload"));
    }
}

/// Returns the configuration of a project whose services are at `sink`.
fn toml(sink: SocketAddr) -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[run]\nflood = 0\n[connections.stripe]\nkey = \"sk_test\"\nwebhook_secret = \"{}\"\nbase_url = \"http://{sink}\"\n[connections.kustomer]\napi_key = \"k\"\nbase_url = \"http://{sink}\"\n[connections.mirror]\nbase_url = \"http://{sink}\"\n",
        load::SECRET
    )
}

/// A pair of figures of one round.
struct Round {
    flow: Duration,
    bare: Duration,
    flow_cpu: Duration,
    bare_cpu: Duration,
}

fn accept(runtime: &Runtime, folder: &Path, rounds: usize) {
    let sink = runtime.block_on(Sink::start(Duration::ZERO));
    let flowd = Program::flowd(&folder.join("flow"), QUIET, &toml(sink.address));
    let bare = bare::start(&folder.join("bare"), None);
    std::thread::sleep(Duration::from_secs(1));
    println!("memory idle: {} kB resident, {} kB at most", flowd.memory("VmRSS"), flowd.memory("VmHWM"));
    println!("accept: {REQUESTS} webhooks of 3 kB over {CONNECTIONS} connections, {rounds} rounds in turns");
    let mut measured = Vec::new();
    for round in 0..=rounds {
        let requests = load::requests("/v1/webhooks/stripe", round * REQUESTS, REQUESTS, LOW);
        let before = bare.used();
        let bare_time = runtime.block_on(load::drive(bare.address, requests.clone(), CONNECTIONS));
        let bare_cpu = bare.used().cpu - before.cpu;
        let before = flowd.used();
        let flow_time = runtime.block_on(load::drive(flowd.address, requests, CONNECTIONS));
        // What is sorted in behind the answers counts too.
        std::thread::sleep(Duration::from_millis(200));
        let flow_cpu = flowd.used().cpu - before.cpu;
        if round > 0 {
            // The first one warms files, pools and caches.
            measured.push(Round { flow: flow_time, bare: bare_time, flow_cpu, bare_cpu });
        }
    }
    report(&measured, REQUESTS);
    println!("memory under this load: {} kB resident, {} kB at most", flowd.memory("VmRSS"), flowd.memory("VmHWM"));
}

/// One flowd with a flow for each of ten kinds takes rounds of all kinds and rounds of one kind, and a flowd that has one flow only
/// takes rounds of one kind, in turns.
fn kinds(runtime: &Runtime, folder: &Path, rounds: usize) {
    const EACH: usize = 10_000;
    let sink = runtime.block_on(Sink::start(Duration::ZERO));
    let of_one = Program::flowd(&folder.join("one"), QUIET, &toml(sink.address));
    let of_ten = Program::flowd(&folder.join("ten"), kinds::FLOWS, &kinds::toml(sink.address));
    println!("kinds: {EACH} webhooks of 3 kB over {CONNECTIONS} connections, {rounds} rounds in turns");
    let drive = |flowd: &Program, requests| runtime.block_on(load::drive(flowd.address, requests, CONNECTIONS)).as_secs_f64();
    let mut measured = Vec::new();
    for round in 0..=rounds {
        let alone = || load::requests("/v1/webhooks/stripe", round * EACH, EACH, LOW);
        let apart = drive(&of_one, alone());
        let mixed = drive(&of_ten, kinds::requests(round * EACH, EACH));
        let beside = drive(&of_ten, alone());
        if round > 0 {
            let rate = |time: f64| EACH as f64 / time;
            println!(
                "  ten {:>6.0}/s   one, of the ten {:>6.0}/s, {:.2}   one, in a flowd of its own {:>6.0}/s, {:.2}",
                rate(mixed),
                rate(beside),
                beside / mixed,
                rate(apart),
                apart / mixed,
            );
            measured.push((mixed, beside, apart));
        }
    }
    let report = |against: &str, one: &dyn Fn(&(f64, f64, f64)) -> f64| {
        let least = |time: &dyn Fn(&(f64, f64, f64)) -> f64| measured.iter().map(time).fold(f64::INFINITY, f64::min);
        let mut ratios: Vec<f64> = measured.iter().map(|round| one(round) / round.0).collect();
        ratios.sort_by(f64::total_cmp);
        println!(
            "kinds: ten against one {against}: ratio of the least disturbed rounds {:.2}, median {:.2}",
            least(one) / least(&|round| round.0),
            ratios.get(ratios.len() / 2).copied().unwrap_or_default()
        );
    };
    report("of the ten", &|round| round.1);
    report("in a flowd of its own", &|round| round.2);
}

fn path(runtime: &Runtime, folder: &Path, rounds: usize) {
    let sink = runtime.block_on(Sink::start(Duration::ZERO));
    let flowd = Program::flowd(&folder.join("flow"), MIRROR, &toml(sink.address));
    let bare = bare::start(&folder.join("bare"), Some(sink.address));
    println!("whole path: {PATHS} webhooks, one POST each to a local sink, {rounds} rounds in turns");
    let mut measured = Vec::new();
    for round in 0..=rounds {
        let requests = load::requests("/v1/webhooks/stripe", round * PATHS, PATHS, HIGH);
        let mut figures = [(Duration::ZERO, Duration::ZERO); 2];
        for (program, figures) in [&bare, &flowd].into_iter().zip(&mut figures) {
            let (before, made) = (program.used(), sink.made());
            let began = std::time::Instant::now();
            runtime.block_on(load::drive(program.address, requests.clone(), CONNECTIONS));
            eventually("every event has its customer", || (sink.made() >= made + PATHS as u64).then_some(()));
            let time = began.elapsed();
            // The last results are written behind the last request.
            std::thread::sleep(Duration::from_millis(300));
            *figures = (time, program.used().cpu - before.cpu);
            assert_eq!(sink.made(), made + PATHS as u64, "one request for each event");
        }
        let [(bare, bare_cpu), (flow, flow_cpu)] = figures;
        if round > 0 {
            measured.push(Round { flow, bare, flow_cpu, bare_cpu });
        }
    }
    report(&measured, PATHS);
    println!("memory under this load: {} kB resident, {} kB at most", flowd.memory("VmRSS"), flowd.memory("VmHWM"));
}

fn report(rounds: &[Round], events: usize) {
    let per_second = |time: Duration| events as f64 / time.as_secs_f64();
    let each = |time: Duration| time.as_secs_f64() * 1e6 / events as f64;
    for round in rounds {
        println!(
            "  flowd {:>6.0}/s {:>5.1} us   bare {:>6.0}/s {:>5.1} us   ratio of speed {:.2}, of processor time {:.2}",
            per_second(round.flow),
            each(round.flow_cpu),
            per_second(round.bare),
            each(round.bare_cpu),
            round.bare.as_secs_f64() / round.flow.as_secs_f64(),
            round.flow_cpu.as_secs_f64() / round.bare_cpu.as_secs_f64(),
        );
    }
    let least = |times: &dyn Fn(&Round) -> Duration| rounds.iter().map(times).min().unwrap_or_default();
    let median = |ratios: &dyn Fn(&Round) -> f64| {
        let mut ratios: Vec<f64> = rounds.iter().map(ratios).collect();
        ratios.sort_by(f64::total_cmp);
        ratios.get(ratios.len() / 2).copied().unwrap_or_default()
    };
    let (flow, bare) = (least(&|round| round.flow), least(&|round| round.bare));
    let (flow_cpu, bare_cpu) = (least(&|round| round.flow_cpu), least(&|round| round.bare_cpu));
    println!(
        "speed: ratio of the least disturbed rounds {:.2} ({:.0}/s to {:.0}/s), median ratio {:.2}",
        bare.as_secs_f64() / flow.as_secs_f64(),
        per_second(flow),
        per_second(bare),
        median(&|round| round.bare.as_secs_f64() / round.flow.as_secs_f64()),
    );
    println!(
        "processor: ratio of the least {:.2} ({:.1} us to {:.1} us an event), median ratio {:.2}",
        flow_cpu.as_secs_f64() / bare_cpu.as_secs_f64(),
        each(flow_cpu),
        each(bare_cpu),
        median(&|round| round.flow_cpu.as_secs_f64() / round.bare_cpu.as_secs_f64()),
    );
}
