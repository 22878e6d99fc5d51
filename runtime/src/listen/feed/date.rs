//! The dates of feeds: RFC 822 with its variations, RFC 3339, and what comes near.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::tz::TimeZone;

/// Returns the instant that a date means; `None` where nobody can say.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let rfc822 = |text: &str| DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text).ok();
    // Zones that the standard does not name would count as the one of the wire.
    let zones = [("CET", "+0100"), ("CEST", "+0200"), ("BST", "+0100"), ("JST", "+0900")];
    let named = zones.iter().find_map(|(name, offset)| Some(format!("{} {offset}", text.strip_suffix(name)?.trim_end())));
    let text = named.unwrap_or(text);
    if let Some(at) = text.parse().ok().or_else(|| rfc822(&text)) {
        return Some(at);
    }
    // A name of the day that is no name.
    let without_day = text.split_once(", ").map_or(text.as_str(), |(_, rest)| rest);
    if let Some(at) = rfc822(without_day) {
        return Some(at);
    }
    for (name, offset) in [("UTC", "+0000"), ("Z", "+0000")] {
        if let Some(before) = without_day.strip_suffix(name)
            && let Some(at) = rfc822(&format!("{} {offset}", before.trim_end()))
        {
            return Some(at);
        }
    }
    // What says no zone is of none: the one of the wire.
    let utc = |civil: DateTime| civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    if let Ok(civil) = text.replacen(' ', "T", 1).parse::<DateTime>() {
        return utc(civil);
    }
    text.parse::<Date>().ok().and_then(|date| utc(date.at(0, 0, 0, 0)))
}

#[cfg(test)]
mod tests {
    #[test]
    fn dates_are_read_as_feeds_write_them() {
        for (text, wanted) in [
            ("Sat, 07 Sep 2002 00:00:01 GMT", Some("2002-09-07T00:00:01Z")),
            ("Sat, 07 Sep 2002 00:00:01 EST", Some("2002-09-07T05:00:01Z")),
            ("07 Sep 2002 00:00:01 +0200", Some("2002-09-06T22:00:01Z")),
            ("Mon, 07 Sep 2002 00:00:01 GMT", Some("2002-09-07T00:00:01Z")),
            ("Samstag, 07 Sep 2002 00:00:01 GMT", Some("2002-09-07T00:00:01Z")),
            ("Sat, 07 Sep 2002 00:00:01 CEST", Some("2002-09-06T22:00:01Z")),
            ("  Sat, 07 Sep 2002\n 00:00:01 UTC ", Some("2002-09-07T00:00:01Z")),
            ("2003-12-13T18:30:02.25+01:00", Some("2003-12-13T17:30:02.25Z")),
            ("2003-12-13 18:30:02", Some("2003-12-13T18:30:02Z")),
            ("2003-12-13", Some("2003-12-13T00:00:00Z")),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(super::parse(text).map(|at| at.to_string()).as_deref(), wanted, "{text:?}");
        }
    }
}
