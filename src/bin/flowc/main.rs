//! flowc: checks, formats, plans and explains `.flow` files.

mod args;
mod commands;
mod load;

use flow::output;
use std::process::ExitCode;

/// A compiler makes many small things and ends: the system's allocator spends a third of a large check on that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use args::{Cli, Command};
use clap::Parser;

/// What a command comes to: the exit code of the contract.
pub(crate) enum Exit {
    /// 0.
    Well,
    /// 1: problems in the user's files.
    Problems,
    /// 2: wrong usage or an unreadable file; the text is for standard error.
    Usage(String),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // A bug of ours must not look like a problem of theirs.
    let outcome = std::panic::catch_unwind(move || run(&cli.command));
    match outcome {
        Ok(Exit::Well) => ExitCode::SUCCESS,
        Ok(Exit::Problems) => ExitCode::from(1),
        Ok(Exit::Usage(message)) => {
            output::err(&format!("flowc: {message}"));
            ExitCode::from(2)
        }
        Err(_) => {
            output::err("flowc: this is a bug of ours, not of your files. Please report it with the text above and the file.");
            ExitCode::from(3)
        }
    }
}

fn run(command: &Command) -> Exit {
    let result = match command {
        Command::Check(check) => commands::check::run(check),
        Command::Fmt(fmt) => commands::fmt::run(fmt),
        Command::Test(test) => commands::test::run(test),
        Command::Plan(plan) => commands::plan::run(plan),
        Command::Next(next) => commands::next::run(next),
        Command::Expand(paths) => commands::expand::run(paths),
        Command::Lock(lock) => commands::lock::run(lock),
        Command::Graph(graph) => commands::graph::run(graph),
        Command::Completions(completions) => Ok(commands::completions::run(completions)),
        Command::Explain(explain) => Ok(commands::explain::run(explain)),
        Command::Docs(docs) => commands::docs::run(docs),
        Command::Import(import) => commands::import::run(import),
    };
    result.unwrap_or_else(|error| Exit::Usage(error.to_string()))
}
