//! A test run as JUnit XML, which CI systems read: <https://github.com/testmoapp/junitxml>.

use std::fmt::Write;
use std::time::Duration;

use super::Ran;
use super::human::shown;

pub(super) fn document(ran: &[Ran], took: Duration) -> String {
    let failed = ran.iter().filter(|one| !one.passed()).count();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(out, "<testsuites tests=\"{}\" failures=\"{failed}\" time=\"{:.3}\">", ran.len(), took.as_secs_f64());
    for tests in ran.chunk_by(|left, right| left.test.file == right.test.file) {
        let Some(first) = tests.first() else { continue };
        let failed = tests.iter().filter(|one| !one.passed()).count();
        let time: Duration = tests.iter().map(|one| one.took).sum();
        let file = escaped(&first.test.file);
        let _ = writeln!(
            out,
            "  <testsuite name=\"{file}\" tests=\"{}\" failures=\"{failed}\" time=\"{:.3}\">",
            tests.len(),
            time.as_secs_f64()
        );
        for one in tests {
            let _ = write!(
                out,
                "    <testcase name=\"{}\" classname=\"{file}\" file=\"{file}\" line=\"{}\" time=\"{:.3}\"",
                escaped(&one.test.title),
                one.test.line,
                one.took.as_secs_f64()
            );
            match failure(one) {
                Some((message, text)) => {
                    let (message, text) = (escaped(&message), escaped(&text));
                    let _ = writeln!(out, ">\n      <failure message=\"{message}\">{text}</failure>\n    </testcase>");
                }
                None => out.push_str("/>\n"),
            }
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

/// The first thing that is wrong, and all of it.
fn failure(one: &Ran) -> Option<(String, String)> {
    let report = match &one.outcome {
        Ok(report) => report,
        Err(trouble) => return Some((trouble.message.clone(), trouble.message.clone())),
    };
    let first = report.failures.first()?;
    let mut text = String::new();
    for failure in &report.failures {
        if let Some(step) = failure.step.and_then(|at| one.test.steps.get(at)) {
            let _ = writeln!(text, "{}:{}: {}", one.test.file, step.line, step.text);
        }
        let _ = writeln!(text, "{}", failure.message);
        for note in &failure.notes {
            let _ = writeln!(text, "  {note}");
        }
        for difference in failure.differences.iter().flatten() {
            let (expected, found) = (shown(&difference.expected), shown(&difference.found));
            let _ = writeln!(text, "  {}: expected {expected}, found {found}", difference.input);
        }
    }
    Some((first.message.clone(), text))
}

/// XML 1.0 knows no control characters, not even escaped ones.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
