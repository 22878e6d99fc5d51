//! A schedule that does not begin with `every`: `when every 5 minutes`, `when at 9:00`, `when monday at 9am`, `when cron "…"`.

use super::look::Look;
use super::token::Kind;
use crate::error::SyntaxError;
use crate::grammar::Rule;
use crate::span::Span;

const MESSAGE: &str = "a flow that the clock starts begins with `every`";
const WEEK: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// A schedule as it would stand behind `every`, and the last token of it.
struct Spoken {
    form: String,
    last: usize,
}

pub(super) fn find(look: &Look<'_>) -> Option<SyntaxError> {
    if look.place != Rule::only_items {
        return None;
    }
    let first = begins(look)?;
    let when = look.word(first) == "when";
    // Another start may stand behind `or`, and what stands behind the start is another matter.
    if look.found < first || look.last_of(look.found, &["do", "where", "or", "{"]).is_some_and(|at| at > first) {
        return None;
    }
    let read = read(look, first + usize::from(when)).filter(|spoken| look.found <= spoken.last + 1);
    match read {
        Some(Spoken { form, last }) => Some(instead(look, first, last, &format!("every {form}"))),
        // What stands behind is read once `when` is gone.
        None if when && look.word(first + 1) == "every" && look.found == first + 1 => {
            let whole = Span { start: look.span(first).start, end: look.span(first + 1).start };
            Some(said(look, first, "every …").fix("remove `when`", whole, ""))
        }
        None => None,
    }
}

/// The token with which the flow starts, behind `flow name "title"`.
fn begins(look: &Look<'_>) -> Option<usize> {
    let first = match look.word(0) {
        "flow" => 2 + usize::from(look.kind(2) == Some(Kind::Text)),
        _ => 0,
    };
    let starts = matches!(look.word(first), "when" | "at" | "on" | "each") || first > 0 && day(look.word(first)).is_some();
    starts.then_some(first)
}

fn instead(look: &Look<'_>, first: usize, last: usize, form: &str) -> SyntaxError {
    let whole = look.span(first).to(look.span(last));
    let goes_on = if look.word(last + 1) == "do" { "do …" } else { "…" };
    said(look, first, &format!("{form} {goes_on}")).fix(format!("write `{form}`"), whole, form)
}

fn said(look: &Look<'_>, first: usize, form: &str) -> SyntaxError {
    let label = match look.word(first) {
        "when" => "behind `when` stands an event of a service".to_owned(),
        word => format!("`{word}` begins no flow"),
    };
    SyntaxError::new("E108", look.span(first), MESSAGE).label(label).help(format!("write `{form}`"))
}

/// Reads a schedule in whatever words.
fn read(look: &Look<'_>, from: usize) -> Option<Spoken> {
    let filler = |at: usize| {
        matches!(
            look.word(at).to_lowercase().as_str(),
            "it" | "is"
                | "its"
                | "the"
                | "on"
                | "each"
                | "every"
                | "once"
                | "schedule"
                | "scheduled"
                | "clock"
                | "time"
                | "a"
                | "an"
        )
    };
    let at = (from..from + 4).find(|at| !filler(*at))?;
    if look.word(at + 1) == "." {
        return None;
    }
    if let Some(cron) = cron(look, at) {
        return Some(cron);
    }
    if look.kind(at) == Some(Kind::Number)
        && let Some(unit) = unit(look.word(at + 1))
    {
        let passed = matches!(look.word(at + 2), "passed" | "pass" | "elapsed" | "later" | "have" | "has");
        let last = at + 1 + usize::from(passed) + usize::from(matches!(look.word(at + 2), "have" | "has"));
        return Some(Spoken { form: format!("{} {unit}", look.word(at)), last });
    }
    if let Some((times, last)) = times(look, at + usize::from(look.word(at) == "at")) {
        let (zone, last) = zone(look, last);
        return Some(Spoken { form: format!("day at {times}{zone}"), last });
    }
    let (days, last) = days(look, at)?;
    let timed = times(look, last + 2).filter(|_| look.word(last + 1) == "at");
    match timed {
        Some((times, last)) => {
            let (zone, last) = zone(look, last);
            Some(Spoken { form: format!("{days} at {times}{zone}"), last })
        }
        // A day alone has no time: at some it has to be, and this one shows its form.
        None if matches!(days.as_str(), "hour" | "minute" | "second") => Some(Spoken { form: days, last }),
        None => Some(Spoken { form: format!("{days} at 09:00"), last }),
    }
}

/// `cron "…"`, `cron("…")`, `"0 9 * * *"`.
fn cron(look: &Look<'_>, at: usize) -> Option<Spoken> {
    let named = matches!(look.word(at), "cron" | "crontab");
    let open = usize::from(named && look.word(at + 1) == "(");
    let text = at + usize::from(named) + open;
    let rule = look.word(text);
    let fits = look.kind(text) == Some(Kind::Text) && rule.split_whitespace().count() == 5;
    fits.then(|| Spoken { form: format!("cron {rule}"), last: text + open })
}

fn unit(word: &str) -> Option<&'static str> {
    Some(match word.to_lowercase().as_str() {
        "s" | "sec" | "secs" | "second" | "seconds" => "seconds",
        "m" | "min" | "mins" | "minute" | "minutes" => "minutes",
        "h" | "hr" | "hrs" | "hour" | "hours" => "hours",
        "d" | "day" | "days" => "days",
        _ => return None,
    })
}

/// What stands for a day behind `every`.
fn day(word: &str) -> Option<&'static str> {
    let lower = word.to_lowercase();
    let known = match lower.as_str() {
        "day" | "days" | "daily" | "nightly" | "everyday" => "day",
        "weekday" | "weekdays" => "weekday",
        "weekend" | "weekends" => "weekend",
        "hour" | "hourly" => "hour",
        "minute" => "minute",
        "second" => "second",
        other => {
            let day = other.strip_suffix('s').unwrap_or(other);
            return WEEK.iter().find(|known| **known == day || day.len() == 3 && known.starts_with(day)).copied();
        }
    };
    Some(known)
}

/// `monday, tuesday and friday`.
fn days(look: &Look<'_>, at: usize) -> Option<(String, usize)> {
    let mut all = vec![day(look.word(at))?];
    let mut last = at;
    while matches!(look.word(last + 1), "," | "and")
        && let Some(next) = day(look.word(last + 2))
    {
        all.push(next);
        last += 2;
    }
    Some((all.join(", "), last))
}

/// `9:00`, `9am and 6:30 pm`, `noon`, `sunset`.
fn times(look: &Look<'_>, at: usize) -> Option<(String, usize)> {
    let (first, mut last) = time(look, at)?;
    let mut all = vec![first];
    while matches!(look.word(last + 1), "," | "and") {
        let next = last + 2 + usize::from(look.word(last + 2) == "at");
        let Some((time, end)) = time(look, next) else { break };
        all.push(time);
        last = end;
    }
    Some((all.join(", "), last))
}

fn time(look: &Look<'_>, at: usize) -> Option<(String, usize)> {
    match look.word(at).to_lowercase().as_str() {
        "sunset" => return Some(("sunset".to_owned(), at)),
        "sunrise" => return Some(("sunrise".to_owned(), at)),
        "noon" | "midday" => return Some(("12:00".to_owned(), at)),
        "midnight" => return Some(("00:00".to_owned(), at)),
        _ => {}
    }
    let half = look.word(at + 1).to_lowercase();
    let is_half = matches!(half.as_str(), "am" | "pm");
    let (hour, minute) = match look.kind(at)? {
        Kind::Time => look.word(at).split_once(':')?,
        Kind::Number if is_half => (look.word(at), "00"),
        _ => return None,
    };
    let hour: u32 = hour.parse().ok()?;
    if !is_half {
        return Some((format!("{hour:02}:{minute}"), at));
    }
    let in_half = (1..=12).contains(&hour);
    in_half.then(|| (format!("{:02}:{minute}", hour % 12 + if half == "pm" { 12 } else { 0 }), at + 1))
}

/// ` in "Europe/Paris"`, where that stands behind.
fn zone(look: &Look<'_>, last: usize) -> (String, usize) {
    if look.word(last + 1) == "in" && look.kind(last + 2) == Some(Kind::Text) {
        (format!(" in {}", look.word(last + 2)), last + 2)
    } else {
        (String::new(), last)
    }
}
