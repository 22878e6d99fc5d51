//! Durations and sizes in flow.toml: `"30 days"`, `"1 MiB"`.

/// Parses `"30 seconds"`, `"30s"`, `"1 hour 30 minutes"` into milliseconds; a day has 24 hours here.
pub fn parse_duration(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    let mut total: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(rest.len());
        let number: u64 = rest.get(..digits)?.replace('_', "").parse().ok()?;
        rest = rest.get(digits..)?.trim_start();
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit = match rest.get(..letters)? {
            "ms" | "millisecond" | "milliseconds" => 1,
            "s" | "second" | "seconds" => 1000,
            "m" | "min" | "minute" | "minutes" => 60_000,
            "h" | "hour" | "hours" => 3_600_000,
            "d" | "day" | "days" => 86_400_000,
            "week" | "weeks" => 604_800_000,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = rest.get(letters..)?.trim_start();
    }
    Some(total)
}

/// Parses `"1 MiB"`, `"64 KiB"`, `"500 kB"`, `"1048576"` into bytes.
pub fn parse_size(text: &str) -> Option<usize> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
    let number: usize = text.get(..digits)?.replace('_', "").parse().ok()?;
    let unit = match text.get(digits..)?.trim() {
        "" | "B" | "bytes" => 1,
        "kB" | "KB" => 1000,
        "MB" => 1_000_000,
        "KiB" => 1024,
        "MiB" => 1024 * 1024,
        "GiB" => 1024 * 1024 * 1024,
        _ => return None,
    };
    number.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::{parse_duration, parse_size};

    #[test]
    fn reads_what_people_write() {
        assert_eq!(parse_duration("30 days"), Some(2_592_000_000));
        assert_eq!(parse_duration("1 hour 30 minutes"), Some(5_400_000));
        assert_eq!(parse_duration("250ms"), Some(250));
        assert_eq!(parse_duration("soon"), None);
        assert_eq!(parse_size("1 MiB"), Some(1_048_576));
        assert_eq!(parse_size("99999999999999 GiB"), None);
    }
}
