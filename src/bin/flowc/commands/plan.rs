//! `flowc plan`.

use flow::project::ProjectError;
use flow_compiler::listing;

use crate::args::{Plan, PlanFormat};
use crate::commands::expand::report_errors;
use crate::{Exit, load};
use flow::output;

pub(crate) fn run(args: &Plan) -> Result<Exit, ProjectError> {
    let loaded = load::load(&args.paths.paths, load::Want::default())?;
    if report_errors(&loaded) {
        return Ok(Exit::Problems);
    }
    let flows: Vec<_> = loaded
        .iter()
        .flat_map(|project| project.selected.iter().filter_map(|file| project.compilation.units.get(file)))
        .flat_map(|unit| unit.flows.iter().cloned())
        .collect();
    match args.format {
        PlanFormat::Human => output::out(&listing::human(&flows)),
        PlanFormat::Json => {
            let mut text = serde_json::to_string_pretty(&listing::json(&flows)).unwrap_or_default();
            text.push('\n');
            output::out(&text);
        }
    }
    Ok(Exit::Well)
}
