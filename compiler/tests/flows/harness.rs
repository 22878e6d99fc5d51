//! Sources in, plain text out.

use std::fmt::Write as _;
use std::sync::Arc;

use flow_compiler::catalog::{Catalog, Connections};
use flow_compiler::flow::{self, Context, Outcome};
use flow_compiler::settings::Settings;
use flow_compiler::{Diagnostic, Fix, Severity, connector};
use flow_grammar::syntax::Item;

/// What a project looks like to a flow.
pub(crate) struct Project {
    pub(crate) settings: Settings,
    catalog: Catalog,
    connections: Connections,
}

/// What came out of one source.
pub(crate) struct Checked {
    pub(crate) source: String,
    pub(crate) diagnostics: Vec<Diagnostic>,
    pub(crate) outcomes: Vec<Outcome>,
}

/// Services with one of everything, beside the built-in connectors.
const OWN: &str = include_str!("own.flow");

impl Project {
    pub(crate) fn new() -> Self {
        let mut project = Self {
            settings: Settings::default(),
            catalog: (**connector::builtin()).clone(),
            connections: Connections::default(),
        };
        let parsed = flow_grammar::parse(OWN);
        assert!(parsed.errors.is_empty(), "{:#?}", parsed.errors);
        project.declare(OWN, &parsed, "own.flow");
        project
    }

    /// Adds the connectors of a source.
    pub(crate) fn and(mut self, source: &str) -> Self {
        let parsed = flow_grammar::parse(source);
        let found = self.declare(source, &parsed, "more.flow");
        assert!(parsed.errors.is_empty() && found.is_empty(), "{:#?} {found:#?}", parsed.errors);
        self
    }

    pub(crate) fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut project = Self::new();
        change(&mut project.settings);
        project
    }

    fn declare(&mut self, source: &str, parsed: &flow_grammar::Parsed, file: &str) -> Vec<Diagnostic> {
        let mut diagnostics = Vec::new();
        for item in &parsed.file.items {
            let Item::Connector(node) = item else { continue };
            let (declared, found) = connector::declare(&Arc::from(file), source, node);
            diagnostics.extend(found);
            self.catalog.connectors.insert(declared.name.clone(), Arc::new(declared));
        }
        for item in &parsed.file.items {
            let Item::Connector(node) = item else { continue };
            let declared = self.catalog.connectors[&node.name.text].clone();
            diagnostics.extend(flow::check_connector(&declared, node, source, &self.catalog));
        }
        self.connections = self.catalog.connectors.iter().map(|(name, connector)| (name.to_owned(), connector.clone())).collect();
        diagnostics
    }

    pub(crate) fn check(&mut self, source: &str) -> Checked {
        let parsed = flow_grammar::parse(source);
        let mut diagnostics: Vec<Diagnostic> =
            parsed.errors.iter().map(|error| flow_compiler::compile::from_syntax(&Arc::from("test.flow"), error)).collect();
        diagnostics.extend(self.declare(source, &parsed, "test.flow"));
        let file: Arc<str> = Arc::from("test.flow");
        let context =
            Context { catalog: &self.catalog, connections: &self.connections, settings: &self.settings, file: &file, source };
        let mut outcomes = Vec::new();
        for item in &parsed.file.items {
            if let Item::Flow(node) = item {
                let outcome = flow::compile_flow(&context, node);
                diagnostics.extend(outcome.diagnostics.iter().cloned());
                outcomes.push(outcome);
            }
        }
        Checked { source: source.to_owned(), diagnostics, outcomes }
    }
}

/// Checks a source and returns what is said about it. Each fix is applied: one that is called safe must leave nothing, and any
/// other must lead on.
#[expect(dead_code, reason = "for trying one source")]
pub(crate) fn check(source: &str) -> String {
    check_in(&mut Project::new(), source)
}

pub(crate) fn check_in(project: &mut Project, source: &str) -> String {
    let checked = project.check(source);
    let mut text = rendered(&checked.source, &checked.diagnostics);
    for diagnostic in &checked.diagnostics {
        for fix in diagnostic.fixes.iter().filter(|fix| !fix.safe && !fix.edits.is_empty()) {
            let mended = apply(source, fix);
            let again = project.check(&mended);
            let (before, left) = (errors(&checked.diagnostics), errors(&again.diagnostics));
            if left > before || left == before && diagnostic.is_error() {
                let _ =
                    writeln!(text, "!! fix does not mend: {}\n{mended}\n{}", fix.title, rendered(&mended, &again.diagnostics));
            }
        }
        for fix in diagnostic.fixes.iter().filter(|fix| fix.safe) {
            let mended = apply(source, fix);
            let again = project.check(&mended);
            let left: Vec<&Diagnostic> = again
                .diagnostics
                .iter()
                .filter(|d| d.is_error() && d.code == diagnostic.code && d.message == diagnostic.message)
                .collect();
            let before = errors(&checked.diagnostics);
            let clean = before > 1 || errors(&again.diagnostics) == 0;
            let gone = diagnostic.severity != Severity::Error || left.is_empty();
            if !gone || !clean || errors(&again.diagnostics) > before {
                let _ = writeln!(
                    text,
                    "!! safe fix does not mend: {}\n{mended}\n{}",
                    fix.title,
                    rendered(&mended, &again.diagnostics)
                );
            }
        }
    }
    if !checked.outcomes.is_empty()
        && checked.diagnostics.iter().any(Diagnostic::is_error) != checked.outcomes.iter().any(|outcome| outcome.flow.is_none())
    {
        text.push_str("!! errors and plans do not agree\n");
    }
    text
}

fn errors(diagnostics: &[Diagnostic]) -> usize {
    diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count()
}

/// Applies a fix.
pub(crate) fn apply(source: &str, fix: &Fix) -> String {
    let mut edits = fix.edits.clone();
    edits.sort_by_key(|edit| std::cmp::Reverse((edit.span.start, edit.span.end)));
    let mut text = source.to_owned();
    for edit in edits {
        text.replace_range(edit.span.range(), &edit.text);
    }
    text
}

/// Returns diagnostics as plain text, advice left out where there is anything worse.
pub(crate) fn rendered(source: &str, diagnostics: &[Diagnostic]) -> String {
    let mut text = String::new();
    for diagnostic in diagnostics {
        let _ = writeln!(text, "{}[{}]: {}", diagnostic.severity.word(), diagnostic.code, diagnostic.message);
        let _ = write!(text, "  > {}", at(source, diagnostic.span));
        if !diagnostic.label.is_empty() {
            let _ = write!(text, "  -- {}", diagnostic.label);
        }
        text.push('\n');
        for label in &diagnostic.labels {
            let _ = writeln!(text, "  > {}  -- {}", at(source, label.span), label.text);
        }
        if let Some(help) = &diagnostic.help {
            let _ = writeln!(text, "  = {help}");
        }
        for fix in &diagnostic.fixes {
            let how = if fix.edits.is_empty() {
                "advice"
            } else if fix.safe {
                "fix, safe"
            } else {
                "fix"
            };
            let _ = writeln!(text, "  = {how}: {}", fix.title);
            if !fix.edits.is_empty() && !fix.safe {
                let mended = apply(source, fix);
                let parsed = flow_grammar::parse(&mended);
                if !parsed.errors.is_empty() {
                    let _ = writeln!(text, "  !! does not parse: {mended}");
                }
            }
        }
    }
    text
}

fn at(source: &str, span: flow_grammar::span::Span) -> String {
    let text = span.text(source);
    if text.is_empty() {
        format!("({}..{})", span.start, span.end)
    } else {
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// Compares what is said about several sources with the snapshot of the group.
pub(crate) fn group(name: &str, cases: &[&str]) {
    group_in(name, Project::new, cases);
}

pub(crate) fn group_in(name: &str, project: impl Fn() -> Project, cases: &[&str]) {
    let mut text = String::new();
    for case in cases {
        let case = case.trim();
        let _ = writeln!(text, "{case}\n");
        let said = check_in(&mut project(), case);
        let _ = writeln!(text, "{}\n────", if said.is_empty() { "nothing to say\n" } else { &said });
    }
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false, snapshot_path => "snapshots" }, {
        insta::assert_snapshot!(name, text);
    });
}
