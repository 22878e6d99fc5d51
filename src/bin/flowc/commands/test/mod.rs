//! `flowc test`: runs inline tests on the simulated driver.

mod human;
mod json;
mod junit;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flow::output;
use flow::project::{ProjectError, ReadError, read_source};
use flow_plan as plan;
use flow_plan::{Payload, TestAction};
use flow_runtime::sim::{self, TestReport, Trouble};
use rayon::prelude::*;

use crate::args::{Test, TestFormat};
use crate::commands::expand::report_errors;
use crate::load::Loaded;
use crate::{Exit, load};

/// A test with what became of it.
struct Ran {
    test: plan::Test,
    outcome: Result<TestReport, Trouble>,
    took: Duration,
}

impl Ran {
    fn passed(&self) -> bool {
        self.outcome.as_ref().is_ok_and(|report| report.failures.is_empty())
    }
}

pub(crate) fn run(args: &Test) -> Result<Exit, ProjectError> {
    let loaded = load::load(&args.paths.paths, load::Want::default())?;
    if report_errors(&loaded) {
        return Ok(Exit::Problems);
    }
    let began = Instant::now();
    let mut all = 0;
    let mut ran: Vec<Ran> = Vec::new();
    for project in &loaded {
        let units = project.selected.iter().filter_map(|file| project.compilation.units.get(file));
        let tests: Vec<plan::Test> = units.flat_map(|unit| unit.tests.iter().cloned()).collect();
        all += tests.len();
        let wanted = tests.into_par_iter().filter(|test| args.filter.as_ref().is_none_or(|filter| test.title.contains(filter)));
        ran.extend(wanted.map(|test| perform(project, test)).collect::<Vec<_>>());
    }
    let took = began.elapsed();
    match args.format {
        TestFormat::Human => human::print(&ran, all, took),
        TestFormat::Json => output::out(&json::document(&ran)),
        TestFormat::Junit => output::out(&junit::document(&ran, took)),
    }
    if all == 0 && args.format == TestFormat::Human {
        output::err("there are no tests here; one is written beside a flow: `test \"…\" for flow NAME { given …  expect … }`");
    }
    if all > 0 && ran.is_empty() {
        let filter = args.filter.as_deref().unwrap_or_default();
        return Ok(Exit::Usage(format!("no test has `{}` in its title", flow::terminal::printable(filter))));
    }
    Ok(if ran.iter().all(Ran::passed) { Exit::Well } else { Exit::Problems })
}

fn perform(project: &Loaded, mut test: plan::Test) -> Ran {
    let began = Instant::now();
    let outcome = read_files(&project.root, &mut test).and_then(|()| {
        let flows = flows_of(project, &test);
        if flows.is_empty() {
            let message =
                "it tests nothing: there is no flow in its file; say which one is meant, `for flow NAME` behind the title";
            return Err(Trouble { step: None, message: message.to_owned() });
        }
        sim::run(&test, &flows, &project.compilation.connections)
    });
    Ran { test, outcome, took: began.elapsed() }
}

/// The flows that a test loads: the one that it names, or those of its file.
fn flows_of(project: &Loaded, test: &plan::Test) -> Vec<Arc<plan::Flow>> {
    match &test.flow {
        Some(name) => project.compilation.flows().filter(|flow| flow.name.as_deref() == Some(name.as_str())).cloned().collect(),
        None => project.compilation.units.get(test.file.as_str()).map(|unit| unit.flows.clone()).unwrap_or_default(),
    }
}

/// Reads the payloads that the test names.
fn read_files(root: &Path, test: &mut plan::Test) -> Result<(), Trouble> {
    let folder = Path::new(&test.file).parent().unwrap_or(Path::new("")).to_path_buf();
    for (at, step) in test.steps.iter_mut().enumerate() {
        let TestAction::Event(event) = &mut step.what else { continue };
        let Payload::File(file) = &event.payload else { continue };
        let file = file.clone();
        // What begins with a slash is beside the connector; everything is within the project.
        let path: PathBuf = match file.strip_prefix('/') {
            Some(within) => root.join(within),
            None => root.join(&folder).join(&file),
        };
        let read =
            read_within(root, &path).map_err(|reason| format!("`{}` cannot be read: {reason}", file.trim_start_matches('/')));
        read.and_then(|text| sim::read_file(event, &text, file.trim_start_matches('/')))
            .map_err(|message| Trouble { step: Some(at), message })?;
    }
    Ok(())
}

/// Reads a file of the project: nothing outside it, whatever the path says.
fn read_within(root: &Path, path: &Path) -> Result<String, String> {
    let found = std::fs::canonicalize(path).map_err(|error| error.to_string())?;
    let root = std::fs::canonicalize(root).map_err(|error| error.to_string())?;
    if !found.starts_with(root) {
        return Err("it is outside of the project".to_owned());
    }
    read_source(&found).map_err(|error| match error {
        ReadError::Unreadable(reason) => reason,
        ReadError::Bad(message, help) => format!("{message}; {help}"),
    })
}
