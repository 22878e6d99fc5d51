//! A name that is no time zone, in flows and in flow.toml.

use std::sync::Arc;

use flow_grammar::span::Span;
use flow_schedule::NameKind;

use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::suggest::nearest;

/// Says what is meant where a name is no time zone; `span` is the text with its quotes.
pub(crate) fn unknown(file: &Arc<str>, span: Span, name: &str) -> Diagnostic {
    let mut meant = flow_schedule::suggest(name);
    if meant.others.is_empty()
        && meant.kind == NameKind::Unknown
        && let Some(found) = near(name)
    {
        meant.others.push(found.to_owned());
    }
    let (label, help) = match meant.kind {
        NameKind::Abbreviation if meant.zone.is_none() => (
            Some("an abbreviation, which several places use"),
            "name the place whose clocks count; its summer time is known then too",
        ),
        NameKind::Abbreviation => {
            (Some("an abbreviation: it says nothing about summer time"), "name the place whose clocks count")
        }
        NameKind::Offset => (
            Some("a distance from UTC: it says nothing about summer time"),
            "name the place whose clocks count, such as \"Europe/Paris\" or \"Asia/Tokyo\"; without summer time, and counted in UTC, it is \"UTC\"",
        ),
        NameKind::City => (None, "a zone is a region with a city of it, as in the IANA database"),
        NameKind::Spelling => (None, "zones are spelled as in the IANA database"),
        NameKind::Unknown => (None, "a zone is an IANA name: a region with a city, such as \"Europe/Paris\" or \"Asia/Tokyo\""),
    };
    let mut diagnostic = Diagnostic::new(Code::E601, file, span, format!("there is no time zone `{name}`")).help(help);
    if let Some(label) = label {
        diagnostic = diagnostic.label(label);
    }
    for zone in meant.others.iter().take(3) {
        // Only another spelling of one name means the same for certain.
        let safe = meant.kind == NameKind::Spelling;
        diagnostic = diagnostic.fix(format!("\"{zone}\""), span, format!("\"{zone}\""), safe);
    }
    diagnostic
}

/// The zone that a name is a slip of: of the whole name, or of its city.
fn near(name: &str) -> Option<&'static str> {
    let plain = name.trim().replace(' ', "_");
    if plain.contains('/') {
        return nearest(&plain, flow_schedule::names());
    }
    let city = |zone: &'static str| zone.rsplit('/').next().unwrap_or(zone);
    let found = nearest(&plain, flow_schedule::names().map(city))?;
    flow_schedule::suggest(found).zone.and_then(|zone| flow_schedule::names().find(|known| *known == zone))
}
