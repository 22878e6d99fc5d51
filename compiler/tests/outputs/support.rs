//! A project out of texts.

use flow_compiler::compile::{Compilation, Compiler};
use flow_compiler::settings::Settings;
use flow_compiler::{Diagnostic, Fix};

/// Compiles files by their names.
pub(crate) fn compile(files: &[(&str, &str)], settings: Settings) -> (Compilation, Compiler) {
    let mut compiler = Compiler::new(settings);
    for (name, text) in files {
        compiler.set(name, *text);
    }
    (compiler.compile(), compiler)
}

/// Returns what is said about one file, with all advice: code, the text at the place, message.
pub(crate) fn said(source: &str) -> Vec<String> {
    diagnostics(source).iter().map(|one| format!("{} `{}` {}", one.code, one.span.text(source), one.message)).collect()
}

/// Returns the diagnostics of one file, with all advice.
pub(crate) fn diagnostics(source: &str) -> Vec<Diagnostic> {
    compile(&[("a.flow", source)], Settings::default()).0.diagnostics()
}

/// Returns the text with the edits of a fix made.
pub(crate) fn apply(source: &str, fix: &Fix) -> String {
    let mut edits = fix.edits.clone();
    edits.sort_by_key(|edit| std::cmp::Reverse(edit.span.start));
    let mut text = source.to_owned();
    for edit in edits {
        text.replace_range(edit.span.range(), &edit.text);
    }
    text
}

/// Returns what is said about one file as people see it.
pub(crate) fn reports(source: &str) -> String {
    let (compilation, compiler) = compile(&[("a.flow", source)], Settings::default());
    let sources = compiler.sources();
    let all = compilation.diagnostics();
    all.iter().map(|one| flow_compiler::report::human(one, &sources, flow_compiler::report::Style::default())).collect()
}
