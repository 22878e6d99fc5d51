//! `flowc check`.

use flow::project::ProjectError;
use flow::terminal::report_style;
use flow_compiler::report::{self, Sources};
use flow_compiler::{Diagnostic, Severity};
use flow_grammar::span::LineIndex;

use crate::args::{Check, CheckFormat};
use crate::{Exit, load};
use flow::output;

/// Reports beyond these are counted, not shown: nobody reads the thousandth.
const MOST_REPORTS: usize = 100;

pub(crate) fn run(args: &Check) -> Result<Exit, ProjectError> {
    let loaded =
        load::load(&args.paths.paths, load::Want { strict: args.strict, everything: args.pedantic, verdict_only: true })?;
    let mut diagnostics = Vec::new();
    let mut sources = Sources::new();
    let mut flows = 0;
    for project in loaded {
        flows += project.flow_count();
        sources.extend(project.selected_sources());
        diagnostics.extend(project.diagnostics);
    }
    diagnostics.retain(|diagnostic: &Diagnostic| args.pedantic || diagnostic.severity != Severity::Advice);
    let count = |severity| diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    match args.format {
        CheckFormat::Human => human(&diagnostics, &sources, flows, errors, warnings),
        CheckFormat::Json => {
            let mut text = serde_json::to_string_pretty(&report::json(&diagnostics, &sources, flows)).unwrap_or_default();
            text.push('\n');
            output::out(&text);
        }
        CheckFormat::Github => diagnostics.iter().for_each(|diagnostic| github(diagnostic, &sources)),
    }
    Ok(if errors > 0 || (args.deny_warnings && warnings > 0) { Exit::Problems } else { Exit::Well })
}

fn human(diagnostics: &[Diagnostic], sources: &Sources, flows: usize, errors: usize, warnings: usize) {
    let style = report_style();
    let shown = report::without_secrets(diagnostics, sources);
    for diagnostic in diagnostics.iter().take(MOST_REPORTS) {
        output::err(&report::human(diagnostic, &shown, style));
    }
    if diagnostics.len() > MOST_REPORTS {
        output::err(&format!("… and {} more (--format json has them all)", diagnostics.len() - MOST_REPORTS));
    }
    let files = sources.keys().filter(|name| !name.ends_with("flow.toml")).count();
    let counted = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let mut summary = format!("{} in {}: ", counted(flows, "flow"), counted(files, "file"));
    summary.push_str(&match (errors, warnings) {
        (0, 0) => "no problems".to_owned(),
        (0, _) => counted(warnings, "warning"),
        (_, 0) => counted(errors, "error"),
        _ => format!("{}, {}", counted(errors, "error"), counted(warnings, "warning")),
    });
    if errors + warnings > 0
        && let Some(first) = diagnostics.iter().find(|one| one.is_error()).or(diagnostics.first())
    {
        summary.push_str(&format!(" (`flowc explain {}` says more)", first.code));
    }
    output::err(&summary);
}

/// <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>: `%`, CR and LF are escaped, in
/// properties `:` and `,` too.
fn github(diagnostic: &Diagnostic, sources: &Sources) {
    let source = sources.get(&diagnostic.file).cloned().unwrap_or_default();
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
    output::out(&format!(
        "::{word} file={},line={},endLine={},col={},title={}::{}\n",
        property(&diagnostic.file),
        start.line,
        end.line,
        start.column,
        property(&format!("{}: {}", diagnostic.code, diagnostic.code.title())),
        data(&message)
    ));
}
