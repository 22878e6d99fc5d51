//! `flowc expand`.

use flow::project::ProjectError;
use flow::terminal::report_style;
use flow_compiler::report;

use crate::args::Paths;
use crate::load::Loaded;
use crate::{Exit, load};
use flow::output;

pub(crate) fn run(args: &Paths) -> Result<Exit, ProjectError> {
    let loaded = load::load(&args.paths, load::Want { everything: true, ..load::Want::default() })?;
    if report_errors(&loaded) {
        return Ok(Exit::Problems);
    }
    let units: Vec<_> = loaded
        .iter()
        .flat_map(|project| project.selected.iter().filter_map(|file| Some((file, project.compilation.units.get(file)?))))
        .collect();
    for (at, (file, unit)) in units.iter().enumerate() {
        if units.len() > 1 {
            output::out(&format!("{}# {file}\n\n", if at > 0 { "\n" } else { "" }));
        }
        let flows: Vec<String> =
            unit.expanded.iter().map(|flow| flow_grammar::print::print_flow(flow).trim_end().to_owned()).collect();
        output::out(&format!("{}\n", flows.join("\n\n")));
    }
    Ok(Exit::Well)
}

/// Reports what stops the build; returns whether anything does.
pub(crate) fn report_errors(loaded: &[Loaded]) -> bool {
    let mut found = false;
    for project in loaded {
        let shown = report::without_secrets(&project.diagnostics, &project.sources);
        for diagnostic in project.diagnostics.iter().filter(|diagnostic| diagnostic.is_error()) {
            output::err(&report::human(diagnostic, &shown, report_style()));
            found = true;
        }
    }
    found
}
