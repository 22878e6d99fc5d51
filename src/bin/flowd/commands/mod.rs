//! The commands, one file each.

mod act;
mod alarms;
mod backtest;
mod check_config;
mod connect;
mod dead;
mod demo;
mod disconnect;
mod events;
mod flows;
mod migrate;
mod reload;
mod reloading;
mod replay;
mod run;
mod runs;
mod sandbox;
mod show;
mod status;
mod table;
mod why;

use crate::Exit;
use crate::args::Command;

pub(crate) async fn dispatch(command: Command) -> Exit {
    let result = match command {
        Command::Run(args) => return run::run(args).await,
        Command::Demo(args) => return demo::run(args).await,
        Command::Sandbox(args) => return sandbox::run(args).await,
        Command::Connect(args) => connect::run(&args).await,
        Command::Disconnect(args) => disconnect::run(&args).await,
        Command::CheckConfig(args) => return check_config::run(&args).await,
        Command::Reload(args) => reload::run(&args).await,
        Command::Status(args) => status::run(&args).await,
        Command::Flows(client) => flows::run(&client).await,
        Command::Events(args) => events::run(&args).await,
        Command::Runs(args) => runs::run(&args).await,
        Command::Dead(args) => dead::run(&args).await,
        Command::Alarms(args) => alarms::run(&args).await,
        Command::Show(args) => show::run(&args).await,
        Command::Why(args) => why::run(&args).await,
        Command::Retry(args) => act::retry(&args).await,
        Command::Migrate(args) => migrate::run(&args).await,
        Command::Cancel(one) => act::cancel(&one).await,
        Command::Backtest(args) => backtest::run(&args).await,
        Command::Replay(args) => replay::run(&args).await,
        Command::Pause(one) => act::pause(&one).await,
        Command::Resume(one) => act::resume(&one).await,
        Command::TrustClock(args) => act::trust_clock(&args).await,
    };
    result.unwrap_or_else(|exit| exit)
}
