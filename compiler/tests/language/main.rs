//! Whole programs, as the definition of the language has them: they check, format and expand to themselves, and lower.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod mistakes;
mod programs;
mod slips;
mod starts;
mod waits;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use flow_compiler::compile::{Compilation, Compiler};
use flow_compiler::settings::Settings;
use flow_plan::Flow;

/// Where the fixtures are.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/language")
}

/// The `.flow` files of a folder: their names and texts.
fn texts(folder: &Path) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = std::fs::read_dir(folder)
        .unwrap()
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "flow"))
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap()))
        .collect();
    all.sort();
    all
}

/// A project with the connectors of the fixtures and these files.
fn compile(files: &[(&str, &str)]) -> Compilation {
    let settings = Settings { timezone: Some("Europe/Paris".to_owned()), location: Some((48.85, 2.35)), ..Settings::default() };
    let mut compiler = Compiler::new(settings);
    for (name, text) in texts(&folder()) {
        compiler.set(&name, text);
    }
    for (name, text) in files {
        compiler.set(name, *text);
    }
    compiler.compile()
}

/// What stops the build, in one line each.
fn errors(compilation: &Compilation) -> Vec<String> {
    compilation.errors().map(|one| format!("{} {} {}", one.file, one.code, one.message)).collect()
}

/// The flows of a sound program.
fn flows(text: &str) -> Vec<Arc<Flow>> {
    let compilation = compile(&[("program.flow", text)]);
    assert_eq!(errors(&compilation), Vec::<String>::new(), "{text}");
    compilation.flows().cloned().collect()
}

/// The only flow of a sound program.
fn flow(text: &str) -> Arc<Flow> {
    let mut all = flows(text);
    assert_eq!(all.len(), 1);
    all.remove(0)
}
