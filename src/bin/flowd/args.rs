//! The command line of flowd. `--help` of each command is its reference.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// The daemon of Flow: takes webhooks, polls, and runs automations durably.
#[derive(Debug, Parser)]
#[command(name = "flowd", version, max_term_width = 100, after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "Examples:
  flowd demo                      see it work against simulated services
  flowd connect stripe            set a connection up: asks for its key, tries it, writes it down
  flowd run                       run the project in this folder
  flowd run shop/ --sandbox       run it against the built-in emulators
  flowd reload --dry-run          what the edit on disk would change
  flowd runs --status dead        what could not be done
  flowd why evt_1Q8…              why an event started a flow, or did not

Exit codes: 0 all is well, 1 problems in your files or with what was asked, 2 wrong usage or no daemon, 3 a bug of ours.";

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a project: serve webhooks, poll, perform
    Run(Run),
    /// Show flowd at work against simulated services; no account needed
    Demo(Demo),
    /// Run the simulated services by themselves
    Sandbox(SandboxArgs),
    /// Set a connection up: ask for what it needs, try it, and write it down
    Connect(Connect),
    /// Take a connection's webhook away from its service, and the connection out of flow.toml
    Disconnect(Disconnect),
    /// Check flows, flow.toml and secrets without running anything
    CheckConfig(CheckConfig),
    /// Let what is on disk go live, or see what that would change
    Reload(Reload),
    /// How the running daemon is, with what is wrong and what to do about it
    Status(Status),
    /// The live flows
    Flows(Client),
    /// The events that were accepted
    Events(Events),
    /// The runs
    Runs(Runs),
    /// One run: each step with input, output and attempts; or one event
    Show(Show),
    /// Why an event started a flow, or did not, or never came
    Why(Why),
    /// Runs that ended without success and wait for a decision
    Dead(Dead),
    /// What is wrong: dead runs, paused and silent flows, payloads that do not fit
    Alarms(Alarms),
    /// Run a dead run again from the step that failed
    Retry(Retry),
    /// Move a run that waits or is dead to the live version of its flow
    Migrate(Migrate),
    /// Cancel a run
    Cancel(OneRun),
    /// Offer stored events to a flow once more
    Replay(Replay),
    /// Try an edited file on the stored events; nothing is sent
    Backtest(Backtest),
    /// Stop starting runs of a flow
    Pause(OneFlow),
    /// Start runs of a paused flow again
    Resume(OneFlow),
    /// Say that the machine's clock is right although it once showed a later time
    TrustClock(TrustClock),
}

/// `flowd run`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flowd run
  flowd run shop/ --log json
  flowd run shop/ --sandbox       simulated services instead of real ones")]
pub(crate) struct Run {
    /// The folder of the project, or one .flow file
    #[arg(default_value = ".")]
    pub(crate) project: PathBuf,
    /// Point every connection without a base_url at the built-in emulators
    #[arg(long)]
    pub(crate) sandbox: bool,
    /// Do not watch the files: edits go live with `flowd reload` or SIGHUP alone
    #[arg(long)]
    pub(crate) no_watch: bool,
    /// Poll each source once, finish what runs, and exit
    #[arg(long)]
    pub(crate) once: bool,
    /// How to log on standard error
    #[arg(long, value_enum, default_value_t = Log::Human)]
    pub(crate) log: Log,
    /// Accept secrets written into flow.toml: for tests
    #[arg(long, hide = true)]
    pub(crate) allow_literal_secrets: bool,
}

/// How to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Log {
    /// A line for people
    Human,
    /// A JSON object a line
    Json,
}

/// `flowd demo`.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Stop after so many events; without it, at Ctrl-C
    #[arg(long)]
    pub(crate) events: Option<u32>,
    /// Milliseconds between two events
    #[arg(long, default_value_t = 900)]
    pub(crate) pace: u64,
}

/// `flowd reload`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flowd reload --dry-run       what the edit changes, flow by flow, and which runs wait under what is live
  flowd reload                 what is sound goes live; exit code 1 where a file is broken
  flowd reload --json

Runs that have begun end under the version they began with. flowd watches the files and reloads by itself,
unless it runs with --no-watch.")]
pub(crate) struct Reload {
    /// Change nothing; say what would change
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) client: Client,
}

/// `flowd sandbox`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flowd sandbox --listen stripe=127.0.0.1:9001 --listen kustomer=127.0.0.1:9002
  flowd sandbox --webhook stripe=http://127.0.0.1:7400/v1/webhooks/stripe
  flowd sandbox --rate kustomer=300 --rate stripe=none
  flowd sandbox --rate none
  curl -d '{\"type\":\"charge.failed\",\"amount\":25000,\"currency\":\"usd\"}' http://127.0.0.1:9001/_sandbox/events")]
pub(crate) struct SandboxArgs {
    /// Where the emulator of a service listens, instead of a free port; once for each
    #[arg(long, value_name = "SERVICE=ADDRESS", value_parser = listen_of)]
    pub(crate) listen: Vec<(String, std::net::SocketAddr)>,
    /// Where the emulator of a service delivers its webhooks; once for each
    #[arg(long, value_name = "SERVICE=URL", value_parser = webhook_of)]
    pub(crate) webhook: Vec<(String, String)>,
    /// How many requests a service allows, in the time by which it counts (stripe: a second, kustomer: a minute), in place of
    /// what the real one does; once for each. `SERVICE=none` lets any number in, and `none` for all of them
    #[arg(long, value_name = "SERVICE=NUMBER", value_parser = rate_of)]
    pub(crate) rate: Vec<(Option<String>, flow_sandbox::Rate)>,
    /// Where the page is that shows what the services hold, and makes things happen; an address of this machine
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(crate) page: std::net::SocketAddr,
    /// Begin with a few customers, products and prices
    #[arg(long)]
    pub(crate) seeded: bool,
}

fn of_service(text: &str) -> Result<(&str, &str), String> {
    let (service, value) = text.split_once('=').ok_or("write it as SERVICE=VALUE")?;
    let known: Vec<_> = flow_sandbox::Sandbox::service_names().collect();
    if known.contains(&service) { Ok((service, value)) } else { Err(format!("the services are {}", known.join(", "))) }
}

fn listen_of(text: &str) -> Result<(String, std::net::SocketAddr), String> {
    let (service, address) = of_service(text)?;
    let address = address.parse().map_err(|_| "an address is a number and a port: 127.0.0.1:9001".to_owned())?;
    Ok((service.to_owned(), address))
}

fn rate_of(text: &str) -> Result<(Option<String>, flow_sandbox::Rate), String> {
    use flow_sandbox::Rate;
    if text == "none" {
        return Ok((None, Rate::Unlimited));
    }
    let (service, rate) = of_service(text)?;
    let number = || rate.parse().ok().filter(|rate| *rate > 0).map(Rate::Of);
    let rate = if rate == "none" { Some(Rate::Unlimited) } else { number() };
    Ok((Some(service.to_owned()), rate.ok_or("a rate is a whole number above 0, or `none`")?))
}

fn webhook_of(text: &str) -> Result<(String, String), String> {
    let (service, url) = of_service(text)?;
    if url.starts_with("http://") {
        Ok((service.to_owned(), url.to_owned()))
    } else {
        Err("an address begins with http://".to_owned())
    }
}

/// `flowd connect`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flowd connect stripe                                       asks for the key, tries it, writes flow.toml
  flowd connect front_door --connector sesame
  flowd connect kustomer --set org=acme < key.txt            what is not given is read from standard input, line by line
  flowd connect stripe --secret-from-env key=STRIPE_KEY      for scripts
  flowd connect stripe --by-env key=STRIPE_KEY               flow.toml names the variable; nothing is kept
  flowd connect stripe --renew                               another key in place of the one that is there

The key is tried with one request that changes nothing, and nothing is written where it does not work. A secret goes into a
file under secrets/ that only its owner may read, never into flow.toml. Given again, what is there is kept unless it is said.")]
pub(crate) struct Connect {
    /// What flows call the connection
    pub(crate) name: String,
    /// The folder of the project
    #[arg(default_value = ".")]
    pub(crate) project: PathBuf,
    /// The connector, where it is not called as the connection is
    #[arg(long)]
    pub(crate) connector: Option<String>,
    /// A setting that is no secret, as in `org=acme`
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) settings: Vec<String>,
    /// Take a secret from this variable of the environment now, and keep it in its file
    #[arg(long, value_name = "NAME=VARIABLE")]
    pub(crate) secret_from_env: Vec<String>,
    /// Have flowd read a secret from this variable at each start; nothing is kept
    #[arg(long, value_name = "NAME=VARIABLE")]
    pub(crate) by_env: Vec<String>,
    /// Where the API is, instead of the connector's own address
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<String>,
    /// Ask for the secrets again that are there
    #[arg(long)]
    pub(crate) renew: bool,
    /// Write it down without trying it
    #[arg(long)]
    pub(crate) no_check: bool,
    /// Encrypt secrets with systemd-creds instead of keeping them in plain files
    #[arg(long)]
    pub(crate) systemd_creds: bool,
}

/// `flowd disconnect`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flowd disconnect stripe              the webhook that flowd has registered is removed at Stripe; polls go on
  flowd disconnect stripe --forget     the section of flow.toml goes, too, with the files of its secrets

A running daemon is told, and registers the webhook again only after `flowd connect stripe`. Without one, this does it itself.")]
pub(crate) struct Disconnect {
    /// What flows call the connection
    pub(crate) name: String,
    /// The folder of the project
    #[arg(default_value = ".")]
    pub(crate) project: PathBuf,
    /// Remove its section from flow.toml and the files of its secrets as well
    #[arg(long)]
    pub(crate) forget: bool,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}

/// `flowd check-config`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flowd check-config                each connection: its settings and secrets, where they are read from, what is missing
  flowd check-config --online       and whether the services take the keys: one harmless request each
  flowd check-config --json

The exit code is 1 where something is missing or wrong that a flow needs.")]
pub(crate) struct CheckConfig {
    /// The folder of the project, or one .flow file
    #[arg(default_value = ".")]
    pub(crate) project: PathBuf,
    /// Ask each service with one harmless request whether the credentials work
    #[arg(long)]
    pub(crate) online: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Accept secrets written into flow.toml: for tests
    #[arg(long, hide = true)]
    pub(crate) allow_literal_secrets: bool,
}

/// Where the daemon is, and how to print.
#[derive(Debug, Args)]
pub(crate) struct Client {
    /// The project whose daemon is asked
    #[arg(long, default_value = ".", global = true)]
    pub(crate) project: PathBuf,
    /// Print the daemon's JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// A run.
#[derive(Debug, Args)]
pub(crate) struct OneRun {
    /// The run
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) client: Client,
}

/// A flow.
#[derive(Debug, Args)]
pub(crate) struct OneFlow {
    /// The flow: its name, or what `flowd flows` calls it
    pub(crate) flow: String,
    #[command(flatten)]
    pub(crate) client: Client,
}

/// `flowd show`.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The run, or an event by the service's own id
    pub(crate) run: String,
    /// Show personal data in full
    #[arg(long)]
    pub(crate) personal: bool,
    #[command(flatten)]
    pub(crate) client: Client,
}

/// `flowd why`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flowd why evt_1Q8…                             each flow: the clause that fails, with its values, or the run
  flowd why evt_1Q8… --flow big
  flowd why --trigger stripe.charge_failed       why no such event comes: deliveries, refusals, polls
  flowd why ch_3Q…                               which event is about this charge; or why none came

Each flow is told by the version that was live when the event came. The exit code is 1 where no event has the id.")]
pub(crate) struct Why {
    /// The event, by the service's own id
    #[arg(required_unless_present_any = ["trigger", "connection"])]
    pub(crate) event: Option<String>,
    /// Only this flow
    #[arg(long)]
    pub(crate) flow: Option<String>,
    /// An event of this trigger that did not come, as in `stripe.charge_failed`
    #[arg(long, conflicts_with = "event")]
    pub(crate) trigger: Option<String>,
    /// Of this connection
    #[arg(long)]
    pub(crate) connection: Option<String>,
    /// Show personal data in full
    #[arg(long)]
    pub(crate) personal: bool,
    #[command(flatten)]
    pub(crate) client: Client,
}

/// `flowd migrate`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flowd migrate run_3f… --dry-run     whether it can be moved, and what comes then
  flowd migrate run_3f…
  flowd migrate --all-of dunning      every run of the flow that goes by an earlier version

A run is moved where the steps that it has done are the same in the live version; otherwise it is said which step
differs. A dead run stays dead: `flowd retry` lets it go on.")]
pub(crate) struct Migrate {
    /// The run
    #[arg(required_unless_present = "all_of", conflicts_with = "all_of")]
    pub(crate) run: Option<String>,
    /// All runs of this flow that go by an earlier version
    #[arg(long, value_name = "FLOW")]
    pub(crate) all_of: Option<String>,
    /// Change nothing; say what would become of it
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) client: Client,
}

/// `flowd retry`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flowd retry run_3f…             from the step that failed; what is done is not done again
  flowd retry run_3f… --force     although the step that failed may have happened")]
pub(crate) struct Retry {
    /// The run
    pub(crate) run: String,
    /// Retry even where it may do the work twice; a dangerous step (an unlock) is never repeated
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) client: Client,
}

/// `flowd trust-clock`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  date -u                         is it the right time?
  flowd trust-clock               then what is dangerous may be done again

While the clock is behind the latest time that flowd has seen, nobody can say how old an event is, and no dangerous step (an
unlock) is performed; `flowd status` says so. That ends by itself when the clock has caught up. Where it was the later time
that was wrong, this ends it. Nothing dangerous is done for events from before.")]
pub(crate) struct TrustClock {
    #[command(flatten)]
    pub(crate) client: Client,
}

/// `flowd replay`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flowd replay --flow big_failed_charge --since 7d --dry-run     what would start, and what would not, and why
  flowd replay --flow big_failed_charge --since 2026-11-20 --until 2026-11-22
  flowd replay --flow dunning --event evt_1Q8…                   one event
  flowd replay --flow dunning --event evt_1Q8… --again           although it has started the flow: effects are made again

An event that has started the flow, or that a limit of the flow kept from it, is passed over unless `--again` is said.
Limits of the flow apply as of now, `fresh within` counts from now, and a dangerous action (an unlock) is never made.
Ctrl-C stops between two parts; given again, the command goes on with what is left.")]
pub(crate) struct Replay {
    /// The flow: its name, or what `flowd flows` calls it
    #[arg(long)]
    pub(crate) flow: String,
    /// Events received since: an instant (RFC 3339), a day (UTC), or a time ago such as `7d` or `2 hours`
    #[arg(long, required_unless_present = "event")]
    pub(crate) since: Option<String>,
    /// Events received before
    #[arg(long, conflicts_with = "event")]
    pub(crate) until: Option<String>,
    /// Only this event, by the service's own id
    #[arg(long, conflicts_with = "since")]
    pub(crate) event: Option<String>,
    /// Also events that have started the flow: each gets another run, and its effects are made again under new keys
    #[arg(long)]
    pub(crate) again: bool,
    /// Only say what would become of each event
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Start without asking
    #[arg(long)]
    pub(crate) yes: bool,
    /// Go on where a replay was broken off, as it said
    #[arg(long, value_name = "PLACE")]
    pub(crate) after: Option<String>,
    /// Show so many events of each kind
    #[arg(long, default_value_t = 5)]
    pub(crate) examples: usize,
    #[command(flatten)]
    pub(crate) client: Client,
}

/// `flowd backtest`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flowd backtest dunning.flow --since 7d
  flowd backtest dunning.flow --since 2026-11-01 --until 2026-11-15 --flow dunning
  flowd backtest /tmp/edited.flow --as dunning.flow --since 30d --examples 20
  git show HEAD~1:dunning.flow | flowd backtest - --as dunning.flow --since 7d --json

The file is compiled by the running daemon within its project, and runs on the engine itself with a clock of its own.
What services answered is taken from the journals; where an answer was not recorded that is said. A file with errors is
answered with its diagnostics, and exit code 1.")]
pub(crate) struct Backtest {
    /// The edited file; `-` is standard input, with `--as`
    pub(crate) file: PathBuf,
    /// The file of the project that it stands for, where it lies elsewhere
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Events received since: an instant (RFC 3339), a day (UTC), or a time ago such as `7d` or `2 hours`
    #[arg(long)]
    pub(crate) since: String,
    /// Events received before
    #[arg(long)]
    pub(crate) until: Option<String>,
    /// Only this flow of the file
    #[arg(long)]
    pub(crate) flow: Option<String>,
    /// Show so many events of each kind
    #[arg(long, default_value_t = 5)]
    pub(crate) examples: usize,
    #[command(flatten)]
    pub(crate) client: Client,
}

/// `flowd events`.
#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Only of this connection
    #[arg(long)]
    pub(crate) connection: Option<String>,
    /// Only of this trigger, as in `charge_failed` or `stripe.charge_failed`
    #[arg(long)]
    pub(crate) trigger: Option<String>,
    /// Only those of which something does not fit what the connector says
    #[arg(long)]
    pub(crate) misfits: bool,
    #[command(flatten)]
    pub(crate) page: Page,
    #[command(flatten)]
    pub(crate) client: Client,
}

/// `flowd runs`.
#[derive(Debug, Args)]
pub(crate) struct Runs {
    /// Only of this flow
    #[arg(long)]
    pub(crate) flow: Option<String>,
    /// Only with this status: running, waiting, parked, done, stopped, dead, cancelled
    #[arg(long)]
    pub(crate) status: Option<String>,
    #[command(flatten)]
    pub(crate) page: Page,
    #[command(flatten)]
    pub(crate) client: Client,
}

/// `flowd status`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flowd status
  flowd status --check            exit with 1 where an alarm is active: for scripts and monitors
  flowd status --json             with every alarm under `alarms`")]
pub(crate) struct Status {
    /// Exit with 1 where an alarm is active
    #[arg(long)]
    pub(crate) check: bool,
    #[command(flatten)]
    pub(crate) client: Client,
}

/// `flowd alarms`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  flowd alarms
  flowd alarms dismiss 3f9a01c2   a field that does not fit: you know, and it is dealt with

Alarms about dead runs, pauses and silences end when what they are about ends."
)]
pub(crate) struct Alarms {
    #[command(subcommand)]
    pub(crate) command: Option<AlarmsCommand>,
    #[command(flatten)]
    pub(crate) client: Client,
}

/// What can be done with alarms.
#[derive(Debug, Subcommand)]
pub(crate) enum AlarmsCommand {
    /// Dismiss an alarm about a field that does not fit
    Dismiss(OneAlarm),
}

/// An alarm.
#[derive(Debug, Args)]
pub(crate) struct OneAlarm {
    /// The alarm, as `flowd alarms` names it
    pub(crate) alarm: String,
    #[command(flatten)]
    pub(crate) client: Client,
}

/// `flowd dead`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  flowd dead                      what could not be done, with the reason
  flowd dead --flow refunds
  flowd dead dismiss run_8c1f…    nothing more is to be done about this one
  flowd dead dismiss --flow refunds
  flowd dead retry --flow refunds once what they died of is mended

A dead run is kept, whatever its age, until it is retried or dismissed."
)]
pub(crate) struct Dead {
    #[command(subcommand)]
    pub(crate) command: Option<DeadCommand>,
    /// Only of this flow
    #[arg(long)]
    pub(crate) flow: Option<String>,
    #[command(flatten)]
    pub(crate) page: Page,
    #[command(flatten)]
    pub(crate) client: Client,
}

/// What can be done with dead runs.
#[derive(Debug, Subcommand)]
pub(crate) enum DeadCommand {
    /// Take runs out of the dead ones: nothing more is to be done about them
    Dismiss(DeadRuns),
    /// Run dead runs again, each from the step that failed
    Retry(DeadRuns),
}

/// Dead runs.
#[derive(Debug, Args)]
pub(crate) struct DeadRuns {
    /// The runs
    #[arg(required_unless_present = "flow")]
    pub(crate) runs: Vec<String>,
    /// All dead runs of this flow
    #[arg(long, conflicts_with = "runs")]
    pub(crate) flow: Option<String>,
    #[command(flatten)]
    pub(crate) client: Client,
}

/// How much of a list.
#[derive(Debug, Args)]
pub(crate) struct Page {
    /// Only since this instant, as RFC 3339
    #[arg(long)]
    pub(crate) since: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    pub(crate) limit: u32,
    /// Those after this id
    #[arg(long)]
    pub(crate) after: Option<String>,
}
