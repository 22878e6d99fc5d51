//! The commands on pages of documentation, given as a reader gives them, and what they print.
//!
//! A page is followed from top to bottom in a folder of its own. A block with a file name behind its language is that
//! file from there on; of a block `sh` the lines are given that begin with `flowc`, `flowd`, `curl` or `cat`; the block
//! `output` behind it is what they print. `UPDATE=1` writes what they print now into the page. What differs each
//! time (instants, addresses, ids, milliseconds) may differ, and stands for itself in the commands that follow.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::docs::diagnostics;
use crate::support::page::{Block, blocks};
use crate::support::{PATIENCE, eventually, http};

/// Free ports instead of the usual ones, so that tests can run side by side.
const FREE_PORTS: &str = "\n[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n";

/// The pages about operating the daemon whose commands can be given anywhere.
const OPERATING: [&str; 6] = ["alarms.md", "backtest.md", "connecting.md", "replay.md", "versions.md", "why.md"];

#[test]
fn the_tutorial_prints_what_it_shows() {
    let mut pages = 0;
    for path in pages_of("docs/tutorial") {
        pages += usize::from(follow(&path, &Reading::Tutorial));
    }
    assert!(pages >= 5, "{pages}");
}

#[test]
fn the_reference_prints_what_it_shows() {
    for path in pages_of("docs/language") {
        follow(&path, &Reading::Reference);
    }
}

#[test]
fn the_operating_pages_print_what_they_show() {
    for page in OPERATING {
        assert!(follow(&root().join("docs/operating").join(page), &Reading::Tutorial), "{page}");
    }
}

#[test]
fn the_page_about_connectors_of_ones_own_prints_what_it_shows() {
    assert!(follow(&root().join("docs/connectors.md"), &Reading::Tutorial));
}

#[test]
fn the_readme_prints_what_it_shows() {
    assert!(follow(&root().join("README.md"), &Reading::Tutorial));
}

/// How the blocks of a page belong together.
enum Reading {
    /// A page is one story; a flow without a file name is an aside that checks.
    Tutorial,
    /// The flows of a section are `main.flow`, its `toml settings` are flow.toml.
    Reference,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn pages_of(folder: &str) -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> = std::fs::read_dir(root().join(folder)).unwrap().flatten().map(|entry| entry.path()).collect();
    pages.sort();
    pages
}

/// Follows a page, and returns whether it has commands.
fn follow(path: &Path, reading: &Reading) -> bool {
    let page = std::fs::read_to_string(path).unwrap();
    let mut reader = Reader::new(path);
    let mut updates: Vec<(std::ops::Range<usize>, String)> = Vec::new();
    let blocks = blocks(&page);
    let mut heading = String::new();
    let mut commands = 0;
    for (at, block) in blocks.iter().enumerate() {
        if matches!(reading, Reading::Reference) && block.heading != heading {
            heading.clone_from(&block.heading);
            reader = Reader::new(path);
        }
        match (block.kind(), block.file(), reading) {
            (_, Some(name), _) => reader.write(name, &block.text),
            ("toml", None, Reading::Reference) if block.language.ends_with("settings") => reader.append("flow.toml", &block.text),
            ("flow", None, Reading::Reference) => reader.append("main.flow", &block.text),
            ("flow", None, Reading::Tutorial) => reader.consider(block),
            ("sh", None, _) => {
                let expected = blocks.get(at + 1).filter(|next| next.language == "output");
                let given = reader.give(block, expected.map(|next| next.text.as_str()));
                commands += usize::from(given.is_some());
                if let (Some(expected), Some(now)) = (expected, given) {
                    updates.push((expected.lines.clone(), now));
                }
            }
            _ => {}
        }
    }
    reader.settle();
    if !updates.is_empty() && std::env::var_os("UPDATE").is_some() {
        let mut lines: Vec<&str> = page.lines().collect();
        for (range, text) in updates.iter().rev() {
            lines.splice(range.clone(), text.lines());
        }
        let text = lines.join("\n") + "\n";
        if text != page {
            std::fs::write(path, text).unwrap();
        }
    }
    commands > 0
}

/// Somebody who follows a page.
struct Reader {
    page: PathBuf,
    folder: tempfile::TempDir,
    /// Whether flows were written that no command has looked at.
    unchecked: bool,
    daemon: Option<Child>,
    /// What stands on the page, and what it is this time.
    met: BTreeMap<String, String>,
}

impl Reader {
    fn new(page: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { page: page.to_owned(), folder, unchecked: false, daemon: None, met: BTreeMap::new() }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    fn write(&mut self, name: &str, text: &str) {
        self.settle();
        let path = self.file(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self.unchecked = name.ends_with(".flow");
    }

    fn append(&mut self, name: &str, text: &str) {
        let text = self.read(name) + text;
        std::fs::write(self.file(name), text).unwrap();
    }

    /// A flow that no command looked at is sound.
    fn settle(&mut self) {
        if std::mem::take(&mut self.unchecked) {
            let outcome = self.run("flowc check");
            assert!(outcome.ends_with("no problems\n"), "{}\n{outcome}", self.page.display());
        }
    }

    /// A flow that is not a file: it says itself what is wrong with it, and its tests pass.
    fn consider(&self, block: &Block) {
        let settings = self.read("flow.toml");
        let found = diagnostics(&block.text, &settings);
        assert!(found.is_empty(), "{} ## {}\n{}\n{found:#?}", self.page.display(), block.heading, block.text);
        if block.text.contains("test \"") {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("flow.toml"), settings).unwrap();
            std::fs::write(folder.path().join("main.flow"), &block.text).unwrap();
            let told = self.run_in(folder.path(), "flowc test");
            assert!(told.contains(" passed, 0 failed"), "{}\n{told}", self.page.display());
        }
    }

    /// Gives the commands of a block, and returns what they print unless there is none among them.
    fn give(&mut self, block: &Block, expected: Option<&str>) -> Option<String> {
        let ours = |line: &&str| ["flowc", "flowd", "curl", "cat"].contains(&line.split(' ').next().unwrap_or_default());
        let lines: Vec<&str> = block.text.lines().filter(ours).collect();
        if lines.is_empty() {
            return None;
        }
        self.unchecked = false;
        let place = format!("{} ## {}", self.page.display(), block.heading);
        let patience = Instant::now() + if std::env::var_os("UPDATE").is_some() { Duration::from_secs(3) } else { PATIENCE };
        loop {
            let told: String = lines.iter().map(|line| self.line(line)).collect();
            let Some(expected) = expected else { return Some(told) };
            // Without a daemon nothing differs but how long it takes and the hash of a plan.
            let live = self.daemon.is_some();
            let (shown, is) = (Varying::of(expected, live), Varying::of(&told, live));
            if shown.text == is.text {
                self.met.extend(shown.found.into_iter().zip(is.found));
                return Some(expected.to_owned());
            }
            // What a daemon does takes its time; a command without one prints the same each time.
            if self.daemon.is_none() || !lines.iter().all(|line| may_be_repeated(line)) || Instant::now() > patience {
                assert!(
                    std::env::var_os("UPDATE").is_some(),
                    "{place}: with UPDATE=1 the page is rewritten\n--- it shows\n{expected}\n--- it is\n{told}"
                );
                // The page keeps its own ids, since commands further down name them.
                let same = shown.found.len() == is.found.len();
                let names = if same { shown.found } else { is.found.clone() };
                let known = self.met.iter().map(|(shown, is)| (is, shown));
                let kept = known.chain(is.found.iter().zip(&names)).fold(told, |text, (is, name)| text.replace(is, name));
                self.met.extend(names.into_iter().zip(is.found));
                return Some(kept);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn line(&mut self, line: &str) -> String {
        let mut line = line.to_owned();
        for (shown, is) in &self.met {
            line = line.replace(shown, is);
        }
        if line.starts_with("flowd run ") {
            return self.start(&line);
        }
        if let Some(request) = line.strip_prefix("curl ") {
            return post(request);
        }
        self.run(&line)
    }

    fn run(&self, line: &str) -> String {
        self.run_in(self.folder.path(), line)
    }

    fn run_in(&self, folder: &Path, line: &str) -> String {
        let output = shell(folder, &format!("{line} 2>&1")).output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(matches!(output.status.code(), Some(0 | 1)), "{}: {line}\n{told}", self.page.display());
        told
    }

    /// Starts the daemon and returns what it says when it is ready.
    fn start(&mut self, line: &str) -> String {
        if !self.read("flow.toml").contains("[server]") {
            self.append("flow.toml", FREE_PORTS);
        }
        self.stop();
        let out = self.file("flowd.out");
        let mut command = shell(self.folder.path(), &format!("exec {line}"));
        let log = std::fs::File::create(self.file("flowd.log")).unwrap();
        self.daemon = Some(command.stdout(std::fs::File::create(&out).unwrap()).stderr(log).spawn().unwrap());
        eventually("flowd is ready", || {
            let told = std::fs::read_to_string(&out).ok()?;
            let whole = told.ends_with('\n') && (!line.contains("--sandbox") || told.contains("simulated: "));
            whole.then_some(told)
        })
    }

    fn stop(&mut self) {
        if let Some(mut child) = self.daemon.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            eprintln!("--- flowd.log\n{}", self.read("flowd.log"));
        }
    }
}

/// Whether a command only looks.
fn may_be_repeated(line: &str) -> bool {
    let starts = line.starts_with("flowd replay ") && !line.contains("--dry-run");
    let changes = [
        "curl ",
        "flowd run ",
        "flowd retry ",
        "flowd pause ",
        "flowd resume ",
        "flowd cancel ",
        "flowd dead ",
        "flowd migrate ",
    ];
    let only_looks = line == "flowd dead" || line.starts_with("flowd dead --");
    let reloads = line == "flowd reload";
    !starts && !reloads && (only_looks || !changes.iter().any(|start| line.starts_with(start)))
}

fn shell(folder: &Path, line: &str) -> Command {
    let programs = Path::new(env!("CARGO_BIN_EXE_flowc")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(folder).stdin(Stdio::null());
    command
        .env("PATH", path)
        .env("COLUMNS", "100")
        .env("TZ", "UTC")
        .env("NO_COLOR", "1")
        .env_remove("STATE_DIRECTORY")
        .env_remove("STRIPE_KEY");
    command
}

/// Does what `-so /dev/null -d 'BODY' http://HOST/PATH` asks of curl, which not every machine has.
fn post(request: &str) -> String {
    let (_, rest) = request.split_once("-d '").unwrap();
    let (body, address) = rest.split_once("' ").unwrap();
    let (host, path) = address.trim().strip_prefix("http://").unwrap().split_once('/').unwrap();
    let answer = http::send(&format!("http://{host}"), "POST", &format!("/{path}"), &[], body.as_bytes());
    assert!(answer.status < 300, "{request}: {}", answer.body);
    String::new()
}

/// A text whose words that differ each time have been taken out.
struct Varying {
    /// Whether more than milliseconds may differ.
    live: bool,
    text: String,
    found: Vec<String>,
}

impl Varying {
    fn of(text: &str, live: bool) -> Self {
        let mut varying = Self { live, text: String::new(), found: Vec::new() };
        let mut word = String::new();
        for character in text.chars().chain(['\n']) {
            if character.is_alphanumeric() || "_:.-".contains(character) {
                word.push(character);
            } else {
                // What has been cut off can be cut in the middle of an id.
                if character == '…' && word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    word.clear();
                }
                varying.add(&word);
                word.clear();
                varying.text.push(character);
            }
        }
        varying
    }

    fn add(&mut self, word: &str) {
        if word == "ms" && self.text.ends_with(' ') {
            self.text.truncate(self.text.trim_end_matches(|last: char| last == ' ' || last.is_ascii_digit()).len());
            self.text.push_str(" <milliseconds>");
            return;
        }
        let hexadecimal = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !self.live && self.text.ends_with("plan ") && word.len() == 12 && hexadecimal(word) {
            self.text.push_str("<a plan>");
            return;
        }
        if !self.live {
            self.text.push_str(word);
            return;
        }
        let bare = word.trim_end_matches([':', '.', '-']);
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let begins = |shape: &str| {
            bare.len() >= shape.len()
                && bare
                    .bytes()
                    .zip(shape.bytes())
                    .all(|(byte, like)| if like == b'0' { byte.is_ascii_digit() } else { byte == like })
        };
        let is_shape = |shape: &str| bare.len() == shape.len() && begins(shape);
        let kind = if begins("0000-00-00T00:00:00") && bare.ends_with('Z') {
            "an instant"
        } else if is_shape("0000-00-00") {
            "a day"
        } else if is_shape("00:00:00") {
            "a time"
        } else if bare.strip_prefix("127.0.0.1:").is_some_and(digits) {
            "an address"
        } else if ["run_", "evt_", "ch_", "cus_"].iter().any(|prefix| bare.len() > 16 && bare.starts_with(prefix))
            || (matches!(bare.len(), 12 | 24) && hexadecimal(bare))
        {
            "an id"
        } else {
            self.text.push_str(word);
            return;
        };
        self.text.push_str(&format!("<{kind}>{}", word.get(bare.len()..).unwrap_or_default()));
        self.found.push(bare.to_owned());
    }
}
