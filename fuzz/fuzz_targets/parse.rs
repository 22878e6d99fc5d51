//! Any text parses: a tree and errors, no panic, spans inside the text.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let parsed = flow_grammar::parse(text);
    for error in &parsed.errors {
        assert!(error.span.end as usize <= text.len() && error.span.start <= error.span.end);
    }
});
