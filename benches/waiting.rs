//! A store with very many waiting runs: how long flowd takes until it is ready, what it has in memory, and how fast those
//! begin that are due in the same second. The flowd is the real program; the store is filled through its own interface,
//! from a run that the program made.
//!
//!     cargo bench --bench waiting
//!     cargo bench --bench waiting -- 10000 1000
//!
//! The numbers are those of the waiting runs, and of those that are due together.

#[path = "support/load.rs"]
mod load;

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use flow_runtime::journal::{Entry, What};
use flow_runtime::run::Status;
use flow_runtime::store::{AcceptBatch, NewEvent, NewRun, NewStart, RedbStore, RunHead, RunQuery, Store, StoredEvent};
use jiff::{SignedDuration, Timestamp};

/// So many runs are put into the store by one transaction.
const TOGETHER: usize = 2_000;
/// How many single events are written to see what a commit costs.
const COMMITS: usize = 200;
/// Behind the end of the filling those begin that are due together.
const SOON: SignedDuration = SignedDuration::from_secs(20);
/// The payload of each event.
const PAYLOAD: &str = r#"{"type":"charge.failed"}"#;
const PATIENCE: Duration = Duration::from_secs(120);

fn main() {
    // `cargo test --benches` asks only whether it builds and starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse().ok());
    let (many, together) = (numbers.next().unwrap_or(1_000_000), numbers.next().unwrap_or(1_000));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
    let project = Project::new();

    let template = runtime.block_on(project.template());
    let (ready, daemon) = project.start();
    let none = daemon.rest();
    println!("one waiting run: ready after {}, {none}", millis(ready));
    daemon.terminate();

    let began = Instant::now();
    let store = project.store();
    let far = Timestamp::now() + SignedDuration::from_hours(24 * 30);
    runtime.block_on(template.fill(&store, 1, many, far));
    println!("{many} more were put in within {:.0} s; the file has {} MB", began.elapsed().as_secs_f64(), project.megabytes());
    let began = Instant::now();
    for number in 0..COMMITS {
        runtime.block_on(template.fill(&store, 1 + many + number, 1, far));
    }
    println!("a commit of one run: {}", millis(began.elapsed() / u32::try_from(COMMITS).expect("few")));
    drop(store);

    let (ready, daemon) = project.start();
    println!(
        "after an orderly end: ready after {}, {}; more than with one run: {}",
        millis(ready),
        daemon.memory(),
        daemon.memory().beyond(&none)
    );
    let rest = daemon.rest();
    println!("when all was looked at: {rest}; more than with one run: {}", rest.beyond(&none));
    daemon.kill();
    let (ready, daemon) = project.start();
    println!("after kill -9: ready after {}, {}", millis(ready), daemon.memory());
    daemon.rest();
    daemon.terminate();

    let store = project.store();
    let due = Timestamp::from_second((Timestamp::now() + SOON).as_second()).expect("a time");
    let first = 1 + many + COMMITS;
    runtime.block_on(template.fill(&store, first, together, due));
    drop(store);
    let (ready, daemon) = project.start();
    println!("with {together} due in {:.1} s: ready after {}", due.duration_since(Timestamp::now()).as_secs_f64(), millis(ready));
    daemon.waits_until(due + SignedDuration::from_secs(5));
    let after = daemon.memory();
    daemon.terminate();
    let store = project.store();
    let mut woken: Vec<f64> = (first..first + together)
        .filter_map(|number| {
            let journal = store.journal(&Template::run_id(number)).expect("a journal");
            // What comes behind the wait: that it has gone on is in the store.
            let next = journal.iter().skip_while(|entry| !matches!(entry.what, What::Woken)).nth(1)?;
            next.at.duration_since(due).as_secs_f64().into()
        })
        .collect();
    woken.sort_by(f64::total_cmp);
    let last = woken.last().copied().unwrap_or(f64::NAN);
    println!("{} of {together} began; the last one {last:.3} s behind its instant; then {after}", woken.len());
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

/// What a process has in memory, in kB.
struct Memory {
    now: u64,
    most: u64,
}

impl Memory {
    fn beyond(&self, other: &Self) -> String {
        let more = |one: u64, other: u64| (one as f64 - other as f64) / 1024.0;
        format!("{:.1} MB now, {:.1} MB at most", more(self.now, other.now), more(self.most, other.most))
    }
}

impl std::fmt::Display for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} MB resident, {:.1} MB at most", self.now as f64 / 1024.0, self.most as f64 / 1024.0)
    }
}

struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    fn new() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let flow = "when stripe.charge_failed where amount > 10 do {\n  wait 700 hours\n  wait 1 hour\n  kustomer.create_conversation(customer: \"c\", name: id)\n}\n";
        std::fs::write(folder.path().join("one.flow"), flow).expect("a file");
        // Nobody answers there, and nobody is asked: what is measured is when runs go on, not what a service lets through.
        let nobody = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
        let toml = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[run]\nflood = 0\n[connections.stripe]\nwebhook_secret = \"{}\"\n[connections.kustomer]\napi_key = \"k\"\nbase_url = \"http://{nobody}\"\n",
            load::SECRET
        );
        std::fs::write(folder.path().join("flow.toml"), toml).expect("a file");
        Self { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(".flow")
    }

    fn store(&self) -> RedbStore {
        RedbStore::open(&self.path()).expect("a store")
    }

    fn megabytes(&self) -> u64 {
        std::fs::metadata(self.path().join("flow.redb")).map_or(0, |file| file.len() / 1_000_000)
    }

    /// Starts the program, and returns how long it took until it said that it is ready.
    fn start(&self) -> (Duration, Daemon) {
        let began = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_flowd"))
            .args(["run", "--allow-literal-secrets"])
            .arg(self.folder.path())
            .env("FLOWD_LOG", "error")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("flowd starts");
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().expect("its output"));
        output.read_line(&mut line).expect("a line");
        assert!(line.contains("ready"), "{line:?}");
        (began.elapsed(), Daemon { child, _output: output })
    }

    /// Has the program make a run that waits.
    async fn template(&self) -> Template {
        let (_, daemon) = self.start();
        let address = address_of(&self.path().join("addresses.json"));
        load::drive(address, load::requests("/v1/webhooks/stripe", 0, 1, 20_000), 1).await;
        std::thread::sleep(Duration::from_secs(1));
        daemon.terminate();
        let store = self.store();
        let waiting = RunQuery { status: Some(Status::Waiting), limit: 1, ..RunQuery::default() };
        let head = store.runs(&waiting).expect("runs").pop().expect("a run that waits");
        let entries = store.journal(&head.id).expect("its journal");
        let event = store.event(head.event).expect("events").expect("its event");
        Template { head, entries, event }
    }
}

fn address_of(file: &Path) -> SocketAddr {
    let text = std::fs::read_to_string(file).expect("the addresses");
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    json["server"].as_str().and_then(|url| url.strip_prefix("http://")?.parse().ok()).expect("an address")
}

/// A run that waits, of which others are made.
struct Template {
    head: RunHead,
    entries: Vec<Entry>,
    event: StoredEvent,
}

impl Template {
    /// Ids are spread, as hashes are.
    fn spread(number: usize) -> u128 {
        (number as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
    }

    fn run_id(number: usize) -> String {
        format!("{:032x}", Self::spread(number))
    }

    /// Puts runs into the store that wait until an instant. They began so long ago that their age says nothing against their
    /// removal, and only their waiting does.
    async fn fill(&self, store: &RedbStore, first: usize, count: usize, until: Timestamp) {
        let began = Timestamp::now() - SignedDuration::from_hours(24 * 40);
        for begin in (first..first + count).step_by(TOGETHER) {
            let numbers = begin..(begin + TOGETHER).min(first + count);
            let events = numbers.map(|number| self.event(number, began, until)).collect();
            store.accept(AcceptBatch { events, ..AcceptBatch::default() }).await.expect("room");
        }
    }

    fn event(&self, number: usize, began: Timestamp, until: Timestamp) -> NewEvent {
        let more = u64::try_from(number).expect("a number");
        let mut event = self.event.clone();
        // What waits is the run; a payload is as large as its service makes it.
        event.payload = PAYLOAD.into();
        event.seq += more;
        event.id = format!("evt_waiting_{number:08}");
        event.received_at = began;
        let mut head = self.head.clone();
        head.id = Self::run_id(number);
        head.seq += more;
        head.event = event.seq;
        head.event_id.clone_from(&event.id);
        head.started_at = began;
        head.wake_at = Some(until);
        let mut entries = self.entries.clone();
        for entry in &mut entries {
            entry.at = began;
            match &mut entry.what {
                What::Started(start) => {
                    start.run.clone_from(&head.id);
                    start.event = event.head();
                }
                What::Waits(waits) => waits.until = Some(until),
                _ => {}
            }
        }
        let run = NewRun { head: head.clone(), entries, limited: None, tally: None, flood: None, follows: Vec::new() };
        let start = NewStart { trigger: head.trigger, key: Self::spread(number).to_be_bytes(), runs: vec![run] };
        NewEvent { starts: vec![start], ..NewEvent::new(event) }
    }
}

struct Daemon {
    child: Child,
    _output: BufReader<std::process::ChildStdout>,
}

impl Daemon {
    fn memory(&self) -> Memory {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("the process runs");
        let of = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap_or(0)
        };
        Memory { now: of("VmRSS"), most: of("VmHWM") }
    }

    /// What it has used of the processor, in ticks.
    fn used(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("the process runs");
        let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
        fields.filter_map(|field| field.parse::<u64>().ok()).sum()
    }

    /// Waits until it does nothing, and returns what it has in memory then.
    fn rest(&self) -> Memory {
        let patience = Instant::now() + PATIENCE;
        let mut before = u64::MAX;
        while Instant::now() < patience {
            std::thread::sleep(Duration::from_secs(1));
            let used = self.used();
            if used == before {
                break;
            }
            before = used;
        }
        self.memory()
    }

    fn waits_until(&self, at: Timestamp) {
        let left = at.duration_since(Timestamp::now());
        std::thread::sleep(Duration::try_from(left).unwrap_or_default());
    }

    fn terminate(mut self) {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(told.is_ok_and(|status| status.success()), "it runs");
        self.child.wait().expect("it ends");
    }

    fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }
}
