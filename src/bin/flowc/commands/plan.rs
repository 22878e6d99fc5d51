//! `flowc plan`.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use flow::output::document;
use flow::project::ProjectError;
use flow::terminal::printable_lines;
use flow_compiler::changes::changes_since;
use flow_compiler::listing;
use serde_json::Value as Json;

use crate::args::{Plan, PlanFormat};
use crate::commands::expand::report_errors;
use crate::{Exit, load};
use flow::output;

pub(crate) fn run(args: &Plan) -> Result<Exit, ProjectError> {
    let stdin = Path::new("-");
    if args.against.as_deref() == Some(stdin) && args.paths.paths.iter().any(|path| path == stdin) {
        return Ok(Exit::Usage("standard input is either the flows or the plan from before, not both".to_owned()));
    }
    let loaded = load::load(&args.paths.paths, load::Want::default())?;
    if report_errors(&loaded) {
        return Ok(Exit::Problems);
    }
    let flows: Vec<_> = loaded
        .iter()
        .flat_map(|project| project.selected.iter().filter_map(|file| project.compilation.units.get(file)))
        .flat_map(|unit| unit.flows.iter().cloned())
        .collect();
    match &args.against {
        Some(file) => Ok(match against(file, &flows, args.format) {
            Ok(text) => {
                output::out(&text);
                Exit::Well
            }
            Err(reason) => Exit::Usage(reason),
        }),
        None => {
            output::out(&match args.format {
                PlanFormat::Human => printable_lines(&listing::human(&flows)),
                PlanFormat::Json => document(&listing::json(&flows)),
            });
            Ok(Exit::Well)
        }
    }
}

/// Compares the flows with a plan from before.
fn against(file: &Path, flows: &[Arc<flow_plan::Flow>], format: PlanFormat) -> Result<String, String> {
    let shown = flow::terminal::printable(&file.display().to_string());
    let read = if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    let text = read.map_err(|error| format!("{shown} cannot be read: {}", flow::secrets::reason(&error)))?;
    let before: Json = serde_json::from_str(&text).map_err(|error| format!("{shown} is no JSON: {error}"))?;
    let changes = changes_since(&before, flows, jiff::Timestamp::now()).map_err(|error| format!("{shown}: {error}"))?;
    let told = changes.to_json();
    Ok(match format {
        PlanFormat::Human => printable_lines(&flow::changes::listing(&told, &|_| String::new())),
        PlanFormat::Json => document(&told),
    })
}
