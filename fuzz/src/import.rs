//! Descriptions of services by strangers.

use flow_compiler::compile::Compiler;
use flow_compiler::settings::Settings;
use flow_import::{ImportError, Options, openapi};

/// Descriptions of this length have each construct several times.
const LONGEST: usize = 1 << 15;

/// Any text is refused with a reason, or becomes a connector in its canonical form, in which nothing is wrong, whatever the
/// names, texts, types and references in it are.
pub fn import(text: &str) {
    if text.len() > LONGEST {
        return;
    }
    let options = Options { name: "acme".to_owned(), ..Options::default() };
    let imported = match openapi(text, &options) {
        Ok(imported) => imported,
        Err(ImportError::Bug(reason)) => panic!("{reason}"),
        Err(error) => {
            assert!(!error.to_string().chars().any(char::is_control), "{error}");
            return;
        }
    };
    assert_eq!(flow_grammar::format(&imported.source).as_deref(), Ok(imported.source.as_str()));
    assert!(imported.imported + imported.left_out.len() == imported.total, "{imported:?}");
    let mut compiler = Compiler::new(Settings::default());
    compiler.set("acme.flow", imported.source.as_str());
    let compilation = compiler.compile();
    assert!(compilation.diagnostics().is_empty(), "{:?}\n{}", compilation.diagnostics(), imported.source);
}
