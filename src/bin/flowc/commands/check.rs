//! `flowc check`.

use std::path::Path;

use flow::project::ProjectError;
use flow::terminal::report_style;
use flow_compiler::report::{self, Sources};
use flow_compiler::{Diagnostic, Severity, sarif};
use flow_grammar::span::LineIndex;
use serde_json::Value as Json;

use crate::args::{Check, CheckFormat};
use crate::load::Loaded;
use crate::{Exit, load};
use flow::output;

/// Reports beyond these are counted, not shown: nobody reads the thousandth.
const MOST_REPORTS: usize = 100;

pub(crate) fn run(args: &Check) -> Result<Exit, ProjectError> {
    if args.locked && args.paths.paths.iter().any(|path| path.as_os_str() == "-") {
        return Ok(Exit::Usage("--locked compares a project with its flow.lock; standard input has none".to_owned()));
    }
    let want = load::Want {
        strict: args.strict,
        everything: args.pedantic,
        locked: args.locked,
        verdict_only: true,
        ..load::Want::default()
    };
    let mut loaded = load::load(&args.paths.paths, want)?;
    for project in &mut loaded {
        project.diagnostics.retain(|one: &Diagnostic| args.pedantic || one.severity != Severity::Advice);
    }
    let found = || loaded.iter().flat_map(|project| &project.diagnostics);
    let errors = found().filter(|one| one.is_error()).count();
    let warnings = found().filter(|one| one.severity == Severity::Warning).count();
    match args.format {
        CheckFormat::Human => human(&loaded, errors, warnings),
        CheckFormat::Json => print(&json(&loaded)),
        CheckFormat::Sarif => print(&sarif(&loaded)),
        CheckFormat::Github => {
            for project in &loaded {
                project.diagnostics.iter().for_each(|one| github(one, project));
            }
        }
    }
    // The process ends here: to take a large project apart piece by piece would be a part of what people wait for.
    std::mem::forget(loaded);
    Ok(if errors > 0 || (args.deny_warnings && warnings > 0) { Exit::Problems } else { Exit::Well })
}

fn print(json: &Json) {
    output::out(&output::document(json));
}

/// Each project by itself, since files of two may have one name.
fn json(loaded: &[Loaded]) -> Json {
    let mut documents =
        loaded.iter().map(|project| report::json(&project.diagnostics, &project.selected_sources(), project.flow_count()));
    let mut all = documents.next().unwrap_or_else(|| report::json(&[], &Sources::new(), 0));
    for mut document in documents {
        if let (Some(into), Some(from)) = (all["diagnostics"].as_array_mut(), document["diagnostics"].as_array_mut()) {
            into.append(from);
        }
        for key in ["files", "flows", "errors", "warnings"] {
            all["summary"][key] =
                (all["summary"][key].as_u64().unwrap_or(0) + document["summary"][key].as_u64().unwrap_or(0)).into();
        }
    }
    all
}

fn sarif(loaded: &[Loaded]) -> Json {
    let roots: Vec<String> = loaded.iter().map(|project| project.root.to_string_lossy().into_owned()).collect();
    let sources: Vec<Sources> = loaded.iter().map(Loaded::selected_sources).collect();
    let projects: Vec<sarif::Project<'_>> = loaded
        .iter()
        .zip(&roots)
        .zip(&sources)
        .map(|((project, root), sources)| sarif::Project { root, diagnostics: &project.diagnostics, sources })
        .collect();
    sarif::log(&projects, env!("CARGO_PKG_VERSION"))
}

fn human(loaded: &[Loaded], errors: usize, warnings: usize) {
    let style = report_style();
    let mut left = MOST_REPORTS;
    for project in loaded {
        let shown = report::without_secrets(&project.diagnostics, &project.sources);
        for diagnostic in project.diagnostics.iter().take(left) {
            output::err(&report::human(diagnostic, &shown, style));
        }
        left = left.saturating_sub(project.diagnostics.len());
    }
    let all: usize = loaded.iter().map(|project| project.diagnostics.len()).sum();
    if all > MOST_REPORTS {
        output::err(&format!("… and {} more (--format json has them all)", all - MOST_REPORTS));
    }
    let files: usize = loaded.iter().map(|project| project.selected.len()).sum();
    let flows: usize = loaded.iter().map(Loaded::flow_count).sum();
    let counted = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let mut summary = format!("{} in {}: ", counted(flows, "flow"), counted(files, "file"));
    summary.push_str(&match (errors, warnings) {
        (0, 0) => "no problems".to_owned(),
        (0, _) => counted(warnings, "warning"),
        (_, 0) => counted(errors, "error"),
        _ => format!("{}, {}", counted(errors, "error"), counted(warnings, "warning")),
    });
    if errors + warnings > 0
        && let Some(first) = loaded.iter().flat_map(|project| &project.diagnostics).min_by_key(|one| one.severity)
    {
        summary.push_str(&format!(" (`flowc explain {}` says more)", first.code));
    }
    output::err(&summary);
}

/// <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>: `%`, CR and LF are escaped, in
/// properties `:` and `,` too.
fn github(diagnostic: &Diagnostic, project: &Loaded) {
    let source = project.sources.get(&diagnostic.file).cloned().unwrap_or_default();
    let index = LineIndex::new(&source);
    let start = index.position(&source, diagnostic.span.start as usize);
    let end = index.position(&source, diagnostic.span.end as usize);
    let data = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    let word = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Advice => "notice",
    };
    let mut message = diagnostic.message.clone();
    for line in diagnostic.help.iter().cloned().chain(diagnostic.fixes.iter().map(|fix| format!("fix: {}", fix.title))) {
        message.push('\n');
        message.push_str(&line);
    }
    // A range of columns only makes sense within one line.
    let columns = if start.line == end.line { format!(",endColumn={}", end.column) } else { String::new() };
    output::out(&format!(
        "::{word} file={},line={},endLine={},col={}{columns},title={}::{}\n",
        property(&from_here(&project.root, &diagnostic.file)),
        start.line,
        end.line,
        start.column,
        property(&format!("{}: {}", diagnostic.code, diagnostic.code.title())),
        data(&message)
    ));
}

/// Returns the path of a file from the current folder, which is where a workflow has checked the repository out.
fn from_here(root: &Path, file: &str) -> String {
    let here = std::env::current_dir().and_then(std::fs::canonicalize).unwrap_or_default();
    match root.join(file).strip_prefix(&here) {
        Ok(path) if file != load::STDIN => path.to_string_lossy().into_owned(),
        _ => file.to_owned(),
    }
}
