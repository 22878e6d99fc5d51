//! What a person sees of a test run: a line for what failed, with the calls that were made.

use std::fmt::Write;
use std::time::Duration;

use flow::output;
use flow::terminal::{colour_on_stdout, printable};
use flow_plan::Value;
use flow_runtime::sim::{Failure, MadeCall, TestReport};

use super::Ran;

/// Longer values are cut.
const LONGEST: usize = 120;
/// More calls are counted, not shown.
const MOST_CALLS: usize = 50;

pub(super) fn print(ran: &[Ran], all: usize, took: Duration) {
    let colours = colour_on_stdout();
    let paint = |text: &str, code: &str| if colours { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() };
    let mut out = String::new();
    let mut file = "";
    for one in ran {
        if one.test.file != file {
            file = &one.test.file;
            let _ = writeln!(out, "{}", printable(file));
        }
        let mark = if one.passed() { paint("ok  ", "32") } else { paint("FAIL", "31;1") };
        let _ = writeln!(out, "  {mark}  {}", printable(&one.test.title));
        match &one.outcome {
            Ok(report) if report.failures.is_empty() => {}
            Ok(report) => failed(&mut out, one, report),
            Err(trouble) => {
                if let Some(step) = trouble.step.and_then(|at| one.test.steps.get(at)) {
                    let _ = writeln!(out, "        {}:{}  {}", printable(file), step.line, printable(&step.text));
                }
                let _ = writeln!(out, "        {}", printable(&trouble.message));
            }
        }
    }
    let failed = ran.iter().filter(|one| !one.passed()).count();
    let left_out = all - ran.len();
    if all > 0 {
        let mut summary = format!("{} passed, {failed} failed", ran.len() - failed);
        if left_out > 0 {
            let _ = write!(summary, ", {left_out} left out");
        }
        let _ = writeln!(out, "\n{} in {} ms", if failed > 0 { paint(&summary, "31;1") } else { summary }, took.as_millis());
    }
    output::out(&out);
}

fn failed(out: &mut String, one: &Ran, report: &TestReport) {
    for failure in &report.failures {
        match failure.step.and_then(|at| one.test.steps.get(at)) {
            Some(step) => {
                let _ = writeln!(out, "        {}:{}  {}", printable(&one.test.file), step.line, printable(&step.text));
                let _ = writeln!(out, "          {}", printable(&failure.message));
            }
            None => {
                let _ = writeln!(out, "        {}", printable(&failure.message));
                if failure.message.ends_with("no line expects it") {
                    let _ =
                        writeln!(out, "          (add an `expect`, or `expect anything else` where the rest does not matter)");
                }
            }
        }
        for note in &failure.notes {
            let _ = writeln!(out, "          {}", printable(note));
        }
        differences(out, failure);
    }
    let _ = writeln!(out, "        calls made:{}", if report.calls.is_empty() { " none" } else { "" });
    for call in report.calls.iter().take(MOST_CALLS) {
        let _ = writeln!(out, "          {}", line(call));
    }
    if report.calls.len() > MOST_CALLS {
        let _ = writeln!(out, "          … and {} more", report.calls.len() - MOST_CALLS);
    }
}

fn differences(out: &mut String, failure: &Failure) {
    for (at, differences) in failure.differences.iter().enumerate() {
        if differences.is_empty() {
            continue;
        }
        if failure.differences.len() > 1 {
            let _ = writeln!(out, "          call {}:", at + 1);
        }
        for difference in differences {
            let _ = writeln!(out, "            {}", printable(&difference.input));
            let _ = writeln!(out, "              - expected {}", shown(&difference.expected));
            let _ = writeln!(out, "              + found    {}", shown(&difference.found));
        }
    }
}

/// A call in one line: `2026-01-05 12:00:00  kustomer.create_conversation { priority: 3 }`.
fn line(call: &MadeCall) -> String {
    let given: Vec<String> = call
        .inputs
        .iter()
        .filter(|(_, value)| !value.is_missing())
        .map(|(name, value)| format!("{}: {}", printable(name), shown(value)))
        .collect();
    let at = call.at.strftime("%Y-%m-%d %H:%M:%S");
    let mut line = format!("{at}  {}", printable(&call.name));
    if !given.is_empty() {
        let _ = write!(line, " {{ {} }}", given.join(", "));
    }
    let mut notes = Vec::new();
    if call.times > 1 {
        notes.push(format!("{} times", call.times));
    }
    if call.filled_in {
        notes.push("filled in".to_owned());
    } else if call.reads {
        notes.push("asks only".to_owned());
    }
    if !notes.is_empty() {
        let _ = write!(line, "  ({})", notes.join(", "));
    }
    line
}

/// A value as a flow would write it.
pub(super) fn shown(value: &Value) -> String {
    let text = match value {
        Value::Missing => "missing".to_owned(),
        Value::Text(text) => format!("\"{}\"", printable(text)),
        Value::List(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
        Value::Record(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(name, value)| format!("{}: {}", printable(name), shown(value))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        other => printable(&other.to_string()),
    };
    match text.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}
