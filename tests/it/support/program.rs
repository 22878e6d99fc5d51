//! The real programs, run to their end.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a program came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs flowc in a folder.
pub(crate) fn flowc(folder: &Path, args: &[&str]) -> Outcome {
    run(env!("CARGO_BIN_EXE_flowc"), folder, args, b"")
}

/// Runs flowc with standard input.
pub(crate) fn flowc_with(folder: &Path, args: &[&str], input: &[u8]) -> Outcome {
    run(env!("CARGO_BIN_EXE_flowc"), folder, args, input)
}

/// Runs flowc with standard input, and ends it when it has had a processor for so many seconds, however many others want one.
pub(crate) fn flowc_within(seconds: u32, folder: &Path, args: &[&str], input: &[u8]) -> Outcome {
    run("prlimit", folder, &[&[&*format!("--cpu={seconds}"), env!("CARGO_BIN_EXE_flowc")], args].concat(), input)
}

/// Runs flowd in a folder.
pub(crate) fn flowd(folder: &Path, args: &[&str]) -> Outcome {
    run(env!("CARGO_BIN_EXE_flowd"), folder, args, b"")
}

/// Runs flowd with standard input.
pub(crate) fn flowd_with(folder: &Path, args: &[&str], input: &[u8]) -> Outcome {
    run(env!("CARGO_BIN_EXE_flowd"), folder, args, input)
}

/// Runs flowd with variables in its environment: `NAME=text`.
pub(crate) fn flowd_with_env(folder: &Path, args: &[&str], variables: &[&str]) -> Outcome {
    run("env", folder, &[variables, &[env!("CARGO_BIN_EXE_flowd")], args].concat(), b"")
}

fn run(program: &str, folder: &Path, args: &[&str], input: &[u8]) -> Outcome {
    let mut child = Command::new(program)
        .args(args)
        .current_dir(folder)
        .env("COLUMNS", "110")
        .env("TEST_WEBHOOK_SECRET", super::stripe::SECRET)
        .env("TEST_KUSTOMER_KEY", super::daemon::KUSTOMER_KEY)
        .env("TEST_STRIPE_KEY", super::daemon::STRIPE_KEY)
        .env_remove("STATE_DIRECTORY")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that does not read its input may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    super::leaks::none_in("standard output", &output.stdout);
    super::leaks::none_in("standard error", &output.stderr);
    Outcome {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Makes a folder with these files.
pub(crate) fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}
