//! Webhook accept to 200, durable, over 32 connections, as a ratio to a bare hyper server that checks the same HMAC and
//! appends the body under a shared fdatasync. Both in the same run, in turns; the flowd is the real program.
//!
//!     cargo bench --bench accept

#[path = "support/load.rs"]
mod load;

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const CONNECTIONS: usize = 32;
const REQUESTS: usize = 8_000;
const ROUNDS: usize = 5;

fn main() {
    // `cargo test --benches` asks only whether it builds and starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
    let folder = tempfile::tempdir().expect("a folder");
    let mut flowd = start(folder.path());
    let address = address_of(folder.path());
    let bare = runtime.block_on(load::bare_server(&folder.path().join("bare.log")));

    let mut ratios = Vec::new();
    println!("{REQUESTS} webhooks of 3 kB over {CONNECTIONS} connections, {ROUNDS} rounds in turns");
    for round in 0..=ROUNDS {
        let requests = load::requests("/v1/webhooks/stripe", round * REQUESTS, REQUESTS);
        let bare_time = runtime.block_on(load::drive(bare, requests.clone(), CONNECTIONS));
        let flow_time = runtime.block_on(load::drive(address, requests, CONNECTIONS));
        if round == 0 {
            continue; // Warms files, pools and caches.
        }
        let per_second = |time: Duration| REQUESTS as f64 / time.as_secs_f64();
        ratios.push(per_second(flow_time) / per_second(bare_time));
        println!(
            "  flowd {:>6.0}/s   bare {:>6.0}/s   ratio {:.2}",
            per_second(flow_time),
            per_second(bare_time),
            ratios[round - 1]
        );
    }
    ratios.sort_by(f64::total_cmp);
    println!("median ratio {:.2}", ratios[ratios.len() / 2]);
    drop(flowd.kill());
    drop(flowd.wait());
}

fn start(folder: &std::path::Path) -> Child {
    let flow = "when stripe.charge_failed where amount > 100 do kustomer.create_conversation\n";
    std::fs::write(folder.join("one.flow"), flow).expect("a file");
    let toml = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[run]\nflood = 0\n[connections.stripe]\nwebhook_secret = \"{}\"\n[connections.kustomer]\napi_key = \"k\"\nbase_url = \"http://127.0.0.1:9\"\n",
        load::SECRET
    );
    std::fs::write(folder.join("flow.toml"), toml).expect("a file");
    Command::new(env!("CARGO_BIN_EXE_flowd"))
        .args(["run", "--allow-literal-secrets"])
        .arg(folder)
        .env("FLOWD_LOG", "error")
        .stdout(Stdio::null())
        .spawn()
        .expect("flowd starts")
}

fn address_of(folder: &std::path::Path) -> SocketAddr {
    let file = folder.join(".flow/addresses.json");
    let patience = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(address) = std::fs::read_to_string(&file).ok().and_then(|text| {
            let json: serde_json::Value = serde_json::from_str(&text).ok()?;
            json["server"].as_str()?.strip_prefix("http://")?.parse().ok()
        }) {
            return address;
        }
        assert!(Instant::now() < patience, "flowd did not start");
        std::thread::sleep(Duration::from_millis(5));
    }
}
