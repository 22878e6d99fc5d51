//! Patterns for dates and times: `YYYY-MM-DD HH:mm`.

use std::fmt::Write;

use jiff::{Zoned, civil};

use super::{Of, Problem, quoted, unclosed};

/// What is to be shown.
#[derive(Debug, Clone, PartialEq)]
pub enum Moment {
    /// A date.
    Date(civil::Date),
    /// A time of day.
    Time(civil::Time),
    /// An instant on the clocks of a place.
    Local(Zoned),
}

/// A part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Year,
    ShortYear,
    MonthName,
    MonthShort,
    /// With a leading zero or without.
    Month(bool),
    Day(bool),
    WeekdayName,
    WeekdayShort,
    Hour(bool),
    /// To 12.
    Hour12(bool),
    Minute(bool),
    Second(bool),
    Millis,
    /// `am` or `AM`.
    Noon(bool),
    Offset,
    Zone,
    Text(String),
}

const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];

const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// Returns a date or time in the form of a pattern; `None` where the pattern cannot be read, or shows what there is not.
pub fn write(pattern: &str, moment: &Moment) -> Option<String> {
    let parts = read(pattern).ok()?;
    let date = match moment {
        Moment::Date(date) => Some(*date),
        Moment::Time(_) => None,
        Moment::Local(at) => Some(at.date()),
    };
    let time = match moment {
        Moment::Date(_) => None,
        Moment::Time(time) => Some(*time),
        Moment::Local(at) => Some(at.time()),
    };
    let zoned = match moment {
        Moment::Local(at) => Some(at),
        Moment::Date(_) | Moment::Time(_) => None,
    };
    let mut out = String::new();
    for part in &parts {
        part.write(&mut out, date, time, zoned)?;
    }
    Some(out)
}

impl Part {
    fn write(&self, out: &mut String, date: Option<civil::Date>, time: Option<civil::Time>, zoned: Option<&Zoned>) -> Option<()> {
        let mut number = |value: i64, padded: bool| {
            let written = if padded { write!(out, "{value:02}") } else { write!(out, "{value}") };
            written.ok()
        };
        match self {
            Part::Year => return write!(out, "{:04}", date?.year()).ok(),
            Part::ShortYear => return number(i64::from(date?.year().rem_euclid(100)), true),
            Part::Month(padded) => return number(i64::from(date?.month()), *padded),
            Part::Day(padded) => return number(i64::from(date?.day()), *padded),
            Part::Hour(padded) => return number(i64::from(time?.hour()), *padded),
            Part::Hour12(padded) => return number(i64::from((time?.hour() + 11) % 12 + 1), *padded),
            Part::Minute(padded) => return number(i64::from(time?.minute()), *padded),
            Part::Second(padded) => return number(i64::from(time?.second()), *padded),
            Part::Millis => return write!(out, "{:03}", time?.millisecond()).ok(),
            Part::MonthName => out.push_str(month(date?)?),
            Part::MonthShort => out.push_str(month(date?)?.get(..3)?),
            Part::WeekdayName => out.push_str(weekday(date?)?),
            Part::WeekdayShort => out.push_str(weekday(date?)?.get(..3)?),
            Part::Noon(capitals) => out.push_str(match (time?.hour() < 12, capitals) {
                (true, false) => "am",
                (true, true) => "AM",
                (false, false) => "pm",
                (false, true) => "PM",
            }),
            Part::Offset => {
                let seconds = zoned?.offset().seconds();
                let sign = if seconds < 0 { '-' } else { '+' };
                let minutes = seconds.unsigned_abs() / 60;
                return write!(out, "{sign}{:02}:{:02}", minutes / 60, minutes % 60).ok();
            }
            Part::Zone => {
                let at = zoned?;
                out.push_str(at.time_zone().to_offset_info(at.timestamp()).abbreviation());
            }
            Part::Text(text) => out.push_str(text),
        }
        Some(())
    }

    fn is_hour(&self) -> bool {
        matches!(self, Part::Hour(_) | Part::Hour12(_))
    }

    fn is_of_date(&self) -> bool {
        matches!(
            self,
            Part::Year
                | Part::ShortYear
                | Part::MonthName
                | Part::MonthShort
                | Part::Month(_)
                | Part::Day(_)
                | Part::WeekdayName
                | Part::WeekdayShort
        )
    }

    fn is_of_time(&self) -> bool {
        self.is_hour() || matches!(self, Part::Minute(_) | Part::Second(_) | Part::Millis | Part::Noon(_))
    }
}

fn month(date: civil::Date) -> Option<&'static str> {
    MONTHS.get(usize::try_from(date.month() - 1).ok()?).copied()
}

fn weekday(date: civil::Date) -> Option<&'static str> {
    DAYS.get(usize::try_from(date.weekday().to_monday_zero_offset()).ok()?).copied()
}

/// Tells what is wrong with a pattern for a date, a time or an instant.
///
/// # Errors
/// Where it cannot be read, shows what the value does not have, or takes months for minutes.
pub fn check(pattern: &str, of: Of) -> Result<(), Problem> {
    let parts = read(pattern)?;
    if !parts.iter().any(|part| part.is_of_date() || part.is_of_time()) {
        return Err(Problem::new(
            "this pattern shows no part of a date or time",
            "for example `YYYY-MM-DD`, `D MMMM YYYY`, `HH:mm`",
        ));
    }
    if of == Of::Date && parts.iter().any(|part| part.is_of_time() && !matches!(part, Part::Minute(_))) {
        return Err(Problem::new("a date has no time of day", "a date is shown by `YYYY-MM-DD`, `D MMMM YYYY`, `dddd`"));
    }
    if of == Of::Time && parts.iter().any(|part| part.is_of_date() && !matches!(part, Part::Month(_))) {
        return Err(Problem::new("a time of day has no date", "a time is shown by `HH:mm`, `HH:mm:ss`, `h:mm am`"));
    }
    if of != Of::Instant && parts.iter().any(|part| matches!(part, Part::Offset | Part::Zone)) {
        return Err(Problem::new("only an instant has a zone", "`Z` and `z` show it; a date and a time of day have none"));
    }
    months_and_minutes(pattern, &parts, of)?;
    let noon = parts.iter().any(|part| matches!(part, Part::Noon(_)));
    if !noon && parts.iter().any(|part| matches!(part, Part::Hour12(_))) {
        return Err(Problem::new(
            "`hh` counts to 12, and nothing says whether it is morning",
            "`HH` counts to 23; else add `am`, which becomes am or pm: `hh:mm am`",
        )
        .instead(pattern.replace('h', "H")));
    }
    if noon && parts.iter().any(|part| matches!(part, Part::Hour(_))) {
        return Err(
            Problem::new("`HH` counts to 23, so `am` says nothing new", "`h` counts to 12").instead(pattern.replace('H', "h"))
        );
    }
    Ok(())
}

/// `MM` is the month and `mm` the minutes: one of them beside what belongs to the other is a slip.
fn months_and_minutes(pattern: &str, parts: &[Part], of: Of) -> Result<(), Problem> {
    let shown: Vec<&Part> = parts.iter().filter(|part| !matches!(part, Part::Text(_))).collect();
    for (at, part) in shown.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| shown.get(at));
        let behind = shown.get(at + 1);
        match part {
            Part::Month(_) if of == Of::Time || before.is_some_and(|before| before.is_hour()) => {
                return Err(Problem::new("`MM` is the month", "the minutes are `mm`").instead(swapped(
                    pattern,
                    shown.iter().take(at),
                    'M',
                    'm',
                )));
            }
            Part::Minute(_)
                if of == Of::Date
                    || !before.is_some_and(|before| before.is_of_time())
                        && (before.is_some_and(|before| before.is_of_date())
                            || behind.is_some_and(|behind| behind.is_of_date())) =>
            {
                return Err(Problem::new("`mm` are the minutes", "the month is `MM`").instead(swapped(
                    pattern,
                    shown.iter().take(at),
                    'm',
                    'M',
                )));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The pattern with another letter in the run that stands behind the parts `before`.
fn swapped<'a>(pattern: &str, before: impl Iterator<Item = &'a &'a Part>, from: char, to: char) -> String {
    let same = |part: &Part| match part {
        Part::Month(_) | Part::MonthName | Part::MonthShort => Some('M'),
        Part::Minute(_) => Some('m'),
        _ => None,
    };
    let skip = before.filter(|part| same(part) == Some(from)).count();
    let mut out = String::new();
    let (mut runs, mut in_run, mut in_quotes) = (0, false, false);
    for letter in pattern.chars() {
        in_quotes ^= letter == '\'';
        let begins = letter == from && !in_quotes;
        runs += usize::from(begins && !in_run);
        in_run = begins;
        out.push(if begins && runs == skip + 1 { to } else { letter });
    }
    out
}

fn read(pattern: &str) -> Result<Vec<Part>, Problem> {
    if let Some(at) = pattern.find('%')
        && pattern
            .get(at + 1..)
            .and_then(|rest| rest.trim_start_matches('-').chars().next())
            .is_some_and(|c| c.is_ascii_alphabetic())
    {
        return Err(Problem::new("`%` is the way of other languages", "the parts are written without it: `YYYY-MM-DD HH:mm`")
            .instead(from_percent(pattern)));
    }
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut rest = pattern;
    while let Some(letter) = rest.chars().next() {
        if let Some(behind) = rest.strip_prefix('\'') {
            let (quoted, behind) = quoted(behind).ok_or_else(unclosed)?;
            text.push_str(&quoted);
            rest = behind;
            continue;
        }
        let (part, length) = if !letter.is_alphabetic() {
            (None, letter.len_utf8())
        } else if letter == 'T'
            && !rest.get(1..).is_some_and(|behind| behind.starts_with(char::is_alphabetic) && !behind.starts_with(['H', 'h']))
        {
            // `YYYY-MM-DDTHH:mm`
            (None, 1)
        } else {
            let (part, length) = letters(rest, letter, pattern)?;
            (Some(part), length)
        };
        match part {
            Some(part) => {
                if !text.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut text)));
                }
                parts.push(part);
            }
            None => text.push(letter),
        }
        rest = rest.get(length..).unwrap_or("");
    }
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    Ok(parts)
}

/// Reads the part that begins with this letter, and returns it with its length.
fn letters(rest: &str, letter: char, pattern: &str) -> Result<(Part, usize), Problem> {
    for (word, part) in [("am", false), ("pm", false), ("AM", true), ("PM", true), ("a", false), ("A", true)] {
        if let Some(behind) = rest.strip_prefix(word)
            && !behind.starts_with(char::is_alphabetic)
        {
            return Ok((Part::Noon(part), word.len()));
        }
    }
    let length = rest.chars().take_while(|other| *other == letter).count();
    let part = match (letter, length) {
        ('Y' | 'y', 4) => Part::Year,
        ('Y' | 'y', 2) => Part::ShortYear,
        ('M', 4) => Part::MonthName,
        ('M', 3) => Part::MonthShort,
        ('M', 1 | 2) => Part::Month(length == 2),
        ('D' | 'd', 4) => Part::WeekdayName,
        ('D' | 'd', 3) => Part::WeekdayShort,
        ('D' | 'd', 1 | 2) => Part::Day(length == 2),
        ('H', 1 | 2) => Part::Hour(length == 2),
        ('h', 1 | 2) => Part::Hour12(length == 2),
        ('m', 1 | 2) => Part::Minute(length == 2),
        ('s', 1 | 2) => Part::Second(length == 2),
        ('S', 3) => Part::Millis,
        ('Z', 1) => Part::Offset,
        ('z', 1) => Part::Zone,
        _ => {
            let word: String = rest.chars().take_while(|letter| letter.is_alphabetic()).collect();
            let run: String = rest.chars().take(length).collect();
            let problem = Problem::new(
                format!("`{run}` is no part of a date or time"),
                "the parts are YYYY YY, MMMM MMM MM M, DD D, dddd ddd, HH H, hh h, mm, ss, SSS, am, Z, z; words stand in single quotes",
            );
            let weekday = match (letter, length) {
                ('E' | 'e', 4) => Some("dddd"),
                ('E' | 'e', _) => Some("ddd"),
                _ => None,
            };
            return Err(match weekday {
                Some(day) => problem.instead(pattern.replacen(&run, day, 1)),
                None if length == 1 && word.chars().count() > 1 => {
                    problem.instead(pattern.replacen(&word, &format!("'{word}'"), 1))
                }
                None => problem,
            });
        }
    };
    Ok((part, length))
}

/// A pattern of `strftime` in the form of the language.
fn from_percent(pattern: &str) -> String {
    let mut out = String::new();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        let mut code = letters.next();
        let bare = code == Some('-');
        if bare {
            code = letters.next();
        }
        out.push_str(match (code, bare) {
            (Some('Y'), _) => "YYYY",
            (Some('y'), _) => "YY",
            (Some('m'), false) => "MM",
            (Some('m'), true) => "M",
            (Some('d'), false) => "DD",
            (Some('d' | 'e'), _) => "D",
            (Some('B'), _) => "MMMM",
            (Some('b' | 'h'), _) => "MMM",
            (Some('A'), _) => "dddd",
            (Some('a'), _) => "ddd",
            (Some('H'), false) => "HH",
            (Some('H' | 'k'), _) => "H",
            (Some('I'), false) => "hh",
            (Some('I' | 'l'), _) => "h",
            (Some('M'), _) => "mm",
            (Some('S'), _) => "ss",
            (Some('p'), _) => "AM",
            (Some('P'), _) => "am",
            (Some('z'), _) => "Z",
            (Some('Z'), _) => "z",
            (Some('F'), _) => "YYYY-MM-DD",
            (Some('T'), _) => "HH:mm:ss",
            (Some('R'), _) => "HH:mm",
            _ => "",
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pattern: &str, at: &str) -> String {
        write(pattern, &Moment::Local(at.parse().unwrap())).unwrap()
    }

    #[test]
    fn shows_instants_as_the_pattern_does() {
        let at = "2026-03-05T00:07:09.045+01:00[Europe/Paris]";
        for (pattern, expected) in [
            ("YYYY-MM-DD HH:mm:ss.SSS", "2026-03-05 00:07:09.045"),
            ("yyyy-MM-ddTHH:mmZ", "2026-03-05T00:07+01:00"),
            ("D/M/YY", "5/3/26"),
            ("ddd D MMM, h:mm a", "Thu 5 Mar, 12:07 am"),
            ("dddd 'the' D. MMMM", "Thursday the 5. March"),
            ("H'h'mm z", "0h07 CET"),
            ("hh:mm PM", "12:07 AM"),
            ("HH 'o''clock'", "00 o'clock"),
        ] {
            assert_eq!(check(pattern, Of::Instant), Ok(()), "{pattern}");
            assert_eq!(shown(pattern, at), expected, "{pattern}");
        }
    }

    #[test]
    fn tells_what_was_probably_meant() {
        for (pattern, of, instead) in [
            ("%Y-%m-%d %H:%M", Of::Instant, Some("YYYY-MM-DD HH:mm")),
            ("YYYY-mm-DD", Of::Instant, Some("YYYY-MM-DD")),
            ("YYYY-mm-DD", Of::Date, Some("YYYY-MM-DD")),
            ("YYYY-MM-DD HH:MM", Of::Instant, Some("YYYY-MM-DD HH:mm")),
            ("HH:MM", Of::Time, Some("HH:mm")),
            ("hh:mm", Of::Instant, Some("HH:mm")),
            ("HH:mm am", Of::Instant, Some("hh:mm am")),
            ("EEEE", Of::Date, Some("dddd")),
            ("D of MMMM", Of::Date, Some("D 'of' MMMM")),
            ("HH:mm", Of::Date, None),
            ("YYYY", Of::Time, None),
            ("Z", Of::Date, None),
            ("--", Of::Date, None),
            ("'open", Of::Date, None),
        ] {
            assert_eq!(check(pattern, of).unwrap_err().instead.as_deref(), instead, "{pattern}");
        }
    }
}
