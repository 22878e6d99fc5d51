//! Time zones by their IANA names, out of the data that is built in.

use std::collections::HashMap;
use std::sync::{LazyLock, PoisonError, RwLock};

use jiff::tz::{TimeZone, TimeZoneDatabase};

/// A time zone.
pub type Zone = TimeZone;

static DATABASE: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);
static KNOWN: LazyLock<RwLock<HashMap<String, TimeZone>>> = LazyLock::new(RwLock::default);

/// Returns the zone of an IANA name: a region with a city, spelled as the database spells it, or `UTC`; `None` for anything
/// else. Abbreviations that the database knows for old times (`EST`, `CET`) are no names here: they are wrong for half of
/// the year, or in half of the places.
pub fn zone(name: &str) -> Option<Zone> {
    if name == "UTC" {
        return Some(TimeZone::UTC);
    }
    if let Some(known) = KNOWN.read().unwrap_or_else(PoisonError::into_inner).get(name) {
        return Some(known.clone());
    }
    if !name.contains('/') {
        return None;
    }
    let found = DATABASE.get(name).ok().filter(|found| found.iana_name() == Some(name))?;
    KNOWN.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), found.clone());
    Some(found)
}

/// What was probably meant by a name that is no zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// The zone; `None` where several are as good.
    pub zone: Option<String>,
    /// Zones, one of which may be meant, the first most probably. Empty where nothing is near.
    pub others: Vec<String>,
    /// What the name is: `abbreviation`, `offset`, or neither.
    pub kind: NameKind,
}

/// What a name that is no zone is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameKind {
    /// `CET`, `EST`, `PST`.
    Abbreviation,
    /// `GMT+1`, `+02:00`.
    Offset,
    /// `Berlin`.
    City,
    /// `europe/paris`.
    Spelling,
    /// Anything else.
    Unknown,
}

/// Abbreviations with the places that use them most.
const ABBREVIATIONS: &[(&str, &[&str])] = &[
    ("CET", &["Europe/Paris", "Europe/Berlin"]),
    ("CEST", &["Europe/Paris", "Europe/Berlin"]),
    ("MET", &["Europe/Berlin"]),
    ("MEZ", &["Europe/Berlin"]),
    ("WET", &["Europe/Lisbon"]),
    ("WEST", &["Europe/Lisbon"]),
    ("EET", &["Europe/Athens", "Europe/Helsinki"]),
    ("EEST", &["Europe/Athens", "Europe/Helsinki"]),
    ("MSK", &["Europe/Moscow"]),
    ("GMT", &["Europe/London", "UTC"]),
    ("BST", &["Europe/London"]),
    ("IST", &["Asia/Kolkata", "Europe/Dublin", "Asia/Jerusalem"]),
    ("EST", &["America/New_York"]),
    ("EDT", &["America/New_York"]),
    ("ET", &["America/New_York"]),
    ("EST5EDT", &["America/New_York"]),
    ("CST", &["America/Chicago", "Asia/Shanghai"]),
    ("CDT", &["America/Chicago"]),
    ("CT", &["America/Chicago"]),
    ("CST6CDT", &["America/Chicago"]),
    ("MST", &["America/Denver", "America/Phoenix"]),
    ("MDT", &["America/Denver"]),
    ("MT", &["America/Denver"]),
    ("MST7MDT", &["America/Denver"]),
    ("PST", &["America/Los_Angeles"]),
    ("PDT", &["America/Los_Angeles"]),
    ("PT", &["America/Los_Angeles"]),
    ("PST8PDT", &["America/Los_Angeles"]),
    ("AKST", &["America/Anchorage"]),
    ("HST", &["Pacific/Honolulu"]),
    ("BRT", &["America/Sao_Paulo"]),
    ("JST", &["Asia/Tokyo"]),
    ("KST", &["Asia/Seoul"]),
    ("HKT", &["Asia/Hong_Kong"]),
    ("SGT", &["Asia/Singapore"]),
    ("AEST", &["Australia/Sydney", "Australia/Brisbane"]),
    ("AEDT", &["Australia/Sydney"]),
    ("ACST", &["Australia/Adelaide"]),
    ("AWST", &["Australia/Perth"]),
    ("NZST", &["Pacific/Auckland"]),
    ("NZDT", &["Pacific/Auckland"]),
    ("SAST", &["Africa/Johannesburg"]),
    ("Z", &["UTC"]),
    ("ZULU", &["UTC"]),
    ("UCT", &["UTC"]),
];

/// Cities that have no zone of their own, and countries that have but one, in lower case.
const PLACES: &[(&str, &str)] = &[
    ("munich", "Europe/Berlin"),
    ("hamburg", "Europe/Berlin"),
    ("frankfurt", "Europe/Berlin"),
    ("cologne", "Europe/Berlin"),
    ("germany", "Europe/Berlin"),
    ("france", "Europe/Paris"),
    ("lyon", "Europe/Paris"),
    ("italy", "Europe/Rome"),
    ("milan", "Europe/Rome"),
    ("spain", "Europe/Madrid"),
    ("barcelona", "Europe/Madrid"),
    ("switzerland", "Europe/Zurich"),
    ("geneva", "Europe/Zurich"),
    ("netherlands", "Europe/Amsterdam"),
    ("england", "Europe/London"),
    ("uk", "Europe/London"),
    ("manchester", "Europe/London"),
    ("edinburgh", "Europe/London"),
    ("japan", "Asia/Tokyo"),
    ("osaka", "Asia/Tokyo"),
    ("kyoto", "Asia/Tokyo"),
    ("india", "Asia/Kolkata"),
    ("mumbai", "Asia/Kolkata"),
    ("delhi", "Asia/Kolkata"),
    ("bangalore", "Asia/Kolkata"),
    ("beijing", "Asia/Shanghai"),
    ("china", "Asia/Shanghai"),
    ("korea", "Asia/Seoul"),
    ("san francisco", "America/Los_Angeles"),
    ("seattle", "America/Los_Angeles"),
    ("san diego", "America/Los_Angeles"),
    ("las vegas", "America/Los_Angeles"),
    ("california", "America/Los_Angeles"),
    ("boston", "America/New_York"),
    ("washington", "America/New_York"),
    ("miami", "America/New_York"),
    ("atlanta", "America/New_York"),
    ("philadelphia", "America/New_York"),
    ("nyc", "America/New_York"),
    ("austin", "America/Chicago"),
    ("dallas", "America/Chicago"),
    ("houston", "America/Chicago"),
    ("montreal", "America/Toronto"),
    ("ottawa", "America/Toronto"),
    ("rio de janeiro", "America/Sao_Paulo"),
    ("brazil", "America/Sao_Paulo"),
    ("canberra", "Australia/Sydney"),
    ("wellington", "Pacific/Auckland"),
    ("new zealand", "Pacific/Auckland"),
    ("cape town", "Africa/Johannesburg"),
    ("local", "UTC"),
];

/// Returns what was probably meant by a name that is no zone. Does not weigh misspellings: whoever asks has a measure.
pub fn suggest(name: &str) -> Suggestion {
    let plain = name.trim().replace([' ', '-'], "_");
    let one = |zone: &str, kind| Suggestion { zone: Some(zone.to_owned()), others: vec![zone.to_owned()], kind };
    if let Some((_, zones)) = ABBREVIATIONS.iter().find(|(known, _)| known.eq_ignore_ascii_case(&plain)) {
        let others: Vec<String> = zones.iter().map(|zone| (*zone).to_owned()).collect();
        let zone = others.first().filter(|_| others.len() == 1).cloned();
        return Suggestion { zone, others, kind: NameKind::Abbreviation };
    }
    if plain.eq_ignore_ascii_case("utc") {
        return one("UTC", NameKind::Spelling);
    }
    if is_offset(name.trim()) {
        return Suggestion { zone: None, others: Vec::new(), kind: NameKind::Offset };
    }
    if let Some(known) = names().find(|known| known.eq_ignore_ascii_case(&plain)) {
        return one(known, NameKind::Spelling);
    }
    let lower = name.trim().to_ascii_lowercase();
    let city = |known: &&str| known.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(&plain));
    // Of several names for a city the first in the list of continents is the one in use: `Asia/Istanbul` is an old one.
    let found = names().filter(city).min_by_key(|known| (rank(known), known.len()));
    if let Some(found) = found.or_else(|| PLACES.iter().find(|(place, _)| *place == lower).map(|(_, zone)| *zone)) {
        return one(found, NameKind::City);
    }
    Suggestion { zone: None, others: Vec::new(), kind: NameKind::Unknown }
}

/// Returns the names of all zones that can be written.
pub fn names() -> impl Iterator<Item = &'static str> {
    static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
        let written = |name: &str| name.contains('/') && !name.starts_with("Etc/") && !name.starts_with("SystemV/");
        let mut names: Vec<String> =
            DATABASE.available().map(|name| name.as_str().to_owned()).filter(|name| written(name)).collect();
        names.sort_unstable();
        names
    });
    NAMES.iter().map(String::as_str)
}

fn rank(name: &str) -> usize {
    const REGIONS: &[&str] = &["Europe/", "America/", "Asia/", "Africa/", "Australia/", "Pacific/", "Atlantic/", "Indian/"];
    REGIONS.iter().position(|region| name.starts_with(region)).unwrap_or(REGIONS.len())
}

/// `GMT+1`, `UTC-05:00`, `+02:00`, `Etc/GMT+3`.
fn is_offset(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let rest = ["ETC/GMT", "ETC/UTC", "GMT", "UTC"].iter().find_map(|prefix| upper.strip_prefix(prefix)).unwrap_or(&upper);
    let rest = rest.trim();
    rest.starts_with(['+', '-', '\u{2212}']) && rest.chars().skip(1).all(|sign| sign.is_ascii_digit() || sign == ':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_database() {
        for name in ["Europe/Paris", "America/Argentina/Buenos_Aires", "UTC", "Pacific/Apia", "Asia/Calcutta"] {
            assert!(zone(name).is_some(), "{name}");
        }
        for name in ["CET", "EST", "Paris", "europe/paris", "utc", "GMT+1", "+01:00", "", "Europe/", "Mars/Olympus"] {
            assert!(zone(name).is_none(), "{name}");
        }
    }

    #[test]
    fn what_is_meant_is_found() {
        for (name, meant) in [
            ("Berlin", "Europe/Berlin"),
            ("new york", "America/New_York"),
            ("europe/paris", "Europe/Paris"),
            ("San Francisco", "America/Los_Angeles"),
            ("EST", "America/New_York"),
            ("utc", "UTC"),
            ("Istanbul", "Europe/Istanbul"),
        ] {
            assert_eq!(suggest(name).zone.as_deref(), Some(meant), "{name}");
        }
        assert_eq!(suggest("CET").others, ["Europe/Paris", "Europe/Berlin"]);
        assert_eq!(suggest("GMT+1").kind, NameKind::Offset);
        assert_eq!(suggest("+02:00").kind, NameKind::Offset);
    }
}
