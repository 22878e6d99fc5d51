//! flow.toml and flow.lock, with the files that lie beside them.

use std::sync::Arc;

use flow_compiler::compile::Compiler;
use flow_compiler::lock::Lock;
use flow_compiler::settings::Settings;
use flow_compiler::{Diagnostic, config as settings, connector, listing, lock, report};

use super::syntax::{apart, inside};

/// A project in one text: flow.toml, and behind each line `#=== NAME` the file of that name.
const FILE: &str = "#=== ";
/// Projects of this length hold each construct many times.
const LONGEST: usize = 1 << 14;

/// Any flow.toml is read: a configuration and diagnostics that point into it. Any flow.lock is read or refused, and what
/// is read is written as it was meant. With connectors and flows beside it, it is checked as `flowc check` does and as `flowd`.
pub fn config(text: &str) {
    let file: Arc<str> = Arc::from("flow.toml");
    for literal_secrets in [false, true] {
        let (mut config, mut diagnostics) = settings::read(&file, text, literal_secrets);
        diagnostics.extend(settings::check(&file, &mut config, connector::builtin(), literal_secrets));
        diagnostics.iter().for_each(|diagnostic| points_into(diagnostic, text));
    }
    settings::parse_duration(text);
    settings::parse_size(text);
    locked(text);
    if text.len() <= LONGEST && text.contains(FILE) {
        project(text);
    }
}

fn points_into(diagnostic: &Diagnostic, text: &str) {
    inside(diagnostic.span, text);
    diagnostic.labels.iter().for_each(|label| inside(label.span, text));
    diagnostic.fixes.iter().for_each(|fix| apart(fix.edits.iter().map(|edit| edit.span).collect(), text));
}

fn locked(text: &str) -> Option<Lock> {
    let file: Arc<str> = Arc::from(lock::FILE);
    match lock::parse(&file, text) {
        Ok(read) => {
            let written = read.write();
            let again = lock::parse(&file, &written);
            assert_eq!(again.map(|again| again.write()).as_ref(), Ok(&written));
            Some(read)
        }
        Err(diagnostic) => {
            inside(diagnostic.span, text);
            None
        }
    }
}

fn project(text: &str) {
    let mut parts = text.split(FILE);
    let toml = parts.next().unwrap_or_default();
    let name: Arc<str> = Arc::from("flow.toml");
    let mut compiler = Compiler::new(Settings::default());
    let mut lock = None;
    for part in parts {
        let (file, text) = part.split_once('\n').unwrap_or((part, ""));
        if file == lock::FILE {
            lock = locked(text);
        } else {
            compiler.set(file, text);
        }
    }
    for of_daemon in [false, true] {
        let (mut config, mut diagnostics) = settings::read(&name, toml, of_daemon);
        let catalog = compiler.catalog();
        diagnostics.extend(settings::check(&name, &mut config, &catalog, of_daemon));
        diagnostics.iter().for_each(|diagnostic| points_into(diagnostic, toml));
        compiler.set_settings(Settings {
            quick: of_daemon,
            errors_only: of_daemon,
            freeze: lock.is_some(),
            today: jiff::civil::Date::new(2026, 11, 27).ok(),
            ..config.settings.clone()
        });
        let compilation = compiler.compile();
        let mut sources = compiler.sources();
        sources.insert(Arc::clone(&name), Arc::from(toml));
        for diagnostic in compilation.diagnostics().iter().chain(&diagnostics) {
            points_into(diagnostic, sources.get(&diagnostic.file).map_or("", |text| &**text));
            assert!(!report::human(diagnostic, &sources, report::Style::default()).is_empty());
        }
        let flows: Vec<_> = compilation.flows().cloned().collect();
        listing::json(&flows);
        for plan in compilation.connections.values() {
            assert!(!plan.secrets.iter().any(|one| one.name.is_empty()), "{plan:?}");
        }
        compiler.unused_connections();
    }
}
