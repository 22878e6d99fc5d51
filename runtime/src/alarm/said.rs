//! What was said in the log a moment ago: of many deaths of a flow the first few, and now and then how many there were.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

/// So many lines about one flow within [`WITHIN`].
const LINES: u32 = 10;
const WITHIN: SignedDuration = SignedDuration::from_mins(10);
/// Of so many flows is it remembered.
const MOST_FLOWS: usize = 10_000;

/// What was said, by flow.
#[derive(Debug, Default)]
pub(crate) struct Said(HashMap<String, Lines>);

#[derive(Debug)]
struct Lines {
    from: Timestamp,
    said: u32,
    unsaid: u64,
}

/// Whether a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    /// It is; so many before it were not.
    Says {
        /// How many were not said.
        unsaid: u64,
    },
    /// It is the last one for a while.
    Last,
    /// It is not.
    Silent,
}

impl Said {
    /// Counts a line about a flow.
    pub(crate) fn line(&mut self, flow: &str, now: Timestamp) -> Line {
        if self.0.len() >= MOST_FLOWS && !self.0.contains_key(flow) {
            self.0.retain(|_, lines| now.duration_since(lines.from).abs() < WITHIN);
        }
        let lines = self.0.entry(flow.to_owned()).or_insert(Lines { from: now, said: 0, unsaid: 0 });
        let mut unsaid = 0;
        if now.duration_since(lines.from).abs() >= WITHIN {
            unsaid = std::mem::replace(lines, Lines { from: now, said: 0, unsaid: 0 }).unsaid;
        }
        if lines.said >= LINES {
            lines.unsaid += 1;
            return Line::Silent;
        }
        lines.said += 1;
        if lines.said == LINES { Line::Last } else { Line::Says { unsaid } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_ten_and_how_many_there_were() {
        let (mut said, noon) = (Said::default(), "2026-11-22T12:00:00Z".parse::<Timestamp>().unwrap());
        let lines: Vec<Line> = (0..1000).map(|_| said.line("f", noon)).collect();
        assert_eq!(lines.iter().filter(|line| **line != Line::Silent).count(), 10);
        assert_eq!(lines[9], Line::Last);
        assert_eq!(said.line("g", noon), Line::Says { unsaid: 0 });
        assert_eq!(said.line("f", noon + WITHIN), Line::Says { unsaid: 990 });
    }
}
