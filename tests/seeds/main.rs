//! What the fuzz targets do, on a stable compiler: with the seeds that are kept, the repository's own texts, bytes at random,
//! and changed seeds. It is the same in each run; `FLOW_MUTATIONS=100000 FLOW_MUTATIONS_FROM=7` makes it longer, and another.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by failing there")]

mod mutate;

use std::path::{Path, PathBuf};

use mutate::{Dice, mutated};

#[path = "../../fuzz/src/lib.rs"]
#[allow(unreachable_pub, missing_docs, reason = "in its own crate it is public")]
mod targets;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder with one of these endings; of every ending where none is named.
fn files(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())).flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path, endings));
        } else if endings.is_empty() || path.extension().is_some_and(|end| endings.iter().any(|wanted| end == *wanted)) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The seeds of a target: those that found something once are called by what they found.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let kept = files(&root().join("fuzz/seeds").join(target), &[]);
    assert!(!kept.is_empty(), "{target} has no seeds");
    kept.into_iter().map(|path| (path.display().to_string(), std::fs::read(path).unwrap())).collect()
}

/// Programs and mistakes of the repository: flows, connectors, and the blocks of the documentation.
fn programs() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in ["examples", "connectors", "tests/fixtures", "compiler/tests", "grammar/tests", "docs", "compiler/codes"] {
        for path in files(&root().join(folder), &["flow", "md"]) {
            let text = std::fs::read_to_string(&path).unwrap();
            let name = path.display().to_string();
            if name.ends_with(".flow") {
                found.push((name, text));
                continue;
            }
            let mut within = false;
            for part in text.split("\n```") {
                if within {
                    let (_, block) = part.split_once('\n').unwrap_or_default();
                    found.push((format!("{name}: {block}"), block.to_owned()));
                }
                within = !within;
            }
        }
    }
    assert!(found.len() > 300, "{}", found.len());
    found
}

/// Says which seed it was where one fails.
fn each(texts: Vec<(String, Vec<u8>)>, target: impl Fn(&[u8])) {
    for (name, bytes) in texts {
        let named = Named(&name);
        target(&bytes);
        std::mem::forget(named);
    }
}

/// Printed where it is dropped: on the way out of a panic.
struct Named<'a>(&'a str);

impl Drop for Named<'_> {
    fn drop(&mut self) {
        eprintln!("the seed is {}", self.0);
    }
}

fn each_text(name: &str, target: fn(&str)) {
    let own = programs().into_iter().map(|(name, text)| (name, text.into_bytes()));
    let seeds: Vec<(String, Vec<u8>)> = seeds(name).into_iter().chain(own).collect();
    let on_text = |bytes: &[u8]| {
        if let Ok(text) = std::str::from_utf8(bytes) {
            target(text);
        }
    };
    each_mutation(name, &seeds, true, on_text);
    each(seeds, on_text);
}

/// Changed seeds. What panics is left behind as a file in the folder of temporary files.
fn each_mutation(name: &str, seeds: &[(String, Vec<u8>)], text: bool, target: impl Fn(&[u8])) {
    // What takes a millisecond is done more often than what opens a store.
    let default = if matches!(name, "webhook" | "admin") { 2_000 } else { 200 };
    let number = |name: &str, default: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let seeds: Vec<Vec<u8>> = seeds.iter().map(|(_, bytes)| bytes.clone()).collect();
    let mut dice = Dice::new(number("FLOW_MUTATIONS_FROM", 0));
    for at in 0..number("FLOW_MUTATIONS", default) {
        let bytes = mutated(&seeds, &mut dice, text);
        let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| target(&bytes))).is_err();
        if failed {
            let file = std::env::temp_dir().join(format!("flow-{name}-{at}"));
            std::fs::write(&file, &bytes).unwrap();
            panic!("mutation {at}, kept as {}", file.display());
        }
    }
}

/// So many byte strings of up to `longest` bytes, the same in each run.
fn noise(count: u32, longest: usize) -> Vec<(String, Vec<u8>)> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[0]
    };
    (0..count)
        .map(|at| {
            let length = usize::from(next()) * longest / 255;
            (format!("number {at}"), (0..length).map(|_| next()).collect())
        })
        .collect()
}

#[test]
fn parse() {
    each_text("parse", targets::parse);
}

#[test]
fn format() {
    each_text("format", targets::format);
}

#[test]
fn check() {
    each_text("check", targets::check);
}

#[test]
fn config() {
    each_text("config", targets::config);
    for path in files(&root().join("tests"), &["toml"]) {
        targets::config(&std::fs::read_to_string(path).unwrap());
    }
}

#[test]
fn evaluate() {
    let seeds: Vec<_> = seeds("evaluate").into_iter().chain(noise(4_000, 400)).collect();
    each_mutation("evaluate", &seeds, false, targets::evaluate);
    each(seeds, targets::evaluate);
}

#[test]
fn schedule() {
    let seeds: Vec<_> = seeds("schedule").into_iter().chain(noise(1_000, 60)).collect();
    each_mutation("schedule", &seeds, false, targets::schedule);
    each(seeds, targets::schedule);
}

#[test]
fn payload() {
    let own = files(&root().join("connectors/fixtures"), &["json"]);
    let own = own.into_iter().map(|path| (path.display().to_string(), std::fs::read(path).unwrap()));
    let seeds: Vec<_> = seeds("payload").into_iter().chain(noise(200, 60)).chain(own).collect();
    each_mutation("payload", &seeds, false, targets::payload);
    each(seeds, targets::payload);
}

#[test]
fn import() {
    let seeds = seeds("import");
    let on_text = |bytes: &[u8]| {
        if let Ok(text) = std::str::from_utf8(bytes) {
            targets::import(text);
        }
    };
    each_mutation("import", &seeds, true, on_text);
    each(seeds, on_text);
}

#[test]
fn webhook() {
    let seeds: Vec<_> = seeds("webhook").into_iter().chain(noise(100, 200)).collect();
    each_mutation("webhook", &seeds, false, targets::webhook);
    each(seeds, targets::webhook);
}

#[test]
fn admin() {
    let seeds: Vec<_> = seeds("admin").into_iter().chain(noise(100, 200)).collect();
    each_mutation("admin", &seeds, false, targets::admin);
    each(seeds, targets::admin);
}

#[test]
fn record() {
    let seeds: Vec<_> = seeds("record").into_iter().chain(noise(50, 60)).collect();
    each_mutation("record", &seeds, false, targets::record);
    each(seeds, targets::record);
}
