//! `flowc` as people start it: whole processes over projects of several sizes, with the smallest and the median time.
//!
//!     cargo bench --bench process
//!     cargo bench --bench process -- mixed 10000 100000
//!
//! `FLOWC` names another program to measure. A folder behind `write` gets the project instead.

#[path = "support/flows.rs"]
mod flows;
#[path = "support/tests.rs"]
mod tests;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use flows::Kind;

/// How often each project is checked.
const RUNS: usize = 15;
/// How many flows are checked where nothing else is asked for.
const FLOWS: [usize; 4] = [1_000, 10_000, 30_000, 100_000];
/// How many tests are run where nothing else is asked for.
const TESTS: [usize; 1] = [1_000];

fn main() -> ExitCode {
    let mut kinds = Vec::new();
    let mut sizes = Vec::new();
    let mut with_tests = false;
    let mut folder = None;
    let mut args = std::env::args().skip(1).peekable();
    if args.peek().is_none() {
        // `cargo test` runs it to see that it runs.
        return ExitCode::SUCCESS;
    }
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--bench" => {}
            "overlap" => kinds.push(Kind::Overlap),
            "lines" => kinds.push(Kind::Lines),
            "mixed" => kinds.push(Kind::Mixed),
            "tests" => with_tests = true,
            "write" => folder = args.next().map(PathBuf::from),
            other => match other.parse() {
                Ok(size) => sizes.push(size),
                Err(_) => {
                    eprintln!("overlap, lines, mixed, tests, a number, or write FOLDER; not {other:?}");
                    return ExitCode::from(2);
                }
            },
        }
    }
    if kinds.is_empty() && !with_tests {
        kinds = vec![Kind::Overlap, Kind::Lines, Kind::Mixed];
        with_tests = true;
    }
    let program = std::env::var("FLOWC").ok().or(option_env!("CARGO_BIN_EXE_flowc").map(str::to_owned));
    let scratch = std::env::temp_dir().join(format!("flow-process-{}", std::process::id()));
    let root = folder.clone().unwrap_or(scratch);
    let measured = program.filter(|_| folder.is_none());
    for kind in kinds {
        for &size in if sizes.is_empty() { &FLOWS[..] } else { &sizes } {
            project(&root, flows::project(kind, size), measured.as_deref(), "check", &format!("{kind:?} {size:>7} flows"));
        }
    }
    for &count in if sizes.is_empty() { &TESTS[..] } else { &sizes }.iter().filter(|_| with_tests) {
        project(&root, tests::project(count), measured.as_deref(), "test", &format!("{count} tests"));
    }
    ExitCode::SUCCESS
}

/// Writes a project and, with a program, measures it and takes it away again.
fn project(root: &Path, files: Vec<(String, String)>, program: Option<&str>, command: &str, what: &str) {
    for (name, text) in files {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
    if let Some(program) = program {
        measure(program, command, root, what);
        std::fs::remove_dir_all(root).expect("a folder of our own");
    }
}

fn measure(program: &str, command: &str, root: &Path, what: &str) {
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let begin = Instant::now();
            let status = Command::new(program).arg(command).arg(root).stdout(Stdio::null()).stderr(Stdio::null()).status();
            let taken = begin.elapsed();
            assert!(status.expect("flowc runs").success(), "the project is sound");
            taken
        })
        .collect();
    times.sort();
    let millis = |at: usize| times.get(at).map_or(0.0, |time| time.as_secs_f64() * 1000.0);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    println!(
        "{what}: least {:>7.1} ms, median {:>7.1} ms, most {:>7.1} ms; {RUNS} runs, load {load}",
        millis(0),
        millis(RUNS / 2),
        millis(RUNS - 1),
    );
}
