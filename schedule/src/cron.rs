//! `every cron "…"`: five fields with the meaning that Vixie cron gave them.
//!
//! Minute, hour, day of the month, month, day of the week. A list of ranges with steps each; names of months and days; 7 is
//! Sunday too. Where neither day field begins with `*`, one of the two suffices; a rule whose minute or hour field begins
//! with `*` goes with the clock at changes. Source: crontab(5) and `entry.c`, `cron.c` of Vixie cron 4.1.

use std::ops::Range;

use crate::calendar::{DayRule, Times};

/// A cron rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    pub(crate) days: DayRule,
    pub(crate) times: Times,
    /// It goes with the clock: a field for minutes or hours begins with `*`.
    pub(crate) follows: bool,
}

/// Why a text is no cron rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CronError {
    /// Where in the text, in bytes.
    pub at: Range<usize>,
    /// What is wrong.
    pub mistake: CronMistake,
}

/// What can be wrong in a cron rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CronMistake {
    /// Another number of fields than five.
    Fields(usize),
    /// `@reboot` and other words that are no time.
    Macro(String),
    /// A part that is neither number, name, range nor step.
    Word {
        /// The part.
        word: String,
        /// The field: `minute`.
        field: &'static str,
    },
    /// A number outside its field's range.
    Range {
        /// The number.
        number: u64,
        /// The field.
        field: &'static str,
        /// The least.
        low: u8,
        /// The greatest.
        high: u8,
    },
    /// A range that ends before it begins.
    Backwards {
        /// The range as written.
        range: String,
        /// The field.
        field: &'static str,
    },
    /// A step of 0.
    Step(&'static str),
    /// A sign of other schedulers: `?`, `L`, `W`, `#`.
    Foreign {
        /// The sign.
        sign: char,
        /// The field.
        field: &'static str,
    },
    /// No day is meant, such as 31 February.
    Never,
}

struct Field {
    name: &'static str,
    low: u8,
    high: u8,
    names: &'static [&'static str],
}

const MONTHS: &[&str] = &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const FIELDS: [Field; 5] = [
    Field { name: "minute", low: 0, high: 59, names: &[] },
    Field { name: "hour", low: 0, high: 23, names: &[] },
    Field { name: "day of the month", low: 1, high: 31, names: &[] },
    Field { name: "month", low: 1, high: 12, names: MONTHS },
    Field { name: "day of the week", low: 0, high: 7, names: WEEKDAYS },
];

impl Cron {
    /// Reads a rule.
    ///
    /// # Errors
    /// Where the text is no rule, or means no day at all.
    pub fn parse(text: &str) -> Result<Cron, CronError> {
        let trimmed = text.trim();
        let offset = text.len() - text.trim_start().len();
        if let Some(word) = trimmed.strip_prefix('@') {
            let fields = match word.to_ascii_lowercase().as_str() {
                "yearly" | "annually" => "0 0 1 1 *",
                "monthly" => "0 0 1 * *",
                "weekly" => "0 0 * * 0",
                "daily" | "midnight" => "0 0 * * *",
                "hourly" => "0 * * * *",
                _ => {
                    let mistake = CronMistake::Macro(trimmed.to_owned());
                    return Err(CronError { at: offset..offset + trimmed.len(), mistake });
                }
            };
            return Self::parse(fields);
        }
        let words = words(text);
        let [minute, hour, day, month, weekday] = words.as_slice() else {
            return Err(CronError { at: offset..offset + trimmed.len(), mistake: CronMistake::Fields(words.len()) });
        };
        let [of_minute, of_hour, of_day, of_month, of_weekday] = &FIELDS;
        let minutes = bits(text, minute, of_minute)?;
        let hours = bits(text, hour, of_hour)?;
        let days = bits(text, day, of_day)?;
        let months = bits(text, month, of_month)?;
        let mut weekdays = bits(text, weekday, of_weekday)?;
        if weekdays >> 7 & 1 == 1 {
            weekdays |= 1;
        }
        let starred = |range: &Range<usize>| text.get(range.clone()).is_some_and(|field| field.starts_with('*'));
        let days = DayRule::Cron { days, months, weekdays, either: !starred(day) && !starred(weekday) };
        // The calendar repeats after 400 years, and the rarest days that exist come within 50.
        if days.next(jiff::civil::Date::constant(2000, 1, 1)).is_none() {
            return Err(CronError { at: day.start..month.end, mistake: CronMistake::Never });
        }
        Ok(Cron { days, times: Times::Fields { minutes, hours }, follows: starred(minute) || starred(hour) })
    }
}

/// The words of a text with their places.
fn words(text: &str) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut start = None;
    for (at, sign) in text.char_indices() {
        match (sign.is_whitespace(), start) {
            (false, None) => start = Some(at),
            (true, Some(from)) => {
                words.push(from..at);
                start = None;
            }
            (false, Some(_)) | (true, None) => {}
        }
    }
    words.extend(start.map(|from| from..text.len()));
    words
}

/// The numbers of a field as bits.
fn bits(text: &str, range: &Range<usize>, field: &Field) -> Result<u64, CronError> {
    let mut bits = 0;
    let mut at = range.start;
    for part in text.get(range.clone()).unwrap_or_default().split(',') {
        let place = at..at + part.len();
        at = place.end + 1;
        bits |= part_bits(part, &place, field)?;
    }
    Ok(bits)
}

fn part_bits(part: &str, place: &Range<usize>, field: &Field) -> Result<u64, CronError> {
    let fail = |mistake| Err(CronError { at: place.clone(), mistake });
    let number = |word: &str| number(word, part, place, field);
    let (range, step) = match part.split_once('/') {
        Some((range, step)) => match step.parse::<u8>() {
            Ok(0) => return fail(CronMistake::Step(field.name)),
            Ok(step) => (range, step),
            Err(_) if !step.is_empty() && step.bytes().all(|b| b.is_ascii_digit()) => (range, u8::MAX),
            Err(_) => return fail(CronMistake::Word { word: part.to_owned(), field: field.name }),
        },
        None => (part, 1),
    };
    let (low, high) = if range == "*" {
        (field.low, field.high)
    } else if let Some((low, high)) = range.split_once('-') {
        let (low, mut high) = (number(low)?, number(high)?);
        // `fri-sun`: a range of days ends with the Sunday that is 7.
        if field.high == 7 && high == 0 && low > 0 {
            high = 7;
        }
        if low > high {
            return fail(CronMistake::Backwards { range: range.to_owned(), field: field.name });
        }
        (low, high)
    } else {
        let low = number(range)?;
        // `5/15` is no range in cron, and steps belong to ranges: from there to the end, as newer ones read it.
        (low, if part.contains('/') { field.high } else { low })
    };
    Ok((low..=high).step_by(usize::from(step)).fold(0, |bits, number| bits | 1 << number))
}

fn number(word: &str, part: &str, place: &Range<usize>, field: &Field) -> Result<u8, CronError> {
    let fail = |mistake| Err(CronError { at: place.clone(), mistake });
    if !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()) {
        let number = word.parse::<u64>().unwrap_or(u64::MAX);
        return match u8::try_from(number) {
            Ok(small) if (field.low..=field.high).contains(&small) => Ok(small),
            _ => fail(CronMistake::Range { number, field: field.name, low: field.low, high: field.high }),
        };
    }
    let lower = word.to_ascii_lowercase();
    let named = field.names.iter().position(|name| lower == *name);
    if let Some(found) = named.and_then(|at| u8::try_from(at).ok()) {
        return Ok(found + u8::from(field.low == 1));
    }
    if let Some(sign) = part.chars().find(|sign| matches!(sign, '?' | 'L' | 'W' | '#')) {
        return fail(CronMistake::Foreign { sign, field: field.name });
    }
    fail(CronMistake::Word { word: part.to_owned(), field: field.name })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(text: &str) -> CronMistake {
        Cron::parse(text).unwrap_err().mistake
    }

    #[test]
    fn forms_that_mean_the_same() {
        for (one, other) in [
            ("0 9 * * 7", "0 9 * * 0"),
            ("0 9 * * sun", "0 9 * * SUN"),
            ("0 9 * jan-mar mon-fri", "0 9 * 1-3 1-5"),
            ("0 9 * * fri-sun", "0 9 * * 0,5,6"),
            ("*/15 * * * *", "*/15  *\t* * * "),
            ("@daily", "0 0 * * *"),
            ("@Weekly", "0 0 * * 0"),
            ("1-9/4 0 * * *", "1,5,9 0 * * *"),
        ] {
            let (one, other) = (Cron::parse(one).unwrap(), Cron::parse(other).unwrap());
            let weekdays = |cron: &Cron| match &cron.days {
                DayRule::Cron { weekdays, .. } => weekdays & 0x7f,
                DayRule::Calendar(_) => 0,
            };
            assert_eq!(weekdays(&one), weekdays(&other));
            assert_eq!(one.times, other.times);
        }
    }

    #[test]
    fn mistakes_are_told_apart() {
        assert_eq!(mistake("0 9 * *"), CronMistake::Fields(4));
        assert_eq!(mistake("0 0 9 * * 1"), CronMistake::Fields(6));
        assert_eq!(mistake("@reboot"), CronMistake::Macro("@reboot".into()));
        assert_eq!(mistake("60 9 * * *"), CronMistake::Range { number: 60, field: "minute", low: 0, high: 59 });
        assert_eq!(mistake("0 17-9 * * *"), CronMistake::Backwards { range: "17-9".into(), field: "hour" });
        assert_eq!(mistake("*/0 * * * *"), CronMistake::Step("minute"));
        assert_eq!(mistake("0 9 L * *"), CronMistake::Foreign { sign: 'L', field: "day of the month" });
        assert_eq!(mistake("0 9 ? * *"), CronMistake::Foreign { sign: '?', field: "day of the month" });
        assert_eq!(mistake("0 9 * * mo"), CronMistake::Word { word: "mo".into(), field: "day of the week" });
        assert_eq!(mistake("0 0 31 2 *"), CronMistake::Never);
        assert_eq!(Cron::parse("0 9 * foo *").unwrap_err().at, 6..9);
    }

    #[test]
    fn rare_days_exist() {
        assert!(Cron::parse("0 0 29 2 *").is_ok());
        assert!(Cron::parse("0 0 31 */2 *").is_ok());
    }
}
