//! flowd: takes webhooks, polls, and runs automations durably.

mod args;
mod choices;
mod client;
mod commands;
mod emptied;
mod files;
mod host;
mod log;
mod shared;
mod sound;
mod watch;

use flow::output;
use std::process::ExitCode;

use args::{Cli, Command};
use clap::Parser;

/// Events are allocated by one thread and freed by another, in their thousands.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a command comes to: the exit code of the contract.
pub(crate) enum Exit {
    /// 0.
    Well,
    /// 1: problems in the user's files, or with what was asked. The text is for standard error.
    Problems(String),
    /// 2: wrong usage, an unreadable file, no daemon.
    Usage(String),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = std::panic::catch_unwind(move || run(cli.command));
    match outcome {
        Ok(Exit::Well) => ExitCode::SUCCESS,
        Ok(Exit::Problems(message)) => {
            // It may have been said already.
            if !message.is_empty() {
                output::err(message.trim_end());
            }
            ExitCode::from(1)
        }
        Ok(Exit::Usage(message)) => {
            output::err(&format!("flowd: {}", message.trim_end()));
            ExitCode::from(2)
        }
        Err(_) => {
            output::err("flowd: this is a bug of ours. Please report it with the text above.");
            ExitCode::from(3)
        }
    }
}

fn run(command: Command) -> Exit {
    // Two workers serve what one disk can sync; effects wait for the network, not for a core.
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).max_blocking_threads(8).enable_all().build()
    {
        Ok(runtime) => runtime,
        Err(error) => return Exit::Usage(format!("the system gives no threads: {error}")),
    };
    let exit = runtime.block_on(commands::dispatch(command));
    // What still blocks (a file watch, a name look-up) does not hold up the end.
    runtime.shutdown_background();
    exit
}
