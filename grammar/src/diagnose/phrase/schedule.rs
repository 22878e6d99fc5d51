//! Times: `every other day`, `cron("…")`, `at 9:00 pm`, `mon-fri`, `15 minutes before sunset`.

use super::{between, duration, instead, perhaps, said, words};
use crate::diagnose::look::Look;
use crate::diagnose::token::Kind;
use crate::error::SyntaxError;
use crate::grammar::Rule;
use crate::span::Span;

pub(super) fn find(look: &Look<'_>) -> Option<SyntaxError> {
    let at = look.found;
    half_day(look, at).or_else(|| clock_words(look, at)).or_else(|| {
        let starts = look.place == Rule::only_items;
        if !starts {
            return None;
        }
        begins(look, at)
            .or_else(|| cron(look, at))
            .or_else(|| days(look, at))
            .or_else(|| times(look, at))
            .or_else(|| sun(look, at))
            .or_else(|| zone(look, at))
            .or_else(|| bounds(look, at))
    })
}

/// `at 08:45 and at 13:00`, `sunset minus 15 minutes`.
fn times(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    scheduled(look, at)?;
    if look.kind(at) == Some(Kind::Time)
        && look.word_before(at, 1) == "at"
        && matches!(look.word_before(at, 2), "and" | "," | "or")
    {
        let span = look.span(at - 1);
        let whole = Span { start: span.start, end: look.span(at).start };
        return Some(
            SyntaxError::new("E102", span, "`at` stands once, before the first time")
                .label("this one is too many")
                .help(format!("write `and {}`", look.word(at)))
                .fix("remove the second `at`", whole, ""),
        );
    }
    let sign = match look.word(at) {
        "minus" => "-",
        "plus" => "+",
        _ => return None,
    };
    let sun = look.word_before(at, 1);
    let (length, _) = duration(look, at + 1)?;
    matches!(sun, "sunset" | "sunrise").then(|| {
        let form = format!("{sun} {sign} {}", length.text(look.source));
        instead(look.span(at), look.span(at), "a time from the sun on is written with `-` or `+`", sign)
            .help(format!("write `{form}`"))
    })
}

/// Whether the sentence around `at` begins with `every`.
fn scheduled(look: &Look<'_>, at: usize) -> Option<usize> {
    look.last_of(at, &["every", "when", "do"]).filter(|first| look.word(*first) == "every")
}

/// `9:00 pm`, and `9am` where a value stands. Without a space between them the time is what is found.
fn half_day(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let at = if look.kind(at) == Some(Kind::Time) { at + 1 } else { at };
    let half = look.word(at).to_lowercase();
    if !matches!(half.as_str(), "am" | "pm") {
        return None;
    }
    // The number may have been read as the end of what stands before.
    let before = look.source.get(..look.span(at).start as usize)?.trim_end_matches(' ');
    let written = before.rfind(|c: char| !(c.is_ascii_digit() || matches!(c, ':' | '.'))).map_or(0, |last| last + 1);
    let number = before.get(written..)?;
    let (hour, minute) = number.split_once([':', '.']).unwrap_or((number, "00"));
    let hour: u32 = hour.parse().ok().filter(|hour| (1..=12).contains(hour))?;
    if minute.len() != 2 {
        return None;
    }
    let hour = hour % 12 + if half == "pm" { 12 } else { 0 };
    let span = Span { start: u32::try_from(written).ok()?, end: look.span(at).end };
    Some(
        SyntaxError::new("E111", span, "a time of day is written with hours and minutes")
            .label("from 00:00 to 23:59")
            .help(format!("write `{hour:02}:{minute}`"))
            .fix(format!("write `{hour:02}:{minute}`"), span, format!("{hour:02}:{minute}")),
    )
}

/// `9 o'clock`.
fn clock_words(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let o = (at..=at + 1).find(|at| look.word(*at) == "o" && look.kind(at.wrapping_sub(1)) == Some(Kind::Number))?;
    let rest = look.source.get(look.span(o).end as usize..)?;
    let clock = rest.strip_prefix(['\'', '’']).filter(|rest| rest.starts_with("clock"))?;
    let end = look.span(o).end + u32::try_from(rest.len() - clock.len() + "clock".len()).ok()?;
    let hour: u32 = look.word(o - 1).parse().ok().filter(|hour| *hour < 24)?;
    let span = Span { start: look.span(o - 1).start, end };
    Some(
        SyntaxError::new("E111", span, "a time of day is written with hours and minutes")
            .label("from 00:00 to 23:59")
            .help(format!("write `{hour:02}:00`, or `{:02}:00`", (hour + 12) % 24))
            .guess(format!("write `{hour:02}:00`"), span, format!("{hour:02}:00")),
    )
}

/// `cron "…"`, `schedule: every day`.
fn begins(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let first = look.span(0);
    if at > 1 {
        return None;
    }
    let message = "a flow that the clock starts begins with `every`";
    if matches!(look.word(0), "schedule" | "cron" | "every" | "interval") && look.word(1) == ":" {
        let whole =
            if look.word(2) == "every" { Span { start: first.start, end: look.span(2).start } } else { first.to(look.span(1)) };
        let with = if look.word(2) == "every" {
            ""
        } else if look.kind(2) == Some(Kind::Text) {
            "every cron"
        } else {
            "every"
        };
        return Some(said(first.to(look.span(1)), message, "every day at 09:00 do …").guess(
            format!("write `{}`", if with.is_empty() { "every" } else { with }),
            whole,
            with,
        ));
    }
    let open = usize::from(look.word(1) == "(");
    match look.word(0) {
        "cron" | "schedule" if look.kind(1 + open) == Some(Kind::Text) => {
            let text = look.word(1 + open);
            let whole = first.to(look.span(1 + 2 * open));
            Some(instead(first, whole, message, &format!("every cron {text}")))
        }
        _ => None,
    }
}

/// `every cron("…")`, `every "…"`, `every 0 9 * * 1-5`.
fn cron(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let message = "a cron rule is a text behind `every cron`";
    if look.word_before(at, 1) == "cron" && look.word(at) == "(" && look.kind(at + 1) == Some(Kind::Text) {
        let whole = look.span(at).to(look.span(at + 2));
        let with = format!("cron {}", look.word(at + 1));
        return Some(instead(whole, look.span(at - 1).to(whole), message, &with));
    }
    if look.word_before(at, 1) == "every" && look.kind(at) == Some(Kind::Text) {
        let span = look.span(at);
        return Some(instead(span, span, message, &format!("cron {}", look.word(at))));
    }
    let first = scheduled(look, at)? + 1;
    let last = (first..look.tokens.len()).find(|at| matches!(look.word(*at), "do" | "in"))?.checked_sub(1)?;
    let rule = between(look, first, last);
    let signs = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'*' | b'/' | b'-' | b','));
    if rule.split_whitespace().count() != 5 || !rule.split_whitespace().all(signs) {
        return None;
    }
    let span = look.span(first).to(look.span(last));
    Some(instead(span, span, message, &format!("cron \"{rule}\"")))
}

/// `every day at 08:00 on weekdays`: the days stand before the time.
fn days_behind(look: &Look<'_>, every: usize, at: usize) -> Option<SyntaxError> {
    if look.word(at) != "on" || look.word(every + 1) != "day" || look.word(every + 2) != "at" {
        return None;
    }
    let mut days = Vec::new();
    let mut last = at;
    while matches!(look.word(last + 1), "," | "and") && !days.is_empty() || days.is_empty() {
        let next = last + if days.is_empty() { 1 } else { 2 };
        let word = look.word(next).to_lowercase();
        let day = word.strip_suffix('s').unwrap_or(&word);
        if !WEEK.contains(&day) && !matches!(day, "weekday" | "weekend") {
            break;
        }
        days.push(day.to_owned());
        last = next;
    }
    if days.is_empty() {
        return None;
    }
    let days = days.join(", ");
    let whole = look.span(at).to(look.span(last));
    let times = between(look, every + 2, at - 1);
    let mut error = said(whole, "the days of a schedule stand before its times", &format!("every {days} {times}"));
    error.fixes.push(crate::error::Fix {
        title: format!("write `every {days} {times}`"),
        edits: vec![(look.span(every + 1), days), (Span { start: look.gap(at).start, end: whole.end }, String::new())],
        safe: true,
    });
    Some(error)
}

/// `every other day`, `mon-fri`, `every 1st of the month`, `at :15`.
fn days(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let every = scheduled(look, at)?;
    if let Some(error) = days_behind(look, every, at) {
        return Some(error);
    }
    if words(look, every + 1, &["other"]) {
        let unit = super::unit(look.word(every + 2))?;
        let whole = look.span(every + 1).to(look.span(every + 2));
        let mut error = perhaps(whole, whole, "an interval is written with its number", &format!("2 {unit}s")).help(format!(
            "write `every 2 {unit}s`, counted from the first start; what has a time of day names its days: `every monday, wednesday, friday at 09:00`"
        ));
        if look.word(every + 3) == "at" {
            error.fixes.clear();
        }
        return Some(error);
    }
    let (first, last) = (look.word(every + 1), look.word(every + 3));
    if matches!(look.word(every + 2), "-" | "to" | "through" | "until") && first.len() >= 3 {
        let first = first.to_lowercase();
        let last = last.to_lowercase();
        let span = look.span(every + 1).to(look.span(every + 3));
        let message = "days of the week are named one by one";
        if first.starts_with("mon") && last.starts_with("fri") {
            return Some(instead(span, span, message, "weekday"));
        }
        let list = week(&first, &last)?;
        return Some(instead(span, span, message, &list));
    }
    let number = every + 1;
    if matches!(look.word(number + 1), "st" | "nd" | "rd" | "th") && look.kind(number) == Some(Kind::Number) {
        let last = if words(look, number + 2, &["of", "the", "month"]) {
            number + 4
        } else if words(look, number + 2, &["of", "month"]) || words(look, number + 2, &["of", "each"]) {
            number + 3
        } else {
            number + 1
        };
        let span = look.span(number).to(look.span(last));
        return Some(instead(
            span,
            span,
            "a day of the month stands behind `every month on`",
            &format!("month on day {}", look.word(number)),
        ));
    }
    if look.word(at) == ":" && look.word_before(at, 1) == "at" && look.kind(at + 1) == Some(Kind::Number) {
        let whole = look.span(every + 1).to(look.span(at + 1));
        let minute = look.word(at + 1).trim_start_matches('0');
        let minute = if minute.is_empty() { "0" } else { minute };
        return Some(instead(
            look.span(at - 1).to(look.span(at + 1)),
            whole,
            "a minute of each hour is written as a cron rule",
            &format!("cron \"{minute} * * * *\""),
        ));
    }
    None
}

/// `monday, tuesday` for `mon-tue`.
fn week(first: &str, last: &str) -> Option<String> {
    const WEEK: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let place =
        |short: &str| (short.len() >= 3).then(|| WEEK.iter().position(|day| day.starts_with(short.get(..3).unwrap_or(short))))?;
    let (from, to) = (place(first)?, place(last)?);
    WEEK.get(from..=to).filter(|days| !days.is_empty()).map(|days| days.join(", "))
}

/// `15 minutes before sunset`.
fn sun(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let word = (at.saturating_sub(1)..at + 3).find(|at| matches!(look.word(*at), "before" | "after"))?;
    let (length, _) = duration(look, word.checked_sub(2)?)?;
    let sun = look.word(word + 1);
    if !matches!(sun, "sunset" | "sunrise") {
        return None;
    }
    let sign = if look.word(word) == "before" { '-' } else { '+' };
    let span = length.to(look.span(word + 1));
    Some(instead(span, span, "a time from the sun on begins with the sun", &format!("{sun} {sign} {}", length.text(look.source))))
}

/// `09:00 UTC`, `timezone "…"`, `in Europe/Paris`.
fn zone(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    scheduled(look, at)?;
    let message = "a time zone stands behind `in`, as a text";
    let word = look.word(at);
    let after_time = look.kind(at.checked_sub(1)?) == Some(Kind::Time) || matches!(look.word_before(at, 1), "sunset" | "sunrise");
    let start = if look.word_before(at, 1) == "in" { at } else { at.saturating_sub(usize::from(word == "/")) };
    if look.word(start + 1) == "/" && look.kind(start) == Some(Kind::Word) && look.word_before(start, 1) == "in" {
        let mut last = start + 2;
        while look.word(last + 1) == "/" {
            last += 2;
        }
        let span = look.span(start).to(look.span(last));
        return Some(instead(span, span, message, &format!("\"{}\"", span.text(look.source))));
    }
    if !after_time {
        return None;
    }
    if matches!(word, "timezone" | "tz" | "zone" | "time_zone") && look.kind(at + 1) == Some(Kind::Text) {
        return Some(instead(look.span(at), look.span(at), message, "in"));
    }
    if matches!(word, "UTC" | "GMT" | "Z" | "utc") {
        return Some(instead(look.span(at), look.span(at), message, "in \"UTC\""));
    }
    let short = (2..=5).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_uppercase());
    short.then(|| {
        said(look.span(at), message, "in \"Europe/Paris\"").help(format!(
            "write `in` and a region with a city, such as \"Europe/Paris\": `{word}` is several zones, or changes with the season"
        ))
    })
}

const WEEK: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// `every day at 9:00 except sunday`: the days that are left are known.
fn without_days(look: &Look<'_>, every: usize, at: usize, error: &SyntaxError) -> Option<SyntaxError> {
    let day_of = |at: usize| {
        let word = look.word(at).to_lowercase();
        let day = word.strip_suffix('s').unwrap_or(&word);
        WEEK.iter().position(|known| *known == day || day.len() == 3 && known.starts_with(day))
    };
    let among = match look.word(every + 1) {
        "day" => &WEEK[..],
        "weekday" => &WEEK[..5],
        _ => return None,
    };
    let mut last = at;
    let mut out = Vec::new();
    loop {
        let next = if matches!(look.word(last + 1), "," | "and" | "or" | "on") { last + 2 } else { last + 1 };
        match day_of(next) {
            Some(day) => out.push(day),
            None => break,
        }
        last = next;
    }
    let left: Vec<&str> = (0..).zip(among).filter(|(day, _)| !out.contains(day)).map(|(_, name)| *name).collect();
    if out.is_empty() || left.is_empty() {
        return None;
    }
    let days = left.join(", ");
    let mut error = error.clone().help(format!("write `every {days}`; a condition leaves others out: `where not (…)`"));
    error.fixes.push(crate::error::Fix {
        title: format!("write `every {days}`"),
        edits: vec![(look.span(every + 1), days), (Span { start: look.gap(at).start, end: look.span(last).end }, String::new())],
        safe: true,
    });
    Some(error)
}

/// `every hour from 08:00 to 18:00`, `except weekends`.
fn bounds(look: &Look<'_>, at: usize) -> Option<SyntaxError> {
    let every = scheduled(look, at)?;
    let word = look.word(at);
    let times = look.kind(at + 1) == Some(Kind::Time) && look.kind(at + 3) == Some(Kind::Time);
    if matches!(word, "from" | "between") && times {
        let span = look.span(at).to(look.span(at + 3));
        let form = format!("where now.time in {}..{}", look.word(at + 1), look.word(at + 3));
        let mut error = perhaps(span, span, "between which times a flow starts is a condition", &form);
        if look.word(every + 1) == "day" {
            error.fixes.clear();
            error.help = Some(format!("write how often, and `{form}`: `every 10 minutes {form}`"));
        }
        return Some(error);
    }
    if matches!(word, "except" | "excluding" | "without") {
        let span = look.span(at);
        let weekend = look.word(at + 1).starts_with("weekend");
        let error = said(span, "the days on which a flow starts are named behind `every`", "every weekday at …");
        let day = look.span(every + 1);
        return Some(if weekend && look.word(every + 1) == "day" {
            let mut error = error;
            error.fixes.push(crate::error::Fix {
                title: "write `every weekday`".to_owned(),
                edits: vec![
                    (day, "weekday".to_owned()),
                    (Span { start: look.gap(at).start, end: look.span(at + 1).end }, String::new()),
                ],
                safe: true,
            });
            error
        } else {
            without_days(look, every, at, &error).unwrap_or_else(|| {
                error.help(
                    "name the days that are left: `every monday, wednesday at …`; a condition leaves others out: `where not (…)`",
                )
            })
        });
    }
    None
}
