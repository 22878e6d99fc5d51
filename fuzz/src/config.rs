//! flow.toml and flow.lock.

use std::sync::Arc;

use flow_compiler::{config as settings, connector, lock};

use super::syntax::{apart, inside};

/// Any flow.toml is read: a configuration and diagnostics that point into it. Any flow.lock is read or refused, and what
/// is read is written as it was meant.
pub fn config(text: &str) {
    let file: Arc<str> = Arc::from("flow.toml");
    for strict in [false, true] {
        let (mut config, mut diagnostics) = settings::read(&file, text, strict);
        diagnostics.extend(settings::check(&file, &mut config, connector::builtin(), strict));
        for diagnostic in &diagnostics {
            inside(diagnostic.span, text);
            diagnostic.labels.iter().for_each(|label| inside(label.span, text));
            diagnostic.fixes.iter().for_each(|fix| apart(fix.edits.iter().map(|edit| edit.span).collect(), text));
        }
    }
    settings::parse_duration(text);
    settings::parse_size(text);
    let file: Arc<str> = Arc::from("flow.lock");
    match lock::parse(&file, text) {
        Ok(read) => {
            let written = read.write();
            let again = lock::parse(&file, &written);
            assert_eq!(again.map(|again| again.write()).as_ref(), Ok(&written));
        }
        Err(diagnostic) => inside(diagnostic.span, text),
    }
}
