//! A real flowd over a project in a temporary folder.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::program::{flowd, project};
use super::{eventually, http, leaks, stripe};

/// The line of the front page.
pub(crate) const ONE_LINER: &str = "when stripe.charge_failed where amount > 100 do kustomer.create_conversation\n";

/// A running flowd. It is killed when dropped.
pub(crate) struct Daemon {
    child: Option<Child>,
    /// What `flowd run` is given beside the project.
    args: &'static [&'static str],
    pub(crate) folder: tempfile::TempDir,
    pub(crate) server: String,
    pub(crate) admin: String,
}

/// Returns a flow.toml with free ports, the tests' Stripe secret, and Kustomer at `kustomer`.
pub(crate) fn toml(kustomer: &str) -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\n[connections.stripe]\nwebhook_secret = {{ env = \"TEST_WEBHOOK_SECRET\" }}\n\n[connections.kustomer]\napi_key = {{ env = \"TEST_KUSTOMER_KEY\" }}\nbase_url = \"{kustomer}\"\n"
    )
}

impl Daemon {
    /// Starts flowd on a new project with these files.
    pub(crate) fn start(files: &[(&str, &str)]) -> Self {
        Self::start_with(files, &[])
    }

    /// As [`Daemon::start`], with arguments of `flowd run`.
    pub(crate) fn start_with(files: &[(&str, &str)], args: &'static [&'static str]) -> Self {
        Self::launched(project(files), args)
    }

    /// Starts flowd on a project that is there already.
    pub(crate) fn over(folder: tempfile::TempDir) -> Self {
        Self::launched(folder, &[])
    }

    fn launched(folder: tempfile::TempDir, args: &'static [&'static str]) -> Self {
        let mut daemon = Self { child: None, args, folder, server: String::new(), admin: String::new() };
        daemon.launch();
        daemon
    }

    /// Starts flowd on the one-liner with Kustomer at `kustomer`.
    pub(crate) fn one_liner(kustomer: &str) -> Self {
        Self::start(&[("flow.toml", &toml(kustomer)), ("main.flow", ONE_LINER)])
    }

    /// Starts it again with standard error into a pipe whose reader has gone.
    pub(crate) fn relaunch_with_closed_log(&mut self) {
        self.terminate();
        self.launch_with(Stdio::piped());
        drop(self.child.as_mut().and_then(|child| child.stderr.take()));
    }

    /// Starts the program and waits until it is ready.
    pub(crate) fn launch(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.folder.path().join("flowd.log")).unwrap();
        self.launch_with(log.into());
    }

    fn launch_with(&mut self, log: Stdio) {
        let addresses = self.folder.path().join(".flow/addresses.json");
        let _ = std::fs::remove_file(&addresses);
        let child = Command::new(env!("CARGO_BIN_EXE_flowd"))
            .arg("run")
            .arg(self.folder.path())
            .args(self.args)
            .env("TEST_WEBHOOK_SECRET", stripe::SECRET)
            .env("TEST_KUSTOMER_KEY", KUSTOMER_KEY)
            .env("TEST_STRIPE_KEY", STRIPE_KEY)
            .env_remove("STATE_DIRECTORY")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let json: Value = eventually(&format!("flowd writes its addresses; log:\n{}", self.log()), || {
            let text = std::fs::read_to_string(&addresses).ok()?;
            serde_json::from_str(&text).ok()
        });
        self.server = json["server"].as_str().unwrap().to_owned();
        self.admin = json["admin"].as_str().unwrap().to_owned();
        eventually("flowd is ready", || {
            http::try_send(&self.server, "GET", "/readyz", &[], b"").filter(|answer| answer.status == 200)
        });
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// SIGTERM; returns the exit code.
    pub(crate) fn terminate(&mut self) -> i32 {
        let mut child = self.child.take().unwrap();
        signal(child.id(), "TERM");
        child.wait().unwrap().code().unwrap_or(-1)
    }

    /// SIGHUP.
    pub(crate) fn hang_up(&self) {
        signal(self.child.as_ref().unwrap().id(), "HUP");
    }

    /// SIGSTOP.
    pub(crate) fn stand_still(&self) {
        signal(self.child.as_ref().unwrap().id(), "STOP");
    }

    /// SIGCONT.
    pub(crate) fn go_on(&self) {
        signal(self.child.as_ref().unwrap().id(), "CONT");
    }

    /// Bounds how many files it may have open from now on.
    pub(crate) fn may_open(&self, files: u32) {
        let process = self.child.as_ref().unwrap().id().to_string();
        let status = Command::new("prlimit").args(["--pid", &process, &format!("--nofile={files}")]).status().unwrap();
        assert!(status.success());
    }

    /// Returns what it has of the machine's memory, in kilobytes.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.as_ref().unwrap().id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Returns what flowd logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("flowd.log")).unwrap_or_default()
    }

    /// Asks the admin API.
    pub(crate) fn get(&self, path: &str) -> Value {
        http::send(&self.admin, "GET", &format!("/api/v1/{path}"), &[], b"").json()
    }

    /// Runs a client command of flowd with `--json`.
    pub(crate) fn ask(&self, args: &[&str]) -> Value {
        let outcome = flowd(self.path(), &[args, &["--json"]].concat());
        serde_json::from_str(&outcome.out).unwrap_or_else(|error| panic!("{error}: {outcome:?}"))
    }

    /// Runs a client command of flowd for people.
    pub(crate) fn tell(&self, args: &[&str]) -> super::program::Outcome {
        flowd(self.path(), args)
    }

    /// Returns the project's folder.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Returns all runs.
    pub(crate) fn runs(&self) -> Vec<Value> {
        self.get("runs?limit=1000")["runs"].as_array().cloned().unwrap_or_default()
    }

    /// Waits until there are `count` runs and none is under way, and returns them.
    pub(crate) fn settled(&self, count: usize) -> Vec<Value> {
        eventually(&format!("{count} runs end"), || {
            let runs = self.runs();
            let over = |run: &Value| !matches!(run["status"].as_str(), Some("running" | "waiting"));
            (runs.len() >= count && runs.iter().all(over)).then_some(runs)
        })
    }
}

/// The key of the tests' Kustomer.
pub(crate) const KUSTOMER_KEY: &str = "kustomer-key-that-must-not-leak";
/// The key of the tests' Stripe.
pub(crate) const STRIPE_KEY: &str = "stripe-key-that-must-not-leak";

fn signal(process: u32, name: &str) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(process.to_string()).status().unwrap();
    assert!(status.success());
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let running = self.child.is_some();
        if std::thread::panicking() {
            self.kill();
            eprintln!("--- flowd.log\n{}", self.log());
            return;
        }
        if running {
            leaks::none_shown(&self.admin);
        }
        self.kill();
        leaks::none_kept(self.folder.path());
    }
}
