//! `flowc completions`.

use clap::CommandFactory;

use crate::Exit;
use crate::args::{Cli, Completions};
use flow::output;

pub(crate) fn run(args: &Completions) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "flowc", &mut script);
    output::out(&String::from_utf8_lossy(&script));
    Exit::Well
}
