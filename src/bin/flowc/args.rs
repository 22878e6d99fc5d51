//! The command line of flowc. `--help` of each command is its reference.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// The compiler of Flow: checks, formats and explains automations.
#[derive(Debug, Parser)]
#[command(name = "flowc", version, max_term_width = 100, after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "Examples:
  flowc check                     check the project in this folder
  flowc check shop.flow -         check a file, and standard input
  flowc fmt --diff                show what the formatter would change
  flowc test                      run the tests beside the flows
  flowc next lock_up_at_night     when a schedule comes next
  flowc explain E302              what a code means and how to mend it
  flowc docs stripe.charge_failed the fields of a trigger
  flowc import openapi acme.yaml --name acme > acme.flow

Exit codes: 0 all is well, 1 problems in your files, 2 wrong usage or a file that cannot be read, 3 a bug of ours.";

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check flows and flow.toml
    Check(Check),
    /// Rewrite flows in their one canonical form
    Fmt(Fmt),
    /// Show the execution plans
    Plan(Plan),
    /// Show when a schedule comes next
    Next(Next),
    /// Run the tests that stand beside flows
    Test(Test),
    /// Print flows with everything written out that the compiler filled in
    Expand(Paths),
    /// Write flow.lock: what the compiler filled in, frozen
    Lock(Lock),
    /// Draw flows, services and their ties
    Graph(Graph),
    /// Write completions for a shell
    Completions(Completions),
    /// Explain a diagnostic code
    Explain(Explain),
    /// Show what connectors offer
    Docs(Docs),
    /// Write a connector for a service out of its description
    Import(Import),
}

/// Paths.
#[derive(Debug, Args)]
pub(crate) struct Paths {
    /// Files or folders; `-` is standard input
    #[arg(default_value = ".")]
    pub(crate) paths: Vec<PathBuf>,
}

/// `flowc check`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flowc check
  flowc check flows/ --format json
  flowc check --format sarif > flow.sarif
  flowc check --deny-warnings --locked      what a build should ask for
  echo 'when stripe.charge_failed do kustomer.create_conversation' | flowc check -")]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) paths: Paths,
    /// How to report
    #[arg(long, value_enum, default_value_t = CheckFormat::Human)]
    pub(crate) format: CheckFormat,
    /// Warnings fail the check too
    #[arg(long)]
    pub(crate) deny_warnings: bool,
    /// Show advice as well: what was filled in, amounts without a currency
    #[arg(long)]
    pub(crate) pedantic: bool,
    /// Fill nothing in from a field that can be missing
    #[arg(long)]
    pub(crate) strict: bool,
    /// Fail where what is filled in differs from flow.lock
    #[arg(long)]
    pub(crate) locked: bool,
}

/// The formats of `check`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckFormat {
    /// Reports with the source and carets
    Human,
    /// One JSON document on standard output
    Json,
    /// SARIF 2.1.0, for code scanning services and editors
    Sarif,
    /// Annotations of GitHub Actions
    Github,
}

/// The formats of `plan`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanFormat {
    /// A readable listing
    Human,
    /// One JSON document
    Json,
}

/// `flowc fmt`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flowc fmt                 rewrite every .flow file of this folder
  flowc fmt --check         change nothing; exit with 1 where something would change
  flowc fmt - < a.flow      format standard input to standard output")]
pub(crate) struct Fmt {
    #[command(flatten)]
    pub(crate) paths: Paths,
    /// Change nothing; exit with 1 where something would change
    #[arg(long)]
    pub(crate) check: bool,
    /// Change nothing; show what would change
    #[arg(long)]
    pub(crate) diff: bool,
}

/// `flowc plan`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flowc plan
  flowc plan shop.flow --format json > plan.json
  flowc plan --against plan.json       what differs since then, flow by flow
  git show HEAD:shop.flow | flowc plan - --format json | flowc plan shop.flow --against -")]
pub(crate) struct Plan {
    #[command(flatten)]
    pub(crate) paths: Paths,
    /// Print what differs from a plan that `--format json` printed before; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) against: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t = PlanFormat::Human)]
    pub(crate) format: PlanFormat,
}

/// `flowc next`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flowc next lock_up_at_night
  flowc next lock_up_at_night --count 3 --from 2026-03-28
  flowc next flows/home.flow:12             a flow without a name, by its place
  flowc next standup flows/ --format json

Times are those on the clocks of the schedule, with their distance from UTC, then in UTC.
Where a change of the clock touches one of them, that is said.")]
pub(crate) struct Next {
    /// The flow: its name, `file:line`, or a file that has only one
    pub(crate) flow: String,
    #[command(flatten)]
    pub(crate) paths: Paths,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) count: u16,
    /// From when on: an instant, or a date or time on the clocks of the schedule
    #[arg(long, value_name = "INSTANT")]
    pub(crate) from: Option<String>,
    /// How to print
    #[arg(long, value_enum, default_value_t = PlanFormat::Human)]
    pub(crate) format: PlanFormat,
}

/// `flowc test`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flowc test                        every test of this folder
  flowc test shop.flow --filter yen the tests of a file whose title has `yen` in it
  flowc test --format junit > report.xml

A test runs the real engine with simulated services and a clock of its own: `after 3 days` takes no time.")]
pub(crate) struct Test {
    #[command(flatten)]
    pub(crate) paths: Paths,
    /// Only tests whose title contains this
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
    /// How to report
    #[arg(long, value_enum, default_value_t = TestFormat::Human)]
    pub(crate) format: TestFormat,
}

/// The formats of `test`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TestFormat {
    /// What failed, with the calls that were made
    Human,
    /// One JSON document
    Json,
    /// XML for CI systems
    Junit,
}

/// `flowc lock`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flowc lock                    write flow.lock beside flow.toml
  flowc lock && git diff flow.lock
  flowc check --locked          fail where it would now differ")]
pub(crate) struct Lock {
    /// Projects: files or folders
    #[arg(default_value = ".")]
    pub(crate) paths: Vec<PathBuf>,
}

/// `flowc graph`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flowc graph > flows.svg
  flowc graph shop.flow --format mermaid

The picture shows what starts each flow on the left and what it does on the right; where personal data
goes is marked, and what an action causes again leads back as a dashed line.")]
pub(crate) struct Graph {
    #[command(flatten)]
    pub(crate) paths: Paths,
    /// How to draw
    #[arg(long, value_enum, default_value_t = GraphFormat::Svg)]
    pub(crate) format: GraphFormat,
}

/// The formats of `graph`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphFormat {
    /// A picture that needs nothing else
    Svg,
    /// A Mermaid flowchart, for pages that draw it themselves
    Mermaid,
}

/// `flowc completions`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flowc completions bash > ~/.local/share/bash-completion/completions/flowc
  flowc completions zsh > ~/.zfunc/_flowc
  flowc completions fish > ~/.config/fish/completions/flowc.fish")]
pub(crate) struct Completions {
    /// For which shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

/// `flowc explain`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flowc explain E302
  flowc explain             list every code")]
pub(crate) struct Explain {
    /// The code, such as E302; without it all are listed
    pub(crate) code: Option<String>,
}

/// `flowc docs`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flowc docs                            the connectors
  flowc docs stripe                     one connector
  flowc docs stripe.charge_failed       a trigger with its fields
  flowc docs kustomer.create_conversation")]
pub(crate) struct Docs {
    /// connector, connector.trigger, connector.action, connector.Record
    pub(crate) path: Option<String>,
    /// The project whose own connectors count too
    #[arg(long, default_value = ".")]
    pub(crate) project: PathBuf,
}

/// `flowc import`.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// What describes the service
    #[command(subcommand)]
    pub(crate) from: ImportFrom,
}

/// The kinds of descriptions.
#[derive(Debug, Subcommand)]
pub(crate) enum ImportFrom {
    /// An OpenAPI document, 3.0 or later or Swagger 2.0, in JSON or YAML
    Openapi(Openapi),
}

/// `flowc import openapi`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flowc import openapi acme.yaml --name acme > acme.flow
  flowc import openapi acme.json --name acme --only invoices --only customers --out acme.flow
  curl -s https://api.example.com/openapi.json | flowc import openapi - --name acme --out acme.flow

What reads becomes a query, what changes something an action. What could not be said stands in the
connector as a comment, at its place, and is counted on standard error. The connector is yours: edit
it, check it, keep it.")]
pub(crate) struct Openapi {
    /// The document; `-` is standard input
    pub(crate) spec: PathBuf,
    /// The name of the connector
    #[arg(long, value_name = "NAME")]
    pub(crate) name: String,
    /// Only operations with this tag, or whose path begins with this word; may be given several times
    #[arg(long, value_name = "TAG")]
    pub(crate) only: Vec<String>,
    /// The header under which the service drops what it has seen, where the document does not name it: POST may then be repeated
    #[arg(long, value_name = "HEADER")]
    pub(crate) keyed_by: Option<String>,
    /// Where to write; without it to standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Overwrite the file
    #[arg(long, requires = "out")]
    pub(crate) force: bool,
}
