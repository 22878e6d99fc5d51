//! Any text checks: flows and diagnostics, no panic, and each report can be rendered.
#![no_main]
use flow_compiler::compile::Compiler;
use flow_compiler::report;
use flow_compiler::settings::Settings;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut compiler = Compiler::new(Settings::default());
    compiler.set("fuzz.flow", text);
    let compilation = compiler.compile();
    let sources = compiler.sources();
    let diagnostics = compilation.diagnostics();
    for diagnostic in &diagnostics {
        assert!(!report::human(diagnostic, &sources, report::Style::default()).is_empty());
    }
    report::json(&diagnostics, &sources, compilation.flow_count());
});
