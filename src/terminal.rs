//! What the terminal can do: colours and width.

use std::io::IsTerminal;

use flow_compiler::report::Style;

/// Returns the style for reports on standard error: colours only on a terminal, and not where `NO_COLOR` is set.
pub fn report_style() -> Style {
    let colours = std::io::stderr().is_terminal() && wants_colour();
    Style { colours, width: width() }
}

/// Tells whether standard output is a terminal that wants colours.
pub fn colour_on_stdout() -> bool {
    std::io::stdout().is_terminal() && wants_colour()
}

fn wants_colour() -> bool {
    // https://no-color.org: any value that is not empty.
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && std::env::var("TERM").map_or(true, |term| term != "dumb")
}

fn width() -> usize {
    std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).unwrap_or(110).clamp(60, 200)
}

/// Returns `text` without control characters: what comes from outside must not steer a terminal.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}

/// As [`printable`], for a text of several lines, which stay.
pub fn printable_lines(text: &str) -> String {
    text.chars().map(|c| if steers(c) && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c }).collect()
}

/// Control characters, and those that end lines or turn the direction of a text.
pub(crate) fn steers(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns
}
