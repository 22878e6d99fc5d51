//! Formatting changes neither the meaning nor, the second time, the text.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(once) = flow_grammar::format(text) else { return };
    let (first, second) = (flow_grammar::parse(text), flow_grammar::parse(&once));
    assert!(second.errors.is_empty(), "{once}");
    assert!(flow_grammar::compare::same_tree(&first.file, &second.file), "{once}");
    assert_eq!(flow_grammar::format(&once).as_deref(), Ok(once.as_str()));
});
