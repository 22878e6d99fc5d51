//! Any flow.toml is read: a configuration and diagnostics, no panic.
#![no_main]
use std::sync::Arc;

use flow_compiler::{config, connector};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let file: Arc<str> = Arc::from("flow.toml");
    let (mut config, _) = config::read(&file, text, false);
    config::check(&file, &mut config, connector::builtin(), false);
});
