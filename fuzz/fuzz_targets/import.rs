#![no_main]
libfuzzer_sys::fuzz_target!(|text: &str| flow_fuzz::import(text));
