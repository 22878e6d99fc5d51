//! Parameters of the admin API.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use percent_encoding::percent_decode_str;

use crate::server::respond::HttpError;

/// The parameters of a query, all known and none twice.
#[derive(Debug)]
pub(super) struct Params(BTreeMap<String, String>);

/// How many entries a page has by default, and at most.
const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 1000;

impl Params {
    /// Reads a query, in which only these names may stand.
    pub(super) fn read(query: Option<&str>, known: &[&str]) -> Result<Self, HttpError> {
        let mut params = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            if !known.contains(&name.as_ref()) {
                let message = if known.is_empty() {
                    "this address takes no parameters".to_owned()
                } else {
                    format!("this address takes the parameters {}", known.join(", "))
                };
                return Err(HttpError::bad_request("unknown_parameter", message));
            }
            if params.insert(name.into_owned(), value.into_owned()).is_some() {
                return Err(HttpError::bad_request("bad_parameter", "a parameter is there twice"));
            }
        }
        // `?connection=` is the same as none.
        params.retain(|_, value| !value.is_empty());
        Ok(Self(params))
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    pub(super) fn flag(&self, name: &'static str) -> Result<bool, HttpError> {
        match self.0.get(name).map(String::as_str) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(bad(name, "true or false")),
        }
    }

    /// An instant in RFC 3339, a day in UTC, or a time ago: `90 s`, `2h`, `7d`.
    pub(super) fn instant(&self, name: &'static str, now: Timestamp) -> Result<Option<Timestamp>, HttpError> {
        self.0.get(name).map(|text| instant(name, text, now)).transpose()
    }

    pub(super) fn number(&self, name: &'static str) -> Result<Option<u64>, HttpError> {
        self.0.get(name).map(|text| text.parse().map_err(|_| bad(name, "what `next` of the page before says"))).transpose()
    }

    pub(super) fn limit(&self) -> Result<usize, HttpError> {
        match self.0.get("limit").map(|text| text.parse::<usize>()) {
            None => Ok(DEFAULT_LIMIT),
            Some(Ok(limit)) if (1..=MAX_LIMIT).contains(&limit) => Ok(limit),
            Some(_) => Err(bad("limit", "a number from 1 to 1000")),
        }
    }
}

/// Reads an instant in RFC 3339, a day, which begins in UTC, or a time ago.
pub(super) fn instant(name: &'static str, text: &str, now: Timestamp) -> Result<Timestamp, HttpError> {
    let text = text.trim();
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let day = || text.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|day| day.timestamp());
    let ago = || {
        let span = text.parse::<jiff::Span>().ok()?.abs();
        // As times in flow.toml: a day has 24 hours, a month has no length.
        let length = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()?;
        now.checked_sub(length).ok()
    };
    // A date is no length of time, though it begins with digits.
    let is_day = text.len() == 10 && text.as_bytes().get(4) == Some(&b'-');
    let found = if is_day { day() } else { ago() };
    found.ok_or_else(|| {
        bad(name, "an instant such as 2026-11-22T08:00:00Z, a day such as 2026-11-22, or a time ago such as 2h or 7d")
    })
}

fn bad(name: &'static str, expected: &str) -> HttpError {
    HttpError::bad_request("bad_parameter", format!("`{name}` must be {expected}"))
}

/// Returns the decoded segments of a path.
pub(super) fn segments(path: &str) -> Result<Vec<Cow<'_, str>>, HttpError> {
    let decoded = path.split('/').skip(1).map(|segment| percent_decode_str(segment).decode_utf8());
    decoded.collect::<Result<_, _>>().map_err(|_| HttpError::bad_request("bad_path", "the address is not UTF-8"))
}
