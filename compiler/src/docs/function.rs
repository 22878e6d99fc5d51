//! Pages about the standard functions, from their register.

use std::fmt::Write;

use flow_functions::{Habit, Spec, Subject};

use super::line;
use crate::suggest::nearest;

/// Returns the functions by subject.
pub(super) fn index() -> String {
    let mut out = String::from("# Functions\n");
    for subject in Subject::ALL {
        let _ = write!(out, "\n## {}\n\n", subject.title());
        for spec in flow_functions::ALL.iter().filter(|spec| spec.subject == *subject) {
            line(&mut out, &spec.signature(), spec.brief);
        }
    }
    out.push_str("\nWhat a function needs and is missing, and what it cannot compute, makes its result missing.\n");
    out.push_str("`flowc docs functions.NAME` shows one of them with examples.\n");
    out
}

/// Returns the page of one function.
pub(super) fn page(spec: &Spec) -> String {
    let mut out = format!("# {}\n\n    {}\n\n{}.\n", spec.name, spec.signature(), capital(spec.brief));
    if !spec.docs.is_empty() {
        let _ = write!(out, "\n{}\n", spec.docs);
    }
    out.push_str("\n## Examples\n\n");
    let width = spec.examples.iter().map(|example| example.0.chars().count()).max().unwrap_or(0);
    for example in spec.examples {
        let _ = writeln!(out, "    {:width$}  # {}", example.0, example.1);
    }
    out
}

/// Returns the whole reference: every function with its text and examples, as docs/language/functions.md has it.
pub fn functions_reference() -> String {
    let mut out = String::from(INTRODUCTION);
    for subject in Subject::ALL {
        let _ = write!(out, "\n## {}\n", subject.title());
        for spec in flow_functions::ALL.iter().filter(|spec| spec.subject == *subject) {
            let _ = write!(out, "\n### {}\n\n`{}`\n\n{}.", spec.name, spec.signature(), capital(spec.brief));
            if !spec.docs.is_empty() {
                let _ = write!(out, " {}", spec.docs);
            }
            out.push_str("\n\n| example | gives |\n|---|---|\n");
            for example in spec.examples {
                let cell = |text: &str| text.replace('|', "\\|");
                let _ = writeln!(out, "| `{}` | `{}` |", cell(example.0), cell(example.1));
            }
        }
    }
    out
}

const INTRODUCTION: &str = include_str!("functions.md");

/// Returns the function that was probably meant, by its name here or elsewhere.
pub(super) fn near(name: &str) -> Option<&'static str> {
    match flow_functions::habit(name) {
        Some(Habit::Is(known) | Habit::Like(known, _)) => Some(known),
        _ => nearest(name, flow_functions::ALL.iter().map(|spec| spec.name)),
    }
}

/// A sentence begins with a capital.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
