//! Time zones by their IANA names, out of the data that is built in.

use std::collections::HashMap;
use std::sync::{LazyLock, PoisonError, RwLock};

use jiff::tz::{TimeZone, TimeZoneDatabase};

/// A time zone.
pub type Zone = TimeZone;

static KNOWN: LazyLock<RwLock<HashMap<String, TimeZone>>> = LazyLock::new(RwLock::default);

/// Returns the zone of an IANA name; `None` for anything else.
pub fn zone(name: &str) -> Option<Zone> {
    if name.eq_ignore_ascii_case("utc") {
        return Some(TimeZone::UTC);
    }
    if let Some(known) = KNOWN.read().unwrap_or_else(PoisonError::into_inner).get(name) {
        return Some(known.clone());
    }
    let found = TimeZoneDatabase::bundled().get(name).ok()?;
    // In other capitals a name is found as well, but not kept: those that exist are few.
    if found.iana_name() == Some(name) {
        KNOWN.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), found.clone());
    }
    Some(found)
}
