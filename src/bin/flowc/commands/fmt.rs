//! `flowc fmt`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flow::project::{Project, ProjectError, ReadError, distinct, read_source, write_whole};
use flow::secrets::reason;
use flow::terminal::report_style;
use flow_compiler::compile::from_syntax;
use flow_compiler::report::{self, Sources};
use flow_compiler::{Code, Diagnostic};
use flow_grammar::span::Span;
use similar::TextDiff;

use crate::args::Fmt;
use crate::{Exit, load};
use flow::output;

/// More than anybody reads at once.
const MOST_REPORTS: usize = 100;

pub(crate) fn run(args: &Fmt) -> Result<Exit, ProjectError> {
    let mut problems = false;
    let mut changed = 0usize;
    let mut total = 0usize;
    for path in distinct(&args.paths.paths) {
        if path == Path::new("-") {
            problems |= standard_input(args)?;
            continue;
        }
        let files = files_of(&path)?;
        for file in files {
            total += 1;
            let name = file.strip_prefix(std::env::current_dir().unwrap_or_default()).unwrap_or(&file).display().to_string();
            let text = match read_source(&file) {
                Ok(text) => text,
                Err(ReadError::Unreadable(reason)) => return Err(ProjectError::Unreadable { path: name, reason }),
                Err(ReadError::Bad(message, help)) => {
                    refuse(
                        &name,
                        "",
                        &[Diagnostic::new(Code::E100, &Arc::from(name.as_str()), Span::default(), message).help(help)],
                    );
                    problems = true;
                    continue;
                }
            };
            let Some(formatted) = format(&name, &text) else {
                problems = true;
                continue;
            };
            if formatted == text {
                continue;
            }
            changed += 1;
            if args.diff {
                show_diff(&name, &text, &formatted);
            } else if args.check {
                output::err(&format!("{name} would change"));
            } else {
                write_whole(&file, &formatted)
                    .map_err(|error| ProjectError::Unreadable { path: name.clone(), reason: reason(&error) })?;
                output::err(&format!("{name} formatted"));
            }
        }
    }
    if total > 0 && changed == 0 && !problems {
        output::err(&format!("{total} file{}: nothing to change", if total == 1 { "" } else { "s" }));
    }
    Ok(if problems || ((args.check || args.diff) && changed > 0) { Exit::Problems } else { Exit::Well })
}

fn files_of(path: &Path) -> Result<Vec<PathBuf>, ProjectError> {
    let absolute = std::fs::canonicalize(path)
        .map_err(|error| ProjectError::Unreadable { path: path.display().to_string(), reason: reason(&error) })?;
    if absolute.is_file() {
        return Ok(vec![absolute]);
    }
    let files = Project { root: absolute, toml: None, single: None }.files()?;
    if files.is_empty() { Err(ProjectError::NoFlows(path.display().to_string())) } else { Ok(files) }
}

/// Returns whether there were problems.
fn standard_input(args: &Fmt) -> Result<bool, ProjectError> {
    let text = match load::read_stdin() {
        Ok(text) => text,
        Err(ReadError::Unreadable(reason)) => return Err(ProjectError::Unreadable { path: load::STDIN.to_owned(), reason }),
        Err(ReadError::Bad(message, help)) => {
            refuse(load::STDIN, "", &[Diagnostic::new(Code::E100, &Arc::from(load::STDIN), Span::default(), message).help(help)]);
            return Ok(true);
        }
    };
    let Some(formatted) = format(load::STDIN, &text) else { return Ok(true) };
    if args.diff {
        show_diff(load::STDIN, &text, &formatted);
    } else if !args.check {
        output::out(&formatted);
    }
    Ok((args.check || args.diff) && formatted != text)
}

/// Returns the canonical form, or reports why there is none. A result that would not mean the same is never used.
fn format(name: &str, text: &str) -> Option<String> {
    match flow_grammar::format(text) {
        Ok(formatted) if means_the_same(text, &formatted) => Some(formatted),
        Ok(_) => {
            output::err(&format!(
                "{name}: left as it is, since its canonical form would not mean the same; this is a bug of ours, please report it"
            ));
            None
        }
        Err(errors) => {
            let file: Arc<str> = Arc::from(name);
            refuse(name, text, &errors.iter().map(|error| from_syntax(&file, error)).collect::<Vec<_>>());
            None
        }
    }
}

fn means_the_same(before: &str, after: &str) -> bool {
    let (first, second) = (flow_grammar::parse(before), flow_grammar::parse(after));
    second.errors.is_empty() && flow_grammar::compare::same_tree(&first.file, &second.file)
}

fn refuse(name: &str, text: &str, diagnostics: &[Diagnostic]) {
    let sources = Sources::from([(Arc::from(name), Arc::from(text))]);
    for diagnostic in diagnostics.iter().take(MOST_REPORTS) {
        output::err(&report::human(diagnostic, &sources, report_style()));
    }
    if let Some(more) = diagnostics.len().checked_sub(MOST_REPORTS).filter(|more| *more > 0) {
        output::err(&format!("… and {more} more"));
    }
    output::err(&format!("{name} left as it is"));
}

fn show_diff(name: &str, before: &str, after: &str) {
    let diff = TextDiff::from_lines(before, after);
    let text = diff.unified_diff().context_radius(2).header(name, name).to_string();
    // A program that applies it needs every byte; a terminal must not be steered by what is in a file.
    if !std::io::stdout().is_terminal() {
        output::out(&text);
        return;
    }
    let text = flow::terminal::printable_lines(&text);
    if !flow::terminal::colour_on_stdout() {
        output::out(&text);
        return;
    }
    for line in text.lines() {
        let colour = match line.as_bytes().first() {
            Some(b'+') => "\u{1b}[32m",
            Some(b'-') => "\u{1b}[31m",
            _ => "",
        };
        output::out(&format!("{colour}{line}\u{1b}[0m\n"));
    }
}
