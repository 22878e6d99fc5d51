//! Formatting changes neither the meaning nor, the second time, the text.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(once) = flow_grammar::format(text) else { return };
    let (mut first, mut second) = (flow_grammar::parse(text), flow_grammar::parse(&once));
    assert!(second.errors.is_empty(), "{once}");
    flow_grammar::strip_spans(&mut first.file);
    flow_grammar::strip_spans(&mut second.file);
    assert_eq!(first.file.items, second.file.items);
    assert_eq!(first.file.comments.len(), second.file.comments.len());
    assert_eq!(flow_grammar::format(&once).as_deref(), Ok(once.as_str()));
});
