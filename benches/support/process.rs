//! Programs that are measured, flowd among them. What they use is read from /proc.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A program that is measured. It ends with this value.
pub(crate) struct Program {
    child: Child,
    /// Where it takes requests.
    pub(crate) address: SocketAddr,
}

/// What a program has used so far.
#[derive(Clone, Copy)]
pub(crate) struct Used {
    /// Of the processor, in user space and in the system.
    pub(crate) cpu: Duration,
}

impl Program {
    /// Starts the real flowd over a project of one flow.
    pub(crate) fn flowd(folder: &Path, flow: &str, toml: &str) -> Self {
        std::fs::create_dir_all(folder).expect("a folder");
        std::fs::write(folder.join("one.flow"), flow).expect("a file");
        std::fs::write(folder.join("flow.toml"), toml).expect("a file");
        let file = folder.join(".flow/addresses.json");
        // Of an earlier start.
        drop(std::fs::remove_file(&file));
        let program = std::env::var("FLOWD").unwrap_or_else(|_| env!("CARGO_BIN_EXE_flowd").to_owned());
        let child = Command::new(program)
            .args(["run", "--allow-literal-secrets"])
            .arg(folder)
            .env("FLOWD_LOG", "error")
            .stdout(Stdio::null())
            .spawn()
            .expect("flowd starts");
        let address = eventually("flowd listens", || {
            let json: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&file).ok()?).ok()?;
            json["server"].as_str()?.strip_prefix("http://")?.parse().ok()
        });
        Self::of(child, address)
    }

    /// Takes a program that is started already.
    pub(crate) fn of(child: Child, address: SocketAddr) -> Self {
        Self { child, address }
    }

    /// Returns what it has used.
    pub(crate) fn used(&self) -> Used {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("it runs");
        // Behind the name, which stands in brackets and may hold anything.
        let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks: u64 = rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        // A tick is 10 ms on every Linux that this runs on.
        Used { cpu: Duration::from_millis(ticks * 10) }
    }

    /// Returns a figure of its memory in kilobytes: `VmRSS` or `VmHWM`.
    pub(crate) fn memory(&self, what: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':'));
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Waits until something is there.
pub(crate) fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < patience, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
