//! Data to standard output, the rest to standard error. A reader that goes away (`flowc docs | head`) is no error.

use std::io::Write;

use serde_json::Value as Json;

use crate::terminal::steers;

/// Writes a text to standard output as it is.
pub fn out(text: &str) {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        // Nobody reads any more: there is nothing left to do, and nothing wrong.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            err(&format!("standard output cannot be written: {error}"));
            std::process::exit(2);
        }
        _ => {}
    }
}

/// Returns a document for programs, with a newline. It says the same to them, and nothing to a terminal that shows it: what
/// could steer that is escaped.
pub fn document(json: &Json) -> String {
    let text = serde_json::to_string_pretty(json).unwrap_or_default();
    let mut out = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        // Outside of texts the document itself has line ends alone.
        if steers(c) && c != '\n' {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out.push('\n');
    out
}

/// Writes a line to standard error.
pub fn err(text: &str) {
    let mut stderr = std::io::stderr().lock();
    if writeln!(stderr, "{text}").is_err() {
        // As above.
    }
}

/// Writes over the last line of the terminal.
pub fn over(text: &str) {
    let mut stderr = std::io::stderr().lock();
    if write!(stderr, "\r{text:<40}\r").and_then(|()| stderr.flush()).is_err() {
        // Nobody looks any more.
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_says_the_same_and_steers_nothing() {
        let text = "a\u{202e}b\u{1b}[31m\u{9b}0m\u{7f}\u{2028}\u{61c}\r\n\té\u{1f600}";
        let json = json!({ text: [text, 1, null] });
        let told = document(&json);
        assert!(told.contains("a\\u202eb\\u001b[31m\\u009b0m\\u007f") && told.ends_with("}\n"), "{told}");
        assert!(told.chars().all(|c| !steers(c) || c == '\n'), "{told:?}");
        assert_eq!(serde_json::from_str::<Json>(&told).unwrap(), json);
    }
}
