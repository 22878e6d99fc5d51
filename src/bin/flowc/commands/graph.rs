//! `flowc graph`.

use flow::project::ProjectError;
use flow_compiler::graph::{Graph, mermaid, svg};

use crate::args::{self, GraphFormat};
use crate::commands::expand::report_errors;
use crate::{Exit, load};
use flow::output;

pub(crate) fn run(args: &args::Graph) -> Result<Exit, ProjectError> {
    let loaded = load::load(&args.paths.paths, load::Want::default())?;
    if report_errors(&loaded) {
        return Ok(Exit::Problems);
    }
    let flows: Vec<_> = loaded
        .iter()
        .flat_map(|project| project.selected.iter().filter_map(|file| project.compilation.units.get(file)))
        .flat_map(|unit| unit.flows.iter().cloned())
        .collect();
    let graph = Graph::of(&flows);
    output::out(&match args.format {
        GraphFormat::Svg => svg::draw(&graph),
        GraphFormat::Mermaid => mermaid::draw(&graph),
    });
    Ok(Exit::Well)
}
