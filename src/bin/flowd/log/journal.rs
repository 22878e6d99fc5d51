//! Lines of the log to systemd's journal, by its native protocol: each field of a line is a field of the entry.
//!
//! The crates that speak it put the message alone into `MESSAGE`; `journalctl` shows nothing else, so that a reader would see
//! that a file is broken and not which one. Here the message says the fields as well.

use std::fmt::{self, Write};
use std::os::unix::net::UnixDatagram;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Where the journal listens.
const SOCKET: &str = "/run/systemd/journal/socket";
/// What a field is cut to, so that an entry fits into one datagram.
const MOST: usize = 16 * 1024;
/// What our own fields begin with: `journalctl FLOW_CONNECTION=stripe`.
const PREFIX: &str = "FLOW_";

/// Sends what is logged to the journal.
pub(super) struct Journal {
    socket: UnixDatagram,
}

impl Journal {
    /// # Errors
    /// Where the journal does not listen.
    pub(super) fn connect() -> std::io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(SOCKET)?;
        Ok(Self { socket })
    }
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        let mut entry = Vec::with_capacity(256);
        add(&mut entry, "PRIORITY", priority(*event.metadata().level()));
        add(&mut entry, "SYSLOG_IDENTIFIER", "flowd");
        add(&mut entry, "MESSAGE", &format!("{}{}", line.message, line.shown));
        add(&mut entry, "TARGET", event.metadata().target());
        for (name, value) in &line.fields {
            add(&mut entry, name, value);
        }
        // A line that cannot be written is lost, and harms nothing else.
        drop(self.socket.send(&entry));
    }
}

/// The levels of syslog.
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        Level::DEBUG | Level::TRACE => "7",
    }
}

/// Adds a field in the form that any text may have: name, length, text.
fn add(entry: &mut Vec<u8>, name: &str, value: &str) {
    let end = (0..=value.len().min(MOST)).rev().find(|end| value.is_char_boundary(*end)).unwrap_or(0);
    let value = &value.as_bytes()[..end];
    entry.extend(name.as_bytes());
    entry.push(b'\n');
    entry.extend((value.len() as u64).to_le_bytes());
    entry.extend(value);
    entry.push(b'\n');
}

/// What an event says.
#[derive(Default)]
struct Line {
    message: String,
    /// The fields as a person reads them behind the message.
    shown: String,
    fields: Vec<(String, String)>,
}

impl Line {
    fn field(&mut self, field: &Field, shown: &dyn fmt::Debug, value: String) {
        let written = write!(self.shown, " {}={shown:?}", field.name());
        debug_assert!(written.is_ok(), "writing to a text does not fail");
        // The journal takes upper case, digits and underscores.
        let name = field.name().bytes().map(|byte| match byte.to_ascii_uppercase() {
            letter @ (b'A'..=b'Z' | b'0'..=b'9') => char::from(letter),
            _ => '_',
        });
        self.fields.push((PREFIX.chars().chain(name).collect(), value));
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" { self.message = value.to_owned() } else { self.field(field, &value, value.to_owned()) }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" { self.message = text } else { self.field(field, value, text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_a_name_a_length_and_any_text_cut_between_characters() {
        let mut entry = Vec::new();
        add(&mut entry, "FLOW_REASON", "two\nlines");
        assert_eq!(entry, b"FLOW_REASON\n\x09\0\0\0\0\0\0\0two\nlines\n");
        let mut long = Vec::new();
        add(&mut long, "A", &"€".repeat(MOST));
        let length = u64::from_le_bytes(long[2..10].try_into().unwrap());
        assert!(length as usize <= MOST && length % 3 == 0, "{length}");
    }
}
