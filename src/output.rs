//! Data to standard output, the rest to standard error. A reader that goes away (`flowc docs | head`) is no error.

use std::io::Write;

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

/// Writes a line to standard error.
pub fn err(text: &str) {
    let mut stderr = std::io::stderr().lock();
    if writeln!(stderr, "{text}").is_err() {
        // As above.
    }
}
