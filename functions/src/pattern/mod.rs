//! The patterns of `format`: a small language that shows what is meant. The compiler checks each with [`check`], so that
//! evaluating meets none that cannot be read.

pub mod number;
pub mod time;

/// What a pattern is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// A number.
    Number,
    /// Money of a currency that is not known before.
    Money,
    /// A date.
    Date,
    /// A time of day.
    Time,
    /// An instant.
    Instant,
}

/// What is wrong with a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// How to go on.
    pub help: String,
    /// The pattern that was probably meant.
    pub instead: Option<String>,
}

impl Problem {
    pub(crate) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into(), instead: None }
    }

    pub(crate) fn instead(mut self, pattern: impl Into<String>) -> Self {
        self.instead = Some(pattern.into());
        self
    }
}

/// Tells what is wrong with a pattern for such a value.
///
/// # Errors
/// Where it cannot be read, shows what the value does not have, or is probably not what was meant.
pub fn check(pattern: &str, of: Of) -> Result<(), Problem> {
    match of {
        Of::Number | Of::Money => number::check(pattern, of),
        Of::Date | Of::Time | Of::Instant => time::check(pattern, of),
    }
}

/// Reads a quoted piece that begins behind `'`, and returns it with what follows. Two quotes are one.
fn quoted(rest: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut letters = rest.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        if letter != '\'' {
            out.push(letter);
        } else if letters.peek().is_some_and(|(_, next)| *next == '\'') {
            out.push('\'');
            letters.next();
        } else {
            return Some((out, rest.get(at + 1..)?));
        }
    }
    None
}

fn unclosed() -> Problem {
    Problem::new(
        "a quote in this pattern has no partner",
        "words stand between two single quotes; a quote itself is written twice",
    )
}
